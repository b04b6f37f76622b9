//! Feedback by a post-login Action, in place of a log stream and a Function or beside them.
//!
//! Auth0 shows the challenge that one Action asks for before it runs the next Action ("Auth0 docs, customize MFA
//! selection", 2026-08). So an Action that is bound behind the rules sees that a code was used. It sees nothing of what
//! Auth0 asks for after all Actions have run.

use crate::diag::{Problem, codes};
use crate::kinds::SaidBy;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level};
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};

use super::{rules, streams, verify_service};

/// The name of the Action's kind, which is also the address of its resource.
pub const NAME: &str = "feedback_action";
/// Path of its section.
pub const SECTION: &str = "feedback.action";

/// The secrets that the code reads, each with the manifest key that gives its value. `None`: no key gives it.
const SECRETS: [(&str, Option<&str>); 3] = [
    ("TWILIO_API_KEY", Some("api_key")),
    ("TWILIO_API_SECRET", Some("api_secret")),
    ("TWILIO_VERIFY_SID", None),
];

/// The sections of the manifest by which Verify gets its feedback.
pub fn ways(manifest: &Manifest) -> Vec<&'static str> {
    [streams::SECTION_PATH, SECTION].into_iter().filter(|path| manifest.section(path).is_some()).collect()
}

/// Whether the manifest has a way for the feedback.
pub fn is_reported(manifest: &Manifest) -> bool {
    !ways(manifest).is_empty()
}

/// The secrets of the Action.
pub fn secrets(manifest: &Manifest) -> Attrs {
    let verify = Template {
        parts: vec![Part::Output(OutputRef { resource: verify_service::NAME.into(), output: "sid".into() })],
        secret: true,
    };
    let value = |key: Option<&str>| match key {
        Some(key) => manifest.get(SECTION, key).cloned(),
        None => Some(Value::Output(verify.clone())),
    };
    SECRETS.iter().filter_map(|(name, key)| Some((format!("secrets.{name}"), value(*key)?))).collect()
}

/// Where the manifest gives the value of a field of the Action.
pub fn said_by(field: &str) -> SaidBy {
    let secret = field.strip_prefix("secrets.");
    match SECRETS.iter().find(|(name, _)| Some(*name) == secret) {
        Some((_, Some(key))) => SaidBy::Key(format!("{SECTION}.{key}")),
        Some((_, None)) => SaidBy::Nothing,
        None => SaidBy::Tables,
    }
}

/// Checks what the Action needs of the rest of the manifest.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    if manifest.section(rules::SECTION).is_none() {
        out.push(
            Problem::error(
                codes::MISSING_KEY,
                SECTION,
                "this Action would see no code that was used",
                "it sees only what a post-login Action asks for, and the manifest has no mfa.post_login",
                "ask by rules (mfa.post_login), or use feedback.function with feedback.log_stream, which see every login",
            )
            .at_key(),
        );
    }
    if manifest.section(verify_service::NAME).is_none() {
        out.push(
            Problem::error(
                codes::MISSING_KEY,
                SECTION,
                "nothing says to which Verify service the Action reports",
                "it is told the SID of verify_service, and the manifest has no such section",
                "add verify_service: to the file (sid: VA… picks one that is there)",
            )
            .at_key(),
        );
    }
}

/// The note in a plan about what the Action does not see. `None`: the log stream reports that.
pub fn notice(manifest: &Manifest) -> Option<Finding> {
    let is_alone = manifest.section(SECTION).is_some() && manifest.section(streams::SECTION_PATH).is_none();
    is_alone.then(|| Finding {
        code: codes::WHAT_IS_REPORTED,
        address: SECTION.into(),
        text: "only codes that a post-login Action asked for are reported, if the event of the login names the number: not \
               those of the policy, which asks after all Actions, and not those of the MFA API"
            .into(),
        help: String::new(),
        level: Level::Note,
    })
}

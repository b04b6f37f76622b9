//! Feedback for the codes of passwordless logins.
//!
//! With the unified phone experience, the same Action sends the codes of passwordless logins and those of MFA. Both
//! count for the limit of Verify: five sends without feedback in ten minutes lock a number out. The success of a
//! passwordless login is a login event, and not an event of a second factor. If the stream carries login events, its
//! receiver learns of every login, so the stream carries them only if the manifest says so.

use serde_json::json;

use super::legacy;
use super::login_feedback;
use super::streams::SECTION_PATH as STREAM;
use crate::diag::{Problem, codes};
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level};
use crate::model::value::Value;

const SECTION_PATH: &str = "feedback";

pub static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "What tells Verify which codes were used",
    required: false,
    fields: &[Field {
        key: "passwordless",
        ty: Type::Bool,
        doc: "codes of passwordless logins get feedback too, and the stream then carries the success of every login; off \
              unless written",
        ..FIELD
    }],
};

/// The category of events for successful logins, including passwordless ones.
const LOGINS: &str = "auth.login.success";

/// The consequence of a stream without login events.
pub const WITHOUT: &str =
    "codes of passwordless logins get no feedback, and the sixth to a number within ten minutes is refused";

fn is_passwordless(manifest: &Manifest) -> bool {
    manifest.get(SECTION_PATH, "passwordless") == Some(&Value::Known(json!(true)))
}

/// The categories of events that the feedback needs, sorted.
pub fn default_filters(manifest: &Manifest) -> Vec<&'static str> {
    let logins = is_passwordless(manifest).then_some(LOGINS);
    logins.into_iter().chain(["other", "user.notification"]).collect()
}

/// The needed categories that a list of filters does not let through. An empty list lets everything through.
fn missing_filters<'a>(needed: &[&'a str], filters: &[String]) -> Vec<&'a str> {
    let dropped = |name: &&&str| !filters.is_empty() && !filters.iter().any(|filter| filter == **name);
    needed.iter().filter(dropped).copied().collect()
}

/// Whether the manifest has a stream for the feedback that does not carry the success of passwordless logins, and no
/// Action that reports them.
pub fn leaves_out(manifest: &Manifest) -> bool {
    is_left_out(manifest) && manifest.section(login_feedback::SECTION).is_none()
}

fn is_left_out(manifest: &Manifest) -> bool {
    let Some(stream) = manifest.section(STREAM) else { return false };
    match stream.contains_key("filters") {
        true => !missing_filters(&[LOGINS], &manifest.set(STREAM, "filters")).is_empty(),
        false => !is_passwordless(manifest),
    }
}

/// Checks the section, and the stream's filters.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    let lacks = missing_filters(&default_filters(manifest), &manifest.set(STREAM, "filters"));
    if !lacks.is_empty() {
        out.push(Problem::error(
            codes::UNSAFE,
            format!("{STREAM}.filters"),
            "the filters drop the events that the feedback needs",
            format!("missing: {}", lacks.join(", ")),
            "add them, or write [] to send everything",
        ));
    }
    if !is_passwordless(manifest) {
        return;
    }
    let place = "feedback.passwordless";
    if !login_feedback::is_reported(manifest) {
        out.push(Problem::error(
            codes::MISSING_KEY,
            place,
            "nothing carries the feedback",
            "passwordless is on, and there is neither feedback.log_stream nor feedback.action",
            "add one of them, or remove this line",
        ));
    } else if legacy::is_legacy(manifest) {
        let problem = Problem::error(
            codes::CONFLICT,
            place,
            "passwordless codes do not go through Verify here",
            "with `phone.delivery: legacy` the Action sends the codes of MFA only",
            "remove this line",
        );
        out.push(problem.warning());
    }
}

/// The note in a plan about the feedback for passwordless logins. `None` without a stream or without unified delivery,
/// or if an Action alone reports them.
pub fn notice(manifest: &Manifest) -> Option<Finding> {
    manifest.section(STREAM).filter(|_| manifest.text("phone", "delivery") == Some("unified"))?;
    let text = match (is_left_out(manifest), leaves_out(manifest)) {
        (_, true) => format!("while this is off, {WITHOUT}"),
        (true, false) => return None,
        (false, false) => "the receiver learns of every successful login".into(),
    };
    Some(Finding {
        code: codes::WHAT_IS_REPORTED,
        address: "feedback.passwordless".into(),
        text,
        help: String::new(),
        level: Level::Note,
    })
}

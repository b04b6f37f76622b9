//! Feedback for codes of passwordless logins.
//!
//! With the unified phone experience they leave by the same Action as those of MFA, and five sends in ten minutes lock a
//! number out all the same. Their success is the event of a login and no second factor's, so the stream carries it only
//! when the manifest says so: it tells the receiver of every login.

use serde_json::json;

use super::legacy;
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

/// Category of the success of a login, passwordless ones among them.
const LOGINS: &str = "auth.login.success";

/// What it means that the stream does not carry them.
pub const WITHOUT: &str =
    "codes of passwordless logins get no feedback, and the sixth to a number within ten minutes is refused";

fn is_passwordless(manifest: &Manifest) -> bool {
    manifest.get(SECTION_PATH, "passwordless") == Some(&Value::Known(json!(true)))
}

/// The categories that the feedback needs, sorted.
pub fn default_filters(manifest: &Manifest) -> Vec<&'static str> {
    let logins = is_passwordless(manifest).then_some(LOGINS);
    logins.into_iter().chain(["other", "user.notification"]).collect()
}

/// The categories that a list of filters drops; an empty list drops nothing.
fn missing<'a>(needed: &[&'a str], filters: &[String]) -> Vec<&'a str> {
    let dropped = |name: &&&str| !filters.is_empty() && !filters.iter().any(|filter| filter == **name);
    needed.iter().filter(dropped).copied().collect()
}

/// Whether a stream is managed here that does not carry the success of passwordless logins.
pub fn leaves_out(manifest: &Manifest) -> bool {
    let Some(stream) = manifest.section(STREAM) else { return false };
    match stream.contains_key("filters") {
        true => !missing(&[LOGINS], &manifest.set(STREAM, "filters")).is_empty(),
        false => !is_passwordless(manifest),
    }
}

/// Checks of the section, and of the stream's filters.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    let lacks = missing(&default_filters(manifest), &manifest.set(STREAM, "filters"));
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
    if manifest.section(STREAM).is_none() {
        out.push(Problem::error(
            codes::MISSING_KEY,
            place,
            "nothing carries the feedback",
            "passwordless is on, and there is no feedback.log_stream",
            "add feedback.log_stream, or remove this line",
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

/// What a plan tells of it.
pub fn notice(manifest: &Manifest) -> Option<Finding> {
    manifest.section(STREAM).filter(|_| manifest.text("phone", "delivery") == Some("unified"))?;
    let text = match leaves_out(manifest) {
        true => format!("it is off: {WITHOUT}"),
        false => "the success of every login goes to the receiver".into(),
    };
    Some(Finding { address: "feedback.passwordless".into(), text, help: String::new(), level: Level::Note })
}

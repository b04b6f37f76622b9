//! The versions of an Action: what a deployed version was given, and what it may know.

use serde_json::Value as Json;

use crate::kinds::text;

/// Name of the secret that holds the SID of the Verify service.
pub const VERIFY_SID: &str = "TWILIO_VERIFY_SID";

/// The dates at which a version was given its secrets, whose values nobody can read. Modules have secrets of their own,
/// so the date of a version that uses modules counts too. `None`: the reply does not list secrets.
pub fn secret_dates(version: &Json) -> Option<Vec<String>> {
    let secrets = version["secrets"].as_array()?;
    let uses_modules = version["modules"].as_array().is_some_and(|modules| !modules.is_empty());
    let dates = secrets.iter().map(|secret| text(secret, "updated_at"));
    Some(dates.chain(uses_modules.then(|| text(version, "created_at"))).map(str::to_owned).collect())
}

/// Whether code may know the object with that id: the code names the id, or one of its secrets is not older than the
/// object. `dates` are those from [`secret_dates`]; `made_at` is the time at which the object was created. The times
/// are in the vendors' formats (RFC 2822 or RFC 3339). If a time or the code cannot be read, the answer is yes.
pub fn knows(dates: Option<&[String]>, code: Option<&str>, id: &str, made_at: &str) -> bool {
    let second = |text: &str| {
        let iso = || text.parse::<jiff::Timestamp>().ok();
        jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp()).or_else(iso).map(|at| at.as_second())
    };
    let (Some(dates), Some(made), Some(code)) = (dates, second(made_at), code) else { return true };
    let is_older = |at: &String| second(at).is_some_and(|at| at < made);
    code.contains(id) || !dates.iter().all(is_older)
}

/// Whether a version has the SID of a Verify service among its secrets. If the reply does not list secrets, the answer is
/// yes.
pub fn verifies(version: &Json) -> bool {
    let is_sid = |secret: &Json| text(secret, "name") == VERIFY_SID;
    version["secrets"].as_array().is_none_or(|secrets| secrets.iter().any(is_sid))
}

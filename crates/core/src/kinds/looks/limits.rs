//! Checks that the rate limits that an Action passes to Verify exist.

use super::Check;
use crate::kinds::remote::verify_below::{RATE_LIMITS, list_below};
use crate::kinds::said::code_limits::passed;
use crate::kinds::{Run, text};
use crate::model::call::Failed;
use crate::port::Reader;

/// The check of the rate limits that the Action passes. `None`: it passes none, or no Verify service is known.
pub fn check(run: &Run<'_>) -> Option<Check> {
    let names: Vec<&str> = passed(run.manifest).into_keys().collect();
    let sid = run.ids.get("verify_service")?.get("sid").filter(|sid| !sid.is_empty())?;
    (!names.is_empty()).then(|| Check {
        what: "a rate limit that the Action passes",
        get: list_below(sid, RATE_LIMITS),
        expected: names.join(","),
        holds: |reply, names| {
            let there = reply["rate_limits"].as_array().map(Vec::as_slice).unwrap_or_default();
            names.split(',').all(|name| there.iter().any(|limit| text(limit, "unique_name") == name))
        },
    })
}

/// Checks the rate limits right before a deployment. If one was deleted after the plan was made, Verify would refuse
/// every message.
pub async fn ensure_limits_exist(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some(Check { what, get, expected, holds }) = check(run) else { return Ok(()) };
    if holds(&reader.fresh(&get).await?, &expected) {
        return Ok(());
    }
    Err(Failed::NotDone(format!(
        "{what} was deleted after the plan was made ({expected}), and every message would fail; plan again"
    )))
}

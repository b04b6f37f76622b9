//! Checks that the rate limits that an Action passes to Verify exist.

use serde_json::Value as Json;

use super::Look;
use crate::kinds::remote::verify_below::{RATE_LIMITS, list};
use crate::kinds::said::code_limits::passed;
use crate::kinds::{Run, text};
use crate::model::call::Failed;
use crate::port::Reader;

/// The check of the rate limits that the Action passes. `None`: it passes none, or no Verify service is known.
pub fn read(run: &Run<'_>) -> Option<Look> {
    let names: Vec<&str> = passed(run.manifest).into_keys().collect();
    let sid = run.ids.get("verify_service")?.get("sid").filter(|sid| !sid.is_empty())?;
    let stands: fn(&Json, &str) -> bool = |reply, names| {
        let there = reply["rate_limits"].as_array().map(Vec::as_slice).unwrap_or_default();
        names.split(',').all(|name| there.iter().any(|limit| text(limit, "unique_name") == name))
    };
    let get = list(sid, RATE_LIMITS);
    (!names.is_empty()).then(|| ("a rate limit that the Action passes", get, names.join(","), stands))
}

/// Checks the rate limits right before a deployment. If one was deleted after the plan was made, Verify would refuse
/// every message.
pub async fn stand(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some((what, get, names, stands)) = read(run) else { return Ok(()) };
    if stands(&reader.fresh(&get).await?, &names) {
        return Ok(());
    }
    Err(Failed::NotDone(format!(
        "{what} was deleted after the plan was made ({names}), and every message would fail; plan again"
    )))
}

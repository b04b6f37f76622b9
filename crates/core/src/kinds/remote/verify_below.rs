//! What hangs on the Verify service (rate limits, messaging configurations) has this in common: its paths begin with the
//! service's SID, and refusals carry codes of their own.

use serde_json::Value as Json;

use crate::kinds::said::verify_service::NAME;
use crate::kinds::{Run, entries};
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::value::Value;
use crate::port::{Answered, Writer};

/// The list of rate limits.
pub const RATE_LIMITS: &str = "RateLimits";

/// A list below a service; `tail` is the rest of the path.
pub fn list(sid: &str, tail: &str) -> Get {
    Get { api: Api::Verify, path: format!("/v2/Services/{sid}/{tail}?PageSize=100"), paging: Paging::Next }
}

/// The entries of a list, each with what it is found by. A reply without them is no empty list.
pub fn items<'a>(reply: &'a Json, key: &str, by: &[&str]) -> Result<&'a [Json], Failed> {
    entries(reply.get(key), by, &format!("the list of {key}"))
}

/// Path below the service that a step works on.
pub fn path(run: &Run<'_>, tail: &str) -> Result<String, Failed> {
    match service_sid(run).as_str() {
        "" => Err(Failed::NotDone("the Verify service is not there".into())),
        sid => Ok(format!("/v2/Services/{sid}/{tail}")),
    }
}

/// A text as it is sent. A value from a file counts as a secret wherever it stands.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Secret(secret) => Some(secret.expose().to_owned()),
        other => other.as_str().map(str::to_owned),
    }
}

/// SID of the service that a step works on; empty when there is none.
pub fn service_sid(run: &Run<'_>) -> String {
    let own = run.seen.ids.get("service_sid");
    let service = run.ids.get(NAME).and_then(|ids| ids.get("sid"));
    own.or(service).filter(|sid| !sid.is_empty()).cloned().unwrap_or_default()
}

/// One write below the service.
pub async fn send(
    writer: &mut Writer,
    method: Method,
    path: String,
    form: &[(&str, String)],
    repeat: Repeat,
) -> Answered {
    let pairs: Vec<(String, String)> =
        form.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let body = if pairs.is_empty() { Body::None } else { Body::Form(pairs) };
    writer.send(Write { api: Api::Verify, method, path, body, repeat }).await.map_err(explained)
}

/// What the vendor's codes mean here, and what to do ("Twilio error dictionary", as of 2026-11).
const CODES: &[(&str, &str)] = &[
    (
        "60207",
        "the service has as many rate limits as it may have: remove one from the manifest and apply, or delete an unused one",
    ),
    (
        "60208",
        "a rate limit of this name appeared since the plan was made: plan again, and it is taken over with your consent",
    ),
    ("60209", "Twilio does not take this name for a rate limit: use letters, digits, dashes and underscores"),
    (
        "60210",
        "the rate limit has as many buckets as it may have: remove one from the manifest and apply first",
    ),
    ("60211", "a bucket of this interval appeared since the plan was made: plan again"),
    (
        "60213",
        "a messaging configuration of this country appeared since the plan was made: plan again, and it is taken over with your consent",
    ),
];

/// A refusal with its meaning added.
fn explained(failed: Failed) -> Failed {
    let Failed::Refused(mut refusal) = failed else { return failed };
    let known = CODES.iter().find(|(code, _)| refusal.code.as_deref() == Some(*code));
    if let Some((_, meaning)) = known {
        refusal.message = match refusal.message.as_str() {
            "" => (*meaning).to_owned(),
            message => format!("{message} ({meaning})"),
        };
    }
    Failed::Refused(refusal)
}

//! Shared code for the resources below the Verify service: rate limits and messaging configurations. Their paths begin
//! with the path of the service.

use serde_json::Value as Json;

use crate::kinds::said::verify_service::NAME;
use crate::kinds::{Run, entries_with};
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::value::Value;
use crate::port::{Answered, Writer};

/// The last part of the path of the list of rate limits.
pub const RATE_LIMITS: &str = "RateLimits";

/// The read of a list below a service. `tail` is the rest of the path.
pub fn list_below(sid: &str, tail: &str) -> Get {
    Get { api: Api::Verify, path: format!("/v2/Services/{sid}/{tail}?PageSize=100"), paging: Paging::Next }
}

/// The entries of a list under this key of a reply. Each has a text at all JSON pointers in `by`, by which it can be
/// found.
///
/// # Errors
/// There is no such list, or an entry lacks one of the texts. A reply without the list does not count as an empty list.
pub fn items<'a>(reply: &'a Json, key: &str, by: &[&str]) -> Result<&'a [Json], Failed> {
    entries_with(reply.get(key), by, &format!("the list of {key}"))
}

/// A path below the service that a step works on. `tail` is the rest of the path.
///
/// # Errors
/// The service does not exist.
pub fn path(run: &Run<'_>, tail: &str) -> Result<String, Failed> {
    match service_sid(run).as_str() {
        "" => Err(Failed::NotDone("the Verify service is not there".into())),
        sid => Ok(format!("/v2/Services/{sid}/{tail}")),
    }
}

/// The text of a value, to be sent. A secret is exposed, because a value from a file counts as a secret in every field.
pub fn text_to_send(value: &Value) -> Option<String> {
    match value {
        Value::Secret(secret) => Some(secret.expose().to_owned()),
        other => other.as_str().map(str::to_owned),
    }
}

/// The SID of the service that a step works on; empty if there is no service.
pub fn service_sid(run: &Run<'_>) -> String {
    let own = run.seen.ids.get("service_sid");
    let service = run.ids.get(NAME).and_then(|ids| ids.get("sid"));
    own.or(service).filter(|sid| !sid.is_empty()).cloned().unwrap_or_default()
}

/// Sends one write below the service.
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
    writer.send(Write { api: Api::Verify, method, path, body, repeat }).await
}

//! What hangs on the Verify service (rate limits, messaging configurations) has this in common: the service's SID has
//! to be known before anything can be read, and refusals carry codes of their own.

use std::rc::Rc;

use serde_json::Value as Json;

use super::{Hint, Kind, Run, Seen, verify_service};
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::manifest::Manifest;
use crate::model::value::Value;
use crate::port::{Answered, Reader, Writer};

/// A list below a service; `tail` is the rest of the path.
pub fn list(sid: &str, tail: &str) -> Get {
    Get { api: Api::Verify, path: format!("/v2/Services/{sid}/{tail}?PageSize=100"), paging: Paging::Next }
}

/// The list that can be read in the first trip: that of a pinned service.
pub fn prefetch(manifest: &Manifest, tail: &str) -> Vec<Get> {
    verify_service::pinned(manifest).map(|sid| list(sid, tail)).into_iter().collect()
}

/// The service's SID as far as no read is needed: pinned, or recorded. What is only taken away is where the record
/// says.
pub fn known_sid<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    let own = hint.entry.and_then(|entry| entry.ids.get("service_sid"));
    let service = hint.record.and_then(|record| record.get("verify_service"));
    let believed = service.filter(|entry| !entry.unproven || hint.want.is_none());
    let recorded = believed.and_then(|entry| entry.ids.get("sid"));
    let sid = match hint.want {
        Some(_) => verify_service::pinned(hint.manifest).or(recorded.or(own).map(String::as_str)),
        None => own.or(recorded).map(String::as_str),
    };
    sid.filter(|sid| !sid.is_empty())
}

/// Reads a list below the service, with the service's SID. `None`: there is no service, so nothing is below it.
pub async fn read(
    hint: &Hint<'_>,
    tail: &str,
    reader: &Reader,
) -> Result<Option<(String, Rc<Json>)>, Failed> {
    if let Some(sid) = known_sid(hint) {
        match reader.get(&list(sid, tail)).await {
            Ok(reply) => return Ok(Some((sid.to_owned(), reply))),
            Err(failed) if failed.status() == Some(404) => {}
            Err(failed) => return Err(failed),
        }
    }
    if hint.want.is_none() {
        return Ok(None);
    }
    // A run that was killed may have made the service; how that is found is the service's own affair. Its reads are
    // shared with it, so this costs nothing.
    let wanted = verify_service::VerifyService.declare(hint.manifest);
    let entry = hint.record.and_then(|record| record.get(verify_service::NAME));
    let service = Hint { address: verify_service::NAME, want: wanted.first(), entry, ..*hint };
    let Seen { ids, .. } = verify_service::find(&service, reader).await?;
    let Some(sid) = ids.get("sid").filter(|sid| !sid.is_empty() && Some(sid.as_str()) != known_sid(hint))
    else {
        return Ok(None);
    };
    Ok(Some((sid.clone(), reader.get(&list(sid, tail)).await?)))
}

/// The entries of a list, each with what it is found by. A reply without them is no empty list.
pub fn items<'a>(reply: &'a Json, key: &str, by: &[&str]) -> Result<&'a [Json], Failed> {
    super::entries(reply.get(key), by, &format!("the list of {key}"))
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
    let service = run.ids.get(verify_service::NAME).and_then(|ids| ids.get("sid"));
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

//! Lists below a Verify service. Their paths contain the SID of the service, so the SID has to be found before anything
//! can be read.

use std::rc::Rc;

use serde_json::Value as Json;

use super::verify_service;
use crate::kinds::remote::verify_below::list_below;
use crate::kinds::said::verify_service::{NAME, pinned, wanted_service};
use crate::kinds::{Hint, Seen};
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::manifest::Manifest;
use crate::port::Reader;

/// The list, if it can be read in the first round of requests. Only the SID of a pinned service is known by then.
pub fn prefetch(manifest: &Manifest, tail: &str) -> Vec<Get> {
    pinned(manifest).map(|sid| list_below(sid, tail)).into_iter().collect()
}

/// The SID of the service, if it is known without a read: pinned, or recorded. A resource that is only removed is
/// removed from the service that the record names.
pub fn known_sid<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    let own = hint.entry.and_then(|entry| entry.ids.get("service_sid"));
    let service = hint.record.and_then(|record| record.get("verify_service"));
    let believed = service.filter(|entry| !entry.unproven || hint.want.is_none());
    let recorded = believed.and_then(|entry| entry.ids.get("sid"));
    let sid = match hint.want {
        Some(_) => pinned(hint.manifest).or(recorded.or(own).map(String::as_str)),
        None => own.or(recorded).map(String::as_str),
    };
    sid.filter(|sid| !sid.is_empty())
}

/// Reads a list below the service, and returns it with the SID of the service. `None`: there is no service, so nothing
/// is below it.
pub async fn read_below(
    hint: &Hint<'_>,
    tail: &str,
    reader: &Reader,
) -> Result<Option<(String, Rc<Json>)>, Failed> {
    if let Some(sid) = known_sid(hint) {
        match reader.get(&list_below(sid, tail)).await {
            Ok(reply) => return Ok(Some((sid.to_owned(), reply))),
            Err(failed) if failed.status() == Some(404) => {}
            Err(failed) => return Err(failed),
        }
    }
    if hint.want.is_none() {
        return Ok(None);
    }
    // A run that was killed may have created the service, and the search for the service finds that one. The
    // observation of the service sends the same reads, so they cost no extra request.
    let wanted = wanted_service(hint.manifest);
    let entry = hint.record.and_then(|record| record.get(NAME));
    let address = Address::of(NAME);
    let service = Hint { address: &address, want: wanted.as_ref(), entry, ..*hint };
    let Seen { ids, .. } = verify_service::find(&service, reader).await?;
    let Some(sid) = ids.get("sid").filter(|sid| !sid.is_empty() && Some(sid.as_str()) != known_sid(hint))
    else {
        return Ok(None);
    };
    Ok(Some((sid.clone(), reader.get(&list_below(sid, tail)).await?)))
}

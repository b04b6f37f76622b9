//! The reads of Twilio Serverless v1, and the check that a reply is an object or a list of it.

use serde_json::Value as Json;

use crate::kinds::{has_good_ids, text};
use crate::model::call::{Api, Failed, Get, Paging};

/// The read of a service, by its SID or its unique name.
pub fn read_service(key: &str) -> Get {
    Get::whole(Api::Serverless, format!("/v1/Services/{key}"))
}

/// The read of all services of the account.
pub fn list_services() -> Get {
    Get { api: Api::Serverless, path: "/v1/Services?PageSize=100".into(), paging: Paging::Next }
}

/// Packages that Twilio puts into a build by itself ("Twilio docs, Functions dependencies", 2026-08).
pub const ADDED_BY_TWILIO: [&str; 6] =
    ["twilio", "@twilio/runtime-handler", "fs", "lodash", "util", "xmldom"];

/// The read of a list below a service. `what` is the rest of the path, such as `Functions` or
/// `Environments/{sid}/Variables`.
pub fn list_in_service(service: &str, what: &str) -> Get {
    let path = format!("/v1/Services/{service}/{what}?PageSize=100");
    Get { api: Api::Serverless, path, paging: Paging::Next }
}

/// The read of an object below a service. `what` is the rest of the path.
pub fn read_in_service(service: &str, what: &str) -> Get {
    Get::whole(Api::Serverless, format!("/v1/Services/{service}/{what}"))
}

/// The entries of a list under this key of a reply.
///
/// # Errors
/// There is no such list, or an entry has no SID or a wrong one.
pub fn entries_with_sids<'a>(reply: &'a Json, key: &str) -> Result<&'a [Json], Failed> {
    let list = reply.get(key).and_then(Json::as_array);
    let list = list.filter(|list| list.iter().all(|entry| !text(entry, "sid").is_empty()));
    let list = list.ok_or_else(|| Failed::Misread(format!("Serverless: no list of {key}")))?;
    list.iter().try_for_each(|entry| has_good_ids(entry, "Serverless"))?;
    Ok(list)
}

/// A reply that is an object.
///
/// # Errors
/// The object has no SID or a wrong one.
pub fn object_with_sid(reply: &Json) -> Result<&Json, Failed> {
    if text(reply, "sid").is_empty() {
        return Err(Failed::Misread("Serverless: an object without a SID".into()));
    }
    has_good_ids(reply, "Serverless")?;
    Ok(reply)
}

/// Whether a build is deployed in the environment.
pub fn serves(environment: &Json) -> bool {
    !text(environment, "build_sid").is_empty()
}

/// The read of an environment, for [`serves`].
pub fn read_environment(service: &str, environment: &str) -> Get {
    read_in_service(service, &format!("Environments/{environment}"))
}

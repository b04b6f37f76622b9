//! Serverless v1: how its objects are read, and what makes a reply one of them.

use serde_json::Value as Json;

use crate::kinds::{has_good_ids, text};
use crate::model::call::{Api, Failed, Get, Paging};

/// A service, by SID or unique name.
pub fn service(key: &str) -> Get {
    Get::whole(Api::Serverless, format!("/v1/Services/{key}"))
}

/// A list below a service; `what` is `Functions`, `Environments/{sid}/Variables` and the like.
pub fn list(service: &str, what: &str) -> Get {
    let path = format!("/v1/Services/{service}/{what}?PageSize=100");
    Get { api: Api::Serverless, path, paging: Paging::Next }
}

/// An object below a service.
pub fn one(service: &str, what: &str) -> Get {
    Get::whole(Api::Serverless, format!("/v1/Services/{service}/{what}"))
}

/// The entries of a list reply. One without a SID is no entry of these lists.
pub fn entries<'a>(reply: &'a Json, key: &str) -> Result<&'a [Json], Failed> {
    let list = reply.get(key).and_then(Json::as_array);
    let list = list.filter(|list| list.iter().all(|entry| !text(entry, "sid").is_empty()));
    let list = list.ok_or_else(|| Failed::Misread(format!("Serverless: no list of {key}")))?;
    list.iter().try_for_each(|entry| has_good_ids(entry, "Serverless"))?;
    Ok(list)
}

/// An object with a SID.
pub fn whole(reply: &Json) -> Result<&Json, Failed> {
    if text(reply, "sid").is_empty() {
        return Err(Failed::Misread("Serverless: an object without a SID".into()));
    }
    has_good_ids(reply, "Serverless")?;
    Ok(reply)
}

/// Whether something is deployed in the environment.
pub fn serves(environment: &Json) -> bool {
    !text(environment, "build_sid").is_empty()
}

/// The read that answers [`serves`].
pub fn serving(service: &str, environment: &str) -> Get {
    one(service, &format!("Environments/{environment}"))
}

//! Protection of the tenant's phone provider: whether repeated sends to one number are slowed down.

use serde_json::json;

use super::row::{SETTING, Setting, plain_value, switch};
use crate::kinds::remote::read::{Read, Shape};
use crate::model::api::Method;
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

const PATH: &str = "/api/v2/attack-protection/phone-provider-protection";

/// Whether repeated sends to one number have to wait longer each time. The field in the manifest is `phone.protection`.
pub static PHONE_PROTECTION: Setting = Setting {
    name: "phone_provider_protection",
    declare: |manifest| {
        let word = manifest.get("phone", "protection").cloned();
        let name = "phone_provider_protection";
        word.map(|word| switch(name, "type", word)).into_iter().collect()
    },
    read: &Read { path: PATH, shape: Shape::Sparse, expects: &["type"], may_be_empty: true },
    parse: |_, reply| {
        let word = reply["type"].as_str();
        let word = word.map_or_else(|| Value::Unknown("type".into()), Value::text);
        Attrs::from([("type".to_owned(), word)])
    },
    // The API's description lists a 404 ("Auth0 Management API types", phone provider protection, 2026-08).
    unset: Some(|| Attrs::from([("type".to_owned(), Value::text("default"))])),
    unset_is_404: true,
    write: |_, attrs| (Method::Patch, PATH.into(), json!({ "type": plain_value(attrs, "type") })),
    weigh: |_, from, to| {
        let danger = match (plain_value(from, "type").as_str(), plain_value(to, "type").as_str()) {
            (_, Some("exponential")) => {
                "a user who asks for several codes in a row waits longer for each, and some are not sent"
            }
            (Some("exponential"), _) => {
                "sends to one number are no longer slowed down, which is what holds back SMS fraud"
            }
            _ => return (Stage::Tenant, None),
        };
        (Stage::Tenant, Some(danger.into()))
    },
    scopes: &["update:attack_protection"],
    ..SETTING
};

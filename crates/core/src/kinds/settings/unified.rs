//! The tenant's unified phone experience.

use serde_json::{Value as Json, json};

use super::{Before, SETTING, Setting, Shape, known, one};
use crate::kinds::Seen;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::plan::{Level, Stage};
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

/// The tenant's unified phone experience: when it is off, MFA does not use the tenant's phone provider.
pub static UNIFIED_PHONE: Setting = Setting {
    name: "unified_phone",
    declare: |manifest| match manifest.text("phone", "delivery") {
        Some(delivery) => {
            let enabled = Value::Known(json!(delivery == "unified"));
            vec![one("unified_phone", "unified_phone", "enabled", enabled)]
        }
        None => Vec::new(),
    },
    read: "/api/v2/tenants/settings",
    shape: Shape::Sparse,
    expects: super::TENANT_KEYS,
    parse: |_, reply| match reply.get("phone_consolidated_experience").and_then(Json::as_bool) {
        Some(enabled) => Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))]),
        None => Attrs::from([("enabled".to_owned(), Value::Unknown("phone_consolidated_experience".into()))]),
    },
    write: |_, attrs| {
        let body = json!({ "phone_consolidated_experience": known(attrs, "enabled") });
        (Method::Patch, "/api/v2/tenants/settings".into(), body)
    },
    fact: Some(("enabled", |_, on| Fact::Unified(on.as_bool()))),
    weigh: |_, _, _| {
        let danger = "the tenant leaves the legacy phone set-up for good: Actions on send-phone-message and the legacy \
                      provider are no longer used for MFA";
        (Stage::Tenant, Some(danger.into()))
    },
    scopes: &["update:tenant_settings"],
    before: Before::ProviderDelivers,
    way_back: false,
    ..SETTING
};

/// The flag is absent on some tenants and says nothing then: legacy calls that are refused say that it is on.
pub(super) async fn by_probe(seen: &mut Seen, address: &str, reader: &Reader) -> Result<(), Failed> {
    match probed(reader).await {
        Ok(enabled) => {
            seen.attrs.insert("enabled".into(), Value::Known(json!(enabled)));
        }
        Err(failed @ Failed::Refused(_)) => seen.finding(
            address,
            Level::Note,
            format!("the unified phone flag is absent, and the probe was refused: {failed}"),
            "grant read:guardian_factors, or check Settings, Advanced in the Auth0 dashboard",
        ),
        Err(failed) => return Err(failed),
    }
    Ok(())
}

pub(super) async fn probed(reader: &Reader) -> Result<bool, Failed> {
    match reader.get(&super::SELECTED_PROVIDER.get()).await {
        Ok(_) => Ok(false),
        Err(failed) if super::legacy::is_locked(&failed, reader).await? => Ok(true),
        Err(failed) => Err(failed),
    }
}

/// Whether the tenant has the unified phone experience on now.
pub(super) async fn is_on(reader: &Reader) -> Result<bool, Failed> {
    let reply = reader.get(&UNIFIED_PHONE.get()).await?;
    let values = UNIFIED_PHONE.values(UNIFIED_PHONE.name, &reply)?;
    match values.get("enabled").and_then(Value::known).and_then(Json::as_bool) {
        Some(enabled) => Ok(enabled),
        None => probed(reader).await,
    }
}

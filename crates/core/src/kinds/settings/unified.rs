//! The tenant's unified phone experience.

use serde_json::json;

use super::row::{Probe, SETTING, Setting, plain_value, switch};
use crate::kinds::looks::{switches, unified};
use crate::kinds::remote::tenant;
use crate::kinds::said::{passwordless, phone};
use crate::model::api::Method;
use crate::model::facts::Fact;
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

/// The tenant's unified phone experience: when it is off, MFA does not use the tenant's phone provider.
pub static UNIFIED_PHONE: Setting = Setting {
    name: phone::UNIFIED,
    declare: |manifest| match manifest.text("phone", "delivery") {
        Some(delivery) => {
            let enabled = Value::Known(json!(delivery == "unified"));
            vec![switch(phone::UNIFIED, "enabled", enabled)]
        }
        None => Vec::new(),
    },
    read: &tenant::SETTINGS,
    parse: |_, reply| match tenant::unified(reply) {
        Some(enabled) => Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))]),
        None => Attrs::from([("enabled".to_owned(), Value::Unknown("phone_consolidated_experience".into()))]),
    },
    write: |_, attrs| {
        let body = json!({ "phone_consolidated_experience": plain_value(attrs, "enabled") });
        (Method::Patch, tenant::SETTINGS.path.into(), body)
    },
    fact: Some(("enabled", |_, on| Fact::Unified(on.as_bool()))),
    weigh: |_, _, _| {
        let danger = "the tenant leaves the legacy phone set-up for good: Actions on send-phone-message and the legacy \
                      provider are no longer used for MFA";
        (Stage::Tenant, Some(danger.into()))
    },
    scopes: &["update:tenant_settings"],
    // Some tenants do not show the flag. There, the refusal of legacy calls shows that the experience is on.
    probe: Some(Probe {
        ask: |reader| Box::pin(unified::probed(reader)),
        refused: |failed| {
            let text = format!("the unified phone flag is absent, and the probe was refused: {failed}");
            (text, "grant read:guardian_factors, or check Settings, Advanced in the Auth0 dashboard")
        },
    }),
    adjust: |diff, step| {
        if passwordless::leaves_out(diff.manifest) {
            let danger = step.danger.take().unwrap_or_default();
            step.danger = Some(format!("{danger}; {}", passwordless::WITHOUT));
        }
    },
    before: switches::unified,
    way_back: false,
    ..SETTING
};

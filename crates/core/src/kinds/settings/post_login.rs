//! The tenant's switch that lets a post-login Action ask for factors.
//!
//! While the switch is off, a login fails if its Action asks for a factor. While the switch is on, the policy `always`
//! no longer asks by itself ("Auth0 docs, customize MFA selection", 2026-08). So the switch goes on right before the
//! rules take effect, and off right after they end.

use serde_json::{Value as Json, json};

use super::row::{SETTING, Setting, plain_value, switch};
use crate::kinds::remote::tenant;
use crate::model::api::Method;
use crate::model::facts::Fact;
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

/// The switch. The stack wants it on exactly while the manifest has rules for logins.
pub static POST_LOGIN_FACTORS: Setting = Setting {
    name: "mfa_post_login_setting",
    declare: |manifest| match manifest.section("mfa.post_login") {
        Some(_) => {
            vec![switch("mfa_post_login_setting", "enabled", Value::Known(json!(true)))]
        }
        None => Vec::new(),
    },
    read: &tenant::SETTINGS,
    // The field is absent on a tenant that never had the switch on.
    parse: |_, reply| {
        let enabled = reply.get("customize_mfa_in_postlogin_action").and_then(Json::as_bool).unwrap_or(false);
        Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))])
    },
    write: |_, attrs| {
        let body = json!({ "customize_mfa_in_postlogin_action": plain_value(attrs, "enabled") });
        (Method::Patch, tenant::SETTINGS.path.into(), body)
    },
    fact: Some(("enabled", |_, on| Fact::Customize(on.as_bool()))),
    weigh: |_, _, to| {
        if plain_value(to, "enabled") == json!(true) {
            let danger = "Actions decide which factor a login is asked for: the policy `always` no longer asks by \
                          itself, and what other post-login Actions ask for begins to count";
            return (Stage::DeployRules, Some(danger.into()));
        }
        let danger = "only the policy decides which login is asked for a factor: `always` asks everywhere again, and \
                      other post-login Actions that ask for factors fail";
        (Stage::HandBack, Some(danger.into()))
    },
    scopes: &["update:tenant_settings"],
    ..SETTING
};

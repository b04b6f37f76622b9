//! The settings of which a tenant has one each: how a judge takes those of ours out of a world, and whether a destroy
//! has to put them back.

use lockstep::twin::Tenant;
use serde_json::{Value as Json, json};

use super::manifests::Claims;

/// A setting that a manifest can claim.
pub struct Setting {
    pub kind: &'static str,
    /// As a failing story names it.
    pub name: &'static str,
    pub claimed: fn(&Claims) -> bool,
    pub value: fn(&Tenant) -> Json,
    pub clear: fn(&mut Tenant),
    /// Why its value after a destroy may differ from the one before the first apply. `None`: it has to be the same.
    pub may_stay: Option<&'static str>,
}

const fn row(
    kind: &'static str,
    name: &'static str,
    claimed: fn(&Claims) -> bool,
    value: fn(&Tenant) -> Json,
    clear: fn(&mut Tenant),
) -> Setting {
    Setting { kind, name, claimed, value, clear, may_stay: None }
}

const fn may_stay(why: &'static str, setting: Setting) -> Setting {
    Setting { may_stay: Some(why), ..setting }
}

const FLAG: &str = "phone_consolidated_experience";
const CUSTOMIZE: &str = "customize_mfa_in_postlogin_action";

pub const SETTINGS: &[Setting] = &[
    row(
        "mfa_policy",
        "policy",
        |claims| claims.policy,
        |tenant| json!(tenant.policies),
        |tenant| tenant.policies.clear(),
    ),
    may_stay(
        "a tenant may refuse another list while its phone factor is off",
        row(
            "phone_message_types",
            "phone.channels",
            |claims| claims.types,
            // Once set, the list can be emptied and not taken away.
            |tenant| json!(tenant.message_types.clone().unwrap_or_default()),
            |tenant| tenant.message_types = None,
        ),
    ),
    may_stay(
        "a destroy does not switch a tenant back to the legacy set-up",
        row(
            "unified_phone",
            "phone.delivery",
            |claims| claims.flag,
            |tenant| json!(tenant.settings.get(FLAG)),
            |tenant| drop(tenant.settings.remove(FLAG)),
        ),
    ),
    may_stay(
        "a tenant that stays unified refuses the calls of the legacy set-up",
        row(
            "phone_selected_provider",
            "the selected provider",
            |claims| claims.legacy,
            |tenant| json!(tenant.legacy_phone.selected_provider),
            |tenant| tenant.legacy_phone.selected_provider.clear(),
        ),
    ),
    may_stay(
        "a tenant that stays unified refuses the calls of the legacy set-up",
        row(
            "phone_legacy_templates",
            "phone.legacy_templates",
            |claims| claims.templates,
            |tenant| {
                json!([tenant.legacy_phone.enrollment_message, tenant.legacy_phone.verification_message])
            },
            |tenant| {
                tenant.legacy_phone.enrollment_message.clear();
                tenant.legacy_phone.verification_message.clear();
            },
        ),
    ),
    row(
        "mfa_post_login_setting",
        "mfa.post_login",
        |claims| claims.customize,
        |tenant| json!(tenant.settings.get(CUSTOMIZE)),
        |tenant| drop(tenant.settings.remove(CUSTOMIZE)),
    ),
    row(
        "phone_provider_protection",
        "phone.protection",
        |claims| claims.protection,
        |tenant| json!(tenant.phone_provider_protection),
        |tenant| tenant.phone_provider_protection.clear(),
    ),
    row(
        "universal_login",
        "universal_login.experience",
        |claims| claims.login.contains(&"universal_login_experience"),
        |tenant| json!(tenant.prompts.universal_login_experience),
        |tenant| tenant.prompts.universal_login_experience.clear(),
    ),
    row(
        "universal_login",
        "universal_login.identifier_first",
        |claims| claims.login.contains(&"identifier_first"),
        |tenant| json!(tenant.prompts.identifier_first),
        |tenant| tenant.prompts.identifier_first = None,
    ),
    row(
        "universal_login",
        "universal_login.webauthn_platform_first_factor",
        |claims| claims.login.contains(&"webauthn_platform_first_factor"),
        |tenant| json!(tenant.prompts.webauthn_platform_first_factor),
        |tenant| tenant.prompts.webauthn_platform_first_factor = None,
    ),
    may_stay(
        "a provider of others that was taken over cannot get its credentials back",
        row(
            "phone_provider",
            "phone",
            |claims| claims.provider,
            |tenant| json!(tenant.phone_providers),
            |tenant| tenant.phone_providers.clear(),
        ),
    ),
];

/// Kinds of which a tenant or an account may have many objects. What a destroy leaves of them is judged by what was
/// made, see `end.rs`; what it puts back of others is judged where a row says so.
#[cfg(test)]
pub const OBJECTS: &[&str] = &[
    "twilio_key",
    "verify_service",
    "verify_rate_limit",
    "verify_messaging_configuration",
    "action",
    "trigger_binding",
    "legacy_action",
    "legacy_binding",
    "mfa_post_login",
    "mfa_post_login_binding",
    "feedback_action",
    "feedback_action_binding",
    "mfa_factor",
    "branding",
    "phone_template",
    "feedback_function",
    "log_stream",
    "sample_client",
    "attest",
];

//! Tenant settings and phone provider protection.

use lockstep_wire::Method;
use serde_json::{Value, json};

use super::super::wire::{Outcome, Reply};
use super::body::{Fields, invalid, wrong_type};
use super::{Call, Route, never_set, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/tenants/settings",
        operation: "get_tenant_settings",
        scopes: &["read:tenant_settings"],
        query: &["fields", "include_fields"],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/tenants/settings",
        operation: "update_tenant_settings",
        scopes: &["update:tenant_settings"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Get,
        pattern: "/attack-protection/phone-provider-protection",
        operation: "get_phone_provider_protection",
        scopes: &["read:attack_protection"],
        query: &[],
        run: get_protection,
    },
    Route {
        method: Method::Patch,
        pattern: "/attack-protection/phone-provider-protection",
        operation: "update_phone_provider_protection",
        scopes: &["update:attack_protection"],
        query: &[],
        run: update_protection,
    },
];

const BOOLEAN: &[&str] = &[
    "allow_organization_name_in_authentication_api",
    "customize_mfa_in_postlogin_action",
    "pushed_authorization_requests_supported",
    "skip_non_verifiable_callback_uri_confirmation_prompt",
    "phone_consolidated_experience",
    "client_id_metadata_document_supported",
    "authorization_response_iss_parameter_supported",
    "enable_ai_guide",
];
const TEXT: &[&str] = &[
    "default_audience",
    "default_directory",
    "default_redirection_uri",
    "friendly_name",
    "picture_url",
    "support_email",
    "support_url",
    "sandbox_version",
    "legacy_sandbox_version",
    "resource_parameter_profile",
    "dynamic_client_registration_security_mode",
];
const NUMBER: &[&str] = &[
    "session_lifetime",
    "idle_session_lifetime",
    "ephemeral_session_lifetime",
    "idle_ephemeral_session_lifetime",
];
const LIST: &[&str] = &["allowed_logout_urls", "enabled_locales", "acr_values_supported"];
const OBJECT: &[&str] = &[
    "change_password",
    "device_flow",
    "guardian_mfa_page",
    "error_page",
    "flags",
    "session_cookie",
    "sessions",
    "oidc_logout",
    "universal_login",
    "mtls",
    "default_token_quota",
    "country_codes",
];
/// Session lifetimes in minutes. They read back as hours, under the older names (recorded).
const MINUTES: &[&str] = &["session_lifetime_in_minutes", "idle_session_lifetime_in_minutes"];
/// Settings that null removes.
const NULLABLE: &[&str] = &[
    "acr_values_supported",
    "change_password",
    "device_flow",
    "guardian_mfa_page",
    "error_page",
    "session_cookie",
    "sessions",
    "oidc_logout",
    "universal_login",
    "mtls",
    "default_token_quota",
    "country_codes",
    "skip_non_verifiable_callback_uri_confirmation_prompt",
];
/// Objects whose omitted keys stay unchanged.
const MERGED: &[&str] = &["flags", "change_password", "guardian_mfa_page"];

/// All settings, or those that `fields` names, or with `include_fields=false` all others.
fn get(call: &mut Call) -> Outcome {
    let mut settings = call.tenant.settings.clone();
    for (key, value) in &call.tenant.settings_in_reads {
        settings.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Ok(Reply::json(200, &Value::Object(call.fields(settings)?)))
}

/// Applies the sent settings and answers all settings. A null, and an empty redirection address, remove a setting. Some
/// objects merge key by key, others are replaced (all recorded).
fn update(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let known: Vec<&str> = [BOOLEAN, TEXT, NUMBER, LIST, OBJECT, MINUTES].concat();
    let fields = Fields::strict(&body, "", &known)?;
    for (key, value) in fields.map() {
        let name = key.as_str();
        let fits = (NULLABLE.contains(&name) && value.is_null())
            || (BOOLEAN.contains(&name) && value.is_boolean())
            || (TEXT.contains(&name) && value.is_string())
            || ((NUMBER.contains(&name) || MINUTES.contains(&name)) && value.is_number())
            || (LIST.contains(&name) && value.is_array())
            || (OBJECT.contains(&name) && value.is_object());
        if !fits {
            let wanted = match name {
                name if BOOLEAN.contains(&name) => "boolean",
                name if TEXT.contains(&name) => "string",
                name if NUMBER.contains(&name) || MINUTES.contains(&name) => "number",
                name if LIST.contains(&name) => "array",
                _ => "object",
            };
            return Err(wrong_type(wanted, value, name));
        }
    }
    let flags = fields.value("flags").and_then(Value::as_object);
    if let Some((name, value)) = flags.and_then(|flags| flags.iter().find(|(_, value)| !value.is_boolean())) {
        return Err(wrong_type("boolean", value, &format!("flags.{name}")));
    }
    let tenant = &mut *call.tenant;
    for (key, value) in fields.map() {
        tenant.settings_in_reads.shift_remove(key);
        match (key.as_str(), tenant.settings.get_mut(key), value) {
            (_, _, Value::Null) => {
                tenant.settings.shift_remove(key);
            }
            ("default_redirection_uri", _, value) if value == "" => {
                tenant.settings.shift_remove(key);
            }
            (name, Some(Value::Object(old)), Value::Object(new)) if MERGED.contains(&name) => {
                old.extend(new.clone());
            }
            (name, _, value) if MINUTES.contains(&name) => {
                let hours = match value.as_u64() {
                    Some(minutes) if minutes % 60 == 0 => json!(minutes / 60),
                    _ => json!(value.as_f64().unwrap_or_default() / 60.0),
                };
                tenant.settings.insert(name.trim_end_matches("_in_minutes").to_owned(), hours);
            }
            (_, _, value) => {
                tenant.settings.insert(key.clone(), value.clone());
            }
        }
    }
    let mut shown = tenant.settings.clone();
    for (key, value) in &tenant.settings_in_writes {
        match (shown.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(more)) => old.extend(more.clone()),
            (Some(_), _) => {}
            (None, value) => {
                shown.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(Reply::json(200, &Value::Object(shown)))
}

fn get_protection(call: &mut Call) -> Outcome {
    let kind = &call.tenant.phone_provider_protection;
    if call.options.default_protection_is_404 && kind == "default" {
        return Err(refusal(404, None, "Phone provider protection is not configured."));
    }
    let never_set = never_set(call).filter(|_| kind == "default");
    Ok(never_set.unwrap_or_else(|| Reply::json(200, &json!({ "type": kind }))))
}

fn update_protection(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["type"])?;
    let Some(kind) = fields.choice("type", &["default", "exponential"])? else {
        return Err(invalid("Missing required property: type"));
    };
    kind.clone_into(&mut call.tenant.phone_provider_protection);
    Ok(Reply::json(200, &json!({ "type": kind })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bench::{Bench, DOMAIN, keys};

    #[test]
    fn settings_take_known_keys_and_merge_flags() {
        let mut bench = Bench::new();
        let path = "/tenants/settings";
        let (status, all) =
            bench.patch(path, &json!({"friendly_name": "Acme", "flags": {"enable_sso": false}}));
        assert_eq!(status, 200);
        assert_eq!((&all["friendly_name"], &all["flags"]["enable_sso"]), (&json!("Acme"), &json!(false)));
        assert_eq!(all["flags"]["universal_login"], true);
        for bad in [
            json!({"colour": "red"}),
            json!({"phone_consolidated_experience": "yes"}),
            json!({"session_lifetime": "168"}),
            json!({"flags": {"enable_sso": 1}}),
            json!({"sandbox_versions_available": ["22"]}),
        ] {
            assert_eq!(bench.patch(path, &bad).0, 400, "{bad}");
        }
        let (_, some) = bench.get("/tenants/settings?fields=friendly_name,phone_consolidated_experience");
        assert_eq!(keys(&some), ["phone_consolidated_experience", "friendly_name"]);
    }

    #[test]
    fn reads_and_writes_show_different_keys() {
        let mut bench = Bench::new();
        let path = "/tenants/settings";
        let only_in_writes = "enforce_client_authentication_on_passwordless_start";
        let (_, read) = bench.get(path);
        let (_, written) = bench.patch(path, &json!({"friendly_name": "Acme"}));
        assert!(
            read["flags"].get(only_in_writes).is_none() && read.get("sandbox_versions_available").is_some()
        );
        assert!(written["flags"].get(only_in_writes).is_some());
        assert!(written.get("sandbox_versions_available").is_none());
        assert!(bench.get(path).1["flags"].get(only_in_writes).is_none());
    }

    #[test]
    fn null_removes_pages_merge_and_minutes_read_back_as_hours() {
        let mut bench = Bench::new();
        let path = "/tenants/settings";
        let page = json!({"change_password": {"enabled": true, "html": "<html/>"}, "error_page": {"html": "e"},
            "default_redirection_uri": "https://x.example/", "session_lifetime_in_minutes": 181,
            "idle_session_lifetime_in_minutes": 60, "acr_values_supported": ["a"]});
        let (status, written) = bench.patch(path, &page);
        assert_eq!(status, 200, "{written}");
        assert_eq!(written["idle_session_lifetime"], 1);
        assert!((written["session_lifetime"].as_f64().unwrap_or_default() - 181.0 / 60.0).abs() < 1e-9);
        let (_, written) = bench.patch(
            path,
            &json!({"change_password": {"enabled": false}, "error_page": null, "default_redirection_uri": "",
                "mtls": null, "country_codes": null, "acr_values_supported": null}),
        );
        assert_eq!(written["change_password"], json!({"enabled": false, "html": "<html/>"}));
        for gone in
            ["error_page", "default_redirection_uri", "session_lifetime_in_minutes", "acr_values_supported"]
        {
            assert!(written.get(gone).is_none(), "{gone}");
        }
        assert_eq!(bench.patch(path, &json!({"flags": null})).0, 400);
        assert_eq!(bench.patch(path, &json!({"friendly_name": null})).0, 400);
    }

    #[test]
    fn the_flag_turns_legacy_calls_on_and_off() {
        let mut bench = Bench::new();
        let legacy = "/guardian/factors/phone/selected-provider";
        assert_eq!(bench.get(legacy).0, 403);
        bench.patch("/tenants/settings", &json!({"phone_consolidated_experience": false}));
        assert_eq!(bench.get(legacy).0, 200);
        assert!(!bench.twin.world.tenant_mut(DOMAIN).unified());
    }

    #[test]
    fn protection_is_one_word() {
        let mut bench = Bench::new();
        let path = "/attack-protection/phone-provider-protection";
        assert_eq!(bench.get(path), (200, json!({"type": "default"})));
        assert_eq!(bench.patch(path, &json!({"type": "exponential"})), (200, json!({"type": "exponential"})));
        bench.twin.options.default_protection_is_404 = true;
        assert_eq!(bench.get(path).0, 200);
        bench.patch(path, &json!({"type": "default"}));
        assert_eq!(bench.get(path).0, 404);
        assert_eq!(bench.patch(path, &json!({"type": "off"})).0, 400);
        assert_eq!(bench.patch(path, &json!({})).0, 400);
    }
}

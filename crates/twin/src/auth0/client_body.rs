//! The body of an application: what may be sent, its defaults at creation, and how a change is applied.

use serde_json::{Map, Value, json};

use super::super::wire::Reply;
use super::Call;
use super::body::{Fields, invalid, wrong_type};

/// Keys that may be sent (published schema, 2026-07). Most values are stored and shown unchecked.
const KEYS: &[&str] = &[
    "name",
    "description",
    "logo_uri",
    "app_type",
    "client_secret",
    "callbacks",
    "client_aliases",
    "allowed_clients",
    "allowed_logout_urls",
    "web_origins",
    "allowed_origins",
    "grant_types",
    "token_endpoint_auth_method",
    "is_token_endpoint_ip_header_trusted",
    "oidc_conformant",
    "oidc_logout",
    "oidc_backchannel_logout",
    "jwt_configuration",
    "encryption_key",
    "refresh_token",
    "client_metadata",
    "initiate_login_uri",
    "is_first_party",
    "cross_origin_authentication",
    "cross_origin_loc",
    "sso",
    "sso_disabled",
    "custom_login_page",
    "custom_login_page_on",
    "custom_login_page_preview",
    "form_template",
    "addons",
    "mobile",
    "native_social_login",
    "fedcm_login",
    "session_transfer",
    "default_organization",
    "organization_usage",
    "organization_require_behavior",
    "organization_discovery_methods",
    "client_authentication_methods",
    "require_pushed_authorization_requests",
    "require_proof_of_possession",
    "signed_request_object",
    "compliance_level",
    "skip_non_verifiable_callback_uri_confirmation_prompt",
    "token_exchange",
    "par_request_expiry",
    "token_quota",
    "express_configuration",
    "my_organization_configuration",
    "third_party_security_mode",
    "redirection_policy",
    "resource_server_identifier",
    "async_approval_notification_channels",
    "identity_assertion_authorization_grant",
    "token_vault_privileged_access",
];

const APP_TYPES: &[&str] = &[
    "native",
    "spa",
    "regular_web",
    "non_interactive",
    "resource_server",
    "express_configuration",
    "sso_integration",
    "rms",
    "box",
    "cloudbees",
    "concur",
    "dropbox",
    "mscrm",
    "echosign",
    "egnyte",
    "newrelic",
    "office365",
    "salesforce",
    "sentry",
    "sharepoint",
    "slack",
    "springcm",
    "zendesk",
    "zoom",
];

/// Objects in which a PATCH keeps omitted keys and removes null ones (recorded).
const MERGED: &[&str] = &[
    "client_metadata",
    "jwt_configuration",
    "mobile",
    "native_social_login",
    "session_transfer",
    "signed_request_object",
];

/// The body of the request, checked.
pub(super) fn read(call: &Call) -> Result<Map<String, Value>, Reply> {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", KEYS)?;
    if fields.string("name", 1, 255)?.is_some_and(|name| name.contains(['<', '>'])) {
        return Err(invalid("String does not match pattern: ^[^<>]+$' on property 'name"));
    }
    fields.choice("app_type", APP_TYPES)?;
    if fields.value("token_endpoint_auth_method").is_some_and(|method| !method.is_null()) {
        fields
            .choice("token_endpoint_auth_method", &["none", "client_secret_post", "client_secret_basic"])?;
    }
    fields.boolean("oidc_conformant")?;
    for name in ["callbacks", "allowed_logout_urls", "web_origins", "allowed_origins", "grant_types"] {
        if let Some(item) = fields.array(name)?.into_iter().flatten().find(|item| !item.is_string()) {
            return Err(wrong_type("string", item, name));
        }
    }
    if let Some(organization) = fields.value("default_organization").filter(|value| !value.is_null()) {
        // Both keys are required: each alone was refused (recorded).
        let organization =
            Fields::strict(organization, "default_organization", &["organization_id", "flows"])?;
        organization.need_string("organization_id", 1, 50)?;
        let flows = organization.choices("flows", &["client_credentials"])?;
        organization.need("flows", flows)?;
    }
    if let Some(jwt) = fields.value("jwt_configuration") {
        // Unlike the others, this object accepts further keys (published schema).
        Fields::open(jwt, "jwt_configuration")?.choice("alg", &["HS256", "RS256", "PS256"])?;
    }
    Ok(fields.map().clone())
}

/// The defaults of a new application, which the sent values then replace. Some are surprising: not OIDC-conformant, no
/// RS256, and every grant type that the authentication method allows (recorded).
pub(super) fn defaults(
    sent: &Map<String, Value>,
    client_id: &str,
    secret: &str,
    tenant: &str,
) -> Map<String, Value> {
    let mut client = match json!({
        "tenant": tenant,
        "global": false,
        "client_id": client_id,
        "is_first_party": true,
        "is_token_endpoint_ip_header_trusted": false,
        "oidc_conformant": false,
        "jwt_configuration": {"secret_encoded": false, "lifetime_in_seconds": 36_000},
        "signing_keys": [{"cert": "made up", "pkcs7": "made up", "subject": format!("/CN={}", tenant)}],
        "sso_disabled": false,
        "cross_origin_auth": false,
        "cross_origin_authentication": false,
        "encrypted": true,
        "callback_url_template": false,
        "custom_login_page_on": true,
        "refresh_token": {
            "rotation_type": "non-rotating",
            "expiration_type": "non-expiring",
            "leeway": 0,
            "token_lifetime": 2_592_000,
            "infinite_token_lifetime": true,
            "infinite_idle_token_lifetime": true,
            "idle_token_lifetime": 1_296_000,
        },
        "client_secret": secret,
    }) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if sent.contains_key("jwt_configuration") {
        // Beside a sent configuration, only this default is kept (recorded).
        client.insert("jwt_configuration".into(), json!({"secret_encoded": false}));
    }
    let third_party = sent.get("is_first_party") == Some(&Value::Bool(false));
    let says = |key: &str, value: &str| sent.get(key).and_then(Value::as_str) == Some(value);
    let express = says("app_type", "express_configuration");
    let grants = match () {
        () if says("third_party_security_mode", "strict") => json!(["authorization_code"]),
        () if says("app_type", "resource_server") => json!([]),
        () if express => json!(["authorization_code", "client_credentials"]),
        () if says("token_endpoint_auth_method", "none") => {
            json!(["authorization_code", "implicit", "refresh_token"])
        }
        () => json!(["authorization_code", "implicit", "refresh_token", "client_credentials"]),
    };
    client.insert("grant_types".into(), grants);
    let confidential = ["client_secret_post", "client_secret_basic"];
    if confidential.iter().any(|method| says("token_endpoint_auth_method", method)) {
        client["refresh_token"]["token_lifetime"] = json!(31_557_600);
        client["refresh_token"]["idle_token_lifetime"] = json!(2_592_000);
    }
    if says("third_party_security_mode", "strict") {
        client["oidc_conformant"] = json!(true);
        client["refresh_token"]["expiration_type"] = json!("expiring");
        client["refresh_token"]["infinite_idle_token_lifetime"] = json!(false);
        let jwt = json!({"secret_encoded": false, "alg": "RS256", "lifetime_in_seconds": 3_600});
        client.insert("jwt_configuration".into(), jwt);
    } else if says("app_type", "resource_server") {
        client.insert("jwt_configuration".into(), json!({"secret_encoded": false, "alg": "RS256"}));
    }
    if express {
        own_by_express_configuration(&mut client);
    }
    if third_party && !says("third_party_security_mode", "strict") {
        client["oidc_conformant"] = json!(true);
        client.insert("third_party_security_mode".into(), json!("permissive"));
        if says("token_endpoint_auth_method", "none") {
            client["refresh_token"]["rotation_type"] = json!("rotating");
            client["refresh_token"]["expiration_type"] = json!("expiring");
            client["refresh_token"]["infinite_token_lifetime"] = json!(false);
            client["refresh_token"]["infinite_idle_token_lifetime"] = json!(false);
        }
    }
    client
}

/// Defaults of an application for the vendor's express configuration (recorded).
fn own_by_express_configuration(client: &mut Map<String, Value>) {
    let defaults = json!({
        "oidc_conformant": true,
        "callbacks": ["https://system-admin.okta.com/admin/app/generic/oauth20redirect"],
        "jwt_configuration": {"secret_encoded": false, "alg": "RS256"},
        "organization_usage": "require",
        "organization_require_behavior": "pre_login_prompt",
        "client_authentication_methods": {"private_key_jwt": {"credentials": []}},
    });
    client.shift_remove("client_secret");
    client.extend(defaults.as_object().cloned().unwrap_or_default());
}

/// Applies the sent values to an application.
pub(super) fn write(client: &mut Map<String, Value>, sent: Map<String, Value>) {
    // The two keys name one object, and reads show both (recorded).
    let logout = sent.get("oidc_logout").or_else(|| sent.get("oidc_backchannel_logout")).cloned();
    for (key, value) in sent {
        let remove = value.is_null() || (key == "initiate_login_uri" && value == "");
        if remove {
            client.shift_remove(&key);
            continue;
        }
        if key == "session_transfer" && !client.contains_key(&key) {
            client.insert(key.clone(), session_transfer());
        }
        match (client.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) if MERGED.contains(&key.as_str()) => {
                for (name, value) in new {
                    if value.is_null() {
                        old.shift_remove(&name);
                    } else {
                        old.insert(name, value);
                    }
                }
            }
            (_, value) => {
                client.insert(key, value);
            }
        }
    }
    match logout {
        Some(Value::Object(logout)) => {
            let urls = logout.get("backchannel_logout_urls").cloned().unwrap_or_else(|| json!([]));
            client.insert("oidc_backchannel_logout".into(), json!({ "backchannel_logout_urls": urls }));
            client.insert("oidc_logout".into(), Value::Object(logout));
        }
        Some(_) => {
            client.shift_remove("oidc_logout");
            client.shift_remove("oidc_backchannel_logout");
        }
        None => {}
    }
}

/// Defaults of a session transfer of which only some keys were sent (recorded).
fn session_transfer() -> Value {
    json!({
        "can_create_session_transfer_token": false,
        "allowed_authentication_methods": [],
        "enforce_device_binding": "ip",
        "allow_refresh_token": false,
        "enforce_online_refresh_tokens": true,
        "enforce_cascade_revocation": true,
    })
}

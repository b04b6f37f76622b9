//! The event objects that Actions get (Auth0 docs, Actions triggers, event objects, 2026).

use lockstep_twin::clock::iso_millis;
use lockstep_twin::world::{Tenant, User};
use serde_json::{Value as Json, json};

use super::login::Login;
use super::send::{Channel, Sender};

fn user(user: Option<&User>) -> Json {
    let Some(user) = user else { return json!({}) };
    let factors: Vec<Json> = user.phone.iter().map(|_| json!({ "type": "phone", "options": {} })).collect();
    let mut known = json!({
        "user_id": user.user_id,
        "email": user.email,
        "email_verified": true,
        "name": user.name,
        "nickname": user.name,
        "app_metadata": {},
        "user_metadata": {},
        "created_at": user.created_at,
        "updated_at": user.created_at,
        "identities": [{
            "connection": "Username-Password-Authentication",
            "isSocial": false,
            "provider": "auth0",
            "user_id": user.user_id.trim_start_matches("auth0|"),
        }],
        "enrolledFactors": factors,
        "multifactor": if factors.is_empty() { json!([]) } else { json!(["guardian"]) },
    });
    // Where the event has the number of the phone factor is not documented; this is its only documented place for one.
    if let Some(number) = &user.phone {
        (known["phone_number"], known["phone_verified"]) = (json!(number), json!(true));
    }
    known
}

/// What every event has.
fn common(tenant: &Tenant, login: &Login) -> serde_json::Map<String, Json> {
    let client = tenant.clients.get(&login.client_id);
    let of_client = |key: &str| client.and_then(|client| client.get(key)).cloned();
    let known = tenant.users.iter().find(|user| user.user_id == login.user_id);
    let event = json!({
        "client": {
            "client_id": login.client_id,
            "name": of_client("name").unwrap_or_default(),
            "metadata": of_client("client_metadata").unwrap_or_else(|| json!({})),
        },
        "request": {
            "ip": "127.0.0.1",
            "method": "POST",
            "hostname": login.host,
            "language": "en",
            "user_agent": login.user_agent,
            "geoip": {},
        },
        "tenant": { "id": tenant.name },
        "user": user(known),
    });
    match event {
        Json::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}

/// The event of `post-login`.
pub(super) fn post_login(tenant: &Tenant, login: &Login, now_ms: u64) -> Json {
    let mut event = common(tenant, login);
    let roles = tenant.users.iter().find(|user| user.user_id == login.user_id).map(|user| &user.roles);
    let connection = tenant.connections.iter().find(|one| one.strategy == "auth0");
    let methods: Vec<Json> = login
        .proofs
        .iter()
        .map(|proof| match proof.name {
            "mfa" => json!({ "name": "mfa", "type": "phone", "timestamp": iso_millis(proof.at_ms) }),
            name => json!({ "name": name, "timestamp": iso_millis(proof.at_ms) }),
        })
        .collect();
    event.insert("authentication".into(), json!({ "methods": methods }));
    event.insert("authorization".into(), json!({ "roles": roles }));
    event.insert(
        "connection".into(),
        json!({
            "id": connection.map(|one| &one.id),
            "name": connection.map(|one| &one.name),
            "strategy": "auth0",
            "metadata": {},
        }),
    );
    event.insert("stats".into(), json!({ "logins_count": 1 }));
    event.insert("session".into(), json!({ "created_at": iso_millis(now_ms) }));
    event.insert(
        "transaction".into(),
        json!({
            "protocol": "oidc-basic-profile",
            "requested_scopes": login.scope.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>(),
            "redirect_uri": login.redirect_uri,
            "response_type": ["code"],
            "locale": "en",
        }),
    );
    Json::Object(event)
}

/// The event of the trigger of a sender.
pub(super) fn message(tenant: &Tenant, login: &Login, sender: &Sender, now_ms: u64) -> Json {
    let mut event = common(tenant, login);
    let Some(sent) = &login.sent else { return Json::Object(event) };
    let friendly = tenant.settings.get("friendly_name").and_then(Json::as_str).unwrap_or(&tenant.name);
    let text = format!("{} is your verification code for {friendly}", sent.code);
    event.insert("transaction".into(), json!({ "correlation_id": format!("twin{now_ms}") }));
    if sender.handler == "onExecuteSendPhoneMessage" {
        let action = if sent.is_enrolment { "enrollment" } else { "second-factor-authentication" };
        event.insert(
            "message_options".into(),
            json!({
                "action": action,
                "message_type": sent.channel.word(),
                "recipient": sent.number,
                "code": sent.code,
                "text": text,
            }),
        );
        return Json::Object(event);
    }
    let voice = match sent.channel {
        Channel::Voice => sent.code.chars().map(|ch| format!("{ch}. ")).collect::<String>(),
        Channel::Sms => sent.code.clone(),
    };
    event.insert(
        "notification".into(),
        json!({
            "recipient": sent.number,
            "code": sent.code,
            "delivery_method": sent.channel.method(),
            "message_type": if sent.is_enrolment { "otp_enroll" } else { "otp_verify" },
            "as_text": text,
            "as_voice": format!("Your verification code for {friendly} is {voice}"),
            "locale": "en",
        }),
    );
    Json::Object(event)
}

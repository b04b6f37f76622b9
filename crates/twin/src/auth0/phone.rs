//! The tenant-level phone provider: at most one per tenant, although it has an id.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::clock;
use super::super::wire::{Outcome, Reply};
use super::super::world::{PhoneProvider, Tenant};
use super::body::{Fields, invalid};
use super::guardian::delivery_method;
use super::{Call, Route, invalid_uri, is_named, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/branding/phone/providers",
        operation: "list_phone_providers",
        scopes: &["read:phone_providers"],
        query: &["disabled"],
        run: list,
    },
    Route {
        method: Method::Post,
        pattern: "/branding/phone/providers",
        operation: "create_phone_provider",
        scopes: &["create:phone_providers"],
        query: &[],
        run: create,
    },
    Route {
        method: Method::Get,
        pattern: "/branding/phone/providers/{id}",
        operation: "get_phone_provider",
        scopes: &["read:phone_providers"],
        query: &[],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/branding/phone/providers/{id}",
        operation: "update_phone_provider",
        scopes: &["update:phone_providers"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Delete,
        pattern: "/branding/phone/providers/{id}",
        operation: "delete_phone_provider",
        scopes: &["delete:phone_providers"],
        query: &[],
        run: delete,
    },
    Route {
        method: Method::Post,
        pattern: "/branding/phone/providers/{id}/try",
        operation: "try_phone_provider",
        scopes: &["create:phone_providers"],
        query: &[],
        run: try_out,
    },
];

const NAMES: &[&str] = &["twilio", "custom"];
const METHODS: &[&str] = &["text", "voice"];

fn list(call: &mut Call) -> Outcome {
    let disabled = call.flag("disabled")?;
    let null = call.options.phone_provider_list_shows_credentials_null;
    let tenant = &*call.tenant;
    let shown =
        tenant.phone_providers.iter().filter(|provider| disabled.is_none_or(|is| provider.disabled == is));
    let providers: Vec<Value> = shown.map(|provider| provider_json(tenant, provider, null)).collect();
    Ok(Reply::json(200, &json!({ "providers": providers })))
}

fn get(call: &mut Call) -> Outcome {
    let at = find(call)?;
    Ok(Reply::json(200, &provider_json(call.tenant, &call.tenant.phone_providers[at], false)))
}

fn create(call: &mut Call) -> Outcome {
    let body = call.json()?;
    // Unlike the others, this body accepts further keys (published schema).
    let fields = Fields::open(&body, "")?;
    let name = fields.choice("name", NAMES)?;
    let name = fields.need("name", name)?;
    let disabled = fields.boolean("disabled")?.unwrap_or(false);
    let configuration = read_configuration(&fields, name)?;
    let credentials = read_credentials(&fields, name, &[])?;
    let credentials = fields.need("credentials", credentials)?;
    if !call.tenant.phone_providers.is_empty() {
        return Err(refusal(409, None, "A phone provider is already configured for this tenant."));
    }
    let configuration = configuration.ok_or_else(bad_operation)?;
    check_sender(name, &configuration)?;
    if name == "custom" {
        need_deployed_action(call.tenant)?;
    }
    let at = clock::iso_millis(call.now_ms);
    let provider = PhoneProvider {
        id: format!("pro_{}", call.ids.word(22)),
        name: name.to_owned(),
        disabled,
        configuration,
        credentials,
        created_at: at.clone(),
        updated_at: at,
    };
    let reply = Reply::json(201, &provider_json(call.tenant, &provider, false));
    call.tenant.phone_providers.push(provider);
    Ok(reply)
}

fn update(call: &mut Call) -> Outcome {
    let at = find(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["name", "disabled", "configuration", "credentials"])?;
    if fields.is_empty() {
        return Err(invalid("Too few properties defined (0), minimum 1"));
    }
    let mut provider = call.tenant.phone_providers[at].clone();
    let was_custom = provider.name == "custom";
    if let Some(name) = fields.choice("name", NAMES)? {
        name.clone_into(&mut provider.name);
    }
    if let Some(disabled) = fields.boolean("disabled")? {
        provider.disabled = disabled;
    }
    // A PATCH of a custom provider may hold an `auth_token`, which the provider has no use for (recorded). As far as
    // known, a POST may not.
    if let Some(credentials) = read_credentials(&fields, &provider.name, &["auth_token"])? {
        provider.credentials = credentials;
    }
    // The configuration is replaced as a whole: a PATCH with `delivery_methods` alone removed `sid` (recorded).
    if let Some(configuration) = read_configuration(&fields, &provider.name)? {
        provider.configuration = configuration;
    }
    check_sender(&provider.name, &provider.configuration)?;
    match provider.name.as_str() {
        "custom" if !was_custom && call.options.custom_provider_patch_needs_action => {
            need_deployed_action(call.tenant)?;
        }
        "twilio" if !provider.credentials.contains_key("auth_token") => return Err(bad_operation()),
        _ => {}
    }
    if call.options.provider_must_cover_message_types && call.tenant.unified() {
        let types = call.tenant.message_types.as_deref().unwrap_or_default();
        let methods = provider.delivery_methods();
        if types.iter().any(|kind| !methods.contains(&delivery_method(kind))) {
            return Err(refusal(409, None, "A delivery method is in use by the phone factor."));
        }
    }
    provider.updated_at = clock::iso_millis(call.now_ms);
    let reply = Reply::json(200, &provider_json(call.tenant, &provider, false));
    call.tenant.phone_providers[at] = provider;
    Ok(reply)
}

fn delete(call: &mut Call) -> Outcome {
    let at = find(call)?;
    call.tenant.phone_providers.remove(at);
    Ok(Reply::empty())
}

fn try_out(call: &mut Call) -> Outcome {
    let at = find(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["to", "delivery_method"])?;
    fields.need_string("to", 1, 16)?;
    let method = fields.choice("delivery_method", METHODS)?.unwrap_or("text");
    let provider = &call.tenant.phone_providers[at];
    if provider.disabled || !provider.delivery_methods().contains(&method) {
        return Err(refusal(409, None, "The phone provider cannot deliver this message."));
    }
    if provider.name == "custom" {
        need_deployed_action(call.tenant)?;
        let unbound = call.tenant.bound("custom-phone-provider").is_empty();
        if call.options.custom_phone_needs_binding && unbound {
            return Err(refusal(409, None, "The phone provider cannot deliver this message."));
        }
    }
    Ok(Reply::json(202, &json!({ "code": 202, "message": "Notification has been queued for delivery" })))
}

fn find(call: &Call) -> Result<usize, Reply> {
    let id = call.param(0);
    if !is_named(id, "pro_", 22) {
        return Err(invalid_uri("phone-provider-id", id));
    }
    let at = call.tenant.phone_providers.iter().position(|provider| provider.id == id);
    at.ok_or_else(|| refusal(404, None, "The phone provider does not exist."))
}

/// The refusal of an incomplete Twilio provider; it does not say what is missing (recorded, without an `errorCode`).
fn bad_operation() -> Reply {
    refusal(400, None, "Bad Operation on Notification Resource")
}

fn check_sender(name: &str, configuration: &Map<String, Value>) -> Result<(), Reply> {
    let has = |key: &str| configuration.contains_key(key);
    if name == "twilio" && (!has("sid") || !(has("default_from") || has("mssid"))) {
        return Err(bad_operation());
    }
    Ok(())
}

/// A `custom` provider needs a deployed Action. The documented `errorCode` speaks of e-mail although its page is about
/// phones (Auth0 docs, configure a custom phone provider, 2026-08).
fn need_deployed_action(tenant: &Tenant) -> Result<(), Reply> {
    let deployed = |action: &super::super::world::Action| {
        action.supports("custom-phone-provider") && action.deployment.is_some()
    };
    if tenant.actions.iter().any(deployed) {
        return Ok(());
    }
    let message = "A deployed action for the custom phone provider was not found.";
    Err(refusal(400, Some("custom_email_provider_deployed_action_not_found"), message))
}

/// Reads the configuration. A custom provider accepts, stores and shows the keys of a Twilio one too (recorded).
fn read_configuration(fields: &Fields, name: &str) -> Result<Option<Map<String, Value>>, Reply> {
    let Some(value) = fields.value("configuration") else { return Ok(None) };
    let keys = ["sid", "default_from", "mssid", "delivery_methods"];
    let fields = Fields::strict(value, "configuration", &keys)?;
    let mut stored = Map::new();
    for key in ["sid", "default_from", "mssid"] {
        if let Some(text) = fields.string(key, 1, 255)? {
            stored.insert(key.into(), json!(text));
        }
    }
    if name == "twilio" {
        fields.need("sid", stored.get("sid"))?;
    }
    let methods = fields.choices("delivery_methods", METHODS)?;
    let methods = fields.need("delivery_methods", methods)?;
    if methods.is_empty() {
        return Err(invalid(
            "Array is too short (0), minimum 1' on property 'configuration.delivery_methods",
        ));
    }
    stored.insert("delivery_methods".into(), json!(methods));
    Ok(Some(stored))
}

/// Reads the credentials. `of_custom` lists the keys that a custom provider may send.
fn read_credentials(
    fields: &Fields,
    name: &str,
    of_custom: &[&str],
) -> Result<Option<Map<String, Value>>, Reply> {
    let Some(value) = fields.value("credentials") else { return Ok(None) };
    let allowed: &[&str] = if name == "twilio" { &["auth_token"] } else { of_custom };
    let fields = Fields::strict(value, "credentials", allowed)?;
    let token = fields.string("auth_token", 1, 255)?;
    if name == "twilio" {
        fields.need("auth_token", token)?;
    }
    Ok(Some(fields.map().clone()))
}

fn provider_json(tenant: &Tenant, provider: &PhoneProvider, with_null: bool) -> Value {
    let mut body = json!({
        "id": provider.id,
        "tenant": tenant.name,
        "name": provider.name,
        "channel": "phone",
        "disabled": provider.disabled,
        "configuration": provider.configuration,
    });
    if with_null {
        body["credentials"] = Value::Null;
    }
    body["created_at"] = json!(provider.created_at);
    body["updated_at"] = json!(provider.updated_at);
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::{Bench, DOMAIN, keys};
    use crate::{Options, Rate};

    const PATH: &str = "/branding/phone/providers";

    fn twilio() -> Value {
        json!({"name": "twilio", "disabled": false, "credentials": {"auth_token": "auth123"},
            "configuration": {"sid": "sid1", "default_from": "+1234567890", "delivery_methods": ["text", "voice"]}})
    }

    fn custom() -> Value {
        json!({"name": "custom", "credentials": {}, "configuration": {"delivery_methods": ["text"]}})
    }

    #[test]
    fn one_provider_with_an_id() {
        let mut bench = Bench::new();
        assert_eq!(bench.get(PATH), (200, json!({"providers": []})));
        let (status, made) = bench.post(PATH, &twilio());
        assert_eq!(status, 201);
        let expected =
            ["id", "tenant", "name", "channel", "disabled", "configuration", "created_at", "updated_at"];
        assert_eq!(keys(&made), expected);
        assert_eq!((&made["tenant"], &made["channel"]), (&json!("acme-dev"), &json!("phone")));
        assert_eq!(bench.post(PATH, &twilio()).0, 409);
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap_or_default());
        assert_eq!(bench.get(&path), (200, made.clone()));
        let (_, list) = bench.get(PATH);
        assert_eq!(list["providers"][0].get("credentials"), Some(&Value::Null), "in the list only");
        assert_eq!(bench.get(&format!("{PATH}?disabled=true")).1, json!({"providers": []}));
        let stored = &bench.twin.world.tenant_mut(DOMAIN).phone_providers[0];
        assert_eq!(stored.credentials["auth_token"], "auth123");
        assert_eq!(bench.delete(&path).0, 204);
        assert_eq!(bench.delete(&path).0, 404);
        assert_eq!(bench.get(&format!("{PATH}/pro_short")).0, 400);
    }

    #[test]
    fn a_twilio_provider_needs_a_sender() {
        let mut bench = Bench::new();
        let mut body = twilio();
        body["configuration"] = json!({"sid": "sid1", "delivery_methods": ["text", "voice"]});
        let expected = json!({"statusCode": 400, "error": "Bad Request",
            "message": "Bad Operation on Notification Resource"});
        assert_eq!(bench.post(PATH, &body), (400, expected));
        for (key, value) in [
            ("credentials", json!({})),
            ("configuration", json!({"sid": "s", "default_from": "+1", "delivery_methods": []})),
            ("configuration", json!({"sid": "s", "default_from": "+1", "delivery_methods": ["sms"]})),
            ("name", json!("verify")),
        ] {
            let mut body = twilio();
            body[key] = value;
            assert_eq!(bench.post(PATH, &body).0, 400, "{key}");
        }
        let mut body = twilio();
        body.as_object_mut().expect("object").shift_remove("credentials");
        assert_eq!(bench.post(PATH, &body).0, 400);
    }

    #[test]
    fn a_custom_provider_needs_its_action_deployed() {
        let mut bench = Bench::new();
        let (status, refused) = bench.post(PATH, &custom());
        assert_eq!(status, 400);
        assert_eq!(refused["errorCode"], "custom_email_provider_deployed_action_not_found");
        bench.deployed_action("p", "custom-phone-provider", "v1");
        let (status, made) = bench.post(PATH, &custom());
        assert_eq!(status, 201);
        let attempt = format!("{PATH}/{}/try", made["id"].as_str().unwrap_or_default());
        assert_eq!(bench.post(&attempt, &json!({"to": "+15550100"})).0, 202);
        assert_eq!(bench.post(&attempt, &json!({"to": "+15550100", "delivery_method": "voice"})).0, 409);
    }

    #[test]
    fn configuration_is_replaced_whole_and_the_name_in_place() {
        for (needs, expected) in [(true, 400), (false, 200)] {
            let rate = Rate::Unlimited;
            let options = Options { rate, custom_provider_patch_needs_action: needs, ..Options::default() };
            let mut bench = Bench::with(options);
            let (_, made) = bench.post(PATH, &twilio());
            let path = format!("{PATH}/{}", made["id"].as_str().unwrap_or_default());
            let (status, _) = bench.patch(&path, &custom());
            assert_eq!(status, expected);
            bench.deployed_action("p", "custom-phone-provider", "v1");
            let (status, patched) = bench.patch(&path, &custom());
            assert_eq!(status, 200);
            assert_eq!(patched["configuration"], json!({"delivery_methods": ["text"]}));
            assert_eq!((&patched["id"], &patched["created_at"]), (&made["id"], &made["created_at"]));
            let mut leftovers = custom();
            leftovers["configuration"] = twilio()["configuration"].clone();
            leftovers["credentials"] = twilio()["credentials"].clone();
            assert_eq!(bench.post(PATH, &leftovers).0, 400, "not at creation");
            let (status, patched) = bench.patch(&path, &leftovers);
            assert_eq!((status, &patched["configuration"]["sid"]), (200, &json!("sid1")));
            leftovers["credentials"] = json!({"auth_token": 7});
            assert_eq!(bench.patch(&path, &leftovers).0, 400);
            assert_eq!(bench.patch(&path, &custom()).0, 200);
            assert_eq!(bench.patch(&path, &json!({})).0, 400);
            assert_eq!(bench.patch(&path, &json!({"channel": "phone"})).0, 400);
            assert_eq!(bench.patch(&path, &json!({"name": "twilio"})).0, 400, "neither sender nor token");
        }
    }
}

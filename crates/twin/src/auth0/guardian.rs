//! Guardian: factors, phone message types, the legacy phone provider, and the MFA policy. Every write replaces the
//! whole value and is visible at once.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::wire::{Outcome, Reply};
use super::super::world::LegacyPhone;
use super::body::{Fields, choices_of, wrong_type};
use super::{Call, Route, invalid_uri, never_set, refusal};

const READ: &[&str] = &["read:guardian_factors"];
const UPDATE: &[&str] = &["update:guardian_factors"];

const fn route(
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    scopes: &'static [&'static str],
    run: fn(&mut Call) -> Outcome,
) -> Route {
    Route { method, pattern, operation, scopes, query: &[], run }
}

/// The paths below `sms/` are older names of those below `phone/`; both reach the same object.
pub(super) const ROUTES: &[Route] = &[
    route(Method::Get, "/guardian/factors", "list_factors", READ, list_factors),
    route(Method::Put, "/guardian/factors/{name}", "set_factor", UPDATE, set_factor),
    route(Method::Get, "/guardian/factors/phone/message-types", "get_message_types", READ, get_message_types),
    route(
        Method::Put,
        "/guardian/factors/phone/message-types",
        "set_message_types",
        UPDATE,
        set_message_types,
    ),
    route(
        Method::Get,
        "/guardian/factors/phone/selected-provider",
        "get_selected_provider",
        READ,
        get_selected,
    ),
    route(
        Method::Put,
        "/guardian/factors/phone/selected-provider",
        "set_selected_provider",
        UPDATE,
        set_selected,
    ),
    route(
        Method::Get,
        "/guardian/factors/sms/selected-provider",
        "get_selected_provider",
        READ,
        get_selected,
    ),
    route(
        Method::Put,
        "/guardian/factors/sms/selected-provider",
        "set_selected_provider",
        UPDATE,
        set_selected,
    ),
    route(Method::Get, "/guardian/factors/phone/providers/twilio", "get_legacy_twilio", READ, get_twilio),
    route(Method::Put, "/guardian/factors/phone/providers/twilio", "set_legacy_twilio", UPDATE, set_twilio),
    route(Method::Get, "/guardian/factors/sms/providers/twilio", "get_legacy_twilio", READ, get_twilio),
    route(Method::Put, "/guardian/factors/sms/providers/twilio", "set_legacy_twilio", UPDATE, set_twilio),
    route(Method::Get, "/guardian/factors/phone/templates", "get_legacy_templates", READ, get_templates),
    route(Method::Put, "/guardian/factors/phone/templates", "set_legacy_templates", UPDATE, set_templates),
    route(Method::Get, "/guardian/factors/sms/templates", "get_legacy_templates", READ, get_templates),
    route(Method::Put, "/guardian/factors/sms/templates", "set_legacy_templates", UPDATE, set_templates),
    route(Method::Get, "/guardian/policies", "get_policies", &["read:mfa_policies"], |call| {
        Ok(Reply::json(200, &json!(call.tenant.policies)))
    }),
    route(Method::Put, "/guardian/policies", "set_policies", &["update:mfa_policies"], set_policies),
];

/// The phone factor's name on the wire.
const PHONE_FACTOR: &str = "sms";
const MESSAGE_TYPES: &[&str] = &["sms", "voice"];

/// Legacy phone calls answer 403 while the unified experience is on.
fn need_legacy(call: &Call) -> Result<(), Reply> {
    if call.tenant.unified() {
        let code = call.options.unified_error_code.as_deref();
        return Err(refusal(403, code, "This endpoint is disabled for your tenant."));
    }
    Ok(())
}

fn list_factors(call: &mut Call) -> Outcome {
    let factor = |factor: &super::super::world::Factor| json!({"name": factor.name, "enabled": factor.enabled, "trial_expired": false});
    Ok(Reply::json(200, &call.tenant.factors.iter().map(factor).collect()))
}

fn set_factor(call: &mut Call) -> Outcome {
    let name = call.param(0).to_owned();
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["enabled"])?;
    let enabled = fields.boolean("enabled")?;
    let enabled = fields.need("enabled", enabled)?;
    let outside = call.tenant.factors_outside_plan.contains(&name);
    let factor = call.tenant.factors.iter_mut().find(|factor| factor.name == name);
    let factor = factor.ok_or_else(|| invalid_uri("factor-name", &name))?;
    if enabled && outside {
        let message = "Please upgrade your subscription to use this factor";
        return Err(refusal(403, Some("insufficient_entitlement"), message));
    }
    factor.enabled = enabled;
    // The reply does not repeat the name (recorded).
    Ok(Reply::json(200, &json!({ "enabled": enabled })))
}

fn get_message_types(call: &mut Call) -> Outcome {
    let body = match &call.tenant.message_types {
        Some(list) => json!({ "message_types": list }),
        None => return Ok(never_set(call).unwrap_or_else(|| Reply::json(200, &json!({})))),
    };
    Ok(Reply::json(200, &body))
}

fn set_message_types(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["message_types"])?;
    let list = fields.choices("message_types", MESSAGE_TYPES)?;
    let list = fields.need("message_types", list)?;
    // An empty list is accepted while the factor is off (recorded four times); any other list is refused.
    if !list.is_empty() && !call.tenant.factor_enabled(PHONE_FACTOR) {
        return Err(refusal(400, None, "The phone factor is not enabled."));
    }
    if call.tenant.unified() {
        let provider = call.tenant.phone_providers.iter().find(|provider| !provider.disabled);
        let methods = provider.map(|provider| provider.delivery_methods()).unwrap_or_default();
        if list.iter().any(|kind| !methods.contains(&delivery_method(kind))) {
            let message = "Message Type is not supported by the configured phone provider";
            return Err(refusal(409, None, message));
        }
    }
    let reply = Reply::json(200, &json!({ "message_types": list }));
    call.tenant.message_types = Some(list);
    Ok(reply)
}

/// The delivery method of a phone provider that sends a message type.
pub(super) fn delivery_method(message_type: &str) -> &str {
    if message_type == "sms" { "text" } else { message_type }
}

fn get_selected(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    let default = LegacyPhone::default().selected_provider;
    if let Some(reply) = never_set(call).filter(|_| call.tenant.legacy_phone.selected_provider == default) {
        return Ok(reply);
    }
    Ok(Reply::json(200, &json!({ "provider": call.tenant.legacy_phone.selected_provider })))
}

fn set_selected(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["provider"])?;
    let provider = fields.choice("provider", &["auth0", "twilio", "phone-message-hook"])?;
    let provider = fields.need("provider", provider)?;
    provider.clone_into(&mut call.tenant.legacy_phone.selected_provider);
    Ok(Reply::json(200, &json!({ "provider": provider })))
}

fn get_twilio(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    Ok(Reply::json(200, &Value::Object(call.tenant.legacy_phone.twilio.clone())))
}

fn set_twilio(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    let body = call.json()?;
    let names = ["from", "messaging_service_sid", "auth_token", "sid"];
    let fields = Fields::strict(&body, "", &names)?;
    let mut stored = Map::new();
    for name in names {
        // A null field counts as omitted.
        if fields.value(name).is_some_and(Value::is_null) {
            continue;
        }
        let (least, most) = if name == "from" { (0, 64) } else { (1, 1_000) };
        if let Some(text) = fields.string(name, least, most)? {
            stored.insert(name.into(), json!(text));
        }
    }
    call.tenant.legacy_phone.twilio = stored.clone();
    Ok(Reply::json(200, &Value::Object(stored)))
}

fn templates_json(call: &Call) -> Reply {
    let phone = &call.tenant.legacy_phone;
    let body = json!({
        "enrollment_message": phone.enrollment_message,
        "verification_message": phone.verification_message,
    });
    Reply::json(200, &body)
}

fn get_templates(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    let (ours, default) = (&call.tenant.legacy_phone, LegacyPhone::default());
    let same = ours.enrollment_message == default.enrollment_message
        && ours.verification_message == default.verification_message;
    if let Some(reply) = never_set(call).filter(|_| same) {
        return Ok(reply);
    }
    Ok(templates_json(call))
}

fn set_templates(call: &mut Call) -> Outcome {
    need_legacy(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["enrollment_message", "verification_message"])?;
    let enrollment = fields.need_string("enrollment_message", 0, usize::MAX)?;
    let verification = fields.need_string("verification_message", 0, usize::MAX)?;
    enrollment.clone_into(&mut call.tenant.legacy_phone.enrollment_message);
    verification.clone_into(&mut call.tenant.legacy_phone.verification_message);
    Ok(templates_json(call))
}

fn set_policies(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let list = body.as_array().ok_or_else(|| wrong_type("array", &body, ""))?;
    let policies = choices_of(list, &["all-applications", "confidence-score"], "policies")?;
    if policies.iter().any(|policy| policy == "confidence-score") && !call.tenant.adaptive_mfa {
        let message = "Please upgrade your subscription to use adaptive MFA";
        return Err(refusal(403, Some("insufficient_entitlement"), message));
    }
    // No factor need be on: `all-applications` without any was accepted (recorded).
    call.tenant.policies.clone_from(&policies);
    Ok(Reply::json(200, &json!(policies)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bench::{Bench, DOMAIN};
    use crate::{Flag, Options, Rate};

    #[test]
    fn eight_factors_in_a_bare_list() {
        let mut bench = Bench::new();
        let (_, list) = bench.get("/guardian/factors");
        assert_eq!(list.as_array().map(Vec::len), Some(8));
        assert_eq!(list[0], json!({"name": "sms", "enabled": false, "trial_expired": false}));
        assert_eq!(
            bench.put("/guardian/factors/sms", &json!({"enabled": true})),
            (200, json!({"enabled": true}))
        );
        assert_eq!(bench.get("/guardian/factors").1[0]["enabled"], true);
        let (status, refused) = bench.put("/guardian/factors/phone", &json!({"enabled": true}));
        assert_eq!(
            (status, refused["errorCode"].as_str()),
            (400, Some("invalid_uri")),
            "the phone factor is sms"
        );
        assert_eq!(bench.put("/guardian/factors/sms", &json!({})).0, 400);
        bench.twin.world.tenant_mut(DOMAIN).factors_outside_plan = vec!["duo".into()];
        assert_eq!(bench.put("/guardian/factors/duo", &json!({"enabled": true})).0, 403);
    }

    #[test]
    fn message_types_hang_on_factor_and_provider() {
        let mut bench = Bench::new();
        let path = "/guardian/factors/phone/message-types";
        assert_eq!(bench.get(path), (200, json!({})), "never configured");
        assert_eq!(
            bench.put(path, &json!({"message_types": []})).0,
            200,
            "empty is taken with the factor off"
        );
        assert_eq!(bench.put(path, &json!({"message_types": ["sms"]})).0, 400);
        bench.put("/guardian/factors/sms", &json!({"enabled": true}));
        assert_eq!(bench.put(path, &json!({"message_types": ["sms"]})).0, 409, "no provider");
        let provider = json!({"name": "twilio", "credentials": {"auth_token": "t"},
            "configuration": {"sid": "s", "default_from": "+15550100", "delivery_methods": ["text"]}});
        assert_eq!(bench.post("/branding/phone/providers", &provider).0, 201);
        let types = json!({"message_types": ["sms"]});
        assert_eq!(bench.put(path, &types), (200, types.clone()));
        let (status, refused) = bench.put(path, &json!({"message_types": ["sms", "voice"]}));
        assert_eq!(status, 409);
        assert_eq!(refused["message"], "Message Type is not supported by the configured phone provider");
        assert_eq!(bench.get(path), (200, types));
        for bad in [json!({"message_types": ["text"]}), json!({"message_types": ["sms", "sms"]}), json!({})] {
            assert_eq!(bench.put(path, &bad).0, 400);
        }
    }

    #[test]
    fn legacy_calls_follow_the_flag() {
        let calls = [
            ("/guardian/factors/phone/selected-provider", json!({"provider": "phone-message-hook"})),
            ("/guardian/factors/sms/providers/twilio", json!({"sid": "AC1", "from": null})),
            (
                "/guardian/factors/phone/templates",
                json!({"enrollment_message": "e", "verification_message": "v"}),
            ),
        ];
        for (flag, expected) in [(Flag::On, 403), (Flag::Off, 200), (Flag::Absent, 200)] {
            let rate = Rate::Unlimited;
            let mut bench = Bench::with(Options { rate, unified_flag: flag, ..Options::default() });
            for (path, body) in &calls {
                let (status, refused) = bench.get(path);
                assert_eq!(status, expected, "{flag:?} {path}");
                assert_ne!(refused["errorCode"], "insufficient_scope");
                assert_eq!(bench.put(path, body).0, expected, "{flag:?} {path}");
            }
            let shown = bench.get("/tenants/settings").1.get("phone_consolidated_experience").cloned();
            assert_eq!(shown, [Some(json!(true)), Some(json!(false)), None][flag as usize]);
        }
    }

    #[test]
    fn both_names_of_the_legacy_calls_reach_one_object() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, unified_flag: Flag::Off, ..Options::default() });
        assert_eq!(bench.get("/guardian/factors/phone/selected-provider").1, json!({"provider": "auth0"}));
        bench.put("/guardian/factors/phone/selected-provider", &json!({"provider": "twilio"}));
        assert_eq!(bench.get("/guardian/factors/sms/selected-provider").1, json!({"provider": "twilio"}));
        assert_eq!(
            bench.put("/guardian/factors/sms/selected-provider", &json!({"provider": "verify"})).0,
            400
        );
        assert_eq!(bench.get("/guardian/factors/sms/providers/twilio").1, json!({}));
    }

    #[test]
    fn the_policy_is_a_bare_list_and_needs_no_factor() {
        let mut bench = Bench::new();
        assert_eq!(bench.get("/guardian/policies"), (200, json!([])));
        assert_eq!(
            bench.put("/guardian/policies", &json!(["all-applications"])),
            (200, json!(["all-applications"]))
        );
        assert_eq!(bench.get("/guardian/policies"), (200, json!(["all-applications"])));
        assert_eq!(bench.put("/guardian/policies", &json!(["confidence-score"])).0, 403);
        assert_eq!(bench.put("/guardian/policies", &json!(["always"])).0, 400);
        assert_eq!(bench.put("/guardian/policies", &json!({"policies": []})).0, 400);
    }
}

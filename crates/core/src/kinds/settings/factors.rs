//! The second factors, each switched by itself, and the message types of the phone factor.

use serde_json::{Value as Json, json};

use super::row::{SETTING, Setting, plain_value, switch, words, written_values};
use crate::kinds::looks::switches;
use crate::kinds::remote::factors::{FACTOR_LIST, MESSAGE_TYPES as TYPES, wire_factor};
use crate::kinds::{Diff, Resource, set_of, text};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Says, Section, Type, says};
use crate::model::plan::{Level, Stage};
use crate::model::value::{Attrs, Value};

const fn factor(key: &'static str, doc: &'static str) -> Field {
    const SAYS: &[Says] = &[says("mfa_factor.*", "enabled")];
    Field { key, ty: Type::Bool, wire: "enabled", says: SAYS, doc, ..FIELD }
}

static FACTOR_SECTION: Section = Section {
    path: "mfa.factors",
    doc: "Which second factors are on; a factor that is not named is left alone",
    required: false,
    fields: &[
        factor("phone", "codes by SMS or voice (called `sms` by the API)"),
        factor("otp", "authenticator apps"),
        factor("email", "codes by e-mail"),
        factor("push_notification", "push to the Guardian app"),
        factor("webauthn_roaming", "security keys"),
        factor("webauthn_platform", "device biometrics"),
        factor("recovery_code", "recovery codes"),
        factor("duo", "Duo"),
    ],
};

/// Whether a second factor is on. Each factor is a resource of its own.
pub static MFA_FACTOR: Setting = Setting {
    name: "mfa_factor",
    sections: &[&FACTOR_SECTION],
    declare: |manifest| {
        let section = manifest.section("mfa.factors");
        section
            .into_iter()
            .flatten()
            .map(|(name, value)| Resource {
                address: Address::named("mfa_factor", name),
                ..switch("mfa_factor", "enabled", value.clone())
            })
            .collect()
    },
    read: &FACTOR_LIST,
    parse: |address, reply| {
        let wire = wire_factor(address);
        let factors = reply.as_array().map(Vec::as_slice).unwrap_or_default();
        let enabled =
            factors.iter().find(|factor| text(factor, "name") == wire).and_then(|f| f["enabled"].as_bool());
        let value =
            enabled.map_or_else(|| Value::Unknown(format!("factor {wire}")), |on| Value::Known(json!(on)));
        Attrs::from([("enabled".to_owned(), value)])
    },
    write: |address, attrs| {
        let path = format!("/api/v2/guardian/factors/{}", wire_factor(address));
        (Method::Put, path, json!({ "enabled": plain_value(attrs, "enabled") }))
    },
    fact: Some(("enabled", |address, on| Fact::Factor(wire_factor(address).into(), on.as_bool()))),
    weigh: |address, _, to| {
        if plain_value(to, "enabled") == json!(true) {
            return (Stage::SwitchOn, None);
        }
        let name = address.name().unwrap_or_default();
        (Stage::SwitchOff, Some(format!("users enrolled with {name} cannot use it any more")))
    },
    scopes: &["update:guardian_factors"],
    // Factors that the manifest leaves alone matter too when a plan is checked for users who are locked out.
    more_facts: |reply| {
        let factor = |one: &Json| Fact::Factor(text(one, "name").into(), one["enabled"].as_bool());
        reply.as_array().into_iter().flatten().map(factor).collect()
    },
    // The reply to a write does not name the factor; its `enabled` is that of the factor that was written.
    written: Some(|address, reply| match reply.get("enabled").and_then(Json::as_bool) {
        Some(enabled) => Ok(Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))])),
        None => Err(Failed::Unknown(format!("the reply does not say whether {address} is on now"))),
    }),
    // The phone factor goes on again only after the former way of sending is back.
    adjust_undo: |address, _, step| {
        if step.stage == Stage::SwitchOn && wire_factor(address) == "sms" {
            step.stage = Stage::SwitchBack;
        }
    },
    before: switches::factor,
    ..SETTING
};

/// How the phone factor sends: SMS, voice or both. The API refuses (409) a type that the provider does not cover, so
/// the check before the write does not read the tenant.
pub static MESSAGE_TYPES: Setting = Setting {
    name: "phone_message_types",
    declare: |manifest| {
        let on = manifest.get("mfa.factors", "phone") == Some(&Value::Known(json!(true)));
        if !on || manifest.section("phone").is_none() {
            return Vec::new();
        }
        let types = json!(manifest.set("phone", "channels"));
        vec![switch("phone_message_types", "message_types", Value::Known(set_of(Some(&types))))]
    },
    read: &TYPES,
    unset: Some(|| Attrs::from([("message_types".to_owned(), Value::Known(json!([])))])),
    parse: |_, reply| {
        Attrs::from([("message_types".to_owned(), Value::Known(set_of(reply.get("message_types"))))])
    },
    write: |_, attrs| {
        let body = json!({ "message_types": plain_value(attrs, "message_types") });
        (Method::Put, TYPES.path.into(), body)
    },
    fact: Some(("message_types", |_, types| Fact::MessageTypes(words(types)))),
    weigh: |_, from, to| {
        let (old, new) = (plain_value(from, "message_types"), plain_value(to, "message_types"));
        let missing = |a: &Json, b: &Json| -> Vec<String> {
            let there = b.as_array().cloned().unwrap_or_default();
            let gone = a.as_array().into_iter().flatten().filter(|item| !there.contains(item));
            gone.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let gone = missing(&old, &new);
        let danger = (!gone.is_empty()).then(|| format!("codes by {} stop", gone.join(" and ")));
        let stage = if missing(&new, &old).is_empty() { Stage::NarrowTypes } else { Stage::MessageTypes };
        (stage, danger)
    },
    scopes: &["update:guardian_factors"],
    // A step that only removes types comes early, if the API accepts that in the present state. Otherwise it comes
    // after the steps that the API needs first.
    adjust: |diff, step| {
        if step.stage == Stage::NarrowTypes && !api_accepts_now(diff) {
            step.stage = Stage::MessageTypes;
        }
    },
    adjust_undo: |_, back, step| {
        // The API accepts message types only while the factor is on, so the former types are put back before the factor
        // is switched off.
        if step.stage == Stage::MessageTypes {
            step.stage = Stage::NarrowTypes;
        }
        // The API accepts an empty list even while the factor is off. While the factor is on, an empty list would leave
        // it without a way to send, so the empty list is put back late.
        if plain_value(back, "message_types") == json!([]) {
            step.stage = Stage::Narrow;
        }
    },
    must_stay: |step, before| {
        // The API accepts an empty list even while the factor is off.
        let some = plain_value(&written_values(step), "message_types") != json!([]);
        let off = some && before.phone_is_on() == Some(false);
        let why = "the phone factor is off, and without it the API takes no message types";
        off.then(|| (Level::Warning, why.into()))
    },
    before: switches::message_types,
    ..SETTING
};

/// Whether the API accepts the wanted message types in the present state: the phone factor is not off, and the tenant's
/// phone provider covers the types. The provider does not matter if the unified experience is off, or if the plan has
/// not read the provider.
fn api_accepts_now(diff: &Diff<'_>) -> bool {
    let factor = diff.all.get("mfa_factor.phone").map(|seen| plain_value(&seen.attrs, "enabled"));
    if factor == Some(json!(false)) {
        return false;
    }
    let unified = diff.all.get("unified_phone").map(|seen| plain_value(&seen.attrs, "enabled"));
    let Some(provider) = diff.all.get("phone_provider").filter(|_| unified != Some(json!(false))) else {
        return true;
    };
    let methods = plain_value(&provider.attrs, "delivery_methods");
    let types = plain_value(&diff.want.desired, "message_types");
    let covers = |kind: &Json| {
        let method = if kind == "sms" { "text" } else { "voice" };
        methods.as_array().is_some_and(|methods| methods.iter().any(|one| one == method))
    };
    let on = provider.exists && plain_value(&provider.attrs, "disabled") != json!(true);
    on && types.as_array().is_none_or(|types| types.iter().all(covers))
}

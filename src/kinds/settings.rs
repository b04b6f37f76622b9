//! The switch-like kinds: one table row each, one implementation for all.
//!
//! A switch always exists, is read as a whole, and is written with one idempotent PUT or PATCH. Destroy puts back
//! what was there before our first write, and never "everything off".

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::phone_provider;
use super::{Diff, Done, Hint, Kind, Resource, Run, Seen, Task, array, object, set_of, step, text};
use crate::diag::{Problem, codes};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Facts, FieldChange, Level, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer, join_all};

/// One row: a switch-like kind as data and small pure functions.
pub struct Setting {
    name: &'static str,
    sections: &'static [&'static Section],
    /// Resources that the manifest declares.
    declare: fn(&Manifest) -> Vec<Resource>,
    check: fn(&Manifest, &mut Vec<Problem>),
    /// The read that holds the setting.
    read: &'static str,
    /// Observed attributes out of the reply, for one address.
    parse: fn(&str, &Json) -> Attrs,
    /// Method, path and body of the write, for one address and the values to set.
    write: fn(&str, &Attrs) -> (Method, String, Json),
    /// Facts that the attributes say.
    facts: fn(&str, &Attrs) -> Facts,
    /// Stage and danger of going from the observed to the new attributes.
    weigh: fn(&str, &Attrs, &Attrs) -> (Stage, Option<String>),
    /// Scope that the write needs.
    scopes: &'static [&'static str],
    /// What must still hold right before the write; answers what does not.
    before: Before,
}

/// What an exposing step re-reads right before it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Everything that a phone message passes through stands: for switches that let messages through it.
    ProviderDelivers,
    /// At least one factor can be used: for a policy that asks for one.
    SomeFactor,
}

fn known(attrs: &Attrs, key: &str) -> Json {
    attrs.get(key).and_then(Value::known).cloned().unwrap_or(Json::Null)
}

fn no_check(_: &Manifest, _: &mut Vec<Problem>) {}

fn one(kind: &'static str, address: impl Into<String>, field: &str, value: Value) -> Resource {
    Resource { address: address.into(), kind, desired: Attrs::from([(field.to_owned(), value)]) }
}

/// Resource addresses are `mfa_factor.<manifest name>`; the wire has other names.
const FACTORS: &[(&str, &str)] = &[
    ("phone", "sms"),
    ("otp", "otp"),
    ("email", "email"),
    ("push_notification", "push-notification"),
    ("webauthn_roaming", "webauthn-roaming"),
    ("webauthn_platform", "webauthn-platform"),
    ("recovery_code", "recovery-code"),
    ("duo", "duo"),
];

fn wire_factor(address: &str) -> &'static str {
    let name = address.rsplit('.').next().unwrap_or_default();
    FACTORS.iter().find(|(manifest, _)| *manifest == name).map_or("", |(_, wire)| wire)
}

const fn factor(key: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Bool, wire: "enabled", doc, ..FIELD }
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

static MFA_SECTION: Section = Section {
    path: "mfa",
    doc: "Second factors and when they are asked for",
    required: false,
    fields: &[Field {
        key: "policy",
        ty: Type::OneOf(&["always", "adaptive", "never"]),
        doc: "when a second factor is asked for: always, adaptive (plan-dependent) or never",
        wire: "(array)",
        ..FIELD
    }],
};

static LOGIN_SECTION: Section = Section {
    path: "universal_login",
    doc: "Universal Login settings",
    required: false,
    fields: &[
        Field {
            key: "experience",
            ty: Type::OneOf(&["new", "classic"]),
            wire: "universal_login_experience",
            doc: "voice codes need `new`",
            ..FIELD
        },
        Field {
            key: "identifier_first",
            ty: Type::Bool,
            wire: "identifier_first",
            doc: "ask for the identifier first",
            ..FIELD
        },
        Field {
            key: "webauthn_platform_first_factor",
            ty: Type::Bool,
            wire: "webauthn_platform_first_factor",
            doc: "device biometrics as first factor",
            ..FIELD
        },
    ],
};

/// The tenant's unified phone experience: when it is off, MFA does not use the tenant's phone provider.
pub static UNIFIED_PHONE: Setting = Setting {
    name: "unified_phone",
    sections: &[],
    declare: |manifest| match manifest.text("phone", "delivery") {
        Some("unified") => vec![one("unified_phone", "unified_phone", "enabled", Value::Known(json!(true)))],
        _ => Vec::new(),
    },
    check: no_check,
    read: "/api/v2/tenants/settings",
    parse: |_, reply| match reply.get("phone_consolidated_experience").and_then(Json::as_bool) {
        Some(enabled) => Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))]),
        None => Attrs::from([("enabled".to_owned(), Value::Unknown("phone_consolidated_experience".into()))]),
    },
    write: |_, attrs| {
        let body = json!({ "phone_consolidated_experience": known(attrs, "enabled") });
        (Method::Patch, "/api/v2/tenants/settings".into(), body)
    },
    facts: |_, attrs| Facts::from([("unified".to_owned(), known(attrs, "enabled"))]),
    weigh: |_, _, _| {
        let danger = "the tenant leaves the legacy phone set-up for good: Actions on send-phone-message and the legacy \
                      provider are no longer used for MFA";
        (Stage::Tenant, Some(danger.into()))
    },
    scopes: &["update:tenant_settings"],
    before: Before::ProviderDelivers,
};

/// Each factor by itself.
pub static MFA_FACTOR: Setting = Setting {
    name: "mfa_factor",
    sections: &[&FACTOR_SECTION],
    declare: |manifest| {
        let section = manifest.section("mfa.factors");
        section
            .into_iter()
            .flatten()
            .map(|(name, value)| one("mfa_factor", format!("mfa_factor.{name}"), "enabled", value.clone()))
            .collect()
    },
    check: no_check,
    read: "/api/v2/guardian/factors",
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
        (Method::Put, path, json!({ "enabled": known(attrs, "enabled") }))
    },
    facts: |address, attrs| {
        Facts::from([(format!("factor.{}", wire_factor(address)), known(attrs, "enabled"))])
    },
    weigh: |address, _, to| {
        if known(to, "enabled") == json!(true) {
            return (Stage::SwitchOn, None);
        }
        let name = address.rsplit('.').next().unwrap_or_default();
        (Stage::SwitchOff, Some(format!("users enrolled with {name} cannot use it any more")))
    },
    scopes: &["update:guardian_factors"],
    before: Before::ProviderDelivers,
};

/// How the phone factor sends: SMS, voice or both. The API itself refuses (409) what the provider does not cover, so
/// nothing is read before the write.
pub static MESSAGE_TYPES: Setting = Setting {
    name: "phone_message_types",
    sections: &[],
    declare: |manifest| {
        let on = manifest.get("mfa.factors", "phone") == Some(&Value::Known(json!(true)));
        if !on || manifest.section("phone").is_none() {
            return Vec::new();
        }
        let types = json!(manifest.set("phone", "channels"));
        vec![one(
            "phone_message_types",
            "phone_message_types",
            "message_types",
            Value::Known(set_of(Some(&types))),
        )]
    },
    check: no_check,
    read: "/api/v2/guardian/factors/phone/message-types",
    parse: |_, reply| {
        Attrs::from([("message_types".to_owned(), Value::Known(set_of(reply.get("message_types"))))])
    },
    write: |_, attrs| {
        let body = json!({ "message_types": known(attrs, "message_types") });
        (Method::Put, "/api/v2/guardian/factors/phone/message-types".into(), body)
    },
    facts: |_, attrs| Facts::from([("message_types".to_owned(), known(attrs, "message_types"))]),
    weigh: |_, from, to| {
        let (old, new) = (known(from, "message_types"), known(to, "message_types"));
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
    before: Before::Nothing,
};

/// When a second factor is asked for.
pub static MFA_POLICY: Setting = Setting {
    name: "mfa_policy",
    sections: &[&MFA_SECTION],
    declare: |manifest| {
        manifest
            .get("mfa", "policy")
            .map(|policy| one("mfa_policy", "mfa_policy", "policy", policy.clone()))
            .into_iter()
            .collect()
    },
    check: |manifest, out| {
        let asks = matches!(manifest.text("mfa", "policy"), Some("always" | "adaptive"));
        let factors = manifest.section("mfa.factors");
        let some_on = factors.is_some_and(|f| {
            f.iter().any(|(name, value)| name != "recovery_code" && *value == Value::Known(json!(true)))
        });
        let all_named_off = factors.is_some_and(|f| !f.is_empty()) && !some_on;
        if asks && all_named_off {
            out.push(Problem::error(
                codes::UNSAFE,
                "mfa.policy",
                "the policy asks for a factor, and none is on",
                "nobody could log in",
                "switch a factor on in mfa.factors, or set policy: never",
            ));
        }
    },
    read: "/api/v2/guardian/policies",
    parse: |_, reply| {
        let policies: Vec<&str> = reply.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let word = match policies.as_slice() {
            [] => "never".to_owned(),
            ["all-applications"] => "always".to_owned(),
            ["confidence-score"] => "adaptive".to_owned(),
            other => format!("({})", other.join(", ")),
        };
        Attrs::from([("policy".to_owned(), Value::text(word))])
    },
    write: |_, attrs| {
        let policies = match attrs.get("policy").and_then(Value::as_str) {
            Some("always") => json!(["all-applications"]),
            Some("adaptive") => json!(["confidence-score"]),
            _ => json!([]),
        };
        (Method::Put, "/api/v2/guardian/policies".into(), policies)
    },
    facts: |_, attrs| Facts::from([("policy".to_owned(), known(attrs, "policy"))]),
    weigh: |_, from, to| {
        let rank = |attrs: &Attrs| match attrs.get("policy").and_then(Value::as_str) {
            Some("never") => 0,
            Some("adaptive") => 1,
            _ => 2,
        };
        if rank(to) > rank(from) {
            let word = to.get("policy").and_then(Value::as_str).unwrap_or_default();
            let danger = format!("every application of the tenant asks for a second factor ({word})");
            return (Stage::RaisePolicy, Some(danger));
        }
        (Stage::LowerPolicy, Some("logins ask for a second factor less often, or not at all".into()))
    },
    scopes: &["update:mfa_policies"],
    before: Before::SomeFactor,
};

/// The New Universal Login and its settings.
pub static UNIVERSAL_LOGIN: Setting = Setting {
    name: "universal_login",
    sections: &[&LOGIN_SECTION],
    declare: |manifest| match manifest.section("universal_login") {
        Some(attrs) if !attrs.is_empty() => {
            vec![Resource {
                address: "universal_login".into(),
                kind: "universal_login",
                desired: attrs.clone(),
            }]
        }
        _ => Vec::new(),
    },
    check: |manifest, out| {
        let classic = manifest.text("universal_login", "experience") == Some("classic");
        if classic && manifest.set("phone", "channels").iter().any(|channel| channel == "voice") {
            out.push(Problem::error(
                codes::UNSAFE,
                "universal_login.experience",
                "voice does not work with the classic login",
                "phone.channels has voice",
                "use `experience: new`, or remove voice from phone.channels",
            ));
        }
    },
    read: "/api/v2/prompts",
    parse: |_, reply| {
        let bool_of = |key: &str| Value::Known(json!(reply.get(key) == Some(&json!(true))));
        Attrs::from([
            ("experience".to_owned(), Value::text(text(reply, "universal_login_experience"))),
            ("identifier_first".to_owned(), bool_of("identifier_first")),
            ("webauthn_platform_first_factor".to_owned(), bool_of("webauthn_platform_first_factor")),
        ])
    },
    write: |_, attrs| {
        let mut body = json!({});
        for (key, value) in attrs {
            let wire = if key == "experience" { "universal_login_experience" } else { key.as_str() };
            body[wire] = value.known().cloned().unwrap_or(Json::Null);
        }
        (Method::Patch, "/api/v2/prompts".into(), body)
    },
    facts: |_, attrs| Facts::from([("login".to_owned(), known(attrs, "experience"))]),
    weigh: |_, from, to| {
        let danger = match (
            from.get("experience").and_then(Value::as_str),
            to.get("experience").and_then(Value::as_str),
        ) {
            (Some("classic"), Some("new")) => {
                Some("the login pages of the whole tenant change; classic customisations are not used".into())
            }
            (Some("new"), Some("classic")) => {
                Some("the login pages of the whole tenant change back; voice codes stop".into())
            }
            _ => None,
        };
        (Stage::Tenant, danger)
    },
    scopes: &["update:prompts"],
    before: Before::Nothing,
};

impl Setting {
    fn get(&self) -> Get {
        Get::whole(Api::Auth0, self.read)
    }

    /// The reply, if it has the shape that the endpoint gives.
    fn shaped<'a>(&self, reply: &'a Json) -> Result<&'a Json, Failed> {
        let what = format!("GET {}", self.read);
        match self.name {
            "mfa_policy" if reply.as_array().is_some_and(|words| words.iter().all(Json::is_string)) => {
                Ok(reply)
            }
            "mfa_policy" => Err(Failed::Misread(format!("{what}: not a list of words"))),
            "mfa_factor" if array(reply, &what)?.iter().any(|factor| factor["name"].is_string()) => Ok(reply),
            "mfa_factor" => Err(Failed::Misread(format!("{what}: no factor in the list"))),
            "phone_message_types" => object(reply, &what),
            "unified_phone" => object(reply, &what),
            _ if object(reply, &what)?.as_object().is_some_and(|entries| entries.is_empty()) => {
                Err(Failed::Misread(format!("{what}: an empty object")))
            }
            _ => Ok(reply),
        }
    }

    fn set_step(&self, address: &str, seen: &Seen, to: &Attrs, changes: &[FieldChange]) -> Step {
        let (stage, danger) = (self.weigh)(address, &seen.attrs, to);
        let values: BTreeMap<&String, Json> =
            to.iter().filter_map(|(key, value)| Some((key, value.known()?.clone()))).collect();
        let shown: Vec<String> = values
            .iter()
            .map(|(key, value)| {
                format!("{key} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        let mut step = step(
            address,
            self.name,
            Verb::Update,
            stage,
            &format!("set {}", shown.join(", ")),
            json!({ "values": values }),
        );
        step.reason = match changes {
            [] => "as before this stack".into(),
            changes => changes
                .iter()
                .map(|change| {
                    let old = change.old.clone().unwrap_or(Json::Null);
                    format!("{} is {old}", change.field)
                })
                .collect::<Vec<_>>()
                .join(", "),
        };
        step.effects = (self.facts)(address, to);
        step.danger = danger;
        step
    }

    /// Re-reads what the step depends on, right before its write.
    async fn precondition(&self, run: &Run<'_>, to: &Attrs, reader: &Reader) -> Result<(), Failed> {
        let Run { address, seen, .. } = *run;
        let (stage, _) = (self.weigh)(address, &seen.attrs, to);
        let phone = self.name != "mfa_factor" || wire_factor(address) == "sms";
        match self.before {
            Before::ProviderDelivers if !matches!(stage, Stage::SwitchOff | Stage::NarrowTypes) && phone => {
                delivers(run, reader).await?;
            }
            Before::SomeFactor if stage == Stage::RaisePolicy => {
                let factors = reader.get(&MFA_FACTOR.get()).await?;
                let on: Vec<&str> = array(&factors, "GET /api/v2/guardian/factors")?
                    .iter()
                    .filter(|factor| factor["enabled"] == json!(true))
                    .map(|factor| text(factor, "name"))
                    .filter(|name| *name != "recovery-code")
                    .collect();
                match on.as_slice() {
                    [] => {
                        return Err(Failed::NotDone(
                            "no factor is on any more, and the policy would lock users out; plan again"
                                .into(),
                        ));
                    }
                    ["sms"] => delivers(run, reader).await?,
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Kind for Setting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sections(&self) -> &'static [&'static Section] {
        self.sections
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        (self.declare)(manifest)
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        (self.check)(manifest, out);
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![self.get()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let reply = reader.get(&self.get()).await?;
            let reply = self.shaped(&reply)?;
            let mut seen = Seen { exists: true, attrs: (self.parse)(hint.address, reply), ..Seen::default() };
            if self.name == "mfa_factor" {
                // Factors that the manifest leaves alone count too when it is asked whether anybody is locked out.
                seen.raw = json!({ "factors": reply });
            }
            if self.name == "unified_phone" && matches!(seen.attrs.get("enabled"), Some(Value::Unknown(_))) {
                unified_by_probe(&mut seen, hint.address, reader).await?;
            }
            if matches!(seen.attrs.values().next(), Some(Value::Unknown(_))) {
                seen.finding(
                    hint.address,
                    Level::Warning,
                    "the tenant does not say whether this is on, so it is left alone",
                    "set it in the Auth0 dashboard, or ask Auth0 support whether the plan has it",
                );
            }
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if diff.changes.is_empty() {
            return Vec::new();
        }
        let changed = |key: &str| diff.changes.iter().any(|change| change.field == key);
        let to: Attrs = diff
            .want
            .desired
            .iter()
            .filter(|(key, _)| changed(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        vec![self.set_step(diff.address, diff.seen, &to, diff.changes)]
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        // The way back from the unified experience is not one that a tool should take by itself.
        if self.name == "unified_phone" {
            return Vec::new();
        }
        let back: Attrs = entry
            .restore
            .iter()
            .filter(|(key, old)| {
                entry.fields.contains_key(*key) && seen.attrs.get(*key).and_then(Value::known) != Some(*old)
            })
            // A value that the write cannot express (several policies at once) is left to a person.
            .filter(|(_, old)| !old.as_str().is_some_and(|word| word.starts_with('(')))
            .map(|(key, old)| (key.clone(), Value::Known(old.clone())))
            .collect();
        if back.is_empty() {
            return Vec::new();
        }
        let mut step = self.set_step(address, seen, &back, &[]);
        // The API takes message types only while the factor is on, so on the way down they go back first.
        if step.stage == Stage::MessageTypes {
            step.stage = Stage::NarrowTypes;
        }
        // No types at all are taken with the factor off, and with it on they would leave it without a way to send.
        if known(&back, "message_types") == json!([]) {
            step.stage = Stage::Narrow;
        }
        vec![step]
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        self.scopes
    }

    fn facts(&self, address: &str, seen: &Seen) -> Facts {
        let all = seen.raw.get("factors").and_then(Json::as_array);
        let mut facts: Facts = all
            .into_iter()
            .flatten()
            .map(|factor| (format!("factor.{}", text(factor, "name")), factor["enabled"].clone()))
            .collect();
        facts.extend((self.facts)(address, &seen.attrs));
        facts
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let to = values(run.step);
            self.precondition(&run, &to, writer.reader()).await?;
            let (method, path, body) = (self.write)(run.address, &to);
            let reply = writer.json(method, path, body, Repeat::Safe).await?;
            // A factor's reply does not name it, so its own value is what was written.
            let mut attrs = run.seen.attrs.clone();
            let read = if self.name == "mfa_factor" {
                Attrs::from([(
                    "enabled".to_owned(),
                    Value::Known(reply.get("enabled").cloned().unwrap_or(Json::Null)),
                )])
            } else {
                (self.parse)(run.address, &reply)
            };
            attrs.extend(read);
            Ok(Done::seen(Seen { exists: true, attrs, ..Seen::default() }))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let reply = reader.fresh(&self.get()).await?;
            let attrs = (self.parse)(run.address, &reply);
            let took = values(run.step).iter().all(|(key, value)| attrs.get(key) == Some(value));
            Ok(took.then(|| Done::seen(Seen { exists: true, attrs, ..Seen::default() })))
        })
    }
}

/// Everything that a phone message passes through still stands. Read side by side, right before what exposes it.
async fn delivers(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let id = |address: &str, name: &str| {
        run.ids.get(address).and_then(|ids| ids.get(name)).map(String::as_str).filter(|id| !id.is_empty())
    };
    type Stands = fn(&Json, &str) -> bool;
    let mut reads: Vec<(&str, Get, String, Stands)> = Vec::new();
    if let Some(id) = id("action", "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"));
        reads.push(("the deployed Action", get, id.to_owned(), |reply, _| {
            reply["deployed_version"].is_object()
        }));
    }
    if let Some(id) = id("trigger_binding", "action_id") {
        let get = super::trigger_binding::PHONE_BINDING.list();
        reads.push(("the Action's binding", get, id.to_owned(), |reply, id| {
            super::trigger_binding::parse(reply).iter().any(|bound| bound.action_id == id)
        }));
    }
    if let Some(sid) = id("verify_service", "sid") {
        let get = Get::whole(Api::Verify, format!("/v2/Services/{sid}"));
        reads.push(("the Verify service", get, sid.to_owned(), |reply, sid| text(reply, "sid") == sid));
    }
    if let Some(id) = id("log_stream", "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/log-streams/{id}"));
        reads.push(("the feedback stream", get, id.to_owned(), |reply, id| text(reply, "id") == id));
    }
    // Last, because it is what others change most easily, and one trip is the window that remains.
    reads.push(("the phone provider", phone_provider::list(), String::new(), |reply, _| {
        let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
        provider
            .is_some_and(|provider| text(provider, "name") == "custom" && provider["disabled"] != json!(true))
    }));
    let tasks: Vec<Task<'_, Result<bool, Failed>>> = reads
        .iter()
        .map(|(_, get, id, stands)| {
            Box::pin(async move {
                match reader.get(get).await {
                    Ok(reply) => Ok(stands(&reply, id)),
                    Err(failed) if failed.status() == Some(404) => Ok(false),
                    Err(failed) => Err(failed),
                }
            }) as Task<'_, _>
        })
        .collect();
    for (stands, (what, ..)) in join_all(tasks).await.into_iter().zip(&reads) {
        if !stands? {
            let text = format!(
                "{what} is not there any more since the plan was made, and codes would not arrive; plan again"
            );
            return Err(Failed::NotDone(text));
        }
    }
    Ok(())
}

fn values(step: &Step) -> Attrs {
    let values = step.op["values"].as_object();
    values.into_iter().flatten().map(|(key, value)| (key.clone(), Value::Known(value.clone()))).collect()
}

/// The flag is absent on some tenants and says nothing then: a legacy call that is refused says that it is on.
async fn unified_by_probe(seen: &mut Seen, address: &str, reader: &Reader) -> Result<(), Failed> {
    let probe = Get::whole(Api::Auth0, "/api/v2/guardian/factors/phone/selected-provider");
    let enabled = match reader.get(&probe).await {
        Ok(_) => Some(false),
        Err(failed) if failed.status() == Some(403) && failed.code() != Some("insufficient_scope") => {
            Some(true)
        }
        Err(failed @ Failed::Refused(_)) => {
            seen.finding(
                address,
                Level::Note,
                format!("the unified phone flag is absent, and the probe was refused: {failed}"),
                "grant read:guardian_factors, or check Settings, Advanced in the Auth0 dashboard",
            );
            None
        }
        Err(failed) => return Err(failed),
    };
    if let Some(enabled) = enabled {
        seen.attrs.insert("enabled".into(), Value::Known(json!(enabled)));
    }
    Ok(())
}

//! The tenant's phone provider: a singleton with an id, switched to `custom` so that our Action sends.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::looks::delivery::may_hand_over;
use super::remote::phone_provider::{PATH, list_providers, sends};
use super::said::legacy;
use super::said::phone::{SECTION_PATH, methods};
use super::{
    Diff, Done, Hint, Kind, Resource, Run, Seen, Task, entries_with, identity, require_id, set_of, step,
    text, unless_refused,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::facts::{Facts, Provider};
use crate::model::field::{FIELD, Field, Section, Type, says};
use crate::model::ledger::{Entry, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// The kind of the tenant's phone provider.
pub struct PhoneProvider;

const NAME: &str = "phone_provider";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    /// Makes the provider ours (`custom`), with these delivery methods.
    Put {
        methods: Json,
    },
    /// Puts former values of the provider back.
    Restore,
    Delete,
}

static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "How the tenant sends phone messages",
    required: false,
    fields: &[
        Field {
            key: "delivery",
            ty: Type::OneOf(&["unified", "legacy"]),
            default: Some("unified"),
            says: &[says("unified_phone", "enabled"), says("phone_selected_provider", "provider")],
            doc: "unified: the tenant's phone provider; legacy: the provider of Guardian, for tenants from before March 2025",
            ..FIELD
        },
        Field {
            key: "channels",
            ty: Type::Set(&["sms", "voice"]),
            default: Some("[sms]"),
            wire: "configuration.delivery_methods",
            says: &[says("", "delivery_methods"), says("phone_message_types", "message_types")],
            doc: "how a code may travel; voice needs the New Universal Login",
            ..FIELD
        },
        Field {
            key: "protection",
            ty: Type::OneOf(&["default", "exponential"]),
            wire: "type",
            says: &[says("phone_provider_protection", "type")],
            doc: "exponential: sends to one number wait longer each time",
            ..FIELD
        },
    ],
};

static SECTIONS: &[&Section] = &[&SECTION];

impl Kind for PhoneProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        PATH
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        if manifest.section(SECTION_PATH).is_none() || legacy::is_legacy(manifest) {
            return Vec::new();
        }
        let desired = Attrs::from([
            ("name".to_owned(), Value::text("custom")),
            ("disabled".to_owned(), Value::Known(json!(false))),
            ("delivery_methods".to_owned(), Value::Known(json!(methods(manifest)))),
            ("leftover".to_owned(), Value::Known(json!([]))),
        ]);
        vec![Resource { address: Address::of(NAME), kind: NAME, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let channels = manifest.set(SECTION_PATH, "channels");
        if manifest.section(SECTION_PATH).is_some() && channels.is_empty() {
            out.push(Problem::error(
                codes::OUT_OF_RANGE,
                "phone.channels",
                "no channel",
                "codes have to travel somehow",
                "write [sms], [voice] or [sms, voice]",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![list_providers()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let reply = reader.get(&list_providers()).await?;
            let what = "GET /api/v2/branding/phone/providers";
            let providers = entries_with(reply.get("providers"), &["/id"], what)?;
            Ok(match providers {
                [] => Seen::default(),
                [provider] => {
                    let whose = identity::whose(&hint.clues("id", ""), text(provider, "id"));
                    Seen { whose: hint.believing(whose), ..parse(provider) }
                }
                several => {
                    let mut seen = Seen::default();
                    seen.finding(
                        codes::SEVERAL_FIT,
                        hint.address,
                        Level::Blocker,
                        format!("the tenant has {} phone providers and should have one", several.len()),
                        "delete all but the right one in Branding, Phone Provider",
                    );
                    seen
                }
            })
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let seen = diff.seen;
        let wanted =
            diff.want.desired.get("delivery_methods").and_then(Value::known).cloned().unwrap_or_default();
        let effects = |methods: &Json| sends(Provider::Custom, methods);
        if !seen.exists {
            let mut step = diff.step(
                Verb::Create,
                Stage::Provider,
                "create the provider",
                Op::of(Act::Put { methods: wanted.clone() }),
            );
            step.creates = true;
            step.reason = "the tenant has no phone provider".into();
            step.effects = effects(&wanted);
            return vec![step];
        }
        if diff.changes.is_empty() {
            return Vec::new();
        }
        // A delivery method may go only after the message types that need it. So a first step sets the old and the new
        // methods, and a later step takes away those that are not wanted.
        let now = set_of(seen.attrs.get("delivery_methods").and_then(Value::known));
        let is_custom = seen.attrs.get("name").and_then(Value::as_str) == Some("custom");
        let narrows = now
            .as_array()
            .is_some_and(|now| now.iter().any(|m| !wanted.as_array().is_some_and(|w| w.contains(m))));
        let first = if narrows { union(&now, &wanted) } else { wanted.clone() };
        let only_narrows =
            narrows && first == now && diff.changes.iter().all(|change| change.field == "delivery_methods");
        let mut steps = Vec::new();
        if !only_narrows {
            let mut step = diff.step(
                Verb::Update,
                Stage::Provider,
                "update the provider",
                Op::of(Act::Put { methods: first.clone() }),
            );
            step.reason = diff.changed_names();
            step.effects = effects(&first);
            if !is_custom {
                let whose = if diff.manifest.section("action").is_some() {
                    "our Action"
                } else {
                    "an Action of others"
                };
                step.danger = Some(format!(
                    "phone messages of the whole tenant go through {whose} instead of {:?}; \
                     the former provider's credentials cannot be put back",
                    seen.attrs.get("name").and_then(Value::as_str).unwrap_or_default()
                ));
            }
            steps.push(step);
        }
        if narrows {
            let mut step = diff.step(
                Verb::Update,
                Stage::Narrow,
                "narrow the delivery methods",
                Op::of(Act::Put { methods: wanted.clone() }),
            );
            step.reason = "no message type needs them any more".into();
            step.danger = Some("phone messages by the removed method stop".into());
            step.effects = effects(&wanted);
            steps.push(step);
        }
        steps
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        if entry.ownership == Ownership::Created {
            let mut step = step(
                address,
                NAME,
                Verb::Delete,
                Stage::RemoveProvider,
                "delete the provider",
                Op::of(Act::Delete),
            );
            step.reason = "it was created by this stack".into();
            step.danger = Some(
                "where the unified phone experience is on, the tenant cannot send phone messages any more"
                    .into(),
            );
            step.effects = sends(Provider::Absent, &Json::Null);
            return vec![step];
        }
        let former = entry.restore.get("name").and_then(Json::as_str).unwrap_or("custom");
        // If somebody has switched the provider to another sender since, it is theirs.
        let theirs = seen.attrs.get("name").and_then(Value::as_str) != Some("custom");
        if former != "custom" || theirs {
            // To put a former vendor's provider back takes its token, which nobody can read back. So the provider stays
            // as it is.
            return Vec::new();
        }
        let now = |key: &str| seen.attrs.get(key).and_then(Value::known).cloned();
        let was = |key: &str| entry.restore.get(key).cloned().or_else(|| now(key));
        let values = |disabled: Option<Json>, methods: Option<Json>| json!({ "disabled": disabled, "delivery_methods": set_of(methods.as_ref()) });
        let current = values(now("disabled"), now("delivery_methods"));
        let last = values(was("disabled"), was("delivery_methods"));
        // Message types that are put back need their delivery methods first. Methods that nothing needs any more go
        // last.
        let both = union(&current["delivery_methods"], &last["delivery_methods"]);
        let wide = values(now("disabled"), Some(both));
        let mut steps = Vec::new();
        if wide != current {
            steps.push(restoring(address, Stage::Widen, "put the former delivery methods back", &wide));
        }
        if last != wide {
            let mut step = restoring(address, Stage::RemoveProvider, "put the former settings back", &last);
            step.danger = Some("phone messages of the whole tenant are sent the former way again".into());
            steps.push(step);
        }
        steps
    }

    /// Why the provider is not put back. If nobody can switch it back, the removal of our Action behind it would stop
    /// every phone message of the tenant.
    fn removal_refusal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Option<Finding> {
        let former = entry.restore.get("name").and_then(Json::as_str).unwrap_or("custom");
        let name = seen.attrs.get("name").and_then(Value::as_str)?;
        let (code, level, text, help) = match (name, former) {
            ("custom", "custom") => return None,
            ("custom", former) if entry.ownership == Ownership::Adopted => (
                codes::NOT_PUT_BACK,
                Level::Blocker,
                format!(
                    "the provider was {former:?} before this stack, and its credentials cannot be read to put it back"
                ),
                "set it again in Branding, Phone Provider (or delete the provider), then destroy",
            ),
            ("custom", _) => return None,
            (name, _) => (
                codes::CHANGED_SINCE,
                Level::Warning,
                format!("somebody has switched the provider to {name:?} since, so it is left as it is"),
                "nothing to do; delete it in Branding, Phone Provider if nobody wants it",
            ),
        };
        Some(Finding { code, address: address.to_owned(), text, help: help.into(), level })
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match step.verb {
            Verb::Create => &["create:phone_providers"],
            Verb::Delete => &["delete:phone_providers"],
            _ => &["update:phone_providers"],
        }
    }

    fn facts(&self, _address: &Address, seen: &Seen) -> Facts {
        let name = seen.attrs.get("name").and_then(Value::as_str).unwrap_or("absent");
        let disabled = seen.attrs.get("disabled") == Some(&Value::Known(json!(true)));
        let methods = seen.attrs.get("delivery_methods").and_then(Value::known).unwrap_or(&Json::Null);
        sends(if disabled { Provider::Disabled } else { name.into() }, methods)
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get("id").cloned().unwrap_or_default();
            let path = format!("{PATH}/{id}");
            match run.act()? {
                Act::Put { methods } => {
                    if run.step.stage == Stage::Provider {
                        writer.checked(may_hand_over(&run, writer.reader())).await?;
                    }
                    let configuration = json!({ "delivery_methods": methods });
                    let body = json!({ "name": "custom", "disabled": false, "configuration": configuration, "credentials": {} });
                    let reply = if run.seen.exists {
                        writer.json(Method::Patch, path, body, Repeat::Safe).await?
                    } else {
                        writer.json(Method::Post, PATH, body, Repeat::NeverBlind).await?
                    };
                    Ok(Done::seen(require_id(parse(&reply), "id")?))
                }
                Act::Restore => {
                    let [disabled, methods] =
                        ["disabled", "delivery_methods"].map(|field| run.step.op.value(field));
                    let body =
                        json!({ "disabled": disabled, "configuration": { "delivery_methods": methods } });
                    let reply = writer.json(Method::Patch, path, body, Repeat::Safe).await;
                    let reply = unless_refused(reply, run.address, writer.reader())?;
                    Ok(Done::seen(reply.as_ref().map_or_else(|| run.seen.clone(), parse)))
                }
                Act::Delete => match writer.json(Method::Delete, path, Json::Null, Repeat::Safe).await {
                    Ok(_) => Ok(Done::seen(Seen::default())),
                    Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                    Err(failed) => Err(failed),
                },
            }
        })
    }

    /// A repeated create does no harm: a tenant has one provider, and the API refuses a second one.
    fn may_repeat(&self, _step: &Step) -> bool {
        true
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let reply = reader.fresh(&list_providers()).await?;
            let now = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
            let seen = now.map(parse).unwrap_or_default();
            let took = match run.act()? {
                Act::Put { methods } => {
                    seen.attrs.get("name").and_then(Value::as_str) == Some("custom")
                        && seen.attrs.get("delivery_methods").and_then(Value::known) == Some(&methods)
                }
                Act::Restore => run.step.op.values.as_ref().is_some_and(|values| {
                    values
                        .iter()
                        .all(|(key, value)| seen.attrs.get(key).and_then(Value::known) == Some(value))
                }),
                Act::Delete => !seen.exists,
            };
            Ok(took.then(|| Done::seen(seen)))
        })
    }
}

/// The members of both sets.
fn union(one: &Json, other: &Json) -> Json {
    let both: Json = [one, other].into_iter().filter_map(Json::as_array).flatten().cloned().collect();
    set_of(Some(&both))
}

/// A step that gives an adopted provider these values of `disabled` and `delivery_methods`.
fn restoring(address: &Address, stage: Stage, what: &str, values: &Json) -> Step {
    let op = Op::of(Act::Restore).writing(values.as_object().cloned().unwrap_or_default());
    let mut step = step(address, NAME, Verb::Update, stage, what, op);
    step.reason = "it was there before this stack".into();
    let provider = if values["disabled"] == json!(true) { Provider::Disabled } else { Provider::Custom };
    step.effects = sends(provider, &values["delivery_methods"]);
    step
}

/// Reads a provider from any reply. `leftover` names the settings that a `custom` provider still has from a former
/// vendor.
pub fn parse(provider: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("id".into(), text(provider, "id").to_owned());
    let configuration = provider.get("configuration").and_then(Json::as_object);
    let custom = text(provider, "name") == "custom";
    let leftover: Vec<&String> = configuration
        .into_iter()
        .flatten()
        .filter(|(key, value)| custom && key.as_str() != "delivery_methods" && !value.is_null())
        .map(|(key, _)| key)
        .collect();
    seen.attrs = Attrs::from([
        ("name".to_owned(), Value::text(text(provider, "name"))),
        ("disabled".to_owned(), Value::Known(json!(provider.get("disabled") == Some(&json!(true))))),
        (
            "delivery_methods".to_owned(),
            Value::Known(set_of(configuration.and_then(|c| c.get("delivery_methods")))),
        ),
        ("leftover".to_owned(), Value::Known(json!(leftover))),
    ]);
    seen
}

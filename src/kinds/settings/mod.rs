//! The switch-like kinds: one table row each, one implementation for all.
//!
//! A switch always exists, is read as a whole, and is written with one idempotent PUT or PATCH. Destroy puts back
//! what was there before our first write, and never "everything off". The rows lie beside this file, by topic.

mod branding;
mod delivery;
mod factors;
mod legacy;
mod login;
mod policy;
mod post_login;
mod protection;
mod unified;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::said::passwordless;
use super::{
    Diff, Done, Hint, Kind, Leaving, Resource, Run, Seen, Task, array, handed_on, if_it_fits, object, set_of,
    step, text,
};
use crate::diag::Problem;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::event::Event;
use crate::model::facts::{Fact, Facts};
use crate::model::field::Section;
use crate::model::ledger::Entry;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{FieldChange, Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

pub use branding::BRANDING;
use delivery::Sender;
pub(super) use delivery::{delivers, may_hand_over, took_over};
pub use factors::{MESSAGE_TYPES, MFA_FACTOR};
pub use legacy::{LEGACY_TEMPLATES, SELECTED_PROVIDER};
pub use login::UNIVERSAL_LOGIN;
pub use policy::MFA_POLICY;
pub use post_login::POST_LOGIN_FACTORS;
pub use protection::PHONE_PROTECTION;
pub use unified::UNIFIED_PHONE;

/// The name of a field, and the fact that its value is, for one address. A value of another type could not be read.
type Says = (&'static str, fn(&str, &Json) -> Fact);

/// The words in a list.
fn words<T: for<'a> From<&'a str>>(list: &Json) -> Option<Vec<T>> {
    Some(list.as_array()?.iter().filter_map(Json::as_str).map(T::from).collect())
}

/// One row: a switch-like kind as data and small pure functions.
pub struct Setting {
    name: &'static str,
    sections: &'static [&'static Section],
    /// Resources that the manifest declares.
    declare: fn(&Manifest) -> Vec<Resource>,
    check: fn(&Manifest, &mut Vec<Problem>),
    /// The read that holds the setting.
    read: &'static str,
    /// What its reply looks like; any other is not believed.
    shape: Shape,
    /// Keys of which an object has at least one, or it is something else.
    expects: &'static [&'static str],
    /// Observed attributes out of the reply, for one address.
    parse: fn(&str, &Json) -> Attrs,
    /// Method, path and body of the write, for one address and the values to set.
    write: fn(&str, &Attrs) -> (Method, String, Json),
    /// What a field says of the login's delivery path, if one does.
    fact: Option<Says>,
    /// Stage and danger of going from the observed to the new attributes.
    weigh: fn(&str, &Attrs, &Attrs) -> (Stage, Option<String>),
    /// Scope that the write needs.
    scopes: &'static [&'static str],
    /// What must still hold right before the write; answers what does not.
    before: Before,
    /// Destroy puts the former value back; not where the way back is not one that a tool should take by itself.
    way_back: bool,
    /// How it goes when the manifest no longer declares it.
    leaving: fn(&Manifest) -> Leaving,
    /// It belongs to the legacy phone set-up, which is out of reach while the unified experience is on.
    legacy: bool,
    /// One write takes all fields of the section.
    whole: bool,
    /// Objects in it are replaced whole: it is read again right before the write, and this adds to the body what the
    /// manifest leaves alone.
    complete: Option<fn(&mut Json, &Json)>,
    /// Values of a tenant that never set it, where a reply without content or with an empty object says so; `None`: such
    /// a reply is an error.
    unset: Option<fn() -> Attrs>,
    /// A 404 says the same.
    unset_is_404: bool,
    /// Whether an observed value is another way to say the desired one.
    tolerates: fn(&str, &Value, &Value) -> bool,
}

/// A row that spells out only what differs (`Setting { name: "x", ..SETTING }`).
const SETTING: Setting = Setting {
    name: "",
    sections: &[],
    declare: |_| Vec::new(),
    check: |_, _| {},
    read: "",
    shape: Shape::Object,
    expects: &[],
    parse: |_, _| Attrs::new(),
    write: |_, _| (Method::Patch, String::new(), Json::Null),
    fact: None,
    weigh: |_, _, _| (Stage::Tenant, None),
    scopes: &[],
    before: Before::Nothing,
    way_back: true,
    leaving: |_| Leaving::Removed,
    legacy: false,
    whole: false,
    complete: None,
    unset: None,
    unset_is_404: false,
    tolerates: |_, _, _| false,
};

/// Keys that the tenant's settings have: one of them is always there (recorded 2025 to 2026).
const TENANT_KEYS: &[&str] =
    &["flags", "enabled_locales", "sandbox_version", "session_lifetime", "friendly_name"];

/// The shape of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An object that is never empty.
    Object,
    /// An object; keys that were never set may be missing.
    Sparse,
    /// A list of words, which may be empty.
    Words,
    /// A list of objects with names, never empty.
    Named,
}

/// What an exposing step re-reads right before it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Everything that a phone message passes through stands: for switches that let messages through it.
    ProviderDelivers,
    /// The Action that codes are about to be handed to is deployed and bound.
    ActionStands,
    /// At least one factor can be used: for a policy that asks for one.
    SomeFactor,
    /// What the Action needs at Twilio is there: for another channel by which users get codes.
    TwilioTakes,
}

fn known(attrs: &Attrs, key: &str) -> Json {
    attrs.get(key).and_then(Value::known).cloned().unwrap_or(Json::Null)
}

fn one(kind: &'static str, address: impl Into<String>, field: &str, value: Value) -> Resource {
    Resource { address: address.into(), kind, desired: Attrs::from([(field.to_owned(), value)]) }
}

fn values(step: &Step) -> Attrs {
    let values = step.op.values.iter().flatten();
    values.map(|(key, value)| (key.clone(), Value::Known(value.clone()))).collect()
}

/// Whether a reply has every field that was sent; one that was emptied may be gone.
fn shows(reply: &Json, sent: &Json) -> bool {
    let is_set = |value: &Json| match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Object(members) => !members.is_empty(),
        _ => true,
    };
    let fields = sent.as_object().filter(|_| reply.is_object()).into_iter().flatten();
    fields.filter(|(_, value)| is_set(value)).all(|(field, _)| reply.get(field).is_some())
}

impl Setting {
    /// The manifest asks for the way back, and that is not one that a tool should take by itself.
    fn refused(&self, diff: &Diff<'_>) -> bool {
        !self.way_back && known(&diff.want.desired, "enabled") == json!(false) && !diff.changes.is_empty()
    }

    pub(super) fn get(&self) -> Get {
        match self.unset {
            None => Get::whole(Api::Auth0, self.read),
            Some(_) => Get::whole_or_nothing(Api::Auth0, self.read),
        }
    }

    /// The values in a reply.
    fn values(&self, address: &str, reply: &Json) -> Result<Attrs, Failed> {
        let empty = reply.is_null() || reply.as_object().is_some_and(serde_json::Map::is_empty);
        match self.unset.filter(|_| empty) {
            Some(unset) => Ok(unset()),
            None => Ok((self.parse)(address, self.shaped(reply)?)),
        }
    }

    /// The values as they are now, past what was read before.
    async fn now(&self, address: &str, reader: &Reader) -> Result<Attrs, Failed> {
        let mut attrs = match reader.fresh(&self.get()).await {
            Ok(reply) => self.values(address, &reply)?,
            Err(failed) => self.never_set(&failed).ok_or(failed)?,
        };
        if self.name == UNIFIED_PHONE.name && matches!(attrs.get("enabled"), Some(Value::Unknown(_))) {
            attrs.insert("enabled".into(), Value::Known(json!(unified::probed(reader).await?)));
        }
        Ok(attrs)
    }

    /// The values where a 404 is an answer and this is one.
    fn never_set(&self, failed: &Failed) -> Option<Attrs> {
        let says_so = self.unset_is_404 && failed.status() == Some(404);
        self.unset.filter(|_| says_so).map(|unset| unset())
    }

    /// The reply, if it has the shape that the endpoint gives.
    fn shaped<'a>(&self, reply: &'a Json) -> Result<&'a Json, Failed> {
        let what = format!("GET {}", self.read);
        let misread = |what: String| Err(Failed::Misread(what));
        match self.shape {
            Shape::Object | Shape::Sparse => {
                let reply = object(reply, &what)?;
                let empty = reply.as_object().is_none_or(serde_json::Map::is_empty);
                let known = self.expects.iter().any(|key| reply.get(key).is_some());
                match known || (empty && self.shape == Shape::Sparse) {
                    true => Ok(reply),
                    false => misread(format!("{what}: none of {} in the reply", self.expects.join(", "))),
                }
            }
            Shape::Words if reply.as_array().is_some_and(|words| words.iter().all(Json::is_string)) => {
                Ok(reply)
            }
            Shape::Words => misread(format!("{what}: not a list of words")),
            Shape::Named if array(reply, &what)?.iter().any(|entry| entry["name"].is_string()) => Ok(reply),
            Shape::Named => misread(format!("{what}: nothing with a name in the list")),
        }
    }

    fn set_step(&self, address: &str, seen: &Seen, to: &Attrs, changes: &[FieldChange]) -> Step {
        let (stage, danger) = (self.weigh)(address, &seen.attrs, to);
        let values: BTreeMap<String, Json> =
            to.iter().filter_map(|(key, value)| Some((key.clone(), value.known()?.clone()))).collect();
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
            Op::default().writing(values),
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
        // What the step does not set stays as it is known.
        let value = |field: &str| to.get(field).and_then(Value::known).filter(|value| !value.is_null());
        let says = |(field, says): Says| value(field).map(|value| says(address, value));
        step.effects = self.fact.and_then(says).into_iter().collect();
        step.danger = danger;
        step
    }

    /// Re-reads what the step depends on, right before its write. `Some`: a former value stays away, and why. What was there
    /// before us stood on something that is gone, and no other plan would bring it back.
    async fn precondition(
        &self,
        run: &Run<'_>,
        to: &Attrs,
        reader: &Reader,
    ) -> Result<Option<&'static str>, Failed> {
        let Run { address, seen, .. } = *run;
        let (stage, _) = (self.weigh)(address, &seen.attrs, to);
        let phone = self.name != MFA_FACTOR.name || factors::wire_factor(address) == "sms";
        // What is put back stands on what was there before us, and ours may be gone.
        let restores = run.step.op.restore;
        let unsent = async || match restores {
            true => Ok((delivery::sender(reader).await? == Sender::Nobody).then_some(delivery::NOBODY)),
            false => delivers(run, reader).await.map(|()| None),
        };
        match self.before {
            Before::ProviderDelivers if !matches!(stage, Stage::SwitchOff | Stage::NarrowTypes) && phone => {
                match self.name == MFA_FACTOR.name && !restores {
                    true => delivery::delivers_beside(run, reader).await?,
                    false => return unsent().await,
                }
            }
            Before::TwilioTakes if stage == Stage::MessageTypes && !restores => {
                handed_on::live(run, reader).await?;
            }
            Before::ActionStands if stage == Stage::Provider => delivery::action_stands(run, reader).await?,
            Before::ProviderDelivers if self.name == MFA_FACTOR.name && stage == Stage::SwitchOff => {
                let policies = reader.get(&MFA_POLICY.get()).await?;
                let asks = MFA_POLICY.shaped(&policies)?.as_array().is_some_and(|asks| !asks.is_empty());
                if asks && !run.step.op.locked {
                    let own = factors::wire_factor(address);
                    let on = factors::on(reader).await?;
                    let left: Vec<&str> = on.iter().map(String::as_str).filter(|name| *name != own).collect();
                    if left.is_empty() && on.iter().any(|name| name == own) {
                        let text = "the policy asks for a second factor by now, and this is the last one that is on; plan again";
                        return Err(Failed::NotDone(text.into()));
                    }
                    if left == ["sms"] {
                        delivery::carries_alone(run, reader).await?;
                    }
                }
            }
            Before::SomeFactor if stage == Stage::RaisePolicy => {
                let on = factors::on(reader).await?;
                let locks = |why: &'static str| match restores {
                    true => Ok(Some(why)),
                    false => Err(Failed::NotDone(format!("{why}; plan again"))),
                };
                if on.is_empty() {
                    return locks("no factor is on any more, and the policy would lock users out");
                }
                if on == ["sms"] {
                    if let Some(why) = unsent().await? {
                        return Ok(Some(why));
                    }
                    let reply = reader.get(&MESSAGE_TYPES.get()).await?;
                    if set_of(reply.get("message_types")) == json!([]) {
                        return locks("the phone factor is the only one that is on, and no message type is");
                    }
                } else if !restores && on.iter().any(|name| name == "sms") {
                    // Some users have enrolled nothing but their phone.
                    handed_on::live(run, reader).await?;
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

/// Every factor of the tenant, by its name there: whether it is on.
#[derive(Clone, Default)]
struct Factors(Vec<(String, Option<bool>)>);

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
            let reply = match reader.get(&self.get()).await {
                Ok(reply) => reply,
                Err(failed) => match self.never_set(&failed) {
                    Some(attrs) => return Ok(Seen { exists: true, attrs, ..Seen::default() }),
                    None if self.legacy => {
                        return legacy::locked(failed, hint.address, hint.want, reader).await;
                    }
                    None => return Err(failed),
                },
            };
            let attrs = self.values(hint.address, &reply)?;
            let mut seen = Seen { exists: true, attrs, ..Seen::default() };
            if self.name == MFA_FACTOR.name {
                // Factors that the manifest leaves alone count too when it is asked whether anybody is locked out.
                let factor = |one: &Json| (text(one, "name").to_owned(), one["enabled"].as_bool());
                let all = reply.as_array().into_iter().flatten().map(factor).collect();
                seen.keep(|own: &mut Factors| own.0 = all);
            }
            if self.name == UNIFIED_PHONE.name && matches!(seen.attrs.get("enabled"), Some(Value::Unknown(_)))
            {
                unified::by_probe(&mut seen, hint.address, reader).await?;
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
        if diff.changes.is_empty() || self.refused(diff) {
            return Vec::new();
        }
        let changed = |key: &str| self.whole || diff.changes.iter().any(|change| change.field == key);
        let to: Attrs = diff
            .want
            .desired
            .iter()
            .filter(|(key, _)| changed(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut step = self.set_step(diff.address, diff.seen, &to, diff.changes);
        // Fewer types go first where the API takes them already; else after what they need.
        if step.stage == Stage::NarrowTypes && !factors::taken(diff) {
            step.stage = Stage::MessageTypes;
        }
        if self.name == UNIFIED_PHONE.name && passwordless::leaves_out(diff.manifest) {
            let danger = step.danger.take().unwrap_or_default();
            step.danger = Some(format!("{danger}; {}", passwordless::WITHOUT));
        }
        vec![step]
    }

    fn leaving(&self, manifest: &Manifest) -> Leaving {
        (self.leaving)(manifest)
    }

    fn refusals(&self, diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        if !self.refused(diff) {
            return Vec::new();
        }
        vec![Finding {
            address: diff.address.to_owned(),
            text: "the tenant has the unified phone experience, and the way back to the legacy set-up is not taken: \
                   the legacy provider and its Action would have to send every code from one request to the next, \
                   and Auth0 gives the legacy set-up back through its support only"
                .into(),
            help: "use `phone.delivery: unified`".into(),
            level: Level::Blocker,
        }]
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !self.way_back {
            return Vec::new();
        }
        let back: Attrs = entry
            .restore
            .iter()
            .filter(|(key, _)| entry.fields.contains_key(*key))
            // A value that the write cannot express (several policies at once) is left to a person.
            .filter(|(_, old)| !old.as_str().is_some_and(|word| word.starts_with('(')))
            .map(|(key, old)| (key.clone(), Value::Known(old.clone())))
            .collect();
        let differs = |(key, old): &(&String, &Value)| seen.attrs.get(*key) != Some(*old);
        let back: Attrs = if self.whole && back.iter().any(|entry| differs(&entry)) {
            back
        } else {
            back.iter().filter(differs).map(|(key, old)| (key.clone(), old.clone())).collect()
        };
        if back.is_empty() || !seen.exists {
            return Vec::new();
        }
        let mut step = self.set_step(address, seen, &back, &[]);
        step.op.restore = true;
        // The API takes message types only while the factor is on, so on the way down they go back first.
        if step.stage == Stage::MessageTypes {
            step.stage = Stage::NarrowTypes;
        }
        // What the former way of sending has to stand for comes back after it.
        match step.stage {
            Stage::SwitchOn if factors::wire_factor(address) == "sms" => step.stage = Stage::SwitchBack,
            Stage::RaisePolicy => step.stage = Stage::RaiseBack,
            _ => {}
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

    fn stays(&self, step: &Step, before: &LoginPath, _after: &LoginPath) -> Option<(Level, String)> {
        // No types at all are taken with the factor off.
        let some = self.name == MESSAGE_TYPES.name && known(&values(step), "message_types") != json!([]);
        let off = some && before.phone_is_on() == Some(false);
        let why = "the phone factor is off, and without it the API takes no message types";
        off.then(|| (Level::Warning, why.into()))
    }

    fn tolerates(&self, field: &str, desired: &Value, observed: &Value) -> bool {
        (self.tolerates)(field, desired, observed)
    }

    fn facts(&self, address: &str, seen: &Seen) -> Facts {
        let all = seen.own::<Factors>().unwrap_or_default();
        let factor = |(name, on): &(String, Option<bool>)| Fact::Factor(name.as_str().into(), *on);
        let own = self.fact.map(|(field, says)| says(address, &known(&seen.attrs, field)));
        all.0.iter().map(factor).chain(own).collect()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let to = values(run.step);
            if let Some(why) = self.precondition(&run, &to, writer.reader()).await? {
                let text = format!("{}: the former value was not put back: {why}", run.address);
                writer.reader().tell(Event::notice(text));
                return Ok(Done::seen(run.seen.clone()));
            }
            let (method, path, mut body) = (self.write)(run.address, &to);
            if let Some(complete) = self.complete {
                let now = writer.reader().fresh(&self.get()).await?;
                self.values(run.address, &now)?;
                complete(&mut body, &now);
            }
            let sent = body.clone();
            let mut reply = writer.json(method, path, body, Repeat::Safe).await;
            if run.step.op.restore {
                match if_it_fits(reply, run.address, writer.reader())? {
                    None => return Ok(Done::seen(run.seen.clone())),
                    Some(taken) => reply = Ok(taken),
                }
            }
            let reply = reply?;
            // A factor's reply does not name it, so its own value is what was written.
            let mut attrs = run.seen.attrs.clone();
            let read = if self.name == MFA_FACTOR.name {
                let Some(enabled) = reply.get("enabled").and_then(Json::as_bool) else {
                    let text = format!("the reply does not say whether {} is on now", run.address);
                    return Err(Failed::Unknown(text));
                };
                Attrs::from([("enabled".to_owned(), Value::Known(json!(enabled)))])
            } else {
                // Accepted, and the reply is not what such a write is answered with: look.
                let shaped = self.shaped(&reply).map_err(|failed| Failed::Unknown(failed.to_string()))?;
                match shows(shaped, &sent) {
                    true => (self.parse)(run.address, shaped),
                    false => self.now(run.address, writer.reader()).await.map_err(|failed| {
                        Failed::Unknown(format!("the reply does not show what was set, and a look: {failed}"))
                    })?,
                }
            };
            attrs.extend(read);
            Ok(Done::seen(Seen { exists: true, attrs, ..Seen::default() }))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let attrs = self.now(run.address, reader).await?;
            let took = values(run.step).iter().all(|(key, value)| attrs.get(key) == Some(value));
            Ok(took.then(|| Done::seen(Seen { exists: true, attrs, ..Seen::default() })))
        })
    }
}

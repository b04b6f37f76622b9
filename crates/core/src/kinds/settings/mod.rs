//! Settings of the tenant that work like a switch: each kind is a row of a table, and this file implements them all.
//!
//! A setting always exists. It is read as a whole, and written with one idempotent PUT or PATCH. Destroy puts back the
//! values from before our first write; it never switches everything off. The rows are in the other files of this
//! folder, by topic.

mod branding;
mod factors;
mod legacy;
mod login;
mod policy;
mod post_login;
mod protection;
mod row;
mod unified;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::remote::read;
use super::{
    Back, Diff, Done, Hint, Kind, Leaving, Resource, Run, Seen, Task, WayBack, step, unless_refused,
};
use crate::diag::Problem;
use crate::model::address::Address;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::codes;
use crate::model::event::Event;
use crate::model::facts::{Fact, Facts};
use crate::model::field::Section;
use crate::model::last_run::Kept;
use crate::model::ledger::Entry;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{FieldChange, Finding, Level, Op, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

pub use branding::BRANDING;
pub use factors::{MESSAGE_TYPES, MFA_FACTOR};
pub use legacy::{LEGACY_TEMPLATES, SELECTED_PROVIDER};
pub use login::UNIVERSAL_LOGIN;
pub use policy::MFA_POLICY;
pub use post_login::POST_LOGIN_FACTORS;
pub use protection::PHONE_PROTECTION;
pub use unified::UNIFIED_PHONE;

use row::{Probe, Says, Setting, plain_value, written_values};

/// Whether a reply has every field that was sent with a value. A field that was emptied may be missing.
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
    /// Whether the manifest asks to switch the setting off, although a tool should not take that way back by itself.
    fn refused(&self, diff: &Diff<'_>) -> bool {
        !self.way_back
            && plain_value(&diff.want.desired, "enabled") == json!(false)
            && !diff.changes.is_empty()
    }

    /// The attributes in a reply.
    fn values(&self, address: &Address, reply: &Json) -> Result<Attrs, Failed> {
        match self.unset.filter(|_| read::is_empty(reply)) {
            Some(unset) => Ok(unset()),
            None => Ok((self.parse)(address, self.read.shaped(reply)?)),
        }
    }

    /// Reads the attributes now, without the cache.
    async fn now(&self, address: &Address, reader: &Reader) -> Result<Attrs, Failed> {
        let mut attrs = match reader.fresh(&self.read.get()).await {
            Ok(reply) => self.values(address, &reply)?,
            Err(failed) => self.if_never_set(&failed).ok_or(failed)?,
        };
        if let Some(probe) = &self.probe
            && matches!(attrs.get("enabled"), Some(Value::Unknown(_)))
        {
            attrs.insert("enabled".into(), Value::Known(json!((probe.ask)(reader).await?)));
        }
        Ok(attrs)
    }

    /// The attributes of a setting that nobody has ever changed, if the failure is a 404 that says so.
    fn if_never_set(&self, failed: &Failed) -> Option<Attrs> {
        let says_so = self.unset_is_404 && failed.status() == Some(404);
        self.unset.filter(|_| says_so).map(|unset| unset())
    }

    fn set_step(&self, address: &Address, seen: &Seen, to: &Attrs, changes: &[FieldChange]) -> Step {
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
        // A field that the step does not set changes no fact.
        let value = |field: &str| to.get(field).and_then(Value::known).filter(|value| !value.is_null());
        let says = |(field, says): Says| value(field).map(|value| says(address, value));
        step.effects = self.fact.and_then(says).into_iter().collect();
        step.danger = danger;
        step
    }
}

/// The further facts of a reply, from the row's `more_facts`.
#[derive(Clone, Default)]
struct MoreFacts(Vec<Fact>);

/// Asks the probe, because the reply does not say whether the setting is on. A refused probe becomes a note.
async fn by_probe(probe: &Probe, seen: &mut Seen, address: &Address, reader: &Reader) -> Result<(), Failed> {
    match (probe.ask)(reader).await {
        Ok(enabled) => {
            seen.attrs.insert("enabled".into(), Value::Known(json!(enabled)));
        }
        Err(failed @ Failed::Refused(_)) => {
            let (text, help) = (probe.refused)(&failed);
            seen.finding(codes::NOT_CHECKED, address, Level::Note, text, help);
        }
        Err(failed) => return Err(failed),
    }
    Ok(())
}

impl Kind for Setting {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sections(&self) -> &'static [&'static Section] {
        self.sections
    }

    fn api_path(&self) -> &'static str {
        self.read.path
    }

    fn never_set(&self) -> Attrs {
        self.unset.map(|unset| unset()).unwrap_or_default()
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        (self.declare)(manifest)
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        (self.check)(manifest, out);
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![self.read.get()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let reply = match reader.get(&self.read.get()).await {
                Ok(reply) => reply,
                Err(failed) => match self.if_never_set(&failed) {
                    Some(attrs) => return Ok(Seen { exists: true, attrs, ..Seen::default() }),
                    None if self.legacy => {
                        return legacy::seen_when_locked(failed, hint.address, hint.want, reader).await;
                    }
                    None => return Err(failed),
                },
            };
            let attrs = self.values(hint.address, &reply)?;
            let mut seen = Seen { exists: true, attrs, ..Seen::default() };
            let also = (self.more_facts)(&reply);
            if !also.is_empty() {
                seen.keep(|own: &mut MoreFacts| own.0 = also);
            }
            if let Some(probe) = &self.probe
                && matches!(seen.attrs.get("enabled"), Some(Value::Unknown(_)))
            {
                by_probe(probe, &mut seen, hint.address, reader).await?;
            }
            if matches!(seen.attrs.values().next(), Some(Value::Unknown(_))) {
                seen.finding(
                    codes::NOT_SHOWN,
                    hint.address,
                    Level::Warning,
                    "the tenant does not show this setting, so it is left alone",
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
        (self.adjust)(diff, &mut step);
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
            code: codes::LEGACY_LOCKED, address: diff.address.to_owned(),
            text: "the tenant has the unified phone experience, and Lockstep does not switch it back to the legacy set-up: \
                   the legacy provider and its Action would have to send every code from one request to the next, \
                   and Auth0 gives the legacy set-up back through its support only"
                .into(),
            help: "use `phone.delivery: unified`".into(),
            level: Level::Blocker,
        }]
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !self.way_back {
            return Vec::new();
        }
        let back: Attrs = entry
            .restore
            .iter()
            .filter(|(key, _)| entry.fields.contains_key(*key))
            // A value in parentheses is one that the write cannot express (several policies at once). A person has to
            // put it back.
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
        (self.adjust_undo)(address, &back, &mut step);
        vec![step]
    }

    /// A field that the tenant did not show has no value to put back.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        let was_absent =
            |field: &String| back.changed.fields.get(field).is_some_and(|former| former.was == Kept::Absent);
        entry.restore.retain(|field, _| !was_absent(field));
        WayBack { steps: self.removal(back.address, back.seen, &entry), ..WayBack::default() }
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        self.scopes
    }

    fn must_stay(&self, step: &Step, before: &LoginPath, _after: &LoginPath) -> Option<(Level, String)> {
        (self.must_stay)(step, before)
    }

    fn tolerates(&self, field: &str, desired: &Value, observed: &Value) -> bool {
        (self.tolerates)(field, desired, observed)
    }

    fn facts(&self, address: &Address, seen: &Seen) -> Facts {
        let also = seen.own::<MoreFacts>().unwrap_or_default();
        let own = self.fact.map(|(field, says)| says(address, &plain_value(&seen.attrs, field)));
        also.0.iter().cloned().chain(own).collect()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let to = written_values(run.step);
            let (stage, _) = (self.weigh)(run.address, &run.seen.attrs, &to);
            if let Some(why) = writer.checked((self.before)(&run, stage, writer.reader())).await? {
                let text = format!("{}: the former value was not put back: {why}", run.address);
                writer.reader().tell(Event::notice(text));
                return Ok(Done::seen(run.seen.clone()));
            }
            let (method, path, mut body) = (self.write)(run.address, &to);
            if let Some(complete) = self.complete {
                let now = writer.reader().fresh(&self.read.get()).await?;
                self.values(run.address, &now)?;
                complete(&mut body, &now);
            }
            let sent = body.clone();
            let mut reply = writer.json(method, path, body, Repeat::Safe).await;
            if run.step.op.restore {
                match unless_refused(reply, run.address, writer.reader())? {
                    None => return Ok(Done::seen(run.seen.clone())),
                    Some(taken) => reply = Ok(taken),
                }
            }
            let reply = reply?;
            let mut attrs = run.seen.attrs.clone();
            let read = if let Some(written) = self.written {
                written(run.address, &reply)?
            } else {
                // The write was accepted. If the reply does not show every field that was sent, another read shows the
                // result.
                let shaped =
                    self.read.shaped(&reply).map_err(|failed| Failed::Unknown(failed.to_string()))?;
                match shows(shaped, &sent) {
                    true => (self.parse)(run.address, shaped),
                    false => self.now(run.address, writer.reader()).await.map_err(|failed| {
                        Failed::Unknown(format!(
                            "the reply does not show what was set, and reading it failed: {failed}"
                        ))
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
            let took = written_values(run.step).iter().all(|(key, value)| attrs.get(key) == Some(value));
            Ok(took.then(|| Done::seen(Seen { exists: true, attrs, ..Seen::default() })))
        })
    }
}

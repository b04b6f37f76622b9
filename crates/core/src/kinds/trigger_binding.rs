//! The binding of our Action: its entry in the trigger's list.
//!
//! A PATCH replaces the whole list and gives every entry a new id. So an entry is identified by its Action and display
//! name, all other entries are sent back as they were read right before, and nothing is sent if our entry is in its
//! place already.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::binding_order::{Bound, Position, place};
use super::guards::OTHERS;
use super::identity::{self, Candidate, Clues, Meant};
use super::looks::{self, Ready, delivery, handed_on, sender};
use super::remote::{actions, bindings};
use super::said::actions::{Company, FEEDBACK, LEGACY, PHONE, POST_LOGIN, Spec};
use super::said::rules;
use super::{Diff, Done, Hint, Kind, Leaving, Resource, Run, Seen, Task, Whose, step, text};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::event::Event;
use crate::model::facts::{Binding, Demands, Fact, Factor, Facts};
use crate::model::field::{FIELD, Field, Section, Type, form, says};
use crate::model::ledger::{Entry, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

pub use super::remote::bindings::parse;

/// The binding of one Action of the stack.
pub struct TriggerBinding {
    pub action: &'static Spec,
    /// Path of its manifest section.
    pub section: &'static str,
    pub sections: &'static [&'static Section],
    /// Stage of the step that binds the Action.
    pub stage: Stage,
    /// Stage of the step that unbinds it.
    pub remove: Stage,
    /// The place in the list if the manifest names none.
    pub place: fn(&Manifest) -> Position,
    /// What users notice when the Action is bound, in words. `None`: nothing.
    pub danger: fn(&Diff<'_>) -> Option<String>,
    /// What users notice when the Action is unbound, in words.
    pub removal_danger: Option<&'static str>,
    /// The check right before our entry is created.
    pub ready: Option<Ready>,
}

/// The binding of the legacy phone Action.
pub static LEGACY_BINDING: TriggerBinding = TriggerBinding {
    action: &LEGACY,
    section: "action.binding",
    sections: &[&SECTION],
    stage: Stage::Bind,
    remove: Stage::Unbind,
    place: |_| Position::Last,
    danger: |_| None,
    removal_danger: None,
    ready: Some(handed_on::ready),
};

/// The binding of the phone Action.
pub static PHONE_BINDING: TriggerBinding = TriggerBinding {
    action: &PHONE,
    section: "action.binding",
    sections: &[&SECTION],
    stage: Stage::Bind,
    remove: Stage::Unbind,
    place: |_| Position::Last,
    danger: |_| None,
    removal_danger: None,
    ready: Some(handed_on::ready),
};

/// The binding of the Action that asks for factors, beside everybody else's.
pub static POST_LOGIN_BINDING: TriggerBinding = TriggerBinding {
    action: &POST_LOGIN,
    section: "mfa.post_login.binding",
    sections: &[&POST_LOGIN_SECTION],
    stage: Stage::BindRules,
    remove: Stage::UnbindRules,
    // What was proven by a rule is reported behind it.
    place: |manifest| match (FEEDBACK.wanted)(manifest) {
        true => Position::LastBefore(FEEDBACK.action_name(manifest)),
        false => Position::Last,
    },
    danger: rules::danger_of_binding,
    removal_danger: Some("no login is asked for a second factor by these rules any more"),
    ready: Some(looks::rules::ready),
};

/// The binding of the Action that gives feedback, behind the one with the rules.
pub static FEEDBACK_BINDING: TriggerBinding = TriggerBinding {
    action: &FEEDBACK,
    section: FEEDBACK.section,
    sections: &[],
    stage: Stage::Feedback,
    remove: Stage::RemoveFeedback,
    place: |manifest| Position::After(POST_LOGIN.action_name(manifest)),
    danger: |_| None,
    removal_danger: None,
    ready: None,
};

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Bind {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<String>,
    },
    Unbind,
}

impl Act {
    fn unbinds(&self) -> bool {
        match self {
            Act::Bind { .. } => false,
            Act::Unbind => true,
        }
    }
}

/// Most Actions that can be bound to one trigger ("Auth0 docs, entity limits", 2026-08).
const BOUND_MAX: usize = 20;

/// What a refused binding means for users: the end of a sentence.
const UNSURE: &str = "so whether codes arrive is not known";
/// What to do about a refused binding.
const LOG_IN: &str =
    "every apply tries the binding again; log in once by phone, and leave another factor on until then";

/// Most tries of one binding. Under load an Action cannot be bound right after its deployment, and Auth0 refuses with a
/// plain 400. Other tools wait 2 s to half a minute ("auth0-deploy-cli, actions handler", 2026-08).
const BINDABLE_TRIES_MAX: u32 = 12;

static SECTION: Section = Section {
    path: "action.binding",
    doc: "The Action's place in its trigger",
    required: false,
    fields: &[
        DISPLAY_NAME,
        POSITION,
        Field {
            key: BESIDE,
            ty: Type::Set(&[]),
            doc: "Actions of others that may stay bound to send-phone-message, by Action or display name: those that send \
                  nothing, or every code goes out twice",
            ..FIELD
        },
    ],
};

static POST_LOGIN_SECTION: Section = Section {
    path: "mfa.post_login.binding",
    doc: "The Action's place among the other post-login Actions, which all stay as they are",
    required: false,
    fields: &[DISPLAY_NAME, POSITION],
};

/// Key in the manifest: names of other Actions that may be bound beside ours.
const BESIDE: &str = "beside";

const DISPLAY_NAME: Field = Field {
    key: "display_name",
    ty: Type::Text { min: 1, max: 255, check: None },
    wire: "display_name",
    doc: "name in the flow; defaults to the Action's name",
    ..FIELD
};

const POSITION: Field = Field {
    key: "position",
    ty: Type::Text { min: 4, max: 300, check: form(r"^(first|last|(before|after) .*\S.*)$", position) },
    default: Some("last"),
    says: &[says("", "in_place")],
    doc: "first, last (where a new entry goes; a bound one stays), `before NAME` or `after NAME` (Action or display name)",
    ..FIELD
};

fn position(value: &str) -> Result<(), (String, String)> {
    match Position::parse(value) {
        Some(_) => Ok(()),
        None => Err(("not a position".into(), "write first, last, `before NAME` or `after NAME`".into())),
    }
}

impl TriggerBinding {
    fn path(&self) -> String {
        bindings::path(self.action.trigger.id)
    }

    /// The read of the trigger's list.
    fn list(&self) -> Get {
        bindings::list_bindings(self.action.trigger.id)
    }

    fn position(&self, manifest: &Manifest) -> Position {
        let said = manifest.text(self.section, "position").and_then(Position::parse);
        said.filter(|position| *position != Position::Last).unwrap_or_else(|| (self.place)(manifest))
    }

    /// The step that tries a binding once more that the tenant refused in an earlier run. `None`: it was not refused.
    fn retry(&self, diff: &Diff<'_>) -> Option<Step> {
        let refused = own_state(diff.seen).refused == Some(RefusedCall::Write);
        let op = Op::of(Act::Bind { position: None });
        let mut step = diff.step(Verb::Create, self.stage, "try the binding again", op);
        step.reason = "the tenant refused it before, and such a refusal may pass".into();
        step.effects = Facts::from([(self.action.bound)(Binding::Bound)]);
        step.creates = true;
        step.again = true;
        refused.then_some(step)
    }

    /// Reads which factors other people's Actions on this trigger ask for, by name of the Action.
    async fn others(&self, manifest: &Manifest, reader: &Reader) -> Result<Seen, Failed> {
        let bound = parse(&*reader.get(&self.list()).await?)?;
        let list = reader.get(&actions::list_actions()).await?;
        let all = actions::items(&list)?;
        let mut asked = Demands::default();
        for entry in bound.iter().filter(|entry| !self.action.is_called(manifest, &entry.action_name)) {
            let action = all.iter().find(|action| text(action, "id") == entry.action_id);
            let code = action.map(|action| text(&action["deployed_version"], "code")).unwrap_or_default();
            if let Some(factors) = rules::factors_asked(code) {
                let factors = factors.into_iter().map(Factor::from).collect();
                asked.insert(entry.action_name.clone(), factors);
            }
        }
        let mut seen = Seen::default();
        seen.keep(|own: &mut Own| own.asked = Some(asked));
        Ok(seen)
    }

    /// Names of the bound Actions that must not be bound beside ours.
    fn foreign<'a>(&self, manifest: &Manifest, bound: &'a [Bound], ours: &str) -> Vec<&'a str> {
        let allowed = match self.action.trigger.company {
            Company::None => Vec::new(),
            Company::Named => manifest.set(self.section, BESIDE),
            Company::Any => return Vec::new(),
        };
        let may_stay = |entry: &Bound| {
            allowed.iter().any(|name| *name == entry.action_name || *name == entry.display_name)
        };
        let others = bound.iter().filter(|entry| entry.action_id != ours && !may_stay(entry));
        others.map(|entry| entry.action_name.as_str()).collect()
    }

    /// Id of our Action: its present id, else the id in the list as it was read for the plan.
    fn action_id(&self, run: &Run<'_>) -> String {
        let now = run.ids.get(self.action.name).and_then(|ids| ids.get("id"));
        let bound = run.seen.ids.get("action_id");
        // A removal takes out the entry that the plan has shown.
        let id = if run.step.verb == Verb::Delete { bound.or(now) } else { now.or(bound) };
        id.cloned().unwrap_or_default()
    }
}

fn list_body(list: &[Bound]) -> Json {
    let entries: Vec<Json> = list
        .iter()
        .map(|entry| {
            let mut item = json!({ "ref": { "type": "action_id", "value": entry.action_id } });
            if !entry.display_name.is_empty() {
                item["display_name"] = json!(entry.display_name);
            }
            item
        })
        .collect();
    json!({ "bindings": entries })
}

fn seen_in(list: &[Bound], action_id: &str, position: &Position) -> Seen {
    let mut seen = Seen::default();
    seen.keep(|own: &mut Own| own.list = list.to_vec());
    if let Some(entry) = list.iter().find(|entry| !action_id.is_empty() && entry.action_id == action_id) {
        seen.exists = true;
        seen.attrs.insert("display_name".into(), Value::text(&entry.display_name));
        let in_place = place(list, entry, position) == list;
        seen.attrs.insert("in_place".into(), Value::Known(json!(in_place)));
    }
    seen
}

/// What is known of a trigger besides our own entry.
#[derive(Clone, Default)]
struct Own {
    list: Vec<Bound>,
    refused: Option<RefusedCall>,
    /// The factors that other people's Actions ask for. `None`: they were not read.
    asked: Option<Demands>,
}

/// What the tenant refused.
#[derive(Clone, Copy, PartialEq)]
enum RefusedCall {
    /// The read of the list.
    Read,
    /// The write of the list with our entry.
    Write,
}

fn own_state(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

fn our_entry(desired: &Attrs, action_id: &str, action_name: &str) -> Bound {
    Bound {
        action_id: action_id.to_owned(),
        action_name: action_name.to_owned(),
        display_name: desired.get("display_name").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

impl Kind for TriggerBinding {
    fn name(&self) -> &'static str {
        let Spec { binding, .. } = self.action;
        binding
    }

    fn sections(&self) -> &'static [&'static Section] {
        self.sections
    }

    fn api_path(&self) -> &'static str {
        "/api/v2/actions/triggers/{trigger}/bindings"
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        if !(self.action.wanted)(manifest) {
            return Vec::new();
        }
        let action_name = self.action.action_name(manifest);
        let display_name = manifest.text(self.section, "display_name").unwrap_or(&action_name);
        let desired = Attrs::from([
            ("display_name".to_owned(), Value::text(display_name)),
            ("in_place".to_owned(), Value::Known(json!(true))),
        ]);
        vec![Resource { address: Address::of(self.action.binding), kind: self.action.binding, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let lonely = match self.action.trigger.company {
            Company::None => true,
            Company::Named => manifest.get(self.section, BESIDE).is_none(),
            Company::Any => false,
        };
        if !lonely || !(self.action.wanted)(manifest) {
            return;
        }
        let placed = matches!(self.position(manifest), Position::Before(_) | Position::After(_));
        let named = manifest.get(self.section, BESIDE).is_some();
        let useless = [
            (placed, "position", "the position names a neighbour, but there can be none"),
            (named, BESIDE, "no other Action can be bound here"),
        ];
        for (_, key, title) in useless.into_iter().filter(|(is_there, ..)| *is_there) {
            out.push(
                Problem::error(
                    codes::CONFLICT,
                    format!("{}.{key}", self.section),
                    title,
                    format!("{} takes one Action only", self.action.trigger.id),
                    "remove this line",
                )
                .warning(),
            );
        }
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![self.list()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            if hint.address == self.action.sender {
                return sender::look(self.action, reader).await;
            }
            if hint.address == OTHERS {
                return self.others(hint.manifest, reader).await;
            }
            let reply = match reader.get(&self.list()).await {
                Ok(reply) => reply,
                // Some tenants may not list the bindings of this trigger at all. Then there is nothing to bind.
                Err(failed) if self.action.optional && matches!(failed.status(), Some(400 | 404)) => {
                    let mut seen = Seen { exists: true, ..Seen::default() };
                    seen.keep(|own: &mut Own| own.refused = Some(RefusedCall::Read));
                    seen.attrs = hint.want.map(|want| want.desired.clone()).unwrap_or_default();
                    let trigger = self.action.trigger.id;
                    let text = format!("the tenant does not list bindings of {trigger} ({failed}), {UNSURE}");
                    if hint.want.is_some() {
                        seen.finding(codes::BINDING_REFUSED, hint.address, Level::Warning, text, LOG_IN);
                    }
                    return Ok(seen);
                }
                Err(failed) => return Err(failed),
            };
            let bound = parse(&reply)?;
            // The kind of the Action decides with all its evidence which Action is ours. Here the name or the recorded
            // id is enough.
            let name = self.action.action_name(hint.manifest);
            let called = |entry: &Bound| self.action.is_called(hint.manifest, &entry.action_name);
            let candidates = bound.iter().map(|entry| Candidate {
                id: &entry.action_id,
                name: if called(entry) { &name } else { &entry.action_name },
                matches: true,
            });
            let candidates: Vec<_> = candidates.collect();
            // The Action's own clues have the ids from before an unfinished run, and the name that the run was to give
            // our Action.
            let address = Address::of(self.action.name);
            let action = Hint { address: &address, want: None, ..hint };
            let recorded = hint.clues("action_id", "").recorded;
            let clues = Clues { recorded, name: &name, ..action.clues("id", "name") };
            let id = match identity::meant(&clues, &candidates) {
                Meant::One(at, _) => bound[at].action_id.clone(),
                Meant::Ambiguous(those) => bound[those[0]].action_id.clone(),
                Meant::Absent => String::new(),
            };
            let mut seen = seen_in(&bound, &id, &self.position(hint.manifest));
            if !id.is_empty() {
                seen.ids.insert("action_id".into(), id.clone());
            }
            if seen.exists {
                // A binding without a record needs no consent of its own: it is the Action that is taken over.
                seen.whose = match hint.believing(identity::whose(&hint.clues("action_id", ""), &id)) {
                    Whose::Unowned => Whose::Ours,
                    whose => whose,
                };
            }
            let foreign = self.foreign(hint.manifest, &bound, &id);
            if hint.want.is_some() && !foreign.is_empty() {
                let help = match self.action.trigger.company {
                    Company::Named => {
                        "two Actions would send two messages: unbind that one, or take it over by its name; one that \
                         sends nothing may stay when action.binding.beside names it"
                    }
                    _ => "two Actions would send two messages: unbind that one, or take it over by its name",
                };
                let text =
                    format!("another Action is bound to {}: {}", self.action.trigger.id, foreign.join(", "));
                seen.finding(codes::SENT_TWICE, hint.address, Level::Blocker, text, help);
            }
            let room = hint.want.is_none() || seen.exists || bound.len() < BOUND_MAX;
            if !room && self.action.trigger.company != Company::None {
                let text = format!(
                    "{} has {} Actions and may have {BOUND_MAX}",
                    self.action.trigger.id,
                    bound.len()
                );
                seen.finding(
                    codes::NO_ROOM,
                    hint.address,
                    Level::Blocker,
                    text,
                    "unbind an Action that is not needed",
                );
            }
            // An earlier run noted that the API refused the binding. Auth0 may call the Action all the same (the
            // documents disagree), or the refusal may pass. So it is no difference, and each apply tries the binding
            // again.
            if hint.entry.is_some_and(|entry| entry.notes.get("refused") == Some(&json!(true))) {
                // If somebody has bound the Action meanwhile, it stays in the place that they gave it.
                for (field, value) in hint.want.map(|want| &want.desired).into_iter().flatten() {
                    seen.attrs.insert(field.clone(), value.clone());
                }
                if !seen.exists {
                    seen.exists = true;
                    seen.keep(|own: &mut Own| own.refused = Some(RefusedCall::Write));
                    let trigger = self.action.trigger.id;
                    let text = format!("the tenant refused to bind the Action to {trigger}, {UNSURE}");
                    if hint.want.is_some() {
                        seen.finding(codes::BINDING_REFUSED, hint.address, Level::Warning, text, LOG_IN);
                    }
                }
            }
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if diff.seen.exists && diff.changes.is_empty() {
            return self.retry(diff).into_iter().collect();
        }
        let entry = our_entry(&diff.want.desired, "", "");
        let placed = place(&own_state(diff.seen).list, &entry, &self.position(diff.manifest));
        let order: Vec<&str> = placed.iter().map(|entry| entry.display_name.as_str()).collect();
        let (verb, what) =
            if diff.seen.exists { (Verb::Update, "update the binding") } else { (Verb::Create, "bind") };
        let position = diff.manifest.text(self.section, "position").unwrap_or("last");
        let op = Op::of(Act::Bind { position: Some(position.to_owned()) });
        let mut step = diff.step(verb, self.stage, what, op);
        step.reason = if diff.seen.exists {
            diff.changed_names()
        } else {
            format!(
                "the Action is not bound to {}; the list will be: {}",
                self.action.trigger.id,
                order.join(", ")
            )
        };
        step.effects = Facts::from([(self.action.bound)(Binding::Bound)]);
        step.creates = !diff.seen.exists;
        step.danger = (self.danger)(diff);
        vec![step]
    }

    fn leaving(&self, manifest: &Manifest) -> Leaving {
        (self.action.leaving)(manifest)
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists || entry.ownership == Ownership::Adopted || own_state(seen).refused.is_some() {
            return Vec::new();
        }
        let mut step = step(
            address,
            self.action.binding,
            Verb::Delete,
            self.remove,
            "take our entry out",
            Op::of(Act::Unbind),
        );
        step.reason = "it was added by this stack; all other entries stay".into();
        step.effects = Facts::from([(self.action.bound)(Binding::Unbound)]);
        step.danger = self.removal_danger.map(str::to_owned);
        vec![step]
    }

    fn removal_refusal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Option<Finding> {
        let stays = seen.exists
            && entry.ownership == Ownership::Adopted
            && self.action.trigger.company == Company::Any;
        stays.then(|| Finding {
            code: codes::NOT_PUT_BACK,
            address: address.to_owned(),
            text: "the Action was bound before this stack, so it stays bound, with the rules in its code"
                .into(),
            help: "unbind it in the Auth0 dashboard if it should no longer ask for a factor".into(),
            level: Level::Note,
        })
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &["update:actions"]
    }

    fn facts(&self, address: &Address, seen: &Seen) -> Facts {
        if address == self.action.sender {
            return sender::facts(self.action, seen);
        }
        if address == OTHERS {
            return Facts::from([Fact::Others(own_state(seen).asked.clone())]);
        }
        let binding = match own_state(seen).refused.is_some() {
            true => Binding::Refused,
            false if seen.exists => Binding::Bound,
            false => Binding::Unbound,
        };
        Facts::from([(self.action.bound)(binding)])
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let position = self.position(run.manifest);
            let unbind = run.act::<Act>()?.unbinds();
            let id = self.action_id(&run);
            let entry = our_entry(run.desired, &id, &self.action.action_name(run.manifest));
            let path = self.path();
            if let Some(ready) = self.ready.filter(|_| run.step.creates) {
                writer.checked(ready(&run, writer.reader())).await?;
            }
            if run.step.op.retires {
                writer.checked(delivery::took_over(&run, writer.reader())).await?;
            }
            // An earlier run has already tried this binding in vain, so one more try is enough.
            let tries_max = if run.step.again { 1 } else { BINDABLE_TRIES_MAX };
            let noted = |seen: Seen| {
                let notes = run.step.again.then(|| ("refused".to_owned(), json!(false)));
                Done { notes: notes.into_iter().collect(), ..Done::seen(seen) }
            };
            let mut tries = 0;
            loop {
                tries += 1;
                let before = parse(&writer.reader().fresh(&self.list()).await?)?;
                let after: Vec<Bound> = if unbind {
                    before.iter().filter(|bound| bound.action_id != id).cloned().collect()
                } else {
                    place(&before, &entry, &position)
                };
                let same = before.len() == after.len()
                    && before
                        .iter()
                        .zip(&after)
                        .all(|(b, a)| b.action_id == a.action_id && b.display_name == a.display_name);
                if same {
                    return Ok(noted(with_id(seen_in(&before, &id, &position), &id)));
                }
                match writer.json(Method::Patch, &path, list_body(&after), Repeat::NeverBlind).await {
                    Ok(reply) => {
                        // The API accepted the list. The list in the reply shows the result.
                        let now = parse(&reply).map_err(|failed| Failed::Unknown(failed.to_string()))?;
                        let lost: Vec<&str> = after
                            .iter()
                            .filter(|wanted| !now.iter().any(|bound| bound.action_id == wanted.action_id))
                            .map(|wanted| wanted.action_name.as_str())
                            .collect();
                        if !lost.is_empty() {
                            return Err(Failed::Unknown(format!(
                                "the reply lacks entries that were sent: {}",
                                lost.join(", ")
                            )));
                        }
                        return Ok(noted(with_id(seen_in(&now, &id, &position), &id)));
                    }
                    // A refusal may pass, so the write is repeated before the refusal is taken for the tenant's last
                    // word.
                    Err(failed)
                        if !unbind
                            && tries < tries_max
                            && (failed.status() == Some(400)
                                || self.action.optional
                                    && failed.status() == Some(403)
                                    && failed.code() != Some("insufficient_scope")) =>
                    {
                        writer.reader().tell(Event::Polling {
                            address: run.address.to_owned(),
                            state: "not bindable yet".into(),
                        });
                        writer.reader().sleep_ms(1000 + 500 * u64::from(tries)).await;
                    }
                    // The documented set-up has no binding step at all, so a refusal is noted and the run goes on.
                    Err(failed)
                        if self.action.optional
                            && !unbind
                            && matches!(failed.status(), Some(400 | 403 | 404 | 409 | 422))
                            && failed.code() != Some("insufficient_scope") =>
                    {
                        // If somebody else has deleted the Action, the refusal looks the same.
                        if let Err(gone) = writer.reader().fresh(&actions::read_action(&id)).await {
                            return Err(if gone.status() == Some(404) { failed } else { gone });
                        }
                        writer.reader().tell(Event::notice(format!(
                            "{}: the tenant refuses the binding ({failed}), {UNSURE}; {LOG_IN}",
                            run.address
                        )));
                        // The result has no `action_id`, so that no later check looks for a binding that does not
                        // exist.
                        let mut seen = seen_in(&before, &id, &position);
                        seen.exists = true;
                        seen.keep(|own: &mut Own| own.refused = Some(RefusedCall::Write));
                        seen.attrs = run.desired.clone();
                        let notes = [("refused".to_owned(), json!(true))].into();
                        return Ok(Done { notes, ..Done::seen(seen) });
                    }
                    Err(failed) => return Err(failed),
                }
            }
        })
    }

    /// The list is written whole, so a repeated write gives the same list.
    fn may_repeat(&self, _step: &Step) -> bool {
        true
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let position = self.position(run.manifest);
            let now = parse(&reader.fresh(&self.list()).await?)?;
            let id = self.action_id(&run);
            let seen = with_id(seen_in(&now, &id, &position), &id);
            let unbind = run.act::<Act>()?.unbinds();
            let took = if unbind {
                !seen.exists
            } else {
                seen.exists && run.desired.iter().all(|(field, value)| seen.attrs.get(field) == Some(value))
            };
            Ok(took.then(|| Done::seen(seen)))
        })
    }
}

fn with_id(mut seen: Seen, id: &str) -> Seen {
    seen.ids.insert("action_id".into(), id.to_owned());
    seen
}

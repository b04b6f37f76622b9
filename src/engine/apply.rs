//! The apply protocol: lease, re-read, intent, steps, result, release, final check.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::intent;
use super::lease::{Lease, Taken, clear_left_over};
use super::observe::{Observation, Session, moved, observe, plan};
use super::outcome::kept;
pub use super::outcome::{Ended, Outcome, Wishes};
use super::permission::told;
use super::store::Found;
use crate::kinds::{self, Done, Resource, Run, Seen};
use crate::ledger::HISTORY_MAX;
use crate::model::call::Failed;
use crate::model::ledger::{Applied, Entry, LEDGER_SCHEMA, Last, Ledger, NOT_BEFORE, Ownership};
use crate::model::plan::{Event, Level, Plan, Step, Verb};
use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Ids, Value};
use crate::plan::compare::{self, Known};
use crate::port::{FENCED, LOOKS_MS, Port, beside};

mod record;

/// How often a step whose outcome is unknown, and which turned out not to have happened, is tried again.
const STEP_TRIES_MAX: u32 = 4;
/// Wait before the nonce is read back where there is no lease: longer than one round trip of anybody.
const NONCE_WAIT_MS: u64 = 2_000;

/// Applies the plan of an observation.
pub async fn apply(session: &Session, observation: Observation, wishes: Wishes, port: &Port) -> Outcome {
    let plan = observation.plan.clone();
    if let Some(blocker) = plan.blockers().next() {
        return Outcome::before_any_step(
            Ended::Failed(format!("{}: {}", blocker.address, blocker.text)),
            &plan,
        );
    }
    if !plan.has_work() {
        let ledger = observation.found.ledger.as_ref();
        if let Err(failed) = clear_left_over(&session.tenant, ledger, session.destroy, port).await {
            port.tell(Event::Notice(format!("whether a lease was left behind is not known: {failed}")));
        }
        return Outcome::before_any_step(Ended::Done, &plan);
    }
    let lease = match Lease::take(&session.tenant, &session.account, &session.who, session.lease_ttl_ms, port)
        .await
    {
        Ok(Taken::Lease(lease)) => lease,
        Ok(Taken::Held { owner }) => return Outcome::before_any_step(Ended::LeaseHeld(owner), &plan),
        Ok(Taken::OtherAccount(other)) => {
            let text = format!(
                "the Twilio credentials belong to account {other}, and the manifest names {}; nothing was changed",
                session.account
            );
            return Outcome::before_any_step(Ended::Failed(text), &plan);
        }
        Err(Failed::Stopped) => return Outcome::before_any_step(Ended::Stopped, &plan),
        Err(failed) => {
            let text = format!("no lease, so nothing was changed: {}", told(&failed, &session.manifest, &[]));
            return Outcome::before_any_step(Ended::Failed(text), &plan);
        }
    };
    let held = lease.clone();
    let outcome =
        beside(under_lease(session, observation, &plan, wishes, &lease, port), held.keep(port)).await;
    if let Err(failed) = lease.release(port).await {
        port.tell(Event::Notice(format!("the lease was not released and runs out by itself: {failed}")));
    }
    outcome
}

async fn under_lease(
    session: &Session,
    observation: Observation,
    plan: &Plan,
    wishes: Wishes,
    lease: &Lease,
    port: &Port,
) -> Outcome {
    let early = |ended| Outcome::before_any_step(ended, plan);
    let fail = |failed: Failed| match failed {
        Failed::Stopped => early(Ended::Stopped),
        failed => early(Ended::Failed(failed.to_string())),
    };
    let observation = if wishes.reread || observation.torn {
        match observe(session, &port.reader()).await {
            Ok(now) if now.plan.basis == plan.basis => now,
            Ok(_) if !wishes.reread => return early(Ended::Moved),
            Ok(now) => return early(Ended::Stale(moved(plan, &now.plan))),
            Err(failed) => return fail(failed),
        }
    } else {
        let known = &observation.found;
        // Where something goes, another stack may have taken it over since: its record comes with the whole list.
        let goes =
            plan.steps.iter().any(|step| step.verb == Verb::Delete || step.op["restore"] == json!(true));
        let now = match goes {
            true => session.store.load(session.owner(), &port.reader(), true).await,
            false => session.store.reload(session.owner(), known, &port.reader()).await,
        };
        let mut now = match now {
            Ok(now) => now,
            Err(failed) => return fail(failed),
        };
        if !now.is_as(known) {
            return early(Ended::Moved);
        }
        if goes && session.destroy {
            let added = session.store.add_others(&mut now, &session.owner(), &port.reader(), true).await;
            if let Err(failed) = added {
                return fail(failed);
            }
        }
        if goes && !now.has_others_as(known) {
            return early(Ended::Moved);
        }
        // The run before us may have died in the middle of its steps, with the same record.
        if lease.was_waited_for() {
            return early(Ended::Moved);
        }
        observation
    };
    if port.interrupted() {
        return early(Ended::Stopped);
    }
    // A process that slept since it took the lease must not write into another one's run: it plans anew.
    if lease.is_lost(port) {
        return early(Ended::Moved);
    }
    let mut work = Work::new(session, observation, plan, port);
    if let Err(failed) = work.write_intent(lease).await {
        return match failed {
            Failed::Stopped => early(Ended::Stopped),
            Failed::NotDone(text) if text == OTHER_NONCE => {
                early(Ended::LeaseHeld("another run (seen in the ledger)".into()))
            }
            Failed::NotDone(text) if text == FENCED => early(Ended::Moved),
            failed => early(Ended::Failed(format!(
                "the ledger could not be written, so nothing was started: {}",
                told(
                    &failed,
                    &session.manifest,
                    session.store.scopes(&work.observation.found, session.destroy)
                )
            ))),
        };
    }
    let mut outcome = work.steps(lease).await;
    let complete = outcome.ended == Ended::Done;
    if let Err(failed) = work.write_result(&outcome, lease).await {
        let text = format!(
            "the steps ran, but the ledger could not be written: {failed}; apply again to record them"
        );
        if complete {
            outcome.ended = Ended::Failed(text);
        } else {
            port.tell(Event::Notice(text));
        }
    }
    if outcome.ended == Ended::Done {
        outcome.ended = work.final_check(wishes.verify).await;
    }
    outcome
}

const OTHER_NONCE: &str = "the ledger holds another run's nonce";

/// The state of one apply.
struct Work<'a> {
    session: &'a Session,
    port: &'a Port,
    plan: &'a Plan,
    observation: Observation,
    ledger: Ledger,
    action_id: Option<String>,
    /// Addresses whose secrets were sent in this run.
    wrote_secrets: BTreeSet<String>,
    /// Addresses that this run created.
    created: BTreeSet<String>,
    /// Addresses that a step of this run touched.
    touched: BTreeSet<String>,
    /// The last failure left something unknown: the intent stays, so that the next run looks.
    unsettled: bool,
    /// This run may have made something that is not found, and the record does not say so yet.
    lost_one: bool,
    /// The intent goes on from that of an unfinished run.
    inherited: bool,
    wanted: Vec<Resource>,
    /// Values of generated secrets: as they stand, or drawn anew. The same name is the same value everywhere.
    generated: BTreeMap<String, Secret>,
}

impl<'a> Work<'a> {
    fn new(session: &'a Session, observation: Observation, plan: &'a Plan, port: &'a Port) -> Work<'a> {
        let mut ledger = observation.found.ledger.clone().unwrap_or_else(|| Ledger {
            schema: LEDGER_SCHEMA,
            tenant: session.tenant.clone(),
            account: session.account.clone(),
            stack: session.manifest.stack.clone(),
            serial: 0,
            salt: session.new_salt(),
            resources: BTreeMap::new(),
            intent: None,
            history: Vec::new(),
            seals: BTreeMap::new(),
        });
        // What was recorded of one object says nothing of another one in its place.
        ledger.resources.retain(|address, _| {
            let seen = observation.seen.get(address);
            seen.is_none_or(|seen| seen.raw.get(kinds::ANOTHER) != Some(&json!(true)))
        });
        let wanted = session.declared();
        let Observation { seen, found, prints, .. } = &observation;
        let mut generated = Known::of(&wanted, seen, found.ledger.as_ref(), prints).generated;
        for value in wanted.iter().flat_map(|want| want.desired.values()) {
            if let Value::Generated(name) = value {
                let draw = || session.entropy.draw(&format!("generated.{name}"));
                let fresh = || Secret::new(URL_SAFE_NO_PAD.encode(&draw()[..24]), Origin::Machine);
                generated.entry(name.clone()).or_insert_with(fresh);
            }
        }
        Work {
            session,
            port,
            plan,
            action_id: observation.found.action_id.clone(),
            observation,
            ledger,
            wrote_secrets: BTreeSet::new(),
            created: BTreeSet::new(),
            touched: BTreeSet::new(),
            unsettled: false,
            lost_one: false,
            inherited: false,
            wanted,
            generated,
        }
    }

    fn ids(&self) -> BTreeMap<String, Ids> {
        self.observation.seen.iter().map(|(address, seen)| (address.clone(), seen.ids.clone())).collect()
    }

    async fn save(&mut self) -> Result<(), Failed> {
        self.ledger.serial += 1;
        self.ledger.schema = self.ledger.schema_needed();
        self.ledger = self.session.owner().keys.sealed(&self.ledger);
        let id = self.session.store.save(&self.ledger, self.action_id.clone(), self.port).await?;
        self.action_id = id;
        Ok(())
    }

    /// Says what is about to happen, so that a run that is killed is understood by the next one.
    async fn write_intent(&mut self, lease: &Lease) -> Result<(), Failed> {
        // Nothing is begun by trying again what was refused: the record knows of it already.
        if self.plan.steps.iter().all(|step| step.again) || !self.session.store.keeps() {
            return Ok(());
        }
        let former = self.ledger.intent.take();
        self.inherited = former.is_some();
        let nonce = hex(&self.session.entropy.draw("nonce")[..8]);
        let begun = intent::begun(self.plan, &self.wanted, &self.known());
        let at = timestamp(self.port.server_now_ms());
        let seen = &self.observation.seen;
        let begins = intent::begins(nonce.clone(), at, self.plan, begun, seen, &self.ledger);
        self.ledger.intent = Some(match former {
            Some(former) => intent::goes_on(begins, former, seen, &mut self.ledger),
            None => begins,
        });
        self.save().await?;
        if !lease.is_real() {
            self.port.reader().sleep_ms(NONCE_WAIT_MS).await;
            if self.session.store.yields(self.session.owner(), self.action_id.as_deref(), self.port).await? {
                return Err(Failed::NotDone(OTHER_NONCE.into()));
            }
            if !self.is_ours(&nonce).await? {
                return Err(Failed::NotDone(OTHER_NONCE.into()));
            }
        }
        Ok(())
    }

    /// Whether the record holds our intent, and not yet that of another run.
    async fn is_ours(&self, nonce: &str) -> Result<bool, Failed> {
        let known = Found { action_id: self.action_id.clone(), ..Found::default() };
        let now = self.session.store.reload(self.session.owner(), &known, &self.port.reader()).await?;
        Ok(now.nonce.as_deref() == Some(nonce))
    }

    async fn steps(&mut self, lease: &Lease) -> Outcome {
        let mut outcome =
            Outcome { not_started: Vec::new(), ..Outcome::before_any_step(Ended::Done, self.plan) };
        let steps = self.plan.steps.clone();
        for (index, step) in steps.iter().enumerate() {
            let rest = |outcome: &mut Outcome, from: usize| {
                outcome.not_started = steps[from..].iter().map(|step| step.number).collect();
            };
            if self.port.interrupted() {
                outcome.ended = Ended::Stopped;
                rest(&mut outcome, index);
                break;
            }
            if lease.is_lost(self.port) {
                outcome.ended = Ended::Failed(
                    "the lease was taken over by another run, or could not be kept; stopped before the next step"
                        .into(),
                );
                rest(&mut outcome, index);
                break;
            }
            self.port.tell(Event::StepStarted {
                number: step.number,
                of: steps.len(),
                address: step.address.clone(),
                what: step.what.clone(),
            });
            match self.step(step).await {
                Ok(()) => {
                    outcome.done.push(step.number);
                    if !self.wanted.iter().any(|want| want.address == step.address) {
                        let seen = self.observation.seen.get(&step.address);
                        outcome.kept.extend(seen.into_iter().flat_map(|seen| kept(step, seen)));
                    }
                    self.port.tell(Event::StepDone {
                        number: step.number,
                        address: step.address.clone(),
                        what: step.what.clone(),
                    });
                }
                Err(failed) => {
                    self.lose(step, &failed);
                    self.unsettled = is_unsure(&failed)
                        || matches!(failed, Failed::Stopped | Failed::Misread(_) | Failed::NotBuilt(_));
                    // What was refused was refused; of what nobody knows the run was stopped, if it was.
                    if failed == Failed::Stopped || self.port.interrupted() && is_unsure(&failed) {
                        outcome.ended = Ended::Stopped;
                        outcome.interrupted = Some(step.number);
                    } else {
                        outcome.ended = Ended::Failed(format!(
                            "step {} ({} {}): {}",
                            step.number,
                            step.what,
                            step.address,
                            told(&failed, &self.session.manifest, scopes(step))
                        ));
                        outcome.failed = Some(step.number);
                    }
                    rest(&mut outcome, index + 1);
                    break;
                }
            }
        }
        outcome
    }

    /// One step, with what to do when nobody knows what became of it.
    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let kind =
            kinds::by_name(&step.kind).ok_or_else(|| Failed::NotDone(format!("no kind {}", step.kind)))?;
        let nothing = Seen::default();
        let mut tries = 0;
        let done = loop {
            tries += 1;
            let ids = self.ids();
            let desired = self.desired(&step.address);
            let seen = self.observation.seen.get(&step.address).unwrap_or(&nothing);
            let run = || Run {
                address: &step.address,
                step,
                desired: &desired,
                seen,
                entry: self.ledger.resources.get(&step.address),
                ids: &ids,
                manifest: &self.session.manifest,
                intent: self.ledger.intent.as_ref(),
            };
            match kind.run(run(), &mut self.port.writer()).await {
                Ok(done) => break done,
                Err(failed) if tries < STEP_TRIES_MAX && is_unsure(&failed) && !self.port.interrupted() => {
                    self.port.tell(Event::Notice(format!(
                        "{}: {failed}; looking what became of it",
                        step.address
                    )));
                    let unread = |cause: Failed| match cause {
                        Failed::Refused(_) | Failed::NotDone(_) => Failed::Unknown(format!(
                            "{failed}, and what became of it was not to be read: {cause}"
                        )),
                        Failed::Stopped => Failed::Unknown(format!("{failed}, and the run was stopped")),
                        cause => cause,
                    };
                    let mut looked = None;
                    // A second one would be a second one for good, and a read may lag behind a write for a moment.
                    for (index, wait_ms) in self.looks_ms(kind.may_repeat(step)).enumerate() {
                        if index == LOOKS_MS.len() {
                            self.port.tell(Event::Notice(format!(
                                "{}: no record is kept, so nobody after this run would know of it; looking for some minutes",
                                step.address
                            )));
                        }
                        self.port.reader().sleep_ms(wait_ms).await;
                        if index >= LOOKS_MS.len() && self.port.interrupted() {
                            break;
                        }
                        looked = kind.settle(run(), &self.port.reader()).await.map_err(unread)?;
                        if looked.is_some() {
                            break;
                        }
                    }
                    match looked {
                        Some(done) => break done,
                        None if !kind.may_repeat(step) => {
                            let cause = match failed {
                                Failed::Unknown(cause) => cause,
                                failed => failed.to_string(),
                            };
                            return Err(Failed::Unknown(format!(
                                "{cause}; {} is not found at {}, and may only be slow to appear, so it is not made \
                                 again: look for it in the console, or run again in some minutes",
                                intent::name_of(step, &desired),
                                timestamp(self.port.server_now_ms())
                            )));
                        }
                        // It was refused, and what came before the refusal did nothing.
                        None if matches!(failed, Failed::Refused(_)) => return Err(failed),
                        None => continue,
                    }
                }
                Err(failed) => return Err(failed),
            }
        };
        self.took_effect(step, done);
        Ok(())
    }

    fn took_effect(&mut self, step: &Step, done: Done) {
        let Done { seen, notes } = done;
        self.touched.insert(step.address.clone());
        let resumed = self
            .observation
            .seen
            .get(&step.address)
            .is_some_and(|seen| seen.raw.get("resumed") == Some(&json!(true)));
        if step.creates || resumed {
            self.created.insert(step.address.clone());
        }
        if step.op["secrets"] == json!(true) {
            self.wrote_secrets.insert(step.address.clone());
        }
        if step.verb == Verb::Delete && !seen.exists {
            self.ledger.resources.remove(&step.address);
        }
        let mut seen = seen;
        if !notes.is_empty() {
            seen.raw["notes"] = json!(notes);
        }
        self.observation.seen.insert(step.address.clone(), seen);
    }

    /// Desired attributes of an address with outputs and generated values filled in; empty when it is not wanted.
    fn desired(&self, address: &str) -> Attrs {
        let wanted = self.wanted.iter().find(|want| want.address == address);
        wanted.map(|want| self.known().fill(&want.desired)).unwrap_or_default()
    }

    fn known(&self) -> Known {
        Known { ids: self.ids(), generated: self.generated.clone(), ..Known::default() }
    }

    /// Records what is there now.
    async fn write_result(&mut self, outcome: &Outcome, lease: &Lease) -> Result<(), Failed> {
        if !self.session.store.keeps() {
            return Ok(());
        }
        let nonce = self.ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        self.may_record(nonce.as_deref(), lease).await?;
        let complete = outcome.ended == Ended::Done;
        let done: BTreeSet<usize> = outcome.done.iter().copied().collect();
        let open: BTreeSet<&str> = self
            .plan
            .steps
            .iter()
            .filter(|s| !done.contains(&s.number))
            .map(|s| s.address.as_str())
            .collect();
        self.remember(&open);
        let recorded = self.observation.found.ledger.as_ref().map(|ledger| &ledger.resources);
        if self.plan.is_empty() && recorded == Some(&self.ledger.resources) {
            return Ok(());
        }
        if complete {
            // What is neither wanted nor there any more has nothing left to remember.
            let wanted = &self.wanted;
            let waits = |address: &String| self.plan.deferred.iter().find(|later| later.address == *address);
            self.ledger.resources.retain(|address, _| {
                wanted.iter().any(|want| &want.address == address)
                    || waits(address).is_some()
                    || self.plan.unproven.iter().any(|stays| stays.address == *address)
            });
            let now = self.port.server_now_ms();
            for (address, entry) in &mut self.ledger.resources {
                if let Some(later) = waits(address) {
                    // What was due and had to stay waits anew, from the moment at which the new way delivers.
                    let ahead = later.not_before.clone().filter(|at| *at > timestamp(now));
                    let at = ahead.unwrap_or_else(|| timestamp(now + later.wait_ms));
                    entry.notes.insert(NOT_BEFORE.into(), json!(at));
                    // What an unfinished run made in its place is what waits.
                    if let Some(seen) = self.observation.seen.get(address).filter(|seen| seen.exists) {
                        entry.ids.clone_from(&seen.ids);
                    }
                }
            }
        }
        let run = self.ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        // What an earlier, unfinished run did is understood by its part of the intent, until all of it is on record.
        if complete || !(self.unsettled || self.inherited) {
            self.ledger.intent = None;
        }
        let word = match &outcome.ended {
            Ended::Done => "done",
            Ended::Stopped => "stopped",
            _ => "failed",
        };
        self.ledger.history.push(Applied {
            at: timestamp(self.port.server_now_ms()),
            by: self.session.who.clone(),
            revision: self.session.revision.clone(),
            steps: outcome.done.len(),
            lease: lease.receipt(),
            run,
            outcome: format!("{} {word}", if self.session.destroy { "destroy" } else { "apply" }),
        });
        let surplus = self.ledger.history.len().saturating_sub(HISTORY_MAX);
        self.ledger.history.drain(..surplus);
        if complete && self.session.destroy && self.ledger.resources.is_empty() {
            self.session.store.remove(self.action_id.take(), self.port).await?;
            self.observation.found = Found::default();
            return Ok(());
        }
        self.save_result(nonce.as_deref(), lease).await?;
        self.observation.found.ledger = Some(self.ledger.clone());
        self.observation.found.action_id = self.action_id.clone();
        Ok(())
    }

    fn remember(&mut self, open: &BTreeSet<&str>) {
        let known = self.known();
        for Resource { address, desired: wanted, .. } in &self.wanted {
            let Some(seen) = self.observation.seen.get(address).filter(|seen| seen.exists && !seen.not_read)
            else {
                continue;
            };
            let Some(resource) = self.plan.resources.iter().find(|resource| &resource.address == address)
            else {
                continue;
            };
            let before = self.ledger.resources.get(address);
            let is_open = open.contains(address.as_str());
            // Nothing has happened to it yet: an entry now would claim that the manifest was applied.
            if is_open && !self.touched.contains(address) && before.is_none() {
                continue;
            }
            let created = self.created.contains(address)
                || seen.raw.get("resumed") == Some(&json!(true))
                || before.is_some_and(|entry| entry.ownership == Ownership::Created);
            let former = self.ledger.intent.as_ref().and_then(|intent| intent.restore.get(address));
            let restore = match before {
                Some(entry) => entry.restore.clone(),
                // Taken over without a step, so no intent was written: what stands there is what was there before.
                None if self.ledger.intent.is_none() => kinds::by_name(&resource.kind)
                    .map(|kind| intent::small(kind.restore(seen)))
                    .unwrap_or_default(),
                None => former.cloned().unwrap_or_default(),
            };
            let mut notes = before.map(|entry| entry.notes.clone()).unwrap_or_default();
            // It is wanted, so nothing waits any more.
            notes.remove(NOT_BEFORE);
            if let Some(told) = seen.raw.get("notes").and_then(Json::as_object) {
                notes.extend(told.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            let same = |field: &str| {
                !resource.changes.iter().any(|change| change.field == field)
                    && !resource.unknown.iter().any(|u| u == field)
            };
            let desired = known.fill(wanted);
            let wrote = self.wrote_secrets.contains(address);
            let mut fields =
                compare::remember(&desired, seen, wrote, &same, before, &self.observation.prints);
            // What the manifest no longer names stays as it is, and destroy still puts it back, unless one that did not
            // come to its end has done so.
            let is_back = |field, old: &Json| seen.attrs.get(field).and_then(Value::known) == Some(old);
            for (field, last) in before.map(|entry| &entry.fields).into_iter().flatten() {
                let old = restore.get(field).filter(|old| !is_back(field, old));
                if old.is_some() && !desired.contains_key(field) {
                    fields.insert(field.clone(), last.clone());
                }
            }
            let mut left = before.map(|entry| entry.left.clone()).filter(|_| is_open).unwrap_or_default();
            if is_open {
                // Half applied: only fields that are as wanted by now are remembered as applied.
                let is_print = |last: &Last| matches!(last, Last::Print { .. });
                fields.retain(|field, last| {
                    desired.get(field) == seen.attrs.get(field) || wrote && is_print(last)
                });
                if let Some(before) = before {
                    for (field, last) in &before.fields {
                        fields.entry(field.clone()).or_insert_with(|| last.clone());
                    }
                }
                if self.touched.contains(address) {
                    left = intent::left_behind(&desired, seen, &mut fields);
                }
            }
            let entry = Entry {
                kind: resource.kind.clone(),
                ownership: if created { Ownership::Created } else { Ownership::Adopted },
                ids: seen.ids.clone(),
                fields,
                restore,
                notes,
                unproven: before.is_some_and(|entry| entry.unproven) && !self.created.contains(address),
                left,
            };
            self.ledger.resources.insert(address.clone(), entry);
        }
        // What goes, and is not gone yet: as this run left it.
        let leaves = |address: &String| !self.wanted.iter().any(|want| want.address == *address);
        for address in self.touched.iter().filter(|address| leaves(address)) {
            let entry = self.ledger.resources.get_mut(address);
            if let Some((entry, seen)) = entry.zip(self.observation.seen.get(address)) {
                intent::as_left(entry, seen);
            }
        }
    }

    /// The plan over what the replies said must be empty; if it is not, the tenant itself has the last word.
    async fn final_check(&mut self, verify: bool) -> Ended {
        let observation = &self.observation;
        let after = plan(
            self.session,
            &self.port.reader(),
            &observation.seen,
            &observation.found,
            &observation.prints,
        );
        if after.is_empty() && !verify {
            return Ended::Done;
        }
        match observe(self.session, &self.port.reader()).await {
            Ok(now) if now.plan.is_empty() => Ended::Done,
            Ok(now) => {
                let left: Vec<String> = now
                    .plan
                    .steps
                    .iter()
                    .map(|step| format!("{} ({})", step.address, step.reason))
                    .chain(
                        now.plan
                            .findings
                            .iter()
                            .filter(|f| f.level == Level::Blocker)
                            .map(|f| f.text.clone()),
                    )
                    .collect();
                let left =
                    if left.is_empty() { "the record is not complete".into() } else { left.join("; ") };
                Ended::Failed(format!("everything was applied, and the tenant still differs: {left}"))
            }
            Err(failed) => {
                Ended::Failed(format!("everything was applied, and the check afterwards failed: {failed}"))
            }
        }
    }
}

fn scopes(step: &Step) -> &'static [&'static str] {
    kinds::by_name(&step.kind).map_or(&[], |kind| kind.scopes(step))
}

/// Whether a step that failed like this may have taken effect all the same.
fn is_unsure(failed: &Failed) -> bool {
    matches!(failed, Failed::Unknown(_)) || matches!(failed, Failed::Refused(refusal) if refusal.unsure)
}

/// RFC 3339 in UTC, to the second.
pub fn timestamp(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(0);
    jiff::Timestamp::from_second(seconds).map(|at| at.to_string()).unwrap_or_default()
}

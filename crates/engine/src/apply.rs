//! The apply protocol: lease, re-read, intent, steps, result, release, final check.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::intent;
use super::last_run;
use super::lease::{Lease, Taken, clear_left_over};
use super::observe::{Observation, Session, moved, observe, observe_as_of, plan};
use super::outcome::kept;
pub use super::outcome::{Ended, Outcome, Wishes};
use super::permission::failure_in_words;
use super::store::{Found, Stands};
use crate::diag::remote;
use crate::kinds::{self, Done, Resource, Run, Seen, Whose};
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::codes;
use crate::model::event::{Effect, Event, LeaseState};
use crate::model::ledger::{Entry, LEDGER_SCHEMA, Ledger};
use crate::model::manifest::Manifest;
use crate::model::minted;
use crate::model::outcome::Cause;
use crate::model::plan::{Level, Plan, Step, Verb};
use crate::model::random::hex;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Ids, Value};
use crate::plan::accept;
use crate::plan::compare::Known;
use crate::plan::handed;
use crate::plan::rollback;
use crate::port::{LOOKS_MS, Port, beside};

mod record;

/// Most tries of a step whose outcome was unknown each time and that turned out not to have happened.
const STEP_TRIES_MAX: u32 = 4;
/// Without a lease, wait this long before the nonce is read back: longer than one round trip of any other run.
const NONCE_WAIT_MS: u64 = 2_000;

/// A run is over this long after it began.
const RUN_MAX_MS: u64 = 60 * 60_000;

/// Applies the plan of an observation.
pub async fn apply(session: &Session, observation: Observation, wishes: Wishes, port: &Port) -> Outcome {
    let plan = observation.plan.clone();
    if let Some(blocker) = plan.blockers().next() {
        let ended = Ended::Failed(format!("{}: {}", blocker.address, blocker.text));
        return Outcome::before_any_step(ended, &plan).because(Cause::of(blocker.code, &blocker.help));
    }
    if !plan.has_work() {
        let ledger = observation.found.ledger.as_ref();
        if let Err(failed) = clear_left_over(&session.tenant, ledger, session.destroy, port).await {
            port.tell(Event::notice(format!(
                "cannot tell whether an earlier run left its lease behind: {failed}"
            )));
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
            let cause = Cause::of(codes::ANOTHER_ACCOUNT, "correct twilio.account_sid or the credentials");
            let cause = Cause { place: "twilio.account_sid", ..cause };
            return Outcome::before_any_step(Ended::Failed(text), &plan).because(cause);
        }
        Err(Failed::Stopped) => return Outcome::before_any_step(Ended::Stopped, &plan),
        Err(failed) => {
            let text = format!(
                "the lease could not be taken, so nothing was changed: {}",
                failure_in_words(&failed, &session.manifest, &[])
            );
            return Outcome::before_any_step(Ended::Failed(text), &plan).because(remote::cause(&failed));
        }
    };
    let state = if lease.is_real() { LeaseState::Taken } else { LeaseState::Without };
    port.tell(Event::Lease { state });
    let held = lease.clone();
    let outcome =
        beside(under_lease(session, observation, &plan, wishes, &lease, port), held.keep(port)).await;
    let released = lease.release(port).await;
    if lease.is_real() && released.is_ok() {
        port.tell(Event::Lease { state: LeaseState::Released });
    }
    if let Err(failed) = released {
        port.tell(Event::notice(format!("the lease could not be released and expires by itself: {failed}")));
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
        failed => early(Ended::Failed(failed.to_string())).because(remote::cause(&failed)),
    };
    // A killed run keeps others out by its lease until what it sent has arrived. Without leases, this run waits as long.
    let waits = !lease.is_real() && may_have_died_just_now(&observation.found, port);
    if waits {
        let seconds = session.lease_ttl_ms.div_ceil(1000);
        port.tell(Event::notice(format!(
            "an earlier run did not report its end, and there is no lease; waiting {seconds} s for what it sent, then reading anew"
        )));
        port.reader().sleep_ms(session.lease_ttl_ms).await;
        if port.interrupted() {
            return early(Ended::Stopped);
        }
    }
    let observation = if wishes.reread || observation.torn || waits {
        match observe(session, &port.reader()).await {
            Ok(now) if now.plan.basis == plan.basis => now,
            Ok(_) if !wishes.reread => return early(Ended::Moved),
            Ok(now) => return early(Ended::Stale(moved(plan, &now.plan))),
            Err(failed) => return fail(failed),
        }
    } else {
        let known = &observation.found;
        // Another stack may have adopted since what a step of this plan takes away: the whole list has its record.
        let goes = plan.steps.iter().any(Step::undoes);
        let now = match goes {
            true => session.store.load(session.owner(), &port.reader(), true).await,
            false => session.store.reload(session.owner(), &known.stands, &port.reader()).await,
        };
        let mut now = match now {
            Ok(now) => now,
            Err(failed) => return fail(failed),
        };
        if !now.is_as(known) {
            return early(Ended::Moved);
        }
        if goes && (session.destroy || session.rollback) {
            let added = session.store.add_others(&mut now, &session.owner(), &port.reader(), true).await;
            if let Err(failed) = added {
                return fail(failed);
            }
        }
        if goes && !now.has_others_as(known) {
            return early(Ended::Moved);
        }
        // The run that held the lease before may have died between two steps, and left the same record.
        if lease.was_waited_for() {
            return early(Ended::Moved);
        }
        observation
    };
    if port.interrupted() {
        return early(Ended::Stopped);
    }
    // A process that slept since it took the lease must not write into another run: it plans again.
    if lease.is_lost(port) {
        return early(Ended::Moved);
    }
    let mut work = Work::new(session, observation, plan, port);
    if let Err(failed) = work.write_intent(lease).await {
        return match failed {
            Failed::Stopped => early(Ended::Stopped),
            Failed::OtherRun => early(Ended::LeaseHeld("another run (seen in the ledger)".into())),
            Failed::LeaseLost => early(Ended::Moved),
            Failed::Moved(_) if !wishes.reread => early(Ended::Moved),
            Failed::Moved(_) => early(Ended::Stale("the record, which somebody else wrote".into())),
            failed => early(Ended::Failed(format!(
                "the ledger could not be written, so nothing was started: {}",
                failure_in_words(
                    &failed,
                    &session.manifest,
                    session.store.scopes(&work.observation.found, session.destroy)
                )
            )))
            .because(remote::cause(&failed)),
        };
    }
    let mut outcome = work.steps(lease).await;
    let complete = outcome.ended == Ended::Done;
    if let Err(text) = work.record(&outcome, lease).await {
        if complete {
            outcome.ended = Ended::Failed(text);
            outcome.cause = Some(Cause::of(codes::RECORD_NOT_WRITTEN, ""));
        } else {
            port.tell(Event::notice(text));
        }
    }
    outcome.lost = work.lost.take();
    if outcome.ended == Ended::Done {
        (outcome.ended, outcome.cause) = work.final_check(wishes.verify).await;
        outcome.outputs = handed::outputs(&session.manifest, &work.known());
    }
    outcome
}

/// Whether the record has the intent of a run that did not report its end and that began not long ago.
fn may_have_died_just_now(found: &Found, port: &Port) -> bool {
    let unreported = found.ledger.as_ref().filter(|ledger| !ledger.has_reported());
    let began = unreported.and_then(|ledger| ledger.intent.as_ref()?.at.parse::<jiff::Timestamp>().ok());
    let began_ms = began.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    began_ms.is_some_and(|began_ms| port.server_now_ms().saturating_sub(began_ms) < RUN_MAX_MS)
}

/// The state of one apply.
struct Work<'a> {
    session: &'a Session,
    port: &'a Port,
    plan: &'a Plan,
    observation: Observation,
    ledger: Ledger,
    stands: Stands,
    /// Addresses whose secrets were sent in this run.
    wrote_secrets: BTreeSet<Address>,
    /// Addresses that this run created.
    created: BTreeSet<Address>,
    /// Entries of objects that steps of this run left behind.
    left: BTreeMap<Address, Entry>,
    /// Addresses that a step of this run touched.
    touched: BTreeSet<Address>,
    /// The last failure left something unknown: the intent stays, so that the next run looks.
    unsettled: bool,
    /// The write of the last step was sent, and was not refused.
    wrote: bool,
    /// This run may have created an object that no list shows yet, and the record does not say so yet.
    lost_one: bool,
    /// When the answer to the write of this step was lost, by the server's clock.
    unanswered_ms: Option<u64>,
    /// The warning of a lost create, as in [`Outcome::lost`].
    lost: Option<String>,
    /// The intent goes on from that of an unfinished run.
    inherited: bool,
    /// That intent was of a rollback.
    takes_back_further: bool,
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
            watch: None,
            last_run: None,
            seals: BTreeMap::new(),
        });
        // The entry of an object does not describe another object that took its place.
        ledger.resources.retain(|address, _| {
            let seen = observation.seen.get(address);
            seen.is_none_or(|seen| seen.whose != Whose::Another)
        });
        let mut wanted = session.declared();
        let Observation { seen, found, prints, .. } = &observation;
        accept::leave_all(&mut wanted, plan, seen);
        let mut generated =
            Known::of(&wanted, seen, found.ledger.as_ref(), prints, &session.rotate).generated;
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
            stands: observation.found.stands.clone(),
            observation,
            ledger,
            wrote_secrets: BTreeSet::new(),
            created: BTreeSet::new(),
            left: BTreeMap::new(),
            touched: BTreeSet::new(),
            unsettled: false,
            wrote: false,
            lost_one: false,
            unanswered_ms: None,
            lost: None,
            inherited: false,
            takes_back_further: false,
            wanted,
            generated,
        }
    }

    fn ids(&self) -> BTreeMap<Address, Ids> {
        self.observation.seen.iter().map(|(address, seen)| (address.clone(), seen.ids.clone())).collect()
    }

    async fn save(&mut self) -> Result<(), Failed> {
        self.ledger.serial += 1;
        self.ledger.schema = self.ledger.schema_needed();
        self.ledger = self.session.owner().keys.sealed(&self.ledger);
        self.session.store.save(&self.ledger, &mut self.stands, self.port).await?;
        self.port.tell(Event::Record { serial: Some(self.ledger.serial) });
        Ok(())
    }

    /// Records what is about to happen, so that the next run understands one that is killed.
    async fn write_intent(&mut self, lease: &Lease) -> Result<(), Failed> {
        // A plan that only tries refused steps again begins nothing new: the record has them already.
        if self.plan.steps.iter().all(|step| step.again) || !self.session.store.keeps() {
            return Ok(());
        }
        let before = self.ledger.clone();
        let former = self.ledger.intent.take();
        self.inherited = former.is_some();
        self.takes_back_further = former.as_ref().is_some_and(|intent| intent.rollback);
        let nonce = self.nonce();
        // By the manifest: a value that is only accepted was never begun by this run.
        let begun = intent::begun(self.plan, &self.session.declared(), &self.known());
        let at = timestamp(self.port.server_now_ms());
        self.begin_watch(&nonce, &at, before.is_unfinished());
        let seen = &self.observation.seen;
        let begins = intent::begins(nonce.clone(), at, self.plan, begun, seen, &self.ledger);
        // A rollback keeps what it takes back on record, so that the next one finishes a rollback that died.
        if !self.session.rollback {
            let wanted = &self.wanted;
            self.ledger.last_run = last_run::begins(&begins, self.plan, wanted, &self.known(), seen, &before);
        }
        self.ledger.intent = Some(match former {
            Some(former) => intent::goes_on(begins, former, seen, &mut self.ledger),
            None => begins,
        });
        self.save().await?;
        if !lease.is_real() {
            self.port.reader().sleep_ms(NONCE_WAIT_MS).await;
            if self.session.store.yields(self.session.owner(), &self.stands, self.port).await? {
                return Err(Failed::OtherRun);
            }
            if !self.is_ours(&nonce).await? {
                return Err(Failed::OtherRun);
            }
        }
        Ok(())
    }

    /// A random name for this run.
    fn nonce(&self) -> String {
        hex(&self.session.entropy.draw("nonce")[..8])
    }

    /// Whether the record still holds the intent of this run, and not that of another one.
    async fn is_ours(&self, nonce: &str) -> Result<bool, Failed> {
        let now = self.session.store.reload(self.session.owner(), &self.stands, &self.port.reader()).await?;
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
                outcome.ended = Ended::Failed(format!("{}; stopped before the next step", Failed::LeaseLost));
                outcome.cause = Some(remote::cause(&Failed::LeaseLost));
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
                    if self.session.rollback || !self.wanted.iter().any(|want| want.address == step.address) {
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
                    // What a write has done may be known from a read behind it alone, which failed.
                    self.unsettled = self.wrote
                        || is_unsure(&failed)
                        || matches!(failed, Failed::Stopped | Failed::Misread(_) | Failed::NotBuilt(_));
                    let why = failure_in_words(&failed, &self.session.manifest, scopes(step));
                    self.port.tell(Event::StepFailed {
                        number: step.number,
                        address: step.address.clone(),
                        what: step.what.clone(),
                        effect: if self.unsettled { Effect::Unknown } else { Effect::None },
                        why: why.clone(),
                    });
                    // A refused step has failed, even if the user interrupts the run. A step with an unknown outcome
                    // counts as stopped then.
                    if failed == Failed::Stopped || self.port.interrupted() && is_unsure(&failed) {
                        outcome.ended = Ended::Stopped;
                        outcome.interrupted = Some(step.number);
                    } else {
                        outcome.ended = Ended::Failed(format!(
                            "step {} ({} {}): {why}",
                            step.number, step.what, step.address
                        ));
                        outcome.failed = Some(step.number);
                        outcome.cause = Some(remote::cause(&failed));
                    }
                    rest(&mut outcome, index + 1);
                    break;
                }
            }
        }
        outcome
    }

    /// Runs one step. If its outcome is unknown, looks what it did, then tries again or fails.
    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let kind =
            kinds::by_name(&step.kind).ok_or_else(|| Failed::NotDone(format!("no kind {}", step.kind)))?;
        let nothing = Seen::default();
        let mut tries = 0;
        self.unanswered_ms = None;
        self.wrote = false;
        let done = loop {
            tries += 1;
            let ids = self.ids();
            let manifest = self.manifest();
            let desired = self.desired(&step.address);
            let seen = self.observation.seen.get(&step.address).unwrap_or(&nothing);
            let run = || Run {
                address: &step.address,
                step,
                desired: &desired,
                seen,
                entry: self.ledger.resources.get(&step.address),
                ids: &ids,
                manifest: &manifest,
                intent: self.ledger.intent.as_ref(),
            };
            let mut writer = self.port.writer();
            let result = kind.run(run(), &mut writer).await;
            self.wrote = writer.has_written();
            match result {
                Ok(done) => break done,
                Err(failed) if tries < STEP_TRIES_MAX && is_unsure(&failed) && !self.port.interrupted() => {
                    self.unanswered_ms = Some(self.port.server_now_ms());
                    let text = format!("{}: {failed}; checking whether the step took effect", step.address);
                    self.port.tell(Event::notice(text));
                    let unread = |cause: Failed| match cause {
                        cause if cause.did_nothing() => Failed::Unknown(format!(
                            "{failed}, and the check whether the step took effect failed: {cause}"
                        )),
                        Failed::Stopped => Failed::Unknown(format!("{failed}, and the run was stopped")),
                        cause => cause,
                    };
                    let mut looked = None;
                    // A read may lag behind a write, and a repeated create would leave two objects: look several times.
                    for (index, wait_ms) in self.looks_ms(kind.may_repeat(step)).enumerate() {
                        if index == LOOKS_MS.len() {
                            self.port.tell(Event::notice(format!(
                                "{}: no ledger is kept, so no later run would know of this object; looking for it for some minutes",
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
                                "{cause}; {} is not found at {}, but may only be slow to appear, so it is not created \
                                 again: look for it in the console, or run again in some minutes",
                                intent::name_of(step, &desired),
                                timestamp(self.port.server_now_ms())
                            )));
                        }
                        // The last attempt was refused, and the attempts before it turn out to have done nothing.
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
        let Done { seen, notes, wrote_secrets } = done;
        self.touched.insert(step.address.clone());
        self.left.extend(kinds::by_name(&step.kind).into_iter().flat_map(|kind| kind.left_behind(step)));
        let resumed =
            self.observation.seen.get(&step.address).is_some_and(|seen| seen.whose == Whose::Resumed);
        if step.creates || resumed {
            self.created.insert(step.address.clone());
        }
        if wrote_secrets {
            self.wrote_secrets.insert(step.address.clone());
        }
        if step.verb == Verb::Delete && !seen.exists {
            self.ledger.resources.remove(&step.address);
        }
        let mut seen = seen;
        if !notes.is_empty() {
            seen.notes = notes;
        }
        self.observation.seen.insert(step.address.clone(), seen);
    }

    /// Desired attributes of an address with outputs and generated values filled in; empty if the run does not want it.
    fn desired(&self, address: &Address) -> Attrs {
        let wanted = self.wanted.iter().find(|want| want.address == *address);
        let filled = wanted.map(|want| self.known().fill(&want.desired)).unwrap_or_default();
        match self.session.rollback {
            true => rollback::wanted(filled, address, self.observation.seen.get(address), &self.plan.steps),
            false => filled,
        }
    }

    /// What is known by now, with the secrets of the keys that this run made.
    fn known(&self) -> Known {
        let seen = &self.observation.seen;
        let minted = seen.iter().filter_map(|(address, seen)| match seen.attrs.get(minted::SECRET) {
            Some(Value::Secret(secret)) if address.kind() == minted::KIND => {
                Some((address.name()?.to_owned(), secret.clone()))
            }
            _ => None,
        });
        let minted = minted.collect();
        Known { ids: self.ids(), generated: self.generated.clone(), minted, ..Known::default() }
    }

    /// The manifest, in which the keys that this run made have their values: what is handed on is tried by it.
    fn manifest(&self) -> Rc<Manifest> {
        let known = self.known();
        if known.minted.is_empty() {
            return self.session.manifest.clone();
        }
        let mut filled = (*self.session.manifest).clone();
        for value in filled.sections.values_mut().flat_map(|attrs| attrs.values_mut()) {
            if minted::part_of(value).is_some_and(|(name, _)| known.minted.contains_key(name)) {
                *value = known.value(value);
            }
        }
        Rc::new(filled)
    }

    /// Plans again over the replies of this run: that plan must be empty. If it is not, or `verify` asks for it, reads
    /// the tenant again, and plans over that.
    async fn final_check(&mut self, verify: bool) -> (Ended, Option<Cause>) {
        let observation = &self.observation;
        // What was made anew is not made anew once more.
        let session = &Session { rotate: BTreeSet::new(), ..self.session.clone() };
        let after = plan(
            session,
            &self.port.reader(),
            &observation.seen,
            &observation.found,
            &observation.prints,
            observation.as_of_ms,
        );
        if after.is_empty() && !verify {
            return (Ended::Done, None);
        }
        match observe_as_of(session, &self.port.reader(), Some(observation.as_of_ms)).await {
            Ok(now) if now.plan.is_empty() => (Ended::Done, None),
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
                let ended =
                    Ended::Failed(format!("everything was applied, but the tenant still differs: {left}"));
                (ended, Some(Cause::of(codes::STILL_DIFFERS, "see what differs with `lockstep plan`")))
            }
            Err(failed) => {
                let text = format!("everything was applied, but the check afterwards failed: {failed}");
                (Ended::Failed(text), Some(remote::cause(&failed)))
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

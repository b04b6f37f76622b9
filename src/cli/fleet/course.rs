//! The course of a rollout: asks what comes next, does it, and keeps what happened.

use std::collections::{BTreeMap, BTreeSet};

use super::super::args::ManifestArgs;
use super::super::error::{Error, Result};
use super::super::reports::{FleetContent, publish_pages};
use super::super::setup::Shell;
use super::gates::judge;
use super::hubs;
use super::load::{Loaded, Made};
use super::recorded::Log;
use super::settled::Settled;
use super::shard::shortened;
use super::sharing::{Sharing, changed_in_between};
use crate::engine::apply::{Ended, Wishes, timestamp};
use crate::engine::observe::Observation;
use crate::engine::reconcile::{Decision, Report, reconcile};
use crate::engine::rollback::rollback;
use crate::fleet::file::OnHalt;
use crate::fleet::report::FleetReport;
use crate::fleet::rollout::{Became, Cause, Event, Halt, Judged, Next, Progress, State, Verdict, next};
use crate::fleet::summary::{self, Found, Reading};
use crate::fleet::waiting::waiting;
use crate::model::call::Failed;
use crate::model::duration::shown;
use crate::model::plan::{Digest, Plan};
use crate::model::random::hex;
use crate::model::text::line;
use crate::plan::handed::{self, Hubs};
use crate::shell::fleet::{Crowd, Member};

/// Interval between two readings of a gate that waits.
const LOOK_MS: u64 = 15_000;
/// Longest time without a word while a rollout waits, in real time.
const TOLD_MS: u64 = 60_000;

/// Shortest time between two versions of the page and the metrics.
const SHOWN_MS: u64 = 5_000;

/// Attempts at a tenant that the run before still has in flight. Each one watches the lease for a fifth of its TTL.
const HELD_TRIES_MAX: u32 = 25;

/// A rollout under way.
pub struct Course<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) made: &'a [Made],
    pub crowd: Crowd<'static>,
    pub(super) log: Log,
    pub state: State,
    /// Digest of the plan of all tenants.
    pub digest: Digest,
    /// The plans that were confirmed, by tenant.
    pub(super) confirmed: BTreeMap<String, Reading>,
    pub(super) skips: BTreeMap<String, String>,
    pub(super) sharing: Sharing,
    args: &'a ManifestArgs,
    pub(super) by: String,
    /// Something was written by this run.
    pub(super) wrote: bool,
    said_ms: u64,
    shown_ms: u64,
    /// Digest of what the fleet wants.
    pub(super) wanted: String,
    /// What happens in a part of a shared rollout is put aside here, for whoever writes the records.
    pub(super) aside: Option<Vec<Event>>,
}

fn is_held(result: &Result<Report, Failed>) -> bool {
    result.as_ref().is_ok_and(|report| matches!(report.outcome.ended, Ended::LeaseHeld(_)))
}

impl<'a> Course<'a> {
    /// A course that begins anew, or goes on where the records say.
    pub fn new(
        loaded: &'a Loaded,
        made: &'a [Made],
        (crowd, hubs): (Crowd<'static>, Hubs),
        log: Log,
        report: &FleetReport,
        skips: Vec<(String, String)>,
        args: &'a ManifestArgs,
    ) -> Result<Course<'a>> {
        let digest = summary::digest(&report.fleet, &report.readings);
        let by = crowd.members.first().map(|member| member.session.who.clone()).unwrap_or_default();
        let revision =
            crowd.members.first().map(|member| member.session.revision.clone()).unwrap_or_default();
        let confirmed = report.readings.iter().map(|one| (one.name.clone(), one.clone())).collect();
        let skips = skips.into_iter().collect();
        let wanted = wanted(loaded);
        let found = log.found.as_ref().map(|record| record.state.clone());
        let in_table = |name: &str| loaded.tenants.list.iter().any(|tenant| tenant.name == name);
        let former = &loaded.fleet.former;
        let known = found.iter().flat_map(|state| state.tenants.keys().chain(&state.departed));
        let departed: BTreeSet<String> =
            known.filter(|name| !in_table(name) && !former.contains(name)).cloned().collect();
        let unfinished = found.filter(|state| state.ended_ms.is_none());
        let sharing = Sharing::new(loaded, made, &crowd.members, hubs);
        let mut course = Course {
            loaded,
            made,
            crowd,
            log,
            state: State::default(),
            digest,
            confirmed,
            skips,
            sharing,
            args,
            by,
            wrote: false,
            said_ms: 0,
            shown_ms: 0,
            wanted: wanted.clone(),
            aside: None,
        };
        match unfinished {
            Some(state) if state.wanted != wanted => return Err(course.other(&state)),
            Some(state) => {
                course.state = state;
                course.sharing.is_taken_over = true;
            }
            None => {
                let name = |at: &usize| loaded.tenants.list[*at].name.clone();
                let wave = |group: &crate::fleet::waves::Group| {
                    (group.name.clone(), group.members.iter().map(name).collect())
                };
                let waves = loaded.groups.iter().map(wave).collect();
                let digest = course.digest.to_string();
                let (fleet, by) = (loaded.fleet.name.clone(), course.by.clone());
                // It is written with the first event that follows: a rollout that is not confirmed leaves no record.
                let departed = departed.into_iter().collect();
                let event = Event::Began { fleet, digest, wanted, revision, by, waves, departed };
                let now_ms = course.crowd.driver.now_ms();
                course.state = course.state.after(&event, now_ms);
                course.log.begin(event);
            }
        }
        Ok(course)
    }

    /// The error of an unfinished rollout of another change.
    pub(super) fn other(&self, state: &State) -> Error {
        Error::lease_held(format!(
            "another rollout of fleet {} is not finished: {} began it at {}, for another change",
            line(&state.fleet),
            line(&state.by),
            timestamp(state.began_ms)
        ))
        .help(
            "finish it with its own revision, or end it with `lockstep rollout abandon` and the same options",
        )
    }

    /// Whether shards began the unfinished rollout on record.
    pub fn is_shared(&self) -> bool {
        !self.state.shards.is_one()
    }

    /// Whether a plan has anything to do.
    pub fn has_work(&self) -> bool {
        self.confirmed.values().filter_map(|one| one.result.plan()).any(Plan::has_work)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.crowd.driver.now_ms()
    }

    pub(super) fn happened(&mut self, event: Event) -> Result<()> {
        if let Some(aside) = &mut self.aside {
            aside.push(event);
            return Ok(());
        }
        let now_ms = self.now_ms();
        self.state = std::mem::take(&mut self.state).after(&event, now_ms);
        let added = self.log.add(event, &self.state, &self.by, now_ms)?;
        self.heard(added);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let now_ms = self.now_ms();
        let written = self.log.flush(&self.state, &self.by, now_ms)?;
        self.heard(written);
        Ok(())
    }

    /// A person halted the rollout from elsewhere: what this run knows stays, and nothing new begins.
    fn heard(&mut self, halt: Option<Halt>) {
        if halt.is_some() {
            self.state.halt = halt;
        }
    }

    /// Refuses the name of a gate that no wave has.
    pub fn accepts(&self, accepted: &[String]) -> Result<()> {
        let known: Vec<String> = self
            .loaded
            .fleet
            .rollout
            .waves
            .iter()
            .flat_map(|wave| wave.gates.iter().map(|gate| gate.word()))
            .collect();
        if let Some(other) = accepted.iter().find(|gate| !known.iter().any(|word| is_gate(word, gate))) {
            return Err(Error::usage(format!("--accept: no wave has a gate {other}"))
                .help(format!("the gates are {}", known.join(", "))));
        }
        Ok(())
    }

    /// Goes on until the waves are done, it halts, or the user stops it.
    pub fn go(&mut self, until: usize, shell: &mut Shell) -> Result<()> {
        loop {
            if self.is_over() {
                break;
            }
            self.show(shell)?;
            let now_ms = self.now_ms();
            match next(&self.state, &self.loaded.fleet.rollout, &self.loaded.groups, until, now_ms) {
                Next::Open(wave) => self.open(wave, shell)?,
                Next::Apply { wave, names, room } => self.apply(wave, names, room, until, shell)?,
                Next::Soak { wave, until_ms } => {
                    let name = line(&self.state.waves[wave].name);
                    let left = shown(until_ms.saturating_sub(now_ms).div_ceil(1000) * 1000);
                    self.wait(
                        until_ms,
                        &format!("wave {name}: soaks until {} ({left} left)", timestamp(until_ms)),
                        shell,
                    )?;
                }
                Next::Judge { wave, until_ms } => self.judge(wave, until_ms, shell)?,
                Next::Halt { cause, why } => self.halt(cause, why, shell)?,
                Next::Halted | Next::Ended => break,
                Next::End => self.happened(Event::Ended)?,
            }
        }
        if self.wrote { self.flush() } else { Ok(()) }
    }

    fn halt(&mut self, cause: Cause, why: String, shell: &mut Shell) -> Result<()> {
        shell.say.err_one_line(format!("halted: {}", line(&why)));
        let wave = self.state.current();
        self.happened(Event::Halted { cause, why, by: self.by.clone() })?;
        match (self.loaded.fleet.rollout.on_halt, wave) {
            (OnHalt::Rollback, Some(wave)) => self.take_back(wave, shell),
            _ => Ok(()),
        }
    }

    /// Takes back what this rollout wrote in the wave that is open, for `rollout rollback`.
    pub fn take_back_now(&mut self, shell: &mut Shell) -> Result<()> {
        let Some(wave) = self.state.current() else { return Ok(()) };
        let why = "a person takes the open wave back".to_owned();
        if self.state.halt.is_none() {
            self.happened(Event::Halted { cause: Cause::Person, why, by: self.by.clone() })?;
        }
        self.wrote = true;
        self.take_back(wave, shell)?;
        self.flush()
    }

    /// Takes back what this rollout wrote to the members of a wave.
    pub(super) fn take_back(&mut self, wave: usize, shell: &mut Shell) -> Result<()> {
        let wrote = |name: &&String| self.state.tenants.get(*name).is_some_and(|one| one.steps > 0);
        let names: Vec<String> = self.state.waves[wave].members.iter().filter(wrote).cloned().collect();
        let all: BTreeSet<String> = names.iter().cloned().collect();
        // A hub goes back after those that take from it, and no more are written to at once than in a wave.
        for names in self.sharing.backwards(names) {
            for part in names.chunks(self.loaded.fleet.rollout.max_parallel.max(1)) {
                self.take_back_part(part, &all, shell)?;
            }
        }
        Ok(())
    }

    fn take_back_part(&mut self, names: &[String], all: &BTreeSet<String>, shell: &mut Shell) -> Result<()> {
        self.bound(names.len());
        let mut running = Vec::new();
        for name in names {
            let Some(at) = self.member_of(name) else { continue };
            let Member { tenant, session } = &self.crowd.members[at];
            let mut session = session.clone();
            // Whoever could not be taken back before it still needs what it takes.
            let is_left = |name: &str| {
                let became = self.state.tenants.get(name).map(|one| one.became);
                all.contains(name) && became != Some(Became::RolledBack)
            };
            session.handed_on = hubs::left_with(name, self.loaded, self.made, is_left);
            let (task, slot) = self.crowd.driver.spawn(*tenant, move |port| async move {
                rollback(session, Wishes::default(), |_| Decision::Apply.into(), &port).await
            });
            running.push((name, task, slot));
        }
        let tasks: Vec<_> = running.iter().map(|(_, task, _)| *task).collect();
        let began_ms = self.now_ms();
        self.crowd.driver.drive(&tasks)?;
        let now_ms = self.now_ms();
        for (name, _, slot) in running {
            let result = slot.take().unwrap_or(Err(Failed::Stopped));
            let Some(done) = self.outcome(result, began_ms, now_ms) else { continue };
            let progress = match done.became {
                Became::Applied if done.steps == 0 => Progress {
                    became: Became::Failed,
                    why: "nothing of it could be taken back; `lockstep plan --rollback` says why".to_owned(),
                    ..done
                },
                Became::Applied => Progress { became: Became::RolledBack, ..done },
                _ => Progress { why: format!("it could not be rolled back: {}", done.why), ..done },
            };
            self.became(name, progress, shell)?;
        }
        Ok(())
    }

    /// Waits, and says at most once a minute for what.
    fn wait(&mut self, until_ms: u64, what: &str, shell: &mut Shell) -> Result<()> {
        let now_ms = self.now_ms();
        if now_ms >= self.said_ms.saturating_add(TOLD_MS) || self.said_ms == 0 {
            self.said_ms = now_ms;
            shell.say.err_one_line(what);
        }
        self.flush()?;
        let heard = self.log.look()?;
        self.heard(heard);
        if self.state.halt.is_some() {
            return Ok(());
        }
        let Some(tenant) = self.crowd.members.first().map(|member| member.tenant) else { return Ok(()) };
        let shown_ms = if shell.reports.has_pages() { SHOWN_MS } else { u64::MAX };
        let ms = until_ms.saturating_sub(now_ms).min(self.log.look_ms()).min(shown_ms).max(1);
        // A rollout may wait for hours: the deadline is for requests, not for this.
        self.bound(0);
        self.crowd.driver.run(tenant, move |port| async move { port.reader().sleep_ms(ms).await })?;
        Ok(())
    }

    /// Gives what is about so many tenants the time that a run has.
    pub(super) fn bound(&mut self, tenants: usize) {
        let at_ms = self.now_ms().saturating_add(self.crowd.time_of(tenants));
        self.crowd.driver.set_deadline(at_ms);
    }

    /// Whether nothing more begins: the user stopped it, or its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.crowd.driver.signal().is_some() || self.crowd.driver.late().is_some()
    }

    pub(super) fn member_of(&self, name: &str) -> Option<usize> {
        self.made.iter().position(|one| self.loaded.tenants.list[one.at].name == name)
    }

    /// Plans all members of a wave, and sorts out who needs nothing, is left out, or is broken already.
    fn open(&mut self, wave: usize, shell: &mut Shell) -> Result<()> {
        let Some(known) = self.read_wave(wave, shell)? else { return Ok(()) };
        self.happened(Event::Opened { wave })?;
        for (name, progress) in known {
            self.became(&name, progress, shell)?;
        }
        Ok(())
    }

    /// Reads a wave anew: of whom it is known what became of them, without a write. `None`: nothing more begins.
    pub(super) fn read_wave(
        &mut self,
        wave: usize,
        shell: &mut Shell,
    ) -> Result<Option<Vec<(String, Progress)>>> {
        let opened = &self.state.waves[wave];
        let (name, members) = (line(&opened.name), opened.members.clone());
        let s = if members.len() == 1 { "" } else { "s" };
        shell.say.err_one_line(format!("wave {name}: {} tenant{s}", members.len()));
        self.said_ms = 0;
        self.bound(members.len());
        let positions: Vec<usize> = members.iter().filter_map(|name| self.member_of(name)).collect();
        let results = self.crowd.observe(&positions)?;
        let now_ms = self.now_ms();
        let mut known = Vec::new();
        for (name, result) in members.iter().zip(results) {
            if let Some(progress) = self.sorted(name, result, now_ms) {
                known.push((name.clone(), progress));
            }
        }
        Ok((!self.is_over()).then_some(known))
    }

    /// What a fresh plan says of a tenant before its wave. `None`: it is to be applied.
    fn sorted(&self, name: &str, result: Result<Observation, Failed>, now_ms: u64) -> Option<Progress> {
        let progress =
            |became, why: String| Some(Progress { became, at_ms: now_ms, began_ms: 0, steps: 0, why });
        if let Some(reason) = self.skips.get(name) {
            return progress(Became::Skipped, reason.clone());
        }
        let observation = match result {
            Ok(observation) => observation,
            Err(failed) => return progress(Became::Broken, failed.to_string()),
        };
        let plan = &observation.plan;
        if let Some(why) = blocked(plan) {
            return progress(Became::Broken, why);
        }
        if plan.is_empty() {
            let at_ms = applied_ms(&observation, &self.state.revision).unwrap_or(now_ms);
            return Some(Progress {
                became: Became::Unchanged,
                at_ms,
                began_ms: 0,
                steps: 0,
                why: String::new(),
            });
        }
        let confirmed = self.confirmed.get(name).and_then(|one| one.result.plan());
        // Shards are held to the plans that the first of them put on record.
        let is_agreed = || self.state.shards.plans.get(name).is_some_and(|agreed| *agreed == shortened(plan));
        let objection = match self.state.shards.is_one() {
            true => self.sharing.of(name).objection(confirmed, plan),
            false => (!is_agreed()).then(|| changed_in_between(confirmed, plan)),
        };
        let why = |objection| {
            format!(
                "its plan is another one than was confirmed, because {objection}; plan and roll out again"
            )
        };
        objection.and_then(|objection| progress(Became::Broken, why(objection)))
    }

    /// Why a tenant is not applied, as far as the reading of this run tells: left out, or broken already. A wave may have been
    /// opened by an earlier run.
    pub(super) fn known_before(&self, name: &str) -> Option<(Became, String)> {
        if let Some(reason) = self.skips.get(name) {
            return Some((Became::Skipped, reason.clone()));
        }
        match &self.confirmed.get(name)?.result {
            Found::Error { message, .. } => Some((Became::Broken, message.clone())),
            Found::Plan(plan) => blocked(plan).map(|why| (Became::Broken, why)),
        }
    }

    /// Why a tenant cannot be applied for what it takes from others: a hub that was not applied.
    fn lacks(&self, name: &str) -> Option<(Became, String)> {
        let is_applied = |hub: &str| {
            let became = self.state.tenants.get(hub).map(|one| one.became);
            matches!(became, Some(Became::Applied | Became::Unchanged | Became::Skipped))
        };
        let manifest = &self.crowd.members[self.member_of(name)?].session.manifest;
        let hub = self.sharing.hubs_of(name).find(|hub| !is_applied(hub));
        let open = || handed::taken(manifest).into_iter().next().map(|(hub, ..)| hub);
        let hub = hub.map(str::to_owned).or_else(open)?;
        Some((Became::Broken, format!("it takes outputs of {}, which is not applied", line(&hub))))
    }

    pub(super) fn became(&mut self, name: &str, progress: Progress, shell: &mut Shell) -> Result<()> {
        self.say_became(name, &progress, shell);
        self.happened(Event::Tenant { name: name.to_owned(), progress })
    }

    pub(super) fn say_became(&self, name: &str, progress: &Progress, shell: &mut Shell) {
        if progress.became == Became::Unchanged {
            return;
        }
        let steps = match progress.steps {
            0 => String::new(),
            1 => ", 1 step".to_owned(),
            n => format!(", {n} steps"),
        };
        let why = if progress.why.is_empty() { String::new() } else { format!(": {}", line(&progress.why)) };
        let (sign, word) = (progress.became.sign(), progress.became.word());
        shell.say.err_one_line(format!("  {sign} {} {word}{steps}{why}", line(name)));
    }

    /// Applies the members of a wave, side by side as far as there is room, and asks anew after each that ended.
    fn apply(
        &mut self,
        wave: usize,
        names: Vec<String>,
        mut room: usize,
        until: usize,
        shell: &mut Shell,
    ) -> Result<()> {
        self.wrote = true;
        self.bound(names.len());
        self.flush()?;
        let mut waiting = names.into_iter().collect::<std::collections::VecDeque<_>>();
        let mut running: Vec<(String, u64, crate::engine::TaskId, _)> = Vec::new();
        // How often a tenant was held by the run before, which may still end what it has in flight there.
        let mut held: BTreeMap<String, u32> = BTreeMap::new();
        // Why no record could be written. What is in flight ends, and nothing more begins.
        let mut away = None;
        loop {
            while running.len() < room && away.is_none() && !self.is_over() {
                let open: BTreeSet<&String> = waiting
                    .iter()
                    .chain(running.iter().map(|(name, ..)| name))
                    .filter(|name| self.sharing.is_hub(name))
                    .collect();
                let Some(at) = waiting.iter().position(|name| self.sharing.is_ready(name, &open)) else {
                    break;
                };
                let Some(name) = waiting.remove(at) else { break };
                if let Some((became, why)) = self.known_before(&name).or_else(|| self.lacks(&name)) {
                    let at_ms = self.now_ms();
                    let progress = Progress { became, at_ms, began_ms: 0, steps: 0, why };
                    away = self.became(&name, progress, shell).err();
                    continue;
                }
                let Some(at) = self.member_of(&name) else { continue };
                let member = &self.crowd.members[at];
                let (session, tenant) = (member.session.clone(), member.tenant);
                let confirmed = self.confirmed.get(&name).and_then(|one| one.result.plan()).cloned();
                let sharing = self.sharing.of(&name);
                let decide = move |plan: &Plan| {
                    let decision = match blocked(plan) {
                        Some(why) => Decision::Leave(why),
                        None if plan.is_empty() => Decision::Apply,
                        None => sharing
                            .objection(confirmed.as_ref(), plan)
                            .map_or(Decision::Apply, Decision::Stale),
                    };
                    decision.into()
                };
                let (task, slot) = self.crowd.driver.spawn(tenant, move |port| async move {
                    reconcile(session, Wishes::default(), decide, &port).await
                });
                running.push((name, self.now_ms(), task, slot));
            }
            if running.is_empty() {
                return away.map_or(Ok(()), Err);
            }
            let tasks: Vec<_> = running.iter().map(|(_, _, task, _)| *task).collect();
            self.crowd.driver.drive_until(&tasks, 1)?;
            self.show(shell)?;
            let now_ms = self.now_ms();
            let (ended, left): (Vec<_>, Vec<_>) =
                running.into_iter().partition(|(.., slot)| slot.borrow().is_some());
            running = left;
            for (name, began_ms, _, slot) in ended {
                let Some(result) = slot.take() else { continue };
                if self.sharing.is_taken_over && is_held(&result) {
                    let tries = held.entry(name.clone()).or_insert(0);
                    *tries += 1;
                    if *tries < HELD_TRIES_MAX {
                        waiting.push_back(name);
                        continue;
                    }
                }
                let outputs = result.as_ref().ok().map(|report| report.outcome.outputs.clone());
                if let Some(outputs) =
                    outputs.filter(|outputs| !outputs.is_empty() && self.sharing.is_hub(&name))
                {
                    self.sharing.handed_on(&name, outputs, self.made, &mut self.crowd.members, shell);
                }
                let progress = self.outcome(result, began_ms, now_ms);
                // What a signal cut short is not known; the next run looks it up.
                if let Some(progress) = progress {
                    away = away.or(self.became(&name, progress, shell).err());
                }
            }
            if away.is_none() {
                away = self.log.look_again(now_ms).map(|halt| self.heard(halt)).err();
            }
            room = match next(&self.state, &self.loaded.fleet.rollout, &self.loaded.groups, until, now_ms) {
                Next::Apply { wave: same, room, .. } if same == wave => room,
                // Nothing new begins; what is in flight ends.
                _ => 0,
            };
            if running.is_empty() && (room == 0 || self.is_over()) {
                return away.map_or(Ok(()), Err);
            }
        }
    }

    pub(super) fn outcome(
        &self,
        result: Result<Report, Failed>,
        began_ms: u64,
        now_ms: u64,
    ) -> Option<Progress> {
        let failed =
            |why: String| Some(Progress { became: Became::Failed, at_ms: now_ms, began_ms, steps: 0, why });
        let report = match result {
            Ok(report) => report,
            Err(Failed::Stopped) => return None,
            Err(error) => return failed(error.to_string()),
        };
        let steps = report.outcome.done.len();
        match report.outcome.ended {
            Ended::Done => {
                Some(Progress { became: Became::Applied, at_ms: now_ms, began_ms, steps, why: String::new() })
            }
            Ended::Stopped => None,
            Ended::LeaseHeld(owner) => failed(format!("{owner} is applying to this tenant")),
            Ended::Moved => failed("other runs kept changing the record".to_owned()),
            Ended::Stale(what) => failed(what),
            Ended::Failed(why) | Ended::NotConfirmed(why) | Ended::Misnamed(why) => {
                Some(Progress { became: Became::Failed, at_ms: now_ms, began_ms, steps, why })
            }
        }
    }

    /// Reads the gates of a wave, anew. `None`: nothing more begins.
    pub(super) fn read_gates(&mut self, wave: usize) -> Result<Option<Vec<Judged>>> {
        self.bound(self.state.waves[wave].members.len());
        let declared = &self.loaded.fleet.rollout.waves[self.loaded.groups[wave].wave];
        let members: Vec<(String, usize)> = self.state.waves[wave]
            .members
            .iter()
            .filter(|name| {
                let became = self.state.tenants.get(*name).map(|one| one.became);
                matches!(became, Some(Became::Applied | Became::Unchanged))
            })
            .filter_map(|name| Some((name.clone(), self.member_of(name)?)))
            .collect();
        let mut judged = judge(declared, &members, &mut self.crowd, self.args, &self.state, wave)?;
        if self.is_over() {
            return Ok(None);
        }
        for one in &mut judged {
            let accepted = self.state.accepted.iter().find(|(gate, _)| is_gate(&one.gate, gate));
            if let Some((_, why)) = accepted.filter(|_| one.verdict != Verdict::Passed) {
                one.verdict = Verdict::Accepted;
                one.words = format!("{}; accepted: {why}", one.words);
            }
        }
        Ok(Some(judged))
    }

    fn judge(&mut self, wave: usize, until_ms: u64, shell: &mut Shell) -> Result<()> {
        let Some(judged) = self.read_gates(wave)? else { return Ok(()) };
        let name = line(&self.state.waves[wave].name);
        let is_open = |one: &&Judged| !matches!(one.verdict, Verdict::Passed | Verdict::Accepted);
        let Some(open) = judged.iter().find(is_open).cloned() else {
            let gates: Vec<&str> = judged.iter().map(|one| one.gate.as_str()).collect();
            shell.say.err_one_line(format!("wave {name}: passed ({})", gates.join(", ")));
            return self.happened(Event::Passed { wave, gates: judged });
        };
        let has_failed = judged.iter().any(|one| one.verdict == Verdict::Failed);
        self.happened(Event::Read { wave, gates: judged })?;
        if has_failed || self.now_ms() >= until_ms {
            return Ok(());
        }
        let what = format!(
            "wave {name}: waits for the gate {}: {}; until {} at most",
            open.gate,
            line(&open.words),
            timestamp(until_ms)
        );
        let at_ms = self.now_ms().saturating_add(LOOK_MS).min(until_ms);
        self.wait(at_ms, &what, shell)
    }

    /// The end of the course.
    pub fn finish(self) -> Settled {
        let signal = self.is_over();
        let waits = waiting(&self.state, &self.loaded.fleet.rollout, self.now_ms());
        Settled { state: self.state, exit: 0, signal, waits }
    }

    /// Writes the page and the metrics as it goes, so that whoever looks knows at once what is waited for.
    pub(super) fn show(&mut self, shell: &mut Shell) -> Result<()> {
        let now_ms = self.now_ms();
        if !shell.reports.has_pages() || now_ms < self.shown_ms.saturating_add(SHOWN_MS) {
            return Ok(());
        }
        self.shown_ms = now_ms;
        let waits = waiting(&self.state, &self.loaded.fleet.rollout, now_ms);
        let settled = Settled { state: self.state.clone(), exit: 0, signal: false, waits };
        let exit = settled.exit() as u8;
        publish_pages(shell, &FleetContent::Rolled(Box::new(Settled { exit, ..settled })))
    }
}

/// Why a plan cannot be applied, if it cannot.
pub(super) fn blocked(plan: &Plan) -> Option<String> {
    plan.blockers().next().map(|blocker| format!("{}: {}", blocker.code, blocker.text))
}

/// Whether a gate's words name that gate: `conversion 60%` is named by `conversion` too.
fn is_gate(word: &str, named: &str) -> bool {
    word == named || word.split(' ').next() == Some(named)
}

/// When the last run on record ended, if it was of this rollout: of the same revision.
fn applied_ms(observation: &Observation, revision: &str) -> Option<u64> {
    let last = observation.found.ledger.as_ref()?.history.last()?;
    let at: jiff::Timestamp = last.at.parse().ok()?;
    let at_ms = u64::try_from(at.as_millisecond()).ok()?;
    (last.revision == revision).then_some(at_ms)
}

/// Digest of what the fleet wants: every manifest, and how it is rolled out.
fn wanted(loaded: &Loaded) -> String {
    let mut text = format!("{:?}{:?}", loaded.fleet.rollout, loaded.groups);
    for at in 0..loaded.tenants.list.len() {
        text.push_str(&loaded.render(at).text);
    }
    hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
}

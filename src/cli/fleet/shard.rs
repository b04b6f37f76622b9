//! One shard of a rollout on several machines: folds the records, decides, writes, does, again and again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::error::{Error, Result};
use super::super::setup::Shell;
use super::course::{Course, blocked};
use super::recorded::problem;
use super::sharing::{changed_in_between, more_than};
use crate::engine::TaskId;
use crate::engine::apply::{Wishes, timestamp};
use crate::engine::reconcile::{Decision, Report, reconcile};
use crate::fleet::file::OnHalt;
use crate::fleet::report::listed;
use crate::fleet::rollout::{Event, Next, Progress, State, Verdict, next};
use crate::fleet::shards::{LIFE_POLLS, Me, Move, SIGN_POLLS, Watch, decide, divide, shards_of_accounts};
use crate::model::call::Failed;
use crate::model::plan::{Digest, Plan};
use crate::model::text::line;
use crate::shell::records::RecordProblem;

/// Interval between two readings of a gate that waits, in ms.
const LOOK_MS: u64 = 15_000;
/// Digits of a plan's digest that the records keep of each tenant.
const PLAN_DIGITS: usize = 16;
/// Longest time without a word while a shard waits, in real time.
const TOLD_MS: u64 = 60_000;

type Slot = Rc<RefCell<Option<Result<Report, Failed>>>>;

/// What a course has besides when it is one of several shards.
pub struct Part {
    pub me: Me,
    watch: Watch,
    poll_ms: u64,
    /// What begins the rollout; empty: it has begun.
    begin: Vec<Event>,
    /// What happened and is not on record yet.
    facts: Vec<Event>,
    /// Result of what this shard had the duty of, and for which decision it was made.
    offer: Option<(Next, Vec<Event>)>,
    /// Tenants in flight, each with the time since when.
    running: Vec<(String, u64, TaskId, Slot)>,
    looked_ms: u64,
    signed_ms: u64,
    /// Since when the store has not answered.
    away_ms: Option<u64>,
    /// This shard has halted the rollout.
    has_halted: bool,
    /// The wave whose gates this run read last, and when.
    judged: (usize, u64),
    /// A person confirms other plans than those on record, of which none has been begun.
    replans: bool,
    /// The plans that were agreed, of the tenants that this run has just claimed.
    agreed: BTreeMap<String, String>,
    /// Until then a halt may still be lifted by the first shard.
    patient_ms: u64,
    /// What the halt wants taken back is being taken back by this run.
    takes_back: bool,
    /// Waves of which the terminal was told that they have passed.
    told: usize,
    said_ms: u64,
}

impl Course<'_> {
    /// Makes the course one of several shards. `part`: from 1, and how many there are; 0: alone with what shards began.
    /// `resumes`: a person lets it go on.
    pub fn share(&mut self, part: (u32, u32), poll_ms: u64, resumes: bool) -> Result<Part> {
        let (shard, of) = part;
        let run = format!("{shard}-{}", self.log.run());
        let open: Vec<String> = self.sharing.open().cloned().collect();
        if !open.is_empty() {
            let text = format!(
                "{} take outputs of a tenant that has none yet, and shards do not hand them on",
                listed(&open)
            );
            return Err(Error::usage(text).help("roll that tenant out first, on one machine: put it into the first wave, and name that wave with --until"));
        }
        let tenants: Vec<(String, String)> = self
            .made
            .iter()
            .zip(&self.crowd.members)
            .map(|(one, member)| {
                (self.loaded.tenants.list[one.at].name.clone(), member.session.account.clone())
            })
            .collect();
        let owners = divide(&tenants, of);
        if shard > 0 {
            for (account, shards) in shards_of_accounts(&tenants, &owners) {
                self.crowd.driver.engine().share_account(&account, shards as u64);
            }
        }
        let mut begin = self.log.take_waiting();
        begin.push(Event::Shared { of, plans: self.plans() });
        let me = Me { run, shard, of, owners };
        let now_ms = self.now_ms();
        let mut shared = Part {
            me,
            watch: Watch::new(poll_ms.saturating_mul(LIFE_POLLS)),
            poll_ms,
            begin,
            facts: Vec::new(),
            offer: None,
            running: Vec::new(),
            looked_ms: now_ms,
            signed_ms: 0,
            away_ms: None,
            has_halted: false,
            judged: (0, 0),
            replans: false,
            agreed: BTreeMap::new(),
            patient_ms: 0,
            takes_back: false,
            told: 0,
            said_ms: 0,
        };
        if let Some(found) = self.log.found.as_ref().map(|record| record.state.clone()) {
            shared.replans = (resumes || shard == 0) && shared.another(&found, self).is_some();
            shared.takes(found, self)?;
        }
        Ok(shared)
    }

    /// Lets a rollout go on that was halted: the first shard does it, and the others wait for that.
    pub fn resume_shared(
        &mut self,
        part: &mut Part,
        resumes: bool,
        accepted: &[String],
        why: &str,
        shell: &mut Shell,
    ) -> Result<()> {
        let is_alone = part.me.shard == 0;
        if !(resumes || is_alone) {
            return match accepted.is_empty() {
                true => Ok(()),
                false => Err(Error::usage("--accept with --shard lets a halted rollout go on")
                    .help("write `lockstep rollout resume` with the same options on every shard")),
            };
        }
        match self.state.halt.is_some() || !accepted.is_empty() || part.replans {
            true if part.me.shard <= 1 => {
                let resumed = self.resumed(accepted, why);
                self.say_left_out(&resumed, shell);
                part.facts.push(resumed);
            }
            _ => part.patient_ms = self.now_ms().saturating_add(part.watch.life_ms),
        }
        Ok(())
    }

    /// Goes on together with the other shards until the rollout is over for all of them.
    pub fn go_shared(&mut self, part: &mut Part, until: usize, shell: &mut Shell) -> Result<()> {
        loop {
            part.collect(self, shell);
            if self.is_over() && part.running.is_empty() {
                part.facts.push(Event::Freed { run: part.me.run.clone() });
            }
            let decided = match part.settle(self, until) {
                Ok(decided) => decided,
                Err(Stop::Away(cause)) => part.away(cause, self, shell)?,
                Err(Stop::Error(error)) => return Err(error),
            };
            part.tell_waves(&self.state, shell);
            self.show(shell)?;
            if self.is_over() && part.running.is_empty() {
                return Ok(());
            }
            match decided {
                _ if self.is_over() => part.rest(None, self)?,
                // Somebody has ended the rollout: what is in flight comes to its end.
                Move::Leave if !part.running.is_empty() => part.rest(None, self)?,
                Move::Claim(names) => part.begin_tenants(&names, self),
                Move::Open(wave) => part.open(wave, self, shell)?,
                Move::Judge { wave, .. } => part.judge(wave, self, shell)?,
                Move::Halt { why, .. } => {
                    shell.say.err_one_line(format!("halted: {}", line(&why)));
                    part.has_halted = true;
                }
                Move::Leave if part.has_halted && self.loaded.fleet.rollout.on_halt == OnHalt::Rollback => {
                    part.has_halted = false;
                    self.take_back_shared(part, until, shell)?;
                }
                Move::Leave if self.state.halt.is_some() && self.now_ms() < part.patient_ms => {
                    part.tell("the first shard lets it go on", self.now_ms(), shell);
                    part.rest(None, self)?;
                }
                Move::Leave => return Ok(()),
                Move::Wait(at_ms) => {
                    let words = waited_for(&self.state, part, at_ms);
                    part.tell(&words, self.now_ms(), shell);
                    part.rest(at_ms, self)?;
                }
                Move::Duty | Move::Free(_) | Move::End => {}
            }
        }
    }

    /// Takes back what was written in the open wave, claimed like an apply so that the others wait for it.
    fn take_back_shared(&mut self, part: &mut Part, until: usize, shell: &mut Shell) -> Result<()> {
        let Some(wave) = self.state.current() else { return Ok(()) };
        let wrote = |name: &&String| self.state.tenants.get(*name).is_some_and(|one| one.steps > 0);
        let tenants: Vec<String> = self.state.waves[wave].members.iter().filter(wrote).cloned().collect();
        part.takes_back = true;
        part.facts.push(Event::Claimed { run: part.me.run.clone(), tenants });
        if let Err(Stop::Error(error)) = part.settle(self, until) {
            return Err(error);
        }
        self.aside = Some(Vec::new());
        self.take_back(wave, shell)?;
        part.facts.extend(self.aside.take().into_iter().flatten());
        part.takes_back = false;
        Ok(())
    }
}

/// Why nothing could be decided.
enum Stop {
    /// The store does not answer.
    Away(RecordProblem),
    Error(Error),
}

impl From<RecordProblem> for Stop {
    fn from(cause: RecordProblem) -> Stop {
        match cause {
            RecordProblem::Io(_) | RecordProblem::Away(_) => Stop::Away(cause),
            other => Stop::Error(problem(other)),
        }
    }
}

/// Whether a result that was made for one decision still fits another.
fn is_same(made_for: &Next, comes: &Next) -> bool {
    match (made_for, comes) {
        (Next::Open(one), Next::Open(other)) => one == other,
        (Next::Judge { wave: one, .. }, Next::Judge { wave: other, .. }) => one == other,
        _ => false,
    }
}

/// What a shard waits for, in words.
fn waited_for(state: &State, part: &Part, at_ms: Option<u64>) -> String {
    let Some(wave) = state.current().map(|wave| &state.waves[wave]) else {
        return "the last records".to_owned();
    };
    let name = line(&wave.name);
    if let Some(at_ms) = at_ms {
        return format!("wave {name}: soaks until {}", timestamp(at_ms));
    }
    let others = state.shards.claims.iter().filter(|(_, run)| **run != part.me.run);
    let others: Vec<String> = others.map(|(name, _)| name.clone()).collect();
    match (&state.shards.duty, others.as_slice()) {
        (_, [_, ..]) => format!("wave {name}: other shards write to {}", listed(&others)),
        (Some(_), _) => format!("wave {name}: another shard reads its tenants"),
        (None, _) => format!("wave {name}: tenants of other shards"),
    }
}

/// The digits by which the records know a plan again.
pub fn shortened(plan: &Plan) -> String {
    plan.basis.chars().take(PLAN_DIGITS).collect()
}

impl Part {
    /// Goes on from a state on record. What this run has not told yet stands behind it.
    fn takes(&mut self, state: State, course: &mut Course<'_>) -> Result<()> {
        let is_ours = state.wanted == course.wanted && state.fleet == course.loaded.fleet.name;
        let was_in_it = state.shards.alive.values().any(|sign| sign.shard == self.me.shard);
        match state.ended_ms.is_some() {
            // A shard that comes after the end of its rollout ends with its outcome.
            true if is_ours && state.shards.of == self.me.of && self.me.shard > 0 && !was_in_it => {}
            true if self.begin.len() > 1 => return Ok(()),
            true => {}
            false if !is_ours => return Err(course.other(&state)),
            false if self.me.shard > 0 && state.shards.of > 0 && state.shards.of != self.me.of => {
                return Err(Error::usage(format!(
                    "the rollout on record is divided among {} shards, and this is one of {}",
                    state.shards.of, self.me.of
                ))
                .help("start all shards of a rollout with the same number"));
            }
            false => {
                if let Some(name) = self.another(&state, course).filter(|_| !self.replans) {
                    return Err(Error::plan(format!(
                        "this shard plans something else for {} than the one that began the rollout; it changed nothing",
                        line(&name)
                    ))
                    .help("give all shards the same files, variables and options; if the tenant was changed since, `lockstep rollout resume` on every shard confirms the new plans"));
                }
                // What was confirmed is on record; each tenant is held to its plan there.
                if !self.replans {
                    course.digest = Digest::parse(&state.digest).unwrap_or_else(|_| course.digest.clone());
                }
            }
        }
        // A rollout that one machine began is shared from here on.
        self.begin.retain(|event| matches!(event, Event::Shared { .. }) && state.shards.of == 0);
        if state.ended_ms.is_some() {
            self.begin.clear();
        }
        course.state = state;
        Ok(())
    }

    /// A tenant whose plan is another one for this run than for the shard that began the rollout, if no wave has been
    /// opened.
    fn another(&self, state: &State, course: &Course<'_>) -> Option<String> {
        let is_untouched = state.waves.iter().all(|wave| wave.opened_ms.is_none());
        let is_other = |(name, plan): &(String, String)| {
            state.shards.plans.get(name).is_some_and(|agreed| agreed != plan)
        };
        course.plans().into_iter().filter(|_| is_untouched).find(is_other).map(|(name, _)| name)
    }

    /// Takes the results of what has ended.
    fn collect(&mut self, course: &mut Course<'_>, shell: &mut Shell) {
        let now_ms = course.now_ms();
        let running = std::mem::take(&mut self.running);
        for (name, began_ms, task, slot) in running {
            let result = slot.borrow_mut().take();
            let Some(result) = result else {
                self.running.push((name, began_ms, task, slot));
                continue;
            };
            // What a signal cut short is not known: it is freed.
            let Some(progress) = course.outcome(result, began_ms, now_ms) else { continue };
            if course.state.shards.claims.get(&name) == Some(&self.me.run) {
                course.say_became(&name, &progress, shell);
            }
            self.facts.push(Event::Tenant { name, progress });
        }
    }

    /// What this run has to say, on top of a state: only what it still has is its own to tell, and nothing goes on with a
    /// rollout that has ended.
    fn told(&self, state: &State) -> Vec<Event> {
        if state.ended_ms.is_some() && self.begin.is_empty() {
            return Vec::new();
        }
        let mine = |event: &&Event| match event {
            Event::Tenant { name, .. } => state.shards.claims.get(name) == Some(&self.me.run),
            _ => true,
        };
        self.begin.iter().chain(self.facts.iter().filter(mine)).cloned().collect()
    }

    /// Decides on what is on record, and writes the decision behind it. Whoever loses the race reads and decides again.
    fn settle(&mut self, course: &mut Course<'_>, until: usize) -> std::result::Result<Move, Stop> {
        let now_ms = course.now_ms();
        if now_ms.saturating_sub(self.looked_ms) >= self.poll_ms {
            self.look(course, false)?;
        }
        let is_over = course.is_over();
        loop {
            let now_ms = course.now_ms();
            let mut events = self.told(&course.state);
            let fold = |state: State, event: &Event| state.after(event, now_ms);
            let mut state = events.iter().fold(course.state.clone(), fold);
            let (rollout, groups) = (&course.loaded.fleet.rollout, &course.loaded.groups);
            let comes = next(&state, rollout, groups, until, now_ms);
            let dead = self.watch.dead(&state, &comes, &self.me, now_ms);
            // A claim whose reply was lost is one that nobody has begun yet.
            let is_running = |name: &String| self.running.iter().any(|(one, ..)| one == name);
            let mine = state.shards.claims.iter().filter(|(_, run)| **run == self.me.run);
            let unbegun: Vec<String> =
                mine.map(|(name, _)| name).filter(|name| !is_running(name)).cloned().collect();
            let decided = match &comes {
                _ if is_over => Move::Wait(None),
                Next::Apply { .. } if !unbegun.is_empty() => Move::Claim(unbegun),
                Next::Halted if !unbegun.is_empty() && self.running.is_empty() && !self.takes_back => {
                    Move::Free(vec![self.me.run.clone()])
                }
                _ => decide(&state, comes.clone(), &self.me, &dead),
            };
            if let Move::Claim(tenants) = &decided {
                let plan = |name: &String| Some((name.clone(), state.shards.plans.get(name)?.clone()));
                self.agreed.extend(tenants.iter().filter_map(plan));
            }
            let run = || self.me.run.clone();
            let offer = self.offer.as_ref().filter(|(of, _)| is_same(of, &comes)).map(|(_, events)| events);
            let more = match (&decided, offer) {
                (Move::Open(_) | Move::Judge { .. } | Move::Duty | Move::Wait(_), Some(offer)) => {
                    offer.clone()
                }
                (Move::Claim(tenants), _) => vec![Event::Claimed { run: run(), tenants: tenants.clone() }],
                (Move::Duty, _) => vec![Event::Duty { run: run() }],
                (Move::Halt { cause, why }, _) => {
                    vec![Event::Halted { cause: *cause, why: why.clone(), by: course.by.clone() }]
                }
                (Move::Free(runs), _) => runs.iter().map(|run| Event::Freed { run: run.clone() }).collect(),
                (Move::End, _) => vec![Event::Ended],
                _ => Vec::new(),
            };
            let has_offered = self.offer.is_some() && offer.is_some() && !more.is_empty();
            state = more.iter().fold(state, fold);
            events.extend(more);
            let is_due = now_ms.saturating_sub(self.signed_ms) >= self.poll_ms.saturating_mul(SIGN_POLLS);
            let owes_sign = is_due && state.ended_ms.is_none() && self.me.owes(&state, &comes);
            if events.is_empty() && !owes_sign {
                self.offer = None;
                self.away_ms = None;
                return Ok(decided);
            }
            let alive = Event::Alive { run: run(), shard: self.me.shard };
            state = state.after(&alive, now_ms);
            events.push(alive);
            let by = course.by.clone();
            if course.log.put(events, &state, &by, now_ms)? {
                course.state = state;
                self.signed_ms = now_ms;
                self.away_ms = None;
                self.begin.clear();
                self.facts.clear();
                self.offer = None;
                // What was offered is on record, so the next decision is another one.
                if has_offered {
                    continue;
                }
                return Ok(decided);
            }
            self.look(course, true)?;
        }
    }

    /// Reads what others wrote.
    fn look(&mut self, course: &mut Course<'_>, lost: bool) -> std::result::Result<(), Stop> {
        self.looked_ms = course.now_ms();
        match course.log.newer(lost)? {
            Some(record) => self.takes(record.state, course).map_err(Stop::Error),
            None => Ok(()),
        }
    }

    /// The store does not answer: what is in flight ends, and nothing starts.
    fn away(&mut self, cause: RecordProblem, course: &mut Course<'_>, shell: &mut Shell) -> Result<Move> {
        let now_ms = course.now_ms();
        if self.away_ms.is_none() {
            shell.say.err_one_line(format!(
                "the records cannot be reached, so nothing new begins: {}",
                line(&cause.to_string())
            ));
        }
        let since_ms = *self.away_ms.get_or_insert(now_ms);
        // Nothing is asked for before the next poll.
        self.looked_ms = now_ms;
        let is_over = now_ms.saturating_sub(since_ms) >= self.watch.life_ms || course.is_over();
        match self.running.is_empty() && is_over {
            true => Err(problem(cause)),
            false => {
                self.offer = None;
                Ok(Move::Wait(None))
            }
        }
    }

    /// Waits until something that runs has ended, or until the next poll.
    fn rest(&mut self, at_ms: Option<u64>, course: &mut Course<'_>) -> Result<()> {
        let Some(tenant) = course.crowd.members.first().map(|member| member.tenant) else { return Ok(()) };
        let now_ms = course.now_ms();
        if self.running.is_empty() {
            course.bound(0);
        }
        let poll_ms = self.looked_ms.saturating_add(self.poll_ms).saturating_sub(now_ms);
        let ms = at_ms.map_or(poll_ms, |at_ms| at_ms.saturating_sub(now_ms).min(poll_ms)).max(1);
        let (sleeper, _) =
            course.crowd.driver.spawn(tenant, move |port| async move { port.reader().sleep_ms(ms).await });
        let tasks: Vec<TaskId> = self.running.iter().map(|(_, _, task, _)| *task).chain([sleeper]).collect();
        course.crowd.driver.drive_until(&tasks, 1)?;
        Ok(())
    }

    /// Starts what was claimed.
    fn begin_tenants(&mut self, names: &[String], course: &mut Course<'_>) {
        course.wrote = true;
        for name in names {
            if let Some((became, why)) = course.known_before(name) {
                let progress = Progress { became, at_ms: course.now_ms(), began_ms: 0, steps: 0, why };
                self.facts.push(Event::Tenant { name: name.clone(), progress });
                continue;
            }
            let Some(at) = course.member_of(name) else { continue };
            let member = &course.crowd.members[at];
            let (session, tenant) = (member.session.clone(), member.tenant);
            let confirmed = course.confirmed.get(name).and_then(|one| one.result.plan()).cloned();
            let agreed = self.agreed.remove(name);
            let decide = move |plan: &Plan| {
                let is_agreed = match &agreed {
                    Some(agreed) => *agreed == shortened(plan),
                    None => confirmed.as_ref().is_some_and(|confirmed| more_than(confirmed, plan).is_none()),
                };
                let decision = match blocked(plan) {
                    Some(why) => Decision::Leave(why),
                    None if plan.is_empty() || is_agreed => Decision::Apply,
                    None => Decision::Stale(changed_in_between(confirmed.as_ref(), plan)),
                };
                decision.into()
            };
            let (task, slot) = course.crowd.driver.spawn(tenant, move |port| async move {
                reconcile(session, Wishes::default(), decide, &port).await
            });
            self.running.push((name.clone(), course.now_ms(), task, slot));
        }
        course.bound(self.running.len());
    }

    /// Plans all members of a wave, and offers to open it.
    fn open(&mut self, wave: usize, course: &mut Course<'_>, shell: &mut Shell) -> Result<()> {
        let Some(known) = course.read_wave(wave, shell)? else { return Ok(()) };
        let mut events = vec![Event::Opened { wave }];
        for (name, progress) in known {
            course.say_became(&name, &progress, shell);
            events.push(Event::Tenant { name, progress });
        }
        self.offer = Some((Next::Open(wave), events));
        Ok(())
    }

    /// Reads the gates of a wave, and offers what they say.
    fn judge(&mut self, wave: usize, course: &mut Course<'_>, shell: &mut Shell) -> Result<()> {
        let again_ms = self.judged.1.saturating_add(LOOK_MS);
        if self.judged.0 == wave && course.now_ms() < again_ms {
            return self.rest(Some(again_ms), course);
        }
        let Some(gates) = course.read_gates(wave)? else { return Ok(()) };
        self.judged = (wave, course.now_ms());
        let open = gates.iter().find(|one| !matches!(one.verdict, Verdict::Passed | Verdict::Accepted));
        let event = match open {
            None => Event::Passed { wave, gates },
            Some(open) => {
                let words = format!("the gate {} of the wave: {}", open.gate, line(&open.words));
                self.tell(&words, course.now_ms(), shell);
                Event::Read { wave, gates }
            }
        };
        self.offer = Some((Next::Judge { wave, until_ms: 0 }, vec![event]));
        Ok(())
    }

    /// Says at most once a minute what is waited for.
    fn tell(&mut self, words: &str, now_ms: u64, shell: &mut Shell) {
        if !self.running.is_empty() || now_ms < self.said_ms.saturating_add(TOLD_MS) {
            return;
        }
        self.said_ms = now_ms;
        let who = match self.me {
            Me { shard: 0, .. } => "this run".to_owned(),
            Me { shard, of, .. } => format!("shard {shard}/{of}"),
        };
        shell.say.err_one_line(format!("{who} waits: {words}"));
    }

    /// Says which waves have passed.
    fn tell_waves(&mut self, state: &State, shell: &mut Shell) {
        for wave in state.waves.iter().skip(self.told).take_while(|wave| wave.passed_ms.is_some()) {
            let gates: Vec<&str> = wave.gates.iter().map(|one| one.gate.as_str()).collect();
            shell.say.err_one_line(format!("wave {}: passed ({})", line(&wave.name), gates.join(", ")));
            self.told += 1;
            self.said_ms = 0;
        }
    }
}

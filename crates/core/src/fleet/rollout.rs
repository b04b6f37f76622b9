//! A rollout as a fold over its records: the same records give the same state, and the same state the same decision.
//!
//! ```text
//! began ─► opened ─► tenant … tenant ─► passed ─► opened ─► … ─► ended
//!             └──────────┴─────────┴──► halted ─► resumed
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::file::{Budget, Rollout};
use super::shards::Shards;
use super::waves::Group;

/// What became of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Its plan was empty; nothing was written.
    Unchanged,
    Applied,
    /// Its apply failed. It counts against the budget.
    Failed,
    /// It could not be read, or its plan was blocked, before anything was written to its wave.
    Broken,
    /// A person left it out, with a reason.
    Skipped,
    /// Its changes were taken back after the rollout halted.
    RolledBack,
}

impl Became {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Became::Unchanged => "unchanged",
            Became::Applied => "applied",
            Became::Failed => "failed",
            Became::Broken => "broken before",
            Became::Skipped => "skipped",
            Became::RolledBack => "rolled back",
        }
    }

    /// One character for a cell of a wave's line.
    pub fn sign(self) -> char {
        match self {
            Became::Unchanged => '·',
            Became::Applied => '✓',
            Became::Failed => '✗',
            Became::Broken => '!',
            Became::Skipped => '-',
            Became::RolledBack => '↩',
        }
    }
}

fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

/// What is known of a tenant in a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub became: Became,
    /// The time from which its soak counts, in ms since the Unix epoch.
    pub at_ms: u64,
    /// When its apply began; 0: nothing was begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub began_ms: u64,
    pub steps: usize,
    /// Why it failed, was broken or skipped; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Result of one reading of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    pub gate: String,
    pub verdict: Verdict,
    /// What was read.
    pub words: String,
}

/// Whether a gate lets the rollout pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    /// Too little was seen, or it could not be read: it is read again until its time is over.
    Waits,
    Failed,
    /// A person lets it pass.
    Accepted,
}

/// A wave, or a batch of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    pub name: String,
    pub members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_ms: Option<u64>,
    /// The last reading of its gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Judged>,
}

/// Why a rollout halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Gate,
    Budget,
    Limit,
    Person,
}

/// A halt: nothing is in flight, and later waves are untouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    pub cause: Cause,
    pub why: String,
    pub by: String,
    pub at_ms: u64,
}

/// The state of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub fleet: String,
    /// Digest of the plan of all tenants.
    pub digest: String,
    /// Digest of what fleet file, base, overlays and table say.
    pub wanted: String,
    pub revision: String,
    pub by: String,
    pub began_ms: u64,
    pub waves: Vec<Wave>,
    pub tenants: BTreeMap<String, Progress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// Tenants of rollouts before that are in the table no more, and not named as former ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departed: Vec<String>,
    /// Gates that a person let pass, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted: BTreeMap<String, String>,
    /// When a person let it go on, in ms since the Unix epoch; 0: never.
    #[serde(default)]
    pub resumed_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// What the shards of a rollout on several machines know of each other.
    #[serde(default, skip_serializing_if = "Shards::is_one")]
    pub shards: Shards,
}

/// What happens in a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Began {
        fleet: String,
        digest: String,
        wanted: String,
        revision: String,
        by: String,
        waves: Vec<(String, Vec<String>)>,
        /// Tenants of rollouts before that are in the table no more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        departed: Vec<String>,
    },
    Opened {
        wave: usize,
    },
    Tenant {
        name: String,
        progress: Progress,
    },
    /// The gates were read, and not all of them let the wave pass.
    Read {
        wave: usize,
        gates: Vec<Judged>,
    },
    Passed {
        wave: usize,
        gates: Vec<Judged>,
    },
    Halted {
        cause: Cause,
        why: String,
        by: String,
    },
    Resumed {
        accepted: Vec<String>,
        /// Tenants of waves that have not passed which are to be applied again, because somebody changed them since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        again: Vec<String>,
        /// Tenants of the open wave that were done, and that this run leaves out, with the reasons.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        left_out: BTreeMap<String, String>,
        /// The plans that were confirmed now, where shards go on.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        plans: BTreeMap<String, String>,
        why: String,
        by: String,
    },
    /// A run goes on with what another run began; from then on that one finds out that it has lost.
    TakenOver {
        by: String,
    },
    Ended,
    /// The rollout is shared by so many shards; the plan of each tenant is the one that was confirmed.
    Shared {
        of: u32,
        plans: BTreeMap<String, String>,
    },
    /// A sign of life of a run of a shard.
    Alive {
        run: String,
        shard: u32,
    },
    /// A run is about to write to these tenants.
    Claimed {
        run: String,
        tenants: Vec<String>,
    },
    /// A run is about to open a wave or to read its gates.
    Duty {
        run: String,
    },
    /// A run has nothing any more: it was stopped, or it is dead.
    Freed {
        run: String,
    },
}

impl State {
    /// The state after an event at a time.
    #[must_use]
    pub fn after(mut self, event: &Event, at_ms: u64) -> State {
        match event {
            Event::Began { fleet, digest, wanted, revision, by, waves, departed } => {
                let wave = |(name, members): &(String, Vec<String>)| Wave {
                    name: name.clone(),
                    members: members.clone(),
                    opened_ms: None,
                    passed_ms: None,
                    gates: Vec::new(),
                };
                return State {
                    fleet: fleet.clone(),
                    digest: digest.clone(),
                    wanted: wanted.clone(),
                    revision: revision.clone(),
                    by: by.clone(),
                    began_ms: at_ms,
                    waves: waves.iter().map(wave).collect(),
                    departed: departed.clone(),
                    ..State::default()
                };
            }
            Event::Opened { wave } => {
                self.shards.duty = None;
                if let Some(wave) = self.waves.get_mut(*wave) {
                    wave.opened_ms.get_or_insert(at_ms);
                }
            }
            Event::Tenant { name, progress } => {
                self.shards.claims.remove(name);
                self.tenants.insert(name.clone(), progress.clone());
            }
            Event::Read { wave, gates } => {
                if let Some(wave) = self.waves.get_mut(*wave) {
                    wave.gates.clone_from(gates);
                }
            }
            Event::Passed { wave, gates } => {
                self.shards.duty = None;
                if let Some(wave) = self.waves.get_mut(*wave) {
                    wave.gates.clone_from(gates);
                    wave.passed_ms = Some(at_ms);
                }
            }
            Event::Halted { cause, why, by } => {
                self.shards.duty = None;
                self.halt = Some(Halt { cause: *cause, why: why.clone(), by: by.clone(), at_ms });
            }
            Event::Resumed { accepted, again: changed, left_out, plans, why, .. } => {
                // In waves that have not passed, what failed, was changed since or was taken back is tried again, and what was read is read again.
                self.halt = None;
                self.resumed_ms = at_ms;
                let open = self.waves.iter().filter(|wave| wave.passed_ms.is_none());
                let open: BTreeSet<&String> = open.flat_map(|wave| &wave.members).collect();
                let again = |became| matches!(became, Became::Failed | Became::Broken | Became::RolledBack);
                self.tenants.retain(|name, one| {
                    !(open.contains(name) && (again(one.became) || changed.contains(name)))
                });
                self.waves
                    .iter_mut()
                    .filter(|wave| wave.passed_ms.is_none())
                    .for_each(|wave| wave.gates.clear());
                self.accepted.extend(accepted.iter().map(|gate| (gate.clone(), why.clone())));
                for (name, why) in left_out {
                    let (became, why) = (Became::Skipped, why.clone());
                    self.tenants.insert(name.clone(), Progress { became, at_ms, began_ms: 0, steps: 0, why });
                }
                let Shards { claims, plans: agreed, .. } = &mut self.shards;
                let is_begun = |name: &String| self.tenants.contains_key(name) || claims.contains_key(name);
                let anew = plans.iter().filter(|(name, _)| !is_begun(name));
                agreed.extend(anew.map(|(name, plan)| (name.clone(), plan.clone())));
            }
            Event::TakenOver { .. } => {}
            Event::Ended => self.ended_ms = Some(at_ms),
            Event::Shared { of, plans } => {
                self.shards = Shards { of: *of, plans: plans.clone(), ..Shards::default() };
            }
            Event::Alive { run, shard } => self.shards.signed(run, *shard, at_ms),
            Event::Claimed { run, tenants } => {
                for name in tenants {
                    self.shards.plans.remove(name);
                    self.shards.claims.insert(name.clone(), run.clone());
                }
            }
            Event::Duty { run } => self.shards.duty = Some(run.clone()),
            Event::Freed { run } => self.shards.freed(run),
        }
        self
    }

    /// The wave that is worked on: the first that has not passed.
    pub fn current(&self) -> Option<usize> {
        self.waves.iter().position(|wave| wave.passed_ms.is_none())
    }

    /// Members of a wave of which nothing is known yet, in order.
    pub fn waiting(&self, wave: usize) -> Vec<&str> {
        let members = self.waves.get(wave).map_or(&[][..], |wave| wave.members.as_slice());
        members.iter().map(String::as_str).filter(|name| !self.tenants.contains_key(*name)).collect()
    }

    /// How many members of a wave, or of all waves, became that.
    pub fn count(&self, wave: Option<usize>, became: Became) -> usize {
        let is_in = |name: &String| {
            wave.is_none_or(|wave| self.waves.get(wave).is_some_and(|wave| wave.members.contains(name)))
        };
        self.tenants.iter().filter(|(name, one)| one.became == became && is_in(name)).count()
    }

    /// The last write to a member of a wave, or the time from which its soak counts without one.
    fn soaks_from(&self, wave: &Wave) -> u64 {
        let each = wave.members.iter().filter_map(|name| self.tenants.get(name));
        let written =
            each.filter(|one| matches!(one.became, Became::Applied | Became::Failed | Became::Unchanged));
        written.map(|one| one.at_ms).max().or(wave.opened_ms).unwrap_or(self.began_ms)
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Plan all members of the wave, then open it.
    Open(usize),
    /// Apply these members; at most `room` are written to at once, those in flight included.
    Apply {
        wave: usize,
        names: Vec<String>,
        room: usize,
    },
    /// Nothing until that time.
    Soak {
        wave: usize,
        until_ms: u64,
    },
    /// Read the gates, with readings made from now on.
    Judge {
        wave: usize,
        until_ms: u64,
    },
    Halt {
        cause: Cause,
        why: String,
    },
    Halted,
    End,
    Ended,
}

/// Tenants that may still fail before the rollout halts.
fn left(state: &State, wave: usize, budget: Budget) -> Option<usize> {
    let (in_wave, total) = (state.count(Some(wave), Became::Failed), state.count(None, Became::Failed));
    let of = |budget: Option<usize>, failed: usize| match budget {
        Some(budget) => budget.checked_sub(failed),
        None => Some(usize::MAX),
    };
    // A rollout that says nothing of a budget stops at the first failure.
    let Budget { wave, total: whole } = match budget {
        Budget { wave: None, total: None } => Budget { wave: Some(0), total: Some(0) },
        budget => budget,
    };
    Some(of(wave, in_wave)?.min(of(whole, total)?))
}

/// The decision. `until`: position after the last wave that this run goes to.
pub fn next(state: &State, rollout: &Rollout, groups: &[Group], until: usize, now_ms: u64) -> Next {
    if state.ended_ms.is_some() {
        return Next::Ended;
    }
    if state.halt.is_some() {
        return Next::Halted;
    }
    let Some(at) = state.current().filter(|at| *at < until) else {
        return if state.current().is_none() { Next::End } else { Next::Ended };
    };
    let wave = &state.waves[at];
    if wave.opened_ms.is_none() {
        return Next::Open(at);
    }
    let Some(left) = left(state, at, rollout.budget) else {
        let failed = state.count(Some(at), Became::Failed);
        let why = format!(
            "{failed} of {} tenants of the wave {} failed, more than the budget allows",
            wave.members.len(),
            wave.name
        );
        return Next::Halt { cause: Cause::Budget, why };
    };
    let waiting = state.waiting(at);
    if !waiting.is_empty() {
        let names = waiting.into_iter().map(str::to_owned).collect();
        let room = rollout.max_parallel.min(left.saturating_add(1));
        return Next::Apply { wave: at, names, room };
    }
    let is = |became| state.count(Some(at), became);
    if is(Became::Applied) + is(Became::Unchanged) == 0 && is(Became::Skipped) < wave.members.len() {
        let why = format!("no tenant of the wave {} was applied, so its gates would say nothing", wave.name);
        return Next::Halt { cause: Cause::Gate, why };
    }
    let soak_ms =
        groups.get(at).and_then(|group| rollout.waves.get(group.wave)).map_or(0, |wave| wave.soak_ms);
    let until_ms = state.soaks_from(wave).saturating_add(soak_ms);
    if until_ms > now_ms {
        return Next::Soak { wave: at, until_ms };
    }
    if let Some(failed) = wave.gates.iter().find(|one| one.verdict == Verdict::Failed) {
        let why = format!("the gate {} of the wave {} failed: {}", failed.gate, wave.name, failed.words);
        return Next::Halt { cause: Cause::Gate, why };
    }
    let until_ms = until_ms.max(state.resumed_ms).saturating_add(rollout.timeout_ms);
    let waits = wave.gates.iter().find(|one| one.verdict == Verdict::Waits);
    match waits.filter(|_| now_ms >= until_ms) {
        Some(waits) => {
            let why = format!(
                "the gate {} of the wave {} did not pass in time: {}",
                waits.gate, wave.name, waits.words
            );
            Next::Halt { cause: Cause::Gate, why }
        }
        None => Next::Judge { wave: at, until_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::file::{Limits, OnHalt, Wave as Declared};

    fn rollout(budget: Budget) -> Rollout {
        let wave = |name: &str, soak_ms| Declared {
            name: name.to_owned(),
            matches: Vec::new(),
            share: None,
            rest: false,
            batch: None,
            soak_ms,
            gates: Vec::new(),
        };
        Rollout {
            max_parallel: 2,
            waves: vec![wave("canary", 1_000), wave("rest", 0)],
            budget,
            limits: Limits::default(),
            on_halt: OnHalt::Stay,
            timeout_ms: 5_000,
        }
    }

    fn groups() -> Vec<Group> {
        let group = |wave, name: &str| Group { wave, name: name.to_owned(), members: Vec::new() };
        vec![group(0, "canary"), group(1, "rest")]
    }

    fn began() -> Event {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Event::Began {
            fleet: "acme".into(),
            digest: "d".into(),
            wanted: "w".into(),
            revision: "r".into(),
            by: "me".into(),
            waves: vec![("canary".into(), names(&["a", "b"])), ("rest".into(), names(&["c"]))],
            departed: Vec::new(),
        }
    }

    fn tenant(name: &str, became: Became, at_ms: u64) -> (Event, u64) {
        let progress = Progress { became, at_ms, began_ms: 0, steps: 1, why: String::new() };
        (Event::Tenant { name: name.into(), progress }, at_ms)
    }

    fn fold(events: &[(Event, u64)]) -> State {
        events.iter().fold(State::default(), |state, (event, at_ms)| state.after(event, *at_ms))
    }

    fn gate(verdict: Verdict) -> Vec<Judged> {
        vec![Judged { gate: "applied".into(), verdict, words: "w".into() }]
    }

    #[test]
    fn a_rollout_goes_wave_by_wave() {
        let (rollout, groups) = (rollout(Budget { wave: Some(1), total: None }), groups());
        let mut events = vec![(began(), 0)];
        let next_at = |events: &[(Event, u64)], now| next(&fold(events), &rollout, &groups, 2, now);
        assert_eq!(next_at(&events, 0), Next::Open(0));
        events.push((Event::Opened { wave: 0 }, 10));
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(next_at(&events, 10), Next::Apply { wave: 0, names, room: 2 });
        events.push(tenant("a", Became::Applied, 100));
        events.push(tenant("b", Became::Unchanged, 10));
        assert_eq!(next_at(&events, 200), Next::Soak { wave: 0, until_ms: 1_100 });
        assert_eq!(next_at(&events, 1_100), Next::Judge { wave: 0, until_ms: 6_100 });
        events.push((Event::Read { wave: 0, gates: gate(Verdict::Waits) }, 1_200));
        assert_eq!(next_at(&events, 1_200), Next::Judge { wave: 0, until_ms: 6_100 });
        assert!(matches!(next_at(&events, 6_100), Next::Halt { cause: Cause::Gate, .. }));
        events.push((Event::Passed { wave: 0, gates: gate(Verdict::Passed) }, 1_300));
        assert_eq!(next_at(&events, 1_300), Next::Open(1));
        // A run that goes only to the first wave is done here.
        assert_eq!(next(&fold(&events), &rollout, &groups, 1, 1_300), Next::Ended);
        events.push((Event::Opened { wave: 1 }, 1_400));
        events.push(tenant("c", Became::Applied, 1_500));
        events.push((Event::Passed { wave: 1, gates: Vec::new() }, 1_600));
        assert_eq!(next_at(&events, 1_600), Next::End);
    }

    #[test]
    fn never_more_in_flight_than_the_budget_has_left_and_one() {
        let groups = groups();
        for (budget, failed, expected) in [
            (Budget::default(), 0, Some(1)),
            (Budget::default(), 1, None),
            (Budget { wave: Some(1), total: Some(9) }, 0, Some(2)),
            (Budget { wave: Some(1), total: Some(9) }, 1, Some(1)),
            (Budget { wave: Some(9), total: Some(0) }, 0, Some(1)),
            (Budget { wave: Some(9), total: Some(0) }, 1, None),
            (Budget { wave: Some(0), total: None }, 0, Some(1)),
        ] {
            let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
            events.extend((0..failed).map(|_| tenant("a", Became::Failed, 2)));
            match next(&fold(&events), &rollout(budget), &groups, 2, 3) {
                Next::Apply { room, .. } => assert_eq!(Some(room), expected, "{budget:?}"),
                Next::Halt { cause: Cause::Budget, .. } => assert_eq!(expected, None, "{budget:?}"),
                other => panic!("{budget:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn who_was_broken_before_is_outside_the_budget() {
        let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
        events.push(tenant("a", Became::Broken, 2));
        let decided = next(&fold(&events), &rollout(Budget::default()), &groups(), 2, 3);
        assert!(matches!(decided, Next::Apply { room: 1, .. }), "{decided:?}");
    }

    #[test]
    fn a_wave_of_which_nobody_was_applied_does_not_pass() {
        for (became, goes_on) in [(Became::Failed, false), (Became::Broken, false), (Became::Skipped, true)] {
            let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
            events.extend([tenant("a", became, 2), tenant("b", became, 2)]);
            let budget = Budget { wave: Some(9), total: None };
            let decided = next(&fold(&events), &rollout(budget), &groups(), 2, 9_000);
            assert_eq!(matches!(decided, Next::Judge { .. }), goes_on, "{decided:?}");
            assert_eq!(matches!(decided, Next::Halt { cause: Cause::Gate, .. }), !goes_on);
        }
    }

    #[test]
    fn a_failed_gate_and_a_halt_stop_everything_until_it_is_resumed() {
        let (rollout, groups) = (rollout(Budget::default()), groups());
        let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
        events.extend([tenant("a", Became::Applied, 2), tenant("b", Became::Applied, 2)]);
        events.push((Event::Read { wave: 0, gates: gate(Verdict::Failed) }, 2_000));
        let decided = next(&fold(&events), &rollout, &groups, 2, 2_000);
        assert!(matches!(decided, Next::Halt { cause: Cause::Gate, .. }), "{decided:?}");
        events.push((Event::Halted { cause: Cause::Gate, why: "w".into(), by: "me".into() }, 2_001));
        assert_eq!(next(&fold(&events), &rollout, &groups, 2, 9_000), Next::Halted);
        let resumed = Event::Resumed {
            accepted: vec!["applied".into()],
            again: Vec::new(),
            left_out: BTreeMap::new(),
            plans: BTreeMap::new(),
            why: "seen".into(),
            by: "me".into(),
        };
        events.push((resumed, 3_000));
        assert_eq!(fold(&events).accepted["applied"], "seen");
        assert!(fold(&events).halt.is_none());
    }

    fn resumed(again: Vec<String>) -> Event {
        let (left_out, plans) = (BTreeMap::new(), BTreeMap::new());
        Event::Resumed { accepted: Vec::new(), again, left_out, plans, why: String::new(), by: "me".into() }
    }

    #[test]
    fn a_resumed_rollout_tries_again_only_in_waves_that_have_not_passed() {
        let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
        events.extend([tenant("a", Became::Failed, 2), tenant("b", Became::Applied, 2)]);
        events.push((Event::Passed { wave: 0, gates: Vec::new() }, 3));
        events.extend([(Event::Opened { wave: 1 }, 4), tenant("c", Became::RolledBack, 5)]);
        let again = vec!["b".to_owned()];
        events.push((resumed(again), 6));
        let state = fold(&events);
        assert_eq!(
            state.count(None, Became::Failed),
            1,
            "who failed in a wave that has passed is not forgotten"
        );
        assert_eq!(state.waiting(1), ["c"], "what was taken back is applied again");
        assert_eq!(state.tenants["b"].became, Became::Applied, "its wave has passed");

        let mut events = vec![(began(), 0), (Event::Opened { wave: 0 }, 1)];
        events.extend([tenant("a", Became::Applied, 2), tenant("b", Became::Applied, 2)]);
        let again = vec!["b".to_owned()];
        events.push((resumed(again), 3));
        assert_eq!(fold(&events).waiting(0), ["b"], "somebody changed it since");
    }

    #[test]
    fn the_state_survives_its_json() {
        let events = [(began(), 0), (Event::Opened { wave: 0 }, 1), tenant("a", Became::Failed, 2)];
        let state = fold(&events);
        let text = serde_json::to_string(&state).expect("plain data");
        assert_eq!(serde_json::from_str::<State>(&text).expect("same"), state);
    }
}

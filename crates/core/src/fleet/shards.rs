//! A rollout on several machines: who has which tenants, who is in flight, and what one machine does next.
//!
//! There is no server between the shards. All of them fold the same records, and whatever a shard is about to do stands
//! on record first: it claims tenants, or the duty of opening a wave and reading its gates. A record is written only if
//! nobody has written that number, so a shard that loses the race reads, folds, and decides again.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest;
use serde::{Deserialize, Serialize};

use super::rollout::{Cause, Next, State};

/// Polls after which a shard is dead that gave no sign of life, and those between two signs of life.
pub const LIFE_POLLS: u64 = 6;
pub const SIGN_POLLS: u64 = 2;
/// Time that each member of a wave adds for whoever opens it or reads its gates, in ms.
const EACH_MS: u64 = 1_000;

/// What the shards of a rollout know of each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shards {
    /// How many there are; 0: the rollout runs on one machine.
    pub of: u32,
    /// Tenants in flight, each with the run that has it.
    pub claims: BTreeMap<String, String>,
    /// The run that opens a wave or reads its gates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty: Option<String>,
    /// The last sign of life of each run.
    pub alive: BTreeMap<String, Sign>,
    /// The plan that was confirmed, of each tenant that nobody has begun.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, String>,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    pub shard: u32,
    pub at_ms: u64,
}

impl Shards {
    /// Whether the rollout runs on one machine.
    pub fn is_one(&self) -> bool {
        self.of == 0
    }

    /// Keeps a sign of life. An earlier run of the same shard is forgotten, unless it has something.
    pub(super) fn signed(&mut self, run: &str, shard: u32, at_ms: u64) {
        let (claims, duty) = (&self.claims, &self.duty);
        let has = |run: &String| claims.values().any(|one| one == run) || duty.as_ref() == Some(run);
        self.alive.retain(|other, sign| sign.shard != shard || has(other));
        self.alive.insert(run.to_owned(), Sign { shard, at_ms });
    }

    /// Takes from a run what it has.
    pub(super) fn freed(&mut self, run: &str) {
        self.claims.retain(|_, one| one != run);
        if self.duty.as_deref() == Some(run) {
            self.duty = None;
        }
    }
}

/// One run of one shard.
#[derive(Clone, Debug)]
pub struct Me {
    /// Name of the run; no other has it.
    pub run: String,
    /// From 1; 0: this run goes on alone with what shards began.
    pub shard: u32,
    pub of: u32,
    /// The shard of each tenant.
    pub owners: BTreeMap<String, u32>,
}

impl Me {
    fn owns(&self, name: &str) -> bool {
        self.shard == 0 || self.owners.get(name) == Some(&self.shard)
    }

    /// Whether the others would wait for a sign of life of this run.
    pub fn owes(&self, state: &State, next: &Next) -> bool {
        let Shards { claims, duty, .. } = &state.shards;
        let waits = match next {
            Next::Apply { names, .. } => {
                names.iter().any(|name| self.owns(name) && !claims.contains_key(name))
            }
            _ => false,
        };
        waits || claims.values().any(|run| *run == self.run) || duty.as_ref() == Some(&self.run)
    }
}

/// Who has given no sign of life for too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dead {
    pub runs: BTreeSet<String>,
    pub shards: BTreeSet<u32>,
}

/// Watches the signs of life of the others, by this machine's clock alone: clocks of machines differ.
#[derive(Debug, Default)]
pub struct Watch {
    /// Time without a sign after which a shard is dead, in ms.
    pub life_ms: u64,
    /// Of each whose sign is due: the last one, and since when it has been the last.
    seen: BTreeMap<String, (u64, u64)>,
}

impl Watch {
    pub fn new(life_ms: u64) -> Watch {
        Watch { life_ms, seen: BTreeMap::new() }
    }

    /// Who is dead at that time. Only a shard that has something, or tenants to begin, owes signs of life.
    pub fn dead(&mut self, state: &State, next: &Next, me: &Me, now_ms: u64) -> Dead {
        let Shards { claims, duty, alive, .. } = &state.shards;
        let members = state.current().map_or(0, |wave| state.waves[wave].members.len());
        let long_ms = self.life_ms.saturating_add(EACH_MS.saturating_mul(members as u64));
        let mut due: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let sign = |run: &String| alive.get(run).map_or(0, |sign| sign.at_ms);
        let others =
            duty.iter().map(|run| (run, long_ms)).chain(claims.values().map(|run| (run, self.life_ms)));
        for (run, life_ms) in others.filter(|(run, _)| **run != me.run) {
            due.entry(run.clone()).or_insert((sign(run), life_ms));
        }
        if let Next::Apply { names, .. } = next {
            let free = names.iter().filter(|name| !me.owns(name) && !claims.contains_key(*name));
            for shard in free.filter_map(|name| me.owners.get(name)) {
                let last = alive.values().filter(|sign| sign.shard == *shard).map(|sign| sign.at_ms).max();
                due.insert(format!("shard {shard}"), (last.unwrap_or(0), self.life_ms));
            }
        }
        self.seen.retain(|who, (sign, _)| due.get(who).is_some_and(|(now, _)| now == sign));
        let mut dead = Dead::default();
        for (who, (sign, life_ms)) in due {
            let (_, since_ms) = *self.seen.entry(who.clone()).or_insert((sign, now_ms));
            if now_ms.saturating_sub(since_ms) < life_ms {
                continue;
            }
            match who.strip_prefix("shard ").and_then(|shard| shard.parse().ok()) {
                Some(shard) => dead.shards.insert(shard),
                None => dead.runs.insert(who),
            };
        }
        dead
    }
}

/// What one shard does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Applies these, once the claim is on record.
    Claim(Vec<String>),
    /// Takes the duty, once that is on record.
    Duty,
    /// Has the duty: plans all members of the wave and opens it.
    Open(usize),
    /// Has the duty: reads the gates.
    Judge {
        wave: usize,
        until_ms: u64,
    },
    Halt {
        cause: Cause,
        why: String,
    },
    /// Takes from dead runs what they have.
    Free(Vec<String>),
    End,
    /// Waits for the others, or for a time.
    Wait(Option<u64>),
    /// Nothing is left to do, for any shard.
    Leave,
}

/// The decision of one shard: the same state gives the same one.
pub fn decide(state: &State, next: Next, me: &Me, dead: &Dead) -> Move {
    let Shards { claims, duty, .. } = &state.shards;
    let duty_or = |one: Move| match duty {
        Some(run) if *run == me.run => one,
        Some(run) if !dead.runs.contains(run) => Move::Wait(None),
        _ => Move::Duty,
    };
    match next {
        Next::Open(wave) => duty_or(Move::Open(wave)),
        Next::Judge { wave, until_ms } => duty_or(Move::Judge { wave, until_ms }),
        Next::Apply { names, room, .. } => {
            // In flight over all shards together; what a dead run had is in flight already.
            let mut free = room.saturating_sub(claims.len());
            let mine = claims.values().filter(|run| **run == me.run).count();
            let share = room.div_ceil(me.of.max(1) as usize).saturating_sub(mine);
            let mut taken = Vec::new();
            for name in names {
                if taken.len() == share {
                    break;
                }
                let is_free = match claims.get(&name) {
                    Some(run) => dead.runs.contains(run),
                    None => {
                        let owner = me.owners.get(&name);
                        let takes = me.owns(&name) || owner.is_some_and(|owner| dead.shards.contains(owner));
                        let takes = takes && free > 0;
                        free -= usize::from(takes);
                        takes
                    }
                };
                if is_free {
                    taken.push(name);
                }
            }
            if taken.is_empty() { Move::Wait(None) } else { Move::Claim(taken) }
        }
        Next::Soak { until_ms, .. } => Move::Wait(Some(until_ms)),
        Next::Halt { cause, why } => Move::Halt { cause, why },
        Next::End => Move::End,
        Next::Halted => {
            let of_dead: BTreeSet<&String> = claims.values().filter(|run| dead.runs.contains(*run)).collect();
            match () {
                () if claims.is_empty() => Move::Leave,
                () if of_dead.is_empty() => Move::Wait(None),
                () => Move::Free(of_dead.into_iter().cloned().collect()),
            }
        }
        Next::Ended => Move::Leave,
    }
}

/// The order of shards for a key: stable, and another one for each key.
fn order(key: &str, of: u32) -> Vec<u32> {
    let mut shards: Vec<u32> = (1..=of).collect();
    shards.sort_by_cached_key(|shard| rank(&format!("{shard} {key}")));
    shards
}

fn rank(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// The shard of each tenant, out of its name and account. The tenants of an account stay together unless they are more
/// than a shard's part of all tenants.
pub fn divide(tenants: &[(String, String)], of: u32) -> BTreeMap<String, u32> {
    let of = of.max(1);
    let most = tenants.len().div_ceil(of as usize).max(1);
    let mut accounts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, account) in tenants {
        // Who names no account shares none.
        accounts.entry(if account.is_empty() { name } else { account }).or_default().push(name);
    }
    let mut accounts: Vec<(&str, Vec<&str>)> = accounts.into_iter().collect();
    accounts.sort_by_cached_key(|(account, names)| (std::cmp::Reverse(names.len()), rank(account)));
    let mut loads: BTreeMap<u32, usize> = (1..=of).map(|shard| (shard, 0)).collect();
    let mut owners = BTreeMap::new();
    for (account, names) in accounts {
        let parts: Vec<(&str, Vec<&str>)> = match names.len() > most {
            false => vec![(account, names)],
            true => names.into_iter().map(|name| (name, vec![name])).collect(),
        };
        for (key, names) in parts {
            let order = order(key, of);
            let fits = order.iter().find(|shard| loads[shard] + names.len() <= most);
            let least = || order.iter().min_by_key(|shard| loads[shard]);
            let Some(shard) = fits.or_else(least).copied() else { continue };
            *loads.entry(shard).or_default() += names.len();
            owners.extend(names.into_iter().map(|name| (name.to_owned(), shard)));
        }
    }
    owners
}

/// Of each account: how many shards have tenants of it.
pub fn shards_of_accounts(
    tenants: &[(String, String)],
    owners: &BTreeMap<String, u32>,
) -> BTreeMap<String, usize> {
    let mut shards: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (name, account) in tenants {
        shards.entry(account.clone()).or_default().extend(owners.get(name));
    }
    shards.into_iter().map(|(account, shards)| (account, shards.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::{Budget, Limits, OnHalt, Rollout, Wave as Declared};
    use super::super::rollout::{Became, Event, Judged, Progress, Verdict, next};
    use super::super::waves::Group;
    use super::*;

    fn tenants(accounts: &[(&str, usize)]) -> Vec<(String, String)> {
        let each = |(account, count): &(&str, usize)| {
            let account = (*account).to_owned();
            (0..*count).map(move |at| (format!("{account}-{at}"), account.clone())).collect::<Vec<_>>()
        };
        accounts.iter().flat_map(each).collect()
    }

    fn loads(owners: &BTreeMap<String, u32>, of: u32) -> Vec<usize> {
        (1..=of).map(|shard| owners.values().filter(|owner| **owner == shard).count()).collect()
    }

    #[test]
    fn tenants_of_an_account_stay_together_where_they_can() {
        let all = tenants(&[("a", 5), ("b", 4), ("c", 3), ("d", 2), ("e", 1), ("f", 1), ("g", 1), ("h", 1)]);
        let owners = divide(&all, 3);
        assert_eq!(owners.len(), all.len());
        assert!(shards_of_accounts(&all, &owners).values().all(|shards| *shards == 1), "{owners:?}");
        assert!(loads(&owners, 3).iter().all(|load| (4..=7).contains(load)), "{owners:?}");
        // The order of the table says nothing.
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        assert_eq!(divide(&backwards, 3), owners);
    }

    #[test]
    fn an_account_too_large_for_a_shard_is_divided_evenly() {
        let all = tenants(&[("one", 100), ("two", 2)]);
        let owners = divide(&all, 4);
        assert!(loads(&owners, 4).iter().all(|load| (24..=26).contains(load)), "{owners:?}");
        let shards = shards_of_accounts(&all, &owners);
        assert_eq!((shards["one"], shards["two"]), (4, 1));
        // Tenants without an account share none.
        let alone = divide(&tenants(&[("", 9)]), 3);
        assert_eq!(loads(&alone, 3), [3, 3, 3]);
        assert_eq!(loads(&divide(&all, 1), 1), [102]);
    }

    /// Numbers without a pattern.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most.max(1)
        }
    }

    /// A shard in memory: what it has read, and what it is doing.
    struct Machine {
        me: Me,
        watch: Watch,
        /// Records that it has read, and the state after them.
        read: usize,
        state: State,
        running: Vec<(String, u64)>,
        facts: Vec<Event>,
        sign_ms: u64,
        is_dead: bool,
    }

    fn rollout(budget: usize) -> (Rollout, Vec<Group>) {
        let wave = |name: &str| Declared {
            name: name.to_owned(),
            matches: Vec::new(),
            share: None,
            rest: false,
            batch: None,
            soak_ms: 1_000,
            gates: Vec::new(),
        };
        let group = |wave, name: &str| Group { wave, name: name.to_owned(), members: Vec::new() };
        let rollout = Rollout {
            max_parallel: 4,
            waves: vec![wave("canary"), wave("rest")],
            budget: Budget { wave: Some(budget), total: Some(budget) },
            limits: Limits::default(),
            on_halt: OnHalt::Stay,
            timeout_ms: 60_000,
        };
        (rollout, vec![group(0, "canary"), group(1, "rest")])
    }

    const POLL_MS: u64 = 1_000;

    /// Shards that race for records, fail and die: whatever happens, the budget holds, nobody writes to a tenant that
    /// another living shard has, no wave begins before the one before has passed, and the living come to an end.
    #[test]
    fn many_shards_keep_the_budget_and_come_to_an_end() {
        for seed in 0..400 {
            story(seed);
        }
    }

    fn story(seed: u64) {
        let mut dice = Dice(seed);
        let of = 1 + dice.below(4) as u32;
        let (budget, fails) = (dice.below(3), dice.below(3));
        let (rollout, groups) = rollout(budget);
        let all = tenants(&[("a", 4), ("b", 3), ("c", 5)]);
        let owners = divide(&all, of);
        let names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
        let plans: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), "p".to_owned())).collect();
        let began = Event::Began {
            fleet: "acme".into(),
            digest: "d".into(),
            wanted: "w".into(),
            revision: "r".into(),
            by: "me".into(),
            waves: vec![("canary".into(), names[..3].to_vec()), ("rest".into(), names[3..].to_vec())],
            departed: Vec::new(),
        };
        let mut log: Vec<(Vec<Event>, u64)> = vec![(vec![began, Event::Shared { of, plans }], 0)];
        let mut machines: Vec<Machine> = (1..=of)
            .map(|shard| Machine {
                me: Me { run: format!("{shard}-x"), shard, of, owners: owners.clone() },
                watch: Watch::new(POLL_MS * LIFE_POLLS),
                read: 0,
                state: State::default(),
                running: Vec::new(),
                facts: Vec::new(),
                sign_ms: 0,
                is_dead: false,
            })
            .collect();
        let mut ended = vec![false; machines.len()];
        let mut now_ms = 0;
        for _ in 0..4_000 {
            now_ms += 50;
            let at = dice.below(machines.len());
            if of > 1 && dice.below(400) == 0 && machines.iter().filter(|one| !one.is_dead).count() > 1 {
                machines[at].is_dead = true;
            }
            if machines[at].is_dead || ended[at] {
                continue;
            }
            let failing = |name: &str| fails > 0 && name.ends_with(if fails == 1 { "-2" } else { "-1" });
            let one = &mut machines[at];
            for (name, _) in one.running.extract_if(.., |(_, done_ms)| *done_ms <= now_ms) {
                let became = if failing(&name) { Became::Failed } else { Became::Applied };
                let progress = Progress { became, at_ms: now_ms, began_ms: 0, steps: 1, why: String::new() };
                one.facts.push(Event::Tenant { name, progress });
            }
            if dice.below(4) == 0 {
                read(one, &log);
            }
            let mut events: Vec<Event> = one.facts.clone();
            let state = events.iter().fold(one.state.clone(), |state, event| state.after(event, now_ms));
            let comes = next(&state, &rollout, &groups, 2, now_ms);
            let dead = one.watch.dead(&state, &comes, &one.me, now_ms);
            let decided = decide(&state, comes.clone(), &one.me, &dead);
            let run = one.me.run.clone();
            let gate = || Judged { gate: "applied".into(), verdict: Verdict::Passed, words: String::new() };
            events.extend(match &decided {
                Move::Claim(tenants) => vec![Event::Claimed { run: run.clone(), tenants: tenants.clone() }],
                Move::Duty => vec![Event::Duty { run: run.clone() }],
                Move::Open(wave) => vec![Event::Opened { wave: *wave }],
                Move::Judge { wave, .. } => vec![Event::Passed { wave: *wave, gates: vec![gate()] }],
                Move::Halt { cause, why } => {
                    vec![Event::Halted { cause: *cause, why: why.clone(), by: "me".into() }]
                }
                Move::Free(runs) => runs.iter().map(|run| Event::Freed { run: run.clone() }).collect(),
                Move::End => vec![Event::Ended],
                Move::Wait(_) | Move::Leave => Vec::new(),
            });
            if decided == Move::Leave && events.is_empty() && one.running.is_empty() {
                ended[at] = true;
                continue;
            }
            let owes = now_ms - one.sign_ms >= POLL_MS * SIGN_POLLS && one.me.owes(&state, &comes);
            if events.is_empty() && !owes {
                continue;
            }
            if one.read < log.len() {
                // The race is lost: read, and decide again the next time.
                read(one, &log);
                continue;
            }
            events.push(Event::Alive { run: run.clone(), shard: one.me.shard });
            log.push((events, now_ms));
            one.facts.clear();
            one.sign_ms = now_ms;
            read(one, &log);
            if let Move::Claim(names) = decided {
                let time = |dice: &mut Dice| now_ms + dice.below(3_000) as u64;
                let begun: Vec<_> = names.into_iter().map(|name| (name, time(&mut dice))).collect();
                for (name, _) in &begun {
                    let others = machines.iter().filter(|other| !other.is_dead && other.me.run != run);
                    for other in others {
                        assert!(
                            other.running.iter().all(|(one, _)| one != name),
                            "seed {seed}: {name} by two"
                        );
                    }
                }
                machines[at].running.extend(begun);
                let alive: usize =
                    machines.iter().filter(|one| !one.is_dead).map(|one| one.running.len()).sum();
                let failed = machines[at].state.count(None, Became::Failed);
                assert!(alive + failed <= budget + 1, "seed {seed}: {alive} in flight, {failed} failed");
            }
            let state = &machines[at].state;
            assert!(state.count(None, Became::Failed) <= budget + 1, "seed {seed}");
            let rest = state.waves[1].members.iter().any(|name| state.tenants.contains_key(name));
            assert!(!rest || state.waves[0].passed_ms.is_some(), "seed {seed}");
            if machines.iter().zip(&ended).all(|(one, ended)| one.is_dead || *ended) {
                break;
            }
        }
        for (one, ended) in machines.iter().zip(ended) {
            assert!(
                ended || one.is_dead,
                "seed {seed}: shard {} waits for ever: {:?}",
                one.me.shard,
                one.state
            );
        }
        let last = log.iter().fold(State::default(), fold);
        let halted = last.halt.is_some();
        assert!(halted || last.tenants.len() == names.len(), "seed {seed}");
        assert!(last.shards.claims.is_empty(), "seed {seed}");
    }

    fn fold(state: State, (events, at_ms): &(Vec<Event>, u64)) -> State {
        events.iter().fold(state, |state, event| state.after(event, *at_ms))
    }

    fn read(one: &mut Machine, log: &[(Vec<Event>, u64)]) {
        one.state = log[one.read..].iter().fold(std::mem::take(&mut one.state), fold);
        one.read = log.len();
        let (claims, run) = (&one.state.shards.claims, &one.me.run);
        one.facts.retain(|fact| match fact {
            Event::Tenant { name, .. } => claims.get(name) == Some(run),
            _ => true,
        });
    }
}

//! The judges of shards: what the requests of all of them were, held against what was on record at that time.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::fleet::record::{Key, Record};
use lockstep::fleet::rollout::{Became, Event, State};

use super::drawn::Drawn;
use super::field::{Field, For, Seen};
use super::judge::KEY;

/// What a shard may write to, from a record on: its claim, until its result is on record.
type Claims = BTreeMap<(usize, usize), Vec<(usize, usize)>>;

/// Judges the shards of one act together; returns what is wrong. `from`: length of the log when they began.
pub fn judge(field: &Field, drawn: &Drawn, all: &BTreeSet<usize>, from: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    if all.is_empty() {
        return wrong;
    }
    let key = Key::new(KEY);
    // From the record before the first of theirs on: each has the whole state.
    let first = field.puts.partition_point(|put| put.mark < from).saturating_sub(1);
    let mut claims = Claims::new();
    let mut last = State::default();
    for (number, put) in (1..).zip(&field.puts).skip(first) {
        let Some(record) = Record::open(&put.bytes, number, &key) else { continue };
        let before = std::mem::replace(&mut last, record.state.clone());
        if put.mark < from || !all.contains(&put.who) {
            continue;
        }
        let resumes = record.events.iter().any(|event| matches!(event, Event::Resumed { .. }));
        for event in &record.events {
            match event {
                Event::Claimed { tenants, .. } => {
                    let is_halted = before.halt.is_some() && !resumes;
                    let open = record.state.current();
                    for at in tenants.iter().filter_map(|name| position(field, name)) {
                        claims.entry((put.who, at)).or_default().push((put.mark, usize::MAX));
                        let name = &field.tenants[at].name;
                        if is_halted && !drawn.rolls_back() {
                            wrong.push(format!("Halt: {name} is claimed after a halt is on record"));
                        }
                        let opened = open.and_then(|open| record.state.waves[open].opened_ms);
                        if open != Some(drawn.group_of(at)) || opened.is_none() {
                            wrong.push(format!("Waves: {name} is claimed, and its wave is not open"));
                        }
                    }
                }
                Event::Tenant { name, .. } => {
                    let at = position(field, name).unwrap_or_default();
                    if let Some((_, end)) = claims.get_mut(&(put.who, at)).and_then(|all| all.last_mut()) {
                        *end = put.mark;
                    }
                }
                Event::Passed { wave, .. } => {
                    wrong.extend(unread(field, drawn, &record.state, *wave, (put.who, put.mark)));
                }
                _ => {}
            }
        }
        in_flight(drawn, number, &record.state, &mut wrong);
    }
    let writes = || field.log.iter().enumerate().skip(from);
    let writes = || writes().filter(|(_, one)| one.writes() && all.contains(&one.who));
    let is_claimed = |at: usize, one: &Seen| {
        let all = claims.get(&(one.who, one.tenant));
        all.is_some_and(|all| all.iter().any(|(begin, end)| (*begin..*end).contains(&at)))
    };
    if let Some((_, one)) = writes().find(|(at, one)| !is_claimed(*at, one)) {
        let name = &field.tenants[one.tenant].name;
        wrong.push(format!("Claim: process {} writes to {name}, which it has not on record", one.who));
    }
    wrong.extend(in_turns(field, writes().map(|(_, one)| one)));
    wrong
}

fn position(field: &Field, name: &str) -> Option<usize> {
    field.tenants.iter().position(|one| one.name == name)
}

/// Who lets a wave pass has read all that counts of it, after the last write to it.
fn unread(
    field: &Field,
    drawn: &Drawn,
    state: &State,
    wave: usize,
    (who, mark): (usize, usize),
) -> Option<String> {
    let members = &drawn.groups[wave].members;
    let log = &field.log[..mark];
    let last = log.iter().rposition(|one| one.writes() && members.contains(&one.tenant)).unwrap_or(0);
    let counts = |at: &&usize| {
        let became = state.tenants.get(&field.tenants[**at].name).map(|one| one.became);
        matches!(became, Some(Became::Applied | Became::Unchanged)) && !field.disturbed.contains(*at)
    };
    let reads = |one: &Seen, at: usize| one.who == who && one.tenant == at && one.what == For::Read;
    let missing = members.iter().filter(counts).find(|at| !log[last..].iter().any(|one| reads(one, **at)))?;
    let name = &field.tenants[*missing].name;
    Some(format!("Gate: process {who} lets a wave pass, and read {name} not after the last write to it"))
}

/// What all shards have in flight never exceeds what is left of the budget, and one.
fn in_flight(drawn: &Drawn, number: u64, state: &State, wrong: &mut Vec<String>) {
    let (of_wave, of_all) = drawn.budget();
    let claims = state.shards.claims.len();
    let failed = |wave| state.count(wave, Became::Failed);
    let is_over = claims + failed(state.current()) > of_wave + 1 || claims + failed(None) > of_all + 1;
    if claims > 0 && state.halt.is_none() && (is_over || claims > drawn.rollout().max_parallel) {
        wrong.push(format!("Budget: record {number} has {claims} in flight, {of_wave} of a wave may fail"));
    }
}

/// Nobody writes to a tenant again after another one has.
fn in_turns<'a>(field: &Field, writes: impl Iterator<Item = &'a Seen>) -> Option<String> {
    let mut turns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for one in writes.filter(|one| one.good && !field.disturbed.contains(&one.tenant)) {
        let turns = turns.entry(one.tenant).or_default();
        if turns.last() != Some(&one.who) {
            turns.push(one.who);
        }
    }
    let twice = |turns: &Vec<usize>| turns.iter().collect::<BTreeSet<_>>().len() < turns.len();
    let (at, turns) = turns.into_iter().find(|(_, turns)| twice(turns))?;
    Some(format!("Turns: {} is written to by the processes {turns:?} in turns", field.tenants[at].name))
}

//! The judges of a process after its end: they read the log of requests, the records on the shelf, and the fleet file.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::fleet::record::{Key, Record};
use lockstep::fleet::rollout::{Became, Event, State};

use super::drawn::Drawn;
use super::field::{Field, For, Put, Seen};

pub const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// How long a process may go on to begin tenants after somebody else has put a halt on record: one look, and what is in
/// flight.
const HEARS_MS: u64 = 15_000;
/// Time between the end of a run by its own record and its last write.
const TAIL_MS: u64 = 30_000;

/// What is known of a process from outside.
pub struct Ran {
    pub who: usize,
    /// All processes that roll out together with it, itself among them.
    pub group: BTreeSet<usize>,
    /// Length of the log when its revision began, and when it began.
    pub revision: usize,
    pub from: usize,
    /// Length of the log when it said that the rollout halts.
    pub halted: Option<usize>,
    /// Position after the last group that it was to go to.
    pub until: usize,
    pub skips: BTreeSet<usize>,
    /// It was told to take the open wave back.
    pub takes_back: bool,
}

/// Judges one process; returns what is wrong. What shards do together is judged once, with the first of them.
pub fn judge(field: &Field, drawn: &Drawn, ran: &Ran, all: &[Ran]) -> Vec<String> {
    let mut wrong = Vec::new();
    let halted = |who: usize| all.iter().find(|one| one.who == who)?.halted;
    let log = || field.log.iter().enumerate().skip(ran.from);
    let is_before = |(at, one): &(usize, &Seen)| *at < halted(one.who).unwrap_or(usize::MAX);
    let together = || log().filter(|(_, one)| one.writes() && ran.group.contains(&one.who));
    let writes: Vec<(usize, &Seen)> = together().filter(is_before).collect();
    let begun = |one: &Seen| writes.iter().any(|(_, old)| (old.who, old.tenant) == (one.who, one.tenant));
    // What a shard has in flight ends after its halt.
    let in_flight = |one: &Seen| ran.group.len() > 1 && begun(one);
    let after: Vec<(usize, &Seen)> =
        together().filter(|one| one.1.who == ran.who && !is_before(one) && !in_flight(one.1)).collect();
    if !ran.takes_back && ran.group.first() == Some(&ran.who) {
        let ends = ran.group.iter().filter_map(|who| halted(*who)).min();
        waves(field, drawn, ran, &writes, &mut wrong);
        budget(field, drawn, ran, ends, &mut wrong);
    }
    if !ran.takes_back && ran.group.len() == 1 {
        halts(field, ran, &writes, &mut wrong);
    }
    back(field, drawn, ran, &writes, &after, &mut wrong);
    unconfirmed(field, ran, &mut wrong);
    wrong
}

/// Waves go in order. One begins only after all tenants of those before were read again after their last write, and after
/// their soak.
fn waves(field: &Field, drawn: &Drawn, ran: &Ran, writes: &[(usize, &Seen)], wrong: &mut Vec<String>) {
    let name = |group: usize| &drawn.groups[group].name;
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, one) in writes {
        let group = drawn.group_of(one.tenant);
        first.entry(group).or_insert(*at);
        if ran.skips.contains(&one.tenant) {
            wrong.push(format!(
                "Skip: {} was to be left out, and is written to",
                field.tenants[one.tenant].name
            ));
            return;
        }
        if group >= ran.until {
            wrong.push(format!("Waves: {} is written to, and the run was to end before", name(group)));
            return;
        }
        if let Some((later, _)) = first.range(group + 1..).next() {
            wrong.push(format!("Waves: {} is written to after {}", name(group), name(*later)));
            return;
        }
    }
    let may_be_out = |member: &usize| {
        let is_hurt = field.disturbed.contains(member) || field.refuses.contains_key(member);
        // Who failed within the budget is not read again.
        let has_failed = field.log[ran.revision..].iter().any(|one| one.tenant == *member && one.refused);
        is_hurt || has_failed || field.dead.contains(member) || ran.skips.contains(member)
    };
    for (group, begins) in &first {
        let begins_ms = field.log[*begins].at_ms;
        for before in 0..*group {
            let members = &drawn.groups[before].members;
            let log = || field.log[ran.revision..*begins].iter().enumerate();
            let is_in = |one: &Seen| members.contains(&one.tenant);
            // Without records, a run knows nothing of a rival beside it.
            let is_known = |at: usize, one: &Seen| {
                !field.puts.is_empty() || ran.revision + at < ran.from || ran.group.contains(&one.who)
            };
            let last = log().rfind(|(at, one)| one.writes() && is_in(one) && is_known(*at, one));
            let (last, last_ms) = last.map_or((0, 0), |(at, one)| (at, one.at_ms));
            if last_ms + drawn.soak_ms(before) > begins_ms + TAIL_MS {
                let s = (begins_ms - last_ms) / 1000;
                wrong.push(format!(
                    "Soak: {} begins {s} s after the last write to {}",
                    name(*group),
                    name(before)
                ));
            }
            for member in members.iter().filter(|member| !may_be_out(member)) {
                let is_reading =
                    |one: &Seen| one.tenant == *member && one.to_tenant && one.what == For::Read && one.good;
                if !log().skip(last).any(|(_, one)| is_reading(one)) {
                    let member = &field.tenants[*member].name;
                    wrong.push(format!(
                        "Gate: {} begins, and {member} was not read after the last write to its wave {}",
                        name(*group),
                        name(before)
                    ));
                }
            }
        }
    }
}

/// The tenants that a process has in hand never exceed what is left of the budget, and one.
fn budget(field: &Field, drawn: &Drawn, ran: &Ran, ends: Option<usize>, wrong: &mut Vec<String>) {
    let (of_wave, of_all) = drawn.budget();
    let limit = drawn.rollout().limits.changed.unwrap_or(usize::MAX);
    let (mut in_hand, mut failed, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let end = ends.unwrap_or(field.log.len()).min(field.log.len());
    for one in field.log[ran.from..end].iter().filter(|one| ran.group.contains(&one.who)) {
        let is_return = one.what == For::Lease && one.operation.starts_with("delete");
        if is_return {
            in_hand.remove(&one.tenant);
            continue;
        }
        if one.refused {
            failed.insert(one.tenant);
        }
        if one.what == For::Step {
            changed.insert(one.tenant);
        }
        // Who does not get the lease has nothing in hand.
        let has_lease = one.what == For::Lease && one.good;
        if !(has_lease || one.writes()) || !in_hand.insert(one.tenant) {
            continue;
        }
        let group = drawn.group_of(one.tenant);
        let lost = failed.iter().filter(|one| !in_hand.contains(*one));
        let in_wave = lost.clone().filter(|one| drawn.group_of(**one) == group).count();
        let (now, name) = (in_hand.len(), &field.tenants[one.tenant].name);
        if now + in_wave > of_wave + 1 || now + lost.count() > of_all + 1 {
            wrong.push(format!(
                "Budget: {name} begins as one of {now} at once, after {in_wave} of its wave failed; {of_wave} may"
            ));
            return;
        }
        if now > drawn.rollout().max_parallel {
            wrong.push(format!("Parallel: {now} tenants are written to at once"));
            return;
        }
    }
    if changed.len() > limit {
        wrong.push(format!("Limit: {} tenants are changed, {limit} may be", changed.len()));
    }
}

/// Nothing begins after somebody else has put a halt on record.
fn halts(field: &Field, ran: &Ran, writes: &[(usize, &Seen)], wrong: &mut Vec<String>) {
    let key = Key::new(KEY);
    for (number, put) in (1..).zip(&field.puts).filter(|(_, put)| put.who != ran.who && put.mark >= ran.from)
    {
        let Some(record) = Record::open(&put.bytes, number, &key) else { continue };
        if !record.events.iter().any(|event| matches!(event, Event::Halted { .. })) {
            continue;
        }
        let begun: BTreeSet<usize> = field.log[ran.from..put.mark]
            .iter()
            .filter(|one| one.who == ran.who && matches!(one.what, For::Lease | For::Ledger | For::Step))
            .map(|one| one.tenant)
            .collect();
        // Until somebody lets it go on.
        let lifts = |(number, put): &(u64, &Put)| {
            Record::open(&put.bytes, *number, &key).is_some_and(|record| record.state.halt.is_none())
        };
        let later = (number + 1..).zip(&field.puts[number as usize..]);
        let lifted = later.clone().find(lifts).map_or(usize::MAX, |(_, put)| put.mark);
        let late = writes.iter().find(|(at, one)| {
            *at >= put.mark
                && *at < lifted
                && !begun.contains(&one.tenant)
                && one.at_ms > put.at_ms + HEARS_MS
        });
        if let Some((_, one)) = late {
            let s = (one.at_ms - put.at_ms) / 1000;
            wrong.push(format!(
                "Halt: {} begins {s} s after a halt is on record",
                field.tenants[one.tenant].name
            ));
            return;
        }
    }
}

/// After its own halt a process writes only to take back, and only what this rollout wrote in the wave that halted.
fn back(
    field: &Field,
    drawn: &Drawn,
    ran: &Ran,
    writes: &[(usize, &Seen)],
    after: &[(usize, &Seen)],
    wrong: &mut Vec<String>,
) {
    let open = writes.iter().map(|(_, one)| drawn.group_of(one.tenant)).max();
    for (at, one) in after {
        let is_before = |old: &Seen| old.tenant == one.tenant && old.what == For::Step && old.good;
        let touched = field.log[ran.revision..*at].iter().any(is_before);
        let may = drawn.rolls_back() || ran.takes_back;
        if !(may && touched && open.is_none_or(|open| open == drawn.group_of(one.tenant))) {
            let name = &field.tenants[one.tenant].name;
            wrong.push(format!("Halt: {name} is written to after the halt ({})", one.operation));
            return;
        }
    }
}

/// What somebody changed after the plan was confirmed, and before the tenant's turn, is not written over.
fn unconfirmed(field: &Field, ran: &Ran, wrong: &mut Vec<String>) {
    for (edit, tenant) in field.edited.iter().filter(|(edit, _)| *edit >= ran.from) {
        let ours = |one: &&Seen| one.who == ran.who && one.tenant == *tenant;
        // It had read the tenant, reads its service again after the edit, and then writes.
        let had_read = field.log[ran.from..*edit].iter().filter(ours).any(|one| !one.to_tenant);
        let begun = field.log[ran.from..*edit].iter().filter(ours).any(|one| one.what == For::Lease);
        let later: Vec<&Seen> = field.log[*edit..].iter().filter(ours).collect();
        let first = later.iter().position(|one| one.what == For::Step).unwrap_or(later.len());
        let reads = later[..first].iter().any(|one| one.what == For::Read && !one.to_tenant && one.good);
        // A shard ends what another one has begun, and cannot know which of it is an edit.
        let is_taken_over = field.log[ran.from..*edit].iter().any(|one| {
            one.tenant == *tenant && one.writes() && one.who != ran.who && ran.group.contains(&one.who)
        });
        if had_read && !begun && !is_taken_over && reads && first < later.len() {
            let name = &field.tenants[*tenant].name;
            wrong.push(format!(
                "Confirmed: {name} was changed after its plan was confirmed, and is written to"
            ));
        }
    }
}

/// The records form a chain that only goes forward: what passed stays passed, and only a resume lifts a halt.
pub fn records(field: &Field, from: usize) -> Vec<String> {
    let key = Key::new(KEY);
    let mut wrong = Vec::new();
    let mut last: Option<State> = None;
    for (number, put) in (1..).zip(&field.puts) {
        let Some(record) = Record::open(&put.bytes, number, &key) else {
            wrong.push(format!("Records: record {number} does not verify"));
            continue;
        };
        let is_new = record.events.iter().any(|event| matches!(event, Event::Began { .. }));
        let resumes = record.events.iter().any(|event| matches!(event, Event::Resumed { .. }));
        if let Some(old) = last.filter(|_| !is_new && number as usize > from) {
            let new = &record.state;
            let passed = |state: &State| -> Vec<bool> {
                state.waves.iter().map(|one| one.passed_ms.is_some()).collect()
            };
            if passed(&old).iter().zip(passed(new)).any(|(old, new)| *old && !new) {
                wrong.push(format!("Records: record {number} takes back that a wave has passed"));
            }
            if old.halt.is_some() && new.halt.is_none() && !resumes {
                wrong.push(format!("Records: record {number} lifts a halt that nobody lifted"));
            }
            if old.ended_ms.is_some() {
                wrong.push(format!("Records: record {number} goes on with a rollout that has ended"));
            }
            let done = |one: &Became| matches!(one, Became::Applied | Became::Unchanged);
            let is_again = |name: &String| {
                let again =
                    |event: &Event| matches!(event, Event::Resumed { again, .. } if again.contains(name));
                record.events.iter().any(again)
            };
            let lost = old
                .tenants
                .iter()
                .find(|(name, one)| done(&one.became) && !new.tenants.contains_key(*name) && !is_again(name));
            if let Some((name, _)) = lost {
                wrong.push(format!("Records: record {number} forgets {name}"));
            }
        }
        last = Some(record.state);
    }
    wrong
}

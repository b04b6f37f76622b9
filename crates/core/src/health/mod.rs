//! Whether a deployment is well, judged by the events of the tenant log. Pure: events in, a verdict out.
//!
//! A failure that blames the version or the set-up decides at once. A failure that belongs to a number or a user can be
//! brought about by whoever asks for a code, and must not turn a deployment back: such failures are counted by person,
//! and decide only if many people get nothing, and twice as many of a hundred as in the 24 hours before.

mod codes;
pub mod feedback;
mod log;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use codes::{Blame, blame, meaning};
pub use log::{LogEvent, TYPES, What};
pub use read::{SCOPE, Window, read, rfc3339};

use crate::model::health::{Counts, Health, Verdict};

/// Failures of numbers and users decide from this many people on, now and in the time before.
pub const PEOPLE_MIN: usize = 20;
/// And from this many of them on that get nothing: in a time that is compared with one without any failure, twice as
/// many would be two.
pub const UNREACHED_MIN: usize = 5;
/// And if their share is this many times that of the time before.
const TIMES: usize = 2;

/// The running versions of a stack's Actions, by id of the Action.
pub type Running = BTreeMap<String, String>;

/// Counts the events. Events of other Actions and executions of earlier versions blame nobody.
pub fn count<'a>(events: impl IntoIterator<Item = &'a LogEvent>, running: &Running) -> Counts {
    let mut counts = Counts::default();
    let mut crashed: Vec<Option<&str>> = Vec::new();
    // Failed messages that can explain a failed execution, by person.
    let mut explaining: Vec<Option<&str>> = Vec::new();
    let (mut people, mut reached, mut unreached) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut nobody = (0, 0);
    let mut latest = 0;
    for event in events {
        let person = event.person.as_deref();
        counts.events += 1;
        let (is_sent, code) = match &event.what {
            What::Crashed { action, version } => {
                match running.get(action) {
                    // An event that does not name the version is of this time, and so of the running one.
                    Some(runs) if version.is_empty() || version == runs => crashed.push(person),
                    None if running.values().any(|runs| runs == version) => crashed.push(person),
                    Some(_) => counts.of_other_versions += 1,
                    None => {}
                }
                continue;
            }
            What::NotNotified(code) => {
                if let Some(code) = code.filter(|code| blame(*code) == Some(Blame::Setup)) {
                    *counts.setup.entry(code).or_default() += 1;
                }
                continue;
            }
            What::Sent => (true, None),
            What::NotSent(code) => (false, *code),
        };
        let blamed = code.and_then(blame);
        let by_setup = blamed == Some(Blame::Setup);
        if event.at_ms >= latest {
            latest = event.at_ms;
            counts.ends_with_setup = by_setup;
        }
        match person {
            Some(person) => {
                people.insert(person);
                if is_sent {
                    reached.insert(person);
                } else if !by_setup {
                    unreached.insert(person);
                }
            }
            None => {
                nobody.0 += 1;
                nobody.1 += usize::from(!is_sent && !by_setup);
            }
        }
        if is_sent {
            counts.sent += 1;
            continue;
        }
        counts.failed += 1;
        match code {
            None => counts.without_code += 1,
            Some(code) => {
                let codes = match blamed {
                    Some(Blame::Setup) => &mut counts.setup,
                    Some(Blame::Number) => &mut counts.numbers,
                    None => &mut counts.unknown,
                };
                *codes.entry(code).or_default() += 1;
                if !by_setup {
                    explaining.push(person);
                }
            }
        }
    }
    for person in crashed {
        let same = |other: &Option<&str>| person.is_none() || *other == person || other.is_none();
        match explaining.iter().position(same) {
            Some(at) => {
                explaining.swap_remove(at);
                counts.explained += 1;
            }
            None => counts.executions += 1,
        }
    }
    counts.people = people.len() + nobody.0;
    counts.unreached = unreached.difference(&reached).count() + nobody.1;
    counts
}

/// Whether the verdict depends on the time before.
pub fn asks_for_before(now: &Counts) -> bool {
    !now.setup.is_empty() || now.people >= PEOPLE_MIN && now.unreached >= UNREACHED_MIN
}

/// The verdict about the messages and executions of a time (two RFC 3339 texts). `before`: the 24 hours before it; `None`: they were
/// not read, and then failures of numbers and users decide nothing.
pub fn judge(now: Counts, before: Option<Counts>, (since, until): (String, String)) -> Health {
    let mut reasons = Vec::new();
    if now.executions > 0 {
        let (count, s) = (now.executions, if now.executions == 1 { "" } else { "s" });
        reasons.push(format!("{count} execution{s} of the running version failed"));
    }
    for (code, count) in &now.setup {
        let s = if *count == 1 { "" } else { "s" };
        reasons.push(format!("{count} message{s} failed with {code}: {}", meaning(*code)));
    }
    let is_new = now.executions > 0 || !before.as_ref().is_some_and(|before| before.ends_with_setup);
    let worse = before.as_ref().filter(|before| is_worse(&now, before));
    if let Some(before) = worse {
        reasons.push(format!(
            "{} of {} people get no message, and in the 24 hours before it were {} of {}",
            now.unreached, now.people, before.unreached, before.people
        ));
    }
    let is_new = is_new || worse.is_some();
    let verdict = match () {
        () if !reasons.is_empty() => Verdict::Failing,
        () if now.sent > 0 => Verdict::Healthy,
        () => {
            reasons.push(match now.failed {
                0 => "no message was sent, so nothing shows that messages arrive".to_owned(),
                _ => "no message went out, and those that failed blame neither the version nor the set-up"
                    .to_owned(),
            });
            Verdict::TooFew
        }
    };
    Health { verdict, reasons, since, until, counts: now, before, is_new }
}

/// Whether the share of people who get nothing is twice that of the time before, with enough people in both.
fn is_worse(now: &Counts, before: &Counts) -> bool {
    now.people >= PEOPLE_MIN
        && before.people >= PEOPLE_MIN
        && now.unreached >= UNREACHED_MIN
        && now.unreached * before.people >= TIMES * before.unreached * now.people
}

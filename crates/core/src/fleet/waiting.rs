//! What a rollout waits for: what, since when, until when, and what a person can do.

use serde::Serialize;

use super::file::Rollout;
use super::forms::time;
use super::report::listed;
use super::rollout::{Became, Next, State, Verdict, next};
use super::waves::Group;
use crate::model::text::line;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub what: String,
    pub since_ms: u64,
    /// `None`: it has no time-out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    pub help: String,
}

impl Waiting {
    /// One sentence, and what to do.
    pub fn words(&self) -> String {
        let until = self.until_ms.map(|at_ms| format!(" until {}", time(at_ms))).unwrap_or_default();
        format!("{} (since {}{until})", self.what, time(self.since_ms))
    }
}

/// The groups of a state: its waves by their names, which a fleet file may have split into batches.
pub fn groups_of(state: &State, rollout: &Rollout) -> Vec<Group> {
    let is_of = |name: &str, wave: &str| {
        name.strip_prefix(wave).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let group = |name: &String| Group {
        wave: rollout.waves.iter().position(|wave| is_of(name, &wave.name)).unwrap_or(usize::MAX),
        name: name.clone(),
        members: Vec::new(),
    };
    state.waves.iter().map(|wave| group(&wave.name)).collect()
}

/// What the rollout waits for at that time. `None`: it has ended.
pub fn waiting(state: &State, rollout: &Rollout, now_ms: u64) -> Option<Waiting> {
    let at = state.current()?;
    let wave = &state.waves[at];
    let name = line(&wave.name);
    let opened_ms = wave.opened_ms.unwrap_or(state.began_ms);
    let last_ms = wave.members.iter().filter_map(|name| state.tenants.get(name)).map(|one| one.at_ms).max();
    let last_ms = last_ms.unwrap_or(opened_ms);
    let waits = |what: String, since_ms: u64, until_ms: Option<u64>, help: &str| {
        Some(Waiting { what, since_ms, until_ms, help: help.to_owned() })
    };
    let nothing =
        "nothing: it goes on by itself while a run is there; if none is, run the same command again";
    match next(state, rollout, &groups_of(state, rollout), usize::MAX, now_ms) {
        Next::Ended | Next::End => None,
        Next::Halted => {
            let halt = state.halt.as_ref()?;
            let failed = names(state, Became::Failed);
            let what = format!("a person, because it halted: {}", line(&halt.why));
            let help = match failed.is_empty() {
                true => {
                    "mend the cause and run the same command again; `--accept GATE --why TEXT` lets a gate pass that a person has looked at"
                }
                false => {
                    "mend the cause and run the same command again; `--skip NAME=REASON` leaves a tenant out"
                }
            };
            waits(what, halt.at_ms, None, help)
        }
        Next::Open(_) => {
            let before = at.checked_sub(1).and_then(|before| state.waves[before].passed_ms);
            waits(format!("the wave {name} to be opened"), before.unwrap_or(state.began_ms), None, nothing)
        }
        Next::Apply { names, .. } => {
            let what = format!("the wave {name}: {} is to be applied", listed(&names));
            waits(what, last_ms.max(opened_ms), None, nothing)
        }
        Next::Soak { until_ms, .. } => {
            waits(format!("the soak of the wave {name}"), last_ms, Some(until_ms), nothing)
        }
        Next::Judge { until_ms, .. } => {
            let open = wave.gates.iter().find(|gate| gate.verdict == Verdict::Waits);
            let Some(gate) = open else {
                return waits(
                    format!("the gates of the wave {name} to be read"),
                    last_ms,
                    Some(until_ms),
                    nothing,
                );
            };
            let what = format!("the gate {} of the wave {name}: {}", line(&gate.gate), line(&gate.words));
            let help = "give it what it reads, such as logins by phone; it halts when the time is over, and `--accept GATE --why TEXT` lets it pass then";
            waits(what, last_ms, Some(until_ms), help)
        }
        Next::Halt { why, .. } => waits(format!("the halt: {}", line(&why)), last_ms, None, nothing),
    }
}

fn names(state: &State, became: Became) -> Vec<&String> {
    state.tenants.iter().filter(|(_, one)| one.became == became).map(|(name, _)| name).collect()
}

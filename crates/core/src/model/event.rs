//! What a run reports while it runs: one typed stream of events. The terminal output, the log and the audit file are
//! made from it.

use serde::Serialize;

use super::address::Address;
use super::health::Verdict;
use super::plan::Plan;

/// One event, with its time and its tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Time by the clock of the machine, or of the simulation, in ms since the Unix epoch.
    pub at_ms: u64,
    /// Domain of the tenant.
    pub tenant: String,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    RunStarted {
        stack: String,
        account: String,
        /// The person or machine that runs it, by the name used in the lease and the history.
        who: String,
        revision: String,
        destroy: bool,
    },
    /// A request was answered, or it failed.
    Request {
        host: String,
        method: &'static str,
        path: String,
        /// `None`: no reply came.
        status: Option<u16>,
        attempt: u32,
        ms: u64,
        /// The vendor's id of the request, if the reply named one.
        request_id: Option<String>,
    },
    /// Requests are held back for `ms`, because of a rate limit or before a repeat.
    Holding {
        host: String,
        ms: u64,
        why: String,
    },
    /// Planning begins: the reads that follow are for the plan.
    PlanStarted,
    /// A plan was made; none of its steps has run yet.
    PlanMade {
        plan: Box<Plan>,
    },
    /// The lease changed hands.
    Lease {
        state: LeaseState,
    },
    /// The ledger was written with this serial number; `None`: the ledger was removed.
    Record {
        serial: Option<u64>,
    },
    StepStarted {
        number: usize,
        of: usize,
        address: Address,
        what: String,
    },
    /// A step waits for a build or a deployment; `state` is what the vendor last answered.
    Polling {
        address: Address,
        state: String,
    },
    StepDone {
        number: usize,
        address: Address,
        what: String,
    },
    /// A step failed, and the run ends with it.
    StepFailed {
        number: usize,
        address: Address,
        what: String,
        effect: Effect,
        why: String,
    },
    /// What the tenant log shows of a run that is watched, and for how long it still is.
    Watched {
        verdict: Verdict,
        /// In words.
        seen: String,
        left_s: u64,
    },
    /// Something that a person should read.
    Notice {
        text: String,
    },
    /// A run has ended.
    RunEnded {
        ended: &'static str,
        why: Option<String>,
    },
}

/// Whether a step that failed took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The step changed nothing.
    None,
    /// The effect is unknown; the next run looks at the tenant.
    Unknown,
}

/// State of the lease after the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    Taken,
    /// The run goes on without a lease, because no lease can be taken.
    Without,
    Released,
}

impl Event {
    /// Something that a person should read.
    pub fn notice(text: impl Into<String>) -> Event {
        Event::Notice { text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let told = Told {
            at_ms: 1_795_132_800_000,
            tenant: "acme-dev.eu.auth0.com".into(),
            event: Event::Lease { state: LeaseState::Taken },
        };
        let json = serde_json::to_value(&told).expect("plain data");
        assert_eq!(
            json,
            json!({ "at_ms": 1_795_132_800_000_u64, "tenant": "acme-dev.eu.auth0.com", "event": "lease", "state": "taken" })
        );
    }
}

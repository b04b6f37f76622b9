//! What a run tells, as it happens: one typed stream. The terminal, the log and the audit file are made from it.

use serde::Serialize;

use super::plan::Plan;

/// One event, with when and of which tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// By the clock of the machine, or of the simulation; ms since the Unix epoch.
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
        /// Who runs it, as lease and history name them.
        who: String,
        revision: String,
        destroy: bool,
    },
    /// A request was answered, or failed.
    Request {
        host: String,
        method: &'static str,
        path: String,
        /// `None` without a reply.
        status: Option<u16>,
        attempt: u32,
        ms: u64,
        /// The vendor's id of the request, if the reply named one.
        request_id: Option<String>,
    },
    /// Requests are held back, because of a rate limit or before a repeat.
    Holding {
        host: String,
        ms: u64,
        why: String,
    },
    /// A plan is begun: what follows is read for it.
    PlanStarted,
    /// A plan was made; nothing of it is done yet.
    PlanMade {
        plan: Box<Plan>,
    },
    /// The lease changed hands.
    Lease {
        state: LeaseState,
    },
    /// The record was written, by its serial number; `None`: it was taken away.
    Record {
        serial: Option<u64>,
    },
    StepStarted {
        number: usize,
        of: usize,
        address: String,
        what: String,
    },
    /// Waiting inside a step (build, deployment), with what is known.
    Polling {
        address: String,
        state: String,
    },
    StepDone {
        number: usize,
        address: String,
        what: String,
    },
    /// A step came to no good end, and the run ends with it.
    StepFailed {
        number: usize,
        address: String,
        what: String,
        effect: Effect,
        why: String,
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
    /// Nothing was changed by it.
    None,
    /// Nobody knows; the next run looks.
    Unknown,
}

/// What became of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    Taken,
    /// The run goes on without one, because there can be none.
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

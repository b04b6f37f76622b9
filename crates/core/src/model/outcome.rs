//! The outcome of an apply, as plain data.

use super::codes::{self, Code};
use super::plan::Plan;
use super::value::Outputs;

/// How an apply ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Everything is as planned.
    Done,
    /// A step failed, or the tenant still differs. In words.
    Failed(String),
    /// The user stopped it.
    Stopped,
    /// Somebody else is applying.
    LeaseHeld(String),
    /// Another run changed the ledger between plan and lease: plan again.
    Moved,
    /// Something that the plan depends on has changed since. Holds what, in words.
    Stale(String),
    /// A `--delete` names no object that waits for one. Holds the message.
    Misnamed(String),
    /// The plan was not confirmed. Holds why.
    NotConfirmed(String),
}

impl Ended {
    /// One word for machines, and the cause in words for people.
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Ended::Done => ("done", None),
            Ended::Failed(why) | Ended::Misnamed(why) | Ended::NotConfirmed(why) => ("failed", Some(why)),
            Ended::Stopped => ("stopped", None),
            Ended::LeaseHeld(owner) => ("lease_held", Some(owner)),
            Ended::Moved => ("moved", None),
            Ended::Stale(what) => ("stale", Some(what)),
        }
    }
}

/// The result of an apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub ended: Ended,
    pub done: Vec<usize>,
    pub failed: Option<usize>,
    /// The step at which the run was stopped with its outcome unknown; the next run finds out.
    pub interrupted: Option<usize>,
    /// One line for each value that a step was to remove or to put back, and that the tenant kept by its own reply.
    pub kept: Vec<String>,
    /// A warning about an object that this run may have created, that no list shows yet, and that no record tells the
    /// next run of: what to look for, and until when not to run again.
    pub lost: Option<String>,
    pub not_started: Vec<usize>,
    /// Why it failed, for machines and for `lockstep explain`; none for an end that is not [`Ended::Failed`].
    pub cause: Option<Cause>,
    /// What the stack hands on after a run that wrote and ended well.
    pub outputs: Outputs,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub code: Code,
    /// The next move; empty if there is none.
    pub help: String,
    /// The key of the manifest that it is about; empty: that of the failed step.
    pub place: &'static str,
    /// The vendor's own number of the request, for its support.
    pub request_id: Option<String>,
}

impl Cause {
    /// A cause that no reply of a vendor names.
    pub fn of(code: Code, help: &str) -> Cause {
        Cause { code, help: help.to_owned(), place: "", request_id: None }
    }
}

impl Outcome {
    /// The code of how it ended; none if all is done.
    pub fn code(&self) -> Option<Code> {
        Some(match &self.ended {
            Ended::Done => return None,
            Ended::Failed(_) => self.cause.as_ref().map_or(codes::INTERNAL, |cause| cause.code),
            Ended::Stopped => codes::STOPPED,
            Ended::LeaseHeld(_) => codes::LEASE_HELD,
            Ended::Moved => codes::RECORD_MOVED,
            Ended::Stale(_) => codes::STALE,
            Ended::Misnamed(_) => codes::USAGE,
            Ended::NotConfirmed(_) => codes::NOT_CONFIRMED,
        })
    }

    /// The same outcome, with its cause.
    pub fn because(self, cause: Cause) -> Outcome {
        Outcome { cause: Some(cause), ..self }
    }

    /// The cause in words, with the warning about what the run may have created.
    pub fn why(&self) -> Option<String> {
        let said: Vec<&str> = self.ended.words().1.into_iter().chain(self.lost.as_deref()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Whether the plan that was confirmed is out of date.
    pub fn is_stale(&self) -> bool {
        matches!(self.ended, Ended::Stale(_))
    }

    /// The outcome of a run that began no step.
    pub fn before_any_step(ended: Ended, plan: &Plan) -> Outcome {
        let not_started = plan.steps.iter().map(|step| step.number).collect();
        Outcome {
            ended,
            done: Vec::new(),
            failed: None,
            interrupted: None,
            kept: Vec::new(),
            lost: None,
            not_started,
            cause: None,
            outputs: Outputs::new(),
        }
    }
}

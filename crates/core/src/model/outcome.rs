//! The outcome of an apply, as plain data.

use super::plan::Plan;

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
}

impl Outcome {
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
        }
    }
}

//! The caller's wishes for an apply beyond its plan, and the outcome of the apply.

use serde_json::Value as Json;

use crate::kinds::Seen;
use crate::model::plan::{Plan, Step};

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

/// What the caller wants beyond the plan itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// The plan is old (saved, or confirmed late): read everything again before the first write.
    pub reread: bool,
    /// Read everything again after the last write.
    pub verify: bool,
}

/// For a step that removes values or puts former ones back: a line for each value that its reply shows to be another.
pub(super) fn kept(step: &Step, seen: &Seen) -> Vec<String> {
    let values = step.op.values.iter().flatten();
    let there = |field: &str| match seen.attrs.get(field) {
        None => Some(Json::Null),
        Some(value) => value.known().cloned(),
    };
    let otherwise = values.filter_map(|(field, wanted)| {
        let there = there(field).filter(|there| there != wanted)?;
        let wanted = if wanted.is_null() { "gone".to_owned() } else { wanted.to_string() };
        Some(format!("{}: {field} is still {there} and not {wanted}: the tenant kept it", step.address,))
    });
    otherwise.collect()
}

//! What is asked of an apply beyond its plan, and how it ended.

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
    /// The ledger moved between plan and lease: plan anew.
    Moved,
    /// What the plan depends on moved; holds what.
    Stale(String),
    /// Something was named (`--delete`) that the plan does nothing to. In words.
    Misnamed(String),
    /// Whoever decides about the plan left it. Holds why.
    NotConfirmed(String),
}

impl Ended {
    /// One word for machines, and why in words for people.
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
    /// The step at which the run was stopped; the next run looks what became of it.
    pub interrupted: Option<usize>,
    /// Values that were to go or to be put back, and that the tenant kept by its own reply: a line each.
    pub kept: Vec<String>,
    /// What this run may have made and nobody finds yet, where no record tells the next run of it: what to look for, and
    /// until when not to run again.
    pub lost: Option<String>,
    pub not_started: Vec<usize>,
}

impl Outcome {
    /// Whether what was decided about has moved.
    pub fn is_stale(&self) -> bool {
        matches!(self.ended, Ended::Stale(_))
    }

    /// Nothing was begun.
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

/// The values of a step that puts former ones back which are otherwise in the reply to its write.
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

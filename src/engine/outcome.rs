//! What is asked of an apply beyond its plan, and how it ended.

use crate::model::plan::Plan;

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
}

/// The result of an apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub ended: Ended,
    pub done: Vec<usize>,
    pub failed: Option<usize>,
    /// The step at which the run was stopped; the next run looks what became of it.
    pub interrupted: Option<usize>,
    pub not_started: Vec<usize>,
}

impl Outcome {
    /// Nothing was begun.
    pub fn before_any_step(ended: Ended, plan: &Plan) -> Outcome {
        let not_started = plan.steps.iter().map(|step| step.number).collect();
        Outcome { ended, done: Vec::new(), failed: None, interrupted: None, not_started }
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

//! A row in the table of Actions: everything that is special about one Action of a stack.

use std::ops::Deref;

use serde_json::Value as Json;

use super::wire::{Own, named_as, parse};
use crate::diag::Problem;
use crate::kinds::looks::Ready;
use crate::kinds::remote::actions::has_trigger;
use crate::kinds::said::actions::Spec;
use crate::kinds::{Diff, SaidBy, Seen};
use crate::model::field::Section;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Stage};

/// Subject of the messages that say why an Action has to stay; a verb follows.
pub(super) const KEEPS: &str = "the tenant's phone provider, which this stack does not delete,";

/// One Action of the stack.
pub struct Action {
    pub spec: &'static Spec,
    pub sections: &'static [&'static Section],
    /// Checks of this row alone.
    pub check: fn(&Manifest, &mut Vec<Problem>),
    /// Where the manifest gives the value of a field.
    pub said_by: fn(&str) -> SaidBy,
    /// What a plan says of the Action, whatever it changes.
    pub notice: fn(&Manifest) -> Option<Finding>,
    /// What users notice of a deployment, in words. `None`: nothing.
    pub danger: fn(&Diff<'_>) -> Option<String>,
    /// What stops if the code of the Action does not work, in words.
    pub stops: &'static str,
    /// The check right before a deployment.
    pub ready: Option<Ready>,
    pub stages: Stages,
    /// Whether the tenant still sends through the Action after the last step.
    pub is_needed: fn(&LoginPath) -> bool,
}

/// Where an Action's steps stand in the order of a plan.
pub struct Stages {
    pub draft: Stage,
    pub deploy: Stage,
    pub remove: Stage,
}

/// A row has everything that its spec has.
impl Deref for Action {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        self.spec
    }
}

impl Action {
    /// Reads the Action from any reply, under its wanted name, and notes whether it is on the row's trigger.
    pub(super) fn read(&self, action: &Json, wanted: &str) -> Seen {
        let mut seen = named_as(parse(action), wanted);
        seen.keep(|own: &mut Own| own.on_trigger = has_trigger(action, self.trigger.id));
        seen
    }
}

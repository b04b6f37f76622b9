//! One Action of a stack as a kind: what a row of the table says of it.

use std::ops::Deref;

use serde_json::Value as Json;

use super::wire::{Own, named_as, parse};
use crate::diag::Problem;
use crate::kinds::looks::Ready;
use crate::kinds::remote::actions::has_trigger;
use crate::kinds::said::actions::Spec;
use crate::kinds::{Diff, Seen};
use crate::model::field::Section;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::Stage;

/// What an Action may have to stay for.
pub(super) const KEEPS: &str = "the tenant's phone provider, which is not ours to take away,";

/// One Action of the stack.
pub struct Action {
    pub spec: &'static Spec,
    pub sections: &'static [&'static Section],
    /// Checks of this row alone.
    pub check: fn(&Manifest, &mut Vec<Problem>),
    /// What users notice of a deployment, in words.
    pub danger: fn(&Diff<'_>) -> Option<String>,
    /// What stops where its code does not work, in words.
    pub stops: &'static str,
    /// What must still hold right before a deployment.
    pub ready: Option<Ready>,
    pub stages: Stages,
    /// Whether the tenant, as it is after every step, still sends through it.
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
    /// An Action in any reply, with what the code that runs means.
    pub(super) fn read(&self, action: &Json, wanted: &str) -> Seen {
        let mut seen = named_as(parse(action), wanted);
        seen.keep(|own: &mut Own| own.on_trigger = has_trigger(action, self.trigger.id));
        seen
    }
}

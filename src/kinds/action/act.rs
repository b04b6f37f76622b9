//! What a step of an Action does.

use serde::{Deserialize, Serialize};

use crate::kinds::said::actions::ALL;
use crate::model::plan::Step;

#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Act {
    /// Writes the draft, which starts its build; the whole set of secrets goes with it, or none.
    Draft {
        secrets: bool,
    },
    Deploy,
    /// Deploys the version that ran before this stack.
    FormerVersion {
        version: String,
    },
    /// With `force` also while a trigger calls it.
    Delete {
        force: bool,
    },
}

impl Act {
    /// `None`: a step of another kind.
    pub(super) fn of(step: &Step) -> Option<Act> {
        let is_action = ALL.iter().any(|row| row.name == step.kind);
        is_action.then(|| step.op.act().ok()).flatten()
    }
}

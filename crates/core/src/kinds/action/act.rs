//! What a step of an Action does.

use serde::{Deserialize, Serialize};

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

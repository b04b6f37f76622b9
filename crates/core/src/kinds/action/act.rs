//! What a step of an Action does.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Act {
    /// Writes the draft, which starts its build. `secrets`: the whole set of secrets is sent with it, otherwise none.
    Draft {
        secrets: bool,
    },
    Deploy,
    /// Deploys the version that ran before this stack.
    FormerVersion {
        version: String,
    },
    /// Deploys the version that ran before the last run.
    EarlierVersion {
        version: String,
    },
    /// Deletes the Action. `force`: even while it is bound to a trigger.
    Delete {
        force: bool,
    },
}

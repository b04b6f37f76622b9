//! What a step of the Function does, and what is kept of the Function beside its fields.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::wire;
use crate::kinds::Seen;

/// Name of the Function inside its service. Twilio does not keep it unique.
pub(super) const FUNCTION_NAME: &str = "auth0-logs";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Act {
    /// Creates the service.
    Service {
        unique_name: String,
    },
    Settings,
    /// Puts back the service's settings from before this stack.
    Restore,
    Environment {
        unique_name: String,
    },
    Function,
    Upload,
    Build,
    /// Sets the variable that makes the code accept the former secret as well.
    Previous,
    Variable {
        key: String,
    },
    /// Removes a variable.
    Forget {
        key: String,
    },
    Deploy,
    /// Deletes the former service after another one has taken its place.
    Former {
        service: String,
    },
    Delete,
}

/// What is known of the Function beside its fields.
#[derive(Clone, Default)]
pub(super) struct Own {
    /// The service on record, if the manifest names another one.
    pub(super) former: Option<Former>,
    /// The parts of the live build that belong to others.
    pub(super) others: wire::Others,
    /// SIDs of all variables by name, also of those that are not ours.
    pub(super) variables: BTreeMap<String, String>,
    /// Names of the build's packages.
    pub(super) packages: Vec<String>,
    /// SIDs of all Functions that have our name.
    pub(super) same_function: Vec<String>,
    /// SID of a version that is as wanted and can go into the next build; empty if there is none.
    pub(super) ready_version: String,
    /// SID of a build that is as wanted and can be deployed; empty if there is none.
    pub(super) ready_build: String,
    /// Names of other people's Functions in a service that is to be deleted.
    pub(super) foreign: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Former {
    pub(super) service: String,
    pub(super) unique_name: String,
}

pub(super) fn own_state(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

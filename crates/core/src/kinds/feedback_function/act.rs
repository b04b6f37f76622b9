//! What a step of the Function does, and what is kept of the Function beside its fields.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::wire;
use crate::kinds::Seen;

/// Name of the Function inside its service. Not unique, as far as Twilio is concerned.
pub(super) const FUNCTION_NAME: &str = "auth0-logs";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Act {
    /// Makes the service.
    Service {
        unique_name: String,
    },
    Settings,
    /// Settings from before this stack.
    Restore,
    Environment {
        unique_name: String,
    },
    Function,
    Upload,
    Build,
    /// Accepts the secret beside the one that replaces it.
    Previous,
    Variable {
        key: String,
    },
    /// Takes a variable away.
    Forget {
        key: String,
    },
    Deploy,
    /// Deletes the service whose place another one has taken.
    Former {
        service: String,
    },
    Delete,
}

/// What there is of the Function beside its fields.
#[derive(Clone, Default)]
pub(super) struct Own {
    /// The service that the record names and the manifest does not any more.
    pub(super) former: Option<Former>,
    /// What others have in the build that serves.
    pub(super) others: wire::Others,
    /// SIDs of the variables, by name; of all, not of ours alone.
    pub(super) variables: BTreeMap<String, String>,
    /// Packages of the build.
    pub(super) packages: Vec<String>,
    /// SIDs of all Functions of our name.
    pub(super) same_function: Vec<String>,
    /// SIDs of an upload and of a build that are as wanted and wait to be used; empty: there is none.
    pub(super) ready_version: String,
    pub(super) ready_build: String,
    /// Names of other people's Functions in a service that goes.
    pub(super) foreign: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Former {
    pub(super) service: String,
    pub(super) unique_name: String,
}

pub(super) fn own(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

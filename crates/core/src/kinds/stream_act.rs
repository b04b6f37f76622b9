//! What a step of a log stream does, and which facts of the feedback path follow from a stream.

use serde::{Deserialize, Serialize};

use super::said::streams::NAME;
use crate::model::address::Address;
use crate::model::facts::{Fact, Facts};

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Act {
    Create { start_from: Option<String> },
    Update,
    Status,
    Restore,
    Delete,
}

/// The facts of the feedback path. A further stream has none, because it is no part of that path.
pub(super) fn feedback(address: &Address, status: &str, endpoint: Option<&str>) -> Facts {
    if address != NAME {
        return Facts::new();
    }
    let endpoint = endpoint.map(|url| Fact::Endpoint(url.to_owned()));
    [Fact::Feedback(status.into())].into_iter().chain(endpoint).collect()
}

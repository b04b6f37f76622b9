//! The Actions of the tenant: the reads, and helpers that take the replies apart.

use serde_json::Value as Json;

use crate::kinds::{entries_with, text};
use crate::model::call::{Api, Failed, Get, Paging};

/// The read of all Actions. A tenant has at most 100, so one page is enough.
pub fn list_actions() -> Get {
    Get {
        api: Api::Auth0,
        path: "/api/v2/actions/actions".into(),
        paging: Paging::Offset { key: "actions", per_page: 100 },
    }
}

/// The Actions in the reply to [`list_actions`].
///
/// # Errors
/// The reply is not a list of Actions with ids and names.
pub fn items(list: &Json) -> Result<&[Json], Failed> {
    entries_with(list.get("actions"), &["/id", "/name"], "GET /api/v2/actions/actions")
}

/// Whether an Action supports that trigger.
pub fn has_trigger(action: &Json, trigger: &str) -> bool {
    action["supported_triggers"]
        .as_array()
        .is_some_and(|triggers| triggers.iter().any(|t| text(t, "id") == trigger))
}

/// The read of one Action.
pub fn read_action(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"))
}

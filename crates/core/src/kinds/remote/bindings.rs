//! The bindings of a trigger: the list of the Actions that run on it, in their order.

use serde_json::Value as Json;

use crate::kinds::binding_order::Bound;
use crate::kinds::{entries_with, text};
use crate::model::call::{Api, Failed, Get, Paging};

/// The path at which the list of a trigger is read and written.
pub fn path(trigger: &str) -> String {
    format!("/api/v2/actions/triggers/{trigger}/bindings")
}

/// The read of the list.
pub fn list_bindings(trigger: &str) -> Get {
    Get { api: Api::Auth0, path: path(trigger), paging: Paging::Offset { key: "bindings", per_page: 100 } }
}

/// The list in the reply to a read or a write.
///
/// # Errors
/// An entry does not name its Action. The list is written whole, so to skip the entry would unbind its Action.
pub fn parse(reply: &Json) -> Result<Vec<Bound>, Failed> {
    let list = entries_with(reply.get("bindings"), &["/action/id", "/action/name"], "the list of bindings")?;
    let bound = |entry: &Json| Bound {
        action_id: text(&entry["action"], "id").to_owned(),
        action_name: text(&entry["action"], "name").to_owned(),
        display_name: text(entry, "display_name").to_owned(),
    };
    Ok(list.iter().map(bound).collect())
}

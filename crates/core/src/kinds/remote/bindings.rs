//! The bindings of a trigger: the list of the Actions that run on it, in their order.

use serde_json::Value as Json;

use crate::kinds::binding_order::Bound;
use crate::kinds::{entries_with, text};
use crate::model::call::{Api, Failed, Get, Paging};

/// The path at which a trigger's list of bindings is read and written.
pub fn path(trigger: &str) -> String {
    format!("/api/v2/actions/triggers/{trigger}/bindings")
}

/// The read of a trigger's list of bindings, over all pages.
pub fn list_bindings(trigger: &str) -> Get {
    Get { api: Api::Auth0, path: path(trigger), paging: Paging::Offset { key: "bindings", per_page: 100 } }
}

/// The bindings in the reply to a read or a write of the list.
///
/// # Errors
/// An entry does not name its Action. The entry cannot be skipped: a write replaces the whole list, and an Action that
/// is missing from it would be unbound.
pub fn parse(reply: &Json) -> Result<Vec<Bound>, Failed> {
    let list = entries_with(reply.get("bindings"), &["/action/id", "/action/name"], "the list of bindings")?;
    let bound = |entry: &Json| Bound {
        action_id: text(&entry["action"], "id").to_owned(),
        action_name: text(&entry["action"], "name").to_owned(),
        display_name: text(entry, "display_name").to_owned(),
    };
    Ok(list.iter().map(bound).collect())
}

//! A fleet: one base manifest, tenants as data, and what differs between them.
//!
//! ```text
//! fleet file ─► tables of fields (as a manifest) ─► Fleet ─┐
//! tenants (CSV, YAML, JSON) ─► table ─────────────────────┤
//! base + overlays ─► tree (merge, each node with its origin) ─► text of one tenant + origin of each line ─► manifest
//! ```
//!
//! The manifest of a tenant is a text that the ordinary reader reads, so that everything that holds for one manifest holds
//! for each of them. What is wrong in it is told at its origin: in the base, in an overlay or in the table.

pub mod capacity;
pub mod file;
pub mod forms;
pub mod hubs;
pub mod metrics;
pub mod page;
pub mod record;
pub mod report;
pub mod rollout;
pub mod select;
pub mod shards;
pub mod standing;
pub mod summary;
pub mod table;
mod text;
pub mod told;
mod tree;
pub mod waiting;
pub mod waves;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

pub use file::{Budget, Fleet, Gate, Limits, OnHalt, Overlay, Rollout, Wave};
pub use table::{Tenant, Tenants};
pub use text::{Rendered, render};
pub use tree::{Origin, Part, Tree};

use crate::manifest::{Source, Tables, part};

/// The base and the overlays of a fleet, decoded once for all tenants.
#[derive(Debug)]
pub struct Parts {
    pub base: Part,
    /// In the order of the fleet file.
    pub overlays: Vec<Part>,
}

impl Parts {
    /// Decodes the texts, each with the name of its file: the base first.
    ///
    /// # Errors
    /// What is wrong with the texts, each with its text.
    pub fn new(
        base: (&str, &str),
        overlays: &[(String, String)],
        tables: &Tables,
    ) -> Result<Parts, told::Told> {
        let mut wrong = Vec::new();
        let mut read = |file: &str, text: &str, at: usize| {
            let (source, root, found) = part(file, text, tables);
            let source = Arc::new(source);
            let tree = Tree::of(root.as_ref(), &source, at);
            if !found.is_empty() || root.is_none() {
                wrong.push((Arc::clone(&source), found));
            }
            Part { source, tree }
        };
        let base = read(base.0, base.1, 0);
        let overlays =
            overlays.iter().enumerate().map(|(at, (file, text))| read(file, text, at + 1)).collect();
        if wrong.is_empty() { Ok(Parts { base, overlays }) } else { Err(wrong) }
    }

    /// The source of a part, counted from the base.
    pub fn source(&self, at: usize) -> &Arc<Source> {
        match at.checked_sub(1).and_then(|at| self.overlays.get(at)) {
            Some(part) => &part.source,
            None => &self.base.source,
        }
    }

    /// The manifest of a tenant, as a text: the base, the overlays that match, the values of the tenant.
    pub fn render(&self, fleet: &Fleet, tenant: &Tenant, tables: &Tables) -> Rendered {
        let mut tree = self.base.tree.clone();
        let mut removed = BTreeMap::new();
        for (overlay, part) in fleet.overlays.iter().zip(&self.overlays) {
            if overlay.matches.iter().all(|one| one.holds(tenant)) {
                tree = tree::merge(tree, &part.tree, &mut Vec::new(), &mut removed);
            }
        }
        text::render(&tree, removed, tenant, tables)
    }
}

/// A condition of `match`: a column has one of these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub values: Vec<String>,
    /// The column must have none of them.
    pub negated: bool,
}

impl Condition {
    /// Whether a tenant meets it.
    pub fn holds(&self, tenant: &Tenant) -> bool {
        let cell = tenant.cell(&self.column).unwrap_or_default();
        self.values.iter().any(|value| value == cell) != self.negated
    }
}

/// A scalar of a table or of a condition, as text. `None`: it is a list or a mapping.
pub(crate) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(yes) => Some(yes.to_string()),
        Json::Null => Some(String::new()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

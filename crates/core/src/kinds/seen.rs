//! A resource as the tenant has it: what everybody may ask of it, and what its kind keeps for itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::model::plan::{Finding, Level};
use crate::model::value::{Attrs, Ids};

/// A resource as the tenant has it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub exists: bool,
    /// Outputs and ids; empty when it does not exist.
    pub ids: Ids,
    /// Observed values in the desired form: normalised, sets sorted, secrets as secrets or stamps.
    pub attrs: Attrs,
    pub findings: Vec<Finding>,
    /// The part could not be read (missing permission); never `clean`.
    pub not_read: bool,
    pub whose: Whose,
    /// Where it does not exist: ids of all that is there and could be taken for it. The intent of a create keeps them.
    pub beside: Vec<String>,
    /// What steps of this run noted, for the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// A destroy that did not come to its end has put the whole of what was there before back, and nobody has changed it
    /// since.
    pub put_back: bool,
    pub own: Own,
}

/// Whose it is that stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// This stack's as far as anybody knows, or a switch that every tenant has.
    #[default]
    Ours,
    /// Made by a run of this stack that did not come to its end.
    Resumed,
    /// Nothing says that it is ours.
    Unowned,
    /// A record that nothing proves names it, and so does the manifest, by its name only.
    Unproven,
    /// Not the object that the record is about (another one was pinned, or somebody made a new one of the same name), so
    /// nothing of the record says whose it is.
    Another,
}

impl Whose {
    /// Whether taking it over needs consent.
    pub fn needs_consent(self) -> bool {
        !matches!(self, Whose::Ours | Whose::Resumed)
    }
}

/// What a kind keeps of what it saw, for itself: whoever cannot name its type cannot read it. No secrets.
#[derive(Clone, Default)]
pub struct Own(Option<Rc<dyn Any>>);

impl fmt::Debug for Own {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Own" } else { "Nothing" })
    }
}

impl Seen {
    /// Adds something to know.
    pub fn finding(&mut self, address: &str, level: Level, text: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding {
            address: address.to_owned(),
            text: text.into(),
            help: help.into(),
            level,
        });
    }

    /// What the kind keeps for itself.
    pub(super) fn own<T: 'static>(&self) -> Option<Rc<T>> {
        self.own.0.clone()?.downcast().ok()
    }

    /// Changes what the kind keeps for itself.
    pub(super) fn keep<T: Clone + Default + 'static, R>(&mut self, change: impl FnOnce(&mut T) -> R) {
        let mut own = self.own::<T>().map_or_else(T::default, |own| T::clone(&own));
        change(&mut own);
        self.own = Own(Some(Rc::new(own)));
    }
}

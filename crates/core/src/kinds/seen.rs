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
    /// If it does not exist: the ids of all objects that could be mistaken for it. The intent of a create keeps them.
    pub beside: Vec<String>,
    /// What steps of this run noted, for the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// A destroy that did not finish has put all former values back, and nobody has changed the object since.
    pub put_back: bool,
    pub own: Own,
}

/// Who owns the object that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Nothing speaks against this stack as its owner; or it is a switch, which every tenant has.
    #[default]
    Ours,
    /// A run of this stack created it and did not finish.
    Resumed,
    /// Nothing says that this stack owns it.
    Unowned,
    /// A record without proof has its id, and the manifest has its name.
    Unproven,
    /// It is not the object on record: another one was pinned, or somebody made a new one of the same name. So nothing in
    /// the record says who owns it.
    Another,
}

impl Whose {
    /// Whether taking it over needs consent.
    pub fn needs_consent(self) -> bool {
        !matches!(self, Whose::Ours | Whose::Resumed)
    }
}

/// The private state of a kind: only code that can name its type reads it. It holds no secret.
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

//! A resource as the tenant has it: the public part, and the private state of its kind.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::model::address::Address;
use crate::model::codes::Code;
use crate::model::plan::{Finding, Level};
use crate::model::value::{Attrs, Ids};

/// A resource as the tenant has it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub exists: bool,
    /// The outputs and ids; empty if the object does not exist.
    pub ids: Ids,
    /// The observed values in the same form as the desired ones: normalised, sets sorted, secrets as secrets or stamps.
    pub attrs: Attrs,
    pub findings: Vec<Finding>,
    /// The resource could not be read because a permission is missing. It never counts as `clean`.
    pub not_read: bool,
    pub whose: Whose,
    /// If the object does not exist: the ids of all objects that could be mistaken for it. The intent of a create keeps
    /// them.
    pub beside: Vec<String>,
    /// Notes that the steps of this run made for the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// A destroy that did not finish had already put all former values back, and nobody has changed the object since.
    pub put_back: bool,
    pub own: Own,
}

/// Who owns the object that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Nothing speaks against this stack as the owner, or the object is a setting that every tenant has.
    #[default]
    Ours,
    /// A run of this stack created the object and did not finish.
    Resumed,
    /// Nothing says that this stack owns the object.
    Unowned,
    /// An unproven record has the object's id, and the manifest has its name.
    Unproven,
    /// The object is not the one on record: another one was pinned, or somebody created a new one with the same name.
    /// Nothing in the record says who owns it.
    Another,
}

impl Whose {
    /// Whether a person has to consent before this stack takes the object over.
    pub fn needs_consent(self) -> bool {
        !matches!(self, Whose::Ours | Whose::Resumed)
    }
}

/// The private state of a kind. Only code that can name the state's type can read it. It holds no secret.
#[derive(Clone, Default)]
pub struct Own(Option<Rc<dyn Any>>);

impl fmt::Debug for Own {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Own" } else { "Nothing" })
    }
}

impl Seen {
    /// Adds a finding.
    pub fn finding(
        &mut self,
        code: Code,
        address: &Address,
        level: Level,
        text: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings.push(Finding {
            code,
            address: address.to_owned(),
            text: text.into(),
            help: help.into(),
            level,
        });
    }

    /// The private state of the kind, if it has this type.
    pub(super) fn own<T: 'static>(&self) -> Option<Rc<T>> {
        self.own.0.clone()?.downcast().ok()
    }

    /// Changes the private state of the kind. The change starts from the default if there is no state of this type.
    pub(super) fn keep<T: Clone + Default + 'static, R>(&mut self, change: impl FnOnce(&mut T) -> R) {
        let mut own = self.own::<T>().map_or_else(T::default, |own| T::clone(&own));
        change(&mut own);
        self.own = Own(Some(Rc::new(own)));
    }
}

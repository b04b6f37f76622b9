//! One switch-like kind: what a row of the table says of it.

use serde_json::Value as Json;

use crate::diag::Problem;
use crate::kinds::looks::switches::{self, Before};
use crate::kinds::remote::read::{READ, Read};
use crate::kinds::{Diff, Leaving, Resource, Task};
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::field::Section;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{Level, Stage, Step};
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

/// The name of a field, and the fact that its value is, for one address. A value of another type could not be read.
pub(super) type Says = (&'static str, fn(&str, &Json) -> Fact);

/// The words in a list.
pub(super) fn words<T: for<'a> From<&'a str>>(list: &Json) -> Option<Vec<T>> {
    Some(list.as_array()?.iter().filter_map(Json::as_str).map(T::from).collect())
}

/// One row: a switch-like kind as data and small pure functions.
pub struct Setting {
    pub(super) name: &'static str,
    pub(super) sections: &'static [&'static Section],
    /// Resources that the manifest declares.
    pub(super) declare: fn(&Manifest) -> Vec<Resource>,
    pub(super) check: fn(&Manifest, &mut Vec<Problem>),
    /// The read that holds the setting.
    pub(super) read: &'static Read,
    /// Observed attributes out of the reply, for one address.
    pub(super) parse: fn(&str, &Json) -> Attrs,
    /// Method, path and body of the write, for one address and the values to set.
    pub(super) write: fn(&str, &Attrs) -> (Method, String, Json),
    /// What a field says of the login's delivery path, if one does.
    pub(super) fact: Option<Says>,
    /// What the reply says besides of that path, of parts that the manifest leaves alone.
    pub(super) also: fn(&Json) -> Vec<Fact>,
    /// Another way to know whether it is on, where the reply does not say it.
    pub(super) probe: Option<Probe>,
    /// The values in the reply to a write, where it is not what a read is answered with.
    pub(super) written: Option<fn(&str, &Json) -> Result<Attrs, Failed>>,
    /// Stage and danger of going from the observed to the new attributes.
    pub(super) weigh: fn(&str, &Attrs, &Attrs) -> (Stage, Option<String>),
    /// Scope that the write needs.
    pub(super) scopes: &'static [&'static str],
    /// What the state of others changes about the step.
    pub(super) beside: fn(&Diff<'_>, &mut Step),
    /// What is different about the step that puts those values back.
    pub(super) undo: fn(&str, &Attrs, &mut Step),
    /// Why a step that puts a former value back has to stay undone, given the path before the first step.
    pub(super) stays: fn(&Step, &LoginPath) -> Option<(Level, String)>,
    /// What must still hold right before the write; answers what does not.
    pub(super) before: Before,
    /// Destroy puts the former value back; not where the way back is not one that a tool should take by itself.
    pub(super) way_back: bool,
    /// How it goes when the manifest no longer declares it.
    pub(super) leaving: fn(&Manifest) -> Leaving,
    /// It belongs to the legacy phone set-up, which is out of reach while the unified experience is on.
    pub(super) legacy: bool,
    /// One write takes all fields of the section.
    pub(super) whole: bool,
    /// Objects in it are replaced whole: it is read again right before the write, and this adds to the body what the
    /// manifest leaves alone.
    pub(super) complete: Option<fn(&mut Json, &Json)>,
    /// Values of a tenant that never set it, where a reply without content or with an empty object says so; `None`: such
    /// a reply is an error.
    pub(super) unset: Option<fn() -> Attrs>,
    /// A 404 says the same.
    pub(super) unset_is_404: bool,
    /// Whether an observed value is another way to say the desired one.
    pub(super) tolerates: fn(&str, &Value, &Value) -> bool,
}

/// How to find out by another read whether something is on, and what to tell where that is refused.
pub(super) struct Probe {
    pub(super) ask: for<'a> fn(&'a Reader) -> Task<'a, Result<bool, Failed>>,
    pub(super) refused: fn(&Failed) -> (String, &'static str),
}

/// A row that spells out only what differs (`Setting { name: "x", ..SETTING }`).
pub(super) const SETTING: Setting = Setting {
    name: "",
    sections: &[],
    declare: |_| Vec::new(),
    check: |_, _| {},
    read: &READ,
    parse: |_, _| Attrs::new(),
    write: |_, _| (Method::Patch, String::new(), Json::Null),
    fact: None,
    also: |_| Vec::new(),
    probe: None,
    written: None,
    weigh: |_, _, _| (Stage::Tenant, None),
    scopes: &[],
    beside: |_, _| (),
    undo: |_, _, _| (),
    stays: |_, _| None,
    before: switches::nothing,
    way_back: true,
    leaving: |_| Leaving::Removed,
    legacy: false,
    whole: false,
    complete: None,
    unset: None,
    unset_is_404: false,
    tolerates: |_, _, _| false,
};

pub(super) fn known(attrs: &Attrs, key: &str) -> Json {
    attrs.get(key).and_then(Value::known).cloned().unwrap_or(Json::Null)
}

pub(super) fn one(kind: &'static str, address: impl Into<String>, field: &str, value: Value) -> Resource {
    Resource { address: address.into(), kind, desired: Attrs::from([(field.to_owned(), value)]) }
}

pub(super) fn values(step: &Step) -> Attrs {
    let values = step.op.values.iter().flatten();
    values.map(|(key, value)| (key.clone(), Value::Known(value.clone()))).collect()
}

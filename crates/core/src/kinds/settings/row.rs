//! A row in the table of settings: everything that is special about one of these kinds.

use serde_json::Value as Json;

use crate::diag::Problem;
use crate::kinds::looks::switches::{self, Before};
use crate::kinds::remote::read::{READ, Read};
use crate::kinds::{Diff, Leaving, Resource, Task};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::field::Section;
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{Level, Stage, Step};
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

/// Reads the values from the reply to the write.
pub(super) type Written = fn(&Address, &Json) -> Result<Attrs, Failed>;

/// A field and the fact that its value stands for. The function is given the address and the value. A value of an
/// unexpected type counts as one that could not be read.
pub(super) type Says = (&'static str, fn(&Address, &Json) -> Fact);

/// The texts in a list. `None`: the value is no list.
pub(super) fn words<T: for<'a> From<&'a str>>(list: &Json) -> Option<Vec<T>> {
    Some(list.as_array()?.iter().filter_map(Json::as_str).map(T::from).collect())
}

/// One kind of setting, as data and small pure functions. A function that takes an address is given the address of the
/// resource.
pub struct Setting {
    pub(super) name: &'static str,
    pub(super) sections: &'static [&'static Section],
    /// Resources that the manifest declares.
    pub(super) declare: fn(&Manifest) -> Vec<Resource>,
    pub(super) check: fn(&Manifest, &mut Vec<Problem>),
    /// The read whose reply contains the setting.
    pub(super) read: &'static Read,
    /// The observed attributes, from the address and the reply.
    pub(super) parse: fn(&Address, &Json) -> Attrs,
    /// Method, path and body of the write, from the address and the values.
    pub(super) write: fn(&Address, &Attrs) -> (Method, String, Json),
    /// The field that says something about the login's delivery path, if the setting has one.
    pub(super) fact: Option<Says>,
    /// Further facts about that path in the reply, about parts that the manifest leaves alone.
    pub(super) more_facts: fn(&Json) -> Vec<Fact>,
    /// Another way to find out whether the setting is on, for replies that do not say it.
    pub(super) probe: Option<Probe>,
    /// Reads the values from the reply to a write, if that reply has another form than the reply to a read.
    pub(super) written: Option<Written>,
    /// Stage and danger of a step, from the address, the observed attributes and the new ones.
    pub(super) weigh: fn(&Address, &Attrs, &Attrs) -> (Stage, Option<String>),
    /// Scopes that the write needs.
    pub(super) scopes: &'static [&'static str],
    /// Adapts a step to the state of other resources.
    pub(super) adjust: fn(&Diff<'_>, &mut Step),
    /// Adapts the step that puts these former values back.
    pub(super) adjust_undo: fn(&Address, &Attrs, &mut Step),
    /// Why a step that puts a former value back must not run. The path is the delivery path before the first step.
    pub(super) must_stay: fn(&Step, &LoginPath) -> Option<(Level, String)>,
    /// The check right before the write. It fails with what no longer holds, or answers why a former value is not put
    /// back.
    pub(super) before: Before,
    /// Whether destroy puts the former value back. It does not if a tool should not take this way back by itself.
    pub(super) way_back: bool,
    /// What becomes of the setting when the manifest no longer declares it.
    pub(super) leaving: fn(&Manifest) -> Leaving,
    /// Whether the setting belongs to the legacy phone set-up, which cannot be reached while the unified experience is
    /// on.
    pub(super) legacy: bool,
    /// Whether every write contains all fields of the section, and not only the changed ones.
    pub(super) whole: bool,
    /// Adds to the body what the manifest leaves alone, from a read right before the write. For settings with objects
    /// that the API replaces as a whole.
    pub(super) complete: Option<fn(&mut Json, &Json)>,
    /// The values on a tenant where nobody has ever changed the setting. A reply without content or with an empty
    /// object stands for them. `None`: such a reply is treated like any other.
    pub(super) unset: Option<fn() -> Attrs>,
    /// Whether a 404 stands for them too.
    pub(super) unset_is_404: bool,
    /// Whether an observed value means the same as the desired one. The arguments are the field, the desired value and
    /// the observed one.
    pub(super) tolerates: fn(&str, &Value, &Value) -> bool,
}

/// How another read finds out whether a setting is on, and the text and help of the note if that read is refused.
pub(super) struct Probe {
    pub(super) ask: for<'a> fn(&'a Reader) -> Task<'a, Result<bool, Failed>>,
    pub(super) refused: fn(&Failed) -> (String, &'static str),
}

/// The defaults of a row, so that a row spells out only what differs (`Setting { name: "x", ..SETTING }`).
pub(super) const SETTING: Setting = Setting {
    name: "",
    sections: &[],
    declare: |_| Vec::new(),
    check: |_, _| {},
    read: &READ,
    parse: |_, _| Attrs::new(),
    write: |_, _| (Method::Patch, String::new(), Json::Null),
    fact: None,
    more_facts: |_| Vec::new(),
    probe: None,
    written: None,
    weigh: |_, _, _| (Stage::Tenant, None),
    scopes: &[],
    adjust: |_, _| (),
    adjust_undo: |_, _, _| (),
    must_stay: |_, _| None,
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

/// The plain value of a field; null if it has none.
pub(super) fn plain_value(attrs: &Attrs, key: &str) -> Json {
    attrs.get(key).and_then(Value::known).cloned().unwrap_or(Json::Null)
}

/// A resource with one field.
pub(super) fn switch(kind: &'static str, field: &str, value: Value) -> Resource {
    Resource { address: Address::of(kind), kind, desired: Attrs::from([(field.to_owned(), value)]) }
}

/// The values that a step writes, as attributes.
pub(super) fn written_values(step: &Step) -> Attrs {
    let values = step.op.values.iter().flatten();
    values.map(|(key, value)| (key.clone(), Value::Known(value.clone()))).collect()
}

//! Compares desired and observed state field by field, and finds the cause of each difference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::kinds::{Kind, Resource, Seen, Whose};
use crate::ledger::prints::Prints;
use crate::model::address::Address;
use crate::model::ledger::{Entry, Last, Ledger};
use crate::model::ledger::{compact, same_mark};
use crate::model::plan::{Cause, FieldChange, Was};
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Ids, Part, Value};

/// Values of references inside the manifest that are known by now.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Outputs, keyed by resource address.
    pub ids: BTreeMap<Address, Ids>,
    /// Generated secrets whose value can be read back, keyed by name.
    pub generated: BTreeMap<String, Secret>,
    /// Secrets of the keys that this run made, keyed by name. Nothing else knows them.
    pub minted: BTreeMap<String, Secret>,
    /// Addresses of resources that could not be read, so that their outputs are unknown.
    pub unread: BTreeSet<Address>,
}

impl Known {
    /// The values that the observed state shows. A generated secret is read back from where it is used: the value that
    /// matches the ledger's fingerprint, or without a record the first value found in order of `wanted`. One that is to
    /// be made anew (`rotate`) is not.
    pub fn of(
        wanted: &[Resource],
        seen: &BTreeMap<Address, Seen>,
        ledger: Option<&Ledger>,
        prints: &Prints,
        rotate: &BTreeSet<String>,
    ) -> Known {
        let ids = seen.iter().map(|(address, seen)| (address.clone(), seen.ids.clone())).collect();
        let mut generated: BTreeMap<String, Secret> = BTreeMap::new();
        for want in wanted {
            for (field, value) in &want.desired {
                let Value::Generated(name) = value else { continue };
                if rotate.contains(&format!("generated.{name}")) {
                    continue;
                }
                let Some(Value::Secret(there)) =
                    seen.get(&want.address).and_then(|seen| seen.attrs.get(field))
                else {
                    continue;
                };
                let entry = ledger.and_then(|ledger| ledger.resources.get(&want.address));
                let ours = match (ledger, entry.and_then(|entry| entry.fields.get(field))) {
                    (_, Some(last @ Last::Print { .. })) => prints.is_of(last, there),
                    // No fingerprint here: a stack whose record has none for this secret anywhere reads back what it
                    // finds.
                    (ledger, _) => ledger.is_none_or(|ledger| !remembers(ledger, wanted, name)),
                };
                if ours {
                    let secret = Secret::new(there.expose(), Origin::Machine);
                    generated.entry(name.clone()).or_insert(secret);
                }
            }
        }
        let unread = seen.iter().filter(|(_, seen)| seen.not_read).map(|(address, _)| address.clone());
        Known { ids, generated, minted: BTreeMap::new(), unread: unread.collect() }
    }

    /// The desired attributes with outputs and generated secrets filled in, as far as they are known.
    pub fn fill(&self, desired: &Attrs) -> Attrs {
        desired.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
    }

    /// The value with what is known filled in.
    pub fn value(&self, value: &Value) -> Value {
        let template = match value {
            Value::Generated(name) => {
                return self
                    .generated
                    .get(name)
                    .map_or_else(|| value.clone(), |secret| Value::Secret(secret.clone()));
            }
            Value::Minted(name) => {
                return self
                    .minted
                    .get(name)
                    .map_or_else(|| value.clone(), |secret| Value::Secret(secret.clone()));
            }
            Value::Output(template) => template,
            other => return other.clone(),
        };
        let mut text = String::new();
        for part in &template.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Output(output) => {
                    match self.ids.get(output.resource.as_str()).and_then(|ids| ids.get(&output.output)) {
                        Some(known) if !known.is_empty() => text.push_str(known),
                        _ if self.unread.contains(output.resource.as_str()) => {
                            return Value::Unknown(format!("{}.{}", output.resource, output.output));
                        }
                        _ => return value.clone(),
                    }
                }
            }
        }
        if template.secret { Value::Secret(Secret::new(text, Origin::Public)) } else { Value::text(text) }
    }
}

/// Whether any place of a generated secret has a fingerprint in the ledger.
fn remembers(ledger: &Ledger, wanted: &[Resource], name: &str) -> bool {
    wanted.iter().any(|want| {
        let fields = ledger.resources.get(&want.address).map(|entry| &entry.fields);
        want.desired.iter().any(|(field, value)| {
            matches!(value, Value::Generated(held) if held == name)
                && matches!(fields.and_then(|fields| fields.get(field)), Some(Last::Print { .. }))
        })
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Match {
    Same,
    Differs,
    /// There is nothing to compare with.
    Unknown,
}

/// Differences between a resource and its observed state.
#[derive(Debug, Default, PartialEq)]
pub struct Differences {
    pub changes: Vec<FieldChange>,
    /// Fields that cannot be compared: secrets without a record, and values that the tenant does not show.
    pub unknown: Vec<String>,
}

/// What is known of the values that were sent.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub entry: Option<&'a Entry>,
    /// The stack has a record; without one, no cause is known.
    pub has_ledger: bool,
    /// Values that are sent now will be on record.
    pub keeps: bool,
    /// Whether the manifest says that a secret with this mark, of which there is no record, is the wanted one.
    pub vouched: &'a dyn Fn(&Json) -> bool,
}

/// Compares a resource (outputs filled in) with its observed state.
pub fn differences(
    kind: &dyn Kind,
    want: &Resource,
    seen: &Seen,
    sent: Sent<'_>,
    prints: &Prints,
) -> Differences {
    let Sent { entry, has_ledger, keeps, vouched } = sent;
    let mut out = Differences::default();
    for (field, desired) in &want.desired {
        let observed = seen.attrs.get(field);
        let last = entry.and_then(|entry| entry.fields.get(field));
        let matched = match observed {
            Some(observed) if kind.tolerates(field, desired, observed) => Match::Same,
            // A value that the tenant never shows is taken to be the last one sent, and is sent again if that is not
            // the wanted one.
            Some(Value::Unknown(_)) if kind.write_only(field) && keeps && !was_sent(desired, last) => {
                Match::Differs
            }
            Some(Value::Stamp(mark))
                if last.is_none() && matches!(desired, Value::Secret(_)) && vouched(mark) =>
            {
                Match::Same
            }
            // Without a record of what was sent, a secret could be that of a key or a service that no longer exists.
            Some(Value::Stamp(_)) if keeps && last.is_none() && matches!(desired, Value::Secret(_)) => {
                Match::Differs
            }
            _ => compare(desired, observed, last, prints),
        };
        match matched {
            Match::Same => {}
            // A resumed object is ours, but the run that created it left no record of what it sent, so the values are
            // sent.
            Match::Unknown if seen.exists && seen.whose != Whose::Resumed => out.unknown.push(field.clone()),
            Match::Unknown | Match::Differs => {
                let cause = cause(desired, observed, last, entry, seen, has_ledger, prints);
                out.changes.push(change(field, Some(desired), observed, last, cause));
            }
        }
    }
    let closed = kind.closed(&want.desired);
    for (field, observed) in &seen.attrs {
        let extra =
            closed.iter().any(|prefix| field.starts_with(prefix)) && !want.desired.contains_key(field);
        if extra {
            let last = entry.and_then(|entry| entry.fields.get(field));
            let cause = match (has_ledger, entry, last) {
                (false, ..) => Cause::Unknown,
                (true, None, _) | (true, Some(_), Some(_)) => Cause::NotApplied,
                (true, Some(_), None) => Cause::TenantChanged,
            };
            out.changes.push(change(field, None, Some(observed), last, cause));
        }
    }
    out
}

fn was_sent(desired: &Value, last: Option<&Last>) -> bool {
    match (desired, last) {
        (Value::Known(wanted), Some(Last::Plain(was))) => *was == compact(wanted),
        (Value::Known(_), _) => false,
        _ => true,
    }
}

fn compare(desired: &Value, observed: Option<&Value>, last: Option<&Last>, prints: &Prints) -> Match {
    let is = |same: bool| if same { Match::Same } else { Match::Differs };
    match (desired, observed) {
        (Value::Unknown(_), _) | (_, Some(Value::Unknown(_))) => Match::Unknown,
        (Value::Output(_), _) => Match::Differs,
        (Value::Known(wanted), Some(Value::Known(there))) => is(wanted == there),
        // An emptied list reads back as absent.
        (Value::Known(Json::Array(items)), None) => is(items.is_empty()),
        (Value::Secret(wanted), Some(Value::Secret(there))) => is(wanted == there),
        (Value::Secret(wanted), Some(Value::Known(there))) => is(there.as_str() == Some(wanted.expose())),
        (Value::Known(wanted), Some(Value::Secret(there))) => is(wanted.as_str() == Some(there.expose())),
        (Value::Secret(wanted), Some(Value::Stamp(mark))) => match last {
            Some(last @ Last::Print { stamp, .. }) => {
                is(same_mark(stamp, mark) && prints.is_of(last, wanted))
            }
            _ => Match::Unknown,
        },
        _ => Match::Differs,
    }
}

/// The cause of a difference.
fn cause(
    desired: &Value,
    observed: Option<&Value>,
    last: Option<&Last>,
    entry: Option<&Entry>,
    seen: &Seen,
    has_ledger: bool,
    prints: &Prints,
) -> Cause {
    if !has_ledger {
        return Cause::Unknown;
    }
    let Some(last) = last.filter(|_| entry.is_some()) else {
        // A resource that was applied and is gone was removed on the tenant, whatever the field.
        return if entry.is_some() && !seen.exists { Cause::TenantChanged } else { Cause::NotApplied };
    };
    let local_same = match (last, desired) {
        (Last::Plain(was), Value::Known(wanted)) => *was == compact(wanted),
        (Last::Print { .. }, Value::Secret(wanted)) => prints.is_of(last, wanted),
        (Last::Print { .. }, Value::Generated(_) | Value::Minted(_)) => true,
        // An output that is not known yet belongs to a resource that was removed on the tenant.
        (Last::Print { .. } | Last::Plain(_), Value::Output(_)) => true,
        _ => false,
    };
    let remote_same = match (last, observed) {
        (Last::Plain(was), Some(Value::Known(there))) => *was == compact(there),
        (Last::Plain(Json::Array(items)), None) => items.is_empty(),
        (Last::Print { stamp, .. }, Some(Value::Stamp(mark))) => same_mark(stamp, mark),
        (Last::Print { .. }, Some(Value::Secret(there))) => prints.is_of(last, there),
        _ => false,
    };
    match (local_same, remote_same) {
        (false, true) => Cause::NotApplied,
        (true, _) => Cause::TenantChanged,
        (false, false) => Cause::Both,
    }
}

fn change(
    field: &str,
    desired: Option<&Value>,
    observed: Option<&Value>,
    last: Option<&Last>,
    cause: Cause,
) -> FieldChange {
    let hidden = |value: &Value| {
        matches!(value, Value::Secret(_) | Value::Stamp(_) | Value::Generated(_) | Value::Minted(_))
    };
    let secret = desired.is_some_and(|value| hidden(value) || matches!(value, Value::Output(t) if t.secret))
        || observed.is_some_and(hidden);
    if secret {
        let old = observed.map(|_| json!("set"));
        let new = desired.map(|_| json!(if observed.is_some() { "changed" } else { "set" }));
        let applied = last.map_or(Was::Nothing, |_| Was::Hidden);
        return FieldChange { field: field.to_owned(), applied, old, new, secret: true, cause, accept: None };
    }
    FieldChange {
        field: field.to_owned(),
        applied: was(last, [desired, observed]),
        old: observed.map(Value::shown),
        new: desired.map(Value::shown),
        secret: false,
        cause,
        accept: None,
    }
}

/// The last applied value. If the record has only the digest of a text, a text at hand with the same digest is taken.
pub(super) fn was(last: Option<&Last>, at_hand: [Option<&Value>; 2]) -> Was {
    let Some(Last::Plain(held)) = last else { return last.map_or(Was::Nothing, |_| Was::Hidden) };
    let known = at_hand.into_iter().flatten().filter_map(Value::known);
    match known.into_iter().find(|value| compact(value) == *held) {
        Some(value) => Was::Value(value.clone()),
        None if held.get("sha256").is_some() => Was::Hidden,
        None => Was::Value(held.clone()),
    }
}

/// The fields that the ledger remembers after a resource was applied: desired values with observed marks. `wrote`: this
/// run sent the secrets; `same`: fields that were as wanted before the run. A secret that could not be compared is not
/// remembered, because otherwise the next run would claim to know it; one that the manifest vouches for is.
pub fn remember(
    desired: &Attrs,
    seen: &Seen,
    wrote: bool,
    same: &dyn Fn(&str) -> bool,
    before: Option<&Entry>,
    prints: &Prints,
    vouched: &dyn Fn(&Json) -> bool,
) -> BTreeMap<String, Last> {
    let mut fields = BTreeMap::new();
    for (field, wanted) in desired {
        let observed = seen.attrs.get(field);
        let known = before.and_then(|entry| entry.fields.get(field));
        let last = match (wanted, observed) {
            (Value::Known(json), _) => Some(Last::Plain(compact(json))),
            (Value::Secret(secret), Some(Value::Stamp(stamp)))
                if wrote || known.is_none() && vouched(stamp) =>
            {
                Some(prints.print(secret, stamp.clone()))
            }
            // Our own writes of other fields may have changed the mark of a secret that is unchanged.
            (Value::Secret(secret), Some(Value::Stamp(stamp))) => match known {
                Some(last @ Last::Print { .. }) if same(field) => {
                    Some(prints.renewed(last, secret, stamp.clone()))
                }
                known => known.cloned(),
            },
            // A value that can be read back is compared without a fingerprint.
            (Value::Secret(secret), _) => Some(prints.print(secret, Json::Null)),
            _ => None,
        };
        if let Some(last) = last {
            fields.insert(field.clone(), last);
        }
    }
    fields
}

//! Finds the differences that an unfinished run of this stack left, which are no changes by others.

use serde_json::json;

use crate::kinds::{Kind, Seen};
use crate::model::address::Address;
use crate::model::ledger::{Entry, Intent, Ledger};
use crate::model::plan::{Cause, FieldChange};
use crate::model::value::Value;

/// Sets the cause of those changes of one resource that the unfinished run made.
pub(super) fn attribute(
    changes: &mut [FieldChange],
    kind: &dyn Kind,
    (address, entry, seen): (&Address, Option<&Entry>, &Seen),
    ledger: Option<&Ledger>,
) {
    let Some(entry) = entry else { return };
    let intent = ledger.and_then(|ledger| ledger.intent.as_ref());
    for change in changes {
        let is_its = match change.cause {
            // The field is as that run recorded it.
            Cause::NotApplied => entry.left.contains(&change.field),
            Cause::TenantChanged | Cause::Both => {
                intent.is_some_and(|intent| did(intent, kind, (address, entry, seen), &change.field))
            }
            Cause::Unknown | Cause::Unfinished => false,
        };
        if is_its {
            change.cause = Cause::Unfinished;
        }
    }
}

/// Whether a run that did not report its end can have left the field in this state. If the intent has the wanted value
/// (only a short, non-secret one), any other value is somebody else's.
fn did(
    intent: &Intent,
    kind: &dyn Kind,
    (address, entry, seen): (&Address, &Entry, &Seen),
    field: &str,
) -> bool {
    let there = seen.attrs.get(field).and_then(Value::known);
    if intent.destroy {
        // A version of an Action has all fields except the name.
        let is_back = seen.put_back && field != "name";
        return !seen.exists
            || is_back
            || entry.restore.get(field).is_some_and(|former| there == Some(former));
    }
    let Some(begun) = intent.begun.get(address) else { return false };
    match begun.wanted.get(field) {
        Some(wanted) => there == Some(wanted) || kind.toggles(field) && there == Some(&json!(false)),
        None => true,
    }
}

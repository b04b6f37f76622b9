//! Additions: parts that somebody else added to an object of this stack and that the manifest does not name.
//!
//! An addition is not ours, so Lockstep leaves it as it is. But an addition takes effect through our object, so each
//! plan reports it until the manifest names it or somebody removes it. A part that existed before this stack is not an
//! addition.

use serde_json::Value as Json;

use super::said::verify_service;
use super::{Diff, Hint};
use crate::model::address::Address;
use crate::model::codes;
use crate::model::ledger::{Entry, Ownership};
use crate::model::plan::{Finding, Level};

/// The warning that lists these additions; `None` if there are none. `what` begins the sentence, and `place` is the key
/// of the manifest under which they could be named.
pub(super) fn finding<N: AsRef<str>>(
    address: &Address,
    what: &str,
    names: &[N],
    place: &str,
) -> Option<Finding> {
    let listed = || names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    let (them, stay) = match names.len() {
        1 => ("it", "it stays as it is"),
        _ => ("them", "they stay as they are"),
    };
    (!names.is_empty()).then(|| Finding {
        code: codes::ADDED_BY_OTHERS,
        address: address.to_owned(),
        text: format!("{what} that the manifest does not name: {}", listed()),
        help: format!(
            "remove {them}, or name {them} in {place}; until then {stay}, and `drift` reports {them}"
        ),
        level: Level::Warning,
    })
}

/// The additions among the names `there` of an object of ours. Not an addition is a name that the manifest or the
/// record has as the field `prefix` + name, or that the record lists under the key `before` as older than this stack.
/// Without a record the result is empty, because nobody knows what is new.
pub(super) fn added_names<'a>(
    diff: &'a Diff<'_>,
    there: impl Iterator<Item = &'a str>,
    prefix: &str,
    before: &str,
) -> Vec<&'a str> {
    let Some(entry) = diff.entry else { return Vec::new() };
    let was_there = |name: &str| listed(entry.restore.get(before), name);
    let ours = |name: &str| {
        let field = format!("{prefix}{name}");
        diff.want.desired.contains_key(&field) || entry.fields.contains_key(&field)
    };
    there.filter(|name| !ours(name) && !was_there(name)).collect()
}

pub(super) fn listed(list: Option<&Json>, name: &str) -> bool {
    list.and_then(Json::as_array).is_some_and(|names| names.iter().any(|one| one == name))
}

/// The additions to a list below a Verify service that this stack created: the names `there` that neither the manifest
/// nor the record has. Only the first declared resource of the kind reports them; for all others the result is empty.
pub(super) fn added_to_list<'a>(
    hint: &Hint<'_>,
    kind: &str,
    declared: &[&str],
    there: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let first = declared.first().map(|name| Address::named(kind, name));
    let service = hint.record.and_then(|record| record.get(verify_service::NAME));
    let ours = |entry: &Entry| entry.ownership == Ownership::Created && !entry.unproven;
    if hint.want.is_none() || first.as_ref() != Some(hint.address) || !service.is_some_and(ours) {
        return Vec::new();
    }
    let recorded =
        |name: &str| hint.record.is_some_and(|record| record.contains_key(&Address::named(kind, name)));
    there.filter(|name| !declared.contains(name) && !recorded(name)).map(str::to_owned).collect()
}

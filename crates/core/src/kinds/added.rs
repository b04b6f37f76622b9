//! What somebody added to an object of this stack, beside what the manifest names.
//!
//! Nothing here touches it, since it is not ours. But it takes effect through our object, so it is told until the manifest
//! names it or it is gone. What was there before this stack is not new.

use serde_json::Value as Json;

use super::said::verify_service;
use super::{Diff, Hint};
use crate::model::ledger::{Entry, Ownership};
use crate::model::plan::{Finding, Level};

/// The finding; `None` without names. `what` is the sentence's begin, `place` where the manifest would name it.
pub(super) fn told<N: AsRef<str>>(address: &str, what: &str, names: &[N], place: &str) -> Option<Finding> {
    let listed = || names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| Finding {
        address: address.to_owned(),
        text: format!("{what} that the manifest does not name: {}", listed()),
        help: format!("remove it, or name it in {place}; until then it stays as it is, and drift tells it"),
        level: Level::Warning,
    })
}

/// Names that an object of ours has beside those that the manifest names and those that were there before, as far as the
/// record has them under this key. Nothing without a record: then nobody knows what is new.
pub(super) fn since<'a>(
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

/// What a list below a Verify service of our own has beside the manifest. One resource tells it for all of them.
pub(super) fn beside<'a>(
    hint: &Hint<'_>,
    kind: &str,
    declared: &[&str],
    there: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let first = declared.first().map(|name| format!("{kind}.{name}"));
    let service = hint.record.and_then(|record| record.get(verify_service::NAME));
    let ours = |entry: &Entry| entry.ownership == Ownership::Created && !entry.unproven;
    if hint.want.is_none() || first.as_deref() != Some(hint.address) || !service.is_some_and(ours) {
        return Vec::new();
    }
    let recorded =
        |name: &str| hint.record.is_some_and(|record| record.contains_key(&format!("{kind}.{name}")));
    there.filter(|name| !declared.contains(name) && !recorded(name)).map(str::to_owned).collect()
}

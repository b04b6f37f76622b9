//! The digest of a plan, by which a person reviews it in one place and another client applies it in another.
//!
//! Wanted values, observed fields and steps take part. What another client, another day or another commit of the same
//! manifest would change does not: scopes, findings, causes, times, revisions, credentials. Of a secret only the words of
//! the plan take part (`set`, `changed`) and the remote mark of what was read, never its value.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest;
use serde_json::{Value as Json, json};

use super::build::Basis;
use crate::kinds::Resource;
use crate::model::address::Address;
use crate::model::manifest::Manifest;
use crate::model::plan::{ResourcePlan, Step};
use crate::model::random::hex;
use crate::model::secret::Origin;
use crate::model::value::{Attrs, Value};

/// Sections of the credentials of a run: a value that only they lack is no value of the plan.
const CONNECTION: [&str; 2] = ["auth0", "twilio"];

/// Digest of observed state, desired state and steps, in hexadecimal digits.
pub(super) fn of(
    basis: &Basis<'_>,
    wanted: &[Resource],
    resources: &[ResourcePlan],
    steps: &[Step],
) -> String {
    let desired: BTreeMap<&Address, &Attrs> =
        wanted.iter().map(|want| (&want.address, &want.desired)).collect();
    let seen: BTreeMap<&Address, Json> = basis
        .seen
        .iter()
        .map(|(address, seen)| {
            let attrs: BTreeMap<&String, Json> =
                seen.attrs.iter().map(|(field, value)| (field, observed(value))).collect();
            (address, json!([seen.exists, seen.not_read, seen.ids, attrs]))
        })
        .collect();
    let wants: BTreeMap<&Address, BTreeMap<&String, Json>> = desired
        .iter()
        .map(|(address, attrs)| {
            (*address, attrs.iter().map(|(field, value)| (field, as_wanted(value))).collect())
        })
        .collect();
    let changes: BTreeMap<&Address, Json> = resources
        .iter()
        .map(|resource| {
            let changes: Vec<Json> =
                resource.changes.iter().map(|one| json!([one.field, one.old, one.new])).collect();
            // Whether the object counts as taken over depends on the seals that a client can check.
            (&resource.address, json!([resource.verb, changes, resource.unknown]))
        })
        .collect();
    let serial = basis.ledger.map(|ledger| ledger.serial);
    let whose = [basis.tenant, basis.account, &basis.manifest.stack];
    let command = if basis.rollback { json!("rollback") } else { json!(basis.destroy) };
    let document = json!([whose, basis.kept_in, serial, command, seen, wants, changes, steps]);
    let values = wanted.iter().flat_map(|want| want.desired.values());
    let secrets = values.filter_map(|value| match value {
        Value::Secret(secret) if secret.origin() != Origin::Public => Some(secret.expose()),
        _ => None,
    });
    digits(&sorted(&document, &secrets.collect()))
}

fn observed(value: &Value) -> Json {
    match value {
        Value::Stamp(mark) => mark.clone(),
        other => other.shown(),
    }
}

fn as_wanted(value: &Value) -> Json {
    match value {
        // By its parts: its shown form is the same for every reference.
        Value::Output(template) => json!(format!("{template:?}")),
        other => other.shown(),
    }
}

/// The number of values that the plan does not know and another run could: references without a value, and the fields of
/// what could not be read. What no run can read, such as a secret without a record, is none of them.
pub(super) fn unknown_values(basis: &Basis<'_>, wanted: &[Resource]) -> usize {
    let fields = |address: &Address| {
        let want = wanted.iter().find(|want| want.address == *address).map(|want| want.desired.len());
        let entry = || basis.ledger?.resources.get(address).map(|entry| entry.fields.len());
        want.or_else(entry).unwrap_or_default().max(1)
    };
    let unread = basis.seen.iter().filter(|(_, seen)| seen.not_read);
    without_value(basis.manifest) + unread.map(|(address, _)| fields(address)).sum::<usize>()
}

/// The number of references without a value, apart from the credentials of the run.
fn without_value(manifest: &Manifest) -> usize {
    let sections = manifest.sections.iter().filter(|(name, _)| !CONNECTION.contains(&name.as_str()));
    sections.flat_map(|(_, attrs)| attrs.values()).filter(|value| matches!(value, Value::Unknown(_))).count()
}

/// SHA-256 of a document, in hexadecimal digits; the order of the members of an object does not count.
pub fn hash(document: &Json) -> String {
    digits(&sorted(document, &BTreeSet::new()))
}

fn digits(document: &Json) -> String {
    hex(digest::digest(&digest::SHA256, document.to_string().as_bytes()).as_ref())
}

/// The document with the members of each object in the order of their names, and a word in place of each text that is a
/// secret: the API may show what the manifest takes from a secret source, even in another field. The parsers bound the
/// nesting of all that gets here, so the recursion ends.
fn sorted(document: &Json, secrets: &BTreeSet<&str>) -> Json {
    match document {
        Json::Array(items) => Json::Array(items.iter().map(|item| sorted(item, secrets)).collect()),
        Json::Object(entries) => {
            let ordered: BTreeMap<&String, &Json> = entries.iter().collect();
            let each = ordered.into_iter().map(|(key, value)| (key.clone(), sorted(value, secrets)));
            Json::Object(each.collect())
        }
        Json::String(text) if secrets.contains(text.as_str()) => json!("(secret) set"),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_count_and_that_of_items_does() {
        let of = |text: &str| hash(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(of(r#"{"a":{"x":1,"y":[1,2]},"b":2}"#), of(r#"{"b":2,"a":{"y":[1,2],"x":1}}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
        assert_eq!(of("1").len(), 64);
    }
}

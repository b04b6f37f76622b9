//! What destroy puts back in a log stream that existed before this stack: everything but secrets, which are not kept. A
//! secret that the stream did not have before is removed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::said::streams::{self, NAME};
use super::stream_act::{Act, feedback};
use super::{Diff, Seen, added, step};
use crate::model::address::Address;
use crate::model::ledger::Entry;
use crate::model::plan::{Finding, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};

const HEADERS: &str = "custom_headers";

/// The values that are kept at adoption. Null: the stream did not have the value. Of custom headers, the names are
/// kept.
pub(super) fn kept_at_adoption(seen: &Seen) -> BTreeMap<String, Json> {
    let mut kept: BTreeMap<String, Json> =
        seen.attrs.iter().filter_map(|(key, value)| Some((key.clone(), value.known()?.clone()))).collect();
    for key in ["content_format", "content_type", "authorization"] {
        if !seen.attrs.contains_key(key) {
            kept.insert(key.into(), Json::Null);
        }
    }
    kept.entry("pii_config.log_fields".into()).or_insert_with(|| json!([]));
    kept.insert(HEADERS.into(), seen.attrs.keys().filter_map(|key| header(key)).collect());
    // Auth0 alone sets `suspended`; a client may not write it.
    if kept.get("status") == Some(&json!("suspended")) {
        kept.remove("status");
    }
    kept
}

fn header(key: &str) -> Option<&str> {
    key.strip_prefix(HEADERS)?.strip_prefix('.')
}

/// Reports headers that somebody added to a stream for which the manifest names no headers.
pub(super) fn added(diff: &Diff<'_>) -> Option<Finding> {
    let headers = diff.seen.attrs.keys().filter_map(|key| header(key));
    let headers = added::added_names(diff, headers, "custom_headers.", HEADERS);
    let place = match diff.address.name() {
        Some(name) => format!("log_streams.http.{name}.{HEADERS}"),
        None => format!("{}.{HEADERS}", streams::SECTION_PATH),
    };
    added::finding(diff.address, "the stream has headers", &headers, &place)
}

/// The step that puts back what this stack changed in an adopted stream, except secrets. `None`: nothing has to be put
/// back.
pub(super) fn put_back(address: &Address, seen: &Seen, entry: &Entry) -> Option<Step> {
    let values = values_to_restore(seen, entry);
    if values.is_empty() {
        return None;
    }
    let names: Vec<&str> = values.keys().map(String::as_str).collect();
    let what = format!("put back {}", names.join(", "));
    let op = Op::of(Act::Restore).writing(values.clone());
    let mut step = step(address, NAME, Verb::Update, Stage::RemoveFeedback, &what, op);
    step.reason = "it existed before this stack".into();
    if address == NAME {
        step.danger = Some("the receiver gets the same events as before this stack".into());
        let endpoint = values.get("endpoint").and_then(Json::as_str);
        // If the endpoint alone is put back, the status stays as it is.
        let stays = || endpoint.and_then(|_| seen.attrs.get("status")?.as_str());
        let status = values.get("status").and_then(Json::as_str).or_else(stays);
        step.effects = status.map(|status| feedback(address, status, endpoint)).unwrap_or_default();
    }
    Some(step)
}

/// The values to put back, of the fields that this stack wrote. Null removes a value.
fn values_to_restore(seen: &Seen, entry: &Entry) -> BTreeMap<String, Json> {
    let there = |key: &str| match seen.attrs.get(key) {
        Some(Value::Known(json)) => json.clone(),
        Some(_) => json!("(secret)"),
        None if key.starts_with("pii_config.") => json!([]),
        None => Json::Null,
    };
    let ours = |key: &str| entry.fields.contains_key(key);
    let mut back: BTreeMap<String, Json> = entry
        .restore
        .iter()
        .filter(|(key, old)| ours(key) && there(key) != **old)
        .map(|(key, old)| (key.clone(), old.clone()))
        .collect();
    let names = entry.restore.get(HEADERS).and_then(Json::as_array);
    for key in seen.attrs.keys().filter(|key| ours(key)) {
        if let (Some(name), Some(names)) = (header(key), names)
            && !names.iter().any(|known| known == name)
        {
            back.insert(key.clone(), Json::Null);
        }
    }
    // The former endpoint is not put back if a secret of ours stays in the stream: the former receiver must not get that
    // secret. A secret that the stream did not have before does not stay, because the same write removes it.
    let is_secret = |key: &str| matches!(seen.attrs.get(key), Some(Value::Secret(_)));
    if seen.attrs.keys().any(|key| is_secret(key) && ours(key) && !back.contains_key(key)) {
        back.remove("endpoint");
    }
    back
}

/// The observed attributes, changed by the values that the step puts back.
pub(super) fn with_restored(attrs: &Attrs, op: &Op) -> Attrs {
    let mut whole = attrs.clone();
    for (key, value) in op.values.iter().flatten() {
        match value {
            Json::Null => drop(whole.remove(key)),
            value => drop(whole.insert(key.clone(), Value::Known(value.clone()))),
        }
    }
    whole
}

/// Whether the stream has the values that the step puts back.
pub(super) fn is_back(seen: &Seen, op: &Op) -> bool {
    op.values.iter().flatten().all(|(key, value)| match (seen.attrs.get(key), value) {
        (None, Json::Null) => true,
        (None, Json::Array(items)) => items.is_empty(),
        (there, value) => there.and_then(Value::known) == Some(value),
    })
}

/// Whether the stream has a wanted value. If the wanted value is a generated secret, any secret counts. An empty list
/// reads back as absent.
pub(super) fn has_value(wanted: &Value, seen: Option<&Value>) -> bool {
    match (wanted, seen) {
        (Value::Generated(_), Some(Value::Secret(_))) => true,
        (wanted, Some(seen)) => wanted == seen,
        (Value::Known(wanted), None) => wanted.as_array().is_some_and(Vec::is_empty),
        (_, None) => false,
    }
}

//! Further log streams of the tenant, for example for a SIEM. Each has a name in the manifest. They carry no feedback,
//! so they may have settings that would break the feedback. `log_stream` reads and writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::said::streams::{self, FURTHER_PATH, STREAM};
use super::{Resource, stream_endpoint};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::field::{Type, flat};
use crate::model::manifest::Manifest;
use crate::model::value::{Attrs, Value};

/// The manifest key of the only managed type of stream. It leaves room for the keys of other types.
const HTTP: &str = "http.";

/// The attributes of each stream, by its name in the manifest.
fn by_name(manifest: &Manifest) -> BTreeMap<&str, Attrs> {
    let mut streams: BTreeMap<&str, Attrs> = BTreeMap::new();
    for (key, value) in manifest.section(FURTHER_PATH).into_iter().flatten() {
        if let Some((name, field)) = key.strip_prefix(HTTP).and_then(|rest| rest.split_once('.')) {
            streams.entry(name).or_default().insert(field.to_owned(), value.clone());
        }
    }
    streams
}

/// The stream's name on the tenant: the key `name`, or the default.
fn remote_name(name: &str, attrs: &Attrs, stack: &str) -> Value {
    attrs.get("name").cloned().unwrap_or_else(|| Value::text(format!("Lockstep {name} ({stack})")))
}

/// The streams that the manifest declares.
pub(super) fn declare(manifest: &Manifest) -> Vec<Resource> {
    by_name(manifest)
        .into_iter()
        .map(|(name, mut desired)| {
            desired.remove("start_from");
            desired.insert("name".into(), remote_name(name, &desired, &manifest.stack));
            Resource { address: Address::named(streams::NAME, name), kind: streams::NAME, desired }
        })
        .collect()
}

/// The time from which the stream at that address replays events.
pub(super) fn start_from<'a>(manifest: &'a Manifest, address: &Address) -> Option<&'a str> {
    match address.name() {
        Some(name) => manifest.text(FURTHER_PATH, &format!("{HTTP}{name}.start_from")),
        None => manifest.text(streams::SECTION_PATH, "start_from"),
    }
}

/// Whether a stream has an attribute of this name.
fn is_stream_key(key: &str) -> bool {
    flat(STREAM).iter().any(|(field, table)| match table.ty {
        Type::Map { .. } => key.strip_prefix(field.as_str()).is_some_and(|rest| rest.starts_with('.')),
        _ => field == key,
    })
}

/// Checks beyond single fields. `feedback`: the name of the feedback's stream, if that stream is declared and its name
/// is known.
pub(super) fn check(manifest: &Manifest, feedback: Option<&str>, out: &mut Vec<Problem>) {
    let mut names: BTreeSet<String> = feedback.map(str::to_owned).into_iter().collect();
    for (name, attrs) in by_name(manifest) {
        let at = |key: &str| format!("{FURTHER_PATH}.{HTTP}{name}.{key}");
        let plain = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        // A dot splits the name: the rest of the name then stands in front of the key, and no stream has such a key.
        let parted = attrs.keys().any(|key| !is_stream_key(key));
        if parted || !plain(name) {
            out.push(
                Problem::error(
                    codes::BAD_TEXT,
                    format!("{FURTHER_PATH}.http.{name}"),
                    format!("{name:?} cannot be used as a stream's key"),
                    "a key has letters, digits, - and _ only",
                    "choose another key; set `name` for the name on the tenant",
                )
                .at_key(),
            );
            continue;
        }
        if let Some(remote) = remote_name(name, &attrs, &manifest.stack).as_str()
            && !names.insert(remote.to_owned())
        {
            out.push(Problem::error(
                codes::CONFLICT,
                at("name"),
                "two log streams have the same name",
                format!("a stream is found by its name, and {remote:?} is taken"),
                "give each its own name",
            ));
        }
        if let Some(endpoint) = attrs.get("endpoint") {
            stream_endpoint::unreachable(&at("endpoint"), endpoint, out);
        }
        let filters = manifest.set(FURTHER_PATH, &format!("{HTTP}{name}.filters"));
        unknown_filters(&at("filters"), &filters, out);
        if attrs.get("is_priority") == Some(&Value::Known(json!(true))) {
            let title = "a prioritized stream carries a few security events only";
            let reason = format!("these: {}", PRIORITY_EVENTS.join(", "));
            let help = "remove is_priority if the receiver needs other events";
            out.push(Problem::error(codes::UNSAFE, at("is_priority"), title, reason, help).warning());
        }
    }
}

/// The events that a prioritized stream carries ("Auth0 docs, prioritized log streams", 2026-08).
const PRIORITY_EVENTS: &[&str] = &[
    "limit_mu",
    "limit_sul",
    "limit_wc",
    "pwd_leak",
    "ublkdu",
    "signup_pwd_leak",
    "reset_pwd_leak",
    "gd_send_sms",
];

/// The categories of events that this program knows ("Auth0 Management API types", log stream filters, 2026-08).
const CATEGORIES: &[&str] = &[
    "auth.ancillary.fail",
    "auth.ancillary.success",
    "auth.login.fail",
    "auth.login.notification",
    "auth.login.success",
    "auth.logout.fail",
    "auth.logout.success",
    "auth.signup.fail",
    "auth.signup.success",
    "auth.silent_auth.fail",
    "auth.silent_auth.success",
    "auth.token_exchange.fail",
    "auth.token_exchange.success",
    "management.fail",
    "management.success",
    "scim.event",
    "system.notification",
    "user.fail",
    "user.notification",
    "user.success",
    "actions",
    "other",
];

/// Warns of categories that this program does not know. They are no errors, because the vendor's list grows.
pub(super) fn unknown_filters(path: &str, filters: &[String], out: &mut Vec<Problem>) {
    let unknown: Vec<&str> =
        filters.iter().map(String::as_str).filter(|name| !CATEGORIES.contains(name)).collect();
    if !unknown.is_empty() {
        let title = "unknown event category";
        let reason = format!("not known: {}", unknown.join(", "));
        let help = format!("the known ones are {}", CATEGORIES.join(", "));
        out.push(Problem::error(codes::NOT_ALLOWED, path, title, reason, help).warning());
    }
}

//! Replies for a rehearsal: as far as the steps behind a write need them, with ids that nobody has.

use ring::digest;
use serde_json::{Map, Value as Json, json};

use crate::model::call::{Api, Body, Write};
use crate::model::random::hex;

/// Collections of the APIs: the last part of a path, how the SIDs of its objects begin, and what such an id is called
/// among the outputs. An id of Auth0 has no prefix.
const COLLECTIONS: [(&str, &str, &str); 9] = [
    ("Environments", "ZE", "environment"),
    ("Functions", "ZH", "function"),
    ("Versions", "ZN", "version"),
    ("Builds", "ZB", "build"),
    ("Variables", "ZV", "variable"),
    ("Deployments", "ZD", "deployment"),
    ("RateLimits", "RK", "sid"),
    ("Buckets", "BL", "bucket"),
    ("Services", "", ""),
];

/// What a write would bring: a reply, the id in it, and what that id is called.
pub struct MadeUp {
    pub reply: Json,
    pub id: String,
    pub name: &'static str,
}

/// The reply to a write, which is never sent: what it sends, over what was there, with an id.
pub fn reply(write: &Write, there: Option<&Json>, number: usize) -> MadeUp {
    let digits =
        hex(&digest::digest(&digest::SHA256, format!("rehearsal {number}").as_bytes()).as_ref()[..16]);
    let last = write.path.rsplit('/').next().unwrap_or_default();
    let known = COLLECTIONS.iter().find(|(collection, ..)| *collection == last);
    let (prefix, name) = match (write.api, known) {
        (Api::Auth0, _) if last == "clients" => ("", "client_id"),
        (Api::Auth0, _) => ("", "id"),
        (Api::Verify, Some(("Services", ..))) => ("VA", "sid"),
        (_, Some(("Services", ..))) => ("ZS", "service"),
        (_, Some((_, prefix, name))) => (*prefix, *name),
        (_, None) => ("", "sid"),
    };
    let id = format!("{prefix}{digits}");
    let mut members: Map<String, Json> = there.and_then(Json::as_object).cloned().unwrap_or_default();
    if let Body::Json(Json::Object(sent)) = &write.body {
        members.extend(sent.clone());
    }
    if let Body::Form(pairs) = &write.body {
        members.extend(pairs.iter().map(|(name, value)| (snake(name), json!(value))));
    }
    let is_build = last == "Builds";
    let more = [
        ("id", json!(id)),
        ("client_id", json!(id)),
        ("sid", json!(id)),
        ("domain_name", json!(format!("{digits}.twil.io"))),
        ("status", json!(if is_build { "completed" } else { "built" })),
    ];
    for (key, value) in more {
        members.entry(key).or_insert(value);
    }
    MadeUp { reply: Json::Object(members), id, name }
}

/// `FriendlyName` as a reply spells it: `friendly_name`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for ch in name.chars() {
        if ch.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('.') {
            out.push('_');
        }
        out.push(ch.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::api::Method;
    use crate::model::call::Repeat;

    #[test]
    fn a_reply_shows_what_was_sent_and_an_id_of_its_kind() {
        let pairs = vec![("FriendlyName".to_owned(), "Acme".to_owned())];
        let write = |api, path: &str, body| Write {
            api,
            method: Method::Post,
            path: path.into(),
            body,
            repeat: Repeat::NeverBlind,
        };
        let made = reply(&write(Api::Verify, "/v2/Services", Body::Form(pairs)), None, 1);
        assert_eq!((&made.reply["friendly_name"], made.name), (&json!("Acme"), "sid"));
        assert!(made.id.starts_with("VA") && made.id.len() == 34, "{}", made.id);
        let there = json!({ "id": "act_1", "code": "old", "name": "x" });
        let body = Body::Json(json!({ "code": "new" }));
        let made = reply(&write(Api::Auth0, "/api/v2/actions/actions/act_1", body), Some(&there), 2);
        assert_eq!((&made.reply["code"], &made.reply["name"]), (&json!("new"), &json!("x")));
        assert_eq!(made.reply["id"], "act_1");
    }
}

//! Actions as the API writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::Trigger;
use super::rows::RUNTIMES;
use crate::kinds::{Run, Seen, entries, text};
use crate::model::call::{Api, Failed, Get, Paging};
use crate::model::value::{Attrs, Value};

/// Member of [`Seen::raw`]: the modules that the draft or the version that runs uses. An entry of the record keeps under the same
/// name those that were there before a takeover.
pub(super) const MODULES: &str = "modules";

/// The one call that lists Actions; at most 100 exist in a tenant.
pub fn list() -> Get {
    Get {
        api: Api::Auth0,
        path: "/api/v2/actions/actions".into(),
        paging: Paging::Offset { key: "actions", per_page: 100 },
    }
}

/// The Actions of a list reply.
///
/// # Errors
/// It is no list of Actions with their ids and names.
pub fn items(list: &Json) -> Result<&[Json], Failed> {
    entries(list.get("actions"), &["/id", "/name"], "GET /api/v2/actions/actions")
}

/// Whether an Action is for that trigger.
pub fn has_trigger(action: &Json, trigger: &str) -> bool {
    action["supported_triggers"]
        .as_array()
        .is_some_and(|triggers| triggers.iter().any(|t| text(t, "id") == trigger))
}

pub fn one(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"))
}

/// Whether a draft can be what a step wrote: nothing of it is otherwise, and every secret that was sent has another mark
/// than before. Somebody else may have changed the Action in the meantime, so its own time proves nothing.
pub(super) fn is_draft_of(
    draft: &Seen,
    run: &Run<'_>,
    tolerates: impl Fn(&str, &Value, &Value) -> bool,
) -> bool {
    let sent = |field: &str| field == "code" || field == "runtime" || field.starts_with("dependencies.");
    let as_sent = |(field, wanted): (&String, &Value)| {
        let there = draft.attrs.get(field);
        !sent(field) || there.is_some_and(|there| there == wanted || tolerates(field, wanted, there))
    };
    let wanted = |field: &String| run.desired.contains_key(field);
    let is_secret = |field: &&String| field.starts_with("secrets.");
    let renewed =
        |field: &String| draft.attrs.get(field).map(draft_mark) != run.seen.attrs.get(field).map(draft_mark);
    run.desired.iter().all(as_sent)
        && draft.attrs.keys().filter(|field| field.starts_with("dependencies.")).all(wanted)
        && (run.step.op["secrets"] != json!(true)
            || draft.attrs.keys().filter(is_secret).all(wanted)
                && run
                    .desired
                    .keys()
                    .filter(is_secret)
                    .all(|field| draft.attrs.contains_key(field) && renewed(field)))
}

/// The mark of a secret in the draft.
fn draft_mark(value: &Value) -> &Json {
    match value {
        Value::Stamp(stamp) => &stamp["draft"],
        _ => &Json::Null,
    }
}

pub(super) fn needs_deploy(seen: &Seen) -> bool {
    seen.exists && seen.attrs.get("deployed") != Some(&Value::Known(json!(true)))
}

/// The name among the attributes, empty when there is none.
pub(super) fn name_of(attrs: &Attrs) -> &str {
    attrs.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The name that an Action gets while the one whose place it takes still has the wanted name.
pub(super) fn beside(wanted: &str) -> String {
    format!("{wanted} (unified)")
}

/// Whether an Action of that name is the one that is wanted under `wanted`.
pub(super) fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name == beside(wanted)
}

/// The observed Action under the name that it is wanted by, so that the longer one is no difference.
pub(super) fn named_as(mut seen: Seen, wanted: &str) -> Seen {
    if name_of(&seen.attrs) == beside(wanted) {
        seen.attrs.insert("name".into(), Value::text(wanted));
    }
    seen
}

/// The body of a create (with its trigger) or of an update, for which a new name is added by the caller.
pub(super) fn body(desired: &Attrs, create: Option<&Trigger>, with_secrets: bool) -> Json {
    let part = |prefix: &str, name: &str, value: &str| -> Vec<Json> {
        desired
            .iter()
            .filter_map(|(key, held)| {
                let inner = key.strip_prefix(prefix)?;
                let text = match held {
                    Value::Secret(secret) => secret.expose(),
                    Value::Known(json) => json.as_str()?,
                    _ => return None,
                };
                Some(json!({ name: inner, value: text }))
            })
            .collect()
    };
    let mut body = json!({ "code": desired.get("code").and_then(Value::as_str).unwrap_or_default() });
    if let Some(trigger) = create {
        body["name"] = json!(name_of(desired));
        body["supported_triggers"] = json!([{ "id": trigger.id, "version": trigger.version }]);
    }
    if let Some(runtime) = desired.get("runtime").and_then(Value::as_str) {
        body["runtime"] = json!(RUNTIMES.theirs(runtime));
    }
    body["dependencies"] = json!(part("dependencies.", "name", "version"));
    if with_secrets {
        body["secrets"] = json!(part("secrets.", "name", "value"));
    }
    body
}

/// Reads an Action in any reply. Fields are the draft's; `deployed` says whether the draft is what runs.
pub fn parse(action: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("id".into(), text(action, "id").to_owned());
    let live = action.get("deployed_version").filter(|version| version.is_object());
    let live_attrs = live.map(attrs_of).unwrap_or_default();
    let mut attrs = attrs_of(action);
    // A secret is as it was applied only if neither the draft's nor the live version's mark has moved.
    for (key, value) in &mut attrs {
        if let Value::Stamp(draft) = value {
            let live = match live_attrs.get(key) {
                Some(Value::Stamp(stamp)) => stamp.clone(),
                _ => Json::Null,
            };
            *value = Value::Stamp(json!({ "draft": draft, "live": live }));
        }
    }
    let deployed = live.is_some() && action.get("all_changes_deployed") == Some(&json!(true));
    attrs.insert("name".into(), Value::text(text(action, "name")));
    attrs.insert("deployed".into(), Value::Known(json!(deployed)));
    seen.attrs = attrs;
    seen.raw = json!({
        "status": text(action, "status"),
        "updated_at": text(action, "updated_at"),
        "deployed_version": live.map(|version| text(version, "id")).unwrap_or_default(),
        MODULES: modules(action).chain(live.into_iter().flat_map(modules)).collect::<BTreeSet<_>>(),
    });
    seen
}

/// Names of the modules of a draft or a version; the id where the reply has no name.
fn modules(part: &Json) -> impl Iterator<Item = &str> {
    let name = |module| Some(text(module, "module_name")).filter(|name| !name.is_empty());
    let modules = part["modules"].as_array().into_iter().flatten();
    modules.map(move |module| name(module).unwrap_or_else(|| text(module, "module_id")))
}

fn attrs_of(part: &Json) -> Attrs {
    let mut attrs: Attrs = BTreeMap::new();
    attrs.insert("code".into(), Value::text(text(part, "code").replace("\r\n", "\n")));
    attrs.insert("runtime".into(), Value::text(RUNTIMES.ours(text(part, "runtime"))));
    for item in part["dependencies"].as_array().into_iter().flatten() {
        attrs.insert(format!("dependencies.{}", text(item, "name")), Value::text(text(item, "version")));
    }
    for item in part["secrets"].as_array().into_iter().flatten() {
        attrs
            .insert(format!("secrets.{}", text(item, "name")), Value::Stamp(json!(text(item, "updated_at"))));
    }
    attrs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::step;
    use crate::model::manifest::Manifest;
    use crate::model::plan::{Stage, Verb};

    fn draft(code: &str, version: &str, secrets: &[(&str, &str)]) -> Seen {
        let secrets: Vec<Json> =
            secrets.iter().map(|(name, at)| json!({ "name": name, "updated_at": at })).collect();
        parse(&json!({ "id": "a-1", "name": "x", "code": code, "runtime": "node22",
            "dependencies": [{ "name": "twilio", "version": version }], "secrets": secrets }))
    }

    #[test]
    fn a_draft_of_others_is_not_taken_for_ours() {
        let before = draft("old", "6.2.0", &[("S", "1"), ("T", "1")]);
        let desired: Attrs = [
            ("code", Value::text("new")),
            ("runtime", Value::text("node22")),
            ("dependencies.twilio", Value::text("6.2.0")),
            ("secrets.S", Value::text("s")),
            ("secrets.T", Value::text("t")),
        ]
        .map(|(field, value)| (field.to_owned(), value))
        .into();
        let op = json!({ "do": "draft", "secrets": true });
        let step = step("action", "action", Verb::Update, Stage::Draft, "write", op);
        let run = Run {
            address: "action",
            step: &step,
            desired: &desired,
            seen: &before,
            entry: None,
            ids: &BTreeMap::new(),
            manifest: &Manifest { stack: "acme".into(), sections: BTreeMap::new() },
            intent: None,
        };
        for (what, found, is_ours) in [
            ("ours", draft("new", "6.2.0", &[("S", "2"), ("T", "2")]), true),
            ("other code", draft("theirs", "6.2.0", &[("S", "2"), ("T", "2")]), false),
            ("another version", draft("new", "6.2.1", &[("S", "2"), ("T", "2")]), false),
            ("a secret that was not sent", draft("new", "6.2.0", &[("S", "2"), ("T", "1")]), false),
            ("a secret too many", draft("new", "6.2.0", &[("S", "2"), ("T", "2"), ("U", "2")]), false),
            ("a secret too few", draft("new", "6.2.0", &[("S", "2")]), false),
        ] {
            assert_eq!(is_draft_of(&found, &run, |_, _, _| false), is_ours, "{what}");
        }
    }
}

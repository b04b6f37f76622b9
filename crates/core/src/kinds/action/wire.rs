//! Actions as the API writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::Trigger;
use super::former::{Content, Former, content, told_at};
use super::rows::RUNTIMES;
use crate::kinds::{Run, Seen, entries, text};
use crate::model::call::{Api, Failed, Get, Paging};
use crate::model::value::{Attrs, Value};

/// Field of what is put back: the modules that were there before a takeover.
pub(super) const MODULES: &str = "modules";

/// What an Action has beside its fields.
#[derive(Clone, Default)]
pub(super) struct Own {
    /// State of the draft's build.
    pub(super) status: String,
    pub(super) updated_at: String,
    /// Id of the version that runs; empty: none does.
    pub(super) version: String,
    /// What that version is made of, and when it was told its secrets.
    pub(super) live: Option<Content>,
    pub(super) live_told: Option<Vec<String>>,
    pub(super) live_verifies: bool,
    /// Modules that the draft or the version that runs uses.
    pub(super) modules: BTreeSet<String>,
    pub(super) on_trigger: bool,
    /// The version that ran before this stack, where it has to come back.
    pub(super) former: Option<Former>,
    /// The Action whose place this one takes has the wanted name still.
    pub(super) name_taken: bool,
    /// Name and id of the only Action of that name, which is on another trigger.
    pub(super) elsewhere: Option<(String, String)>,
    /// Secrets that only the tenant has.
    pub(super) foreign_secrets: Vec<String>,
}

pub(super) fn own(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

/// Id of the version of an Action that runs, empty where none does. `None`: no Action is there.
pub fn live_version(seen: &Seen) -> Option<String> {
    seen.own::<Own>().map(|own| own.version.clone())
}

/// State of the build of an Action's draft.
pub fn status(seen: &Seen) -> String {
    own(seen).status.clone()
}

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
    secrets: bool,
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
        && (!secrets
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
    let modules = modules(action).chain(live.into_iter().flat_map(modules)).map(str::to_owned).collect();
    seen.keep(|own: &mut Own| {
        *own = Own {
            status: text(action, "status").to_owned(),
            updated_at: text(action, "updated_at").to_owned(),
            version: live.map(|version| text(version, "id").to_owned()).unwrap_or_default(),
            live: live.map(content),
            live_told: live.and_then(told_at),
            live_verifies: live.is_some_and(super::verifies),
            modules,
            ..Own::default()
        }
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
    use crate::model::plan::{Op, Stage, Verb};

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
        let step = step("action", "action", Verb::Update, Stage::Draft, "write", Op::default());
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
            assert_eq!(is_draft_of(&found, &run, true, |_, _, _| false), is_ours, "{what}");
        }
    }
}

//! Actions in the API's JSON: how they are read and sent.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::version::{Content, Earlier, Former, content};
use crate::kinds::remote::versions::{secret_dates, verifies};
use crate::kinds::said::actions::{Trigger, interim_name};
use crate::kinds::{Run, Seen, text};
use crate::model::field::Releases;
use crate::model::value::{Attrs, Value};

/// The runtimes of Actions ("Auth0 docs, Actions triggers", 2026-08). The retired ones ended on 2025-08-15.
pub(super) static RUNTIMES: Releases = Releases {
    known: &["node22", "node18"],
    spelled: &[("node18", "node18-actions")],
    retired: &["node12", "node16"],
};

/// Key in an entry's `restore`: the modules that the Action had before this stack took it over.
pub(super) const MODULES: &str = "modules";

/// What is known of an Action besides its fields.
#[derive(Clone, Default)]
pub(super) struct Own {
    /// State of the draft's build.
    pub(super) status: String,
    pub(super) updated_at: String,
    /// Id of the running version; empty if none runs.
    pub(super) version: String,
    /// Time at which the running version was made.
    pub(super) version_at: String,
    /// Content of the running version.
    pub(super) live: Option<Content>,
    /// The dates that [`secret_dates`] returns for the running version.
    pub(super) live_secret_dates: Option<Vec<String>>,
    /// Whether the running version has the SID of a Verify service.
    pub(super) live_verifies: bool,
    /// Names of the modules that the draft or the running version uses.
    pub(super) modules: BTreeSet<String>,
    /// Whether the Action is on the trigger of its row.
    pub(super) on_trigger: bool,
    /// The version that ran before this stack, if it is to come back.
    pub(super) former: Option<Former>,
    /// The version that ran before the last run, if a rollback looks at it and Auth0 still has it.
    pub(super) earlier: Option<Earlier>,
    /// Whether the Action whose place this one takes still has the wanted name.
    pub(super) name_taken: bool,
    /// Name and id of the only Action of the wanted name, if it is on another trigger.
    pub(super) elsewhere: Option<(String, String)>,
    /// Names of secrets that only the tenant has.
    pub(super) foreign_secrets: Vec<String>,
}

pub(super) fn own_state(seen: &Seen) -> Rc<Own> {
    seen.own().unwrap_or_default()
}

/// Id of an Action's running version; empty if none runs. `None`: nothing is known of an Action.
pub fn live_version(seen: &Seen) -> Option<String> {
    seen.own::<Own>().map(|own| own.version.clone())
}

/// The running version of an Action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub action: String,
    pub version: String,
    /// Time at which the version was made, as Auth0 writes it.
    pub since: String,
}

/// The running version; `None`: nothing runs.
pub fn running(seen: &Seen) -> Option<Running> {
    let own = seen.own::<Own>().filter(|own| seen.exists && !own.version.is_empty())?;
    let action = seen.ids.get("id").cloned().unwrap_or_default();
    Some(Running { action, version: own.version.clone(), since: own.version_at.clone() })
}

/// State of the build of an Action's draft.
pub fn status(seen: &Seen) -> String {
    own_state(seen).status.clone()
}

/// Whether a draft can be the one that a step wrote: it has all values that were sent, and each secret that was sent
/// has another mark than before. The Action's own time of change proves nothing, because somebody else may have changed
/// the Action meanwhile.
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

/// The mark of a secret in the draft: the time of its last write.
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

/// Gives the observed Action its wanted name if it has the longer one of [`interim_name`], so that this is no
/// difference.
pub(super) fn named_as(mut seen: Seen, wanted: &str) -> Seen {
    if name_of(&seen.attrs) == interim_name(wanted) {
        seen.attrs.insert("name".into(), Value::text(wanted));
    }
    seen
}

/// The body of a create (with a trigger) or of an update (without). The caller adds a new name to an update.
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

/// Reads an Action from any reply. The fields are the draft's; `deployed` says whether the draft is what runs.
pub fn parse(action: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("id".into(), text(action, "id").to_owned());
    let live = action.get("deployed_version").filter(|version| version.is_object());
    let live_attrs = live.map(attrs_of).unwrap_or_default();
    let mut attrs = attrs_of(action);
    // A secret keeps its mark in the draft and its mark in the running version, because a write may show in either.
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
            version_at: live.map(|version| text(version, "created_at").to_owned()).unwrap_or_default(),
            live: live.map(content),
            live_secret_dates: live.and_then(secret_dates),
            live_verifies: live.is_some_and(verifies),
            modules,
            ..Own::default()
        }
    });
    seen
}

/// Names of the modules of a draft or a version. A module without a name in the reply is given by its id.
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
        let step = step(&"action".into(), "action", Verb::Update, Stage::Draft, "write", Op::default());
        let run = Run {
            address: &"action".into(),
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

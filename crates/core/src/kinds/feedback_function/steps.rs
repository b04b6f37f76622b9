//! The steps that lead from the observed Function to the wanted one, and the steps that remove it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::act::{Act, Former, own_state};
use super::wire;
use crate::kinds::said::function::{CURRENT, NAME, PREVIOUS, URL_TO_COME, environment_name, unique_name};
use crate::kinds::{Diff, Seen, added, step};
use crate::model::address::Address;
use crate::model::facts::{Fact, Facts, FunctionState};
use crate::model::ledger::{Entry, Ownership};
use crate::model::plan::{Finding, Op, Stage, Step, Verb};
use crate::model::value::Value;

/// Fields of a version: a change of one needs an upload and a build.
const VERSION_FIELDS: [&str; 3] = ["code", "path", "visibility"];
/// Settings of the service: a change of one needs no build.
const SERVICE_FIELDS: [&str; 3] = ["friendly_name", "include_credentials", "ui_editable"];

/// What is known of the Function that serves. Nothing is said of a service that is to replace a former one, because the
/// former one still serves.
pub(super) fn facts(seen: &Seen) -> Facts {
    if seen.not_read || own_state(seen).former.is_some() {
        return Facts::new();
    }
    let state = match (seen.exists, seen.attrs.get("deployed")) {
        (false, _) => Some(FunctionState::Absent),
        (true, Some(Value::Known(Json::Bool(true)))) => Some(FunctionState::Deployed),
        (true, Some(_)) => Some(FunctionState::Undeployed),
        // A Function that is to be removed is read without `deployed`, and it may well serve.
        (true, None) => None,
    };
    let url = seen.ids.get("url").map(|url| Fact::FunctionUrl(url.clone()));
    state.map(Fact::Function).into_iter().chain(url).collect()
}

pub(super) fn steps(diff: &Diff<'_>) -> Vec<Step> {
    let seen = diff.seen;
    let changed = |field: &str| diff.changes.iter().any(|change| change.field == field);
    let has = |id: &str| seen.ids.get(id).is_some_and(|id| !id.is_empty());
    let own = own_state(seen);
    let former = own.former.is_some();
    let verb = match (former, seen.exists) {
        (true, _) => Verb::Replace,
        (false, true) => Verb::Update,
        (false, false) => Verb::Create,
    };
    let mut steps = Vec::new();
    let mut add = |what: &str, reason: &str, act: Act| {
        let mut step = diff.step(verb, Stage::Feedback, what, Op::of(act));
        step.reason = reason.to_owned();
        steps.push(step);
    };

    if !seen.exists {
        let reason = match (former, diff.entry.is_some()) {
            (true, _) => "the unique name has changed; the URL changes too, and the stream is updated to it",
            (false, true) => {
                "it was deleted outside; a new one has another URL, and the stream is updated to it"
            }
            (false, false) => "it does not exist",
        };
        let name = unique_name(diff.manifest);
        let reason = format!("{reason}; the unique name is {name}");
        add("create the service", &reason, Act::Service { unique_name: name });
    } else if SERVICE_FIELDS.iter().any(|field| changed(field)) {
        let names: Vec<&str> = SERVICE_FIELDS.into_iter().filter(|field| changed(field)).collect();
        add("update the service", &differ(&names), Act::Settings);
    }
    if !has("environment") {
        let reason = match diff.entry.and_then(|entry| entry.ids.get("environment")) {
            Some(_) if seen.exists => {
                "the one on record is gone; a new one has another URL, and the stream is updated to it"
            }
            _ => "the Function's URL comes from it",
        };
        let name = environment_name(diff.manifest);
        let reason = format!("{reason}; the unique name is {name}");
        add("create the environment", &reason, Act::Environment { unique_name: name.to_owned() });
    }
    if !has("function") {
        add("create the Function", "it does not exist", Act::Function);
    }
    let packages = |field: &str| field.starts_with("dependencies.");
    let built: Vec<&str> = diff
        .changes
        .iter()
        .map(|change| change.field.as_str())
        .filter(|field| {
            VERSION_FIELDS.contains(field) || *field == "runtime" || packages(field) || *field == "deployed"
        })
        .collect();
    let deploys = !built.is_empty();
    let why = if has("version") { differ(&built) } else { "nothing is deployed yet".to_owned() };
    if deploys {
        let source = VERSION_FIELDS.iter().any(|field| changed(field));
        if source && own.ready_version.is_empty() {
            add("upload the code", &why, Act::Upload);
        }
        if own.ready_build.is_empty() {
            add("build the Function", &why, Act::Build);
        }
    }
    // Variables take effect at once. They are set before the deployment, because the new code needs them.
    let current = format!("variables.{CURRENT}");
    let previous = format!("variables.{PREVIOUS}");
    let rotates = changed(&current) && stream_may_send(diff, &current);
    if rotates {
        let reason = "the stream sends the former secret until it is updated";
        add("accept the former secret too", reason, Act::Previous);
    }
    for change in diff.changes.iter().filter(|change| change.new.is_some()) {
        if let Some(key) = change.field.strip_prefix("variables.") {
            let reason = if change.old.is_some() { "its value differs" } else { "it is not set" };
            let act = Act::Variable { key: key.to_owned() };
            add(&format!("set the variable {key}"), reason, act);
        }
    }
    if deploys {
        add("deploy", &why, Act::Deploy);
    }

    if let Some(first) = steps.first_mut().filter(|_| !seen.exists) {
        // Only the first step is marked: it creates the service, whose name Twilio keeps unique. The objects below the
        // service are found by name within it.
        first.creates = true;
    }
    if let Some(last) = steps.last_mut().filter(|_| deploys) {
        let url = seen.ids.get("url").map_or(URL_TO_COME, String::as_str);
        last.effects =
            Facts::from([Fact::Function(FunctionState::Deployed), Fact::FunctionUrl(url.to_owned())]);
    }
    if changed("include_credentials")
        && let Some(step) = steps.iter_mut().find(|step| matches!(step.op.act(), Ok(Act::Settings)))
        && !own.others.functions.is_empty()
    {
        step.danger = Some("other Functions of this service lose the account's own credentials".into());
    }

    let mut gone: Vec<&str> = diff
        .changes
        .iter()
        .filter(|change| change.new.is_none())
        .filter_map(|change| change.field.strip_prefix("variables."))
        .collect();
    if rotates && !changed(&previous) {
        gone.push(PREVIOUS);
    }
    for key in gone {
        let what = format!("remove the variable {key}");
        // Removed after the stream has changed, and after the code that read the variable was replaced.
        let op = Op::of(Act::Forget { key: key.to_owned() });
        let mut step = diff.step(verb, Stage::RemoveFunction, &what, op);
        step.reason = match key {
            PREVIOUS => "nothing sends the former secret any more".into(),
            _ => "the manifest does not name it any more".into(),
        };
        steps.push(step);
    }
    if let Some(Former { service: sid, unique_name: name }) = &own.former {
        let op = Op::of(Act::Former { service: sid.to_owned() });
        let mut step = diff.step(verb, Stage::RemoveFunction, "delete the former service", op);
        step.reason = format!("the stream now sends to the new service; the former one is {name:?} ({sid})");
        step.danger = Some("its URL never comes back, and everything in it is deleted".into());
        steps.push(step);
    }
    steps
}

/// Reports variables and packages that somebody added beside ours. Packages are looked at only if this stack did not
/// make the build and nobody else has a Function or an asset in it: Twilio itself adds packages to our builds, and in a
/// shared build nobody can tell whose a package is.
pub(super) fn added(diff: &Diff<'_>) -> Vec<Finding> {
    let own = own_state(diff.seen);
    let variables = own.variables.keys().map(String::as_str).filter(|name| *name != PREVIOUS);
    let variables = added::added_names(diff, variables, "variables.", "variables");
    let of_ours = diff.entry.is_none_or(|entry| entry.ids.get("build") == diff.seen.ids.get("build"));
    let packages = own.packages.iter().map(String::as_str).filter(|_| own.others.is_empty() && !of_ours);
    let packages = packages.filter(|name| !wire::ADDED_BY_TWILIO.contains(name));
    let packages = added::added_names(diff, packages, "dependencies.", "packages");
    [
        added::finding(diff.address, "the Function has variables", &variables, "feedback.function.variables"),
        added::finding(
            diff.address,
            "the Function's build has packages",
            &packages,
            "feedback.function.dependencies",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn differ(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "differs" } else { "differ" };
    format!("{} {verb}", names.join(", "))
}

/// Whether the stream still sends the secret that the Function holds. Also true if no such stream is known, because it
/// may have another name. The code must then accept both secrets until the stream has changed.
fn stream_may_send(diff: &Diff<'_>, current: &str) -> bool {
    let sent = diff.all.get("log_stream").and_then(|stream| stream.attrs.get("authorization"));
    diff.seen.attrs.get(current).is_some_and(|held| sent.is_none_or(|sent| sent == held))
}

pub(super) fn removal(address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
    if !seen.exists || seen.ids.get("unique_name") != entry.ids.get("unique_name") {
        return Vec::new();
    }
    if entry.ownership == Ownership::Adopted {
        return put_back(address, seen, entry);
    }
    let op = Op::of(Act::Delete);
    let mut step = step(address, NAME, Verb::Delete, Stage::RemoveFunction, "delete the service", op);
    step.reason = "it was created by this stack".into();
    let also = match own_state(seen).foreign.as_slice() {
        [] => String::new(),
        names => format!(", also what others put there: {}", names.join(", ")),
    };
    step.danger =
        Some(format!("the Function's URL never comes back, and everything in the service is deleted{also}"));
    step.effects = Facts::from([Fact::Function(FunctionState::Absent)]);
    vec![step]
}

/// The steps for an adopted service: its former settings are put back, and the variables that this stack added are
/// removed. What is deployed stays, because undeploying it would take down other people's Functions too.
fn put_back(address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
    let mut steps = Vec::new();
    let values: BTreeMap<String, Json> = entry
        .restore
        .iter()
        .filter(|(key, _)| SERVICE_FIELDS.contains(&key.as_str()))
        .filter(|(key, old)| seen.attrs.get(*key).and_then(Value::known).is_some_and(|now| now != *old))
        .map(|(key, old)| (key.clone(), old.clone()))
        .collect();
    if !values.is_empty() {
        let op = Op::of(Act::Restore).writing(values);
        let what = "put the former settings back";
        let mut step = step(address, NAME, Verb::Update, Stage::RemoveFunction, what, op);
        step.reason = "it existed before this stack".into();
        steps.push(step);
    }
    let before = entry.restore.get("variables").and_then(Json::as_array);
    let was_there = |key: &str| before.is_none_or(|names| names.iter().any(|name| name == key));
    let own = own_state(seen);
    for key in entry.fields.keys().filter_map(|field| field.strip_prefix("variables.")) {
        if own.variables.contains_key(key) && !was_there(key) {
            let op = Op::of(Act::Forget { key: key.to_owned() });
            let what = format!("remove the variable {key}");
            let mut step = step(address, NAME, Verb::Update, Stage::RemoveFunction, &what, op);
            step.reason = "this stack set it".into();
            step.danger =
                Some("the Function stays deployed, but cannot report to Verify without this variable".into());
            step.effects = Facts::from([Fact::Function(FunctionState::Undeployed)]);
            steps.push(step);
        }
    }
    steps
}

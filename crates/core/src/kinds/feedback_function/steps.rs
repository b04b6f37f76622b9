//! Which steps lead from what serves to what is wanted, and what goes away.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::act::{Act, Former, own};
use super::wire;
use crate::kinds::said::function::{CURRENT, NAME, PREVIOUS, URL_TO_COME, environment_name, unique_name};
use crate::kinds::{Diff, Seen, added, step};
use crate::model::facts::{Fact, Facts, FunctionState};
use crate::model::ledger::{Entry, Ownership};
use crate::model::plan::{Finding, Op, Stage, Step, Verb};
use crate::model::value::Value;

/// Fields that need an upload, and those that need a build besides.
const SOURCE: [&str; 3] = ["code", "path", "visibility"];
const SERVICE: [&str; 3] = ["friendly_name", "include_credentials", "ui_editable"];

/// What serves, as far as it is known. A service that takes another's place says nothing: the other one still serves.
pub(super) fn facts(seen: &Seen) -> Facts {
    if seen.not_read || own(seen).former.is_some() {
        return Facts::new();
    }
    let state = match (seen.exists, seen.attrs.get("deployed")) {
        (false, _) => Some(FunctionState::Absent),
        (true, Some(Value::Known(Json::Bool(true)))) => Some(FunctionState::Deployed),
        (true, Some(_)) => Some(FunctionState::Undeployed),
        // On its way out it is not looked at so closely, and what is not known may well serve.
        (true, None) => None,
    };
    let url = seen.ids.get("url").map(|url| Fact::FunctionUrl(url.clone()));
    state.map(Fact::Function).into_iter().chain(url).collect()
}

pub(super) fn steps(diff: &Diff<'_>) -> Vec<Step> {
    let seen = diff.seen;
    let changed = |field: &str| diff.changes.iter().any(|change| change.field == field);
    let has = |id: &str| seen.ids.get(id).is_some_and(|id| !id.is_empty());
    let own = own(seen);
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
            (true, _) => "its unique name is another one, so its URL changes, and the stream follows",
            (false, true) => "it was deleted outside; a new one has another URL, and the stream follows",
            (false, false) => "it does not exist",
        };
        let name = unique_name(diff.manifest);
        let reason = format!("{reason}; its unique name is {name}");
        add("create the service", &reason, Act::Service { unique_name: name });
    } else if SERVICE.iter().any(|field| changed(field)) {
        let names: Vec<&str> = SERVICE.into_iter().filter(|field| changed(field)).collect();
        add("update the service", &differ(&names), Act::Settings);
    }
    if !has("environment") {
        let reason = match diff.entry.and_then(|entry| entry.ids.get("environment")) {
            Some(_) if seen.exists => {
                "the one on record is not there; a new one has another URL, and the stream follows"
            }
            _ => "the Function's URL comes from it",
        };
        let name = environment_name(diff.manifest);
        let reason = format!("{reason}; its unique name is {name}");
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
            SOURCE.contains(field) || *field == "runtime" || packages(field) || *field == "deployed"
        })
        .collect();
    let deploys = !built.is_empty();
    let why = if has("version") { differ(&built) } else { "nothing is deployed yet".to_owned() };
    if deploys {
        let source = SOURCE.iter().any(|field| changed(field));
        if source && own.ready_version.is_empty() {
            add("upload the code", &why, Act::Upload);
        }
        if own.ready_build.is_empty() {
            add("build it", &why, Act::Build);
        }
    }
    // Variables take effect at once, before the new code that needs them.
    let current = format!("variables.{CURRENT}");
    let previous = format!("variables.{PREVIOUS}");
    let rotates = changed(&current) && is_sent(diff, &current);
    if rotates {
        let reason = "the stream still sends it while the new one is on its way";
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
        // The unique name is kept by the server; what hangs below it is found by name within the service.
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
        // After the stream has changed, and after the code that read it.
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
        step.reason =
            format!("the stream sends to {NAME} under its new name; the former is {name:?} ({sid})");
        step.danger = Some("its URL never comes back, and everything in it goes".into());
        steps.push(step);
    }
    steps
}

/// Variables and packages that somebody put beside ours. Packages of a build of ours are what Twilio made of it; beside
/// those of other people's Functions nobody can tell whose they are.
pub(super) fn added(diff: &Diff<'_>) -> Vec<Finding> {
    let own = own(diff.seen);
    let variables = own.variables.keys().map(String::as_str).filter(|name| *name != PREVIOUS);
    let variables = added::since(diff, variables, "variables.", "variables");
    let of_ours = diff.entry.is_none_or(|entry| entry.ids.get("build") == diff.seen.ids.get("build"));
    let packages = own.packages.iter().map(String::as_str).filter(|_| own.others.is_empty() && !of_ours);
    let packages = packages.filter(|name| !wire::BY_ITSELF.contains(name));
    let packages = added::since(diff, packages, "dependencies.", "packages");
    [
        added::told(diff.address, "the Function has variables", &variables, "feedback.function.variables"),
        added::told(
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

/// Whether a stream sends just now what the Function holds, or may do so, since nobody here knows of one (it may have
/// another name): then a change of the one must not come before the other.
fn is_sent(diff: &Diff<'_>, current: &str) -> bool {
    let sent = diff.all.get("log_stream").and_then(|stream| stream.attrs.get("authorization"));
    diff.seen.attrs.get(current).is_some_and(|held| sent.is_none_or(|sent| sent == held))
}

pub(super) fn removal(address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
    if !seen.exists || seen.ids.get("unique_name") != entry.ids.get("unique_name") {
        return Vec::new();
    }
    if entry.ownership == Ownership::Adopted {
        return put_back(address, seen, entry);
    }
    let op = Op::of(Act::Delete);
    let mut step = step(address, NAME, Verb::Delete, Stage::RemoveFunction, "delete the service", op);
    step.reason = "it was created by this stack".into();
    let also = match own(seen).foreign.as_slice() {
        [] => String::new(),
        names => format!(", also what others put there: {}", names.join(", ")),
    };
    step.danger =
        Some(format!("the Function's URL never comes back, and everything in the service goes{also}"));
    step.effects = Facts::from([Fact::Function(FunctionState::Absent)]);
    vec![step]
}

/// A service that was there before: its settings go back and our credentials go; what serves in it stays, because to
/// un-deploy it would take other people's Functions along.
fn put_back(address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
    let mut steps = Vec::new();
    let values: BTreeMap<String, Json> = entry
        .restore
        .iter()
        .filter(|(key, _)| SERVICE.contains(&key.as_str()))
        .filter(|(key, old)| seen.attrs.get(*key).and_then(Value::known).is_some_and(|now| now != *old))
        .map(|(key, old)| (key.clone(), old.clone()))
        .collect();
    if !values.is_empty() {
        let op = Op::of(Act::Restore).writing(values);
        let what = "put the former settings back";
        let mut step = step(address, NAME, Verb::Update, Stage::RemoveFunction, what, op);
        step.reason = "it was there before this stack".into();
        steps.push(step);
    }
    let before = entry.restore.get("variables").and_then(Json::as_array);
    let was_there = |key: &str| before.is_none_or(|names| names.iter().any(|name| name == key));
    let own = own(seen);
    for key in entry.fields.keys().filter_map(|field| field.strip_prefix("variables.")) {
        if own.variables.contains_key(key) && !was_there(key) {
            let op = Op::of(Act::Forget { key: key.to_owned() });
            let what = format!("remove the variable {key}");
            let mut step = step(address, NAME, Verb::Update, Stage::RemoveFunction, &what, op);
            step.reason = "this stack set it".into();
            step.danger = Some("the Function that stays cannot report to Verify without it".into());
            step.effects = Facts::from([Fact::Function(FunctionState::Undeployed)]);
            steps.push(step);
        }
    }
    steps
}

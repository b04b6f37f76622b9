//! Reads the Function: its service, environment, live build, source text and variables.
//!
//! The service contains the environments, an environment has a live build, and so on: each level needs the ids of the
//! level above. With a record, all reads start at once with the recorded ids (`prefetch_recorded`). The levels then use
//! the results that still fit, and read again what has changed. Without a record, the levels are read one after
//! another.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::act::{FUNCTION_NAME, Former, Own, own_state};
use super::wire;
use crate::kinds::identity::{self, Clues};
use crate::kinds::said::function::{PREVIOUS, SECTION_PATH, environment_name, unique_name};
use crate::kinds::{Hint, Seen, Task, Whose, is_sid, text};
use crate::model::call::{Failed, Get};
use crate::model::codes;
use crate::model::ledger::{Entry, Ownership};
use crate::model::plan::Level;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, join_all};

/// An entry for the intent's list of ids: the unique name of the service that a run is about to create. The next run
/// recognises the service by this name.
pub(super) fn intent_name(unique_name: &str) -> String {
    format!("name:{unique_name}")
}

pub(super) async fn observe(hint: Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    let address = hint.address.to_owned();
    let read = if hint.want.is_some() {
        observe_wanted(&hint, reader).await
    } else {
        let mut read = observe_leaving(&hint, reader).await;
        if let Ok(seen) = &mut read {
            seen.attrs.remove("deployed");
        }
        read
    };
    match read {
        Err(failed) if is_forbidden(&failed) => {
            let mut seen = Seen { not_read: true, ..Seen::default() };
            let text = format!("not read: {failed}");
            let help =
                "Twilio has no read-only key for Functions: use a standard key, or the account's token";
            seen.finding(codes::NOT_READ, &address, Level::NotRead, text, help);
            Ok(seen)
        }
        read => read,
    }
}

/// Whether the failure means that the key may not use Twilio Serverless. A restricted key never may ("Twilio docs, API
/// keys", 2025-12).
fn is_forbidden(failed: &Failed) -> bool {
    let key = matches!(failed.code(), Some("20003" | "70051"));
    failed.status() == Some(403) || (failed.status() == Some(401) && key)
}

/// Reads an object; `None` if it does not exist (404).
async fn none_if_missing(reader: &Reader, get: &Get) -> Result<Option<Json>, Failed> {
    match reader.get(get).await {
        Ok(reply) => Ok(Some((*reply).clone())),
        Err(failed) if failed.status() == Some(404) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Checks that the object, if one was found, has a SID.
fn checked_sid(found: Option<Json>) -> Result<Option<Json>, Failed> {
    found.map(|reply| wire::object_with_sid(&reply).cloned()).transpose()
}

fn recorded_id<'a>(entry: Option<&'a Entry>, id: &str) -> &'a str {
    entry.and_then(|entry| entry.ids.get(id)).map(String::as_str).unwrap_or_default()
}

/// Reads what is needed to remove the Function or to put its former state back. This is always the service. If this
/// stack adopted the service, its variables are read too; otherwise the Functions of other people in the service are.
async fn observe_leaving(hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    let sid = recorded_id(hint.entry, "service");
    if !is_sid(sid, "ZS") {
        return Ok(Seen::default());
    }
    let Some(service) = none_if_missing(reader, &wire::read_service(sid)).await? else {
        return Ok(Seen::default());
    };
    let mut seen = of_service(wire::object_with_sid(&service)?);
    let environment = recorded_id(hint.entry, "environment");
    let adopted = hint.entry.is_some_and(|entry| entry.ownership == Ownership::Adopted);
    if adopted && is_sid(environment, "ZE") {
        let get = wire::list_in_service(sid, &format!("Environments/{environment}/Variables"));
        if let Some(list) = none_if_missing(reader, &get).await? {
            seen.ids.insert("environment".into(), environment.into());
            add_variables(&mut seen, wire::entries_with_sids(&list, "variables")?, &|_| true);
        }
    }
    if !adopted {
        // Deleting the service also deletes the Functions of other people in it. The person who confirms the removal is
        // told their names.
        let list = reader.get(&wire::list_in_service(sid, "Functions")).await?;
        let ours = recorded_id(hint.entry, "function");
        let theirs =
            wire::entries_with_sids(&list, "functions")?.iter().filter(|one| text(one, "sid") != ours);
        let names = theirs.map(|one| text(one, "friendly_name").to_owned()).collect();
        seen.keep(|own: &mut Own| own.foreign = names);
    }
    Ok(seen)
}

async fn observe_wanted(hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    // If an unfinished run may have begun to create the Function, and the manifest has lost the section since, the
    // service's name is the one that the run noted in its intent.
    let begun = hint.creating();
    let begun = begun.filter(|_| hint.manifest.section(SECTION_PATH).is_none());
    let begun = begun.and_then(|before| before.iter().find_map(|mark| mark.strip_prefix("name:")));
    let name = begun.map_or_else(|| unique_name(hint.manifest), str::to_owned);
    let found = none_if_missing(reader, &wire::read_service(&name)).await?;
    let former = former(hint, &name, reader).await?;
    let Some(service) = found else {
        let mut seen = Seen { beside: vec![intent_name(&name)], ..Seen::default() };
        seen.keep(|own: &mut Own| own.former = former);
        return Ok(seen);
    };
    let service = wire::object_with_sid(&service)?;
    let sid = text(service, "sid").to_owned();
    let mut seen = of_service(service);
    let creating = hint.creating();
    let resumed = creating.is_some_and(|before| before.contains(&intent_name(&name)));
    let known = recorded_id(hint.entry, "service");
    // The intent to create the Function lists the service's name (`intent_name`) where other kinds list the ids that
    // existed before the run. If the intent has this name, no service of that name existed, so the unfinished run
    // created it. `creating` is then an empty list.
    let clues = Clues { creating: resumed.then_some(&[]), ..hint.clues("service", "") };
    seen.whose = identity::whose(&clues, &sid);
    seen.keep(|own: &mut Own| own.former = former);
    if seen.whose == Whose::Another {
        seen.whose = Whose::Ours;
        let text = format!("the Serverless service {name:?} ({sid}) is not the one on record ({known})");
        let help =
            "set feedback.function.unique_name to a name that is free, or delete the service if it is yours";
        seen.finding(codes::NAME_TAKEN, hint.address, Level::Blocker, text, help);
    }
    if known == sid {
        prefetch_recorded(hint.entry, &sid, reader).await;
    }
    read_levels(hint, &sid, &mut seen, reader).await?;
    if seen.whose.needs_consent() {
        let text = "this takes over an existing Function: its former code and variables cannot be put back. If another \
                    tenant uses it, that tenant's codes are reported to this stack's Verify service from then on, and the \
                    first of the two stacks that is destroyed takes it from the other";
        seen.finding(
            codes::TAKEN_OVER,
            hint.address,
            Level::Note,
            text,
            "set feedback.function.unique_name to leave it alone",
        );
    }
    Ok(seen)
}

/// The service on record, if the manifest names another one now. A later step deletes the former service, once the log
/// stream reports to the new one.
async fn former(hint: &Hint<'_>, name: &str, reader: &Reader) -> Result<Option<Former>, Failed> {
    let noted = hint.entry.and_then(|entry| entry.notes.get("former")).filter(|note| note.is_object());
    let (sid, was) = match noted {
        Some(note) => (text(note, "service"), text(note, "unique_name")),
        None => (recorded_id(hint.entry, "service"), recorded_id(hint.entry, "unique_name")),
    };
    let ours = noted.is_some() || hint.entry.is_some_and(|entry| entry.ownership == Ownership::Created);
    if was == name || !ours || !hint.is_known() || !is_sid(sid, "ZS") {
        return Ok(None);
    }
    let there = none_if_missing(reader, &wire::read_service(sid)).await?;
    // The record is untrusted: the service must still have the recorded name.
    let same = there.is_some_and(|service| text(&service, "unique_name") == was);
    Ok(same.then(|| Former { service: sid.to_owned(), unique_name: was.to_owned() }))
}

/// Sends every read whose ids are on record, all at the same time. If an id has changed since, [`read_levels`] reads
/// again with the new id.
async fn prefetch_recorded(entry: Option<&Entry>, service: &str, reader: &Reader) {
    let id = |name: &str, prefix: &str| Some(recorded_id(entry, name)).filter(|sid| is_sid(sid, prefix));
    let mut gets =
        vec![wire::list_in_service(service, "Environments"), wire::list_in_service(service, "Functions")];
    if let Some(environment) = id("environment", "ZE") {
        gets.push(wire::list_in_service(service, &format!("Environments/{environment}/Variables")));
    }
    if let Some(build) = id("build", "ZB") {
        gets.push(wire::read_in_service(service, &format!("Builds/{build}")));
    }
    if let (Some(function), Some(version)) = (id("function", "ZH"), id("version", "ZN")) {
        gets.push(wire::read_source(service, function, version));
    }
    read_all(&gets, reader).await;
}

async fn read_all(gets: &[Get], reader: &Reader) {
    let tasks: Vec<Task<'_, ()>> = gets
        .iter()
        .map(|get| {
            // A failure is not lost here: the reader keeps the result of each read, and the next equal read gets it.
            Box::pin(async move {
                let _kept = reader.get(get).await;
            }) as Task<'_, ()>
        })
        .collect();
    join_all(tasks).await;
}

async fn read_levels(hint: &Hint<'_>, service: &str, seen: &mut Seen, reader: &Reader) -> Result<(), Failed> {
    let (environments, functions) =
        (wire::list_in_service(service, "Environments"), wire::list_in_service(service, "Functions"));
    read_all(&[environments.clone(), functions.clone()], reader).await;
    let environments = reader.get(&environments).await?;
    let functions = reader.get(&functions).await?;
    let functions = wire::entries_with_sids(&functions, "functions")?;
    let wanted = environment_name(hint.manifest);
    let environment = wire::entries_with_sids(&environments, "environments")?
        .iter()
        .find(|one| text(one, "unique_name") == wanted);
    let path = desired_text(hint, "path");
    let build_get = |sid: &str| wire::read_in_service(service, &format!("Builds/{sid}"));
    let mut live_sid = String::new();
    let mut live = None;
    if let Some(environment) = environment {
        of_environment(wire::checked_domain(environment)?, path, seen);
        let sid = text(environment, "sid");
        text(environment, "build_sid").clone_into(&mut live_sid);
        let variables_get = wire::list_in_service(service, &format!("Environments/{sid}/Variables"));
        let mut gets = vec![variables_get.clone()];
        if !live_sid.is_empty() {
            gets.push(build_get(&live_sid));
        }
        read_all(&gets, reader).await;
        let list = reader.get(&variables_get).await?;
        add_variables(seen, wire::entries_with_sids(&list, "variables")?, &|name| {
            is_managed(hint, "variables.", name)
        });
        if !live_sid.is_empty() {
            live =
                none_if_missing(reader, &build_get(&live_sid)).await?.map(wire::checked_build).transpose()?;
        }
    }
    let function = pick_function(hint, functions, live.as_ref(), path, seen);
    put_id(seen, "function", function.clone());
    let Some(function) = function else { return Ok(()) };
    let none = json!({});
    let others = wire::others(live.as_ref().unwrap_or(&none), &function, path);
    let mut deployed = true;
    let mut base = live.and_then(|build| version_of(&build, &function).map(|version| (build, version)));
    if base.is_none() {
        deployed = false;
        // Nothing is live, or the live build lacks our Function because somebody deployed another build. The comparison
        // uses the build on record instead.
        let recorded = recorded_id(hint.entry, "build");
        if is_sid(recorded, "ZB") && recorded != live_sid {
            let build = checked_sid(none_if_missing(reader, &build_get(recorded)).await?)?;
            base = build.and_then(|build| version_of(&build, &function).map(|version| (build, version)));
        }
    }
    seen.attrs.insert("deployed".into(), Value::Known(json!(deployed)));
    if let Some((build, version)) = &base {
        let content =
            none_if_missing(reader, &wire::read_source(service, &function, text(version, "sid"))).await?;
        let source = content.as_ref().map(source_of).transpose()?;
        of_build(hint, build, version, source, seen);
    }
    seen.keep(|own: &mut Own| own.others = others);
    find_reusable(hint, service, &function, deployed, seen, reader).await
}

fn desired_text<'a>(hint: &'a Hint<'_>, field: &str) -> &'a str {
    hint.want.and_then(|want| want.desired.get(field)).and_then(Value::as_str).unwrap_or_default()
}

fn put_id(seen: &mut Seen, id: &str, value: Option<String>) {
    if let Some(value) = value {
        seen.ids.insert(id.to_owned(), value);
    }
}

/// Whether this stack manages the name: the manifest wants it, or the record says that this stack applied it. The
/// values of other names are neither compared nor changed.
fn is_managed(hint: &Hint<'_>, prefix: &str, name: &str) -> bool {
    let field = format!("{prefix}{name}");
    let wanted = hint.want.is_some_and(|want| want.desired.contains_key(&field));
    let applied = hint.is_known() && hint.entry.is_some_and(|entry| entry.fields.contains_key(&field));
    // The variable that holds the former secret is always managed, because an unfinished change of the secret leaves
    // that variable behind.
    wanted || applied || field == format!("variables.{}", PREVIOUS)
}

/// SID of our Function: the one on record, else the one that serves our path in the live build, else the only one with
/// our name. Several Functions with our name are a finding.
fn pick_function(
    hint: &Hint<'_>,
    functions: &[Json],
    live: Option<&Json>,
    path: &str,
    seen: &mut Seen,
) -> Option<String> {
    let ours = functions.iter().filter(|one| text(one, "friendly_name") == FUNCTION_NAME);
    let named: Vec<&str> = ours.map(|one| text(one, "sid")).collect();
    seen.keep(|own: &mut Own| own.same_function = named.iter().map(|sid| (*sid).to_owned()).collect());
    let is_there = |sid: &str| functions.iter().any(|one| text(one, "sid") == sid);
    let recorded = recorded_id(hint.entry, "function");
    let serving = live.and_then(|build| {
        let versions = build.get("function_versions").and_then(Json::as_array)?;
        let version = versions.iter().find(|version| text(version, "path") == path)?;
        Some(text(version, "function_sid"))
    });
    let certain = Some(recorded).filter(|sid| is_there(sid)).or(serving.filter(|sid| is_there(sid)));
    let list = named.join(", ");
    match (certain, named.as_slice()) {
        (Some(sid), named) => {
            if named.iter().any(|other| *other != sid) {
                let text =
                    format!("{} Functions are named {FUNCTION_NAME:?}: {list}; ours is {sid}", named.len());
                let help = "delete the others if nobody needs them; Twilio removes empty ones after a week";
                seen.finding(codes::SEVERAL_FIT, hint.address, Level::Warning, text, help);
            }
            Some(sid.to_owned())
        }
        (None, []) => None,
        (None, [sid]) => Some((*sid).to_owned()),
        (None, several) => {
            let text = format!(
                "{} Functions are named {FUNCTION_NAME:?}, and none is deployed: {list}",
                several.len()
            );
            seen.finding(codes::SEVERAL_FIT, hint.address, Level::Blocker, text, "delete all but one");
            None
        }
    }
}

fn version_of(build: &Json, function: &str) -> Option<Json> {
    let versions = build.get("function_versions").and_then(Json::as_array)?;
    versions.iter().find(|version| text(version, "function_sid") == function).cloned()
}

/// Looks for a version and a build that an earlier run has already made, so that this run does not make them again.
/// If the live build is as wanted, nothing is read.
async fn find_reusable(
    hint: &Hint<'_>,
    service: &str,
    function: &str,
    deployed: bool,
    seen: &mut Seen,
    reader: &Reader,
) -> Result<(), Failed> {
    let Some(want) = hint.want else { return Ok(()) };
    let same = |field: &str| want.desired.get(field) == seen.attrs.get(field);
    let source = ["code", "path", "visibility"].iter().all(|field| same(field));
    let rest =
        want.desired.iter().filter(|(field, _)| field.starts_with("dependencies.")).all(|(field, value)| {
            let there = seen.attrs.get(field).and_then(Value::as_str).unwrap_or_default();
            let name = field.trim_start_matches("dependencies.");
            value.as_str().is_some_and(|wanted| wire::version_fits(name, wanted, there))
        });
    let dropped = seen
        .attrs
        .keys()
        .any(|field| field.starts_with("dependencies.") && !want.desired.contains_key(field));
    if deployed && source && rest && !dropped && same("runtime") {
        return Ok(());
    }
    let version = if source {
        Some(seen.ids.get("version").cloned().unwrap_or_default())
    } else {
        newest(service, function, &want.desired, reader).await?
    };
    let Some(version) = version.filter(|version| !version.is_empty()) else { return Ok(()) };
    let list = reader.get(&wire::list_in_service(service, "Builds")).await?;
    let mut builds = wire::entries_with_sids(&list, "builds")?.iter();
    let others = &own_state(seen).others;
    let build = builds.find(|build| !dropped && wire::is_wanted(build, &version, others, &want.desired));
    seen.keep(|own: &mut Own| {
        own.ready_version = version.clone();
        own.ready_build = build.map(|build| text(build, "sid").to_owned()).unwrap_or_default();
    });
    Ok(())
}

/// SID of the newest version, if its path, visibility and source text are as wanted.
pub(super) async fn newest(
    service: &str,
    function: &str,
    desired: &Attrs,
    reader: &Reader,
) -> Result<Option<String>, Failed> {
    let list =
        reader.fresh(&wire::list_in_service(service, &format!("Functions/{function}/Versions"))).await?;
    let versions = wire::entries_with_sids(&list, "function_versions")?;
    // The latest `date_created` wins. Among equal times the first in the list wins, because Twilio lists the newest
    // first.
    let Some(version) = versions.iter().rev().max_by_key(|version| text(version, "date_created")) else {
        return Ok(None);
    };
    let is = |field: &str, there: &str| desired.get(field).and_then(Value::as_str) == Some(there);
    let visibility = text(version, "visibility").to_ascii_lowercase();
    if !is("path", text(version, "path")) || !is("visibility", &visibility) {
        return Ok(None);
    }
    let sid = text(version, "sid");
    let content = reader.get(&wire::read_source(service, function, sid)).await?;
    Ok(is("code", &source_of(&content)?).then(|| sid.to_owned()))
}

/// The source text in a reply with the content of a version. Line ends CRLF become LF.
fn source_of(reply: &Json) -> Result<String, Failed> {
    let content = reply.get("content").and_then(Json::as_str);
    let content = content
        .ok_or_else(|| Failed::Misread("Serverless: the reply has no source text for the version".into()))?;
    Ok(content.replace("\r\n", "\n"))
}

/// The observed state, as far as the service alone shows it.
pub(super) fn of_service(service: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    for (id, key) in [("service", "sid"), ("unique_name", "unique_name"), ("account_sid", "account_sid")] {
        seen.ids.insert(id.to_owned(), text(service, key).to_owned());
    }
    put_service(service, &mut seen.attrs);
    seen
}

pub(super) fn put_service(service: &Json, attrs: &mut Attrs) {
    attrs.insert("friendly_name".into(), Value::text(text(service, "friendly_name")));
    for key in ["include_credentials", "ui_editable"] {
        attrs.insert(key.to_owned(), Value::Known(json!(service.get(key) == Some(&json!(true)))));
    }
    attrs.entry("deployed".into()).or_insert(Value::Known(json!(false)));
}

/// Adds the environment's SID, and the Function's URL, which consists of the environment's domain and the wanted path.
pub(super) fn of_environment(environment: &Json, path: &str, seen: &mut Seen) {
    seen.ids.insert("environment".into(), text(environment, "sid").to_owned());
    let domain = text(environment, "domain_name");
    if !domain.is_empty() && !path.is_empty() {
        seen.ids.insert("url".into(), format!("https://{domain}{path}"));
    }
}

fn of_build(hint: &Hint<'_>, build: &Json, version: &Json, source: Option<String>, seen: &mut Seen) {
    seen.ids.insert("build".into(), text(build, "sid").to_owned());
    seen.ids.insert("version".into(), text(version, "sid").to_owned());
    let managed = |name: &str| is_managed(hint, "dependencies.", name);
    put_build(build, version, &managed, &mut seen.attrs);
    seen.keep(|own: &mut Own| own.packages = wire::dependencies(build).into_keys().collect());
    if let Some(source) = source {
        seen.attrs.insert("code".into(), Value::text(source));
    }
}

/// Adds the fields that a build shows. Twilio writes the visibility in capitals and lists more packages than were asked
/// for. The field has the visibility in small letters, and only packages that `managed` accepts become fields.
pub(super) fn put_build(build: &Json, version: &Json, managed: &dyn Fn(&str) -> bool, attrs: &mut Attrs) {
    attrs.insert("path".into(), Value::text(text(version, "path")));
    attrs.insert("visibility".into(), Value::text(text(version, "visibility").to_ascii_lowercase()));
    attrs.insert("runtime".into(), Value::text(text(build, "runtime")));
    for (name, version) in wire::dependencies(build).into_iter().filter(|(name, _)| managed(name)) {
        attrs.insert(format!("dependencies.{name}"), Value::text(version));
    }
}

/// Adds the values of the managed variables and the SIDs of all variables.
fn add_variables(seen: &mut Seen, list: &[Json], managed: &dyn Fn(&str) -> bool) {
    let mut sids = BTreeMap::new();
    for variable in list {
        let key = text(variable, "key");
        sids.insert(key.to_owned(), text(variable, "sid").to_owned());
        if managed(key) {
            let value = Value::Secret(Secret::new(text(variable, "value"), Origin::Person));
            seen.attrs.insert(format!("variables.{key}"), value);
        }
    }
    seen.keep(|own: &mut Own| own.variables = sids);
}

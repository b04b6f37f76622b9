//! The version that ran before this stack took an Action over: it comes back when the stack goes.
//!
//! Secrets and dependencies belong to a version and come back with it ("Auth0 docs, manage versions of Actions", 2026-08).
//! Auth0 keeps 50 versions of an Action.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::act::Act;
use super::build::{DEPLOY_PAUSE_MS, SETTLE_LOOKS, deployed};
use super::wire::{MODULES, Own, one, own};
use super::{Action, POST_LOGIN};
use crate::kinds::{Done, Hint, Run, Seen, is_id, step, text};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::facts::{ActionState, Fact, Facts};
use crate::model::ledger::{Entry, Last, Ownership, compact, same_mark};
use crate::model::plan::{Finding, Level, Op, Step, Verb};
use crate::model::value::Value;
use crate::port::{Reader, Writer};

/// Field of what is put back: the id of the version that ran.
pub(super) const VERSION: &str = "deployed_version";
/// Note of an entry: the id of the version that this stack made of the former one.
const BACK: &str = "back";

/// Whether the code that runs is what ran before this stack: it sends through what it was told of then, whatever becomes of
/// ours.
pub fn runs(seen: &Seen, entry: Option<&Entry>) -> bool {
    let own = own(seen);
    let is_live = |id: Option<&Json>| id.is_some_and(|id| *id == own.version);
    let by_record = |entry: &Entry| is_live(entry.restore.get(VERSION)) || is_live(entry.notes.get(BACK));
    !own.version.is_empty()
        && (entry.is_none_or(by_record) || own.former.as_ref().is_some_and(|former| former.is_back))
}

/// Whether another version runs than before.
pub(super) fn runs_anew(seen: &Seen, before: &Seen) -> bool {
    let live = &own(seen).version;
    !live.is_empty() && *live != own(before).version
}

/// A value that is put back and that no field shows, as it stands now.
pub fn shown(seen: &Seen, field: &str) -> Option<Json> {
    let own = seen.own::<Own>()?;
    match field {
        VERSION => Some(json!(own.version)),
        MODULES => Some(json!(own.modules)),
        _ => None,
    }
}

/// The version that ran, on record. What is no id is none: it would lead to another object.
fn version_of(entry: &Entry) -> Option<&str> {
    entry.restore.get(VERSION).and_then(Json::as_str).filter(|id| is_id(id))
}

/// What a version is made of, as far as it is shown.
#[derive(Clone, PartialEq)]
pub(super) struct Content {
    pub(super) code: String,
    runtime: String,
    /// Versions by name.
    dependencies: BTreeMap<String, Json>,
    /// When they were written, by name.
    secrets: BTreeMap<String, Json>,
}

/// The version that ran before this stack.
#[derive(Clone)]
pub(super) struct Former {
    /// `None`: it was never replaced, so there was nothing to compare with.
    code: Option<String>,
    is_back: bool,
    /// As [`told_at`] says.
    told: Option<Vec<String>>,
}

pub(super) fn content(version: &Json) -> Content {
    let told = |list: &str, told: &str| {
        let list = version[list].as_array().into_iter().flatten();
        list.map(|one| (text(one, "name").to_owned(), one[told].clone())).collect()
    };
    Content {
        code: text(version, "code").replace("\r\n", "\n"),
        runtime: text(version, "runtime").to_owned(),
        dependencies: told("dependencies", "version"),
        secrets: told("secrets", "updated_at"),
    }
}

/// Whether a step brings a former version back.
pub fn brings_back(step: &Step) -> bool {
    matches!(Act::of(step), Some(Act::FormerVersion { .. }))
}

/// When a version was told what it knows: the dates of its secrets, which nobody can read. Modules have secrets of their own,
/// so where it uses one its own date counts as well.
pub(in crate::kinds) fn told_at(version: &Json) -> Option<Vec<String>> {
    let secrets = version["secrets"].as_array()?;
    let uses_modules = version["modules"].as_array().is_some_and(|modules| !modules.is_empty());
    let dates = secrets.iter().map(|secret| text(secret, "updated_at"));
    Some(dates.chain(uses_modules.then(|| text(version, "created_at"))).map(str::to_owned).collect())
}

/// Whether the former version may know the object with that id, which was made at that time.
pub fn may_know(seen: &Seen, id: &str, made_at: &str) -> bool {
    let own = own(seen);
    let former = own.former.as_ref();
    let live = own.live.as_ref().map(|live| &live.code);
    let code = former.and_then(|former| former.code.as_ref()).or(live);
    knows(former.and_then(|former| former.told.as_deref()), code.map(String::as_str), id, made_at)
}

/// Whether code may know the object with that id, which was made at that time: the code names the id, or one of its secrets
/// is not older. Both times are as the vendors write them (RFC 2822 or RFC 3339). Where one cannot be read, the answer is
/// yes.
pub(in crate::kinds) fn knows(told: Option<&[String]>, code: Option<&str>, id: &str, made_at: &str) -> bool {
    let second = |text: &str| {
        let iso = || text.parse::<jiff::Timestamp>().ok();
        jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp()).or_else(iso).map(|at| at.as_second())
    };
    let (Some(told), Some(made), Some(code)) = (told, second(made_at), code) else { return true };
    let is_older = |at: &String| second(at).is_some_and(|at| at < made);
    code.contains(id) || !told.iter().all(is_older)
}

/// What is to be said of who sends where the former version of that row runs.
pub(super) fn facts(row: &Action, seen: &Seen) -> Facts {
    let own = own(seen);
    let former = own.former.as_ref().filter(|former| row.name != POST_LOGIN.name && former.is_back);
    let is_back = former.is_some();
    // Without a version to compare with it was never replaced, and works as it did.
    let was_replaced = former.is_some_and(|former| former.code.is_some());
    let facts = [(is_back, Fact::FormerRuns(true)), (was_replaced, Fact::Former(true))];
    facts.into_iter().filter(|(holds, _)| *holds).map(|(_, fact)| fact).collect()
}

/// Reads the former version where it has to come back.
pub(super) async fn look(seen: &mut Seen, hint: &Hint<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some(entry) = hint.entry else { return Ok(()) };
    if hint.want.is_some() {
        return look_behind(seen, hint, entry, reader).await;
    }
    let own = own(seen);
    let is_left = seen.exists && entry.ownership == Ownership::Adopted && !own.version.is_empty();
    if is_left && entry.restore.get(VERSION).is_some_and(|version| *version == own.version) {
        let former = Former { code: None, is_back: true, told: own.live_told.clone() };
        seen.keep(|own: &mut Own| own.former = Some(former));
        return Ok(());
    }
    let id = seen.ids.get("id").filter(|_| is_left);
    let Some((id, version)) = id.zip(version_of(entry)) else { return Ok(()) };
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}");
    match reader.get(&Get::whole(Api::Auth0, path)).await {
        Ok(found) if text(&found, "id") != version => Ok(()),
        Ok(version) => {
            // A destroy that died after its deployment left no note of it, and Auth0 may date secrets anew.
            let died = hint.intent.is_some_and(|intent| intent.destroy) && !is_ours(seen, entry);
            let was = content(&version);
            let is_back =
                own.live.as_ref().is_some_and(|live| was == *live || (died && was.code == live.code));
            let former = Former { code: Some(was.code), is_back, told: told_at(&version) };
            seen.keep(|own: &mut Own| own.former = Some(former));
            Ok(())
        }
        Err(failed) if matches!(failed.status(), Some(400 | 404)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// Whether a destroy that did not report its end has deployed the former version, where the manifest wants the Action still:
/// a new version, with all that the former one had.
async fn look_behind(seen: &mut Seen, hint: &Hint<'_>, entry: &Entry, reader: &Reader) -> Result<(), Failed> {
    let died = hint.intent.is_some_and(|intent| intent.destroy);
    let is_live = seen.attrs.get("deployed") == Some(&Value::Known(json!(true)));
    if !died || !is_live || entry.ownership != Ownership::Adopted || is_ours(seen, entry) {
        return Ok(());
    }
    let Some((id, version)) = seen.ids.get("id").zip(version_of(entry)) else { return Ok(()) };
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}");
    match reader.get(&Get::whole(Api::Auth0, path)).await {
        Ok(found) if text(&found, "id") == version => {
            let live = own(seen).live.clone();
            seen.put_back = live.is_some_and(|live| undated(content(&found)) == undated(live));
            Ok(())
        }
        Ok(_) => Ok(()),
        // What it cannot be compared with is told as somebody else's.
        Err(Failed::Refused(_)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// The content without the times of its secrets, which Auth0 may write anew.
fn undated(mut content: Content) -> Content {
    content.secrets.values_mut().for_each(|at| *at = Json::Null);
    content
}

/// Why the former version does not come back; `None`: it does, or it runs.
pub(super) fn refusal(address: &str, seen: &Seen, entry: &Entry) -> Option<Finding> {
    if !seen.exists
        || entry.ownership != Ownership::Adopted
        || own(seen).version.is_empty()
        || runs(seen, Some(entry))
    {
        return None;
    }
    let version = version_of(entry);
    let was_there = entry.restore.get("deployed") == Some(&json!(true));
    let why = match (version, &own(seen).former) {
        (Some(version), None) => {
            format!(
                "the version that ran before this stack ({version}) is gone: Auth0 does not give it, and keeps 50"
            )
        }
        (Some(_), _) if !is_ours(seen, entry) => {
            "somebody else has changed its draft or deployed other code since".to_owned()
        }
        (Some(_), _) => return None,
        (None, _) if was_there => "which version ran before this stack is not on record".to_owned(),
        (None, _) => "no version of it ran before this stack".to_owned(),
    };
    Some(Finding {
        address: address.to_owned(),
        text: format!("it stays, and what is deployed runs on with the secrets that it has: {why}"),
        help: "deploy the right version in the Auth0 dashboard, or delete the Action, and revoke the API key that it was given"
            .into(),
        level: Level::Warning,
    })
}

/// Whether what runs is what this stack deployed.
fn is_ours(seen: &Seen, entry: &Entry) -> bool {
    let as_left = |(field, last): (&String, &Last)| match (last, seen.attrs.get(field)) {
        (Last::Plain(was), Some(Value::Known(there))) => *was == compact(there),
        (Last::Print { stamp, .. }, Some(Value::Stamp(mark))) => same_mark(stamp, mark),
        _ => false,
    };
    entry.fields.iter().all(as_left)
}

/// The step that brings the former version back.
pub(super) fn back(row: &Action, address: &str, seen: &Seen, entry: &Entry) -> Option<Step> {
    let version = version_of(entry)?;
    let own = own(seen);
    let former = own.former.as_ref().filter(|_| !runs(seen, Some(entry)) && is_ours(seen, entry))?;
    let op = Op::of(Act::FormerVersion { version: version.to_owned() });
    let what = "deploy the version that ran before";
    let mut step = step(address, row.name, Verb::Update, row.stages.remove, what, op);
    step.reason = "it was there before this stack".into();
    step.danger = Some(format!(
        "the version of the Action that ran before this stack ({version}) runs again, with its own secrets and packages; \
         whether they still work nobody can prove, and where they do not, {}",
        row.stops
    ));
    step.effects = Facts::from([(row.fact)(ActionState::Deployed), (row.limits)(None), Fact::Service(None)]);
    if row.name != POST_LOGIN.name {
        step.effects.insert(Fact::Former(true));
        step.effects.insert(Fact::FormerRuns(true));
    }
    step.effects.insert((row.told)(former.code.as_deref().unwrap_or_default()));
    Some(step)
}

/// Deploys it, if what runs is still what was planned with.
pub(super) async fn run(
    row: &Action,
    run: &Run<'_>,
    version: &str,
    writer: &mut Writer,
) -> Result<Done, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    let action = writer.reader().fresh(&one(&id)).await?;
    let planned = own(run.seen);
    let is_as_planned = text(&action["deployed_version"], "id") == planned.version
        && text(&action, "updated_at") == planned.updated_at;
    if !is_as_planned {
        let text = "somebody else changed or deployed the Action in the meantime; plan again";
        return Err(Failed::NotDone(text.into()));
    }
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}/deploy");
    let version =
        writer.json(Method::Post, path, json!({ "update_draft": true }), Repeat::NeverBlind).await?;
    Ok(done(deployed(row, run, &id, text(&version, "id"), writer.reader()).await?))
}

/// Reads show a deployment only after a while, and a second one would be a second version.
pub(super) async fn settle(row: &Action, run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    for _ in 0..SETTLE_LOOKS {
        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
        let seen = row.read(&reader.fresh(&one(&id)).await?, "");
        if runs_anew(&seen, run.seen) {
            return Ok(Some(done(seen)));
        }
    }
    Ok(None)
}

fn done(seen: Seen) -> Done {
    let live = json!(own(&seen).version);
    Done { notes: BTreeMap::from([(BACK.to_owned(), live)]), ..Done::seen(seen) }
}

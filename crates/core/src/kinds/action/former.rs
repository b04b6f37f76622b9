//! The version of an Action that ran before this stack took the Action over. A destroy deploys it again.
//!
//! Secrets and dependencies belong to a version and come back with it ("Auth0 docs, manage versions of Actions",
//! 2026-08). Auth0 keeps 50 versions of an Action.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::act::Act;
use super::build::{DEPLOY_PAUSE_MS, SETTLE_LOOKS, wait_until_deployed};
use super::row::Action;
use super::version::{Former, content, undated};
use super::wire::{MODULES, Own, own_state};
use crate::kinds::remote::actions::read_action;
use crate::kinds::remote::versions::{knows, secret_dates, verifies};
use crate::kinds::{Done, Hint, Run, Seen, is_id, step, text};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::codes;
use crate::model::facts::{ActionState, Fact, Facts};
use crate::model::ledger::{Entry, Last, Ownership, compact, same_mark};
use crate::model::plan::{Finding, Level, Op, Step, Verb};
use crate::model::value::Value;
use crate::port::{Reader, Writer};

/// Key in an entry's `restore`: the id of the version that ran before this stack.
pub(super) const VERSION: &str = "deployed_version";
/// Key in an entry's `notes`: the id of the new version that a destroy made from the former one.
const BACK: &str = "back";

/// Whether the running code is the code from before this stack. Such code sends through the objects that it was told of
/// then, so it does not need ours. Without an entry nothing says that this stack has changed the Action, so any running
/// version counts.
pub(super) fn runs(seen: &Seen, entry: Option<&Entry>) -> bool {
    let own = own_state(seen);
    let is_live = |id: Option<&Json>| id.is_some_and(|id| *id == own.version);
    let by_record = |entry: &Entry| is_live(entry.restore.get(VERSION)) || is_live(entry.notes.get(BACK));
    !own.version.is_empty()
        && (entry.is_none_or(by_record) || own.former.as_ref().is_some_and(|former| former.is_back))
}

/// Whether another version runs now than before.
pub(super) fn runs_anew(seen: &Seen, before: &Seen) -> bool {
    let live = &own_state(seen).version;
    !live.is_empty() && *live != own_state(before).version
}

/// The present value of a key in `restore` that is no field of the Action.
pub(super) fn present_value(seen: &Seen, field: &str) -> Option<Json> {
    let own = seen.own::<Own>()?;
    match field {
        VERSION => Some(json!(own.version)),
        MODULES => Some(json!(own.modules)),
        _ => None,
    }
}

/// The recorded id of the version that ran before this stack. Text that is no id is ignored, because it would lead a
/// request to another object.
fn version_of(entry: &Entry) -> Option<&str> {
    entry.restore.get(VERSION).and_then(Json::as_str).filter(|id| is_id(id))
}

/// Whether the former version may know the object with that id, as [`knows`] tells. `made_at` is the time at which the
/// object was created.
pub(super) fn may_know(seen: &Seen, id: &str, made_at: &str) -> bool {
    let own = own_state(seen);
    let former = own.former.as_ref();
    let live = own.live.as_ref().map(|live| &live.code);
    let code = former.and_then(|former| former.code.as_ref()).or(live);
    knows(former.and_then(|former| former.secret_dates.as_deref()), code.map(String::as_str), id, made_at)
}

/// The facts about the sender if the former version of the row's Action runs.
pub(super) fn facts(row: &Action, seen: &Seen) -> Facts {
    let own = own_state(seen);
    let former = own.former.as_ref().filter(|former| row.sends && former.is_back);
    let is_back = former.is_some();
    // A former version that was kept without its code was never replaced, so it works as before.
    let was_replaced = former.is_some_and(|former| former.code.is_some());
    let facts = [(is_back, Fact::FormerRuns(true)), (was_replaced, Fact::Former(true))];
    facts.into_iter().filter(|(holds, _)| *holds).map(|(_, fact)| fact).collect()
}

/// Reads the former version if it is to come back, or if an unfinished destroy may have deployed it.
pub(super) async fn read_former(seen: &mut Seen, hint: &Hint<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some(entry) = hint.entry else { return Ok(()) };
    if hint.want.is_some() {
        return look_behind(seen, hint, entry, reader).await;
    }
    let own = own_state(seen);
    let is_left = seen.exists && entry.ownership == Ownership::Adopted && !own.version.is_empty();
    if is_left && entry.restore.get(VERSION).is_some_and(|version| *version == own.version) {
        let secret_dates = own.live_secret_dates.clone();
        let former = Former { code: None, is_back: true, secret_dates, verifies: own.live_verifies };
        seen.keep(|own: &mut Own| own.former = Some(former));
        return Ok(());
    }
    let id = seen.ids.get("id").filter(|_| is_left);
    let Some((id, version)) = id.zip(version_of(entry)) else { return Ok(()) };
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}");
    match reader.get(&Get::whole(Api::Auth0, path)).await {
        Ok(found) if text(&found, "id") != version => Ok(()),
        Ok(version) => {
            // A destroy that died right after its deployment left no note of it, and Auth0 may have renewed the dates
            // of the secrets. In that case the same code is enough.
            let died = hint.intent.is_some_and(|intent| intent.destroy) && !is_ours(seen, entry);
            let was = content(&version);
            let is_back =
                own.live.as_ref().is_some_and(|live| was == *live || (died && was.code == live.code));
            let (secret_dates, verifies) = (secret_dates(&version), verifies(&version));
            let former = Former { code: Some(was.code), is_back, secret_dates, verifies };
            seen.keep(|own: &mut Own| own.former = Some(former));
            Ok(())
        }
        Err(failed) if matches!(failed.status(), Some(400 | 404)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// For an Action that the manifest still wants: finds out whether a destroy that did not report its end has deployed
/// the former version. That would be a new version with the content of the former one.
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
            let live = own_state(seen).live.clone();
            seen.put_back = live.is_some_and(|live| undated(content(&found)) == undated(live));
            Ok(())
        }
        Ok(_) => Ok(()),
        // Without the former version to compare with, the change is reported as somebody else's.
        Err(Failed::Refused(_)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// The finding that says why the former version does not come back. `None`: it does, it already runs, or nothing is to
/// come back.
pub(super) fn why_not_back(address: &Address, seen: &Seen, entry: &Entry) -> Option<Finding> {
    if !seen.exists
        || entry.ownership != Ownership::Adopted
        || own_state(seen).version.is_empty()
        || runs(seen, Some(entry))
    {
        return None;
    }
    let version = version_of(entry);
    let was_there = entry.restore.get("deployed") == Some(&json!(true));
    let why = match (version, &own_state(seen).former) {
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
        code: codes::NOT_PUT_BACK, address: address.to_owned(),
        text: format!("the Action is not put back; its deployed version keeps running with its secrets: {why}"),
        help: "deploy the right version in the Auth0 dashboard, or delete the Action, and revoke the API key that it was given"
            .into(),
        level: Level::Warning,
    })
}

/// Whether the Action is as this stack left it, so that the running version is ours.
fn is_ours(seen: &Seen, entry: &Entry) -> bool {
    let as_left = |(field, last): (&String, &Last)| match (last, seen.attrs.get(field)) {
        (Last::Plain(was), Some(Value::Known(there))) => *was == compact(there),
        (Last::Print { stamp, .. }, Some(Value::Stamp(mark))) => same_mark(stamp, mark),
        _ => false,
    };
    entry.fields.iter().all(as_left)
}

/// The step that brings the former version back. `None`: it already runs, or it cannot come back, and
/// [`why_not_back`] says why.
pub(super) fn step_back(row: &Action, address: &Address, seen: &Seen, entry: &Entry) -> Option<Step> {
    let version = version_of(entry)?;
    let own = own_state(seen);
    let former = own.former.as_ref().filter(|_| !runs(seen, Some(entry)) && is_ours(seen, entry))?;
    let op = Op::of(Act::FormerVersion { version: version.to_owned() });
    let what = "deploy the version that ran before";
    let mut step = step(address, row.name, Verb::Update, row.stages.remove, what, op);
    step.reason = "it existed before this stack".into();
    step.danger = Some(format!(
        "the version of the Action that ran before this stack ({version}) runs again, with its own secrets and packages; \
         whether they still work nobody can prove, and where they do not, {}",
        row.stops
    ));
    let limits = row.limits.map(|limits| limits(None));
    step.effects =
        [(row.fact)(ActionState::Deployed), Fact::Service(None)].into_iter().chain(limits).collect();
    if row.sends {
        step.effects.insert(Fact::Former(true));
        step.effects.insert(Fact::FormerRuns(true));
    }
    if let Some(fact) = row.verifies.filter(|_| former.verifies != own.live_verifies) {
        step.effects.insert(fact(former.verifies));
    }
    step.effects.insert((row.fact_of_code)(former.code.as_deref().unwrap_or_default()));
    Some(step)
}

/// Deploys the former version, if the Action is unchanged since the plan.
pub(super) async fn run(
    row: &Action,
    run: &Run<'_>,
    version: &str,
    writer: &mut Writer,
) -> Result<Done, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    writer.checked(is_as_planned(run, &id, writer.reader())).await?;
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}/deploy");
    let version =
        writer.json(Method::Post, path, json!({ "update_draft": true }), Repeat::NeverBlind).await?;
    Ok(done_with_note(wait_until_deployed(row, run, &id, text(&version, "id"), writer.reader()).await?))
}

pub(super) async fn is_as_planned(run: &Run<'_>, id: &str, reader: &Reader) -> Result<(), Failed> {
    let action = reader.fresh(&read_action(id)).await?;
    let planned = own_state(run.seen);
    if text(&action["deployed_version"], "id") == planned.version
        && text(&action, "updated_at") == planned.updated_at
    {
        return Ok(());
    }
    let text = "somebody else changed or deployed the Action in the meantime; plan again";
    Err(Failed::NotDone(text.into()))
}

/// Looks for the deployment after its answer was lost. Reads show a deployment only after a while, and a repeated
/// deployment would make a second version.
pub(super) async fn settle(row: &Action, run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    for _ in 0..SETTLE_LOOKS {
        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
        let seen = row.read(&reader.fresh(&read_action(&id)).await?, "");
        if runs_anew(&seen, run.seen) {
            return Ok(Some(done_with_note(seen)));
        }
    }
    Ok(None)
}

fn done_with_note(seen: Seen) -> Done {
    let live = json!(own_state(&seen).version);
    Done { notes: BTreeMap::from([(BACK.to_owned(), live)]), ..Done::seen(seen) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::action::wire::parse;
    use crate::kinds::action::{LEGACY, PHONE};

    /// Verify needs feedback from the moment the former version runs, if that version sends through it.
    #[test]
    fn the_step_back_says_whether_verify_sends_then() {
        let was = "473d2113-8e1e-4530-bd56-16ddda91e4b0";
        let mut entry = Entry::created("action", [("id".to_owned(), "a-1".to_owned())].into());
        entry.ownership = Ownership::Adopted;
        entry.restore.insert(VERSION.into(), json!(was));
        let secret = json!({ "name": "TWILIO_VERIFY_SID", "updated_at": "2026-01-01T00:00:00Z" });
        for (row, fact) in [
            (&PHONE, Fact::ActionVerifies as fn(bool) -> Fact),
            (&LEGACY, Fact::LegacyVerifies as fn(bool) -> Fact),
        ] {
            for (runs_with_verify, verifies) in [(false, true), (true, false), (true, true), (false, false)] {
                let secrets = if runs_with_verify { json!([secret]) } else { json!([]) };
                let live = json!({ "id": "v-2", "code": "", "secrets": secrets });
                let mut seen = parse(&json!({ "id": "a-1", "name": "Acme", "deployed_version": live }));
                let code = Some(String::new());
                let former = Former { code, is_back: false, secret_dates: None, verifies };
                seen.keep(|own: &mut Own| own.former = Some(former));
                let step = step_back(row, &row.name.into(), &seen, &entry).expect("a way back");
                let changes = runs_with_verify != verifies;
                assert_eq!(step.effects.has(&fact(verifies)), changes, "{runs_with_verify} {verifies}");
                assert!(!step.effects.has(&fact(!verifies)), "{runs_with_verify} {verifies}");
            }
        }
    }
}

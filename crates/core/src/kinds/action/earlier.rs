//! The version of an Action that ran before the last run. A rollback deploys it again, or sends its code anew.
//!
//! Secrets belong to a version and come back with it ("Auth0 docs, manage versions of Actions", 2026-08), and nobody can
//! read them. So the version itself runs again only if the record proves that its secrets are those that the manifest
//! has now, and that the Verify service among them is there. In any other case its code is sent with the secrets of the
//! manifest, which are tried before, as a new version.

use serde_json::{Map, Value as Json, json};

use super::act::Act;
use super::build::{DEPLOY_PAUSE_MS, SETTLE_LOOKS, wait_until_deployed};
use super::former::{is_as_planned, runs_anew};
use super::row::Action;
use super::version::{Content, Earlier, content};
use super::wire::{Own, RUNTIMES, own_state};
use crate::kinds::remote::actions::read_action;
use crate::kinds::remote::versions::{VERIFY_SID, verifies};
use crate::kinds::said::verify_service::NAME as SERVICE;
use crate::kinds::said::{code_limits, rate_limits};
use crate::kinds::{Back, Done, Kind as _, Run, Seen, WayBack, is_id, step, text};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::facts::{ActionState, Facts};
use crate::model::last_run::{Changed, How};
use crate::model::ledger::{Entry, Last, compact};
use crate::model::plan::{Op, Stage, Verb};
use crate::model::value::Value;
use crate::port::{Reader, Writer};

/// Reads the version that ran before the last run.
pub(super) async fn read(changed: &Changed, seen: &mut Seen, reader: &Reader) -> Result<(), Failed> {
    let Some((id, version)) = seen.ids.get("id").zip(changed.version.as_ref()).filter(|_| seen.exists) else {
        return Ok(());
    };
    let own = own_state(seen);
    if let Some(live) = own.live.clone().filter(|_| *version == own.version) {
        let earlier = Earlier { content: live, verifies: own.live_verifies };
        seen.keep(|own: &mut Own| own.earlier = Some(earlier));
        return Ok(());
    }
    if !is_id(version) {
        return Ok(());
    }
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}");
    match reader.get(&Get::whole(Api::Auth0, path)).await {
        Ok(found) if text(&found, "id") != version => Ok(()),
        Ok(found) => {
            let earlier = Earlier { content: content(&found), verifies: verifies(&found) };
            seen.keep(|own: &mut Own| own.earlier = Some(earlier));
            Ok(())
        }
        Err(failed) if matches!(failed.status(), Some(400 | 404)) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// What becomes of the running version.
enum Way<'a> {
    /// What ran before the last run is live. Holds what a person should know.
    Live(Option<&'static str>),
    /// The running version stays. Holds why.
    Stays(String),
    /// The earlier version is deployed again.
    Again(&'a Earlier),
    /// Its code is sent with the secrets of the manifest. Holds why the version itself does not run again.
    Anew(&'a Earlier, String),
}

/// The steps that let the code run again that ran before the last run.
pub(super) fn back(row: &Action, back: &Back<'_>) -> WayBack {
    if back.changed.how == How::Created {
        return WayBack { steps: row.removal(back.address, back.seen, back.entry), ..WayBack::default() };
    }
    let own = own_state(back.seen);
    let there = |field: &str| back.seen.attrs.get(field).and_then(Value::known);
    let is_renamed = back.entry.restore.get("name").is_some_and(|name| there("name") != Some(name));
    let stays = is_renamed.then(|| "its name stays, because it is the name by which it is found".to_owned());
    let mut out = WayBack { stays: Some(stays.into_iter().collect()), ..WayBack::default() };
    let version = back.changed.version.as_deref().unwrap_or_default();
    let update =
        |stage, what: &str, act| step(back.address, row.name, Verb::Update, stage, what, Op::of(act));
    let (earlier, has_sid) = match way(back, &own, version) {
        Way::Live(note) => {
            out.notes.extend(note.map(str::to_owned));
            return out;
        }
        Way::Stays(why) => {
            out.stays.get_or_insert_default().push(why);
            return out;
        }
        Way::Again(earlier) => {
            let act = Act::EarlierVersion { version: version.to_owned() };
            let mut again = update(row.stages.deploy, "deploy the version that ran before the last run", act);
            again.op = again.op.writing(values(back, earlier));
            let service = if earlier.verifies { ", and their Verify service is there" } else { "" };
            again.reason = format!(
                "by the record, version {version} has the secrets of the version that runs now{service}"
            );
            out.steps.push(again);
            (earlier, earlier.verifies)
        }
        Way::Anew(earlier, why) => {
            let act = Act::Draft { secrets: true };
            let what = "put the code from before the last run with the secrets of the manifest, and build it";
            let mut draft = update(row.stages.draft, what, act);
            draft.op = draft.op.writing(values(back, earlier));
            draft.reason = format!("version {version} itself does not run again: {why}");
            let mut deploy = update(row.stages.deploy, "deploy", Act::Deploy);
            deploy.reason = "only a deployed version runs".into();
            out.steps.extend([draft, deploy]);
            (earlier, back.desired.contains_key(&format!("secrets.{VERIFY_SID}")))
        }
    };
    if let Some(deploys) = out.steps.last_mut() {
        deploys.effects =
            Facts::from([(row.fact)(ActionState::Deployed), (row.fact_of_code)(&earlier.content.code)]);
        if let Some(fact) = row.verifies.filter(|_| has_sid != own.live_verifies) {
            deploys.effects.insert(fact(has_sid));
        }
        if deploys.stage == Stage::DeployRules {
            deploys.danger = Some("the rules from before the last run decide about logins again".into());
        }
    }
    out
}

fn way<'a>(back: &Back<'_>, own: &'a Own, version: &str) -> Way<'a> {
    const DRAFT: &str = "its draft stays as the last run left it; what ran before the last run is live";
    let is_same = |live: &Content, earlier: &Earlier| {
        let Content { code, runtime, dependencies, secrets: _ } = &earlier.content;
        live.code == *code && live.runtime == *runtime && live.dependencies == *dependencies
    };
    let is_back = own.earlier.as_ref().zip(own.live.as_ref()).is_some_and(|(then, now)| is_same(now, then));
    if own.version == version && !version.is_empty() || is_back {
        // The draft of a run that died before its deployment goes back with the version that runs.
        return match own.earlier.as_ref().filter(|_| super::needs_deploy(back.seen)) {
            None => Way::Live(None),
            Some(live) if is_as_left(back, own, live) && unproven(back, live).is_none() => Way::Again(live),
            Some(_) => Way::Live(Some(DRAFT)),
        };
    }
    let Some(earlier) = &own.earlier else {
        return Way::Stays(match version {
            "" => "no version of it ran before the last run".into(),
            gone => format!(
                "the version that ran before the last run ({gone}) is gone: Auth0 does not give it, and keeps 50"
            ),
        });
    };
    if !is_as_left(back, own, earlier) {
        return Way::Stays(
            "somebody else has changed its draft or deployed other code since the last run".into(),
        );
    }
    if let Some(name) = lacking_limit(back, own, earlier) {
        return Way::Stays(format!(
            "its code passes the rate limit {name}, which the Verify service may not have; Verify would refuse each send"
        ));
    }
    match unproven(back, earlier) {
        None => Way::Again(earlier),
        Some(why) => match not_sendable(back, own, earlier) {
            Some(not) => Way::Stays(format!("{why}, and its code cannot be sent anew: {not}")),
            None => Way::Anew(earlier, why),
        },
    }
}

/// A rate limit that the earlier code passes, and that neither is known to be there nor is passed by the running code.
fn lacking_limit(back: &Back<'_>, own: &Own, earlier: &Earlier) -> Option<String> {
    let passed = code_limits::names(&earlier.content.code)?;
    let now = own.live.as_ref().and_then(|live| code_limits::names(&live.code)).unwrap_or_default();
    let is_there = |name: &String| {
        back.all.get(&Address::named(rate_limits::KIND, name)).is_some_and(|limit| limit.exists)
    };
    passed.into_iter().find(|name| !now.contains(name) && !is_there(name))
}

/// Whether draft and running version are as the last run or the one before it left them.
fn is_as_left(back: &Back<'_>, own: &Own, earlier: &Earlier) -> bool {
    let set = |field: &str, there: &Json| {
        let by_run = back.changed.fields.get(field).and_then(|former| former.set.clone());
        let on_record = match back.recorded.and_then(|entry| entry.fields.get(field)) {
            Some(Last::Plain(last)) => Some(last.clone()),
            _ => None,
        };
        [by_run, on_record].into_iter().flatten().any(|set| set == compact(there))
    };
    let code = json!(earlier.content.code);
    let of_run = |code_there: &Json| *code_there == code || set("code", code_there);
    let draft = back.seen.attrs.get("code").and_then(Value::known);
    draft.is_none_or(of_run) && own.live.as_ref().is_none_or(|live| of_run(&json!(live.code)))
}

/// Why the record does not prove that the secrets of the version and its Verify service live, in words. `None`: it does.
fn unproven(back: &Back<'_>, earlier: &Earlier) -> Option<String> {
    let Some(recorded) = back.recorded.filter(|entry| !entry.unproven) else {
        return Some("no sealed record says which secrets it has".into());
    };
    let name_of = |field: &String| field.strip_prefix("secrets.").map(str::to_owned);
    if let Some(name) = back.changed.fields.keys().find_map(name_of) {
        return Some(format!("the last run replaced its secret {name}"));
    }
    let secrets = &earlier.content.secrets;
    let known: Vec<String> = recorded.fields.keys().filter_map(name_of).collect();
    if !known.iter().eq(secrets.keys()) {
        return Some("its secrets have other names than those on record".into());
    }
    if let Some(name) =
        secrets.iter().find(|(name, at)| !is_of_record(recorded, name, at)).map(|(name, _)| name)
    {
        return Some(format!("the record does not say which value of the secret {name} it has"));
    }
    let sid = back.desired.get(&format!("secrets.{VERIFY_SID}")).and_then(plain);
    let service = back.all.get(SERVICE).filter(|service| service.exists);
    let is_there =
        sid.is_some() && service.and_then(|service| service.ids.get("sid")).map(String::as_str) == sid;
    if earlier.verifies && !is_there {
        return Some("its Verify service is not one that this stack has on record and that is there".into());
    }
    let other = secrets.keys().find(|name| !(back.is_recorded)(&format!("secrets.{name}")));
    other.map(|name| format!("the manifest has another value of the secret {name} than the record"))
}

/// Whether the secret of a version was written when the secret on record was.
fn is_of_record(recorded: &Entry, name: &str, at: &Json) -> bool {
    match recorded.fields.get(&format!("secrets.{name}")) {
        Some(Last::Print { stamp, .. }) => at.is_string() && (stamp["draft"] == *at || stamp["live"] == *at),
        _ => false,
    }
}

fn plain(value: &Value) -> Option<&str> {
    match value {
        Value::Secret(secret) => Some(secret.expose()),
        value => value.as_str(),
    }
}

/// Why the earlier code cannot be sent with the secrets of the manifest, in words.
fn not_sendable(back: &Back<'_>, own: &Own, earlier: &Earlier) -> Option<String> {
    if !back.desired.contains_key("name") {
        return Some("the manifest does not declare the Action any more".into());
    }
    let has = |name: &&String| back.desired.contains_key(&format!("secrets.{name}"));
    let missing: Vec<&str> =
        earlier.content.secrets.keys().filter(|name| !has(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Some(format!("the manifest does not have its secrets {}", missing.join(", ")));
    }
    let secrets = back.desired.iter().filter(|(field, _)| field.starts_with("secrets."));
    if let Some((field, _)) = secrets.into_iter().find(|(_, value)| plain(value).is_none()) {
        return Some(format!(
            "{field} has no value, because what it refers to is gone: an apply makes it anew"
        ));
    }
    let others = &own.foreign_secrets;
    (!others.is_empty())
        .then(|| format!("that would drop secrets that only the tenant has: {}", others.join(", ")))
}

/// The values of the earlier version, by field; null takes a package away.
fn values(back: &Back<'_>, earlier: &Earlier) -> Map<String, Json> {
    let Content { code, runtime, dependencies, secrets: _ } = &earlier.content;
    let gone = back.seen.attrs.keys().filter(|field| field.starts_with("dependencies."));
    let mut values: Map<String, Json> = gone.map(|field| (field.clone(), Json::Null)).collect();
    values
        .extend(dependencies.iter().map(|(name, version)| (format!("dependencies.{name}"), version.clone())));
    values.insert("code".into(), json!(code));
    values.insert("runtime".into(), json!(RUNTIMES.ours(runtime)));
    values
}

/// Deploys the earlier version, if the Action is unchanged since the plan, and what it sends with is there.
pub(super) async fn run(
    row: &Action,
    run: &Run<'_>,
    version: &str,
    writer: &mut Writer,
) -> Result<Done, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    writer.checked(is_as_planned(run, &id, writer.reader())).await?;
    if let Some(ready) = row.ready {
        writer.checked(ready(run, writer.reader())).await?;
    }
    let path = format!("/api/v2/actions/actions/{id}/versions/{version}/deploy");
    let made = writer.json(Method::Post, path, json!({ "update_draft": true }), Repeat::NeverBlind).await?;
    Ok(Done::seen(wait_until_deployed(row, run, &id, text(&made, "id"), writer.reader()).await?))
}

/// Looks for the deployment after its answer was lost. Reads show a deployment only after a while, and a repeated
/// deployment would make another version.
pub(super) async fn settle(row: &Action, run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let id = run.seen.ids.get("id").cloned().unwrap_or_default();
    for _ in 0..SETTLE_LOOKS {
        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
        let seen = row.read(&reader.fresh(&read_action(&id)).await?, super::name_of(run.desired));
        if runs_anew(&seen, run.seen) {
            return Ok(Some(Done::seen(seen)));
        }
    }
    Ok(None)
}

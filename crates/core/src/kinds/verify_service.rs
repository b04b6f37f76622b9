//! The Twilio Verify service: its brand name, code length and channel settings.
//!
//! Names are not unique and there is no field to mark ownership with, so the SID is kept in the ledger or pinned in
//! the manifest; a service is never picked by its name alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::identity::{self, Candidate, Clues, Meant, Recorded};
use super::verify_fields::{MAY_BE_HIDDEN, Own, SECTION, form, normalise, parse};
use super::{
    Diff, Done, Hint, Kind, Resource, Run, Seen, Task, Whose, feedback_function, step, text, verify_template,
};
use crate::diag::{Problem, codes};
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::facts::{Fact, Facts};
use crate::model::field::Section;
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct VerifyService;

/// Name of the kind, and address of its one resource.
pub const NAME: &str = "verify_service";

static SECTIONS: &[&Section] = &[&SECTION];

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Create,
    /// Sends these fields as they are wanted.
    Update {
        fields: Vec<String>,
    },
    Restore,
    Delete,
}

impl Kind for VerifyService {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        "/v2/Services"
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let Some(attrs) = manifest.section(NAME) else { return Vec::new() };
        let desired: Attrs = attrs
            .iter()
            .filter(|(key, _)| key.as_str() != "sid" && !is_below(key))
            .map(|(key, value)| (key.clone(), normalise(key, value.clone())))
            .collect();
        vec![Resource { address: NAME.to_owned(), kind: NAME, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let is = |key: &str, wanted: bool| manifest.get(NAME, key) == Some(&Value::Known(Json::Bool(wanted)));
        if is("custom_code_enabled", false) {
            out.push(Problem::error(
                codes::UNSAFE,
                "verify_service.custom_code_enabled",
                "custom codes are off",
                "every message would fail: Auth0 makes the code and Verify refuses it",
                "remove this line",
            ));
        }
        let may_look = matches!(manifest.get(NAME, "lookup_enabled"), Some(Value::Unknown(_)));
        if is("skip_sms_to_landlines", true) && !is("lookup_enabled", true) && !may_look {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.skip_sms_to_landlines",
                "landlines cannot be told apart",
                "needs lookup_enabled: true",
                "add `lookup_enabled: true`",
            ));
        }
        exclusive(manifest, out);
        email(manifest, out);
        if is("psd2_enabled", true)
            && manifest.set("phone", "channels").iter().any(|channel| channel == "voice")
        {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.psd2_enabled",
                "payment confirmations exclude calls",
                "phone.channels has voice",
                "remove voice from phone.channels, or psd2_enabled",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        let mut gets = verify_template::prefetch(manifest);
        gets.extend(pinned(manifest).map(one));
        gets
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let mut seen = find(&hint, reader).await?;
            verify_template::look(&mut seen, &hint, reader).await?;
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if !diff.seen.exists {
            let op = Op::of(Act::Create);
            let mut step = diff.step(Verb::Create, Stage::Foundation, "create the service", op);
            step.reason = "it does not exist".into();
            if diff.entry.is_some() {
                step.reason = "it was deleted outside; a new one has another SID".into();
            }
            step.creates = true;
            step.effects = Facts::from([Fact::Service(Some(true))]);
            return vec![step];
        }
        if diff.changes.is_empty() {
            return Vec::new();
        }
        let op =
            Op::of(Act::Update { fields: diff.changes.iter().map(|change| change.field.clone()).collect() });
        let mut step = diff.step(Verb::Update, Stage::Foundation, "update the service", op);
        step.reason = diff.changed_names();
        step.effects = Facts::from([Fact::Service(Some(true))]);
        vec![step]
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        if entry.ownership == crate::model::ledger::Ownership::Created {
            let mut step = step(
                address,
                NAME,
                Verb::Delete,
                Stage::RemoveFoundation,
                "delete the service",
                Op::of(Act::Delete),
            );
            step.reason = "it was created by this stack".into();
            step.danger = Some("its SID never comes back, and nothing can send through it any more".into());
            step.effects = Facts::from([Fact::Service(Some(false))]);
            return vec![step];
        }
        restore_step(address, seen, entry).into_iter().collect()
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self, _address: &str, seen: &Seen) -> Facts {
        let custom = seen.attrs.get("custom_code_enabled") == Some(&Value::Known(json!(true)));
        Facts::from([Fact::Service(Some(seen.exists && custom))])
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let sid = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
            let path = format!("/v2/Services/{sid}");
            let reply = match run.act()? {
                Act::Create => {
                    let desired = verify_template::with_sid(run.desired, run.seen);
                    let body = Body::Form(form(&desired));
                    writer.send(write(Method::Post, "/v2/Services".into(), body, Repeat::NeverBlind)).await?
                }
                Act::Update { fields } => {
                    let mut desired = run.desired.clone();
                    desired.retain(|key, _| fields.contains(key));
                    let body = Body::Form(form(&verify_template::with_sid(&desired, run.seen)));
                    writer.send(write(Method::Post, path, body, Repeat::Safe)).await?
                }
                Act::Restore => {
                    let values = run.step.op.values.iter().flatten();
                    let attrs: Attrs = values.map(|(k, v)| (k.clone(), Value::Known(v.clone()))).collect();
                    writer.send(write(Method::Post, path, Body::Form(form(&attrs)), Repeat::Safe)).await?
                }
                Act::Delete => {
                    return match writer.send(write(Method::Delete, path, Body::None, Repeat::Safe)).await {
                        Ok(_) => Ok(Done::seen(Seen::default())),
                        Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                        // Whether a service goes with what is in it is not documented.
                        Err(Failed::Refused(mut refusal)) if matches!(refusal.status, 400 | 409) => {
                            refusal.message += " (if the service still holds rate limits or messaging configurations, \
                                                which no record knows, delete those and run this again)";
                            Err(Failed::Refused(refusal))
                        }
                        Err(failed) => Err(failed),
                    };
                }
            };
            let mut seen = parse(&reply);
            verify_template::carry(&mut seen, &run);
            if !seen.ids.get("sid").is_some_and(|sid| super::is_sid(sid, "VA")) {
                return Err(Failed::Unknown("the reply holds no service SID".into()));
            }
            let account = run.manifest.text("twilio", "account_sid");
            let answered = seen.ids.get("account_sid").filter(|sid| !sid.is_empty());
            if let (Some(account), Some(answered)) = (account, answered)
                && account != answered
            {
                return Err(Failed::Misread(format!(
                    "the Twilio credentials belong to account {answered}, and the manifest names {account}"
                )));
            }
            sends_custom_codes(run.desired, &seen)?;
            Ok(Done::seen(seen))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let deletes = match run.act()? {
                Act::Create => return made(&run, reader).await,
                Act::Update { .. } | Act::Restore => false,
                Act::Delete => true,
            };
            let sid = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
            match reader.fresh(&one(sid)).await {
                Ok(_) if deletes => Ok(None),
                Ok(service) => {
                    let mut seen = parse(&service);
                    verify_template::carry(&mut seen, &run);
                    let there = |key: &str| seen.attrs.get(key).and_then(Value::known);
                    let settled = run.desired.iter().all(|(key, value)| seen.attrs.get(key) == Some(value))
                        && run.step.op.values.iter().flatten().all(|(key, old)| there(key) == Some(old));
                    Ok(settled.then(|| Done::seen(seen)))
                }
                Err(failed) if failed.status() == Some(404) => {
                    Ok(deletes.then(|| Done::seen(Seen::default())))
                }
                Err(failed) => Err(failed),
            }
        })
    }

    fn write_only(&self, field: &str) -> bool {
        MAY_BE_HIDDEN.contains(&field.split('.').next().unwrap_or_default())
    }

    fn refusals(&self, diff: &Diff<'_>, steps: &[Step]) -> Vec<Finding> {
        let hidden = |field: &str| matches!(diff.seen.attrs.get(field), Some(Value::Unknown(_)));
        let lost: Vec<&str> =
            diff.changes.iter().map(|change| change.field.as_str()).filter(|field| hidden(field)).collect();
        let finding = || Finding {
            address: diff.address.to_owned(),
            text: format!(
                "the API does not show what stands in {}, so it is sent as wanted",
                lost.join(", ")
            ),
            help: "what was there before cannot be put back by destroy".into(),
            level: Level::Note,
        };
        let lost = (!lost.is_empty() && diff.entry.is_none()).then(finding);
        lost.into_iter().chain(unproven(diff, steps)).collect()
    }

    /// The template's name stands for its SID, which is put back.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let known = |(key, value): (&String, &Value)| Some((key.clone(), value.known()?.clone()));
        seen.attrs.iter().filter(|(key, _)| *key != verify_template::BY_NAME).filter_map(known).collect()
    }
}

/// The service that a create made whose answer was lost.
async fn made(run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let list = reader.fresh(&list()).await?;
    let name = run.desired.get("friendly_name").and_then(Value::as_str).unwrap_or_default();
    let fresh: Vec<&Json> = services(&list)?
        .iter()
        .filter(|service| text(service, "friendly_name") == name)
        .filter(|service| !run.seen.beside.iter().any(|sid| sid == text(service, "sid")))
        .collect();
    match fresh.as_slice() {
        [] => Ok(None),
        [service] => {
            let seen = parse(service);
            sends_custom_codes(run.desired, &seen)?;
            Ok(Some(Done::seen(seen)))
        }
        several => {
            let sids: Vec<&str> = several.iter().map(|service| text(service, "sid")).collect();
            Err(Failed::Unknown(format!(
                "several new services named {name:?} exist: {}; pin the right one with verify_service.sid",
                sids.join(", ")
            )))
        }
    }
}

/// Some accounts may lack the entitlement, and then every message of Auth0 would fail (60204).
fn sends_custom_codes(desired: &Attrs, seen: &Seen) -> Result<(), Failed> {
    let is = |attrs: &Attrs, on: bool| attrs.get("custom_code_enabled") == Some(&Value::Known(json!(on)));
    if is(desired, true) && is(&seen.attrs, false) {
        return Err(Failed::Misread(format!(
            "service {} reads back custom_code_enabled = false although true was sent: the account may lack custom codes; \
             switch them on in the Twilio console (Verify, Services, this service) and apply again",
            seen.ids.get("sid").map(String::as_str).unwrap_or_default()
        )));
    }
    Ok(())
}

/// SID that the record has. An entry without one was not written by us, and is as good as none.
fn recorded<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    hint.entry
        .filter(|entry| !entry.unproven || hint.want.is_none())
        .and_then(|entry| entry.ids.get("sid"))
        .map(String::as_str)
        .filter(|sid| super::is_sid(sid, "VA"))
}

/// The service's SID as far as no read is needed, in order of trust: pinned in the manifest, kept in the record.
/// Without both, what the variables of the stack's Function say picks among services of the wanted name. What is only
/// taken away is what the record says, whatever is pinned by now.
fn known_sid<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    let pinned = pinned(hint.manifest).filter(|_| hint.want.is_some() || hint.entry.is_none());
    pinned.or(recorded(hint))
}

/// Another service was pinned than the one on record: nothing of the record is about it, and the old one is left alone.
fn stays_behind(seen: &mut Seen, hint: &Hint<'_>, ours: &str) {
    seen.whose = Whose::Another;
    seen.finding(
        hint.address,
        Level::Warning,
        format!("another service is pinned than the one on record, and {ours} stays behind as it is"),
        "delete it by hand once nothing sends through it, or take verify_service.sid out again to go back to it",
    );
}

/// Finds the service: by SID, by the trace of a run that was killed, or not at all.
pub async fn find(hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    if let Some(sid) = known_sid(hint) {
        match reader.get(&one(sid)).await {
            Ok(service) if text(&service, "sid") != sid => {
                return Err(Failed::Misread(format!(
                    "GET /v2/Services/{sid}: not the service that was asked for"
                )));
            }
            Ok(service) => {
                let mut seen = parse(&service);
                match recorded(hint) {
                    Some(ours) if ours == sid => {}
                    Some(ours) => stays_behind(&mut seen, hint, ours),
                    None => seen.whose = Whose::Unowned,
                }
                return Ok(seen);
            }
            Err(failed) if failed.status() == Some(404) => {
                let mut seen = Seen::default();
                if recorded(hint) != Some(sid) {
                    seen.finding(
                        hint.address,
                        Level::Blocker,
                        format!("the pinned service {sid} does not exist in this account"),
                        "correct verify_service.sid, or remove it to create a service",
                    );
                    return Ok(seen);
                }
            }
            Err(failed) => return Err(failed),
        }
    }
    let name = hint.want.and_then(|want| want.desired.get("friendly_name")).and_then(Value::as_str);
    let Some(name) = name else { return Ok(Seen::default()) };
    let list = reader.get(&list()).await?;
    let named: Vec<&Json> =
        services(&list)?.iter().filter(|service| text(service, "friendly_name") == name).collect();
    let mut seen = Seen::default();
    let sids: Vec<&str> = named.iter().map(|service| text(service, "sid")).collect();
    // Of whatever name: until the record is complete the manifest may name another one.
    seen.beside = services(&list)?.iter().map(|service| text(service, "sid").to_owned()).collect();
    let candidate =
        |service| Candidate { id: text(service, "sid"), name: text(service, "friendly_name"), matches: true };
    let candidates: Vec<_> = services(&list)?.iter().map(candidate).collect();
    // What is on record is gone, or it would have been found by its SID.
    let clues = Clues { recorded: Recorded::Nothing, ..hint.clues("sid", "friendly_name") };
    match identity::meant(&clues, &candidates) {
        Meant::One(at, Whose::Resumed) => {
            return Ok(Seen { whose: Whose::Resumed, ..parse(&services(&list)?[at]) });
        }
        Meant::Ambiguous(those) if clues.is_new(candidates[those[0]].id) => {
            let name = candidates[those[0]].name;
            let several: Vec<&str> = those.iter().map(|at| candidates[*at].id).collect();
            seen.finding(
                hint.address,
                Level::Blocker,
                format!(
                    "more than one service named {name:?} appeared since the last run began: {}",
                    several.join(", ")
                ),
                "pin the right one with verify_service.sid and delete the others",
            );
            return Ok(seen);
        }
        // Of the name alone, which says too little: what else there is to know of them is asked for below.
        Meant::One(..) | Meant::Ambiguous(_) | Meant::Absent => {}
    }
    let wants_new = hint.manifest.text(NAME, "sid") == Some("new");
    // Without a record, the stack's own Function says which of them it reports to.
    if recorded(hint).is_none() && !named.is_empty() && !wants_new {
        let told = feedback_function::verify_sid(hint.manifest, reader).await;
        let ours = named.iter().find(|service| told.as_deref() == Some(text(service, "sid")));
        if let Some(service) = ours {
            return Ok(Seen { whose: Whose::Unowned, ..parse(service) });
        }
        // A record that nothing proves and the name agree on the only one of that name: good for comparing.
        let said = hint.unproven_id("sid");
        if let ([service], true) = (named.as_slice(), sids.iter().any(|sid| Some(*sid) == said)) {
            return Ok(Seen { whose: Whose::Unproven, ..parse(service) });
        }
    }
    let said = hint.unproven_id("sid");
    if let Some(service) =
        said.and_then(|said| services(&list).ok()?.iter().find(|one| text(one, "sid") == said))
    {
        let finding = unproven_finding(hint.address, text(service, "friendly_name"), text(service, "sid"));
        seen.findings.push(finding);
        return Ok(seen);
    }
    let may_create = wants_new && (hint.has_ledger || !traces(hint.manifest, reader).await);
    if recorded(hint).is_none() && !named.is_empty() && wants_new && !may_create {
        seen.finding(
            hint.address,
            Level::Blocker,
            format!(
                "no record is there, an Action of this stack is, and the account has a service named {name:?}: {}",
                sids.join(", ")
            ),
            "it may be the one that the Action uses: write verify_service.sid: VA… instead of new, or delete the Action",
        );
    } else if recorded(hint).is_none() && !named.is_empty() && !may_create {
        seen.finding(
            hint.address,
            Level::Blocker,
            format!("the account already has a service named {name:?}: {}", sids.join(", ")),
            "names are not unique: write verify_service.sid: VA… to take one over, or sid: new to create another",
        );
    }
    Ok(seen)
}

fn exclusive(manifest: &Manifest, out: &mut Vec<Problem>) {
    let [name, sid] = [verify_template::BY_NAME, verify_template::BY_SID];
    if manifest.get(NAME, name).is_some() && manifest.get(NAME, sid).is_some() {
        out.push(Problem::error(
            codes::CONFLICT,
            format!("{NAME}.{name}"),
            "the template is given twice",
            format!("{sid} gives it too"),
            "keep one of the two",
        ));
    }
}

/// Twilio takes the three together or none of them (60253).
fn email(manifest: &Manifest, out: &mut Vec<Problem>) {
    let keys = ["email.from", "email.from_name", "email.content_template_id"];
    let set = |key: &&str| manifest.get(NAME, key).is_some_and(|value| value.as_str() != Some(""));
    let missing: Vec<&str> = keys.iter().filter(|key| !set(key)).copied().collect();
    let named = keys.iter().filter(|key| manifest.get(NAME, key).is_some()).count();
    let partial = (1..keys.len()).contains(&missing.len()) || (1..keys.len()).contains(&named);
    if partial {
        out.push(Problem::error(
            codes::CONFLICT,
            format!("{NAME}.email"),
            "the email sender is not complete",
            format!(
                "from, from_name and content_template_id go together (60253); missing: {}",
                missing.join(", ")
            ),
            "give all three, or write \"\" for all three to clear them",
        ));
    }
}

fn restore_step(address: &str, seen: &Seen, entry: &Entry) -> Option<Step> {
    let by_name = entry.fields.contains_key(verify_template::BY_NAME);
    let values: BTreeMap<String, Json> = entry
        .restore
        .iter()
        // What we never managed may be somebody else's by now.
        .filter(|(key, _)| entry.fields.contains_key(*key) || *key == verify_template::BY_SID && by_name)
        .filter(|(_, old)| !old.is_null())
        // With custom codes off, whoever sends through the service by now would stop sending.
        .filter(|(key, old)| *key != "custom_code_enabled" || **old == json!(true))
        .filter(|(key, old)| seen.attrs.get(*key).and_then(Value::known) != Some(*old))
        .map(|(key, old)| (key.clone(), old.clone()))
        .collect();
    if values.is_empty() {
        return None;
    }
    let mut step = step(
        address,
        NAME,
        Verb::Update,
        Stage::RemoveFoundation,
        "put the former settings back",
        Op::of(Act::Restore).writing(values),
    );
    step.reason = "it was there before this stack".into();
    Some(step)
}

/// Names are not unique, so a service that only a record without proof and its name point to is not written to.
pub(super) fn unproven(diff: &Diff<'_>, steps: &[Step]) -> Option<Finding> {
    let service = diff.all.get(NAME).filter(|seen| seen.whose == Whose::Unproven && !steps.is_empty())?;
    let sid = service.ids.get("sid").map(String::as_str).unwrap_or_default();
    let name = service.attrs.get("friendly_name").and_then(Value::as_str).unwrap_or_default();
    Some(unproven_finding(diff.address, name, sid))
}

fn unproven_finding(address: &str, name: &str, sid: &str) -> Finding {
    Finding {
        address: address.to_owned(),
        text: format!(
            "the record says that the service {name:?} ({sid}) is this stack's, and nothing proves the record"
        ),
        help: format!(
            "if it is, write verify_service.sid: {sid} into the manifest; if not, delete the Action that holds the record"
        ),
        level: Level::Blocker,
    }
}

/// Whether a key of the section belongs to a resource of its own.
fn is_below(key: &str) -> bool {
    ["rate_limits.", "messaging_configurations."].iter().any(|prefix| key.starts_with(prefix))
}

/// When the service was made, as Twilio writes it.
pub fn made_at(seen: &Seen) -> String {
    seen.own::<Own>().map(|own| own.made_at.clone()).unwrap_or_default()
}

/// The SID that the manifest pins.
pub fn pinned(manifest: &Manifest) -> Option<&str> {
    manifest.text(NAME, "sid").filter(|sid| *sid != "new")
}

/// Whether the tenant holds our Action although no ledger says so: then the stack was here before, and a second
/// service would be a duplicate.
async fn traces(manifest: &Manifest, reader: &Reader) -> bool {
    let phone = [&super::action::PHONE, &super::action::LEGACY];
    match reader.get(&super::action::list()).await {
        Ok(list) => super::action::items(&list).map_or(true, |actions| {
            actions.iter().any(|action| phone.iter().any(|row| row.is_called(manifest, text(action, "name"))))
        }),
        Err(_) => true,
    }
}

fn one(sid: &str) -> Get {
    Get::whole(Api::Verify, format!("/v2/Services/{sid}"))
}

fn list() -> Get {
    Get { api: Api::Verify, path: "/v2/Services?PageSize=100".into(), paging: Paging::Next }
}

fn services(list: &Json) -> Result<&[Json], Failed> {
    super::entries(list.get("services"), &["/sid", "/friendly_name"], "GET /v2/Services")
}

fn write(method: Method, path: String, body: Body, repeat: Repeat) -> Write {
    Write { api: Api::Verify, method, path, body, repeat }
}

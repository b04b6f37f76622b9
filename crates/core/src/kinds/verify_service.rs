//! The Twilio Verify service: its brand name, code length and channel settings.
//!
//! Names are not unique, and no field can mark the owner of a service. The SID is therefore kept in the ledger or
//! pinned in the manifest. A service is never picked by its name alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::looks::verify_service::{find, find_used, unproven};
use super::remote::verify_service::{Own, form, list_services, parse, read_service, services};
use super::said::verify_service::{
    MAY_BE_HIDDEN, NAME, SECTION, USE, is_below, is_spared, is_used, pinned, used, wanted_service,
};
use super::{
    Back, Diff, Done, Hint, Kind, Resource, Run, Seen, Task, WayBack, is_sid, step, text, verify_template,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Repeat, Write};
use crate::model::facts::{Fact, Facts};
use crate::model::field::Section;
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Part, TENANTS, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct VerifyService;

static SECTIONS: &[&Section] = &[&SECTION];

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Create,
    /// Sends the desired values of these fields.
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
        wanted_service(manifest).into_iter().collect()
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
        if manifest.text(NAME, "sid") == Some("new") && manifest.get(NAME, "friendly_name").is_none() {
            out.push(Problem::error(
                codes::MISSING_KEY,
                "verify_service.friendly_name",
                "friendly_name is missing",
                "a service that is to be made needs a name",
                "add friendly_name: below verify_service:",
            ));
        }
        let may_look = matches!(manifest.get(NAME, "lookup_enabled"), Some(Value::Unknown(_)));
        if is("skip_sms_to_landlines", true) && !is("lookup_enabled", true) && !may_look {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.skip_sms_to_landlines",
                "landlines cannot be recognised without lookups",
                "skip_sms_to_landlines needs lookup_enabled: true",
                "add `lookup_enabled: true`",
            ));
        }
        check_use(manifest, out);
        check_template_keys(manifest, out);
        check_email_keys(manifest, out);
        if is("psd2_enabled", true)
            && manifest.set("phone", "channels").iter().any(|channel| channel == "voice")
        {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.psd2_enabled",
                "psd2_enabled does not allow voice calls",
                "phone.channels has voice",
                "remove voice from phone.channels, or psd2_enabled",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        if is_used(manifest) {
            return used(manifest).map(read_service).into_iter().collect();
        }
        let mut gets = verify_template::prefetch(manifest);
        gets.extend(pinned(manifest).map(read_service));
        gets
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            if hint.want.is_some() && is_used(hint.manifest) {
                return find_used(&hint, reader).await;
            }
            let mut seen = find(&hint, reader).await?;
            verify_template::check_template(&mut seen, &hint, reader).await?;
            Ok(seen)
        })
    }

    fn only_uses(&self, manifest: &Manifest) -> bool {
        is_used(manifest)
    }

    fn spares(&self, manifest: &Manifest, entry: &Entry) -> bool {
        is_spared(manifest, entry.ids.get("sid"))
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if is_used(diff.manifest) {
            return Vec::new();
        }
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

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
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
            step.danger = Some("its SID never comes back, and every sender that uses it fails".into());
            step.effects = Facts::from([Fact::Service(Some(false))]);
            return vec![step];
        }
        restore_step(address, seen, entry).into_iter().collect()
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self, _address: &Address, seen: &Seen) -> Facts {
        let custom = seen.attrs.get("custom_code_enabled") == Some(&Value::Known(json!(true)));
        let is_known = !seen.own::<Own>().is_some_and(|own| own.is_to_come);
        Facts::from([Fact::Service(is_known.then_some(seen.exists && custom))])
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
                        // Twilio does not document whether a service can be deleted while it holds other objects.
                        Err(Failed::Refused(mut refusal)) if matches!(refusal.status, 400 | 409) => {
                            refusal.message += " (if the service still holds rate limits or messaging configurations \
                                                that this stack does not manage, delete those and run this again)";
                            Err(Failed::Refused(refusal))
                        }
                        Err(failed) => Err(failed),
                    };
                }
            };
            let mut seen = parse(&reply);
            verify_template::carry_over(&mut seen, &run);
            if !seen.ids.get("sid").is_some_and(|sid| is_sid(sid, "VA")) {
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
                Act::Create => return find_created(&run, reader).await,
                Act::Update { .. } | Act::Restore => false,
                Act::Delete => true,
            };
            let sid = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
            match reader.fresh(&read_service(sid)).await {
                Ok(_) if deletes => Ok(None),
                Ok(service) => {
                    let mut seen = parse(&service);
                    verify_template::carry_over(&mut seen, &run);
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
            code: codes::CANNOT_PUT_BACK,
            address: diff.address.to_owned(),
            text: format!(
                "the API does not show the current value of {}, so the wanted value is sent",
                lost.join(", ")
            ),
            help: "what was there before cannot be put back by destroy".into(),
            level: Level::Note,
        };
        let lost = (!lost.is_empty() && diff.entry.is_none()).then(finding);
        lost.into_iter().chain(unproven(diff, steps)).collect()
    }

    fn shared_since(&self, seen: &Seen) -> Option<String> {
        Some(seen.own::<Own>().map(|own| own.made_at.clone()).unwrap_or_default())
    }

    /// Leaves out the template's name, which no write puts back: the template's SID is another field.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        let named = entry.restore.remove(verify_template::BY_NAME);
        let there = back.seen.attrs.get(verify_template::BY_NAME).and_then(Value::known);
        let stays = named.filter(|named| there != Some(named));
        let stays = stays.map(|_| "default_template stays: name it in the manifest and apply".to_owned());
        WayBack {
            steps: self.removal(back.address, back.seen, &entry),
            notes: stays.into_iter().collect(),
            stays: None,
        }
    }

    /// Leaves out the template's name: the template's SID is put back instead.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let known = |(key, value): (&String, &Value)| Some((key.clone(), value.known()?.clone()));
        seen.attrs.iter().filter(|(key, _)| *key != verify_template::BY_NAME).filter_map(known).collect()
    }
}

/// Looks for the service that a create made although its reply was lost.
async fn find_created(run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let list = reader.fresh(&list_services()).await?;
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

/// Checks that the service takes custom codes. Some accounts may lack the entitlement, and then every message of Auth0
/// would fail (60204).
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

/// Keys that make a service of this stack, or objects below it, have no place beside `use`.
fn check_use(manifest: &Manifest, out: &mut Vec<Problem>) {
    let Some(value) = manifest.get(NAME, USE) else { return };
    let of_ours = |key: &&String| matches!(key.as_str(), "sid" | "default_template") || is_below(key);
    let tops = manifest.section(NAME).into_iter().flatten().map(|(key, _)| key);
    let tops: BTreeSet<&str> =
        tops.filter(of_ours).map(|key| key.split('.').next().unwrap_or_default()).collect();
    for key in tops {
        out.push(Problem::error(
            codes::CONFLICT,
            format!("{NAME}.{key}"),
            format!("{key} has no place beside {USE}"),
            "the service is one of others, and this stack changes nothing of it nor below it",
            match key {
                "sid" => "keep use to leave the service to others, or sid to manage it",
                "default_template" => {
                    "write default_template_sid, which is only checked, or remove this line"
                }
                _ => "move it to the manifest that manages the service",
            },
        ));
    }
    let is_of_this_stack =
        |part: &Part| matches!(part, Part::Output(output) if !output.resource.starts_with(TENANTS));
    let late = matches!(value, Value::Generated(_))
        || matches!(value, Value::Output(template) if template.parts.iter().any(is_of_this_stack));
    if late {
        out.push(Problem::error(
            codes::BAD_REFERENCE,
            format!("{NAME}.{USE}"),
            "use names something of this stack itself",
            "it names a service that is there and that others manage",
            "write its SID, ${env.NAME}, or in a fleet ${tenants.NAME.verify_service.sid}",
        ));
    }
}

fn check_template_keys(manifest: &Manifest, out: &mut Vec<Problem>) {
    let [name, sid] = [verify_template::BY_NAME, verify_template::BY_SID];
    if manifest.get(NAME, name).is_some() && manifest.get(NAME, sid).is_some() {
        out.push(Problem::error(
            codes::CONFLICT,
            format!("{NAME}.{name}"),
            format!("both {name} and {sid} are set"),
            "a service has one default template",
            "keep one of the two",
        ));
    }
}

/// Twilio takes all three keys of the email sender or none of them (60253).
fn check_email_keys(manifest: &Manifest, out: &mut Vec<Problem>) {
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

fn restore_step(address: &Address, seen: &Seen, entry: &Entry) -> Option<Step> {
    let by_name = entry.fields.contains_key(verify_template::BY_NAME);
    let values: BTreeMap<String, Json> = entry
        .restore
        .iter()
        // A field that this stack never managed may have somebody else's value by now.
        .filter(|(key, _)| entry.fields.contains_key(*key) || *key == verify_template::BY_SID && by_name)
        .filter(|(_, old)| !old.is_null())
        // Custom codes are never switched off: a sender that uses the service by now would fail.
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
    step.reason = "it existed before this stack".into();
    Some(step)
}

fn write(method: Method, path: String, body: Body, repeat: Repeat) -> Write {
    Write { api: Api::Verify, method, path, body, repeat }
}

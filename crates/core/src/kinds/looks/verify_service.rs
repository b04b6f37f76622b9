//! Finds the Verify service of this stack: a pinned one, the one on record, one that a killed run created, or the one
//! that the stack's own Function names.

use serde_json::Value as Json;

use super::trace;
use crate::kinds::identity::{self, Candidate, Clues, Meant};
use crate::kinds::remote::actions;
use crate::kinds::remote::verify_service::{Own, list_services, parse, read_service, services};
use crate::kinds::said::actions::{LEGACY, PHONE};
use crate::kinds::said::verify_service::{NAME, USE, pinned, said, used};
use crate::kinds::{Diff, Hint, Seen, Whose, is_sid, text};
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::codes;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Step};
use crate::model::value::Value;
use crate::port::Reader;

/// The SID on record. An unproven record counts only if the manifest wants no service. An entry without a valid SID was
/// not written by this program and counts as no entry.
fn recorded<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    hint.entry
        .filter(|entry| !entry.unproven || hint.want.is_none())
        .and_then(|entry| entry.ids.get("sid"))
        .map(String::as_str)
        .filter(|sid| is_sid(sid, "VA"))
}

/// The SID of the service, if it is known without a read. A pinned SID comes before the recorded one. But if the
/// manifest wants no service, the recorded one comes first, whatever the manifest pins.
fn known_sid<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    let pinned = pinned(hint.manifest).filter(|_| hint.want.is_some() || hint.entry.is_none());
    pinned.or(recorded(hint))
}

/// Notes that the manifest pins another service than the one on record. Nothing in the record is about the pinned
/// service, and the recorded one is left alone.
fn stays_behind(seen: &mut Seen, hint: &Hint<'_>, ours: &str) {
    seen.whose = Whose::Another;
    seen.finding(
        codes::PINS_ANOTHER, hint.address,
        Level::Warning,
        format!("the manifest pins another service than the one on record; {ours} is left as it is"),
        "delete it by hand once nothing sends through it, or take verify_service.sid out again to go back to it",
    );
}

/// Finds the service by its SID, by what a killed run left, or by the variables of the stack's Function. A service that
/// only has the wanted name is never taken: if it may be this stack's, a finding names it.
pub async fn find(hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    if let Some(sid) = known_sid(hint) {
        match reader.get(&read_service(sid)).await {
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
                        codes::NOT_THERE,
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
    let Some(name) = name else { return Ok(without_name(hint)) };
    let list = reader.get(&list_services()).await?;
    let named: Vec<&Json> =
        services(&list)?.iter().filter(|service| text(service, "friendly_name") == name).collect();
    let mut seen = Seen::default();
    let sids: Vec<&str> = named.iter().map(|service| text(service, "sid")).collect();
    // Services of every name count: the manifest may give the service another name before the record is complete.
    seen.beside = services(&list)?.iter().map(|service| text(service, "sid").to_owned()).collect();
    let candidate =
        |service| Candidate { id: text(service, "sid"), name: text(service, "friendly_name"), matches: true };
    let candidates: Vec<_> = services(&list)?.iter().map(candidate).collect();
    // A service on record would have been found by its SID, so it is gone.
    let clues = Clues { recorded: None, ..hint.clues("sid", "friendly_name") };
    match identity::meant(&clues, &candidates) {
        Meant::One(at, Whose::Resumed) => {
            return Ok(Seen { whose: Whose::Resumed, ..parse(&services(&list)?[at]) });
        }
        Meant::Ambiguous(those) if clues.is_new(candidates[those[0]].id) => {
            let name = candidates[those[0]].name;
            let several: Vec<&str> = those.iter().map(|at| candidates[*at].id).collect();
            seen.finding(
                codes::SEVERAL_FIT,
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
        // Any candidate here only has the wanted name, which says too little. Further evidence is looked for below.
        Meant::One(..) | Meant::Ambiguous(_) | Meant::Absent => {}
    }
    let wants_new = hint.manifest.text(NAME, "sid") == Some("new");
    // Without a record, the stack's own Function may name one of these services as the one that it reports to.
    if recorded(hint).is_none() && !named.is_empty() && !wants_new {
        let told = trace::verify_sid(hint.manifest, reader).await;
        let ours = named.iter().find(|service| told.as_deref() == Some(text(service, "sid")));
        if let Some(service) = ours {
            return Ok(Seen { whose: Whose::Unowned, ..parse(service) });
        }
        // An unproven record names the only service of this name. That is enough to compare the service, but not to
        // change it.
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
    let may_create = wants_new && (hint.has_ledger || !has_our_action(hint.manifest, reader).await);
    if recorded(hint).is_none() && !named.is_empty() && wants_new && !may_create {
        seen.finding(
            codes::NAME_TAKEN, hint.address,
            Level::Blocker,
            format!(
                "the stack's record is missing, but the tenant may have an Action of this stack, and the account \
                 has a service named {name:?}: {}",
                sids.join(", ")
            ),
            "it may be the one that the Action uses: write verify_service.sid: VA… instead of new, or delete the Action",
        );
    } else if recorded(hint).is_none() && !named.is_empty() && !may_create {
        seen.finding(
            codes::NAME_TAKEN, hint.address,
            Level::Blocker,
            format!("the account already has a service named {name:?}: {}", sids.join(", ")),
            "names are not unique: write verify_service.sid: VA… to take one over, or sid: new to create another",
        );
    }
    Ok(seen)
}

/// Reads the service of others that the manifest uses, and checks that it is as the manifest needs it. A service that
/// the record has leaves the record, as the other one does where the manifest pins another.
pub async fn find_used(hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    let mut seen = match used(hint.manifest) {
        Some(sid) => read_used(sid, hint, reader).await?,
        None => {
            let mut seen = Seen::default();
            seen.keep(|own: &mut Own| own.is_to_come = true);
            seen
        }
    };
    if let (None, Some(Value::Unknown(_))) = (used(hint.manifest), hint.manifest.get(NAME, USE)) {
        seen.not_read = true;
        let text = "which service is meant is not known, because verify_service.use has no value here";
        seen.finding(codes::NOT_READ, hint.address, Level::NotRead, text, "plan again where it has one");
    }
    if hint.entry.is_some() {
        seen.whose = Whose::Another;
    }
    match (recorded(hint), used(hint.manifest)) {
        (Some(ours), Some(sid)) if ours == sid => seen.finding(
            codes::LEAVES_RECORD,
            hint.address,
            Level::Note,
            format!("the manifest only uses {sid} now, so this stack neither changes nor deletes it any more"),
            "nothing to do; the next apply takes its entry off the record",
        ),
        (Some(ours), Some(_)) => seen.finding(
            codes::PINS_ANOTHER,
            hint.address,
            Level::Warning,
            format!("the manifest uses another service than the one on record; {ours} is left as it is, with what is below it"),
            "delete it by hand once nothing sends through it, or remove verify_service.use to go back to it",
        ),
        _ => {}
    }
    Ok(seen)
}

async fn read_used(sid: &str, hint: &Hint<'_>, reader: &Reader) -> Result<Seen, Failed> {
    let mut seen = match reader.get(&read_service(sid)).await {
        Ok(service) if text(&service, "sid") == sid => parse(&service),
        Ok(_) => {
            return Err(Failed::Misread(format!(
                "GET /v2/Services/{sid}: not the service that was asked for"
            )));
        }
        Err(failed) if failed.status() == Some(404) => {
            let mut seen = Seen::default();
            let text = format!("the service {sid} that the manifest uses does not exist in this account");
            let help = "correct verify_service.use; a service of another account cannot be used";
            seen.finding(codes::NOT_THERE, hint.address, Level::Blocker, text, help);
            return Ok(seen);
        }
        Err(failed) => return Err(failed),
    };
    let is_on = |key: &str| seen.attrs.get(key) == Some(&Value::Known(Json::Bool(true)));
    let (has_codes, is_psd2) = (is_on("custom_code_enabled"), is_on("psd2_enabled"));
    let speaks = hint.manifest.set("phone", "channels").iter().any(|channel| channel == "voice");
    let expected = said(hint.manifest);
    // What the manifest says nothing about is no part of this stack's plan, whatever others make of it.
    seen.attrs.retain(|key, _| expected.contains_key(key));
    if !has_codes {
        seen.finding(
            codes::CANNOT_SEND,
            hint.address,
            Level::Blocker,
            format!("{sid} has custom codes off, so that Verify refuses every message of Auth0 (60204)"),
            "switch them on where the service is managed, or in the Twilio Console",
        );
    }
    if speaks && is_psd2 {
        let text =
            format!("{sid} has psd2_enabled, which does not allow voice calls, and phone.channels has voice");
        let help = "switch it off where the service is managed, or remove voice from phone.channels";
        seen.finding(codes::USED_MISFITS, hint.address, Level::Warning, text, help);
    }
    for (key, wanted) in expected.iter().filter(|(key, _)| *key != "custom_code_enabled") {
        let there = seen.attrs.get(key).cloned();
        match (wanted, there) {
            (wanted, Some(there)) if *wanted == there => {}
            (Value::Known(wanted), Some(Value::Known(there))) => {
                let text = format!("{key} of {sid} is {there}, and the manifest expects {wanted}");
                let help = format!("change it where the service is managed, or correct {NAME}.{key}");
                seen.finding(codes::USED_MISFITS, hint.address, Level::Warning, text, help);
            }
            _ => {
                let text = format!(
                    "whether {key} of {sid} is as the manifest expects is not known: it is not shown, or has no value here"
                );
                seen.finding(
                    codes::NOT_CHECKED,
                    hint.address,
                    Level::Note,
                    text,
                    "look in the Twilio Console",
                );
            }
        }
    }
    Ok(seen)
}

/// What is seen where no service is found and the manifest says no name: none can be made, because a pinned service need
/// not have a name in the manifest.
fn without_name(hint: &Hint<'_>) -> Seen {
    let mut seen = Seen::default();
    let Some(want) = hint.want.filter(|want| !want.desired.contains_key("friendly_name")) else {
        return seen;
    };
    match pinned(hint.manifest) {
        Some(sid) => seen.finding(
            codes::NOT_THERE,
            &want.address,
            Level::Blocker,
            format!("the pinned service {sid} is gone, and a new one needs a name"),
            "add verify_service.friendly_name and take sid out to make a service, or pin another one",
        ),
        // The pin is a reference without a value here.
        None => {
            seen.not_read = true;
            seen.finding(
                codes::NOT_READ,
                &want.address,
                Level::NotRead,
                "which service is meant is not known, because verify_service.sid has no value here",
                "plan again where it has one",
            );
        }
    }
    seen
}

/// Whether the tenant has a phone Action of this stack although no ledger was found, or its Actions cannot be read.
/// With such an Action the stack was applied before, and a new service would be a duplicate.
async fn has_our_action(manifest: &Manifest, reader: &Reader) -> bool {
    let phone = [&PHONE, &LEGACY];
    match reader.get(&actions::list_actions()).await {
        Ok(list) => actions::items(&list).map_or(true, |actions| {
            actions.iter().any(|action| phone.iter().any(|row| row.is_called(manifest, text(action, "name"))))
        }),
        Err(_) => true,
    }
}

/// Blocks all steps while only its name and an unproven record say that the service is this stack's: names are not
/// unique, so it may be somebody else's.
pub fn unproven(diff: &Diff<'_>, steps: &[Step]) -> Option<Finding> {
    let service = diff.all.get(NAME).filter(|seen| seen.whose == Whose::Unproven && !steps.is_empty())?;
    let sid = service.ids.get("sid").map(String::as_str).unwrap_or_default();
    let name = service.attrs.get("friendly_name").and_then(Value::as_str).unwrap_or_default();
    Some(unproven_finding(diff.address, name, sid))
}

fn unproven_finding(address: &Address, name: &str, sid: &str) -> Finding {
    Finding {
        code: codes::ONLY_CLAIMED,
        address: address.to_owned(),
        text: format!(
            "the record says that the service {name:?} ({sid}) belongs to this stack, but nothing proves the record"
        ),
        help: format!(
            "if it is, write verify_service.sid: {sid} into the manifest; if not, delete the Action that holds the record"
        ),
        level: Level::Blocker,
    }
}

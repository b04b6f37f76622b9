//! Which Verify service is this stack's: pinned, on record, left by a run that was killed, or told by its own Function.

use serde_json::Value as Json;

use super::trace;
use crate::kinds::identity::{self, Candidate, Clues, Meant, Recorded};
use crate::kinds::remote::actions;
use crate::kinds::remote::verify_service::{list, one, parse, services};
use crate::kinds::said::actions::{LEGACY, PHONE};
use crate::kinds::said::verify_service::{NAME, pinned};
use crate::kinds::{Diff, Hint, Seen, Whose, is_sid, text};
use crate::model::call::Failed;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Step};
use crate::model::value::Value;
use crate::port::Reader;

/// SID that the record has. An entry without one was not written by us, and is as good as none.
fn recorded<'a>(hint: &Hint<'a>) -> Option<&'a str> {
    hint.entry
        .filter(|entry| !entry.unproven || hint.want.is_none())
        .and_then(|entry| entry.ids.get("sid"))
        .map(String::as_str)
        .filter(|sid| is_sid(sid, "VA"))
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
        let told = trace::verify_sid(hint.manifest, reader).await;
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

/// Whether the tenant holds our Action although no ledger says so: then the stack was here before, and a second
/// service would be a duplicate.
async fn traces(manifest: &Manifest, reader: &Reader) -> bool {
    let phone = [&PHONE, &LEGACY];
    match reader.get(&actions::list()).await {
        Ok(list) => actions::items(&list).map_or(true, |actions| {
            actions.iter().any(|action| phone.iter().any(|row| row.is_called(manifest, text(action, "name"))))
        }),
        Err(_) => true,
    }
}

/// Names are not unique, so a service that only a record without proof and its name point to is not written to.
pub fn unproven(diff: &Diff<'_>, steps: &[Step]) -> Option<Finding> {
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

//! Parts that a stack leaves to others although its steps depend on them: the Action that sends, and what that Action
//! sends through.

use std::collections::BTreeMap;

use super::build::Basis;
use super::check::Advice;
use crate::kinds::said::{actions, legacy};
use crate::kinds::{self, Kind, Seen, sender};
use crate::model::address::Address;
use crate::model::facts::{Fact, Facts};
use crate::model::manifest::Manifest;
use crate::model::minted;
use crate::model::plan::{Finding, Level, Step};

/// The triggers on which Actions of others may know the Verify service of this stack, each with the fact about the rate
/// limits that the code there passes. Actions that were not read are not among them.
fn may_know_service(seen: &BTreeMap<Address, Seen>) -> Vec<(&'static str, Fact)> {
    let shared = |kind: &&dyn Kind| {
        let service = seen.get(kind.name()).filter(|service| service.exists)?;
        Some((service.ids.get("sid")?.clone(), kind.shared_since(service)?))
    };
    let service = kinds::KINDS.iter().find_map(shared);
    let told = |(sid, made_at): (String, String)| sender::may_know(seen, &sid, &made_at).collect();
    service.map(told).unwrap_or_default()
}

/// Removes the facts about the Verify service if no Action of this stack sends, because codes are not known to come
/// through that service. The rate limits that Actions of others pass still count if these Actions may know the service.
pub(super) fn untie(seen: &BTreeMap<Address, Seen>, facts: &mut Facts, steps: &mut [Step]) {
    if actions::SENDING.iter().any(|spec| seen.contains_key(spec.name)) {
        return;
    }
    let is_service = |fact: &Fact| matches!(fact, Fact::Service(_));
    facts.take(is_service);
    steps.iter_mut().for_each(|step| drop(step.effects.take(is_service)));
    may_know_service(seen).into_iter().for_each(|(_, limits)| facts.add(limits));
}

/// Says in words that an Action of others may still send through the object with that SID, which was made at that time:
/// the Verify service of this stack, or a key. `None`: none may.
pub(super) fn may_use(basis: &Basis<'_>, address: &Address, (sid, made_at): (&str, &str)) -> Option<String> {
    // Nobody but this stack has the secret of a key, so it gets to an Action of others only by a run that was to take the
    // Action over and did not report its end.
    let sends = |name: &str| kinds::by_name(name).is_some_and(|kind| kind.sends());
    let recorded = basis.ledger.map(|ledger| &ledger.resources).into_iter().flatten();
    let on_record: Vec<&Address> =
        recorded.filter(|(_, entry)| sends(&entry.kind)).map(|(at, _)| at).collect();
    let intent = basis.ledger.and_then(|ledger| ledger.intent.as_ref());
    let begun = intent.into_iter().flat_map(|intent| intent.begun.keys());
    let is_unreported = |at: &Address| sends(at.kind()) && !on_record.contains(&at);
    if address.kind() == minted::KIND && !on_record.is_empty() && !begun.into_iter().any(is_unreported) {
        return None;
    }
    let (trigger, _) = sender::may_know(basis.seen, sid, made_at).next()?;
    Some(format!("an Action of others on {trigger} may have been given its SID"))
}

/// Adapts the finding about an Action that stays because the phone provider of the manifest sends through it, although
/// the manifest no longer declares the Action.
pub(super) fn explain_kept_action(basis: &Basis<'_>, step: &Step, finding: &mut Finding) {
    let is_declared =
        !basis.destroy && basis.manifest.section("phone").is_some() && !legacy::is_legacy(basis.manifest);
    if is_declared && step.kind == actions::PHONE.name && finding.level == Level::Blocker {
        finding.text =
            "it stays: the tenant's phone provider, which phone in the manifest declares, sends through this Action"
                .into();
        finding.help = "put action back into the manifest, or take phone out of it too".into();
    }
}

/// The advice about a step that the proof refuses, in words.
pub(super) fn help(manifest: &Manifest, advice: Advice) -> &'static str {
    let leaves = manifest.section("phone").is_none() || manifest.section("action").is_none();
    match advice {
        Advice::OneSender => {
            "delete all of these Actions but one, or manage the sending here with phone and action"
        }
        Advice::Feedback => {
            "let feedback.log_stream be active (status: active), or add feedback.action; whoever wants no feedback at all \
             switches mfa.factors.phone off first"
        }
        Advice::Sender if leaves => {
            "this manifest leaves the sending to others: check that their Action is deployed and bound and that the tenant \
             sends through it, or manage the sending here with phone and action"
        }
        Advice::Sender | Advice::Factors => {
            "change the manifest so that another factor stays usable (spoken codes need universal_login.experience: new), or \
             set mfa.policy: never first"
        }
    }
}

//! What a stack leaves to others although its steps depend on it: who sends, and through what.

use std::collections::BTreeMap;

use super::build::Basis;
use crate::kinds::said::{actions, legacy};
use crate::kinds::{self, Kind, Seen, sender};
use crate::model::address::Address;
use crate::model::facts::{Fact, Facts};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Step};

/// What other people's Actions that were read may know of the Verify service of this stack: the trigger of each, and the
/// fact that follows from its code.
fn may_know_service(seen: &BTreeMap<Address, Seen>) -> Vec<(&'static str, Fact)> {
    let shared = |kind: &&dyn Kind| {
        let service = seen.get(kind.name()).filter(|service| service.exists)?;
        Some((service.ids.get("sid")?.clone(), kind.shared_since(service)?))
    };
    let service = kinds::KINDS.iter().find_map(shared);
    let told = |(sid, made_at): (String, String)| sender::may_know(seen, &sid, &made_at).collect();
    service.map(told).unwrap_or_default()
}

/// Removes facts about the Verify service if no Action of this stack sends, because codes are not known to come through
/// that service. Its rate limits count if other people's Actions may know it.
pub(super) fn untie(seen: &BTreeMap<Address, Seen>, facts: &mut Facts, steps: &mut [Step]) {
    if actions::SENDING.iter().any(|spec| seen.contains_key(spec.name)) {
        return;
    }
    let is_service = |fact: &Fact| matches!(fact, Fact::Service(_));
    facts.take(is_service);
    steps.iter_mut().for_each(|step| drop(step.effects.take(is_service)));
    may_know_service(seen).into_iter().for_each(|(_, limits)| facts.add(limits));
}

/// Who may still send through the Verify service of this stack, in words.
pub(super) fn may_use(seen: &BTreeMap<Address, Seen>) -> Option<String> {
    let (trigger, _) = may_know_service(seen).into_iter().next()?;
    Some(format!("an Action of others on {trigger} may have been told of it"))
}

/// Explains why an Action stays that the manifest sends by but does not declare.
pub(super) fn tell(basis: &Basis<'_>, step: &Step, finding: &mut Finding) {
    let is_declared =
        !basis.destroy && basis.manifest.section("phone").is_some() && !legacy::is_legacy(basis.manifest);
    if is_declared && step.kind == actions::PHONE.name && finding.level == Level::Blocker {
        finding.text =
            "it stays: the tenant's phone provider, which phone in the manifest declares, sends through it"
                .into();
        finding.help = "put action back into the manifest, or take phone out of it too".into();
    }
}

/// The advice about a step that the proof refuses. `rule`: name of the broken rule.
pub(super) fn help(manifest: &Manifest, rule: &str) -> &'static str {
    const OF_SENDERS: [&str; 6] = [
        "The phone factor comes after what delivers",
        "Nobody is sent to an Action of others that is not bound",
        "An Action is deployed before the provider sends by it",
        "An Action is deployed before codes are handed to it",
        "An Action is bound before codes are handed to it",
        "The unified experience comes after what delivers",
    ];
    if ["One message is sent for one"].contains(&rule) {
        return "delete all of these Actions but one, or manage it here with phone and action";
    }
    let leaves = manifest.section("phone").is_none() || manifest.section("action").is_none();
    match leaves && OF_SENDERS.contains(&rule) {
        true => {
            "this manifest leaves it to others who sends: see that their Action is deployed and bound and that the tenant sends \
             by it, or manage it here with phone and action"
        }
        false => {
            "change the manifest so that another factor stays usable (spoken codes need universal_login.experience: new), or \
             set mfa.policy: never first"
        }
    }
}

//! What a stack leaves to others, where a step of it leans on that: who sends, and through what.

use std::collections::BTreeMap;

use super::build::Basis;
use crate::kinds::phone_provider::PhoneProvider;
use crate::kinds::sender::{self, ALL};
use crate::kinds::{Kind as _, Seen, action, verify_service};
use crate::model::facts::{Fact, Facts};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Step};

/// What Actions of others that were read may know of the Verify service of this stack.
fn told(seen: &BTreeMap<String, Seen>) -> impl Iterator<Item = (&'static str, Fact)> {
    let service = seen.get(verify_service::NAME).filter(|service| service.exists);
    let made = service
        .and_then(|service| Some((service.ids.get("sid")?.as_str(), verify_service::made_at(service))));
    let read = ALL.into_iter().filter_map(|binding| Some((binding, seen.get(binding.sender)?)));
    read.filter_map(move |(binding, theirs)| {
        let (sid, made_at) = made.as_ref()?;
        sender::may_know(binding, theirs, sid, made_at)
    })
}

/// Where no Action of this stack sends, its Verify service is nothing that codes are known to come through. Rate limits of it
/// count where an Action of others may know it.
pub(super) fn untie(seen: &BTreeMap<String, Seen>, facts: &mut Facts, steps: &mut [Step]) {
    if ALL.iter().any(|binding| seen.contains_key(binding.action.name)) {
        return;
    }
    let is_service = |fact: &Fact| matches!(fact, Fact::Service(_));
    facts.take(is_service);
    steps.iter_mut().for_each(|step| drop(step.effects.take(is_service)));
    told(seen).for_each(|(_, limits)| facts.add(limits));
}

/// Who may still send through the Verify service of this stack: in words.
pub(super) fn may_use(seen: &BTreeMap<String, Seen>) -> Option<String> {
    let (trigger, _) = told(seen).next()?;
    Some(format!("an Action of others on {trigger} may have been told of it"))
}

/// Says why the Action stays that the manifest sends by and does not declare.
pub(super) fn tell(basis: &Basis<'_>, step: &Step, finding: &mut Finding) {
    let is_declared = !basis.destroy && !PhoneProvider.declare(basis.manifest).is_empty();
    if is_declared && step.kind == action::PHONE.name && finding.level == Level::Blocker {
        finding.text =
            "it stays: the tenant's phone provider, which phone in the manifest declares, sends through it"
                .into();
        finding.help = "put action back into the manifest, or take phone out of it too".into();
    }
}

/// What to do about a step that the proof refuses.
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

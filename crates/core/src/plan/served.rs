//! Which Verify service the senders of this stack were given: ours, one that is gone, or one from before this stack.

use super::build::Basis;
use super::claims::{self, brings_back};
use super::desired::declared;
use crate::kinds::said::actions;
use crate::kinds::{self, Kind, Whose};
use crate::model::facts::{ActionState, Fact, Facts};
use crate::model::plan::Step;

/// Corrects the facts about our service where what sends does not use it.
pub(super) fn untie(basis: &Basis<'_>, facts: &mut Facts, steps: &mut [Step]) {
    untie_former(basis, facts, steps);
    untie_from_gone(basis, facts);
}

/// Removes facts about our service and limits as long as code from before this stack runs: that code uses neither,
/// until ours is deployed in its place.
fn untie_former(basis: &Basis<'_>, facts: &mut Facts, steps: &mut [Step]) {
    let is_service = |fact: &Fact| matches!(fact, Fact::Service(_));
    let sending: Vec<&dyn Kind> = kinds::KINDS.iter().copied().filter(|kind| kind.sends()).collect();
    let comes_back =
        |step: &Step| sending.iter().any(|kind| kind.name() == step.address) && brings_back(step);
    if let Some(at) = steps.iter().position(comes_back) {
        steps[at + 1..].iter_mut().for_each(|step| drop(step.effects.take(is_service)));
    }
    let live = sending.iter().filter_map(|kind| {
        let seen = basis.seen.get(kind.name()).filter(|seen| kind.runs(seen))?;
        let entry = basis.ledger.and_then(|ledger| ledger.resources.get(kind.name()));
        let entry = entry.filter(|_| seen.whose != Whose::Another);
        Some(kind.runs_former(seen, entry) && !claims::is_deployed_since(basis.ledger, *kind, seen))
    });
    let live: Vec<bool> = live.collect();
    if live.is_empty() || live.contains(&false) {
        return;
    }
    let mut stands = facts.take(is_service);
    while facts.take(|fact| matches!(fact, Fact::ActionLimits(_) | Fact::LegacyLimits(_))).is_some() {}
    let deployed = [Fact::Action(ActionState::Deployed), Fact::LegacyAction(ActionState::Deployed)];
    for step in steps {
        stands = step.effects.take(is_service).or(stands);
        if deployed.iter().any(|fact| step.effects.has(fact)) {
            step.effects.extend(stands);
            return;
        }
    }
}

/// Adds a fact for each sender whose running version has the SID of a service that is gone. A service that is made in its
/// place has another SID, and serves a sender only when that one is deployed again.
fn untie_from_gone(basis: &Basis<'_>, facts: &mut Facts) {
    let service = basis.seen.get(VERIFY_SERVICE).zip(kinds::by_name(VERIFY_SERVICE));
    let (Some(ledger), Some((service, of_service))) = (basis.ledger, service) else { return };
    let made_at = of_service.shared_since(service).unwrap_or_default();
    let recorded = ledger.resources.get(VERIFY_SERVICE).and_then(|entry| entry.ids.get("sid"));
    let leaves =
        |name: &str| basis.destroy || !declared(basis.manifest).iter().any(|want| want.address == *name);
    for spec in actions::SENDING {
        let Some(kind) = kinds::by_name(spec.name) else { continue };
        let seen = basis.seen.get(spec.name).filter(|seen| kind.runs(seen) && seen.whose != Whose::Another);
        let (Some(seen), Some(entry)) = (seen, ledger.resources.get(spec.name)) else { continue };
        if kind.runs_former(seen, Some(entry)) {
            continue;
        }
        let is_gone = match service.ids.get("sid").filter(|_| service.exists) {
            // A run that made a new service did not get as far as this Action, which leaves the stack.
            Some(sid) => {
                claims::is_told_of_one(entry)
                    && !claims::tells(entry, sid, basis.prints)
                    && !kind.runs_with(seen, sid, &made_at)
                    && leaves(spec.name)
            }
            None => recorded.is_some_and(|sid| claims::tells(entry, sid, basis.prints)),
        };
        facts.extend(spec.served.filter(|_| is_gone).map(|fact| fact(false)));
    }
}

/// Name of the kind whose SID senders are given.
const VERIFY_SERVICE: &str = "verify_service";

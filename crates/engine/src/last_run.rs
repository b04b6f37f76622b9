//! What a run is about to change, for the record: by it a rollback knows what to take back. It is written with the
//! intent, before the first step, so that a run that dies can be taken back, too.

use std::collections::BTreeMap;

use crate::kinds::{self, Resource, Seen, guards};
use crate::model::address::Address;
use crate::model::last_run::{Before, Changed, Former, How, Kept, LastRun};
use crate::model::ledger::{Intent, Ledger, compact};
use crate::model::plan::{Plan, ResourcePlan, Verb};
use crate::model::value::Value;
use crate::plan::compare::Known;

/// What the run with that intent is about to change. `ledger` is the record of the runs before it. `None`: the run
/// destroys the stack, which no rollback takes back.
pub(super) fn begins(
    intent: &Intent,
    plan: &Plan,
    wanted: &[Resource],
    known: &Known,
    seen: &BTreeMap<Address, Seen>,
    ledger: &Ledger,
) -> Option<LastRun> {
    if intent.destroy {
        return None;
    }
    let is_meant = |resource: &&ResourcePlan| {
        let is_stepped = plan.steps.iter().any(|step| step.address == resource.address && !step.again);
        is_stepped || resource.verb == Verb::Adopt
    };
    let changed = plan.resources.iter().filter(is_meant).map(|resource| {
        let want = wanted.iter().find(|want| want.address == resource.address);
        let adopted = !ledger.resources.contains_key(&resource.address);
        let mut changed = changed(resource, want, known, seen.get(&resource.address));
        changed.adopted = adopted && changed.how == How::Updated;
        (resource.address.clone(), changed)
    });
    let mut run = LastRun {
        run: intent.nonce.clone(),
        at: intent.at.clone(),
        before: before(ledger),
        unified: guards::is_unified(seen),
        changed: changed.collect(),
    };
    if let Some(earlier) = ledger.last_run.clone().filter(|_| ledger.is_unfinished()) {
        run.continues(earlier);
    }
    Some(run.bounded())
}

/// The last run that finished, if it left the stack in place.
fn before(ledger: &Ledger) -> Option<Before> {
    let run = ledger.history.iter().rev().find(|run| run.outcome.ends_with("done"))?;
    let stands = !run.outcome.starts_with("destroy");
    stands.then(|| Before { at: run.at.clone(), revision: run.revision.clone() })
}

fn changed(resource: &ResourcePlan, want: Option<&Resource>, known: &Known, seen: Option<&Seen>) -> Changed {
    let kind = kinds::by_name(&resource.kind);
    let there = seen.filter(|seen| seen.exists);
    let how = match (resource.leaves, there.is_some()) {
        (true, _) => How::Removed,
        _ if resource.verb == Verb::Replace => How::Replaced,
        (_, false) => How::Created,
        (_, true) => How::Updated,
    };
    let desired = want.map(|want| known.fill(&want.desired)).unwrap_or_default();
    let is_own = |field: &str| kind.is_some_and(|kind| kind.toggles(field));
    let fields = resource.changes.iter().filter(|change| how == How::Updated && !is_own(&change.field)).map(
        |change| {
            let was = Kept::of(seen.and_then(|seen| seen.attrs.get(&change.field)), change.secret);
            let set = desired.get(&change.field).filter(|_| !change.secret);
            let set = match set {
                None if change.secret => None,
                None => Some(serde_json::Value::Null),
                Some(value) => value.known().map(compact),
            };
            (change.field.clone(), Former { was, set })
        },
    );
    Changed {
        kind: resource.kind.clone(),
        how,
        adopted: false,
        version: kind.zip(there).and_then(|(kind, seen)| kind.running(seen)),
        fields: fields.collect(),
    }
}

/// Notes the values as the run left them: the API may have given them another form.
pub(super) fn ended<'a>(run: &mut LastRun, seen: impl Iterator<Item = (&'a Address, &'a Seen)>) {
    for (address, seen) in seen {
        let fields = run.changed.get_mut(address).into_iter().flat_map(|changed| &mut changed.fields);
        for (field, former) in fields {
            match seen.attrs.get(field) {
                Some(Value::Known(json)) => former.set = Some(compact(json)),
                None if seen.exists => former.set = Some(serde_json::Value::Null),
                _ => {}
            }
        }
    }
}

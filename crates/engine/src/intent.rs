//! The intent: what a run is about to do. It is recorded before the first step, so that the next run understands a run
//! that died.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::kinds::{self, Resource, Seen, Whose};
use crate::model::address::Address;
use crate::model::codes;
use crate::model::ledger::compact;
use crate::model::ledger::{Begun, Entry, Intent, KEPT_BYTES_MAX, Last, Ledger, Lost};
use crate::model::plan::{Finding, Level, Plan, ResourcePlan, Step};
use crate::model::value::{Attrs, Value};
use crate::plan::compare::Known;

/// The intent of a run that begins. `nonce` names it, `at` is its time (RFC 3339).
pub(super) fn begins(
    nonce: String,
    at: String,
    plan: &Plan,
    begun: BTreeMap<Address, Begun>,
    seen: &BTreeMap<Address, Seen>,
    ledger: &Ledger,
) -> Intent {
    let mut creating: BTreeMap<Address, Vec<String>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.creates) {
        let before = seen.get(&step.address).map(|seen| seen.beside.clone()).unwrap_or_default();
        creating.insert(step.address.clone(), before);
    }
    let mut restore: BTreeMap<Address, BTreeMap<String, Json>> = BTreeMap::new();
    for resource in plan.resources.iter().filter(|r| !ledger.resources.contains_key(&r.address)) {
        let Some((kind, seen)) = kinds::by_name(&resource.kind).zip(seen.get(&resource.address)) else {
            continue;
        };
        if seen.exists {
            restore.insert(resource.address.clone(), small(kind.restore(seen)));
        }
    }
    Intent {
        nonce,
        destroy: plan.destroy,
        rollback: plan.rollback,
        creating,
        restore,
        begun,
        lost: Vec::new(),
        at,
    }
}

/// The intent of a run that continues an unfinished one. Objects that the unfinished run created are recorded with
/// their ids, so they are known even if this run renames them.
pub(super) fn goes_on(
    mut begins: Intent,
    former: Intent,
    seen: &BTreeMap<Address, Seen>,
    ledger: &mut Ledger,
) -> Intent {
    // The former state is what the first, unfinished run saw. For an object that it was to create there is none, unless
    // somebody else's object is there now and is adopted as it is.
    let taken_over = |address: &Address| seen.get(address).is_some_and(|seen| seen.whose.needs_consent());
    begins.restore.retain(|address, _| !former.creating.contains_key(address) || taken_over(address));
    begins.restore.extend(former.restore);
    // What is there already can be made anew by this run, as a key is.
    let made_anew: BTreeSet<Address> = begins.creating.keys().cloned().collect();
    begins.creating.extend(former.creating);
    begins.lost.extend(former.lost);
    for (address, begun) in former.begun {
        begins.begun.entry(address).or_insert(begun);
    }
    for (address, begun) in &begins.begun {
        let resumed = |seen: &&Seen| seen.whose == Whose::Resumed;
        let Some(seen) = seen.get(address).filter(resumed) else { continue };
        if !made_anew.contains(address) {
            begins.creating.remove(address);
        }
        // The entry of an object that is gone does not describe the one that took its place.
        if ledger.resources.get(address).is_none_or(|entry| entry.ids != seen.ids) {
            let entry = Entry::created(&begun.kind, seen.ids.clone());
            ledger.resources.insert(address.clone(), entry);
        }
    }
    begins
}

/// Names of the fields whose values a run left different from the wanted ones. Puts the present values into `fields`.
pub(super) fn left_behind(desired: &Attrs, seen: &Seen, fields: &mut BTreeMap<String, Last>) -> Vec<String> {
    let plain = |field: &String| Some((field.clone(), seen.attrs.get(field)?.known()?.clone()));
    let otherwise = desired.iter().filter(|(field, wanted)| seen.attrs.get(*field) != Some(*wanted));
    let left: Vec<(String, Json)> = otherwise.filter_map(|(field, _)| plain(field)).collect();
    let last = |(field, value): &(String, Json)| (field.clone(), Last::Plain(compact(value)));
    fields.extend(left.iter().map(last));
    left.into_iter().map(|(field, _)| field).collect()
}

/// Updates the entry of a resource that is to go, that a run touched and that still exists: fields that the run put
/// back get their present values.
pub(super) fn as_left(entry: &mut Entry, seen: &Seen) {
    for (field, last) in &mut entry.fields {
        let there = seen.attrs.get(field).and_then(Value::known).map(compact);
        if let (Last::Plain(was), Some(there)) = (&mut *last, there)
            && *was != there
        {
            *last = Last::Plain(there);
            entry.left.push(field.clone());
        }
    }
    entry.notes.extend(seen.notes.clone());
    entry.left.sort();
    entry.left.dedup();
}

/// A note about the last run of this stack, if it did not finish.
pub(super) fn unfinished(ledger: &Ledger) -> Option<Finding> {
    let text = match (&ledger.intent, ledger.history.last()) {
        (Some(intent), _) if !ledger.has_reported() => {
            let what = match (intent.destroy, intent.rollback) {
                (true, _) => "destroy",
                (_, true) => "rollback",
                _ => "apply",
            };
            format!(
                "a run ({what}) of this stack that began at {} did not report its end: it was killed or cut off, or is still running",
                intent.at
            )
        }
        (_, Some(run)) if !run.outcome.ends_with("done") => format!(
            "the last run of this stack did not finish: {} after {} steps, at {}, by {}",
            run.outcome, run.steps, run.at, run.by
        ),
        _ => return None,
    };
    Some(Finding {
        code: codes::RUN_UNFINISHED, address: "ledger".into(),
        text,
        help: "run again to continue; what that run left is reported as left by a run of this stack, and not as a change by others".into(),
        level: Level::Note,
    })
}

/// How long a list may lag behind a create. Neither vendor names a bound. Lags of seconds were seen, so minutes are far
/// beyond them, and still short enough for a person who has to wait before an object is created again.
const STALE_MAX_MS: i64 = 5 * 60 * 1000;
/// Waits that end when a list no longer lags: together [`STALE_MAX_MS`].
pub(super) const UNTIL_SHOWN_MS: [u64; 6] = [5_000, 10_000, 20_000, 40_000, 80_000, 145_000];

/// Blockers for as long as a lost create may only be slow to appear: the plan's steps would create a second object, or
/// nobody would remember the first.
pub(super) fn may_appear(
    intent: &Intent,
    plan: &Plan,
    seen: &BTreeMap<Address, Seen>,
    as_of_ms: u64,
) -> Vec<Finding> {
    let now_ms = i64::try_from(as_of_ms).unwrap_or(i64::MAX);
    let again =
        |lost: &Lost| plan.steps.iter().any(|step| step.address == lost.address && step.what == lost.what);
    let is_found = |lost: &Lost| seen.get(&lost.address).is_some_and(|seen| seen.exists || seen.not_read);
    let open = |lost: &&Lost| again(lost) || !is_found(lost);
    let waits = intent.lost.iter().filter(open).filter_map(|lost| {
        let at: jiff::Timestamp = lost.at.parse().ok()?;
        let until_ms = at.as_millisecond().saturating_add(STALE_MAX_MS);
        // A time that far ahead was not written by a run with the right time.
        (now_ms < until_ms && until_ms - now_ms <= 2 * STALE_MAX_MS).then_some((lost, until_ms))
    });
    waits
        .map(|(lost, until_ms)| {
            let until = super::apply::timestamp(u64::try_from(until_ms).unwrap_or(0));
            Finding {
                code: codes::ANSWER_LOST, address: lost.address.clone(),
                text: format!(
                    "the answer to {:?} was lost at {}, and the object that it may have created is not found yet",
                    lost.what, lost.at
                ),
                help: format!(
                    "run again after {until}: an object that is found by then belongs to this stack; if none is found, none was created"
                ),
                level: Level::Blocker,
            }
        })
        .collect()
}

/// A warning about a lost create that no record tells the next run of. `None`: the list would show the object by now.
pub(super) fn beware(step: &Step, desired: &Attrs, since_ms: u64, now_ms: u64) -> Option<String> {
    let until_ms = since_ms.saturating_add(STALE_MAX_MS.unsigned_abs());
    let scopes = kinds::by_name(&step.kind).map_or(&[] as &[&str], |kind| kind.scopes(step));
    let place = if scopes.is_empty() { "the Twilio console" } else { "the Auth0 dashboard" };
    (now_ms < until_ms).then(|| {
        format!(
            "{} may have been created, is not found yet, and is in no ledger: look for it in {place}, and do not run this \
             again before {}, or a second one is created",
            name_of(step, desired),
            super::apply::timestamp(until_ms)
        )
    })
}

/// Name of the object that a step creates, for a person who looks for it.
pub(super) fn name_of(step: &Step, desired: &Attrs) -> String {
    let text = |key: &&str| Some(desired.get(*key)?.known()?.as_str()?.to_owned());
    match ["friendly_name", "name", "unique_name"].iter().find_map(text) {
        Some(name) => format!("{} named {name:?}", step.address),
        None => format!("{} ({})", step.address, step.what),
    }
}

/// The resources that a plan has steps for, by address. A rollback wants the values that its steps put back.
pub(super) fn begun(plan: &Plan, wanted: &[Resource], known: &Known) -> BTreeMap<Address, Begun> {
    if plan.rollback {
        let resources = plan
            .resources
            .iter()
            .filter(|resource| plan.steps.iter().any(|step| step.address == resource.address));
        let written = |resource: &ResourcePlan| {
            let changes = resource.changes.iter().filter(|change| !change.secret);
            small(changes.filter_map(|change| Some((change.field.clone(), change.new.clone()?))).collect())
        };
        let begun = |resource: &ResourcePlan| {
            (resource.address.clone(), Begun { kind: resource.kind.clone(), wanted: written(resource) })
        };
        return resources.map(begun).collect();
    }
    let stepped: BTreeSet<&Address> = plan.steps.iter().map(|step| &step.address).collect();
    let begun = |want: &Resource| {
        let plain = |(field, value): (String, Value)| Some((field, value.known()?.clone()));
        let wanted = known.fill(&want.desired).into_iter().filter_map(plain).collect();
        (want.address.clone(), Begun { kind: want.kind.to_owned(), wanted: small(wanted) })
    };
    wanted.iter().filter(|want| stepped.contains(&want.address)).map(begun).collect()
}

/// The values that are small enough to be kept for a restore.
pub(super) fn small(values: BTreeMap<String, Json>) -> BTreeMap<String, Json> {
    let kept = |value: &Json| value.as_str().is_none_or(|text| text.len() <= KEPT_BYTES_MAX);
    values.into_iter().filter(|(_, value)| kept(value)).collect()
}

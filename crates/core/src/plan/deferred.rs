//! Deferred removals: an object that may still be in use goes only after a time, and only while the new way delivers.

use serde_json::Value as Json;

use super::build::{Basis, Leavers};
use crate::kinds::{self, Leaving, Until};
use crate::model::address::Address;
use crate::model::codes;
use crate::model::ledger::{Entry, NOT_BEFORE};
use crate::model::login_path::LoginPath;
use crate::model::plan::{Deferred, Finding, Level, Stage, Step};

/// What the removal of a key waits for, in words.
const UNUSED: &str = "nothing on record uses it";

/// The removals of what the steps leave behind, as they are before these steps.
pub(super) fn left_behind(basis: &Basis<'_>, steps: &[Step]) -> Vec<Deferred> {
    let of = |step: &Step| {
        let kind = kinds::by_name(&step.kind)?;
        let Leaving::Deferred { wait_ms, .. } = kind.leaving(basis.manifest) else { return None };
        let removal = move |(address, entry): (Address, Entry)| Deferred {
            address,
            stage: Stage::RemoveFoundation,
            what: format!("delete {}, the former one", entry.ids.get("sid").map_or("it", String::as_str)),
            needs: UNUSED.into(),
            wait_ms,
            not_before: None,
        };
        Some(kind.left_behind(step).into_iter().map(removal))
    };
    steps.iter().filter_map(of).flatten().collect()
}

/// Defers the removal until it is due and the new way delivers.
pub(super) fn wait(
    basis: &Basis<'_>,
    entry: &Entry,
    (wait_ms, until): (u64, Until),
    path: &LoginPath,
    made: &mut Vec<Step>,
    address: &Address,
    out: &mut Leavers,
) {
    let Some(step) = made.first() else { return };
    let not_before = entry.notes.get(NOT_BEFORE).and_then(Json::as_str).map(str::to_owned);
    let due = not_before.as_deref().and_then(unix_ms).is_some_and(|at| at <= basis.as_of_ms);
    let delivers = "messages are delivered by the tenant's phone provider";
    if due && (until == Until::Unused || path.delivers_unified()) {
        made.iter_mut().for_each(|step| step.op.retires = true);
        return;
    }
    if due {
        out.findings.push(Finding {
            code: codes::REMOVAL_WAITS, address: address.to_owned(),
            text: "its removal is due, but it stays, because the tenant's phone provider does not deliver messages".into(),
            help: "apply this plan; the waiting time then begins again".into(),
            level: Level::Note,
        });
    }
    // An unreadable date is set again, as if it had never been set.
    let readable = not_before.filter(|at| unix_ms(at).is_some());
    out.record |= readable.is_none();
    let later = Deferred {
        address: address.to_owned(),
        stage: step.stage,
        what: step.what.clone(),
        needs: match until {
            Until::Unused => UNUSED,
            Until::Delivered if has_phone(basis) => delivers,
            Until::Delivered => "--allow-delete is given",
        }
        .into(),
        wait_ms,
        not_before: readable,
    };
    let seen = basis.seen.get(address);
    let orphans = kinds::by_name(&entry.kind).zip(seen).map(|(kind, seen)| kind.orphans(address, seen));
    for (address, orphan) in orphans.into_iter().flatten() {
        out.record = true;
        let what = format!(
            "delete {}, which an unfinished run made",
            orphan.ids.get("sid").map_or("it", String::as_str)
        );
        out.deferred.push(Deferred { address, what, not_before: None, ..later.clone() });
    }
    out.deferred.push(later);
    made.clear();
}

pub(super) fn has_phone(basis: &Basis<'_>) -> bool {
    basis.manifest.section("phone").is_some()
}

/// Whether the record has a date for the removal of this resource, and the date has not come.
pub(super) fn is_ahead(basis: &Basis<'_>, entry: &Entry) -> bool {
    let date = entry.notes.get(NOT_BEFORE).and_then(Json::as_str);
    date.and_then(unix_ms).is_some_and(|at| at > basis.as_of_ms)
}

/// A time of the ledger, in ms since the Unix epoch.
fn unix_ms(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

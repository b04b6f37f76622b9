//! Which minted keys have to be made anew, and what the record remembers of their secrets.
//!
//! Nobody can read the secret of a key again. So the record holds no fingerprint of it: in its place stands that of the
//! SID of its key, with the remote mark seen after the write (for a value that can be read back, a fingerprint of what was
//! written). If that is as it was, the place has the secret of the present key. If not, or if the place has to be written
//! whole for another reason, only a new key helps.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::build::Basis;
use super::compare::{self, Known, Sent};
use super::desired::declared;
use crate::kinds::{self, Resource, Seen, Whose};
use crate::ledger::prints::Prints;
use crate::model::address::Address;
use crate::model::codes;
use crate::model::ledger::{Entry, Last, same_mark};
use crate::model::minted::{self, part_of};
use crate::model::plan::{Cause, FieldChange, Finding, Level, Step, Verb};
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Value};

/// The keys that are made anew, each with the cause.
pub(super) struct Lost(BTreeMap<String, Cause>);

impl Lost {
    /// Takes the ids of these keys away from `known`, because the SIDs of the new ones are not known yet.
    pub(super) fn of(basis: &Basis<'_>, wanted: &[Resource], known: &mut Known) -> Lost {
        let mut lost = BTreeMap::new();
        for key in wanted.iter().filter(|want| want.kind == minted::KIND) {
            let Some(name) = key.address.name() else { continue };
            if let Some(cause) = cause(basis, wanted, known, &key.address, name) {
                lost.insert(name.to_owned(), cause);
            }
        }
        for name in lost.keys() {
            known.ids.remove(&minted::address(name));
        }
        Lost(lost)
    }

    /// Keeps the changes of secrets that are made anew, with the cause, and takes those of all others away.
    pub(super) fn settle(&self, want: &Resource, changes: &mut Vec<FieldChange>) {
        let name = |change: &FieldChange| part_of(want.desired.get(&change.field)?);
        changes.retain(|change| {
            name(change).is_none_or(|(key, part)| part == "sid" || self.0.contains_key(key))
        });
        for change in changes {
            if let Some(cause) = name(change).and_then(|(key, _)| self.0.get(key)) {
                change.cause = *cause;
            }
        }
    }
}

/// Why the key has to be made anew. `None`: it stands, and so do all values of it.
fn cause(
    basis: &Basis<'_>,
    wanted: &[Resource],
    known: &Known,
    address: &Address,
    name: &str,
) -> Option<Cause> {
    let entry_of = |address: &Address| basis.ledger.and_then(|ledger| ledger.resources.get(address));
    let key = basis.seen.get(address).filter(|seen| seen.exists && !seen.not_read);
    let Some(sid) = key.and_then(|seen| seen.ids.get("sid")) else {
        return Some(if entry_of(address).is_some() { Cause::TenantChanged } else { Cause::NotApplied });
    };
    if key.is_some_and(|seen| seen.whose != Whose::Ours) {
        return Some(Cause::Unfinished);
    }
    if basis.rotate.contains(&format!("minted.{name}")) {
        return Some(Cause::NotApplied);
    }
    let uses = |value: &Value| part_of(value).is_some_and(|(used, _)| used == name);
    wanted.iter().filter(|want| want.address != *address && want.desired.values().any(uses)).find_map(
        |want| {
            let (seen, entry) = (basis.seen.get(&want.address)?, entry_of(&want.address));
            place(basis, known, (want, seen, entry), sid, &uses)
        },
    )
}

/// Why a place does not have the present key, or has to be written whole.
fn place(
    basis: &Basis<'_>,
    known: &Known,
    (want, seen, entry): (&Resource, &Seen, Option<&Entry>),
    sid: &str,
    uses: &dyn Fn(&Value) -> bool,
) -> Option<Cause> {
    if seen.not_read {
        return None;
    }
    let secrets = want.desired.iter().filter(|(_, value)| matches!(value, Value::Minted(_)) && uses(value));
    let stands = secrets.into_iter().find_map(|(field, _)| {
        let Some(last) = entry.and_then(|entry| entry.fields.get(field)) else {
            return Some(Cause::NotApplied);
        };
        if !is_of(last, sid, basis.prints) {
            return Some(Cause::Unfinished);
        }
        (!has_mark(last, seen.attrs.get(field), basis.prints)).then_some(Cause::TenantChanged)
    });
    if stands.is_some() {
        return stands;
    }
    let kind = kinds::by_name(want.kind)?;
    let entry = entry.filter(|_| seen.whose != Whose::Another);
    let vouched = |mark: &Json| kind.vouches(basis.manifest, mark);
    let (has_ledger, keeps) = (basis.ledger.is_some(), basis.keeps_ledger);
    let sent = Sent { entry, has_ledger, keeps, vouched: &vouched };
    let filled = Resource { desired: known.fill(&want.desired), ..want.clone() };
    let changes = compare::differences(kind, &filled, seen, sent, basis.prints).changes;
    let counts = |change: &&FieldChange| {
        let wanted = want.desired.get(&change.field);
        match wanted {
            Some(Value::Minted(_)) => false,
            // The secrets of an Action are written as a whole set.
            _ => change.field.starts_with("secrets.") || wanted.is_some_and(uses),
        }
    };
    changes.iter().find(counts).map(|change| change.cause)
}

fn as_public(sid: &str) -> Secret {
    Secret::new(sid, Origin::Public)
}

/// Whether a remembered value is the secret of the key with that SID.
pub(super) fn is_of(last: &Last, sid: &str, prints: &Prints) -> bool {
    prints.is_of(last, &as_public(sid))
}

/// Whether the place has the value that was written last.
fn has_mark(last: &Last, observed: Option<&Value>, prints: &Prints) -> bool {
    let Last::Print { stamp, .. } = last else { return false };
    match observed {
        Some(Value::Stamp(mark)) => same_mark(stamp, mark),
        Some(Value::Secret(there)) => *stamp == print_of(there, prints),
        _ => false,
    }
}

/// The mark of a secret that can be read back.
fn print_of(secret: &Secret, prints: &Prints) -> Json {
    match prints.print(&Secret::new(secret.expose(), Origin::Machine), Json::Null) {
        Last::Print { print, .. } => json!(print),
        Last::Plain(json) => json,
    }
}

/// Puts into the fields of an entry what it remembers of secrets of minted keys. `wrote`: this run sent the secrets of the
/// place; `same`: fields that were as wanted before the run.
pub fn remember(
    (address, desired): (&Address, &Attrs),
    seen: &Seen,
    known: &Known,
    (wrote, same): (bool, &dyn Fn(&str) -> bool),
    before: Option<&Entry>,
    prints: &Prints,
    fields: &mut BTreeMap<String, Last>,
) {
    for (field, value) in desired {
        let Value::Minted(name) = value else { continue };
        let last = before.and_then(|entry| entry.fields.get(field)).cloned();
        let sid = known.ids.get(&minted::address(name)).and_then(|ids| ids.get("sid"));
        let now = match (seen.attrs.get(field), known.minted.get(name), sid) {
            _ if address.kind() == minted::KIND => None,
            (Some(Value::Stamp(mark)), Some(_), Some(sid)) if wrote => {
                Some(prints.print(&as_public(sid), mark.clone()))
            }
            (Some(Value::Secret(there)), Some(secret), Some(sid)) if there == secret => {
                Some(prints.print(&as_public(sid), print_of(there, prints)))
            }
            // Our own writes of other fields may have changed the mark of a secret that is unchanged.
            (Some(Value::Stamp(mark)), None, _) if same(field) => match last {
                Some(Last::Print { print, keyed, .. }) => {
                    Some(Last::Print { print, keyed, stamp: mark.clone() })
                }
                last => last,
            },
            _ => last,
        };
        match now {
            Some(now) => drop(fields.insert(field.clone(), now)),
            None => drop(fields.remove(field)),
        }
    }
}

/// The Action of the manifest that may run with the key of that address and stays: in words. Unlike the record, this
/// knows also of a run that did not report its end. `key` is the SID, and the time at which the key was made.
pub(super) fn user(
    basis: &Basis<'_>,
    steps: &[Step],
    address: &Address,
    key: (&str, &str),
) -> Option<String> {
    let name = address.name().filter(|_| address.kind() == minted::KIND)?;
    let uses = |value: &Value| part_of(value).is_some_and(|(used, _)| used == name);
    let stays = |want: &&Resource| {
        let Some(kind) = kinds::by_name(want.kind).filter(|kind| kind.sends()) else { return false };
        let goes =
            |step: &Step| step.address == want.address && (step.verb == Verb::Delete || kind.forgets(step));
        // A run may have been killed between the draft with the key and its deployment.
        let may_run = |seen: &Seen| kind.runs(seen) && kind.runs_with(seen, key.0, key.1);
        basis.seen.get(&want.address).is_some_and(may_run) && !steps.iter().any(goes)
    };
    let wanted = declared(basis.manifest);
    let user = wanted.iter().filter(|want| want.desired.values().any(uses)).find(stays)?;
    Some(format!("{}, which stays, uses it", user.address))
}

/// A blocker: without a record nobody knows which key the code has, so each apply would make another one.
pub(super) fn unkept(basis: &Basis<'_>, wanted: &[Resource]) -> Option<Finding> {
    let key = wanted.iter().find(|want| want.kind == minted::KIND).filter(|_| !basis.keeps_ledger)?;
    Some(Finding {
        code: codes::NOT_SUPPORTED,
        address: key.address.clone(),
        text: "a key that the stack makes needs a record: without one, each apply would make another key"
            .into(),
        help: "leave out --ledger none, or name a key of your own in place of ${minted…}".into(),
        level: Level::Blocker,
    })
}

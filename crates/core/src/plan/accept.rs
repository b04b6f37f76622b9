//! Which differences the manifest accepts, and what stays because of that.
//!
//! An accepted difference is no change. What is wanted of its field becomes the tenant's value, so every step, every
//! body that holds the whole object, and the proof of law 1 go on from the value that stays.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::kinds::{Resource, Seen};
use crate::manifest::accept::{Accept, entries, line};
use crate::manifest::places::place;
use crate::model::address::Address;
use crate::model::codes;
use crate::model::date::day_of;
use crate::model::manifest::Manifest;
use crate::model::plan::{Accepted, FieldChange, Finding, Level, Plan, ResourcePlan};
use crate::model::value::Value;

/// What becomes of the differences of one resource.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Judged {
    pub changes: Vec<FieldChange>,
    pub accepted: Vec<Accepted>,
    /// Entries that name one of the differences, by position, and what became of each.
    pub named: BTreeMap<usize, Fate>,
}

/// What became of an entry that names a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It covers the difference.
    Covers,
    /// It would cover the difference, but its last day is over.
    Over,
    /// The tenant has another value than the accepted one.
    OtherValue,
}

/// The rule: a difference is accepted if an entry names its key, has the tenant's value, and is not over. `keys` has the
/// key of the manifest for each difference; `None`: no entry can cover it.
pub(super) fn judge(
    changes: Vec<FieldChange>,
    keys: &[Option<String>],
    accepts: &[Accept],
    today: Date,
) -> Judged {
    let mut out = Judged::default();
    for (change, key) in changes.into_iter().zip(keys) {
        let entry = accepts.iter().find(|accept| Some(&accept.key) == key.as_ref());
        let fate = entry.map(|accept| match accept.covers(change.old.as_ref()) {
            true if accept.is_over(today) => Fate::Over,
            true => Fate::Covers,
            false => Fate::OtherValue,
        });
        if let Some((entry, fate)) = entry.zip(fate) {
            out.named.insert(entry.at, fate);
        }
        match entry.filter(|_| fate == Some(Fate::Covers)) {
            Some(Accept { key, reason, by, until, .. }) => out.accepted.push(Accepted {
                field: change.field,
                key: key.clone(),
                tenant: change.old,
                manifest: change.new,
                reason: reason.clone(),
                by: by.clone(),
                until: until.to_string(),
            }),
            None => out.changes.push(change),
        }
    }
    out
}

/// The entries of one manifest, and the day on which they are judged.
pub(super) struct Accepts<'a> {
    manifest: &'a Manifest,
    entries: Vec<Accept>,
    today: Option<Date>,
}

impl<'a> Accepts<'a> {
    pub fn new(manifest: &'a Manifest, as_of_ms: u64) -> Accepts<'a> {
        Accepts { manifest, entries: entries(manifest), today: day_of(as_of_ms) }
    }

    /// Judges the differences of a resource, as far as its object exists and shows their values.
    pub fn judge(&self, address: &Address, seen: &Seen, changes: Vec<FieldChange>) -> Judged {
        let Some(today) = self.today.filter(|_| seen.exists && !self.entries.is_empty()) else {
            return Judged { changes, ..Judged::default() };
        };
        let keys: Vec<Option<String>> =
            changes.iter().map(|change| self.key(address, seen, change)).collect();
        judge(changes, &keys, &self.entries, today)
    }

    /// The key of a difference that an entry can cover.
    fn key(&self, address: &Address, seen: &Seen, change: &FieldChange) -> Option<String> {
        let is_shown = matches!(seen.attrs.get(&change.field), None | Some(Value::Known(_)));
        (is_shown && !change.secret).then(|| place(self.manifest, address, &change.field))?
    }

    /// Adds to each difference that counts the line that accepts it.
    pub fn offer(&self, address: &Address, seen: &Seen, changes: &mut [FieldChange]) {
        let Some(today) = self.today.filter(|_| seen.exists) else { return };
        for change in changes {
            let key = self.key(address, seen, change);
            change.accept = key.and_then(|key| line(&key, change.old.as_ref(), today));
        }
    }

    /// Whether an entry covers this value of a field today.
    pub fn covers(&self, address: &Address, field: &str, there: &serde_json::Value) -> bool {
        let holds = |accept: &&Accept| {
            accept.covers(Some(there)) && self.today.is_some_and(|today| !accept.is_over(today))
        };
        let found = || place(self.manifest, address, field);
        !self.entries.is_empty()
            && found().is_some_and(|key| self.entries.iter().filter(holds).any(|accept| accept.key == key))
    }

    /// What a person should know of the entries. `fates` has those that name a difference; `unread`: a resource could
    /// not be read, so nobody knows whether an entry covers something.
    pub fn findings(&self, fates: &BTreeMap<usize, Fate>, unread: bool) -> Vec<Finding> {
        let tell = |accept: &Accept| {
            let Accept { key, reason, by, until, .. } = accept;
            let (code, level, text, help) = match fates.get(&accept.at) {
                Some(Fate::Covers) => return None,
                Some(Fate::Over) => (
                    codes::ACCEPT_OVER,
                    Level::Warning,
                    format!(
                        "{key}: accepted by {by} until {until}, which is over, so the difference counts again: {reason}"
                    ),
                    "apply the manifest, write the tenant's value into it, or accept it until a later day",
                ),
                Some(Fate::OtherValue) => (
                    codes::ACCEPT_OTHER_VALUE,
                    Level::Note,
                    format!(
                        "{key}: the tenant has another value than the one that {by} accepted, so the difference counts"
                    ),
                    "copy the line that drift prints, or take the entry out of accept",
                ),
                None if unread => return None,
                None => (
                    codes::ACCEPT_COVERS_NOTHING,
                    Level::Note,
                    format!(
                        "{key}: the entry covers nothing: the tenant has what the manifest wants, or there is nothing to compare"
                    ),
                    "take the entry out of accept",
                ),
            };
            Some(Finding { code, address: "accept".into(), text, help: help.into(), level })
        };
        self.entries.iter().filter_map(tell).collect()
    }
}

/// Sets what is wanted of accepted fields to what the tenant has.
pub(super) fn leave(want: &mut Resource, accepted: &[Accepted], seen: &Seen) {
    for Accepted { field, .. } in accepted {
        match seen.attrs.get(field) {
            Some(there) => drop(want.desired.insert(field.clone(), there.clone())),
            None => drop(want.desired.remove(field)),
        }
    }
}

/// The same for all resources of a plan: what its apply is to bring about.
pub fn leave_all(wanted: &mut [Resource], plan: &Plan, seen: &BTreeMap<Address, Seen>) {
    for ResourcePlan { address, accepted, .. } in &plan.resources {
        let want = wanted.iter_mut().find(|want| want.address == *address);
        if let Some((want, seen)) = want.zip(seen.get(address)) {
            leave(want, accepted, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::manifest::accept::Held;
    use crate::model::plan::{Cause, Was};

    fn change(field: &str, old: Option<Json>) -> FieldChange {
        FieldChange {
            field: field.into(),
            applied: Was::Nothing,
            old,
            new: Some(json!("ours")),
            secret: false,
            cause: Cause::TenantChanged,
            accept: None,
        }
    }

    fn entry(at: usize, key: &str, value: Held) -> Accept {
        let until = "2027-01-31".parse().expect("a day");
        Accept { at, key: key.into(), value, reason: "r".into(), by: "jo".into(), until }
    }

    /// The key of the entry, its value, the tenant's value, the day, and what becomes of the entry.
    type Row = (&'static str, Held, Option<Json>, &'static str, Option<Fate>);

    #[test]
    fn an_entry_covers_one_value_of_one_key_until_its_last_day() {
        let long = "x".repeat(300);
        let digest = "98f0b1a0eb8d9a8f3b3e7d7a7b5f2e3d".to_owned();
        let own =
            crate::model::ledger::compact(&json!(long))["sha256"].as_str().expect("a digest").to_owned();
        let value = |json: Json| Held::Value(json);
        let rows: Vec<Row> = vec![
            ("a.b", value(json!("x")), Some(json!("x")), "2026-11-30", Some(Fate::Covers)),
            ("a.b", value(json!("x")), Some(json!("x")), "2027-01-31", Some(Fate::Covers)),
            ("a.b", value(json!("x")), Some(json!("x")), "2027-02-01", Some(Fate::Over)),
            ("a.b", value(json!("x")), Some(json!("y")), "2026-11-30", Some(Fate::OtherValue)),
            ("a.b", value(json!("x")), Some(json!("y")), "2027-02-01", Some(Fate::OtherValue)),
            ("a.b", value(json!("x")), None, "2026-11-30", Some(Fate::OtherValue)),
            ("a.c", value(json!("x")), Some(json!("x")), "2026-11-30", None),
            ("a.b", value(Json::Null), None, "2026-11-30", Some(Fate::Covers)),
            ("a.b", value(Json::Null), Some(Json::Null), "2026-11-30", Some(Fate::Covers)),
            ("a.b", value(Json::Null), Some(json!("")), "2026-11-30", Some(Fate::OtherValue)),
            ("a.b", value(json!("6")), Some(json!(6)), "2026-11-30", Some(Fate::OtherValue)),
            ("a.b", value(json!(["p", "q"])), Some(json!(["q", "p"])), "2026-11-30", Some(Fate::Covers)),
            ("a.b", value(json!(["p"])), Some(json!(["q", "p"])), "2026-11-30", Some(Fate::OtherValue)),
            ("a.b", Held::Digest(own.clone()), Some(json!(long)), "2026-11-30", Some(Fate::Covers)),
            ("a.b", Held::Digest(digest), Some(json!(long)), "2026-11-30", Some(Fate::OtherValue)),
            ("a.b", Held::Digest(own), None, "2026-11-30", Some(Fate::OtherValue)),
        ];
        for (key, held, there, day, expected) in rows {
            let entries = [entry(7, key, held.clone())];
            let changes = vec![change("b", there.clone()), change("no_key", Some(json!("x")))];
            let keys = [Some("a.b".to_owned()), None];
            let judged = judge(changes, &keys, &entries, day.parse().expect("a day"));
            let what = format!("{held:?} {there:?} {day}");
            assert_eq!(judged.named.get(&7).copied(), expected, "{what}");
            let is_left = expected == Some(Fate::Covers);
            assert_eq!(judged.accepted.len(), usize::from(is_left), "{what}");
            assert_eq!(judged.changes.len(), 2 - usize::from(is_left), "{what}");
            assert_eq!(judged.changes.last().map(|change| change.field.as_str()), Some("no_key"), "{what}");
        }
    }
}

//! Writes the result of a run to the record, also where the first try fails or the lease is gone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{Ended, Outcome, Work, is_unsure, timestamp};
use crate::kinds::{self, Leaving, Resource, Until, Whose};
use crate::lease::Lease;
use crate::ledger::HISTORY_MAX;
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::codes;
use crate::model::event::Event;
use crate::model::last_run::{Changed, How};
use crate::model::ledger::{Applied, Entry, Last, Lost, NOT_BEFORE, Ownership, Watch, compact};
use crate::model::plan::{Accepted, Finding, Step};
use crate::model::value::Value;
use crate::plan::watched::is_watched;
use crate::plan::{compare, minted};
use crate::port::LOOKS_MS;
use crate::store::Found;
use crate::{intent, last_run, watch};

/// Without the lease, the result may be sent for this long after a read that found this run's intent on record: one
/// round trip. Each further attempt needs a new read.
const RECORD_MS: u64 = 500;

impl Work<'_> {
    /// Records what this run left.
    ///
    /// # Errors
    /// The result is not on record: why, and the next move, in words.
    pub(super) async fn record(&mut self, outcome: &Outcome, lease: &Lease) -> Result<(), String> {
        let Err(failed) = self.write_result(outcome, lease).await else { return Ok(()) };
        if !matches!(failed, Failed::Moved(_)) {
            return Err(format!(
                "the steps ran, but the ledger could not be written: {failed}; apply again to record them"
            ));
        }
        let ran = format!("the steps ran, but {failed}, so nothing is written there");
        if self.session.destroy && self.ledger.resources.is_empty() {
            return Err(format!("{ran}: look at that file, then delete it or destroy again"));
        }
        match self.session.store.put_beside(&self.ledger, &self.nonce(), self.port).await {
            Ok(Some(beside)) => Err(format!(
                "{ran}; the record of this run is {}: put it in that place, unless the record there is of a later run, then \
                 run again",
                beside.0
            )),
            Ok(None) => Err(ran),
            Err(failed) => Err(format!(
                "{ran}, nor beside it: {failed}; no record lists what this run created, so look for it before \
                 the next run"
            )),
        }
    }

    async fn write_result(&mut self, outcome: &Outcome, lease: &Lease) -> Result<(), Failed> {
        if !self.session.store.keeps() {
            return Ok(());
        }
        let nonce = self.ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        self.may_record(nonce.as_deref(), lease).await?;
        let complete = outcome.ended == Ended::Done;
        let done: BTreeSet<usize> = outcome.done.iter().copied().collect();
        let open: BTreeSet<&str> = self
            .plan
            .steps
            .iter()
            .filter(|s| !done.contains(&s.number))
            .map(|s| s.address.as_str())
            .collect();
        match self.session.rollback {
            true => self.remember_back(),
            false => self.remember(&open),
        }
        if let Some(run) = self.ledger.last_run.as_mut().filter(|_| !self.session.rollback) {
            let touched = self.observation.seen.iter().filter(|(address, _)| self.touched.contains(*address));
            last_run::ended(run, touched);
        }
        let recorded = self.observation.found.ledger.as_ref().map(|ledger| &ledger.resources);
        if self.plan.is_empty() && recorded == Some(&self.ledger.resources) {
            return Ok(());
        }
        if complete && self.session.rollback {
            self.forget_what_is_back();
        } else if complete {
            // An entry stays if its resource is wanted, if its removal waits, or if nothing proves that it may go.
            let wanted = &self.wanted;
            let waits = |address: &Address| self.plan.deferred.iter().find(|later| later.address == *address);
            // Something still uses the key that is to go, so its removal is tried again by the next plan.
            let stays = |address: &Address, entry: &Entry| {
                let leaving = kinds::by_name(&entry.kind).map(|kind| kind.leaving(&self.session.manifest));
                let waits = matches!(leaving, Some(Leaving::Deferred { until: Until::Unused, .. }));
                let is_used = |finding: &Finding| finding.address == *address && finding.code == codes::STAYS;
                waits && !self.plan.destroy && self.plan.findings.iter().any(is_used)
            };
            self.ledger.resources.retain(|address, entry| {
                wanted.iter().any(|want| &want.address == address)
                    || waits(address).is_some()
                    || stays(address, entry)
                    || self.plan.unproven.iter().any(|stays| stays.address == *address)
            });
            let now = self.port.server_now_ms();
            for (address, entry) in &mut self.ledger.resources {
                if let Some(later) = waits(address) {
                    // A removal that was due and had to stay waits its full time again.
                    let ahead = later.not_before.clone().filter(|at| *at > timestamp(now));
                    let at = ahead.unwrap_or_else(|| timestamp(now + later.wait_ms));
                    entry.notes.insert(NOT_BEFORE.into(), json!(at));
                    // An unfinished run may have replaced the object: the removal waits for the one that exists now.
                    if let Some(seen) = self.observation.seen.get(address).filter(|seen| seen.exists) {
                        entry.ids.clone_from(&seen.ids);
                    }
                }
            }
        }
        self.open_watch(nonce.as_deref(), complete);
        let run = self.ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        // The intent of an earlier, unfinished run explains what that run did, until all of it is on record.
        if complete || !(self.unsettled || self.inherited) {
            self.ledger.intent = None;
        }
        let word = match &outcome.ended {
            Ended::Done => "done",
            Ended::Stopped => "stopped",
            _ => "failed",
        };
        self.ledger.history.push(Applied {
            at: timestamp(self.port.server_now_ms()),
            by: self.session.who.clone(),
            revision: self.revision(),
            steps: outcome.done.len(),
            lease: lease.receipt(),
            run,
            outcome: format!("{} {word}", self.command()),
        });
        let surplus = self.ledger.history.len().saturating_sub(HISTORY_MAX);
        self.ledger.history.drain(..surplus);
        if complete && self.session.destroy && self.ledger.resources.is_empty() {
            self.session.store.remove(std::mem::take(&mut self.stands), self.port).await?;
            self.port.tell(Event::Record { serial: None });
            self.observation.found = Found::default();
            return Ok(());
        }
        self.save_result(nonce.as_deref(), lease).await?;
        self.observation.found.ledger = Some(self.ledger.clone());
        self.observation.found.stands = self.stands.clone();
        Ok(())
    }

    fn command(&self) -> &'static str {
        match (self.session.destroy, self.session.rollback) {
            (true, _) => "destroy",
            (_, true) => "rollback",
            _ if !self.session.rotate.is_empty() => "rotate",
            _ => "apply",
        }
    }

    /// The revision that the tenant has after this run.
    fn revision(&self) -> String {
        let before = self.ledger.last_run.as_ref().and_then(|run| run.before.as_ref());
        match self.session.rollback {
            true => before.map(|before| before.revision.clone()).unwrap_or_default(),
            false => self.session.revision.clone(),
        }
    }

    /// Records what a rollback has written: the values that it put back are the last applied ones, so that the next plan
    /// shows the manifest as not applied. Everything else stays as it was recorded.
    fn remember_back(&mut self) {
        let known = self.known();
        let intent = self.ledger.intent.as_ref().filter(|intent| intent.rollback);
        // What a rollback that died has written counts too.
        let begun = intent.into_iter().flat_map(|intent| intent.begun.keys());
        let worked_on: BTreeSet<Address> = self.touched.iter().chain(begun).cloned().collect();
        for address in &worked_on {
            let Some(seen) = self.observation.seen.get(address).filter(|seen| seen.exists) else { continue };
            let Some(entry) = self.ledger.resources.get_mut(address) else { continue };
            let own = self.plan.steps.iter().filter(|step| step.address == *address);
            let written: BTreeSet<&String> =
                own.filter_map(|step| step.op.values.as_ref()).flat_map(|values| values.keys()).collect();
            let changed = self.ledger.last_run.as_ref().and_then(|run| run.changed.get(address));
            let former = changed.into_iter().flat_map(|changed| &changed.fields);
            let back = former.filter(|(field, former)| former.is_back(seen.attrs.get(*field)));
            for field in written.into_iter().chain(back.map(|(field, _)| field)) {
                match seen.attrs.get(field).and_then(Value::known) {
                    Some(there) => drop(entry.fields.insert(field.clone(), Last::Plain(compact(there)))),
                    None => drop(entry.fields.remove(field)),
                }
            }
            // The deployment of another version may renew the marks of secrets that are the same. What a dead apply sent
            // has a new mark too, and is not what is on record.
            let is_ours = self.touched.contains(address) || self.takes_back_further;
            let wanted = self.wanted.iter().find(|want| want.address == *address);
            let desired = wanted.map(|want| known.fill(&want.desired)).unwrap_or_default();
            let wrote = self.wrote_secrets.contains(address);
            for (field, value) in &seen.attrs {
                let Value::Stamp(stamp) = value else { continue };
                match (desired.get(field), entry.fields.get_mut(field)) {
                    (Some(Value::Secret(secret)), _) if wrote => {
                        let last = self.observation.prints.print(secret, stamp.clone());
                        entry.fields.insert(field.clone(), last);
                    }
                    (_, Some(Last::Print { stamp: last, .. })) if is_ours => *last = stamp.clone(),
                    _ => {}
                }
            }
            entry.ids.clone_from(&seen.ids);
            entry.notes.extend(seen.notes.clone());
            entry.left.clear();
        }
        self.remember_what_stays();
    }

    /// Records what a run that died has written and what has no way back, such as a name: a destroy knows the object by it.
    fn remember_what_stays(&mut self) {
        let begun = self.ledger.intent.as_ref().map(|intent| intent.begun.clone()).unwrap_or_default();
        for (address, begun) in begun {
            let Some(seen) = self.observation.seen.get(&address).filter(|seen| seen.exists) else { continue };
            let Some(entry) = self.ledger.resources.get_mut(&address) else { continue };
            for (field, wanted) in begun.wanted.iter().filter(|_| entry.ids == seen.ids) {
                let is_there = seen.attrs.get(field).and_then(Value::known) == Some(wanted);
                if let Some(Last::Plain(last)) = entry.fields.get_mut(field).filter(|_| is_there) {
                    *last = compact(wanted);
                }
            }
        }
    }

    /// Takes off the record what the last run created and is gone, and what it took over and is as before. Otherwise the
    /// manifest as it was before would take it away.
    fn forget_what_is_back(&mut self) {
        let changed = self.ledger.last_run.iter().flat_map(|run| &run.changed);
        let is_back = |address: &Address, changed: &Changed| {
            let seen = self.observation.seen.get(address);
            changed.version.is_none() && seen.is_some_and(|seen| changed.is_back(&seen.attrs))
        };
        let is_gone = |address: &Address, changed: &Changed| {
            let seen = self.observation.seen.get(address);
            changed.how == How::Created && seen.is_some_and(|seen| !seen.exists && !seen.not_read)
        };
        let over = changed.filter(|(address, changed)| {
            is_gone(address, changed) || changed.adopted && is_back(address, changed)
        });
        for address in over.map(|(address, _)| address.clone()).collect::<Vec<_>>() {
            self.ledger.resources.remove(&address);
        }
    }

    /// Records what unfinished runs made beside an object, if the plan lets its removal wait.
    fn remember_orphans(&mut self) {
        let orphans = |(address, entry): (&Address, &Entry)| {
            let seen = self.observation.seen.get(address)?;
            kinds::by_name(&entry.kind).map(|kind| kind.orphans(address, seen))
        };
        let found: Vec<_> = self.ledger.resources.iter().filter_map(orphans).flatten().collect();
        for (address, entry) in found {
            if self.plan.deferred.iter().any(|later| later.address == address) {
                self.ledger.resources.entry(address).or_insert(entry);
            }
        }
    }

    fn remember(&mut self, open: &BTreeSet<&str>) {
        let known = self.known();
        for Resource { address, desired: wanted, kind } in &self.wanted {
            // An object of others is never on record.
            if kinds::by_name(kind).is_some_and(|kind| kind.only_uses(&self.session.manifest)) {
                continue;
            }
            let Some(seen) = self.observation.seen.get(address).filter(|seen| seen.exists && !seen.not_read)
            else {
                continue;
            };
            let Some(resource) = self.plan.resources.iter().find(|resource| &resource.address == address)
            else {
                continue;
            };
            let before = self.ledger.resources.get(address);
            let is_open = open.contains(address.as_str());
            // Nothing has happened to this resource yet: an entry would claim that the manifest was applied.
            if is_open && !self.touched.contains(address) && before.is_none() {
                continue;
            }
            let created = self.created.contains(address)
                || seen.whose == Whose::Resumed
                || before.is_some_and(|entry| entry.ownership == Ownership::Created);
            let former = self.ledger.intent.as_ref().and_then(|intent| intent.restore.get(address));
            let restore = match before {
                Some(entry) => entry.restore.clone(),
                // Adopted without a step, so no intent was written: the present values are the former ones.
                None if self.ledger.intent.is_none() => kinds::by_name(&resource.kind)
                    .map(|kind| intent::small(kind.restore(seen)))
                    .unwrap_or_default(),
                None => former.cloned().unwrap_or_default(),
            };
            let mut notes = before.map(|entry| entry.notes.clone()).unwrap_or_default();
            // The resource is wanted, so its removal no longer waits.
            notes.remove(NOT_BEFORE);
            notes.extend(seen.notes.clone());
            let same = |field: &str| {
                !resource.changes.iter().any(|change| change.field == field)
                    && !resource.unknown.iter().any(|u| u == field)
            };
            let desired = known.fill(wanted);
            let wrote = self.wrote_secrets.contains(address);
            let kind = kinds::by_name(&resource.kind);
            let vouched = |mark: &Json| kind.is_some_and(|kind| kind.vouches(&self.session.manifest, mark));
            let mut fields =
                compare::remember(&desired, seen, wrote, &same, before, &self.observation.prints, &vouched);
            let sent = (wrote, &same as &dyn Fn(&str) -> bool);
            minted::remember(
                (address, wanted),
                seen,
                &known,
                sent,
                before,
                &self.observation.prints,
                &mut fields,
            );
            // A field that left the manifest stays as it is, and destroy still puts its former value back, unless an
            // unfinished destroy has done so already.
            let is_back = |field, old: &Json| seen.attrs.get(field).and_then(Value::known) == Some(old);
            for (field, last) in before.map(|entry| &entry.fields).into_iter().flatten() {
                let old = restore.get(field).filter(|old| !is_back(field, old));
                if old.is_some() && !desired.contains_key(field) {
                    fields.insert(field.clone(), last.clone());
                }
            }
            let mut left = before.map(|entry| entry.left.clone()).filter(|_| is_open).unwrap_or_default();
            if is_open {
                // Half applied: only fields that are as wanted by now are remembered as applied.
                let is_print = |last: &Last| matches!(last, Last::Print { .. });
                fields.retain(|field, last| {
                    desired.get(field) == seen.attrs.get(field) || wrote && is_print(last)
                });
                if let Some(before) = before {
                    for (field, last) in &before.fields {
                        fields.entry(field.clone()).or_insert_with(|| last.clone());
                    }
                }
                if self.touched.contains(address) {
                    left = intent::left_behind(&desired, seen, &mut fields);
                }
            }
            // What is only accepted was not applied.
            for Accepted { field, .. } in &resource.accepted {
                match before.and_then(|entry| entry.fields.get(field)) {
                    Some(last) => drop(fields.insert(field.clone(), last.clone())),
                    None => drop(fields.remove(field)),
                }
            }
            let entry = Entry {
                kind: resource.kind.clone(),
                ownership: if created { Ownership::Created } else { Ownership::Adopted },
                ids: seen.ids.clone(),
                fields,
                restore,
                notes,
                unproven: before.is_some_and(|entry| entry.unproven) && !self.created.contains(address),
                left,
            };
            self.ledger.resources.insert(address.clone(), entry);
        }
        self.ledger.resources.extend(self.left.clone());
        self.remember_orphans();
        // A resource that is to go and still exists is recorded as this run left it.
        let leaves = |address: &Address| !self.wanted.iter().any(|want| want.address == *address);
        for address in self.touched.iter().filter(|address| leaves(address)) {
            let entry = self.ledger.resources.get_mut(address);
            if let Some((entry, seen)) = entry.zip(self.observation.seen.get(address)) {
                intent::as_left(entry, seen);
            }
        }
    }

    /// The waits before each look for what a step created. Without a record the next run knows of no lost create, so
    /// this run looks until the list has to show the object.
    pub(super) fn looks_ms(&self, may_repeat: bool) -> impl Iterator<Item = u64> + use<> {
        let is_last = !may_repeat && !self.session.store.keeps();
        LOOKS_MS.into_iter().chain(is_last.then_some(intent::UNTIL_SHOWN_MS).into_iter().flatten())
    }

    /// Notes a step that may have created an object that no list shows yet.
    pub(super) fn lose(&mut self, step: &Step, failed: &Failed) {
        let repeatable = kinds::by_name(&step.kind).is_none_or(|kind| kind.may_repeat(step));
        if repeatable || !(is_unsure(failed) || matches!(failed, Failed::Misread(_))) {
            return;
        }
        let now_ms = self.port.server_now_ms();
        let at = timestamp(now_ms);
        let since_ms = self.unanswered_ms.unwrap_or(now_ms);
        self.lost = intent::beware(step, &self.desired(&step.address), since_ms, now_ms);
        if let Some(intent) = &mut self.ledger.intent {
            intent.lost.push(Lost { address: step.address.clone(), what: step.what.clone(), at });
            self.lost_one = true;
        }
    }

    /// Puts the watch over this run on record, with its intent. A run that continues an unfinished one continues its
    /// watch. A run without a watch that brings news ends the watch over the run before it.
    pub(super) fn begin_watch(&mut self, nonce: &str, at: &str, goes_on: bool) {
        if self.session.rollback {
            return;
        }
        let former = self.ledger.watch.take().filter(|_| goes_on);
        self.ledger.watch = match (self.session.watch_ms, former) {
            _ if self.session.destroy => None,
            (Some(ms), Some(former)) => Some(Watch { run: nonce.to_owned(), ms, ..former }),
            (Some(ms), None) if is_watched(self.plan) => Some(Watch {
                run: nonce.to_owned(),
                since: at.to_owned(),
                ms,
                running: BTreeMap::new(),
                failing: None,
            }),
            _ => None,
        };
    }

    /// The watch is over the versions that run now. Messages count from the time on at which the latest was made; the time of
    /// the watch begins with the end of the run, because later steps can also be what makes messages fail: a version can be
    /// made minutes, or a killed run, before who sends is changed. A rollback that comes to its end ends the watch.
    fn open_watch(&mut self, nonce: Option<&str>, complete: bool) {
        if self.session.rollback && complete {
            self.ledger.watch = None;
        }
        let (running, made_ms) = watch::running(&self.observation.seen);
        let now_ms = self.port.server_now_ms();
        if let Some(watch) = self.ledger.watch.as_mut().filter(|watch| Some(watch.run.as_str()) == nonce) {
            let began = std::mem::take(&mut watch.since);
            let made = made_ms.map(timestamp).filter(|made| *made >= began);
            watch.since = made.unwrap_or_else(|| timestamp(now_ms));
            watch.ms += now_ms.saturating_sub(watch::millis(&watch.since));
            watch.running = running;
        }
    }

    /// Checks that the result may be written: with the lease, or while the record still holds this run's intent. A run
    /// that took the lease over has written its own intent there.
    pub(super) async fn may_record(&self, nonce: Option<&str>, lease: &Lease) -> Result<(), Failed> {
        let Some(nonce) = nonce.filter(|_| lease.is_lost(self.port)) else { return Ok(()) };
        if !self.is_ours(nonce).await? {
            return Err(Failed::OtherRun);
        }
        self.port.fence(self.port.now_ms() + RECORD_MS);
        Ok(())
    }

    /// Saves the result. If only this write tells of a lost create, tries again until the list has to show the object;
    /// the lease keeps other runs away for that long. Without the lease, tries a few times, each after a read of its
    /// own.
    pub(super) async fn save_result(&mut self, nonce: Option<&str>, lease: &Lease) -> Result<(), Failed> {
        let mut result = self.save().await;
        let waits: &[u64] = match (self.lost_one, lease.is_lost(self.port)) {
            (true, _) => &intent::UNTIL_SHOWN_MS,
            (false, true) => &LOOKS_MS,
            (false, false) => &[],
        };
        for wait_ms in waits {
            let Err(failed) = &result else { break };
            if self.port.interrupted() || matches!(failed, Failed::OtherRun | Failed::Moved(_)) {
                break;
            }
            if self.lost_one {
                self.port.tell(Event::notice(format!(
                    "the answer to a create was lost, and the ledger, which has to tell the next run, could not be written: \
                     {failed}; trying again in {} s",
                    wait_ms / 1000
                )));
            }
            self.port.reader().sleep_ms(*wait_ms).await;
            result = match self.may_record(nonce, lease).await {
                Ok(()) => self.save().await,
                Err(failed) => Err(failed),
            };
        }
        if result.is_ok() {
            self.lost = None;
        }
        result
    }
}

//! How the result of a run gets on record: also where the first try fails, and where the lease is gone.

use super::{OTHER_NONCE, Work, is_unsure, timestamp};
use crate::engine::intent;
use crate::engine::lease::Lease;
use crate::kinds;
use crate::model::call::Failed;
use crate::model::ledger::Lost;
use crate::model::plan::{Event, Step};
use crate::port::LOOKS_MS;

/// How long after the look that found our intent alone on record, without the lease, the result may still be sent: one
/// trip. What has to be sent again is looked at again.
const RECORD_MS: u64 = 500;

impl Work<'_> {
    /// The waits before each look at what a step made. Without a record the next run knows of no lost create, so this one
    /// looks until the list has to show it.
    pub(super) fn looks_ms(&self, may_repeat: bool) -> impl Iterator<Item = u64> + use<> {
        let is_last = !may_repeat && !self.session.store.keeps();
        LOOKS_MS.into_iter().chain(is_last.then_some(intent::UNTIL_SHOWN_MS).into_iter().flatten())
    }

    /// Notes a step that may have made what nobody finds yet.
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

    /// Whoever took the lease over has read our intent, and its own stands there now.
    pub(super) async fn may_record(&self, nonce: Option<&str>, lease: &Lease) -> Result<(), Failed> {
        let Some(nonce) = nonce.filter(|_| lease.is_lost(self.port)) else { return Ok(()) };
        if !self.is_ours(nonce).await? {
            return Err(Failed::NotDone(OTHER_NONCE.into()));
        }
        self.port.fence(self.port.now_ms() + RECORD_MS);
        Ok(())
    }

    /// Saves the result, and tries again where it alone tells of a lost create, until the list has to show what was made:
    /// the lease keeps other runs away so long. Without the lease a few tries, each after a look of its own.
    pub(super) async fn save_result(&mut self, nonce: Option<&str>, lease: &Lease) -> Result<(), Failed> {
        let mut result = self.save().await;
        let waits: &[u64] = match (self.lost_one, lease.is_lost(self.port)) {
            (true, _) => &intent::UNTIL_SHOWN_MS,
            (false, true) => &LOOKS_MS,
            (false, false) => &[],
        };
        for wait_ms in waits {
            let Err(failed) = &result else { break };
            if self.port.interrupted() || matches!(failed, Failed::NotDone(text) if text == OTHER_NONCE) {
                break;
            }
            if self.lost_one {
                self.port.tell(Event::Notice(format!(
                    "a create was lost, and the ledger, which has to tell the next run of it, could not be written: \
                     {failed}; it is tried again in {} s",
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

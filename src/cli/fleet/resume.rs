//! How a rollout goes on that another run began, and one that was halted.

use std::collections::BTreeMap;

use super::super::error::Result;
use super::super::setup::Shell;
use super::course::{Course, blocked};
use super::shard::shortened;
use crate::engine::apply::timestamp;
use crate::fleet::rollout::{Became, Event, Progress};
use crate::model::text::line;

impl Course<'_> {
    /// Takes a rollout over from the run before, also a halted one. It is on record before the first write to a tenant: if
    /// that run is still alive, it finds the record and begins nothing more.
    pub fn resume(&mut self, accepted: &[String], why: &str, shell: &mut Shell) -> Result<()> {
        if self.state.halt.is_none() && accepted.is_empty() {
            return match self.sharing.is_taken_over {
                true => self.happened(Event::TakenOver { by: self.by.clone() }),
                false => Ok(()),
            };
        }
        if let Some(halt) = &self.state.halt {
            let text = format!("goes on after the halt at {}: {}", timestamp(halt.at_ms), line(&halt.why));
            shell.say.err_one_line(text);
        }
        let resumed = self.resumed(accepted, why);
        self.say_left_out(&resumed, shell);
        self.happened(resumed)
    }

    /// What is written when a person lets the rollout go on.
    pub(super) fn resumed(&self, accepted: &[String], why: &str) -> Event {
        let (again, left_out) = self.reconsidered();
        let plans = match self.state.shards.is_one() {
            true => BTreeMap::new(),
            false => self.plans(),
        };
        let (accepted, why, by) = (accepted.to_vec(), why.to_owned(), self.by.clone());
        Event::Resumed { accepted, again, left_out, plans, why, by }
    }

    /// Says who is left out from now on.
    pub(super) fn say_left_out(&self, resumed: &Event, shell: &mut Shell) {
        let Event::Resumed { left_out, .. } = resumed else { return };
        for (name, why) in left_out {
            let (became, at_ms, why) = (Became::Skipped, self.now_ms(), why.clone());
            self.say_became(name, &Progress { became, at_ms, began_ms: 0, steps: 0, why }, shell);
        }
    }

    /// The plans that were confirmed, as the records of shards keep them.
    pub(super) fn plans(&self) -> BTreeMap<String, String> {
        let plans = self.confirmed.iter().filter_map(|(name, one)| {
            let plan = one.result.plan().filter(|plan| !plan.is_empty())?;
            Some((name.clone(), shortened(plan)))
        });
        plans.collect()
    }

    /// The tenants of the open wave that were done, and are to be applied again because this run found a difference; and
    /// those that this run leaves out, each with the reason.
    fn reconsidered(&self) -> (Vec<String>, BTreeMap<String, String>) {
        let Some(wave) = self.state.current().filter(|wave| self.state.waves[*wave].opened_ms.is_some())
        else {
            return (Vec::new(), BTreeMap::new());
        };
        let done = |name: &&String| {
            let became = self.state.tenants.get(*name).map(|one| one.became);
            matches!(became, Some(Became::Applied | Became::Unchanged))
        };
        let members: Vec<&String> = self.state.waves[wave].members.iter().filter(done).collect();
        let (out, rest): (Vec<&String>, Vec<&String>) =
            members.into_iter().partition(|name| self.skips.contains_key(*name));
        let differs = |name: &&String| {
            let plan = self.confirmed.get(*name).and_then(|reading| reading.result.plan());
            plan.is_some_and(|plan| !plan.is_empty() && blocked(plan).is_none())
        };
        let again = rest.into_iter().filter(differs).cloned().collect();
        (again, out.into_iter().map(|name| (name.clone(), self.skips[name].clone())).collect())
    }
}

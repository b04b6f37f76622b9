//! What keeps a rollout from beginning: its limits, and a wave before it that is not applied.

use super::super::error::{Error, Result};
use super::super::setup::Shell;
use super::course::Course;
use crate::fleet::report::listed;
use crate::fleet::rollout::{Became, Cause, Event};
use crate::model::codes;
use crate::model::plan::Verb;

impl Course<'_> {
    /// Refuses a single wave while one before it is not applied.
    pub fn needs_before(&self, name: &str) -> Result<()> {
        let waves = &self.loaded.fleet.rollout.waves;
        let at = waves.iter().position(|wave| wave.name == name).unwrap_or_default();
        for group in self.loaded.groups.iter().filter(|group| group.wave < at) {
            let names = group.members.iter().map(|at| &self.loaded.tenants.list[*at].name);
            let open = names.filter(|name| {
                let plan = self.confirmed.get(*name).and_then(|one| one.result.plan());
                plan.is_none_or(|plan| !plan.is_empty()) && !self.skips.contains_key(*name)
            });
            let open: Vec<String> = open.cloned().collect();
            if !open.is_empty() {
                return Err(Error::manifest(format!(
                    "the wave {} comes before {name} and is not applied on {}",
                    group.name,
                    listed(&open)
                ))
                .help("roll out that wave first, or leave those tenants out with --skip NAME=REASON"));
            }
        }
        Ok(())
    }

    /// Checks the limits of the whole rollout, before anything is written.
    /// Beyond one of them the rollout is halted.
    pub fn limits(&mut self, shell: &mut Shell) {
        let plans = || {
            let taken = self.confirmed.values().filter(|one| !self.skips.contains_key(&one.name));
            taken.filter_map(|one| one.result.plan())
        };
        // What an earlier run of this rollout changed counts too.
        let changed =
            plans().filter(|plan| !plan.is_empty()).count() + self.state.count(None, Became::Applied);
        let deletes = plans().flat_map(|plan| &plan.resources).filter(|one| one.verb == Verb::Delete).count();
        let dangerous = plans().flat_map(|plan| &plan.steps).filter(|step| step.danger.is_some()).count();
        let limits = self.loaded.fleet.rollout.limits;
        let over: Vec<String> = [
            ("changed", "tenants change", changed, limits.changed),
            ("deletes", "objects are deleted", deletes, limits.deletes),
            ("dangerous", "steps carry a danger", dangerous, limits.dangerous),
        ]
        .into_iter()
        .filter_map(|(key, what, count, limit)| {
            let limit = limit.filter(|limit| count > *limit)?;
            Some(format!("{count} {what}, and rollout.limits.{key} allows {limit}"))
        })
        .collect();
        if over.is_empty() {
            return;
        }
        let why = over.join("; ");
        shell.say.err_one_line(format!("error[{}]: {why}; nothing was changed", codes::HALTED));
        let halted = Event::Halted { cause: Cause::Limit, why, by: self.by.clone() };
        let now_ms = self.now_ms();
        self.state = std::mem::take(&mut self.state).after(&halted, now_ms);
    }
}

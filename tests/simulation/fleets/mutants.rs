//! Mistakes that the stories of fleets have to notice.

use super::{Mutant, mutant};

const ROLLOUT: &str = "crates/core/src/fleet/rollout.rs";
const COURSE: &str = "src/cli/fleet/course.rs";
const RECORDED: &str = "src/cli/fleet/recorded.rs";
const SHARDS: &str = "crates/core/src/fleet/shards.rs";

pub const MUTANTS: &[Mutant] = &[
    mutant(
        "one tenant more than the budget has room for",
        ROLLOUT,
        "rollout.max_parallel.min(left.saturating_add(1))",
        "rollout.max_parallel.min(left.saturating_add(2))",
        &["fleets", "Budget"],
    ),
    mutant(
        "a failed tenant does not count in its wave",
        ROLLOUT,
        "let (in_wave, total) = (state.count(Some(wave), Became::Failed),",
        "let (in_wave, total) = (state.count(Some(wave), Became::Skipped),",
        &["fleets", "Budget"],
    ),
    mutant(
        "more tenants begin after the budget is spent",
        COURSE,
        "                // Nothing new begins; what is in flight ends.\n                _ => 0,",
        "                // Nothing new begins; what is in flight ends.\n                _ => room,",
        &["fleets", "Budget", "Parallel"],
    ),
    mutant(
        "more tenants than max_parallel",
        ROLLOUT,
        "let room = rollout.max_parallel.min(",
        "let room = usize::MAX.min(",
        &["fleets", "Parallel"],
    ),
    mutant(
        "the last wave goes first",
        ROLLOUT,
        "self.waves.iter().position(|wave| wave.passed_ms.is_none())",
        "self.waves.iter().rposition(|wave| wave.passed_ms.is_none())",
        &["fleets", "Waves", "Gate"],
    ),
    mutant(
        "half the soak is enough",
        ROLLOUT,
        "state.soaks_from(wave).saturating_add(soak_ms)",
        "state.soaks_from(wave).saturating_add(soak_ms / 2)",
        &["fleets", "Soak"],
    ),
    mutant(
        "a wave passes without a reading",
        COURSE,
        "Some(Became::Applied | Became::Unchanged))\n            })",
        "Some(Became::Unchanged))\n            })",
        &["fleets", "Gate"],
    ),
    mutant(
        "what others changed is written over",
        COURSE,
        "None if plan.is_empty() => Decision::Apply,",
        "None if plan.is_empty() || confirmed.is_some() => Decision::Apply,",
        &["fleets", "Confirmed"],
    ),
    mutant(
        "who is left out is written to where a wave is open already",
        COURSE,
        "        if let Some(reason) = self.skips.get(name) {\n            return Some((Became::Skipped, reason.clone()));",
        "        if let Some(reason) = self.skips.get(name).filter(|_| false) {\n            return Some((Became::Skipped, reason.clone()));",
        &["fleets", "Skip"],
    ),
    mutant(
        "a halt of a person is not looked for while tenants are applied",
        RECORDED,
        "now_ms < self.looked_ms.saturating_add(LOOK_MS)",
        "now_ms >= self.looked_ms",
        &["fleets", "Halt"],
    ),
    mutant(
        "each shard takes the whole room",
        SHARDS,
        "let mut free = room.saturating_sub(claims.len());",
        "let mut free = room;",
        &["fleets", "Budget", "Parallel"],
    ),
];

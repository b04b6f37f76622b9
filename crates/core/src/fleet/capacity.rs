//! What each Twilio account will hold after the plans of a fleet, and where that is more than it takes.
//!
//! A Function lives in a Serverless service of its own, and so does each lease while a run holds it. Twilio allows some 50
//! Serverless services in an account (reports of 2023 to 2026, code 20001; its support raises the limit), and counts
//! Verify services at the parent account (code 21102, no published limit).

use std::collections::{BTreeMap, BTreeSet};

use super::summary::Reading;
use super::{Budget, Rollout};
use crate::kinds::said::{function, verify_service};
use crate::model::codes;
use crate::model::plan::{Finding, Level, ResourcePlan, Verb};

/// How many services there may be; as the fleet file says, or as Twilio allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Serverless services in one account.
    pub serverless: usize,
    /// Verify services of the fleet, over all its accounts. `None`: no bound is known.
    pub verify: Option<usize>,
}

impl Capacity {
    /// What Twilio allows, as far as it is known.
    pub const TWILIO: Capacity = Capacity { serverless: 50, verify: None };
}

impl Rollout {
    /// How many tenants are written to at once, at most: what the budget leaves, and one.
    pub fn at_once(&self) -> usize {
        let Budget { wave, total } = self.budget;
        let may_fail = match (wave, total) {
            (None, None) => 0,
            (wave, total) => wave.unwrap_or(usize::MAX).min(total.unwrap_or(usize::MAX)),
        };
        self.max_parallel.min(may_fail.saturating_add(1))
    }
}

/// What the plans of a fleet are about in one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Serverless services of this fleet that are there.
    pub there: BTreeSet<String>,
    /// Serverless services that are to be made.
    pub made: usize,
    /// Tenants with something to write: each takes a lease.
    pub writes: usize,
}

/// The accounts of these plans, by SID.
pub fn accounts(readings: &[Reading]) -> BTreeMap<String, Account> {
    let mut out: BTreeMap<String, Account> = BTreeMap::new();
    for reading in readings {
        let Some(plan) = reading.result.plan() else { continue };
        let account = out.entry(plan.account.clone()).or_default();
        account.writes += usize::from(plan.has_work());
        for resource in plan.resources.iter().filter(|one| one.kind == function::NAME) {
            match resource.ids.get("service").filter(|sid| !sid.is_empty()) {
                Some(sid) => drop(account.there.insert(sid.clone())),
                None => account.made += usize::from(resource.verb == Verb::Create),
            }
        }
    }
    out
}

/// Adds a blocker to each plan that has a part in too many services. `listed`: how many Serverless services
/// an account has, where its list was read. Returns what would be too many, in words.
pub fn check(
    readings: &mut [Reading],
    listed: &BTreeMap<String, usize>,
    capacity: Capacity,
    rollout: &Rollout,
) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for (sid, account) in accounts(readings) {
        let there = listed.get(&sid).copied().unwrap_or_default().max(account.there.len());
        let leases = rollout.at_once().min(account.writes);
        let all = there + account.made + leases;
        if account.writes == 0 || all <= capacity.serverless {
            continue;
        }
        let s = |count: usize| if count == 1 { "" } else { "s" };
        let text = format!(
            "account {sid} would hold {all} Serverless services, and {} are allowed: {there} there, {} to be made for Functions, {leases} lease{} in flight",
            capacity.serverless,
            account.made,
            s(leases)
        );
        let help = "let tenants share the Function of one of them (${tenants.NAME.feedback_function.url}), use further accounts, \
                    lower rollout.max_parallel, or write capacity.serverless_services if Twilio raised the limit";
        found.insert(sid, finding(function::NAME, text, help));
    }
    let verify = verify(readings, capacity);
    let over = found.values().chain(&verify).cloned().collect();
    for reading in readings {
        let super::summary::Found::Plan(plan) = &mut reading.result else { continue };
        let own = found.get(&plan.account).filter(|_| plan.has_work());
        let makes = |one: &ResourcePlan| one.kind == verify_service::NAME && one.verb == Verb::Create;
        let of_verify = verify.as_ref().filter(|_| plan.resources.iter().any(makes));
        plan.findings.extend(own.into_iter().chain(of_verify).cloned());
    }
    over
}

/// The finding of too many Verify services, which Twilio counts over all subaccounts.
fn verify(readings: &[Reading], capacity: Capacity) -> Option<Finding> {
    let limit = capacity.verify?;
    let mut there: BTreeSet<&str> = BTreeSet::new();
    let mut made = 0;
    let plans = readings.iter().filter_map(|reading| reading.result.plan());
    for resource in plans.flat_map(|plan| &plan.resources).filter(|one| one.kind == verify_service::NAME) {
        match resource.ids.get("sid").filter(|sid| !sid.is_empty()) {
            Some(sid) => drop(there.insert(sid)),
            None => made += usize::from(resource.verb == Verb::Create),
        }
    }
    let all = there.len() + made;
    (made > 0 && all > limit).then(|| {
        let text = format!(
            "this fleet would have {all} Verify services, and capacity.verify_services allows {limit}: {} there, {made} to be made",
            there.len()
        );
        let help = "let tenants use the service of one of them: verify_service: { use: \"${tenants.NAME.verify_service.sid}\" }";
        finding(verify_service::NAME, text, help)
    })
}

fn finding(address: &str, text: String, help: &str) -> Finding {
    Finding {
        code: codes::NO_ROOM,
        address: address.into(),
        text,
        help: help.to_owned(),
        level: Level::Blocker,
    }
}

//! Who takes outputs of whom in a rollout: the order, and the plans of tenants whose hub was not applied yet.

use std::collections::{BTreeMap, BTreeSet};

use super::super::setup::Shell;
use super::hubs;
use super::load::{Loaded, Made};
use crate::model::address::Address;
use crate::model::plan::{Cause, FieldChange, Plan, Step};
use crate::model::value::Outputs;
use crate::plan::handed::{self, Hubs};
use crate::shell::fleet::Member;

/// The tenants of a rollout that take from each other. Tenants that share nothing are not in it.
pub struct Sharing {
    /// By the name of a tenant, the names of those that it takes from.
    takes: BTreeMap<String, BTreeSet<String>>,
    /// All tenants from which others take.
    hubs: BTreeSet<String>,
    /// How many tenants stand in a row before each one.
    depth: BTreeMap<String, usize>,
    /// Tenants whose plan was confirmed before all that they take was known.
    open: BTreeSet<String>,
    known: Hubs,
    /// Another run began the rollout, and may still end what it has in flight.
    pub is_taken_over: bool,
}

/// Whether a tenant may change in a known way between its confirmation and its apply: it takes what was not known yet, or
/// the run before may still write to it.
#[derive(Clone, Copy)]
pub struct One {
    is_open: bool,
}

impl One {
    /// Whether a plan is the one that was confirmed. That of a tenant that may change may only say less: it has no step
    /// that was not confirmed, and writes over nothing that others changed since.
    pub fn is_confirmed(self, confirmed: &Plan, plan: &Plan) -> bool {
        let shape = |step: &Step| (step.address.clone(), step.verb, step.what.clone(), step.danger.is_some());
        let steps: BTreeSet<_> = confirmed.steps.iter().map(shape).collect();
        let is_less = || plan.steps.iter().all(|step| steps.contains(&shape(step)));
        confirmed.basis == plan.basis || self.is_open && is_less() && is_undisturbed(confirmed, plan)
    }
}

/// Whether all that others changed on the tenant, and that a plan writes over, is in the confirmed plan too.
pub fn is_undisturbed(confirmed: &Plan, plan: &Plan) -> bool {
    fn of_others(plan: &Plan) -> Vec<(&Address, &FieldChange)> {
        let changes =
            plan.resources.iter().flat_map(|one| one.changes.iter().map(|change| (&one.address, change)));
        changes.filter(|(_, one)| matches!(one.cause, Cause::TenantChanged | Cause::Both)).collect()
    }
    let known = of_others(confirmed);
    let is_known = |(address, one): &(&Address, &FieldChange)| {
        known.iter().any(|(at, old)| {
            at == address && (&old.field, &old.old, &old.new) == (&one.field, &one.old, &one.new)
        })
    };
    of_others(plan).iter().all(is_known)
}

impl Sharing {
    pub fn new(loaded: &Loaded, made: &[Made], members: &[Member], known: Hubs) -> Sharing {
        let name = |at: usize| loaded.tenants.list[at].name.clone();
        let mut out = Sharing {
            takes: BTreeMap::new(),
            hubs: BTreeSet::new(),
            depth: BTreeMap::new(),
            open: BTreeSet::new(),
            known,
            is_taken_over: false,
        };
        for (one, member) in made.iter().zip(members).filter(|(one, _)| !one.takes.is_empty()) {
            let hubs: BTreeSet<String> = one.takes.iter().map(|hub| name(*hub)).collect();
            out.hubs.extend(hubs.iter().cloned());
            out.takes.insert(name(one.at), hubs);
            out.depth.insert(name(one.at), one.depth);
            if !handed::taken(&member.session.manifest).is_empty() {
                out.open.insert(name(one.at));
            }
        }
        out
    }

    /// Tenants that wait for what another one has after its first apply.
    pub fn open(&self) -> impl Iterator<Item = &String> {
        self.open.iter()
    }

    pub fn is_hub(&self, name: &str) -> bool {
        self.hubs.contains(name)
    }

    /// The tenants that it takes from.
    pub fn hubs_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.takes.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether none of these hubs has to be applied before it.
    pub fn is_ready(&self, name: &str, open: &BTreeSet<&String>) -> bool {
        open.is_empty() || !self.hubs_of(name).any(|hub| open.iter().any(|one| *one == hub))
    }

    pub fn of(&self, name: &str) -> One {
        One { is_open: self.is_taken_over || self.open.contains(name) }
    }

    /// As [`One::is_confirmed`].
    pub fn is_confirmed(&self, name: &str, confirmed: &Plan, plan: &Plan) -> bool {
        self.of(name).is_confirmed(confirmed, plan)
    }

    /// The tenants in parts, each before those that it takes from.
    pub fn backwards(&self, names: Vec<String>) -> Vec<Vec<String>> {
        let mut parts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for name in names {
            parts.entry(self.depth.get(&name).copied().unwrap_or_default()).or_default().push(name);
        }
        parts.into_values().rev().collect()
    }

    /// A hub was applied: those that take from it get its outputs.
    pub fn handed_on(
        &mut self,
        hub: &str,
        outputs: Outputs,
        made: &[Made],
        members: &mut [Member],
        shell: &mut Shell,
    ) {
        self.known.insert(hub.to_owned(), Some(outputs));
        let all: Vec<usize> = (0..made.len()).collect();
        hubs::fill(made, &all, &self.known, members, shell);
    }
}

//! Who takes outputs of whom in a rollout: the order, and the plans of tenants whose hub was not applied yet.

use std::collections::{BTreeMap, BTreeSet};

use super::super::setup::Shell;
use super::hubs;
use super::load::{Loaded, Made};
use crate::model::address::Address;
use crate::model::plan::{Cause, FieldChange, Plan, Step, Verb};
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
    /// Why a plan is not the one that was confirmed; `None` if it is. That of a tenant that may change may also be what
    /// is left of it.
    pub fn objection(self, confirmed: Option<&Plan>, plan: &Plan) -> Option<String> {
        let is_confirmed = confirmed.is_some_and(|confirmed| {
            confirmed.basis == plan.basis || self.is_open && more_than(confirmed, plan).is_none()
        });
        (!is_confirmed).then(|| changed_in_between(confirmed, plan))
    }
}

/// Says in which way a plan is another one than the confirmed one.
pub fn changed_in_between(confirmed: Option<&Plan>, plan: &Plan) -> String {
    let more = confirmed.and_then(|confirmed| more_than(confirmed, plan));
    format!(
        "the tenant was changed in between: {}",
        more.as_deref().unwrap_or("its steps are not the confirmed ones")
    )
}

/// What a plan does beyond the confirmed one; `None` if it is that plan or what is left of it: it writes to no resource
/// that the confirmed plan leaves alone, nor over what others changed since, and does nothing more that is dangerous. A
/// step may have been done by half, so the steps themselves may be others.
pub fn more_than(confirmed: &Plan, plan: &Plan) -> Option<String> {
    let is_written = |step: &Step| confirmed.steps.iter().any(|other| other.address == step.address);
    if let Some(step) = plan.steps.iter().find(|step| !is_written(step)) {
        return Some(format!("{} has to be written too", step.address));
    }
    let known = of_others(confirmed);
    let is_known = |(address, change): &(&Address, &FieldChange)| {
        known.iter().any(|(at, old)| {
            at == address && (&old.field, &old.old, &old.new) == (&change.field, &change.old, &change.new)
        })
    };
    if let Some((address, change)) = of_others(plan).into_iter().find(|one| !is_known(one)) {
        return Some(format!("somebody else set {address}, {}", change.field));
    }
    let dangers = |plan: &Plan| plan.steps.iter().filter(|step| step.danger.is_some()).count();
    let deletes = |plan: &Plan| plan.resources.iter().filter(|one| one.verb == Verb::Delete).count();
    if dangers(plan) > dangers(confirmed) {
        return Some("more steps are dangerous now".to_owned());
    }
    (deletes(plan) > deletes(confirmed)).then(|| "more objects have to be deleted now".to_owned())
}

/// The fields that a plan writes over and that others have changed.
fn of_others(plan: &Plan) -> Vec<(&Address, &FieldChange)> {
    let changes =
        plan.resources.iter().flat_map(|one| one.changes.iter().map(|change| (&one.address, change)));
    changes.filter(|(_, change)| matches!(change.cause, Cause::TenantChanged | Cause::Both)).collect()
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

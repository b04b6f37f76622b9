//! Defines what a kind of resource is: its inputs and its answers.
//!
//! A kind turns its manifest section into a desired state, reads the observed state of the tenant through a [`Reader`],
//! plans the steps from the observed to the desired state, and runs one step with a [`Writer`]. A kind never sees a
//! header, a clock or a socket.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::seen::Seen;
use crate::diag::Problem;
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::last_run::Changed;
use crate::model::ledger::{Entry, Intent};
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{FieldChange, Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Ids, Value};
use crate::port::{Reader, Writer};

/// A boxed future of one task.
pub type Task<'a, T> = crate::port::Boxed<'a, T>;

/// A resource as the manifest wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub address: Address,
    pub kind: &'static str,
    pub desired: Attrs,
}

/// Everything `observe` may look at besides the API.
pub struct Hint<'a> {
    pub address: &'a Address,
    pub want: Option<&'a Resource>,
    pub entry: Option<&'a Entry>,
    /// The ledger's entries for all resources, keyed by address. A kind that depends on another resource needs them.
    pub record: Option<&'a BTreeMap<Address, Entry>>,
    pub intent: Option<&'a Intent>,
    /// A ledger was found. Without a ledger, nobody knows whether an existing object is ours.
    pub has_ledger: bool,
    /// The ledger is kept in the tenant, so it counts against the limit of Actions.
    pub ledger_in_tenant: bool,
    pub stack: &'a str,
    pub manifest: &'a Manifest,
}

impl<'a> Hint<'a> {
    /// The ids that existed before an unfinished run, if that run may have created this resource.
    pub fn creating(&self) -> Option<&'a Vec<String>> {
        self.intent.and_then(|intent| intent.creating.get(self.address))
    }

    /// The id in an unproven record, if the manifest wants the resource. The id may be used to tell about the object,
    /// and for nothing else.
    pub fn unproven_id(&self, id: &str) -> Option<&str> {
        let entry = self.record?.get(self.address).filter(|entry| entry.unproven && self.want.is_some())?;
        entry.ids.get(id).map(String::as_str).filter(|id| !id.is_empty())
    }

    /// Whether a proven record has the resource.
    pub fn is_known(&self) -> bool {
        self.entry.is_some_and(|entry| !entry.unproven)
    }

    /// The name that an unfinished run was to give the object that it may have created. `None` if the manifest still
    /// has this name.
    pub fn former_name(&self, field: &str) -> Option<&'a str> {
        let intent = self.intent.filter(|intent| intent.creating.contains_key(self.address))?;
        let former = intent.begun.get(self.address)?.wanted.get(field)?.as_str();
        let name = self.want.and_then(|want| want.desired.get(field)).and_then(Value::as_str);
        former.filter(|former| Some(*former) != name)
    }
}

/// Everything that `steps` may look at. This is pure data.
pub struct Diff<'a> {
    pub address: &'a Address,
    pub kind: &'static str,
    pub want: &'a Resource,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    pub changes: &'a [FieldChange],
    pub manifest: &'a Manifest,
    /// Observed state of every resource, keyed by address.
    pub all: &'a BTreeMap<Address, Seen>,
    /// Time of the plan, in ms since the Unix epoch.
    pub as_of_ms: u64,
}

impl Diff<'_> {
    /// The reason of a step: the names of the changed fields, and that they differ.
    pub fn changed_names(&self) -> String {
        let names: Vec<&str> = self.changes.iter().map(|change| change.field.as_str()).collect();
        format!("{} differ{}", names.join(", "), if names.len() == 1 { "s" } else { "" })
    }

    /// A step of this resource with the usual parts filled in.
    pub fn step(&self, verb: Verb, stage: Stage, what: &str, op: Op) -> Step {
        step(self.address, self.kind, verb, stage, what, op)
    }
}

/// A step with the usual parts filled in.
pub fn step(address: &Address, kind: &str, verb: Verb, stage: Stage, what: &str, op: Op) -> Step {
    Step {
        number: 0,
        address: address.to_owned(),
        kind: kind.to_owned(),
        verb,
        stage,
        what: what.to_owned(),
        reason: String::new(),
        op,
        effects: Facts::new(),
        danger: None,
        creates: false,
        again: false,
    }
}

/// Everything that `run` may look at. `desired` has outputs and generated values filled in.
pub struct Run<'a> {
    pub address: &'a Address,
    pub step: &'a Step,
    pub desired: &'a Attrs,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    /// The ids of every resource that are known so far, keyed by address.
    pub ids: &'a BTreeMap<Address, Ids>,
    pub manifest: &'a Manifest,
    pub intent: Option<&'a Intent>,
}

impl Run<'_> {
    /// What the step does, in the kind's own type.
    ///
    /// # Errors
    /// This build does not know what the step is to do.
    pub(super) fn act<A: DeserializeOwned>(&self) -> Result<A, Failed> {
        self.step.op.act().map_err(|error| {
            Failed::NotDone(format!("this build does not know this kind of step ({error}); plan again"))
        })
    }
}

/// The result of a step.
#[derive(Debug)]
pub struct Done {
    pub seen: Seen,
    /// Notes for the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// All secrets of the resource were sent.
    pub wrote_secrets: bool,
}

impl Done {
    /// A result without notes and without sent secrets.
    pub fn seen(seen: Seen) -> Done {
        Done { seen, notes: BTreeMap::new(), wrote_secrets: false }
    }
}

/// What happens to a resource that the manifest no longer declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The resource is removed, or its former values are put back. The plan refuses this unless deletes are allowed.
    Removed,
    /// The resource may still be in use, so it is removed later: `wait_ms` after the apply that put something else in
    /// its place, and only while the new way delivers.
    Deferred { wait_ms: u64, until: Until },
    /// Nobody can reach the resource any more, so only its record is removed. Holds the reason.
    Abandoned(&'static str),
}

/// What a deferred removal waits for besides its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The tenant's phone provider delivers messages.
    Delivered,
    /// Nothing on record uses the object.
    Unused,
}

/// Everything that `back` may look at. This is pure data.
pub struct Back<'a> {
    pub address: &'a Address,
    pub seen: &'a Seen,
    /// The record of the resource as if the last run had created it or taken it over: `restore` has the present values,
    /// and the former ones of what the last run set. Null: the field was absent.
    pub entry: &'a Entry,
    /// The record of the resource.
    pub recorded: Option<&'a Entry>,
    pub changed: &'a Changed,
    /// The values of the manifest, with outputs filled in.
    pub desired: &'a Attrs,
    pub manifest: &'a Manifest,
    /// Observed state of every resource, keyed by address.
    pub all: &'a BTreeMap<Address, Seen>,
    /// Whether the record has the fingerprint of the manifest's value of a secret.
    pub is_recorded: &'a dyn Fn(&str) -> bool,
}

/// How a resource goes back to what it was before the last run.
#[derive(Debug, Default)]
pub struct WayBack {
    pub steps: Vec<Step>,
    /// What does not go back and why, in words. `None`: each field that no step writes stays for want of a way back.
    pub stays: Option<Vec<String>>,
    /// What a person should know of the steps.
    pub notes: Vec<String>,
}

/// The place in the manifest that sets a field of a resource.
pub enum SaidBy {
    /// The key that the sections' tables name for the field.
    Tables,
    /// This key.
    Key(String),
    /// No key: the value follows from the stack itself.
    Nothing,
}

/// One kind of resource.
pub trait Kind: Sync {
    /// The kind's name, also the address of its only (or first) resource.
    fn name(&self) -> &'static str;

    /// The manifest sections of the kind.
    fn sections(&self) -> &'static [&'static Section];

    /// The API path of its resources, with the variable parts in braces. Empty if the kind has no API.
    fn api_path(&self) -> &'static str;

    /// The place in the manifest that sets a field of one of its resources.
    fn said_by(&self, _manifest: &Manifest, _address: &Address, _field: &str) -> SaidBy {
        SaidBy::Tables
    }

    /// The path in the manifest at which `adopt` writes a field of the tenant, where neither the tables nor a manifest
    /// that has the key say it.
    fn adopted_at(&self, _address: &Address, _field: &str) -> Option<Vec<String>> {
        None
    }

    /// The values of a resource that nobody has ever set: `adopt` leaves such a resource out.
    fn never_set(&self) -> Attrs {
        Attrs::new()
    }

    /// The resources that the manifest declares.
    fn declare(&self, manifest: &Manifest) -> Vec<Resource>;

    /// Checks of the manifest that go beyond a single field.
    fn check(&self, _manifest: &Manifest, _out: &mut Vec<Problem>) {}

    /// The reads that need nothing but the manifest. They are all sent together in the first trip.
    fn prefetch(&self, want: &Resource, manifest: &Manifest) -> Vec<Get>;

    /// Reads the state of the resource from the tenant.
    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>>;

    /// The steps from the observed to the desired state; empty if nothing has to be done. The function is pure.
    fn steps(&self, diff: &Diff<'_>) -> Vec<Step>;

    /// The steps that remove the resource, or put back the values from before this stack. The function is pure.
    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step>;

    /// What happens to the resource when the manifest no longer declares it.
    fn leaving(&self, _manifest: &Manifest) -> Leaving {
        Leaving::Removed
    }

    /// Whether the manifest leaves the object to others: it is read and checked, and never written or put on record.
    fn only_uses(&self, _manifest: &Manifest) -> bool {
        false
    }

    /// Whether the manifest leaves the object on record to others, so that not even a destroy or a rollback touches it.
    fn spares(&self, _manifest: &Manifest, _entry: &Entry) -> bool {
        false
    }

    /// Objects that a step leaves behind for a while, because they may still be in use. Each becomes an entry of its own,
    /// whose removal is deferred.
    fn left_behind(&self, _step: &Step) -> Vec<(Address, Entry)> {
        Vec::new()
    }

    /// Objects that unfinished runs made beside the one on record. Where the removal of that one is deferred, each becomes
    /// an entry of its own, because the next run knows nothing of the unfinished ones any more.
    fn orphans(&self, _address: &Address, _seen: &Seen) -> Vec<(Address, Entry)> {
        Vec::new()
    }

    /// What speaks against removing the resource and everything that depends on it.
    fn removal_refusal(&self, _address: &Address, _seen: &Seen, _entry: &Entry) -> Option<Finding> {
        None
    }

    /// Why a step may not remove an object of ours or put its former value back, in words. `None` if it may. The two
    /// paths are the delivery path before the first step and after all steps.
    fn must_stay(&self, _step: &Step, _before: &LoginPath, _after: &LoginPath) -> Option<(Level, String)> {
        None
    }

    /// Facts about the delivery path that follow from the observed state.
    fn facts(&self, address: &Address, seen: &Seen) -> Facts;

    /// Runs one step, with at most one write.
    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>>;

    /// Reads what became of a step whose outcome is unknown. `Some`: the step took effect. `None`: no effect was found.
    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>>;

    /// Whether a step whose outcome is unknown may be repeated in the same run after [`Kind::settle`] found no effect.
    /// A step may not be repeated if the API would accept a second object: a list may lag for longer than a run looks.
    fn may_repeat(&self, step: &Step) -> bool {
        !step.creates
    }

    /// Whether an observed value may stay although it differs from the desired one, for example the resolved version of
    /// a dependency that the manifest leaves floating.
    fn tolerates(&self, _field: &str, _desired: &Value, _observed: &Value) -> bool {
        false
    }

    /// Whether the API may accept a field and never show it. Such a field is taken to have the value that was sent
    /// last. If a reply leaves the field out, it is [`Value::Unknown`] in `attrs`.
    fn write_only(&self, _field: &str) -> bool {
        false
    }

    /// Whether the manifest says that a secret which nobody can read, and which has this mark, is the one that it has.
    fn vouches(&self, _manifest: &Manifest, _mark: &Json) -> bool {
        false
    }

    /// Whether one step of ours switches the field off and a later one switches it on again.
    fn toggles(&self, _field: &str) -> bool {
        false
    }

    /// Prefixes of the map fields that are closed: a name that exists only in the tenant counts as a difference.
    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &[]
    }

    /// The scopes of the Management API that a step needs; empty for Twilio.
    fn scopes(&self, step: &Step) -> &'static [&'static str];

    /// What speaks against the steps, and what a person should know of the resource.
    fn refusals(&self, _diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        Vec::new()
    }

    /// What a person should know and no API can tell: it follows from the manifest and the time (ms since the Unix
    /// epoch) alone.
    fn notices(&self, _manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        Vec::new()
    }

    /// Whether the code of this kind sends the codes of logins.
    fn sends(&self) -> bool {
        false
    }

    /// Whether the observed object exists and runs.
    fn runs(&self, seen: &Seen) -> bool {
        seen.exists && seen.attrs.get("deployed") != Some(&Value::Known(Json::Bool(false)))
    }

    /// Whether the running code is the version from before this stack. That version sends through the service that it
    /// was given then, whatever happens to ours.
    fn runs_former(&self, _seen: &Seen, _entry: Option<&Entry>) -> bool {
        false
    }

    /// Whether these steps of one resource run its code with the wanted secrets and no others, so that what its secrets
    /// were before does not count any more.
    fn renews(&self, _seen: &Seen, _steps: &[&Step]) -> bool {
        false
    }

    /// Whether a step brings back the version from before this stack.
    fn brings_back(&self, _step: &Step) -> bool {
        false
    }

    /// Whether the running version may know the object with that id. `made_at` is the time of the object's creation, as
    /// its vendor writes it.
    fn runs_with(&self, _seen: &Seen, _id: &str, _made_at: &str) -> bool {
        true
    }

    /// Whether the version from before this stack may know the object with that id. `made_at` is the time of the
    /// object's creation, as its vendor writes it.
    fn may_know(&self, _seen: &Seen, _id: &str, _made_at: &str) -> bool {
        false
    }

    /// Whether, after the step, the code no longer uses the shared object whose id this stack gave it (see
    /// [`Kind::shared_since`]).
    fn forgets(&self, step: &Step) -> bool {
        self.brings_back(step)
    }

    /// The creation time of the object, as its vendor writes it, for a kind whose id is given to senders. Other code
    /// may then use the object although no record says so. `None`: the ids of this kind are not given to senders.
    fn shared_since(&self, _seen: &Seen) -> Option<String> {
        None
    }

    /// Reads what only a rollback needs to know of a resource that the last run changed.
    fn look_back<'a>(
        &'a self,
        _changed: &'a Changed,
        _seen: &'a mut Seen,
        _reader: &'a Reader,
    ) -> Task<'a, Result<(), Failed>> {
        Box::pin(async { Ok(()) })
    }

    /// The steps that take back what the last run changed. The function is pure.
    fn back(&self, back: &Back<'_>) -> WayBack {
        WayBack { steps: self.removal(back.address, back.seen, back.entry), ..WayBack::default() }
    }

    /// Id of the version that runs, if the kind has versions that can be deployed again.
    fn running(&self, _seen: &Seen) -> Option<String> {
        None
    }

    /// The present value of something that destroy puts back and that is not among the observed fields.
    fn shown(&self, _seen: &Seen, _field: &str) -> Option<Json> {
        None
    }

    /// The values that destroy puts back, taken from the state before our first step. They never include a secret.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        seen.attrs
            .iter()
            .filter_map(|(field, value)| value.known().map(|json| (field.clone(), json.clone())))
            .collect()
    }
}

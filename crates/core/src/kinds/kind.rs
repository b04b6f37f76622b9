//! What a kind of resource is: what it is given to look at, and what it answers.
//!
//! A kind turns its manifest section into a desired state, reads the tenant through a [`Reader`], says which steps
//! lead from one to the other, and runs one step with a [`Writer`]. It never sees a header, a clock or a socket.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::seen::Seen;
use crate::diag::Problem;
use crate::model::call::{Failed, Get};
use crate::model::facts::Facts;
use crate::model::field::Section;
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
    pub address: String,
    pub kind: &'static str,
    pub desired: Attrs,
}

/// Everything `observe` may look at besides the API.
pub struct Hint<'a> {
    pub address: &'a str,
    pub want: Option<&'a Resource>,
    pub entry: Option<&'a Entry>,
    /// What the ledger knows of every resource, by address: for a kind that hangs on another one.
    pub record: Option<&'a BTreeMap<String, Entry>>,
    pub intent: Option<&'a Intent>,
    /// A ledger was found (or is not used at all): without one, what stands there is not known to be ours.
    pub has_ledger: bool,
    /// The ledger takes the room of an Action.
    pub ledger_in_tenant: bool,
    pub stack: &'a str,
    pub manifest: &'a Manifest,
}

impl<'a> Hint<'a> {
    /// Ids that were there before an unfinished run which may have made this.
    pub fn creating(&self) -> Option<&'a Vec<String>> {
        self.intent.and_then(|intent| intent.creating.get(self.address))
    }

    /// An id that a record says and nothing proves: to tell of the object, and for nothing else.
    pub fn unproven_id(&self, id: &str) -> Option<&str> {
        let entry = self.record?.get(self.address).filter(|entry| entry.unproven && self.want.is_some())?;
        entry.ids.get(id).map(String::as_str).filter(|id| !id.is_empty())
    }

    /// Whether a record that is proven knows the resource.
    pub fn is_known(&self) -> bool {
        self.entry.is_some_and(|entry| !entry.unproven)
    }

    /// What an unfinished run was to call the object it may have made, where the manifest says otherwise by now.
    pub fn former_name(&self, field: &str) -> Option<&'a str> {
        let intent = self.intent.filter(|intent| intent.creating.contains_key(self.address))?;
        let former = intent.begun.get(self.address)?.wanted.get(field)?.as_str();
        let name = self.want.and_then(|want| want.desired.get(field)).and_then(Value::as_str);
        former.filter(|former| Some(*former) != name)
    }
}

/// Everything `steps` may look at: pure data.
pub struct Diff<'a> {
    pub address: &'a str,
    pub kind: &'static str,
    pub want: &'a Resource,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    pub changes: &'a [FieldChange],
    pub manifest: &'a Manifest,
    /// Observed state of every resource, by address.
    pub all: &'a BTreeMap<String, Seen>,
    /// Time of the plan, in ms since the Unix epoch.
    pub as_of_ms: u64,
}

impl Diff<'_> {
    /// The names of the changed fields, as the reason of a step.
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
pub fn step(address: &str, kind: &str, verb: Verb, stage: Stage, what: &str, op: Op) -> Step {
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

/// Everything `run` may look at. `desired` has outputs and generated values filled in.
pub struct Run<'a> {
    pub address: &'a str,
    pub step: &'a Step,
    pub desired: &'a Attrs,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    /// Ids of every resource so far, by address.
    pub ids: &'a BTreeMap<String, Ids>,
    pub manifest: &'a Manifest,
    pub intent: Option<&'a Intent>,
}

impl Run<'_> {
    /// What the step does, in the words of the kind.
    pub(super) fn act<A: DeserializeOwned>(&self) -> Result<A, Failed> {
        self.step.op.act().map_err(|error| {
            Failed::NotDone(format!("this build does not know what the step is to do ({error}); plan again"))
        })
    }
}

/// What became of a step.
#[derive(Debug)]
pub struct Done {
    pub seen: Seen,
    /// Kept in the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// The secrets of the resource were sent, every one of them.
    pub wrote_secrets: bool,
}

impl Done {
    /// Done, nothing to note.
    pub fn seen(seen: Seen) -> Done {
        Done { seen, notes: BTreeMap::new(), wrote_secrets: false }
    }
}

/// How a resource goes that the manifest does not declare any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its removal is refused unless deletes are allowed.
    Removed,
    /// What the manifest asks for now takes its place, and it goes later, because it may still be in use: so many ms
    /// after the apply that took its place, and only while the new way delivers.
    Deferred { wait_ms: u64 },
    /// Nobody can get at it any more, so only its record goes. Holds why.
    Abandoned(&'static str),
}

/// Where the manifest says a field of a resource.
pub enum SaidBy {
    /// Under the key that the sections' tables name for it.
    Tables,
    /// Under this key.
    Key(String),
    /// Nowhere: its value follows from the stack itself.
    Nothing,
}

/// One kind of resource.
pub trait Kind: Sync {
    /// The kind's name, also the address of its only (or first) resource.
    fn name(&self) -> &'static str;

    /// Its manifest sections.
    fn sections(&self) -> &'static [&'static Section];

    /// Path of the calls that its resources are of, with what varies in braces; empty where it has none.
    fn api_path(&self) -> &'static str;

    /// Where the manifest says a field of one of its resources.
    fn said_by(&self, _manifest: &Manifest, _address: &str, _field: &str) -> SaidBy {
        SaidBy::Tables
    }

    /// The resources that the manifest declares.
    fn declare(&self, manifest: &Manifest) -> Vec<Resource>;

    /// Checks beyond single fields.
    fn check(&self, _manifest: &Manifest, _out: &mut Vec<Problem>) {}

    /// Reads that need nothing but the manifest, so that they leave together in the first trip.
    fn prefetch(&self, want: &Resource, manifest: &Manifest) -> Vec<Get>;

    /// Reads the tenant.
    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>>;

    /// The steps from observed to desired; empty when nothing is to be done. Pure.
    fn steps(&self, diff: &Diff<'_>) -> Vec<Step>;

    /// The steps that take the resource away, or put back what was there before. Pure.
    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step>;

    /// How the resource goes when the manifest no longer declares it.
    fn leaving(&self, _manifest: &Manifest) -> Leaving {
        Leaving::Removed
    }

    /// What stands against taking the resource away (and everything that hangs on it).
    fn removal_refusal(&self, _address: &str, _seen: &Seen, _entry: &Entry) -> Option<Finding> {
        None
    }

    /// Why the object has to stay as it is although it is ours, given the delivery path before the first and after every
    /// step: in words.
    fn stays(&self, _step: &Step, _before: &LoginPath, _after: &LoginPath) -> Option<(Level, String)> {
        None
    }

    /// What the observed state says about the delivery path.
    fn facts(&self, address: &str, seen: &Seen) -> Facts;

    /// Runs one step: at most one write.
    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>>;

    /// After an unknown outcome: reads what became of the step. `Some`: it took effect. `None`: it did not.
    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>>;

    /// Whether a step whose outcome is unknown may be repeated in the same run after a look found nothing. Not where it
    /// makes an object of which the API takes two: a list may lag for longer than a run looks.
    fn may_repeat(&self, step: &Step) -> bool {
        !step.creates
    }

    /// Whether an observed value may stay although it differs (a dependency that the manifest leaves floating).
    fn tolerates(&self, _field: &str, _desired: &Value, _observed: &Value) -> bool {
        false
    }

    /// Whether the API may take a field and never show it. Such a field is as it was sent last; in `attrs` it is
    /// [`Value::Unknown`] when a reply leaves it out.
    fn write_only(&self, _field: &str) -> bool {
        false
    }

    /// Whether a field is switched off by one step of ours and on again by a later one.
    fn in_between(&self, _field: &str) -> bool {
        false
    }

    /// Prefixes of map fields in which a name that only the tenant has is a difference.
    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &[]
    }

    /// Scopes of the Management API that a step needs; empty for Twilio.
    fn scopes(&self, step: &Step) -> &'static [&'static str];

    /// What stands against the steps.
    fn refusals(&self, _diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        Vec::new()
    }

    /// What a person should know of the manifest alone at that time (ms since the Unix epoch): what no API can tell.
    fn notices(&self, _manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        Vec::new()
    }

    /// Whether its code sends the codes of logins.
    fn sends(&self) -> bool {
        false
    }

    /// Whether what stands there runs.
    fn runs(&self, seen: &Seen) -> bool {
        seen.exists && seen.attrs.get("deployed") != Some(&Value::Known(Json::Bool(false)))
    }

    /// Whether the code that runs is what ran before this stack: it sends through what it was told of then, whatever
    /// becomes of ours.
    fn runs_former(&self, _seen: &Seen, _entry: Option<&Entry>) -> bool {
        false
    }

    /// Whether a step brings that code back.
    fn brings_back(&self, _step: &Step) -> bool {
        false
    }

    /// Whether that code may know the object with that id, which was made at that time, as its vendor writes it.
    fn may_know(&self, _seen: &Seen, _id: &str, _made_at: &str) -> bool {
        false
    }

    /// Whether after a step the code does without what this stack told it of the object that senders are told of.
    fn forgets(&self, step: &Step) -> bool {
        self.brings_back(step)
    }

    /// When the object was made whose id senders are told, as its vendor writes it: others may use it although no
    /// record says so. `None`: of this kind nobody is told.
    fn told_since(&self, _seen: &Seen) -> Option<String> {
        None
    }

    /// A value that is put back and that no field shows, as it stands now.
    fn shown(&self, _seen: &Seen, _field: &str) -> Option<Json> {
        None
    }

    /// Values that destroy puts back, taken from the state before our first step; never a secret.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        seen.attrs
            .iter()
            .filter_map(|(field, value)| value.known().map(|json| (field.clone(), json.clone())))
            .collect()
    }
}

//! A plan is a value: printable, comparable, serialisable, complete before the first write. It holds no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::facts::Facts;

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Create,
    Update,
    Replace,
    Delete,
    /// Take an existing object under management; no request of its own.
    Adopt,
    NoOp,
}

impl Verb {
    /// The symbol shown to users, the same everywhere.
    pub fn symbol(self) -> &'static str {
        match self {
            Verb::Create => "+",
            Verb::Update => "~",
            Verb::Replace => "±",
            Verb::Delete => "-",
            Verb::Adopt => "»",
            Verb::NoOp => " ",
        }
    }

    /// The word shown to users.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Replace => "replace",
            Verb::Delete => "delete",
            Verb::Adopt => "adopt",
            Verb::NoOp => "no-op",
        }
    }
}

/// Who made the difference, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The manifest moved on; the tenant is as it was applied.
    NotApplied,
    /// The tenant was changed; the manifest is as it was applied.
    TenantChanged,
    /// Both moved.
    Both,
    /// A run of this stack that did not come to its end left it so.
    Unfinished,
    /// No record of what was applied.
    Unknown,
}

/// What the record says of a field: how the last apply left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Was {
    /// It is not on record.
    #[default]
    Nothing,
    Value(Json),
    /// A secret, or a text of which the record keeps a digest: it was applied, and the record cannot show it.
    Hidden,
}

impl Was {
    /// Whether the record has nothing of it.
    pub fn is_nothing(&self) -> bool {
        *self == Was::Nothing
    }
}

/// One field that differs. Values of secrets are the words `set`, `changed`, `unknown`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    #[serde(default, skip_serializing_if = "Was::is_nothing")]
    pub applied: Was,
    /// `None`: absent on the tenant.
    pub old: Option<Json>,
    /// `None`: to be absent.
    pub new: Option<Json>,
    pub secret: bool,
    pub cause: Cause,
}

/// One resource of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePlan {
    pub address: String,
    pub kind: String,
    pub verb: Verb,
    pub changes: Vec<FieldChange>,
    /// Fields whose value cannot be compared (secrets without a record), shown as `unknown`, no change.
    pub unknown: Vec<String>,
    /// Remote ids, for people.
    pub ids: BTreeMap<String, String>,
    /// Its name on the tenant or the account, for people: of what goes, whoever confirms it must know which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The record has it and the manifest does not: `new` of a change is the value from before this stack.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves: bool,
    /// It stands there already, and this stack takes it over; its name and ids say what.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// Why it stays as it is, although the stack goes: nothing is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// Order of steps across resources. Retracting steps first, exposing ones last, removals at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Factors other than the phone come on, where another one goes or logins begin to be asked again.
    Offer,
    /// The policy asks for less.
    LowerPolicy,
    /// The post-login Action asks nobody any more.
    UnbindRules,
    /// Actions no longer decide about factors, once the one that asked is unbound.
    HandBack,
    /// Delivery methods come back that message types need which come back.
    Widen,
    /// Message types shrink, while the factor is still on: the API takes them only then.
    NarrowTypes,
    /// Factors are switched off.
    SwitchOff,
    /// What everything else stands on: Verify service.
    Foundation,
    /// What hangs on the service and is named by the Action: rate limits, messaging configurations.
    Limits,
    /// The Action's draft; its build goes on while the next stage runs.
    Draft,
    /// The feedback path, active before exposure.
    Feedback,
    Deploy,
    Bind,
    Provider,
    /// Tenant-wide switches: unified flag, Universal Login.
    Tenant,
    SwitchOn,
    MessageTypes,
    /// The post-login Action that asks for a factor: after everything that delivers one.
    DeployRules,
    BindRules,
    RaisePolicy,
    /// Delivery methods that no message type needs any more.
    Narrow,
    RemoveFeedback,
    /// The receiver, after the stream that sends to it.
    RemoveFunction,
    RemoveProvider,
    Unbind,
    RemoveAction,
    RemoveLimits,
    RemoveFoundation,
    /// The phone factor that was on before comes back, once the former way of sending stands again.
    SwitchBack,
    /// A former policy that asks for more, after every factor that it may stand on.
    RaiseBack,
    /// Factors go that leave the phone alone to logins that are asked, once nothing changes any more in how it sends.
    Retire,
}

/// One step: at most one write, reads before it, polls after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1, in total order.
    pub number: usize,
    pub address: String,
    pub kind: String,
    pub verb: Verb,
    pub stage: Stage,
    /// What is done, in a few words: `put draft`, `deploy`, `switch on`.
    pub what: String,
    pub reason: String,
    /// The kind's own words for what to do.
    pub op: Json,
    /// Facts that are different after the step.
    pub effects: Facts,
    /// What may be lost, in words; such a step is always confirmed.
    pub danger: Option<String>,
    /// It makes an object that has no unique name, so a lost answer is looked up, never repeated.
    pub creates: bool,
    /// The tenant refused it in an earlier run, and it is tried once more: no change, unless it is taken now.
    #[serde(default)]
    pub again: bool,
}

/// Something to know or to act on; no step of ours can mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub address: String,
    pub text: String,
    /// What to do; empty when there is nothing to do.
    pub help: String,
    pub level: Level,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Shown; changes nothing.
    Note,
    /// Shown; `drift` answers 7 when there is nothing else.
    Warning,
    /// Nothing is applied until it is settled.
    Blocker,
    /// Part of the tenant could not be read: the result is not `clean`.
    NotRead,
}

/// Something that goes or is put back only when a person names it: nothing proves the record that calls it this stack's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    pub address: String,
    /// What has to be named: the remote id, or the address of what has none.
    pub id: String,
    /// Its name on the tenant or the account, empty when it has none.
    pub name: String,
    /// What would be done, in words.
    pub what: String,
}

/// A removal that waits, because what it removes may still be in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    pub address: String,
    /// Its place in the order of steps, once it is due.
    pub stage: Stage,
    /// What will be done, in words.
    pub what: String,
    /// What has to be seen before it is done.
    pub needs: String,
    /// Wait after the apply that records it, in ms.
    pub wait_ms: u64,
    /// From then on it may be done, RFC 3339; `None` until an apply has recorded it.
    pub not_before: Option<String>,
}

/// What a plan is made for. Steps and digest are the same for each; what only an apply needs stands against an apply alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown: nothing is written.
    Show,
    /// To tell who moved: nothing is written, and credentials that the stack hands on are tried.
    Drift,
    /// To be carried out.
    Apply,
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub format: u32,
    pub stack: String,
    pub tenant: String,
    pub account: String,
    pub destroy: bool,
    pub resources: Vec<ResourcePlan>,
    pub steps: Vec<Step>,
    pub findings: Vec<Finding>,
    /// Removals that wait; no change until they are due.
    #[serde(default)]
    pub deferred: Vec<Deferred>,
    /// What stays until a person names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Unproven>,
    /// The ledger is to be written although no step is needed (adoption of what is already as wanted).
    pub record: bool,
    /// Digest over everything the plan was computed from, for the check of a saved plan.
    pub basis: String,
}

/// Version of the plan's JSON form.
pub const PLAN_FORMAT: u32 = 1;

impl Plan {
    /// Whether an apply would change nothing, as far as is known: what the tenant refused before and is only tried again
    /// is no change.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.again) && !self.record
    }

    /// Whether an apply has anything to do, be it only to try something again.
    pub fn has_work(&self) -> bool {
        !self.steps.is_empty() || self.record
    }

    /// Whether manifest and tenant differ in a resource: by a field, or by a step that is due for another reason. A field
    /// that nobody can compare is no difference.
    pub fn differs(&self, resource: &ResourcePlan) -> bool {
        let has_step = self.steps.iter().any(|step| step.address == resource.address && !step.again);
        !resource.changes.is_empty() || has_step
    }

    /// The findings that keep the plan from being applied.
    pub fn blockers(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level == Level::Blocker)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

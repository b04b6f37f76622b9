//! A plan is a value: printable, comparable, serialisable, complete before the first write. It holds no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::address::Address;
use super::codes::Code;
use super::facts::Facts;

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Create,
    Update,
    Replace,
    Delete,
    /// Take an existing object under management. The adoption itself sends no request.
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

/// Cause of a difference, for one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Only the manifest has changed since the last apply.
    NotApplied,
    /// Only the tenant has changed since the last apply.
    TenantChanged,
    /// Both have changed since the last apply.
    Both,
    /// An unfinished run of this stack left the field in this state.
    Unfinished,
    /// There is no record of the last applied value.
    Unknown,
}

/// The last applied value of a field, according to the record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Was {
    /// The record has no value of the field.
    #[default]
    Nothing,
    Value(Json),
    /// The field was applied, but the record cannot show the value: it is a secret, or a text kept as a digest.
    Hidden,
}

impl Was {
    /// Whether the record has no value of the field.
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
    /// `None`: the field is to be absent.
    pub new: Option<Json>,
    pub secret: bool,
    pub cause: Cause,
    /// For drift: the line of the manifest that accepts the tenant's value. `None`: no line can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
}

/// A field that differs and stays as it is, because the manifest accepts the tenant's value for a time. It is never a
/// secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    pub field: String,
    /// Key of the manifest, `branding.logo_url`.
    pub key: String,
    /// `None`: absent on the tenant.
    pub tenant: Option<Json>,
    /// The value that the manifest wants otherwise; `None`: the field is to be absent.
    pub manifest: Option<Json>,
    pub reason: String,
    pub by: String,
    /// The last day, YYYY-MM-DD.
    pub until: String,
}

/// One resource of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePlan {
    pub address: Address,
    pub kind: String,
    pub verb: Verb,
    pub changes: Vec<FieldChange>,
    /// Fields that differ and are no changes, because the manifest accepts the tenant's value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// Fields whose value cannot be compared (secrets without a record). They are shown as `unknown` and are not
    /// changes.
    pub unknown: Vec<String>,
    /// Remote ids, for people.
    pub ids: BTreeMap<String, String>,
    /// Name of the object on the tenant or the account, for people: whoever confirms a removal must know which object
    /// it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The resource is on record and no longer in the manifest. `new` of each change is the value from before this
    /// stack.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves: bool,
    /// The object exists already, and this stack takes it over. `name` and `ids` identify it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// Why a destroy leaves the resource as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// Order of steps across resources: first steps that reduce what logins are asked for, last steps that raise it, then
/// removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Factors other than the phone are switched on, because another factor is switched off or logins begin to be asked
    /// again.
    Offer,
    /// The policy is changed to ask for a factor less often.
    LowerPolicy,
    /// The post-login Action that asks for factors is unbound.
    UnbindRules,
    /// Actions lose the right to decide about factors, after the Action that asked for them is unbound.
    HandBack,
    /// Former delivery methods are put back that restored message types need.
    Widen,
    /// Message types are removed while the phone factor is still on: the API accepts the change only then.
    NarrowTypes,
    /// Factors are switched off.
    SwitchOff,
    /// The Verify service, on which everything else depends.
    Foundation,
    /// Parts of the Verify service that the Action names: rate limits, messaging configurations.
    Limits,
    /// The Action's draft is written. Its build goes on during the next stage.
    Draft,
    /// The feedback path is made active before logins use the Action.
    Feedback,
    Deploy,
    Bind,
    Provider,
    /// Tenant-wide switches: unified flag, Universal Login.
    Tenant,
    SwitchOn,
    MessageTypes,
    /// The post-login Action that asks for a factor is deployed, after everything that delivers one.
    DeployRules,
    BindRules,
    RaisePolicy,
    /// Delivery methods that no message type needs any more are removed.
    Narrow,
    RemoveFeedback,
    /// The receiver is removed, after the stream that sends to it.
    RemoveFunction,
    RemoveProvider,
    Unbind,
    RemoveAction,
    RemoveLimits,
    RemoveFoundation,
    /// The former phone factor is switched on again, after the former sender works again.
    SwitchBack,
    /// A former policy that asks for more is put back, after every factor on which it may depend.
    RaiseBack,
    /// Factors are switched off whose absence leaves the phone as the only factor of logins that are asked for one.
    /// This happens after the last change to the phone's delivery.
    Retire,
}

/// One step: at most one write, with reads before it and polls after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1, in total order.
    pub number: usize,
    pub address: Address,
    pub kind: String,
    pub verb: Verb,
    pub stage: Stage,
    /// The action in a few words: `put draft`, `deploy`, `switch on`.
    pub what: String,
    pub reason: String,
    pub op: Op,
    /// Facts that the step changes, with their new values.
    pub effects: Facts,
    /// What may be lost, in words. A step with a danger always has to be confirmed.
    pub danger: Option<String>,
    /// The step creates an object without a unique name. After a lost answer the object is searched for, and the write
    /// is never repeated.
    pub creates: bool,
    /// The tenant refused the step in an earlier run, and it is tried once more. It counts as no change unless the
    /// tenant accepts it now.
    #[serde(default)]
    pub again: bool,
}

impl Step {
    /// Whether the step takes something away or puts a setting back, so that what depends on it has to be looked at.
    pub fn undoes(&self) -> bool {
        self.verb == Verb::Delete || self.op.restore
    }
}

/// What a step does: fields for the planner and the engine, and the kind's own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// Only its kind reads them, by [`Op::act`]. First, as in plans that were saved by earlier builds.
    #[serde(flatten)]
    own: Map<String, Json>,
    /// The values that it writes, by field; null takes one away. `None`: it takes them from what is wanted, or writes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Map<String, Json>>,
    /// The values of a setting are those from before this stack.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restore: bool,
    /// It takes away what the manifest does not ask for any more, because its time has come and something else has taken
    /// its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retires: bool,
    /// Nobody can log in anyway, so it has nobody to lock out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl Op {
    /// An op in the words of a kind: an enum of its own, tagged with `do`.
    pub fn of(act: impl Serialize) -> Op {
        let own = serde_json::to_value(act).ok().and_then(|act| act.as_object().cloned());
        Op { own: own.unwrap_or_default(), ..Op::default() }
    }

    /// An op that writes these values.
    pub fn writing(self, values: impl IntoIterator<Item = (String, Json)>) -> Op {
        Op { values: Some(values.into_iter().collect()), ..self }
    }

    /// The value that it writes of a field.
    pub fn value(&self, field: &str) -> Option<&Json> {
        self.values.as_ref()?.get(field)
    }

    /// The kind's own words.
    ///
    /// # Errors
    /// They are not of that kind, or of another build of it.
    pub fn act<A: DeserializeOwned>(&self) -> Result<A, serde_json::Error> {
        serde_json::from_value(Json::Object(self.own.clone()))
    }
}

/// Something that a person should know or act on, and that no step can mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    #[serde(default, skip_serializing_if = "Code::is_of_an_earlier_build")]
    pub code: Code,
    pub address: Address,
    pub text: String,
    /// Advice for the reader; empty when there is nothing to do.
    pub help: String,
    pub level: Level,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The finding is shown and changes nothing.
    Note,
    /// The finding is shown. `drift` exits with 7 when it finds nothing else.
    Warning,
    /// Nothing is applied until the finding is settled.
    Blocker,
    /// Part of the tenant could not be read: the result is not `clean`.
    NotRead,
}

impl Level {
    /// The word before the code, in text.
    pub fn word(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Blocker => "blocked",
            Level::NotRead => "not read",
        }
    }
}

/// A removal or a restoration that happens only when a person names it, because the record that calls the object this
/// stack's is not proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    pub address: Address,
    /// What the person has to name: the remote id, or the address of something without an id.
    pub id: String,
    /// Name of the object on the tenant or the account; empty when it has none.
    pub name: String,
    /// The action that would follow, in words.
    pub what: String,
}

/// A deferred removal: its object may still be in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    pub address: Address,
    /// Stage of the removal's step, once the removal is due.
    pub stage: Stage,
    /// The removal, in words.
    pub what: String,
    /// Observation that has to be made before the removal.
    pub needs: String,
    /// Time to wait after the apply that records the removal, in ms.
    pub wait_ms: u64,
    /// Earliest time of the removal, RFC 3339; `None` until an apply has recorded it.
    pub not_before: Option<String>,
}

/// What a plan is made for. Steps and digest are the same for each purpose. Blockers that concern only an apply are
/// raised for an apply alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The plan is shown: nothing is written.
    Show,
    /// The plan serves to find the cause of differences: nothing is written, but credentials that the stack hands on
    /// are tried.
    Drift,
    /// The plan is applied.
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
    /// The plan takes back what the last run changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    pub resources: Vec<ResourcePlan>,
    pub steps: Vec<Step>,
    pub findings: Vec<Finding>,
    /// Deferred removals; not changes until they are due.
    #[serde(default)]
    pub deferred: Vec<Deferred>,
    /// Objects that stay until a person names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Unproven>,
    /// The ledger has to be written although no step may be needed (adoption of an object that is already as wanted).
    pub record: bool,
    /// What a reviewer compares, and what `--expect` names.
    #[serde(default, skip_serializing_if = "Digest::is_missing")]
    pub digest: Digest,
    /// Values that the plan does not know, although another run could: references without a value, fields of what could
    /// not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_values: usize,
    /// The digits of the digest, also if values are unknown: by them a run knows its own plan again.
    pub basis: String,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The public digest of a plan. In JSON a text, or null while values are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub enum Digest {
    /// An earlier build saved the plan, without a digest.
    #[default]
    Missing,
    /// Values are unknown, so that the plan of another run may be another one although nothing has changed.
    Open,
    /// `sha256:` and 64 hexadecimal digits.
    Of(String),
}

/// The digits of a digest stand behind this.
const DIGEST_START: &str = "sha256:";

impl Digest {
    /// The digest with these digits, if no value is unknown.
    pub fn of(digits: &str, unknown_values: usize) -> Digest {
        match unknown_values {
            0 => Digest::Of(format!("{DIGEST_START}{digits}")),
            _ => Digest::Open,
        }
    }

    /// A digest as a person pasted it; capital letters do not count.
    ///
    /// # Errors
    /// The text is no digest. Says what one looks like.
    pub fn parse(text: &str) -> Result<Digest, String> {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.strip_prefix(DIGEST_START).unwrap_or_default();
        match digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Digest::Of(lower)),
            false => Err(format!(
                "a digest is {DIGEST_START} and 64 hexadecimal digits, as `lockstep plan` shows it"
            )),
        }
    }

    fn is_missing(&self) -> bool {
        *self == Digest::Missing
    }
}

impl From<Option<String>> for Digest {
    fn from(text: Option<String>) -> Digest {
        text.map_or(Digest::Open, Digest::Of)
    }
}

impl From<Digest> for Option<String> {
    fn from(digest: Digest) -> Option<String> {
        match digest {
            Digest::Of(text) => Some(text),
            Digest::Missing | Digest::Open => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Digest::Of(text) => f.write_str(text),
            Digest::Missing | Digest::Open => f.write_str("no digest"),
        }
    }
}

/// Version of the plan's JSON form.
pub const PLAN_FORMAT: u32 = 1;

impl Plan {
    /// Whether an apply would change nothing, as far as is known. A step that the tenant refused before and that is
    /// only tried again is no change.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.again) && !self.record
    }

    /// Whether an apply has anything to do, even if only to try something again.
    pub fn has_work(&self) -> bool {
        !self.steps.is_empty() || self.record
    }

    /// Whether manifest and tenant differ in a resource: in a field, or because a step is due for another reason. A
    /// field that cannot be compared is no difference.
    pub fn differs(&self, resource: &ResourcePlan) -> bool {
        let has_step = self.steps.iter().any(|step| step.address == resource.address && !step.again);
        !resource.changes.is_empty() || has_step
    }

    /// Whether a plan has anything to say about a resource.
    pub fn is_told(&self, resource: &ResourcePlan) -> bool {
        let ResourcePlan { verb, unknown, stays, accepted, .. } = resource;
        let is_open = !unknown.is_empty() || !accepted.is_empty();
        *verb != Verb::NoOp || self.differs(resource) || stays.is_some() || is_open
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "do", rename_all = "snake_case")]
    enum Act {
        Draft { secrets: bool },
        Deploy,
    }

    /// Digests of plans are over these bytes.
    #[test]
    fn an_op_is_written_as_it_was_read() {
        for text in [
            r#"{}"#,
            r#"{"do":"deploy"}"#,
            r#"{"do":"put","values":{"text":null,"from":"+1"}}"#,
            r#"{"do":"put","values":{}}"#,
            r#"{"do":"delete","force":true,"retires":true}"#,
            r#"{"values":{"enabled":false},"restore":true,"retires":true,"locked":true}"#,
        ] {
            let op: Op = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&op).expect("plain data"), text);
        }
        let op = Op::of(Act::Draft { secrets: true }).writing([("code".to_owned(), json!("x"))]);
        assert_eq!(json!(op).to_string(), r#"{"do":"draft","secrets":true,"values":{"code":"x"}}"#);
    }

    #[test]
    fn a_word_that_no_kind_knows_is_named() {
        let op: Op = serde_json::from_value(json!({ "do": "deploy" })).expect("an op");
        assert_eq!(op.act::<Act>().expect("its own word"), Act::Deploy);
        for (of_another, named) in [
            (json!({ "do": "erase" }), "`erase`"),
            (json!({ "do": "draft" }), "`secrets`"),
            (json!({}), "`do`"),
        ] {
            let op: Op = serde_json::from_value(of_another).expect("an op");
            let error = op.act::<Act>().expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}

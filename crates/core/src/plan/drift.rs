//! Describes what drift found: what was applied, what the tenant has, what the manifest wants. A plan describes what
//! will be done; none of its words are used here.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::render::{Paint, is_text, shown, write_diff, write_unknown};
use crate::model::address::Address;
use crate::model::plan::{Cause, FieldChange, Plan, ResourcePlan, Verb, Was};

/// State of a resource on the tenant, compared with the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The resource was applied and no longer exists.
    Gone,
    /// The resource does not exist and was never applied.
    Missing,
    /// The resource exists and differs.
    Differs,
    /// The resource was applied, and the manifest no longer names it.
    Left,
    /// The resource exists as wanted, but is not on record.
    Unrecorded,
    /// No field is known to differ, but some cannot be compared.
    Unknown,
}

impl State {
    /// The sign before it.
    pub fn symbol(self) -> &'static str {
        match self {
            State::Gone | State::Missing => "-",
            State::Differs => "~",
            State::Left => "+",
            State::Unrecorded => "»",
            State::Unknown => "?",
        }
    }

    /// The state as a predicate of the resource.
    pub fn words(self) -> &'static str {
        match self {
            State::Gone => "is gone from the tenant",
            State::Missing => "is not on the tenant",
            State::Differs => "differs",
            State::Left => "was applied, and the manifest does not name it any more",
            State::Unrecorded => "is on the tenant and not on record",
            State::Unknown => "cannot be compared in full",
        }
    }
}

/// One resource that differs, or that cannot be compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    pub address: Address,
    pub state: State,
    pub fields: Vec<Field>,
    /// Reasons of due steps, if no field differs.
    pub reasons: Vec<String>,
    /// Fields that cannot be compared; they count as no difference.
    pub unknown: Vec<String>,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    pub field: String,
    pub secret: bool,
    pub cause: Cause,
    pub applied: Was,
    /// `None`: the tenant does not have it.
    pub tenant: Option<Json>,
    /// `None`: the manifest does not want it.
    pub manifest: Option<Json>,
    /// The value from before this stack, if the manifest no longer names the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// The line of the manifest that accepts the tenant's value, if one can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
}

/// Every resource that has something to report, in the order of the plan.
pub fn differences(plan: &Plan) -> Vec<Told> {
    let silent = |resource: &&ResourcePlan| {
        resource.changes.is_empty() && resource.unknown.is_empty() && resource.verb == Verb::NoOp
    };
    let tell = |resource: &ResourcePlan| {
        let steps = plan.steps.iter().filter(|step| step.address == resource.address && !step.again);
        let mut reasons: Vec<String> = Vec::new();
        for step in steps.filter(|_| resource.changes.is_empty() && !resource.leaves) {
            if !reasons.contains(&step.reason) {
                reasons.push(step.reason.clone());
            }
        }
        Told {
            address: resource.address.clone(),
            state: state(plan, resource),
            fields: resource.changes.iter().map(|change| field(change, resource.leaves)).collect(),
            reasons,
            unknown: resource.unknown.clone(),
        }
    };
    plan.resources.iter().filter(|resource| !silent(resource)).map(tell).collect()
}

fn state(plan: &Plan, resource: &ResourcePlan) -> State {
    let absent = resource.verb == Verb::Create && resource.changes.iter().all(|change| change.old.is_none());
    let was_applied = resource.changes.iter().any(|change| !change.applied.is_nothing());
    match () {
        () if resource.leaves => State::Left,
        () if absent && was_applied => State::Gone,
        () if absent => State::Missing,
        () if plan.differs(resource) => State::Differs,
        () if resource.verb == Verb::Adopt => State::Unrecorded,
        () => State::Unknown,
    }
}

fn field(change: &FieldChange, leaves: bool) -> Field {
    let FieldChange { field, applied, old, new, secret, cause, accept } = change.clone();
    let (manifest, before) = if leaves { (None, new) } else { (new, None) };
    Field { field, secret, cause, applied, tenant: old, manifest, before, accept }
}

/// The text of one resource without colour.
pub fn difference(told: &Told) -> String {
    let mut out = String::new();
    write(&mut out, told, 0, Paint(false));
    out
}

/// A field that differs, on one line without its name. Two long texts are only said to differ; [`texts`] has them.
pub fn in_words(told: &Field, state: State) -> String {
    match (told.secret, compared(told)) {
        (true, _) => format!("{} (secret)", of_secret(told)),
        (false, Some((_, words))) => format!("differs: {words}"),
        (false, None) => values(told, state, Paint(false)),
    }
}

/// The texts of a field that are compared line by line, if it has some: from which, and that of the tenant.
pub fn texts(told: &Field) -> Option<(&str, &str)> {
    let (from, _) = compared(told).filter(|_| !told.secret)?;
    Some((from, told.tenant.as_ref().and_then(Json::as_str).unwrap_or_default()))
}

/// The text of one resource.
pub(super) fn write(out: &mut String, told: &Told, width: usize, paint: Paint) {
    let Told { address, state, fields, reasons, unknown } = told;
    let head = format!("  {} {address:<width$} {}", state.symbol(), state.words());
    let head = match state {
        State::Gone | State::Missing => paint.bad(&head),
        State::Differs | State::Left => paint.change(&head),
        State::Unrecorded => paint.bold(&head),
        State::Unknown => paint.dim(&head),
    };
    let _ = writeln!(out, "{head}");
    for reason in reasons {
        let _ = writeln!(out, "      {reason}");
    }
    for field in fields {
        write_field(out, field, *state, paint);
    }
    for field in unknown {
        write_unknown(out, field, paint);
    }
}

fn write_field(out: &mut String, told: &Field, state: State, paint: Paint) {
    let (field, cause) = (&told.field, word(told.cause));
    if told.secret {
        let _ = writeln!(out, "      {field}: {} (secret)  [{cause}]", of_secret(told));
        return;
    }
    let Some((from, words)) = compared(told) else {
        let _ = writeln!(out, "      {field}: {}  [{cause}]", values(told, state, paint));
        return;
    };
    let _ = writeln!(out, "      {field}: {words}  [{cause}]");
    let tenant = told.tenant.as_ref().and_then(Json::as_str).unwrap_or_default();
    write_diff(out, from, tenant, paint);
}

/// The cause of a difference in words.
pub fn word(cause: Cause) -> &'static str {
    match cause {
        Cause::NotApplied => "manifest not applied",
        Cause::TenantChanged => "tenant changed",
        Cause::Both => "both changed",
        Cause::Unfinished => "an unfinished run of this stack",
        Cause::Unknown => "cause unknown: no ledger",
    }
}

/// The text with which the tenant's text is compared line by line, and a description of the comparison. `None` if the
/// field does not have two texts of which one has several lines.
fn compared(told: &Field) -> Option<(&str, &'static str)> {
    told.tenant.as_ref().filter(|tenant| tenant.is_string())?;
    let (from, words) = match (&told.applied, &told.manifest, &told.before) {
        (Was::Value(applied), ..) if Some(applied) != told.tenant.as_ref() => {
            (applied, "what was applied (-) and what the tenant has (+)")
        }
        (Was::Hidden, Some(wanted), _) => {
            (wanted, "what the manifest wants (-) and what the tenant has (+); a third value was applied")
        }
        (Was::Value(_), Some(wanted), _) => {
            (wanted, "what the manifest wants (-) and what the tenant has, as it was applied (+)")
        }
        (Was::Nothing, Some(wanted), _) => {
            (wanted, "what the manifest wants (-) and what the tenant has (+)")
        }
        (_, None, Some(before)) => {
            (before, "what was there before this stack (-) and what the tenant has (+)")
        }
        (_, None, None) => return None,
    };
    let several = is_text(Some(from)) || is_text(told.tenant.as_ref());
    let from = from.as_str().filter(|_| several)?;
    Some((from, words))
}

/// All three values on one line.
fn values(told: &Field, state: State, paint: Paint) -> String {
    let brief = |value: Option<&Json>| match value {
        Some(value) if is_text(Some(value)) => {
            format!("{} lines", value.as_str().unwrap_or_default().lines().count())
        }
        value => shown(value),
    };
    let mut parts = Vec::new();
    match &told.applied {
        Was::Value(value) => parts.push(format!("was applied {}", brief(Some(value)))),
        Was::Hidden => parts.push("was applied with another value".to_owned()),
        Was::Nothing if matches!(told.cause, Cause::Unknown) => {}
        Was::Nothing => parts.push("was not applied".to_owned()),
    }
    match &told.tenant {
        Some(value) => parts.push(format!("the tenant has {}", paint.bad(&brief(Some(value))))),
        None if matches!(state, State::Gone | State::Missing) => {}
        None => parts.push(format!("the tenant has {}", paint.bad("none"))),
    }
    match (&told.manifest, &told.before) {
        (Some(value), _) => parts.push(format!("the manifest wants {}", paint.good(&brief(Some(value))))),
        (None, _) if state != State::Left => parts.push("the manifest wants none".to_owned()),
        (None, Some(value)) => parts.push(format!("before this stack it was {}", brief(Some(value)))),
        (None, None) => parts.push("before this stack there was none".to_owned()),
    }
    parts.join(", ")
}

fn of_secret(told: &Field) -> &'static str {
    let was_applied = !told.applied.is_nothing();
    match (&told.tenant, &told.manifest, told.cause) {
        (None, ..) if was_applied => "was applied, and the tenant does not have it any more",
        (None, ..) => "was not applied, and the tenant does not have it",
        (_, None, _) if was_applied => "was applied, and the manifest does not name it any more",
        (_, None, _) => "the tenant has it, and the manifest does not name it",
        (_, _, Cause::TenantChanged) => "changed on the tenant since it was applied",
        (_, _, Cause::Both) => "changed on the tenant and in the manifest since it was applied",
        (_, _, Cause::NotApplied) if was_applied => "changed in the manifest since it was applied",
        (_, _, Cause::NotApplied) => "was not applied",
        (_, _, Cause::Unfinished) => "left by a run of this stack that did not finish",
        (_, _, Cause::Unknown) => "the tenant has another value than the manifest",
    }
}

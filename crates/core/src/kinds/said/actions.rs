//! The Actions of a stack in the manifest: what each is called, when it is wanted, and what its code says.

use super::{code_limits, legacy, rules};
use crate::builtin;
use crate::kinds::Leaving;
use crate::model::facts::{ActionState, Binding, Fact};
use crate::model::manifest::Manifest;
use crate::model::value::Value;

/// A trigger, as Auth0 names it ("Auth0 docs, Actions triggers", 2026-08).
#[derive(Debug, PartialEq, Eq)]
pub struct Trigger {
    pub id: &'static str,
    pub version: &'static str,
    /// The function that the code has to export.
    pub handler: &'static str,
    pub company: Company,
}

/// What another Action of the same trigger means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// A conflict as soon as it is there: a tenant has one.
    None,
    /// A conflict once it is bound, since two would send two messages, unless the manifest names it.
    Named,
    /// Every one keeps its place.
    Any,
}

/// One Action of the stack, before anything of the tenant is known.
pub struct Spec {
    /// Name of the kind and address of its resource.
    pub name: &'static str,
    /// The same of its binding.
    pub binding: &'static str,
    /// Path of its manifest section.
    pub section: &'static str,
    pub trigger: &'static Trigger,
    /// Begin of the Action's name when the manifest gives none; the stack follows in parentheses.
    pub title: &'static str,
    /// Trigger of the Action whose place this one takes: both stand for a while, and may have been given one name.
    pub moves_from: Option<&'static str>,
    /// Whether its code sends the codes.
    pub sends: bool,
    /// Whether the manifest declares it.
    pub wanted: fn(&Manifest) -> bool,
    /// Its code as it is sent, from the manifest's attributes (some rows add to it).
    pub code: fn(&Manifest, String) -> Value,
    /// The state of the Action, as a fact.
    pub fact: fn(ActionState) -> Fact,
    /// Whether it is bound, as a fact.
    pub bound: fn(Binding) -> Fact,
    /// The rate limits that its code passes, as a fact.
    pub limits: fn(Option<Vec<String>>) -> Fact,
    /// The fact that a deployed version of a code says.
    pub told: fn(&str) -> Fact,
    /// How it goes when the manifest no longer declares it.
    pub leaving: fn(&Manifest) -> Leaving,
}

impl Spec {
    /// Whether an Action of that name is ours by its name.
    pub fn is_called(&self, manifest: &Manifest, name: &str) -> bool {
        is_named(name, &self.action_name(manifest))
    }

    /// The Action's name in the tenant.
    pub fn action_name(&self, manifest: &Manifest) -> String {
        let given = manifest.text(self.section, "name").map(str::to_owned);
        given.unwrap_or_else(|| format!("{} ({})", self.title, manifest.stack))
    }
}

/// The name that an Action gets while the one whose place it takes still has the wanted name.
pub fn beside(wanted: &str) -> String {
    format!("{wanted} (unified)")
}

/// Whether an Action of that name is the one that is wanted under `wanted`.
pub fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name == beside(wanted)
}

/// Sends the codes through the tenant's phone provider.
pub static PHONE: Spec = Spec {
    name: "action",
    binding: "trigger_binding",
    section: "action",
    trigger: &Trigger {
        id: "custom-phone-provider",
        version: "v1",
        handler: "onExecuteCustomPhoneProvider",
        company: Company::None,
    },
    title: "Lockstep phone",
    moves_from: Some("send-phone-message"),
    sends: true,
    wanted: |manifest| manifest.section("action").is_some() && !legacy::is_legacy(manifest),
    code: |manifest, code| Value::text(code_limits::fill(manifest, code)),
    fact: Fact::Action,
    bound: Fact::Bound,
    limits: Fact::ActionLimits,
    told: |code| Fact::ActionLimits(code_limits::names(code)),
    leaving: |_| Leaving::Removed,
};

/// Sends the codes of a tenant that keeps the legacy phone set-up. The same manifest section as the other row, so a
/// migration changes `phone.delivery` and nothing else.
pub static LEGACY: Spec = Spec {
    name: "legacy_action",
    binding: "legacy_binding",
    section: "action",
    trigger: &Trigger {
        id: "send-phone-message",
        version: "v2",
        handler: "onExecuteSendPhoneMessage",
        company: Company::Named,
    },
    title: "Lockstep phone, legacy",
    moves_from: None,
    sends: true,
    wanted: |manifest| manifest.section("action").is_some() && legacy::is_legacy(manifest),
    code: |manifest, code| {
        let unified = builtin::source("twilio-verify").filter(|source| *source == code);
        let legacy = unified.and_then(|_| builtin::source("twilio-verify-legacy"));
        Value::text(code_limits::fill(manifest, legacy.map_or(code, str::to_owned)))
    },
    fact: Fact::LegacyAction,
    bound: Fact::LegacyBound,
    limits: Fact::LegacyLimits,
    told: |code| Fact::LegacyLimits(code_limits::names(code)),
    leaving: legacy::retires,
};

/// Asks for a second factor where a rule says so.
pub static POST_LOGIN: Spec = Spec {
    name: "mfa_post_login",
    binding: "mfa_post_login_binding",
    section: rules::SECTION,
    trigger: &Trigger {
        id: "post-login",
        version: "v3",
        handler: "onExecutePostLogin",
        company: Company::Any,
    },
    title: "Lockstep MFA",
    moves_from: None,
    sends: false,
    wanted: |manifest| manifest.section(rules::SECTION).is_some(),
    code: rules::built,
    fact: Fact::RulesAction,
    bound: Fact::RulesBound,
    limits: Fact::RulesLimits,
    told: rules::told,
    leaving: |_| Leaving::Removed,
};

/// Every Action, for what they share: the room that a tenant has.
pub static ALL: &[&Spec] = &[&PHONE, &LEGACY, &POST_LOGIN];

/// The Action that sends the codes as the manifest has it.
pub fn sending(manifest: &Manifest) -> &'static Spec {
    if legacy::is_legacy(manifest) { &LEGACY } else { &PHONE }
}

//! The Actions of a stack in the manifest: the name of each, when the manifest wants it, and what its code says.

use super::{code_limits, legacy, login_feedback, rules};
use crate::builtin;
use crate::kinds::Leaving;
use crate::model::facts::{ActionState, Binding, Fact};
use crate::model::ledger;
use crate::model::manifest::Manifest;
use crate::model::value::{Attrs, Value};

/// A trigger of Auth0 ("Auth0 docs, Actions triggers", 2026-08).
#[derive(Debug, PartialEq, Eq)]
pub struct Trigger {
    pub id: &'static str,
    pub version: &'static str,
    /// The function that the code has to export.
    pub handler: &'static str,
    pub company: Company,
}

/// What another Action on the same trigger means for ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Another Action is a conflict as soon as it exists, because a tenant can have only one.
    None,
    /// Another Action is a conflict once it is bound, because two would send two messages. If the manifest names it, it
    /// may stay.
    Named,
    /// Other Actions are no conflict and keep their places.
    Any,
}

/// Makes a fact of the names of rate limits; `None`: they are not known.
pub type OfLimits = fn(Option<Vec<String>>) -> Fact;

/// An Action that a stack can have, as far as it is known without the tenant.
pub struct Spec {
    /// The name of the Action's kind, which is also the address of its resource.
    pub name: &'static str,
    /// The name of the binding's kind, which is also the address of its resource.
    pub binding: &'static str,
    /// Path of the Action's manifest section.
    pub section: &'static str,
    pub trigger: &'static Trigger,
    /// The beginning of the Action's name if the manifest does not name it. The stack follows in parentheses.
    pub title: &'static str,
    /// The trigger of the Action whose place this one takes. Both Actions exist for a while, and the manifest may give
    /// both the same name.
    pub moves_from: Option<&'static str>,
    /// Whether the Action's code sends the codes.
    pub sends: bool,
    /// Whether the manifest declares the Action.
    pub wanted: fn(&Manifest) -> bool,
    /// Makes the code that is sent from the manifest's code. For some Actions it includes rate limits or rules of the
    /// manifest.
    pub code: fn(&Manifest, String) -> Value,
    /// The secrets that the stack fills in from other keys.
    pub given: fn(&Manifest) -> Attrs,
    /// Makes a fact of the Action's state.
    pub fact: fn(ActionState) -> Fact,
    /// Makes a fact of the state of the binding.
    pub bound: fn(Binding) -> Fact,
    /// Makes a fact of the rate limits that the Action's code passes. `None`: it passes none.
    pub limits: Option<OfLimits>,
    /// The fact that follows from the text of deployed code.
    pub fact_of_code: fn(&str) -> Fact,
    /// Makes the fact whether the Action has the SID of a Verify service. `None`: the Action sends nothing.
    pub verifies: Option<fn(bool) -> Fact>,
    /// Whether the Verify service stands that the deployed version was given.
    pub served: Option<fn(bool) -> Fact>,
    /// Makes the fact whether the Action belongs to others. `None`: the Action sends nothing.
    pub of_others: Option<fn(bool) -> Fact>,
    /// Whether a refused binding is noted instead of failing: the documents disagree on whether the trigger takes a
    /// binding at all.
    pub optional: bool,
    /// The address at which other people's Actions on the trigger are read, if this stack has no Action there. Empty:
    /// they are not read.
    pub sender: &'static str,
    /// What happens to the Action when the manifest no longer declares it.
    pub leaving: fn(&Manifest) -> Leaving,
}

impl Spec {
    /// Whether an Action with that name is this Action, judged by the name alone.
    pub fn is_called(&self, manifest: &Manifest, name: &str) -> bool {
        is_named(name, &self.action_name(manifest))
    }

    /// The Action's name in the tenant.
    pub fn action_name(&self, manifest: &Manifest) -> String {
        let given = manifest.text(self.section, "name").map(str::to_owned);
        given.unwrap_or_else(|| format!("{} ({})", self.title, manifest.stack))
    }
}

/// The stack whose record an Action of that name holds.
pub fn stack_of_ledger(name: &str) -> Option<&str> {
    let stack = name.strip_prefix("Lockstep ledger (")?.strip_suffix(')')?;
    (ledger::action_name(stack) == name).then_some(stack)
}

/// The name that an Action gets while the Action whose place it takes still has the wanted name.
pub fn interim_name(wanted: &str) -> String {
    format!("{wanted} (unified)")
}

/// Whether `name` can be the name of the Action that is to be called `wanted`: that name itself, or the one from
/// [`interim_name`].
pub fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name == interim_name(wanted)
}

/// The Action that sends the codes through the tenant's phone provider.
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
    given: |_| Attrs::new(),
    fact: Fact::Action,
    bound: Fact::Bound,
    limits: Some(Fact::ActionLimits),
    fact_of_code: |code| Fact::ActionLimits(code_limits::names(code)),
    verifies: Some(Fact::ActionVerifies),
    served: Some(Fact::ActionServed),
    of_others: Some(Fact::ActionOfOthers),
    optional: true,
    sender: "trigger_binding.sender",
    leaving: |_| Leaving::Removed,
};

/// The Action that sends the codes of a tenant that keeps the legacy phone set-up. It has the same manifest section as
/// [`PHONE`], so that a migration changes `phone.delivery` and nothing else.
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
        let legacy = builtin::legacy_of(&code).map(str::to_owned);
        Value::text(code_limits::fill(manifest, legacy.unwrap_or(code)))
    },
    given: |_| Attrs::new(),
    fact: Fact::LegacyAction,
    bound: Fact::LegacyBound,
    limits: Some(Fact::LegacyLimits),
    fact_of_code: |code| Fact::LegacyLimits(code_limits::names(code)),
    verifies: Some(Fact::LegacyVerifies),
    served: Some(Fact::LegacyServed),
    of_others: Some(Fact::LegacyOfOthers),
    optional: false,
    sender: "legacy_binding.sender",
    leaving: legacy::retires,
};

/// The Action that asks for a second factor if a rule says so.
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
    code: rules::code_with_rules,
    given: |_| Attrs::new(),
    fact: Fact::RulesAction,
    bound: Fact::RulesBound,
    limits: Some(Fact::RulesLimits),
    fact_of_code: rules::demands_fact,
    verifies: None,
    served: None,
    of_others: None,
    optional: false,
    sender: "",
    leaving: |_| Leaving::Removed,
};

/// The Action that tells Verify at the end of a login that its code was used.
pub static FEEDBACK: Spec = Spec {
    name: login_feedback::NAME,
    binding: "feedback_action_binding",
    section: login_feedback::SECTION,
    trigger: POST_LOGIN.trigger,
    title: "Lockstep feedback",
    moves_from: None,
    sends: false,
    wanted: |manifest| manifest.section(login_feedback::SECTION).is_some(),
    code: |_, code| Value::text(code),
    given: login_feedback::secrets,
    fact: Fact::FeedbackAction,
    bound: Fact::FeedbackBound,
    limits: None,
    // Nothing is concluded from its text, only from its being deployed.
    fact_of_code: |_| Fact::FeedbackAction(ActionState::Deployed),
    verifies: None,
    served: None,
    of_others: None,
    optional: false,
    sender: "",
    leaving: |_| Leaving::Removed,
};

/// The Actions that send codes.
pub static SENDING: [&Spec; 2] = [&PHONE, &LEGACY];

/// All Actions of a stack. They share the limit of Actions that a tenant has.
pub static ALL: &[&Spec] = &[&PHONE, &LEGACY, &POST_LOGIN, &FEEDBACK];

/// The Action that sends the codes under this manifest.
pub fn sending(manifest: &Manifest) -> &'static Spec {
    if legacy::is_legacy(manifest) { &LEGACY } else { &PHONE }
}

//! Settings that matter even if the manifest does not declare them. They are read in addition to the stack's own
//! resources when a plan takes something away, asks users for a factor, or shows them the phone factor.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Seen;
use super::said::actions::{self, LEGACY, PHONE, POST_LOGIN, Spec};
use super::said::phone;
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::manifest::Manifest;
use crate::model::plan::Level;
use crate::model::value::Value;

/// A setting that is read although the manifest does not declare it.
pub struct Guard {
    pub address: &'static str,
    /// Name of the setting's kind.
    pub kind: &'static str,
    /// Makes a warning about the setting (text and help), if there is one.
    pub warning: fn(&Seen, &Manifest) -> Option<(&'static str, &'static str)>,
    /// Makes the finding for a setting that could not be read, from the name of its kind and the failure.
    pub unread_finding: fn(&str, &Failed) -> Unread,
}

/// What is found if a setting could not be read.
pub struct Unread {
    pub level: Level,
    pub text: String,
    pub help: &'static str,
}

const fn guard(address: &'static str, kind: &'static str) -> Guard {
    Guard { address, kind, warning: |_, _| None, unread_finding }
}

fn unread_finding(name: &str, failed: &Failed) -> Unread {
    let text = format!(
        "steps of this plan take away a factor or its delivery, or make logins ask for a factor, but {name} could not be read: {failed}"
    );
    let help = "grant read:mfa_policies and read:guardian_factors: a policy could lock everybody out";
    Unread { level: Level::Blocker, text, help }
}

/// The policy, the factors, and how messages are sent. They matter when a plan takes away a factor or its delivery,
/// makes logins ask for a factor, or switches the phone factor on while others send.
pub const DELIVERY: &[Guard] = &[
    guard("mfa_policy", "mfa_policy"),
    guard("mfa_factor.guard", "mfa_factor"),
    guard("phone_message_types", "phone_message_types"),
    guard("phone_provider", "phone_provider"),
    guard(phone::UNIFIED, phone::UNIFIED),
];

/// The login pages. They matter if the manifest has spoken codes.
pub const LOGIN: &[Guard] = &[Guard {
    warning: |seen, manifest| {
        let classic = seen.attrs.get("experience").and_then(Value::as_str) == Some("classic");
        (classic && manifest.get("universal_login", "experience").is_none()).then_some((
            "phone.channels has voice, and the tenant has the classic login, which cannot offer it",
            "set universal_login.experience: new, or remove voice from phone.channels",
        ))
    },
    // A warning is enough: without this setting the plan is still safe, and at worst the login does not offer spoken
    // codes.
    unread_finding: |_, failed| Unread {
        level: Level::Warning,
        text: format!(
            "phone.channels has voice, but it is not known whether the login can offer it, because its settings could not be read: {failed}"
        ),
        help: "grant read:prompts, or make sure that the tenant has the New Universal Login",
    },
    ..guard("universal_login", "universal_login")
}];

/// The selected provider of the legacy set-up. It matters if our Action may be the one that receives the codes.
pub const SELECTED: &[Guard] = &[guard("phone_selected_provider", "phone_selected_provider")];

/// Other people's Actions on the trigger of the phone Action. They matter when a plan depends on who sends, and this
/// stack has no Action there.
pub const SENDERS: &[Guard] = &[guard(PHONE.sender, PHONE.binding)];

/// Other people's Actions on the trigger of the legacy phone Action. They matter in the same cases.
pub const LEGACY_SENDERS: &[Guard] = &[guard(LEGACY.sender, LEGACY.binding)];

/// Other people's post-login Actions. They matter if a plan takes away a factor that they ask for, or its delivery.
pub const RULES: &[Guard] = &[guard(OTHERS, POST_LOGIN.binding)];

/// The address under which the factors are observed that other people's post-login Actions ask for. It is not the
/// address of a resource of the stack.
pub const OTHERS: &str = "mfa_post_login_binding.others";

/// Whether the unified phone experience is on in the tenant. `None`: the setting was not observed.
pub fn is_unified(seen: &BTreeMap<Address, Seen>) -> Option<bool> {
    let enabled = seen.get(phone::UNIFIED)?.attrs.get("enabled");
    Some(enabled == Some(&Value::Known(true.into())))
}

/// Whether our Action is bound to the trigger that gets the codes of the legacy set-up.
pub fn is_in_legacy_place(seen: &BTreeMap<Address, Seen>) -> bool {
    seen.get(LEGACY.binding).is_some_and(|binding| binding.exists)
}

/// Whether this stack leaves the sending to others: it does not manage who sends, or it has no Action of its own that
/// sends. `seen` has the stack's own resources. `destroy` tells whether the run takes the stack away.
pub fn leaves_to_others(manifest: &Manifest, destroy: bool, seen: &BTreeMap<Address, Seen>) -> bool {
    let is_ours = |spec: &Spec| seen.contains_key(spec.name);
    match manifest.text(phone::SECTION_PATH, "delivery") {
        _ if destroy => !(is_ours(&PHONE) || is_ours(&LEGACY)) || !seen.contains_key(phone::UNIFIED),
        Some("legacy") => !is_ours(&LEGACY),
        Some(_) => !is_ours(&PHONE),
        // The record of a `phone` section that left the manifest does not say who sends.
        None => true,
    }
}

/// Whether this stack has an Action on the trigger of the phone Action.
pub fn has_phone_action(seen: &BTreeMap<Address, Seen>) -> bool {
    seen.contains_key(PHONE.name)
}

/// Whether this stack has an Action on the trigger of the legacy phone Action.
pub fn has_legacy_action(seen: &BTreeMap<Address, Seen>) -> bool {
    seen.contains_key(LEGACY.name)
}

/// Whether a kind's resources are Actions, which share the tenant's limit of Actions with the ledger.
pub fn is_action(kind: &str) -> bool {
    actions::ALL.iter().any(|spec| spec.name == kind)
}

/// The names of the stack's Actions, which are also the addresses of their resources.
pub fn actions() -> impl Iterator<Item = &'static str> {
    actions::ALL.iter().map(|spec| spec.name)
}

/// The number of Actions in the reply to [`record_list`](super::record_list).
///
/// # Errors
/// The reply is not a list of Actions.
pub fn count_actions(reply: &Json) -> Result<usize, Failed> {
    super::remote::actions::items(reply).map(<[Json]>::len)
}

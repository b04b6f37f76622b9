//! Settings that matter whoever manages them. They are read beside the stack's own resources when a plan takes something
//! away, or lets users meet the phone.

use std::collections::BTreeMap;

use super::Seen;
use super::said::actions::{LEGACY, POST_LOGIN};
use super::said::phone;
use crate::model::call::Failed;
use crate::model::manifest::Manifest;
use crate::model::plan::Level;
use crate::model::value::Value;

/// A setting that is read beside.
pub struct Guard {
    pub address: &'static str,
    /// Name of its kind.
    pub kind: &'static str,
    /// A warning about it, and the next move.
    pub told: fn(&Seen, &Manifest) -> Option<(&'static str, &'static str)>,
    /// The finding when it could not be read.
    pub unread: fn(&str, &Failed) -> (Level, String, &'static str),
}

const fn guard(address: &'static str, kind: &'static str) -> Guard {
    Guard { address, kind, told: |_, _| None, unread }
}

fn unread(name: &str, failed: &Failed) -> (Level, String, &'static str) {
    let text = format!(
        "steps of this plan take away a factor or its delivery, or make logins ask for a factor, but {name} could not be read: {failed}"
    );
    let help = "grant read:mfa_policies and read:guardian_factors: a policy could lock everybody out";
    (Level::Blocker, text, help)
}

/// Policy, factors and how messages are sent: they matter when a factor or its delivery goes, or logins ask for one.
pub const DELIVERY: &[Guard] = &[
    guard("mfa_policy", "mfa_policy"),
    guard("mfa_factor.guard", "mfa_factor"),
    guard("phone_message_types", "phone_message_types"),
    guard("phone_provider", "phone_provider"),
    guard(phone::UNIFIED, phone::UNIFIED),
];

/// The login pages, which matter if codes are to be spoken.
pub const LOGIN: &[Guard] = &[Guard {
    told: |seen, manifest| {
        let classic = seen.attrs.get("experience").and_then(Value::as_str) == Some("classic");
        (classic && manifest.get("universal_login", "experience").is_none()).then_some((
            "phone.channels has voice, and the tenant has the classic login, which cannot offer it",
            "set universal_login.experience: new, or remove voice from phone.channels",
        ))
    },
    // The plan is as good without this setting: at worst the login does not offer spoken codes.
    unread: |_, failed| {
        (
            Level::Warning,
            format!(
                "phone.channels has voice, but it is not known whether the login can offer it, because its settings could not be read: {failed}"
            ),
            "grant read:prompts, or make sure that the tenant has the New Universal Login",
        )
    },
    ..guard("universal_login", "universal_login")
}];

/// The selected provider, which matters if our Action may be the one that is handed the codes.
pub const SELECTED: &[Guard] = &[guard("phone_selected_provider", "phone_selected_provider")];

/// Other people's post-login Actions, which matter if a factor that they ask for, or its delivery, goes.
pub const RULES: &[Guard] = &[guard(OTHERS, POST_LOGIN.binding)];

/// Address of what other people's post-login Actions ask for. It is no resource of a stack.
pub const OTHERS: &str = "mfa_post_login_binding.others";

/// Whether the tenant has the unified phone experience on; `None`: nobody has looked.
pub fn is_unified(seen: &BTreeMap<String, Seen>) -> Option<bool> {
    let enabled = seen.get(phone::UNIFIED)?.attrs.get("enabled");
    Some(enabled == Some(&Value::Known(true.into())))
}

/// Whether our Action is in the place to which the legacy set-up hands codes.
pub fn is_in_legacy_place(seen: &BTreeMap<String, Seen>) -> bool {
    seen.get(LEGACY.binding).is_some_and(|binding| binding.exists)
}

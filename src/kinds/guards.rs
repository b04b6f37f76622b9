//! What counts whoever manages it: it is read beside the stack's own resources where a plan takes something away, or
//! lets users meet the phone.

use std::collections::BTreeMap;

use super::Seen;
use super::said::actions::{LEGACY, POST_LOGIN};
use super::said::phone;
use crate::model::call::Failed;
use crate::model::manifest::Manifest;
use crate::model::plan::Level;
use crate::model::value::Value;

/// What is read beside.
pub struct Guard {
    pub address: &'static str,
    /// Name of its kind.
    pub kind: &'static str,
    /// What there is to tell of it, and what to do.
    pub told: fn(&Seen, &Manifest) -> Option<(&'static str, &'static str)>,
    /// What it means that it could not be read.
    pub unread: fn(&str, &Failed) -> (Level, String, &'static str),
}

const fn guard(address: &'static str, kind: &'static str) -> Guard {
    Guard { address, kind, told: |_, _| None, unread }
}

fn unread(name: &str, failed: &Failed) -> (Level, String, &'static str) {
    let text = format!(
        "steps take a factor or its delivery away, or ask for one, and {name} could not be read: {failed}"
    );
    let help = "grant read:mfa_policies and read:guardian_factors: a policy could lock everybody out";
    (Level::Blocker, text, help)
}

/// Policy, factors and how messages are sent.
pub const DELIVERY: &[Guard] = &[
    guard("mfa_policy", "mfa_policy"),
    guard("mfa_factor.guard", "mfa_factor"),
    guard("phone_message_types", "phone_message_types"),
    guard("phone_provider", "phone_provider"),
    guard(phone::UNIFIED, phone::UNIFIED),
];

/// The login pages, where codes are to be spoken.
pub const LOGIN: &[Guard] = &[Guard {
    told: |seen, manifest| {
        let classic = seen.attrs.get("experience").and_then(Value::as_str) == Some("classic");
        (classic && manifest.get("universal_login", "experience").is_none()).then_some((
            "phone.channels has voice, and the tenant has the classic login, which cannot offer it",
            "set universal_login.experience: new, or remove voice from phone.channels",
        ))
    },
    // Without it a plan is as good as it was: only what is spoken may not be offered.
    unread: |_, failed| {
        (
            Level::Warning,
            format!(
                "phone.channels has voice, and whether the login can offer it could not be read: {failed}"
            ),
            "grant read:prompts, or see that the tenant has the New Universal Login",
        )
    },
    ..guard("universal_login", "universal_login")
}];

/// Who is handed the codes, where our Action may be the one.
pub const SELECTED: &[Guard] = &[guard("phone_selected_provider", "phone_selected_provider")];

/// What other people's post-login Actions ask for, where a factor or its delivery goes.
pub const RULES: &[Guard] = &[guard(OTHERS, POST_LOGIN.binding)];

/// Address of what other people's post-login Actions ask for: read beside, and no resource of a stack.
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

//! The Actions of a stack, as data.

use super::{Action, Company, Stages, Trigger, rules};
use crate::builtin;
use crate::kinds::{Leaving, code_limits, handed_on, legacy};
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Releases, Section, Type};
use crate::model::plan::Stage;
use crate::model::value::Value;

/// What Actions run on ("Auth0 docs, Actions triggers", 2026-08; the older ones ended on 2025-08-15).
pub(super) static RUNTIMES: Releases = Releases {
    known: &["node22", "node18"],
    spelled: &[("node18", "node18-actions")],
    retired: &["node12", "node16"],
};

/// Sends the codes through the tenant's phone provider.
pub static PHONE: Action = Action {
    name: "action",
    section: "action",
    sections: &[&SECTION],
    trigger: &Trigger {
        id: "custom-phone-provider",
        version: "v1",
        handler: "onExecuteCustomPhoneProvider",
        company: Company::None,
    },
    title: "Lockstep phone",
    wanted: |manifest| manifest.section("action").is_some() && !legacy::is_legacy(manifest),
    code: |manifest, code| Value::text(code_limits::fill(manifest, code)),
    check: |_, _| (),
    fact: Fact::Action,
    limits: Fact::ActionLimits,
    told: |code| Fact::ActionLimits(code_limits::names(code)),
    verifies: Some(Fact::ActionVerifies),
    of_others: Some(Fact::ActionOfOthers),
    danger: |_| None,
    stops: "codes by SMS stop, voice codes stop, and phone messages of the tenant stop",
    ready: Some(handed_on::ready_to_deploy),
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
    moves_from: Some("send-phone-message"),
    leaving: |_| Leaving::Removed,
};

/// Sends the codes of a tenant that keeps the legacy phone set-up. The same manifest section as the other row, so a
/// migration changes `phone.delivery` and nothing else.
pub static LEGACY: Action = Action {
    name: "legacy_action",
    section: "action",
    sections: &[&SECTION],
    trigger: &Trigger {
        id: "send-phone-message",
        version: "v2",
        handler: "onExecuteSendPhoneMessage",
        company: Company::Named,
    },
    title: "Lockstep phone, legacy",
    wanted: |manifest| manifest.section("action").is_some() && legacy::is_legacy(manifest),
    code: |manifest, code| {
        let unified = builtin::source("twilio-verify").filter(|source| *source == code);
        let legacy = unified.and_then(|_| builtin::source("twilio-verify-legacy"));
        Value::text(code_limits::fill(manifest, legacy.map_or(code, str::to_owned)))
    },
    check: |_, _| (),
    fact: Fact::LegacyAction,
    limits: Fact::LegacyLimits,
    told: |code| Fact::LegacyLimits(code_limits::names(code)),
    verifies: Some(Fact::LegacyVerifies),
    of_others: Some(Fact::LegacyOfOthers),
    danger: |_| None,
    stops: "codes by SMS stop, voice codes stop, and phone messages of the tenant stop",
    ready: Some(handed_on::ready_to_deploy),
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
    moves_from: None,
    leaving: legacy::retires,
};

/// Asks for a second factor where a rule says so.
pub static POST_LOGIN: Action = Action {
    name: "mfa_post_login",
    section: "mfa.post_login",
    sections: &[&POST_LOGIN_SECTION],
    trigger: &Trigger {
        id: "post-login",
        version: "v3",
        handler: "onExecutePostLogin",
        company: Company::Any,
    },
    title: "Lockstep MFA",
    wanted: |manifest| manifest.section("mfa.post_login").is_some(),
    code: rules::built,
    check: rules::check,
    fact: Fact::RulesAction,
    limits: Fact::RulesLimits,
    told: rules::told,
    verifies: None,
    of_others: None,
    danger: rules::danger_of_deploy,
    stops: "logins that it decides about fail, of users enrolled with any factor",
    ready: Some(rules::ready_when_bound),
    stages: Stages { draft: Stage::Draft, deploy: Stage::DeployRules, remove: Stage::RemoveAction },
    moves_from: None,
    leaving: |_| Leaving::Removed,
};

/// Every Action, for what they share: the room that a tenant has.
pub static ALL: &[&Action] = &[&PHONE, &LEGACY, &POST_LOGIN];

static POST_LOGIN_SECTION: Section = Section {
    path: "mfa.post_login",
    doc: "MFA for some applications, organizations, roles or connections, by a post-login Action",
    required: false,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "name",
            doc: "unique in the tenant; defaults to `Lockstep MFA (<stack>)`",
            ..FIELD
        },
        Field {
            key: "code",
            ty: Type::Code,
            default: Some("builtin:mfa-post-login"),
            wire: "code",
            doc: "`builtin:mfa-post-login` or a file with the marker lines for the rules",
            ..FIELD
        },
        Field {
            key: "runtime",
            ty: Type::Release(&RUNTIMES),
            default: Some("node22"),
            wire: "runtime",
            doc: "Node.js version",
            ..FIELD
        },
        rules::FIELD_RULES,
    ],
};

static SECTION: Section = Section {
    path: "action",
    doc: "The Auth0 Action that hands the code to Verify",
    required: false,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "name",
            doc: "unique in the tenant; defaults to `Lockstep phone (<stack>)`",
            ..FIELD
        },
        Field {
            key: "code",
            ty: Type::Code,
            required: true,
            wire: "code",
            doc: "`builtin:twilio-verify` or a file",
            ..FIELD
        },
        Field {
            key: "runtime",
            ty: Type::Release(&RUNTIMES),
            default: Some("node22"),
            wire: "runtime",
            doc: "Node.js version",
            ..FIELD
        },
        Field {
            key: "dependencies",
            ty: Type::Map { max: 10 },
            default: Some("{}"),
            wire: "dependencies",
            doc: "npm packages with exact versions",
            ..FIELD
        },
        Field {
            key: "secrets",
            ty: Type::Map { max: 30 },
            default: Some("{}"),
            secret: true,
            wire: "secrets",
            doc: "what the code reads as event.secrets",
            ..FIELD
        },
        Field {
            key: "unmanaged_secrets",
            ty: Type::OneOf(&["refuse", "remove"]),
            default: Some("refuse"),
            doc: "what to do with secret names that only the tenant has: every write of secrets would drop them",
            ..FIELD
        },
    ],
};

//! The Actions of a stack, as data.

use super::{Action, Stages, Trigger};
use crate::builtin;
use crate::kinds::{Leaving, legacy};
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::plan::Stage;

/// Sends the codes through the tenant's phone provider.
pub static PHONE: Action = Action {
    name: "action",
    section: "action",
    sections: &[&SECTION],
    trigger: &Trigger {
        id: "custom-phone-provider",
        version: "v1",
        handler: "onExecuteCustomPhoneProvider",
        alone: true,
    },
    title: "Lockstep phone",
    wanted: |manifest| manifest.section("action").is_some() && !legacy::is_legacy(manifest),
    code: |_, code| code,
    fact: "action",
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
        alone: true,
    },
    title: "Lockstep phone, legacy",
    wanted: |manifest| manifest.section("action").is_some() && legacy::is_legacy(manifest),
    code: |_, code| {
        let unified = builtin::source("twilio-verify").filter(|source| *source == code);
        unified.and_then(|_| builtin::source("twilio-verify-legacy")).map_or(code, str::to_owned)
    },
    fact: "legacy_action",
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
    moves_from: None,
    leaving: legacy::retires,
};

static SECTION: Section = Section {
    path: "action",
    doc: "The Auth0 Action that hands the code to Verify",
    required: true,
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
            ty: Type::OpenOneOf(&["node22", "node18"]),
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

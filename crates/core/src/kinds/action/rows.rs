//! The Actions of a stack, as data.

use super::row::{Action, Stages};
use super::wire::RUNTIMES;
use crate::kinds::SaidBy;
use crate::kinds::looks::{self, handed_on};
use crate::kinds::said::{actions, login_feedback, rules};
use crate::model::facts::Provider;
use crate::model::field::{FIELD, Field, Section, Type, form};
use crate::model::plan::Stage;

/// Sends the codes through the tenant's phone provider.
pub static PHONE: Action = Action {
    spec: &actions::PHONE,
    sections: &[&SECTION],
    check: |_, _| (),
    said_by: |_| SaidBy::Tables,
    notice: |_| None,
    danger: |_| None,
    stops: "codes by SMS stop, voice codes stop, and phone messages of the tenant stop",
    ready: Some(handed_on::ready_to_deploy),
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
    is_needed: |after| after.provider.is(&Provider::Custom),
};

/// Sends the codes of a tenant that keeps the legacy phone set-up.
pub static LEGACY: Action = Action {
    spec: &actions::LEGACY,
    sections: &[&SECTION],
    check: |_, _| (),
    said_by: |_| SaidBy::Tables,
    notice: |_| None,
    danger: |_| None,
    stops: "codes by SMS stop, voice codes stop, and phone messages of the tenant stop",
    ready: Some(handed_on::ready_to_deploy),
    stages: Stages { draft: Stage::Draft, deploy: Stage::Deploy, remove: Stage::RemoveAction },
    is_needed: |_| false,
};

/// Asks for a second factor where a rule says so.
pub static POST_LOGIN: Action = Action {
    spec: &actions::POST_LOGIN,
    sections: &[&POST_LOGIN_SECTION],
    check: rules::check,
    said_by: |_| SaidBy::Tables,
    notice: |_| None,
    danger: rules::danger_of_deploy,
    stops: "every login that it decides about fails, whatever factor the user has",
    ready: Some(looks::rules::ready_when_bound),
    stages: Stages { draft: Stage::Draft, deploy: Stage::DeployRules, remove: Stage::RemoveAction },
    is_needed: |_| false,
};

/// Tells Verify at the end of a login that its code was used.
pub static FEEDBACK: Action = Action {
    spec: &actions::FEEDBACK,
    sections: &[&FEEDBACK_SECTION],
    check: login_feedback::check,
    said_by: login_feedback::said_by,
    notice: login_feedback::notice,
    danger: |_| None,
    stops: "Verify hears of no code that was used, and if the Action throws, every login fails",
    ready: None,
    stages: Stages { draft: Stage::Draft, deploy: Stage::Feedback, remove: Stage::RemoveAction },
    is_needed: |_| false,
};

static FEEDBACK_SECTION: Section = Section {
    path: login_feedback::SECTION,
    doc: "A post-login Action behind the rules that tells Verify at once which code was used: no log stream, no Function",
    required: false,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "name",
            doc: "unique in the tenant; defaults to `Lockstep feedback (<stack>)`",
            ..FIELD
        },
        Field {
            key: "code",
            ty: Type::Code,
            default: Some("builtin:login-feedback"),
            wire: "code",
            doc: "`builtin:login-feedback` or a file",
            ..FIELD
        },
        RUNTIME,
        Field {
            key: "api_key",
            ty: Type::Text { min: 1, max: 4096, check: None },
            required: true,
            secret: true,
            wire: "value of TWILIO_API_KEY",
            doc: "a restricted key, verification/update only",
            ..FIELD
        },
        Field {
            key: "api_secret",
            ty: Type::Text { min: 1, max: 4096, check: None },
            required: true,
            secret: true,
            wire: "value of TWILIO_API_SECRET",
            doc: "secret of the key in api_key",
            ..FIELD
        },
        SECRETS_AS_OF,
    ],
};

static POST_LOGIN_SECTION: Section = Section {
    path: rules::SECTION,
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
        RUNTIME,
        rules::FIELD_RULES,
    ],
};

fn instant(value: &str) -> Result<(), (String, String)> {
    let is_plain = value.ends_with('Z') && [value.get(4..5), value.get(10..11)] == [Some("-"), Some("T")];
    match value.parse::<jiff::Timestamp>() {
        Ok(_) if is_plain => Ok(()),
        _ => Err(("not a time".into(), "write it as 2026-11-20T12:00:00Z".into())),
    }
}

const RUNTIME: Field = Field {
    key: "runtime",
    ty: Type::Release(&RUNTIMES),
    default: Some("node22"),
    wire: "runtime",
    doc: "Node.js version",
    ..FIELD
};

const SECRETS_AS_OF: Field = Field {
    key: "secrets_as_of",
    ty: Type::Text { min: 20, max: 40, check: form("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", instant) },
    doc: "says that the secrets which the Action had at that time (ISO 8601) are those of this manifest: a first apply \
          then leaves them as they are instead of sending them anew",
    ..FIELD
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
            doc: "`builtin:twilio-verify`, `builtin:twilio-verify-fetch` (without a dependency), or a file",
            ..FIELD
        },
        RUNTIME,
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
        SECRETS_AS_OF,
    ],
};

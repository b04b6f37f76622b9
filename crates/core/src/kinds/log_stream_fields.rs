//! The fields of the log stream that carries the feedback.

use super::log_stream;
use crate::model::field::{FIELD, Field, Section, Type};

static PII: &[Field] = &[
    Field {
        key: "log_fields",
        ty: Type::Set(&["first_name", "last_name", "username", "email", "phone", "address"]),
        wire: "pii_config.log_fields",
        doc: "what is masked; `phone` would break the feedback and is refused",
        ..FIELD
    },
    Field {
        key: "method",
        ty: Type::OneOf(&["mask", "hash"]),
        wire: "pii_config.method",
        doc: "mask or hash",
        ..FIELD
    },
    Field {
        key: "algorithm",
        ty: Type::OpenOneOf(&["xxhash"]),
        wire: "pii_config.algorithm",
        doc: "of the hash",
        ..FIELD
    },
];

pub(super) static SECTION: Section = Section {
    path: log_stream::SECTION_PATH,
    doc: "The HTTP log stream that carries the feedback",
    required: false,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "name",
            doc: "defaults to `Lockstep feedback (<stack>)`",
            ..FIELD
        },
        Field {
            key: "endpoint",
            ty: Type::Text { min: 9, max: 2000, check: Some(log_stream::https) },
            wire: "sink.httpEndpoint",
            doc: "where events go, https only; defaults to the URL of feedback.function",
            ..FIELD
        },
        Field {
            key: "authorization",
            ty: Type::Text { min: 1, max: 4000, check: None },
            secret: true,
            wire: "sink.httpAuthorization",
            doc: "sent as it is in the Authorization header",
            ..FIELD
        },
        Field {
            key: "content_format",
            ty: Type::OneOf(&["JSONARRAY", "JSONOBJECT", "JSONLINES"]),
            default: Some("JSONARRAY"),
            wire: "sink.httpContentFormat",
            doc: "JSONLINES breaks receivers that parse JSON",
            ..FIELD
        },
        Field {
            key: "content_type",
            ty: Type::Text { min: 3, max: 200, check: None },
            default: Some("application/json"),
            wire: "sink.httpContentType",
            doc: "has to be application/json for a Twilio Function",
            ..FIELD
        },
        Field {
            key: "custom_headers",
            ty: Type::Map { max: 20 },
            secret: true,
            wire: "sink.httpCustomHeaders",
            doc: "further headers, by name",
            ..FIELD
        },
        Field {
            key: "filters",
            // The list of categories grows ("Auth0 docs, log stream filters", 2026-08), so any word is taken.
            ty: Type::Set(&[]),
            wire: "filters",
            doc: "categories; defaults to `other` (the success of a second factor) and `user.notification` (the enrolment), \
                  with feedback.passwordless also `auth.login.success`",
            ..FIELD
        },
        Field {
            key: "pii_config",
            ty: Type::Object(PII),
            wire: "pii_config",
            doc: "masking of personal data",
            ..FIELD
        },
        Field {
            key: "is_priority",
            ty: Type::Bool,
            wire: "isPriority",
            doc: "a prioritized stream does not carry the feedback events",
            ..FIELD
        },
        Field {
            key: "status",
            ty: Type::OneOf(&["active", "paused"]),
            wire: "status",
            doc: "active also restarts a stream that Auth0 suspended",
            ..FIELD
        },
        Field {
            key: "start_from",
            ty: Type::Text { min: 10, max: 40, check: None },
            doc: "on create only: replay events from this time (ISO 8601)",
            ..FIELD
        },
    ],
};

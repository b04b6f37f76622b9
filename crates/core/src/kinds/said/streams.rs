//! Log streams in the manifest: the stream of the feedback, and further streams, each with a name.

use crate::kinds::urls;
use crate::model::field::{FIELD, Field, Section, Type, form, says};

/// The name of the kind, which is also the address of the feedback's stream.
pub const NAME: &str = "log_stream";
/// Path of the section of the feedback's stream.
pub const SECTION_PATH: &str = "feedback.log_stream";
/// Path of the section of the further streams.
pub const FURTHER_PATH: &str = "log_streams";

/// Checks a URL that a stream sends to.
fn https(value: &str) -> Result<(), (String, String)> {
    urls::https(value, "Auth0 sends to https only")
}

static PII: &[Field] = &[
    Field {
        key: "log_fields",
        ty: Type::Set(&["first_name", "last_name", "username", "email", "phone", "address"]),
        wire: "pii_config.log_fields",
        doc: "fields to mask; not `phone` in the feedback stream, which needs it",
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
        doc: "hash algorithm",
        ..FIELD
    },
];

// The keys that every stream has.
const REMOTE_NAME: Field =
    Field { key: "name", ty: Type::Text { min: 1, max: 255, check: None }, wire: "name", ..FIELD };
const ENDPOINT: Field = Field {
    key: "endpoint",
    ty: Type::Text { min: 9, max: 2000, check: form(r#"^https://[^\s"<>\\^`{|}]+$"#, https) },
    wire: "sink.httpEndpoint",
    ..FIELD
};
const AUTHORIZATION: Field = Field {
    key: "authorization",
    ty: Type::Text { min: 1, max: 4000, check: None },
    secret: true,
    wire: "sink.httpAuthorization",
    doc: "sent as it is in the Authorization header",
    ..FIELD
};
const CONTENT_FORMAT: Field = Field {
    key: "content_format",
    ty: Type::OneOf(&["JSONARRAY", "JSONOBJECT", "JSONLINES"]),
    default: Some("JSONARRAY"),
    wire: "sink.httpContentFormat",
    ..FIELD
};
const CONTENT_TYPE: Field = Field {
    key: "content_type",
    ty: Type::Text { min: 3, max: 200, check: None },
    default: Some("application/json"),
    wire: "sink.httpContentType",
    ..FIELD
};
const CUSTOM_HEADERS: Field = Field {
    key: "custom_headers",
    ty: Type::Map { max: 20 },
    secret: true,
    wire: "sink.httpCustomHeaders",
    doc: "further headers, by name",
    ..FIELD
};
const FILTERS: Field = Field {
    key: "filters",
    // Any word is accepted, because Auth0's list of categories grows ("Auth0 docs, log stream filters", 2026-08).
    ty: Type::Set(&[]),
    wire: "filters",
    ..FIELD
};
const PII_CONFIG: Field = Field {
    key: "pii_config",
    ty: Type::Object(PII),
    wire: "pii_config",
    doc: "masking of personal data",
    ..FIELD
};
const IS_PRIORITY: Field = Field { key: "is_priority", ty: Type::Bool, wire: "isPriority", ..FIELD };
const STATUS: Field = Field {
    key: "status",
    ty: Type::OneOf(&["active", "paused"]),
    wire: "status",
    doc: "active also restarts a stream that Auth0 suspended",
    ..FIELD
};
const START_FROM: Field = Field {
    key: "start_from",
    ty: Type::Text { min: 10, max: 40, check: None },
    doc: "on create only: replay events from this time (ISO 8601)",
    ..FIELD
};

/// The section of the feedback's stream.
pub static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "The HTTP log stream that carries the feedback",
    required: false,
    fields: &[
        Field { doc: "defaults to `Lockstep feedback (<stack>)`", ..REMOTE_NAME },
        Field { doc: "where events go, https only; defaults to the URL of feedback.function", ..ENDPOINT },
        AUTHORIZATION,
        Field { doc: "JSONLINES breaks receivers that parse JSON", ..CONTENT_FORMAT },
        Field { doc: "has to be application/json for a Twilio Function", ..CONTENT_TYPE },
        CUSTOM_HEADERS,
        Field {
            doc: "categories; defaults to `other` (the success of a second factor) and `user.notification` (the enrolment), \
                  with feedback.passwordless also `auth.login.success`",
            ..FILTERS
        },
        PII_CONFIG,
        Field { doc: "a prioritized stream does not carry the feedback events", ..IS_PRIORITY },
        STATUS,
        START_FROM,
    ],
};

/// The keys of a further stream.
pub static STREAM: &[Field] = &[
    Field { doc: "defaults to `Lockstep <name> (<stack>)`", ..REMOTE_NAME },
    Field { required: true, doc: "where events go, https only", ..ENDPOINT },
    AUTHORIZATION,
    Field {
        doc: "JSONARRAY: a list; JSONOBJECT: one object per request; JSONLINES: one object per line",
        ..CONTENT_FORMAT
    },
    Field { doc: "as the receiver wants it", ..CONTENT_TYPE },
    CUSTOM_HEADERS,
    Field { default: Some("[]"), doc: "categories; [] is everything", ..FILTERS },
    PII_CONFIG,
    Field { doc: "security events only; not counted by the plan's limit of streams", ..IS_PRIORITY },
    STATUS,
    START_FROM,
];

/// The section of the further streams.
pub static FURTHER: Section = Section {
    path: FURTHER_PATH,
    doc: "Log streams besides that of the feedback",
    required: false,
    fields: &[Field {
        key: "http",
        ty: Type::Named { max: 50, fields: STREAM },
        says: &[says("log_stream.*", "")],
        doc: "HTTP log streams, by name",
        ..FIELD
    }],
};

//! The Verify service in the manifest: the table of its fields, what each field accepts, and the desired state.

use super::rate_limits;
use crate::kinds::Resource;
use crate::model::address::Address;
use crate::model::field::{Check, FIELD, Field, Section, Type, form, says};
use crate::model::manifest::Manifest;
use crate::model::value::{Attrs, Value};

/// The name of the kind, which is also the address of its only resource and the path of its section.
pub const NAME: &str = "verify_service";

const fn text_field(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 255, check: None }, wire, doc, ..FIELD }
}

/// A field for a SID. An empty text clears the setting.
const fn sid_field(key: &'static str, wire: &'static str, check: Option<Check>, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 34, check }, wire, doc, ..FIELD }
}

const fn word_field(key: &'static str, wire: &'static str, check: Option<Check>, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 40, check }, wire, doc, ..FIELD }
}

const fn bool_field(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Bool, wire, doc, ..FIELD }
}

const fn int_field(key: &'static str, wire: &'static str, min: i64, max: i64, doc: &'static str) -> Field {
    Field { key, ty: Type::Int { min, max }, wire, doc, ..FIELD }
}

const fn object(key: &'static str, fields: &'static [Field], doc: &'static str) -> Field {
    Field { key, ty: Type::Object(fields), doc, ..FIELD }
}

static PUSH: &[Field] = &[
    bool_field("include_date", "Push.IncludeDate", "deprecated by the vendor"),
    sid_field(
        "apn_credential_sid",
        "Push.ApnCredentialSid",
        form("^(CR[0-9a-fA-F]{32})?$", |sid| sid_or_empty("CR", sid)),
        "Apple push credential, `CR…`",
    ),
    sid_field(
        "fcm_credential_sid",
        "Push.FcmCredentialSid",
        form("^(CR[0-9a-fA-F]{32})?$", |sid| sid_or_empty("CR", sid)),
        "Google push credential, `CR…`",
    ),
];
static TOTP: &[Field] = &[
    Field {
        key: "issuer",
        // Twilio accepts an empty text and keeps the old issuer, so an empty text would differ in every plan.
        ty: Type::Text { min: 1, max: 255, check: None },
        wire: "Totp.Issuer",
        doc: "name in authenticator apps; cannot be cleared again",
        ..FIELD
    },
    int_field("time_step", "Totp.TimeStep", 20, 60, "seconds"),
    int_field("code_length", "Totp.CodeLength", 3, 8, "digits"),
    int_field("skew", "Totp.Skew", 0, 2, "accepted steps of clock skew"),
];
static WHATSAPP: &[Field] = &[
    sid_field(
        "msg_service_sid",
        "Whatsapp.MsgServiceSid",
        form("^(MG[0-9a-fA-F]{32})?$", |sid| sid_or_empty("MG", sid)),
        "messaging service, `MG…`",
    ),
    text_field("from", "Whatsapp.From", "sender number"),
];
static RELYING_PARTY: &[Field] = &[
    text_field("id", "Passkeys.RelyingParty.Id", "domain"),
    text_field("name", "Passkeys.RelyingParty.Name", "display name"),
    text_field("origins", "Passkeys.RelyingParty.Origins", "origins, joined by commas"),
];
static PASSKEYS: &[Field] = &[
    object("relying_party", RELYING_PARTY, "who asks for the passkey"),
    word_field(
        "authenticator_attachment",
        "Passkeys.AuthenticatorAttachment",
        form("^(platform|cross-platform|any)?$", |word| {
            word_or_empty(&["platform", "cross-platform", "any"], word)
        }),
        "platform, cross-platform or any",
    ),
    word_field(
        "discoverable_credentials",
        "Passkeys.DiscoverableCredentials",
        form("^(required|preferred|discouraged)?$", |word| {
            word_or_empty(&["required", "preferred", "discouraged"], word)
        }),
        "required, preferred or discouraged",
    ),
    word_field(
        "user_verification",
        "Passkeys.UserVerification",
        form("^(required|preferred|discouraged)?$", |word| {
            word_or_empty(&["required", "preferred", "discouraged"], word)
        }),
        "required, preferred or discouraged",
    ),
];

/// These fields are newer than the published description of the API ("Twilio docs, Verify service", 2026-08).
static EMAIL: &[Field] = &[
    text_field("from", "Email.From", "sender address"),
    text_field("from_name", "Email.FromName", "sender name"),
    text_field("content_template_id", "Email.ContentTemplateId", "content template of the message"),
];

/// Top-level members that a reply may leave out although the API accepted them. They are newer than the published
/// description of the API, so it is not known how they read back.
pub const MAY_BE_HIDDEN: &[&str] = &["email", "mailer_sid"];

/// The key that names a service which others manage.
pub const USE: &str = "use";

/// The section of the service. The ranges come from "Twilio Verify API, Service resource" (description of 2026-04) and
/// from Twilio's error dictionary.
pub static SECTION: Section = Section {
    path: NAME,
    doc: "The Twilio Verify service that sends the codes",
    required: false,
    fields: &[
        Field {
            key: USE,
            ty: Type::Text { min: 1, max: 100, check: form("^VA[0-9a-fA-F]{32}$", service_sid) },
            doc: "a service that others manage (`VA…`): it is read and checked, never changed, recorded or deleted; the keys beside it say how it has to be",
            ..FIELD
        },
        Field {
            key: "sid",
            ty: Type::Text { min: 3, max: 34, check: form("^(new|VA[0-9a-fA-F]{32})$", sid_or_new) },
            doc: "pins an existing service (`VA…`), which keeps its name without friendly_name; or `new`, for one beside others of the same name",
            ..FIELD
        },
        Field {
            key: "friendly_name",
            ty: Type::Text { min: 1, max: 30, check: form(BRAND, brand) },
            required: true,
            unless: &["sid", USE],
            wire: "FriendlyName",
            doc: "the brand in the message; at most 30 characters and 4 digits",
            ..FIELD
        },
        int_field("code_length", "CodeLength", 4, 10, "digits of a code that Verify makes itself"),
        bool_field("lookup_enabled", "LookupEnabled", "look the number up before sending (costs extra)"),
        bool_field(
            "skip_sms_to_landlines",
            "SkipSmsToLandlines",
            "refuse SMS to landlines; needs lookup_enabled",
        ),
        bool_field(
            "dtmf_input_required",
            "DtmfInputRequired",
            "ask for a key press before a call reads the code",
        ),
        text_field("tts_name", "TtsName", "voice engine of calls"),
        bool_field("psd2_enabled", "Psd2Enabled", "payment confirmations; excludes calls"),
        bool_field("do_not_share_warning_enabled", "DoNotShareWarningEnabled", "add a warning to the SMS"),
        Field {
            key: "custom_code_enabled",
            ty: Type::Bool,
            default: Some("true"),
            wire: "CustomCodeEnabled",
            doc: "Auth0 makes the code, so this has to be true",
            ..FIELD
        },
        sid_field(
            "default_template_sid",
            "DefaultTemplateSid",
            form("^(HJ[0-9a-fA-F]{32})?$", |sid| sid_or_empty("HJ", sid)),
            "SMS template, `HJ…`",
        ),
        Field {
            key: "default_template",
            ty: Type::Text { min: 1, max: 32, check: None },
            doc: "SMS template by its name, instead of default_template_sid",
            ..FIELD
        },
        object("push", PUSH, "push factor"),
        object("totp", TOTP, "authenticator app factor"),
        object("whatsapp", WHATSAPP, "WhatsApp sender"),
        object("passkeys", PASSKEYS, "passkey factor"),
        bool_field(
            "verify_event_subscription_enabled",
            "VerifyEventSubscriptionEnabled",
            "send events to Event Streams",
        ),
        object("email", EMAIL, "email channel without a mailer of its own; all three or none (60253)"),
        sid_field(
            "mailer_sid",
            "MailerSid",
            form("^(MD[0-9a-fA-F]{32})?$", |sid| sid_or_empty("MD", sid)),
            "mailer of the email channel, `MD…`",
        ),
        Field {
            key: "rate_limits",
            ty: Type::Named { max: 20, fields: rate_limits::FIELDS },
            says: &[says("verify_rate_limit.*", "")],
            doc: "limits of sends by number, user or address, by unique name",
            ..FIELD
        },
        Field {
            key: "messaging_configurations",
            ty: Type::Map { max: 250 },
            says: &[says("verify_messaging_configuration.*", "messaging_service_sid")],
            doc: "messaging service (`MG…`) by country, or `all`",
            ..FIELD
        },
    ],
};

fn sid_or_new(value: &str) -> Result<(), (String, String)> {
    if value == "new" {
        return Ok(());
    }
    service_sid(value).map_err(|(wrong, help)| (wrong, format!("{help}, or `new`")))
}

/// A name is not enough, because names of services are not unique.
fn service_sid(value: &str) -> Result<(), (String, String)> {
    let digits = value.strip_prefix("VA").unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(("not a Verify service SID".into(), "write VA and 32 hex digits".into()))
}

/// Checks that a value is empty or a SID with that prefix.
fn sid_or_empty(prefix: &str, value: &str) -> Result<(), (String, String)> {
    let digits = value.strip_prefix(prefix).unwrap_or_default();
    if value.is_empty() || digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let help = format!("write {prefix} and 32 hex digits, or \"\" to clear it");
    Err(("not a SID of that kind".into(), help))
}

/// Checks that a value is empty or one of the words.
fn word_or_empty(words: &[&str], value: &str) -> Result<(), (String, String)> {
    if value.is_empty() || words.contains(&value) {
        return Ok(());
    }
    Err((
        format!("must be one of {}", words.join(", ")),
        "use one of these words, or \"\" to clear it".into(),
    ))
}

/// At most four digits among letters of any script, blanks, dashes and underscores.
const BRAND: &str = r"^[^!-,./0-9:-@\[-^`{-~]*([0-9][^!-,./0-9:-@\[-^`{-~]*){0,4}$";

fn brand(value: &str) -> Result<(), (String, String)> {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    if digits > 4 {
        return Err((format!("{digits} digits"), "use at most 4 digits".into()));
    }
    match value.chars().find(|ch| !(ch.is_alphanumeric() || matches!(ch, ' ' | '-' | '_'))) {
        Some(ch) => Err((
            format!("the character {ch:?} is refused by Twilio"),
            "use letters, digits, spaces, dashes and underscores".into(),
        )),
        None => Ok(()),
    }
}

/// Brings a value into the form in which the desired and the observed state are compared.
pub fn normalise(key: &str, value: Value) -> Value {
    match (key, value.as_str()) {
        // The number is sent alone, and reads back with `whatsapp:` in front.
        ("whatsapp.from", Some(number)) => Value::text(number.trim_start_matches("whatsapp:")),
        // The origins are sent as one text with commas, and read back as a list.
        ("passkeys.relying_party.origins", Some(origins)) => {
            let each: Vec<&str> = origins.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
            Value::text(each.join(","))
        }
        _ => value,
    }
}

/// The service that the manifest wants; `None` if the manifest has no such section.
pub fn wanted_service(manifest: &Manifest) -> Option<Resource> {
    manifest.section(NAME)?;
    // Nothing is wanted of a service of others: what the manifest says of it is only checked.
    let desired = if is_used(manifest) { Attrs::new() } else { said(manifest) };
    Some(Resource { address: Address::of(NAME), kind: NAME, desired })
}

/// The fields of the service that the manifest says.
pub fn said(manifest: &Manifest) -> Attrs {
    let attrs = manifest.section(NAME).into_iter().flatten();
    attrs
        .filter(|(key, _)| !["sid", USE].contains(&key.as_str()) && !is_below(key))
        .map(|(key, value)| (key.clone(), normalise(key, value.clone())))
        .collect()
}

/// Whether the manifest leaves the service to others and only uses it.
pub fn is_used(manifest: &Manifest) -> bool {
    manifest.get(NAME, USE).is_some()
}

/// The SID of the service of others that the manifest uses, if it has a value by now.
pub fn used(manifest: &Manifest) -> Option<&str> {
    match manifest.get(NAME, USE)? {
        Value::Secret(secret) => Some(secret.expose()),
        value => value.as_str(),
    }
}

/// Why what is below a service leaves the record.
pub const LEFT_WITH_IT: &str =
    "the manifest leaves the Verify service to others, and this stays with its service";

/// Whether the service on record with this SID is now one of others, by the manifest. While the SID of the used one is
/// not known, it may be this one.
pub fn is_spared(manifest: &Manifest, sid: Option<&String>) -> bool {
    is_used(manifest) && used(manifest).is_none_or(|used| sid.is_none_or(|sid| sid == used))
}

/// Whether a key of the section belongs to another resource below the service.
pub fn is_below(key: &str) -> bool {
    ["rate_limits.", "messaging_configurations."].iter().any(|prefix| key.starts_with(prefix))
}

/// The SID of the existing service that the manifest pins.
pub fn pinned(manifest: &Manifest) -> Option<&str> {
    manifest.text(NAME, "sid").filter(|sid| *sid != "new")
}

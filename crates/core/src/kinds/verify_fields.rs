//! The fields of the Verify service: the table, what each accepts, how they are sent and read back.

use serde_json::{Value as Json, json};

use super::{Seen, text, verify_rate_limit};
use crate::model::field::{Check, FIELD, Field, Section, Type, flat, says};
use crate::model::value::{Attrs, Value};

const fn text_field(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 255, check: None }, wire, doc, ..FIELD }
}

/// A SID; the empty text clears the setting.
const fn sid_field(key: &'static str, wire: &'static str, check: Check, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 34, check: Some(check) }, wire, doc, ..FIELD }
}

const fn word_field(key: &'static str, wire: &'static str, check: Check, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 40, check: Some(check) }, wire, doc, ..FIELD }
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
        |sid| is_sid("CR", sid),
        "Apple push credential, `CR…`",
    ),
    sid_field(
        "fcm_credential_sid",
        "Push.FcmCredentialSid",
        |sid| is_sid("CR", sid),
        "Google push credential, `CR…`",
    ),
];
static TOTP: &[Field] = &[
    Field {
        key: "issuer",
        // An empty text is taken and the old issuer stays, so it would differ for ever.
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
        |sid| is_sid("MG", sid),
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
        |word| is_word(&["platform", "cross-platform", "any"], word),
        "platform, cross-platform or any",
    ),
    word_field(
        "discoverable_credentials",
        "Passkeys.DiscoverableCredentials",
        |word| is_word(&["required", "preferred", "discouraged"], word),
        "required, preferred or discouraged",
    ),
    word_field(
        "user_verification",
        "Passkeys.UserVerification",
        |word| is_word(&["required", "preferred", "discouraged"], word),
        "required, preferred or discouraged",
    ),
];

/// Newer than the published description ("Twilio docs, Verify service", 2026-08).
static EMAIL: &[Field] = &[
    text_field("from", "Email.From", "sender address"),
    text_field("from_name", "Email.FromName", "sender name"),
    text_field("content_template_id", "Email.ContentTemplateId", "content template of the message"),
];

/// Top-level members that a reply may leave out although they were taken: newer than the published description, so how they
/// read back is not known.
pub const MAY_BE_HIDDEN: &[&str] = &["email", "mailer_sid"];

/// Ranges: "Twilio Verify API, Service resource" (description of 2026-04) and its error dictionary.
pub static SECTION: Section = Section {
    path: "verify_service",
    doc: "The Twilio Verify service that sends the codes",
    required: false,
    fields: &[
        Field {
            key: "sid",
            ty: Type::Text { min: 3, max: 34, check: Some(sid_or_new) },
            doc: "pins an existing service (`VA…`), or `new` to create one beside others of the same name",
            ..FIELD
        },
        Field {
            key: "friendly_name",
            ty: Type::Text { min: 1, max: 30, check: Some(brand) },
            required: true,
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
            |sid| is_sid("HJ", sid),
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
        sid_field("mailer_sid", "MailerSid", |sid| is_sid("MD", sid), "mailer of the email channel, `MD…`"),
        Field {
            key: "rate_limits",
            ty: Type::Named { max: 20, fields: verify_rate_limit::FIELDS },
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
    let is_sid = value.len() == 34
        && value.starts_with("VA")
        && value[2..].bytes().all(|byte| byte.is_ascii_hexdigit());
    if value == "new" || is_sid {
        return Ok(());
    }
    Err(("not a Verify service SID".into(), "write VA and 32 hex digits, or `new`".into()))
}

/// Nothing, or a SID of that prefix.
fn is_sid(prefix: &str, value: &str) -> Result<(), (String, String)> {
    let digits = value.strip_prefix(prefix).unwrap_or_default();
    if value.is_empty() || digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let help = format!("write {prefix} and 32 hex digits, or \"\" to clear it");
    Err(("not a SID of that kind".into(), help))
}

/// Nothing, or one of the words.
fn is_word(words: &[&str], value: &str) -> Result<(), (String, String)> {
    if value.is_empty() || words.contains(&value) {
        return Ok(());
    }
    Err((
        format!("must be one of {}", words.join(", ")),
        "use one of these words, or \"\" to clear it".into(),
    ))
}

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

/// What a service has beside its fields.
#[derive(Clone, Default)]
pub(super) struct Own {
    /// When it was made, as Twilio writes it.
    pub(super) made_at: String,
    /// SID of the template that the manifest names.
    pub(super) template_sid: String,
}

/// The attributes as form fields, in the order of the table.
pub fn form(attrs: &Attrs) -> Vec<(String, String)> {
    flat(SECTION.fields)
        .into_iter()
        .filter(|(_, field)| !field.wire.is_empty())
        .filter_map(|(key, field)| {
            let value = match attrs.get(&key)? {
                Value::Known(Json::String(text)) => text.clone(),
                Value::Known(json) => json.to_string(),
                Value::Secret(secret) => secret.expose().to_owned(),
                _ => return None,
            };
            Some((field.wire.to_owned(), value))
        })
        .collect()
}

/// Reads a service in any reply. Account SID and SID become ids; unset members become empty text, so that an empty
/// text in the manifest means "cleared".
pub fn parse(service: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.keep(|own: &mut Own| text(service, "date_created").clone_into(&mut own.made_at));
    for key in ["sid", "account_sid"] {
        seen.ids.insert(key.to_owned(), text(service, key).to_owned());
    }
    for (key, field) in flat(SECTION.fields).into_iter().filter(|(_, field)| !field.wire.is_empty()) {
        let top = key.split('.').next().unwrap_or_default();
        if MAY_BE_HIDDEN.contains(&top) && service.get(top).is_none() {
            seen.attrs.insert(key, Value::Unknown("the API does not show it".into()));
            continue;
        }
        let mut at = service;
        for part in key.split('.') {
            at = at.get(part).unwrap_or(&Json::Null);
        }
        let value = match (at, &field.ty) {
            (Json::Null, Type::Text { .. }) => json!(""),
            (Json::Null, Type::Bool) => json!(false),
            (Json::Null, _) => continue,
            (Json::Array(items), _) => {
                let items: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
                json!(items.join(","))
            }
            (other, _) => other.clone(),
        };
        let value = normalise(&key, Value::Known(value));
        seen.attrs.insert(key, value);
    }
    seen
}

/// A value in the form in which both sides are compared.
pub fn normalise(key: &str, value: Value) -> Value {
    match (key, value.as_str()) {
        // Sent as a number, read back with the channel in front.
        ("whatsapp.from", Some(number)) => Value::text(number.trim_start_matches("whatsapp:")),
        // Sent joined, read back as a list.
        ("passkeys.relying_party.origins", Some(origins)) => {
            let each: Vec<&str> = origins.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
            Value::text(each.join(","))
        }
        _ => value,
    }
}

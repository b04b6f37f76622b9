//! `accept`: differences that a person leaves as they are until a day.
//!
//! An entry names a key of the manifest and the value that the tenant has in its place. It covers that value and no
//! other one. [`NEVER`] lists the keys that no entry may name.

use std::collections::BTreeMap;

use jiff::civil::Date;
use ring::digest;
use serde_json::{Value as Json, json};

use super::places::{self, place};
use super::source::shown;
use super::typed::either;
use crate::diag::{Problem, codes, nearest};
use crate::model::address::Address;
use crate::model::date::{self, date_field};
use crate::model::field::{FIELD, Field, Type, form};
use crate::model::ledger::compact;
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::model::text::steers;
use crate::model::value::Value;

/// Name of the key, and of the section that holds the entries by their position: `0.field`, `0.value`.
const NAME: &str = "accept";

/// Most entries. A stack with more differences than this has another manifest.
const ENTRIES_MAX: usize = 100;

/// Proposed time until a difference is looked at again.
const PROPOSED_DAYS: i64 = 30;

/// The key of the manifest.
pub(super) const FIELDS: Field = Field {
    key: NAME,
    ty: Type::List { max: ENTRIES_MAX, fields: ENTRY },
    doc: "differences that stay as they are until a day; `drift` prints the line of each, and docs/accept.md says more",
    ..FIELD
};

static ENTRY: &[Field] = &[
    Field {
        key: "field",
        ty: Type::Text { min: 1, max: 400, check: None },
        required: true,
        doc: "the key that the tenant differs from, such as branding.logo_url",
        ..FIELD
    },
    Field {
        key: "value",
        ty: Type::Any,
        lines: true,
        doc: "the value that the tenant has; null: it has none",
        ..FIELD
    },
    Field {
        key: "sha256",
        ty: Type::Text { min: 64, max: 64, check: form("^[0-9a-fA-F]{64}$", hexadecimal) },
        doc: "instead of value: the digest of a long text that the tenant has, 64 hexadecimal digits",
        ..FIELD
    },
    Field {
        key: "reason",
        ty: Type::Text { min: 1, max: 500, check: None },
        required: true,
        doc: "why it stays",
        ..FIELD
    },
    Field {
        key: "by",
        ty: Type::Text { min: 1, max: 200, check: None },
        required: true,
        doc: "who accepts it: a name or an address",
        ..FIELD
    },
    date_field("until", "the last day on which it is accepted, YYYY-MM-DD, in UTC"),
];

fn hexadecimal(value: &str) -> Result<(), (String, String)> {
    match value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(()),
        false => Err(("not a SHA-256 digest".into(), "copy the line that drift prints".into())),
    }
}

const NO_SETTING: &str = "the tenant has no value of it";
const SENDS: &str = "it decides what sends the codes of logins";
const ASKS: &str = "it decides which logins are asked for a factor, and for which one";
const REPORTS: &str = "without the feedback Verify locks numbers out";
const TELLS: &str = "it decides who is sent the events of the tenant";
const GUARDS: &str = "it protects numbers and users from floods of codes";

/// The keys whose differences cannot be accepted, and why. A row holds for the key and for everything below it; `*`
/// stands for a name that is free. Logins depend on these: an accepted value would be one that no plan puts right, and
/// that nobody looks at for months.
pub const NEVER: &[(&str, &str)] = &[
    ("lockstep", NO_SETTING),
    ("stack", NO_SETTING),
    ("auth0", "it says which tenant is meant"),
    ("twilio", "it says which account is meant"),
    ("attest", NO_SETTING),
    ("action.code", SENDS),
    ("action.runtime", SENDS),
    ("action.dependencies", SENDS),
    ("action.secrets", SENDS),
    ("action.unmanaged_secrets", NO_SETTING),
    ("action.secrets_as_of", NO_SETTING),
    ("action.binding", SENDS),
    ("feedback.passwordless", REPORTS),
    ("feedback.function.code", REPORTS),
    ("feedback.function.api_key", REPORTS),
    ("feedback.function.api_secret", REPORTS),
    ("feedback.function.runtime", REPORTS),
    ("feedback.function.dependencies", REPORTS),
    ("feedback.function.variables", REPORTS),
    ("feedback.function.path", REPORTS),
    ("feedback.function.unique_name", "it says which Function is meant"),
    ("feedback.function.environment", "it says which Function is meant"),
    ("feedback.action.code", REPORTS),
    ("feedback.action.runtime", REPORTS),
    ("feedback.action.api_key", REPORTS),
    ("feedback.action.api_secret", REPORTS),
    ("feedback.action.secrets_as_of", NO_SETTING),
    ("feedback.log_stream.endpoint", REPORTS),
    ("feedback.log_stream.authorization", REPORTS),
    ("feedback.log_stream.custom_headers", REPORTS),
    ("feedback.log_stream.content_format", REPORTS),
    ("feedback.log_stream.content_type", REPORTS),
    ("feedback.log_stream.filters", REPORTS),
    ("feedback.log_stream.pii_config", REPORTS),
    ("feedback.log_stream.is_priority", REPORTS),
    ("feedback.log_stream.status", REPORTS),
    ("feedback.log_stream.start_from", NO_SETTING),
    ("log_streams.http.*.endpoint", TELLS),
    ("log_streams.http.*.authorization", TELLS),
    ("log_streams.http.*.custom_headers", TELLS),
    ("log_streams.http.*.start_from", NO_SETTING),
    ("mfa.policy", ASKS),
    ("mfa.factors", ASKS),
    ("mfa.post_login.code", ASKS),
    ("mfa.post_login.runtime", ASKS),
    ("mfa.post_login.rules", ASKS),
    ("mfa.post_login.binding", ASKS),
    ("phone.delivery", SENDS),
    ("phone.channels", SENDS),
    ("phone.protection", GUARDS),
    ("phone.templates.*.disabled", "messages of a type that is disabled are not sent"),
    ("sample_client.url", "it decides where the tokens of a login go"),
    ("universal_login.experience", "voice codes, and rules for factors, need the new login pages"),
    ("verify_service.sid", "it says which service is meant"),
    ("verify_service.use", "it says which service is meant"),
    ("verify_service.custom_code_enabled", "without it no code of Auth0 is sent"),
    ("verify_service.psd2_enabled", "with it no code is sent by a call"),
    ("verify_service.rate_limits.*.key", GUARDS),
    ("verify_service.rate_limits.*.buckets", GUARDS),
];

/// Why a difference of this key cannot be accepted; `None` if it can.
fn refusal(key: &str) -> Option<&'static str> {
    let covers = |row: &str| places::matches(row, key) || places::matches(&format!("{row}.*"), key);
    NEVER.iter().find(|(row, _)| covers(row)).map(|(_, why)| *why)
}

/// The table row of a key, if the tables have the key.
fn field_of(key: &str) -> Option<&'static Field> {
    places::keys().into_iter().find(|(pattern, _)| places::matches(pattern, key)).map(|(_, field)| field)
}

/// A difference that a person accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Accept {
    /// Position in the list, from 0.
    pub at: usize,
    /// Key of the manifest, `branding.logo_url`.
    pub key: String,
    pub value: Held,
    pub reason: String,
    pub by: String,
    /// The last day.
    pub until: Date,
}

/// The accepted value.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// Null: the tenant has no value.
    Value(Json),
    /// SHA-256 of a text, in lower case.
    Digest(String),
}

impl Accept {
    /// Whether this is the value that the tenant has; `None`: it has none.
    pub fn covers(&self, there: Option<&Json>) -> bool {
        let there = there.unwrap_or(&Json::Null);
        match &self.value {
            Held::Value(value) => sorted(value) == sorted(there),
            Held::Digest(sha256) => there.as_str().is_some_and(|text| digest_of(text) == *sha256),
        }
    }

    /// Whether a day is after the last one.
    pub fn is_over(&self, today: Date) -> bool {
        self.until < today
    }
}

fn digest_of(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// A list of texts without its order, which has no meaning; any other value as it is.
fn sorted(value: &Json) -> Json {
    match value.as_array() {
        Some(items) if items.iter().all(Json::is_string) => {
            let mut texts: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            texts.sort_unstable();
            json!(texts)
        }
        _ => value.clone(),
    }
}

/// The entries of a manifest whose values are all known and right.
pub fn entries(manifest: &Manifest) -> Vec<Accept> {
    let read = |at: usize| {
        let text = |key: &str| manifest.text(NAME, &format!("{at}.{key}")).map(str::to_owned);
        let key = text("field")?;
        let field = field_of(&key).filter(|_| refusal(&key).is_none())?;
        let value = match (manifest.get(NAME, &format!("{at}.value")), text("sha256")) {
            (Some(value), None) => Held::Value(fitting(field, value.known()?).ok()?),
            (None, Some(sha256)) => Held::Digest(sha256.to_ascii_lowercase()),
            _ => return None,
        };
        let until = date::parsed(&text("until")?)?;
        Some(Accept { at, key, value, reason: text("reason")?, by: text("by")?, until })
    };
    positions(manifest).into_iter().filter_map(read).collect()
}

fn positions(manifest: &Manifest) -> Vec<usize> {
    let keys = manifest.section(NAME).into_iter().flat_map(|section| section.keys());
    let mut found: Vec<usize> = keys.filter_map(|key| key.split('.').next()?.parse().ok()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The value as the tenant would show it. The error is (reason, help).
fn fitting(field: &Field, value: &Json) -> Result<Json, (String, String)> {
    let noun = match value {
        Json::Null => return Ok(Json::Null),
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    };
    let refuse = |wants: &str| {
        let help = "copy the line that drift prints, or write null if the tenant has no value";
        Err((format!("this is {noun}, but the field holds {wants}"), help.to_owned()))
    };
    match (field.ty, value) {
        (Type::Bool, Json::Bool(_)) => Ok(value.clone()),
        (Type::Bool, Json::String(word)) => match word.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" => Ok(json!(true)),
            "off" | "no" | "false" => Ok(json!(false)),
            _ => refuse("true or false"),
        },
        (Type::Bool, _) => refuse("true or false"),
        (Type::Int { .. }, Json::Number(number)) if number.is_i64() => Ok(value.clone()),
        (Type::Int { .. }, _) => refuse("a whole number"),
        (Type::Set(_), Json::Array(items)) if items.iter().all(Json::is_string) => Ok(sorted(value)),
        (Type::Set(_), _) => refuse("a list of texts"),
        (Type::OneOf(words), Json::String(word)) if !words.contains(&word.as_str()) => {
            let reason = format!("the field holds {}, and no apply could send this", either(words));
            Err((reason, "mend it on the tenant, or let an apply do it".into()))
        }
        // A text can be set aside for a mapping that only the tenant has, such as a gradient for a colour.
        (_, Json::String(_) | Json::Object(_)) => Ok(value.clone()),
        _ => refuse("text"),
    }
}

/// Checks the entries: that each names a key of which a difference can be accepted, and one value of the right type.
pub(super) fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for at in positions(manifest) {
        let path = |key: &str| format!("{NAME}.{at}.{key}");
        let get = |key: &str| manifest.get(NAME, &format!("{at}.{key}"));
        for key in ["field", "sha256", "reason", "by", "until"] {
            if !matches!(get(key), None | Some(Value::Known(_) | Value::Unknown(_))) {
                let title = format!("{key} has to be a plain text");
                let reason = "every plan and every drift prints it";
                out.push(Problem::error(codes::BAD_REFERENCE, path(key), title, reason, "write it out"));
            }
        }
        match (get("value"), get("sha256")) {
            (None, None) => out.push(
                Problem::error(
                    codes::MISSING_KEY,
                    format!("{NAME}.{at}"),
                    "neither value nor sha256 is given",
                    "an entry covers the one value that the tenant has",
                    "copy the line that drift prints",
                )
                .at_key(),
            ),
            (Some(_), Some(_)) => out.push(
                Problem::error(
                    codes::CONFLICT,
                    path("sha256"),
                    "value and sha256 are both given",
                    "an entry covers one value",
                    "keep value, or sha256 for a long text",
                )
                .at_key(),
            ),
            _ => {}
        }
        let Some(key) = get("field").and_then(Value::as_str) else { continue };
        if let Some(why) = refusal(key) {
            let title = format!("a difference of {} cannot be accepted", shown(key));
            let help = "apply the manifest, or write the tenant's value into it";
            out.push(Problem::error(codes::UNSAFE, path("field"), title, why, help));
            continue;
        }
        let Some(field) = field_of(key) else {
            out.push(unknown(manifest, path("field"), key));
            continue;
        };
        if let Some(before) = first.get(key) {
            let title = format!("{} is accepted twice", shown(key));
            let reason = format!("entry {} of the list accepts it already", before + 1);
            out.push(Problem::error(codes::CONFLICT, path("field"), title, reason, "keep one of the two"));
        }
        first.entry(key.to_owned()).or_insert(at);
        if let Some(Err((reason, help))) =
            get("value").and_then(Value::known).map(|json| fitting(field, json))
        {
            let title = format!("value is no value of {}", shown(key));
            out.push(Problem::error(codes::WRONG_TYPE, path("value"), title, reason, help));
        }
        if get("sha256").is_some() && !holds_text(field) {
            let title = format!("{} has no digest", shown(key));
            let help = "write value: with the value that drift prints";
            out.push(Problem::error(codes::WRONG_TYPE, path("sha256"), title, "only a text has one", help));
        }
    }
}

fn holds_text(field: &Field) -> bool {
    matches!(field.ty, Type::Text { .. } | Type::Map { .. } | Type::OpenOneOf(_))
}

/// The problem of a name that is no key which holds a value.
fn unknown(manifest: &Manifest, path: String, key: &str) -> Problem {
    let below = format!("{key}.");
    let keys = places::keys();
    let inside: Vec<&str> =
        keys.iter().map(|(pattern, _)| pattern.as_str()).filter(|one| one.starts_with(&below)).collect();
    if !inside.is_empty() {
        let title = format!("{} holds no value itself", shown(key));
        let help = format!("name one of its keys: {}", either(&inside));
        return Problem::error(codes::UNKNOWN_KEY, path, title, "it is a mapping of further keys", help);
    }
    let written = manifest.sections.iter().filter(|(section, _)| section.as_str() != NAME);
    let written =
        written.flat_map(|(section, attrs)| attrs.keys().map(move |name| format!("{section}.{name}")));
    let fixed = keys.iter().map(|(pattern, _)| pattern.clone()).filter(|pattern| !pattern.contains('*'));
    let known: Vec<String> = fixed.chain(written).collect();
    let help = match said_by(manifest, key)
        .or_else(|| nearest(key, known.iter().map(String::as_str)).map(str::to_owned))
    {
        Some(near) => format!("did you mean {near}?"),
        None => "write the whole key, such as branding.logo_url; docs/manifest.md lists them".to_owned(),
    };
    let title = format!("there is no key {}", shown(key));
    Problem::error(codes::UNKNOWN_KEY, path, title, "no section of the manifest has it", help)
}

/// The key of a field that is named by the address of its resource, as plans do: `mfa_factor.otp.enabled`.
fn said_by(manifest: &Manifest, name: &str) -> Option<String> {
    let cuts = name.match_indices('.');
    cuts.filter_map(|(at, _)| place(manifest, &Address::from(&name[..at]), &name[at + 1..])).next()
}

/// The line that accepts a difference: an entry of the list, in YAML, that lacks only the reason and a name. `None`: no
/// entry could cover it. `there`: the tenant's value.
pub fn line(key: &str, there: Option<&Json>, today: Date) -> Option<String> {
    let there = there.unwrap_or(&Json::Null);
    let field = field_of(key).filter(|_| refusal(key).is_none())?;
    fitting(field, there).ok()?;
    let until = today.checked_add(jiff::Span::new().days(PROPOSED_DAYS)).ok()?;
    let value = match there.as_str() {
        Some(text) if compact(there) != *there => format!("sha256: \"{}\"", digest_of(text)),
        _ => format!("value: {}", yaml(there)),
    };
    let is_plain = key.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '_' | '-' | '/'));
    let key = if is_plain { key.to_owned() } else { quoted(key) };
    Some(format!("- {{ field: {key}, {value}, reason: \"\", by: \"\", until: {until} }}"))
}

/// A value as YAML on one line.
fn yaml(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", quoted(key), yaml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text in double quotes, without a character that steers the display, a reference, or a command of a CI runner.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut former = ' ';
    for ch in text.replace("${", "$${").chars() {
        let code = u32::from(ch);
        let is_none = code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code);
        match ch {
            '"' | '\\' => out.extend(['\\', ch]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '#' if former == '#' => out.push_str("\\x23"),
            _ if !(steers(ch) || is_none) => out.push(ch),
            _ if code <= 0xff => out.push_str(&format!("\\x{code:02x}")),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
        former = ch;
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::{expr, yaml};
    use super::*;

    const HOSTILE: &[&str] = &[
        "",
        "plain",
        "yes",
        "null",
        "6",
        "- a: b # c",
        "it's \"quoted\" \\ and \\n not a break",
        "two\nlines\r\nand\ta tab",
        "${env.SECRET} and $${x} and $ {",
        "}, reason: gone, by: me, until: 2199-01-01 }",
        "\u{1b}[31mred\u{7}\u{9b}\u{7f}\u{0}",
        "\u{202e}turned\u{2066}\u{200b}\u{feff}\u{2028}\u{85}",
        "##[error]x ##vso[task] ::error::y",
        "@team <b>bold</b> | pipe `fence` ```",
        "\u{1f600} \u{fffe} \u{e0001} \u{10ffff} ünïcode",
        "!tag &anchor *alias ? key: : |",
    ];

    #[test]
    fn a_line_is_yaml_that_reads_as_the_value() {
        let today: Date = "2026-11-30".parse().expect("a day");
        for text in HOSTILE {
            for value in [json!(text), json!({ *text: [text] })] {
                let line = line("branding.logo_url", Some(&value), today).expect("a line");
                assert!(!line.chars().any(steers) && !line.contains("##["), "{line:?}");
                let yaml::Node::List(items) =
                    yaml::decode(&line).unwrap_or_else(|fault| panic!("{line}: {fault:?}"))
                else {
                    panic!("{line}")
                };
                let yaml::Node::Map(entries) = &items[0] else { panic!("{line}") };
                let keys: Vec<&str> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
                assert_eq!(keys, ["field", "value", "reason", "by", "until"], "{line}");
                let is = |node: &yaml::Node| match node {
                    yaml::Node::Text(text) => match expr::parse(text).expect(&line).as_slice() {
                        [] => String::new(),
                        [expr::Piece::Text(text)] => text.clone(),
                        other => panic!("{line}: {other:?}"),
                    },
                    other => panic!("{line}: {other:?}"),
                };
                match &entries[1].1 {
                    yaml::Node::Map(inner) => {
                        let yaml::Node::List(items) = &inner[0].1 else { panic!("{line}") };
                        assert_eq!(is(&items[0]), *text, "{line}");
                    }
                    node => assert_eq!(is(node), *text, "{line}"),
                }
            }
        }
    }

    #[test]
    fn a_long_text_is_named_by_its_digest_and_a_refused_key_has_no_line() {
        let today: Date = "2026-11-30".parse().expect("a day");
        let long = json!("x".repeat(257));
        let shown = line("phone.templates.otp_verify.text", Some(&long), today).expect("a line");
        assert!(shown.starts_with("- { field: phone.templates.otp_verify.text, sha256: \""), "{shown}");
        assert!(shown.ends_with("\", reason: \"\", by: \"\", until: 2026-12-30 }"), "{shown}");
        assert_eq!(line("action.code", Some(&long), today), None);
        assert_eq!(line("action.secrets.ANY.NAME", Some(&json!("x")), today), None);
        assert_eq!(line("log_streams.http.siem.status", Some(&json!("suspended")), today), None);
        let shown = line("log_streams.http.my siem.name", None, today).expect("a line");
        assert!(shown.starts_with("- { field: \"log_streams.http.my siem.name\", value: null, "), "{shown}");
    }
}

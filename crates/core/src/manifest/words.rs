//! Finds the word that is meant by an unknown one: another spelling, the API's own name, or a name that others use.

use crate::diag::nearest;
use crate::model::field::Field;

/// Longer words are not looked at.
const WORD_MAX_CHARS: usize = 60;

/// What people write, and our word for it. A row counts only where our word is possible.
const SYNONYMS: &[(&str, &str)] = &[
    ("actions", "action"),
    ("all", "always"),
    ("all-applications", "always"),
    ("authenticator", "otp"),
    ("call", "voice"),
    ("calls", "voice"),
    ("confidence-score", "adaptive"),
    ("country", "countries"),
    ("disabled", "off"),
    ("disabled", "paused"),
    ("enabled", "active"),
    ("enabled", "on"),
    ("function", "feedback"),
    ("headers", "custom_headers"),
    ("host", "domain"),
    ("inactive", "paused"),
    ("key", "api_key"),
    ("log_stream", "feedback"),
    ("logs", "log_stream"),
    ("modules", "dependencies"),
    ("name", "friendly_name"),
    ("name", "stack"),
    ("node", "runtime"),
    ("packages", "dependencies"),
    ("phone", "sms"),
    ("push", "push_notification"),
    ("recovery", "recovery_code"),
    ("required", "always"),
    ("secret", "api_secret"),
    ("secret", "client_secret"),
    ("service", "verify_service"),
    ("service_sid", "sid"),
    ("sms", "phone"),
    ("stream", "log_stream"),
    ("suspended", "paused"),
    ("tenant", "domain"),
    ("text", "sms"),
    ("token", "auth_token"),
    ("totp", "otp"),
    ("url", "domain"),
    ("url", "endpoint"),
    ("verify", "verify_service"),
    ("version", "lockstep"),
    ("webauthn", "webauthn_roaming"),
    ("webhook", "endpoint"),
];

/// The word without case and without the marks between its parts, in which spellings differ.
fn folded(word: &str) -> String {
    word.chars().filter(|ch| !matches!(ch, '_' | '-' | ' ' | '.')).flat_map(char::to_lowercase).collect()
}

/// The word of a list that is probably meant, if one is near enough.
pub fn meant<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.chars().count() > WORD_MAX_CHARS {
        return None;
    }
    let own = folded(word);
    let same = candidates.iter().copied().find(|candidate| folded(candidate) == own);
    let called = || {
        let rows = SYNONYMS.iter().filter(|(said, _)| folded(said) == own);
        rows.filter_map(|(_, meant)| candidates.iter().copied().find(|known| known == meant)).next()
    };
    same.or_else(called)
        .or_else(|| nearest(word, candidates.iter().copied()))
        .or_else(|| part(word, candidates))
}

/// The key that is probably meant. The API's own name of a field counts as its key.
pub fn meant_key<'a>(word: &str, fields: &'a [Field], inner: &[&'a str]) -> Option<&'a str> {
    let own = folded(word);
    let on_the_wire = |field: &&Field| {
        !field.wire.is_empty() && [field.wire, last(field.wire)].iter().any(|wire| folded(wire) == own)
    };
    let keys: Vec<&str> = fields.iter().map(|field| field.key).chain(inner.iter().copied()).collect();
    let wire = fields.iter().find(on_the_wire).map(|field| field.key);
    wire.filter(|_| word.chars().count() <= WORD_MAX_CHARS).or_else(|| meant(word, &keys))
}

fn last(path: &str) -> &str {
    path.rsplit(['.', '/']).next().unwrap_or(path)
}

/// The candidate of which the word is a part, if there is only one: `friendly_name` for `name`.
fn part<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let has = |candidate: &&&str| word.len() > 2 && candidate.split(['_', '-']).any(|part| part == word);
    let mut found = candidates.iter().filter(has);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_a_thing_are_understood() {
        use crate::model::field::FIELD;
        let fields = [
            Field { key: "friendly_name", ..FIELD },
            Field { key: "otp_length", wire: "CodeLength", ..FIELD },
            Field { key: "endpoint", wire: "sink.httpEndpoint", ..FIELD },
            Field { key: "phone", ..FIELD },
        ];
        let rows = [
            ("name", Some("friendly_name")),
            ("friendlyName", Some("friendly_name")),
            ("FriendlyName", Some("friendly_name")),
            ("friendly-name", Some("friendly_name")),
            ("codeLength", Some("otp_length")),
            ("code_length", Some("otp_length")),
            ("http_endpoint", Some("endpoint")),
            ("sms", Some("phone")),
            ("action", Some("action")),
            ("colour", None),
            ("", None),
        ];
        for (word, expected) in rows {
            assert_eq!(meant_key(word, &fields, &["action"]), expected, "{word}");
        }
        assert_eq!(meant("all-applications", &["always", "never"]), Some("always"));
        assert_eq!(meant("length", &["code_length", "otp_length"]), None, "two are possible");
    }
}

//! Finds what looks like a key or a token in source code.

use crate::manifest::looks_like_a_credential;

/// The lines (from 1) of code that hold what looks like a key or a token.
pub fn suspects(code: &str) -> Vec<usize> {
    let is_one = |line: &str| {
        line.contains("-----BEGIN ") || words(line).any(looks_like_a_credential) || is_assigned(line)
    };
    code.lines().enumerate().filter(|(_, line)| is_one(line)).map(|(at, _)| at + 1).collect()
}

/// Runs of the characters that keys and tokens consist of.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|ch: char| !ch.is_ascii_alphanumeric() && !"+/=_-.".contains(ch))
        .filter(|word| !word.is_empty())
}

/// Names of what holds a secret, in small letters without `_` and `-`.
const NAMES: [&str; 6] = ["secret", "token", "password", "passwd", "apikey", "authorization"];

/// Whether a text in quotes is given to a name that says that it is a secret.
fn is_assigned(line: &str) -> bool {
    let places = line.char_indices().filter(|(_, ch)| matches!(ch, '=' | ':'));
    places.into_iter().any(|(at, _)| {
        let name: String = line[..at].chars().filter(|ch| !matches!(ch, '_' | '-')).collect();
        let name = name.trim_end_matches([' ', '"', '\'']).to_ascii_lowercase();
        let value = line[at + 1..].trim_start();
        let quote = value.chars().next().filter(|ch| matches!(ch, '\'' | '"' | '`'));
        let text = quote.and_then(|quote| value[1..].split(quote).next()).unwrap_or_default();
        let is_literal = text.len() >= 8 && !text.contains(char::is_whitespace) && !text.contains("${");
        is_literal && NAMES.iter().any(|one| name.ends_with(one))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_found_and_code_is_not() {
        for line in [
            "const KEY = 'SK0123456789abcdef0123456789abcdef';",
            "client('AC1', '0a1b2c3d4e5f60718293a4b5c6d7e8f9')",
            "headers: { Authorization: 'hunter2-in-clear' }",
            "const API_SECRET = \"correct-horse\";",
            "-----BEGIN PRIVATE KEY-----",
            "fetch(url, 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N')",
        ] {
            assert_eq!(suspects(line), [1], "{line}");
        }
        for name in crate::builtin::NAMES {
            assert_eq!(
                suspects(crate::builtin::source(name).expect("source")),
                Vec::<usize>::new(),
                "{name}"
            );
        }
        for line in [
            "const sid = 'VA0123456789abcdef0123456789abcdef';",
            "exports.onExecuteCustomPhoneProvider = async (event, api) => {};",
            "const token = event.secrets.TWILIO_AUTH_TOKEN;",
            "require('@twilio/runtime-handler'); // 2026-11-20T00:00:00.000Z",
            "const secret = process.env.TOKEN;",
            "https://acme-feedback.example/auth0-logs/v2/2026",
        ] {
            assert_eq!(suspects(line), Vec::<usize>::new(), "{line}");
        }
    }
}

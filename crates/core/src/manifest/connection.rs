//! The sections that every manifest has: the root, and how to reach the two vendors.

use super::accept;
use super::check::Checked;
use super::source::{Report, Source, wrong};
use crate::diag::codes;
use crate::model::field::{FIELD, Field, Section, Type, form};

/// Longest name of a stack: it becomes a part of display names, which have to stay readable in the dashboards.
const STACK_MAX: usize = 40;

const HOST_NAME: &str = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$";

const ONE_WORD: &str = r"^\S*$";

/// The version and the name of the stack.
pub const ROOT: Section = Section {
    path: "",
    doc: "One manifest describes one stack.",
    required: true,
    fields: &[
        Field {
            key: "lockstep",
            ty: Type::OneOf(&["v1"]),
            required: true,
            doc: "version of the manifest, v1",
            ..FIELD
        },
        Field {
            key: "stack",
            ty: Type::Text { min: 1, max: STACK_MAX, check: form("^[a-z][a-z0-9-]*$", stack_name) },
            required: true,
            doc: "name of the stack, unique in the tenant",
            ..FIELD
        },
        accept::FIELDS,
    ],
};

/// How to reach the Auth0 tenant: a machine-to-machine application with a client secret or a private key.
pub const AUTH0: Section = Section {
    path: "auth0",
    doc: "the tenant and the application that manages it",
    required: true,
    fields: &[
        Field {
            key: "domain",
            ty: Type::Text { min: 1, max: 253, check: form(HOST_NAME, host_name) },
            required: true,
            doc: "canonical domain of the tenant, such as acme.eu.auth0.com",
            ..FIELD
        },
        Field {
            key: "client_id",
            ty: Type::Text { min: 1, max: 128, check: form(ONE_WORD, one_word) },
            required: true,
            doc: "client id of the application",
            ..FIELD
        },
        Field {
            key: "client_secret",
            ty: Type::Text { min: 1, max: 4096, check: form(ONE_WORD, one_word) },
            secret: true,
            doc: "client secret; or private_key",
            ..FIELD
        },
        Field {
            key: "private_key",
            ty: Type::Text { min: 1, max: 32768, check: form("", pem) },
            secret: true,
            lines: true,
            doc: "private key in PEM for a signed assertion; or client_secret",
            ..FIELD
        },
        Field {
            key: "private_key_algorithm",
            ty: Type::OneOf(&["RS256", "RS384", "PS256"]),
            default: Some("RS256"),
            doc: "signature of the assertion",
            ..FIELD
        },
        Field {
            key: "key_id",
            ty: Type::Text { min: 1, max: 256, check: form(ONE_WORD, one_word) },
            doc: "key id in the assertion's header",
            ..FIELD
        },
        Field {
            key: "audience",
            ty: Type::Text { min: 1, max: 2048, check: form(ONE_WORD, one_word) },
            doc: "audience of the token, when it is not https://DOMAIN/api/v2/",
            ..FIELD
        },
    ],
};

/// How to reach the Twilio account: an API key with its secret, or the auth token.
pub const TWILIO: Section = Section {
    path: "twilio",
    doc: "the account and a key to it",
    required: true,
    fields: &[
        Field {
            key: "account_sid",
            ty: Type::Text { min: 1, max: 34, check: form("^AC[0-9a-f]{32}$", account_sid) },
            required: true,
            doc: "SID of the account, AC and 32 hexadecimal digits",
            ..FIELD
        },
        Field {
            key: "api_key",
            ty: Type::Text { min: 1, max: 34, check: form("^SK[0-9a-f]{32}$", key_sid) },
            doc: "SID of an API key, SK and 32 hexadecimal digits",
            ..FIELD
        },
        Field {
            key: "api_secret",
            ty: Type::Text { min: 1, max: 256, check: form(ONE_WORD, one_word) },
            secret: true,
            doc: "secret of the API key",
            ..FIELD
        },
        Field {
            key: "auth_token",
            ty: Type::Text { min: 1, max: 256, check: form(ONE_WORD, one_word) },
            secret: true,
            doc: "auth token of the account; or api_key and api_secret",
            ..FIELD
        },
    ],
};

/// The two ways to log in to each vendor; exactly one of them has to be there.
pub(super) const WAYS: &[(&str, [&[&str]; 2])] = &[
    (AUTH0.path, [&["client_secret"], &["private_key"]]),
    (TWILIO.path, [&["api_key", "api_secret"], &["auth_token"]]),
];

/// Whether a section says how to connect. Its values are needed before the first request.
pub fn is_connection(section: &str) -> bool {
    section == AUTH0.path || section == TWILIO.path
}

/// Whether a field holds a value that only a machine makes, wherever it comes from: Twilio generates its two
/// credentials, which cannot be chosen, and nobody types a private key.
pub fn is_machine_made(section: &str, key: &str) -> bool {
    section == TWILIO.path && matches!(key, "api_secret" | "auth_token")
        || section == AUTH0.path && key == "private_key"
}

/// Checks that there is exactly one way to log in to each vendor.
pub(super) fn check(checked: &Checked, report: &mut Report<'_>) {
    let has = |section: &str, key: &str| {
        checked.leaves.iter().any(|leaf| leaf.section == section && leaf.key == key)
    };
    let source = report.source;
    let mut ways = |section: &str, ways: [&[&str]; 2]| {
        if !checked.present.contains(section) {
            return;
        }
        let names = |key: &str| [section.to_owned(), key.to_owned()];
        let used: Vec<&[&str]> = ways
            .into_iter()
            .filter(|keys| keys.iter().any(|key| has(section, key) || wrote(source, &names(key))))
            .collect();
        match used.as_slice() {
            [] => {
                let title = format!("{section} has no credentials");
                let reason = "without them no request can be made";
                let help = format!("add {}, or {}", ways[0].join(" and "), ways[1].join(" and "));
                report.key(&[section.to_owned()], wrong(codes::MISSING_KEY, title, reason, help));
            }
            [keys] => {
                for key in keys.iter().filter(|key| !has(section, key) && !wrote(source, &names(key))) {
                    let title = format!("{} is missing", key);
                    let others: Vec<_> = keys.iter().filter(|other| *other != key).copied().collect();
                    let reason = format!("{} does not work without {key}", others.join(" and "));
                    let help = format!("add {key}: below {section}:");
                    report.key(&names(key), wrong(codes::MISSING_KEY, title, reason, help));
                }
            }
            // The section itself is of another type, which is reported.
            all if !all.iter().any(|keys| keys.iter().any(|key| wrote(source, &names(key)))) => {}
            [first, .., last] => {
                let title = format!("{section} has two kinds of credentials");
                let reason = format!("{} is there too", first[0]);
                let help = format!("keep {}, or {}", first.join(" and "), last.join(" and "));
                report.key(&names(last[last.len() - 1]), wrong(codes::CONFLICT, title, reason, help));
            }
        }
    };
    for (section, both) in WAYS {
        ways(section, *both);
    }
}

/// Whether the key is in the text. Its value may have been refused and reported already.
fn wrote(source: &Source, names: &[String]) -> bool {
    source.spans().get(names).is_some()
}

/// Result of a check of a text: the error is (reason, help).
pub(crate) type Answer = Result<(), (String, String)>;

pub(crate) fn refuse(reason: &str, help: &str) -> Answer {
    Err((reason.to_owned(), help.to_owned()))
}

/// A stack's name: lower-case letters, digits and hyphens, a letter first.
pub(crate) fn stack_name(text: &str) -> Answer {
    let allowed = |ch: char| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '-';
    if text.starts_with(|ch: char| ch.is_ascii_lowercase()) && text.chars().all(allowed) {
        Ok(())
    } else {
        refuse("must be lower-case letters, digits and -, a letter first", "use a name such as acme-login")
    }
}

/// A host name as the vendors write it. No message repeats the text, which may come from the environment.
pub fn host_name(text: &str) -> Answer {
    let help = "write the bare host name, such as acme.eu.auth0.com";
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if text.contains("://") {
        refuse("must be a host name without a scheme", help)
    } else if text.contains('/') {
        refuse("must be a host name without a path", help)
    } else if text.contains(char::is_whitespace) {
        refuse("has white space in it", help)
    } else if text.contains(|ch: char| ch.is_ascii_uppercase()) {
        refuse("must be in lower case", help)
    } else if text.contains('.') && text.split('.').all(label) {
        Ok(())
    } else {
        refuse("is not a host name", help)
    }
}

/// A text that goes into a header or a form unchanged: no white space, no control characters.
fn one_word(text: &str) -> Answer {
    if text.contains(|ch: char| ch.is_whitespace() || ch.is_control()) {
        refuse("has white space or a line break in it", "copy the value again, without blanks around it")
    } else {
        Ok(())
    }
}

/// Whether a text stands between the two marker lines of PEM.
pub(super) fn is_pem(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("-----BEGIN ")
        && text.lines().next_back().is_some_and(|line| line.starts_with("-----END "))
}

fn pem(text: &str) -> Answer {
    let is_key = text.trim().lines().next().is_some_and(|line| line.contains("PRIVATE KEY-----"));
    if is_key && is_pem(text) {
        Ok(())
    } else {
        refuse("is not a private key in PEM", "use the whole file, from -----BEGIN to -----END")
    }
}

fn sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == 32
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

pub(crate) fn account_sid(text: &str) -> Answer {
    if sid(text, "AC") {
        Ok(())
    } else {
        refuse("must be AC and 32 hexadecimal digits", "copy the Account SID from the Twilio Console")
    }
}

fn key_sid(text: &str) -> Answer {
    if sid(text, "SK") {
        Ok(())
    } else {
        refuse("must be SK and 32 hexadecimal digits", "copy the SID of the API key, not its name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::Test;

    #[test]
    fn checks_of_texts() {
        let hex = "0123456789abcdef0123456789abcdef";
        let rows: &[(Test, String, bool)] = &[
            (stack_name, "acme-login2".into(), true),
            (stack_name, "2acme".into(), false),
            (stack_name, "Acme".into(), false),
            (host_name, "acme.eu.auth0.com".into(), true),
            (host_name, "https://acme.auth0.com".into(), false),
            (host_name, "acme.auth0.com/".into(), false),
            (host_name, "Acme.auth0.com".into(), false),
            (host_name, "localhost".into(), false),
            (host_name, "acme..com".into(), false),
            (account_sid, format!("AC{hex}"), true),
            (account_sid, format!("SK{hex}"), false),
            (key_sid, format!("SK{hex}"), true),
            (key_sid, format!("SK{}", hex.to_uppercase()), false),
            (pem, "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n".into(), true),
            (pem, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----".into(), false),
            (one_word, "token\n".into(), false),
        ];
        for (check, text, good) in rows {
            assert_eq!(check(text).is_ok(), *good, "{text}");
        }
    }
}

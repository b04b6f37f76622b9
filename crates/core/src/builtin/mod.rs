//! The JavaScript that ships with the program.

/// The Actions that send codes differ in how they speak to Twilio and in the trigger that they are for.
macro_rules! sender {
    ($way:literal, $trigger:literal) => {
        concat!(
            include_str!("twilio-verify.head.js"),
            include_str!($way),
            include_str!("twilio-verify.core.js"),
            include_str!($trigger)
        )
    };
}

/// Source of a built-in, by the name after `builtin:`. `None`: there is no such built-in.
pub fn source(name: &str) -> Option<&'static str> {
    match name {
        "twilio-verify" => Some(sender!("twilio-verify.helper.js", "twilio-verify.unified.js")),
        "twilio-verify-legacy" => Some(sender!("twilio-verify.helper.js", "twilio-verify.legacy.js")),
        "twilio-verify-fetch" => Some(sender!("twilio-verify.fetch.js", "twilio-verify.unified.js")),
        "twilio-verify-fetch-legacy" => Some(sender!("twilio-verify.fetch.js", "twilio-verify.legacy.js")),
        "verify-feedback" => Some(include_str!("verify-feedback.js")),
        "login-feedback" => Some(include_str!("login-feedback.js")),
        "mfa-post-login" => Some(include_str!("mfa-post-login.js")),
        _ => None,
    }
}

/// All names that [`source`] knows.
pub const NAMES: [&str; 7] = [
    "twilio-verify",
    "twilio-verify-legacy",
    "twilio-verify-fetch",
    "twilio-verify-fetch-legacy",
    "verify-feedback",
    "login-feedback",
    "mfa-post-login",
];

/// The Actions that send codes: for the unified phone experience, and what stands for it in the legacy set-up.
const SENDERS: [(&str, &str); 2] =
    [("twilio-verify", "twilio-verify-legacy"), ("twilio-verify-fetch", "twilio-verify-fetch-legacy")];

/// What stands for a shipped source in the legacy phone set-up. `None`: nothing does, or it is not a shipped one.
pub fn legacy_of(text: &str) -> Option<&'static str> {
    let (_, legacy) = SENDERS.iter().find(|(unified, _)| source(unified) == Some(text))?;
    source(legacy)
}

/// Whether a text equals one of the shipped sources.
pub fn ships(text: &str) -> bool {
    NAMES.iter().any(|name| source(name) == Some(text))
}

/// A value that built-in code reads and that only Twilio can create.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Name of the secret. For the Function: the key in the manifest.
    pub name: &'static str,
    /// First letters of the SID; empty for a secret that is not a SID.
    pub prefix: &'static str,
    /// Whether a byte may be one of the 32 characters after the prefix ("Twilio docs, API keys" and "auth token",
    /// 2026-04).
    is_drawn: fn(&u8) -> bool,
}

impl Reads {
    /// Whether a value has the form that Twilio gives it.
    fn fits(&self, value: &str) -> bool {
        let rest = value.strip_prefix(self.prefix);
        rest.is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| (self.is_drawn)(&byte)))
    }
}

/// The values that the sending Actions read. The API key with its secret or the auth token is enough; a complete key
/// takes precedence.
pub const SENDER_READS: [Reads; 5] = [
    Reads { name: "TWILIO_ACCOUNT_SID", prefix: "AC", is_drawn: u8::is_ascii_hexdigit },
    Reads { name: "TWILIO_VERIFY_SID", prefix: "VA", is_drawn: u8::is_ascii_hexdigit },
    Reads { name: "TWILIO_API_KEY", prefix: "SK", is_drawn: u8::is_ascii_hexdigit },
    Reads { name: "TWILIO_API_SECRET", prefix: "", is_drawn: u8::is_ascii_alphanumeric },
    Reads { name: "TWILIO_AUTH_TOKEN", prefix: "", is_drawn: u8::is_ascii_hexdigit },
];

/// The manifest's values for the code that gives feedback.
const RECEIVER_READS: [Reads; 2] = [
    Reads { name: "api_key", prefix: "SK", is_drawn: u8::is_ascii_hexdigit },
    Reads { name: "api_secret", prefix: "", is_drawn: u8::is_ascii_alphanumeric },
];

/// Whether built-in code reads a value of that name, and the value has the form that Twilio gives it. A value of
/// another form would not work with that code, so a value of this form was not chosen by a person.
pub fn is_drawn(code: &str, name: &str, value: &str) -> bool {
    let reads: &[Reads] = match code {
        _ if is_sender(code) => &SENDER_READS,
        "verify-feedback" | "login-feedback" => &RECEIVER_READS,
        _ => &[],
    };
    reads.iter().any(|reads| reads.name == name && reads.fits(value))
}

fn is_sender(name: &str) -> bool {
    SENDERS.iter().any(|(unified, legacy)| [unified, legacy].contains(&&name))
}

/// Whether a text is one of the Actions that send codes.
pub fn sends(text: &str) -> bool {
    NAMES.iter().any(|name| is_sender(name) && source(name) == Some(text))
}

/// Whether one of the sources exports a handler of this name.
pub fn exports(text: &str, handler: &str) -> bool {
    text.contains(&format!("\nexports.{handler} = "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_twilio_draws_is_known_by_who_reads_it_and_by_its_form() {
        let (drawn, hex) = ("0123456789abcdefGHIJKLMNopqrstuv", "0123456789abcdef0123456789abcdef");
        let sid = |prefix: &str| format!("{prefix}{hex}");
        let rows = [
            ("twilio-verify", "TWILIO_API_SECRET", drawn.to_owned(), true),
            ("twilio-verify-legacy", "TWILIO_API_SECRET", drawn.to_owned(), true),
            ("twilio-verify", "TWILIO_AUTH_TOKEN", hex.to_owned(), true),
            ("twilio-verify", "TWILIO_API_KEY", sid("SK"), true),
            ("twilio-verify", "TWILIO_VERIFY_SID", sid("VA"), true),
            ("twilio-verify-fetch", "TWILIO_API_SECRET", drawn.to_owned(), true),
            ("twilio-verify-fetch-legacy", "TWILIO_API_SECRET", drawn.to_owned(), true),
            ("verify-feedback", "api_secret", drawn.to_owned(), true),
            ("verify-feedback", "api_key", sid("SK"), true),
            ("login-feedback", "api_secret", drawn.to_owned(), true),
            ("twilio-verify", "TWILIO_API_SECRET", "correct horse battery".to_owned(), false),
            ("twilio-verify", "TWILIO_API_SECRET", drawn.replace('u', "-"), false),
            ("twilio-verify", "TWILIO_API_SECRET", format!("{drawn}x"), false),
            ("twilio-verify", "TWILIO_AUTH_TOKEN", drawn.to_owned(), false),
            ("twilio-verify", "TWILIO_API_KEY", sid("AC"), false),
            ("twilio-verify", "HOOK_PASSWORD", drawn.to_owned(), false),
            ("mfa-post-login", "TWILIO_API_SECRET", drawn.to_owned(), false),
            ("own.js", "TWILIO_API_SECRET", drawn.to_owned(), false),
        ];
        for (code, name, value, drawn) in rows {
            assert_eq!(is_drawn(code, name, &value), drawn, "{code} {name} {value}");
        }
    }
}

//! The JavaScript that ships with the program.

/// Source of a built-in by its name after `builtin:`.
pub fn source(name: &str) -> Option<&'static str> {
    match name {
        "twilio-verify" => {
            Some(concat!(include_str!("twilio-verify.core.js"), include_str!("twilio-verify.unified.js")))
        }
        "twilio-verify-legacy" => {
            Some(concat!(include_str!("twilio-verify.core.js"), include_str!("twilio-verify.legacy.js")))
        }
        "verify-feedback" => Some(include_str!("verify-feedback.js")),
        "mfa-post-login" => Some(include_str!("mfa-post-login.js")),
        _ => None,
    }
}

/// All names of [`source`].
pub const NAMES: [&str; 4] = ["twilio-verify", "twilio-verify-legacy", "verify-feedback", "mfa-post-login"];

/// Whether a text is one of the sources as it ships.
pub fn ships(text: &str) -> bool {
    NAMES.iter().any(|name| source(name) == Some(text))
}

/// A secret that a built-in Action reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    pub name: &'static str,
    /// First letters of the SID that it has to be; empty for a secret without such a form.
    pub prefix: &'static str,
}

/// What the sending Actions read. Either the key with its secret or the token is enough, and a whole key wins.
pub const SENDER_READS: [Reads; 5] = [
    Reads { name: "TWILIO_ACCOUNT_SID", prefix: "AC" },
    Reads { name: "TWILIO_VERIFY_SID", prefix: "VA" },
    Reads { name: "TWILIO_API_KEY", prefix: "SK" },
    Reads { name: "TWILIO_API_SECRET", prefix: "" },
    Reads { name: "TWILIO_AUTH_TOKEN", prefix: "" },
];

/// Whether a text is one of the Actions that send codes.
pub fn sends(text: &str) -> bool {
    ["twilio-verify", "twilio-verify-legacy"].iter().any(|name| source(name) == Some(text))
}

/// Whether one of the sources exports a handler of this name.
pub fn exports(text: &str, handler: &str) -> bool {
    text.contains(&format!("\nexports.{handler} = "))
}

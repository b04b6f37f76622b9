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

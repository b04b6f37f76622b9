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

//! The JavaScript that ships with the program.

/// Source of a built-in by its name after `builtin:`.
pub fn source(name: &str) -> Option<&'static str> {
    match name {
        "twilio-verify" => Some(include_str!("twilio-verify.js")),
        _ => None,
    }
}

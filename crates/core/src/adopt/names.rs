//! Names that are made here: of the stack and of variables. None of them is a name of the tenant as it is.

use crate::model::text::steers;

/// Longest name of a stack.
const STACK_MAX: usize = 40;

/// A name for the stack, of the first part of the tenant's domain.
pub fn stack(tenant: &str) -> String {
    let first = tenant.split('.').next().unwrap_or_default();
    let fits = |ch: &char| ch.is_ascii_alphanumeric() || *ch == '-';
    let name: String = first.chars().filter(fits).take(STACK_MAX).collect();
    if name.is_empty() { "adopted".into() } else { name }
}

/// Whether a manifest can have that name of a stack.
pub fn is_stack(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= STACK_MAX && !name.chars().any(steers)
}

/// Keys whose variables have the names of the other manifests that ship with the program.
const KNOWN: [(&str, &str); 6] = [
    ("action.secrets.TWILIO_API_KEY", "TWILIO_SENDER_KEY"),
    ("action.secrets.TWILIO_API_SECRET", "TWILIO_SENDER_SECRET"),
    ("action.secrets.TWILIO_AUTH_TOKEN", "TWILIO_SENDER_TOKEN"),
    ("feedback.function.api_key", "TWILIO_FEEDBACK_KEY"),
    ("feedback.function.api_secret", "TWILIO_FEEDBACK_SECRET"),
    ("feedback.log_stream.authorization", "FEEDBACK_SECRET"),
];

/// The variable for the secret of a key. It begins with the section, so that no secret of the tenant can have the name of
/// a variable that other programs read.
pub fn variable(path: &[String]) -> String {
    let key = path.join(".");
    if let Some((_, name)) = KNOWN.iter().find(|(known, _)| *known == key) {
        return (*name).to_owned();
    }
    let parts: Vec<&str> = path
        .iter()
        .map(String::as_str)
        .filter(|part| {
            !["secrets", "variables", "custom_headers", "http", "log_stream", "function"].contains(part)
        })
        .collect();
    let plain = |ch: char| if ch.is_ascii_alphanumeric() { ch.to_ascii_uppercase() } else { '_' };
    parts.join("_").chars().map(plain).take(120).collect()
}

/// What the value of a secret is by its name. The value itself cannot be read.
pub fn reference(path: &[String]) -> Option<&'static str> {
    match path {
        [section, map, name] if section == "action" && map == "secrets" => match name.as_str() {
            "TWILIO_ACCOUNT_SID" => Some("twilio.account_sid"),
            "TWILIO_VERIFY_SID"
            | "VERIFY_SID"
            | "VERIFY_SERVICE_SID"
            | "TWILIO_VERIFY_SERVICE_SID"
            | "TWILIO_VERIFY_SERVICE" => Some("verify_service.sid"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_names_that_nothing_else_has() {
        let of = |key: &[&str]| variable(&key.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["action", "secrets", "PATH"]), "ACTION_PATH");
        assert_eq!(of(&["action", "secrets", "a\nb${c}"]), "ACTION_A_B__C_");
        assert_eq!(of(&["log_streams", "http", "siem", "authorization"]), "LOG_STREAMS_SIEM_AUTHORIZATION");
        assert_eq!(of(&["feedback", "log_stream", "custom_headers", "X-Acme"]), "FEEDBACK_X_ACME");
        assert_eq!(stack("acme-dev.eu.auth0.com"), "acme-dev");
        assert_eq!(stack("..."), "adopted");
    }
}

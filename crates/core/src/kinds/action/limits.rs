//! Auth0's limits on the secrets of an Action ("Auth0 docs, Actions limitations", 2026-08). They are checked before
//! anything is sent: beyond a limit, Auth0 would refuse the write in the middle of an apply.

use crate::diag::{Problem, codes};
use crate::model::value::{Attrs, Part, Value};

/// Longest name of a secret, in characters.
const NAME_MAX: usize = 128;
/// Longest value of a secret, in characters.
const VALUE_MAX: usize = 4096;

/// Checks the names and values of a section's secrets. The section's table limits their number.
pub(super) fn check(section: &str, attrs: &Attrs, out: &mut Vec<Problem>) {
    for (key, value) in attrs {
        let Some(name) = key.strip_prefix("secrets.") else { continue };
        let place = format!("{section}.{key}");
        let length = name.chars().count();
        if length > NAME_MAX {
            let reason = format!("has {length} characters, Auth0 takes {NAME_MAX} at most");
            let title = "the name of the secret is too long";
            out.push(
                Problem::error(codes::OUT_OF_RANGE, &place, title, reason, "choose a shorter name").at_key(),
            );
        }
        if let Some(length) = length_of(value).filter(|length| *length > VALUE_MAX) {
            let reason = format!("has {length} characters, Auth0 takes {VALUE_MAX} at most");
            let help = "use a shorter value, or spread it over several secrets that the code puts together";
            out.push(Problem::error(codes::OUT_OF_RANGE, &place, "the secret is too long", reason, help));
        }
    }
}

/// Number of characters in a value. Of a value with references, only its own text is counted. The value is a secret, so
/// only its length is told. `None`: the value is not known yet.
fn length_of(value: &Value) -> Option<usize> {
    match value {
        Value::Secret(secret) => Some(secret.expose().chars().count()),
        Value::Known(json) => Some(json.as_str()?.chars().count()),
        Value::Output(template) => Some(template.parts.iter().map(length_of_part).sum()),
        _ => None,
    }
}

fn length_of_part(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.chars().count(),
        Part::Output(_) => 0,
    }
}

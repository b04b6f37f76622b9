//! Whether one scalar or list fits the type of its field.

use serde_json::Value as Json;

use super::expr::{self, Piece};
use super::source::{Wrong, shown, wrong};
use super::words::meant;
use super::yaml::{Node, needs_quotes};
use crate::diag::{Severity, codes};
use crate::model::field::{Field, Type};

/// The plain data of a literal, with a warning if there is one. The error never repeats the text of a secret.
pub fn from_node(key: &str, ty: &Type, node: &Node, secret: bool) -> Result<(Json, Option<Wrong>), Wrong> {
    match (ty, node) {
        _ if lacks_quotes(ty, node) => {
            let help = match node {
                Node::Int(number) if !secret => format!("put it in quotes: \"{number}\""),
                Node::Bool(value) if !secret => format!("put it in quotes: \"{value}\""),
                _ => "put it in quotes: \"…\"".to_owned(),
            };
            Err(wrong_type(key, format!("YAML reads this as {}, but text is needed", node.noun()), help))
        }
        (Type::Int { min, max }, Node::Int(number)) => int(key, *min, *max, *number).map(|json| (json, None)),
        (Type::Int { min, max }, Node::Float(number)) if is_huge(*number) => Err(outside(key, *min, *max)),
        // YAML takes 010 for a text, even without quotes.
        (Type::Int { .. }, Node::Text(text)) if text.starts_with('0') && text.parse::<i64>().is_ok() => {
            let number = text.trim_start_matches('0');
            let help = format!("write {}", if number.is_empty() { "0" } else { number });
            Err(wrong_type(key, "this is text, since no number begins with 0", help))
        }
        (Type::Int { .. }, Node::Text(text)) if text.parse::<i64>().is_ok() => {
            Err(wrong_type(key, "this is text, but a number is needed", "write the number without quotes"))
        }
        (Type::Bool, Node::Bool(value)) => Ok((Json::Bool(*value), None)),
        (Type::Any, node) => plain(key, node).map(|json| (json, None)),
        // A word of a list may look like a number or a truth value to YAML: `30`, `true`.
        (Type::OneOf(_) | Type::OpenOneOf(_) | Type::Release(_), Node::Bool(value)) => {
            from_text(key, ty, &value.to_string(), true)
        }
        (Type::OneOf(_) | Type::OpenOneOf(_) | Type::Release(_), Node::Int(value)) => {
            from_text(key, ty, &value.to_string(), true)
        }
        (Type::Set(words), _) => {
            let own = match node {
                Node::Text(text) if !secret && meant(text, words) == Some(text) => format!("[{text}]"),
                _ => example(ty),
            };
            let reason = format!("this is {}, but a list is needed", node.noun());
            Err(wrong_type(key, reason, format!("write {}: {own}", shown(key))))
        }
        (_, Node::Text(text)) => from_text(key, ty, text, !secret),
        (_, _) => Err(wrong_type(
            key,
            format!("this is {}, but {} is needed", node.noun(), needed(ty)),
            format!("write {}", example(ty)),
        )),
    }
}

/// Whether YAML reads the text of such a field as a number or a truth value, because the quotes are missing.
pub fn lacks_quotes(ty: &Type, node: &Node) -> bool {
    let is_text = matches!(ty, Type::Text { .. } | Type::Map { .. } | Type::Code);
    is_text && matches!(node, Node::Bool(_) | Node::Int(_) | Node::Float(_))
}

/// A literal of any type as plain data. `$${` is a plain `${`, as in a text; a reference may only be the whole value.
fn plain(key: &str, node: &Node) -> Result<Json, Wrong> {
    match node {
        Node::Null => Ok(Json::Null),
        Node::Bool(value) => Ok(Json::Bool(*value)),
        Node::Int(number) => Ok(Json::from(*number)),
        Node::Float(number) => Ok(Json::from(*number)),
        Node::Text(text) => Ok(Json::String(text.clone())),
        Node::List(items) => items.iter().map(|item| inner(key, item)).collect(),
        Node::Map(entries) => entries
            .iter()
            .map(|(name, node)| Ok((name.text.clone(), inner(key, node)?)))
            .collect::<Result<_, _>>()
            .map(Json::Object),
    }
}

/// An item of a list, or a value in a mapping.
fn inner(key: &str, node: &Node) -> Result<Json, Wrong> {
    let Node::Text(text) = node else { return plain(key, node) };
    let refused = || {
        let title = format!("{} holds a reference inside a list or a mapping", shown(key));
        wrong(codes::BAD_REFERENCE, title, "only the whole value can be a reference", "write the value out")
    };
    match expr::parse(text).map_err(|_| refused())?.as_slice() {
        [] => Ok(Json::String(String::new())),
        [Piece::Text(text)] => Ok(Json::String(text.clone())),
        _ => Err(refused()),
    }
}

/// The plain data of a text. For a text from outside the manifest, `quote` is off, and no message repeats the text.
pub fn from_text(key: &str, ty: &Type, text: &str, quote: bool) -> Result<(Json, Option<Wrong>), Wrong> {
    let plain = |json: Json| Ok((json, None));
    match ty {
        Type::Text { min, max, check } => {
            text_length(key, *min, *max, text, quote)?;
            match check.map_or(Ok(()), |check| (check.test)(text)) {
                Ok(()) => plain(Json::String(text.to_owned())),
                Err((reason, help)) => {
                    Err(wrong(codes::BAD_TEXT, format!("{} is not valid", shown(key)), reason, help))
                }
            }
        }
        Type::Map { .. } | Type::Code | Type::Any => plain(Json::String(text.to_owned())),
        Type::Int { min, max } => match text.parse() {
            Ok(number) => int(key, *min, *max, number).map(|json| (json, None)),
            Err(_) if text.parse().is_ok_and(is_huge) => Err(outside(key, *min, *max)),
            Err(_) => Err(wrong_type(
                key,
                "this is text, but a whole number is needed",
                format!("use a number from {min} to {max}"),
            )),
        },
        Type::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" => plain(Json::Bool(true)),
            "false" | "off" | "no" => plain(Json::Bool(false)),
            _ => Err(wrong_type(key, "this is neither on nor off", "write true or false")),
        },
        Type::OneOf(words) => match word(key, words, text, quote) {
            None => plain(Json::String(text.to_owned())),
            Some(fault) => Err(fault),
        },
        Type::OpenOneOf(words) => Ok((Json::String(text.to_owned()), unknown_word(key, words, text, quote))),
        Type::Release(releases) => {
            let ours = releases.ours(text);
            if releases.retired.contains(&ours) {
                let title = format!("{} names a release that can no longer be deployed", shown(key));
                let reason = format!("must be {}", either(releases.known));
                let help = format!("use {}", releases.known.first().unwrap_or(&"a newer one"));
                return Err(wrong(codes::NOT_ALLOWED, title, reason, help));
            }
            Ok((Json::String(ours.to_owned()), unknown_word(key, releases.known, ours, quote)))
        }
        Type::Set(_) | Type::Object(_) | Type::Named { .. } | Type::List { .. } => {
            Err(wrong_type(key, format!("this is text, but {} is needed", needed(ty)), "write it out"))
        }
    }
}

/// The warning for a word that is not in a growing list; `None` when it is.
fn unknown_word(key: &str, words: &[&str], text: &str, quote: bool) -> Option<Wrong> {
    word(key, words, text, quote).map(|fault| Wrong {
        severity: Severity::Warning,
        title: format!("{} is a word that this program does not know", shown(key)),
        reason: format!("known are {}", either(words).replace(" or ", " and ")),
        help: if fault.help.starts_with("did") { fault.help } else { "check the spelling".into() },
        ..fault
    })
}

/// The fault of a value of the wrong type.
pub fn wrong_type(key: &str, reason: impl Into<String>, help: impl Into<String>) -> Wrong {
    let title = match key {
        "" => "the manifest is not a mapping".to_owned(),
        key => format!("{} has the wrong type", shown(key)),
    };
    wrong(codes::WRONG_TYPE, title, reason, help)
}

/// The fault of a word outside a list of words; `None` when it is inside or the list is empty.
pub fn word(key: &str, words: &[&str], text: &str, quote: bool) -> Option<Wrong> {
    if words.is_empty() || words.contains(&text) {
        return None;
    }
    let help = match quote.then(|| meant(text, words)).flatten() {
        Some(near) => format!("did you mean {near}?"),
        None => "use one of these words".to_owned(),
    };
    let reason = format!("must be {}", either(words));
    Some(wrong(codes::NOT_ALLOWED, format!("{} is not one of the allowed words", shown(key)), reason, help))
}

fn int(key: &str, min: i64, max: i64, number: i64) -> Result<Json, Wrong> {
    if (min..=max).contains(&number) {
        return Ok(Json::from(number));
    }
    Err(outside(key, min, max))
}

/// Whether the manifest says the version that this program reads.
pub fn is_v1(node: &Node) -> bool {
    matches!(node, Node::Text(version) if version == "v1")
}

/// Whether a version is written in another way than it has to be, and no other one can be meant: the rest is read then.
pub fn is_first_version(node: &Node) -> bool {
    match node {
        Node::Text(text) => ["1", "1.0"].contains(&text.trim().trim_start_matches(['v', 'V'])),
        Node::Int(number) => *number == 1,
        Node::Float(number) => *number == 1.0,
        Node::Null => true,
        Node::Bool(_) | Node::List(_) | Node::Map(_) => false,
    }
}

/// Whether a decimal number is too large for an `i64`. The decoder reads such a whole number as a decimal one.
fn is_huge(number: f64) -> bool {
    number.is_finite() && number.abs() >= i64::MAX as f64
}

fn outside(key: &str, min: i64, max: i64) -> Wrong {
    let (reason, help) = match max {
        i64::MAX => (format!("must be {min} or more"), format!("use a value from {min} up")),
        _ => (format!("must be {min} to {max}"), format!("use a value from {min} to {max}")),
    };
    wrong(codes::OUT_OF_RANGE, format!("{} is out of range", shown(key)), reason, help)
}

fn text_length(key: &str, min: usize, max: usize, text: &str, quote: bool) -> Result<(), Wrong> {
    let length = text.chars().count();
    if (min..=max).contains(&length) {
        return Ok(());
    }
    let (title, help) = match length {
        0 => (format!("{} is empty", shown(key)), "write a value, or remove the key to leave it as it is"),
        _ if length < min => (format!("{} is too short", shown(key)), "write a longer text"),
        _ => (format!("{} is too long", shown(key)), "shorten it"),
    };
    let must = if min == max { format!("{min}") } else { format!("{min} to {max}") };
    let reason = if quote && length > 0 {
        format!("has {length} characters, must have {must}")
    } else {
        format!("must have {must} characters")
    };
    Err(wrong(codes::OUT_OF_RANGE, title, reason, help))
}

fn needed(ty: &Type) -> &'static str {
    match ty {
        Type::Text { .. } => "text",
        Type::Int { .. } => "a whole number",
        Type::Bool => "true or false",
        Type::OneOf(_) | Type::OpenOneOf(_) | Type::Release(_) => "a word",
        Type::Set(_) | Type::List { .. } => "a list",
        Type::Map { .. } | Type::Object(_) | Type::Named { .. } => "a mapping",
        Type::Code => "builtin:NAME or a path",
        Type::Any => "a value",
    }
}

/// An example of how a value of that type is written.
fn example(ty: &Type) -> String {
    match ty {
        Type::Text { .. } => "one text".into(),
        Type::Int { min, max } => format!("a number from {min} to {max}"),
        Type::Bool => "true or false".into(),
        Type::OneOf(words) | Type::OpenOneOf(words) => either(words),
        Type::Release(releases) => either(releases.known),
        Type::Set([]) => "[…]".into(),
        Type::Set(words) => format!("[{}]", words.iter().take(2).copied().collect::<Vec<_>>().join(", ")),
        Type::Map { .. } => "{ NAME: … }".into(),
        Type::Named { fields, .. } => format!("{{ NAME: {} }}", shape(fields, &[])),
        Type::Object(fields) => shape(fields, &[]),
        Type::List { fields, .. } => format!("[{}]", shape(fields, &[])),
        Type::Any => "…".into(),
        Type::Code => "builtin:NAME, or a path below the manifest's folder".into(),
    }
}

/// An example of a mapping with the keys that matter: the wanted ones, else the required ones, else the first two.
pub fn shape(fields: &[Field], wanted: &[&str]) -> String {
    let pick = |fits: &dyn Fn(&Field) -> bool| -> Vec<&Field> { fields.iter().filter(|f| fits(f)).collect() };
    let mut picked = pick(&|field| wanted.contains(&field.key));
    if picked.is_empty() {
        picked = pick(&|field| field.required);
    }
    if picked.is_empty() {
        picked = fields.iter().take(2).collect();
    }
    let entries: Vec<String> =
        picked.iter().map(|field| format!("{}: {}", field.key, sample(field))).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// A short example of a value that a field accepts.
fn sample(field: &Field) -> String {
    match (&field.ty, field.default) {
        (_, Some(default)) => default.to_owned(),
        (Type::Text { .. }, _) if field.secret => format!("\"${{env.{}}}\"", field.key.to_uppercase()),
        (Type::Text { .. } | Type::Any, _) => "…".into(),
        (Type::Int { min, .. }, _) => min.to_string(),
        (Type::Bool, _) => "on".into(),
        (Type::OneOf(words) | Type::OpenOneOf(words), _) => words.first().copied().unwrap_or("…").to_owned(),
        (Type::Release(releases), _) => releases.known.first().copied().unwrap_or("…").to_owned(),
        (Type::Code, _) => "builtin:NAME".into(),
        (Type::Map { .. }, _) if field.secret => "{ NAME: \"${env.NAME}\" }".into(),
        (Type::Set(_) | Type::Map { .. } | Type::Named { .. } | Type::Object(_) | Type::List { .. }, _) => {
            example(&field.ty)
        }
    }
}

/// The fault of a scalar or a list where a mapping is needed, with an example of that mapping. The example uses those
/// words of a list that are keys of the mapping.
pub fn wrong_shape(key: &str, ty: &Type, secret: bool, node: &Node) -> Wrong {
    let wanted = match ty {
        Type::Object(fields) => shape(fields, &listed(node)),
        Type::Map { .. } if secret => "{ NAME: \"${env.NAME}\" }".into(),
        ty => example(ty),
    };
    not_a_mapping(key, node, &wanted)
}

/// The texts among the items of a list; empty for any other node.
pub fn listed(node: &Node) -> Vec<&str> {
    let Node::List(items) = node else { return Vec::new() };
    let texts = items.iter().map(|item| match item {
        Node::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.flatten().collect()
}

/// The same fault with a given example.
pub fn not_a_mapping(key: &str, node: &Node, wanted: &str) -> Wrong {
    let reason = format!("this is {}, but a mapping is needed", node.noun());
    let help = match key {
        "" => "write key: value lines".to_owned(),
        key => format!("write {}: {wanted}, or these keys on lines of their own below it", shown(key)),
    };
    wrong_type(key, reason, help)
}

/// The fault of an entry of a list that is no mapping.
pub fn not_an_entry(key: &str, node: &Node, wanted: &str) -> Wrong {
    let reason = format!("this is {}, but a mapping is needed", node.noun());
    wrong_type(&format!("an entry of {key}"), reason, format!("write - {wanted}"))
}

/// Words as a choice: `a`, `a or b`, `a, b or c`.
pub fn either(words: &[&str]) -> String {
    let shown: Vec<String> = words
        .iter()
        .map(|word| if needs_quotes(word) { format!("\"{word}\"") } else { (*word).into() })
        .collect();
    match shown.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::form;

    fn even(text: &str) -> Result<(), (String, String)> {
        if text.len().is_multiple_of(2) { Ok(()) } else { Err(("odd".into(), "add one".into())) }
    }
    const TEXT: Type = Type::Text { min: 1, max: 6, check: form("", even) };
    const INT: Type = Type::Int { min: 4, max: 10 };
    const WORDS: Type = Type::OneOf(&["sms", "voice", "30"]);

    #[test]
    fn literals_by_type() {
        let text = |text: &str| Node::Text(text.into());
        let rows = [
            (TEXT, text("ab"), "\"ab\""),
            (TEXT, text("abc"), "LS0107 key is not valid: odd (add one)"),
            (
                TEXT,
                text(""),
                "LS0104 key is empty: must have 1 to 6 characters (write a value, or remove the key to leave it as it is)",
            ),
            (
                TEXT,
                text("abcdefgh"),
                "LS0104 key is too long: has 8 characters, must have 1 to 6 (shorten it)",
            ),
            (
                TEXT,
                Node::Int(12),
                "LS0103 key has the wrong type: YAML reads this as a number, but text is needed (put it in quotes: \"12\")",
            ),
            (
                TEXT,
                Node::Float(6.2),
                "LS0103 key has the wrong type: YAML reads this as a decimal number, but text is needed (put it in quotes: \"…\")",
            ),
            (
                TEXT,
                Node::List(vec![]),
                "LS0103 key has the wrong type: this is a list, but text is needed (write one text)",
            ),
            (INT, Node::Int(6), "6"),
            (INT, Node::Int(60), "LS0104 key is out of range: must be 4 to 10 (use a value from 4 to 10)"),
            (
                INT,
                text("6"),
                "LS0103 key has the wrong type: this is text, but a number is needed (write the number without quotes)",
            ),
            (
                INT,
                text("six"),
                "LS0103 key has the wrong type: this is text, but a whole number is needed (use a number from 4 to 10)",
            ),
            (
                INT,
                Node::Float(6.5),
                "LS0103 key has the wrong type: this is a decimal number, but a whole number is needed (write a number from 4 to 10)",
            ),
            (Type::Bool, text("on"), "true"),
            (Type::Bool, text("No"), "false"),
            (Type::Bool, Node::Bool(true), "true"),
            (
                Type::Bool,
                text("maybe"),
                "LS0103 key has the wrong type: this is neither on nor off (write true or false)",
            ),
            (WORDS, text("sms"), "\"sms\""),
            (WORDS, Node::Int(30), "\"30\""),
            (
                WORDS,
                text("smss"),
                "LS0105 key is not one of the allowed words: must be sms, voice or \"30\" (did you mean sms?)",
            ),
            (
                WORDS,
                Node::Map(vec![]),
                "LS0103 key has the wrong type: this is a mapping, but a word is needed (write sms, voice or \"30\")",
            ),
        ];
        for (ty, node, expected) in rows {
            let got = match from_node("key", &ty, &node, false) {
                Ok((json, None)) => json.to_string(),
                Ok((_, Some(wrong))) | Err(wrong) => {
                    format!("{} {}: {} ({})", wrong.code, wrong.title, wrong.reason, wrong.help)
                }
            };
            assert_eq!(got, expected, "{node:?}");
        }
    }

    #[test]
    fn an_open_list_only_warns() {
        let got = from_text("runtime", &Type::OpenOneOf(&["node22"]), "node23", true);
        let Ok((json, Some(warning))) = got else { panic!("{got:?}") };
        assert_eq!((json, warning.severity), (Json::from("node23"), Severity::Warning));
        assert_eq!(warning.help, "did you mean node22?");
    }
}

//! The keys that an apply makes at Twilio by itself: `${minted.sender.sid}`, `${minted.sender.secret}`.

use super::address::Address;
use super::value::{OutputRef, Part, Template, Value};

/// Name of the kind whose resources are the keys.
pub const KIND: &str = "twilio_key";

/// A key that an apply can make.
pub struct Minted {
    /// Its name behind `minted.`.
    pub name: &'static str,
    /// All that the key may do (permission strings of "Twilio docs, restricted API keys", 2025-12).
    pub allow: &'static [&'static str],
    /// The sections that may use it, and the beginning of the keys there that take its SID and its secret.
    pub sections: &'static [&'static str],
    pub sid_at: &'static str,
    pub secret_at: &'static str,
}

/// Every key: one for the code that sends, and one for the code that reports.
pub const ALL: [Minted; 2] = [
    Minted {
        name: "sender",
        allow: &["/twilio/verify/verification/create"],
        sections: &["action"],
        sid_at: "secrets.",
        secret_at: "secrets.",
    },
    Minted {
        name: "feedback",
        allow: &["/twilio/verify/verification/update"],
        sections: &["feedback.function", "feedback.action"],
        sid_at: "api_key",
        secret_at: "api_secret",
    },
];

/// The field of a key that stands for its secret.
pub const SECRET: &str = "secret";

/// The parts of a key that a manifest may refer to.
pub const PARTS: [&str; 2] = ["sid", SECRET];

/// The key of that name.
pub fn by_name(name: &str) -> Option<&'static Minted> {
    ALL.iter().find(|key| key.name == name)
}

/// The address of the key of that name.
pub fn address(name: &str) -> Address {
    Address::named(KIND, name)
}

/// The value of a reference such as `sender.secret`. `None`: there is no such key, or no such part.
pub fn value(target: &str, is_secret: bool) -> Option<Value> {
    let (name, part) = target.split_once('.')?;
    let key = by_name(name).filter(|_| PARTS.contains(&part))?;
    Some(match part {
        SECRET => Value::Minted(key.name.to_owned()),
        _ => {
            let sid = OutputRef { resource: address(key.name).to_string(), output: part.to_owned() };
            Value::Output(Template { parts: vec![Part::Output(sid)], secret: is_secret })
        }
    })
}

/// The name of the key that a value is a part of, and the part. `None`: it is of no such key.
pub fn part_of(value: &Value) -> Option<(&str, &'static str)> {
    match value {
        Value::Minted(name) => Some((name, SECRET)),
        Value::Output(template) => template.parts.iter().find_map(|part| match part {
            Part::Output(output) => Some((output.resource.strip_prefix(KIND)?.strip_prefix('.')?, "sid")),
            Part::Text(_) => None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_and_its_value_name_the_same_part() {
        for key in &ALL {
            for part in PARTS {
                let value = value(&format!("{}.{part}", key.name), true).expect("a value");
                assert_eq!(part_of(&value), Some((key.name, part)));
            }
        }
        for wrong in ["sender", "sender.", "sender.token", "nobody.sid", "", ".sid"] {
            assert_eq!(value(wrong, true), None, "{wrong}");
        }
    }
}

//! Decodes YAML text into a [`Node`]: the only file of the manifest that names the decoder.
//!
//! A `Node` keeps the order of keys and keys that are written twice, so that the check can report each of them.
//! Depth, number of nodes and amount of text are bounded, aliases counted as often as they are used.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

/// Nesting that is read. The deepest field of the tables lies at five; the rest is room for error messages that
/// name the field instead of the depth.
pub const DEPTH_MAX: usize = 64;

/// Nodes plus bytes of text after aliases are expanded: four times the longest text that is read, so that no
/// honest file meets it and no chain of aliases fills the memory.
const EXPANDED_MAX: usize = 4 * 1024 * 1024;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i64),
    /// Also whole numbers outside `i64`.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text, repeated keys included.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub text: String,
    /// It was written as text, and not as a number, a truth value or nothing.
    pub is_text: bool,
}

impl Node {
    /// What the node is, in words for a message.
    pub fn noun(&self) -> &'static str {
        match self {
            Node::Null => "empty",
            Node::Bool(_) => "true or false",
            Node::Int(_) => "a number",
            Node::Float(_) => "a decimal number",
            Node::Text(_) => "text",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }
}

/// Why a text could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The decoder's words without the place, and the place: line and column from 1, column in characters.
    Syntax { reason: String, place: Option<(usize, usize)> },
    /// A second document follows.
    Documents,
}

/// Decodes exactly one document; an empty text is [`Node::Null`].
pub fn decode(text: &str) -> Result<Node, Fault> {
    let limits = Limits { left: Cell::new(EXPANDED_MAX), refused: Cell::new(None) };
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok(Node::Null) };
    let node = Seed { limits: &limits, depth: 0 }
        .deserialize(first)
        .map_err(|error| syntax(&error, limits.refused.get()))?;
    match documents.next() {
        None => Ok(node),
        Some(_) => Err(Fault::Documents),
    }
}

fn syntax(error: &serde_yaml::Error, refused: Option<&'static str>) -> Fault {
    let words = error.to_string();
    // The decoder repeats the place inside its words; the span says it once.
    let end = words.find(" at line ").or_else(|| words.find(" at position ")).unwrap_or(words.len());
    let reason = refused.unwrap_or(&words[..end]).to_owned();
    Fault::Syntax { reason, place: error.location().map(|place| (place.line(), place.column())) }
}

/// What is shared by all seeds of one text.
struct Limits {
    left: Cell<usize>,
    /// Our own reason, kept apart because the decoder puts a path of user words before it.
    refused: Cell<Option<&'static str>>,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, reason: &'static str) -> E {
        self.limits.refused.set(Some(reason));
        E::custom(reason)
    }

    fn spend<E: serde::de::Error>(&self, amount: usize) -> Result<(), E> {
        let left = self.limits.left.get().checked_sub(amount);
        self.limits.left.set(left.ok_or_else(|| self.refuse("aliases expand to too much text"))?);
        Ok(())
    }

    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.refuse("nested deeper than 64 levels"));
        }
        Ok(Seed { depth: self.depth + 1, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.spend(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Int))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Float(value as f64))
    }
    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Float(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.spend(value.len())?;
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let seed = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let seed = self.inner()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(seed)? {
            let key = match key {
                Node::Text(text) => Key { text, is_text: true },
                Node::Null => Key { text: "~".into(), is_text: false },
                Node::Bool(value) => Key { text: value.to_string(), is_text: false },
                Node::Int(value) => Key { text: value.to_string(), is_text: false },
                Node::Float(value) => Key { text: value.to_string(), is_text: false },
                Node::List(_) | Node::Map(_) => {
                    return Err(self.refuse("a list or mapping cannot be a key"));
                }
            };
            map.push((key, entries.next_value_seed(seed)?));
        }
        Ok(Node::Map(map))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.refuse("tags (!name) have no meaning in a manifest"))
    }
}

/// Decodes one scalar of a table (a default); anything the decoder refuses is text.
pub fn decode_default(text: &str) -> Node {
    decode(text).unwrap_or_else(|_| Node::Text(text.to_owned()))
}

/// Whether text would be read as something else than that text when written without quotes.
pub fn needs_quotes(text: &str) -> bool {
    let read = serde_yaml::Value::deserialize(serde_yaml::Deserializer::from_str(text));
    !matches!(read, Ok(serde_yaml::Value::String(same)) if same == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node {
        Node::Text(value.into())
    }

    #[test]
    fn scalars_follow_yaml_1_2() {
        let rows = [
            ("on", text("on")),
            ("true", Node::Bool(true)),
            ("6.2.0", text("6.2.0")),
            ("6.2", Node::Float(6.2)),
            ("6", Node::Int(6)),
            ("18446744073709551615", Node::Float(18446744073709551615.0)),
            ("2026-11-20", text("2026-11-20")),
            ("~", Node::Null),
            ("", Node::Null),
            ("'6'", text("6")),
        ];
        for (input, expected) in rows {
            assert_eq!(decode(input), Ok(expected), "{input}");
        }
    }

    #[test]
    fn repeated_keys_stay() {
        let Ok(Node::Map(entries)) = decode("a: 1\na: 2\n1: x\n") else { panic!("not a mapping") };
        let keys: Vec<_> = entries.iter().map(|(key, _)| (key.text.as_str(), key.is_text)).collect();
        assert_eq!(keys, [("a", true), ("a", true), ("1", false)]);
    }

    #[test]
    fn what_is_refused() {
        let reason = |input: &str| match decode(input) {
            Err(Fault::Syntax { reason, .. }) => reason,
            other => panic!("{input}: {other:?}"),
        };
        assert_eq!(reason(&format!("{}1", "- ".repeat(80))), "nested deeper than 64 levels");
        assert_eq!(reason("a: !secret x"), "tags (!name) have no meaning in a manifest");
        assert_eq!(reason("? [a]\n: b"), "a list or mapping cannot be a key");
        assert_eq!(decode("a: 1\n---\nb: 2\n"), Err(Fault::Documents));
        let wide = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
        assert_eq!(reason(&wide), "aliases expand to too much text");
    }

    #[test]
    fn quotes_where_yaml_would_read_something_else() {
        assert!(needs_quotes("6.2") && needs_quotes("true") && needs_quotes("a: b"));
        assert!(!needs_quotes("6.2.0") && !needs_quotes("node22"));
    }
}

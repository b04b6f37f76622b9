//! Decodes YAML text into a [`Node`]. This is the only file of the manifest that uses the decoder.
//!
//! A `Node` keeps the order of keys, and keys that are written twice, so that the check can report each of them. Depth,
//! number of nodes and amount of text are bounded; each use of an alias counts.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

/// Deepest nesting that is read. The deepest field of the tables lies at five; the rest is room for error messages that
/// name the field instead of the depth.
pub const DEPTH_MAX: usize = 64;

/// Most nodes plus bytes of text after aliases are expanded. Four times the longest text that is read, so no honest
/// file reaches it, and no chain of aliases fills the memory.
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
    /// The key was written as text, not as a number, a truth value or nothing.
    pub is_text: bool,
}

impl Node {
    /// The node's type, in words for a message.
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
    /// The fault, the place where the decoder stopped, and the place where the construct that it was reading began.
    /// Places are line and column from 1, the column in characters.
    Syntax { trouble: Trouble, place: Option<(usize, usize)>, began: Option<(usize, usize)> },
    /// A second document follows.
    Documents,
}

impl Fault {
    /// The place where the decoder stopped.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            Fault::Syntax { place, .. } => *place,
            Fault::Documents => None,
        }
    }
}

/// Type of the decoder's error. The decoder gives only a text; no file but this one knows its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A bound or a rule of ours.
    Ours(Rule),
    /// A quoted text is not closed.
    Quote,
    /// A list in brackets, or a mapping in braces, neither goes on nor ends.
    List,
    Mapping,
    /// A line where a key is expected has no colon.
    NoColon,
    /// A colon stands where no key can be.
    SecondColon,
    /// Something else stands where a key, an item or a value is expected.
    NoKey,
    NoDash,
    NoValue,
    /// A character stands at the start with which no value begins.
    Start,
    /// A list, or a key with `? `, begins on a line where it cannot.
    ListHere,
    KeyHere,
    Escape,
    Tab,
    /// The text after `|` or `>` has a wrong form.
    Block,
    Alias,
    Tag,
    Directive,
    Other,
}

/// What YAML allows and a manifest does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Depth,
    Aliases,
    Key,
    Tag,
}

impl Rule {
    /// What is wrong, and the next move.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Rule::Depth => ("nested deeper than 64 levels", "nest less deeply: no key lies deeper than six"),
            Rule::Aliases => ("aliases expand to too much text", "write the values out"),
            Rule::Key => ("a list or mapping cannot be a key", "write it as key: value"),
            Rule::Tag => {
                ("tags (!name) have no meaning in a manifest", "put a text that begins with ! in quotes")
            }
        }
    }
}

/// Rows of: a part of the decoder's error, a part of its words on what it was doing, and the trouble that they mean.
/// The first row whose parts both occur counts; an empty part always occurs.
const WORDS: &[(&str, &str, Trouble)] = &[
    ("", "while scanning a quoted scalar", Trouble::Quote),
    ("escape", "while parsing a quoted scalar", Trouble::Escape),
    ("", "while parsing a quoted scalar", Trouble::Escape),
    ("did not find expected ',' or ']'", "", Trouble::List),
    ("did not find expected ',' or '}'", "", Trouble::Mapping),
    ("could not find expected ':'", "", Trouble::NoColon),
    ("mapping values are not allowed", "", Trouble::SecondColon),
    ("found unexpected ':'", "", Trouble::SecondColon),
    ("did not find expected key", "", Trouble::NoKey),
    ("did not find expected <document start>", "", Trouble::NoKey),
    ("did not find expected '-' indicator", "", Trouble::NoDash),
    ("did not find expected node content", "", Trouble::NoValue),
    ("found character that cannot start any token", "", Trouble::Start),
    ("block sequence entries are not allowed", "", Trouble::ListHere),
    ("mapping keys are not allowed", "", Trouble::KeyHere),
    ("found a tab character", "", Trouble::Tab),
    ("", "while scanning a block scalar", Trouble::Block),
    ("repetition limit exceeded", "", Trouble::Ours(Rule::Aliases)),
    ("recursion limit exceeded", "", Trouble::Ours(Rule::Depth)),
    ("unknown anchor", "", Trouble::Alias),
    ("", "while scanning an anchor", Trouble::Alias),
    ("", "while scanning an alias", Trouble::Alias),
    ("", "while scanning a tag", Trouble::Tag),
    ("", "while parsing a tag", Trouble::Tag),
    ("found undefined tag handle", "", Trouble::Tag),
    ("", "directive", Trouble::Directive),
    ("directive", "", Trouble::Directive),
    ("YAML document", "", Trouble::Directive),
];

/// Decodes exactly one document; an empty text is [`Node::Null`].
pub fn decode(text: &str) -> Result<Node, Fault> {
    match decode_first(text)? {
        (node, false) => Ok(node),
        (_, true) => Err(Fault::Documents),
    }
}

/// Decodes the first document, and tells whether another one follows.
pub fn decode_first(text: &str) -> Result<(Node, bool), Fault> {
    let limits = Limits { left: Cell::new(EXPANDED_MAX), refused: Cell::new(None) };
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok((Node::Null, false)) };
    let node = Seed { limits: &limits, depth: 0 }
        .deserialize(first)
        .map_err(|error| syntax(&error, limits.refused.get()))?;
    Ok((node, documents.next().is_some()))
}

fn syntax(error: &serde_yaml::Error, refused: Option<Rule>) -> Fault {
    let words = error.to_string();
    // `problem at line 3 column 1, while parsing a flow sequence at line 1 column 4`
    let (problem, context) = words.split_once(", while ").unwrap_or((&words, ""));
    let context = if context.is_empty() { String::new() } else { format!("while {context}") };
    let fits = |row: &&(&str, &str, Trouble)| problem.contains(row.0) && context.contains(row.1);
    let known = WORDS.iter().find(fits).map_or(Trouble::Other, |row| row.2);
    Fault::Syntax {
        trouble: refused.map_or(known, Trouble::Ours),
        place: error.location().map(|place| (place.line(), place.column())),
        began: mark(&context),
    }
}

/// The place that the decoder's words end with.
fn mark(words: &str) -> Option<(usize, usize)> {
    let (line, column) = words.rsplit_once(" at line ")?.1.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// State shared by all seeds of one text.
struct Limits {
    left: Cell<usize>,
    /// Our own reason for refusing. It is kept apart because the decoder's error is only a text.
    refused: Cell<Option<Rule>>,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, rule: Rule) -> E {
        self.limits.refused.set(Some(rule));
        E::custom(rule.words().0)
    }

    fn spend<E: serde::de::Error>(&self, amount: usize) -> Result<(), E> {
        let left = self.limits.left.get().checked_sub(amount);
        self.limits.left.set(left.ok_or_else(|| self.refuse(Rule::Aliases))?);
        Ok(())
    }

    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.refuse(Rule::Depth));
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
                    return Err(self.refuse(Rule::Key));
                }
            };
            map.push((key, entries.next_value_seed(seed)?));
        }
        Ok(Node::Map(map))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.refuse(Rule::Tag))
    }
}

/// Decodes one scalar of a table (a default); anything the decoder refuses is text.
pub fn decode_default(text: &str) -> Node {
    decode(text).unwrap_or_else(|_| Node::Text(text.to_owned()))
}

/// Whether YAML would read the text as something else if it were written without quotes.
pub fn needs_quotes(text: &str) -> bool {
    // Most words are of letters, and need no reading.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if text.starts_with(|ch: char| ch.is_ascii_alphabetic()) && text.bytes().all(is_plain) {
        return ["true", "false", "null"].iter().any(|word| word.eq_ignore_ascii_case(text));
    }
    let read = serde_yaml::Value::deserialize(serde_yaml::Deserializer::from_str(text));
    !matches!(read, Ok(serde_yaml::Value::String(same)) if same == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_node(value: &str) -> Node {
        Node::Text(value.into())
    }

    #[test]
    fn scalars_follow_yaml_1_2() {
        let rows = [
            ("on", text_node("on")),
            ("true", Node::Bool(true)),
            ("6.2.0", text_node("6.2.0")),
            ("6.2", Node::Float(6.2)),
            ("6", Node::Int(6)),
            ("18446744073709551615", Node::Float(18446744073709551615.0)),
            ("2026-11-20", text_node("2026-11-20")),
            ("~", Node::Null),
            ("", Node::Null),
            ("'6'", text_node("6")),
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
            Err(Fault::Syntax { trouble: Trouble::Ours(rule), .. }) => rule.words().0,
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
        for word in ["on", "yes", "y", "True", "NULL", "tRue", "inf", "nan", "e1", "x-1", "sms", "a_b"] {
            let read = decode(word);
            let is_text = read == Ok(text_node(word));
            assert!(needs_quotes(word) || is_text, "{word}: {read:?}");
        }
    }
}

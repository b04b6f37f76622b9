//! Walks a decoded manifest along the tables: keys, types, ranges, words, required keys.
//!
//! The result is a flat list of leaves, one per attribute, typed where the text is literal and split into pieces
//! where it holds references. What a reference yields is for `resolve`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Tables;
use super::expr::{self, Piece};
use super::leaf::{Input, Leaf, extend};
use super::source::{Report, Wrong, shown, wrong};
use super::typed::{self, either, from_node, noun, wrong_type};
use super::yaml::{self, Key, Node};
use crate::diag::{codes, nearest};
use crate::model::field::{Field, Type};

/// What the walk found: leaves in the order of the text (defaults last in their section), and the sections that
/// are there.
#[derive(Debug, Default)]
pub struct Checked {
    pub leaves: Vec<Leaf>,
    pub present: BTreeSet<&'static str>,
}

/// Walks the whole manifest.
pub fn check(root: &Node, tables: &Tables, report: &mut Report<'_>) -> Checked {
    let mut walk = Walk { tables, report, out: Checked::default() };
    if walk.version_is_ours(root) {
        walk.section(&[], root);
        // An empty file, or a list, has had its one message.
        let sections = if matches!(root, Node::Map(_)) { tables.sections.as_slice() } else { &[] };
        for section in sections {
            if section.required && !walk.out.present.contains(section.path) {
                walk.missing(&split(section.path), section.path, section.doc);
            }
        }
    }
    walk.out
}

struct Walk<'a, 'r, 's> {
    tables: &'a Tables,
    report: &'r mut Report<'s>,
    out: Checked,
}

/// Where a field stands.
struct Place<'a> {
    section: &'static str,
    /// Dotted key inside the section, with a dot at its end; empty outside objects.
    prefix: &'a str,
    names: &'a [String],
}

impl Walk<'_, '_, '_> {
    /// Another version is the only thing worth saying about a manifest that has one.
    fn version_is_ours(&mut self, root: &Node) -> bool {
        let Node::Map(entries) = root else { return true };
        let names = ["lockstep".to_owned()];
        match entries.iter().find(|(key, _)| key.text == names[0]).map(|(_, node)| node) {
            Some(Node::Text(version)) if version == "v1" => true,
            Some(_) => {
                let title = "the manifest has a version that this program does not read";
                self.report
                    .value(&names, wrong(codes::BAD_VERSION, title, "must be v1", "write lockstep: v1"));
                false
            }
            None => true,
        }
    }

    fn section(&mut self, path: &[String], node: &Node) {
        let tables = self.tables;
        let dotted = path.join(".");
        let section = tables.sections.iter().find(|section| section.path == dotted);
        if let Some(section) = section {
            self.out.present.insert(section.path);
        }
        let name = path.last().map_or("", String::as_str);
        let entries = match node {
            Node::Map(entries) => entries.as_slice(),
            Node::Null if path.is_empty() => {
                let help = "start from manifests/quickstart.yaml";
                let title = "the manifest is empty";
                return self.report.value(path, wrong(codes::MISSING_KEY, title, "", help));
            }
            Node::Null => &[],
            _ => {
                let reason = format!("this is {}, but a mapping is needed", node.noun());
                let help = "write key: value lines below it";
                return self.report.value(path, wrong_type(name, reason, help));
            }
        };
        let fields = section.map_or(&[][..], |section| section.fields);
        let inner = tables.sections_below(&dotted);
        let known: Vec<&str> = fields.iter().map(|field| field.key).chain(inner.iter().copied()).collect();
        let found = self.entries(path, entries, Some(&known));
        for (key, node) in &found {
            if inner.contains(key) {
                self.section(&extend(path, key), node);
            }
        }
        let place = Place { section: section.map_or("", |section| section.path), prefix: "", names: path };
        self.fields(&place, fields, &found);
    }

    fn fields(&mut self, place: &Place<'_>, fields: &'static [Field], found: &BTreeMap<&str, &Node>) {
        for field in fields {
            let names = extend(place.names, field.key);
            match (found.get(field.key), field.default) {
                (Some(node), _) => self.field(place, field, &names, node),
                (None, Some(default)) => self.field(place, field, &names, &yaml::decode_default(default)),
                (None, None) if field.required => self.missing(&names, field.key, field.doc),
                (None, None) => {}
            }
        }
    }

    fn missing(&mut self, names: &[String], key: &str, doc: &str) {
        let title = format!("{} is missing", noun(key));
        let below = names[..names.len().saturating_sub(1)].join(".");
        let help = match (below.as_str(), doc) {
            ("", "") => format!("add {key}: to the file"),
            ("", doc) => format!("add {key}: to the file ({doc})"),
            (below, "") => format!("add {key}: below {below}:"),
            (below, doc) => format!("add {key}: below {below}: ({doc})"),
        };
        self.report.key(names, wrong(codes::MISSING_KEY, title, format!("{key} is required here"), help));
    }

    /// The entries of a mapping by key; reports repeats, keys that are not text, and keys that are not known.
    fn entries<'n>(
        &mut self,
        path: &[String],
        entries: &'n [(Key, Node)],
        known: Option<&[&str]>,
    ) -> BTreeMap<&'n str, &'n Node> {
        let mut found = BTreeMap::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, node) in entries {
            let text = key.text.as_str();
            let names = extend(path, text);
            let count = seen.entry(text).or_default();
            *count += 1;
            let is_wrong = *count > 1 || !key.is_text || known.is_some_and(|known| !known.contains(&text));
            if is_wrong && self.report.is_full() {
                // A text of a megabyte can hold a hundred thousand of these; words for them cost time.
                self.report.drop_one();
            } else if *count > 1 {
                self.repeated(&names, text, *count);
            } else if !key.is_text {
                let wrong = wrong_type(text, "YAML does not read this key as text", "put the key in quotes");
                self.report.key(&names, wrong);
            } else if known.is_some_and(|known| !known.contains(&text)) {
                let wrong = self.unknown(path, text, known.unwrap_or_default());
                self.report.key(&names, wrong);
            } else {
                found.insert(text, node);
            }
        }
        found
    }

    fn repeated(&mut self, names: &[String], key: &str, count: usize) {
        let source = self.report.source;
        let place = |at: usize| source.spans().nth(names, at).and_then(|spot| spot.key.clone());
        let line = |at: usize| source.text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        let reason = match place(0) {
            Some(first) => format!("first written on line {}", line(first.start)),
            None => "written before in the same mapping".to_owned(),
        };
        let range = place(count - 1).unwrap_or_else(|| source.range(names, true));
        let title = format!("the key {} is written twice", shown(key));
        self.report.at(names, range, wrong(codes::DUPLICATE_KEY, title, reason, "keep one of the two"));
    }

    fn unknown(&self, path: &[String], key: &str, known: &[&str]) -> Wrong {
        let title = format!("unknown key {}", shown(key));
        let here = if path.is_empty() { "the manifest".to_owned() } else { path.join(".") };
        let elsewhere = self
            .tables
            .sections
            .iter()
            .filter(|section| !section.path.is_empty())
            .find(|section| section.fields.iter().any(|field| field.key == key));
        let help = if key == "<<" {
            "merge keys are not read: write the keys out".to_owned()
        } else if let Some(near) = nearest(key, known.iter().copied()) {
            format!("did you mean {near}?")
        } else if let Some(section) = elsewhere {
            format!("{key} belongs below {}:", section.path)
        } else if known.is_empty() {
            "remove it".to_owned()
        } else {
            format!("the keys here are {}", either(known).replace(" or ", " and "))
        };
        wrong(codes::UNKNOWN_KEY, title, format!("{} has no such key", shown(&here)), help)
    }

    fn field(&mut self, place: &Place<'_>, field: &'static Field, names: &[String], node: &Node) {
        let key = format!("{}{}", place.prefix, field.key);
        match (&field.ty, node) {
            (Type::Map { .. } | Type::Object(_) | Type::Named { .. }, Node::Null) => {}
            (_, Node::Null) => {
                let help = "remove the key to leave the setting as it is, or write a value";
                let title = format!("{} has no value", noun(field.key));
                let wrong = wrong(codes::WRONG_TYPE, title, "a key without a value means nothing", help);
                self.report.value(names, wrong);
            }
            (Type::Object(fields), Node::Map(entries)) => {
                let known: Vec<&str> = fields.iter().map(|field| field.key).collect();
                let found = self.entries(names, entries, Some(&known));
                let prefix = format!("{key}.");
                self.fields(&Place { section: place.section, prefix: &prefix, names }, fields, &found);
            }
            (Type::Map { max }, Node::Map(entries)) => {
                self.map(place.section, &key, field, names, entries, *max)
            }
            (Type::Named { max, fields }, Node::Map(entries)) => {
                self.too_many(field, names, entries.len(), *max);
                for (name, node) in self.entries(names, entries, None) {
                    let (names, prefix) = (extend(names, name), format!("{key}.{name}."));
                    let found = match node {
                        Node::Null => BTreeMap::new(),
                        Node::Map(entries) => {
                            let known: Vec<&str> = fields.iter().map(|field| field.key).collect();
                            self.entries(&names, entries, Some(&known))
                        }
                        other => {
                            let reason = format!("this is {}, but a mapping is needed", other.noun());
                            self.report
                                .value(&names, wrong_type(name, reason, "write key: value lines below it"));
                            continue;
                        }
                    };
                    self.fields(
                        &Place { section: place.section, prefix: &prefix, names: &names },
                        fields,
                        &found,
                    );
                }
            }
            (Type::Map { .. } | Type::Object(_) | Type::Named { .. }, _) => {
                let reason = format!("this is {}, but a mapping is needed", node.noun());
                self.report.value(names, wrong_type(field.key, reason, "write name: value lines below it"));
            }
            (Type::Set(words), Node::List(items)) => {
                let Some(input) = self.set(field.key, names, items, words) else { return };
                self.leaf(place.section, key, names, field, input);
            }
            (Type::Code, Node::Text(text)) => {
                let path =
                    text.strip_prefix("builtin:").map_or_else(|| expr::relative_path(text), |_| Ok(()));
                match path {
                    Ok(()) if text.contains("${") => {
                        let help = "write the path out, or builtin:NAME";
                        let title = "a path of code takes no references";
                        self.report
                            .value(names, wrong(codes::BAD_REFERENCE, title, "must be a plain path", help));
                    }
                    Ok(()) => self.leaf(place.section, key, names, field, Input::Code(text.clone())),
                    Err((reason, help)) => {
                        let title = format!("{} is not a usable path", noun(field.key));
                        self.report.value(names, wrong(codes::FILE_REFUSED, title, reason, help));
                    }
                }
            }
            _ => {
                let Some(input) = self.scalar(field.key, &field.ty, field.secret, names, node) else {
                    return;
                };
                self.leaf(place.section, key, names, field, input);
            }
        }
    }

    fn leaf(
        &mut self,
        section: &'static str,
        key: String,
        names: &[String],
        field: &'static Field,
        input: Input,
    ) {
        let names = names.to_vec();
        self.out.leaves.push(Leaf { section, key, names, ty: field.ty, secret: field.secret, input });
    }

    fn too_many(&mut self, field: &Field, names: &[String], count: usize, max: usize) {
        if count > max {
            let title = format!("{} has too many names", noun(field.key));
            let reason = format!("has {count}, at most {max} are allowed");
            self.report.key(names, wrong(codes::OUT_OF_RANGE, title, reason, "remove some"));
        }
    }

    fn map(
        &mut self,
        section: &'static str,
        key: &str,
        field: &'static Field,
        names: &[String],
        entries: &[(Key, Node)],
        max: usize,
    ) {
        self.too_many(field, names, entries.len(), max);
        for (name, node) in self.entries(names, entries, None) {
            let names = extend(names, name);
            let input = match node {
                Node::Null => {
                    let title = format!("{} has no value", shown(name));
                    let help = "write a value, or remove the name";
                    self.report.value(&names, wrong(codes::WRONG_TYPE, title, "text is needed", help));
                    None
                }
                node => self.scalar(name, &field.ty, field.secret, &names, node),
            };
            if let Some(input) = input {
                self.leaf(section, format!("{key}.{name}"), &names, field, input);
            }
        }
    }

    fn scalar(&mut self, key: &str, ty: &Type, secret: bool, names: &[String], node: &Node) -> Option<Input> {
        let mut node = node.clone();
        if let Node::Text(text) = &node {
            let pieces = self.pieces(names, text)?;
            if pieces.iter().any(|piece| matches!(piece, Piece::Ref(_))) {
                return Some(Input::Text(pieces));
            }
            // Without references a text is one literal, its `$${` already read.
            let literal: String = pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Ref(_) => String::new(),
                })
                .collect();
            if secret {
                return self.secret_literal(key, ty, names, literal);
            }
            node = Node::Text(literal);
        }
        match from_node(key, ty, &node, secret) {
            Ok((json, warning)) => {
                if let Some(warning) = warning {
                    self.report.value(names, warning);
                }
                Some(Input::Known(json))
            }
            Err(mut wrong) => {
                // The number as written, `6.20`, and not as read.
                if matches!(node, Node::Bool(_) | Node::Int(_) | Node::Float(_))
                    && wrong.help.starts_with("put it in quotes")
                    && !secret
                {
                    let source = self.report.source;
                    let written = source.text.get(source.range(names, false)).unwrap_or_default();
                    wrong.help = format!("put it in quotes: \"{}\"", shown(written));
                }
                self.report.value(names, wrong);
                None
            }
        }
    }

    /// A SID in a mapping of secrets is an address, not a secret; everything else has to come from outside.
    fn secret_literal(&mut self, key: &str, ty: &Type, names: &[String], literal: String) -> Option<Input> {
        if matches!(ty, Type::Map { .. }) && is_sid(&literal) {
            return Some(Input::Public(literal));
        }
        let title = format!("{} is a secret, written in clear", shown(key));
        let help = format!("use ${{env.{}}} and keep the value outside the file", env_name(key));
        let reason = "everyone who reads this file reads the secret";
        self.report.value(names, wrong(codes::SECRET_IN_CLEAR, title, reason, help));
        None
    }

    fn pieces(&mut self, names: &[String], text: &str) -> Option<Vec<Piece>> {
        match expr::parse(text) {
            Ok(pieces) => Some(pieces),
            Err(faults) => {
                for fault in faults {
                    let part = text.get(fault.range.clone()).unwrap_or_default();
                    let range = self.report.source.fragment(names, part, fault.range.start);
                    let title = "a reference that cannot be read";
                    self.report.at(
                        names,
                        range,
                        wrong(codes::BAD_REFERENCE, title, fault.reason, fault.help),
                    );
                }
                None
            }
        }
    }

    fn set(&mut self, key: &str, names: &[String], items: &[Node], words: &'static [&str]) -> Option<Input> {
        let mut lists = Vec::new();
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut failed = false;
        let ty = if words.is_empty() {
            Type::Text { min: 1, max: usize::MAX, check: None }
        } else {
            Type::OneOf(words)
        };
        for (at, item) in items.iter().enumerate() {
            let names = extend(names, &at.to_string());
            match self.scalar(key, &ty, false, &names, item) {
                None => failed = true,
                Some(Input::Text(pieces)) => lists.push(pieces),
                Some(Input::Known(Json::String(word))) => {
                    lists.push(vec![Piece::Text(word.clone())]);
                    if !known.insert(word.clone()) {
                        self.report.value(&names, repeat_in_set(key, &word));
                        failed = true;
                    }
                }
                Some(_) => failed = true,
            }
        }
        if failed {
            None
        } else if known.len() == lists.len() {
            Some(Input::Known(known.into_iter().map(Json::String).collect()))
        } else {
            Some(Input::List(lists))
        }
    }
}

/// An entry of a set that is there already.
pub fn repeat_in_set(key: &str, word: &str) -> Wrong {
    let title = format!("{} has an entry twice", typed::noun(key));
    wrong(
        codes::NOT_ALLOWED,
        title,
        format!("{} is in the list already", shown(word)),
        "remove one of the two",
    )
}

fn is_sid(text: &str) -> bool {
    let digits = text.strip_prefix("AC").or_else(|| text.strip_prefix("VA")).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A name for the environment that fits a key.
fn env_name(key: &str) -> String {
    let name: String = key
        .chars()
        .take(40)
        .map(|ch| if ch.is_ascii_alphanumeric() { ch.to_ascii_uppercase() } else { '_' })
        .collect();
    if name.starts_with(|ch: char| ch.is_ascii_alphabetic()) { name } else { "NAME".into() }
}

fn split(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

//! Walks a decoded manifest along the tables: keys, types, ranges, words, required keys.
//!
//! The result is a flat list of leaves, one for each attribute: typed if the text is literal, split into pieces if it
//! has references. `resolve` finds the values of references.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Tables;
use super::expr::{self, Piece};
use super::leaf::{Input, Leaf, extend};
use super::source::{Report, Wrong, shown, wrong};
use super::typed::{
    either, from_node, is_first_version, is_v1, lacks_quotes, listed, not_a_mapping, not_an_entry, shape,
    wrong_shape, wrong_type,
};
use super::words::meant_key;
use super::yaml::{self, Key, Node};
use crate::diag::codes;
use crate::model::field::{Field, Type, flat};

/// Result of the walk: leaves in the order of the text (defaults last in their section), and the sections that exist.
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
        // An empty file, or a list, has been reported already.
        let sections = if matches!(root, Node::Map(_)) { tables.sections.as_slice() } else { &[] };
        for section in sections {
            if section.required && !walk.out.present.contains(section.path) {
                walk.missing(&split(section.path), section.path, section.doc, &[]);
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

/// The keys that a mapping may have: fields, and inner sections.
struct Keys<'a> {
    fields: &'static [Field],
    inner: &'a [&'static str],
}

impl Keys<'_> {
    fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.key).chain(self.inner.iter().copied()).collect()
    }

    fn has(&self, key: &str) -> bool {
        self.names().contains(&key)
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.inner.is_empty()
    }

    /// Whether the mapping only groups sections, so that its mere presence means nothing.
    fn is_group(&self) -> bool {
        let says = |field: &Field| field.required || field.default.is_some();
        !self.inner.is_empty() && !self.fields.iter().any(says)
    }

    /// An example of the mapping, with the wanted keys if it has them.
    fn shape(&self, wanted: &[&str]) -> String {
        let own = match self.fields {
            [] => String::new(),
            fields => shape(fields, wanted),
        };
        if !self.is_group() || self.fields.iter().any(|field| wanted.contains(&field.key)) {
            return own;
        }
        let own = own.trim_start_matches("{ ").trim_end_matches(" }").to_owned();
        let inner = self.inner.iter().map(|key| format!("{key}: {{ … }}"));
        let entries: Vec<String> = Some(own).filter(|own| !own.is_empty()).into_iter().chain(inner).collect();
        format!("{{ {} }}", entries.join(", "))
    }

    /// The key that is probably meant by an unknown one.
    fn meant(&self, key: &str) -> Option<&'static str> {
        meant_key(key, self.fields, self.inner)
    }
}

/// Content of a mapping.
#[derive(Default)]
struct Found<'n> {
    nodes: BTreeMap<&'n str, &'n Node>,
    /// Known keys that were probably meant by unknown ones.
    meant: BTreeSet<&'static str>,
}

impl Found<'_> {
    /// Whether a key is written, at least under a name that is probably meant for it.
    fn has(&self, key: &str) -> bool {
        self.nodes.contains_key(key) || self.meant.contains(key)
    }
}

/// Place of a field.
struct Place<'a> {
    section: &'static str,
    /// Dotted key inside the section, with a dot at its end; empty outside objects.
    prefix: &'a str,
    names: &'a [String],
}

impl Walk<'_, '_, '_> {
    /// Whether the version is absent or can only mean v1. Of a manifest with another version, nothing else is reported.
    fn version_is_ours(&mut self, root: &Node) -> bool {
        let Node::Map(entries) = root else { return true };
        let names = ["lockstep".to_owned()];
        match entries.iter().find(|(key, _)| key.text == names[0]).map(|(_, node)| node) {
            Some(node) if is_v1(node) => true,
            Some(node) => {
                let title = "the manifest has a version that this program does not read";
                self.report
                    .value(&names, wrong(codes::BAD_VERSION, title, "must be v1", "write lockstep: v1"));
                is_first_version(node)
            }
            None => true,
        }
    }

    fn section(&mut self, path: &[String], node: &Node) {
        let tables = self.tables;
        let dotted = path.join(".");
        let section = tables.sections.iter().copied().find(|section| section.path == dotted);
        if let Some(section) = section {
            self.out.present.insert(section.path);
        }
        let name = path.last().map_or("", String::as_str);
        let fields = section.map_or(&[][..], |section| section.fields);
        let inner: Vec<&str> = tables.sections_below(&dotted).into_iter().collect();
        let entries = match node {
            Node::Map(entries) => entries.as_slice(),
            Node::Null if path.is_empty() => {
                let help = "start from manifests/quickstart.yaml";
                let title = "the manifest is empty";
                return self.report.value(path, wrong(codes::MISSING_KEY, title, "", help));
            }
            Node::Null => &[],
            _ => {
                let wanted = Keys { fields, inner: &inner }.shape(&listed(node));
                self.report.value(path, not_a_mapping(name, node, &wanted));
                return self.refuse_section(&dotted);
            }
        };
        let keys = Keys { fields, inner: &inner };
        if entries.is_empty() && !path.is_empty() && keys.is_group() {
            let help = format!("add {}: below it, or remove the key", either(&keys.names()));
            let title = format!("{} is empty", shown(name));
            let wrong = wrong(codes::MISSING_KEY, title, "nothing stands below this key", help);
            return self.report.key(path, wrong);
        }
        let found = self.entries(path, entries, Some(&keys));
        for (key, node) in &found.nodes {
            if inner.contains(key) {
                self.section(&extend(path, key), node);
            }
        }
        for meant in found.meant.iter().filter(|meant| inner.contains(meant)) {
            self.refuse_section(&extend(path, meant).join("."));
        }
        let place = Place { section: section.map_or("", |section| section.path), prefix: "", names: path };
        self.fields(&place, fields, &found);
    }

    /// Records a section, and all sections below it, as present with unknown values.
    fn refuse_section(&mut self, path: &str) {
        let below = format!("{path}.");
        let sections = self.tables.sections.iter().copied();
        for section in sections.filter(|one| one.path == path || one.path.starts_with(&below)) {
            if self.out.present.insert(section.path) || section.path == path {
                let names = split(section.path);
                let place = Place { section: section.path, prefix: "", names: &names };
                section.fields.iter().for_each(|field| self.refuse(&place, field));
            }
        }
    }

    /// Records a field, and all fields inside it, with unknown values.
    fn refuse(&mut self, place: &Place<'_>, field: &'static Field) {
        let names = extend(place.names, field.key);
        let key = format!("{}{}", place.prefix, field.key);
        if let Type::Object(inner) = field.ty {
            let prefix = format!("{key}.");
            let place = Place { section: place.section, prefix: &prefix, names: &names };
            return inner.iter().for_each(|field| self.refuse(&place, field));
        }
        self.leaf(place.section, key, &names, field, Input::Refused);
    }

    fn fields(&mut self, place: &Place<'_>, fields: &'static [Field], found: &Found<'_>) {
        for field in fields {
            let names = extend(place.names, field.key);
            match (found.nodes.get(field.key), field.default) {
                // Another version is reported already.
                (Some(node), _) if names == ["lockstep"] && !is_v1(node) => self.refuse(place, field),
                (Some(node), _) => self.field(place, field, &names, node),
                // The field was written under an unknown name, which is reported.
                (None, _) if found.meant.contains(field.key) => self.refuse(place, field),
                (None, Some(default)) => self.field(place, field, &names, &yaml::decode_default(default)),
                (None, None) if field.required && !field.unless.iter().any(|key| found.has(key)) => {
                    self.missing(&names, field.key, field.doc, field.unless);
                    self.refuse(place, field);
                }
                (None, None) => {}
            }
        }
    }

    fn missing(&mut self, names: &[String], key: &str, doc: &str, unless: &[&str]) {
        let title = format!("{} is missing", shown(key));
        let below = names[..names.len().saturating_sub(1)].join(".");
        let help = match (below.as_str(), doc) {
            ("", "") => format!("add {key}: to the file"),
            ("", doc) => format!("add {key}: to the file ({doc})"),
            (below, "") => format!("add {key}: below {below}:"),
            (below, doc) => format!("add {key}: below {below}: ({doc})"),
        };
        let reason = match unless {
            [] => format!("{key} is required here"),
            unless => format!("{key} is required here, because there is no {}", unless.join(" and no ")),
        };
        self.report.key(names, wrong(codes::MISSING_KEY, title, reason, help));
    }

    /// The entries of a mapping, keyed by name. Reports repeated keys, keys that are not text, and unknown keys.
    fn entries<'n>(
        &mut self,
        path: &[String],
        entries: &'n [(Key, Node)],
        known: Option<&Keys<'_>>,
    ) -> Found<'n> {
        let mut found = Found::default();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, node) in entries {
            let text = key.text.as_str();
            let names = extend(path, text);
            let count = seen.entry(text).or_default();
            *count += 1;
            let is_unknown = known.is_some_and(|known| !known.has(text));
            let is_wrong = *count > 1 || !key.is_text || is_unknown || has_control(text);
            if is_wrong && self.report.is_full() {
                // A text of a megabyte can have a hundred thousand of these problems, and their words cost time.
                self.report.drop(1);
            } else if *count > 1 {
                self.repeated(&names, text, *count);
            } else if !key.is_text {
                let wrong = wrong_type(text, "YAML does not read this key as text", "put the key in quotes");
                self.report.key(&names, wrong);
            } else if let Some(known) = known.filter(|_| is_unknown) {
                let wrong = self.unknown(path, text, known);
                self.report.key(&names, wrong);
                found.meant.extend(known.meant(text));
            } else if let Some(ch) = control(text) {
                self.report.key(&names, control_in_name(text, ch));
            } else {
                found.nodes.insert(text, node);
            }
        }
        // If both the right and the wrong name were written, the right one counts.
        found.meant.retain(|meant| !found.nodes.contains_key(meant));
        found
    }

    fn repeated(&mut self, names: &[String], key: &str, count: usize) {
        let source = self.report.source;
        let place = |at: usize| source.spans().nth(names, at).and_then(|spot| spot.key.clone());
        let reason = match place(0) {
            Some(first) => format!("first written on line {}", source.line_and_column(first.start).0),
            None => "written before in the same mapping".to_owned(),
        };
        let range = place(count - 1).unwrap_or_else(|| source.range(names, true));
        let title = format!("the key {} is written twice", shown(key));
        self.report.at(names, range, wrong(codes::DUPLICATE_KEY, title, reason, "keep one of the two"));
    }

    fn unknown(&self, path: &[String], key: &str, known: &Keys<'_>) -> Wrong {
        let title = format!("unknown key {}", shown(key));
        let here = if path.is_empty() { "the manifest".to_owned() } else { path.join(".") };
        let help = if key == "<<" {
            "merge keys are not read: write the keys out".to_owned()
        } else if let Some(near) = known.meant(key) {
            format!("did you mean {near}?")
        } else if let Some(place) = self.elsewhere(path, key) {
            format!("{key} belongs below {place}:")
        } else if known.is_empty() {
            "remove it".to_owned()
        } else {
            format!("the keys here are {}", either(&known.names()).replace(" or ", " and "))
        };
        wrong(codes::UNKNOWN_KEY, title, format!("{} has no such key", shown(&here)), help)
    }

    /// The section or object that has a key of that name, preferably one below the path.
    fn elsewhere(&self, path: &[String], key: &str) -> Option<String> {
        let own = path.join(".");
        let sections = self.tables.sections.iter().filter(|section| !section.path.is_empty());
        let places = sections.flat_map(|section| {
            let keys = flat(section.fields).into_iter();
            let parents = keys.filter_map(|(dotted, _)| match dotted.rsplit_once('.') {
                Some((parent, last)) => (last == key).then(|| format!("{}.{parent}", section.path)),
                None => (dotted == key).then(|| section.path.to_owned()),
            });
            parents.collect::<Vec<_>>()
        });
        let places: Vec<String> = places.collect();
        let below = places.iter().find(|place| !own.is_empty() && place.starts_with(&format!("{own}.")));
        below.or(places.first()).cloned()
    }

    fn field(&mut self, place: &Place<'_>, field: &'static Field, names: &[String], node: &Node) {
        let key = format!("{}{}", place.prefix, field.key);
        match (&field.ty, node) {
            (Type::Map { .. } | Type::Object(_) | Type::Named { .. } | Type::List { .. }, Node::Null) => {}
            (ty, Node::Null) if !matches!(ty, Type::Any) => {
                let help = "remove the key to leave the setting as it is, or write a value";
                let title = format!("{} has no value", shown(field.key));
                let wrong = wrong(codes::WRONG_TYPE, title, "a key without a value means nothing", help);
                self.report.value(names, wrong);
                self.refuse(place, field);
            }
            (Type::Object(fields), Node::Map(entries)) => {
                let found = self.entries(names, entries, Some(&Keys { fields, inner: &[] }));
                let prefix = format!("{key}.");
                self.fields(&Place { section: place.section, prefix: &prefix, names }, fields, &found);
            }
            (Type::Map { max }, Node::Map(entries)) => {
                self.map(place.section, &key, field, names, entries, *max)
            }
            (Type::Named { max, fields }, Node::Map(entries)) => {
                self.too_many(field, names, "names", entries.len(), *max);
                for (at, (name, node)) in self.entries(names, entries, None).nodes.into_iter().enumerate() {
                    let leaves_before = self.out.leaves.len();
                    let (key, names) = (format!("{key}.{name}"), extend(names, name));
                    let refused = || not_a_mapping(name, node, &shape(fields, &[]));
                    self.item((place.section, &key), &names, fields, node, &refused);
                    self.end_entry(at, *max, leaves_before);
                }
            }
            (Type::List { max, fields }, Node::List(items)) => {
                self.too_many(field, names, "entries", items.len(), *max);
                for (at, node) in items.iter().enumerate() {
                    let leaves_before = self.out.leaves.len();
                    let (key, names) = (format!("{key}.{at}"), extend(names, &at.to_string()));
                    let refused = || not_an_entry(field.key, node, &shape(fields, &[]));
                    self.item((place.section, &key), &names, fields, node, &refused);
                    self.end_entry(at, *max, leaves_before);
                }
            }
            (Type::Map { .. } | Type::Object(_) | Type::Named { .. }, _) => {
                self.report.value(names, wrong_shape(field.key, &field.ty, field.secret, node));
                self.refuse(place, field);
            }
            (Type::Set(words), Node::List(items)) => {
                let input = self.set(field, names, items, words).unwrap_or(Input::Refused);
                self.leaf(place.section, key, names, field, input);
            }
            // No reference brings a list, so this is wrong whatever the value of one in it is.
            (Type::Set(_), Node::Text(_)) => {
                if let Err(wrong) = from_node(field.key, &field.ty, node, field.secret) {
                    self.report.value(names, wrong);
                }
                self.refuse(place, field);
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
                        self.refuse(place, field);
                    }
                    Ok(()) => self.leaf(place.section, key, names, field, Input::Code(text.clone())),
                    Err((reason, help)) => {
                        let title = format!("{} is not a usable path", shown(field.key));
                        self.report.value(names, wrong(codes::FILE_REFUSED, title, reason, help));
                        self.refuse(place, field);
                    }
                }
            }
            _ => {
                let input = self.scalar(field.key, field, &field.ty, names, node).unwrap_or(Input::Refused);
                self.leaf(place.section, key, names, field, input);
            }
        }
    }

    /// One of the mappings of a field that has several of them. `refused`: the fault of a node that is no mapping.
    fn item(
        &mut self,
        (section, key): (&'static str, &str),
        names: &[String],
        fields: &'static [Field],
        node: &Node,
        refused: &dyn Fn() -> Wrong,
    ) {
        let prefix = format!("{key}.");
        let place = Place { section, prefix: &prefix, names };
        let found = match node {
            Node::Null => Found::default(),
            Node::Map(entries) => self.entries(names, entries, Some(&Keys { fields, inner: &[] })),
            _ => {
                self.report.value(names, refused());
                return fields.iter().for_each(|field| self.refuse(&place, field));
            }
        };
        self.fields(&place, fields, &found);
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
        let Field { ty, secret, lines, .. } = *field;
        self.out.leaves.push(Leaf { section, key, names, ty, secret, lines, input });
    }

    fn too_many(&mut self, field: &Field, names: &[String], what: &str, count: usize, max: usize) {
        if count > max {
            let title = format!("{} has too many {what}", shown(field.key));
            let reason = format!("has {count}, at most {max} are allowed");
            self.report.key(names, wrong(codes::OUT_OF_RANGE, title, reason, "remove some"));
        }
    }

    /// Ends an entry of a mapping that may have `max` of them. A text of a megabyte can have a hundred thousand: of those
    /// past the limit only the references are kept, which are still to be checked.
    fn end_entry(&mut self, at: usize, max: usize, leaves_before: usize) {
        if at >= max {
            let past = self.out.leaves.split_off(leaves_before);
            self.out.leaves.extend(past.into_iter().filter(|leaf| !leaf.texts().is_empty()));
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
        self.too_many(field, names, "names", entries.len(), max);
        for (at, (name, node)) in self.entries(names, entries, None).nodes.into_iter().enumerate() {
            let leaves_before = self.out.leaves.len();
            let names = extend(names, name);
            let input = match node {
                Node::Null => {
                    let title = format!("{} has no value", shown(name));
                    let help = "write a value, or remove the name";
                    self.report.value(&names, wrong(codes::WRONG_TYPE, title, "text is needed", help));
                    None
                }
                node => self.scalar(name, field, &field.ty, &names, node),
            };
            let input = input.unwrap_or(Input::Refused);
            self.leaf(section, format!("{key}.{name}"), &names, field, input);
            self.end_entry(at, max, leaves_before);
        }
    }

    /// One value of a field, or of an entry of the field that has a key of its own.
    fn scalar(
        &mut self,
        key: &str,
        field: &Field,
        ty: &Type,
        names: &[String],
        node: &Node,
    ) -> Option<Input> {
        let secret = field.secret;
        let mut node = node.clone();
        if let Node::Text(text) = &node {
            let pieces = self.pieces(names, text)?;
            if pieces.iter().any(|piece| matches!(piece, Piece::Ref(_))) {
                return Some(Input::Text(pieces));
            }
            // A text without references is one literal, with every `$${` already replaced.
            let literal: String = pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Ref(_) => String::new(),
                })
                .collect();
            if secret {
                return self.secret_literal(key, field, names, literal);
            }
            if let Some(ch) = control(&literal).filter(|_| !field.lines) {
                self.report.value(names, control_in_text(key, ch));
                return None;
            }
            node = Node::Text(literal);
        }
        // Words that nobody is going to read cost time too: without a quote of the text, they are few.
        match from_node(key, ty, &node, secret || self.report.is_full()) {
            Ok((json, warning)) => {
                if let Some(warning) = warning {
                    self.report.value(names, warning);
                }
                Some(Input::Known(json))
            }
            Err(mut wrong) => {
                // Show the number as it is written (`6.20`), not as it was read.
                if lacks_quotes(ty, &node) && !secret {
                    let source = self.report.source;
                    let written = source.text.get(source.range(names, false)).unwrap_or_default();
                    wrong.help = format!("put it in quotes: \"{}\"", shown(written));
                }
                self.report.value(names, wrong);
                None
            }
        }
    }

    /// A literal in a field for secrets. A SID in a mapping of secrets is accepted, because it is an address and not
    /// secret; every other secret has to come from outside.
    fn secret_literal(
        &mut self,
        key: &str,
        field: &Field,
        names: &[String],
        literal: String,
    ) -> Option<Input> {
        if matches!(field.ty, Type::Map { .. }) && is_sid(&literal) {
            return Some(Input::Public(literal));
        }
        if names_a_file(&literal) {
            let title = format!("{} is the name of a file, and not what is in it", shown(key));
            let help = format!("write ${{file.{}}}", literal.trim_start_matches("./"));
            let reason = "the value itself is needed here";
            self.report.value(names, wrong(codes::SECRET_IN_CLEAR, title, reason, help));
            return None;
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

    fn set(
        &mut self,
        field: &'static Field,
        names: &[String],
        items: &[Node],
        words: &'static [&str],
    ) -> Option<Input> {
        let key = field.key;
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
            match self.scalar(key, field, &ty, &names, item) {
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

/// The fault of an entry that a set has already.
pub fn repeat_in_set(key: &str, word: &str) -> Wrong {
    let title = format!("{} has an entry twice", shown(key));
    wrong(
        codes::NOT_ALLOWED,
        title,
        format!("{} is in the list already", shown(word)),
        "remove one of the two",
    )
}

/// Whether a text looks like the name of a file of keys, so that the file's content is meant. No secret looks like
/// that.
fn names_a_file(text: &str) -> bool {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '_' | '-' | '/');
    let ends = [".pem", ".key", ".p8", ".txt", ".json", ".crt", ".cer", ".secret", ".token"];
    text.len() <= 255
        && text.chars().all(plain)
        && ends.iter().any(|end| text.len() > end.len() && text.ends_with(end))
}

/// The first control character, which does not belong in a text of one line.
pub fn control(text: &str) -> Option<char> {
    text.chars().find(|ch| ch.is_control())
}

fn has_control(text: &str) -> bool {
    control(text).is_some()
}

/// A control character's name for people.
pub fn called(ch: char) -> String {
    match ch {
        '\n' | '\r' => "a line break".into(),
        '\t' => "a tab".into(),
        '\0' => "a NUL character".into(),
        ch => format!("the control character U+{:04X}", u32::from(ch)),
    }
}

fn control_in_text(key: &str, ch: char) -> Wrong {
    let title = format!("{} is not valid", shown(key));
    let reason = format!("has {} in it", called(ch));
    wrong(codes::BAD_TEXT, title, reason, "write it on one line, without control characters")
}

fn control_in_name(name: &str, ch: char) -> Wrong {
    let title = format!("the name {} is not valid", shown(name));
    wrong(codes::BAD_TEXT, title, format!("has {} in it", called(ch)), "choose another name")
}

fn is_sid(text: &str) -> bool {
    let digits = text.strip_prefix("AC").or_else(|| text.strip_prefix("VA")).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A suggested name of an environment variable for a key.
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

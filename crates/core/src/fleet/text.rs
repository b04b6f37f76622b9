//! The manifest of one tenant as a text, with the origin of each line.

use std::collections::BTreeMap;

use super::table::{self, Tenant};
use super::tree::{Origin, Tree, Value};
use crate::diag::Span;
use crate::manifest::Tables;
use crate::manifest::yaml::{self, Node};
use crate::model::field::{Field, Type};

/// A text and where each part of it comes from.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    pub text: String,
    /// One for each line of the text.
    pub lines: Vec<Line>,
    /// Columns that a value names and the table does not have: where, and the name.
    pub unknown: Vec<(Origin, String)>,
    /// Dotted paths that an overlay removed, and where.
    pub removed: BTreeMap<String, Origin>,
}

/// Where a line comes from.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub key: Option<Origin>,
    pub value: Option<Origin>,
    /// Byte of the text at which the value begins.
    value_from: usize,
    /// The columns of the table from which the value comes.
    pub columns: Vec<String>,
}

impl Rendered {
    /// The origin of a place in the text, and the columns of the table that the value there is made of.
    pub fn origin(&self, span: &Span) -> Option<(&Origin, &[String])> {
        let line = self.lines.get(span.line.checked_sub(1)?)?;
        match (&line.key, &line.value) {
            (_, Some(value)) if span.start >= line.value_from => Some((value, &line.columns)),
            (Some(key), _) => Some((key, &[])),
            (None, value) => value.as_ref().map(|value| (value, line.columns.as_slice())),
        }
    }
}

/// The text of a tree with the tenant's values in it.
pub fn render(tree: &Tree, removed: BTreeMap<String, Origin>, tenant: &Tenant, tables: &Tables) -> Rendered {
    let mut writer =
        Writer { out: Rendered { removed, ..Rendered::default() }, tenant, tables, names: Vec::new() };
    match &tree.value {
        Value::Map(members) => writer.map(members, 0),
        _ => writer.scalar_line("", None, tree),
    }
    writer.out
}

struct Writer<'a> {
    out: Rendered,
    tenant: &'a Tenant,
    tables: &'a Tables,
    names: Vec<String>,
}

impl Writer<'_> {
    /// The depth of decoded texts is bounded, so the recursion ends.
    fn map(&mut self, members: &[(String, Origin, Tree)], depth: usize) {
        for (key, at, tree) in members {
            self.names.push(key.clone());
            let head = format!("{}{}:", "  ".repeat(depth), quoted(key));
            self.below(&head, Some(at), tree, depth + 1);
            self.names.pop();
        }
    }

    /// A key or a dash, and what stands behind or below it.
    fn below(&mut self, head: &str, at: Option<&Origin>, tree: &Tree, depth: usize) {
        match &tree.value {
            Value::Map(members) if !members.is_empty() => {
                self.line(head, Some(at.unwrap_or(&tree.at).clone()), None, "", Vec::new());
                self.map(members, depth);
            }
            Value::List(items) if !items.is_empty() => {
                self.line(head, Some(at.unwrap_or(&tree.at).clone()), None, "", Vec::new());
                for (position, item) in items.iter().enumerate() {
                    self.names.push(position.to_string());
                    let dash = format!("{}-", "  ".repeat(depth));
                    self.below(&dash, None, item, depth + 1);
                    self.names.pop();
                }
            }
            _ => self.scalar_line(head, at, tree),
        }
    }

    fn scalar_line(&mut self, head: &str, at: Option<&Origin>, tree: &Tree) {
        let (value, columns) = match &tree.value {
            Value::Map(_) => ("{}".to_owned(), Vec::new()),
            Value::List(_) => ("[]".to_owned(), Vec::new()),
            Value::Scalar(Node::Null) => (String::new(), Vec::new()),
            Value::Scalar(Node::Text(text)) => self.text(text, &tree.at),
            Value::Scalar(Node::Bool(yes)) => (yes.to_string(), Vec::new()),
            Value::Scalar(Node::Int(number)) => (number.to_string(), Vec::new()),
            Value::Scalar(Node::Float(number)) => (number.to_string(), Vec::new()),
            Value::Scalar(Node::List(_) | Node::Map(_)) => (String::new(), Vec::new()),
        };
        self.line(head, at.cloned(), Some(tree.at.clone()), &value, columns);
    }

    fn line(
        &mut self,
        head: &str,
        key: Option<Origin>,
        value: Option<Origin>,
        text: &str,
        columns: Vec<String>,
    ) {
        let gap = if head.is_empty() || text.is_empty() { "" } else { " " };
        let value_from = self.out.text.len() + head.len() + gap.len();
        self.out.text.push_str(&format!("{head}{gap}{text}\n"));
        self.out.lines.push(Line { key, value, value_from, columns });
    }

    /// A text with the tenant's values in it, as YAML, and the columns that they come from.
    fn text(&mut self, text: &str, at: &Origin) -> (String, Vec<String>) {
        let filled = table::fill(text, self.tenant);
        self.out.unknown.extend(filled.unknown.into_iter().map(|name| (at.clone(), name)));
        let is_plain = filled.is_whole && self.takes_plain();
        let value = if is_plain { filled.text } else { quoted(&filled.text) };
        (value, filled.columns)
    }

    /// Whether the field of this path takes a number or a truth value, so that a cell is written without quotes.
    fn takes_plain(&self) -> bool {
        let section = self
            .tables
            .sections
            .iter()
            .filter_map(|section| {
                let path: Vec<&str> = section.path.split('.').filter(|name| !name.is_empty()).collect();
                let fits = path.iter().zip(&self.names).all(|(part, name)| part == name);
                (fits && path.len() < self.names.len()).then_some((path.len(), section.fields))
            })
            .max_by_key(|(length, _)| *length);
        section.is_some_and(|(length, fields)| is_plain(fields, &self.names[length..]))
    }
}

/// The tables are static, so the recursion ends.
fn is_plain(fields: &[Field], names: &[String]) -> bool {
    let Some((first, rest)) = names.split_first() else { return false };
    fields.iter().filter(|field| field.key == first).any(|field| match field.ty {
        Type::Int { .. } | Type::Bool => rest.is_empty(),
        Type::Object(inner) => is_plain(inner, rest),
        Type::Named { fields, .. } | Type::List { fields, .. } => {
            is_plain(fields, rest.get(1..).unwrap_or_default())
        }
        _ => false,
    })
}

/// A text as YAML reads it back: without quotes where that is the same.
fn quoted(text: &str) -> String {
    let is_one_line =
        !text.contains(|ch: char| ch.is_control() || matches!(ch, '\u{85}' | '\u{2028}' | '\u{2029}'));
    match is_one_line && !text.is_empty() && !yaml::needs_quotes(text) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

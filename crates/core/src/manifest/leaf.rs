//! One attribute of the manifest, whose text is parsed and whose value is not known yet.

use serde_json::Value as Json;

use super::expr::Piece;
use crate::model::field::Type;

/// One attribute of a section, checked as far as its text allows.
#[derive(Debug)]
pub struct Leaf {
    /// Dotted path of the section; empty for the root.
    pub section: &'static str,
    /// Dotted key inside the section.
    pub key: String,
    /// Names from the root to the value.
    pub names: Vec<String>,
    pub ty: Type,
    pub secret: bool,
    /// Whether its text may have several lines.
    pub lines: bool,
    pub input: Input,
}

/// Content of the manifest for a leaf.
#[derive(Debug)]
pub enum Input {
    /// A literal of the right type; a set is sorted.
    Known(Json),
    /// A literal in a field for secrets that is not confidential (a SID).
    Public(String),
    /// Text with at least one reference.
    Text(Vec<Piece>),
    /// A set with at least one reference among its items.
    List(Vec<Vec<Piece>>),
    /// `builtin:NAME` or a relative path.
    Code(String),
    /// The content was refused and the problem reported. Later checks take the value for an unknown one.
    Refused,
}

impl Leaf {
    /// The dotted name by which a reference reaches the leaf.
    pub fn name(&self) -> String {
        match self.section {
            "" => self.key.clone(),
            section => format!("{section}.{}", self.key),
        }
    }

    /// Every text with references: the path of its value as names, and its pieces.
    pub fn texts(&self) -> Vec<(Vec<String>, &[Piece])> {
        match &self.input {
            Input::Known(_) | Input::Public(_) | Input::Code(_) | Input::Refused => Vec::new(),
            Input::Text(pieces) => vec![(self.names.clone(), pieces)],
            Input::List(items) => items
                .iter()
                .enumerate()
                .map(|(at, pieces)| (extend(&self.names, &at.to_string()), pieces.as_slice()))
                .collect(),
        }
    }
}

/// A path with one more name.
pub fn extend(names: &[String], name: &str) -> Vec<String> {
    let mut longer = names.to_vec();
    longer.push(name.to_owned());
    longer
}

//! Where a field of a resource is said in the text, for reports.

use super::{Source, places};
use crate::model::address::Address;
use crate::model::manifest::Manifest;

/// A place in a manifest's file. Line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Dotted path of the key, `verify_service.code_length`.
    pub key: String,
    /// The text has the key. Otherwise its value is a default, and line and column are those of what it would stand in.
    pub is_written: bool,
}

/// Where the manifest says a field of a resource. `None`: no key says it, the value follows from the stack itself.
pub fn position_of(source: &Source, manifest: &Manifest, address: &Address, field: &str) -> Option<Position> {
    Some(of_key(source, places::place(manifest, address, field)?, false))
}

/// Where the text has a key, or what it would stand in.
pub fn position_at(source: &Source, key: &str) -> Position {
    of_key(source, key.to_owned(), false)
}

/// Where the manifest names a resource: at the key of its section, or of its name in one, or of what they would stand in.
pub fn position_of_resource(source: &Source, address: &Address) -> Position {
    of_key(source, places::of_resource(address), true)
}

fn of_key(source: &Source, key: String, on_key: bool) -> Position {
    let (names, is_written) = source.spans().names(&key);
    let start = source.range(&names, on_key || !is_written).start;
    let (line, column) = source.line_and_column(start);
    Position { file: source.file.clone(), line, column, key, is_written }
}

//! The manifest's JSON Schema, and the line by which an editor finds it.

/// Name of the schema's file beside a manifest that is not in this repository: `lockstep schema manifest > FILE`.
pub const FILE: &str = "lockstep.schema.json";

/// The first line of a manifest, which tells the editor's language server where the schema is: a path as seen from the
/// manifest, or a URL.
pub fn modeline(schema: &str) -> String {
    format!("# yaml-language-server: $schema={schema}\n")
}

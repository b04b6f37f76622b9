//! Makes the desired state from the text of a manifest, with the tables of this build and the checks of its kinds.

use crate::kinds::{self, Resource};
use crate::manifest::{self, Missing, Rejected, Sources, Tables};
use crate::model::manifest::Manifest;

/// The sections, fields and outputs that this build knows.
pub fn tables() -> Tables {
    Tables::new(kinds::sections(), kinds::OUTPUTS.iter().copied())
}

/// The manifest with its values, if it has no errors.
///
/// # Errors
/// All problems, in the order of the text.
pub fn manifest(file: &str, text: &str, sources: &dyn Sources) -> Result<Manifest, Rejected> {
    let parsed = manifest::read(file, text, &tables())?;
    let examined = manifest::examine(&parsed, sources, Missing::Error, &kinds::check);
    match examined.has_errors() {
        true => Err(Rejected { source: examined.source, diagnostics: examined.diagnostics }),
        false => Ok(examined.manifest),
    }
}

/// The resources that a manifest declares, in order of kind and address.
pub fn declared(manifest: &Manifest) -> Vec<Resource> {
    kinds::KINDS.iter().flat_map(|kind| kind.declare(manifest)).collect()
}

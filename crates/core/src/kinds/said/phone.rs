//! How the tenant sends phone messages, as the manifest says it.

use crate::model::manifest::Manifest;

/// The section.
pub const SECTION_PATH: &str = "phone";
/// Name of the kind, and address, of the unified phone experience.
pub const UNIFIED: &str = "unified_phone";

/// Delivery methods of the channels: the provider says `text` where everybody else says `sms`.
pub fn methods(manifest: &Manifest) -> Vec<&'static str> {
    let mut methods: Vec<&str> = manifest
        .set(SECTION_PATH, "channels")
        .iter()
        .map(|channel| if channel == "voice" { "voice" } else { "text" })
        .collect();
    methods.sort_unstable();
    methods
}

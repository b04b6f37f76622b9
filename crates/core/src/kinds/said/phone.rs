//! The manifest's section about how the tenant sends phone messages.

use crate::model::manifest::Manifest;

/// Path of the section.
pub const SECTION_PATH: &str = "phone";
/// The name of the kind for the switch of the unified phone experience, which is also the address of its resource.
pub const UNIFIED: &str = "unified_phone";

/// The delivery methods of the phone provider for the manifest's channels, sorted. The provider's word for `sms` is
/// `text`.
pub fn methods(manifest: &Manifest) -> Vec<&'static str> {
    let mut methods: Vec<&str> = manifest
        .set(SECTION_PATH, "channels")
        .iter()
        .map(|channel| if channel == "voice" { "voice" } else { "text" })
        .collect();
    methods.sort_unstable();
    methods
}

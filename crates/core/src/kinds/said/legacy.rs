//! The legacy phone set-up in the manifest, and how a stack leaves it.

use crate::kinds::{Leaving, Until};
use crate::model::manifest::Manifest;

/// How long the legacy Action and its binding stay after a migration, in ms. Logins that have begun end within minutes.
/// A day leaves people time to look before the way back is gone.
const RETIRE_AFTER_MS: u64 = 24 * 3_600_000;

/// Whether the manifest asks for delivery by the legacy set-up.
pub fn is_legacy(manifest: &Manifest) -> bool {
    manifest.text("phone", "delivery") == Some("legacy")
}

/// What happens to a part of the legacy set-up that the manifest no longer declares. If unified delivery takes its
/// place, the removal is deferred; otherwise it is removed like everything else.
pub fn retires(manifest: &Manifest) -> Leaving {
    match manifest.text("phone", "delivery") {
        Some("unified") => Leaving::Deferred { wait_ms: RETIRE_AFTER_MS, until: Until::Delivered },
        _ => Leaving::Removed,
    }
}

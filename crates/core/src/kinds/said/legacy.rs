//! What is special about the legacy phone set-up, and about leaving it.

use crate::kinds::Leaving;
use crate::model::manifest::Manifest;

/// How long the legacy Action and its binding stay after a migration: logins that have begun end within minutes, and
/// a day leaves room to look, before the way back is gone.
const RETIRE_AFTER_MS: u64 = 24 * 3_600_000;

/// Whether the manifest asks for the legacy way.
pub fn is_legacy(manifest: &Manifest) -> bool {
    manifest.text("phone", "delivery") == Some("legacy")
}

/// What the unified way takes the place of goes later; without it, like everything else.
pub fn retires(manifest: &Manifest) -> Leaving {
    match manifest.text("phone", "delivery") {
        Some("unified") => Leaving::Deferred { wait_ms: RETIRE_AFTER_MS },
        _ => Leaving::Removed,
    }
}

//! The reads of the tenant's own settings and of the settings of its login pages.

use serde_json::Value as Json;

use super::read::{READ, Read, Shape};

/// The read of the tenant's settings. A reply that is not empty always has one of these keys (recorded 2025 to 2026).
pub static SETTINGS: Read = Read {
    path: "/api/v2/tenants/settings",
    shape: Shape::Sparse,
    expects: &["flags", "enabled_locales", "sandbox_version", "session_lifetime", "friendly_name"],
    ..READ
};

/// The read of the settings of the login pages.
pub static PROMPTS: Read = Read { path: "/api/v2/prompts", expects: &["universal_login_experience"], ..READ };

/// Whether the unified phone experience is on. `None`: the settings do not say it.
pub fn unified(settings: &Json) -> Option<bool> {
    settings.get("phone_consolidated_experience").and_then(Json::as_bool)
}

//! The legacy phone set-up of Guardian: the provider that sends, and its message texts.
//!
//! While the unified phone experience is on, Auth0 refuses all of these calls, whatever scopes the token has: with 403 by
//! its documents ("Auth0 docs, migrate with Terraform", 2026-08). `looks::unified` tells this refusal from others.

use serde_json::Value as Json;

use super::read::{self, READ, Read};
use crate::kinds::text;
use crate::model::call::Failed;

/// The read of the provider that sends. If the tenant's settings do not say whether the unified phone experience is on,
/// the outcome of this read tells it.
pub static SELECTED: Read = Read {
    path: "/api/v2/guardian/factors/phone/selected-provider",
    expects: &["provider"],
    may_be_empty: true,
    ..READ
};

/// The provider that hands codes to the Action on `send-phone-message`.
pub const HOOK: &str = "phone-message-hook";

/// The provider of a tenant that never chose one ("Auth0 docs, legacy phone factor", 2026-08).
pub const NEVER_CHOSEN: &str = "auth0";

/// The read of the message texts.
pub static TEMPLATES: Read = Read {
    path: "/api/v2/guardian/factors/phone/templates",
    expects: &["enrollment_message", "verification_message"],
    may_be_empty: true,
    ..READ
};

/// The provider that the reply to [`SELECTED`] names. In an empty reply, it is [`NEVER_CHOSEN`].
///
/// # Errors
/// The reply has another shape.
pub fn provider(reply: &Json) -> Result<&str, Failed> {
    match read::is_empty(reply) {
        true => Ok(NEVER_CHOSEN),
        false => Ok(text(SELECTED.shaped(reply)?, "provider")),
    }
}

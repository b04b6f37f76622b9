//! The legacy phone set-up of Guardian: which provider sends, and its message texts.
//!
//! With the unified experience on, all of these calls answer 403, whatever the scopes.

use serde_json::Value as Json;

use super::read::{self, READ, Read};
use crate::kinds::text;
use crate::model::call::Failed;

/// Who sends; also the probe for the unified flag.
pub static SELECTED: Read = Read {
    path: "/api/v2/guardian/factors/phone/selected-provider",
    expects: &["provider"],
    may_be_empty: true,
    ..READ
};

/// The provider that hands codes to the Action on `send-phone-message`.
pub const HOOK: &str = "phone-message-hook";

/// What a tenant sends by that never chose ("Auth0 docs, legacy phone factor", 2026-08).
pub const NEVER_CHOSEN: &str = "auth0";

/// The message texts.
pub static TEMPLATES: Read = Read {
    path: "/api/v2/guardian/factors/phone/templates",
    expects: &["enrollment_message", "verification_message"],
    may_be_empty: true,
    ..READ
};

/// The provider that a reply names.
///
/// # Errors
/// It is no such reply.
pub fn provider(reply: &Json) -> Result<&str, Failed> {
    match read::is_empty(reply) {
        true => Ok(NEVER_CHOSEN),
        false => Ok(text(SELECTED.shaped(reply)?, "provider")),
    }
}

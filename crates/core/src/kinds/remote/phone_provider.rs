//! The reads of the tenant's phone provider.

use crate::model::call::{Api, Get};

/// The path at which phone providers are listed and created.
pub const PATH: &str = "/api/v2/branding/phone/providers";

/// The list of phone providers. A tenant has at most one.
pub fn list() -> Get {
    Get::whole(Api::Auth0, PATH)
}

//! The tenant's phone provider: how it is read.

use crate::model::call::{Api, Get};

/// The list, and where the provider is made.
pub const PATH: &str = "/api/v2/branding/phone/providers";

/// The one read of the singleton.
pub fn list() -> Get {
    Get::whole(Api::Auth0, PATH)
}

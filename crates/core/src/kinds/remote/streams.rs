//! Log streams: how they are read.

use crate::model::call::{Api, Get};

/// The list, and where streams are made.
pub const PATH: &str = "/api/v2/log-streams";

/// The streams of the tenant.
pub fn list() -> Get {
    Get::whole(Api::Auth0, PATH)
}

/// One of them.
pub fn one(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("{PATH}/{id}"))
}

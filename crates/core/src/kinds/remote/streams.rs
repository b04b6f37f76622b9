//! The reads of log streams.

use crate::model::call::{Api, Get};

/// The path at which log streams are listed and created.
pub const PATH: &str = "/api/v2/log-streams";

/// The list of the tenant's log streams.
pub fn list_streams() -> Get {
    Get::whole(Api::Auth0, PATH)
}

/// The read of one log stream.
pub fn read_stream(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("{PATH}/{id}"))
}

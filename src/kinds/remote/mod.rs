//! What several kinds need of a remote resource: its reads, and what a reply says. One file per resource.

pub mod serverless;
pub mod streams;
pub mod verify_below;
pub mod verify_service;

//! What several kinds need of a remote resource: its reads, and what a reply says. One file per resource.

pub mod actions;
pub mod bindings;
pub mod factors;
pub mod legacy;
pub mod phone_provider;
pub mod read;
pub mod serverless;
pub mod streams;
pub mod tenant;
pub mod verify_below;
pub mod verify_service;

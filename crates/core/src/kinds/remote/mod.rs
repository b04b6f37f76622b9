//! Remote resources that several kinds need: how each is read, and what a reply says. There is one file for each
//! resource.

pub mod actions;
pub mod bindings;
pub mod clients;
pub mod factors;
pub mod legacy;
pub mod phone_provider;
pub mod read;
pub mod serverless;
pub mod streams;
pub mod tenant;
pub mod verify_below;
pub mod verify_service;
pub mod versions;

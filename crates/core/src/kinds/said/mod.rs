//! What several kinds need of the manifest: names and paths of sections, and what sections mean together.

pub mod actions;
pub mod code_limits;
pub mod function;
pub mod legacy;
pub mod login_feedback;
pub mod passwordless;
pub mod phone;
pub mod rate_limits;
pub mod rules;
pub mod streams;
pub mod verify_service;

//! What is read of more than one resource: which object is meant, and what has to stand right before a write.

pub mod handed_on;
pub mod limits;
pub mod trace;
pub mod verify_below;
pub mod verify_service;

//! Reads that involve more than one resource: they find out which object is meant, or check right before a write that
//! everything it depends on is in place.

pub mod delivery;
pub mod handed_on;
pub mod limits;
pub mod rules;
pub mod sender;
pub mod switches;
pub mod trace;
pub mod unified;
pub mod verify_below;
pub mod verify_service;

use serde_json::Value as Json;

use super::{Run, Task};
use crate::model::call::{Failed, Get};
use crate::port::Reader;

/// One check of an object.
pub struct Check {
    /// The object in words.
    pub what: &'static str,
    /// The read of the object.
    pub get: Get,
    /// What the test compares the reply with, such as an id.
    pub expected: String,
    /// The test. It is given the reply and `expected`.
    pub holds: fn(&Json, &str) -> bool,
}

/// A check right before a write that lets users meet something new. It reads again what the write depends on, and fails
/// with what no longer holds.
pub type Ready = for<'a> fn(&'a Run<'a>, &'a Reader) -> Task<'a, Result<(), Failed>>;

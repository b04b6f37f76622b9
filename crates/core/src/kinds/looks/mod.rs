//! Reads that involve more than one resource. Some find out which object is meant. Others run right before a write, and
//! check that everything that the write depends on is in place.

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
    /// The text that `holds` compares the reply with, for example an id.
    pub expected: String,
    /// Whether the object is as it should be. The arguments are the reply and `expected`.
    pub holds: fn(&Json, &str) -> bool,
}

/// A check that runs right before a write which exposes users to something new. The check reads again what the write
/// depends on. If something no longer holds, the failure names it.
pub type Ready = for<'a> fn(&'a Run<'a>, &'a Reader) -> Task<'a, Result<(), Failed>>;

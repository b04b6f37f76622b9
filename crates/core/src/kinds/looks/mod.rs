//! What is read of more than one resource: which object is meant, and what has to stand right before a write.

pub mod delivery;
pub mod handed_on;
pub mod limits;
pub mod rules;
pub mod switches;
pub mod trace;
pub mod unified;
pub mod verify_below;
pub mod verify_service;

use serde_json::Value as Json;

use super::{Run, Task};
use crate::model::call::{Failed, Get};
use crate::port::Reader;

/// What is looked at, how, a word for the test, and the test of the reply.
pub type Look = (&'static str, Get, String, fn(&Json, &str) -> bool);

/// A re-read right before an exposing write; fails with what does not hold any more.
pub type Ready = for<'a> fn(&'a Run<'a>, &'a Reader) -> Task<'a, Result<(), Failed>>;

//! The reads of the tenant's settings, and the shape that a reply needs before it is believed.

use serde_json::{Map, Value as Json};

use crate::kinds::{array, object};
use crate::model::call::{Api, Failed, Get};

/// A read whose reply has the value of a setting.
pub struct Read {
    pub path: &'static str,
    pub shape: Shape,
    /// Keys of which an object needs at least one; a reply without any of them is not believed. [`Shape::Object`] and
    /// [`Shape::Sparse`] use this list, and the other shapes ignore it.
    pub expects: &'static [&'static str],
    /// Whether a reply may have no content, which means that nobody has ever set the value. Callers must look for such
    /// a reply with [`is_empty`] before they call [`Read::shaped`].
    pub may_be_empty: bool,
}

/// The usual read. Other reads spell out only what differs (`Read { path: "x", ..READ }`).
pub const READ: Read = Read { path: "", shape: Shape::Object, expects: &[], may_be_empty: false };

/// The shape of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object with at least one of the expected keys.
    Object,
    /// Like `Object`, but the object may also be empty, because the API leaves out keys that were never set.
    Sparse,
    /// A list of words, which may be empty.
    Words,
    /// A list of objects of which at least one has a name.
    Named,
}

impl Read {
    pub fn get(&self) -> Get {
        match self.may_be_empty {
            false => Get::whole(Api::Auth0, self.path),
            true => Get::whole_or_nothing(Api::Auth0, self.path),
        }
    }

    /// Returns the reply unchanged if it has the shape that this endpoint's replies have.
    ///
    /// # Errors
    /// The reply has another shape ([`Failed::Misread`]).
    pub fn shaped<'a>(&self, reply: &'a Json) -> Result<&'a Json, Failed> {
        let what = format!("GET {}", self.path);
        let misread = |what: String| Err(Failed::Misread(what));
        match self.shape {
            Shape::Object | Shape::Sparse => {
                let reply = object(reply, &what)?;
                let empty = reply.as_object().is_none_or(Map::is_empty);
                let known = self.expects.iter().any(|key| reply.get(key).is_some());
                match known || (empty && self.shape == Shape::Sparse) {
                    true => Ok(reply),
                    false => misread(format!("{what}: none of {} in the reply", self.expects.join(", "))),
                }
            }
            Shape::Words if reply.as_array().is_some_and(|words| words.iter().all(Json::is_string)) => {
                Ok(reply)
            }
            Shape::Words => misread(format!("{what}: not a list of words")),
            Shape::Named if array(reply, &what)?.iter().any(|entry| entry["name"].is_string()) => Ok(reply),
            Shape::Named => misread(format!("{what}: no entry of the list has a name")),
        }
    }
}

/// Whether a reply has no content or is an empty object.
pub fn is_empty(reply: &Json) -> bool {
    reply.is_null() || reply.as_object().is_some_and(Map::is_empty)
}

//! The reads of the tenant's settings, and the shape that a reply needs before it is believed.

use serde_json::{Map, Value as Json};

use crate::kinds::{array, object};
use crate::model::call::{Api, Failed, Get};

/// A read whose reply has the value of a setting.
pub struct Read {
    pub path: &'static str,
    pub shape: Shape,
    /// A reply that is an object needs at least one of these keys. Otherwise it is taken for something else.
    pub expects: &'static [&'static str],
    /// A reply without content is valid too, and means that nobody has ever set the value.
    pub may_be_empty: bool,
}

/// The usual read. Other reads spell out only what differs (`Read { path: "x", ..READ }`).
pub const READ: Read = Read { path: "", shape: Shape::Object, expects: &[], may_be_empty: false };

/// The shape of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object that is never empty.
    Object,
    /// An object that may be empty, because keys that were never set may be missing.
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

    /// The reply, if it has the shape of this endpoint.
    ///
    /// # Errors
    /// The reply has another shape, so it is not believed.
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

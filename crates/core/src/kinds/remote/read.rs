//! How a setting of the tenant is read, and what its reply has to look like to be believed.

use serde_json::{Map, Value as Json};

use crate::kinds::{array, object};
use crate::model::call::{Api, Failed, Get};

/// The read that holds a setting.
pub struct Read {
    pub path: &'static str,
    pub shape: Shape,
    /// Keys of which an object has at least one, or it is something else.
    pub expects: &'static [&'static str],
    /// A reply without content is an answer as well: nobody has ever set it.
    pub may_be_empty: bool,
}

/// A read that spells out only what differs (`Read { path: "x", ..READ }`).
pub const READ: Read = Read { path: "", shape: Shape::Object, expects: &[], may_be_empty: false };

/// The shape of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object that is never empty.
    Object,
    /// An object; keys that were never set may be missing.
    Sparse,
    /// A list of words, which may be empty.
    Words,
    /// A list of objects with names, never empty.
    Named,
}

impl Read {
    pub fn get(&self) -> Get {
        match self.may_be_empty {
            false => Get::whole(Api::Auth0, self.path),
            true => Get::whole_or_nothing(Api::Auth0, self.path),
        }
    }

    /// The reply, if it has the shape that the endpoint gives.
    ///
    /// # Errors
    /// It has another one, and is not believed.
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
            Shape::Named => misread(format!("{what}: nothing with a name in the list")),
        }
    }
}

/// Whether a reply is without content or an empty object.
pub fn is_empty(reply: &Json) -> bool {
    reply.is_null() || reply.as_object().is_some_and(Map::is_empty)
}

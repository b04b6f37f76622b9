//! Tests of every managed field of every kind: the request properties that the vendors document, drift and repair,
//! destroy, and recorded replies.
//!
//! The list of fields is generated from the manifest's tables and from what the kinds declare. Each table of the tests
//! is compared with the list, so a new field without a row fails.

pub mod accept;
pub mod around;
pub mod bed;
pub mod below;
pub mod destroy;
pub mod drift;
mod empty;
pub mod function;
mod hostile;
pub mod legacy;
pub mod parts;
mod passwordless;
mod places;
pub mod post_login;
pub mod properties;
mod replies;
pub mod rows;
pub mod sample;
mod spellings;
mod told;
pub mod used;

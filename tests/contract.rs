//! The contract tests, in both directions: every request that Lockstep sends and every reply of the simulator are
//! compared with what is known of the two APIs.
//!
//! For Auth0, the reference is a table of our own, which is always checked. For Twilio, it is the vendor's published
//! descriptions, which are not part of this repository: `LOCKSTEP_CONTRACT` names their folder. Without that variable,
//! the test that needs them is ignored, so that its absence shows. Continuous integration runs it.

mod auth0;
mod calls;
mod rules;
pub mod schema;
mod tour;
mod traffic;
mod twilio;

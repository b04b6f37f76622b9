//! The contract, both ways: every request that Lockstep sends and every reply that the simulator gives, against what is
//! known of the two APIs.
//!
//! For Auth0 that is a table of ours and is checked always. For Twilio it is the vendor's published descriptions, which
//! are not part of this repository: `LOCKSTEP_CONTRACT` tells the folder, and the test that needs it is ignored
//! otherwise, so that its absence shows. Continuous integration runs it.

mod auth0;
mod calls;
mod rules;
mod schema;
mod tour;
mod traffic;
mod twilio;

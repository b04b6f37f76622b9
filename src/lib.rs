//! Lockstep keeps Auth0 phone MFA and Twilio Verify in step.
//!
//! ```text
//! manifest text ─► parse + spans ─► resolve ─► desired ─┐
//!                                                       ├─► plan (pure) ─► proof over every prefix ─► render | save
//! kinds read through a Reader ─► observed + ledger ─────┘        │
//!         engine: handle_input / poll_output ◄─► shell (tokio, reqwest)  or  twin (in memory, virtual time)
//! ```
//!
//! Everything except `shell` and `cli` is the core: it has no sockets, files, clock or randomness of its own.
//! ARCHITECTURE.md explains the design.

pub mod builtin;
pub mod cli;
pub mod diag;
pub mod engine;
pub mod javascript;
pub mod kinds;
pub mod ledger;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod port;
pub mod shell;
pub mod twin;

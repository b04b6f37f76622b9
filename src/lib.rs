//! Lockstep keeps Auth0 phone MFA and Twilio Verify in step.
//!
//! ```text
//! manifest text ─► parse + spans ─► resolve ─► desired ─┐
//!                                                       ├─► plan (pure) ─► proof over every prefix ─► render | save
//! kinds read through a Reader ─► observed + ledger ─────┘        │
//!         engine: handle_input / poll_output ◄─► shell (tokio, reqwest)  or  twin (in memory, virtual time)
//! ```
//!
//! Everything except `shell` and `cli` is in the crates below `crates`: they have no sockets, files, clock or randomness of
//! their own. ARCHITECTURE.md explains the design.

pub use lockstep_core::{
    adopt, builtin, diag, fleet, health, javascript, kinds, ledger, manifest, model, plan, port, report,
};
pub use lockstep_engine as engine;
pub use lockstep_twin as twin;

pub mod cli;
pub mod shell;

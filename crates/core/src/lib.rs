//! All of Lockstep that asks nobody anything: the vocabulary, the manifest, the kinds of resources, the record, and the
//! plan with its proof. No sockets, files, clock or randomness of its own.

pub mod adopt;
pub mod builtin;
pub mod diag;
pub mod fleet;
pub mod health;
pub mod javascript;
pub mod kinds;
pub mod ledger;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod port;
pub mod report;

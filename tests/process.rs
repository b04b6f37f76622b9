//! Tests of the program as its users run it: processes, exit codes, streams, signals, and the built-in twin over HTTP.
//!
//! Everything stays on the loopback interface, every wait has an end, and a process gets only the environment that the
//! test sets.

mod accept;
mod asked;
mod begun;
mod destroyed;
mod doctor;
mod escapes;
mod explained;
mod fleet;
mod http;
mod interrupted;
mod json;
mod killed;
pub mod lab;
mod largest;
mod lease;
mod ledgers;
mod logins;
mod manifests;
mod outputs;
mod pages;
mod readers;
mod reviewed;
mod rivals;
mod rollback;
mod rotated;
mod running;
mod saved_plans;
mod secrets;
mod served;
mod shards;
mod sharing;
mod shells;
mod smoke;
mod snapshots;
mod stores;
mod streams;
mod taken_over;
mod threats;
mod usage;
mod verdicts;
mod waits;
mod watched;

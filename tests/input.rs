//! Tests of bad input: every input from outside is damaged in every way that its form allows. Nothing panics or hangs,
//! no wrong shape is accepted, and memory is bounded.
//!
//! `fuzz/` has the same entry points for a fuzzer, which finds inputs by itself.

mod classes;
mod damage;
mod files;
mod ledgers;
mod manifests;
mod paging;
mod replies;
mod words;

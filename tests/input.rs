//! Bad input, much of it: whatever others can hand in is damaged in every way that its form allows. Nothing panics,
//! nothing hangs, nothing of a wrong shape is believed, and memory is bounded.
//!
//! `fuzz/` holds the same doors for a fuzzer that looks for inputs by itself.

mod damage;
mod files;
mod ledgers;
mod manifests;
mod paging;
mod replies;
mod words;

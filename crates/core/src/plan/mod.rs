//! Makes a plan from desired and observed state. Pure: the same inputs give the same bytes.

pub mod accept;
pub mod build;
pub mod check;
pub mod claims;
pub mod compare;
mod deferred;
pub mod desired;
pub mod digest;
pub mod drift;
mod granted;
mod others;
pub mod render;
mod stays;
mod unfinished;

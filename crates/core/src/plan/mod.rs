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
pub mod explain;
mod granted;
pub mod handed;
mod made_up;
pub mod minted;
mod others;
pub mod rehearsal;
pub mod render;
pub mod rollback;
mod served;
mod stays;
mod unfinished;
pub mod watched;

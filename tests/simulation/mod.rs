//! Tests the laws of the design by simulation: the shipped engine and kinds run against the twin, in virtual time. A
//! seed determines a story (a world, manifests, commands, faults, rivals); equal seeds give equal stories.
//! `docs/simulation.md` says how to run, replay and extend it.

pub mod dice;
mod end;
mod exempt;
mod faults;
pub mod fleets;
pub mod ground;
mod heard;
mod laws;
pub mod manifests;
mod model;
#[cfg(test)]
pub mod mutants;
mod operators;
mod procs;
pub mod report;
mod settings;
pub mod story;
pub mod told;
mod watched;
mod worlds;

#[cfg(test)]
mod tests;

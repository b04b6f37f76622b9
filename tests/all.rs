//! All integration tests, one binary: linking is what costs on a small machine.

mod support;

mod faults;
mod fields;
mod process;
mod simulation;
mod spine;
mod tidy;

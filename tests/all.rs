//! All integration tests in one binary, because linking is the expensive part on a small machine.

mod support;

mod adopt;
mod book;
mod contract;
mod digests;
mod doctor;
mod faults;
mod fields;
mod forms;
mod input;
mod laws;
mod manifests;
mod pages;
mod process;
mod reconcile;
mod recordings;
mod schemas;
mod simulation;
mod spine;
mod tidy;

//! All integration tests, one binary: linking is what costs on a small machine.

mod support;

mod spine;

//! Tests of `adopt`: the manifest that it writes of a world makes that world again, and nothing of the world gets lost,
//! is changed or steers anything.

mod counted;
mod hostile;
mod lab;
mod reproduced;
mod run;
mod terraform;
mod worlds;

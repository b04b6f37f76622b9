//! Tests of `adopt`: the manifest that it writes of a world makes that world again, and nothing of the world gets lost,
//! is changed or steers anything.

mod lab;
mod reproduced;
mod worlds;

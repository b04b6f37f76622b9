//! Tests of failures: kills, interrupts, faults, rivals, lost ledgers, and tenants that answer differently. The laws
//! are checked after every request, on the twin's own world.

mod added;
pub mod bench;
mod credentials;
mod exposure;
mod forged;
pub mod function;
mod kills;
pub mod ledgers;
pub mod limits;
pub mod migration;
mod pace;
mod permissions;
pub mod post_login;
mod prints;
mod rivals;
mod single;
mod switches;
mod two_stacks;
mod waits;
mod works;

//! Tests of failures: kills, interrupts, faults, rivals, lost ledgers, and tenants that answer differently. Checks of
//! the laws read the twin's own world after every request.

mod added;
pub mod bench;
mod credentials;
mod exposure;
mod files;
mod forged;
pub mod function;
mod kills;
pub mod ledgers;
pub mod limits;
pub mod login_feedback;
pub mod migration;
mod minted;
mod pace;
mod permissions;
pub mod post_login;
mod prints;
mod rivals;
pub mod rollback;
mod single;
mod switches;
mod two_stacks;
mod waits;
pub mod watch;
mod works;

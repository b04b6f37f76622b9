//! What goes wrong: kills, interrupts, faults, rivals, lost ledgers, and tenants that answer otherwise. The laws are
//! judged after every request, on the twin's own world.

pub mod bench;
mod function;
mod kills;
mod ledgers;
mod limits;
mod migration;
mod pace;
mod post_login;
mod rivals;
mod single;
mod switches;
mod works;

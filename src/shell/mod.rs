//! The shell: everything that touches the outside world. Sockets, clock, files, signals, terminal, entropy.
//!
//! The core returns plain data (`engine::Output`) that says what to do, and takes plain data (`engine::Input`) that
//! says what came of it. The shell carries it out and decides nothing about tenants, plans or steps.
//!
//! - [`driver`] runs the engine, over [`http`] (real time) or [`in_process`] (virtual time).
//! - [`serve`] puts a simulator on a loopback port, with [`authority`] for TLS and [`twin_page`] for people.
//! - [`code`] runs deployed JavaScript for it, each version in a process of its own, and [`login`] lets users sign in.
//! - [`files`], [`ledger_file`], [`sources`], [`secrets`], [`jwt`], [`clock`], [`signals`] provide what the core may
//!   not fetch by itself.
//! - [`terminal`] and [`telemetry`] are the only ways out for text; both hide secrets.

mod address;
pub mod authority;
#[cfg(feature = "object_store")]
pub mod bucket;
pub mod clock;
pub mod code;
pub mod driver;
pub mod files;
pub mod fleet;
pub mod http;
pub mod in_process;
pub mod jwt;
pub mod ledger_file;
pub mod login;
pub mod proxy;
pub mod record_place;
pub mod records;
mod request;
mod roots;
pub mod secrets;
pub mod serve;
pub mod signals;
pub mod sources;
pub mod stack;
pub mod telemetry;
pub mod terminal;
pub mod twin_page;
mod twin_view;
pub mod via;

pub use driver::{Driver, Transport};
pub use http::{Http, HttpOptions};
pub use in_process::{Ended, InProcess, KillPoint, Simulator, Stop, run_virtual};
pub use proxy::ProxySettings;
pub use secrets::Scrub;
pub use signals::{Signal, Signals};
pub use sources::ProcessSources;
pub use terminal::Say;
pub use via::Via;

#[cfg(test)]
mod test_support;

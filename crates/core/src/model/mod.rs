//! The vocabulary of the core: plain data that every other module speaks.

pub mod address;
pub mod call;
pub mod checkup;
pub mod codes;
pub mod date;
pub mod duration;
pub mod event;
pub mod facts;
pub mod field;
pub mod health;
pub mod last_run;
pub mod ledger;
pub mod login_path;
pub mod manifest;
pub mod minted;
pub mod outcome;
pub mod phone;
pub mod place;
pub mod plan;
pub mod random;
pub mod scrub;
pub mod secret;
pub mod text;
pub mod value;
mod view;

pub use lockstep_wire as api;

//! The commands over a fleet file.

mod course;
mod gates;
pub mod hubs;
mod limits;
pub mod load;
mod many;
pub mod recorded;
pub mod render;
mod resume;
pub mod rollout;
pub mod settled;
mod shard;
pub mod sharding;
mod sharing;

pub use load::{is_fleet, one};
pub use many::{Wish, drift, gather, plan, status, validate};

use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use crate::fleet::select::{Selection, labels};

/// Which tenants of a fleet file a command is about.
#[derive(clap::Args, Default)]
pub struct FleetArgs {
    /// Of a fleet file: only tenants with these labels, such as plan=free,region!=eu
    #[arg(short = 'l', long = "label", value_name = "LABELS")]
    pub labels: Vec<String>,
    /// Of a fleet file: only the tenants of this wave
    #[arg(long, value_name = "WAVE")]
    pub wave: Option<String>,
}

/// What is written of a fleet besides the result.
#[derive(clap::Args, Clone, Default)]
pub struct Pages {
    /// Of a fleet file: also write one HTML page with the waves, gates and tenants; it needs nothing else
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Of a fleet file: also write metrics, for the textfile collector of node_exporter
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

impl Pages {
    /// The files, each with its option.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [("--report", &self.report), ("--metrics", &self.metrics)];
        files.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)))
    }

    /// Refuses the options for a file that is no fleet file.
    pub fn refuse(&self) -> Result<()> {
        self.files().next().map_or(Ok(()), |(option, _)| {
            Err(Error::usage(format!("{option} tells of a fleet, and the file is a manifest"))
                .help("name a fleet file, or leave the option out; --output has forms for a manifest"))
        })
    }
}

impl FleetArgs {
    /// What it selects, together with the names of tenants.
    pub fn selection(&self, names: &[String]) -> Result<Selection> {
        let mut all = Vec::new();
        for text in &self.labels {
            all.extend(labels(text).map_err(|wrong| Error::usage(format!("--label {wrong}")))?);
        }
        Ok(Selection { names: names.to_vec(), labels: all, wave: self.wave.clone() })
    }

    /// Refuses the options for a file that is no fleet file.
    pub fn refuse(&self) -> Result<()> {
        let used = [(!self.labels.is_empty(), "--label"), (self.wave.is_some(), "--wave")];
        match used.iter().find(|(used, _)| *used) {
            None => Ok(()),
            Some((_, option)) => Err(no_fleet(option)),
        }
    }
}

/// The error of an option that selects tenants, for a file that has only one.
pub fn no_fleet(option: &str) -> Error {
    Error::usage(format!("{option} selects tenants of a fleet, and the file is a manifest"))
        .help("name a fleet file, or leave the option out")
}

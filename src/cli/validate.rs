//! `lockstep validate`: all checks that need no request.

use std::collections::BTreeSet;

use super::args::{ManifestArgs, Output};
use super::error::Result;
use super::exit::Exit;
use super::fleet::{self, FleetArgs};
use super::loading::{load, resolve};
use super::outputs::{admit, admit_named};
use super::reports::publish;
use super::setup::Shell;
use crate::manifest::Missing;
use crate::model::manifest::Manifest;
use crate::model::value::Value;
use crate::report::Content;

/// Check a manifest without any request
///
/// Reads the manifest and the files it names, and reports every problem at once with file, line and column. Values of
/// the environment need not be set; the files have to be there.
///
/// Example: lockstep validate manifests/quickstart.yaml
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    pub output: Output,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if fleet::is_fleet(args.manifest.path()) {
        return fleet::validate(&args.manifest, &args.fleet, shell);
    }
    args.fleet.refuse()?;
    admit(shell, args.manifest.path(), None, &[], &[])?;
    let Some(loaded) = load(&args.manifest, shell)? else { return Ok(Exit::Failed) };
    admit_named(shell, &loaded, None, &[])?;
    let Some(manifest) = resolve(&loaded, &args.manifest, false, Missing::UnknownButFiles, shell)? else {
        return Ok(Exit::Failed);
    };
    publish(shell, Content::Valid { unknown: unknown(&manifest) })?;
    Ok(Exit::Done)
}

/// The references without a value, sorted, each once.
fn unknown(manifest: &Manifest) -> Vec<String> {
    let values = manifest.sections.values().flat_map(|attrs| attrs.values());
    let names: BTreeSet<&str> = values
        .filter_map(|value| match value {
            Value::Unknown(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

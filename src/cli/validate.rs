//! `lockstep validate`: everything that can be said without a request.

use anyhow::Result;

use super::exit::Exit;
use super::setup::{ManifestArgs, Shell, load, resolve};
use crate::manifest::Missing;

/// Check a manifest without any request
///
/// Reads the manifest and the files it names, and reports every problem at once with file, line and column. Values of
/// the environment need not be set.
///
/// Example: lockstep validate manifests/quickstart.yaml
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let Some(loaded) = load(&args.manifest, shell)? else { return Ok(Exit::Failed) };
    if resolve(&loaded, &args.manifest, false, Missing::Unknown, shell)?.is_none() {
        return Ok(Exit::Failed);
    }
    shell.say.out_line(format!("{}: valid", args.manifest.path().display()));
    Ok(Exit::Done)
}

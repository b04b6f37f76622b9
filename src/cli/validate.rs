//! `lockstep validate`: everything that can be said without a request.

use std::collections::BTreeSet;

use anyhow::Result;

use super::exit::Exit;
use super::setup::{ManifestArgs, Shell, load, resolve};
use crate::manifest::Missing;
use crate::model::manifest::Manifest;
use crate::model::value::Value;

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
    let Some(manifest) = resolve(&loaded, &args.manifest, false, Missing::Unknown, shell)? else {
        return Ok(Exit::Failed);
    };
    shell.say.out_line(format!("{}: valid", args.manifest.path().display()));
    let unknown = unknown(&manifest);
    if !unknown.is_empty() {
        shell.say.out_line(format!(
            "  not checked, because the value is not known here: what depends on {}",
            unknown.join(", ")
        ));
    }
    Ok(Exit::Done)
}

/// The references without a value, each once.
fn unknown(manifest: &Manifest) -> Vec<&str> {
    let values = manifest.sections.values().flat_map(|attrs| attrs.values());
    let names: BTreeSet<&str> = values
        .filter_map(|value| match value {
            Value::Unknown(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.into_iter().collect()
}

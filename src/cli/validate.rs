//! `lockstep validate`: all checks that need no request.

use std::collections::BTreeSet;

use serde_json::json;

use super::args::{ManifestArgs, Output};
use super::error::Result;
use super::exit::Exit;
use super::json::json_out;
use super::loading::{load, resolve};
use super::setup::Shell;
use crate::manifest::Missing;
use crate::model::manifest::Manifest;
use crate::model::value::Value;

/// Check a manifest without any request
///
/// Reads the manifest and the files it names, and reports every problem at once with file, line and column. Values of
/// the environment need not be set; the files have to be there.
///
/// Example: lockstep validate manifests/quickstart.yaml
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    pub output: Output,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let Some(loaded) = load(&args.manifest, shell)? else { return Ok(Exit::Failed) };
    let Some(manifest) = resolve(&loaded, &args.manifest, false, Missing::UnknownButFiles, shell)? else {
        return Ok(Exit::Failed);
    };
    let file = args.manifest.path().display().to_string();
    let unknown = unknown(&manifest);
    if args.output.is_json() {
        json_out(shell, "validate", json!({ "file": file, "valid": true, "unknown": unknown }));
        return Ok(Exit::Done);
    }
    shell.say.out_line(format!("{file}: valid"));
    if !unknown.is_empty() {
        shell.say.out_line(format!(
            "  not checked, because the value is not known here: everything that depends on {}",
            unknown.join(", ")
        ));
    }
    Ok(Exit::Done)
}

/// The references without a value, sorted, each once.
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

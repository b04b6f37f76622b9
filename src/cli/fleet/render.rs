//! `lockstep render`: the manifest of one tenant of a fleet, with the origin of each line.

use std::path::PathBuf;

use super::super::args::ManifestArgs;
use super::super::error::Result;
use super::super::exit::Exit;
use super::super::setup::Shell;
use super::FleetArgs;
use super::load::load;
use crate::manifest::Missing;

/// Show the manifest of one tenant of a fleet, with the origin of each line
///
/// The text can be saved and used as a manifest: the origins are comments. Sends no request.
///
/// Example: lockstep render manifests/fleet/fleet.yaml acme-dev
#[derive(clap::Args)]
pub struct Args {
    /// The fleet file
    #[arg(value_name = "FLEET")]
    fleet: PathBuf,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Leave the origins out
    #[arg(long)]
    plain: bool,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let manifest = ManifestArgs {
        manifest: args.fleet.clone(),
        file: None,
        vars: Vec::new(),
        commands: Vec::new(),
        tenants: vec![args.tenant.clone()],
    };
    let Some(loaded) = load(&manifest, &FleetArgs::default(), shell)? else { return Ok(Exit::Failed) };
    // What is wrong with the manifest is told too, and the text is shown nevertheless.
    let is_good = loaded.make(&manifest, false, Missing::Unknown, shell)?.is_some();
    let Some(at) = loaded.selected.first() else { return Ok(Exit::Failed) };
    let rendered = loaded.render(*at);
    let origins: Vec<String> = rendered
        .lines
        .iter()
        .map(|line| {
            let Some(origin) = line.value.as_ref().or(line.key.as_ref()) else { return String::new() };
            let source = loaded.parts.source(origin.part);
            let (number, _) = source.line_and_column(origin.range.start);
            let place = format!("{}:{number}", source.file);
            match line.columns.as_slice() {
                [] => place,
                columns => format!(
                    "{place}, {} of {}:{}",
                    columns.join(", "),
                    loaded.tenants.file,
                    loaded.tenants.list[*at].place.0
                ),
            }
        })
        .collect();
    let width = rendered.text.lines().map(|line| line.chars().count()).max().unwrap_or(0).min(60);
    for (line, origin) in rendered.text.lines().zip(&origins) {
        match args.plain || origin.is_empty() {
            true => shell.say.out_one_line(line),
            false => shell.say.out_one_line(format!("{line:<width$}  # {origin}")),
        }
    }
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

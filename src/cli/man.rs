//! `lockstep man`: the manual pages, out of the same texts as `--help`.

use std::path::PathBuf;

use super::error::{Error, Result};
use super::exit::Exit;
use super::setup::Shell;

/// Write the manual pages to a folder
///
/// One page for the program and one for each command, in section 1. A package copies them to /usr/share/man/man1. The
/// folder is made if it is not there.
///
/// Example: lockstep man --out man
#[derive(clap::Args)]
pub struct Args {
    /// Folder for lockstep.1, lockstep-plan.1 and so on
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let folder = &args.out;
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(super::command(), folder)
    };
    write().map_err(|problem| {
        Error::internal(format!("the pages cannot be written to {}: {problem}", folder.display()))
            .help("name a folder where you can write, or a new one")
    })?;
    let pages = super::command().get_subcommands().count() + 1;
    shell.say.out_one_line(format!("{}: {pages} pages", folder.display()));
    Ok(Exit::Done)
}

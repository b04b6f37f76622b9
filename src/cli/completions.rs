//! `lockstep completions`: what makes a shell complete commands, options and files.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap_complete::{Shell as Script, generate};

use super::error::Result;
use super::exit::Exit;
use super::setup::Shell;

/// Print the completions of a shell
///
/// The script completes commands, options, their words and files. Each shell has a folder from which it loads such
/// scripts: /usr/share/bash-completion/completions/lockstep, a folder of zsh's fpath as _lockstep,
/// ~/.config/fish/completions/lockstep.fish.
///
/// Example: lockstep completions bash
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(["bash", "zsh", "fish"]).try_map(|word| word.parse::<Script>()))]
    shell: Script,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let mut script = Vec::new();
    generate(args.shell, &mut super::command(), "lockstep", &mut script);
    shell.say.out(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

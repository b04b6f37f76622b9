//! The command line: one file per command, each an `Args` struct and one function.

mod apply;
mod domain;
mod drawing;
mod drift;
mod exit;
mod plan;
mod setup;
mod show;
mod twin;
mod unlock;
mod validate;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use exit::Exit;

use crate::shell::secrets::Scrub;
use crate::shell::terminal::{ColorChoice, Say};

/// Keeps Auth0 phone MFA and Twilio Verify in step
#[derive(Parser)]
#[command(name = "lockstep", version, after_help = exit::TABLE, disable_help_subcommand = true)]
struct Cli {
    /// Colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN", value_parser = color)]
    color: ColorChoice,
    /// Tell more on stderr: -v every request, -vv every decision
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

fn color(text: &str) -> Result<ColorChoice, String> {
    text.parse()
}

#[derive(Subcommand)]
enum Command {
    Validate(validate::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Drift(drift::Args),
    Destroy(apply::DestroyArgs),
    Show(show::Args),
    Unlock(unlock::Args),
    Twin(twin::Args),
}

/// Runs the program; answers the process's exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own code for a typing error is 2, which here would mean "there are changes".
            let shown = error.use_stderr();
            let _ = error.print();
            return if shown { Exit::Usage as u8 } else { Exit::Done as u8 };
        }
    };
    let scrub = Scrub::default();
    let mut say = Say::new(scrub.clone(), cli.color);
    let level = std::env::var("LOCKSTEP_LOG").ok();
    match crate::shell::telemetry::level(cli.verbose, level.as_deref()) {
        Ok(level) => crate::shell::telemetry::start(level, scrub.clone()),
        Err(text) => {
            say.err_line(format!("error: LOCKSTEP_LOG: {text}"));
            return Exit::Usage as u8;
        }
    }
    let signals = match crate::shell::signals::Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            say.err_line(format!("error: {error:#}"));
            return Exit::Failed as u8;
        }
    };
    let mut shell = setup::Shell { say, scrub, signals, color: cli.color };
    let result = match cli.command {
        Command::Validate(args) => validate::run(&args, &mut shell),
        Command::Plan(args) => plan::run(&args, &mut shell),
        Command::Apply(args) => apply::run(&args, &mut shell),
        Command::Drift(args) => drift::run(&args, &mut shell),
        Command::Destroy(args) => apply::destroy(&args, &mut shell),
        Command::Show(args) => show::run(&args, &mut shell),
        Command::Unlock(args) => unlock::run(&args, &mut shell),
        Command::Twin(args) => twin::run(&args, &mut shell),
    };
    let unwritten = shell.say.out_failed().map(str::to_owned);
    if let Some(cause) = &unwritten {
        shell.say.err_line(format!(
            "error: the result cannot be written to stdout: {cause}\n  help: make room where stdout goes to, then run the command again"
        ));
    }
    // A signal has the last word: whatever came of the run, it was stopped.
    if let Some(signal) = shell.signals.first()
        && !matches!(result, Ok(Exit::Done))
    {
        if let Err(error) = result {
            shell.say.err_line(format!("error: {error:#}"));
        }
        return signal.exit_code();
    }
    match result {
        Ok(_) if unwritten.is_some() => Exit::Failed as u8,
        Ok(exit) => exit as u8,
        Err(error) => {
            let usage = error.downcast_ref::<setup::Usage>().is_some();
            shell.say.err_line(format!("error: {error:#}"));
            if usage { Exit::Usage as u8 } else { Exit::Failed as u8 }
        }
    }
}

/// The command line as clap knows it, for tests and documents.
pub fn command() -> clap::Command {
    Cli::command()
}

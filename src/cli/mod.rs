//! The command line: one file per command, each with an `Args` struct and one function.

mod adopt;
mod apply;
mod args;
mod asker;
pub mod bug;
mod completions;
mod connecting;
mod doctor;
mod domain;
mod drawing;
mod drift;
mod error;
mod exit;
mod explain;
mod explanation;
pub mod fleet;
mod init;
mod loading;
mod man;
mod mistaken;
mod outputs;
mod plan;
mod progress;
mod reports;
mod reviewed;
mod rotate;
mod schema;
pub mod setup;
mod show;
mod sinks;
mod smoke;
mod status;
mod twin;
mod unlock;
mod validate;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};

pub use apply::{exit_of, of_watch};
use error::Error;
pub use exit::Exit;
use reports::Reports;

use crate::shell::secrets::Scrub;
use crate::shell::terminal::{ColorChoice, Say};

/// Keeps Auth0 phone MFA and Twilio Verify in step
#[derive(Parser)]
#[command(name = "lockstep", version = env!("LOCKSTEP_VERSION"), after_help = exit::TABLE, disable_help_subcommand = true)]
struct Cli {
    /// Colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN", value_parser = color)]
    color: ColorChoice,
    /// Tell more on stderr: -v every request, -vv every event
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
    Init(init::Args),
    Validate(validate::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Drift(drift::Args),
    Destroy(apply::DestroyArgs),
    Status(status::Args),
    Doctor(doctor::Args),
    Smoke(smoke::Args),
    Rollback(apply::RollbackArgs),
    Rotate(rotate::Args),
    Show(show::Args),
    Render(fleet::render::Args),
    Rollout(fleet::rollout::Args),
    Adopt(adopt::Args),
    Unlock(unlock::Args),
    Schema(schema::Args),
    Twin(twin::Args),
    Explain(explain::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// The forms of the command's result, if it has `--output`.
    fn reports(&self) -> Reports {
        let (name, manifest, output) = match self {
            Command::Validate(args) => ("validate", &args.manifest, &args.output),
            Command::Plan(args) => {
                let path = args.manifest.path();
                return Reports::new("plan", path, &args.output.forms).with(args.pages.clone());
            }
            Command::Apply(args) => ("apply", &args.manifest, &args.common.output),
            Command::Drift(args) => {
                let path = args.manifest.path();
                return Reports::new("drift", path, &args.output.forms).with(args.pages.clone());
            }
            Command::Destroy(args) => ("destroy", &args.manifest, &args.common.output),
            Command::Status(args) => ("status", &args.manifest, &args.output),
            Command::Doctor(args) => ("doctor", &args.manifest, &args.output),
            Command::Rollback(args) => ("rollback", &args.manifest, &args.common.output),
            Command::Rotate(args) => ("rotate", &args.manifest, &args.common.output),
            Command::Show(args) => ("show", &args.manifest, &args.output),
            Command::Rollout(args) => {
                let reports = Reports::new("rollout", args.path(), &args.output.forms);
                return reports.with(args.pages.clone());
            }
            Command::Init(_)
            | Command::Render(_)
            | Command::Adopt(_)
            | Command::Unlock(_)
            | Command::Smoke(_)
            | Command::Schema(_)
            | Command::Twin(_)
            | Command::Explain(_)
            | Command::Completions(_)
            | Command::Man(_) => return Reports::default(),
        };
        Reports::new(name, manifest.path(), &output.forms)
    }
}

/// Reports a command line that cannot be parsed, and help and version texts too. `twin` is the file that [`twin_file`]
/// found. Returns the exit code.
fn misused(error: &clap::Error, words: &[String], twin: Option<&str>) -> u8 {
    // clap's own exit code for a usage error is 2, which here means "there are changes".
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Done as u8;
    }
    let mut say = Say::new(Scrub::default(), ColorChoice::Auto);
    let wrong = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        say.err(&error.to_string());
        let wrong = Error::usage("no command is given").help("name one of the commands above");
        say.err_line("");
        say.err_line(&wrong);
        wrong
    } else if let Some(file) = twin {
        let wrong = Error::usage("--twin takes its file behind an equals sign");
        let wrong = wrong.help(format!("write --twin={file}"));
        say.err_line(&wrong);
        wrong
    } else {
        let wrong = Error::usage(error.to_string().trim_start_matches("error: ").trim_end());
        say.err_line(&wrong);
        wrong
    };
    reports::early_error(&mut say, words, Exit::Usage as u8, &wrong);
    Exit::Usage as u8
}

/// The file in `--twin FILE`, which should be `--twin=FILE`. The option is valid without a value, so clap takes FILE
/// for the manifest or for one word too many. A `.json` file that is not a manifest was meant for the twin.
fn twin_file<'a>(words: &'a [String], error: Option<&clap::Error>) -> Option<&'a str> {
    let file = words.windows(2).find(|pair| pair[0] == "--twin").map(|pair| pair[1].as_str())?;
    let is_manifest = || std::fs::read_to_string(file).is_ok_and(|text| text.contains("\"lockstep\""));
    let is_meant = match error {
        Some(error) => error.get(ContextKind::InvalidArg).is_some_and(|stray| stray.to_string() == file),
        None => file.ends_with(".json") && !is_manifest(),
    };
    (is_meant && !file.starts_with('-')).then_some(file)
}

/// Runs the program and returns its exit code.
pub fn main() -> u8 {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let parsed = Cli::try_parse_from(explanation::joined(std::env::args_os()));
    let twin = twin_file(&words, parsed.as_ref().err());
    let parsed = match (parsed, twin) {
        (Ok(_), Some(_)) => Err(Cli::command().error(ErrorKind::UnknownArgument, "")),
        (parsed, _) => parsed,
    };
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &words, twin),
    };
    let scrub = Scrub::default();
    let say = Say::new(scrub.clone(), cli.color);
    let reports = cli.command.reports();
    if let Err(error) = reports.check() {
        return failed_early(say, &words, &error);
    }
    let level = std::env::var("LOCKSTEP_LOG").ok();
    match crate::shell::telemetry::level(cli.verbose, level.as_deref()) {
        Ok(level) => crate::shell::telemetry::start(level, scrub.clone()),
        Err(text) => {
            return failed_early(say, &words, &Error::usage(format!("LOCKSTEP_LOG: {text}")));
        }
    }
    let signals = match crate::shell::signals::Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            return failed_early(say, &words, &error.into());
        }
    };
    let mut shell = setup::Shell { say, scrub, signals, reports, refused: None };
    let result = match cli.command {
        Command::Init(args) => init::run(&args, &mut shell),
        Command::Validate(args) => validate::run(&args, &mut shell),
        Command::Plan(args) => plan::run(&args, &mut shell),
        Command::Apply(args) => apply::run(&args, &mut shell),
        Command::Drift(args) => drift::run(&args, &mut shell),
        Command::Destroy(args) => apply::destroy(&args, &mut shell),
        Command::Status(args) => status::run(&args, &mut shell),
        Command::Doctor(args) => doctor::run(&args, &mut shell),
        Command::Smoke(args) => smoke::run(&args, &mut shell),
        Command::Rollback(args) => apply::rollback(&args, &mut shell),
        Command::Rotate(args) => rotate::run(&args, &mut shell),
        Command::Show(args) => show::run(&args, &mut shell),
        Command::Render(args) => fleet::render::run(&args, &mut shell),
        Command::Rollout(args) => fleet::rollout::run(&args, &mut shell),
        Command::Adopt(args) => adopt::run(&args, &mut shell),
        Command::Unlock(args) => unlock::run(&args, &mut shell),
        Command::Schema(args) => schema::run(&args, &mut shell),
        Command::Twin(args) => twin::run(&args, &mut shell),
        Command::Explain(args) => explain::run(&args, &mut shell),
        Command::Completions(args) => completions::run(&args, &mut shell),
        Command::Man(args) => man::run(&args, &mut shell),
    };
    let unwritten = shell.say.out_failed();
    if let Some(cause) = &unwritten {
        let error = Error::internal(format!("the result cannot be written to stdout: {cause}"))
            .help("make room where stdout goes to, then run the command again");
        shell.say.err_line(&error);
    }
    // A signal decides the exit code, unless the command ended with exit code 0.
    let signal = shell.signals.first().filter(|_| !matches!(result, Ok(Exit::Done)));
    let exit = match (&result, signal) {
        (_, Some(signal)) => signal.exit_code(),
        (Ok(_), None) if unwritten.is_some() => Exit::Failed as u8,
        (Ok(exit), None) => *exit as u8,
        (Err(error), None) => error.exit() as u8,
    };
    let error = match result {
        Ok(exit) => {
            let message = shell.refused.clone().unwrap_or_else(|| reports::meaning(exit).to_owned());
            Error::manifest(message).code(reports::code(exit))
        }
        Err(error) => {
            reports::tell(&mut shell, &error);
            error
        }
    };
    reports::publish_error(&mut shell, exit, &error);
    reports::lead_on(&mut shell);
    exit
}

/// Reports an error that stops the program before the command begins. Returns the exit code.
fn failed_early(mut say: Say, words: &[String], error: &Error) -> u8 {
    let exit = error.exit() as u8;
    say.err_line(error);
    reports::early_error(&mut say, words, exit, error);
    exit
}

/// Every schema that `lockstep schema` prints: its name and its text.
pub fn schemas() -> Vec<(String, String)> {
    schema::all()
}

/// The command line as clap describes it, for tests and documents.
pub fn command() -> clap::Command {
    Cli::command()
}

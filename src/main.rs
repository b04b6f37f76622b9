//! The program: parses arguments, runs the command, and turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(lockstep::cli::bug::end));
    ExitCode::from(lockstep::cli::main())
}

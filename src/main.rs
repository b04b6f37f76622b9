//! The program: parses arguments, runs the command, and turns the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lockstep::cli::main())
}

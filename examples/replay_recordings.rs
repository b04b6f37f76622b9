//! Measures how faithful the twin is: replays a folder of recorded exchanges of the real API against it, and counts
//! matches.
//!
//! ```text
//! cargo run --example replay_recordings -- DIR [--half even|odd] [--json] [--every] [--values] [--at-least PERCENT]
//! ```
//!
//! `--half` takes every second file of the sorted names, counted from 1. `--every` also lists mismatches on endpoints
//! that the twin does not have, `--values` those where only values differ. With `--at-least`, the exit code is 1 if
//! fewer exchanges on the endpoints in use match. Without `DIR`, it reads the small recordings of the tool's own test.

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../tests/recordings/tool/mod.rs"]
mod tool;

use tool::Half;

struct Args {
    folder: PathBuf,
    half: Half,
    json: bool,
    every: bool,
    values: bool,
    at_least: f64,
}

fn args() -> Result<Args, String> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/data");
    let mut args = Args {
        folder: own.into(),
        half: Half::Both,
        json: false,
        every: false,
        values: false,
        at_least: 0.0,
    };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        match arg.as_str() {
            "--json" => args.json = true,
            "--every" => args.every = true,
            "--values" => args.values = true,
            "--half" => {
                args.half = match given.next().as_deref() {
                    Some("even") => Half::Even,
                    Some("odd") => Half::Odd,
                    _ => return Err("--half takes even or odd".into()),
                }
            }
            "--at-least" => {
                let percent = given.next().and_then(|text| text.parse().ok());
                args.at_least = percent.ok_or("--at-least takes a number")?;
            }
            other if other.starts_with('-') => return Err(format!("{other} is not known")),
            folder => args.folder = folder.into(),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let (args, report) = match args().and_then(|args| {
        let report = tool::run(&args.folder, args.half)?;
        Ok((args, report))
    }) {
        Ok(both) => both,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if args.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.text(args.every, args.values));
        println!("{} files", report.files);
    }
    if report.used().percent() < args.at_least {
        eprintln!("fewer than {} % of the exchanges on endpoints in use match", args.at_least);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

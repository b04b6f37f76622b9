//! Runs any number of simulated stories and counts what went wrong in them.
//!
//!     cargo run --profile simulation --example simulate -- --seeds 0..100000
//!     cargo run --profile simulation --example simulate -- --seed 4711
//!
//! `--fleets` tells stories of fleets instead, and `--first any` stops at the first of them that breaks a law.
//!
//! `--first any` stops at the first failure, `--first Twice,Order` at the first failure of those laws. `--threads N`
//! sets the number of threads (default: the machine's). With 100 000 seeds or more, an empty cell of the coverage table
//! is a failure too.

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::process::ExitCode;

use simulation::fleets;
use simulation::report::{ENOUGH_SEEDS, replay, table, tell_all, unmet};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let of_fleets = arguments.iter().any(|argument| argument == "--fleets");
    if let Some(wrong) = unknown(&arguments) {
        eprintln!(
            "{wrong:?} is no option; there are --fleets, and with a value --seed, --seeds, --first and --threads"
        );
        return ExitCode::from(64);
    }
    if let Some(seed) = value("--seed").and_then(|text| text.parse().ok()) {
        let (text, good) = if of_fleets { fleets::report::replay(seed) } else { replay(seed) };
        print!("{text}");
        return if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let seeds = value("--seeds").unwrap_or_else(|| "0..200".into());
    let bounds: Vec<u64> = seeds.split("..").filter_map(|part| part.parse().ok()).collect();
    let &[from, to] = bounds.as_slice() else {
        eprintln!("--seeds takes a range such as 0..1000");
        return ExitCode::from(64);
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = value("--threads").and_then(|text| text.parse().ok()).unwrap_or(cores);
    let laws = value("--first").unwrap_or_default();
    let enough = |law: &str| laws == "any" || laws.split(',').any(|wanted| wanted == law);
    std::panic::set_hook(Box::new(|_| {}));
    let started = std::time::Instant::now();
    if of_fleets {
        let sum = fleets::report::tell_all(from..to, threads, enough);
        println!("{}", fleets::report::table(&sum));
        let took_s = started.elapsed().as_secs_f64();
        println!("{} fleets, {} runs, {} requests, {took_s:.1} s", sum.seeds, sum.runs, sum.requests);
        for (seed, what) in sum.failures.iter().take(40) {
            println!("FAILED --fleets --seed {seed}: {what}");
        }
        println!("{} failed", sum.failures.len());
        return if sum.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let sum = tell_all(from..to, threads, enough);
    let (text, empty) = table(&sum);
    println!("{text}");
    println!(
        "{} seeds, {} runs, {} requests, {} distinct faults, {:.1} s",
        sum.seeds,
        sum.runs,
        sum.requests,
        sum.coverage.len() + sum.edits.len(),
        started.elapsed().as_secs_f64()
    );
    let asked = |what: &str| laws.is_empty() || what.split(": ").next().is_some_and(enough);
    for (seed, what) in sum.failures.iter().filter(|(_, what)| asked(what)).take(40) {
        println!("FAILED --seed {seed}: {what}");
    }
    println!("{} failed", sum.failures.len());
    let mut empty = if sum.seeds >= ENOUGH_SEEDS { empty } else { Vec::new() };
    empty.extend(unmet(&sum));
    let hollow = !empty.is_empty() && laws.is_empty();
    if hollow {
        println!("empty cells: {}", empty.join(", "));
    }
    if sum.failures.is_empty() && !hollow { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first argument that is neither an option nor its value.
fn unknown(arguments: &[String]) -> Option<&String> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--fleets" => {}
            "--seed" | "--seeds" | "--first" | "--threads" => drop(rest.next()),
            _ => return Some(argument),
        }
    }
    None
}

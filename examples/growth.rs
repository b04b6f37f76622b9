//! Checks that the work for an input grows no faster than the input. Every door, that is every entry point for text
//! from outside, is given an input of one size, of twice and of four times the size, and the executed instructions are
//! counted.
//!
//!     cargo run --example growth                      # every door, under valgrind
//!     cargo run --example growth -- --only "ledger"   # doors whose name contains the word; may be repeated
//!     cargo run --example growth -- NAME SIZE         # one door once, without counting
//!
//! Valgrind's cachegrind counts; on Debian it is installed with `apt-get install valgrind`. The instructions for the
//! second half of the largest input are compared with those for the quarter before it, so the cost of starting the
//! process does not count: a factor of two is linear growth, a factor of four quadratic. [`doors::Grows`] says which
//! growth is right for a door.

#[path = "growth/doors.rs"]
mod doors;
#[allow(dead_code, unused_imports, unused_macros)] // The tests use more of it.
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use doors::{DOORS, Door, Grows};

/// Largest factor that counts as linear: linear growth is 2, and sorting adds a little.
const FACTOR_MAX: f64 = 2.9;
/// Largest factor that counts as quadratic: quadratic growth is 4.
const SQUARE_MAX: f64 = 4.5;
/// Fewest instructions for reading an input: if the second half costs less, it was not read.
const FELT_MIN: u64 = 200_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [name, size] if name != "--only" => once(name, size),
        _ => all(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn once(name: &str, size: &str) -> Result<bool> {
    let door = DOORS.iter().find(|door| door.name == name).context("no door has this name")?;
    (door.enter)(size.parse().context("the size is a whole number")?);
    Ok(true)
}

fn all(arguments: &[String]) -> Result<bool> {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let only: Vec<&String> =
        pairs.filter(|(option, _)| *option == "--only").map(|(_, value)| value).collect();
    let wanted = |door: &&Door| only.is_empty() || only.iter().any(|word| door.name.contains(word.as_str()));
    let (mut checked, mut failed) = (0, 0);
    println!("{:<52} {:>8} {:>14} {:>7}", "door", "size", "instructions", "factor");
    for door in DOORS.iter().filter(wanted) {
        let counts = [1, 2, 4].map(|times| count(door.name, door.size * times));
        let [one, two, four] = counts;
        let (one, two, four) = (one?, two?, four?);
        let (first, second) = (two.saturating_sub(one), four.saturating_sub(two));
        let factor = second as f64 / first.max(1) as f64;
        let at_most = match door.grows {
            Grows::With => format!("{FACTOR_MAX}"),
            Grows::Not => "no growth".to_owned(),
            Grows::Squared { .. } => format!("{SQUARE_MAX}, bounded"),
        };
        let good = match door.grows {
            Grows::With => second >= FELT_MIN && factor <= FACTOR_MAX,
            Grows::Not => second < FELT_MIN,
            Grows::Squared { largest, instructions } => {
                let times = largest as f64 / (door.size * 4) as f64;
                second >= FELT_MIN
                    && factor <= SQUARE_MAX
                    && four as f64 * times * times <= instructions as f64
            }
        };
        let word = if good { "" } else { "  FAILS" };
        println!("{:<52} {:>8} {:>14} {factor:>7.2}  {at_most}{word}", door.name, door.size * 4, four);
        checked += 1;
        failed += usize::from(!good);
    }
    println!("{checked} doors, {failed} of them fail");
    Ok(checked > 0 && failed == 0)
}

/// The number of instructions of this program with one door and one size.
fn count(name: &str, size: usize) -> Result<u64> {
    let program = std::env::current_exe().context("this program has no path")?;
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
            "--main-stacksize=8388608",
        ])
        .arg(Path::new(&program))
        .args([name, &size.to_string()])
        .output()
        .context("valgrind could not be started")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let line = told.lines().find_map(|line| line.split_once("I   refs:").or(line.split_once("I refs:")));
    match line {
        Some((_, number)) if output.status.success() => {
            Ok(number.trim().replace(',', "").parse().context("a number of instructions")?)
        }
        _ => bail!("{name} at {size} did not come to its end:\n{told}"),
    }
}

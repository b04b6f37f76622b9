//! Tells many stories of fleets and sums them up, or replays one in full.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;

use super::super::report::on_threads;
use super::turns::lock;
use super::{Told, tell};

/// Sum of the results of many seeds.
#[derive(Default)]
pub struct Sum {
    pub seeds: usize,
    pub runs: usize,
    pub requests: usize,
    /// What happened, and where the process was.
    pub coverage: BTreeMap<(&'static str, &'static str), usize>,
    pub failures: Vec<(u64, String)>,
}

/// Tells the stories of these seeds on this many threads; stops after a breach of a law that `enough` accepts.
pub fn tell_all(seeds: Range<u64>, threads: usize, enough: impl Fn(&str) -> bool + Sync) -> Sum {
    let mut sum: Sum = on_threads(seeds, threads, |seed, sum: &Mutex<Sum>| {
        let told = tell_safely(seed);
        let mut sum = lock(sum);
        sum.seeds += 1;
        sum.runs += told.runs;
        sum.requests += told.requests;
        for (cell, count) in told.coverage {
            *sum.coverage.entry(cell).or_default() += count;
        }
        let Some(what) = told.violations.into_iter().next() else { return false };
        eprintln!("fleet seed {seed}: {what}");
        let is_enough = enough(law(&what));
        sum.failures.push((seed, what));
        is_enough
    });
    sum.failures.sort();
    sum
}

/// The first word of a breach.
pub fn law(what: &str) -> &str {
    what.split(':').next().unwrap_or_default()
}

/// Tells one story; a panic of the program counts as a breach.
fn tell_safely(seed: u64) -> Told {
    catch_unwind(|| tell(seed, false)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text =
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        let violations = vec![format!("Panic: {}", text.chars().take(300).collect::<String>())];
        Told { violations, trace: Vec::new(), runs: 0, requests: 0, coverage: Vec::new() }
    })
}

/// The story of one seed, line by line.
pub fn replay(seed: u64) -> (String, bool) {
    let told = tell(seed, true);
    let mut out = format!("fleet seed {seed}: {} runs, {} requests\n", told.runs, told.requests);
    told.trace.iter().for_each(|line| {
        let _ = writeln!(out, "{line}");
    });
    told.violations.iter().for_each(|what| {
        let _ = writeln!(out, "VIOLATION {what}");
    });
    (out, told.violations.is_empty())
}

/// What happened, by where the process was.
pub fn table(sum: &Sum) -> String {
    let mut out = String::new();
    let phases = ["reading", "writing", "between", "taking back"];
    let _ = writeln!(out, "{:<45}{}", "", phases.map(|phase| format!("{phase:>13}")).concat());
    let mut names: Vec<&str> = sum.coverage.keys().map(|(what, _)| *what).collect();
    names.dedup();
    for what in names {
        let count = |phase| sum.coverage.get(&(what, phase)).copied().unwrap_or(0);
        let _ = writeln!(out, "{what:<45}{}", phases.map(|phase| format!("{:>13}", count(phase))).concat());
    }
    out
}

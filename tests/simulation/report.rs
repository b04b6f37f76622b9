//! Runs many stories and sums them up, or replays one in full.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lockstep::kinds;

use super::exempt::EXEMPTIONS;
use super::faults::FAULTS;
use super::operators::EDITS;
use super::procs::STOPS;
use super::story::{Report, tell};
use super::watched::MET;

/// Number of seeds from which every row about watches is expected to be met.
pub const ENOUGH_FOR_WATCHES: usize = 10_000;

/// Number of seeds from which every cell of the table is expected to be filled.
pub const ENOUGH_SEEDS: usize = 100_000;

/// Sum of the results of many seeds.
#[derive(Default)]
pub struct Sum {
    pub seeds: usize,
    pub runs: usize,
    pub requests: usize,
    pub coverage: BTreeMap<(&'static str, String), usize>,
    pub edits: BTreeMap<&'static str, usize>,
    pub excused: BTreeMap<&'static str, usize>,
    pub watches: BTreeMap<&'static str, usize>,
    /// Seed and breach; the first word of the breach is the law.
    pub failures: Vec<(u64, String)>,
}

impl Sum {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.runs += report.runs;
        self.requests += report.requests;
        report
            .coverage
            .into_iter()
            .for_each(|(cell, count)| *self.coverage.entry(cell).or_default() += count);
        report.edits.into_iter().for_each(|(edit, count)| *self.edits.entry(edit).or_default() += count);
        report.excused.into_iter().for_each(|(name, count)| *self.excused.entry(name).or_default() += count);
        report.watches.into_iter().for_each(|(row, count)| *self.watches.entry(row).or_default() += count);
        if let Some(first) = report.violations.first() {
            self.failures.push((report.seed, format!("{:?}: {}", first.law, first.what)));
        }
    }
}

/// Runs the stories of these seeds on this many threads; stops after a breach of a law that `enough` accepts.
pub fn tell_all(seeds: Range<u64>, threads: usize, enough: impl Fn(&str) -> bool + Sync) -> Sum {
    let mut sum: Sum = on_threads(seeds, threads, |seed, sum: &Mutex<Sum>| {
        let report = tell_safely(seed);
        let first = report.violations.first();
        let is_enough = first.is_some_and(|first| enough(&format!("{:?}", first.law)));
        if let Some(first) = first {
            eprintln!("seed {seed}: {:?}: {}", first.law, first.what);
        }
        sum.lock().expect("no thread panics with it").add(report);
        is_enough
    });
    sum.failures.sort();
    sum
}

/// Does something for each of these seeds on this many threads, until it answers that it is enough. Returns the sum.
pub fn on_threads<S: Default + Send>(
    seeds: Range<u64>,
    threads: usize,
    one: impl Fn(u64, &Mutex<S>) -> bool + Sync,
) -> S {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(S::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    stop.fetch_or(one(seed, &sum), Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner().expect("no thread panics with it")
}

/// Runs one story; a panic of the program counts as a failure.
fn tell_safely(seed: u64) -> Report {
    std::panic::catch_unwind(|| tell(seed, false)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let what = format!("panic: {}", text.chars().take(300).collect::<String>());
        Report {
            seed,
            requests: 0,
            runs: 0,
            violations: vec![super::ground::Violation { law: super::exempt::Law::Second, what }],
            coverage: BTreeMap::new(),
            edits: BTreeMap::new(),
            excused: BTreeMap::new(),
            watches: BTreeMap::new(),
            trace: Vec::new(),
        }
    })
}

/// The story of one seed, line by line, in three columns: processes of ours with odd numbers, those with even numbers,
/// and everybody else.
pub fn replay(seed: u64) -> (String, bool) {
    let report = tell(seed, true);
    let mut out = String::new();
    let _ = writeln!(out, "seed {seed}: {} runs, {} requests", report.runs, report.requests);
    report.trace.iter().for_each(|line| {
        let _ = writeln!(out, "{line}");
    });
    for violation in &report.violations {
        let _ = writeln!(out, "VIOLATION {:?}: {}", violation.law, violation.what);
    }
    (out, report.violations.is_empty())
}

/// The lines of the coverage table: the kinds, and the other purposes of requests.
fn columns() -> Vec<String> {
    let others = ["token", "reads", "log", "lease", "ledger"].map(str::to_owned);
    others.into_iter().chain(kinds::KINDS.iter().map(|kind| kind.name().to_owned())).collect()
}

/// Lines of the coverage table whose writes start builds.
const BUILDERS: &[&str] =
    &["ledger", "action", "legacy_action", "mfa_post_login", "feedback_action", "feedback_function"];

/// Lines of the coverage table whose requests make objects without a unique name.
const UNGUARDED: &[&str] =
    &["verify_service", "log_stream", "action", "legacy_action", "mfa_post_login", "feedback_action"];

/// Whether a story can fill the cell: only a read can be stale, only a draft or a Function's code starts a build, and
/// an attestation sends no request.
fn possible(fault: &str, column: &str) -> bool {
    match fault {
        "stale" => ["reads", "log"].contains(&column),
        "lost unseen" => UNGUARDED.contains(&column),
        "build fails" | "build slow" => BUILDERS.contains(&column),
        _ => column != "attest",
    }
}

/// The rows about watches that no story has met.
pub fn unmet(sum: &Sum) -> Vec<String> {
    let is_enough = sum.seeds >= ENOUGH_FOR_WATCHES;
    let never = MET.iter().filter(|row| is_enough && !sum.watches.contains_key(**row));
    never.map(|row| format!("watch: {row}")).collect()
}

/// The coverage table (fault by kind) as text, and its cells that are empty and should not be.
pub fn table(sum: &Sum) -> (String, Vec<String>) {
    let mut out = String::new();
    let mut empty = Vec::new();
    let columns = columns();
    let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).chain(STOPS.iter().copied()).collect();
    for word in [0, 1] {
        let _ = write!(out, "{:<30}", "");
        for name in &names {
            let part = name.splitn(2, ' ').nth(word).unwrap_or_default();
            let _ = write!(out, "{:>10}", part.chars().take(9).collect::<String>());
        }
        out.push('\n');
    }
    for column in &columns {
        let _ = write!(out, "{column:<30}");
        for name in &names {
            let count = sum.coverage.get(&(*name, column.clone())).copied().unwrap_or(0);
            if !possible(name, column) {
                let _ = write!(out, "{:>10}", "-");
                continue;
            }
            let _ = write!(out, "{count:>10}");
            if count == 0 {
                empty.push(format!("{name} x {column}"));
            }
        }
        out.push('\n');
    }
    for edit in EDITS {
        let count = sum.edits.get(edit.name).copied().unwrap_or(0);
        let _ = writeln!(out, "operator: {:<56}{count:>8}", edit.name);
        if count == 0 {
            empty.push(format!("operator: {}", edit.name));
        }
    }
    for row in MET {
        let count = sum.watches.get(row).copied().unwrap_or(0);
        let _ = writeln!(out, "watch: {row:<59}{count:>8}");
    }
    for exemption in EXEMPTIONS {
        let count = sum.excused.get(exemption.name).copied().unwrap_or(0);
        let _ = writeln!(out, "excused: {:<85}{count:>8}  {}", exemption.name, exemption.reason);
    }
    (out, empty)
}

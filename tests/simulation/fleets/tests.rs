//! The simulation of fleets as part of `cargo test`.

use super::report::{replay, table, tell_all};
use super::tell;

/// Number of seeds that `cargo test` runs; `LOCKSTEP_SEEDS` overrides it.
const SEEDS: u64 = 80;

#[test]
fn fleets_keep_the_laws() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("LOCKSTEP_SEED") {
        let (text, good) = replay(seed);
        println!("{text}");
        assert!(good, "fleet seed {seed}");
        return;
    }
    let seeds = number("LOCKSTEP_SEEDS").unwrap_or(SEEDS);
    let sum = tell_all(0..seeds, 2, |_| false);
    println!("{}{} fleets, {} runs, {} requests", table(&sum), sum.seeds, sum.runs, sum.requests);
    let shown: Vec<String> = sum
        .failures
        .iter()
        .take(20)
        .map(|(seed, what)| {
            format!("LOCKSTEP_SEED={seed} cargo test fleets_keep_the_laws -- --nocapture   # {what}")
        })
        .collect();
    assert!(sum.failures.is_empty(), "{} of {seeds} fleets:\n{}", sum.failures.len(), shown.join("\n"));
}

#[test]
fn equal_seeds_tell_equal_fleets() {
    for seed in [2, 71] {
        let (one, two) = (tell(seed, true), tell(seed, true));
        assert_eq!(one.trace, two.trace, "fleet seed {seed}");
        assert!(one.trace.len() > 100, "fleet seed {seed}: a story");
    }
}

//! The simulation as part of `cargo test`.

use super::mutants::MUTANTS;
use super::report::{ENOUGH_SEEDS, replay, table, tell_all};
use super::{model, story};

/// Seeds told by `cargo test`. `LOCKSTEP_SEEDS` says otherwise.
const SEEDS: u64 = 1_500;

#[test]
fn the_laws_hold() {
    if let Some(seed) = std::env::var("LOCKSTEP_SEED").ok().and_then(|text| text.parse().ok()) {
        let (text, good) = replay(seed);
        println!("{text}");
        assert!(good, "seed {seed}");
        return;
    }
    let seeds = std::env::var("LOCKSTEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let sum = tell_all(0..seeds, 2, false);
    let (_, empty) = table(&sum);
    println!(
        "{} seeds, {} runs, {} requests, {} empty cells",
        sum.seeds,
        sum.runs,
        sum.requests,
        empty.len()
    );
    assert!(sum.seeds < ENOUGH_SEEDS || empty.is_empty(), "empty cells: {}", empty.join(", "));
    let shown: Vec<String> = sum
        .failures
        .iter()
        .take(20)
        .map(|(seed, what)| {
            format!("LOCKSTEP_SEED={seed} cargo test the_laws_hold -- --nocapture   # {what}")
        })
        .collect();
    assert!(sum.failures.is_empty(), "{} of {} seeds:\n{}", sum.failures.len(), sum.seeds, shown.join("\n"));
}

#[test]
fn equal_seeds_tell_equal_stories() {
    for seed in [3, 14, 159] {
        let (one, two) = (story::tell(seed, true), story::tell(seed, true));
        assert_eq!(one.trace, two.trace, "seed {seed}");
        assert!(one.trace.len() > 20, "seed {seed}: a story");
    }
}

/// Every combination of the words that a column can have finds a row.
#[test]
fn the_delivery_model_is_total() {
    let mut checked = 0;
    for (heading, table) in model::tables() {
        let inputs = table.columns.len() - 1;
        let mut words: Vec<Vec<&str>> = vec![Vec::new(); inputs];
        for row in &table.rows {
            assert_eq!(row.len(), table.columns.len(), "{heading}: {row:?}");
            for (at, cell) in row.iter().take(inputs).enumerate() {
                if *cell != "-" && !words[at].contains(cell) {
                    words[at].push(cell);
                }
            }
        }
        words.iter_mut().for_each(|list| list.extend(list.is_empty().then_some("anything")));
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        for list in &words {
            all = all
                .iter()
                .flat_map(|begun| list.iter().map(|word| [begun.as_slice(), &[*word]].concat()))
                .collect();
        }
        for combination in all {
            // "nothing in between" words that only stand in for another row are complete by themselves.
            assert!(model::answer(heading, &combination).is_some(), "{heading}: no row for {combination:?}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} combinations");
}

/// A mutant that does not apply any more tests nothing.
#[test]
fn every_mutant_still_applies() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for mutant in MUTANTS {
        let text = std::fs::read_to_string(root.join(mutant.file)).expect(mutant.file);
        assert_eq!(text.matches(mutant.text).count(), 1, "{}: {:?}", mutant.name, mutant.text);
        assert_ne!(mutant.text, mutant.instead, "{}", mutant.name);
        assert!(!mutant.caught_by.is_empty(), "{}", mutant.name);
    }
    assert!(MUTANTS.len() >= 25, "{} mutants", MUTANTS.len());
}

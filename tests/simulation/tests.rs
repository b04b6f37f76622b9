//! The simulation as part of `cargo test`.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::kinds::{self, KINDS};
use lockstep::twin::Options;
use serde_json::Value;

use super::dice::Dice;
use super::manifests::{self, Draft};
use super::mutants;
use super::report::{ENOUGH_SEEDS, replay, table, tell_all, unmet};
use super::settings::{OBJECTS, SETTINGS};
use super::{model, story, worlds};

/// Number of seeds that `cargo test` runs; `LOCKSTEP_SEEDS` overrides it.
const SEEDS: u64 = 3_000;

#[test]
fn the_laws_hold() {
    if let Some(seed) = std::env::var("LOCKSTEP_SEED").ok().and_then(|text| text.parse().ok()) {
        let (text, good) = replay(seed);
        println!("{text}");
        assert!(good, "seed {seed}");
        return;
    }
    let seeds = std::env::var("LOCKSTEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let sum = tell_all(0..seeds, 2, |_| false);
    let (_, empty) = table(&sum);
    let unmet = unmet(&sum);
    assert!(unmet.is_empty(), "no story has met: {}", unmet.join(", "));
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

/// Every combination of the words in the columns of a table has a row.
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
            // The words of one combination may come from several rows; some row still has to fit.
            assert!(model::answer(heading, &combination).is_some(), "{heading}: no row for {combination:?}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} combinations");
}

/// Every mutant has to apply, because a mutant that does not apply tests nothing.
#[test]
fn every_mutant_still_applies() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for mutant in mutants::all() {
        let text = std::fs::read_to_string(root.join(mutant.file)).expect(mutant.file);
        assert_eq!(text.matches(mutant.text).count(), 1, "{}: {:?}", mutant.name, mutant.text);
        assert_ne!(mutant.text, mutant.instead, "{}", mutant.name);
        assert!(!mutant.caught_by.is_empty(), "{}", mutant.name);
    }
    assert!(mutants::all().count() >= 60, "{} mutants", mutants::all().count());
}

/// The options of a twin, by name.
fn values(options: &Options) -> serde_json::Map<String, Value> {
    serde_json::to_value(options).expect("plain data").as_object().expect("an object").clone()
}

#[test]
fn every_option_of_the_twin_is_drawn() {
    let mut drawn: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for seed in 0..500 {
        for (name, value) in values(&worlds::options(&mut Dice::new(seed).fork("options"))) {
            drawn.entry(name).or_default().insert(value.to_string());
        }
    }
    for name in values(&Options::default()).keys() {
        assert!(drawn[name].len() >= 2, "{name} is always {:?}", drawn[name]);
    }
}

/// A kind that no manifest of a story has is judged by no law.
#[test]
fn every_kind_is_in_some_manifest() {
    let mut drawn: BTreeSet<&str> = BTreeSet::new();
    for (seed, legacy) in (0..60).flat_map(|seed| [(seed, false), (seed, true)]) {
        let draft = Draft::draw(&mut Dice::new(seed).fork("kinds"), "acme", legacy);
        let manifest = draft.parse(&manifests::env()).expect("it was drawn until it is right");
        for kind in KINDS {
            let mut has = !kind.declare(&manifest).is_empty();
            // A kind without resources is in the manifest as soon as its section is.
            if kind.api_path().is_empty() {
                has = kind.sections().iter().any(|section| manifest.section(section.path).is_some());
            }
            drawn.extend(has.then_some(kind.name()));
        }
    }
    let never: Vec<&str> =
        KINDS.iter().map(|kind| kind.name()).filter(|name| !drawn.contains(name)).collect();
    assert!(
        never.is_empty(),
        "none of 120 manifests has a resource of {}: no story meets it. Add its keys to SLOTS in \
         tests/simulation/manifests.rs, what it claims to `Claims`, and what is ours to `without_ours` (laws.rs)",
        never.join(", ")
    );
}

/// What a destroy leaves of a kind has to be judged.
#[test]
fn every_kind_is_judged_after_a_destroy() {
    let judged = |name: &str| SETTINGS.iter().any(|one| one.kind == name) || OBJECTS.contains(&name);
    let missing: Vec<&str> = KINDS.iter().map(|kind| kind.name()).filter(|name| !judged(name)).collect();
    assert!(
        missing.is_empty(),
        "no judge looks at {} after a destroy: add a row to SETTINGS in tests/simulation/settings.rs for a setting of \
         which a tenant has one, and else its name to OBJECTS there",
        missing.join(", ")
    );
    let unknown = SETTINGS.iter().map(|one| one.kind).chain(OBJECTS.iter().copied());
    let unknown: Vec<&str> = unknown.filter(|name| KINDS.iter().all(|kind| kind.name() != *name)).collect();
    assert!(
        unknown.is_empty(),
        "tests/simulation/settings.rs has kinds that do not exist: {}",
        unknown.join(", ")
    );
}

/// A section that every drawn manifest has is never seen to be optional.
#[test]
fn every_section_is_left_out_of_some_manifest() {
    let sections = kinds::sections();
    let roots: BTreeSet<&str> =
        sections.iter().filter_map(|section| section.path.split('.').next()).collect();
    let missing: Vec<&&str> =
        roots.iter().filter(|root| **root != "attest" && !manifests::PARTS.contains(root)).collect();
    assert!(missing.is_empty(), "add {missing:?} to PARTS in tests/simulation/manifests.rs");
}

/// Rows of the table below a heading of the twin's manual, as cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let manual: &'static str = include_str!("../../docs/twin.md");
    let start = format!("## {heading}");
    let section = manual.lines().skip_while(|line| *line != start).skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    let inner = section.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    inner.skip(2).map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// Names in backticks.
fn names(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_unknowns_of_the_manual_are_options_and_complete() {
    let options = values(&Options::default());
    let (open, table) = (rows("What is unknown"), rows("Unknowns"));
    let mut told = BTreeSet::new();
    for row in &table {
        let [unknown, switch, does] = row.as_slice() else { panic!("three cells: {row:?}") };
        assert!(!unknown.is_empty() && !does.is_empty(), "{row:?}");
        let named = names(switch);
        assert!(!named.is_empty() || *switch == "none", "{row:?}");
        for name in named {
            assert!(options.contains_key(name), "{unknown}: there is no option {name}");
            told.insert(name);
        }
    }
    assert!(open.len() > 20 && table.len() > 30, "{} and {} rows", open.len(), table.len());
    for name in open.iter().flat_map(|row| names(row[0])) {
        assert!(told.contains(name), "what Lockstep does with either answer to {name}");
    }
}

//! Tests of files that we wrote and somebody edited: worlds of the twin, and saved plans.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::model::plan::Plan;
use lockstep::plan::render::{self, Paint};
use lockstep::shell::in_process::{InProcess, Stop};
use lockstep::twin::Twin;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::damage::{some_of, wounded, wounds};
use crate::faults::bench::{Bench, all};
use crate::support::START_MS;

fn live() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench
}

/// A damaged world is either refused with a message, or accepted; then a whole apply on it has to end.
#[test]
fn a_damaged_world_file_is_refused_or_served() {
    let prepared = live();
    let json = prepared.stack.twin.borrow().to_json();
    let picked = some_of(wounds(&json), 17);
    let (count, mut refused) = (picked.len(), 0);
    all(picked, |wound| {
        let twin = match Twin::from_json(wounded(&json, &wound)) {
            Ok(twin) => twin,
            Err(words) => {
                assert!(!words.is_empty() && words.len() < 1_000, "{wound}: {} bytes", words.len());
                refused += 1;
                return;
            }
        };
        let mut bench = prepared.fork();
        bench.stack.in_process = InProcess::new(Rc::new(RefCell::new(twin)), START_MS + 86_400_000);
        let stop = Stop { requests_max: 5_000, ..Stop::default() };
        // A world in which a build takes practically forever is accepted, and a run in it still has to end.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.run(stop, false)));
        assert!(ran.is_ok(), "{wound}");
    });
    println!("{count} damaged worlds, {refused} refused");
}

/// `apply` takes nothing but the digest from a plan file, and carries out a fresh plan. Damage therefore only has to be
/// refused, or rendered without a panic.
#[test]
fn a_damaged_plan_file_is_refused_or_stale() {
    let plan = Bench::crowded().plan();
    let json = serde_json::to_value(&plan).expect("plain data");
    let picked = some_of(wounds(&json), 5);
    let (count, mut refused) = (picked.len(), 0);
    all(picked, |wound| match serde_json::from_value::<Plan>(wounded(&json, &wound)) {
        Err(_) => refused += 1,
        Ok(damaged) => {
            let _ = render::plan(&damaged, Paint(true)) + &render::drift(&damaged, Paint(false));
        }
    });
    println!("{count} damaged plans, {refused} refused");
    assert!(refused > 0 && refused < count);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_world_or_a_plan_by_panic(text in any::<String>()) {
        if let Ok(json) = serde_json::from_str::<Json>(&text) {
            let _ = Twin::from_json(json);
        }
        let _ = serde_json::from_str::<Plan>(&text);
    }
}

//! Counts of what `adopt` sends: few requests, few trips one after another, and no write.

use lockstep::twin::Options;

use super::lab::{Values, adopted, applied, options_of, read, stack_on, without_record};
use crate::support::{Stack, function_manifest, options};

const COMPLETE: &str = include_str!("../../manifests/complete.yaml");

/// Requests and sequential trips of an adopt.
fn cost(stack: &mut Stack) -> (usize, u64) {
    let from = stack.mark();
    adopted(stack, "adopted");
    let log = stack.log_since(from);
    assert!(!log.iter().any(|entry| entry.wrote), "a write");
    let first = log.first().map_or(0, |entry| entry.at_ms);
    let last = log.iter().map(|entry| entry.done_ms).max().unwrap_or(first);
    let lines: Vec<String> =
        log.iter().map(|entry| format!("{} {} {}", entry.at_ms - first, entry.method, entry.path)).collect();
    println!("{}", lines.join("\n"));
    (log.len(), (last - first).div_ceil(options().latency_ms))
}

#[test]
fn the_quickstart_with_the_function_takes_few_requests() {
    let mut stack = Stack::new(options_of(false), function_manifest());
    stack.applied();
    let mut stack = stack_on(without_record(&stack), false);
    let (requests, depth) = cost(&mut stack);
    assert!(requests <= 25 && depth <= 5, "{requests} requests, {depth} trips");
}

#[test]
fn the_complete_manifest_takes_few_requests() {
    let mut stack = Stack::new(Options { newer_verify_fields_shown: true, ..options_of(false) }, COMPLETE);
    for (name, value) in [
        ("FEEDBACK_LOG_LEVEL", "debug"),
        ("FEEDBACK_TENANT_TAG", "acme-dev"),
        ("SIEM_TOKEN", "Siem-Token-0f3c77"),
        ("SIEM_SOURCE", "auth0"),
        ("PARTNER_CLIENT_ID", "partner-client"),
    ] {
        stack.env.insert(name.into(), value.into());
    }
    stack.applied();
    let world = without_record(&stack);
    let mut stack = stack_on(world.clone(), false);
    stack.twin.borrow_mut().options.newer_verify_fields_shown = true;
    let (requests, depth) = cost(&mut stack);
    assert!(requests <= 34 && depth <= 5, "{requests} requests, {depth} trips");
    // And it says every part.
    let adopted = adopted(&mut stack, "acme-complete");
    let values = Values::of(&adopted, &world);
    let mut again =
        Stack::new(Options { newer_verify_fields_shown: true, ..options_of(false) }, function_manifest());
    let manifest = read(&super::lab::without_pins(&adopted.manifest), &values);
    assert_eq!(applied(&mut again, manifest).ended, lockstep::engine::apply::Ended::Done);
    let differ = super::worlds::differences(
        &super::worlds::picture(&world),
        &super::worlds::picture(&without_record(&again)),
    );
    assert_eq!(differ, Vec::<String>::new(), "{}", adopted.manifest);
}

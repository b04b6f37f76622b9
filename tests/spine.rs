//! The main job on the twin: counts, second apply, destroy.

use lockstep::engine::apply::Ended;
use lockstep::twin::Fate;

use crate::support::Stack;

fn lines(stack: &Stack, from: usize) -> Vec<String> {
    stack
        .log_since(from)
        .iter()
        .map(|entry| {
            let status = match entry.fate {
                Fate::Status(status) => status.to_string(),
                other => format!("{other:?}"),
            };
            let path = entry.path.split('?').next().unwrap_or_default();
            format!(
                "{:>5} {} {} {} {status}",
                entry.at_ms - crate::support::START_MS,
                entry.host,
                entry.method,
                path
            )
        })
        .collect()
}

#[test]
fn first_apply_then_nothing() {
    let mut stack = Stack::core();
    let outcome = stack.applied();
    println!("{}", lines(&stack, 0).join("\n"));
    assert_eq!(outcome.ended, Ended::Done);
    let mark = stack.mark();
    let second = stack.applied();
    assert!(second.done.is_empty());
    println!("{}", lines(&stack, mark).join("\n"));
    let writes: Vec<_> = stack.log_since(mark).into_iter().filter(|entry| entry.wrote).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

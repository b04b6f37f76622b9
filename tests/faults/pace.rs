//! Tests of law 8: the logins come first in the budget of the Management API.

use lockstep::engine::apply::Ended;
use lockstep::engine::{Engine, Input, Output};
use lockstep::model::api::{Answer, ApiReply};
use lockstep::model::event::Event;
use lockstep::twin::{Fate, Options, Rate};

use super::bench::{Bench, all, changed_manifest};
use crate::support::{DOMAIN, START_MS, Stack, core_manifest};

#[test]
fn no_plan_is_ever_driven_into_its_limit() {
    let cases = [(Rate::Free, 60_000), (Rate::Professional, 60_000), (Rate::Enterprise, 30_000)];
    all(cases, |(rate, first_apply_ms)| {
        let mut bench = Bench::new(Options { rate, ..Options::default() }, core_manifest());
        let start_ms = bench.stack.in_process.now_ms();
        assert_eq!(bench.ended(false), Ended::Done, "{rate:?}");
        let took_ms = bench.stack.in_process.now_ms() - start_ms;
        assert!(took_ms <= first_apply_ms, "{rate:?}: the first apply took {took_ms} ms");
        // Every run is a new process that knows nothing of the budget, and starts some time after the one before.
        let mut starts = vec![0];
        for (text, destroy) in
            [(core_manifest(), false), (changed_manifest(), false), (core_manifest(), true)]
        {
            bench.stack.in_process.advance_ms(10_000);
            starts.push(bench.watch.borrow().budgets.len());
            bench.stack.text = text;
            assert_eq!(bench.ended(destroy), Ended::Done, "{rate:?}");
        }
        let refused = bench.stack.log_since(0).iter().filter(|entry| entry.fate == Fate::Status(429)).count();
        assert_eq!(refused, 0, "{rate:?}: refused");
        for (index, (limit, left)) in bench.watch.borrow().budgets.iter().enumerate() {
            // Before the first reply the size of the budget is not known.
            let blind = starts.iter().any(|start| (*start..*start + 2).contains(&index));
            let reserve = (limit * 20).div_ceil(100).min(limit - 1);
            assert!(blind || *left >= reserve, "{rate:?}: request {index} left {left} of {limit}");
        }
    });
}

#[test]
fn a_short_budget_shared_with_others_is_waited_for() {
    // At every fifth request the tenant answers that somebody else has used the whole budget.
    let mut bench = Bench::new(Options { rate: Rate::Professional, ..Options::default() }, core_manifest());
    for nth in (2..40).step_by(5) {
        bench.fault(nth, lockstep::twin::What::RateLimited { retry_after_s: Some(7) });
    }
    bench.converge("limited again and again");
}

/// A wait for the token is reported like any other wait.
#[test]
fn a_token_that_is_waited_for_is_told() {
    let stack = Stack::core();
    let mut engine = Engine::new(START_MS, 1);
    let tenant = engine.connect(stack.connection());
    engine.spawn(tenant, |port| async move {
        let _read = port.reader().fresh(&lockstep::kinds::action::list_actions()).await;
    });
    let id = loop {
        match engine.poll_output() {
            Output::Send(id, request) => {
                assert_eq!(request.path, "/oauth/token");
                break id;
            }
            Output::Event(..) => {}
            other => panic!("{other:?}"),
        }
    };
    let headers = vec![("retry-after".to_owned(), "45".to_owned())];
    let reply = ApiReply { status: 429, headers, body: b"{}".to_vec() };
    engine.handle_input(Input::Answer(id, Answer::Reply(reply)), START_MS + 100);
    let mut told = None;
    loop {
        match engine.poll_output() {
            Output::Event(event) => {
                if let Event::Holding { host, ms, why } = event.event {
                    told = Some((host, ms, why));
                }
            }
            Output::WaitUntil(at_ms) => {
                let (host, ms, why) = told.expect("the wait is told");
                assert_eq!((host.as_str(), why.as_str()), (DOMAIN, "rate limit reached"));
                assert_eq!(at_ms, START_MS + 100 + ms);
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

//! Tests of two processes on one tenant: their steps never alternate, and the second process finds nothing to do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Outcome, Wishes, apply};
use lockstep::engine::{Engine, Input, Output};
use lockstep::model::api::Method;
use lockstep::model::call::Failed;
use lockstep::shell::in_process::{Simulator, Stop};
use lockstep::shell::ledger_file::Places;
use lockstep::twin::{Options, Rule, What, When};

use super::bench::{ACTION, Bench, LEDGER, all, changed_manifest, leases, shown};
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options, reconciled};

/// One of the two processes.
struct Rival {
    engine: Engine,
    result: Rc<RefCell<Option<Result<Outcome, Failed>>>>,
    starts_ms: u64,
    /// The process dies after this many of its own requests have taken effect.
    dies_after: usize,
    sent: usize,
    done: bool,
}

fn rival(bench: &mut Bench, starts_ms: u64, dies_after: usize) -> Rival {
    let session = bench.stack.session(false);
    let mut engine = Engine::new(starts_ms, u64::from(bench.stack.runs));
    let tenant = engine.connect(bench.stack.connection());
    let result = Rc::new(RefCell::new(None));
    let slot = result.clone();
    engine.spawn(tenant, |port| async move {
        let ended = reconciled(session, port).await;
        *slot.borrow_mut() = Some(ended.map(|report| report.outcome));
    });
    Rival { engine, result, starts_ms, dies_after, sent: 0, done: false }
}

/// Runs both processes to their ends on one clock. Returns all writes except those of the lease, each with its process.
fn race(bench: &mut Bench, rivals: &mut [Rival; 2]) -> Vec<(usize, String)> {
    let mut writes = Vec::new();
    let mut under_way = BTreeMap::new();
    let mut now_ms = bench.stack.in_process.now_ms();
    let mut serial = 0_u64;
    for _ in 0..1_000_000 {
        let mut wake_ms = None::<u64>;
        for (who, rival) in rivals.iter_mut().enumerate() {
            if rival.done {
                continue;
            }
            if rival.starts_ms > now_ms {
                wake_ms = Some(wake_ms.map_or(rival.starts_ms, |at: u64| at.min(rival.starts_ms)));
                continue;
            }
            rival.engine.handle_input(Input::Tick, now_ms);
            loop {
                match rival.engine.poll_output() {
                    Output::Event(..) => {}
                    Output::Done(_) => {
                        rival.done = true;
                        break;
                    }
                    Output::Send(call, request) => {
                        let handled = bench.watch.borrow_mut().handle(&request, now_ms);
                        let twin = bench.stack.twin.borrow();
                        let entry = twin.log().last().expect("logged");
                        if entry.wrote && !entry.operation.ends_with("serverless_service") {
                            writes.push((who, entry.operation.to_owned()));
                        }
                        serial += 1;
                        under_way.insert((now_ms + handled.delay_ms, serial), (who, call, handled.answer));
                        rival.sent += 1;
                        if rival.sent == rival.dies_after {
                            rival.done = true;
                            break;
                        }
                    }
                    Output::Place(call, place, asked) => {
                        let reply = bench.stack.files.borrow_mut().answer(&place, asked);
                        rival.engine.handle_input(Input::Placed(call, reply), now_ms);
                    }
                    Output::WaitUntil(at_ms) => {
                        wake_ms = Some(wake_ms.map_or(at_ms, |at: u64| at.min(at_ms)));
                        break;
                    }
                    Output::Idle => break,
                }
            }
        }
        if rivals.iter().all(|rival| rival.done) {
            bench.stack.in_process.advance_ms(now_ms - bench.stack.in_process.now_ms());
            return writes;
        }
        let arrives_ms = under_way.first_key_value().map(|((at_ms, _), _)| *at_ms);
        let next_ms = [arrives_ms, wake_ms].into_iter().flatten().min().expect("something to wait for");
        now_ms = now_ms.max(next_ms);
        while let Some(first) = under_way.first_entry().filter(|first| first.key().0 <= now_ms) {
            let (who, call, answer) = first.remove();
            if !rivals[who].done {
                rivals[who].engine.handle_input(Input::Answer(call, answer), now_ms);
            }
        }
    }
    panic!("the race does not come to an end");
}

fn contest(
    ready: &Bench,
    offset_ms: u64,
    dies_after: usize,
) -> (Bench, Vec<(usize, String)>, [Option<Ended>; 2]) {
    let mut bench = ready.fork();
    let start_ms = bench.stack.in_process.now_ms();
    let mut rivals =
        [rival(&mut bench, start_ms, dies_after), rival(&mut bench, start_ms + offset_ms, usize::MAX)];
    let writes = race(&mut bench, &mut rivals);
    let ended = rivals.map(|rival| {
        let result = rival.result.take();
        result.map(|result| match result {
            Ok(outcome) => outcome.ended,
            Err(failed) => Ended::Failed(failed.to_string()),
        })
    });
    (bench, writes, ended)
}

/// How often the writing process changes: at most once, if the two do not alternate.
fn turns(writes: &[(usize, String)]) -> usize {
    writes.windows(2).filter(|pair| pair[0].0 != pair[1].0).count()
}

fn change() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.text = changed_manifest();
    bench
}

#[test]
fn two_at_once_do_not_interleave() {
    let by_400 = || Bench::new(Options { serverless_name_taken_status: 400, ..options() }, core_manifest());
    for ready in [Bench::crowded(), change(), by_400()] {
        // First close together, where both plan before either has the lease; then all along the first process's run.
        all((0..1_500).step_by(75).chain((1_500..16_000).step_by(500)), |offset_ms| {
            let story = format!("the second starts {offset_ms} ms later");
            let (mut bench, writes, ended) = contest(&ready, offset_ms, usize::MAX);
            assert!(turns(&writes) <= 1, "{story}: {writes:?}");
            let good = |ended: &Option<Ended>| matches!(ended, Some(Ended::Done | Ended::LeaseHeld(_)));
            assert!(ended.iter().all(good), "{story}: {ended:?}");
            assert!(ended.contains(&Some(Ended::Done)), "{story}: {ended:?}");
            bench.converge(&story);
        });
    }
}

/// The second process plans while the first one works, and the first one dies meanwhile.
#[test]
fn a_plan_made_while_another_run_worked_is_not_carried_out_after_its_death() {
    // From the lease on; later steps behave like these.
    let cases = (10..=22).flat_map(|k| (0..1_200).step_by(50).map(move |offset_ms| (k, offset_ms)));
    let ready = Bench::crowded();
    all(cases, |(dies_after, offset_ms)| {
        let story = format!("the first dies after {dies_after}, the second starts {offset_ms} ms later");
        let (bench, _, ended) = contest(&ready, offset_ms, dies_after);
        // A process that has seen the first one alive gives up, and may be started again.
        let fine = matches!(ended[1], Some(Ended::Done | Ended::LeaseHeld(_)));
        assert!(fine, "{story}: {:?}", ended[1]);
        bench.once_at_most(&story);
        if ended[1] == Some(Ended::Done) {
            bench.once(&story);
        }
        assert!(bench.versions() <= 2, "{story}: {} versions", bench.versions());
    });
}

/// The second process begins to read before the first one begins to work. Its record arrives after the first one is
/// done.
#[test]
fn a_record_that_comes_late_is_not_of_one_piece_with_the_rest() {
    let mut bench = Bench::crowded();
    // The second request is the list of Actions, which holds the record; the first is the token.
    bench.fault(2, What::TimeOut { after_effect: false, ms: 60_000 });
    let start_ms = bench.stack.in_process.now_ms();
    let mut rivals =
        [rival(&mut bench, start_ms, usize::MAX), rival(&mut bench, start_ms + 1_000, usize::MAX)];
    let writes = race(&mut bench, &mut rivals);
    assert!(writes.iter().all(|(who, _)| *who == 1), "the first has nothing to do any more: {writes:?}");
    let ended = rivals.map(|rival| rival.result.take().expect("it ended").expect("it could plan").ended);
    assert_eq!(ended, [Ended::Done, Ended::Done]);
    bench.once("a late record");
}

/// A plan from before another run is not carried out after that run.
#[test]
fn a_plan_from_before_another_run_is_made_anew() {
    let mut bench = change();
    let observation = bench.observe();
    assert!(!observation.plan.is_empty());
    let (before, after) =
        (bench.stack.text.clone(), core_manifest().replace("policy: always", "policy: never"));
    bench.stack.text = after;
    bench.stack.applied();
    bench.stack.text = before;
    let (session, mark) = (bench.stack.session(false), bench.stack.mark());
    let outcome = bench.stack.process(Stop::default(), |port| async move {
        apply(&session, observation, Wishes::default(), &port).await
    });
    assert_eq!(outcome.expect("not killed").ended, Ended::Moved);
    let writes = bench.writes_since(mark);
    assert!(writes.iter().all(|name| name.ends_with("serverless_service")), "{writes:?}");
}

/// A run whose beats do not arrive does not rely on its lease, even if nobody is seen to have taken it.
#[test]
fn without_beats_no_further_step_begins() {
    let mut bench = Bench::new(Options { build_with_dependencies_ms: 120_000, ..options() }, core_manifest());
    let beats = When::Matching {
        method: Some(Method::Post),
        host: Some("serverless".into()),
        path: Some("/v1/Services/*$".into()),
        nth: 1,
    };
    let lost = Rule { when: beats, what: What::Lost { after_effect: false }, times: 10_000, matched: 0 };
    bench.stack.twin.borrow_mut().faults.rules.push(lost);
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("could not renew it")), "{ended:?}");
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "nothing was exposed");
    assert_eq!(leases(&mut bench.world()), 0, "it is given back all the same");
    bench.calm();
    bench.later();
    bench.converge("the beats arrive again");
}

/// Not even the same step is sent again: neither by the run nor, where a repeat is safe, on the wire.
#[test]
fn without_beats_a_step_does_not_try_again() {
    once_without_beats(Method::Patch, "/api/v2/actions/triggers/*/bindings$", 120_000);
    once_without_beats(Method::Put, "/api/v2/guardian/factors/phone/message-types$", 70_000);
}

fn fresh() -> Bench {
    Bench::new(options(), core_manifest())
}

fn once_without_beats(method: Method, path: &str, ms: u64) {
    let mut bench = fresh();
    let rule = |method, host: &str, path: &str, what| {
        let (host, path) = (Some(host.to_owned()), Some(path.to_owned()));
        Rule {
            when: When::Matching { method: Some(method), host, path, nth: 1 },
            what,
            times: 10_000,
            matched: 0,
        }
    };
    let rules = [
        rule(Method::Post, "serverless", "/v1/Services/*$", What::Lost { after_effect: false }),
        rule(method, "auth0", path, What::TimeOut { after_effect: false, ms }),
    ];
    bench.stack.twin.borrow_mut().faults.rules.extend(rules);
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("could not renew it")), "{ended:?}");
    let tries = bench.stack.twin.borrow().faults.rules[1].matched;
    assert_eq!(tries, 1, "{path}: one request, before the lease had run out");
    bench.calm();
    bench.later();
    bench.converge("the beats arrive again");
}

/// After an interrupt nobody sends beats. The lease may then belong to somebody else, so the record is not written
/// again.
#[test]
fn an_interrupted_run_does_not_repeat_its_record_after_the_lease() {
    let length = {
        let mut bench = fresh();
        let _ = bench.ended(false);
        bench.requests(0)
    };
    let mut tried = 0;
    for k in 0..length {
        let mut bench = fresh();
        let (host, path) = (Some("auth0".to_owned()), Some("/api/v2/actions/actions/*$".to_owned()));
        let when = When::Matching { method: Some(Method::Patch), host, path, nth: 1 };
        let what = What::TimeOut { after_effect: false, ms: 70_000 };
        bench.stack.twin.borrow_mut().faults.rules.push(Rule { when, what, times: 10_000, matched: 0 });
        let _ = bench.run(Stop::interrupt(k), false);
        let tries = bench.stack.twin.borrow().faults.rules[0].matched;
        assert!(tries <= 1, "interrupted after {k} of {length}: {tries} times");
        tried += tries;
        if k % 8 == 0 {
            bench.calm();
            bench.later();
            bench.converge(&format!("interrupted after {k} of {length}, and the record was not written"));
        }
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn without_a_lease_nothing_is_made_twice_by_one_after_the_other() {
    let make = || Bench::new(Options { serverless_allowed: false, ..options() }, core_manifest());
    let mut bench = make();
    bench.converge("no lease");
    bench.stack.text = changed_manifest();
    bench.stack.allow_delete = true;
    assert_eq!(bench.ended(false), Ended::Done);
    bench.at_rest("changed without a lease");
    let length = {
        let mut bench = make();
        assert_eq!(bench.ended(false), Ended::Done);
        bench.requests(0)
    };
    all(1..=length, |k| {
        let mut bench = make();
        let _ = bench.run(Stop::kill(k, true), false);
        bench.later();
        bench.converge(&format!("no lease, killed after {k} of {length}"));
    });
}

#[test]
fn without_a_lease_the_record_tells_two_at_once_apart() {
    fn make() -> Bench {
        let mut bench = Bench::new(Options { serverless_allowed: false, ..options() }, core_manifest());
        bench.stack.applied();
        bench.stack.text = changed_manifest();
        bench
    }
    let ready = make();
    all((0..1_000).step_by(50), |offset_ms| {
        let story = format!("no lease, the second starts {offset_ms} ms later");
        let (mut bench, writes, ended) = contest(&ready, offset_ms, usize::MAX);
        let steps: Vec<_> =
            writes.into_iter().filter(|(_, name)| !["update_action"].contains(&name.as_str())).collect();
        assert!(turns(&steps) <= 1, "{story}: {ended:?} {steps:?}");
        bench.converge(&story);
    });
}

#[test]
fn two_first_applies_without_a_lease_leave_something_that_can_be_told() {
    fn make() -> Bench {
        Bench::new(Options { serverless_allowed: false, ..options() }, core_manifest())
    }
    let ready = make();
    all((0..1_000).step_by(50), |offset_ms| {
        let (mut bench, _, ended) = contest(&ready, offset_ms, usize::MAX);
        let plan = bench.plan();
        let mut world = bench.world();
        assert_eq!(leases(&mut world), 0);
        let named = |world: &mut lockstep::twin::World, name: &str| {
            world.tenant_mut(DOMAIN).actions.iter().filter(|action| action.name == name).count()
        };
        let services = world.account_mut(ACCOUNT).verify_services.len();
        let double = services > 1 || named(&mut world, ACTION) > 1 || named(&mut world, LEDGER) > 1;
        // Without a lease this is best effort: a double object is reported, and blocks the next apply.
        assert!(!double || plan.blockers().next().is_some(), "{offset_ms} ms: {ended:?}: {}", shown(&plan));
    });
}

//! Tests of the watch after an apply: it takes back what fails, leaves alone what only numbers and users cause, and is
//! finished by the next run wherever it was killed.

use lockstep::cli::of_watch;
use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::Decision;
use lockstep::engine::watch::{Run, watched};
use lockstep::ledger;
use lockstep::model::call::Failed;
use lockstep::model::codes;
use lockstep::model::health::Verdict;
use lockstep::shell::in_process::Stop;
use lockstep::twin::{ALL_SCOPES, LogEntry, MessageFate, Options, Traffic};
use serde_json::json;

use super::bench::{ACTION, Bench, LEDGER, all};
use crate::support::{ACCOUNT, DOMAIN};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_failing_version_is_taken_back,
    a_version_that_sends_is_left_in_peace,
    a_burst_for_blocked_numbers_takes_nothing_back,
    messages_that_fail_for_many_take_a_version_back,
    a_version_that_ends_like_the_one_before_stays,
    without_the_scope_nothing_is_written,
    a_run_without_news_is_not_watched,
    a_log_that_cannot_be_read_is_no_success,
    a_run_that_another_one_follows_is_not_watched_any_more,
    a_watch_lasts_its_whole_time_from_the_end_of_its_run_on,
    a_run_whose_record_is_gone_does_not_call_itself_watched,
    what_runs_as_before_is_not_called_taken_back,
    a_slow_look_tells_of_the_time_at_which_it_was_asked,
    an_unproven_record_has_no_watch,
];

const WATCH_MS: u64 = 300_000;
/// Text that only the code of the second version has.
const SECOND: &str = "drop('x')";

/// What users get from the second version; the first one always sends.
fn traffic(second: Traffic) -> Vec<Traffic> {
    vec![Traffic { code_has: SECOND.into(), ..second }, Traffic::default()]
}

fn fate(fate: MessageFate) -> Traffic {
    Traffic { fate, ..Traffic::default() }
}

fn code(vendor_code: u32, percent: u64, people: u64) -> Traffic {
    Traffic { vendor_code, percent, people, ..fate(MessageFate::FailsForSome) }
}

/// The core stack with the first version, in use for an hour; its manifest now has the second one.
fn changed(second: Traffic) -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.twin.borrow_mut().options.traffic = traffic(second);
    bench.plan();
    bench.stack.in_process.advance_ms(3_600_000);
    bench.stack.text = bench.stack.text.replace("builtin:twilio-verify", "./own.js");
    bench.losses();
    bench
}

/// A run with `--watch 5m`; `None`: killed.
fn run(bench: &mut Bench, stop: Stop) -> Option<Result<Run, Failed>> {
    bench.stack.watch_ms = Some(WATCH_MS);
    let session = bench.stack.session(false);
    bench.stack.process(stop, |port| async move {
        watched(session, Wishes::default(), |_| Decision::Apply.into(), &port).await
    })
}

fn ran(bench: &mut Bench) -> Run {
    run(bench, Stop::default()).expect("not killed").unwrap_or_else(|failed| panic!("{failed}"))
}

/// The verdict, and whether the run was taken back.
fn verdict(run: &Run) -> (Verdict, bool) {
    let watched = run.watched.as_ref().expect("watched");
    let back = watched.back.as_ref().map(|back| back.as_ref().expect("a rollback"));
    (watched.health.verdict, back.is_some_and(|back| back.outcome.ended == Ended::Done))
}

/// Whether the second version runs.
fn second_runs(bench: &Bench) -> bool {
    let world = bench.world();
    let action = world.tenants[DOMAIN].actions.iter().find(|action| action.name == ACTION).expect("there");
    action.live_version().expect("deployed").code.contains(SECOND)
}

fn record(bench: &Bench) -> lockstep::model::ledger::Ledger {
    let world = bench.world();
    let action = world.tenants[DOMAIN].actions.iter().find(|action| action.name == LEDGER).expect("there");
    ledger::read(&action.code, "acme-login", DOMAIN, ACCOUNT).expect("a record")
}

fn log_reads(bench: &Bench, mark: usize) -> usize {
    bench.stack.log_since(mark).iter().filter(|entry| entry.operation == "list_logs").count()
}

#[test]
fn a_failing_version_is_taken_back() {
    let mut bench = changed(fate(MessageFate::Crashes));
    let mark = bench.stack.mark();
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::Failing, true), "{run:?}");
    let health = &run.watched.as_ref().expect("watched").health;
    assert!(health.counts.executions > 0, "{health:?}");
    assert!(!second_runs(&bench), "the first version runs again");
    assert_eq!(bench.losses(), Vec::<String>::new(), "law 1 at each request");
    let record = record(&bench);
    assert!(record.watch.is_none() && record.intent.is_none(), "{record:?}");
    // Two looks at the log are enough, and one at the time before is not needed for a failed execution.
    assert!(log_reads(&bench, mark) <= 4, "{}", log_reads(&bench, mark));
}

#[test]
fn a_version_that_sends_is_left_in_peace() {
    let mut bench = changed(fate(MessageFate::Sent));
    let mark = bench.stack.mark();
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::Healthy, false), "{run:?}");
    assert!(second_runs(&bench) && record(&bench).watch.is_none());
    // One look each 15 s over 5 minutes, the first at once and the last at the end; more than a hundred messages a page.
    let reads = log_reads(&bench, mark);
    assert!((20..=24).contains(&reads), "{reads} reads of the log");
    let mark = bench.stack.mark();
    assert!(ran(&mut bench).watched.is_none(), "the second apply brings no news");
    assert_eq!(log_reads(&bench, mark), 0);
    assert!(bench.writes_since(mark).is_empty(), "law 2");
}

#[test]
fn a_burst_for_blocked_numbers_takes_nothing_back() {
    for (second, verdict_of_it) in [
        // One number, again and again.
        (code(60410, 100, 1), Verdict::TooFew),
        // A few numbers, and nobody else.
        (code(60605, 100, 4), Verdict::TooFew),
        // A burst beside users who are reached: a third of all messages, for one number of twenty.
        (Traffic { every_ms: 500, ..code(60203, 4, 100) }, Verdict::Healthy),
    ] {
        let mut bench = changed(second.clone());
        let run = ran(&mut bench);
        assert_eq!(verdict(&run), (verdict_of_it, false), "{second:?}: {run:?}");
        let health = &run.watched.as_ref().expect("watched").health;
        assert!(health.counts.numbers.values().sum::<usize>() > 5, "they are counted: {health:?}");
        assert!(second_runs(&bench), "{second:?}");
    }
    // As many people as before the run get nothing.
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.twin.borrow_mut().options.traffic = vec![code(60410, 30, 1_000)];
    bench.plan();
    bench.stack.in_process.advance_ms(3_600_000);
    bench.stack.text = bench.stack.text.replace("builtin:twilio-verify", "./own.js");
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::Healthy, false), "{run:?}");
    let before = run.watched.expect("watched").health.before.expect("it was asked for");
    assert!(before.unreached > 100, "{before:?}");
}

#[test]
fn messages_that_fail_for_many_take_a_version_back() {
    for (second, why) in [
        (code(60200, 100, 1_000), "people get no message"),
        (code(60204, 10, 1_000), "60204: the Verify service does not take the codes of Auth0"),
        (code(20003, 100, 1), "20003: Twilio does not take the credentials"),
    ] {
        let mut bench = changed(second.clone());
        let run = ran(&mut bench);
        assert_eq!(verdict(&run), (Verdict::Failing, true), "{second:?}: {run:?}");
        let reasons = run.watched.expect("watched").health.reasons.join("; ");
        assert!(reasons.contains(why), "{reasons}");
        assert!(!second_runs(&bench), "{second:?}");
        assert_eq!(bench.losses(), Vec::<String>::new());
    }
}

#[test]
fn a_version_that_ends_like_the_one_before_stays() {
    let mut bench = changed(fate(MessageFate::Sent));
    bench.stack.twin.borrow_mut().options.traffic = vec![code(20003, 100, 1_000)];
    bench.stack.in_process.advance_ms(60_000);
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::Failing, false), "{run:?}");
    assert!(second_runs(&bench), "the version before is no better");
}

#[test]
fn without_the_scope_nothing_is_written() {
    let scopes = ALL_SCOPES.iter().filter(|scope| **scope != "read:logs").map(|scope| (*scope).to_owned());
    let options = Options { scopes: Some(scopes.collect()), ..crate::support::options() };
    let mut bench = Bench::new(options, crate::support::core_manifest());
    let run = ran(&mut bench);
    let report = run.report.expect("planned");
    let text = format!("{:?}", report.plan.findings);
    assert!(text.contains("lacks scopes that the steps need: read:logs"), "{text}");
    assert!(matches!(report.outcome.ended, Ended::Failed(_)) && run.watched.is_none());
    assert_eq!(report.outcome.code(), Some(codes::SCOPES_MISSING));
    assert!(bench.writes_since(0).is_empty(), "{:?}", bench.writes_since(0));
}

#[test]
fn a_run_without_news_is_not_watched() {
    let mut bench = changed(fate(MessageFate::Crashes));
    bench.stack.text = crate::support::core_manifest()
        .replace("friendly_name: Acme", "friendly_name: Acme\n  tts_name: Acme");
    let mark = bench.stack.mark();
    let run = ran(&mut bench);
    let report = run.report.expect("applied");
    assert_eq!((report.outcome.done.len(), run.watched.is_none()), (1, true), "{:?}", report.plan.steps);
    assert_eq!(log_reads(&bench, mark), 0);
}

#[test]
fn a_log_that_cannot_be_read_is_no_success() {
    let mut bench = changed(fate(MessageFate::Crashes));
    let rule = lockstep::twin::fault_grammar::parse("GET /api/v2/logs: 403, always");
    bench.stack.twin.borrow_mut().faults.rules.push(rule.unwrap_or_else(|_| panic!("a rule")));
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::NotRead, false), "{run:?}");
    assert!(second_runs(&bench), "nobody knows whether it fails");
}

/// A version may be made long before the last step of a run: the step is slow, or it fails and the next run, an hour
/// later, makes it.
#[test]
fn a_watch_lasts_its_whole_time_from_the_end_of_its_run_on() {
    const FACTOR: &str = "PUT /api/v2/guardian/factors/webauthn-roaming";
    for fault in ["delay-20s", "403"] {
        let mut bench = changed(fate(MessageFate::Sent));
        bench.stack.text = bench.stack.text.replace("    otp: on", "    webauthn_roaming: on\n    otp: on");
        let rule = lockstep::twin::fault_grammar::parse(&format!("{FACTOR}: {fault}"));
        bench.stack.twin.borrow_mut().faults.rules.push(rule.unwrap_or_else(|_| panic!("a rule")));
        let mut run = ran(&mut bench);
        if fault == "403" {
            assert!(run.watched.is_none() && second_runs(&bench), "{run:?}");
            bench.stack.in_process.advance_ms(3_600_000);
            run = ran(&mut bench);
        }
        assert_eq!(verdict(&run), (Verdict::Healthy, false), "{fault}: {run:?}");
        let log = bench.stack.log_since(0);
        let last = |name: &str| log.iter().rev().find(|entry| entry.operation == name).expect("sent");
        let is_factor = |entry: &&LogEntry| entry.wrote && entry.path.ends_with("/factors/webauthn-roaming");
        let step = log.iter().rev().find(is_factor).expect("the factor is switched on");
        let (made, look) = (last("deploy_action"), last("list_logs"));
        assert!(made.done_ms + 19_000 < step.done_ms, "{fault}: the version is older than the last step");
        let watched_ms = look.at_ms - step.done_ms;
        assert!((WATCH_MS..WATCH_MS + 10_000).contains(&watched_ms), "{fault}: {watched_ms}");
    }
}

/// A watch that was killed belongs to its run: another run with steps ends it, and its own deployment stays.
#[test]
fn a_run_that_another_one_follows_is_not_watched_any_more() {
    let mut bench = changed(fate(MessageFate::Crashes));
    let (_, in_watch) = requests(&bench);
    assert!(run(&mut bench, Stop::kill(in_watch, false)).is_none());
    assert!(record(&bench).watch.is_some());
    bench.stack.watch_ms = None;
    bench.stack.text = crate::support::core_manifest();
    bench.stack.in_process.advance_ms(120_000);
    assert_eq!(bench.stack.applied().ended, Ended::Done);
    assert!(record(&bench).watch.is_none() && !second_runs(&bench));
}

/// Number of requests of a whole run that is taken back, and that of the first look at the log.
fn requests(bench: &Bench) -> (usize, usize) {
    let mut whole = bench.fork();
    let mark = whole.stack.mark();
    ran(&mut whole);
    let log = whole.stack.log_since(mark);
    let look = log.iter().position(|entry| entry.operation == "list_logs").expect("a look at the log");
    (log.len(), look + 1)
}

#[test]
fn a_watch_or_a_rollback_that_is_killed_is_finished_by_the_next_run() {
    let prepared = changed(fate(MessageFate::Crashes));
    let (length, _) = requests(&prepared);
    assert!(length > 40, "{length}");
    all((1..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = run(&mut bench, Stop::kill(k, before_reply));
        bench.stack.in_process.advance_ms(120_000);
        let run = ran(&mut bench);
        let watched = run.watched.as_ref().unwrap_or_else(|| panic!("{story}: {run:?}"));
        assert_eq!(watched.health.verdict, Verdict::Failing, "{story}: {run:?}");
        let back = watched.back.as_ref().and_then(|back| back.as_ref().ok());
        let ended = back.map(|back| back.outcome.ended.clone());
        assert_eq!(ended, Some(Ended::Done), "{story}: {run:?}");
        assert!(!second_runs(&bench), "{story}");
        let line = of_watch(watched.clone()).line();
        assert!(line.ends_with("; the run was taken back"), "{story}: {line}");
        let record = record(&bench);
        assert!(record.watch.is_none() && record.intent.is_none(), "{story}: {record:?}");
        assert_eq!(bench.losses(), Vec::<String>::new(), "{story}: law 1 at each request");
    });
}

/// Somebody takes the record away once the run has returned its lease.
#[test]
fn a_run_whose_record_is_gone_does_not_call_itself_watched() {
    let mut bench = changed(fate(MessageFate::Crashes));
    bench.watch.borrow_mut().meddle = Some(Box::new(|twin, _, _| {
        if twin.log().last().is_some_and(|entry| entry.operation == "delete_serverless_service") {
            twin.tenant_mut(DOMAIN).actions.retain(|action| action.name != LEDGER);
        }
    }));
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::NotRead, false), "{run:?}");
    assert!(second_runs(&bench), "nothing says what it replaced");
}

/// Somebody left a draft undeployed, and the run deploys it: by what the manifest names, the version before is the same.
#[test]
fn what_runs_as_before_is_not_called_taken_back() {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.twin.borrow_mut().options.traffic = vec![fate(MessageFate::Crashes)];
    {
        let mut world = bench.world();
        let action = world.tenant_mut(DOMAIN).actions.iter_mut().find(|action| action.name == ACTION);
        let action = action.expect("there");
        action.draft_version = None;
        action.updated_at = "2026-11-20T00:30:00.000Z".into();
    }
    bench.stack.in_process.advance_ms(3_600_000);
    let run = ran(&mut bench);
    assert_eq!(verdict(&run), (Verdict::Failing, true), "{run:?}");
    let told = of_watch(run.watched.expect("watched"));
    assert!(
        told.line().ends_with("; what ran before is the same, so there was nothing to take back"),
        "{}",
        told.line()
    );
    assert!(told.help().contains("mend what failed"), "{}", told.help());
    // What was taken back is told as before.
    let run = ran(&mut changed(fate(MessageFate::Crashes)));
    let told = of_watch(run.watched.expect("watched"));
    assert!(told.line().ends_with("; the run was taken back"), "{}", told.line());
}

/// A reply that takes long may show the log as it was when it was asked for.
#[test]
fn a_slow_look_tells_of_the_time_at_which_it_was_asked() {
    for delay_s in 5..=12 {
        let mut bench = changed(fate(MessageFate::Sent));
        let rule = format!("GET /api/v2/logs: delay-{delay_s}s, always");
        let rule = lockstep::twin::fault_grammar::parse(&rule);
        bench.stack.twin.borrow_mut().faults.rules.push(rule.unwrap_or_else(|_| panic!("a rule")));
        let run = ran(&mut bench);
        assert_eq!(verdict(&run), (Verdict::Healthy, false), "{delay_s}: {run:?}");
        let log = bench.stack.log_since(0);
        let look = log.iter().rev().find(|entry| entry.operation == "list_logs").expect("a look");
        let since: jiff::Timestamp = run.watched.expect("watched").health.since.parse().expect("a time");
        let since_ms = u64::try_from(since.as_millisecond()).expect("after 1970");
        let after_ms = look.at_ms - since_ms;
        assert!(after_ms >= WATCH_MS, "{delay_s}: asked {after_ms} ms after the watch began");
    }
}

#[test]
fn an_unproven_record_has_no_watch() {
    let mut held = record(&{
        let mut bench = Bench::core();
        bench.stack.applied();
        bench
    });
    held.watch =
        serde_json::from_value(json!({ "run": "00", "since": "", "ms": 1, "failing": "forged" })).ok();
    assert!(held.watch.is_some());
    held.distrust();
    assert!(held.watch.is_none(), "a forger could have a run taken back");
}

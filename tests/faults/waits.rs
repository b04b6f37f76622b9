//! Tests that every wait has a reason, a bound and an end, and that an object which is slow to appear is not made
//! twice.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Outcome};
use lockstep::engine::store::Store;
use lockstep::engine::{Engine, Input};
use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use lockstep::model::event::Event;
use lockstep::shell::in_process::{Ended as Run, Handled, InProcess, Simulator, Stop};
use lockstep::twin::{Options, Rule, Twin, What, When};

use super::bench::{Bench, leases};
use super::migration::asked;
use crate::support::{ACCOUNT, DOMAIN, START_MS, Stack, core_manifest, ledger_file, reconciled};

const HOUR_MS: u64 = 3_600_000;

pub type Alter = dyn Fn(&ApiRequest, u64, Answer) -> Answer;

/// A twin whose answers are changed on their way to the client.
pub struct Odd {
    pub twin: Rc<RefCell<Twin>>,
    pub alter: Box<Alter>,
}

impl Simulator for Odd {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let handled = Simulator::handle(&mut *self.twin.borrow_mut(), request, now_ms);
        Handled { answer: (self.alter)(request, now_ms, handled.answer), ..handled }
    }
}

pub fn odd(options: Options, alter: impl Fn(&ApiRequest, u64, Answer) -> Answer + 'static) -> Stack {
    let mut stack = Stack::new(options, core_manifest());
    let world = Odd { twin: stack.twin.clone(), alter: Box::new(alter) };
    stack.in_process = InProcess::new(Rc::new(RefCell::new(world)), START_MS);
    stack
}

fn is_api(request: &ApiRequest) -> bool {
    request.host == DOMAIN && request.path.starts_with("/api/v2/")
}

fn refused(retry_after: &str) -> Answer {
    let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
    Answer::Reply(ApiReply { status: 429, headers, body: br#"{"statusCode":429}"#.to_vec() })
}

#[test]
fn headers_that_make_no_sense_do_not_hold_a_run() {
    let table = [
        ("0", "0", "0"),
        ("0", "0", "99999999999"),
        ("-1", "-1", "-1"),
        ("10", "0", "0"),
        ("10", "0", "99999999999"),
        ("10", "99", "soon"),
        ("18446744073709551615", "0", "18446744073709551615"),
    ];
    for (limit, remaining, reset) in table {
        let mut stack = odd(Options::default(), move |request, _, answer| match answer {
            Answer::Reply(mut reply) if is_api(request) => {
                reply.headers.retain(|(name, _)| !name.starts_with("x-ratelimit"));
                for (name, value) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
                    reply.headers.push((format!("x-ratelimit-{name}"), value.to_owned()));
                }
                Answer::Reply(reply)
            }
            answer => answer,
        });
        stack.applied();
        let took_ms = stack.in_process.now_ms() - START_MS;
        assert!(took_ms < 240_000, "{limit} {remaining} {reset}: {took_ms} ms");
        assert!(stack.observe().plan.is_empty());
    }
}

#[test]
fn a_pause_of_hours_ends_the_run_at_once_and_says_until_when() {
    for what in ["read", "token", "twilio"] {
        let mut stack = odd(Options::default(), move |request, _, answer| {
            let hit = match what {
                "read" => is_api(request),
                "token" => request.path == "/oauth/token",
                _ => request.host == "serverless.twilio.com",
            };
            if hit { refused("7200") } else { answer }
        });
        let text = match stack.try_observe(false) {
            Err(failed) => failed.to_string(),
            Ok(_) => format!("{:?}", stack.apply().ended),
        };
        assert!(text.contains("limited until 2026-"), "{what}: {text}");
        let took_ms = stack.in_process.now_ms() - START_MS;
        assert!(took_ms < 20_000, "{what}: waited for {took_ms} ms");
        assert!(stack.mark() < 30, "{what}: {} requests", stack.mark());
    }
}

/// The result of a run in virtual time, and what it reported.
struct Told {
    outcome: Option<Outcome>,
    events: Vec<Event>,
    late: Option<String>,
    end_ms: u64,
}

/// Runs an apply, with a deadline in ms after the start or an interrupt at a time.
fn told(stack: &mut Stack, deadline_ms: Option<u64>, interrupt_ms: Option<u64>) -> Told {
    let session = stack.session(false);
    stack.in_process.restart(Stop::default());
    let mut engine = Engine::new(stack.in_process.now_ms(), 1);
    if let Some(after_ms) = deadline_ms {
        engine.set_deadline(START_MS + after_ms);
    }
    let tenant = engine.connect(stack.connection());
    let slot = Rc::new(RefCell::new(None));
    let result = slot.clone();
    let mut tasks = vec![engine.spawn(tenant, move |port| async move {
        *result.borrow_mut() = reconciled(session, port).await.ok().map(|report| report.outcome);
    })];
    let mut events = Vec::new();
    if let Some(after_ms) = interrupt_ms {
        let alarm = engine.spawn(tenant, move |port| async move { port.reader().sleep_ms(after_ms).await });
        let ended =
            stack.in_process.run(&mut engine, &[alarm], &mut |told| events.push(told.event), &|| false);
        assert_eq!(ended, Run::Done);
        engine.handle_input(Input::Interrupt, stack.in_process.now_ms());
    }
    let ended =
        stack
            .in_process
            .run(&mut engine, &tasks.split_off(0), &mut |told| events.push(told.event), &|| false);
    assert_eq!(ended, Run::Done);
    let late = engine.late().map(str::to_owned);
    Told { outcome: slot.take(), events, late, end_ms: stack.in_process.now_ms() }
}

/// A request that cannot be sent (a proxy that wants a user, a path that cannot be written) would fail again, so it is
/// not repeated.
#[test]
fn what_cannot_be_sent_is_not_sent_again() {
    for path in ["/oauth/token", "/api/v2/actions/actions", "/v2/Services"] {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let mut stack = odd(Options::default(), move |request, _, answer| {
            if request.path.split('?').next() != Some(path) {
                return answer;
            }
            counted.set(counted.get() + 1);
            Answer::Barred("the proxy answers 407".into())
        });
        let started_ms = stack.in_process.now_ms();
        let failed = stack.try_observe(false).err().map(|failed| failed.to_string());
        let said = match failed {
            Some(text) => text,
            None => format!("{:?}", stack.apply().ended),
        };
        assert!(said.contains("407"), "{path}: {said}");
        assert!(count.get() <= 2, "{path}: sent {} times", count.get());
        assert!(stack.in_process.now_ms() - started_ms < 10_000, "{path}: it waited");
    }
}

#[test]
fn the_deadline_ends_a_run_tidily_and_says_what_was_waited_for() {
    let options = Options { build_with_dependencies_ms: HOUR_MS, ..Options::default() };
    let mut stack = Stack::new(options, core_manifest());
    let told = told(&mut stack, Some(60_000), None);
    let outcome = told.outcome.expect("it was planned");
    assert_eq!(outcome.ended, Ended::Stopped);
    let late = told.late.expect("late");
    assert!(late.contains("action"), "{late}");
    assert!(told.end_ms - START_MS < 75_000, "{} ms", told.end_ms - START_MS);
    assert_eq!(leases(&mut stack.twin.borrow().world.clone()), 0, "the lease was released");
    assert!(!stack.observe().found.ledger.expect("recorded").history.is_empty());
}

/// A run that meets its deadline most likely waits for a rate limit, which then delays the write of the record too.
#[test]
fn what_is_limited_after_the_deadline_is_recorded_all_the_same() {
    let options = Options { build_with_dependencies_ms: HOUR_MS, ..Options::default() };
    let once = Cell::new(false);
    let mut stack = odd(options, move |request, now_ms, answer| {
        let is_late = now_ms >= START_MS + 60_000 && request.method == Method::Patch && is_api(request);
        if is_late && !once.replace(true) { refused("2") } else { answer }
    });
    stack.text = core_manifest();
    let told = told(&mut stack, Some(60_000), None);
    assert_eq!(told.outcome.expect("it was planned").ended, Ended::Stopped);
    assert!(told.end_ms - START_MS < 75_000, "{} ms", told.end_ms - START_MS);
    assert_eq!(leases(&mut stack.twin.borrow().world.clone()), 0, "the lease was released");
    assert!(!stack.observe().found.ledger.expect("recorded").history.is_empty());
}

#[test]
fn an_interrupt_ends_every_wait_at_once() {
    type Case = (&'static str, fn(&ApiRequest, Answer) -> Answer, u64);
    let cases: [Case; 4] = [
        (
            "token",
            |request, answer| if request.path == "/oauth/token" { refused("300") } else { answer },
            1_000,
        ),
        ("rate limit", |request, answer| if is_api(request) { refused("300") } else { answer }, 1_000),
        (
            "twilio",
            |request, answer| match request.host.as_str() {
                "serverless.twilio.com" => refused("300"),
                _ => answer,
            },
            2_500,
        ),
        ("build", |_, answer| answer, 20_000),
    ];
    for (what, alter, after_ms) in cases {
        let options = Options { build_with_dependencies_ms: HOUR_MS, ..Options::default() };
        let mut stack = odd(options, move |request, _, answer| alter(request, answer));
        let told = told(&mut stack, None, Some(after_ms));
        let took_ms = told.end_ms - START_MS - after_ms;
        assert!(took_ms <= 1_000, "{what}: it went on for {took_ms} ms");
        assert!(told.late.is_none());
        assert!(told.outcome.is_none_or(|outcome| outcome.ended != Ended::Done), "{what}");
    }
}

#[test]
fn a_wait_for_the_rate_limit_is_told() {
    let counted = Rc::new(Cell::new(0));
    let mut stack = odd(Options::default(), move |request, now_ms, answer| match answer {
        Answer::Reply(mut reply) if is_api(request) => {
            counted.set(counted.get() + 1);
            reply.headers.retain(|(name, _)| !name.starts_with("x-ratelimit"));
            let reset = (now_ms / 1000 + 30).to_string();
            let left = if counted.get() < 3 { "0" } else { "9" };
            for (name, value) in [("limit", "10"), ("remaining", left), ("reset", &*reset)] {
                reply.headers.push((format!("x-ratelimit-{name}"), value.to_owned()));
            }
            Answer::Reply(reply)
        }
        answer => answer,
    });
    let told = told(&mut stack, None, None);
    assert_eq!(told.outcome.expect("planned").ended, Ended::Done);
    let waits =
        |event: &&Event| matches!(event, Event::Holding { host, ms, .. } if host == DOMAIN && *ms > 20_000);
    let count = told.events.iter().filter(waits).count();
    assert!((1..=3).contains(&count), "told {count} times");
}

/// A stack that gets no answer to its create, whether or not the create took effect, and whose lists lag for a while.
fn lost_create(path: &'static str, list: &'static str, took_effect: bool, lag_ms: u64) -> Stack {
    let lost_ms = Rc::new(Cell::new(None));
    let inner = lost_ms.clone();
    let mut stack = odd(Options::default(), move |request, now_ms, answer| {
        let is_list = request.method == Method::Get && request.path.split('?').next() == Some(path);
        match (answer, inner.get()) {
            (_, None) if request.method == Method::Post && request.path == path => {
                inner.set(Some(now_ms));
                Answer::Lost("reset".into())
            }
            (Answer::Reply(mut reply), Some(at_ms)) if is_list && now_ms < at_ms + lag_ms => {
                let mut body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
                match list {
                    "" => body = serde_json::json!([]),
                    key => body[key] = serde_json::json!([]),
                }
                reply.body = body.to_string().into_bytes();
                Answer::Reply(reply)
            }
            (answer, _) => answer,
        }
    });
    if !took_effect {
        let when = lockstep::twin::When::first(Method::Post, path);
        let lost = lockstep::twin::What::Lost { after_effect: false };
        stack.twin.borrow_mut().faults.rules.push(lockstep::twin::Rule::once(when, lost));
    }
    stack.lease_ttl_ms = 60_000;
    stack
}

fn made(stack: &Stack, path: &str) -> usize {
    let mut world = stack.twin.borrow().world.clone();
    match path {
        "/v2/Services" => world.account_mut(ACCOUNT).verify_services.len(),
        _ => world.tenant_mut(DOMAIN).log_streams.len(),
    }
}

#[test]
fn a_lost_create_whose_list_lags_is_never_made_twice() {
    for (path, list) in [("/v2/Services", "services"), ("/api/v2/log-streams", "")] {
        for (took_effect, lag_ms) in
            [(true, 0), (true, 1_500), (true, 10_000), (true, 60_000), (true, 200_000), (false, 0)]
        {
            let story = format!("{path}, took effect: {took_effect}, a lag of {lag_ms} ms");
            let mut stack = lost_create(path, list, took_effect, lag_ms);
            let first = stack.apply();
            if took_effect && lag_ms < 3_000 {
                assert_eq!(first.ended, Ended::Done, "{story}");
            } else {
                let Ended::Failed(text) = &first.ended else { panic!("{story}: {first:?}") };
                assert!(text.contains("not created again") && text.contains("named"), "{story}: {text}");
                // At once again: nothing is made as long as the list may lag.
                let again = stack.apply();
                assert!(made(&stack, path) <= 1, "{story}");
                if took_effect && lag_ms < 60_000 {
                    stack.in_process.advance_ms(60_000);
                } else if again.ended != Ended::Done {
                    let Ended::Failed(text) = &again.ended else { panic!("{story}: {again:?}") };
                    assert!(text.contains("not found yet"), "{story}: {text}");
                    stack.in_process.advance_ms(300_000);
                }
                assert_eq!(stack.apply().ended, Ended::Done, "{story}");
            }
            assert_eq!(made(&stack, path), 1, "{story}");
            assert!(stack.observe().plan.is_empty(), "{story}");
        }
    }
}

/// Only the record tells the next run of a lost create, and here the record refuses the note at first.
#[test]
fn a_lost_create_is_noted_although_the_record_refuses_at_first() {
    for (path, list) in [("/v2/Services", "services"), ("/api/v2/log-streams", "")] {
        for refusal in [What::Forbidden, What::Malformed { after_effect: false }] {
            let story = format!("{path}, {refusal:?}");
            let mut stack = lost_create(path, list, true, 150_000);
            let when = When::first(Method::Patch, "/api/v2/actions/actions/");
            stack.twin.borrow_mut().faults.rules.push(Rule { when, what: refusal, times: 3, matched: 0 });
            assert!(matches!(stack.apply().ended, Ended::Failed(_)), "{story}");
            let Ended::Failed(text) = stack.apply().ended else { panic!("{story}: made again") };
            assert!(text.contains("not found yet"), "{story}: {text}");
            assert_eq!(made(&stack, path), 1, "{story}");
            stack.in_process.advance_ms(301_000);
            assert_eq!(stack.apply().ended, Ended::Done, "{story}");
            assert_eq!(made(&stack, path), 1, "{story}");
        }
    }
}

/// Without a record, nothing tells the next run of a lost create.
#[test]
fn without_a_record_a_lost_create_is_looked_for_until_its_list_shows_it() {
    for (path, list) in [("/v2/Services", "services"), ("/api/v2/log-streams", "")] {
        for lag_ms in [10_000, 60_000, 200_000] {
            let mut stack = lost_create(path, list, true, lag_ms);
            stack.store = Store::None;
            assert_eq!(stack.apply().ended, Ended::Done, "{path}, a lag of {lag_ms} ms");
            assert_eq!(made(&stack, path), 1, "{path}, a lag of {lag_ms} ms");
        }
    }
    let mut stack = lost_create("/v2/Services", "services", false, 0);
    stack.store = Store::None;
    assert!(matches!(stack.apply().ended, Ended::Failed(_)), "nothing was made");
    assert_eq!(stack.apply().ended, Ended::Done, "after that it is made");
    assert_eq!(made(&stack, "/v2/Services"), 1);
}

/// Nothing tells the next run, so the run has to tell a person.
#[test]
fn a_run_that_ends_while_it_looks_for_a_lost_create_says_until_when_not_to_run_again() {
    for (path, list, place) in
        [("/v2/Services", "services", "Twilio console"), ("/api/v2/log-streams", "", "Auth0 dashboard")]
    {
        for (deadline_ms, interrupt_ms) in [(Some(40_000), None), (None, Some(40_000))] {
            let story = format!("{path}, deadline {deadline_ms:?}, interrupt {interrupt_ms:?}");
            let mut stack = lost_create(path, list, true, 200_000);
            stack.store = Store::None;
            let outcome = told(&mut stack, deadline_ms, interrupt_ms).outcome.expect("it was planned");
            assert_eq!(outcome.ended, Ended::Stopped, "{story}");
            let lost = outcome.lost.expect("told");
            assert!(lost.contains("named") && lost.contains(place), "{story}: {lost}");
            let (_, time) = lost.split_once("before ").expect("a time");
            let until: jiff::Timestamp = time.split(',').next().unwrap_or_default().parse().expect("a time");
            let until_ms = u64::try_from(until.as_millisecond()).expect("later");
            let now_ms = stack.in_process.now_ms();
            assert!((now_ms + 200_000..now_ms + 300_000).contains(&until_ms), "{story}: {lost}");
            stack.in_process.advance_ms(until_ms - now_ms);
            let _ = stack.apply();
            assert_eq!(made(&stack, path), 1, "{story}");
        }
        // With a record, the next run learns of the lost create.
        let mut stack = lost_create(path, list, true, 200_000);
        assert_eq!(
            told(&mut stack, Some(40_000), None).outcome.expect("it was planned").lost,
            None,
            "{path}"
        );
    }
    // The run looked for longer than a list may lag, so nothing was made.
    let mut stack = lost_create("/v2/Services", "services", false, 0);
    stack.store = Store::None;
    assert_eq!(stack.apply().lost, None);
}

/// The answer to a create is lost and the list shows the new object: the run goes on with it.
#[test]
fn what_a_lost_create_made_is_taken_in_the_same_run() {
    for (what, path, store) in [
        ("the service", "/v2/Services", Store::Tenant),
        ("the stream", "/api/v2/log-streams", Store::Tenant),
        ("the record", "/api/v2/actions/actions", Store::Tenant),
        ("the Action", "/api/v2/actions/actions", Store::File(ledger_file())),
    ] {
        let mut bench = Bench::crowded();
        bench.stack.store = store;
        let lost = What::Lost { after_effect: true };
        bench.stack.twin.borrow_mut().faults.rules.push(Rule::once(When::first(Method::Post, path), lost));
        assert_eq!(bench.ended(false), Ended::Done, "{what}");
        assert!(bench.plan().is_empty(), "{what}");
    }
}

/// A destroy also waits for what a lost create may have made, because nobody would find it afterwards.
#[test]
fn what_may_still_appear_is_not_forgotten_by_a_destroy() {
    for (path, list) in [("/v2/Services", "services"), ("/api/v2/log-streams", "")] {
        let mut stack = lost_create(path, list, true, 60_000);
        assert!(matches!(stack.apply().ended, Ended::Failed(_)), "{path}");
        let early = stack.apply_until(Stop::default(), true).expect("not killed").ended;
        let Ended::Failed(text) = early else { panic!("{path}: it may appear yet: {early:?}") };
        assert!(text.contains("not found yet"), "{path}: {text}");
        stack.in_process.advance_ms(301_000);
        let ended = stack.apply_until(Stop::default(), true).expect("not killed").ended;
        assert_eq!(ended, Ended::Done, "{path}");
        assert_eq!(made(&stack, path), 0, "{path}");
    }
}

/// What a killed run created may not be listed yet. A lease keeps the next run out until the list shows it; without
/// leases the next run waits for as long, and reads anew.
#[test]
fn without_a_lease_what_a_killed_run_created_is_waited_for() {
    for (path, list) in [("/v2/Services", "services"), ("/api/v2/log-streams", "")] {
        for destroys in [false, true] {
            let story = format!("{path}, then a destroy: {destroys}");
            let mut stack = lost_create(path, list, true, 50_000);
            stack.twin.borrow_mut().options.serverless_allowed = false;
            let mut probe = lost_create(path, list, true, 50_000);
            probe.twin.borrow_mut().options.serverless_allowed = false;
            let _ = probe.apply();
            let creates = |one: &lockstep::twin::LogEntry| one.method == Method::Post && one.path == path;
            let at = probe.twin.borrow().log().iter().position(creates).expect("the create was sent");
            assert!(stack.apply_until(Stop::kill(at + 1, false), false).is_none(), "{story}: not killed");
            assert_eq!(made(&stack, path), 1, "{story}");
            let ended = stack.apply_until(Stop::default(), destroys).expect("not killed").ended;
            assert_eq!(ended, Ended::Done, "{story}");
            assert_eq!(made(&stack, path), usize::from(!destroys), "{story}");
        }
    }
}

/// The machine is 25 hours ahead of the server that holds the date.
#[test]
fn a_clock_that_is_ahead_removes_nothing_early() {
    let ahead_ms = 25 * HOUR_MS;
    let mut bench = asked(lockstep::twin::Flag::Off);
    assert_eq!(bench.ended(false), Ended::Done);
    bench.stack.in_process.advance_ms(ahead_ms);
    let signed = i64::try_from(ahead_ms).expect("small");
    bench.stack.twin.borrow_mut().options.date_ahead_ms = Some(-signed);
    let plan = bench.stack.observe().plan;
    assert!(plan.steps.is_empty() && !plan.deferred.is_empty(), "{plan:?}");
    // Without a `Date` the local clock counts, and a finding says so.
    bench.stack.twin.borrow_mut().options.date_ahead_ms = None;
    let plan = bench.stack.observe().plan;
    assert!(!plan.steps.is_empty());
    assert!(plan.findings.iter().any(|finding| finding.text.contains("this machine's clock")), "{plan:?}");
}

#[test]
fn clocks_that_disagree_are_said_once() {
    for (ahead_ms, said) in [(0, 0), (60_000, 0), (600_000, 1), (-90_000_000, 1)] {
        let options = Options { date_ahead_ms: Some(ahead_ms), ..Options::default() };
        let told = told(&mut Stack::new(options, core_manifest()), None, None);
        let warns =
            |event: &&Event| matches!(event, Event::Notice { text } if text.contains("but the clock of"));
        assert_eq!(told.events.iter().filter(warns).count(), said, "{ahead_ms} ms");
    }
}

/// A run that is killed between its result and its release leaves a lease. The next run removes it, even without other
/// work. If no lease was left, an apply without changes sends no further request.
#[test]
fn a_lease_that_was_left_behind_goes_with_the_next_run_that_has_nothing_to_do() {
    let mut stack = Stack::core();
    let mark = stack.mark();
    stack.applied();
    let requests = stack.mark() - mark;
    let mark = stack.mark();
    stack.applied();
    let quiet = stack.mark() - mark;

    let mut stack = Stack::core();
    assert!(stack.apply_until(Stop::kill(requests - 1, false), false).is_none(), "killed before its release");
    let left = |stack: &Stack| leases(&mut stack.twin.borrow().world.clone());
    assert_eq!(left(&stack), 1);
    let mark = stack.mark();
    stack.applied();
    assert_eq!((left(&stack), stack.mark() - mark), (1, quiet), "it may be about to release it");
    stack.in_process.advance_ms(stack.lease_ttl_ms);
    stack.applied();
    assert_eq!(left(&stack), 0);
    stack.in_process.advance_ms(48 * HOUR_MS);
    let mark = stack.mark();
    stack.applied();
    assert_eq!(stack.mark() - mark, quiet, "nothing is left over");
}

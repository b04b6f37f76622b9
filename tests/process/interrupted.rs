//! Tests of runs that are killed or interrupted: the next run finishes the work, and nothing exists twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::lab::{Asked, Proxy, QUICKSTART, Site, Twin, json_reply, signal};

/// The request at which the signal is sent, and whether that request takes effect.
#[derive(Clone, Copy, Debug)]
struct Moment {
    method: &'static str,
    host: &'static str,
    path_end: &'static str,
    /// Number among the requests of this form, from 1.
    nth: usize,
    takes_effect: bool,
}

const fn at(method: &'static str, host: &'static str, path_end: &'static str, nth: usize) -> Moment {
    Moment { method, host, path_end, nth, takes_effect: true }
}

/// A proxy that signals the program once, at that moment. The pid is set once it is known.
fn signalling(twin: &Twin, name: &'static str, moment: Moment) -> (Proxy, Arc<AtomicU32>, Arc<AtomicBool>) {
    let (pid, happened) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (known, told) = (pid.clone(), happened.clone());
    let count = AtomicU32::new(0);
    let hook = move |asked: &Asked, forward: &dyn Fn() -> Vec<u8>| {
        let fits = asked.is(moment.method, moment.host, moment.path_end);
        if !fits || count.fetch_add(1, Ordering::SeqCst) as usize + 1 != moment.nth {
            return forward();
        }
        let started = Instant::now();
        while known.load(Ordering::SeqCst) == 0 && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let reply = if moment.takes_effect { forward() } else { Vec::new() };
        // The flag is set first, because a killed process may be inspected before this thread continues.
        told.store(true, Ordering::SeqCst);
        signal(name, known.load(Ordering::SeqCst));
        // Time for the program to notice the signal before the reply.
        std::thread::sleep(Duration::from_millis(50));
        reply
    };
    (Proxy::start(twin, hook), pid, happened)
}

const ACTIONS: &str = "/api/v2/actions/actions";

const MOMENTS: [Moment; 10] = [
    // The lease.
    at("POST", "serverless", "/v1/Services", 1),
    // The ledger's intent, then the Action.
    at("POST", "auth0", ACTIONS, 1),
    at("POST", "verify", "/v2/Services", 1),
    at("POST", "auth0", ACTIONS, 2),
    at("POST", "auth0", "/log-streams", 1),
    at("POST", "auth0", "/deploy", 1),
    at("PATCH", "auth0", "/bindings", 1),
    at("POST", "auth0", "/providers", 1),
    at("PUT", "auth0", "/factors/sms", 1),
    // Everything is done, but the lease is not released.
    at("DELETE", "serverless", "", 1),
];

fn killed_and_continued(twin: &Twin, number: u64, moment: Moment) {
    let (proxy, pid, happened) = signalling(twin, "KILL", moment);
    let site = Site::new(twin, number).through(&proxy);
    let running = site.lockstep("apply", QUICKSTART, &["--yes", "--lease-ttl", "1s"]).start();
    pid.store(running.id(), Ordering::SeqCst);
    let killed = running.wait();
    assert!(happened.load(Ordering::SeqCst), "{moment:?} did not come: {:?} {}", killed.code, killed.err);
    assert_eq!(killed.code, None, "{moment:?}: {}", killed.err);
    let next = site.run("apply", &["--yes", "--lease-ttl", "1s"]);
    assert_eq!(next.code, Some(0), "{moment:?}\nstdout:\n{}\nstderr:\n{}", next.out, next.err);
    // At the last moment only the release was left to do, and a run without work takes no lease.
    if moment.method != "DELETE" || moment.takes_effect {
        site.expect_one_stack();
    }
    let mark = twin.mark();
    let third = site.run("plan", &["--exit-code"]);
    assert_eq!(third.code, Some(0), "{moment:?}\n{}", third.out);
    let mine: Vec<String> =
        twin.writes_since(mark).into_iter().filter(|line| line.contains(&site.domain)).collect();
    assert_eq!(mine, Vec::<String>::new());
}

/// Each case has its own tenant and account on one server; most of the time is spent waiting for the dead lease.
fn all_killed(first_number: u64, takes_effect: bool) {
    let twin = Twin::start();
    std::thread::scope(|scope| {
        for (number, moment) in (first_number..).zip(MOMENTS) {
            let twin = &twin;
            scope.spawn(move || killed_and_continued(twin, number, Moment { takes_effect, ..moment }));
        }
    });
}

#[test]
fn a_kill_after_a_request_took_effect_leaves_nothing_twice() {
    all_killed(100, true);
}

#[test]
fn a_kill_before_a_request_took_effect_leaves_nothing_out() {
    all_killed(200, false);
}

fn stopped_and_continued(twin: &Twin, number: u64, name: &'static str, code: i32, moment: Moment) {
    let (proxy, pid, happened) = signalling(twin, name, moment);
    let site = Site::new(twin, number).through(&proxy);
    let running = site.lockstep("apply", QUICKSTART, &["--yes"]).start();
    pid.store(running.id(), Ordering::SeqCst);
    let stopped = running.wait();
    assert!(happened.load(Ordering::SeqCst), "{moment:?} did not come: {}", stopped.err);
    assert_eq!(stopped.code, Some(code), "{moment:?}\n{}\n{}", stopped.out, stopped.err);
    assert!(stopped.err.contains("run the same command again to continue"), "{moment:?}: {}", stopped.err);
    assert!(stopped.err.contains("stopping: "), "{moment:?}: what is waited for: {}", stopped.err);
    assert!(!stopped.err.contains("  failed: "), "{moment:?}: nothing failed: {}", stopped.err);
    assert!(!site.is_leased(), "{moment:?}: the lease was not released");
    let show = site.run("show", &[]).expect(0);
    assert!(!show.out.contains("did not report its end"), "{moment:?}: {}", show.out);
    let drift = site.run("drift", &[]);
    assert!(matches!(drift.code, Some(2 | 5)), "{moment:?}: {}", drift.out);
    assert!(!drift.out.contains("[tenant changed]"), "{moment:?}: {}", drift.out);
    // The next run does not wait for the lease: with the default TTL, a take-over would take a minute.
    let started = Instant::now();
    let next = site.run("apply", &["--yes"]);
    assert_eq!(next.code, Some(0), "{moment:?}\n{}\n{}", next.out, next.err);
    assert!(started.elapsed() < Duration::from_secs(30), "{moment:?}: it waited for the lease");
    site.expect_one_stack();
    site.run("drift", &[]).expect(0);
}

#[test]
fn a_signal_ends_an_apply_tidily() {
    let twin = Twin::start();
    let moments = [MOMENTS[0], MOMENTS[2], MOMENTS[3], MOMENTS[5], MOMENTS[8]];
    std::thread::scope(|scope| {
        for (index, moment) in moments.into_iter().enumerate() {
            let (twin, number) = (&twin, 300 + 2 * index as u64);
            scope.spawn(move || stopped_and_continued(twin, number, "INT", 130, moment));
            scope.spawn(move || stopped_and_continued(twin, number + 1, "TERM", 143, moment));
        }
    });
}

#[test]
fn a_signal_ends_a_plan_without_a_word_of_success() {
    let twin = Twin::start();
    let (proxy, pid, _) = signalling(&twin, "INT", at("POST", "auth0", "/oauth/token", 1));
    let site = Site::new(&twin, 320).through(&proxy);
    let running = site.lockstep("plan", QUICKSTART, &[]).start();
    pid.store(running.id(), Ordering::SeqCst);
    let stopped = running.wait().expect(130);
    assert_eq!(stopped.out, "", "{}", stopped.err);
    assert!(stopped.err.contains("stopped"), "{}", stopped.err);
}

/// Without a record, the next run would create the object again.
#[test]
fn a_lost_create_without_a_record_is_named_with_the_time_until_which_nobody_runs_again() {
    let twin = Twin::start();
    let made = Arc::new(AtomicBool::new(false));
    let is_made = made.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        let is_list = asked.method == "GET" && asked.path.starts_with("/v2/Services?");
        if asked.is("POST", "verify", "/v2/Services") {
            forward();
            is_made.store(true, Ordering::SeqCst);
            return Vec::new();
        }
        if is_list && is_made.load(Ordering::SeqCst) {
            let meta = serde_json::json!({ "key": "services", "next_page_url": null });
            return json_reply(200, "", &serde_json::json!({ "services": [], "meta": meta }));
        }
        forward()
    });
    let told = |text: &str| {
        text.contains("verify_service named")
            && text.contains("Twilio console")
            && text.contains("do not run this again before 20")
    };
    for (number, is_json) in [(330, false), (331, true)] {
        made.store(false, Ordering::SeqCst);
        let site = Site::new(&twin, number).through(&proxy);
        let args = [
            "--yes",
            "--ledger",
            "none",
            "--deadline",
            "5s",
            "--output",
            if is_json { "json" } else { "text" },
        ];
        let late = site.run("apply", &args).expect(1);
        assert!(told(&late.err), "{}", late.err);
        for text in [&late.err, &late.out] {
            assert!(!text.contains("run the same command again"), "{text}");
        }
        if is_json {
            let outcome = &late.json()["apply"]["outcome"];
            assert_eq!(outcome["ended"], "stopped");
            assert!(outcome["why"].as_str().is_some_and(told), "{outcome}");
        }
        made.store(false, Ordering::SeqCst);
        assert_eq!(site.verify_services().len(), 1);
    }
}

/// A second signal ends the run at once.
#[test]
fn a_second_signal_ends_it_at_once() {
    let twin = Twin::start();
    let pid = Arc::new(AtomicU32::new(0));
    let known = pid.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        if asked.is("POST", "verify", "/v2/Services") {
            while known.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            signal("INT", known.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(100));
            signal("INT", known.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_secs(5));
        }
        forward()
    });
    let site = Site::new(&twin, 321).through(&proxy);
    let started = Instant::now();
    let running = site.lockstep("apply", QUICKSTART, &["--yes"]).start();
    pid.store(running.id(), Ordering::SeqCst);
    running.wait().expect(130);
    assert!(started.elapsed() < Duration::from_secs(4), "it waited for the reply");
}

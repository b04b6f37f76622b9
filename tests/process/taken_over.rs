//! Tests of two programs that go on with one rollout: the later one takes it over, and nobody's tenant fails by that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::fleet::{Fleet, THREE, TWIN_ARGS, TWO_WAVES};
use super::lab::{Proxy, Site, Twin, signal};

/// Longest time that a request is held, below the TTL of a lease.
const HELD_MAX: Duration = Duration::from_secs(20);

fn wait_until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() && began.elapsed() < HELD_MAX {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How many files there are in a folder and those in it.
fn records(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { records(&entry.path()) } else { 1 }).sum()
}

/// How the first run ends, after the second one has taken over.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It finds out by the records.
    Itself,
    /// It is killed between two requests of one step.
    Killed,
}

/// The first run is held between two writes to a tenant: the second one reads that tenant half done, and takes over. Then
/// the first one does a little more, so that the second one finds another plan than it showed, and waits for the lease.
fn a_second_run_goes_on(end: End) {
    let twin = Twin::with(&TWIN_ARGS);
    let [is_held, is_recorded, is_waiting] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
    let (held, recorded, waiting) = (is_held.clone(), is_recorded.clone(), is_waiting.clone());
    let is_last_held = AtomicBool::new(false);
    let pid = Arc::new(AtomicU32::new(0));
    let last = pid.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        let is_last = match end {
            End::Itself => asked.is("PATCH", "tenant-", "/bindings"),
            End::Killed => asked.is("POST", "tenant-", "/deploy"),
        };
        if asked.is("POST", "tenant-", "/api/v2/actions/actions") && !held.swap(true, Ordering::SeqCst) {
            wait_until(|| recorded.load(Ordering::SeqCst));
        } else if is_last && !is_last_held.swap(true, Ordering::SeqCst) {
            wait_until(|| waiting.load(Ordering::SeqCst));
            if end == End::Killed {
                signal("KILL", last.load(Ordering::SeqCst));
                return Vec::new();
            }
        }
        forward()
    });
    let mut fleet = Fleet::new(&format!("http://127.0.0.1:{}", proxy.port), &THREE, TWO_WAVES);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let mut args = vec!["--yes", "--record", &place, "--record-key", "env:RECORD_KEY"];
    if end == End::Killed {
        args.extend(["--lease-ttl", "2s"]);
    }
    let first = fleet.program("rollout", &args).start();
    pid.store(first.id(), Ordering::SeqCst);
    wait_until(|| is_held.load(Ordering::SeqCst));
    let folder = fleet.folder.path("records");
    let before = records(&folder);
    assert!(before > 0 && Site::new(&twin, 1).is_leased(), "the first run writes to the first tenant");

    let waits = is_waiting.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        let reply = forward();
        if asked.is("POST", "serverless.", "/v1/Services") {
            waits.store(true, Ordering::SeqCst);
        }
        reply
    });
    fleet.via = format!("http://127.0.0.1:{}", proxy.port);
    let second = fleet.program("rollout", &args).start();
    wait_until(|| records(&folder) > before);
    assert_eq!(records(&folder), before + 1, "the second run is on record before it writes to a tenant");
    assert!(!is_waiting.load(Ordering::SeqCst), "it asked for the lease before it was on record");
    is_recorded.store(true, Ordering::SeqCst);

    let (first, second) = (first.wait(), second.wait());
    match end {
        End::Itself => {
            let first = first.expect(75);
            for word in ["another run", "tester@tests pid ", "rollout status"] {
                assert!(first.err.contains(word), "{word}: {}", first.err);
            }
        }
        End::Killed => assert_eq!(first.code, None),
    }
    let second = second.expect(0);
    assert!(is_waiting.load(Ordering::SeqCst), "the second run did not meet the first one");
    assert!(second.out.contains("Rollout of fleet acme"), "{}", second.out);
    fleet.run("drift", &[]).expect(0);
    for tenant in 1..=3 {
        Site::new(&twin, tenant).expect_one_stack();
    }
}

#[test]
fn a_run_that_takes_over_leaves_what_is_in_flight_and_goes_on_behind_it() {
    a_second_run_goes_on(End::Itself);
}

#[test]
fn a_run_that_takes_over_finishes_a_step_that_was_done_by_half() {
    a_second_run_goes_on(End::Killed);
}

/// A run that takes over shows its plan, and then somebody changes the same value by hand: that is no rest of the run before.
#[test]
fn a_run_that_takes_over_does_not_write_over_what_was_changed_since() {
    let twin = Arc::new(Twin::with(&TWIN_ARGS));
    let mut fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let args = ["--yes", "--record", &place, "--record-key", "env:RECORD_KEY", "--lease-ttl", "2s"];
    let _ = fleet.run("rollout", &args).expect(0);
    fleet.change("code_length: 6", "code_length: 7");
    let pid = Arc::new(AtomicU32::new(0));
    let killed = pid.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        if asked.is("POST", "verify.", "") {
            wait_until(|| killed.load(Ordering::SeqCst) != 0);
            signal("KILL", killed.load(Ordering::SeqCst));
            return Vec::new();
        }
        forward()
    });
    let through = |proxy: &Proxy| format!("http://127.0.0.1:{}", proxy.port);
    fleet.via = through(&proxy);
    let first = fleet.program("rollout", &args).start();
    pid.store(first.id(), Ordering::SeqCst);
    assert_eq!(first.wait().code, None);

    let site = Site::new(&twin, 1);
    let service = site.verify_services()[0]["sid"].as_str().expect("a sid").to_owned();
    let (reads, path) = (AtomicUsize::new(0), format!("/v2/Services/{service}"));
    let edited = path.clone();
    let direct = Site::new(&twin, 1);
    let proxy = Proxy::start(&twin, move |asked, forward| {
        if asked.is("GET", "verify.", &edited) && reads.fetch_add(1, Ordering::SeqCst) == 1 {
            assert_eq!(direct.twilio("verify.twilio.com", "POST", &edited, "CodeLength=5").0, 200);
        }
        forward()
    });
    fleet.via = through(&proxy);
    let second = fleet.run("rollout", &args);
    assert!(second.out.contains("changed in between"), "{}\n{}", second.out, second.err);
    assert_eq!(site.verify_services()[0]["code_length"], 5, "{}", second.out);
}

//! Tests of two programs at once on one tenant: their writes never interleave.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lab::{Proxy, QUICKSTART, Run, Site, Twin, signal};

/// One write as the proxies saw it: its begin and end on a clock that counts all requests, and its reply.
#[derive(Clone, Debug)]
struct Written {
    who: usize,
    began: usize,
    ended: usize,
    line: String,
    lease: Option<Lease>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lease {
    Taken,
    Let,
}

type Log = Arc<Mutex<Vec<Written>>>;

/// A proxy for one of the two programs. At its request number `hold` it waits until `until` is true, with a bound well
/// below the TTL.
fn watched(
    twin: &Twin,
    who: usize,
    clock: &Arc<AtomicUsize>,
    log: &Log,
    hold: Option<(usize, Arc<AtomicBool>)>,
    reached: &Arc<AtomicBool>,
    release_at: usize,
) -> Proxy {
    let (clock, log, reached) = (clock.clone(), log.clone(), reached.clone());
    Proxy::start(twin, move |asked, forward| {
        if asked.number == release_at {
            reached.store(true, Ordering::SeqCst);
        }
        if let Some((at, until)) = &hold
            && *at == asked.number
        {
            reached.store(true, Ordering::SeqCst);
            let started = Instant::now();
            while !until.load(Ordering::SeqCst) && started.elapsed() < Duration::from_millis(700) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let began = clock.fetch_add(1, Ordering::SeqCst);
        let reply = forward();
        let ended = clock.fetch_add(1, Ordering::SeqCst);
        if asked.method != "GET" && asked.path != "/oauth/token" {
            let status: u16 = String::from_utf8_lossy(&reply)
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .unwrap_or_default();
            let on_lease = asked.host.starts_with("serverless.") && asked.path.starts_with("/v1/Services");
            let lease = match asked.method.as_str() {
                "POST" if on_lease && asked.path == "/v1/Services" => Some(Lease::Taken),
                "DELETE" if on_lease => Some(Lease::Let),
                _ => None,
            };
            let heartbeat = on_lease && lease.is_none();
            if (200..300).contains(&status) && !heartbeat {
                let line = format!("{} {}", asked.method, asked.path);
                log.lock().expect("no panic under the lock").push(Written { who, began, ended, line, lease });
            }
        }
        reply
    })
}

/// Asserts that every write lies within a time in which only its own writer had the lease.
fn never_interleaved(log: &[Written], story: &str) {
    let mut log = log.to_vec();
    log.sort_by_key(|written| written.began);
    let mut held: Vec<(usize, usize, usize)> = Vec::new();
    for (at, taken) in log.iter().enumerate().filter(|(_, written)| written.lease == Some(Lease::Taken)) {
        let until = log[at..].iter().find(|w| w.who == taken.who && w.lease == Some(Lease::Let));
        held.push((taken.who, taken.ended, until.map_or(usize::MAX, |w| w.began)));
    }
    for written in log.iter().filter(|written| written.lease.is_none()) {
        let inside = held
            .iter()
            .any(|(who, from, to)| *who == written.who && written.began > *from && written.ended < *to);
        let others = held
            .iter()
            .any(|(who, from, to)| *who != written.who && written.began < *to && written.ended > *from);
        assert!(inside && !others, "{story}: {} is not inside of {held:?}\n{log:#?}", written.line);
    }
}

struct Pair {
    twin: Twin,
    site: Site,
    runs: [Run; 2],
    log: Vec<Written>,
}

/// Runs both. The first is held at its request number `hold` until the second reaches its request number `meet`. With
/// `kill`, the first dies there.
fn at_once(hold: usize, meet: usize, kill: bool, ttl: &str) -> Pair {
    let twin = Twin::start();
    let (clock, log) = (Arc::new(AtomicUsize::new(0)), Log::default());
    let [first_there, second_there] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let one = watched(&twin, 1, &clock, &log, Some((hold, second_there.clone())), &first_there, usize::MAX);
    let two = watched(&twin, 2, &clock, &log, None, &second_there, meet);
    let site = Site::new(&twin, 1);
    let start = |proxy: &Proxy| {
        site.clone().through(proxy).lockstep("apply", QUICKSTART, &["--yes", "--lease-ttl", ttl]).start()
    };
    let first = start(&one);
    let started = Instant::now();
    while !first_there.load(Ordering::SeqCst) && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(first_there.load(Ordering::SeqCst), "the first run did not come to request {hold}");
    if kill {
        signal("KILL", first.id());
    }
    let second = start(&two);
    let runs = [first.wait(), second.wait()];
    let log = log.lock().expect("no panic under the lock").clone();
    Pair { twin, site, runs, log }
}

/// The second program begins while the first observes, takes the lease, writes its record, works, or releases the
/// lease.
#[test]
fn two_programs_at_once_never_write_between_each_other() {
    // Requests of the first run, which has 37: token, observe, lease, intent, steps, result, release.
    let holds = [1, 5, 11, 13, 14, 20, 26, 32];
    std::thread::scope(|scope| {
        for (at, hold) in holds.into_iter().enumerate() {
            scope.spawn(move || {
                let meet = [3, 11][at % 2];
                let story = format!("held at {hold} until the other is at {meet}");
                let pair = at_once(hold, meet, false, "4s");
                never_interleaved(&pair.log, &story);
                let mut codes = pair.runs.each_ref().map(|run| run.code);
                codes.sort();
                let words: Vec<&str> =
                    pair.runs.iter().flat_map(|run| [run.err.as_str(), run.out.as_str()]).collect();
                assert!(
                    codes == [Some(0), Some(0)] || codes == [Some(0), Some(75)],
                    "{story}: {codes:?}\n{words:#?}"
                );
                pair.site.expect_one_stack();
                pair.site.run("plan", &["--exit-code"]).expect(0);
                drop(pair.twin);
            });
        }
    });
}

/// The first program dies while it holds the lease; the second waits until the lease expires and finishes the work.
#[test]
fn the_second_program_finishes_what_the_first_died_of() {
    std::thread::scope(|scope| {
        for hold in [13, 16, 24] {
            scope.spawn(move || {
                let story = format!("killed at {hold}");
                let pair = at_once(hold, 1, true, "2s");
                assert_eq!(pair.runs[0].code, None, "{story}");
                assert_eq!(pair.runs[1].code, Some(0), "{story}: {}", pair.runs[1].err);
                pair.site.expect_one_stack();
                pair.site.run("plan", &["--exit-code"]).expect(0);
            });
        }
    });
}

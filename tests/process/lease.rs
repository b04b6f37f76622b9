//! Tests that two applies to one tenant do not interleave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::lab::{Site, Twin};

fn make_foreign_lease(site: &Site, owner: &str) -> String {
    let name = lockstep::engine::lease::unique_name(&site.domain);
    let word = "%5Bbeat+250+ms,+ttl+1+s%5D";
    let form = format!("UniqueName={name}&FriendlyName={owner}+{word}+%230&IncludeCredentials=false");
    let (status, service) = site.twilio("serverless.twilio.com", "POST", "/v1/Services", &form);
    assert_eq!(status, 201, "{service}");
    service["sid"].as_str().expect("a SID").to_owned()
}

/// Does something while somebody else holds the lease of the site's tenant and keeps it alive.
pub fn while_somebody_applies<T>(site: &Site, work: impl FnOnce() -> T) -> T {
    let sid = make_foreign_lease(site, "someone");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for beat in 1..1_000 {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let form = format!("FriendlyName=someone+%5Bbeat+50+ms,+ttl+2+s%5D+%23{beat}");
                site.twilio("serverless.twilio.com", "POST", &format!("/v1/Services/{sid}"), &form);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let done = work();
        over.store(true, Ordering::SeqCst);
        done
    })
}

#[test]
fn a_living_lease_of_somebody_else_is_respected() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let (held, json) = while_somebody_applies(&site, || {
        let held = site.run("apply", &["--yes", "--lease-ttl", "2s"]);
        let json = site.run("apply", &["--yes", "--lease-ttl", "2s", "--output", "json"]);
        (held, json)
    });
    let held = held.expect(75);
    assert!(held.err.contains("someone") && held.err.contains("nothing was changed"), "{}", held.err);
    assert_eq!(json.expect(75).json()["apply"]["outcome"]["ended"], "lease_held");
    assert!(site.is_leased(), "it was not taken away");
    assert_eq!(site.actions().len(), 0, "not even a ledger was written");
    assert_eq!(site.verify_services().len(), 0);
}

/// The holder sends a heartbeat every 1.5 s. A newcomer with a shorter TTL of its own waits according to the holder's
/// TTL.
#[test]
fn a_short_lease_ttl_takes_no_living_lease() {
    let twin = Twin::start();
    let site = Site::new(&twin, 20);
    let sid = make_foreign_lease(&site, "someone");
    let beat = |beat: u32| {
        let form = format!("FriendlyName=someone+%5Bbeat+1500+ms,+ttl+6+s%5D+%23{beat}");
        site.twilio("serverless.twilio.com", "POST", &format!("/v1/Services/{sid}"), &form);
    };
    beat(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..20 {
                std::thread::sleep(Duration::from_millis(1500));
                if over.load(Ordering::SeqCst) {
                    return;
                }
                beat(number);
            }
        });
        let run = site.run("apply", &["--yes", "--lease-ttl", "1s"]);
        over.store(true, Ordering::SeqCst);
        run.expect(75);
    });
    assert!(site.is_leased() && site.actions().is_empty());
}

#[test]
fn a_dead_lease_is_taken_over_and_unlock_releases_one() {
    let twin = Twin::start();
    let site = Site::new(&twin, 2);
    make_foreign_lease(&site, "gone");
    let shown = site.run("show", &[]).expect(0);
    assert!(shown.out.contains("lease: held by gone"), "{}", shown.out);
    let asked = site.run("unlock", &[]).expect(1);
    assert!(asked.err.contains("no terminal") && site.is_leased(), "{}", asked.err);
    site.run("unlock", &["--yes"]).expect(0);
    assert!(!site.is_leased());

    make_foreign_lease(&site, "gone");
    let applied = site.run("apply", &["--yes", "--lease-ttl", "1s"]).expect(0);
    assert!(applied.err.contains("taking it over"), "{}", applied.err);
    site.expect_one_stack();
}

/// Both runs want the same: one does the work, the other waits or gives up, and nothing exists twice.
#[test]
fn two_applies_at_once_make_one_stack() {
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited", "--latency", "20ms"]);
    let site = Site::new(&twin, 3);
    let run = || site.lockstep("apply", super::lab::QUICKSTART, &["--yes", "--lease-ttl", "4s"]).start();
    let (one, two) = (run(), run());
    let mut codes = [one.wait().code, two.wait().code];
    codes.sort();
    assert!(codes == [Some(0), Some(0)] || codes == [Some(0), Some(75)], "{codes:?}");
    site.expect_one_stack();
    site.run("drift", &[]).expect(0);
}

/// An API that is down is no living lease owner, so the exit code is not 75: waiting would not help.
#[test]
fn a_lease_that_cannot_be_made_is_a_failure() {
    let twin = Twin::start();
    let proxy = super::lab::Proxy::start(&twin, |asked, forward| {
        if asked.is("POST", "serverless", "/v1/Services") {
            let body =
                serde_json::json!({ "code": 20500, "message": "Internal Server Error", "status": 500 });
            return super::lab::json_reply(500, "", &body);
        }
        forward()
    });
    let site = Site::new(&twin, 4).through(&proxy);
    let run = site.run("apply", &["--yes"]).expect(1);
    assert!(run.err.contains("500"), "the cause is told: {}", run.err);
    assert_eq!(site.actions().len(), 0);
}

/// A lease of unknown state is not free, also in JSON.
#[test]
fn a_lease_that_cannot_be_read_is_not_shown_as_free() {
    let twin = Twin::start();
    let proxy = super::lab::Proxy::start(&twin, |asked, forward| {
        if asked.path.contains("/v1/Services/lockstep-lease-") {
            let body = serde_json::json!({ "code": 20003, "message": "Authenticate", "status": 401 });
            return super::lab::json_reply(401, "", &body);
        }
        forward()
    });
    let site = Site::new(&twin, 5).through(&proxy);
    let run = site.run("show", &[]).expect(0);
    assert!(run.out.contains("lease: not known: "), "{}", run.out);
    let lease = site.run("show", &["--output", "json"]).expect(0).json()["show"]["lease"].clone();
    assert!(lease["unknown"].as_str().is_some_and(|why| why.contains("401")), "{lease}");
    assert_eq!(
        Site::new(&twin, 5).run("show", &["--output", "json"]).expect(0).json()["show"]["lease"],
        serde_json::Value::Null
    );
}

/// A reply that names no service is no lease. Nothing is deleted by the missing id, and nothing is taken over.
#[test]
fn a_reply_that_is_no_service_is_no_lease() {
    for (number, reply) in
        [serde_json::json!({}), serde_json::json!(null), serde_json::json!([])].into_iter().enumerate()
    {
        let twin = Twin::start();
        let story = reply.to_string();
        let proxy = super::lab::Proxy::start(&twin, move |asked, forward| {
            if asked.method == "GET" && asked.path.contains("/v1/Services/lockstep-lease-") {
                return super::lab::json_reply(200, "", &reply);
            }
            forward()
        });
        let site = Site::new(&twin, 6 + number as u64).through(&proxy);
        make_foreign_lease(&site, "someone");
        let shown = site.run("show", &[]).expect(0);
        assert!(shown.out.contains("lease: not known: "), "{story}: {}", shown.out);
        site.run("unlock", &["--yes"]).expect(1);
        let applied = site.run("apply", &["--yes", "--lease-ttl", "1s"]).expect(1);
        assert!(applied.err.contains("no SID"), "{story}: {}", applied.err);
        let deleted: Vec<_> = proxy.seen().into_iter().filter(|asked| asked.method == "DELETE").collect();
        assert!(deleted.is_empty(), "{story}: {deleted:?}");
        assert!(site.is_leased() && site.actions().is_empty(), "{story}");
    }
}

//! Tests of rate limits and messaging configurations under kills and faults. An Action that passes a missing limit
//! sends nothing, so the order of steps has to hold at every request.

use lockstep::engine::apply::Ended;
use lockstep::model::address::Address;
use lockstep::model::api::Method;
use lockstep::shell::in_process::Stop;
use lockstep::twin::{Twin, What};

use super::bench::{Bench, all};
use crate::support::{ACCOUNT, core_manifest};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_lost_answer_makes_nothing_twice,
    a_limit_that_goes_before_the_deployment_stops_it,
    a_limit_that_goes_while_the_action_is_built_stops_the_deployment,
    what_appears_meanwhile_is_explained_and_then_taken_over,
];

/// The core manifest with limits and a messaging configuration; the phone is the only factor.
pub fn limited() -> String {
    let limits = "  rate_limits: {per_number: {key: recipient, buckets: {10m: {max: 5}, 1h: {max: 9}}}}\n  \
                  messaging_configurations: {US: MG000000000000000000000000000000a1}\n  code_length: 6";
    core_manifest().replace("  code_length: 6", limits).replace("otp: on ", "otp: off ")
}

/// The manifest of [`limited`] with another name of the limit, another bucket and another messaging service.
pub fn otherwise() -> String {
    let text = limited().replace("per_number:", "by_number:").replace("1h: {max: 9}", "2h: {max: 9}");
    text.replace("a1}", "a2}")
}

pub fn fresh() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.text = limited();
    bench
}

pub fn applied(text: fn() -> String) -> Bench {
    let mut bench = fresh();
    bench.stack.applied();
    bench.losses();
    bench.stack.text = text();
    bench.stack.allow_delete = true;
    bench
}

/// The limits of our service with the number of their buckets, and the countries.
fn below(bench: &Bench) -> (Vec<(String, usize)>, Vec<String>) {
    let mut world = bench.world();
    let services = &world.account_mut(ACCOUNT).verify_services;
    let Some(service) = services.iter().find(|service| service.friendly_name == "Acme") else {
        return Default::default();
    };
    let limits = service.rate_limits.iter().map(|limit| (limit.unique_name.clone(), limit.buckets.len()));
    (limits.collect(), service.messaging_configurations.keys().cloned().collect())
}

fn one(name: &str) -> (Vec<(String, usize)>, Vec<String>) {
    (vec![(name.to_owned(), 2)], vec!["US".to_owned()])
}

#[test]
fn every_kill_is_finished_by_the_next() {
    type Make = fn() -> Bench;
    let cases: [(Make, &str, &[&str]); 2] =
        [(fresh, "per_number", &[]), (|| applied(otherwise), "by_number", &[])];
    for (make, name, named) in cases {
        let mut bench = make();
        let mark = bench.stack.mark();
        assert_eq!(bench.ended(false), Ended::Done);
        assert_eq!(bench.losses(), *named);
        let length = bench.requests(mark);
        let prepared = make();
        all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
            let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
            let mut bench = prepared.fork();
            let _ = bench.run(Stop::kill(k, before_reply), false);
            bench.later();
            bench.converge(&story);
            assert_eq!(below(&bench), one(name), "{story}");
            let losses = bench.losses();
            assert!(losses.is_empty(), "{story}: {losses:?}");
            // The record says that we created what was made before the kill.
            let ledger = bench.observe().found.ledger.expect("a ledger");
            for address in [
                Address::named("verify_rate_limit", name),
                Address::named("verify_messaging_configuration", "US"),
            ] {
                let ownership = ledger.resources[&address].ownership;
                assert_eq!(ownership, lockstep::model::ledger::Ownership::Created, "{story}: {address}");
            }
        });
    }
}

#[test]
fn every_kill_of_a_destroy_is_finished_by_the_next() {
    let former = Bench::crowded().snapshot();
    let mut bench = applied(limited);
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(true), Ended::Done);
    let length = bench.requests(mark);
    let prepared = applied(limited);
    all(0..=length, |k| {
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, true), true);
        bench.later();
        assert_eq!(bench.ended(true), Ended::Done, "killed after {k}");
        let (now, services) = (bench.snapshot(), |world: &lockstep::twin::World| {
            world.accounts[ACCOUNT].verify_services.clone()
        });
        assert_eq!(services(&now), services(&former), "killed after {k}");
    });
}

#[test]
fn a_lost_answer_makes_nothing_twice() {
    let mut bench = fresh();
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(false), Ended::Done);
    let log = bench.stack.log_since(mark);
    let creates: Vec<usize> = log
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.method == Method::Post && entry.path.contains("/Services/VA"))
        .map(|(at, _)| at + 1)
        .collect();
    assert_eq!(creates.len(), 4, "a limit, two buckets, a configuration");
    let cases = creates.into_iter().flat_map(|at| [(at, true), (at, false)]);
    all(cases, |(at, after_effect)| {
        let story = format!("request {at}, after its effect: {after_effect}");
        let mut bench = fresh();
        bench.fault(at, What::Lost { after_effect });
        assert_eq!(bench.ended(false), Ended::Done, "{story}");
        bench.calm();
        assert_eq!(below(&bench), one("per_number"), "{story}");
        bench.at_rest(&story);
    });
}

fn operate(twin: &mut Twin, method: Method, path: &str, form: &[(&str, &str)], now_ms: u64) -> u16 {
    twin.operate_account(ACCOUNT, "verify.twilio.com", method, path, form, now_ms).0
}

/// Calls `act` once, right after the first write with this operation.
fn after(bench: &Bench, operation: &'static str, act: fn(&mut Twin, u64)) {
    let mut done = false;
    bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, now_ms| {
        let came = twin.log().iter().any(|entry| entry.operation == operation && entry.wrote);
        if came && !done {
            done = true;
            act(twin, now_ms);
        }
    }));
}

fn ours(twin: &mut Twin) -> String {
    let services = &twin.world.account_mut(ACCOUNT).verify_services;
    let service = services.iter().find(|service| service.friendly_name == "Acme").expect("made");
    format!("/v2/Services/{}", service.sid)
}

#[test]
fn a_limit_that_goes_before_the_deployment_stops_it() {
    let mut bench = fresh();
    after(&bench, "create_bucket", |twin, now_ms| {
        let service = ours(twin);
        let limits = &twin.world.account_mut(ACCOUNT).verify_services;
        let limit = limits.iter().flat_map(|service| &service.rate_limits).next().map(|l| l.sid.clone());
        let path = format!("{service}/RateLimits/{}", limit.expect("made"));
        assert_eq!(operate(twin, Method::Delete, &path, &[], now_ms), 204);
        // Makes another limit, so that the later steps succeed up to the deployment.
        let form = [("UniqueName", "somebody_elses")];
        assert_eq!(operate(twin, Method::Post, &format!("{service}/RateLimits"), &form, now_ms), 201);
    });
    let mark = bench.stack.mark();
    let ended = bench.ended(false);
    assert!(matches!(ended, Ended::Failed(_)), "{ended:?}");
    assert!(
        !bench.writes_since(mark).iter().any(|operation| operation == "deploy_action"),
        "nothing was deployed"
    );
    bench.calm();
    bench.later();
    bench.converge("afterwards");
    let (mut limits, _) = below(&bench);
    limits.sort();
    assert_eq!(limits, [("per_number".to_owned(), 2), ("somebody_elses".to_owned(), 0)]);
}

#[test]
fn a_limit_that_goes_while_the_action_is_built_stops_the_deployment() {
    let mut bench = fresh();
    after(&bench, "create_log_stream", |twin, now_ms| {
        let service = ours(twin);
        let limits = &twin.world.account_mut(ACCOUNT).verify_services;
        let limit = limits.iter().flat_map(|service| &service.rate_limits).next().map(|l| l.sid.clone());
        let path = format!("{service}/RateLimits/{}", limit.expect("made"));
        assert_eq!(operate(twin, Method::Delete, &path, &[], now_ms), 204);
    });
    let mark = bench.stack.mark();
    let Ended::Failed(text) = bench.ended(false) else { panic!("it should not go on") };
    assert!(text.contains("per_number") && text.contains("plan again"), "{text}");
    assert!(
        !bench.writes_since(mark).iter().any(|operation| operation == "deploy_action"),
        "nothing was deployed"
    );
    bench.calm();
    bench.later();
    bench.converge("afterwards");
    assert_eq!(below(&bench), one("per_number"));
}

#[test]
fn what_appears_meanwhile_is_explained_and_then_taken_over() {
    type Case = (&'static str, &'static str, fn(&mut Twin, u64));
    let cases: [Case; 2] = [
        ("60208", "taken over with your consent", |twin, now_ms| {
            let path = format!("{}/RateLimits", ours(twin));
            assert_eq!(operate(twin, Method::Post, &path, &[("UniqueName", "per_number")], now_ms), 201);
        }),
        ("60213", "taken over with your consent", |twin, now_ms| {
            let path = format!("{}/MessagingConfigurations", ours(twin));
            let form = [("Country", "US"), ("MessagingServiceSid", "MG000000000000000000000000000000f0")];
            assert_eq!(operate(twin, Method::Post, &path, &form, now_ms), 201);
        }),
    ];
    for (code, words, act) in cases {
        let mut bench = fresh();
        after(&bench, "create_verify_service", act);
        let Ended::Failed(text) = bench.ended(false) else { panic!("{code}: it should not go on") };
        assert!(text.contains(code) && text.contains(words), "{code}: {text}");
        bench.calm();
        bench.later();
        bench.converge(code);
        assert_eq!(below(&bench), one("per_number"), "{code}");
    }
}

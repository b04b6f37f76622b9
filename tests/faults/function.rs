//! Tests of a stack whose receiver is its own Function: killed, disturbed, and with a changed secret, at every request.
//! After each write the watch checks whether the Function accepts what the stream sends.

use lockstep::engine::apply::Ended;
use lockstep::shell::in_process::Stop;
use lockstep::twin::What;

use super::bench::{Bench, all, leases};
use crate::support::{ACCOUNT, DOMAIN, function_manifest};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] =
    &crate::support::courses![a_function_that_went_down_meanwhile_keeps_phones_from_being_switched_on,];

pub fn fresh() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.text = function_manifest();
    bench
}

pub fn applied() -> Bench {
    let mut bench = fresh();
    bench.stack.applied();
    bench.losses();
    bench
}

/// An applied stack whose manifest now asks for another secret, code path and runtime.
pub fn changed() -> Bench {
    let mut bench = applied();
    bench.stack.env.insert("FEEDBACK_SECRET".into(), "Another-Feedback-91bc".into());
    bench.stack.env.insert("TWILIO_FEEDBACK_SECRET".into(), "Another-Key-Secret-77d0".into());
    bench.stack.text = function_manifest().replace(
        "builtin:verify-feedback\n",
        "builtin:verify-feedback\n    runtime: node24\n    ui_editable: true\n",
    );
    bench
}

fn length(make: fn() -> Bench, destroy: bool) -> usize {
    let mut bench = make();
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(destroy), Ended::Done);
    bench.requests(mark)
}

fn points(length: usize) -> impl Iterator<Item = (usize, bool)> {
    (0..=length).flat_map(|k| [(k, true), (k, false)])
}

/// Checks law 3 for objects without unique names, and that the Function accepts what the stream sends.
fn whole(bench: &Bench, story: &str) {
    let mut world = bench.world();
    let endpoint = world.tenant_mut(DOMAIN).log_streams.iter().find_map(|stream| {
        let url = stream.sink.get("httpEndpoint")?.as_str()?;
        url.contains(".twil.io/").then(|| (url.to_owned(), stream.sink["httpAuthorization"].clone()))
    });
    let (url, authorization) = endpoint.unwrap_or_else(|| panic!("{story}: no stream to the Function"));
    let services = &world.account_mut(ACCOUNT).serverless_services;
    let ours: Vec<_> =
        services.iter().filter(|one| one.unique_name.starts_with("lockstep-feedback-")).collect();
    assert_eq!(ours.len(), 1, "{story}: services");
    assert_eq!(ours[0].environments.len(), 1, "{story}: environments");
    assert_eq!(ours[0].functions.len(), 1, "{story}: Functions");
    let environment = &ours[0].environments[0];
    assert_eq!(url, format!("https://{}/auth0-logs", environment.domain_name), "{story}");
    let value = |key: &str| environment.variable(key).map(|variable| variable.value.as_str());
    assert_eq!(value("WEBHOOK_SECRET"), authorization.as_str(), "{story}");
    assert_eq!(value("WEBHOOK_SECRET_PREVIOUS"), None, "{story}");
    let live = ours[0].builds.iter().find(|build| Some(&build.sid) == environment.build_sid.as_ref());
    assert!(live.is_some(), "{story}: nothing is deployed");
}

fn unharmed(bench: &Bench, story: &str) {
    let losses = bench.losses();
    assert!(losses.is_empty(), "{story}: {losses:?}");
}

fn killed(make: fn() -> Bench, uploads_max: usize, builds_max: usize) {
    let length = length(make, false);
    let prepared = make();
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        bench.converge(&story);
        whole(&bench, &story);
        unharmed(&bench, &story);
        let mut world = bench.world();
        let services = &world.account_mut(ACCOUNT).serverless_services;
        let ours =
            services.iter().find(|one| one.unique_name.starts_with("lockstep-feedback-")).expect("there");
        let uploads = ours.functions[0].versions.len();
        assert!(uploads <= uploads_max, "{story}: {uploads} uploads");
        assert!(ours.builds.len() <= builds_max, "{story}: {} builds", ours.builds.len());
    });
}

#[test]
fn a_killed_first_apply_is_finished_by_the_next_without_a_second_of_anything() {
    killed(fresh, 1, 1);
}

#[test]
fn a_killed_change_of_secret_and_runtime_never_shuts_the_stream_out() {
    killed(changed, 1, 2);
}

#[test]
fn a_killed_destroy_leaves_the_former_world() {
    let former = Bench::crowded().snapshot();
    let length = length(applied, true);
    let prepared = applied();
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), true);
        bench.later();
        assert_eq!(bench.ended(true), Ended::Done, "{story}");
        let mut now = bench.snapshot();
        let idle = leases(&mut now);
        now.account_mut(ACCOUNT)
            .serverless_services
            .retain(|one| !one.unique_name.starts_with("lockstep-lease-"));
        assert!(idle <= 1 && now == former, "{story}: something is left");
    });
}

#[test]
fn faults_at_every_request_are_survived() {
    let length = length(fresh, false);
    let prepared = fresh();
    let faults = [
        ("rate limited", What::RateLimited { retry_after_s: None }),
        ("lost before it took effect", What::Lost { after_effect: false }),
        ("lost after it took effect", What::Lost { after_effect: true }),
        ("malformed, after it took effect", What::Malformed { after_effect: true }),
        ("500 after", What::ServerError { status: 500, after_effect: true }),
        ("403", What::Forbidden),
    ];
    let cases = faults.iter().flat_map(|(name, what)| (1..=length).map(move |k| (*name, what.clone(), k)));
    all(cases, |(name, what, k)| {
        let mut bench = prepared.fork();
        bench.fault(k, what);
        let disturbed = bench.ended(false);
        bench.calm();
        bench.later();
        let story = format!("{name} at {k} of {length} ({disturbed:?})");
        bench.converge(&story);
        whole(&bench, &story);
        unharmed(&bench, &story);
    });
}

#[test]
fn a_function_that_went_down_meanwhile_keeps_phones_from_being_switched_on() {
    let mut bench = fresh();
    bench.watch.borrow_mut().meddle = Some(Box::new(|twin, _, _| {
        // Somebody takes the Function down right after the stream is made.
        let made = twin.log().iter().any(|entry| entry.wrote && entry.operation == "create_log_stream");
        if made {
            for service in &mut twin.world.account_mut(ACCOUNT).serverless_services {
                service.environments.iter_mut().for_each(|environment| environment.build_sid = None);
            }
        }
    }));
    let Ended::Failed(text) = bench.ended(false) else { panic!("it was switched on") };
    assert!(
        text.contains("the deployed feedback Function is missing or has changed since the plan"),
        "{text}"
    );
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
    bench.calm();
    bench.later();
    bench.converge("afterwards");
}

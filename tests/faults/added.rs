//! Tests of what somebody adds to an object of ours. A finding reports the addition until the manifest names it or it
//! is gone, and no run of ours touches it.

use lockstep::model::plan::{Cause, Level, Plan, Purpose};
use lockstep::twin::Twin;
use lockstep::twin::world::{Dependency, MessagingConfiguration, Secret, Variable};
use serde_json::json;

use super::bench::{Bench, all, shown};
use super::permissions::everything;
use crate::fields::bed::edit_action;
use crate::support::{ACCOUNT, DOMAIN, START_MS, options};

fn manifest() -> String {
    everything().replace(
        "  channels: [sms, voice]",
        "  templates: { change_password: { text: \"Acme: changed\" } }\n  channels: [sms, voice]",
    )
}

fn applied(text: &str) -> Bench {
    let mut bench = Bench::new(options(), text);
    bench.stack.applied();
    bench.stack.purpose = Purpose::Drift;
    bench
}

fn add_secret(twin: &mut Twin) {
    edit_action(twin, START_MS, |action, at| {
        action.secrets.push(Secret { name: "THEIRS".into(), value: "x".into(), updated_at: at.into() });
    });
}

fn add_module(twin: &mut Twin) {
    let theirs = json!({
        "module_id": "00000000-0000-4000-8000-000000000077",
        "module_version_id": "00000000-0000-4000-8000-000000000078",
        "module_name": "theirs",
        "module_version_number": 1,
    });
    edit_action(twin, START_MS, |action, _| action.modules.push(theirs));
}

fn stream(twin: &mut Twin) -> &mut lockstep::twin::world::LogStream {
    let streams = &mut twin.world.tenant_mut(DOMAIN).log_streams;
    streams
        .iter_mut()
        .find(|one| one.name.as_deref() == Some("Lockstep feedback (acme-login)"))
        .expect("ours")
}

fn receiver(twin: &mut Twin) -> &mut lockstep::twin::world::ServerlessService {
    let services = &mut twin.world.account_mut(ACCOUNT).serverless_services;
    services.iter_mut().find(|one| !one.environments.is_empty()).expect("the Function's")
}

fn service(twin: &mut Twin) -> &mut lockstep::twin::world::VerifyService {
    twin.world
        .account_mut(ACCOUNT)
        .verify_services
        .iter_mut()
        .find(|one| one.friendly_name == "Acme")
        .expect("ours")
}

fn add_variable(twin: &mut Twin) {
    let of = receiver(twin);
    let variable = Variable {
        sid: "ZV00000000000000000000000000000077".into(),
        key: "THEIRS".into(),
        value: "x".into(),
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    of.environments[0].variables.push(variable);
}

/// Makes another build of the same version, with one more package.
fn add_package(twin: &mut Twin) {
    let of = receiver(twin);
    let live = of.environments[0].build_sid.clone();
    let mut build =
        of.builds.iter().find(|build| Some(&build.sid) == live.as_ref()).expect("it serves").clone();
    build.sid = "ZB00000000000000000000000000000077".into();
    build.dependencies.push(Dependency { name: "left-pad".into(), version: "1.3.0".into() });
    of.environments[0].build_sid = Some(build.sid.clone());
    of.builds.push(build);
}

fn add_header(twin: &mut Twin) {
    stream(twin).sink.insert("httpCustomHeaders".into(), json!([{ "header": "X-Theirs", "value": "x" }]));
}

fn add_country(twin: &mut Twin) {
    let theirs = MessagingConfiguration {
        messaging_service_sid: "MG000000000000000000000000000000b1".into(),
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    service(twin).messaging_configurations.insert("AT".into(), theirs);
}

fn add_limit(twin: &mut Twin) {
    let mut theirs = service(twin).rate_limits[0].clone();
    theirs.unique_name = "theirs".into();
    theirs.sid = "RK00000000000000000000000000000077".into();
    service(twin).rate_limits.push(theirs);
}

fn add_sender(twin: &mut Twin) {
    let templates = &mut twin.world.tenant_mut(DOMAIN).phone_templates;
    let ours = templates.iter_mut().find(|one| one.r#type == "change_password").expect("ours");
    ours.content.insert("from".into(), json!("+15005550006"));
}

type Case = (&'static str, fn(&mut Twin), &'static str);

const CASES: [Case; 8] = [
    ("a secret", add_secret, "action: the Action has secrets that the manifest does not name: THEIRS"),
    ("a module", add_module, "action: the Action uses modules that the manifest does not name: theirs"),
    (
        "a variable",
        add_variable,
        "feedback_function: the Function has variables that the manifest does not name: THEIRS",
    ),
    (
        "a package",
        add_package,
        "feedback_function: the Function's build has packages that the manifest does not name: left-pad",
    ),
    ("a header", add_header, "log_stream: the stream has headers that the manifest does not name: X-Theirs"),
    (
        "a country",
        add_country,
        "verify_messaging_configuration.US: the Verify service has messaging configurations for countries that the manifest does not name: AT",
    ),
    (
        "a rate limit",
        add_limit,
        "verify_rate_limit.per_number: the Verify service has rate limits that the manifest does not name: theirs",
    ),
    (
        "a sender",
        add_sender,
        "phone_template.change_password: the template has fields that the manifest does not name: from",
    ),
];

/// The exit code of drift for this plan.
fn verdict(plan: &Plan) -> u8 {
    let causes: Vec<Cause> =
        plan.resources.iter().flat_map(|one| &one.changes).map(|one| one.cause).collect();
    match causes.as_slice() {
        [] if plan.resources.iter().any(|one| plan.differs(one)) => 3,
        [] => 7 * u8::from(!warnings(plan).is_empty()),
        causes => 2 + u8::from(causes.contains(&Cause::TenantChanged)),
    }
}

fn warnings(plan: &Plan) -> Vec<String> {
    let warns = plan.findings.iter().filter(|one| one.level >= Level::Warning);
    warns.map(|one| format!("{}: {}", one.address, one.text)).collect()
}

#[test]
fn what_somebody_adds_to_an_object_of_ours_is_a_finding_until_it_is_gone() {
    let ready = applied(&manifest());
    let quiet = ready.fork().plan();
    assert_eq!((verdict(&quiet), warnings(&quiet)), (0, vec![]), "{}", shown(&quiet));
    all(CASES, |(what, add, told)| {
        let mut bench = ready.fork();
        bench.stack.purpose = Purpose::Drift;
        let before = bench.snapshot();
        add(&mut bench.stack.twin.borrow_mut());
        let plan = bench.plan();
        assert_eq!(warnings(&plan), [told], "{what}");
        assert!(plan.steps.is_empty() && verdict(&plan) == 7, "{what}: {}", shown(&plan));
        // An apply has nothing to do, and leaves the addition.
        bench.stack.purpose = Purpose::Apply;
        let mark = bench.stack.mark();
        assert_eq!(bench.ended(false), lockstep::engine::apply::Ended::Done, "{what}");
        assert!(bench.writes_since(mark).is_empty(), "{what}");
        bench.stack.twin.borrow_mut().world = before;
        assert_eq!(warnings(&bench.plan()), [""; 0], "{what}: gone");
    });
}

#[test]
fn a_secret_that_somebody_added_is_told_whatever_is_to_become_of_it() {
    for (policy, steps) in
        [("", 0), ("  unmanaged_secrets: refuse\n", 0), ("  unmanaged_secrets: remove\n", 2)]
    {
        let text = manifest().replace("action:\n", &format!("action:\n{policy}"));
        let mut bench = applied(&text);
        add_secret(&mut bench.stack.twin.borrow_mut());
        let plan = bench.plan();
        assert_eq!(plan.steps.len(), steps, "{policy}: {}", shown(&plan));
        let exit = if steps == 0 { 7 } else { 3 };
        assert_eq!(verdict(&plan), exit, "{policy}: {}", shown(&plan));
        if steps == 0 {
            // A write of our own would drop the addition.
            bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), "Another-Secret-77aa".into());
            let blocked = bench.plan();
            let blocker = blocked.blockers().next().unwrap_or_else(|| panic!("{}", shown(&blocked)));
            assert!(
                blocker.text.contains("THEIRS") && blocker.help.contains("action.secrets"),
                "{blocker:?}"
            );
            continue;
        }
        bench.stack.purpose = Purpose::Apply;
        bench.converge("removed");
        bench.stack.purpose = Purpose::Drift;
        let plan = bench.plan();
        assert_eq!(verdict(&plan), 0, "{}", shown(&plan));
    }
    // The manifest names the secret, so it is managed.
    let mut bench = applied(&manifest());
    add_secret(&mut bench.stack.twin.borrow_mut());
    bench.stack.env.insert("THEIRS".into(), "Their-Own-Value-51".into());
    bench.stack.text = manifest().replace("  secrets:\n", "  secrets:\n    THEIRS: ${env.THEIRS}\n");
    let plan = bench.plan();
    assert!(warnings(&plan).is_empty() && !plan.is_empty(), "{}", shown(&plan));
}

//! Tests of a Verify service that the manifest only uses: it is read and checked, and stays as others have it.

use lockstep::model::api::Method;
use lockstep::model::codes::{self, Code};
use lockstep::model::manifest::Manifest;
use lockstep::model::plan::{Level, Plan};
use lockstep::shell::in_process::Stop;
use lockstep::twin::Twin;
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, FULL, action, applied_full, applied_of, edit, manifest, nobody_is_harmed, service, valid, variable,
};
use crate::support::ACCOUNT;

/// The quickstart with a Function of its own.
fn stack() -> String {
    let text = include_str!("../../manifests/quickstart.yaml");
    let endpoint = text.lines().find(|line| line.trim_start().starts_with("endpoint:")).expect("an endpoint");
    let function = "\nfeedback:\n  function:\n    code: builtin:verify-feedback\n    api_key: ${env.TWILIO_FEEDBACK_KEY}\n    api_secret: ${env.TWILIO_FEEDBACK_SECRET}\n";
    text.replace(&format!("{endpoint}\n"), "").replace("\nfeedback:\n", function)
}

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_used_service_is_read_and_stays_as_it_is,
    the_stack_goes_over_to_a_service_of_others_and_back,
    what_does_not_fit_is_found,
    destroy_spares_the_service_that_the_manifest_leaves_to_others,
];

/// The stack, with a service of others.
fn using(sid: &str) -> Manifest {
    valid(&stack(), &[edit("verify_service", json!({ "use": sid }))])
}

/// Others make a service.
fn of_others(bed: &Bed) -> String {
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| {
        let form = [("FriendlyName", "Hub"), ("CodeLength", "8"), ("CustomCodeEnabled", "true")];
        twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, now_ms);
        twin.world.account_mut(ACCOUNT).verify_services.last().expect("a service").sid.clone()
    })
}

fn services(twin: &mut Twin) -> Json {
    let all = &twin.world.account_mut(ACCOUNT).verify_services;
    json!(all.iter().map(|one| json!([one.sid, one.friendly_name, one.settings])).collect::<Vec<_>>())
}

/// The SIDs through which the deployed Action sends and to which the Function reports.
fn sends_through(bed: &Bed) -> [String; 2] {
    bed.with_twin(|twin| {
        let live = action(twin).live_version().expect("a version").clone();
        let secret = live.secrets.iter().find(|one| one.name == "TWILIO_VERIFY_SID").expect("a SID");
        [secret.value.clone(), variable(twin, "TWILIO_VERIFY_SID").value.clone()]
    })
}

fn found(plan: &Plan, level: Level) -> Vec<(Code, String)> {
    let all = plan.findings.iter().filter(|one| one.level == level && one.address == "verify_service");
    all.map(|one| (one.code, one.text.clone())).collect()
}

#[test]
fn a_used_service_is_read_and_stays_as_it_is() {
    let mut bed = Bed::new(valid(&stack(), &[]));
    let sid = of_others(&bed);
    bed.manifest = using(&sid);
    let before = bed.with_twin(services);
    bed.applied();
    assert_eq!(sends_through(&bed), [sid.clone(), sid.clone()]);
    let mark = bed.stack.mark();
    let observation = bed.observe();
    assert!(observation.plan.is_empty(), "{:?}", observation.plan.steps);
    let reads = bed.stack.log_since(mark);
    assert_eq!(reads.iter().filter(|entry| entry.host == "verify.twilio.com").count(), 1, "{reads:?}");
    let ledger = observation.found.ledger.expect("a record");
    assert!(!ledger.resources.keys().any(|address| address.as_str() == "verify_service"));
    // Whatever others make of it is no change of this stack.
    bed.with_twin(|twin| service(twin).settings.insert("code_length".into(), json!(4)));
    assert_eq!(bed.observe().plan.digest, observation.plan.digest);
    bed.with_twin(|twin| service(twin).settings.insert("code_length".into(), json!(8)));
    bed.destroyed();
    assert_eq!(bed.with_twin(services), before);
    let wrote = |entry: &&lockstep::twin::LogEntry| entry.wrote && entry.host == "verify.twilio.com";
    assert!(bed.stack.log_since(0).iter().filter(wrote).count() <= 1, "others made it");
}

#[test]
fn the_stack_goes_over_to_a_service_of_others_and_back() {
    let applied = applied_of(&stack());
    let start = Bed::on(&applied, valid(&stack(), &[]));
    let theirs = of_others(&start);
    let [own, _] = sends_through(&start);
    let snapshot = start.snapshot();
    // To the service of others, killed at each request: what sent codes goes on, and the former service stays.
    let mut bed = Bed::on(&snapshot, using(&theirs));
    let warned = found(&bed.observe().plan, Level::Warning);
    assert!(
        warned.iter().any(|(code, text)| *code == codes::PINS_ANOTHER && text.contains(&own)),
        "{warned:?}"
    );
    let mark = bed.stack.mark();
    bed.applied();
    let length = bed.stack.mark() - mark;
    assert_eq!(sends_through(&bed), [theirs.clone(), theirs.clone()]);
    assert!(bed.observe().plan.is_empty());
    for at in (0..length).step_by(3) {
        let story = format!("killed after {at}");
        let mut bed = Bed::on(&snapshot, using(&theirs));
        let _ = bed.run_until(Stop::kill(at, at % 2 == 0), false);
        nobody_is_harmed(&bed, &story);
        bed.stack.in_process.advance_ms(3_600_000);
        bed.applied();
        assert!(bed.observe().plan.is_empty(), "{story}");
        let sids = bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).verify_services.len());
        assert_eq!(sids, 2, "{story}");
    }
    // To the former service as one of others, and then as the stack's own again.
    bed.manifest = using(&own);
    bed.applied();
    assert_eq!(sends_through(&bed), [own.clone(), own.clone()]);
    bed.manifest = valid(&stack(), &[edit("verify_service.sid", json!(own))]);
    let plan = bed.observe().plan;
    assert!(plan.steps.is_empty() && plan.record, "{:?}", plan.steps);
    bed.applied();
    // And as one of others without another step: only the record forgets it.
    bed.manifest = using(&own);
    let plan = bed.observe().plan;
    assert!(plan.steps.is_empty() && plan.record, "{:?}", plan.steps);
    assert_eq!(found(&plan, Level::Note)[0].0, codes::LEAVES_RECORD);
    bed.applied();
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    assert_eq!(bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).verify_services.len()), 2);
}

#[test]
fn what_does_not_fit_is_found() {
    let mut bed = Bed::new(valid(&stack(), &[]));
    let sid = of_others(&bed);
    let set = |key: &'static str, value: bool| {
        move |twin: &mut Twin| drop(service(twin).settings.insert(key.into(), json!(value)))
    };
    let mut look = |section: Json, change: &dyn Fn(&mut Twin), level: Level| {
        let before = bed.with_twin(|twin| service(twin).settings.clone());
        bed.with_twin(|twin| change(twin));
        bed.manifest = valid(
            &stack(),
            &[edit("verify_service", section), edit("phone.channels", json!(["sms", "voice"]))],
        );
        let plan = bed.observe().plan;
        bed.with_twin(|twin| service(twin).settings = before);
        assert!(plan.resources.iter().all(|one| one.address != "verify_service" || one.changes.is_empty()));
        found(&plan, level)
    };
    let fits = look(json!({ "use": sid, "code_length": 8, "friendly_name": "Hub" }), &|_| {}, Level::Warning);
    assert!(fits.is_empty(), "{fits:?}");
    let codes_of = |found: Vec<(Code, String)>| found.into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    let section = json!({ "use": sid, "code_length": 6, "friendly_name": "Acme" });
    assert_eq!(codes_of(look(section, &|_| {}, Level::Warning)), [codes::USED_MISFITS; 2]);
    let plain = || json!({ "use": sid });
    assert_eq!(codes_of(look(plain(), &set("psd2_enabled", true), Level::Warning)), [codes::USED_MISFITS]);
    let off = look(plain(), &set("custom_code_enabled", false), Level::Blocker);
    assert_eq!(codes_of(off), [codes::CANNOT_SEND]);
    let gone = json!({ "use": format!("VA{}", "9".repeat(32)) });
    assert_eq!(codes_of(look(gone, &|_| {}, Level::Blocker)), [codes::NOT_THERE]);
}

#[test]
fn destroy_spares_the_service_that_the_manifest_leaves_to_others() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let own = bed.with_twin(|twin| service(twin).sid.clone());
    let below = |twin: &mut Twin| service(twin).rate_limits.len();
    let limits = bed.with_twin(below);
    bed.manifest = valid(FULL, &[edit("verify_service", json!({ "use": own }))]);
    let plan = bed.observe().plan;
    let is_below = |address: &str| address.starts_with("verify_");
    assert!(!plan.steps.iter().any(|step| is_below(step.address.as_str())), "{:?}", plan.steps);
    let plan = bed.observe_destroy().plan;
    assert!(!plan.steps.iter().any(|step| is_below(step.address.as_str())), "{:?}", plan.steps);
    bed.destroyed();
    assert_eq!(bed.with_twin(|twin| service(twin).sid.clone()), own);
    assert!(limits > 0 && bed.with_twin(below) == limits, "limits stay with their service");
}

#[test]
fn use_stands_alone_and_names_a_service_by_its_sid() {
    let sid = format!("VA{}", "0".repeat(32));
    for (section, expected) in [
        (json!({ "use": "Hub" }), "not a Verify service SID"),
        (json!({ "use": "new" }), "not a Verify service SID"),
        (json!({ "use": sid, "sid": sid }), "sid has no place beside use"),
        (json!({ "use": sid, "default_template": "T" }), "default_template has no place beside use"),
        (
            json!({ "use": sid, "rate_limits": { "n": { "key": "recipient", "buckets": { "10m": { "max": 5 } } } } }),
            "rate_limits has no place beside use",
        ),
        (
            json!({ "use": sid, "messaging_configurations": { "US": format!("MG{}", "0".repeat(32)) } }),
            "messaging_configurations has no place beside use",
        ),
        (json!({ "use": "${feedback_function.url}" }), "use names something of this stack itself"),
        (
            json!({ "use": "${tenants.hub.verify_service.sid}" }),
            "only a manifest of a fleet has other tenants",
        ),
        (json!({ "use": sid, "custom_code_enabled": false }), "custom codes are off"),
        (json!({}), "there is no sid and no use"),
    ] {
        let told = manifest(&stack(), &[edit("verify_service", section)]).expect_err(expected);
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

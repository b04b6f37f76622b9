//! Tests of the Function beyond single fields: its URL, its secret, what others deploy beside it, what vanishes, and
//! what is refused before anything is read.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::model::plan::{Level, Plan, Verb};
use lockstep::twin::Twin;
use lockstep::twin::world::{Function, FunctionVersion, LogStream, Variable};
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, Edits, FULL, applied_full, edit, lose_ledger, manifest, receiver, redeploy, service, tenant, valid,
    variable,
};
use crate::support::ACCOUNT;

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    the_function_tells_which_service_is_the_stacks_when_the_record_is_lost,
    the_stream_follows_the_url,
    another_unique_name_is_another_service,
    a_failed_rename_does_not_lose_sight_of_the_former_service,
    a_changed_secret_is_accepted_before_it_is_sent,
    a_drawn_secret_outlives_the_record_and_either_of_its_places,
    variables_of_others_stay_and_ours_go_with_their_line,
    what_others_deploy_beside_it_goes_on_serving,
    a_deployment_by_somebody_else_is_told,
    a_failed_build_is_told_and_the_old_one_serves,
    builds_and_versions_that_vanished_are_made_again,
    functions_of_one_name_are_told_apart_or_stop_us,
    a_key_that_may_not_read_functions_is_never_clean,
    a_service_that_was_there_stays_without_our_credentials,
];

/// Edits by which the stream sends to the Function, with a generated secret.
fn own_url() -> Edits {
    vec![
        edit("feedback.log_stream.endpoint", Json::Null),
        edit("feedback.log_stream.authorization", json!("${generated.feedback}")),
    ]
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{}: {}", step.address, step.what)).collect()
}

fn findings(plan: &Plan, level: Level) -> Vec<&str> {
    plan.findings
        .iter()
        .filter(|finding| finding.level == level)
        .map(|finding| finding.text.as_str())
        .collect()
}

/// Finds the stream by its name, because these tests change its endpoint.
fn stream(twin: &mut Twin) -> &mut LogStream {
    let streams = &mut tenant(twin).log_streams;
    let named = streams.iter_mut().find(|stream| stream.name.as_deref() == Some("Acme feedback"));
    named.expect("the stream is there")
}

fn sink(bed: &Bed, key: &str) -> String {
    bed.with_twin(|twin| stream(twin).sink[key].as_str().unwrap_or_default().to_owned())
}

fn url(twin: &mut Twin, unique_name: &str) -> String {
    let services = &twin.world.account_mut(ACCOUNT).serverless_services;
    let found = services.iter().find(|service| service.unique_name == unique_name).expect("the service");
    format!("https://{}/auth0-logs", found.environments[0].domain_name)
}

fn secret_of(bed: &Bed, key: &str) -> Option<String> {
    bed.with_twin(|twin| receiver(twin).environments[0].variable(key).map(|variable| variable.value.clone()))
}

#[test]
fn the_stream_follows_the_url() {
    let mut bed = Bed::new(valid(FULL, &own_url()));
    let plan = bed.observe().plan;
    let stream_change = plan.resources.iter().find(|resource| resource.address == "log_stream");
    let endpoint = stream_change.and_then(|stream| stream.changes.iter().find(|c| c.field == "endpoint"));
    assert_eq!(endpoint.and_then(|change| change.new.clone()), Some(json!("(known after apply)")));
    bed.applied();
    let first = bed.with_twin(|twin| url(twin, "acme-feedback"));
    assert_eq!(sink(&bed, "httpEndpoint"), first);
    assert_eq!(Some(sink(&bed, "httpAuthorization")), secret_of(&bed, "WEBHOOK_SECRET"));
    assert!(bed.observe().plan.is_empty());

    // Somebody deletes the whole service. The URL changes, and the same plan changes the stream.
    bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).serverless_services.clear());
    let plan = bed.observe().plan;
    let words = steps(&plan);
    let at = |what: &str| {
        words.iter().position(|step| step == what).unwrap_or_else(|| panic!("{what} in {words:?}"))
    };
    assert!(at("feedback_function: deploy") < at("log_stream: update the stream"));
    assert!(plan.steps[0].reason.contains("another URL"), "{}", plan.steps[0].reason);
    bed.applied();
    let second = bed.with_twin(|twin| url(twin, "acme-feedback"));
    assert!(second != first && sink(&bed, "httpEndpoint") == second);
    assert_eq!(Some(sink(&bed, "httpAuthorization")), secret_of(&bed, "WEBHOOK_SECRET"));
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn another_unique_name_is_another_service() {
    let mut bed = Bed::new(valid(FULL, &own_url()));
    bed.applied();
    let mut edits = own_url();
    edits.push(edit("feedback.function.unique_name", json!("acme-receiver")));
    bed.manifest = valid(FULL, &edits);
    let plan = bed.observe().plan;
    let changed =
        plan.resources.iter().find(|resource| resource.address == "feedback_function").expect("there");
    assert_eq!(changed.verb, Verb::Replace);
    let words = steps(&plan);
    let last = plan.steps.last().expect("steps");
    assert_eq!(last.what, "delete the former service", "{words:?}");
    assert!(last.danger.as_deref().is_some_and(|danger| danger.contains("URL")));
    assert!(findings(&plan, Level::Blocker).is_empty(), "{:?}", plan.findings);
    bed.applied();
    assert_eq!(sink(&bed, "httpEndpoint"), bed.with_twin(|twin| url(twin, "acme-receiver")));
    let names = |twin: &mut Twin| -> Vec<String> {
        let services = &twin.world.account_mut(ACCOUNT).serverless_services;
        services.iter().map(|service| service.unique_name.clone()).collect()
    };
    assert_eq!(bed.with_twin(names), ["acme-receiver"]);
    assert!(bed.observe().plan.is_empty());

    // A name that somebody else uses is not taken over, and our service is not given up for it.
    let form = [("UniqueName", "theirs"), ("FriendlyName", "Theirs")];
    let now_ms = bed.now_ms();
    let made = bed.with_twin(|twin| {
        twin.operate_account(ACCOUNT, "serverless.twilio.com", Method::Post, "/v1/Services", &form, now_ms)
    });
    assert_eq!(made.0, 201);
    edits.push(edit("feedback.function.unique_name", json!("theirs")));
    bed.manifest = valid(FULL, &edits);
    let plan = bed.observe().plan;
    assert!(
        findings(&plan, Level::Blocker).iter().any(|text| text.contains("theirs")),
        "{:?}",
        plan.findings
    );
    assert!(matches!(bed.apply().ended, Ended::Failed(_)));
    assert_eq!(bed.with_twin(names), ["acme-receiver", "theirs"]);
    bed.manifest = valid(FULL, &edits[..3]);
    bed.destroyed();
    assert_eq!(bed.with_twin(names), ["theirs"]);
}

#[test]
fn a_failed_rename_does_not_lose_sight_of_the_former_service() {
    let mut bed = Bed::new(valid(FULL, &own_url()));
    bed.applied();
    let mut edits = own_url();
    edits.push(edit("feedback.function.unique_name", json!("acme-receiver")));
    bed.manifest = valid(FULL, &edits);
    bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).failing_builds = 1);
    assert!(matches!(bed.apply().ended, Ended::Failed(_)));
    assert_eq!(
        sink(&bed, "httpEndpoint"),
        bed.with_twin(|twin| url(twin, "acme-feedback")),
        "it still serves"
    );
    bed.applied();
    let left = bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).serverless_services.len());
    assert_eq!(left, 1, "the former one is gone");
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn a_changed_secret_is_accepted_before_it_is_sent() {
    let base = applied_full();
    let secret = edit("feedback.log_stream.authorization", json!("${env.OTHER_SECRET}"));
    let mut bed = Bed::on(&base, valid(FULL, &[secret]));
    let plan = bed.observe().plan;
    assert_eq!(
        steps(&plan),
        [
            "feedback_function: accept the former secret too",
            "feedback_function: set the variable WEBHOOK_SECRET",
            "log_stream: update the stream",
            "feedback_function: remove the variable WEBHOOK_SECRET_PREVIOUS",
        ]
    );
    bed.applied();
    assert_eq!(secret_of(&bed, "WEBHOOK_SECRET").as_deref(), Some("Other-Secret-e01b94"));
    assert_eq!(sink(&bed, "httpAuthorization"), "Other-Secret-e01b94");
    assert_eq!(secret_of(&bed, "WEBHOOK_SECRET_PREVIOUS"), None, "a secret that was given up is refused");
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn a_drawn_secret_outlives_the_record_and_either_of_its_places() {
    let mut bed = Bed::new(valid(FULL, &own_url()));
    bed.applied();
    let drawn = secret_of(&bed, "WEBHOOK_SECRET").expect("set");
    assert_eq!(sink(&bed, "httpAuthorization"), drawn);
    type Change = fn(&mut Twin);
    let changes: [(&str, Change); 2] = [
        ("the stream", |twin| drop(stream(twin).sink.insert("httpAuthorization".into(), json!("theirs")))),
        ("the variable", |twin| variable(twin, "WEBHOOK_SECRET").value = "theirs".into()),
    ];
    for (place, change) in changes {
        bed.with_twin(change);
        let mark = bed.stack.mark();
        bed.applied();
        assert_eq!(bed.writes_since(mark).len(), 1, "{place}");
        assert_eq!(secret_of(&bed, "WEBHOOK_SECRET").as_deref(), Some(&*drawn), "{place}");
        assert_eq!(sink(&bed, "httpAuthorization"), drawn, "{place}");
    }
    bed.with_twin(lose_ledger);
    let sid = bed.with_twin(|twin| service(twin).sid.clone());
    let mut edits = own_url();
    edits.push(edit("verify_service.sid", json!(sid)));
    bed.manifest = valid(FULL, &edits);
    let before = bed.stack.mark();
    bed.applied();
    let touched: Vec<String> = bed
        .writes_since(before)
        .into_iter()
        .filter(|line| line.contains("Variables") || line.contains("log-streams"))
        .collect();
    assert!(touched.is_empty(), "{touched:?}");
    assert_eq!(secret_of(&bed, "WEBHOOK_SECRET").as_deref(), Some(&*drawn));
}

#[test]
fn variables_of_others_stay_and_ours_go_with_their_line() {
    let base = applied_full();
    let mut bed = Bed::on(&base, valid(FULL, &[edit("feedback.function.variables", Json::Null)]));
    bed.with_twin(|twin| {
        let sid = twin.world.ids.sid("ZV");
        let theirs =
            Variable { sid, key: "THEIRS".into(), value: "x".into(), created_at_ms: 0, updated_at_ms: 0 };
        receiver(twin).environments[0].variables.push(theirs);
    });
    assert_eq!(steps(&bed.observe().plan), ["feedback_function: remove the variable EXTRA"]);
    bed.applied();
    assert_eq!(secret_of(&bed, "EXTRA"), None);
    assert_eq!(secret_of(&bed, "THEIRS").as_deref(), Some("x"));
    assert!(bed.observe().plan.is_empty());
}

/// Another operator serves their own Function from the same environment.
fn add_theirs(twin: &mut Twin, now_ms: u64) {
    let (function, version) = (twin.world.ids.sid("ZH"), twin.world.ids.sid("ZN"));
    let theirs = FunctionVersion {
        sid: version.clone(),
        path: "/theirs".into(),
        visibility: "protected".into(),
        content: "exports.handler = 1;".into(),
        created_at_ms: now_ms,
    };
    receiver(twin).functions.push(Function {
        sid: function,
        friendly_name: "theirs".into(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        versions: vec![theirs],
    });
    redeploy(twin, now_ms, |_, build| {
        build.function_versions.push(version);
        build
            .dependencies
            .push(lockstep::twin::world::Dependency { name: "lodash".into(), version: "4.17.21".into() });
    });
}

#[test]
fn what_others_deploy_beside_it_goes_on_serving() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| add_theirs(twin, now_ms));
    let plan = bed.observe().plan;
    assert!(
        plan.steps.is_empty(),
        "another build with the same content is no difference: {:?}",
        steps(&plan)
    );
    bed.manifest = valid(FULL, &[edit("feedback.function.runtime", json!("node24"))]);
    bed.applied();
    bed.with_twin(|twin| {
        let service = receiver(twin);
        let live = service.environments[0].build_sid.clone();
        let build = service.builds.iter().find(|build| Some(&build.sid) == live.as_ref()).expect("live");
        assert_eq!(build.runtime, "node24");
        assert_eq!(build.function_versions.len(), 2);
        assert!(build.dependencies.iter().any(|one| one.name == "lodash"));
    });
    assert!(bed.observe().plan.is_empty());
    let removal = bed.observe_destroy().plan;
    let danger =
        removal.steps.iter().find(|step| step.address == "feedback_function").and_then(|s| s.danger.clone());
    assert!(danger.is_some_and(|danger| danger.contains("theirs")), "{:?}", steps(&removal));
}

#[test]
fn a_deployment_by_somebody_else_is_told() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| {
        redeploy(twin, now_ms, |version, _| version.content = "exports.handler = 2;".into())
    });
    let plan = bed.observe().plan;
    assert_eq!(
        steps(&plan),
        [
            "feedback_function: upload the code",
            "feedback_function: build the Function",
            "feedback_function: deploy"
        ]
    );
    bed.applied();
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn a_failed_build_is_told_and_the_old_one_serves() {
    let mut bed =
        Bed::on(&applied_full(), valid(FULL, &[edit("feedback.function.runtime", json!("node24"))]));
    let before = bed.with_twin(|twin| receiver(twin).environments[0].build_sid.clone());
    bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).failing_builds = 1);
    let Ended::Failed(text) = bed.apply().ended else { panic!("it failed") };
    for word in ["could not build", "node24", "twilio 6.2.0", "still serves", "Console"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert_eq!(bed.with_twin(|twin| receiver(twin).environments[0].build_sid.clone()), before);
    bed.applied();
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn builds_and_versions_that_vanished_are_made_again() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        twin.options.unused_builds_expire_ms = Some(60_000);
        receiver(twin).environments[0].build_sid = None;
    });
    let words = steps(&bed.observe().plan);
    assert_eq!(words.last().map(String::as_str), Some("feedback_function: deploy"), "{words:?}");
    assert!(words.contains(&"feedback_function: build the Function".to_owned()), "{words:?}");
    bed.applied();
    assert!(bed.observe().plan.is_empty());
    bed.with_twin(|twin| receiver(twin).functions.clear());
    bed.with_twin(|twin| receiver(twin).builds.clear());
    bed.with_twin(|twin| receiver(twin).environments[0].build_sid = None);
    let words = steps(&bed.observe().plan);
    assert_eq!(words[..2], ["feedback_function: create the Function", "feedback_function: upload the code"]);
    bed.applied();
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn functions_of_one_name_are_told_apart_or_stop_us() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        let mut second = receiver(twin).functions[0].clone();
        second.sid = twin.world.ids.sid("ZH");
        second.versions.clear();
        receiver(twin).functions.insert(0, second);
    });
    let plan = bed.observe().plan;
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    assert!(
        findings(&plan, Level::Warning).iter().any(|text| text.contains("2 Functions")),
        "{:?}",
        plan.findings
    );
    // Nothing serves, and no record says which Function is ours.
    bed.with_twin(|twin| {
        receiver(twin).environments[0].build_sid = None;
        lose_ledger(twin);
    });
    let sid = bed.with_twin(|twin| service(twin).sid.clone());
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(sid))]);
    let plan = bed.observe().plan;
    assert!(
        findings(&plan, Level::Blocker).iter().any(|text| text.contains("none is deployed")),
        "{:?}",
        plan.findings
    );
}

#[test]
fn a_key_that_may_not_read_functions_is_never_clean() {
    let mut bed = Bed::new(valid(FULL, &own_url()));
    bed.applied();
    bed.with_twin(|twin| twin.options.serverless_allowed = false);
    let plan = bed.observe().plan;
    assert!(findings(&plan, Level::NotRead).iter().any(|text| text.contains("70051")), "{:?}", plan.findings);
    assert!(!findings(&plan, Level::Blocker).is_empty());
    let stream = plan.resources.iter().find(|resource| resource.address == "log_stream").expect("there");
    assert!(stream.changes.is_empty(), "a URL that could not be read is no difference: {:?}", stream.changes);
    assert_eq!(stream.unknown, ["endpoint"]);
    assert!(matches!(bed.apply().ended, Ended::Failed(_)));
}

#[test]
fn a_service_that_was_there_stays_without_our_credentials() {
    let mut bed = Bed::new(valid(FULL, &[]));
    let now_ms = bed.now_ms();
    let post = |bed: &Bed, path: &str, form: &[(&str, &str)]| -> String {
        let (status, made) = bed.with_twin(|twin| {
            twin.operate_account(ACCOUNT, "serverless.twilio.com", Method::Post, path, form, now_ms)
        });
        assert_eq!(status, 201, "{path}: {made}");
        made["sid"].as_str().unwrap_or_default().to_owned()
    };
    post(
        &bed,
        "/v1/Services",
        &[("UniqueName", "acme-feedback"), ("FriendlyName", "By hand"), ("UiEditable", "true")],
    );
    let environment = post(&bed, "/v1/Services/acme-feedback/Environments", &[("UniqueName", "production")]);
    let variables = format!("/v1/Services/acme-feedback/Environments/{environment}/Variables");
    post(&bed, &variables, &[("Key", "EXTRA"), ("Value", "by-hand")]);
    post(&bed, &variables, &[("Key", "THEIRS"), ("Value", "x")]);
    let plan = bed.observe().plan;
    assert!(
        findings(&plan, Level::Note).iter().any(|text| text.contains("cannot be put back")),
        "{:?}",
        plan.findings
    );
    bed.applied();
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    bed.with_twin(|twin| {
        let service = receiver(twin);
        assert_eq!(
            (service.friendly_name.as_str(), service.ui_editable, service.include_credentials),
            ("By hand", true, true)
        );
        let keys: Vec<&str> = service.environments[0].variables.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["EXTRA", "THEIRS"], "our credentials are gone");
    });
    assert!(bed.destroyed().done.is_empty());
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_read() {
    let long = "x".repeat(451);
    let cases: Vec<(&str, Edits)> = vec![
        (
            "the stream has no endpoint",
            vec![edit("feedback.function", Json::Null), edit("feedback.log_stream.endpoint", Json::Null)],
        ),
        ("who may send events", vec![edit("feedback.log_stream.authorization", Json::Null)]),
        ("who may send events", vec![edit("feedback.log_stream", Json::Null)]),
        (
            "URL of a Function that is not declared",
            vec![
                edit("feedback.function", Json::Null),
                edit("feedback.log_stream.endpoint", json!("${feedback_function.url}")),
            ],
        ),
        ("handler is missing", vec![edit("feedback.function.code", json!("builtin:twilio-verify"))]),
        ("handler is missing", vec![edit("feedback.function.code", json!("./unexported.js"))]),
        (
            "fills this variable in",
            vec![edit("feedback.function.variables", json!({ "WEBHOOK_SECRET": "${env.OTHER_SECRET}" }))],
        ),
        (
            "Twilio fills this variable in",
            vec![edit("feedback.function.variables", json!({ "DOMAIN_NAME": "${env.OTHER_SECRET}" }))],
        ),
        (
            "cannot be the name of a variable",
            vec![edit("feedback.function.variables", json!({ "1-x": "${env.OTHER_SECRET}" }))],
        ),
        (
            "too long for a variable",
            vec![edit("feedback.function.variables", json!({ "LONG": "${env.LONG_SECRET}" }))],
        ),
        (
            "too long for a variable",
            vec![edit("feedback.log_stream.authorization", json!("${env.LONG_SECRET}"))],
        ),
        (
            "a Twilio key cannot be generated",
            vec![edit("feedback.function.api_secret", json!("${generated.key}"))],
        ),
        (
            "not exact",
            vec![edit("feedback.function.dependencies", json!({ "@twilio/runtime-handler": "^2.0.0" }))],
        ),
        ("path", vec![edit("feedback.function.path", json!("auth0-logs"))]),
        ("path", vec![edit("feedback.function.path", json!("/a b"))]),
        ("unique_name", vec![edit("feedback.function.unique_name", json!("acme_feedback"))]),
        ("api_secret", vec![edit("feedback.function.api_secret", Json::Null)]),
    ];
    for (words, edits) in cases {
        let Err(problems) = manifest(FULL, &edits) else { panic!("{words}: {edits:?} was taken") };
        assert!(problems.contains(words), "{words} in {problems}");
        assert!(!problems.contains(&long[..20]), "the value is shown: {problems}");
    }
}

/// Names of services are not unique, so after a lost record a person has to choose, unless the Function says which
/// service it uses.
#[test]
fn the_function_tells_which_service_is_the_stacks_when_the_record_is_lost() {
    for (has_function, adopts) in [(true, true), (false, false)] {
        let edits = if has_function { Vec::new() } else { vec![edit("feedback.function", Json::Null)] };
        let mut bed = Bed::new(valid(FULL, &edits));
        bed.applied();
        bed.with_twin(|twin| {
            // Adds a service of the same name.
            let mut other = twin.world.account_mut(ACCOUNT).verify_services[0].clone();
            other.sid = "VA00000000000000000000000000000099".into();
            twin.world.account_mut(ACCOUNT).verify_services.insert(0, other);
            lose_ledger(twin);
        });
        let plan = bed.observe().plan;
        let blocked = plan.blockers().any(|finding| finding.address == "verify_service");
        assert_eq!(blocked, !adopts, "{:?}", plan.findings);
        if !adopts {
            continue;
        }
        let service =
            plan.resources.iter().find(|resource| resource.address == "verify_service").expect("read");
        assert_ne!(service.ids["sid"], "VA00000000000000000000000000000099");
        assert_eq!(service.verb, Verb::Adopt);
        assert_eq!(bed.applied().ended, Ended::Done);
        assert!(bed.observe().plan.is_empty());
        let count = bed.with_twin(|twin| twin.world.account_mut(ACCOUNT).verify_services.len());
        assert_eq!(count, 2, "none was made");
    }
}

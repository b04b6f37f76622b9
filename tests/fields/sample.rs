//! Tests of the sample application: how it is made, found again, mended and removed, and what stays of others.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::model::plan::{Cause, Level, Verb};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::Connection;
use lockstep::twin::{Rule, Twin, What, When};
use serde_json::{Map, Value as Json, json};

use super::bed::{Bed, Edits, FULL, Remote, assert_same, checked, edit, lose_ledger, sample, tenant, valid};
use super::destroy::killed_everywhere;
use super::drift::{changes, named};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    it_is_made_found_mended_and_removed,
    the_section_alone_costs_requests,
    an_answer_that_is_lost_makes_nothing_twice,
    a_lost_record_is_told_and_the_marked_application_is_taken_over,
    a_connection_that_is_missing_blocks_before_the_first_write,
    another_connection_takes_the_place_of_the_former_one,
    an_application_of_the_second_page_is_found,
    several_marked_applications_block,
    a_section_that_goes_takes_the_application_along,
];

/// The sections of the full manifest that these tests do not need.
const REST: &[&str] =
    &["action", "feedback", "mfa", "universal_login", "branding", "log_streams", "phone", "verify_service"];

const DATABASE: &str = "Username-Password-Authentication";

fn only_sample() -> Edits {
    REST.iter().map(|section| edit(*section, Json::Null)).collect()
}

fn with(edits: &[(String, Json)]) -> Bed {
    Bed::new(valid(FULL, &[only_sample(), edits.to_vec()].concat()))
}

/// An application of others that has the name of ours.
fn theirs() -> Map<String, Json> {
    let theirs = json!({"client_id": "theirs", "name": "Acme sample", "app_type": "spa",
        "callbacks": ["https://theirs.example"], "client_metadata": {"lockstep_stack": "another-stack"}});
    theirs.as_object().cloned().expect("an object")
}

fn add_theirs(bed: &Bed) {
    bed.with_twin(|twin| {
        tenant(twin).clients.insert("theirs".into(), theirs());
        tenant(twin).connections[0].clients.push("theirs".into());
    });
}

/// The applications that are not of others, by id.
fn ours(bed: &Bed) -> Vec<(String, Map<String, Json>)> {
    let all = bed.with_twin(|twin| tenant(twin).clients.clone());
    all.into_iter().filter(|(id, _)| id != "theirs").collect()
}

fn enabled(bed: &Bed, name: &str) -> Vec<String> {
    let connections = bed.with_twin(|twin| tenant(twin).connections.clone());
    connections.into_iter().find(|one| one.name == name).expect("a connection").clients
}

fn add_connection(twin: &mut Twin, name: &str) {
    let id = format!("con_{name}");
    let connection =
        Connection { id, name: name.into(), strategy: "auth0".into(), clients: vec![], more: Map::new() };
    tenant(twin).connections.push(connection);
}

#[test]
fn it_is_made_found_mended_and_removed() {
    let mut bed = with(&[]);
    add_theirs(&bed);
    let former = bed.plain(Remote::Ids);
    let plan = bed.observe().plan;
    assert!(plan.findings.iter().all(|finding| finding.level == Level::Note), "{:?}", plan.findings);
    let what: Vec<&str> = plan.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(what, ["create the application", "enable the connection Username-Password-Authentication"]);
    bed.applied();
    let made = ours(&bed);
    let [(id, client)] = made.as_slice() else { panic!("{made:?}") };
    for (key, value) in [
        ("name", json!("Acme sample")),
        ("app_type", json!("spa")),
        ("callbacks", json!(["http://localhost:3000"])),
        ("allowed_logout_urls", json!(["http://localhost:3000"])),
        ("web_origins", json!(["http://localhost:3000"])),
        ("allowed_origins", json!(["http://localhost:3000"])),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("token_endpoint_auth_method", json!("none")),
        ("oidc_conformant", json!(true)),
        ("client_metadata", json!({"lockstep_stack": "acme-full"})),
    ] {
        assert_eq!(client[key], value, "{key}");
    }
    assert_eq!(client["jwt_configuration"]["alg"], "RS256");
    assert!(enabled(&bed, DATABASE).contains(id));
    let seen = bed.observe();
    assert!(seen.plan.is_empty() && named(&seen.plan).is_empty(), "{:?}", named(&seen.plan));
    let resource = seen.plan.resources.iter().find(|one| one.address == "sample_client").expect("listed");
    assert_eq!(resource.ids.get("client_id"), Some(id), "whoever serves the sample needs it");

    // Somebody disables the connection and adds an address of their own.
    bed.with_twin(|twin| {
        tenant(twin).connections[0].clients.retain(|client| client == "theirs");
        sample_of(twin, id)["callbacks"] = json!(["http://localhost:3000", "https://evil.example"]);
    });
    let plan = bed.observe().plan;
    assert_eq!(named(&plan), ["sample_client.callbacks", "sample_client.connection"]);
    assert!(changes(&plan).iter().all(|(_, change)| change.cause == Cause::TenantChanged));
    bed.applied();
    assert_eq!(ours(&bed)[0].1["callbacks"], json!(["http://localhost:3000"]));
    assert!(enabled(&bed, DATABASE).contains(id));

    // Somebody deletes it.
    bed.with_twin(|twin| {
        tenant(twin).clients.remove(id);
        tenant(twin).connections[0].clients.retain(|client| client == "theirs");
    });
    let plan = bed.observe().plan;
    assert_eq!(plan.steps.iter().map(|step| step.verb).collect::<Vec<_>>(), [Verb::Create; 2]);
    bed.applied();
    assert_eq!(ours(&bed).len(), 1);
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    assert_same(&former, &bed.plain(Remote::Ids), "destroyed");
}

fn sample_of<'a>(twin: &'a mut Twin, id: &str) -> &'a mut Map<String, Json> {
    tenant(twin).clients.get_mut(id).expect("the application is there")
}

/// Reads of applications and connections that a plan makes, without their queries.
fn reads(bed: &mut Bed) -> Vec<String> {
    let mark = bed.stack.mark();
    bed.observe();
    let log = bed.stack.log_since(mark).into_iter();
    let paths = log.map(|entry| entry.path.split('?').next().unwrap_or_default().to_owned());
    paths.filter(|path| path.contains("/clients") || path.contains("/connections")).collect()
}

#[test]
fn the_section_alone_costs_requests() {
    let mut bed = Bed::new(valid(FULL, &[edit("sample_client", Json::Null)]));
    assert_eq!(reads(&mut bed), Vec::<String>::new());
    bed.applied();
    assert_eq!(reads(&mut bed), Vec::<String>::new());

    let mut bed = with(&[edit("sample_client.connection", Json::Null)]);
    assert_eq!(reads(&mut bed), ["/api/v2/clients"]);
    bed.applied();
    let id = ours(&bed)[0].0.clone();
    assert_eq!(reads(&mut bed), [format!("/api/v2/clients/{id}")]);
    assert_eq!(enabled(&bed, DATABASE), Vec::<String>::new());

    let mut bed = with(&[]);
    assert_eq!(reads(&mut bed), ["/api/v2/connections", "/api/v2/clients"]);
    bed.applied();
    let (id, connection) =
        (ours(&bed)[0].0.clone(), bed.with_twin(|twin| tenant(twin).connections[0].id.clone()));
    let expected = [
        "/api/v2/connections".to_owned(),
        format!("/api/v2/clients/{id}"),
        format!("/api/v2/connections/{connection}/clients"),
    ];
    assert_eq!(reads(&mut bed), expected);
}

#[test]
fn no_read_asks_for_a_secret() {
    let mut bed = with(&[]);
    bed.applied();
    bed.observe();
    bed.destroyed();
    let log = bed.stack.log_since(0);
    let all = |path: &str| {
        log.iter().filter(|entry| entry.method == Method::Get && entry.path.starts_with(path)).count()
    };
    assert!(all("/api/v2/clients") > 2, "read");
    assert_eq!(all("/api/v2/clients"), {
        let asks = log.iter().filter(|entry| entry.path.starts_with("/api/v2/clients"));
        asks.filter(|entry| entry.path.contains("?fields=client_id,")).count()
    });
}

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    let length = {
        let mut bed = with(&[]);
        bed.applied();
        bed.stack.mark()
    };
    for k in 0..=length {
        for before_reply in [true, false] {
            let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
            let mut bed = with(&[]);
            add_theirs(&bed);
            let former = bed.plain(Remote::Ids);
            let _ = bed.run_until(Stop::kill(k, before_reply), false);
            bed.stack.in_process.advance_ms(3_600_000);
            // Another name in the manifest finds it all the same.
            bed.manifest =
                valid(FULL, &[only_sample(), vec![edit("sample_client.name", json!("Acme two"))]].concat());
            bed.applied();
            let made = ours(&bed);
            assert_eq!(made.len(), 1, "{story}");
            assert_eq!(made[0].1["name"], "Acme two", "{story}");
            assert!(enabled(&bed, DATABASE).contains(&made[0].0), "{story}");
            assert!(bed.observe().plan.is_empty(), "{story}");
            bed.destroyed();
            assert_same(&former, &bed.plain(Remote::Ids), &story);
        }
    }
}

#[test]
fn a_destroy_that_is_killed_anywhere_is_finished_by_the_next() {
    killed_everywhere(with(&[]), "only the sample", 1, |_, _| {});
}

/// The answer to each write of ours is lost, or the server fails: nothing is made twice.
#[test]
fn an_answer_that_is_lost_makes_nothing_twice() {
    for what in [
        What::Lost { after_effect: true },
        What::Lost { after_effect: false },
        What::ServerError { status: 502, after_effect: true },
        What::Malformed { after_effect: true },
    ] {
        let mut bed = with(&[]);
        add_theirs(&bed);
        let connection = bed.with_twin(|twin| tenant(twin).connections[0].id.clone());
        for (method, path) in [
            (Method::Post, "/api/v2/clients".to_owned()),
            (Method::Patch, format!("/api/v2/connections/{connection}/clients")),
        ] {
            let rule = Rule::once(When::first(method, path.as_str()), what.clone());
            bed.with_twin(|twin| twin.faults.rules.push(rule));
        }
        bed.applied_at_last();
        let made = ours(&bed);
        assert_eq!(made.len(), 1, "{what:?}");
        assert!(enabled(&bed, DATABASE).contains(&made[0].0), "{what:?}");
        assert!(bed.observe().plan.is_empty(), "{what:?}");
        bed.destroyed();
        assert_eq!(ours(&bed).len(), 0, "{what:?}: what this stack created goes with it");
    }
}

#[test]
fn a_lost_record_is_told_and_the_marked_application_is_taken_over() {
    let mut bed = with(&[]);
    add_theirs(&bed);
    bed.applied();
    let id = ours(&bed)[0].0.clone();
    bed.with_twin(|twin| {
        lose_ledger(twin);
        sample_of(twin, &id)["callbacks"] = json!(["http://localhost:8080"]);
    });
    let plan = bed.observe().plan;
    let resource = plan.resources.iter().find(|one| one.address == "sample_client").expect("listed");
    assert!(resource.taken_over && resource.ids.get("client_id") == Some(&id), "{resource:?}");
    bed.applied();
    assert_eq!(ours(&bed).len(), 1);
    assert!(bed.observe().plan.is_empty());
    // It was there when the record began, so it stays, with what it had then.
    bed.destroyed();
    let left = ours(&bed);
    assert_eq!((left.len(), &left[0].1["callbacks"]), (1, &json!(["http://localhost:8080"])));
    assert_eq!(bed.with_twin(|twin| tenant(twin).clients["theirs"].clone()), theirs());
}

#[test]
fn a_connection_that_is_missing_blocks_before_the_first_write() {
    let mut bed = with(&[edit("sample_client.connection", json!("customers"))]);
    bed.with_twin(|twin| {
        add_connection(twin, "customers");
        tenant(twin).connections.last_mut().expect("just added").strategy = "google-oauth2".into();
    });
    let plan = bed.observe().plan;
    let blockers: Vec<String> =
        plan.blockers().map(|finding| format!("{} {}", finding.code, finding.text)).collect();
    assert_eq!(blockers, ["LS0406 the tenant has no database connection named \"customers\""]);
    let mark = bed.stack.mark();
    assert!(matches!(bed.apply().ended, Ended::Failed(_)));
    assert!(bed.stack.log_since(mark).iter().all(|entry| !entry.wrote || entry.path == "/oauth/token"));
    bed.with_twin(|twin| tenant(twin).connections.last_mut().expect("there").strategy = "auth0".into());
    bed.applied();
    assert_eq!(enabled(&bed, "customers"), [ours(&bed)[0].0.clone()]);
}

#[test]
fn another_connection_takes_the_place_of_the_former_one() {
    let mut bed = with(&[]);
    bed.with_twin(|twin| add_connection(twin, "customers"));
    add_theirs(&bed);
    bed.applied();
    let id = ours(&bed)[0].0.clone();
    let text = [only_sample(), vec![edit("sample_client.connection", json!("customers"))]].concat();
    bed.manifest = valid(FULL, &text);
    let plan = bed.observe().plan;
    assert_eq!(named(&plan), ["sample_client.connection"]);
    let told = changes(&plan)[0].1;
    assert_eq!((told.old.clone(), told.new.clone()), (Some(json!(DATABASE)), Some(json!("customers"))));
    // The former one is disabled although the new one is enabled by hand already.
    bed.with_twin(|twin| tenant(twin).connections.last_mut().expect("there").clients.push(id.clone()));
    bed.applied();
    assert_eq!(enabled(&bed, DATABASE), ["theirs"]);
    assert_eq!(enabled(&bed, "customers"), std::slice::from_ref(&id));
    assert!(bed.observe().plan.is_empty());
    // Without the key, the connection stays as it is.
    bed.manifest = valid(FULL, &[only_sample(), vec![edit("sample_client.connection", Json::Null)]].concat());
    assert!(bed.observe().plan.steps.is_empty());
    bed.applied();
    assert_eq!(enabled(&bed, "customers"), [id]);
}

/// The list of applications has 100 on a page, and that of a connection too.
#[test]
fn an_application_of_the_second_page_is_found() {
    let mut bed = with(&[]);
    bed.with_twin(|twin| {
        for number in 0..150 {
            // Before and behind any id of ours.
            for id in [format!("!{number:03}"), format!("~{number:03}")] {
                let client = json!({"client_id": id, "name": "Acme sample"});
                tenant(twin).clients.insert(id.clone(), client.as_object().cloned().expect("an object"));
                tenant(twin).connections[0].clients.push(id);
            }
        }
    });
    bed.applied();
    assert!(bed.observe().plan.is_empty());
    bed.with_twin(lose_ledger);
    let plan = bed.observe().plan;
    assert!(plan.resources.iter().any(|one| one.address == "sample_client" && one.taken_over), "{plan:?}");
    assert_eq!(plan.steps.len(), 0, "{:?}", plan.steps);
}

#[test]
fn several_marked_applications_block() {
    let mut bed = with(&[]);
    bed.applied();
    bed.with_twin(|twin| {
        let mut other = sample(twin).clone();
        other["client_id"] = json!("copied");
        tenant(twin).clients.insert("copied".into(), other);
    });
    // The record says which one it is.
    assert!(bed.observe().plan.is_empty());
    bed.with_twin(lose_ledger);
    let plan = bed.observe().plan;
    let blockers: Vec<&str> = plan.blockers().map(|finding| finding.text.as_str()).collect();
    assert!(
        blockers.len() == 1 && blockers[0].contains("2 applications") && blockers[0].contains("copied"),
        "{blockers:?}"
    );
}

#[test]
fn a_section_that_goes_takes_the_application_along() {
    let mut bed = with(&[edit("branding", json!({ "logo_url": "https://acme.example/logo.png" }))]);
    add_theirs(&bed);
    bed.applied();
    let rest = [
        edit("branding", json!({ "logo_url": "https://acme.example/logo.png" })),
        edit("sample_client", Json::Null),
    ];
    bed.manifest = valid(FULL, &[only_sample(), rest.to_vec()].concat());
    let plan = bed.observe().plan;
    assert_eq!(
        plan.steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>(),
        ["delete the application"]
    );
    let mut session = bed.session(false);
    session.allow_delete = true;
    let outcome = bed.stack.process(Stop::default(), |port| async move {
        crate::support::reconciled(session, port).await.unwrap_or_else(|failed| panic!("{failed}")).outcome
    });
    assert_eq!(outcome.expect("not killed").ended, Ended::Done);
    assert_eq!(ours(&bed).len(), 0);
    assert_eq!(bed.with_twin(|twin| tenant(twin).clients["theirs"].clone()), theirs());
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn what_the_manifest_refuses() {
    for (key, value, words) in [
        ("name", json!("Acme <b>"), "take it out of the name"),
        ("url", json!("http://sample.acme.example"), "uses http, which is for localhost"),
        ("url", json!("http://localhost:3000/"), "more behind host and port"),
        ("url", json!("localhost:3000"), "neither https:// nor http://"),
        ("url", json!("https://sample.acme.example:443"), "port 443"),
        ("connection", json!("two words"), "not the name of a connection"),
        ("url", json!("${verify_service.sid}"), "cannot be a secret or an output"),
        ("connection", json!("${verify_service.sid}"), "cannot be a secret or an output"),
        ("callbacks", json!(["http://localhost:3000"]), "callbacks"),
    ] {
        let edits = [edit(format!("sample_client.{key}"), value.clone())];
        let told = match checked(FULL, &edits) {
            Ok((_, problems)) => format!("{problems:?}"),
            Err(told) => told,
        };
        assert!(told.contains(words), "{key} {value}: {told}");
    }
}

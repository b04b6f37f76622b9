//! Contract tests for Auth0, against our own table.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use serde_json::Value as Json;

use super::calls::{Contract, Tally};
use super::tour;
use super::traffic::everything;
use crate::recordings::used;

const TABLE: &str = include_str!("auth0.yaml");

pub fn contract() -> Contract {
    Contract::default().table(TABLE)
}

pub fn takes(host: &str) -> bool {
    !host.ends_with(".twilio.com")
}

/// The traffic of all runs, made once for the tests that need it.
fn traffic() -> &'static Tally {
    static TRAFFIC: OnceLock<Tally> = OnceLock::new();
    TRAFFIC.get_or_init(|| everything(&contract, takes))
}

/// The endpoints in use are those that the engine calls. The replay of recordings counts by this list.
#[test]
fn the_endpoints_in_use_of_the_recordings_are_those_that_the_engine_calls() {
    let sent: BTreeSet<String> = traffic()
        .sent
        .keys()
        .filter(|name| name.contains("/api/v2/"))
        .map(|name| name.replacen("/api/v2", "", 1))
        .collect();
    let used: BTreeSet<String> = used::calls().collect();
    assert_eq!(used, sent, "left: the table, right: the traffic");
}

/// The provider's test call costs money, so no run of the traffic makes it: `smoke` alone does, in tests of its own.
const TEST_CALL: &str = "/branding/phone/providers/{id}/try";

/// The traffic lacks calls that none of its runs makes, so this test looks at the paths in the code as well.
#[test]
fn every_path_that_the_engine_names_is_in_use() {
    let used: Vec<String> =
        used::calls().filter_map(|call| Some(call.split_once(' ')?.1.to_owned())).collect();
    let mut named = BTreeSet::new();
    for folder in [
        "crates/core/src/kinds",
        "crates/core/src/health",
        "crates/engine/src",
        "crates/core/src/plan",
        "src/cli",
        "src/shell",
    ] {
        for source in crate::tidy::files(folder, &[".rs"]).iter().filter(|source| !source.is_test()) {
            named.extend(paths_named_by(&source.text));
        }
    }
    assert!(named.remove(TEST_CALL), "nothing makes the test call any more");
    let unknown: Vec<&String> = named.iter().filter(|path| !used.contains(path)).collect();
    assert!(
        unknown.is_empty(),
        "the sources name {unknown:?}, which the table of endpoints in tests/recordings/tool/used.rs lacks"
    );
    assert!(named.len() > 15, "the paths were not found: {named:?}");
}

/// Paths below `/api/v2` in the texts of a source, including those behind a constant of the same file; without tests.
fn paths_named_by(source: &str) -> BTreeSet<String> {
    const BASE: &str = "/api/v2";
    let source = source.split("\n#[cfg(test)]").next().unwrap_or_default();
    let code = || source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let texts = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let constants: Vec<(String, String)> = code()
        .filter_map(|line| {
            let (name, rest) = line.split_once("const ")?.1.split_once(": &str = ")?;
            Some((format!("{{{name}}}"), texts(rest).pop()?)).filter(|(_, text)| text.starts_with(BASE))
        })
        .collect();
    let whole = |text: String| {
        let known = constants.iter().find(|(name, _)| text.starts_with(name.as_str()));
        let text = known.map_or(text.clone(), |(name, path)| text.replacen(name.as_str(), path, 1));
        text.strip_prefix(BASE).filter(|path| path.len() > 1).map(template)
    };
    code().flat_map(texts).filter_map(whole).collect()
}

/// A path such as `/log-streams/{}` with the placeholder of the table.
fn template(path: &str) -> String {
    // What is asked of an endpoint is no part of its path.
    let path = path.split('?').next().unwrap_or_default();
    let segments = path.split('/').map(|segment| match (segment.starts_with('{'), path) {
        (false, _) => segment,
        (true, _) if segment == "{version}" => "{version_id}",
        (true, path) if path.starts_with("/actions/triggers/") => "{trigger_id}",
        (true, path) if path.starts_with("/guardian/factors/") => "{name}",
        (true, _) => "{id}",
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn what_is_sent_to_auth0_and_answered_agrees_with_the_table() {
    let tally = traffic();
    println!("Auth0: {}", tally.line());
    tally.demand_agreement();
    let contract = contract();
    let idle = contract.idle(tally);
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
    let gaps = contract.gaps(tally);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
    let silent = contract.silent(tally);
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    let (all, omitted) = contract.coverage(tally);
    println!(
        "Auth0: {all} parameters of the calls in use, {omitted} of them never sent, each with its reason"
    );
}

#[test]
fn the_simulator_keeps_to_the_table_of_auth0() {
    let toured = tour::of_auth0(contract());
    toured.demand_agreement("Auth0");
}

/// Checks the table itself against exchanges that others recorded. `LOCKSTEP_RECORDED` is a folder of JSON files, each
/// with `exchanges` of `request` (method, path, body) and `response` (status, body).
#[test]
#[ignore = "needs recorded exchanges: LOCKSTEP_RECORDED=folder"]
fn recorded_exchanges_agree_with_the_table_of_auth0() {
    let folder =
        std::env::var_os("LOCKSTEP_RECORDED").expect("LOCKSTEP_RECORDED is the folder of the exchanges");
    let contract = contract();
    let mut tally = Tally::default();
    let (mut compared, mut others, mut odd) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        let file: Json = serde_json::from_str(&text).expect("JSON");
        for exchange in file["exchanges"].as_array().expect("exchanges") {
            let (asked, answered) = (&exchange["request"], &exchange["response"]);
            let body = |json: &Json| if json.is_null() { Vec::new() } else { json.to_string().into_bytes() };
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            let request = ApiRequest {
                host: "acme.eu.auth0.com".into(),
                method: asked["method"].as_str().and_then(Method::parse).expect("a method"),
                path: asked["path"].as_str().expect("a path").to_owned(),
                headers: headers.clone(),
                body: body(&asked["body"]),
            };
            if contract.find(&request).is_none() {
                others += 1;
                continue;
            }
            let status = answered["status"].as_u64().expect("a status") as u16;
            let reply = ApiReply { status, headers, body: body(&answered["body"]) };
            contract.reply(&request, &Answer::Reply(reply), &mut tally);
            compared += 1;
            // A request of another client that the API accepted has to fit the table. The tenant settings are an
            // exception: there are many, and the table has only those that we use.
            let (name, findings) = contract.request_findings(&request);
            if status < 300 && !findings.is_empty() {
                odd.push(format!("{name}: {findings:?}"));
            }
        }
    }
    odd.retain(|told| !told.starts_with("PATCH /api/v2/tenants/settings"));
    assert!(odd.is_empty(), "requests that were taken and that the table does not allow: {odd:#?}");
    let told: Vec<&String> = tally.findings.keys().collect();
    assert!(told.is_empty(), "{told:#?}");
    assert!(compared > 20, "{compared}");
    println!("Auth0: {compared} recorded exchanges agree, {others} are of calls not in the table");
}

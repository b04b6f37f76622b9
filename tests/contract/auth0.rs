//! Auth0: against our own table.

use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use serde_json::Value as Json;

use super::calls::{Contract, Tally};
use super::tour;
use super::traffic::everything;

const TABLE: &str = include_str!("auth0.yaml");

pub fn contract() -> Contract {
    Contract::default().table(TABLE)
}

pub fn takes(host: &str) -> bool {
    !host.ends_with(".twilio.com")
}

#[test]
fn what_is_sent_to_auth0_and_answered_agrees_with_the_table() {
    let tally = everything(&contract, takes);
    println!("Auth0: {}", tally.line());
    tally.demand_agreement();
    let contract = contract();
    let idle = contract.idle(&tally);
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
    let gaps = contract.gaps(&tally);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
    let silent = contract.silent(&tally);
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    let (all, omitted) = contract.coverage(&tally);
    println!(
        "Auth0: {all} parameters of the calls in use, {omitted} of them never sent, each with its reason"
    );
}

#[test]
fn the_simulator_keeps_to_the_table_of_auth0() {
    let toured = tour::of_auth0(contract());
    toured.demand_agreement("Auth0");
}

/// The table itself, against exchanges recorded by others: `LOCKSTEP_RECORDED` is a folder of JSON files, each with
/// `exchanges` of `request` (method, path, body) and `response` (status, body).
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
            // A request of another client that was taken has to be right, but for the settings: they are many, and
            // the table has only those of ours.
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

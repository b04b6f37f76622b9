//! Twilio: against the vendor's published descriptions, and a table of ours where they end.

use std::path::PathBuf;

use super::calls::Contract;
use super::tour;
use super::traffic::everything;

const TABLE: &str = include_str!("twilio.yaml");
const DESCRIPTIONS: &[&str] =
    &["twilio_verify_v2.json", "twilio_serverless_v1.json", "twilio_api_v2010.json"];

fn folder() -> PathBuf {
    let folder = std::env::var_os("LOCKSTEP_CONTRACT");
    PathBuf::from(folder.expect("LOCKSTEP_CONTRACT is the folder of the published descriptions"))
}

fn contract() -> Contract {
    let mut contract = Contract::default();
    for name in DESCRIPTIONS {
        let path = folder().join(name);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        contract = contract.description(serde_json::from_str(&text).expect("a description is JSON"));
    }
    contract.table(TABLE)
}

fn takes(host: &str) -> bool {
    host.ends_with(".twilio.com")
}

#[test]
#[ignore = "needs the published descriptions: LOCKSTEP_CONTRACT=folder"]
fn traffic_and_simulator_agree_with_the_descriptions_of_twilio() {
    let mut tally = everything(&contract, takes);
    println!("Twilio: {}", tally.line());
    tally.demand_agreement();
    let known = contract();
    let gaps = known.gaps(&tally);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
    let (all, omitted) = known.coverage(&tally);
    println!(
        "Twilio: {all} parameters of the calls in use, {omitted} of them never sent, each with its reason"
    );
    let toured = tour::of_twilio(contract());
    toured.demand_agreement("Twilio");
    tally.add(toured.tally);
    let idle = known.idle(&tally);
    assert!(idle.is_empty(), "exceptions that nothing needs: {idle:?}");
}

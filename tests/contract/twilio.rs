//! Contract tests for Twilio, against the vendor's published descriptions, and against a table of ours for what they
//! lack.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::calls::Contract;
use super::tour;
use super::traffic::everything;
use crate::fields::properties::SERVICE_FORM;

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

/// The calls that a run has to make below the Verify service: every change, and the lists. Single objects are read from
/// the lists.
const MADE: &[&str] = &[
    "GET verify.twilio.com/v2/Services/{ServiceSid}/RateLimits",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/RateLimits",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{Sid}",
    "DELETE verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{Sid}",
    "GET verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}",
    "DELETE verify.twilio.com/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}",
    "GET verify.twilio.com/v2/Services/{ServiceSid}/MessagingConfigurations",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/MessagingConfigurations",
    "POST verify.twilio.com/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}",
    "DELETE verify.twilio.com/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}",
    "GET verify.twilio.com/v2/Templates",
];

/// Checks that the form of the service has the fields of the list in `fields`.
fn service_forms(known: &Contract) {
    let expected: BTreeSet<&str> = SERVICE_FORM.iter().copied().collect();
    for name in ["POST verify.twilio.com/v2/Services", "POST verify.twilio.com/v2/Services/{Sid}"] {
        let call = known.calls.iter().find(|call| call.name == name).expect(name);
        let form = call.body.as_ref().and_then(|body| body.schema["properties"].as_object()).expect(name);
        assert_eq!(form.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{name}");
    }
    println!("Twilio: {} form fields of the service are the described ones", expected.len());
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
    let silent: Vec<&str> = MADE.iter().filter(|name| !tally.sent.contains_key(**name)).copied().collect();
    assert!(silent.is_empty(), "no run makes {silent:?}");
    service_forms(&known);
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

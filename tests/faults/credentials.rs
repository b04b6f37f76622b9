//! Tests that credentials for Actions and Functions are tried before they are written, so that no user meets a wrong
//! one.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::twin::world::{ApiKey, KeyKind};

use super::bench::Bench;
use super::function;
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options};

const SENDER: &str = "SK000000000000000000000000000000ab";
const FEEDBACK: &str = "SK000000000000000000000000000000cd";

/// Adds a key of the account that has only this secret and only this permission.
fn key(bench: &mut Bench, sid: &str, secret: &str, may: &str) {
    let key = ApiKey {
        secret: Some(secret.into()),
        allow: vec![may.into()],
        ..ApiKey::new(ACCOUNT, KeyKind::Restricted)
    };
    bench.world().keys.insert(sid.into(), key);
}

fn sender(bench: &mut Bench, secret: &str) {
    key(bench, SENDER, secret, "/twilio/verify/verification/create");
}

fn failed(bench: &mut Bench) -> String {
    match bench.ended(false) {
        Ended::Failed(text) => text,
        ended => panic!("{ended:?}"),
    }
}

/// Number of deployments of Actions since `mark`.
fn action_writes(bench: &Bench, mark: usize) -> usize {
    let writes = bench.stack.log_since(mark);
    writes.iter().filter(|entry| entry.wrote && entry.operation.contains("deploy")).count()
}

#[test]
fn a_key_that_may_only_send_is_enough() {
    let mut bench = Bench::new(options(), core_manifest());
    let secret = bench.stack.env["TWILIO_SENDER_SECRET"].clone();
    sender(&mut bench, &secret);
    bench.converge("a restricted key");
}

#[test]
fn a_first_apply_with_a_wrong_sender_exposes_nothing() {
    let mut bench = Bench::new(options(), core_manifest());
    sender(&mut bench, "Another-Secret-Than-That");
    let text = failed(&mut bench);
    assert!(text.contains("TWILIO_API_KEY and TWILIO_API_SECRET") && text.contains("20003"), "{text}");
    assert_eq!(action_writes(&bench, 0), 0);
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
    let secret = bench.stack.env["TWILIO_SENDER_SECRET"].clone();
    sender(&mut bench, &secret);
    bench.later();
    bench.converge("corrected");
}

#[test]
fn a_wrong_secret_does_not_reach_a_sender_that_works() {
    let mut bench = Bench::new(options(), core_manifest());
    let right = bench.stack.env["TWILIO_SENDER_SECRET"].clone();
    sender(&mut bench, &right);
    bench.converge("at first");
    let before = bench.world().tenant_mut(DOMAIN).actions.clone();
    let mark = bench.stack.mark();
    bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), "A-Typing-Error-2c90".into());
    failed(&mut bench);
    assert_eq!(action_writes(&bench, mark), 0);
    let sends = |action: &lockstep::twin::world::Action| action.supports("custom-phone-provider");
    let after = bench.world().tenant_mut(DOMAIN).actions.clone();
    assert_eq!(
        before.iter().filter(|a| sends(a)).collect::<Vec<_>>(),
        after.iter().filter(|a| sends(a)).collect::<Vec<_>>()
    );
    bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), right);
    bench.later();
    bench.converge("corrected");
}

#[test]
fn nothing_is_tried_when_nothing_is_sent() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("at first");
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(false), Ended::Done);
    let log = bench.stack.log_since(mark);
    assert!(log.iter().all(|entry| !entry.path.starts_with("/v2/Services?")), "{log:?}");
}

#[test]
fn a_function_does_not_get_credentials_that_nobody_takes() {
    let mut bench = function::changed();
    let may = "/twilio/verify/verification/update";
    key(&mut bench, FEEDBACK, "Another-Secret-Than-That", may);
    let before = bench.world().account_mut(ACCOUNT).serverless_services[0].environments[0].variables.clone();
    let text = failed(&mut bench);
    assert!(text.contains("20003"), "{text}");
    let after = bench.world().account_mut(ACCOUNT).serverless_services[0].environments[0].variables.clone();
    let key_of = |all: &[lockstep::twin::world::Variable], name: &str| {
        all.iter().find(|one| one.key == name).map(|one| one.value.clone())
    };
    for name in ["TWILIO_API_KEY", "TWILIO_API_SECRET"] {
        assert_eq!(key_of(&before, name), key_of(&after, name), "{name}");
    }
    let secret = bench.stack.env["TWILIO_FEEDBACK_SECRET"].clone();
    key(&mut bench, FEEDBACK, &secret, may);
    bench.later();
    bench.converge("corrected");
}

/// The key is good, but its account has no such service: no code would arrive.
#[test]
fn a_key_of_another_account_exposes_nothing() {
    const OTHER: &str = "AC00000000000000000000000000000099";
    let mut bench = Bench::new(options(), core_manifest());
    let secret = bench.stack.env["TWILIO_SENDER_SECRET"].clone();
    key(&mut bench, SENDER, &secret, "/twilio/verify/service/list");
    let form = [("FriendlyName", "Theirs")];
    let now_ms = bench.stack.in_process.now_ms();
    let path = "/v2/Services";
    bench.stack.twin.borrow_mut().operate_account(
        OTHER,
        "verify.twilio.com",
        Method::Post,
        path,
        &form,
        now_ms,
    );
    bench.world().keys.get_mut(SENDER).expect("there").account_sid = OTHER.into();
    let text = failed(&mut bench);
    assert!(text.contains(OTHER) && text.contains("TWILIO_API_KEY and TWILIO_API_SECRET"), "{text}");
    assert_eq!(action_writes(&bench, 0), 0);
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
}

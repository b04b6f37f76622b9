//! Tests of reads that answer nothing for a setting that was never made. This counts as an answer, without many repeats
//! and without an error.

use lockstep::engine::observe::observe;
use lockstep::model::api::Method;
use lockstep::model::call::Failed;
use lockstep::model::value::Value;
use lockstep::port::Port;
use lockstep::shell::in_process::Stop;
use lockstep::twin::{Garble, NeverSet, Rule, What, When};
use serde_json::{Value as Json, json};

use super::bed::{Bed, FULL, Remote, assert_same, edit, tenant, valid};
use super::legacy::LEGACY;

/// A reply that lost its body.
const NO_BODY: What = What::Garbled { after_effect: false, how: Garble::Empty };

const SILENT: [NeverSet; 3] = [NeverSet::NoBody, NeverSet::NoContent, NeverSet::EmptyObject];

/// The reads that may answer nothing: path, address, field, and the value that the tenant then has.
fn rows() -> Vec<(&'static str, &'static str, &'static str, Json)> {
    let text = "{{code}} is your verification code for {{tenant.friendly_name}}";
    vec![
        (
            "/api/v2/guardian/factors/phone/templates",
            "phone_legacy_templates",
            "verification_message",
            json!(text),
        ),
        (
            "/api/v2/guardian/factors/phone/selected-provider",
            "phone_selected_provider",
            "provider",
            json!("auth0"),
        ),
        ("/api/v2/guardian/factors/phone/message-types", "phone_message_types", "message_types", json!([])),
        (
            "/api/v2/attack-protection/phone-provider-protection",
            "phone_provider_protection",
            "type",
            json!("default"),
        ),
        ("/api/v2/branding", "branding", "colors.primary", Json::Null),
    ]
}

/// The legacy manifest with the settings around it that the unified manifest also has.
fn bed(never_set: NeverSet) -> Bed {
    let edits = [
        edit("phone.protection", json!("exponential")),
        edit("branding", json!({ "colors": { "primary": "#112233" } })),
    ];
    let bed = Bed::new(valid(LEGACY, &edits));
    bed.with_twin(|twin| {
        twin.options.never_set_reads = never_set;
        tenant(twin).branding.clear();
    });
    bed
}

#[test]
fn a_read_that_says_nothing_is_an_answer() {
    for never_set in SILENT {
        let mut bed = bed(never_set);
        let started_ms = bed.stack.in_process.now_ms();
        let observation = bed.observe();
        let took_ms = bed.stack.in_process.now_ms() - started_ms;
        assert!(took_ms < 5_000, "{never_set:?}: {took_ms} ms");
        assert_eq!(observation.plan.blockers().count(), 0, "{never_set:?}");
        for (path, address, field, value) in rows() {
            let seen = &observation.seen[address];
            assert_eq!(seen.attrs.get(field), Some(&Value::Known(value)), "{never_set:?} {address}");
            let reads = bed.stack.log_since(0).iter().filter(|entry| entry.path == path).count();
            // A 200 without its body is asked for once more; the other forms count at once.
            let at_most = if never_set == NeverSet::NoBody { 2 } else { 1 };
            assert!((1..=at_most).contains(&reads), "{never_set:?} {path}: {reads}");
        }
    }
}

#[test]
fn what_was_never_set_is_set_once_and_put_back_to_its_default() {
    for never_set in SILENT {
        let mut bed = bed(never_set);
        let former = bed.plain(Remote::Ids);
        bed.applied();
        assert!(bed.observe().plan.is_empty(), "{never_set:?}");
        bed.destroyed();
        assert_same(&former, &bed.plain(Remote::Ids), &format!("{never_set:?}"));
    }
}

/// One body that was lost on its way is not mistaken for a setting that was never made.
#[test]
fn one_lost_body_is_no_answer() {
    for (path, address, field, value) in rows() {
        let mut bed = bed(NeverSet::Shown);
        bed.applied();
        bed.with_twin(|twin| {
            twin.faults.rules.push(Rule::once(When::first(Method::Get, path), NO_BODY));
        });
        let observation = bed.observe();
        assert!(observation.plan.is_empty(), "{path}");
        assert_ne!(observation.seen[address].attrs.get(field), Some(&Value::Known(value)), "{path}");
    }
}

/// An earlier answer, such as a rate limit or a server error, says nothing about the setting: only a second empty body
/// does.
#[test]
fn one_lost_body_after_another_answer_is_no_answer() {
    let limited = What::RateLimited { retry_after_s: None };
    let broken = What::ServerError { status: 503, after_effect: false };
    for (path, address, ..) in rows() {
        for former in [limited.clone(), broken.clone(), What::Unauthorized] {
            let mut bed = bed(NeverSet::Shown);
            bed.applied();
            let applied = bed.observe().seen[address].attrs.clone();
            bed.with_twin(|twin| {
                for what in [former.clone(), NO_BODY] {
                    twin.faults.rules.push(Rule::once(When::first(Method::Get, path), what));
                }
            });
            let observation = bed.observe();
            assert!(observation.plan.is_empty(), "{path} after {}", former.name());
            assert_eq!(observation.seen[address].attrs, applied, "{path} after {}", former.name());
        }
    }
}

/// If all earlier attempts were limited, an empty body of the last attempt ends the plan.
#[test]
fn a_lost_body_of_the_last_attempt_is_no_answer() {
    for (path, ..) in rows() {
        let mut bed = bed(NeverSet::Shown);
        bed.applied();
        bed.with_twin(|twin| {
            let limited =
                Rule::once(When::first(Method::Get, path), What::RateLimited { retry_after_s: None });
            twin.faults.rules.push(Rule { times: 7, ..limited });
            twin.faults.rules.push(Rule::once(When::first(Method::Get, path), NO_BODY));
        });
        let session = bed.session(false);
        let task = |port: Port| async move { observe(&session, &port.reader()).await };
        let seen = bed.stack.process(Stop::default(), task).expect("not killed");
        assert!(matches!(seen, Err(Failed::Misread(_))), "{path}: {:?}", seen.err());
    }
}

/// The list, the policy and the factors always have content. Without it the plan stops, whatever the option says.
#[test]
fn reads_that_always_have_content_are_no_answer_without_it() {
    for path in [
        "/api/v2/guardian/factors",
        "/api/v2/guardian/policies",
        "/api/v2/branding/phone/providers",
        "/api/v2/log-streams",
        "/api/v2/tenants/settings",
        "/api/v2/prompts",
    ] {
        let mut bed = Bed::new(valid(FULL, &[]));
        bed.with_twin(|twin| {
            let rule = Rule::once(When::first(Method::Get, path), NO_BODY);
            twin.faults.rules.push(Rule { times: u32::MAX, ..rule });
        });
        let session = bed.session(false);
        let task = |port: Port| async move { observe(&session, &port.reader()).await };
        let seen = bed.stack.process(Stop::default(), task).expect("not killed");
        assert!(matches!(seen, Err(Failed::Misread(_))), "{path}: {:?}", seen.err());
    }
}

//! Tests of the main use on the twin: the requests of an apply, a second apply that sends nothing, and plans that
//! repeat byte for byte.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lockstep::engine::apply::Ended;
use lockstep::model::plan::Plan;
use lockstep::twin::LogEntry;

use crate::support::Stack;

/// One line for each request, with ids replaced and queries left out.
fn lines(log: &[LogEntry]) -> String {
    let mut out = String::new();
    for entry in log {
        let path = entry.path.split('?').next().unwrap_or_default();
        let path: Vec<&str> = path.split('/').map(|part| if is_id(part) { "{id}" } else { part }).collect();
        let host = if entry.host.ends_with("twilio.com") { entry.host.as_str() } else { "auth0" };
        let _ = writeln!(out, "{host} {} {}", entry.method, path.join("/"));
    }
    out
}

fn is_id(part: &str) -> bool {
    (part.len() == 34 && part[2..].bytes().all(|byte| byte.is_ascii_hexdigit()))
        || part.starts_with("lst_")
        || (part.len() == 36 && part.matches('-').count() == 4)
}

/// Number of sequential round trips of a run: virtual time divided by the latency of one request.
fn depth(log: &[LogEntry], latency_ms: u64) -> u64 {
    let first = log.first().map_or(0, |entry| entry.at_ms);
    let last = log.iter().map(|entry| entry.done_ms).max().unwrap_or(first);
    (last - first).div_ceil(latency_ms)
}

#[test]
fn the_first_apply_sends_these_requests() {
    let mut stack = Stack::core();
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    assert_eq!(stack.applied().ended, Ended::Done);
    let log = stack.log_since(0);
    insta::assert_snapshot!(lines(&log), @r"
    auth0 POST /oauth/token
    auth0 GET /api/v2/actions/actions
    auth0 GET /api/v2/actions/triggers/custom-phone-provider/bindings
    auth0 GET /api/v2/branding/phone/providers
    auth0 GET /api/v2/guardian/factors
    auth0 GET /api/v2/guardian/factors/phone/message-types
    auth0 GET /api/v2/guardian/policies
    auth0 GET /api/v2/log-streams
    auth0 GET /api/v2/tenants/settings
    verify.twilio.com GET /v2/Services
    auth0 GET /api/v2/prompts
    serverless.twilio.com POST /v1/Services
    auth0 GET /api/v2/actions/actions
    auth0 POST /api/v2/actions/actions
    verify.twilio.com POST /v2/Services
    verify.twilio.com GET /v2/Services
    auth0 POST /api/v2/actions/actions
    auth0 POST /api/v2/log-streams
    auth0 GET /api/v2/actions/actions/{id}
    auth0 GET /api/v2/actions/actions/{id}
    auth0 GET /api/v2/actions/actions/{id}
    verify.twilio.com GET /v2/Services/{id}
    verify.twilio.com GET /v2/Services
    auth0 POST /api/v2/actions/actions/{id}/deploy
    auth0 GET /api/v2/actions/actions/{id}
    verify.twilio.com GET /v2/Services/{id}
    auth0 GET /api/v2/actions/triggers/custom-phone-provider/bindings
    auth0 PATCH /api/v2/actions/triggers/custom-phone-provider/bindings
    verify.twilio.com GET /v2/Services/{id}
    auth0 POST /api/v2/branding/phone/providers
    auth0 PUT /api/v2/guardian/factors/otp
    auth0 GET /api/v2/actions/actions/{id}
    auth0 GET /api/v2/actions/triggers/custom-phone-provider/bindings
    verify.twilio.com GET /v2/Services/{id}
    auth0 GET /api/v2/log-streams/{id}
    auth0 GET /api/v2/branding/phone/providers
    auth0 PUT /api/v2/guardian/factors/sms
    verify.twilio.com GET /v2/Services/{id}
    auth0 PUT /api/v2/guardian/factors/phone/message-types
    auth0 GET /api/v2/guardian/factors
    verify.twilio.com GET /v2/Services/{id}
    auth0 PUT /api/v2/guardian/policies
    auth0 PATCH /api/v2/actions/actions/{id}
    serverless.twilio.com DELETE /v1/Services/{id}
    ");
    assert!(log.len() <= 44, "{} requests; the table in ARCHITECTURE.md says 44", log.len());
}

#[test]
fn a_second_apply_writes_nothing() {
    let mut stack = Stack::core();
    stack.applied();
    let (mark, before) = (stack.mark(), stack.world());
    let second = stack.applied();
    assert!(second.done.is_empty(), "{second:?}");
    let log = stack.log_since(mark);
    let writes: Vec<_> = log.iter().filter(|entry| entry.wrote).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(log.iter().all(|entry| entry.host != "serverless.twilio.com"), "a lease was taken for nothing");
    assert_eq!(stack.world(), before, "the world moved");
}

#[test]
fn a_plan_without_changes_is_cheap() {
    let mut stack = Stack::core();
    stack.applied();
    let mark = stack.mark();
    let plan = stack.observe().plan;
    assert!(plan.is_empty(), "{:?}", plan.steps);
    let log = stack.log_since(mark);
    assert!(log.len() <= 10, "{} requests:\n{}", log.len(), lines(&log));
    let latency_ms = stack.twin.borrow().options.latency_ms;
    assert!(depth(&log, latency_ms) <= 3, "{} trips:\n{}", depth(&log, latency_ms), lines(&log));
    let distinct: BTreeSet<&str> = log.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(distinct.len(), log.len(), "an equal read was sent twice");
}

#[test]
fn the_function_makes_a_plan_dearer_by_six_reads_and_no_trip() {
    let mut stack = Stack::new(crate::support::options(), crate::support::function_manifest());
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    assert_eq!(stack.applied().ended, Ended::Done);
    let first = stack.mark();
    assert!(first <= 60, "{first} requests; ARCHITECTURE.md says 60:\n{}", lines(&stack.log_since(0)));
    let plan = stack.observe().plan;
    assert!(plan.is_empty(), "{:?}", plan.steps);
    let log = stack.log_since(first);
    assert!(log.len() <= 16, "{} requests:\n{}", log.len(), lines(&log));
    let latency_ms = stack.twin.borrow().options.latency_ms;
    assert!(depth(&log, latency_ms) <= 3, "{} trips:\n{}", depth(&log, latency_ms), lines(&log));
    let distinct: BTreeSet<String> =
        log.iter().map(|entry| format!("{}{}", entry.host, entry.path)).collect();
    assert_eq!(distinct.len(), log.len(), "an equal read was sent twice");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let bytes = |plan: &Plan| serde_json::to_string(plan).expect("a plan is plain data");
    let (mut one, mut two) = (Stack::core(), Stack::core());
    assert_eq!(bytes(&one.observe().plan), bytes(&two.observe().plan));
    one.applied();
    two.applied();
    assert_eq!(bytes(&one.observe().plan), bytes(&two.observe().plan));
    let plan = one.observe().plan;
    let back: Plan = serde_json::from_str(&bytes(&plan)).expect("its own form");
    assert_eq!(back, plan, "a plan survives a round trip");
}

/// Plans as a build of November 2026 saved them: a first apply, a destroy, and a destroy that puts a former version
/// back.
#[test]
fn a_plan_that_was_saved_is_read_and_written_as_it_was() {
    for text in [
        include_str!("plans/apply.json"),
        include_str!("plans/destroy.json"),
        include_str!("plans/destroy-former.json"),
    ] {
        let plan: Plan = serde_json::from_str(text).expect("a plan");
        assert!(plan.steps.iter().any(|step| step.effects.iter().len() > 1), "{}", plan.stack);
        assert_eq!(serde_json::to_string_pretty(&plan).expect("plain data") + "\n", text);
    }
}

//! Tests of `doctor`: its requests, and each finding once provoked and once gone.

use lockstep::engine::doctor::examine;
use lockstep::model::checkup::{Checkup, Converts};
use lockstep::model::codes::{self, Code};
use lockstep::model::plan::{Finding, Level, Purpose};
use lockstep::shell::in_process::Stop;
use lockstep::twin::LogEntry;
use serde_json::{Value as Json, json};

use crate::support::{ACCOUNT, DOMAIN, Stack, core_manifest, env, function_manifest, options};

const ADMIN: &str = "SK00000000000000000000000000000001";
const SENDER: &str = "SK000000000000000000000000000000ab";
const FEEDBACK: &str = "SK000000000000000000000000000000cd";
const DAY_MS: u64 = 24 * 60 * 60_000;

fn examined(stack: &mut Stack) -> Checkup {
    stack.purpose = Purpose::Show;
    let session = stack.session(false);
    let looked =
        stack.process(Stop::default(), |port| async move { examine(&session, 50, &port.reader()).await });
    stack.purpose = Purpose::Apply;
    looked.expect("not killed").unwrap_or_else(|failed| panic!("{failed}"))
}

/// The stack with the Function, applied more than a day ago, with keys of the kinds that the quickstart asks for.
fn old() -> Stack {
    let mut stack = Stack::new(options(), function_manifest());
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    key(&stack, SENDER, "restricted", &["/twilio/verify/verification/create"]);
    key(&stack, FEEDBACK, "restricted", &["/twilio/verify/verification/update"]);
    stack.applied();
    stack.in_process.advance_ms(DAY_MS + 60_000);
    stack
}

/// Changes the twin's file.
fn change(stack: &Stack, change: impl FnOnce(&mut Json)) {
    let mut twin = stack.twin.borrow_mut();
    let mut file = twin.to_json();
    change(&mut file);
    *twin = lockstep::twin::Twin::from_json(file).unwrap_or_else(|why| panic!("{why}"));
}

fn tenant(file: &mut Json) -> &mut Json {
    &mut file["world"]["tenants"][DOMAIN]
}

fn account(file: &mut Json) -> &mut Json {
    &mut file["world"]["accounts"][ACCOUNT]
}

fn key(stack: &Stack, sid: &str, kind: &str, allow: &[&str]) {
    change(stack, |file| {
        file["world"]["keys"][sid] = json!({ "account_sid": ACCOUNT, "secret": null, "kind": kind, "allow": allow,
            "friendly_name": kind, "created_at_ms": 0, "updated_at_ms": 0, "deleted": false });
    });
}

/// Sends of the last hour, each to a number of its own; the first ones are completed.
fn sends(stack: &Stack, count: usize, completed: usize) {
    let at_ms = stack.in_process.now_ms() - 3_600_000;
    let one = |n: usize| {
        json!({ "sid": format!("VE{n:032x}"), "to": format!("+1500555{n:04}"), "channel": "sms",
            "status": if n < completed { "approved" } else { "pending" }, "created_at_ms": at_ms, "updated_at_ms": at_ms,
            "sends": [at_ms] })
    };
    let all: Vec<Json> = (0..count).map(one).collect();
    change(stack, |file| account(file)["verify_services"][0]["verifications"] = json!(all));
}

/// Events of the last hour in the tenant log.
fn logs(stack: &Stack, events: &[Json]) {
    let at = i64::try_from(stack.in_process.now_ms() - 3_600_000).expect("a time");
    let at =
        jiff::Timestamp::from_millisecond(at).expect("a time").strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let dated = events.iter().enumerate().map(|(n, event)| {
        let mut event = event.clone();
        (event["log_id"], event["date"]) = (json!(format!("log{n}")), json!(at));
        event
    });
    let all: Vec<Json> = dated.collect();
    change(stack, |file| tenant(file)["logs"] = json!(all));
}

fn used(number: &str) -> Json {
    json!({ "type": "gd_auth_succeed", "user_id": "auth0|a", "details": { "authenticator": { "phone_number": number } } })
}

fn of(checkup: &Checkup, code: Code) -> Option<&Finding> {
    checkup.findings.iter().find(|finding| finding.code == code)
}

#[track_caller]
fn expect(stack: &mut Stack, code: Code, level: Level, words: &str) {
    let checkup = examined(stack);
    let found = of(&checkup, code).unwrap_or_else(|| panic!("no {code}: {:#?}", checkup.findings));
    assert_eq!(found.level, level, "{found:?}");
    assert!(found.text.contains(words), "{words}: {found:?}");
    for one in &checkup.findings {
        assert!(!one.help.is_empty(), "each finding has a next move: {one:?}");
    }
}

#[track_caller]
fn gone(stack: &mut Stack, code: Code) {
    let checkup = examined(stack);
    assert!(of(&checkup, code).is_none(), "{:#?}", checkup.findings);
}

fn hosts(log: &[LogEntry]) -> Vec<String> {
    let path = |entry: &LogEntry| entry.path.split('?').next().unwrap_or_default().to_owned();
    log.iter().map(|entry| format!("{} {}{}", entry.method, entry.host, path(entry))).collect()
}

#[test]
fn a_checkup_is_a_plan_and_at_most_eight_requests_in_one_further_trip() {
    for text in [core_manifest(), function_manifest()] {
        let mut stack = Stack::new(options(), text);
        stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
        key(&stack, ADMIN, "main", &[]);
        stack.applied();
        let before = stack.world();
        let mark = stack.mark();
        assert!(stack.observe().plan.is_empty());
        let plan = stack.log_since(mark);
        let mark = stack.mark();
        examined(&mut stack);
        let log = stack.log_since(mark);
        assert!(log.len() <= plan.len() + 8, "{} and {}:\n{:#?}", plan.len(), log.len(), hosts(&log));
        assert!(log.len() > plan.len() + 5, "it asks for more than a plan: {:#?}", hosts(&log));
        let depth = |log: &[LogEntry]| {
            let (first, last) =
                (log.first().map_or(0, |one| one.at_ms), log.iter().map(|one| one.done_ms).max());
            (last.unwrap_or(first) - first).div_ceil(stack.twin.borrow().options.latency_ms)
        };
        assert!(depth(&log) <= depth(&plan) + 1, "{} and {} trips", depth(&plan), depth(&log));
        assert!(log.iter().all(|entry| !entry.wrote), "{:#?}", hosts(&log));
        assert_eq!(stack.world(), before, "the world moved");
    }
}

/// Also with everything refused that can be refused, and with more credentials than requests.
#[test]
fn no_refusal_makes_it_ask_more() {
    let mut stack = old();
    let plan = {
        let mark = stack.mark();
        stack.observe();
        stack.log_since(mark).len()
    };
    change(&stack, |file| {
        file["world"]["keys"][SENDER]["deleted"] = json!(true);
        file["world"]["keys"][FEEDBACK]["deleted"] = json!(true);
    });
    let mark = stack.mark();
    let checkup = examined(&mut stack);
    let count = stack.log_since(mark).len();
    assert!(count <= plan + 8, "{count} and {plan}");
    let dead = checkup.findings.iter().filter(|one| one.code == codes::CREDENTIALS_DEAD).count();
    assert_eq!(dead, 2, "{:#?}", checkup.findings);
}

#[test]
fn a_healthy_stack_has_notes_only() {
    let mut stack = old();
    sends(&stack, 30, 25);
    logs(&stack, &[used("+15005550006"), used("+15005550007")]);
    let checkup = examined(&mut stack);
    assert!(checkup.findings.iter().all(|one| one.level == Level::Note), "{:#?}", checkup.findings);
    let conversion = checkup.conversion.expect("a share");
    assert_eq!((conversion.attempts, conversion.converted, conversion.verdict), (30, 25, Converts::Well));
    assert_eq!(checkup.feedback.expect("events").reported, 2);
    assert_eq!(checkup.stream.expect("a stream").status, "active");
    let kinds: Vec<&str> = checkup.credentials.iter().map(|one| one.kind.words()).collect();
    assert_eq!(kinds, ["client secret", "standard key", "restricted key", "restricted key"]);
    let limit = |what: &str| checkup.limits.iter().find(|limit| limit.what == what).expect(what);
    assert_eq!((limit("Actions").used, limit("Actions").most), (Some(2), Some(100)));
    assert_eq!(limit("Actions on custom-phone-provider").used, Some(1));
    assert_eq!((limit("log streams").used, limit("Verify services").used), (Some(1), Some(1)));
    assert_eq!(limit("API keys").used, None, "a standard key may not list keys");
}

#[test]
fn nineteen_attempts_are_too_few_and_twenty_speak() {
    let mut stack = old();
    sends(&stack, 19, 0);
    expect(&mut stack, codes::CONVERSION_UNKNOWN, Level::Note, "too few to tell: 0 of 19");
    gone(&mut stack, codes::NONE_CONVERTED);
    sends(&stack, 20, 0);
    expect(&mut stack, codes::NONE_CONVERTED, Level::Blocker, "0 of 20 verifications");
    gone(&mut stack, codes::CONVERSION_UNKNOWN);
    sends(&stack, 20, 9);
    expect(
        &mut stack,
        codes::FEW_CONVERTED,
        Level::Warning,
        "9 of 20 verifications of the last 24 hours were completed (45%)",
    );
    gone(&mut stack, codes::NONE_CONVERTED);
    sends(&stack, 20, 10);
    for code in [codes::FEW_CONVERTED, codes::NONE_CONVERTED, codes::CONVERSION_UNKNOWN] {
        gone(&mut stack, code);
    }
    // The day before does not count.
    sends(&stack, 20, 0);
    stack.in_process.advance_ms(DAY_MS);
    expect(&mut stack, codes::CONVERSION_UNKNOWN, Level::Note, "no verification was begun");
}

#[test]
fn a_young_stream_is_not_blamed() {
    let mut stack = Stack::new(options(), function_manifest());
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    stack.applied();
    stack.in_process.advance_ms(3_700_000);
    sends(&stack, 25, 0);
    expect(&mut stack, codes::CONVERSION_UNKNOWN, Level::Note, "too early to tell");
    gone(&mut stack, codes::NONE_CONVERTED);
    // Another part is applied a day later: the stream is older all the same.
    stack.in_process.advance_ms(DAY_MS);
    stack.text = stack.text.replace("code_length: 6", "code_length: 7");
    stack.applied();
    stack.in_process.advance_ms(3_700_000);
    sends(&stack, 25, 0);
    expect(&mut stack, codes::NONE_CONVERTED, Level::Blocker, "0 of 25");
    // Without a record nobody knows.
    change(&stack, |file| {
        let actions = tenant(file)["actions"].as_array_mut().expect("Actions");
        actions.retain(|action| {
            !action["name"].as_str().is_some_and(|name| name.starts_with("Lockstep ledger"))
        });
    });
    expect(&mut stack, codes::NONE_CONVERTED, Level::Warning, "the record does not say");
}

#[test]
fn logins_without_feedback_are_counted_and_named_without_a_number() {
    let mut stack = old();
    logs(&stack, &[used("+15005550006"), used("XXXXXXX0007"), used("+1500*****08"), used("15005550009")]);
    let checkup = examined(&mut stack);
    let found = of(&checkup, codes::NUMBERS_MASKED).expect("masked numbers");
    assert!(found.text.starts_with("3 logins of the last 24 hours got no feedback"), "{found:?}");
    assert!(found.text.contains("masked (2) or in a form that Verify does not know (1)"), "{found:?}");
    assert!(!format!("{checkup:?}").contains("500555"), "no number is told");
    let by_code =
        json!({ "type": "s", "connection": "sms", "user_name": "+15005550006", "user_id": "sms|a" });
    let by_api = json!({ "type": "seoobft", "user_id": "auth0|b" });
    logs(&stack, &[used("+15005550006"), by_code.clone(), by_code, by_api]);
    let checkup = examined(&mut stack);
    let texts: Vec<&str> = checkup
        .findings
        .iter()
        .filter(|one| one.code == codes::EVENTS_LEFT_OUT)
        .map(|one| one.text.as_str())
        .collect();
    assert_eq!(texts.len(), 2, "{:#?}", checkup.findings);
    assert!(texts[0].starts_with("2 logins ") && texts[0].ends_with("2 of s"), "{texts:?}");
    assert!(
        texts[1].starts_with("1 login ")
            && texts[1].ends_with("the Function does not take the event: 1 of seoobft"),
        "{texts:?}"
    );
    logs(&stack, &[used("+15005550006")]);
    gone(&mut stack, codes::NUMBERS_MASKED);
    gone(&mut stack, codes::EVENTS_LEFT_OUT);
    // More than one page: the count says so.
    logs(&stack, &vec![used("XXXXXXX0007"); 130]);
    expect(&mut stack, codes::NUMBERS_MASKED, Level::Warning, "at least 100 logins");
}

#[test]
fn what_the_stream_does_is_told() {
    let mut stack = old();
    let stream = |stack: &Stack, key: &str, value: Json| {
        change(stack, |file| tenant(file)["log_streams"][0][key] = value);
    };
    stream(&stack, "status", json!("paused"));
    expect(&mut stack, codes::STREAM_STOPPED, Level::Blocker, "the log stream is paused");
    stream(&stack, "status", json!("suspended"));
    expect(&mut stack, codes::STREAM_SUSPENDED, Level::Blocker, "suspended the stream");
    gone(&mut stack, codes::STREAM_STOPPED);
    stream(&stack, "status", json!("active"));
    gone(&mut stack, codes::STREAM_SUSPENDED);
    stream(&stack, "filters", json!([{ "type": "category", "name": "auth.login.success" }]));
    expect(&mut stack, codes::STREAM_SAYS_TOO_LITTLE, Level::Blocker, "other, user.notification");
    stream(&stack, "filters", json!([]));
    gone(&mut stack, codes::STREAM_SAYS_TOO_LITTLE);
}

#[test]
fn kinds_of_credentials() {
    let mut stack = old();
    let kind = |checkup: &Checkup, id: &str| {
        let one = checkup.credentials.iter().find(|one| one.id.as_deref() == Some(id)).expect("a credential");
        (one.kind.words(), format!("{:?}", one.known))
    };
    assert_eq!(kind(&examined(&mut stack), ADMIN), ("standard key", "Inferred".into()));
    key(&stack, ADMIN, "main", &[]);
    let checkup = examined(&mut stack);
    assert_eq!(kind(&checkup, ADMIN), ("main key", "Shown".into()));
    assert!(checkup.limits.iter().any(|limit| limit.what == "API keys" && limit.used == Some(3)));
    key(&stack, ADMIN, "restricted", &["/twilio/verify/*"]);
    let checkup = examined(&mut stack);
    assert_eq!(kind(&checkup, ADMIN), ("restricted key", "Inferred".into()));
    let unread = of(&checkup, codes::NO_SERVERLESS).expect("the Function cannot be read");
    assert_eq!(unread.level, Level::NotRead, "{unread:?}");
    key(&stack, ADMIN, "standard", &[]);
    gone(&mut stack, codes::NO_SERVERLESS);
    // The Action has a key that may do more than it needs.
    key(&stack, SENDER, "standard", &[]);
    expect(&mut stack, codes::WIDE_CREDENTIALS, Level::Note, "may read Verify services");
    key(&stack, SENDER, "restricted", &["/twilio/verify/verification/create"]);
    gone(&mut stack, codes::WIDE_CREDENTIALS);
    stack.env.insert("TWILIO_SENDER_KEY".into(), env()["TWILIO_API_KEY"].clone());
    stack.env.insert("TWILIO_SENDER_SECRET".into(), env()["TWILIO_API_SECRET"].clone());
    expect(&mut stack, codes::WIDE_CREDENTIALS, Level::Note, "the credentials of this program itself");
}

#[test]
fn a_trial_account_is_told() {
    let mut stack = old();
    key(&stack, ADMIN, "main", &[]);
    gone(&mut stack, codes::TRIAL_ACCOUNT);
    change(&stack, |file| account(file)["trial"] = json!(true));
    expect(&mut stack, codes::TRIAL_ACCOUNT, Level::Warning, "is a trial account");
}

/// Feedback by a post-login Action needs no stream, and is judged by what Verify has completed, like that of a stream.
#[test]
fn feedback_by_an_action_alone_is_a_way_of_its_own() {
    let core = core_manifest();
    let (start, rest) = core.split_once("\nfeedback:\n").expect("a section");
    let (_, rest) = rest.split_once("\n\n").expect("what follows");
    let rules = "mfa:\n  post_login:\n    rules:\n      admins: { roles: [Admin], factors: [phone] }\n";
    let reports = "feedback:\n  action: { api_key: \"${env.TWILIO_FEEDBACK_KEY}\", api_secret: \"${env.TWILIO_FEEDBACK_SECRET}\" }\n";
    let rest = rest.replace("policy: always", "policy: never").replace("mfa:\n", rules);
    let mut stack = Stack::new(options(), format!("{start}\n\n{rest}\n{reports}"));
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    key(&stack, SENDER, "restricted", &["/twilio/verify/verification/create"]);
    key(&stack, FEEDBACK, "restricted", &["/twilio/verify/verification/update"]);
    stack.applied();
    sends(&stack, 20, 0);
    expect(&mut stack, codes::CONVERSION_UNKNOWN, Level::Note, "the Action of feedback.action is younger");
    stack.in_process.advance_ms(DAY_MS + 60_000);
    sends(&stack, 20, 0);
    expect(&mut stack, codes::NONE_CONVERTED, Level::Blocker, "Verify hears of no login");
    let checkup = examined(&mut stack);
    let found = of(&checkup, codes::NONE_CONVERTED).expect("told");
    assert_eq!(found.address, "feedback_action");
    assert!(found.help.contains("feedback.action") && found.help.contains("mfa.post_login"), "{found:?}");
    assert!(checkup.running.iter().any(|runs| runs.address == "feedback_action"), "{:?}", checkup.running);
    assert!(checkup.stream.is_none() && checkup.feedback.is_none(), "no stream is asked for");
    sends(&stack, 20, 12);
    gone(&mut stack, codes::NONE_CONVERTED);
    gone(&mut stack, codes::FEW_CONVERTED);
    // Its key is tried like those of the others.
    change(&stack, |file| file["world"]["keys"][FEEDBACK]["deleted"] = json!(true));
    expect(&mut stack, codes::CREDENTIALS_DEAD, Level::Blocker, "feedback.action");
}

#[test]
fn dead_credentials_are_one_error_each_and_the_rest_is_read() {
    let mut stack = old();
    key(&stack, ADMIN, "standard", &[]);
    change(&stack, |file| file["world"]["keys"][ADMIN]["deleted"] = json!(true));
    let checkup = examined(&mut stack);
    let dead: Vec<&Finding> = checkup.findings.iter().filter(|one| one.code == codes::KEY_REFUSED).collect();
    assert_eq!(dead.len(), 1, "{:#?}", checkup.findings);
    assert_eq!((dead[0].level, &*dead[0].address.to_string()), (Level::Blocker, "twilio.api_key"));
    assert!(dead[0].text.starts_with("the plan, "), "{dead:?}");
    assert!(checkup.feedback.is_some(), "Auth0 was read");
    change(&stack, |file| file["world"]["keys"][ADMIN]["deleted"] = json!(false));
    gone(&mut stack, codes::KEY_REFUSED);
    change(&stack, |file| account(file)["status"] = json!("suspended"));
    expect(&mut stack, codes::ACCOUNT_SUSPENDED, Level::Blocker, "");
    change(&stack, |file| account(file)["status"] = json!("active"));
    gone(&mut stack, codes::ACCOUNT_SUSPENDED);
    stack.env.insert("AUTH0_CLIENT_SECRET".into(), "another-one-6c11d8".into());
    change(&stack, |file| {
        tenant(file)["credentials"] = json!([{ "client_id": "client-id-of-the-tests", "client_secret": "Auth0-Client-Secret-7f1c9b", "scopes": ["read:actions"] }]);
    });
    expect(&mut stack, codes::CLIENT_REFUSED, Level::Blocker, "the plan, the tenant log could not be read");
}

#[test]
fn scopes_that_are_missing_are_told_by_what_needs_them() {
    let mut stack = old();
    let all = examined(&mut stack).scopes;
    assert!(
        all.plan.contains(&"read:logs".to_owned()) && all.plan.contains(&"read:actions".to_owned()),
        "{all:?}"
    );
    assert!(all.apply.contains(&"create:log_streams".to_owned()), "{all:?}");
    let grant = |stack: &Stack, scopes: Vec<String>| {
        change(stack, |file| {
            file["options"]["scopes"] = json!(scopes);
            tenant(file)["tokens"] = json!([]);
        });
    };
    grant(&stack, all.plan.clone());
    let checkup = examined(&mut stack);
    let note = of(&checkup, codes::SCOPES_MISSING).expect("a note");
    assert_eq!(note.level, Level::Note, "{note:?}");
    assert!(note.text.contains("update:actions") && !note.text.contains("read:"), "{note:?}");
    let without = |scope: &str| -> Vec<String> {
        all.plan.iter().chain(&all.apply).filter(|one| *one != scope).cloned().collect()
    };
    grant(&stack, without("read:logs"));
    expect(&mut stack, codes::SCOPES_MISSING, Level::NotRead, "read:logs");
    grant(&stack, without("read:log_streams"));
    let checkup = examined(&mut stack);
    assert!(
        checkup.findings.iter().any(|one| one.code == codes::SCOPE_REFUSED && one.level == Level::NotRead),
        "{:#?}",
        checkup.findings
    );
    grant(&stack, without(""));
    gone(&mut stack, codes::SCOPES_MISSING);
    gone(&mut stack, codes::SCOPE_REFUSED);
}

#[test]
fn an_entitlement_that_is_missing_is_no_missing_scope() {
    let mut stack = old();
    change(&stack, |file| tenant(file)["actions_disabled"] = json!(true));
    let checkup = examined(&mut stack);
    let found = of(&checkup, codes::PLAN_LIMIT).unwrap_or_else(|| panic!("{:#?}", checkup.findings));
    assert_eq!(found.level, Level::NotRead);
    assert!(found.help.contains("plan"), "{found:?}");
    change(&stack, |file| tenant(file)["actions_disabled"] = json!(false));
    gone(&mut stack, codes::PLAN_LIMIT);
    // Custom codes, which Twilio has to allow.
    change(&stack, |file| {
        account(file)["verify_services"][0]["settings"]["custom_code_enabled"] = json!(false)
    });
    expect(&mut stack, codes::CANNOT_SEND, Level::Blocker, "custom codes off");
    change(&stack, |file| {
        account(file)["verify_services"][0]["settings"]["custom_code_enabled"] = json!(true)
    });
    gone(&mut stack, codes::CANNOT_SEND);
}

#[test]
fn what_is_near_its_limit_is_told() {
    let mut stack = old();
    let others = |count: usize| {
        move |file: &mut Json| {
            let mine = account(file)["serverless_services"].as_array_mut().expect("services");
            mine.retain(|one| !one["unique_name"].as_str().is_some_and(|name| name.starts_with("other-")));
            let left = count - mine.len();
            mine.extend((0..left).map(|n| {
                json!({ "sid": format!("ZS{n:032x}"), "unique_name": format!("other-{n}"), "friendly_name": "Other",
                    "include_credentials": false, "ui_editable": true, "domain_base": format!("other-{n}-1234"),
                    "created_at_ms": 0, "updated_at_ms": 0, "environments": [], "functions": [], "builds": [] })
            }));
        }
    };
    change(&stack, others(44));
    gone(&mut stack, codes::NEAR_LIMIT);
    change(&stack, others(45));
    expect(&mut stack, codes::NEAR_LIMIT, Level::Warning, "Serverless services: 45 of at most 50");
}

#[test]
fn builds_and_runtimes_are_told() {
    let text = function_manifest();
    assert_eq!(text.matches("  runtime: node22\n").count(), 1);
    let mut stack = old();
    gone(&mut stack, codes::RUNTIME_ENDED);
    stack.text = text.replace("  runtime: node22\n", "  runtime: node18\n");
    stack.applied();
    expect(&mut stack, codes::RUNTIME_ENDED, Level::Warning, "it runs on node18");
    stack.text = text;
    stack.applied();
    gone(&mut stack, codes::RUNTIME_ENDED);
    let build = |stack: &Stack, failed: bool| {
        change(stack, |file| {
            let actions = tenant(file)["actions"].as_array_mut().expect("Actions");
            let ours = actions
                .iter_mut()
                .find(|one| !one["name"].as_str().is_some_and(|name| name.starts_with("Lockstep ledger")));
            let ours = ours.expect("the Action");
            ours["build"]["fails"] = json!(failed);
        });
    };
    build(&stack, true);
    expect(&mut stack, codes::BUILD_FAILED, Level::Warning, "the last build of the Action failed");
    build(&stack, false);
    gone(&mut stack, codes::BUILD_FAILED);
}

#[test]
fn attestations_that_end_soon_or_are_over_are_warnings() {
    let mut stack = old();
    let attest = |until: &str| {
        format!(
            "{}\nattest:\n  \
             fraud_guard: {{ level: standard, by: jo@acme.example, on: 2026-01-01, until: {until} }}\n  \
             geo_permissions: {{ countries: [AT], by: jo@acme.example, on: 2026-01-01, until: 2030-01-01 }}\n  \
             channels: {{ enabled: [sms, voice], by: jo@acme.example, on: 2026-01-01, until: 2030-01-01 }}\n",
            function_manifest()
        )
    };
    expect(&mut stack, codes::NOT_ATTESTED, Level::Note, "there is no attestation");
    stack.text = attest("2026-11-30");
    gone(&mut stack, codes::NOT_ATTESTED);
    expect(&mut stack, codes::ENDS_SOON, Level::Warning, "it ends in");
    stack.text = attest("2026-11-19");
    expect(&mut stack, codes::EXPIRED, Level::Warning, "it has expired");
    stack.text = attest("2029-11-19");
    gone(&mut stack, codes::ENDS_SOON);
    gone(&mut stack, codes::EXPIRED);
}

#[test]
fn a_manifest_that_is_not_applied_is_told() {
    let mut stack = Stack::new(options(), function_manifest());
    expect(&mut stack, codes::NOT_APPLIED, Level::Note, "an apply would take");
    stack.lease_ttl_ms = lockstep::engine::lease::TTL_MS;
    stack.applied();
    gone(&mut stack, codes::NOT_APPLIED);
}

/// Each of the further reads fails once, in each way: it is named and not taken for a good sign.
#[test]
fn a_part_that_cannot_be_read_is_named() {
    let parts = [
        ("GET verify.twilio.com/v2/Services?PageSize=100", "the list of Verify services"),
        ("GET serverless.twilio.com/v1/Services?PageSize=100", "the list of Serverless services"),
        ("GET verify.twilio.com/v2/Attempts/Summary", "the summary of verifications"),
        ("GET /api/v2/logs", "the tenant log"),
        ("GET api.twilio.com/2010-04-01/Accounts", "the account"),
        ("GET iam.twilio.com/v1/Keys", "the list of API keys"),
    ];
    for (requests, part) in parts {
        for fault in ["403", "html", "shape", "empty"] {
            let mut stack = old();
            key(&stack, ADMIN, "main", &[]);
            let rule = lockstep::twin::fault_grammar::parse(&format!("{requests}: {fault}, always"));
            stack.twin.borrow_mut().faults.rules.push(rule.unwrap_or_else(|error| panic!("{}", error.what)));
            let checkup = examined(&mut stack);
            let told: Vec<&Finding> = checkup
                .findings
                .iter()
                .filter(|one| one.level == Level::NotRead && one.text.contains("could not be"))
                .collect();
            if part == "the account" && fault == "403" {
                // Without the account the key looks like a standard one.
                continue;
            }
            assert!(!told.is_empty(), "{part}, {fault}: {:#?}", checkup.findings);
        }
    }
}

//! Tests of tenants and accounts that answer differently: every question that the vendors' documents leave open, with
//! either answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lockstep::engine::apply::Ended;
use lockstep::model::api::{Answer, Method};
use lockstep::model::plan::Level;
use lockstep::twin::fault_grammar::parse;
use lockstep::twin::options::{BindingRule, SecretWithoutValue, WithoutAction};
use lockstep::twin::{ALL_SCOPES, Flag, Options, Rate, Twin};
use serde_json::json;

use super::bench::{ACTION, Bench, all, crowd, shown};
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options};

fn with(options: Options) -> Bench {
    let bench = Bench::new(options, core_manifest());
    crowd(&mut bench.world());
    bench
}

/// With either answer to every question, a first apply, a second one, a change and a destroy work.
#[test]
fn either_answer_will_do() {
    let base = options;
    let cases: Vec<(&str, Options)> = vec![
        ("binding refused", Options { custom_phone_binding: BindingRule::Refused4xx, ..base() }),
        ("flag absent", Options { unified_flag: Flag::Absent, ..base() }),
        ("flag off", Options { unified_flag: Flag::Off, ..base() }),
        ("latest stays", Options { latest_reads_back_resolved: false, ..base() }),
        ("time stays", Options { unchanged_secret_moves_time: false, ..base() }),
        ("unique names", Options { action_names_unique: true, ..base() }),
        ("old secret kept", Options { secret_name_without_value: SecretWithoutValue::KeepOld, ..base() }),
        ("no null credentials", Options { phone_provider_list_shows_credentials_null: false, ..base() }),
        ("patch needs no action", Options { custom_provider_patch_needs_action: false, ..base() }),
        ("provider must cover", Options { provider_must_cover_message_types: true, ..base() }),
        ("filters kept", Options { omitted_filters_kept: true, ..base() }),
        (
            "error code",
            Options { unified_error_code: Some("x".into()), unified_flag: Flag::Absent, ..base() },
        ),
        (
            "a code that means something else",
            Options {
                unified_error_code: Some("insufficient_scope".into()),
                unified_flag: Flag::AbsentOn,
                ..base()
            },
        ),
        ("flag absent and on", Options { unified_flag: Flag::AbsentOn, ..base() }),
        ("codes of conflicts", Options { conflict_error_code: Some("insufficient_scope".into()), ..base() }),
        ("another 429", Options { too_many_requests_code: None, rate: Rate::Free, ..base() }),
        (
            "provider off without an Action",
            Options { provider_without_action: WithoutAction::Disabled, ..base() },
        ),
        (
            "provider gone without an Action",
            Options { provider_without_action: WithoutAction::Removed, ..base() },
        ),
        (
            "Action stays with the provider",
            Options { provider_without_action: WithoutAction::Refuses, ..base() },
        ),
        ("binding needed", Options { custom_phone_needs_binding: true, ..base() }),
        ("Verify service goes empty", Options { verify_service_deleted_whole: false, ..base() }),
        ("lenient about limits", Options { unknown_rate_limit_refused: false, ..base() }),
        ("a taken name is 400", Options { serverless_name_taken_status: 400, ..base() }),
        ("variables twice", Options { variable_keys_unique: false, ..base() }),
        ("an upload seen before", Options { same_upload_is_new: false, ..base() }),
        ("no hint", Options { retry_after_on_429: false, rate: Rate::Free, ..base() }),
        ("no serverless", Options { serverless_allowed: false, ..base() }),
        ("no room for a lease", Options { serverless_service_limit: 0, ..base() }),
        ("one Twilio call at a time", Options { twilio_concurrency: 1, ..base() }),
        ("slow", Options { latency_ms: 4_000, ..base() }),
        ("slow deploy", Options { deploy_settle_ms: 5_000, bindable_after_ms: 6_000, ..base() }),
        ("short tokens", Options { token_lifetime_s: 90, latency_ms: 2_000, ..base() }),
        ("very short tokens", Options { token_lifetime_s: 30, ..base() }),
    ];
    all(cases, |(name, options)| {
        let mut bench = with(options);
        let former = bench.snapshot();
        bench.converge(name);
        assert_eq!(bench.versions(), 1, "{name}: versions");
        let losses = bench.losses();
        assert!(losses.is_empty(), "{name}: {losses:?}");
        bench.stack.text =
            core_manifest().replace("code_length: 6", "code_length: 7").replace("6.2.0", "6.2.1");
        bench.converge(&format!("{name}, changed"));
        assert_eq!(bench.versions(), 2, "{name}: versions after a change");
        bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), "Another-Secret-77aa".into());
        bench.converge(&format!("{name}, another secret"));
        assert_eq!(bench.versions(), 3, "{name}: versions after another secret");
        bench.losses();
        assert_eq!(bench.ended(true), Ended::Done, "{name}: destroy");
        let losses = bench.losses();
        assert!(
            !losses.iter().any(|loss| loss.contains("locked") || loss.contains("foreign")),
            "{name}: {losses:?}"
        );
        let mut now = bench.snapshot();
        // There is no way back from the unified experience, so the flag may differ.
        let flag = former.clone().tenant_mut(DOMAIN).settings.get("phone_consolidated_experience").cloned();
        match flag {
            Some(flag) => {
                now.tenant_mut(DOMAIN).settings.insert("phone_consolidated_experience".into(), flag)
            }
            None => now.tenant_mut(DOMAIN).settings.remove("phone_consolidated_experience"),
        };
        assert!(now == former, "{name}: destroy left something behind");
    });
}

#[test]
fn a_floating_dependency_is_no_drift_either_way() {
    for latest_reads_back_resolved in [true, false] {
        let mut bench = with(Options { latest_reads_back_resolved, ..options() });
        bench.stack.text = core_manifest().replace("twilio: 6.2.0", "twilio: latest");
        bench.converge(&format!("resolved: {latest_reads_back_resolved}"));
    }
}

/// The apply fails with a clear message, as often as it is tried, and makes nothing twice. Once the cause is gone, it
/// succeeds.
#[test]
fn what_cannot_work_fails_clearly_and_never_doubles() {
    type Mend = fn(&mut Options);
    let cases: Vec<(&str, Options, Mend, &str)> = vec![
        (
            "no custom codes",
            Options { custom_code_entitled: false, ..options() },
            |options| options.custom_code_entitled = true,
            "custom",
        ),
        (
            "no room for a stream",
            Options { log_stream_limit: Some(1), ..options() },
            |options| options.log_stream_limit = None,
            "log-streams",
        ),
        (
            "no room for a stream, said with 409",
            Options { log_stream_limit: Some(1), log_stream_limit_status: 409, ..options() },
            |options| options.log_stream_limit = None,
            "may not allow another log stream",
        ),
        (
            "no room for a stream, said with 400",
            Options { log_stream_limit: Some(1), log_stream_limit_status: 400, ..options() },
            |options| options.log_stream_limit = None,
            "may not allow another log stream",
        ),
        (
            "short names only",
            Options { action_name_limit: 24, ..options() },
            |options| options.action_name_limit = 255,
            "name",
        ),
        (
            "no room for a Verify service",
            Options { verify_service_limit: 1, ..options() },
            |options| options.verify_service_limit = 100,
            "21102",
        ),
    ];
    all(cases, |(name, options, mend, said)| {
        let mut bench = with(options);
        for round in 1..=3 {
            match bench.ended(false) {
                Ended::Failed(text) => assert!(text.contains(said), "{name}, round {round}: {text}"),
                other => panic!("{name}, round {round}: {other:?}"),
            }
            bench.later();
        }
        let losses = bench.losses();
        assert!(losses.is_empty(), "{name}: {losses:?}");
        mend(&mut bench.stack.twin.borrow_mut().options);
        if name == "no custom codes" {
            // Support or somebody at the Console allows custom codes.
            let mut world = bench.world();
            for service in &mut world.account_mut(ACCOUNT).verify_services {
                service.settings.insert("custom_code_enabled".into(), serde_json::json!(true));
            }
        }
        bench.converge(name);
    });
}

#[test]
fn every_missing_scope_is_named_before_any_write() {
    let writes = ALL_SCOPES.iter().filter(|scope| !scope.starts_with("read:"));
    all(writes, |missing| {
        let scopes: Vec<String> =
            ALL_SCOPES.iter().filter(|scope| *scope != missing).map(|scope| (*scope).to_owned()).collect();
        let mut bench = with(Options { scopes: Some(scopes), ..options() });
        let mark = bench.stack.mark();
        match bench.ended(false) {
            Ended::Done => bench.at_rest(missing),
            Ended::Failed(text) => {
                assert!(text.contains(*missing), "{missing}: {text}");
                assert!(bench.writes_since(mark).is_empty(), "{missing}: {:?}", bench.writes_since(mark));
            }
            other => panic!("{missing}: {other:?}"),
        }
    });
}

/// The record is written with every change, even with one that touches no Action.
#[test]
fn the_scope_of_the_record_is_asked_for_too() {
    let mut bench = with(options());
    assert_eq!(bench.ended(false), Ended::Done);
    let granted = ALL_SCOPES.iter().filter(|scope| **scope != "update:actions");
    bench.stack.twin.borrow_mut().options.scopes = Some(granted.map(|scope| (*scope).to_owned()).collect());
    bench.stack.text = bench.stack.text.replace("otp: on", "otp: on\n    recovery_code: on");
    let mark = bench.stack.mark();
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("update:actions")), "{ended:?}");
    assert!(bench.writes_since(mark).is_empty(), "{:?}", bench.writes_since(mark));
}

#[test]
fn a_missing_scope_to_read_is_said_and_nothing_is_exposed_blindly() {
    let reads = ALL_SCOPES.iter().filter(|scope| scope.starts_with("read:"));
    all(reads, |missing| {
        let scopes: Vec<String> =
            ALL_SCOPES.iter().filter(|scope| *scope != missing).map(|scope| (*scope).to_owned()).collect();
        let mut bench = with(Options { scopes: Some(scopes), ..options() });
        let ended = bench.ended(false);
        let losses = bench.losses();
        assert!(losses.is_empty(), "{missing} ({ended:?}): {losses:?}");
        match bench.stack.try_observe(false) {
            Ok(observation) => {
                let plan = observation.plan;
                let unread = plan.findings.iter().any(|finding| finding.level == Level::NotRead);
                assert!(!(unread && ended == Ended::Done), "{missing}: done, with {}", shown(&plan));
            }
            Err(failed) => assert!(failed.to_string().contains("403"), "{missing}: {failed}"),
        }
    });
}

#[test]
fn a_failing_build_leaves_the_old_version_live_and_is_mended_by_the_next_manifest() {
    let bad = || core_manifest().replace("twilio: 6.2.0", "twilio: 0.0.0-fail");
    let fails = |bench: &mut Bench, live: &str| {
        for round in 1..=2 {
            match bench.ended(false) {
                Ended::Failed(text) => {
                    assert!(text.contains("build") && text.contains(live), "round {round}: {text}")
                }
                other => panic!("round {round}: {other:?}"),
            }
            let findings = bench.stack.try_observe(false).expect("read").plan.findings;
            let told = format!("the last build of the Action failed; {live}");
            assert!(findings.iter().any(|finding| finding.text == told), "round {round}: {findings:?}");
        }
    };
    // First on an empty tenant.
    let mut bench = with(options());
    bench.stack.text = bad();
    fails(&mut bench, "no version of it is live");
    assert!(bench.losses().is_empty());
    bench.stack.text = core_manifest();
    bench.converge("mended first apply");
    // Then on a tenant with a deployed version.
    let live = |bench: &Bench| {
        let mut world = bench.world();
        let actions = &world.tenant_mut(DOMAIN).actions;
        let action = actions.iter().find(|action| action.name == ACTION).expect("there");
        action.live_version().expect("live").id.clone()
    };
    let before = live(&bench);
    bench.stack.text = bad();
    fails(&mut bench, "the version before it is still live");
    assert_eq!(live(&bench), before);
    let losses = bench.losses();
    assert!(losses.is_empty(), "{losses:?}");
    bench.stack.text = core_manifest().replace("6.2.0", "6.2.1");
    bench.converge("mended change");
    // The manifest goes back to the version that was deployed all the time.
    bench.stack.text = bad();
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    bench.stack.text = core_manifest().replace("6.2.0", "6.2.1");
    bench.converge("taken back");
}

#[test]
fn a_build_that_fails_once_is_tried_again() {
    let mut bench = with(options());
    bench.world().tenant_mut(DOMAIN).failing_builds = 1;
    let _ = bench.ended(false);
    bench.world().tenant_mut(DOMAIN).failing_builds = 0;
    bench.converge("after one failing build");
}

#[test]
fn a_slow_build_keeps_the_lease() {
    let mut bench = with(Options { build_with_dependencies_ms: 180_000, ..options() });
    let mark = bench.stack.mark();
    bench.converge("three minutes of building");
    let beats = bench.writes_since(mark).iter().filter(|name| *name == "update_serverless_service").count();
    assert!(beats >= 30, "{beats} heartbeats");
}

/// A single refusal is not taken for a trigger that accepts no binding.
#[test]
fn a_binding_that_is_refused_once_is_made() {
    let rule = "PATCH /api/v2/actions/triggers/custom-phone-provider/bindings$: 403";
    let mut bench = with(Options { custom_phone_needs_binding: true, ..options() });
    bench.stack.twin.borrow_mut().faults.rules.push(parse(rule).expect("a rule"));
    bench.converge("refused once");
    assert_eq!(bench.world().tenant_mut(DOMAIN).bound("custom-phone-provider").len(), 1);
}

/// The API refuses in the same way when the Action no longer exists, so the refusal says nothing about the trigger.
#[test]
fn the_binding_of_an_action_that_was_taken_away_is_made_with_the_next_one() {
    let mut bench = with(Options { custom_phone_needs_binding: true, ..options() });
    bench.watch.borrow_mut().meddle = Some(Box::new(|twin, _, _| {
        let last = twin.log().last().map(|entry| (entry.operation, entry.wrote));
        if last == Some(("deploy_action", true)) {
            twin.tenant_mut(DOMAIN).actions.retain(|action| action.name != ACTION);
        }
    }));
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    bench.watch.borrow_mut().meddle = None;
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(bench.world().tenant_mut(DOMAIN).bound("custom-phone-provider").len(), 1);
}

/// The service holds an object that is not on record. If the API does not delete the service with its contents, the run
/// says what to delete.
#[test]
fn a_service_that_is_not_empty_says_what_to_do() {
    let mut bench = with(Options { verify_service_deleted_whole: false, ..options() });
    bench.converge("applied");
    let path = {
        let mut world = bench.world();
        let services = &world.account_mut(ACCOUNT).verify_services;
        let ours = services.iter().find(|service| service.friendly_name == "Acme").expect("made");
        format!("/v2/Services/{}/RateLimits", ours.sid)
    };
    let form = [("UniqueName", "left_behind")];
    let (host, now_ms) = ("verify.twilio.com", bench.stack.in_process.now_ms());
    bench.stack.twin.borrow_mut().operate_account(ACCOUNT, host, Method::Post, &path, &form, now_ms);
    let ended = bench.ended(true);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("delete those")), "{ended:?}");
    for service in &mut bench.world().account_mut(ACCOUNT).verify_services {
        service.rate_limits.clear();
    }
    bench.later();
    assert_eq!(bench.ended(true), Ended::Done);
}

/// The status does not tell a taken name from a full account. The lease is released in between, and is asked for once
/// more.
#[test]
fn a_lease_that_is_given_back_in_the_middle_is_taken() {
    for serverless_name_taken_status in [400, 409] {
        let mut bench = with(Options { serverless_name_taken_status, ..options() });
        let name = lockstep::engine::lease::unique_name(DOMAIN);
        let form = [("UniqueName", name.as_str()), ("FriendlyName", "another run #1")];
        let (host, now_ms) = ("serverless.twilio.com", bench.stack.in_process.now_ms());
        bench.stack.twin.borrow_mut().operate_account(
            ACCOUNT,
            host,
            Method::Post,
            "/v1/Services",
            &form,
            now_ms,
        );
        bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, _| {
            let last = twin.log().last().map(|entry| (entry.operation, entry.served_status));
            if last == Some(("create_serverless_service", Some(serverless_name_taken_status))) {
                twin.world.account_mut(ACCOUNT).serverless_services.clear();
            }
        }));
        let mark = bench.stack.mark();
        assert_eq!(bench.ended(false), Ended::Done);
        let writes = bench.writes_since(mark);
        let taken = writes.iter().filter(|name| *name == "create_serverless_service").count();
        // A run that planned while another one worked plans again, under a lease of its own.
        assert_eq!(taken, 2, "{serverless_name_taken_status}: {writes:?}");
    }
}

/// How the tenant answers a PATCH of its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answered {
    Whole,
    Empty,
    WithoutTheFlag,
}

/// A flag that the reply does not show is read once more, and not assumed.
#[test]
fn a_flag_that_the_reply_to_its_write_does_not_show_is_read_once_more() {
    for how in [Answered::Whole, Answered::Empty, Answered::WithoutTheFlag] {
        for takes_effect in [true, false] {
            let story = format!("{how:?}, takes effect: {takes_effect}");
            let twin: Rc<RefCell<Option<Rc<RefCell<Twin>>>>> = Rc::default();
            let (world, reads) = (twin.clone(), Rc::new(Cell::new(None)));
            let read = reads.clone();
            let off = Options { unified_flag: Flag::Off, ..options() };
            let mut stack = super::waits::odd(off, move |request, _, answer| {
                if request.path != "/api/v2/tenants/settings" {
                    return answer;
                }
                if request.method == Method::Get {
                    read.set(read.get().map(|count: u32| count + 1));
                    return answer;
                }
                read.set(Some(0));
                let Answer::Reply(mut reply) = answer else { panic!("{answer:?}") };
                if let Some(twin) = world.borrow().as_ref().filter(|_| !takes_effect) {
                    let mut twin = twin.borrow_mut();
                    let settings = &mut twin.tenant_mut(DOMAIN).settings;
                    settings.insert("phone_consolidated_experience".into(), json!(false));
                }
                let body = match how {
                    Answered::Whole => return Answer::Reply(reply),
                    Answered::Empty => json!({}),
                    Answered::WithoutTheFlag => json!({ "friendly_name": "Acme", "flags": {} }),
                };
                reply.body = body.to_string().into_bytes();
                Answer::Reply(reply)
            });
            *twin.borrow_mut() = Some(stack.twin.clone());
            let ended = stack.apply().ended;
            match (how, takes_effect) {
                (Answered::Whole, _) | (_, true) => assert_eq!(ended, Ended::Done, "{story}"),
                (_, false) => {
                    let said = |text: &str| text.contains("still differs") && text.contains("unified_phone");
                    assert!(matches!(&ended, Ended::Failed(text) if said(text)), "{story}: {ended:?}");
                }
            }
            if takes_effect {
                assert_eq!(reads.get(), Some(u32::from(how != Answered::Whole)), "{story}");
            }
        }
    }
}

//! Tenants and accounts that answer otherwise: every open question of the vendors' documents, both ways.

use lockstep::engine::apply::Ended;
use lockstep::model::plan::Level;
use lockstep::twin::options::{BindingRule, SecretWithoutValue};
use lockstep::twin::{ALL_SCOPES, Flag, Options, Rate};

use super::bench::{ACTION, Bench, all, crowd, shown};
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options};

fn with(options: Options) -> Bench {
    let bench = Bench::new(options, core_manifest());
    crowd(&mut bench.world());
    bench
}

/// Both answers to every question are good enough for a first apply, a second one, a change and a destroy.
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
        // There is no way back from the unified experience.
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

/// Fails in words, as often as it is tried, and makes nothing twice; once the cause is gone, it goes through.
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
            // What support or the console does.
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

/// The record is written around every change, also one that touches no Action.
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
    // On an empty tenant.
    let mut bench = with(options());
    bench.stack.text = bad();
    for round in 1..=2 {
        match bench.ended(false) {
            Ended::Failed(text) => assert!(text.contains("build"), "round {round}: {text}"),
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(bench.losses().is_empty());
    bench.stack.text = core_manifest();
    bench.converge("mended first apply");
    // On a live one.
    let live = |bench: &Bench| {
        let mut world = bench.world();
        let actions = &world.tenant_mut(DOMAIN).actions;
        let action = actions.iter().find(|action| action.name == ACTION).expect("there");
        action.live_version().expect("live").id.clone()
    };
    let before = live(&bench);
    bench.stack.text = bad();
    for round in 1..=2 {
        match bench.ended(false) {
            Ended::Failed(text) => assert!(text.contains("build"), "round {round}: {text}"),
            other => panic!("round {round}: {other:?}"),
        }
        assert_eq!(live(&bench), before, "round {round}");
    }
    let losses = bench.losses();
    assert!(losses.is_empty(), "{losses:?}");
    bench.stack.text = core_manifest().replace("6.2.0", "6.2.1");
    bench.converge("mended change");
    // Back to what was live all the time.
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

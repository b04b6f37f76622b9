//! Tests of the settings around the stack: branding, protection, templates, further streams, attestations.

use std::collections::BTreeMap;

use lockstep::diag::Severity;
use lockstep::engine::apply::{Ended, Wishes, apply};
use lockstep::engine::observe::observe;
use lockstep::kinds;
use lockstep::model::plan::{Finding, Level};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::LogStream;
use lockstep::twin::{Options, Rule, What, When};
use serde_json::{Value as Json, json};

use super::bed::{Bed, Edits, FULL, Remote, assert_same, edit, manifest, siem, template, tenant, valid};
use super::destroy::killed_everywhere;
use crate::support::{DOMAIN, START_MS, options};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    an_absent_section_costs_no_request_and_a_present_one_costs_one,
    an_answer_that_is_lost_makes_nothing_twice,
    protection_that_was_never_set_is_the_default,
    switches_that_nobody_decided_are_off_and_stay_undecided,
    what_others_set_inside_the_same_object_stays,
    a_template_that_somebody_else_made_first_is_changed_and_put_back,
    an_adopted_stream_is_put_back,
    the_limit_of_the_plan_is_explained,
    a_further_stream_is_paused_without_danger_and_carries_no_feedback,
    attestations_send_nothing_and_are_no_change,
];

/// The sections of the full manifest that these tests do not need.
const REST: &[&str] = &["feedback", "mfa", "universal_login"];

fn only_around() -> Edits {
    REST.iter().map(|section| edit(*section, Json::Null)).collect()
}

fn around(edits: &[(String, Json)]) -> Bed {
    Bed::new(valid(FULL, &[only_around(), edits.to_vec()].concat()))
}

const PATHS: [&str; 4] = [
    "/api/v2/branding",
    "/api/v2/attack-protection/phone-provider-protection",
    "/api/v2/branding/phone/templates",
    "/api/v2/log-streams",
];

#[test]
fn an_absent_section_costs_no_request_and_a_present_one_costs_one() {
    let without = [
        edit("branding", Json::Null),
        edit("phone.protection", Json::Null),
        edit("phone.templates", Json::Null),
        edit("log_streams", Json::Null),
        edit("feedback", Json::Null),
    ];
    for (edits, expected) in [(&without[..], 0), (&[], 1)] {
        let mut bed = Bed::new(valid(FULL, edits));
        bed.observe();
        let log = bed.stack.log_since(0);
        for path in PATHS {
            let count = log.iter().filter(|entry| entry.path.split('?').next() == Some(path)).count();
            assert_eq!(count, expected, "{path}");
        }
    }
}

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    let length = {
        let mut bed = around(&[]);
        bed.applied();
        bed.stack.mark()
    };
    for k in 0..=length {
        for before_reply in [true, false] {
            let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
            let mut bed = around(&[]);
            let former = bed.plain(Remote::Ids);
            let _ = bed.run_until(Stop::kill(k, before_reply), false);
            bed.stack.in_process.advance_ms(3_600_000);
            bed.applied();
            assert!(bed.observe().plan.is_empty(), "{story}");
            let counts =
                bed.with_twin(|twin| (tenant(twin).log_streams.len(), tenant(twin).phone_templates.len()));
            assert_eq!(counts, (1, 5), "{story}");
            bed.destroyed();
            assert_same(&former, &bed.plain(Remote::Ids), &story);
        }
    }
}

#[test]
fn a_destroy_that_is_killed_anywhere_is_finished_by_the_next() {
    killed_everywhere(around(&[]), "only around", 1, |_, _| {});
}

/// The answer to each write of ours is lost, or the server fails: nothing is made twice.
#[test]
fn an_answer_that_is_lost_makes_nothing_twice() {
    for path in PATHS {
        for what in [
            What::Lost { after_effect: true },
            What::Lost { after_effect: false },
            What::ServerError { status: 502, after_effect: true },
        ] {
            let mut bed = around(&[]);
            for method in [lockstep::model::api::Method::Post, lockstep::model::api::Method::Patch] {
                let rule = Rule::once(When::first(method, path), what.clone());
                bed.with_twin(|twin| twin.faults.rules.push(rule));
            }
            // A stream has no unique name, so a create that is not found is not repeated at once.
            match path.ends_with("/log-streams") {
                true => bed.applied_at_last(),
                false => bed.applied(),
            };
            let counts =
                bed.with_twin(|twin| (tenant(twin).log_streams.len(), tenant(twin).phone_templates.len()));
            assert_eq!(counts, (1, 5), "{path} {what:?}");
            assert!(bed.observe().plan.is_empty(), "{path} {what:?}");
        }
    }
}

/// A setting that was never made may be a 404; the plan is empty after one apply either way.
#[test]
fn protection_that_was_never_set_is_the_default() {
    for (word, writes) in [("default", 0), ("exponential", 1)] {
        let mut bed = around(&[edit("phone.protection", json!(word))]);
        bed.with_twin(|twin| twin.options.default_protection_is_404 = true);
        bed.applied();
        let path = "/api/v2/attack-protection/phone-provider-protection";
        let log = bed.stack.log_since(0);
        let wrote = log.iter().filter(|entry| entry.wrote && entry.path == path).count();
        assert_eq!(wrote, writes, "{word}");
        assert!(bed.observe().plan.is_empty(), "{word}");
        bed.destroyed();
        assert_eq!(bed.with_twin(|twin| tenant(twin).phone_provider_protection.clone()), "default");
    }
}

#[test]
fn switches_that_nobody_decided_are_off_and_stay_undecided() {
    let mut bed = Bed::new(valid(
        FULL,
        &[
            edit("universal_login.identifier_first", json!(false)),
            edit("universal_login.webauthn_platform_first_factor", json!(true)),
        ],
    ));
    bed.with_twin(|twin| {
        tenant(twin).prompts.identifier_first = None;
        tenant(twin).prompts.webauthn_platform_first_factor = None;
    });
    bed.applied();
    let prompts = |bed: &Bed| bed.with_twin(|twin| tenant(twin).prompts.clone());
    assert_eq!(prompts(&bed).identifier_first, None, "off already, so nothing is sent");
    assert_eq!(prompts(&bed).webauthn_platform_first_factor, Some(true));
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    assert_eq!(prompts(&bed).webauthn_platform_first_factor, None, "as it was");
}

/// A write that replaces an object whole also sends the values of others in it, as they are at that moment.
#[test]
fn what_others_set_inside_the_same_object_stays() {
    let wanted = edit("branding", json!({ "colors": { "primary": "#112233" } }));
    let mut bed = around(&[wanted]);
    let gradient =
        json!({ "type": "linear-gradient", "start": "#ffffff", "end": "#000000", "angle_deg": 35 });
    let colors = json!({ "page_background": gradient });
    let session = bed.session(false);
    let twin = bed.stack.twin.clone();
    let theirs = colors.clone();
    let outcome = bed.stack.process(Stop::default(), |port| async move {
        let seen = observe(&session, &port.reader()).await.expect("read");
        tenant(&mut twin.borrow_mut()).branding.insert("colors".into(), theirs);
        apply(&session, seen, Wishes::default(), &port).await
    });
    assert_eq!(outcome.expect("not killed").ended, Ended::Done);
    let now = bed.with_twin(|twin| tenant(twin).branding["colors"].clone());
    assert_eq!(now, json!({ "page_background": colors["page_background"], "primary": "#112233" }));
    bed.destroyed();
    assert_eq!(bed.with_twin(|twin| tenant(twin).branding["colors"].clone()), colors);
}

/// Somebody makes the template while the plan is read: their template is changed, and put back by destroy.
#[test]
fn a_template_that_somebody_else_made_first_is_changed_and_put_back() {
    let mut bed = around(&[]);
    let session = bed.session(false);
    let twin = bed.stack.twin.clone();
    let outcome = bed.stack.process(Stop::default(), |port| async move {
        let seen = observe(&session, &port.reader()).await.expect("read");
        let body = json!({ "type": "otp_enroll", "disabled": true,
            "content": { "from": "+15550111", "body": { "text": "Theirs", "voice": "Theirs" } } });
        let path = "/api/v2/branding/phone/templates";
        let method = lockstep::model::api::Method::Post;
        let (status, _) = twin.borrow_mut().operate_tenant(DOMAIN, method, path, &body, START_MS);
        assert_eq!(status, 201);
        apply(&session, seen, Wishes::default(), &port).await
    });
    assert_eq!(outcome.expect("not killed").ended, Ended::Done);
    assert!(bed.observe().plan.is_empty());
    assert_eq!(bed.with_twin(|twin| template(twin, "otp_enroll").content["from"].clone()), "+15550100");
    bed.destroyed();
    let left = bed.with_twin(|twin| tenant(twin).phone_templates.clone());
    let shown: Vec<Json> =
        left.iter().map(|t| json!([t.r#type, t.disabled, t.content["body"]["text"]])).collect();
    assert_eq!(shown, [json!(["otp_enroll", true, "Theirs"])]);
}

/// Destroy gives an adopted stream its former values back, and removes a secret that it did not have.
#[test]
fn an_adopted_stream_is_put_back() {
    let mut bed = around(&[]);
    bed.with_twin(|twin| {
        let id = twin.world.ids.log_stream();
        let sink = json!({ "httpEndpoint": "https://siem.example/auth0", "httpContentFormat": "JSONOBJECT" });
        tenant(twin).log_streams.push(LogStream {
            id,
            name: Some("Acme SIEM".into()),
            r#type: "http".into(),
            status: "paused".into(),
            sink: sink.as_object().cloned().unwrap_or_default(),
            filters: Some(vec![json!({ "type": "category", "name": "other" })]),
            pii_config: None,
            is_priority: false,
        });
    });
    let former = bed.plain(Remote::Ids);
    bed.applied();
    assert_eq!(bed.with_twin(|twin| siem(twin).status.clone()), "active");
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    assert_same(&former, &bed.plain(Remote::Ids), "adopted");
}

#[test]
fn the_limit_of_the_plan_is_explained() {
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.stack.twin.borrow_mut().options = Options { log_stream_limit: Some(1), ..options() };
    let outcome = bed.apply();
    assert!(
        matches!(&outcome.ended, Ended::Failed(text) if text.contains("plan may not allow another log stream"))
    );
    // The next apply succeeds as soon as the tenant's plan allows more streams.
    bed.with_twin(|twin| twin.options.log_stream_limit = None);
    bed.applied();
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn a_further_stream_is_paused_without_danger_and_carries_no_feedback() {
    let paused = edit("log_streams.http.siem.status", json!("paused"));
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.applied();
    bed.manifest = valid(FULL, &[paused]);
    let plan = bed.observe().plan;
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|s| (s.address.as_str(), s.danger.as_deref(), s.effects.iter().len()))
        .collect();
    assert_eq!(steps, [("log_stream.siem", None, 0)]);
    bed.applied();
    assert_eq!(bed.with_twin(|twin| siem(twin).status.clone()), "paused");
}

fn problems(edits: &[(String, Json)]) -> Vec<(Severity, String)> {
    let manifest = valid_or_not(edits);
    let mut out = Vec::new();
    kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut out));
    // The full manifest has rules beside a policy, so every edit gets this warning.
    out.retain(|problem| problem.path != "mfa.policy");
    out.into_iter().map(|problem| (problem.severity, problem.path)).collect()
}

/// Parses and resolves the manifest, without the checks of the kinds.
fn valid_or_not(edits: &[(String, Json)]) -> lockstep::model::manifest::Manifest {
    let mut root: Json = serde_yaml::from_str(FULL).expect("YAML");
    for (place, value) in edits {
        let mut at = &mut root;
        for part in place.split('.') {
            at = &mut at[part];
        }
        *at = value.clone();
    }
    manifest_of_unchecked(&root.to_string())
}

fn manifest_of_unchecked(text: &str) -> lockstep::model::manifest::Manifest {
    struct Env(BTreeMap<String, String>);
    impl lockstep::manifest::Sources for Env {
        fn env(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
        fn file(&self, _: &str) -> Result<String, lockstep::manifest::FileError> {
            Err(lockstep::manifest::FileError::Missing)
        }
        fn cmd(&self, _: &str) -> Option<Result<String, String>> {
            None
        }
        fn var(&self, _: &str) -> Option<String> {
            None
        }
        fn builtin(&self, name: &str) -> Option<&'static str> {
            lockstep::builtin::source(name)
        }
    }
    let (parsed, _) = lockstep::manifest::parse("around.yaml", text, &crate::support::tables())
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)));
    lockstep::manifest::resolve(&parsed, &Env(super::bed::env()), lockstep::manifest::Missing::Error)
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)))
}

#[test]
fn checks_beyond_one_field() {
    let siem = |key: &str| format!("log_streams.http.siem.{key}");
    let stream = json!({ "endpoint": "https://x.example/" });
    let cases: Vec<(Edits, Vec<(Severity, &str)>)> = vec![
        (vec![], vec![]),
        (
            vec![edit(siem("filters"), json!(["gd_auth_succeed"]))],
            vec![(Severity::Warning, "log_streams.http.siem.filters")],
        ),
        (vec![edit(siem("filters"), json!(["auth.ancillary.fail"]))], vec![]),
        (
            vec![edit("feedback.log_stream.filters", json!(["other", "user.notification", "next"]))],
            vec![(Severity::Warning, "feedback.log_stream.filters")],
        ),
        (
            vec![edit(siem("is_priority"), json!(true))],
            vec![(Severity::Warning, "log_streams.http.siem.is_priority")],
        ),
        (
            vec![edit(siem("name"), json!("Acme feedback"))],
            vec![(Severity::Error, "log_streams.http.siem.name")],
        ),
        (
            vec![edit("log_streams.http", json!({ "a.name": stream, "b": stream }))],
            vec![(Severity::Error, "log_streams.http.a")],
        ),
        (
            vec![edit("log_streams.http", json!({ "a b": stream }))],
            vec![(Severity::Error, "log_streams.http.a b")],
        ),
        (
            vec![edit("attest.fraud_guard.level", json!("basic"))],
            vec![(Severity::Error, "attest.fraud_guard.level")],
        ),
        (
            vec![edit("attest.channels.enabled", json!(["sms"]))],
            vec![(Severity::Error, "attest.channels.enabled")],
        ),
        (
            vec![edit("attest.channels.until", json!("2026-11-01"))],
            vec![(Severity::Error, "attest.channels.until")],
        ),
        (
            vec![edit("attest.geo_permissions.countries", json!(["Austria"]))],
            vec![(Severity::Error, "attest.geo_permissions.countries")],
        ),
        (
            vec![edit("attest.geo_permissions.countries", json!([]))],
            vec![(Severity::Error, "attest.geo_permissions")],
        ),
    ];
    for (edits, expected) in cases {
        let mut found = problems(&edits);
        // In this manifest the stream sends to another endpoint than the Function, on purpose.
        found.retain(|(severity, path)| {
            *severity == Severity::Error || path != "feedback.log_stream.endpoint"
        });
        let found: Vec<(Severity, &str)> =
            found.iter().map(|(severity, path)| (*severity, path.as_str())).collect();
        assert_eq!(found, expected, "{edits:?}");
    }
}

#[test]
fn values_that_are_refused_where_they_stand() {
    for (place, value, part) in [
        ("branding.logo_url", json!("http://acme.example/logo.png"), "https"),
        ("branding.colors.primary", json!("red"), "colour"),
        ("phone.protection", json!("strict"), "exponential"),
        ("phone.templates.otp_verfy", json!({ "text": "x" }), "otp_verify"),
        ("phone.templates.welcome", json!({ "text": "x" }), "blocked_account"),
        ("phone.templates.otp_verify.from", json!("+155501001234567890"), "16"),
        ("log_streams.datadog", json!({}), "http"),
        ("log_streams.http.siem.status", json!("suspended"), "paused"),
        ("log_streams.http.siem.endpoint", json!("http://siem.example"), "https"),
        ("attest.fraud_guard.on", json!("2026-02-30"), "date"),
        ("attest.fraud_guard.on", json!("20.11.2026"), "date"),
        ("attest.fraud_guard.by", Json::Null, "by"),
        ("attest.channels.enabled", json!(["pigeon"]), "whatsapp"),
    ] {
        let error = manifest(FULL, &[edit(place, value)]).expect_err(place);
        assert!(error.contains(part), "{place}: {error}");
    }
}

const DAY_MS: u64 = 86_400_000;

fn notices(edits: &[(String, Json)], as_of_ms: u64) -> Vec<Finding> {
    let manifest = valid(FULL, edits);
    let kind = kinds::by_name("attest").expect("a kind");
    kind.notices(&manifest, as_of_ms)
}

/// Address and level of each finding.
fn levels(edits: &[(String, Json)], as_of_ms: u64) -> Vec<(String, Level)> {
    notices(edits, as_of_ms)
        .into_iter()
        .map(|finding| (finding.address.name().unwrap_or(finding.address.kind()).to_owned(), finding.level))
        .collect()
}

#[test]
fn attestations_are_told_and_run_out() {
    use Level::{Note, Warning};
    let all = |level: Level| {
        ["fraud_guard", "geo_permissions", "channels"].map(|entry| (entry.to_owned(), level)).to_vec()
    };
    assert_eq!(levels(&[], START_MS), all(Note));
    let told = &notices(&[], START_MS)[0];
    assert_eq!(
        told.text,
        "Fraud Guard's level: level standard, attested by jo@acme.example on 2026-11-01 until 2027-05-01; \
         it cannot be verified by an API"
    );
    // A manifest without `attest` gets one note of one line, which says where to look.
    assert_eq!(levels(&[edit("attest", Json::Null)], START_MS), [("attest".to_owned(), Note)]);
    let note = &notices(&[edit("attest", Json::Null)], START_MS)[0];
    assert!(note.text.contains("docs/attest.md") && note.help.is_empty(), "{note:?}");
    assert!(include_str!("../../docs/attest.md").contains("Geo permissions"));
    // Once one entry is attested, a missing one is a warning.
    let geo = edit("attest.geo_permissions", Json::Null);
    let expected = [("fraud_guard", Note), ("geo_permissions", Warning), ("channels", Note)];
    assert_eq!(levels(&[geo], START_MS), expected.map(|(entry, level)| (entry.to_owned(), level)));
    // An attestation still holds on its last day.
    let until = |day: &str| edit("attest.fraud_guard.until", json!(day));
    let of = |day: &str, as_of_ms: u64| levels(&[until(day)], as_of_ms)[0].1;
    assert_eq!(of("2026-11-20", START_MS + DAY_MS - 1), Note);
    assert_eq!(of("2026-11-20", START_MS + DAY_MS), Warning);
    let left = |day: &str| notices(&[until(day)], START_MS)[0].text.contains("days");
    assert!(left("2026-12-04") && !left("2026-12-05"), "fourteen days before its end");
    // A date in the future is no observation. Tomorrow is accepted, because it is today somewhere.
    let on = |day: &str| levels(&[edit("attest.fraud_guard.on", json!(day))], START_MS)[0].1;
    assert_eq!((on("2026-11-21"), on("2026-11-22")), (Note, Warning));
}

#[test]
fn what_is_told_of_attestations_can_be_silenced_but_not_that_one_is_over() {
    let off = edit("attest.remind", json!(false));
    assert_eq!(levels(std::slice::from_ref(&off), START_MS), []);
    assert_eq!(levels(&[edit("attest", json!({ "remind": false }))], START_MS), []);
    let over = edit("attest.fraud_guard.until", json!("2026-11-10"));
    assert_eq!(levels(&[off, over], START_MS), [("fraud_guard".to_owned(), Level::Warning)]);
    let on = edit("attest", json!({ "remind": true }));
    assert_eq!(levels(&[on], START_MS).len(), 3, "said to be wanted");
}

#[test]
fn attestations_send_nothing_and_are_no_change() {
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.applied();
    let (mark, seen) = (bed.stack.mark(), bed.observe());
    let with = bed.stack.mark() - mark;
    assert!(seen.plan.is_empty());
    assert_eq!(seen.plan.findings.iter().filter(|f| f.address.kind() == "attest").count(), 3);
    bed.manifest = valid(FULL, &[edit("attest", Json::Null)]);
    let mark = bed.stack.mark();
    assert!(bed.observe().plan.is_empty());
    assert_eq!(bed.stack.mark() - mark, with);
}

/// The example of the README with settings around the codes, laid over the core manifest.
#[test]
fn the_example_of_the_readme_is_a_manifest() {
    let readme = include_str!("../../README.md");
    let mut blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let example = blocks.find(|block| block.starts_with("phone:")).expect("an example");
    let example: Json = serde_yaml::from_str(example).expect("YAML");
    let mut root: Json = serde_yaml::from_str(&crate::support::core_manifest()).expect("YAML");
    for (section, values) in example.as_object().expect("sections") {
        match root[section].as_object_mut() {
            Some(there) => there.extend(values.as_object().expect("a section").clone()),
            None => root[section] = values.clone(),
        }
    }
    let manifest = crate::support::manifest_of(&root.to_string(), &super::bed::env());
    let declared = lockstep::plan::desired::declared(&manifest);
    let addresses: Vec<&str> = declared.iter().map(|resource| resource.address.as_str()).collect();
    for address in
        ["phone_provider_protection", "phone_template.change_password", "branding", "log_stream.siem"]
    {
        assert!(addresses.contains(&address), "{address}: {addresses:?}");
    }
}

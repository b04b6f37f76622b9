//! Tests of everything below the Verify service: rate limits with their buckets, messaging configurations, the template
//! by its name, and fields that the API may hide. They cover what the tables of fields do not.

use lockstep::engine::apply::Ended;
use lockstep::kinds;
use lockstep::model::api::Method;
use lockstep::model::plan::{Level, Plan, Stage};
use lockstep::model::value::Value;
use lockstep::twin::world::{MessagingConfiguration, VerifyBucket, VerifyRateLimit, VerifyTemplate};
use lockstep::twin::{LogEntry, Rule, Twin, What, When};
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, Edits, FULL, Remote, action, applied_full, assert_same, edit, lose_ledger, manifest, service, valid,
};
use crate::support::{ACCOUNT, Stack, core_manifest, options};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_renamed_limit_is_a_new_one_and_the_old_one_goes_last,
    a_limit_that_is_not_passed_is_not_in_the_code,
    the_list_of_buckets_is_closed_where_the_manifest_has_one,
    without_buckets_in_the_manifest_they_are_left_alone,
    what_was_there_is_taken_over_and_put_back,
    another_limit_of_the_same_name_is_not_ours,
    a_lost_ledger_finds_the_limits_below_the_pinned_service,
    another_pinned_service_is_taken_over_and_the_old_one_stays,
    a_template_is_found_by_its_name,
    a_template_that_cannot_be_used_is_refused_with_what_there_is,
    what_the_api_hides_is_sent_once_and_never_lost,
    what_the_api_hides_is_sent_to_a_service_that_is_taken_over,
    what_may_not_be_read_is_not_clean,
    own_code_is_filled_in_or_warned_of,
    a_plan_without_changes_costs_one_request_for_each_list,
    limits_stand_before_the_action_and_fall_after_it,
];

fn bucket(sid: &str, max: u64, interval: u64) -> VerifyBucket {
    VerifyBucket { sid: sid.into(), max, interval, created_at_ms: 1, updated_at_ms: 1 }
}

/// A limit that somebody else made.
fn by_hand(name: &str, buckets: Vec<VerifyBucket>) -> VerifyRateLimit {
    VerifyRateLimit {
        sid: format!("RK{}1", "0".repeat(31)),
        unique_name: name.into(),
        description: "By hand".into(),
        created_at_ms: 1,
        updated_at_ms: 1,
        buckets,
        counted: Default::default(),
    }
}

fn limits(bed: &Bed) -> Vec<(String, Vec<(u64, u64)>)> {
    bed.with_twin(|twin| {
        let limits = &service(twin).rate_limits;
        let mut shown: Vec<_> = limits
            .iter()
            .map(|limit| {
                let mut buckets: Vec<_> = limit.buckets.iter().map(|b| (b.interval, b.max)).collect();
                buckets.sort_unstable();
                (limit.unique_name.clone(), buckets)
            })
            .collect();
        shown.sort();
        shown
    })
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{}: {}", step.address, step.what)).collect()
}

fn findings(plan: &Plan, level: Level) -> Vec<String> {
    let found = plan.findings.iter().filter(|finding| finding.level == level);
    found.map(|finding| format!("{}: {} ({})", finding.address, finding.text, finding.help)).collect()
}

fn settled(bed: &mut Bed, what: &str) {
    let plan = bed.observe().plan;
    assert!(plan.is_empty(), "{what}: {:?}", steps(&plan));
}

/// Edits that rename the limit.
fn renamed() -> Edits {
    let limit = json!({ "key": "recipient", "buckets": { "60s": { "max": 5 }, "1h": { "max": 20 } } });
    vec![
        edit("verify_service.rate_limits.per_number", Json::Null),
        edit("verify_service.rate_limits.by_number", limit),
    ]
}

#[test]
fn a_renamed_limit_is_a_new_one_and_the_old_one_goes_last() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &renamed()));
    bed.with_twin(|twin| {
        let mut foreign = by_hand("theirs", vec![bucket("BL1", 1, 30)]);
        foreign.sid = format!("RK{}9", "0".repeat(31));
        service(twin).rate_limits.push(foreign);
    });
    let plan = bed.observe().plan;
    assert_eq!(
        steps(&plan),
        [
            "verify_rate_limit.by_number: create the limit",
            "verify_rate_limit.by_number: create the bucket of 3600 s",
            "verify_rate_limit.by_number: create the bucket of 60 s",
            "action: put the draft and build it",
            "action: deploy",
            "verify_rate_limit.per_number: delete the limit",
        ]
    );
    assert!(plan.findings.iter().all(|finding| finding.level < Level::Blocker), "{:?}", plan.findings);
    assert_eq!(plan.steps[5].danger, None, "nothing is lost on the way");

    // Without consent to delete, nothing is done.
    assert!(matches!(bed.apply().ended, Ended::Failed(text) if text.contains("no longer in the manifest")));
    bed.stack.allow_delete = true;
    bed.applied();
    let names: Vec<String> = limits(&bed).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["by_number", "per_ip", "theirs"]);
    let code = bed.with_twin(|twin| action(twin).live_version().expect("deployed").code.clone());
    assert!(
        code.contains(r#"const RATE_LIMITS = {"by_number":"recipient","per_ip":"ip"}; // lockstep"#),
        "{code}"
    );
    settled(&mut bed, "renamed");
}

#[test]
fn a_limit_that_is_not_passed_is_not_in_the_code() {
    let edits = vec![edit("verify_service.rate_limits.per_ip.key", json!("none"))];
    let mut bed = Bed::new(valid(FULL, &edits));
    bed.applied();
    let code = bed.with_twin(|twin| action(twin).live_version().expect("deployed").code.clone());
    assert!(code.contains(r#"= {"per_number":"recipient"}; //"#), "{code}");
    assert_eq!(limits(&bed).len(), 2);
}

#[test]
fn the_list_of_buckets_is_closed_where_the_manifest_has_one() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let before = bed.plain(Remote::Ids);
    bed.with_twin(|twin| {
        for limit in &mut service(twin).rate_limits {
            limit.buckets.push(bucket(&format!("BL{}7", "0".repeat(31)), 1, 7));
        }
    });
    let plan = bed.observe().plan;
    assert_eq!(
        steps(&plan),
        [
            "verify_rate_limit.per_ip: delete the bucket of 7 s",
            "verify_rate_limit.per_number: delete the bucket of 7 s"
        ]
    );
    bed.applied();
    assert_same(&before, &bed.plain(Remote::Ids), "closed");
    settled(&mut bed, "closed");

    // A bucket with another interval is another bucket. The new one is made first, so that the limit is never weaker.
    let other = json!({ "90s": { "max": 5 }, "1h": { "max": 20 } });
    bed.manifest = valid(FULL, &[edit("verify_service.rate_limits.per_number.buckets", other)]);
    let plan = bed.observe().plan;
    assert_eq!(
        steps(&plan),
        [
            "verify_rate_limit.per_number: create the bucket of 90 s",
            "verify_rate_limit.per_number: delete the bucket of 60 s",
        ]
    );
    bed.applied();
    assert_eq!(limits(&bed)[1], ("per_number".into(), vec![(90, 5), (3_600, 20)]));
    settled(&mut bed, "another interval");
}

#[test]
fn without_buckets_in_the_manifest_they_are_left_alone() {
    let edits = vec![edit("verify_service.rate_limits.per_ip.buckets", Json::Null)];
    let mut bed = Bed::new(valid(FULL, &edits));
    bed.applied();
    let plan = bed.observe().plan;
    assert!(findings(&plan, Level::Note).iter().any(|text| text.contains("limits nothing")), "{plan:?}");
    bed.with_twin(|twin| {
        let limit = service(twin).rate_limits.iter_mut().find(|limit| limit.unique_name == "per_ip");
        limit.expect("per_ip").buckets.push(bucket(&format!("BL{}7", "0".repeat(31)), 1, 7));
    });
    settled(&mut bed, "somebody else's buckets");
}

/// A service that somebody used before the stack, and its SID, by which the manifest picks it.
fn used_before() -> (Bed, String) {
    let bed = Bed::new(valid(FULL, &[]));
    let now_ms = bed.now_ms();
    let sid = bed.with_twin(|twin| {
        let form = [("FriendlyName", "Acme Login"), ("CodeLength", "8")];
        let method = Method::Post;
        twin.operate_account(ACCOUNT, "verify.twilio.com", method, "/v2/Services", &form, now_ms);
        let buckets = vec![
            bucket(&format!("BL{}1", "0".repeat(31)), 50, 60),
            bucket(&format!("BL{}2", "0".repeat(31)), 9, 10),
        ];
        service(twin).rate_limits.push(by_hand("per_number", buckets));
        let theirs = MessagingConfiguration {
            messaging_service_sid: "MG000000000000000000000000000000f0".into(),
            created_at_ms: 1,
            updated_at_ms: 1,
        };
        service(twin).messaging_configurations.insert("US".into(), theirs.clone());
        service(twin).messaging_configurations.insert("DE".into(), theirs);
        service(twin).sid.clone()
    });
    let manifest = valid(FULL, &[edit("verify_service.sid", json!(sid))]);
    (Bed { manifest, ..bed }, sid)
}

#[test]
fn what_was_there_is_taken_over_and_put_back() {
    let (mut bed, _) = used_before();
    let below = |bed: &Bed| {
        bed.with_twin(|twin| {
            let service = service(twin).clone();
            let mut limits: Vec<Json> = service
                .rate_limits
                .iter()
                .map(|limit| {
                    let mut buckets: Vec<_> = limit.buckets.iter().map(|b| (b.interval, b.max)).collect();
                    buckets.sort_unstable();
                    json!([limit.sid, limit.unique_name, limit.description, buckets])
                })
                .collect();
            limits.sort_by_key(Json::to_string);
            let of = |country: &str| {
                let one = service.messaging_configurations.get(country);
                one.map(|one| one.messaging_service_sid.clone())
            };
            json!([limits, of("US"), of("DE"), service.settings["code_length"]])
        })
    };
    let before = below(&bed);
    let plan = bed.observe().plan;
    let notes = findings(&plan, Level::Note);
    for address in ["verify_rate_limit.per_number", "verify_messaging_configuration.US"] {
        assert!(notes.iter().any(|note| note.starts_with(address)), "{address}: {notes:?}");
    }
    bed.applied();
    assert_eq!(limits(&bed)[1], ("per_number".into(), vec![(60, 5), (3_600, 20)]));
    settled(&mut bed, "taken over");
    bed.destroyed();
    assert_same(&before, &below(&bed), "put back");
    let again = bed.destroyed();
    assert!(again.done.is_empty(), "{again:?}");
}

#[test]
fn another_limit_of_the_same_name_is_not_ours() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        let limits = &mut service(twin).rate_limits;
        limits.retain(|limit| limit.unique_name != "per_ip");
        limits.push(by_hand("per_ip", vec![bucket(&format!("BL{}1", "0".repeat(31)), 100, 86_400)]));
    });
    bed.applied();
    settled(&mut bed, "taken over");
    bed.destroyed();
    // Destroy deletes the service with everything in it. No step may be aimed at that limit by itself.
    let mark = bed.stack.log_since(0);
    let aimed = format!("/RateLimits/RK{}1", "0".repeat(31));
    assert!(!mark.iter().any(|entry| entry.method.to_string() == "DELETE" && entry.path.ends_with(&aimed)));
}

#[test]
fn a_lost_ledger_finds_the_limits_below_the_pinned_service() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let sid = bed.with_twin(|twin| service(twin).sid.clone());
    bed.with_twin(lose_ledger);
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(sid))]);
    let plan = bed.observe().plan;
    // No record says which secrets were sent, so they are sent again.
    let sent_again = [
        "action: put the draft and build it",
        "feedback_action: put the draft and build it",
        "feedback_action: deploy",
        "action: deploy",
    ];
    assert_eq!(steps(&plan), sent_again);
    bed.applied();
    settled(&mut bed, "recorded anew");
}

#[test]
fn another_pinned_service_is_taken_over_and_the_old_one_stays() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    let (old, theirs) = bed.with_twin(|twin| {
        let form = [("FriendlyName", "Acme Login")];
        let method = Method::Post;
        twin.operate_account(ACCOUNT, "verify.twilio.com", method, "/v2/Services", &form, now_ms);
        let services = &twin.world.account_mut(ACCOUNT).verify_services;
        (services[0].sid.clone(), services[1].sid.clone())
    });
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(theirs))]);
    let plan = bed.observe().plan;
    let warnings = findings(&plan, Level::Warning);
    assert!(
        warnings.iter().any(|text| text.contains(&old) && text.contains("is left as it is")),
        "{warnings:?}"
    );
    bed.applied();
    settled(&mut bed, "pinned");
    bed.destroyed();
    let left: Vec<String> = bed.with_twin(|twin| {
        twin.world.account_mut(ACCOUNT).verify_services.iter().map(|service| service.sid.clone()).collect()
    });
    assert_eq!(left, [old, theirs], "the one stayed behind, the other was never ours to delete");
}

fn template(digit: char, name: &str, status: &str) -> VerifyTemplate {
    VerifyTemplate {
        sid: format!("HJ{}{digit}", "0".repeat(31)),
        friendly_name: name.into(),
        channels: vec!["sms".into()],
        translations: json!({ "en": { "status": status } }),
    }
}

/// Edits that pick the template by its name.
fn by_name(name: &str) -> Edits {
    vec![
        edit("verify_service.default_template_sid", Json::Null),
        edit("verify_service.default_template", json!(name)),
    ]
}

fn templates(twin: &mut Twin) -> &mut Vec<VerifyTemplate> {
    &mut twin.world.account_mut(ACCOUNT).verify_templates
}

#[test]
fn a_template_is_found_by_its_name() {
    let mut bed = Bed::new(valid(FULL, &by_name("Acme & friends")));
    bed.with_twin(|twin| templates(twin).push(template('7', "Acme & friends", "approved")));
    bed.applied();
    let sid = |bed: &Bed| bed.with_twin(|twin| service(twin).settings["default_template_sid"].clone());
    assert_eq!(sid(&bed), json!(template('7', "", "").sid));
    settled(&mut bed, "by name");
    let mark = bed.stack.mark();
    bed.observe();
    let asked = |log: &[LogEntry]| log.iter().filter(|entry| entry.path.starts_with("/v2/Templates")).count();
    assert_eq!(asked(&bed.stack.log_since(mark)), 1);

    // Somebody else removes the template from the service.
    bed.with_twin(|twin| service(twin).settings.insert("default_template_sid".into(), Json::Null));
    let plan = bed.observe().plan;
    let change = &plan.resources.iter().find(|r| r.address == "verify_service").expect("there").changes[0];
    assert_eq!(
        (change.field.as_str(), &change.old, &change.new),
        ("default_template", &Some(json!("")), &Some(json!("Acme & friends")))
    );
    bed.applied();
    assert_eq!(sid(&bed), json!(template('7', "", "").sid));

    // The manifest names another template.
    bed.with_twin(|twin| templates(twin).push(template('8', "Winter", "approved")));
    bed.manifest = valid(FULL, &by_name("Winter"));
    bed.applied();
    assert_eq!(sid(&bed), json!(template('8', "", "").sid));
    settled(&mut bed, "another name");
}

#[test]
fn a_template_that_cannot_be_used_is_refused_with_what_there_is() {
    let sid = template('7', "", "").sid;
    let by_sid = vec![edit("verify_service.default_template_sid", json!(sid))];
    type Case<'a> = (&'a str, Edits, &'a [(char, &'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 4] = [
        ("no such name", by_name("Nope"), &[('7', "Acme", "approved")], &["named \"Nope\"", "\"Acme\" HJ"]),
        ("not approved", by_name("Acme"), &[('7', "Acme", "pending")], &["60201", "en pending"]),
        (
            "two of a name",
            by_name("Acme"),
            &[('7', "Acme", "approved"), ('8', "Acme", "approved")],
            &["several templates", "default_template_sid"],
        ),
        ("a SID that is not approved", by_sid, &[('7', "Acme", "rejected")], &["60201", "en rejected"]),
    ];
    for (what, edits, there, words) in cases {
        let mut bed = Bed::new(valid(FULL, &edits));
        bed.with_twin(|twin| {
            templates(twin).extend(there.iter().map(|(digit, name, status)| template(*digit, name, status)));
        });
        let blockers = findings(&bed.observe().plan, Level::Blocker);
        assert_eq!(blockers.len(), 1, "{what}: {blockers:?}");
        assert!(words.iter().all(|word| blockers[0].contains(word)), "{what}: {blockers:?}");
        let mark = bed.stack.mark();
        assert!(matches!(bed.apply().ended, Ended::Failed(_)), "{what}");
        assert!(bed.stack.log_since(mark).iter().all(|entry| !entry.wrote), "{what}: nothing is written");
    }
    // A SID that the account does not list is only reported.
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| templates(twin).clear());
    let plan = bed.observe().plan;
    assert!(plan.is_empty());
    assert!(findings(&plan, Level::Warning).iter().any(|text| text.contains("does not list")), "{plan:?}");
}

/// A bed whose reads do not show the fields that are newer than the API description.
fn hiding(edits: &[(String, Json)]) -> Bed {
    let bed = Bed::new(valid(FULL, edits));
    bed.with_twin(|twin| twin.options.newer_verify_fields_shown = false);
    bed
}

fn sender(bed: &Bed) -> (Json, Json) {
    bed.with_twin(|twin| {
        let settings = &service(twin).settings;
        (settings["email"]["from"].clone(), settings["mailer_sid"].clone())
    })
}

#[test]
fn what_the_api_hides_is_sent_once_and_never_lost() {
    let mut bed = hiding(&[]);
    bed.applied();
    assert_eq!(sender(&bed).0, json!("codes@acme.example"));
    settled(&mut bed, "hidden");
    let plan = bed.observe().plan;
    let ours = plan.resources.iter().find(|resource| resource.address == "verify_service").expect("there");
    assert_eq!(
        ours.unknown,
        ["email.content_template_id", "email.from", "email.from_name", "mailer_sid"],
        "what cannot be compared is said"
    );
    // A write of another field leaves the hidden field alone.
    bed.manifest = valid(FULL, &[edit("verify_service.code_length", json!(8))]);
    bed.applied();
    assert_eq!(sender(&bed).0, json!("codes@acme.example"));
    // A new value is sent, once.
    bed.manifest = valid(FULL, &[edit("verify_service.email.from", json!("login@acme.example"))]);
    assert_eq!(steps(&bed.observe().plan), ["verify_service: update the service"]);
    bed.applied();
    assert_eq!(sender(&bed).0, json!("login@acme.example"));
    settled(&mut bed, "hidden, changed");
    // All hidden fields are cleared together.
    let none = json!({ "from": "", "from_name": "", "content_template_id": "" });
    bed.manifest =
        valid(FULL, &[edit("verify_service.email", none), edit("verify_service.mailer_sid", json!(""))]);
    bed.applied();
    assert_eq!(sender(&bed), (Json::Null, Json::Null));
    settled(&mut bed, "hidden, cleared");
}

#[test]
fn what_the_api_hides_is_sent_to_a_service_that_is_taken_over() {
    let (mut bed, _) = used_before();
    bed.with_twin(|twin| twin.options.newer_verify_fields_shown = false);
    let plan = bed.observe().plan;
    assert!(findings(&plan, Level::Note).iter().any(|text| text.contains("email.from")), "{plan:?}");
    bed.applied();
    assert_eq!(sender(&bed).0, json!("codes@acme.example"));
    settled(&mut bed, "taken over");
    // The fields are added to the manifest after the first apply.
    let without = [edit("verify_service.email", Json::Null), edit("verify_service.mailer_sid", Json::Null)];
    let mut bed = hiding(&without);
    bed.applied();
    assert_eq!(sender(&bed), (Json::Null, Json::Null));
    bed.manifest = valid(FULL, &[]);
    bed.applied();
    assert_eq!(sender(&bed).0, json!("codes@acme.example"));
    settled(&mut bed, "added");
}

#[test]
fn what_a_manifest_may_not_say() {
    let limit = |place: &str, value: Json| vec![edit(format!("verify_service.rate_limits.{place}"), value)];
    let cases: [(&str, Edits, &str); 14] = [
        ("a part of the email", vec![edit("verify_service.email.from_name", Json::Null)], "60253"),
        ("an empty part", vec![edit("verify_service.email.from_name", json!(""))], "60253"),
        (
            "two templates",
            vec![edit("verify_service.default_template", json!("T"))],
            "both default_template and default_template_sid",
        ),
        ("a mailer", vec![edit("verify_service.mailer_sid", json!("MG1"))], "MD and 32"),
        ("an empty issuer", vec![edit("verify_service.totp.issuer", json!(""))], "issuer is empty"),
        ("a word", vec![edit("verify_service.passkeys.user_verification", json!("maybe"))], "must be one of"),
        ("no key", limit("per_ip.key", Json::Null), "key is missing"),
        ("an odd key", limit("per_ip.key", json!("phone")), "recipient"),
        ("an interval", limit("per_ip.buckets", json!({ "2d": { "max": 1 } })), "not an interval"),
        ("twice", limit("per_ip.buckets", json!({ "60s": { "max": 1 }, "1m": { "max": 2 } })), "two buckets"),
        ("zero", limit("per_ip.buckets", json!({ "60s": { "max": 0 } })), "out of range"),
        ("a name", limit("per ip", json!({ "key": "ip" })), "60209"),
        (
            "a country",
            vec![edit("verify_service.messaging_configurations", json!({ "us": "MG1" }))],
            "not a country",
        ),
        (
            "a messaging service",
            vec![edit("verify_service.messaging_configurations", json!({ "all": "MG1" }))],
            "not the SID of a messaging service",
        ),
    ];
    for (what, edits, word) in cases {
        let refused = manifest(FULL, &edits).expect_err(what);
        assert!(refused.contains(word), "{what}: {refused}");
    }
}

#[test]
fn what_may_not_be_read_is_not_clean() {
    for list in ["RateLimits", "MessagingConfigurations"] {
        let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
        let path = bed.with_twin(|twin| format!("/v2/Services/{}/{list}", service(twin).sid));
        bed.with_twin(|twin| {
            let rule = Rule::once(When::first(Method::Get, &path), What::Forbidden);
            twin.faults.rules.push(Rule { times: 9, ..rule });
        });
        let plan = bed.observe().plan;
        assert!(!findings(&plan, Level::NotRead).is_empty(), "{list}: {:?}", plan.findings);
        let blockers = findings(&plan, Level::Blocker);
        assert!(blockers.iter().all(|text| text.contains("could not be read")), "{list}: {blockers:?}");
        assert!(!blockers.is_empty() && plan.steps.is_empty(), "{list}: {:?}", steps(&plan));
    }
}

#[test]
fn own_code_is_filled_in_or_warned_of() {
    let warnings = |code: &str| {
        let mut manifest = valid(FULL, &[]);
        manifest.sections.get_mut("action").expect("declared").insert("code".into(), Value::text(code));
        let mut problems = Vec::new();
        kinds::by_name("verify_rate_limit").expect("a kind").check(&manifest, &mut problems);
        let action = kinds::by_name("action").expect("a kind").declare(&manifest).remove(0);
        let code = action.desired["code"].as_str().expect("text").to_owned();
        (problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>(), code)
    };
    let (problems, code) = warnings("exports.x = 1;\nlet limits = null; // lockstep:rate-limits\n");
    assert!(problems.is_empty(), "{problems:?}");
    assert!(code.ends_with(
        "let limits = {\"per_ip\":\"ip\",\"per_number\":\"recipient\"}; // lockstep:rate-limits\n"
    ));
    let (problems, code) = warnings("exports.x = 1;\n");
    assert_eq!((problems, code.as_str()), (vec!["action.code".to_owned()], "exports.x = 1;\n"));
}

/// The core stack with two limits and a messaging configuration.
fn limited() -> String {
    core_manifest().replace(
        "  code_length: 6",
        "  rate_limits: {a: {key: recipient, buckets: {10m: {max: 5}}}, b: {key: none, buckets: {1h: {max: 9}}}}\n  \
         messaging_configurations: {US: MG000000000000000000000000000000a1}\n  code_length: 6",
    )
}

#[test]
fn a_plan_without_changes_costs_one_request_for_each_list() {
    let mut stack = Stack::new(options(), limited());
    stack.applied();
    let mark = stack.mark();
    let plan = stack.observe().plan;
    assert!(plan.is_empty(), "{:?}", steps(&plan));
    let log = stack.log_since(mark);
    let below: Vec<&str> =
        log.iter().map(|e| e.path.as_str()).filter(|path| path.contains("Services/VA")).collect();
    // The reads are: the service, two lists, and the buckets of each limit.
    assert_eq!(below.len(), 5, "{below:?}");
    assert_eq!(log.len(), 10 + 4, "{below:?}");
    let (first, last) = (log[0].at_ms, log.iter().map(|entry| entry.done_ms).max().unwrap_or(0));
    let latency_ms = stack.twin.borrow().options.latency_ms;
    assert!((last - first).div_ceil(latency_ms) <= 3, "{} ms", last - first);
}

#[test]
fn limits_stand_before_the_action_and_fall_after_it() {
    let mut stack = Stack::new(options(), limited());
    let plan = stack.observe().plan;
    let stage = |address: &str| plan.steps.iter().find(|step| step.address == address).map(|step| step.stage);
    assert_eq!(stage("verify_rate_limit.a"), Some(Stage::Limits));
    assert!(
        stage("verify_service") < stage("verify_rate_limit.a")
            && stage("verify_rate_limit.a") < stage("action")
    );
    stack.applied();
    let plan = stack.try_observe(true).expect("read").plan;
    let at = |address: &str| plan.steps.iter().position(|step| step.address == address);
    assert!(
        at("action") < at("verify_rate_limit.a") && at("verify_rate_limit.a") < at("verify_service"),
        "{plan:?}"
    );
}

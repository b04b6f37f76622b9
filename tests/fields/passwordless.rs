//! Tests of the feedback for codes of passwordless logins: what the stream carries, and what a plan says about it.

use lockstep::diag::Severity;
use lockstep::model::plan::{Finding, Level, Plan};
use serde_json::{Value as Json, json};

use super::bed::{Bed, Edits, FULL, checked, edit, stream, tenant, valid};
use super::legacy::LEGACY;

/// Edits for the default filters and this value of `passwordless`.
fn with(passwordless: Json) -> Edits {
    vec![
        edit("feedback.action", Json::Null),
        edit("feedback.log_stream.filters", Json::Null),
        edit("feedback.passwordless", passwordless),
    ]
}

fn note(plan: &Plan) -> &Finding {
    let notes: Vec<&Finding> =
        plan.findings.iter().filter(|finding| finding.address == "feedback.passwordless").collect();
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert_eq!((note.level, note.help.as_str()), (Level::Note, ""), "one line that changes no exit code");
    note
}

#[test]
fn switched_on_the_stream_carries_the_success_of_every_login_and_the_plan_says_so() {
    let mut bed = Bed::new(valid(FULL, &with(json!(true))));
    bed.applied();
    let carried = bed.with_twin(|twin| json!(stream(twin).filters).to_string());
    for category in ["auth.login.success", "other", "user.notification"] {
        assert!(carried.contains(category), "{category}: {carried}");
    }
    let plan = bed.observe().plan;
    assert!(plan.is_empty());
    assert_eq!(note(&plan).text, "the receiver learns of every successful login");

    // After the switch is off again, the category is removed.
    bed.manifest = valid(FULL, &with(json!(false)));
    bed.applied();
    let carried = bed.with_twin(|twin| json!(stream(twin).filters).to_string());
    assert!(!carried.contains("auth.login.success"), "{carried}");
}

#[test]
fn while_it_is_off_the_plan_says_what_passwordless_codes_lack() {
    for edits in [with(Json::Null), with(json!(false)), vec![edit("feedback.action", Json::Null)]] {
        let plan = Bed::new(valid(FULL, &edits)).observe().plan;
        let text = &note(&plan).text;
        assert!(text.contains("passwordless logins get no feedback") && text.contains("the sixth"), "{text}");
    }
    // The manifest may name the category itself.
    let all = ["auth.login.success", "other", "user.notification"];
    for filters in [json!(all), json!([])] {
        let plan = Bed::new(valid(FULL, &[edit("feedback.log_stream.filters", filters)])).observe().plan;
        assert_eq!(note(&plan).text, "the receiver learns of every successful login");
    }
    // The plan says nothing if no passwordless code comes this way, or if the manifest has no feedback.
    for (text, edits) in [(LEGACY, vec![]), (FULL, vec![edit("feedback", Json::Null)])] {
        let plan = Bed::new(valid(text, &edits)).observe().plan;
        assert!(plan.findings.iter().all(|finding| finding.address != "feedback.passwordless"));
    }
}

#[test]
fn the_switch_to_the_unified_experience_says_it_too() {
    for (passwordless, told) in [(false, true), (true, false)] {
        let mut bed = Bed::new(valid(FULL, &with(json!(passwordless))));
        bed.with_twin(|twin| {
            tenant(twin).settings.insert("phone_consolidated_experience".into(), json!(false))
        });
        let plan = bed.observe().plan;
        let danger = plan
            .steps
            .iter()
            .find(|step| step.address == "unified_phone")
            .and_then(|step| step.danger.clone());
        let danger = danger.expect("a step with a danger");
        assert!(danger.contains("leaves the legacy phone set-up for good"), "{danger}");
        assert_eq!(danger.contains("passwordless logins get no feedback"), told, "{danger}");
    }
}

#[test]
fn filters_that_drop_what_it_needs_are_refused_where_they_stand() {
    let on = edit("feedback.passwordless", json!(true));
    let filters = |list: Json| edit("feedback.log_stream.filters", list);
    let rows = [
        (
            FULL,
            vec![on.clone(), filters(json!(["other", "user.notification"]))],
            (Severity::Error, "feedback.log_stream.filters"),
        ),
        (
            FULL,
            vec![edit("feedback", json!({ "passwordless": true }))],
            (Severity::Error, "feedback.passwordless"),
        ),
        (
            LEGACY,
            vec![edit(
                "feedback",
                json!({ "passwordless": true, "log_stream": { "endpoint": "https://x.example/" } }),
            )],
            (Severity::Warning, "feedback.passwordless"),
        ),
    ];
    for (text, edits, expected) in rows {
        let (_, problems) = checked(text, &edits).expect("a manifest");
        let found: Vec<(Severity, &str)> =
            problems.iter().map(|problem| (problem.severity, problem.path.as_str())).collect();
        assert!(found.contains(&expected), "{found:?}");
    }
}

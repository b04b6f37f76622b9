//! Tests of values that an API reads back in another spelling than they were sent: one apply, and no difference after
//! it.

use serde_json::{Value as Json, json};

use super::bed::{Bed, FULL, edit, tenant, valid};
use crate::support::{core_manifest, env, manifest_of, tables};

/// A key of the manifest, and a value for it that reads back in another spelling.
fn rows() -> Vec<(&'static str, Json)> {
    vec![
        ("action.runtime", json!("node18-actions")),
        ("action.runtime", json!("node18")),
        ("mfa.post_login.runtime", json!("node18-actions")),
        ("action.dependencies", json!({ "twilio": "latest" })),
        ("action.dependencies", json!({ "twilio": "^6.1.0" })),
        ("action.dependencies", json!({ "twilio": "6" })),
        ("feedback.function.dependencies", json!({ "twilio": "^6.1.0" })),
        ("verify_service.whatsapp.from", json!("whatsapp:+15550100")),
        (
            "verify_service.passkeys.relying_party.origins",
            json!("https://acme.example, https://login.acme.example"),
        ),
    ]
}

#[test]
fn a_value_that_reads_back_in_another_spelling_is_applied_once() {
    for (key, value) in rows() {
        let mut bed = Bed::new(valid(FULL, &[edit(key, value.clone())]));
        bed.applied();
        let mark = bed.stack.mark();
        bed.applied();
        assert_eq!(bed.writes_since(mark), Vec::<String>::new(), "{key}: {value}");
        assert!(bed.observe().plan.is_empty(), "{key}: {value}");
    }
}

#[test]
fn a_color_in_capital_letters_is_the_same_color() {
    let mut bed = Bed::new(valid(FULL, &[edit("branding.colors.primary", json!("#aabbcc"))]));
    bed.applied();
    bed.with_twin(|twin| tenant(twin).branding["colors"]["primary"] = json!("#AABBCC"));
    assert!(bed.observe().plan.is_empty());
}

/// A runtime that the program does not know is accepted. It reads back with or without the ending that Auth0 gave an
/// older one.
#[test]
fn a_newer_runtime_is_the_same_with_and_without_its_ending() {
    let kind = lockstep::kinds::by_name("action").expect("a kind");
    let value = |text: &str| lockstep::model::value::Value::text(text);
    assert!(kind.tolerates("runtime", &value("node26"), &value("node26-actions")));
    assert!(kind.tolerates("runtime", &value("node26-actions"), &value("node26")));
    assert!(!kind.tolerates("runtime", &value("node26"), &value("node22")));
}

/// Both spellings of a known runtime are one value, so a change from one to the other is no change of the manifest.
#[test]
fn both_spellings_of_a_runtime_are_one_value() {
    let text = |runtime: &str| core_manifest().replace("runtime: node22", &format!("runtime: {runtime}"));
    let runtime = |spelled: &str| {
        let manifest = manifest_of(&text(spelled), &env());
        manifest.text("action", "runtime").map(str::to_owned)
    };
    assert_eq!(runtime("node18-actions").as_deref(), Some("node18"));
    assert_eq!(runtime("node18-actions"), runtime("node18"));
}

#[test]
fn a_runtime_that_can_no_longer_be_deployed_is_refused_at_its_line() {
    let rows = [
        (
            "action:\n  name: Acme phone\n  code: builtin:twilio-verify\n  runtime: ",
            "node16",
            "node22 or node18",
        ),
        (
            "action:\n  name: Acme phone\n  code: builtin:twilio-verify\n  runtime: ",
            "node12",
            "node22 or node18",
        ),
        ("_FEEDBACK_SECRET}\n    runtime: ", "node18", "node22, node24 or node20"),
    ];
    for (before, word, allowed) in rows {
        let old = format!("{before}node22");
        let place = FULL.find(&old).expect("the manifest has it") + before.len();
        let line = FULL[..place].matches('\n').count() + 1;
        let text = FULL.replacen(&old, &format!("{before}{word}"), 1);
        let rejected = lockstep::manifest::parse("test.yaml", &text, &tables()).expect_err(word);
        let drawn = rejected.render(false);
        let shown = "runtime names a release that can no longer be deployed";
        assert!(drawn.contains(shown) && drawn.contains(&format!("must be {allowed}")), "{drawn}");
        assert!(drawn.contains(&format!("test.yaml:{line}:")), "{drawn}");
    }
    let newer = FULL.replacen("runtime: node22", "runtime: node26", 1);
    let (_, warnings) = lockstep::manifest::parse("test.yaml", &newer, &tables())
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)));
    assert!(format!("{warnings:?}").contains("a word that this program does not know"), "{warnings:?}");
}

//! Tests of what a manifest may say about the rules of the post-login Action, and of the problems that it gets.

use lockstep::diag::{Problem, Severity};
use lockstep::engine::apply::Ended;
use lockstep::kinds;
use serde_json::{Value as Json, json};

use super::bed::{Bed, Edits, FULL, edit, manifest, valid};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![an_action_that_was_there_keeps_its_place,];

/// The problems of the rules, as `severity code place: title`. Errors in the manifest's text come as they are.
fn told(edits: &Edits) -> Vec<String> {
    let (text, _) = match manifest(FULL, edits) {
        Ok(manifest) => (manifest, ()),
        Err(text) => return vec![text],
    };
    let mut problems: Vec<Problem> = Vec::new();
    kinds::by_name("mfa_post_login").expect("a kind").check(&text, &mut problems);
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning), "{problems:?}");
    problems.iter().map(|problem| format!("{} {}: {}", problem.code, problem.path, problem.title)).collect()
}

/// Edits for one rule only, beside a policy that asks nobody.
fn only(rule: Json) -> Edits {
    vec![edit("mfa.policy", json!("never")), edit("mfa.post_login.rules", json!({ "it": rule }))]
}

#[test]
fn a_rule_that_can_be_met_is_taken_without_a_word() {
    for rule in [
        json!({ "roles": ["Admin"] }),
        json!({ "applications": ["a"], "factors": ["phone", "otp", "recovery_code"] }),
        json!({ "connections": ["samlp"], "factors": ["webauthn_roaming"], "remember_hours": 0 }),
        json!({ "organizations": ["acme"], "require": "enrollment" }),
    ] {
        assert_eq!(told(&only(rule.clone())), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn what_could_lock_somebody_out_is_an_error() {
    let roles = json!(["Admin"]);
    let cases = [
        (json!({ "roles": roles, "factors": ["email"] }), "no user can enrol one of these factors"),
        (
            json!({ "roles": roles, "factors": ["otp", "push_notification"] }),
            "which mfa.factors switches off",
        ),
        (json!({ "roles": roles, "factors": ["any", "otp"] }), "any and other factors"),
        (json!({ "roles": [] }), "the list is empty"),
        (json!({ "roles": roles, "factors": [] }), "the list is empty"),
        (json!({ "role": roles }), "did you mean roles?"),
        (json!({ "roles": roles, "factors": ["sms"] }), "is not one of the allowed words"),
        (json!({ "roles": roles, "require": "always" }), "is not one of the allowed words"),
        (json!({ "roles": roles, "remember_hours": -1 }), "out of range"),
        (json!(["Admin"]), "a mapping is needed"),
    ];
    for (rule, expected) in cases {
        let told = told(&only(rule.clone()));
        assert!(told.len() == 1 && told[0].contains(expected), "{rule}: {told:?}");
    }
    let mut all_off = only(json!({ "roles": roles }));
    all_off.push(edit(
        "mfa.factors",
        json!({ "phone": false, "otp": false, "email": true, "push_notification": false,
        "webauthn_roaming": false, "webauthn_platform": false }),
    ));
    assert!(told(&all_off)[0].contains("the rule asks for a factor, but none is on"), "{:?}", told(&all_off));
    let mut classic = only(json!({ "roles": roles }));
    classic.extend([
        edit("universal_login.experience", json!("classic")),
        edit("phone.channels", json!(["sms"])),
    ]);
    assert!(told(&classic)[0].contains("the classic login cannot show"), "{:?}", told(&classic));
}

#[test]
fn what_may_surprise_is_a_warning() {
    let place = "mfa.post_login.rules";
    let rows: Vec<(Edits, String)> = vec![
        (only(json!({})), format!("LS0302 {place}.it: the rule fits every login")),
        (only(json!(null)), format!("LS0302 {place}.it: the rule fits every login")),
        (
            vec![edit("mfa.policy", json!("never")), edit(place, json!({}))],
            "LS0301 mfa.post_login: there is no rule, so nobody is asked".into(),
        ),
        (
            vec![edit("mfa.policy", json!("always")), edit(place, json!({ "it": { "roles": ["Admin"] } }))],
            "LS0301 mfa.policy: the rules override this policy".into(),
        ),
        (
            [only(json!({ "roles": ["Admin"], "factors": ["otp", "duo"] })), vec![]].concat(),
            "is not one of the allowed words".into(),
        ),
        (
            [
                only(json!({ "roles": ["Admin"], "factors": ["otp"] })),
                vec![edit("mfa.factors.otp", Json::Null)],
            ]
            .concat(),
            format!("LS0302 {place}.it.factors: the rule takes otp, and nothing here switches it on"),
        ),
        (
            vec![
                edit("mfa.policy", json!("never")),
                edit(
                    place,
                    json!({
                        "a": { "roles": ["Admin"], "factors": ["otp"], "applications": ["one"] },
                        "b": { "roles": ["Owner"], "factors": ["phone"], "applications": ["one", "two"] },
                        "c": { "roles": ["Owner"], "factors": ["phone"], "applications": ["two"] },
                    }),
                ),
            ],
            format!("LS0301 {place}.b.factors: a and b have no factor in common"),
        ),
    ];
    for (edits, expected) in rows {
        let told = told(&edits);
        assert!(told.len() == 1 && told[0].contains(&expected), "{edits:?}: {told:?}");
    }
}

#[test]
fn own_code_takes_the_rules_at_the_marker_or_not_at_all() {
    let mut edits = only(json!({ "roles": ["Admin"] }));
    // Every unknown file has the built-in code of the phone Action, which has neither the handler nor the marker lines.
    edits.push(edit("mfa.post_login.code", json!("./actions/other.js")));
    let told = told(&edits);
    assert!(told[0].contains("the code has no place for the rules"), "{told:?}");
    assert!(told[0].contains("the handler is missing"), "{told:?}");
    edits.pop();
    edits.push(edit("mfa.post_login.code", json!("./actions/mfa.js")));
    let mut bed = Bed::new(valid(FULL, &edits));
    bed.applied();
    let code = bed.with_twin(|twin| super::bed::rules_action(twin).code.clone());
    assert!(code.contains(r#""roles":["Admin"]"#) && code.ends_with("// actions/mfa.js\n"), "{code}");
    assert!(bed.observe().plan.is_empty());
}

/// An Action that is taken over by its name keeps its place, and stays after destroy.
#[test]
fn an_action_that_was_there_keeps_its_place() {
    let mut bed = Bed::new(valid(FULL, &[edit("mfa.post_login.binding.display_name", Json::Null)]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| {
        let trigger = lockstep::twin::TriggerRef::new("post-login", "v3");
        for name in ["Acme MFA", "Theirs"] {
            let id = twin.world.add_deployed_action(crate::support::DOMAIN, name, &trigger, now_ms);
            twin.world.bind(crate::support::DOMAIN, "post-login", &id, name, now_ms);
        }
        let settings = &mut super::bed::tenant(twin).settings;
        settings.insert("customize_mfa_in_postlogin_action".into(), json!(true));
    });
    // Destroy would switch off a factor that the remaining rules need: that is refused.
    let mut other = bed.stack.twin.borrow().clone();
    bed.with_twin(|twin| {
        let factors = &mut super::bed::tenant(twin).factors;
        factors.iter_mut().filter(|factor| factor.name == "otp").for_each(|factor| factor.enabled = true);
        std::mem::swap(twin, &mut other);
    });
    bed.applied();
    let stuck = bed.destroy();
    assert!(matches!(&stuck.ended, Ended::Failed(text) if text.contains("the rule admins")), "{stuck:?}");
    bed.with_twin(|twin| std::mem::swap(twin, &mut other));
    let bound = |bed: &Bed| {
        bed.with_twin(|twin| {
            let tenant = super::bed::tenant(twin);
            tenant.bound("post-login").iter().map(|binding| binding.display_name.clone()).collect::<Vec<_>>()
        })
    };
    let plan = bed.observe().plan;
    let deploy = plan.steps.iter().find(|step| step.address == "mfa_post_login" && step.what == "deploy");
    let danger = deploy.and_then(|step| step.danger.clone()).unwrap_or_default();
    assert!(danger.contains("admins"), "it is bound already, so its deployment counts: {danger}");
    assert_eq!(bed.applied().ended, Ended::Done);
    assert_eq!(bound(&bed), ["Acme MFA", "Acme login feedback", "Theirs"]);
    assert!(bed.observe().plan.is_empty());
    bed.destroyed();
    assert_eq!(bound(&bed), ["Acme MFA", "Theirs"], "it was there before us");
    let flag =
        bed.with_twin(|twin| super::bed::tenant(twin).settings["customize_mfa_in_postlogin_action"].clone());
    assert_eq!(flag, json!(true));
}

#[test]
fn the_example_of_the_readme_is_taken_as_it_stands() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```yaml\n").find(|block| block.contains("post_login:")).expect("an example");
    let text = block
        .split("```")
        .next()
        .expect("a block")
        .replace("env.BACKOFFICE_CLIENT_ID", "env.AUTH0_CLIENT_ID");
    let example: Json = serde_yaml::from_str(&text).expect("YAML");
    let edits = vec![edit("mfa", example["mfa"].clone())];
    assert_eq!(told(&edits), Vec::<String>::new());
    let mut bed = Bed::new(valid(FULL, &edits));
    bed.applied();
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn code_that_cannot_run_is_refused_with_its_place() {
    for name in lockstep::builtin::NAMES {
        let source = lockstep::builtin::source(name).expect(name);
        assert!(lockstep::javascript::parse(source).is_ok(), "{name}");
    }
    for place in ["action", "feedback.function", "mfa.post_login"] {
        for (file, expected) in [
            ("./actions/broken.js", &["the code does not parse", "line 3, column 1"][..]),
            ("./actions/comment.js", &["the handler is missing"][..]),
        ] {
            let mut edits = only(json!({ "roles": ["Admin"] }));
            edits.push(edit(format!("{place}.code"), json!(file)));
            let told = told(&edits);
            let said = |part: &&str| told.iter().any(|text| text.contains(*part) && text.contains(place));
            assert!(expected.iter().all(said), "{place}: {told:?}");
        }
    }
}

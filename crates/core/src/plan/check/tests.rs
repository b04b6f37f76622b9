//! Tests of each rule and of the delivery path. Facts are written as in a plan.

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::kinds::step;
use crate::model::facts::Facts;
use crate::model::plan::{Op, Verb};

fn facts(pairs: &[(&str, Json)]) -> Facts {
    let object: Map<String, Json> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    serde_json::from_value(Json::Object(object)).expect("facts")
}

fn path(facts: &Facts) -> LoginPath {
    LoginPath::from(facts)
}

fn losses(start: &Facts, steps: &[Step]) -> Vec<Loss> {
    super::losses(&path(start), steps)
}

#[test]
fn users_with_the_phone_alone_are_not_left_with_what_nobody_knows() {
    // The sender was not read.
    let of = |types: Json, more: &[(&str, Json)]| {
        let mut facts = facts(&[
            ("policy", json!("always")),
            ("factor.sms", json!(true)),
            ("factor.otp", json!(false)),
            ("message_types", types),
        ]);
        facts.extend(self::facts(more));
        facts
    };
    let (both, voice) = (json!(["sms", "voice"]), json!(["voice"]));
    assert!(path(&of(both.clone(), &[])).strands(&path(&of(voice.clone(), &[]))));
    for way_out in [("factor.otp", json!(true)), ("policy", json!("never"))] {
        let after = of(voice.clone(), std::slice::from_ref(&way_out));
        assert!(!path(&of(both.clone(), &[])).strands(&path(&after)), "{way_out:?}");
    }
    assert!(!path(&of(voice.clone(), &[])).strands(&path(&of(both.clone(), &[]))), "nothing is taken away");
    let mut known = working();
    known.extend(self::facts(&[("message_types", both), ("provider.methods", json!(["text", "voice"]))]));
    let narrow = self::facts(&[("message_types", voice)]);
    let after: Facts = known.clone().into_iter().chain(narrow).collect();
    assert!(!path(&known).strands(&path(&after)), "codes come by voice");
}

fn working() -> Facts {
    facts(&[
        ("policy", json!("always")),
        ("factor.sms", json!(true)),
        ("message_types", json!(["sms"])),
        ("provider", json!("custom")),
        ("provider.methods", json!(["text"])),
        ("unified", json!(true)),
        ("action", json!("deployed")),
        ("bound", json!(true)),
        ("service", json!(true)),
        ("feedback", json!("active")),
    ])
}

fn one_step(effects: &[(&str, Json)]) -> Vec<Step> {
    let mut step = step(&"x".into(), "x", Verb::Update, Stage::Tenant, "x", Op::default());
    step.number = 1;
    step.effects = facts(effects);
    vec![step]
}

#[test]
fn each_pillar_that_is_taken_away_is_a_loss() {
    let cases: &[(&str, Json, bool)] = &[
        ("factor.sms", json!(false), true),
        ("message_types", json!([]), true),
        ("provider", json!("disabled"), true),
        ("provider.methods", json!(["voice"]), true),
        ("action", json!("absent"), true),
        ("bound", json!(false), true),
        ("service", json!(false), true),
        ("feedback", json!("absent"), false),
        ("feedback", json!("paused"), false),
    ];
    for (key, value, locks_out) in cases {
        let losses = losses(&working(), &one_step(&[(key, value.clone())]));
        assert!(!losses.is_empty(), "{key}");
        assert_eq!(losses.iter().any(|loss| loss.absolute), *locks_out, "{key}: {losses:?}");
    }
    assert!(losses(&working(), &one_step(&[("policy", json!("never"))])).is_empty());
    assert!(losses(&working(), &one_step(&[("service", json!(true))])).is_empty());
}

/// A path whose rules run: phone or an app satisfies one rule, only a key the other.
fn with_rules() -> Facts {
    let mut facts = working();
    facts.extend(self::facts(&[
        ("policy", json!("never")),
        ("factor.otp", json!(true)),
        ("factor.webauthn-roaming", json!(true)),
        ("customize", json!(true)),
        ("rules.action", json!("deployed")),
        ("rules.bound", json!(true)),
        ("rules", json!({ "staff": ["otp", "sms"], "admins": ["webauthn-roaming"] })),
    ]));
    facts
}

#[test]
fn what_a_rule_depends_on_is_a_loss() {
    let cases: &[(&str, Json, Option<bool>)] = &[
        ("factor.otp", json!(false), Some(false)),
        ("factor.webauthn-roaming", json!(false), Some(true)),
        ("factor.email", json!(false), None),
        ("customize", json!(false), Some(true)),
        ("login", json!("classic"), Some(true)),
        ("rules.bound", json!(false), None),
        ("rules", json!({ "staff": ["otp"] }), None),
        ("rules", json!({ "staff": ["push-notification"] }), None),
    ];
    for (key, value, absolute) in cases {
        let losses = losses(&with_rules(), &one_step(&[(key, value.clone())]));
        let worst = losses.iter().map(|loss| loss.absolute).max();
        assert_eq!(worst, *absolute, "{key}: {losses:?}");
    }
    // An unreported factor may be on; a factor that is known to be off is unusable.
    let mut start = with_rules();
    start.extend(facts(&[("factor.push-notification", json!(false))]));
    let narrow = one_step(&[("rules", json!({ "staff": ["push-notification"] }))]);
    assert!(losses(&start, &narrow).iter().any(|loss| loss.absolute));
}

#[test]
fn a_rule_by_phone_depends_on_the_whole_path() {
    let mut start = with_rules();
    start.extend(facts(&[("rules", json!({ "staff": ["sms"] }))]));
    for (key, value) in [
        ("provider", json!("disabled")),
        ("service", json!(false)),
        ("bound", json!(false)),
        ("message_types", json!([])),
        ("factor.sms", json!(false)),
    ] {
        let losses = losses(&start, &one_step(&[(key, value)]));
        assert!(losses.iter().any(|loss| loss.absolute && loss.what.contains("staff")), "{key}: {losses:?}");
    }
    // A step is not blamed for what was broken before it.
    start.extend(facts(&[("factor.sms", json!(false))]));
    let losses = losses(&start, &one_step(&[("factor.otp", json!(true))]));
    assert!(losses.is_empty(), "{losses:?}");
}

/// While Actions asked for factors, nobody noticed that no user can satisfy the policy.
#[test]
fn a_policy_that_asks_again_is_a_loss() {
    let mut start = facts(&[
        ("policy", json!("always")),
        ("customize", json!(true)),
        ("factor.otp", json!(false)),
        ("factor.sms", json!(false)),
    ]);
    let off = one_step(&[("customize", json!(false))]);
    assert!(losses(&start, &off).iter().any(|loss| loss.absolute && loss.what.contains("demanded")));
    start.extend(facts(&[("customize", json!(false))]));
    assert!(losses(&start, &off).is_empty(), "it was off before");
}

/// Code with a rule that nobody can satisfy is not deployed again.
#[test]
fn a_rule_that_nobody_can_meet_is_not_deployed_again() {
    let mut start = with_rules();
    start.extend(facts(&[("factor.webauthn-roaming", json!(false))]));
    let losses = losses(&start, &one_step(&[("rules.action", json!("deployed"))]));
    assert!(losses.iter().any(|loss| loss.absolute && loss.what.contains("admins")), "{losses:?}");
}

#[test]
fn rules_before_their_factors_are_absolute() {
    let cases: &[(&[(&str, Json)], &str)] = &[
        (&[("factor.webauthn-roaming", json!(false))], "admins"),
        (&[("rules.action", json!("draft"))], "deployed"),
        (&[("customize", json!(false))], "cannot ask"),
        (&[("login", json!("classic"))], "cannot ask"),
    ];
    for (state, word) in cases {
        let mut start = with_rules();
        start.extend(facts(state));
        start.extend(facts(&[("rules.bound", json!(false))]));
        let losses = losses(&start, &one_step(&[("rules.bound", json!(true))]));
        assert!(losses.iter().any(|loss| loss.absolute && loss.what.contains(word)), "{state:?}: {losses:?}");
    }
}

#[test]
fn a_function_that_goes_takes_the_feedback_along() {
    let url = json!("https://f-1.twil.io/auth0-logs");
    let mut fed = working();
    fed.extend(facts(&[
        ("feedback.endpoint", url.clone()),
        ("function", json!("deployed")),
        ("function.url", url.clone()),
    ]));
    for state in ["absent", "undeployed"] {
        let losses = losses(&fed, &one_step(&[("function", json!(state))]));
        assert!(losses.len() == 1 && !losses[0].absolute, "{state}: {losses:?}");
    }
    let mut moved = fed.clone();
    moved.extend(facts(&[("feedback.endpoint", json!("https://elsewhere.example/"))]));
    assert!(losses(&moved, &one_step(&[("function", json!("absent"))])).is_empty(), "nothing is sent to it");
    // The stream is switched to a Function that does not serve.
    let mut early = moved.clone();
    early.extend(facts(&[("function", json!("undeployed"))]));
    assert_eq!(losses(&early, &one_step(&[("feedback.endpoint", url)])).len(), 1);
}

#[test]
fn a_rate_limit_stands_as_long_as_the_deployed_code_passes_it() {
    let mut start = working();
    start.extend(facts(&[("limit.a", json!(true)), ("action.limits", json!(["a"]))]));
    let absolute = |start: &Facts, effects: &[(&str, Json)]| {
        let found = losses(start, &one_step(effects));
        (!found.is_empty(), found.iter().any(|loss| loss.absolute))
    };
    // Policy and factor depend on the limit, so nobody could log in.
    assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (true, true));
    start.extend(facts(&[("policy", json!("never"))]));
    assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (true, false), "named, to be confirmed");
    let deployed = |names: Json| [("action", json!("deployed")), ("action.limits", names)];
    assert_eq!(absolute(&start, &deployed(json!(["a"]))), (false, false));
    assert_eq!(absolute(&start, &deployed(json!(["b"]))), (false, false), "nothing is known of b");
    start.extend(facts(&[("limit.b", json!(false))]));
    assert_eq!(absolute(&start, &deployed(json!(["a", "b"]))), (true, true));

    // A rename in order: the new limit is made, the new code is deployed, the old limit is removed.
    let mut steps: Vec<Step> = Vec::new();
    let rename: [&[(&str, Json)]; 3] =
        [&[("limit.b", json!(true))], &deployed(json!(["b"])), &[("limit.a", json!(false))]];
    for (index, effects) in rename.into_iter().enumerate() {
        steps.extend(one_step(effects).into_iter().map(|step| Step { number: index + 1, ..step }));
    }
    assert_eq!(losses(&start, &steps), []);
    for wrong in [[1, 0, 2], [2, 0, 1], [0, 2, 1]] {
        let order: Vec<Step> = wrong.iter().map(|at| steps[*at].clone()).collect();
        assert!(!losses(&start, &order).is_empty(), "{wrong:?}");
    }
    // Nothing is claimed about unreadable code and a removed Action.
    start.extend(facts(&[("action.limits", Json::Null)]));
    assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (false, false));
    let gone = [("action.limits", json!(["a"])), ("action", json!("absent")), ("bound", json!(false))];
    start.extend(facts(&gone));
    assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (false, false));
    // What is bound exists, so another Action was found absent.
    start.extend(facts(&[("bound", json!(true))]));
    assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (true, false));
}

#[test]
fn unbinding_names_the_loss_where_nobody_could_read_who_sends() {
    let mut start = working();
    start.extend(facts(&[("unified", json!(false)), ("legacy_bound", json!(true))]));
    let named = |start: &Facts| {
        let found = losses(start, &one_step(&[("legacy_bound", json!(false))]));
        found.iter().any(|loss| loss.what.contains("codes by SMS"))
    };
    start.take(|fact| matches!(fact, Fact::Selected(_)));
    assert!(named(&start), "not read");
    start.extend(facts(&[("selected", json!("twilio"))]));
    assert!(!named(&start), "somebody else sends");
}

#[test]
fn a_missing_rate_limit_is_a_pillar_that_is_gone() {
    let mut start = working();
    start.extend(facts(&[("limit.a", json!(false)), ("action.limits", json!(["a"]))]));
    assert!(path(&start).locked_out(), "no message leaves");
    start.extend(facts(&[("policy", json!("never"))]));
    start.extend(facts(&[("factor.sms", json!(false))]));
    let found = losses(&start, &one_step(&[("factor.sms", json!(true))]));
    assert!(found.iter().any(|loss| loss.absolute), "{found:?}");
}

#[test]
fn exposing_before_the_pillars_stand_is_absolute() {
    let mut start = working();
    start.extend(facts(&[
        ("policy", json!("never")),
        ("factor.sms", json!(false)),
        ("action", json!("draft")),
    ]));
    start.extend(facts(&[
        ("provider", json!("absent")),
        ("provider.methods", json!([])),
        ("bound", json!(false)),
    ]));
    for (key, value) in [
        ("factor.sms", json!(true)),
        ("bound", json!(true)),
        ("provider", json!("custom")),
        ("policy", json!("always")),
    ] {
        let losses = losses(&start, &one_step(&[(key, value)]));
        assert!(losses.iter().any(|loss| loss.absolute), "{key}: {losses:?}");
    }
}

//! Tests of the feedback by a post-login Action: its place behind the rules, on the way up and down, under kills and edits.

use lockstep::engine::apply::Ended;
use lockstep::model::codes;
use lockstep::model::plan::{Level, Plan, Verb};
use lockstep::shell::in_process::Stop;

use super::bench::{Bench, all, shown};
use crate::support::{DOMAIN, core_manifest};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    it_stands_behind_the_rules_whichever_comes_first,
    it_goes_back_behind_the_rules_when_somebody_moves_it,
    it_is_fed_before_verify_sends_and_until_nobody_has_the_phone,
    without_it_the_plan_says_what_is_lost,
];

const REPORTER: &str = "Lockstep feedback (acme-login)";
const RULES: &str = "Lockstep MFA (acme-login)";

/// The core stack without a stream, with these parts.
fn text(rules: bool, action: bool) -> String {
    let core = core_manifest();
    let (start, rest) = core.split_once("\nfeedback:\n").expect("a section");
    let (_, rest) = rest.split_once("\n\n").expect("what follows");
    let core = format!("{start}\n\n{rest}").replace("policy: always", "policy: never");
    let asks = "mfa:\n  post_login:\n    rules:\n      admins: { roles: [Admin], factors: [phone, otp] }\n";
    let core = if rules { core.replace("mfa:\n", asks) } else { core };
    let reports = "feedback:\n  action: { api_key: \"${env.TWILIO_FEEDBACK_KEY}\", api_secret: \"${env.TWILIO_FEEDBACK_SECRET}\" }\n";
    if action { format!("{core}\n{reports}") } else { core }
}

fn bench(rules: bool, action: bool) -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.text = text(rules, action);
    bench
}

fn applied() -> Bench {
    let mut bench = bench(true, true);
    bench.stack.applied();
    bench.losses();
    bench
}

fn at(plan: &Plan, address: &str) -> usize {
    let found = plan
        .steps
        .iter()
        .position(|step| step.address == address && step.what != "put the draft and build it");
    found.unwrap_or_else(|| panic!("{address}: {}", shown(plan)))
}

#[test]
fn it_stands_behind_the_rules_whichever_comes_first() {
    let both = ["Their enrichment", "Their audit", RULES, REPORTER];
    let mut together = bench(true, true);
    together.converge("both at once");
    assert_eq!(together.bound_to_post_login(), both);

    let mut later = bench(true, false);
    later.converge("the rules");
    later.stack.text = text(true, true);
    later.converge("then the feedback");
    assert_eq!(later.bound_to_post_login(), both);

    // A run that died after the feedback was bound finds no rules yet.
    let mut died = bench(true, true);
    let plan = died.plan();
    assert!(at(&plan, "feedback_action_binding") < at(&plan, "mfa_post_login_binding"), "{}", shown(&plan));
    died.stack.text =
        text(true, true).replace("rules:\n", "binding: { position: before Their audit }\n    rules:\n");
    died.converge("the rules have a place of their own");
    assert_eq!(died.bound_to_post_login(), ["Their enrichment", RULES, "Their audit", REPORTER]);
}

#[test]
fn it_goes_back_behind_the_rules_when_somebody_moves_it() {
    let mut bench = applied();
    bench.world().tenant_mut(DOMAIN).bindings.get_mut("post-login").expect("bound").rotate_right(1);
    assert_eq!(bench.bound_to_post_login()[0], REPORTER);
    let plan = bench.plan();
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.address.as_str()).collect();
    assert_eq!(steps, ["feedback_action_binding"], "{}", shown(&plan));
    bench.converge("moved");
    assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit", RULES, REPORTER]);
}

#[test]
fn it_is_fed_before_verify_sends_and_until_nobody_has_the_phone() {
    let mut up = bench(true, true);
    let plan = up.plan();
    let bound = at(&plan, "feedback_action_binding");
    assert!(at(&plan, "feedback_action") < bound && bound < at(&plan, "phone_provider"), "{}", shown(&plan));
    assert!(plan.findings.iter().all(|one| one.code != codes::NO_FEEDBACK), "{}", shown(&plan));
    let note =
        plan.findings.iter().find(|one| one.address == "feedback.action").expect("what it does not see");
    assert_eq!((note.level, note.code), (Level::Note, codes::WHAT_IS_REPORTED));

    let down = applied().stack.try_observe(true).expect("readable").plan;
    let unbound = at(&down, "feedback_action_binding");
    let off = down.steps.iter().position(|step| step.address == "mfa_factor.phone").expect("it goes off");
    assert!(off < unbound && down.steps[unbound].verb == Verb::Delete, "{}", shown(&down));
    assert!(down.findings.iter().all(|one| one.code != codes::NO_FEEDBACK), "{}", shown(&down));
}

#[test]
fn without_it_the_plan_says_what_is_lost() {
    let mut bench = applied();
    bench.stack.text = text(true, false);
    bench.stack.allow_delete = true;
    let plan = bench.plan();
    let dangers: Vec<&str> = plan.steps.iter().filter_map(|step| step.danger.as_deref()).collect();
    assert!(dangers.iter().any(|words| words.contains("no feedback reaches Verify")), "{}", shown(&plan));
    bench.converge("taken out");
    assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit", RULES]);
}

#[test]
fn a_killed_first_apply_and_a_killed_destroy_are_finished_by_the_next() {
    for destroy in [false, true] {
        let prepared = if destroy { applied() } else { bench(true, true) };
        let mut whole = prepared.fork();
        let mark = whole.stack.mark();
        assert_eq!(whole.ended(destroy), Ended::Done);
        let length = whole.requests(mark);
        all((0..=length).step_by(3).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
            let story =
                format!("destroy {destroy}, killed after {k} of {length}, before the reply: {before_reply}");
            let mut bench = prepared.fork();
            let _ = bench.run(Stop::kill(k, before_reply), destroy);
            bench.later();
            if destroy {
                assert_eq!(bench.ended(true), Ended::Done, "{story}");
                assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit"], "{story}");
                let mut world = bench.world();
                let left: Vec<&str> =
                    world.tenant_mut(DOMAIN).actions.iter().map(|action| action.name.as_str()).collect();
                assert!(!left.contains(&REPORTER) && !left.contains(&RULES), "{story}: {left:?}");
            } else {
                bench.converge(&story);
                bench.once_at_most(&story);
                assert_eq!(
                    bench.bound_to_post_login(),
                    ["Their enrichment", "Their audit", RULES, REPORTER],
                    "{story}"
                );
            }
        });
    }
}

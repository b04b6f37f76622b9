//! Tests of the post-login Action with its rules, beside other people's Actions, under faults and edits.

use lockstep::engine::apply::Ended;
use lockstep::model::plan::{Level, Verb};
use lockstep::shell::in_process::Stop;
use lockstep::twin::{ALL_SCOPES, Options, Twin};
use serde_json::json;

use super::bench::{Bench, RULES, all, shown};
use super::single::{faults, survives};
use crate::support::{DOMAIN, core_manifest, options};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    the_rules_take_their_place_among_the_others,
    the_part_goes_by_itself_when_it_leaves_the_manifest,
    what_users_notice_is_said_before,
    a_factor_that_a_running_rule_needs_is_not_taken_away,
    the_rules_are_read_out_of_the_code_that_runs,
    factors_that_others_manage_count,
    what_the_rules_need_is_read_again_right_before,
    a_tenant_with_the_classic_login_is_not_given_rules,
    absent_means_no_request_and_present_means_one_more,
    a_full_trigger_is_told_before,
    a_rule_that_grows_is_looked_at_right_before_too,
    without_the_right_to_read_the_login_pages_the_rules_go_on,
    what_was_there_before_an_unfinished_run_is_not_ours,
];

/// The core stack with rules: one that two factors meet, one that only the phone meets.
fn with_rules() -> String {
    let rules = "mfa:\n  post_login:\n    binding:\n      position: before Their audit\n    rules:\n      \
                 admins:\n        roles: [Admin]\n        factors: [phone, otp]\n      staff:\n        \
                 organizations: [acme-staff]\n        factors: [phone]\n";
    core_manifest().replace("mfa:\n", rules).replace("policy: always", "policy: never")
}

pub fn bench() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.text = with_rules();
    bench
}

pub fn applied() -> Bench {
    let mut bench = bench();
    bench.stack.applied();
    assert_eq!(bench.losses(), Vec::<String>::new());
    bench
}

fn rules_versions(bench: &Bench) -> usize {
    let mut world = bench.world();
    let actions = &world.tenant_mut(DOMAIN).actions;
    actions.iter().find(|action| action.name == RULES).map_or(0, |action| action.versions.len())
}

fn length(make: fn() -> Bench, destroy: bool) -> usize {
    let mut bench = make();
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(destroy), Ended::Done);
    bench.requests(mark)
}

#[test]
fn the_rules_take_their_place_among_the_others() {
    let mut bench = bench();
    bench.converge("first apply");
    assert_eq!(bench.losses(), Vec::<String>::new());
    assert_eq!(bench.bound_to_post_login(), ["Their enrichment", RULES, "Their audit"]);
    assert_eq!(rules_versions(&bench), 1);
    // Somebody adds an Action and moves ours to the end. Ours goes back, and the others keep their order.
    {
        let mut world = bench.world();
        let trigger = lockstep::twin::TriggerRef::new("post-login", "v3");
        let id = world.add_deployed_action(DOMAIN, "Newer", &trigger, crate::support::START_MS);
        world.bind(DOMAIN, "post-login", &id, "Newer", crate::support::START_MS);
        let list = world.tenant_mut(DOMAIN).bindings.get_mut("post-login").expect("bound");
        let ours = list.remove(1);
        list.push(ours);
    }
    bench.converge("moved");
    assert_eq!(bench.bound_to_post_login(), ["Their enrichment", RULES, "Their audit", "Newer"]);
    assert_eq!(rules_versions(&bench), 1, "a place is no new version");
    assert_eq!(bench.losses(), Vec::<String>::new());
}

#[test]
fn a_killed_first_apply_is_finished_by_the_next() {
    let length = length(bench, false);
    let prepared = bench();
    all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        bench.converge(&story);
        bench.once_at_most(&story);
        assert!(rules_versions(&bench) <= 2, "{story}: {} versions", rules_versions(&bench));
        assert_eq!(bench.bound_to_post_login(), ["Their enrichment", RULES, "Their audit"], "{story}");
        let losses = bench.losses();
        assert!(
            losses.iter().all(|loss| !loss.contains("rule") && !loss.contains("foreign")),
            "{story}: {losses:?}"
        );
    });
}

#[test]
fn a_killed_destroy_is_finished_by_the_next() {
    let former = bench().snapshot();
    let length = length(applied, true);
    let prepared = applied();
    all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), true);
        bench.later();
        assert_eq!(bench.ended(true), Ended::Done, "{story}");
        let mut now = bench.snapshot();
        let tenant = now.tenant_mut(DOMAIN).clone();
        let mut then = former.clone();
        assert_eq!(tenant.settings, then.tenant_mut(DOMAIN).settings, "{story}");
        assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit"], "{story}");
        assert!(tenant.actions.iter().all(|action| action.name != RULES), "{story}");
        let losses = bench.losses();
        assert!(
            losses.iter().all(|loss| !loss.contains("rule") && !loss.contains("foreign")),
            "{story}: {losses:?}"
        );
    });
}

#[test]
fn the_part_goes_by_itself_when_it_leaves_the_manifest() {
    let mut bench = applied();
    bench.stack.text = core_manifest().replace("policy: always", "policy: never");
    let plan = bench.plan();
    assert!(plan.blockers().any(|finding| finding.help.contains("--allow-delete")), "{}", shown(&plan));
    bench.stack.allow_delete = true;
    let plan = bench.plan();
    let order: Vec<&str> = plan.steps.iter().map(|step| step.address.as_str()).collect();
    assert_eq!(
        order,
        ["mfa_post_login_binding", "mfa_post_login_setting", "mfa_post_login"],
        "{}",
        shown(&plan)
    );
    assert!(plan.steps[..2].iter().all(|step| step.danger.is_some()), "{:?}", plan.steps);
    bench.converge("taken out");
    assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit"]);
    assert_eq!(rules_versions(&bench), 0);
    assert_eq!(bench.losses(), Vec::<String>::new());
    let flag = bench.world().tenant_mut(DOMAIN).settings["customize_mfa_in_postlogin_action"].clone();
    assert_eq!(flag, json!(false), "as it was");
}

/// The words of the dangerous steps, by address.
fn dangers(bench: &mut Bench) -> Vec<(String, String)> {
    let plan = bench.plan();
    let steps = plan.steps.into_iter().filter_map(|step| Some((step.address.to_string(), step.danger?)));
    steps.collect()
}

#[test]
fn what_users_notice_is_said_before() {
    let mut bench = bench();
    let told = dangers(&mut bench);
    let of = |told: &[(String, String)], address: &str| {
        told.iter().find(|(at, _)| at == address).map(|(_, words)| words.clone())
    };
    assert_eq!(of(&told, "mfa_post_login"), None, "a deployment that nobody meets yet");
    let words = of(&told, "mfa_post_login_binding").expect("dangerous");
    assert!(words.contains("admins (roles Admin: otp or phone)") && words.contains("staff"), "{words}");
    assert!(of(&told, "mfa_post_login_setting").is_some_and(|words| words.contains("always")));
    bench.stack.applied();
    bench.stack.text = with_rules().replace("roles: [Admin]", "roles: [Admin, Owner]");
    let words = of(&dangers(&mut bench), "mfa_post_login").expect("dangerous");
    assert!(words.contains("Admin or Owner"), "{words}");
    bench.stack.text = with_rules().replace("    binding:", "    runtime: node18\n    binding:");
    assert_eq!(of(&dangers(&mut bench), "mfa_post_login"), None, "another runtime asks nobody else");
}

#[test]
fn a_factor_that_a_running_rule_needs_is_not_taken_away() {
    let mut bench = applied();
    // The manifest would change the rule in the same plan, but until then the tenant's running rule needs the factor.
    let text = with_rules().replace("phone: on", "phone: off").replace("[phone, otp]", "[otp]");
    bench.stack.text = text.replace("factors: [phone]\n", "factors: [otp]\n");
    let plan = bench.plan();
    let unsafe_step = plan.blockers().any(|finding| finding.text.contains("the rule staff demands"));
    assert!(unsafe_step, "{}", shown(&plan));
    // It works in two applies: first the rules, then the factor.
    bench.stack.text = with_rules().replace("[phone, otp]", "[otp]").replace("[phone]\n", "[otp]\n");
    bench.stack.applied();
    bench.stack.text = text.replace("factors: [phone]\n", "factors: [otp]\n");
    bench.stack.allow_delete = true;
    bench.stack.applied();
    let losses = bench.losses();
    assert!(losses.iter().all(|loss| !loss.contains("rule")), "{losses:?}");
}

/// The running code counts, not the record or the manifest.
#[test]
fn the_rules_are_read_out_of_the_code_that_runs() {
    let mut bench = applied();
    {
        let mut world = bench.world();
        let actions = &mut world.tenant_mut(DOMAIN).actions;
        let action = actions.iter_mut().find(|action| action.name == RULES).expect("ours");
        for code in
            [&mut action.code].into_iter().chain(action.versions.iter_mut().map(|live| &mut live.code))
        {
            *code = code.replace(r#"["otp","phone"]"#, r#"["otp"]"#);
        }
    }
    bench.stack.text = with_rules().replace("otp: on ", "otp: off ").replace("[phone, otp]", "[phone]");
    let plan = bench.plan();
    let names_it = plan.blockers().any(|finding| finding.text.contains("the rule admins demands"));
    assert!(names_it, "{}", shown(&plan));
}

#[test]
fn factors_that_others_manage_count() {
    let text =
        with_rules().replace("    otp: on ", "    # otp: on ").replace("[phone]\n", "[webauthn_roaming]\n");
    let mut bench = bench();
    bench.stack.text = text;
    let plan = bench.plan();
    let names_it = plan.blockers().any(|finding| finding.text.contains("the rule staff demands"));
    assert!(names_it, "nobody switched the key on: {}", shown(&plan));
    let switch = |bench: &Bench, name: &str| {
        let mut world = bench.world();
        let factors = &mut world.tenant_mut(DOMAIN).factors;
        factors.iter_mut().find(|factor| factor.name == name).expect(name).enabled = true;
    };
    switch(&bench, "webauthn-roaming");
    bench.converge("switched on by hand");
    assert_eq!(bench.losses(), Vec::<String>::new());
}

#[test]
fn what_the_rules_need_is_read_again_right_before() {
    type Change = fn(&mut Twin);
    let cases: &[(&str, Change)] = &[
        ("the rule staff", |twin| {
            let factors = &mut twin.tenant_mut(DOMAIN).factors;
            factors
                .iter_mut()
                .filter(|factor| factor.name == "sms")
                .for_each(|factor| factor.enabled = false);
        }),
        ("the phone provider", |twin| twin.tenant_mut(DOMAIN).phone_providers[0].disabled = true),
        ("let Actions ask", |twin| {
            let settings = &mut twin.tenant_mut(DOMAIN).settings;
            settings.insert("customize_mfa_in_postlogin_action".into(), json!(false));
        }),
        ("the classic login", |twin| {
            twin.tenant_mut(DOMAIN).prompts.universal_login_experience = "classic".into();
        }),
    ];
    for (word, change) in cases {
        let mut bench = bench();
        // The moment after our Action is deployed, when only the binding is left to do.
        bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, _| {
            let actions = &twin.tenant_mut(DOMAIN).actions;
            if actions.iter().any(|action| action.name == RULES && action.deployment.is_some()) {
                change(twin);
            }
        }));
        let ended = bench.ended(false);
        assert!(matches!(&ended, Ended::Failed(text) if text.contains(word)), "{word}: {ended:?}");
        assert_eq!(bench.bound_to_post_login(), ["Their enrichment", "Their audit"], "{word}");
        bench.calm();
    }
}

#[test]
fn a_tenant_with_the_classic_login_is_not_given_rules() {
    let mut bench = bench();
    bench.stack.text = with_rules() + "\nuniversal_login:\n  identifier_first: true\n";
    bench.world().tenant_mut(DOMAIN).prompts.universal_login_experience = "classic".into();
    let plan = bench.plan();
    let text = "the logins that a rule fits fail";
    assert!(plan.blockers().any(|finding| finding.text.contains(text)), "{}", shown(&plan));
}

#[test]
fn absent_means_no_request_and_present_means_one_more() {
    let paths = |text: String| {
        let mut bench = Bench::crowded();
        bench.stack.text = text;
        bench.stack.applied();
        let mark = bench.stack.mark();
        assert!(bench.plan().is_empty());
        let log = bench.stack.log_since(mark);
        log.into_iter()
            .map(|entry| entry.path.split('?').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let (without, with) = (paths(core_manifest()), paths(with_rules()));
    let more: Vec<&String> = with.iter().filter(|path| !without.contains(path)).collect();
    assert_eq!(more, ["/api/v2/actions/triggers/post-login/bindings"]);
    assert_eq!(with.len(), without.len() + 1, "{with:?}");
}

#[test]
fn a_full_trigger_is_told_before() {
    let mut bench = bench();
    {
        let mut world = bench.world();
        let trigger = lockstep::twin::TriggerRef::new("post-login", "v3");
        for number in 0..18 {
            let name = format!("Theirs {number}");
            let id = world.add_deployed_action(DOMAIN, &name, &trigger, crate::support::START_MS);
            world.bind(DOMAIN, "post-login", &id, &name, crate::support::START_MS);
        }
    }
    let plan = bench.plan();
    let blocker = plan
        .findings
        .iter()
        .any(|finding| finding.level == Level::Blocker && finding.text.contains("may have 20"));
    assert!(blocker, "{}", shown(&plan));
}

/// The rules come in the second half of a first apply; other tests cover the first half.
#[test]
fn a_fault_at_every_request_around_the_rules() {
    let length = length(bench, false);
    let fresh = bench();
    let faults: Vec<_> =
        faults().into_iter().filter(|(name, _)| name.contains("after") || *name == "403").collect();
    let cases = faults.into_iter().flat_map(|(name, what)| {
        (length / 2..=length).map(move |k| (format!("{name} at {k} of {length}"), k, what.clone()))
    });
    all(cases, |(story, k, what)| survives(&fresh, &story, &[(k, what)]));
}

/// While the Action is bound, its deployment makes the rules count.
#[test]
fn a_rule_that_grows_is_looked_at_right_before_too() {
    let mut bench = applied();
    bench.stack.text = with_rules().replace("factors: [phone]\n", "factors: [otp]\n");
    bench.watch.borrow_mut().meddle = Some(Box::new(|twin, _, _| {
        let drafted = twin.tenant_mut(DOMAIN).actions.iter().any(|action| {
            let live = action.live_version().map(|live| live.code.clone());
            action.name == RULES && live.is_some_and(|live| live != action.code)
        });
        if drafted {
            let factors = &mut twin.tenant_mut(DOMAIN).factors;
            factors
                .iter_mut()
                .filter(|factor| factor.name == "otp")
                .for_each(|factor| factor.enabled = false);
        }
    }));
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("the rule staff")), "{ended:?}");
    assert_eq!(rules_versions(&bench), 1, "not deployed");
}

#[test]
fn without_the_right_to_read_the_login_pages_the_rules_go_on() {
    let scopes = ALL_SCOPES.iter().filter(|scope| **scope != "read:prompts").map(|scope| (*scope).to_owned());
    let mut bench = Bench::new(Options { scopes: Some(scopes.collect()), ..options() }, with_rules());
    super::bench::crowd(&mut bench.world());
    bench.converge("no read:prompts");
    // If nobody here manages what a new rule depends on, it has to be readable.
    let scopes =
        ALL_SCOPES.iter().filter(|scope| **scope != "read:mfa_policies").map(|scope| (*scope).to_owned());
    let text = with_rules().replace("  policy: never", "  # policy: never");
    let mut bench = Bench::new(Options { scopes: Some(scopes.collect()), ..options() }, text);
    super::bench::crowd(&mut bench.world());
    let plan = bench.plan();
    assert!(plan.blockers().any(|finding| finding.text.contains("could not be read")), "{}", shown(&plan));
}

/// A run dies after it has written its intent. Then the manifest gets the name of somebody else's Action. That Action
/// is taken over, and not mistaken for one that the dead run made.
#[test]
fn what_was_there_before_an_unfinished_run_is_not_ours() {
    let theirs = |bench: &Bench| {
        let mut world = bench.world();
        let all = &world.tenant_mut(DOMAIN).actions;
        all.iter().find(|action| action.name == "Their audit").map(|action| action.id.clone())
    };
    all(12..=15, |k| {
        let mut bench = bench();
        let id = theirs(&bench);
        assert!(id.is_some(), "somebody has it");
        assert!(bench.run(Stop::kill(k, true), false).is_none(), "killed at {k}");
        bench.later();
        let named = "post_login:\n    name: Their audit\n";
        bench.stack.text = with_rules()
            .replace("post_login:\n", named)
            .replace("      position: before Their audit\n", "      display_name: Rules\n");
        bench.converge(&format!("killed at {k}, then another name"));
        assert_eq!(theirs(&bench), id, "killed at {k}: taken over");
        let goes = bench.stack.try_observe(true).expect("readable").plan.steps;
        let deleted = goes.iter().any(|step| step.verb == Verb::Delete && step.address == "mfa_post_login");
        assert!(!deleted, "killed at {k}: a destroy would delete what is theirs");
    });
}

//! Tests of two stacks on one tenant: what each leaves behind, and what the other depends on.

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::model::plan::{Cause, Finding, Plan};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::{Action, ActionVersion};
use serde_json::{Map, Value as Json, json};

use super::bench::{ACTION, Bench, shown};
use crate::fields::bed::edit_action;
use crate::support::{ACCOUNT, DOMAIN, START_MS, core_manifest, ledger_file, options};

/// The second stack: it takes over the first stack's Action by its name, and sends through its own service.
fn second() -> String {
    core_manifest()
        .replace("stack: acme-login", "stack: acme-second")
        .replace("friendly_name: Acme", "friendly_name: Second")
        .replace("action:\n", &format!("action:\n  name: {ACTION}\n"))
        .replace("  secrets:\n", "  secrets:\n    REGION: ${env.TWILIO_SENDER_SECRET}\n")
}

fn services(bench: &Bench) -> Vec<String> {
    let mut world = bench.world();
    let all = &world.account_mut(ACCOUNT).verify_services;
    all.iter().map(|service| service.friendly_name.clone()).collect()
}

fn sender(bench: &Bench) -> Action {
    let mut world = bench.world();
    let actions = &world.tenant_mut(DOMAIN).actions;
    actions.iter().find(|action| action.name == ACTION).cloned().expect("the Action")
}

/// What users lost. The bench counts the objects of the second stack as foreign.
fn losses(bench: &Bench) -> Vec<String> {
    bench.losses().into_iter().filter(|loss| !loss.contains("foreign")).collect()
}

/// A bench on which both stacks were applied, the second one over the first.
fn both() -> Bench {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    assert_eq!(services(&bench), ["Acme", "Second"]);
    bench.losses();
    bench.later();
    bench
}

/// What an Action runs, without the ids and times of the version.
fn runs(action: &Action) -> Json {
    let version = serde_json::to_value(action.live_version().expect("deployed")).expect("plain data");
    let parts = ["code", "dependencies", "runtime", "secrets"];
    parts.iter().map(|part| ((*part).to_owned(), version[*part].clone())).collect::<Map<_, _>>().into()
}

#[test]
fn the_version_that_ran_before_a_takeover_runs_again_when_the_stack_goes() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    let before = runs(&sender(&bench));
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    assert_ne!(runs(&sender(&bench)), before);
    bench.losses();
    bench.later();
    let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
    let step = plan.steps.iter().find(|step| step.address == "action").expect("a step");
    let danger = step.danger.as_deref().unwrap_or_default();
    assert!(danger.contains("runs again") && danger.contains("nobody can prove"), "{danger}");
    let forked = bench.fork();
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(runs(&sender(&bench)), before);
    let action = sender(&bench);
    assert_eq!(
        (action.secrets.len(), action.code.as_str()),
        (4, before["code"].as_str().expect("code")),
        "the draft too"
    );
    assert_eq!(services(&bench), ["Acme"]);
    assert_eq!(losses(&bench), [""; 0]);
    // After a kill at any request, the next run finishes the destroy.
    for after in [false, true] {
        for k in 1..40 {
            let mut bench = forked.fork();
            let _ = bench.run(Stop::kill(k, after), true);
            bench.later();
            assert_eq!(bench.ended(true), Ended::Done, "killed at {k}, {after}");
            assert_eq!(runs(&sender(&bench)), before, "killed at {k}, {after}");
            assert_eq!(services(&bench), ["Acme"], "killed at {k}, {after}");
            assert!(sender(&bench).versions.len() <= 4, "killed at {k}, {after}");
        }
    }
}

#[test]
fn a_module_that_was_there_before_a_takeover_is_not_new_and_one_added_later_is_told() {
    let module = |name: &str| json!({ "module_id": name, "module_version_id": "v", "module_name": name });
    let add = |bench: &mut Bench, name: &str| {
        edit_action(&mut bench.stack.twin.borrow_mut(), START_MS, |action, _| {
            action.modules.push(module(name))
        });
    };
    let told = |bench: &mut Bench| -> Vec<String> {
        let findings = bench.plan().findings;
        findings.into_iter().map(|one| one.text).filter(|text| text.contains("modules")).collect()
    };
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    add(&mut bench, "before");
    assert_eq!(told(&mut bench), ["the Action uses modules that the manifest does not name: before"]);
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    assert_eq!(told(&mut bench), [""; 0]);
    // A destroy brings back the former version with its modules. The plan shows modules only if the present ones
    // differ.
    let goes_back = |bench: &mut Bench| -> Vec<_> {
        let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
        let changes =
            plan.resources.into_iter().filter(|one| one.address == "action").flat_map(|one| one.changes);
        changes.filter(|one| one.field == "modules").map(|one| (one.old, one.new)).collect()
    };
    assert_eq!(goes_back(&mut bench), []);
    add(&mut bench, "later");
    assert_eq!(told(&mut bench), ["the Action uses modules that the manifest does not name: later"]);
}

/// The destroy is killed after the former version is deployed and before the record says so.
#[test]
fn what_a_killed_destroy_brought_back_is_no_change_by_others() {
    let prepared = both();
    let causes = |bench: &mut Bench| -> Vec<(String, Cause)> {
        let plan = bench.plan();
        let action = plan.resources.iter().find(|one| one.address == "action").expect("a resource");
        action.changes.iter().map(|change| (change.field.clone(), change.cause)).collect()
    };
    let mut told = 0;
    for k in 1..40 {
        let mut bench = prepared.fork();
        let versions = sender(&bench).versions.len();
        let ended = bench.run(Stop::kill(k, true), true);
        if ended.is_some() || sender(&bench).versions.len() == versions {
            continue;
        }
        bench.later();
        let mut edited = bench.fork();
        // The record may already be deleted.
        let is_told =
            |plan: &Plan| plan.findings.iter().any(|one| one.text.contains("did not report its end"));
        if !is_told(&bench.plan()) {
            continue;
        }
        let changes = causes(&mut bench);
        assert!(changes.iter().any(|(field, _)| field == "secrets.REGION"), "killed at {k}: {changes:?}");
        let theirs = changes.iter().find(|(_, cause)| *cause != Cause::Unfinished);
        assert_eq!(theirs, None, "killed at {k}: {changes:?}");
        told += 1;
        // What others change after that is reported as theirs.
        {
            let mut world = edited.world();
            let actions = &mut world.tenant_mut(DOMAIN).actions;
            let action = actions.iter_mut().find(|action| action.name == ACTION).expect("the Action");
            action.dependencies.clear();
            action.draft_version = None;
        }
        let changes = causes(&mut edited);
        let theirs = changes
            .iter()
            .any(|(field, cause)| field.starts_with("dependencies.") && *cause == Cause::TenantChanged);
        assert!(theirs, "killed at {k}: {changes:?}");
    }
    assert!(told > 0, "no kill fell between the deployment and its record");
}

#[test]
fn a_version_that_cannot_come_back_is_told_and_what_runs_keeps_its_service() {
    type Change = fn(&mut Action);
    let table: [(&str, Change); 4] = [
        // Only the draft changes: the running version is still ours.
        ("changed its draft", |action| {
            action.code += "\n// theirs";
            action.draft_version = None;
        }),
        ("is gone", |action| drop(action.versions.remove(0))),
        ("other code", |action| action.code += "\n// theirs"),
        ("other code", |action| {
            let live = action.versions.last_mut().expect("one");
            live.secrets[0].updated_at = LATER.into();
        }),
    ];
    for (why, change) in table {
        let mut bench = both();
        {
            let mut world = bench.world();
            let actions = &mut world.tenant_mut(DOMAIN).actions;
            change(actions.iter_mut().find(|action| action.name == ACTION).expect("the Action"));
        }
        let before = sender(&bench);
        let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
        let told = plan.findings.iter().find(|one| one.address == "action" && one.text.contains(why));
        assert!(told.is_some(), "{why}: {}", shown(&plan));
        assert_eq!(bench.ended(true), Ended::Done, "{why}");
        assert_eq!(sender(&bench), before, "{why}");
        assert_eq!(services(&bench), ["Acme", "Second"], "{why}");
    }
}

#[test]
fn a_service_that_an_action_which_stays_sends_through_is_not_deleted() {
    let mut bench = both();
    gone_by(&bench);
    let before = sender(&bench);
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(services(&bench), ["Acme", "Second"], "the Action still sends through the second");
    assert_eq!(sender(&bench), before);
    assert_eq!(losses(&bench), [""; 0]);
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "the first one wants it");
}

/// Removes the first version, which ran before the second stack, as after more than fifty versions.
fn gone_by(bench: &Bench) {
    let mut world = bench.world();
    let actions = &mut world.tenant_mut(DOMAIN).actions;
    actions.iter_mut().find(|action| action.name == ACTION).expect("the Action").versions.remove(0);
}

/// The second stack has the phone off, which the first one wants on.
fn without_the_phone(text: &str) -> String {
    text.replace("    phone: on\n", "    phone: off\n")
}

fn phone_is_on(bench: &Bench) -> bool {
    bench.world().tenant_mut(DOMAIN).factor_enabled("sms")
}

#[test]
fn a_factor_comes_back_that_an_action_which_stays_sends_for() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    bench.stack.text = without_the_phone(&second());
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    assert!(!phone_is_on(&bench));
    bench.later();
    gone_by(&bench);
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(services(&bench), ["Acme", "Second"], "the Action still sends through the second");
    assert!(phone_is_on(&bench), "its codes come, as before");
}

#[test]
fn a_factor_comes_back_whose_codes_never_went_through_what_goes() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    let runs = sender(&bench).live_version().cloned();
    // The second stack gets only as far as the draft.
    bench.stack.text = without_the_phone(&second()).replace("6.2.0", "0.0.0-fail");
    bench.later();
    assert!(matches!(bench.ended(false), Ended::Failed(text) if text.contains("build")), "the second");
    assert!(!phone_is_on(&bench));
    assert_eq!(sender(&bench).live_version().cloned(), runs, "what ran before runs");
    bench.later();
    let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
    let words: Vec<&str> = plan.steps.iter().filter_map(|step| step.danger.as_deref()).collect();
    assert!(words.iter().all(|words| !words.contains("phone messages")), "{words:?}");
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(services(&bench), ["Acme"]);
    assert!(phone_is_on(&bench), "its codes come, as before");
}

/// The second stack got as far as its service. The running version of the first stack is younger than that service. It
/// can know the service only if its secrets are younger too, or if its code names the service.
#[test]
fn a_service_stays_only_where_what_ran_before_may_know_it() {
    let mut first = Bench::new(options(), core_manifest());
    first.converge("the first");
    first.stack.text = second();
    first.later();
    let began = |k: usize| {
        let mut bench = first.fork();
        let _ = bench.run(Stop::kill(k, true), false);
        (services(&bench).len() == 2).then_some(bench)
    };
    let began = (1..60).find_map(began).expect("its service");
    let sid = began.world().account_mut(ACCOUNT).verify_services[1].sid.clone();
    type Change = fn(&mut ActionVersion, &str);
    let table: [(&str, Change, &[&str]); 4] = [
        ("as it was", |_, _| {}, &["Acme"]),
        ("a secret", |version, _| version.secrets[0].updated_at = LATER.into(), &["Acme", "Second"]),
        ("a module", |version, _| version.modules = vec![json!({})], &["Acme", "Second"]),
        ("its code", |version, sid| version.code += &format!("// {sid}"), &["Acme", "Second"]),
    ];
    for (why, change, left) in table {
        let mut bench = began.fork();
        made_late(&bench, |version| change(version, &sid));
        let before = sender(&bench).live_version().cloned().expect("deployed");
        bench.later();
        assert_eq!(bench.ended(false), Ended::Done, "{why}: the second");
        bench.later();
        assert_eq!(bench.ended(true), Ended::Done, "{why}: the second goes");
        let after = sender(&bench).live_version().cloned().expect("deployed");
        let told = |version: &ActionVersion| {
            let secrets = version.secrets.iter().map(|secret| (secret.name.clone(), secret.value.clone()));
            (version.code.clone(), secrets.collect::<Vec<_>>())
        };
        assert!(told(&after) == told(&before), "{why}: what ran before runs");
        assert_eq!(services(&bench), left, "{why}");
    }
}

/// Later than everything that a bench does.
const LATER: &str = "2026-11-21T00:00:00.000000001Z";

/// Makes the running version look as if it had been made late, and changes it.
fn made_late(bench: &Bench, change: impl FnOnce(&mut ActionVersion)) {
    let mut world = bench.world();
    let actions = &mut world.tenant_mut(DOMAIN).actions;
    let action = actions.iter_mut().find(|action| action.name == ACTION).expect("the Action");
    let live = action.live_version().expect("deployed").id.clone();
    let version = action.versions.iter_mut().find(|version| version.id == live).expect("the version");
    version.created_at = LATER.into();
    change(version);
    let (code, secrets) = (version.code.clone(), version.secrets.clone());
    (action.code, action.secrets) = (code, secrets);
}

/// A manifest whose users have only the phone, under a policy that asks.
fn phone_alone(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("    otp: ")).map(|line| format!("{line}\n")).collect()
}

/// A bench whose users have only the phone. The second stack was applied over the first. Then somebody deleted the
/// first stack's service, through which nothing sends any more.
fn both_by_phone(second: &str) -> Bench {
    let mut bench = Bench::new(options(), phone_alone(&core_manifest()));
    bench.converge("the first");
    bench.stack.text = second.to_owned();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    assert_eq!(services(&bench), ["Acme", "Second"]);
    bench.world().account_mut(ACCOUNT).verify_services.remove(0);
    bench.losses();
    bench.later();
    bench
}

fn lockouts(bench: &Bench) -> Vec<String> {
    bench.losses().into_iter().filter(|loss| loss.contains("locked out")).collect()
}

/// The former version comes back, and nobody can prove that it still works. The factor that the second stack brought
/// therefore stays.
#[test]
fn a_factor_stays_where_logins_would_have_a_former_version_alone() {
    let mut bench = both_by_phone(&second());
    let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
    let told = |one: &&Finding| one.address == "mfa_factor.otp" && one.text.contains("nobody can prove");
    assert!(plan.findings.iter().any(|one| told(&one)), "{}", shown(&plan));
    let forked = bench.fork();
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("otp"));
    assert_eq!(services(&bench), [""; 0], "what runs knows the first one's");
    assert_eq!(lockouts(&bench), [""; 0]);
    // After a kill at any request, the next run does the same.
    for k in 1..40 {
        let mut bench = forked.fork();
        let _ = bench.run(Stop::kill(k, true), true);
        bench.later();
        assert_eq!(bench.ended(true), Ended::Done, "killed at {k}");
        assert_eq!(lockouts(&bench), [""; 0], "killed at {k}");
    }
}

/// No other factor is on, so the running version stays, with its service.
#[test]
fn a_former_version_does_not_come_back_where_logins_have_the_phone_alone() {
    let mut bench = both_by_phone(&phone_alone(&second()));
    let before = runs(&sender(&bench));
    let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
    let told = |one: &&Finding| one.address == "action" && one.text.contains("nobody can prove");
    assert!(plan.findings.iter().any(|one| told(&one)), "{}", shown(&plan));
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(runs(&sender(&bench)), before);
    assert_eq!(services(&bench), ["Second"]);
    assert_eq!(losses(&bench), [""; 0]);
}

#[test]
fn what_another_stack_has_on_record_since_stays_when_the_first_goes() {
    let mut bench = both();
    bench.stack.text = core_manifest();
    let before = sender(&bench);
    let plan = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}")).plan;
    for address in ["action", "trigger_binding", "phone_provider", "mfa_factor.phone", "mfa_policy"] {
        assert!(plan.steps.iter().all(|step| step.address != address), "{address} would go");
        let said = plan.findings.iter().any(|one| one.address == address && one.text.contains("acme-second"));
        assert!(said, "{address}: {:?}", plan.findings);
    }
    assert_eq!(bench.ended(true), Ended::Done, "the first goes");
    assert_eq!(sender(&bench), before);
    assert_eq!(losses(&bench), [""; 0]);
    bench.stack.text = second();
    bench.later();
    assert!(bench.plan().is_empty(), "the second is as it was");
}

/// The record of the second stack is in a file. The record of the first stack is in the tenant, and is read there.
#[test]
fn a_stack_with_its_record_in_a_file_goes_beside_another_one() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    let before = runs(&sender(&bench));
    bench.stack.store = Store::File(ledger_file());
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    bench.losses();
    bench.later();
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(runs(&sender(&bench)), before);
    assert_eq!(losses(&bench), [""; 0]);
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "the first one wants it");
}

/// The second stack is applied between the plan and the lease of the first one.
#[test]
fn what_is_taken_over_while_the_plan_is_read_is_seen_under_the_lease() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    let stale = bench.stack.try_observe(true).unwrap_or_else(|failed| panic!("{failed}"));
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    bench.stack.text = core_manifest();
    let session = bench.stack.session(true);
    let wishes = lockstep::engine::apply::Wishes::default();
    let ended = bench.stack.process(lockstep::shell::in_process::Stop::default(), |port| async move {
        lockstep::engine::apply::apply(&session, stale, wishes, &port).await.ended
    });
    assert_eq!(ended, Some(Ended::Moved), "planned anew");
}

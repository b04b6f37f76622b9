//! Two stacks on one tenant: what one of them leaves behind, and what the other one stands on.

use std::rc::Rc;

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::twin::world::Action;

use super::bench::{ACTION, Bench, Memory};
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options};

/// Takes the first one's Action over by its name, and has it send through a service of its own.
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

/// What users lost. What belongs to the second one is foreign to the bench.
fn losses(bench: &Bench) -> Vec<String> {
    bench.losses().into_iter().filter(|loss| !loss.contains("foreign")).collect()
}

/// Both were applied, the second one over the first.
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

#[test]
fn a_service_that_an_action_which_stays_sends_through_is_not_deleted() {
    let mut bench = both();
    let before = sender(&bench);
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(services(&bench), ["Acme", "Second"], "the Action still sends through the second");
    assert_eq!(sender(&bench), before);
    assert_eq!(losses(&bench), [""; 0]);
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "the first one wants it");
}

/// The second one has the phone off, which the first one wants on.
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
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(services(&bench), ["Acme", "Second"], "the Action still sends through the second");
    assert!(phone_is_on(&bench), "its codes come, as before");
}

#[test]
fn a_factor_comes_back_whose_codes_never_went_through_what_goes() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    let runs = sender(&bench).live_version().cloned();
    // The second one gets as far as the draft.
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

/// A record in a file says nothing of the other stack, whose record is in the tenant all the same.
#[test]
fn a_stack_with_its_record_in_a_file_goes_beside_another_one() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("the first");
    bench.stack.store = Store::File(Rc::new(Memory::default()));
    bench.stack.text = second();
    bench.later();
    assert_eq!(bench.ended(false), Ended::Done, "the second");
    bench.losses();
    bench.later();
    let before = sender(&bench);
    assert_eq!(bench.ended(true), Ended::Done, "the second goes");
    assert_eq!(sender(&bench), before);
    assert_eq!(losses(&bench), [""; 0]);
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "the first one wants it");
}

/// The second one is applied between the first one's plan and its lease.
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

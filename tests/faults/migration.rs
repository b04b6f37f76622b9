//! Tests of the legacy phone set-up, of the migration away from it, and of the refusal to go back.

use lockstep::engine::apply::{Ended, Wishes, apply};
use lockstep::engine::observe::Observation;
use lockstep::kinds;
use lockstep::model::api::Method;
use lockstep::model::facts::Facts;
use lockstep::model::login_path::LoginPath;
use lockstep::model::plan::{Finding, Level, Plan, Stage};
use lockstep::plan::check;
use lockstep::port::Port;
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::Action;
use lockstep::twin::{Flag, Options, Rule, TriggerRef, Twin, What, When};

use super::bench::{ACTION as UNIFIED, Bench, LEGACY, NAMED, all, crowd, leases, shown};
use crate::support::{ACCOUNT, DOMAIN, START_MS, core_manifest};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    the_legacy_stack_is_applied_once_and_destroyed_to_what_was_there,
    a_bound_action_of_somebody_else_on_the_legacy_trigger_is_a_conflict,
    an_action_of_somebody_else_that_is_not_bound_is_left_alone,
    a_bound_action_that_the_manifest_names_stays_beside_ours,
    the_legacy_calls_are_out_of_reach_with_the_unified_experience,
    one_refused_legacy_call_says_nothing_of_the_experience,
    unbinding_names_its_loss_though_nobody_recorded_who_sends,
    a_migration_loses_nothing_and_takes_the_old_objects_away_a_day_later,
    what_is_due_stays_while_the_new_way_does_not_deliver,
    what_is_due_is_looked_at_again_right_before_it_goes,
    a_legacy_action_that_others_changed_since_the_plan_is_not_deleted,
    one_name_serves_both_ways,
    the_way_back_is_refused_with_the_reason,
    a_migration_that_was_called_off_before_the_flag_goes_back,
    a_provider_that_nothing_sends_by_yet_is_not_called_the_tenants_way_to_send,
    a_former_value_that_nothing_carries_any_more_is_left_and_destroy_ends,
];

const DAY_MS: u64 = 24 * 3_600_000;

pub fn legacy_manifest() -> String {
    core_manifest().replace("delivery: unified", "delivery: legacy")
}

/// An older tenant with objects of other people.
pub fn older(flag: Flag) -> Bench {
    let options = Options { unified_flag: flag, ..crate::support::options() };
    let bench = Bench::new(options, legacy_manifest());
    crowd(&mut bench.world());
    bench
}

/// The legacy stack works, and the manifest now asks for the unified way.
pub fn asked(flag: Flag) -> Bench {
    let mut bench = older(flag);
    bench.stack.applied();
    bench.stack.text = core_manifest();
    bench.losses();
    bench
}

fn named(bench: &Bench, name: &str) -> Option<Action> {
    bench.world().tenant_mut(DOMAIN).actions.iter().find(|action| action.name == name).cloned()
}

fn bound(bench: &Bench, trigger: &str) -> usize {
    bench.world().tenant_mut(DOMAIN).bound(trigger).len()
}

fn selected(bench: &Bench) -> String {
    bench.world().tenant_mut(DOMAIN).legacy_phone.selected_provider.clone()
}

fn waits(plan: &Plan) -> Vec<&str> {
    plan.deferred.iter().map(|later| later.address.as_str()).collect()
}

/// Checks that everything legacy is gone and everything unified is in place.
fn moved_on(bench: &mut Bench, story: &str) {
    assert!(named(bench, LEGACY).is_none(), "{story}: the legacy Action is still there");
    assert!(named(bench, UNIFIED).is_some_and(|a| a.live_version().is_some()), "{story}: not deployed");
    assert_eq!(
        (bound(bench, "send-phone-message"), bound(bench, "custom-phone-provider")),
        (0, 1),
        "{story}"
    );
    let mut world = bench.world();
    let tenant = world.tenant_mut(DOMAIN);
    assert!(tenant.unified(), "{story}: the flag is off");
    assert_eq!(tenant.phone_providers.len(), 1, "{story}: providers");
    let acme =
        world.account_mut(ACCOUNT).verify_services.iter().filter(|s| s.friendly_name == "Acme").count();
    assert_eq!(acme, 1, "{story}: Verify services");
}

#[test]
fn the_legacy_stack_is_applied_once_and_destroyed_to_what_was_there() {
    for flag in [Flag::Off, Flag::Absent] {
        let mut bench = older(flag);
        let former = bench.snapshot();
        assert_eq!(bench.ended(false), Ended::Done);
        assert_eq!(bench.losses(), Vec::<String>::new());
        bench.at_rest("legacy");
        let action = named(&bench, LEGACY).expect("the Action");
        assert_eq!(action.supported_triggers, [TriggerRef::new("send-phone-message", "v2")]);
        let code = &action.live_version().expect("deployed").code;
        assert!(code.contains("onExecuteSendPhoneMessage") && !code.contains("onExecuteCustomPhoneProvider"));
        assert_eq!(
            (selected(&bench).as_str(), bound(&bench, "send-phone-message")),
            ("phone-message-hook", 1)
        );
        {
            let mut world = bench.world();
            let tenant = world.tenant_mut(DOMAIN);
            assert!(tenant.phone_providers.is_empty() && !tenant.unified());
            assert_eq!(tenant.message_types.as_deref(), Some(&["sms".to_owned(), "voice".to_owned()][..]));
        }
        assert_eq!(bench.ended(true), Ended::Done);
        assert_eq!(bench.losses().iter().filter(|loss| loss.contains("locked")).count(), 0);
        assert!(bench.snapshot() == former, "destroy leaves what was there");
    }
}

#[test]
fn a_killed_legacy_apply_is_finished_by_the_next() {
    let mut first = older(Flag::Off);
    let mark = first.stack.mark();
    assert_eq!(first.ended(false), Ended::Done);
    let length = first.requests(mark);
    all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = older(Flag::Off);
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        assert_eq!(bench.ended(false), Ended::Done, "{story}");
        bench.at_rest(&story);
        assert_eq!(bench.losses(), Vec::<String>::new(), "{story}");
        let named = bench.world().tenant_mut(DOMAIN).actions.iter().filter(|a| a.name == LEGACY).count();
        assert_eq!((named, bound(&bench, "send-phone-message")), (1, 1), "{story}");
    });
}

#[test]
fn a_bound_action_of_somebody_else_on_the_legacy_trigger_is_a_conflict() {
    let mut bench = older(Flag::Off);
    theirs(&bench, true);
    let plan = bench.plan();
    let blockers: Vec<&Finding> = plan.blockers().collect();
    let [blocker] = blockers.as_slice() else { panic!("{blockers:?}") };
    assert!(
        blocker.text.contains("another Action is bound to send-phone-message: Their sender"),
        "{blocker:?}"
    );
    assert!(blocker.help.contains("action.binding.beside"), "{blocker:?}");
}

/// Adds somebody else's deployed Action on the legacy trigger.
fn theirs(bench: &Bench, is_bound: bool) {
    let mut world = bench.world();
    let trigger = TriggerRef::new("send-phone-message", "v2");
    let id = world.add_deployed_action(DOMAIN, "Their sender", &trigger, START_MS);
    if is_bound {
        world.bind(DOMAIN, "send-phone-message", &id, "Their place", START_MS);
    }
}

#[test]
fn an_action_of_somebody_else_that_is_not_bound_is_left_alone() {
    let mut bench = older(Flag::Off);
    theirs(&bench, false);
    let before = named(&bench, "Their sender");
    bench.stack.applied();
    let plan = bench.plan();
    assert!(plan.is_empty() && plan.blockers().next().is_none(), "{}", shown(&plan));
    assert_eq!((named(&bench, "Their sender"), bound(&bench, "send-phone-message")), (before, 1));
}

#[test]
fn a_bound_action_that_the_manifest_names_stays_beside_ours() {
    for name in ["Their sender", "Their place"] {
        let mut bench = older(Flag::Off);
        theirs(&bench, true);
        let binding = format!("action:\n  binding:\n    beside: [{name}]\n");
        bench.stack.text = bench.stack.text.replacen("action:\n", &binding, 1);
        bench.stack.applied();
        assert_eq!(bound(&bench, "send-phone-message"), 2, "{name}");
        let plan = bench.plan();
        let told = plan.findings.iter().any(|finding| finding.address == "legacy_binding");
        assert!(plan.is_empty() && !told, "{name}: {}", shown(&plan));
        let ended = bench.ended(true);
        assert!(matches!(ended, Ended::Done), "{name}: {ended:?}");
        assert_eq!(bound(&bench, "send-phone-message"), 1, "{name}: theirs stays");
    }
}

#[test]
fn the_legacy_calls_are_out_of_reach_with_the_unified_experience() {
    for code in [None, Some("feature_not_enabled"), Some("insufficient_scope")] {
        let code = code.map(str::to_owned);
        let options = Options { unified_error_code: code, ..crate::support::options() };
        let mut bench = Bench::new(options, legacy_manifest());
        let plan = bench.plan();
        let found = |address: &str, words: &str| {
            plan.blockers().any(|finding| finding.address == address && finding.text.contains(words))
        };
        assert!(
            found("phone_selected_provider", "as if the unified phone experience were on"),
            "{}",
            shown(&plan)
        );
        assert!(found("unified_phone", "does not switch it back"), "{}", shown(&plan));
        // Only this part is blocked: everything else was read and is planned.
        assert!(plan.findings.iter().all(|finding| finding.level != Level::NotRead), "{}", shown(&plan));
        assert!(plan.resources.iter().any(|resource| resource.address == "log_stream"));
        let mark = bench.stack.mark();
        assert!(matches!(bench.ended(false), Ended::Failed(_)));
        assert!(bench.writes_since(mark).is_empty());
    }
}

/// From now on these paths are answered with 403.
fn forbid(bench: &Bench, paths: &[&str]) {
    let rule = |path: &&str| Rule {
        when: When::Matching { method: Some(Method::Get), host: None, path: Some((*path).into()), nth: 1 },
        what: What::Forbidden,
        times: 10_000,
        matched: 0,
    };
    bench.stack.twin.borrow_mut().faults.rules.extend(paths.iter().map(rule));
}

const SELECTED: &str = "/api/v2/guardian/factors/phone/selected-provider";
const TEMPLATES: &str = "/api/v2/guardian/factors/phone/templates";

#[test]
fn one_refused_legacy_call_says_nothing_of_the_experience() {
    let told = |paths: &[&str]| {
        let mut bench = older(Flag::Absent);
        bench.stack.applied();
        forbid(&bench, paths);
        let plan = bench.plan();
        let of = |finding: &&Finding| finding.address == "phone_selected_provider";
        let texts: Vec<String> =
            plan.findings.iter().filter(of).map(|finding| finding.text.clone()).collect();
        texts.join("; ")
    };
    let one = told(&[SELECTED]);
    assert!(one.contains("not read") && !one.contains("experience were on"), "{one}");
    let both = told(&[SELECTED, TEMPLATES]);
    assert!(both.contains("as if the unified phone experience were on"), "{both}");
    assert_eq!(told(&[TEMPLATES]), "", "it was read, and nobody asks about the texts");
}

#[test]
fn unbinding_names_its_loss_though_nobody_recorded_who_sends() {
    let mut bench = older(Flag::Off);
    {
        // The phone factor was on before the stack, so destroy leaves it on.
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        tenant
            .factors
            .iter_mut()
            .filter(|factor| factor.name == "sms")
            .for_each(|factor| factor.enabled = true);
        tenant.message_types = Some(vec!["sms".into()]);
    }
    bench.stack.applied();
    super::ledgers::rewrite(&bench, |ledger| drop(ledger.resources.remove("phone_selected_provider")));
    let unbinds = |plan: &Plan| {
        let step = plan.steps.iter().find(|step| step.stage == Stage::Unbind).expect("unbinds");
        step.danger.clone().unwrap_or_default()
    };
    let plan = bench.stack.try_observe(true).expect("read").plan;
    assert!(unbinds(&plan).contains("codes by SMS stop working"), "{}", shown(&plan));
    forbid(&bench, &[SELECTED]);
    let plan = bench.stack.try_observe(true).expect("read").plan;
    assert!(plan.blockers().any(|finding| finding.text.contains("could not be read")), "{}", shown(&plan));
    assert!(unbinds(&plan).contains("codes by SMS stop working"), "{}", shown(&plan));
}

#[test]
fn a_migration_loses_nothing_and_takes_the_old_objects_away_a_day_later() {
    for flag in [Flag::Off, Flag::Absent] {
        let mut bench = asked(flag);
        let plan = bench.plan();
        assert_eq!(waits(&plan), ["legacy_binding", "legacy_action"]);
        assert!(plan.deferred.iter().all(|later| later.not_before.is_none()));
        assert_eq!(bench.ended(false), Ended::Done);
        assert_eq!(bench.losses(), Vec::<String>::new());
        assert!(bench.world().tenant_mut(DOMAIN).unified());
        assert_eq!((bound(&bench, "send-phone-message"), bound(&bench, "custom-phone-provider")), (1, 1));
        bench.at_rest("migrated");
        let plan = bench.plan();
        assert_eq!(waits(&plan), ["legacy_binding", "legacy_action"]);
        assert!(plan.deferred.iter().all(|later| later.not_before.is_some()), "{:?}", plan.deferred);

        bench.stack.in_process.advance_ms(DAY_MS - 3_600_000);
        bench.at_rest("an hour too early");
        bench.stack.in_process.advance_ms(2 * 3_600_000);
        let plan = bench.plan();
        assert!(plan.deferred.is_empty());
        let steps: Vec<&str> = plan.steps.iter().map(|step| step.address.as_str()).collect();
        assert_eq!(steps, ["legacy_binding", "legacy_action"]);
        assert_eq!(plan.blockers().count(), 0, "{}", shown(&plan));
        assert_eq!(bench.ended(false), Ended::Done);
        assert_eq!(bench.losses(), Vec::<String>::new());
        bench.at_rest("later");
        moved_on(&mut bench, "later");
    }
}

#[test]
fn what_is_due_stays_while_the_new_way_does_not_deliver() {
    let mut bench = asked(Flag::Off);
    bench.stack.applied();
    bench.stack.in_process.advance_ms(2 * DAY_MS);
    bench.world().tenant_mut(DOMAIN).phone_providers[0].disabled = true;
    let plan = bench.plan();
    assert_eq!(waits(&plan), ["legacy_binding", "legacy_action"]);
    assert!(plan.steps.iter().all(|step| step.address == "phone_provider"), "{}", shown(&plan));
    assert_eq!(bench.ended(false), Ended::Done);
    bench.at_rest("mended");
    assert!(named(&bench, LEGACY).is_some(), "the wait begins anew");
    bench.stack.in_process.advance_ms(DAY_MS + 3_600_000);
    assert_eq!(bench.ended(false), Ended::Done);
    moved_on(&mut bench, "mended first");
}

/// A migrated tenant on the day on which the legacy set-up is due to be removed.
fn due(flag: Flag) -> Bench {
    let mut bench = asked(flag);
    bench.stack.applied();
    bench.stack.in_process.advance_ms(DAY_MS + 3_600_000);
    bench.losses();
    bench
}

/// Somebody else acts once the run has its lease, and so after everything of its plan was read.
fn acts_under_the_lease(bench: &Bench, act: fn(&mut Twin)) {
    let mut acted = false;
    bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, _| {
        if !acted && leases(&mut twin.world) > 0 {
            acted = true;
            act(twin);
        }
    }));
}

fn action_of<'a>(twin: &'a mut Twin, name: &str) -> &'a mut Action {
    let actions = &mut twin.tenant_mut(DOMAIN).actions;
    actions.iter_mut().find(|action| action.name == name).expect("an Action")
}

type Attack = (&'static str, fn(&mut Twin), &'static str);

/// Ways in which the unified delivery is lost between a plan and its steps, each with a part of the message.
const LOST_WAYS: &[Attack] = &[
    (
        "the legacy set-up is given back",
        |twin| {
            let off = serde_json::json!(false);
            twin.tenant_mut(DOMAIN).settings.insert("phone_consolidated_experience".into(), off);
        },
        "the unified phone experience is off",
    ),
    (
        "the provider is disabled",
        |twin| twin.tenant_mut(DOMAIN).phone_providers[0].disabled = true,
        "the phone provider is missing or has changed",
    ),
    (
        "the new Action is unbound",
        |twin| drop(twin.tenant_mut(DOMAIN).bindings.remove("custom-phone-provider")),
        "the Action's binding is missing or has changed",
    ),
    (
        "the new Action gets other code",
        |twin| {
            let action = action_of(twin, UNIFIED);
            action.versions.iter_mut().for_each(|version| version.code = "// theirs".into());
        },
        "the code of the deployed Action is missing or has changed",
    ),
    (
        "the Verify service goes",
        |twin| twin.world.account_mut(ACCOUNT).verify_services.retain(|one| one.friendly_name != "Acme"),
        "Verify service",
    ),
];

#[test]
fn what_is_due_is_looked_at_again_right_before_it_goes() {
    for (story, act, said) in LOST_WAYS {
        let mut bench = due(Flag::Off);
        let mark = bench.stack.mark();
        acts_under_the_lease(&bench, *act);
        let ended = bench.ended(false);
        let stays = |text: &str| {
            text.contains("legacy_binding") && text.contains("it is not removed") && text.contains(said)
        };
        assert!(matches!(&ended, Ended::Failed(text) if stays(text)), "{story}: {ended:?}");
        assert!(named(&bench, LEGACY).is_some() && bound(&bench, "send-phone-message") == 1, "{story}");
        let writes = bench.writes_since(mark);
        let touches = |path: &&String| path.contains("bindings") || path.contains("DELETE /api/v2/actions");
        assert_eq!(writes.iter().find(touches), None, "{story}");
    }
    // If the flag cannot be read, the legacy calls tell whether it is on.
    let mut bench = due(Flag::Absent);
    acts_under_the_lease(&bench, |twin| {
        let tenant = twin.tenant_mut(DOMAIN);
        tenant.settings.remove("phone_consolidated_experience");
        tenant.unified_if_absent = false;
    });
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(_)), "{ended:?}");
    assert_eq!(bound(&bench, "send-phone-message"), 1);
}

#[test]
fn a_legacy_action_that_others_changed_since_the_plan_is_not_deleted() {
    let renamed = |twin: &mut Twin| action_of(twin, LEGACY).name = "Payroll".into();
    let edited = |twin: &mut Twin| {
        let action = action_of(twin, LEGACY);
        action.code = "// theirs now".into();
        action.updated_at = "2031-01-01T00:00:00.000Z".into();
    };
    type Attack = (&'static str, fn(&mut Twin));
    let attacks: [Attack; 2] = [("renamed", renamed), ("edited", edited)];
    for (story, act) in attacks {
        let mut bench = due(Flag::Off);
        acts_under_the_lease(&bench, act);
        let ended = bench.ended(false);
        let said = |text: &str| text.contains("somebody else changed the Action since this was planned");
        assert!(matches!(&ended, Ended::Failed(text) if said(text)), "{story}: {ended:?}");
        let name = if story == "renamed" { "Payroll" } else { LEGACY };
        assert!(named(&bench, name).is_some(), "{story}: it is gone");
    }
    // If somebody else has deleted the Action, the goal is reached.
    let mut bench = due(Flag::Off);
    acts_under_the_lease(&bench, |twin| {
        let tenant = twin.tenant_mut(DOMAIN);
        tenant.bindings.remove("send-phone-message");
        tenant.actions.retain(|action| action.name != LEGACY);
    });
    assert_eq!(bench.ended(false), Ended::Done);
}

#[test]
fn a_migration_killed_anywhere_is_finished_by_the_next_run() {
    let mut first = asked(Flag::Off);
    let mark = first.stack.mark();
    assert_eq!(first.ended(false), Ended::Done);
    let length = first.requests(mark);
    let prepared = asked(Flag::Off);
    all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        assert_eq!(bench.ended(false), Ended::Done, "{story}");
        bench.at_rest(&story);
        bench.stack.in_process.advance_ms(DAY_MS + 3_600_000);
        assert_eq!(bench.ended(false), Ended::Done, "{story}: the rest");
        bench.at_rest(&story);
        assert_eq!(bench.losses(), Vec::<String>::new(), "{story}");
        moved_on(&mut bench, &story);
    });
}

/// A tenant where somebody has already made the first part of the migration.
fn by_hand(part: usize) -> Bench {
    let bench = asked(Flag::Off);
    // A copy of the bench runs the first `part` requests. Its tenant is taken over, but with the record from before.
    let mut shadow = bench.fork();
    let _ = shadow.run(Stop::kill(part, false), false);
    let tenant = shadow.world().tenant_mut(DOMAIN).clone();
    let ledger = bench
        .world()
        .tenant_mut(DOMAIN)
        .actions
        .iter()
        .find(|a| a.name.starts_with("Lockstep ledger"))
        .cloned();
    let service = shadow.world().account_mut(ACCOUNT).verify_services.clone();
    *bench.world().tenant_mut(DOMAIN) = tenant;
    bench.world().account_mut(ACCOUNT).verify_services = service;
    let mut world = bench.world();
    let actions = &mut world.tenant_mut(DOMAIN).actions;
    actions.retain(|action| !action.name.starts_with("Lockstep ledger"));
    actions.extend(ledger);
    drop(world);
    bench
}

#[test]
fn a_tenant_half_migrated_by_hand_is_taken_over() {
    let mut first = asked(Flag::Off);
    let mark = first.stack.mark();
    assert_eq!(first.ended(false), Ended::Done);
    let length = first.requests(mark);
    all(12..length, |part| {
        let story = format!("{part} of {length} requests done by hand");
        let mut bench = by_hand(part);
        bench.losses();
        bench.later();
        assert_eq!(bench.ended(false), Ended::Done, "{story}");
        bench.at_rest(&story);
        bench.stack.in_process.advance_ms(DAY_MS + 3_600_000);
        assert_eq!(bench.ended(false), Ended::Done, "{story}: the rest");
        bench.at_rest(&story);
        assert_eq!(bench.losses(), Vec::<String>::new(), "{story}");
        moved_on(&mut bench, &story);
    });
}

#[test]
fn one_name_serves_both_ways() {
    let name = NAMED;
    let text = |text: String| text.replace("  code: builtin", &format!("  name: {name}\n  code: builtin"));
    let mut bench = older(Flag::Off);
    bench.stack.text = text(legacy_manifest());
    bench.stack.applied();
    bench.stack.text = text(core_manifest());
    assert_eq!(bench.ended(false), Ended::Done);
    bench.at_rest("both stand");
    assert!(named(&bench, name).is_some() && named(&bench, "Acme sender (unified)").is_some());
    bench.stack.in_process.advance_ms(DAY_MS + 3_600_000);
    assert_eq!(bench.ended(false), Ended::Done);
    bench.at_rest("the old one is gone");
    assert!(named(&bench, name).is_none());
    assert_eq!(bench.losses(), Vec::<String>::new());
    // The longer name is ours too, so destroy removes that Action.
    assert_eq!(bench.ended(true), Ended::Done);
    assert!(named(&bench, "Acme sender (unified)").is_none());
}

#[test]
fn the_way_back_is_refused_with_the_reason() {
    let mut bench = asked(Flag::Off);
    bench.stack.applied();
    bench.stack.text = legacy_manifest();
    let plan = bench.plan();
    let why: Vec<&str> = plan.blockers().map(|finding| finding.text.as_str()).collect();
    assert!(
        why.iter().any(|text| text.contains("Lockstep does not switch it back to the legacy set-up")),
        "{why:?}"
    );
    assert!(plan.steps.iter().all(|step| step.address != "unified_phone"));
}

#[test]
fn a_migration_that_was_called_off_before_the_flag_goes_back() {
    let mut bench = asked(Flag::Off);
    let steps = bench.plan().steps;
    let flag = steps.iter().find(|step| step.address == "unified_phone").expect("a step");
    assert_eq!(flag.stage, Stage::Tenant);
    // The run is killed after the draft, long before the flag.
    let _ = bench.run(Stop::kill(16, false), false);
    assert!(!bench.world().tenant_mut(DOMAIN).unified());
    bench.later();
    bench.stack.text = legacy_manifest();
    bench.stack.allow_delete = true;
    assert_eq!(bench.ended(false), Ended::Done);
    bench.at_rest("called off");
    assert_eq!(bench.losses(), Vec::<String>::new());
    assert!(bench.plan().deferred.is_empty());
}

/// The provider exists and the legacy set-up still sends, so removing the provider loses no codes.
#[test]
fn a_provider_that_nothing_sends_by_yet_is_not_called_the_tenants_way_to_send() {
    let prepared = asked(Flag::Off);
    let stopped = (16..60).find_map(|at| {
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(at, true), false);
        let stands = !bench.world().tenant_mut(DOMAIN).phone_providers.is_empty();
        (stands && !bench.world().tenant_mut(DOMAIN).unified()).then_some(bench)
    });
    let mut bench = stopped.expect("a kill between the provider and the flag");
    bench.later();
    bench.stack.text = legacy_manifest();
    bench.stack.allow_delete = true;
    let plan = bench.plan();
    let step = plan.steps.iter().find(|step| step.address == "phone_provider").expect("it goes");
    let danger = step.danger.as_deref().unwrap_or_default();
    assert!(danger.starts_with("where the unified phone experience is on"), "{danger}");
}

/// The delivery path before the first step, as far as it is known.
fn path_of(observation: &Observation) -> LoginPath {
    let seen = observation.seen.iter();
    let facts: Facts =
        seen.filter_map(|(at, seen)| Some(kinds::by_name(at.kind())?.facts(at, seen))).flatten().collect();
    LoginPath::from(&facts)
}

/// The plan with two neighbouring steps swapped.
fn swapped(plan: &Plan, first: usize) -> Plan {
    let mut plan = plan.clone();
    plan.steps.swap(first, first + 1);
    for (index, step) in plan.steps.iter_mut().enumerate() {
        step.number = index + 1;
    }
    plan
}

/// The printed steps of a migration. docs/migration.md shows the same lines.
#[test]
fn the_order_of_a_migration() {
    let steps: Vec<String> =
        asked(Flag::Off).plan().steps.iter().map(|step| format!("{} {}", step.what, step.address)).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    create the draft and build it action
    deploy action
    bind trigger_binding
    create the provider phone_provider
    set enabled true unified_phone
    ");
    let page = include_str!("../../docs/migration.md");
    let mut rest = page;
    for line in &steps {
        let at = rest
            .find(line.as_str())
            .unwrap_or_else(|| panic!("docs/migration.md lacks, in its place: {line}"));
        rest = &rest[at + line.len()..];
    }
}

/// Every pair of neighbouring steps is swapped and carried out on the twin. If codes stop, an exposing step is refused,
/// or the API refuses, then the proof must have refused that plan before.
#[test]
fn the_proof_refuses_every_unsafe_swap() {
    let prepared: [fn() -> Bench; 2] = [|| asked(Flag::Off), || due(Flag::Off)];
    let mut refusals = Vec::new();
    for make in prepared {
        let bench = make();
        let count = bench.fork().plan().steps.len();
        assert!(count > 1);
        for first in 0..count - 1 {
            let mut bench = bench.fork();
            let mut observation = bench.observe();
            let plan = swapped(&observation.plan, first);
            let (one, other) = (&plan.steps[first], &plan.steps[first + 1]);
            let pair = format!("{} {} before {} {}", one.what, one.address, other.what, other.address);
            let lost = check::losses(&path_of(&observation), &plan.steps);
            observation.plan = plan;
            let session = bench.stack.session(false);
            let task =
                |port: Port| async move { apply(&session, observation, Wishes::default(), &port).await };
            let outcome = bench.stack.process(Stop::default(), task).expect("not killed");
            let broke = outcome.ended != Ended::Done || !bench.losses().is_empty();
            assert!(
                !lost.is_empty() || !broke,
                "{pair}: ended {:?}, and the proof said nothing",
                outcome.ended
            );
            refusals.extend(lost.first().map(|loss| format!("{pair}: {}", loss.what)));
        }
    }
    insta::assert_snapshot!(refusals.join("\n"), @r"
    deploy action before create the draft and build it action: the Action is deployed before it is there
    bind trigger_binding before deploy action: the Action is bound before it is deployed
    set enabled true unified_phone before create the provider phone_provider: codes by SMS stop working
    delete the Action legacy_action before take our entry out legacy_binding: the Action is deleted while it is bound, which the API refuses
    ");
}

/// The phone factor was on before the stack, because somebody else's Action sent its codes. That Action is unbound
/// before the destroy.
#[test]
fn a_former_value_that_nothing_carries_any_more_is_left_and_destroy_ends() {
    let mut bench = older(Flag::Off);
    theirs(&bench, true);
    let with = legacy_manifest().replace("    phone: on\n", "    phone: off\n");
    bench.stack.text = with.replacen("action:\n", "action:\n  binding:\n    beside: [Their sender]\n", 1);
    {
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        tenant.legacy_phone.selected_provider = "phone-message-hook".into();
        tenant.factors.iter_mut().filter(|one| one.name == "sms").for_each(|one| one.enabled = true);
    }
    // The apply gets only as far as switching the factor off.
    bench.stack.twin.borrow_mut().options.verify_service_limit = 0;
    assert!(matches!(bench.ended(false), Ended::Failed(text) if text.contains("21102")));
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
    bench.world().tenant_mut(DOMAIN).bindings.clear();
    bench.later();
    let ended = bench.ended(true);
    assert_eq!(ended, Ended::Done, "it is told, and left");
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "nothing would send its codes");
    assert!(bench.observe().found.ledger.is_none(), "nothing is left on record");
}

//! Manifests with only a part of a stack. The rest is left to others, and is read where a step depends on it.

use std::rc::Rc;

use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::{Decision, reconcile};
use lockstep::model::plan::{Plan, Verb};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::{PhoneProvider, Secret};
use lockstep::twin::{BindingRule, Flag, Options, Tenant, TriggerRef, World};
use serde_json::json;

use crate::support::{ACCOUNT, DOMAIN, START_MS, Stack, core_manifest, env, manifest_of, options};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    the_phone_is_switched_on_where_others_can_send,
    the_legacy_set_up_of_others_is_looked_at_too,
    what_others_take_away_since_the_plan_keeps_the_phone_off,
    a_provider_of_ours_hands_messages_to_an_action_of_others,
    an_action_without_phone_is_for_the_tenants_phone_provider,
    a_service_stays_that_others_may_have_been_told_of,
    a_manifest_without_parts_takes_away_what_is_on_record,
    the_legacy_action_waits_its_day_also_when_phone_leaves_the_manifest,
    factors_go_together_while_the_binding_is_refused,
    a_vendor_is_left_for_an_action_of_others_only_with_a_word_on_what_may_stop,
    the_legacy_action_of_this_stack_is_not_the_one_that_the_provider_needs,
    the_action_stays_that_the_provider_of_the_manifest_sends_by,
    an_action_without_phone_may_be_refused_beside_another_factor,
    nobody_is_handed_to_two_actions_of_others,
    the_phone_stays_off_where_the_provider_left_the_manifest,
    where_verify_begins_to_send_the_lack_of_feedback_is_told,
    a_service_goes_with_the_apply_that_gives_the_action_other_secrets,
    a_rollback_leaves_an_action_that_the_manifest_does_not_declare_any_more,
    the_phone_comes_back_that_an_action_of_others_sends_for,
    a_full_tenant_has_no_room_for_the_record,
    a_new_service_does_not_serve_what_was_deployed_with_the_old_one,
    the_classic_login_does_not_come_where_it_takes_the_only_codes_away,
    an_action_of_this_stack_on_another_trigger_is_not_the_one_that_is_meant,
];

const HEAD: &str = "\
lockstep: v1
stack: acme-part
auth0: { domain: \"${env.AUTH0_DOMAIN}\", client_id: \"${env.AUTH0_CLIENT_ID}\", client_secret: \"${env.AUTH0_CLIENT_SECRET}\" }
twilio: { account_sid: \"${env.TWILIO_ACCOUNT_SID}\", api_key: \"${env.TWILIO_API_KEY}\", api_secret: \"${env.TWILIO_API_SECRET}\" }
";
const PHONE_ON: &str = "mfa: { factors: { phone: on } }\n";
const SERVICE: &str = "verify_service: { friendly_name: Acme }\n";
const OWN_ACTION: &str = "action: { code: ./own.js }\n";

fn stack(parts: &str) -> Stack {
    with(options(), parts)
}

fn with(options: Options, parts: &str) -> Stack {
    Stack::new(options, format!("{HEAD}{parts}"))
}

/// Changes or reads the world of the twin as another operator does.
fn by_hand<T>(stack: &Stack, act: impl FnOnce(&mut World) -> T) -> T {
    let mut twin = stack.twin.borrow_mut();
    // Makes the tenant with the options of this twin, if it is not there yet.
    twin.tenant_mut(DOMAIN);
    act(&mut twin.world)
}

fn provider(name: &str) -> PhoneProvider {
    PhoneProvider {
        id: "pro_1111111111111111111117".into(),
        name: name.into(),
        disabled: false,
        configuration: json!({ "delivery_methods": ["text"] }).as_object().expect("an object").clone(),
        credentials: Default::default(),
        created_at: "2026-01-01T00:00:00.000Z".into(),
        updated_at: "2026-01-01T00:00:00.000Z".into(),
    }
}

const THEIRS: &str = "Their phone";

/// Adds a deployed Action of others on the trigger, and binds it if wanted.
fn others_send(world: &mut World, trigger: (&str, &str), is_bound: bool) {
    let id = world.add_deployed_action(DOMAIN, THEIRS, &TriggerRef::new(trigger.0, trigger.1), START_MS);
    if is_bound {
        world.bind(DOMAIN, trigger.0, &id, THEIRS, START_MS);
    }
}

const UNIFIED: (&str, &str) = ("custom-phone-provider", "v1");
const LEGACY: (&str, &str) = ("send-phone-message", "v2");

fn is_on(stack: &Stack) -> bool {
    by_hand(stack, |world| world.tenant_mut(DOMAIN).factor_enabled("sms"))
}

fn blockers(plan: &Plan) -> Vec<String> {
    plan.blockers().map(|finding| format!("{} ({})", finding.text, finding.help)).collect()
}

type Prepare = fn(&mut World);

/// Name of the case, what is in the tenant, and why the phone factor is not switched on then. An empty reason: the
/// factor is switched on.
const SENDERS: &[(&str, Prepare, &str)] = &[
    ("nothing", |_| {}, "before anything can deliver"),
    ("a vendor", |world| world.tenant_mut(DOMAIN).phone_providers.push(provider("twilio")), ""),
    (
        "a provider without an Action",
        |world| world.tenant_mut(DOMAIN).phone_providers.push(provider("custom")),
        "before anything can deliver",
    ),
    (
        "an Action that is bound",
        |world| {
            world.tenant_mut(DOMAIN).phone_providers.push(provider("custom"));
            others_send(world, UNIFIED, true);
        },
        "",
    ),
    (
        "an Action that is not bound",
        |world| {
            world.tenant_mut(DOMAIN).phone_providers.push(provider("custom"));
            others_send(world, UNIFIED, false);
        },
        "is not of this stack and is not bound",
    ),
    (
        "an Action that is a draft",
        |world| {
            world.tenant_mut(DOMAIN).phone_providers.push(provider("custom"));
            others_send(world, UNIFIED, true);
            for action in &mut world.tenant_mut(DOMAIN).actions {
                action.versions.clear();
                action.deployment = None;
            }
        },
        "before anything can deliver",
    ),
];

#[test]
fn the_phone_is_switched_on_where_others_can_send() {
    for (story, prepare, refused) in SENDERS {
        let mut stack = stack(PHONE_ON);
        by_hand(&stack, prepare);
        let plan = stack.observe().plan;
        let told = blockers(&plan).join("; ");
        assert_eq!(told.is_empty(), refused.is_empty(), "{story}: {told}");
        assert!(told.contains(refused), "{story}: {told}");
        if !refused.is_empty() {
            assert!(told.contains("or manage the sending here with phone and action"), "{story}: {told}");
            assert!(!is_on(&stack), "{story}");
            continue;
        }
        stack.applied();
        assert!(is_on(&stack), "{story}");
        assert!(stack.observe().plan.is_empty(), "{story}");
        let outcome = stack.apply_until(Stop::default(), true).expect("not killed");
        assert_eq!(outcome.ended, Ended::Done, "{story}");
        assert!(!is_on(&stack), "{story}: it was off before");
    }
}

#[test]
fn the_legacy_set_up_of_others_is_looked_at_too() {
    let rows: [(&str, bool, bool); 4] = [
        ("auth0", false, true),
        ("twilio", false, true),
        ("phone-message-hook", true, true),
        ("phone-message-hook", false, false),
    ];
    for (selected, is_bound, may) in rows {
        let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, PHONE_ON);
        by_hand(&stack, |world| {
            world.tenant_mut(DOMAIN).legacy_phone.selected_provider = selected.into();
            others_send(world, LEGACY, is_bound);
        });
        let told = blockers(&stack.observe().plan).join("; ");
        assert_eq!(told.is_empty(), may, "{selected}, bound {is_bound}: {told}");
        if may {
            stack.applied();
            assert!(is_on(&stack), "{selected}");
        }
    }
}

/// Applies, while somebody changes the tenant between the plan and the steps.
fn applied_after(stack: &mut Stack, act: impl Fn(&mut Tenant) + 'static) -> Ended {
    let (session, twin) = (stack.session(false), Rc::clone(&stack.twin));
    let report = stack.process(Stop::default(), |port| async move {
        let decide = |_: &_| {
            act(twin.borrow_mut().tenant_mut(DOMAIN));
            Decision::Apply.into()
        };
        reconcile(session, Wishes::default(), decide, &port).await.unwrap_or_else(|failed| panic!("{failed}"))
    });
    report.expect("not killed").outcome.ended
}

/// A change that somebody makes to the tenant.
type Edit = fn(&mut Tenant);

#[test]
fn what_others_take_away_since_the_plan_keeps_the_phone_off() {
    let ways: [(&str, Edit); 3] = [
        ("unbound", |tenant| tenant.bindings.clear()),
        ("deleted", |tenant| tenant.actions.retain(|action| action.name != THEIRS)),
        ("disabled", |tenant| tenant.phone_providers[0].disabled = true),
    ];
    for (story, act) in ways {
        let mut stack = stack(PHONE_ON);
        by_hand(&stack, SENDERS[3].1);
        let ended = applied_after(&mut stack, act);
        assert!(
            matches!(&ended, Ended::Failed(text) if text.contains("would not arrive")),
            "{story}: {ended:?}"
        );
        assert!(!is_on(&stack), "{story}");
    }
}

#[test]
fn a_provider_of_ours_hands_messages_to_an_action_of_others() {
    for (story, is_bound, refused) in [
        ("none", None, "to an Action that is not deployed"),
        ("unbound", Some(false), "is not bound"),
        ("bound", Some(true), ""),
    ] {
        let mut stack = stack("phone: {}\n");
        if let Some(is_bound) = is_bound {
            by_hand(&stack, |world| others_send(world, UNIFIED, is_bound));
        }
        let told = blockers(&stack.observe().plan).join("; ");
        assert!(told.contains(refused) && told.is_empty() == refused.is_empty(), "{story}: {told}");
        if is_bound != Some(true) {
            continue;
        }
        let ended = applied_after(&mut stack, |tenant| tenant.bindings.clear());
        assert!(matches!(&ended, Ended::Failed(text) if text.contains("is there any more")), "{ended:?}");
        assert_eq!(by_hand(&stack, |world| world.tenant_mut(DOMAIN).phone_providers.len()), 0);
        by_hand(&stack, |world| {
            let id = world
                .tenant_mut(DOMAIN)
                .actions
                .iter()
                .find(|one| one.name == THEIRS)
                .expect("it")
                .id
                .clone();
            world.bind(DOMAIN, UNIFIED.0, &id, THEIRS, START_MS);
        });
        stack.applied();
        assert!(stack.observe().plan.is_empty());
    }
}

#[test]
fn an_action_without_phone_is_for_the_tenants_phone_provider() {
    let mut stack = stack(OWN_ACTION);
    stack.applied();
    let trigger = by_hand(&stack, |world| {
        let tenant = world.tenant_mut(DOMAIN);
        assert!(tenant.phone_providers.is_empty(), "who sends is left alone");
        tenant
            .actions
            .iter()
            .find(|one| one.name.starts_with("Lockstep phone"))
            .map(|one| one.supported_triggers[0].id.clone())
    });
    assert_eq!(trigger.as_deref(), Some("custom-phone-provider"));
    assert!(stack.observe().plan.is_empty());
}

/// A Verify service of this stack, and an Action of others with a secret that was set `later_s` seconds after the
/// service was created.
fn hub(later_s: i64) -> Stack {
    let mut stack = stack(SERVICE);
    by_hand(&stack, SENDERS[3].1);
    stack.applied();
    by_hand(&stack, |world| {
        let made_ms = world.account_mut(ACCOUNT).verify_services[0].created_at_ms;
        let at = jiff::Timestamp::from_millisecond(i64::try_from(made_ms).expect("a time") + later_s * 1000)
            .expect("a time");
        let secret =
            Secret { name: "TWILIO_VERIFY_SID".into(), value: "anything".into(), updated_at: at.to_string() };
        let tenant = world.tenant_mut(DOMAIN);
        let action = tenant.actions.iter_mut().find(|action| action.name == THEIRS).expect("their Action");
        action.versions.iter_mut().for_each(|version| version.secrets = vec![secret.clone()]);
    });
    stack
}

#[test]
fn a_service_stays_that_others_may_have_been_told_of() {
    for (later_s, stays) in [(-60, false), (60, true)] {
        let mut stack = hub(later_s);
        let outcome = stack.apply_until(Stop::default(), true).expect("not killed");
        assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
        let left = by_hand(&stack, |world| world.account_mut(ACCOUNT).verify_services.len());
        assert_eq!(left == 1, stays, "{later_s}");
    }
}

#[test]
fn a_manifest_without_parts_takes_away_what_is_on_record() {
    let mut stack = stack(&format!(
        "{SERVICE}mfa: {{ factors: {{ otp: on }} }}\nbranding: {{ logo_url: https://acme.example/l.png }}\n"
    ));
    by_hand(&stack, |_| ());
    let former = stack.world();
    stack.applied();
    stack.text = HEAD.into();
    let plan = stack.observe().plan;
    assert_eq!(plan.blockers().count(), 3, "{:?}", blockers(&plan));
    stack.allow_delete = true;
    let plan = stack.observe().plan;
    assert!(plan.steps.iter().any(|step| step.verb == Verb::Delete), "{:?}", plan.steps);
    stack.applied();
    assert!(stack.observe().plan.is_empty());
    let outcome = stack.apply_until(Stop::default(), true).expect("not killed");
    assert_eq!(outcome.ended, Ended::Done);
    let now = stack.world();
    assert_eq!(now["tenants"][DOMAIN]["factors"], former["tenants"][DOMAIN]["factors"]);
    assert_eq!(now["accounts"][ACCOUNT]["verify_services"], json!([]));
    assert_eq!(now["tenants"][DOMAIN]["actions"], json!([]), "the record goes too");
}

#[test]
fn the_legacy_action_waits_its_day_also_when_phone_leaves_the_manifest() {
    let legacy = format!("{SERVICE}phone: {{ delivery: legacy }}\naction: {{ code: ./both.js }}\n");
    let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, &legacy);
    stack.applied();
    stack.text = stack.text.replace("legacy", "unified");
    stack.applied();
    let there = |stack: &Stack| {
        by_hand(stack, |world| {
            world
                .tenant_mut(DOMAIN)
                .actions
                .iter()
                .filter(|action| action.supports("send-phone-message"))
                .count()
        })
    };
    assert_eq!(there(&stack), 1, "a login may be in the middle");
    stack.text = format!("{HEAD}{SERVICE}");
    stack.allow_delete = true;
    stack.applied();
    assert_eq!(there(&stack), 1, "its day is not over");
    assert!(stack.observe().plan.is_empty());
    stack.in_process.advance_ms(25 * 3_600_000);
    stack.applied();
    assert_eq!(there(&stack), 0);
}

/// If nobody knows whether codes arrive, the phone must not remain as the last factor, so it goes before the others.
#[test]
fn factors_go_together_while_the_binding_is_refused() {
    let core = core_manifest().replace("  policy: always ", "  # policy: always ");
    let refuses = Options { custom_phone_binding: BindingRule::Refused4xx, ..options() };
    let mut stack = Stack::new(refuses, core.clone());
    stack.applied();
    let from = core.find("\nmfa:\n").expect("a part");
    let to = core.find("# universal_login:").expect("what follows");
    stack.text = format!("{}\n{}", &core[..from], &core[to..]);
    stack.allow_delete = true;
    let plan = stack.observe().plan;
    assert_eq!(blockers(&plan), Vec::<String>::new());
    let off: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| step.address.as_str())
        .filter(|at| at.starts_with("mfa_factor"))
        .collect();
    assert_eq!(off, ["mfa_factor.phone", "mfa_factor.otp"]);
    stack.applied();
    assert!(!is_on(&stack));
}

fn dangers(plan: &Plan) -> String {
    plan.steps.iter().filter_map(|step| step.danger.clone()).collect::<Vec<_>>().join("; ")
}

/// A vendor sends in the legacy set-up. From the apply on an Action sends: that of others or, if `own`, this stack's.
#[test]
fn a_vendor_is_left_for_an_action_of_others_only_with_a_word_on_what_may_stop() {
    let words = "if it does not work, codes by SMS stop";
    let phone = "phone: { channels: [sms] }\nmfa: { factors: { phone: on } }\n";
    for own in [false, true] {
        let action = if own { OWN_ACTION } else { "" };
        let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, &format!("{phone}{action}"));
        by_hand(&stack, |world| {
            let tenant = world.tenant_mut(DOMAIN);
            tenant.legacy_phone.selected_provider = "twilio".into();
            tenant.factors.iter_mut().filter(|one| one.name == "sms").for_each(|one| one.enabled = true);
            tenant.message_types = Some(vec!["sms".into()]);
            if !own {
                others_send(world, UNIFIED, true);
            }
        });
        let plan = stack.observe().plan;
        assert_eq!(blockers(&plan), Vec::<String>::new());
        assert_eq!(dangers(&plan).contains(words), !own, "{}", dangers(&plan));
        stack.applied();
        assert!(stack.observe().plan.is_empty());
    }
}

/// Unified delivery needs an Action on its own trigger. The legacy Action on record does not count.
#[test]
fn the_legacy_action_of_this_stack_is_not_the_one_that_the_provider_needs() {
    let legacy =
        "phone: { delivery: legacy }\naction: { code: ./both.js }\nmfa: { factors: { phone: on } }\n";
    let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, legacy);
    stack.applied();
    stack.text = format!("{HEAD}phone: {{}}\n{PHONE_ON}");
    stack.allow_delete = true;
    let told = blockers(&stack.observe().plan).join("; ");
    assert!(told.contains("to an Action that is not deployed"), "{told}");
}

#[test]
fn the_action_stays_that_the_provider_of_the_manifest_sends_by() {
    let mut stack = stack(&format!("phone: {{}}\n{OWN_ACTION}"));
    stack.applied();
    stack.text = format!("{HEAD}phone: {{}}\n");
    stack.allow_delete = true;
    let told = blockers(&stack.observe().plan).join("; ");
    assert!(
        told.contains("which phone in the manifest declares") && told.contains("put action back"),
        "{told}"
    );
    stack.text = HEAD.into();
    stack.applied();
    assert!(stack.observe().plan.is_empty());
}

/// If another factor is on, the phone factor is switched on although the tenant refuses to bind the Action. That also
/// holds where `phone` is left to others.
#[test]
fn an_action_without_phone_may_be_refused_beside_another_factor() {
    let refuses = Options { custom_phone_binding: BindingRule::Refused4xx, ..options() };
    let mut stack = with(refuses, &format!("{OWN_ACTION}mfa: {{ factors: {{ phone: on, otp: on }} }}\n"));
    by_hand(&stack, |world| world.tenant_mut(DOMAIN).phone_providers.push(provider("custom")));
    stack.applied();
    assert!(is_on(&stack));
}

#[test]
fn nobody_is_handed_to_two_actions_of_others() {
    for names in [&["One"][..], &["One", "Two"]] {
        let mut stack = stack("phone: {}\n");
        by_hand(&stack, |world| {
            world.tenant_mut(DOMAIN).phone_providers.push(provider("twilio"));
            for name in names {
                let trigger = TriggerRef::new(UNIFIED.0, UNIFIED.1);
                let id = world.add_deployed_action(DOMAIN, name, &trigger, START_MS);
                world.bind(DOMAIN, UNIFIED.0, &id, name, START_MS);
            }
        });
        let told = blockers(&stack.observe().plan).join("; ");
        assert_eq!(
            told.contains("so each message would be sent several times (delete all"),
            names.len() == 2,
            "{names:?}: {told}"
        );
    }
}

/// The record of a `phone` section that left the manifest does not say that anybody sends.
#[test]
fn the_phone_stays_off_where_the_provider_left_the_manifest() {
    let mut stack = stack(&format!("phone: {{}}\n{OWN_ACTION}"));
    stack.applied();
    by_hand(&stack, |world| world.tenant_mut(DOMAIN).phone_providers.clear());
    stack.text = format!("{HEAD}{OWN_ACTION}{PHONE_ON}");
    stack.allow_delete = true;
    let told = blockers(&stack.observe().plan).join("; ");
    assert!(told.contains("before anything can deliver"), "{told}");
}

/// An Action of others on the legacy trigger never used the service that goes with this stack.
#[test]
fn the_phone_comes_back_that_an_action_of_others_sends_for() {
    let parts = format!("{SERVICE}{OWN_ACTION}mfa: {{ factors: {{ phone: off }} }}\n");
    let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, &parts);
    by_hand(&stack, |world| {
        others_send(world, LEGACY, true);
        let tenant = world.tenant_mut(DOMAIN);
        tenant.legacy_phone.selected_provider = "phone-message-hook".into();
        tenant.message_types = Some(vec!["sms".into()]);
        tenant
            .factors
            .iter_mut()
            .filter(|factor| factor.name == "sms")
            .for_each(|factor| factor.enabled = true);
    });
    stack.applied();
    assert!(!is_on(&stack));
    let outcome = stack.apply_until(Stop::default(), true).expect("not killed");
    assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
    assert!(is_on(&stack), "it was on before");
}

/// Code that sends without Verify needs no feedback; the code that takes its place does.
#[test]
fn where_verify_begins_to_send_the_lack_of_feedback_is_told() {
    let with_verify =
        "action: { code: ./own.js, secrets: { TWILIO_VERIFY_SID: \"${verify_service.sid}\" } }\n";
    let parts = format!("{SERVICE}phone: {{}}\n{PHONE_ON}");
    let mut stack = stack(&format!("{parts}{OWN_ACTION}"));
    stack.applied();
    stack.text = format!("{HEAD}{parts}{with_verify}");
    let plan = stack.observe().plan;
    assert_eq!(blockers(&plan), Vec::<String>::new());
    assert!(dangers(&plan).contains("no feedback reaches Verify"), "{}", dangers(&plan));
    stack.applied();
    assert!(stack.observe().plan.is_empty());
}

/// The apply that takes the service away gives the Action its secrets anew, so nothing uses the service behind it.
#[test]
fn a_service_goes_with_the_apply_that_gives_the_action_other_secrets() {
    let sender = "action: { code: ./own.js, secrets: { TWILIO_VERIFY_SID: \"${verify_service.sid}\" } }\n";
    let services = |stack: &Stack| by_hand(stack, |world| world.account_mut(ACCOUNT).verify_services.len());
    let mut stack = stack(&format!("{SERVICE}{sender}"));
    stack.allow_delete = true;
    stack.applied();
    assert_eq!(services(&stack), 1);
    stack.text = format!("{HEAD}action: {{ code: ./own.js, unmanaged_secrets: remove }}\n");
    let plan = stack.observe().plan;
    let at = |address: &str, verb: Verb| {
        plan.steps.iter().rposition(|step| step.address == *address && step.verb == verb)
    };
    assert!(at("action", Verb::Update) < at("verify_service", Verb::Delete), "{:?}", plan.steps);
    // A run that sends the secrets and cannot deploy leaves the rest to the next one.
    let refused = lockstep::twin::fault_grammar::parse("POST /api/v2/actions/actions/*/deploy: 403");
    stack.twin.borrow_mut().faults.rules.push(refused.unwrap_or_else(|_| panic!("a rule")));
    assert!(matches!(stack.apply().ended, Ended::Failed(_)));
    assert_eq!(services(&stack), 1);
    stack.applied();
    assert_eq!(services(&stack), 0);
    assert!(stack.observe().plan.is_empty());
}

/// A manifest without the Action has no name and no secrets for code that is to be sent anew.
#[test]
fn a_rollback_leaves_an_action_that_the_manifest_does_not_declare_any_more() {
    let mut stack = stack(&format!(
        "action: {{ code: ./own.js, name: {THEIRS}, secrets: {{ SID: \"${{twilio.account_sid}}\" }} }}\n"
    ));
    by_hand(&stack, |world| others_send(world, ("custom-phone-provider", "v1"), false));
    stack.applied();
    stack.text = HEAD.into();
    let mut session = stack.session(false);
    session.rollback = true;
    let run = stack.process(Stop::default(), |port| crate::support::reconciled(session, port));
    let run = run.expect("not killed").expect("a plan");
    let (plan, outcome) = (run.plan, run.outcome);
    assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
    assert!(plan.steps.iter().all(|step| step.address != "action"), "{:?}", plan.steps);
    let told = plan.findings.iter().any(|one| one.text.contains("the manifest does not declare the Action"));
    assert!(told, "{:?}", plan.findings);
}

/// The record is an Action, and a tenant may have 100 Actions.
#[test]
fn a_full_tenant_has_no_room_for_the_record() {
    for (count, has_room) in [(99, true), (100, false)] {
        let mut stack = stack(SERVICE);
        by_hand(&stack, |world| {
            for number in 0..count {
                let trigger = TriggerRef::new("post-login", "v3");
                world.add_deployed_action(DOMAIN, &format!("Theirs {number}"), &trigger, START_MS);
            }
        });
        let told = blockers(&stack.observe().plan).join("; ");
        assert_eq!(told.is_empty(), has_room, "{told}");
        assert!(has_room || told.contains("no room for the ledger"), "{told}");
        if has_room {
            stack.applied();
            assert!(stack.observe().plan.is_empty());
        }
    }
}

/// If a part needs another one that the manifest lacks, the problem is reported where the other part is used.
#[test]
fn what_a_part_lacks_is_told_in_its_place() {
    let function = "feedback:\n  function: { code: \"builtin:verify-feedback\", api_key: \"${env.TWILIO_FEEDBACK_KEY}\", \
                    api_secret: \"${env.TWILIO_FEEDBACK_SECRET}\" }\n  log_stream: { authorization: \"${generated.x}\" }\n";
    let sender = "action:\n  code: builtin:twilio-verify\n  dependencies: { twilio: 6.2.0 }\n  secrets: { TWILIO_ACCOUNT_SID: \"${twilio.account_sid}\", \
                  TWILIO_API_KEY: \"${env.TWILIO_SENDER_KEY}\", TWILIO_API_SECRET: \"${env.TWILIO_SENDER_SECRET}\"";
    let referring = "log_streams: { http: { siem: { endpoint: https://siem.example/x, custom_headers: { X-P: \"${phone_provider.id}\" } } } }\n";
    let rows = [
        (
            function.to_owned(),
            vec!["nothing says to which Verify service", "add verify_service: to the file"],
        ),
        (
            format!("{sender}, TWILIO_VERIFY_SID: \"${{verify_service.sid}}\" }}\n"),
            vec!["the manifest has no verify_service", "or write the value out"],
        ),
        (format!("{sender} }}\n"), vec!["TWILIO_VERIFY_SID", "with the SID of the service (VA"]),
        (referring.to_owned(), vec!["this manifest makes no phone_provider"]),
        ("action: { code: ./legacy.js }\n".to_owned(), vec!["add phone: { delivery: legacy } to the file"]),
    ];
    for (parts, expected) in rows {
        let told = crate::support::problems_of(&format!("{HEAD}{parts}"), &env());
        assert!(expected.iter().all(|words| told.contains(words)), "{parts}: {told}");
    }
    let told = crate::support::problems_of(HEAD, &env());
    assert!(told.contains("the manifest manages nothing") && told.contains("attest, branding"), "{told}");
    // That is a warning and no error, because an apply can still take away what is on record.
    manifest_of(HEAD, &env());
    manifest_of(
        &format!("{HEAD}{sender}, TWILIO_VERIFY_SID: VA0000000000000000000000000000000a }}\n"),
        &env(),
    );
}

/// The legacy Action that leaves has the SID of a service that is gone, and codes go through it until the former sender is
/// back.
#[test]
fn a_new_service_does_not_serve_what_was_deployed_with_the_old_one() {
    let phone = |on: &str| format!("mfa: {{ factors: {{ phone: {on}, otp: on }} }}\n");
    let legacy = "phone: { delivery: legacy }\naction: { code: ./both.js, secrets: { TWILIO_VERIFY_SID: \"${verify_service.sid}\" } }\n";
    let mut stack =
        with(Options { unified_flag: Flag::Off, ..options() }, &format!("{SERVICE}{legacy}{}", phone("off")));
    stack.applied();
    stack.text = format!("{HEAD}{SERVICE}{}", phone("on"));
    stack.allow_delete = true;
    let plan = stack.observe().plan;
    assert!(blockers(&plan).is_empty(), "{:?}", blockers(&plan));
    by_hand(&stack, |world| world.account_mut(ACCOUNT).verify_services.clear());
    let told = blockers(&stack.observe().plan).join("; ");
    assert!(told.contains("before anything can deliver"), "{told}");
}

/// Voice is the only way in which codes come, and the classic login cannot offer it.
#[test]
fn the_classic_login_does_not_come_where_it_takes_the_only_codes_away() {
    for (otp, policy, is_locked) in
        [(false, &["all-applications"][..], true), (true, &["all-applications"], false), (false, &[], false)]
    {
        let mut stack = stack("universal_login: { experience: classic }\n");
        by_hand(&stack, |world| {
            let tenant = world.tenant_mut(DOMAIN);
            let mut spoken = provider("twilio");
            spoken.configuration.insert("delivery_methods".into(), json!(["voice"]));
            tenant.phone_providers.push(spoken);
            tenant.prompts.universal_login_experience = "new".into();
            tenant.message_types = Some(vec!["voice".into()]);
            tenant.policies = policy.iter().map(|name| (*name).to_owned()).collect();
            for factor in &mut tenant.factors {
                factor.enabled = factor.name == "sms" || factor.name == "otp" && otp;
            }
        });
        let told = blockers(&stack.observe().plan).join("; ");
        let is_refused = told.contains("a second factor is demanded and none can be used");
        assert_eq!(is_refused, is_locked, "otp {otp}, {policy:?}: {told}");
    }
}

/// The Action that leaves has the same name as the one of others that the manifest now means.
#[test]
fn an_action_of_this_stack_on_another_trigger_is_not_the_one_that_is_meant() {
    let named = |delivery: &str| {
        format!("phone: {{ delivery: {delivery} }}\naction: {{ code: ./both.js, name: Acme sender }}\n")
    };
    let mut stack = with(Options { unified_flag: Flag::Off, ..options() }, OWN_ACTION);
    stack.text = format!("{HEAD}action: {{ code: ./both.js, name: Acme sender }}\n");
    stack.applied();
    by_hand(&stack, |world| {
        let trigger = TriggerRef::new(LEGACY.0, LEGACY.1);
        world.add_deployed_action(DOMAIN, "Acme sender", &trigger, START_MS);
    });
    stack.text = format!("{HEAD}{}", named("legacy"));
    stack.allow_delete = true;
    let told = blockers(&stack.observe().plan).join("; ");
    assert!(!told.contains("Actions are named"), "{told}");
}

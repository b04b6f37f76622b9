//! Tests of what happens right before users are sent to the phone: the keys and the service that the code uses are read
//! again, and while the tenant refuses a binding, users are not given the phone alone.

use lockstep::engine::apply::Ended;
use lockstep::model::plan::{Level, Plan, Purpose};
use lockstep::twin::options::BindingRule;
use lockstep::twin::world::{ApiKey, KeyKind, World};
use lockstep::twin::{Flag, Options, TriggerRef};

use super::bench::{ACTION, Bench, all, shown, verify_service, works_by_twilio};
use super::migration;
use crate::support::{ACCOUNT, DOMAIN, core_manifest, function_manifest, options};

const SENDER: &str = "SK000000000000000000000000000000ab";
const FEEDBACK: &str = "SK000000000000000000000000000000cd";
const HUB: &str = "VA000000000000000000000000000000b5";

/// The key gets another secret than the one in the manifest, or is revoked.
fn rolled(bench: &mut Bench, sid: &str, deleted: bool) {
    let key = ApiKey {
        secret: Some("The-Secret-After-The-Roll".into()),
        allow: vec!["/twilio/verify/verification/create".into()],
        deleted,
        ..ApiKey::new(ACCOUNT, KeyKind::Restricted)
    };
    bench.world().keys.insert(sid.into(), key);
}

fn failed(bench: &mut Bench, story: &str) -> String {
    match bench.ended(false) {
        Ended::Failed(text) => text,
        ended => panic!("{story}: {ended:?}"),
    }
}

/// What a user meets: the phone factor, policies, provider, the running version, message types.
fn exposed(bench: &mut Bench) -> String {
    let mut world = bench.world();
    let tenant = world.tenant_mut(DOMAIN);
    let versions: Vec<usize> =
        tenant.actions.iter().filter(|a| a.name == ACTION).map(|a| a.versions.len()).collect();
    let providers: Vec<String> = tenant.phone_providers.iter().map(|one| one.name.clone()).collect();
    format!(
        "{} {:?} {providers:?} {versions:?} {:?}",
        tenant.factor_enabled("sms"),
        tenant.policies,
        tenant.message_types
    )
}

type Prepare = fn(&mut World);

/// Cases: a name, a first manifest, what somebody does after it was applied, and a second manifest whose apply sends
/// users to the phone.
fn exposing() -> Vec<(&'static str, String, Prepare, String)> {
    let core = core_manifest();
    let quiet = core.replace("  policy: always ", "  # policy: always ");
    let off = quiet.replace("phone: on", "phone: off");
    let nothing: Prepare = |_| {};
    vec![
        ("factor and policy", off.clone(), nothing, core.clone()),
        ("policy", quiet.clone(), nothing, core.clone()),
        (
            "types",
            core.replace("[sms, voice] ", "[voice] ").replace("  policy: always ", "  # policy: always "),
            |world| {
                world.tenant_mut(DOMAIN).phone_providers[0].configuration["delivery_methods"] =
                    ["text", "voice"].into_iter().collect()
            },
            quiet.clone(),
        ),
        ("deploy", core.clone(), nothing, core.replace("6.2.0", "6.2.1")),
        (
            "provider",
            off.clone(),
            |world| {
                let tenant = world.tenant_mut(DOMAIN);
                tenant.phone_providers.clear();
                works_by_twilio(tenant);
                tenant.policies.clear();
                tenant.factors.iter_mut().filter(|one| one.name == "sms").for_each(|one| one.enabled = false);
                tenant.message_types = None;
            },
            off,
        ),
    ]
}

#[test]
fn a_key_that_died_since_is_tried_before_users_are_sent_that_way() {
    let cases = exposing().into_iter().flat_map(|case| [(case.clone(), false), (case, true)]);
    all(cases, |((story, base, prepare, text), deleted)| {
        let mut bench = Bench::new(options(), base);
        bench.converge(story);
        prepare(&mut bench.world());
        bench.stack.text = text;
        let (before, fork) = (exposed(&mut bench), bench.fork());
        rolled(&mut bench, SENDER, deleted);
        let told = failed(&mut bench, story);
        assert!(told.contains("TWILIO_API_KEY and TWILIO_API_SECRET of action.secrets"), "{story}: {told}");
        assert_eq!(exposed(&mut bench), before, "{story}: users are sent to a dead key");
        bench.world().keys.remove(SENDER);
        bench.later();
        bench.converge(&format!("{story}: a new key"));
        // Checks the case itself: with a valid key, users are sent to the phone.
        let mut alive = fork;
        assert_eq!(alive.ended(false), Ended::Done, "{story}");
        assert_ne!(exposed(&mut alive), before, "{story}");
    });
}

#[test]
fn a_dead_key_of_the_function_keeps_the_phone_off() {
    let off = function_manifest().replace("phone: on", "phone: off").replace("  policy: always ", "  # ");
    let mut bench = Bench::new(options(), off);
    bench.converge("at first");
    bench.stack.text = function_manifest();
    rolled(&mut bench, FEEDBACK, true);
    let told = failed(&mut bench, "the receiver");
    assert!(told.contains("of feedback.function"), "{told}");
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
}

/// The Verify service belongs to another team (a hub): its SID is a plain value, and the manifest has no service of its
/// own.
fn by_a_hub(text: &str) -> Bench {
    let mut bench = Bench::new(options(), text.replace("${verify_service.sid}", "${env.HUB_SID}"));
    bench.stack.env.insert("HUB_SID".into(), HUB.into());
    let mut service = verify_service(HUB);
    service.friendly_name = "Hub".into();
    bench.world().account_mut(ACCOUNT).verify_services.push(service);
    bench
}

#[test]
fn the_service_that_the_code_names_is_looked_at_whoever_manages_it() {
    let quiet = core_manifest().replace("  policy: always ", "  # policy: always ");
    let losses: [(&str, Prepare); 2] = [
        ("does not exist", |world| world.account_mut(ACCOUNT).verify_services.retain(|one| one.sid != HUB)),
        ("custom codes off", |world| {
            let services = &mut world.account_mut(ACCOUNT).verify_services;
            services.iter_mut().filter(|one| one.sid == HUB).for_each(|one| {
                one.settings.insert("custom_code_enabled".into(), serde_json::json!(false));
            });
        }),
    ];
    for (word, prepare) in losses {
        let mut bench = by_a_hub(&quiet);
        bench.converge(word);
        prepare(&mut bench.world());
        bench.stack.purpose = Purpose::Drift;
        let found = bench.plan().findings;
        assert!(found.iter().any(|one| one.level == Level::Warning && one.text.contains(word)), "{found:?}");
        bench.stack.purpose = Purpose::Apply;
        bench.stack.text = bench.stack.text.replace("  # policy: always ", "  policy: always ");
        let told = failed(&mut bench, word);
        assert!(told.contains("action.secrets.TWILIO_VERIFY_SID") && told.contains(word), "{told}");
        assert!(bench.world().tenant_mut(DOMAIN).policies.is_empty(), "{word}");
    }
}

fn warnings(plan: &Plan) -> Vec<&str> {
    plan.findings.iter().filter(|one| one.level == Level::Warning).map(|one| one.text.as_str()).collect()
}

#[test]
fn drift_tries_each_credential_once_and_beside_the_other_reads() {
    let mut bench = Bench::new(options(), function_manifest());
    bench.converge("applied");
    let run = |bench: &mut Bench, purpose: Purpose| {
        bench.stack.purpose = purpose;
        let mark = bench.stack.mark();
        let plan = bench.plan();
        let log = bench.stack.log_since(mark);
        let last = log.iter().map(|entry| entry.done_ms).max().unwrap_or_default();
        (plan, log.len(), last - log[0].at_ms)
    };
    let (plan, reads, ms) = run(&mut bench, Purpose::Apply);
    assert_eq!(warnings(&plan), [""; 0]);
    let (plan, with_keys, longer_ms) = run(&mut bench, Purpose::Drift);
    assert_eq!(warnings(&plan), [""; 0]);
    assert_eq!(with_keys, reads + 2, "the sender's and the receiver's");
    assert_eq!(longer_ms, ms, "in a trip of its own");
    for (sid, place) in [(SENDER, "action.secrets"), (FEEDBACK, "feedback.function")] {
        let mut bench = bench.fork();
        rolled(&mut bench, sid, true);
        let (plan, ..) = run(&mut bench, Purpose::Drift);
        assert!(plan.is_empty(), "{}", shown(&plan));
        assert!(matches!(warnings(&plan).as_slice(), [one] if one.contains(place)), "{}", shown(&plan));
        let (plan, ..) = run(&mut bench, Purpose::Apply);
        assert_eq!(warnings(&plan), [""; 0], "a plan tries nothing");
    }
}

#[test]
fn a_plan_says_what_cannot_be_tried() {
    let text = core_manifest()
        .replace("builtin:twilio-verify", "./own.js")
        .replace("TWILIO_API_KEY: ", "SEND_AS: ")
        .replace("TWILIO_API_SECRET: ", "SEND_BY: ");
    let mut bench = Bench::new(options(), text);
    let note = |plan: &Plan| {
        plan.findings.iter().any(|one| one.text.contains("no Twilio key or token under a known name"))
    };
    assert!(note(&bench.plan()), "{}", shown(&bench.plan()));
    bench.stack.text = core_manifest();
    assert!(!note(&bench.plan()));
    bench.converge("applied");
    assert!(bench.plan().findings.iter().all(|one| !one.text.contains("tried")), "nothing is exposed");
}

fn refusing(text: String) -> Bench {
    Bench::new(Options { custom_phone_binding: BindingRule::Refused4xx, ..options() }, text)
}

fn bound(bench: &Bench) -> usize {
    bench.world().tenant_mut(DOMAIN).bound("custom-phone-provider").len()
}

fn takes_it(bench: &Bench) {
    bench.stack.twin.borrow_mut().options.custom_phone_binding = BindingRule::Accepted;
}

#[test]
fn a_binding_that_was_refused_is_said_and_tried_again_until_it_is_taken() {
    let mut bench = refusing(core_manifest());
    bench.converge("refused, and another factor is on");
    for _ in 0..2 {
        let plan = bench.plan();
        assert!(plan.is_empty() && plan.has_work(), "no change, and something to try: {}", shown(&plan));
        assert!(warnings(&plan).iter().any(|text| text.contains("refused to bind")), "{}", shown(&plan));
        bench.at_rest("refused again");
    }
    takes_it(&bench);
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(bound(&bench), 1);
    let plan = bench.plan();
    assert!(!plan.has_work() && warnings(&plan).is_empty(), "{}", shown(&plan));
    bench.converge("taken");
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(bound(&bench), 0, "what was taken late is taken out");
}

#[test]
fn the_phone_is_never_the_only_factor_on_a_refused_binding() {
    let alone = core_manifest().replace("    otp: on ", "    # ");
    let mut bench = refusing(alone.clone());
    for run in ["first", "second"] {
        let told = failed(&mut bench, run);
        assert!(told.contains("refuses to bind") && told.contains("only factor"), "{run}: {told}");
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        assert!(!tenant.factor_enabled("sms") && tenant.policies.is_empty(), "{run}");
        drop(world);
        bench.later();
    }
    takes_it(&bench);
    bench.converge("taken at last");
    assert_eq!(bound(&bench), 1);

    // The other factor does not go while the refusal stands.
    let mut bench = refusing(core_manifest());
    bench.converge("with another one");
    bench.stack.text = core_manifest().replace("otp: on", "otp: off");
    let plan = bench.plan();
    let blocked = plan.blockers().any(|one| one.text.contains("only factor"));
    assert!(blocked, "{}", shown(&plan));

    // It may go if another factor takes its place; the new factor comes first.
    bench.stack.text = core_manifest().replace("otp: on", "otp: off\n    email: on");
    assert_eq!(bench.ended(false), Ended::Done, "one for another");
    let losses = bench.losses();
    assert!(losses.iter().all(|loss| !loss.contains("locked out")), "{losses:?}");
}

#[test]
fn one_factor_for_another_comes_before_the_former_goes() {
    let with = |factors: &str| {
        let text = core_manifest().replace("    phone: on\n", "    phone: off\n");
        text.replace("    otp: on ", &format!("    {factors} # "))
    };
    let mut bench = Bench::new(options(), with("otp: on"));
    bench.converge("one");
    bench.stack.text = with("otp: off\n    email: on");
    assert_eq!(bench.ended(false), Ended::Done, "another one for it");
    // The bench counts the factor email as foreign, although this manifest manages it.
    let losses: Vec<String> = bench.losses().into_iter().filter(|loss| !loss.contains("foreign")).collect();
    assert_eq!(losses, [""; 0]);
    let mut world = bench.world();
    let tenant = world.tenant_mut(DOMAIN);
    assert!(tenant.factor_enabled("email") && !tenant.factor_enabled("otp"));
    drop(world);
    // Then the policy stops asking.
    bench.later();
    bench.stack.text = with("otp: off\n    email: on").replace("policy: always", "policy: never");
    bench.converge("asked no more");
}

#[test]
fn what_leaves_the_phone_alone_goes_last_and_not_while_nothing_sends() {
    let mut bench = Bench::new(options(), core_manifest());
    bench.converge("phone and otp");
    bench.stack.text = core_manifest().replace("otp: on", "otp: off").replace("6.2.0", "6.2.1");
    let plan = bench.plan();
    assert_eq!(
        plan.steps.last().map(|step| step.address.as_str()),
        Some("mfa_factor.otp"),
        "{}",
        shown(&plan)
    );
    // The key is revoked when no other step is left, so that only this step can notice.
    bench.stack.text = core_manifest().replace("otp: on", "otp: off");
    rolled(&mut bench, SENDER, true);
    let told = failed(&mut bench, "revoked");
    assert!(told.contains("mfa_factor.otp") && told.contains("TWILIO_API_KEY"), "{told}");
    assert!(bench.world().tenant_mut(DOMAIN).factor_enabled("otp"));
    bench.world().keys.remove(SENDER);
    bench.later();
    bench.converge("mended");
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("otp"));
}

#[test]
fn a_migration_does_not_switch_over_to_a_refused_binding() {
    let mut bench = migration::asked(Flag::Off);
    bench.stack.twin.borrow_mut().options.custom_phone_binding = BindingRule::Refused4xx;
    for run in ["first", "second"] {
        let told = failed(&mut bench, run);
        assert!(told.contains("refuses to bind"), "{run}: {told}");
        assert!(told.contains("legacy set-up would be left"), "{run}: {told}");
        assert!(!told.contains("the phone alone"), "another factor is on: {told}");
        assert!(!bench.world().tenant_mut(DOMAIN).unified(), "{run}");
        bench.later();
    }
    let losses = bench.losses();
    assert!(losses.is_empty(), "{losses:?}");
    takes_it(&bench);
    assert_eq!(bench.ended(false), Ended::Done);
    assert!(bench.world().tenant_mut(DOMAIN).unified() && bound(&bench) == 1);
}

#[test]
fn a_foreign_action_that_asks_for_a_factor_is_named_when_it_goes() {
    let codes = [
        ("Asks", "api.authentication.challengeWith({ type: 'phone' });", true),
        ("Enrols", "api.authentication.enrollWithAny([{ type: \"otp\" }, { type: 'phone' }]);", true),
        ("Enables", "api.multifactor.enable('any');", true),
        ("Comments", "// api.authentication.challengeWith({ type: 'phone' });", false),
        ("Another", "api.authentication.challengeWith({ type: 'webauthn-roaming' });", false),
    ];
    let mut bench = Bench::new(options(), core_manifest());
    for (name, code, _) in codes {
        let trigger = TriggerRef::new("post-login", "v3");
        let mut world = bench.world();
        let id = world.add_deployed_action(DOMAIN, name, &trigger, 0);
        world.bind(DOMAIN, "post-login", &id, name, 0);
        let code = format!("exports.onExecutePostLogin = async (event, api) => {{\n{code}\n}};");
        let actions = &mut world.tenant_mut(DOMAIN).actions;
        let action = actions.iter_mut().find(|action| action.id == id).expect("added");
        action.versions.iter_mut().for_each(|version| version.code = code.clone());
    }
    bench.converge("applied");
    bench.stack.text = core_manifest()
        .replace("phone: on", "phone: off")
        .replace("otp: on", "otp: off")
        .replace("policy: always", "policy: never");
    let plan = bench.plan();
    let dangers: Vec<&str> = plan.steps.iter().filter_map(|step| step.danger.as_deref()).collect();
    for (name, _, asks) in codes {
        let named = dangers.iter().any(|danger| danger.contains(&format!("the Action {name}, ")));
        assert_eq!(named, asks, "{name}: {dangers:?}");
    }
}

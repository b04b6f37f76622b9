//! Tests of the keys that a stack makes itself: made once, made anew when their secret is lost, handed on whole, and removed
//! when nobody uses them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::model::api::Method;
use lockstep::model::plan::{Cause, Plan, Verb};
use lockstep::shell::in_process::{KillPoint, Stop};
use lockstep::twin::Twin;
use lockstep::twin::world::{ApiKey, KeyKind, World};
use lockstep::twin::{Rule, TriggerRef, What, When};

use super::bench::{Bench, all, shown};
use crate::support::{ACCOUNT, DOMAIN, START_MS, function_manifest, options, problems_of};

/// The Action that sends, as the manifest names it by default.
const PHONE_ACTION: &str = "Lockstep phone (acme-login)";
/// Longer than a former key waits.
const LATER_MS: u64 = 11 * 60_000;

/// The core stack with a Function, whose keys the stack makes.
fn manifest() -> String {
    let text = function_manifest();
    let swaps = [
        ("${env.TWILIO_SENDER_KEY}", "${minted.sender.sid}"),
        ("${env.TWILIO_SENDER_SECRET}", "${minted.sender.secret}"),
        ("${env.TWILIO_FEEDBACK_KEY}", "${minted.feedback.sid}"),
        ("${env.TWILIO_FEEDBACK_SECRET}", "${minted.feedback.secret}"),
    ];
    swaps.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// A bench whose own key is of this kind.
fn with_key(kind: KeyKind) -> Bench {
    let bench = Bench::new(options(), manifest());
    let sid = bench.stack.env["TWILIO_API_KEY"].clone();
    bench.world().keys.insert(sid, ApiKey::new(ACCOUNT, kind));
    bench
}

fn bench() -> Bench {
    with_key(KeyKind::Main)
}

fn applied() -> Bench {
    let mut bench = bench();
    assert_eq!(bench.ended(false), Ended::Done);
    bench
}

/// Live keys that a stack made, as `name generation`.
fn ours(world: &World) -> Vec<String> {
    let live = world.keys.values().filter(|key| !key.deleted && key.friendly_name.starts_with("Lockstep "));
    let mut names: Vec<String> = live
        .map(|key| {
            let words: Vec<&str> = key.friendly_name.split(' ').collect();
            format!("{} {}", words[2], words[4])
        })
        .collect();
    names.sort();
    names
}

/// Why what sends or reports has no key that works. Empty: both have one, or are not deployed.
fn dead(world: &World) -> Vec<String> {
    let mut world = world.clone();
    let mut held: Vec<(String, String, String)> = Vec::new();
    for action in &world.tenant_mut(DOMAIN).actions {
        let Some(live) = action.live_version() else { continue };
        let value =
            |name: &str| live.secrets.iter().find(|one| one.name == name).map(|one| one.value.clone());
        let (key, secret) = (value("TWILIO_API_KEY"), value("TWILIO_API_SECRET"));
        if key.is_some() || action.supports("custom-phone-provider") {
            held.push((action.name.clone(), key.unwrap_or_default(), secret.unwrap_or_default()));
        }
    }
    let is_good = |(_, sid, secret): &&(String, String, String)| {
        world.keys.get(sid).is_some_and(|key| !key.deleted && key.secret.as_ref() == Some(secret))
    };
    held.iter()
        .filter(|one| !is_good(one))
        .map(|(who, sid, _)| format!("{who} has the dead key {sid:?}"))
        .collect()
}

/// The Function's key and secret.
fn function_has(world: &World) -> (String, String) {
    let mut world = world.clone();
    let services = &world.account_mut(ACCOUNT).serverless_services;
    let environment = services.iter().flat_map(|service| &service.environments).next().expect("the Function");
    let value = |name: &str| environment.variable(name).map(|one| one.value.clone()).unwrap_or_default();
    (value("TWILIO_API_KEY"), value("TWILIO_API_SECRET"))
}

/// Checks the end of a story: each name has one key, and Action and Function have it.
fn settled(bench: &mut Bench, story: &str) {
    assert_eq!(bench.ended(false), Ended::Done, "{story}");
    bench.stack.in_process.advance_ms(LATER_MS);
    assert_eq!(bench.ended(false), Ended::Done, "{story}: what was due");
    bench.at_rest(story);
    let world = bench.world().clone();
    assert_eq!(dead(&world), Vec::<String>::new(), "{story}");
    let names: Vec<String> =
        ours(&world).iter().filter_map(|key| Some(key.split_once(' ')?.0.to_owned())).collect();
    assert_eq!(names, ["feedback", "sender"], "{story}: {:?}", ours(&world));
    let (sid, secret) = function_has(&world);
    assert_eq!(world.keys.get(&sid).and_then(|key| key.secret.clone()), Some(secret), "{story}");
}

fn rotate(bench: &mut Bench, names: &[&str]) {
    bench.stack.rotate = names.iter().map(|name| (*name).to_owned()).collect();
}

fn waits(plan: &Plan) -> Vec<&str> {
    plan.deferred.iter().map(|later| later.address.as_str()).collect()
}

/// The secrets of all keys, which nothing but Action and Function may have.
fn secrets(world: &World) -> Vec<String> {
    world.keys.values().filter_map(|key| key.secret.clone()).collect()
}

fn change(plan: &Plan, address: &str, field: &str) -> Option<Cause> {
    let resource = plan.resources.iter().find(|one| one.address == address)?;
    resource.changes.iter().find(|one| one.field == field).map(|one| one.cause)
}

#[test]
fn the_keys_are_made_once_and_handed_on() {
    let mut bench = bench();
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(bench.losses(), Vec::<String>::new());
    settled(&mut bench, "minted");
    let world = bench.world().clone();
    assert_eq!(ours(&world), ["feedback g1", "sender g1"]);
    let allow: Vec<&str> = world.keys.values().flat_map(|key| &key.allow).map(String::as_str).collect();
    let mut allow = allow;
    allow.sort_unstable();
    assert_eq!(allow, ["/twilio/verify/verification/create", "/twilio/verify/verification/update"]);
    // The record is an Action.
    let record = bench.stack.observe().found.ledger.expect("a record");
    let record = serde_json::to_string(&record).expect("JSON");
    for secret in secrets(&world) {
        assert!(!record.contains(&secret), "the record has a secret");
    }
    assert!(record.contains(world.keys.keys().next().expect("a key")), "the record has the SIDs");
}

/// The Action that reports may have the key that reports, beside the Function or without one.
#[test]
fn the_action_that_reports_gets_the_key_that_reports() {
    let asks = "mfa:\n  post_login:\n    rules:\n      admins: { roles: [Admin], factors: [phone, otp] }\n";
    let reports = "feedback:\n  action: { api_key: \"${minted.feedback.sid}\", api_secret: \"${minted.feedback.secret}\" }\n";
    let mut bench = bench();
    bench.stack.text = bench.stack.text.replace("policy: always", "policy: never").replace("mfa:\n", asks);
    bench.stack.text = bench.stack.text.replace("feedback:\n", reports);
    settled(&mut bench, "made");
    let holders = |world: &World| {
        let (key, _) = function_has(world);
        let mut world = world.clone();
        let live = world.tenant_mut(DOMAIN).actions.iter().filter_map(|action| action.live_version());
        live.filter(|version| version.secret("TWILIO_API_KEY").is_some_and(|one| one.value == key)).count()
    };
    assert_eq!(holders(&bench.world()), 1, "the Action has the key of the Function");
    rotate(&mut bench, &["minted.feedback"]);
    assert_eq!(bench.ended(false), Ended::Done);
    rotate(&mut bench, &[]);
    settled(&mut bench, "rotated");
    assert_eq!(ours(&bench.world()), ["feedback g2", "sender g1"]);
    assert_eq!(holders(&bench.world()), 1);
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(ours(&bench.world()), Vec::<String>::new());
}

#[test]
fn a_deleted_key_is_drift_and_is_made_anew() {
    let mut bench = applied();
    let sid = bench
        .world()
        .keys
        .iter()
        .find(|(_, key)| key.friendly_name.contains(" sender "))
        .map(|(sid, _)| sid.clone());
    bench.world().keys.get_mut(&sid.expect("a key")).expect("a key").deleted = true;
    let plan = bench.plan();
    assert_eq!(change(&plan, "twilio_key.sender", "secret"), Some(Cause::TenantChanged), "{}", shown(&plan));
    assert_eq!(change(&plan, "action", "secrets.TWILIO_API_SECRET"), Some(Cause::TenantChanged));
    assert_eq!(change(&plan, "twilio_key.feedback", "secret"), None);
    settled(&mut bench, "deleted by hand");
    assert_eq!(ours(&bench.world()), ["feedback g1", "sender g2"]);
}

#[test]
fn policy_and_name_are_put_back_in_place() {
    let mut bench = applied();
    for key in bench.world().keys.values_mut().filter(|key| key.friendly_name.contains(" sender ")) {
        key.allow.push("/twilio/verify/service/delete".into());
        key.friendly_name = "Renamed by hand".into();
    }
    let plan = bench.plan();
    assert_eq!(change(&plan, "twilio_key.sender", "policy"), Some(Cause::TenantChanged), "{}", shown(&plan));
    assert_eq!(plan.steps.len(), 1, "{}", shown(&plan));
    settled(&mut bench, "widened by hand");
    assert_eq!(ours(&bench.world()), ["feedback g1", "sender g1"]);
    assert!(bench.world().keys.values().all(|key| key.allow.len() < 2));
}

/// Secrets of an Action are written as a whole set, and nobody has the secret of the key any more.
#[test]
fn a_set_of_secrets_that_is_written_again_gets_a_new_key() {
    let mut bench = applied();
    bench.stack.text =
        bench.stack.text.replace("  secrets:\n", "  secrets:\n    BRAND: ${env.TWILIO_SENDER_SECRET}\n");
    let plan = bench.plan();
    assert_eq!(change(&plan, "twilio_key.sender", "secret"), Some(Cause::NotApplied), "{}", shown(&plan));
    assert_eq!(waits(&plan), ["twilio_key.sender-g1"]);
    settled(&mut bench, "another secret");
    assert_eq!(ours(&bench.world()), ["feedback g1", "sender g2"]);
    // Other code alone leaves the secrets as they are.
    bench.stack.text = bench.stack.text.replace("twilio: 6.2.0", "twilio: 6.1.0");
    let plan = bench.plan();
    assert!(!plan.is_empty() && plan.steps.iter().all(|step| step.kind != "twilio_key"), "{}", shown(&plan));
    settled(&mut bench, "another version");
    assert_eq!(ours(&bench.world()), ["feedback g1", "sender g2"]);
}

#[test]
fn a_secret_that_somebody_replaced_is_replaced_by_a_new_key() {
    let mut bench = applied();
    bench.stack.in_process.advance_ms(60_000);
    {
        let mut world = bench.world();
        let services = &mut world.account_mut(ACCOUNT).serverless_services;
        let variables =
            services.iter_mut().flat_map(|one| &mut one.environments).flat_map(|one| &mut one.variables);
        variables.filter(|one| one.key == "TWILIO_API_SECRET").for_each(|one| one.value = "theirs".into());
    }
    let plan = bench.plan();
    assert_eq!(
        change(&plan, "twilio_key.feedback", "secret"),
        Some(Cause::TenantChanged),
        "{}",
        shown(&plan)
    );
    settled(&mut bench, "replaced by hand");
    assert_eq!(ours(&bench.world()), ["feedback g2", "sender g1"]);
}

#[test]
fn a_lost_reply_means_a_new_key_and_the_end_of_the_other() {
    let error = What::ServerError { status: 500, after_effect: true };
    for what in [What::Lost { after_effect: true }, error, What::Unseen { ms: 30_000 }] {
        let mut bench = bench();
        let rule = Rule::once(When::first(Method::Post, "/v1/Keys"), what.clone());
        bench.stack.twin.borrow_mut().faults.rules.push(rule);
        let Ended::Failed(text) = bench.ended(false) else { panic!("{what:?}: nobody has the secret") };
        assert!(text.contains("again"), "{text}");
        bench.calm();
        // If no list showed the key, the next run waits until each list has to.
        bench.stack.in_process.advance_ms(301_000);
        settled(&mut bench, &format!("{what:?}"));
        assert_eq!(ours(&bench.world()).len(), 2);
    }
}

/// Kills a run before and after each of its requests; at no instant the running Action may have a dead key.
fn killed_anywhere(start: &Bench, names: &[&str], destroys: bool) {
    let mut whole = start.fork();
    rotate(&mut whole, names);
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    let length = whole.requests(mark);
    all((1..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed at {k} of {length}, before the reply: {before_reply}");
        let mut bench = start.fork();
        let found = Rc::new(RefCell::new(Vec::new()));
        let seen = found.clone();
        bench.watch.borrow_mut().meddle = Some(Box::new(move |twin: &mut Twin, _, _| {
            seen.borrow_mut().extend(dead(&twin.world));
        }));
        rotate(&mut bench, names);
        let kill = Some(KillPoint { after_request: k, before_reply });
        let stop = Stop { kill, ..Stop::default() };
        drop(bench.run(stop, false));
        rotate(&mut bench, &[]);
        bench.stack.in_process.advance_ms(60_000);
        if destroys {
            assert_eq!(bench.ended(false), Ended::Done, "{story}");
            assert_eq!(bench.ended(true), Ended::Done, "{story}");
            assert_eq!(ours(&bench.world()), Vec::<String>::new(), "{story}");
        } else {
            settled(&mut bench, &story);
            assert_eq!(*found.borrow(), Vec::<String>::new(), "{story}");
        }
    });
}

#[test]
fn a_rotation_that_was_killed_anywhere_is_finished_by_the_next_apply() {
    killed_anywhere(&applied(), &["minted.sender", "minted.feedback"], false);
}

#[test]
fn a_first_apply_that_was_killed_anywhere_leaves_no_second_key() {
    killed_anywhere(&bench(), &[], false);
}

/// The first run is killed before the reply to its first key, whose secret is lost by that. The second one makes another
/// key, and is killed anywhere.
#[test]
fn two_killed_applies_leave_no_key_behind_a_destroy() {
    let killed = |bench: &mut Bench, after_request: usize| {
        let kill = Some(KillPoint { after_request, before_reply: true });
        drop(bench.run(Stop { kill, ..Stop::default() }, false));
        bench.stack.in_process.advance_ms(60_000);
    };
    let start = (1..).map(|k| {
        let mut bench = bench();
        killed(&mut bench, k);
        bench
    });
    let start = start.take(60).find(|bench| !ours(&bench.world()).is_empty()).expect("a key is made");
    let mut whole = start.fork();
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    all(1..=whole.requests(mark), |k| {
        let mut bench = start.fork();
        killed(&mut bench, k);
        assert_eq!(bench.ended(true), Ended::Done, "killed at {k}");
        assert_eq!(ours(&bench.world()), Vec::<String>::new(), "killed at {k}");
    });
}

/// The apply that takes an Action over is killed anywhere. Behind a destroy, a key is there only as long as code runs that
/// has it, and such code keeps it.
#[test]
fn a_destroy_behind_a_killed_take_over_keeps_the_keys_that_code_runs_with_and_no_other() {
    let start = bench();
    let trigger = TriggerRef::new("custom-phone-provider", "v1");
    start.world().add_deployed_action(DOMAIN, PHONE_ACTION, &trigger, START_MS);
    let mut whole = start.fork();
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    let (kept, gone) = (Cell::new(0), Cell::new(0));
    all(1..=whole.requests(mark), |k| {
        let mut bench = start.fork();
        let kill = Some(KillPoint { after_request: k, before_reply: false });
        drop(bench.run(Stop { kill, ..Stop::default() }, false));
        bench.stack.in_process.advance_ms(60_000);
        let has_made = !ours(&bench.world()).is_empty();
        assert_eq!(bench.ended(true), Ended::Done, "killed at {k}");
        let mut world = bench.world().clone();
        let live = world.tenant_mut(DOMAIN).actions.iter().filter_map(|action| action.live_version());
        let told: Vec<String> =
            live.flat_map(|version| &version.secrets).map(|secret| secret.value.clone()).collect();
        let keys = world.keys.iter().filter(|(_, key)| key.friendly_name.contains(" sender "));
        for (sid, key) in keys {
            assert_eq!(!key.deleted, told.contains(sid), "killed at {k}: {}", key.friendly_name);
            kept.set(kept.get() + usize::from(!key.deleted));
        }
        gone.set(gone.get() + usize::from(has_made && ours(&world).is_empty()));
    });
    assert!(kept.get() > 0 && gone.get() > 0, "{} kept, {} gone", kept.get(), gone.get());
}

/// A run that makes a new key is killed, and then the manifest names keys of its own.
#[test]
fn a_key_of_a_killed_run_goes_with_the_one_that_leaves_the_manifest() {
    let start = applied();
    let mut whole = start.fork();
    rotate(&mut whole, &["minted.sender"]);
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    let doubled = Cell::new(0);
    all(1..=whole.requests(mark), |k| {
        let mut bench = start.fork();
        rotate(&mut bench, &["minted.sender"]);
        let kill = Some(KillPoint { after_request: k, before_reply: false });
        drop(bench.run(Stop { kill, ..Stop::default() }, false));
        rotate(&mut bench, &[]);
        bench.stack.in_process.advance_ms(60_000);
        doubled.set(doubled.get() + usize::from(ours(&bench.world()).len() > 2));
        bench.stack.text = function_manifest();
        assert_eq!(bench.ended(false), Ended::Done, "killed at {k}");
        bench.at_rest(&format!("killed at {k}"));
        bench.stack.in_process.advance_ms(LATER_MS);
        assert_eq!(bench.ended(false), Ended::Done, "killed at {k}");
        assert_eq!(ours(&bench.world()), Vec::<String>::new(), "killed at {k}");
    });
    assert!(doubled.get() > 0, "no kill leaves a second key, so this shows nothing");
}

/// An apply that gives the Action another key is killed anywhere and rolled back. Then the manifest wants the minted key
/// again: the Action has it, whatever the killed run had written.
#[test]
fn a_key_is_given_again_behind_a_rollback_that_found_another_one_in_the_draft() {
    let start = applied();
    // The rollback has something to write, so it writes the record.
    let another = |bench: &mut Bench| {
        bench.stack.text = function_manifest().replace("code_length: 6", "code_length: 8");
        assert!(bench.stack.text.contains("code_length: 8"));
    };
    let mut whole = start.fork();
    another(&mut whole);
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    all(1..=whole.requests(mark), |k| {
        let mut bench = start.fork();
        another(&mut bench);
        let kill = Some(KillPoint { after_request: k, before_reply: false });
        drop(bench.run(Stop { kill, ..Stop::default() }, false));
        bench.stack.in_process.advance_ms(60_000);
        let mut session = bench.stack.session(false);
        session.rollback = true;
        drop(bench.stack.process(Stop::default(), |port| crate::support::reconciled(session, port)));
        bench.stack.text = manifest();
        assert_eq!(bench.ended(false), Ended::Done, "killed at {k}");
        let mut world = bench.world().clone();
        let action = world.tenant_mut(DOMAIN).actions.iter().find(|action| action.name == PHONE_ACTION);
        let live = action.and_then(|action| action.live_version()).expect("the Action");
        let sid = live.secrets.iter().find(|one| one.name == "TWILIO_API_KEY").expect("a key").value.clone();
        let name = world.keys.get(&sid).map(|key| key.friendly_name.clone()).unwrap_or_default();
        assert!(name.contains(" sender "), "killed at {k}: the Action has {sid} {name:?}");
    });
}

#[test]
fn a_killed_rotation_leaves_no_key_behind_a_destroy() {
    killed_anywhere(&applied(), &["minted.sender"], true);
}

#[test]
fn a_rotation_makes_uses_waits_and_removes() {
    let mut bench = applied();
    rotate(&mut bench, &["minted.sender", "minted.feedback"]);
    assert_eq!(bench.ended(false), Ended::Done);
    let plan = bench.last_plan.take().expect("a plan");
    assert_eq!(waits(&plan), ["twilio_key.sender-g1", "twilio_key.feedback-g1"]);
    assert_eq!(bench.losses(), Vec::<String>::new());
    assert_eq!(ours(&bench.world()), ["feedback g1", "feedback g2", "sender g1", "sender g2"]);
    // A second one while the first still waits.
    rotate(&mut bench, &["minted.sender"]);
    assert_eq!(bench.ended(false), Ended::Done);
    rotate(&mut bench, &[]);
    bench.at_rest("waiting");
    assert_eq!(ours(&bench.world()).len(), 5);
    bench.stack.in_process.advance_ms(LATER_MS);
    let plan = bench.plan();
    assert_eq!(plan.steps.len(), 3, "{}", shown(&plan));
    assert!(plan.steps.iter().all(|step| step.verb == Verb::Delete));
    settled(&mut bench, "rotated");
    assert_eq!(ours(&bench.world()), ["feedback g2", "sender g3"]);
}

/// The Function accepts the former authorization until the stream has the new one.
#[test]
fn the_authorization_of_the_stream_is_rotated() {
    let mut bench = bench();
    bench.stack.text = bench.stack.text.replace("${env.FEEDBACK_SECRET} ", "${generated.feedback} ");
    assert_eq!(bench.ended(false), Ended::Done);
    let sent = |bench: &Bench| {
        let mut world = bench.world();
        let stream = world.tenant_mut(DOMAIN).log_streams.first().expect("a stream").clone();
        stream.sink.get("httpAuthorization").cloned()
    };
    let before = sent(&bench);
    rotate(&mut bench, &["generated.feedback"]);
    assert_eq!(bench.ended(false), Ended::Done);
    assert!(before.is_some() && sent(&bench) != before);
    let plan = bench.last_plan.take().expect("a plan");
    assert!(plan.steps.iter().any(|step| step.what.contains("accept the former secret")), "{}", shown(&plan));
    rotate(&mut bench, &[]);
    settled(&mut bench, "the stream");
}

/// A key that somebody else made, with a name that resembles ours.
fn theirs() -> ApiKey {
    ApiKey {
        secret: Some("theirs".into()),
        friendly_name: "Lockstep acme-login sender by-hand g9".into(),
        ..ApiKey::new(ACCOUNT, KeyKind::Standard)
    }
}

#[test]
fn a_destroy_leaves_no_key_and_touches_no_other() {
    let mut bench = applied();
    bench.world().keys.insert("SK000000000000000000000000000000ef".into(), theirs());
    rotate(&mut bench, &["minted.sender"]);
    assert_eq!(bench.ended(false), Ended::Done);
    rotate(&mut bench, &[]);
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(ours(&bench.world()), ["sender g9"], "it is not ours");
}

/// The name alone proves nothing: somebody may have made a key of that name.
#[test]
fn a_key_of_our_name_that_no_record_has_is_told_and_stays() {
    let mut bench = applied();
    let made = bench.world().keys.values().find(|key| key.friendly_name.contains(" sender ")).cloned();
    let twin = ApiKey { friendly_name: made.expect("a key").friendly_name.replace("g1", "g7"), ..theirs() };
    bench.world().keys.insert("SK000000000000000000000000000000ef".into(), twin);
    let plan = bench.plan();
    assert!(plan.is_empty(), "{}", shown(&plan));
    let told = plan.findings.iter().find(|one| one.text.contains("SK000000000000000000000000000000ef"));
    assert!(told.is_some_and(|one| one.address == "twilio_key.sender"), "{:?}", plan.findings);
    rotate(&mut bench, &["minted.sender"]);
    assert_eq!(bench.ended(false), Ended::Done);
    rotate(&mut bench, &[]);
    assert_eq!(ours(&bench.world()), ["feedback g1", "sender g1", "sender g7", "sender g8"]);
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(ours(&bench.world()), ["sender g7"]);
}

#[test]
fn a_key_that_leaves_the_manifest_goes_later() {
    let mut bench = applied();
    bench.stack.text = function_manifest();
    let plan = bench.plan();
    assert_eq!(waits(&plan), ["twilio_key.feedback", "twilio_key.sender"], "{}", shown(&plan));
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(ours(&bench.world()).len(), 2);
    bench.stack.in_process.advance_ms(LATER_MS);
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(ours(&bench.world()), Vec::<String>::new());
}

#[test]
fn a_rollback_keeps_the_key_that_is_in_use() {
    let mut bench = applied();
    rotate(&mut bench, &["minted.sender"]);
    assert_eq!(bench.ended(false), Ended::Done);
    rotate(&mut bench, &[]);
    let mut session = bench.stack.session(false);
    session.rollback = true;
    let outcome = bench.stack.process(Stop::default(), |port| crate::support::reconciled(session, port));
    drop(outcome);
    assert_eq!(dead(&bench.world()), Vec::<String>::new());
    settled(&mut bench, "rolled back");
}

/// If the provider and its Action stay for the tenant's messages, so does the key: behind a whole apply, and behind one
/// that was killed, whose record may lack what it did last.
#[test]
fn a_rollback_of_the_first_apply_takes_no_key_from_an_action_that_stays() {
    let mut start = bench();
    start.stack.text = start.stack.text.replace("  policy: always ", "  # policy: always ");
    let mut whole = start.fork();
    let mark = whole.stack.mark();
    assert_eq!(whole.ended(false), Ended::Done);
    let length = whole.requests(mark);
    let stayed = Cell::new(0);
    let kills = (1..=length).map(|after_request| Some(KillPoint { after_request, before_reply: false }));
    all(kills.chain([None]), |kill| {
        let mut bench = start.fork();
        drop(bench.run(Stop { kill, ..Stop::default() }, false));
        bench.stack.in_process.advance_ms(60_000);
        let mut session = bench.stack.session(false);
        session.rollback = true;
        let outcome = bench.stack.process(Stop::default(), |port| crate::support::reconciled(session, port));
        let mut world = bench.world().clone();
        assert_eq!(dead(&world), Vec::<String>::new(), "{kill:?}");
        let sends = world.tenant_mut(DOMAIN).actions.iter().any(|action| action.live_version().is_some());
        stayed.set(stayed.get() + usize::from(sends));
        assert!(outcome.is_some(), "{kill:?}");
    });
    assert!(stayed.get() > 0, "the Action stays behind no rollback, so this shows nothing");
}

#[test]
fn keys_need_a_credential_that_may_make_them_and_a_record() {
    let mut bench = with_key(KeyKind::Standard);
    let mark = bench.stack.mark();
    let Ended::Failed(text) = bench.ended(false) else { panic!("a standard key may make no keys") };
    let plan = bench.last_plan.take().expect("a plan");
    let told: Vec<&str> = plan.findings.iter().map(|finding| finding.help.as_str()).collect();
    assert!(told.iter().any(|help| help.contains("main key")), "{text} {told:?}");
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());

    let mut bench = self::bench();
    bench.stack.store = Store::None;
    let Ended::Failed(text) = bench.ended(false) else { panic!("each apply would make another key") };
    assert!(text.contains("record"), "{text}");

    let mut bench = self::bench();
    bench.stack.twin.borrow_mut().options.key_limit = 1;
    let Ended::Failed(text) = bench.ended(false) else { panic!("there is no room") };
    assert!(text.contains("70151") && text.contains("as many API keys"), "{text}");
}

/// The problem that each mistake gets: its place, and a part of its words.
#[test]
fn what_cannot_be_a_part_of_a_key_is_refused_with_the_nearest_that_can() {
    let bench = bench();
    let good = manifest();
    assert_eq!(
        problems_of(&good, &bench.stack.env).lines().filter(|line| line.contains("minted.sender.")).count(),
        0
    );
    for (from, to, place, words) in [
        ("${minted.sender.sid}", "${minted.sendr.sid}", "", "did you mean ${minted.sender.sid}?"),
        ("${minted.sender.sid}", "${minted.sender.token}", "", "${minted.sender.sid}"),
        ("${minted.sender.sid}", "${minted.sender}", "", "no key that an apply makes has this part"),
        ("${minted.sender.sid}", "${minted.}", "", "not a part of a key"),
        ("${minted.sender.sid}", "${mintd.sender.sid}", "", "did you mean ${minted.sender.sid}?"),
        ("${minted.sender.sid}", "x${minted.sender.sid}", "", "has to stand alone"),
        (
            "${minted.sender.sid}",
            "${minted.feedback.sid}",
            "action.secrets.TWILIO_API_KEY",
            "write ${minted.sender.sid} here",
        ),
        (
            "${minted.feedback.sid}",
            "${minted.sender.sid}",
            "feedback.function.api_key",
            "write ${minted.feedback.sid} here",
        ),
        (
            "${minted.feedback.sid}",
            "${minted.feedback.secret}",
            "feedback.function.api_key",
            "write ${minted.feedback.sid} here",
        ),
        (
            "${minted.sender.secret}",
            "${env.TWILIO_SENDER_SECRET}",
            "action.secrets.TWILIO_API_KEY",
            "add ${minted.sender.secret} beside it",
        ),
        (
            "${minted.sender.sid}",
            "${env.TWILIO_SENDER_KEY}",
            "action.secrets.TWILIO_API_SECRET",
            "add ${minted.sender.sid} beside it",
        ),
        ("code_length: 6", "code_length: ${minted.sender.sid}", "", "this field takes none"),
        ("friendly_name: Acme", "friendly_name: ${minted.sender.sid}", "", "cannot"),
        ("${env.TWILIO_API_SECRET}", "${minted.sender.secret}", "", "needed to connect"),
        (
            "${env.FEEDBACK_SECRET} ",
            "${minted.feedback.secret} ",
            "feedback.log_stream.authorization",
            "cannot be used",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let told = problems_of(&good.replacen(from, to, 1), &bench.stack.env);
        assert!(told.contains(words) && told.contains(place), "{to} for {from}:\n{told}");
    }
}

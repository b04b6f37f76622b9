//! Tests of the way back from the last run: after changes of every kind, after runs and rollbacks that died at every
//! request, and where something does not come back.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Outcome, Wishes};
use lockstep::engine::reconcile::Decision;
use lockstep::engine::rollback::rollback;
use lockstep::model::call::Failed;
use lockstep::model::codes::{self, Code};
use lockstep::model::plan::{Cause, Level, Plan, Verb};
use lockstep::shell::in_process::Stop;
use lockstep::twin::world::Factor;
use lockstep::twin::{Flag, Options, What};
use serde_json::json;

use super::bench::{ACTION, Bench, all, changed_manifest, shown, whole};
use super::migration::asked;
use crate::support::{ACCOUNT, DOMAIN, core_manifest, options};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_rollback_brings_back_what_the_last_run_changed,
    a_rollback_of_a_first_apply_puts_settings_back_and_says_what_stays,
    a_replaced_secret_stays_and_the_old_code_gets_it,
    a_version_that_is_gone_does_not_come_back,
    an_action_whose_service_is_gone_stays,
    code_that_passes_a_limit_that_is_gone_does_not_come_back,
    what_somebody_else_changed_since_is_left,
    a_rollback_does_not_cross_the_unified_experience,
    what_the_last_run_took_over_leaves_the_record,
    what_logins_need_by_now_stays,
    a_step_that_was_done_is_no_change_by_others_though_the_look_behind_it_fails,
    the_phone_does_not_come_back_where_nobody_sends_in_the_legacy_set_up,
    without_a_last_run_nothing_is_taken_back,
];

const LIMITED: &str = "
  rate_limits:
    user:
      key: recipient
      description: sends to one user
      buckets:
        10m: { max: 5 }
";

/// A manifest with changes in every kind that has a way back, and a limit that the code passes.
fn changed() -> String {
    let text =
        changed_manifest().replace("  code_length: 8 ", &format!("{}  code_length: 8 ", &LIMITED[1..]));
    assert!(text.contains("10m: {"), "{text}");
    text + "\nbranding: { logo_url: \"https://acme.example/new.png\" }\n"
}

/// A stack after two runs: the second one changed much.
fn twice() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.text = changed();
    bench.stack.applied();
    bench.losses();
    bench
}

fn run(bench: &mut Bench, stop: Stop) -> Option<Result<(Plan, Outcome), Failed>> {
    let session = bench.stack.session(false);
    let planned = Rc::new(RefCell::new(None));
    let slot = planned.clone();
    let result = bench.stack.process(stop, |port| async move {
        let decide = |plan: &Plan| {
            *slot.borrow_mut() = Some(plan.clone());
            Decision::Apply.into()
        };
        Ok(rollback(session, Wishes::default(), decide, &port).await?.outcome)
    });
    Some(result?.map(|outcome| (planned.take().expect("planned"), outcome)))
}

fn undone(bench: &mut Bench, story: &str) -> Plan {
    let (plan, outcome) =
        run(bench, Stop::default()).expect("not killed").unwrap_or_else(|failed| panic!("{story}: {failed}"));
    assert_eq!(outcome.ended, Ended::Done, "{story}: {}", shown(&plan));
    plan
}

/// Checks that nothing is left to take back, and that the manifest as it was before finds nothing to do.
fn is_back(bench: &mut Bench, before: &str, story: &str) {
    let mark = bench.stack.mark();
    let again = undone(bench, story);
    assert!(again.steps.is_empty(), "{story}: again: {}", shown(&again));
    assert!(bench.writes_since(mark).is_empty(), "{story}: again wrote {:?}", bench.writes_since(mark));
    let text = std::mem::replace(&mut bench.stack.text, before.to_owned());
    bench.at_rest(&format!("{story}: the manifest as before"));
    bench.stack.text = text;
    assert_eq!(losses(bench), Vec::<String>::new(), "{story}");
}

/// What broke. The bench counts branding as foreign, and here it is the stack's.
fn losses(bench: &Bench) -> Vec<String> {
    let losses = bench.losses().into_iter();
    losses.filter(|loss| !loss.ends_with("/api/v2/branding: something foreign changed")).collect()
}

fn codes_of(plan: &Plan) -> Vec<(Code, &str)> {
    let serious = plan.findings.iter().filter(|finding| finding.level != Level::Note);
    serious.map(|finding| (finding.code, finding.address.as_str())).collect()
}

fn code_length(bench: &Bench) -> u64 {
    let mut world = bench.world();
    let services = &world.account_mut(ACCOUNT).verify_services;
    services.iter().find(|one| one.friendly_name == "Acme").expect("ours").settings["code_length"]
        .as_u64()
        .expect("a number")
}

#[test]
fn a_rollback_brings_back_what_the_last_run_changed() {
    let mut bench = twice();
    let versions = bench.versions();
    let plan = undone(&mut bench, "once");
    assert_eq!(codes_of(&plan), [], "{}", shown(&plan));
    let what: Vec<String> =
        plan.steps.iter().map(|step| format!("{}: {}", step.address, step.what)).collect();
    assert!(what.contains(&"action: deploy the version that ran before the last run".to_owned()), "{what:?}");
    assert!(what.iter().any(|step| step.starts_with("verify_rate_limit.user: delete")), "{what:?}");
    assert_eq!((code_length(&bench), bench.versions()), (6, versions + 1));
    is_back(&mut bench, &core_manifest(), "once");
    // The next plan shows the same changes again, as a manifest that is not applied.
    let ahead = bench.plan();
    assert!(!ahead.is_empty());
    bench.converge("forward again");
    assert_eq!(code_length(&bench), 8);
}

#[test]
fn a_rollback_that_was_killed_anywhere_is_finished_by_the_next() {
    let mut whole_run = twice();
    let mark = whole_run.stack.mark();
    undone(&mut whole_run, "undisturbed");
    let length = whole_run.requests(mark);
    let prepared = twice();
    all((0..=length).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = run(&mut bench, Stop::kill(k, before_reply));
        bench.later();
        undone(&mut bench, &story);
        bench.once_at_most(&story);
        is_back(&mut bench, &core_manifest(), &story);
    });
}

#[test]
fn an_apply_after_a_rollback_that_was_killed_goes_forward() {
    let prepared = twice();
    all((0..60).step_by(3), |k| {
        let story = format!("killed after {k}");
        let mut bench = prepared.fork();
        let _ = run(&mut bench, Stop::kill(k, k % 2 == 0));
        bench.later();
        bench.converge(&story);
        assert_eq!(code_length(&bench), 8, "{story}");
    });
}

#[test]
fn a_run_that_was_killed_anywhere_is_taken_back() {
    let mut prepared = Bench::crowded();
    prepared.stack.applied();
    prepared.stack.text = changed();
    prepared.losses();
    let last = |bench: &mut Bench| {
        let ledger = bench.stack.observe().found.ledger.expect("a record");
        ledger.last_run.map(|run| run.run)
    };
    let first = last(&mut prepared.fork());
    let mut begun = 0;
    all((0..70).flat_map(|k| [(k, true), (k, false)]), |(k, before_reply)| {
        let story = format!("an apply killed after {k}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        // Before its intent is on record, the run has changed nothing, and the run before it is the last one.
        if last(&mut bench) == first {
            return;
        }
        begun += 1;
        bench.losses();
        undone(&mut bench, &story);
        assert_eq!(code_length(&bench), 6, "{story}");
        is_back(&mut bench, &core_manifest(), &story);
    });
    assert!(begun > 50, "{begun} runs had begun");
}

/// What the tenant sends by now stays, and `destroy` takes it away.
#[test]
fn a_rollback_of_a_first_apply_puts_settings_back_and_says_what_stays() {
    let mut bench = Bench::crowded();
    let former = whole(&bench.world());
    bench.stack.applied();
    bench.losses();
    let plan = undone(&mut bench, "a first apply");
    // The one loss is the phone factor, which was off before; its step names that.
    let step = plan.steps.iter().find(|step| step.address == "mfa_factor.phone").expect("a step");
    assert!(step.danger.is_some(), "{}", shown(&plan));
    let losses = losses(&bench);
    assert!(matches!(losses.as_slice(), [one] if one.ends_with("sms: factor off")), "{losses:?}");
    let mut now = whole(&bench.world());
    let (then, now) = (former.clone().tenant_mut(DOMAIN).clone(), now.tenant_mut(DOMAIN).clone());
    assert_eq!((then.policies, then.factors), (now.policies, now.factors), "{}", shown(&plan));
    for address in ["action", "phone_provider", "verify_service"] {
        let resource = plan.resources.iter().find(|resource| resource.address == address).expect(address);
        assert!(resource.stays.is_some(), "{address}: {}", shown(&plan));
    }
    let mark = bench.stack.mark();
    undone(&mut bench, "again");
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());
    bench.fork().converge("applied again");
    assert_eq!(bench.ended(true), Ended::Done);
    let now = whole(&bench.world());
    assert!(now == former, "{}", super::kills::difference(&former, &now));
}

#[test]
fn a_replaced_secret_stays_and_the_old_code_gets_it() {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.text = changed();
    bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), "Another-Sender-Secret-77".into());
    bench.stack.applied();
    bench.losses();
    let plan = undone(&mut bench, "a secret");
    let steps: Vec<&str> =
        plan.steps.iter().filter(|step| step.address == "action").map(|step| step.what.as_str()).collect();
    assert_eq!(
        steps,
        ["put the code from before the last run with the secrets of the manifest, and build it", "deploy"]
    );
    let reason = &plan.steps.iter().find(|step| step.address == "action").expect("one").reason;
    assert!(reason.contains("the last run replaced its secret TWILIO_API_SECRET"), "{reason}");
    is_back(&mut bench, &core_manifest(), "a secret");
}

#[test]
fn a_version_that_is_gone_does_not_come_back() {
    let mut bench = twice();
    let ledger = bench.stack.observe().found.ledger.expect("a record");
    let gone = ledger.last_run.expect("a run").changed["action"].version.clone().expect("a version");
    for action in &mut bench.world().tenant_mut(DOMAIN).actions {
        action.versions.retain(|version| version.id != gone);
    }
    let plan = undone(&mut bench, "gone");
    assert!(plan.steps.iter().all(|step| step.address != "action"), "{}", shown(&plan));
    let told = plan.findings.iter().find(|finding| finding.address == "action").expect("a finding");
    assert_eq!((told.code, told.level), (codes::NOT_TAKEN_BACK, Level::Warning));
    assert!(told.text.contains(&gone) && told.help.contains("revision r1"), "{told:?}");
    // The code that stays passes the limit, so the limit stays.
    assert!(plan.steps.iter().all(|step| step.verb != Verb::Delete), "{}", shown(&plan));
    assert_eq!(losses(&bench), Vec::<String>::new());
    assert_eq!(code_length(&bench), 6);
}

#[test]
fn an_action_whose_service_is_gone_stays() {
    let mut bench = twice();
    bench.world().account_mut(ACCOUNT).verify_services.retain(|one| one.friendly_name != "Acme");
    let (plan, _) = run(&mut bench, Stop::default()).expect("not killed").expect("planned");
    assert!(plan.steps.iter().all(|step| step.address != "action"), "{}", shown(&plan));
    let told = plan.findings.iter().find(|finding| finding.address == "action").expect("a finding");
    assert!(told.text.contains("its Verify service is not one that this stack has on record"), "{told:?}");
    assert!(told.text.contains("what it refers to is gone"), "{told:?}");
}

/// Verify refuses a send that passes a limit that it does not have.
#[test]
fn code_that_passes_a_limit_that_is_gone_does_not_come_back() {
    let mut bench = Bench::crowded();
    bench.stack.text = changed();
    bench.stack.applied();
    bench.stack.text = bench.stack.text.replace(&LIMITED[1..], "");
    bench.stack.allow_delete = true;
    bench.stack.applied();
    bench.losses();
    let plan = undone(&mut bench, "a limit");
    assert!(plan.steps.iter().all(|step| step.address != "action"), "{}", shown(&plan));
    let told = plan.findings.iter().find(|finding| finding.address == "action").expect("a finding");
    assert!(told.text.contains("passes the rate limit user"), "{told:?}");
    assert_eq!(losses(&bench), Vec::<String>::new());
}

#[test]
fn what_somebody_else_changed_since_is_left() {
    let mut bench = twice();
    for service in &mut bench.world().account_mut(ACCOUNT).verify_services {
        if service.friendly_name == "Acme" {
            service.settings.insert("code_length".into(), json!(10));
        }
    }
    bench
        .world()
        .tenant_mut(DOMAIN)
        .branding
        .insert("logo_url".into(), json!("https://theirs.example/l.png"));
    let plan = undone(&mut bench, "theirs");
    let left = [(codes::CHANGED_SINCE, "branding"), (codes::CHANGED_SINCE, "verify_service")];
    assert_eq!(codes_of(&plan), left, "{}", shown(&plan));
    assert_eq!(code_length(&bench), 10);
    let logo = bench.world().tenant_mut(DOMAIN).branding["logo_url"].clone();
    assert_eq!(logo, "https://theirs.example/l.png");
}

#[test]
fn a_rollback_does_not_cross_the_unified_experience() {
    let mut bench = asked(Flag::Off);
    bench.stack.applied();
    let mark = bench.stack.mark();
    let (plan, outcome) = run(&mut bench, Stop::default()).expect("not killed").expect("planned");
    assert!(matches!(outcome.ended, Ended::Failed(_)), "{outcome:?}");
    assert!(codes_of(&plan).contains(&(codes::ACROSS_UNIFIED, "unified_phone")), "{}", shown(&plan));
    assert!(plan.steps.is_empty() && bench.writes_since(mark).is_empty());
}

#[test]
fn what_the_last_run_took_over_leaves_the_record() {
    let mut bench = twice();
    undone(&mut bench, "taken over");
    let ledger = bench.stack.observe().found.ledger.expect("a record");
    assert!(!ledger.resources.contains_key("branding"), "{:?}", ledger.resources.keys());
    assert!(ledger.resources.contains_key("verify_service"));
    assert_eq!(ledger.history.last().map(|run| run.outcome.as_str()), Some("rollback done"));
}

/// The last run made the stream, and somebody has switched the phone on since: without the stream, no feedback comes.
#[test]
fn what_logins_need_by_now_stays() {
    let mut bench = Bench::crowded();
    let whole = core_manifest();
    let (at, end) =
        (whole.find("\nfeedback:").expect("feedback"), whole.find("\n# Second factors").expect("factors"));
    bench.stack.text = format!("{}{}", &whole[..at], &whole[end..]);
    bench.stack.applied();
    bench.stack.text = whole.clone();
    bench.stack.applied();
    bench.losses();
    let plan = undone(&mut bench, "the stream");
    let stays = plan.resources.iter().find(|resource| resource.address == "log_stream").expect("there");
    assert!(stays.stays.is_some(), "{}", shown(&plan));
    assert_eq!(codes_of(&plan), [(codes::STAYS, "log_stream")], "{}", shown(&plan));
    assert_eq!(losses(&bench), Vec::<String>::new());
}

#[test]
fn without_a_last_run_nothing_is_taken_back() {
    let mut bench = Bench::crowded();
    let (plan, outcome) = run(&mut bench, Stop::default()).expect("not killed").expect("planned");
    assert_eq!(codes_of(&plan), [(codes::NO_LAST_RUN, "ledger")]);
    assert!(matches!(outcome.ended, Ended::Failed(_)), "{outcome:?}");
    assert!(bench.world().tenant_mut(DOMAIN).actions.iter().all(|action| action.name != ACTION));
}

/// The tenant deploys the former version, and then refuses the read that shows it.
#[test]
fn a_step_that_was_done_is_no_change_by_others_though_the_look_behind_it_fails() {
    let mut bench = Bench::core();
    bench.stack.applied();
    bench.stack.text = core_manifest().replace("6.2.0", "6.2.1");
    bench.stack.applied();
    let mut whole = bench.fork();
    let mark = whole.stack.mark();
    undone(&mut whole, "undisturbed");
    let log = whole.stack.log_since(mark);
    let deployed =
        log.iter().position(|entry| entry.operation.starts_with("deploy_action")).expect("deployed");
    let look = log[deployed..].iter().position(|entry| entry.operation == "get_action").expect("a look");
    bench.fault(deployed + look + 1, What::Forbidden);
    let (_, outcome) = run(&mut bench, Stop::default()).expect("not killed").expect("planned");
    assert!(matches!(&outcome.ended, Ended::Failed(_)), "{:?}", outcome.ended);
    bench.calm();
    let changes: Vec<_> = bench.plan().resources.into_iter().flat_map(|one| one.changes).collect();
    assert!(changes.iter().any(|change| change.field == "dependencies.twilio"), "{changes:?}");
    assert!(!changes.iter().any(|change| change.cause == Cause::TenantChanged), "{changes:?}");
}

/// In the legacy set-up Auth0's own sender has no voice, and the tenant has no other message type.
#[test]
fn the_phone_does_not_come_back_where_nobody_sends_in_the_legacy_set_up() {
    let text =
        core_manifest().replace("  policy: always ", "  # ").replace("    phone: on", "    phone: off");
    let mut bench = Bench::new(Options { unified_flag: Flag::Off, ..options() }, text);
    {
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        tenant.legacy_phone.selected_provider = "auth0".into();
        tenant.message_types = Some(vec!["voice".into()]);
        let on = |one: &mut Factor| one.enabled |= ["sms", "otp"].contains(&one.name.as_str());
        tenant.factors.iter_mut().for_each(on);
    }
    // The run switches the phone off, and gets no further.
    let refused = lockstep::twin::fault_grammar::parse("POST /v2/Services: 403");
    bench.stack.twin.borrow_mut().faults.rules.push(refused.unwrap_or_else(|_| panic!("a rule")));
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"));
    let plan = undone(&mut bench, "rollback");
    assert!(!bench.world().tenant_mut(DOMAIN).factor_enabled("sms"), "{}", shown(&plan));
    assert!(shown(&plan).contains("nothing sends its codes any more"), "{}", shown(&plan));
}

//! Tests of decisions about a plan: the result of each decision, and that a question takes none of the run's time.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::Engine;
use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::{Decided, Decision, Report, reconcile};
use lockstep::model::event::{Event, Told};
use lockstep::model::plan::Plan;
use lockstep::shell::in_process::{self, Stop, run_virtual};

use crate::support::{DOMAIN, START_MS, Stack, core_manifest, options, reconciled};

/// Runs with these decisions, the last one repeated. Returns the report and the plans that were decided about.
fn decided(stack: &mut Stack, decisions: Vec<Decided>) -> (Report, Vec<Plan>) {
    let plans = Rc::new(RefCell::new(Vec::new()));
    let told = plans.clone();
    let decide = move |plan: &Plan| {
        let mut plans = told.borrow_mut();
        plans.push(plan.clone());
        decisions[(plans.len() - 1).min(decisions.len() - 1)].clone()
    };
    (run(stack, decide), plans.take())
}

fn run(stack: &mut Stack, decide: impl FnMut(&Plan) -> Decided + 'static) -> Report {
    let session = stack.session(false);
    stack
        .process(
            Stop::default(),
            |port| async move { reconcile(session, Wishes::default(), decide, &port).await },
        )
        .expect("not killed")
        .unwrap_or_else(|failed| panic!("{failed}"))
}

fn wrote(stack: &Stack) -> bool {
    stack.twin.borrow().log().iter().any(|entry| entry.wrote)
}

#[test]
fn a_plan_that_is_not_confirmed_changes_nothing() {
    for (decision, ended) in [
        (Decision::Leave("not today".into()), Ended::NotConfirmed("not today".into())),
        (Decision::Stale("mfa_policy".into()), Ended::Stale("mfa_policy".into())),
    ] {
        let mut stack = Stack::core();
        let (report, plans) = decided(&mut stack, vec![decision.into()]);
        assert_eq!(report.outcome.ended, ended);
        assert_eq!(report.outcome.not_started.len(), plans[0].steps.len());
        assert_eq!(report.plan, plans[0]);
        assert!(!wrote(&stack));
    }
}

#[test]
fn what_is_named_leads_to_a_plan_of_its_own() {
    let mut stack = Stack::core();
    let nothing = Decision::Name(Default::default());
    let (report, plans) = decided(&mut stack, vec![nothing.into(), Decision::Apply.into()]);
    assert_eq!(report.outcome.ended, Ended::Done);
    assert_eq!(plans.len(), 2);
    // A name that no resource waits for ends the run before anybody decides.
    stack.named.insert("con_0000000000000001".into());
    let (report, plans) = decided(&mut stack, vec![Decision::Apply.into()]);
    assert!(matches!(report.outcome.ended, Ended::Misnamed(_)), "{:?}", report.outcome.ended);
    assert!(plans.is_empty());
}

#[test]
fn a_record_that_moves_while_somebody_decides_is_planned_anew() {
    let mut stack = Stack::core();
    stack.applied();
    let mut other = Stack::core();
    other.in_process = crate::support::way_to(stack.twin.clone(), stack.in_process.now_ms() + 1);
    other.twin = stack.twin.clone();
    other.runs = 100;
    other.text = core_manifest().replace("code_length: 6", "code_length: 8");
    stack.text.clone_from(&other.text);
    let plans = Rc::new(RefCell::new(Vec::new()));
    let told = plans.clone();
    let decide = move |plan: &Plan| {
        told.borrow_mut().push(plan.steps.len());
        if told.borrow().len() == 1 {
            other.applied();
        }
        Decision::Apply.into()
    };
    let report = run(&mut stack, decide);
    assert_eq!(*plans.borrow(), [1, 0], "the other run has done it");
    assert_eq!(report.outcome.ended, Ended::Done);
}

/// Result of a run with a deadline of ten minutes, while a person thinks for a given time.
struct Asked {
    ended: Ended,
    reads: usize,
    /// The engine still works after 700 s.
    goes_on: bool,
}

fn asked_for(asked_ms: u64) -> Asked {
    let mut stack = Stack::core();
    let session = stack.session(false);
    let mut engine = Engine::new(stack.in_process.now_ms(), 1);
    engine.set_deadline(stack.in_process.now_ms() + 600_000);
    let tenant = engine.connect(stack.connection());
    let report = Rc::new(RefCell::new(None));
    let slot = report.clone();
    let run = engine.spawn(tenant, move |port| async move {
        let decide = |_: &Plan| Decided { decision: Decision::Apply, asked_ms };
        *slot.borrow_mut() = Some(reconcile(session, Wishes::default(), decide, &port).await);
    });
    let goes_on = Rc::new(RefCell::new(false));
    let slot = goes_on.clone();
    let beside = engine.spawn(tenant, move |port| async move {
        port.reader().sleep_ms(700_000).await;
        *slot.borrow_mut() = !port.interrupted();
    });
    let ended = run_virtual(&mut engine, &mut stack.in_process, &[run, beside]);
    assert_eq!(ended, in_process::Ended::Done);
    let ended = report.take().expect("ended").unwrap_or_else(|failed| panic!("{failed}")).outcome.ended;
    let reads = stack.twin.borrow().log().iter().filter(|entry| !entry.wrote).count();
    Asked { ended, reads, goes_on: goes_on.take() }
}

#[test]
fn a_late_decision_is_about_a_plan_that_is_read_again_and_costs_the_run_no_time() {
    let (at_once, late) = (asked_for(0), asked_for(601_000));
    assert_eq!((&at_once.ended, &late.ended), (&Ended::Done, &Ended::Done));
    assert!(late.reads > at_once.reads + 5, "{} and {}", late.reads, at_once.reads);
    assert!(late.goes_on && !at_once.goes_on);
}

/// The names of one run's events, without requests and polls; equal neighbours appear once.
fn told(stack: &mut Stack) -> Vec<String> {
    let session = stack.session(false);
    stack.in_process.restart(Stop::default());
    let mut engine = Engine::new(stack.in_process.now_ms(), 1);
    let tenant = engine.connect(stack.connection());
    let run = engine.spawn(tenant, |port| async move { drop(reconciled(session, port).await) });
    let mut names: Vec<String> = Vec::new();
    let mut hear = |told: Told| {
        let json = serde_json::to_value(&told).expect("plain data");
        assert_eq!((json["tenant"].as_str(), told.at_ms >= START_MS), (Some(DOMAIN), true));
        let words = ["event", "state", "effect", "ended"].iter().filter_map(|key| json[*key].as_str());
        let name = words.collect::<Vec<_>>().join(" ");
        if !matches!(told.event, Event::Request { .. } | Event::Polling { .. }) {
            names.push(name);
        }
    };
    let ended = stack.in_process.run(&mut engine, &[run], &mut hear, &|| false);
    assert_eq!(ended, in_process::Ended::Done);
    names.dedup();
    names
}

#[test]
fn a_run_tells_all_of_its_parts_in_order() {
    let mut stack = Stack::core();
    let begins = ["run_started", "plan_started", "plan_made", "lease taken", "record"];
    let mut names = told(&mut stack);
    let steps = names.iter().filter(|name| *name == "step_started").count();
    assert_eq!(names.iter().filter(|name| *name == "step_done").count(), steps);
    names.retain(|name| !name.starts_with("step_"));
    assert_eq!(names, [&begins[..], &["record", "lease released", "run_ended done"]].concat());
    assert_eq!(told(&mut stack), ["run_started", "plan_started", "plan_made", "run_ended done"]);
}

#[test]
fn a_step_that_fails_is_told_with_what_it_may_have_done() {
    let mut stack = Stack::new(options(), core_manifest().replace("6.2.0", "0.0.0-fail"));
    let names = told(&mut stack);
    let at = names.iter().position(|name| name.starts_with("step_failed")).expect("told");
    assert_eq!(names[at..], ["step_failed unknown", "record", "lease released", "run_ended failed"]);
}

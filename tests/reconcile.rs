//! Who decides about a plan: what each decision leads to, and that a question costs the run none of its time.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::Engine;
use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::{Decided, Decision, Report, reconcile};
use lockstep::model::plan::Plan;
use lockstep::shell::in_process::{self, Stop, run_virtual};

use crate::support::{Stack, core_manifest};

/// Runs with these decisions, the last one again and again. Answers the report and the plans that were decided about.
fn decided(stack: &mut Stack, decisions: Vec<Decided>) -> (Report, Vec<Plan>) {
    let plans = Rc::new(RefCell::new(Vec::new()));
    let told = plans.clone();
    let decide = move |plan: &Plan| {
        let mut plans = told.borrow_mut();
        plans.push(plan.clone());
        decisions[(plans.len() - 1).min(decisions.len() - 1)].clone()
    };
    let session = stack.session(false);
    let report = stack
        .process(
            Stop::default(),
            |port| async move { reconcile(session, Wishes::default(), decide, &port).await },
        )
        .expect("not killed")
        .unwrap_or_else(|failed| panic!("{failed}"));
    (report, plans.take())
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
    // What was named and that nothing waits for ends the run before anybody decides.
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
    let session = stack.session(false);
    let plans = Rc::new(RefCell::new(Vec::new()));
    let told = plans.clone();
    let decide = move |plan: &Plan| {
        told.borrow_mut().push(plan.steps.len());
        if told.borrow().len() == 1 {
            other.applied();
        }
        Decision::Apply.into()
    };
    let report = stack
        .process(
            Stop::default(),
            |port| async move { reconcile(session, Wishes::default(), decide, &port).await },
        )
        .expect("not killed")
        .unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(*plans.borrow(), [1, 0], "the other run has done it");
    assert_eq!(report.outcome.ended, Ended::Done);
}

/// What a run with a deadline of ten minutes comes to whose person thinks for so long.
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

//! The record in a file that others write too: what they wrote stays, and what this run did is not lost.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::{Decision, reconcile};
use lockstep::engine::store::Store;
use lockstep::engine::{Engine, Input, Output};
use lockstep::model::api::Method;
use lockstep::model::call::Failed;
use lockstep::model::place::{Place, PlaceCall};
use lockstep::shell::in_process::Stop;
use lockstep::twin::{Rule, What, When};

use super::bench::{Bench, changed_manifest};
use crate::support::{START_MS, Stack, ledger_file};

fn with_file() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.store = Store::File(ledger_file());
    bench
}

/// Applied once, and then several things are wanted otherwise.
fn changed() -> Bench {
    let mut bench = with_file();
    bench.stack.applied();
    bench.stack.text = changed_manifest();
    bench.later();
    bench
}

/// Somebody else writes this right before our write of that number, counted from now on.
fn meddle(bench: &Bench, nth: usize, other: impl Fn(&str) -> Option<String> + 'static) {
    let mut files = bench.stack.files.borrow_mut();
    files.saves = 0;
    files.meddle = Some(Box::new(move |contents, number| {
        if number == nth {
            let before = contents.remove(&ledger_file()).unwrap_or_default();
            contents.extend(other(&before).map(|text| (ledger_file(), text)));
        }
    }));
}

fn content(bench: &Bench) -> Option<String> {
    bench.stack.files.borrow().contents.get(&ledger_file()).cloned()
}

/// The same record, as somebody else may write it.
fn rewritten(text: &str) -> Option<String> {
    Some(format!("{text}\n"))
}

/// An apply, or one of a plan that is old; with how often it planned.
fn run(bench: &mut Bench, reread: bool) -> (Ended, usize) {
    let session = bench.stack.session(false);
    let plans = Rc::new(Cell::new(0));
    let count = plans.clone();
    let wishes = Wishes { reread, ..Wishes::default() };
    let ended = bench.stack.process(Stop::default(), |port| async move {
        let decide = |_: &_| {
            count.set(count.get() + 1);
            Decision::Apply.into()
        };
        reconcile(session, wishes, decide, &port).await.expect("readable").outcome.ended
    });
    (ended.expect("not killed"), plans.get())
}

#[test]
fn a_file_that_moved_before_the_intent_is_planned_over_anew() {
    let mut bench = changed();
    meddle(&bench, 1, rewritten);
    assert_eq!(run(&mut bench, false), (Ended::Done, 2));
    bench.converge("after it");
    // Removed by somebody else, whatever that is for: what stands there is taken over, as without a record.
    let mut bench = changed();
    meddle(&bench, 1, |_| None);
    let (ended, plans) = run(&mut bench, false);
    assert!(matches!(ended, Ended::Failed(_)) && plans == 2, "no record and no pinned service: {ended:?}");
    assert_eq!(content(&bench), None, "nothing is put in its place");
}

#[test]
fn a_file_that_appears_before_the_first_intent_is_not_written_over() {
    let mut bench = with_file();
    meddle(&bench, 1, |_| Some("a letter".into()));
    let mark = bench.stack.mark();
    let (ended, plans) = run(&mut bench, false);
    let Ended::Failed(why) = ended else { panic!("{ended:?}") };
    assert!(why.contains("ledger file cannot be used") && plans == 2, "{why}");
    assert_eq!(content(&bench).as_deref(), Some("a letter"));
    let writes = bench.writes_since(mark);
    assert!(writes.iter().all(|name| name.ends_with("_serverless_service")), "the lease alone: {writes:?}");
}

#[test]
fn an_old_plan_is_stale_where_the_file_moved_before_the_intent() {
    let mut bench = changed();
    meddle(&bench, 1, rewritten);
    let mark = bench.stack.mark();
    let (ended, plans) = run(&mut bench, true);
    let Ended::Stale(what) = ended else { panic!("{ended:?}") };
    assert!(what.contains("the record") && plans == 1, "{what}");
    let writes = bench.writes_since(mark);
    assert!(writes.iter().all(|name| name.ends_with("_serverless_service")), "the lease alone: {writes:?}");
    bench.converge("after it");
}

/// An older copy comes back while the steps run: without the record of this run the service would be nobody's.
#[test]
fn a_file_that_moved_before_the_result_stays_and_the_result_is_beside_it() {
    for (story, other) in [("another record", Some("{}")), ("no record", None)] {
        let mut bench = with_file();
        meddle(&bench, 2, move |_| other.map(str::to_owned));
        let (ended, _) = run(&mut bench, false);
        let Ended::Failed(why) = ended else { panic!("{story}: {ended:?}") };
        assert!(why.starts_with("the steps ran, but somebody else changed ledger file ledger.json"), "{why}");
        assert_eq!(content(&bench).as_deref(), other, "{story}");
        let (_, beside) = why.split_once("the record of this run is ").expect("told");
        let (beside, next) = beside.split_once(": ").expect("and what to do with it");
        assert!(next.ends_with("then run again"), "{next}");
        // As it says.
        let files = bench.stack.files.clone();
        let record = files.borrow_mut().contents.remove(&Place(beside.into())).expect("it is there");
        files.borrow_mut().contents.insert(ledger_file(), record);
        assert!(bench.plan().is_empty(), "{story}: all of it is on record");
        bench.converge(story);
    }
}

#[test]
fn a_destroy_leaves_a_file_that_moved() {
    let mut bench = with_file();
    bench.stack.applied();
    bench.later();
    meddle(&bench, 2, rewritten);
    let ended = bench.ended(true);
    let Ended::Failed(why) = ended else { panic!("{ended:?}") };
    assert!(why.contains("somebody else changed ledger file") && why.contains("destroy again"), "{why}");
    assert!(content(&bench).is_some(), "it stays");
    bench.later();
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(content(&bench), None);
}

/// Of a write that is answered as failed nobody knows whether it took effect: the next try goes over what it wrote.
#[test]
fn a_write_that_failed_and_took_effect_is_nobody_elses() {
    let mut bench = with_file();
    bench.stack.files.borrow_mut().fails = 2;
    let lost = What::Lost { after_effect: false };
    let rule = Rule::once(When::first(Method::Post, "/v2/Services"), lost);
    bench.stack.twin.borrow_mut().faults.rules.push(rule);
    let (ended, _) = run(&mut bench, false);
    assert!(matches!(&ended, Ended::Failed(why) if why.contains("it is not created again")), "{ended:?}");
    assert_eq!(bench.stack.files.borrow().saves, 3, "the intent, the result, and the result again");
    let record = content(&bench).expect("kept");
    assert!(record.contains("\"lost\""), "it tells of the lost create: {record}");
}

/// Nothing waits without a bound: not for a disk either.
#[test]
fn a_place_that_does_not_answer_is_given_up() {
    for deadline in [true, false] {
        let stack = Stack::core();
        let mut engine = Engine::new(START_MS, 1);
        if deadline {
            engine.set_deadline(START_MS + 1_000);
        }
        let tenant = engine.connect(stack.connection());
        let result = Rc::new(RefCell::new(Vec::new()));
        let slot = result.clone();
        engine.spawn(tenant, |port| async move {
            let read = port.reader().content(&ledger_file()).await;
            let written = port.keep(&ledger_file(), None, Default::default()).await;
            *slot.borrow_mut() = vec![read, written];
        });
        let (mut now_ms, mut asked, mut told) = (START_MS, Vec::new(), Vec::new());
        loop {
            match engine.poll_output() {
                Output::Place(id, _, call) => asked.push((id, call)),
                Output::WaitUntil(at_ms) => {
                    now_ms = at_ms;
                    engine.handle_input(Input::Tick, now_ms);
                }
                Output::Idle => {
                    now_ms += 1_000;
                    engine.handle_input(Input::Interrupt, now_ms);
                }
                Output::Done(_) => break,
                Output::Event(event) => told.push(format!("{event:?}")),
                other => panic!("{other:?}"),
            }
        }
        let ended_ms = if deadline { 1_000 } else { 6_000 };
        assert_eq!(now_ms, START_MS + ended_ms + 20_000, "ten seconds for each");
        let waits = told.iter().filter(|told| told.contains("still waiting for the ledger file ledger.json"));
        assert_eq!(waits.count(), 2, "{told:?}");
        assert!(asked[0].1 == PlaceCall::Load && asked.len() == 2, "{asked:?}");
        let [read, written] = &result.borrow()[..] else { panic!("both ended") };
        assert_eq!(*read, Err(Failed::Stopped));
        assert!(matches!(written, Err(Failed::Unknown(_))), "{written:?}");
        assert_eq!(engine.late(), deadline.then_some("the ledger file ledger.json"));
    }
}

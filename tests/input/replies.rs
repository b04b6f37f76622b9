//! Tests of replies of a wrong shape: every read of a plan and every request of an apply gets replies that are damaged
//! at one place.
//!
//! There must be no panic and no endless run. Above all, no plan may create or delete something because it mistook an
//! unreadable reply for a missing object.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::engine::observe::observe;
use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::model::call::Failed;
use lockstep::model::plan::Verb;
use lockstep::plan::render::{self, Paint};
use lockstep::shell::in_process::{Handled, InProcess, Simulator, Stop};
use serde_json::Value as Json;

use super::damage::{Damage, Wound, some_of, wounded, wounds};
use crate::faults::bench::{Bench, all, shown};
use crate::fields::bed::{Bed, FULL, Snapshot, applied_full, applied_of, valid};
use crate::fields::legacy::LEGACY;

/// Damages the reply to one request, which is known by its number.
struct Damaging {
    inner: Rc<RefCell<dyn Simulator>>,
    number: usize,
    target: Option<(usize, Wound)>,
    seen: Vec<(Method, String, Option<Json>)>,
}

impl Damaging {
    fn over(inner: Rc<RefCell<dyn Simulator>>, target: Option<(usize, Wound)>) -> Rc<RefCell<Damaging>> {
        Rc::new(RefCell::new(Damaging { inner, number: 0, target, seen: Vec::new() }))
    }
}

impl Simulator for Damaging {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        self.number += 1;
        let mut handled = self.inner.borrow_mut().handle(request, now_ms);
        let Answer::Reply(reply) = &mut handled.answer else { return handled };
        let json: Option<Json> = serde_json::from_slice(&reply.body).ok();
        if let (Some((number, wound)), Some(json)) = (&self.target, &json)
            && *number == self.number
        {
            reply.body = wounded(json, wound).to_string().into_bytes();
        }
        self.seen.push((request.method, format!("{}{}", request.host, request.path), json));
        handled
    }
}

/// Every damage of every reply to a plan over a finished stack: number of the request, its path, and the damage.
fn cases(bed: &mut Bed) -> Vec<(usize, String, Wound)> {
    let recorder = Damaging::over(bed.stack.twin.clone(), None);
    bed.stack.in_process = InProcess::new(recorder.clone(), bed.now_ms());
    let plan = bed.observe().plan;
    assert!(plan.is_empty(), "{}", shown(&plan));
    let mut cases = Vec::new();
    for (at, (_, path, reply)) in recorder.borrow().seen.iter().enumerate() {
        let reply = reply.as_ref().expect("a reply of JSON");
        cases.extend(wounds(reply).into_iter().map(|wound| (at + 1, path.clone(), wound)));
    }
    assert!(cases.len() > 500, "{} cases", cases.len());
    cases
}

/// Places at which the damaged reply really says that an object is missing: path of the request, end of the place, and
/// the reason.
const SAYS_SO: &[(&str, &str, &str)] = &[
    ("/branding/phone/templates", "/id Dropped", BUILT_IN),
    ("/branding/phone/templates", "/id Null", BUILT_IN),
];

const BUILT_IN: &str =
    "a template without an id is the built-in one; making it one's own is refused where there is one";

fn plans_over_damaged_replies(name: &str, snapshot: &Snapshot, text: &str, step: usize) {
    let manifest = valid(text, &[]);
    let cases = cases(&mut Bed::on(snapshot, manifest.clone()));
    let picked = some_of(cases, step);
    let (count, mut ends) = (picked.len(), BTreeMap::<&str, usize>::new());
    all(picked, |(number, path, wound)| {
        let story = format!("{name}: {path} with {wound}");
        let mut bed = Bed::on(snapshot, manifest.clone());
        let damaging = Damaging::over(bed.stack.twin.clone(), Some((number, wound.clone())));
        bed.stack.in_process = InProcess::new(damaging, bed.now_ms());
        let mut session = bed.session(false);
        session.allow_delete = true;
        let stop = Stop { requests_max: 2_000, ..Stop::default() };
        let result = bed
            .stack
            .process(stop, |port| async move { observe(&session, &port.reader()).await })
            .expect("not killed");
        let Ok(observation) = result else {
            *ends.entry("refused").or_default() += 1;
            return;
        };
        let plan = observation.plan;
        let drawn = render::plan(&plan, Paint(false)) + &render::drift(&plan, Paint(false));
        assert!(drawn.len() < 4_000_000, "{story}: {} bytes are shown", drawn.len());
        if plan.blockers().next().is_some() {
            *ends.entry("blocked").or_default() += 1;
            return;
        }
        let harmful = |verb: Verb| matches!(verb, Verb::Create | Verb::Delete | Verb::Replace);
        let believed: Vec<String> = plan
            .steps
            .iter()
            .filter(|step| harmful(step.verb))
            .map(|step| format!("{} {}: {}", step.address, step.what, step.reason))
            .collect();
        let place = wound.to_string();
        // Another text is another name, so our object is then really missing.
        let excused = wound.damage == Damage::Extreme
            || SAYS_SO.iter().any(|(request, end, _)| path.contains(request) && place.ends_with(end));
        assert!(believed.is_empty() || excused, "{story}: would {believed:?}");
        *ends.entry(if plan.is_empty() { "no difference" } else { "a difference" }).or_default() += 1;
    });
    println!("{name}: {count} damaged replies: {ends:?}");
}

#[test]
fn a_damaged_reply_never_makes_a_plan_create_or_delete() {
    plans_over_damaged_replies("everything", &applied_full(), FULL, 23);
}

#[test]
fn a_damaged_reply_never_makes_a_legacy_plan_create_or_delete() {
    plans_over_damaged_replies("legacy", &applied_of(LEGACY), LEGACY, 23);
}

/// One reply of an apply is damaged, which may be the reply to a write. The next apply is undisturbed.
#[test]
fn an_apply_with_a_damaged_reply_ends_and_the_next_finishes_it() {
    let prepared = Bench::crowded();
    let recorder = {
        let mut bench = prepared.fork();
        let recorder = Damaging::over(bench.watch.clone(), None);
        bench.stack.in_process = InProcess::new(recorder.clone(), bench.stack.in_process.now_ms());
        assert!(bench.run(Stop::default(), false).expect("not killed").is_ok());
        recorder
    };
    let mut cases = Vec::new();
    for (at, (method, path, reply)) in recorder.borrow().seen.iter().enumerate() {
        let Some(reply) = reply else { continue };
        let found = wounds(reply).into_iter();
        // The tests above cover the reads of a plan, so only some reads are taken here, and every reply to a write.
        let found = found.enumerate().filter(|(at, _)| *method != Method::Get || at % 11 == 0);
        cases.extend(found.map(|(_, wound)| (at + 1, format!("{method} {path}"), wound)));
    }
    let picked = some_of(cases, 13);
    println!("{} damaged replies of an apply", picked.len());
    all(picked, |(number, path, wound)| {
        let story = format!("{path} with {wound}");
        let mut bench = prepared.fork();
        let now_ms = bench.stack.in_process.now_ms();
        let damaging = Damaging::over(bench.watch.clone(), Some((number, wound)));
        bench.stack.in_process = InProcess::new(damaging, now_ms);
        let stop = Stop { requests_max: 5_000, ..Stop::default() };
        let _ = bench.run(stop, false);
        let later_ms = bench.stack.in_process.now_ms() + 120_000;
        bench.stack.in_process = InProcess::new(bench.watch.clone(), later_ms);
        bench.once_at_most(&story);
        bench.converge(&story);
        let losses = bench.losses();
        assert!(losses.is_empty(), "{story}: {losses:?}");
    });
}

/// Tests the tests: every damage changes the document.
#[test]
fn a_wound_changes_the_document() {
    let json = serde_json::json!({
        "list": [{ "id": "a", "on": true, "n": 7, "none": null }, "x"], "empty": [], "text": "7",
    });
    let found = wounds(&json);
    for damage in [
        Damage::Dropped,
        Damage::Null,
        Damage::Quoted,
        Damage::OtherType,
        Damage::Extreme,
        Damage::Twice,
        Damage::Crowded,
    ] {
        assert!(found.iter().any(|wound| wound.damage == damage), "{damage:?}");
    }
    for wound in found.iter().filter(|wound| wound.damage != Damage::Extreme) {
        assert_ne!(wounded(&json, wound), json, "{wound}");
    }
}

/// Answers every read of the chosen paths with one text.
struct Answering {
    inner: Rc<RefCell<dyn Simulator>>,
    path: fn(&str) -> bool,
    text: &'static str,
    count: usize,
}

impl Simulator for Answering {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let mut handled = self.inner.borrow_mut().handle(request, now_ms);
        if let Answer::Reply(reply) = &mut handled.answer
            && request.method == Method::Get
            && (self.path)(&request.path)
        {
            self.count += 1;
            reply.body = self.text.into();
        }
        handled
    }
}

/// An empty reply for a build or a source text is not mistaken for a change of what serves.
#[test]
fn an_empty_reply_for_a_build_or_a_source_text_is_misread() {
    let prepared = crate::faults::function::applied();
    let paths: [fn(&str) -> bool; 2] =
        [|path| path.contains("/Builds/ZB"), |path| path.ends_with("/Content")];
    for path in paths {
        for text in ["null", "[]", "{}"] {
            let mut bench = prepared.fork();
            let inner = bench.watch.clone();
            let answering = Rc::new(RefCell::new(Answering { inner, path, text, count: 0 }));
            bench.stack.in_process = InProcess::new(answering.clone(), bench.stack.in_process.now_ms());
            let result = bench.stack.try_observe(false);
            assert!(answering.borrow().count > 0);
            match result {
                Err(Failed::Misread(_)) => {}
                Err(failed) => panic!("{text}: {failed}"),
                Ok(observation) => panic!("{text}: {}", shown(&observation.plan)),
            }
        }
    }
}

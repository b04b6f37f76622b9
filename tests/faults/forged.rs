//! Tests of a record that somebody forged who can edit Actions: its checksum is right, its seal is not. On the word of
//! such a record nothing of others is deleted, overwritten or unbound. An object that is ours only by that record goes
//! only when a person names it.

use std::collections::BTreeMap;

use lockstep::engine::apply::Ended;
use lockstep::engine::observe::observe;
use lockstep::model::address::Address;
use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::model::ledger::{Entry, Last, NOT_BEFORE, Ownership};
use lockstep::model::plan::{Level, Plan, Purpose, Verb};
use lockstep::plan::render::{self, Paint};
use lockstep::shell::in_process::{InProcess, Stop};
use serde_json::json;

use super::bench::{ACTION, Bench, FOREIGN_STREAM, LEDGER, all, shown};
use super::ledgers::{forge, our_service, pinned, rewrite, says};
use super::waits::Odd;
use crate::support::{ACCOUNT, DOMAIN, Stack, core_manifest, function_manifest, manifest_of};

const THEIRS: &str = "VA00000000000000000000000000000042";

fn live() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.losses();
    bench
}

/// Makes the record look as the build before seals wrote it.
fn of_the_build_before(bench: &Bench) {
    forge(bench, |held| {
        held.schema = 1;
        held.seals.clear();
    });
}

fn foreign_action(bench: &Bench) -> String {
    let mut world = bench.world();
    let actions = &world.tenant_mut(DOMAIN).actions;
    actions.iter().find(|action| action.name == "Their audit").expect("there").id.clone()
}

fn created(kind: &str, ids: &[(&str, &str)], name: &str) -> Entry {
    Entry {
        kind: kind.into(),
        ownership: Ownership::Created,
        ids: ids.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned())).collect(),
        fields: BTreeMap::from([("name".to_owned(), Last::Plain(json!(name)))]),
        restore: BTreeMap::new(),
        notes: BTreeMap::from([(NOT_BEFORE.to_owned(), json!("2026-01-01T00:00:00Z"))]),
        unproven: false,
        left: Vec::new(),
    }
}

fn forced(bench: &Bench, mark: usize) -> Vec<String> {
    let log = bench.stack.log_since(mark);
    log.iter().filter(|entry| entry.path.contains("force=")).map(|entry| entry.path.clone()).collect()
}

#[test]
fn a_due_removal_that_somebody_wrote_into_the_record_takes_nothing_of_others_away() {
    let kinds = ["legacy_action", "mfa_post_login", "legacy_binding", "mfa_post_login_binding"];
    let cases = kinds.iter().flat_map(|kind| [(kind, false), (kind, true)]);
    all(cases, |(kind, sealed)| {
        let bench = live();
        let id = foreign_action(&bench);
        let write = |bench: &Bench| {
            let entry = created(kind, &[("id", &id), ("action_id", &id)], "Their audit");
            if sealed && kind.starts_with("legacy") {
                rewrite(bench, |held| drop(held.resources.insert((*kind).into(), entry)));
            } else {
                forge(bench, |held| drop(held.resources.insert((*kind).into(), entry)));
            }
        };
        for (destroy, allow_delete) in [(false, false), (false, true), (true, true)] {
            let mut bench = bench.fork();
            write(&bench);
            bench.stack.allow_delete = allow_delete;
            let mark = bench.stack.mark();
            let _ = bench.ended(destroy);
            let losses = bench.losses();
            assert!(!losses.iter().any(|loss| loss.contains("foreign")), "{kind} {destroy}: {losses:?}");
            assert!(!forced(&bench, mark).iter().any(|target| target.contains(&id)), "{kind} {destroy}");
        }
    });
}

#[test]
fn what_a_record_without_proof_adds_is_not_called_managed_and_stands_against_an_apply() {
    let mut bench = live();
    let id = FOREIGN_STREAM;
    let entry = created("log_stream", &[("id", id)], "Their SIEM");
    forge(&bench, |held| drop(held.resources.insert("log_stream.siem".into(), entry)));
    let plan = bench.plan();
    let told = plan.blockers().find(|one| one.address == "log_stream.siem");
    let told = told.unwrap_or_else(|| panic!("{}", shown(&plan)));
    assert!(told.text.contains("nothing proves") && !told.text.starts_with("it was managed"), "{told:?}");
    assert!(
        told.help.contains(&format!("--delete {id}")) && told.help.contains("delete the Action"),
        "{told:?}"
    );
    assert!(plan.steps.iter().all(|step| step.address != "log_stream.siem"), "{}", shown(&plan));
    let mark = bench.stack.mark();
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());
}

#[test]
fn what_only_a_record_without_proof_calls_ours_goes_when_it_is_named_and_not_before() {
    let mut bench = live();
    of_the_build_before(&bench);
    let sid = our_service(&bench);
    let mark = bench.stack.mark();
    let plan = bench.stack.try_observe(true).expect("read").plan;
    assert!(plan.unproven.iter().any(|object| object.id == sid && object.name == "Acme"), "{}", shown(&plan));
    let words = format!("--delete {sid}");
    assert!(plan.blockers().any(|finding| finding.help.contains(&words)), "{}", shown(&plan));
    assert!(plan.steps.is_empty(), "{}", shown(&plan));
    assert!(matches!(bench.ended(true), Ended::Failed(_)));
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());
    // All objects but one are named. The one that is not blocks the plan, and nothing is deleted.
    bench.stack.named = plan.unproven.iter().map(|object| object.id.clone()).collect();
    bench.stack.named.remove(&sid);
    assert!(matches!(bench.ended(true), Ended::Failed(_)));
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());
    bench.stack.named.insert(sid.clone());
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(forced(&bench, mark), Vec::<String>::new());
    let mut world = bench.world();
    assert!(world.account_mut(ACCOUNT).verify_services.iter().all(|service| service.sid != sid));
    let left: Vec<String> =
        world.tenant_mut(DOMAIN).actions.iter().map(|action| action.name.clone()).collect();
    assert!(!left.iter().any(|name| [ACTION, LEDGER].contains(&name.as_str())), "{left:?}");
    drop(world);
    assert!(!bench.losses().iter().any(|loss| loss.contains("foreign")));
}

#[test]
fn a_record_of_the_build_before_is_compared_with_and_not_written() {
    for text in [core_manifest(), function_manifest()] {
        let mut bench = Bench::crowded();
        bench.stack.text = text.clone();
        bench.stack.applied();
        of_the_build_before(&bench);
        bench.at_rest("a record without a seal");
        // What the manifest identifies by itself can change. The service has to be named, because its name is not
        // unique.
        let changed = text.replace("otp: on", "otp: off");
        assert_ne!(changed, text);
        bench.stack.text = changed;
        assert_eq!(bench.ended(false), Ended::Done);
        bench.at_rest("sealed by now");
        let plan = bench.stack.try_observe(true).expect("read").plan;
        assert!(!plan.unproven.is_empty(), "a new seal does not make old words true: {}", shown(&plan));
        bench.stack.text = text.replace("code_length: 6", "code_length: 7");
        let sid = our_service(&bench);
        if text == core_manifest() {
            let plan = bench.plan();
            assert!(plan.blockers().any(|finding| finding.help.contains(&sid)), "{}", shown(&plan));
            bench.stack.text = pinned(&bench).replace("code_length: 6", "code_length: 7");
        }
        bench.converge("with the service named");
    }
}

#[test]
fn a_forged_record_writes_nothing_of_others_over() {
    type Edit = fn(&mut lockstep::model::ledger::Ledger);
    let edits: &[(&str, Edit)] = &[
        ("their service", |held| {
            let entry = held.resources.get_mut("verify_service").expect("there");
            entry.ids.insert("sid".into(), THEIRS.into());
        }),
        ("their stream", |held| {
            let entry = held.resources.get_mut("log_stream").expect("there");
            entry.ids.insert("id".into(), FOREIGN_STREAM.into());
        }),
        ("an intent that made what is there", |held| {
            held.intent = Some(lockstep::model::ledger::Intent {
                nonce: "00".into(),
                destroy: false,
                rollback: false,
                creating: BTreeMap::from([(Address::of("verify_service"), Vec::new())]),
                restore: BTreeMap::new(),
                lost: Vec::new(),
                begun: BTreeMap::new(),
                at: "2026-01-01T00:00:00Z".into(),
            });
            held.resources.remove("verify_service");
        }),
    ];
    all(edits, |(name, edit)| {
        for change in [("code_length: 6", "code_length: 7"), ("status: active", "status: paused")] {
            let mut bench = live();
            // Their service has the same name as ours.
            let mut world = bench.world();
            let services = &mut world.account_mut(ACCOUNT).verify_services;
            services.iter_mut().filter(|service| service.sid == THEIRS).for_each(|service| {
                service.friendly_name = "Acme".into();
            });
            drop(world);
            forge(&bench, edit);
            bench.losses();
            let before = bench.snapshot();
            bench.stack.text = core_manifest().replace(change.0, change.1);
            let _ = bench.ended(false);
            let after = bench.snapshot();
            let theirs = |world: &lockstep::twin::World| {
                let services = &world.accounts[ACCOUNT].verify_services;
                let streams = &world.tenants[DOMAIN].log_streams;
                let service = services.iter().find(|service| service.sid == THEIRS).cloned();
                (service, streams.iter().find(|stream| stream.id == FOREIGN_STREAM).cloned())
            };
            assert_eq!(theirs(&before), theirs(&after), "{name}");
            assert!(!bench.losses().iter().any(|loss| loss.contains("foreign")), "{name}");
        }
    });
}

#[test]
fn a_former_value_is_shown_with_its_source_and_without_proof_it_stays() {
    let mut bench = live();
    let restores = |plan: &Plan| {
        let resource =
            plan.resources.iter().find(|resource| resource.address == "mfa_policy").expect("listed");
        resource.changes.iter().map(|change| (change.old.clone(), change.new.clone())).collect::<Vec<_>>()
    };
    let plan = bench.stack.try_observe(true).expect("read").plan;
    assert_eq!(restores(&plan), [(Some(json!("always")), Some(json!("never")))]);
    let step = plan.steps.iter().find(|step| step.address == "mfa_policy").expect("put back");
    assert!(step.reason.contains("by the record"), "{}", step.reason);
    let text = render::plan(&plan, Paint(false));
    assert!(text.contains("policy: always → never"), "{text}");
    forge(&bench, |held| {
        let entry = held.resources.get_mut("mfa_policy").expect("there");
        entry.restore.insert("policy".into(), json!("never"));
        held.serial += 1;
    });
    let plan = bench.stack.try_observe(true).expect("read").plan;
    assert!(says(&plan, Level::Blocker, "mfa_policy stays until you name it"), "{}", shown(&plan));
    assert!(!plan.steps.iter().any(|step| step.address == "mfa_policy"), "{}", shown(&plan));
}

/// Somebody binds the Action again right before it is deleted. In one case they also rename it, which makes it theirs.
#[test]
fn a_bound_action_that_others_changed_since_the_plan_is_not_deleted_by_force() {
    for renamed in [false, true] {
        let mut stack = Stack::core();
        stack.applied();
        let twin = stack.twin.clone();
        let alter = move |request: &ApiRequest, now_ms: u64, answer: Answer| {
            let mut twin = twin.borrow_mut();
            let actions = &twin.tenant_mut(DOMAIN).actions;
            let id = actions.iter().find(|action| action.name == ACTION).map(|action| action.id.clone());
            if let (Method::Patch | Method::Delete, Some(id)) = (request.method, id) {
                if request.path.ends_with("/triggers/custom-phone-provider/bindings") {
                    twin.world.bind(DOMAIN, "custom-phone-provider", &id, "Theirs", now_ms);
                } else if renamed && request.path == format!("/api/v2/actions/actions/{id}") {
                    twin.tenant_mut(DOMAIN).action_mut(&id).expect("there").name = "Theirs".into();
                }
            }
            answer
        };
        let world = Odd { twin: stack.twin.clone(), alter: Box::new(alter) };
        let now_ms = stack.in_process.now_ms();
        stack.in_process = InProcess::new(std::rc::Rc::new(std::cell::RefCell::new(world)), now_ms);
        let mark = stack.mark();
        let ended = stack.apply_until(Stop::default(), true).expect("not killed").ended;
        let log = stack.log_since(mark);
        let forced = log.iter().filter(|entry| entry.path.ends_with("?force=true")).count();
        assert_eq!(forced, usize::from(!renamed), "{ended:?}");
        if renamed {
            assert!(
                matches!(&ended, Ended::Failed(text) if text.contains("not deleted by force")),
                "{ended:?}"
            );
        } else {
            assert_eq!(ended, Ended::Done);
        }
    }
}

#[test]
fn a_plan_names_what_it_deletes_with_its_id() {
    let mut bench = live();
    let plan = bench.stack.try_observe(true).expect("read").plan;
    let text = render::plan(&plan, Paint(false));
    let mut some = 0;
    for resource in plan.resources.iter().filter(|resource| resource.verb == Verb::Delete) {
        some += 1;
        let name = resource.name.clone().unwrap_or_default();
        let line =
            text.lines().find(|line| line.trim_start().starts_with(&format!("- {} ", resource.address)));
        let line = line.unwrap_or_else(|| panic!("{}: {text}", resource.address));
        assert!(resource.ids.values().all(|id| line.contains(id)) && line.contains(&name), "{line}");
        let step =
            text.lines().find(|line| line.contains(&format!(". - {}: ", resource.address))).expect("a step");
        assert!(resource.ids.values().all(|id| step.contains(id)) && step.contains(&name), "{step}");
    }
    assert!(some >= 4, "{text}");
}

#[test]
fn a_plan_with_other_credentials_says_so_and_is_the_same() {
    let mut bench = live();
    let mut session = bench.stack.session(true);
    let ours = session.clone();
    let env = BTreeMap::from([
        ("TWILIO_API_KEY", "SK00000000000000000000000000000099"),
        ("TWILIO_API_SECRET", "Another-Key"),
    ]);
    let mut other = bench.stack.env.clone();
    other.extend(env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    session.manifest = std::rc::Rc::new(manifest_of(&bench.stack.text, &other));
    session.purpose = Purpose::Show;
    let strict = lockstep::engine::observe::Session { purpose: Purpose::Apply, ..session.clone() };
    let mut plan = |session: lockstep::engine::observe::Session| {
        let observed = bench.stack.process(Stop::default(), |port| async move {
            observe(&session, &port.reader()).await.expect("read").plan
        });
        observed.expect("not killed")
    };
    let (ours, other, strict) = (plan(ours), plan(session), plan(strict));
    assert_eq!(ours.basis, other.basis, "a saved plan is good for the apply");
    assert!(says(&other, Level::Note, "cannot be checked with these credentials"), "{}", shown(&other));
    assert!(strict.steps.is_empty() && strict.blockers().next().is_some(), "an apply takes nothing on trust");
}

#[test]
fn an_action_of_the_records_name_on_another_trigger_is_not_written_over() {
    let mut bench = Bench::crowded();
    {
        let mut world = bench.world();
        let actions = &mut world.tenant_mut(DOMAIN).actions;
        actions
            .iter_mut()
            .filter(|action| action.name == "Their audit")
            .for_each(|action| action.name = LEDGER.into());
    }
    let mark = bench.stack.mark();
    assert!(matches!(bench.ended(false), Ended::Failed(text) if text.contains("not overwritten")));
    assert_eq!(bench.writes_since(mark), Vec::<String>::new());
}

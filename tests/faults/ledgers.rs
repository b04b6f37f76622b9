//! Tests of a record that is lost, damaged, doubled, foreign, hostile, or without room. The record is an untrusted
//! cache.

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::ledger;
use lockstep::model::ledger::{Ledger, Ownership};
use lockstep::model::plan::{Level, Plan};
use lockstep::twin::world::Action;
use lockstep::twin::{TriggerRef, World};

use super::bench::{ACTION, Bench, FOREIGN_STREAM, LEDGER, all, shown};
use crate::support::{ACCOUNT, DOMAIN, START_MS, core_manifest, ledger_file, manifest_of};

fn live() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench
}

fn ledger_code(world: &mut World) -> &mut String {
    let actions = &mut world.tenant_mut(DOMAIN).actions;
    &mut actions.iter_mut().find(|action| action.name == LEDGER).expect("a ledger").code
}

/// Replaces our record as somebody does who has none of the credentials: with a right checksum and without a seal.
pub fn forge(bench: &Bench, edit: impl FnOnce(&mut Ledger)) {
    let mut world = bench.world();
    let code = ledger_code(&mut world);
    let mut held = ledger::read(code, "acme-login", DOMAIN, ACCOUNT).expect("our own");
    edit(&mut held);
    *code = ledger::write(&held).expect("small");
}

/// Replaces our record by one that is sealed as if a run of ours had written it.
pub fn rewrite(bench: &Bench, edit: impl FnOnce(&mut Ledger)) {
    let keys = ledger::seal::Keys::of(&manifest_of(&bench.stack.text, &bench.stack.env), 2);
    forge(bench, |held| {
        edit(held);
        *held = keys.sealed(held);
    });
}

pub fn our_service(bench: &Bench) -> String {
    let mut world = bench.world();
    let services = &world.account_mut(ACCOUNT).verify_services;
    services.iter().find(|service| service.friendly_name == "Acme").expect("there").sid.clone()
}

pub fn pinned(bench: &Bench) -> String {
    let line = format!("friendly_name: Acme\n  sid: {}", our_service(bench));
    core_manifest().replace("friendly_name: Acme", &line)
}

pub fn says(plan: &Plan, level: Level, words: &str) -> bool {
    plan.findings.iter().any(|finding| finding.level == level && finding.text.contains(words))
}

/// Ways to lose the record, each with a part of its message.
type Lose = fn(&mut World);
const LOST: &[(&str, Lose, Option<&str>)] = &[
    ("deleted", |world| world.tenant_mut(DOMAIN).actions.retain(|action| action.name != LEDGER), None),
    (
        "edited",
        |world| *ledger_code(world) = ledger_code(world).replace("v1.", "v1.0"),
        Some("somebody edited it"),
    ),
    ("emptied", |world| ledger_code(world).clear(), Some("somebody edited it")),
    ("cut off", |world| ledger_code(world).truncate(400), Some("somebody edited it")),
    (
        "no payload",
        |world| *ledger_code(world) = "exports.ledger = 'v1..';".into(),
        Some("somebody edited it"),
    ),
    ("not base64", |world| *ledger_code(world) = "'v1.00.ü'".into(), Some("somebody edited it")),
    (
        "copied from another tenant",
        |world| {
            let code = ledger_code(world);
            let mut held = ledger::read(code, "acme-login", DOMAIN, ACCOUNT).expect("our own");
            held.tenant = "other.eu.auth0.com".into();
            *code = ledger::write(&held).expect("small");
        },
        Some("copied from elsewhere"),
    ),
    (
        "copied from another account",
        |world| {
            let code = ledger_code(world);
            let mut held = ledger::read(code, "acme-login", DOMAIN, ACCOUNT).expect("our own");
            held.account = "AC000000000000000000000000000000ff".into();
            *code = ledger::write(&held).expect("small");
        },
        Some("copied from elsewhere"),
    ),
    (
        "copied from another stack",
        |world| {
            let code = ledger_code(world);
            let mut held = ledger::read(code, "acme-login", DOMAIN, ACCOUNT).expect("our own");
            held.stack = "other".into();
            *code = ledger::write(&held).expect("small");
        },
        Some("copied from elsewhere"),
    ),
];

#[test]
fn a_lost_record_never_makes_a_second_service() {
    all(LOST, |(name, lose, said)| {
        let mut bench = live();
        lose(&mut bench.world());
        let sid = our_service(&bench);
        let plan = bench.plan();
        if let Some(said) = said {
            assert!(says(&plan, Level::Warning, said), "{name}: {}", shown(&plan));
        }
        assert!(says(&plan, Level::Blocker, &sid), "{name}: the candidates are listed: {}", shown(&plan));
        let mark = bench.stack.mark();
        assert!(matches!(bench.ended(false), Ended::Failed(_)), "{name}");
        assert!(bench.writes_since(mark).is_empty(), "{name}: {:?}", bench.writes_since(mark));
        // With the service named in the manifest, the service and then everything else is taken over.
        bench.stack.text = pinned(&bench);
        bench.losses();
        bench.converge(name);
        let losses = bench.losses();
        assert!(losses.is_empty(), "{name}: {losses:?}");
    });
}

#[test]
fn what_was_adopted_again_is_not_deleted_by_destroy() {
    let mut bench = live();
    bench.world().tenant_mut(DOMAIN).actions.retain(|action| action.name != LEDGER);
    bench.stack.text = pinned(&bench);
    bench.stack.applied();
    let sid = our_service(&bench);
    let ended = bench.ended(true);
    assert!(matches!(ended, Ended::Done | Ended::Failed(_)), "{ended:?}");
    assert_eq!(our_service(&bench), sid);
    let mut world = bench.world();
    assert!(world.tenant_mut(DOMAIN).actions.iter().any(|action| action.name == ACTION));
}

#[test]
fn two_records_stop_everything() {
    let mut bench = live();
    {
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        let mut copy = tenant.actions.iter().find(|action| action.name == LEDGER).expect("there").clone();
        copy.id = "00000000-0000-4000-8000-000000000001".into();
        tenant.actions.push(copy);
    }
    let plan = bench.plan();
    assert!(says(&plan, Level::Blocker, "none of them is trusted"), "{}", shown(&plan));
    let ours =
        bench.world().tenant_mut(DOMAIN).actions.iter().find(|a| a.name == LEDGER).map(|a| a.id.clone());
    let help = plan.blockers().map(|finding| finding.help.clone()).collect::<Vec<_>>().join("; ");
    assert!(help.contains(&format!("keep {}, the latest record", ours.expect("the record"))), "{help}");
    let mark = bench.stack.mark();
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    assert!(matches!(bench.ended(true), Ended::Failed(_)), "destroy");
    assert!(bench.writes_since(mark).is_empty());
}

#[test]
fn two_records_that_appear_after_the_plan_stop_the_run() {
    let record = live().world().tenant_mut(DOMAIN).actions.iter().find(|a| a.name == LEDGER).cloned();
    let record = record.expect("there");
    let mut bench = Bench::crowded();
    bench.watch.borrow_mut().meddle = Some(Box::new(move |twin, _, _| {
        let leased = !twin.world.account_mut(ACCOUNT).serverless_services.is_empty();
        let actions = &mut twin.world.tenant_mut(DOMAIN).actions;
        if leased && !actions.iter().any(|action| action.name == LEDGER) {
            for id in ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"] {
                actions.push(Action { id: id.into(), ..record.clone() });
            }
        }
    }));
    let mark = bench.stack.mark();
    let ended = bench.ended(false);
    assert!(matches!(&ended, Ended::Failed(text) if text.contains("none of them is trusted")), "{ended:?}");
    let writes = bench.writes_since(mark);
    assert_eq!(writes, ["create_serverless_service", "delete_serverless_service"]);
}

#[test]
fn a_deployed_record_is_said_and_still_used() {
    let mut bench = live();
    {
        let mut world = bench.world();
        let template = {
            let id = world.add_deployed_action(
                DOMAIN,
                "x",
                &TriggerRef::new("post-change-password", "v2"),
                START_MS,
            );
            let tenant = world.tenant_mut(DOMAIN);
            let at = tenant.actions.iter().position(|action| action.id == id).expect("made");
            tenant.actions.remove(at)
        };
        let tenant = world.tenant_mut(DOMAIN);
        let held = tenant.actions.iter_mut().find(|action| action.name == LEDGER).expect("there");
        held.versions = template.versions;
        held.deployment = template.deployment;
    }
    bench.stack.in_process.advance_ms(60_000);
    let plan = bench.plan();
    assert!(says(&plan, Level::Warning, "deployed the ledger"), "{}", shown(&plan));
    assert!(plan.is_empty(), "{}", shown(&plan));
    bench.stack.text = core_manifest().replace("code_length: 6", "code_length: 7");
    bench.converge("with a deployed record");
}

#[test]
fn a_newer_record_is_left_alone() {
    let mut bench = live();
    forge(&bench, |held| held.schema = 99);
    let plan = bench.plan();
    assert!(says(&plan, Level::Blocker, "schema 99"), "{}", shown(&plan));
    let mark = bench.stack.mark();
    assert!(matches!(bench.ended(false), Ended::Failed(_)));
    assert!(bench.writes_since(mark).is_empty());
}

#[test]
fn a_hostile_record_does_no_harm() {
    type Edit = fn(&mut Ledger);
    let edits: &[(&str, Edit)] = &[
        ("the largest serial", |held| held.serial = u64::MAX),
        ("their service as ours", |held| {
            let entry = held.resources.get_mut("verify_service").expect("there");
            entry.ids.insert("sid".into(), "VA00000000000000000000000000000042".into());
        }),
        ("their stream as ours", |held| {
            let entry = held.resources.get_mut("log_stream").expect("there");
            entry.ids.insert("id".into(), FOREIGN_STREAM.into());
        }),
        ("an unknown kind", |held| {
            let mut entry = held.resources["mfa_policy"].clone();
            entry.kind = "rocket".into();
            held.resources.insert("rocket".into(), entry);
        }),
        ("a kind under another address", |held| {
            let entry = held.resources["action"].clone();
            held.resources.insert("mfa_factor.email".into(), entry);
        }),
        ("an address without a factor", |held| {
            let entry = held.resources["mfa_factor.otp"].clone();
            held.resources.insert("mfa_factor.rocket".into(), entry);
        }),
        ("values that are none", |held| {
            let entry = held.resources.get_mut("mfa_policy").expect("there");
            entry.restore.insert("policy".into(), serde_json::json!({"a": [1, 2]}));
        }),
        ("a service of a path", |held| {
            let entry = held.resources.get_mut("verify_service").expect("there");
            entry.ids.insert("sid".into(), "../Services/VA00000000000000000000000000000042".into());
        }),
        ("everything created", |held| {
            held.resources.values_mut().for_each(|entry| entry.ownership = Ownership::Created);
        }),
    ];
    let cases = edits.iter().flat_map(|edit| [(edit, false), (edit, true)]);
    let cases = cases.flat_map(|(edit, destroy)| [(edit, destroy, false), (edit, destroy, true)]);
    all(cases, |((name, edit), destroy, sealed)| {
        let mut bench = live();
        if sealed {
            rewrite(&bench, edit)
        } else {
            forge(&bench, edit)
        }
        bench.losses();
        bench.stack.text = core_manifest().replace("code_length: 6", "code_length: 7");
        bench.stack.allow_delete = true;
        let ended = bench.ended(destroy);
        assert!(matches!(ended, Ended::Done | Ended::Failed(_)), "{name}: {ended:?}");
        let mut losses = bench.losses();
        // A run may change what a sealed record calls ours. To delete it, the live object has to agree as well.
        losses.retain(|loss| destroy || !sealed || !loss.contains("foreign"));
        assert!(
            !losses.iter().any(|loss| loss.contains("foreign") || loss.contains("locked")),
            "{name}, destroy: {destroy} ({ended:?}): {losses:?}"
        );
    });
}

#[test]
fn their_action_in_our_record_is_not_ours() {
    for destroy in [false, true] {
        let mut bench = live();
        let theirs = {
            let mut world = bench.world();
            // Their Action is not bound, so only our own care keeps it from being deleted.
            world.tenant_mut(DOMAIN).bindings.remove("post-login");
            world
                .tenant_mut(DOMAIN)
                .actions
                .iter()
                .find(|a| a.name == "Their audit")
                .expect("there")
                .id
                .clone()
        };
        forge(&bench, |held| {
            let entry = held.resources.get_mut("action").expect("there");
            entry.ids.insert("id".into(), theirs.clone());
        });
        bench.losses();
        let _ = bench.ended(destroy);
        let losses = bench.losses();
        assert!(!losses.iter().any(|loss| loss.contains("foreign")), "destroy: {destroy}: {losses:?}");
    }
}

fn with_actions(count: usize) -> Bench {
    let bench = Bench::core();
    {
        let mut world = bench.world();
        for number in 0..count {
            let trigger = TriggerRef::new("post-login", "v3");
            world.add_deployed_action(DOMAIN, &format!("Their {number}"), &trigger, START_MS - 1);
        }
    }
    bench
}

#[test]
fn a_tenant_without_room_is_refused_before_the_first_write() {
    with_actions(98).converge("98 Actions and two of ours");
    for count in [99, 100] {
        let mut bench = with_actions(count);
        let plan = bench.plan();
        assert!(says(&plan, Level::Blocker, "of at most 100 Actions"), "{count}: {}", shown(&plan));
        let named = plan.findings.iter().any(|finding| finding.help.contains("--ledger file"));
        assert!(named, "{count}: the alternative is named");
        let mark = bench.stack.mark();
        assert!(matches!(bench.ended(false), Ended::Failed(_)), "{count}");
        assert!(bench.writes_since(mark).is_empty(), "{count}: {:?}", bench.writes_since(mark));
    }
}

#[test]
fn the_alternative_that_is_named_works() {
    let mut bench = with_actions(99);
    bench.stack.store = Store::File(ledger_file());
    bench.converge("99 Actions, the ledger in a file");
}

#[test]
fn a_full_tenant_that_holds_our_stack_goes_on() {
    let mut bench = with_actions(98);
    bench.stack.applied();
    bench.stack.text = core_manifest().replace("code_length: 6", "code_length: 7");
    bench.converge("100 Actions with ours");
    assert_eq!(bench.ended(true), Ended::Done);
    assert_eq!(bench.world().tenant_mut(DOMAIN).actions.len(), 98);
}

#[test]
fn a_wrong_ledger_file_stops_everything() {
    for content in ["", "{}", "[1]", "not json", "{\"schema\": 99}", "{\"schema\": -1}"] {
        let mut bench = Bench::crowded();
        bench.stack.store = Store::File(ledger_file());
        let files = bench.stack.files.clone();
        files.borrow_mut().contents.insert(ledger_file(), content.into());
        let plan = bench.plan();
        assert!(says(&plan, Level::Blocker, "ledger file cannot be used"), "{content:?}: {}", shown(&plan));
        let mark = bench.stack.mark();
        assert!(matches!(bench.ended(false), Ended::Failed(_)), "{content:?}");
        assert!(bench.writes_since(mark).is_empty() && files.borrow().saves == 0, "{content:?}");
    }
}

#[test]
fn without_a_record_the_second_plan_is_still_empty() {
    let mut bench = Bench::crowded();
    // No record remembers the service, so the manifest has to name it.
    let service = super::bench::verify_service("VA00000000000000000000000000000077");
    bench.world().account_mut(ACCOUNT).verify_services.push(service);
    let line = "friendly_name: Acme\n  sid: VA00000000000000000000000000000077";
    bench.stack.text = core_manifest().replace("friendly_name: Acme", line);
    bench.stack.store = Store::None;
    bench.converge("no ledger");
}

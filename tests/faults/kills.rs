//! Tests of runs that end early, at every possible request: the next run finishes their work.

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::model::api::Method;
use lockstep::shell::in_process::Stop;
use lockstep::twin::{Rule, What, When, World};

use super::bench::{self, Bench, Dice, LEDGER, all, changed_manifest, shown};
use crate::support::{ACCOUNT, DOMAIN, core_manifest, function_manifest, ledger_file, options};

type Make = fn() -> Bench;

fn with_file() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.store = Store::File(ledger_file());
    bench
}

/// A stack that was applied once, and whose manifest then changes in several places.
fn changed() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.stack.text = changed_manifest();
    bench.losses();
    bench
}

fn applied() -> Bench {
    let mut bench = Bench::crowded();
    bench.stack.applied();
    bench.losses();
    bench
}

/// Number of requests of one undisturbed run.
fn length(make: Make, destroy: bool) -> usize {
    let mut bench = make();
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(destroy), Ended::Done);
    bench.requests(mark)
}

fn points(length: usize) -> impl Iterator<Item = (usize, bool)> {
    (0..=length).flat_map(|k| [(k, true), (k, false)])
}

fn killed_then_applied(make: Make, versions_max: usize) {
    let length = length(make, false);
    let prepared = make();
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        bench.converge(&story);
        assert!(bench.versions() <= versions_max, "{story}: {} versions deployed", bench.versions());
        foreign_only(&bench, &story);
    });
}

fn foreign_only(bench: &Bench, story: &str) {
    let losses: Vec<String> = bench
        .losses()
        .into_iter()
        .filter(|loss| loss.contains("foreign") || loss.contains("locked"))
        .collect();
    assert!(losses.is_empty(), "{story}: {losses:?}");
}

#[test]
fn a_killed_first_apply_is_finished_by_the_next() {
    // A run that left no record may have sent secrets; nobody knows which, so they may be sent once more.
    killed_then_applied(Bench::crowded, 2);
}

#[test]
fn a_killed_first_apply_with_a_ledger_file_is_finished_by_the_next() {
    killed_then_applied(with_file, 2);
}

#[test]
fn a_killed_change_is_finished_by_the_next() {
    killed_then_applied(changed, 2);
}

#[test]
fn a_killed_destroy_is_finished_by_the_next() {
    let former = Bench::crowded().snapshot();
    let length = length(applied, true);
    let prepared = applied();
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), true);
        bench.later();
        let mark = bench.stack.mark();
        assert_eq!(bench.ended(true), Ended::Done, "{story}");
        let again = bench.stack.mark();
        assert_eq!(bench.ended(true), Ended::Done, "{story}: again");
        assert!(bench.writes_since(again).is_empty(), "{story}: again wrote {:?}", bench.writes_since(again));
        let mut now = bench.snapshot();
        drop_idle_lease(&mut bench, &mut now, mark);
        assert!(now == former, "{story}: {}", difference(&former, &now));
        foreign_only(&bench, &story);
    });
}

/// The differences between two worlds, in words.
pub fn difference(then: &lockstep::twin::World, now: &lockstep::twin::World) -> String {
    let json = |world| serde_json::to_value(world).expect("plain data");
    let (then, now) = (json(then), json(now));
    let mut found = Vec::new();
    for part in ["tenants", "accounts"] {
        let key = if part == "tenants" { DOMAIN } else { ACCOUNT };
        let (a, b) = (&then[part][key], &now[part][key]);
        for field in b.as_object().into_iter().flatten().map(|(field, _)| field) {
            let size = |json: &serde_json::Value| json.as_array().map_or(1, Vec::len);
            if a[field] != b[field] {
                found.push(format!("{field} ({} entries, were {})", size(&b[field]), size(&a[field])));
            }
        }
    }
    found.join("; ")
}

#[test]
fn two_kills_in_a_row_are_survived() {
    let length = length(Bench::crowded, false);
    let mut dice = Dice(11);
    let cases: Vec<(usize, usize, bool)> =
        (0..80).map(|_| (1 + dice.below(length), 1 + dice.below(length), dice.below(2) == 0)).collect();
    all(cases, |(first, second, before_reply)| {
        let story = format!("killed after {first}, then after {second}, before the reply: {before_reply}");
        let mut bench = Bench::crowded();
        let mut deployed = 0;
        // A run makes at most one version. If it dies before it records the version, the next run deploys again.
        let mut one_more = |bench: &Bench| {
            let versions = bench.versions();
            assert!(versions <= deployed + 1, "{story}: {versions} versions after {deployed}");
            deployed = versions;
        };
        let _ = bench.run(Stop::kill(first, before_reply), false);
        one_more(&bench);
        bench.later();
        let _ = bench.run(Stop::kill(second, !before_reply), false);
        one_more(&bench);
        bench.later();
        bench.converge(&story);
        one_more(&bench);
    });
}

/// A world without the values that every write of a list renews.
fn comparable(mut world: World) -> World {
    world.tenant_mut(DOMAIN).bindings.values_mut().for_each(|list| bench::nameless(list));
    world
}

/// Destroys, and checks that exactly the former world is left.
fn destroyed_to(former: &World, bench: &mut Bench, story: &str) {
    let mark = bench.stack.mark();
    assert_eq!(bench.ended(true), Ended::Done, "{story}: destroyed");
    let mut now = bench.snapshot();
    drop_idle_lease(bench, &mut now, mark);
    let now = comparable(now);
    assert!(now == *former, "{story}: {}", difference(former, &now));
}

/// Kills a first apply, then destroys: the former world is back, however far the apply came.
fn killed_then_destroyed(make: Make) {
    let former = comparable(Bench::crowded().snapshot());
    let length = length(make, false);
    let prepared = make();
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = prepared.fork();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        destroyed_to(&former, &mut bench, &story);
    });
}

#[test]
fn a_killed_apply_and_then_a_destroy_leave_the_former_world() {
    killed_then_destroyed(Bench::crowded);
}

#[test]
fn a_killed_change_and_then_a_destroy_leave_the_former_world() {
    killed_then_destroyed(changed);
}

#[test]
fn a_killed_apply_of_everything_and_then_a_destroy_leave_the_former_world() {
    killed_then_destroyed(large);
}

/// The Function, rate limits, rules and a template on top of the core stack.
fn large() -> Bench {
    let limits = "  rate_limits: {per_number: {key: recipient, buckets: {10m: {max: 5}}}}\n  \
                  messaging_configurations: {US: MG000000000000000000000000000000a1}\n  code_length: 6";
    let rules = "mfa:\n  post_login:\n    rules:\n      staff:\n        roles: [Admin]\n        \
                 factors: [phone, otp]\n";
    let templates = "  templates: {otp_verify: {text: \"Acme says @{code}\"}}\n  channels: [";
    let mut bench = Bench::crowded();
    bench.stack.text = function_manifest()
        .replace("  code_length: 6", limits)
        .replace("mfa:\n", rules)
        .replace("  channels: [", templates)
        .replace("policy: always", "policy: never");
    bench
}

/// An apply of a large manifest dies half way, and then a smaller manifest is applied, which names few of the begun
/// objects, and by other names.
#[test]
fn what_a_killed_apply_began_goes_though_the_manifest_no_longer_names_it() {
    let former = comparable(Bench::crowded().snapshot());
    let length = length(large, false);
    assert!(length > 60, "{length} requests");
    let small = core_manifest().replace("friendly_name: Acme\n", "friendly_name: Acme before\n").replace(
        "  code: builtin:twilio-verify",
        "  name: Their phone before\n  code: builtin:twilio-verify",
    );
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = large();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        bench.stack.text.clone_from(&small);
        bench.stack.allow_delete = true;
        let applied = (0..3).map(|_| bench.ended(false)).find(|ended| *ended != Ended::Moved);
        assert_eq!(applied, Some(Ended::Done), "{story}: applied");
        assert!(bench.plan().is_empty(), "{story}: {}", shown(&bench.plan()));
        destroyed_to(&former, &mut bench, &story);
    });
}

/// Every attempt gives the objects other names, so the last intent alone does not identify them.
#[test]
fn what_two_killed_applies_called_otherwise_is_still_theirs() {
    let former = comparable(Bench::crowded().snapshot());
    let length = length(large, false);
    let text = large().stack.text;
    let called = |name: &str| {
        text.replace("friendly_name: Acme\n", &format!("friendly_name: Acme {name}\n"))
            .replace(
                "  code: builtin:twilio-verify",
                &format!("  name: Their phone {name}\n  code: builtin:twilio-verify"),
            )
            .replace("  post_login:\n", &format!("  post_login:\n    name: Their rules {name}\n"))
            .replace("  log_stream:\n", &format!("  log_stream:\n    name: Their stream {name}\n"))
    };
    let mut dice = Dice(23);
    let cases: Vec<(usize, usize, bool)> =
        (0..120).map(|_| (10 + dice.below(length - 10), 10 + dice.below(40), dice.below(2) == 0)).collect();
    all(cases, |(first, second, before_reply)| {
        let story = format!("killed after {first}, then after {second}, before the reply: {before_reply}");
        let mut bench = large();
        for (name, at) in [("one", first), ("two", second)] {
            bench.stack.text = called(name);
            let _ = bench.run(Stop::kill(at, before_reply), false);
            bench.later();
        }
        bench.stack.text = called("three");
        let applied = (0..3).map(|_| bench.ended(false)).find(|ended| *ended != Ended::Moved);
        assert_eq!(applied, Some(Ended::Done), "{story}: applied");
        destroyed_to(&former, &mut bench, &story);
    });
}

/// The service on record was deleted by somebody, and two runs die while they replace it.
#[test]
fn what_takes_the_place_of_something_gone_is_made_once() {
    let gone = || {
        let mut bench = applied();
        let services = |bench: &Bench| bench.world().account_mut(ACCOUNT).verify_services.clone();
        let acme = services(&bench).iter().position(|one| one.friendly_name == "Acme").expect("ours");
        bench.world().account_mut(ACCOUNT).verify_services.remove(acme);
        bench.stack.text = core_manifest();
        bench
    };
    let length = length(gone, false);
    let mut dice = Dice(31);
    let cases: Vec<(usize, usize, bool)> = (0..60)
        .map(|_| (10 + dice.below(length - 10), 10 + dice.below(length - 10), dice.below(2) == 0))
        .collect();
    all(cases, |(first, second, before_reply)| {
        let story = format!("killed after {first}, then after {second}, before the reply: {before_reply}");
        let mut bench = gone();
        for at in [first, second] {
            let _ = bench.run(Stop::kill(at, before_reply), false);
            bench.later();
            bench.once_at_most(&story);
        }
        bench.converge(&story);
    });
}

/// Somebody deletes the record. A run that wants another name for the stream dies after it has written its intent. Then
/// the manifest has the former name again. The stream existed before that run, so it is taken over, and no second
/// stream of that name is made.
#[test]
fn a_stream_from_before_an_unfinished_run_is_not_made_again() {
    let named = function_manifest().replace("  log_stream:\n", "  log_stream:\n    name: Acme feedback\n");
    let mut bench = Bench::new(options(), named.clone());
    assert_eq!(bench.ended(false), Ended::Done);
    bench.world().tenant_mut(DOMAIN).actions.retain(|action| action.name != LEDGER);
    bench.stack.text = function_manifest();
    let is_begun = |killed: &Bench| {
        let mut world = killed.world();
        let tenant = world.tenant_mut(DOMAIN);
        let recorded = tenant.actions.iter().any(|action| action.name == LEDGER);
        recorded && tenant.log_streams.len() == 1
    };
    let mut killed = (1..60)
        .map(|k| {
            let mut killed = bench.fork();
            let _ = killed.run(Stop::kill(k, true), false);
            killed
        })
        .find(is_begun)
        .expect("a run begins");
    killed.later();
    killed.stack.text = named;
    assert_eq!(killed.ended(false), Ended::Done, "named as before");
    let streams = killed.world().tenant_mut(DOMAIN).log_streams.len();
    assert_eq!(streams, 1);
    assert_eq!(killed.ended(true), Ended::Done);
    assert_eq!(killed.world().tenant_mut(DOMAIN).log_streams.len(), 1, "it was not made by a run on record");
}

/// What cannot be read may still exist.
#[test]
fn what_a_killed_apply_began_is_not_forgotten_while_it_cannot_be_read() {
    let mut bench = Bench::crowded();
    let former = bench.snapshot();
    let streams = |bench: &Bench| bench.world().tenant_mut(DOMAIN).log_streams.len();
    let before = streams(&bench);
    let made = (1..).find(|k| {
        let mut killed = Bench::crowded();
        let _ = killed.run(Stop::kill(*k, false), false);
        streams(&killed) > before
    });
    let _ = bench.run(Stop::kill(made.expect("a stream is made"), true), false);
    bench.later();
    assert_eq!(streams(&bench), before + 1);
    let text = core_manifest();
    let (head, rest) = text.split_once("feedback:\n").expect("a section");
    let tail = &rest[rest.find("\nmfa:").expect("the next section")..];
    bench.stack.text = format!("{head}{tail}");
    bench.stack.allow_delete = true;
    let when = When::Matching {
        method: Some(Method::Get),
        host: None,
        path: Some("/api/v2/log-streams".into()),
        nth: 1,
    };
    let rule = Rule { when, what: What::Forbidden, times: 10_000, matched: 0 };
    bench.stack.twin.borrow_mut().faults.rules.push(rule);
    let mark = bench.stack.mark();
    let ended = bench.ended(false);
    let told = matches!(&ended, Ended::Failed(text) if text.contains("could not be read"));
    assert!(told && bench.writes_since(mark).is_empty(), "{ended:?}");
    bench.calm();
    assert_eq!(bench.ended(false), Ended::Done);
    assert_eq!(streams(&bench), before, "read again, it goes with what left the manifest");
    assert_eq!(bench.ended(true), Ended::Done);
    assert!(bench.snapshot() == former);
}

/// Removes the lease of a dead run from `now`, if the next run had nothing to do and therefore left it.
fn drop_idle_lease(bench: &mut Bench, now: &mut World, mark: usize) {
    if !bench.writes_since(mark).iter().any(|name| name == "create_serverless_service") {
        let services = &mut now.account_mut(ACCOUNT).serverless_services;
        services.retain(|service| !service.unique_name.starts_with("lockstep-lease-"));
    }
}

#[test]
fn a_secret_corrected_after_a_kill_reaches_the_action() {
    let length = length(Bench::crowded, false);
    all(points(length), |(k, before_reply)| {
        let story = format!("killed after {k} of {length}, before the reply: {before_reply}");
        let mut bench = Bench::crowded();
        let _ = bench.run(Stop::kill(k, before_reply), false);
        bench.later();
        bench.stack.env.insert("TWILIO_SENDER_SECRET".into(), "Corrected-Secret-0b51".into());
        bench.converge(&story);
        let mut world = bench.world();
        let tenant = world.tenant_mut(DOMAIN);
        let action = tenant.actions.iter().find(|action| action.name == bench::ACTION).expect("there");
        let live = action.live_version().and_then(|version| version.secret("TWILIO_API_SECRET"));
        assert_eq!(live.map(|secret| secret.value.as_str()), Some("Corrected-Secret-0b51"), "{story}");
    });
}

#[test]
fn an_interrupt_leaves_a_record_and_no_lease() {
    let length = length(Bench::crowded, false);
    all(0..=length, |k| {
        let story = format!("interrupted after {k} of {length}");
        let mut bench = Bench::crowded();
        let mark = bench.stack.mark();
        let result = bench.run(Stop::interrupt(k), false).expect("not killed");
        bench.later();
        let stopped = match &result {
            Ok(outcome) => outcome.ended == Ended::Stopped,
            Err(failed) => *failed == lockstep::model::call::Failed::Stopped,
        };
        let done = matches!(&result, Ok(outcome) if outcome.ended == Ended::Done);
        assert!(stopped || done, "{story}: {result:?}");
        let log = bench.stack.log_since(mark);
        let ledger_id = {
            let mut world = bench.world();
            let actions = &world.tenant_mut(DOMAIN).actions;
            actions.iter().find(|action| action.name == LEDGER).map(|action| action.id.clone())
        };
        for entry in log.iter().skip(k).filter(|entry| entry.wrote) {
            let tidies = match entry.operation {
                "delete_serverless_service" => true,
                _ => ledger_id.as_ref().is_some_and(|id| entry.path.ends_with(id.as_str())),
            };
            assert!(tidies, "{story}: {} {} began after it", entry.method, entry.path);
        }
        assert_eq!(bench::leases(&mut bench.world()), 0, "{story}: the lease is still there");
        let ledger = bench.observe().found.ledger;
        if let Some(ledger) = ledger {
            let last = ledger.history.last().map(|run| run.outcome.clone());
            let word = if done { "apply done" } else { "apply stopped" };
            assert_eq!(last.as_deref(), Some(word), "{story}: the record");
        }
        bench.converge(&story);
        assert!(bench.versions() == 1, "{story}: {} versions", bench.versions());
    });
}

#[test]
fn an_interrupted_change_is_finished_by_the_next() {
    let length = length(changed, false);
    let prepared = changed();
    all(0..=length, |k| {
        let story = format!("interrupted after {k} of {length}");
        let mut bench = prepared.fork();
        let result = bench.run(Stop::interrupt(k), false).expect("not killed");
        bench.later();
        assert_eq!(bench::leases(&mut bench.world()), 0, "{story}: {result:?}: the lease is still there");
        bench.converge(&story);
        foreign_only(&bench, &story);
    });
}

//! Tests of the real program against the served twin, ended by SIGKILL, SIGTERM or SIGINT at its n-th request: in a
//! first apply, in the migration from the legacy set-up, in a destroy and in a rollback. Then it runs again.
//!
//! Every [`EVERY`]-th request is tried, each with one of the four endings; with `LOCKSTEP_KILLS=all` in the
//! environment, every request with all four. A proxy counts the requests, so nothing depends on timing. The proxy waits
//! until the killed process has ended or the signal has been delivered, each with a bound.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockstep::twin::{Flag, Options, Twin as World, World as Data};
use serde_json::Value as Json;

use super::lab::{Asked, Folder, Proxy, Run, Site, Twin, signal};
use crate::faults::bench::{ACTION, Bench, LEDGER, LEGACY, STREAM, changed_manifest, crowd, foreign, whole};
use crate::support::{ACCOUNT, DOMAIN, core_manifest};

/// A prime that does not divide the runs' lengths, so that the four endings fall on different steps in each scenario.
const EVERY: usize = 7;
/// Longest wait until a process is known, or gone.
const WAIT_MAX: Duration = Duration::from_secs(20);
const TWIN_ARGS: [&str; 4] = ["--build", "1ms", "--rate", "unlimited"];

/// How a run ends early.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// Killed before the request reaches the server.
    KilledBefore,
    /// Killed after the request took effect, before the reply.
    KilledAfter,
    Interrupted,
    Terminated,
}

const ENDINGS: [Ending; 4] =
    [Ending::KilledBefore, Ending::Interrupted, Ending::KilledAfter, Ending::Terminated];

impl Ending {
    fn signal(self) -> &'static str {
        match self {
            Ending::KilledBefore | Ending::KilledAfter => "KILL",
            Ending::Interrupted => "INT",
            Ending::Terminated => "TERM",
        }
    }

    fn code(self) -> Option<i32> {
        match self {
            Ending::KilledBefore | Ending::KilledAfter => None,
            Ending::Interrupted => Some(130),
            Ending::Terminated => Some(143),
        }
    }
}

/// A world, the command that runs in it, and the expected end.
struct Scenario {
    name: &'static str,
    command: &'static str,
    manifest: String,
    start: Json,
    /// The world before anything of ours was in it.
    former: Data,
    /// The expected objects in the end.
    stands: Stands,
}

#[derive(Clone, Copy, PartialEq)]
enum Stands {
    Nothing,
    Stack,
    Legacy,
    /// The unified stack, and the legacy Action whose removal is deferred.
    Moved,
}

fn bench(flag: Flag, text: String) -> Bench {
    let options = Options { unified_flag: flag, ..crate::support::options() };
    let mut bench = Bench::new(options, text);
    bench.stack.env = env();
    crowd(&mut bench.world());
    bench
}

fn env() -> BTreeMap<String, String> {
    let mut env = crate::support::env();
    env.insert("TWILIO_AUTH_TOKEN".into(), "Twilio-Auth-Token-0b5e1f".into());
    env
}

fn howto() -> String {
    include_str!("../../manifests/howto-2023.yaml").replace("stack: howto", "stack: acme-login")
}

fn scenario(
    name: &'static str,
    command: &'static str,
    manifest: String,
    bench: &mut Bench,
    before: Option<String>,
    stands: Stands,
) -> Scenario {
    let former = bench.snapshot();
    if let Some(text) = before {
        bench.stack.text = text;
        bench.stack.applied();
    }
    let start = bench.stack.twin.borrow().to_json();
    Scenario { name, command, manifest, start, former, stands }
}

fn scenarios() -> Vec<Scenario> {
    let quickstart = include_str!("../../manifests/quickstart.yaml").to_owned();
    let legacy = core_manifest().replace("delivery: unified", "delivery: legacy");
    let (on, off) = (Flag::On, Flag::Off);
    vec![
        scenario(
            "first apply of the quickstart",
            "apply",
            quickstart,
            &mut bench(on, core_manifest()),
            None,
            Stands::Stack,
        ),
        scenario(
            "first apply of the how-to",
            "apply",
            howto(),
            &mut bench(off, core_manifest()),
            None,
            Stands::Legacy,
        ),
        scenario(
            "migration",
            "apply",
            core_manifest(),
            &mut bench(off, core_manifest()),
            Some(legacy),
            Stands::Moved,
        ),
        scenario(
            "destroy",
            "destroy",
            core_manifest(),
            &mut bench(on, core_manifest()),
            Some(core_manifest()),
            Stands::Nothing,
        ),
        rolled_back(),
    ]
}

/// A stack after two applies, of which the second one is taken back.
fn rolled_back() -> Scenario {
    let mut bench = bench(Flag::On, core_manifest());
    let former = bench.snapshot();
    bench.stack.applied();
    bench.stack.text = changed_manifest();
    bench.stack.applied();
    let start = bench.stack.twin.borrow().to_json();
    let (manifest, stands) = (changed_manifest(), Stands::Stack);
    Scenario { name: "rollback", command: "rollback", manifest, start, former, stands }
}

/// The world that a served twin saved.
fn data(world: &str) -> Data {
    World::from_json(serde_json::from_str(world).expect("JSON")).expect("a world").world
}

/// The parts of a world that are not this stack's, whatever the manifests of these tests manage.
fn others(world: &Data) -> Json {
    let mut world = foreign(world);
    let tenant = world.tenant_mut(DOMAIN);
    tenant.branding = Default::default();
    tenant.settings.clear();
    serde_json::to_value(world).expect("plain data")
}

/// Names of our objects in a world, sorted; a name is repeated if its object exists more than once.
fn ours(world: &Data) -> Vec<String> {
    let mut world = world.clone();
    let mut found = Vec::new();
    let tenant = world.tenant_mut(DOMAIN);
    let actions = tenant.actions.iter().map(|action| action.name.clone());
    found.extend(actions.filter(|name| name.starts_with("Lockstep")));
    let streams = tenant.log_streams.iter().filter_map(|stream| stream.name.clone());
    found.extend(streams.filter(|name| name == STREAM));
    found.extend(tenant.phone_providers.iter().map(|provider| format!("provider {}", provider.name)));
    for trigger in ["custom-phone-provider", "send-phone-message"] {
        found.extend(tenant.bound(trigger).iter().map(|_| format!("bound to {trigger}")));
    }
    let account = world.account_mut(ACCOUNT);
    let services = account.verify_services.iter().map(|service| service.friendly_name.clone());
    found.extend(services.filter(|name| name == "Acme"));
    let receivers = account.serverless_services.iter().map(|service| &service.unique_name);
    found.extend(receivers.filter(|name| !is_lease(name)).map(|_| "receiver".to_owned()));
    found.sort();
    found
}

fn expected(stands: Stands) -> Vec<String> {
    let (unified, legacy) =
        (["bound to custom-phone-provider", "provider custom"], ["bound to send-phone-message"]);
    let names: Vec<&str> = match stands {
        Stands::Nothing => Vec::new(),
        Stands::Stack => [&["Acme", LEDGER, ACTION, STREAM][..], &unified].concat(),
        Stands::Legacy => [&["Acme", LEDGER, LEGACY, STREAM, "receiver"][..], &legacy].concat(),
        Stands::Moved => [&["Acme", LEDGER, ACTION, LEGACY, STREAM][..], &unified, &legacy].concat(),
    };
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

fn is_lease(unique_name: &str) -> bool {
    unique_name.starts_with("lockstep-lease-")
}

fn leases(world: &Data) -> usize {
    let mut world = world.clone();
    let services = &world.account_mut(ACCOUNT).serverless_services;
    services.iter().filter(|service| is_lease(&service.unique_name)).count()
}

/// One start of the scenario's command.
fn command(scenario: &Scenario, site: &Site, manifest: &str) -> super::lab::Program {
    site.lockstep(scenario.command, manifest, &["--yes", "--lease-ttl", "1s"])
}

/// Number of requests of an undisturbed run. Checks the scenario itself, too.
fn length(scenario: &Scenario) -> usize {
    let folder = Folder::new();
    let manifest = folder.write("lockstep.yaml", &scenario.manifest);
    let twin = Twin::over(&scenario.start, &TWIN_ARGS);
    let proxy = Proxy::start(&twin, |_, forward| forward());
    let site = Site::with_env(&twin, env()).through(&proxy);
    let run = command(scenario, &site, &manifest).run();
    assert_eq!(run.code, Some(0), "{}: {}\n{}", scenario.name, run.out, run.err);
    let length = proxy.seen().len();
    let world = data(&twin.stop());
    judge(scenario, &world).unwrap_or_else(|cause| panic!("{}: {cause}", scenario.name));
    assert_eq!(leases(&world), 0);
    length
}

/// Checks a world that should be finished; the error says what is wrong.
fn judge(scenario: &Scenario, world: &Data) -> Result<(), String> {
    let (found, wanted) = (ours(world), expected(scenario.stands));
    if found != wanted {
        return Err(format!("there is {found:?} and should be {wanted:?}"));
    }
    if others(world) != others(&scenario.former) {
        return Err("something of others was changed".into());
    }
    if scenario.stands == Stands::Nothing {
        let mut world = whole(world);
        world.account_mut(ACCOUNT).serverless_services.retain(|service| !is_lease(&service.unique_name));
        if world != scenario.former {
            return Err("destroy did not bring the former world back".into());
        }
    }
    Ok(())
}

/// A proxy that ends the program at its n-th request. The thread that waited for the process sets `gone`.
fn ending(twin: &Twin, nth: usize, ending: Ending, pid: &Arc<AtomicU32>, gone: &Arc<AtomicBool>) -> Proxy {
    let (pid, gone) = (pid.clone(), gone.clone());
    let hook = move |asked: &Asked, forward: &dyn Fn() -> Vec<u8>| {
        if asked.number != nth {
            return forward();
        }
        wait(|| pid.load(Ordering::SeqCst) != 0);
        let process = pid.load(Ordering::SeqCst);
        if ending == Ending::KilledBefore {
            signal("KILL", process);
            wait(|| gone.load(Ordering::SeqCst));
            return Vec::new();
        }
        let reply = forward();
        signal(ending.signal(), process);
        if ending == Ending::KilledAfter {
            wait(|| gone.load(Ordering::SeqCst));
        } else {
            // A signal that is no longer pending has reached the handler; from then on, the program begins nothing
            // more.
            wait(|| !is_pending(process));
        }
        reply
    };
    Proxy::start(twin, hook)
}

/// Polls until `over` is true, with a bound.
fn wait(over: impl Fn() -> bool) {
    let started = Instant::now();
    while !over() && started.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a signal to the process is still undelivered; false if the system does not tell.
fn is_pending(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:"));
    pending.into_iter().any(|mask| mask.trim().bytes().any(|digit| digit != b'0'))
}

/// Result of one case, for the counts.
#[derive(Default)]
struct Seen {
    ended_early: usize,
    /// Cases in which the signal came after everything was done.
    done_already: usize,
    left_a_lease: usize,
}

fn ended_and_continued(scenario: &Scenario, nth: usize, how: Ending) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let folder = Folder::new();
    let manifest = folder.write("lockstep.yaml", &scenario.manifest);
    let twin = Twin::over(&scenario.start, &TWIN_ARGS);
    let site = Site::with_env(&twin, env());
    let (pid, gone) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let proxy = ending(&twin, nth, how, &pid, &gone);
    let running = command(scenario, &site.clone().through(&proxy), &manifest).start();
    pid.store(running.id(), Ordering::SeqCst);
    let run = running.wait();
    gone.store(true, Ordering::SeqCst);
    let told = |what: &str, run: &Run| format!("{what} {:?}\n{}\n{}", run.code, run.out, run.err);
    let line = proxy.seen().get(nth - 1).map(|asked| format!("{} {}", asked.method, asked.path));
    let Some(line) = line else {
        // The build took fewer polls than last time, so the run ended before the n-th request.
        return if run.code == Some(0) { Ok(seen) } else { Err(told("undisturbed", &run)) };
    };
    let told = |what: &str, run: &Run| format!("at {line}: {}", told(what, run));
    // A signal at the very end, after everything was done and released, leaves a run that succeeded.
    let done_already = run.code == Some(0) && how.code().is_some();
    if run.code != how.code() && !done_already {
        return Err(told("the first run ended with", &run));
    }
    if how.code().is_some() && site.is_leased() {
        return Err(told("a signal left the lease behind", &run));
    }
    if done_already {
        seen.done_already += 1;
    } else {
        seen.ended_early += 1;
    }

    let mark = twin.mark();
    let next = command(scenario, &site, &manifest).run();
    if next.code != Some(0) {
        return Err(told("the next run ended with", &next));
    }
    let writes = twin.writes_since(mark);
    if done_already && !writes.is_empty() {
        return Err(format!("{} said 0 and left {writes:?} to do", scenario.command));
    }
    let mark = twin.mark();
    let second = match scenario.command {
        "destroy" | "rollback" => command(scenario, &site, &manifest).run(),
        _ => site.lockstep("plan", &manifest, &["--exit-code"]).run(),
    };
    if second.code != Some(0) {
        return Err(told("the second plan is not empty:", &second));
    }
    let written = twin.writes_since(mark);
    if !written.is_empty() {
        return Err(told(&format!("the second run wrote {written:?}"), &second));
    }
    if site.is_leased() {
        // Only a run that has work takes a lease; a run that died after its last step left no work.
        if !writes.is_empty() {
            return Err(told("the lease is still there after", &next));
        }
        seen.left_a_lease += 1;
        let unlocked = site.lockstep("unlock", &manifest, &["--yes"]).run();
        if unlocked.code != Some(0) || site.is_leased() {
            return Err(told("unlock", &unlocked));
        }
    }
    let world = data(&twin.stop());
    judge(scenario, &world).map_err(|cause| format!("at {line}: {cause}"))?;
    Ok(seen)
}

/// Each case has a served twin of its own, so that the saved world contains only that case.
fn all_points(pick: impl Fn(&Scenario) -> bool) {
    let everything = std::env::var("LOCKSTEP_KILLS").is_ok_and(|value| value == "all");
    for (offset, scenario) in scenarios().iter().enumerate() {
        if !pick(scenario) {
            continue;
        }
        let started = Instant::now();
        let length = length(scenario);
        let cases: Vec<(usize, Ending)> = match everything {
            true => (1..=length).flat_map(|nth| ENDINGS.map(|ending| (nth, ending))).collect(),
            false => (1..=length)
                .filter(|nth| nth % EVERY == (offset + 3) % EVERY || *nth == length)
                .enumerate()
                .map(|(at, nth)| (nth, ENDINGS[(at + offset) % ENDINGS.len()]))
                .collect(),
        };
        let (next, failures, counts) =
            (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Seen::default()));
        std::thread::scope(|scope| {
            // Most of a case is spent waiting for the lease of the dead run.
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((nth, how)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                        match ended_and_continued(scenario, *nth, *how) {
                            Ok(seen) => {
                                let mut counts = counts.lock().expect("no panic under the lock");
                                counts.ended_early += seen.ended_early;
                                counts.done_already += seen.done_already;
                                counts.left_a_lease += seen.left_a_lease;
                            }
                            Err(cause) => failures
                                .lock()
                                .expect("no panic under the lock")
                                .push(format!("{how:?} at request {nth} of {length}: {cause}")),
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().expect("no panic under the lock");
        let counts = counts.into_inner().expect("no panic under the lock");
        println!(
            "{}: {length} requests, {} cases, {} ended early, {} were done already, {} left a lease to unlock, {} failed, {} s",
            scenario.name,
            cases.len(),
            counts.ended_early,
            counts.done_already,
            counts.left_a_lease,
            failures.len(),
            started.elapsed().as_secs()
        );
        assert!(
            failures.is_empty(),
            "{}: {} failed:\n- {}",
            scenario.name,
            failures.len(),
            failures.join("\n- ")
        );
        assert!(counts.ended_early * 2 > cases.len(), "{}: hardly anything was ended early", scenario.name);
    }
}

#[test]
fn a_first_apply_that_was_ended_anywhere_is_finished_by_the_next() {
    all_points(|scenario| scenario.name == "first apply of the quickstart");
}

#[test]
fn a_first_apply_of_the_howto_that_was_ended_anywhere_is_finished_by_the_next() {
    all_points(|scenario| scenario.name == "first apply of the how-to");
}

#[test]
fn a_migration_that_was_ended_anywhere_is_finished_by_the_next() {
    all_points(|scenario| scenario.name == "migration");
}

#[test]
fn a_rollback_that_was_ended_anywhere_is_finished_by_the_next() {
    all_points(|scenario| scenario.name == "rollback");
}

#[test]
fn a_destroy_that_was_ended_anywhere_is_finished_by_the_next() {
    all_points(|scenario| scenario.name == "destroy");
}

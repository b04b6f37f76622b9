//! Tests of rollouts on several machines: shards that share a folder of records, die, stand still, and stop each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fleet::{Fleet, THREE, TWIN_ARGS, TWO_WAVES};
use super::lab::{Asked, Proxy, Reply, Run, Running, Site, Twin, json_reply, lockstep, signal};

const FIVE: [(&str, &str); 5] = [
    ("acme-dev", "free"),
    ("acme-shop", "free"),
    ("acme-bank", "enterprise"),
    ("acme-club", "free"),
    ("acme-mall", "free"),
];
/// Nobody may fail, but enough could that several tenants are written to at once.
const WIDE: &str = "  budget: { wave: 9, total: 9 }\n";
/// Time after which a shard is dead: six polls of the shortest interval.
const LIFE: Duration = Duration::from_secs(6);
/// Every so many requests of a shard are tried as its last one.
const EVERY: usize = 10;
const WORKERS: usize = 3;

type Hook = dyn Fn(&Asked, &dyn Fn() -> Reply) -> Reply + Send + Sync;

/// A write that a tenant took, by the shard that sent it.
type Writes = Arc<Mutex<Vec<(usize, String, String)>>>;

/// A twin, and a proxy for each shard before it.
struct Bed {
    twin: Twin,
    proxies: Vec<Proxy>,
    writes: Writes,
}

impl Bed {
    fn new(
        shards: usize,
        hook: impl Fn(usize, &Asked, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> Bed {
        let twin = Twin::with(&TWIN_ARGS);
        let (hook, writes) = (Arc::new(hook), Writes::default());
        let proxies = (1..=shards).map(|shard| {
            let (hook, writes) = (hook.clone(), writes.clone());
            let each: Box<Hook> = Box::new(move |asked, forward| {
                let noted = || {
                    let reply = forward();
                    let is_write = asked.method != "GET" && asked.host.starts_with("tenant-");
                    if is_write && !asked.path.starts_with("/oauth") && reply.starts_with(b"HTTP/1.1 2") {
                        let what = format!("{} {}", asked.method, asked.path);
                        writes.lock().expect("writes").push((shard, asked.host.clone(), what));
                    }
                    reply
                };
                hook(shard, asked, &noted)
            });
            Proxy::start(&twin, each)
        });
        let proxies = proxies.collect();
        Bed { twin, proxies, writes }
    }

    /// The run of a shard, from 1.
    fn start(&self, fleet: &Fleet, word: &[&str], shard: usize, more: &[&str]) -> Running {
        let via = format!("http://127.0.0.1:{}", self.proxies[shard - 1].port);
        let place = format!("file:{}", fleet.folder.text_path("records"));
        let part = format!("{shard}/{}", self.proxies.len());
        let file = fleet.folder.text_path("fleet.yaml");
        lockstep(&["rollout"])
            .args(word)
            .args(&[&file, "--via", &via, "--yes", "--record", &place, "--record-key", "env:RECORD_KEY"])
            .args(&["--shard", &part, "--poll", "1s", "--lease-ttl", "2s"])
            .args(more)
            .envs(&fleet.env)
            .start()
    }

    fn all(&self, fleet: &Fleet, more: &[&str]) -> Vec<Run> {
        let running: Vec<Running> =
            (1..=self.proxies.len()).map(|shard| self.start(fleet, &[], shard, more)).collect();
        running.into_iter().map(Running::wait).collect()
    }

    /// Every tenant has one of each object, and none was written to by two shards in turns.
    fn expect_whole(&self, fleet: &Fleet, tenants: usize, case: &str) {
        fleet.run("drift", &[]).expect(0);
        for tenant in 1..=tenants {
            let site = Site::new(&self.twin, tenant as u64);
            assert_eq!(
                (site.actions().len(), site.verify_services().len()),
                (2, 1),
                "{case}: tenant {tenant}"
            );
        }
        let writes = self.writes.lock().expect("writes");
        let mut by_tenant: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (shard, host, _) in writes.iter() {
            by_tenant.entry(host).or_default().push(*shard);
        }
        for (host, mut shards) in by_tenant {
            shards.dedup();
            let once: std::collections::BTreeSet<_> = shards.iter().collect();
            assert_eq!(once.len(), shards.len(), "{case}: {host} was written to by {shards:?} in turns");
        }
        for tenant in 1..=tenants {
            let host = format!("tenant-{tenant}.eu.auth0.com");
            let count =
                |is: &dyn Fn(&str) -> bool| writes.iter().filter(|one| one.1 == host && is(&one.2)).count();
            let created = count(&|what| what == "POST /api/v2/actions/actions");
            let deployed = count(&|what| what.starts_with("POST") && what.ends_with("/deploy"));
            let all: Vec<_> = writes.iter().filter(|one| one.1 == host).collect();
            assert_eq!(created, 2, "{case}: {host} got an Action twice: {all:#?}");
            // Whoever goes on where another was cut off sends the secrets anew, because no record says what they are.
            let shards = all.iter().map(|one| one.0).collect::<std::collections::BTreeSet<_>>().len();
            assert!((1..=shards).contains(&deployed), "{case}: {host} was deployed too often: {all:#?}");
        }
    }
}

fn records(fleet: &Fleet) -> usize {
    std::fs::read_dir(fleet.folder.path("records/acme")).map_or(0, Iterator::count)
}

#[test]
fn three_shards_roll_a_fleet_out_together() {
    let bed = Bed::new(3, |_, _, forward| forward());
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, &(TWO_WAVES.to_owned() + WIDE));
    for run in bed.all(&fleet, &[]) {
        let run = run.expect(0);
        assert!(run.out.contains("Done: 5 applied, 0 unchanged."), "{}", run.out);
        assert!(run.err.contains("wave rest: passed"), "{}", run.err);
    }
    bed.expect_whole(&fleet, 5, "undisturbed");
    let writes = bed.writes.lock().expect("writes").clone();
    let shards: std::collections::BTreeSet<usize> = writes.iter().map(|one| one.0).collect();
    assert!(shards.len() >= 2, "{shards:?} wrote, so nothing was shared");
    // The canary is done before anybody else is begun.
    let last = writes.iter().rposition(|one| one.1.starts_with("tenant-1.")).expect("the canary");
    let first = writes.iter().position(|one| !one.1.starts_with("tenant-1.")).expect("the rest");
    assert!(last < first, "{writes:?}");
    let puts = records(&fleet);
    assert!(puts <= 20 + 4 * 5, "{puts} records for five tenants");
    // Another run with the same shards finds nothing to write, and one machine can look.
    for run in bed.all(&fleet, &[]) {
        run.expect(0);
    }
    assert_eq!(bed.writes.lock().expect("writes").len(), writes.len());
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let file = fleet.folder.text_path("fleet.yaml");
    lockstep(&["rollout", "status", &file, "--record", &place, "--record-key", "env:RECORD_KEY"])
        .envs(&fleet.env)
        .run()
        .expect(0);
}

/// One of three shards is killed at a request and never comes back: the other two finish, and nothing is there twice.
#[test]
fn the_others_finish_what_a_killed_shard_had() {
    let bed = Bed::new(3, |_, _, forward| forward());
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, &(TWO_WAVES.to_owned() + WIDE));
    bed.all(&fleet, &[]).into_iter().for_each(|run| drop(run.expect(0)));
    let length = bed.proxies.iter().map(|proxy| proxy.seen().len()).max().expect("three");
    drop(bed);
    let all = std::env::var("LOCKSTEP_KILLS").is_ok_and(|kills| kills == "all");
    let points: Vec<usize> = (1..=length).step_by(if all { 1 } else { EVERY }).collect();
    assert!(points.len() >= 5, "{length} requests");
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let points = points.iter().copied().skip(worker).step_by(WORKERS);
            scope.spawn(move || points.for_each(killed_at));
        }
    });
}

fn killed_at(at: usize) {
    let victim = 1 + at / EVERY % 3;
    let (count, pid) = (AtomicUsize::new(0), Arc::new(AtomicU32::new(0)));
    let killed = pid.clone();
    let bed = Bed::new(3, move |shard, _, forward| {
        if shard == victim && count.fetch_add(1, Ordering::SeqCst) + 1 == at {
            let pid = of(&killed);
            let reply = if at.is_multiple_of(2) { forward() } else { Vec::new() };
            signal("KILL", pid);
            return reply;
        }
        forward()
    });
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, &(TWO_WAVES.to_owned() + WIDE));
    let mut running: Vec<Running> = (1..=3).map(|shard| bed.start(&fleet, &[], shard, &[])).collect();
    pid.store(running[victim - 1].id(), Ordering::SeqCst);
    // A shard that sends fewer requests in this run ends by itself.
    let dead = running.remove(victim - 1).wait();
    assert!(matches!(dead.code, None | Some(0)), "request {at}: {}\n{}", dead.out, dead.err);
    for run in running.into_iter().map(Running::wait) {
        assert_eq!(run.code, Some(0), "request {at} of shard {victim}: {}\n{}", run.out, run.err);
        assert!(run.out.contains("wave") || run.out.contains("Done: "), "{}", run.out);
    }
    bed.expect_whole(&fleet, 5, &format!("request {at} of shard {victim}"));
}

/// A shard is killed right before it writes, and then somebody changes something else on its tenant: whoever takes the
/// tenant over has no consent to write over that.
#[test]
fn an_edit_on_the_tenant_of_a_dead_shard_is_not_written_over() {
    let (pid, edited) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None::<u64>)));
    let (killed, tenant) = (pid.clone(), edited.clone());
    let bed = Bed::new(2, move |shard, asked, forward| {
        let is_change = asked.method == "POST" && asked.host.starts_with("verify.");
        let pid = killed.load(Ordering::SeqCst);
        if shard == 1 && is_change && pid != 0 {
            signal("KILL", pid);
            return Vec::new();
        }
        if asked.host.starts_with("tenant-") && shard == 1 && pid != 0 {
            let number = asked.host["tenant-".len()..].split('.').next().and_then(|text| text.parse().ok());
            *tenant.lock().expect("tenant") = number;
        }
        forward()
    });
    let one_wave = format!("rollout:\n  gates: [applied]\n{WIDE}");
    let fleet = Fleet::new(&bed.twin.url(), &THREE, &one_wave);
    bed.all(&fleet, &[]).into_iter().for_each(|run| drop(run.expect(0)));
    fleet.change("code_length: 6", "code_length: 7");
    let mut running: Vec<Running> = (1..=2).map(|shard| bed.start(&fleet, &[], shard, &[])).collect();
    pid.store(running[0].id(), Ordering::SeqCst);
    let dead = running.remove(0).wait();
    assert_eq!(dead.code, None, "{}\n{}", dead.out, dead.err);
    let number = edited.lock().expect("tenant").expect("a tenant of the first shard");
    let site = Site::new(&bed.twin, number);
    let edit = serde_json::json!({ "message_types": ["voice"] });
    let path = "/api/v2/guardian/factors/phone/message-types";
    assert_eq!(site.auth0("PUT", path, &edit).0, 200);
    let other = running.remove(0).wait().expect(1);
    assert!(other.out.contains("changed in between"), "{}\n{}", other.out, other.err);
    assert_eq!(site.auth0("GET", path, &serde_json::Value::Null).1, edit);
}

/// Somebody ends the rollout while a shard writes to a tenant: that tenant is applied to its end, and nobody else is begun.
#[test]
fn what_is_in_flight_comes_to_its_end_when_the_rollout_is_abandoned() {
    let (is_held, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (held, over) = (is_held.clone(), is_over.clone());
    let bed = Bed::new(1, move |_, asked, forward| {
        if asked.is("POST", "tenant-", "/deploy") && !held.swap(true, Ordering::SeqCst) {
            wait_for(&over);
        }
        forward()
    });
    let fleet = Fleet::new(&bed.twin.url(), &THREE, &format!("{TWO_WAVES}{WIDE}"));
    let running = bed.start(&fleet, &[], 1, &[]);
    wait_for(&is_held);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let file = fleet.folder.text_path("fleet.yaml");
    let abandon =
        ["rollout", "abandon", &file, "--record", &place, "--record-key", "env:RECORD_KEY", "--yes"];
    lockstep(&abandon).envs(&fleet.env).run().expect(0);
    let told = records(&fleet);
    // Long enough for a poll of the shard.
    std::thread::sleep(Duration::from_secs(2));
    is_over.store(true, Ordering::SeqCst);
    let run = running.wait();
    assert_eq!(records(&fleet), told, "{}", run.err);
    let site = Site::new(&bed.twin, 1);
    site.expect_one_stack();
    let hosts: Vec<String> = bed.writes.lock().expect("writes").iter().map(|one| one.1.clone()).collect();
    assert!(hosts.iter().all(|host| host.starts_with("tenant-1.")), "{hosts:?}");
    assert!(!site.is_leased(), "{}", run.err);
    fleet.run("drift", &["--tenant", "acme-dev"]).expect(0);
}

fn wait_for(what: &AtomicBool) {
    let began = Instant::now();
    while !what.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn of(pid: &AtomicU32) -> u32 {
    let began = Instant::now();
    while pid.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    pid.load(Ordering::SeqCst)
}

/// A shard that stood still for longer than the sign of life lasts, in the middle of its writes, and goes on then.
#[test]
fn a_shard_that_stood_still_writes_nothing_twice() {
    for nth in [3, 6] {
        let (count, pid) = (AtomicUsize::new(0), Arc::new(AtomicU32::new(0)));
        let stopped = pid.clone();
        let bed = Bed::new(3, move |shard, asked, forward| {
            let is_write = asked.method != "GET" && asked.host.starts_with("tenant-");
            let is_write = is_write && !asked.path.starts_with("/oauth");
            let reply = forward();
            if shard == 2 && is_write && count.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                let pid = of(&stopped);
                signal("STOP", pid);
                std::thread::spawn(move || {
                    std::thread::sleep(LIFE * 2);
                    signal("CONT", pid);
                });
            }
            reply
        });
        let fleet = Fleet::new(&bed.twin.url(), &FIVE, &(TWO_WAVES.to_owned() + WIDE));
        let running: Vec<Running> = (1..=3).map(|shard| bed.start(&fleet, &[], shard, &[])).collect();
        pid.store(running[1].id(), Ordering::SeqCst);
        for run in running.into_iter().map(Running::wait) {
            assert_eq!(run.code, Some(0), "write {nth}: {}\n{}", run.out, run.err);
        }
        bed.expect_whole(&fleet, 5, &format!("stopped at write {nth}"));
    }
}

#[test]
fn a_failing_tenant_stops_all_shards() {
    let bed = Bed::new(2, |_, asked, forward| {
        let is_deploy = asked.method == "POST" && asked.path.ends_with("/deploy");
        match is_deploy {
            true => json_reply(
                403,
                "",
                &serde_json::json!({ "statusCode": 403, "error": "Forbidden", "message": "Insufficient scope", "errorCode": "insufficient_scope" }),
            ),
            false => forward(),
        }
    });
    let one_wave = "rollout:\n  gates: [applied]\n";
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, one_wave);
    for run in bed.all(&fleet, &[]) {
        let run = run.expect(8);
        assert!(
            run.out.contains("1 of 5 tenants of the wave") && run.out.contains("failed, more than"),
            "{}",
            run.out
        );
        assert_eq!(run.out.matches("✗ acme-").count(), 1, "{}", run.out);
    }
    let mut hosts: Vec<String> = bed.writes.lock().expect("writes").iter().map(|one| one.1.clone()).collect();
    hosts.dedup();
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    // A shard that is started again lifts no halt; `resume` on all of them does, and it halts again.
    let seen = records(&fleet);
    for run in bed.all(&fleet, &[]) {
        run.expect(8);
    }
    assert_eq!(records(&fleet), seen);
    let running: Vec<Running> = (1..=2).map(|shard| bed.start(&fleet, &["resume"], shard, &[])).collect();
    for run in running.into_iter().map(Running::wait) {
        run.expect(8);
    }
    assert!(records(&fleet) > seen);
}

/// A person lets the open wave go on: what somebody changed since is applied again, and who is left out now is left out.
#[test]
fn resumed_shards_apply_what_was_changed_and_leave_out_who_is_named() {
    let bed = Bed::new(2, |_, _, forward| forward());
    let waves = format!("rollout:\n  gates: [applied, {{ command: smoke }}]\n{WIDE}");
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, &waves);
    let smoke = ["--allow-cmd", "smoke=false"];
    for run in bed.all(&fleet, &smoke) {
        run.expect(8);
    }
    let length = |tenant: u64| Site::new(&bed.twin, tenant).verify_services()[0]["code_length"].clone();
    let was = length(1);
    for tenant in [1, 2] {
        let site = Site::new(&bed.twin, tenant);
        let sid = site.verify_services()[0]["sid"].as_str().expect("a sid").to_owned();
        let path = format!("/v2/Services/{sid}");
        let (status, _) = site.twilio("verify.twilio.com", "POST", &path, "CodeLength=9");
        assert_eq!((status, length(tenant)), (200, 9.into()));
    }
    let before = bed.writes.lock().expect("writes").len();
    let more = ["--accept", "command", "--why", "seen", "--skip", "acme-shop=later"];
    let more = [&smoke[..], &more].concat();
    let running: Vec<Running> = (1..=2).map(|shard| bed.start(&fleet, &["resume"], shard, &more)).collect();
    for run in running.into_iter().map(Running::wait) {
        let run = run.expect(0);
        assert!(run.out.contains("- acme-shop skipped: later"), "{}", run.out);
        assert!(run.out.contains("Done: 4 applied"), "{}", run.out);
    }
    assert_eq!((length(1), length(2)), (was, 9.into()), "applied again, and left out");
    let writes = bed.writes.lock().expect("writes")[before..].to_vec();
    assert!(writes.iter().all(|one| one.1 == "tenant-1.eu.auth0.com"), "{writes:?}");
}

#[test]
fn a_store_that_is_away_lets_nothing_begin() {
    let moved = Arc::new(Mutex::new(None::<(std::path::PathBuf, std::path::PathBuf)>));
    let (from, count) = (moved.clone(), AtomicUsize::new(0));
    let bed = Bed::new(2, move |_, asked, forward| {
        let is_deploy = asked.method == "POST" && asked.path.ends_with("/deploy");
        if is_deploy && count.fetch_add(1, Ordering::SeqCst) == 0 {
            let (from, to) = from.lock().expect("paths").clone().expect("set");
            std::fs::rename(from, to).expect("the store goes away");
        }
        forward()
    });
    let fleet = Fleet::new(&bed.twin.url(), &FIVE, TWO_WAVES);
    let (here, away) = (fleet.folder.path("records/acme"), fleet.folder.path("away"));
    *moved.lock().expect("paths") = Some((here.clone(), away.clone()));
    for run in bed.all(&fleet, &[]) {
        let run = run.expect(1);
        assert!(run.err.contains("cannot be reached, so nothing new begins"), "{}", run.err);
    }
    let mut hosts: Vec<String> = bed.writes.lock().expect("writes").iter().map(|one| one.1.clone()).collect();
    hosts.dedup();
    assert_eq!(hosts, ["tenant-1.eu.auth0.com"], "only the canary was in flight, and it ended");
    std::fs::rename(&away, &here).expect("back");
    for run in bed.all(&fleet, &[]) {
        run.expect(0);
    }
    bed.expect_whole(&fleet, 5, "the store was away");
}

#[test]
fn a_shard_is_named_on_the_command_line_and_has_to_fit_the_others() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let kept = ["--yes", "--record", place.as_str(), "--record-key", "env:RECORD_KEY"];
    fleet.rollout(&["--shard", "1/2"]).expect(64);
    for wrong in ["0/2", "3/2", "1", "1/257", "github"] {
        fleet.run("rollout", &[&kept[..], &["--shard", wrong]].concat()).expect(64);
    }
    let run = fleet.run("rollout", &[&kept[..], &["--shard", "gitlab"]].concat()).expect(64);
    assert!(run.err.contains("CI_NODE_INDEX is not set"), "{}", run.err);
    let run = fleet.run("rollout", &[&kept[..], &["--shard", "kubernetes/2"]].concat()).expect(64);
    assert!(run.err.contains("JOB_COMPLETION_INDEX is not set"), "{}", run.err);
    assert_eq!(records(&fleet), 0);

    let matrix = |args: &[&str]| {
        let file = fleet.folder.text_path("fleet.yaml");
        lockstep(&["rollout", "matrix", &file]).args(args).run().expect(0).out
    };
    assert_eq!(matrix(&["--shards", "2"]), "{\"include\":[{\"shard\":\"1/2\"},{\"shard\":\"2/2\"}]}\n");
    assert_eq!(matrix(&[]), "{\"include\":[{\"shard\":\"1/1\"}]}\n");

    // Variables of the system are read because the option says so, and say nothing without it.
    let gitlab = |args: &[&str]| {
        let program = fleet.program("rollout", &[&kept[..], args].concat());
        program.env("CI_NODE_INDEX", "1").env("CI_NODE_TOTAL", "1").run()
    };
    gitlab(&["--until", "canary"]).expect(0);
    fleet.run("rollout", &[&kept[..], &["--until", "canary"]].concat()).expect(0);
    let text = std::fs::read_to_string(fleet.folder.path("records/acme/00000001.json")).expect("a record");
    assert!(!text.contains("\"shared\""), "{text}");
    // One machine began it, and one shard of one goes on; then there are no two.
    gitlab(&["--shard", "gitlab", "--until", "canary"]).expect(0);
    fleet.run("rollout", &[&kept[..], &["--shard", "1/2", "--until", "canary"]].concat()).expect(64);
    fleet.change("code_length: 6", "code_length: 7");
    gitlab(&["--shard", "gitlab"]).expect(75);
    fleet.change("code_length: 7", "code_length: 6");
    let run = gitlab(&["--shard", "gitlab"]).expect(0);
    assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
}

/// The files for CI below `manifests/fleet/ci`.
const CI: [(&str, &str); 4] = [
    ("github-waves.yml", include_str!("../../manifests/fleet/ci/github-waves.yml")),
    ("github-shards.yml", include_str!("../../manifests/fleet/ci/github-shards.yml")),
    ("gitlab-ci.yml", include_str!("../../manifests/fleet/ci/gitlab-ci.yml")),
    ("kubernetes.yaml", include_str!("../../manifests/fleet/ci/kubernetes.yaml")),
];

/// The texts of a YAML document.
fn texts(yaml: &serde_yaml::Value, out: &mut Vec<String>) {
    match yaml {
        serde_yaml::Value::String(text) => out.push(text.clone()),
        serde_yaml::Value::Sequence(list) => list.iter().for_each(|one| texts(one, out)),
        serde_yaml::Value::Mapping(map) => map.iter().for_each(|(_, one)| texts(one, out)),
        _ => {}
    }
}

#[test]
fn what_is_shipped_for_ci_is_yaml_whose_command_lines_are_right() {
    let is_there = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/fleet/ci"));
    assert_eq!(is_there.expect("the folder").count(), CI.len(), "a file is not tried");
    for (name, text) in CI {
        let yaml: serde_yaml::Value =
            serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut all = Vec::new();
        texts(&yaml, &mut all);
        let lines: Vec<String> = all.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        let commands: Vec<&String> = lines.iter().filter(|line| line.starts_with("lockstep ")).collect();
        assert!(commands.iter().any(|line| line.contains("--record")), "{name}: {commands:?}");
        for line in commands {
            let line = line.replace("\"$RECORD\"", "file:records").replace("\"$SHARD\"", "3/10");
            assert!(!line.contains('$'), "{name}: {line}");
            let words = line.split(" > ").next().unwrap_or_default().split(' ');
            if let Err(error) = lockstep::cli::command().try_get_matches_from(words) {
                panic!("{name}: {line}: {error}");
            }
        }
        // What one place says of the shards, the others say too.
        if name == "kubernetes.yaml" {
            let of = yaml["spec"]["completions"].as_u64().expect("completions");
            assert!(text.contains(&format!("--shard kubernetes/{of} ")), "{name}");
        }
    }
}

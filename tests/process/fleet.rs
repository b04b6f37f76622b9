//! Tests of fleets: one plan of many tenants, and rollouts that halt, are killed, and go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::lab::{Folder, Program, Proxy, Run, Site, Twin, lockstep, signal};

const BASE: &str = include_str!("../../manifests/fleet/base.yaml");
pub const TWIN_ARGS: [&str; 4] = ["--build", "1ms", "--rate", "unlimited"];

/// A fleet of tenants on a served twin, in files of its own.
pub struct Fleet {
    pub folder: Folder,
    pub env: BTreeMap<String, String>,
    pub via: String,
}

impl Fleet {
    /// `names` with the plan of each; `rollout` is the section of the fleet file.
    pub fn new(via: &str, names: &[(&str, &str)], rollout: &str) -> Fleet {
        let folder = Folder::new();
        let mut env = BTreeMap::from([
            ("USER".to_owned(), "tester".to_owned()),
            ("HOSTNAME".to_owned(), "tests".to_owned()),
            ("LOCKSTEP_REVISION".to_owned(), "r1".to_owned()),
            ("RECORD_KEY".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
        ]);
        let mut table = "name,domain,account_sid,plan,brand\n".to_owned();
        for (at, (name, plan)) in names.iter().enumerate() {
            let of = Site::env_of(at as u64 + 1);
            let key = name.to_uppercase().replace('-', "_");
            for variable in [
                "AUTH0_CLIENT_ID",
                "AUTH0_CLIENT_SECRET",
                "TWILIO_API_KEY",
                "TWILIO_API_SECRET",
                "TWILIO_SENDER_KEY",
                "TWILIO_SENDER_SECRET",
            ] {
                env.insert(format!("{variable}_{key}"), of[variable].clone());
            }
            table += &format!("{name},{},{},{plan},Acme\n", of["AUTH0_DOMAIN"], of["TWILIO_ACCOUNT_SID"]);
        }
        folder.write("tenants.csv", &table);
        folder.write("base.yaml", BASE);
        folder.write(
            "fleet.yaml",
            &format!(
                "lockstep: v1\nfleet: acme\nbase: base.yaml\ntenants: {{ file: tenants.csv }}\n{rollout}"
            ),
        );
        Fleet { folder, env, via: via.to_owned() }
    }

    pub fn change(&self, from: &str, to: &str) {
        let text = self.folder.read("base.yaml");
        assert!(text.contains(from), "{from}");
        self.folder.write("base.yaml", &text.replace(from, to));
    }

    pub fn program(&self, command: &str, args: &[&str]) -> Program {
        let file = self.folder.text_path("fleet.yaml");
        lockstep(&[command, &file, "--via", &self.via]).args(args).envs(&self.env)
    }

    pub fn run(&self, command: &str, args: &[&str]) -> Run {
        self.program(command, args).run()
    }

    pub fn rollout(&self, args: &[&str]) -> Run {
        self.run("rollout", &[&["--yes"], args].concat())
    }

    pub fn recorded(&self, args: &[&str]) -> Run {
        let place = format!("file:{}", self.folder.text_path("records"));
        self.rollout(&[&["--record", &place, "--record-key", "env:RECORD_KEY"], args].concat())
    }
}

pub const THREE: [(&str, &str); 3] =
    [("acme-dev", "free"), ("acme-shop", "free"), ("acme-bank", "enterprise")];
pub const TWO_WAVES: &str = "
rollout:
  waves:
    - { name: canary, match: { name: acme-dev } }
    - { name: rest, rest: true }
  gates: [applied, stream]
";

/// stdout as JSON that fits its published schema.
fn json(run: &Run) -> Json {
    run.json()
}

/// Three tenants, rolled out in two waves.
fn rolled_out() -> (Twin, Fleet) {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    fleet.rollout(&[]).expect(0);
    (twin, fleet)
}

/// The hosts of tenants to which a write went.
fn written(proxy: &Proxy) -> Vec<String> {
    let is_write = |asked: &super::lab::Asked| {
        asked.method != "GET" && asked.host.starts_with("tenant-") && !asked.path.starts_with("/oauth")
    };
    let mut hosts: Vec<String> =
        proxy.seen().iter().filter(|asked| is_write(asked)).map(|asked| asked.host.clone()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

#[test]
fn three_tenants_in_two_waves() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    let valid = fleet.folder.text_path("fleet.yaml");
    let run = lockstep(&["validate", &valid]).run().expect(0);
    assert!(run.out.contains("valid, 3 tenants in 2 waves"), "{}", run.out);

    let run = fleet.run("plan", &["--exit-code"]).expect(2);
    assert!(run.out.contains("3 tenants: action create"), "{}", run.out);
    let plan = json(&fleet.run("plan", &["--output", "json"]).expect(0));
    assert_eq!(plan["fleet"]["tenants"].as_array().map(Vec::len), Some(3));
    let digest = plan["fleet"]["digest"].as_str().expect("a digest").to_owned();

    // Nobody is there who could confirm it.
    fleet.run("rollout", &[]).expect(64);
    let other = format!("sha256:{}", "0".repeat(64));
    fleet.rollout(&["--expect", &other]).expect(73);
    let run = fleet.rollout(&["--expect", &digest]).expect(0);
    assert!(run.out.contains("Done: 3 applied, 0 unchanged."), "{}", run.out);
    let order: Vec<usize> =
        ["wave canary:", "acme-dev applied", "wave canary: passed", "wave rest:", "acme-bank applied"]
            .iter()
            .map(|words| run.err.find(words).unwrap_or_else(|| panic!("{words}: {}", run.err)))
            .collect();
    assert!(order.is_sorted(), "{}", run.err);

    let run = fleet.run("drift", &[]).expect(0);
    assert!(run.out.contains("No difference in 3 tenants."), "{}", run.out);
    let mark = twin.mark();
    let again = json(&fleet.rollout(&["--output", "json"]).expect(0));
    assert!(
        again["rollout"]["state"]["tenants"]
            .as_object()
            .expect("tenants")
            .values()
            .all(|one| one["became"] == "unchanged")
    );
    assert_eq!(twin.writes_since(mark), [] as [String; 0]);

    // One value differs for one tenant, and drift names who changed it.
    fleet.change("code_length: 6", "code_length: 7");
    let run = fleet.run("plan", &["-l", "plan!=enterprise"]).expect(0);
    assert!(
        run.out.contains("2 tenants: verify_service update") && run.out.contains("code_length: 6 → 7"),
        "{}",
        run.out
    );
    let run = fleet.rollout(&["--until", "canary"]).expect(0);
    assert!(run.out.contains("1 wave left"), "{}", run.out);
    let run = fleet.run("drift", &[]).expect(2);
    assert!(run.out.contains("2 of 3 tenants differ."), "{}", run.out);
    fleet.run("drift", &["--tenant", "acme-dev"]).expect(0);
    // A wave by itself needs those before it.
    fleet.change("code_length: 7", "code_length: 8");
    let run = fleet.rollout(&["--wave", "rest"]).expect(1);
    assert!(
        run.err.contains("the wave canary comes before rest and is not applied on acme-dev"),
        "{}",
        run.err
    );
    fleet.rollout(&["--wave", "rest", "--skip", "acme-dev=tried by hand"]).expect(0);
}

#[test]
fn the_status_of_a_fleet_has_a_line_for_each_tenant() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    let run = fleet.run("status", &[]).expect(5);
    assert!(run.out.contains("3 tenants; differs, cause unknown (no ledger): 3."), "{}", run.out);
    fleet.rollout(&["--until", "canary"]).expect(0);
    let mark = twin.mark();
    let run = fleet.run("status", &[]).expect(5);
    assert_eq!(twin.writes_since(mark), [] as [String; 0]);
    let line = |name: &str| run.out.lines().find(|line| line.contains(name)).expect(name).to_owned();
    for (name, words) in [
        ("acme-dev", ["canary", "clean", "too few to tell", "done"]),
        ("acme-bank", ["rest", "cause unknown", "too few to tell", "none"]),
    ] {
        assert!(words.iter().all(|word| line(name).contains(word)), "{}", run.out);
    }
    let told = json(&fleet.run("status", &["-l", "plan=free", "--output", "json"]).expect(5));
    let tenants = told["statuses"]["tenants"].as_array().expect("tenants");
    assert_eq!(tenants.len(), 2);
    assert_eq!(tenants[0]["status"]["verdict"], "clean");

    // A tenant that cannot be read is told, and the others are shown.
    let proxy = Proxy::start(&twin, |asked, forward| match asked.path.starts_with("/oauth/token") {
        true if asked.host == "tenant-3.eu.auth0.com" => {
            super::lab::json_reply(401, "", &serde_json::json!({ "error": "access_denied" }))
        }
        _ => forward(),
    });
    let file = fleet.folder.text_path("fleet.yaml");
    let via = format!("http://127.0.0.1:{}", proxy.port);
    let run = lockstep(&["status", &file, "--via", &via]).envs(&fleet.env).run().expect(6);
    assert!(run.out.contains("not read: 1") && run.out.contains("clean: 1"), "{}", run.out);
    for form in ["markdown", "junit"] {
        let run = fleet.run("status", &["--output", form]).expect(5);
        assert!(run.out.contains("acme-bank"), "{}", run.out);
    }
    // One tenant alone has its whole screen.
    let run = fleet.run("status", &["--tenant", "acme-dev"]).expect(0);
    assert!(run.out.contains("Parts"), "{}", run.out);
}

/// What people set up by hand becomes a fleet whose plan changes nothing.
#[test]
fn tenants_are_adopted_as_a_fleet() {
    let (twin, fleet) = rolled_out();
    fleet.change("code_length: 6", "code_length: 8");
    fleet.rollout(&["--wave", "canary"]).expect(0);
    let folder = Folder::new();
    let table = folder.write("tenants.csv", &fleet.folder.read("tenants.csv"));
    let out = folder.text_path("fleet.yaml");
    let mark = twin.mark();
    let adopt = |table: &str| {
        let args = ["adopt", "--tenants", table, "--out", &out, "--via", &fleet.via];
        lockstep(&args).envs(&fleet.env).run()
    };
    let run = adopt(&table).expect(0);
    assert_eq!(twin.writes_since(mark), [] as [String; 0]);
    assert!(run.out.contains("overlay-acme-dev.yaml  for acme-dev"), "{}", run.out);
    let base = folder.read("base.yaml");
    assert!(base.contains("code_length: 6") && base.contains("domain: ${tenant.domain}"), "{base}");
    assert!(folder.read("overlay-acme-dev.yaml").contains("code_length: 8"));
    let mut env = fleet.env.clone();
    for name in ["ACME_DEV", "ACME_SHOP", "ACME_BANK"] {
        env.insert(format!("FEEDBACK_SECRET_{name}"), "a-secret-of-the-stream".into());
    }
    let plan = lockstep(&["plan", &out, "--via", &fleet.via]).envs(&env).run().expect(0);
    let is_changed = |line: &&str| line.contains(": ") && line.contains("verify_service");
    assert!(!plan.out.lines().any(|line| is_changed(&line)), "{}", plan.out);
    assert!(!plan.out.contains("create"), "{}", plan.out);
    // No file is replaced, and a table needs both columns.
    let run = adopt(&table).expect(64);
    assert!(run.err.contains("is there already"), "{}", run.err);
    let other = Folder::new();
    let table = other.write("tenants.csv", "name,domain\na,a.eu.auth0.com\n");
    let args = ["adopt", "--tenants", &table, "--out", &other.text_path("f.yaml"), "--via", &fleet.via];
    let run = lockstep(&args).envs(&fleet.env).run();
    assert!(run.err.contains("account_sid"), "{}", run.err);
    assert!(!other.path("f.yaml").exists());
}

#[test]
fn a_failing_canary_keeps_the_rest_untouched() {
    let twin = Twin::with(&TWIN_ARGS);
    let proxy = Proxy::start(&twin, |asked, forward| {
        let is_deploy = asked.method == "POST" && asked.path.ends_with("/deploy");
        match is_deploy && asked.host == "tenant-1.eu.auth0.com" {
            true => super::lab::json_reply(
                403,
                "",
                &serde_json::json!({ "statusCode": 403, "error": "Forbidden", "message": "Insufficient scope", "errorCode": "insufficient_scope" }),
            ),
            false => forward(),
        }
    });
    let via = format!("http://127.0.0.1:{}", proxy.port);
    let fleet = Fleet::new(&via, &THREE, TWO_WAVES);
    let run = fleet.rollout(&[]).expect(8);
    assert!(
        run.out.contains("✗ acme-dev failed") && run.out.contains("more than the budget allows"),
        "{}",
        run.out
    );
    assert!(run.out.contains("rest") && run.out.contains("not begun"), "{}", run.out);
    assert_eq!(written(&proxy), ["tenant-1.eu.auth0.com"]);
    // Even a generous budget does not let a wave pass of which nobody was applied.
    let file = fleet.folder.read("fleet.yaml") + "  budget: { wave: 5, total: 5 }\n";
    fleet.folder.write("fleet.yaml", &file);
    let run = fleet.rollout(&[]).expect(8);
    assert!(run.out.contains("no tenant of the wave canary was applied"), "{}", run.out);
    assert_eq!(written(&proxy), ["tenant-1.eu.auth0.com"]);
}

#[test]
fn limits_are_checked_before_the_first_write() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, &format!("{TWO_WAVES}  limits: {{ changed: 2 }}\n"));
    let mark = twin.mark();
    let run = fleet.rollout(&[]).expect(8);
    assert!(run.err.contains("3 tenants change, and rollout.limits.changed allows 2"), "{}", run.err);
    assert_eq!(twin.writes_since(mark), [] as [String; 0]);
    fleet.rollout(&["--skip", "acme-bank=not yet"]).expect(0);
}

#[test]
fn who_is_broken_already_is_listed_and_outside_the_budget() {
    let twin = Twin::with(&TWIN_ARGS);
    let proxy = Proxy::start(&twin, |asked, forward| {
        let refused = serde_json::json!({ "error": "access_denied", "error_description": "Unauthorized" });
        match asked.host == "tenant-2.eu.auth0.com" && asked.path == "/oauth/token" {
            true => super::lab::json_reply(401, "", &refused),
            false => forward(),
        }
    });
    let fleet = Fleet::new(&format!("http://127.0.0.1:{}", proxy.port), &THREE, TWO_WAVES);
    let plan = json(&fleet.run("plan", &["--output", "json"]).expect(1));
    let tenants = plan["fleet"]["tenants"].as_array().expect("tenants");
    let exits: Vec<_> = tenants.iter().map(|one| (one["name"].as_str(), one["exit"].as_u64())).collect();
    assert_eq!(
        exits,
        [(Some("acme-dev"), Some(0)), (Some("acme-shop"), Some(1)), (Some("acme-bank"), Some(0))]
    );
    fleet.run("drift", &[]).expect(6);
    let run = fleet.rollout(&[]).expect(1);
    assert!(run.out.contains("! acme-shop broken before") && run.out.contains("2 applied"), "{}", run.out);
}

#[test]
fn bad_input_is_told_where_it_stands() {
    let twin = Twin::with(&TWIN_ARGS);
    let with = |change: &dyn Fn(&Fleet)| {
        let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
        change(&fleet);
        let mark = twin.mark();
        let run = fleet.run("plan", &[]);
        assert_eq!(twin.mark(), mark, "a request was sent: {}", run.err);
        (run.code, run.err.clone() + &run.out)
    };
    let append = |file: &'static str, text: &'static str| {
        move |fleet: &Fleet| drop(fleet.folder.write(file, &(fleet.folder.read(file) + text)))
    };
    let replace = |file: &'static str, from: &'static str, to: &'static str| {
        move |fleet: &Fleet| {
            let text = fleet.folder.read(file);
            assert!(text.contains(from), "{file}: {from}");
            fleet.folder.write(file, &text.replace(from, to));
        }
    };
    let overlay = |text: &'static str| {
        move |fleet: &Fleet| {
            fleet.folder.write("o.yaml", text);
            let file = fleet.folder.read("fleet.yaml");
            let more = "overlays:\n  - { match: { plan: enterprise }, merge: o.yaml }\n";
            fleet.folder.write("fleet.yaml", &(file + more));
        }
    };
    type Change<'a> = Box<dyn Fn(&Fleet) + 'a>;
    let rows: Vec<(Change<'_>, i32, &[&str])> = vec![
        (
            Box::new(append("tenants.csv", "acme-dev,x.eu.auth0.com,,free,B\n")),
            1,
            &["tenants.csv:5:1", "two tenants are called acme-dev"],
        ),
        (
            Box::new(append("tenants.csv", "acme-x,tenant-1.eu.auth0.com,,free,B\n")),
            1,
            &["tenants.csv:5:1", "two tenants have the domain tenant-1.eu.auth0.com"],
        ),
        (
            Box::new(append("tenants.csv", "acme-x,x.eu.auth0.com\n")),
            1,
            &["tenants.csv:5:1", "another number of cells"],
        ),
        (
            Box::new(replace("base.yaml", "${tenant.brand}", "${tenant.brnad}")),
            1,
            &["base.yaml:", "no column brnad", "did you mean brand?"],
        ),
        (
            Box::new(replace("base.yaml", "code_length: 6", "code_length: 60")),
            1,
            &["base.yaml:", "code_length", "must be 4 to 10"],
        ),
        (
            Box::new(replace("base.yaml", "code_length: 6", "code_length: ${tenant.plan}")),
            1,
            &["tenants.csv:2:1", "column plan"],
        ),
        (
            Box::new(overlay("twilio: { account_sid: null }\n")),
            1,
            &["o.yaml:1:11", "account_sid is missing", "this overlay removes it", "for acme-bank"],
        ),
        (
            Box::new(overlay("verify_service: { code_lenght: 6 }\n")),
            1,
            &["o.yaml:1:19", "unknown key code_lenght", "did you mean code_length?"],
        ),
        (Box::new(overlay("verify_service: [\n")), 1, &["o.yaml", "not YAML"]),
        (
            Box::new(replace("fleet.yaml", "match: { name: acme-dev }", "match: { plna: free }")),
            1,
            &["fleet.yaml:", "no column plna", "did you mean plan?"],
        ),
        (
            Box::new(replace("fleet.yaml", "match: { name: acme-dev }", "match: { name: acme-dve }")),
            1,
            &["fleet.yaml:", "no tenant is called acme-dve", "did you mean acme-dev?"],
        ),
        (
            Box::new(replace("fleet.yaml", "match: { name: acme-dev }", "match: { plan: gold }")),
            1,
            &["fleet.yaml:", "the wave canary has no tenants"],
        ),
        (
            Box::new(replace("fleet.yaml", "match: { name: acme-dev }", "match: { plan: free }, share: 0%")),
            1,
            &["fleet.yaml:", "empty share"],
        ),
        (
            Box::new(replace(
                "fleet.yaml",
                "{ name: rest, rest: true }",
                "{ name: rest, match: { plan: free } }",
            )),
            1,
            &["fleet.yaml:", "no wave takes the tenant acme-bank"],
        ),
        (
            Box::new(replace("fleet.yaml", "[applied, stream]", "[aplied]")),
            1,
            &["fleet.yaml:", "did you mean applied?"],
        ),
        (
            Box::new(replace("fleet.yaml", "base: base.yaml", "base: ../base.yaml")),
            1,
            &["fleet.yaml:", "leads out of"],
        ),
        (
            Box::new(replace("fleet.yaml", "base: base.yaml", "base: nothing.yaml")),
            1,
            &["nothing.yaml", "there is no such file"],
        ),
        (
            Box::new(replace(
                "base.yaml",
                "${env.AUTH0_CLIENT_SECRET_${tenant.key}}",
                "${env.NOT_SET_${tenant.key}}",
            )),
            1,
            &[
                "env.NOT_SET_ACME_DEV has no value",
                "env.NOT_SET_ACME_SHOP has no value",
                "env.NOT_SET_ACME_BANK has no value",
            ],
        ),
        (
            Box::new(replace("base.yaml", "domain: ${tenant.domain}", "domain: one.eu.auth0.com")),
            1,
            &["the table says that domain of acme-dev is tenant-1.eu.auth0.com"],
        ),
        (
            Box::new(replace("base.yaml", "${tenant.brand}", "${env.AUTH0_CLIENT_SECRET_ACME_DEV}")),
            1,
            &["base.yaml:"],
        ),
    ];
    for (change, code, words) in rows {
        let (found, text) = with(&*change);
        assert_eq!(found, Some(code), "{words:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("Auth0-Client-Secret-"), "{text}");
    }
}

#[test]
fn a_rendered_manifest_says_where_each_line_comes_from_and_is_a_manifest() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    fleet.folder.write("o.yaml", "verify_service: { code_length: 8 }\n");
    let file =
        fleet.folder.read("fleet.yaml") + "overlays:\n  - { match: { plan: enterprise }, merge: o.yaml }\n";
    let path = fleet.folder.write("fleet.yaml", &file);
    let run = lockstep(&["render", &path, "acme-bank"]).run().expect(0);
    let line = |words: &str| {
        run.out
            .lines()
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{words}: {}", run.out))
            .to_owned()
    };
    assert!(line("code_length: 8").contains("o.yaml:1"));
    assert!(
        line("friendly_name: Acme").contains("brand of")
            && line("friendly_name: Acme").contains("tenants.csv:4")
    );
    assert!(line("lockstep: v1").contains("base.yaml:4"));
    let plain = lockstep(&["render", &path, "acme-bank", "--plain"]).run().expect(0);
    let alone = fleet.folder.write("alone.yaml", &plain.out);
    fleet.rollout(&[]).expect(0);
    let run = lockstep(&["drift", &alone, "--via", &twin.url()]).envs(&fleet.env).run().expect(0);
    assert!(run.out.contains("Verdict: clean"), "{}", run.out);
    lockstep(&["render", &path, "acme-bnak"]).run().expect(64);
}

/// Every so many requests of a rollout are tried as the last one before a kill.
const EVERY: usize = 10;
/// So many are tried at once.
const WORKERS: usize = 4;

/// A rollout that is killed at a request, and run again, ends as one that nobody disturbed, with nothing twice.
#[test]
fn a_killed_rollout_ends_the_same_when_it_is_run_again() {
    let length = {
        let twin = Twin::with(&TWIN_ARGS);
        let proxy = Proxy::start(&twin, |_, forward| forward());
        let fleet = Fleet::new(&format!("http://127.0.0.1:{}", proxy.port), &THREE, TWO_WAVES);
        fleet.recorded(&[]).expect(0);
        proxy.seen().len()
    };
    let all = std::env::var("LOCKSTEP_KILLS").is_ok_and(|kills| kills == "all");
    let points: Vec<usize> = (1..=length).step_by(if all { 1 } else { EVERY }).collect();
    let tried = points.len();
    // Most of the time is waiting.
    std::thread::scope(|scope| {
        for part in 0..WORKERS {
            let points = points.iter().copied().skip(part).step_by(WORKERS);
            scope.spawn(move || points.for_each(killed_at));
        }
    });
    assert!(tried >= 5, "{tried} of {length} requests");
}

fn killed_at(at: usize) {
    let twin = Twin::with(&TWIN_ARGS);
    let (count, pid) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
    let (counted, killed) = (count.clone(), pid.clone());
    let proxy = Proxy::start(&twin, move |_, forward| {
        if counted.fetch_add(1, Ordering::SeqCst) + 1 == at {
            let began = Instant::now();
            while killed.load(Ordering::SeqCst) == 0 && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(2));
            }
            let reply = if at.is_multiple_of(2) { forward() } else { Vec::new() };
            signal("KILL", killed.load(Ordering::SeqCst));
            return reply;
        }
        forward()
    });
    let fleet = Fleet::new(&format!("http://127.0.0.1:{}", proxy.port), &THREE, TWO_WAVES);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let with_records = at % 20 < EVERY;
    let records = ["--record", &place, "--record-key", "env:RECORD_KEY"];
    let args: Vec<&str> = ["--yes", "--lease-ttl", "1s"]
        .into_iter()
        .chain(records.into_iter().filter(|_| with_records))
        .collect();
    let first = fleet.program("rollout", &args).start();
    pid.store(first.id(), Ordering::SeqCst);
    let first = first.wait();
    assert_eq!(first.code, None, "request {at}: {}\n{}", first.out, first.err);
    let again = fleet.run("rollout", &args);
    assert_eq!(again.code, Some(0), "request {at}: {}\n{}", again.out, again.err);
    fleet.run("drift", &[]).expect(0);
    for tenant in 1..=3 {
        // A run that is killed after its work may leave its lease, which nobody needs until the next change.
        let site = Site::new(&twin, tenant);
        let names: Vec<Json> = site.actions().into_iter().map(|action| action["name"].clone()).collect();
        assert_eq!((names.len(), site.verify_services().len()), (2, 1), "request {at}: {names:?}");
    }
}

#[test]
fn records_can_stop_a_rollout_and_never_widen_it() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, &format!("{TWO_WAVES}  limits: {{ deletes: 0 }}\n"));
    // A key is needed, and not a short one.
    let place = format!("file:{}", fleet.folder.text_path("records"));
    fleet.rollout(&["--record", &place]).expect(64);
    fleet.folder.write("short", "abc");
    let short = format!("file:{}", fleet.folder.text_path("short"));
    fleet.rollout(&["--record", &place, "--record-key", &short]).expect(64);

    fleet.recorded(&["--until", "canary"]).expect(0);
    let records = fleet.folder.path("records/acme");
    let mut names: Vec<_> =
        std::fs::read_dir(&records).expect("records").flatten().map(|entry| entry.path()).collect();
    names.sort();
    let last = names.last().expect("a record").clone();
    // Another change is not rolled out while this one is open.
    fleet.change("code_length: 6", "code_length: 9");
    let run = fleet.recorded(&[]).expect(75);
    assert!(run.err.contains("another rollout of fleet acme is not finished: tester@tests"), "{}", run.err);
    fleet.change("code_length: 9", "code_length: 6");
    // Forged and cut records halt, and are named.
    let text = std::fs::read_to_string(&last).expect("record");
    for damaged in [text.replace("\"canary\"", "\"rest\""), text[..text.len() / 3].to_owned()] {
        std::fs::write(&last, damaged).expect("written");
        let mark = twin.mark();
        let run = fleet.recorded(&[]).expect(1);
        assert!(run.err.contains(&last.display().to_string()), "{}", run.err);
        assert_eq!(twin.writes_since(mark), [] as [String; 0]);
    }
    std::fs::write(&last, &text).expect("written");
    let run = fleet.recorded(&[]).expect(0);
    assert!(!run.err.contains("wave canary: 1 tenant"), "the canary passed already: {}", run.err);
    assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
    // A finished rollout is no obstacle to the next one, and a tenant that left the table is not forgotten.
    fleet.change("code_length: 6", "code_length: 7");
    let table = fleet.folder.read("tenants.csv");
    let shorter: Vec<&str> = table.lines().filter(|row| !row.starts_with("acme-bank")).collect();
    fleet.folder.write("tenants.csv", &(shorter.join("\n") + "\n"));
    let run = fleet.recorded(&[]).expect(7);
    assert!(run.out.contains("not in the table any more: acme-bank"), "{}", run.out);
    fleet.recorded(&[]).expect(7);
    fleet.folder.write("fleet.yaml", &(fleet.folder.read("fleet.yaml") + "former: [acme-bank]\n"));
    fleet.recorded(&[]).expect(0);
}

/// Whoever deletes records takes a rollout back to an earlier state. Nobody who reads them learns a secret.
#[test]
fn deleted_records_repeat_no_write_and_skip_no_gate() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    fleet.recorded(&["--until", "canary"]).expect(0);
    let folder = fleet.folder.path("records/acme");
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("records").flatten().map(|entry| entry.path()).collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    for name in &names {
        let text = std::fs::read_to_string(name).expect("a record");
        let secret = |(name, _): &(&String, &String)| name.contains("SECRET") || name.contains("RECORD_KEY");
        for (variable, value) in fleet.env.iter().filter(secret) {
            assert!(!text.contains(value.as_str()), "{} has {variable}", name.display());
        }
    }
    let before = std::fs::read(&names[names.len() - 2]).expect("a record");
    std::fs::remove_file(&names[names.len() - 2]).expect("deleted");
    let run = fleet.recorded(&[]).expect(1);
    assert!(run.err.contains("/records/acme/"), "{}", run.err);
    std::fs::write(&names[names.len() - 2], before).expect("back");
    names.iter().skip(1).for_each(|name| std::fs::remove_file(name).expect("deleted"));
    let mark = twin.mark();
    let run = fleet.recorded(&[]).expect(0);
    assert!(run.err.contains("wave canary: passed (applied, stream)"), "{}", run.err);
    let wrote = twin.writes_since(mark);
    assert!(wrote.iter().any(|line| line.contains("tenant-2.")), "{wrote:?}");
    assert!(!wrote.iter().any(|line| line.contains("tenant-1.")), "{wrote:?}");
}

#[test]
fn a_rollout_is_seen_halted_resumed_taken_back_and_abandoned_from_elsewhere() {
    let twin = Twin::with(&TWIN_ARGS);
    let soaks = TWO_WAVES.replace("match: { name: acme-dev } }", "match: { name: acme-dev }, soak: 40s }");
    let fleet = Fleet::new(&twin.url(), &THREE, &soaks);
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let kept = ["--record", place.as_str(), "--record-key", "env:RECORD_KEY"];
    let file = fleet.folder.text_path("fleet.yaml");
    let afar = |word: &str, more: &[&str]| {
        lockstep(&["rollout", word, &file, "--via", &twin.url()])
            .args(&kept)
            .args(more)
            .envs(&fleet.env)
            .run()
    };
    lockstep(&["rollout", "status", &file]).run().expect(64);
    lockstep(&["rollout", "statsu", &file]).run().expect(64);
    afar("status", &[]).expect(1);
    let running = fleet.program("rollout", &[&["--yes"], &kept[..]].concat()).start();
    let began = Instant::now();
    let mut seen = afar("status", &[]);
    while !seen.out.contains("under way  ✓") && began.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(300));
        seen = afar("status", &[]);
    }
    assert!(seen.out.contains("under way  ✓"), "{}\n{}", seen.out, seen.err);
    let mark = twin.mark();
    afar("halt", &["--why", "the release is called off"]).expect(0);
    let halted = running.wait().expect(8);
    assert!(
        halted.out.contains("the release is called off") && halted.out.contains("not begun"),
        "{}",
        halted.out
    );
    assert_eq!(twin.writes_since(mark), [] as [String; 0]);
    let run = afar("status", &[]).expect(8);
    assert!(run.out.contains("the release is called off"), "{}", run.out);
    // What the open wave has got is taken back, and the rollout can be ended so that another one begins.
    let run = afar("rollback", &["--yes"]).expect(8);
    assert!(run.out.contains("↩ acme-dev rolled back"), "{}", run.out);
    fleet.change("code_length: 6", "code_length: 8");
    fleet.recorded(&[]).expect(75);
    afar("abandon", &[]).expect(0);
    afar("halt", &[]).expect(1);
    fleet.folder.write("fleet.yaml", &fleet.folder.read("fleet.yaml").replace(", soak: 40s", ""));
    let run = fleet.recorded(&[]).expect(0);
    assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
}

/// A rollout that goes on counts what it did before, and hands nobody to an apply who is broken or left out.
#[test]
fn a_resumed_rollout_keeps_budget_limits_and_reasons() {
    let twin = Twin::with(&TWIN_ARGS);
    let proxy = Proxy::start(&twin, |asked, forward| {
        let refused = serde_json::json!({ "error": "access_denied", "error_description": "Unauthorized" });
        match asked.host == "tenant-2.eu.auth0.com" && asked.path == "/oauth/token" {
            true => super::lab::json_reply(401, "", &refused),
            false => forward(),
        }
    });
    let via = format!("http://127.0.0.1:{}", proxy.port);
    let waves = TWO_WAVES
        .replace("match: { name: acme-dev }", "match: { plan: free }")
        .replace("[applied, stream]", "[{ command: smoke }]");
    let fleet = Fleet::new(&via, &THREE, &waves);
    let smoke = ["--allow-cmd", "smoke=false"];
    fleet.recorded(&smoke).expect(8);
    // Not confirmed: the halt stays as it was on record.
    let place = format!("file:{}", fleet.folder.text_path("records"));
    let kept = ["--record", place.as_str(), "--record-key", "env:RECORD_KEY"];
    let accept = ["--accept", "command", "--why", "seen"];
    let before = std::fs::read_dir(fleet.folder.path("records/acme")).expect("records").count();
    fleet.run("rollout", &[&kept[..], &smoke, &accept].concat()).expect(64);
    assert_eq!(std::fs::read_dir(fleet.folder.path("records/acme")).expect("records").count(), before);
    // The broken tenant is still broken, which is no failure of the rollout.
    let run = fleet.recorded(&[&smoke[..], &accept].concat()).expect(1);
    assert!(run.out.contains("! acme-shop broken before") && run.out.contains("2 applied"), "{}", run.out);

    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, &format!("{TWO_WAVES}  limits: {{ changed: 2 }}\n"));
    let run = fleet.recorded(&["--until", "canary", "--skip", "acme-bank=later"]).expect(0);
    assert!(run.out.contains("1 applied"), "{}", run.out);
    let run = fleet.recorded(&[]).expect(8);
    assert!(run.err.contains("3 tenants change, and rollout.limits.changed allows 2"), "{}", run.err);
    let run = fleet.recorded(&["--skip", "acme-bank=later"]).expect(0);
    assert!(run.out.contains("2 applied") && run.out.contains("- acme-bank skipped: later"), "{}", run.out);
}

#[test]
fn a_gate_command_decides_and_a_person_can_let_it_pass() {
    let twin = Twin::with(&TWIN_ARGS);
    let rollout = TWO_WAVES.replace("[applied, stream]", "[applied, { command: smoke }]");
    let fleet = Fleet::new(&twin.url(), &THREE, &rollout);
    let run = fleet.rollout(&[]).expect(64);
    assert!(run.err.contains("the gate command smoke has no command"), "{}", run.err);
    let args = ["--allow-cmd", "smoke=test \"$LOCKSTEP_WAVE\" != canary"];
    let run = fleet.rollout(&args).expect(8);
    assert!(run.out.contains("gate command smoke: failed"), "{}", run.out);
    fleet.rollout(&[&args[..], &["--accept", "command"]].concat()).expect(64);
    fleet.rollout(&[&args[..], &["--accept", "nope", "--why", "x"]].concat()).expect(64);
    let run =
        fleet.rollout(&[&args[..], &["--accept", "command", "--why", "seen by hand"]].concat()).expect(0);
    assert!(run.out.contains("accepted: seen by hand"), "{}", run.out);
}

#[test]
fn commands_about_one_tenant_take_it_from_the_fleet_file() {
    let (twin, fleet) = rolled_out();
    let run = fleet.run("show", &[]).expect(64);
    assert!(run.err.contains("name it with --tenant NAME"), "{}", run.err);
    let run = fleet.run("show", &["--tenant", "acme-shop"]).expect(0);
    assert!(run.out.contains("ledger of stack acme-login on tenant-2.eu.auth0.com"), "{}", run.out);
    let mark = twin.mark();
    fleet.run("destroy", &["--tenant", "acme-shop", "--yes"]).expect(0);
    assert!(
        twin.writes_since(mark)
            .iter()
            .all(|write| !write.contains("tenant-1.") && !write.contains("tenant-3."))
    );
    let run = fleet.run("plan", &[]).expect(0);
    assert!(run.out.contains("1 of 3 tenants change"), "{}", run.out);
    fleet.change("code_length: 6", "code_length: 60");
    let run = fleet.run("show", &["--tenant", "acme-shop"]).expect(1);
    assert!(run.err.contains("base.yaml:19:16") && run.err.contains("must be 4 to 10"), "{}", run.err);
}

#[test]
fn commands_of_one_tenant_lead_to_those_of_a_fleet() {
    let twin = Twin::with(&TWIN_ARGS);
    let fleet = Fleet::new(&twin.url(), &THREE, TWO_WAVES);
    let run = fleet.run("apply", &["--yes"]).expect(64);
    assert!(run.err.contains("lockstep rollout"), "{}", run.err);
    let manifest = fleet.folder.text_path("base.yaml");
    let run = lockstep(&["rollout", &manifest, "--yes"]).run().expect(64);
    assert!(run.err.contains("lockstep apply"), "{}", run.err);
    lockstep(&["plan", super::lab::QUICKSTART, "--twin", "--tenant", "x"]).run().expect(64);
    fleet.run("plan", &["--out", "x"]).expect(64);
    fleet.run("plan", &["--output", "sarif"]).expect(64);
    fleet.run("plan", &["--tenant", "acme-dve"]).expect(64);
    fleet.run("plan", &["--wave", "nope"]).expect(64);
    fleet.run("plan", &["-l", "plan"]).expect(64);
    fleet.run("plan", &["--ledger", "file:x"]).expect(64);
    let run = fleet.run("plan", &["--output", "markdown", "--wave", "rest"]).expect(0);
    assert!(run.out.contains("| 2 | `action` | `create` |"), "{}", run.out);
    let run = fleet.run("drift", &["--output", "junit", "--wave", "canary"]).expect(5);
    assert!(run.out.contains("<testcase classname=\"canary\" name=\"acme-dev\""), "{}", run.out);
}

/// Code that a change of the base deploys; by its text the twin's users know it.
const SECOND: &str =
    "exports.onExecuteCustomPhoneProvider = async (event, api) => { api.notification.drop('second'); };\n";

/// A hundred tenants in a folder, on a twin in a file.
pub fn hundred(rollout: &str) -> Folder {
    let folder = Folder::new();
    let mut table = "name,domain,account_sid,plan,brand\n".to_owned();
    for at in 0..100 {
        table += &format!("acme-{at:03},acme-{at:03}.eu.auth0.com,AC{at:032},free,Acme\n");
    }
    folder.write("tenants.csv", &table);
    folder.write("base.yaml", BASE);
    folder.write("second.js", SECOND);
    folder.write("fleet.yaml", &format!("lockstep: v1\nfleet: acme\nbase: base.yaml\ntenants: {{ file: tenants.csv }}\nrollout:\n{rollout}"));
    folder
}

#[test]
fn an_action_that_fails_is_stopped_and_taken_back_in_the_canary() {
    const WAVES: &str = "  waves:\n    - { name: canary, match: { name: [acme-000, acme-001] }, soak: 10m }\n    - { name: rest, rest: true, batch: 50 }\n";
    let plain = format!("{WAVES}  gates: []\n  budget: {{ wave: 9, total: 9 }}\n");
    let folder = hundred(&plain);
    let run = |args: &[&str]| {
        lockstep(&[&["rollout", "fleet.yaml", "--twin=world.json", "--yes"], args].concat())
            .folder(&folder)
            .run()
    };
    let all = run(&[]).expect(0);
    assert!(
        all.out.contains("Done: 100 applied, 0 unchanged.") && all.out.contains("rest 2/2"),
        "{}",
        all.out
    );
    // From now on users ask for codes, and those of the second code get none.
    let mut world: Json = serde_json::from_str(&folder.read("world.json")).expect("a world");
    world["options"]["traffic"] =
        serde_json::json!([{ "code_has": "drop('second')", "fate": "crashes" }, {}]);
    folder.write("world.json", &world.to_string());
    folder.write(
        "fleet.yaml",
        &folder.read("fleet.yaml").replace("gates: []", "gates: [applied, executions]\n  on_halt: rollback"),
    );
    folder.write("base.yaml", &BASE.replace("builtin:twilio-verify-fetch", "./second.js"));
    let halted = run(&[]).expect(8);
    for words in [
        "Halted at ",
        "the gate executions of the wave canary failed: acme-000, acme-001:",
        "of the running version failed",
        "↩ acme-000 rolled back",
        "↩ acme-001 rolled back",
        "not begun",
        "Mend the cause and run the same command again",
    ] {
        assert!(halted.out.contains(words), "{words}: {}", halted.out);
    }
    // The code of the canary is the former one again, and nobody else got the other one.
    let world: Json = serde_json::from_str(&folder.read("world.json")).expect("a world");
    let tenants = world["world"]["tenants"].as_object().expect("tenants");
    assert_eq!(tenants.len(), 100);
    let live = tenants.values().flat_map(|tenant| tenant["actions"].as_array().cloned().unwrap_or_default());
    let of_second = live.filter(|action| {
        let id = action["deployment"]["version_id"].clone();
        let versions = action["versions"].as_array().cloned().unwrap_or_default();
        versions.iter().any(|version| version["id"] == id && version["code"] == SECOND)
    });
    assert_eq!(of_second.count(), 0);
    // A change that works goes through both waves.
    folder.write("base.yaml", &BASE.replace("code_length: 6", "code_length: 7"));
    let good = run(&[]).expect(0);
    assert!(good.out.contains("Done: 100 applied, 0 unchanged."), "{}", good.out);
}

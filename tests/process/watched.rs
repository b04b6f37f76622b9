//! `apply --watch` and `status` as a user meets them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::lab::{Folder, Proxy, QUICKSTART, Run, Site, Twin, json_reply, lockstep, signal};

/// Code that the second revision of the manifest deploys; by its text the twin's users know it.
const SECOND: &str =
    "exports.onExecuteCustomPhoneProvider = async (event, api) => { api.notification.drop('second'); };\n";

/// A folder with the quickstart applied on a twin in a file, with users, and with a second manifest.
struct Lab(Folder);

impl Lab {
    fn new(traffic: &Json) -> Lab {
        let folder = Folder::new();
        let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
        folder.write("first.yaml", &text);
        folder.write("second.yaml", &text.replace("builtin:twilio-verify-fetch", "./second.js"));
        folder.write("second.js", SECOND);
        let lab = Lab(folder);
        let _ = lab.run("apply", "first.yaml", &["--yes"]).expect(0);
        lab.users(traffic);
        lab
    }

    /// What becomes of messages from now on.
    fn users(&self, traffic: &Json) {
        let mut world: Json = serde_json::from_str(&self.0.read("world.json")).expect("a world");
        world["options"]["traffic"] = traffic.clone();
        self.0.write("world.json", &world.to_string());
    }

    #[must_use]
    fn run(&self, command: &str, manifest: &str, args: &[&str]) -> Run {
        lockstep(&[command, manifest, "--twin=world.json"]).args(args).folder(&self.0).run()
    }

    /// The code of the Action that runs.
    fn runs_second(&self) -> bool {
        let world: Json = serde_json::from_str(&self.0.read("world.json")).expect("a world");
        is_second(&world)
    }
}

/// Whether the second code runs in a world.
fn is_second(world: &Json) -> bool {
    runs(world, "drop('second')")
}

/// Whether code with this text runs in a world.
fn runs(world: &Json, text: &str) -> bool {
    let tenants = world["world"]["tenants"].as_object().expect("tenants");
    let actions = tenants.values().flat_map(|tenant| tenant["actions"].as_array().expect("Actions"));
    let mut live = actions.filter_map(|action| {
        let id = action["deployment"]["version_id"].as_str()?;
        action["versions"].as_array()?.iter().find(|version| version["id"] == id)
    });
    live.any(|version| version["code"].as_str().is_some_and(|code| code.contains(text)))
}

fn second(traffic: Json) -> Json {
    let mut one = traffic;
    one["code_has"] = json!("drop('second')");
    json!([one, {}])
}

#[test]
fn a_failing_version_is_taken_back_and_the_exit_code_is_1() {
    let lab = Lab::new(&second(json!({ "fate": "crashes" })));
    let run = lab.run("apply", "second.yaml", &["--yes", "--watch", "5m"]).expect(1);
    assert!(run.err.contains("error[LS0620]: watch from "), "{}", run.err);
    assert!(
        run.err.contains("of the running version failed") && run.err.contains("; the run was taken back"),
        "{}",
        run.err
    );
    assert!(run.err.contains("  help: mend what failed, then apply again"), "{}", run.err);
    assert!(!lab.runs_second());
    let again =
        lab.run("apply", "second.yaml", &["--yes", "--watch", "5m", "--output", "json"]).expect(1).json();
    let watch = &again["apply"]["watch"];
    assert_eq!(
        (&watch["health"]["verdict"], &watch["back"]["ended"]),
        (&json!("failing"), &json!("done")),
        "{watch:#}"
    );
    let shown = lab.run("show", "first.yaml", &[]).expect(0);
    assert!(shown.out.contains("rollback done"), "{}", shown.out);
}

#[test]
fn a_version_that_sends_is_healthy_and_status_says_so() {
    let lab = Lab::new(&second(json!({ "fate": "sent" })));
    let run = lab.run("apply", "second.yaml", &["--yes", "--watch", "2m"]).expect(0);
    assert!(run.out.contains("watch from ") && run.out.contains(": healthy ("), "{}", run.out);
    assert!(run.err.contains("  watch: healthy: "), "{}", run.err);
    assert!(lab.runs_second());
    let status = lab.run("status", "second.yaml", &[]).expect(0);
    for line in
        ["Parts\n", "Health\n  healthy\n", "Last run\n", "Lease\n  free\n", "Due: nothing\n", ", version "]
    {
        assert!(status.out.contains(line), "{line}: {}", status.out);
    }
    let json = lab.run("status", "second.yaml", &["--output", "json"]).expect(0).json();
    assert_eq!(json["status"]["health"]["verdict"], "healthy");
    assert_eq!(json["status"]["verdict"], "clean");
    assert_eq!(json["status"]["last_run"]["outcome"], "apply done");
}

#[test]
fn a_burst_for_one_number_takes_nothing_back_and_is_counted() {
    let burst = json!({ "fate": "fails_for_some", "vendor_code": 60410, "people": 1, "every_ms": 200 });
    let lab = Lab::new(&second(burst));
    let run = lab.run("apply", "second.yaml", &["--yes", "--watch", "1m"]).expect(7);
    assert!(run.err.contains("warning[LS0621]: watch from "), "{}", run.err);
    assert!(run.err.contains("numbers and users 60410: "), "{}", run.err);
    assert!(lab.runs_second());
}

#[test]
fn no_events_are_no_success() {
    let lab = Lab::new(&json!([]));
    let run = lab.run("apply", "second.yaml", &["--yes", "--watch", "1m"]).expect(7);
    assert!(run.err.contains("no message was sent, so nothing shows that messages arrive"), "{}", run.err);
    assert!(run.err.contains("0 messages sent, none failed, no failed execution"), "{}", run.err);
    let _ = lab.run("apply", "second.yaml", &["--yes", "--watch", "1m"]).expect(0);
}

#[test]
fn status_is_1_where_messages_fail_because_of_the_set_up_and_tells_what_is_due() {
    let lab = Lab::new(&json!([{ "fate": "fails_for_some", "vendor_code": 20003 }]));
    let _ = lab.run("plan", "first.yaml", &[]);
    let mut world: Json = serde_json::from_str(&lab.0.read("world.json")).expect("a world");
    world["clock_ms"] = json!(world["clock_ms"].as_u64().expect("a time") + 600_000);
    lab.0.write("world.json", &world.to_string());
    let run = lab.run("status", "first.yaml", &[]).expect(1);
    assert!(run.out.contains("20003: Twilio does not take the credentials of the Action"), "{}", run.out);
    // Another revision is not applied: the verdict of drift, in words and in the parts.
    let run = lab.run("status", "second.yaml", &[]).expect(1);
    assert!(
        run.out.lines().next().is_some_and(|line| line.ends_with(": manifest not applied")),
        "{}",
        run.out
    );
    assert!(run.out.contains("differs: code"), "{}", run.out);
}

#[test]
fn a_watch_needs_a_record() {
    let run = lockstep(&["apply", QUICKSTART, "--twin", "--yes", "--watch", "1m", "--ledger", "none"])
        .run()
        .expect(64);
    assert!(run.err.contains("--watch needs a record"), "{}", run.err);
}

#[test]
fn status_reads_little_and_writes_nothing() {
    let twin = Twin::start();
    let site = Site::new(&twin, 61);
    let _ = site.run("apply", &["--yes"]).expect(0);
    let mark = twin.mark();
    let _ = site.run("status", &[]).expect(0);
    let (reads, writes) = (twin.log().len() - mark, twin.writes_since(mark));
    assert!(writes.is_empty(), "{writes:?}");
    assert!(reads <= 12, "{reads} requests: a plan's 10, the log, the lease");
}

/// An apply that is killed while it watches, and the next one. `reads`: the options of a command that only reads.
fn killed_and_gone_on(twin: &Twin, site: &Site, manifest: &str, args: &[&str], reads: &[&str]) -> Run {
    let started = Instant::now();
    let running = site.lockstep("apply", manifest, args).start();
    while !twin.log_text().contains("/api/v2/logs") {
        assert!(started.elapsed() < Duration::from_secs(40), "no look at the log: {}", twin.log_text());
        std::thread::sleep(Duration::from_millis(20));
    }
    signal("KILL", running.id());
    assert_eq!(running.wait().code, None);
    let status = site.lockstep("status", manifest, reads).run();
    assert!(
        status.out.contains("did not come to its end; `lockstep apply --watch` goes on with it"),
        "{}",
        status.out
    );
    let run = site.lockstep("apply", manifest, args).run().expect(1);
    assert!(run.err.contains("did not come to its end; going on with it"), "{}", run.err);
    run
}

/// The program itself, killed while it watches, in real time.
#[test]
fn a_killed_watch_is_finished_by_the_next_run() {
    let lab = Lab::new(&json!([]));
    let traffic = format!("traffic={}", second(json!({ "fate": "crashes", "every_ms": 200 })));
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited", "--option", &traffic]);
    let site = Site::new(&twin, 62);
    let args = ["--yes", "--lease-ttl", "2s"];
    let _ = site.lockstep("apply", &lab.0.text_path("first.yaml"), &args).run().expect(0);
    let manifest = lab.0.text_path("second.yaml");
    let args = ["--yes", "--watch", "10s", "--lease-ttl", "2s"];
    let run = killed_and_gone_on(&twin, &site, &manifest, &args, &[]);
    assert!(run.err.contains("error[LS0620]") && run.err.contains("; the run was taken back"), "{}", run.err);
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");
    assert!(!is_second(&world), "the first version runs again");
}

/// The code of a version whose former secret is gone comes back with the secrets of now, and that is said.
#[test]
fn what_a_rollback_cannot_bring_back_is_named() {
    let lab = Lab::new(&second(json!({ "fate": "crashes" })));
    let text = lab.0.read("second.yaml");
    lab.0.write("second.yaml", &text.replace("${env.TWILIO_SENDER_SECRET}", "${env.ROTATED}"));
    let args = ["--yes", "--watch", "5m"];
    let run =
        lockstep(&["apply", "second.yaml", "--twin=world.json"]).args(&args).env("ROTATED", "Rotated-9f21");
    let run = run.folder(&lab.0).run().expect(1);
    assert!(run.err.contains("; not all of the run could be taken back"), "{}", run.err);
    assert!(run.err.contains("  help: action: "), "{}", run.err);
    assert!(run.err.contains("apply the former revision of the manifest"), "{}", run.err);
    assert!(!lab.runs_second(), "the code came back");
}

/// The same with other credentials than the first apply: nothing proves that the Action is this stack's.
#[test]
fn a_killed_watch_with_other_credentials_takes_nothing_back_and_says_so() {
    let lab = Lab::new(&json!([]));
    let mut world: Json = serde_json::from_str(&lab.0.read("world.json")).expect("a world");
    world["options"]["traffic"] = second(json!({ "fate": "crashes", "every_ms": 200 }));
    world["options"]["latency_ms"] = json!(0);
    let twin = Twin::over(
        &world,
        &["--build", "1ms", "--rate", "unlimited", "--tenant", "acme-twin.eu.auth0.example"],
    );
    let mut env = Site::env_of(62);
    env.extend([
        ("AUTH0_DOMAIN".to_owned(), "acme-twin.eu.auth0.example".to_owned()),
        ("TWILIO_ACCOUNT_SID".to_owned(), "AC00000000000000000000000000000001".to_owned()),
        ("TWILIO_API_KEY".to_owned(), "SK00000000000000000000000000000001".to_owned()),
    ]);
    let site = Site::with_env(&twin, env);
    let manifest = lab.0.text_path("second.yaml");
    let args = ["--yes", "--watch", "10s", "--lease-ttl", "2s", "--domain", "acme-twin.eu.auth0.example"];
    let run = killed_and_gone_on(&twin, &site, &manifest, &args, &args[5..]);
    // The first apply had other credentials, so nothing proves that the Action is this stack's: it stays, and is told.
    assert!(
        run.err.contains("error[LS0620]") && run.err.contains("the run could not be taken back"),
        "{}",
        run.err
    );
    assert!(run.err.contains("so it is left alone"), "{}", run.err);
}

/// A rollback that cannot be carried out: each apply with `--watch` tries it again, and one without it goes on.
#[test]
fn a_rollback_that_fails_is_tried_again_and_an_apply_without_a_watch_goes_on() {
    let lab = Lab::new(&json!([]));
    let traffic = format!("traffic={}", second(json!({ "fate": "crashes", "every_ms": 200 })));
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited", "--option", &traffic]);
    let site = Site::new(&twin, 65);
    let (first, second) = (lab.0.text_path("first.yaml"), lab.0.text_path("second.yaml"));
    let _ = site.lockstep("apply", &first, &["--yes"]).run().expect(0);
    let refusal =
        json!({ "statusCode": 403, "error": "Forbidden", "message": "no", "errorCode": "forbidden" });
    let is_watched = AtomicBool::new(false);
    let proxy = Proxy::start(&twin, move |asked, forward| {
        is_watched.fetch_or(asked.path.contains("/api/v2/logs"), Ordering::SeqCst);
        match asked.is("POST", "tenant-", "/deploy") && is_watched.load(Ordering::SeqCst) {
            true => json_reply(403, "", &refusal),
            false => forward(),
        }
    });
    let site = site.through(&proxy);
    let watched = ["--yes", "--watch", "10s"];
    for _ in 0..2 {
        let run = site.lockstep("apply", &second, &watched).run().expect(1);
        assert!(run.err.contains("the run could not be taken back"), "{}", run.err);
        assert!(run.err.contains("without --watch goes on from here"), "{}", run.err);
    }
    let site = Site::new(&twin, 65);
    let _ = site.lockstep("apply", &first, &["--yes"]).run().expect(0);
    let _ = site.lockstep("apply", &first, &watched).run().expect(0);
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");
    assert!(!is_second(&world));
}

/// Another run deploys while a version that fails is watched: that run stays.
#[test]
fn a_watch_takes_back_its_own_run_and_no_later_one() {
    let lab = Lab::new(&json!([]));
    let text = lab.0.read("second.yaml");
    lab.0.write("third.yaml", &text.replace("./second.js", "./third.js"));
    lab.0.write("third.js", &SECOND.replace("drop('second')", "drop('third')"));
    let traffic = format!("traffic={}", second(json!({ "fate": "crashes", "every_ms": 200 })));
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited", "--option", &traffic]);
    let site = Site::new(&twin, 63);
    let _ = site.lockstep("apply", &lab.0.text_path("first.yaml"), &["--yes"]).run().expect(0);
    let started = Instant::now();
    let args = ["--yes", "--watch", "10s"];
    let running = site.lockstep("apply", &lab.0.text_path("second.yaml"), &args).start();
    while !twin.log_text().contains("/api/v2/logs") {
        assert!(started.elapsed() < Duration::from_secs(40), "no look at the log: {}", twin.log_text());
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = site.lockstep("apply", &lab.0.text_path("third.yaml"), &["--yes"]).run().expect(0);
    let run = running.wait();
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.err.contains("another run has changed the stack since the one that was watched"),
        "{}",
        run.err
    );
    let world = twin.stop();
    assert!(world.contains("drop('third')"), "{world}");
    let world: Json = serde_json::from_str(&world).expect("a world");
    assert!(!is_second(&world) && runs(&world, "drop('third')"), "the third version runs");
}

/// Whoever stops a watch is told what the run did.
#[test]
fn a_stopped_watch_reports_the_run_that_is_done() {
    let lab = Lab::new(&json!([]));
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited"]);
    let site = Site::new(&twin, 64);
    let started = Instant::now();
    let args = ["--yes", "--watch", "5m"];
    let running = site.lockstep("apply", &lab.0.text_path("first.yaml"), &args).start();
    while !twin.log_text().contains("/api/v2/logs") {
        assert!(started.elapsed() < Duration::from_secs(40), "no look at the log: {}", twin.log_text());
        std::thread::sleep(Duration::from_millis(20));
    }
    signal("INT", running.id());
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.err);
    assert!(!run.err.contains("nothing was changed"), "{}", run.err);
    assert!(run.err.contains("it was stopped before its time was over"), "{}", run.err);
}

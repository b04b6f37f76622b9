//! Tests of `--ledger file:PATH` and `--ledger none`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lab::{Asked, Folder, Proxy, Run, Site, Twin, lockstep as program};

/// A record of the build before keyed fingerprints, with the world that it left and the manifest. In the world, the
/// built-in code is replaced by its name.
const OF_SCHEMA_2: [(&str, &str); 3] = [
    ("manifest.yaml", include_str!("../records/schema-2/manifest.yaml")),
    ("record.json", include_str!("../records/schema-2/record.json")),
    ("world.json", include_str!("../records/schema-2/world.json")),
];

/// Values that the twin makes up are nobody's secret, so no plan of a quickstart waits for a slow digest.
#[test]
fn what_the_twin_makes_up_has_no_slow_digest() {
    let folder = Folder::new();
    let ledger = folder.text_path("record.json");
    let (world, ledger) =
        (format!("--twin={}", folder.text_path("world.json")), format!("--ledger=file:{ledger}"));
    program(&["apply", super::lab::QUICKSTART, "--yes", &world, &ledger]).run().expect(0);
    let record = folder.read("record.json");
    assert!(record.contains("secrets.TWILIO_API_SECRET") && record.contains("fast:"), "{record}");
    assert!(!record.contains("slow:"), "{record}");
}

#[test]
fn a_record_of_schema_2_is_read_compared_and_left_as_it_is() {
    let folder = Folder::new();
    for (name, text) in OF_SCHEMA_2 {
        folder.write(name, text);
    }
    let code = lockstep::builtin::source("twilio-verify").expect("it ships");
    let code = serde_json::to_string(code).expect("JSON");
    folder.write("world.json", &folder.read("world.json").replace("\"builtin:twilio-verify\"", &code));
    let run = |command: &str, secret: &str, args: &[&str]| {
        let [manifest, ledger, world] = OF_SCHEMA_2.map(|(name, _)| folder.text_path(name));
        let (ledger, world) = (format!("--ledger=file:{ledger}"), format!("--twin={world}"));
        let mut env = crate::support::env();
        env.insert("TWILIO_SENDER_SECRET".into(), secret.into());
        env.insert("HOOK_PASSWORD".into(), "correct-horse-battery".into());
        program(&[command, &manifest, &ledger, &world]).args(args).envs(&env).run()
    };
    let secret = "b81e66TwilioSenderSecret0123456z";
    let same = run("plan", secret, &["--exit-code"]).expect(0);
    assert!(same.out.contains("9 unchanged") && !same.out.contains("seal"), "{}", same.out);
    run("drift", secret, &[]).expect(0);
    run("apply", secret, &["--yes"]).expect(0);
    assert_eq!(folder.read("record.json"), OF_SCHEMA_2[1].1, "what is as wanted is not written");
    let other = run("plan", "c92f77TwilioSenderSecret6543210y", &["--exit-code"]).expect(2);
    assert!(other.out.contains("secrets.TWILIO_API_SECRET"), "{}", other.out);
}

#[test]
fn a_ledger_in_a_file_leaves_the_tenant_without_one() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let ledger = format!("file:{}", folder.text_path("ledger"));
    let args = ["--ledger", &ledger];
    site.run("plan", &args).expect(0);
    assert!(!folder.path("ledger").exists(), "a plan writes nothing, no file either");
    site.run("apply", &["--yes", "--ledger", &ledger]).expect(0);
    let record: serde_json::Value = serde_json::from_str(&folder.read("ledger")).expect("JSON");
    assert_eq!(record["stack"], "acme-login");
    let names: Vec<_> = site.actions().iter().map(|action| action["name"].clone()).collect();
    assert_eq!(names, ["Lockstep phone (acme-login)"]);

    let (mark, before) = (twin.mark(), folder.read("ledger"));
    site.run("apply", &["--yes", "--ledger", &ledger]).expect(0);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    assert_eq!(folder.read("ledger"), before);
    site.run("drift", &args).expect(0);
    assert!(site.run("show", &args).expect(0).out.contains("ledger of stack acme-login"));

    // Another tenant's ledger file is a mistake that stops the run.
    let mark = twin.mark();
    let other = Site::new(&twin, 2).run("apply", &["--yes", "--ledger", &ledger]).expect(1);
    assert!(other.out.contains("ledger") || other.err.contains("ledger"), "{} {}", other.out, other.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());

    site.run("destroy", &["--yes", "--ledger", &ledger]).expect(0);
    assert!(!folder.path("ledger").exists(), "the record goes with what it records");
    assert_eq!(site.verify_services().len(), 0);
}

/// If the record is unproven, as without its seals, each object has to be named, and correctly.
#[test]
fn what_nothing_proves_goes_by_delete_and_a_wrong_name_stops_everything() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    site.forget_seals();
    let mark = twin.mark();
    let refused = site.run("destroy", &["--yes"]).expect(1);
    let told = refused.out + &refused.err;
    let id = |rest: &str| rest.split([';', ' ', '\n']).next().unwrap_or_default().to_owned();
    let ids: Vec<String> = told.split("add --delete ").skip(1).map(id).collect();
    let sid = ids.iter().find(|id| id.starts_with("VA")).expect("the service is named");
    for command in ["plan", "destroy"] {
        let wrong = ["--delete", sid, "--delete", "VA00000000000000000000000000000042"];
        let args = if command == "plan" { &["--destroy"][..] } else { &["--yes"] };
        let run = site.run(command, &[args, &wrong].concat()).expect(64);
        assert!(
            run.err.contains("--delete VA00000000000000000000000000000042: no object with that id"),
            "{}",
            run.err
        );
        assert!(run.err.contains(&format!("{sid} (verify_service: ")), "{}", run.err);
    }
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    let named: Vec<&str> = ids.iter().flat_map(|id| ["--delete", id]).collect();
    site.run("destroy", &[&["--yes"][..], &named].concat()).expect(0);
    assert_eq!(site.verify_services().len(), 0);
    assert_eq!(site.actions().len(), 0);
}

#[test]
fn a_damaged_ledger_file_stops_everything() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let ledger = format!("file:{}", folder.write("ledger", "{ \"schema\": "));
    for (command, args) in [("plan", &[][..]), ("apply", &["--yes"]), ("destroy", &["--yes"])] {
        let run = site.lockstep(command, super::lab::QUICKSTART, args).args(&["--ledger", &ledger]).run();
        let run = run.expect(1);
        assert!(
            run.out.contains("ledger file") || run.err.contains("ledger file"),
            "{} {}",
            run.out,
            run.err
        );
    }
    assert_eq!(twin.writes_since(0), Vec::<String>::new());
    assert_eq!(folder.read("ledger"), "{ \"schema\": ");
}

/// `show`, too, reports a ledger file that cannot be used.
#[test]
fn show_names_a_damaged_ledger_file() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let ledger = format!("file:{}", folder.write("ledger", "nothing of the kind"));
    let run = Site::new(&twin, 1).run("show", &["--ledger", &ledger]);
    assert!(run.out.contains("cannot be used"), "{} {}", run.out, run.err);
}

#[test]
fn no_ledger_is_said_in_words() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let applied = site.run("apply", &["--yes", "--ledger", "none"]).expect(0);
    assert!(applied.err.contains("no ledger is kept"), "{}", applied.err);
    assert!(applied.err.contains("destroy deletes nothing"), "{}", applied.err);
    let names: Vec<_> = site.actions().iter().map(|action| action["name"].clone()).collect();
    assert_eq!(names, ["Lockstep phone (acme-login)"]);
    // The program must not guess what it cannot know: whatever the result, it makes no second service.
    let _again = site.run("apply", &["--yes", "--ledger", "none"]);
    assert_eq!(site.verify_services().len(), 1);
    let _gone = site.run("destroy", &["--yes", "--ledger", "none"]);
    assert_eq!(site.verify_services().len(), 1, "without a record nothing is known to be ours");
    assert_eq!(site.actions().len(), 1);
}

/// A stack with its record in a file, behind a proxy that writes to the file once, when a request is the one.
struct Beside {
    folder: Folder,
    twin: Twin,
    site: Site,
    args: [String; 2],
    changed: String,
    armed: Arc<AtomicBool>,
    _proxy: Proxy,
}

/// `is_it` gets the request and whether the lease has been asked for; `write` gets the file.
fn beside(
    is_it: impl Fn(&Asked, bool) -> bool + Send + Sync + 'static,
    write: fn(&std::path::Path),
) -> Beside {
    let (folder, twin) = (Folder::new(), Twin::start());
    let (armed, leased) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let (arm, path) = (armed.clone(), folder.path("ledger"));
    let proxy = Proxy::start(&twin, move |asked, forward| {
        if arm.load(Ordering::SeqCst) {
            let leases = asked.is("POST", "serverless.", "/v1/Services");
            let leased = leased.fetch_or(leases, Ordering::SeqCst) || leases;
            if is_it(asked, leased) && arm.swap(false, Ordering::SeqCst) {
                write(&path);
            }
        }
        forward()
    });
    let site = Site::new(&twin, 1).through(&proxy);
    let args = ["--ledger".to_owned(), format!("file:{}", folder.text_path("ledger"))];
    let text = std::fs::read_to_string(super::lab::QUICKSTART).expect("the quickstart");
    let changed = folder.write("changed.yaml", &text.replace("code_length: 6", "code_length: 7"));
    Beside { folder, twin, site, args, changed, armed, _proxy: proxy }
}

impl Beside {
    fn run(&self, command: &str, args: &[&str]) -> Run {
        let ledger = self.args.each_ref().map(String::as_str);
        self.site.lockstep(command, &self.changed, args).args(&ledger).run()
    }
}

fn add_a_line(path: &std::path::Path) {
    let text = std::fs::read_to_string(path).expect("a record");
    std::fs::write(path, text + "\n").expect("written");
}

#[test]
fn a_ledger_file_that_moves_before_the_intent_is_planned_over_anew() {
    let lab = beside(|asked, _| asked.is("POST", "serverless.", "/v1/Services"), add_a_line);
    lab.site.run("apply", &["--yes", &lab.args[0], &lab.args[1]]).expect(0);
    lab.armed.store(true, Ordering::SeqCst);
    let run = lab.run("apply", &["--yes"]).expect(0);
    assert!(run.err.contains("another run changed the record in the meantime"), "{}", run.err);
    lab.run("plan", &["--exit-code"]).expect(0);
}

#[test]
fn a_saved_plan_is_stale_where_the_ledger_file_moves_before_the_intent() {
    // What hangs on the record is read after it: so the file moves between the last read of it and the write.
    let service = |asked: &Asked, leased| leased && asked.path.starts_with("/v2/Services/VA");
    let lab = beside(service, add_a_line);
    lab.site.run("apply", &["--yes", &lab.args[0], &lab.args[1]]).expect(0);
    let plan = lab.folder.text_path("plan");
    lab.run("plan", &["--out", &plan]).expect(0);
    lab.armed.store(true, Ordering::SeqCst);
    let (mark, before) = (lab.twin.mark(), lab.folder.read("ledger"));
    let run = lab.run("apply", &["--yes", "--plan", &plan]).expect(73);
    let last = run.err.lines().last().unwrap_or_default();
    let expected = "error[LS0982]: the saved plan is stale, nothing was changed; plan again. Moved since it was saved: the record";
    assert!(last.starts_with(expected), "{}", run.err);
    assert_eq!(lab.folder.read("ledger"), before + "\n");
    let writes = lab.twin.writes_since(mark);
    assert!(writes.iter().all(|line| line.contains("serverless")), "the lease alone: {writes:?}");
}

#[test]
fn a_ledger_file_that_moves_before_the_result_stays_and_nothing_is_lost() {
    let lab = beside(
        |asked, leased| leased && asked.is("POST", "verify.", "/v2/Services"),
        |path| std::fs::write(path, "an older copy").expect("written"),
    );
    lab.armed.store(true, Ordering::SeqCst);
    let run = lab.run("apply", &["--yes"]).expect(1);
    let told = format!(
        "error[LS0932]: the steps ran, but somebody else changed ledger file {}",
        lab.folder.text_path("ledger")
    );
    assert!(run.err.contains(&told), "{}", run.err);
    assert_eq!(lab.folder.read("ledger"), "an older copy");
    let (_, beside) = run.err.split_once("the record of this run is ").expect("told");
    let (beside, _) = beside.split_once(": put it in that place").expect("and what to do with it");
    std::fs::rename(beside, lab.folder.path("ledger")).expect("as it says");
    lab.run("plan", &["--exit-code"]).expect(0);
    assert_eq!(lab.site.verify_services().len(), 1);
}

//! Tests of `--ledger file:PATH` and `--ledger none`.

use super::lab::{Folder, Site, Twin, lockstep as program};

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
            run.err.contains("--delete VA00000000000000000000000000000042: nothing of that id"),
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

//! Tests of `plan --out` and `apply --plan`: the reviewed plan is the applied plan.

use serde_json::json;

use super::lab::{Folder, QUICKSTART, Site, Twin, lockstep};

#[test]
fn a_saved_plan_is_applied_once_and_is_stale_after_that() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file]).expect(0);
    let applied = site.run("apply", &["--yes", "--plan", &file]).expect(0);
    assert!(applied.out.contains("Done: 9 steps applied."), "{}", applied.out);
    site.expect_one_stack();
    let mark = twin.mark();
    let again = site.run("apply", &["--yes", "--plan", &file]).expect(73);
    assert!(again.err.contains("stale"), "{}", again.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
}

#[test]
fn a_saved_plan_is_stale_when_the_tenant_moved() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file, "--output", "json"]).expect(0);
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": true }));
    let mark = twin.mark();
    let stale = site.run("apply", &["--yes", "--plan", &file]).expect(73);
    let last = stale.err.lines().last().unwrap_or_default();
    let expected =
        "error[LS0982]: the saved plan is stale, nothing was changed; plan again. Moved since it was saved: ";
    assert!(last.starts_with(expected) && last.contains("mfa_factor.otp"), "{}", stale.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    site.run("plan", &["--out", &file]).expect(0);
    site.run("apply", &["--yes", "--plan", &file]).expect(0);
    site.expect_one_stack();
}

/// A plan, a record and a world, each given in place of the manifest, are recognised.
#[test]
fn a_plan_a_record_and_a_world_are_told_from_a_manifest() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let [plan, record, world] = ["s.plan", "record", "world.json"].map(|name| folder.text_path(name));
    let printed = site.run("plan", &["--out", &plan, "--output", "json"]).expect(0);
    let printed = folder.write("printed.json", &printed.out);
    let ledger = format!("file:{record}");
    site.run("apply", &["--yes", "--ledger", &ledger]).expect(0);
    lockstep(&["plan", QUICKSTART, &format!("--twin={world}")]).run().expect(0);
    let rows = [
        (&plan, "a saved plan", "`lockstep apply MANIFEST --plan FILE`"),
        (&record, "the record of a stack", "`--ledger file:FILE`"),
        (&world, "the world of a twin", "`--twin=FILE`"),
        (&printed, "what `--output json` printed", "`plan --out FILE`"),
    ];
    for (file, what, help) in rows {
        for command in ["validate", "plan", "apply", "drift", "destroy", "show"] {
            let run = lockstep(&[command, file]).run().expect(1);
            assert!(
                run.err.contains(&format!("{file} is {what}, and not a manifest")),
                "{command}: {}",
                run.err
            );
            assert!(run.err.contains(help), "{command}: {}", run.err);
        }
    }
}

/// With JSON output, a stale plan still gives a document on stdout.
#[test]
fn a_stale_plan_answers_in_json() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file]).expect(0);
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": true }));
    let stale = site.run("apply", &["--yes", "--plan", &file, "--output", "json"]).expect(73);
    assert_eq!(stale.json()["apply"]["outcome"]["ended"], "stale");
}

#[test]
fn a_plan_for_one_tenant_is_not_for_another() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let file = folder.text_path("plan");
    Site::new(&twin, 1).run("plan", &["--out", &file]).expect(0);
    let mark = twin.mark();
    let other = Site::new(&twin, 2).run("apply", &["--yes", "--plan", &file]).expect(73);
    assert!(other.err.contains("the saved plan is for the tenant"), "{}", other.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
}

/// Tenant, account and stack of a plan are checked first, without any request.
#[test]
fn a_plan_of_another_tenant_account_or_stack_is_refused_by_its_name_before_any_request() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file]).expect(0);
    let saved: serde_json::Value = serde_json::from_str(&folder.read("plan")).expect("JSON");
    for (what, name) in [
        ("tenant", "acme-prod.eu.auth0.com"),
        ("account", "AC00000000000000000000000000000099"),
        ("stack", "acme-other"),
        ("stack", "x\u{1b}[31m\n::error::y"),
    ] {
        let mut edited = saved.clone();
        edited[what] = json!(name);
        let file = folder.write("edited", &edited.to_string());
        let mark = twin.mark();
        let run = site.run("apply", &["--yes", "--plan", &file]).expect(73);
        assert!(run.err.contains(&format!("the saved plan is for the {what} ")), "{}", run.err);
        if !name.contains('\n') {
            assert!(run.err.contains(name), "{}", run.err);
        }
        assert!(
            !run.err.contains('\u{1b}') && !run.err.lines().any(|line| line.starts_with("::")),
            "{}",
            run.err
        );
        assert_eq!(twin.mark(), mark, "{what}: something was asked");
    }
    site.run("apply", &["--yes", "--plan", &file]).expect(0);
}

#[test]
fn a_file_that_is_no_plan_is_refused_before_any_request() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    for text in ["", "{}", "[1, 2]", "{\"format\": 99}", "not json"] {
        let file = folder.write("plan", text);
        let run = site.run("apply", &["--yes", "--plan", &file]).expect(1);
        assert!(run.err.contains("plan"), "{text:?}: {}", run.err);
    }
    site.run("apply", &["--yes", "--plan", &folder.text_path("absent")]).expect(1);
    assert_eq!(twin.log().len(), 0);
}

/// An edited plan file could say one thing and do another.
#[test]
fn an_edited_plan_is_not_trusted() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file]).expect(0);
    let edited = folder.read("plan").replace("Lockstep phone (acme-login)", "Lockstep phone (somebody)");
    folder.write("plan", &edited);
    let run = site.run("apply", &["--yes", "--plan", &file]);
    let names: Vec<_> = site.actions().iter().map(|action| action["name"].clone()).collect();
    assert!(!names.contains(&json!("Lockstep phone (somebody)")), "{names:?}");
    assert!(matches!(run.code, Some(0 | 73)), "{:?} {}", run.code, run.err);
}

/// Confirming a plan that is recorded does not confirm one that is not recorded.
#[test]
fn a_plan_with_a_record_is_not_for_a_run_without_one() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let (file, ledger) = (folder.text_path("plan"), format!("file:{}", folder.text_path("ledger.json")));
    site.run("plan", &["--out", &file, "--ledger", "tenant"]).expect(0);
    let mark = twin.mark();
    for other in ["none", &ledger] {
        let stale = site.run("apply", &["--yes", "--plan", &file, "--ledger", other]).expect(73);
        assert!(stale.err.contains("stale"), "{other}: {}", stale.err);
    }
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    site.run("apply", &["--yes", "--plan", &file, "--ledger", "tenant"]).expect(0);
}

/// Whether the plan can be saved is known before the first request, and the look leaves nothing behind.
#[test]
fn a_plan_that_cannot_be_saved_is_not_made() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest = folder.write("lockstep.yaml", &text);
    let world = format!("--twin={}", folder.text_path("nowhere/world.json"));
    for out in ["nowhere/plan", "lockstep.yaml/plan"] {
        let args = ["--out", &folder.text_path(out)];
        let run = site.lockstep("plan", &manifest, &args).run().expect(64);
        assert!(run.err.contains(&format!("--out {}: ", folder.text_path(out))), "{}", run.err);
        assert!(run.err.contains("help: name a "), "{}", run.err);
        assert_eq!(run.out, "");
    }
    assert_eq!(twin.log().len(), 0, "before any request");
    // The world of a twin in the process is saved at the end, too.
    let run = lockstep(&["plan", &manifest, &world]).run().expect(64);
    assert!(run.err.contains("--twin "), "{}", run.err);
    let names = || std::fs::read_dir(folder.path("")).expect("a folder").count();
    assert_eq!(names(), 1);
    folder.write("plan", "an older plan");
    let refused = site.lockstep("plan", &manifest, &["--out", &folder.text_path("plan"), "--explain=99"]);
    refused.run().expect(64);
    assert_eq!((folder.read("plan").as_str(), names()), ("an older plan", 2));
}

/// A plan replaces only a regular file, and never one that the command reads.
#[test]
fn a_plan_replaces_neither_what_is_no_file_nor_what_is_read() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest = folder.write("lockstep.yaml", &text);
    std::fs::create_dir(folder.path("folder")).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(folder.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    for (link, to) in [("to-pipe", "pipe"), ("to-nothing", "nothing"), ("to-manifest", "lockstep.yaml")] {
        symlink(to, folder.path(link)).expect("a link");
    }
    let plan = |args: &[&str]| site.lockstep("plan", &manifest, args).run();
    for name in ["folder", "pipe", "to-pipe", "to-nothing"] {
        let run = plan(&["--out", &folder.text_path(name)]).expect(64);
        assert!(run.err.contains("not a regular file") && run.err.contains("help:"), "{name}: {}", run.err);
    }
    for name in ["lockstep.yaml", "to-manifest"] {
        let run = plan(&["--out", &folder.text_path(name)]).expect(64);
        assert!(run.err.contains("is the manifest") && run.err.contains("help:"), "{name}: {}", run.err);
    }
    let ledger = folder.write("ledger.json", "{}");
    plan(&["--ledger", &format!("file:{ledger}"), "--out", &ledger]).expect(64);
    assert_eq!(twin.log().len(), 0, "before any request");
    let file = folder.text_path("plan");
    plan(&["--out", &file]).expect(0);
    plan(&["--out", &file]).expect(0);
    let saved = folder.read("plan");
    let args = ["--yes", "--plan", &file, "--audit", &file];
    let run = site.lockstep("apply", &manifest, &args).run().expect(64);
    assert!(run.err.contains("is the saved plan"), "{}", run.err);
    assert_eq!((folder.read("plan"), folder.read("lockstep.yaml")), (saved, text));
    let kind = |name: &str| std::fs::symlink_metadata(folder.path(name)).expect("there").file_type();
    assert!(kind("pipe").is_fifo() && kind("to-pipe").is_symlink() && kind("to-nothing").is_symlink());
}

#[test]
fn a_file_that_is_no_plan_is_not_repeated() {
    let folder = Folder::new();
    for (at, text) in [
        "\"hunter2-hunter2\"",
        "{\"format\": \"hunter2-hunter2\"}",
        "TOKEN=hunter2-hunter2",
        "{\"hunter2-hunter2\": 1}",
    ]
    .iter()
    .enumerate()
    {
        let file = folder.write(&format!("{at}.plan"), text);
        let run = lockstep(&["apply", QUICKSTART, "--twin", "--yes", "--plan", &file]).run().expect(1);
        assert!(run.err.contains("cannot be read"), "{}", run.err);
        assert!(!run.err.contains("hunter2") && !run.out.contains("hunter2"), "{}{}", run.out, run.err);
    }
}

/// Existing objects are named before they are taken over, and long addresses do not shift the columns.
#[test]
fn a_plan_says_what_it_takes_over_and_columns_hold() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let streams = "log_streams:\n  http:\n    a-name-that-is-longer-than-most: { endpoint: \"https://siem.example/auth0\" }\n    siem: { endpoint: \"https://siem.example/two\" }\n";
    let manifest = folder.write("two.yaml", &format!("{text}\n{streams}"));
    let stream = |name: &str, endpoint: &str| {
        let sink = json!({ "httpEndpoint": endpoint, "httpContentFormat": "JSONARRAY", "httpContentType": "application/json" });
        let body = json!({ "type": "http", "name": name, "sink": sink });
        let (status, made) = site.auth0("POST", "/api/v2/log-streams", &body);
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().expect("an id").to_owned()
    };
    let name = "Lockstep a-name-that-is-longer-than-most (acme-login)";
    let same = stream(name, "https://siem.example/auth0");
    let plan = site.lockstep("plan", &manifest, &[]).run().expect(0);
    let heads: Vec<&str> = plan.out.lines().take_while(|line| *line != "Steps, in order").collect();
    let adopted = heads.iter().find(|line| line.starts_with("  » log_stream.a-name")).expect("adopted");
    assert!(
        adopted.ends_with(&format!("adopt: takes over {name:?}  id {same}; nothing of it changes")),
        "{adopted}"
    );
    // The verbs stand in one column.
    let verbs = [" create", " update", " adopt"];
    let heads =
        heads.iter().filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.contains('_'));
    let columns: Vec<usize> = heads
        .filter_map(|line| {
            verbs
                .iter()
                .filter_map(|verb| line.find(verb))
                .min()
                .map(|at| line[..at].trim_end().len().max(at))
        })
        .collect();
    assert!(
        columns.len() > 5 && columns.windows(2).all(|two| two[0].abs_diff(two[1]) <= 1),
        "{columns:?}\n{}",
        plan.out
    );
    let shown = site.lockstep("plan", &manifest, &["--output", "json"]).run().expect(0).json();
    let resources = shown["plan"]["resources"].as_array().expect("a list");
    let one = resources
        .iter()
        .find(|one| one["address"] == "log_stream.a-name-that-is-longer-than-most")
        .expect("there");
    assert_eq!((&one["taken_over"], &one["name"]), (&json!(true), &json!(name)));

    // An object that is changed when it is taken over says how many fields change.
    let body = json!({ "filters": [{ "type": "category", "name": "other" }] });
    site.auth0("PATCH", &format!("/api/v2/log-streams/{same}"), &body);
    let narrowed = text.clone() + &streams.replace("auth0\" }", "auth0\", filters: [other, actions] }");
    let plan = site.lockstep("plan", &folder.write("narrowed.yaml", &narrowed), &[]).run().expect(0);
    assert!(
        plan.out.contains(&format!("update: takes over {name:?}  id {same}; 1 field of it changes")),
        "{}",
        plan.out
    );
}

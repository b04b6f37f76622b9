//! Tests of the streams: stdout has the result, stderr the messages to the user.

use serde_json::Value as Json;

use super::lab::{Folder, QUICKSTART, Site, Twin, lockstep};

#[test]
fn json_is_all_there_is_on_stdout() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let json = |run: super::lab::Run, name: &str| -> Json {
        let document = run.json();
        assert_eq!(document["format"], 1);
        assert!(document[name].is_object(), "{document}");
        let keys: Vec<&String> = document.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["format", name, "diagnostics"]);
        document[name].clone()
    };
    let as_json = ["--output", "json"];
    let before = json(site.run("plan", &as_json).expect(0), "plan");
    assert_eq!(before["steps"].as_array().map(Vec::len), Some(9));
    assert_eq!(before["tenant"], "tenant-1.eu.auth0.com");
    let applied = site.run("apply", &["--yes", "--output", "json"]).expect(0);
    assert!(applied.err.contains("[1/9]"), "progress goes to stderr: {}", applied.err);
    let applied = json(applied, "apply");
    assert_eq!(applied["outcome"]["ended"], "done");
    assert_eq!(applied["outcome"]["done"].as_array().map(Vec::len), Some(9));
    assert_eq!(applied["plan"]["steps"], before["steps"], "what was planned is what was applied");
    let again = json(site.run("apply", &["--yes", "--output", "json"]).expect(0), "apply");
    assert_eq!(again["plan"]["steps"], serde_json::json!([]));
    let drift = json(site.run("drift", &as_json).expect(0), "drift");
    assert_eq!(drift["verdict"], "clean");
    let show = json(site.run("show", &as_json).expect(0), "show");
    assert_eq!(show["ledger"]["stack"], "acme-login");
    assert_eq!(show["lease"], Json::Null);
    let gone = json(site.run("destroy", &["--yes", "--output", "json"]).expect(0), "apply");
    assert_eq!(gone["plan"]["destroy"], true);
}

/// The account of the connection is no secret, so a document for programs must contain it unchanged.
#[test]
fn ids_in_json_are_whole() {
    let twin = Twin::start();
    let mut site = Site::new(&twin, 1);
    // Test accounts and keys are often all zeros, so the sender's key, a secret, looks like the account.
    let digits = "00000000000000000000000000000001";
    site.env.insert("TWILIO_ACCOUNT_SID".into(), format!("AC{digits}"));
    site.env.insert("TWILIO_API_KEY".into(), format!("SK{digits}"));
    site.env.insert("TWILIO_SENDER_KEY".into(), "SK000000000000000000000000000000ab".into());
    let plan = site.run("plan", &["--output", "json"]).expect(0).json();
    assert_eq!(plan["plan"]["account"], format!("AC{digits}"));
}

#[test]
fn nobody_there_to_ask_means_no() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    for args in [&["--output", "text"][..], &["--output", "json"]] {
        let run = site.run("apply", args).expect(1);
        assert!(run.err.contains("--yes") && run.err.contains("nothing was changed"), "{}", run.err);
    }
    assert_eq!(twin.writes_since(0), Vec::<String>::new());
    site.run("apply", &["--yes"]).expect(0);
    let mark = twin.mark();
    site.run("destroy", &[]).expect(1);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
}

/// A refusal in JSON is a document too.
#[test]
fn a_refused_apply_still_answers_in_json() {
    let run = lockstep(&["apply", QUICKSTART, "--twin", "--output", "json"]).run().expect(1);
    assert!(run.json()["apply"]["plan"].is_object());
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let plan = |env: &[(&str, &str)], args: &[&str]| {
        let mut program = lockstep(&["plan", QUICKSTART, "--twin"]).args(args);
        for (name, value) in env {
            program = program.env(name, value);
        }
        program.run().expect(0)
    };
    let escape = '\u{1b}';
    let plain = plan(&[], &[]);
    assert!(!plain.out.contains(escape) && !plain.err.contains(escape), "no terminal, no colour");
    let colourful = plan(&[], &["--color", "always"]);
    assert!(colourful.out.contains("\u{1b}[32m"), "{}", colourful.out);
    let stripped = strip_colour(&colourful.out);
    assert_eq!(stripped, plain.out, "colour adds nothing but colour");
    assert!(!plan(&[("NO_COLOR", "1")], &[]).out.contains(escape));
    assert!(!plan(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], &["--color", "never"]).out.contains(escape));
    assert!(
        plan(&[("NO_COLOR", "1")], &["--color", "always"]).out.contains(escape),
        "what was asked for wins"
    );
    let json = plan(&[], &["--color", "always", "--output", "json"]);
    assert!(!json.out.contains(escape), "JSON has no colour");
    // The option is global, so it may stand before the command as well.
    let before = lockstep(&["--color", "always", "plan", QUICKSTART, "--twin"]).run().expect(0);
    assert_eq!(before.out, colourful.out);
}

fn strip_colour(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("\u{1b}[");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let quick: &[&[&str]] =
        &[&["--help"], &["--version"], &["apply", "--help"], &["plan", QUICKSTART, "--twin"]];
    for args in quick {
        let run = lockstep(args).run_with_closed_stdout();
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.err);
        assert!(!run.err.contains("panic"), "{args:?}: {}", run.err);
    }
    let changes = lockstep(&["plan", QUICKSTART, "--twin", "--exit-code"]).run_with_closed_stdout();
    assert_eq!(changes.code, Some(2), "{}", changes.err);
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let run = site.lockstep("apply", QUICKSTART, &["--yes"]).run_with_closed_stdout().expect(0);
    assert!(!run.err.contains("panic"), "{}", run.err);
    site.expect_one_stack();
}

#[test]
fn the_twin_in_a_file_keeps_its_world() {
    let folder = Folder::new();
    let twin = format!("--twin={}", folder.text_path("world"));
    let run = |args: &[&str]| lockstep(args).args(&[QUICKSTART, &twin]).run();
    run(&["plan", "--exit-code"]).expect(2);
    let applied = run(&["apply", "--yes"]).expect(0);
    assert!(applied.out.contains("Done: 9 steps applied."), "{}", applied.out);
    let again = run(&["apply", "--yes"]).expect(0);
    assert!(again.out.contains("No changes"), "what was applied a moment ago is there: {}", again.out);
    let shown = run(&["show"]).expect(0);
    assert!(shown.out.contains("ledger of stack acme-login"), "{}", shown.out);
    run(&["drift"]).expect(0);
    run(&["destroy", "--yes"]).expect(0);
    assert!(run(&["show"]).expect(0).out.contains("ledger: none"));
    run(&["plan", "--exit-code"]).expect(2);
    // Without a file, every run has a world of its own.
    lockstep(&["plan", QUICKSTART, "--twin", "--exit-code"]).run().expect(2);
}

#[test]
fn a_damaged_world_file_is_named() {
    let folder = Folder::new();
    let path = folder.write("world", "{ not json");
    let run = lockstep(&["plan", QUICKSTART, &format!("--twin={path}")]).run().expect(1);
    assert!(run.err.contains("world file") && run.err.contains("not JSON"), "{}", run.err);
    assert_eq!(folder.read("world"), "{ not json", "it stays for whoever wants to mend it");
}

#[test]
fn half_made_up_connections_are_refused() {
    let run = lockstep(&["plan", QUICKSTART, "--twin"]).env("AUTH0_DOMAIN", "acme.eu.auth0.com").run();
    let run = run.expect(64);
    assert!(run.err.contains("AUTH0_DOMAIN") && run.err.contains("TWILIO_API_SECRET"), "{}", run.err);
}

/// One line for each write, as it happens: steps with their number, and also record and lease.
#[test]
fn the_audit_file_has_a_line_for_every_write() {
    let folder = Folder::new();
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let audit = folder.text_path("audit");
    site.run("apply", &["--yes", "--audit", &audit]).expect(0);
    let writes = twin.writes_since(0);
    let lines = || -> Vec<Json> {
        folder.read("audit").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let first = lines();
    assert_eq!(first.len(), writes.len(), "{writes:#?}\n{first:#?}");
    for (line, write) in first.iter().zip(&writes) {
        let text = line.to_string();
        let path = write.split(' ').nth(2).and_then(|path| path.split('?').next()).unwrap_or_default();
        assert!(text.contains(path), "{write}: {text}");
        assert_eq!(line["tenant"], "tenant-1.eu.auth0.com");
        assert!(line["by"].as_str().is_some_and(|by| by.starts_with("tester@tests")), "{line}");
        assert!(line["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
    }
    site.run("apply", &["--yes", "--audit", &audit]).expect(0);
    assert_eq!(lines().len(), first.len(), "nothing to do is nothing to write down");
    site.run("destroy", &["--yes", "--audit", &audit]).expect(0);
    assert!(lines().len() > first.len(), "it is added to");
}

/// A lost result is a failure. A limit on the size of files simulates a full disk.
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let limited = |args: &[&str]| {
        let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\" > result";
        let run = std::process::Command::new("/bin/sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_lockstep")])
            .args(args)
            .env_clear()
            .envs(&site.env)
            .current_dir(folder.path("."))
            .stdin(std::process::Stdio::null())
            .output()
            .expect("a shell");
        let err = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("the result cannot be written to stdout: "), "{args:?}: {err}");
        assert!(err.contains("help: "), "{args:?}: {err}");
        assert_eq!(folder.read("result"), "");
        err
    };
    let url = twin.url();
    limited(&["validate", QUICKSTART]);
    for command in ["plan", "drift", "show"] {
        for format in ["text", "json"] {
            limited(&[command, QUICKSTART, "--via", &url, "--output", format]);
        }
    }
    let err = limited(&["apply", QUICKSTART, "--via", &url, "--yes"]);
    assert!(err.contains("nothing was changed"), "{err}");
    assert!(site.actions().is_empty(), "a plan that could not be shown is not applied");
}

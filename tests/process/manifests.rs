//! Tests that all faults of a manifest are reported at once, each with its place.

use std::collections::BTreeMap;

use super::lab::{Folder, QUICKSTART, Site, Twin, lockstep};

#[test]
fn a_missing_manifest_is_a_failure_and_is_named() {
    let folder = Folder::new();
    for args in [&["plan"][..], &["apply", "--yes"], &["drift"], &["validate"], &["show"]] {
        let run = lockstep(args).folder(&folder).run().expect(1);
        assert!(run.err.contains("lockstep.yaml"), "{args:?}: {}", run.err);
        assert_eq!(run.out, "");
    }
    let run = lockstep(&["plan", "no-such.yaml"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("no-such.yaml") && run.err.contains("no such file"), "{}", run.err);
}

#[test]
fn every_missing_value_is_reported_with_line_and_column() {
    let run = lockstep(&["plan", QUICKSTART]).run().expect(1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        let Some(at) = line.find("${env.").filter(|_| !line.trim_start().starts_with('#')) else { continue };
        count += 1;
        let place = format!("{QUICKSTART}:{}:{}", index + 1, at + 1);
        assert!(run.err.contains(&place), "{place} is missing:\n{}", run.err);
    }
    assert_eq!(count, 8);
    assert!(run.err.contains("8 errors in the manifest"), "{}", run.err);
    assert_eq!(run.out, "");
}

#[test]
fn every_fault_of_a_text_is_reported_with_line_and_column() {
    let folder = Folder::new();
    folder.write(
        "lockstep.yaml",
        "lockstep: v1\nstack: acme\nverify_service:\n  friendly_name: Acme\n  code_length: 60\n  colour: red\nmfa:\n  factors:\n    phone: perhaps\n",
    );
    let run = lockstep(&["validate"]).folder(&folder).run().expect(1);
    for place in ["lockstep.yaml:5:16", "lockstep.yaml:6:3", "lockstep.yaml:9:12"] {
        assert!(run.err.contains(place), "{place} is missing:\n{}", run.err);
    }
    assert_eq!(run.out, "");
}

#[test]
fn validate_needs_no_values_and_sends_nothing() {
    let run = lockstep(&["validate", QUICKSTART]).run().expect(0);
    assert!(
        run.out.lines().next().is_some_and(|line| line.ends_with("quickstart.yaml: valid")),
        "{}",
        run.out
    );
    assert!(run.out.contains("not checked, because the value is not known here"), "{}", run.out);
    assert_eq!(run.err, "");
    assert_eq!(lockstep(&["validate", "-f", QUICKSTART]).run().expect(0).out, run.out);
}

/// A value that Auth0 would refuse in the middle of an apply is refused before the first request.
#[test]
fn a_secret_that_is_too_long_is_refused_by_plan_and_validate_before_any_request() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let secrets = |more: &str| text.replace("  secrets:\n", &format!("  secrets:\n{more}"));
    let long = folder.write("long.yaml", &secrets("    EXTRA: ${env.LONG}\n"));
    let line = 1 + text.lines().position(|line| line == "  secrets:").expect("secrets") + 1;
    for command in ["validate", "plan", "apply"] {
        let args: &[&str] = if command == "apply" { &["--yes"] } else { &[] };
        let program = match command {
            "validate" => lockstep(&[command, &long]).envs(&site.env),
            _ => site.lockstep(command, &long, args),
        };
        let run = program.env("LONG", &"x".repeat(4097)).run().expect(1);
        let place = format!("long.yaml:{line}:12");
        assert!(run.err.contains("the secret is too long") && run.err.contains(&place), "{}", run.err);
        assert!(run.err.contains("has 4097 characters, Auth0 takes 4096 at most"), "{}", run.err);
        assert!(!run.err.contains("xxxxxxxx") && !run.out.contains("xxxxxxxx"), "{}", run.err);
    }
    let many: String = (0..27).map(|n| format!("    EXTRA_{n}: any\n")).collect();
    let run = site.lockstep("plan", &folder.write("many.yaml", &secrets(&many)), &[]).run().expect(1);
    assert!(run.err.contains("30"), "{}", run.err);
    assert_eq!(twin.mark(), 0, "a request was sent");
    site.lockstep("plan", &long, &[]).env("LONG", &"x".repeat(4096)).run().expect(0);
}

/// The CI of a fork has no secrets, and still needs to show the plan.
#[test]
fn a_plan_without_secrets_needs_the_connection_only() {
    let twin = super::lab::Twin::start();
    let mut site = super::lab::Site::new(&twin, 1);
    site.env.remove("TWILIO_SENDER_SECRET");
    let refused = site.run("plan", &[]).expect(1);
    assert!(refused.err.contains("TWILIO_SENDER_SECRET"), "{}", refused.err);
    let plan = site.run("plan", &["--missing-as-unknown"]).expect(0);
    assert!(plan.out.contains("9 steps"), "{}", plan.out);
}

/// Without any connection, the manifest is still read, and the state of everything it names is unknown.
#[test]
fn a_plan_without_a_connection_is_all_unknown() {
    let bare = |arguments: &[&str]| {
        let mut all = vec!["plan", QUICKSTART];
        all.extend(arguments);
        lockstep(&all).run()
    };
    let plan = bare(&["--missing-as-unknown"]).expect(0);
    for part in [
        "verify_service",
        "secrets.TWILIO_API_SECRET: unknown",
        "auth0.client_secret",
        "No changes in the part",
    ] {
        assert!(plan.out.contains(part), "{part}: {}", plan.out);
    }
    bare(&["--missing-as-unknown", "--exit-code"]).expect(6);
    let json: serde_json::Value =
        serde_json::from_str(&bare(&["--missing-as-unknown", "--output", "json"]).expect(0).out)
            .expect("JSON");
    assert_eq!(json["plan"]["findings"][0]["level"], "not_read", "{json}");
    let folder = Folder::new();
    let saved = bare(&["--missing-as-unknown", "--out", &folder.text_path("plan")]).expect(1);
    for part in ["auth0.domain", "auth0.client_secret", "twilio.account_sid", "help:"] {
        assert!(saved.err.contains(part), "{part}: {}", saved.err);
    }
    assert!(!std::path::Path::new(&folder.text_path("plan")).exists(), "nothing to apply was saved");
}

#[test]
fn a_manifest_that_cannot_be_read_is_said_with_the_next_move() {
    let folder = Folder::new();
    std::fs::write(folder.path("latin.yaml"), b"lockstep: v1\nstack: caf\xe9\n").expect("file");
    std::fs::write(folder.path("wide.yaml"), b"\xff\xfel\0o\0c\0k\0").expect("file");
    std::fs::write(folder.path("huge.yaml"), vec![b'a'; 2 << 20]).expect("file");
    for (file, expected) in [
        ("latin.yaml", "latin.yaml:2:11"),
        ("wide.yaml", "not UTF-8 text (line 1, column 1)"),
        ("huge.yaml", "larger than"),
        ("missing.yaml", "no such file"),
        (".", "not a regular file"),
    ] {
        let run = lockstep(&["validate", file]).folder(&folder).run().expect(1);
        assert!(run.err.contains(expected) && run.err.contains("help: "), "{file}: {}", run.err);
    }
}

#[test]
fn files_outside_the_folder_stay_there() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("inner")).expect("folder");
    folder.write("outside.secret", "hunter2-hunter2");
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    for path in ["../outside.secret".to_owned(), folder.text_path("outside.secret")] {
        let text = text.replace("${env.TWILIO_SENDER_SECRET}", &format!("${{file.{path}}}"));
        folder.write("inner/lockstep.yaml", &text);
        let run = lockstep(&["plan", "inner/lockstep.yaml", "--twin"]).folder(&folder).run().expect(1);
        assert!(!run.err.contains("hunter2"), "{}", run.err);
        assert!(run.err.contains("inner/lockstep.yaml:"), "{}", run.err);
    }
}

#[test]
fn commands_come_from_the_command_line_only() {
    let folder = Folder::new();
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let text = text.replace("${env.TWILIO_SENDER_SECRET}", "${cmd.sender}");
    folder.write("lockstep.yaml", &text);
    let run = lockstep(&["plan", "--twin"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("lockstep.yaml:") && run.err.contains("--allow-cmd"), "{}", run.err);
    let path = std::env::var("PATH").unwrap_or_default();
    let run = lockstep(&["plan", "--twin", "-vvv", "--allow-cmd", "sender=echo hunter2-hunter2"])
        .env("PATH", &path)
        .folder(&folder)
        .run()
        .expect(0);
    assert!(!run.err.contains("hunter2") && !run.out.contains("hunter2"));
    let failing = lockstep(&["plan", "--twin", "--allow-cmd", "sender=echo hunter2-hunter2; exit 3"])
        .env("PATH", &path)
        .folder(&folder)
        .run()
        .expect(1);
    assert!(failing.err.contains("exit status: 3") && !failing.err.contains("hunter2"), "{}", failing.err);
}

/// No API accepts a text nearly as long, and hiding it costs time for each of its bytes.
#[test]
fn a_value_longer_than_any_api_takes_is_refused() {
    let mut env = Site::env_of(1);
    let run = |env: &BTreeMap<String, String>| lockstep(&["validate", QUICKSTART]).envs(env).run();
    env.insert("AUTH0_CLIENT_SECRET".into(), "x9".repeat(16 * 1024));
    let err = run(&env).expect(1).err;
    assert!(err.contains("must have 1 to 4096 characters"), "{err}");
    env.insert("AUTH0_CLIENT_SECRET".into(), "x9".repeat(16 * 1024) + "x");
    let err = run(&env).expect(1).err;
    assert!(err.contains("env.AUTH0_CLIENT_SECRET is too long"), "{err}");
    assert!(err.contains("it has 32769 bytes, at most 32768 are allowed"), "{err}");
}

/// The last line tells no number that is only a bound of the list.
#[test]
fn a_list_of_errors_that_is_cut_is_no_count() {
    let folder = Folder::new();
    let keys: String = (0..1200).map(|at| format!("k{at}: 1\n")).collect();
    folder.write("lockstep.yaml", &format!("lockstep: v1\n{keys}"));
    let run = lockstep(&["validate"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("more problems\n"), "{}", run.err.len());
    assert!(run.err.ends_with("\nmore than 1000 errors in the manifest\n"), "{}", run.err.len());
    let tenants = "tenants:\n  - { name: a, domain: a.eu.auth0.com }\n";
    folder.write("fleet.yaml", &format!("lockstep: v1\nfleet: acme\nbase: lockstep.yaml\n{tenants}"));
    let run = lockstep(&["validate", "fleet.yaml"]).folder(&folder).run().expect(1);
    assert!(
        run.err.ends_with("\nmore than 1000 errors in the manifests of the fleet\n"),
        "{}",
        run.err.len()
    );
}

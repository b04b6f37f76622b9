//! Tests of `--output json`: one document on stdout, whatever the result of the run. `docs/json.md` describes it.

use serde_json::{Value as Json, json};

use super::lab::{Folder, QUICKSTART, Run, Site, lockstep};
use crate::support::quickstart_with_helper;

const COMMANDS: [&str; 6] = ["validate", "plan", "apply", "drift", "destroy", "show"];

/// The single document of a failed run.
#[track_caller]
fn error(run: &Run, exit: i32) -> Json {
    assert_eq!(run.code, Some(exit), "{}", run.err);
    let document = run.json();
    assert_eq!(document["format"], 1, "{document}");
    assert_eq!(document["error"]["exit"], exit, "{document}");
    assert!(document["diagnostics"].is_array(), "{document}");
    document
}

#[test]
fn a_wrong_manifest_is_one_document_with_every_diagnostic() {
    let folder = Folder::new();
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let text = text.replace("code_length: 6", "code_length: 60").replace("channels: [sms", "channels: [text");
    folder.write("m.yaml", &text);
    let line = text.lines().position(|line| line.contains("code_length")).expect("a line") + 1;
    for command in COMMANDS {
        let run = lockstep(&[command, "m.yaml", "--output", "json"]).folder(&folder).run();
        let document = error(&run, 1);
        let found = document["diagnostics"].as_array().expect("a list");
        let own: Vec<&Json> = found.iter().filter(|one| one["code"] != "LS0202").collect();
        assert_eq!(own.len(), 2, "{command}: {document}");
        let expected = json!({
            "code": "LS0104", "severity": "error", "title": "code_length is out of range", "reason": "must be 4 to 10",
            "help": "use a value from 4 to 10", "path": "verify_service.code_length", "file": "m.yaml", "line": line,
            "column": 16, "end": { "line": line, "column": 18 },
        });
        assert_eq!(*own[0], expected, "{command}");
        assert_eq!(own[1]["help"], "did you mean sms?", "{command}");
        let errors = found.len();
        assert_eq!(document["error"]["message"], format!("{errors} errors in the manifest"), "{command}");
    }
}

#[test]
fn a_text_that_is_no_yaml_and_a_file_that_is_none_are_one_document() {
    let folder = Folder::new();
    folder.write("m.yaml", "lockstep: v1\nstack: \"acme\n");
    for command in COMMANDS {
        let document = error(&lockstep(&[command, "m.yaml", "--output=json"]).folder(&folder).run(), 1);
        assert_eq!(document["diagnostics"][0]["reason"], "this quote is not closed", "{command}");
        assert_eq!(document["diagnostics"][0]["line"], 2, "{command}");
        let document = error(&lockstep(&[command, "none.yaml", "--output", "json"]).folder(&folder).run(), 1);
        assert_eq!(document["error"]["message"], "manifest none.yaml: there is no such file", "{command}");
        assert_eq!(document["error"]["help"], "name the manifest, or run where it is", "{command}");
    }
}

#[test]
fn a_wrong_command_line_is_one_document() {
    for command in COMMANDS {
        let run = lockstep(&[command, QUICKSTART, "--no-such-flag", "--output", "json"]).run();
        let document = error(&run, 64);
        let message = document["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.starts_with("unexpected argument '--no-such-flag'"), "{command}: {message}");
        let run = lockstep(&[command, QUICKSTART, "--var", "x", "--output", "json"]).run();
        assert_eq!(error(&run, 64)["error"]["message"], "--var takes NAME=VALUE", "{command}");
        let run = lockstep(&[command, QUICKSTART, "--output", "json"]).env("LOCKSTEP_LOG", "loud").run();
        error(&run, 64);
    }
}

#[test]
fn a_result_is_one_document_with_what_was_said_of_the_manifest() {
    let folder = Folder::new();
    folder.write("m.yaml", &quickstart_with_helper().replace("twilio: 6.2.0", "twilio: ^6.2.0"));
    for command in COMMANDS {
        let mut args = vec![command, "m.yaml", "--output", "json"];
        args.extend((command != "validate").then_some("--twin"));
        args.extend(matches!(command, "apply" | "destroy").then_some("--yes"));
        let run = lockstep(&args).folder(&folder).run();
        let document = run.json();
        let member = if command == "destroy" { "apply" } else { command };
        assert!(document[member].is_object() && document["error"].is_null(), "{command}: {document}");
        assert_eq!(document["diagnostics"][0]["severity"], "warning", "{command}: {document}");
    }
    let valid = lockstep(&["validate", "m.yaml", "--output", "json"]).folder(&folder).run().expect(0).json();
    let of_a_vendor = |name: &&String| name.starts_with("AUTH0_") || name.starts_with("TWILIO_");
    // In the order of a map.
    let env = Site::env_of(1);
    let unknown: Vec<String> = env
        .keys()
        .filter(of_a_vendor)
        .filter(|name| !name.contains("FEEDBACK"))
        .map(|name| format!("env.{name}"))
        .collect();
    let said = &valid["validate"];
    assert_eq!((&said["file"], &said["valid"]), (&json!("m.yaml"), &json!(true)));
    let mut listed: Vec<String> = serde_json::from_value(said["unknown"].clone()).expect("names");
    listed.sort();
    assert_eq!(listed, unknown);
}

#[test]
fn a_gateway_that_is_not_there_fails_at_once_and_is_named() {
    // The port was bound and released again, so nobody listens on it.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let via = format!("http://127.0.0.1:{port}");
    let started = std::time::Instant::now();
    for command in ["plan", "apply", "drift", "destroy", "show"] {
        let program =
            lockstep(&[command, QUICKSTART, "--via", &via, "--output", "json"]).envs(&Site::env_of(1));
        let document = error(&program.run(), 1);
        let message = format!("nothing listens at {via}, the gateway of --via");
        assert_eq!(document["error"]["message"], message, "{command}");
    }
    assert!(started.elapsed().as_secs() < 20, "it waited: {:?}", started.elapsed());
}

#[test]
fn the_file_of_the_twin_without_its_equals_sign_is_told() {
    let folder = Folder::new();
    folder.write("world.json", "{}");
    for args in [
        &["plan", QUICKSTART, "--twin", "wd.json"][..],
        &["plan", "--twin", "wd.json"],
        &["plan", "--twin", "world.json"],
        &["show", QUICKSTART, "--twin", "world.yaml"],
    ] {
        let run = lockstep(args).folder(&folder).run().expect(64);
        let file = args[args.len() - 1];
        assert!(run.err.contains(&format!("help: write --twin={file}\n")), "{}", run.err);
    }
    // An option without a value in front of the manifest keeps its meaning, whatever the name of the manifest.
    let run = lockstep(&["plan", "--twin", "none.yaml"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("manifest none.yaml: there is no such file"), "{}", run.err);
    folder.write("stack.json", "{\"lockstep\": \"v1\"}");
    let run = lockstep(&["plan", "--twin", "stack.json"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("stack is missing"), "{}", run.err);
}

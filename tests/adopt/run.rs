//! Tests of the program `lockstep adopt`: what it refuses, what it writes, and that it writes all or nothing.

use std::collections::BTreeMap;

use lockstep::twin::Twin;

use super::lab::{options_of, without_record};
use super::terraform::{Form, managed, secrets, state};
use crate::process::lab::{Folder, Run, lockstep};
use crate::support::{ACCOUNT, Stack, env, function_manifest};

/// A folder with the world of the quickstart with its Function, without a record.
fn folder(change: impl FnOnce(&mut Twin)) -> (Folder, lockstep::twin::World) {
    let mut stack = Stack::new(options_of(false), function_manifest());
    stack.applied();
    let world = without_record(&stack);
    let mut twin = stack.twin.borrow_mut();
    twin.world = world.clone();
    change(&mut twin);
    let folder = Folder::new();
    folder.write("world.json", &twin.to_json().to_string());
    drop(twin);
    (folder, world)
}

fn run(folder: &Folder, args: &[&str]) -> Run {
    let connection = ["AUTH0_", "TWILIO_ACCOUNT", "TWILIO_API"];
    let env: BTreeMap<String, String> = env()
        .into_iter()
        .filter(|(name, _)| connection.iter().any(|start| name.starts_with(start)))
        .collect();
    lockstep(&[&["adopt", "--twin=world.json"], args].concat()).folder(folder).envs(&env).run()
}

fn names(folder: &Folder) -> Vec<String> {
    let all = std::fs::read_dir(folder.path("")).expect("the folder");
    let mut names: Vec<String> =
        all.map(|one| one.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_tenant_is_adopted_and_its_secrets_stay_there() {
    let (folder, world) = folder(|twin| {
        let action = &mut twin.world.tenants.values_mut().next().expect("a tenant").actions[0];
        action.code = "exports.onExecuteCustomPhoneProvider = async () => {};\nconst API_SECRET = 'hunter2-in-clear';\n".into();
    });
    folder.write("state.json", &state(&managed(&world, &[]), Form::File));
    let done = run(&folder, &["--stack", "acme", "--terraform-state", "state.json"]).expect(0);
    assert_eq!(names(&folder), ["lockstep.action.js", "lockstep.yaml", "state.json", "world.json"]);
    let text = folder.read("lockstep.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema="), "{text}");
    assert!(done.out.contains("lockstep.action.js:2: warning: "), "{}", done.out);
    assert!(done.out.contains("removed {\n  from = auth0_action.action_0\n"), "{}", done.out);
    assert!(done.out.contains("TWILIO_SENDER_KEY  for action.secrets.TWILIO_API_KEY"), "{}", done.out);
    for secret in secrets(&world) {
        for (what, there) in [("stdout", &done.out), ("stderr", &done.err), ("manifest", &text)] {
            assert!(!there.contains(&secret), "{what} holds {secret}");
        }
    }
    // The same once more replaces nothing.
    let again = run(&folder, &["--stack", "acme"]).expect(64);
    assert!(again.err.contains("nothing was written"), "{}", again.err);
    assert_eq!(folder.read("lockstep.yaml"), text);
}

#[test]
fn a_file_that_is_there_stops_all() {
    let (folder, _) = folder(|twin| {
        let action = &mut twin.world.tenants.values_mut().next().expect("a tenant").actions[0];
        action.code = "exports.onExecuteCustomPhoneProvider = async () => {};\n".into();
    });
    folder.write("lockstep.action.js", "mine\n");
    let refused = run(&folder, &[]).expect(64);
    assert!(refused.err.contains("lockstep.action.js is there already"), "{}", refused.err);
    assert_eq!(names(&folder), ["lockstep.action.js", "world.json"]);
    assert_eq!(folder.read("lockstep.action.js"), "mine\n");
}

#[test]
fn a_part_that_cannot_be_read_is_named_and_nothing_is_written() {
    let (folder, _) = folder(|twin| {
        let all = lockstep::twin::ALL_SCOPES
            .iter()
            .filter(|scope| **scope != "read:prompts" && **scope != "read:log_streams");
        twin.options.scopes = Some(all.map(|scope| (*scope).to_owned()).collect());
    });
    let refused = run(&folder, &[]).expect(6);
    assert!(
        refused.err.contains("/api/v2/prompts") && refused.err.contains("/api/v2/log-streams"),
        "{}",
        refused.err
    );
    assert_eq!(names(&folder), ["world.json"]);
}

#[test]
fn of_several_candidates_one_has_to_be_named() {
    let other = format!("VA{}", "e".repeat(32));
    let (folder, _) = folder(|twin| {
        let services = &mut twin.world.accounts.get_mut(ACCOUNT).expect("the account").verify_services;
        let mut second = services[0].clone();
        second.sid = other.clone();
        services.push(second);
        let tenant = twin.world.tenants.values_mut().next().expect("a tenant");
        let mut second = tenant.actions[0].clone();
        second.id = "6b1f1c1e-0000-4000-8000-000000000000".into();
        second.name = "Another sender".into();
        tenant.actions.push(second);
    });
    let asked = run(&folder, &[]).expect(64);
    // The candidates can be copied into the command.
    for words in ["--verify-service VAeee", "--action 'Another sender'  (", "Nothing was written"] {
        assert!(asked.err.contains(words), "{words}: {}", asked.err);
    }
    let wrong = run(&folder, &["--verify-service", "VA1", "--action", "x"]).expect(64);
    assert!(wrong.err.contains("--verify-service VAeee"), "{}", wrong.err);
    assert_eq!(names(&folder), ["world.json"]);
    run(&folder, &["--verify-service", &other, "--action", "Another sender", "--out", "a.yml"]).expect(0);
    assert!(folder.read("a.yml").contains(&format!("sid: {other}")));
}

/// A service of others is named and not managed: nothing else of it is in the manifest.
#[test]
fn a_service_of_others_is_used() {
    let mut sid = String::new();
    let (folder, _) = folder(|twin| {
        sid.clone_from(&twin.world.account_mut(ACCOUNT).verify_services[0].sid);
    });
    run(&folder, &["--use-verify-service", &sid, "--verify-service", &sid]).expect(64);
    let asked = run(&folder, &["--use-verify-service", "VA1"]).expect(64);
    assert!(asked.err.contains(&format!("--use-verify-service {sid}")), "{}", asked.err);
    run(&folder, &["--use-verify-service", &sid, "--stack", "acme"]).expect(0);
    let text = folder.read("lockstep.yaml");
    let section: Vec<&str> = text.split("\nverify_service:\n").nth(1).expect("a section").lines().collect();
    assert!(section[0].starts_with(&format!("  use: {sid}")), "{text}");
    assert!(section[1].trim().is_empty() || section[1].trim_start().starts_with('#'), "{text}");
    assert!(text.contains("TWILIO_VERIFY_SID: ${verify_service.sid}"), "{text}");
    let plan = |args: &[&str]| {
        lockstep(&["plan", "--twin=world.json", "--output", "json"])
            .args(args)
            .folder(&folder)
            .envs(&env())
            .run()
    };
    let plan = plan(&[]).expect(0).json();
    assert_eq!(plan["plan"]["steps"], serde_json::json!([]), "{plan}");
    let resources = plan["plan"]["resources"].as_array().expect("resources");
    let service = resources.iter().find(|one| one["address"] == "verify_service").expect("the service");
    assert_eq!(service["verb"], "no_op", "{service}");
    assert!(service["taken_over"].is_null(), "{service}");
}

#[test]
fn states_of_another_form_are_refused_before_any_request() {
    let (folder, world) = folder(|_| {});
    let whole = state(&managed(&world, &[]), Form::File);
    folder.write("cut.json", &whole[..whole.len() / 2]);
    folder.write("old.json", "{\"version\": 3, \"terraform_version\": \"0.11.14\", \"modules\": []}");
    folder.write("none.json", "{\"a\": 1}");
    let huge = std::fs::File::create(folder.path("huge.json")).expect("a file");
    huge.set_len(200 * 1024 * 1024).expect("a large file");
    for (file, words) in [
        ("cut.json", "ends in the middle"),
        ("old.json", "format 3"),
        ("none.json", "not a Terraform state"),
        ("huge.json", "bytes"),
        ("missing.json", "missing.json"),
    ] {
        let refused = run(&folder, &["--terraform-state", file]).expect(64);
        assert!(refused.err.contains(words), "{file}: {}", refused.err);
        for secret in secrets(&world) {
            assert!(!refused.err.contains(&secret), "{file}: {}", refused.err);
        }
    }
    assert!(!names(&folder).contains(&"lockstep.yaml".to_owned()));
}

/// What cannot end well is refused before the tenant is read.
#[test]
fn a_wrong_option_is_refused_before_any_request() {
    let (folder, _) = folder(|_| {});
    let world = folder.read("world.json");
    for (args, words) in [
        (["--stack", "A B"], "--stack: stack is not valid: must be lower-case letters, digits and -"),
        (["--stack", ""], "--stack: stack is empty"),
        (["--out", "-"], "--out - names no file, and code is written into files beside it"),
        (["--out", "none/m.yaml"], "--out none/m.yaml: there is no such file"),
        (["--out", "/proc/m.yaml"], "--out /proc/m.yaml: it cannot be written"),
    ] {
        let refused = run(&folder, &args).expect(64);
        assert!(refused.err.contains(words) && refused.err.contains("help: "), "{args:?}: {}", refused.err);
        assert_eq!(refused.out, "", "{args:?}");
    }
    // The twin keeps its log of requests in the world, and draws the ids of tokens from it.
    assert_eq!(folder.read("world.json"), world);
    let done = run(&folder, &["--stack", "acme", "--out", "a b.yaml"]).expect(0);
    assert!(
        done.out.contains("\n\nNext: set the variables, then lockstep plan 'a b.yaml'\n"),
        "{}",
        done.out
    );
    assert!(done.out.ends_with("lockstep schema manifest > lockstep.schema.json\n"), "{}", done.out);
}

#[test]
fn without_a_connection_the_variables_are_named() {
    let folder = Folder::new();
    let refused =
        lockstep(&["adopt"]).folder(&folder).env("AUTH0_DOMAIN", "acme-dev.eu.auth0.com").run().expect(64);
    for name in ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "TWILIO_ACCOUNT_SID", "TWILIO_API_KEY"] {
        assert!(refused.err.contains(name), "{}", refused.err);
    }
}

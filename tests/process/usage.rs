//! Tests of the command line: usage errors exit with 64, and help is complete.

use super::lab::{Folder, QUICKSTART, Site, lockstep};

/// Every command, as the program itself names them.
fn commands() -> Vec<String> {
    lockstep::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn usage_errors_have_their_own_exit_code() {
    let table: &[&[&str]] = &[
        &[],
        &["no-such-command"],
        &["plan", "--no-such-flag"],
        &["--no-such-flag"],
        &["plan", QUICKSTART, "--twin", "--lease-ttl", "soon"],
        &["plan", QUICKSTART, "--twin", "--lease-ttl", "0s"],
        &["plan", QUICKSTART, "--twin", "--lease-ttl", "-5s"],
        &["plan", QUICKSTART, "--twin", "--lease-ttl", "11m"],
        &["plan", QUICKSTART, "--twin", "--lease-ttl", "99999999999999999999h"],
        &["plan", QUICKSTART, "--twin", "--request-timeout", "5 minutes"],
        &["plan", QUICKSTART, "--twin", "--rate-share", "0"],
        &["plan", QUICKSTART, "--twin", "--rate-share", "101"],
        &["plan", QUICKSTART, "--twin", "--output", "xml"],
        &["plan", QUICKSTART, "--twin", "--color", "sometimes"],
        &["plan", QUICKSTART, "--twin", "--ledger", "somewhere"],
        &["plan", QUICKSTART, "--twin", "--ledger", "file:"],
        &["plan", QUICKSTART, "--twin", "--var", "no-value"],
        &["plan", QUICKSTART, "--twin", "--allow-cmd", "=true"],
        &["plan", QUICKSTART, "--twin", "--via", "http://127.0.0.1:1"],
        &["plan", QUICKSTART, "-f", QUICKSTART, "--twin"],
        &["apply", QUICKSTART, "--exit-code"],
        &["validate", QUICKSTART, "--twin"],
        &["twin", "--port", "70000"],
        &["twin", "--rate", "generous"],
        &["twin", "--build", "slow"],
    ];
    for args in table {
        let run = lockstep(args).run();
        assert_eq!(run.code, Some(64), "{args:?}\n{}\n{}", run.out, run.err);
        assert_eq!(run.out, "", "{args:?}: a usage error is no result");
        assert!(!run.err.is_empty(), "{args:?} says nothing");
    }
}

/// What a person types first names every command, and says what is missing.
#[test]
fn the_program_alone_shows_its_commands() {
    let run = lockstep(&[]).run().expect(64);
    for command in commands() {
        assert!(run.err.contains(&format!("\n  {command} ")), "{command}: {}", run.err);
    }
    assert!(run.err.starts_with("Keeps Auth0 phone MFA"), "{}", run.err);
    assert!(run.err.contains("error[LS0980]: no command is given"), "{}", run.err);
}

#[test]
fn the_pages_go_into_a_folder() {
    let folder = Folder::new();
    folder.write("there", "mine");
    let run = lockstep(&["man", "--out", "there"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("help: name a folder where you can write"), "{}", run.err);
    assert_eq!(folder.read("there"), "mine");
}

/// The gateway receives every credential, so its address is checked before anything is read or sent.
#[test]
fn a_gateway_elsewhere_is_a_usage_error() {
    let table: &[(&[&str], &str)] = &[
        (&["--via", "http://10.0.0.1:80"], "10.0.0.1"),
        (&["--via", "http://gateway.example"], "gateway.example"),
        (&["--via", "http://gateway.example", "--via-force"], "https"),
        (&["--via", "https://gateway.example"], "--via-force"),
        (&["--via", "http://127.0.0.1.gateway.example"], "not this machine"),
        (&["--via", "ftp://127.0.0.1"], "http and https"),
        (&["--via", "127.0.0.1:8080"], "not a URL"),
        (&["--via", ""], "not a URL"),
        (&["--via", "http://user:hunter2-hunter2@127.0.0.1:1"], "leave them out"),
        (&["--via", "http://127.0.0.1:1/?key=hunter2-hunter2"], "query"),
    ];
    for (args, word) in table {
        let run = lockstep(&["plan", QUICKSTART]).args(args).envs(&Site::env_of(1)).run();
        assert_eq!(run.code, Some(64), "{args:?}\n{}", run.err);
        assert!(run.err.contains(word), "{args:?}: {}", run.err);
        assert!(!run.err.contains("hunter2"), "{args:?}: {}", run.err);
        assert!(!run.err.contains("--via: --via"), "the option is named twice: {}", run.err);
    }
}

/// Only an option can set a gateway, not the environment.
#[test]
fn the_environment_sets_no_gateway() {
    for name in ["LOCKSTEP_VIA", "VIA", "LOCKSTEP_TWIN", "LOCKSTEP_LEDGER"] {
        let run = lockstep(&["plan", QUICKSTART]).env(name, "http://10.0.0.1").run().expect(1);
        assert!(run.err.contains("AUTH0_DOMAIN"), "{}", run.err);
    }
}

#[test]
fn a_bad_log_level_is_a_usage_error() {
    lockstep(&["validate", QUICKSTART]).env("LOCKSTEP_LOG", "loud").run().expect(64);
    lockstep(&["validate", QUICKSTART]).env("LOCKSTEP_LOG", "debug").run().expect(0);
}

#[test]
fn the_version_is_one_line_on_stdout() {
    for flag in ["--version", "-V"] {
        let run = lockstep(&[flag]).run().expect(0);
        assert_eq!(run.out, format!("lockstep {}\n", env!("LOCKSTEP_VERSION")));
        assert_eq!(run.err, "");
    }
    // With its commit, where the sources are a repository; an unpacked archive has none.
    let commit = env!("LOCKSTEP_VERSION").strip_prefix(env!("CARGO_PKG_VERSION")).expect("the version first");
    let digits = commit.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
    let is_commit = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(is_commit, std::path::Path::new(".git").exists(), "{commit:?}");
}

#[test]
fn help_lists_the_commands_and_the_exit_codes() {
    let run = lockstep(&["--help"]).run().expect(0);
    assert_eq!(run.err, "");
    for command in commands() {
        assert!(
            run.out.lines().any(|line| line.trim_start().starts_with(&command)),
            "{command} is not listed"
        );
    }
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "64", "73", "75", "130", "143"] {
        let listed = run.out.lines().any(|line| line.trim_start().starts_with(&format!("{code} ")));
        assert!(listed, "exit code {code} is not listed");
    }
    assert!(run.out.contains("Where several apply"));
    assert_eq!(lockstep(&["-h"]).run().expect(0).out, run.out);
}

#[test]
fn every_command_explains_itself() {
    for command in commands() {
        let command = command.as_str();
        let run = lockstep(&[command, "--help"]).run().expect(0);
        let summary = run.out.lines().next().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{command}: {summary:?}");
        assert!(summary.len() <= 80, "{command}: {summary:?}");
        let example = run.out.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("{command} has no example:\n{}", run.out));
        assert!(example.starts_with(&format!("lockstep {command}")), "{example}");
        assert_eq!(lockstep(&[command, "-h"]).run().expect(0).err, "");
    }
}

/// Texts are wrapped at the width of the terminal, and not also in the source.
#[test]
fn help_is_not_wrapped_twice() {
    for command in commands() {
        let run = lockstep(&[&command, "--help"]).run().expect(0);
        let about: Vec<&str> = run.out.lines().take_while(|line| !line.starts_with("Usage:")).collect();
        for pair in about.windows(2) {
            let room = 100usize.saturating_sub(pair[0].chars().count());
            let next = pair[1].split(' ').next().unwrap_or_default();
            let broken_early = !pair[0].is_empty() && !next.is_empty() && room > next.len() + 40;
            assert!(!broken_early, "{command}: broken in the middle:\n{}", about.join("\n"));
        }
    }
}

/// The examples of the help work.
#[test]
fn the_examples_of_help_run() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("manifests")).expect("folder");
    std::fs::copy(QUICKSTART, folder.path("manifests/quickstart.yaml")).expect("copy");
    std::fs::create_dir_all(folder.path("manifests/fleet/overlays")).expect("folder");
    for name in ["fleet.yaml", "base.yaml", "tenants.csv", "overlays/enterprise.yaml"] {
        let from = std::path::Path::new(QUICKSTART).with_file_name("fleet").join(name);
        std::fs::copy(from, folder.path("manifests/fleet").join(name)).expect("copy");
    }
    // The twin serves until it is ended.
    for command in commands().into_iter().filter(|command| command != "twin") {
        let command = command.as_str();
        let help = lockstep(&[command, "--help"]).run().expect(0).out;
        let example = help.lines().find_map(|line| line.strip_prefix("Example: lockstep ")).expect("example");
        let args: Vec<&str> = example.split(' ').collect();
        let run = lockstep(&args).folder(&folder).run();
        assert!(!matches!(run.code, None | Some(64)), "{example}: {}", run.err);
    }
}

//! Tests of `lockstep init`: what it writes is valid and can be applied, whatever was chosen.

use lockstep::manifest::schema;
use lockstep::manifest::starter::{Channels, Choices, Delivery, Mfa, Receiver, text};

use super::lab::{Folder, QUICKSTART, lockstep};
use crate::fields::bed::{Bed, valid};
use crate::support::{env, tables};

const CHANNELS: [&str; 3] = ["sms", "voice", "sms,voice"];
const RECEIVERS: [&str; 4] = ["function", "url", "none", "https://feedback.acme.example/auth0-logs"];

/// The program validates every combination without a warning; the list at the end has every variable and no other.
#[test]
fn every_combination_of_options_is_valid() {
    let folder = Folder::new();
    for delivery in ["unified", "legacy"] {
        for channels in CHANNELS {
            for receiver in RECEIVERS {
                for mfa in ["all", "rules", "later"] {
                    let _ = std::fs::remove_file(folder.path("m.yaml"));
                    let args = ["init", "--out", "m.yaml", "--delivery", delivery, "--channels", channels];
                    let run = lockstep(&args).args(&["--receiver", receiver, "--mfa", mfa]).folder(&folder);
                    let run = run.run().expect(0);
                    assert_eq!(run.err, "");
                    let written = folder.read("m.yaml");
                    assert!(written.starts_with(&schema::modeline(schema::FILE)), "{written}");
                    assert!(written.lines().all(|line| line.chars().count() <= 120), "{written}");
                    let mut listed: Vec<&str> =
                        run.out.lines().filter_map(|line| line.strip_prefix("  ")).collect();
                    listed.iter_mut().for_each(|line| *line = line.split(' ').next().unwrap_or_default());
                    let mut named: Vec<&str> =
                        written.split("${env.").skip(1).filter_map(|rest| rest.split('}').next()).collect();
                    listed.sort_unstable();
                    named.sort_unstable();
                    named.dedup();
                    assert_eq!(listed, named);
                    let valid = lockstep(&["validate", "m.yaml"]).folder(&folder).run().expect(0);
                    assert_eq!(valid.err, "", "{delivery} {channels} {receiver} {mfa}");
                }
            }
        }
    }
}

/// The commands at the end can be typed as they stand, also where the name of the file has a blank in it.
#[test]
fn the_next_moves_can_be_copied() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("my stacks")).expect("a folder");
    let run =
        lockstep(&["init", "--out", "my stacks/a b.yaml", "--mfa", "all"]).folder(&folder).run().expect(0);
    let commands: Vec<&str> =
        run.out.lines().filter_map(|line| line.split_once(": lockstep ")).map(|one| one.1).collect();
    assert_eq!(
        commands,
        ["apply 'my stacks/a b.yaml' --twin", "schema manifest > 'my stacks/lockstep.schema.json'"],
        "{}",
        run.out
    );
    assert!(folder.read("my stacks/a b.yaml").contains("lockstep apply 'my stacks/a b.yaml' --twin"));
    let run = lockstep(&["init", "--out", "none/a.yaml", "--mfa", "all"]).folder(&folder).run().expect(64);
    assert!(run.err.contains("none/a.yaml: there is no such file"), "{}", run.err);
}

/// On an empty tenant each combination is applied, and the next plan is empty.
#[test]
fn every_combination_can_be_applied() {
    for delivery in [Delivery::Unified, Delivery::Legacy] {
        for (sms, voice) in [(true, false), (false, true), (true, true)] {
            let url = Receiver::Url(Some("https://feedback.acme.example/auth0-logs".to_owned()));
            for receiver in [Receiver::Function, url, Receiver::Nobody] {
                for mfa in [Mfa::All, Mfa::Rules, Mfa::Later] {
                    let receiver = receiver.clone();
                    let choices = Choices {
                        delivery,
                        channels: Channels { sms, voice },
                        receiver,
                        mfa,
                        ..Choices::default()
                    };
                    let mut bed = Bed::new(valid(&text(&choices, "m.yaml", &tables()), &[]));
                    bed.applied();
                    let plan = bed.observe().plan;
                    assert!(plan.is_empty() && plan.deferred.is_empty(), "{choices:?}: {:?}", plan.steps);
                }
            }
        }
    }
}

/// The shipped manifest to begin with is what `init` writes.
#[test]
fn the_quickstart_is_begun_the_same_way() {
    let receiver = Receiver::Url(Some("https://acme-feedback.example/auth0-logs".to_owned()));
    let choices = Choices { receiver, ..Choices::default() };
    let written = text(&choices, "manifests/quickstart.yaml", &tables());
    let body = |text: &str| text.lines().skip(1).map(|line| line.to_owned() + "\n").collect::<String>();
    if std::env::var_os("LOCKSTEP_BLESS").is_some() {
        let head = schema::modeline("../schemas/manifest.json");
        std::fs::write(QUICKSTART, head + &body(&written)).expect("written");
    }
    assert_eq!(body(&std::fs::read_to_string(QUICKSTART).expect("the quickstart")), body(&written));
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let folder = Folder::new();
    folder.write("lockstep.yaml", "mine");
    std::fs::create_dir(folder.path("folder")).expect("folder");
    std::os::unix::fs::symlink("nowhere", folder.path("link")).expect("link");
    for out in ["lockstep.yaml", "folder", "link"] {
        let run = lockstep(&["init", "--out", out]).folder(&folder).run().expect(64);
        assert_eq!(run.out, "");
        // The other command that begins a manifest says the same.
        let adopted = lockstep(&["adopt", "--twin", "--out", out]).folder(&folder).run().expect(64);
        let said = |command: &str| {
            format!("{out} is there already, and {command} replaces no file; nothing was written\n")
        };
        assert!(run.err.contains(&said("init")) && run.err.contains("with --out"), "{out}: {}", run.err);
        assert_eq!(adopted.err, run.err.replace("and init", "and adopt"));
    }
    assert_eq!(folder.read("lockstep.yaml"), "mine");
    assert!(!folder.path("nowhere").exists());
    let run = lockstep(&["init", "--out", "no/such/folder.yaml"]).folder(&folder).run().expect(64);
    assert!(run.err.contains("make its folder first, or"), "{}", run.err);
    // Nothing but what was there, and no file that is half written.
    let mut names: Vec<String> = std::fs::read_dir(folder.path(""))
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["folder", "link", "lockstep.yaml"]);
}

/// With `-`, stdout is the manifest and nothing else.
#[test]
fn stdout_takes_the_manifest_alone() {
    let folder = Folder::new();
    let run = lockstep(&["init", "--out", "-", "--mfa", "rules"]).folder(&folder).run().expect(0);
    assert!(run.err.contains("TWILIO_FEEDBACK_SECRET"), "{}", run.err);
    assert!(!folder.path("lockstep.yaml").exists());
    folder.write("m.yaml", &run.out);
    lockstep(&["validate", "m.yaml"]).folder(&folder).run().expect(0);
}

/// A name that YAML would read as something else stays that name; one that no stack can have is refused.
#[test]
fn names_of_people_are_written_as_they_are() {
    let folder = Folder::new();
    for (brand, code) in [
        ("007", 0),
        ("yes", 0),
        ("null", 0),
        ("1e3", 0),
        ("- x", 0),
        ("Acme: login #1", 64),
        ("\"Acme\"", 64),
        ("", 64),
        ("a name that is much longer than Twilio takes", 64),
        ("two\nlockstep: v2", 64),
        ("Acme 12345", 64),
    ] {
        let run =
            lockstep(&["init", "--out", "-", &format!("--brand={brand}")]).folder(&folder).run().expect(code);
        if code == 0 {
            let read: serde_yaml::Value = serde_yaml::from_str(&run.out).expect("YAML");
            assert_eq!(read["verify_service"]["friendly_name"].as_str(), Some(brand));
        } else {
            assert!(run.err.contains("friendly_name") && run.err.contains("help: "), "{}", run.err);
        }
    }
    for args in [
        ["--stack", "no/such stack"],
        ["--receiver", "http://plain.example/x"],
        ["--channels", "fax"],
        ["--mfa", "some"],
    ] {
        let run = lockstep(&["init", "--out", "-"]).args(&args).folder(&folder).run().expect(64);
        assert_eq!(run.out, "", "{args:?}");
    }
}

/// A service of others is used: nothing of it is in the manifest, and nothing is written to it.
#[test]
fn a_service_of_others_is_begun_with() {
    let folder = Folder::new();
    let mut env = env();
    folder.write("quickstart.yaml", &std::fs::read_to_string(QUICKSTART).expect("the quickstart"));
    lockstep(&["apply", "quickstart.yaml", "--twin=world.json", "--yes"])
        .folder(&folder)
        .envs(&env)
        .run()
        .expect(0);
    let world = folder.read("world.json");
    let at = world.find("\"VA").expect("a service") + 1;
    let sid = &world[at..at + 34];
    env.insert("AUTH0_DOMAIN".to_owned(), "another.eu.auth0.com".to_owned());
    lockstep(&["init", "--use-verify-service", sid, "--brand", "Acme"]).folder(&folder).run().expect(64);
    let run = lockstep(&["init", "--use-verify-service", "VA1"]).folder(&folder).run().expect(64);
    assert!(run.err.contains("VA and 32 hex digits"), "{}", run.err);
    let run = lockstep(&["init", "--use-verify-service", sid]).folder(&folder).run().expect(0);
    assert!(!run.out.contains("--twin"), "an empty twin has no such service: {}", run.out);
    let written = folder.read("lockstep.yaml");
    assert!(written.contains(&format!("  use: {sid}")) && !written.contains("friendly_name"), "{written}");
    lockstep(&["validate"]).folder(&folder).run().expect(0);
    let apply = ["apply", "--twin=world.json", "--yes", "--audit", "audit"];
    lockstep(&apply).folder(&folder).envs(&env).run().expect(0);
    assert!(!folder.read("audit").contains("\"/v2/Services"), "{}", folder.read("audit"));
    let plan = lockstep(&["plan", "--twin=world.json", "--exit-code"]).folder(&folder).envs(&env).run();
    assert!(plan.expect(0).out.contains("No changes"));
    // At a terminal it is a question, and a brand is not asked for then.
    let answers = [
        ("Name of the stack", ""),
        ("The Verify service", "VA1"),
        ("The Verify service", sid),
        ("Delivery", ""),
        ("How a code", ""),
        ("What tells", "none"),
        ("second factor", ""),
    ];
    lockstep(&["init", "--out", "asked.yaml"]).folder(&folder).answered(&answers).expect(0);
    assert!(folder.read("asked.yaml").contains(&format!("  use: {sid}")));
}

/// At a terminal everything is asked, and a wrong answer is asked for again. An option decides without a question.
#[test]
fn a_terminal_is_asked() {
    let folder = Folder::new();
    let answers = [
        ("Name of the stack", "mine"),
        ("The Verify service", ""),
        ("Your brand", ""),
        ("Delivery", "quick"),
        ("Delivery", "legacy"),
        ("How a code", "sms"),
        ("What tells", "none"),
        ("second factor", "rules"),
    ];
    lockstep(&["init"]).folder(&folder).answered(&answers).expect(0);
    let written = folder.read("lockstep.yaml");
    for part in ["stack: mine", "friendly_name: Acme", "delivery: legacy", "channels: [sms]", "post_login:"] {
        assert!(written.contains(part), "{part}: {written}");
    }
    assert!(!written.contains("log_stream:"), "{written}");
    let run =
        lockstep(&["init", "--out", "b.yaml"]).folder(&folder).answered(&[("Name of the stack", "mine")]);
    let run = run.expect(1);
    assert!(run.err.contains("nothing was written") && !folder.path("b.yaml").exists(), "{}", run.err);
    lockstep(&["init", "--out", "c.yaml", "--mfa", "all"]).folder(&folder).answered(&[]).expect(0);
}

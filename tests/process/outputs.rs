//! Tests of `--output`: several forms of one run, to stdout and into files.

use std::path::Path;

use serde_json::Value as Json;

use super::lab::{Folder, QUICKSTART, Run, Site, Twin, lockstep};

const FORMS: [&str; 6] = ["text", "json", "markdown", "sarif", "junit", "github"];

/// An option for each form, with a file of its name.
fn into_files(folder: &Folder) -> Vec<String> {
    FORMS.iter().map(|form| format!("--output={form}={}", folder.text_path(form))).collect()
}

fn with<'a>(args: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

/// The documents of a folder, each read as its form.
#[track_caller]
fn read(folder: &Folder) -> Json {
    let sarif: Json = serde_json::from_str(&folder.read("sarif")).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    assert!(folder.read("markdown").starts_with("## Lockstep "), "{}", folder.read("markdown"));
    let junit = folder.read("junit");
    assert!(junit.starts_with("<?xml ") && junit.ends_with("</testsuites>\n"), "{junit}");
    assert!(folder.read("github").lines().all(|line| line.starts_with("::")));
    assert!(!folder.read("text").is_empty());
    serde_json::from_str(&folder.read("json")).expect("JSON")
}

#[test]
fn every_form_tells_of_the_same_reading() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let folder = Folder::new();
    let asked = |site: &Site| twin.log_text().lines().filter(|line| line.contains(&site.domain)).count();
    let count = |site: &Site, command: &str, args: &[&str]| {
        let before = asked(site);
        let run = site.run(command, args);
        (asked(site) - before, run)
    };
    for command in ["plan", "apply", "drift", "show", "destroy"] {
        let yes: &[&str] = if ["apply", "destroy"].contains(&command) { &["--yes"] } else { &[] };
        let files = into_files(&folder);
        // Forms cost no request: a second stack in the same state is asked as often without them.
        let twin_site = Site::new(&twin, 2);
        let (bare, _) = count(&twin_site, command, yes);
        let (asked, run) = count(&site, command, &with(yes, &files));
        assert_eq!(run.code, Some(0), "{command}: {}", run.err);
        assert_eq!(asked, bare, "{command}");
        assert!(asked > 1, "{command}: {asked} requests");
        assert!(!run.out.is_empty() && !run.out.starts_with('{'), "text goes to stdout: {}", run.out);
        let document = read(&folder);
        let name = if command == "destroy" { "apply" } else { command };
        assert!(document[name].is_object(), "{command}: {document}");
        let plan = document["plan"].as_object().or(document["apply"]["plan"].as_object());
        if let Some(basis) = plan.and_then(|plan| plan["digest"].as_str()) {
            assert!(folder.read("markdown").contains(basis) || name == "apply", "{command}");
            assert!(folder.read("text").contains(basis), "{command}");
        }
    }
}

#[test]
fn one_form_goes_to_stdout_and_the_others_into_files() {
    let folder = Folder::new();
    let path = folder.text_path("r.sarif");
    let run =
        lockstep(&["validate", QUICKSTART, "--output", "json", "--output", &format!("sarif={path}")]).run();
    assert_eq!(run.expect(0).json()["validate"]["valid"], true);
    assert!(folder.read("r.sarif").contains("\"results\": []"));
    for (pair, named) in
        [(["json", "junit"], "json"), (["text", "github"], "text"), (["json", "json"], "json")]
    {
        let run =
            lockstep(&["validate", QUICKSTART, "--output", pair[0], "--output", pair[1]]).run().expect(64);
        let text = format!("--output {named} and --output {} both go to stdout", pair[1]);
        assert!(run.err.contains(&text) && run.err.contains("=FILE"), "{}", run.err);
        if named == "json" {
            assert_eq!(run.json()["error"]["exit"], 64);
        }
    }
    for (word, told) in [
        ("yaml", "not one of text, json, markdown"),
        ("jsno", "did you mean json?"),
        ("json=", "no file stands behind"),
    ] {
        let run = lockstep(&["validate", QUICKSTART, "--output", word]).run().expect(64);
        assert!(run.err.contains(told), "{}", run.err);
    }
}

/// A dash is stdout, as for `init --out -`, and makes no file.
#[test]
fn a_dash_is_stdout() {
    let folder = Folder::new();
    let run = lockstep(&["validate", QUICKSTART, "--output", "json=-"]).folder(&folder).run().expect(0);
    assert_eq!(run.json()["validate"]["valid"], true);
    assert!(!folder.path("-").exists());
    let both = ["validate", QUICKSTART, "--output", "json=-", "--output", "text"];
    let run = lockstep(&both).folder(&folder).run().expect(64);
    assert!(run.err.contains("--output json and --output text both go to stdout"), "{}", run.err);
}

/// A run that ends with an error, and how.
fn failing(folder: &Folder) -> Vec<(Vec<String>, i32, &'static str)> {
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    folder.write("wrong.yaml", &text.replace("code_length: 6", "code_length: 60"));
    folder.write("no.yaml", "lockstep: v1\nstack: \"acme\n");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        (words(&["validate", "wrong.yaml"]), 1, "code_length is out of range"),
        (words(&["plan", "wrong.yaml", "--twin"]), 1, "code_length is out of range"),
        (words(&["validate", "no.yaml"]), 1, "this quote is not closed"),
        (words(&["drift", "none.yaml", "--twin"]), 1, "there is no such file"),
        (words(&["show", QUICKSTART]), 1, "no value"),
        (words(&["apply", QUICKSTART, "--twin", "--plan", "none"]), 1, "there is no such file"),
        (words(&["plan", QUICKSTART, "--twin", "--delete", "x"]), 64, "--delete"),
        (words(&["plan", QUICKSTART, "--no-such-flag"]), 64, "--no-such-flag"),
        (words(&["plan", QUICKSTART, "--var", "x"]), 64, "--var takes NAME=VALUE"),
    ]
}

#[test]
fn an_error_is_written_in_every_form() {
    let folder = Folder::new();
    for (words, code, told) in failing(&folder) {
        let forms = Folder::new();
        let files = into_files(&forms);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = lockstep(&with(&words, &files)).folder(&folder).run();
        assert_eq!(run.code, Some(code), "{words:?}: {}", run.err);
        let document = read(&forms);
        assert_eq!(document["error"]["exit"], code, "{words:?}: {document}");
        for form in FORMS {
            let text = forms.read(form);
            assert!(text.contains(told), "{words:?}, {form}: {text}");
        }
        let sarif: Json = serde_json::from_str(&forms.read("sarif")).expect("JSON");
        let levels = sarif["runs"][0]["results"]
            .as_array()
            .expect("results")
            .iter()
            .filter(|one| one["level"] == "error");
        assert!(levels.count() > 0, "{words:?}");
        let junit = forms.read("junit");
        assert!(junit.contains("<error ") || junit.contains("<failure "), "{junit}");
        for form in ["markdown", "sarif", "junit", "github"] {
            let run = lockstep(&words).args(&["--output", form]).folder(&folder).run();
            assert_eq!(run.code, Some(code));
            assert!(run.out.contains(told), "{words:?}, {form}: {}", run.out);
        }
    }
}

#[test]
fn annotations_stand_at_their_lines() {
    let folder = Folder::new();
    let (_, wrong) = (failing(&folder), folder.read("wrong.yaml"));
    let line = wrong.lines().position(|line| line.contains("code_length")).expect("a line") + 1;
    let run = lockstep(&["validate", "wrong.yaml", "--output", "github"]).folder(&folder).run().expect(1);
    let own: Vec<&str> = run.out.lines().filter(|line| !line.contains("LS0202")).collect();
    let expected = format!(
        "::error file=wrong.yaml,line={line},col=16,endColumn=17,title=LS0104::code_length is out of range: must be 4 to \
         10%0Ahelp: use a value from 4 to 10"
    );
    assert_eq!(own, [expected]);
    // A tenant that somebody changed: the lines of the fields.
    let world = folder.text_path("world");
    let twin = format!("--twin={world}");
    lockstep(&["apply", QUICKSTART, &twin, "--yes"]).run().expect(0);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    folder.write("m.yaml", &text.replace("code_length: 6", "code_length: 8"));
    let line = text.lines().position(|line| line.contains("code_length")).expect("a line") + 1;
    for (command, code, start) in [("drift", 2, "::warning"), ("plan", 0, "::notice")] {
        let run =
            lockstep(&[command, "m.yaml", &twin, "--output", "github"]).folder(&folder).run().expect(code);
        let place = format!("{start} file=m.yaml,line={line},col=16,");
        assert!(run.out.lines().any(|one| one.starts_with(&place)), "{command}: {}", run.out);
        let files = into_files(&folder);
        lockstep(&with(&[command, "m.yaml", &twin], &files)).folder(&folder).run().expect(code);
        let sarif: Json = serde_json::from_str(&folder.read("sarif")).expect("JSON");
        let results = sarif["runs"][0]["results"].as_array().expect("results");
        let found = results.iter().find(|one| {
            let region = &one["locations"][0]["physicalLocation"]["region"];
            region["startLine"] == line && region["startColumn"] == 16
        });
        assert!(
            found
                .is_some_and(|one| one["ruleId"] == if command == "drift" { "difference" } else { "change" }),
            "{sarif}"
        );
        let failures = folder.read("junit").matches("<failure ").count();
        assert_eq!(failures > 0, command == "drift");
    }
}

#[test]
fn a_clean_stack_has_no_annotation_and_no_failure() {
    let folder = Folder::new();
    let twin = format!("--twin={}", folder.text_path("world"));
    lockstep(&["apply", QUICKSTART, &twin, "--yes"]).run().expect(0);
    let files = into_files(&folder);
    lockstep(&with(&["drift", QUICKSTART, &twin], &files)).run().expect(0);
    let github = folder.read("github");
    assert!(github.lines().all(|line| line.starts_with("::notice ")), "{github}");
    let junit = folder.read("junit");
    assert!(junit.contains("failures=\"0\" errors=\"0\"") && junit.contains("<testcase "), "{junit}");
}

#[test]
fn a_file_that_is_read_or_no_file_is_refused() {
    let folder = Folder::new();
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest =
        text.replace("client_secret: ${env.AUTH0_CLIENT_SECRET}", "client_secret: ${file.secret.txt}");
    folder.write("m.yaml", &manifest);
    folder.write("secret.txt", "a-secret-of-the-test");
    folder.write("broken.yaml", &format!("{manifest}stack: \"acme\n"));
    folder.write("kept.json", "kept");
    std::fs::create_dir(folder.path("folder")).expect("a folder");
    std::fs::hard_link(folder.path("m.yaml"), folder.path("second-name")).expect("a link");
    lockstep(&["plan", QUICKSTART, "--twin", "--out", &folder.text_path("saved")]).run().expect(0);
    let saved = folder.read("saved");
    let rows: &[(&[&str], &str)] = &[
        (&["validate", "m.yaml", "--output", "json=m.yaml"], "is the manifest, which this command reads"),
        (&["validate", "m.yaml", "--output", "json=./folder/../m.yaml"], "is the manifest"),
        (&["validate", "m.yaml", "--output", "json=second-name"], "is the manifest"),
        (&["validate", "m.yaml", "--output", "sarif=secret.txt"], "a file that the manifest names"),
        (&["plan", "m.yaml", "--twin", "--output", "sarif=secret.txt"], "a file that the manifest names"),
        (&["validate", "m.yaml", "--output", "json=a", "--output", "sarif=a"], "is what --output names too"),
        (&["plan", "m.yaml", "--twin=world", "--output", "json=world"], "is what --twin names too"),
        (&["plan", "m.yaml", "--twin", "--out", "p", "--output", "json=p"], "is what --out names too"),
        (
            &["apply", "m.yaml", "--twin", "--yes", "--audit", "p", "--output", "json=p"],
            "is what --audit names too",
        ),
        (
            &["plan", "m.yaml", "--twin", "--ledger", "file:l", "--output", "json=l"],
            "is what --ledger names too",
        ),
        (&["apply", "m.yaml", "--twin", "--plan", "saved", "--output", "json=saved"], "is the saved plan"),
        (&["plan", "m.yaml", "--twin", "--ca-file", "kept.json", "--output", "json=kept.json"], "--ca-file"),
        (&["drift", "m.yaml", "--twin", "--output", "markdown=folder"], "it is not a regular file"),
        (&["validate", "m.yaml", "--output", "text=/dev/null"], "it is not a regular file"),
        (&["show", "m.yaml", "--twin", "--output", "junit=nowhere/x"], "it cannot be written"),
        (&["validate", "m.yaml", "--output", "json=/proc/x"], "it cannot be written"),
    ];
    for (args, told) in rows {
        let run = lockstep(args).folder(&folder).run();
        assert_eq!(run.code, Some(64), "{args:?}: {}{}", run.out, run.err);
        assert!(run.err.contains(told), "{args:?}: {}", run.err);
        // The form on stdout is written all the same.
        let run = lockstep(args).args(&["--output", "json"]).folder(&folder).run();
        assert_eq!(run.json()["error"]["exit"], 64, "{args:?}");
    }
    // A manifest that cannot be parsed names files too.
    let run: Run =
        lockstep(&["validate", "broken.yaml", "--output", "json=secret.txt"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("secret.txt is not written"), "{}", run.err);
    // What a wrong command line reads is not known: no file is replaced.
    lockstep(&["validate", "m.yaml", "--nonsense", "--output", "json=kept.json"])
        .folder(&folder)
        .run()
        .expect(64);
    for (name, kept) in [
        ("m.yaml", manifest.as_str()),
        ("secret.txt", "a-secret-of-the-test"),
        ("kept.json", "kept"),
        ("saved", &saved),
    ] {
        assert_eq!(folder.read(name), kept, "{name}");
    }
    assert!(!Path::new(&folder.text_path("a")).exists());
}

#[test]
fn a_file_is_replaced_as_a_whole_and_a_link_stays() {
    let folder = Folder::new();
    folder.write("old.json", "old and longer than nothing");
    std::os::unix::fs::symlink("old.json", folder.path("link.json")).expect("a link");
    lockstep(&["validate", QUICKSTART, "--output", &format!("json={}", folder.text_path("link.json"))])
        .run()
        .expect(0);
    let document: Json = serde_json::from_str(&folder.read("old.json")).expect("JSON");
    assert_eq!(document["validate"]["valid"], true);
    assert!(folder.path("link.json").is_symlink());
    let left = std::fs::read_dir(folder.path("")).expect("the folder").count();
    assert_eq!(left, 2, "no temporary file is left");
}

//! Tests of `lockstep rollback` as a person and as CI use it.

use super::lab::{Folder, QUICKSTART, Site, Twin};

/// The quickstart, with a longer code and another package.
fn next_manifest(folder: &Folder) -> String {
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    folder.write(
        "next.yaml",
        &text
            .replace("code_length: 6", "code_length: 8")
            .replace("runtime: node22\n", "runtime: node22\n  dependencies: { lodash: 4.17.21 }\n"),
    )
}

fn applied_twice(site: &Site, folder: &Folder) -> String {
    let next = next_manifest(folder);
    site.run("apply", &["--yes"]).expect(0);
    site.lockstep("apply", &next, &["--yes"]).run().expect(0);
    next
}

#[test]
fn what_was_reviewed_is_taken_back_and_nothing_else() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let mut site = Site::new(&twin, 1);
    site.env.insert("LOCKSTEP_REVISION".into(), "4f2a".into());
    let next = applied_twice(&site, &folder);
    let mark = twin.mark();
    let file = folder.text_path("plan");
    let shown = site.lockstep("plan", &next, &["--rollback", "--out", &file]).run().expect(0);
    assert!(shown.out.starts_with("Lockstep rollback of stack acme-login"), "{}", shown.out);
    for told in [
        "code_length: 8 → 6",
        "dependencies.lodash: 4.17.21 → (absent)",
        "action: deploy the version that ran before the last run",
        "and their Verify service is there",
        "note[LS0514]",
        "of revision 4f2a",
        "2 to put back; 2 steps.",
    ] {
        assert!(shown.out.contains(told), "{told:?} is not in {}", shown.out);
    }
    assert!(shown.err.contains("rollback it with --plan"), "{}", shown.err);
    let digest =
        shown.out.lines().find_map(|line| line.strip_prefix("Digest: ")).expect("a digest").to_owned();
    // Neither another command nor another digest carries it out, and nobody is there to ask.
    let other = site.lockstep("apply", &next, &["--yes", "--plan", &file]).run().expect(73);
    assert!(
        other.err.contains("takes back the last run") && other.err.contains("lockstep rollback --plan"),
        "{}",
        other.err
    );
    let wrong = digest.replace("sha256:", "sha256:0").chars().take(digest.len()).collect::<String>();
    site.lockstep("rollback", &next, &["--expect", &wrong]).run().expect(73);
    let asked = site.lockstep("rollback", &next, &[]).run().expect(1);
    assert!(asked.err.contains("add --yes"), "{}", asked.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());

    let done = site.lockstep("rollback", &next, &["--expect", &digest, "--yes"]).run().expect(0);
    let last = "Done: the last run is taken back, by 2 steps. The next plan shows its changes again.";
    assert!(done.out.contains(last), "{}", done.out);
    site.run("plan", &["--exit-code"]).expect(0);
    site.lockstep("drift", &next, &[]).run().expect(2);
    let mark = twin.mark();
    let again = site.lockstep("rollback", &next, &["--yes"]).run().expect(0);
    assert!(
        again.out.contains("Nothing to take back.") && again.out.contains("a rollback is not taken back"),
        "{}",
        again.out
    );
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    let record = site.lockstep("show", &next, &[]).run().expect(0);
    assert!(record.out.contains("rollback done (2 steps)"), "{}", record.out);
}

#[test]
fn every_form_tells_a_rollback() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let next = applied_twice(&site, &folder);
    let markdown = site.lockstep("plan", &next, &["--rollback", "--output", "markdown"]).run().expect(0);
    assert!(markdown.out.starts_with("## Lockstep rollback of stack"), "{}", markdown.out);
    let explained =
        site.lockstep("plan", &next, &["--rollback", "--explain", "--output", "json"]).run().expect(0).json();
    let steps = explained["explanation"].as_array().expect("explained");
    let requests: Vec<&str> = steps.iter().filter_map(|step| step["request"]["path"].as_str()).collect();
    assert!(
        requests.iter().any(|path| path.ends_with("/deploy") && path.contains("/versions/")),
        "{requests:?}"
    );
    let json = site.lockstep("rollback", &next, &["--yes", "--output", "json"]).run().expect(0).json();
    assert_eq!(json["apply"]["plan"]["rollback"], true, "{json}");
    assert_eq!(json["apply"]["outcome"]["ended"], "done");
}

#[test]
fn without_a_record_of_the_last_run_nothing_is_done() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let next = next_manifest(&folder);
    let none = site.lockstep("rollback", &next, &["--yes"]).run().expect(1);
    assert!(none.out.contains("blocked[LS0513]"), "{}", none.out);
    applied_twice(&site, &folder);
    let nowhere = site.lockstep("rollback", &next, &["--yes", "--ledger", "none"]).run().expect(1);
    assert!(nowhere.out.contains("blocked[LS0513]: ledger: no record is kept"), "{}", nowhere.out);
    // Whoever edits the record cannot say what a rollback puts back.
    site.forget_seals();
    let mark = twin.mark();
    let unproven = site.lockstep("rollback", &next, &["--yes"]).run().expect(1);
    assert!(unproven.out.contains("blocked[LS0513]"), "{}", unproven.out);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
}

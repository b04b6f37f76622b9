//! Snapshots of what a user sees first, as files below `tests/cli`. `LOCKSTEP_BLESS=1 cargo test` rewrites them; look
//! at the difference before you commit it.

use super::lab::{QUICKSTART, case_file, lockstep};

#[track_caller]
fn expect_file(path: &str, text: &str) {
    let text = without_digests(text);
    let text = text.as_str();
    let file = case_file(path);
    if std::env::var_os("LOCKSTEP_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("folder");
        std::fs::write(&file, text).expect("written");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected != text {
        let diff = similar::TextDiff::from_lines(&expected, text).unified_diff().to_string();
        panic!("tests/cli/{path} differs:\n{diff}");
    }
}

/// The digits of a digest follow from everything that a plan is made of; other tests look at them.
fn without_digests(text: &str) -> String {
    const START: &str = "sha256:";
    let mut pieces = text.split(START);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| {
        out + START + "[digits]" + piece.trim_start_matches(|ch: char| ch.is_ascii_hexdigit())
    })
}

#[test]
fn help() {
    expect_file("help/top/stdout.txt", &lockstep(&["--help"]).run().expect(0).out);
}

#[test]
fn plan_of_the_quickstart() {
    let run = lockstep(&["plan", QUICKSTART, "--twin"]).run().expect(0);
    expect_file("plan/quickstart/stdout.txt", &run.out);
    expect_file("plan/quickstart/stderr.txt", &run.err);
}

#[test]
fn apply_of_the_quickstart() {
    let run = lockstep(&["apply", QUICKSTART, "--twin", "--yes"]).run().expect(0);
    expect_file("apply/quickstart/stdout.txt", &run.out);
    expect_file("apply/quickstart/stderr.txt", &run.err);
}

//! `docs/cli.md`: the help of every command, written out of the program.

use std::process::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
const INTRO: &str = "\
# Command line

This page is what `lockstep --help` and the `--help` of each command print. A test compares it with the program.
";

/// What the program prints for `words` and `--help`, without spaces at the ends of lines.
fn help(words: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(words)
        .arg("--help")
        .env_clear()
        .output()
        .expect("the program runs");
    assert!(ran.status.success(), "{words:?}");
    let text = String::from_utf8(ran.stdout).expect("UTF-8");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn page() -> String {
    let program = lockstep::cli::command();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    let mut page = format!("{INTRO}\n## lockstep\n\n```text\n{}```\n", help(&[]));
    for command in commands {
        let name = command.get_name();
        page += &format!("\n## lockstep {name}\n\n```text\n{}```\n", help(&[name]));
    }
    page
}

#[test]
fn the_page_of_the_command_line_is_as_the_program_says() {
    let page = page();
    if std::env::var_os("LOCKSTEP_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).expect("the page is written");
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differs = page.lines().zip(committed.lines()).zip(1..).find(|((new, old), _)| new != old);
    let help = "LOCKSTEP_WRITE_DOCS=1 cargo test --test all -- book writes docs/cli.md anew";
    if let Some(((new, old), number)) = differs {
        panic!("docs/cli.md, line {number} is\n  {old}\nand should be\n  {new}\n{help}");
    }
    assert_eq!(page.lines().count(), committed.lines().count(), "{help}");
}

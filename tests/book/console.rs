//! Runs the commands of the book. A block `console` has commands behind `$ ` (more lines of one behind `> `) and below
//! each what it prints, stdout and stderr as they come. `…` stands for any text within a line and, alone on a line, for
//! any lines. The commands of a page run one after the other in one shell, in a new folder that has the folder
//! `manifests` of a clone. A command has to end with 0; one that does not is followed by `|| echo "exit code $?"`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::pages::{Page, all, split};

/// Languages of blocks that nobody types into a shell. `yaml` is part of a manifest, which a test validates; `yaml ci` is a
/// workflow.
const DATA: [&str; 7] = ["text", "yaml", "yaml ci", "json", "diff", "js", "hcl"];
/// How many blocks of commands cannot run on the twin. Each says why in a comment above it.
const NOT_RUN: usize = 11;
/// Ends the output of a command; it is followed by the exit code.
const END: &str = "\u{1e}";

/// A command of a page, and what the page says that it prints.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
}

/// The commands of a page, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in split(text).0.into_iter().filter(|block| block.info == "console") {
        let first = steps.len();
        for (line, text) in (block.line + 1..).zip(&block.body) {
            if let Some(command) = text.strip_prefix("$ ") {
                steps.push(Step { line, command: command.to_owned(), output: Vec::new() });
                continue;
            }
            assert!(steps.len() > first, "line {line}: a block begins with a command");
            let step = steps.last_mut().expect("a command");
            match text.strip_prefix("> ").or((*text == ">").then_some("")) {
                Some(more) if step.output.is_empty() => step.command += &format!("\n{more}"),
                _ => step.output.push((*text).to_owned()),
            }
        }
        assert!(steps.len() > first, "line {}: the block has no command", block.line);
    }
    for step in &steps {
        assert_ne!(step.output, ["…"], "line {}: `…` alone says nothing of the output", step.line);
    }
    steps
}

/// Whether the lines are what the page says. A line that is only `…` stands for any number of lines.
fn fits(said: &[String], lines: &[&str]) -> bool {
    match said.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|skip| fits(rest, &lines[skip..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| line_fits(first, line) && fits(rest, lines))
        }
    }
}

fn line_fits(said: &str, line: &str) -> bool {
    match said.split_once('…') {
        None => said == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|left| {
            left.char_indices().map(|(at, _)| at).chain([left.len()]).any(|at| line_fits(rest, &left[at..]))
        }),
    }
}

/// Runs the commands of a page and returns what is wrong.
fn run(page: &Page) -> Vec<String> {
    let steps = steps(&page.text);
    let folder = std::env::temp_dir().join(format!("lockstep-book-{}-{}", std::process::id(), page.name));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("manifests")).expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("manifests")).expect("manifests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().expect("a name");
        std::fs::copy(&path, folder.join("manifests").join(name)).expect("a copy");
    }
    let mut script = "exec 2>&1\n".to_owned();
    for step in &steps {
        script += &format!("{}\nprintf '{END}%s\\n' \"$?\"\n", step.command);
    }
    std::fs::write(folder.join("script.sh"), script).expect("the script");
    let program = Path::new(env!("CARGO_BIN_EXE_lockstep")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("PATH"));
    let ran = Command::new("sh")
        .arg("script.sh")
        .current_dir(&folder)
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    let _ = std::fs::remove_dir_all(&folder);
    let shown = String::from_utf8(ran.stdout).expect("UTF-8");
    judge(&page.name, &steps, &shown)
}

/// What differs between what the page says and what the shell showed.
fn judge(name: &str, steps: &[Step], shown: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut shown = shown.split(END);
    let mut output = shown.next().unwrap_or_default();
    for step in steps {
        let Some((code, rest)) = shown.next().and_then(|rest| rest.split_once('\n')) else {
            wrong.push(format!("docs/{name}:{}: the shell ended here, after\n{output}", step.line));
            break;
        };
        let lines: Vec<&str> = output.lines().collect();
        if code != "0" {
            wrong.push(format!("docs/{name}:{}: $ {}\nexit code {code}\n{output}", step.line, step.command));
        } else if !fits(&step.output, &lines) {
            let said = step.output.join("\n");
            wrong.push(format!(
                "docs/{name}:{}: $ {}\n--- the page says\n{said}\n--- it prints\n{output}",
                step.line, step.command
            ));
        }
        output = rest;
    }
    wrong
}

#[test]
fn every_command_prints_what_the_book_says() {
    let pages = all();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = pages
            .iter()
            .filter(|page| !steps(&page.text).is_empty())
            .map(|page| scope.spawn(|| run(page)))
            .collect();
        runs.into_iter().flat_map(|run| run.join().expect("a page")).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// No command escapes the test above, unless it says why.
#[test]
fn every_block_of_commands_runs_or_says_why_not() {
    let (mut wrong, mut not_run) = (Vec::new(), 0);
    for page in all() {
        for block in split(&page.text).0 {
            let problem = match block.info {
                "console" => continue,
                "sh no-run" => {
                    not_run += 1;
                    let why = block.above.trim().strip_prefix("<!-- not run: ");
                    why.is_none().then_some("has no reason above: <!-- not run: … -->")
                }
                word if DATA.contains(&word) => {
                    let typed = block.body.iter().any(|line| line.starts_with("$ "));
                    typed.then_some("has a command; make it a block `console`")
                }
                _ => Some("is neither `console` nor `sh no-run`, nor data"),
            };
            let at = format!("docs/{}:{}: the block `{}`", page.name, block.line, block.info);
            wrong.extend(problem.map(|what| format!("{at} {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(not_run, NOT_RUN, "as many blocks of commands are not run");
}

/// The parts that have to teach by doing: a page of them that runs nothing is only talk.
#[test]
fn the_tutorial_and_the_guides_run_commands() {
    // They need the Console of Twilio, a send, or a server.
    let silent = ["attest.md", "verify.md", "twin.md", "login.md"];
    let pages = all();
    let summary = pages.iter().find(|page| page.name == "SUMMARY.md").expect("the summary");
    let part = |title: &str| {
        let text = summary.text.split(&format!("# {title}\n")).nth(1).expect("the part");
        text.split("\n# ").next().unwrap_or_default()
    };
    let taught = [part("Tutorial"), part("Guides")].concat();
    for page in pages.iter().filter(|page| taught.contains(&format!("({})", page.name))) {
        let count = steps(&page.text).len();
        assert!(count > 0 || silent.contains(&page.name.as_str()), "docs/{} runs nothing", page.name);
    }
    let tutorial = pages.iter().find(|page| page.name == "tutorial.md").expect("the tutorial");
    assert!(steps(&tutorial.text).len() >= 15);
}

#[test]
fn another_output_is_found() {
    let text = "```console\n$ cat <<END\n> a\n> END\na\n$ true\n```\n```console\n$ false\n```\n";
    let read = steps(text);
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(read, [step(2, "cat <<END\na\nEND", &["a"]), step(6, "true", &[]), step(9, "false", &[])]);
    assert_eq!(judge("p", &read, "a\n\u{1e}0\n\u{1e}0\n\u{1e}0\n"), [""; 0]);
    for (shown, word) in [
        ("b\n\u{1e}0\n\u{1e}0\n\u{1e}0\n", "p:2"),
        ("\u{1e}0\n\u{1e}0\n\u{1e}0\n", "p:2"),
        ("a\n\u{1e}0\nmore\n\u{1e}0\n\u{1e}0\n", "p:6"),
        ("a\n\u{1e}0\n\u{1e}0\n\u{1e}1\n", "exit code 1"),
        ("a\n\u{1e}0\n", "the shell ended here"),
    ] {
        let wrong = judge("p", &read, shown);
        assert!(wrong.len() == 1 && wrong[0].contains(word), "{shown:?}: {wrong:?}");
    }
    let said: Vec<String> = ["a", "…", "id …, c", "…"].map(str::to_owned).into();
    assert!(fits(&said, &["a", "x", "y", "id 7, c"]) && fits(&said, &["a", "id 7, c", "z"]));
    assert!(!fits(&said, &["a", "x"]) && !fits(&said, &["a", "id 7, d"]) && !fits(&said, &["id 7, c"]));
}

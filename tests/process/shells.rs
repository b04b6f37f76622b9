//! Tests of what shells and readers of manuals are given: completions, manual pages, and the version.

use std::process::Command;

use super::lab::{Folder, lockstep};

/// Runs a script in a shell, if this machine has it. Continuous integration has all three.
fn in_shell(shell: &str, args: &[&str], script: &str) -> Option<String> {
    let run = match Command::new(shell).args(args).args(["-c", script]).output() {
        Ok(run) => run,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("LOCKSTEP_ALL_SHELLS").is_none(), "{shell} is not here");
            return None;
        }
        Err(error) => panic!("{shell}: {error}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(run.status.success() && run.stderr.is_empty(), "{shell}: {}", text(&run.stderr));
    Some(text(&run.stdout))
}

/// The file with a shell's completions.
fn script(folder: &Folder, shell: &str) -> String {
    let run = lockstep(&["completions", shell]).run().expect(0);
    assert_eq!(run.err, "");
    folder.write(if shell == "zsh" { "_lockstep" } else { shell }, &run.out)
}

/// Each shell is asked as a person asks it, with a word half written.
#[test]
fn shells_complete_commands_and_options() {
    let folder = Folder::new();
    let bash = script(&folder, "bash");
    let ask = |words: &str, at: usize| {
        let line = format!(
            "source {bash}; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _lockstep lockstep \"${{COMP_WORDS[{at}]}}\" ''; echo \"${{COMPREPLY[@]}}\""
        );
        in_shell("bash", &["--norc", "-u"], &line).map(|out| out.trim().to_owned())
    };
    assert_eq!(ask("lockstep pl", 1).expect("bash"), "plan");
    assert_eq!(ask("lockstep apply --ye", 2).expect("bash"), "--yes");
    assert!(ask("lockstep completions ''", 2).expect("bash").contains("zsh"));

    let fish = script(&folder, "fish");
    let line = format!("source {fish}; complete -C 'lockstep pl'; complete -C 'lockstep apply --ye'");
    if let Some(out) = in_shell("fish", &["--no-config"], &line) {
        let words: Vec<&str> = out.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(words, ["plan", "--yes"]);
    }

    script(&folder, "zsh");
    let at_prompt = AT_PROMPT.replace("FOLDER", &folder.text_path(""));
    if let Some(out) = in_shell("zsh", &["-f"], &at_prompt) {
        assert!(out.contains("lockstep plan "), "{out:?}");
    }
}

/// zsh completes at its prompt alone, so another one runs at a terminal of its own, and what stands there is printed.
const AT_PROMPT: &str = r#"
zmodload zsh/zpty
zpty z zsh -f
zpty -w z "PS1=; TERM=dumb; fpath=(FOLDER \$fpath); autoload -U compinit; compinit -u -D; print rea''dy"
read_until() {
  seen=''
  repeat 200; do
    while zpty -r -t z piece; do seen+=$piece; done
    [[ $seen == *$1* ]] && return
    sleep 0.05
  done
}
read_until ready
zpty -w -n z $'lockstep pl\t'
read_until 'plan '
print -r -- $seen
"#;

/// The script reaches the shell as it was made: nothing of it looks like a command of a CI runner or a secret.
#[test]
fn the_scripts_are_those_of_the_description() {
    use clap_complete::{Shell, generate};
    for (name, shell) in [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)] {
        let mut expected = Vec::new();
        generate(shell, &mut lockstep::cli::command(), "lockstep", &mut expected);
        let run = lockstep(&["completions", name]).run().expect(0);
        assert_eq!(run.out, String::from_utf8(expected).expect("text"), "{name}");
    }
    let run = lockstep(&["completions", "tcsh"]).run().expect(64);
    assert!(run.err.contains("bash, zsh, fish"), "{}", run.err);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let run = lockstep(&["man", "--out", "share/man1"]).folder(&folder).run().expect(0);
    let commands: Vec<String> =
        lockstep::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert_eq!(run.out, format!("share/man1: {} pages\n", commands.len() + 1));
    let top = folder.read("share/man1/lockstep.1");
    assert!(top.starts_with(".ie") || top.starts_with(".TH"), "{top}");
    for name in &commands {
        assert!(top.contains(&format!("lockstep\\-{name}(1)")), "{name} is not named in the first page");
        let page = folder.read(&format!("share/man1/lockstep-{name}.1"));
        assert!(page.contains("Example: lockstep"), "{name} has no example");
    }
    // A folder that cannot be made.
    folder.write("file", "");
    let run = lockstep(&["man", "--out", "file/man1"]).folder(&folder).run().expect(1);
    assert!(run.err.contains("file/man1"), "{}", run.err);
}

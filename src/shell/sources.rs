//! The sources that a manifest may refer to: this process's environment, files below the manifest's folder, and allowed
//! commands.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::files::{FileProblem, Folder, REFERENCE_LIMIT_BYTES};
use crate::manifest::{FileError, Sources};

/// Longest run of a command. A locked password manager needs its owner's time; after this long, nobody is there.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between two looks at a running command.
const COMMAND_LOOK: Duration = Duration::from_millis(10);

/// The real sources.
pub struct ProcessSources {
    /// The folder that `${file.PATH}` reads from.
    pub folder: Folder,
    /// Allowed commands, keyed by name; each is a line for `sh -c`. They come from the command line or the user's own
    /// configuration, never from a manifest: a pull request must not run code.
    pub commands: BTreeMap<String, String>,
    /// Values of `${var.NAME}`, keyed by name.
    pub vars: BTreeMap<String, String>,
    /// Name and domain of the tenant of a fleet, for commands: `LOCKSTEP_TENANT`, `LOCKSTEP_TENANT_DOMAIN`.
    pub tenant: Option<(String, String)>,
}

impl Sources for ProcessSources {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, relative_path: &str) -> Result<String, FileError> {
        self.folder.read(relative_path, REFERENCE_LIMIT_BYTES).map_err(|problem| match problem {
            FileProblem::NotFound => FileError::Missing,
            FileProblem::Absolute | FileProblem::Outside => FileError::Outside,
            other => FileError::Unreadable(format!("{:#}", anyhow::Error::from(other))),
        })
    }

    fn cmd(&self, name: &str) -> Option<Result<String, String>> {
        self.commands.get(name).map(|line| run(line, self.tenant.as_ref(), COMMAND_TIMEOUT))
    }

    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }
}

/// Runs a command and returns its output. An error text repeats nothing that the command printed.
fn run(line: &str, tenant: Option<&(String, String)>, timeout: Duration) -> Result<String, String> {
    let mut command = Command::new("sh");
    if let Some((name, domain)) = tenant {
        command.env("LOCKSTEP_TENANT", name).env("LOCKSTEP_TENANT_DOMAIN", domain);
    }
    // The user sees the command's stderr: a password manager asks there to be unlocked.
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else { return Err("its output cannot be read".into()) };
    // The output is read in another thread, because a full pipe would block the command for ever.
    let (tell, output) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(REFERENCE_LIMIT_BYTES + 1).read_to_end(&mut bytes);
        let _ = tell.send(read.map(|_| bytes));
    });
    let started = Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let ended =
        output.recv_timeout(left()).map(|read| read.map_err(|_| "its output cannot be read".to_owned()));
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            // With more output than allowed, the command may be blocked on the full pipe. Such output is not a secret
            // value anyway.
            Ok(None) if !left().is_zero() && !is_too_large(&ended) => std::thread::sleep(COMMAND_LOOK),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    if is_too_large(&ended) {
        return Err(format!("it printed more than {REFERENCE_LIMIT_BYTES} bytes"));
    }
    let bytes = match (status, ended) {
        (Some(status), Ok(bytes)) if status.success() => bytes?,
        (Some(status), Ok(_)) => return Err(format!("it failed ({status})")),
        _ => return Err(format!("it did not end within {} s", timeout.as_secs_f64())),
    };
    String::from_utf8(bytes).map_err(|_| "it printed no UTF-8 text".to_owned())
}

fn is_too_large<E, F>(read: &Result<Result<Vec<u8>, E>, F>) -> bool {
    matches!(read, Ok(Ok(bytes)) if bytes.len() as u64 > REFERENCE_LIMIT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::TestFolder;

    #[test]
    fn commands_give_their_output_or_the_reason() {
        let run = |line: &str| run(line, None, Duration::from_secs(10));
        assert_eq!(run("printf 'a b\\n\\n'"), Ok("a b\n\n".to_owned()));
        assert_eq!(run("echo hunter2; exit 3"), Err("it failed (exit status: 3)".to_owned()));
        assert_eq!(run("yes"), Err("it printed more than 1048576 bytes".to_owned()));
        assert_eq!(run(r"printf '\377'"), Err("it printed no UTF-8 text".to_owned()));
        assert!(run("lockstep-no-such-command 2>&1").is_err());
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let started = Instant::now();
        assert_eq!(
            run("exec sleep 30", None, Duration::from_millis(200)),
            Err("it did not end within 0.2 s".to_owned())
        );
        assert_eq!(
            run("sleep 30 & echo a", None, Duration::from_millis(200)),
            Err("it did not end within 0.2 s".to_owned())
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn only_what_was_handed_in_is_there() {
        let folder = TestFolder::new();
        std::fs::write(folder.path().join("key.pem"), "key").expect("file");
        let sources = ProcessSources {
            folder: Folder::of(&folder.path().join("lockstep.yaml")).expect("folder"),
            commands: BTreeMap::from([
                ("one".to_owned(), "echo 1".to_owned()),
                ("of".to_owned(), "echo $LOCKSTEP_TENANT $LOCKSTEP_TENANT_DOMAIN".to_owned()),
            ]),
            vars: BTreeMap::from([("x".to_owned(), "y".to_owned())]),
            tenant: Some(("acme-dev".to_owned(), "acme-dev.eu.auth0.example".to_owned())),
        };
        assert_eq!(sources.file("key.pem"), Ok("key".to_owned()));
        assert_eq!(sources.file("missing"), Err(FileError::Missing));
        assert_eq!(sources.file("../key.pem"), Err(FileError::Outside));
        assert!(matches!(sources.file(""), Err(FileError::Unreadable(_))));
        assert_eq!(sources.cmd("one"), Some(Ok("1\n".to_owned())));
        assert_eq!(sources.cmd("of"), Some(Ok("acme-dev acme-dev.eu.auth0.example\n".to_owned())));
        assert_eq!(sources.cmd("echo 1"), None);
        assert_eq!((sources.var("x"), sources.var("z")), (Some("y".to_owned()), None));
        assert!(sources.builtin("twilio-verify").is_some() && sources.builtin("c").is_none());
        assert_eq!(sources.env("LOCKSTEP_NO_SUCH_VARIABLE"), None);
    }
}

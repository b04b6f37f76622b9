//! One process of Node.js that runs one version, one call at a time.
//!
//! Its file descriptor 0 is a socket for calls and replies, so that what the code prints is never mixed with them. It
//! prints into one pipe, which keeps the order. All that comes from it is bounded and not trusted: the code can write
//! to its descriptors too.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::Failure;
use super::node::Node;

/// Most memory for objects of JavaScript.
const HEAP_MAX_MB: u32 = 128;
/// Most memory in all. Buffers lie outside of the heap.
const RESIDENT_MAX_KB: u64 = 256 * 1024;
/// Interval between two looks at the memory.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Most that may be printed in one call, or said in replies.
const OUTPUT_MAX: usize = 1024 * 1024;
/// So much of what is printed is kept: more than is shown, which is cut by characters.
const PRINTED_MAX: usize = 4096;
/// Longest time until a used child turns to its next call.
const TURN_MAX: Duration = Duration::from_secs(2);
/// Longest time for Node.js to start.
const START_MAX: Duration = Duration::from_secs(30);
/// Processor time of one child, over all its calls. It ends a loop if this program was killed before it could.
const PROCESSOR_MAX_S: u64 = 300;

/// The scripts of the child, by the name of their file.
const SCRIPTS: [(&str, &str); 2] =
    [("child.js", include_str!("child.js")), ("wall.js", include_str!("wall.js"))];

pub struct Child {
    process: tokio::process::Child,
    group: Pid,
    line: UnixStream,
    printed: pipe::Receiver,
    _folder: Folder,
    /// It has run the code before, which may have left something behind that keeps it busy.
    is_used: bool,
}

/// What was heard in a call.
pub struct Heard {
    pub outcome: Result<Json, Failure>,
    pub commands: Vec<Json>,
    /// The beginning of what was printed.
    pub printed: String,
    /// The child can take another call.
    pub can_go_on: bool,
    /// The child had ended before the call began in it.
    pub is_stale: bool,
}

impl Child {
    /// Starts a process, which waits for its first call. No code of others has run by then.
    ///
    /// # Errors
    /// It does not start; the text says why.
    pub async fn start(
        node: &Node,
        code: &str,
        packages: Option<&Path>,
        tls_port: u16,
        ca_file: &Path,
    ) -> Result<Child, String> {
        let failed = |what: &str, error: io::Error| {
            format!("a process for the code cannot be started: {what}: {error}")
        };
        let folder = Folder::new(code, packages).map_err(|error| failed("its folder", error))?;
        let (ours, theirs) =
            std::os::unix::net::UnixStream::pair().map_err(|error| failed("its socket", error))?;
        let (printed, prints) = std::io::pipe().map_err(|error| failed("its pipe", error))?;
        let prints_too = prints.try_clone().map_err(|error| failed("its pipe", error))?;

        let readable: Vec<&Path> = [Some(folder.path.as_path()), packages].into_iter().flatten().collect();
        let mut command = Command::new(&node.program);
        command
            .args(node.switches(&readable, HEAP_MAX_MB))
            .arg(folder.path.join("child.js"))
            .arg(tls_port.to_string())
            .env_clear()
            .env("NODE_EXTRA_CA_CERTS", ca_file)
            .current_dir(&folder.path)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(prints)
            .stderr(prints_too)
            .process_group(0)
            .kill_on_drop(true);
        let process = command.spawn().map_err(|error| failed(&node.program.display().to_string(), error))?;
        // Its ends of socket and pipe are now the child's alone.
        drop(command);
        let group = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = group.ok_or("a process for the code ended at once")?;
        limit(group);
        ours.set_nonblocking(true).map_err(|error| failed("its socket", error))?;
        let line = UnixStream::from_std(ours).map_err(|error| failed("its socket", error))?;
        let printed =
            pipe::Receiver::from_owned_fd(printed.into()).map_err(|error| failed("its pipe", error))?;
        let mut child = Child { process, group, line, printed, _folder: folder, is_used: false };
        let mut session = Session::default();
        match timeout(START_MAX, child.hear(&mut session, |session| session.is_ready)).await {
            Ok(Ok(())) => Ok(child),
            Ok(Err(End::Closed)) => {
                child.drain(&mut session);
                let said = session.text();
                Err(format!("Node.js does not start ({}): {}", node.program.display(), said.trim()))
            }
            Ok(Err(end)) => Err(format!("Node.js does not start ({})", end.text())),
            Err(_) => Err(format!("Node.js did not start within {} s", START_MAX.as_secs())),
        }
    }

    /// Makes one call: a line of JSON.
    pub async fn call(&mut self, message: &str, limit: Duration) -> Heard {
        let _ = kill_process_group(self.group, Signal::CONT);
        let mut session = Session::default();
        let now = Instant::now();
        let turn = if self.is_used { TURN_MAX.min(limit) } else { limit };
        self.is_used = true;
        let begun = timeout_at(now + turn, self.say("{}\n", &mut session, |session| session.has_begun)).await;
        let told = match begun {
            Ok(Ok(())) => {
                // What was printed and said until now belongs to earlier calls.
                self.drain(&mut session);
                session = Session { has_begun: true, ..Session::default() };
                let call = self.say(message, &mut session, |session| session.outcome.is_some());
                timeout_at(now + limit, call).await
            }
            ended => ended,
        };
        self.drain(&mut session);
        let failed = match told {
            Ok(Ok(())) => None,
            Ok(Err(End::Closed)) => {
                let status = self.status().await;
                Some(Failure::Ended(why_ended(status, &session.text())))
            }
            Ok(Err(end)) => Some(Failure::Ended(end.text())),
            Err(_) => Some(Failure::TimedOut(limit)),
        };
        let is_stale = !session.has_begun && failed.is_some();
        let can_go_on = failed.is_none() && !session.is_stray;
        let printed = session.text();
        let outcome = match failed {
            None => session.outcome.unwrap_or(Ok(Json::Null)),
            Some(failure) => Err(failure),
        };
        Heard { outcome, commands: session.commands, printed, can_go_on, is_stale }
    }

    /// Stops the process until the next call.
    pub fn freeze(&self) {
        let _ = kill_process_group(self.group, Signal::STOP);
    }

    /// Ends the process and all that it may have started.
    pub async fn end(mut self) {
        if self.process.id().is_some() {
            self.kill();
            let _ = self.process.wait().await;
        }
    }

    /// How the process ended that has closed its socket.
    async fn status(&mut self) -> Option<ExitStatus> {
        // The socket closes a moment before the status is there. Code may also have closed it and live on.
        let status = timeout(Duration::from_millis(500), self.process.wait()).await.ok()?.ok();
        // What it started would be in its group.
        self.kill();
        status
    }

    fn kill(&self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }

    /// Writes a line, and listens until `is_done`.
    async fn say(
        &mut self,
        line: &str,
        session: &mut Session,
        is_done: fn(&Session) -> bool,
    ) -> Result<(), End> {
        // A child that has ended takes nothing; its end is heard next.
        let _ = self.line.write_all(line.as_bytes()).await;
        self.hear(session, is_done).await
    }

    /// Listens until `is_done`, or until the child has to be ended.
    async fn hear(&mut self, session: &mut Session, is_done: fn(&Session) -> bool) -> Result<(), End> {
        let mut looks = interval(LOOK_PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut chunk = vec![0; 64 * 1024];
        while !is_done(session) {
            tokio::select! {
                read = self.line.read(&mut chunk) => match read {
                    Ok(0) | Err(_) => return Err(End::Closed),
                    Ok(count) => session.take(&chunk[..count])?,
                },
                ready = self.printed.readable() => {
                    if ready.is_err() || !self.drain(session) {
                        // Both outputs are closed; the socket tells what follows.
                        looks.tick().await;
                    }
                    session.check_printed()?;
                }
                _ = looks.tick() => {
                    if resident_kb(self.group).is_some_and(|kb| kb > RESIDENT_MAX_KB) {
                        return Err(End::Memory);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes what is in the pipe, at most a little more than may be printed. `false`: nobody will print any more.
    fn drain(&mut self, session: &mut Session) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        while session.printed_count <= OUTPUT_MAX {
            match self.printed.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => session.print(&chunk[..count]),
                Err(_) => return true,
            }
        }
        true
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Once its end was seen, its number may be another's.
        if self.process.id().is_some() {
            self.kill();
        }
    }
}

/// Why listening ended early.
enum End {
    /// The process closed its socket, mostly because it ended.
    Closed,
    Memory,
    Printed,
    Said,
    Nonsense,
}

impl End {
    fn text(&self) -> String {
        let mib = OUTPUT_MAX / 1024 / 1024;
        match self {
            End::Closed => "the process of the code ended".to_owned(),
            End::Memory => format!("the code used more memory than the {} MB it may", RESIDENT_MAX_KB / 1024),
            End::Printed => format!("the code printed more than {mib} MiB in one call"),
            End::Said => format!("the code answered, or said to `api`, more than {mib} MiB in one call"),
            End::Nonsense => "the code wrote to the descriptor that is kept for replies".to_owned(),
        }
    }
}

fn why_ended(status: Option<ExitStatus>, printed: &str) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(status) = status else {
        return "the code closed the descriptor that is kept for replies".to_owned();
    };
    match (status.code(), status.signal()) {
        (_, Some(_)) if printed.contains("heap out of memory") => {
            format!("the code used more memory than the {HEAP_MAX_MB} MB it may have for objects")
        }
        (Some(code), _) => format!("the code ended its process with exit code {code}"),
        (None, Some(signal)) => format!("the process of the code was ended by signal {signal}"),
        (None, None) => End::Closed.text(),
    }
}

/// What came in one call so far.
#[derive(Default)]
struct Session {
    line: Vec<u8>,
    said_count: usize,
    printed: Vec<u8>,
    printed_count: usize,
    is_ready: bool,
    has_begun: bool,
    is_stray: bool,
    outcome: Option<Result<Json, Failure>>,
    commands: Vec<Json>,
}

impl Session {
    fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.said_count += bytes.len();
        if self.said_count > OUTPUT_MAX {
            return Err(End::Said);
        }
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.note(serde_json::from_slice(&line).map_err(|_| End::Nonsense)?)?;
            } else {
                self.line.push(*byte);
            }
        }
        Ok(())
    }

    fn note(&mut self, mut message: Json) -> Result<(), End> {
        self.is_ready |= message.get("ready").is_some();
        self.has_begun |= message.get("began").is_some();
        // What comes before the call began was said by an earlier one.
        if self.outcome.is_some() || !self.has_begun || message.get("began").is_some() {
            return Ok(());
        }
        if let Some(command) = message.get_mut("said") {
            self.commands.push(command.take());
        } else if let Some(answer) = message.get_mut("done") {
            self.outcome = Some(Ok(answer.take()));
        } else if let Some(thrown) = message.get("threw") {
            let text = |name: &str| thrown[name].as_str().unwrap_or_default().to_owned();
            self.is_stray = thrown["stray"] == true;
            self.outcome = Some(Err(Failure::Threw { class: text("class"), message: text("message") }));
        } else {
            return Err(End::Nonsense);
        }
        Ok(())
    }

    fn print(&mut self, bytes: &[u8]) {
        self.printed_count += bytes.len();
        let room = PRINTED_MAX.saturating_sub(self.printed.len());
        self.printed.extend(bytes.iter().take(room));
    }

    fn check_printed(&self) -> Result<(), End> {
        if self.printed_count > OUTPUT_MAX { Err(End::Printed) } else { Ok(()) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed).into_owned()
    }
}

/// Limits by the kernel, beside those of Node.js: no file grows, no memory is dumped, and no loop goes on for ever.
#[cfg(target_os = "linux")]
fn limit(process: Pid) {
    use rustix::process::{Resource, Rlimit, prlimit};
    for (resource, most) in [(Resource::Fsize, 0), (Resource::Core, 0), (Resource::Cpu, PROCESSOR_MAX_S)] {
        let _ = prlimit(Some(process), resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(not(target_os = "linux"))]
fn limit(_: Pid) {}

/// Memory of a process. `None`: it has ended, or this system does not tell.
fn resident_kb(process: Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// A folder of one child, which is deleted with it.
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one with the scripts, the code as `index.js`, and the packages.
    fn new(code: &str, packages: Option<&Path>) -> io::Result<Folder> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Node.js compares real paths with those that may be read.
        let parent = std::fs::canonicalize(std::env::temp_dir())?;
        let folder = loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("lockstep-code-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break Folder { path },
                // Left over by a process of the same number. Nothing is written into somebody else's folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        for (name, text) in SCRIPTS.into_iter().chain([("index.js", code)]) {
            std::fs::write(folder.path.join(name), text)?;
        }
        if let Some(packages) = packages {
            std::os::unix::fs::symlink(packages.join("node_modules"), folder.path.join("node_modules"))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

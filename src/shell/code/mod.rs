//! Runs deployed JavaScript: the Action of a tenant, the Function of a Verify stack. Only `lockstep twin --login` asks
//! for it; engine, simulation and `--twin` run no code.
//!
//! ```text
//! run ─► a warm child of that version? ─► else Node.js, packages, a new child ─► one call ─► frozen until the next one
//! ```
//!
//! A child is one process of Node.js for one version ([`child`]), with an empty environment, a folder of its own, Node's
//! permission model, limits of time and memory, and connections to the twin alone (`wall.js`). What this does not hold
//! back is in docs/twin.md. Between calls a child is stopped, as on the vendors' platforms: nothing goes on in it.

mod child;
mod event;
mod node;
mod packages;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use super::clock::millis;
use super::secrets::Scrub;
use crate::model::secret::Secret;
use child::{Child, Heard};
use packages::Packages;

pub use event::function_event;
pub use node::find;
pub use packages::default_cache;

/// Auth0 ends an Action after this time (facts of 2026-08: one execution of a trigger takes at most 20 s).
const ACTION_MAX: Duration = Duration::from_secs(20);
/// Twilio ends a Function after this time.
const FUNCTION_MAX: Duration = Duration::from_secs(10);
/// Children at a time, those at work and those that wait for a call. One with Twilio's helper has about 75 MB.
const CHILDREN_MAX: usize = 4;
/// Auth0 keeps so many characters of what an Action prints.
const CONSOLE_MAX: usize = 256;

/// One deployed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What tells it from other versions. Code and dependencies count as well, so equal names do no harm.
    pub version: String,
    pub code: String,
    /// Name and version of each package.
    pub dependencies: Vec<(String, String)>,
}

/// One call of deployed code.
#[derive(Clone, Debug)]
pub enum Call {
    Action {
        /// `onExecuteCustomPhoneProvider`, `onExecuteSendPhoneMessage`, `onExecutePostLogin`.
        handler: String,
        /// The event, without `secrets`.
        event: Json,
        secrets: BTreeMap<String, Secret>,
    },
    Function {
        /// Variables of the environment; `getTwilioClient` is added.
        context: BTreeMap<String, Secret>,
        /// See [`function_event`].
        event: Json,
    },
}

/// What became of a call. No text in it holds a secret of the call, except the answer of a Function.
#[derive(Clone, Debug)]
pub struct Ran {
    /// An Action answers `null`. A Function answers `{"status": 200, "headers": {"name": "value" or a list of them},
    /// "body": "text"}`; a Function whose callback was given an error has failed, and Twilio would answer 500.
    pub outcome: Result<Json, Failure>,
    /// What the code said to `api`, in order: `{"call": "notification.drop", "arguments": ["…"]}`. There may be some
    /// even if the call failed. Of `notification.…` the last one counts.
    pub commands: Vec<Json>,
    /// What it printed: the first 256 characters.
    pub console: String,
    /// From the call to its end. The installation of packages does not count.
    pub ms: u64,
    /// A child was there that had run this version before.
    pub was_warm: bool,
}

/// Why a call failed. The texts are sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    NoNode(String),
    #[error("{0}")]
    Install(String),
    #[error("the code threw {class}: {message}")]
    Threw { class: String, message: String },
    #[error("the code did not end within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Its process ended, or was ended at a limit.
    #[error("{0}")]
    Ended(String),
}

/// How code is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1 where the twin speaks TLS.
    pub tls_port: u16,
    /// The certificate of the twin's authority.
    pub ca_file: PathBuf,
    /// Folder for packages and their locks; it may be deleted at any time between two runs.
    pub cache: PathBuf,
    /// Where `node` and `npm` are looked for.
    pub path: OsString,
    /// Longest time of a call of an Action, and of a Function.
    pub action_max: Duration,
    pub function_max: Duration,
}

impl Options {
    /// With this process's `PATH` and the limits of the vendors.
    pub fn new(tls_port: u16, ca_file: PathBuf, cache: PathBuf) -> Options {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Options { tls_port, ca_file, cache, path, action_max: ACTION_MAX, function_max: FUNCTION_MAX }
    }
}

/// Runs deployed code. To be used inside a tokio runtime; calls may overlap.
pub struct Runner {
    options: Options,
    packages: Packages,
    /// A version of Node.js that is recent enough, once it was found.
    node: RefCell<Option<node::Node>>,
    /// Children that wait for a call, the one that was used last at the end.
    idle: RefCell<Vec<(Vec<u8>, Child)>>,
    turns: Semaphore,
    is_ended: Cell<bool>,
}

impl Runner {
    pub fn new(options: Options) -> Runner {
        Runner {
            packages: Packages::new(options.cache.clone(), options.path.clone()),
            options,
            node: RefCell::new(None),
            idle: RefCell::new(Vec::new()),
            turns: Semaphore::new(CHILDREN_MAX),
            is_ended: Cell::new(false),
        }
    }

    /// Runs one call. It ends at the limits of the vendor, whatever the code does. The time that packages take to be
    /// installed comes on top, when a set of packages is used for the first time.
    pub async fn run(&self, source: &Source, call: Call) -> Ran {
        let scrub = Scrub::default();
        let (Call::Action { secrets, .. } | Call::Function { context: secrets, .. }) = &call;
        secrets.values().for_each(|secret| scrub.learn(secret));
        let key = key_of(source);
        let mut ran = match self.place(source, &key).await {
            Err(failure) => Ran::failed(failure),
            Ok(packages) => {
                // The semaphore is never closed.
                let _turn = self.turns.acquire().await;
                self.in_child(source, key, packages, call).await
            }
        };
        ran.commands.iter_mut().for_each(|command| scrub.json(command));
        ran.console = scrub.scrub(&ran.console);
        if let Err(Failure::Threw { class, message }) = &mut ran.outcome {
            (*class, *message) = (scrub.scrub(class), scrub.scrub(message));
        }
        ran
    }

    /// Ends all children. Calls that are still under way end with the futures that wait for them.
    pub async fn end(&self) {
        self.is_ended.set(true);
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        for (_, child) in idle {
            child.end().await;
        }
    }

    /// Sees to Node.js and the packages of a version, and answers the folder of the latter. A child that waits has both.
    async fn place(&self, source: &Source, key: &[u8]) -> Result<Option<PathBuf>, Failure> {
        if self.idle.borrow().iter().any(|(other, _)| other == key) {
            return Ok(None);
        }
        if self.node.borrow().is_none() {
            let found = node::find(&self.options.path).await.map_err(Failure::NoNode)?;
            *self.node.borrow_mut() = Some(found);
        }
        self.packages.folder(&source.dependencies).await.map_err(Failure::Install)
    }

    async fn in_child(
        &self,
        source: &Source,
        key: Vec<u8>,
        mut packages: Option<PathBuf>,
        call: Call,
    ) -> Ran {
        let limit = match &call {
            Call::Action { .. } => self.options.action_max,
            Call::Function { .. } => self.options.function_max,
        };
        let message = message_of(call);
        let began = Instant::now();
        let mut warm = self.take(&key);
        loop {
            let was_warm = warm.is_some();
            let child = match warm.take() {
                Some(child) => Ok(child),
                None => {
                    // Meanwhile another call may have taken the child that was there.
                    if packages.is_none() {
                        match self.place(source, &[]).await {
                            Ok(found) => packages = found,
                            Err(failure) => return Ran::failed(failure),
                        }
                    }
                    self.start(source, packages.as_deref()).await
                }
            };
            let mut child = match child {
                Ok(child) => child,
                Err(text) => return Ran::failed(Failure::Ended(text)),
            };
            let heard = child.call(&message, limit).await;
            if heard.is_stale && was_warm {
                // It had ended since its last call. Nothing of this call has happened.
                child.end().await;
                continue;
            }
            let Heard { outcome, commands, printed, can_go_on, .. } = heard;
            let ms = millis(began.elapsed());
            if can_go_on && !self.is_ended.get() {
                child.freeze();
                self.keep(key, child).await;
            } else {
                child.end().await;
            }
            let console = printed.chars().take(CONSOLE_MAX).collect();
            return Ran { outcome, commands, console, ms, was_warm };
        }
    }

    /// A child of that version that waits.
    fn take(&self, key: &[u8]) -> Option<Child> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|(other, _)| other == key)?;
        Some(idle.remove(at).1)
    }

    /// Keeps a child for the next call of its version.
    async fn keep(&self, key: Vec<u8>, child: Child) {
        self.idle.borrow_mut().push((key, child));
        self.make_room(0).await;
    }

    /// Ends those that were used least recently, until there is room for so many more.
    async fn make_room(&self, more: usize) {
        // This call has a turn itself; what it has or is about to start is in `more` or among those that wait.
        let at_work = CHILDREN_MAX.saturating_sub(self.turns.available_permits() + 1);
        loop {
            let ended = {
                let mut idle = self.idle.borrow_mut();
                let is_full = !idle.is_empty() && idle.len() + at_work + more > CHILDREN_MAX;
                is_full.then(|| idle.remove(0).1)
            };
            match ended {
                Some(child) => child.end().await,
                None => return,
            }
        }
    }

    async fn start(&self, source: &Source, packages: Option<&std::path::Path>) -> Result<Child, String> {
        self.make_room(1).await;
        let node = self.node.borrow().clone().expect("`place` has found it");
        let ca_file = &self.options.ca_file;
        Child::start(&node, &source.code, packages, self.options.tls_port, ca_file).await
    }
}

impl Ran {
    fn failed(failure: Failure) -> Ran {
        Ran { outcome: Err(failure), commands: Vec::new(), console: String::new(), ms: 0, was_warm: false }
    }
}

/// Tells versions apart.
fn key_of(source: &Source) -> Vec<u8> {
    let Source { version, code, dependencies } = source;
    digest(&SHA256, json!([version, code, dependencies]).to_string().as_bytes()).as_ref().to_vec()
}

/// The call as a line for the child.
fn message_of(call: Call) -> String {
    let shown = |values: BTreeMap<String, Secret>| -> Json {
        values.into_iter().map(|(name, value)| (name, Json::from(value.expose()))).collect()
    };
    let message = match call {
        Call::Action { handler, event, secrets } => {
            json!({ "handler": handler, "event": event, "secrets": shown(secrets) })
        }
        Call::Function { context, event } => {
            json!({ "handler": "handler", "event": event, "context": shown(context) })
        }
    };
    format!("{message}\n")
}

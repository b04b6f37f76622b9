//! `lockstep twin`: the built-in twin as a server for other processes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::Parser as _;

use super::args::duration;
use super::error::{Error, Result};
use super::exit::Exit;
use super::outputs::{Written, apart};
use super::setup::Shell;
use crate::shell::in_process::{load_twin, save_world};
use crate::shell::serve::{ServeOptions, Tls, serve};
use crate::twin::{Options, Rate, Rule, Twin, fault_grammar};

/// Serve the built-in twin of both APIs on this machine
///
/// Tenants and Twilio accounts are told apart by host name and credentials, and appear on first contact. An API key SK…
/// belongs to the account with the same digits, or to --account. Point Lockstep at it with --via. With --tls it is also
/// a proxy for clients with fixed hosts, which then need nothing but HTTPS_PROXY and the printed certificate. What goes
/// on is shown at /__twin/.
///
/// Example: lockstep twin --port 8181 --tls --ca-out ca.pem --fault 'POST /v2/Services: 503-after, 2x'
#[derive(clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes any free one and prints it
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keep the world in this file, which is written as it goes
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Append one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Speak TLS too, and CONNECT, with a certificate authority made for this run
    #[arg(long)]
    tls: bool,
    /// Write the authority's certificate here [default: a temporary file, printed]
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// A tenant under any host name, besides those under .auth0.com and .example
    #[arg(long = "tenant", value_name = "HOST", value_parser = host)]
    tenants: Vec<String>,
    /// Time from request to reply, such as 5ms or 2s
    #[arg(long, value_name = "DURATION", value_parser = span)]
    latency: Option<Duration>,
    /// Management API limits: free, professional, enterprise or unlimited
    #[arg(long, value_name = "PLAN", value_parser = ["free", "professional", "enterprise", "unlimited"])]
    rate: Option<String>,
    /// Let requests go wrong, such as 'GET /api/v2/actions: 429-in-3s, 2x'; repeatable, the first that fits counts
    #[arg(long = "fault", value_name = "SPEC", value_parser = fault)]
    faults: Vec<Rule>,
    /// Answer an open question about the APIs the other way; an unknown name lists all
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Account of API keys that the world does not know
    #[arg(long, value_name = "SID")]
    account: Option<String>,
    /// Let users sign in at /__twin/login, and run what is deployed, in child processes of Node.js 22 on this machine.
    /// With a manifest, it is applied first, with made-up values. Turns --tls on
    #[arg(long, value_name = "MANIFEST", num_args = 0..=1, default_missing_value = "")]
    login: Option<String>,
    /// Builds take this long, such as 50ms or 2m, whatever they hold
    #[arg(long, value_name = "DURATION", value_parser = span)]
    build: Option<Duration>,
}

fn fault(text: &str) -> Result<Rule, String> {
    fault_grammar::parse(text).map_err(|error| error.drawn(text))
}

/// Reads a duration that must have a unit: times of a twin are mostly milliseconds, while a bare number elsewhere means
/// seconds.
fn span(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(0) => Ok(Duration::ZERO),
        Ok(number) => Err(format!("{text:?} has no unit: write {number}ms, {number}s or {number}m")),
        Err(_) => duration(text),
    }
}

fn host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|ch| ch.is_ascii_alphanumeric() || ch == b'-')
    };
    if host.len() <= 253 && host.contains('.') && host.split('.').all(fits) {
        Ok(host)
    } else {
        Err("write a host name such as login.acme.example, without scheme and port".into())
    }
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let named = [("--world", &args.world), ("--log", &args.log), ("--ca-out", &args.ca_out)];
    let written: Vec<Written<'_>> =
        named.iter().filter_map(|(option, path)| Some((*option, path.as_deref()?))).collect();
    apart(&written, &[])?;
    let loaded = match &args.world {
        Some(path) => load_twin(path)?,
        None => None,
    };
    let loaded = match args.login.as_ref().filter(|manifest| !manifest.is_empty()) {
        Some(manifest) => match applied(loaded, Path::new(manifest), shell)? {
            Applied::World(twin) => Some(*twin),
            Applied::Failed(exit) => return Ok(exit),
        },
        None => loaded,
    };
    let mut twin = loaded.unwrap_or_else(|| Twin::new(Options { latency_ms: 0, ..Options::default() }, 1));
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if let Some(latency) = args.latency {
        twin.options.latency_ms = ms(latency);
    }
    if let Some(build) = args.build {
        twin.options.build_ms = ms(build);
        twin.options.build_with_dependencies_ms = ms(build);
        twin.options.function_build_ms = ms(build);
        twin.options.bindable_after_ms = ms(build).min(twin.options.bindable_after_ms);
    }
    if let Some(rate) = &args.rate {
        twin.options.rate = match rate.as_str() {
            "free" => Rate::Free,
            "professional" => Rate::Professional,
            "enterprise" => Rate::Enterprise,
            _ => Rate::Unlimited,
        };
    }
    if let Some(account) = &args.account {
        twin.options.default_account = Some(account.clone());
    }
    for option in &args.options {
        let usage = |text: String| Error::usage(format!("--option {text}"));
        let (name, value) =
            option.split_once('=').ok_or_else(|| usage(format!("{option:?} is not NAME=VALUE")))?;
        twin.options.set(name, value).map_err(usage)?;
    }
    if !args.faults.is_empty() {
        twin.faults.rules.clone_from(&args.faults);
    }
    for tenant in &args.tenants {
        twin.tenant_mut(tenant);
    }
    let tls = (args.tls || args.login.is_some())
        .then(|| Tls { names: twin.host_names(), ca_file: args.ca_out.clone() });
    let twin = Rc::new(RefCell::new(twin));
    let login = args.login.is_some().then(|| twin.clone());
    let options = ServeOptions {
        port: args.port,
        request_log: args.log.clone(),
        world_file: args.world.clone(),
        tls,
        login,
    };
    let say = &mut shell.say;
    serve(twin, &options, &shell.signals, |line| say.err_line(line))?;
    Ok(Exit::Done)
}

/// What became of the manifest of `--login`.
enum Applied {
    World(Box<Twin>),
    Failed(Exit),
}

/// A way to write the arguments of `apply`.
#[derive(clap::Parser)]
struct ApplyArgs {
    #[command(flatten)]
    args: super::apply::Args,
}

/// Applies a manifest to a twin, by the command that people use. A new world is made for the manifest, as `--twin` does.
fn applied(twin: Option<Twin>, manifest: &Path, shell: &mut Shell) -> Result<Applied> {
    let folder = Scratch::new()?;
    let world = folder.0.join("world.json");
    if let Some(twin) = &twin {
        save_world(twin, &world)?;
    }
    let words = ["apply".into(), manifest.as_os_str().to_owned(), option("--twin=", &world), "--yes".into()];
    let parsed = ApplyArgs::try_parse_from(words).map_err(|error| Error::usage(error.to_string()))?;
    let exit = super::apply::run(&parsed.args, shell)?;
    if exit != Exit::Done {
        return Ok(Applied::Failed(exit));
    }
    let is_new = twin.is_none();
    let Some(mut made) = load_twin(&world)?.or(twin) else { return Ok(Applied::Failed(Exit::Failed)) };
    if is_new {
        // As in every new world that is served; one that was given keeps its own.
        made.options.latency_ms = 0;
    }
    Ok(Applied::World(Box::new(made)))
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(name);
    word.push(path);
    word
}

/// A new folder that goes away with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        let name = format!("lockstep-twin-login-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).map_err(|error| {
            Error::internal(format!("folder {} cannot be made: {error}", folder.display()))
        })?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//! What the commands share: arguments, the manifest, the connection, the driver.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ring::digest;
use serde_json::json;

use super::json::Document;
use super::pace::Pace;
use super::{domain, drawing, mistaken};
use crate::diag::{Diagnostic, Severity};
use crate::engine::lease::TTL_MAX_MS;
use crate::engine::observe::Session;
use crate::engine::store::Store;
use crate::engine::{Connection, Grant, TenantId, TwilioAuth};
use crate::kinds;
use crate::ledger::prints;
use crate::manifest::{self, FileError, Missing, Parsed, Source, Sources, Tables};
use crate::model::manifest::Manifest;
use crate::model::plan::{Event, Plan, Purpose};
use crate::model::random::hex;
use crate::model::text;
use crate::shell::driver::{Driver, Transport};
use crate::shell::files::{self, ManifestFile};
use crate::shell::http::{Http, HttpOptions};
use crate::shell::in_process::{InProcess, load_twin, save_world};
use crate::shell::jwt;
use crate::shell::ledger_file::PathLedger;
use crate::shell::proxy::ProxySettings;
use crate::shell::secrets::{self, Scrub};
use crate::shell::signals::Signals;
use crate::shell::sources::ProcessSources;
use crate::shell::terminal::{ColorChoice, Say};
use crate::shell::via::Via;
use crate::twin::{Flag, Options, Twin};

/// The terminal, what may not be said on it, and the user's Ctrl-C.
pub struct Shell {
    pub say: Say,
    pub scrub: Scrub,
    pub signals: Signals,
    /// `--color`, for the voice that tells of progress.
    pub color: ColorChoice,
    /// The document of `--output json`.
    pub json: Document,
    /// What was printed of a manifest that is refused: how many errors it has.
    pub refused: Option<String>,
}

/// A mistake on the command line: exit code 64.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Usage {}

pub fn usage(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(text.into()))
}

/// Which manifest, and where its values come from.
#[derive(clap::Args)]
pub struct ManifestArgs {
    /// The manifest
    #[arg(default_value = "lockstep.yaml", value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// The manifest, as an option
    #[arg(short = 'f', long = "file", value_name = "MANIFEST", conflicts_with = "manifest")]
    pub file: Option<PathBuf>,
    /// A value for ${var.NAME}; none for a secret, which the list of processes would show
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Lets ${cmd.NAME} run this shell command
    #[arg(long = "allow-cmd", value_name = "NAME=COMMAND")]
    pub commands: Vec<String>,
}

impl ManifestArgs {
    /// The path given one way or the other.
    pub fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.manifest)
    }
}

/// How the tenant is reached.
#[derive(clap::Args)]
pub struct ConnectArgs {
    /// Run against the built-in twin in this process, no accounts needed; with =FILE its world is kept there
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub twin: Option<String>,
    /// Send every API call to this gateway, the real host name in Host; loopback only, unless https and forced
    #[arg(long, value_name = "URL", conflicts_with = "twin")]
    pub via: Option<String>,
    /// Allow --via to an https gateway that is not on this machine
    #[arg(long)]
    pub via_force: bool,
    /// Refuse any other tenant than this one; needed where the manifest chooses a domain that is none of Auth0's
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Trust the certificates of this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where the record is kept: tenant, file:PATH or none
    #[arg(long, value_name = "WHERE", default_value = "tenant")]
    pub ledger: String,
    /// Share of the Management API budget to use, in percent; the rest is left to your users' logins
    #[arg(long, value_name = "PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rate_share: u64,
    /// Give a request this long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,
    /// While this run holds the lease, it moves so often that others may take it for dead after this; at most 10m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease_ttl)]
    pub lease_ttl: Duration,
    /// End the run after this, whatever it waits for; questions to you do not count
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub deadline: Duration,
}

/// Reads `500ms`, `30s`, `5m`, `2h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|ch: char| ch.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a duration such as 30s or 5m"))?;
    let ms = match &text[digits.len()..] {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    match ms {
        Some(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(format!("{text:?} is not a duration such as 30s or 5m")),
    }
}

/// Beyond this others would wait for a dead run longer than anybody sits before a terminal; `engine/lease.rs` reads no more.
fn lease_ttl(text: &str) -> Result<Duration, String> {
    let most = Duration::from_millis(TTL_MAX_MS);
    match duration(text)? {
        ttl if ttl > most => {
            Err(format!("{text} is too long: a lease lasts at most {}m", most.as_secs() / 60))
        }
        ttl => Ok(ttl),
    }
}

/// A file that a command writes: the option that names it, and its path.
pub type Written<'a> = (&'static str, &'a Path);

/// Refuses to write to a file that the command reads, or by two options to one file.
pub fn apart(written: &[Written<'_>], read: &[(&str, &Path)]) -> Result<()> {
    for (at, (option, path)) in written.iter().enumerate() {
        let refuse = |what: &str| {
            let path = path.display();
            Err(usage(format!("{option} {path} is {what}\n  help: name another file")))
        };
        if let Some((what, _)) = read.iter().find(|(_, input)| files::is_same(path, input)) {
            return refuse(&format!("{what}, which this command reads"));
        }
        if let Some((other, _)) = written[..at].iter().find(|(_, other)| files::is_same(path, other)) {
            return refuse(&format!("what {other} names too"));
        }
        if let Err(problem) = files::writable(path) {
            let path = path.display();
            return Err(usage(format!(
                "{option} {path}: {problem}\n  help: name a new file, or a regular one"
            )));
        }
    }
    Ok(())
}

/// The same for everything that the manifest and the connection name.
fn outputs_apart(loaded: &Loaded, connect: &ConnectArgs, written: &[Written<'_>]) -> Result<()> {
    let mut all = written.to_vec();
    all.extend(connect.ledger.strip_prefix("file:").map(|path| ("--ledger", Path::new(path))));
    let world = connect.twin.as_deref().filter(|file| !file.is_empty());
    all.extend(world.map(|path| ("--twin", Path::new(path))));
    let named: Vec<PathBuf> =
        manifest::files(&loaded.parsed).iter().filter_map(|path| loaded.file.folder.file(path)).collect();
    let mut read = vec![("the manifest", loaded.file.path.as_path())];
    read.extend(named.iter().map(|path| ("a file that the manifest names", path.as_path())));
    read.extend(connect.ca_file.as_deref().map(|path| ("the file of --ca-file", path)));
    apart(&all, &read)
}

/// The tables of this build.
pub fn tables() -> Tables {
    Tables::new(kinds::sections(), kinds::OUTPUTS.iter().copied())
}

/// A manifest that was read; what is wrong with it is not told yet.
pub struct Loaded {
    pub parsed: Parsed,
    file: ManifestFile,
}

/// Reads a manifest. `None`: it is no YAML, which was printed.
pub fn load(args: &ManifestArgs, shell: &mut Shell) -> Result<Option<Loaded>> {
    let file = files::read_manifest(args.path())?;
    if let Some((what, help)) = mistaken::meant(&file.text) {
        bail!("{} is {what}, and not a manifest\n  help: {help}", file.path.display());
    }
    match manifest::read(&file.path.display().to_string(), &file.text, &tables()) {
        Ok(parsed) => Ok(Some(Loaded { parsed, file })),
        Err(rejected) => {
            tell(&rejected.diagnostics, &rejected.source, shell);
            Ok(None)
        }
    }
}

/// Prints what is to be said of a manifest, with the number of errors.
fn tell(diagnostics: &[Diagnostic], source: &Source, shell: &mut Shell) {
    shell.json.note(diagnostics, source);
    if !diagnostics.is_empty() {
        drawing::draw(diagnostics, source, shell);
    }
    let errors = diagnostics.iter().filter(|d| d.problem.severity == Severity::Error).count();
    if errors > 0 {
        let words = format!("{errors} error{} in the manifest", if errors == 1 { "" } else { "s" });
        shell.say.err_line(&words);
        shell.refused = Some(words);
    }
}

/// Fills references in and runs the checks of the kinds; prints every problem. `None`: there are errors.
pub fn resolve(
    loaded: &Loaded,
    args: &ManifestArgs,
    twin: bool,
    missing: Missing,
    shell: &mut Shell,
) -> Result<Option<Manifest>> {
    let sources = Outside {
        process: ProcessSources {
            folder: loaded.file.folder.clone(),
            commands: pairs(&args.commands, "--allow-cmd")?,
            vars: pairs(&args.vars, "--var")?,
            builtin: crate::builtin::source,
        },
        made_up: if twin { made_up(&loaded.parsed)? } else { BTreeMap::new() },
    };
    let examined = manifest::examine(&loaded.parsed, &sources, missing, &kinds::check);
    tell(&examined.diagnostics, &examined.source, shell);
    Ok((!examined.has_errors()).then_some(examined.manifest))
}

fn pairs(items: &[String], option: &str) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for item in items {
        let Some((name, value)) = item.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(usage(format!("{option} takes NAME=VALUE")));
        };
        out.insert(name.to_owned(), value.to_owned());
    }
    Ok(out)
}

/// Made-up connection values, all or none: half a real connection with half a made-up one would go somewhere that
/// nobody meant.
fn made_up(parsed: &Parsed) -> Result<BTreeMap<String, String>> {
    let references = manifest::references(parsed);
    let env: Vec<(&str, &str)> = references
        .iter()
        .filter_map(|reference| Some((reference.path.as_str(), reference.text.strip_prefix("env.")?)))
        .collect();
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let connection = |path: &str| path.starts_with("auth0.") || path.starts_with("twilio.");
    let (set, unset): (Vec<&str>, Vec<&str>) =
        env.iter().filter(|(path, _)| connection(path)).map(|(_, name)| *name).partition(|name| is_set(name));
    if !set.is_empty() && !unset.is_empty() {
        return Err(usage(format!(
            "--twin makes connection values up only when none is set; set: {}; not set: {}",
            set.join(", "),
            unset.join(", ")
        )));
    }
    if !set.is_empty() {
        return Ok(BTreeMap::new());
    }
    let is_drawn =
        |path: &str| ["api_secret", "API_SECRET", "AUTH_TOKEN"].iter().any(|name| path.ends_with(name));
    let digits = "00000000000000000000000000000001";
    let drawn =
        |name: &str, bytes: usize| hex(&digest::digest(&digest::SHA256, name.as_bytes()).as_ref()[..bytes]);
    let mut out = BTreeMap::new();
    for (path, name) in env {
        if is_set(name) {
            continue;
        }
        let value = match path {
            "auth0.domain" => "acme-twin.eu.auth0.example".to_owned(),
            "twilio.account_sid" => format!("AC{digits}"),
            "twilio.api_key" => format!("SK{digits}"),
            path if path.ends_with("api_key") || path.ends_with("API_KEY") => {
                format!("SK{}", drawn(name, 16))
            }
            // As Twilio draws them. What connects stays as it was, for the worlds that are kept.
            path if is_drawn(path) && !connection(path) => drawn(name, 16),
            path if path.ends_with("VERIFY_SID") => format!("VA{}", drawn(name, 16)),
            path if path.ends_with("endpoint") => "https://acme-feedback.example/auth0-logs".to_owned(),
            // No word of it may stand in the output, or the scrubber would blank that word everywhere.
            _ => format!("made-up-{}", drawn(name, 12)),
        };
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// The process's sources, with values that `--twin` makes up where the environment has none.
struct Outside {
    process: ProcessSources,
    made_up: BTreeMap<String, String>,
}

impl Sources for Outside {
    fn env(&self, name: &str) -> Option<String> {
        self.process.env(name).filter(|value| !value.is_empty()).or_else(|| self.made_up.get(name).cloned())
    }
    fn file(&self, relative_path: &str) -> Result<String, FileError> {
        self.process.file(relative_path)
    }
    fn cmd(&self, name: &str) -> Option<Result<String, String>> {
        self.process.cmd(name)
    }
    fn var(&self, name: &str) -> Option<String> {
        self.process.var(name)
    }
    fn builtin(&self, name: &str) -> Option<&'static str> {
        self.process.builtin(name)
    }
}

/// A manifest with everything needed to talk to its tenant.
pub struct Ready<'a> {
    pub driver: Driver<'a>,
    pub tenant: TenantId,
    pub session: Session,
    /// When the run ends at the latest, by the driver's clock.
    deadline_ms: u64,
    /// `--deadline`, as it was taken.
    deadline: Duration,
    world: Option<(PathBuf, Rc<RefCell<Twin>>)>,
}

impl Ready<'_> {
    /// Moves the deadline: so long a person was asked.
    pub fn asked_for(&mut self, ms: u64) {
        self.deadline_ms = self.deadline_ms.saturating_add(ms);
        self.driver.set_deadline(self.deadline_ms);
    }

    /// Why a run was stopped before its work was done.
    pub fn why_stopped(&self) -> String {
        match self.driver.late() {
            Some(waits) if self.driver.signal().is_none() => format!(
                "the deadline of {} s was reached while waiting for {waits}",
                self.deadline.as_millis().div_ceil(1000)
            ),
            _ => "stopped".to_owned(),
        }
    }

    /// Keeps the twin's world, if a file was named.
    pub fn close(self) -> Result<()> {
        match &self.world {
            Some((path, twin)) => save_world(&*twin.borrow(), path),
            None => Ok(()),
        }
    }
}

/// How far a command got towards its tenant.
pub enum Start<'a> {
    Ready(Box<Ready<'a>>),
    /// These places of the manifest have no value, and without them nobody lets us in.
    Unconnected(Box<Manifest>, Vec<&'static str>),
}

/// Loads, resolves and connects. `Ok(None)`: the manifest has errors, which were printed.
pub fn ready<'a>(
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(TenantId, Event) + 'a,
) -> Result<Option<Ready<'a>>> {
    match start(manifest_args, connect, missing, written, shell, show)? {
        None => Ok(None),
        Some(Start::Ready(ready)) => Ok(Some(*ready)),
        Some(Start::Unconnected(_, places)) => bail!("{}", without(&places)),
    }
}

/// Why there is no connection, and what to do.
pub fn without(places: &[&str]) -> String {
    format!(
        "no value to connect with: {}\n  help: set what the manifest takes them from, or try it with --twin",
        places.join(", ")
    )
}

/// [`ready`], and what there is when there is nothing to connect with.
pub fn start<'a>(
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(TenantId, Event) + 'a,
) -> Result<Option<Start<'a>>> {
    let Some(loaded) = load(manifest_args, shell)? else { return Ok(None) };
    outputs_apart(&loaded, connect, written)?;
    let twin = connect.twin.is_some();
    let Some(manifest) = resolve(&loaded, manifest_args, twin, missing, shell)? else { return Ok(None) };
    learn(&manifest, &shell.scrub);
    domain::admit(&loaded.parsed, &manifest, connect, shell)?;
    let connection = match connection(&manifest, connect, &shell.scrub)? {
        Ok(connection) => connection,
        Err(places) => return Ok(Some(Start::Unconnected(Box::new(manifest), places))),
    };
    let session = session(manifest, connect, &connection)?;
    let (transport, world) = transport(connect, &session.manifest)?;
    let mut driver = Driver::new(transport, secrets::seed()?, shell.signals.clone(), show)?;
    let tenant = driver.connect(connection);
    let deadline = connect.deadline;
    let deadline_ms = driver.now_ms().saturating_add(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
    driver.set_deadline(deadline_ms);
    Ok(Some(Start::Ready(Box::new(Ready { driver, tenant, session, deadline_ms, deadline, world }))))
}

/// Tells the scrubber every secret of the manifest.
fn learn(manifest: &Manifest, scrub: &Scrub) {
    for value in manifest.sections.values().flat_map(|attrs| attrs.values()) {
        if let crate::model::value::Value::Secret(secret) = value {
            scrub.learn(secret);
        }
    }
}

fn missing(needs: &[(&'static str, bool)]) -> Vec<&'static str> {
    needs.iter().filter(|(_, there)| !there).map(|(place, _)| *place).collect()
}

/// The connection, or the places of the manifest that it needs and that have no value.
fn connection(
    manifest: &Manifest,
    args: &ConnectArgs,
    scrub: &Scrub,
) -> Result<std::result::Result<Connection, Vec<&'static str>>> {
    let secret = |section: &str, key: &str| manifest.secret(section, key).cloned();
    let text = |section: &str, key: &str| {
        let exposed = || secret(section, key).map(|secret| secret.expose().to_owned());
        manifest.text(section, key).map(str::to_owned).or_else(exposed)
    };
    let (domain, client_id) = (text("auth0", "domain"), text("auth0", "client_id"));
    let (client_secret, private_key) = (secret("auth0", "client_secret"), secret("auth0", "private_key"));
    let account_sid = text("twilio", "account_sid");
    let key = manifest.text("twilio", "api_key").map(str::to_owned).zip(secret("twilio", "api_secret"));
    let twilio = key
        .map(|(sid, secret)| TwilioAuth::Key { sid, secret })
        .or_else(|| secret("twilio", "auth_token").map(TwilioAuth::Token));
    let needs = [
        ("auth0.domain", domain.is_some()),
        ("auth0.client_id", client_id.is_some()),
        ("auth0.client_secret (or private_key)", client_secret.is_some() || private_key.is_some()),
        ("twilio.account_sid", account_sid.is_some()),
        ("twilio.api_key with api_secret (or auth_token)", twilio.is_some()),
    ];
    let (Some(domain), Some(client_id), Some(account_sid), Some(twilio)) =
        (domain, client_id, account_sid, twilio)
    else {
        return Ok(Err(missing(&needs)));
    };
    let grant = match (client_secret, private_key) {
        (Some(secret), _) => Grant::ClientSecret(secret),
        (None, Some(pem)) => {
            let name = manifest.text("auth0", "private_key_algorithm").unwrap_or("RS256");
            let algorithm =
                jwt::Algorithm::parse(name).with_context(|| format!("unknown algorithm {name}"))?;
            let key_id = manifest.text("auth0", "key_id").map(str::to_owned);
            jwt::assertion_grant(&pem, algorithm, key_id, &client_id, &domain).context("auth0.private_key")?
        }
        (None, None) => return Ok(Err(missing(&needs))),
    };
    match &twilio {
        TwilioAuth::Key { sid, secret } => scrub.learn_pair(sid, secret),
        TwilioAuth::Token(token) => scrub.learn_pair(&account_sid, token),
    }
    let audience =
        manifest.text("auth0", "audience").map_or_else(|| format!("https://{domain}/api/v2/"), str::to_owned);
    Ok(Ok(Connection {
        domain,
        audience,
        client_id,
        grant,
        account_sid,
        twilio,
        scrubber: scrub.snapshot(),
        share_percent: args.rate_share,
    }))
}

fn session(manifest: Manifest, args: &ConnectArgs, connection: &Connection) -> Result<Session> {
    let store = match args.ledger.as_str() {
        "tenant" => Store::Tenant,
        "none" => Store::None,
        other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
            Some(path) => Store::File(Rc::new(PathLedger::new(path))),
            None => return Err(usage(format!("--ledger {other:?} is not one of tenant, file:PATH, none"))),
        },
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".into());
    let host = variable("HOSTNAME").or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.map_or_else(|| "unknown".into(), |name| name.trim().to_owned());
    let revision =
        ["LOCKSTEP_REVISION", "GITHUB_SHA", "CI_COMMIT_SHA"].iter().find_map(|name| variable(name));
    Ok(Session {
        manifest: Rc::new(manifest),
        tenant: connection.domain.clone(),
        account: connection.account_sid.clone(),
        store,
        entropy: secrets::entropy()?,
        rounds: prints::ROUNDS,
        lease_ttl_ms: u64::try_from(args.lease_ttl.as_millis()).unwrap_or(u64::MAX),
        who: format!("{user}@{host} pid {}", std::process::id()),
        revision: revision.unwrap_or_default().chars().take(64).collect(),
        destroy: false,
        allow_delete: false,
        named: Default::default(),
        purpose: Purpose::Apply,
    })
}

type World = Option<(PathBuf, Rc<RefCell<Twin>>)>;

fn transport(args: &ConnectArgs, manifest: &Manifest) -> Result<(Transport, World)> {
    if let Some(file) = &args.twin {
        let path = (!file.is_empty()).then(|| PathBuf::from(file));
        let loaded = match &path {
            Some(path) => load_twin(path)?,
            None => None,
        };
        // A manifest of the legacy way is for a tenant from before March 2025, so a new world has such a one.
        let is_older = kinds::legacy::is_legacy(manifest);
        let unified_flag = if is_older { Flag::Off } else { Flag::On };
        let options = Options { default_account: None, unified_flag, ..Options::default() };
        let twin = Rc::new(RefCell::new(loaded.unwrap_or_else(|| Twin::new(options, 1))));
        // Builds of the last run took virtual time; the world must not go back in time.
        let start_ms = crate::shell::clock::Clock::start().now_ms().max(twin.borrow().clock_ms);
        let in_process = InProcess::new(twin.clone(), start_ms);
        return Ok((Transport::InProcess(in_process), path.map(|path| (path, twin))));
    }
    let via = match &args.via {
        Some(url) => Some(Via::parse(url, args.via_force).map_err(|problem| usage(problem.to_string()))?),
        None => None,
    };
    if let Some(via) = via.as_ref().filter(|via| via.is_closed()) {
        bail!("nothing listens at {via}, the gateway of --via\n  help: start the gateway, or check its port");
    }
    // A request that outlives the lease would let two runs interleave.
    let request_timeout = args.request_timeout.min(args.lease_ttl / 2).max(Duration::from_millis(500));
    let proxy = if via.is_some() { ProxySettings::none() } else { ProxySettings::of_this_process() };
    let options =
        HttpOptions { via, proxy, ca_file: args.ca_file.clone(), request_timeout, ..HttpOptions::default() };
    Ok((Transport::Http(Http::new(&options)?), None))
}

/// What the audit lines of a run have in common; the plan is known only once it was made.
#[derive(Default)]
pub struct Audit {
    file: Option<std::fs::File>,
    who: String,
    tenant: String,
    stack: String,
    plan: String,
    step: Option<(usize, String)>,
}

impl Audit {
    /// An audit that is written nowhere.
    pub fn new() -> Rc<RefCell<Audit>> {
        Rc::default()
    }

    /// Opens the file of `--audit`, once it is known that the command reads no such file.
    pub fn write_to(&mut self, path: Option<&Path>) -> Result<()> {
        self.file = path.map(files::open_append).transpose()?;
        Ok(())
    }

    /// Tells what the lines that follow belong to.
    pub fn begin(&mut self, session: &Session, plan: &Plan) {
        self.who.clone_from(&session.who);
        self.tenant.clone_from(&session.tenant);
        self.stack.clone_from(&session.manifest.stack);
        self.plan.clone_from(&plan.basis);
    }

    /// One JSON line per write that was answered or lost; reads and tokens are none.
    fn hear(&mut self, event: &Event, now: String) -> std::io::Result<()> {
        use std::io::Write as _;
        match event {
            Event::StepStarted { number, address, .. } => self.step = Some((*number, address.clone())),
            Event::StepDone { .. } => self.step = None,
            Event::Request { host, method, path, status, request_id, .. }
                if *method != "GET" && path != "/oauth/token" =>
            {
                let Some(file) = &mut self.file else { return Ok(()) };
                let (number, address) =
                    self.step.clone().map_or((None, None), |(n, address)| (Some(n), Some(address)));
                let line = json!({
                    "at": now, "by": self.who, "tenant": self.tenant, "stack": self.stack, "plan": self.plan,
                    "step": number, "address": address, "method": method, "host": host, "path": path,
                    "status": status, "request_id": request_id,
                });
                writeln!(file, "{}", text::json(&line.to_string()))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Shows progress: one line per event on stderr, and every request with `-v`.
pub fn progress(shell: &Shell, audit: Rc<RefCell<Audit>>) -> impl FnMut(TenantId, Event) + use<> {
    let mut say = Say::new(shell.scrub.clone(), shell.color);
    let clock = crate::shell::clock::Clock::start();
    let mut pace = Pace::default();
    move |_, event| {
        let now_ms = clock.now_ms();
        let now = crate::engine::apply::timestamp(now_ms);
        if let Err(error) = audit.borrow_mut().hear(&event, now) {
            say.err_line(format!("  the audit file cannot be written: {error}"));
        }
        if let Some(line) = pace.hear(&event, now_ms) {
            say.err_one_line(line);
        }
        match event {
            Event::Request { host, method, path, status, attempt, ms, .. } => {
                let status = status.map_or_else(|| "no reply".to_owned(), |status| status.to_string());
                tracing::info!(target: "lockstep::request", "{method} https://{host}{path} {status} ({ms} ms, attempt {attempt})");
            }
            Event::Holding { host, ms, why } => {
                tracing::debug!(target: "lockstep::request", "holding back {host} for {ms} ms: {why}");
                if ms >= crate::engine::gate::TOLD_FROM_MS {
                    say.err_one_line(format!("  waiting {} s for {host}: {why}", ms.div_ceil(1000)));
                }
            }
            Event::StepDone { number, address, .. } => {
                tracing::debug!(target: "lockstep::step", "step {number} ({address}) done");
            }
            Event::StepStarted { .. } | Event::Polling { .. } => {}
            Event::Notice(text) => say.err_one_line(format!("  {text}")),
        }
    }
}

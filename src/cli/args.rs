//! Arguments that several commands share, as types.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diag::nearest;
use crate::engine::lease::TTL_MAX_MS;
use crate::model::duration;
use crate::report::Format;

/// Which manifest, and where its values come from.
#[derive(clap::Args)]
pub struct ManifestArgs {
    /// The manifest
    #[arg(default_value = "lockstep.yaml", value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// The manifest, as an option
    #[arg(short = 'f', long = "file", value_name = "MANIFEST", conflicts_with = "manifest")]
    pub file: Option<PathBuf>,
    /// Of a fleet file: this tenant; validate, plan and drift take several
    #[arg(long = "tenant", value_name = "NAME")]
    pub tenants: Vec<String>,
    /// A value for ${var.NAME}; not for secrets, because the list of processes shows it
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Lets ${cmd.NAME} run this shell command
    #[arg(long = "allow-cmd", value_name = "NAME=COMMAND")]
    pub commands: Vec<String>,
}

impl ManifestArgs {
    /// The path of the manifest, given as `--file` or as an argument.
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
    /// Refuse any other tenant than this one; needed where the manifest chooses a domain that is not Auth0's own
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Trust the certificates of this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where the record is kept: tenant, file:PATH or none
    #[arg(long, value_name = "WHERE", default_value = "tenant", value_parser = ledger)]
    pub ledger: LedgerPlace,
    /// Share of the Management API budget to use, in percent; the rest is left to your users' logins
    #[arg(long, value_name = "PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rate_share: u64,
    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,
    /// Other runs take the lease over after it has not moved for this long; at most 10m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease_ttl)]
    pub lease_ttl: Duration,
    /// End the run after this, whatever it waits for; questions to you do not count
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub deadline: Duration,
}

/// Reads `500ms`, `30s`, `5m`, `2h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parsed(text).ok_or_else(|| format!("{text:?} is not a duration such as 30s or 5m"))
}

/// Reads the lease's time. It has an upper limit: other runs wait this long for a dead run, and nobody sits longer
/// before a terminal. `engine/lease.rs` accepts no larger value.
fn lease_ttl(text: &str) -> Result<Duration, String> {
    let most = Duration::from_millis(TTL_MAX_MS);
    match duration(text)? {
        ttl if ttl > most => {
            Err(format!("{text} is too long: a lease lasts at most {}m", most.as_secs() / 60))
        }
        ttl => Ok(ttl),
    }
}

/// Where the record is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In an Action of the tenant.
    Tenant,
    File(PathBuf),
    Nowhere,
}

fn ledger(text: &str) -> Result<LedgerPlace, String> {
    match (text, text.strip_prefix("file:")) {
        ("tenant", _) => Ok(LedgerPlace::Tenant),
        ("none", _) => Ok(LedgerPlace::Nowhere),
        (_, Some(path)) if !path.is_empty() => Ok(LedgerPlace::File(path.into())),
        _ => Err("it is not one of tenant, file:PATH, none".into()),
    }
}

/// How the result is written.
#[derive(clap::Args)]
pub struct Output {
    /// text, json, markdown, sarif, junit or github; =FILE writes it there instead of to stdout; may be repeated
    #[arg(long = "output", value_name = "FORMAT[=FILE]", value_parser = form)]
    pub forms: Vec<Form>,
}

/// A form of the result, and the file that it goes to; `None`: stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub format: Format,
    pub file: Option<PathBuf>,
}

/// Reads `json`, `json=FILE`, or `json=-` for stdout.
pub fn form(text: &str) -> Result<Form, String> {
    let (word, file) = match text.split_once('=') {
        Some((word, file)) => (word, Some(file)),
        None => (text, None),
    };
    let Some(format) = Format::ALL.into_iter().find(|format| format.word() == word) else {
        let words = Format::ALL.map(Format::word);
        let near = nearest(word, words).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(format!("it is not one of {}{near}", words.join(", ")));
    };
    if file == Some("") {
        return Err(format!(
            "no file stands behind the equals sign; write {word}=FILE, or {word} for stdout"
        ));
    }
    Ok(Form { format, file: file.filter(|file| *file != "-").map(PathBuf::from) })
}

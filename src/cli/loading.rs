//! Loads a manifest from its path and resolves its values.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::digest;

use super::args::ManifestArgs;
use super::error::{Error, Result};
use super::outputs::admit_unparsed;
use super::setup::Shell;
use super::{drawing, fleet, mistaken};
use crate::diag::{self, Diagnostic, Severity};
use crate::kinds;
use crate::manifest::{self, FileError, Missing, Parsed, Source, Sources};
use crate::model::manifest::Manifest;
use crate::model::random::hex;
use crate::plan::desired::tables;
use crate::shell::files::{self, Folder, ManifestFile};
use crate::shell::sources::ProcessSources;

/// A parsed manifest, whose problems have not been shown yet.
pub struct Loaded {
    pub parsed: Parsed,
    pub file: ManifestFile,
    /// The program wrote the text itself: its warnings are no news to a person.
    pub is_our_own: bool,
    /// Name and domain, for a tenant of a fleet.
    pub tenant: Option<(String, String)>,
}

/// Reads a manifest. `None`: the manifest cannot be parsed, and the problems were printed.
pub fn load(args: &ManifestArgs, shell: &mut Shell) -> Result<Option<Loaded>> {
    if fleet::is_fleet(args.path()) {
        return fleet::one(args, shell);
    }
    if !args.tenants.is_empty() {
        return Err(fleet::no_fleet("--tenant"));
    }
    let file = files::read_manifest(args.path())
        .map_err(|problem| Error::manifest(problem.message).help(problem.help))?;
    if let Some((what, help)) = mistaken::meant(&file.text) {
        let wrong = Error::manifest(format!("{} is {what}, and not a manifest", file.path.display()));
        return Err(wrong.help(help));
    }
    let name = file.path.display().to_string();
    match manifest::read_lossy(&name, &file.text, &file.lost, &tables()) {
        Ok(parsed) => Ok(Some(Loaded { parsed, file, is_our_own: false, tenant: None })),
        Err(rejected) => {
            admit_unparsed(shell, &file.text);
            tell(&rejected.diagnostics, &rejected.source, shell);
            Ok(None)
        }
    }
}

/// Prints the diagnostics of a manifest and the number of errors.
pub fn tell(diagnostics: &[Diagnostic], source: &Arc<Source>, shell: &mut Shell) {
    shell.reports.note(diagnostics, source);
    if !diagnostics.is_empty() {
        drawing::draw(diagnostics, source, shell);
    }
    if let Some(errors) = diag::errors(diagnostics) {
        let words = format!("{errors} in the manifest");
        shell.say.err_line(&words);
        shell.refused = Some(words);
    }
}

/// Resolves the references, runs the checks of the kinds, and prints every problem. `None`: there are errors.
pub fn resolve(
    loaded: &Loaded,
    args: &ManifestArgs,
    twin: bool,
    missing: Missing,
    shell: &mut Shell,
) -> Result<Option<Manifest>> {
    let sources = Outside::new(&loaded.parsed, &loaded.file.folder, args, twin, loaded.tenant.clone())?;
    let mut examined = manifest::examine(&loaded.parsed, &sources, missing, &kinds::check);
    let is_news = |one: &Diagnostic| !loaded.is_our_own || one.problem.severity == Severity::Error;
    examined.diagnostics.retain(is_news);
    tell(&examined.diagnostics, &examined.source, shell);
    shell.reports.keep(&examined.source, &examined.manifest);
    Ok((!examined.has_errors()).then_some(examined.manifest))
}

fn pairs(items: &[String], option: &str) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for item in items {
        let Some((name, value)) = item.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Error::usage(format!("{option} takes NAME=VALUE")));
        };
        out.insert(name.to_owned(), value.to_owned());
    }
    Ok(out)
}

/// The values that `--twin` makes up for unset variables. Those of the connection are made up all or not at all: a half
/// real, half made-up connection would reach a place that nobody meant.
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
        return Err(Error::usage(format!(
            "--twin makes connection values up only when none is set; set: {}; not set: {}",
            set.join(", "),
            unset.join(", ")
        )));
    }
    if !set.is_empty() {
        return Ok(BTreeMap::new());
    }
    let account = manifest::literals(parsed).0.remove("twilio.account_sid");
    let account = account.as_ref().and_then(|sid| sid.as_str()?.strip_prefix("AC"));
    let digits = account.unwrap_or("00000000000000000000000000000001");
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
            // The twin takes a key for one of the account with the same digits.
            "twilio.api_key" => format!("SK{digits}"),
            path if path.ends_with("api_key") || path.ends_with("API_KEY") => {
                format!("SK{}", drawn(name, 16))
            }
            path if path.ends_with("VERIFY_SID") => format!("VA{}", drawn(name, 16)),
            path if path.ends_with("endpoint") => "https://acme-feedback.example/auth0-logs".to_owned(),
            // The value must contain no word of the output, or the scrubber would blank that word everywhere.
            _ => format!("made-up-{}", drawn(name, 12)),
        };
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// The sources of this process. With `--twin`, made-up values stand in for unset variables.
pub struct Outside {
    process: ProcessSources,
    made_up: BTreeMap<String, String>,
}

impl Outside {
    /// The sources of a manifest. `tenant`: name and domain, for a tenant of a fleet.
    pub fn new(
        parsed: &Parsed,
        folder: &Folder,
        args: &ManifestArgs,
        twin: bool,
        tenant: Option<(String, String)>,
    ) -> Result<Outside> {
        Ok(Outside {
            process: ProcessSources {
                folder: folder.clone(),
                commands: pairs(&args.commands, "--allow-cmd")?,
                vars: pairs(&args.vars, "--var")?,
                tenant,
            },
            made_up: if twin { made_up(parsed)? } else { BTreeMap::new() },
        })
    }
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
    fn is_made_up(&self, value: &str) -> bool {
        self.made_up.values().any(|made_up| made_up == value)
    }
}

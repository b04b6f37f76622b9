//! What a person has reviewed: a saved plan, a digest, or both. A run applies nothing else.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value as Json;

use super::apply::Does;
use super::error::{Error, Result};
use super::setup::Ready;
use crate::engine::observe::{Session, moved};
use crate::model::plan::{Cause, Digest, PLAN_FORMAT, Plan};
use crate::model::text;
use crate::plan::digest;
use crate::shell::files;

/// Most characters that are shown of the name of another tenant, account or stack.
const NAME_MAX_CHARS: usize = 100;
/// Largest plan file, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// The member of a plan file that holds the digest of all its other members.
const CONTENT: &str = "content";

/// Only a plan that was reviewed is carried out.
#[derive(clap::Args)]
pub struct ReviewedArgs {
    /// Carry out this saved plan, or nothing if the tenant, the account or the manifest has changed since
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Carry out the plan with this digest, which `plan` showed, or nothing if the plan is another one by now
    #[arg(long, value_name = "DIGEST", value_parser = Digest::parse)]
    expect: Option<Digest>,
}

/// What was reviewed; nothing of it may be there.
#[derive(Default)]
pub struct Reviewed {
    pub saved: Option<Plan>,
    /// The file of the saved plan, if it is not as it was saved.
    edited: Option<PathBuf>,
    expected: Option<Digest>,
}

impl ReviewedArgs {
    /// Reads the saved plan, and refuses one that this command cannot carry out. Sends nothing.
    pub fn read(&self, does: Does) -> Result<Reviewed> {
        let expected = self.expect.clone();
        let Some(path) = &self.plan else { return Ok(Reviewed { expected, ..Reviewed::default() }) };
        let (saved, is_as_saved) = read(path)?;
        if (saved.destroy, saved.rollback) != (does == Does::Destroy, does == Does::Rollback) {
            let (does, command) = match (saved.destroy, saved.rollback) {
                (true, _) => ("takes the stack away", "destroy"),
                (_, true) => ("takes back the last run", "rollback"),
                _ => ("applies the stack", "apply"),
            };
            let text = format!("the saved plan {does}; nothing was read or changed");
            return Err(Error::plan(text).help(format!("give it to `lockstep {command} --plan FILE`")));
        }
        let edited = (!is_as_saved).then(|| path.clone());
        Ok(Reviewed { saved: Some(saved), edited, expected })
    }
}

impl Reviewed {
    /// Whether a person has reviewed the plan before this run.
    pub fn is_any(&self) -> bool {
        self.saved.is_some() || self.expected.is_some()
    }

    /// Refuses a plan for another tenant, account or stack, one whose text was edited, and one that the expected digest
    /// does not fit, before anything is read.
    pub fn check(&self, ready: &Ready<'_>) -> Result<()> {
        let Some(saved) = &self.saved else { return Ok(()) };
        is_of_this_run(saved, &ready.stack.session)?;
        // Whoever edits a plan could make it say one thing while the digest in it stands for another.
        if let Some(path) = &self.edited {
            let path = path.display();
            let text = format!(
                "plan {path}: its text was changed after it was saved, so it may not say what would be done; nothing was \
                 read or changed"
            );
            return Err(Error::plan(text).help("plan again, and change the manifest in place of the plan"));
        }
        match self.expected.as_ref().filter(|expected| **expected != saved.digest) {
            None => Ok(()),
            Some(expected) => {
                let its = text::line(&saved.digest.to_string());
                let text = format!(
                    "the saved plan has {its}, and --expect names {expected}; nothing was read or changed"
                );
                Err(Error::plan(text).help("review that plan, or name the digest of this one"))
            }
        }
    }

    /// How a plan differs from what was reviewed, in words. `None`: it is the same. `shown` is the plan without secrets,
    /// as a saved plan has it.
    pub fn differs(&self, plan: &Plan, shown: &Plan) -> Option<String> {
        if let Some(saved) = self.saved.as_ref().filter(|saved| saved.basis != plan.basis) {
            return Some(moved(saved, shown));
        }
        let expected = self.expected.as_ref().filter(|expected| **expected != plan.digest)?;
        let now = match plan.digest {
            Digest::Of(_) => format!("this plan has {}", plan.digest),
            _ => format!("this plan has no digest, because values are unknown ({})", plan.unknown_values),
        };
        Some(format!("--expect names {expected}, and {now}{}", told(plan)))
    }
}

/// What the record can tell of a difference from a plan that is not at hand: what the tenant or an unfinished run has
/// changed since the last apply.
fn told(plan: &Plan) -> String {
    let by = |causes: &[Cause]| {
        let changed = plan.resources.iter().flat_map(|resource| {
            let fields = resource.changes.iter().filter(|change| causes.contains(&change.cause));
            fields.map(|change| text::line(&format!("{}.{}", resource.address, change.field)))
        });
        changed.collect::<Vec<_>>().join(", ")
    };
    let rows = [
        ("changed on the tenant since the last apply", by(&[Cause::TenantChanged, Cause::Both])),
        ("left by a run that did not finish", by(&[Cause::Unfinished])),
    ];
    rows.iter()
        .filter(|(_, which)| !which.is_empty())
        .map(|(what, which)| format!("; {what}: {which}"))
        .collect()
}

/// The text of a plan file. Its own digest shows later whether somebody has edited it.
pub fn text_of(plan: &Plan) -> Result<String> {
    let mut document = serde_json::to_value(plan)?;
    let content = digest::hash(&document);
    document[CONTENT] = Json::from(content);
    Ok(text::json(&serde_json::to_string_pretty(&document)?) + "\n")
}

/// The error of a plan file. The file may be any file, so the error repeats none of its text.
fn refuse(path: &Path, why: &str) -> Error {
    Error::internal(format!("plan {} {why}", path.display()))
}

/// The plan of a file, and whether the file is as it was saved.
fn read(path: &Path) -> Result<(Plan, bool)> {
    let text = files::read_text(path, FILE_MAX).with_context(|| format!("plan {}", path.display()))?;
    let mut document: Json = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let why = format!(
            "cannot be read: line {line}, column {column} is not JSON; name a file that `plan --out` wrote"
        );
        refuse(path, &why)
    })?;
    if let Some(format) = document["format"].as_u64().filter(|format| *format != u64::from(PLAN_FORMAT)) {
        let why = format!("has format {format}, and this version reads {PLAN_FORMAT}; plan again");
        return Err(refuse(path, &why));
    }
    let unread = || refuse(path, "cannot be read: this version of lockstep did not save it; plan again");
    let content = document.as_object_mut().and_then(|members| members.shift_remove(CONTENT));
    let content = content.ok_or_else(unread)?;
    let is_as_saved = content == digest::hash(&document);
    let plan = serde_json::from_value(document).map_err(|_| unread())?;
    Ok((plan, is_as_saved))
}

/// Refuses a plan for another tenant, account or stack before anything is read.
fn is_of_this_run(saved: &Plan, session: &Session) -> Result<()> {
    let named = [
        ("tenant", &saved.tenant, &session.tenant),
        ("account", &saved.account, &session.account),
        ("stack", &saved.stack, &session.manifest.stack),
    ];
    match named.into_iter().find(|(_, its, ours)| its != ours) {
        None => Ok(()),
        Some((what, its, ours)) => {
            let its = text::line_of(its, NAME_MAX_CHARS);
            let text = format!(
                "the saved plan is for the {what} {its}, and this run is for {ours}; nothing was read or changed"
            );
            Err(Error::plan(text).help("name the plan that belongs to this manifest, or plan again"))
        }
    }
}

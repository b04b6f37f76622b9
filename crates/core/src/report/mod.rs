//! What a finished command has to say, and the forms that it is told in. One value, several renderers: each is a pure
//! function of the [`Report`], so all forms of a run tell of the same reading.
//!
//! Names, values, code and messages of others go through one door in each form, which hides secrets, makes them one
//! harmless line and escapes them for that form.

mod doctor;
mod door;
mod format;
mod github;
mod json;
mod junit;
mod markdown;
pub mod marks;
mod sarif;
mod status;
pub mod text;
mod watched;

use std::collections::{BTreeMap, BTreeSet};

pub use door::Door;
pub use format::Format;
pub use github::github;
pub use json::json;
pub use junit::junit;
pub(crate) use junit::xml;
pub(crate) use markdown::span;
pub use markdown::{BYTES_MAX, markdown};
pub use sarif::sarif;
pub use status::{Part, Status};
use text::Told;
pub use watched::{Back, NOTHING_TO_TAKE_BACK, Watched, code as code_of_verdict};

use crate::diag::{Diagnostic, Severity};
use crate::manifest::{Position, Source, position_of, position_of_resource};
use crate::model::address::Address;
use crate::model::checkup::Checkup;
use crate::model::codes::Code;
use crate::model::ledger::Ledger;
use crate::model::manifest::Manifest;
use crate::model::outcome::Outcome;
use crate::model::plan::{Finding, Level, Plan};
use crate::plan::explain::Explanation;

/// A finished command.
#[derive(Clone, Debug)]
pub struct Report {
    /// `plan`, `drift` and so on.
    pub command: &'static str,
    /// Path of the manifest, as it was given.
    pub file: String,
    /// What was said of the manifest, in the order of its text.
    pub diagnostics: Vec<Said>,
    pub content: Content,
    /// What `plan --explain` says of the steps; `None`: it was not asked.
    pub explained: Option<Vec<Explanation>>,
    /// Where the manifest says a field of a resource, or the resource itself (an empty field).
    pub places: BTreeMap<(Address, String), Position>,
}

impl Report {
    /// The codes of what is of level warning or above, and of how it ended.
    pub fn codes(&self) -> BTreeSet<Code> {
        let said = self.diagnostics.iter().map(|said| &said.diagnostic.problem);
        let said = said.filter(|problem| problem.severity > Severity::Note).map(|problem| problem.code);
        let loud = |findings: &[Finding]| -> Vec<Code> {
            findings.iter().filter(|one| one.level > Level::Note).map(|one| one.code).collect()
        };
        let more = match &self.content {
            Content::Valid { .. } => Vec::new(),
            Content::Plan(plan) | Content::Drift { plan, .. } => loud(&plan.findings),
            Content::Applied(applied) => {
                let ended = applied.outcome.as_ref().and_then(Outcome::code);
                let watched =
                    applied.watched.iter().flat_map(|watched| code_of_verdict(watched.health.verdict));
                loud(&applied.plan.findings).into_iter().chain(ended).chain(watched).collect()
            }
            Content::Shown { findings, .. } => loud(findings),
            Content::Status(status) => loud(&status.findings()),
            Content::Doctor(checkup) => loud(&checkup.findings),
            Content::Failed(failure) => vec![failure.code],
        };
        said.chain(more).collect()
    }
}

/// A diagnostic with the line and the column of the first character after its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub diagnostic: Diagnostic,
    pub end: Option<(usize, usize)>,
}

/// The result of a command, or why there is none.
#[derive(Clone, Debug)]
pub enum Content {
    /// The manifest has no errors. Holds the references without a value.
    Valid {
        unknown: Vec<String>,
    },
    Plan(Plan),
    Applied(Box<Applied>),
    Drift {
        plan: Plan,
        verdict: &'static str,
    },
    Shown {
        ledger: Option<Box<Ledger>>,
        findings: Vec<Finding>,
        lease: Lease,
    },
    Status(Box<Status>),
    Doctor(Box<Checkup>),
    Failed(Failure),
}

/// What came of `apply` or `destroy`.
#[derive(Clone, Debug)]
pub struct Applied {
    pub plan: Plan,
    /// `None`: there was nothing to do, or the plan is blocked.
    pub outcome: Option<Outcome>,
    /// A second plan was made after the last write.
    pub verified: bool,
    /// Why a run was stopped, in words.
    pub why_stopped: String,
    /// Where the manifest says what the failure is about.
    pub place: Option<Position>,
    /// What a watch saw afterwards; `None`: there was none.
    pub watched: Option<Watched>,
}

/// Who holds the lease of the tenant.
#[derive(Clone, Debug)]
pub enum Lease {
    Free,
    Held {
        sid: String,
        owner: String,
    },
    /// It could not be read. Holds why.
    Unknown(String),
}

impl Lease {
    /// The lease in words.
    pub fn words(&self) -> String {
        match self {
            Lease::Free => "free".to_owned(),
            Lease::Held { sid, owner } => format!("held by {owner} ({sid})"),
            Lease::Unknown(why) => format!("not known: {why}"),
        }
    }
}

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: u8,
    pub code: Code,
    pub message: String,
    /// The next move; empty if there is none.
    pub help: String,
    /// The vendor's own number of the request, for its support.
    pub request_id: Option<String>,
    /// Where the manifest says what the failure is about.
    pub place: Option<Position>,
}

impl Content {
    /// The plan that the content has, and its findings.
    fn parts(&self) -> (Option<&Plan>, &[Finding]) {
        match self {
            Content::Plan(plan) | Content::Drift { plan, .. } => (Some(plan), &plan.findings),
            Content::Applied(applied) => (Some(&applied.plan), &applied.plan.findings),
            Content::Shown { findings, .. } => (None, findings),
            Content::Status(status) => (Some(&status.plan), &status.plan.findings),
            Content::Doctor(checkup) => (None, &checkup.findings),
            Content::Valid { .. } | Content::Failed(_) => (None, &[]),
        }
    }

    /// Where the manifest says the resources and fields that the content names.
    pub fn places(&self, source: &Source, manifest: &Manifest) -> BTreeMap<(Address, String), Position> {
        let (plan, findings) = self.parts();
        let resources = plan.into_iter().flat_map(|plan| &plan.resources);
        let steps = plan.into_iter().flat_map(|plan| &plan.steps).map(|step| &step.address);
        let fields = resources.flat_map(|resource| {
            let changes = resource.changes.iter().map(|change| &change.field);
            changes.chain(&resource.unknown).map(|field| (&resource.address, field.clone()))
        });
        let whole = findings.iter().map(|finding| &finding.address).chain(steps);
        let whole = whole.chain(plan.into_iter().flat_map(|plan| &plan.resources).map(|one| &one.address));
        let mut out = BTreeMap::new();
        for (address, field) in fields.chain(whole.map(|address| (address, String::new()))) {
            let key = (address.clone(), field);
            if out.contains_key(&key) {
                continue;
            }
            let position = match key.1.as_str() {
                "" => Some(position_of_resource(source, address)).filter(|_| !address.is_empty()),
                field => position_of(source, manifest, address, field),
            };
            out.extend(position.map(|position| (key, position)));
        }
        out
    }
}

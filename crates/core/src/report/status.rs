//! What `status` shows on one screen.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::text::owned;
use super::watched::finding;
use super::{Lease, Told};
use crate::kinds::Running;
use crate::model::address::Address;
use crate::model::codes;
use crate::model::health::{Health, Verdict};
use crate::model::ledger::{Applied, Ledger};
use crate::model::plan::{Finding, Level, Plan, ResourcePlan};
use crate::model::text::{line, line_of};
use crate::plan::drift;
use crate::plan::render::{self, Paint};

/// A stack at one time.
#[derive(Clone, Debug)]
pub struct Status {
    pub plan: Plan,
    /// The running versions of the stack's Actions, by address.
    pub running: BTreeMap<Address, Running>,
    pub health: Health,
    pub ledger: Option<Ledger>,
    pub lease: Lease,
    /// The verdict of drift, in words.
    pub verdict: &'static str,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub address: Address,
    /// How it stands to the manifest, in words.
    pub state: String,
    /// Whether this stack made it or took it over; null: it is not on record.
    pub ownership: Option<&'static str>,
    pub ids: BTreeMap<String, String>,
    /// The running version of an Action, and the time at which it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Most characters of a line that tells of something due.
const DUE_MAX_CHARS: usize = 300;

impl Status {
    /// Every resource, in the order of the plan.
    pub fn parts(&self) -> Vec<Part> {
        let told = drift::differences(&self.plan);
        self.plan.resources.iter().map(|resource| self.part(resource, &told)).collect()
    }

    fn part(&self, resource: &ResourcePlan, told: &[drift::Told]) -> Part {
        let address = &resource.address;
        let is_unread = self.plan.findings.iter().any(|finding| {
            finding.address == *address
                && (finding.level == Level::NotRead || finding.code == codes::UNREAD_BLOCKS)
        });
        let state = match told.iter().find(|told| told.address == *address) {
            _ if is_unread => "not read".to_owned(),
            None => match self.plan.deferred.iter().find(|later| later.address == *address) {
                Some(later) => format!("later: {}", later.what),
                None => "as the manifest says".to_owned(),
            },
            Some(told) => {
                let fields: Vec<&str> = told.fields.iter().map(|field| field.field.as_str()).collect();
                let which = if fields.is_empty() { told.reasons.join("; ") } else { fields.join(", ") };
                let which = if which.is_empty() { which } else { format!(": {which}") };
                format!("{}{which}", told.state.words())
            }
        };
        let entry = self.ledger.as_ref().and_then(|ledger| ledger.resources.get(address));
        let running = self.running.get(address);
        Part {
            address: address.clone(),
            state,
            ownership: entry.map(|entry| owned(entry.ownership)),
            ids: resource.ids.clone().into_iter().filter(|(_, id)| !id.is_empty()).collect(),
            version: running.map(|running| running.version.clone()),
            since: running.map(|running| running.since.clone()),
        }
    }

    /// The last run on record.
    pub fn last_run(&self) -> Option<&Applied> {
        self.ledger.as_ref().and_then(|ledger| ledger.history.last())
    }

    /// What waits for somebody or for a day: an unfinished run or watch, removals, accepted differences, and all that a
    /// finding of level warning or above asks for. In words.
    pub fn due(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(watch) = self.ledger.as_ref().and_then(|ledger| ledger.watch.as_ref()) {
            out.push(match &watch.failing {
                Some(why) => format!(
                    "the last run is to be taken back, because {why}; `lockstep apply --watch` does it"
                ),
                None => format!(
                    "the watch since {} did not come to its end; `lockstep apply --watch` goes on with it",
                    watch.since
                ),
            });
        }
        let is_due = |finding: &&Finding| {
            finding.level > Level::Note || [codes::RUN_UNFINISHED, codes::ENDS_SOON].contains(&finding.code)
        };
        out.extend(self.plan.findings.iter().filter(is_due).map(|finding| {
            let Finding { code, address, text, help, level } = finding;
            let address = if address.is_empty() { String::new() } else { format!(" {address}:") };
            let help = if help.is_empty() { String::new() } else { format!("; {help}") };
            format!("{}[{code}]{address} {text}{help}", level.word())
        }));
        out.extend(self.plan.deferred.iter().map(|later| {
            format!("{}: {}, {}, when {}", later.address, later.what, render::when(later), later.needs)
        }));
        out.extend(self.plan.resources.iter().flat_map(|resource| {
            let each = resource.accepted.iter();
            each.map(|left| format!("{}.{}: accepted until {}", resource.address, left.field, left.until))
        }));
        out
    }

    /// The findings of the plan, and what the log shows.
    pub fn findings(&self) -> Vec<Finding> {
        let of_log = finding(&self.health).map(|finding| match self.health.verdict {
            // Whoever may not read the log has a status all the same.
            Verdict::NotRead => Finding { level: Level::Note, ..finding },
            _ => finding,
        });
        self.plan.findings.iter().cloned().chain(of_log).collect()
    }

    pub(crate) fn json(&self) -> Json {
        let Status { plan, running: _, health, ledger, lease, verdict } = self;
        let last_run = self.last_run().map(|run| {
            let Applied { at, by, revision, steps, outcome, run: _, lease: _ } = run;
            json!({ "at": at, "by": by, "revision": revision, "steps": steps, "outcome": outcome })
        });
        let unfinished = ledger.as_ref().and_then(|ledger| ledger.intent.as_ref()).map(|intent| &intent.at);
        json!({
            "stack": plan.stack, "tenant": plan.tenant, "account": plan.account, "verdict": verdict,
            "parts": self.parts(), "health": health, "last_run": last_run, "unfinished_since": unfinished,
            "lease": lease.json(), "due": self.due(), "findings": plan.findings,
        })
    }

    pub(super) fn told(&self, paint: Paint) -> Vec<Told> {
        self.lines(paint).into_iter().map(Told::Result).collect()
    }

    /// The screen, a line each.
    pub fn lines(&self, paint: Paint) -> Vec<String> {
        let Status { plan, health, verdict, .. } = self;
        let mut out =
            vec![format!("Stack {} on {} (account {}): {verdict}", plan.stack, plan.tenant, plan.account)];
        let parts = self.parts();
        let width = render::column(parts.iter().map(|part| part.address.as_str()));
        out.push("Parts".to_owned());
        for part in &parts {
            let version = match (&part.version, &part.since) {
                (Some(version), Some(since)) => format!(", version {version} since {since}"),
                _ => String::new(),
            };
            let ids: Vec<&str> = part.ids.values().map(String::as_str).collect();
            let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
            out.push(format!("  {:<width$}  {}{ids}{version}", part.address, part.state));
        }
        out.push("Health".to_owned());
        let why = if health.reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", health.reasons.join("; "))
        };
        out.push(format!("  {}{why}", health.verdict.words()));
        if health.verdict != Verdict::NotRead {
            out.push(format!("  since {}: {}", health.since, health.counts.line()));
        }
        out.push("Last run".to_owned());
        out.push(match self.last_run() {
            None => "  none is on record".to_owned(),
            Some(Applied { at, by, revision, steps, outcome, .. }) => {
                let revision =
                    if revision.is_empty() { String::new() } else { format!(", revision {revision}") };
                format!("  {at}  {outcome} ({steps} steps) by {by}{revision}")
            }
        });
        out.push("Lease".to_owned());
        out.push(format!("  {}", self.lease.words()));
        let due = self.due();
        out.push(if due.is_empty() { "Due: nothing".to_owned() } else { "Due".to_owned() });
        out.extend(due.iter().map(|due| format!("  {}", line_of(due, DUE_MAX_CHARS))));
        let mut lines: Vec<String> = out.iter().map(|text| line(text)).collect();
        if let Some(first) =
            lines.first_mut().filter(|_| health.verdict == Verdict::Healthy && *verdict == "clean")
        {
            *first = paint.good(first);
        }
        lines
    }
}

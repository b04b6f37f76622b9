//! How the tenants of a fleet stand, for `status` of a fleet file.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::report::{cell, junit, listed};
use crate::model::codes::Code;
use crate::model::health::Verdict;
use crate::model::ledger::Applied;
use crate::model::text::{line, line_of};
use crate::plan::render::Paint;
use crate::report::{BYTES_MAX, Door, Lease, Status};

/// Most characters of a line that tells of something due.
const DUE_MAX_CHARS: usize = 300;

/// One tenant at one time.
#[derive(Clone, Debug)]
pub struct Standing {
    pub name: String,
    /// The wave that takes it.
    pub wave: String,
    /// The exit code that the command alone would have for it.
    pub exit: u8,
    pub result: Result<Box<Status>, Unread>,
}

/// Why a tenant could not be read.
#[derive(Clone, Debug)]
pub struct Unread {
    pub code: Code,
    pub message: String,
    pub help: String,
}

/// All tenants that a command read.
#[derive(Clone, Debug)]
pub struct FleetStatus {
    pub fleet: String,
    pub tenants: Vec<Standing>,
    /// Exit code of the command.
    pub exit: u8,
}

impl Standing {
    /// How it stands to its manifest, what the log says, its last run, and who holds the lease: in words.
    fn words(&self) -> [String; 4] {
        let status = match &self.result {
            Ok(status) => status,
            Err(_) => return ["not read".to_owned(), String::new(), String::new(), String::new()],
        };
        let last = match status.last_run() {
            None => "none".to_owned(),
            Some(Applied { at, outcome, revision, .. }) => {
                let revision = if revision.is_empty() { String::new() } else { format!(", {revision}") };
                format!("{at} {outcome}{revision}")
            }
        };
        let lease = match &status.lease {
            Lease::Free => String::new(),
            other => format!("lease {}", other.words()),
        };
        [status.verdict.to_owned(), status.health.verdict.words().to_owned(), last, lease]
    }

    /// What waits for somebody or for a day, and why the log is no good news.
    fn due(&self) -> Vec<String> {
        match &self.result {
            Ok(status) => {
                let failing = status.health.verdict == Verdict::Failing;
                let blamed = status.health.reasons.iter().filter(|_| failing).cloned();
                blamed.chain(status.due()).collect()
            }
            Err(Unread { code, message, help }) => {
                let help = if help.is_empty() { String::new() } else { format!("; {help}") };
                vec![format!("error[{code}]: {message}{help}")]
            }
        }
    }
}

impl FleetStatus {
    /// One sentence: how many tenants stand in which way.
    pub fn summary(&self) -> String {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for one in &self.tenants {
            let [verdict, health, ..] = one.words();
            let word = if health == Verdict::Failing.words() { health } else { verdict };
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let parts: Vec<String> = counts.iter().map(|(word, count)| format!("{word}: {count}")).collect();
        let all = self.tenants.len();
        format!("{all} tenant{}; {}.", if all == 1 { "" } else { "s" }, parts.join("; "))
    }

    /// What is due, each with the tenants that it is due for.
    fn due(&self) -> Vec<(String, Vec<String>)> {
        let mut out: Vec<(String, Vec<String>)> = Vec::new();
        for (one, due) in self.tenants.iter().flat_map(|one| one.due().into_iter().map(move |due| (one, due)))
        {
            match out.iter_mut().find(|(known, _)| *known == due) {
                Some((_, names)) => names.push(one.name.clone()),
                None => out.push((due, vec![one.name.clone()])),
            }
        }
        out
    }

    /// Text for a terminal: a line for each tenant, then what is due.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}\n", paint.bold(&format!("Lockstep status of fleet {}", line(&self.fleet))));
        let rows: Vec<[String; 6]> = self
            .tenants
            .iter()
            .map(|one| {
                let [verdict, health, last, lease] = one.words();
                [one.name.clone(), one.wave.clone(), verdict, health, last, lease].map(|text| line(&text))
            })
            .collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..5).map(width).collect();
        for (row, one) in rows.iter().zip(&self.tenants) {
            let mut text = String::from(" ");
            for (cell, width) in row.iter().zip(widths.iter().copied().chain([0])) {
                let _ = write!(text, " {cell:<width$} ");
            }
            let text = text.trim_end();
            let _ = writeln!(out, "{}", if one.exit == 0 { text.to_owned() } else { paint.bad(text) });
        }
        let due = self.due();
        if !due.is_empty() {
            let _ = writeln!(out, "\n{}", paint.bold("Due"));
        }
        for (text, names) in &due {
            let _ = writeln!(out, "  {}", line_of(text, DUE_MAX_CHARS));
            let _ = writeln!(out, "    {}", paint.dim(&listed(names)));
        }
        let _ = writeln!(out, "\n{}", self.summary());
        out
    }

    /// The JSON document.
    pub fn json(&self) -> Json {
        let tenant = |one: &Standing| {
            let mut out = json!({ "name": one.name, "wave": one.wave, "exit": one.exit });
            match &one.result {
                Ok(status) => out["status"] = status.json(),
                Err(Unread { code, message, help }) => {
                    out["error"] = json!({ "code": code, "message": message, "help": help });
                }
            }
            out
        };
        json!({
            "format": 1,
            "statuses": {
                "fleet": self.fleet, "exit": self.exit, "summary": self.summary(),
                "tenants": self.tenants.iter().map(tenant).collect::<Vec<_>>(),
            },
            "diagnostics": [],
        })
    }

    /// Markdown for a comment; every text of others stands in a code span.
    pub fn markdown(&self, door: Door<'_>) -> String {
        let cell = |text: &str| cell(door, text);
        let mut out = format!("## Lockstep status of fleet {}\n\n{}\n", cell(&self.fleet), self.summary());
        out.push_str(
            "\n| Tenant | Wave | State | Health | Last run | Lease |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        let (mut left_out, most) = (0, BYTES_MAX - 400);
        // What is well comes last, so that it is left out first.
        let (well, rest): (Vec<&Standing>, Vec<&Standing>) =
            self.tenants.iter().partition(|one| one.exit == 0);
        for one in rest.into_iter().chain(well) {
            let [verdict, health, last, lease] = one.words();
            let cells = [&one.name, &one.wave, &verdict, &health, &last, &lease].map(|text| cell(text));
            let text = format!("| {} |\n", cells.join(" | "));
            match out.len() + text.len() < most / 2 {
                true => out.push_str(&text),
                false => left_out += 1,
            }
        }
        let due = self.due();
        if !due.is_empty() {
            out.push_str("\n### Due\n\n");
        }
        for (due, names) in &due {
            let text = format!("- {} {}\n", cell(due), cell(&listed(names)));
            match out.len() + text.len() < most {
                true => out.push_str(&text),
                false => left_out += 1,
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "\n{left_out} more lines: see the text or the JSON output");
        }
        out
    }

    /// JUnit: a case for each tenant.
    pub fn junit(&self, door: Door<'_>) -> String {
        let cases = self.tenants.iter().map(|one| {
            let [verdict, health, ..] = one.words();
            let failure = (one.exit != 0).then(|| match &one.result {
                Err(Unread { code, message, .. }) => format!("{code}: {message}"),
                Ok(_) => format!("{verdict}; health: {health}"),
            });
            (one.wave.as_str(), one.name.as_str(), failure)
        });
        junit(door, &format!("lockstep status of fleet {}", self.fleet), cases)
    }
}

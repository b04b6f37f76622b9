//! What a command has to say of many tenants, in the forms of `--output`.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::summary::{Found, Note, Reading, Row, changes, differences, digest, notes, undigested};
use crate::model::plan::{Digest, Level};
use crate::model::text::line;
use crate::plan::render::Paint;
use crate::report::{BYTES_MAX, Door, span, xml};

/// Names of tenants that a row lists; JSON has all.
const NAMES_MAX: usize = 6;
/// Rows of a Markdown comment.
const ROWS_MAX: usize = 200;
/// Characters of a cell of it.
const CELL_MAX_CHARS: usize = 200;

/// What was read of a fleet.
#[derive(Clone, Debug)]
pub struct FleetReport {
    /// `plan` or `drift`.
    pub command: &'static str,
    pub fleet: String,
    pub readings: Vec<Reading>,
    /// Exit code of the command.
    pub exit: u8,
}

impl FleetReport {
    /// Equal changes of tenants, or equal differences, as rows.
    pub fn rows(&self) -> Vec<Row> {
        match self.command {
            "drift" => differences(&self.readings),
            _ => changes(&self.readings),
        }
    }

    /// The tenants without a difference or a step.
    fn unchanged(&self) -> usize {
        let quiet = |reading: &&Reading| match &reading.result {
            Found::Plan(plan) => plan.is_empty() && plan.resources.iter().all(|one| !plan.differs(one)),
            Found::Error { .. } => false,
        };
        self.readings.iter().filter(quiet).count()
    }

    fn digest(&self) -> Digest {
        digest(&self.fleet, &self.readings)
    }

    /// One sentence: how many tenants change, and how much.
    pub fn summary(&self) -> String {
        let all = self.readings.len();
        let failed = self.readings.iter().filter(|one| one.result.plan().is_none()).count();
        let blocked = self.readings.iter().filter_map(|one| one.result.plan());
        let blocked = blocked.filter(|plan| plan.blockers().next().is_some()).count();
        let changed = all - failed - self.unchanged();
        let s = |count: usize| if count == 1 { "" } else { "s" };
        let mut text = match (self.command, changed) {
            (_, 0) if failed == all => "No tenant could be read".to_owned(),
            ("drift", 0) => format!("No difference in {} tenant{}", all - failed, s(all - failed)),
            ("drift", n) => format!("{n} of {all} tenants differ"),
            (_, 0) => format!("No changes in {} tenant{}", all - failed, s(all - failed)),
            (_, n) => {
                let plans = || self.readings.iter().filter_map(|one| one.result.plan());
                let steps: usize = plans().map(|plan| plan.steps.len()).sum();
                let dangerous =
                    plans().flat_map(|plan| &plan.steps).filter(|step| step.danger.is_some()).count();
                let danger = if dangerous > 0 { format!(", {dangerous} dangerous") } else { String::new() };
                format!("{n} of {all} tenants change; {steps} step{}{danger}", s(steps))
            }
        };
        if blocked > 0 {
            let _ = write!(text, "; {blocked} blocked");
        }
        if failed > 0 {
            let _ = write!(text, "; {failed} could not be read");
        }
        text.push('.');
        text
    }

    fn digest_line(&self) -> String {
        match self.digest() {
            Digest::Of(digest) => format!("Digest: {digest}"),
            _ => format!("no digest: {} tenants without one", undigested(&self.readings)),
        }
    }

    /// The tenants of a row: their names, unless it is all of them.
    fn which(&self, names: &[String]) -> String {
        match names.len() == self.readings.len() && names.len() > 1 {
            true => "all of them".to_owned(),
            false => listed(names),
        }
    }

    /// Text for a terminal.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let (count, fleet) = (self.readings.len(), line(&self.fleet));
        let s = if count == 1 { "" } else { "s" };
        let _ = writeln!(
            out,
            "{}\n",
            paint.bold(&format!("Lockstep {} of fleet {fleet}: {count} tenant{s}", self.command))
        );
        for row in self.rows() {
            let (address, tenants) = (line(row.address.as_str()), row.tenants.len());
            let s = if tenants == 1 { "" } else { "s" };
            let head = format!("  {} {tenants:>4} tenant{s}: {address} {}", row.symbol, row.what);
            let _ = writeln!(out, "{}", paint.change(&head));
            for (field, words) in &row.fields {
                let _ = writeln!(out, "         {field}: {words}");
            }
            let _ = writeln!(out, "         {}", paint.dim(&self.which(&row.tenants)));
        }
        if self.unchanged() > 0 {
            let _ = writeln!(out, "{}", paint.dim(&format!("  {} unchanged", self.unchanged())));
        }
        let notes = notes(&self.readings);
        if !notes.is_empty() {
            let _ = writeln!(out, "\n{}", paint.bold("Findings"));
        }
        for note in &notes {
            let Note { level, code, address, text, help, differs, tenants } = note;
            let place =
                if address.is_empty() { String::new() } else { format!("{}: ", line(address.as_str())) };
            let others = if *differs { " (other tenants: with their own names and values)" } else { "" };
            let head = format!("  {}[{code}]: {place}{}{others}", level.word(), line(text));
            let head = if *level > Level::Note { paint.bad(&head) } else { head };
            let _ = writeln!(out, "{head}");
            if !help.is_empty() {
                let _ = writeln!(out, "    help: {}", line(help));
            }
            if !tenants.is_empty() {
                let _ = writeln!(out, "    {}", paint.dim(&self.which(tenants)));
            }
        }
        if self.command != "drift" {
            let _ = writeln!(out, "\n{}", self.digest_line());
        } else {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    /// The JSON document.
    pub fn json(&self) -> Json {
        json!({
            "format": 1,
            "fleet": {
                "name": self.fleet, "command": self.command, "exit": self.exit, "digest": self.digest(),
                "summary": self.summary(), "rows": self.rows(), "notes": notes(&self.readings), "tenants": self.readings,
            },
            "diagnostics": [],
        })
    }

    /// Markdown for a comment; every text of others stands in a code span.
    pub fn markdown(&self, door: Door<'_>) -> String {
        let cell = |text: &str| cell(door, text);
        let mut out =
            format!("## Lockstep {} of fleet {}\n\n{}\n", self.command, cell(&self.fleet), self.summary());
        if self.command != "drift" {
            let _ = writeln!(out, "\n{}", self.digest_line());
        }
        let rows = self.rows();
        if !rows.is_empty() {
            out.push_str("\n| Tenants | Resource | Change | Which |\n| ---: | --- | --- | --- |\n");
        }
        let mut left_out = 0;
        for (at, row) in rows.iter().enumerate() {
            let fields: Vec<String> =
                row.fields.iter().map(|(field, words)| cell(&format!("{field}: {words}"))).collect();
            let what = [vec![cell(&row.what)], fields].concat().join(" ");
            let text = format!(
                "| {} | {} | {what} | {} |\n",
                row.tenants.len(),
                cell(row.address.as_str()),
                cell(&listed(&row.tenants))
            );
            match at < ROWS_MAX && out.len() + text.len() < BYTES_MAX / 2 {
                true => out.push_str(&text),
                false => left_out += 1,
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "\n{left_out} more rows: see the text or the JSON output");
        }
        let notes = notes(&self.readings);
        let mut left_out = 0;
        if !notes.is_empty() {
            out.push_str("\n### Findings\n\n");
        }
        for note in &notes {
            let text = format!(
                "- {} {}: {} {} {}\n",
                note.level.word(),
                note.code,
                cell(note.address.as_str()),
                cell(&note.text),
                cell(&listed(&note.tenants))
            );
            match out.len() + text.len() < BYTES_MAX - 200 {
                true => out.push_str(&text),
                false => left_out += 1,
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "\n{left_out} more findings: see the text or the JSON output");
        }
        out
    }

    /// JUnit: a case for each tenant.
    pub fn junit(&self, door: Door<'_>) -> String {
        let cases = self.readings.iter().map(|one| {
            let failure = (one.exit != 0).then(|| match &one.result {
                Found::Error { code, message, .. } => format!("{code}: {message}"),
                Found::Plan(plan) => match plan.blockers().next() {
                    Some(finding) => format!("{}: {}", finding.code, finding.text),
                    None => format!("exit code {}", one.exit),
                },
            });
            (one.wave.as_str(), one.name.as_str(), failure)
        });
        junit(door, &format!("lockstep {} of fleet {}", self.command, self.fleet), cases)
    }
}

/// The text of a cell of a Markdown table. A bar would end the cell, even in a code span.
pub(super) fn cell(door: Door<'_>, text: &str) -> String {
    match text {
        "" => String::new(),
        text => span(&door.line_of(text, CELL_MAX_CHARS)).replace('|', "\\|"),
    }
}

/// A JUnit document of one suite. Each case is a class, a name, and why it failed.
pub(super) fn junit<'a>(
    door: Door<'_>,
    name: &str,
    cases: impl Iterator<Item = (&'a str, &'a str, Option<String>)>,
) -> String {
    let cases: Vec<_> = cases.collect();
    let (tests, failures) = (cases.len(), cases.iter().filter(|(_, _, failure)| failure.is_some()).count());
    let name = xml(&door.line(name));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"0\">\n  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"0\">\n"
    );
    for (class, case, failure) in &cases {
        let (class, case) = (xml(&door.line(class)), xml(&door.line(case)));
        let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{case}\" time=\"0\"");
        let _ = match failure {
            None => writeln!(out, "/>"),
            Some(why) => writeln!(out, "><failure message=\"{}\"/></testcase>", xml(&door.line(why))),
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Names of tenants, with a count of those that are left out.
pub fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let first = names.iter().take(NAMES_MAX).map(|name| line(name)).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

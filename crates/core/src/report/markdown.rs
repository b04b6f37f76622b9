//! Markdown for a comment on a pull request: what matters first, the rest folded, and never longer than a comment may be.
//!
//! Every text of others stands in a code span or in a fence, as a whole. So it is no markup, no link, no reference and
//! no mention for any renderer, and what it says changes nothing around it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::door::Door;
use super::marks::{brief, in_words, why};
use super::{Applied, Content, Failure, Lease, Report, Said, doctor, text};
use crate::diag::Severity;
use crate::model::address::Address;
use crate::model::checkup::Checkup;
use crate::model::outcome::Outcome;
use crate::model::plan::{Digest, Finding, Plan, ResourcePlan, Step, Verb};
use crate::model::text::line_of;
use crate::plan::drift;
use crate::plan::render::{self, Paint};

/// Most bytes of the whole. A comment on GitHub has at most 65 536 characters, and a person adds a few.
pub const BYTES_MAX: usize = 60_000;
/// Most bytes of a section, apart from that of the resources, which gets what the others leave. A report has at most six
/// of these, so together with the head they stay below the limit of the whole.
const SECTION_MAX: usize = 7_500;
/// Most bytes of one resource, so that one of them does not hide the others.
const RESOURCE_MAX: usize = 9_000;
/// Most lines of one difference of code, and most characters of a line of it.
const DIFF_LINES_MAX: usize = 120;
const DIFF_LINE_MAX_CHARS: usize = 200;
/// Most characters of a name or a sentence.
const CELL_MAX_CHARS: usize = 600;
/// Room for headings, and for the lines that say how much is left out.
const FRAME_BYTES: usize = 3_000;

const POINTER: &str = "see the text or the JSON output";

/// The comment.
pub fn markdown(report: &Report, door: Door<'_>) -> String {
    let page = Page { report, door };
    let head = page.head();
    let sections = page.sections();
    let own = |section: &Section| section.items.iter().map(String::len).sum::<usize>();
    let others: usize =
        sections.iter().filter(|section| !section.grows).map(|one| own(one).min(SECTION_MAX)).sum();
    let rest = BYTES_MAX.saturating_sub(head.len() + others + FRAME_BYTES);
    let mut out = head;
    for section in &sections {
        section.write(&mut out, if section.grows { rest } else { SECTION_MAX });
    }
    out
}

/// A list of things of one sort.
struct Section {
    title: String,
    /// It is folded away.
    folded: bool,
    /// It gets the room that the others leave.
    grows: bool,
    /// Singular and plural.
    noun: (&'static str, &'static str),
    items: Vec<String>,
}

impl Section {
    fn open(title: &str, noun: (&'static str, &'static str), items: Vec<String>) -> Section {
        Section { title: title.to_owned(), folded: false, grows: false, noun, items }
    }

    /// The items that there is room for, whole, and how many more there are.
    fn write(&self, out: &mut String, room: usize) {
        if self.items.is_empty() {
            return;
        }
        let _ = match self.folded {
            true => write!(out, "\n<details>\n<summary>{}</summary>\n\n", self.title),
            false => write!(out, "\n### {}\n\n", self.title),
        };
        let mut left = room;
        let fits = |item: &&String| {
            let is_room = item.len() <= left;
            left = left.saturating_sub(item.len());
            is_room
        };
        let shown: Vec<&String> = self.items.iter().take_while(fits).collect();
        shown.iter().for_each(|item| out.push_str(item));
        let more = self.items.len() - shown.len();
        if more > 0 {
            let noun = if more == 1 { self.noun.0 } else { self.noun.1 };
            let gap = if shown.is_empty() || out.ends_with("\n\n") { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{more} more {noun}: {POINTER}.");
        }
        if self.folded {
            let gap = if out.ends_with("\n\n") { "" } else { "\n" };
            let _ = writeln!(out, "{gap}</details>");
        }
    }
}

struct Page<'a> {
    report: &'a Report,
    door: Door<'a>,
}

impl Page<'_> {
    /// A text of others as a code span.
    fn code(&self, text: &str) -> String {
        span(&self.door.line_of(text, CELL_MAX_CHARS))
    }

    /// Heading and summary.
    fn head(&self) -> String {
        let command = self.report.command;
        let of = |plan: &Plan, what: &str, summary: String| {
            format!(
                "## Lockstep {what} of stack {}\n\n**{summary}** Tenant {}, account {}, manifest {}.\n",
                self.code(&plan.stack),
                self.code(&plan.tenant),
                self.code(&plan.account),
                self.code(&self.report.file)
            )
        };
        match &self.report.content {
            Content::Valid { .. } => format!(
                "## Lockstep {command}\n\n**The manifest is valid.** File {}.\n",
                self.code(&self.report.file)
            ),
            Content::Plan(plan) => {
                let what = match (plan.destroy, plan.rollback) {
                    (true, _) => "destroy",
                    (_, true) => "rollback",
                    _ => "plan",
                };
                let digest = match &plan.digest {
                    Digest::Of(digest) => format!("\nDigest: {}\n", self.code(digest)),
                    _ => format!("\nThe plan has {}.\n", render::digest(plan)),
                };
                of(plan, what, render::summary(plan, Paint(false))) + &digest
            }
            Content::Applied(applied) => of(&applied.plan, command, ended(applied)),
            Content::Drift { plan, verdict } => {
                let summary = format!("Verdict: {verdict}. {}", render::drift_summary(plan, Paint(false)));
                of(plan, command, summary)
            }
            Content::Shown { ledger, lease, .. } => {
                let lease = match lease {
                    Lease::Free => "free".to_owned(),
                    Lease::Held { sid, owner } => {
                        format!("held by {} ({})", self.code(owner), self.code(sid))
                    }
                    Lease::Unknown(why) => format!("not known: {}", self.code(why)),
                };
                let ledger = match ledger {
                    None => "There is no record.".to_owned(),
                    Some(ledger) => format!(
                        "Record of stack {} on {}, serial {}.",
                        self.code(&ledger.stack),
                        self.code(&ledger.tenant),
                        ledger.serial
                    ),
                };
                format!("## Lockstep {command}\n\n{ledger} Lease: {lease}.\n")
            }
            Content::Doctor(checkup) => {
                let Checkup { stack, tenant, account, findings, .. } = checkup.as_ref();
                format!(
                    "## Lockstep {command}\n\nStack {} on {}, account {}: {}.\n",
                    self.code(stack),
                    self.code(tenant),
                    self.code(account),
                    doctor::summary(findings)
                )
            }
            Content::Status(status) => {
                let health = status.health.verdict.words();
                of(&status.plan, command, format!("Verdict: {}. Health: {health}.", status.verdict))
            }
            Content::Failed(Failure { exit, code, message, help, .. }) => {
                let help =
                    if help.is_empty() { String::new() } else { format!("\n\nHelp: {}", self.code(help)) };
                format!(
                    "## Lockstep {command}\n\n**No result, exit code {exit}, {code}:** {}{help}\n",
                    self.code(message)
                )
            }
        }
    }

    fn sections(&self) -> Vec<Section> {
        let mut out = vec![Section::open(
            "Manifest",
            ("diagnostic", "diagnostics"),
            self.report.diagnostics.iter().map(|said| self.diagnostic(said)).collect(),
        )];
        match &self.report.content {
            Content::Valid { unknown } => out.push(Section::open(
                "Not checked, because the value is not known here",
                ("reference", "references"),
                unknown.iter().map(|name| format!("- what depends on {}\n", self.code(name))).collect(),
            )),
            Content::Plan(plan) => out.extend(self.of_plan(plan)),
            Content::Applied(applied) => {
                out.extend(applied.outcome.as_ref().map(|outcome| self.outcome(applied, outcome)));
                let watched = applied.watched.iter().flat_map(|watched| {
                    let line = self.code(&watched.line());
                    let help = Some(watched.help()).filter(|help| !help.is_empty());
                    [Some(line), help.map(|help| self.code(&help))].into_iter().flatten()
                });
                let watched: Vec<String> = watched.map(|line| format!("- {line}\n")).collect();
                out.push(Section::open("Watch", LINES, watched));
                out.extend(self.of_plan(&applied.plan));
            }
            Content::Drift { plan, .. } => out.extend(self.of_drift(plan)),
            Content::Shown { ledger, findings, .. } => {
                out.push(self.findings(findings));
                let lines = ledger.as_deref().map(text::recorded).unwrap_or_default();
                let items: Vec<String> =
                    lines.iter().skip(1).map(|line| format!("- {}\n", self.code(line.trim()))).collect();
                out.push(Section { folded: true, grows: true, ..Section::open("Record", LINES, items) });
            }
            Content::Doctor(checkup) => {
                out.push(self.findings(&checkup.findings));
                let lines = doctor::parts(checkup);
                let items: Vec<String> =
                    lines.iter().map(|line| format!("- {}\n", self.code(line.trim()))).collect();
                out.push(Section { folded: true, grows: true, ..Section::open("Looked at", LINES, items) });
            }
            Content::Status(status) => {
                let lines = status.lines(Paint(false));
                let items: Vec<String> =
                    lines.iter().skip(1).map(|line| format!("- {}\n", self.code(line.trim()))).collect();
                out.push(Section { grows: true, ..Section::open("Status", LINES, items) });
            }
            Content::Failed(_) => {}
        }
        out
    }

    fn diagnostic(&self, said: &Said) -> String {
        let problem = &said.diagnostic.problem;
        let place = match &said.diagnostic.span {
            Some(span) => format!("{}:{}:{}", said.diagnostic.file, span.line, span.column),
            None => said.diagnostic.file.clone(),
        };
        let text = match problem.reason.as_str() {
            "" => problem.title.clone(),
            reason => format!("{}: {reason}", problem.title),
        };
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        format!(
            "- **{severity}** {} at {}: {}{}\n",
            problem.code,
            self.code(&place),
            self.code(&text),
            self.help(&problem.help)
        )
    }

    fn help(&self, help: &str) -> String {
        if help.is_empty() { String::new() } else { format!("; help: {}", self.code(help)) }
    }

    fn findings(&self, findings: &[Finding]) -> Section {
        let item = |finding: &Finding| {
            let Finding { code, address, text, help, level } = finding;
            let subject = match address.is_empty() {
                true => String::new(),
                false => format!(" {}", self.subject(address, "")),
            };
            let (level, text, help) = (level.word(), self.code(text), self.help(help));
            format!("- **{level}** {code}{subject}: {text}{help}\n")
        };
        Section::open("Findings", ("finding", "findings"), findings.iter().map(item).collect())
    }

    /// A resource or its field, with its line of the manifest.
    fn subject(&self, address: &Address, field: &str) -> String {
        let name = if field.is_empty() { address.as_str() } else { field };
        let place = self.report.places.get(&(address.clone(), field.to_owned()));
        match place {
            Some(place) => format!("{} (line {})", self.code(name), place.line),
            None => self.code(name),
        }
    }

    fn of_plan(&self, plan: &Plan) -> Vec<Section> {
        let dangers = plan.steps.iter().filter_map(|step| {
            let danger = step.danger.as_ref()?;
            let (subject, what) = (self.subject(&step.address, ""), self.code(&step.what));
            Some(format!("- step {}, {subject}, {what}: {}\n", step.number, self.code(danger)))
        });
        let (told, quiet): (Vec<_>, Vec<_>) =
            plan.resources.iter().partition(|resource| plan.is_told(resource));
        let counts = match quiet.len() {
            0 => format!("Resources ({})", told.len()),
            quiet => format!("Resources ({}, and {quiet} unchanged)", told.len()),
        };
        let resources = told.into_iter().map(|resource| self.resource(resource)).collect();
        let later = plan.deferred.iter().map(|later| {
            let (what, needs) = (self.code(&later.what), self.code(&later.needs));
            let when = self.code(&render::when(later));
            format!("- {} {what}: {when}, and when {needs}\n", self.subject(&later.address, ""))
        });
        vec![
            Section::open("Dangers", ("dangerous step", "dangerous steps"), dangers.collect()),
            self.findings(&plan.findings),
            Section { folded: true, grows: true, ..Section::open(&counts, RESOURCES, resources) },
            Section {
                folded: true,
                ..Section::open(
                    &format!("Steps, in order ({})", plan.steps.len()),
                    ("step", "steps"),
                    plan.steps.iter().map(|step| self.step(step)).collect(),
                )
            },
            Section {
                folded: true,
                ..Section::open("Later, by a plan after that time", ("removal", "removals"), later.collect())
            },
        ]
    }

    fn step(&self, step: &Step) -> String {
        let Step { number, verb, address, what, reason, danger, .. } = step;
        let danger = if danger.is_some() { " **dangerous**" } else { "" };
        let (what, reason) = (self.code(what), self.code(reason));
        format!("{number}. {verb} {}: {what}, because {reason}{danger}\n", self.subject(address, ""))
    }

    fn resource(&self, resource: &ResourcePlan) -> String {
        let ResourcePlan { address, verb, changes, accepted, unknown, stays, taken_over, .. } = resource;
        let mut item = Item::new(format!("### {} {verb}", self.subject(address, "")));
        if let Some(why) = stays {
            item.line(format!("- stays: {}", self.code(why)));
        }
        if *taken_over || *verb == Verb::Delete {
            let which = render::which(resource);
            let which =
                if which.trim().is_empty() { "the setting as the tenant has it" } else { which.trim() };
            let word = if *taken_over { "takes over" } else { "takes away" };
            item.line(format!("- {word} {}", self.code(which)));
        }
        for change in changes {
            let field = self.subject(address, &change.field);
            let texts = match (&change.old, &change.new) {
                (Some(Json::String(old)), Some(Json::String(new))) if !change.secret => Some((old, new)),
                _ => None,
            };
            let several = texts
                .filter(|_| render::is_text(change.old.as_ref()) || render::is_text(change.new.as_ref()));
            match several {
                Some((old, new)) if *verb != Verb::Create => item.diff(self, &field, "", old, new),
                _ if change.secret => item.line(format!("- {field}: {}", render::of_secret(change))),
                _ if *verb == Verb::Create => {
                    item.line(format!("- {field}: {}", self.code(&brief(change.new.as_ref()))));
                }
                _ => item.line(format!("- {field}: {}", self.code(&in_words(change)))),
            }
        }
        for left in accepted {
            let (field, words) = (self.subject(address, &left.field), self.code(&render::accepted(left)));
            item.line(format!("- {field} stays: {words}"));
        }
        for field in unknown {
            item.line(format!("- {}: unknown, and not a change", self.subject(address, field)));
        }
        item.finish()
    }

    fn of_drift(&self, plan: &Plan) -> Vec<Section> {
        let all = drift::differences(plan);
        let told: Vec<String> = all.iter().map(|told| self.difference(told)).collect();
        let title = format!("Differences ({})", told.len());
        let left = plan.resources.iter().flat_map(|one| one.accepted.iter().map(|left| (&one.address, left)));
        let left = left.map(|(address, left)| {
            let field = self.subject(address, &left.field);
            format!("- {} {field}: {}\n", self.code(address.as_str()), self.code(&render::accepted(left)))
        });
        let lines = all.iter().flat_map(|told| &told.fields).filter_map(|field| field.accept.as_ref());
        vec![
            self.findings(&plan.findings),
            Section { folded: true, grows: true, ..Section::open(&title, RESOURCES, told) },
            Section {
                folded: true,
                ..Section::open("Accepted, no part of the verdict", FIELDS, left.collect())
            },
            Section {
                folded: true,
                ..Section::open(
                    "To leave a difference for a time: its line for accept, with a reason and a name",
                    LINES,
                    lines.map(|line| format!("- {}\n", self.code(line))).collect(),
                )
            },
        ]
    }

    fn difference(&self, told: &drift::Told) -> String {
        let drift::Told { address, state, fields, reasons, unknown } = told;
        let mut item = Item::new(format!("### {} {}", self.subject(address, ""), state.words()));
        for reason in reasons {
            item.line(format!("- {}", self.code(reason)));
        }
        for field in fields {
            let (name, words) = (self.subject(address, &field.field), drift::in_words(field, *state));
            let words = format!("{} ({})", self.code(&words), drift::word(field.cause));
            match drift::texts(field) {
                Some((from, tenant)) => item.diff(self, &name, &words, from, tenant),
                None => item.line(format!("- {name}: {words}")),
            }
        }
        for field in unknown {
            item.line(format!("- {}: unknown, and not a change", self.subject(address, field)));
        }
        item.finish()
    }

    fn outcome(&self, applied: &Applied, outcome: &Outcome) -> Section {
        let Outcome { ended: _, done, failed, interrupted, kept, lost: _, not_started, cause: _, outputs: _ } =
            outcome;
        let mut items: Vec<String> =
            why(applied, outcome).iter().map(|why| format!("- {}\n", self.code(why))).collect();
        for (word, numbers) in [
            ("done", done.as_slice()),
            ("failed", failed.as_slice()),
            ("interrupted", interrupted.as_slice()),
            ("not started", not_started),
        ] {
            let steps = numbers.iter().map(|number| self.code(&text::step(&applied.plan, *number)));
            items.extend(steps.map(|step| format!("- {word}: {step}\n")));
        }
        let left = render::left_behind(&applied.plan);
        items.extend(left.iter().chain(kept).map(|kept| format!("- stays: {}\n", self.code(kept))));
        Section::open("Outcome", LINES, items)
    }
}

const FIELDS: (&str, &str) = ("field", "fields");
const RESOURCES: (&str, &str) = ("resource", "resources");
const LINES: (&str, &str) = ("line", "lines");

/// How an apply ended, without a word of others.
fn ended(applied: &Applied) -> String {
    use crate::model::outcome::Ended;
    let Applied { plan, outcome, .. } = applied;
    match outcome.as_ref().map(|outcome| (&outcome.ended, outcome.done.len())) {
        None => render::summary(plan, Paint(false)),
        Some((Ended::Done, 1)) => "Done: 1 step applied.".to_owned(),
        Some((Ended::Done, n)) => format!("Done: {n} steps applied."),
        Some((Ended::Stopped, _)) => "Stopped.".to_owned(),
        Some((Ended::Stale(_), _)) => "The plan is stale; nothing was changed.".to_owned(),
        Some((Ended::NotConfirmed(_), _)) => "Not confirmed; nothing was changed.".to_owned(),
        Some((Ended::LeaseHeld(_), _)) => {
            "The lease is held by somebody else; nothing was changed.".to_owned()
        }
        Some((Ended::Moved, _)) => "The record kept changing; nothing was changed.".to_owned(),
        Some((Ended::Failed(_) | Ended::Misnamed(_), _)) => "Failed.".to_owned(),
    }
}

/// A resource: a heading, a list, and differences of code behind it.
struct Item {
    heading: String,
    list: String,
    fences: String,
    /// Fields that had no room.
    more: usize,
}

impl Item {
    fn new(heading: String) -> Item {
        Item { heading, list: String::new(), fences: String::new(), more: 0 }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let fits = self.heading.len() + self.list.len() + self.fences.len() + bytes <= RESOURCE_MAX;
        self.more += usize::from(!fits);
        fits
    }

    fn line(&mut self, line: String) {
        if self.has_room(line.len()) {
            let _ = writeln!(self.list, "{line}");
        }
    }

    /// The lines of code that differ, with a mark each, in a fence that none of them can end.
    fn diff(&mut self, page: &Page<'_>, field: &str, words: &str, old: &str, new: &str) {
        let (old, new) = ((page.door.0)(old), (page.door.0)(new));
        let all = render::diff(&old, &new);
        let mut lines: Vec<String> = all.iter().take(DIFF_LINES_MAX).map(|line| marked(line)).collect();
        while lines.iter().map(|line| line.len() + 1).sum::<usize>() > RESOURCE_MAX / 2 {
            lines.pop();
        }
        let fence = "`".repeat(lines.iter().map(|line| ticks(line)).max().unwrap_or(0).max(2) + 1);
        let mut text = format!("\nDifference of {field}");
        text += &if words.is_empty() { ":\n".to_owned() } else { format!(", {words}:\n") };
        let _ = write!(text, "\n{fence}diff\n{}\n{fence}\n", lines.join("\n"));
        match all.len() - lines.len() {
            0 => {}
            1 => text += &format!("\n1 more line: {POINTER}.\n"),
            more => text += &format!("\n{more} more lines: {POINTER}.\n"),
        }
        if self.has_room(text.len()) {
            self.fences += &text;
        }
    }

    fn finish(self) -> String {
        let Item { heading, list, fences, more } = self;
        let gap = if list.is_empty() { "" } else { "\n" };
        let more = match more {
            0 => String::new(),
            1 => format!("\n1 more field: {POINTER}.\n"),
            more => format!("\n{more} more fields: {POINTER}.\n"),
        };
        format!("{heading}\n{gap}{list}{fences}{more}\n")
    }
}

/// A line of a difference with the marks of a `diff` fence: unchanged lines begin with a blank.
fn marked(line: &str) -> String {
    let line = line_of(line, DIFF_LINE_MAX_CHARS);
    let line = match line.strip_prefix("| ") {
        Some(rest) => format!("  {rest}"),
        None if line == "…" => "@@ … @@".to_owned(),
        None => line,
    };
    line.trim_end().to_owned()
}

/// The longest run of backticks in a text.
fn ticks(text: &str) -> usize {
    text.split(|ch| ch != '`').map(str::len).max().unwrap_or(0)
}

/// One line as a code span. Blanks at its ends, or nothing at all, would not show, so such a line stands in quotes.
pub(crate) fn span(line: &str) -> String {
    let is_bare = !line.is_empty() && line.trim() == line;
    let line = if is_bare { line.to_owned() } else { format!("\"{line}\"") };
    let fence = "`".repeat(ticks(&line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_ended_by_nothing_in_it() {
        for (text, shown) in [
            ("name", "`name`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("``x", "``` ``x ```"),
            ("", "`\"\"`"),
            (" x", "`\" x\"`"),
        ] {
            assert_eq!(span(text), shown);
        }
    }
}

//! The report as text for people. A terminal shows the result on one stream and the conversation on the other; a file
//! holds both.

use super::{Applied, Content, Failure, Lease, Report, Watched, code_of_verdict, doctor};
use crate::manifest::Position;
use crate::model::address::Address;
use crate::model::health::Verdict;
use crate::model::ledger::{Ledger, Ownership};
use crate::model::outcome::{Ended, Outcome};
use crate::model::plan::{Finding, Plan};
use crate::model::text::line;
use crate::plan::explain;
use crate::plan::render::{self, Paint};

/// The next move after a run that did not end.
const AGAIN: &str = "run the same command again to continue";

/// A text without a line end at its end: of the result, or of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Result(String),
    Talk(String),
}

/// What a terminal is told at the end of a command. The plan of an apply was shown before it was confirmed, and errors
/// are told by whoever ends the program.
pub fn told(report: &Report, paint: Paint) -> Vec<Told> {
    match &report.content {
        Content::Valid { unknown } => valid(&report.file, unknown),
        Content::Plan(plan) => {
            let explained = report.explained.as_deref().unwrap_or_default();
            vec![block(&(render::plan(plan, paint) + &explain::text(explained, plan, paint)))]
        }
        Content::Applied(applied) => {
            let ended =
                applied.outcome.as_ref().map_or_else(Vec::new, |outcome| ended(applied, outcome, paint));
            let watched = applied.watched.as_ref().map_or_else(Vec::new, |watched| of_watch(watched, paint));
            ended.into_iter().chain(watched).collect()
        }
        Content::Drift { plan, verdict } => {
            vec![block(&render::drift(plan, paint)), Told::Result(format!("Verdict: {verdict}"))]
        }
        Content::Shown { ledger, findings, lease } => shown(ledger.as_deref(), findings, lease),
        Content::Status(status) => status.told(paint),
        Content::Doctor(checkup) => doctor::told(checkup, paint),
        Content::Failed(_) => Vec::new(),
    }
}

/// The whole report, as a file holds it.
pub fn whole(report: &Report) -> String {
    let paint = Paint(false);
    let mut lines: Vec<String> =
        report.diagnostics.iter().map(|said| line(&said.diagnostic.to_string())).collect();
    match &report.content {
        Content::Applied(applied) => {
            let plan = render::plan(&applied.plan, paint);
            lines.push(plan.trim_end_matches('\n').to_owned());
        }
        Content::Failed(failure) => lines.extend(failed(failure).lines().map(line)),
        _ => {}
    }
    lines.extend(told(report, paint).into_iter().map(|told| match told {
        Told::Result(text) | Told::Talk(text) => text,
    }));
    lines.join("\n") + "\n"
}

/// Why there is no result, the place in the manifest and the next move.
pub fn failed(failure: &Failure) -> String {
    let Failure { exit: _, code, message, help, request_id: _, place } = failure;
    let mut text = format!("error[{code}]: {message}");
    text.extend(place.as_ref().map(|at| format!("\n  {}", told_place(at))));
    text.extend((!help.is_empty()).then(|| format!("\n  help: {help}")));
    text
}

/// A place as a line that editors and terminals can follow.
fn told_place(at: &Position) -> String {
    format!("at {}:{}:{}: {}", at.file, at.line, at.column, at.key)
}

fn block(text: &str) -> Told {
    Told::Result(text.strip_suffix('\n').unwrap_or(text).to_owned())
}

fn valid(file: &str, unknown: &[String]) -> Vec<Told> {
    let mut out = vec![Told::Result(line(&format!("{file}: valid")))];
    if !unknown.is_empty() {
        out.push(Told::Result(line(&format!(
            "  not checked, because the value is not known here: everything that depends on {}",
            unknown.join(", ")
        ))));
    }
    out
}

fn ended(applied: &Applied, outcome: &Outcome, paint: Paint) -> Vec<Told> {
    let Applied { plan, verified, why_stopped, place, .. } = applied;
    let code = outcome.code().unwrap_or_default();
    let talk = |text: &str| Told::Talk(line(text));
    let mut out = match &outcome.ended {
        Ended::Done => return done(plan, outcome, *verified, paint),
        // The asker or the caller has said this already.
        Ended::Stale(_) | Ended::NotConfirmed(_) | Ended::Misnamed(_) => return Vec::new(),
        Ended::LeaseHeld(owner) => vec![
            talk(&format!("error[{code}]: {owner} is applying to this tenant; nothing was changed")),
            talk("  help: wait for it, or look with `lockstep unlock`"),
        ],
        Ended::Moved => vec![
            talk(&format!("error[{code}]: other runs kept changing the record; nothing was changed")),
            talk("  help: find out who else applies, then try again"),
        ],
        // The next move comes last.
        Ended::Stopped if outcome.lost.is_some() => vec![talk(why_stopped)],
        Ended::Stopped => vec![talk(&format!("{why_stopped}; {AGAIN}"))],
        Ended::Failed(text) => vec![talk(&format!("error[{code}]: {text}"))],
    };
    out.extend(place.as_ref().map(|at| talk(&format!("  {}", told_place(at)))));
    let next = outcome.cause.as_ref().map(|cause| cause.help.as_str()).filter(|help| !help.is_empty());
    out.extend(next.map(|help| talk(&format!("  help: {help}"))));
    let list =
        |numbers: &[usize]| numbers.iter().map(|number| step(plan, *number)).collect::<Vec<_>>().join(", ");
    for (word, numbers) in [
        ("done", outcome.done.as_slice()),
        ("failed", outcome.failed.as_slice()),
        ("interrupted", outcome.interrupted.as_slice()),
        ("not started", &outcome.not_started),
    ] {
        out.extend((!numbers.is_empty()).then(|| talk(&format!("  {word}: {}", list(numbers)))));
    }
    if !outcome.done.is_empty() || outcome.failed.or(outcome.interrupted).is_some() {
        let next = outcome.lost.as_deref().unwrap_or(AGAIN);
        out.push(talk(&format!("  help: logins work as before or as planned; {next}")));
    }
    out
}

/// A step in words; empty for a number that the plan does not have.
pub(super) fn step(plan: &Plan, number: usize) -> String {
    let step = plan.steps.iter().find(|step| step.number == number);
    step.map(|step| format!("{} ({})", step.address, step.what)).unwrap_or_default()
}

fn done(plan: &Plan, outcome: &Outcome, verified: bool, paint: Paint) -> Vec<Told> {
    if plan.is_empty() {
        return vec![Told::Result("\nNo changes; what the tenant refused before was tried again.".into())];
    }
    let n = outcome.done.len();
    let s = if n == 1 { "" } else { "s" };
    let done = match (plan.destroy, plan.rollback) {
        (true, _) => format!("\nDone: the stack is taken away, by {n} step{s}."),
        (_, true) => format!(
            "\nDone: the last run is taken back, by {n} step{s}. The next plan shows its changes again."
        ),
        _ => format!("\nDone: {n} step{s} applied."),
    };
    let mut out = vec![paint.good(&done)];
    out.extend(render::left_behind(plan).into_iter().map(|left| format!("  stays: {left}")));
    out.extend(outcome.kept.iter().map(|kept| line(&format!("  stays: {kept}"))));
    out.extend(verified.then(|| paint.good("Second plan: no changes.")));
    out.into_iter().map(Told::Result).collect()
}

/// The outcome of a watch. A failure is an error; what could not be told is a warning, because it is no success.
fn of_watch(watched: &Watched, paint: Paint) -> Vec<Told> {
    let verdict = watched.health.verdict;
    let Some(code) = code_of_verdict(verdict) else {
        return vec![Told::Result(paint.good(&line(&watched.line())))];
    };
    let word = if verdict == Verdict::TooFew { "warning" } else { "error" };
    let mut out = vec![Told::Talk(line(&format!("{word}[{code}]: {}", watched.line())))];
    let done = watched.back.iter().flat_map(|back| &back.done);
    out.extend(done.map(|step| Told::Talk(line(&format!("  taken back: {step}")))));
    out.push(Told::Talk(line(&format!("  help: {}", watched.help()))));
    out
}

fn shown(ledger: Option<&Ledger>, findings: &[Finding], lease: &Lease) -> Vec<Told> {
    let mut out = match ledger {
        None => vec!["ledger: none".to_owned()],
        Some(ledger) => recorded(ledger),
    };
    for finding in findings {
        out.push(format!("  {}[{}]: {}", finding.level.word(), finding.code, finding.text));
        out.push(format!("    help: {}", finding.help));
    }
    out.push(format!("lease: {}", lease.words()));
    out.iter().map(|text| Told::Result(line(text))).collect()
}

/// The record, a line for each resource and each run.
pub(super) fn recorded(ledger: &Ledger) -> Vec<String> {
    let mut out =
        vec![format!("ledger of stack {} on {} (serial {})", ledger.stack, ledger.tenant, ledger.serial)];
    let width = render::column(ledger.resources.keys().map(Address::as_str));
    for (address, entry) in &ledger.resources {
        let ids: Vec<String> = entry.ids.iter().map(|(name, id)| format!("{name} {id}")).collect();
        out.push(format!("  {address:<width$} {}  {}", owned(entry.ownership), ids.join(", ")));
    }
    if let Some(intent) = &ledger.intent {
        let text = match ledger.has_reported() {
            true => "did not finish; the next run looks up what became of its last step",
            false => "did not report its end: it was killed or cut off, or is still running",
        };
        out.push(format!("  the run that began at {} {text}", intent.at));
    }
    for run in &ledger.history {
        out.push(format!("  {}  {} ({} steps) by {}", run.at, run.outcome, run.steps, run.by));
    }
    out
}

pub(super) fn owned(ownership: Ownership) -> &'static str {
    match ownership {
        Ownership::Created => "created",
        Ownership::Adopted => "adopted",
    }
}

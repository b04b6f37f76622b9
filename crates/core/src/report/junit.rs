//! JUnit XML, for the list of tests of a CI job: a case for each diagnostic, finding, resource or step. The cases fail
//! that make the command fail, or that make drift other than clean.

use std::fmt::Write as _;

use super::door::Door;
use super::marks::why;
use super::{Applied, Content, Failure, Report, Watched, doctor, text};
use crate::diag::Severity;
use crate::model::health::Verdict as Health;
use crate::model::outcome::Outcome;
use crate::model::plan::{Finding, Level, Plan};
use crate::plan::{drift, render};

/// One case, not escaped yet.
struct Case {
    /// The list that it belongs to.
    class: &'static str,
    name: String,
    verdict: Verdict,
}

enum Verdict {
    /// Holds what may be worth reading all the same.
    Passed(String),
    Failed {
        message: String,
        text: String,
    },
    /// It could not be found out.
    Broken {
        message: String,
        text: String,
    },
    Skipped(String),
}

/// The document.
pub fn junit(report: &Report, door: Door<'_>) -> String {
    let cases = cases(report);
    let count = |fits: fn(&Verdict) -> bool| cases.iter().filter(|case| fits(&case.verdict)).count();
    let failures = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
    let errors = count(|verdict| matches!(verdict, Verdict::Broken { .. }));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let tests = cases.len();
    let name = format!("lockstep {}", report.command);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"0\">"
    );
    let suite = xml(&door.line(&about(report)));
    let _ = writeln!(
        out,
        "  <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"0\">"
    );
    for case in &cases {
        write_case(&mut out, case, report.command, door);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// What the suite is about: the stack and its tenant, or the file.
fn about(report: &Report) -> String {
    match &report.content {
        Content::Plan(plan) | Content::Drift { plan, .. } => format!("{} on {}", plan.stack, plan.tenant),
        Content::Applied(applied) => format!("{} on {}", applied.plan.stack, applied.plan.tenant),
        Content::Shown { ledger: Some(ledger), .. } => format!("{} on {}", ledger.stack, ledger.tenant),
        _ => report.file.clone(),
    }
}

fn cases(report: &Report) -> Vec<Case> {
    let mut out: Vec<Case> = report
        .diagnostics
        .iter()
        .map(|said| {
            let problem = &said.diagnostic.problem;
            let (message, text) = (problem.title.clone(), said.diagnostic.to_string());
            Case {
                class: "manifest",
                name: format!("{} {}", problem.code, problem.path),
                verdict: match problem.severity {
                    Severity::Error => Verdict::Failed { message, text },
                    Severity::Warning | Severity::Note => Verdict::Passed(text),
                },
            }
        })
        .collect();
    match &report.content {
        Content::Valid { unknown } => {
            let not_checked = match unknown.as_slice() {
                [] => String::new(),
                unknown => format!("not checked: what depends on {}", unknown.join(", ")),
            };
            out.push(case("manifest", &report.file, Verdict::Passed(not_checked)));
        }
        Content::Plan(plan) => {
            out.extend(plan.findings.iter().map(|finding| of_finding(finding, false)));
            out.extend(plan.resources.iter().map(|resource| {
                let text = if plan.is_told(resource) { render::resource(resource) } else { String::new() };
                case("resources", resource.address.as_str(), Verdict::Passed(text))
            }));
        }
        Content::Drift { plan, .. } => out.extend(of_drift(plan)),
        Content::Applied(applied) => out.extend(of_apply(applied)),
        Content::Shown { ledger, findings, lease: _ } => {
            let text =
                ledger.as_deref().map_or_else(|| vec!["ledger: none".into()], text::recorded).join("\n");
            out.push(case("record", "ledger", Verdict::Passed(text)));
            out.extend(findings.iter().map(|finding| of_finding(finding, false)));
        }
        Content::Doctor(checkup) => {
            out.push(case("doctor", "looked", Verdict::Passed(doctor::summary(&checkup.findings))));
            out.extend(checkup.findings.iter().map(|finding| of_finding(finding, true)));
        }
        Content::Status(status) => {
            out.extend(of_drift(&status.plan));
            let text = status.health.counts.line();
            let message = status.health.reasons.join("; ");
            let verdict = match status.health.verdict {
                Health::Failing => Verdict::Failed { message, text },
                Health::NotRead => Verdict::Skipped(message),
                Health::Healthy | Health::TooFew => Verdict::Passed(text),
            };
            out.push(case("health", "tenant_log", verdict));
        }
        Content::Failed(Failure { message, help, .. }) => {
            let text = if help.is_empty() { message.clone() } else { format!("{message}\nhelp: {help}") };
            out.push(case("run", report.command, Verdict::Broken { message: message.clone(), text }));
        }
    }
    out
}

fn case(class: &'static str, name: &str, verdict: Verdict) -> Case {
    Case { class, name: name.to_owned(), verdict }
}

/// A finding fails where it makes the command's exit code another one.
fn of_finding(finding: &Finding, of_drift: bool) -> Case {
    let Finding { code, address, text: message, help, level } = finding;
    let message = message.clone();
    let text = if help.is_empty() { message.clone() } else { format!("{message}\nhelp: {help}") };
    let verdict = match level {
        Level::Note => Verdict::Passed(text),
        Level::Warning if !of_drift => Verdict::Passed(text),
        Level::Warning | Level::Blocker => Verdict::Failed { message, text },
        Level::NotRead if of_drift => Verdict::Broken { message, text },
        Level::NotRead => Verdict::Skipped(message),
    };
    Case { class: "findings", name: format!("{code} {address}").trim_end().to_owned(), verdict }
}

fn of_drift(plan: &Plan) -> Vec<Case> {
    let mut out: Vec<Case> = plan.findings.iter().map(|finding| of_finding(finding, true)).collect();
    let told = drift::differences(plan);
    out.extend(plan.resources.iter().map(|resource| {
        let told = told.iter().find(|told| told.address == resource.address);
        let text = told.map(drift::difference).unwrap_or_default();
        let verdict = match told {
            Some(told) if plan.differs(resource) => {
                Verdict::Failed { message: format!("{} {}", told.address, told.state.words()), text }
            }
            _ => Verdict::Passed(text),
        };
        case("resources", resource.address.as_str(), verdict)
    }));
    out
}

fn of_apply(applied: &Applied) -> Vec<Case> {
    let Applied { plan, outcome, .. } = applied;
    let mut out: Vec<Case> = plan.findings.iter().map(|finding| of_finding(finding, false)).collect();
    let of_watch = applied.watched.iter().flat_map(Watched::findings);
    out.extend(of_watch.map(|finding| of_finding(&finding, true)));
    let Some(outcome) = outcome else {
        let resources = plan.resources.iter();
        out.extend(
            resources.map(|one| case("resources", one.address.as_str(), Verdict::Passed(String::new()))),
        );
        return out;
    };
    let why = why(applied, outcome);
    let Outcome { done, failed, interrupted, .. } = outcome;
    for step in &plan.steps {
        let (message, text) = (step.what.clone(), why.clone().unwrap_or_default());
        let verdict = match step.number {
            number if Some(number) == *failed => Verdict::Failed { message, text },
            number if Some(number) == *interrupted => Verdict::Broken { message, text },
            number if done.contains(&number) => Verdict::Passed(String::new()),
            _ => Verdict::Skipped("not started".into()),
        };
        out.push(Case {
            class: "steps",
            name: format!("{}. {}: {}", step.number, step.address, step.what),
            verdict,
        });
    }
    if let (Some(text), None) = (why, failed.or(*interrupted)) {
        out.push(case("run", "apply", Verdict::Broken { message: text.clone(), text }));
    }
    out
}

fn write_case(out: &mut String, case: &Case, command: &str, door: Door<'_>) {
    let Case { class, name, verdict } = case;
    let name = xml(&door.line(name));
    let _ = write!(out, "    <testcase classname=\"lockstep.{command}.{class}\" name=\"{name}\" time=\"0\"");
    let body = match verdict {
        Verdict::Passed(text) if text.is_empty() => {
            out.push_str("/>\n");
            return;
        }
        Verdict::Passed(text) => format!("<system-out>{}</system-out>", xml(&door.block(text))),
        Verdict::Failed { message, text } => told("failure", message, text, door),
        Verdict::Broken { message, text } => told("error", message, text, door),
        Verdict::Skipped(message) => format!("<skipped message=\"{}\"/>", xml(&door.line(message))),
    };
    let _ = writeln!(out, ">\n      {body}\n    </testcase>");
}

fn told(element: &str, message: &str, text: &str, door: Door<'_>) -> String {
    let (message, text) = (xml(&door.line(message)), xml(&door.block(text)));
    format!("<{element} message=\"{message}\" type=\"lockstep\">{text}</{element}>")
}

/// A text as content or as an attribute's value. XML has no way at all to write some characters.
pub(crate) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            ch if ch.is_control() && ch != '\n' => out.push(' '),
            ch => out.push(ch),
        }
    }
    out
}

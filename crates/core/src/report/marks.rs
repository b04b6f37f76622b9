//! A report as a list of single things to look at, each with its place in the manifest. SARIF calls them results, and a
//! GitHub runner annotations.

use serde_json::Value as Json;

use super::{Applied, Content, Failure, Report, Said, text};
use crate::diag::Severity;
use crate::model::address::Address;
use crate::model::codes;
use crate::model::outcome::Outcome;
use crate::model::plan::{FieldChange, Finding, Level, Plan, ResourcePlan, Verb};
use crate::plan::drift::{self, State};
use crate::plan::render;

/// How much a mark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Note,
    Warning,
    Error,
}

/// One thing to look at. Its texts are not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub weight: Weight,
    /// Id of the rule, one of [`rules`].
    pub rule: String,
    /// What tells the mark from others of its rule, wherever it stands: path or address and field.
    pub subject: String,
    /// One sentence.
    pub text: String,
    /// The next move; empty if there is none.
    pub help: String,
    pub file: String,
    /// Line and column, from 1; `None`: the whole file.
    pub start: Option<(usize, usize)>,
    /// Those of the first character after the place.
    pub end: Option<(usize, usize)>,
}

/// Marks that no code belongs to: the id of each rule and what it says.
const RULES: [(&str, &str); 3] = [
    ("change", "an apply would change this"),
    ("danger", "a step of the plan may lose something"),
    ("difference", "manifest and tenant differ"),
];

/// Every rule: the codes with their sentences, and the rules without a code.
pub fn rules() -> Vec<(String, &'static str)> {
    let codes = codes::ALL.iter().map(|(code, text)| (code.to_string(), *text));
    codes.chain(RULES.map(|(id, text)| (id.to_owned(), text))).collect()
}

/// The marks of a report, in the order of the text of the manifest, then of the plan.
pub fn marks(report: &Report) -> Vec<Mark> {
    let mut out: Vec<Mark> = report.diagnostics.iter().map(of_diagnostic).collect();
    let marker = Marker(report);
    match &report.content {
        Content::Valid { .. } => {}
        Content::Plan(plan) => out.extend(marker.of_plan(plan)),
        Content::Applied(applied) => out.extend(marker.of_apply(applied)),
        Content::Drift { plan, .. } => {
            out.extend(plan.findings.iter().map(|finding| marker.of_finding(finding)));
            out.extend(drift::differences(plan).iter().flat_map(|told| marker.of_difference(told)));
        }
        Content::Shown { findings, .. } => {
            out.extend(findings.iter().map(|finding| marker.of_finding(finding)));
        }
        Content::Doctor(checkup) => {
            out.extend(checkup.findings.iter().map(|finding| marker.of_finding(finding)));
        }
        Content::Status(status) => {
            out.extend(status.findings().iter().map(|finding| marker.of_finding(finding)));
            out.extend(drift::differences(&status.plan).iter().flat_map(|told| marker.of_difference(told)));
        }
        // The errors of the manifest say it better.
        Content::Failed(_) if out.iter().any(|mark| mark.weight == Weight::Error) => {}
        Content::Failed(Failure { exit: _, code, message, help, request_id: _, place }) => {
            let rule = code.to_string();
            let mark = marker.mark(Weight::Error, &rule, (&Address::default(), ""), message.clone());
            let start = place.as_ref().map(|place| (place.line, place.column));
            out.push(Mark { help: help.clone(), start, ..mark });
        }
    }
    out
}

fn of_diagnostic(said: &Said) -> Mark {
    let problem = &said.diagnostic.problem;
    let weight = match problem.severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
        Severity::Note => Weight::Note,
    };
    Mark {
        weight,
        rule: problem.code.to_string(),
        subject: problem.path.clone(),
        text: match problem.reason.as_str() {
            "" => problem.title.clone(),
            reason => format!("{}: {reason}", problem.title),
        },
        help: problem.help.clone(),
        file: said.diagnostic.file.clone(),
        start: said.diagnostic.span.as_ref().map(|span| (span.line, span.column)),
        end: said.end,
    }
}

/// Makes marks with their places.
struct Marker<'a>(&'a Report);

impl Marker<'_> {
    /// A mark at the place of a field, or of the resource where no key says the field.
    fn mark(&self, weight: Weight, rule: &str, subject: (&Address, &str), text: String) -> Mark {
        let (address, field) = subject;
        let place = |field: &str| self.0.places.get(&(address.clone(), field.to_owned()));
        let place = place(field).or_else(|| place(""));
        Mark {
            weight,
            rule: rule.to_owned(),
            subject: if field.is_empty() { address.to_string() } else { format!("{address}.{field}") },
            text,
            help: String::new(),
            file: place.map_or_else(|| self.0.file.clone(), |place| place.file.clone()),
            start: place.map(|place| (place.line, place.column)),
            end: None,
        }
    }

    fn of_finding(&self, finding: &Finding) -> Mark {
        let Finding { code, address, text, help, level } = finding;
        let weight = match level {
            Level::Note => Weight::Note,
            Level::Warning => Weight::Warning,
            Level::Blocker | Level::NotRead => Weight::Error,
        };
        let text = if address.is_empty() { text.clone() } else { format!("{address}: {text}") };
        Mark { help: help.clone(), ..self.mark(weight, &code.to_string(), (address, ""), text) }
    }

    fn of_plan(&self, plan: &Plan) -> Vec<Mark> {
        let mut out: Vec<Mark> = plan.findings.iter().map(|finding| self.of_finding(finding)).collect();
        for step in &plan.steps {
            let Some(danger) = &step.danger else { continue };
            let text = format!("{}: {}: {danger}", step.address, step.what);
            out.push(self.mark(Weight::Warning, "danger", (&step.address, ""), text));
        }
        out.extend(plan.resources.iter().flat_map(|resource| self.of_resource(plan, resource)));
        out
    }

    /// One mark for each field of an object that stays, and one for an object that comes or goes.
    fn of_resource(&self, plan: &Plan, resource: &ResourcePlan) -> Vec<Mark> {
        let ResourcePlan { address, verb, changes, .. } = resource;
        let note = |field: &str, text: String| self.mark(Weight::Note, "change", (address, field), text);
        match verb {
            Verb::NoOp if !plan.differs(resource) => Vec::new(),
            Verb::Update | Verb::Replace if !changes.is_empty() => changes
                .iter()
                .map(|change| {
                    let FieldChange { field, .. } = change;
                    note(field, format!("{verb} {address}: {field}: {}", in_words(change)))
                })
                .collect(),
            Verb::Delete => vec![note("", format!("{verb} {address}{}", render::which(resource)))],
            _ => vec![note("", format!("{verb} {address}"))],
        }
    }

    fn of_apply(&self, applied: &Applied) -> Vec<Mark> {
        let Applied { plan, outcome, place, .. } = applied;
        let mut out: Vec<Mark> = plan.findings.iter().map(|finding| self.of_finding(finding)).collect();
        let Some(outcome) = outcome else { return out };
        let Outcome { failed, interrupted, .. } = outcome;
        let why = why(applied, outcome);
        let number = failed.or(*interrupted);
        let at = plan.steps.iter().find(|step| Some(step.number) == number).map(|step| &step.address);
        if let (Some(why), Some(code)) = (why, outcome.code()) {
            let text = match number {
                Some(number) => format!("{}: {why}", text::step(plan, number)),
                None => why,
            };
            let mark =
                self.mark(Weight::Error, &code.to_string(), (at.unwrap_or(&Address::default()), ""), text);
            let help = outcome.cause.as_ref().map_or_else(String::new, |cause| cause.help.clone());
            let start = place.as_ref().map(|place| (place.line, place.column)).or(mark.start);
            out.push(Mark { help, start, ..mark });
        }
        out
    }

    fn of_difference(&self, told: &drift::Told) -> Vec<Mark> {
        let drift::Told { address, state, fields, reasons, unknown } = told;
        let mark = |weight, field: &str, text| self.mark(weight, "difference", (address, field), text);
        match state {
            State::Differs if !fields.is_empty() => fields
                .iter()
                .map(|field| {
                    let words = drift::in_words(field, *state);
                    let cause = drift::word(field.cause);
                    mark(
                        Weight::Warning,
                        &field.field,
                        format!("{address}: {}: {words} [{cause}]", field.field),
                    )
                })
                .collect(),
            State::Unknown => {
                let text = format!("{address} {}: {}", state.words(), unknown.join(", "));
                vec![mark(Weight::Note, "", text)]
            }
            _ => {
                let reasons: String = reasons.iter().map(|reason| format!("; {reason}")).collect();
                vec![mark(Weight::Warning, "", format!("{address} {}{reasons}", state.words()))]
            }
        }
    }
}

/// Why an apply did not do all of its plan; `None`: it did.
pub(super) fn why(applied: &Applied, outcome: &Outcome) -> Option<String> {
    use crate::model::outcome::Ended;
    let text = match &outcome.ended {
        Ended::Done => return None,
        Ended::Stopped => applied.why_stopped.clone(),
        Ended::LeaseHeld(owner) => format!("{owner} is applying to this tenant; nothing was changed"),
        Ended::Moved => "other runs kept changing the record; nothing was changed".to_owned(),
        Ended::Stale(what) => format!("the plan is stale, nothing was changed; moved: {what}"),
        Ended::Failed(why) | Ended::Misnamed(why) => why.clone(),
        Ended::NotConfirmed(why) => format!("{why}; nothing was changed"),
    };
    Some([Some(text.as_str()), outcome.lost.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// A change of a field on one line, without its name.
pub(super) fn in_words(change: &FieldChange) -> String {
    let FieldChange { old, new, secret, .. } = change;
    if *secret {
        return render::of_secret(change).to_owned();
    }
    format!("{} → {}", brief(old.as_ref()), brief(new.as_ref()))
}

/// A value on one line; of several lines only the number is told.
pub(super) fn brief(value: Option<&Json>) -> String {
    match value.and_then(Json::as_str) {
        Some(text) if render::is_text(value) => format!("{} lines", text.lines().count()),
        _ => render::shown(value),
    }
}

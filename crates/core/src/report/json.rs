//! The JSON document. `docs/json.md` describes it.

use serde_json::{Value as Json, json};

use super::{Applied, Content, Failure, Lease, Report, Said};
use crate::diag::Problem;
use crate::model::outcome::Outcome;
use crate::plan::drift;

/// The one document of a run, with every text as it is.
pub fn json(report: &Report) -> Json {
    let diagnostics: Vec<Json> = report.diagnostics.iter().map(diagnostic).collect();
    let (name, value) = match &report.content {
        Content::Valid { unknown } => {
            ("validate", json!({ "file": report.file, "valid": true, "unknown": unknown }))
        }
        Content::Plan(plan) => ("plan", json!(plan)),
        Content::Applied(applied) => {
            let Applied { plan, outcome, .. } = applied.as_ref();
            ("apply", json!({ "plan": plan, "outcome": outcome.as_ref().map(ended) }))
        }
        Content::Drift { plan, verdict } => {
            ("drift", json!({ "verdict": verdict, "differences": drift::differences(plan), "plan": plan }))
        }
        Content::Shown { ledger, findings, lease } => {
            let lease = match lease {
                Lease::Free => Json::Null,
                Lease::Held { sid, owner } => json!({ "sid": sid, "owner": owner }),
                // A lease that cannot be read is not the same as a free one.
                Lease::Unknown(why) => json!({ "unknown": why }),
            };
            ("show", json!({ "ledger": ledger, "findings": findings, "lease": lease }))
        }
        Content::Failed(Failure { exit, message, help }) => {
            let help = if help.is_empty() { Json::Null } else { json!(help) };
            ("error", json!({ "exit": exit, "message": message, "help": help }))
        }
    };
    json!({ "format": 1, name: value, "diagnostics": diagnostics })
}

fn ended(outcome: &Outcome) -> Json {
    let why = outcome.why();
    let Outcome { ended, done, failed, interrupted, kept, lost: _, not_started } = outcome;
    let (ended, _) = ended.words();
    json!({ "ended": ended, "why": why, "done": done, "failed": failed, "interrupted": interrupted, "kept": kept, "not_started": not_started })
}

fn diagnostic(said: &Said) -> Json {
    let Problem { code, severity, path, on_key: _, title, reason, help } = &said.diagnostic.problem;
    let span = said.diagnostic.span.as_ref();
    let end = said.end.map(|(line, column)| json!({ "line": line, "column": column }));
    json!({
        "code": code.to_string(), "severity": severity.word(), "title": title, "reason": reason, "help": help,
        "path": path, "file": said.diagnostic.file, "line": span.map(|span| span.line),
        "column": span.map(|span| span.column), "end": end,
    })
}

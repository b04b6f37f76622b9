//! The JSON document. `docs/json.md` describes it.

use serde_json::{Value as Json, json};

use super::{Applied, Content, Failure, Lease, Report, Said, Watched};
use crate::diag::Problem;
use crate::manifest::Position;
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
            let Applied { plan, outcome, place: at, .. } = applied.as_ref();
            (
                "apply",
                with_watch(
                    json!({ "plan": plan, "outcome": outcome.as_ref().map(|outcome| ended(outcome, at.as_ref())) }),
                    applied.watched.as_ref(),
                ),
            )
        }
        Content::Drift { plan, verdict } => {
            ("drift", json!({ "verdict": verdict, "differences": drift::differences(plan), "plan": plan }))
        }
        Content::Shown { ledger, findings, lease } => {
            ("show", json!({ "ledger": ledger, "findings": findings, "lease": lease.json() }))
        }
        Content::Status(status) => ("status", status.json()),
        Content::Failed(Failure { exit, code, message, help, request_id, place: at }) => {
            let (help, at) = (text(help), place(at.as_ref()));
            (
                "error",
                json!({ "exit": exit, "code": code, "message": message, "help": help, "request_id": request_id, "place": at }),
            )
        }
    };
    let mut document = json!({ "format": 1, name: value, "diagnostics": diagnostics });
    if let (Content::Plan(_), Some(explained)) = (&report.content, &report.explained) {
        document["explanation"] = json!(explained);
    }
    document
}

/// A run without a watch has no word about one.
fn with_watch(mut apply: Json, watched: Option<&Watched>) -> Json {
    if let Some(watched) = watched {
        apply["watch"] = watched.json();
    }
    apply
}

impl Lease {
    pub(super) fn json(&self) -> Json {
        match self {
            Lease::Free => Json::Null,
            Lease::Held { sid, owner } => json!({ "sid": sid, "owner": owner }),
            // A lease that cannot be read is not the same as a free one.
            Lease::Unknown(why) => json!({ "unknown": why }),
        }
    }
}

fn ended(outcome: &Outcome, at: Option<&Position>) -> Json {
    let (why, code) = (outcome.why(), outcome.code());
    let Outcome { ended, done, failed, interrupted, kept, lost: _, not_started, cause, outputs: _ } = outcome;
    let (ended, _) = ended.words();
    let help = cause.as_ref().map_or(Json::Null, |cause| text(&cause.help));
    let request_id = cause.as_ref().and_then(|cause| cause.request_id.as_ref());
    json!({
        "ended": ended, "code": code, "why": why, "help": help, "request_id": request_id, "place": place(at),
        "done": done, "failed": failed, "interrupted": interrupted, "kept": kept, "not_started": not_started,
    })
}

/// A text; null if it is empty.
fn text(text: &str) -> Json {
    if text.is_empty() { Json::Null } else { json!(text) }
}

fn place(at: Option<&Position>) -> Json {
    at.map_or(
        Json::Null,
        |at| json!({ "file": at.file, "line": at.line, "column": at.column, "path": at.key }),
    )
}

fn diagnostic(said: &Said) -> Json {
    let Problem { code, severity, path, on_key: _, inside: _, is_rest: _, title, reason, help } =
        &said.diagnostic.problem;
    let span = said.diagnostic.span.as_ref();
    let end = said.end.map(|(line, column)| json!({ "line": line, "column": column }));
    json!({
        "code": code.to_string(), "severity": severity.word(), "title": title, "reason": reason, "help": help,
        "path": path, "file": said.diagnostic.file, "line": span.map(|span| span.line),
        "column": span.map(|span| span.column), "end": end,
    })
}

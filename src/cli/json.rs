//! `--output json`: one document on stdout for every run, whatever its outcome. `docs/json.md` describes it.

use serde_json::{Value as Json, json};

use super::error::Error;
use super::exit::Exit;
use super::setup::Shell;
use crate::diag::{Diagnostic, Problem};
use crate::manifest::Source;
use crate::shell::terminal::Say;

/// The parts of the document until it is written.
pub struct Document {
    /// `--output json` was given.
    pub wanted: bool,
    written: bool,
    diagnostics: Vec<Json>,
}

impl Document {
    /// An empty document.
    pub fn new(wanted: bool) -> Document {
        Document { wanted, written: false, diagnostics: Vec::new() }
    }

    /// Keeps the diagnostics of the manifest.
    pub fn note(&mut self, diagnostics: &[Diagnostic], source: &Source) {
        self.diagnostics.extend(diagnostics.iter().map(|one| as_json(one, source)));
    }
}

/// Writes the document of a command that has a result.
pub fn json_out(shell: &mut Shell, name: &str, value: Json) {
    let diagnostics = std::mem::take(&mut shell.json.diagnostics);
    shell.json.written = true;
    shell.say.out_json(&json!({ "format": 1, name: value, "diagnostics": diagnostics }));
}

/// Writes the document of a command that ended without a result, if `--output json` was given and no document was
/// written yet.
pub fn json_error(shell: &mut Shell, exit: u8, error: &Error) {
    if !shell.json.wanted || shell.json.written {
        return;
    }
    let diagnostics = std::mem::take(&mut shell.json.diagnostics);
    shell.json.written = true;
    shell
        .say
        .out_json(&json!({ "format": 1, "error": as_document(exit, error), "diagnostics": diagnostics }));
}

/// As [`json_error`], for an error before the command begins.
pub fn early_error(say: &mut Say, exit: u8, error: &Error) {
    say.out_json(&json!({ "format": 1, "error": as_document(exit, error), "diagnostics": [] }));
}

fn as_document(exit: u8, error: &Error) -> Json {
    let help = if error.help.is_empty() { Json::Null } else { Json::from(error.help.as_str()) };
    json!({ "exit": exit, "message": error.message, "help": help })
}

/// The message of a command that stops without a message of its own.
pub fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Stale => "the plan is stale: the tenant, the account or the manifest has changed since",
        Exit::LeaseHeld => "the lease is held by somebody else",
        _ => "the command failed",
    }
}

fn as_json(one: &Diagnostic, source: &Source) -> Json {
    let Problem { code, severity, path, on_key: _, title, reason, help } = &one.problem;
    let (line, column, end) = match &one.span {
        Some(span) => {
            let end = source.line_and_column(span.end);
            (json!(span.line), json!(span.column), json!({ "line": end.0, "column": end.1 }))
        }
        None => (Json::Null, Json::Null, Json::Null),
    };
    json!({
        "code": code.to_string(), "severity": severity.word(), "title": title, "reason": reason, "help": help,
        "path": path, "file": one.file, "line": line, "column": column, "end": end,
    })
}

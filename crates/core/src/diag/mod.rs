//! What is wrong with an input, where, why, and what to do next.
//!
//! A [`Problem`] names a place by its path in the manifest; `manifest` turns the path into a span and so the
//! problem into a [`Diagnostic`]. Nothing here prints.

mod nearest;
pub mod remote;

pub use nearest::nearest;

use std::fmt;

pub use crate::model::codes::{self, Code};

/// Severity of a problem. Only an error stops the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The program did something that a person may want to know.
    Note,
    Warning,
    Error,
}

impl Severity {
    /// The word in messages and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A fault found by a check that knows paths but not text positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub severity: Severity,
    /// Dotted path in the manifest (`action.secrets.TWILIO_API_KEY`); empty for the whole file.
    pub path: String,
    /// The caret points at the key instead of its value.
    pub on_key: bool,
    /// Line and column of the problem in the file that the value names, both from 1.
    pub inside: Option<(usize, usize)>,
    /// It stands for problems that are not listed, because there are too many.
    pub is_rest: bool,
    /// Lower case, present tense, no full stop.
    pub title: String,
    /// The words under the caret.
    pub reason: String,
    /// The next move.
    pub help: String,
}

impl Problem {
    /// An error at a value.
    pub fn error(
        code: Code,
        path: impl Into<String>,
        title: impl Into<String>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            path: path.into(),
            on_key: false,
            inside: None,
            is_rest: false,
            title: title.into(),
            reason: reason.into(),
            help: help.into(),
        }
    }

    /// The same problem as a note.
    pub fn note(mut self) -> Problem {
        self.severity = Severity::Note;
        self
    }

    /// The same problem as a warning.
    pub fn warning(mut self) -> Problem {
        self.severity = Severity::Warning;
        self
    }

    /// The same problem, with its place in the file that the value names.
    pub fn inside(mut self, line: usize, column: usize) -> Problem {
        self.inside = Some((line, column));
        self
    }

    /// The same problem, with the caret at the key.
    pub fn at_key(mut self) -> Problem {
        self.on_key = true;
        self
    }
}

/// A place in a text. Lines and columns count from 1, columns in characters. `start` and `end` are byte offsets for the
/// renderer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    pub start: usize,
    pub end: usize,
}

/// A problem with its place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub problem: Problem,
    pub file: String,
    pub span: Option<Span>,
}

/// How many errors these are, in words. `None`: there is none.
pub fn errors<'a>(all: impl IntoIterator<Item = &'a Diagnostic>) -> Option<String> {
    let errors = all.into_iter().map(|one| &one.problem).filter(|one| one.severity == Severity::Error);
    let (rest, listed): (Vec<&Problem>, Vec<&Problem>) = errors.partition(|one| one.is_rest);
    match (listed.len(), rest.is_empty()) {
        (0, true) => None,
        (1, true) => Some("1 error".to_owned()),
        (count, true) => Some(format!("{count} errors")),
        (count, false) => Some(format!("more than {count} errors")),
    }
}

/// One line: `lockstep.yaml:4:16: error[LS0104]: code length is out of range: must be 4 to 10 (help: …)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { code, severity, path: _, on_key: _, inside: _, is_rest: _, title, reason, help } =
            &self.problem;
        write!(f, "{}", self.file)?;
        if let Some(span) = &self.span {
            write!(f, ":{}:{}", span.line, span.column)?;
        }
        write!(f, ": {}[{code}]: {title}", severity.word())?;
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
        if !help.is_empty() {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

//! Commands of a GitHub runner: one annotation for each mark, on its line of the manifest, and nothing else.

use std::fmt::Write as _;

use super::Report;
use super::door::Door;
use super::marks::{Mark, Weight, marks};

/// The annotations, a line each; empty for none.
pub fn github(report: &Report, door: Door<'_>) -> String {
    let mut out = String::new();
    for mark in marks(report) {
        let Mark { weight, rule, text, help, file, start, end, .. } = &mark;
        let command = match weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
            Weight::Note => "notice",
        };
        let mut properties = Vec::new();
        if !file.is_empty() {
            properties.push(format!("file={}", property(&door.line(file))));
        }
        if let Some((line, column)) = start {
            properties.push(format!("line={line}"));
            properties.push(format!("col={column}"));
            // A runner takes columns only with both ends on one line.
            if let Some((_, end)) = end.filter(|(end_line, _)| end_line == line) {
                properties.push(format!("endColumn={}", end.saturating_sub(1).max(*column)));
            }
        }
        properties.push(format!("title={}", property(rule)));
        let help =
            if help.is_empty() { String::new() } else { format!("%0Ahelp: {}", data(&door.line(help))) };
        let _ = writeln!(out, "::{command} {}::{}{help}", properties.join(","), data(&door.line(text)));
    }
    out
}

/// A message, as the runner unescapes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

//! Draws diagnostics: the line of the manifest, a caret under the words that clash, and the next move.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::source::Source;
use crate::diag::{Diagnostic, Problem, Severity};
use crate::model::text::line;

/// Width of a drawing. Fixed, so that the same input gives the same bytes on every terminal.
const WIDTH: usize = 120;

/// Longest line that is drawn, in bytes. For a longer one, only the place is named.
const LINE_MAX: usize = 2000;

/// All diagnostics in their order, with a blank line between them and a line break at the end; empty for none. Secrets
/// written in clear are drawn as stars.
pub fn render(diagnostics: &[Diagnostic], source: &Source, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut out = String::new();
    for diagnostic in diagnostics {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&draw(diagnostic, source, &renderer));
        out.push('\n');
    }
    out
}

fn draw(diagnostic: &Diagnostic, source: &Source, renderer: &Renderer) -> String {
    let problem = &harmless(&diagnostic.problem);
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.title.as_str()).id(problem.code.to_string());
    let is_here = diagnostic.file == source.file && source.is_drawn;
    let span = diagnostic.span.as_ref().filter(|_| is_here);
    let place = span.and_then(|span| Some((span, line_at(source, span.start)?)));
    let mut group = match place {
        Some((span, (line, from))) => {
            let line_end = from + line.len();
            let start = span.start.clamp(from, line_end) - from;
            // Of a value with several lines only the first is drawn: the place matters, not the extent.
            let end = span.end.clamp(from + start, line_end) - from;
            let end = start + line[start..end].trim_end().len();
            let mut annotation = AnnotationKind::Primary.span(start..end);
            if !problem.reason.is_empty() {
                annotation = annotation.label(problem.reason.as_str());
            }
            let snippet = Snippet::source(line)
                .path(diagnostic.file.as_str())
                .line_start(span.line)
                .annotation(annotation);
            title.element(snippet)
        }
        None => {
            let file = &diagnostic.file;
            let place = match &diagnostic.span {
                Some(span) => format!("at {file}:{}:{}", span.line, span.column),
                None => format!("in {file}"),
            };
            let reason = match problem.reason.as_str() {
                "" => place,
                reason => format!("{reason}, {place}"),
            };
            title.element(Level::NOTE.message(reason))
        }
    };
    if !problem.help.is_empty() {
        group = group.element(Level::HELP.message(problem.help.as_str()));
    }
    renderer.render(&[group])
}

/// The problem with each of its sentences as one harmless line: they quote the manifest, which may be somebody else's.
fn harmless(problem: &Problem) -> Problem {
    let Problem { title, reason, help, .. } = problem;
    Problem { title: line(title), reason: line(reason), help: line(help), ..problem.clone() }
}

/// The line around a byte and the byte where it starts, with secrets blanked without moving a byte; `None` for a very
/// long line.
fn line_at(source: &Source, at: usize) -> Option<(String, usize)> {
    let text = &source.text;
    let at = at.min(text.len());
    let from = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let to = text[at..].find('\n').map_or(text.len(), |found| at + found);
    let line = text[from..to].trim_end_matches('\r');
    if line.len() > LINE_MAX {
        return None;
    }
    let mut hidden = vec![false; line.len()];
    for range in source.hidden.iter().filter(|range| range.end > from && range.start < to) {
        let end = range.end.min(from + line.len()) - from;
        let start = range.start.max(from) - from;
        hidden[start.min(end)..end].fill(true);
    }
    let mut out = String::with_capacity(line.len());
    for (at, ch) in line.char_indices() {
        match hidden[at] && !ch.is_whitespace() {
            true => out.push_str(&"*".repeat(ch.len_utf8())),
            false => out.push(ch),
        }
    }
    Some((out, from))
}

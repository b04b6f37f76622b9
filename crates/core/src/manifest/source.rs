//! A text with its places, and the list in which problems are gathered.

use std::ops::Range;

use super::spans::{Places, SpanIndex};
use crate::diag::{Code, Diagnostic, Problem, Severity, Span, codes};

/// Most problems that are kept. A text of a megabyte could have a hundred thousand, and nobody reads that many.
pub(super) const PROBLEMS_MAX: usize = 1000;

/// Most characters of a user's word that a message repeats.
const WORD_MAX: usize = 60;

/// One text file and the place of each path in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name shown in messages.
    pub file: String,
    /// The text without a byte order mark; all byte ranges are offsets in it.
    pub text: String,
    spans: SpanIndex,
    places: Places,
    /// Whether messages may show lines of the text.
    pub(super) is_drawn: bool,
    /// Byte ranges that are blanked when the text is shown: secrets written in clear.
    pub(super) hidden: Vec<Range<usize>>,
}

impl Source {
    /// Indexes a text. Never fails; a text that is not YAML has fewer places.
    pub fn new(file: &str, text: &str) -> Source {
        let bare = Source::bare(file, text);
        Source { spans: SpanIndex::new(&bare.text), ..bare }
    }

    /// Takes the places from another text, of which each byte stands for the byte of this one.
    pub(super) fn place_by(&mut self, text: &str) {
        debug_assert_eq!(text.len(), self.text.len(), "the places would be others");
        // The former places go first: there may be a hundred thousand.
        self.spans = SpanIndex::default();
        self.spans = SpanIndex::new(text);
    }

    /// A file of which only the name is shown.
    pub(crate) fn unseen(file: &str) -> Source {
        Source { is_drawn: false, ..Source::new(file, "") }
    }

    /// A text without its places.
    pub fn bare(file: &str, text: &str) -> Source {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let (spans, places) = (SpanIndex::default(), Places::new(&text));
        Source { file: file.to_owned(), text, spans, places, hidden: Vec::new(), is_drawn: true }
    }

    /// The same text with further ranges blanked when it is shown.
    pub(super) fn hiding(&self, more: Vec<Range<usize>>) -> Source {
        let hidden = [self.hidden.clone(), more].concat();
        Source { hidden, ..self.clone() }
    }

    /// The same text with every occurrence of these words blanked when it is shown.
    pub fn without<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Source {
        let places = |word: &'a str| self.text.match_indices(word).map(|(at, word)| at..at + word.len());
        self.hiding(words.into_iter().filter(|word| !word.is_empty()).flat_map(places).collect())
    }

    /// The places of the text.
    pub fn spans(&self) -> &SpanIndex {
        &self.spans
    }

    /// The problem with its place. A path that the text does not have gets the place of its nearest parent's key; an
    /// empty path, or one without any parent, gets the start of the file.
    pub fn locate(&self, problem: Problem) -> Diagnostic {
        let (names, whole) = self.spans.names(&problem.path);
        let range = self.range(&names, problem.on_key || !whole);
        self.diagnostic(problem, range)
    }

    /// Byte range of a path's key or value, with the same fallback as [`Source::locate`].
    pub(crate) fn range(&self, names: &[String], on_key: bool) -> Range<usize> {
        for length in (1..=names.len()).rev() {
            let Some(spot) = self.spans.get(&names[..length]) else { continue };
            let exact = length == names.len() && !on_key;
            // What an alias brings stands at the alias.
            let is_behind = length < names.len()
                && self.text.get(spot.value.clone()).is_some_and(|value| value.starts_with('*'));
            return match &spot.key {
                _ if is_behind => spot.value.clone(),
                Some(key) if !exact || spot.value.is_empty() => key.clone(),
                _ => spot.value.clone(),
            };
        }
        let start = self.spans.get(&[]).map_or(0, |root| root.value.start);
        start..start
    }

    /// Byte range of a fragment of a decoded value, found in the text as written; the range of the whole value when the
    /// fragment is not written that way (escapes, folded lines). `at` is the fragment's offset in the decoded value.
    pub(super) fn fragment(&self, names: &[String], fragment: &str, at: usize) -> Range<usize> {
        let whole = self.range(names, false);
        let raw = self.text.get(whole.clone()).unwrap_or_default();
        // Quotes and escapes only add bytes, so in the text the fragment cannot stand before its offset in the decoded
        // value.
        let from = (at..raw.len()).find(|at| raw.is_char_boundary(*at)).unwrap_or(0);
        match raw[from..].find(fragment) {
            Some(found) if !fragment.is_empty() => {
                let start = whole.start + from + found;
                start..start + fragment.len()
            }
            _ => whole,
        }
    }

    /// Line and column of a byte of the text.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        self.places.line_and_column(&self.text, at)
    }

    /// A byte range of the text with its line and column.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        self.places.span(&self.text, range)
    }

    pub(super) fn diagnostic(&self, problem: Problem, range: Range<usize>) -> Diagnostic {
        Diagnostic { problem, file: self.file.clone(), span: Some(self.span(range)) }
    }
}

/// A fault without a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub code: Code,
    pub severity: Severity,
    pub title: String,
    pub reason: String,
    pub help: String,
}

/// A fault without a place, of severity error.
pub fn wrong(
    code: Code,
    title: impl Into<String>,
    reason: impl Into<String>,
    help: impl Into<String>,
) -> Wrong {
    Wrong { code, severity: Severity::Error, title: title.into(), reason: reason.into(), help: help.into() }
}

/// Gathers problems of one source.
pub struct Report<'a> {
    pub source: &'a Source,
    found: Vec<Diagnostic>,
    dropped: usize,
    unseen: usize,
}

impl<'a> Report<'a> {
    /// An empty list.
    pub fn new(source: &'a Source) -> Report<'a> {
        Report { source, found: Vec::new(), dropped: 0, unseen: 0 }
    }

    /// A problem at a value.
    pub fn value(&mut self, names: &[String], wrong: Wrong) {
        self.push(names, false, || self.source.range(names, false), wrong);
    }

    /// A problem at a key.
    pub fn key(&mut self, names: &[String], wrong: Wrong) {
        self.push(names, true, || self.source.range(names, true), wrong);
    }

    /// A problem at given bytes.
    pub fn at(&mut self, names: &[String], range: Range<usize>, wrong: Wrong) {
        self.push(names, false, || range, wrong);
    }

    fn push(&mut self, names: &[String], on_key: bool, range: impl FnOnce() -> Range<usize>, wrong: Wrong) {
        if self.is_full() {
            return self.drop(1);
        }
        let Wrong { code, severity, title, reason, help } = wrong;
        let path = names.join(".");
        let problem =
            Problem { code, severity, path, on_key, inside: None, is_rest: false, title, reason, help };
        let range = range();
        self.found.push(self.source.diagnostic(problem, range));
    }

    /// Whether no further problem is kept, so that its words need not be made.
    pub fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    /// Counts problems that are not kept.
    pub fn drop(&mut self, count: usize) {
        self.dropped += count;
    }

    /// Counts a reference that is not looked at, because the list is full.
    pub fn leave_reference(&mut self) {
        self.unseen += 1;
    }

    /// All problems in the order of the text.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|one| {
            let start = one.span.as_ref().map_or(0, |span| span.start);
            (start, one.problem.code)
        });
        let some = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let rest = [
            some(self.dropped, "more problem", "more problems"),
            some(self.unseen, "reference was not looked at", "references were not looked at"),
        ];
        let rest: Vec<String> = rest.into_iter().flatten().collect();
        if !rest.is_empty() {
            let help = "mend the problems above first";
            let mut problem = Problem::error(codes::NOT_YAML, "", rest.join("; "), "", help);
            problem.is_rest = true;
            self.found.push(Diagnostic { problem, file: self.source.file.clone(), span: None });
        }
        self.found
    }
}

/// A user's word in the form in which a message may repeat it: short, without control characters.
pub fn shown(word: &str) -> String {
    let mut out: String = word.chars().take(WORD_MAX).flat_map(char::escape_debug).collect();
    if word.chars().nth(WORD_MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_has_the_place_of_its_parent() {
        let source = Source::new("lockstep.yaml", "\u{feff}a:\n  b: 1\nmap: { x.y: ${z} }\n");
        let at = |path: &str, on_key: bool| {
            let mut problem = Problem::error(codes::CONFLICT, path, "t", "r", "h");
            problem.on_key = on_key;
            let span = source.locate(problem).span;
            span.map(|span| (span.line, span.column, source.text[span.start..span.end].to_owned()))
        };
        let place = |line, column, text: &str| Some((line, column, text.to_owned()));
        assert_eq!(at("a.b", false), place(2, 6, "1"));
        assert_eq!(at("a.b", true), place(2, 3, "b"));
        assert_eq!(at("a.c", false), place(1, 1, "a"));
        assert_eq!(at("nowhere.x", true), place(1, 1, ""));
        assert_eq!(at("", false), place(1, 1, ""));
    }

    #[test]
    fn words_are_shown_short_and_harmless() {
        assert_eq!(shown("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 61);
    }
}

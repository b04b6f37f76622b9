//! Explains why a text is not YAML, in words of ours, at the place where the mistake began.
//!
//! The decoder reports only where it stopped, which may be thirty lines below the quote that was never closed.

use std::ops::Range;

use super::source::{Source, Wrong, wrong};
use super::spans;
use super::yaml::{Fault, Rule, Trouble};
use crate::diag::codes;

/// Every character that YAML allows nowhere, not even in quotes.
pub fn forbidden(text: &str) -> impl Iterator<Item = Range<usize>> {
    let allowed = |ch: char| {
        matches!(ch, '\t' | '\n' | '\r' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{10000}'..)
            || matches!(ch, '\u{e000}'..='\u{fffd}') && ch != '\u{feff}'
    };
    text.char_indices().filter(move |(_, ch)| !allowed(*ch)).map(|(at, ch)| at..at + ch.len_utf8())
}

/// The fault of such a character.
pub fn control(text: &str, range: Range<usize>) -> (Range<usize>, Wrong) {
    let code = text[range.clone()].chars().next().map_or(0, u32::from);
    let reason = format!("the control character U+{code:04X} is not allowed");
    (range, not_yaml(reason, "remove it; an editor that shows invisible characters helps to find it"))
}

/// The fault of bytes that are no text.
pub fn lost(range: Range<usize>) -> (Range<usize>, Wrong) {
    let help = "save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` reads what older editors write";
    (range, not_yaml("this is not UTF-8", help))
}

/// The fault of a second document.
pub fn second_document(source: &Source) -> (Range<usize>, Wrong) {
    let text = source.text.as_str();
    let at = source.spans().second_document.or(source.spans().stopped_at).unwrap_or(0);
    if text[at..].starts_with('%') {
        return Spot { text, at, began: at }.explain(Trouble::Directive);
    }
    let title = "the file has more than one document";
    let help = "write one manifest per file, without --- in it";
    let range = at..(at + 3).min(text.len());
    (range, wrong(codes::NOT_YAML, title, "a second document starts here", help))
}

/// The fault of a reference inside brackets that has no quotes.
pub fn unquoted(text: &str, range: Range<usize>) -> (Range<usize>, Wrong) {
    let help = format!("write \"{}\"", &text[range.clone()]);
    (range, not_yaml("inside {…} or […], a reference needs quotes", help))
}

/// The fault of a tab in front of a line.
pub fn tab(range: Range<usize>) -> (Range<usize>, Wrong) {
    (range, not_yaml("a tab stands where blanks indent", "indent with spaces: YAML allows no tabs here"))
}

fn not_yaml(reason: impl Into<String>, help: impl Into<String>) -> Wrong {
    wrong(codes::NOT_YAML, "the text is not YAML", reason, help)
}

/// The unquoted reference at which the decoder stopped, if it did: inside braces, it takes the { of a reference for a
/// mapping.
pub fn unquoted_at(source: &Source, fault: &Fault) -> Option<Range<usize>> {
    let text = source.text.as_str();
    let stops = fault.place().map(|(line, column)| spans::byte_of(text, line, column));
    let start =
        [stops, source.spans().stopped_at].into_iter().flatten().find_map(|at| reference_before(text, at))?;
    let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    Some(start..text[start..line_end].find('}').map_or(line_end, |end| start + end + 1))
}

/// Whether the decoder stopped at a tab.
pub fn is_tab(source: &Source, fault: &Fault) -> bool {
    let Fault::Syntax { trouble, place, .. } = fault else { return false };
    let at = place.map_or(0, |(line, column)| spans::byte_of(&source.text, line, column));
    *trouble == Trouble::Tab || (*trouble == Trouble::Start && source.text[at..].starts_with('\t'))
}

/// Byte range and words for a fault of the decoder.
pub fn explain(source: &Source, fault: &Fault) -> (Range<usize>, Wrong) {
    let text = source.text.as_str();
    let Fault::Syntax { trouble, place, began } = fault else { return second_document(source) };
    if let Some(range) = unquoted_at(source, fault) {
        return unquoted(text, range);
    }
    let byte =
        |place: &Option<(usize, usize)>| place.map(|(line, column)| spans::byte_of(text, line, column));
    let at = byte(place).or(source.spans().stopped_at).unwrap_or(0);
    let spot = Spot { text, at, began: byte(began).unwrap_or(0) };
    if let Trouble::Ours(rule) = trouble {
        let ours = match rule {
            Rule::Aliases => source.spans().alias,
            Rule::Key => source.spans().odd_key,
            Rule::Depth | Rule::Tag => None,
        };
        let (reason, help) = rule.words();
        return (Spot { at: ours.unwrap_or(at), ..spot }.here(), not_yaml(reason, help));
    }
    if let Some(found) = spot.runaway_quote(*trouble) {
        return found;
    }
    spot.explain(*trouble)
}

/// Byte offsets: `at` is where the decoder stopped, `began` where the construct that it was reading began.
struct Spot<'a> {
    text: &'a str,
    at: usize,
    began: usize,
}

impl Spot<'_> {
    fn explain(&self, trouble: Trouble) -> (Range<usize>, Wrong) {
        let here = self.here();
        match trouble {
            Trouble::Quote => {
                let mark = &self.text[self.began..].chars().next().unwrap_or('"').to_string();
                let reason = "this quote is not closed";
                (self.to_line_end(self.began), not_yaml(reason, format!("close it with {mark}")))
            }
            Trouble::List => self.bracket('[', ']'),
            Trouble::Mapping => self.bracket('{', '}'),
            Trouble::NoColon => self.no_colon(self.began),
            Trouble::SecondColon => self.second_colon(),
            Trouble::NoKey => self.no_key(),
            Trouble::NoDash => {
                let help = "begin the line with `- `, or indent it like the key that it belongs to";
                (self.to_line_end(self.at), not_yaml("this line is no item of the list above it", help))
            }
            Trouble::NoValue => (
                here,
                not_yaml(
                    "a value is expected here",
                    "write a value; put a text that begins with a special character in quotes",
                ),
            ),
            Trouble::Start => self.start(),
            Trouble::ListHere => {
                let help = "begin the list on the next line, or write it as [a, b]";
                (here, not_yaml("a list cannot begin on the line of its key", help))
            }
            Trouble::KeyHere => {
                (here, not_yaml("a key cannot begin with `? ` here", "write it as key: value"))
            }
            Trouble::Escape => {
                let help = "use single quotes, in which \\ stands for itself, or write \\\\";
                (here, not_yaml("in double quotes, \\ begins an escape, and this one does not exist", help))
            }
            Trouble::Tab => tab(here),
            Trouble::Block => {
                let help = "write | or > alone at the end of the line, and indent the lines below it";
                (here, not_yaml("the text after | or > does not have the form that YAML asks for", help))
            }
            Trouble::Alias => {
                let help = "put a text that begins with * or & in quotes";
                (
                    here,
                    not_yaml("* and & stand for an alias and its anchor, and this one leads nowhere", help),
                )
            }
            Trouble::Tag => {
                let (reason, help) = Rule::Tag.words();
                (here, not_yaml(reason, help))
            }
            Trouble::Directive => (
                self.to_line_end(self.line_start(self.at)),
                not_yaml(
                    "a line that begins with % is a directive, and a manifest has none",
                    "remove the line, or put the text in quotes",
                ),
            ),
            Trouble::Other | Trouble::Ours(_) => (
                here,
                not_yaml(
                    "from here on the text has no form that YAML knows",
                    "mend the text at or above this place: indentation, quotes, brackets",
                ),
            ),
        }
    }

    /// Finds a quoted text that spans several lines and ends on the line where the decoder stopped: the quote that ends
    /// it was meant to open another text.
    fn runaway_quote(&self, trouble: Trouble) -> Option<(Range<usize>, Wrong)> {
        if trouble == Trouble::Quote {
            return None;
        }
        let line = self.line_start(self.at);
        let runs = |range: &Range<usize>| range.start < line && range.end > line && range.end <= self.at + 1;
        let range = quoted(self.text).into_iter().find(runs)?;
        let mark = self.text[range.start..].chars().next()?;
        let reason = format!("this quote is closed only on line {}", self.number(range.end));
        let help = format!("close it with {mark} where the text ends");
        Some((self.to_line_end(range.start), not_yaml(reason, help)))
    }

    fn bracket(&self, open: char, close: char) -> (Range<usize>, Wrong) {
        if closes(&self.text[self.began..]) {
            let reason = format!("a comma or the closing {close} is missing before this");
            return (
                self.here(),
                not_yaml(
                    reason,
                    "part the entries with commas; put a text with special characters in quotes",
                ),
            );
        }
        let range = self.began..self.began + 1;
        (range, not_yaml(format!("this {open} is not closed"), format!("close it with {close}")))
    }

    /// The fault of a line without a colon after its first word.
    fn no_colon(&self, at: usize) -> (Range<usize>, Wrong) {
        let range = self.to_line_end(self.first_visible(at));
        let help = match self.text[range.clone()].contains(':') {
            true => "write a blank after the colon",
            false => "write a colon and a blank after the key",
        };
        (range, not_yaml("expected `key: value`", help))
    }

    fn second_colon(&self) -> (Range<usize>, Wrong) {
        let line = self.line_start(self.at);
        if self.text[line..self.at].contains(": ") {
            let help = "put the value in quotes: key: \"…: …\"";
            return (self.here(), not_yaml("this line has a second `: `", help));
        }
        // The decoder read this line as the rest of a value above it. Search upwards for the first line that is not
        // `key: value`.
        let mut first = None;
        let mut above = line;
        while above > 0 {
            above = self.line_start(above - 1);
            let words = self.text[above..].lines().next().unwrap_or_default();
            let bare = words.split(" #").next().unwrap_or_default().trim();
            match bare {
                "" => {}
                bare if bare.contains(": ") || bare.ends_with(':') => break,
                _ => first = Some(above),
            }
        }
        if let Some(first) = first {
            return self.no_colon(first);
        }
        let reason = format!(
            "this line is indented deeper than line {}, which has a value already",
            self.number(above)
        );
        let help = format!("begin it in the column of line {}", self.number(above));
        (self.to_line_end(self.first_visible(line)), not_yaml(reason, help))
    }

    fn no_key(&self) -> (Range<usize>, Wrong) {
        let line = self.line_start(self.at);
        let before = self.text[line..self.at].trim();
        let rest = &self.text[self.at..];
        if rest.starts_with([']', '}']) {
            return (self.here(), not_yaml("this bracket closes nothing", "remove it, or open it before"));
        }
        if before.ends_with(['"', '\'']) {
            let help =
                "end the value there; within single quotes write '' for a quote, within double quotes \\\"";
            return (self.here(), not_yaml("the text goes on after its closing quote", help));
        }
        if !before.is_empty() {
            return (
                self.here(),
                not_yaml("the value of this line has ended before this", "put the whole value in quotes"),
            );
        }
        if rest.starts_with("- ") {
            let help = "indent the list deeper than the key above it, or remove the `- `";
            return (self.to_line_end(self.at), not_yaml("an item of a list stands among keys", help));
        }
        let reason = "this line begins in a column in which no line above it begins";
        let help = "indent it like the keys that it belongs to";
        (self.to_line_end(self.first_visible(line)), not_yaml(reason, help))
    }

    fn start(&self) -> (Range<usize>, Wrong) {
        let ch = self.text[self.at..].chars().next().unwrap_or(' ');
        if ch == '\t' {
            return tab(self.here());
        }
        (self.here(), not_yaml(format!("a value cannot begin with {ch}"), "put it in quotes"))
    }

    /// The character at which the decoder stopped.
    fn here(&self) -> Range<usize> {
        let next = self.text[self.at..].chars().next();
        self.at..next.map_or(self.at, |ch| self.at + if ch == '\n' { 0 } else { ch.len_utf8() })
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |found| found + 1)
    }

    fn first_visible(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        at + rest.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    fn to_line_end(&self, at: usize) -> Range<usize> {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |found| at + found);
        at..at + self.text[at..end].trim_end().len()
    }

    fn number(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

/// Every quoted text that spans a line end, from its first to its last quote. Comments and block texts are skipped.
pub(super) fn quoted(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut block: Option<usize> = None;
    let mut open: Option<(char, usize)> = None;
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|outer| line.trim().is_empty() || indent > outer) {
            from += line.len();
            continue;
        }
        block = None;
        // Whether a quote here opens a text: only at the start of a line, or after a colon, a dash, a bracket, a comma
        // or a question mark.
        let mut opens = true;
        let mut chars = line.char_indices().peekable();
        while let Some((at, ch)) = chars.next() {
            match open {
                Some(('"', _)) if ch == '\\' => _ = chars.next(),
                Some(('\'', _)) if ch == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                    _ = chars.next()
                }
                Some((mark, start)) if ch == mark => {
                    let range = start..from + at + 1;
                    if text[range.clone()].contains('\n') {
                        found.push(range);
                    }
                    open = None;
                    opens = false;
                }
                Some(_) => {}
                None if ch == '#' && line[..at].chars().next_back().is_none_or(char::is_whitespace) => break,
                None if opens && matches!(ch, '"' | '\'') => open = Some((ch, from + at)),
                None if matches!(ch, ':' | '-' | '[' | '{' | ',' | '?') => opens = true,
                None if ch.is_whitespace() => {}
                None => opens = false,
            }
        }
        let bare = line
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim_end()
            .trim_end_matches(['+', '-', '1', '2', '4']);
        if open.is_none() && (bare.ends_with(": |") || bare.ends_with(": >")) {
            block = Some(indent);
        }
        from += line.len();
    }
    found
}

/// Whether the bracket at the start of the text is closed in it. Brackets in quotes do not count.
fn closes(text: &str) -> bool {
    let mut depth = 0usize;
    let mut quote = None;
    for ch in text.chars() {
        match (quote, ch) {
            (Some(mark), ch) if mark == ch => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(ch),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') if depth <= 1 => return true,
            (None, ']' | '}') => depth -= 1,
            (None, _) => {}
        }
    }
    false
}

/// Start of an unquoted `${` inside an open bracket, on the line of a byte, at or before that byte.
fn reference_before(text: &str, at: usize) -> Option<usize> {
    let line = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let upto = text[line..].find('\n').map_or(text.len(), |end| line + end).min(at.saturating_add(2));
    let upto = (upto..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    // A bracket may have been opened on an earlier line. References have as many opening as closing braces, so they do
    // not change the count.
    let count = |marks: [char; 2]| text[..line].matches(marks).count();
    let mut open = usize::from(count(['{', '[']) > count(['}', ']']));
    let mut quote = None;
    let mut chars = text[line..upto].char_indices().peekable();
    while let Some((offset, ch)) = chars.next() {
        match (quote, ch) {
            (Some(mark), ch) if mark == ch => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(ch),
            (None, '$') if chars.peek().is_some_and(|(_, next)| *next == '{') && open > 0 => {
                return Some(line + offset);
            }
            (None, '{' | '[') => open += 1,
            (None, '}' | ']') => open = open.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}

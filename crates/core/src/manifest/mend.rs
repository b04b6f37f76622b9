//! Reads on behind mistakes of the text that have one meaning only, so that one run also reports what is wrong below
//! them: references without quotes inside brackets, tabs that indent, and a second document.
//!
//! The text is mended for reading alone, byte for byte, so all places stay what they are.

use std::collections::BTreeSet;
use std::ops::Range;

use super::source::{PROBLEMS_MAX, Source, Wrong};
use super::syntax;
use super::yaml::{self, Node};

/// What could be read.
pub struct Decoded {
    /// `None`: the text could not be read to its end.
    pub root: Option<Node>,
    pub faults: Faults,
    /// Line and column where reading stopped.
    pub stopped: Option<(usize, usize)>,
}

/// As many faults as are listed, each with its place, and how many more there are.
#[derive(Default)]
pub struct Faults {
    pub found: Vec<(Range<usize>, Wrong)>,
    pub more: usize,
}

impl Faults {
    fn add(&mut self, fault: impl FnOnce() -> (Range<usize>, Wrong)) {
        match self.found.len() < PROBLEMS_MAX {
            true => self.found.push(fault()),
            false => self.more += 1,
        }
    }
}

/// Decodes the text of a source, whose places afterwards are those of the mended text.
pub fn decode(source: &mut Source) -> Decoded {
    let mut faults = Faults::default();
    for range in syntax::forbidden(&source.text) {
        faults.add(|| syntax::control(&source.text, range));
    }
    if !faults.found.is_empty() {
        return Decoded { root: None, faults, stopped: None };
    }
    let mut text = source.text.clone();
    let mut stand_ins = BTreeSet::new();
    let mut had_tabs = false;
    loop {
        let fault = match yaml::decode_first(&text) {
            Ok((mut root, has_more)) => {
                if has_more {
                    faults.add(|| syntax::second_document(source));
                }
                restore(&mut root, &stand_ins);
                return Decoded { root: Some(root), faults, stopped: None };
            }
            Err(fault) => fault,
        };
        let reference = syntax::unquoted_at(source, &fault).filter(|_| stand_ins.is_empty());
        if let Some(first) = reference.filter(|range| source.text[range.clone()].ends_with('}')) {
            let mut found = in_brackets(&source.text);
            if !found.contains(&first) {
                found = vec![first];
            }
            for range in found {
                let stand_in = format!("$<{}>", &source.text[range.start + 2..range.end - 1]);
                text.replace_range(range.clone(), &stand_in);
                stand_ins.insert(stand_in);
                faults.add(|| syntax::unquoted(&source.text, range));
            }
        } else if syntax::is_tab(source, &fault) && !had_tabs {
            had_tabs = true;
            let found = tabs(&source.text);
            if found.is_empty() {
                faults.add(|| syntax::explain(source, &fault));
                return Decoded { root: None, faults, stopped: fault.place() };
            }
            for range in found {
                text.replace_range(range.clone(), &" ".repeat(range.len()));
                faults.add(|| syntax::tab(range));
            }
        } else {
            // A tab may stand for any number of blanks, so what does not fit behind one is no further mistake.
            if !had_tabs {
                faults.add(|| syntax::explain(source, &fault));
            }
            return Decoded { root: None, faults, stopped: fault.place() };
        }
        source.place_by(&text);
    }
}

/// Puts the references back in place of what stood for them.
fn restore(node: &mut Node, stand_ins: &BTreeSet<String>) {
    match node {
        Node::Text(text) if !stand_ins.is_empty() => *text = restored(text, stand_ins),
        Node::List(items) => items.iter_mut().for_each(|item| restore(item, stand_ins)),
        Node::Map(entries) => entries.iter_mut().for_each(|(_, node)| restore(node, stand_ins)),
        _ => {}
    }
}

fn restored(text: &str, stand_ins: &BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("$<") {
        let end = rest[start..].find('>').map_or(rest.len(), |end| start + end + 1);
        out.push_str(&rest[..start]);
        match stand_ins.contains(&rest[start..end]) {
            true => out.push_str(&format!("${{{}}}", &rest[start + 2..end - 1])),
            false => out.push_str(&rest[start..end]),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// The blanks with a tab among them in front of each line, but for lines of texts.
fn tabs(text: &str) -> Vec<Range<usize>> {
    let quoted = syntax::quoted(text);
    let mut found = Vec::new();
    for (from, line) in lines(text) {
        let length = line.len() - line.trim_start_matches([' ', '\t']).len();
        let is_inside = quoted
            .get(quoted.partition_point(|range| range.end <= from))
            .is_some_and(|range| range.start < from);
        if line[..length].contains('\t') && !line.trim().is_empty() && !is_inside {
            found.push(from..from + length);
        }
    }
    found
}

/// The lines with their first byte, but for those of texts after `|` and `>`.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut from, mut block) = (0, None);
    text.split_inclusive('\n').filter_map(move |line| {
        let at = from;
        from += line.len();
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|outer| line.trim().is_empty() || indent > outer) {
            return None;
        }
        let bare = line.split(" #").next().unwrap_or_default().trim_end();
        let bare = bare.trim_end_matches(['+', '-', '1', '2', '4']);
        block = (bare.ends_with(": |") || bare.ends_with(": >")).then_some(indent);
        Some((at, line))
    })
}

/// Every reference inside brackets that has no quotes, as a whole and on one line.
fn in_brackets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut depth, mut quote) = (0usize, None);
    for (from, line) in lines(text) {
        // Whether a value may begin here. Outside of brackets only there a bracket or a quote is one.
        let mut begins = true;
        let mut chars = line.char_indices().peekable();
        while let Some((at, ch)) = chars.next() {
            let rest = &line[at..];
            match quote {
                Some('"') if ch == '\\' => _ = chars.next(),
                Some(mark) if mark == ch => (quote, begins) = (None, false),
                Some(_) => {}
                None if ch == '#' && line[..at].ends_with(|ch: char| ch.is_whitespace()) => break,
                None if begins && matches!(ch, '"' | '\'') => quote = Some(ch),
                None if rest.starts_with("${") => {
                    let Some(length) = rest.find('}').map(|end| end + 1) else { break };
                    if depth > 0 {
                        found.push(from + at..from + at + length);
                    }
                    while chars.next_if(|(next, _)| *next < at + length).is_some() {}
                    begins = false;
                }
                None if matches!(ch, '{' | '[') && (depth > 0 || begins) => {
                    (depth, begins) = (depth + 1, true)
                }
                None if matches!(ch, '}' | ']') => (depth, begins) = (depth.saturating_sub(1), false),
                None if ch == ',' => begins = depth > 0,
                None if matches!(ch, ':' | '-' | '?') => {
                    begins = rest[1..].starts_with([' ', '\t', '\n', '\r'])
                }
                None if ch.is_whitespace() => {}
                None => begins = false,
            }
        }
    }
    found
}

//! Finds the place of each path of the manifest in its text.
//!
//! The index comes from a second parser that reports positions; values never come from it, so a disagreement
//! between the two parsers can at worst misplace a caret. A value behind an alias has the place of the alias.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::yaml::DEPTH_MAX;
use crate::diag::Span;

/// Most places that are kept, ten times those of an honest manifest; behind them, a problem has the place of what it stands
/// in. A text of a megabyte can have half a million.
const ENTRIES_MAX: usize = 150_000;

/// The place of one key and its value, as byte ranges of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// `None` for the root and for items of lists.
    pub key: Option<Range<usize>>,
    /// For a mapping or a list, from its first to its last byte.
    pub value: Range<usize>,
    /// The value is written on one line without quotes or escapes, so its text is the value itself.
    pub plain: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    spot: Spot,
    children: Children,
}

/// What stands in a collection, as positions in the list of entries. Plain lists, because a text of a megabyte can have a
/// hundred thousand collections.
#[derive(Clone, Debug)]
enum Children {
    None,
    List(Vec<usize>),
    /// Sorted by name once the mapping has ended. A key that is written twice has several entries, in their order.
    Map(Vec<(Box<str>, usize)>),
}

impl Children {
    fn add(&mut self, name: Option<String>, at: usize) {
        match (&mut *self, name) {
            (Children::Map(children), Some(name)) => children.push((name.into(), at)),
            (Children::List(children), None) => children.push(at),
            (_, Some(name)) => *self = Children::Map(vec![(name.into(), at)]),
            (_, None) => *self = Children::List(vec![at]),
        }
    }

    fn sort(&mut self) {
        if let Children::Map(children) = self {
            children.sort_by(|one, other| one.0.cmp(&other.0));
            children.shrink_to_fit();
        }
    }

    /// Every child of a name; of a list, the name is a position.
    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let (list, map): (&[usize], &[(Box<str>, usize)]) = match self {
            Children::None => (&[], &[]),
            Children::List(children) => {
                let at = name.parse().ok().and_then(|at: usize| children.get(at));
                (at.map_or(&[], std::slice::from_ref), &[])
            }
            Children::Map(children) => {
                let from = children.partition_point(|(own, _)| **own < *name);
                let to = from + children[from..].partition_point(|(own, _)| **own == *name);
                (&[], &children[from..to])
            }
        };
        list.iter().copied().chain(map.iter().map(|(_, at)| *at))
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        let (list, map): (&[usize], &[(Box<str>, usize)]) = match self {
            Children::None => (&[], &[]),
            Children::List(children) => (children, &[]),
            Children::Map(children) => (&[], children),
        };
        list.iter().copied().chain(map.iter().map(|(_, at)| *at))
    }
}

/// All places of one text, as a tree of names. Empty when the second parser gave up.
#[derive(Clone, Debug, Default)]
pub struct SpanIndex {
    entries: Vec<Entry>,
    /// Start of the second document, if there is one.
    pub second_document: Option<usize>,
    /// Byte at which the second parser stopped with an error.
    pub stopped_at: Option<usize>,
    /// Start of the first alias, and of the first list or mapping that is used as a key.
    pub alias: Option<usize>,
    pub odd_key: Option<usize>,
}

/// A collection that is being read.
struct Open {
    entry: usize,
    is_map: bool,
    /// The collection is used as a key, so its contents have no path.
    hidden: bool,
    /// The key that waits for its value.
    key: Option<(String, Range<usize>)>,
}

impl SpanIndex {
    /// Reads the events of a text once.
    pub fn new(text: &str) -> SpanIndex {
        let bytes = CharBytes::new(text);
        let mut index = SpanIndex::default();
        let mut stack: Vec<Open> = Vec::new();
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, place) = match event {
                Ok(pair) => pair,
                Err(error) => {
                    index.stopped_at = Some(bytes.at(error.marker().index()));
                    break;
                }
            };
            let range = bytes.at(place.start.index())..bytes.at(place.end.index());
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents == 2 {
                        index.second_document = Some(range.start);
                        break;
                    }
                }
                Event::Scalar(value, style, _, _) => {
                    let range = trim(text, range);
                    let plain = style == ScalarStyle::Plain && text.get(range.clone()) == Some(&*value);
                    index.leaf(&mut stack, &value, range, plain);
                }
                Event::Alias(_) => {
                    let range = trim(text, range);
                    index.alias.get_or_insert(range.start);
                    index.leaf(&mut stack, "*", range, false);
                }
                Event::MappingStart(..) => index.open(&mut stack, range, true),
                Event::SequenceStart(..) => index.open(&mut stack, range, false),
                Event::MappingEnd | Event::SequenceEnd => {
                    if let Some(open) = stack.pop()
                        && !open.hidden
                    {
                        index.entries[open.entry].children.sort();
                        // The parser ends a block collection where the next token starts; the blanks before that token
                        // do not belong to it.
                        let spot = &mut index.entries[open.entry].spot;
                        let end = text[..range.end].trim_end().len().max(spot.value.start);
                        spot.value.end = end;
                    }
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
            if stack.len() > DEPTH_MAX || index.entries.len() > ENTRIES_MAX {
                break;
            }
        }
        for open in stack.iter().filter(|open| !open.hidden) {
            index.entries[open.entry].children.sort();
        }
        index
    }

    /// A scalar or alias: the next key, or the next value.
    fn leaf(&mut self, stack: &mut [Open], value: &str, range: Range<usize>, plain: bool) {
        if let Some(open) = stack.last_mut()
            && open.is_map
            && open.key.is_none()
        {
            open.key = Some((value.to_owned(), range));
            return;
        }
        self.add(stack, range, plain);
    }

    fn open(&mut self, stack: &mut Vec<Open>, range: Range<usize>, is_map: bool) {
        let as_key = stack.last().is_some_and(|open| open.is_map && open.key.is_none());
        if as_key && let Some(open) = stack.last_mut() {
            open.key = Some(("?".into(), range.clone()));
            self.odd_key.get_or_insert(range.start);
        }
        let entry = if as_key { None } else { self.add(stack, range, false) };
        stack.push(Open { entry: entry.unwrap_or(0), is_map, hidden: entry.is_none(), key: None });
    }

    /// Adds a value under the open collection; `None` inside a collection that is a key.
    fn add(&mut self, stack: &mut [Open], value: Range<usize>, plain: bool) -> Option<usize> {
        let new = self.entries.len();
        let mut spot = Spot { key: None, value, plain };
        if let Some(open) = stack.last_mut() {
            let name = match open.is_map {
                true => {
                    let (name, range) = open.key.take()?;
                    spot.key = Some(range);
                    Some(name)
                }
                false => None,
            };
            if open.hidden {
                return None;
            }
            self.entries[open.entry].children.add(name, new);
        }
        self.entries.push(Entry { spot, children: Children::None });
        Some(new)
    }

    /// The first place of a path given as names.
    pub fn get(&self, path: &[String]) -> Option<&Spot> {
        self.nth(path, 0)
    }

    /// The place of one occurrence of a path, counted from 0; the last key may be written more than once.
    pub fn nth(&self, path: &[String], at: usize) -> Option<&Spot> {
        Some(&self.entries.get(self.find(path).nth(at)?)?.spot)
    }

    /// The places of all scalars at or below a path, including every occurrence of the path's last key.
    pub fn scalars(&self, path: &[String]) -> Vec<Range<usize>> {
        let mut open: Vec<usize> = self.find(path).collect();
        let mut found = Vec::new();
        while let Some(entry) = open.pop().and_then(|at| self.entries.get(at)) {
            match entry.children {
                Children::None => found.push(entry.spot.value.clone()),
                _ => open.extend(entry.children.all()),
            }
        }
        found
    }

    fn find(&self, path: &[String]) -> impl Iterator<Item = usize> {
        let parent = |path: &[String]| path.iter().try_fold(0, |at, name| self.child(at, name));
        let (root, last) = match path.split_last() {
            None => (Some(0), None),
            Some((last, parents)) => {
                (None, parent(parents).and_then(|at| Some(self.entries.get(at)?.children.named(last))))
            }
        };
        root.into_iter().chain(last.into_iter().flatten())
    }

    fn child(&self, at: usize, name: &str) -> Option<usize> {
        self.entries.get(at)?.children.named(name).next()
    }

    /// The names of a dotted path as far as the text has them, and whether the text has the whole path. A name may
    /// itself contain dots, so the longest match wins.
    pub fn names(&self, dotted: &str) -> (Vec<String>, bool) {
        let mut best = Vec::new();
        let whole = self.descend(0, dotted, &mut Vec::new(), &mut best);
        (best, whole)
    }

    /// The depth of the tree is bounded, so the recursion ends.
    fn descend(&self, at: usize, rest: &str, trail: &mut Vec<String>, best: &mut Vec<String>) -> bool {
        if rest.is_empty() {
            best.clone_from(trail);
            return true;
        }
        let cuts = rest.char_indices().filter(|(_, ch)| *ch == '.').map(|(at, _)| at);
        let ends: Vec<usize> = cuts.chain([rest.len()]).collect();
        for &end in ends.iter().rev() {
            let Some(child) = self.child(at, &rest[..end]) else { continue };
            trail.push(rest[..end].to_owned());
            if trail.len() > best.len() {
                best.clone_from(trail);
            }
            if self.descend(child, rest.get(end + 1..).unwrap_or_default(), trail, best) {
                return true;
            }
            trail.pop();
        }
        false
    }
}

/// Cuts off what follows the last visible byte of a scalar, which the parser counts to it (a quoted scalar ends with
/// its quote).
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = text.get(range.clone()).unwrap_or_default();
    range.start..range.start + slice.trim_end().len()
}

/// Turns positions in characters into positions in bytes.
struct CharBytes {
    /// Byte offset of each character; empty for pure ASCII, where both positions are the same.
    offsets: Vec<usize>,
    end: usize,
}

impl CharBytes {
    fn new(text: &str) -> CharBytes {
        let offsets =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        CharBytes { offsets, end: text.len() }
    }

    fn at(&self, chars: usize) -> usize {
        if self.offsets.is_empty() {
            chars.min(self.end)
        } else {
            self.offsets.get(chars).copied().unwrap_or(self.end)
        }
    }
}

/// Lines and columns of evenly spread marks in a text, so that a place near the end is found as fast as one at the
/// start.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Each mark: byte offset of a character, its line, and its column, both from 1.
    marks: Vec<(usize, usize, usize)>,
}

/// Bytes between two marks.
const STRIDE: usize = 512;

impl Places {
    pub fn new(text: &str) -> Places {
        let (mut marks, mut line, mut column) = (Vec::new(), 1, 1);
        let mut next = 0;
        for (at, ch) in text.char_indices() {
            if at >= next {
                marks.push((at, line, column));
                next = at + STRIDE;
            }
            (line, column) = if ch == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Places { marks }
    }

    /// Line and column of a byte; `text` has to be the text from which the marks were made.
    pub fn line_and_column(&self, text: &str, at: usize) -> (usize, usize) {
        let at = floor(text, at);
        let after = self.marks.partition_point(|mark| mark.0 <= at);
        let (from, line, column) = after.checked_sub(1).map_or((0, 1, 1), |mark| self.marks[mark]);
        text[from..at].chars().fold((line, column), |(line, column), ch| {
            if ch == '\n' { (line + 1, 1) } else { (line, column + 1) }
        })
    }

    /// Span of a byte range; `text` has to be the text from which the marks were made.
    pub fn span(&self, text: &str, range: Range<usize>) -> Span {
        let start = floor(text, range.start);
        let end = floor(text, range.end).max(start);
        let (line, column) = self.line_and_column(text, start);
        Span { line, column, start, end }
    }
}

/// The byte offset of a line and a column in characters, both from 1; clamped to the text.
pub fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start + within.min(rest.find('\n').unwrap_or(rest.len()))
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn value<'a>(text: &'a str, index: &SpanIndex, names: &[&str]) -> &'a str {
        index.get(&path(names)).map_or("(none)", |spot| &text[spot.value.clone()])
    }

    #[test]
    fn every_style_has_its_bytes() {
        let text = "name: Zoë   # note\r\nkey: 'it''s'\r\nmap: { a: ${x}, b.c: \"q\" }\r\nlist:\r\n  - one\r\n  - two\r\n\
                    code: |\r\n  line one\r\n  line two\r\nempty:\r\nlast: 60\r\n";
        // An unquoted `${x}` in a flow mapping stops the second parser; a quoted one does not.
        assert!(SpanIndex::new(text).stopped_at.is_some());
        let text = text.replace("${x}", "x");
        let index = SpanIndex::new(&text);
        assert_eq!(index.stopped_at, None);
        let rows = [
            (vec!["name"], "Zoë"),
            (vec!["key"], "'it''s'"),
            (vec!["map"], "{ a: x, b.c: \"q\" }"),
            (vec!["map", "b.c"], "\"q\""),
            (vec!["list", "1"], "two"),
            (vec!["code"], "line one\r\n  line two"),
            (vec!["empty"], ""),
            (vec!["last"], "60"),
            (vec!["nowhere"], "(none)"),
        ];
        for (names, expected) in rows {
            assert_eq!(value(&text, &index, &names), expected, "{names:?}");
        }
        let last = index.get(&path(&["last"])).map(|spot| Places::new(&text).span(&text, spot.value.clone()));
        assert_eq!(last.map(|span| (span.line, span.column)), Some((11, 7)));
    }

    #[test]
    fn aliases_stand_at_their_use() {
        let text = "a: &x { k: 1 }\nb: *x\n";
        let index = SpanIndex::new(text);
        assert_eq!(value(text, &index, &["b"]), "*x");
        assert_eq!(index.names("b.k"), (path(&["b"]), false));
        assert_eq!(index.names("a.k"), (path(&["a", "k"]), true));
    }

    #[test]
    fn names_with_dots_match_longest_first() {
        let index = SpanIndex::new("deps: { a.b: 1, a: { b.c: 2 } }\n");
        assert_eq!(index.names("deps.a.b"), (path(&["deps", "a.b"]), true));
        assert_eq!(index.names("deps.a.b.c"), (path(&["deps", "a", "b.c"]), true));
        assert_eq!(index.names("deps.a.x"), (path(&["deps", "a"]), false));
        assert_eq!(index.names(""), (vec![], true));
    }

    #[test]
    fn repeated_keys_have_several_places() {
        let index = SpanIndex::new("a: 1\nb: 2\na: 3\n");
        let keys: Vec<_> = (0..3).filter_map(|at| index.nth(&path(&["a"]), at)?.key.clone()).collect();
        assert_eq!(keys, [0..1, 10..11]);
    }

    #[test]
    fn lines_and_columns_go_both_ways() {
        let text = "ä: 1\nbö: 2";
        assert_eq!(byte_of(text, 2, 3), 9);
        assert_eq!(Places::new(text).line_and_column(text, 9), (2, 3));
        assert_eq!(byte_of(text, 99, 99), text.len());
        // On both sides of every mark.
        let text = "é: 1\n".repeat(500) + &"ü".repeat(2_000);
        let places = Places::new(&text);
        for (at, _) in text.char_indices() {
            let (line, column) = places.line_and_column(&text, at);
            assert_eq!(byte_of(&text, line, column), at);
        }
    }
}

//! The manifest: from YAML text to a resolved [`Manifest`], every problem with its place.
//!
//! ```text
//! parse   yaml (values) + spans (places) ─► check along the tables ─► links between fields ─► Parsed
//! resolve Parsed + Sources (environment, files, commands, variables) ─► Manifest
//! ```
//!
//! `parse` needs nothing but the text, so it is the whole of an offline validation. Nothing here touches files,
//! environment or network: what lies outside comes through [`Sources`].

mod check;
pub mod connection;
mod expr;
mod guard;
mod leaf;
mod links;
mod resolve;
mod snippet;
mod source;
mod sources;
mod spans;
mod typed;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

pub use resolve::{CODE_MAX, resolve};
pub use snippet::render;
pub use source::Source;
pub use sources::{FileError, Missing, Sources};
pub use spans::SpanIndex;

use expr::{Piece, Ref, Target};
use leaf::{Input, Leaf, extend};
use links::Names;
use source::{Report, Wrong, wrong};
use yaml::{Fault, Node};

use crate::diag::{Diagnostic, Problem, Span, codes};
use crate::model::field::{Field, Section, Type};

/// Longest manifest, in bytes. A full one has a few thousand; the rest of the bound is for comments.
const TEXT_MAX: usize = 1024 * 1024;

/// Unclosed brackets at any point of a text. Both parsers take time in proportion to it for every token.
const OPEN_BRACKETS_MAX: usize = 1000;

/// What a manifest may hold: sections by path, and the outputs that resources offer to references.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The root section, `auth0` and `twilio` first.
    pub sections: Vec<&'static Section>,
    /// Address of a resource (`verify_service`), and the names of its outputs (`sid`).
    pub outputs: Vec<(&'static str, &'static [&'static str])>,
}

impl Tables {
    /// The sections of the kinds, joined with those that every manifest has.
    pub fn new(
        kinds: impl IntoIterator<Item = &'static Section>,
        outputs: impl IntoIterator<Item = (&'static str, &'static [&'static str])>,
    ) -> Tables {
        let own: [&'static Section; 3] = [&connection::ROOT, &connection::AUTH0, &connection::TWILIO];
        Tables { sections: own.into_iter().chain(kinds).collect(), outputs: outputs.into_iter().collect() }
    }

    /// Names of the sections directly below a path, those included that only hold further sections.
    fn sections_below(&self, path: &str) -> BTreeSet<&'static str> {
        self.sections
            .iter()
            .filter_map(|section| match path {
                "" => Some(section.path),
                path => section.path.strip_prefix(path)?.strip_prefix('.'),
            })
            .filter_map(|rest| rest.split('.').next())
            .filter(|name| !name.is_empty())
            .collect()
    }
}

/// A manifest whose text is in order; its references have no values yet.
#[derive(Debug)]
pub struct Parsed {
    pub source: Arc<Source>,
    tables: Tables,
    leaves: Vec<Leaf>,
    names: Names,
    present: BTreeSet<&'static str>,
}

/// A manifest that was refused: at least one of the diagnostics is an error. They are in the order of the text.
#[derive(Debug)]
pub struct Rejected {
    pub source: Arc<Source>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Rejected {
    /// The diagnostics, drawn.
    pub fn render(&self, color: bool) -> String {
        render(&self.diagnostics, &self.source, color)
    }
}

/// A reference in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Dotted path of the value that holds it.
    pub path: String,
    /// Place of the reference itself, or of the whole value where escapes hide it.
    pub span: Span,
    /// The words between the braces, `env.AUTH0_DOMAIN`.
    pub text: String,
}

impl Parsed {
    /// Gives a problem its place. A path that the text does not have (a key that is missing, a default) has the
    /// place of its nearest parent's key.
    pub fn locate(&self, problem: Problem) -> Diagnostic {
        self.source.locate(problem)
    }

    /// Whether the manifest has a section, be it empty.
    pub fn has(&self, section: &str) -> bool {
        self.present.contains(section)
    }
}

/// Every reference, in the order of the text within each section.
pub fn references(parsed: &Parsed) -> Vec<Reference> {
    let mut found = Vec::new();
    for leaf in &parsed.leaves {
        for (names, pieces) in leaf.texts() {
            for piece in pieces {
                let Piece::Ref(reference) = piece else { continue };
                let text = reference.target.text();
                let range = parsed.source.fragment(&names, &format!("${{{text}}}"), reference.range.start);
                let span = spans::span_of(&parsed.source.text, range);
                found.push(Reference { path: names.join("."), span, text });
            }
        }
    }
    found
}

/// Paths of the files that a manifest names, relative to its folder.
pub fn files(parsed: &Parsed) -> Vec<&str> {
    let mut found = Vec::new();
    for leaf in &parsed.leaves {
        if let Input::Code(spec) = &leaf.input
            && !spec.starts_with("builtin:")
        {
            found.push(spec.as_str());
        }
        found.extend(leaf.texts().into_iter().flat_map(|(_, pieces)| pieces).filter_map(
            |piece| match piece {
                Piece::Ref(Ref { target: Target::File(path), .. }) => Some(path.as_str()),
                _ => None,
            },
        ));
    }
    found
}

/// Whether a field's whole value is a variable of the environment or of the command line, so that no edit of the
/// manifest alone chose it. The name has to end as said: the manifest chooses among all variables, and CI fills some with
/// words of a pull request (the name of its branch).
pub fn is_handed_in(parsed: &Parsed, name: &str, ending: &str) -> bool {
    let leaf = parsed.names.get(name).and_then(|at| parsed.leaves.get(at));
    let Some(Leaf { input: Input::Text(pieces), .. }) = leaf else { return false };
    match pieces.as_slice() {
        [Piece::Ref(Ref { target: Target::Env(variable) | Target::Var(variable), .. })] => {
            variable.to_ascii_lowercase().ends_with(ending)
        }
        _ => false,
    }
}

/// Parses a manifest and checks all that needs no environment: syntax, keys, types, ranges, words, required and
/// repeated keys, references. Answers the parsed manifest and its warnings, or every problem at once.
pub fn parse(file: &str, text: &str, tables: &Tables) -> Result<(Parsed, Vec<Diagnostic>), Rejected> {
    if let Some(wrong) = too_much(text) {
        // Not even indexed: the index would take the time that the limit is there to save.
        let source = Source::new(file, "");
        let mut report = Report::new(&source);
        report.value(&[], wrong);
        let mut diagnostics = report.finish();
        diagnostics.iter_mut().for_each(|one| one.span = None);
        return Err(Rejected { source: Arc::new(source), diagnostics });
    }
    let mut source = Source::new(file, text);
    let decoded = yaml::decode(&source.text);
    if !is_ours(&source.text, decoded.as_ref().ok()) {
        return Err(foreign(source, decoded.err()));
    }
    let root = match decoded {
        Ok(root) => root,
        Err(fault) => {
            let (range, wrong) = syntax(&source, fault);
            let mut report = Report::new(&source);
            report.at(&[], range, wrong);
            let diagnostics = report.finish();
            source.hidden = hidden_lines(&source.text, tables);
            return Err(Rejected { source: Arc::new(source), diagnostics });
        }
    };
    source.hidden = hidden_values(&source, tables);
    let mut report = Report::new(&source);
    let checked = check::check(&root, tables, &mut report);
    connection::check(&checked, &mut report);
    let names = Names::new(&checked.leaves);
    links::check(&checked, tables, &names, &mut report);
    let has_errors = report.has_errors();
    let diagnostics = report.finish();
    hide_unknown(&mut source, &root, &diagnostics);
    let source = Arc::new(source);
    if has_errors {
        return Err(Rejected { source, diagnostics });
    }
    let check::Checked { leaves, present } = checked;
    Ok((Parsed { source, tables: tables.clone(), leaves, names, present }, diagnostics))
}

/// Whether a text says that it is a manifest, be it a damaged one. Anything else may be somebody's file of secrets that a
/// path or a link led to, and no word of it is shown.
fn is_ours(text: &str, root: Option<&Node>) -> bool {
    match root {
        Some(Node::Map(entries)) if entries.iter().any(|(key, _)| key.text == "lockstep") => true,
        _ => text.trim().is_empty() || text.lines().any(|line| line.starts_with("lockstep:")),
    }
}

/// What is said about a text that is no manifest: the place where reading it stopped, and nothing of the text.
fn foreign(source: Source, fault: Option<Fault>) -> Rejected {
    let place = match fault {
        Some(Fault::Syntax { place: Some((line, column)), .. }) => spans::byte_of(&source.text, line, column),
        _ => 0,
    };
    let title = "the file is not a manifest";
    let help = "name the manifest, or write lockstep: v1 as its first line";
    let mut report = Report::new(&source);
    report.at(&[], place..place, wrong(codes::NOT_YAML, title, "no line of it begins with lockstep:", help));
    let diagnostics = report.finish();
    Rejected { source: Arc::new(Source::unseen(&source.file)), diagnostics }
}

fn too_much(text: &str) -> Option<Wrong> {
    if text.len() > TEXT_MAX {
        let reason = format!("has {} bytes, at most {TEXT_MAX} are read", text.len());
        let help = "move code and certificates into files of their own";
        return Some(wrong(codes::NOT_YAML, "the manifest is too long", reason, help));
    }
    let mut open = 0usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > OPEN_BRACKETS_MAX {
            let reason = format!("more than {OPEN_BRACKETS_MAX} brackets are open at once");
            return Some(wrong(codes::NOT_YAML, "the manifest is nested too deeply", reason, "close them"));
        }
    }
    None
}

/// Words and bytes for a text that is no YAML.
fn syntax(source: &Source, fault: Fault) -> (Range<usize>, Wrong) {
    let text = &source.text;
    let (reason, place) = match fault {
        Fault::Documents => {
            let at = source.spans().second_document.unwrap_or(0);
            let title = "the file has more than one document";
            let help = "write one manifest per file, without --- in it";
            let range = at..(at + 3).min(text.len());
            return (range, wrong(codes::NOT_YAML, title, "a second document starts here", help));
        }
        Fault::Syntax { reason, place } => (reason, place),
    };
    let at = place.map(|(line, column)| spans::byte_of(text, line, column));
    let title = "the text is not YAML";
    // `{ a: ${env.X} }`: inside braces the parser reads the { of the reference as a mapping.
    let stops = [at, source.spans().stopped_at];
    if let Some(start) = stops.into_iter().flatten().find_map(|at| reference_before(text, at)) {
        let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let end = text[start..line_end].find('}').map_or(line_end, |end| start + end + 1);
        let help = format!("write \"{}\"", &text[start..end]);
        let reason = "inside {…} or […], a reference needs quotes";
        return (start..end, wrong(codes::NOT_YAML, title, reason, help));
    }
    let at = at.or(source.spans().stopped_at).unwrap_or(0);
    let line = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let indent: String = text[line..].chars().take_while(|ch| *ch == ' ' || *ch == '\t').collect();
    let help = if indent.contains('\t') {
        "indent with spaces: YAML allows no tabs here"
    } else {
        "mend the text at or above this place: indentation, quotes, brackets"
    };
    let end = text[at..].chars().next().map_or(at, |ch| at + if ch == '\n' { 0 } else { ch.len_utf8() });
    (at..end, wrong(codes::NOT_YAML, title, reason, help))
}

/// Start of an unquoted `${` on the line of a byte, at or before it, that stands inside an open bracket.
fn reference_before(text: &str, at: usize) -> Option<usize> {
    let line = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let upto = text[line..].find('\n').map_or(text.len(), |end| line + end).min(at.saturating_add(2));
    let upto = (upto..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    // A bracket may have been opened on a line before; references are balanced, so they do not count.
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

/// Secrets written in clear, wherever the tables expect one: they are not drawn even in the message that
/// refuses them.
fn hidden_values(source: &Source, tables: &Tables) -> Vec<Range<usize>> {
    fn walk(source: &Source, names: &[String], fields: &[Field], out: &mut Vec<Range<usize>>) {
        for field in fields {
            let names = extend(names, field.key);
            if let (Type::Object(inner), false) = (field.ty, field.secret) {
                walk(source, &names, inner, out);
            } else if field.secret || matches!(field.ty, Type::Named { fields, .. } if any_secret(fields)) {
                out.extend(in_clear(source, source.spans().scalars(&names)));
            }
        }
    }
    fn any_secret(fields: &[Field]) -> bool {
        fields
            .iter()
            .any(|field| field.secret || matches!(field.ty, Type::Object(inner) if any_secret(inner)))
    }
    let mut out = Vec::new();
    for section in &tables.sections {
        let names: Vec<String> =
            section.path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        walk(source, &names, section.fields, &mut out);
    }
    out
}

/// A key with a typing error may be meant for a secret, so what stands behind unknown keys is not drawn either.
fn hide_unknown(source: &mut Source, root: &Node, diagnostics: &[Diagnostic]) {
    if !matches!(root, Node::Map(_)) {
        return;
    }
    let unknown = diagnostics.iter().filter(|one| one.problem.code == codes::UNKNOWN_KEY);
    let paths: BTreeSet<&str> = unknown.map(|one| one.problem.path.as_str()).collect();
    for path in paths {
        let (names, _) = source.spans().names(path);
        let found: Vec<_> = in_clear(source, source.spans().scalars(&names)).collect();
        source.hidden.extend(found);
    }
}

fn in_clear(source: &Source, ranges: Vec<Range<usize>>) -> impl Iterator<Item = Range<usize>> {
    ranges.into_iter().filter(|range| {
        source.text.get(range.clone()).is_some_and(|raw| !raw.contains("${") && !is_public(raw))
    })
}

/// An account SID or a Verify SID, which is no secret and helps to find the place.
fn is_public(raw: &str) -> bool {
    raw.len() == 34 && (raw.starts_with("AC") || raw.starts_with("VA"))
}

/// The same for a text that could not be read: by line, what follows a key that names a secret or looks like the
/// name of one in an environment.
fn hidden_lines(text: &str, tables: &Tables) -> Vec<Range<usize>> {
    let mut keys = BTreeSet::new();
    fn walk(fields: &[Field], keys: &mut BTreeSet<&'static str>) {
        for field in fields {
            if let Type::Object(inner) | Type::Named { fields: inner, .. } = field.ty {
                walk(inner, keys);
            }
            if field.secret {
                keys.insert(field.key);
            }
        }
    }
    tables.sections.iter().for_each(|section| walk(section.fields, &mut keys));
    let mut out = Vec::new();
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        for (colon, _) in line.match_indices(':') {
            let word = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
            let start = colon - line[..colon].chars().rev().take_while(|ch| word(*ch)).count();
            let key = line.get(start..colon).unwrap_or_default();
            let looks_secret = !key.is_empty() && !key.contains(|ch: char| ch.is_ascii_lowercase());
            if (keys.contains(key) || looks_secret) && !line[colon..].contains("${") {
                out.push(from + colon + 1..from + line.len());
                break;
            }
        }
        from += line.len();
    }
    out
}

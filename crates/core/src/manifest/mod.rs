//! The manifest: from YAML text to a resolved [`Manifest`]. Every problem has its place.
//!
//! ```text
//! read    yaml (values) + spans (places) ─► check along the tables ─► links between fields ─► Parsed
//! examine Parsed + Sources (environment, files, commands, variables) ─► Manifest ─► checks of the kinds
//! ```
//!
//! One run reports every problem: a refused value counts as unknown in the checks that follow. Nothing here touches
//! files, environment or network: outside knowledge comes through [`Sources`].

pub mod accept;
mod check;
pub mod connection;
mod examples;
pub mod explain;
mod expr;
mod guard;
mod hiding;
mod leaf;
mod links;
mod mend;
pub mod places;
mod position;
pub mod reference;
mod resolve;
pub mod schema;
mod snippet;
pub(crate) mod source;
mod sources;
mod spans;
pub mod starter;
mod syntax;
mod typed;
mod words;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

pub use expr::relative_path;
pub use guard::looks_like_a_credential;
pub use position::{Position, position_at, position_of, position_of_resource};
pub use resolve::{CODE_MAX, resolve};
pub use snippet::render;
pub use source::Source;
pub use sources::{FileError, Missing, Sources};
pub use spans::SpanIndex;

use expr::{Piece, Ref, Target};
use leaf::{Input, Leaf, extend};
use links::Names;
use source::{Report, Wrong, wrong};
use yaml::Node;

use crate::diag::{Diagnostic, Problem, Severity, Span, codes};
use crate::model::field::{Field, Section, Type};
use crate::model::manifest::Manifest;

/// Longest manifest, in bytes. A full one has a few thousand; the rest is room for comments.
const TEXT_MAX: usize = 1024 * 1024;

/// Most brackets that may be open at once. Both parsers take time in proportion to their number for every token.
const OPEN_BRACKETS_MAX: usize = 1000;

/// The sections that a manifest may have, and the outputs of resources that references may name.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The root section, `auth0` and `twilio` first.
    pub sections: Vec<&'static Section>,
    /// Address of a resource (`verify_service`), and the names of its outputs (`sid`).
    pub outputs: Vec<(&'static str, &'static [&'static str])>,
    /// Names of the tenants of the fleet, whose outputs a manifest may take.
    pub tenants: Arc<BTreeSet<String>>,
}

impl Tables {
    /// The sections of the kinds, joined with those that every manifest has.
    pub fn new(
        kinds: impl IntoIterator<Item = &'static Section>,
        outputs: impl IntoIterator<Item = (&'static str, &'static [&'static str])>,
    ) -> Tables {
        let own: [&'static Section; 3] = [&connection::ROOT, &connection::AUTH0, &connection::TWILIO];
        Tables {
            sections: own.into_iter().chain(kinds).collect(),
            outputs: outputs.into_iter().collect(),
            tenants: Arc::default(),
        }
    }

    /// Names of the sections directly below a path, including those that only hold further sections.
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

/// A manifest that has been parsed. Its references have no values yet.
#[derive(Debug)]
pub struct Parsed {
    pub source: Arc<Source>,
    tables: Tables,
    leaves: Vec<Leaf>,
    names: Names,
    present: BTreeSet<&'static str>,
    found: Vec<Diagnostic>,
}

/// A refused manifest: at least one of the diagnostics is an error. They are in the order of the text.
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
    /// The text between the braces, `env.AUTH0_DOMAIN`.
    pub text: String,
}

impl Parsed {
    /// Gives a problem its place. A path that the text does not have (a missing key, a default) gets the place of its
    /// nearest parent's key. A problem inside a file that the manifest names has its place there.
    pub fn locate(&self, problem: Problem) -> Diagnostic {
        match (problem.inside, self.code_file(&problem.path)) {
            (Some((line, column)), Some(file)) => {
                Diagnostic { problem, file, span: Some(Span { line, column, start: 0, end: 0 }) }
            }
            _ => self.source.locate(problem),
        }
    }

    /// The file with the code of a field, by the path at which this program reads it.
    fn code_file(&self, path: &str) -> Option<String> {
        let leaf = self.names.get(path).and_then(|at| self.leaves.get(at))?;
        let Input::Code(spec) = &leaf.input else { return None };
        let folder = std::path::Path::new(&self.source.file).parent().unwrap_or("".as_ref());
        Some(folder.join(spec.trim_start_matches("./")).display().to_string())
    }

    /// What is wrong with the text itself, in its order.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Whether the manifest has a section, even an empty one.
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
                let span = parsed.source.span(range);
                found.push(Reference { path: names.join("."), span, text });
            }
        }
    }
    found
}

/// The values of a file that takes no references, by dotted key, and a problem for each reference in it.
pub fn literals(parsed: &Parsed) -> (BTreeMap<String, Json>, Vec<Diagnostic>) {
    let mut report = Report::new(&parsed.source);
    let mut values = BTreeMap::new();
    for leaf in &parsed.leaves {
        match &leaf.input {
            Input::Known(json) => _ = values.insert(leaf.name(), json.clone()),
            Input::Refused => {}
            Input::Public(_) | Input::Text(_) | Input::List(_) | Input::Code(_) => {
                let reason = "this file takes no references";
                let fault = wrong(
                    codes::BAD_REFERENCE,
                    "a reference where none can be",
                    reason,
                    "write the value out",
                );
                report.value(&leaf.names, fault);
            }
        }
    }
    (values, report.finish())
}

/// A text that is a part of a manifest: its places, what it says, and why it is no YAML. A text that cannot be decoded is
/// not drawn, because it may be any file.
pub(crate) fn part(file: &str, text: &str, tables: &Tables) -> (Source, Option<Node>, Vec<Diagnostic>) {
    if let Some((range, wrong)) = too_much(text) {
        let rejected = refused(Source::bare(file, text), range, wrong, false);
        return (Source::unseen(file), None, rejected.diagnostics);
    }
    let mut source = Source::new(file, text);
    let mend::Decoded { root, faults, .. } = mend::decode(&mut source);
    source.hidden = hidden_lines(&source.text, tables);
    source.hidden.extend(hidden_values(&source, tables));
    source.is_drawn = faults.found.is_empty();
    let mut report = Report::new(&source);
    for (range, wrong) in faults.found {
        report.at(&[], range, wrong);
    }
    report.drop(faults.more);
    let found = report.finish();
    (source, root, found)
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

/// Whether a field's whole value is a variable of the environment or of the command line, so that an edit of the
/// manifest alone cannot have chosen it. The variable's name has to have this ending: the manifest could choose any
/// variable, and CI fills some with words of a pull request (the name of its branch).
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

/// Parses a manifest and checks everything that needs no environment: syntax, keys, types, ranges, words, required and
/// repeated keys, references. Returns the parsed manifest and its warnings, or every problem at once.
pub fn parse(file: &str, text: &str, tables: &Tables) -> Result<(Parsed, Vec<Diagnostic>), Rejected> {
    let parsed = read(file, text, tables)?;
    let diagnostics = parsed.found.clone();
    if has_errors(&diagnostics) {
        return Err(Rejected { source: Arc::clone(&parsed.source), diagnostics });
    }
    Ok((parsed, diagnostics))
}

/// Like [`parse`], but a manifest with errors is read as far as possible, so that [`examine`] can find further
/// problems. Only a text that is not YAML, or not a manifest, is refused.
///
/// # Errors
/// The text is too long or nested too deeply, cannot be decoded, or does not claim to be a manifest.
pub fn read(file: &str, text: &str, tables: &Tables) -> Result<Parsed, Rejected> {
    read_lossy(file, text, &[], tables)
}

/// Like [`read`], for a text in which some bytes were no text, and have become something else at these places.
///
/// # Errors
/// As for [`read`].
pub fn read_lossy(
    file: &str,
    text: &str,
    lost: &[Range<usize>],
    tables: &Tables,
) -> Result<Parsed, Rejected> {
    if let Some((range, wrong)) = too_much(text) {
        // The text is not indexed, because indexing would take the time that the limit saves.
        let mut source = Source::bare(file, text);
        source.hidden = hidden_lines(&source.text, tables);
        let is_ours = is_ours(&source.text, None);
        return Err(refused(source, range, wrong, is_ours));
    }
    let mut source = Source::new(file, text);
    let mend::Decoded { root, faults, stopped } = mend::decode(&mut source);
    if !is_ours(&source.text, root.as_ref()) {
        let (range, wrong) = foreign(&source.text, stopped);
        return Err(refused(source, range, wrong, false));
    }
    source.hidden = hidden_lines(&source.text, tables);
    if root.is_some() {
        source.hidden.extend(hidden_values(&source, tables));
    }
    let mut report = Report::new(&source);
    for (range, wrong) in lost.iter().cloned().map(syntax::lost).chain(faults.found) {
        report.at(&[], range, wrong);
    }
    report.drop(faults.more);
    let Some(root) = root else {
        let diagnostics = report.finish();
        return Err(Rejected { source: Arc::new(source), diagnostics });
    };
    let checked = check::check(&root, tables, &mut report);
    connection::check(&checked, &mut report);
    let names = Names::new(&checked.leaves);
    links::check(&checked, tables, &names, &mut report);
    let mut found = report.finish();
    // A word with a lost letter is wrong for that reason alone.
    let has_lost = |span: &Span| lost.iter().any(|lost| (span.start..span.end).contains(&lost.start));
    found.retain(|one| one.problem.code == codes::NOT_YAML || !one.span.as_ref().is_some_and(has_lost));
    hide_unknown(&mut source, &root, &found);
    let check::Checked { leaves, present } = checked;
    Ok(Parsed { source: Arc::new(source), tables: tables.clone(), leaves, names, present, found })
}

/// Whether a text claims to be a manifest, even a damaged one. Any other text may be somebody's file of secrets to
/// which a path or a link led, so no word of it is shown.
fn is_ours(text: &str, root: Option<&Node>) -> bool {
    match root {
        Some(Node::Map(entries)) if entries.iter().any(|(key, _)| key.text == "lockstep") => true,
        _ => text.trim().is_empty() || text.lines().any(|line| line.starts_with("lockstep:")),
    }
}

/// The fault of a text that is not a manifest: the place where reading stopped, and nothing of the text.
fn foreign(text: &str, place: Option<(usize, usize)>) -> (Range<usize>, Wrong) {
    let at = place.map_or(0, |(line, column)| spans::byte_of(text, line, column));
    let title = "the file is not a manifest";
    let help = "name the manifest, or write lockstep: v1 as its first line";
    (at..at, wrong(codes::NOT_YAML, title, "no line of it begins with lockstep:", help))
}

/// One problem with the whole text. The text is drawn only when it is known to be a manifest.
fn refused(source: Source, range: Range<usize>, wrong: Wrong, is_ours: bool) -> Rejected {
    let mut report = Report::new(&source);
    report.at(&[], range, wrong);
    let diagnostics = report.finish();
    let source = if is_ours { source } else { Source::unseen(&source.file) };
    Rejected { source: Arc::new(source), diagnostics }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|one| one.problem.severity == Severity::Error)
}

/// Everything that can be known of a manifest without a request.
#[derive(Debug)]
pub struct Examined {
    /// Values that were refused are unknown in it.
    pub manifest: Manifest,
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The text with which the diagnostics are drawn.
    pub source: Arc<Source>,
}

impl Examined {
    /// Whether the manifest must not be used.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Resolves what was read and runs the checks of the kinds, even if there are errors already, so that one run reports
/// everything. If a place has an error, a check's problem there or below it is left out, because it repeats the same
/// mistake.
pub fn examine(
    parsed: &Parsed,
    sources: &dyn Sources,
    missing: Missing,
    check: &dyn Fn(&Manifest, &mut Vec<Problem>),
) -> Examined {
    let resolve::Resolved { manifest, diagnostics, source } = resolve::values(parsed, sources, missing);
    // What a reference cannot do is often seen twice: by its name, and by its value.
    let is_told = |one: &&Diagnostic| {
        let is_same = |told: &Diagnostic| {
            told.problem.path == one.problem.path && told.problem.code == one.problem.code
        };
        one.problem.code == codes::BAD_REFERENCE && parsed.found.iter().any(is_same)
    };
    let more = diagnostics.iter().filter(|one| !is_told(one)).cloned();
    let mut diagnostics: Vec<Diagnostic> = parsed.found.iter().cloned().chain(more).collect();
    // A key that is written twice still has a value, and a text that was mended still has a meaning.
    let goes_on = |one: &&Diagnostic| match one.problem.code {
        codes::DUPLICATE_KEY => true,
        codes::NOT_YAML => one.span.is_some(),
        _ => false,
    };
    let errors = diagnostics.iter().filter(|one| one.problem.severity == Severity::Error && !goes_on(one));
    let refused = parsed.leaves.iter().filter(|leaf| matches!(leaf.input, leaf::Input::Refused));
    let wrong: BTreeSet<String> =
        errors.map(|one| one.problem.path.clone()).chain(refused.map(Leaf::name)).collect();
    if wrong.contains("") || wrong.contains("lockstep") {
        return Examined { manifest, diagnostics, source };
    }
    let mut problems = Vec::new();
    check(&manifest, &mut problems);
    accept::check(&manifest, &mut problems);
    hiding::check(&manifest, &mut problems);
    let is_new = |problem: &Problem| {
        let ends = problem.path.match_indices('.').map(|(at, _)| at).chain([problem.path.len()]);
        !ends.map(|end| &problem.path[..end]).any(|path| wrong.contains(path))
    };
    diagnostics.extend(problems.into_iter().filter(is_new).map(|problem| parsed.locate(problem)));
    // The manifest goes before the files that it names.
    diagnostics.sort_by_cached_key(|one| {
        let file = Some(one.file.clone()).filter(|file| *file != source.file);
        let place = one.span.as_ref().map(|span| (span.line, span.column));
        (file, place.is_none(), place, one.problem.code)
    });
    Examined { manifest, diagnostics, source }
}

fn too_much(text: &str) -> Option<(Range<usize>, Wrong)> {
    if text.len() > TEXT_MAX {
        let reason = format!("has {} bytes, at most {TEXT_MAX} are read", text.len());
        let help = "move code and certificates into files of their own";
        return Some((0..0, wrong(codes::NOT_YAML, "the manifest is too long", reason, help)));
    }
    let mut open = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > OPEN_BRACKETS_MAX {
            let reason = format!("{open} brackets are open here, at most {OPEN_BRACKETS_MAX} are read");
            let help = "close them";
            let wrong = wrong(codes::NOT_YAML, "the manifest is nested too deeply", reason, help);
            return Some((at..at + 1, wrong));
        }
    }
    None
}

/// User and password in each URL of the text.
fn hidden_users(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let ends = |ch: char| ch.is_whitespace() || matches!(ch, '/' | '?' | '#' | '"' | '\'');
        let authority = text[start..].split(ends).next().unwrap_or_default();
        authority.rfind('@').map(|length| start..start + length)
    })
}

/// Secrets written in clear, wherever the tables expect a secret: even the message that refuses them does not draw
/// them.
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
    let mut out: Vec<Range<usize>> = hidden_users(&source.text).collect();
    for section in &tables.sections {
        let names: Vec<String> =
            section.path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        walk(source, &names, section.fields, &mut out);
    }
    out
}

/// Hides the values of unknown keys: a key with a typing error may have been meant for a secret.
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

/// Whether a text is an account SID or a Verify SID, which is not secret and helps to find the place.
fn is_public(raw: &str) -> bool {
    raw.len() == 34 && (raw.starts_with("AC") || raw.starts_with("VA"))
}

/// The secrets of a text wherever they stand, also in a part that could not be decoded or in the wrong place: in each
/// line, what follows a key that names a secret, or a key in capitals, which is likely the name of a secret in an
/// environment.
fn hidden_lines(text: &str, tables: &Tables) -> Vec<Range<usize>> {
    let mut keys = BTreeSet::new();
    fn walk(fields: &[Field], keys: &mut BTreeSet<&'static str>) {
        for field in fields {
            if let Type::Object(inner)
            | Type::Named { fields: inner, .. }
            | Type::List { fields: inner, .. } = field.ty
            {
                walk(inner, keys);
            }
            if field.secret {
                keys.insert(field.key);
            }
        }
    }
    tables.sections.iter().for_each(|section| walk(section.fields, &mut keys));
    let mut out: Vec<Range<usize>> = hidden_users(text).collect();
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        for (colon, _) in line.match_indices(':') {
            let word = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
            let start = colon - line[..colon].chars().rev().take_while(|ch| word(*ch)).count();
            let key = line.get(start..colon).unwrap_or_default();
            let has = |is: fn(&char) -> bool| key.chars().any(|ch| is(&ch));
            let looks_secret = has(char::is_ascii_uppercase) && !has(char::is_ascii_lowercase);
            if (keys.contains(key) || looks_secret) && !line[colon..].contains("${") {
                out.push(from + colon + 1..from + line.len());
                break;
            }
        }
        from += line.len();
    }
    out
}

//! Gives every leaf its value: asks the environment, files, commands and variables, and follows references between
//! fields. All outside knowledge comes through [`Sources`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use super::check::{called, control, repeat_in_set};
use super::connection;
use super::expr::{Piece, Ref, Target};
use super::guard;
use super::leaf::{Input, Leaf, extend};
use super::links::{self, report_ref};
use super::source::{Report, Source, Wrong, shown, wrong};
use super::sources::{FileError, Missing, Sources, refused_file};
use super::typed::{either, from_text};
use super::words::meant;
use super::{Parsed, Rejected};
use crate::builtin;
use crate::diag::{Diagnostic, Severity, codes};
use crate::model::field::Type;
use crate::model::manifest::Manifest;
use crate::model::minted;
use crate::model::scrub::Scrubber;
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Part, Template, Value};

/// Longest source of an Action or a Function, in bytes: an Action takes 100 kB (Auth0 docs, "Actions limitations",
/// as noted in November 2026), and one bound for both is easier to remember.
pub const CODE_MAX: usize = 100_000;

/// Longest value of a reference, in bytes. Neither API accepts a text nearly as long. A secret is searched for in many
/// spellings, which takes memory and time for each of its bytes.
const VALUE_MAX: usize = 32 * 1024;

/// Resolves a parsed manifest. Sections and keys are those of [`Manifest`]. The error has all problems at once.
pub fn resolve(parsed: &Parsed, sources: &dyn Sources, missing: Missing) -> Result<Manifest, Rejected> {
    let Resolved { manifest, diagnostics, source } = values(parsed, sources, missing);
    if diagnostics.iter().any(|one| one.problem.severity == Severity::Error) {
        return Err(Rejected { source, diagnostics });
    }
    Ok(manifest)
}

/// Result of resolving.
pub struct Resolved {
    /// The manifest; refused values are [`Value::Unknown`].
    pub manifest: Manifest,
    pub diagnostics: Vec<Diagnostic>,
    /// The text, with those values hidden that must not be drawn.
    pub source: Arc<Source>,
}

/// Resolves as far as possible. A refused value becomes unknown, and its problem is among the diagnostics.
pub fn values(parsed: &Parsed, sources: &dyn Sources, missing: Missing) -> Resolved {
    let mut resolver = Resolver {
        parsed,
        built_in: built_in(parsed),
        sources,
        missing,
        done: vec![State::New; parsed.leaves.len()],
        files: BTreeMap::new(),
        cmds: BTreeMap::new(),
        cut: BTreeSet::new(),
        report: Report::new(&parsed.source),
    };
    let mut stack = String::new();
    let mut sections: BTreeMap<String, _> = BTreeMap::new();
    for section in parsed.present.iter().filter(|section| !section.is_empty()) {
        sections.insert((*section).to_owned(), BTreeMap::new());
    }
    (0..parsed.leaves.len()).for_each(|at| drop(resolver.leaf(at)));
    let hidden = resolver.guard();
    for (at, leaf) in parsed.leaves.iter().enumerate() {
        let value = resolver.leaf(at).unwrap_or_else(refused);
        if leaf.section.is_empty() {
            if let ("stack", Some(name)) = (leaf.key.as_str(), value.as_str()) {
                name.clone_into(&mut stack);
            } else if let Some(key) = leaf.key.strip_prefix("accept.") {
                sections.entry("accept".to_owned()).or_default().insert(key.to_owned(), value);
            }
        } else if let Some(attrs) = sections.get_mut(leaf.section) {
            attrs.insert(leaf.key.clone(), value);
        }
    }
    let source = Arc::new(parsed.source.hiding(hidden));
    Resolved { manifest: Manifest { stack, sections }, diagnostics: resolver.report.finish(), source }
}

/// Placeholder for a value whose problem is reported already, so that no check reports it once more.
fn refused() -> Value {
    Value::Unknown("it was refused".into())
}

#[derive(Clone)]
enum State {
    New,
    Busy,
    /// `None`: the value was refused and its problem reported.
    Done(Option<Value>),
}

struct Resolver<'a> {
    parsed: &'a Parsed,
    /// Names of built-in code, by section.
    built_in: BTreeMap<&'static str, &'a str>,
    sources: &'a dyn Sources,
    missing: Missing,
    done: Vec<State>,
    files: BTreeMap<String, Result<String, FileError>>,
    cmds: BTreeMap<String, Option<Result<String, String>>>,
    /// References whose line break at the end was cut off and reported.
    cut: BTreeSet<String>,
    report: Report<'a>,
}

/// Result of one reference.
enum Got {
    /// Text, and where it comes from.
    Text(String, Kind),
    /// Text that contains outputs.
    Output(Template),
    Generated(String),
    Minted(String),
    Unknown(String),
    Failed,
}

/// Where a piece of text comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Written in the manifest.
    Literal,
    /// A field that is not secret.
    Field,
    /// A variable. It is not secret by itself, but a person may have chosen it.
    Outside,
    Secret(Origin),
}

impl Resolver<'_> {
    /// The value of a leaf. The recursion follows references between fields; `links` has bounded their chains.
    fn leaf(&mut self, at: usize) -> Option<Value> {
        match &self.done[at] {
            State::Done(value) => return value.clone(),
            State::Busy => return None,
            State::New => self.done[at] = State::Busy,
        }
        let parsed = self.parsed;
        let leaf = &parsed.leaves[at];
        let value = match &leaf.input {
            Input::Refused => Some(refused()),
            Input::Known(json) => Some(Value::Known(json.clone())),
            Input::Public(sid) => Some(Value::Secret(Secret::new(sid.clone(), Origin::Public))),
            Input::Code(spec) => self.code(leaf, spec),
            Input::Text(pieces) => self.text(leaf, &leaf.names, &leaf.ty, pieces),
            Input::List(items) => self.list(leaf, items),
        };
        self.done[at] = State::Done(value.clone());
        value
    }

    /// Refuses values that hold a secret where others can read them. Returns the places of those that are written out
    /// in the text, which must not be drawn.
    fn guard(&mut self) -> Vec<Range<usize>> {
        let parsed = self.parsed;
        let values: Vec<(&Leaf, Value)> = parsed
            .leaves
            .iter()
            .zip(&self.done)
            .filter_map(|(leaf, state)| match state {
                State::Done(Some(value)) => Some((leaf, value.clone())),
                _ => None,
            })
            .collect();
        let mut hidden = Vec::new();
        for leak in guard::check(parsed, &values) {
            if leak.is_written {
                hidden.extend(parsed.source.spans().scalars(&leak.leaf.names));
            }
            self.report.value(&leak.leaf.names, leak.wrong);
            if let Some(at) = parsed.leaves.iter().position(|leaf| std::ptr::eq(leaf, leak.leaf)) {
                self.done[at] = State::Done(None);
            }
        }
        hidden
    }

    fn list(&mut self, leaf: &Leaf, items: &[Vec<Piece>]) -> Option<Value> {
        let ty = match leaf.ty {
            Type::Set(words) if !words.is_empty() => Type::OneOf(words),
            _ => Type::Text { min: 1, max: usize::MAX, check: None },
        };
        let mut words = BTreeSet::new();
        let mut whole = true;
        for (at, pieces) in items.iter().enumerate() {
            let names = extend(&leaf.names, &at.to_string());
            match self.text(leaf, &names, &ty, pieces) {
                Some(Value::Known(Json::String(word))) => {
                    if !words.insert(word) {
                        let wrong = repeat_in_set(&leaf.key, "this value");
                        self.report.value(&names, wrong);
                        whole = false;
                    }
                }
                Some(Value::Unknown(name)) => return Some(Value::Unknown(name)),
                Some(_) => {
                    self.takes_no_secret(leaf, &names);
                    whole = false;
                }
                None => whole = false,
            }
        }
        whole.then(|| Value::Known(words.into_iter().map(Json::String).collect()))
    }

    fn text(&mut self, leaf: &Leaf, names: &[String], ty: &Type, pieces: &[Piece]) -> Option<Value> {
        let got: Vec<Got> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Got::Text(text.clone(), Kind::Literal),
                Piece::Ref(found) => {
                    let got = self.reference(leaf, names, found);
                    self.usable(leaf, names, found, got)
                }
            })
            .collect();
        if got.iter().any(|one| matches!(one, Got::Failed)) {
            return None;
        }
        if let Some(name) = got.iter().find_map(|one| match one {
            Got::Unknown(name) => Some(name.clone()),
            _ => None,
        }) {
            return Some(Value::Unknown(name));
        }
        let takes_text = matches!(ty, Type::Text { .. } | Type::Map { .. });
        let late = got.iter().any(|one| matches!(one, Got::Generated(_) | Got::Minted(_) | Got::Output(_)));
        if late && (!takes_text || connection::is_connection(leaf.section)) {
            self.bad(
                names,
                "the value exists only after apply, and is needed earlier",
                "write the value out",
            );
            return None;
        }
        if let [Got::Generated(name)] = got.as_slice() {
            return Some(Value::Generated(name.clone()));
        }
        if let [Got::Minted(name)] = got.as_slice() {
            return Some(Value::Minted(name.clone()));
        }
        if got.iter().any(|one| matches!(one, Got::Generated(_) | Got::Minted(_))) {
            self.bad(names, "a generated or minted secret has to stand alone", "remove the text around it");
            return None;
        }
        if late {
            return self.template(leaf, names, got);
        }
        self.join(leaf, names, ty, got)
    }

    fn template(&mut self, leaf: &Leaf, names: &[String], got: Vec<Got>) -> Option<Value> {
        let mut parts: Vec<Part> = Vec::new();
        for one in got {
            match one {
                // A template prints its text, so it must not contain anything confidential.
                Got::Text(_, Kind::Secret(origin)) if origin != Origin::Public => {
                    self.bad(names, "a secret and an output stand in one text", "put them in two fields");
                    return None;
                }
                Got::Text(_, Kind::Outside) if leaf.secret => {
                    self.bad(names, "a secret and an output stand in one text", "put them in two fields");
                    return None;
                }
                Got::Text(text, _) => parts.push(Part::Text(text)),
                Got::Output(template) => parts.extend(template.parts),
                Got::Generated(_) | Got::Minted(_) | Got::Unknown(_) | Got::Failed => {}
            }
        }
        Some(Value::Output(Template { parts, secret: leaf.secret }))
    }

    /// Joins plain and secret pieces, and checks the result against the type of the field.
    fn join(&mut self, leaf: &Leaf, names: &[String], ty: &Type, got: Vec<Got>) -> Option<Value> {
        let mut text = String::new();
        let mut kinds = Vec::new();
        for one in got {
            if let Got::Text(part, kind) = one {
                text.push_str(&part);
                kinds.push(kind);
            }
        }
        let flows = kinds.iter().any(|kind| matches!(kind, Kind::Secret(_)));
        let takes_text = matches!(ty, Type::Text { .. } | Type::Map { .. });
        if flows && !takes_text {
            self.takes_no_secret(leaf, names);
            return None;
        }
        let is_secret = leaf.secret || flows;
        match from_text(leaf.names.last().map_or("", String::as_str), ty, &text, false) {
            Err(wrong) => {
                self.report.value(names, if is_secret { scrubbed(wrong, &text) } else { wrong });
                None
            }
            Ok(_) if is_secret => {
                let origin = match origin(&kinds) {
                    _ if connection::is_machine_made(leaf.section, &leaf.key) => Origin::Machine,
                    Origin::Person if self.is_drawn(leaf, &text) || self.sources.is_made_up(&text) => {
                        Origin::Machine
                    }
                    origin => origin,
                };
                Some(Value::Secret(Secret::new(text, origin)))
            }
            Ok((json, _)) => Some(Value::Known(json)),
        }
    }

    /// Whether the section's code is built in and this field of it works only with a value that Twilio generates,
    /// wherever the value comes from.
    fn is_drawn(&self, leaf: &Leaf, text: &str) -> bool {
        let name = leaf.names.last().map_or("", String::as_str);
        self.built_in.get(leaf.section).is_some_and(|code| builtin::is_drawn(code, name, text))
    }

    fn reference(&mut self, leaf: &Leaf, names: &[String], found: &Ref) -> Got {
        match &found.target {
            Target::Env(name) => {
                let value = self.sources.env(name).map(|value| self.cut(leaf, names, found, value));
                match value.filter(|value| !value.is_empty()) {
                    Some(value) => Got::Text(value, Kind::Outside),
                    None => {
                        let help = format!(
                            "set {name} in the environment, or run with --twin to try without accounts"
                        );
                        self.absent(names, found, format!("{name} is not set, or empty"), help)
                    }
                }
            }
            Target::Var(name) => match self.sources.var(name) {
                Some(value) => Got::Text(self.cut(leaf, names, found, value), Kind::Outside),
                None => {
                    let help = format!("give it with --var {name}=VALUE");
                    self.absent(names, found, format!("no variable {} was given", shown(name)), help)
                }
            },
            Target::File(path) => self.file_reference(leaf, names, found, path),
            Target::Cmd(name) => self.cmd_reference(leaf, names, found, name),
            Target::Generated(name) => Got::Generated(name.clone()),
            Target::Minted(part) => match minted::value(part, leaf.secret) {
                Some(Value::Minted(name)) => Got::Minted(name),
                Some(Value::Output(template)) => Got::Output(template),
                _ => Got::Failed,
            },
            Target::Name(name) => self.field_reference(name),
        }
    }

    /// Cuts one line break off the end of a value from outside: editors, `echo` and the secret stores of CI systems
    /// leave one there, and it is never meant. The cut is reported, except for texts of several lines, which usually
    /// end with a line break.
    fn cut(&mut self, leaf: &Leaf, names: &[String], found: &Ref, value: String) -> String {
        let Some(rest) = value.strip_suffix('\n') else { return value };
        let rest = rest.strip_suffix('\r').unwrap_or(rest).to_owned();
        let target = found.target.text();
        let is_told = !has_lines(leaf, &rest) && !rest.is_empty() && control(&rest).is_none();
        if is_told && self.cut.insert(target.clone()) {
            let title = format!("the line break at the end of {} was taken away", shown(&target));
            let note =
                wrong(codes::LINE_BREAK_CUT, title, "its value ends with one", "store the value without it");
            report_ref(&mut self.report, names, found, Wrong { severity: Severity::Note, ..note });
        }
        rest
    }

    /// Refuses a value that is too long, or that has control characters, which would change the request or the name
    /// that contains it.
    fn usable(&mut self, leaf: &Leaf, names: &[String], found: &Ref, got: Got) -> Got {
        let Got::Text(text, _) = &got else { return got };
        if text.len() > VALUE_MAX {
            let title = format!("the value of {} is too long", shown(&found.target.text()));
            let reason = format!("it has {} bytes, at most {VALUE_MAX} are allowed", text.len());
            let help = "name a source that holds this value and nothing else";
            report_ref(&mut self.report, names, found, wrong(codes::OUT_OF_RANGE, title, reason, help));
            return Got::Failed;
        }
        let lines = has_lines(leaf, text);
        let breaks = |ch: &char| matches!(ch, '\n' | '\r' | '\t');
        let Some(ch) = text.chars().find(|ch| ch.is_control() && !(lines && breaks(ch))) else { return got };
        let title = format!("the value of {} cannot be used", shown(&found.target.text()));
        let reason = format!("it has {} in it", called(ch));
        let help = "store the value again, on one line and without control characters";
        report_ref(&mut self.report, names, found, wrong(codes::BAD_TEXT, title, reason, help));
        Got::Failed
    }

    fn field_reference(&mut self, name: &str) -> Got {
        if let Some(output) = links::output(&self.parsed.tables, name) {
            return Got::Output(Template { parts: vec![Part::Output(output)], secret: false });
        }
        let parsed = self.parsed;
        let Some(at) = parsed.names.get(name) else { return Got::Failed };
        match self.leaf(at) {
            Some(Value::Known(Json::String(text))) => Got::Text(text, Kind::Field),
            Some(Value::Known(json @ (Json::Number(_) | Json::Bool(_)))) => {
                Got::Text(json.to_string(), Kind::Field)
            }
            Some(Value::Secret(secret)) => {
                Got::Text(secret.expose().to_owned(), Kind::Secret(secret.origin()))
            }
            Some(Value::Output(template)) => Got::Output(template),
            Some(Value::Generated(name)) => Got::Generated(name),
            Some(Value::Minted(name)) => Got::Minted(name),
            Some(Value::Unknown(name)) => Got::Unknown(name),
            Some(Value::Known(_) | Value::Stamp(_)) | None => Got::Failed,
        }
    }

    fn file_reference(&mut self, leaf: &Leaf, names: &[String], found: &Ref, path: &str) -> Got {
        match self.file(path) {
            Ok(text) if text.trim().is_empty() => {
                self.absent(names, found, format!("the file {} is empty", shown(path)), "fill it".to_owned())
            }
            Ok(text) => Got::Text(self.cut(leaf, names, found, text), Kind::Secret(Origin::Person)),
            Err(FileError::Missing) if self.missing != Missing::UnknownButFiles => {
                let help = format!("put the file {} beside the manifest", shown(path));
                self.absent(names, found, format!("there is no file {}", shown(path)), help)
            }
            Err(error) => {
                report_ref(&mut self.report, names, found, refused_file(path, &error));
                Got::Failed
            }
        }
    }

    fn cmd_reference(&mut self, leaf: &Leaf, names: &[String], found: &Ref, name: &str) -> Got {
        let sources = self.sources;
        let answer = self.cmds.entry(name.to_owned()).or_insert_with(|| sources.cmd(name)).clone();
        match answer {
            Some(Ok(text)) if !text.trim().is_empty() => {
                Got::Text(self.cut(leaf, names, found, text), Kind::Secret(Origin::Person))
            }
            Some(Ok(_)) => {
                let help = "check what it prints".to_owned();
                self.absent(names, found, format!("the command {name} printed nothing"), help)
            }
            Some(Err(words)) => {
                let title = format!("the command {name} failed");
                let help = "run the command in a terminal to see its error";
                report_ref(
                    &mut self.report,
                    names,
                    found,
                    wrong(codes::MISSING_VALUE, title, shown(&words), help),
                );
                Got::Failed
            }
            None => {
                let help = format!("allow it with --allow-cmd {name}=COMMAND");
                self.absent(names, found, format!("the command {name} is not allowed"), help)
            }
        }
    }

    fn absent(&mut self, names: &[String], found: &Ref, reason: String, help: String) -> Got {
        let target = found.target.text();
        if self.missing != Missing::Error {
            return Got::Unknown(target);
        }
        let title = format!("{} has no value", shown(&target));
        report_ref(&mut self.report, names, found, wrong(codes::MISSING_VALUE, title, reason, help));
        Got::Failed
    }

    fn file(&mut self, path: &str) -> Result<String, FileError> {
        let sources = self.sources;
        self.files.entry(path.to_owned()).or_insert_with(|| sources.file(path)).clone()
    }

    fn code(&mut self, leaf: &Leaf, spec: &str) -> Option<Value> {
        let source = match spec.strip_prefix("builtin:") {
            Some(name) => self
                .sources
                .builtin(name)
                .map(str::to_owned)
                .ok_or_else(|| no_builtin(name, self.sources.builtins())),
            None => self.file(spec).map_err(|error| refused_file(spec, &error)),
        };
        let fault = match source {
            Ok(text) if text.len() > CODE_MAX => {
                let title = format!("{} is too long", shown(&leaf.key));
                let reason = format!("has {} bytes, at most {CODE_MAX} are allowed", text.len());
                wrong(codes::OUT_OF_RANGE, title, reason, "shorten or minify it")
            }
            Ok(text) if text.trim().is_empty() => {
                let title = format!("{} is empty", shown(&leaf.key));
                wrong(codes::FILE_REFUSED, title, "the file has no code in it", "write a handler")
            }
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                return Some(Value::text(text.replace("\r\n", "\n").replace('\r', "\n")));
            }
            Err(fault) => fault,
        };
        self.report.value(&leaf.names, fault);
        None
    }

    fn bad(&mut self, names: &[String], reason: &str, help: &str) {
        let title = "references that do not fit together";
        self.report.value(names, wrong(codes::BAD_REFERENCE, title, reason, help));
    }

    fn takes_no_secret(&mut self, leaf: &Leaf, names: &[String]) {
        let title = format!("{} takes no secret", shown(&leaf.key));
        let reason = "the value comes from a secret, or is known only after apply";
        self.report.value(names, wrong(codes::BAD_REFERENCE, title, reason, "write the value out"));
    }
}

fn no_builtin(name: &str, known: &[&str]) -> Wrong {
    let help = match meant(name, known) {
        Some(near) => format!("did you mean builtin:{near}?"),
        None => "write builtin: and one of these names, or the path of a file".into(),
    };
    let title = format!("there is no built-in code {}", shown(name));
    wrong(codes::NOT_ALLOWED, title, format!("there are {}", either(known).replace(" or ", " and ")), help)
}

/// Whether a value of that field may have several lines: the field is for such texts, or the value is a key in PEM
/// among the secrets of code.
fn has_lines(leaf: &Leaf, text: &str) -> bool {
    leaf.lines || (leaf.secret && matches!(leaf.ty, Type::Map { .. }) && connection::is_pem(text))
}

fn built_in(parsed: &Parsed) -> BTreeMap<&'static str, &str> {
    let named = parsed.leaves.iter().filter_map(|leaf| match &leaf.input {
        Input::Code(spec) => Some((leaf.section, spec.strip_prefix("builtin:")?)),
        _ => None,
    });
    named.collect()
}

/// The weakest origin of all parts: one part that a person may have chosen makes the whole guessable.
fn origin(kinds: &[Kind]) -> Origin {
    let is_person = |kind: &Kind| matches!(kind, Kind::Outside | Kind::Secret(Origin::Person));
    if kinds.iter().any(is_person) {
        Origin::Person
    } else if kinds.contains(&Kind::Secret(Origin::Machine)) {
        Origin::Machine
    } else if kinds.contains(&Kind::Literal) {
        Origin::Person
    } else {
        Origin::Public
    }
}

/// Removes the value from the words of a check, because the value is a secret.
fn scrubbed(wrong: Wrong, value: &str) -> Wrong {
    if wrong.code != codes::BAD_TEXT {
        return wrong;
    }
    let mut scrubber = Scrubber::default();
    scrubber.learn(&Secret::new(value, Origin::Person));
    let scrub = |words: &str| {
        let out = scrubber.ours(words);
        // The scrubber leaves short values and words of ours in place, so a message that may still hold the value is
        // replaced.
        if !value.is_empty() && out.contains(value) {
            "the value does not have the form that this field needs".to_owned()
        } else {
            out
        }
    };
    Wrong { title: wrong.title, reason: scrub(&wrong.reason), help: scrub(&wrong.help), ..wrong }
}

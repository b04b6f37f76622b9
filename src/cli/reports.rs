//! The forms that a run's result is written in (`--output`). Every run that has a command writes each form once,
//! whatever its outcome: of its result, or of the error that it ended with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::args::{Form, form};
use super::error::{Error, Result};
use super::exit::Exit;
use super::outputs::Written;
use super::setup::Shell;
use crate::diag::Diagnostic;
use crate::manifest::Source;
use crate::model::manifest::Manifest;
use crate::plan::render::Paint;
use crate::report::text::{Told, told, whole};
use crate::report::{self, Content, Door, Failure, Format, Report, Said};
use crate::shell::files;
use crate::shell::secrets::Scrub;
use crate::shell::terminal::{Say, plain};

/// What the forms are made of, until they are written.
#[derive(Default)]
pub struct Reports {
    forms: Vec<Form>,
    command: &'static str,
    /// Path of the manifest, as it was given.
    file: String,
    diagnostics: Vec<Said>,
    /// The text of the manifest and its values, for the places of what a report names.
    text: Option<(Arc<Source>, Manifest)>,
    /// The files have been looked at, and none of them is one that the command reads.
    pub admitted: bool,
    written: bool,
}

impl Reports {
    /// The forms of a command.
    pub fn new(command: &'static str, file: &Path, forms: &[Form]) -> Reports {
        let file = file.display().to_string();
        Reports { forms: forms.to_vec(), command, file, ..Reports::default() }
    }

    /// The form that goes to stdout.
    pub fn on_stdout(&self) -> Format {
        on_stdout(&self.forms)
    }

    /// Whether stdout gets text, so that a person may be shown and asked things as the run goes.
    pub fn is_text(&self) -> bool {
        self.on_stdout() == Format::Text
    }

    /// The files that are going to be written.
    pub fn files(&self) -> Vec<Written<'_>> {
        self.forms.iter().filter_map(|form| Some(("--output", form.file.as_deref()?))).collect()
    }

    /// At most one form goes to stdout.
    pub fn check(&self) -> Result<()> {
        let words: Vec<&str> =
            self.forms.iter().filter(|form| form.file.is_none()).map(|form| form.format.word()).collect();
        match words.as_slice() {
            [] | [_] => Ok(()),
            [first, second, ..] => {
                let text = format!("--output {first} and --output {second} both go to stdout");
                Err(Error::usage(text).help(format!("give one of them a file: --output {second}=FILE")))
            }
        }
    }

    /// Keeps the diagnostics of the manifest.
    pub fn note(&mut self, diagnostics: &[Diagnostic], source: &Source) {
        self.diagnostics.extend(diagnostics.iter().map(|one| Said {
            diagnostic: one.clone(),
            end: one.span.as_ref().map(|span| source.line_and_column(span.end)),
        }));
    }

    /// Keeps the manifest, if a form shows places in it.
    pub fn keep(&mut self, source: &Arc<Source>, manifest: &Manifest) {
        let has_places = |form: &Form| !matches!(form.format, Format::Text | Format::Json);
        if self.forms.iter().any(has_places) {
            self.text = Some((Arc::clone(source), manifest.clone()));
        }
    }

    fn report(&mut self, content: Content) -> Report {
        self.written = true;
        let text = self.text.take();
        Report {
            command: self.command,
            file: std::mem::take(&mut self.file),
            diagnostics: std::mem::take(&mut self.diagnostics),
            places: text.map_or_else(BTreeMap::new, |(source, manifest)| content.places(&source, &manifest)),
            content,
        }
    }
}

fn on_stdout(forms: &[Form]) -> Format {
    forms.iter().find(|form| form.file.is_none()).map_or(Format::Text, |form| form.format)
}

/// Writes the result of a command in every form.
///
/// # Errors
/// A file cannot be written. The other forms are written nevertheless.
pub fn publish(shell: &mut Shell, content: Content) -> Result<()> {
    let report = shell.reports.report(content);
    match shell.reports.on_stdout() {
        Format::Text => {
            for told in told(&report, Paint(shell.say.out_color())) {
                match told {
                    Told::Result(text) => shell.say.out_line(text),
                    Told::Talk(text) => shell.say.err_line(text),
                }
            }
        }
        format => shell.say.out_form(&written(format, &report, &shell.scrub)),
    }
    let mut result = Ok(());
    for form in &shell.reports.forms {
        let Some(path) = form.file.as_ref().filter(|_| shell.reports.admitted) else { continue };
        let text = written(form.format, &report, &shell.scrub);
        if let Err(error) = files::write_atomic(path, text.as_bytes()) {
            result = result.and(Err(error.into()));
        }
    }
    result
}

/// Writes the error of a command that ended without a result, if nothing was written yet.
pub fn publish_error(shell: &mut Shell, exit: u8, error: &Error) {
    if shell.reports.written {
        return;
    }
    if let Err(error) = publish(shell, failed(exit, error)) {
        shell.say.err_line(format!("error: {error}"));
    }
}

/// As [`publish_error`], for an error before the command line is known. Of the words of a wrong command line nobody can
/// tell which files it reads, so a file is made and none is replaced.
pub fn early_error(say: &mut Say, words: &[String], exit: u8, error: &Error) {
    let behind = words.iter().zip(words.iter().skip(1)).filter(|(word, _)| *word == "--output");
    let joined = words.iter().filter_map(|word| word.strip_prefix("--output="));
    let texts = behind.map(|(_, text)| text.as_str()).chain(joined);
    let forms: Vec<Form> = texts.filter_map(|text| form(text).ok()).collect();
    let report = Reports::new("lockstep", Path::new(""), &forms).report(failed(exit, error));
    let scrub = Scrub::default();
    match on_stdout(&forms) {
        Format::Text => {}
        format => say.out_form(&written(format, &report, &scrub)),
    }
    for form in &forms {
        let Some(path) = form.file.as_ref().filter(|path| !path.exists()) else { continue };
        if let Err(error) = files::write_atomic(path, written(form.format, &report, &scrub).as_bytes()) {
            say.err_line(format!("error: {error:#}"));
        }
    }
}

fn failed(exit: u8, error: &Error) -> Content {
    Content::Failed(Failure { exit, message: error.message.clone(), help: error.help.clone() })
}

/// The bytes of a form, without a secret and without a character that steers a terminal.
fn written(format: Format, report: &Report, scrub: &Scrub) -> String {
    let hide = |text: &str| scrub.scrub(text);
    let door = Door(&hide);
    match format {
        Format::Text => plain(&scrub.scrub(&whole(report))),
        Format::Json => scrub.document(&report::json(report)),
        Format::Sarif => scrub.document(&report::sarif(report, door)),
        Format::Markdown => report::markdown(report, door),
        Format::Junit => report::junit(report, door),
        Format::Github => report::github(report, door),
    }
}

/// The message of a command that stops without a message of its own.
pub fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Stale => "the plan is stale: the tenant, the account or the manifest has changed since",
        Exit::LeaseHeld => "the lease is held by somebody else",
        _ => "the command failed",
    }
}

//! The forms that a run's result is written in (`--output`). Every run that has a command writes each form once,
//! whatever its outcome: of its result, or of the error that it ended with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Form, form};
use super::error::{Error, Result};
use super::exit::Exit;
use super::fleet::Pages;
use super::fleet::settled::Settled;
use super::outputs::Written;
use super::setup::Shell;
use crate::diag::Diagnostic;
use crate::diag::codes::{self, Code};
use crate::fleet::report::FleetReport;
use crate::fleet::standing::FleetStatus;
use crate::fleet::{forms, metrics, page};
use crate::manifest::{Position, Source, position_at, position_of_resource};
use crate::model::manifest::Manifest;
use crate::model::outcome::Cause;
use crate::model::plan::Step;
use crate::plan::explain::Explanation;
use crate::plan::render::Paint;
use crate::report::text::{Told, failed as told_failure, told, whole};
use crate::report::{self, Content, Door, Failure, Format, Report, Said};
use crate::shell::clock::Clock;
use crate::shell::files;
use crate::shell::secrets::Scrub;
use crate::shell::terminal::{Say, plain};

/// What the forms are made of, until they are written.
#[derive(Default)]
pub struct Reports {
    forms: Vec<Form>,
    /// The page and the metrics of a fleet.
    pages: Pages,
    command: &'static str,
    /// Path of the manifest, as it was given.
    file: String,
    diagnostics: Vec<Said>,
    /// The text of the manifest.
    source: Option<Arc<Source>>,
    /// The codes of what was published.
    codes: BTreeSet<Code>,
    /// The text of the manifest and its values, for the places of what a report names.
    text: Option<(Arc<Source>, Manifest)>,
    /// What `plan --explain` says of the steps.
    pub explained: Option<Vec<Explanation>>,
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

    /// With what is written of a fleet besides.
    #[must_use]
    pub fn with(self, pages: Pages) -> Reports {
        Reports { pages, ..self }
    }

    /// Whether a page or metrics of a fleet are wanted.
    pub fn has_pages(&self) -> bool {
        self.pages.files().next().is_some()
    }

    /// The form that goes to stdout.
    pub fn on_stdout(&self) -> Format {
        on_stdout(&self.forms)
    }

    /// Whether stdout gets text, so that a person may be shown and asked things as the run goes.
    pub fn is_text(&self) -> bool {
        self.on_stdout() == Format::Text
    }

    /// The formats of all forms.
    pub fn formats(&self) -> impl Iterator<Item = Format> {
        self.forms.iter().map(|form| form.format)
    }

    /// The files that are going to be written.
    pub fn files(&self) -> Vec<Written<'_>> {
        let forms = self.forms.iter().filter_map(|form| Some(("--output", form.file.as_deref()?)));
        forms.chain(self.pages.files()).collect()
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
    pub fn note(&mut self, diagnostics: &[Diagnostic], source: &Arc<Source>) {
        self.source = Some(source.clone());
        self.diagnostics.extend(diagnostics.iter().map(|one| Said {
            diagnostic: one.clone(),
            // Of another file only the place is known where the problem begins.
            end: one.span.as_ref().map(|span| match one.file == source.file {
                true => source.line_and_column(span.end),
                false => (span.line, span.column),
            }),
        }));
    }

    /// Where the manifest says what a failure is about: its key, or the part of the failed step.
    pub fn place(&self, cause: &Cause, step: Option<&Step>) -> Option<Position> {
        let source = self.source.as_deref()?;
        match cause.place {
            "" => Some(position_of_resource(source, &step?.address)),
            key => Some(position_at(source, key)),
        }
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
        let report = Report {
            command: self.command,
            file: std::mem::take(&mut self.file),
            diagnostics: std::mem::take(&mut self.diagnostics),
            places: text.map_or_else(BTreeMap::new, |(source, manifest)| content.places(&source, &manifest)),
            content,
            explained: self.explained.take(),
        };
        self.codes.extend(report.codes());
        report
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

/// What a command over a fleet found.
pub enum FleetContent {
    /// All manifests are valid: the fleet file, and the same in one sentence.
    Valid(String, String),
    Read(Box<FleetReport>),
    Standing(Box<FleetStatus>),
    /// A rollout went as far as it could.
    Rolled(Box<Settled>),
}

/// As [`publish`], for a fleet.
pub fn publish_fleet(shell: &mut Shell, content: FleetContent) -> Result<()> {
    shell.reports.written = true;
    let scrub = shell.scrub.clone();
    let hide = |text: &str| scrub.scrub(text);
    let door = Door(&hide);
    let form = |format: Format, paint: Paint| match (&content, format) {
        (FleetContent::Valid(file, _), Format::Json) => scrub.document(&serde_json::json!({
            "format": 1, "validate": { "file": file, "valid": true, "unknown": [] }, "diagnostics": [],
        })),
        (FleetContent::Valid(_, text), _) => format!("{text}\n"),
        (FleetContent::Rolled(settled), Format::Json) => scrub.document(&settled.json()),
        (FleetContent::Rolled(settled), Format::Markdown) => {
            forms::markdown(&settled.state, settled.waits.as_ref(), door)
        }
        (FleetContent::Rolled(settled), Format::Junit) => forms::junit(&settled.state, door),
        (FleetContent::Rolled(settled), _) => settled.text(paint),
        (FleetContent::Standing(status), Format::Json) => scrub.document(&status.json()),
        (FleetContent::Standing(status), Format::Markdown) => status.markdown(door),
        (FleetContent::Standing(status), Format::Junit) => status.junit(door),
        (FleetContent::Standing(status), _) => status.text(paint),
        (FleetContent::Read(report), Format::Json) => scrub.document(&report.json()),
        (FleetContent::Read(report), Format::Markdown) => report.markdown(door),
        (FleetContent::Read(report), Format::Junit) => report.junit(door),
        (FleetContent::Read(report), _) => report.text(paint),
    };
    let format = shell.reports.on_stdout();
    let text = form(format, Paint(shell.say.out_color()));
    match format {
        Format::Text => shell.say.out_line(text.strip_suffix('\n').unwrap_or(&text)),
        _ => shell.say.out_form(&text),
    }
    let mut result = Ok(());
    for one in &shell.reports.forms {
        let Some(path) = one.file.as_ref().filter(|_| shell.reports.admitted) else { continue };
        let text = match one.format {
            Format::Text => plain(&scrub.scrub(&form(Format::Text, Paint(false)))),
            format => form(format, Paint(false)),
        };
        if let Err(error) = files::write_atomic(path, text.as_bytes()) {
            result = result.and(Err(error.into()));
        }
    }
    result.and(publish_pages(shell, &content))
}

/// Writes the page and the metrics of a fleet. A rollout writes them as it goes, too.
pub fn publish_pages(shell: &Shell, content: &FleetContent) -> Result<()> {
    let Pages { report, metrics: file } = &shell.reports.pages;
    let hide = |text: &str| shell.scrub.scrub(text);
    let (door, now_ms) = (Door(&hide), Clock::start().now_ms());
    let mut result = Ok(());
    let mut write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| {
        let Some(path) = path.as_ref().filter(|_| shell.reports.admitted) else { return };
        if let Err(error) = files::write_atomic(path, text().as_bytes()) {
            result = std::mem::replace(&mut result, Ok(())).and(Err(error.into()));
        }
    };
    match content {
        FleetContent::Valid(..) | FleetContent::Standing(_) => {}
        FleetContent::Read(read) => {
            write(report, &|| page::of_reading(read, now_ms, door));
            write(file, &|| metrics::of_reading(read, now_ms, door));
        }
        FleetContent::Rolled(settled) => {
            let Settled { state, exit, waits, .. } = &**settled;
            write(report, &|| page::of_rollout(state, waits.as_ref(), now_ms, door));
            write(file, &|| metrics::of_rollout(state, *exit, now_ms, door));
        }
    }
    result
}

/// Writes the error of a command that ended without a result, if nothing was written yet.
pub fn publish_error(shell: &mut Shell, exit: u8, error: &Error) {
    if shell.reports.written {
        return;
    }
    let failure = failed(exit, error, shell.reports.source.as_deref());
    if let Err(error) = publish(shell, Content::Failed(failure)) {
        shell.say.err_line(&error);
    }
}

/// As [`publish_error`], for an error before the command line is known. Of the words of a wrong command line nobody can
/// tell which files it reads, so a file is made and none is replaced.
pub fn early_error(say: &mut Say, words: &[String], exit: u8, error: &Error) {
    let behind = words.iter().zip(words.iter().skip(1)).filter(|(word, _)| *word == "--output");
    let joined = words.iter().filter_map(|word| word.strip_prefix("--output="));
    let texts = behind.map(|(_, text)| text.as_str()).chain(joined);
    let forms: Vec<Form> = texts.filter_map(|text| form(text).ok()).collect();
    let report =
        Reports::new("lockstep", Path::new(""), &forms).report(Content::Failed(failed(exit, error, None)));
    let scrub = Scrub::default();
    match on_stdout(&forms) {
        Format::Text => {}
        format => say.out_form(&written(format, &report, &scrub)),
    }
    for form in &forms {
        let Some(path) = form.file.as_ref().filter(|path| !path.exists()) else { continue };
        if let Err(error) = files::write_atomic(path, written(form.format, &report, &scrub).as_bytes()) {
            say.err_line(Error::from(error));
        }
    }
}

fn failed(exit: u8, error: &Error, source: Option<&Source>) -> Failure {
    let Cause { code, help, place, request_id } = error.cause.clone();
    let place = source.filter(|_| !place.is_empty()).map(|source| position_at(source, place));
    Failure { exit, code, message: error.message.clone(), help, request_id, place }
}

/// Tells the user an error that ends the command.
pub fn tell(shell: &mut Shell, error: &Error) {
    let failure = failed(error.exit() as u8, error, shell.reports.source.as_deref());
    shell.say.err_line(told_failure(&failure));
}

/// Names, on a terminal, the command that explains the codes of this run.
pub fn lead_on(shell: &mut Shell) {
    let codes: Vec<String> = shell.reports.codes.iter().map(Code::to_string).collect();
    if shell.say.terminals().stderr && !codes.is_empty() {
        shell.say.err_line(format!("more: lockstep explain {}", codes.join(" ")));
    }
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

/// The code of a command that stops without a message of its own.
pub fn code(exit: Exit) -> Code {
    match exit {
        Exit::Stale => codes::STALE,
        Exit::LeaseHeld => codes::LEASE_HELD,
        _ => codes::MANIFEST_UNUSABLE,
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

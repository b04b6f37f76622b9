//! Where the records of a rollout are kept, and under which key.

use std::path::PathBuf;

use super::super::args::ConnectArgs;
use super::super::error::{Error, Result};
use crate::engine::apply::timestamp;
use crate::fleet::record::Record;
use crate::fleet::rollout::{Cause, Event, Halt, State};
use crate::model::secret::{Origin, Secret};
use crate::model::text::line;
use crate::shell::http::HttpOptions;
use crate::shell::proxy::ProxySettings;
use crate::shell::record_place::Place;
use crate::shell::records::{RecordProblem, Records};
use crate::shell::{Scrub, files, secrets};

/// Largest file of a key.
const KEY_LIMIT_BYTES: u64 = 64 * 1024;
/// Shortest key, in bytes.
const KEY_MIN_BYTES: usize = 16;
/// Results of tenants that wait at most before a record is written: half a request for each tenant is enough.
const WAITING_MAX: usize = 4;

/// Interval between two looks for a halt, and the longest wait of a run without records, in ms.
const LOOK_MS: u64 = 10_000;
const WAIT_MS: u64 = 60_000;

/// Reads the place of records.
pub fn place(text: &str) -> Result<Place, String> {
    Place::parse(text)
}

/// Where the key of the records is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Env(String),
    File(PathBuf),
}

/// Reads `env:NAME` or `file:PATH`.
pub fn key(text: &str) -> Result<Key, String> {
    match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
        (Some(name), _) if !name.is_empty() => Ok(Key::Env(name.to_owned())),
        (_, Some(path)) if !path.is_empty() => Ok(Key::File(path.into())),
        _ => Err("it is not env:NAME or file:PATH".into()),
    }
}

impl Key {
    fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = match self {
            Key::Env(name) => std::env::var(name)
                .map_err(|_| Error::usage(format!("--record-key: the variable {name} is not set")))?
                .into_bytes(),
            Key::File(path) => files::read_bounded(path, KEY_LIMIT_BYTES)
                .map_err(|problem| Error::usage(format!("--record-key {}: {problem}", path.display())))?,
        };
        match bytes.len() >= KEY_MIN_BYTES {
            true => Ok(bytes),
            false => Err(Error::usage(format!("the key of --record-key has fewer than {KEY_MIN_BYTES} bytes"))
                .help("draw one, for example with `openssl rand -hex 32`, and keep it where only those read it who may roll out")),
        }
    }
}

/// The records of a rollout, in a place or only in memory.
#[derive(Default)]
pub struct Log {
    records: Option<Records>,
    /// Events that are not written yet.
    waiting: Vec<Event>,
    /// A record could not be written: what is in flight ends without further ones.
    over: bool,
    /// The last record that was there before this run.
    pub found: Option<Record>,
    /// When this run last looked for a halt while tenants were applied.
    looked_ms: u64,
}

/// The error of records that cannot be used.
pub fn problem(problem: RecordProblem) -> Error {
    let text = problem.to_string();
    match problem {
        RecordProblem::Forged(_) | RecordProblem::Broken(_) => Error::manifest(format!(
            "{text}; nothing goes on"
        ))
        .help("look at who can write there; to begin anew, move the records away and name another key"),
        RecordProblem::Lost(_) => Error::lease_held(format!("{text}, so this one stops"))
            .help("only one run at a time goes on with a rollout; look with `lockstep rollout status`"),
        RecordProblem::Away(_) => Error::remote(text)
            .help("mend the way to the store, then run the same command again: it goes on where this one stopped"),
        RecordProblem::Overwrites(_) => Error::manifest(format!("{text}; nothing goes on")).help(
            "two runs could overwrite each other there: name another --record, or a version of the store that answers \
             `If-None-Match: *` with 412",
        ),
        RecordProblem::Io(_) => {
            Error::internal(text).help("make the place of --record readable and writable")
        }
    }
}

impl Log {
    /// Opens the records of a fleet and reads the last one.
    pub fn open(
        place: Option<&Place>,
        key: Option<&Key>,
        fleet: &str,
        connect: &ConnectArgs,
        scrub: &Scrub,
    ) -> Result<Log> {
        let (Some(place), Some(key)) = (place, key) else {
            return Ok(Log::default());
        };
        for value in place.credentials() {
            scrub.learn(&Secret::new(value, Origin::Person));
        }
        let options = HttpOptions {
            proxy: ProxySettings::of_this_process(),
            ca_file: connect.ca_file.clone(),
            ..HttpOptions::default()
        };
        let store = place.open(fleet, &options).map_err(self::problem)?;
        let run = format!("{:016x}", secrets::seed()?);
        Log::of(Records::open(store, &key.bytes()?, run))
    }

    /// The records of a fleet, of which the last one is read.
    pub fn of(mut records: Records) -> Result<Log> {
        let found = records.load().map_err(self::problem)?;
        Ok(Log { records: Some(records), found, ..Log::default() })
    }

    /// The name of this run; no other has it.
    pub fn run(&self) -> &str {
        self.records.as_ref().map_or("", Records::run)
    }

    /// Writes one event at once. False: a run wrote at the same time, so the last record has to be read again.
    pub fn write(&mut self, event: Event, state: &State, by: &str, at_ms: u64) -> Result<bool> {
        let Some(records) = &mut self.records else { return Ok(true) };
        match records.append(at_ms, by, vec![event], state.clone()) {
            Ok(()) => Ok(true),
            Err(RecordProblem::Lost(_)) => Ok(false),
            Err(other) => Err(problem(other)),
        }
    }

    /// As [`Log::write`], for many events, and with the reason why nothing can be written.
    pub fn put(
        &mut self,
        events: Vec<Event>,
        state: &State,
        by: &str,
        at_ms: u64,
    ) -> std::result::Result<bool, RecordProblem> {
        let Some(records) = &mut self.records else { return Ok(true) };
        match records.append(at_ms, by, events, state.clone()) {
            Ok(()) => Ok(true),
            Err(RecordProblem::Lost(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The last record, if there is one behind that which was last read or written here. `lost`: it is known that there is.
    pub fn newer(&mut self, lost: bool) -> std::result::Result<Option<Record>, RecordProblem> {
        let Some(records) = &mut self.records else { return Ok(None) };
        match lost || records.has_newer()? {
            true => records.load(),
            false => Ok(None),
        }
    }

    /// Keeps the first event of a rollout until something follows.
    pub fn begin(&mut self, event: Event) {
        self.waiting.push(event);
    }

    /// The events that are not written yet, for somebody else to write.
    pub fn take_waiting(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.waiting)
    }

    /// Keeps an event, and writes those that wait where it cannot be done without. Returns the halt of a person who wrote
    /// in the meantime.
    pub fn add(&mut self, event: Event, state: &State, by: &str, at_ms: u64) -> Result<Option<Halt>> {
        let is_quiet = matches!(&event, Event::Tenant { progress, .. } if progress.why.is_empty());
        let is_reading = matches!(&event, Event::Read { .. });
        self.waiting.push(event);
        match (is_quiet || is_reading) && self.waiting.len() < WAITING_MAX {
            true => Ok(None),
            false => self.flush(state, by, at_ms),
        }
    }

    /// Writes what waits. If a person has halted the rollout in the meantime, what waits is written behind that.
    pub fn flush(&mut self, state: &State, by: &str, at_ms: u64) -> Result<Option<Halt>> {
        if self.over {
            return Ok(None);
        }
        let written = self.written(state, by, at_ms);
        self.over = written.is_err();
        written
    }

    fn written(&mut self, state: &State, by: &str, at_ms: u64) -> Result<Option<Halt>> {
        let events = std::mem::take(&mut self.waiting);
        let Some(records) = self.records.as_mut().filter(|_| !events.is_empty()) else { return Ok(None) };
        match records.append(at_ms, by, events.clone(), state.clone()) {
            Ok(()) => Ok(None),
            Err(RecordProblem::Lost(name)) => {
                let halt = self.look()?.ok_or_else(|| problem(RecordProblem::Lost(name)))?;
                let state = State { halt: Some(halt.clone()), ..state.clone() };
                let Some(records) = self.records.as_mut() else { return Ok(None) };
                records.append(at_ms, by, events, state).map_err(problem)?;
                Ok(Some(halt))
            }
            Err(other) => Err(problem(other)),
        }
    }

    /// Whether a person has halted the rollout since this run last wrote or looked.
    pub fn look(&mut self) -> Result<Option<Halt>> {
        let Some(records) = &mut self.records else { return Ok(None) };
        if !records.has_newer().map_err(problem)? {
            return Ok(None);
        }
        let Some(record) = records.load().map_err(problem)? else { return Ok(None) };
        let whose = format!("{} ({}, at {})", record.number, line(&record.by), timestamp(record.at_ms));
        match record.state.halt.filter(|halt| halt.cause == Cause::Person) {
            Some(halt) => Ok(Some(halt)),
            None => {
                self.over = true;
                Err(problem(RecordProblem::Lost(whose)))
            }
        }
    }

    /// As [`Log::look`], if the last time is long enough ago.
    pub fn look_again(&mut self, now_ms: u64) -> Result<Option<Halt>> {
        if now_ms < self.looked_ms.saturating_add(LOOK_MS) {
            return Ok(None);
        }
        self.looked_ms = now_ms;
        self.look()
    }

    /// How often a run that waits looks for a halt, in ms.
    pub fn look_ms(&self) -> u64 {
        if self.records.is_some() { LOOK_MS } else { WAIT_MS }
    }
}

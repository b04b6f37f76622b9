//! The records of a rollout: numbered texts that are written once and never changed, in a folder or an object store.
//!
//! A record carries the state so far, the digest of the one before, and a code under a key that only those have who may
//! roll out. Two runs that write the same number cannot both succeed; the one that loses reads what the other wrote. A
//! write whose reply is lost is settled in the same way: by reading.

use std::path::PathBuf;

use super::files::{self, FileProblem};
use super::http::HttpOptions;
use crate::engine::apply::timestamp;
use crate::fleet::record::{Key, Record, sha256};
use crate::fleet::rollout::{Event, State};

/// Largest record; one of ten thousand tenants has some two megabytes.
pub const RECORD_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Why the records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    #[error("the record {0} was written by somebody without the key, or was changed or cut since")]
    Forged(String),
    #[error("the record {0} does not follow the one before it")]
    Broken(String),
    /// Another run goes on with the rollout.
    #[error("another run has written the record {0} in the meantime")]
    Lost(String),
    #[error("the records cannot be read or written: {0}")]
    Io(String),
    /// An object store did not answer, or refused.
    #[error("the store of the records cannot be used: {0}")]
    Away(String),
    #[error(
        "the store let the record {0} be written a second time, so it does not keep the condition of a write that makes something new"
    )]
    Overwrites(String),
}

/// What became of a write that only makes something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Written,
    /// There is a record of that number, which stays as it is.
    Exists,
}

/// A place for the records of one rollout after the other. It has no update, no removal and no lock.
pub trait Store: Send {
    /// Number of the last record; 0: there is none.
    ///
    /// # Errors
    /// `Io` or `Away`: it cannot be read.
    fn newest(&self) -> Result<u64, RecordProblem>;

    /// The bytes of a record; `None`: there is none of that number.
    ///
    /// # Errors
    /// `Io` or `Away`: it cannot be read.
    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, RecordProblem>;

    /// Writes a record unless there is one of that number.
    ///
    /// # Errors
    /// `Io` or `Away`: it may be written, or not.
    fn put_if_absent(&self, number: u64, bytes: &[u8]) -> Result<Put, RecordProblem>;

    /// What a person calls a record.
    fn name(&self, number: u64) -> String;
}

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    Bucket { vendor: Vendor, name: String, prefix: String },
}

/// Whose object store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    S3,
    Azure,
}

impl Vendor {
    /// The beginning of an address.
    pub fn scheme(self) -> &'static str {
        match self {
            Vendor::S3 => "s3://",
            Vendor::Azure => "az://",
        }
    }
}

impl Place {
    /// Reads `file:FOLDER`, `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    ///
    /// # Errors
    /// The text is none of these, or this program was built without object stores.
    pub fn parse(text: &str) -> Result<Place, String> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Place::Folder(path.into()));
        }
        if text.starts_with("gs://") {
            return Err("Google's store is not supported; use file:FOLDER, s3://BUCKET/PREFIX or \
                        az://CONTAINER/PREFIX"
                .to_owned());
        }
        for vendor in [Vendor::S3, Vendor::Azure] {
            let Some(rest) = text.strip_prefix(vendor.scheme()) else { continue };
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            let is_plain = |part: &str| {
                let fits = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
                !part.is_empty() && part.chars().all(fits) && !part.chars().all(|ch| ch == '.')
            };
            if !is_plain(name) || !(prefix.is_empty() || prefix.split('/').all(is_plain)) {
                return Err(format!(
                    "it is not {}NAME/PREFIX with letters, digits, -, _ and . between the slashes",
                    vendor.scheme()
                ));
            }
            if !cfg!(feature = "object_store") {
                return Err("this program was built without object stores; build it with \
                            `cargo build --release --features object_store`"
                    .to_owned());
            }
            return Ok(Place::Bucket { vendor, name: name.to_owned(), prefix: prefix.to_owned() });
        }
        Err("it is not file:FOLDER, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX".to_owned())
    }

    /// The values of the variables that a store's credentials are read from. No text may repeat them.
    pub fn credentials(&self) -> Vec<String> {
        let start = match self {
            Place::Folder(_) => return Vec::new(),
            Place::Bucket { vendor: Vendor::S3, .. } => "AWS_",
            Place::Bucket { vendor: Vendor::Azure, .. } => "AZURE_",
        };
        let is_secret = |name: &str| {
            name.starts_with(start)
                && ["SECRET", "TOKEN", "KEY", "SAS"].iter().any(|part| name.contains(part))
                && !["_FILE", "_ID", "_URI", "_URL", "_ENABLED"].iter().any(|end| name.ends_with(end))
        };
        let named = std::env::vars_os();
        let named =
            named.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        named.filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect()
    }

    /// The records of a fleet in this place.
    ///
    /// # Errors
    /// The folder cannot be made, or nothing says how to reach the store.
    pub fn open(&self, fleet: &str, options: &HttpOptions) -> Result<Box<dyn Store>, RecordProblem> {
        match self {
            Place::Folder(folder) => Ok(Box::new(Folder::open(folder.join(fleet))?)),
            #[cfg(feature = "object_store")]
            Place::Bucket { vendor, name, prefix } => {
                Ok(Box::new(super::bucket::Bucket::open(*vendor, name, prefix, fleet, options)?))
            }
            #[cfg(not(feature = "object_store"))]
            Place::Bucket { .. } => {
                let _ = options;
                Err(RecordProblem::Io("this program was built without object stores".to_owned()))
            }
        }
    }
}

/// A folder of files `00000001.json`, `00000002.json` and so on.
pub struct Folder(PathBuf);

impl Folder {
    /// A folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf) -> Result<Folder, RecordProblem> {
        std::fs::create_dir_all(&folder).map_err(|error| RecordProblem::Io(error.to_string()))?;
        Ok(Folder(folder))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:08}.json"))
    }

    fn problem(&self, number: u64, problem: &FileProblem) -> RecordProblem {
        RecordProblem::Io(format!("{}: {problem}", self.name(number)))
    }
}

impl Store for Folder {
    fn newest(&self) -> Result<u64, RecordProblem> {
        let listed = std::fs::read_dir(&self.0).map_err(|error| RecordProblem::Io(error.to_string()))?;
        let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let numbers = names.filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, RecordProblem> {
        match files::read_bounded(&self.path(number), RECORD_LIMIT_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FileProblem::NotFound) => Ok(None),
            Err(problem) => Err(self.problem(number, &problem)),
        }
    }

    fn put_if_absent(&self, number: u64, bytes: &[u8]) -> Result<Put, RecordProblem> {
        match files::create_atomic(&self.path(number), bytes) {
            Ok(()) => Ok(Put::Written),
            Err(FileProblem::Exists) => Ok(Put::Exists),
            Err(problem) => Err(self.problem(number, &problem)),
        }
    }

    fn name(&self, number: u64) -> String {
        self.path(number).display().to_string()
    }
}

/// The records of one fleet in a place.
pub struct Records {
    store: Box<dyn Store>,
    key: Key,
    /// Tells this run from every other.
    run: String,
    /// Number and digest of the last record.
    last: Option<(u64, String)>,
    /// The place has shown that a record cannot be written twice.
    keeps: bool,
}

impl Records {
    /// The records in a place. `run` is drawn anew for each run: without it two runs could write the same bytes, and each
    /// would take the record for its own.
    pub fn open(store: Box<dyn Store>, key: &[u8], run: String) -> Records {
        Records { store, key: Key::new(key), run, last: None, keeps: false }
    }

    /// The last record, and the one before it as a check of the chain. `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or it does not verify.
    pub fn load(&mut self) -> Result<Option<Record>, RecordProblem> {
        let newest = self.store.newest()?;
        if newest == 0 {
            self.last = None;
            return Ok(None);
        }
        let (record, bytes) = self.read(newest)?;
        if newest > 1 {
            let (_, before) = self.read(newest - 1)?;
            if sha256(&before) != record.previous {
                return Err(RecordProblem::Broken(self.store.name(newest)));
            }
        }
        self.last = Some((newest, sha256(&bytes)));
        Ok(Some(record))
    }

    /// Whether there is a record behind the last one that was read or written here.
    ///
    /// # Errors
    /// The place cannot be read.
    pub fn has_newer(&self) -> Result<bool, RecordProblem> {
        Ok(self.store.read(self.next())?.is_some())
    }

    fn next(&self) -> u64 {
        self.last.as_ref().map_or(0, |(number, _)| *number) + 1
    }

    fn read(&self, number: u64) -> Result<(Record, Vec<u8>), RecordProblem> {
        let name = || self.store.name(number);
        // The one before the last may be gone; then nothing says that the last is in its place.
        let bytes = self.store.read(number)?.ok_or_else(|| RecordProblem::Broken(name()))?;
        match Record::open(&bytes, number, &self.key) {
            Some(record) => Ok((record, bytes)),
            None => Err(RecordProblem::Forged(name())),
        }
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// Another run has written that number, or it cannot be written.
    pub fn append(
        &mut self,
        at_ms: u64,
        by: &str,
        events: Vec<Event>,
        state: State,
    ) -> Result<(), RecordProblem> {
        let number = self.next();
        let previous = self.last.as_ref().map(|(_, digest)| digest.clone()).unwrap_or_default();
        let run = self.run.clone();
        let record = Record { number, at_ms, by: by.to_owned(), run, previous, events, state };
        let bytes = record.seal(&self.key).map_err(|error| RecordProblem::Io(error.to_string()))?;
        self.settled(number, &bytes)?;
        // Once in a run: what was written cannot be written again.
        if !self.keeps && self.store.put_if_absent(number, &bytes)? == Put::Written {
            return Err(RecordProblem::Overwrites(self.store.name(number)));
        }
        self.keeps = true;
        self.last = Some((number, sha256(&bytes)));
        Ok(())
    }

    /// Writes a record; what came of it is read where a reply does not say it.
    fn settled(&self, number: u64, bytes: &[u8]) -> Result<(), RecordProblem> {
        for is_last in [false, true] {
            let put = self.store.put_if_absent(number, bytes);
            if matches!(put, Ok(Put::Written)) {
                return Ok(());
            }
            match (self.store.read(number)?, put) {
                (Some(found), _) if found == bytes => return Ok(()),
                (Some(found), _) => return Err(self.lost(number, &found)),
                (None, Err(problem)) if is_last => return Err(problem),
                (None, _) => {}
            }
        }
        let name = self.store.name(number);
        Err(RecordProblem::Io(format!("{name} is said to be there, and cannot be read")))
    }

    /// Who has written a record, if it was somebody with the key.
    fn lost(&self, number: u64, bytes: &[u8]) -> RecordProblem {
        let name = self.store.name(number);
        match Record::open(bytes, number, &self.key) {
            Some(other) => {
                RecordProblem::Lost(format!("{name} ({}, at {})", other.by, timestamp(other.at_ms)))
            }
            None => RecordProblem::Forged(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::shell::test_support::TestFolder;

    static RUNS: AtomicU64 = AtomicU64::new(0);

    fn open(folder: &TestFolder, key: &str) -> Records {
        let store = Folder::open(folder.path().join("acme")).expect("folder");
        let run = RUNS.fetch_add(1, Ordering::Relaxed).to_string();
        Records::open(Box::new(store), key.as_bytes(), run)
    }

    fn append(records: &mut Records, at_ms: u64) -> Result<(), RecordProblem> {
        records.append(at_ms, "me", vec![Event::Ended], State { began_ms: at_ms, ..State::default() })
    }

    #[test]
    fn what_was_written_is_read_by_those_with_the_key() {
        let folder = TestFolder::new();
        let mut records = open(&folder, "key");
        assert!(records.load().expect("empty").is_none());
        for at_ms in [1, 2, 3] {
            append(&mut records, at_ms).expect("written");
        }
        let last = open(&folder, "key").load().expect("verifies").expect("there");
        assert_eq!((last.number, last.state.began_ms, last.by.as_str()), (3, 3, "me"));
        assert!(matches!(open(&folder, "other").load(), Err(RecordProblem::Forged(_))));
    }

    #[test]
    fn two_runs_cannot_both_write_a_number() {
        let folder = TestFolder::new();
        let (mut one, mut two) = (open(&folder, "key"), open(&folder, "key"));
        append(&mut one, 1).expect("the first");
        assert!(matches!(append(&mut two, 2), Err(RecordProblem::Lost(_))));
        two.load().expect("reads");
        append(&mut two, 3).expect("the next");
        assert!(matches!(append(&mut one, 4), Err(RecordProblem::Lost(_))));
    }

    #[test]
    fn a_changed_cut_or_moved_record_is_named() {
        let folder = TestFolder::new();
        let mut records = open(&folder, "key");
        append(&mut records, 1).expect("written");
        append(&mut records, 2).expect("written");
        let path = folder.path().join("acme/00000002.json");
        let text = std::fs::read_to_string(&path).expect("there");
        for damaged in [text.replace("\"me\"", "\"you\""), text[..text.len() / 2].to_owned(), String::new()] {
            std::fs::write(&path, damaged).expect("written");
            assert!(
                matches!(open(&folder, "key").load(), Err(RecordProblem::Forged(name)) if name.ends_with("00000002.json"))
            );
        }
        std::fs::copy(folder.path().join("acme/00000001.json"), &path).expect("copied");
        assert!(matches!(open(&folder, "key").load(), Err(RecordProblem::Forged(_))));
        // A rollout of another time, with the same key, in place of the one before.
        std::fs::write(&path, &text).expect("back");
        let other = TestFolder::new();
        append(&mut open(&other, "key"), 9).expect("written");
        std::fs::copy(other.path().join("acme/00000001.json"), folder.path().join("acme/00000001.json"))
            .expect("copied");
        assert!(matches!(open(&folder, "key").load(), Err(RecordProblem::Broken(_))));
    }
}

//! The records of a rollout in a folder: numbered files that are written once and never changed.
//!
//! A record carries the state so far, the digest of the one before, and a code under a key that only those have who may
//! roll out. Two runs that write the same number cannot both succeed; the one that loses reads what the other wrote.

use std::path::PathBuf;

use super::files::{self, FileProblem};
use crate::fleet::record::{Key, Record, sha256};
use crate::fleet::rollout::{Event, State};

/// Largest record; one of ten thousand tenants has some two megabytes.
const RECORD_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Why the records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    #[error("the record {0} was written by somebody without the key, or was changed or cut since")]
    Forged(String),
    #[error("the record {0} does not follow the one before it")]
    Broken(String),
    #[error("another run has written the record {0} in the meantime")]
    Lost(String),
    #[error("the records cannot be read or written: {0}")]
    Io(String),
}

/// Where records lie: numbered texts that are written once and never changed.
pub trait Shelf {
    /// What a person calls the record of that number.
    fn name(&self, number: u64) -> String;

    /// Number of the last record; 0: there is none.
    ///
    /// # Errors
    /// The place cannot be read.
    fn newest(&self) -> Result<u64, String>;

    /// The bytes of a record.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, number: u64) -> Result<Vec<u8>, String>;

    /// Writes a record, unless there is one of that number: then the answer is false.
    ///
    /// # Errors
    /// It cannot be written, or nobody knows whether it was.
    fn create(&self, number: u64, bytes: &[u8]) -> Result<bool, String>;
}

/// A folder of this machine.
struct Folder(PathBuf);

impl Folder {
    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:08}.json"))
    }
}

impl Shelf for Folder {
    fn name(&self, number: u64) -> String {
        self.path(number).display().to_string()
    }

    fn newest(&self) -> Result<u64, String> {
        let listed = std::fs::read_dir(&self.0).map_err(|error| error.to_string())?;
        let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let numbers = names.filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    fn read(&self, number: u64) -> Result<Vec<u8>, String> {
        files::read_bounded(&self.path(number), RECORD_LIMIT_BYTES).map_err(|problem| problem.to_string())
    }

    fn create(&self, number: u64, bytes: &[u8]) -> Result<bool, String> {
        match files::create_atomic(&self.path(number), bytes) {
            Ok(()) => Ok(true),
            Err(FileProblem::Exists) => Ok(false),
            Err(problem) => Err(problem.to_string()),
        }
    }
}

/// The records of one fleet.
pub struct Records {
    shelf: Box<dyn Shelf>,
    key: Key,
    /// Number and digest of the last record.
    last: Option<(u64, String)>,
}

impl Records {
    /// The records of a fleet below a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf, key: &[u8]) -> Result<Records, RecordProblem> {
        std::fs::create_dir_all(&folder).map_err(|error| RecordProblem::Io(error.to_string()))?;
        Ok(Records::on(Box::new(Folder(folder)), key))
    }

    /// The records on a shelf.
    pub fn on(shelf: Box<dyn Shelf>, key: &[u8]) -> Records {
        Records { shelf, key: Key::new(key), last: None }
    }

    fn name(&self, number: u64) -> String {
        self.shelf.name(number)
    }

    fn newest(&self) -> Result<u64, RecordProblem> {
        self.shelf.newest().map_err(RecordProblem::Io)
    }

    /// The last record, and the one before it as a check of the chain. `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read, or it does not verify.
    pub fn load(&mut self) -> Result<Option<Record>, RecordProblem> {
        let newest = self.newest()?;
        if newest == 0 {
            self.last = None;
            return Ok(None);
        }
        let (record, bytes) = self.read(newest)?;
        if newest > 1 {
            let (_, before) = self.read(newest - 1)?;
            if sha256(&before) != record.previous {
                return Err(RecordProblem::Broken(self.name(newest)));
            }
        }
        self.last = Some((newest, sha256(&bytes)));
        Ok(Some(record))
    }

    /// Whether there is a record behind the last one that was read or written here.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn has_newer(&self) -> Result<bool, RecordProblem> {
        let known = self.last.as_ref().map_or(0, |(number, _)| *number);
        Ok(self.newest()? > known)
    }

    fn read(&self, number: u64) -> Result<(Record, Vec<u8>), RecordProblem> {
        let bytes = self
            .shelf
            .read(number)
            .map_err(|problem| RecordProblem::Io(format!("{}: {problem}", self.name(number))))?;
        match Record::open(&bytes, number, &self.key) {
            Some(record) => Ok((record, bytes)),
            None => Err(RecordProblem::Forged(self.name(number))),
        }
    }

    /// Writes the next record. A reply that is lost is settled by reading: the record is ours or somebody else's.
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
        let (number, previous) = match &self.last {
            Some((number, digest)) => (number + 1, digest.clone()),
            None => (1, String::new()),
        };
        let record = Record { number, at_ms, by: by.to_owned(), previous, events, state };
        let bytes = record.seal(&self.key).map_err(|error| RecordProblem::Io(error.to_string()))?;
        match self.shelf.create(number, &bytes) {
            Ok(true) => {
                self.last = Some((number, sha256(&bytes)));
                Ok(())
            }
            Ok(false) => Err(RecordProblem::Lost(self.name(number))),
            Err(problem) => Err(RecordProblem::Io(format!("{}: {problem}", self.name(number)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::TestFolder;

    fn open(folder: &TestFolder, key: &str) -> Records {
        Records::open(folder.path().join("acme"), key.as_bytes()).expect("folder")
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

//! The records of a rollout: numbered texts that are written once and never changed, in a folder or an object store.
//!
//! A record carries the state so far, the digest of the one before, and a code under a key that only those have who may
//! roll out. Two runs that write the same number cannot both succeed; the one that loses reads what the other wrote. A
//! write whose reply is lost is settled in the same way: by reading.

use std::path::PathBuf;
use std::time::Duration;

use super::files::{self, FileProblem};
use crate::engine::apply::timestamp;
use crate::fleet::record::{Key, Record, sha256};
use crate::fleet::rollout::{Event, State};
use crate::model::text::line;

/// Largest record; one of ten thousand tenants has some two megabytes.
pub const RECORD_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Between two tries of a write of which nothing is to be seen.
const PAUSE: Duration = Duration::from_millis(200);

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

    /// What tells this run from every other.
    pub fn run(&self) -> &str {
        &self.run
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
            // The one before may be known from the last time.
            let before = match self.last.take().filter(|(number, _)| *number == newest - 1) {
                Some((_, digest)) => digest,
                None => sha256(&self.read(newest - 1)?.1),
            };
            if before != record.previous {
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
        // What was written cannot be written again: one answer to that is enough in a run.
        if !self.keeps {
            match self.store.put_if_absent(number, &bytes) {
                Ok(Put::Written) => return Err(RecordProblem::Overwrites(self.store.name(number))),
                Ok(Put::Exists) => self.keeps = true,
                // No answer: the next record asks again.
                Err(_) => {}
            }
        }
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
                // Two that write at the same time may both be refused, for a moment.
                (None, _) => std::thread::sleep(PAUSE),
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
                RecordProblem::Lost(format!("{name} ({}, at {})", line(&other.by), timestamp(other.at_ms)))
            }
            None => RecordProblem::Forged(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

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

    /// Nobody can tell that the newest record was deleted. One before it is missed.
    #[test]
    fn a_deleted_record_is_missed_or_leaves_the_state_before_it() {
        let folder = TestFolder::new();
        let mut records = open(&folder, "key");
        for at_ms in [1, 2, 3] {
            append(&mut records, at_ms).expect("written");
        }
        let path = |number: u64| folder.path().join(format!("acme/{number:08}.json"));
        let newest = std::fs::read(path(3)).expect("there");
        std::fs::remove_file(path(3)).expect("there");
        let last = open(&folder, "key").load().expect("verifies").expect("there");
        assert_eq!((last.number, last.state.began_ms), (2, 2));
        std::fs::write(path(3), newest).expect("back");
        std::fs::remove_file(path(2)).expect("there");
        assert!(matches!(open(&folder, "key").load(), Err(RecordProblem::Broken(_))));
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Does {
        Right,
        /// It writes, and says that it does not know.
        LosesReplies,
        /// It does not write, and says that it does not know.
        IsAway,
        /// It writes over what is there.
        Overwrites,
    }

    /// A place in memory that counts the calls and misbehaves on purpose.
    #[derive(Clone)]
    struct Memory {
        does: Does,
        kept: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
        calls: Arc<AtomicU64>,
    }

    impl Memory {
        fn new(does: Does) -> Memory {
            Memory { does, kept: Arc::default(), calls: Arc::default() }
        }

        fn records(&self, run: &str) -> Records {
            Records::open(Box::new(self.clone()), b"key", run.to_owned())
        }

        fn called(&self) -> u64 {
            self.calls.swap(0, Ordering::Relaxed)
        }
    }

    impl Store for Memory {
        fn newest(&self) -> Result<u64, RecordProblem> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            Ok(self.kept.lock().expect("no panic").keys().next_back().copied().unwrap_or(0))
        }

        fn read(&self, number: u64) -> Result<Option<Vec<u8>>, RecordProblem> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            Ok(self.kept.lock().expect("no panic").get(&number).cloned())
        }

        fn put_if_absent(&self, number: u64, bytes: &[u8]) -> Result<Put, RecordProblem> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let mut kept = self.kept.lock().expect("no panic");
            if self.does != Does::IsAway && (self.does == Does::Overwrites || !kept.contains_key(&number)) {
                kept.insert(number, bytes.to_vec());
                if self.does != Does::LosesReplies {
                    return Ok(Put::Written);
                }
            } else if self.does == Does::Right {
                return Ok(Put::Exists);
            }
            Err(RecordProblem::Away("no reply".to_owned()))
        }

        fn name(&self, number: u64) -> String {
            format!("memory:{number}")
        }
    }

    #[test]
    fn a_lost_reply_is_settled_by_reading_and_a_lost_race_names_who_won() {
        let memory = Memory::new(Does::LosesReplies);
        let mut one = memory.records("one");
        append(&mut one, 1).expect("it is there, so it is ours");
        append(&mut one, 2).expect("it is there, so it is ours");
        // The same person at the same time writes the same, but for the run.
        let mut two = memory.records("two");
        let lost = append(&mut two, 1).expect_err("the other run was first").to_string();
        assert!(lost.contains("memory:1 (me, at 1970-01-01T00:00:00"), "{lost}");
        assert_eq!(memory.kept.lock().expect("no panic").len(), 2);
        let mut nobody = Memory::new(Does::IsAway).records("one");
        assert!(matches!(append(&mut nobody, 1), Err(RecordProblem::Away(_))));
    }

    #[test]
    fn a_place_that_writes_over_a_record_is_found_out_by_the_first_one() {
        let memory = Memory::new(Does::Overwrites);
        let found = append(&mut memory.records("one"), 1);
        assert!(matches!(found, Err(RecordProblem::Overwrites(name)) if name == "memory:1"));
    }

    #[test]
    fn calls_are_few() {
        let memory = Memory::new(Does::Right);
        let mut records = memory.records("one");
        records.load().expect("empty");
        assert_eq!(memory.called(), 1);
        append(&mut records, 1).expect("written");
        assert_eq!(memory.called(), 2, "the first of a run is tried twice");
        append(&mut records, 2).expect("written");
        assert_eq!(memory.called(), 1);
        assert!(!records.has_newer().expect("reads"));
        assert_eq!(memory.called(), 1);
        memory.records("two").load().expect("reads");
        assert_eq!(memory.called(), 3);
    }
}

//! One record of a rollout, as bytes: its text, and a code over it under a key that only those have who may roll out.

use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rollout::{Event, State};
use crate::model::random::hex;

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1.
    pub number: u64,
    pub at_ms: u64,
    /// Who wrote it.
    pub by: String,
    /// Tells the run that wrote it from every other.
    pub run: String,
    /// SHA-256 of the bytes of the record before, in hexadecimal digits; empty for the first.
    pub previous: String,
    pub events: Vec<Event>,
    /// The state after the events.
    pub state: State,
}

/// The bytes of a record.
#[derive(Serialize, Deserialize)]
struct Sealed {
    record: Json,
    /// HMAC-SHA256 of the text of `record`, in hexadecimal digits.
    code: String,
}

/// The key of the records of a rollout.
#[derive(Debug)]
pub struct Key(hmac::Key);

impl Key {
    pub fn new(bytes: &[u8]) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

/// SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

impl Record {
    /// The bytes of the record, sealed with the key.
    ///
    /// # Errors
    /// It is no JSON, which is a bug of this program.
    pub fn seal(&self, key: &Key) -> Result<Vec<u8>, serde_json::Error> {
        let record = serde_json::to_value(self)?;
        let code = hex(hmac::sign(&key.0, record.to_string().as_bytes()).as_ref());
        serde_json::to_vec(&Sealed { record, code })
    }

    /// The record of that number. `None`: the bytes were not sealed with the key, or they are another record.
    pub fn open(bytes: &[u8], number: u64, key: &Key) -> Option<Record> {
        let sealed: Sealed = serde_json::from_slice(bytes).ok()?;
        hmac::verify(&key.0, sealed.record.to_string().as_bytes(), &unhex(&sealed.code)?).ok()?;
        let record: Record = serde_json::from_value(sealed.record).ok()?;
        // A record that was copied to another number says the number that it had.
        (record.number == number).then_some(record)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digit).collect()
}

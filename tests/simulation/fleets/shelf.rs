//! The shelf of records, in memory: puts that fail, puts of which the reply is lost, and kills around a put.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use lockstep::shell::records::{Put as Became, RecordProblem, Store};

use super::field::{Field, Kill, Put, Shelved, die};
use super::turns::lock;

/// The way of one process to the records.
pub struct Shelves {
    pub field: Arc<Mutex<Field>>,
    pub who: usize,
    pub kill: Option<Kill>,
    pub puts: Cell<usize>,
}

impl Store for Shelves {
    fn name(&self, number: u64) -> String {
        format!("record {number}")
    }

    fn newest(&self) -> Result<u64, RecordProblem> {
        Ok(lock(&self.field).puts.len() as u64)
    }

    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, RecordProblem> {
        let at = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        Ok(lock(&self.field).puts.get(at).map(|put| put.bytes.clone()))
    }

    fn put_if_absent(&self, number: u64, bytes: &[u8]) -> Result<Became, RecordProblem> {
        self.puts.set(self.puts.get() + 1);
        let at = |before| Some(Kill::Put(self.puts.get(), before));
        if self.kill == at(true) {
            die(&self.field, "killed before a put", self.who);
        }
        let result = put(&mut lock(&self.field), self.who, number, bytes);
        if self.kill == at(false) {
            die(&self.field, "killed after a put", self.who);
        }
        result
    }
}

fn put(field: &mut Field, who: usize, number: u64, bytes: &[u8]) -> Result<Became, RecordProblem> {
    let turn = field.shelved.keys().next().copied();
    let trouble = turn.filter(|turn| *turn <= field.puts.len()).and_then(|turn| field.shelved.remove(&turn));
    if trouble == Some(Shelved::Refused) {
        field.count("a put fails", who);
        return Err(RecordProblem::Away("the store does not answer".into()));
    }
    if let Some(found) = field.puts.get(number as usize - 1) {
        if found.bytes != bytes {
            field.count("a race for a record is lost", who);
        }
        return Ok(Became::Exists);
    }
    let put = Put { at_ms: field.now_ms, who, mark: field.log.len(), bytes: bytes.to_vec() };
    field.puts.push(put);
    field.say(&format!("P{who} writes record {number}"));
    if trouble == Some(Shelved::ReplyLost) {
        field.count("the reply to a put is lost", who);
        return Err(RecordProblem::Away("the store gave no answer".into()));
    }
    Ok(Became::Written)
}

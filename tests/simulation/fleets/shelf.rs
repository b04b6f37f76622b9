//! The shelf of records, in memory: puts that fail, puts of which the reply is lost, and kills around a put.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use lockstep::shell::records::Shelf;

use super::field::{Field, Kill, Put, Shelved, die};
use super::turns::lock;

/// The way of one process to the records.
pub struct Shelves {
    pub field: Arc<Mutex<Field>>,
    pub who: usize,
    pub kill: Option<Kill>,
    pub puts: Cell<usize>,
}

impl Shelf for Shelves {
    fn name(&self, number: u64) -> String {
        format!("record {number}")
    }

    fn newest(&self) -> Result<u64, String> {
        Ok(lock(&self.field).puts.len() as u64)
    }

    fn read(&self, number: u64) -> Result<Vec<u8>, String> {
        let at = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        lock(&self.field).puts.get(at).map(|put| put.bytes.clone()).ok_or_else(|| "there is none".into())
    }

    fn create(&self, number: u64, bytes: &[u8]) -> Result<bool, String> {
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

fn put(field: &mut Field, who: usize, number: u64, bytes: &[u8]) -> Result<bool, String> {
    let turn = field.shelved.keys().next().copied();
    let trouble = turn.filter(|turn| *turn <= field.puts.len()).and_then(|turn| field.shelved.remove(&turn));
    if trouble == Some(Shelved::Refused) {
        field.count("a put fails", who);
        return Err("the store does not answer".into());
    }
    if number <= field.puts.len() as u64 {
        field.count("a race for a record is lost", who);
        return Ok(false);
    }
    let put = Put { at_ms: field.now_ms, who, mark: field.log.len(), bytes: bytes.to_vec() };
    field.puts.push(put);
    field.say(&format!("P{who} writes record {number}"));
    if trouble == Some(Shelved::ReplyLost) {
        field.count("the reply to a put is lost", who);
        return Err("the store gave no answer".into());
    }
    Ok(true)
}

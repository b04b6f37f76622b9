//! Many processes on one clock: each runs in a thread of its own, and only the one whose time is the earliest runs.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A lock that a killed process does not spoil.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose turn it is.
pub struct Turns {
    /// The time of each process that has not ended.
    at_ms: Mutex<BTreeMap<usize, u64>>,
    moved: Condvar,
}

impl Turns {
    /// The processes with the times at which they start.
    pub fn new(starts: impl Iterator<Item = (usize, u64)>) -> Turns {
        Turns { at_ms: Mutex::new(starts.collect()), moved: Condvar::new() }
    }

    /// Holds a process until nobody else has an earlier time.
    pub fn wait(&self, who: usize, now_ms: u64) {
        let mut at_ms = lock(&self.at_ms);
        at_ms.insert(who, now_ms);
        self.moved.notify_all();
        let is_first = |at_ms: &BTreeMap<usize, u64>| {
            at_ms.iter().min_by_key(|(number, at)| (**at, **number)).is_none_or(|(number, _)| *number == who)
        };
        while !is_first(&at_ms) {
            at_ms = self.moved.wait(at_ms).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn end(&self, who: usize) {
        lock(&self.at_ms).remove(&who);
        self.moved.notify_all();
    }
}

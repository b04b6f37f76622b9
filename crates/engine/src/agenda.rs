//! What the engine has to look at in a turn, so that a turn costs what is ready and not what there is: with a thousand
//! tenants, nearly all of it waits.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallId, TaskId, TenantId};

/// A gate before which calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gate {
    /// Token and pacing of a tenant.
    Tenant(TenantId),
    /// Concurrency of a Twilio account, by its position.
    Account(usize),
}

/// What becomes due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A task sleeps until then.
    Task(TaskId),
    /// A call is not sent again before then.
    Call(CallId),
    /// A gate may open.
    Gate(Gate),
    /// A call is on the wire for so long that the user is told.
    Silent(CallId),
}

/// What is ready, what waits for a gate, and what waits for a time.
#[derive(Default)]
pub(super) struct Agenda {
    /// Tasks to poll.
    pub tasks: BTreeSet<TaskId>,
    /// Waiting calls to look at.
    pub calls: BTreeSet<CallId>,
    /// Waiting writes that need the lease. They are looked at in every turn, because only the time takes the lease away.
    pub fenced: BTreeSet<CallId>,
    /// Gates to which something happened.
    pub touched: BTreeSet<Gate>,
    /// Calls that were found waiting for their gate since the user was last told of waits.
    pub held: BTreeSet<CallId>,
    /// Calls of which the user may have to be told that they are not answered.
    pub silent: BTreeSet<CallId>,
    parked: BTreeMap<Gate, BTreeSet<CallId>>,
    alarms: BTreeSet<(u64, Alarm)>,
    gate_alarms: BTreeMap<Gate, u64>,
    /// How many tasks and calls were looked at, and how many alarms went off.
    pub work: u64,
}

impl Agenda {
    /// Moves what is due to what is ready.
    pub fn fall_due(&mut self, now_ms: u64) {
        while let Some((_, alarm)) = self.alarms.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.alarms.pop_first();
            self.work += 1;
            match alarm {
                Alarm::Task(id) => drop(self.tasks.insert(id)),
                Alarm::Call(id) => drop(self.calls.insert(id)),
                Alarm::Silent(id) => drop(self.silent.insert(id)),
                Alarm::Gate(gate) => {
                    self.gate_alarms.remove(&gate);
                    self.touched.insert(gate);
                }
            }
        }
    }

    /// The earliest time at which something becomes due.
    pub fn next(&self) -> Option<u64> {
        self.alarms.first().map(|(at_ms, _)| *at_ms)
    }

    pub fn set(&mut self, at_ms: u64, alarm: Alarm) {
        self.alarms.insert((at_ms, alarm));
    }

    pub fn clear(&mut self, at_ms: u64, alarm: Alarm) {
        self.alarms.remove(&(at_ms, alarm));
    }

    /// Sets when a gate may open; `None`: time alone does not open it.
    pub fn set_gate(&mut self, gate: Gate, at_ms: Option<u64>) {
        if let Some(former_ms) = self.gate_alarms.remove(&gate) {
            self.clear(former_ms, Alarm::Gate(gate));
        }
        if let Some(at_ms) = at_ms {
            self.gate_alarms.insert(gate, at_ms);
            self.set(at_ms, Alarm::Gate(gate));
        }
    }

    /// How many calls wait for a Twilio account.
    pub fn parked_for_accounts(&self) -> usize {
        self.parked.range(Gate::Account(0)..).map(|(_, calls)| calls.len()).sum()
    }

    /// Lets a call wait until something happens to its gate.
    pub fn park(&mut self, gate: Gate, id: CallId) {
        self.parked.entry(gate).or_default().insert(id);
        self.touched.insert(gate);
        self.held.insert(id);
    }

    /// Lets the oldest calls that wait for a gate be looked at, at most so many.
    pub fn wake(&mut self, gate: Gate, most: usize) {
        let Some(parked) = self.parked.get_mut(&gate) else { return };
        for _ in 0..most {
            let Some(id) = parked.pop_first() else { break };
            self.calls.insert(id);
        }
        if parked.is_empty() {
            self.parked.remove(&gate);
        }
    }

    /// The calls that wait for a gate, oldest first.
    pub fn parked(&self, gate: Gate) -> impl Iterator<Item = CallId> + '_ {
        self.parked.get(&gate).into_iter().flatten().copied()
    }

    /// Something happened to every gate.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.parked.keys().copied());
    }

    /// Forgets a call that no longer waits.
    pub fn forget(&mut self, gate: Gate, id: CallId) {
        self.calls.remove(&id);
        self.fenced.remove(&id);
        self.held.remove(&id);
        if let Some(parked) = self.parked.get_mut(&gate) {
            parked.remove(&id);
            if parked.is_empty() {
                self.parked.remove(&gate);
            }
        }
    }
}

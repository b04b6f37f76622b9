//! Stops a run before its work is done, at an interrupt or at the deadline, and says in words what a run waits for.
//!
//! Once a run is stopped, nothing new starts. Reads are given up at once, a write on its way may still be answered, and
//! each call that puts the record or the lease in order has [`URGENT_MS`].

use super::agenda::Alarm;
use super::gate::{self, TOLD_FROM_MS};
use super::pace::LOOK_MS;
use super::{Engine, Flight, FlightState, reply};
use crate::model::call::{Api, Failed};
use crate::model::event::Event;

/// Longest pause that a server may ask for where the run has no deadline of its own.
const PATIENCE_MS: u64 = 15 * 60 * 1000;
/// Once the run is stopped, each call for the record or the lease has this long: a few refills of the smallest plan,
/// and short enough for a person who pressed Ctrl-C.
pub(super) const URGENT_MS: u64 = 10 * 1000;

/// How a run was ended.
pub(super) struct Halt {
    pub(super) at_ms: u64,
    /// What the run waited for at its deadline, in words; `None`: the user interrupted it.
    late: Option<String>,
}

/// The work that an event names, in words; `None` for an event that names none.
pub(super) fn at_work(event: &Event) -> Option<String> {
    match event {
        Event::StepStarted { address, what, .. } => Some(format!("{address}: {what}")),
        Event::Polling { address, state } => Some(format!("{address}: {state}")),
        Event::Notice { text } => Some(text.clone()),
        Event::Watched { .. } => Some("the tenant log".to_owned()),
        Event::RunStarted { .. }
        | Event::Request { .. }
        | Event::Holding { .. }
        | Event::PlanStarted
        | Event::PlanMade { .. }
        | Event::Lease { .. }
        | Event::Record { .. }
        | Event::StepDone { .. }
        | Event::StepFailed { .. }
        | Event::RunEnded { .. } => None,
    }
}

impl Engine {
    /// Sets the time (ms since the Unix epoch) from which nothing new starts, as after an interrupt.
    pub fn set_deadline(&mut self, at_ms: u64) {
        self.deadline_ms = Some(at_ms);
    }

    /// What the run waited for when its deadline came, in words; `None` while it has not come.
    pub fn late(&self) -> Option<&str> {
        self.halted.as_ref().and_then(|halt| halt.late.as_deref())
    }

    /// Longest pause that the run has time for, in ms; once it is stopped, that a call for the record or lease has.
    pub(super) fn patience_ms(&self) -> u64 {
        if self.halted.is_some() {
            return URGENT_MS;
        }
        self.deadline_ms.map_or(PATIENCE_MS, |at_ms| at_ms.saturating_sub(self.now_ms))
    }

    pub(super) fn keep_deadline(&mut self) {
        if self.halted.is_none() && self.deadline_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            let waits = self.waits();
            self.halt(Some(waits));
        }
    }

    /// Ends the run: see the module's text.
    pub(super) fn halt(&mut self, late: Option<String>) {
        if self.halted.is_some() {
            return;
        }
        self.halted = Some(Halt { at_ms: self.now_ms, late });
        self.agenda.tasks.extend(self.tasks.keys());
        self.agenda.touch_all();
        let given_up = |flight: &Flight| !flight.urgent() && (flight.waits() || !flight.is_write());
        let ids: Vec<u64> = self.flights.iter().filter(|(_, f)| given_up(f)).map(|(id, _)| *id).collect();
        for id in ids {
            let tried = self.flights.get(&id).is_some_and(|f| f.attempts > 0 && f.is_write());
            self.abandon(
                id,
                if tried {
                    Failed::Unknown("stopped before the request was sent again".into())
                } else {
                    Failed::Stopped
                },
            );
        }
        self.tell_halt();
    }

    /// Tells the user at once what a stopped run still waits for.
    fn tell_halt(&mut self) {
        let Some(tenant) = self.tasks.values().map(|task| task.tenant).next() else { return };
        let begun = self.tasks.values().any(|task| !task.at.is_empty());
        let on_its_way = self.flights.values().any(|flight| !flight.abandoned && flight.is_write());
        let waits = match (on_its_way, begun) {
            (true, _) => {
                format!("waiting for {}, then the record and the lease are put in order", self.waits())
            }
            (false, true) => "no write is on its way; the record and the lease are put in order".to_owned(),
            (false, false) => "no write is on its way, and none is begun".to_owned(),
        };
        let text = format!("stopping: {waits}; a second signal ends the run at once");
        self.tell(tenant, Event::notice(text));
    }

    /// Once the run is stopped, gives up calls for which there is no more time.
    pub(super) fn give_up_late(&mut self) -> bool {
        if self.halted.is_none() {
            return false;
        }
        let now = self.now_ms;
        let late = |flight: &Flight| self.urgent_until(flight).is_some_and(|until| until <= now);
        let ids: Vec<u64> = self.flights.iter().filter(|(_, f)| late(f)).map(|(id, _)| *id).collect();
        for id in &ids {
            let tried = self.flights.get(id).is_some_and(|f| f.attempts > 0);
            let text = format!("given up {} s after the run was stopped", URGENT_MS / 1000);
            self.abandon(*id, if tried { Failed::Unknown(text) } else { Failed::NotDone(text) });
        }
        !ids.is_empty()
    }

    /// Time until which a stopped run waits for a call; `None` where something else bounds the wait.
    fn urgent_until(&self, flight: &Flight) -> Option<u64> {
        let halt = self.halted.as_ref()?;
        // The wait for a request that was on its way at the stop is bounded by the time that any request may take.
        let counts = !flight.abandoned && (flight.waits() || flight.born_ms >= halt.at_ms);
        counts.then(|| flight.born_ms.max(halt.at_ms) + URGENT_MS)
    }

    /// Tells the task that the call is over. One on the wire still counts for the gates until its answer comes.
    fn abandon(&mut self, id: u64, failed: Failed) {
        let Some(flight) = self.flights.get_mut(&id).filter(|flight| !flight.abandoned) else { return };
        if flight.waits() {
            return self.finish(id, Err(failed));
        }
        flight.abandoned = true;
        let (task, port_id) = (flight.task, flight.port_id);
        self.agenda.clear(flight.sent_ms + TOLD_FROM_MS, Alarm::Silent(id));
        if let Some(known) = self.tasks.get(&task) {
            known.port.deliver(port_id, Err(failed));
            self.agenda.tasks.insert(task);
        }
    }

    /// The failure of a call whose server asked for a longer pause than the run has time for.
    pub(super) fn held_too_long(&self, flight: &Flight) -> Option<Failed> {
        let tenant = &self.tenants[flight.tenant];
        let until_ms = match flight.api() {
            Api::Auth0 => tenant.held_until_ms(),
            _ => self.accounts[tenant.account].held_until_ms(),
        };
        (until_ms.saturating_sub(self.now_ms) > self.patience_ms()).then(|| {
            let host = reply::host(&tenant.connection, flight.api());
            let until = gate::clock_time(tenant.server_time(until_ms).map_or(until_ms, |(at, _)| at));
            Failed::Limited(gate::limited_words(&format!("{host} takes no requests now"), &until))
        })
    }

    /// Tells the user once of each long wait.
    pub(super) fn tell_waits(&mut self) -> bool {
        let now = self.now_ms;
        let mut events = Vec::new();
        for id in std::mem::take(&mut self.agenda.held) {
            let Some(flight) = self.flights.get(&id).filter(|flight| flight.waits()) else { continue };
            let Some(at_ms) = self.gate_time(flight).filter(|at_ms| *at_ms >= now + TOLD_FROM_MS) else {
                continue;
            };
            let tenant = &mut self.tenants[flight.tenant];
            let host = reply::host(&tenant.connection, flight.api());
            let account = &mut self.accounts[tenant.account];
            let told = match flight.api() {
                Api::Auth0 => &mut tenant.told_until_ms,
                _ => &mut account.told_until_ms,
            };
            if *told + LOOK_MS < at_ms {
                *told = at_ms;
                let why = "its rate limit leaves no request before then".to_owned();
                events.push((flight.tenant, Event::Holding { host, ms: at_ms - now, why }));
            }
        }
        for id in std::mem::take(&mut self.agenda.silent) {
            let Some(flight) = self.flights.get_mut(&id).filter(|flight| flight.is_silent()) else {
                continue;
            };
            flight.told_silent = true;
            let host = reply::host(&self.tenants[flight.tenant].connection, flight.api());
            let (method, path) = reply::line(&flight.call);
            let path = reply::without_query(path);
            let text = format!("still waiting for {host} to answer {} {path}", method.as_str());
            events.push((flight.tenant, Event::notice(text)));
        }
        let told = !events.is_empty();
        events.into_iter().for_each(|(tenant, event)| self.tell(tenant, event));
        told
    }

    /// Times of the deadline, and of the next call to give up or place to report.
    pub(super) fn next_halt(&self) -> impl Iterator<Item = u64> {
        let deadline = self.deadline_ms.filter(|_| self.halted.is_none() && !self.tasks.is_empty());
        // Few calls are left once the run is stopped.
        let left = self.halted.as_ref().map(|_| self.flights.values());
        let urgent = left.and_then(|left| left.filter_map(|flight| self.urgent_until(flight)).min());
        [deadline, urgent, self.next_place()].into_iter().flatten()
    }

    /// What the run waits for, in words.
    fn waits(&self) -> String {
        if let Some(tenant) = self.tokens.values().next() {
            return format!("an access token from {}", self.tenants[*tenant].connection.domain);
        }
        let at = self.tasks.values().find(|task| !task.at.is_empty()).map(|task| task.at.as_str());
        let Some(flight) = self.flights.values().find(|flight| !flight.abandoned) else {
            return self
                .awaited_place()
                .or(at.map(str::to_owned))
                .unwrap_or("something that Lockstep cannot name".into());
        };
        let (method, path) = reply::line(&flight.call);
        let host = reply::host(&self.tenants[flight.tenant].connection, flight.api());
        let line = format!("{} https://{host}{}", method.as_str(), reply::without_query(path));
        let tenant = &self.tenants[flight.tenant];
        let no_token = flight.api() == Api::Auth0 && tenant.needs_token(self.now_ms);
        let what = match flight.waits() {
            true if no_token => format!("an access token from {}", tenant.connection.domain),
            true => format!("a turn to send {line}"),
            false => format!("the answer to {line}"),
        };
        at.map_or_else(|| what.clone(), |at| format!("{what} ({at})"))
    }
}

impl Flight {
    fn waits(&self) -> bool {
        self.state == FlightState::Waiting
    }

    /// Whether it is on the wire, and nobody was told how long.
    fn is_silent(&self) -> bool {
        !self.waits() && !self.told_silent && !self.abandoned
    }

    fn is_write(&self) -> bool {
        matches!(self.call, crate::port::Call::Write(..))
    }
}

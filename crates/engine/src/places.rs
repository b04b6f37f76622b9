//! Calls to the places of records. They are passed on at once: no gate holds them back, and none is repeated.

use super::gate::TOLD_FROM_MS;
use super::halt::URGENT_MS;
use super::{CallId, Engine, Output, TaskId};
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::model::place::{Place, PlaceCall, PlaceReply};

/// A call that is not answered yet.
pub(super) struct Asked {
    task: TaskId,
    port_id: u64,
    place: Place,
    writes: bool,
    since_ms: u64,
    /// The user was told that the call is not answered yet.
    told: bool,
}

impl Engine {
    /// Passes on the calls of a task to places.
    pub(super) fn ask_places(&mut self, task: TaskId, calls: Vec<(u64, Place, PlaceCall)>) {
        for (port_id, place, call) in calls {
            let writes = call != PlaceCall::Load;
            let asked =
                Asked { task, port_id, place: place.clone(), writes, since_ms: self.now_ms, told: false };
            let id = self.fresh_id();
            self.asked.insert(id, asked);
            self.outputs.push_back(Output::Place(id, place, call));
        }
    }

    /// Hands a place's answer to the task that waits for it, if it still does.
    pub(super) fn place_answer(&mut self, id: CallId, reply: Result<PlaceReply, Failed>) {
        if let Some(asked) = self.asked.remove(&id)
            && let Some(task) = self.tasks.get(&asked.task)
        {
            task.port.deliver_place(asked.port_id, reply);
            self.agenda.tasks.insert(asked.task);
        }
    }

    /// Once the run is stopped, gives up calls that are not answered in time.
    pub(super) fn give_up_places(&mut self) -> bool {
        let now = self.now_ms;
        let late = |asked: &Asked| self.place_until(asked).is_some_and(|until| until <= now);
        let late: Vec<(CallId, bool)> = self
            .asked
            .iter()
            .filter(|(_, asked)| late(asked))
            .map(|(id, asked)| (*id, asked.writes))
            .collect();
        for (id, writes) in &late {
            let text = format!("given up {} s after the run was stopped", URGENT_MS / 1000);
            self.place_answer(*id, Err(if *writes { Failed::Unknown(text) } else { Failed::Stopped }));
        }
        !late.is_empty()
    }

    /// Tells the user once of each long wait.
    pub(super) fn tell_places(&mut self) -> bool {
        let now = self.now_ms;
        let late = |asked: &&mut Asked| !asked.told && asked.since_ms + TOLD_FROM_MS <= now;
        let mut events = Vec::new();
        for asked in self.asked.values_mut().filter(late) {
            asked.told = true;
            events.push((asked.task, format!("still waiting for the ledger file {}", asked.place.0)));
        }
        let told = !events.is_empty();
        for (task, text) in events {
            if let Some(tenant) = self.tasks.get(&task).map(|task| task.tenant) {
                self.tell(tenant, Event::notice(text));
            }
        }
        told
    }

    /// The next time at which a call is reported as waiting, or given up.
    pub(super) fn next_place(&self) -> Option<u64> {
        let told = |asked: &Asked| (!asked.told).then_some(asked.since_ms + TOLD_FROM_MS);
        self.asked.values().flat_map(|asked| [told(asked), self.place_until(asked)]).flatten().min()
    }

    fn place_until(&self, asked: &Asked) -> Option<u64> {
        self.halted.as_ref().map(|halt| asked.since_ms.max(halt.at_ms) + URGENT_MS)
    }

    /// The place that is waited for, in words.
    pub(super) fn awaited_place(&self) -> Option<String> {
        self.asked.values().next().map(|asked| format!("the ledger file {}", asked.place.0))
    }
}

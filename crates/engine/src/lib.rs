//! The engine: a state machine that runs tasks against the two APIs and has no clock, socket or randomness of its own.
//!
//! The contract, from outside:
//! 1. `connect` a tenant, `spawn` tasks for it.
//! 2. Call `poll_output` until it answers `WaitUntil`, `Idle` or `Done`.
//! 3. Carry out each `Send` and each `Place`, and hand its answer to `handle_input`; show each `Event`.
//! 4. On `WaitUntil(ms)`, wait for an answer or until that time, then call `handle_input` (`Tick` if nothing came).
//! 5. `Done` comes once for each task; its result is where the task put it.
//!
//! One gate per tenant and one per Twilio account (`gate`) stand between a task and `Send`. They hold the access
//! tokens, pace the requests and repeat them.

mod agenda;
pub mod apply;
pub mod connection;
pub mod doctor;
pub mod gate;
mod halt;
mod intent;
mod last_run;
pub mod lease;
pub mod observe;
mod outcome;
mod pace;
mod permission;
mod places;
pub mod promote;
pub mod reconcile;
pub mod reply;
pub mod rollback;
pub mod smoke;
pub mod store;
pub mod told;
pub mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

// So that their paths are `crate::model::…` in this crate too.
use lockstep_core::{builtin, diag, health, kinds, ledger, model, plan, port};

use crate::model::api::{Answer, ApiRequest};
use crate::model::call::{Api, Failed, LEASE_LOST, Repeat};
use crate::model::event::{Event, Told};
use crate::model::place::{Place, PlaceCall, PlaceReply};
use crate::model::random::Random;
use crate::model::scrub::Scrubber;
use crate::port::{Call, Port, Writes};

use agenda::{Agenda, Alarm, Gate};
pub use connection::{Connection, Grant, TwilioAuth};
use gate::{AccountGate, Attempt, TenantGate, Verdict};
use halt::Halt;
use places::Asked;

/// Names one request on its way.
pub type CallId = u64;
/// Names one tenant of the engine.
pub type TenantId = usize;
/// Names one task of the engine.
pub type TaskId = u64;

/// What the outside tells the engine.
#[derive(Debug)]
pub enum Input {
    /// The outcome of a request.
    Answer(CallId, Answer),
    /// The answer of the place of a record.
    Placed(CallId, PlaceReply),
    /// Time has passed.
    Tick,
    /// The user asked to stop: what is in flight ends, nothing new starts.
    Interrupt,
}

/// What the engine asks of the outside.
#[derive(Debug)]
pub enum Output {
    /// Send this request and answer with the same id.
    Send(CallId, ApiRequest),
    /// Ask this of the place of a record and answer with the same id.
    Place(CallId, Place, PlaceCall),
    /// Nothing to do before this time (ms since the Unix epoch), unless an answer comes.
    WaitUntil(u64),
    /// Nothing to do before an answer comes.
    Idle,
    /// Progress to show.
    Event(Told),
    /// A task has ended.
    Done(TaskId),
}

struct Task {
    tenant: TenantId,
    port: Port,
    future: Pin<Box<dyn Future<Output = ()>>>,
    alarm: Option<u64>,
    /// The latest work that the task told of, for messages about a wait.
    at: String,
}

/// A call between the task and the wire.
struct Flight {
    task: TaskId,
    tenant: TenantId,
    gate: Gate,
    port_id: u64,
    call: Call,
    attempts: u32,
    /// Attempts that were answered with a status of success and an empty body.
    empty: u32,
    born_ms: u64,
    sent_ms: u64,
    /// Time at which the first attempt left; `None` before that.
    tried_from_ms: Option<u64>,
    not_before_ms: u64,
    state: FlightState,
    /// The task no longer waits for the answer; the gates still count the request.
    abandoned: bool,
    /// The user was told that this attempt is not answered yet.
    told_silent: bool,
    reauthorized: bool,
    /// An attempt of this write may have taken effect.
    unsure: bool,
}

#[derive(PartialEq)]
enum FlightState {
    Waiting,
    InFlight,
}

/// The engine; see the module's text for the contract.
pub struct Engine {
    tenants: Vec<TenantGate>,
    accounts: Vec<AccountGate>,
    /// Positions of the accounts, by SID.
    account_at: BTreeMap<String, usize>,
    tasks: BTreeMap<TaskId, Task>,
    flights: BTreeMap<CallId, Flight>,
    agenda: Agenda,
    /// Token requests in flight, by call.
    tokens: BTreeMap<CallId, TenantId>,
    /// Calls to places of records that are not answered yet.
    asked: BTreeMap<CallId, Asked>,
    outputs: VecDeque<Output>,
    next_id: u64,
    now_ms: u64,
    /// Time from which nothing new starts, in ms since the Unix epoch.
    deadline_ms: Option<u64>,
    halted: Option<Halt>,
    random: Random,
}

impl Engine {
    /// An engine at a time, with a seed for jitter.
    pub fn new(now_ms: u64, seed: u64) -> Engine {
        Engine {
            tenants: Vec::new(),
            accounts: Vec::new(),
            account_at: BTreeMap::new(),
            tasks: BTreeMap::new(),
            flights: BTreeMap::new(),
            agenda: Agenda::default(),
            tokens: BTreeMap::new(),
            asked: BTreeMap::new(),
            outputs: VecDeque::new(),
            next_id: 1,
            now_ms,
            deadline_ms: None,
            halted: None,
            random: Random::new(seed),
        }
    }

    /// Adds a tenant with its credentials. Tenants of one Twilio account share its budget.
    pub fn connect(&mut self, connection: Connection) -> TenantId {
        let count = self.accounts.len();
        let account = *self.account_at.entry(connection.account_sid.clone()).or_insert(count);
        if account == count {
            self.accounts.push(AccountGate::default());
        }
        self.tenants.push(TenantGate::new(connection, account));
        self.tenants.len() - 1
    }

    /// Divides the concurrency of an account among so many machines.
    pub fn share_account(&mut self, account_sid: &str, machines: u64) {
        if let Some(at) = self.account_at.get(account_sid) {
            self.accounts[*at].shared_by = machines;
        }
    }

    /// Starts a task; the closure gets its mailbox.
    pub fn spawn<F>(&mut self, tenant: TenantId, task: impl FnOnce(Port) -> F) -> TaskId
    where
        F: Future<Output = ()> + 'static,
    {
        let port = Port::default();
        if let Some(scopes) = self.tenants[tenant].scopes() {
            port.tell_scopes(scopes);
        }
        // The mailbox knows the time before the future is first polled: constructing it may read the clock.
        port.begin_poll(self.now_ms, self.halted.is_some());
        port.tell_server_time(self.tenants[tenant].server_time(self.now_ms));
        let future = Box::pin(task(port.clone()));
        let id = self.fresh_id();
        self.tasks.insert(id, Task { tenant, port, future, alarm: None, at: String::new() });
        self.tenants[tenant].tasks.insert(id);
        self.agenda.tasks.insert(id);
        id
    }

    /// Tells the engine something; `now_ms` never goes back.
    pub fn handle_input(&mut self, input: Input, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        match input {
            Input::Tick => {}
            Input::Interrupt => self.halt(None),
            Input::Placed(id, reply) => self.place_answer(id, Ok(reply)),
            Input::Answer(id, answer) => match self.tokens.remove(&id) {
                Some(tenant) => self.token_answer(tenant, answer),
                None => self.flight_answer(id, answer),
            },
        }
        self.keep_deadline();
    }

    /// The next thing for the outside to do.
    pub fn poll_output(&mut self) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            self.agenda.fall_due(self.now_ms);
            let progressed = self.poll_tasks()
                | self.release()
                | self.give_up_late()
                | self.give_up_places()
                | self.tell_waits()
                | self.tell_places();
            if !progressed && self.outputs.is_empty() {
                return match self.next_time() {
                    // Something is due and did not move: look again after a while, not at once.
                    Some(at) if at <= self.now_ms => Output::WaitUntil(self.now_ms + pace::LOOK_MS),
                    Some(at) => Output::WaitUntil(at),
                    None => Output::Idle,
                };
            }
        }
    }

    /// How many calls wait for their turn at a Twilio account, which many tenants may share.
    pub fn waiting_for_accounts(&self) -> usize {
        self.agenda.parked_for_accounts()
    }

    /// How often the engine looked at a task or a call, or an alarm went off: its work, whatever the machine.
    pub fn work(&self) -> u64 {
        self.agenda.work
    }

    /// Queues an event behind the outputs that wait already.
    fn tell(&mut self, tenant: TenantId, event: Event) {
        self.outputs.push_back(event_output(&self.tenants[tenant], self.now_ms, event));
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn poll_tasks(&mut self) -> bool {
        let now = self.now_ms;
        let ready = std::mem::take(&mut self.agenda.tasks);
        for id in &ready {
            let Some(task) = self.tasks.get_mut(id) else { continue };
            self.agenda.work += 1;
            self.agenda.touched.insert(Gate::Tenant(task.tenant));
            task.port.begin_poll(now, self.halted.is_some());
            task.port.tell_server_time(self.tenants[task.tenant].server_time(now));
            let ended = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            if let Some(former_ms) = std::mem::replace(&mut task.alarm, task.port.next_alarm()) {
                self.agenda.clear(former_ms, Alarm::Task(*id));
            }
            if let Some(at_ms) = task.alarm.filter(|_| !ended) {
                self.agenda.set(at_ms, Alarm::Task(*id));
            }
            let (tenant, calls, events) = (task.tenant, task.port.take_calls(), task.port.take_events());
            let place_calls = task.port.take_place_calls();
            // The time of questions to a person does not count against the deadline.
            let asked_ms = task.port.take_asked_ms();
            self.deadline_ms = self.deadline_ms.map(|at_ms| at_ms.saturating_add(asked_ms));
            if let Some(at) = events.iter().rev().find_map(halt::at_work) {
                task.at = at;
            }
            events.into_iter().for_each(|event| self.tell(tenant, event));
            self.ask_places(*id, place_calls);
            for (port_id, call) in calls {
                let gate = match reply::api(&call) {
                    Api::Auth0 => Gate::Tenant(tenant),
                    _ => Gate::Account(self.tenants[tenant].account),
                };
                let flight = Flight {
                    task: *id,
                    tenant,
                    gate,
                    port_id,
                    call,
                    attempts: 0,
                    empty: 0,
                    born_ms: now,
                    sent_ms: now,
                    tried_from_ms: None,
                    not_before_ms: 0,
                    state: FlightState::Waiting,
                    abandoned: false,
                    told_silent: false,
                    reauthorized: false,
                    unsure: false,
                };
                let call_id = self.fresh_id();
                self.tenants[tenant].calls.insert(call_id);
                self.wait(call_id, gate, flight.is_fenced_write());
                self.flights.insert(call_id, flight);
            }
            if ended {
                self.tasks.remove(id);
                self.tenants[tenant].tasks.remove(id);
                self.outputs.push_back(Output::Done(*id));
            }
        }
        !ready.is_empty()
    }

    /// Lets a call be looked at, after those that wait for its gate already.
    fn wait(&mut self, id: CallId, gate: Gate, is_fenced: bool) {
        self.agenda.calls.insert(id);
        self.agenda.touched.insert(gate);
        if is_fenced {
            self.agenda.fenced.insert(id);
        }
    }

    /// Sends what the gates let through, oldest first.
    fn release(&mut self) -> bool {
        let fenced: Vec<CallId> = self.agenda.fenced.iter().copied().collect();
        let gates = fenced.iter().filter_map(|id| self.flights.get(id)).map(|flight| flight.gate);
        self.agenda.touched.extend(gates);
        self.agenda.calls.extend(fenced);
        let touched = std::mem::take(&mut self.agenda.touched);
        for gate in &touched {
            let most = match gate {
                Gate::Tenant(_) => usize::MAX,
                Gate::Account(at) => self.accounts[*at].lets_through(self.now_ms),
            };
            self.agenda.wake(*gate, most);
        }
        let mut progressed = false;
        while let Some(id) = self.agenda.calls.pop_first() {
            self.agenda.work += 1;
            progressed |= self.release_one(id);
        }
        for gate in touched.into_iter().chain(std::mem::take(&mut self.agenda.touched)) {
            let parked = || self.agenda.parked(gate).filter_map(|id| self.flights.get(&id));
            let at_ms = match gate {
                Gate::Tenant(_) => parked().filter_map(|flight| self.gate_time(flight)).min(),
                Gate::Account(_) => parked().next().and_then(|flight| self.gate_time(flight)),
            };
            // An account that is open still takes the next ones in the next turn.
            if let Gate::Account(at) = gate
                && parked().next().is_some()
                && self.accounts[at].may_send(self.now_ms)
            {
                self.agenda.touched.insert(gate);
                progressed = true;
            }
            self.agenda.set_gate(gate, at_ms);
        }
        progressed
    }

    /// Sends one call, if its gate lets it through. Whether anything came of it.
    fn release_one(&mut self, id: CallId) -> bool {
        let Some(flight) = self.flights.get(&id).filter(|f| f.state == FlightState::Waiting) else {
            return false;
        };
        if flight.not_before_ms > self.now_ms {
            self.agenda.set(flight.not_before_ms, Alarm::Call(id));
            return false;
        }
        let task = self.tasks.get(&flight.task);
        if flight.is_fenced_write() && task.is_some_and(|task| task.port.is_fenced(self.now_ms)) {
            let failed = match flight.unsure {
                true => Failed::Unknown(format!("not repeated: {LEASE_LOST}")),
                false => Failed::LeaseLost,
            };
            self.finish(id, Err(failed));
            return true;
        }
        if let Some(failed) = self.held_too_long(flight) {
            self.finish(id, Err(failed));
            return true;
        }
        let (tenant_id, gate, is_auth0) = (flight.tenant, flight.gate, flight.api() == Api::Auth0);
        let tenant = &mut self.tenants[tenant_id];
        let account = &mut self.accounts[tenant.account];
        if is_auth0 && tenant.needs_token(self.now_ms) {
            let may_ask = tenant.may_ask_token(self.now_ms);
            self.agenda.park(gate, id);
            return may_ask && self.ask_token(tenant_id);
        }
        let bucket = reply::bucket(&flight.call);
        let may_send =
            if is_auth0 { tenant.may_send(bucket, self.now_ms) } else { account.may_send(self.now_ms) };
        if !may_send {
            self.agenda.park(gate, id);
            return false;
        }
        let Some(flight) = self.flights.get_mut(&id) else { return false };
        let request = match reply::request(&tenant.connection, tenant.bearer(), &flight.call) {
            Ok(request) => request,
            Err(cause) => {
                self.finish(id, Err(Failed::NotDone(cause)));
                return true;
            }
        };
        if is_auth0 {
            tenant.sent(bucket)
        } else {
            account.sent()
        }
        flight.attempts += 1;
        flight.sent_ms = self.now_ms;
        flight.tried_from_ms.get_or_insert(self.now_ms);
        flight.told_silent = false;
        flight.state = FlightState::InFlight;
        self.agenda.forget(gate, id);
        self.agenda.set(self.now_ms + gate::TOLD_FROM_MS, Alarm::Silent(id));
        self.outputs.push_back(Output::Send(id, request));
        true
    }

    /// Asks for a token. Where none can be asked for, all calls that need one fail.
    fn ask_token(&mut self, tenant_id: TenantId) -> bool {
        let draws = (self.random.next_u64(), self.random.next_u64());
        match self.tenants[tenant_id].token_request(self.now_ms, draws.0, draws.1) {
            Ok(request) => {
                let token_id = self.fresh_id();
                self.tokens.insert(token_id, tenant_id);
                self.outputs.push_back(Output::Send(token_id, request));
            }
            Err(cause) => self.fail_tenant(tenant_id, Failed::NotDone(cause)),
        }
        true
    }

    fn flight_answer(&mut self, id: CallId, answer: Answer) {
        let now = self.now_ms;
        let patience_ms = self.patience_ms();
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let tenant = &mut self.tenants[flight.tenant];
        let account = &mut self.accounts[tenant.account];
        self.agenda.clear(flight.sent_ms + gate::TOLD_FROM_MS, Alarm::Silent(id));
        self.agenda.touched.insert(flight.gate);
        let api = flight.api();
        flight.empty += u32::from(reply::is_empty(&answer));
        let attempt = Attempt {
            call: &flight.call,
            answer: &answer,
            attempts: flight.attempts,
            empty: flight.empty,
            age_ms: now - flight.born_ms,
            tried_ms: now - flight.tried_from_ms.unwrap_or(now),
            patience_ms,
        };
        let verdict = gate::judge(&attempt, &mut self.random, now);
        let mut apart = None;
        if api == Api::Auth0 {
            tenant.answered(&answer, reply::bucket(&flight.call), flight.sent_ms, now);
            apart = tenant.hear_time(&answer, now);
        } else {
            account.answered(&answer, now);
        }
        let (method, path) = reply::line(&flight.call);
        let host = reply::host(&tenant.connection, api);
        let status = match &answer {
            Answer::Reply(reply) => Some(reply.status),
            _ => None,
        };
        let event = Event::Request {
            host: host.clone(),
            method: method.as_str(),
            path: reply::without_query(path).to_owned(),
            status,
            attempt: flight.attempts,
            ms: now - flight.sent_ms,
            request_id: request_id_of(
                &answer,
                &reply::knowing_body(&flight.call, &tenant.connection.scrubber),
            ),
        };
        self.outputs.push_back(event_output(tenant, now, event));
        self.outputs.extend(apart.map(|text| event_output(tenant, now, Event::notice(text))));
        if flight.abandoned {
            tenant.calls.remove(&id);
            self.flights.remove(&id);
            return;
        }
        // The token may have been withdrawn or have expired early: ask for a new one, once per call.
        if api == Api::Auth0 && status == Some(401) && !flight.reauthorized {
            flight.reauthorized = true;
            flight.state = FlightState::Waiting;
            tenant.forget_token();
            let (gate, is_fenced) = (flight.gate, flight.is_fenced_write());
            return self.wait(id, gate, is_fenced);
        }
        match verdict {
            Verdict::Again { after_ms, why } => {
                flight.unsure |= flight.may_have_happened(&answer);
                if self.halted.is_some() && !flight.urgent() {
                    let result = flight.given_up(&answer);
                    self.finish(id, Err(result));
                    return;
                }
                flight.state = FlightState::Waiting;
                flight.not_before_ms = now + after_ms;
                let told_until_ms = match api {
                    Api::Auth0 => &mut tenant.told_until_ms,
                    _ => &mut account.told_until_ms,
                };
                *told_until_ms = (*told_until_ms).max(now + after_ms);
                let (gate, is_fenced) = (flight.gate, flight.is_fenced_write());
                self.outputs.push_back(event_output(tenant, now, Event::Holding { host, ms: after_ms, why }));
                self.wait(id, gate, is_fenced);
            }
            verdict @ (Verdict::Over | Verdict::Limited { .. }) => {
                let scrubber = tenant.connection.scrubber.clone();
                let tries = (flight.attempts, flight.empty);
                let mut result = reply::decode(&flight.call, &host, answer, tries, &scrubber);
                if let (Verdict::Limited { until }, Err(Failed::Refused(refusal))) = (verdict, &mut result) {
                    refusal.message = gate::limited_words(&refusal.message, &until);
                }
                self.finish(id, result);
            }
        }
    }

    fn token_answer(&mut self, tenant_id: TenantId, answer: Answer) {
        let patience_ms = self.patience_ms();
        self.agenda.touched.insert(Gate::Tenant(tenant_id));
        let tenant = &mut self.tenants[tenant_id];
        let status = match &answer {
            Answer::Reply(reply) => Some(reply.status),
            _ => None,
        };
        let event = Event::Request {
            host: tenant.connection.domain.clone(),
            method: "POST",
            path: "/oauth/token".into(),
            status,
            attempt: 1,
            ms: 0,
            request_id: request_id_of(&answer, &tenant.connection.scrubber),
        };
        self.outputs.push_back(event_output(tenant, self.now_ms, event));
        let apart = tenant.hear_time(&answer, self.now_ms);
        self.outputs.extend(apart.map(|text| event_output(tenant, self.now_ms, Event::notice(text))));
        match tenant.token_answer(answer, self.now_ms, patience_ms, &mut self.random) {
            Ok(Some((ms, why))) => {
                tenant.told_until_ms = tenant.told_until_ms.max(self.now_ms + ms);
                let host = tenant.connection.domain.clone();
                self.outputs.push_back(event_output(tenant, self.now_ms, Event::Holding { host, ms, why }));
            }
            Ok(None) => {
                if let Some(scopes) = tenant.scopes() {
                    let mine = tenant.tasks.iter().filter_map(|id| self.tasks.get(id));
                    mine.for_each(|task| task.port.tell_scopes(scopes.clone()));
                }
            }
            Err(failed) => self.fail_tenant(tenant_id, failed),
        }
    }

    /// Fails all waiting Auth0 calls of a tenant with the same cause, when no token is to be had.
    fn fail_tenant(&mut self, tenant: TenantId, failed: Failed) {
        let waits = |id: &CallId| {
            self.flights.get(id).is_some_and(|f| f.api() == Api::Auth0 && f.state == FlightState::Waiting)
        };
        let ids: Vec<CallId> = self.tenants[tenant].calls.iter().copied().filter(waits).collect();
        ids.into_iter().for_each(|id| self.finish(id, Err(failed.clone())));
    }

    fn finish(&mut self, id: CallId, result: Result<serde_json::Value, Failed>) {
        let Some(flight) = self.flights.remove(&id) else { return };
        self.tenants[flight.tenant].calls.remove(&id);
        self.agenda.forget(flight.gate, id);
        self.agenda.clear(flight.not_before_ms, Alarm::Call(id));
        if let Some(task) = self.tasks.get(&flight.task) {
            let result = if flight.unsure { reply::unsure(result) } else { result };
            task.port.deliver(flight.port_id, result);
            self.agenda.tasks.insert(flight.task);
        }
    }

    /// The earliest time at which something can go on by itself.
    fn next_time(&self) -> Option<u64> {
        self.agenda.next().into_iter().chain(self.next_halt()).min()
    }

    /// When the gate in front of a waiting call opens, if time alone can bring that about.
    fn gate_time(&self, flight: &Flight) -> Option<u64> {
        let tenant = &self.tenants[flight.tenant];
        if flight.api() != Api::Auth0 {
            return self.accounts[tenant.account].next_time(self.now_ms);
        }
        if tenant.needs_token(self.now_ms) {
            tenant.token_time()
        } else {
            tenant.next_time(reply::bucket(&flight.call), self.now_ms)
        }
    }
}

fn event_output(tenant: &TenantGate, at_ms: u64, event: Event) -> Output {
    Output::Event(Told { at_ms, tenant: tenant.connection.domain.clone(), event })
}

fn request_id_of(answer: &Answer, scrubber: &Scrubber) -> Option<String> {
    match answer {
        Answer::Reply(reply) => reply::request_id(reply, scrubber),
        _ => None,
    }
}

impl Flight {
    fn api(&self) -> Api {
        reply::api(&self.call)
    }

    fn urgent(&self) -> bool {
        matches!(&self.call, Call::Write(_, Writes::Record | Writes::Lease))
    }

    /// Whether the call is a write that may leave only while the lease is held, however long it waited.
    fn is_fenced_write(&self) -> bool {
        matches!(&self.call, Call::Write(_, writes) if writes.needs_lease())
    }

    /// Whether the write behind this answer, which is not its last one, may have taken effect.
    fn may_have_happened(&self, answer: &Answer) -> bool {
        let answered = match answer {
            Answer::Reply(reply) => reply.status != 429,
            Answer::Lost(_) => true,
            Answer::NotSent(_) | Answer::Barred(_) => false,
        };
        answered && matches!(self.call, Call::Write(..))
    }

    fn given_up(&self, answer: &Answer) -> Failed {
        match (&self.call, answer) {
            (_, Answer::Reply(reply)) if reply.status == 429 => {
                Failed::NotDone("stopped while rate limited".into())
            }
            (Call::Write(write, _), _) if write.repeat == Repeat::Safe => {
                Failed::Unknown("stopped before the request was sent again".into())
            }
            _ => Failed::Stopped,
        }
    }
}

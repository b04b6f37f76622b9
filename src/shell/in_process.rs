//! A simulator in this process, in virtual time: no socket, no sleep, no runtime. Equal inputs give equal runs.
//!
//! A request takes effect when it is sent; its answer is queued for later. When the engine has nothing to do, the clock
//! jumps to the next answer or to the time that the engine waits for, whichever comes first. A day of rate limits
//! passes in milliseconds.
//!
//! For tests, [`Stop`] ends a run where a real one would be killed or interrupted; see [`KillPoint`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value as Json;

use super::files;
use super::ledger_file::{Files, Places};
use crate::engine::{CallId, Engine, Input, Output, TaskId};
use crate::model::api::{Answer, ApiRequest};
use crate::model::event::Told;
use crate::twin::Twin;

/// What a simulator did with one request.
#[derive(Clone, Debug)]
pub struct Handled {
    /// What the caller is told, after the delay.
    pub answer: Answer,
    /// Milliseconds from request to answer.
    pub delay_ms: u64,
    /// The simulator's name for what was asked, for logs.
    pub operation: Option<String>,
}

/// Something that answers requests as the two APIs would. The twin is one. A test may wrap the twin, to check a law or
/// to interfere after every request, or it may answer by itself.
pub trait Simulator {
    /// Answers one request that arrives at `now_ms` (ms since the Unix epoch, never going back).
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled;

    /// Hears that it is so late, before anything else happens in this process. A test may hold the process until the
    /// others are that late too. Returns the time that it is then, which is later after the process stood still.
    fn passed(&mut self, now_ms: u64) -> u64 {
        now_ms
    }

    /// The last time of the world (ms since the Unix epoch); a server of the world must not start earlier. Zero: any
    /// start will do.
    fn left_ms(&self) -> u64 {
        0
    }

    /// The world to be kept between runs; `None`: there is nothing to keep.
    fn save(&self) -> Option<Json> {
        None
    }

    /// Whether it simulates that host (lower case, no port). A server refuses other hosts.
    fn answers_for(&self, _host: &str) -> bool {
        true
    }

    /// The world for people to look at, without any secret; `None`: there is nothing to show.
    fn picture(&self, _now_ms: u64) -> Option<Json> {
        None
    }

    /// The last `most` requests with a number above `since`, oldest first, without any secret.
    fn requests(&self, _since: usize, _most: usize) -> Vec<Json> {
        Vec::new()
    }
}

impl Simulator for Twin {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let served = Twin::handle(self, request, now_ms);
        let operation = self.log().last().map(|entry| entry.operation.to_string());
        Handled { answer: served.answer, delay_ms: served.delay_ms, operation }
    }

    fn left_ms(&self) -> u64 {
        self.clock_ms
    }

    fn save(&self) -> Option<Json> {
        Some(self.to_json())
    }

    fn answers_for(&self, host: &str) -> bool {
        Twin::answers_for(self, host)
    }

    fn picture(&self, now_ms: u64) -> Option<Json> {
        Some(Twin::picture(self, now_ms))
    }

    fn requests(&self, since: usize, most: usize) -> Vec<Json> {
        Twin::requests(self, since, most)
    }
}

/// Where a run is killed, as if the machine lost power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillPoint {
    /// Number of requests that take effect before the kill; 0 kills before the first one.
    pub after_request: usize,
    /// True: the reply to that request never arrives. False: the reply has just arrived, and nothing was done about it.
    /// Requests sent side by side with that one have taken effect too.
    pub before_reply: bool,
}

/// What ends a run early. The default is only a generous bound on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub kill: Option<KillPoint>,
    /// The user presses Ctrl-C when this many requests have taken effect.
    pub interrupt_after_request: Option<usize>,
    /// A run with more requests than this counts as stuck.
    pub requests_max: usize,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { kill: None, interrupt_after_request: None, requests_max: 1_000_000 }
    }
}

impl Stop {
    /// Kills the run at that point.
    pub fn kill(after_request: usize, before_reply: bool) -> Stop {
        Stop { kill: Some(KillPoint { after_request, before_reply }), ..Stop::default() }
    }

    /// Interrupts the run after that many requests.
    pub fn interrupt(after_request: usize) -> Stop {
        Stop { interrupt_after_request: Some(after_request), ..Stop::default() }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// All tasks are done.
    Done,
    /// The kill point was reached. The engine must be thrown away.
    Killed,
    /// The run would never end, or waits for nothing: a bug of this program. The text says what was seen.
    Stuck(String),
}

/// A run counts as stuck after this many jumps of the clock without a request or answer in between. A task that polls
/// sends requests; a task that only sleeps has no reason to do so this often.
const IDLE_JUMPS_MAX: u32 = 100_000;

/// A simulator, its clock, and the answers that are under way.
pub struct InProcess {
    world: Rc<RefCell<dyn Simulator>>,
    /// What answers for the places of records, in no time: the files of this machine, unless a test says otherwise.
    pub places: Rc<RefCell<dyn Places>>,
    now_ms: u64,
    /// Answers under way, ordered by arrival time, then in the order sent.
    under_way: BTreeMap<(u64, u64), (CallId, Answer)>,
    sent: u64,
    handled: usize,
    done: BTreeSet<TaskId>,
    stop: Stop,
    interrupted: bool,
    /// The run is killed when the answer to this call has arrived.
    last_call: Option<CallId>,
}

impl InProcess {
    /// A simulator whose clock shows `start_ms` (ms since the Unix epoch). Give the engine the same start.
    pub fn new(world: Rc<RefCell<dyn Simulator>>, start_ms: u64) -> InProcess {
        InProcess {
            world,
            places: Rc::new(RefCell::new(Files)),
            now_ms: start_ms,
            under_way: BTreeMap::new(),
            sent: 0,
            handled: 0,
            done: BTreeSet::new(),
            stop: Stop::default(),
            interrupted: false,
            last_call: None,
        }
    }

    /// The virtual time, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Lets time pass between runs.
    pub fn advance_ms(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// Requests that took effect since the start or the last [`InProcess::restart`].
    pub fn handled(&self) -> usize {
        self.handled
    }

    /// Begins a run with a new engine, in the same world and at the same time, as after the start of a new process.
    /// Answers under way are dropped, and requests are counted anew for `stop`.
    pub fn restart(&mut self, stop: Stop) {
        self.under_way.clear();
        self.done.clear();
        self.handled = 0;
        self.interrupted = false;
        self.last_call = None;
        self.stop = stop;
    }

    /// Runs the engine until all these tasks are done. `show` receives the events. `interrupt` is asked repeatedly
    /// whether the user wants to stop; its first yes is passed on.
    pub fn run(
        &mut self,
        engine: &mut Engine,
        tasks: &[TaskId],
        show: &mut dyn FnMut(Told),
        interrupt: &dyn Fn() -> bool,
    ) -> Ended {
        self.run_until(engine, tasks, tasks.len(), show, interrupt)
    }

    /// As [`InProcess::run`], until so many of the tasks are done.
    pub fn run_until(
        &mut self,
        engine: &mut Engine,
        tasks: &[TaskId],
        enough: usize,
        show: &mut dyn FnMut(Told),
        interrupt: &dyn Fn() -> bool,
    ) -> Ended {
        let mut idle_jumps = 0;
        engine.handle_input(Input::Tick, self.now_ms);
        let tasks: BTreeSet<TaskId> = tasks.iter().copied().collect();
        let mut done_of_these = tasks.intersection(&self.done).count();
        loop {
            if done_of_these >= enough {
                return Ended::Done;
            }
            let asked =
                self.stop.interrupt_after_request.is_some_and(|after| self.handled >= after) || interrupt();
            if asked && !self.interrupted {
                self.interrupted = true;
                engine.handle_input(Input::Interrupt, self.now_ms);
            }
            let wanted_ms = match engine.poll_output() {
                Output::Event(told) => {
                    show(told);
                    continue;
                }
                Output::Done(task) => {
                    done_of_these += usize::from(self.done.insert(task) && tasks.contains(&task));
                    continue;
                }
                Output::Send(call, request) => {
                    idle_jumps = 0;
                    if let Some(ended) = self.send(call, &request) {
                        return ended;
                    }
                    continue;
                }
                Output::Place(call, place, asked) => {
                    let reply = self.places.borrow_mut().answer(&place, asked);
                    engine.handle_input(Input::Placed(call, reply), self.now_ms);
                    continue;
                }
                Output::WaitUntil(at_ms) => Some(at_ms),
                Output::Idle => None,
            };
            let arrives_ms = self.under_way.first_key_value().map(|((at_ms, _), _)| *at_ms);
            match (arrives_ms, wanted_ms) {
                (Some(arrives_ms), wanted_ms)
                    if wanted_ms.is_none_or(|wanted_ms| arrives_ms <= wanted_ms) =>
                {
                    idle_jumps = 0;
                    if let Some((_, (call, answer))) = self.under_way.pop_first() {
                        self.now_ms = self.now_ms.max(arrives_ms);
                        self.now_ms = self.world.borrow_mut().passed(self.now_ms);
                        engine.handle_input(Input::Answer(call, answer), self.now_ms);
                        if self.last_call == Some(call) {
                            return Ended::Killed;
                        }
                    }
                }
                (_, Some(wanted_ms)) => {
                    idle_jumps += 1;
                    if idle_jumps > IDLE_JUMPS_MAX {
                        return Ended::Stuck(format!("{IDLE_JUMPS_MAX} waits without a request in between"));
                    }
                    self.now_ms = self.now_ms.max(wanted_ms);
                    self.now_ms = self.world.borrow_mut().passed(self.now_ms);
                    engine.handle_input(Input::Tick, self.now_ms);
                }
                (_, None) => return Ended::Stuck("the engine is idle, no answer is under way".into()),
            }
        }
    }

    fn send(&mut self, call: CallId, request: &ApiRequest) -> Option<Ended> {
        if self.stop.kill.is_some_and(|kill| kill.after_request == 0) {
            return Some(Ended::Killed);
        }
        if self.handled >= self.stop.requests_max {
            return Some(Ended::Stuck(format!("more than {} requests", self.stop.requests_max)));
        }
        let handled = self.world.borrow_mut().handle(request, self.now_ms);
        self.handled += 1;
        self.sent += 1;
        if let Some(kill) = self.stop.kill
            && self.handled == kill.after_request
        {
            if kill.before_reply {
                return Some(Ended::Killed);
            }
            self.last_call = Some(call);
        }
        let arrives_ms = self.now_ms.saturating_add(handled.delay_ms);
        self.under_way.insert((arrives_ms, self.sent), (call, handled.answer));
        None
    }
}

/// One whole run without a driver, for tests and simulation. `in_process` keeps its clock from run to run; call
/// [`InProcess::restart`] before a run with a new engine.
///
/// ```text
/// let world = Rc::new(RefCell::new(Twin::new(Options::default(), seed)));
/// let mut in_process = InProcess::new(world.clone(), start_ms);
/// let mut engine = Engine::new(in_process.now_ms(), seed);
/// let tenant = engine.connect(connection);
/// let task = engine.spawn(tenant, |port| async move { … });
/// assert_eq!(run_virtual(&mut engine, &mut in_process, &[task]), Ended::Done);
/// ```
pub fn run_virtual(engine: &mut Engine, in_process: &mut InProcess, tasks: &[TaskId]) -> Ended {
    in_process.run(engine, tasks, &mut |_| {}, &|| false)
}

/// Largest world file that is accepted.
const WORLD_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Loads a twin from a world file; `None` when there is no such file yet.
///
/// # Errors
/// The file cannot be read, or is not a world.
pub fn load_twin(path: &Path) -> Result<Option<Twin>> {
    files::remove_left_overs(path);
    let bytes = match files::read_bounded(path, WORLD_LIMIT_BYTES) {
        Ok(bytes) => bytes,
        Err(files::FileProblem::NotFound) => return Ok(None),
        Err(problem) => return Err(anyhow!(problem).context(format!("world file {}", path.display()))),
    };
    let shown = path.display();
    let json: Json =
        serde_json::from_slice(&bytes).with_context(|| format!("world file {shown} is not JSON"))?;
    let twin = Twin::from_json(json).map_err(|cause| anyhow!("world file {shown}: {cause}"))?;
    Ok(Some(twin))
}

/// Writes the world of a simulator to its file, if it has a world to keep.
///
/// # Errors
/// The file cannot be written; an older file stays unchanged.
pub fn save_world(world: &dyn Simulator, path: &Path) -> Result<()> {
    let Some(json) = world.save() else { return Ok(()) };
    let text = format!("{json:#}\n");
    files::write_atomic(path, text.as_bytes()).context("world file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::{Api, Body, Failed, Get, Repeat, Write};
    use crate::port::Port;
    use crate::shell::test_support::{Scripted, TestFolder, connection, json_reply};
    use serde_json::json;

    const START_MS: u64 = 1_790_000_000_000;

    /// Makes three writes one after the other; returns their results.
    async fn three_writes(port: Port) -> Vec<Result<Json, Failed>> {
        let mut results = Vec::new();
        for number in 1..=3 {
            let write = Write {
                api: Api::Verify,
                method: crate::model::api::Method::Post,
                path: format!("/v2/Services?Number={number}"),
                body: Body::Form(vec![]),
                repeat: Repeat::NeverBlind,
            };
            results.push(port.writer().send(write).await);
        }
        results
    }

    fn run(stop: Stop) -> (Ended, usize, Option<Vec<Result<Json, Failed>>>) {
        let world = Rc::new(RefCell::new(Scripted::new(|_, _| json_reply(201, &json!({ "sid": "VA1" })))));
        let mut in_process = InProcess::new(world.clone(), START_MS);
        in_process.restart(stop);
        let mut engine = Engine::new(START_MS, 7);
        let tenant = engine.connect(connection());
        let slot = Rc::new(RefCell::new(None));
        let result = slot.clone();
        let task = engine.spawn(tenant, |port| async move {
            let results = three_writes(port).await;
            *result.borrow_mut() = Some(results);
        });
        let ended = run_virtual(&mut engine, &mut in_process, &[task]);
        drop(engine);
        let seen = world.borrow().seen.len();
        (ended, seen, slot.take())
    }

    #[test]
    fn a_run_goes_to_its_end() {
        let (ended, seen, results) = run(Stop::default());
        assert_eq!((ended, seen), (Ended::Done, 3));
        assert!(results.expect("done").iter().all(Result::is_ok));
    }

    #[test]
    fn a_kill_leaves_exactly_the_requests_before_it() {
        for before_reply in [true, false] {
            for after_request in 0..=3 {
                let (ended, seen, results) = run(Stop::kill(after_request, before_reply));
                assert_eq!((ended, seen), (Ended::Killed, after_request), "before_reply: {before_reply}");
                assert!(results.is_none());
            }
        }
        assert_eq!(run(Stop::kill(4, true)).0, Ended::Done);
    }

    #[test]
    fn an_interrupt_lets_the_task_end_by_itself() {
        let (ended, seen, results) = run(Stop::interrupt(1));
        assert_eq!((ended, seen), (Ended::Done, 1));
        let results = results.expect("the task ended");
        assert!(results[0].is_ok(), "what was on the wire is waited for");
        assert_eq!(results[1..], [Err(Failed::Stopped), Err(Failed::Stopped)]);
    }

    #[test]
    fn a_day_passes_at_once() {
        let world = Rc::new(RefCell::new(Scripted::new(|_, _| json_reply(200, &json!({})))));
        let mut in_process = InProcess::new(world, START_MS);
        let mut engine = Engine::new(START_MS, 7);
        let tenant = engine.connect(connection());
        let task = engine.spawn(tenant, |port| async move { port.reader().sleep_ms(86_400_000).await });
        assert_eq!(run_virtual(&mut engine, &mut in_process, &[task]), Ended::Done);
        assert_eq!(in_process.now_ms(), START_MS + 86_400_000);
    }

    #[test]
    fn a_run_without_an_end_is_reported() {
        let world = Rc::new(RefCell::new(Scripted::new(|_, _| json_reply(200, &json!({})))));
        let mut in_process = InProcess::new(world, START_MS);
        in_process.restart(Stop { requests_max: 10, ..Stop::default() });
        let mut engine = Engine::new(START_MS, 7);
        let tenant = engine.connect(connection());
        let task = engine.spawn(tenant, |port| async move {
            while port.reader().fresh(&Get::whole(Api::Verify, "/v2/Services")).await.is_ok() {}
        });
        assert!(matches!(run_virtual(&mut engine, &mut in_process, &[task]), Ended::Stuck(_)));
        let pending = engine.spawn(tenant, |_| std::future::pending());
        in_process.restart(Stop::default());
        let never = engine.spawn(tenant, |_| std::future::pending());
        assert!(matches!(run_virtual(&mut engine, &mut in_process, &[pending, never]), Ended::Stuck(_)));
    }

    #[test]
    fn a_world_survives_its_file() {
        let folder = TestFolder::new();
        let path = folder.path().join("world.json");
        assert!(load_twin(&path).expect("no file is no failure").is_none());
        let mut twin = Twin::new(crate::twin::Options::default(), 7);
        twin.tenant_mut("acme.auth0.example");
        save_world(&twin, &path).expect("written");
        let again = load_twin(&path).expect("readable").expect("there");
        assert_eq!(again.world, twin.world);
        std::fs::write(&path, "{").expect("file");
        let error = format!("{:#}", load_twin(&path).expect_err("damaged"));
        assert!(error.contains("world.json") && error.contains("not JSON"), "{error}");
    }
}

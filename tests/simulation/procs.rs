//! Processes: each is one command with an engine of its own. Any number of them run on one clock, and are killed,
//! paused and interrupted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::engine::apply::{Ended, Outcome, Wishes};
use lockstep::engine::observe::Session;
use lockstep::engine::reconcile::{Decision, reconcile};
use lockstep::engine::store::Store;
use lockstep::engine::watch::{Run, watched};
use lockstep::engine::{Connection, Engine, Grant, Input, Output, TaskId, TwilioAuth};
use lockstep::kinds::twilio_key::rotatable;
use lockstep::model::api::Answer;
use lockstep::model::call::Failed;
use lockstep::model::event::Event;
use lockstep::model::plan::{Plan, Purpose, Step};
use lockstep::model::random::Entropy;
use lockstep::model::scrub::Scrubber;
use lockstep::model::secret::{Origin, Secret};

use super::ground::Ground;
use super::manifests::Draft;
use super::watched::{Noted, watching_ms};

/// Lifetime of a lease; short, so that a story does not have to wait.
pub const LEASE_TTL_MS: u64 = 20_000;
/// Most requests of one run; a run with more does not end.
const REQUESTS_MAX: usize = 3_000;
/// Longest time of a run, as `--deadline` sets it.
const DEADLINE_MS: u64 = 15 * 60_000;
/// Longest time after the deadline: requests on their way are awaited, and record and lease are put in order.
const AFTER_DEADLINE_MS: u64 = 120_000;
/// Shortest nap. A process that wakes up earlier although nothing arrived is polling.
const NAP_MS: u64 = 50;

const KILLED_BEFORE: &str = "KILLED before the reply";
const KILLED_AFTER: &str = "KILLED after the reply";
const INTERRUPTED: &str = "INTERRUPTED";
const PAUSED: &str = "PAUSED";
/// Ways to stop a process: the last columns of the coverage table.
pub const STOPS: &[&str] = &[KILLED_BEFORE, KILLED_AFTER, INTERRUPTED, PAUSED];

/// A command of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Apply,
    Destroy,
    Rollback,
    /// Makes anew all that the manifest makes itself.
    Rotate,
    /// `plan` and `drift`: both read and plan, and cannot write.
    Plan,
    /// `apply --watch`, for so many ms.
    Watch(u64),
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub starts_after_ms: u64,
    /// The counts below are of the requests after the first look of a watch.
    pub of_watch: bool,
    /// The counts below are of the writes of steps, instead of all requests of the run.
    pub of_steps: bool,
    /// After how many the process is killed; true: before the reply to the last one arrives.
    pub kill: Option<(usize, bool)>,
    pub pause: Option<(usize, u64)>,
    pub interrupt: Option<usize>,
    /// How far the machine's clock is ahead, in ms.
    pub ahead_ms: i64,
    /// `--lease-ttl`, if it differs from [`LEASE_TTL_MS`].
    pub lease_ttl_ms: Option<u64>,
}

impl Trouble {
    fn ttl_ms(&self) -> u64 {
        self.lease_ttl_ms.unwrap_or(LEASE_TTL_MS)
    }
}

/// One process.
pub struct Proc {
    pub number: usize,
    pub owner: String,
    pub domain: String,
    pub command: Command,
    /// Whether the manifest says which Verify service the Action is told of.
    pub names_service: bool,
    /// Its manifest.
    pub draft: Draft,
    /// The last plan that the process made.
    pub plan: Option<Plan>,
    result: Rc<RefCell<Option<Result<Run, Failed>>>>,
    /// What is noted of a watch for its judges.
    pub watch: Noted,
    /// The step in progress.
    pub step: Option<Step>,
    pub sent: usize,
    step_writes: usize,
    pub sent_to_tenant: usize,
    /// Time of the first reply that reported the budget.
    pub told_ms: u64,
    pub no_lease: bool,
    pub outlived: bool,
    pub hurt: bool,
    /// Line of the coverage table to which its last request belongs.
    pub column: String,
    pub done: bool,
    /// Time of its last request.
    pub last_ms: u64,
    pub killed: bool,
    /// All texts of the process that a person may see.
    pub texts: Vec<String>,
    /// Length of the ground's list of changes when the step, and the plan's reads (`plan_mark`), began.
    pub step_mark: usize,
    /// Time at which the step began.
    pub step_ms: u64,
    pub plan_mark: usize,
    pub list_mark: usize,
    /// Whether planning has begun and nothing was read for the plan yet.
    plans_anew: bool,
    trouble: Trouble,
    starts_ms: u64,
    paused_from_ms: u64,
    paused_until_ms: u64,
    paused_for_ms: u64,
    naps: usize,
    last_call: Option<u64>,
    engine: Engine,
    task: TaskId,
}

/// Everything that a run needs besides the ground.
pub struct Start<'a> {
    pub draft: &'a Draft,
    pub env: &'a BTreeMap<String, String>,
    pub store: Store,
    pub command: Command,
    pub allow_delete: bool,
    pub trouble: Trouble,
}

fn connection(env: &BTreeMap<String, String>) -> Connection {
    let secret = |name: &str| Secret::new(&*env[name], Origin::Person);
    let mut scrubber = Scrubber::default();
    scrubber.learn(&secret("AUTH0_CLIENT_SECRET"));
    scrubber.learn_pair(&env["TWILIO_API_KEY"], &secret("TWILIO_API_SECRET"));
    let domain = env["AUTH0_DOMAIN"].clone();
    Connection {
        audience: format!("https://{domain}/api/v2/"),
        domain,
        client_id: env["AUTH0_CLIENT_ID"].clone(),
        grant: Grant::ClientSecret(secret("AUTH0_CLIENT_SECRET")),
        account_sid: env["TWILIO_ACCOUNT_SID"].clone(),
        twilio: TwilioAuth::Key { sid: env["TWILIO_API_KEY"].clone(), secret: secret("TWILIO_API_SECRET") },
        scrubber: Rc::new(scrubber),
        share_percent: 80,
    }
}

impl Proc {
    pub fn new(ground: &mut Ground, start: &Start<'_>) -> Proc {
        ground.runs += 1;
        let number = ground.runs;
        let starts_ms = ground.now_ms + start.trouble.starts_after_ms;
        let mut manifest = start.draft.parse(start.env).unwrap_or_else(|wrong| panic!("{wrong}"));
        manifest.stack = start.draft.stack.into();
        let domain = start.env["AUTH0_DOMAIN"].clone();
        let rotate = match start.command {
            Command::Rotate => rotatable(&manifest).into_values().collect(),
            _ => Default::default(),
        };
        let session = Session {
            manifest: Rc::new(manifest),
            tenant: domain.clone(),
            account: start.env["TWILIO_ACCOUNT_SID"].clone(),
            store: start.store.clone(),
            entropy: Entropy([u8::try_from(number % 251).unwrap_or(0); 32]),
            rounds: 1,
            lease_ttl_ms: start.trouble.ttl_ms(),
            who: format!("someone@somewhere pid {number}"),
            revision: "r1".into(),
            destroy: start.command == Command::Destroy,
            rollback: start.command == Command::Rollback,
            handed_on: Default::default(),
            allow_delete: start.allow_delete || start.command == Command::Destroy,
            named: Default::default(),
            purpose: Purpose::Apply,
            only_run: None,
            rotate,
            watch_ms: match start.command {
                Command::Watch(ms) => Some(ms),
                _ => None,
            },
        };
        let local_ms = starts_ms.saturating_add_signed(start.trouble.ahead_ms);
        let mut engine = Engine::new(local_ms, u64::try_from(number).unwrap_or(0));
        engine.set_deadline(local_ms + DEADLINE_MS);
        let tenant = engine.connect(connection(start.env));
        let result = Rc::new(RefCell::new(None));
        let (slot, command) = (result.clone(), start.command);
        let task = engine.spawn(tenant, |port| async move {
            let decision = match command {
                Command::Plan => Decision::Leave("a plan is all that was asked for".into()),
                _ => Decision::Apply,
            };
            let wishes = Wishes::default();
            let result = match command {
                Command::Watch(_) => watched(session, wishes, |_| decision.clone().into(), &port).await,
                _ => {
                    let report = reconcile(session, wishes, |_| decision.clone().into(), &port).await;
                    report.map(|report| Run { report: Some(report), watched: None })
                }
            };
            *slot.borrow_mut() = Some(result);
        });
        Proc {
            number,
            owner: format!("{domain}/{}", start.draft.stack),
            domain,
            command: start.command,
            names_service: start.draft.json()["action"]["secrets"]["TWILIO_VERIFY_SID"].is_string(),
            draft: start.draft.clone(),
            plan: None,
            result,
            watch: Noted::new(ground),
            step: None,
            sent: 0,
            step_writes: 0,
            sent_to_tenant: 0,
            told_ms: u64::MAX,
            no_lease: false,
            outlived: false,
            hurt: false,
            column: String::new(),
            done: false,
            last_ms: 0,
            killed: false,
            texts: Vec::new(),
            step_mark: 0,
            step_ms: 0,
            plan_mark: 0,
            list_mark: 0,
            plans_anew: false,
            trouble: start.trouble,
            starts_ms,
            paused_from_ms: 0,
            paused_until_ms: 0,
            paused_for_ms: 0,
            naps: 0,
            last_call: None,
            engine,
            task,
        }
    }

    /// The time by the clock of the process's machine.
    fn local_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.trouble.ahead_ms)
    }

    /// Whether nothing disturbs the process yet.
    pub fn is_quiet(&self) -> bool {
        self.trouble.of_watch && !self.watch.is_on
    }

    /// A fault in how the process waited, if there is one.
    pub fn waited_badly(&self, now_ms: u64) -> Option<String> {
        let most_ms = DEADLINE_MS + AFTER_DEADLINE_MS + self.paused_for_ms + watching_ms(self.command);
        let took_ms = now_ms.saturating_sub(self.starts_ms);
        if took_ms > most_ms {
            return Some(format!("run {} took {} s", self.number, took_ms / 1000));
        }
        let most = 100 + 5 * self.sent;
        (self.naps > most).then(|| format!("run {} woke up {} times for nothing", self.number, self.naps))
    }

    /// Time of the decision to send the current request: a process that wakes up after a pause continues where it was.
    pub fn decided_ms(&self, now_ms: u64) -> u64 {
        if now_ms == self.paused_until_ms { self.paused_from_ms } else { now_ms }
    }

    /// The losses that the plan named, up to and including the step in progress.
    pub fn words(&self) -> String {
        let Some(step) = &self.step else { return String::new() };
        let steps = self.plan.iter().flat_map(|plan| &plan.steps).filter(|one| one.number <= step.number);
        steps.filter_map(|one| one.danger.as_deref()).collect::<Vec<_>>().join("; ")
    }

    /// Result of the process, in the program's terms; `None` if it was killed.
    pub fn result(&self) -> Option<Result<Outcome, Failed>> {
        self.run().map(|run| {
            let report = run?.report;
            let over = || Failed::NotDone("the run before was taken back, and nothing else was done".into());
            report.map(|report| report.outcome).ok_or_else(over)
        })
    }

    /// The whole result, with what a watch saw and did; `None` if the process was killed.
    pub fn run(&self) -> Option<Result<Run, Failed>> {
        self.result.borrow().clone()
    }

    /// How the process ended, for decisions of the story.
    pub fn ended(&self) -> Option<Ended> {
        self.result().map(|result| match result {
            // The command asked for a plan only.
            Ok(outcome) if self.command == Command::Plan => match outcome.ended {
                Ended::NotConfirmed(_) => Ended::Done,
                ended => ended,
            },
            Ok(outcome) => outcome.ended,
            Err(failed) => Ended::Failed(failed.to_string()),
        })
    }

    fn event(&mut self, ground: &mut Ground, event: &Event) {
        match event {
            Event::StepStarted { number, .. } => {
                let step = |plan: &Plan| plan.steps.iter().find(|step| step.number == *number).cloned();
                self.step = self.plan.as_ref().and_then(step);
                self.step_mark = ground.changes.len();
                self.step_ms = ground.now_ms;
            }
            Event::StepDone { .. } => self.step = None,
            Event::PlanStarted => self.plans_anew = true,
            Event::Watched { .. } => self.watch.is_on = true,
            Event::PlanMade { plan } => {
                if ground.is_traced() {
                    ground.say(&format!("P{} planned:", self.number));
                    ground.say(&lockstep::plan::render::plan(plan, lockstep::plan::render::Paint(false)));
                }
                self.plan = Some((**plan).clone());
                return;
            }
            _ => {}
        }
        self.texts.push(format!("{event:?}"));
    }

    fn done(&mut self) {
        self.done = true;
        if let Some(plan) = &self.plan {
            self.texts.push(serde_json::to_string(plan).unwrap_or_default());
            self.texts.push(lockstep::plan::render::plan(plan, lockstep::plan::render::Paint(false)));
        }
        self.texts.push(format!("{:?}", self.result()));
        let watched = self.run().and_then(|run| run.ok()?.watched);
        self.texts.extend(watched.map(|watched| format!("{:?}", lockstep::cli::of_watch(watched))));
    }
}

/// Runs all processes to their ends on one clock.
pub fn run(ground: &mut Ground, procs: &mut [Proc]) -> Result<(), String> {
    let mut under_way: BTreeMap<(u64, u64), (usize, u64, Answer)> = BTreeMap::new();
    let mut serial = 0_u64;
    for _ in 0..500_000 {
        let mut wake_ms: Option<u64> = None;
        let mut wake = |at: u64| wake_ms = Some(wake_ms.map_or(at, |known: u64| known.min(at)));
        for who in 0..procs.len() {
            let shared = procs.iter().enumerate().any(|(at, other)| at != who && other.sent > 0);
            let proc = &mut procs[who];
            if proc.done {
                continue;
            }
            let ready_ms = proc.starts_ms.max(proc.paused_until_ms);
            if ready_ms > ground.now_ms {
                wake(ready_ms);
                continue;
            }
            proc.engine.handle_input(Input::Tick, proc.local_ms(ground.now_ms));
            loop {
                match proc.engine.poll_output() {
                    Output::Event(told) => proc.event(ground, &told.event),
                    Output::Done(task) if task == proc.task => {
                        proc.done();
                        break;
                    }
                    Output::Done(_) => {}
                    Output::Send(call, request) => {
                        if std::mem::take(&mut proc.plans_anew) {
                            proc.plan_mark = ground.changes.len();
                        }
                        let handled = ground.handle(proc, &request, shared);
                        serial += 1;
                        under_way
                            .insert((ground.now_ms + handled.delay_ms, serial), (who, call, handled.answer));
                        proc.sent += 1;
                        proc.last_ms = ground.now_ms;
                        if proc.sent > REQUESTS_MAX {
                            return Err(format!(
                                "run {} sent more than {REQUESTS_MAX} requests",
                                proc.number
                            ));
                        }
                        let of_step = proc.step.as_ref().is_some_and(|step| step.kind == proc.column);
                        proc.step_writes += usize::from(of_step);
                        let trouble = proc.trouble;
                        proc.watch.requests += usize::from(proc.watch.is_on);
                        let count = match (trouble.of_watch, trouble.of_steps) {
                            (true, _) if proc.watch.is_on => proc.watch.requests,
                            (true, _) => continue,
                            (false, true) if of_step => proc.step_writes,
                            (false, true) => continue,
                            (false, false) => proc.sent,
                        };
                        match proc.trouble.kill {
                            Some((after, true)) if count == after => {
                                ground.stop(proc, KILLED_BEFORE);
                                ground.killed();
                                (proc.done, proc.killed) = (true, true);
                                break;
                            }
                            Some((after, false)) if count == after => proc.last_call = Some(call),
                            _ => {}
                        }
                        if proc.trouble.interrupt == Some(count) {
                            ground.stop(proc, INTERRUPTED);
                            proc.engine.handle_input(Input::Interrupt, proc.local_ms(ground.now_ms));
                        }
                        if let Some((after, ms)) = proc.trouble.pause
                            && count == after
                        {
                            ground.stop(proc, PAUSED);
                            ground.note(proc.number, &format!("for {} s", ms / 1000));
                            proc.paused_from_ms = ground.now_ms;
                            proc.paused_until_ms = ground.now_ms + ms;
                            proc.paused_for_ms += ms;
                            // A heartbeat comes every quarter of the TTL, so the last one may be that long ago.
                            let outlived = 4 * ms >= 3 * proc.trouble.ttl_ms();
                            proc.outlived |= outlived;
                            ground.outlived |= outlived;
                            wake(proc.paused_until_ms);
                            break;
                        }
                    }
                    Output::Place(call, _, asked) => {
                        let reply = ground.place(asked);
                        proc.engine.handle_input(Input::Placed(call, reply), proc.local_ms(ground.now_ms));
                    }
                    Output::WaitUntil(at_ms) => {
                        let at_ms = at_ms.saturating_add_signed(-proc.trouble.ahead_ms);
                        proc.naps += usize::from(at_ms < ground.now_ms + NAP_MS);
                        wake(at_ms);
                        break;
                    }
                    Output::Idle => break,
                }
            }
        }
        if procs.iter().all(|proc| proc.done) {
            return Ok(());
        }
        let arrives_ms = under_way.first_key_value().map(|((at_ms, _), _)| *at_ms);
        let Some(next_ms) = [arrives_ms, wake_ms].into_iter().flatten().min() else {
            return Err("every process is idle, and no answer is under way".into());
        };
        ground.now_ms = ground.now_ms.max(next_ms);
        while let Some(first) = under_way.first_entry().filter(|first| first.key().0 <= ground.now_ms) {
            let (who, call, answer) = first.remove();
            let proc = &mut procs[who];
            if proc.done {
                continue;
            }
            if proc.paused_until_ms > ground.now_ms {
                serial += 1;
                under_way.insert((proc.paused_until_ms, serial), (who, call, answer));
                continue;
            }
            proc.engine.handle_input(Input::Answer(call, answer), proc.local_ms(ground.now_ms));
            if proc.last_call == Some(call) {
                ground.stop(proc, KILLED_AFTER);
                ground.killed();
                (proc.done, proc.killed) = (true, true);
            }
        }
    }
    Err("the run does not come to an end".into())
}

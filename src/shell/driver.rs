//! Runs the engine: carries out what it asks for, over the network in real time or in this process in virtual time, and
//! passes the user's Ctrl-C on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::http::{Http, IN_FLIGHT_MAX};
use super::in_process::{Ended, InProcess};
use super::ledger_file::{Files, Places as _};
use super::signals::{Signal, Signals};
use crate::engine::{Connection, Engine, Input, Output, TaskId, TenantId};
use crate::model::api::Answer;
use crate::model::event::{Event, Told};
use crate::model::place::PlaceReply;
use crate::port::Port;

/// How requests are carried out.
pub enum Transport {
    /// Over the network, in real time.
    Http(Http),
    /// By a simulator in this process, in virtual time, without any real waiting.
    InProcess(InProcess),
}

/// An engine and the transport that carries out its requests. `'a` is the lifetime of the event callback.
pub struct Driver<'a> {
    engine: Engine,
    inner: Inner,
    signals: Signals,
    show: Box<dyn FnMut(Told) + 'a>,
}

enum Inner {
    Net(Box<Net>),
    InProcess(InProcess),
}

struct Net {
    http: Http,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
    answers_in: mpsc::UnboundedSender<Input>,
    answers: mpsc::UnboundedReceiver<Input>,
    outstanding: usize,
    done: BTreeSet<TaskId>,
    interrupted: bool,
}

impl<'a> Driver<'a> {
    /// A driver with a new engine. `seed` is for jitter; `show` receives every event as it happens.
    ///
    /// # Errors
    /// The asynchronous runtime cannot be started.
    pub fn new(
        transport: Transport,
        seed: u64,
        signals: Signals,
        show: impl FnMut(Told) + 'a,
    ) -> Result<Driver<'a>> {
        let inner = match transport {
            Transport::InProcess(in_process) => Inner::InProcess(in_process),
            Transport::Http(http) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let (answers_in, answers) = mpsc::unbounded_channel();
                Inner::Net(Box::new(Net {
                    http,
                    clock: Clock::start(),
                    runtime: runtime.context("no runtime")?,
                    answers_in,
                    answers,
                    outstanding: 0,
                    done: BTreeSet::new(),
                    interrupted: false,
                }))
            }
        };
        let now_ms = match &inner {
            Inner::Net(net) => net.clock.now_ms(),
            Inner::InProcess(in_process) => in_process.now_ms(),
        };
        Ok(Driver { engine: Engine::new(now_ms, seed), inner, signals, show: Box::new(show) })
    }

    /// Adds a tenant.
    pub fn connect(&mut self, connection: Connection) -> TenantId {
        self.engine.connect(connection)
    }

    /// The engine, to spawn tasks that [`Driver::drive`] then runs.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The transport's time, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        match &self.inner {
            Inner::Net(net) => net.clock.now_ms(),
            Inner::InProcess(in_process) => in_process.now_ms(),
        }
    }

    /// The first signal that asked the process to stop. It decides the exit code of the process.
    pub fn signal(&self) -> Option<Signal> {
        self.signals.first()
    }

    /// Stops the run at that time (ms since the Unix epoch, by the transport's clock), as a signal would.
    pub fn set_deadline(&mut self, at_ms: u64) {
        self.engine.set_deadline(at_ms);
    }

    /// What the run was waiting for when the deadline passed; `None` before the deadline.
    pub fn late(&self) -> Option<&str> {
        self.engine.late()
    }

    /// Runs one task and returns its result. A signal does not cut the task short: its calls end as stopped, and the
    /// task returns by itself. Ask [`Driver::signal`] afterwards.
    ///
    /// # Errors
    /// The run does not end, which is a bug of this program.
    pub fn run<T, F>(&mut self, tenant: TenantId, make: impl FnOnce(Port) -> F) -> Result<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let (task, slot) = self.spawn(tenant, make);
        self.drive(&[task])?;
        slot.take().context("a task ended without a result")
    }

    /// Runs one task per tenant, side by side. Over the network, each begins as soon as there is room for its requests:
    /// what a task holds in memory is held by no more tasks than that. A task that waits for the budget of its own tenant
    /// takes no room, so it keeps nobody back. The results have the order of `tenants`.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn run_each<S, T, F>(
        &mut self,
        tenants: impl IntoIterator<Item = (TenantId, S)>,
        make: impl Fn(S, Port) -> F,
    ) -> Result<Vec<T>>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let mut slots = Vec::new();
        let mut tenants = tenants.into_iter();
        let mut next = |engine: &mut Engine| {
            let (tenant, given) = tenants.next()?;
            let (task, slot) = spawn_on(engine, tenant, |port| make(given, port));
            slots.push(slot);
            Some(task)
        };
        let Driver { engine, inner, signals, show } = self;
        match inner {
            Inner::Net(net) => net.drive(engine, signals, show, Tasks::begun_by(&mut next))?,
            // In virtual time nothing is held for long, and all begin at once.
            Inner::InProcess(_) => {
                let tasks: Vec<TaskId> = std::iter::from_fn(|| next(engine)).collect();
                self.drive(&tasks)?;
            }
        }
        slots.iter().map(|slot| slot.take().context("a task ended without a result")).collect()
    }

    /// Starts a task without running it. The slot holds the result once the task is done.
    pub fn spawn<T, F>(
        &mut self,
        tenant: TenantId,
        make: impl FnOnce(Port) -> F,
    ) -> (TaskId, Rc<RefCell<Option<T>>>)
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        spawn_on(&mut self.engine, tenant, make)
    }

    /// Runs the engine until all these tasks are done. Other tasks go on meanwhile.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn drive(&mut self, tasks: &[TaskId]) -> Result<()> {
        self.drive_until(tasks, tasks.len())
    }

    /// Runs the engine until so many of these tasks are done. The others go on the next time that the engine runs.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn drive_until(&mut self, tasks: &[TaskId], enough: usize) -> Result<()> {
        let Driver { engine, inner, signals, show } = self;
        match inner {
            Inner::Net(net) => net.drive(engine, signals, show, Tasks::of(tasks, enough)),
            Inner::InProcess(in_process) => {
                // In virtual time nobody waits, so waits are not reported.
                let mut show = |told: Told| match told.event {
                    Event::Holding { .. } | Event::Polling { .. } => {}
                    _ => show(told),
                };
                match in_process.run_until(engine, tasks, enough, &mut show, &|| signals.first().is_some()) {
                    Ended::Done => Ok(()),
                    Ended::Killed => bail!("the run was killed, as asked for"),
                    Ended::Stuck(seen) => bail!("the run does not come to an end: {seen}"),
                }
            }
        }
    }
}

/// Starts a task without running it, as [`Driver::spawn`].
fn spawn_on<T, F>(
    engine: &mut Engine,
    tenant: TenantId,
    make: impl FnOnce(Port) -> F,
) -> (TaskId, Rc<RefCell<Option<T>>>)
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let slot = Rc::new(RefCell::new(None));
    let result = slot.clone();
    let task = engine.spawn(tenant, |port| {
        let future = make(port);
        async move {
            let value = future.await;
            *result.borrow_mut() = Some(value);
        }
    });
    (task, slot)
}

/// The tasks that a run of the engine is about.
struct Tasks<'a> {
    ids: BTreeSet<TaskId>,
    /// So many of them have to be done.
    enough: usize,
    /// Spawns another one. `None`: there are no more.
    next: Option<&'a mut Next<'a>>,
}

type Next<'a> = dyn FnMut(&mut Engine) -> Option<TaskId> + 'a;

impl<'a> Tasks<'a> {
    fn of(ids: &[TaskId], enough: usize) -> Tasks<'a> {
        Tasks { ids: ids.iter().copied().collect(), enough, next: None }
    }

    fn begun_by(next: &'a mut Next<'a>) -> Tasks<'a> {
        Tasks { ids: BTreeSet::new(), enough: 0, next: Some(next) }
    }

    /// Begins another task. Tells whether there was one.
    fn begin(&mut self, engine: &mut Engine) -> bool {
        let task = self.next.as_mut().and_then(|next| next(engine));
        match task {
            Some(task) => {
                self.ids.insert(task);
                self.enough += 1;
            }
            None => self.next = None,
        }
        task.is_some()
    }
}

impl Net {
    fn drive(
        &mut self,
        engine: &mut Engine,
        signals: &Signals,
        show: &mut dyn FnMut(Told),
        mut tasks: Tasks<'_>,
    ) -> Result<()> {
        let Net { http, clock, runtime, answers_in, answers, outstanding, done, interrupted } = self;
        runtime.block_on(async {
            engine.handle_input(Input::Tick, clock.now_ms());
            let mut done_of_these = tasks.ids.intersection(done).count();
            loop {
                if done_of_these >= tasks.enough && !tasks.begin(engine) {
                    return Ok(());
                }
                if !*interrupted && signals.first().is_some() {
                    *interrupted = true;
                    engine.handle_input(Input::Interrupt, clock.now_ms());
                }
                let wanted_ms = match engine.poll_output() {
                    Output::Event(told) => {
                        show(told);
                        continue;
                    }
                    Output::Done(task) => {
                        done_of_these += usize::from(done.insert(task) && tasks.ids.contains(&task));
                        continue;
                    }
                    Output::Send(call, request) => {
                        *outstanding += 1;
                        let lost = Answer::Lost("the request was given up inside".into());
                        let mut report = Report::new(answers_in, Input::Answer(call, lost));
                        let http = http.clone();
                        tokio::spawn(async move {
                            report.send(Input::Answer(call, http.send(request).await));
                        });
                        continue;
                    }
                    Output::Place(call, place, asked) => {
                        *outstanding += 1;
                        let failed = PlaceReply::Failed("the call was given up inside".into());
                        let mut report = Report::new(answers_in, Input::Placed(call, failed));
                        // A disk may keep one waiting, and the lease has to be kept meanwhile.
                        std::thread::spawn(move || {
                            report.send(Input::Placed(call, Files.answer(&place, asked)));
                        });
                        continue;
                    }
                    Output::WaitUntil(_) | Output::Idle
                        if *outstanding + engine.waiting_for_accounts() < IN_FLIGHT_MAX
                            && tasks.begin(engine) =>
                    {
                        continue;
                    }
                    Output::WaitUntil(at_ms) => Some(at_ms),
                    Output::Idle if *outstanding == 0 => bail!("the engine is idle, no answer is under way"),
                    Output::Idle => None,
                };
                let alarm = async {
                    match wanted_ms {
                        Some(at_ms) => tokio::time::sleep(clock.until(at_ms)).await,
                        None => std::future::pending().await,
                    }
                };
                let signal = async {
                    match *interrupted {
                        false => signals.wait().await,
                        true => std::future::pending().await,
                    }
                };
                let first = tokio::select! {
                    answer = answers.recv() => answer,
                    () = alarm => None,
                    _ = signal => None,
                };
                let now_ms = clock.now_ms();
                match first {
                    None => engine.handle_input(Input::Tick, now_ms),
                    Some(answer) => {
                        *outstanding -= 1;
                        engine.handle_input(answer, now_ms);
                        while let Ok(answer) = answers.try_recv() {
                            *outstanding -= 1;
                            engine.handle_input(answer, now_ms);
                        }
                    }
                }
            }
        })
    }
}

/// Reports an answer exactly once, also when whoever carries the request out panics: a run must not wait for ever.
struct Report {
    answers: mpsc::UnboundedSender<Input>,
    /// What is reported if nothing else is.
    given_up: Option<Input>,
}

impl Report {
    fn new(answers: &mpsc::UnboundedSender<Input>, given_up: Input) -> Report {
        Report { answers: answers.clone(), given_up: Some(given_up) }
    }

    fn send(&mut self, answer: Input) {
        if self.given_up.take().is_some() {
            // Nobody listens once the driver is gone, and then nobody cares.
            let _ = self.answers.send(answer);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(given_up) = self.given_up.take() {
            let _ = self.answers.send(given_up);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::api::ApiRequest;
    use crate::model::call::{Api, Failed, Get};
    use crate::shell::http::HttpOptions;
    use crate::shell::in_process::Simulator;
    use crate::shell::serve::serve_on;
    use crate::shell::test_support::{Scripted, block_on, connection, json_reply};
    use crate::shell::via::Via;
    use serde_json::json;
    use std::cell::Cell;
    use std::time::Duration;

    const START_MS: u64 = 1_790_000_000_000;

    fn vendors(request: &ApiRequest, _: u64) -> Answer {
        match request.path.as_str() {
            "/oauth/token" => json_reply(200, &json!({ "access_token": "token-value", "expires_in": 86400 })),
            path => json_reply(200, &json!({ "host": request.host, "path": path })),
        }
    }

    async fn two_reads(port: Port) -> Vec<Result<String, Failed>> {
        let reads = [Get::whole(Api::Auth0, "/api/v2/branding"), Get::whole(Api::Verify, "/v2/Services")];
        let mut results = Vec::new();
        for get in &reads {
            results.push(
                port.reader().get(get).await.map(|json| json["host"].as_str().unwrap_or_default().to_owned()),
            );
        }
        results
    }

    fn in_process(signals: &Signals) -> Driver<'static> {
        let world: Rc<RefCell<dyn Simulator>> = Rc::new(RefCell::new(Scripted::new(vendors)));
        let transport = Transport::InProcess(InProcess::new(world, START_MS));
        Driver::new(transport, 7, signals.clone(), |_| {}).expect("driver")
    }

    /// Serves [`vendors`] from another thread for at most ten seconds; returns a transport to it.
    fn network() -> Transport {
        let (tell, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback port");
                tell.send(listener.local_addr().expect("bound").port()).expect("test waits");
                let world = Rc::new(RefCell::new(Scripted::new(vendors)));
                let stop = tokio::time::sleep(Duration::from_secs(10));
                serve_on(listener, world, None, stop).await;
            });
        });
        let url = format!("http://127.0.0.1:{}", port.recv().expect("port"));
        let via = Some(Via::parse(&url, false).expect("loopback"));
        Transport::Http(Http::new(&HttpOptions { via, ..HttpOptions::default() }).expect("client"))
    }

    #[test]
    fn a_task_gives_its_result_over_either_transport() {
        for transport in [
            network(),
            Transport::InProcess(InProcess::new(Rc::new(RefCell::new(Scripted::new(vendors))), START_MS)),
        ] {
            let mut requests = 0;
            let mut driver = Driver::new(transport, 7, Signals::silent(), |told| {
                requests += usize::from(matches!(told.event, Event::Request { .. }));
            })
            .expect("driver");
            let tenants = [driver.connect(connection()), driver.connect(connection())];
            let one = driver.run(tenants[0], two_reads).expect("ends");
            let hosts = vec![Ok("acme.auth0.example".to_owned()), Ok("verify.twilio.com".to_owned())];
            assert_eq!(one, hosts);
            let both =
                driver.run_each(tenants.map(|one| (one, ())), |(), port| two_reads(port)).expect("ends");
            assert_eq!(both, [hosts.clone(), hosts]);
            assert_eq!(driver.signal(), None);
            drop(driver);
            // Three tasks with two reads each, and a token for each of the two tenants.
            assert_eq!(requests, 8);
        }
    }

    /// All tenants share one Twilio account, so that their calls wait for each other.
    #[test]
    fn the_work_of_the_engine_grows_with_the_tenants_and_not_with_their_square() {
        let work = |count: usize| {
            let mut driver = in_process(&Signals::silent());
            let tenants: Vec<_> = (0..count).map(|_| (driver.connect(connection()), ())).collect();
            let read = driver.run_each(tenants, |(), port| two_reads(port)).expect("ends");
            assert!(read.iter().flatten().all(Result::is_ok));
            driver.engine().work()
        };
        let (few, many) = (work(20), work(200));
        assert!(many <= 11 * few, "20 tenants: {few} looks at tasks and calls, 200: {many}");
    }

    /// What a task has read stays in memory until its end, so a thousand tenants are not read all at once: neither side by
    /// side, nor while they wait for the account that all of them share.
    #[test]
    fn no_more_tasks_are_under_way_than_the_network_has_room_for() {
        for get in [Get::whole(Api::Auth0, "/api/v2/branding"), Get::whole(Api::Verify, "/v2/Services")] {
            let mut driver = Driver::new(network(), 7, Signals::silent(), |_| {}).expect("driver");
            let tenants: Vec<_> =
                (0..3 * IN_FLIGHT_MAX).map(|_| (driver.connect(connection()), get.clone())).collect();
            let count = tenants.len();
            let (under_way, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let read = driver.run_each(tenants, |get, port| {
                let (under_way, most) = (under_way.clone(), most.clone());
                under_way.set(under_way.get() + 1);
                most.set(most.get().max(under_way.get()));
                async move {
                    let read = port.reader().get(&get).await;
                    under_way.set(under_way.get() - 1);
                    read.is_ok()
                }
            });
            assert_eq!(read.expect("ends"), vec![true; count]);
            assert!((2..=IN_FLIGHT_MAX + 1).contains(&most.get()), "{}: {} under way", get.path, most.get());
        }
    }

    #[test]
    fn sleeping_takes_virtual_time_only() {
        let mut driver = in_process(&Signals::silent());
        let tenant = driver.connect(connection());
        driver.run(tenant, |port| async move { port.reader().sleep_ms(86_400_000).await }).expect("ends");
        assert_eq!(driver.now_ms(), START_MS + 86_400_000);
    }

    #[test]
    fn a_signal_reaches_the_task_and_is_remembered() {
        for network_too in [false, true] {
            let signals = Signals::silent();
            let mut driver = if network_too {
                Driver::new(network(), 7, signals.clone(), |_| {}).expect("driver")
            } else {
                in_process(&signals)
            };
            let tenant = driver.connect(connection());
            let raise = signals.clone();
            let results = driver
                .run(tenant, move |port| async move {
                    raise.raise(Signal::Terminate);
                    // The signal comes from outside the engine, which sees it only in its next turn.
                    port.reader().sleep_ms(5_000).await;
                    two_reads(port).await
                })
                .expect("ends");
            assert_eq!(results, [Err(Failed::Stopped), Err(Failed::Stopped)]);
            assert_eq!(driver.signal().map(Signal::exit_code), Some(143));
        }
    }

    #[test]
    fn a_task_without_an_end_is_an_error_and_no_hang() {
        for transport in [true, false] {
            let mut driver = if transport {
                Driver::new(network(), 7, Signals::silent(), |_| {}).expect("driver")
            } else {
                in_process(&Signals::silent())
            };
            let tenant = driver.connect(connection());
            let result = driver.run(tenant, |_| std::future::pending::<()>());
            assert!(result.is_err());
        }
    }
}

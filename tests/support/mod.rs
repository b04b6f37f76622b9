//! One stack on the twin, driven as the program drives it, in virtual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use lockstep::engine::apply::{Outcome, Wishes};
use lockstep::engine::observe::{Observation, Session, observe};
use lockstep::engine::reconcile::{Decision, Report, reconcile};
use lockstep::engine::store::Store;
use lockstep::engine::{Connection, Engine, Grant, TwilioAuth};
use lockstep::manifest::{FileError, Sources};
use lockstep::model::call::Failed;
use lockstep::model::manifest::Manifest;
use lockstep::model::place::{Place, PlaceCall, PlaceReply};
use lockstep::model::plan::Purpose;
use lockstep::model::random::Entropy;
use lockstep::model::scrub::Scrubber;
use lockstep::model::secret::{Origin, Secret};
use lockstep::plan::desired;
pub use lockstep::plan::desired::tables;
use lockstep::port::Port;
use lockstep::shell::in_process::{Ended, InProcess, Simulator, Stop, run_virtual};
use lockstep::shell::ledger_file::Places;
use lockstep::twin::{LogEntry, Options, Rate, Twin};

pub const DOMAIN: &str = "acme-dev.eu.auth0.com";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// 2026-11-20T00:00:00Z.
pub const START_MS: u64 = 1_795_132_800_000;

/// Values of the environment that the test manifests use.
pub fn env() -> BTreeMap<String, String> {
    [
        ("AUTH0_DOMAIN", DOMAIN),
        ("AUTH0_CLIENT_ID", "client-id-of-the-tests"),
        ("AUTH0_CLIENT_SECRET", "Auth0-Client-Secret-7f1c9b"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_API_KEY", "SK00000000000000000000000000000001"),
        ("TWILIO_API_SECRET", "Twilio-Api-Secret-3d9a42"),
        ("TWILIO_SENDER_KEY", "SK000000000000000000000000000000ab"),
        ("TWILIO_SENDER_SECRET", "Twilio-Sender-Secret-b81e66"),
        ("FEEDBACK_SECRET", "Feedback-Secret-5c07aa"),
        ("TWILIO_FEEDBACK_KEY", "SK000000000000000000000000000000cd"),
        ("TWILIO_FEEDBACK_SECRET", "Twilio-Feedback-Secret-41d7e0"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// A user's own code, which may read any secrets: the path and the text of each file.
const OWN_CODE: [(&str, &str); 4] = [
    (
        "./own.js",
        "exports.onExecuteCustomPhoneProvider = async (event, api) => { api.notification.drop('x'); };\n",
    ),
    ("./legacy.js", "exports.onExecuteSendPhoneMessage = async (event, api) => {};\n"),
    (
        "./both.js",
        "exports.onExecuteCustomPhoneProvider = async (event, api) => {};\n\
         exports.onExecuteSendPhoneMessage = async (event, api) => {};\n",
    ),
    // It passes a rate limit by itself.
    (
        "./limits.js",
        "const RATE_LIMITS = {\"per_user\":\"user\"}; // lockstep:rate-limits\n\
         exports.onExecuteCustomPhoneProvider = async (event, api) => { api.notification.drop(`${RATE_LIMITS}`); };\n",
    ),
];

struct Env<'a>(&'a BTreeMap<String, String>);

impl Sources for Env<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        let found = OWN_CODE.iter().find(|(name, _)| *name == path);
        found.map(|(_, code)| (*code).to_owned()).ok_or(FileError::Missing)
    }
}

/// Parses and resolves a manifest; panics with the drawn problems if it is refused.
pub fn manifest_of(text: &str, env: &BTreeMap<String, String>) -> Manifest {
    desired::manifest("test.yaml", text, &Env(env))
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)))
}

/// All problems of a manifest as text, one a line. If the text cannot be read as a manifest, the report of that.
pub fn problems_of(text: &str, env: &BTreeMap<String, String>) -> String {
    let parsed = match lockstep::manifest::read("test.yaml", text, &tables()) {
        Ok(parsed) => parsed,
        Err(rejected) => return rejected.render(false),
    };
    let missing = lockstep::manifest::Missing::Error;
    let examined = lockstep::manifest::examine(&parsed, &Env(env), missing, &lockstep::kinds::check);
    let said = examined.diagnostics.iter().map(|one| {
        let problem = &one.problem;
        format!("{}: {}: {} ({})", problem.path, problem.title, problem.reason, problem.help)
    });
    said.collect::<Vec<_>>().join("\n")
}

/// The quickstart with the code that needs a package, Twilio's helper.
pub fn quickstart_with_helper() -> String {
    let quickstart = include_str!("../../manifests/quickstart.yaml");
    let (code, runtime) = ("builtin:twilio-verify-fetch", "  runtime: node22\n");
    assert!(quickstart.contains(code) && quickstart.contains(runtime), "{quickstart}");
    quickstart
        .replace(code, "builtin:twilio-verify")
        .replace(runtime, &format!("{runtime}  dependencies:\n    twilio: 6.2.0\n"))
}

/// The core stack of the quickstart, with the policy switched on, a secret for the stream, and a package.
pub fn core_manifest() -> String {
    quickstart_with_helper()
        .replace("  # policy: always ", "  policy: always ")
        .replace("${generated.feedback} ", "${env.FEEDBACK_SECRET} ")
}

/// The core stack with the Function as the receiver.
pub fn function_manifest() -> String {
    let function = "\
feedback:
  function:
    code: builtin:verify-feedback
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
";
    let core = core_manifest();
    let is_endpoint = |line: &str| line.starts_with("    endpoint: https://acme-feedback.example/auth0-logs");
    assert_eq!(core.lines().filter(|line| is_endpoint(line)).count(), 1, "the quickstart has one endpoint");
    let without: String =
        core.lines().filter(|line| !is_endpoint(line)).map(|line| format!("{line}\n")).collect();
    without.replace("feedback:\n", function)
}

/// Options of a twin whose time is easy to count: no rate limit, 50 ms for each request.
pub fn options() -> Options {
    Options { rate: Rate::Unlimited, ..Options::default() }
}

/// An array of tests, each with its name.
macro_rules! courses {
    ($($test:ident),* $(,)?) => { [$((stringify!($test), $test as fn())),*] };
}
pub(crate) use courses;

/// Wraps a simulator, so that something stands between it and the engine.
pub type Between = Rc<dyn Fn(Rc<RefCell<dyn Simulator>>) -> Rc<RefCell<dyn Simulator>>>;

thread_local! {
    static BETWEEN: RefCell<Option<Between>> = const { RefCell::new(None) };
}

/// From now on, the simulators of this thread's stacks are wrapped with it.
pub fn listen(between: Option<Between>) {
    BETWEEN.with(|slot| *slot.borrow_mut() = between);
}

/// Places of records in memory.
#[derive(Default)]
pub struct Memory {
    pub contents: BTreeMap<Place, String>,
    pub saves: usize,
    /// Somebody else, called before every write of ours with its number.
    pub meddle: Option<Meddle>,
    /// The write of that number takes effect and is answered as failed.
    pub fails: usize,
}

type Meddle = Box<dyn FnMut(&mut BTreeMap<Place, String>, usize)>;

impl Places for Memory {
    fn answer(&mut self, place: &Place, call: PlaceCall) -> PlaceReply {
        let reads = call == PlaceCall::Load;
        if !reads {
            self.saves += 1;
            if let Some(meddle) = &mut self.meddle {
                meddle(&mut self.contents, self.saves);
            }
        }
        let reply = call.on(self.contents.get(place).cloned().into());
        if let PlaceReply::Stands(now) = &reply {
            self.contents.remove(place);
            self.contents.extend(now.text.clone().map(|text| (place.clone(), text)));
        }
        if !reads && self.saves == self.fails {
            return PlaceReply::Failed("the disk hummed".into());
        }
        reply
    }
}

/// The record of a test that keeps it in a file.
pub fn ledger_file() -> Place {
    Place("ledger.json".into())
}

/// The transport to a simulator, with the clock at `now_ms`.
pub fn way_to(simulator: Rc<RefCell<dyn Simulator>>, now_ms: u64) -> InProcess {
    let between = BETWEEN.with(|slot| slot.borrow().clone());
    InProcess::new(between.map_or(simulator.clone(), |between| between(simulator)), now_ms)
}

/// Reconciles as `apply --yes` does.
pub async fn reconciled(session: Session, port: Port) -> Result<Report, Failed> {
    reconcile(session, Wishes::default(), |_| Decision::Apply.into(), &port).await
}

/// A tenant and an account, their manifest, and a clock.
pub struct Stack {
    pub twin: Rc<RefCell<Twin>>,
    pub in_process: InProcess,
    /// Where [`Store::File`] leads.
    pub files: Rc<RefCell<Memory>>,
    pub env: BTreeMap<String, String>,
    pub text: String,
    pub store: Store,
    pub runs: u8,
    pub lease_ttl_ms: u64,
    pub allow_delete: bool,
    pub purpose: Purpose,
    /// As `--watch` says.
    pub watch_ms: Option<u64>,
    /// What `rotate` makes anew.
    pub rotate: std::collections::BTreeSet<String>,
    /// The ids that `--delete ID` names.
    pub named: std::collections::BTreeSet<String>,
}

impl Stack {
    pub fn new(options: Options, text: impl Into<String>) -> Stack {
        let twin = Rc::new(RefCell::new(Twin::new(options, 7)));
        Stack {
            in_process: way_to(twin.clone(), START_MS),
            twin,
            files: Rc::default(),
            env: env(),
            text: text.into(),
            store: Store::Tenant,
            runs: 0,
            lease_ttl_ms: 20_000,
            allow_delete: false,
            purpose: Purpose::Apply,
            watch_ms: None,
            rotate: Default::default(),
            named: Default::default(),
        }
    }

    /// The core stack on an empty tenant.
    pub fn core() -> Stack {
        Stack::new(options(), core_manifest())
    }

    pub fn session(&mut self, destroy: bool) -> Session {
        self.runs += 1;
        Session {
            manifest: Rc::new(manifest_of(&self.text, &self.env)),
            tenant: self.env["AUTH0_DOMAIN"].clone(),
            account: self.env["TWILIO_ACCOUNT_SID"].clone(),
            store: self.store.clone(),
            entropy: Entropy([self.runs; 32]),
            rounds: 2,
            lease_ttl_ms: self.lease_ttl_ms,
            who: format!("tester@tests pid {}", self.runs),
            revision: "r1".into(),
            destroy,
            rollback: false,
            handed_on: Default::default(),
            allow_delete: destroy || self.allow_delete,
            named: self.named.clone(),
            purpose: self.purpose,
            watch_ms: self.watch_ms,
            only_run: None,
            rotate: self.rotate.clone(),
        }
    }

    pub fn connection(&self) -> Connection {
        let secret = |name: &str| Secret::new(&*self.env[name], Origin::Person);
        let mut scrubber = Scrubber::default();
        scrubber.learn(&secret("AUTH0_CLIENT_SECRET"));
        scrubber.learn_pair(&self.env["TWILIO_API_KEY"], &secret("TWILIO_API_SECRET"));
        let domain = self.env["AUTH0_DOMAIN"].clone();
        Connection {
            audience: format!("https://{domain}/api/v2/"),
            domain,
            client_id: self.env["AUTH0_CLIENT_ID"].clone(),
            grant: Grant::ClientSecret(secret("AUTH0_CLIENT_SECRET")),
            account_sid: self.env["TWILIO_ACCOUNT_SID"].clone(),
            twilio: TwilioAuth::Key {
                sid: self.env["TWILIO_API_KEY"].clone(),
                secret: secret("TWILIO_API_SECRET"),
            },
            scrubber: Rc::new(scrubber),
            share_percent: 80,
        }
    }

    /// Runs one task as a process of its own; `None` if the process was killed.
    pub fn process<T, F>(&mut self, stop: Stop, make: impl FnOnce(Port) -> F) -> Option<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        self.in_process.restart(stop);
        self.in_process.places = self.files.clone();
        let mut engine = Engine::new(self.in_process.now_ms(), u64::from(self.runs));
        let tenant = engine.connect(self.connection());
        let slot = Rc::new(RefCell::new(None));
        let result = slot.clone();
        let task = engine.spawn(tenant, |port| {
            let future = make(port);
            async move {
                let value = future.await;
                *result.borrow_mut() = Some(value);
            }
        });
        match run_virtual(&mut engine, &mut self.in_process, &[task]) {
            Ended::Done => Some(slot.take().expect("a finished task has a result")),
            Ended::Killed => None,
            Ended::Stuck(seen) => panic!("stuck: {seen}"),
        }
    }

    /// Observes as `plan` and `drift` do.
    pub fn try_observe(&mut self, destroy: bool) -> Result<Observation, Failed> {
        let session = self.session(destroy);
        self.process(Stop::default(), |port| async move { observe(&session, &port.reader()).await })
            .expect("not killed")
    }

    pub fn observe(&mut self) -> Observation {
        self.try_observe(false).unwrap_or_else(|failed| panic!("{failed}"))
    }

    /// Runs [`reconciled`]; `None` if it was killed.
    pub fn apply_until(&mut self, stop: Stop, destroy: bool) -> Option<Outcome> {
        let session = self.session(destroy);
        self.process(stop, |port| async move {
            reconciled(session, port).await.unwrap_or_else(|failed| panic!("{failed}")).outcome
        })
    }

    pub fn apply(&mut self) -> Outcome {
        self.apply_until(Stop::default(), false).expect("not killed")
    }

    /// Applies and expects success.
    pub fn applied(&mut self) -> Outcome {
        let outcome = self.apply();
        assert_eq!(outcome.ended, lockstep::engine::apply::Ended::Done, "{outcome:?}");
        outcome
    }

    /// The requests since a position in the log.
    pub fn log_since(&self, from: usize) -> Vec<LogEntry> {
        self.twin.borrow().log()[from..].to_vec()
    }

    /// Length of the log.
    pub fn mark(&self) -> usize {
        self.twin.borrow().log().len()
    }

    /// The world as plain data, without what reading alone changes (tokens, drawn ids).
    pub fn world(&self) -> serde_json::Value {
        let mut world = self.twin.borrow().to_json()["world"].take();
        world["ids"] = serde_json::Value::Null;
        for tenant in world["tenants"].as_object_mut().into_iter().flat_map(|tenants| tenants.values_mut()) {
            tenant["tokens"] = serde_json::Value::Null;
        }
        world
    }
}

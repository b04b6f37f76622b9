//! The loop of `lockstep twin --login`: a person signs in at a simulated tenant, deployed code runs, messages appear on a
//! phone, and feedback goes back.
//!
//! ```text
//! browser ─► front ─► Action (child process) ─► Verify of the twin ─► phone of the page
//!              └─► tenant log ─► log stream ─► Function (child process) ─► Verify: approved
//! ```

mod app;
mod function;
mod key;
mod page;
mod phone;
mod streams;
mod switches;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;
use lockstep_front::{Ask, Front, Ran, Reply, Run, Step};
use lockstep_twin::Twin;
use lockstep_twin::clock::iso_millis;
use lockstep_twin::world::User;
use serde_json::{Map, Value as Json, json};

use super::clock::Clock;
use super::code::{self, Call, Failure, Runner, Source};
use crate::model::secret::{Origin, Secret};
use crate::model::text::line;

pub use self::page::{PREFIX, is_asked};

/// What a person needs to sign in.
#[derive(Clone, Debug)]
pub struct Person {
    pub email: String,
    pub password: String,
}

/// The loop of one served twin.
pub struct Loop {
    twin: Rc<RefCell<Twin>>,
    front: RefCell<Front>,
    runner: Runner,
    clock: Clock,
    /// How far the world's clock is ahead of the wall clock.
    ahead_ms: Cell<u64>,
    /// Address of the twin in clear text.
    origin: String,
    /// The tenant of the page.
    domain: String,
    switches: RefCell<switches::Switches>,
    phone: RefCell<phone::Phone>,
    app: RefCell<app::App>,
    /// How many entries of each tenant's log were handed to its streams.
    told: RefCell<BTreeMap<String, usize>>,
    /// Batches go out one after the other.
    delivery: tokio::sync::Mutex<()>,
}

impl Loop {
    /// A loop over a twin that is served at this port. Makes the user and the application of the page.
    ///
    /// # Errors
    /// The runner cannot be made.
    pub async fn start(twin: Rc<RefCell<Twin>>, port: u16, ca_file: &Path) -> Result<(Rc<Loop>, Person)> {
        let clock = Clock::start();
        let ahead_ms = twin.borrow().clock_ms.saturating_sub(clock.now_ms());
        let origin = format!("http://127.0.0.1:{port}");
        let cache = code::default_cache(|name| std::env::var_os(name));
        let cache = cache.unwrap_or_else(|| std::env::temp_dir().join("lockstep"));
        let runner = Runner::new(code::Options::new(port, ca_file.to_owned(), cache));
        let signer = key::signer().await;
        let domain = twin.borrow().world.tenants.keys().next().cloned();
        let domain = domain.unwrap_or_else(|| "acme-dev.eu.auth0.com".to_owned());
        let person = settle(&mut twin.borrow_mut(), &domain, &origin, clock.now_ms() + ahead_ms);
        let told =
            twin.borrow().world.tenants.iter().map(|(name, one)| (name.clone(), one.logs.len())).collect();
        let made = Loop {
            twin,
            front: RefCell::new(Front::new(signer)),
            runner,
            clock,
            ahead_ms: Cell::new(ahead_ms),
            origin,
            domain,
            switches: RefCell::default(),
            phone: RefCell::default(),
            app: RefCell::default(),
            told: RefCell::new(told),
            delivery: tokio::sync::Mutex::new(()),
        };
        Ok((Rc::new(made), person))
    }

    /// Time of the world, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms() + self.ahead_ms.get()
    }

    /// Lets time pass in the world.
    fn pass(&self, ms: u64) {
        self.ahead_ms.set(self.ahead_ms.get().saturating_add(ms));
        self.hop(&format!("{} minutes pass", ms / 60_000), None);
    }

    fn hop(&self, what: &str, failure: Option<String>) {
        let at_ms = self.now_ms();
        self.front.borrow_mut().hop(at_ms, what, failure);
    }

    /// Whether a request to this host is for the loop and not for an API.
    pub fn serves(&self, ask: &Ask) -> bool {
        Front::serves(ask) || function::find(&self.twin.borrow(), &ask.host).is_some()
    }

    /// Answers a request for which [`Loop::serves`] holds.
    pub async fn answer(self: &Rc<Self>, ask: &Ask) -> Reply {
        if function::find(&self.twin.borrow(), &ask.host).is_some() {
            return self.call_function(ask).await;
        }
        self.front(ask).await
    }

    /// Lets the front answer; what has to run runs in between.
    async fn front(self: &Rc<Self>, ask: &Ask) -> Reply {
        let mut step = self.front.borrow_mut().handle(&mut self.twin.borrow_mut(), ask, self.now_ms());
        loop {
            self.streams();
            match step {
                Step::Reply(reply) => return reply,
                Step::Run(run) => {
                    let ran = self.run(&run).await;
                    self.look_at_phone();
                    let now_ms = self.now_ms();
                    step = self.front.borrow_mut().ran(&mut self.twin.borrow_mut(), &run, &ran, now_ms);
                }
            }
        }
    }

    /// Runs a deployed version of an Action.
    async fn run(&self, run: &Run) -> Ran {
        let sends = run.handler != "onExecutePostLogin";
        let throws = sends && self.switches.borrow().action_throws;
        let version = &run.version;
        let source = match throws {
            false => Source {
                version: version.id.clone(),
                code: version.code.clone(),
                dependencies: pairs(&version.dependencies),
            },
            true => Source {
                version: format!("{}-throws", version.id),
                code: format!(
                    "exports.{} = async () => {{ throw new Error('the switch of the page lets it throw'); }};",
                    run.handler
                ),
                dependencies: Vec::new(),
            },
        };
        let secrets = version.secrets.iter();
        let secrets =
            secrets.map(|one| (one.name.clone(), Secret::new(one.value.clone(), Origin::Person))).collect();
        let call = Call::Action { handler: run.handler.to_owned(), event: run.event.clone(), secrets };
        let ran = self.runner.run(&source, call).await;
        if !ran.console.is_empty() {
            self.hop(&format!("console of {:?}: {}", run.action, ran.console), None);
        }
        Ran { error: ran.outcome.err().map(|failure| words(&failure)), commands: ran.commands, ms: ran.ms }
    }

    /// Ends all child processes.
    pub async fn end(&self) {
        self.runner.end().await;
    }
}

fn pairs(dependencies: &[lockstep_twin::world::Dependency]) -> Vec<(String, String)> {
    dependencies.iter().map(|one| (one.name.clone(), one.version.clone())).collect()
}

/// Class and message of what went wrong.
fn words(failure: &Failure) -> (String, String) {
    let of = |class: &str, message: &str| (class.to_owned(), message.to_owned());
    match failure {
        Failure::Threw { class, message } => of(class, message),
        Failure::TimedOut(_) => of("TimeoutError", &failure.to_string()),
        Failure::Ended(why) => of("ProcessEnded", why),
        Failure::NoNode(why) => of("NoNode", why),
        Failure::Install(why) => of("NotInstalled", why),
    }
}

/// The client id of the page's own application.
const CLIENT: &str = "lockstep-twin-sample";

/// Makes a user of the tenant, if there is none, and the application of the page.
fn settle(twin: &mut Twin, domain: &str, origin: &str, now_ms: u64) -> Person {
    // Keys that a manifest makes up are of no account; in a world with one account, they are of that one.
    let mut accounts = twin.world.accounts.keys();
    if let (None, Some(one), None) = (&twin.options.default_account, accounts.next(), accounts.next()) {
        twin.options.default_account = Some(one.clone());
    }
    let tenant = twin.tenant_mut(domain);
    if tenant.users.is_empty() {
        tenant.users.push(User {
            user_id: "auth0|twin1".into(),
            email: "jo@acme.example".into(),
            password: "twin-password".into(),
            name: "Jo".into(),
            phone: None,
            roles: Vec::new(),
            created_at: iso_millis(now_ms),
        });
    }
    let home = format!("{origin}{PREFIX}");
    let client = json!({
        "client_id": CLIENT,
        "name": "Lockstep twin, sample application",
        "app_type": "spa",
        "callbacks": [format!("{home}/done")],
        "allowed_logout_urls": [format!("{home}/app")],
        "web_origins": [origin],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "oidc_conformant": true,
    });
    tenant.clients.insert(CLIENT.into(), client.as_object().cloned().unwrap_or_default());
    let user = &tenant.users[0];
    // A world file may come from others, and this is printed.
    Person { email: line(&user.email), password: line(&user.password) }
}

/// How to serve `examples/spa` for the applications that manifests made for it (`sample_client`). They have a mark.
pub fn samples(twin: &Twin) -> Vec<String> {
    let mut lines = Vec::new();
    for (domain, tenant) in &twin.world.tenants {
        let mark = |client: &Map<String, Json>| client.get("client_metadata")?.get("lockstep_stack").cloned();
        let marked = tenant.clients.iter().filter(|(_, client)| mark(client).is_some());
        lines.extend(marked.map(|(id, client)| {
            let callback = client.get("callbacks").and_then(|list| list.get(0));
            let url = callback.and_then(Json::as_str).unwrap_or_default();
            let command = format!("node serve.mjs --domain {} --client-id {}", line(domain), line(id));
            format!("  or in examples/spa, for {}: {command}", line(url))
        }));
    }
    lines
}

/// What `--login` runs, for people to know before it does.
pub fn code_that_runs(twin: &Twin) -> Vec<String> {
    let mut lines = vec!["runs deployed code on this machine, in child processes of Node.js:".to_owned()];
    for (domain, tenant) in &twin.world.tenants {
        let live = tenant.actions.iter().filter(|action| action.live_version().is_some());
        lines.extend(live.map(|action| format!("  the Action {} of {}", line(&action.name), line(domain))));
    }
    for account in twin.world.accounts.values() {
        for service in &account.serverless_services {
            let deployed = service.environments.iter().any(|one| one.build_sid.is_some());
            let functions = service.functions.iter().filter(|_| deployed);
            lines.extend(functions.map(|one| {
                format!("  the Function {} of {}", line(&one.friendly_name), line(&service.unique_name))
            }));
        }
    }
    if lines.len() == 1 {
        lines.push("  nothing is deployed yet".to_owned());
    }
    lines
}

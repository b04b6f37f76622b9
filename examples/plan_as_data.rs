//! A plan is a value: read two APIs (here the twin), plan, and look at the plan as data. No write is sent.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::observe::{Session, observe};
use lockstep::engine::store::Store;
use lockstep::engine::{Connection, Engine, Grant, TwilioAuth};
use lockstep::kinds;
use lockstep::manifest::{self, FileError, Missing, Sources, Tables};
use lockstep::model::plan::Purpose;
use lockstep::model::random::Entropy;
use lockstep::model::scrub::Scrubber;
use lockstep::model::secret::{Origin, Secret};
use lockstep::shell::in_process::{InProcess, run_virtual};
use lockstep::twin::{Options, Twin};

/// Where references get their values from; here everything is made up.
struct MadeUp;

impl Sources for MadeUp {
    fn env(&self, name: &str) -> Option<String> {
        Some(match name {
            "AUTH0_DOMAIN" => "acme-dev.eu.auth0.com".into(),
            "TWILIO_ACCOUNT_SID" => "AC00000000000000000000000000000001".into(),
            "TWILIO_API_KEY" => "SK00000000000000000000000000000001".into(),
            other => format!("made-up-{}", other.to_lowercase()),
        })
    }
    fn file(&self, _: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }
    fn cmd(&self, _: &str) -> Option<Result<String, String>> {
        None
    }
    fn var(&self, _: &str) -> Option<String> {
        None
    }
    fn builtin(&self, name: &str) -> Option<&'static str> {
        lockstep::builtin::source(name)
    }
}

fn main() {
    let text = include_str!("../manifests/quickstart.yaml");
    let tables = Tables::new(kinds::sections(), kinds::OUTPUTS.iter().copied());
    let (parsed, _) =
        manifest::parse("quickstart.yaml", text, &tables).unwrap_or_else(|r| panic!("{}", r.render(false)));
    let wanted =
        manifest::resolve(&parsed, &MadeUp, Missing::Error).unwrap_or_else(|r| panic!("{}", r.render(false)));

    let session = Session {
        manifest: Rc::new(wanted),
        tenant: "acme-dev.eu.auth0.com".into(),
        account: "AC00000000000000000000000000000001".into(),
        store: Store::Tenant,
        entropy: Entropy([7; 32]),
        rounds: 1000,
        lease_ttl_ms: 60_000,
        who: "example".into(),
        revision: String::new(),
        destroy: false,
        allow_delete: false,
        named: Default::default(),
        purpose: Purpose::Apply,
    };
    let connection = Connection {
        domain: session.tenant.clone(),
        audience: format!("https://{}/api/v2/", session.tenant),
        client_id: "client".into(),
        grant: Grant::ClientSecret(Secret::new("made-up", Origin::Person)),
        account_sid: session.account.clone(),
        twilio: TwilioAuth::Key {
            sid: "SK00000000000000000000000000000001".into(),
            secret: Secret::new("made-up", Origin::Person),
        },
        scrubber: Rc::new(Scrubber::default()),
        share_percent: 80,
    };

    let twin = Rc::new(RefCell::new(Twin::new(Options::default(), 1)));
    let mut world = InProcess::new(twin.clone(), 1_795_132_800_000);
    let mut engine = Engine::new(world.now_ms(), 1);
    let tenant = engine.connect(connection);
    let plan = Rc::new(RefCell::new(None));
    let slot = plan.clone();
    let task = engine.spawn(tenant, |port| async move {
        let observation = observe(&session, &port.reader()).await.expect("the twin answers");
        *slot.borrow_mut() = Some(observation.plan);
    });
    let _ended = run_virtual(&mut engine, &mut world, &[task]);

    let plan = plan.borrow_mut().take().expect("a plan");
    println!(
        "{} resources, {} steps, read with {} requests",
        plan.resources.len(),
        plan.steps.len(),
        twin.borrow().log().len()
    );
    for step in &plan.steps {
        println!("{:>2} {} {}: {}", step.number, step.verb.symbol(), step.address, step.what);
    }
    assert!(twin.borrow().log().iter().all(|entry| !entry.wrote), "a plan writes nothing");
}

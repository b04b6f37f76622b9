//! Shows that a plan is a value: reads two APIs (here the twin), plans, and looks at the plan as data. No write is
//! sent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Result, anyhow};
use lockstep::plan::desired;
use lockstep::shell::driver::Transport;
use lockstep::shell::in_process::InProcess;
use lockstep::shell::stack::{Settings, Stack};
use lockstep::twin::{Options, Twin};

/// Made-up values for the references of the manifest.
const VALUES: &[(&str, &str)] = &[
    ("AUTH0_DOMAIN", "acme-dev.eu.auth0.com"),
    ("AUTH0_CLIENT_ID", "made-up-client"),
    ("AUTH0_CLIENT_SECRET", "made-up-client-secret"),
    ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
    ("TWILIO_API_KEY", "SK00000000000000000000000000000001"),
    ("TWILIO_API_SECRET", "made-up-api-secret"),
    ("TWILIO_SENDER_KEY", "SK000000000000000000000000000000ab"),
    ("TWILIO_SENDER_SECRET", "made-up-sender-secret"),
];

fn main() -> Result<()> {
    let values: BTreeMap<String, String> =
        VALUES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let text = include_str!("../manifests/quickstart.yaml");
    let manifest = desired::manifest("quickstart.yaml", text, &values)
        .map_err(|rejected| anyhow!(rejected.render(false)))?;

    // `Transport::Http` leads to the real APIs.
    let twin = Rc::new(RefCell::new(Twin::new(Options::default(), 1)));
    let transport = Transport::InProcess(InProcess::new(twin.clone(), 1_795_132_800_000));
    let plan = Stack::of(manifest, transport, Settings::default())?.plan()?;

    for step in &plan.steps {
        println!("{:>2} {} {}: {}", step.number, step.verb.symbol(), step.address, step.what);
    }
    println!("{} steps, read with {} requests", plan.steps.len(), twin.borrow().log().len());
    assert!(twin.borrow().log().iter().all(|entry| !entry.wrote), "a plan writes nothing");
    Ok(())
}

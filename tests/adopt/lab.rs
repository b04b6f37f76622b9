//! Adopts worlds of the twin by the program's code, and reads and applies what was written.

use std::collections::BTreeMap;
use std::rc::Rc;

use lockstep::adopt::{Adopted, Head, Stop, adopt};
use lockstep::engine::apply::Outcome;
use lockstep::engine::observe::{Observation, Session, observe};
use lockstep::kinds::adopting::Wish;
use lockstep::manifest::{FileError, Sources};
use lockstep::model::manifest::Manifest;
use lockstep::plan::desired;
use lockstep::shell::in_process::Stop as Kill;
use lockstep::twin::{Flag, Options, World};

use super::worlds;
use crate::support::{ACCOUNT, DOMAIN, Stack, core_manifest, options, reconciled};

pub fn head(stack: Option<&str>) -> Head {
    Head {
        stack: stack.map(str::to_owned),
        otherwise: None,
        tenant: DOMAIN.into(),
        account: ACCOUNT.into(),
        by_token: false,
        stem: "lockstep".into(),
        in_fleet: false,
    }
}

/// Options of a twin for a tenant of either phone set-up.
pub fn options_of(is_legacy: bool) -> Options {
    Options { unified_flag: if is_legacy { Flag::Off } else { Flag::On }, ..options() }
}

/// A stack on a world of its own.
pub fn stack_on(world: World, is_legacy: bool) -> Stack {
    let mut stack = Stack::new(options_of(is_legacy), core_manifest());
    stack.twin.borrow_mut().world = world;
    // Reads show what was deployed only after a while.
    stack.in_process.advance_ms(3_600_000);
    stack
}

pub fn try_adopted(stack: &mut Stack, wish: Wish, head: Head) -> Result<Adopted, Stop> {
    stack
        .process(Kill::default(), |port| async move { adopt(&wish, &head, &port.reader()).await })
        .expect("not killed")
}

pub fn adopted(stack: &mut Stack, name: &str) -> Adopted {
    try_adopted(stack, Wish::default(), head(Some(name))).unwrap_or_else(|stop| panic!("{stop:?}"))
}

/// Files and variables of an adopted manifest.
pub struct Values {
    pub env: BTreeMap<String, String>,
    pub files: BTreeMap<String, String>,
}

impl Values {
    /// The variables have the values that the secrets of the world have.
    pub fn of(adopted: &Adopted, world: &World) -> Values {
        let mut env = crate::support::env();
        for variable in &adopted.variables {
            let key: Vec<&str> = variable.key.split('.').collect();
            let value = worlds::secret(world, &key);
            env.insert(
                variable.name.clone(),
                value.unwrap_or_else(|| panic!("no value for {}", variable.key)),
            );
        }
        Values { env, files: adopted.files.clone() }
    }
}

impl Sources for Values {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        self.files.get(path.trim_start_matches("./")).cloned().ok_or(FileError::Missing)
    }
}

/// The written manifest as the program reads it.
pub fn read(text: &str, values: &Values) -> Manifest {
    desired::manifest("adopted.yaml", text, values)
        .unwrap_or_else(|rejected| panic!("{}\n{text}", rejected.render(false)))
}

/// The manifest without its pins.
pub fn without_pins(text: &str) -> String {
    let is_pin = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("sid: VA") || line.starts_with("secrets_as_of: ")
    };
    text.lines().filter(|line| !is_pin(line)).map(|line| format!("{line}\n")).collect()
}

fn session(stack: &mut Stack, manifest: Manifest) -> Session {
    Session { manifest: Rc::new(manifest), ..stack.session(false) }
}

pub fn observed(stack: &mut Stack, manifest: Manifest) -> Observation {
    let session = session(stack, manifest);
    let run = stack.process(Kill::default(), |port| async move { observe(&session, &port.reader()).await });
    run.expect("not killed").unwrap_or_else(|failed| panic!("{failed}"))
}

pub fn applied(stack: &mut Stack, manifest: Manifest) -> Outcome {
    let session = session(stack, manifest);
    let run = stack.process(Kill::default(), |port| async move { reconciled(session, port).await });
    run.expect("not killed").unwrap_or_else(|failed| panic!("{failed}")).outcome
}

/// The world of a stack, without the record and the lease of whoever made it.
pub fn without_record(stack: &Stack) -> World {
    let mut world = stack.twin.borrow().world.clone();
    for tenant in world.tenants.values_mut() {
        tenant.actions.retain(|one| !one.name.starts_with("Lockstep ledger ("));
    }
    for account in world.accounts.values_mut() {
        account.serverless_services.retain(|one| !one.unique_name.starts_with("lockstep-lease"));
    }
    world
}

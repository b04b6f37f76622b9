//! `lockstep status`: a stack on one screen.

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::drift::{verdict, word};
use super::error::Result;
use super::exit::Exit;
use super::plan::no_plan;
use super::reports::publish;
use super::setup::{Shell, ready};
use super::show::standing;
use super::sinks::{Audit, listen};
use crate::engine::lease;
use crate::engine::observe::observe;
use crate::engine::watch;
use crate::manifest::Missing;
use crate::model::call::Failed;
use crate::model::health::Verdict;
use crate::model::plan::Purpose;
use crate::report::{Content, Status};

/// Show a stack on one screen: parts, health, last run, lease, what is due
///
/// Compares the parts with the manifest as drift does, and reads what the tenant log says of the messages of the last
/// 24 hours since the running version was deployed; that needs the scope read:logs. Sends no write. The exit code is
/// that of drift, but 1 if the log blames the running version or the set-up.
///
/// Example: lockstep status manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    pub output: Output,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    ready.stack.session.allow_delete = true;
    ready.stack.session.purpose = Purpose::Show;
    let session = ready.stack.session.clone();
    let read = ready.stack.driver.run(ready.stack.tenant, move |port| async move {
        let reader = port.reader();
        let observation = observe(&session, &reader).await?;
        let health = watch::lately(&observation.seen, &reader).await?;
        let lease = lease::standing(&session.tenant, &reader).await;
        Ok::<_, Failed>((observation, health, lease))
    })?;
    let (observation, health, lease) = read.map_err(|failed| no_plan(&ready, &failed))?;
    let of_drift = verdict(&observation.plan);
    let exit = match health.verdict {
        Verdict::Failing => Exit::Failed,
        _ => of_drift,
    };
    let status = Status {
        plan: shell.scrub.plan(&observation.plan),
        running: crate::kinds::running(&observation.seen),
        health,
        lease: standing(&ready, lease),
        ledger: observation.found.ledger,
        verdict: word(of_drift),
    };
    publish(shell, Content::Status(Box::new(status)))?;
    ready.close()?;
    Ok(exit)
}

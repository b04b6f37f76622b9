//! `lockstep status`: a stack on one screen.

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::drift::{verdict, word};
use super::error::Result;
use super::exit::Exit;
use super::fleet::{self, FleetArgs};
use super::plan::no_plan;
use super::reports::publish;
use super::setup::{Shell, ready};
use super::show::standing;
use super::sinks::{Audit, listen};
use crate::engine::lease::{self, Standing};
use crate::engine::observe::{Observation, Session, observe};
use crate::engine::watch;
use crate::manifest::Missing;
use crate::model::call::Failed;
use crate::model::health::{Health, Verdict};
use crate::model::plan::Purpose;
use crate::port::Reader;
use crate::report::{Content, Status};
use crate::shell::secrets::Scrub;

/// Show a stack on one screen: parts, health, last run, lease, what is due
///
/// Compares the parts with the manifest as drift does, and reads what the tenant log says of the messages of the last
/// 24 hours since the running version was deployed; that needs the scope read:logs. Sends no write. The exit code is
/// that of drift, but 1 if the log blames the running version or the set-up. Of a fleet file it shows a line for each
/// tenant.
///
/// Example: lockstep status manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    pub output: Output,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let is_one = args.manifest.tenants.len() == 1;
    if fleet::is_fleet(args.manifest.path()) && !is_one {
        return fleet::status(&args.manifest, &args.fleet, &args.connect, shell);
    }
    if !is_one {
        args.fleet.refuse()?;
    }
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    prepare(&mut ready.stack.session);
    let session = ready.stack.session.clone();
    let read = ready.stack.driver.run(ready.stack.tenant, move |port| look(session, port.reader()))?;
    let look = read.map_err(|failed| no_plan(&ready, &failed))?;
    let (status, exit) = look.status(&shell.scrub, |failed| ready.stack.failure_in_words(failed));
    publish(shell, Content::Status(Box::new(status)))?;
    ready.close()?;
    Ok(exit)
}

/// What a status is made of.
pub struct Look {
    pub observation: Observation,
    health: Health,
    lease: std::result::Result<Option<Standing>, Failed>,
}

/// Makes a session one that reads a status.
pub fn prepare(session: &mut Session) {
    session.allow_delete = true;
    session.purpose = Purpose::Show;
}

/// Reads one stack.
pub async fn look(session: Session, reader: Reader) -> std::result::Result<Look, Failed> {
    let observation = observe(&session, &reader).await?;
    let health = watch::lately(&observation.seen, &reader).await?;
    let lease = lease::standing(&session.tenant, &reader).await;
    Ok(Look { observation, health, lease })
}

impl Look {
    /// The status, and the exit code that stands for it.
    pub fn status(self, scrub: &Scrub, in_words: impl Fn(&Failed) -> String) -> (Status, Exit) {
        let Look { observation, health, lease } = self;
        let of_drift = verdict(&observation.plan);
        let exit = match health.verdict {
            Verdict::Failing => Exit::Failed,
            _ => of_drift,
        };
        let status = Status {
            plan: scrub.plan(&observation.plan),
            running: crate::kinds::running(&observation.seen),
            health,
            lease: standing(lease, in_words),
            ledger: observation.found.ledger,
            verdict: word(of_drift),
        };
        (status, exit)
    }
}

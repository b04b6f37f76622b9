//! `lockstep doctor`: a stack looked over, with what to do next.

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::error::{Error, Result};
use super::exit::Exit;
use super::fleet;
use super::plan::unread;
use super::reports::publish;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::engine::doctor::examine;
use crate::manifest::Missing;
use crate::model::plan::{Finding, Level, Purpose};
use crate::report::Content;

/// Look a stack over: credentials, limits, builds, stream, attestations, feedback
///
/// Reads what a plan reads, and in one further trip at most eight more: account, keys, services, the summary of
/// verifications of the last 24 hours, the tenant log, and the credentials that are handed on. Sends no write and no
/// message, and prints no phone number. Each finding has a severity, a code and the next move. The exit code is 1 with an
/// error, 6 if a part could not be read, 7 with a warning, and 0 otherwise.
///
/// Example: lockstep doctor manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    pub output: Output,
    /// Warn if fewer verifications than this were completed, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=100))]
    conversion: u64,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if fleet::is_fleet(args.manifest.path()) && args.manifest.tenants.len() != 1 {
        return Err(Error::usage("doctor looks at one tenant, and the file is a fleet")
            .help("name the tenant with --tenant NAME"));
    }
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    ready.stack.session.allow_delete = true;
    ready.stack.session.purpose = Purpose::Show;
    let (session, floor) = (ready.stack.session.clone(), args.conversion);
    let read = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { examine(&session, floor, &port.reader()).await })?;
    let checkup = read.map_err(|failed| unread(&ready, &failed))?;
    let exit = exit(&checkup.findings);
    publish(shell, Content::Doctor(Box::new(checkup)))?;
    ready.close()?;
    Ok(exit)
}

/// The exit code of these findings.
fn exit(findings: &[Finding]) -> Exit {
    let has = |level: Level| findings.iter().any(|finding| finding.level == level);
    match () {
        () if has(Level::Blocker) => Exit::Failed,
        () if has(Level::NotRead) => Exit::Incomplete,
        () if has(Level::Warning) => Exit::FindingsOnly,
        () => Exit::Done,
    }
}

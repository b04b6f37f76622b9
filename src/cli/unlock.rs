//! `lockstep unlock`: shows a lease that was left behind, and releases it.

use super::args::{ConnectArgs, ManifestArgs};
use super::asker::agrees;
use super::error::Result;
use super::exit::Exit;
use super::plan::unread;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::engine::lease;
use crate::manifest::Missing;

/// Show who holds the lease of a tenant, and release it
///
/// The next run takes over a lease that a crash left behind, once the lease's time has passed; this is for those who do
/// not want to wait. Releasing the lease of a living run lets two runs interleave.
///
/// Example: lockstep unlock manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Release without asking
    #[arg(short, long)]
    yes: bool,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    let session = ready.stack.session.clone();
    let tenant = session.tenant.clone();
    let held = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { lease::standing(&tenant, &port.reader()).await })?;
    let held = match held {
        Ok(held) => held,
        Err(failed) => return Err(unread(&ready, &failed)),
    };
    let Some(held) = held else {
        shell.say.out_line(format!("the lease of {} is free", session.tenant));
        return Ok(Exit::Done);
    };
    shell
        .say
        .out_one_line(format!("the lease of {} is held by {} ({})", session.tenant, held.owner, held.sid));
    if !args.yes
        && !agrees("Release it? A run that is still alive would no longer be alone.", "not released", shell)?
    {
        return Ok(Exit::Failed);
    }
    let sid = held.sid.clone();
    let released = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { lease::delete(&sid, &port).await })?;
    if let Err(failed) = released {
        return Err(unread(&ready, &failed));
    }
    shell.say.out_line("released");
    ready.close()?;
    Ok(Exit::Done)
}

//! `lockstep show`: the ledger and the lease of a tenant.

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::error::Result;
use super::exit::Exit;
use super::plan::unread;
use super::reports::publish;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::engine::lease::{self, Standing};
use crate::manifest::Missing;
use crate::model::call::Failed;
use crate::model::plan::Purpose;
use crate::report::{Content, Lease};

/// Show the record kept in the tenant, and who holds the lease
///
/// Example: lockstep show manifests/quickstart.yaml --twin=world.json
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
    ready.stack.session.purpose = Purpose::Show;
    let session = ready.stack.session.clone();
    let result = ready.stack.driver.run(ready.stack.tenant, move |port| async move {
        let found = session.store.load(session.owner(), &port.reader(), true).await;
        let lease = lease::standing(&session.tenant, &port.reader()).await;
        (found, lease)
    })?;
    let found = match result.0 {
        Ok(found) => found,
        Err(failed) => return Err(unread(&ready, &failed)),
    };
    let lease = standing(result.1, |failed| ready.stack.failure_in_words(failed));
    publish(shell, Content::Shown { ledger: found.ledger.map(Box::new), findings: found.findings, lease })?;
    ready.close()?;
    Ok(Exit::Done)
}

/// The lease as it was read.
pub fn standing(
    read: std::result::Result<Option<Standing>, Failed>,
    in_words: impl Fn(&Failed) -> String,
) -> Lease {
    match read {
        Ok(None) => Lease::Free,
        Ok(Some(lease)) => Lease::Held { sid: lease.sid, owner: lease.owner },
        Err(failed) => Lease::Unknown(in_words(&failed)),
    }
}

//! `lockstep show`: the ledger and the lease of a tenant.

use serde_json::{Value as Json, json};

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::error::Result;
use super::exit::Exit;
use super::json::json_out;
use super::plan::unread;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::engine::lease;
use crate::manifest::Missing;
use crate::model::address::Address;
use crate::model::ledger::Ownership;
use crate::model::plan::Purpose;
use crate::plan::render;

/// Show the record kept in the tenant, and who holds the lease
///
/// Example: lockstep show manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
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
    if args.output.is_json() {
        let lease = match &result.1 {
            Ok(None) => Json::Null,
            Ok(Some(lease)) => json!({ "sid": lease.sid, "owner": lease.owner }),
            // A lease that cannot be read is not the same as a free one.
            Err(failed) => json!({ "unknown": ready.stack.failure_in_words(failed) }),
        };
        json_out(
            shell,
            "show",
            json!({ "ledger": found.ledger, "findings": found.findings, "lease": lease }),
        );
        ready.close()?;
        return Ok(Exit::Done);
    }
    let say = &mut shell.say;
    match &found.ledger {
        None => say.out_line("ledger: none"),
        Some(ledger) => {
            say.out_one_line(format!(
                "ledger of stack {} on {} (serial {})",
                ledger.stack, ledger.tenant, ledger.serial
            ));
            let width = render::column(ledger.resources.keys().map(Address::as_str));
            for (address, entry) in &ledger.resources {
                let ownership = match entry.ownership {
                    Ownership::Created => "created",
                    Ownership::Adopted => "adopted",
                };
                let ids: Vec<String> = entry.ids.iter().map(|(name, id)| format!("{name} {id}")).collect();
                say.out_one_line(format!("  {address:<width$} {ownership}  {}", ids.join(", ")));
            }
            if let Some(intent) = &ledger.intent {
                let text = match ledger.has_reported() {
                    true => "did not finish; the next run looks up what became of its last step",
                    false => "did not report its end: it was killed or cut off, or is still running",
                };
                say.out_one_line(format!("  the run that began at {} {text}", intent.at));
            }
            for run in &ledger.history {
                say.out_one_line(format!(
                    "  {}  {} ({} steps) by {}",
                    run.at, run.outcome, run.steps, run.by
                ));
            }
        }
    }
    for finding in &found.findings {
        say.out_one_line(format!("  {}[{}]: {}", finding.level.word(), finding.code, finding.text));
        say.out_one_line(format!("    help: {}", finding.help));
    }
    match result.1 {
        Ok(None) => say.out_line("lease: free"),
        Ok(Some(lease)) => say.out_one_line(format!("lease: held by {} ({})", lease.owner, lease.sid)),
        Err(failed) => {
            say.out_one_line(format!("lease: not known: {}", ready.stack.failure_in_words(&failed)))
        }
    }
    ready.close()?;
    Ok(Exit::Done)
}

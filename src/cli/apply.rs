//! `lockstep apply` and `lockstep destroy`: carry out a plan.

use std::path::PathBuf;

use super::args::{ConnectArgs, LedgerPlace, ManifestArgs, Output};
use super::asker::Asker;
use super::error::{Error, Result};
use super::exit::Exit;
use super::outputs::{Written, admit};
use super::plan::no_plan;
use super::reports::publish;
use super::reviewed::{Reviewed, ReviewedArgs};
use super::setup::{Ready, Shell, ready};
use super::sinks::{Audit, listen};
use crate::diag::codes;
use crate::engine::apply::{Ended, Wishes};
use crate::engine::reconcile::Report;
use crate::manifest::Missing;
use crate::report::{Applied, Content};

/// Make the tenant as the manifest says
///
/// Plans, asks, and applies: what is additive first, what exposes last, each step at most one write. A second apply
/// does nothing. Ctrl-C finishes what is in flight and starts nothing more; run it again to continue.
///
/// Example: lockstep apply manifests/quickstart.yaml --twin --yes
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) manifest: ManifestArgs,
    #[command(flatten)]
    pub(super) common: Common,
    /// Take away what was removed from the manifest
    #[arg(long)]
    allow_delete: bool,
}

/// Take away what this stack made, and put back what it changed
///
/// Deletes only what was created by this stack. Settings that were there before get their former values back. Foreign
/// Actions, bindings, factors, streams and services stay as they are. Where no seal proves the record (an older version
/// or somebody else wrote it), each object has to be named with --delete, or its id typed; --yes does not cover it.
///
/// Example: lockstep destroy manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct DestroyArgs {
    #[command(flatten)]
    pub(super) manifest: ManifestArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    reviewed: ReviewedArgs,
    /// Do not ask: the plan, its dangerous steps and adoptions are confirmed
    #[arg(short, long)]
    yes: bool,
    /// Read everything again afterwards and expect an empty plan
    #[arg(long)]
    verify: bool,
    /// Take away or put back this object although no sealed record says it is this stack's; may be repeated
    #[arg(long, value_name = "ID")]
    delete: Vec<String>,
    /// Append one JSON line per write to this file
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

impl Common {
    fn written(&self) -> Vec<Written<'_>> {
        self.audit.iter().map(|path| ("--audit", path.as_path())).collect()
    }
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    carry_out(&args.manifest, &args.common, (false, args.allow_delete), shell)
}

pub fn destroy(args: &DestroyArgs, shell: &mut Shell) -> Result<Exit> {
    carry_out(&args.manifest, &args.common, (true, true), shell)
}

fn carry_out(
    manifest: &ManifestArgs,
    common: &Common,
    (destroy, allow_delete): (bool, bool),
    shell: &mut Shell,
) -> Result<Exit> {
    if super::fleet::is_fleet(manifest.path()) {
        return Err(Error::usage(format!(
            "{} is a fleet file, which is rolled out in waves",
            manifest.path().display()
        ))
        .help("use `lockstep rollout`; the manifest of one tenant is what `lockstep render --plain` shows"));
    }
    let written = common.written();
    let read: Vec<_> = common.reviewed.plan.iter().map(|path| ("the saved plan", path.as_path())).collect();
    admit(shell, manifest.path(), Some(&common.connect), &written, &read)?;
    let reviewed = common.reviewed.read(destroy)?;
    let audit = Audit::new();
    let show = listen(shell, audit.clone());
    let Some(mut ready) = ready(manifest, &common.connect, Missing::Error, &written, shell, show)? else {
        return Ok(Exit::Failed);
    };
    reviewed.check(&ready)?;
    audit.borrow_mut().write_to(common.audit.as_deref())?;
    let session = &mut ready.stack.session;
    session.destroy = destroy;
    session.allow_delete = allow_delete;
    session.named = common.delete.iter().cloned().collect();
    let result = reconcile(common, reviewed, &mut ready, shell);
    ready.close()?;
    result
}

fn reconcile(common: &Common, reviewed: Reviewed, ready: &mut Ready<'_>, shell: &mut Shell) -> Result<Exit> {
    let (is_text, is_saved) = (shell.reports.is_text(), reviewed.saved.is_some());
    let is_named = !is_saved && reviewed.is_any();
    // On the twin, the second plan is part of the demonstration and costs nothing.
    let verify = common.verify || common.connect.twin.is_some();
    let wishes = Wishes { reread: is_saved, verify };
    let mut asker = Asker::new(shell, !is_text, common.yes, reviewed);
    let result = ready.stack.reconcile(wishes, move |plan| asker.decide(plan))?;
    let Report { plan, outcome } = result.map_err(|failed| no_plan(ready, &failed))?;
    if let Ended::Misnamed(what) = outcome.ended {
        return Err(Error::usage(what));
    }
    let is_tried = plan.blockers().next().is_none() && plan.has_work() || outcome.is_stale();
    let applied = Applied {
        plan: shell.scrub.plan(&plan),
        outcome: is_tried.then(|| outcome.clone()),
        verified: verify,
        why_stopped: ready.stack.why_stopped(),
        place: outcome.cause.as_ref().and_then(|cause| {
            let step = plan.steps.iter().find(|step| outcome.failed == Some(step.number));
            shell.reports.place(cause, step)
        }),
    };
    publish(shell, Content::Applied(Box::new(applied)))?;
    match &outcome.ended {
        // This comes last, because it decides the outcome.
        Ended::Stale(what) if is_named => {
            shell.say.err_one_line(format!(
                "error[{}]: the plan is not the one that was reviewed, nothing was changed. {what}",
                codes::STALE
            ));
            shell.say.err_line(
                "  help: see what it does with `lockstep plan` and the same options, then name its digest",
            );
        }
        Ended::Stale(what) => {
            let (saved, since) = if is_saved { ("saved ", " since it was saved") } else { ("", "") };
            shell.say.err_one_line(format!(
                "error[{}]: the {saved}plan is stale, nothing was changed; plan again. Moved{since}: {what}",
                codes::STALE
            ));
        }
        _ if !is_text => {
            if outcome.ended == Ended::Stopped {
                shell.say.err_one_line(format!("error[{}]: {}", codes::STOPPED, ready.stack.why_stopped()));
            }
            if let Some(lost) = &outcome.lost {
                shell.say.err_one_line(format!("  help: {lost}"));
            }
        }
        _ => {}
    }
    if is_tried
        && common.connect.ledger == LedgerPlace::Nowhere
        && outcome.ended == Ended::Done
        && !ready.stack.session.destroy
    {
        without_ledger(shell, ready);
    }
    Ok(match outcome.ended {
        Ended::Done => Exit::Done,
        Ended::LeaseHeld(_) => Exit::LeaseHeld,
        Ended::Stale(_) => Exit::Stale,
        Ended::Misnamed(_) => Exit::Usage,
        Ended::Failed(_) | Ended::Stopped | Ended::Moved | Ended::NotConfirmed(_) => Exit::Failed,
    })
}

fn without_ledger(shell: &mut Shell, ready: &Ready<'_>) {
    shell.say.err_line(
        "  note: no ledger is kept (--ledger none): a changed secret is not noticed, drift cannot tell whether the tenant or the manifest changed, and destroy deletes nothing",
    );
    let pinned = ready.stack.session.manifest.text("verify_service", "sid").is_some_and(|sid| sid != "new");
    if !pinned {
        shell.say.err_line(
            "  note: pin the service with verify_service.sid: without its SID there the next plan cannot know that the service is yours, and is blocked",
        );
    }
}

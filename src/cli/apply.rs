//! `lockstep apply` and `lockstep destroy`: carry out a plan.

use std::path::PathBuf;

use serde_json::json;

use super::args::{ConnectArgs, LedgerPlace, ManifestArgs, Output};
use super::asker::Asker;
use super::error::{Error, Result};
use super::exit::Exit;
use super::json::json_out;
use super::outputs::Written;
use super::plan::no_plan;
use super::reviewed::{Reviewed, ReviewedArgs};
use super::setup::{Ready, Shell, ready};
use super::sinks::{Audit, listen};
use crate::engine::apply::{Ended, Outcome, Wishes};
use crate::engine::reconcile::Report;
use crate::manifest::Missing;
use crate::model::plan::Plan;
use crate::plan::render::{self, Paint};

/// Make the tenant as the manifest says
///
/// Plans, asks, and applies: what is additive first, what exposes last, each step at most one write. A second apply
/// does nothing. Ctrl-C finishes what is in flight and starts nothing more; run it again to continue.
///
/// Example: lockstep apply manifests/quickstart.yaml --twin --yes
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
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
    manifest: ManifestArgs,
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
    let written = common.written();
    let reviewed = common.reviewed.read(destroy, &written)?;
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
    let (json, is_saved) = (common.output.is_json(), reviewed.saved.is_some());
    let is_named = !is_saved && reviewed.is_any();
    // On the twin, the second plan is part of the demonstration and costs nothing.
    let verify = common.verify || common.connect.twin.is_some();
    let wishes = Wishes { reread: is_saved, verify };
    let mut asker = Asker::new(shell, json, common.yes, reviewed);
    let result = ready.stack.reconcile(wishes, move |plan| asker.decide(plan))?;
    let Report { plan, outcome } = result.map_err(|failed| no_plan(ready, &failed))?;
    if let Ended::Misnamed(what) = outcome.ended {
        return Err(Error::usage(what));
    }
    let is_tried = plan.blockers().next().is_none() && plan.has_work() || outcome.is_stale();
    if json {
        report(shell, &plan, is_tried.then_some(&outcome));
    }
    match &outcome.ended {
        // This comes last, because it decides the outcome.
        Ended::Stale(what) if is_named => {
            shell.say.err_one_line(format!(
                "error: the plan is not the one that was reviewed, nothing was changed. {what}"
            ));
            shell.say.err_line(
                "  help: see what it does with `lockstep plan` and the same options, then name its digest",
            );
        }
        Ended::Stale(what) => {
            let (saved, since) = if is_saved { ("saved ", " since it was saved") } else { ("", "") };
            shell.say.err_one_line(format!(
                "error: the {saved}plan is stale, nothing was changed; plan again. Moved{since}: {what}"
            ));
        }
        _ if json => {
            if outcome.ended == Ended::Stopped {
                shell.say.err_one_line(format!("error: {}", ready.stack.why_stopped()));
            }
            if let Some(lost) = &outcome.lost {
                shell.say.err_one_line(format!("  help: {lost}"));
            }
        }
        _ if is_tried => summary(shell, &plan, &outcome, verify, &ready.stack.why_stopped()),
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

/// The next move after a run that did not end.
const AGAIN: &str = "run the same command again to continue";

fn summary(shell: &mut Shell, plan: &Plan, outcome: &Outcome, verify: bool, why_stopped: &str) {
    let paint = Paint(shell.say.out_color());
    let label = |number: &usize| {
        plan.steps
            .iter()
            .find(|step| step.number == *number)
            .map(|step| format!("{} ({})", step.address, step.what))
            .unwrap_or_default()
    };
    let list = |numbers: &[usize]| numbers.iter().map(label).collect::<Vec<_>>().join(", ");
    let say = &mut shell.say;
    match &outcome.ended {
        Ended::Done => {
            if plan.is_empty() {
                say.out_line("\nNo changes; what the tenant refused before was tried again.");
                return;
            }
            let n = outcome.done.len();
            let s = if n == 1 { "" } else { "s" };
            let done = match plan.destroy {
                true => format!("\nDone: the stack is taken away, by {n} step{s}."),
                false => format!("\nDone: {n} step{s} applied."),
            };
            say.out_line(paint.good(&done));
            for left in render::left_behind(plan) {
                say.out_line(format!("  stays: {left}"));
            }
            for kept in &outcome.kept {
                say.out_one_line(format!("  stays: {kept}"));
            }
            if verify {
                say.out_line(paint.good("Second plan: no changes."));
            }
            return;
        }
        Ended::LeaseHeld(owner) => {
            say.err_one_line(format!("error: {owner} is applying to this tenant; nothing was changed"));
            say.err_line("  help: wait for it, or look with `lockstep unlock`");
        }
        // The asker or the caller has said this already.
        Ended::Stale(_) | Ended::NotConfirmed(_) | Ended::Misnamed(_) => return,
        Ended::Moved => say.err_line("error: other runs kept changing the record; nothing was changed\n  help: find out who else applies, then try again"),
        // The next move comes last.
        Ended::Stopped if outcome.lost.is_some() => say.err_one_line(why_stopped),
        Ended::Stopped => say.err_one_line(format!("{why_stopped}; {AGAIN}")),
        Ended::Failed(text) => say.err_one_line(format!("error: {text}")),
    }
    if !outcome.done.is_empty() {
        say.err_one_line(format!("  done: {}", list(&outcome.done)));
    }
    if let Some(number) = outcome.failed {
        say.err_one_line(format!("  failed: {}", label(&number)));
    }
    if let Some(number) = outcome.interrupted {
        say.err_one_line(format!("  interrupted: {}", label(&number)));
    }
    if !outcome.not_started.is_empty() {
        say.err_one_line(format!("  not started: {}", list(&outcome.not_started)));
    }
    if !outcome.done.is_empty() || outcome.failed.or(outcome.interrupted).is_some() {
        let next = outcome.lost.as_deref().unwrap_or(AGAIN);
        say.err_one_line(format!("  help: logins work as before or as planned; {next}"));
    }
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

fn report(shell: &mut Shell, plan: &Plan, outcome: Option<&Outcome>) {
    let outcome = outcome.map(|outcome| {
        let (ended, why) = outcome.ended.words();
        let said: Vec<&str> = why.into_iter().chain(outcome.lost.as_deref()).collect();
        let why = (!said.is_empty()).then(|| said.join("; "));
        json!({ "ended": ended, "why": why, "done": outcome.done, "failed": outcome.failed, "interrupted": outcome.interrupted, "kept": outcome.kept, "not_started": outcome.not_started })
    });
    let plan = shell.scrub.plan(plan);
    json_out(shell, "apply", json!({ "plan": plan, "outcome": outcome }));
}

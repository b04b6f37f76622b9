//! `lockstep apply`, `lockstep destroy` and `lockstep rollback`: carry out a plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{ConnectArgs, LedgerPlace, ManifestArgs, Output, duration};
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
use crate::engine::watch::{self, Run};
use crate::manifest::Missing;
use crate::model::health::Verdict;
use crate::model::plan::{Level, Plan};
use crate::report::{Applied, Back, Content, NOTHING_TO_TAKE_BACK, Watched};

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
    /// After a deployment or an exposing step, follow the tenant log for this long, and take the run back if it fails;
    /// one request each 15 s, needs the scope read:logs
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    watch: Option<Duration>,
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

/// Take back what the last run changed
///
/// Plans, asks, and puts back the values that the last run replaced, and the version of the Action that ran before it. What
/// somebody else has changed since stays. What cannot come back is named, with the revision of the manifest to apply. The
/// manifest itself is not changed, so the next plan shows the same changes again. See the plan with `plan --rollback`.
///
/// Example: lockstep rollback manifests/quickstart.yaml --twin=world.json
#[derive(clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub(super) manifest: ManifestArgs,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    reviewed: ReviewedArgs,
    /// Do not ask: the plan, its dangerous steps and adoptions are confirmed
    #[arg(short, long)]
    pub(super) yes: bool,
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
    carry_out(
        &args.manifest,
        &args.common,
        Does::Apply { allow_delete: args.allow_delete },
        args.watch,
        &[],
        shell,
    )
}

pub fn destroy(args: &DestroyArgs, shell: &mut Shell) -> Result<Exit> {
    carry_out(&args.manifest, &args.common, Does::Destroy, None, &[], shell)
}

pub fn rollback(args: &RollbackArgs, shell: &mut Shell) -> Result<Exit> {
    carry_out(&args.manifest, &args.common, Does::Rollback, None, &[], shell)
}

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Apply {
        allow_delete: bool,
    },
    Destroy,
    Rollback,
    /// An apply that makes some values anew.
    Rotate {
        allow_delete: bool,
    },
}

pub(super) fn carry_out(
    manifest: &ManifestArgs,
    common: &Common,
    does: Does,
    watch: Option<Duration>,
    anew: &[String],
    shell: &mut Shell,
) -> Result<Exit> {
    let is_rotation = matches!(does, Does::Rotate { .. });
    if matches!(does, Does::Apply { .. } | Does::Rotate { .. }) && super::fleet::is_fleet(manifest.path()) {
        if is_rotation {
            return Err(Error::usage(format!(
                "{} is a fleet file, and rotate is about one tenant",
                manifest.path().display()
            ))
            .help("save the manifest of one tenant with `lockstep render --plain`, and rotate that"));
        }
        return Err(Error::usage(format!(
            "{} is a fleet file, which is rolled out in waves",
            manifest.path().display()
        ))
        .help("use `lockstep rollout`; the manifest of one tenant is what `lockstep render --plain` shows"));
    }
    let mut handed_on = BTreeMap::new();
    if super::fleet::is_fleet(manifest.path()) && !manifest.tenants.is_empty() {
        match does {
            Does::Destroy => super::fleet::hubs::refuse_destroy(manifest, shell)?,
            Does::Rollback => handed_on = super::fleet::hubs::handed_on(manifest, shell)?,
            Does::Apply { .. } | Does::Rotate { .. } => {}
        }
    }
    let written = common.written();
    let read: Vec<_> = common.reviewed.plan.iter().map(|path| ("the saved plan", path.as_path())).collect();
    admit(shell, manifest.path(), Some(&common.connect), &written, &read)?;
    if watch.is_some() && common.connect.ledger == LedgerPlace::Nowhere {
        let text = "--watch needs a record: without one, nothing could be taken back";
        return Err(Error::usage(text).help("leave out --ledger none"));
    }
    let reviewed = common.reviewed.read(does)?;
    let audit = Audit::new();
    let show = listen(shell, audit.clone());
    let Some(mut ready) = ready(manifest, &common.connect, Missing::Error, &written, shell, show)? else {
        return Ok(Exit::Failed);
    };
    reviewed.check(&ready)?;
    audit.borrow_mut().write_to(common.audit.as_deref())?;
    let session = &mut ready.stack.session;
    session.destroy = does == Does::Destroy;
    session.rollback = does == Does::Rollback;
    session.handed_on = handed_on;
    session.allow_delete = matches!(
        does,
        Does::Destroy | Does::Apply { allow_delete: true } | Does::Rotate { allow_delete: true }
    );
    if is_rotation {
        session.rotate = super::rotate::targets(&session.manifest, anew)?;
    }
    session.named = common.delete.iter().cloned().collect();
    session.watch_ms = watch.map(|watch| u64::try_from(watch.as_millis()).unwrap_or(u64::MAX));
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
    let decide = move |plan: &Plan| asker.decide(plan);
    let run = match ready.stack.session.watch_ms {
        Some(_) => ready.stack.watched(wishes, decide)?,
        None => {
            let report = ready.stack.reconcile(wishes, decide)?;
            report.map(|report| Run { report: Some(report), watched: None })
        }
    };
    let run = run.map_err(|failed| no_plan(ready, &failed))?;
    let exit = exit_of(&run);
    let Run { report, watched } = run;
    let watched = watched.map(of_watch);
    // An earlier run had to be taken back first, so nothing of this manifest was applied.
    let Some(Report { plan, outcome }) = report else {
        let watched = watched.as_ref();
        let text = watched.map(Watched::line).unwrap_or_default();
        let help = watched.map(Watched::help).unwrap_or_default();
        let error =
            Error::internal(format!("the run before was not finished: {text}; nothing else was applied"));
        return Err(error.code(codes::RUN_FAILS).help(help));
    };
    if let Ended::Misnamed(what) = outcome.ended {
        return Err(Error::usage(what));
    }
    let is_tried = plan.blockers().next().is_none() && plan.has_work() || outcome.is_stale();
    let applied = Applied {
        plan: shell.scrub.plan(&plan),
        outcome: is_tried.then(|| outcome.clone()),
        verified: verify,
        why_stopped: ready.stack.why_stopped(),
        watched: watched.clone(),
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
    Ok(exit)
}

/// What becomes of a rollback that the record still asks for.
const TRIED_AGAIN: &str = "; an apply with --watch tries this rollback again and does nothing else, and one without --watch goes on from here";

/// What a watch saw and did, for the report.
pub fn of_watch(watched: watch::Watched) -> Watched {
    let back = watched.back.map(|back| match back {
        Ok(Report { plan, outcome }) => {
            let (ended, why) = outcome.ended.words();
            let done = plan.steps.iter().filter(|step| outcome.done.contains(&step.number));
            let done: Vec<String> = done.map(|step| format!("{} ({})", step.address, step.what)).collect();
            let warnings =
                plan.findings.iter().filter(|one| one.level == Level::Warning && !one.address.is_empty());
            let left = warnings.map(|one| format!("{}: {}", one.address, one.text)).collect();
            let stays = plan.resources.iter().find_map(|one| one.stays.clone());
            match stays.filter(|_| ended == "done" && done.is_empty()) {
                // It came to its end without a step: everything has a reason to stay as the run left it.
                Some(stays) => Back { ended: "failed", why: Some(stays), done, left },
                None => {
                    // A rollback that died has done the steps, or some of them.
                    let is_resumed =
                        plan.record || plan.findings.iter().any(|one| one.code == codes::RUN_UNFINISHED);
                    let is_vain = ended == "done" && done.is_empty() && left.is_empty() && !is_resumed;
                    let why = match is_vain {
                        true => Some(NOTHING_TO_TAKE_BACK.to_owned()),
                        false => why.map(|why| format!("{why}{TRIED_AGAIN}")),
                    };
                    Back { ended, why, done, left }
                }
            }
        }
        Err(failed) => {
            let why = Some(format!("{failed}{TRIED_AGAIN}"));
            Back { ended: "failed", why, done: Vec::new(), left: Vec::new() }
        }
    });
    Watched { health: watched.health, back }
}

/// The exit code of a run, watched or not. No events are no success.
pub fn exit_of(run: &Run) -> Exit {
    // An earlier run was taken back, and nothing else was done.
    let Some(report) = &run.report else { return Exit::Failed };
    match (&report.outcome.ended, run.watched.as_ref().map(|watched| watched.health.verdict)) {
        (Ended::Done, None | Some(Verdict::Healthy)) => Exit::Done,
        (Ended::Done, Some(Verdict::Failing)) => Exit::Failed,
        (Ended::Done, Some(Verdict::NotRead)) => Exit::Incomplete,
        (Ended::Done, Some(Verdict::TooFew)) => Exit::FindingsOnly,
        (Ended::LeaseHeld(_), _) => Exit::LeaseHeld,
        (Ended::Stale(_), _) => Exit::Stale,
        (Ended::Misnamed(_), _) => Exit::Usage,
        (Ended::Failed(_) | Ended::Stopped | Ended::Moved | Ended::NotConfirmed(_), _) => Exit::Failed,
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

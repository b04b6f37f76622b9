//! `lockstep drift`: whether the tenant or the manifest changed.

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::error::Result;
use super::exit::Exit;
use super::fleet::{self, FleetArgs, Pages};
use super::plan::observed;
use super::reports::publish;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::manifest::Missing;
use crate::model::plan::{Cause, Level, Plan, Purpose};
use crate::report::Content;

/// Tell whether manifest and tenant still agree, and which of them changed
///
/// Compares manifest, tenant and the record of the last apply, field by field. Sends no write. The exit code says what
/// was found. A difference can stay until a day: its line for `accept` in the manifest is printed.
///
/// Example: lockstep drift manifests/quickstart.yaml --twin=world.json
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
    #[command(flatten)]
    pub pages: Pages,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if fleet::is_fleet(args.manifest.path()) {
        return fleet::drift(&args.manifest, &args.fleet, &args.connect, shell);
    }
    args.fleet.refuse()?;
    args.pages.refuse()?;
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    // Here, parts removed from the manifest are a difference, not a reason to refuse.
    ready.stack.session.allow_delete = true;
    ready.stack.session.purpose = Purpose::Drift;
    let plan = observed(&mut ready)?.plan;
    let exit = verdict(&plan);
    publish(shell, Content::Drift { plan: shell.scrub.plan(&plan), verdict: word(exit) })?;
    ready.close()?;
    Ok(exit)
}

/// The verdict in words.
pub fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "clean",
        Exit::Changes => "manifest not applied",
        Exit::TenantChanged => "tenant changed",
        Exit::BothChanged => "both changed",
        Exit::CauseUnknown => "differs, cause unknown (no ledger)",
        Exit::Incomplete => "incomplete: part of the tenant could not be read",
        Exit::FindingsOnly => "no difference, findings to look at",
        _ => "failed",
    }
}

/// The exit code of a drift check. The first that applies: incomplete, cause unknown, both changed, tenant changed,
/// manifest not applied, findings only, clean.
pub fn verdict(plan: &Plan) -> Exit {
    let mut causes: Vec<Cause> =
        plan.resources.iter().flat_map(|r| &r.changes).map(|change| change.cause).collect();
    for resource in &plan.resources {
        // A resource can need a step without a differing field, for example after a failed build, which the tenant
        // caused by itself.
        if resource.changes.is_empty() && plan.differs(resource) {
            causes.push(if resource.leaves { Cause::NotApplied } else { Cause::TenantChanged });
        }
    }
    causes.extend(plan.unproven.iter().map(|_| Cause::NotApplied));
    let has = |cause: Cause| causes.contains(&cause);
    let not_applied = has(Cause::NotApplied) || has(Cause::Unfinished);
    let level = |level: Level| plan.findings.iter().any(|finding| finding.level == level);
    match () {
        () if level(Level::NotRead) => Exit::Incomplete,
        () if has(Cause::Unknown) => Exit::CauseUnknown,
        () if has(Cause::Both) || (not_applied && has(Cause::TenantChanged)) => Exit::BothChanged,
        () if has(Cause::TenantChanged) => Exit::TenantChanged,
        () if not_applied => Exit::Changes,
        () if level(Level::Warning) || level(Level::Blocker) => Exit::FindingsOnly,
        () => Exit::Done,
    }
}

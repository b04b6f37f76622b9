//! `lockstep plan`: shows what an apply would do, without doing it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::args::{ConnectArgs, ManifestArgs, Output};
use super::error::{Error, Result};
use super::exit::Exit;
use super::explanation;
use super::fleet::{self, FleetArgs, Pages};
use super::outputs::Written;
use super::reports::publish;
use super::reviewed;
use super::rotate;
use super::setup::{Ready, Shell, Start, start, without};
use super::sinks::{Audit, listen};
use crate::engine::observe::Observation;
use crate::kinds::Resource;
use crate::manifest::Missing;
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::codes;
use crate::model::manifest::Manifest;
use crate::model::plan::{Digest, Finding, Level, PLAN_FORMAT, Plan, Purpose, ResourcePlan, Verb};
use crate::plan::desired::declared;
use crate::report::Content;
use crate::shell::files;

/// Show what an apply would do
///
/// Reads both APIs, compares with the manifest, and prints every difference and every step. Sends no write, and needs
/// read scopes only.
///
/// Example: lockstep plan manifests/quickstart.yaml --twin
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
    /// Exit with 2 when there are changes
    #[arg(long)]
    exit_code: bool,
    /// Save the plan for `apply --plan FILE`; with --destroy or --rollback for those commands
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plan what destroy would do
    #[arg(long)]
    destroy: bool,
    /// Plan what rollback would do
    #[arg(long, conflicts_with_all = ["destroy", "allow_delete"])]
    rollback: bool,
    /// Plan what rotate would do: sender, feedback, stream, or all without a name; may be repeated
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with_all = ["destroy", "rollback"])]
    rotate: Vec<String>,
    /// Plan with references that have no value as unknown (secrets in a fork's CI)
    #[arg(long)]
    missing_as_unknown: bool,
    /// Also plan to take away what was removed from the manifest
    #[arg(long)]
    allow_delete: bool,
    /// Explain step N, or every step, in text and JSON: where the manifest says it, the request, and what it waits for
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "all", value_parser = explanation::step)]
    explain: Option<usize>,
    /// Let the plan take away or put back this object although no sealed record says it is this stack's; may be repeated
    #[arg(long, value_name = "ID")]
    delete: Vec<String>,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if fleet::is_fleet(args.manifest.path()) {
        return of_fleet(args, shell);
    }
    args.fleet.refuse()?;
    args.pages.refuse()?;
    let missing = if args.missing_as_unknown { Missing::Unknown } else { Missing::Error };
    let written: Vec<Written<'_>> = args.out.iter().map(|path| ("--out", path.as_path())).collect();
    let told = listen(shell, Audit::new());
    let mut ready = match start(&args.manifest, &args.connect, missing, &written, shell, told)? {
        None => return Ok(Exit::Failed),
        Some(Start::Ready(ready)) => *ready,
        Some(Start::Unconnected(manifest, places)) if args.missing_as_unknown && args.out.is_none() => {
            return unconnected(args, &manifest, &places, shell);
        }
        Some(Start::Unconnected(_, places)) => return Err(without(&places)),
    };
    ready.stack.session.destroy = args.destroy;
    ready.stack.session.rollback = args.rollback;
    ready.stack.session.allow_delete = args.allow_delete;
    ready.stack.session.named = args.delete.iter().cloned().collect();
    if !args.rotate.is_empty() {
        let names: Vec<String> = args.rotate.iter().filter(|name| !name.is_empty()).cloned().collect();
        ready.stack.session.rotate = rotate::targets(&ready.stack.session.manifest, &names)?;
    }
    ready.stack.session.purpose = Purpose::Show;
    let read = ready.stack.observe_with_replies()?;
    let (observation, replies) = read.map_err(|failed| no_plan(&ready, &failed))?;
    if let Some(misnamed) = &observation.misnamed {
        return Err(Error::usage(misnamed));
    }
    let plan = &observation.plan;
    let session = &ready.stack.session;
    let explained = args
        .explain
        .map(|number| explanation::of(number, &observation, replies, &session.manifest, &ready.source));
    shell.reports.explained = explained.transpose()?;
    publish(shell, Content::Plan(shell.scrub.plan(plan)))?;
    if let Some(path) = &args.out {
        files::write_atomic(path, reviewed::text_of(&shell.scrub.plan(plan))?.as_bytes())?;
        let command = match (plan.destroy, plan.rollback) {
            (true, _) => "destroy",
            (_, true) => "rollback",
            _ if !args.rotate.is_empty() => "rotate",
            _ => "apply",
        };
        shell.say.err_line(format!("plan saved in {}; {command} it with --plan", path.display()));
    }
    let incomplete = plan.findings.iter().any(|finding| finding.level == Level::NotRead);
    let exit = match () {
        () if args.exit_code && incomplete => Exit::Incomplete,
        () if plan.blockers().next().is_some() => Exit::Failed,
        () if args.exit_code && !plan.is_empty() => Exit::Changes,
        () => Exit::Done,
    };
    ready.close()?;
    Ok(exit)
}

/// The plans of the tenants of a fleet as one.
fn of_fleet(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let unfit = [
        (args.out.is_some(), "--out"),
        (args.rollback, "--rollback"),
        (!args.rotate.is_empty(), "--rotate"),
        (args.missing_as_unknown, "--missing-as-unknown"),
        (args.explain.is_some(), "--explain"),
        (!args.delete.is_empty(), "--delete"),
    ];
    if let Some((_, option)) = unfit.iter().find(|(used, _)| *used) {
        return Err(Error::usage(format!("{option} is about one tenant, and the file is a fleet"))
            .help("save the manifest of one tenant with `lockstep render --plain`, and plan that"));
    }
    let Args { destroy, allow_delete, exit_code, .. } = *args;
    let wish = fleet::Wish { purpose: Purpose::Show, destroy, allow_delete, exit_code };
    fleet::plan(&args.manifest, &args.fleet, &args.connect, wish, shell)
}

/// The plan of a run without any value to connect with, as in a fork's CI: the manifest is valid, and every field that
/// it declares is unknown.
fn unconnected(args: &Args, manifest: &Manifest, places: &[&str], shell: &mut Shell) -> Result<Exit> {
    let named = |section: &str, key: &str| manifest.text(section, key).unwrap_or("unknown").to_owned();
    let unknown = |resource: Resource| ResourcePlan {
        address: resource.address,
        kind: resource.kind.to_owned(),
        verb: Verb::NoOp,
        changes: Vec::new(),
        accepted: Vec::new(),
        unknown: resource.desired.into_keys().collect(),
        ids: BTreeMap::new(),
        name: None,
        taken_over: false,
        leaves: false,
        stays: None,
    };
    let resources: Vec<ResourcePlan> = declared(manifest).into_iter().map(unknown).collect();
    let plan = Plan {
        format: PLAN_FORMAT,
        stack: manifest.stack.clone(),
        tenant: named("auth0", "domain"),
        account: named("twilio", "account_sid"),
        destroy: args.destroy,
        rollback: args.rollback,
        digest: Digest::Open,
        unknown_values: resources.iter().map(|resource| resource.unknown.len().max(1)).sum(),
        resources,
        steps: Vec::new(),
        findings: vec![Finding {
            code: codes::NOT_CONNECTED,
            address: Address::default(),
            text: format!("neither tenant nor account was read: no value for {}", places.join(", ")),
            help: "plan again where the credentials are set, to see what an apply would do".into(),
            level: Level::NotRead,
        }],
        deferred: Vec::new(),
        unproven: Vec::new(),
        record: false,
        basis: String::new(),
    };
    args.explain.map(|number| explanation::is_there(number, &plan)).transpose()?;
    shell.reports.explained = args.explain.map(|_| Vec::new());
    publish(shell, Content::Plan(shell.scrub.plan(&plan)))?;
    Ok(if args.exit_code { Exit::Incomplete } else { Exit::Done })
}

/// Reads both APIs and plans; an error says why there is no plan.
pub fn observed(ready: &mut Ready<'_>) -> Result<Observation> {
    let result = ready.stack.observe()?;
    result.map_err(|failed| no_plan(ready, &failed))
}

/// The error of a run that could not make a plan.
pub fn no_plan(ready: &Ready<'_>, failed: &Failed) -> Error {
    let error = unread(ready, failed);
    match failed {
        Failed::Stopped => Error { message: format!("{}; nothing was changed", error.message), ..error },
        _ => error,
    }
}

/// The error of a command whose request failed, or which was stopped while it waited.
pub fn unread(ready: &Ready<'_>, failed: &Failed) -> Error {
    match failed {
        Failed::Stopped => Error::remote(ready.stack.why_stopped()).code(codes::STOPPED),
        failed => Error::failed(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_of_an_error_are_true() {
        let built = Failed::NotBuilt("the build of the Action failed".into());
        assert_eq!(built.to_string(), "the build of the Action failed");
        let waits = Failed::NotDone("Twilio could not build it".into());
        assert_eq!(waits.to_string(), "Twilio could not build it");
    }
}

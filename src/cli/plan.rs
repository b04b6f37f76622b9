//! `lockstep plan`: what would be done, without doing it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::exit::Exit;
use super::setup::{
    Audit, ConnectArgs, ManifestArgs, Ready, Shell, json_out, not_over, progress, ready, usage,
};
use crate::engine::observe::{Observation, observe};
use crate::manifest::Missing;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::plan::Level;
use crate::plan::render::{self, Paint};
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
    manifest: ManifestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: Output,
    /// Exit with 2 when there are changes
    #[arg(long)]
    exit_code: bool,
    /// Save the plan for `apply --plan FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plan what destroy would do
    #[arg(long)]
    destroy: bool,
    /// Plan with references that have no value as unknown (secrets in a fork's CI)
    #[arg(long)]
    missing_as_unknown: bool,
    /// Also plan to take away what was removed from the manifest
    #[arg(long)]
    allow_delete: bool,
}

/// How the result is written.
#[derive(clap::Args)]
pub struct Output {
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub output: String,
}

impl Output {
    pub fn is_json(&self) -> bool {
        self.output == "json"
    }
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let missing = if args.missing_as_unknown { Missing::Unknown } else { Missing::Error };
    if let Some(out) = &args.out {
        files::replaceable(out).map_err(|problem| {
            usage(format!(
                "--out {}: {problem}, and a plan is not put in its place\n  help: name a new file, or a plan that may be replaced",
                out.display()
            ))
        })?;
        let mut inputs = vec![("the manifest", args.manifest.path())];
        let ledger = args.connect.ledger.strip_prefix("file:").map(Path::new);
        let world = args.connect.twin.as_deref().filter(|file| !file.is_empty()).map(Path::new);
        inputs.extend(ledger.map(|path| ("the ledger", path)));
        inputs.extend(world.map(|path| ("the twin's world", path)));
        not_over(out, "--out", &inputs)?;
    }
    let show = progress(shell, Audit::open(None)?);
    let Some(mut ready) = ready(&args.manifest, &args.connect, missing, shell, show)? else {
        return Ok(Exit::Failed);
    };
    ready.session.destroy = args.destroy;
    ready.session.allow_delete = args.allow_delete;
    let observation = observed(&mut ready)?;
    let plan = &observation.plan;
    if args.output.is_json() {
        json_out(&mut shell.say, "plan", serde_json::to_value(plan)?);
    } else {
        let text = render::plan(plan, Paint(shell.say.out_color()));
        shell.say.out(&text);
    }
    if let Some(path) = &args.out {
        files::write_atomic(path, (serde_json::to_string_pretty(plan)? + "\n").as_bytes())?;
        shell.say.err_line(format!("plan saved in {}; apply it with --plan", path.display()));
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

/// Reads and plans, with the causes of a failure in words.
pub fn observed(ready: &mut Ready<'_>) -> Result<Observation> {
    let session = ready.session.clone();
    let result =
        ready.driver.run(ready.tenant, move |port| async move { observe(&session, &port.reader()).await })?;
    match result {
        Ok(observation) => Ok(observation),
        Err(Failed::Stopped) => bail!("stopped; nothing was changed"),
        Err(failed) => bail!("{failed}\n  {}", help(&failed)),
    }
}

/// The next move after a failed request.
pub fn help(failed: &Failed) -> &'static str {
    match (failed.status(), failed) {
        (Some(401), Failed::Refused(r)) if r.path == "/oauth/token" => {
            "help: check auth0.domain, auth0.client_id and its secret or key"
        }
        (Some(403), Failed::Refused(r)) if r.path == "/oauth/token" => {
            "help: authorise the application for the Auth0 Management API (Applications, APIs, Machine to Machine)"
        }
        (Some(403), Failed::Refused(r))
            if r.path.starts_with("/api/v2/actions/actions") && r.method == Method::Get =>
        {
            "help: grant read:actions to the application (Applications, APIs, Auth0 Management API, Machine to Machine)"
        }
        (Some(403), Failed::Refused(r)) if r.path.starts_with("/api/v2/") => {
            "help: grant the application the scope of this request (Applications, APIs, Auth0 Management API, Machine to Machine)"
        }
        (Some(401), Failed::Refused(r)) if r.host.ends_with("twilio.com") => {
            "help: check the Twilio key and secret, and that they belong to twilio.account_sid"
        }
        (Some(429), _) => "help: another client uses the budget up; try again later, or lower --rate-share",
        (_, Failed::NotDone(_)) => "help: check the network, the proxy (HTTPS_PROXY, NO_PROXY) and --ca-file",
        _ => "help: run again with -v to see every request",
    }
}

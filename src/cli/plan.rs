//! `lockstep plan`: what would be done, without doing it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::exit::Exit;
use super::json::json_out;
use super::setup::{
    Audit, ConnectArgs, ManifestArgs, Ready, Shell, Start, Written, progress, start, usage, without,
};
use crate::engine::observe::{Observation, observe};
use crate::kinds::Resource;
use crate::manifest::Missing;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, PLAN_FORMAT, Plan, Purpose, ResourcePlan, Verb};
use crate::model::text;
use crate::plan::build::declared;
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
    pub output: Output,
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
    /// Plan as if this object, which no sealed record calls this stack's, may be taken away or put back; may be repeated
    #[arg(long, value_name = "ID")]
    delete: Vec<String>,
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
    let written: Vec<Written<'_>> = args.out.iter().map(|path| ("--out", path.as_path())).collect();
    let told = progress(shell, Audit::new());
    let mut ready = match start(&args.manifest, &args.connect, missing, &written, shell, told)? {
        None => return Ok(Exit::Failed),
        Some(Start::Ready(ready)) => *ready,
        Some(Start::Unconnected(manifest, places)) if args.missing_as_unknown && args.out.is_none() => {
            return unread(args, &manifest, &places, shell);
        }
        Some(Start::Unconnected(_, places)) => bail!("{}", without(&places)),
    };
    ready.session.destroy = args.destroy;
    ready.session.allow_delete = args.allow_delete;
    ready.session.named = args.delete.iter().cloned().collect();
    ready.session.purpose = Purpose::Show;
    let observation = observed(&mut ready)?;
    if let Some(misnamed) = &observation.misnamed {
        return Err(usage(misnamed));
    }
    let plan = &observation.plan;
    show(args, plan, shell)?;
    if let Some(path) = &args.out {
        files::write_atomic(
            path,
            (text::json(&serde_json::to_string_pretty(&shell.scrub.plan(plan))?) + "\n").as_bytes(),
        )?;
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

/// The plan of a run that has nothing to connect with, as in a fork's CI: the manifest is right, and what it names is
/// unknown.
fn unread(args: &Args, manifest: &Manifest, places: &[&str], shell: &mut Shell) -> Result<Exit> {
    let named = |section: &str, key: &str| manifest.text(section, key).unwrap_or("unknown").to_owned();
    let unknown = |resource: Resource| ResourcePlan {
        address: resource.address,
        kind: resource.kind.to_owned(),
        verb: Verb::NoOp,
        changes: Vec::new(),
        unknown: resource.desired.into_keys().collect(),
        ids: BTreeMap::new(),
        name: None,
        taken_over: false,
        leaves: false,
        stays: None,
    };
    let plan = Plan {
        format: PLAN_FORMAT,
        stack: manifest.stack.clone(),
        tenant: named("auth0", "domain"),
        account: named("twilio", "account_sid"),
        destroy: args.destroy,
        resources: declared(manifest).into_iter().map(unknown).collect(),
        steps: Vec::new(),
        findings: vec![Finding {
            address: String::new(),
            text: format!("neither tenant nor account was read: no value for {}", places.join(", ")),
            help: "plan where the credentials are to see what an apply would do".into(),
            level: Level::NotRead,
        }],
        deferred: Vec::new(),
        unproven: Vec::new(),
        record: false,
        basis: String::new(),
    };
    show(args, &plan, shell)?;
    Ok(if args.exit_code { Exit::Incomplete } else { Exit::Done })
}

fn show(args: &Args, plan: &Plan, shell: &mut Shell) -> Result<()> {
    let plan = &shell.scrub.plan(plan);
    if args.output.is_json() {
        json_out(shell, "plan", serde_json::to_value(plan)?);
    } else {
        let text = render::plan(plan, Paint(shell.say.out_color()));
        shell.say.out(&text);
    }
    Ok(())
}

/// Reads and plans, with the causes of a failure in words.
pub fn observed(ready: &mut Ready<'_>) -> Result<Observation> {
    let session = ready.session.clone();
    let result =
        ready.driver.run(ready.tenant, move |port| async move { observe(&session, &port.reader()).await })?;
    match result {
        Ok(observation) => Ok(observation),
        Err(Failed::Stopped) => bail!("{}; nothing was changed", ready.why_stopped()),
        Err(failed) => bail!(ready.unread(&failed)),
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
        (Some(403), _) if failed.code().is_some_and(|code| code.starts_with("legacy_mfa_phone_provider")) => {
            "help: no scope is missing: the tenant's switch legacy_mfa_phone_provider is off; use phone.delivery: unified, or ask \
             Auth0's support to switch it on"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::Refusal;

    fn refused(code: &str) -> Failed {
        Failed::Refused(Box::new(Refusal {
            host: "acme-dev.eu.auth0.com".into(),
            method: Method::Put,
            path: "/api/v2/guardian/factors/phone/selected-provider".into(),
            status: 403,
            code: Some(code.into()),
            message: String::new(),
            request_id: None,
            attempts: 1,
            unsure: false,
        }))
    }

    #[test]
    fn a_switch_of_the_tenant_is_not_called_a_missing_scope() {
        assert!(help(&refused("insufficient_scope")).contains("scope of this request"));
        assert!(help(&refused("legacy_mfa_phone_provider_not_allowed")).contains("no scope is missing"));
    }

    #[test]
    fn the_first_words_of_an_error_are_true() {
        let built = Failed::NotBuilt("the build of the Action failed".into());
        assert_eq!(built.to_string(), "the build of the Action failed");
        let waits = Failed::NotDone("Twilio could not build it".into());
        assert_eq!(waits.to_string(), "Twilio could not build it");
    }
}

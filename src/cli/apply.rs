//! `lockstep apply` and `lockstep destroy`: make it so.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value as Json, json};

use super::exit::Exit;
use super::json::json_out;
use super::plan::{Output, observed};
use super::setup::{Audit, ConnectArgs, ManifestArgs, Ready, Shell, Written, apart, progress, ready, usage};
use crate::engine::apply::{Ended, Outcome, Wishes, apply};
use crate::engine::observe::{Observation, moved};
use crate::manifest::Missing;
use crate::model::plan::{PLAN_FORMAT, Plan};
use crate::model::text;
use crate::plan::render::{self, Paint};
use crate::shell::files;
use crate::shell::terminal::AskProblem;

/// A confirmation that took longer than this is for a plan that may be out of date.
const CONFIRMED_LATE_MS: u64 = 60_000;
/// So much is shown of the name of another tenant, account or stack.
const NAME_MAX_CHARS: usize = 100;
/// How often a plan is made anew because the ledger moved under it.
const REPLANS_MAX: u32 = 3;

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
    /// Apply this saved plan, or nothing if what it depends on has moved
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

/// Take away what this stack made, and put back what it changed
///
/// Deletes only what was created by this stack. Settings that were there before get their former values back. Foreign
/// Actions, bindings, factors, streams and services stay as they are. Where nothing proves the record (an older version
/// wrote it, or somebody else did), each object has to be named with --delete, or its id typed; --yes does not cover it.
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
    /// Do not ask: the plan, its dangerous steps and adoptions are confirmed
    #[arg(short, long)]
    yes: bool,
    /// Read everything again afterwards and expect an empty plan
    #[arg(long)]
    verify: bool,
    /// Take away or put back this object, although no sealed record calls it this stack's; may be repeated
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
    let saved = match &args.plan {
        Some(path) => Some(saved_plan(path)?),
        None => None,
    };
    if let Some(plan) = &args.plan {
        apart(&args.common.written(), &[("the saved plan", plan.as_path())])?;
    }
    let audit = Audit::new();
    let show = progress(shell, audit.clone());
    let written = args.common.written();
    let Some(mut ready) = ready(&args.manifest, &args.common.connect, Missing::Error, &written, shell, show)?
    else {
        return Ok(Exit::Failed);
    };
    if let Some(saved) = &saved {
        is_of_this_run(saved, &ready)?;
    }
    audit.borrow_mut().write_to(args.common.audit.as_deref())?;
    ready.session.allow_delete = args.allow_delete;
    ready.session.named = args.common.delete.iter().cloned().collect();
    let result = carry_out(&args.common, saved.as_ref(), &audit, &mut ready, shell);
    ready.close()?;
    result
}

pub fn destroy(args: &DestroyArgs, shell: &mut Shell) -> Result<Exit> {
    let audit = Audit::new();
    let show = progress(shell, audit.clone());
    let written = args.common.written();
    let Some(mut ready) = ready(&args.manifest, &args.common.connect, Missing::Error, &written, shell, show)?
    else {
        return Ok(Exit::Failed);
    };
    audit.borrow_mut().write_to(args.common.audit.as_deref())?;
    ready.session.destroy = true;
    ready.session.named = args.common.delete.iter().cloned().collect();
    ready.session.allow_delete = true;
    let result = carry_out(&args.common, None, &audit, &mut ready, shell);
    ready.close()?;
    result
}

fn saved_plan(path: &std::path::Path) -> Result<Plan> {
    let text =
        files::read_text(path, 16 * 1024 * 1024).with_context(|| format!("plan {}", path.display()))?;
    // The file may be anything, so no word of it is repeated.
    let shown = path.display();
    let json: Json = serde_json::from_str(&text).map_err(|error| {
        anyhow!(
            "plan {shown} cannot be read: line {}, column {} is not JSON; name a file that `plan --out` wrote",
            error.line(),
            error.column()
        )
    })?;
    if let Some(format) = json["format"].as_u64().filter(|format| *format != u64::from(PLAN_FORMAT)) {
        bail!("plan {shown} has format {format}, and this version reads {PLAN_FORMAT}; plan again");
    }
    let plan: Plan = serde_json::from_value(json)
        .map_err(|_| anyhow!("plan {shown} cannot be read: it is no plan of this version; plan again"))?;
    Ok(plan)
}

/// Refuses a plan for another tenant, account or stack than those of this run, before anything is read.
fn is_of_this_run(saved: &Plan, ready: &Ready<'_>) -> Result<()> {
    let session = &ready.session;
    let named = [
        ("tenant", &saved.tenant, &session.tenant),
        ("account", &saved.account, &session.account),
        ("stack", &saved.stack, &session.manifest.stack),
    ];
    match named.into_iter().find(|(_, its, ours)| its != ours) {
        None => Ok(()),
        Some((what, its, ours)) => Err(usage(format!(
            "the saved plan is for the {what} {}, and this run is for {ours}; nothing was read or changed: name the plan that \
             belongs to this manifest, or plan again",
            text::line_of(its, NAME_MAX_CHARS)
        ))),
    }
}

fn carry_out(
    common: &Common,
    saved: Option<&Plan>,
    audit: &RefCell<Audit>,
    ready: &mut Ready<'_>,
    shell: &mut Shell,
) -> Result<Exit> {
    let json = common.output.is_json();
    let mut replans = 0;
    let mut is_first = true;
    loop {
        let observation = observed(ready)?;
        // What was named and is gone by a later plan was not misnamed.
        if let Some(misnamed) = observation.misnamed.as_deref().filter(|_| is_first) {
            return Err(usage(misnamed));
        }
        is_first = false;
        let plan = observation.plan.clone();
        if let Some(saved) = saved
            && saved.basis != plan.basis
        {
            let what = moved(saved, &shell.scrub.plan(&plan));
            let text = render::plan(&shell.scrub.plan(&plan), Paint(shell.say.err_color()));
            shell.say.err(&text);
            if json {
                report(shell, &plan, Some(&Outcome::before_any_step(Ended::Stale(what.clone()), &plan)));
            }
            // Last, because it decides; the plan above is what would be done now.
            shell.say.err_one_line(format!(
                "error: the saved plan is stale, nothing was changed; plan again. Moved since it was saved: {what}"
            ));
            return Ok(Exit::Stale);
        }
        if !json {
            let text = render::plan(&shell.scrub.plan(&plan), Paint(shell.say.out_color()));
            shell.say.out(&text);
        }
        if saved.is_none() && !common.yes && !json && named(&plan, ready, shell)? {
            continue;
        }
        if plan.blockers().next().is_some() {
            if json {
                report(shell, &plan, None);
            }
            return Ok(Exit::Failed);
        }
        if !plan.has_work() {
            // Nothing to do, unless a run that is over left its lease.
            applied(ready, observation, Wishes::default())?;
            if json {
                report(shell, &plan, None);
            }
            return Ok(Exit::Done);
        }
        if json && !common.yes {
            // Nobody can confirm what was not shown; stdout is for the one document.
            let text = render::plan(&shell.scrub.plan(&plan), Paint(shell.say.err_color()));
            shell.say.err(&text);
        }
        if shell.say.out_failed().is_some() {
            shell.say.err_line("the plan could not be shown; nothing was changed");
            return Ok(Exit::Failed);
        }
        let asked_at = ready.driver.now_ms();
        // What is only tried again was confirmed when it was tried first.
        if !common.yes && !plan.is_empty() && !confirmed(&plan, shell)? {
            if json {
                let ended = Ended::Failed("not confirmed".into());
                report(shell, &plan, Some(&Outcome::before_any_step(ended, &plan)));
            }
            return Ok(Exit::Failed);
        }
        let asked_ms = ready.driver.now_ms().saturating_sub(asked_at);
        ready.asked_for(asked_ms);
        let late = asked_ms > CONFIRMED_LATE_MS;
        // On the twin the second plan is part of the show, and costs nobody anything.
        let verify = common.verify || common.connect.twin.is_some();
        let wishes = Wishes { reread: late || saved.is_some(), verify };
        audit.borrow_mut().begin(&ready.session, &plan);
        let outcome = applied(ready, observation, wishes)?;
        if outcome.ended == Ended::Moved && replans < REPLANS_MAX && saved.is_none() {
            replans += 1;
            shell.say.err_line("  another run changed the record in the meantime; planning anew");
            continue;
        }
        if json {
            report(shell, &plan, Some(&outcome));
            if outcome.ended == Ended::Stopped {
                shell.say.err_line(format!("error: {}", ready.why_stopped()));
            }
            if let Some(lost) = &outcome.lost {
                shell.say.err_one_line(format!("  help: {lost}"));
            }
        } else {
            summary(shell, &plan, &outcome, verify, &ready.why_stopped());
        }
        if common.connect.ledger == "none" && outcome.ended == Ended::Done && !ready.session.destroy {
            without_ledger(shell, ready);
        }
        return Ok(match outcome.ended {
            Ended::Done => Exit::Done,
            Ended::LeaseHeld(_) => Exit::LeaseHeld,
            Ended::Stale(_) => Exit::Stale,
            Ended::Failed(_) | Ended::Stopped | Ended::Moved => Exit::Failed,
        });
    }
}

fn applied(ready: &mut Ready<'_>, observation: Observation, wishes: Wishes) -> Result<Outcome> {
    let session = ready.session.clone();
    ready
        .driver
        .run(ready.tenant, move |port| async move { apply(&session, observation, wishes, &port).await })
}

/// Asks for the id of each object that only a record without proof calls ours. True: one was named, so plan anew.
fn named(plan: &Plan, ready: &mut Ready<'_>, shell: &mut Shell) -> Result<bool> {
    let signals = shell.signals.clone();
    let mut any = false;
    for object in &plan.unproven {
        let question = text::line(&format!(
            "{}: {}. To do this, type {} (anything else leaves it as it is):",
            object.address, object.what, object.id
        ));
        match shell.say.ask_word(&question, &signals) {
            Ok(word) if word == object.id => any |= ready.session.named.insert(word),
            Ok(_) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(any)
}

/// What a person is asked before anything is done.
fn question(plan: &Plan) -> String {
    let dangerous = plan.steps.iter().filter(|step| step.danger.is_some()).count();
    let what = match plan.destroy {
        true => {
            format!("Destroy the stack {} ({})", text::line(&plan.stack), render::counts(plan).join(", "))
        }
        false => "Apply these changes".to_owned(),
    };
    match dangerous {
        0 => format!("{what}?"),
        1 => format!("{what}, 1 dangerous step among them?"),
        n => format!("{what}, {n} dangerous steps among them?"),
    }
}

fn confirmed(plan: &Plan, shell: &mut Shell) -> Result<bool> {
    let question = question(plan);
    let signals = shell.signals.clone();
    match shell.say.ask(&question, &signals) {
        Ok(true) => Ok(true),
        Ok(false) => {
            shell.say.err_line("not confirmed; nothing was changed");
            Ok(false)
        }
        Err(AskProblem::NotATerminal) => {
            shell.say.err_line("error: nobody is there to ask (no terminal); nothing was changed\n  help: add --yes to go on without asking");
            Ok(false)
        }
        Err(AskProblem::NoAnswer) => {
            shell.say.err_line("no answer; nothing was changed");
            Ok(false)
        }
    }
}

/// What a person does next where a run did not come to its end.
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
        // Said last, because it decides.
        Ended::Stale(_) => {}
        Ended::Moved => say.err_line("error: the record kept moving; nothing was changed\n  help: see who else applies, then try again"),
        // What to do is said last.
        Ended::Stopped if outcome.lost.is_some() => say.err_line(why_stopped),
        Ended::Stopped => say.err_line(format!("{why_stopped}; {AGAIN}")),
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
    if let Ended::Stale(what) = &outcome.ended {
        say.err_one_line(format!("error: the plan is stale, nothing was changed; plan again. Moved: {what}"));
    }
}

fn without_ledger(shell: &mut Shell, ready: &Ready<'_>) {
    shell.say.err_line(
        "  note: no ledger is kept (--ledger none): a changed secret is not noticed, drift cannot tell who moved, and destroy deletes nothing",
    );
    let pinned = ready.session.manifest.text("verify_service", "sid").is_some_and(|sid| sid != "new");
    if !pinned {
        shell.say.err_line(
            "  note: pin the service with verify_service.sid: without it the next plan cannot know that it is yours, and is blocked",
        );
    }
}

fn report(shell: &mut Shell, plan: &Plan, outcome: Option<&Outcome>) {
    let outcome = outcome.map(|outcome| {
        let (ended, why) = match &outcome.ended {
            Ended::Done => ("done", None),
            Ended::Failed(why) => ("failed", Some(why.clone())),
            Ended::Stopped => ("stopped", None),
            Ended::LeaseHeld(owner) => ("lease_held", Some(owner.clone())),
            Ended::Moved => ("moved", None),
            Ended::Stale(what) => ("stale", Some(what.clone())),
        };
        let said: Vec<String> = why.into_iter().chain(outcome.lost.clone()).collect();
        let why = (!said.is_empty()).then(|| said.join("; "));
        json!({ "ended": ended, "why": why, "done": outcome.done, "failed": outcome.failed, "interrupted": outcome.interrupted, "kept": outcome.kept, "not_started": outcome.not_started })
    });
    let plan = shell.scrub.plan(plan);
    json_out(shell, "apply", json!({ "plan": plan, "outcome": outcome }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destroy_is_asked_about_as_one() {
        let resource = |address: &str, verb: &str| json!({ "address": address, "kind": address, "verb": verb, "changes": [], "unknown": [], "ids": {} });
        let mut plan = json!({
            "format": 1, "stack": "acme", "tenant": "acme-dev.eu.auth0.com", "account": "AC1", "destroy": true,
            "resources": [resource("action", "delete"), resource("mfa_policy", "update")],
            "steps": [], "findings": [], "record": true, "basis": "",
        });
        let asked = |plan: &Json| question(&serde_json::from_value(plan.clone()).expect("a plan"));
        assert_eq!(asked(&plan), "Destroy the stack acme (1 to put back, 1 to delete)?");
        plan["destroy"] = json!(false);
        assert_eq!(asked(&plan), "Apply these changes?");
    }
}

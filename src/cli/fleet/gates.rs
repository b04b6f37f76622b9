//! Reads the gates of a wave.

use std::process::{Command, Stdio};

use super::super::args::ManifestArgs;
use super::super::error::{Error, Result};
use crate::engine::observe::Observation;
use crate::fleet::file::{Gate, Wave};
use crate::fleet::report::listed;
use crate::fleet::rollout::{Judged, State, Verdict};
use crate::model::call::Failed;
use crate::shell::fleet::Crowd;

/// A member of the wave: its name and its position in the crowd.
type Member = (String, usize);

/// Every gate of a wave, read now.
pub fn judge(
    wave: &Wave,
    members: &[Member],
    crowd: &mut Crowd<'static>,
    args: &ManifestArgs,
    state: &State,
    at: usize,
) -> Result<Vec<Judged>> {
    let positions: Vec<usize> = members.iter().map(|(_, at)| *at).collect();
    // One reading serves the gates that look at plan and objects.
    let reads = wave.gates.iter().any(|gate| matches!(gate, Gate::Applied | Gate::Stream));
    let read = if reads { crowd.observe(&positions, |seen| seen)? } else { Vec::new() };
    let mut out = Vec::new();
    for gate in &wave.gates {
        let (verdict, words) = match gate {
            Gate::Applied => over(members, &read, applied, "second plan is empty and recorded"),
            Gate::Stream => over(members, &read, stream, "log stream is active"),
            Gate::Executions | Gate::Conversion(_) => {
                (Verdict::Waits, "this build cannot read it yet".to_owned())
            }
            Gate::Command(name) => command(name, args, state, at)?,
        };
        out.push(Judged { gate: gate.word(), verdict, words });
    }
    Ok(out)
}

/// What one tenant says to a gate: nothing, or why it does not pass.
type Test = fn(&Observation) -> Option<(Verdict, String)>;

/// A gate over all members: it fails if one fails, and waits if one waits.
fn over(
    members: &[Member],
    read: &[Result<Observation, Failed>],
    test: Test,
    good: &str,
) -> (Verdict, String) {
    let mut open: Vec<(Verdict, String, String)> = Vec::new();
    for ((name, _), result) in members.iter().zip(read) {
        let found = match result {
            Ok(observation) => test(observation),
            Err(failed) => Some((Verdict::Waits, format!("not read: {failed}"))),
        };
        open.extend(found.map(|(verdict, words)| (verdict, name.clone(), words)));
    }
    let Some((verdict, _, words)) =
        open.iter().max_by_key(|(verdict, ..)| *verdict == Verdict::Failed).cloned()
    else {
        let count = members.len();
        return (
            Verdict::Passed,
            format!("of {count} tenant{} the {good}", if count == 1 { "" } else { "s" }),
        );
    };
    let names: Vec<String> = open.iter().filter(|one| one.0 == verdict).map(|one| one.1.clone()).collect();
    (verdict, format!("{}: {words}", listed(&names)))
}

/// The second plan is empty, and the run on record has reported its end.
fn applied(observation: &Observation) -> Option<(Verdict, String)> {
    if !observation.plan.is_empty() {
        return Some((Verdict::Failed, "its second plan is not empty".to_owned()));
    }
    if observation.plan.blockers().next().is_some() {
        return Some((Verdict::Failed, "its second plan is blocked".to_owned()));
    }
    match observation.found.ledger.as_ref() {
        Some(ledger) if ledger.has_reported() => None,
        Some(_) => Some((Verdict::Waits, "its record names a run that has not ended".to_owned())),
        None => Some((Verdict::Waits, "it has no record".to_owned())),
    }
}

/// Every log stream of the stack is active.
fn stream(observation: &Observation) -> Option<(Verdict, String)> {
    let streams = observation
        .seen
        .iter()
        .filter(|(address, seen)| address.kind().starts_with("log_stream") && seen.exists);
    for (address, seen) in streams {
        match seen.attrs.get("status").and_then(|status| status.as_str()) {
            Some("active") => {}
            Some(other) => return Some((Verdict::Failed, format!("{address} is {other}"))),
            None => return Some((Verdict::Waits, format!("the status of {address} was not read"))),
        }
    }
    None
}

/// Runs a command of the command line; its exit code decides.
fn command(name: &str, args: &ManifestArgs, state: &State, at: usize) -> Result<(Verdict, String)> {
    let given = args.commands.iter().find_map(|item| item.strip_prefix(name)?.strip_prefix('='));
    let Some(text) = given else {
        return Err(Error::usage(format!("the gate command {name} has no command"))
            .help(format!("give it with --allow-cmd {name}=COMMAND")));
    };
    let wave = &state.waves[at];
    let mut child = Command::new("sh");
    child.args(["-c", text]).stdin(Stdio::null()).stdout(Stdio::null());
    child.env("LOCKSTEP_FLEET", &state.fleet).env("LOCKSTEP_WAVE", &wave.name);
    child.env("LOCKSTEP_TENANTS", wave.members.join(" "));
    match child.status() {
        Ok(status) if status.success() => Ok((Verdict::Passed, "it ended with 0".to_owned())),
        Ok(status) => Ok((Verdict::Failed, format!("it failed ({status})"))),
        Err(error) => Ok((Verdict::Waits, format!("it cannot be started: {error}"))),
    }
}

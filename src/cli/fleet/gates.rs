//! Reads the gates of a wave.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::super::args::ManifestArgs;
use super::super::error::{Error, Result};
use crate::engine::apply::timestamp;
use crate::engine::observe::{Observation, Session, observe};
use crate::engine::watch;
use crate::fleet::file::{Gate, Wave};
use crate::fleet::report::listed;
use crate::fleet::rollout::{Judged, State, Verdict};
use crate::model::address::Address;
use crate::model::call::{Api, Failed, Get};
use crate::model::health::{self, Health};
use crate::model::secret::percent_encode;
use crate::port::Reader;
use crate::shell::fleet::Crowd;

/// Fewer verifications say nothing of the share that is completed.
const ATTEMPTS_MIN: u64 = 20;

/// A member of the wave: its name and its position in the crowd.
type Member = (String, usize);

/// What was read of one tenant.
struct Read {
    observation: Observation,
    /// `None`: no gate asks for it.
    health: Option<Health>,
}

/// What one reading is to hold.
#[derive(Clone, Copy)]
struct Wants {
    health: bool,
}

/// Every gate of a wave, read now.
pub fn judge(
    wave: &Wave,
    members: &[Member],
    crowd: &mut Crowd<'static>,
    args: &ManifestArgs,
    state: &State,
    at: usize,
) -> Result<Vec<Judged>> {
    // One reading serves all gates that look at the tenant.
    let wants = Wants { health: wave.gates.contains(&Gate::Executions) };
    let is_command = |gate: &Gate| matches!(gate, Gate::Command(_));
    let read = match wave.gates.iter().all(is_command) {
        true => Vec::new(),
        false => read_all(members, crowd, wants)?,
    };
    let mut out = Vec::new();
    for gate in &wave.gates {
        let (verdict, words) = match gate {
            Gate::Applied => over(members, &read, applied, "second plan is empty and recorded"),
            Gate::Stream => over(members, &read, stream, "log stream is active"),
            Gate::Executions => over(members, &read, executions, "version sends, and nothing blames it"),
            Gate::Conversion(least) => conversion(members, &read, crowd, *least, state, at)?,
            Gate::Command(name) => command(name, args, state, at)?,
        };
        out.push(Judged { gate: gate.word(), verdict, words });
    }
    Ok(out)
}

fn read_all(
    members: &[Member],
    crowd: &mut Crowd<'static>,
    wants: Wants,
) -> Result<Vec<Result<Read, Failed>>> {
    Ok(crowd.each(members.iter().map(|(_, at)| *at), |session, reader| one(session, reader, wants))?)
}

async fn one(session: Session, reader: Reader, wants: Wants) -> Result<Read, Failed> {
    let observation = observe(&session, &reader).await?;
    let health = match wants.health {
        true => Some(watch::lately(&observation.seen, &reader).await?),
        false => None,
    };
    Ok(Read { observation, health })
}

/// What one tenant says to a gate: nothing, or why it does not pass.
type Test = fn(&Read) -> Option<(Verdict, String)>;

/// A gate over all members: it fails if one fails, and waits if one waits.
fn over(members: &[Member], read: &[Result<Read, Failed>], test: Test, good: &str) -> (Verdict, String) {
    let mut open: Vec<(Verdict, String, String)> = Vec::new();
    for ((name, _), result) in members.iter().zip(read) {
        let found = match result {
            Ok(read) => test(read),
            Err(failed) => Some((Verdict::Waits, format!("not read: {failed}"))),
        };
        open.extend(found.map(|(verdict, words)| (verdict, name.clone(), words)));
    }
    let worst = open.iter().find(|one| one.0 == Verdict::Failed).or(open.first());
    let Some((verdict, _, words)) = worst.cloned() else {
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
fn applied(read: &Read) -> Option<(Verdict, String)> {
    let observation = &read.observation;
    if !observation.plan.is_empty() {
        return Some((Verdict::Failed, "its second plan is not empty".to_owned()));
    }
    if let Some(blocker) = observation.plan.blockers().next() {
        return Some((Verdict::Failed, format!("its second plan is blocked: {}", blocker.text)));
    }
    match observation.found.ledger.as_ref() {
        Some(ledger) if ledger.has_reported() => None,
        Some(_) => Some((Verdict::Waits, "its record names a run that has not ended".to_owned())),
        None => Some((Verdict::Waits, "it has no record".to_owned())),
    }
}

/// Every log stream of the stack is active.
fn stream(read: &Read) -> Option<(Verdict, String)> {
    let is_stream = |address: &Address| address.kind().starts_with("log_stream");
    for (address, seen) in
        read.observation.seen.iter().filter(|(address, seen)| is_stream(address) && seen.exists)
    {
        match seen.attrs.get("status").and_then(|status| status.as_str()) {
            Some("active") => {}
            Some(other) => return Some((Verdict::Failed, format!("{address} is {other}"))),
            None => return Some((Verdict::Waits, format!("the status of {address} was not read"))),
        }
    }
    None
}

/// No execution of the running version fails, and no message because of the set-up.
fn executions(read: &Read) -> Option<(Verdict, String)> {
    let health = read.health.as_ref()?;
    let words = || {
        let why = health.reasons.join("; ");
        if why.is_empty() { health.counts.line() } else { format!("{why} ({})", health.counts.line()) }
    };
    match health.verdict {
        health::Verdict::Healthy => None,
        health::Verdict::Failing => Some((Verdict::Failed, words())),
        health::Verdict::TooFew | health::Verdict::NotRead => Some((Verdict::Waits, words())),
    }
}

/// The verifications of a Verify service since the wave began.
struct Attempts {
    total: u64,
    converted: u64,
    tenants: Vec<String>,
}

/// The share of verifications that was completed, over all services of the wave. A service that tenants share is asked
/// once, and its figure holds for all of them.
fn conversion(
    members: &[Member],
    read: &[Result<Read, Failed>],
    crowd: &mut Crowd<'static>,
    least: f64,
    state: &State,
    at: usize,
) -> Result<(Verdict, String)> {
    let mut services: BTreeMap<(String, String), (usize, Vec<String>)> = BTreeMap::new();
    for ((name, position), result) in members.iter().zip(read) {
        let read = match result {
            Ok(read) => read,
            Err(failed) => return Ok((Verdict::Waits, format!("{name}: not read: {failed}"))),
        };
        let sid =
            read.observation.seen.get(&Address::from("verify_service")).and_then(|seen| seen.ids.get("sid"));
        let Some(sid) = sid else {
            return Ok((Verdict::Waits, format!("{name}: it has no Verify service of its own to ask")));
        };
        let account = crowd.members[*position].session.account.clone();
        services.entry((account, sid.clone())).or_insert((*position, Vec::new())).1.push(name.clone());
    }
    let since = timestamp(state.waves[at].opened_ms.unwrap_or(state.began_ms));
    let asked: Vec<(String, usize, Vec<String>)> =
        services.into_iter().map(|((_, sid), (position, tenants))| (sid, position, tenants)).collect();
    let mut found = Vec::new();
    for (sid, position, tenants) in asked {
        let path = format!(
            "/v2/Attempts/Summary?VerifyServiceSid={sid}&DateCreatedAfter={}",
            percent_encode(&since)
        );
        let mut reply = crowd.each([position], move |_, reader| {
            let get = Get::whole(Api::Verify, path.clone());
            async move { reader.fresh(&get).await }
        })?;
        match reply.pop() {
            Some(Ok(json)) => match attempts(&json, tenants) {
                Some(attempts) => found.push(attempts),
                None => return Ok((Verdict::Waits, "the summary of verifications has no counts".to_owned())),
            },
            Some(Err(failed)) => {
                return Ok((Verdict::Waits, format!("{}: not read: {failed}", listed(&tenants))));
            }
            None => return Ok((Verdict::Waits, "nothing was read".to_owned())),
        }
    }
    let (total, converted) = found.iter().fold((0, 0), |sum, one| (sum.0 + one.total, sum.1 + one.converted));
    let shared = found.iter().any(|one| one.tenants.len() > 1);
    let shared = if shared { "; a shared service counts for all its tenants" } else { "" };
    if total < ATTEMPTS_MIN {
        return Ok((Verdict::Waits, format!("{total} verifications, and {ATTEMPTS_MIN} are needed{shared}")));
    }
    let share = converted as f64 / total as f64;
    let words =
        format!("{converted} of {total} verifications were completed ({:.0}%){shared}", share * 100.0);
    Ok((if share >= least { Verdict::Passed } else { Verdict::Failed }, words))
}

fn attempts(json: &Json, tenants: Vec<String>) -> Option<Attempts> {
    let count = |key: &str| json[key].as_u64().or_else(|| json[key].as_str()?.parse().ok());
    Some(Attempts { total: count("total_attempts")?, converted: count("total_converted")?, tenants })
}

/// Runs a command of the command line; its exit code decides.
fn command(name: &str, args: &ManifestArgs, state: &State, at: usize) -> Result<(Verdict, String)> {
    let Some(text) = given(name, args) else { return Err(no_command(name)) };
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

/// The command that the command line gives a name.
fn given<'a>(name: &str, args: &'a ManifestArgs) -> Option<&'a str> {
    args.commands.iter().find_map(|item| item.strip_prefix(name)?.strip_prefix('='))
}

/// The error of a gate whose command nobody gave.
fn no_command(name: &str) -> Error {
    Error::usage(format!("the gate command {name} has no command"))
        .help(format!("give it with --allow-cmd {name}=COMMAND"))
}

/// Refuses gates whose command nobody gave, before the first request.
pub fn commands_are_given(waves: &[Wave], args: &ManifestArgs) -> Result<()> {
    let gates = waves.iter().flat_map(|wave| &wave.gates);
    for gate in gates {
        let Gate::Command(name) = gate else { continue };
        let is_it =
            |item: &String| item.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('='));
        if !args.commands.iter().any(is_it) {
            return Err(no_command(name));
        }
    }
    Ok(())
}

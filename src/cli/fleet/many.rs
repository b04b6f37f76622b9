//! `validate`, `plan` and `drift` of a fleet file.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::args::{ConnectArgs, LedgerPlace, ManifestArgs};
use super::super::connecting::{settings, transport};
use super::super::drift::verdict;
use super::super::error::{Error, Result};
use super::super::exit::Exit;
use super::super::outputs::{admit, apart};
use super::super::reports::publish_fleet;
use super::super::setup::{Shell, without};
use super::super::sinks::{Audit, listen_to_many};
use super::super::{domain, reports, status};
use super::load::{Loaded, Made, load};
use super::{FleetArgs, hubs};
use crate::diag::remote;
use crate::engine::observe::{Observation, Session, observe};
use crate::fleet::capacity;
use crate::fleet::report::FleetReport;
use crate::fleet::standing::{FleetStatus, Standing, Unread};
use crate::fleet::summary::{Found, Reading};
use crate::kinds;
use crate::manifest::Missing;
use crate::model::call::Failed;
use crate::model::codes;
use crate::model::plan::{Finding, Level, Plan, Purpose};
use crate::model::value::Outputs;
use crate::plan::compare::Known;
use crate::plan::handed::{self, Hubs};
use crate::port::Reader;
use crate::report::Format;
use crate::shell::fleet::Crowd;
use crate::shell::in_process::save_world;
use crate::shell::stack::{Unconnected, learn, unhidden};

/// What a plan over a fleet is made for.
#[derive(Clone, Copy)]
pub struct Wish {
    pub purpose: Purpose,
    pub destroy: bool,
    pub allow_delete: bool,
    /// Changes are an exit code of their own.
    pub exit_code: bool,
}

/// Checks the fleet file, everything that it names, and the manifest of each tenant.
pub fn validate(args: &ManifestArgs, selection: &FleetArgs, shell: &mut Shell) -> Result<Exit> {
    refuse_forms(shell)?;
    let Some((loaded, made)) = made(args, selection, None, Missing::UnknownButFiles, shell)? else {
        return Ok(Exit::Failed);
    };
    let count = made.iter().filter(|one| !one.only_read).count();
    let waves = loaded.fleet.rollout.waves.len();
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let text =
        format!("{}: valid, {count} tenant{} in {waves} wave{}", args.path().display(), s(count), s(waves));
    publish_fleet(shell, reports::FleetContent::Valid(args.path().display().to_string(), text))?;
    Ok(Exit::Done)
}

/// The forms that a fleet has no report in.
pub fn refuse_forms(shell: &Shell) -> Result<()> {
    match shell.reports.formats().find(|format| matches!(format, Format::Sarif | Format::Github)) {
        None => Ok(()),
        Some(format) => Err(Error::usage(format!("--output {} has no form for a fleet", format.word()))
            .help("use text, json, markdown or junit")),
    }
}

/// Loads the fleet and the manifests of its selected tenants.
pub fn made(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: Option<&ConnectArgs>,
    missing: Missing,
    shell: &mut Shell,
) -> Result<Option<(Loaded, Vec<Made>)>> {
    admit(shell, args.path(), connect, &[], &[])?;
    let Some(mut loaded) = load(args, selection, shell)? else { return Ok(None) };
    let named = loaded.files(args.path());
    let read: Vec<(&str, &Path)> = named.iter().map(|path| ("a file of the fleet", path.as_path())).collect();
    let files: Vec<(&'static str, PathBuf)> =
        shell.reports.files().into_iter().map(|(option, path)| (option, path.to_owned())).collect();
    let written: Vec<_> = files.iter().map(|(option, path)| (*option, path.as_path())).collect();
    if let Err(error) = apart(&written, &read) {
        shell.reports.admitted = false;
        return Err(error);
    }
    let twin = connect.is_some_and(|connect| connect.twin.is_some());
    let Some(made) = loaded.make(args, twin, missing, shell)? else { return Ok(None) };
    hubs::order(&mut loaded, &made);
    Ok(Some((loaded, made)))
}

/// The tenants that are selected, each connected, and the world of a twin.
type Connected = (Loaded, Vec<Made>, Crowd<'static>, World);

/// As [`made`], with the connection to each tenant.
fn connected(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: &ConnectArgs,
    shell: &mut Shell,
) -> Result<Option<Connected>> {
    refuse_forms(shell)?;
    let Some((loaded, made)) = made(args, selection, Some(connect), Missing::Error, shell)? else {
        return Ok(None);
    };
    let (crowd, world) = gather(&made, connect, shell)?;
    Ok(Some((loaded, made, crowd, world)))
}

/// `plan FLEET`.
pub fn plan(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: &ConnectArgs,
    wish: Wish,
    shell: &mut Shell,
) -> Result<Exit> {
    read(args, selection, connect, wish, "plan", shell)
}

/// `drift FLEET`.
pub fn drift(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: &ConnectArgs,
    shell: &mut Shell,
) -> Result<Exit> {
    let wish = Wish { purpose: Purpose::Drift, destroy: false, allow_delete: true, exit_code: true };
    read(args, selection, connect, wish, "drift", shell)
}

/// `status FLEET`.
pub fn status(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: &ConnectArgs,
    shell: &mut Shell,
) -> Result<Exit> {
    let Some((loaded, made, mut crowd, world)) = connected(args, selection, connect, shell)? else {
        return Ok(Exit::Failed);
    };
    crowd.members.iter_mut().for_each(|member| status::prepare(&mut member.session));
    let scrub = shell.scrub.clone();
    let (results, _) = in_order(&loaded, &made, &mut crowd, shell, |session, reader, is_hub| {
        let scrub = scrub.clone();
        // Of what was read only the status is kept.
        async move {
            let look = status::look(session.clone(), reader).await?;
            let outputs = is_hub.then(|| outputs(&session, &look.observation));
            Ok((look.status(&scrub, ToString::to_string), outputs))
        }
    })?;
    let tenants: Vec<Standing> = made
        .iter()
        .zip(results)
        .filter(|(one, _)| !one.only_read)
        .map(|(one, result)| {
            let (exit, result) = match result {
                Ok((status, exit)) => (exit, Ok(Box::new(status))),
                Err(failed) => {
                    let cause = remote::cause(&failed);
                    let message = failed.to_string();
                    (Exit::Incomplete, Err(Unread { code: cause.code, message, help: cause.help }))
                }
            };
            let (name, wave) = loaded.name_and_wave(one.at);
            Standing { name, wave, exit: exit as u8, result }
        })
        .collect();
    let exit = worst(tenants.iter().map(|one| one.exit));
    let report = FleetStatus { fleet: loaded.fleet.name.clone(), tenants, exit: exit as u8 };
    publish_fleet(shell, reports::FleetContent::Standing(Box::new(report)))?;
    save(world)?;
    Ok(exit)
}

fn save(world: World) -> Result<()> {
    if let Some((path, twin)) = world {
        save_world(&*twin.borrow(), &path)?;
    }
    Ok(())
}

fn read(
    args: &ManifestArgs,
    selection: &FleetArgs,
    connect: &ConnectArgs,
    wish: Wish,
    command: &'static str,
    shell: &mut Shell,
) -> Result<Exit> {
    let Some((loaded, made, mut crowd, world)) = connected(args, selection, connect, shell)? else {
        return Ok(Exit::Failed);
    };
    for member in &mut crowd.members {
        member.session.purpose = wish.purpose;
        member.session.destroy = wish.destroy;
        member.session.allow_delete = wish.allow_delete;
    }
    let (mut readings, _) = read_each(&loaded, &made, &mut crowd, command, wish, shell)?;
    if command == "plan" && !wish.destroy {
        no_room(&loaded, &made, &mut crowd, &mut readings)?;
    }
    let exit = worst(readings.iter().map(|one| one.exit));
    let report = FleetReport { command, fleet: loaded.fleet.name.clone(), readings, exit: exit as u8 };
    publish_fleet(shell, reports::FleetContent::Read(Box::new(report)))?;
    save(world)?;
    Ok(exit)
}

/// The plan of every tenant, for a rollout, and what the tenants hand on to each other.
pub fn read_all(
    loaded: &Loaded,
    made: &[Made],
    crowd: &mut Crowd<'static>,
    shell: &mut Shell,
) -> Result<(Vec<Reading>, Hubs)> {
    let wish = Wish { purpose: Purpose::Apply, destroy: false, allow_delete: false, exit_code: false };
    read_each(loaded, made, crowd, "plan", wish, shell)
}

fn read_each(
    loaded: &Loaded,
    made: &[Made],
    crowd: &mut Crowd<'static>,
    command: &str,
    wish: Wish,
    shell: &mut Shell,
) -> Result<(Vec<Reading>, Hubs)> {
    // Of what was read only the plan is kept, and what others take.
    let scrub = shell.scrub.clone();
    let (results, known) = in_order(loaded, made, crowd, shell, |session, reader, is_hub| {
        let scrub = scrub.clone();
        async move {
            let observation = observe(&session, &reader).await?;
            let outputs = is_hub.then(|| outputs(&session, &observation));
            Ok((Box::new(scrub.plan(&observation.plan)), outputs))
        }
    })?;
    let mut readings = Vec::with_capacity(made.len());
    for (one, result) in made.iter().zip(results).filter(|(one, _)| !one.only_read) {
        let result = match result {
            Ok(plan) => Found::Plan(plan),
            Err(failed) => failure(&failed),
        };
        readings.push(reading(loaded, one, result, command, wish));
    }
    Ok((readings, known))
}

/// What was read of each tenant, in their order, and what they hand on to each other.
type Read<T> = (Vec<std::result::Result<T, Failed>>, Hubs);

/// Reads each tenant, side by side, but hubs before those that take from them. The last argument of `read` says whether
/// the tenant is a hub, whose outputs are wanted.
fn in_order<T: 'static, F>(
    loaded: &Loaded,
    made: &[Made],
    crowd: &mut Crowd<'static>,
    shell: &mut Shell,
    read: impl Fn(Session, Reader, bool) -> F,
) -> Result<Read<T>>
where
    F: Future<Output = std::result::Result<(T, Option<Outputs>), Failed>> + 'static,
{
    let is_hub: BTreeSet<usize> = made.iter().flat_map(|one| one.takes.iter().copied()).collect();
    let hub = |at: &usize| made.iter().position(|one| one.at == *at);
    let domains: BTreeSet<String> =
        is_hub.iter().filter_map(hub).map(|at| crowd.members[at].session.tenant.clone()).collect();
    let mut known = Hubs::new();
    let mut found: BTreeMap<usize, std::result::Result<T, Failed>> = BTreeMap::new();
    for layer in hubs::layers(made) {
        hubs::fill(made, &layer, &known, &mut crowd.members, shell);
        let results = crowd.each(layer.iter().copied(), |session, reader| {
            let is_hub = domains.contains(&session.tenant);
            read(session, reader, is_hub)
        })?;
        for (at, result) in layer.into_iter().zip(results) {
            let (result, outputs) = match result {
                Ok((result, outputs)) => (Ok(result), outputs),
                Err(failed) => (Err(failed), None),
            };
            if is_hub.contains(&made[at].at) {
                known.insert(loaded.tenants.list[made[at].at].name.clone(), outputs);
            }
            found.insert(at, result);
        }
    }
    Ok((found.into_values().collect(), known))
}

/// What a tenant hands on to others, by what was read of it.
pub fn outputs(session: &Session, observation: &Observation) -> Outputs {
    let Observation { seen, found, prints, .. } = observation;
    let known = Known::of(&session.declared(), seen, found.ledger.as_ref(), prints, &session.rotate);
    handed::outputs(&session.manifest, &known)
}

/// Counts what each Twilio account will hold, and blocks the plans that lead beyond what it takes. Where Functions are to
/// be made, the list of the account's Serverless services is read: one request for each such account. Returns what would be
/// too many.
pub fn no_room(
    loaded: &Loaded,
    made: &[Made],
    crowd: &mut Crowd<'static>,
    readings: &mut [Reading],
) -> Result<Vec<Finding>> {
    let making = capacity::accounts(readings);
    let member = |sid: &String| {
        let name = &readings.iter().find(|one| one.account == *sid)?.name;
        made.iter().position(|one| loaded.tenants.list[one.at].name == *name)
    };
    let asked: Vec<(String, usize)> = making
        .iter()
        .filter(|(_, account)| account.made > 0)
        .filter_map(|(sid, _)| Some((sid.clone(), member(sid)?)))
        .collect();
    let results = crowd.each(asked.iter().map(|(_, at)| *at), |_, reader| async move {
        kinds::count_serverless(&*reader.get(&kinds::serverless_list()).await?)
    })?;
    // A list that cannot be read leaves what the plans know.
    let listed =
        asked.into_iter().zip(results).filter_map(|((sid, _), count)| Some((sid, count.ok()?))).collect();
    let found = capacity::check(readings, &listed, loaded.fleet.capacity, &loaded.fleet.rollout);
    for reading in readings.iter_mut() {
        let is_blocked = |plan: &Plan| plan.findings.iter().any(|one| one.code == codes::NO_ROOM);
        if reading.result.plan().is_some_and(is_blocked) {
            reading.exit = Exit::Failed as u8;
        }
    }
    Ok(found)
}

fn failure(failed: &Failed) -> Found {
    let cause = remote::cause(failed);
    Found::Error { code: cause.code, message: failed.to_string(), help: cause.help }
}

/// One tenant's result, with the exit code that the command alone would have for it.
fn reading(loaded: &Loaded, one: &Made, result: Found, command: &str, wish: Wish) -> Reading {
    let text = |section: &str, key: &str| {
        let secret = || one.manifest.secret(section, key).map(|secret| secret.expose());
        one.manifest.text(section, key).or_else(secret).unwrap_or_default().to_owned()
    };
    let exit = match &result {
        Found::Error { .. } if command == "drift" => Exit::Incomplete,
        Found::Error { .. } => Exit::Failed,
        Found::Plan(plan) if command == "drift" => verdict(plan),
        Found::Plan(plan) => planned(plan, wish),
    };
    let (name, wave) = loaded.name_and_wave(one.at);
    Reading {
        name,
        domain: text("auth0", "domain"),
        account: text("twilio", "account_sid"),
        wave,
        exit: exit as u8,
        result,
    }
}

/// The exit code of a plan.
fn planned(plan: &Plan, wish: Wish) -> Exit {
    let incomplete = plan.findings.iter().any(|finding| finding.level == Level::NotRead);
    match () {
        () if wish.exit_code && incomplete => Exit::Incomplete,
        () if plan.blockers().next().is_some() => Exit::Failed,
        () if wish.exit_code && !plan.is_empty() => Exit::Changes,
        () => Exit::Done,
    }
}

/// The first exit code of the known order that any tenant has.
pub fn worst(exits: impl Iterator<Item = u8>) -> Exit {
    const ORDER: [Exit; 8] = [
        Exit::Failed,
        Exit::Halted,
        Exit::Incomplete,
        Exit::CauseUnknown,
        Exit::BothChanged,
        Exit::TenantChanged,
        Exit::Changes,
        Exit::FindingsOnly,
    ];
    let all: Vec<u8> = exits.collect();
    ORDER.into_iter().find(|exit| all.contains(&(*exit as u8))).unwrap_or(Exit::Done)
}

type World = Option<(PathBuf, std::rc::Rc<std::cell::RefCell<crate::twin::Twin>>)>;

/// Connects every tenant, before the first request.
pub fn gather(made: &[Made], connect: &ConnectArgs, shell: &mut Shell) -> Result<(Crowd<'static>, World)> {
    if matches!(connect.ledger, LedgerPlace::File(_)) {
        return Err(Error::usage("--ledger file: holds the record of one stack, and a fleet has many")
            .help("leave the option out: each record is kept in its tenant"));
    }
    if connect.domain.is_some() {
        return Err(Error::usage("--domain names one tenant, and a fleet has many")
            .help("leave the option out: the table says which domains there are"));
    }
    let mut stacks = Vec::with_capacity(made.len());
    for one in made {
        learn(&one.manifest, &shell.scrub);
        domain::admit(one.is_handed_in, &one.manifest, connect, shell)?;
    }
    for one in made {
        match unhidden(&one.manifest, connect.rate_share, &shell.scrub) {
            Ok(connection) => stacks.push((connection, one.manifest.clone())),
            Err(Unconnected::NoValue(places)) => return Err(without(&places)),
            Err(Unconnected::Other(error)) => return Err(error.into()),
        }
    }
    let scrubber = shell.scrub.snapshot();
    for (connection, _) in &mut stacks {
        connection.scrubber = Rc::clone(&scrubber);
    }
    let Some(first) = made.first() else { return Err(Error::internal("a fleet without tenants was read")) };
    let (transport, world) = transport(connect, &first.manifest)?;
    let show = listen_to_many(Audit::new());
    let crowd = Crowd::new(stacks, transport, &settings(connect), shell.signals.clone(), show)?;
    Ok((crowd, world))
}

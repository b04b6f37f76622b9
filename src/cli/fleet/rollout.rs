//! `lockstep rollout`: carries a change out over a fleet, wave by wave.

use std::path::Path;
use std::time::Duration;

use super::super::args::{ConnectArgs, ManifestArgs, Output, duration};
use super::super::connecting::settings;
use super::super::error::{Error, Result};
use super::super::exit::Exit;
use super::super::loading::tell;
use super::super::reports::{FleetContent, publish_fleet};
use super::super::setup::Shell;
use super::course::Course;
use super::gates::commands_are_given;
use super::load::{Loaded, Made, load};
use super::many::{gather, made, no_room, read_all, refuse_forms};
use super::recorded::{Key, Log, key, place};
use super::settled::Settled;
use super::shard::Part;
use super::sharding::{Wish, count, matrix, wish};
use super::{FleetArgs, Pages};
use crate::fleet::Fleet;
use crate::fleet::file;
use crate::fleet::report::FleetReport;
use crate::fleet::rollout::{Cause, Event, State};
use crate::fleet::waiting::waiting;
use crate::manifest::Missing;
use crate::model::plan::{Digest, Purpose};
use crate::plan::render::Paint;
use crate::shell::clock::Clock;
use crate::shell::clock::millis;
use crate::shell::files;
use crate::shell::fleet::Crowd;
use crate::shell::in_process::save_world;
use crate::shell::record_place::Place;
use crate::shell::secrets::Scrub;
use crate::shell::terminal::AskProblem;

/// Roll a change out over a fleet, wave by wave
///
/// Plans every tenant, asks once, and applies wave after wave. After each wave its gates are read; the next one begins only
/// when they pass. It halts (exit code 8) when a gate fails or more tenants fail than the budget allows; later waves are
/// untouched then. Run it again to go on: what is applied already is an empty plan.
///
/// Example: lockstep rollout manifests/fleet/fleet.yaml --twin --yes
#[derive(clap::Args)]
pub struct Args {
    /// The fleet file; before it may stand status, halt, resume, abandon or rollback for a
    /// rollout with --record, or matrix for the shards of a GitHub workflow
    #[arg(value_name = "FLEET", num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// A value for ${var.NAME}; not for secrets, because the list of processes shows it
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// Lets ${cmd.NAME}, or the gate { command: NAME }, run this shell command
    #[arg(long = "allow-cmd", value_name = "NAME=COMMAND")]
    commands: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub pages: Pages,
    /// Go no further than this wave
    #[arg(long, value_name = "WAVE", conflicts_with = "wave")]
    until: Option<String>,
    /// Only this wave; those before it have to be applied
    #[arg(long, value_name = "WAVE")]
    wave: Option<String>,
    /// Go on only with the plan that has this digest
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    expect: Option<Digest>,
    /// Leave this tenant out, for this reason; may be repeated
    #[arg(long, value_name = "NAME=REASON")]
    skip: Vec<String>,
    /// Let this gate pass, whatever it reads; needs --why; may be repeated
    #[arg(long, value_name = "GATE", requires = "why")]
    accept: Vec<String>,
    /// Why a halted rollout goes on, or why it is halted
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Keep the records of the rollout here: file:FOLDER, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX
    #[arg(long, value_name = "PLACE", value_parser = place, requires = "record_key")]
    record: Option<Place>,
    /// The key of the records: env:NAME or file:PATH
    #[arg(long, value_name = "KEY", value_parser = key)]
    record_key: Option<Key>,
    /// This machine rolls out a part of the tenants, beside others: 3/10, or gitlab or kubernetes/10 to read the part from
    /// the variables that those systems set
    #[arg(long, value_name = "PART", value_parser = wish, requires = "record")]
    shard: Option<Wish>,
    /// With `matrix`: how many shards there are; without it, one for each hundred tenants
    #[arg(long, value_name = "N", value_parser = count)]
    shards: Option<u32>,
    /// With --shard: look at most this often for what other shards did; one of which nothing is heard for six times as
    /// long is dead, and others take its tenants over
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = poll)]
    poll: Duration,
    /// Also take away what was removed from the manifests
    #[arg(long)]
    allow_delete: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Shortest interval of `--poll`.
const POLL_MIN: Duration = Duration::from_secs(1);
/// How often a halt is written behind what a run wrote at the same time.
const TRIES_MAX: usize = 50;

/// Reads the interval of `--poll`, which has a lower limit: every look is a request to the store.
fn poll(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        poll if poll < POLL_MIN => Err(format!("{text} is too short: at least {}s", POLL_MIN.as_secs())),
        poll => Ok(poll),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text)
}

impl Args {
    /// Path of the fleet file.
    pub fn path(&self) -> &Path {
        Path::new(self.words.last().map_or("", String::as_str))
    }

    /// What the fleet file is read with.
    pub fn manifest(&self) -> ManifestArgs {
        ManifestArgs {
            manifest: self.path().to_owned(),
            file: None,
            vars: self.vars.clone(),
            commands: self.commands.clone(),
            tenants: Vec::new(),
        }
    }

    /// The records of a fleet.
    fn log(&self, fleet: &str, scrub: &Scrub) -> Result<Log> {
        Log::open(self.record.as_ref(), self.record_key.as_ref(), fleet, &self.connect, scrub)
    }

    /// What the run does.
    fn does(&self) -> Result<Does> {
        let [word, _] = self.words.as_slice() else { return Ok(Does::Go) };
        let does = match word.as_str() {
            "status" => Does::Status,
            "halt" => Does::Halt,
            "abandon" => Does::Abandon,
            "resume" => Does::Go,
            "rollback" => Does::TakeBack,
            "matrix" => return Ok(Does::Matrix),
            other => {
                return Err(Error::usage(format!("rollout {other}: there is no such word")).help(
                    "name a fleet file, or write status, halt, resume, abandon, rollback or matrix before it",
                ));
            }
        };
        if self.shard.is_some() && word != "resume" {
            return Err(Error::usage(format!("rollout {word} is about all shards, so --shard says nothing"))
                .help("leave the option out"));
        }
        match self.record.is_some() {
            true => Ok(does),
            false => Err(Error::usage(format!("rollout {word} needs the records of a rollout"))
                .help("name them with --record file:FOLDER --record-key env:NAME")),
        }
    }
}

/// What a run of this command does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Go,
    Status,
    Halt,
    Abandon,
    TakeBack,
    Matrix,
}

/// Shows the last record, or adds a halt to it. No tenant is asked.
fn from_afar(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let text = files::read_manifest(args.path())
        .map_err(|problem| Error::manifest(problem.message).help(problem.help))?;
    let name = args.path().display().to_string();
    let fleet = match file::read(&name, &text.text) {
        Ok(fleet) => fleet,
        Err(rejected) => {
            tell(&rejected.diagnostics, &rejected.source, shell);
            return Ok(Exit::Failed);
        }
    };
    let scrub = shell.scrub.clone();
    let open = || args.log(&fleet.name, &scrub);
    let state = noted(args, &fleet.name, open, Clock::start().now_ms())?;
    let waits = waiting(&state, &fleet.rollout, Clock::start().now_ms());
    let settled = Settled { state, exit: 0, signal: false, waits };
    let exit = if args.does()? == Does::Status { settled.exit() } else { Exit::Done };
    publish_fleet(shell, FleetContent::Rolled(Box::new(Settled { exit: exit as u8, ..settled })))?;
    Ok(exit)
}

/// The last record, behind which the word of the command line is written if it is one to write.
pub fn noted(args: &Args, fleet: &str, open: impl Fn() -> Result<Log>, now_ms: u64) -> Result<State> {
    let does = args.does()?;
    for _ in 0..TRIES_MAX {
        let mut log = open()?;
        let Some(found) = log.found.take() else {
            return Err(Error::manifest(format!("there is no record of a rollout of fleet {fleet}")));
        };
        if does == Does::Status {
            return Ok(found.state);
        }
        if found.state.ended_ms.is_some() {
            return Err(Error::manifest("the last rollout has ended, so there is nothing to halt"));
        }
        let by = settings(&args.connect).who;
        let why = args.why.clone().unwrap_or_else(|| format!("{by} halted it"));
        let event = match does {
            Does::Abandon => Event::Ended,
            _ => Event::Halted { cause: Cause::Person, why, by: by.clone() },
        };
        let state = found.state.after(&event, now_ms);
        // A run that goes on may have written in the meantime: then the halt stands behind what it wrote.
        if log.write(event, &state, &by, now_ms)? {
            return Ok(state);
        }
    }
    let text = "a run keeps writing records, so nothing could be written behind them";
    Err(Error::internal(text).help("run the same command again"))
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    refuse_forms(shell)?;
    let does = args.does()?;
    if !super::is_fleet(args.path()) {
        return Err(Error::usage(format!("{} is no fleet file", args.path().display()))
            .help("name a fleet file, or use `lockstep apply` for a manifest"));
    }
    if let Some(wish) = args.shard {
        wish.part(variable)?;
    }
    if args.shards.is_some() && does != Does::Matrix {
        return Err(Error::usage("--shards says how many jobs `rollout matrix` prints")
            .help("name the part of this machine with --shard, such as --shard 3/10"));
    }
    if matches!(does, Does::Status | Does::Halt | Does::Abandon) {
        return from_afar(args, shell);
    }
    let manifest = args.manifest();
    let all = FleetArgs::default();
    if does == Does::Matrix {
        let Some(loaded) = load(&manifest, &all, shell)? else { return Ok(Exit::Failed) };
        shell.say.out_line(matrix(loaded.tenants.list.len(), args.shards).to_string());
        return Ok(Exit::Done);
    }
    let Some((loaded, made)) = made(&manifest, &all, Some(&args.connect), Missing::Error, shell)? else {
        return Ok(Exit::Failed);
    };
    commands_are_given(&loaded.fleet.rollout.waves, &manifest)?;
    let (crowd, world) = gather(&made, &args.connect, shell)?;
    let scrub = shell.scrub.clone();
    let open = || args.log(&loaded.fleet.name, &scrub);
    let (settled, result) = carry_out(args, &loaded, &made, crowd, open, shell)?;
    if let Some((path, twin)) = world {
        save_world(&*twin.borrow(), &path)?;
    }
    result?;
    let exit = settled.exit();
    publish_fleet(shell, FleetContent::Rolled(Box::new(Settled { exit: exit as u8, ..settled })))?;
    Ok(exit)
}

/// Everything from the first request to the last: reads every tenant, shows the plan, asks, and goes. How far it came is
/// told also when it broke off.
pub fn carry_out(
    args: &Args,
    loaded: &Loaded,
    made: &[Made],
    mut crowd: Crowd<'static>,
    open: impl FnOnce() -> Result<Log>,
    shell: &mut Shell,
) -> Result<(Settled, Result<()>)> {
    let (does, manifest) = (args.does()?, args.manifest());
    let until = until(args, &loaded.fleet, &loaded.groups)?;
    let skips = skips(&args.skip, loaded)?;
    for member in &mut crowd.members {
        member.session.purpose = Purpose::Apply;
        member.session.allow_delete = args.allow_delete;
    }
    let log = open()?;
    let (mut readings, hubs) = read_all(loaded, made, &mut crowd, shell)?;
    if let Some(full) = no_room(loaded, made, &mut crowd, &mut readings)?.into_iter().next() {
        return Err(Error::manifest(format!("{}; nothing was changed", full.text))
            .code(full.code)
            .help(full.help));
    }
    let report = FleetReport { command: "plan", fleet: loaded.fleet.name.clone(), readings, exit: 0 };
    let mut course = Course::new(loaded, made, (crowd, hubs), log, &report, skips, &manifest)?;
    let result = decided(args, does, &mut course, &report, until, shell);
    Ok((course.finish(), result))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The part of this machine, if there are several, or if there were when the rollout on record began.
fn part(args: &Args, course: &mut Course<'_>) -> Result<Option<Part>> {
    let place = match args.shard {
        Some(wish) => wish.part(variable)?,
        None if course.is_shared() => (0, 1),
        None => return Ok(None),
    };
    course.share(place, millis(args.poll), args.words.len() > 1).map(Some)
}

/// Shows the plan, asks, and goes. The state of the course says how it ended.
fn decided(
    args: &Args,
    does: Does,
    course: &mut Course<'_>,
    report: &FleetReport,
    until: usize,
    shell: &mut Shell,
) -> Result<()> {
    let text = report.text(Paint(shell.say.err_color()));
    shell.say.err_line(text.trim_end());
    let mut part = if does == Does::Go { part(args, course)? } else { None };
    if let Some(expected) = &args.expect
        && *expected != course.digest
    {
        return Err(Error::plan(format!(
            "the plan of the fleet is not the one that was reviewed, nothing was changed: its digest is {}, not {expected}",
            course.digest
        ))
        .help("see what it does with `lockstep plan` and the same fleet file, then name its digest"));
    }
    if does == Does::TakeBack {
        confirm(args, &format!("Take back what the open wave of fleet {} changed?", report.fleet), shell)?;
        return course.take_back_now(shell);
    }
    if let Some(only) = &args.wave {
        course.needs_before(only)?;
    }
    course.accepts(&args.accept)?;
    course.limits(shell);
    if course.state.halt.as_ref().is_some_and(|halt| halt.cause == Cause::Limit) {
        return Ok(());
    }
    // Nothing is on record, a resume neither, before it is confirmed.
    if course.has_work() {
        confirm(args, &format!("Roll this out over fleet {}?", report.fleet), shell)?;
    }
    let why = args.why.as_deref().unwrap_or_default();
    if let Some(part) = &mut part {
        course.resume_shared(part, args.words.len() > 1, &args.accept, why, shell)?;
        return course.go_shared(part, until, shell);
    }
    course.resume(&args.accept, why, shell)?;
    course.go(until, shell)
}

/// Asks, unless `--yes` answers.
fn confirm(args: &Args, question: &str, shell: &mut Shell) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    let signals = shell.signals.clone();
    match shell.say.ask(question, &signals) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::manifest("not confirmed; nothing was changed")),
        Err(AskProblem::NotATerminal) => {
            let text = "this has to be confirmed, and there is no terminal to ask at; nothing was changed";
            Err(Error::usage(text)
                .help("review the plan, then give --yes, or --expect with its digest and --yes"))
        }
        Err(AskProblem::NoAnswer) => Err(Error::manifest("no answer; nothing was changed")),
    }
}

/// Position after the last group that this run goes to.
fn until(args: &Args, fleet: &Fleet, groups: &[crate::fleet::waves::Group]) -> Result<usize> {
    let Some(name) = args.until.as_ref().or(args.wave.as_ref()) else { return Ok(groups.len()) };
    let Some(wave) = fleet.rollout.waves.iter().position(|wave| wave.name == *name) else {
        let names: Vec<&str> = fleet.rollout.waves.iter().map(|wave| wave.name.as_str()).collect();
        return Err(Error::usage(format!("the fleet {} has no wave {name}", fleet.name))
            .help(format!("its waves are {}", names.join(", "))));
    };
    Ok(groups.iter().rposition(|group| group.wave == wave).map_or(0, |at| at + 1))
}

/// The tenants that are left out, with the reasons.
fn skips(items: &[String], loaded: &Loaded) -> Result<Vec<(String, String)>> {
    let mut out = Vec::new();
    for item in items {
        let Some((name, reason)) = item.split_once('=').filter(|(_, reason)| !reason.trim().is_empty())
        else {
            return Err(Error::usage("--skip takes NAME=REASON"));
        };
        if !loaded.tenants.list.iter().any(|tenant| tenant.name == name) {
            return Err(Error::usage(format!(
                "--skip: the fleet {} has no tenant {name}",
                loaded.fleet.name
            )));
        }
        out.push((name.to_owned(), reason.trim().to_owned()));
    }
    Ok(out)
}

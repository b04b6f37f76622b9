//! Runs that are watched (`apply --watch`): what users do meanwhile, what is noted of such a run, and its judges.
//!
//! Users ask for codes while a run is watched. What becomes of their messages is drawn for each version of the sending
//! Action, by what the version is: the same code with the same secrets fails again. The judges read the tenant log by
//! themselves, and know of a run only its exit code, its words and what it wrote.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::cli::{Exit, exit_of, of_watch};
use lockstep::engine::apply::Ended;
use lockstep::engine::reconcile::Report;
use lockstep::engine::watch::Run;
use lockstep::model::address::Address;
use lockstep::model::plan::{Cause, Level, Plan};
use lockstep::twin::world::{Action, ActionVersion};
use lockstep::twin::{MessageFate, Traffic, Twin, World};

use super::dice::Dice;
use super::end;
use super::exempt::{Case, Law};
use super::faults::Schedule;
use super::ground::Ground;
use super::heard::{Logged, OF_SETUP, blame, failed_with, is_sent, logged, many_get_nothing};
use super::manifests::{DOMAIN, Draft, SENDER_KEYS};
use super::procs::{Command, Proc, Trouble};
use super::story::Story;

/// Longest watch of a story.
const WATCH_MAX_MS: u64 = 300_000;
/// The tenant tells seconds, and a reply arrives a little after its request: this near to an edge of a time, a judge does
/// not say on which side an event is.
const NEAR_MS: u64 = 2_500;
const DAY_MS: u64 = 86_400_000;

/// Vendor codes that belong to a number or a user (docs/health.md).
const OF_NUMBERS: [u64; 8] = [60200, 60202, 60203, 60205, 60212, 60238, 60410, 60605];

/// What stories of watches have to meet: rows of the coverage table.
pub const MET: &[&str] = &[
    SENDS,
    CRASHES,
    SETUP,
    SETUP_FOR_SOME,
    NUMBERS,
    ALL_NUMBERS,
    UNKNOWN_CODE,
    NOTHING,
    "a burst for blocked numbers",
    "healthy",
    "too few to tell",
    "not read",
    "failing: taken back",
    "failing: not all can be taken back",
    "failing: it could not be taken back",
    "failing: no better before",
    "killed before it watches",
    "killed while it watches",
    "killed while it takes back",
    "stopped while it watches",
    "a killed run is finished by the next one",
    "the plan after it was taken back",
];

const SENDS: &str = "a version sends";
const CRASHES: &str = "a version crashes";
const SETUP: &str = "a version fails by its set-up";
const SETUP_FOR_SOME: &str = "a version fails by its set-up for some";
const NUMBERS: &str = "a version fails for few numbers";
const ALL_NUMBERS: &str = "a version fails for all numbers";
const UNKNOWN_CODE: &str = "a version fails with a code of no table";
const NOTHING: &str = "a version is asked for nothing";

/// What becomes of the messages of a new version, and of one that ran before the watched run.
const NEW: &[&str] = &[
    SENDS,
    SENDS,
    SENDS,
    CRASHES,
    CRASHES,
    CRASHES,
    SETUP,
    SETUP,
    SETUP_FOR_SOME,
    NUMBERS,
    ALL_NUMBERS,
    UNKNOWN_CODE,
    NOTHING,
    NOTHING,
];
const OLD: &[&str] = &[SENDS, SENDS, SENDS, SENDS, SENDS, SENDS, SETUP, ALL_NUMBERS, NOTHING, NOTHING];

/// Longest time for which a run with this command watches: its own watch, and one that it goes on with.
pub fn watching_ms(command: Command) -> u64 {
    match command {
        Command::Watch(ms) => ms + WATCH_MAX_MS,
        _ => 0,
    }
}

/// What is noted of one process.
#[derive(Default)]
pub struct Noted {
    /// It has looked at the log and told what it saw.
    pub is_on: bool,
    /// Requests since then.
    pub requests: usize,
    /// Length of the ground's list of changes when the process began.
    pub mark: usize,
    /// Times of the looks at the log, and whether each was answered in full.
    looks: Vec<(u64, bool)>,
    /// Writes of steps: all, those of a watched run that go forward, and those that take a run back.
    steps: usize,
    forward: usize,
    back: usize,
    /// Time of the latest write that went forward.
    forward_ms: Option<u64>,
}

impl Noted {
    pub fn new(ground: &Ground) -> Noted {
        Noted { mark: ground.changes.len(), ..Noted::default() }
    }
}

/// What is noted of the ground while runs are watched.
#[derive(Default)]
pub struct Watching {
    users: Option<Users>,
    /// Number of the process behind each write of a step, in order, each change of writer once; and whether it watches.
    writers: Vec<(usize, bool)>,
    /// Time of the latest write forward of each watched run.
    forwards: BTreeMap<usize, u64>,
    /// The watched run that went forward last: what a watch takes back.
    forward: Option<Forward>,
    /// Versions that were brought to run, in order.
    lives: Vec<Live>,
    /// The record has a run that was found to fail and was not taken back, from watches whose log is gone.
    is_left_failing: bool,
    /// Ids of versions whose watch came to its end, whatever became of them.
    over: BTreeSet<String>,
    /// Those of them whose watch had come to its end before the run that is judged.
    told: BTreeSet<String>,
    /// How often stories met each row of [`MET`].
    pub met: BTreeMap<&'static str, usize>,
}

/// A watched run that went forward.
#[derive(Clone)]
struct Forward {
    by: usize,
    draft: Draft,
    /// Length of the ground's list of changes when it began.
    mark: usize,
    /// Fields that others had changed before it, and that it left so.
    left: BTreeSet<String>,
}

#[derive(Clone)]
struct Live {
    at_ms: u64,
    by: usize,
    /// By a watched run on its way forward.
    is_watched: bool,
    /// Its id, and what it is.
    id: String,
    what: String,
}

/// Users who ask for codes.
struct Users {
    dice: Dice,
    /// What becomes of their messages, by what a version is.
    fates: BTreeMap<String, Traffic>,
    burst: Option<Traffic>,
}

/// The version that sends the messages of the tenant, as the twin finds it.
fn sender(world: &World) -> Option<(&Action, &ActionVersion)> {
    let actions = &world.tenants[DOMAIN].actions;
    let by =
        |trigger: &str| actions.iter().find(|action| action.supports(trigger) && action.deployment.is_some());
    let action = by("custom-phone-provider").or_else(|| by("send-phone-message"))?;
    Some((action, action.live_version()?))
}

/// What a version is: equal for a copy.
fn what(version: &ActionVersion) -> String {
    let secrets: Vec<_> = version.secrets.iter().map(|one| (&one.name, &one.value)).collect();
    format!("{:?} {:?} {:?} {secrets:?}", version.code, version.dependencies, version.runtime)
}

impl Users {
    fn traffic(&mut self, name: &'static str) -> Traffic {
        let dice = &mut self.dice;
        let every_ms = *dice.pick(&[1_000, 2_000, 5_000, 20_000]);
        let people = *dice.pick(&[3, 60, 1_000]);
        let code = |code: u64| u32::try_from(code).unwrap_or(0);
        let base = Traffic { every_ms, people, ..Traffic::default() };
        let fails = |vendor_code, percent, people| Traffic {
            fate: MessageFate::FailsForSome,
            vendor_code: code(vendor_code),
            percent,
            people,
            ..base.clone()
        };
        match name {
            CRASHES => Traffic { fate: MessageFate::Crashes, ..base },
            SETUP => fails(*dice.pick(&OF_SETUP), 100, people),
            SETUP_FOR_SOME => fails(*dice.pick(&OF_SETUP), 20, people),
            NUMBERS => fails(*dice.pick(&OF_NUMBERS), 50, 4),
            ALL_NUMBERS => fails(*dice.pick(&OF_NUMBERS), 100, 1_000),
            UNKNOWN_CODE => fails(60_999, 100, people),
            NOTHING => Traffic { fate: MessageFate::Nothing, ..base },
            _ => base,
        }
    }
}

impl Watching {
    fn meet(&mut self, row: &'static str) {
        assert!(MET.contains(&row), "{row} is a row of the table");
        *self.met.entry(row).or_default() += 1;
    }

    /// Users come, and some were there before.
    fn come(&mut self, twin: &mut Twin, mut dice: Dice, now_ms: u64) {
        let ago_ms = *dice.pick(&[0, 600_000, 1_800_000]);
        twin.tenant_mut(DOMAIN).users_until_ms = Some(now_ms - ago_ms);
        let burst = dice.chance(40).then(|| Traffic {
            every_ms: 200,
            fate: MessageFate::FailsForSome,
            vendor_code: u32::try_from(*dice.pick(&OF_NUMBERS)).unwrap_or(0),
            people: dice.between(1, 4),
            ..Traffic::default()
        });
        let mut users = Users { dice, fates: BTreeMap::new(), burst };
        if let Some((_, version)) = sender(&twin.world) {
            let name = *users.dice.pick(OLD);
            let traffic = users.traffic(name);
            users.fates.insert(what(version), traffic);
        }
        self.users = Some(users);
        self.writers.clear();
        self.forward = None;
        self.forwards.clear();
        self.lives.clear();
        self.over.clear();
    }

    /// Users go, and the log of the tenant is as short as before.
    fn go(&mut self, twin: &mut Twin) {
        self.users = None;
        twin.tenant_mut(DOMAIN).logs.clear();
    }

    /// Users act until the request that follows, which they do by the version that runs before it.
    pub fn act(&mut self, twin: &mut Twin) {
        let Some(users) = &mut self.users else { return };
        let (mut met, mut traffic) = (None, Traffic { fate: MessageFate::Nothing, ..Traffic::default() });
        if let Some((_, version)) = sender(&twin.world) {
            let what = what(version);
            if !users.fates.contains_key(&what) {
                let name = *users.dice.pick(NEW);
                met = Some(name);
                let drawn = users.traffic(name);
                users.fates.insert(what.clone(), drawn);
            }
            traffic = users.fates[&what].clone();
        }
        if let Some(burst) = users.burst.clone().filter(|_| users.dice.chance(30)) {
            (met, traffic) = (met.or(Some("a burst for blocked numbers")), burst);
        }
        twin.options.traffic = vec![traffic];
        met.into_iter().for_each(|row| self.meet(row));
    }

    /// Notes a request. Returns what is wrong with it.
    pub fn note(
        &mut self,
        proc: &mut Proc,
        (path, is_good): (&str, bool),
        wrote_step: bool,
        (before, after): (Option<&World>, &World),
        now_ms: u64,
    ) -> Option<String> {
        if path.starts_with("/api/v2/logs?") {
            proc.watch.looks.push((now_ms, is_good));
        }
        let (number, watches) = (proc.number, matches!(proc.command, Command::Watch(_)));
        let is_back = proc.plan.as_ref().is_some_and(|plan| plan.rollback);
        proc.watch.steps += usize::from(wrote_step);
        if let (Some(is), was) = (sender(after), before.map(|before| sender(before)))
            && was.is_some_and(|was| was.is_none_or(|(_, was)| was.id != is.1.id))
        {
            let (id, what) = (is.1.id.clone(), what(is.1));
            self.lives.push(Live { at_ms: now_ms, by: number, is_watched: watches && !is_back, id, what });
        }
        if !wrote_step || !watches {
            if wrote_step && self.writers.last() != Some(&(number, false)) {
                self.writers.push((number, false));
            }
            return None;
        }
        let last = self.writers.last().copied();
        if last != Some((number, true)) {
            self.writers.push((number, true));
        }
        if !is_back {
            proc.watch.forward += 1;
            proc.watch.forward_ms = Some(now_ms);
            self.forwards.insert(number, now_ms);
            let left = proc.plan.as_ref().map(left_to_others).unwrap_or_default();
            let (draft, mark) = (proc.draft.clone(), proc.watch.mark);
            self.forward = Some(Forward { by: number, draft, mark, left });
            let wrong = proc.watch.back > 0;
            return wrong.then(|| "a run goes forward again after it has taken back what fails".to_owned());
        }
        proc.watch.back += 1;
        let of_others = last.filter(|(writer, watches)| *writer != number && !watches)?;
        Some(format!("a watch takes back what run {} has done since", of_others.0))
    }
}

/// Makes some applies watched ones. Users come, and often an earlier version stands before.
pub fn draw(story: &mut Story, command: Command) -> Command {
    // From a stream of its own, so that no other draw changes.
    let mut dice = story.dice.fork("watch");
    // Where the headers tell another time than the log, no time can be told at all.
    let is_told = !matches!(story.ground.twin.options.date_ahead_ms, Some(ahead_ms) if ahead_ms != 0);
    if command != Command::Apply || !is_told || !dice.chance(25) {
        return command;
    }
    story.ground.say("an earlier version stands, or does not");
    let (draft, env, store) = (story.draft.clone(), story.env.clone(), story.store.clone());
    let stands = story.alone(&draft, &env, store, Command::Apply) == Some(Ended::Done);
    story.ground.now_ms += 60_000;
    // Where nothing can be applied, there is little to watch.
    if !stands && dice.chance(80) {
        return command;
    }
    if dice.chance(90) {
        renew(story, &mut dice);
    }
    let now_ms = story.ground.now_ms;
    let users = dice.fork("users");
    let Ground { watching, twin, .. } = &mut story.ground;
    watching.come(twin, users, now_ms);
    Command::Watch(*dice.pick(&[30_000, 60_000, 120_000, WATCH_MAX_MS]))
}

/// The command of a second Lockstep beside the first one.
pub fn beside(story: &Story, first: Command) -> Command {
    match first {
        Command::Watch(_) if story.dice.fork("a watch beside").chance(40) => first,
        _ => Command::Apply,
    }
}

/// Changes what the Action is.
fn renew(story: &mut Story, dice: &mut Dice) {
    let former = story.draft.clone();
    match dice.below(6) {
        0 | 1 => {
            let other = if story.env["TWILIO_SENDER_KEY"] == SENDER_KEYS[0] { 1 } else { 0 };
            story.env.insert("TWILIO_SENDER_KEY".into(), SENDER_KEYS[other].into());
        }
        2 => story.draft.set("action.code", "\"./works.js\""),
        3 | 4 => story.draft.set("action.dependencies", "{\"twilio\": \"6.2.1\"}"),
        _ => story.draft = story.draft.edited(dice),
    }
    if story.draft.parse(&story.env).is_err() {
        story.draft = former;
    }
    story.ground.say("the manifest is edited before the watched run");
}

/// Where the watch of a run is disturbed. Otherwise, the run is disturbed as any other.
pub fn trouble(story: &Story, command: Command, usual: Trouble) -> Trouble {
    let mut dice = story.dice.fork("trouble of a watch");
    if !matches!(command, Command::Watch(_)) || !dice.chance(60) {
        return usual;
    }
    let at = |dice: &mut Dice| dice.below(*dice.clone().pick(&[8, 25, 70])) + 1;
    let kill = dice.chance(50).then(|| (at(&mut dice), dice.chance(50)));
    let interrupt = dice.chance(15).then(|| at(&mut dice));
    Trouble { of_watch: true, of_steps: false, kill, interrupt, pause: None, ..usual }
}

/// Judges watched runs, lets the next run finish what was killed, and looks what is planned then.
pub fn afterwards(story: &mut Story, procs: &[Proc], ms: u64) {
    let mut dice = story.dice.fork("after a watch");
    // The judge has runs of its own, and what somebody edits between them is no fault of the program.
    story.ground.schedule = Schedule::calm();
    story.ground.operator.calm();
    for proc in procs.iter().filter(|proc| matches!(proc.command, Command::Watch(_))) {
        judge(story, proc);
    }
    let was_killed = procs[0].killed;
    if was_killed || dice.chance(40) {
        for _ in 0..3 {
            story.ground.now_ms += *dice.pick(&[2_000, 60_000, 3_600_000]);
            let next = end::run(story, Command::Watch(ms));
            judge(story, &next);
            if matches!(next.run(), Some(Ok(_))) {
                if was_killed {
                    story.ground.watching.meet("a killed run is finished by the next one");
                }
                break;
            }
        }
    }
    let records = end::ledgers(&story.ground.twin.world).into_iter().chain(story.ground.file.text.clone());
    let is_left_failing = records.collect::<Vec<_>>().iter().any(|text| text.contains("\"failing\":\""));
    let Ground { watching, twin, .. } = &mut story.ground;
    watching.is_left_failing = is_left_failing;
    watching.go(twin);
}

/// Judges a run that was watched, once it has ended or was killed.
fn judge(story: &mut Story, proc: &Proc) {
    let Command::Watch(ms) = proc.command else { return };
    let ground = &mut story.ground;
    let now_ms = ground.now_ms;
    ground.watching.told = ground.watching.over.clone();
    // The last version that a watched run has brought to run.
    let forward = |live: &&Live| live.is_watched;
    let live = ground.watching.lives.iter().rev().find(forward).cloned();
    let deployed = live.clone().filter(|live| live.by == proc.number);
    if proc.watch.back > 0 {
        // Whatever became of the run: what it takes back has to fail.
        // What explains a failure may be logged before the watch began, or after it looked for the last time; an earlier
        // run may have looked, too.
        let fails = |live: &Live| {
            let near_ms = live.at_ms.saturating_sub(NEAR_MS);
            let events = logged(&ground.twin.world, (near_ms, now_ms));
            let looks: BTreeSet<u64> = events.iter().map(|event| event.at_ms).collect();
            [near_ms, live.at_ms, live.at_ms + NEAR_MS].into_iter().any(|from_ms| {
                looks.iter().any(|until_ms| {
                    let events = logged(&ground.twin.world, (from_ms, *until_ms));
                    blame(&events, &live.id) || many_get_nothing(&events)
                })
            })
        };
        let lives = &ground.watching.lives;
        let begun_ms = lives.first().map_or(now_ms, |live| live.at_ms);
        let whole = logged(&ground.twin.world, (begun_ms.saturating_sub(1_000_000), now_ms));
        // What runs may have been deployed before users came.
        let is_of_before = !lives.iter().any(|live| live.is_watched);
        let of_before = || whole.iter().map(|event| event.version.as_str()).chain([""]);
        let is_right = lives.iter().any(fails)
            || is_of_before && of_before().any(|version| blame(&whole, version))
            || many_get_nothing(&whole);
        // A watch before this one, whose log is gone, found that it fails and could not take it back.
        if !is_right && !ground.watching.is_left_failing {
            let case =
                Case { crossed: ground.crossed, lease_deleted: ground.lease_deleted, ..Case::default() };
            let what = format!("run {} takes back what does not fail", proc.number);
            ground.blame(Law::Watch, &case, what);
        }
    }
    if proc.killed {
        let row = match (proc.watch.back > 0, proc.watch.is_on) {
            (true, _) => "killed while it takes back",
            (false, true) => "killed while it watches",
            (false, false) => "killed before it watches",
        };
        let over = live.filter(|live| is_over_on_record(ground, proc, live, ms));
        ground.watching.over.extend(over.map(|live| live.id));
        return ground.watching.meet(row);
    }
    let run = match proc.run() {
        Some(Ok(run)) => run,
        Some(Err(failed)) => {
            // Whoever reads this error believes that nothing was changed.
            if proc.watch.forward > 0 {
                let what = format!("run {} changed the tenant, and says only: {failed}", proc.number);
                ground.blame(Law::Watch, &Case::default(), what);
            }
            return;
        }
        None => return,
    };
    let exit = exit_of(&run);
    let told = run.watched.clone().map(of_watch);
    let (line, help) = told.map(|told| (told.line(), told.help())).unwrap_or_default();
    ground.say(&format!("P{} exits with {}: {line}", proc.number, exit as u8));
    let is_done = run.report.as_ref().is_none_or(|report| report.outcome.ended == Ended::Done);
    if !is_done {
        return;
    }
    meet(ground, &run, exit, &line);
    // Nothing is deployed unwatched.
    if run.watched.is_none() && deployed.is_some() {
        let what = format!("run {} deployed a version and did not watch it", proc.number);
        ground.blame(Law::Watch, &Case::default(), what);
    }
    let taken = Case {
        ledger_deleted: ground.edits.keys().any(|edit| edit.contains("ledger")),
        crossed: ground.crossed,
        outlived: ground.outlived,
        lease_deleted: ground.lease_deleted,
        no_lease: !ground.twin.options.serverless_allowed || proc.no_lease,
        ..Case::default()
    };
    let is_success = matches!(exit, Exit::Done | Exit::FindingsOnly);
    // A run that deploys nothing can be watched too, for example one that changes who sends, and it may say what it saw of
    // one before it. Its words say which of the changes was watched.
    let said_ms = run.watched.as_ref().and_then(|watched| watched.health.since.parse().ok());
    let said_ms = said_ms.map(|at: jiff::Timestamp| at.as_millisecond().unsigned_abs());
    let others = ground.watching.forwards.iter().filter(|(by, _)| **by == proc.number || deployed.is_none());
    let changes = live.as_ref().map(|live| live.at_ms).into_iter().chain(others.map(|(_, at_ms)| *at_ms));
    let since_ms = said_ms.and_then(|said_ms| changes.min_by_key(|at_ms| at_ms.abs_diff(said_ms)));
    let seen_ms = proc.watch.looks.iter().rev().find(|(_, is_good)| *is_good).map_or(0, |(at_ms, _)| *at_ms);
    if let Some(live) = &live
        && is_success
    {
        // What a watched run deployed, killed or not, fails within its time: that is no success.
        let others = ground.watching.writers.iter().any(|(_, watches)| !watches);
        // An earlier run may have told the outcome of that, and this one watches what it did itself.
        let is_told = ground.watching.told.contains(&live.id);
        let begun_ms = since_ms.filter(|_| is_told).unwrap_or(live.at_ms);
        let until_ms = (begun_ms + ms).min(if run.watched.is_some() { seen_ms } else { now_ms });
        let events = logged(&ground.twin.world, (begun_ms + NEAR_MS, until_ms.saturating_sub(NEAR_MS)));
        // What explains a failure may be logged near an edge of the time.
        let wide = logged(&ground.twin.world, (begun_ms.saturating_sub(NEAR_MS), until_ms + NEAR_MS));
        let fails = blame(&events, &live.id) && blame(&wide, &live.id);
        let runs = sender(&ground.twin.world).is_some_and(|(_, version)| version.id == live.id);
        // A run beside this one may have deployed it after this one had read everything.
        let is_later = deployed.is_none() && live.at_ms > proc.last_ms;
        let is_over = run.watched.is_none() && (is_told || is_later);
        let is_unseen = exit == Exit::Done && !is_sent(&logged(&ground.twin.world, (begun_ms, now_ms)));
        if runs && !others && !is_over && (fails || is_unseen) {
            let what = format!(
                "run {} ends with {}, and what it watched fails or sent nothing",
                proc.number, exit as u8
            );
            ground.blame(Law::Watch, &taken, what);
        }
    }
    let Some(watched) = &run.watched else { return };
    let is_over = |report: &Report| report.outcome.ended == Ended::Done;
    if watched.back.as_ref().is_none_or(|back| back.as_ref().is_ok_and(is_over)) {
        ground.watching.over.extend(live.iter().map(|live| live.id.clone()));
    }
    let events = logged(&ground.twin.world, (since_ms.unwrap_or(0), now_ms));
    if is_success {
        if proc.watch.looks.last().is_none_or(|(_, is_good)| !is_good) {
            let what = format!("run {} ends with {}, and its last look failed", proc.number, exit as u8);
            ground.blame(Law::Watch, &Case::default(), what);
        }
        // A run that looked at the log after its last step watched itself, and its time begins with its end.
        let own_ms = proc.watch.forward_ms.filter(|at_ms| *at_ms < seen_ms);
        if own_ms.or(since_ms).is_some_and(|since_ms| seen_ms + NEAR_MS < since_ms + ms) {
            let what = format!("run {} ends with {} before its time", proc.number, exit as u8);
            ground.blame(Law::Watch, &Case::default(), what);
        }
    }
    if exit == Exit::Done && !is_sent(&events) {
        let what = format!("run {} calls healthy what sent no message", proc.number);
        ground.blame(Law::Watch, &Case::default(), what);
    }
    if exit == Exit::FindingsOnly && help.is_empty() {
        ground.blame(Law::Watch, &Case::default(), format!("run {} does not say what to do", proc.number));
    }
    if let (Exit::Failed, Some(back)) = (exit, &watched.back) {
        // A watch also takes back a run that was killed. What others changed since then is theirs, and has to be called so,
        // even if they did it before the run began that takes back.
        let forward = ground.watching.forward.clone();
        let mark = forward.as_ref().map_or(proc.watch.mark, |forward| forward.mark.min(proc.watch.mark));
        let is_other =
            |actor: usize| actor != proc.number && forward.as_ref().is_none_or(|run| run.by != actor);
        let others = ground.changes[mark.min(ground.changes.len())..].iter().any(|(one, _)| is_other(*one));
        let case = Case { moved_since_plan: others, ..taken };
        taken_back(
            story,
            proc,
            (&line, &help),
            back.as_ref().ok().filter(|report| is_over(report)).map(|report| &report.plan),
            &case,
        );
    } else if watched.back.is_none() && exit == Exit::Failed {
        no_better(story, proc, since_ms, &events);
    }
}

/// Whether a killed run had come to the end of its watch, and only its exit code was missing. No program can write its last
/// record and end in one instant, and its last line said what it saw. So this counts only if both are seen from outside:
/// the looks that end a watch, and a record that has none any more.
fn is_over_on_record(ground: &Ground, proc: &Proc, live: &Live, ms: u64) -> bool {
    let Some((seen_ms, true)) = proc.watch.looks.last().copied() else { return false };
    let events = logged(&ground.twin.world, (live.at_ms, seen_ms));
    // Its rollback found nothing that it could take back, and said so.
    let is_vain = proc.plan.as_ref().is_some_and(|plan| plan.rollback && plan.steps.is_empty());
    let is_over = match blame(&events, &live.id) {
        true => is_vain || is_no_better(ground, live.at_ms, &events),
        false => seen_ms + NEAR_MS >= live.at_ms + ms,
    };
    let mut records = end::ledgers(&ground.twin.world).into_iter().chain(ground.file.text.clone());
    is_over && !records.any(|text| text.contains("\"watch\":"))
}

fn meet(ground: &mut Ground, run: &Run, exit: Exit, line: &str) {
    if run.watched.is_none() {
        return;
    }
    let row = match exit {
        Exit::Done => "healthy",
        Exit::FindingsOnly => "too few to tell",
        Exit::Incomplete if line.contains("stopped") => "stopped while it watches",
        Exit::Incomplete => "not read",
        _ if line.ends_with("; the run was taken back") => "failing: taken back",
        _ if line.contains("; not all of the run") => "failing: not all can be taken back",
        // A story in some thousands: too rare for the table.
        _ if line.contains("nothing to take back") => return,
        _ if line.contains("; the run could not") => "failing: it could not be taken back",
        _ => "failing: no better before",
    };
    ground.watching.meet(row);
}

/// A run that fails and stays, because the version before was no better: that has to be so.
fn no_better(story: &mut Story, proc: &Proc, since_ms: Option<u64>, events: &[Logged]) {
    let ground = &mut story.ground;
    if !is_no_better(ground, since_ms.unwrap_or(ground.now_ms), events) {
        let what = format!("run {} fails and stays, and the version before was better", proc.number);
        ground.blame(Law::Watch, &Case::default(), what);
    }
}

fn is_no_better(ground: &Ground, since_ms: u64, events: &[Logged]) -> bool {
    let before = logged(&ground.twin.world, (since_ms.saturating_sub(DAY_MS), since_ms + NEAR_MS));
    let had_setup = before.iter().any(|event| failed_with(event, &OF_SETUP));
    let crashes = events.iter().any(|event| event.message.is_none()) && !many_get_nothing(events);
    let sets_up = events.iter().any(|event| failed_with(event, &OF_SETUP));
    had_setup && (!crashes || sets_up)
}

/// A run that fails and was to be taken back: what it deployed does not run any more, or the run says what stays and why.
fn taken_back(story: &mut Story, proc: &Proc, (line, help): (&str, &str), plan: Option<&Plan>, case: &Case) {
    let ground = &mut story.ground;
    let is_whole = line.ends_with("; the run was taken back");
    let is_vain = line.ends_with("there was nothing to take back");
    let watching = &ground.watching;
    let failing = watching.lives.iter().rev().find(|live| live.is_watched);
    // A run that deploys nothing takes back what it did, and no version of which an earlier run told the outcome.
    let failing = failing.filter(|live| !watching.told.contains(&live.id));
    let failing_id = failing.map(|live| live.id.clone());
    let failing = failing.map(|live| live.what.clone());
    let running = sender(&ground.twin.world).map(|(_, version)| what(version));
    if is_whole && failing.is_some() && running == failing {
        let what = format!("run {} says that it was taken back, and its version runs", proc.number);
        ground.blame(Law::Watch, case, what);
    }
    let named = plan.is_some_and(|plan| {
        plan.findings.iter().any(|one| matches!(one.level, Level::Warning | Level::Blocker))
    });
    let is_new = failing_id.is_some_and(|id| !is_as_before(&ground.twin.world, &id));
    if is_vain && (is_new || plan.is_none_or(|plan| !plan.steps.is_empty())) {
        ground.blame(Law::Watch, case, format!("run {} could be taken back, and says no", proc.number));
    }
    if !is_whole && !is_vain && (help.is_empty() || plan.is_some() && !named && proc.watch.back == 0) {
        ground.blame(Law::Watch, case, format!("run {} does not say what stays and why", proc.number));
    }
    if !is_whole || exempt_from_calm(case) {
        return;
    }
    // The next plan shows the same changes again, and they are not somebody else's; nothing is left to take back. That is said
    // of the manifest of the run that was taken back: two runs beside each other may have two, and by the other one there may
    // have been nothing to change.
    let forward = story.ground.watching.forward.clone();
    let (draft, left) =
        forward.map_or_else(|| (proc.draft.clone(), BTreeSet::new()), |run| (run.draft, run.left));
    let back = end::run_by(story, &draft, Command::Rollback);
    if back.watch.steps > 0 {
        let what = "a rollback after the run was taken back wrote".to_owned();
        story.ground.blame(Law::Watch, case, what);
    }
    let next = end::run_by(story, &draft, Command::Plan);
    let shown = next.plan.iter().flat_map(|plan| &plan.resources).flat_map(|one| &one.changes);
    let moved = shown.filter(|change| change.cause == Cause::TenantChanged).map(|one| one.field.as_str());
    let moved: Vec<&str> = moved.filter(|field| !left.contains(*field)).collect();
    let is_empty = next.plan.as_ref().is_none_or(Plan::is_empty);
    if proc.watch.back > 0 && is_empty {
        story.ground.blame(Law::Watch, case, "the plan after the run was taken back is empty".into());
    }
    if !moved.is_empty() {
        let what =
            format!("the plan after the run was taken back calls changed by others: {}", moved.join(", "));
        story.ground.blame(Law::Watch, case, what);
    }
    story.ground.watching.meet("the plan after it was taken back");
}

/// Whether a version is a copy of the one before it, except for its secrets.
fn is_as_before(world: &World, id: &str) -> bool {
    let versions = world.tenants[DOMAIN].actions.iter().flat_map(|action| action.versions.windows(2));
    versions.filter(|pair| pair[1].id == *id).any(|pair| {
        let what = |one: &ActionVersion| format!("{:?} {:?} {:?}", one.code, one.dependencies, one.runtime);
        what(&pair[0]) == what(&pair[1])
    })
}

/// The fields that others had changed before a plan, and for which it has no step.
fn left_to_others(plan: &Plan) -> BTreeSet<String> {
    let has_step = |address: &Address| plan.steps.iter().any(|step| step.address == *address);
    let stays = plan.resources.iter().filter(|one| !has_step(&one.address)).flat_map(|one| &one.changes);
    stays.filter(|change| change.cause == Cause::TenantChanged).map(|change| change.field.clone()).collect()
}

fn exempt_from_calm(case: &Case) -> bool {
    case.moved_since_plan || case.ledger_deleted
}

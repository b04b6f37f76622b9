//! Stories of fleets: tenants on one twin, two revisions of their base, and rollouts that are killed, refused, disturbed,
//! halted, and run again. The judges look from outside; `docs/simulation.md` says at what.

mod drawn;
mod field;
mod judge;
pub mod report;
mod shared;
mod shelf;
#[cfg(test)]
mod tests;
mod turns;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use lockstep::cli::Exit;
use lockstep::cli::fleet::recorded::Log;
use lockstep::cli::fleet::rollout::{Args, carry_out, noted};
use lockstep::cli::setup::Shell;
use lockstep::engine::observe::Session;
use lockstep::manifest::Missing;
use lockstep::model::random::Entropy;
use lockstep::shell::driver::{Driver, Transport};
use lockstep::shell::fleet::{Crowd, Member};
use lockstep::shell::in_process::{InProcess, Stop};
use lockstep::shell::records::Records;
use lockstep::shell::secrets::Scrub;
use lockstep::shell::signals::Signals;
use lockstep::shell::stack::{Settings, connection, learn, session};
use lockstep::shell::terminal::{Say, Terminals};
use lockstep::twin::{MessageFate, Traffic, Twin};

use super::dice::Dice;
use super::faults::Schedule;
use super::procs::LEASE_TTL_MS;
use drawn::Drawn;
use field::{Door, Field, Heard, Kill, Killed, Refused, Shelved};
use judge::{KEY, Ran};
use shelf::Shelves;
use turns::{Turns, lock};

/// Most requests of one process.
const REQUESTS_MAX: usize = 100_000;
/// Runs without faults after which everything has to be in order.
const CALM_RUNS: usize = 8;
/// Longest time of the work on one tenant, as `--deadline` sets it.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// One process of a story.
#[derive(Clone, Debug, Default)]
struct Start {
    /// `status`, `halt`, `resume`, `abandon` or `rollback`; empty: none.
    word: &'static str,
    after_ms: u64,
    revision: usize,
    /// Its base, if it is not that of the story.
    base: Option<String>,
    kill: Option<Kill>,
    interrupt: Option<usize>,
    /// After so many requests it stands still for so long.
    pause: Option<(usize, u64)>,
    /// Which shard it is, and of how many.
    shard: Option<(u32, u32)>,
    until: Option<usize>,
    skips: BTreeSet<usize>,
    accepts: bool,
}

/// How a process ended.
#[derive(Clone, Debug)]
enum Ended {
    Killed,
    /// With this code.
    Done(Exit),
    Refused(String),
}

struct Story {
    field: Arc<Mutex<Field>>,
    drawn: Drawn,
    dice: Dice,
    base: String,
    revision: usize,
    /// Length of the log when the revision began.
    from: usize,
    has_records: bool,
    /// How many machines roll out together; 0: one, which shares nothing.
    shards: u32,
    /// Who was left out by a run. His wave may have passed without him.
    skipped: BTreeSet<usize>,
}

/// What became of a story.
pub struct Told {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub runs: usize,
    pub requests: usize,
    pub coverage: Vec<((&'static str, &'static str), usize)>,
}

/// Tells the story of a seed. Equal seeds give equal stories.
pub fn tell(seed: u64, trace: bool) -> Told {
    let mut dice = Dice::new(seed).fork("fleet");
    let tenants = drawn::tenants(&mut dice);
    let drawn = drawn::fleet(&mut dice, &tenants);
    let twin = Twin::new(drawn::options(&mut dice), seed);
    let field = Field::new(twin, tenants, dice.fork("field"), trace);
    let base = drawn::base(&mut dice, 0);
    let has_records = dice.chance(60);
    let mut of = dice.fork("shards");
    let shards = if has_records && of.chance(40) { u32::try_from(of.between(1, 4)).unwrap_or(1) } else { 0 };
    let field = Arc::new(Mutex::new(field));
    let mut story = Story {
        field,
        drawn,
        dice,
        base,
        revision: 0,
        from: 0,
        has_records,
        shards,
        skipped: BTreeSet::new(),
    };
    story.say(&story.drawn.text);
    for revision in 0..2 {
        story.revise(revision);
        // The first rollout is mostly what the second one finds, and nothing more.
        if revision == 1 || story.dice.chance(25) {
            for _ in 0..story.dice.between(1, 3) {
                story.disturbed();
            }
        }
        if story.field().violations.is_empty() && (revision == 1 || story.dice.chance(80)) {
            story.calm();
        }
    }
    let mut field = story.field();
    Told {
        violations: std::mem::take(&mut field.violations),
        trace: field.trace.take().unwrap_or_default(),
        runs: field.runs,
        requests: field.log.len(),
        coverage: std::mem::take(&mut field.coverage).into_iter().collect(),
    }
}

impl Story {
    fn field(&self) -> std::sync::MutexGuard<'_, Field> {
        lock(&self.field)
    }

    fn say(&self, text: &str) {
        self.field().say(text);
    }

    fn revise(&mut self, revision: usize) {
        if revision > 0 {
            self.base = drawn::base(&mut self.dice, revision);
        }
        self.revision = revision;
        let mut field = lock(&self.field);
        field.disturbed.clear();
        field.finished.clear();
        self.from = field.log.len();
        field.say(&format!("revision {revision}:\n{}", self.base));
    }

    /// One act among faults.
    fn disturbed(&mut self) {
        let dice = &mut self.dice;
        let mut field = lock(&self.field);
        let count = field.tenants.len();
        field.now_ms += *dice.pick(&[2_000, 60_000, 900_000]);
        field.schedule = match dice.chance(30) {
            true => Schedule::draw(dice, "fleet faults"),
            false => Schedule::calm(),
        };
        let some = |dice: &mut Dice, percent| (0..count).filter(|_| dice.chance(percent)).collect::<Vec<_>>();
        let percent = *dice.pick(&[0, 0, 15, 40]);
        let how = *dice.pick(&[Refused::All, Refused::Deployments]);
        field.refuses = some(dice, percent).into_iter().map(|at| (at, how)).collect();
        let percent = *dice.pick(&[0, 0, 0, 20]);
        field.dead = some(dice, percent).into_iter().collect();
        field.edits = if dice.chance(35) { (dice.below(3) + 1, *dice.pick(&[1, 3])) } else { (0, 0) };
        let (traffic, what) = drawn::traffic(dice);
        field.twin.options.traffic = if self.drawn.has_executions { traffic } else { Vec::new() };
        if self.drawn.has_executions {
            field.count(what, 0);
        }
        if self.has_records && dice.chance(30) {
            let turn = field.puts.len() + dice.below(8);
            let how = *dice.pick(&[Shelved::Refused, Shelved::ReplyLost]);
            field.shelved.insert(turn, how);
        }
        let revision = self.revision;
        let mut start = Start { revision, ..Start::default() };
        if dice.chance(35) {
            let (before, each) = (dice.chance(50), *dice.pick(&[60, 200]));
            start.kill = Some(match self.has_records && dice.chance(30) {
                true => Kill::Put(dice.below(8) + 1, before),
                false => Kill::Request(dice.below(each * count) + 1, before),
            });
        } else if dice.chance(10) {
            start.interrupt = Some(dice.below(100 * count) + 1);
        }
        if dice.chance(15) {
            start.until = Some(dice.below(self.drawn.groups.len()) + 1);
            field.count("--until", 0);
        }
        if dice.chance(25) {
            start.skips.insert(dice.below(count));
            field.count("--skip", 0);
        }
        start.accepts = self.drawn.has_executions && dice.chance(50);
        let mut starts = spread(self.shards, &start);
        if self.shards > 0 {
            field.count("shards", 0);
            let resumes = start.accepts || dice.chance(50);
            for one in &mut starts {
                one.word = if resumes { "resume" } else { "" };
                one.after_ms = *dice.pick(&[0, 0, 3_000, 90_000]);
                let each = *dice.pick(&[60, 200]);
                let requests = dice.below(each * count) + 1;
                (one.kill, one.pause) = match dice.below(8) {
                    0 | 1 => (Some(Kill::Request(requests, dice.chance(50))), None),
                    2 => (Some(Kill::Put(dice.below(8) + 1, dice.chance(50))), None),
                    3 | 4 => (None, Some((requests, *dice.pick(&[5_000, 45_000, 200_000])))),
                    _ => (None, None),
                };
            }
        }
        if dice.chance(20) {
            let base = dice.chance(30).then(|| drawn::base(dice, revision + 1));
            let after_ms = dice.between(0, 90_000);
            field.count(if base.is_some() { "a rival with another base" } else { "a rival" }, 0);
            let accepts = start.accepts;
            starts.push(Start { after_ms, base, kill: None, accepts, ..start.clone() });
        }
        if self.has_records && dice.chance(30) {
            let word = *dice.pick(&["halt", "halt", "halt", "status", "rollback", "abandon"]);
            field.count(word, 0);
            starts.push(Start { word, revision, after_ms: dice.between(5_000, 200_000), ..Start::default() });
        }
        drop(field);
        self.act(&starts);
        let mut field = self.field();
        field.schedule = Schedule::calm();
        field.edits = (0, 0);
        field.shelved.clear();
        field.refuses.clear();
        field.dead.clear();
    }

    /// Runs without faults until all is in order; then one more, which has nothing to do.
    fn calm(&mut self) {
        let count = self.field().tenants.len();
        let dead: BTreeSet<usize> =
            if self.dice.chance(15) { BTreeSet::from([self.dice.below(count)]) } else { BTreeSet::new() };
        {
            let mut field = self.field();
            field.dead.clone_from(&dead);
            field.twin.options.traffic =
                vec![Traffic { every_ms: 15_000, fate: MessageFate::Sent, ..Traffic::default() }];
        }
        let mut last = None;
        for turn in 0..CALM_RUNS {
            self.field().now_ms += 3 * LEASE_TTL_MS;
            // Who cannot be reached keeps a wave of his own from being judged, until somebody leaves him out.
            let skips = if turn < 2 { BTreeSet::new() } else { dead.clone() };
            let accepts = self.drawn.has_executions;
            let start = Start { revision: self.revision, accepts, skips, ..Start::default() };
            // One machine can go on alone with what shards began.
            let alone = self.shards > 0 && self.dice.chance(20);
            let starts = spread(if alone { 0 } else { self.shards }, &start);
            let mut ends = self.act(&starts);
            if !self.field().violations.is_empty() {
                return;
            }
            ends.sort_by_key(|one| matches!(one, Ended::Done(_)));
            let ended = ends.remove(0);
            match &ended {
                Ended::Refused(what) if what.contains("is not finished") => {
                    self.act(&[Start { word: "abandon", ..Start::default() }]);
                }
                Ended::Done(Exit::Halted) if turn > 3 && self.drawn.rollout().limits.changed.is_some() => {
                    // The limit is on purpose below the number of tenants.
                    return self.field().dead.clear();
                }
                Ended::Done(Exit::Done | Exit::Failed | Exit::FindingsOnly)
                    if self.is_as_wanted(&dead).is_empty() =>
                {
                    self.settled(&start, &dead);
                    return self.field().dead.clear();
                }
                _ => {}
            }
            last = Some(ended);
        }
        let wrong = self.is_as_wanted(&dead);
        self.field()
            .blame(format!("End: {CALM_RUNS} runs without faults do not finish it: {last:?} {wrong:?}"));
    }

    /// Tenants that are not as the base wants them.
    fn is_as_wanted(&self, dead: &BTreeSet<usize>) -> Vec<String> {
        let wanted = drawn::code_length(self.revision);
        let field = self.field();
        let mut wrong = Vec::new();
        for (_, tenant) in field.tenants.iter().enumerate().filter(|(at, _)| !dead.contains(at)) {
            let sids: Vec<&str> = field.twin.world.tenants[&tenant.domain]
                .actions
                .iter()
                .filter_map(|action| action.live_version())
                .filter_map(|version| version.secret("TWILIO_VERIFY_SID"))
                .map(|secret| secret.value.as_str())
                .collect();
            let account = &field.twin.world.accounts[&tenant.account];
            let lengths: Vec<Option<u64>> = sids
                .iter()
                .map(|sid| account.verify_service(sid)?.settings.get("code_length")?.as_u64())
                .collect();
            if lengths != [Some(wanted)] {
                wrong.push(format!("{} sends codes of {lengths:?}, not {wanted}", tenant.name));
            }
        }
        wrong
    }

    /// A further run writes nothing; the first one may do what was left out.
    fn settled(&mut self, start: &Start, dead: &BTreeSet<usize>) {
        for turn in 0..2 {
            let (from, skipped) = (self.field().log.len(), self.skipped.clone());
            self.field().now_ms += 60_000;
            let start = Start { skips: dead.clone(), ..start.clone() };
            self.act(&spread(self.shards, &start));
            let mut field = self.field();
            let writes: Vec<usize> =
                field.log[from..].iter().filter(|one| one.writes()).map(|one| one.tenant).collect();
            if let Some(one) = writes.iter().find(|one| turn > 0 || !skipped.contains(one)) {
                let what = format!("Again: a run after the last one writes to {}", field.tenants[*one].name);
                field.blame(what);
            }
            if writes.is_empty() {
                return;
            }
        }
    }

    /// Runs processes side by side to their ends, and judges them.
    fn act(&mut self, starts: &[Start]) -> Vec<Ended> {
        self.skipped.extend(starts.iter().flat_map(|start| &start.skips));
        let (from, puts, first) = {
            let mut field = self.field();
            let first = field.runs + 1;
            field.runs += starts.len();
            field.halted.clear();
            field.strangers =
                (first..).zip(starts).filter(|(_, one)| one.base.is_some()).map(|(who, _)| who).collect();
            field.crowded = starts.iter().filter(|one| one.shard.is_none_or(|(at, _)| at == 1)).count() > 1;
            for (number, start) in (first..).zip(starts) {
                let text =
                    format!("== P{number}: {start:?}, dead {:?}, refuses {:?}", field.dead, field.refuses);
                field.say(&text);
            }
            (field.log.len(), field.puts.len(), first)
        };
        let now_ms = self.field().now_ms;
        let turns =
            Arc::new(Turns::new((first..).zip(starts).map(|(who, one)| (who, now_ms + one.after_ms))));
        let ran: Vec<(Ended, Option<usize>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (first..)
                .zip(starts)
                .map(|(who, start)| {
                    let (story, turns) = (&*self, turns.clone());
                    scope.spawn(move || story.process(who, start, &turns, now_ms))
                })
                .collect();
            threads.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        let mut wrong = Vec::new();
        let (mut ends, mut rans) = (Vec::new(), Vec::new());
        let together: BTreeSet<usize> =
            (first..).zip(starts).filter(|(_, one)| one.shard.is_some()).map(|(who, _)| who).collect();
        for ((who, start), (ended, halted)) in (first..).zip(starts).zip(ran) {
            // The command line names a wave, and goes to the end of its last batch.
            let groups = &self.drawn.groups;
            let until = start.until.map_or(groups.len(), |until| {
                let wave = groups[until - 1].wave;
                groups.iter().rposition(|group| group.wave == wave).map_or(until, |at| at + 1)
            });
            let (skips, takes_back) = (start.skips.clone(), start.word == "rollback");
            let halted = if takes_back { Some(from) } else { halted };
            let group = if start.shard.is_some() { together.clone() } else { BTreeSet::from([who]) };
            let ran = Ran { who, group, revision: self.from, from, halted, until, skips, takes_back };
            rans.push(ran);
            if let Ended::Refused(what) = &ended
                && (start.word.is_empty() && starts.len() == 1
                    || start.shard.is_some() && !self.field().crowded)
                && !(what.contains("plans something else") && start.shard.is_some_and(|(_, of)| of > 1))
                && !what.contains("is not finished")
                && !what.contains("the store does not answer")
            {
                wrong.push(format!("Refused: process {who}: {what}"));
            }
            ends.push(ended);
        }
        {
            let field = self.field();
            rans.iter().for_each(|ran| wrong.extend(judge::judge(&field, &self.drawn, ran, &rans)));
            wrong.extend(shared::judge(&field, &self.drawn, &together, from));
        }
        wrong.extend(judge::records(&self.field(), puts));
        let mut field = self.field();
        wrong.into_iter().for_each(|what| field.blame(what));
        ends
    }

    /// One process from its start to its end; and the length of the log when it said that the rollout halts.
    fn process(&self, who: usize, start: &Start, turns: &Arc<Turns>, now_ms: u64) -> (Ended, Option<usize>) {
        let start_ms = now_ms + start.after_ms;
        turns.wait(who, start_ms);
        {
            let mut field = self.field();
            field.now_ms = field.now_ms.max(start_ms);
            if start.word == "rollback" {
                field.halted.insert(who);
            }
        }
        let halted = Rc::new(Cell::new(None));
        let run = || self.run(who, start, turns, start_ms, &halted);
        let ended = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(exit)) => Ended::Done(exit),
            Ok(Err(what)) => Ended::Refused(what),
            Err(panic) if panic.is::<Killed>() => Ended::Killed,
            Err(panic) => {
                turns.end(who);
                resume_unwind(panic)
            }
        };
        let mut field = self.field();
        field.say(&format!("== P{who} ended: {ended:?}"));
        field.gone(who, matches!(ended, Ended::Killed));
        drop(field);
        turns.end(who);
        (ended, halted.get())
    }

    fn run(
        &self,
        who: usize,
        start: &Start,
        turns: &Arc<Turns>,
        start_ms: u64,
        halted: &Rc<Cell<Option<usize>>>,
    ) -> Result<Exit, String> {
        let args = self.args(start);
        let shelves = || Shelves { field: self.field.clone(), who, kill: start.kill, puts: Cell::new(0) };
        let open = || Log::of(Records::open(Box::new(shelves()), KEY, format!("run {who}")));
        if matches!(start.word, "halt" | "status" | "abandon") {
            return noted(&args, "acme", open, start_ms)
                .map(|_| Exit::Done)
                .map_err(|error| error.to_string());
        }
        let signals = Signals::silent();
        let said = Said { field: self.field.clone(), who, halted: halted.clone(), line: String::new() };
        let terminals = Terminals { stdin: false, stdout: false, stderr: false };
        let scrub = Scrub::default();
        let say = Say::with_streams(
            scrub.clone(),
            terminals,
            (Box::new(std::io::sink()), false),
            (Box::new(said), false),
        );
        let mut shell =
            Shell { say, scrub, signals: signals.clone(), reports: Default::default(), refused: None };
        let loaded = self.drawn.load(start.base.as_ref().unwrap_or(&self.base));
        let made = loaded
            .make(&args.manifest(), true, Missing::Error, &mut shell)
            .map_err(|error| error.to_string())?
            .unwrap_or_else(|| panic!("a manifest has errors: {:?}", shell.refused));
        let heard: Rc<RefCell<Heard>> = Rc::default();
        let (field, turns) = (self.field.clone(), turns.clone());
        let (kill, interrupt, pause) = (start.kill, start.interrupt, start.pause);
        let door = Door {
            field,
            turns,
            who,
            kill,
            interrupt,
            pause,
            signals: signals.clone(),
            heard: heard.clone(),
            sent: 0,
        };
        let mut in_process = InProcess::new(Rc::new(RefCell::new(door)), start_ms);
        in_process.restart(Stop { requests_max: REQUESTS_MAX, ..Stop::default() });
        let seed = who as u64;
        let show = move |told| heard.borrow_mut().hear(told);
        let mut driver = Driver::new(Transport::InProcess(in_process), seed, signals, show)
            .map_err(|error| error.to_string())?;
        let settings = Settings {
            lease_ttl: Duration::from_millis(LEASE_TTL_MS),
            who: format!("process {who}"),
            revision: format!("r{}", start.revision),
            ..Settings::default()
        };
        for one in &made {
            learn(&one.manifest, &shell.scrub);
        }
        let mut members = Vec::with_capacity(made.len());
        for (at, one) in made.iter().enumerate() {
            let connection =
                connection(&one.manifest, 80, &shell.scrub).map_err(|error| error.to_string())?;
            let drawn =
                session(&connection, one.manifest.clone(), &settings).map_err(|error| error.to_string())?;
            let entropy = Entropy([u8::try_from((who * 50 + at) % 251).unwrap_or(0); 32]);
            let session = Session { entropy, rounds: 1, ..drawn };
            members.push(Member { tenant: driver.connect(connection), session });
        }
        let crowd = Crowd::of(driver, members, DEADLINE);
        let open = || match self.has_records {
            true => open(),
            false => Ok(Log::default()),
        };
        let (settled, result) =
            carry_out(&args, &loaded, &made, crowd, open, &mut shell).map_err(|error| error.to_string())?;
        result.map_err(|error| error.to_string())?;
        Ok(settled.exit())
    }

    /// The command line of a process.
    fn args(&self, start: &Start) -> Args {
        let mut words = vec!["rollout".to_owned()];
        if !start.word.is_empty() {
            words.push(start.word.into());
        }
        words.extend(["fleet.yaml", "--yes", "--allow-delete"].map(str::to_owned));
        if self.has_records {
            words.extend(["--record", "file:records", "--record-key", "env:KEY"].map(str::to_owned));
        }
        if let Some((shard, of)) = start.shard {
            words.extend(["--shard".to_owned(), format!("{shard}/{of}")]);
        }
        if let Some(until) = start.until {
            let wave = self.drawn.groups[until - 1].wave;
            words.extend(["--until".to_owned(), self.drawn.rollout().waves[wave].name.clone()]);
        }
        for at in &start.skips {
            words.extend(["--skip".to_owned(), format!("acme-{at:02}=left out")]);
        }
        if start.accepts {
            words.extend(["--accept", "executions", "--why", "somebody has looked"].map(str::to_owned));
        }
        let command = Args::augment_args(clap::Command::new("rollout"));
        let matches = command.try_get_matches_from(words).unwrap_or_else(|wrong| panic!("{wrong}"));
        Args::from_arg_matches(&matches).unwrap_or_else(|wrong| panic!("{wrong}"))
    }
}

/// The processes that do what one is to do: itself, or so many shards, which let a halted rollout go on.
fn spread(shards: u32, start: &Start) -> Vec<Start> {
    match shards {
        0 => vec![start.clone()],
        of => (1..=of).map(|at| Start { word: "resume", shard: Some((at, of)), ..start.clone() }).collect(),
    }
}

/// What a process says: it goes to the trace, and the judges learn when it halts.
struct Said {
    field: Arc<Mutex<Field>>,
    who: usize,
    halted: Rc<Cell<Option<usize>>>,
    line: String,
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.push_str(&String::from_utf8_lossy(bytes));
        while let Some(end) = self.line.find('\n') {
            let line: String = self.line.drain(..=end).collect();
            let mut field = lock(&self.field);
            field.say(&format!("P{}   {}", self.who, line.trim_end()));
            if line.starts_with("halted: ") && self.halted.get().is_none() {
                self.halted.set(Some(field.log.len()));
                let who = self.who;
                field.halted.insert(who);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

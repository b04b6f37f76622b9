//! The environment of all processes: the twin, the clock, the faults, and the judge who looks at the world before and
//! after every request.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::model::place::{Content, PlaceCall, PlaceReply};
use lockstep::shell::in_process::Handled;
use lockstep::twin::world::{Action, ApiKey, KeyKind};
use lockstep::twin::{BudgetTold, Fate, Rule, Twin, What, When, World};

use super::exempt::{Case, LOST_AND_FORGOTTEN, LOST_AND_REFUSED, Law, exempt};
use super::faults::{FOR_HOURS, HUGE_BYTES, Schedule};
use super::laws::{self, Made};
use super::manifests::{ACCOUNT, API_KEY, Claims, DOMAIN, FEEDBACK_KEY, SENDER_KEYS};
use super::model::{because, is_dead_by_secret, look};
use super::operators::Operator;
use super::procs::{Command, Proc};
use super::watched::Watching;

/// 2026-11-20T00:00:00Z.
pub const START_MS: u64 = 1_795_132_800_000;

/// Time until the objects of a killed process are visible: before a lease of any story expires, as with the minute of a
/// real lease.
const KILLED_UNSEEN_MS: u64 = 4_000;

/// Edits that remove the note of a lost create from the record.
const TAKES_THE_RECORD: [&str; 5] = [
    "the ledger is deleted",
    "the ledger is edited",
    "the ledger is cut in half",
    "the ledger is that of another tenant",
    "the ledger is forged",
];

/// A breach of a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub law: Law,
    pub what: String,
}

/// A cell of the coverage table: the fault, and the kind that it hit.
pub type Cell = (&'static str, String);

pub struct Ground {
    pub twin: Twin,
    /// The ledger file, where the stack keeps its record in one.
    pub file: Content,
    pub now_ms: u64,
    /// Number of processes so far.
    pub runs: usize,
    pub schedule: Schedule,
    pub operator: Operator,
    /// Everything that the manifests of each stack have named so far, keyed by domain/stack.
    pub claims: BTreeMap<String, Claims>,
    /// Objects that our requests made, keyed by id.
    pub made: BTreeMap<String, Made>,
    /// All changes in order: the number of the process, 0 for somebody else; and whether a list of bindings was
    /// changed.
    pub changes: Vec<(usize, bool)>,
    pub outlived: bool,
    pub lease_deleted: bool,
    pub violations: Vec<Violation>,
    pub excused: BTreeMap<&'static str, usize>,
    pub coverage: BTreeMap<Cell, usize>,
    pub edits: BTreeMap<&'static str, usize>,
    /// Processes that wrote, in order, each change of writer once.
    turns: Vec<usize>,
    no_lease: BTreeSet<usize>,
    /// Number of the latest process that has taken a run back, by a step or on the record alone.
    pub last_rollback: usize,
    stale: bool,
    /// Two runs wrote alternately, or a run without a lease wrote from reads older than another's writes; either way,
    /// this was excused or reported.
    pub crossed: bool,
    /// Length of the list of changes when somebody last deleted a ledger while a run was active.
    ledger_deleted_mark: usize,
    last_write_ms: u64,
    /// Time at which one of our requests switched the unified experience of a tenant on.
    left_legacy_ms: BTreeMap<String, u64>,
    /// Users and notes of runs that are watched.
    pub watching: Watching,
    trace: Option<Vec<String>>,
}

impl Ground {
    pub fn new(twin: Twin, operator: Operator, trace: bool) -> Ground {
        Ground {
            twin,
            file: Content::default(),
            now_ms: START_MS,
            runs: 0,
            schedule: Schedule::calm(),
            operator,
            claims: BTreeMap::new(),
            made: BTreeMap::new(),
            changes: Vec::new(),
            outlived: false,
            lease_deleted: false,
            violations: Vec::new(),
            excused: BTreeMap::new(),
            coverage: BTreeMap::new(),
            edits: BTreeMap::new(),
            turns: Vec::new(),
            no_lease: BTreeSet::new(),
            last_rollback: 0,
            stale: false,
            crossed: false,
            ledger_deleted_mark: 0,
            last_write_ms: 0,
            left_legacy_ms: BTreeMap::new(),
            watching: Watching::default(),
            trace: trace.then(Vec::new),
        }
    }

    /// What the ledger file answers.
    pub fn place(&mut self, call: PlaceCall) -> PlaceReply {
        let reply = call.on(self.file.clone());
        if let PlaceReply::Stands(now) = &reply {
            self.file = now.clone();
        }
        reply
    }

    pub fn requests(&self) -> usize {
        self.twin.log().len()
    }

    pub fn trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Writes a line across all columns of the trace.
    pub fn say(&mut self, text: &str) {
        let at = self.clock();
        if let Some(trace) = &mut self.trace {
            trace.extend(text.lines().map(|line| format!("{at} == {line}")));
        }
    }

    /// Whether a replay asked for the trace.
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Writes a line in an actor's column of the trace; 0 is the other operator.
    pub fn note(&mut self, actor: usize, text: &str) {
        let at = self.clock();
        if let Some(trace) = &mut self.trace {
            let column = match actor {
                0 => 2,
                actor => (actor + 1) % 2,
            };
            trace.push(format!("{at} {}{text}", " ".repeat(column * 64)));
        }
    }

    fn clock(&self) -> String {
        let ms = self.now_ms - START_MS;
        format!("{:>9}.{:03}", ms / 1000, ms % 1000)
    }

    /// Records a breach of a law, unless an exemption applies.
    pub fn blame(&mut self, law: Law, case: &Case, what: String) {
        if let Some(exemption) = exempt(law, case) {
            *self.excused.entry(exemption.name).or_default() += 1;
            self.say(&format!("   excused ({}): {law:?}: {what}", exemption.name));
            return;
        }
        self.say(&format!("!! VIOLATION of law {law:?}: {what}"));
        self.violations.push(Violation { law, what });
    }

    /// Makes a change in the name of somebody else.
    pub fn meddle(&mut self, what: &'static str, change: impl FnOnce(&mut Twin, u64)) {
        let now_ms = self.now_ms;
        change(&mut self.twin, now_ms);
        *self.edits.entry(what).or_default() += 1;
        self.changes.push((0, true));
        self.note(0, what);
        self.forget(what);
    }

    /// Notes that a process ended or paused around its last request.
    pub fn stop(&mut self, proc: &Proc, how: &'static str) {
        self.note(proc.number, how);
        *self.coverage.entry((how, proc.column.clone())).or_default() += 1;
    }

    /// Handles the death of a process: its lease keeps everybody out for longer than lists may hide objects from then
    /// on.
    pub fn killed(&mut self) {
        let soon_ms = self.now_ms + KILLED_UNSEEN_MS;
        if let Some(unseen) = &mut self.twin.unseen {
            unseen.until_ms = unseen.until_ms.min(soon_ms);
        }
    }

    fn others_since(&self, mark: usize, who: usize) -> bool {
        self.changes[mark.min(self.changes.len())..].iter().any(|(actor, _)| *actor != who)
    }

    /// Lets the other operator act, with the probability of the story.
    fn operator_acts(&mut self) {
        let now_ms = self.now_ms;
        let Some(edit) = self.operator.next() else { return };
        let before = self.twin.world.clone();
        let mut dice = self.operator.dice();
        (edit.act)(&mut self.twin, &mut dice, now_ms);
        self.operator.give_back(dice);
        if self.twin.world != before {
            *self.edits.entry(edit.name).or_default() += 1;
            self.changes.push((0, edit.list));
            self.lease_deleted |= edit.name == "the lease is deleted";
            if edit.name == "the ledger is deleted" {
                self.ledger_deleted_mark = self.changes.len();
            }
            self.note(0, edit.name);
            self.forget(edit.name);
        }
    }

    /// An edit that removes the record also removes its note of a lost create: see `exempt.rs`.
    fn forget(&mut self, edit: &str) {
        if TAKES_THE_RECORD.contains(&edit) && self.twin.unseen.take().is_some() {
            *self.excused.entry(LOST_AND_FORGOTTEN).or_default() += 1;
        }
    }

    /// Handles one request of a process.
    pub fn handle(&mut self, proc: &mut Proc, request: &ApiRequest, shared: bool) -> Handled {
        if !proc.is_quiet() {
            self.operator_acts();
        }
        let is_get = request.method == Method::Get;
        let is_token = request.path == "/oauth/token";
        let number = self.twin.log().len() + 1;
        self.twin.faults.rules.clear();
        let lease_call = laws::is_lease(request, &self.twin.world);
        let column = laws::column(proc, request, lease_call);
        let of_step = proc.step.as_ref().is_some_and(|step| step.kind == column);
        let since_write_ms = self.now_ms.saturating_sub(self.last_write_ms);
        let fault = self.schedule.next(request, of_step, since_write_ms).filter(|_| !proc.is_quiet());
        if let Some((fault, what)) = &fault {
            // A run that the tenant refuses for hours cannot note a lost create, and returns its lease: see
            // `exempt.rs`.
            let is_tenant = !request.host.ends_with("twilio.com");
            if is_tenant && fault.name == FOR_HOURS && self.twin.unseen.take().is_some() {
                *self.excused.entry(LOST_AND_REFUSED).or_default() += 1;
            }
            proc.hurt = true;
            self.stale |= *what == What::Stale;
            *self.coverage.entry((fault.name, column.clone())).or_default() += 1;
            self.twin.faults.rules.push(Rule::once(When::Number(number), what.clone()));
        }
        // This rule makes the twin remember the state before each write.
        self.twin.faults.rules.push(Rule {
            when: When::Number(usize::MAX),
            what: What::Stale,
            times: 0,
            matched: 0,
        });
        if is_get && request.path.contains("/bindings") {
            proc.list_mark = self.changes.len();
        }
        proc.column = column;
        let before = (!is_get && !is_token).then(|| self.twin.world.clone());
        self.watching.act(&mut self.twin);
        let served = self.twin.handle(request, self.now_ms);
        #[cfg(test)]
        if fault.is_none() {
            listeners::tell(request, &served.answer);
        }
        let entry = self.twin.log().last().expect("logged").clone();
        let mut handled = Handled { answer: served.answer, delay_ms: served.delay_ms, operation: None };
        if let (Some((fault, _)), Answer::Reply(reply)) = (&fault, &mut handled.answer)
            && fault.huge
        {
            reply.body = format!("{{\"padding\":\"{}\"}}", "x".repeat(HUGE_BYTES)).into_bytes();
        }
        if self.trace.is_some() {
            let fate = match entry.fate {
                Fate::Status(status) => status.to_string(),
                Fate::Lost => "lost".into(),
                Fate::NotSent => "not sent".into(),
            };
            let mark = fault.as_ref().map(|(fault, _)| format!("  ** {}", fault.name)).unwrap_or_default();
            let path = request.path.split('?').next().unwrap_or_default();
            let step = proc.step.as_ref().map(|step| format!("[{}] ", step.number)).unwrap_or_default();
            let wrote = if entry.wrote { " (wrote)" } else { "" };
            let line = format!("P{} {step}{} {path} {fate}{wrote}{mark}", proc.number, request.method);
            self.note(proc.number, &line);
        }
        let is_good = matches!(&handled.answer, Answer::Reply(reply) if reply.status == 200)
            && fault.as_ref().is_none_or(|(_, what)| matches!(what, What::Delay { .. }));
        let worlds = (before.as_ref(), &self.twin.world);
        let looked = (request.path.as_str(), is_good);
        let wrong = self.watching.note(proc, looked, of_step && entry.wrote, worlds, self.now_ms);
        let tenant_call = !request.host.ends_with("twilio.com") && !is_token;
        proc.sent_to_tenant += usize::from(tenant_call);
        let mut case = Case {
            moved_in_step: self.others_since(proc.step_mark, proc.number),
            moved_since_plan: self.others_since(proc.plan_mark, proc.number),
            list_moved: self.changes[proc.list_mark.min(self.changes.len())..]
                .iter()
                .any(|(actor, list)| *actor != proc.number && *list),
            outlived: self.outlived,
            lease_deleted: self.lease_deleted,
            no_lease: self.turns.iter().chain([&proc.number]).any(|number| self.no_lease.contains(number))
                || !self.twin.options.serverless_allowed,
            own_code_throws: false,
            dead_before: false,
            blind: proc.decided_ms(self.now_ms) < proc.told_ms,
            untold: matches!(
                self.twin.options.budget_told,
                BudgetTold::Zero | BudgetTold::Negative | BudgetTold::TooMuch | BudgetTold::Words
            ),
            refill_untold: matches!(self.twin.options.budget_told, BudgetTold::InYears | BudgetTold::LongAgo),
            shared,
            candidate: self.edits.contains_key("theirs: a Verify service of our name"),
            redeployed: false,
            crossed: self.crossed,
            set_by_others: false,
            forged: false,
            told_in_secret: false,
            ledger_deleted: self.ledger_deleted_mark > proc.plan_mark,
        };
        if let Some(what) = wrong {
            self.blame(Law::Watch, &case, what);
        }
        if let Answer::Reply(reply) = &handled.answer
            && tenant_call
            && reply.header("x-ratelimit-remaining").is_some()
        {
            proc.told_ms = proc.told_ms.min(self.now_ms + handled.delay_ms);
        }
        if tenant_call && fault.is_none() {
            self.pace(&handled.answer, &case, &entry.path);
        }
        if proc.command == Command::Plan && !is_get && !is_token {
            self.blame(
                Law::ReadOnly,
                &case,
                format!("{} {} by a command that reads", request.method, request.path),
            );
        }
        if lease_call && request.method == Method::Post && request.path == "/v1/Services" {
            // A name that is taken does not mean that leases are refused.
            let body = String::from_utf8_lossy(&request.body);
            let accounts = before.iter().flat_map(|world| world.accounts.values());
            let taken = accounts
                .flat_map(|account| &account.serverless_services)
                .any(|one| body.contains(&one.unique_name));
            let refused = matches!(entry.fate, Fate::Status(status) if (400..500).contains(&status) && status != 409 && status != 429);
            let forbidden = matches!(entry.fate, Fate::Status(401 | 403));
            if refused && (forbidden || !taken) {
                self.no_lease.insert(proc.number);
                proc.no_lease = true;
            }
        }
        let Some(before) = before else { return handled };
        if !entry.wrote {
            let calm = !proc.hurt && !self.stale;
            if let (true, Some(status)) = (calm, entry.served_status)
                && (400..500).contains(&status)
                && !laws::REFUSALS
                    .iter()
                    .any(|(operation, code, _)| *operation == entry.operation && *code == status)
                && !laws::plan_or_scope(status)
                && !laws::name_too_long(&self.twin.options, entry.operation, status)
            {
                let answer = match &handled.answer {
                    Answer::Reply(reply) => String::from_utf8_lossy(&reply.body).chars().take(200).collect(),
                    other => format!("{other:?}"),
                };
                self.blame(
                    Law::Order,
                    &case,
                    format!("{} {} was refused: {status} {answer}", request.method, request.path),
                );
            }
            return handled;
        }
        self.last_write_ms = self.now_ms;
        if proc.plan.as_ref().is_some_and(|plan| plan.rollback) {
            self.last_rollback = proc.number;
        }
        let list = request.path.contains("/bindings") || request.path.contains("/actions/actions");
        self.changes.push((proc.number, list));
        if !lease_call {
            self.turn(proc, &case);
        } else if request.method == Method::Post && request.path == "/v1/Services" {
            // A watched run gives its lease back, and takes a new one if it has to roll back: a new turn.
            self.turns.retain(|number| *number != proc.number);
        }
        self.judge(before, proc, &mut case, &format!("{} {}", request.method, request.path));
        handled
    }

    fn judge(&mut self, before: World, proc: &Proc, case: &mut Case, request: &str) {
        let domain = proc.domain.as_str();
        let options = &self.twin.options;
        let (was, is) = (look(&before, domain, options), look(&self.twin.world, domain, options));
        if !before.tenants[domain].unified() && self.twin.world.tenants[domain].unified() {
            self.left_legacy_ms.insert(domain.to_owned(), self.now_ms);
        }
        if proc.command != Command::Destroy {
            let since_ms = self.left_legacy_ms.get(domain).map(|at| self.now_ms - at);
            if let Some(what) = laws::retired_early(&before, &self.twin.world, domain, since_ms) {
                self.blame(Law::Order, case, format!("{request}: {what}"));
            }
        }
        case.own_code_throws = is.throws;
        let named =
            self.claims.get(&proc.owner).map(|claims| claims.action_names.as_slice()).unwrap_or_default();
        let is_ours = |action: &Action| {
            let is_made = self.made.get(&action.id).is_some_and(|made| made.owner == proc.owner);
            // A run that undoes meets an Action of that name as others left it, if no run of this stack deployed it.
            let undoes = matches!(proc.command, Command::Rollback | Command::Destroy);
            let is_told = || {
                let sid = action.live_version().and_then(|live| live.secret("TWILIO_VERIFY_SID"));
                let made = sid.and_then(|sid| self.made.get(&sid.value));
                made.is_some_and(|made| made.owner == proc.owner)
            };
            let is_named = named.contains(&action.name) && (!undoes || is_told());
            proc.names_service && (is_made || is_named)
        };
        let worlds = [&before, &self.twin.world];
        case.dead_before = !was.delivers
            && worlds.iter().all(|world| is_dead_by_secret(world, domain, &self.twin.options, &is_ours));
        let losses = laws::losses(&was, &is, &proc.words());
        if !losses.is_empty() && self.trace.is_some() {
            let options = &self.twin.options;
            let (old, new) = (because(&before, domain, options), because(&self.twin.world, domain, options));
            old.iter()
                .filter(|row| !new.contains(row))
                .for_each(|row| self.say(&format!("   before: {row}")));
            new.iter().for_each(|row| self.say(&format!("   after:  {row}")));
        }
        for loss in losses {
            self.blame(Law::Login, case, format!("{request}: {loss}"));
        }
        // Law 3: nothing is made twice.
        let (old, new) = (laws::objects(&before), laws::objects(&self.twin.world));
        for (id, (kind, name, place)) in new.iter().filter(|(id, _)| !old.contains_key(*id)) {
            let twin = self.made.iter().find(|(other, made)| {
                made.owner == proc.owner
                    && made.kind == *kind
                    && made.place == *place
                    && old.get(*other).is_some_and(|(_, is_called, _)| is_called == name)
            });
            if let Some((other, _)) = twin {
                let what = format!("{request}: a second {kind} {name:?} ({id}) beside {other}");
                self.blame(Law::Twice, case, what);
            }
            let made = Made {
                owner: proc.owner.clone(),
                kind,
                name: name.clone(),
                place: place.clone(),
                by: proc.number,
            };
            self.made.insert(id.clone(), made);
        }
        if let Some((what, shown_ms)) = laws::same_version(&before, &self.twin.world, domain) {
            let case = Case { redeployed: shown_ms > proc.step_ms || case.moved_in_step, ..*case };
            self.blame(Law::Twice, &case, format!("{request}: {what}"));
        }
        // Law 4: nothing foreign is changed.
        let nothing = Claims::default();
        let claims = self.claims.get(&proc.owner).unwrap_or(&nothing);
        let theirs = laws::foreign(before, &proc.owner, domain, claims, &self.made);
        let now = laws::foreign(self.twin.world.clone(), &proc.owner, domain, claims, &self.made);
        if theirs != now {
            let what = laws::difference(&theirs, &now);
            self.blame(Law::Foreign, case, format!("{request}: {what}"));
        }
    }

    /// Checks that two processes do not write alternately.
    fn turn(&mut self, proc: &Proc, case: &Case) {
        if self.turns.last() == Some(&proc.number) {
            return;
        }
        if self.turns.contains(&proc.number) {
            self.blame(Law::Lease, case, format!("run {} writes again after another one did", proc.number));
            self.crossed = true;
        }
        let since = &self.changes[proc.plan_mark.min(self.changes.len())..];
        self.crossed |= case.no_lease && since.iter().any(|(actor, _)| self.turns.contains(actor));
        self.turns.push(proc.number);
    }

    /// Forgets the writers, because the processes of a command have ended.
    pub fn turns_end(&mut self) {
        self.turns.clear();
    }

    /// Checks the budget left for users' logins against the headers of a reply.
    fn pace(&mut self, answer: &Answer, case: &Case, path: &str) {
        let Answer::Reply(reply) = answer else { return };
        let number = |name: &str| reply.header(name).and_then(|text| text.parse::<u64>().ok());
        let (Some(limit), Some(left)) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining")) else {
            return;
        };
        let reserve = (limit * 20).div_ceil(100).min(limit.saturating_sub(1));
        if left < reserve || reply.status == 429 {
            self.blame(Law::Pace, case, format!("{path}: {left} of {limit} left, status {}", reply.status));
        }
    }

    /// Creates the tenant and the account, which exist from the start.
    pub fn settle_in(&mut self) {
        self.twin.tenant_mut(DOMAIN);
        self.twin.world.account_mut(ACCOUNT);
        let key = |kind, allow: &[&str], friendly_name: &str| ApiKey {
            allow: allow.iter().map(|&permission| permission.into()).collect(),
            friendly_name: friendly_name.into(),
            ..ApiKey::new(ACCOUNT, kind)
        };
        let keys = &mut self.twin.world.keys;
        // Only a main key makes keys.
        keys.insert(API_KEY.into(), key(KeyKind::Main, &[], "deploys"));
        if !self.twin.options.unknown_tenants {
            for sender in SENDER_KEYS {
                let allow = ["/twilio/verify/verification/create"];
                keys.insert((*sender).into(), key(KeyKind::Restricted, &allow, "sends"));
            }
            let allow = ["/twilio/verify/verification/update"];
            keys.insert(FEEDBACK_KEY.into(), key(KeyKind::Restricted, &allow, "reports"));
        }
    }
}

/// Listeners on this thread that compare requests with replies that had no fault.
#[cfg(test)]
pub mod listeners {
    use std::cell::RefCell;
    use std::rc::Rc;

    use lockstep::model::api::{Answer, ApiRequest};

    type Listener = Rc<dyn Fn(&ApiRequest, &Answer)>;

    thread_local! {
        static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    }

    pub fn listen(listener: Option<Listener>) {
        LISTENER.set(listener);
    }

    pub(super) fn tell(request: &ApiRequest, answer: &Answer) {
        let listener = LISTENER.with_borrow(Clone::clone);
        if let Some(listener) = listener {
            listener(request, answer);
        }
    }
}

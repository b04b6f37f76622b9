//! The world of a fleet: one twin for all tenants, the shelf of records, the faults, the people who interfere, and the log
//! that the judges read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use lockstep::model::api::{ApiRequest, Method};
use lockstep::model::event::{Event, Told};
use lockstep::model::plan::{Plan, Step};
use lockstep::shell::in_process::{Handled, Simulator};
use lockstep::shell::signals::{Signal, Signals};
use lockstep::twin::world::{ApiKey, KeyKind};
use lockstep::twin::{Fate, Rule, Twin, What, When};
use serde_json::json;

use super::super::dice::Dice;
use super::super::faults::{FOR_HOURS, Schedule};
use super::super::ground::START_MS;
use super::super::laws;
use super::super::model::{Look, look};
use super::super::procs::LEASE_TTL_MS;
use super::drawn::Tenant;
use super::turns::{Turns, lock};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Token,
    Read,
    Lease,
    /// The record of the stack.
    Ledger,
    /// What the manifest says.
    Step,
}

/// One request, as the judges see it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at_ms: u64,
    /// Number of the process.
    pub who: usize,
    pub tenant: usize,
    pub what: For,
    /// It went to the tenant, not to the account.
    pub to_tenant: bool,
    pub operation: &'static str,
    /// It was answered with 2xx, and the answer arrived.
    pub good: bool,
    pub refused: bool,
}

impl Seen {
    pub fn writes(&self) -> bool {
        matches!(self.what, For::Ledger | For::Step)
    }
}

/// A record that was put on the shelf.
pub struct Put {
    pub at_ms: u64,
    pub who: usize,
    /// Length of the log of requests.
    pub mark: usize,
    pub bytes: Vec<u8>,
}

/// Trouble with the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelved {
    Refused,
    ReplyLost,
}

/// What a process tells of each tenant: its last plan, and the step in progress.
#[derive(Default)]
pub struct Heard {
    plans: BTreeMap<String, Plan>,
    steps: BTreeMap<String, Step>,
}

impl Heard {
    pub fn hear(&mut self, told: Told) {
        let Told { tenant, event, .. } = told;
        match event {
            Event::PlanMade { plan } => {
                self.plans.insert(tenant, *plan);
            }
            Event::StepStarted { number, .. } => {
                let steps = self.plans.get(&tenant).into_iter().flat_map(|plan| &plan.steps);
                if let Some(step) = steps.into_iter().find(|step| step.number == number).cloned() {
                    self.steps.insert(tenant, step);
                }
            }
            Event::StepDone { .. } => {
                self.steps.remove(&tenant);
            }
            _ => {}
        }
    }

    /// The losses that the plan named, up to and including the step in progress.
    fn words(&self, tenant: &str) -> String {
        let (Some(plan), Some(step)) = (self.plans.get(tenant), self.steps.get(tenant)) else {
            return String::new();
        };
        let steps = plan.steps.iter().filter(|one| one.number <= step.number);
        steps.filter_map(|one| one.danger.as_deref()).collect::<Vec<_>>().join("; ")
    }
}

/// Which writes to a tenant are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    All,
    Deployments,
}

/// Who writes to a tenant, from its first write to the return of its lease.
#[derive(Clone, Copy)]
struct Holder {
    who: usize,
    /// Its last call about the lease that was answered.
    kept_ms: u64,
}

/// Where a process is, as the world sees it.
const PHASES: [&str; 4] = ["reading", "writing", "between", "taking back"];

pub struct Field {
    pub twin: Twin,
    pub tenants: Vec<Tenant>,
    pub now_ms: u64,
    pub runs: usize,
    pub log: Vec<Seen>,
    pub puts: Vec<Put>,
    pub schedule: Schedule,
    /// Trouble with the next records that are put.
    pub shelved: BTreeMap<usize, Shelved>,
    /// Tenants that let nobody in.
    pub dead: BTreeSet<usize>,
    /// Tenants of which an apply fails.
    pub refuses: BTreeMap<usize, Refused>,
    /// Edits that somebody still makes, and how likely one is at each request.
    pub edits: (usize, u64),
    pub dice: Dice,
    /// Tenants of which somebody else changed something, or a fault hit a request, since the revision began.
    pub disturbed: BTreeSet<usize>,
    /// Edits of what the base manages: the length of the log, and the tenant.
    pub edited: Vec<(usize, usize)>,
    /// Processes that have said that the rollout halts.
    pub halted: BTreeSet<usize>,
    /// Processes that roll out another base.
    pub strangers: BTreeSet<usize>,
    /// Tenants that were applied to their end in this revision.
    pub finished: BTreeSet<usize>,
    /// Processes that were told to stop: what they had in hand may be half done.
    pub interrupted: BTreeSet<usize>,
    pub violations: Vec<String>,
    pub coverage: BTreeMap<(&'static str, &'static str), usize>,
    pub trace: Option<Vec<String>>,
    /// Several processes are at work, so that a tenant may change under the feet of one.
    pub crowded: bool,
    holders: BTreeMap<usize, Holder>,
    wrote: BTreeSet<usize>,
    looks: BTreeMap<usize, Look>,
}

impl Field {
    pub fn new(twin: Twin, tenants: Vec<Tenant>, dice: Dice, trace: bool) -> Field {
        let mut field = Field {
            twin,
            tenants,
            now_ms: START_MS,
            runs: 0,
            log: Vec::new(),
            puts: Vec::new(),
            schedule: Schedule::calm(),
            shelved: BTreeMap::new(),
            dead: BTreeSet::new(),
            refuses: BTreeMap::new(),
            edits: (0, 0),
            dice,
            disturbed: BTreeSet::new(),
            edited: Vec::new(),
            halted: BTreeSet::new(),
            strangers: BTreeSet::new(),
            finished: BTreeSet::new(),
            interrupted: BTreeSet::new(),
            violations: Vec::new(),
            coverage: BTreeMap::new(),
            trace: trace.then(Vec::new),
            crowded: false,
            holders: BTreeMap::new(),
            wrote: BTreeSet::new(),
            looks: BTreeMap::new(),
        };
        for Tenant { domain, account, keys: [key, sender], .. } in &field.tenants {
            field.twin.tenant_mut(domain);
            let world = &mut field.twin.world;
            world.account_mut(account);
            let of = |kind, allow: &[&str]| ApiKey {
                allow: allow.iter().map(|&permission| permission.into()).collect(),
                ..ApiKey::new(account, kind)
            };
            world.keys.insert(key.clone(), of(KeyKind::Standard, &[]));
            let sends = of(KeyKind::Restricted, &["/twilio/verify/verification/create"]);
            world.keys.insert(sender.clone(), sends);
        }
        field
    }

    pub fn say(&mut self, text: &str) {
        let ms = self.now_ms - START_MS;
        if let Some(trace) = &mut self.trace {
            trace.extend(text.lines().map(|line| format!("{:>9}.{:03} {line}", ms / 1000, ms % 1000)));
        }
    }

    pub fn blame(&mut self, what: String) {
        self.say(&format!("!! VIOLATION {what}"));
        self.violations.push(what);
    }

    /// Notes what happened to a process, and where that process was.
    pub fn count(&mut self, what: &'static str, who: usize) {
        let phase = match () {
            () if self.halted.contains(&who) => PHASES[3],
            () if self.holders.values().any(|holder| holder.who == who) => PHASES[1],
            () if self.wrote.contains(&who) => PHASES[2],
            () => PHASES[0],
        };
        *self.coverage.entry((what, phase)).or_default() += 1;
        self.say(&format!("                    {what}, process {who} is {phase}"));
    }

    /// Whose request it is.
    fn whose(&self, request: &ApiRequest) -> usize {
        if let Some(at) = self.tenants.iter().position(|one| one.domain == request.host) {
            return at;
        }
        let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let basic = header.map(|(_, value)| value.trim_start_matches("Basic ")).unwrap_or_default();
        let pair = base64::engine::general_purpose::STANDARD.decode(basic).unwrap_or_default();
        let user = String::from_utf8_lossy(&pair).split(':').next().unwrap_or_default().to_owned();
        let found = self.tenants.iter().position(|one| one.keys.contains(&user));
        found.unwrap_or_else(|| panic!("{} {} by {user}: whose?", request.host, request.path))
    }

    /// Somebody changes a tenant by hand.
    fn edit(&mut self, who: usize) {
        let at = self.dice.below(self.tenants.len());
        let domain = self.tenants[at].domain.clone();
        let account = self.tenants[at].account.clone();
        let now_ms = self.now_ms;
        let on = json!({ "enabled": self.dice.chance(50) });
        let what = match self.dice.below(6) {
            0 => {
                self.twin.operate_tenant(&domain, Method::Put, "/api/v2/guardian/factors/otp", &on, now_ms);
                "edit: a factor is switched"
            }
            1 => {
                let types = json!({ "message_types": ["voice"] });
                let path = "/api/v2/guardian/factors/phone/message-types";
                self.twin.operate_tenant(&domain, Method::Put, path, &types, now_ms);
                "edit: the message types are set"
            }
            2 => {
                for stream in &mut self.twin.tenant_mut(&domain).log_streams {
                    stream.status = "suspended".into();
                }
                "edit: the log stream is suspended"
            }
            _ => {
                let is_ours = |one: &Tenant| one.account == account;
                let is_shared = self.tenants.iter().filter(|one| is_ours(one)).count() > 1;
                let services = &self.twin.world.account_mut(&account).verify_services;
                let Some(service) = services.first() else { return };
                let is_changed = service.settings.get("code_length") != Some(&json!(5));
                let service = service.sid.clone();
                let path = format!("/v2/Services/{service}");
                let form = [("CodeLength", "5")];
                self.twin.operate_account(&account, "verify.twilio.com", Method::Post, &path, &form, now_ms);
                if !is_shared && is_changed {
                    self.edited.push((self.log.len(), at));
                }
                "edit: the Verify service is changed"
            }
        };
        let shares = |one: &Tenant| one.account == account;
        let all: Vec<usize> = (0..self.tenants.len()).filter(|at| shares(&self.tenants[*at])).collect();
        self.finished.retain(|one| !all.contains(one));
        self.disturbed.extend(all);
        self.looks.clear();
        self.count(what, who);
        let name = self.tenants[at].name.clone();
        self.say(&format!("                    SOMEBODY: {what} of {name}"));
    }

    fn look(&self, at: usize) -> Look {
        look(&self.twin.world, &self.tenants[at].domain, &self.twin.options)
    }

    fn fault(&mut self, at: usize, request: &ApiRequest, what: For, who: usize) -> Option<What> {
        let to_tenant = request.host == self.tenants[at].domain;
        if to_tenant && what == For::Token && self.dead.contains(&at) {
            self.count("a tenant lets nobody in", who);
            return Some(What::Unauthorized);
        }
        let refused = match self.refuses.get(&at) {
            Some(Refused::All) => true,
            Some(Refused::Deployments) => request.path.ends_with("/deploy"),
            None => false,
        };
        if refused && to_tenant && matches!(what, For::Ledger | For::Step) {
            self.count("a write is refused", who);
            return Some(What::Forbidden);
        }
        let (fault, made) = self.schedule.next(request, what == For::Step, u64::MAX)?;
        // A body of megabytes tests the reader, and the stories of single stacks have it.
        if fault.huge || fault.name == FOR_HOURS {
            return None;
        }
        self.count("a fault on the wire", who);
        self.disturbed.insert(at);
        self.finished.remove(&at);
        Some(made)
    }

    /// What a request is for.
    fn purpose(&self, at: usize, request: &ApiRequest) -> For {
        if request.path == "/oauth/token" {
            return For::Token;
        }
        if request.method == Method::Get {
            return For::Read;
        }
        if laws::is_lease(request, &self.twin.world) {
            return For::Lease;
        }
        let id = request.path.strip_prefix("/api/v2/actions/actions/").unwrap_or_default();
        let tenant = self.twin.world.tenants.get(&self.tenants[at].domain);
        let named = tenant.and_then(|tenant| tenant.action(id)).map(|action| action.name.as_str());
        let made = || String::from_utf8_lossy(&request.body).contains("\"Lockstep ledger");
        match named.is_some_and(|name| name.starts_with("Lockstep ledger"))
            || (request.path == "/api/v2/actions/actions" && made())
        {
            true => For::Ledger,
            false => For::Step,
        }
    }

    fn handle(&mut self, request: &ApiRequest, now_ms: u64, who: usize, heard: &Heard) -> Handled {
        self.now_ms = now_ms;
        if self.edits.0 > 0 && self.dice.chance(self.edits.1) {
            self.edits.0 -= 1;
            self.edit(who);
        }
        self.twin.faults.rules.clear();
        let at = self.whose(request);
        let what = self.purpose(at, request);
        let number = self.twin.log().len() + 1;
        let fault = self.fault(at, request, what, who);
        if let Some(made) = &fault {
            self.twin.faults.rules.push(Rule::once(When::Number(number), made.clone()));
        }
        let writes = matches!(what, For::Ledger | For::Step);
        let was = writes.then(|| self.looks.get(&at).cloned().unwrap_or_else(|| self.look(at)));
        let served = self.twin.handle(request, now_ms);
        let entry = self.twin.log().last().expect("logged").clone();
        let name = self.tenants[at].name.clone();
        if self.trace.is_some() {
            let path = request.path.split('?').next().unwrap_or_default();
            let mark = fault.as_ref().map(|made| format!("  ** {}", made.name())).unwrap_or_default();
            let wrote = if entry.wrote { " (wrote)" } else { "" };
            self.say(&format!("P{who} {name}: {} {path} {:?}{wrote}{mark}", request.method, entry.fate));
        }
        let good = matches!(entry.fate, Fate::Status(status) if (200..300).contains(&status));
        let to_tenant = request.host == self.tenants[at].domain;
        let refused = writes && self.refuses.contains_key(&at) && fault == Some(What::Forbidden);
        let operation = entry.operation;
        let seen = Seen { at_ms: now_ms, who, tenant: at, what, to_tenant, operation, good, refused };
        self.holds(&seen, request);
        self.log.push(seen);
        if let Some(was) = was.filter(|_| entry.wrote) {
            let is = self.look(at);
            let words = heard.words(&self.tenants[at].domain);
            // Between two who change the same tenant, the stories of single stacks judge.
            if !self.crowded && !self.disturbed.contains(&at) {
                for loss in laws::losses(&was, &is, &words) {
                    self.blame(format!("Login: {name}: {} {}: {loss}", request.method, request.path));
                }
            }
            self.looks.insert(at, is);
        }
        Handled { answer: served.answer, delay_ms: served.delay_ms, operation: None }
    }

    /// Who has a tenant in hand: one at a time, and to the end.
    fn holds(&mut self, seen: &Seen, request: &ApiRequest) {
        let Seen { at_ms, who, tenant, what, .. } = *seen;
        if what == For::Lease && request.method == Method::Delete {
            let held = self.holders.get(&tenant).is_some_and(|holder| holder.who == who);
            if held {
                self.holders.remove(&tenant);
                self.ends(tenant, who);
            }
        }
        let kept_ms = at_ms;
        if what == For::Lease
            && seen.good
            && let Some(holder) = self.holders.get_mut(&tenant).filter(|holder| holder.who == who)
        {
            holder.kept_ms = kept_ms;
        }
        if !seen.writes() {
            return;
        }
        self.wrote.insert(who);
        let name = &self.tenants[tenant].name;
        match self.holders.get(&tenant).copied() {
            Some(holder) if holder.who == who => {}
            Some(holder)
                if at_ms.saturating_sub(holder.kept_ms) <= LEASE_TTL_MS
                    && !self.disturbed.contains(&tenant) =>
            {
                self.blame(format!(
                    "Two: {name} is written to by process {who}, and process {} is not done",
                    holder.who
                ));
            }
            _ => {
                self.holders.insert(tenant, Holder { who, kept_ms });
            }
        }
        let is_again = self.finished.contains(&tenant) && what == For::Step;
        let is_other = self.halted.contains(&who) || self.strangers.contains(&who);
        if is_again && !is_other && !self.disturbed.contains(&tenant) {
            let name = &self.tenants[tenant].name;
            self.blame(format!(
                "Again: {name} was applied to its end, and is written to: {}",
                seen.operation
            ));
        }
        if is_other {
            self.finished.remove(&tenant);
        }
    }

    /// An apply has ended with its lease returned. It is finished if its last write was its record, and nothing was refused.
    fn ends(&mut self, tenant: usize, who: usize) {
        let ours = |one: &&Seen| one.who == who && one.tenant == tenant && one.writes();
        let last = self.log.iter().rev().find(ours);
        let is_whole = last.is_some_and(|one| one.what == For::Ledger && one.good);
        let had_steps = self.log.iter().any(|one| ours(&one) && one.what == For::Step && one.good);
        let refused = self.log.iter().any(|one| ours(&one) && (one.refused || !one.good));
        if is_whole
            && had_steps
            && !refused
            && !self.halted.contains(&who)
            && !self.interrupted.contains(&who)
            && !self.strangers.contains(&who)
            && !self.disturbed.contains(&tenant)
        {
            self.finished.insert(tenant);
        }
    }

    /// A process has ended. One that was not killed leaves nothing in hand.
    pub fn gone(&mut self, who: usize, was_killed: bool) {
        let left: Vec<usize> =
            self.holders.iter().filter(|(_, holder)| holder.who == who).map(|(tenant, _)| *tenant).collect();
        for tenant in left {
            self.holders.remove(&tenant);
            if !was_killed && !self.disturbed.contains(&tenant) {
                let name = self.tenants[tenant].name.clone();
                self.blame(format!("Dropped: process {who} ends in the middle of {name}"));
            }
        }
    }
}

/// How a killed process unwinds.
pub struct Killed;

/// Where a process is killed: after so many requests or records, before or after the last one took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    Request(usize, bool),
    Put(usize, bool),
}

/// The way of one process to the world.
pub struct Door {
    pub field: Arc<Mutex<Field>>,
    pub turns: Arc<Turns>,
    pub who: usize,
    pub kill: Option<Kill>,
    pub interrupt: Option<usize>,
    /// After so many requests it stands still for so long.
    pub pause: Option<(usize, u64)>,
    pub signals: Signals,
    pub heard: Rc<RefCell<Heard>>,
    pub sent: usize,
}

/// Ends a process as if its machine lost power: nothing that it would do afterwards happens.
pub fn die(field: &Mutex<Field>, what: &'static str, who: usize) -> ! {
    lock(field).count(what, who);
    std::panic::resume_unwind(Box::new(Killed))
}

impl Simulator for Door {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        self.sent += 1;
        if self.kill == Some(Kill::Request(self.sent, true)) {
            die(&self.field, "killed before a request", self.who);
        }
        let handled = lock(&self.field).handle(request, now_ms, self.who, &self.heard.borrow());
        if self.kill == Some(Kill::Request(self.sent, false)) {
            die(&self.field, "killed after a request", self.who);
        }
        if self.interrupt == Some(self.sent) {
            let mut field = lock(&self.field);
            field.count("interrupted", self.who);
            field.interrupted.insert(self.who);
            drop(field);
            self.signals.raise(Signal::Interrupt);
        }
        handled
    }

    fn passed(&mut self, mut now_ms: u64) -> u64 {
        self.turns.wait(self.who, now_ms);
        if let Some((_, ms)) = self.pause.take_if(|(sent, _)| self.sent >= *sent) {
            lock(&self.field).count("stands still", self.who);
            now_ms += ms;
            self.turns.wait(self.who, now_ms);
        }
        let mut field = lock(&self.field);
        field.now_ms = field.now_ms.max(now_ms);
        now_ms
    }
}

//! One story of one seed: a world, manifests, commands and faults; then calm, and the check that everything is in
//! order.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::engine::apply::Ended;
use lockstep::engine::store::Store;
use lockstep::model::api::Method;
use lockstep::model::place::Place;
use lockstep::twin::{Flag, Rate, Twin, World};

use super::dice::Dice;
use super::exempt::{Case, Law};
use super::faults::Schedule;
use super::ground::{Cell, Ground, Violation};
use super::manifests::{ACCOUNT, DOMAIN, Draft, OTHER, SECRETS, SENDER_KEYS, env};
use super::operators::{EDITS, Operator};
use super::procs::{Command, LEASE_TTL_MS, Proc, Start, Trouble, run};
use super::{end, laws, told, watched, worlds};

pub const STACK: &str = "acme-login";
/// The other stack of a tenant that has two.
pub const ELDER: &str = "acme-elder";

const HOUR_MS: i64 = 3_600_000;

/// Result of a story.
pub struct Report {
    pub seed: u64,
    pub requests: usize,
    pub runs: usize,
    pub violations: Vec<Violation>,
    pub coverage: BTreeMap<Cell, usize>,
    pub edits: BTreeMap<&'static str, usize>,
    pub excused: BTreeMap<&'static str, usize>,
    pub watches: BTreeMap<&'static str, usize>,
    pub trace: Vec<String>,
}

/// One stack, and everything that happens to it.
pub struct Story {
    pub ground: Ground,
    pub dice: Dice,
    pub draft: Draft,
    pub env: BTreeMap<String, String>,
    pub store: Store,
    pub allow_delete: bool,
    /// The world before the first command of this stack.
    pub first: World,
    /// A Verify service that others made, and that some manifests of the story use.
    pub hub: Option<String>,
    /// Another stack on the same tenant.
    pub elder: Option<Draft>,
    /// Whether the other stack was destroyed.
    pub elder_gone: bool,
    /// Verify services and keys that an earlier run reported as staying, because an Action that stays uses them.
    /// From then on, they belong to the owner of the Action.
    pub left_in_use: BTreeSet<String>,
    /// Addresses that earlier destroys left as they are, because nobody can prove that a former version works.
    pub left_unproven: BTreeSet<String>,
}

/// Runs the story of a seed from beginning to end. Equal seeds give equal stories.
pub fn tell(seed: u64, trace: bool) -> Report {
    let dice = Dice::new(seed);
    let options = worlds::options(&mut dice.fork("options"));
    let flag = options.unified_flag;
    let operator = Operator::new(dice.fork("operator"));
    let mut ground = Ground::new(Twin::new(options, seed), operator, trace);
    ground.settle_in();
    let mut parts = dice.fork("parts");
    for part in worlds::PARTS {
        if parts.chance(part.percent) {
            ground.say(&format!("world: {}", part.name));
            (part.make)(&mut ground.twin, &mut parts);
        }
    }
    let mut dice = dice.fork("story");
    let legacy = match flag {
        Flag::On => false,
        // From outside, the tenant looks as if it might use the legacy set-up.
        Flag::AbsentOn => dice.chance(15),
        Flag::Off | Flag::Absent => dice.chance(70),
    };
    let draft = Draft::draw(&mut dice, STACK, legacy);
    let store = if dice.chance(8) { Store::File(Place("ledger.json".into())) } else { Store::Tenant };
    let first = ground.twin.world.clone();
    let mut story = Story {
        ground,
        dice,
        draft,
        env: env(),
        store,
        allow_delete: false,
        first,
        hub: None,
        elder: None,
        elder_gone: false,
        left_in_use: BTreeSet::new(),
        left_unproven: BTreeSet::new(),
    };
    story.hub();
    story.elder();
    story.neighbours();
    let commands = story.dice.between(1, 4);
    for _ in 0..commands {
        story.command();
    }
    end::check(&mut story);
    let Story { mut ground, .. } = story;
    Report {
        seed,
        requests: ground.requests(),
        runs: ground.runs,
        violations: std::mem::take(&mut ground.violations),
        coverage: std::mem::take(&mut ground.coverage),
        edits: std::mem::take(&mut ground.edits),
        excused: std::mem::take(&mut ground.excused),
        watches: std::mem::take(&mut ground.watching.met),
        trace: ground.trace(),
    }
}

impl Story {
    /// Applies another stack of this tenant, without faults, before this one is known. Its Action may have the same
    /// name, so that this stack takes it over.
    fn elder(&mut self) {
        // From a stream of its own, so that no other draw changes.
        let mut dice = self.dice.fork("another stack");
        if !dice.chance(15) {
            return;
        }
        let mut draft = Draft::draw(&mut dice, ELDER, self.draft.legacy);
        let shared = "\"Acme sender\"";
        if dice.chance(60) {
            draft.set("action.name", shared);
            self.draft.set("action.name", shared);
        }
        self.ground.say("another stack stands on this tenant");
        self.ground.say(&draft.text());
        let env = self.env.clone();
        let ended = self.alone(&draft, &env, Store::Tenant, Command::Apply);
        self.ground.now_ms += 60_000;
        self.first = self.ground.twin.world.clone();
        self.elder = Some(draft).filter(|_| ended == Some(Ended::Done));
    }

    /// Others make a Verify service in the account, and some manifests use it in place of one of their own.
    fn hub(&mut self) {
        // From a stream of its own, so that no other draw changes.
        let mut dice = self.dice.fork("a service of others");
        if !dice.chance(15) {
            return;
        }
        let (twin, now_ms) = (&mut self.ground.twin, self.ground.now_ms);
        let there = twin.world.account_mut(ACCOUNT).verify_services.len();
        let form = [("FriendlyName", "Hub"), ("CustomCodeEnabled", "true")];
        twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, now_ms);
        self.hub = twin.world.account_mut(ACCOUNT).verify_services.get(there).map(|one| one.sid.clone());
        self.first = twin.world.clone();
        if dice.chance(60) {
            self.go_over();
        }
    }

    /// The manifest goes over to the service of others, or back to one of its own. What it had stays where it is.
    fn go_over(&mut self) {
        self.draft.used = match self.draft.used {
            None => self.hub.clone(),
            Some(_) => None,
        };
        if self.draft.used.is_none() {
            return;
        }
        self.ground.say("the manifest uses a service of others");
        let owner = format!("{DOMAIN}/{STACK}");
        let services = &self.ground.twin.world.accounts[ACCOUNT].verify_services;
        let ours = services
            .iter()
            .filter(|one| self.ground.made.get(&one.sid).is_some_and(|made| made.owner == owner));
        self.left_in_use.extend(ours.map(|one| one.sid.clone()));
    }

    /// Applies other stacks without faults: on another tenant of the same account, or on this tenant earlier.
    fn neighbours(&mut self) {
        if self.dice.chance(20) {
            let mut env = self.env.clone();
            env.insert("AUTH0_DOMAIN".into(), OTHER.into());
            self.ground.twin.tenant_mut(OTHER);
            let draft = Draft { legacy: false, ..self.draft.clone() };
            if draft.parse(&env).is_ok() {
                self.ground.say("another tenant of the account, with a service of the same name");
                self.alone(&draft, &env, Store::Tenant, Command::Apply);
            }
        }
        if self.dice.chance(25) {
            self.ground.say("an older manifest was applied before");
            let older = self.draft.edited(&mut self.dice);
            let (env, store) = (self.env.clone(), self.store.clone());
            self.alone(&older, &env, store, Command::Apply);
        }
    }

    /// Runs a command with no other process.
    pub fn alone(
        &mut self,
        draft: &Draft,
        env: &BTreeMap<String, String>,
        store: Store,
        command: Command,
    ) -> Option<Ended> {
        self.claim(draft, env);
        let start = Start {
            draft,
            env,
            store,
            command,
            allow_delete: self.allow_delete,
            trouble: Trouble::default(),
        };
        let proc = Proc::new(&mut self.ground, &start);
        self.go(vec![proc]).remove(0).ended()
    }

    fn claim(&mut self, draft: &Draft, env: &BTreeMap<String, String>) {
        let owner = format!("{}/{}", env["AUTH0_DOMAIN"], draft.stack);
        self.ground.claims.entry(owner).or_default().add(draft);
    }

    /// Runs one command, disturbed as the dice say.
    fn command(&mut self) {
        let wait_ms = *self.dice.pick(&[2_000, 2_000, 60_000, 3_600_000, 26 * 3_600_000]);
        self.ground.now_ms += wait_ms;
        match self.dice.below(10) {
            0..=3 => {}
            4..=6 => {
                self.draft = self.draft.edited(&mut self.dice);
                self.ground.say("the manifest is edited");
            }
            7 if self.draft.legacy => {
                self.draft.legacy = false;
                self.draft.set("phone.legacy_templates", "");
                self.ground.say("the manifest moves to unified delivery");
                if self.draft.parse(&self.env).is_err() {
                    self.draft = Draft::draw(&mut self.dice, STACK, false);
                }
            }
            7 => {
                self.env.insert("TWILIO_SENDER_KEY".into(), SENDER_KEYS[1].into());
                self.env.insert("TWILIO_SENDER_SECRET".into(), "41f02dTwilioSenderSecret7654321y".into());
                self.ground.say("the sender's key is another one");
            }
            _ => {
                let edits: Vec<_> = EDITS.iter().collect();
                let edit = *self.dice.pick(&edits);
                let mut dice = self.dice.fork(edit.name);
                self.ground.meddle(edit.name, |twin, now_ms| (edit.act)(twin, &mut dice, now_ms));
            }
        }
        if self.hub.is_some() && self.dice.fork("goes over").chance(30) {
            self.go_over();
        }
        self.allow_delete = self.dice.chance(60);
        let command = *self.dice.pick(&[
            Command::Apply,
            Command::Apply,
            Command::Apply,
            Command::Apply,
            Command::Apply,
            Command::Plan,
            Command::Destroy,
        ]);
        let command = watched::draw(self, command);
        let rotates = command == Command::Apply && self.draft.minted && self.dice.fork("rotates").chance(35);
        let command = if rotates { Command::Rotate } else { command };
        self.ground.schedule = Schedule::draw(&mut self.dice, &format!("faults {}", self.ground.runs));
        let mut dice = self.dice.fork("operator");
        self.ground.operator.draw(&mut dice);
        self.dice.next();
        let trouble = self.trouble();
        let trouble = watched::trouble(self, command, trouble);
        self.ground.say(&format!("{command:?} with {trouble:?}, faults {} %", self.ground.schedule.percent));
        self.ground.say(&self.draft.text());
        let draft = self.draft.clone();
        let env = self.env.clone();
        self.claim(&draft, &env);
        let start = Start {
            draft: &draft,
            env: &env,
            store: self.store.clone(),
            command,
            allow_delete: self.allow_delete,
            trouble,
        };
        let mut procs = vec![Proc::new(&mut self.ground, &start)];
        // Both processes find and write the same record, in the tenant or in one file.
        if self.dice.chance(20) {
            let second =
                if self.dice.chance(50) { self.draft.clone() } else { self.draft.edited(&mut self.dice) };
            self.claim(&second, &env);
            let trouble = Trouble {
                starts_after_ms: *self.dice.pick(&[0, 100, 700, 1_500, 5_000, 12_000]),
                ..self.trouble()
            };
            self.ground.say(&format!("beside it, a second Lockstep with {trouble:?}"));
            let command = watched::beside(self, command);
            let start = Start { draft: &second, command, trouble, ..start };
            procs.push(Proc::new(&mut self.ground, &start));
        }
        let mut procs = self.go(procs);
        if let Command::Watch(ms) = command {
            watched::afterwards(self, &procs, ms);
        }
        // An apply forgets an object that left the manifest, too, and says so if it stays.
        for done in procs.iter().filter(|one| one.ended() == Some(Ended::Done)) {
            self.left_in_use.extend(end::told_to_stay(self, done));
        }
        let first = procs.remove(0);
        if command == Command::Destroy && first.ended() == Some(Ended::Done) {
            self.left_unproven.extend(told::left_unproven(&first));
        }
        if command == Command::Apply {
            self.roll_back();
        }
        self.ground.schedule = Schedule::calm();
        self.ground.operator.calm();
    }

    /// Some stories take the run back, which may be killed, and then take it back in peace: after that, nothing is left to
    /// take back.
    fn roll_back(&mut self) {
        // From a stream of its own, so that no other draw changes.
        let mut dice = self.dice.fork("rollback");
        if !dice.chance(20) {
            return;
        }
        self.ground.now_ms += *dice.pick(&[2_000, 60_000, 3_600_000]);
        let kill = dice.chance(50).then(|| (dice.below(20) + 1, dice.chance(50)));
        let trouble = Trouble { of_steps: dice.chance(40), kill, ..Trouble::default() };
        self.ground.say(&format!("Rollback with {trouble:?}"));
        let (draft, env) = (self.draft.clone(), self.env.clone());
        let start = Start {
            draft: &draft,
            env: &env,
            store: self.store.clone(),
            command: Command::Rollback,
            allow_delete: self.allow_delete,
            trouble,
        };
        let proc = Proc::new(&mut self.ground, &start);
        self.go(vec![proc]);
        self.ground.schedule = Schedule::calm();
        self.ground.operator.calm();
        for is_second in [false, true] {
            self.ground.now_ms += 60_000;
            let mark = self.ground.requests();
            let calm = Start { trouble: Trouble::default(), store: self.store.clone(), ..start };
            let proc = Proc::new(&mut self.ground, &calm);
            let proc = self.go(vec![proc]).remove(0);
            if proc.ended() != Some(Ended::Done) {
                return;
            }
            let wrote: Vec<&str> = self.ground.twin.log()[mark..]
                .iter()
                .filter(|entry| entry.wrote)
                .map(|entry| entry.operation)
                .collect();
            if is_second && !wrote.is_empty() {
                let what = format!("the second rollback wrote: {}", wrote.join(", "));
                self.ground.blame(Law::Second, &Case::default(), what);
            }
        }
    }

    fn trouble(&mut self) -> Trouble {
        let dice = &mut self.dice;
        let of_steps = dice.chance(40);
        let at = |dice: &mut Dice| dice.below(if of_steps { 25 } else { 45 }) + 1;
        let kill = if dice.chance(25) { Some((at(dice), dice.chance(50))) } else { None };
        let pause_ms = *dice.pick(&[LEASE_TTL_MS / 4, LEASE_TTL_MS / 2, 3 * LEASE_TTL_MS]);
        let pause = if dice.chance(8) { Some((at(dice), pause_ms)) } else { None };
        let interrupt = if dice.chance(8) { Some(at(dice)) } else { None };
        // From streams of their own, so that no other draw changes. If replies have no `Date`, the machine's own clock
        // counts.
        let told = self.ground.twin.options.date_ahead_ms.is_some();
        let ahead = [0, 0, 0, 0, 0, -3 * HOUR_MS, 3 * HOUR_MS, -25 * HOUR_MS, 25 * HOUR_MS, 72 * HOUR_MS];
        let ahead_ms = if told { *self.dice.fork("clock").pick(&ahead) } else { 0 };
        let ttls = [None, None, None, Some(6_000)];
        let lease_ttl_ms = *self.dice.fork("lease").pick(&ttls);
        let of_watch = false;
        Trouble { starts_after_ms: 0, of_watch, of_steps, kill, pause, interrupt, ahead_ms, lease_ttl_ms }
    }

    /// Runs processes to their ends, and checks their texts.
    pub fn go(&mut self, mut procs: Vec<Proc>) -> Vec<Proc> {
        if let Err(stuck) = run(&mut self.ground, &mut procs) {
            self.ground.blame(Law::Second, &Case::default(), stuck);
        }
        for proc in &procs {
            let ended = match proc.ended() {
                Some(Ended::Done) => "done".to_owned(),
                Some(ended) => format!("{ended:?}"),
                None => "killed".into(),
            };
            self.ground.say(&format!("P{} ended: {ended}", proc.number));
            self.whisper(proc);
            if let Some(what) = proc.waited_badly(self.ground.now_ms) {
                self.ground.blame(Law::Wait, &Case::default(), what);
            }
        }
        self.ground.turns_end();
        procs
    }

    /// Checks law 5: no text that a person may see contains a secret.
    fn whisper(&mut self, proc: &Proc) {
        let mut secrets: Vec<String> = SECRETS.iter().map(|name| self.env[*name].clone()).collect();
        secrets.extend(laws::secrets_of(&self.ground.twin.world));
        let mut ledgers: Vec<String> = end::ledgers(&self.ground.twin.world);
        ledgers.extend(self.ground.file.text.clone());
        for secret in &secrets {
            for form in forms(secret) {
                let told = proc.texts.iter().chain(&ledgers).find(|text| text.contains(&form));
                if let Some(text) = told {
                    let at = text.find(&form).unwrap_or(0);
                    let around: String = text.chars().skip(at.saturating_sub(60)).take(120).collect();
                    self.ground.blame(Law::Secret, &Case::default(), format!("a secret is told: …{around}…"));
                    return;
                }
            }
        }
    }

    pub fn settings_of_calm(&mut self) {
        self.ground.schedule = Schedule::calm();
        self.ground.operator.calm();
        worlds::grant_all(&mut self.ground.twin);
        self.ground.twin.options.rate = Rate::Unlimited;
    }

    /// Whether the record of sent secrets can be complete. An Action that was adopted without a record has secrets that
    /// cannot be compared.
    pub fn knows_secrets(&self) -> bool {
        self.ground.changes.iter().all(|(actor, _)| *actor != 0)
            && self.first.tenants[DOMAIN]
                .actions
                .iter()
                .all(|action| !action.name.starts_with("Lockstep phone"))
    }
}

/// The value, a half of it, and usual encodings.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let half = &secret[secret.len() / 2..];
    let mut forms = vec![secret.to_owned()];
    if half.len() >= 10 {
        forms.push(half.to_owned());
    }
    forms.push(STANDARD.encode(secret).trim_end_matches('=').to_owned());
    forms.push(URL_SAFE_NO_PAD.encode(secret));
    forms.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
    forms
}

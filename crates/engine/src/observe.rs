//! Reads everything that a plan depends on, and plans.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::intent;
use super::store::{Found, Owner, Store};
use crate::health;
use crate::kinds::guards::{self, Guard, Unread};
use crate::kinds::{self, Hint, Resource, Seen, Task, Whose, handed_on};
use crate::ledger::prints::Prints;
use crate::ledger::seal::Keys;
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::codes;
use crate::model::facts::{Fact, Factor, Login};
use crate::model::ledger::{Begun, Entry, Intent, Last, Ledger, NOT_BEFORE, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{FieldChange, Finding, Level, Plan, Purpose, ResourcePlan, Stage, Step, Verb};
use crate::model::random::{Entropy, hex};
use crate::model::value::{Ids, Value};
use crate::plan::build::{self, Basis};
use crate::plan::desired::declared;
use crate::port::{Reader, join_all};

/// One stack on one tenant, with the options of the run. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    pub manifest: Rc<Manifest>,
    pub tenant: String,
    pub account: String,
    pub store: Store,
    pub entropy: Entropy,
    /// Rounds of the slow digest for new fingerprints.
    pub rounds: u32,
    pub lease_ttl_ms: u64,
    /// Who applies, for lease and history: `user@host`.
    pub who: String,
    /// Revision of the manifest, for the history; may be empty.
    pub revision: String,
    pub destroy: bool,
    /// The run takes back what the last run changed.
    pub rollback: bool,
    /// Values that the run makes anew, as the manifest refers to them: `minted.sender`, `generated.feedback`.
    pub rotate: BTreeSet<String>,
    /// Resources whose outputs other tenants of a fleet take, with the names of those tenants in words. A rollback leaves
    /// them in place.
    pub handed_on: BTreeMap<String, String>,
    /// A rollback takes back this run (the nonce of its intent) and no later one.
    pub only_run: Option<String>,
    pub allow_delete: bool,
    /// Ids (addresses, for switches) of objects that may be deleted or put back although nothing proves the record.
    pub named: BTreeSet<String>,
    pub purpose: Purpose,
    /// After a deployment or an exposing step, the tenant log is followed for this long.
    pub watch_ms: Option<u64>,
}

impl Session {
    pub fn owner(&self) -> Owner<'_> {
        Owner {
            stack: &self.manifest.stack,
            tenant: &self.tenant,
            account: &self.account,
            keys: Keys::of(&self.manifest, self.rounds),
            reads_only: self.reads_only(),
        }
    }

    /// Whether the run writes nothing. Then seals of credentials that it does not have are taken on trust, with a note.
    fn reads_only(&self) -> bool {
        self.purpose != Purpose::Apply
    }

    /// The resources that this run wants; none when it destroys.
    pub fn declared(&self) -> Vec<Resource> {
        if self.destroy { Vec::new() } else { declared(&self.manifest) }
    }

    /// Salt of a ledger that does not exist yet.
    pub(super) fn new_salt(&self) -> String {
        hex(&self.entropy.draw("salt")[..16])
    }
}

/// The observed state and the record, and the plan that follows from them.
#[derive(Clone)]
pub struct Observation {
    pub seen: BTreeMap<Address, Seen>,
    pub found: Found,
    pub prints: Rc<Prints>,
    pub plan: Plan,
    /// Time of the plan, in ms since the Unix epoch.
    pub as_of_ms: u64,
    /// The record arrived much later than the rest, so another run may have worked in between.
    pub torn: bool,
    /// A message, if a `--delete` names no object that waits for one.
    pub misnamed: Option<String>,
}

/// A record that arrives within this time after the first request counts as read together with the rest.
const TORN_MS: u64 = 2000;

/// Reads and plans, with nothing that could write.
///
/// # Errors
/// A read fails for another reason than a missing permission. A part without permission is marked as not read.
pub async fn observe(session: &Session, reader: &Reader) -> Result<Observation, Failed> {
    observe_as_of(session, reader, None).await
}

/// The same for a given time of the plan (ms since the Unix epoch), with which dates are compared.
pub(super) async fn observe_as_of(
    session: &Session,
    reader: &Reader,
    as_of_ms: Option<u64>,
) -> Result<Observation, Failed> {
    let first = look(session, reader, as_of_ms).await?;
    if first.plan.blockers().next().is_none() || !matches!(session.store, Store::Tenant) {
        return Ok(first);
    }
    // A blocker may be about something that another run created since the record was read.
    let now = session.store.reload(session.owner(), &first.found.stands, reader).await?;
    if now.is_as(&first.found) { Ok(first) } else { look(session, reader, as_of_ms).await }
}

async fn look(session: &Session, reader: &Reader, as_of_ms: Option<u64>) -> Result<Observation, Failed> {
    reader.new_phase();
    let began_ms = reader.now_ms();
    let declared = session.declared();
    // First trip: the ledger and everything that can be read without it. The list of Actions goes first: while the
    // rate limit is not known yet only a few requests leave, and other reads wait for the ledger.
    let mut gets: Vec<Get> = vec![kinds::record_list()];
    for want in &declared {
        if let Some(kind) = kinds::by_name(want.kind) {
            gets.extend(kind.prefetch(want, &session.manifest));
        }
    }
    gets.sort();
    gets.dedup();
    gets.sort_by_key(|get| *get != kinds::record_list());
    if !matches!(session.store, Store::Tenant) && declared.is_empty() {
        gets.clear();
    }
    let first: Vec<Task<'_, ()>> = gets
        .iter()
        .map(|get| {
            let reader = reader.clone();
            // A failure is kept with the read and comes up where the result is used.
            Box::pin(async move {
                let _kept = reader.get(get).await;
            }) as Task<'_, ()>
        })
        .collect();
    let ledger = Box::pin(session.store.load(session.owner(), reader, false));
    // Reads that need the ledger start as soon as it is there, beside the rest of the first trip.
    let rest = async {
        let found = ledger.await?;
        let torn = reader.now_ms().saturating_sub(began_ms) > TORN_MS;
        let seen = observe_all(session, &declared, &found, reader).await?;
        Ok::<_, Failed>((found, seen, torn))
    };
    let (mut result, mut tried) = (None, Ok(Vec::new()));
    {
        let (slot, told) = (&mut result, &mut tried);
        let mut all: Vec<Task<'_, ()>> = first;
        all.push(Box::pin(async move { *slot = Some(rest.await) }));
        if session.purpose == Purpose::Drift {
            all.push(Box::pin(async move { *told = handed_on::drifted(&session.manifest, reader).await }));
        }
        join_all(all).await;
    }
    let (mut found, mut seen, torn) = result.unwrap_or(Err(Failed::Stopped))?;
    found.unclear.extend(tried?);
    found.unclear.extend(room(session, &found, &declared, reader).await?);
    if session.destroy || session.rollback {
        session.store.add_others(&mut found, &session.owner(), reader, false).await?;
    }
    on_record(session, &mut found, &mut seen, &declared, reader).await?;
    if session.rollback {
        look_back(&found, &mut seen, reader).await?;
    }
    let salt = found.ledger.as_ref().map_or_else(|| session.new_salt(), |ledger| ledger.salt.clone());
    let prints = Rc::new(Prints::of(&session.manifest, &salt, session.rounds));
    let as_of_ms = as_of_ms.unwrap_or_else(|| now_ms(reader));
    let mut first = plan(session, reader, &seen, &found, &prints, as_of_ms);
    // Settings that the manifest leaves out matter when a step takes something away (somebody may have switched a
    // policy on in the dashboard), and when logins begin to be asked for a factor that the manifest does not switch on.
    // If the stack leaves the sending to others, these settings also matter when a step switches the phone factor on.
    let leaves = guards::leaves_to_others(&session.manifest, session.destroy, &seen);
    let delivery = first.steps.iter().any(|step| takes_away(step) || asks(step) || leaves && offers(step));
    let login = first.steps.iter().any(exposes) && speaks(&session.manifest);
    let switches = first
        .steps
        .iter()
        .any(|step| matches!(step.stage, Stage::SwitchOff | Stage::SwitchBack | Stage::Retire));
    // Without the unified experience, somebody else's sender may be the only one of a factor that stays or comes back.
    let unified = !switches || guards::is_unified(&seen) != Some(false);
    let legacy = delivery && (!unified || guards::is_in_legacy_place(&seen));
    let loses = |step: &Step| {
        step.verb == Verb::Delete
            || matches!(step.stage, Stage::SwitchOff | Stage::Retire | Stage::RemoveProvider)
    };
    let factors_go = first.steps.iter().any(loses);
    let senders = leaves && delivery;
    let beside: Vec<&Guard> = guards::DELIVERY
        .iter()
        .filter(|_| delivery)
        .chain(guards::SENDERS.iter().filter(|_| senders && !guards::has_phone_action(&seen)))
        .chain(guards::RULES.iter().filter(|_| factors_go))
        .chain(guards::LOGIN.iter().filter(|_| login))
        .chain(guards::SELECTED.iter().filter(|_| legacy))
        .collect();
    if !beside.is_empty() {
        guard(session, &mut seen, reader, &beside).await?;
        if senders && guards::is_unified(&seen) != Some(true) {
            let theirs = guards::LEGACY_SENDERS.iter().filter(|_| !guards::has_legacy_action(&seen));
            let legacy: Vec<&Guard> = guards::SELECTED.iter().chain(theirs).collect();
            guard(session, &mut seen, reader, &legacy).await?;
        }
        first = plan(session, reader, &seen, &found, &prints, as_of_ms);
    }
    let misnamed = misnamed(session, reader, &seen, &found, &prints);
    Ok(Observation { seen, found, prints, plan: first, as_of_ms, torn, misnamed })
}

/// Reads what only a rollback needs to know of the resources that the last run changed.
async fn look_back(found: &Found, seen: &mut BTreeMap<Address, Seen>, reader: &Reader) -> Result<(), Failed> {
    let last = found.ledger.as_ref().and_then(|ledger| ledger.last_run.as_ref());
    for (address, changed) in last.into_iter().flat_map(|last| &last.changed) {
        if let Some((kind, seen)) = kinds::by_name(&changed.kind).zip(seen.get_mut(address)) {
            kind.look_back(changed, seen, reader).await?;
        }
    }
    Ok(())
}

/// A blocker if the tenant has no room for one more Action, which is to hold the record. If the stack has Actions of
/// its own, their check counts the record too.
async fn room(
    session: &Session,
    found: &Found,
    declared: &[Resource],
    reader: &Reader,
) -> Result<Option<Finding>, Failed> {
    let is_made = matches!(session.store, Store::Tenant) && found.stands.action_id.is_none();
    if !is_made || declared.is_empty() || declared.iter().any(|want| guards::is_action(want.kind)) {
        return Ok(None);
    }
    let count = guards::count_actions(&*reader.get(&kinds::record_list()).await?)?;
    Ok((count >= 100).then(|| Finding {
        code: codes::NO_ROOM, address: "ledger".into(),
        text: format!(
            "the tenant has {count} of at most 100 Actions, so there is no room for the ledger, which is an Action"
        ),
        help: "delete unused Actions, or keep the ledger elsewhere with --ledger file:PATH".into(),
        level: Level::Blocker,
    }))
}

/// Whether the step switches the phone factor on.
fn offers(step: &Step) -> bool {
    step.effects.has(&Fact::Factor(Factor::Phone, Some(true)))
}

/// A message about names given with `--delete` that match no object which waits for one. They are most likely typed
/// wrong, so the run changes nothing at all.
fn misnamed(
    session: &Session,
    reader: &Reader,
    seen: &BTreeMap<Address, Seen>,
    found: &Found,
    prints: &Prints,
) -> Option<String> {
    if session.named.is_empty() {
        return None;
    }
    let unnamed = Session { named: BTreeSet::new(), ..session.clone() };
    let asked = plan(&unnamed, reader, seen, found, prints, now_ms(reader)).unproven;
    let is_asked = |name: &String| asked.iter().any(|object| object.id == *name);
    // A plan that took seals on trust asks for no names; the apply of it may ask.
    let on_record = |name: &String| {
        let entries = found.ledger.iter().flat_map(|ledger| &ledger.resources);
        let is_it = |(address, entry): (&Address, &Entry)| {
            address == name.as_str() || entry.ids.values().any(|id| id == name)
        };
        session.reads_only() && entries.into_iter().any(is_it)
    };
    let wrong = session.named.iter().filter(|name| !is_asked(name) && !on_record(name));
    let wrong: Vec<&str> = wrong.map(String::as_str).collect();
    if wrong.is_empty() {
        return None;
    }
    let could: Vec<String> =
        asked.iter().map(|object| format!("{} ({}: {})", object.id, object.address, object.what)).collect();
    let could = match could.is_empty() {
        false => format!("the objects that wait for one: {}", could.join(", ")),
        true if session.allow_delete => "no object waits for one".to_owned(),
        true => "no object waits for one (--allow-delete takes away what left the manifest)".to_owned(),
    };
    Some(format!("--delete {}: no object with that id waits for a --delete; {could}", wrong.join(", ")))
}

fn takes_away(step: &Step) -> bool {
    // Another sender takes over: somebody may rely on messages that it does not send.
    let hands_over = |fact: &Fact| matches!(fact, Fact::Unified(_) | Fact::Provider(_) | Fact::Selected(_));
    // The classic login cannot ask for spoken codes.
    step.effects.any(hands_over)
        || step.effects.has(&Fact::Login(Some(Login::Classic)))
        || step.verb == Verb::Delete
        || matches!(
            step.stage,
            Stage::NarrowTypes | Stage::SwitchOff | Stage::Narrow | Stage::RemoveProvider | Stage::Retire
        )
}

/// Whether logins are asked for a factor after the step, or for more factors than before.
fn asks(step: &Step) -> bool {
    use Stage::{BindRules, DeployRules, RaiseBack, RaisePolicy, SwitchBack};
    matches!(step.stage, DeployRules | BindRules | RaisePolicy | SwitchBack | RaiseBack)
}

/// Whether users meet the phone factor after the step, or need it more than before.
fn exposes(step: &Step) -> bool {
    use Fact::{Customize, Factor, MessageTypes, Policy, Rules};
    let is_one =
        |fact: &Fact| matches!(fact, Factor(..) | MessageTypes(_) | Policy(_) | Customize(_) | Rules(_));
    step.effects.any(is_one)
}

/// Whether codes are to be spoken, which the classic login cannot ask for.
fn speaks(manifest: &Manifest) -> bool {
    manifest.set("phone", "channels").iter().any(|channel| channel == "voice")
}

/// Reads those of the settings `beside` that were not read yet.
async fn guard(
    session: &Session,
    seen: &mut BTreeMap<Address, Seen>,
    reader: &Reader,
    beside: &[&Guard],
) -> Result<(), Failed> {
    for &&Guard { address, kind: name, warning, unread_finding } in beside {
        let Some(kind) = kinds::by_name(name).filter(|_| !seen.contains_key(address)) else { continue };
        let address = Address::from(address);
        let hint = Hint {
            address: &address,
            want: None,
            entry: None,
            record: None,
            intent: None,
            has_ledger: true,
            ledger_in_tenant: false,
            stack: &session.manifest.stack,
            manifest: &session.manifest,
        };
        let now = match kind.observe(hint, reader).await {
            Ok(mut now) => {
                // The manifest does not declare this setting, so only its blockers are reported.
                now.findings.retain(|finding| finding.level == Level::Blocker);
                if let Some((text, help)) = warning(&now, &session.manifest) {
                    now.finding(codes::CANNOT_SPEAK, &address, Level::Warning, text, help);
                }
                now
            }
            Err(failed) if failed.status() == Some(403) => {
                let mut now = Seen { not_read: true, ..Seen::default() };
                let Unread { level, text, help } = unread_finding(name, &failed);
                now.finding(codes::GUARD_UNREAD, &address, level, text, help);
                now
            }
            Err(failed) => return Err(failed),
        };
        seen.insert(address, now);
    }
    Ok(())
}

/// The time by the server's clock; by ours while no reply has told it. In ms since the Unix epoch.
fn now_ms(reader: &Reader) -> u64 {
    reader.server_now_ms().unwrap_or_else(|| reader.now_ms())
}

/// Plans over what was read. Sends nothing; asks the reader only for the token's scopes and the time.
pub(super) fn plan(
    session: &Session,
    reader: &Reader,
    seen: &BTreeMap<Address, Seen>,
    found: &Found,
    prints: &Prints,
    as_of_ms: u64,
) -> Plan {
    let scopes = reader.scopes();
    let mut findings = [found.findings.as_slice(), &found.unclear].concat();
    findings.extend(found.ledger.as_ref().and_then(intent::unfinished));
    if let Some(other) =
        seen.values().filter_map(|seen| seen.ids.get("account_sid")).find(|sid| **sid != session.account)
    {
        findings.push(Finding {
            code: codes::ANOTHER_ACCOUNT,
            address: "verify_service".into(),
            text: format!(
                "the Twilio credentials belong to account {other}, and the manifest names {}",
                session.account
            ),
            help: "correct twilio.account_sid or the credentials".into(),
            level: Level::Blocker,
        });
    }
    let last_run = found.ledger.as_ref().and_then(|ledger| ledger.last_run.as_ref());
    if session.rollback
        && session.only_run.as_ref().is_some_and(|run| last_run.is_some_and(|last| last.run != *run))
    {
        findings.push(Finding {
            code: codes::CHANGED_SINCE,
            address: "ledger".into(),
            text:
                "another run has changed the stack since the one that was watched, so nothing is taken back"
                    .into(),
            help: "look whether it is well with `lockstep status`".into(),
            level: Level::Blocker,
        });
    }
    if session.destroy && found.stands.action_id.is_some() && found.ledger.is_none() {
        findings.push(Finding {
            code: codes::RECORD_UNUSABLE, address: "ledger".into(),
            text: "the record cannot be used, so it is not known what belongs to this stack, and nothing is taken away"
                .into(),
            help: "apply once more, which records the existing objects again; or delete them yourself".into(),
            level: Level::Blocker,
        });
    }
    if session.destroy && found.ledger.as_ref().is_some_and(|ledger| !tells_all(ledger)) {
        findings.push(Finding {
            code: codes::RECORD_INCOMPLETE,
            address: "ledger".into(),
            text: "the last apply did not finish, so the record does not list everything that it created"
                .into(),
            help: "apply once more, then destroy".into(),
            level: Level::Blocker,
        });
    }
    let mut plan = build::build(Basis {
        manifest: &session.manifest,
        tenant: &session.tenant,
        account: &session.account,
        seen,
        ledger: found.ledger.as_ref(),
        others: &found.others,
        rounds: session.rounds,
        keeps_ledger: session.store.keeps(),
        kept_in: session.store.name(),
        destroy: session.destroy,
        rollback: session.rollback,
        rotate: &session.rotate,
        handed_on: &session.handed_on,
        allow_delete: session.allow_delete,
        named: &session.named,
        purpose: session.purpose,
        scopes: scopes.as_deref(),
        ledger_scopes: session.store.scopes(found, session.destroy),
        further_scopes: if session.watch_ms.is_some() { &[health::SCOPE] } else { &[] },
        prints,
        as_of_ms,
        findings,
    });
    if let Some(intent) = found.ledger.as_ref().and_then(|ledger| ledger.intent.as_ref()) {
        let waits = intent::may_appear(intent, &plan, seen, now_ms(reader));
        plan.findings.extend(waits);
    }
    let dated = found.ledger.iter().flat_map(|ledger| ledger.resources.iter());
    let dated = dated.filter(|(_, entry)| entry.notes.contains_key(NOT_BEFORE));
    if reader.server_now_ms().is_none() {
        plan.findings.extend(dated.map(|(address, _)| Finding {
            code: codes::CLOCK, address: address.clone(),
            text: "its removal waits for a date, but no reply of the tenant tells the time, so this machine's clock is used".into(),
            help: "make sure that the clock of this machine is right".into(),
            level: Level::Note,
        }));
    }
    plan
}

/// What differs between two plans, by address, in words.
pub fn moved(then: &Plan, now: &Plan) -> String {
    for (what, then, now) in [("tenant", &then.tenant, &now.tenant), ("account", &then.account, &now.account)]
    {
        if then != now {
            return format!("the {what}, which was {then} and is {now}");
        }
    }
    if then.destroy != now.destroy {
        return "the command: one of the two plans destroys the stack, and the other applies it".into();
    }
    if then.rollback != now.rollback {
        return "the command: one of the two plans takes the last run back, and the other applies the manifest".into();
    }
    // The offer to accept a value names a day, which moves by itself.
    let change =
        |change: &FieldChange| json!([change.field, change.applied, change.old, change.new, change.cause]);
    let changes = |resource: &ResourcePlan| -> Vec<Json> { resource.changes.iter().map(change).collect() };
    let keyed = |plan: &Plan| -> BTreeMap<String, Json> {
        let mut out: BTreeMap<String, Json> = plan
            .resources
            .iter()
            .map(|r| (r.address.to_string(), json!([r.verb, changes(r), r.ids])))
            .collect();
        for step in &plan.steps {
            out.insert(format!("{} ({})", step.address, step.what), json!([step.op, step.effects]));
        }
        out
    };
    let (then, now) = (keyed(then), keyed(now));
    let all: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let moved: Vec<&str> =
        all.into_iter().filter(|key| then.get(*key) != now.get(*key)).map(String::as_str).collect();
    if moved.is_empty() { "the observed state or the ledger".into() } else { moved.join(", ") }
}

async fn observe_all(
    session: &Session,
    declared: &[Resource],
    found: &Found,
    reader: &Reader,
) -> Result<BTreeMap<Address, Seen>, Failed> {
    let known = found.ledger.as_ref().map(|ledger| &ledger.resources);
    let mut wanted: BTreeMap<&Address, (&str, Option<&Resource>)> =
        declared.iter().map(|want| (&want.address, (want.kind, Some(want)))).collect();
    let begun = begun(found, declared);
    wanted.extend(begun.iter().map(|want| (&want.address, (want.kind, Some(want)))));
    for (address, entry) in known.into_iter().flatten() {
        wanted.entry(address).or_insert((&entry.kind, None));
    }
    let tasks: Vec<Task<'_, Result<(Address, Seen), Failed>>> = wanted
        .into_iter()
        .map(|(address, (kind, want))| {
            let reader = reader.clone();
            Box::pin(async move {
                let seen = observe_one(session, found, address, kind, want, &reader).await?;
                Ok((address.clone(), seen))
            }) as Task<'_, _>
        })
        .collect();
    join_all(tasks).await.into_iter().collect()
}

async fn observe_one(
    session: &Session,
    found: &Found,
    address: &Address,
    kind: &str,
    want: Option<&Resource>,
    reader: &Reader,
) -> Result<Seen, Failed> {
    let Some(kind) = kinds::by_name(kind) else { return Ok(Seen::default()) };
    let known = found.ledger.as_ref().map(|ledger| &ledger.resources);
    let entry = known.and_then(|entries| entries.get(address));
    // If nothing proves the entry, a declared resource is found by its values in the manifest, not by recorded ids.
    let nameless = entry.filter(|entry| entry.unproven && want.is_some());
    let nameless = nameless.map(|entry| Entry { ids: Ids::new(), ..entry.clone() });
    let hint = Hint {
        address,
        want,
        entry: nameless.as_ref().or(entry),
        record: known,
        intent: found.ledger.as_ref().and_then(|ledger| ledger.intent.as_ref()),
        has_ledger: found.ledger.is_some(),
        ledger_in_tenant: matches!(session.store, Store::Tenant),
        stack: &session.manifest.stack,
        manifest: &session.manifest,
    };
    match kind.observe(hint, reader).await {
        // A missing permission affects this part only.
        Err(failed) if failed.status() == Some(403) || failed.code() == Some("70051") => {
            let mut seen = Seen { not_read: true, ..Seen::default() };
            seen.finding(
                codes::NOT_READ,
                address,
                Level::NotRead,
                format!("not read: {failed}"),
                "grant the scope or key that the message names, or take the part out of the manifest",
            );
            Ok(seen)
        }
        seen => seen,
    }
}

/// Resources that an unfinished run worked on and this run does not declare, if they were to be created or are not on
/// record yet.
fn begun(found: &Found, declared: &[Resource]) -> Vec<Resource> {
    let Some((ledger, intent)) = found.ledger.as_ref().and_then(|l| Some((l, l.intent.as_ref()?))) else {
        return Vec::new();
    };
    let open = |address: &Address| {
        !declared.iter().any(|want| want.address == *address)
            && (intent.creating.contains_key(address) || !ledger.resources.contains_key(address))
    };
    let resource = |(address, begun): (&Address, &Begun)| {
        let desired = begun.wanted.iter().map(|(field, value)| (field.clone(), Value::Known(value.clone())));
        let kind = kinds::by_name(&begun.kind)?.name();
        Some(Resource { address: address.clone(), kind, desired: desired.collect() })
    };
    intent.begun.iter().filter(|(address, _)| open(address)).filter_map(resource).collect()
}

/// Whether the record describes everything that an unfinished run may have created. The record of an older version may
/// not.
fn tells_all(ledger: &Ledger) -> bool {
    let told = |intent: &Intent, made: &Address| {
        intent.begun.contains_key(made) || ledger.resources.contains_key(made)
    };
    let all = |intent: &Intent| intent.creating.keys().all(|made| told(intent, made));
    ledger.intent.as_ref().is_none_or(|intent| intent.destroy || all(intent))
}

/// Records the values that an unfinished run has set, such as another name, as applied.
fn applied(found: &mut Found, seen: &BTreeMap<Address, Seen>, declared: &[Resource]) {
    let Some(ledger) = &mut found.ledger else { return };
    for (address, begun) in ledger.intent.iter().flat_map(|intent| &intent.begun) {
        let Some((entry, now)) = ledger.resources.get_mut(address).zip(seen.get(address)) else { continue };
        let same = entry.ids.iter().all(|(id, is)| now.ids.get(id).is_none_or(|there| there == is));
        if !same || declared.iter().any(|want| want.address == *address) {
            continue;
        }
        for (field, wanted) in &begun.wanted {
            if now.attrs.get(field).and_then(Value::known) == Some(wanted) {
                entry.fields.insert(field.clone(), Last::Plain(crate::model::ledger::compact(wanted)));
            }
        }
    }
}

/// Adds entries for resources that an unfinished run created or changed and the manifest does not declare any more, so
/// that they are treated like everything that leaves the manifest.
async fn on_record(
    session: &Session,
    found: &mut Found,
    seen: &mut BTreeMap<Address, Seen>,
    declared: &[Resource],
    reader: &Reader,
) -> Result<(), Failed> {
    applied(found, seen, declared);
    for want in begun(found, declared) {
        let Some(ledger) = &mut found.ledger else { return Ok(()) };
        let Some(now) = seen.get(&want.address) else { continue };
        let intent = ledger.intent.as_ref();
        let restore = intent.and_then(|intent| intent.restore.get(&want.address)).cloned();
        let recorded = ledger.resources.contains_key(&want.address);
        match receipt(&want, now, restore.unwrap_or_default()) {
            Some(entry) if !(now.not_read && recorded) => {
                ledger.resources.insert(want.address.clone(), entry);
            }
            None if !recorded => {
                // If nobody can tell which object that run created, none is deleted, and a warning says so.
                let unclear = now.findings.iter().filter(|finding| finding.level == Level::Blocker);
                let told = unclear.map(|finding| Finding {
                    level: Level::Warning,
                    help: "if one of them belongs to this stack, delete it yourself".into(),
                    ..finding.clone()
                });
                found.unclear.extend(told);
                seen.remove(&want.address);
                continue;
            }
            _ => {}
        }
        // Read it again by its new entry. A part that cannot be read stays marked as not read.
        if !now.not_read {
            let leaving = observe_one(session, found, &want.address, want.kind, None, reader).await?;
            seen.insert(want.address, leaving);
        }
    }
    Ok(())
}

/// The entry of a resource that an unfinished run worked on; `None` if that run did nothing to it. A resource that
/// cannot be read may exist, so it gets an entry, too.
fn receipt(want: &Resource, now: &Seen, restore: BTreeMap<String, Json>) -> Option<Entry> {
    let made = now.whose == Whose::Resumed;
    let moved = |(field, old): (&String, &Json)| {
        want.desired.contains_key(field) && now.attrs.get(field).and_then(Value::known) != Some(old)
    };
    let changed = now.exists && restore.iter().any(moved);
    let plain = |(field, value): (&String, &Value)| {
        Some((field.clone(), Last::Plain(crate::model::ledger::compact(value.known()?))))
    };
    (made || changed || now.not_read).then(|| Entry {
        kind: want.kind.to_owned(),
        ownership: if made || now.not_read { Ownership::Created } else { Ownership::Adopted },
        ids: now.ids.clone(),
        fields: want.desired.iter().filter_map(plain).collect(),
        restore: if made { BTreeMap::new() } else { restore },
        notes: BTreeMap::new(),
        unproven: false,
        left: Vec::new(),
    })
}

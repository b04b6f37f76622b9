//! Builds the plan: differences, steps, order, the proof of law 1, and the findings.

use std::collections::{BTreeMap, BTreeSet};

use super::accept::{self, Accepts, Judged};
use super::claims::brings_back;
use super::compare::{self, Differences, Known, Sent};
use super::deferred::{is_ahead, wait};
use super::desired::declared;
use super::{check, claims, deferred, digest, granted, minted, others, rollback, served, stays, unfinished};
use crate::kinds::{self, Diff, Kind, Leaving, Resource, Seen, Until, Whose, handed_on};
use crate::ledger::prints::Prints;
use crate::model::address::Address;
use crate::model::codes::{self, Code};
use crate::model::facts::{Fact, Factor, Facts, Login, Policy};
use crate::model::ledger::{Entry, Last, Ledger, Ownership};
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{
    Cause, Deferred, Digest, FieldChange, Finding, Level, PLAN_FORMAT, Plan, Purpose, ResourcePlan, Stage,
    Step, Unproven, Verb,
};
use crate::model::value::Value;

/// All inputs of a plan.
pub struct Basis<'a> {
    pub manifest: &'a Manifest,
    pub tenant: &'a str,
    pub account: &'a str,
    /// Observed state, keyed by address: every declared resource and every one in the ledger.
    pub seen: &'a BTreeMap<Address, Seen>,
    pub ledger: Option<&'a Ledger>,
    /// Records of other stacks in the tenant. Their objects are not removed.
    pub others: &'a [Ledger],
    /// Rounds of the slow digest, for the fingerprints of other stacks.
    pub rounds: u32,
    /// Whether the record is stored. If it is, a resource that is as wanted but not on record is added to it.
    pub keeps_ledger: bool,
    /// Where the record is kept, in one word. A person who confirms a plan confirms this, too.
    pub kept_in: &'static str,
    pub destroy: bool,
    /// Take back what the last run changed, whatever the manifest says.
    pub rollback: bool,
    /// Values that are made anew, as the manifest refers to them: `minted.sender`, `generated.feedback`.
    pub rotate: &'a BTreeSet<String>,
    /// Resources whose outputs other tenants of a fleet take, with the names of those tenants in words.
    pub handed_on: &'a BTreeMap<String, String>,
    pub allow_delete: bool,
    /// Resources that may be removed or put back although the record is unproven, by [`handle`].
    pub named: &'a BTreeSet<String>,
    pub purpose: Purpose,
    /// Scopes of the access token; `None` when the server did not name them.
    pub scopes: Option<&'a [String]>,
    pub prints: &'a Prints,
    /// Scopes that writing the record itself needs.
    pub ledger_scopes: &'static [&'static str],
    /// Scopes that the run needs besides.
    pub further_scopes: &'static [&'static str],
    /// Time of the plan, in ms since the Unix epoch, with which dates are compared.
    pub as_of_ms: u64,
    /// Findings of the observation: unreadable parts, ledger faults.
    pub findings: Vec<Finding>,
}

/// The plan. Pure: the same basis gives the same bytes.
pub fn build(basis: Basis<'_>) -> Plan {
    if basis.rollback {
        return rollback::build(&basis);
    }
    let mut findings = basis.findings.clone();
    let mut resources = Vec::new();
    let mut steps = Vec::new();
    let mut facts = Facts::new();
    let mut record = false;
    let mut wanted = if basis.destroy { Vec::new() } else { declared(basis.manifest) };
    let accepts = Accepts::new(basis.manifest, basis.as_of_ms);
    let mut fates = BTreeMap::new();
    let nothing = Seen::default();
    let mut known = Known::of(&wanted, basis.seen, basis.ledger, basis.prints, basis.rotate);
    let minted = minted::Lost::of(&basis, &wanted, &mut known);
    findings.extend(minted::unkept(&basis, &wanted));
    if !basis.destroy {
        findings.extend(kinds::KINDS.iter().flat_map(|kind| kind.notices(basis.manifest, basis.as_of_ms)));
    }

    for want in &mut wanted {
        let Some(kind) = kinds::by_name(want.kind) else { continue };
        let seen = basis.seen.get(&want.address).unwrap_or(&nothing);
        facts.extend(kind.facts(&want.address, seen));
        findings.extend(seen.findings.iter().cloned());
        if seen.not_read {
            findings.push(Finding {
                code: codes::UNREAD_BLOCKS,
                address: want.address.clone(),
                text: "it could not be read, so nothing is applied".into(),
                help: "grant what the finding above names, or take the part out of the manifest".into(),
                level: Level::Blocker,
            });
            continue;
        }
        let entry = basis.ledger.and_then(|ledger| ledger.resources.get(&want.address));
        let entry = entry.filter(|_| seen.whose != Whose::Another);
        let mut resolved = Resource { desired: known.fill(&want.desired), ..want.clone() };
        let vouched = |mark: &serde_json::Value| kind.vouches(basis.manifest, mark);
        let (has_ledger, keeps) = (basis.ledger.is_some(), basis.keeps_ledger);
        let sent = Sent { entry, has_ledger, keeps, vouched: &vouched };
        let Differences { mut changes, unknown } =
            compare::differences(kind, &resolved, seen, sent, basis.prints);
        minted.settle(want, &mut changes);
        unfinished::attribute(&mut changes, kind, (&want.address, entry, seen), basis.ledger);
        let Judged { mut changes, accepted, named } = accepts.judge(&want.address, seen, changes);
        fates.extend(named);
        accept::leave(want, &accepted, seen);
        accept::leave(&mut resolved, &accepted, seen);
        if basis.purpose == Purpose::Drift {
            accepts.offer(&want.address, seen, &mut changes);
        }
        let diff = Diff {
            address: &want.address,
            kind: want.kind,
            want: &resolved,
            seen,
            entry,
            changes: &changes,
            manifest: basis.manifest,
            all: basis.seen,
            as_of_ms: basis.as_of_ms,
        };
        let made = kind.steps(&diff);
        findings.extend(kind.refusals(&diff, &made));
        let only_uses = kind.only_uses(basis.manifest);
        let adopts = entry.is_none() && basis.keeps_ledger && !only_uses;
        let on_record = basis.ledger.is_some_and(|ledger| ledger.resources.contains_key(&want.address));
        record |= if only_uses { on_record } else { adopts && made.is_empty() };
        let verb = match made.iter().find(|step| !step.again) {
            Some(step) => step.verb,
            None if adopts && seen.whose != Whose::Resumed => Verb::Adopt,
            None => Verb::NoOp,
        };
        let taken_over =
            seen.exists && (verb == Verb::Adopt || seen.whose.needs_consent() && !made.is_empty());
        if seen.exists && seen.whose.needs_consent() && !made.is_empty() {
            findings.push(Finding {
                code: codes::TAKEN_OVER,
                address: want.address.clone(),
                text: "it exists already; this stack takes it over as it is, then changes it".into(),
                help: "destroy will leave it in place and put its former values back where that is possible"
                    .into(),
                level: Level::Note,
            });
        }
        resources.push(ResourcePlan {
            address: want.address.clone(),
            kind: want.kind.to_owned(),
            verb,
            changes,
            accepted,
            unknown,
            ids: seen.ids.clone(),
            name: name_of(seen).filter(|_| taken_over).map(str::to_owned),
            taken_over,
            leaves: false,
            stays: None,
        });
        steps.extend(made);
    }
    if !basis.destroy {
        let is_unread = |want: &Resource| basis.seen.get(&want.address).is_some_and(|seen| seen.not_read);
        findings.extend(accepts.findings(&fates, wanted.iter().any(is_unread)));
    }
    let mut leaving = Leavers::default();
    removals(&basis, &wanted, &accepts, &LoginPath::from(&facts), &mut leaving);
    let mut deferred = std::mem::take(&mut leaving.deferred);
    deferred.extend(deferred::left_behind(&basis, &steps));
    deferred.sort_by_key(|later| later.stage);
    facts.extend(leaving.facts);
    findings.extend(leaving.findings);
    resources.extend(leaving.resources);
    steps.extend(leaving.steps);
    record |= leaving.record;
    // Resources that nobody declared and that were read because something is removed: only their facts and warnings
    // count.
    for (address, seen) in
        basis.seen.iter().filter(|(address, _)| !resources.iter().any(|r| r.address == **address))
    {
        if let Some(kind) = kinds::by_name(address.kind()) {
            kind.facts(address, seen).into_iter().for_each(|fact| facts.add(fact));
        }
        findings.extend(
            seen.findings
                .iter()
                .filter(|finding| matches!(finding.level, Level::Warning | Level::Blocker))
                .cloned(),
        );
    }
    record |= basis.ledger.is_some_and(|ledger| basis.destroy || ledger.intent.is_some());

    let path = arrange(&basis, &mut facts, &mut steps, &mut findings);
    stays::mark(&mut resources, &steps, &findings, (basis.seen, basis.ledger));
    number(&path, &mut steps);
    prove(basis.manifest, &path, &mut steps, &mut findings);
    if !basis.destroy && steps.iter().any(check::exposes) {
        findings.extend(handed_on::untried(basis.manifest));
    }
    findings.extend(granted::findings(&basis, &steps, record));
    let hash = digest::of(&basis, &wanted, &resources, &steps);
    let unknown_values = digest::unknown_values(&basis, &wanted);
    Plan {
        format: PLAN_FORMAT,
        stack: basis.manifest.stack.clone(),
        tenant: basis.tenant.to_owned(),
        account: basis.account.to_owned(),
        destroy: basis.destroy,
        rollback: basis.rollback,
        resources,
        steps,
        findings,
        deferred,
        unproven: leaving.unproven,
        record,
        digest: Digest::of(&hash, unknown_values),
        unknown_values,
        basis: hash,
    }
}

/// Orders the steps by their stages, and leaves out what something else still needs. Returns the delivery path before
/// the first step.
pub(super) fn arrange(
    basis: &Basis<'_>,
    facts: &mut Facts,
    steps: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) -> LoginPath {
    steps.sort_by_key(|step| step.stage);
    served::untie(basis, facts, steps);
    others::untie(basis.seen, facts, steps);
    let path = LoginPath::from(&*facts);
    keep_what_is_needed(basis, &path, steps, findings);
    change_factors_safely(&path, steps);
    path
}

/// Total order: stage, then the order in which the kinds pushed the steps. The phone factor is the last of the factors
/// that are switched on, since it may need another one beside it. For the same reason it is the first of the factors
/// that are switched off, if nobody knows whether its codes arrive.
pub(super) fn number(path: &LoginPath, steps: &mut [Step]) {
    let is_unsure = path.is_refused() || path.is_unlisted();
    let phone = |step: &Step, on: bool| step.effects.has(&Fact::Factor(Factor::Phone, Some(on)));
    steps.sort_by_key(|step| (step.stage, !(is_unsure && phone(step, false)), phone(step, true)));
    for (index, step) in steps.iter_mut().enumerate() {
        step.number = index + 1;
    }
    mark_locked(path, steps);
}

/// Outcome for resources that the ledger has and the manifest does not.
#[derive(Default)]
pub(super) struct Leavers {
    pub(super) resources: Vec<ResourcePlan>,
    pub(super) steps: Vec<Step>,
    pub(super) deferred: Vec<Deferred>,
    pub(super) unproven: Vec<Unproven>,
    pub(super) facts: Facts,
    pub(super) findings: Vec<Finding>,
    pub(super) record: bool,
}

/// Plans the removal of resources that the ledger has and the manifest does not: now or later, if it is allowed.
fn removals(
    basis: &Basis<'_>,
    wanted: &[Resource],
    accepts: &Accepts<'_>,
    path: &LoginPath,
    out: &mut Leavers,
) {
    let kept: BTreeSet<&str> = wanted.iter().map(|want| want.address.as_str()).collect();
    let nothing = Seen::default();
    for (address, entry) in basis.ledger.map(|ledger| &ledger.resources).into_iter().flatten() {
        let Some(kind) = kinds::by_name(&entry.kind).filter(|_| !kept.contains(address.as_str())) else {
            continue;
        };
        let seen = basis.seen.get(address).unwrap_or(&nothing);
        out.facts.extend(kind.facts(address, seen));
        let way = match kind.leaving(basis.manifest) {
            _ if kind.spares(basis.manifest, entry) => {
                Leaving::Abandoned("by the manifest, others manage it")
            }
            _ if basis.destroy => Leaving::Removed,
            // The date of a deferred removal still counts when `phone` has left the manifest, because somebody may be
            // in the middle of a login.
            Leaving::Removed if !deferred::has_phone(basis) && is_ahead(basis, entry) => {
                Leaving::Deferred { wait_ms: 0, until: Until::Delivered }
            }
            way => way,
        };
        let find = |code: Code, text: String, help: &str, level: Level| Finding {
            code,
            address: address.clone(),
            text,
            help: help.into(),
            level,
        };
        if seen.not_read {
            out.findings.extend(seen.findings.iter().cloned());
            out.findings.push(find(
                codes::UNREAD_BLOCKS,
                "it could not be read, so it cannot be taken away, and nothing else is taken away either"
                    .into(),
                "grant what the finding above names",
                Level::Blocker,
            ));
            continue;
        }
        out.findings.extend(kind.removal_refusal(address, seen, entry));
        // The ledger is untrusted: the object that it calls ours must be the object that exists.
        let mut made = kind.removal(address, seen, entry);
        let named = ["name", "friendly_name"].iter().all(|key| {
            match (entry.fields.get(*key), seen.attrs.get(*key).and_then(Value::known)) {
                (Some(Last::Plain(was)), Some(there)) => {
                    *was == crate::model::ledger::compact(there) || accepts.covers(address, key, there)
                }
                _ => true,
            }
        });
        let same =
            ["id", "sid", "action_id"].iter().all(|id| match (entry.ids.get(*id), seen.ids.get(*id)) {
                (Some(was), Some(there)) => was == there || was.is_empty(),
                _ => true,
            });
        if !same && !made.is_empty() {
            made.clear();
            out.findings.push(find(
                codes::CHANGED_SINCE,
                "the object in its place is not the one on record, so it is left alone".into(),
                "if it is yours, delete it yourself",
                Level::Warning,
            ));
        }
        if !named && made.iter().any(|step| step.verb == Verb::Delete) {
            out.findings.push(find(
                codes::CHANGED_SINCE,
                "the object in its place does not have the name on record, so it is left alone".into(),
                "if it is yours, delete it yourself",
                Level::Warning,
            ));
        }
        made.retain(|step| step.verb != Verb::Delete || (named && entry.ownership == Ownership::Created));
        let claimed = made.iter().find_map(|step| claims::claimant(basis.others, entry, seen, step));
        if let Some(stack) = claimed {
            made.retain(|step| claims::claimant(basis.others, entry, seen, step).is_none());
            out.findings.push(find(
                codes::OF_ANOTHER_STACK,
                format!("the stack {stack} has it on record too, so it stays as that stack has it"),
                "change or destroy that stack; if no stack of that name exists any more, delete its ledger Action",
                Level::Warning,
            ));
        }
        match way {
            Leaving::Removed if !basis.destroy && !basis.allow_delete && entry.unproven => {
                made.clear();
                out.findings.push(find(
                    codes::ONLY_CLAIMED,
                    "the record says that this stack managed it, but nothing proves the record, and it is not in the manifest".into(),
                    &format!(
                        "if it is this stack's, put it back into the manifest, or add --allow-delete --delete {}; if not, somebody \
                         else wrote the record: delete the Action that holds the record",
                        handle(address, seen)
                    ),
                    Level::Blocker,
                ));
            }
            Leaving::Removed if !basis.destroy && !basis.allow_delete => out.findings.push(find(
                codes::LEFT_MANIFEST,
                "it was managed by this stack and is no longer in the manifest".into(),
                "run again with --allow-delete to take it away (or put its former value back), or put it back into the manifest",
                Level::Blocker,
            )),
            Leaving::Removed => {}
            Leaving::Abandoned(why) => {
                made.clear();
                out.findings.push(find(codes::LEAVES_RECORD, why.into(), "nothing to do; the next apply takes its entry off the record", Level::Note));
            }
            Leaving::Deferred { wait_ms, until } => {
                wait(basis, entry, (wait_ms, until), path, &mut made, address, out);
            }
        }
        for step in made.iter_mut().filter(|step| step.verb != Verb::Delete && step.op.values.is_some()) {
            step.reason = "as it was before this stack, by the record".into();
        }
        let level = if way == Leaving::Removed { Level::Blocker } else { Level::Warning };
        let asks = entry.unproven && !made.is_empty() && !basis.named.contains(handle(address, seen));
        if asks && (basis.destroy || basis.allow_delete || way != Leaving::Removed) {
            let unproven = Unproven {
                address: address.clone(),
                id: handle(address, seen).to_owned(),
                name: name_of(seen).unwrap_or_default().to_owned(),
                what: made.iter().map(|step| step.what.clone()).collect::<Vec<_>>().join(", then "),
            };
            made.clear();
            out.findings.push(ask_for(&unproven, level));
            out.unproven.push(unproven);
        }
        let changes = put_back(kind, &made, seen, entry);
        let verb = made.first().map_or(Verb::NoOp, |step| step.verb);
        let waits = out.deferred.iter().any(|later| later.address == *address)
            || out.unproven.iter().any(|stays| stays.address == *address);
        out.record |= made.is_empty() && !waits;
        out.resources.push(ResourcePlan {
            address: address.clone(),
            kind: entry.kind.clone(),
            verb,
            changes,
            accepted: Vec::new(),
            unknown: Vec::new(),
            ids: seen.ids.clone(),
            name: name_of(seen).map(str::to_owned),
            taken_over: false,
            leaves: true,
            stays: None,
        });
        out.steps.extend(made);
    }
}

/// The word by which a person names a remote object: its id, or the address if it has none.
fn handle<'a>(address: &'a Address, seen: &'a Seen) -> &'a str {
    let id = ["id", "sid", "service", "action_id"].iter().find_map(|key| seen.ids.get(*key));
    id.map(String::as_str).filter(|id| !id.is_empty()).unwrap_or(address.as_str())
}

pub(super) fn name_of(seen: &Seen) -> Option<&str> {
    let given =
        ["name", "friendly_name", "display_name"].iter().find_map(|key| seen.attrs.get(*key)?.as_str());
    given.or_else(|| seen.ids.get("unique_name").map(String::as_str))
}

/// The finding that tells a person how to name an unproven resource.
fn ask_for(unproven: &Unproven, level: Level) -> Finding {
    let name = if unproven.name.is_empty() { String::new() } else { format!("{:?} ", unproven.name) };
    Finding {
        code: codes::ONLY_CLAIMED,
        address: unproven.address.clone(),
        text: format!(
            "only the record says that this stack may do this, and nothing proves the record: {}; {name}{} stays until you name it",
            unproven.what, unproven.id
        ),
        help: format!(
            "if it is this stack's, add --delete {}; if not, delete the Action that holds the record",
            unproven.id
        ),
        level,
    }
}

/// The fields that the steps put back: the observed value and the value on record.
fn put_back(kind: &dyn Kind, made: &[Step], seen: &Seen, entry: &Entry) -> Vec<FieldChange> {
    let back = || made.iter().filter(|step| step.verb == Verb::Update).map(|step| step.op.values.as_ref());
    let is_set = |field: &String| back().any(|values| values.is_none_or(|values| values.contains_key(field)));
    let shown = |field: &String| seen.attrs.get(field).map(Value::shown).or_else(|| kind.shown(seen, field));
    let values =
        entry.restore.iter().filter(|(field, old)| is_set(field) && shown(field).as_ref() != Some(*old));
    values
        .map(|(field, old)| FieldChange {
            field: field.clone(),
            applied: compare::was(entry.fields.get(field), [seen.attrs.get(field), None]),
            old: shown(field),
            new: Some(old.clone()).filter(|old| !old.is_null()),
            secret: matches!(seen.attrs.get(field), Some(Value::Secret(_) | Value::Stamp(_))),
            cause: Cause::NotApplied,
            accept: None,
        })
        .collect()
}

/// One round of checks of removals and restorations.
struct Round {
    /// The steps that the round may leave out.
    judges: fn(&Step) -> bool,
    /// The steps that the round takes as done.
    counts: fn(&Step) -> bool,
}

/// Removals first, because a former value may depend on something that turns out to stay. Then the policy: it may stay
/// whatever happens to the message types, and if it comes back a type may have to stay. Last, whether a former version
/// comes back, after it is known who depends on it.
const ROUNDS: [Round; 4] = [
    Round { judges: |step| step.verb == Verb::Delete, counts: |_| true },
    Round { judges: |step| step.stage == Stage::RaiseBack, counts: |step| !sets_types(step) },
    Round { judges: |step| !brings_back(step), counts: |_| true },
    Round { judges: |_| true, counts: |_| true },
];

fn sets_types(step: &Step) -> bool {
    step.effects.any(|fact| matches!(fact, Fact::MessageTypes(_)))
}

/// Leaves out removals of what something else still needs, and restorations that users or the API could not take.
fn keep_what_is_needed(
    basis: &Basis<'_>,
    path: &LoginPath,
    steps: &mut Vec<Step>,
    findings: &mut Vec<Finding>,
) {
    let mut round = 0;
    while let Some(Round { judges, counts }) = ROUNDS.get(round) {
        let mut after = path.clone();
        let used = used_objects(basis, steps);
        steps.iter().filter(|step| counts(step)).for_each(|step| after.learn(&step.effects));
        let count = steps.len();
        steps.retain(|step| {
            if !judges(step) {
                return true;
            }
            let kind = kinds::by_name(&step.kind).filter(|_| step.undoes());
            let stays = kind.and_then(|kind| kind.must_stay(step, path, &after));
            let stays = stays.or_else(|| unmet(step, path, &after));
            // This concerns the object alone: what belongs to a service stays by other checks while the code uses it.
            let used = used.get(&step.address).cloned().filter(|_| told_of(step).is_some());
            let stays = stays.or_else(|| used.map(|why| (Level::Warning, why)));
            let Some((level, why)) = stays else { return true };
            let mut finding = Finding {
                code: codes::STAYS,
                address: step.address.clone(),
                text: format!("it stays: {why}"),
                help: "once this reason is gone, change or delete it yourself".into(),
                level,
            };
            others::explain_kept_action(basis, step, &mut finding);
            findings.push(finding);
            false
        });
        // A step that is left out may change the result for others, so the rounds begin again.
        round = if steps.len() == count { round + 1 } else { 0 };
    }
}

/// The kind of what a step removes, if senders are told of it.
fn told_of(step: &Step) -> Option<&'static dyn Kind> {
    let kind = kinds::by_name(&step.kind).filter(|_| step.verb == Verb::Delete)?;
    kind.shared_since(&Seen::default()).map(|_| kind)
}

/// Who still uses each object that a step removes and that senders are told of: the Verify service, and keys.
pub(super) fn used_objects(basis: &Basis<'_>, steps: &[Step]) -> BTreeMap<Address, String> {
    let applies = !basis.destroy && !basis.rollback;
    let wanted = if applies { declared(basis.manifest) } else { Vec::new() };
    let used = |step: &Step| {
        let kind = told_of(step)?;
        let address = &step.address;
        let recorded = basis.ledger.and_then(|ledger| ledger.resources.get(address)).map(|entry| &entry.ids);
        let seen = basis.seen.get(address);
        let sid =
            seen.map(|seen| &seen.ids).filter(|ids| ids.contains_key("sid")).or(recorded)?.get("sid")?;
        let made_at = seen.and_then(|seen| kind.shared_since(seen)).unwrap_or_default();
        let sender = claims::sender(
            (sid, &made_at),
            steps,
            &|sender| claims::is_rid(sender, (address, sid), &wanted, basis.seen, steps),
            (basis.ledger, basis.prints),
            basis.seen,
            basis.others,
            basis.rounds,
        );
        let sender = sender.or_else(|| minted::user(basis, steps, address, (sid, &made_at)));
        let sender = sender.or_else(|| others::may_use(basis, address, (sid, &made_at)));
        Some((address.clone(), sender?))
    };
    steps.iter().filter_map(used).collect()
}

/// The sender after a takeover was undone.
const UNPROVEN: &str = "the version that ran before this stack, and nobody can prove that it still works";

/// Why a step would strand users, given the delivery path before and after all steps, so that the former value does not
/// come back; `None` if it may.
fn unmet(step: &Step, before: &LoginPath, after: &LoginPath) -> Option<(Level, String)> {
    let leans = after.leaves_an_action();
    let is_back = after.former.is(&true);
    let why = match step.stage {
        _ if sets_types(step) && before.strands(after) => {
            let policy = after.policy.get().map_or("unknown", Policy::word);
            format!(
                "with the policy {policy} logins are asked for a factor, the phone is the only one, and codes may not come with the former \
                 types"
            )
        }
        _ if step.op.restore && is_classic(step) && after.locked_out() && !before.locked_out() => {
            "the former login pages cannot ask for spoken codes, and logins would be asked for a factor, but none could be used"
                .to_owned()
        }
        Stage::SwitchBack if is_back => format!("what sends its codes is {UNPROVEN}"),
        Stage::RaiseBack if is_back && leans => {
            format!("logins would have the phone alone, and what sends its codes is {UNPROVEN}")
        }
        Stage::SwitchOff if leans && after.former_runs.is(&true) && step.op.restore && of_others(step) => {
            format!("logins would have the phone alone, and what sends its codes is {UNPROVEN}")
        }
        Stage::RemoveAction if leans && step.effects.has(&Fact::Former(true)) => {
            format!("logins have the phone alone, and what would send its codes is {UNPROVEN}")
        }
        Stage::SwitchBack if after.codes_fail() => {
            "it was on before, but nothing sends its codes any more".to_owned()
        }
        Stage::RaiseBack if after.locked_out() => {
            "with the former policy logins would be asked for a factor, but none could be used".to_owned()
        }
        _ => return None,
    };
    Some((Level::Warning, why))
}

/// Whether the step brings the classic login pages.
fn is_classic(step: &Step) -> bool {
    step.effects.has(&Fact::Login(Some(Login::Classic)))
}

/// Whether a step is about a factor other than the phone and the recovery code.
fn of_others(step: &Step) -> bool {
    let is_other = |factor: &Factor| !matches!(factor, Factor::Phone | Factor::RecoveryCode);
    step.effects.any(|fact| matches!(fact, Fact::Factor(factor, _) if is_other(factor)))
}

/// Orders a change of factors: a new factor comes before an old one goes. If the phone remains alone, the other factor
/// goes last, so that nobody depends on the phone while its delivery changes.
fn change_factors_safely(path: &LoginPath, steps: &mut [Step]) {
    let mut after = path.clone();
    steps.iter().for_each(|step| after.learn(&step.effects));
    let goes = |step: &Step| matches!(step.stage, Stage::SwitchOff | Stage::HandBack);
    let some_go = steps.iter().any(goes);
    for step in steps.iter_mut().filter(|step| of_others(step)) {
        match step.stage {
            Stage::SwitchOn if some_go => step.stage = Stage::Offer,
            // The tenant refused the binding, so nobody depends on the phone; the factor keeps its place.
            Stage::SwitchOff if after.leaves_the_phone() && !path.is_refused() => {
                step.stage = Stage::Retire;
            }
            _ => {}
        }
    }
}

/// Marks steps that switch factors off while nobody can log in anyway: they lock nobody out.
fn mark_locked(path: &LoginPath, steps: &mut [Step]) {
    let mut now = path.clone();
    for step in steps {
        if matches!(step.stage, Stage::SwitchOff | Stage::Retire) && now.locked_out() {
            step.op.locked = true;
        }
        now.learn(&step.effects);
    }
}

/// Proves law 1 over every prefix of the steps. If a removal or a dangerous step causes a loss, the step's danger names
/// it, so that a person confirms it; any other loss blocks the plan.
pub(super) fn prove(manifest: &Manifest, path: &LoginPath, steps: &mut [Step], findings: &mut Vec<Finding>) {
    for loss in check::losses(path, steps) {
        let Some(step) = steps.get_mut(loss.step - 1) else { continue };
        if loss.absolute || (step.danger.is_none() && step.verb != Verb::Delete) {
            findings.push(Finding {
                code: loss.code,
                address: step.address.clone(),
                text: format!(
                    "step {} ({} {}) is unsafe: {}",
                    step.number, step.what, step.address, loss.what
                ),
                help: others::help(manifest, loss.advice).into(),
                level: Level::Blocker,
            });
        } else {
            let former = step.danger.take().map(|danger| format!("{danger}; ")).unwrap_or_default();
            step.danger = Some(format!("{former}{}", loss.what));
        }
    }
}

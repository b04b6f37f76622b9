//! Plans the way back from the last run: what the record says it changed gets its former value again.
//!
//! The plan is made of the steps by which a destroy puts values back, goes through the same proof, and leaves everything
//! alone that the last run did not change. What somebody else has changed since is not overwritten. What does not come
//! back is named, with the revision of the manifest whose apply brings it back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::build::{Basis, arrange, number, prove, used_objects};
use super::compare::{self, Known};
use super::desired::declared;
use super::{check, claims, digest, granted};
use crate::kinds::{self, Back, Resource, Seen, WayBack, Whose, guards};
use crate::model::address::Address;
use crate::model::codes::{self, Code};
use crate::model::facts::Facts;
use crate::model::last_run::{Before, Changed, Former, How, Kept, LastRun};
use crate::model::ledger::{Entry, Last, Ownership, compact};
use crate::model::login_path::LoginPath;
use crate::model::minted;
use crate::model::plan::{
    Cause, Digest, FieldChange, Finding, Level, PLAN_FORMAT, Plan, ResourcePlan, Step, Verb,
};
use crate::model::value::{Attrs, Value};

/// The plan that takes the last run back. Pure, as [`build`](super::build::build).
pub(super) fn build(basis: &Basis<'_>) -> Plan {
    let mut findings = basis.findings.clone();
    let wanted = declared(basis.manifest);
    let mut facts = observed(basis, &wanted, &mut findings);
    let last = basis.ledger.and_then(|ledger| ledger.last_run.as_ref());
    let refused = refusal(basis, last);
    let mut parts = BTreeMap::new();
    if let Some(last) = last.filter(|_| refused.is_none()) {
        let known = Known::of(&wanted, basis.seen, basis.ledger, basis.prints, basis.rotate);
        for (address, changed) in &last.changed {
            let want = wanted.iter().find(|want| want.address == *address);
            let desired = want.map(|want| known.fill(&want.desired)).unwrap_or_default();
            parts.insert(address, part(basis, (address, changed), &desired));
        }
    }
    findings.extend(refused);
    let mut steps: Vec<Step> = parts.values_mut().flat_map(|part| std::mem::take(&mut part.steps)).collect();
    let told = findings.len();
    let path = arrange(basis, &mut facts, &mut steps, &mut findings);
    // A part that has to stay is no reason to leave all the others as they are.
    for finding in findings.iter_mut().skip(told).filter(|finding| finding.level == Level::Blocker) {
        finding.level = Level::Warning;
    }
    number(&path, &mut steps);
    keep_what_logins_need(&path, &mut steps, &mut findings);
    // What stays for the logins still uses what it was given.
    let used = used_objects(basis, &steps);
    steps.retain(|step| step.verb != Verb::Delete || !used.contains_key(&step.address));
    findings.extend(used.into_iter().map(|(address, why)| Finding {
        code: codes::STAYS,
        address,
        text: format!("the last run created it, and it stays: {why}"),
        help: "`lockstep destroy` takes the whole stack away".into(),
        level: Level::Warning,
    }));
    number(&path, &mut steps);
    prove(basis.manifest, &path, &mut steps, &mut findings);
    let revision = last.map(to_apply).unwrap_or_default();
    for (address, part) in &parts {
        findings.extend(part.findings(address, &revision));
    }
    findings.extend(afterwards(basis, last, &steps, &revision));
    let mut resources: Vec<ResourcePlan> = wanted
        .iter()
        .filter(|want| !parts.contains_key(&want.address))
        .map(|want| resource(basis, &want.address, want.kind, &[]))
        .collect();
    for (address, part) in &parts {
        let mut told = resource(basis, address, &part.kind, &steps);
        told.stays = stays(&told, part, &findings);
        resources.push(told);
    }
    // With nothing left to take back, the unfinished run is over, unless only its intent knows of an object.
    let is_unknown = basis.seen.values().any(|seen| seen.whose == Whose::Resumed);
    let is_over = parts.values().all(|part| part.stays.is_empty()) && last.is_some() && !is_unknown;
    let is_blocked = findings.iter().any(|finding| finding.level == Level::Blocker);
    let intent = basis.ledger.and_then(|ledger| ledger.intent.as_ref());
    let record =
        intent.is_some_and(|intent| intent.rollback || is_over && !is_blocked && intent.lost.is_empty());
    findings.extend(granted::findings(basis, &steps, record));
    let hash = digest::of(basis, &wanted, &resources, &steps);
    let unknown_values = digest::unknown_values(basis, &wanted);
    Plan {
        format: PLAN_FORMAT,
        stack: basis.manifest.stack.clone(),
        tenant: basis.tenant.to_owned(),
        account: basis.account.to_owned(),
        destroy: false,
        rollback: true,
        resources,
        steps,
        findings,
        deferred: Vec::new(),
        unproven: Vec::new(),
        record,
        digest: Digest::of(&hash, unknown_values),
        unknown_values,
        basis: hash,
    }
}

/// What a resource should be after a rollback: what it is, with the values of the steps. Its secrets are those of the
/// manifest (`filled`, with outputs filled in).
pub fn wanted(filled: Attrs, address: &Address, seen: Option<&Seen>, steps: &[Step]) -> Attrs {
    let is_secret = |value: &Value| !matches!(value, Value::Known(_) | Value::Unknown(_));
    let there = |field: &str| seen?.attrs.get(field).filter(|value| value.known().is_some()).cloned();
    let mut wanted: Attrs = filled
        .into_iter()
        .filter_map(|(field, value)| match is_secret(&value) && there(&field).is_none() {
            true => Some((field, value)),
            false => Some((field.clone(), there(&field)?)),
        })
        .collect();
    let written =
        steps.iter().filter(|step| step.address == *address).filter_map(|step| step.op.values.as_ref());
    for (field, value) in written.flatten() {
        match value {
            Json::Null => drop(wanted.remove(field)),
            value => drop(wanted.insert(field.clone(), Value::Known(value.clone()))),
        }
    }
    wanted
}

/// The facts of everything that was read. A part of the stack that could not be read blocks the plan, as in an apply.
fn observed(basis: &Basis<'_>, wanted: &[Resource], findings: &mut Vec<Finding>) -> Facts {
    let mut facts = Facts::new();
    let on_record = |address: &Address| basis.ledger?.resources.get(address).map(|entry| entry.kind.as_str());
    for (address, seen) in basis.seen {
        let want = wanted.iter().find(|want| want.address == *address).map(|want| want.kind);
        let ours = want.or_else(|| on_record(address));
        let Some(kind) = kinds::by_name(ours.unwrap_or_else(|| address.kind())) else { continue };
        match ours {
            Some(_) => facts.extend(kind.facts(address, seen)),
            None => kind.facts(address, seen).into_iter().for_each(|fact| facts.add(fact)),
        }
        let serious = |finding: &&Finding| matches!(finding.level, Level::Blocker | Level::NotRead);
        findings.extend(seen.findings.iter().filter(serious).cloned());
        if seen.not_read && ours.is_some() {
            findings.push(Finding {
                code: codes::UNREAD_BLOCKS,
                address: address.clone(),
                text: "it could not be read, so nothing is taken back".into(),
                help: "grant what the finding above names".into(),
                level: Level::Blocker,
            });
        }
    }
    facts
}

/// Why nothing at all is taken back.
fn refusal(basis: &Basis<'_>, last: Option<&LastRun>) -> Option<Finding> {
    let Some(last) = last else {
        let (text, help) = match basis.ledger {
            _ if !basis.keeps_ledger => (
                "no record is kept, so nothing says what the last run changed",
                "apply the manifest as it was before",
            ),
            None => (
                "the stack has no record that can be used, so nothing says what the last run changed",
                "apply the manifest as it was before",
            ),
            Some(_) => (
                "the record does not say what the last run changed: an earlier version of Lockstep wrote it, nothing was changed yet, \
                 or no seal proves it",
                "apply the manifest as it was before; from the next apply on, the record says it",
            ),
        };
        return Some(Finding {
            code: codes::NO_LAST_RUN,
            address: "ledger".into(),
            text: text.into(),
            help: help.into(),
            level: Level::Blocker,
        });
    };
    let word = |is_on: bool| if is_on { "on" } else { "off" };
    let (was, now) = last.unified.zip(guards::is_unified(basis.seen))?;
    (was != now).then(|| Finding {
        code: codes::ACROSS_UNIFIED,
        address: "unified_phone".into(),
        text: format!(
            "the unified phone experience is {} and was {} before the last run: what sent codes then cannot send them now, so \
             nothing is taken back",
            word(now),
            word(was)
        ),
        help: "mend the manifest and apply; Auth0 gives the legacy set-up back through its support only".into(),
        level: Level::Blocker,
    })
}

/// How one resource goes back.
#[derive(Default)]
struct Part {
    kind: String,
    steps: Vec<Step>,
    /// What does not go back and why, each with its code, in words.
    stays: Vec<(Code, String)>,
    notes: Vec<String>,
}

impl Part {
    fn of(kind: &str) -> Part {
        Part { kind: kind.to_owned(), ..Part::default() }
    }

    fn staying(mut self, code: Code, why: impl Into<String>) -> Part {
        self.stays.push((code, why.into()));
        self
    }

    fn findings(&self, address: &Address, revision: &str) -> Vec<Finding> {
        let finding = |code: Code, text: &str, help: &str, level: Level| Finding {
            code,
            address: address.clone(),
            text: text.to_owned(),
            help: help.to_owned(),
            level,
        };
        let left = self.stays.iter().map(|(code, why)| finding(*code, why, revision, Level::Warning));
        let notes = self.notes.iter().map(|note| finding(codes::TAKEN_BACK, note, "", Level::Note));
        left.chain(notes).collect()
    }
}

fn part(basis: &Basis<'_>, (address, changed): (&Address, &Changed), desired: &Attrs) -> Part {
    let out = Part::of(&changed.kind);
    let Some(kind) = kinds::by_name(&changed.kind) else {
        return out.staying(codes::NOT_TAKEN_BACK, "this version of Lockstep does not know what it is");
    };
    match changed.how {
        How::Removed => {
            return out.staying(
                codes::NOT_TAKEN_BACK,
                "it left the manifest with the last run, and stays as that left it",
            );
        }
        How::Replaced => {
            return out.staying(
                codes::NOT_TAKEN_BACK,
                "the last run put another object in its place, and the former one does not come back",
            );
        }
        How::Created | How::Updated => {}
    }
    let Some(seen) = basis.seen.get(address) else {
        return out.staying(
            codes::NOT_TAKEN_BACK,
            "it is no longer in the manifest nor on record, so it is left alone",
        );
    };
    let recorded = basis.ledger.and_then(|ledger| ledger.resources.get(address));
    if recorded.is_some_and(|entry| kind.spares(basis.manifest, entry)) {
        return out
            .staying(codes::NOT_TAKEN_BACK, "by the manifest, others manage it now, so it stays as it is");
    }
    match (changed.how, seen.exists) {
        (How::Created, true) => {}
        (How::Created, false) => return out,
        (_, true) => {}
        (_, false) => {
            return out.staying(codes::NOT_TAKEN_BACK, "it is gone, so its former values have no place");
        }
    }
    // A rollback takes what the last run took over off the record, so nothing can tell then whose the object is.
    if changed.how == How::Updated && changed.version.is_none() && changed.is_back(&seen.attrs) {
        return out;
    }
    if !is_the_one(changed.how, seen, recorded) {
        return out.staying(
            codes::CHANGED_SINCE,
            "the object in its place is not the one that the last run worked on, so it is left alone",
        );
    }
    let (entry, mut out) = match changed.how {
        How::Created => (created(seen, recorded, &changed.kind), out),
        _ => as_before(changed, seen, recorded, out),
    };
    let is_recorded = |field: &str| {
        let last = recorded.and_then(|entry| entry.fields.get(field));
        let sid = |name: &str| basis.seen.get(&minted::address(name))?.ids.get("sid");
        match (last, desired.get(field)) {
            (Some(last), Some(Value::Secret(secret))) => basis.prints.is_of(last, secret),
            (Some(last), Some(Value::Minted(name))) => {
                sid(name).is_some_and(|sid| super::minted::is_of(last, sid, basis.prints))
            }
            _ => false,
        }
    };
    let WayBack { steps, stays, notes } = kind.back(&Back {
        address,
        seen,
        entry: &entry,
        recorded,
        changed,
        desired,
        manifest: basis.manifest,
        all: basis.seen,
        is_recorded: &is_recorded,
    });
    out.notes = notes;
    let takers = basis
        .handed_on
        .iter()
        .find(|(resource, _)| steps.iter().any(|step| kinds::takes_away(step, resource)));
    if let Some((resource, tenants)) = takers {
        let why = format!(
            "other tenants take {resource} from here ({tenants}), so it stays until each has one of its own"
        );
        return out.staying(codes::NOT_TAKEN_BACK, why);
    }
    let claimed = steps.iter().find_map(|step| claims::claimant(basis.others, &entry, seen, step));
    if let Some(stack) = claimed {
        return out.staying(
            codes::OF_ANOTHER_STACK,
            format!("the stack {stack} has it on record too, so it stays as it is"),
        );
    }
    let told = stays.is_some();
    out.stays.extend(stays.into_iter().flatten().map(|why| (codes::NOT_TAKEN_BACK, why)));
    if changed.how == How::Updated && !told {
        out.stays.extend(unwritten(seen, &entry, &steps).map(|why| (codes::NOT_TAKEN_BACK, why)));
    }
    out.steps = steps.into_iter().map(|step| reworded(step, !told)).collect();
    out
}

/// Whether the object that was seen is the one that the last run worked on.
fn is_the_one(how: How, seen: &Seen, recorded: Option<&Entry>) -> bool {
    let Some(entry) = recorded else {
        // A setting is always ours to look at; an object without a record has to be one that an unfinished run made.
        return seen.whose == Whose::Resumed || how == How::Updated && seen.whose == Whose::Ours;
    };
    let same = ["id", "sid", "action_id"].iter().all(|id| match (entry.ids.get(*id), seen.ids.get(*id)) {
        (Some(was), Some(there)) => was == there || was.is_empty(),
        _ => true,
    });
    same && !entry.unproven && !seen.whose.needs_consent()
}

/// The record of an object that the last run created.
fn created(seen: &Seen, recorded: Option<&Entry>, kind: &str) -> Entry {
    let bare = || Entry::created(kind, seen.ids.clone());
    recorded.cloned().unwrap_or_else(bare)
}

/// The record of a resource as if this stack had taken it over right before the last run. Names what keeps its value.
fn as_before(changed: &Changed, seen: &Seen, recorded: Option<&Entry>, mut out: Part) -> (Entry, Part) {
    let plain = |(field, value): (&String, &Value)| Some((field.clone(), value.known()?.clone()));
    let mut restore: BTreeMap<String, Json> = seen.attrs.iter().filter_map(plain).collect();
    let mut names: BTreeSet<String> = restore.keys().cloned().collect();
    let (mut hidden, mut long, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for (field, former) in &changed.fields {
        names.insert(field.clone());
        let there = seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or_default();
        // The versions of an Action have its former code.
        let is_versioned = changed.version.is_some() && field == "code";
        match former.was.value() {
            None if is_versioned => {}
            None if former.was == Kept::TooLong => long.push(field.as_str()),
            None => hidden.push(field.as_str()),
            Some(was) if was == there => {}
            Some(was) if is_left(former, recorded.and_then(|entry| entry.fields.get(field)), &there) => {
                restore.insert(field.clone(), was);
            }
            Some(_) if is_versioned => {}
            Some(_) => moved.push(field.as_str()),
        }
    }
    let keep = |fields: &[&str]| {
        format!(
            "{} keep{}",
            fields.join(", "),
            if fields.len() == 1 { "s its present value" } else { " their present values" }
        )
    };
    if !hidden.is_empty() {
        let why = format!("{}: no former secret is on record", keep(&hidden));
        out = out.staying(codes::NOT_TAKEN_BACK, why);
    }
    if !long.is_empty() {
        let why = format!("{}: the former value was too long to be kept on record", keep(&long));
        out = out.staying(codes::NOT_TAKEN_BACK, why);
    }
    if !moved.is_empty() {
        let why = format!("{}: somebody else has changed that since the last run", keep(&moved));
        out = out.staying(codes::CHANGED_SINCE, why);
    }
    let entry = Entry {
        ownership: Ownership::Adopted,
        ids: recorded.map_or_else(|| seen.ids.clone(), |entry| entry.ids.clone()),
        fields: names.into_iter().map(|field| (field, Last::Plain(Json::Null))).collect(),
        restore,
        notes: BTreeMap::new(),
        ..created(seen, recorded, &changed.kind)
    };
    (entry, out)
}

/// Whether the tenant's value of a field is the one that the last run gave it.
fn is_left(former: &Former, last: Option<&Last>, there: &Json) -> bool {
    let there = compact(there);
    let by_record = matches!(last, Some(Last::Plain(last)) if *last == there);
    // An emptied list reads back as absent.
    let is_none = |value: &Json| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    by_record || former.set.as_ref().is_none_or(|set| *set == there || is_none(set) && is_none(&there))
}

/// The fields for which the kind has no way back, in words.
fn unwritten(seen: &Seen, entry: &Entry, steps: &[Step]) -> Option<String> {
    let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or_default();
    let is_written = |field: &&str| {
        steps.iter().any(|step| step.op.values.as_ref().is_none_or(|values| values.contains_key(*field)))
    };
    let left: Vec<&str> = entry
        .restore
        .iter()
        .filter(|(field, was)| there(field) != **was)
        .map(|(field, _)| field.as_str())
        .filter(|field| !is_written(field))
        .collect();
    (!left.is_empty()).then(|| {
        let value = if left.len() == 1 { "its present value" } else { "their present values" };
        format!(
            "{}: Lockstep does not put back the former value, so {value} stay{}",
            left.join(", "),
            if left.len() == 1 { "s" } else { "" }
        )
    })
}

/// The step in the words of a rollback; the kinds speak of a destroy. `anew`: its reason is given here.
fn reworded(mut step: Step, anew: bool) -> Step {
    let of_run = |text: &str| text.replace("before this stack", "before the last run");
    step.danger = step.danger.as_deref().map(of_run);
    step.what = of_run(&step.what);
    match step.verb {
        Verb::Delete => step.reason = "the last run created it".into(),
        _ if anew => step.reason = "it was so before the last run, by the record".into(),
        _ => {}
    }
    step
}

/// Leaves out the removals of objects on which logins depend by now.
fn keep_what_logins_need(path: &LoginPath, steps: &mut Vec<Step>, findings: &mut Vec<Finding>) {
    loop {
        let needed: BTreeMap<usize, String> = check::losses(path, steps)
            .into_iter()
            .filter(|loss| steps.get(loss.step - 1).is_some_and(|step| step.verb == Verb::Delete))
            .map(|loss| (loss.step, loss.what))
            .collect();
        if needed.is_empty() {
            return;
        }
        for step in steps.iter().filter(|step| needed.contains_key(&step.number)) {
            findings.push(Finding {
                code: codes::STAYS,
                address: step.address.clone(),
                text: format!("the last run created it, and it stays: without it, {}", needed[&step.number]),
                help: "`lockstep destroy` takes the whole stack away".into(),
                level: Level::Warning,
            });
        }
        steps.retain(|step| !needed.contains_key(&step.number));
        number(path, steps);
    }
}

/// The next move for what does not come back.
fn to_apply(last: &LastRun) -> String {
    match &last.before {
        None => "no run before it is on record; `lockstep destroy` takes the whole stack away".into(),
        Some(Before { at, revision }) if revision.is_empty() => {
            format!("apply the manifest as it was at {at}, when the run before it ended")
        }
        Some(Before { at, revision }) => {
            format!("apply the manifest of revision {revision}, which was applied at {at}")
        }
    }
}

/// What a person should know of the time after the rollback.
fn afterwards(basis: &Basis<'_>, last: Option<&LastRun>, steps: &[Step], revision: &str) -> Option<Finding> {
    let last = last?;
    let before = basis.ledger.and_then(|ledger| ledger.history.last());
    let is_done = before.is_some_and(|run| run.outcome.starts_with("rollback"));
    let text = match steps.is_empty() {
        true if is_done => "the last run was a rollback, and a rollback is not taken back: apply the manifest to go forward again".into(),
        true => return None,
        false => format!(
            "this takes back the run that began at {}; the manifest stays as it is, so the next plan shows the same changes again",
            last.at
        ),
    };
    let help = match (steps.is_empty(), &last.before) {
        (true, _) => String::new(),
        (false, None) => "mend the manifest before the next apply".into(),
        (false, Some(_)) => format!("mend the manifest before the next apply, or {revision}"),
    };
    Some(Finding { code: codes::TAKEN_BACK, address: Address::default(), text, help, level: Level::Note })
}

/// A resource with what the steps write.
fn resource(basis: &Basis<'_>, address: &Address, kind: &str, steps: &[Step]) -> ResourcePlan {
    let nothing = Seen::default();
    let seen = basis.seen.get(address).unwrap_or(&nothing);
    let recorded = basis.ledger.and_then(|ledger| ledger.resources.get(address));
    let own: Vec<&Step> = steps.iter().filter(|step| step.address == *address).collect();
    let there = |field: &str| seen.attrs.get(field).map(Value::shown);
    let written = own.iter().filter_map(|step| step.op.values.as_ref()).flatten();
    let last: BTreeMap<&String, &Json> = written.collect();
    let differs = |(field, value): &(&String, &Json)| there(field).unwrap_or_default() != **value;
    let changes = last.into_iter().filter(differs).map(|(field, value)| FieldChange {
        field: field.clone(),
        applied: compare::was(
            recorded.and_then(|entry| entry.fields.get(field)),
            [seen.attrs.get(field), None],
        ),
        old: there(field),
        new: Some(value.clone()).filter(|value| !value.is_null()),
        secret: matches!(seen.attrs.get(field), Some(Value::Secret(_) | Value::Stamp(_))),
        cause: Cause::NotApplied,
        accept: None,
    });
    ResourcePlan {
        address: address.clone(),
        kind: kind.to_owned(),
        verb: own.first().map_or(Verb::NoOp, |step| step.verb),
        changes: changes.collect(),
        accepted: Vec::new(),
        unknown: Vec::new(),
        ids: seen.ids.clone(),
        name: super::build::name_of(seen).map(str::to_owned),
        taken_over: false,
        leaves: false,
        stays: None,
    }
}

/// Why an object of the last run stays, if no step is about it.
fn stays(resource: &ResourcePlan, part: &Part, findings: &[Finding]) -> Option<String> {
    if resource.verb != Verb::NoOp {
        return None;
    }
    let told = findings
        .iter()
        .find(|finding| finding.address == resource.address && finding.level == Level::Warning);
    told.map(|finding| finding.text.clone()).or_else(|| part.stays.first().map(|(_, why)| why.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::step;
    use crate::model::plan::{Op, Stage};

    #[test]
    fn a_value_goes_back_only_if_the_last_run_left_it() {
        let last = |json: Json| Some(Last::Plain(json));
        for (set, last, there, is) in [
            (Some(json!(8)), None, json!(8), true),
            (Some(json!(8)), None, json!(9), false),
            // The record has the form in which the API gave it.
            (Some(json!("A")), last(json!("a")), json!("a"), true),
            (Some(json!([])), None, Json::Null, true),
            (Some(Json::Null), None, json!([]), true),
            (Some(json!(false)), None, Json::Null, false),
            // What the run wrote depended on something that it made.
            (None, None, json!("anything"), true),
        ] {
            let former = Former { was: Kept::Value(json!(6)), set };
            assert_eq!(is_left(&former, last.as_ref(), &there), is, "{former:?} {last:?} {there}");
        }
    }

    #[test]
    fn a_resource_is_wanted_as_it_is_with_the_values_of_the_steps() {
        let address = Address::from("action");
        let attrs = |fields: &[(&str, Value)]| -> Attrs {
            fields.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect()
        };
        let filled = attrs(&[
            ("code", Value::text("manifest")),
            ("runtime", Value::text("node22")),
            ("secrets.A", Value::Generated("a".into())),
        ]);
        let there = attrs(&[("code", Value::text("there")), ("secrets.A", Value::Stamp(json!("t")))]);
        let seen = Seen { exists: true, attrs: there, ..Seen::default() };
        let values = [("code", json!("former")), ("dependencies.x", json!("1.0.0"))];
        let op = Op::default().writing(values.map(|(field, value)| (field.to_owned(), value)));
        let own = step(&address, "action", Verb::Update, Stage::Draft, "", op);
        let other = Op::default().writing([("code".to_owned(), json!("of another"))]);
        let other = step(&"branding".into(), "branding", Verb::Update, Stage::Tenant, "", other);
        let expected = attrs(&[
            ("code", Value::text("former")),
            ("dependencies.x", Value::text("1.0.0")),
            ("secrets.A", Value::Generated("a".into())),
        ]);
        assert_eq!(wanted(filled, &address, Some(&seen), &[own, other]), expected);
    }
}

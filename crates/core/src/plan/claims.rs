//! Finds what other stacks of the same tenant have on record, so that removing this stack does not break them.
//!
//! We cannot check their records, and anybody who edits Actions can write one. The only thing we believe of them is
//! therefore that something is to stay: a forged record can keep us from deleting, and nothing more.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::kinds::{self, Kind, Resource, Seen};
use crate::ledger::prints::Prints;
use crate::model::address::Address;
use crate::model::last_run::{Changed, How};
use crate::model::ledger::compact;
use crate::model::ledger::{Entry, Last, Ledger, Ownership, same_mark};
use crate::model::plan::{Step, Verb};
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Ids, Part, Value};

/// Outputs and ids that are unique in the whole tenant or account.
const NAMES_ONE: [&str; 6] = ["id", "sid", "client_id", "service", "action_id", "url"];

fn names(ids: &Ids) -> impl Iterator<Item = &str> {
    let of = |name: &&str| ids.get(*name).map(String::as_str).filter(|id| !id.is_empty());
    NAMES_ONE.iter().filter_map(of)
}

/// The other stack that a removal, or a step that puts a former value back, would break: that stack has the same object
/// on record, or wants another value of the same switch.
pub fn claimant<'a>(others: &'a [Ledger], entry: &Entry, seen: &Seen, step: &Step) -> Option<&'a str> {
    let breaks =
        |other: &&Ledger| other.resources.iter().any(|(at, theirs)| is_broken(at, theirs, entry, seen, step));
    others.iter().find(breaks).map(|other| other.stack.as_str())
}

fn is_broken(at: &Address, theirs: &Entry, entry: &Entry, seen: &Seen, step: &Step) -> bool {
    // If the Action is theirs, the version from before this stack was theirs too, so putting it back breaks nothing.
    if brings_back(step) {
        return false;
    }
    let ours = || names(&entry.ids).chain(names(&seen.ids));
    let is_told =
        |last: &Last| matches!(last, Last::Plain(Json::String(text)) if ours().any(|id| id == text));
    let same =
        ours().any(|id| names(&theirs.ids).any(|their| their == id)) || theirs.fields.values().any(is_told);
    if step.verb == Verb::Delete {
        return same;
    }
    // What has no id of its own is the same where it stands in the same place: of the tenant, or of one service.
    let switch = *at == step.address && ours().next().is_none() && theirs.ids == seen.ids;
    let names = theirs.fields.keys().map(|field| (field.clone(), Value::Known(Json::Null)));
    let closed = kinds::by_name(&theirs.kind).map_or(&[][..], |kind| kind.closed(&names.collect()));
    let differs = |(field, value): (&String, &Json)| match theirs.fields.get(field) {
        Some(Last::Plain(wanted)) => *wanted != compact(value),
        Some(Last::Print { .. }) => false,
        // A name that they do not have is one too many in a list that is closed to them.
        None => !value.is_null() && closed.iter().any(|prefix| field.starts_with(prefix)),
    };
    (same || switch) && step.op.values.as_ref().map_or(same, |values| values.iter().any(differs))
}

/// Whether a step brings back the code that ran before this stack.
pub fn brings_back(step: &Step) -> bool {
    kinds::by_name(&step.kind).is_some_and(|kind| kind.brings_back(step))
}

/// Whether the last run made the object or took it over, and deployed the version that runs now. A run that was cut off
/// may have no other record of it.
pub fn is_deployed_since(ledger: Option<&Ledger>, kind: &dyn Kind, seen: &Seen) -> bool {
    let last = ledger.and_then(|ledger| ledger.last_run.as_ref());
    let changed = last.and_then(|last| last.changed.get(kind.name()));
    let is_new = |changed: &Changed| changed.adopted || changed.how == How::Created;
    changed.is_some_and(|changed| is_new(changed) && kind.running(seen) != changed.version)
}

/// Whether the steps run the code of a resource with all secrets anew, and none of these is the SID of the object.
/// `wanted`: the resources of the manifest.
pub fn is_rid(
    address: &Address,
    (object, sid): (&Address, &str),
    wanted: &[Resource],
    seen: &BTreeMap<Address, Seen>,
    steps: &[Step],
) -> bool {
    let nothing = Seen::default();
    let seen = seen.get(address).unwrap_or(&nothing);
    let own: Vec<&Step> = steps.iter().filter(|step| step.address == *address).collect();
    let Some(want) = wanted.iter().find(|want| want.address == *address) else { return false };
    let may_tell = |value: &Value| match value {
        Value::Known(Json::String(text)) => text.contains(sid),
        Value::Known(_) | Value::Generated(_) | Value::Minted(_) => false,
        Value::Secret(secret) => secret.expose().contains(sid),
        Value::Output(template) => template.parts.iter().any(|part| match part {
            Part::Text(text) => text.contains(sid),
            Part::Output(output) => object.as_str() == output.resource,
        }),
        Value::Stamp(_) | Value::Unknown(_) => true,
    };
    kinds::by_name(want.kind).is_some_and(|kind| kind.renews(seen, &own))
        && !want.desired.values().any(may_tell)
}

/// Who still uses the Verify service with that SID, which was made at that time, to send or to report, after all steps:
/// in words. `is_rid` tells of a resource of this stack that does not use the service any more after the steps.
pub fn sender(
    (sid, made_at): (&str, &str),
    steps: &[Step],
    is_rid: &dyn Fn(&Address) -> bool,
    ours: (Option<&Ledger>, &Prints),
    seen: &BTreeMap<Address, Seen>,
    others: &[Ledger],
    rounds: u32,
) -> Option<String> {
    let goes = |address: &Address| {
        let forgets = |step: &Step| kinds::by_name(&step.kind).is_some_and(|kind| kind.forgets(step));
        let goes = |step: &Step| step.verb == Verb::Delete || forgets(step);
        steps.iter().any(|step| step.address == *address && goes(step))
    };
    let stays = |address: &Address, kind: &dyn Kind| {
        seen.get(address).is_some_and(|seen| kind.runs(seen)) && !goes(address)
    };
    let (ledger, prints) = ours;
    let own = ledger.into_iter().flat_map(|ledger| &ledger.resources);
    let comes_back =
        |address: &Address| steps.iter().any(|step| step.address == *address && brings_back(step));
    let uses = |(address, entry): (&Address, &Entry)| {
        let kind = kinds::by_name(&entry.kind)?;
        let former =
            |seen: &&Seen| kind.sends() && (comes_back(address) || kind.runs_former(seen, Some(entry)));
        match seen.get(address).filter(former) {
            Some(seen) => {
                let adopted = entry.ownership == Ownership::Adopted && seen.exists;
                (adopted && kind.may_know(seen, sid, made_at))
                    .then(|| format!("the version of {address} that ran before this stack may use it"))
            }
            None if !stays(address, kind) || is_rid(address) => None,
            None if tells(entry, sid, prints) => Some(format!("{address}, which stays, uses it")),
            None => {
                let is_unreported = kind.sends()
                    && !is_told_of_one(entry)
                    && !seen.get(address).is_some_and(|seen| knows_secrets(entry, seen))
                    && seen.get(address).is_some_and(|seen| is_deployed_since(ledger, kind, seen));
                is_unreported.then(|| unreported(address))
            }
        }
    };
    let unrecorded = |kind: &&dyn Kind| {
        let address = Address::from(kind.name());
        let is_recorded = ledger.is_some_and(|ledger| ledger.resources.contains_key(&address));
        let seen = seen.get(&address).filter(|seen| !is_recorded && kind.sends() && kind.runs(seen))?;
        (!goes(&address)
            && !comes_back(&address)
            && !is_rid(&address)
            && is_deployed_since(ledger, *kind, seen))
        .then(|| unreported(&address))
    };
    let unrecorded = kinds::KINDS.iter().filter_map(unrecorded);
    let mut own = own.filter_map(uses).chain(unrecorded);
    own.next().or_else(|| {
        let uses = |other: &&Ledger| {
            let prints = Prints::new(&other.salt, rounds);
            other.resources.values().any(|entry| tells(entry, sid, &prints))
        };
        others.iter().find(uses).map(|other| format!("the stack {} uses it", other.stack))
    })
}

fn unreported(address: &Address) -> String {
    format!("{address}, which stays, was deployed by a run that did not report its end")
}

/// Whether the record of an Action shows that its code was given the SID of some service.
pub(super) fn is_told_of_one(entry: &Entry) -> bool {
    entry.fields.iter().any(|(field, last)| matches!(last, Last::Print { .. }) && is_of_service(field))
}

/// Whether all secrets of an Action are on record as they were written last, so that the run that wrote them has reported
/// them.
fn knows_secrets(entry: &Entry, seen: &Seen) -> bool {
    let is_known = |(field, value): (&String, &Value)| match (entry.fields.get(field), value) {
        (Some(Last::Print { stamp, .. }), Value::Stamp(mark)) => same_mark(stamp, mark),
        _ => false,
    };
    let mut secrets = seen.attrs.iter().filter(|(field, _)| field.starts_with("secrets.")).peekable();
    secrets.peek().is_some() && secrets.all(is_known)
}

fn is_of_service(field: &str) -> bool {
    field.to_ascii_uppercase().ends_with("VERIFY_SID")
}

/// Whether the record of an Action or a Function shows that its code was given the SID of this service.
pub(super) fn tells(entry: &Entry, sid: &str, prints: &Prints) -> bool {
    let sid = Secret::new(sid, Origin::Public);
    let is_slow = |print: &str| !print.starts_with("fast:");
    entry.fields.iter().any(|(field, last)| match last {
        // Checking a slow fingerprint costs time, and somebody else's record may have many.
        Last::Print { print, .. } => {
            let may = !is_slow(print) || is_of_service(field);
            may && prints.is_of(last, &sid)
        }
        Last::Plain(text) => field.contains('.') && text == sid.expose(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{action, step};
    use crate::model::last_run::LastRun;
    use crate::model::ledger::{LEDGER_SCHEMA, Ownership};
    use crate::model::plan::{Op, Stage};

    fn entry(kind: &str, ids: &[(&str, &str)], fields: &[(&str, Last)]) -> Entry {
        Entry {
            kind: kind.into(),
            ownership: Ownership::Created,
            ids: ids.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned())).collect(),
            fields: fields.iter().map(|(field, last)| ((*field).to_owned(), last.clone())).collect(),
            restore: BTreeMap::new(),
            notes: BTreeMap::new(),
            unproven: false,
            left: Vec::new(),
        }
    }

    fn record(resources: &[(&str, Entry)]) -> Ledger {
        Ledger {
            schema: LEDGER_SCHEMA,
            tenant: "acme-dev.eu.auth0.com".into(),
            account: "AC00000000000000000000000000000001".into(),
            stack: "other".into(),
            serial: 1,
            salt: "00112233445566778899aabbccddeeff".into(),
            resources: resources.iter().map(|(at, entry)| (Address::from(*at), entry.clone())).collect(),
            intent: None,
            history: Vec::new(),
            watch: None,
            last_run: None,
            seals: BTreeMap::new(),
        }
    }

    fn with(verb: Verb, op: Op) -> Step {
        step(&"x".into(), "x", verb, Stage::RemoveAction, "x", op)
    }

    #[test]
    fn the_same_object_is_claimed_whatever_it_is_called() {
        let others = [record(&[("action", entry("action", &[("id", "a-1")], &[]))])];
        let goes = with(Verb::Delete, Op::default());
        let claimed =
            |ids: &[(&str, &str)]| claimant(&others, &entry("x", ids, &[]), &Seen::default(), &goes);
        assert_eq!(claimed(&[("id", "a-1")]), Some("other"));
        assert_eq!(claimed(&[("action_id", "a-1")]), Some("other"), "its binding");
        assert_eq!(claimed(&[("id", "a-2")]), None);
        assert_eq!(claimed(&[]), None);
    }

    #[test]
    fn a_switch_goes_back_unless_another_stack_wants_it_otherwise() {
        let on = Last::Plain(json!(true));
        let others = [record(&[("x", entry("mfa_factor", &[], &[("enabled", on)]))])];
        let back = |value: bool| {
            let step = with(Verb::Update, Op::default().writing([("enabled".to_owned(), json!(value))]));
            claimant(&others, &entry("mfa_factor", &[], &[]), &Seen::default(), &step)
        };
        assert_eq!(back(false), Some("other"));
        assert_eq!(back(true), None);
    }

    /// A list of buckets is closed to whoever names one; a configuration is one per country and service.
    #[test]
    fn what_hangs_on_a_service_goes_back_unless_another_stack_wants_it_otherwise() {
        let text = |text: &str| Last::Plain(json!(text));
        let fields = [("buckets.60", Last::Plain(json!(5)))];
        let limit = entry("verify_rate_limit", &[("sid", "RK1"), ("service_sid", "VA1")], &fields);
        let fields = [("messaging_service_sid", text("MG1"))];
        let messaging = entry("verify_messaging_configuration", &[("service_sid", "VA1")], &fields);
        let others = [record(&[("limit", limit.clone()), ("x", messaging.clone())])];
        let back = |entry: &Entry, field: &str, value: Json| {
            let seen = Seen { exists: true, ids: entry.ids.clone(), ..Seen::default() };
            let step = with(Verb::Update, Op::default().writing([(field.to_owned(), value)]));
            claimant(&others, entry, &seen, &step).is_some()
        };
        for (field, value, is_claimed) in [
            ("buckets.60", json!(5), false),
            ("buckets.60", json!(9), true),
            ("buckets.60", Json::Null, true),
            ("buckets.600", json!(9), true),
            ("buckets.600", Json::Null, false),
            ("description", json!("as before"), false),
        ] {
            assert_eq!(back(&limit, field, value.clone()), is_claimed, "{field} {value}");
        }
        let of_another =
            Entry { ids: [("service_sid".to_owned(), "VA2".to_owned())].into(), ..messaging.clone() };
        for (entry, sid, is_claimed) in
            [(&messaging, "MG1", false), (&messaging, "MG2", true), (&of_another, "MG2", false)]
        {
            assert_eq!(back(entry, "messaging_service_sid", json!(sid)), is_claimed, "{:?} {sid}", entry.ids);
        }
    }

    /// A run that was cut off may have deployed an Action whose entry tells of no service, or that has no entry at all.
    /// Whatever such an Action sends through stays, until a step removes the Action.
    #[test]
    fn a_service_stays_while_an_action_runs_that_a_run_deployed_and_did_not_report() {
        let sid = ("VA00000000000000000000000000000001", "2026-01-01T00:00:00Z");
        let runs = |version: &str| {
            let version = json!({ "id": version, "code": "", "created_at": "2026-01-02T00:00:00Z" });
            action::parse(&json!({ "id": "a-1", "name": "Acme", "code": "", "deployed_version": version }))
        };
        let changed = |how: How, version: Option<&str>| Changed {
            kind: "action".into(),
            how,
            adopted: false,
            version: version.map(str::to_owned),
            fields: BTreeMap::new(),
        };
        let (new, old) = (changed(How::Created, None), changed(How::Updated, Some("v-1")));
        let taken_over = Changed { adopted: true, ..old.clone() };
        let removal = step(&"action".into(), "action", Verb::Delete, Stage::RemoveAction, "x", Op::default());
        for (case, changed, version, is_recorded, steps, stays) in [
            ("made, and recorded without a service", &new, "v-2", true, &[][..], true),
            ("made, and not recorded", &new, "v-2", false, &[], true),
            ("taken over, and deployed since", &taken_over, "v-2", true, &[], true),
            ("taken over, and runs what ran before", &taken_over, "v-1", true, &[], false),
            ("changed, and it was ours before", &old, "v-2", true, &[], false),
            ("made, and goes", &new, "v-2", true, std::slice::from_ref(&removal), false),
            ("not recorded, and goes", &new, "v-2", false, std::slice::from_ref(&removal), false),
        ] {
            let own = [("action", entry("action", &[("id", "a-1")], &[]))];
            let mut ledger = record(if is_recorded { &own } else { &[] });
            let of_the_run = [(Address::from("action"), changed.clone())].into();
            let last_run = LastRun {
                run: "r".into(),
                at: String::new(),
                before: None,
                unified: None,
                changed: of_the_run,
            };
            ledger.last_run = Some(last_run);
            let prints = Prints::new(&ledger.salt, 1);
            let seen = [(Address::from("action"), runs(version))].into();
            let user = sender(sid, steps, &|_| false, (Some(&ledger), &prints), &seen, &[], 1);
            assert_eq!(user.is_some(), stays, "{case}: {user:?}");
        }
        // A run that has all secrets of the running code on record has reported them.
        let secret = json!({ "name": "TWILIO_API_KEY", "updated_at": "2026-01-02T00:00:00Z" });
        let version = json!({ "id": "v-2", "code": "", "secrets": [secret] });
        let action = json!({ "id": "a-1", "name": "Acme", "secrets": [secret], "deployed_version": version });
        let seen = action::parse(&action);
        let mut ledger = record(&[("action", entry("action", &[("id", "a-1")], &[]))]);
        let changed = [(Address::from("action"), new)].into();
        let (run, at) = ("r".to_owned(), String::new());
        ledger.last_run = Some(LastRun { run, at, before: None, unified: None, changed });
        let prints = Prints::new(&ledger.salt, 1);
        let all = [(Address::from("action"), seen.clone())].into();
        let user = |ledger: &Ledger| sender(sid, &[], &|_| false, (Some(ledger), &prints), &all, &[], 1);
        assert!(user(&ledger).is_some());
        let Some(Value::Stamp(mark)) = seen.attrs.get("secrets.TWILIO_API_KEY") else { panic!("a mark") };
        let last = prints.print(&Secret::new("another", Origin::Machine), mark.clone());
        let entry = ledger.resources.get_mut("action").expect("the entry");
        entry.fields.insert("secrets.TWILIO_API_KEY".into(), last);
        assert_eq!(user(&ledger), None);
    }
}

//! The kinds of resource, one file or folder each, and what they have in common.
//!
//! A kind turns its manifest section into a desired state, reads the tenant through a [`Reader`], says which steps
//! lead from one to the other, and runs one step with a [`Writer`]. It never sees a header, a clock or a socket.

pub mod action;
mod added;
pub mod attest;
mod binding_order;
mod code_check;
pub mod code_limits;
mod countries;
pub mod feedback_function;
mod further_streams;
pub mod handed_on;
mod identity;
pub mod legacy;
pub mod log_stream;
mod log_stream_fields;
mod npm;
mod passwordless;
pub mod phone_provider;
pub mod phone_template;
pub mod places;
mod seen;
pub mod sender;
pub mod settings;
mod stream_endpoint;
mod stream_restore;
pub mod trigger_binding;
mod urls;
pub mod verify_below;
pub mod verify_fields;
pub mod verify_messaging_configuration;
pub mod verify_rate_limit;
pub mod verify_service;
pub mod verify_template;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::diag::{Problem, codes};
use crate::model::call::{Failed, Get};
use crate::model::event::Event;
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::ledger::{Entry, Intent};
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{FieldChange, Finding, Level, Op, Stage, Step, Verb};
use crate::model::text::line_of;
use crate::model::value::{Attrs, Ids, OutputRef, Part, Value};
use crate::port::{Reader, Writer};

pub use seen::{Seen, Whose};

/// A boxed future of one task.
pub type Task<'a, T> = crate::port::Boxed<'a, T>;

/// A SID of Twilio, by the two letters of its kind: fit for a path, since neither a record nor a reply decides where a
/// request goes.
fn is_sid(sid: &str, prefix: &str) -> bool {
    sid.len() == 34 && sid.starts_with(prefix) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A resource as the manifest wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub address: String,
    pub kind: &'static str,
    pub desired: Attrs,
}

/// Everything `observe` may look at besides the API.
pub struct Hint<'a> {
    pub address: &'a str,
    pub want: Option<&'a Resource>,
    pub entry: Option<&'a Entry>,
    /// What the ledger knows of every resource, by address: for a kind that hangs on another one.
    pub record: Option<&'a BTreeMap<String, Entry>>,
    pub intent: Option<&'a Intent>,
    /// A ledger was found (or is not used at all): without one, what stands there is not known to be ours.
    pub has_ledger: bool,
    /// The ledger takes the room of an Action.
    pub ledger_in_tenant: bool,
    pub stack: &'a str,
    pub manifest: &'a Manifest,
}

impl<'a> Hint<'a> {
    /// Ids that were there before an unfinished run which may have made this.
    pub fn creating(&self) -> Option<&'a Vec<String>> {
        self.intent.and_then(|intent| intent.creating.get(self.address))
    }

    /// An id that a record says and nothing proves: to tell of the object, and for nothing else.
    pub fn unproven_id(&self, id: &str) -> Option<&str> {
        let entry = self.record?.get(self.address).filter(|entry| entry.unproven && self.want.is_some())?;
        entry.ids.get(id).map(String::as_str).filter(|id| !id.is_empty())
    }

    /// Whether a record that is proven knows the resource.
    pub fn is_known(&self) -> bool {
        self.entry.is_some_and(|entry| !entry.unproven)
    }

    /// What an unfinished run was to call the object it may have made, where the manifest says otherwise by now.
    pub fn former_name(&self, field: &str) -> Option<&'a str> {
        let intent = self.intent.filter(|intent| intent.creating.contains_key(self.address))?;
        let former = intent.begun.get(self.address)?.wanted.get(field)?.as_str();
        let name = self.want.and_then(|want| want.desired.get(field)).and_then(Value::as_str);
        former.filter(|former| Some(*former) != name)
    }
}

/// Everything `steps` may look at: pure data.
pub struct Diff<'a> {
    pub address: &'a str,
    pub kind: &'static str,
    pub want: &'a Resource,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    pub changes: &'a [FieldChange],
    pub manifest: &'a Manifest,
    /// Observed state of every resource, by address.
    pub all: &'a BTreeMap<String, Seen>,
    /// Time of the plan, in ms since the Unix epoch.
    pub as_of_ms: u64,
}

impl Diff<'_> {
    /// The names of the changed fields, as the reason of a step.
    pub fn changed_names(&self) -> String {
        let names: Vec<&str> = self.changes.iter().map(|change| change.field.as_str()).collect();
        format!("{} differ{}", names.join(", "), if names.len() == 1 { "s" } else { "" })
    }

    /// A step of this resource with the usual parts filled in.
    pub fn step(&self, verb: Verb, stage: Stage, what: &str, op: Op) -> Step {
        step(self.address, self.kind, verb, stage, what, op)
    }
}

/// A step with the usual parts filled in.
pub fn step(address: &str, kind: &str, verb: Verb, stage: Stage, what: &str, op: Op) -> Step {
    Step {
        number: 0,
        address: address.to_owned(),
        kind: kind.to_owned(),
        verb,
        stage,
        what: what.to_owned(),
        reason: String::new(),
        op,
        effects: Facts::new(),
        danger: None,
        creates: false,
        again: false,
    }
}

/// Everything `run` may look at. `desired` has outputs and generated values filled in.
pub struct Run<'a> {
    pub address: &'a str,
    pub step: &'a Step,
    pub desired: &'a Attrs,
    pub seen: &'a Seen,
    pub entry: Option<&'a Entry>,
    /// Ids of every resource so far, by address.
    pub ids: &'a BTreeMap<String, Ids>,
    pub manifest: &'a Manifest,
    pub intent: Option<&'a Intent>,
}

impl Run<'_> {
    /// What the step does, in the words of the kind.
    fn act<A: DeserializeOwned>(&self) -> Result<A, Failed> {
        self.step.op.act().map_err(|error| {
            Failed::NotDone(format!("this build does not know what the step is to do ({error}); plan again"))
        })
    }
}

/// What became of a step.
#[derive(Debug)]
pub struct Done {
    pub seen: Seen,
    /// Kept in the ledger entry.
    pub notes: BTreeMap<String, Json>,
    /// The secrets of the resource were sent, every one of them.
    pub wrote_secrets: bool,
}

impl Done {
    /// Done, nothing to note.
    pub fn seen(seen: Seen) -> Done {
        Done { seen, notes: BTreeMap::new(), wrote_secrets: false }
    }
}

/// How a resource goes that the manifest does not declare any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its removal is refused unless deletes are allowed.
    Removed,
    /// What the manifest asks for now takes its place, and it goes later, because it may still be in use: so many ms
    /// after the apply that took its place, and only while the new way delivers.
    Deferred { wait_ms: u64 },
    /// Nobody can get at it any more, so only its record goes. Holds why.
    Abandoned(&'static str),
}

/// One kind of resource.
pub trait Kind: Sync {
    /// The kind's name, also the address of its only (or first) resource.
    fn name(&self) -> &'static str;

    /// Its manifest sections.
    fn sections(&self) -> &'static [&'static Section];

    /// Path of the calls that its resources are of, with what varies in braces; empty where it has none.
    fn api_path(&self) -> &'static str;

    /// Which key of the manifest says a field of one of its resources, as the tables have it (`mfa_factor.otp` and
    /// `enabled`: `mfa.factors.otp`). `None`: the value follows from the stack itself.
    fn place(&self, _manifest: &Manifest, address: &str, field: &str) -> Option<String> {
        places::by_tables(self.name(), address, field)
    }

    /// The resources that the manifest declares.
    fn declare(&self, manifest: &Manifest) -> Vec<Resource>;

    /// Checks beyond single fields.
    fn check(&self, _manifest: &Manifest, _out: &mut Vec<Problem>) {}

    /// Reads that need nothing but the manifest, so that they leave together in the first trip.
    fn prefetch(&self, want: &Resource, manifest: &Manifest) -> Vec<Get>;

    /// Reads the tenant.
    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>>;

    /// The steps from observed to desired; empty when nothing is to be done. Pure.
    fn steps(&self, diff: &Diff<'_>) -> Vec<Step>;

    /// The steps that take the resource away, or put back what was there before. Pure.
    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step>;

    /// How the resource goes when the manifest no longer declares it.
    fn leaving(&self, _manifest: &Manifest) -> Leaving {
        Leaving::Removed
    }

    /// What stands against taking the resource away (and everything that hangs on it).
    fn removal_refusal(&self, _address: &str, _seen: &Seen, _entry: &Entry) -> Option<Finding> {
        None
    }

    /// Why the object has to stay as it is although it is ours, given the delivery path before the first and after every
    /// step: in words.
    fn stays(&self, _step: &Step, _before: &LoginPath, _after: &LoginPath) -> Option<(Level, String)> {
        None
    }

    /// What the observed state says about the delivery path.
    fn facts(&self, address: &str, seen: &Seen) -> Facts;

    /// Runs one step: at most one write.
    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>>;

    /// After an unknown outcome: reads what became of the step. `Some`: it took effect. `None`: it did not.
    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>>;

    /// Whether a step whose outcome is unknown may be repeated in the same run after a look found nothing. Not where it
    /// makes an object of which the API takes two: a list may lag for longer than a run looks.
    fn may_repeat(&self, step: &Step) -> bool {
        !step.creates
    }

    /// Whether an observed value may stay although it differs (a dependency that the manifest leaves floating).
    fn tolerates(&self, _field: &str, _desired: &Value, _observed: &Value) -> bool {
        false
    }

    /// Whether the API may take a field and never show it. Such a field is as it was sent last; in `attrs` it is
    /// [`Value::Unknown`] when a reply leaves it out.
    fn write_only(&self, _field: &str) -> bool {
        false
    }

    /// Whether a field is switched off by one step of ours and on again by a later one.
    fn in_between(&self, _field: &str) -> bool {
        false
    }

    /// Prefixes of map fields in which a name that only the tenant has is a difference.
    fn closed(&self, _desired: &Attrs) -> &'static [&'static str] {
        &[]
    }

    /// Scopes of the Management API that a step needs; empty for Twilio.
    fn scopes(&self, step: &Step) -> &'static [&'static str];

    /// What stands against the steps.
    fn refusals(&self, _diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        Vec::new()
    }

    /// What a person should know of the manifest alone at that time (ms since the Unix epoch): what no API can tell.
    fn notices(&self, _manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        Vec::new()
    }

    /// Values that destroy puts back, taken from the state before our first step; never a secret.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        seen.attrs
            .iter()
            .filter_map(|(field, value)| value.known().map(|json| (field.clone(), json.clone())))
            .collect()
    }
}

/// Every kind. Order of names carries no meaning; order of steps comes from their stage.
pub const KINDS: &[&dyn Kind] = &[
    &verify_service::VerifyService,
    &verify_rate_limit::VerifyRateLimit,
    &verify_messaging_configuration::VerifyMessagingConfiguration,
    &action::PHONE,
    &trigger_binding::PHONE_BINDING,
    &action::LEGACY,
    &trigger_binding::LEGACY_BINDING,
    &phone_provider::PhoneProvider,
    &settings::SELECTED_PROVIDER,
    &settings::LEGACY_TEMPLATES,
    &settings::UNIFIED_PHONE,
    &settings::MFA_FACTOR,
    &settings::MESSAGE_TYPES,
    &settings::MFA_POLICY,
    &settings::POST_LOGIN_FACTORS,
    &action::POST_LOGIN,
    &trigger_binding::POST_LOGIN_BINDING,
    &settings::UNIVERSAL_LOGIN,
    &settings::BRANDING,
    &settings::PHONE_PROTECTION,
    &phone_template::PhoneTemplate,
    &feedback_function::FeedbackFunction,
    &log_stream::LogStream,
    &attest::Attest,
];

/// What the manifest may refer to, by resource: `${verify_service.sid}`.
pub const OUTPUTS: &[(&str, &[&str])] = &[
    ("verify_service", &["sid"]),
    ("action", &["id"]),
    ("phone_provider", &["id"]),
    ("feedback_function", &["url"]),
    ("log_stream", &["id"]),
];

/// The sections that resources with outputs are made from, in the order in which they are made.
const MADE: &[(&str, &str)] = &[
    ("verify_service", "verify_service"),
    ("action", "action"),
    ("feedback.function", "feedback_function"),
    ("feedback.log_stream", "log_stream"),
    ("phone", "phone_provider"),
];

/// Whether a resource is made from that section or only after it, so that no value of the section can hold its outputs.
fn is_late(section: &str, resource: &str) -> bool {
    let at = MADE.iter().position(|(path, _)| *path == section);
    let made = MADE.iter().position(|(_, name)| *name == resource);
    at.zip(made).is_some_and(|(at, made)| made >= at)
}

/// The outputs that a value of a section may hold, as references name them.
pub fn outputs_for(section: &str) -> Vec<String> {
    let early = OUTPUTS.iter().filter(|(resource, _)| !is_late(section, resource));
    let names = |(resource, outputs): &(&str, &[&str])| -> Vec<String> {
        outputs.iter().map(|output| format!("{resource}.{output}")).collect()
    };
    early.flat_map(names).collect()
}

/// What the kinds have to say of a manifest, each and together.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    KINDS.iter().for_each(|kind| kind.check(manifest, out));
    let declared: Vec<Resource> = KINDS.iter().flat_map(|kind| kind.declare(manifest)).collect();
    if declared.is_empty() && manifest.section(attest::NAME).is_none() {
        let known = sections().into_iter().map(|section| section.path).filter(|path| !path.contains('.'));
        let problem = Problem::error(
            codes::MISSING_KEY,
            "stack",
            "the manifest manages nothing",
            "an apply only takes away what is on record, and that with --allow-delete",
            format!(
                "add what it is to manage, each part by itself: {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        );
        out.push(problem.warning());
    }
    let is_made = |name: &str| declared.iter().any(|resource| resource.address == name);
    for (section, attrs) in &manifest.sections {
        for (key, value) in attrs {
            let Value::Output(template) = value else { continue };
            let outputs = template.parts.iter().filter_map(|part| match part {
                Part::Output(output) => Some(output),
                Part::Text(_) => None,
            });
            // Of a Function its own check speaks.
            let is_absent = |output: &&OutputRef| {
                output.resource != feedback_function::NAME && !is_made(&output.resource)
            };
            out.extend(outputs.clone().filter(is_absent).map(|output| {
                Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{section}.{key}"),
                    format!("the reference {}.{} cannot be used", output.resource, output.output),
                    format!("this manifest makes no {}", output.resource),
                    "write the value out, or take it from a variable",
                )
            }));
            out.extend(outputs.filter(|output| is_late(section, &output.resource)).map(|output| {
                let name = format!("{}.{}", output.resource, output.output);
                let reason = match MADE.contains(&(section, &output.resource)) {
                    true => format!("{name} exists only once this was sent"),
                    false => format!("{name} comes from what is made later"),
                };
                Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{section}.{key}"),
                    format!("{} cannot hold ${{{name}}}", key.rsplit('.').next().unwrap_or(key)),
                    reason,
                    "write the value out, or take it from a variable",
                )
            }));
        }
    }
}

/// The kind of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// The sections of all kinds, each once, in order of their path.
pub fn sections() -> Vec<&'static Section> {
    let mut sections: Vec<&'static Section> =
        KINDS.iter().flat_map(|kind| kind.sections()).copied().collect();
    sections.sort_by_key(|section| section.path);
    sections.dedup_by_key(|section| section.path);
    sections
}

/// A text member of a JSON object, empty when absent or of another type.
pub fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The entries of a bare array. A reply of another shape is no empty list: believing it would make a second object
/// or miss the policy that locks users out.
pub(crate) fn array<'a>(reply: &'a Json, what: &str) -> Result<&'a [Json], Failed> {
    let items = reply.as_array().filter(|items| items.iter().all(Json::is_object));
    items.map(Vec::as_slice).ok_or_else(|| Failed::Misread(format!("{what}: not a list")))
}

/// Whether a text of a reply can be the id of an object: one segment of a path, and nothing that would lead to another.
pub(crate) fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"/?#%\\".contains(&byte);
    !text.is_empty() && text.bytes().all(fits) && !matches!(text, "." | "..")
}

/// So much of a wrong one is shown.
const ID_MAX_CHARS: usize = 80;

/// Where a reply tells the id of an object.
const IDS: [&str; 2] = ["/id", "/sid"];

/// The entries of a list, each with a text at every one of those pointers: what it is found by. One without is not an
/// entry of another name; passing it over would make ours a second time, or leave somebody else's out of a list that
/// is written whole.
pub(crate) fn entries<'a>(list: Option<&'a Json>, by: &[&str], what: &str) -> Result<&'a [Json], Failed> {
    let items = array(list.unwrap_or(&Json::Null), what)?;
    let has = |item: &Json, pointer: &str| {
        item.pointer(pointer).and_then(Json::as_str).is_some_and(|text| !text.is_empty())
    };
    if let Some(pointer) = by.iter().find(|pointer| !items.iter().all(|item| has(item, pointer))) {
        return Err(Failed::Misread(format!("{what}: an entry without {}", &pointer[1..])));
    }
    items.iter().try_for_each(|item| has_good_ids(item, what))?;
    Ok(items)
}

/// An id that is none would lead a later request to another object than the one that was shown.
pub(crate) fn has_good_ids(object: &Json, what: &str) -> Result<(), Failed> {
    let ids = IDS.iter().filter_map(|pointer| object.pointer(pointer)?.as_str());
    match ids.into_iter().find(|id| !is_id(id)) {
        None => Ok(()),
        Some(id) => Err(Failed::Misread(format!("{what}: {:?} is no id", line_of(id, ID_MAX_CHARS)))),
    }
}

/// An object that is not an error envelope in disguise.
pub(crate) fn object<'a>(reply: &'a Json, what: &str) -> Result<&'a Json, Failed> {
    let whole = reply.is_object() && !(reply.get("statusCode").is_some() && reply.get("message").is_some());
    if !whole {
        return Err(Failed::Misread(format!("{what}: not the object that was asked for")));
    }
    has_good_ids(reply, what)?;
    Ok(reply)
}

/// What was created, if the reply names it; else nobody knows what became of it.
pub(crate) fn named(seen: Seen, id: &str) -> Result<Seen, Failed> {
    if !seen.ids.get(id).is_some_and(|id| is_id(id)) {
        return Err(Failed::Unknown("the reply to a write does not name the object".into()));
    }
    Ok(seen)
}

/// The reply to a write that puts a former value back. `None`, and told: the tenant has moved on since (400, 409), and
/// what was there before us does not fit any more.
pub(crate) fn if_it_fits(
    reply: Result<Json, Failed>,
    address: &str,
    reader: &Reader,
) -> Result<Option<Json>, Failed> {
    match reply {
        Err(failed) if matches!(failed.status(), Some(400 | 409)) => {
            reader.tell(Event::notice(format!("{address}: the former value was not put back: {failed}")));
            Ok(None)
        }
        reply => reply.map(Some),
    }
}

/// A list of texts, sorted, as a set value.
pub(crate) fn set_of(json: Option<&Json>) -> Json {
    let mut items: Vec<&str> = json
        .and_then(Json::as_array)
        .map(|a| a.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    items.sort_unstable();
    items.dedup();
    Json::from(items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// With an id such as `A?x=1` for our object, its DELETE would be that of object A.
    #[test]
    fn an_id_that_leads_to_another_object_is_none() {
        let seen = |id: &str| Seen { ids: [("id".to_owned(), id.to_owned())].into(), ..Seen::default() };
        for good in ["lst_0000000000000001", "5c0f9a5b-0000-4000-8000-000000000000", "auth0|x", "pro_mY3L5"] {
            let object_of = json!({ "id": good });
            assert!(object(&object_of, "x").is_ok() && named(seen(good), "id").is_ok(), "{good}");
            assert!(entries(Some(&json!([object_of])), &["/id"], "x").is_ok(), "{good}");
        }
        for bad in ["a?b=c", "a#b", "a/b", "a/../b", "..", ".", "a%2fb", "a b", "a\\b", "a\r\nb", "\u{e9}"] {
            for member in ["id", "sid"] {
                let object_of = json!({ member: bad, "name": "x" });
                assert!(matches!(object(&object_of, "x"), Err(Failed::Misread(_))), "{bad:?}");
                let listed = json!([object_of]);
                assert!(
                    matches!(entries(Some(&listed), &["/name"], "x"), Err(Failed::Misread(_))),
                    "{bad:?}"
                );
            }
            assert!(matches!(named(seen(bad), "id"), Err(Failed::Unknown(_))), "{bad:?}");
        }
    }
}

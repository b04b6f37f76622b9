//! Explains the steps of a plan: where the manifest asks for each, what the tenant has, the request, what it waits for,
//! and why it stands where it stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value as Json;

use super::check::losses;
use super::desired::declared;
use super::rehearsal::{self, Request, Scene};
use super::render::{Paint, shown};
use crate::kinds;
use crate::manifest::{Source, position_of};
use crate::model::address::Address;
use crate::model::facts::Facts;
use crate::model::login_path::LoginPath;
use crate::model::plan::{Plan, Stage, Step};
use crate::model::text::line;
use crate::model::value::{Attrs, Part, Value};

/// All that is to be said of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub step: usize,
    pub address: Address,
    pub what: String,
    /// Where the manifest says it; empty if the manifest does not name the resource any more.
    pub said: Vec<Place>,
    /// The fields that differ, with the values that the tenant has and that the manifest wants. A secret has a word.
    pub fields: Vec<Field>,
    pub request: Option<Request>,
    /// Why the request cannot be shown.
    pub no_request: Option<String>,
    pub waits_for: Vec<Wait>,
    /// Why it stands at this place in the order.
    pub here: &'static str,
}

/// A place in the manifest. `is_written`: the key is there; else line and column are those of what it would stand in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub key: String,
    pub is_written: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    pub field: String,
    pub secret: bool,
    pub tenant: Option<Json>,
    pub manifest: Option<Json>,
}

/// An earlier step that has to be done first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    pub step: usize,
    pub why: String,
}

/// Explains every step. Sends nothing.
pub fn explain(scene: &Scene<'_>, source: &Source) -> Vec<Explanation> {
    let plan = scene.plan;
    let wanted: BTreeMap<Address, Attrs> = match plan.destroy || plan.rollback {
        true => BTreeMap::new(),
        false => declared(scene.manifest).into_iter().map(|want| (want.address, want.desired)).collect(),
    };
    let mut facts = Facts::new();
    for (address, seen) in scene.seen {
        facts
            .extend(kinds::by_name(address.kind()).map(|kind| kind.facts(address, seen)).unwrap_or_default());
    }
    let path = LoginPath::from(&facts);
    let requests = rehearsal::requests(scene);
    let explained = plan.steps.iter().zip(requests).map(|(step, request)| {
        let fields = fields(plan, step);
        let desired = wanted.get(&step.address);
        let (request, no_request) = match request {
            Ok(request) => (Some(request), None),
            Err(why) => (None, Some(why)),
        };
        Explanation {
            step: step.number,
            address: step.address.clone(),
            what: step.what.clone(),
            said: said(scene, source, step, &fields, desired),
            fields,
            request,
            no_request,
            waits_for: waits_for(plan, step, desired, &path),
            here: here(step.stage),
        }
    });
    explained.collect()
}

fn fields(plan: &Plan, step: &Step) -> Vec<Field> {
    let resource = plan.resources.iter().find(|resource| resource.address == step.address);
    let changes = resource.into_iter().flat_map(|resource| &resource.changes);
    changes
        .map(|change| Field {
            field: change.field.clone(),
            secret: change.secret,
            tenant: change.old.clone(),
            manifest: change.new.clone(),
        })
        .collect()
}

/// Where the manifest says the fields that differ; without any, where it names the resource first.
fn said(
    scene: &Scene<'_>,
    source: &Source,
    step: &Step,
    fields: &[Field],
    desired: Option<&Attrs>,
) -> Vec<Place> {
    let Some(desired) = desired else { return Vec::new() };
    let find = |field: &String| {
        let found = position_of(source, scene.manifest, &step.address, field)?;
        let (file, line, column) = (found.file, found.line, found.column);
        Some(Place { file, line, column, key: found.key, is_written: found.is_written })
    };
    let mut places: Vec<Place> = fields.iter().filter_map(|one| find(&one.field)).collect();
    if places.is_empty() {
        places.extend(desired.keys().filter_map(find).min_by_key(|place| (place.line, place.column)));
    }
    places.sort_by_key(|place| (place.line, place.column));
    places.dedup_by(|one, other| (one.line, one.column, &one.key) == (other.line, other.column, &other.key));
    places
}

/// The earlier steps without which the step could not be taken: those of its own resource, those that make what it
/// names, and those without which it would break a rule of law 1.
fn waits_for(plan: &Plan, step: &Step, desired: Option<&Attrs>, path: &LoginPath) -> Vec<Wait> {
    let mut named: Vec<(String, String)> = Vec::new();
    for value in desired.into_iter().flat_map(|desired| desired.values()) {
        if let Value::Output(template) = value {
            named.extend(template.parts.iter().filter_map(|part| match part {
                Part::Output(output) => Some((output.resource.clone(), output.output.clone())),
                Part::Text(_) => None,
            }));
        }
    }
    let known = losses(path, &plan.steps);
    let breaks = |without: &Step| {
        let steps: Vec<Step> =
            plan.steps.iter().filter(|other| other.number != without.number).cloned().collect();
        let lost = losses(path, &steps).into_iter().filter(|loss| loss.step == step.number);
        lost.into_iter().find(|loss| !known.iter().any(|one| one.step == loss.step && one.rule == loss.rule))
    };
    let earlier = plan.steps.iter().filter(|other| other.number < step.number);
    earlier
        .filter_map(|other| {
            let output =
                named.iter().find(|(resource, _)| other.address == resource.as_str() && other.creates);
            let why = if other.address == step.address {
                "it is of the same resource".to_owned()
            } else if let Some((resource, output)) = output {
                format!("it makes {resource}.{output}")
            } else {
                format!("otherwise {}", breaks(other)?.what)
            };
            Some(Wait { step: other.number, why })
        })
        .collect()
}

/// Why the steps of a stage stand where they stand, in words.
fn here(stage: Stage) -> &'static str {
    match stage {
        Stage::Offer => "another factor is offered before one is switched off or logins are asked again",
        Stage::LowerPolicy => "what asks for a factor less often comes before anything is taken away",
        Stage::UnbindRules => "logins are no longer asked before the factors change",
        Stage::HandBack => "Actions lose the right to decide after the Action that asked is unbound",
        Stage::Widen => "delivery methods come back before the message types that need them",
        Stage::NarrowTypes => "the API takes message types away only while the phone factor is on",
        Stage::SwitchOff => {
            "a factor goes after logins are asked for it less often, and before what it depends on"
        }
        Stage::Foundation => "everything else depends on the Verify service",
        Stage::Limits => "what the Action names at Verify exists before the Action does",
        Stage::Draft => "the draft is written early: its build goes on during the next steps",
        Stage::Feedback => "Verify hears which codes were used before logins use the Action",
        Stage::Deploy => "the Action is deployed after its build, and before anything is handed to it",
        Stage::Bind => "only a deployed Action can be bound",
        Stage::Provider => "the provider hands messages over after the Action can take them",
        Stage::Tenant => "a switch of the whole tenant comes after what delivers",
        Stage::SwitchOn => "users meet a factor after everything that delivers its codes is there",
        Stage::MessageTypes => "the types are chosen after the phone factor is on",
        Stage::DeployRules => "what asks for a factor comes after everything that delivers one",
        Stage::BindRules => "the Action with the rules is deployed before logins pass through it",
        Stage::RaisePolicy => "logins are asked more often only after every factor can be used",
        Stage::Narrow => "delivery methods go after the message types that needed them",
        Stage::RemoveFeedback => "feedback goes after nothing sends through Verify any more",
        Stage::RemoveFunction => "the receiver goes after the stream that sends to it",
        Stage::RemoveProvider => "the provider goes after the factor that needs it",
        Stage::Unbind => "the entry goes after nothing is handed to the Action any more",
        Stage::RemoveAction => "the API deletes an Action only after it is unbound",
        Stage::RemoveLimits => "limits go after the code that passes them",
        Stage::RemoveFoundation => "the Verify service goes after everything that uses it",
        Stage::SwitchBack => "the former phone factor comes back after its former sender works again",
        Stage::RaiseBack => {
            "a former policy that asks for more comes back after every factor on which it may depend"
        }
        Stage::Retire => {
            "a factor that leaves the phone alone goes after the last change to the phone's delivery"
        }
    }
}

/// The explanations as text.
pub fn text(explanations: &[Explanation], plan: &Plan, paint: Paint) -> String {
    let mut out = String::new();
    let of = plan.steps.len();
    for one in explanations {
        let head = format!("Step {} of {of}: {}: {}", one.step, one.address, one.what);
        let _ = writeln!(out, "\n{}", paint.bold(&line(&head)));
        match one.said.as_slice() {
            [] => {
                let _ = writeln!(out, "  manifest   it does not name this resource any more");
            }
            places => {
                for place in places {
                    let default = if place.is_written { "" } else { " (by default)" };
                    let at = format!("{}:{}:{}", place.file, place.line, place.column);
                    let _ = writeln!(out, "  {}", line(&format!("manifest   {at} {}{default}", place.key)));
                }
            }
        }
        for field in &one.fields {
            let (now, then) = match field.secret {
                true => (secret(&field.tenant), secret(&field.manifest)),
                false => (shown(field.tenant.as_ref()), shown(field.manifest.as_ref())),
            };
            let _ =
                writeln!(out, "  {}", line(&format!("tenant     {}: {now}, is to be {then}", field.field)));
        }
        if one.fields.is_empty() {
            let _ = writeln!(out, "  tenant     no field differs");
        }
        if let Some(request) = &one.request {
            let Request { method, host, path, .. } = request;
            let _ = writeln!(out, "  {}", line(&format!("request    {method} https://{host}{path}")));
            let body =
                request.body.as_ref().map(cut).and_then(|body| serde_json::to_string_pretty(&body).ok());
            for text in body.iter().flat_map(|body| body.lines()) {
                let _ = writeln!(out, "             {}", line(text));
            }
        }
        if let Some(why) = &one.no_request {
            let _ = writeln!(out, "  {}", line(&format!("request    cannot be shown: {why}")));
        }
        for wait in &one.waits_for {
            let _ = writeln!(out, "  {}", line(&format!("waits for  step {}: {}", wait.step, wait.why)));
        }
        if one.waits_for.is_empty() {
            let _ = writeln!(out, "  waits for  nothing");
        }
        let _ = writeln!(out, "  here       {}", one.here);
    }
    out
}

fn secret(value: &Option<Json>) -> String {
    value.as_ref().map_or("(absent)", |_| "<secret>").to_owned()
}

/// A body with its long texts cut, such as code.
fn cut(body: &Json) -> Json {
    match body {
        Json::String(_) => Json::String(shown(Some(body))),
        Json::Array(items) => Json::Array(items.iter().map(cut).collect()),
        Json::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), cut(value))).collect(),
        other => other.clone(),
    }
}

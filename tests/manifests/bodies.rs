//! Test that the plan is the truth. Every value in a write must be one of these: a value that the plan shows or that
//! its digest covers, an id from a reply, or one of the constants below with its reason.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use lockstep::engine::apply::Ended;
use lockstep::model::api::{ApiRequest, Method};
use lockstep::model::plan::Plan;
use lockstep::model::value::{Part, Value};
use lockstep::plan::desired::declared;
use lockstep::shell::in_process::{Handled, Simulator};
use serde_json::{Value as Json, json};

use super::{ALL, COMPLETE, bed};
use crate::support::listen;

/// Properties (their last part) with a value that is the same in every request, each with the reason.
const CONSTANTS: &[(&str, &str, &str)] = &[
    ("id", "custom-phone-provider", "the Action's trigger, which is what the kind is"),
    ("id", "send-phone-message", "the trigger of the legacy way"),
    ("id", "post-login", "the trigger of the rules"),
    ("version", "v1", "of the trigger"),
    ("version", "v2", "of the trigger"),
    ("version", "v3", "of the trigger"),
    ("type", "action_id", "how a binding refers to its Action"),
    ("type", "category", "the only type of a filter"),
    ("type", "http", "the only type of stream that there is a section for"),
    ("name", "custom", "the provider that calls an Action"),
    ("", "all-applications", "the API's word for the policy `always`"),
    ("IncludeCredentials", "false", "no account credentials in a Function"),
    ("KeyType", "restricted", "what a policy needs"),
    ("FriendlyName", "auth0-logs", "of the Function inside of its own service"),
];

#[derive(Clone)]
struct Leaf {
    request: String,
    property: String,
    value: String,
    /// An earlier reply had this value.
    told: bool,
    /// If the value is a URL whose host an earlier reply had (the Function's), its path, which comes from the manifest.
    path: Option<String>,
}

struct Tap {
    inner: Rc<RefCell<dyn Simulator>>,
    leaves: Rc<RefCell<Vec<Leaf>>>,
    /// Every text of every reply, and so all ids that the servers gave.
    told: BTreeSet<String>,
}

impl Simulator for Tap {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let own = request.path == "/oauth/token" || is_record(request) || is_lease(request);
        if request.method != Method::Get && !own {
            let told = |leaf: Leaf| {
                let parted = host_and_path(&leaf.value).filter(|(host, _)| self.told.contains(*host));
                let path = parted.map(|(_, path)| path.to_owned());
                Leaf { told: self.told.contains(&leaf.value), path, ..leaf }
            };
            self.leaves.borrow_mut().extend(leaves(request).into_iter().map(told));
        }
        let handled = self.inner.borrow_mut().handle(request, now_ms);
        if let lockstep::model::api::Answer::Reply(reply) = &handled.answer
            && let Ok(json) = serde_json::from_slice::<Json>(&reply.body)
        {
            scalars("", &json, &mut |_, value| {
                self.told.insert(value);
            });
        }
        handled
    }
}

fn is_record(request: &ApiRequest) -> bool {
    String::from_utf8_lossy(&request.body).contains("exports.ledger")
}

fn is_lease(request: &ApiRequest) -> bool {
    String::from_utf8_lossy(&request.body).contains("lockstep-lease-")
        || request.path.starts_with("/v1/Services/") && String::from_utf8_lossy(&request.body).contains("pid")
}

/// Every property of a body. A file of code is a multipart part of its own, and is compared whole.
fn leaves(request: &ApiRequest) -> Vec<Leaf> {
    let mut out = Vec::new();
    let mut put = |property: &str, value: String| {
        let request = format!("{} {}", request.method.as_str(), request.path);
        out.push(Leaf { request, property: property.to_owned(), value, told: false, path: None });
    };
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        let json: Json = serde_json::from_slice(&request.body).expect("JSON");
        scalars("", &json, &mut put);
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        for (name, value) in body.split('&').filter_map(|pair| pair.split_once('=')) {
            let (name, value) = (decoded(name), decoded(value));
            match serde_json::from_str(&value) {
                Ok(json @ (Json::Array(_) | Json::Object(_))) => scalars(&name, &json, &mut put),
                _ => put(&name, value),
            }
        }
    }
    out
}

fn scalars(path: &str, json: &Json, put: &mut dyn FnMut(&str, String)) {
    match json {
        Json::Object(map) => {
            map.iter().for_each(|(key, value)| scalars(&format!("{path}.{key}"), value, put))
        }
        Json::Array(items) => items.iter().for_each(|item| scalars(path, item, put)),
        Json::Null => {}
        Json::String(text) => put(path, text.clone()),
        other => put(path, other.to_string()),
    }
}

fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    rest.find('/').map(|at| rest.split_at(at))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let pair = [*high, *low];
                let digits = std::str::from_utf8(&pair).expect("digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// What the plan shows or its digest covers: values and names of fields.
fn planned(plan: &Plan, manifest: &lockstep::model::manifest::Manifest) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut put = |value: String| {
        known.insert(value);
    };
    for step in &plan.steps {
        scalars("", &json!(step.op), &mut |_, value| put(value));
    }
    for want in declared(manifest) {
        for (field, value) in &want.desired {
            put(field.clone());
            field.match_indices('.').for_each(|(at, _)| put(field[at + 1..].to_owned()));
            match value {
                Value::Known(json) => scalars("", json, &mut |_, value| put(value)),
                Value::Secret(secret) => put(secret.expose().to_owned()),
                Value::Output(template) => template.parts.iter().for_each(|part| {
                    if let Part::Text(text) = part {
                        put(text.clone());
                    }
                }),
                _ => {}
            }
        }
        want.address.as_str().split('.').for_each(|part| put(part.to_owned()));
    }
    known
}

fn is_generated(manifest: &lockstep::model::manifest::Manifest, leaf: &Leaf) -> bool {
    let drawn = declared(manifest)
        .iter()
        .any(|want| want.desired.values().any(|value| matches!(value, Value::Generated(_))));
    drawn && [".sink.httpAuthorization", "Value"].contains(&leaf.property.as_str()) && leaf.value.len() == 32
}

#[test]
fn every_property_of_every_write_is_in_the_plan() {
    let replaying =
        COMPLETE.replace("    # start_from: 2026-11-20T00:00:00Z ", "    start_from: 2026-11-20T00:00:00Z ");
    assert_ne!(replaying, COMPLETE);
    for (name, text) in ALL.into_iter().chain([("complete.yaml, replaying", replaying.as_str())]) {
        let all = Rc::new(RefCell::new(Vec::new()));
        let leaves = all.clone();
        listen(Some(Rc::new(move |inner| {
            Rc::new(RefCell::new(Tap { inner, leaves: leaves.clone(), told: BTreeSet::new() }))
        })));
        let mut bed = bed(text);
        let plan = bed.observe().plan;
        assert_eq!(bed.apply().ended, Ended::Done, "{name}");
        listen(None);
        let known = planned(&plan, &bed.manifest);
        let is_constant = |leaf: &Leaf| {
            let property = leaf.property.rsplit('.').next().unwrap_or_default();
            CONSTANTS.iter().any(|(of, value, _)| *of == property && *value == leaf.value)
        };
        let strange: Vec<String> = all
            .borrow()
            .iter()
            .filter(|leaf| !known.contains(&leaf.value) && !leaf.told)
            .filter(|leaf| leaf.path.as_ref().is_none_or(|path| !known.contains(path)))
            .filter(|leaf| !is_constant(leaf) && !is_generated(&bed.manifest, leaf))
            .map(|leaf| format!("{}: {} = {}", leaf.request, leaf.property, leaf.value))
            .collect();
        // A part of a stack sends little: the factors and the policy of policy.yaml are four properties.
        let few = if name == "policy.yaml" { 3 } else { 20 };
        assert!(all.borrow().len() > few, "{name}: {}", all.borrow().len());
        assert!(strange.is_empty(), "{name}: sent, and not in the plan: {strange:#?}");
    }
}

#[test]
fn what_is_sent_on_create_only_is_shown_and_in_the_digest() {
    let edits = [
        (
            "    # start_from: 2026-11-20T00:00:00Z ",
            "    start_from: 2026-11-20T00:00:00Z ",
            "2026-11-20T00:00:00Z",
        ),
        ("unique_name: acme-feedback ", "unique_name: acme-receiver ", "acme-receiver"),
        ("second factor, position: last", "second factor, position: first", "position"),
    ];
    let base = bed(COMPLETE).observe().plan;
    for (from, to, shown) in edits {
        let text = COMPLETE.replace(from, to);
        assert_ne!(text, COMPLETE, "{from}");
        let plan = bed(&text).observe().plan;
        assert_ne!(plan.basis, base.basis, "{shown}");
        let drawn = lockstep::plan::render::plan(&plan, lockstep::plan::render::Paint(false));
        let json = serde_json::to_string(&plan.steps).expect("JSON");
        assert!(json.contains(shown) && (shown == "position" || drawn.contains(shown)), "{drawn}");
    }
}

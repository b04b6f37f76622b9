//! Goes through the steps of a plan without sending anything, to show the request of each.
//!
//! Each step runs as in an apply. What was read for the plan answers its reads, its checks right before the write are left
//! out, and its write is caught. The steps behind it see a made-up reply. No secret takes part: a made-up text stands for
//! each, and for each id that does not exist yet, and a word in its place is shown.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::accept;
use super::desired::declared;
use super::{made_up, rollback};
use crate::kinds::{self, Run, Seen};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Write};
use crate::model::ledger::Ledger;
use crate::model::manifest::Manifest;
use crate::model::plan::{Plan, Step, Verb};
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, Ids, Part, Template, Value};
use crate::plan::compare::Known;
use crate::port::{Call, Port, Replies};

/// Most polls of one step: a step sends one write and waits for nothing.
const POLLS_MAX: usize = 1_000;

/// What a rehearsal starts from.
pub struct Scene<'a> {
    pub plan: &'a Plan,
    pub manifest: &'a Manifest,
    pub seen: &'a BTreeMap<Address, Seen>,
    pub ledger: Option<&'a Ledger>,
    pub replies: Replies,
}

/// The request of a step, with a word in place of each secret and of each value that only an apply knows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    pub method: &'static str,
    pub host: String,
    pub path: String,
    /// How the body is encoded; `None` without a body.
    pub encoding: Option<&'static str>,
    pub body: Option<Json>,
}

/// The requests of the steps, in their order; or why one cannot be shown.
pub fn requests(scene: &Scene<'_>) -> Vec<Result<Request, String>> {
    let mut mask = Mask::default();
    let manifest = mask.manifest(scene.manifest);
    let mut seen: BTreeMap<Address, Seen> = scene
        .seen
        .iter()
        .map(|(address, seen)| {
            let attrs = mask.attrs(&seen.attrs);
            (address.clone(), Seen { attrs, ..seen.clone() })
        })
        .collect();
    let mut replies: Replies = scene
        .replies
        .iter()
        .map(|(get, reply)| {
            let reply = reply.clone().map(|json| Rc::new(mask.reply(&json, "")));
            (get.clone(), reply)
        })
        .collect();
    let mut wanted = if scene.plan.destroy { Vec::new() } else { declared(&manifest) };
    accept::leave_all(&mut wanted, scene.plan, &seen);
    let wanted: BTreeMap<Address, Attrs> =
        wanted.into_iter().map(|want| (want.address, mask.wanted(want.desired))).collect();
    let mut out = Vec::new();
    for step in &scene.plan.steps {
        let ids = known_ids(&seen, &mut mask);
        let nothing = Attrs::new();
        let desired = wanted.get(&step.address).unwrap_or(&nothing);
        let desired = Known { ids: ids.clone(), ..Known::default() }.fill(desired);
        let there = seen.get(&step.address).cloned().unwrap_or_default();
        let desired = match scene.plan.rollback {
            true => rollback::wanted(desired, &step.address, Some(&there), &scene.plan.steps),
            false => desired,
        };
        let run = Run {
            address: &step.address,
            step,
            desired: &desired,
            seen: &there,
            entry: scene.ledger.and_then(|ledger| ledger.resources.get(&step.address)),
            ids: &ids,
            manifest: &manifest,
            intent: scene.ledger.and_then(|ledger| ledger.intent.as_ref()),
        };
        let caught = rehearse(run, step, &mut replies, &mut mask);
        let after = caught.after.unwrap_or_else(|| without_reply(there, step, caught.made));
        seen.insert(step.address.clone(), after);
        out.push(match caught.write {
            Some(write) => Ok(mask.shown(&write, &scene.plan.tenant)),
            None => Err(caught.why),
        });
    }
    out
}

/// What became of one step.
#[derive(Default)]
struct Caught {
    write: Option<Write>,
    /// The resource afterwards, if the step could go on after its write.
    after: Option<Seen>,
    /// The made-up id, and what it is called.
    made: Option<(&'static str, String)>,
    /// Why there is no write.
    why: String,
}

fn rehearse(run: Run<'_>, step: &Step, replies: &mut Replies, mask: &mut Mask) -> Caught {
    let Some(kind) = kinds::by_name(&step.kind) else { return Caught::default() };
    let mut out = Caught::default();
    let port = Port::rehearsing(Rc::new(replies.clone()));
    let mut writer = port.writer();
    let mut running = kind.run(run, &mut writer);
    for _ in 0..POLLS_MAX {
        port.begin_poll(0, false);
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(done)) => {
                out.after = Some(Seen { notes: done.notes, ..done.seen });
                out.why = "it sends nothing: what it is to do is done already".into();
                return out;
            }
            Poll::Ready(Err(failed)) => {
                out.why = format!("it depends on what an apply reads right before: {failed}");
                return out;
            }
            Poll::Pending => {}
        }
        for (id, call) in port.take_calls() {
            let answer = match call {
                Call::Write(write, _) if out.write.is_none() => {
                    let made = made_up::reply(&write, there(replies, &write), mask.made);
                    mask.made += 1;
                    mask.learn(&made.id, &format!("<{}.{}>", step.address, made.name));
                    keep(replies, &write, &made.reply, &made.id);
                    out.made = Some((made.name, made.id));
                    out.write = Some(write);
                    Ok(made.reply)
                }
                _ => Err(Failed::NotDone("a rehearsal sends nothing".into())),
            };
            port.deliver(id, answer);
        }
    }
    out.why = "it waits for something that only an apply brings about".into();
    out
}

/// What is known of the object that a write changes.
fn there<'a>(replies: &'a Replies, write: &Write) -> Option<&'a Json> {
    let reply = replies.get(&Get::whole(write.api, write.path.clone()))?;
    reply.as_ref().ok().map(|reply| &**reply)
}

/// Keeps the made-up reply for the reads of later steps.
fn keep(replies: &mut Replies, write: &Write, reply: &Json, id: &str) {
    let path = match write.method {
        Method::Post if write.api == Api::Auth0 => format!("{}/{id}", write.path),
        _ => write.path.clone(),
    };
    replies.insert(Get::whole(write.api, path), Ok(Rc::new(reply.clone())));
}

/// The resource after a step that could not go on after its write.
fn without_reply(there: Seen, step: &Step, made: Option<(&'static str, String)>) -> Seen {
    if step.verb == Verb::Delete {
        return Seen::default();
    }
    let mut seen = Seen { exists: true, ..there };
    if let Some((name, id)) = made.filter(|_| step.creates) {
        seen.ids.entry(name.to_owned()).or_insert(id);
    }
    seen
}

/// The ids of every resource, with a made-up text for each output that does not exist yet.
fn known_ids(seen: &BTreeMap<Address, Seen>, mask: &mut Mask) -> BTreeMap<Address, Ids> {
    let mut ids: BTreeMap<Address, Ids> =
        seen.iter().map(|(address, seen)| (address.clone(), seen.ids.clone())).collect();
    for (resource, outputs) in kinds::OUTPUTS {
        let known = ids.entry(Address::from(*resource)).or_default();
        for output in *outputs {
            let is_there = known.get(*output).is_some_and(|id| !id.is_empty());
            if !is_there {
                known.insert((*output).to_owned(), mask.stand_in(&format!("<{resource}.{output}>")));
            }
        }
    }
    ids
}

/// Made-up texts, and the word that is shown for each.
#[derive(Default)]
struct Mask {
    /// The made-up text for each secret.
    secrets: BTreeMap<String, String>,
    /// Made-up text and word. The longest text comes first.
    words: Vec<(String, String)>,
    /// Number of made-up replies.
    made: usize,
}

impl Mask {
    fn learn(&mut self, text: &str, word: &str) {
        if !self.words.iter().any(|(known, _)| known == text) {
            self.words.push((text.to_owned(), word.to_owned()));
            self.words.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
    }

    /// The made-up text for a word.
    fn stand_in(&mut self, word: &str) -> String {
        if let Some((text, _)) = self.words.iter().find(|(_, known)| known == word && word != SECRET) {
            return text.clone();
        }
        let text = format!("stands-in-{:05}-x", self.words.len());
        self.learn(&text, word);
        text
    }

    fn secret(&mut self, secret: &Secret) -> Secret {
        Secret::new(self.hidden(secret.expose()), Origin::Person)
    }

    /// The made-up text for a secret: equal ones have the same, because kinds compare them.
    fn hidden(&mut self, value: &str) -> String {
        if let Some(known) = self.secrets.get(value) {
            return known.clone();
        }
        let text = self.stand_in(SECRET);
        self.secrets.insert(value.to_owned(), text.clone());
        text
    }

    fn attrs(&mut self, attrs: &Attrs) -> Attrs {
        let hide = |(field, value): (&String, &Value)| match value {
            Value::Secret(secret) => (field.clone(), Value::Secret(self.secret(secret))),
            other => (field.clone(), other.clone()),
        };
        attrs.iter().map(hide).collect()
    }

    fn manifest(&mut self, manifest: &Manifest) -> Manifest {
        let sections = manifest.sections.iter().map(|(name, attrs)| (name.clone(), self.attrs(attrs)));
        Manifest { stack: manifest.stack.clone(), sections: sections.collect() }
    }

    /// Wanted values without what an apply would make: a secret with an output of another resource shows its reference.
    fn wanted(&mut self, desired: Attrs) -> Attrs {
        let known = |(field, value)| {
            let value = match value {
                Value::Generated(ref name) => Some(format!("<generated.{name}>")),
                Value::Minted(ref name) => Some(format!("<minted.{name}.secret>")),
                Value::Output(Template { ref parts, secret: true }) => Some(parts.iter().map(part).collect()),
                Value::Unknown(ref name) => Some(format!("<unknown: {name}>")),
                _ => None,
            }
            .map_or(value, |word| Value::Secret(Secret::new(self.stand_in(&word), Origin::Person)));
            (field, value)
        };
        desired.into_iter().map(known).collect()
    }

    /// A reply without the secrets that it shows.
    fn reply(&mut self, json: &Json, key: &str) -> Json {
        match json {
            Json::String(text)
                if self.secrets.contains_key(text)
                    || matches!(key, "value" | "httpAuthorization" | "auth_token") =>
            {
                json!(self.hidden(text))
            }
            Json::Array(items) => Json::Array(items.iter().map(|item| self.reply(item, key)).collect()),
            Json::Object(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), self.reply(value, key))).collect()
            }
            other => other.clone(),
        }
    }

    fn shown(&self, write: &Write, tenant: &str) -> Request {
        let (encoding, body) = match &write.body {
            Body::None => (None, None),
            Body::Json(json) => (Some("json"), Some(json.clone())),
            Body::Form(pairs) => {
                (Some("form"), Some(listed(pairs.iter().map(|(name, value)| (&**name, value)))))
            }
            Body::Multipart(parts) => {
                (Some("multipart"), Some(listed(parts.iter().map(|part| (part.name, &part.content)))))
            }
        };
        Request {
            method: write.method.as_str(),
            host: write.api.fixed_host().map_or_else(|| tenant.to_owned(), str::to_owned),
            path: self.text(&write.path),
            encoding,
            body: body.map(|body| self.json(&body)),
        }
    }

    fn text(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (made_up, word)| text.replace(made_up.as_str(), word))
    }

    fn json(&self, json: &Json) -> Json {
        match json {
            Json::String(text) => json!(self.text(text)),
            Json::Array(items) => Json::Array(items.iter().map(|item| self.json(item)).collect()),
            Json::Object(entries) => {
                entries.iter().map(|(key, value)| (self.text(key), self.json(value))).collect()
            }
            other => other.clone(),
        }
    }
}

/// Shown in place of a secret.
const SECRET: &str = "<secret>";

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => text.clone(),
        Part::Output(output) => format!("<{}.{}>", output.resource, output.output),
    }
}

/// Names and values; a name that is sent several times has a list.
fn listed<'a>(pairs: impl Iterator<Item = (&'a str, &'a String)>) -> Json {
    let mut out: Map<String, Json> = Map::new();
    for (name, value) in pairs {
        match out.get_mut(name) {
            Some(Json::Array(values)) => values.push(json!(value)),
            Some(one) => *one = json!([one.take(), value]),
            None => drop(out.insert(name.to_owned(), json!(value))),
        }
    }
    Json::Object(out)
}

//! Sends a recording's requests to a fresh twin, one after the other, and compares the answers.
//!
//! The twin gives its own ids. Where its reply has one in the place of a recorded id, the two belong together, and the
//! recorded id is replaced in every later path and body. The clock follows the time stamps of the recording.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::twin::{Flag, Options, Rate, Twin};
use serde_json::{Value, json};

use super::compare::{Difference, compare};
use super::load::Exchange;
use super::seed::{self, Seeds};

const DOMAIN: &str = "acme-dev.eu.auth0.com";
/// Start of the clock if a recording has no time stamp at all.
const BEGIN_MS: i64 = 1_780_000_000_000;
const STEP_MS: i64 = 1_000;

/// The result of one exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `None`: the request could not be sent, which the difference explains.
    pub status: Option<u16>,
    pub differences: Vec<Difference>,
    /// Whether the recorded reply was the source of something that was put into the world before.
    pub seeded: bool,
}

impl Outcome {
    /// Whether status and shape are as recorded.
    pub fn matches(&self) -> bool {
        !self.differences.iter().any(|difference| difference.of_shape)
    }

    /// Whether all values are as recorded too, except ids and times.
    pub fn equals(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Replays one recording. One outcome per exchange, in order.
pub fn replay(exchanges: &[Exchange]) -> Vec<Outcome> {
    let mut options = Options { rate: Rate::Unlimited, unified_flag: Flag::On, ..Options::default() };
    seed::answer_open_questions(exchanges, &mut options);
    let mut twin = Twin::new(options, 1);
    let times = clock(exchanges);
    let mut seeds = Seeds::new(exchanges);
    seeds.begin(twin.tenant_mut(DOMAIN));
    let mut ids = Ids::default();
    let mut token = None;
    let mut outcomes = Vec::new();
    for (index, exchange) in exchanges.iter().enumerate() {
        let now_ms = times[index];
        seeds.before(index, twin.tenant_mut(DOMAIN), &|id| ids.twins.contains_key(id));
        let bearer = token.get_or_insert_with(|| log_in(&mut twin, now_ms)).clone();
        let outcome = match exchange.method {
            None => refused(&format!("{} is no method of this API", exchange.method_text)),
            Some(method) => {
                let request = request(method, exchange, &ids, &bearer);
                match twin.handle(&request, now_ms).answer {
                    Answer::Reply(reply) => {
                        let body = match reply.body.as_slice() {
                            [] => Value::Null,
                            bytes => serde_json::from_slice(bytes).unwrap_or_else(|_| {
                                Value::String(String::from_utf8_lossy(bytes).into_owned())
                            }),
                        };
                        answered(exchange, reply.status, &body, &mut ids)
                    }
                    other => refused(&format!("{other:?}")),
                }
            }
        };
        seeds.after(index, twin.tenant_mut(DOMAIN));
        outcomes.push(outcome);
    }
    for index in &seeds.sources {
        outcomes[*index].seeded = true;
    }
    outcomes
}

fn refused(what: &str) -> Outcome {
    let difference = Difference { at: "request".into(), what: what.to_owned(), of_shape: true };
    Outcome { status: None, differences: vec![difference], seeded: false }
}

fn answered(exchange: &Exchange, status: u16, body: &Value, ids: &mut Ids) -> Outcome {
    if status != exchange.status {
        let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
        let what = format!("{} was recorded, the twin answers {status} {message}", exchange.status);
        let difference = Difference { at: "status".into(), what: what.trim_end().to_owned(), of_shape: true };
        return Outcome { status: Some(status), differences: vec![difference], seeded: false };
    }
    if exchange.succeeded() {
        ids.learn(&exchange.reply, body, "");
    }
    let differences = compare(&exchange.reply, body, &|recorded, twin| ids.is_same(recorded, twin));
    Outcome { status: Some(status), differences, seeded: false }
}

fn log_in(twin: &mut Twin, now_ms: u64) -> String {
    let body = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "made-up",
        "audience": format!("https://{DOMAIN}/api/v2/")});
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let request = ApiRequest {
        host: DOMAIN.into(),
        method: Method::Post,
        path: "/oauth/token".into(),
        headers,
        body: body.to_string().into_bytes(),
    };
    let Answer::Reply(reply) = twin.handle(&request, now_ms).answer else { return String::new() };
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["access_token"].as_str().unwrap_or_default().to_owned()
}

fn request(method: Method, exchange: &Exchange, ids: &Ids, bearer: &str) -> ApiRequest {
    let mut headers = vec![("authorization".to_owned(), format!("Bearer {bearer}"))];
    let body = match &exchange.sent {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        json => ids.in_body(json).to_string().into_bytes(),
    };
    if !body.is_empty() {
        headers.push(("content-type".into(), "application/json".into()));
    }
    ApiRequest { host: DOMAIN.into(), method, path: ids.in_text(&exchange.path), headers, body }
}

/// The ids of the twin, by the recorded id that each stands for.
#[derive(Default)]
struct Ids {
    twins: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Ids {
    fn is_same(&self, recorded: &str, twin: &str) -> bool {
        self.twins.get(recorded).is_some_and(|known| known == twin)
    }

    /// Walks both bodies side by side and pairs their ids. Equal ids were put in before and need no entry.
    fn learn(&mut self, recorded: &Value, twin: &Value, key: &str) {
        match (recorded, twin) {
            (Value::Object(one), Value::Object(two)) => {
                for (key, value) in one {
                    if let Some(other) = two.get(key) {
                        self.learn(value, other, key);
                    }
                }
            }
            (Value::Array(one), Value::Array(two)) => {
                // Items with a known id are paired already; the others are paired in their order.
                let known = |item: &&Value| {
                    let id = item.get("id").or_else(|| item.get("client_id")).and_then(Value::as_str);
                    id.is_some_and(|id| {
                        self.twins.contains_key(id)
                            || self.taken.contains(id)
                            || (has_id(one, id) && has_id(two, id))
                    })
                };
                let left: Vec<&Value> = one.iter().filter(|item| !known(item)).collect();
                let right: Vec<&Value> = two.iter().filter(|item| !known(item)).collect();
                for (value, other) in left.into_iter().zip(right) {
                    self.learn(value, other, key);
                }
            }
            (Value::String(one), Value::String(two))
                if one != two && is_id_key(key) && !self.twins.contains_key(one) && one.len() >= 8 =>
            {
                self.twins.insert(one.clone(), two.clone());
                self.taken.insert(two.clone());
            }
            _ => {}
        }
    }

    fn in_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, twin) in &self.twins {
            if text.contains(recorded.as_str()) {
                text = text.replace(recorded.as_str(), twin);
            }
        }
        text
    }

    fn in_body(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.in_text(text)),
            Value::Array(list) => list.iter().map(|item| self.in_body(item)).collect(),
            Value::Object(map) => {
                map.iter().map(|(key, item)| (self.in_text(key), self.in_body(item))).collect()
            }
            other => other.clone(),
        }
    }
}

fn has_id(list: &[Value], id: &str) -> bool {
    list.iter()
        .any(|item| item.get("id").or_else(|| item.get("client_id")).and_then(Value::as_str) == Some(id))
}

fn is_id_key(key: &str) -> bool {
    key == "id" || key.ends_with("_id")
}

/// The time of each exchange (Unix ms): the newest time stamp in the replies to writes, with even steps between two of
/// those. It never goes back.
fn clock(exchanges: &[Exchange]) -> Vec<u64> {
    let mut anchors: Vec<(usize, i64)> = Vec::new();
    for (index, exchange) in exchanges.iter().enumerate() {
        let stamp = if exchange.writes() && exchange.succeeded() { newest(&exchange.reply) } else { None };
        let step = |last: &(usize, i64)| (index - last.0) as i64;
        match (stamp, anchors.last()) {
            (Some(stamp), Some(last)) if stamp > last.1 && stamp - last.1 < 3_600_000 * step(last) => {
                anchors.push((index, stamp));
            }
            (Some(stamp), None) => anchors.push((index, stamp)),
            _ => {}
        }
    }
    let Some(first) = anchors.first().copied() else {
        return (0..exchanges.len() as i64).map(|index| (BEGIN_MS + index * STEP_MS) as u64).collect();
    };
    let at = |index: usize| -> i64 {
        let after = anchors.iter().position(|(anchor, _)| *anchor >= index);
        match after {
            Some(0) => first.1 - (first.0 - index) as i64 * STEP_MS,
            Some(next) => {
                let ((low, from), (high, to)) = (anchors[next - 1], anchors[next]);
                from + (to - from) * (index - low) as i64 / (high - low) as i64
            }
            None => {
                let (last, from) = anchors[anchors.len() - 1];
                from + (index - last) as i64 * STEP_MS
            }
        }
    };
    (0..exchanges.len()).map(|index| at(index).max(0) as u64).collect()
}

/// The newest `created_at` or `updated_at` of an object and of the objects directly in it.
fn newest(body: &Value) -> Option<i64> {
    let of = |value: &Value| {
        let stamps = ["created_at", "updated_at"].iter().filter_map(|key| value.get(key)?.as_str());
        stamps.filter_map(|text| text.parse::<jiff::Timestamp>().ok()).map(|at| at.as_millisecond()).max()
    };
    let inner = body.as_object().into_iter().flat_map(|map| map.values());
    inner
        .flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
        .filter_map(of)
        .chain(of(body))
        .max()
}

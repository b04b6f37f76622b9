//! The log stream that tells the receiver which codes were used. The receiver passes this on to Verify, and Verify's
//! Fraud Guard needs it.
//!
//! Pitfalls of the API: the category of the success event is `other`; a masked phone number makes the feedback useless;
//! a PATCH without `pii_config` deletes it; `status` cannot be set on create; `authorization` can be read.
//!
//! Further streams (`further_streams`) are written the same way and carry no feedback.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::identity::{self, Candidate, Meant};
use super::remote::streams::{PATH, list_streams};
use super::said::streams::{self, NAME, SECTION_PATH};
use super::said::{function, passwordless};
use super::stream_act::{Act, feedback};
use super::{
    Back, Diff, Done, Hint, Kind, Resource, Run, Seen, Task, WayBack, entries_with, further_streams,
    require_id, set_of, step, stream_endpoint, stream_restore, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::ledger::{Entry, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::secret::{Origin, Secret};
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct LogStream;

/// The danger of a step that pauses the stream of the feedback.
const PAUSED: &str =
    "no feedback reaches Verify while the stream is paused, and five sends in ten minutes lock a number out";

static SECTIONS: &[&Section] = &[&passwordless::SECTION, &streams::SECTION, &streams::FURTHER];

impl Kind for LogStream {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        PATH
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let further = further_streams::declare(manifest);
        let Some(attrs) = manifest.section(SECTION_PATH) else { return further };
        let mut desired = attrs.clone();
        desired.remove("start_from");
        desired
            .entry("filters".into())
            .or_insert_with(|| Value::Known(json!(passwordless::default_filters(manifest))));
        desired.entry("name".into()).or_insert_with(|| Value::text(default_name(&manifest.stack)));
        if manifest.section(function::SECTION_PATH).is_some() {
            desired.entry("endpoint".into()).or_insert_with(function_url);
        }
        [vec![Resource { address: Address::of(NAME), kind: NAME, desired }], further].concat()
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        passwordless::check(manifest, out);
        if manifest.section(SECTION_PATH).is_none() {
            return further_streams::check(manifest, None, out);
        }
        let name = match manifest.get(SECTION_PATH, "name") {
            Some(name) => name.as_str().map(str::to_owned),
            None => Some(default_name(&manifest.stack)),
        };
        further_streams::check(manifest, name.as_deref(), out);
        let at = |key: &str| format!("{SECTION_PATH}.{key}");
        let function = manifest.section(function::SECTION_PATH).is_some();
        if !function && manifest.get(SECTION_PATH, "endpoint").is_none() {
            out.push(Problem::error(
                codes::MISSING_KEY,
                SECTION_PATH,
                "the stream has no endpoint",
                "neither endpoint nor feedback.function is set",
                "add feedback.function, or endpoint: with the URL of a receiver",
            ));
        }
        stream_endpoint::check(manifest, function, out);
        if manifest.set(SECTION_PATH, "pii_config.log_fields").iter().any(|field| field == "phone") {
            out.push(Problem::error(
                codes::UNSAFE,
                at("pii_config.log_fields"),
                "a masked phone number makes the feedback useless",
                "the receiver could not tell Verify whose code was used",
                "remove `phone` from the list",
            ));
        }
        if manifest.text(SECTION_PATH, "content_format") == Some("JSONLINES") {
            out.push(Problem::error(
                codes::UNSAFE,
                at("content_format"),
                "the receiver cannot read JSON lines",
                "a body of two lines is not JSON, so batches would be lost",
                "use JSONARRAY",
            ));
        }
        let content_type = manifest.text(SECTION_PATH, "content_type").unwrap_or_default();
        if !content_type.trim_start().starts_with("application/json") {
            out.push(Problem::error(
                codes::UNSAFE,
                at("content_type"),
                "the receiver would see an empty body",
                format!("a Twilio Function parses application/json, not {content_type:?}"),
                "use application/json",
            ));
        }
        let filters = manifest.set(SECTION_PATH, "filters");
        further_streams::unknown_filters(&at("filters"), &filters, out);
        if manifest.get(SECTION_PATH, "is_priority") == Some(&Value::Known(json!(true))) {
            out.push(Problem::error(
                codes::UNSAFE,
                at("is_priority"),
                "a prioritized stream does not carry the feedback events",
                "it carries security events only",
                "remove this line",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![list_streams()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let reply = reader.get(&list_streams()).await?;
            let streams = entries_with(Some(&reply), &["/id"], "GET /api/v2/log-streams")?;
            let clues = hint.clues("id", "name");
            // The stream on record is found by its id alone. A reply that leaves out its type must not lead to a second
            // stream.
            let is_on_record = |id: &str| clues.recorded == Some(id);
            let candidate = |stream| Candidate {
                id: text(stream, "id"),
                name: text(stream, "name"),
                matches: text(stream, "type") == "http" || is_on_record(text(stream, "id")),
            };
            let candidates: Vec<_> = streams.iter().map(candidate).collect();
            let name = clues.name;
            let those = match identity::meant(&clues, &candidates) {
                Meant::One(at, whose) => {
                    let mut seen = with_warnings(parse(&streams[at]), hint.address);
                    seen.whose = whose;
                    let endpoint =
                        hint.want.and_then(|want| want.desired.get("endpoint")).and_then(Value::as_str);
                    let there = seen.attrs.get("endpoint").and_then(Value::as_str);
                    if whose.needs_consent() && endpoint.is_some() && endpoint != there {
                        let id = candidates[at].id;
                        let text = format!("a log stream named {name:?} ({id}) sends to another endpoint");
                        let help = "it may be somebody else's: rename it, or give the stream in the manifest another name";
                        seen.finding(codes::NAME_TAKEN, hint.address, Level::Blocker, text, help);
                    }
                    return Ok(seen);
                }
                Meant::Ambiguous(those) => those,
                Meant::Absent => Vec::new(),
            };
            // The ids of all streams, whatever their names: if this run does not finish, the manifest of the next run
            // may have another name for the stream.
            let beside = candidates.iter().map(|one| one.id.to_owned()).collect();
            let mut seen = Seen { beside, ..Seen::default() };
            if !those.is_empty() {
                let ids: Vec<&str> = those.iter().map(|at| candidates[*at].id).collect();
                seen.finding(
                    codes::SEVERAL_FIT,
                    hint.address,
                    Level::Blocker,
                    format!("{} log streams are named {name:?}: {}", ids.len(), ids.join(", ")),
                    "delete or rename all but the right one",
                );
            }
            Ok(seen)
        })
    }

    fn notices(&self, manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        passwordless::notice(manifest).into_iter().collect()
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let paused = diff.want.desired.get("status").and_then(Value::as_str) == Some("paused");
        let endpoint = match diff.want.desired.get("endpoint") {
            Some(Value::Output(_)) => Some(function::URL_TO_COME),
            Some(value) => value.as_str(),
            None => None,
        };
        let effects = |status: &str| feedback(diff.address, status, endpoint);
        if !diff.seen.exists {
            // `start_from` is sent on create only and never read back, so it is not compared as a field.
            let start = further_streams::start_from(diff.manifest, diff.address);
            let op = Op::of(Act::Create { start_from: start.map(str::to_owned) });
            let mut create = diff.step(Verb::Create, Stage::Feedback, "create the stream", op);
            create.creates = true;
            create.reason = "it does not exist".into();
            if let Some(start) = start {
                create.reason += &format!("; it replays events from {start} on");
            }
            create.effects = effects("active");
            let mut steps = vec![create];
            if paused {
                let op = Op::of(Act::Status);
                let mut pause = diff.step(Verb::Update, Stage::RemoveFeedback, "pause the stream", op);
                pause.reason = "a status cannot be given on create".into();
                pause.effects = effects("paused");
                pause.danger = (diff.address == NAME).then(|| PAUSED.into());
                steps.push(pause);
            }
            return steps;
        }
        if diff.changes.is_empty() {
            return Vec::new();
        }
        let only_status = diff.changes.iter().all(|change| change.field == "status");
        let (what, act) = match only_status {
            true => ("set the status", Act::Status),
            false => ("update the stream", Act::Update),
        };
        let mut step = diff.step(Verb::Update, Stage::Feedback, what, Op::of(act));
        step.reason = match diff.seen.attrs.get("status").and_then(Value::as_str) {
            Some("suspended") => "Auth0 suspended it because delivery kept failing".into(),
            _ => diff.changed_names(),
        };
        if paused && diff.address == NAME {
            step.danger = Some(PAUSED.into());
        }
        let status = diff.want.desired.get("status").and_then(Value::as_str);
        let status =
            status.or_else(|| diff.seen.attrs.get("status").and_then(Value::as_str)).unwrap_or("active");
        step.effects = effects(status);
        vec![step]
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        if entry.ownership == Ownership::Adopted {
            return stream_restore::put_back(address, seen, entry).into_iter().collect();
        }
        let op = Op::of(Act::Delete);
        let mut step = step(address, NAME, Verb::Delete, Stage::RemoveFeedback, "delete the stream", op);
        step.reason = "it was created by this stack".into();
        step.effects = feedback(address, "absent", None);
        vec![step]
    }

    /// A list that was empty reads as absent, and only Auth0 may set `suspended`.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        for (field, was) in &mut entry.restore {
            if was.is_null() && (field == "filters" || field.starts_with("pii_config.")) {
                *was = json!([]);
            }
        }
        entry.restore.retain(|field, was| field != "status" || *was != "suspended");
        WayBack { steps: self.removal(back.address, back.seen, &entry), ..WayBack::default() }
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match step.verb {
            Verb::Create => &["create:log_streams"],
            Verb::Delete => &["delete:log_streams"],
            _ => &["update:log_streams"],
        }
    }

    fn facts(&self, address: &Address, seen: &Seen) -> Facts {
        let plain = |field: &str| seen.attrs.get(field).and_then(Value::as_str);
        feedback(address, plain("status").unwrap_or("absent"), plain("endpoint"))
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let path = format!("{PATH}/{}", run.seen.ids.get("id").map(String::as_str).unwrap_or_default());
            let reply = match run.act()? {
                Act::Create { start_from } => {
                    let mut body = body(run.desired, &Attrs::new());
                    body["type"] = json!("http");
                    if let Some(start) = start_from {
                        body["startFrom"] = json!(start);
                    }
                    writer.json(Method::Post, PATH, body, Repeat::NeverBlind).await?
                }
                Act::Update => {
                    let mut body = body(run.desired, &run.seen.attrs);
                    if let Some(status) = run.desired.get("status").and_then(Value::as_str) {
                        body["status"] = json!(status);
                    }
                    writer.json(Method::Patch, path, body, Repeat::Safe).await?
                }
                Act::Status => {
                    // The PATCH repeats the filters and `pii_config`: without them it would delete the masking, and
                    // perhaps the filters.
                    let mut whole = body(&Attrs::new(), &run.seen.attrs);
                    if let Some(whole) = whole.as_object_mut() {
                        whole.retain(|key, _| key == "filters" || key == "pii_config");
                    }
                    whole["status"] =
                        json!(run.desired.get("status").and_then(Value::as_str).unwrap_or("active"));
                    writer.json(Method::Patch, path, whole, Repeat::Safe).await?
                }
                Act::Restore => {
                    let mut whole =
                        body(&Attrs::new(), &stream_restore::with_restored(&run.seen.attrs, &run.step.op));
                    if let Some(status) = run.step.op.value("status").and_then(Json::as_str) {
                        whole["status"] = json!(status);
                    }
                    writer.json(Method::Patch, path, whole, Repeat::Safe).await?
                }
                Act::Delete => {
                    return match writer.json(Method::Delete, path, Json::Null, Repeat::Safe).await {
                        Ok(_) => Ok(Done::seen(Seen::default())),
                        Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                        Err(failed) => Err(failed),
                    };
                }
            };
            Ok(Done::seen(require_id(parse(&reply), "id")?))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let reply = reader.fresh(&list_streams()).await?;
            let streams = entries_with(Some(&reply), &["/id"], "GET /api/v2/log-streams")?;
            let act: Act = run.act()?;
            if matches!(act, Act::Create { .. }) {
                let name = run.desired.get("name").and_then(Value::as_str).unwrap_or_default();
                let fresh: Vec<&Json> = streams
                    .iter()
                    .filter(|stream| text(stream, "name") == name && text(stream, "type") == "http")
                    .filter(|stream| !run.seen.beside.iter().any(|id| id == text(stream, "id")))
                    .collect();
                return match fresh.as_slice() {
                    [] => Ok(None),
                    [stream] => Ok(Some(Done::seen(parse(stream)))),
                    several => Err(Failed::Unknown(format!(
                        "{} new log streams are named {name:?}; delete all but one",
                        several.len()
                    ))),
                };
            }
            let id = run.seen.ids.get("id").map(String::as_str).unwrap_or_default();
            let now = streams.iter().find(|stream| text(stream, "id") == id).map(parse);
            let took = match (&now, act) {
                (None, act) => matches!(act, Act::Delete),
                (Some(_), Act::Delete) => false,
                (Some(seen), Act::Restore) => stream_restore::is_back(seen, &run.step.op),
                (Some(seen), Act::Create { .. } | Act::Update | Act::Status) => run
                    .desired
                    .iter()
                    .all(|(field, value)| stream_restore::has_value(value, seen.attrs.get(field))),
            };
            Ok(took.then(|| Done::seen(now.unwrap_or_default())))
        })
    }

    /// Reports added headers. Also refuses to take over a stream that sends elsewhere if the manifest gives no
    /// endpoint: the default is the Function's URL, which `observe` does not know yet.
    fn refusals(&self, diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        if self.closed(&diff.want.desired).is_empty() && diff.entry.is_some() {
            return stream_restore::added(diff).into_iter().collect();
        }
        let there = diff.seen.attrs.get("endpoint").and_then(Value::as_str).unwrap_or_default();
        let explicit = diff.manifest.text(SECTION_PATH, "endpoint").is_some();
        let wanted = diff.want.desired.get("endpoint").and_then(Value::as_str) == Some(there);
        let ours = explicit || wanted || function::is_own_url(diff.manifest, there);
        if diff.address != NAME || !diff.seen.exists || !diff.seen.whose.needs_consent() || ours {
            return Vec::new();
        }
        let name = diff.seen.attrs.get("name").and_then(Value::as_str).unwrap_or_default();
        let id = diff.seen.ids.get("id").map(String::as_str).unwrap_or_default();
        vec![Finding {
            code: codes::NAME_TAKEN,
            address: diff.address.to_owned(),
            text: format!("a log stream named {name:?} ({id}) sends to another endpoint"),
            help: "it may be somebody else's: rename it, or set feedback.log_stream.name to another name"
                .into(),
            level: Level::Blocker,
        }]
    }

    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        stream_restore::kept_at_adoption(seen)
    }

    fn closed(&self, desired: &Attrs) -> &'static [&'static str] {
        if desired.keys().any(|key| key.starts_with("custom_headers.")) { &["custom_headers."] } else { &[] }
    }
}

/// The default endpoint: `${feedback_function.url}`.
fn function_url() -> Value {
    let url = OutputRef { resource: function::NAME.into(), output: "url".into() };
    Value::Output(Template { parts: vec![Part::Output(url)], secret: false })
}

fn default_name(stack: &str) -> String {
    format!("Lockstep feedback ({stack})")
}

fn with_warnings(mut seen: Seen, address: &Address) -> Seen {
    if seen.attrs.get("status").and_then(Value::as_str) == Some("suspended") {
        seen.finding(
            codes::STREAM_SUSPENDED, address,
            Level::Warning,
            "Auth0 suspended the stream: delivery to the endpoint kept failing",
            "check the receiver (Monitoring, Streams, Health in the dashboard); status: active in the manifest restarts it",
        );
    }
    if address != NAME {
        return seen;
    }
    let masked = seen.attrs.get("pii_config.log_fields").and_then(Value::known).and_then(Json::as_array);
    if masked.is_some_and(|fields| fields.iter().any(|field| field == "phone")) {
        let text = "the stream masks phone numbers, so the receiver cannot tell Verify whose code was used";
        seen.finding(
            codes::STREAM_SAYS_TOO_LITTLE,
            address,
            Level::Warning,
            text,
            "take `phone` out of the stream's masked fields",
        );
    }
    if seen.attrs.get("is_priority") == Some(&Value::Known(json!(true))) {
        let text = "the stream is a prioritized one, which does not carry the feedback events";
        seen.finding(
            codes::STREAM_SAYS_TOO_LITTLE,
            address,
            Level::Warning,
            text,
            "delete it and let the next apply make an ordinary one",
        );
    }
    seen
}

/// The whole writable object: the desired values, and the observed value of each field that the manifest does not set.
fn body(desired: &Attrs, seen: &Attrs) -> Json {
    let pick = |key: &str| desired.get(key).or_else(|| seen.get(key));
    let plain = |key: &str| pick(key).and_then(Value::known).cloned();
    let hidden = |value: &Value| match value {
        Value::Secret(secret) => Some(secret.expose().to_owned()),
        Value::Known(json) => json.as_str().map(str::to_owned),
        _ => None,
    };
    let mut sink = json!({});
    for (key, wire) in [
        ("endpoint", "httpEndpoint"),
        ("content_format", "httpContentFormat"),
        ("content_type", "httpContentType"),
    ] {
        if let Some(value) = plain(key) {
            sink[wire] = value;
        }
    }
    if let Some(value) = pick("authorization").and_then(hidden) {
        sink["httpAuthorization"] = json!(value);
    }
    let from = if desired.keys().any(|key| key.starts_with("custom_headers.")) { desired } else { seen };
    let headers: Vec<Json> = from
        .iter()
        .filter_map(|(key, value)| {
            Some(json!({ "header": key.strip_prefix("custom_headers.")?, "value": hidden(value)? }))
        })
        .collect();
    if !headers.is_empty() {
        sink["httpCustomHeaders"] = json!(headers);
    }
    let filters = plain("filters").unwrap_or(json!([]));
    let filters: Vec<Json> = filters
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| json!({ "type": "category", "name": name }))
        .collect();
    let mut body = json!({ "sink": sink, "filters": filters });
    if let Some(name) = plain("name") {
        body["name"] = name;
    }
    if let Some(priority) = plain("is_priority") {
        body["isPriority"] = priority;
    }
    if let Some(fields) =
        plain("pii_config.log_fields").filter(|fields| !fields.as_array().is_none_or(Vec::is_empty))
    {
        body["pii_config"] = json!({ "log_fields": fields });
        for key in ["method", "algorithm"] {
            if let Some(value) = plain(&format!("pii_config.{key}")) {
                body["pii_config"][key] = value;
            }
        }
    }
    body
}

/// Reads a stream in any reply.
pub fn parse(stream: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("id".into(), text(stream, "id").to_owned());
    let sink = &stream["sink"];
    let mut put = |key: &str, value: Json| {
        if !value.is_null() {
            seen.attrs.insert(key.to_owned(), Value::Known(value));
        }
    };
    put("name", stream["name"].clone());
    put("status", stream["status"].clone());
    put("endpoint", sink["httpEndpoint"].clone());
    put("content_format", sink["httpContentFormat"].clone());
    put("content_type", sink["httpContentType"].clone());
    put("is_priority", json!(stream["isPriority"] == json!(true)));
    let names: Vec<&Json> =
        stream["filters"].as_array().into_iter().flatten().map(|filter| &filter["name"]).collect();
    put("filters", set_of(Some(&json!(names))));
    if let Some(pii) = stream.get("pii_config").filter(|pii| pii.is_object()) {
        put("pii_config.log_fields", set_of(pii.get("log_fields")));
        put("pii_config.method", pii["method"].clone());
        put("pii_config.algorithm", pii["algorithm"].clone());
    }
    if let Some(value) = sink["httpAuthorization"].as_str() {
        seen.attrs.insert("authorization".into(), Value::Secret(Secret::new(value, Origin::Person)));
    }
    for header in sink["httpCustomHeaders"].as_array().into_iter().flatten() {
        let value = Value::Secret(Secret::new(text(header, "value"), Origin::Person));
        seen.attrs.insert(format!("custom_headers.{}", text(header, "header")), value);
    }
    seen
}

//! The calls of an API by method, host and path template, read from a vendor's OpenAPI description or from a table of
//! ours, and the comparison of real traffic with them.
//!
//! A table of ours is YAML. `calls` maps `METHOD /path/{name}` to `path`, `query`, `body`, `form` or `multipart`,
//! `replies` and `refusals`; the host stands before the path if it is not the tenant's. `schemas` names schemas. Where
//! a schema is expected, `text` is the schema of that name, `text?` is that schema or null, and `[x]` is a list of `x`.
//! An object lists its properties; those that are required have a `!` after the name, and an object accepts no others.
//! Anything else begins with `is:`; see [`expand`]. `mark` says how well the call is known, with the letters of the
//! notes from which the table was written: R recorded, D documented, S from the published types, C from clients' code,
//! I inferred.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lockstep::model::api::{Answer, ApiReply, ApiRequest};
use lockstep::twin::wire::{Target, match_pattern, multipart, pairs};
use serde_json::{Map, Value as Json, json};

use super::schema::{Broken, Finding, OURS, Rules, SHOWN, Schemas, places};

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Json,
    Form,
    Multipart,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Kind::Json => "application/json",
            Kind::Form => "application/x-www-form-urlencoded",
            Kind::Multipart => "multipart/form-data",
        }
    }
}

pub struct Payload {
    pub kinds: Vec<Kind>,
    pub schema: Json,
    required: bool,
}

/// One call.
pub struct Call {
    /// Such as `POST verify.twilio.com/v2/Services`; without a host for a call of a tenant.
    pub name: String,
    method: String,
    host: Option<String>,
    template: String,
    path: BTreeMap<String, Json>,
    /// Schema, and whether the parameter is required.
    query: BTreeMap<String, (Json, bool)>,
    pub body: Option<Payload>,
    /// Body by status; `None` for no body.
    replies: BTreeMap<u16, Option<Json>>,
    /// Statuses of refusals. `None`: they are not known, and any is accepted.
    refusals: Option<BTreeSet<u16>>,
    /// For a setting that was never made, the reply may have no content or an empty object.
    never_set: bool,
    root: Rc<Json>,
    shown: Rules,
}

impl Call {
    pub fn schemas(&self) -> Schemas<'_> {
        Schemas { root: &self.root, rules: OURS }
    }
}

/// A mismatch that is right for a reason, or a parameter that is never sent.
#[derive(Clone, Debug)]
pub struct Exception {
    /// `*` stands for anything, here and in `place`.
    pub call: String,
    pub place: String,
    /// Name of a [`Broken`]; empty for parameters.
    broken: String,
    reason: String,
}

/// Refusals that no published list of statuses has: the answer to a body of another type.
const UNLISTED: &[u16] = &[415];

/// Everything that is known about the calls of one vendor.
#[derive(Default)]
pub struct Contract {
    pub calls: Vec<Call>,
    pub exceptions: Vec<Exception>,
    pub never_sent: Vec<Exception>,
    /// Our calls that no run makes.
    not_called: Vec<Exception>,
    /// The schema of every refusal.
    refusal: Json,
    /// What the simulator accepts although we never send it.
    pub lenient: Vec<Exception>,
    /// Form fields that an empty value clears, whatever their pattern: call and name.
    may_be_empty: Vec<Exception>,
    root: Rc<Json>,
}

/// The result of a comparison. The tallies of several runs can be added.
#[derive(Default)]
pub struct Tally {
    pub requests: usize,
    pub replies: usize,
    /// Number of parameters, fields and members of replies that were compared.
    pub values: usize,
    /// Places of the parameters that were sent, by name of the call.
    pub sent: BTreeMap<String, BTreeSet<String>>,
    /// Statuses by name of the call.
    pub answered: BTreeMap<String, BTreeSet<u16>>,
    /// Mismatches, and how often each was seen.
    pub findings: BTreeMap<String, usize>,
    used: BTreeSet<usize>,
}

/// Whether a text matches a pattern in which `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && like(rest, &text[at..]))
        }),
    }
}

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

/// The schema that an expression of our tables stands for. After `is:` comes `text`, `integer`, `number`, `boolean`,
/// `any`, `object`, `list`, `map`, `enum`, `one_of` or `any_of`. `of:` has their parts, and the other keys are those of
/// a schema.
fn expand(expression: &Json) -> Json {
    match expression {
        Json::String(name) => match name.strip_suffix('?') {
            None => json!({ "$ref": format!("#/schemas/{name}") }),
            Some(name) => json!({ "nullable": true, "allOf": [{ "$ref": format!("#/schemas/{name}") }] }),
        },
        Json::Array(items) => {
            assert_eq!(items.len(), 1, "a list has one schema: {expression}");
            json!({ "type": "array", "items": expand(&items[0]) })
        }
        Json::Object(map) if map.contains_key("is") => special(map),
        Json::Object(map) => properties(map),
        other => panic!("{other} is no schema"),
    }
}

fn properties(map: &Map<String, Json>) -> Json {
    let name = |key: &String| key.trim_end_matches('!').to_owned();
    let properties: Map<String, Json> = map.iter().map(|(key, value)| (name(key), expand(value))).collect();
    let required: Vec<String> = map.keys().filter(|key| key.ends_with('!')).map(name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn special(map: &Map<String, Json>) -> Json {
    let of = map.get("of");
    let parts = || of.and_then(Json::as_array).map(|list| list.iter().map(expand).collect::<Vec<_>>());
    let word = map["is"].as_str().expect("`is` is a word");
    let mut schema = match (word, of) {
        ("text", None) => json!({ "type": "string" }),
        ("integer" | "number" | "boolean", None) => json!({ "type": word }),
        ("any", None) => json!({}),
        ("object", None) => json!({ "type": "object" }),
        ("object", Some(Json::Object(inner))) => {
            let mut schema = properties(inner);
            schema["additionalProperties"] = json!(true);
            schema
        }
        ("list", Some(item)) => json!({ "type": "array", "items": expand(item) }),
        ("map", Some(value)) => json!({ "type": "object", "additionalProperties": expand(value) }),
        ("closed", Some(Json::Object(inner))) => properties(inner),
        ("enum", Some(values)) => json!({ "type": "string", "enum": values }),
        ("one_of", _) => json!({ "oneOf": parts() }),
        ("any_of", _) => json!({ "anyOf": parts() }),
        _ => panic!("`is: {word}` is not known"),
    };
    for (key, value) in map.iter().filter(|(key, _)| !["is", "of"].contains(&key.as_str())) {
        schema[key] = value.clone();
    }
    schema
}

fn exceptions(table: &Json, key: &str) -> Vec<Exception> {
    let one = |entry: &Json| {
        let exception = Exception {
            call: text(entry, "call"),
            place: text(entry, "place"),
            broken: text(entry, "broken"),
            reason: text(entry, "reason"),
        };
        assert!(!exception.reason.is_empty() && !exception.call.is_empty(), "{entry} needs call and reason");
        exception
    };
    table[key].as_array().into_iter().flatten().map(one).collect()
}

impl Contract {
    /// Adds a table of ours.
    ///
    /// # Panics
    /// When the table does not have the form described above.
    pub fn table(mut self, yaml: &str) -> Contract {
        let table: Json = serde_yaml::from_str(yaml).expect("the table is YAML");
        let schemas = table["schemas"].as_object().into_iter().flatten();
        let schemas: Map<String, Json> = schemas.map(|(name, one)| (name.clone(), expand(one))).collect();
        let root = Rc::new(json!({ "schemas": schemas }));
        for (name, call) in table["calls"].as_object().into_iter().flatten() {
            self.calls.push(own_call(name, call, &root));
        }
        self.exceptions.extend(exceptions(&table, "exceptions"));
        self.never_sent.extend(exceptions(&table, "never_sent"));
        self.not_called.extend(exceptions(&table, "not_called"));
        self.may_be_empty.extend(exceptions(&table, "may_be_empty"));
        self.lenient.extend(exceptions(&table, "lenient"));
        for (place, schema) in table["json_in_forms"].as_object().into_iter().flatten() {
            let (name, field) = place.rsplit_once(' ').expect("`METHOD path Field`");
            let call = self.calls.iter_mut().find(|call| call.name == name);
            let call = call.unwrap_or_else(|| panic!("{name} is not described"));
            let body = call.body.as_mut().unwrap_or_else(|| panic!("{name} has no body"));
            assert!(body.schema["properties"][field].is_object(), "{place} is not described");
            body.schema["properties"][field]["x-json"] = expand(schema);
        }
        if !table["refusal"].is_null() {
            self.refusal = expand(&table["refusal"]);
        }
        self.root = root;
        self
    }

    /// Adds a vendor's description. Every path of it has a server, and so every call has a host.
    ///
    /// # Panics
    /// When the description has a part that is not understood.
    pub fn description(mut self, description: Json) -> Contract {
        let root = Rc::new(description);
        for (template, item) in root["paths"].as_object().expect("a description has paths") {
            let server = item["servers"][0]["url"].as_str().expect("a path has a server");
            let host = server.strip_prefix("https://").expect("only TLS").to_owned();
            for method in ["get", "post", "put", "patch", "delete"] {
                let operation = &item[method];
                if operation.is_object() {
                    self.calls.push(described_call(&host, template, method, operation, &root));
                }
            }
        }
        self
    }

    /// The call of a request, and the values of the placeholders in its path. If several calls fit, the one with the
    /// fewest placeholders.
    pub fn find(&self, request: &ApiRequest) -> Option<(&Call, Vec<String>)> {
        let target = Target::parse(&request.path)?;
        let mut fitting: Vec<(&Call, Vec<String>)> = self
            .calls
            .iter()
            .filter(|call| call.method == request.method.as_str())
            .filter(|call| match &call.host {
                Some(host) => *host == request.host,
                None => !request.host.ends_with(".twilio.com"),
            })
            .filter_map(|call| Some((call, match_pattern(&call.template, &target.segments)?)))
            .collect();
        fitting.sort_by_key(|(_, params)| params.len());
        (!fitting.is_empty()).then(|| fitting.remove(0))
    }

    /// The call of a request, and its mismatches. No tally is changed.
    pub fn request_findings(&self, request: &ApiRequest) -> (String, Vec<Finding>) {
        let mut seen = Seen::default();
        let name = self.compare_request(request, &mut seen);
        (name, seen.findings)
    }

    /// Compares one exchange. An answer that never came, or that did not come from the vendor's server, is not
    /// compared.
    pub fn exchange(&self, request: &ApiRequest, answer: &Answer, tally: &mut Tally) {
        let mut seen = Seen::default();
        let name = self.compare_request(request, &mut seen);
        tally.requests += 1;
        tally.values += seen.places.len();
        tally.sent.entry(name.clone()).or_default().extend(std::mem::take(&mut seen.places));
        self.note(&name, "request", std::mem::take(&mut seen.findings), tally);
        self.reply(request, answer, tally);
    }

    /// Compares the answer alone, for a request that is wrong on purpose.
    pub fn reply(&self, request: &ApiRequest, answer: &Answer, tally: &mut Tally) {
        let (Answer::Reply(reply), Some((call, _))) = (answer, self.find(request)) else { return };
        if reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return;
        }
        let mut seen = Seen::default();
        self.compare_reply(call, reply, &mut seen);
        tally.replies += 1;
        tally.values += seen.places.len();
        tally.answered.entry(call.name.clone()).or_default().insert(reply.status);
        self.note(&call.name, &format!("reply {}", reply.status), seen.findings, tally);
    }

    /// The number of the exception, if the simulator may accept a request that is wrong in that place.
    pub fn lenient(&self, call: &str, place: &str) -> Option<usize> {
        self.lenient.iter().position(|one| like(&one.call, call) && like(&one.place, place))
    }

    fn note(&self, name: &str, side: &str, findings: Vec<Finding>, tally: &mut Tally) {
        for finding in findings {
            let place = match side {
                "request" => finding.place.clone(),
                _ => format!("reply {}", finding.place),
            };
            let excepted = self.exceptions.iter().position(|exception| {
                exception.broken == finding.broken.name()
                    && like(&exception.call, name)
                    && like(&exception.place, &place)
            });
            match excepted {
                Some(at) => drop(tally.used.insert(at)),
                None => {
                    let told = format!(
                        "{name}, {side}: `{}` {} ({})",
                        finding.place,
                        finding.what,
                        finding.broken.name()
                    );
                    *tally.findings.entry(told).or_default() += 1;
                }
            }
        }
    }

    fn compare_request(&self, request: &ApiRequest, seen: &mut Seen) -> String {
        let Some((call, params)) = self.find(request) else {
            let path = request.path.split('?').next().unwrap_or_default();
            seen.add("", Broken::Unknown, "there is no such call");
            return format!("{} {}{path}", request.method, request.host);
        };
        let schemas = call.schemas();
        for ((name, schema), value) in in_template(call).zip(&params) {
            let value = typed(schemas, schema, value);
            seen.take(&format!("{{{name}}}"), schemas.check(schema, &value));
        }
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let query = pairs(query).unwrap_or_default();
        for (name, (_, required)) in &call.query {
            if *required && !query.iter().any(|(key, _)| key == name) {
                seen.add(&format!("?{name}"), Broken::Missing, "is not there");
            }
        }
        for (at, (name, value)) in query.iter().enumerate() {
            let place = format!("?{name}");
            match call.query.get(name) {
                None => seen.add(&place, Broken::Unknown, "is no parameter"),
                Some(_) if query[..at].iter().any(|(key, _)| key == name) => {
                    seen.add(&place, Broken::Limit, "is there twice");
                }
                Some((schema, _)) => {
                    let value = typed(schemas, schema, value);
                    seen.take(&place, schemas.check(schema, &value));
                }
            }
        }
        self.compare_body(call, request, seen);
        call.name.clone()
    }

    fn compare_body(&self, call: &Call, request: &ApiRequest, seen: &mut Seen) {
        let kind = request.header("content-type").unwrap_or_default();
        let Some(payload) = &call.body else {
            if !request.body.is_empty() {
                seen.add("", Broken::Unknown, "the call takes no body");
            }
            return;
        };
        if request.body.is_empty() {
            if payload.required {
                seen.add("", Broken::Missing, "the body is not there");
            }
            return;
        }
        let sent = kind.split(';').next().unwrap_or_default().trim();
        let Some(encoding) = payload.kinds.iter().find(|kind| kind.content_type() == sent) else {
            return seen.add("", Broken::Type, &format!("the content type is {sent:?}"));
        };
        let schemas = call.schemas();
        let decoded = match encoding {
            Kind::Json => serde_json::from_slice(&request.body).map_err(|error| error.to_string()),
            Kind::Form => std::str::from_utf8(&request.body)
                .map_err(|error| error.to_string())
                .and_then(|text| pairs(text).ok_or_else(|| "a broken escape".to_owned()))
                .map(|pairs| self.form(call, &payload.schema, &pairs, seen)),
            Kind::Multipart => multipart(kind, &request.body).map(|parts| {
                let part = |part: lockstep::twin::wire::Part| {
                    let content = String::from_utf8_lossy(&part.content).into_owned();
                    let value = match part.filename {
                        None => json!(content),
                        Some(name) => {
                            json!({"filename": name, "content_type": part.content_type, "content": content})
                        }
                    };
                    (part.name, value)
                };
                parts.into_iter().map(part).collect::<Map<String, Json>>().into()
            }),
        };
        match decoded {
            Err(what) => seen.add("", Broken::Type, &format!("the body cannot be read: {what}")),
            Ok(body) => {
                seen.places.extend(places(&body));
                seen.findings.extend(schemas.check(&payload.schema, &body));
            }
        }
    }

    /// A form as an object: repeated names become lists, texts get the types of their schemas, and fields that hold
    /// JSON are compared with their own schema.
    fn form(&self, call: &Call, schema: &Json, pairs: &[(String, String)], seen: &mut Seen) -> Json {
        let schemas = call.schemas();
        let mut body = Map::new();
        for (name, value) in pairs {
            let field = &schema["properties"][name];
            if value.is_empty()
                && self.may_be_empty.iter().any(|one| like(&one.call, &call.name) && like(&one.place, name))
            {
                seen.places.insert(name.clone());
                continue;
            }
            if let Some(inner) = field.get("x-json") {
                match serde_json::from_str::<Json>(value) {
                    // Such a schema is ours, and so are its names.
                    Ok(json) => {
                        let ours = Schemas { root: &self.root, rules: OURS };
                        seen.take(&format!("{name}:"), ours.check(inner, &json));
                    }
                    Err(error) => seen.add(name, Broken::Format, &format!("holds no JSON: {error}")),
                }
            }
            let list = schemas.resolve(field).is_some_and(|field| field["type"] == "array");
            let value = typed(schemas, if list { &field["items"] } else { field }, value);
            match (body.get_mut(name), list) {
                (Some(Json::Array(items)), true) => items.push(value),
                (Some(_), _) => seen.add(name, Broken::Limit, "is there twice"),
                (None, true) => drop(body.insert(name.clone(), Json::Array(vec![value]))),
                (None, false) => drop(body.insert(name.clone(), value)),
            }
        }
        Json::Object(body)
    }

    fn compare_reply(&self, call: &Call, reply: &ApiReply, seen: &mut Seen) {
        let success = (200..300).contains(&reply.status);
        if call.never_set && matches!(reply.status, 200 | 204) && matches!(&*reply.body, b"" | b"{}") {
            return;
        }
        let schema = match call.replies.get(&reply.status) {
            Some(None) => {
                if !reply.body.is_empty() {
                    seen.add("", Broken::Unknown, "a body where none should be");
                }
                return;
            }
            Some(Some(schema)) => schema,
            None if success => {
                return seen.add("", Broken::Enum, "the status is not among the described ones");
            }
            None => &self.refusal,
        };
        let body: Json = match serde_json::from_slice(&reply.body) {
            Ok(body) => body,
            Err(error) => return seen.add("", Broken::Type, &format!("is no JSON: {error}")),
        };
        if !reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            seen.add("", Broken::Type, "does not say that it is JSON");
        }
        seen.places.extend(places(&body));
        if call.replies.contains_key(&reply.status) {
            let schemas = Schemas { root: &call.root, rules: call.shown };
            seen.findings.extend(schemas.check(schema, &body));
            return;
        }
        seen.findings.extend(Schemas { root: &self.root, rules: OURS }.check(schema, &body));
        let listed =
            |statuses: &BTreeSet<u16>| statuses.contains(&reply.status) || UNLISTED.contains(&reply.status);
        if reply.status < 500 && !call.refusals.as_ref().is_none_or(listed) {
            seen.add("", Broken::Enum, "the status is not among the described ones");
        }
        let told = body.get("statusCode").or(body.get("status")).and_then(Json::as_u64);
        if told.is_some_and(|told| told != u64::from(reply.status)) {
            seen.add("", Broken::Enum, "the body tells another status");
        }
    }

    /// Parameters of the calls in use that were never sent and have no exception, and exceptions that are not needed.
    pub fn gaps(&self, tally: &Tally) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut needed = BTreeSet::new();
        for call in self.calls.iter().filter(|call| tally.sent.contains_key(&call.name)) {
            let sent = &tally.sent[&call.name];
            for place in parameters(call).into_iter().filter(|place| !sent.contains(place)) {
                let entry = |one: &Exception| like(&one.call, &call.name) && like(&one.place, &place);
                match self.never_sent.iter().position(entry) {
                    Some(at) => drop(needed.insert(at)),
                    None => {
                        gaps.push(format!("{}: `{place}` is never sent, and nothing says why", call.name))
                    }
                }
            }
        }
        for (at, entry) in self.never_sent.iter().enumerate().filter(|(at, _)| !needed.contains(at)) {
            gaps.push(format!(
                "entry {at}, {} `{}` ({}), is true of nothing",
                entry.call, entry.place, entry.reason
            ));
        }
        gaps
    }

    /// Calls that no run made and that have no exception, and exceptions that are not needed. For a table whose calls
    /// are all made or served by us.
    pub fn silent(&self, tally: &Tally) -> Vec<String> {
        let mut needed = BTreeSet::new();
        let mut silent = Vec::new();
        for call in self.calls.iter().filter(|call| !tally.sent.contains_key(&call.name)) {
            match self.not_called.iter().position(|one| like(&one.call, &call.name)) {
                Some(at) => drop(needed.insert(at)),
                None => silent.push(format!("{} is never called, and nothing says why", call.name)),
            }
        }
        for (at, entry) in self.not_called.iter().enumerate().filter(|(at, _)| !needed.contains(at)) {
            silent.push(format!("entry {at}, {} ({}), is true of nothing", entry.call, entry.reason));
        }
        silent
    }

    /// Exceptions that nothing needed.
    pub fn idle(&self, tally: &Tally) -> Vec<String> {
        let idle = self.exceptions.iter().enumerate().filter(|(at, _)| !tally.used.contains(at));
        idle.map(|(_, one)| format!("{} `{}` {}: {}", one.call, one.place, one.broken, one.reason)).collect()
    }

    /// Number of parameters of the calls in use, and number of those that are never sent.
    pub fn coverage(&self, tally: &Tally) -> (usize, usize) {
        let used = self.calls.iter().filter(|call| tally.sent.contains_key(&call.name));
        used.fold((0, 0), |(all, omitted), call| {
            let parameters = parameters(call);
            let sent = parameters.intersection(&tally.sent[&call.name]).count();
            (all + parameters.len(), omitted + parameters.len() - sent)
        })
    }
}

/// Names and schemas of the placeholders of a template, in order.
fn in_template(call: &Call) -> impl Iterator<Item = (&str, &Json)> {
    call.template.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.split_once('}')?.0;
        Some((name, call.path.get(name)?))
    })
}

/// Query parameters (`?name`) and places of the body.
fn parameters(call: &Call) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = call.query.keys().map(|name| format!("?{name}")).collect();
    if let Some(payload) = &call.body {
        all.extend(call.schemas().leaves(&payload.schema));
    }
    all
}

impl Tally {
    /// Adds the tally of another run.
    pub fn add(&mut self, other: Tally) {
        self.requests += other.requests;
        self.replies += other.replies;
        self.values += other.values;
        for (name, places) in other.sent {
            self.sent.entry(name).or_default().extend(places);
        }
        for (name, statuses) in other.answered {
            self.answered.entry(name).or_default().extend(statuses);
        }
        for (told, count) in other.findings {
            *self.findings.entry(told).or_default() += count;
        }
        self.used.extend(other.used);
    }

    /// The numbers in one line.
    pub fn line(&self) -> String {
        format!(
            "{} requests and {} replies of {} calls, {} values",
            self.requests,
            self.replies,
            self.sent.len(),
            self.values
        )
    }

    /// Checks that all exchanges agree with the contract.
    ///
    /// # Panics
    /// When there is a mismatch, or when nothing was compared.
    pub fn demand_agreement(&self) {
        let told: Vec<String> =
            self.findings.iter().map(|(told, count)| format!("{told}, {count} times")).collect();
        assert!(told.is_empty(), "{} mismatches:\n{}", told.len(), told.join("\n"));
        assert!(self.requests > 0 && self.replies > 0, "nothing was compared");
    }
}

#[derive(Default)]
struct Seen {
    places: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Seen {
    fn add(&mut self, place: &str, broken: Broken, what: &str) {
        self.findings.push(Finding { place: place.to_owned(), broken, what: what.to_owned() });
    }

    /// Adds the mismatches of one parameter.
    fn take(&mut self, place: &str, findings: Vec<Finding>) {
        self.places.insert(place.to_owned());
        self.findings.extend(findings.into_iter().map(|mut finding| {
            finding.place = format!("{place}{}", finding.place);
            finding
        }));
    }
}

/// The value of a text in a path, a query or a form, in the type of its schema. A text that does not fit stays a text,
/// and the comparison reports it.
fn typed(schemas: Schemas, schema: &Json, text: &str) -> Json {
    let wanted = schemas.resolve(schema).and_then(|schema| schema["type"].as_str().map(str::to_owned));
    match wanted.as_deref() {
        Some("integer") => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some("number") => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| json!(text), |value| json!(value)),
        _ => json!(text),
    }
}

fn own_call(name: &str, call: &Json, root: &Rc<Json>) -> Call {
    let known = [
        "mark",
        "path",
        "query",
        "body",
        "body_required",
        "form",
        "multipart",
        "replies",
        "refusals",
        "complete",
        "never_set",
    ];
    let strange = call.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
    assert_eq!(strange, None, "{name}");
    let mark = text(call, "mark");
    assert!(!mark.is_empty() && mark.chars().all(|mark| "RDSCI".contains(mark)), "{name} has no mark");
    let (method, rest) = name.split_once(' ').expect("`METHOD path`");
    let (host, template) = rest.split_at(rest.find('/').expect("a path"));
    let schemas = |key: &str| call[key].as_object().cloned().unwrap_or_default().into_iter();
    let query = schemas("query").map(|(key, schema)| {
        let required = key.ends_with('!');
        (key.trim_end_matches('!').to_owned(), (expand(&schema), required))
    });
    let mut kinds = Vec::new();
    let mut schema = Json::Null;
    for (key, kind) in [("body", Kind::Json), ("form", Kind::Form), ("multipart", Kind::Multipart)] {
        if !call[key].is_null() {
            kinds.push(kind);
            schema = expand(&call[key]);
        }
    }
    let template = template.to_owned();
    let path: BTreeMap<String, Json> = schemas("path").map(|(key, schema)| (key, expand(&schema))).collect();
    for part in template.split('/').filter_map(|part| part.strip_prefix('{')?.split_once('}')) {
        assert!(path.contains_key(part.0), "{name}: {} has no schema", part.0);
    }
    let replies = schemas("replies").map(|(status, schema)| {
        let schema = (!schema.is_null()).then(|| expand(&schema));
        (status.parse().expect("a status"), schema)
    });
    let statuses =
        |list: &Vec<Json>| list.iter().filter_map(Json::as_u64).map(|status| status as u16).collect();
    Call {
        name: name.to_owned(),
        method: method.to_owned(),
        host: (!host.is_empty()).then(|| host.to_owned()),
        template,
        path,
        query: query.collect(),
        body: (!kinds.is_empty()).then_some(Payload {
            kinds,
            schema,
            required: call["body_required"].as_bool().unwrap_or(true),
        }),
        replies: replies.collect(),
        refusals: call["refusals"].as_array().map(statuses),
        never_set: call["never_set"].as_bool().unwrap_or(false),
        root: root.clone(),
        shown: Rules { complete: call["complete"].as_bool().unwrap_or(false), ..OURS },
    }
}

fn described_call(host: &str, template: &str, method: &str, operation: &Json, root: &Rc<Json>) -> Call {
    let method = method.to_ascii_uppercase();
    let name = format!("{method} {host}{template}");
    let (mut path, mut query) = (BTreeMap::new(), BTreeMap::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (key, schema) = (text(parameter, "name"), parameter["schema"].clone());
        match parameter["in"].as_str() {
            Some("path") => drop(path.insert(key, schema)),
            Some("query") => drop(query.insert(key, (schema, parameter["required"] == true))),
            other => panic!("{name}: a parameter in {other:?}"),
        }
    }
    let content = operation["requestBody"]["content"].as_object();
    let body = content.map(|content| {
        let (kind, one) = content.iter().next().expect("a body has a content type");
        let kind = [Kind::Form, Kind::Json].into_iter().find(|known| known.content_type() == kind);
        assert_eq!(content.len(), 1, "{name}");
        let kind = kind.unwrap_or_else(|| panic!("{name}: the content type is not understood"));
        let schema = one["schema"].clone();
        // A form without required fields may be empty.
        let required = schema["required"].as_array().is_some_and(|list| !list.is_empty());
        Payload { kinds: vec![kind], schema, required }
    });
    let replies = operation["responses"].as_object().expect("a call has replies").iter();
    let replies = replies.filter(|(status, _)| status.starts_with('2')).map(|(status, reply)| {
        let schema = reply["content"]["application/json"]["schema"].clone();
        (status.parse().expect("a status"), (!schema.is_null()).then_some(schema))
    });
    Call {
        name,
        method,
        host: Some(host.to_owned()),
        template: template.to_owned(),
        path,
        query,
        body,
        replies: replies.collect(),
        refusals: None,
        never_set: false,
        root: root.clone(),
        shown: SHOWN,
    }
}

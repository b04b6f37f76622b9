//! Finds what was in the tenant before a recording began, as far as the recording tells.
//!
//! A recording starts in the middle of a tenant's life. Four rules find what must have been there:
//!
//! 1. **Settings-like objects** (one per tenant) are as their first read shows them, minus what the recording
//!    itself had written to them before that read.
//! 2. **Objects with an id** that the recording did not create are put in right before the first exchange that
//!    mentions them, as in the first reply that shows them in full. If the twin lacks the create call of an object, the
//!    object counts as not created.
//! 3. **Preconditions**: if a write succeeded that needs something (a plan's feature, a phone provider that covers
//!    the message types), and nothing in the recording shows or refutes it, the tenant had it.
//! 4. **Open questions** that the twin has a switch for are answered as the recording answers them.
//!
//! An exchange whose reply is the source of a seed is marked: it matches more easily than others.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::model::api::Method;
use lockstep::twin::{Options, Tenant, world};
use serde_json::{Map, Value, json};

use super::load::Exchange;
use super::put::{self, strings, text};
use super::used;

/// A kind of object with an id: the path of its collection, the key of its list in a reply that wraps the list, and the
/// key of its id.
struct Kind {
    collection: &'static str,
    list: &'static str,
    id: &'static str,
    put: fn(&mut Tenant, &Map<String, Value>),
    take: fn(&mut Tenant, &str),
    has: fn(&Tenant, &str) -> bool,
}

/// The place of applications in [`KINDS`].
const CLIENTS: usize = 4;

const KINDS: &[Kind] = &[
    Kind {
        collection: "/actions/actions",
        list: "actions",
        id: "id",
        put: put::action,
        take: |tenant, id| tenant.actions.retain(|action| action.id != id),
        has: |tenant, id| tenant.action(id).is_some(),
    },
    Kind {
        collection: "/log-streams",
        list: "",
        id: "id",
        put: put::stream,
        take: |tenant, id| tenant.log_streams.retain(|stream| stream.id != id),
        has: |tenant, id| tenant.log_streams.iter().any(|stream| stream.id == id),
    },
    Kind {
        collection: "/branding/phone/providers",
        list: "providers",
        id: "id",
        put: put::provider,
        take: |tenant, id| tenant.phone_providers.retain(|provider| provider.id != id),
        has: |tenant, id| tenant.phone_providers.iter().any(|provider| provider.id == id),
    },
    Kind {
        collection: "/branding/phone/templates",
        list: "templates",
        id: "id",
        put: put::template,
        take: |tenant, id| tenant.phone_templates.retain(|template| template.id != id),
        has: |tenant, id| tenant.phone_templates.iter().any(|template| template.id == id),
    },
    Kind {
        collection: "/clients",
        list: "clients",
        id: "client_id",
        put: |tenant, body| {
            tenant.clients.insert(text(body, "client_id"), body.clone());
        },
        take: |tenant, id| {
            tenant.clients.remove(id);
        },
        has: |tenant, id| tenant.clients.contains_key(id),
    },
    Kind {
        collection: "/connections",
        list: "connections",
        id: "id",
        put: put::connection,
        take: |tenant, id| tenant.connections.retain(|connection| connection.id != id),
        has: |tenant, id| tenant.connections.iter().any(|connection| connection.id == id),
    },
];

const SETTINGS: &str = "/tenants/settings";

/// Rule 4: sets the options of the twin as far as the recording answers them.
pub fn answer_open_questions(exchanges: &[Exchange], options: &mut Options) {
    let shown = |collection: &str| -> Vec<Value> {
        let of_it = exchanges.iter().filter(|exchange| {
            exchange.succeeded()
                && (exchange.below() == collection
                    || exchange.below().starts_with(&format!("{collection}/lst_")))
        });
        of_it
            .flat_map(|exchange| {
                let list = exchange.reply.get("templates").unwrap_or(&exchange.reply);
                list.as_array().cloned().unwrap_or_else(|| vec![list.clone()])
            })
            .filter(Value::is_object)
            .collect()
    };
    let streams = shown("/log-streams");
    if !streams.is_empty() && streams.iter().all(|stream| stream.get("isPriority").is_none()) {
        options.log_streams_show_priority = false;
    }
    let templates = shown("/branding/phone/templates");
    if templates.len() > 1 && templates.iter().all(|template| template.get("id").is_some()) {
        options.built_in_phone_templates_listed = false;
    }
}

type Shown = (usize, Map<String, Value>);

/// What a recording tells about each object before the recording began.
pub struct Seeds<'a> {
    exchanges: &'a [Exchange],
    /// `(kind, id)` of the objects that a create call of the recording made in the twin as well.
    created: BTreeSet<(usize, String)>,
    /// Where each object is shown in full: the index of the exchange and the object.
    shown: BTreeMap<(usize, String), Vec<Shown>>,
    /// Exchanges that were the source of a seed.
    pub sources: BTreeSet<usize>,
}

impl<'a> Seeds<'a> {
    pub fn new(exchanges: &'a [Exchange]) -> Seeds<'a> {
        let mut seeds =
            Seeds { exchanges, created: BTreeSet::new(), shown: BTreeMap::new(), sources: BTreeSet::new() };
        for (index, exchange) in exchanges.iter().enumerate() {
            for (kind, body) in objects(exchange) {
                let key = (kind, text(&body, KINDS[kind].id));
                if exchange.method == Some(Method::Post) && used::in_twin(exchange.method, exchange.below()) {
                    seeds.created.insert(key.clone());
                }
                seeds.shown.entry(key).or_default().push((index, body));
            }
        }
        seeds
    }

    /// Rules 1 and 3: before the first exchange.
    pub fn begin(&mut self, tenant: &mut Tenant) {
        // Connections are only those that the recording shows, because the tenant's first connection may have been
        // removed.
        if self.exchanges.iter().any(|exchange| exchange.below().starts_with("/connections")) {
            tenant.connections.clear();
        }
        self.singleton(SETTINGS, |body| tenant.settings = body);
        if let Some((reads, writes)) = self.one_sided(SETTINGS) {
            for key in reads.keys() {
                tenant.settings.shift_remove(key);
            }
            (tenant.settings_in_reads, tenant.settings_in_writes) = (reads, writes);
        } else if touched(self.exchanges, SETTINGS) {
            tenant.settings_in_reads.clear();
            tenant.settings_in_writes.clear();
        }
        self.singleton("/branding", |body| tenant.branding = body);
        self.singleton("/prompts", |body| {
            let prompts = &mut tenant.prompts;
            if let Some(experience) = body.get("universal_login_experience").and_then(Value::as_str) {
                experience.clone_into(&mut prompts.universal_login_experience);
            }
            let flag = |key: &str| body.get(key).and_then(Value::as_bool);
            prompts.identifier_first = flag("identifier_first");
            prompts.webauthn_platform_first_factor = flag("webauthn_platform_first_factor");
        });
        self.singleton("/guardian/factors/phone/message-types", |body| {
            tenant.message_types = body.get("message_types").map(strings);
        });
        for name in ["phone", "sms"] {
            self.singleton(&format!("/guardian/factors/{name}/selected-provider"), |body| {
                if let Some(provider) = body.get("provider").and_then(Value::as_str) {
                    provider.clone_into(&mut tenant.legacy_phone.selected_provider);
                }
            });
            self.singleton(&format!("/guardian/factors/{name}/providers/twilio"), |body| {
                tenant.legacy_phone.twilio = body;
            });
            self.singleton(&format!("/guardian/factors/{name}/templates"), |body| {
                for (key, slot) in [
                    ("enrollment_message", &mut tenant.legacy_phone.enrollment_message),
                    ("verification_message", &mut tenant.legacy_phone.verification_message),
                ] {
                    if let Some(text) = body.get(key).and_then(Value::as_str) {
                        text.clone_into(slot);
                    }
                }
            });
        }
        self.singleton("/attack-protection/phone-provider-protection", |body| {
            if let Some(kind) = body.get("type").and_then(Value::as_str) {
                kind.clone_into(&mut tenant.phone_provider_protection);
            }
        });
        self.lists(tenant);
        self.preconditions(tenant);
        self.modules(tenant);
    }

    /// Seeds settings (one per tenant) whose reads are lists. A read after a write shows the result of the write, so
    /// only a read before every write counts.
    fn lists(&mut self, tenant: &mut Tenant) {
        let mut written = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (index, exchange) in self.exchanges.iter().enumerate() {
            let path = exchange.below();
            if exchange.writes() {
                let whole = if path.starts_with("/guardian/factors/") { "/guardian/factors" } else { path };
                written.insert(whole.to_owned());
                continue;
            }
            if !exchange.succeeded() || written.contains(path) || !seen.insert(path.to_owned()) {
                continue;
            }
            let list = exchange.reply.as_array().cloned().unwrap_or_default();
            let trigger =
                path.strip_prefix("/actions/triggers/").and_then(|rest| rest.strip_suffix("/bindings"));
            match (path, trigger) {
                ("/guardian/policies", _) => tenant.policies = strings(&exchange.reply),
                ("/guardian/factors", _) if !list.is_empty() => {
                    let factor = |item: &Value| world::Factor {
                        name: item["name"].as_str().unwrap_or_default().into(),
                        enabled: item["enabled"] == true,
                    };
                    tenant.factors = list.iter().map(factor).collect();
                }
                (_, Some(trigger)) => {
                    let bindings = exchange.reply["bindings"].as_array().cloned().unwrap_or_default();
                    let bindings: Vec<world::Binding> = bindings.iter().filter_map(put::binding).collect();
                    tenant.bindings.insert(trigger.to_owned(), bindings);
                }
                _ => continue,
            }
            self.sources.insert(index);
        }
    }

    /// Rule 1 for an object of which a tenant has one.
    fn singleton(&mut self, path: &str, mut put: impl FnMut(Map<String, Value>)) {
        let (read, write) = self.first(path);
        let body = match (read, write) {
            (None, None) => return,
            (Some(read), None) => self.body(read),
            (Some(read), Some(write)) if read < write => self.body(read),
            (read, Some(write)) => {
                // A read shows the whole object, minus what was written before it. The reply to the first write shows a
                // part of the former object, minus what that write sent.
                let mut early = self.body(write);
                without(&mut early, &self.exchanges[write].sent);
                match read {
                    None => early,
                    Some(read) => {
                        let mut body = self.body(read);
                        for exchange in self.writes(path, read) {
                            without(&mut body, &exchange.sent);
                        }
                        let (whole, mut later) = (self.body(read), Map::new());
                        for exchange in self.writes(path, self.exchanges.len()).skip(1) {
                            later.extend(exchange.sent.as_object().cloned().unwrap_or_default());
                        }
                        restrict(&mut early, &whole, &later);
                        overlay(&mut body, early);
                        body
                    }
                }
            }
        };
        put(body);
        self.sources.extend(read.or(write));
    }

    /// What only reads show of the settings, and what only the replies to writes show.
    fn one_sided(&self, path: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
        let (Some(read), Some(write)) = self.first(path) else { return None };
        let (mut reads, mut writes) = (self.body(read), self.body(write));
        let (in_read, in_write) = (reads.clone(), writes.clone());
        reads.retain(|key, _| !in_write.contains_key(key));
        subtract(&mut writes, &in_read);
        for exchange in self.writes(path, self.exchanges.len()) {
            without(&mut writes, &exchange.sent);
            for key in exchange.sent.as_object().into_iter().flat_map(Map::keys) {
                reads.shift_remove(key);
            }
        }
        Some((reads, writes))
    }

    /// Index of the first whole read and of the first write that was answered with an object.
    fn first(&self, path: &str) -> (Option<usize>, Option<usize>) {
        let find = |writes: bool| {
            self.exchanges.iter().position(|exchange| {
                exchange.below() == path
                    && exchange.succeeded()
                    && exchange.writes() == writes
                    && exchange.reply.is_object()
                    && !exchange.path.contains("fields=")
            })
        };
        (find(false), find(true))
    }

    fn body(&self, index: usize) -> Map<String, Value> {
        self.exchanges[index].reply.as_object().cloned().unwrap_or_default()
    }

    fn writes(&self, path: &str, end: usize) -> impl Iterator<Item = &Exchange> {
        let of_it =
            move |exchange: &&Exchange| exchange.below() == path && exchange.succeeded() && exchange.writes();
        self.exchanges[..end].iter().filter(of_it)
    }

    /// Modules of Actions. The twin has no calls for them, so the modules that the recording makes exist from the
    /// start.
    fn modules(&self, tenant: &mut Tenant) {
        let of_it = |exchange: &&Exchange| {
            exchange.succeeded()
                && exchange.below().starts_with("/actions/modules")
                && !exchange.below().ends_with("/actions")
        };
        for exchange in self.exchanges.iter().filter(of_it) {
            let reply = &exchange.reply;
            let list = reply.get("versions").or_else(|| reply.get("modules")).and_then(Value::as_array);
            for item in list.map_or(std::slice::from_ref(reply), Vec::as_slice) {
                if let Some(body) = item.as_object().filter(|body| body.contains_key("id")) {
                    put::module(tenant, body);
                }
            }
        }
    }

    /// Rule 3.
    fn preconditions(&self, tenant: &mut Tenant) {
        let touched = |path: &str| touched(self.exchanges, path);
        let settings = touched(SETTINGS);
        for exchange in self.exchanges {
            let (path, done, sent) = (exchange.below(), exchange.succeeded(), &exchange.sent);
            let legacy = ["/selected-provider", "/providers/twilio", "/templates"].iter().any(|end| {
                ["phone", "sms"].iter().any(|name| path == format!("/guardian/factors/{name}{end}"))
            });
            if legacy && done && !settings {
                tenant.settings.insert("phone_consolidated_experience".into(), json!(false));
            }
            match exchange.method {
                Some(Method::Put) if path == "/guardian/policies" && done => {
                    tenant.adaptive_mfa |= strings(sent).iter().any(|policy| policy == "confidence-score");
                }
                Some(Method::Put) if exchange.status == 403 => {
                    if let Some(name) = path.strip_prefix("/guardian/factors/") {
                        tenant.factors_outside_plan.push(name.to_owned());
                    }
                }
                Some(Method::Put) if path == "/guardian/factors/phone/message-types" && done => {
                    let named = sent["message_types"].as_array().is_some_and(|list| !list.is_empty());
                    if named && tenant.phone_providers.is_empty() && !touched("/branding/phone/providers") {
                        put::provider(tenant, &put::implied_provider());
                    }
                    let factors = ["/guardian/factors", "/guardian/factors/sms"];
                    if named && !self.exchanges.iter().any(|other| factors.contains(&other.below())) {
                        let sms = tenant.factors.iter_mut().filter(|factor| factor.name == "sms");
                        sms.for_each(|factor| factor.enabled = true);
                    }
                }
                Some(Method::Patch) if path.starts_with("/branding/phone/providers/") && done => {
                    let custom = sent["name"] == "custom";
                    if custom && tenant.actions.is_empty() && !touched("/actions/actions") {
                        put::action(tenant, &put::implied_action());
                    }
                }
                _ => {}
            }
        }
    }

    /// Rule 2: before the exchange at `index`. `known` tells the ids of the recording for which the twin has its own.
    pub fn before(&mut self, index: usize, tenant: &mut Tenant, known: &dyn Fn(&str) -> bool) {
        let exchange = &self.exchanges[index];
        if !exchange.succeeded() {
            return;
        }
        if self.starts_failing_build(index) {
            tenant.failing_builds = 1;
        }
        let mut wanted: Vec<(usize, String)> =
            objects(exchange).into_iter().map(|(kind, body)| (kind, text(&body, KINDS[kind].id))).collect();
        for (kind, id) in self.shown.keys() {
            if mentions(&exchange.sent, id) {
                wanted.push((*kind, id.clone()));
            }
        }
        wanted.extend(addressed(exchange));
        if exchange.below().starts_with("/connections/") && exchange.below().ends_with("/clients") {
            let clients = exchange.sent.as_array().into_iter().flatten();
            let ids = clients.filter_map(|client| client["client_id"].as_str());
            wanted.extend(ids.map(|id| (CLIENTS, id.to_owned())));
        }
        for (kind, id) in wanted {
            let key = (kind, id.clone());
            if self.created.contains(&key) || known(&id) || (KINDS[kind].has)(tenant, &id) {
                continue;
            }
            // What the recording has deleted stays deleted, whatever later replies show.
            let deleted = self.exchanges[..index].iter().any(|earlier| {
                earlier.method == Some(Method::Delete)
                    && earlier.succeeded()
                    && used::in_twin(earlier.method, earlier.below())
                    && addressed(earlier) == Some(key.clone())
            });
            if deleted {
                continue;
            }
            let later = self.shown.get(&key).into_iter().flatten().filter(|(at, _)| *at >= index);
            // A reply that `fields` cuts down is used only if there is no other.
            let full = later.min_by_key(|(at, _)| (self.exchanges[*at].path.contains("fields="), *at));
            match full {
                // The twin does not have this create call, so the object exists from this exchange on.
                Some((at, _)) if *at == index && exchange.method == Some(Method::Post) => {}
                Some((at, body)) => {
                    let mut body = body.clone();
                    // The filter of a list shows this member. Other replies lost it when a recorder rewrote them.
                    if self.shown[&key].iter().any(|(_, other)| other.get("global") == Some(&json!(true))) {
                        body.insert("global".into(), json!(true));
                    }
                    (KINDS[kind].put)(tenant, &body);
                    self.sources.insert(*at);
                }
                None => (KINDS[kind].put)(tenant, &bare(&KINDS[kind], &id)),
            }
        }
    }

    /// Whether the Action of this write is shown as `failed` before it is written again.
    fn starts_failing_build(&self, index: usize) -> bool {
        let of_it = |exchange: &Exchange, id: &Value| exchange.reply.get("id") == Some(id);
        let exchange = &self.exchanges[index];
        let Some(id) = exchange.reply.get("id").filter(|_| exchange.below().starts_with("/actions/actions"))
        else {
            return false;
        };
        let later = self.exchanges[index + 1..].iter().filter(|later| of_it(later, id));
        exchange.writes()
            && later.take_while(|later| !later.writes()).any(|later| later.reply["status"] == "failed")
    }

    /// Runs after an exchange that the twin has no operation for: makes the changes to our objects directly.
    pub fn after(&self, index: usize, tenant: &mut Tenant) {
        let exchange = &self.exchanges[index];
        if !exchange.succeeded() || used::in_twin(exchange.method, exchange.below()) || !exchange.writes() {
            return;
        }
        if exchange.method == Some(Method::Delete) {
            if let Some((kind, id)) = addressed(exchange) {
                (KINDS[kind].take)(tenant, &id);
            }
            return;
        }
        for (kind, body) in objects(exchange) {
            if !used::in_twin(Some(Method::Post), KINDS[kind].collection) {
                (KINDS[kind].put)(tenant, &body);
            }
        }
    }
}

/// The objects that a successful reply shows in full.
fn objects(exchange: &Exchange) -> Vec<(usize, Map<String, Value>)> {
    let path = exchange.below();
    let mut out = Vec::new();
    if !exchange.succeeded() {
        return out;
    }
    for (at, kind) in KINDS.iter().enumerate() {
        let one = path.strip_prefix(kind.collection).is_some_and(|rest| {
            rest.is_empty() || (rest.starts_with('/') && !rest[1..].contains('/') && rest.len() > 1)
        });
        if one {
            let list = exchange.reply.get(kind.list).or(Some(&exchange.reply)).and_then(Value::as_array);
            let single = std::slice::from_ref(&exchange.reply);
            for item in list.map_or(single, Vec::as_slice) {
                out.extend(with_id(kind, item).map(|mut body| {
                    // The filter of the list holds for all its items.
                    if exchange.path.contains("is_global=true") {
                        body.entry("global").or_insert(json!(true));
                    }
                    (at, body)
                }));
            }
        }
    }
    if path.starts_with("/actions/triggers/") {
        let bindings = exchange.reply.get("bindings").and_then(Value::as_array);
        let actions = bindings.into_iter().flatten().filter_map(|binding| binding.get("action"));
        out.extend(actions.filter_map(|action| with_id(&KINDS[0], action)).map(|body| (0, body)));
    }
    out
}

fn with_id(kind: &Kind, item: &Value) -> Option<Map<String, Value>> {
    let body = item.as_object()?;
    body.get(kind.id).filter(|id| id.is_string())?;
    Some(body.clone())
}

/// The object that a path names: `/clients/{id}` and paths below it.
fn addressed(exchange: &Exchange) -> Option<(usize, String)> {
    KINDS.iter().enumerate().find_map(|(at, kind)| {
        let rest = exchange.below().strip_prefix(kind.collection)?.strip_prefix('/')?;
        let id = rest.split('/').next().unwrap_or_default();
        (!id.is_empty()).then(|| (at, id.to_owned()))
    })
}

fn mentions(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => text == id,
        Value::Array(list) => list.iter().any(|item| mentions(item, id)),
        Value::Object(map) => map.values().any(|item| mentions(item, id)),
        _ => false,
    }
}

/// Removes from a body what a write put there.
fn without(body: &mut Map<String, Value>, sent: &Value) {
    for (key, value) in sent.as_object().into_iter().flatten() {
        match (body.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(_)) => without(inner, value),
            (Some(_), _) => {
                body.shift_remove(key);
            }
            (None, _) => {}
        }
    }
}

/// Lays one body over another, and their inner objects likewise.
fn overlay(body: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (body.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => overlay(old, new),
            (_, value) => {
                body.insert(key, value);
            }
        }
    }
}

/// Keeps the keys that at least one of two bodies has, at any depth.
fn restrict(body: &mut Map<String, Value>, one: &Map<String, Value>, two: &Map<String, Value>) {
    let none = Map::new();
    let inner = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_object).cloned();
    body.retain(|key, _| one.contains_key(key) || two.contains_key(key));
    for (key, value) in body.iter_mut() {
        if let Value::Object(map) = value {
            let (one, two) = (inner(one, key), inner(two, key));
            restrict(map, one.as_ref().unwrap_or(&none), two.as_ref().unwrap_or(&none));
        }
    }
}

/// Removes from a body what another body has, at any depth.
fn subtract(body: &mut Map<String, Value>, other: &Map<String, Value>) {
    body.retain(|key, value| match (value, other.get(key)) {
        (Value::Object(inner), Some(Value::Object(other))) => {
            subtract(inner, other);
            !inner.is_empty()
        }
        (_, found) => found.is_none(),
    });
}

fn touched(exchanges: &[Exchange], path: &str) -> bool {
    exchanges.iter().any(|exchange| exchange.below().starts_with(path))
}

/// An object of which only the id is known.
fn bare(kind: &Kind, id: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert(kind.id.into(), json!(id));
    body
}

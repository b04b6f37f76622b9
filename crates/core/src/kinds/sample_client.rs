//! The application (client) of a sample single-page application, with which a person can try a login.
//!
//! Pitfalls of the API: names are not unique; a new application is neither OIDC-conformant nor signed with RS256, allows
//! more grant types than it needs, and has no connection enabled, so that nobody could sign in. The reply that creates
//! it has a client secret, which this kind neither reads nor keeps.
//!
//! A mark in `client_metadata` names the stack that made the application. By it the application of a run that was killed
//! is found again. An application of others that only has the same name is never meant. No rule of the login depends on
//! the application, so this kind has no facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::identity::{self, Candidate, Clues, Meant};
use super::remote::clients::{
    self, CLIENTS, Connection, find_connection, has_client, list_enabled, list_marked, of_connection,
    read_client,
};
use super::urls;
use super::{
    Back, Diff, Done, Hint, Kind, Resource, Run, Seen, Task, WayBack, is_id, object, require_id, set_of,
    step, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Failed, Get, Repeat};
use crate::model::event::Event;
use crate::model::facts::Facts;
use crate::model::field::{FIELD, Field, Says, Section, Type, form, says};
use crate::model::ledger::{Entry, Last, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct SampleClient;

const NAME: &str = "sample_client";
/// Name of the application's id, in the record and in what `show` and `status` print.
const ID: &str = "client_id";
/// The field of the database connection whose users can sign in, and the note of the connection that was enabled.
const CONNECTION: &str = "connection";
/// The lists of addresses. Each has the manifest's `url` alone.
const ADDRESSES: [&str; 4] = ["callbacks", "allowed_logout_urls", "web_origins", "allowed_origins"];
const GRANT_TYPES: &str = "grant_types";
const SIGNING: &str = "jwt_configuration.alg";
/// The key of the mark in `client_metadata`. Its value is the name of the stack.
const MARK: &str = "lockstep_stack";
const MARK_FIELD: &str = "client_metadata.lockstep_stack";

/// What a step does. The ids are part of it, so that a plan names every object that it changes.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Create,
    Update,
    Restore,
    Delete,
    Enable { connection: String, name: String },
    Disable { connection: String },
}

/// What is known of the connections.
#[derive(Clone, Default)]
struct Own {
    /// The one that the manifest names.
    wanted: Option<Connection>,
    /// One that is to be disabled: this stack enabled it, and the manifest names another one or none.
    former: Option<Connection>,
}

static SECTION: Section = Section {
    path: NAME,
    doc: "An application with which a person can try a login, for examples/spa",
    required: false,
    fields: &[
        Field {
            key: "name",
            ty: Type::Text { min: 1, max: 255, check: form("^[^<>]*$", without_brackets) },
            wire: "name",
            doc: "name of the application, without < and >; defaults to `Lockstep sample (<stack>)`",
            ..FIELD
        },
        Field {
            key: "url",
            ty: Type::Text { min: 8, max: 255, check: form("^https?://[a-z0-9.\\-\\[\\]:]+$", origin) },
            default: Some("http://localhost:3000"),
            says: ADDRESSES_SAID,
            doc: "where the application is served: https, or http on this machine; it may send users back there after a \
                  login and a logout",
            ..FIELD
        },
        Field {
            key: CONNECTION,
            ty: Type::Text { min: 1, max: 128, check: form("^[A-Za-z0-9-]+$", connection_name) },
            doc: "name of the database connection whose users can sign in, such as Username-Password-Authentication",
            ..FIELD
        },
    ],
};

const ADDRESSES_SAID: &[Says] = &[
    says(NAME, "callbacks"),
    says(NAME, "allowed_logout_urls"),
    says(NAME, "web_origins"),
    says(NAME, "allowed_origins"),
];

static SECTIONS: &[&Section] = &[&SECTION];

fn without_brackets(value: &str) -> Result<(), (String, String)> {
    match value.contains(['<', '>']) {
        true => Err(("has < or >, which Auth0 refuses".into(), "take it out of the name".into())),
        false => Ok(()),
    }
}

/// Checks that a text is what a browser calls the origin of a page: it has to be the same text in every request.
fn origin(value: &str) -> Result<(), (String, String)> {
    let help = "write scheme, host and port alone, such as http://localhost:3000";
    urls::origin(value).map_err(|reason| (reason, help.to_owned()))
}

fn connection_name(value: &str) -> Result<(), (String, String)> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        true => Ok(()),
        false => Err((
            "is not the name of a connection, which has letters, digits and - only".into(),
            "copy the name from the dashboard (Authentication, Database)".into(),
        )),
    }
}

/// The values that every sample application has, whatever the manifest says.
fn fixed(stack: &str) -> [(&'static str, Value); 6] {
    [
        ("app_type", Value::text("spa")),
        (GRANT_TYPES, Value::Known(json!(["authorization_code", "refresh_token"]))),
        ("token_endpoint_auth_method", Value::text("none")),
        ("oidc_conformant", Value::Known(json!(true))),
        (SIGNING, Value::text("RS256")),
        (MARK_FIELD, Value::text(stack)),
    ]
}

/// Reads an application in any reply. Of a list with one address, the address is the value.
fn parse(client: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert(ID.into(), text(client, ID).to_owned());
    let mut put = |field: &str, value: Json| {
        if !value.is_null() {
            seen.attrs.insert(field.to_owned(), Value::Known(value));
        }
    };
    for field in ["name", "app_type", "token_endpoint_auth_method", "oidc_conformant"] {
        put(field, client[field].clone());
    }
    for field in ADDRESSES {
        let listed = set_of(client.get(field));
        put(
            field,
            match listed.as_array().map(Vec::as_slice) {
                None | Some([]) => Json::Null,
                Some([one]) => one.clone(),
                Some(_) => listed,
            },
        );
    }
    put(GRANT_TYPES, set_of(client.get(GRANT_TYPES)));
    put(SIGNING, client["jwt_configuration"]["alg"].clone());
    put(MARK_FIELD, client["client_metadata"][MARK].clone());
    seen
}

/// The application of a reply to a read.
fn of_reply(reply: &Json, id: &str) -> Result<Seen, Failed> {
    let what = format!("GET {CLIENTS}/{id}");
    match text(object(reply, &what)?, ID) == id {
        true => Ok(parse(reply)),
        false => Err(Failed::Misread(format!("{what}: not the application that was asked for"))),
    }
}

/// Reads the application with that id; `None`: there is none.
async fn read(id: &str, fresh: bool, reader: &Reader) -> Result<Option<Seen>, Failed> {
    let get = read_client(id);
    let reply = match fresh {
        true => reader.fresh(&get).await,
        false => reader.get(&get).await.map(|reply| (*reply).clone()),
    };
    match reply {
        Ok(reply) => of_reply(&reply, id).map(Some),
        Err(failed) if failed.status() == Some(404) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// The body of a write with these values. Null takes a value away.
fn body(values: &Attrs) -> Json {
    let mut body = Map::new();
    for (field, value) in values {
        let value = match value {
            Value::Secret(secret) => json!(secret.expose()),
            other => other.known().cloned().unwrap_or(Json::Null),
        };
        match field.split_once('.') {
            _ if field == CONNECTION => continue,
            Some((object, key)) => body.insert(object.to_owned(), json!({ key: value })),
            None if ADDRESSES.contains(&field.as_str()) => {
                let list = match value {
                    Json::Null => json!([]),
                    Json::Array(_) => value,
                    one => json!([one]),
                };
                body.insert(field.clone(), list)
            }
            None => body.insert(field.clone(), value),
        };
    }
    Json::Object(body)
}

/// Whether the application has all these values, apart from its connection. Null stands for an absent value.
fn has_values(seen: &Seen, values: &Attrs) -> bool {
    let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or(Json::Null);
    let same = |(field, value): (&String, &Value)| match value {
        Value::Secret(secret) => there(field).as_str() == Some(secret.expose()),
        value => value.known() == Some(&there(field)),
    };
    values.iter().filter(|(field, _)| *field != CONNECTION).all(same)
}

/// The values that a step puts back.
fn written(step: &Step) -> Attrs {
    let values = step.op.values.iter().flatten();
    values.map(|(field, value)| (field.clone(), Value::Known(value.clone()))).collect()
}

/// The connection that this stack enabled, if the record says so.
fn noted(entry: Option<&Entry>) -> Option<Connection> {
    let note = entry.filter(|entry| !entry.unproven)?.notes.get(CONNECTION)?;
    let (id, name) = (text(note, "id").to_owned(), text(note, "name").to_owned());
    (is_id(&id) && !name.is_empty()).then_some(Connection { id, name })
}

fn enabled_now(mut seen: Seen, connection: &Connection) -> Seen {
    seen.attrs.insert(CONNECTION.into(), Value::text(&connection.name));
    seen
}

/// Looks up the connection that the manifest names, and in which connections the application is enabled.
async fn look_up_connections(hint: &Hint<'_>, seen: &mut Seen, reader: &Reader) -> Result<(), Failed> {
    let name = hint.want.and_then(|want| want.desired.get(CONNECTION)).and_then(Value::as_str);
    let wanted = match name {
        Some(name) => of_connection(&*reader.get(&find_connection(name)).await?, name)?,
        None => None,
    };
    if let (Some(name), None) = (name, &wanted) {
        seen.finding(
            codes::NOT_THERE,
            hint.address,
            Level::Blocker,
            format!("the tenant has no database connection named {name:?}"),
            "make it in the dashboard (Authentication, Database), or name one that is there in sample_client.connection",
        );
    }
    // A connection of which the manifest says nothing stays as it is.
    let may_leave = wanted.is_some() || hint.want.is_none();
    let other = |former: &Connection| wanted.as_ref().is_none_or(|wanted| wanted.id != former.id);
    let mut former = noted(hint.entry).filter(|former| seen.exists && may_leave && other(former));
    let id = seen.ids.get(ID).cloned().unwrap_or_default();
    let mut is_in = Vec::new();
    for connection in [&wanted, &former].into_iter().filter_map(Option::as_ref).filter(|_| seen.exists) {
        match reader.get(&list_enabled(&connection.id)).await {
            Ok(list) if has_client(&list, &id)? => is_in.push(connection.clone()),
            // A connection that is gone has no applications.
            Err(failed) if failed.status() != Some(404) => return Err(failed),
            _ => {}
        }
    }
    former = former.filter(|former| is_in.contains(former));
    if let Some(shown) = former.as_ref().or(is_in.first()) {
        seen.attrs.insert(CONNECTION.into(), Value::text(&shown.name));
    }
    seen.keep(|own: &mut Own| *own = Own { wanted, former });
    Ok(())
}

impl Kind for SampleClient {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        CLIENTS
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let Some(attrs) = manifest.section(NAME) else { return Vec::new() };
        let mut desired = attrs.clone();
        if let Some(url) = desired.remove("url") {
            desired.extend(ADDRESSES.map(|field| (field.to_owned(), url.clone())));
        }
        let default = || Value::text(format!("Lockstep sample ({})", manifest.stack));
        desired.entry("name".into()).or_insert_with(default);
        desired.extend(fixed(&manifest.stack).map(|(field, value)| (field.to_owned(), value)));
        vec![Resource { address: Address::of(NAME), kind: NAME, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        // Both are needed before the first write: one is a part of a request's path, and each has to be one text.
        for key in [CONNECTION, "url"] {
            let Some(value) = manifest.get(NAME, key) else { continue };
            if matches!(value, Value::Known(_) | Value::Unknown(_)) {
                continue;
            }
            out.push(Problem::error(
                codes::BAD_REFERENCE,
                format!("{NAME}.{key}"),
                format!("{key} cannot be a secret or an output of this stack"),
                "it is public, and it has to be known before the first step",
                "write the value itself, or use ${env.NAME}",
            ));
        }
    }

    fn prefetch(&self, want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        want.desired.get(CONNECTION).and_then(Value::as_str).map(find_connection).into_iter().collect()
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let recorded = hint.clues(ID, "").recorded.filter(|id| is_id(id));
            let found = match recorded {
                Some(id) => read(id, false, reader).await?,
                None => None,
            };
            let mut seen = match found {
                Some(seen) => seen,
                None if hint.want.is_none() => return Ok(Seen::default()),
                None => find_marked(&hint, recorded, reader).await?,
            };
            look_up_connections(&hint, &mut seen, reader).await?;
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let own = diff.seen.own::<Own>().map(|own| (*own).clone()).unwrap_or_default();
        let mut steps = Vec::new();
        let verb = if diff.seen.exists { Verb::Update } else { Verb::Create };
        let differs = |field: &str| diff.changes.iter().any(|change| change.field == field);
        if !diff.seen.exists {
            let mut create = diff.step(verb, Stage::Tenant, "create the application", Op::of(Act::Create));
            create.creates = true;
            create.reason = match diff.entry {
                Some(_) => "it was deleted outside; a new one has another client_id".into(),
                None => "it does not exist".into(),
            };
            steps.push(create);
        } else if diff.changes.iter().any(|change| change.field != CONNECTION) {
            let names = diff.changes.iter().map(|change| change.field.as_str());
            let names: Vec<&str> = names.filter(|field| *field != CONNECTION).collect();
            let mut update = diff.step(verb, Stage::Tenant, "update the application", Op::of(Act::Update));
            update.reason = format!("{} differ{}", names.join(", "), if names.len() == 1 { "s" } else { "" });
            steps.push(update);
        }
        let Some(wanted) = own.wanted.filter(|_| differs(CONNECTION)) else { return steps };
        if let Some(former) = own.former {
            let mut disable = diff.step(
                verb,
                Stage::Tenant,
                &format!("disable the connection {}", former.name),
                Op::of(Act::Disable { connection: former.id }),
            );
            disable.reason = "the manifest names another one".into();
            steps.push(disable);
        }
        let what = format!("enable the connection {}", wanted.name);
        let act = Act::Enable { connection: wanted.id, name: wanted.name };
        let mut enable = diff.step(verb, Stage::Tenant, &what, Op::of(act));
        enable.reason = "without it, no user of the connection can sign in with the application".into();
        steps.push(enable);
        steps
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        if entry.ownership == Ownership::Created {
            let what = "delete the application";
            let mut step = step(address, NAME, Verb::Delete, Stage::Tenant, what, Op::of(Act::Delete));
            step.reason = "it was created by this stack".into();
            return vec![step];
        }
        put_back(address, seen, entry)
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match step.op.act() {
            Ok(Act::Enable { .. } | Act::Disable { .. }) => &["update:connections"],
            Ok(Act::Create) => &["create:clients"],
            Ok(Act::Delete) => &["delete:clients"],
            _ => &["update:clients"],
        }
    }

    fn facts(&self, _address: &Address, _seen: &Seen) -> Facts {
        Facts::new()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get(ID).cloned().unwrap_or_default();
            let path = format!("{CLIENTS}/{id}");
            let reply = match run.act()? {
                Act::Create => {
                    let reply =
                        writer.json(Method::Post, CLIENTS, body(run.desired), Repeat::NeverBlind).await?;
                    let seen = require_id(parse(&reply), ID)?;
                    tell_id(&run, &seen, writer.reader());
                    return Ok(Done::seen(with_own(seen, &run)));
                }
                Act::Update => writer.json(Method::Patch, path, body(run.desired), Repeat::Safe).await?,
                Act::Restore => {
                    writer.json(Method::Patch, path, body(&written(run.step)), Repeat::Safe).await?
                }
                Act::Delete => {
                    return match writer.json(Method::Delete, path, Json::Null, Repeat::Safe).await {
                        Err(failed) if failed.status() != Some(404) => Err(failed),
                        _ => Ok(Done::seen(Seen::default())),
                    };
                }
                Act::Enable { connection, name } => {
                    switch(&connection, &id, true, writer).await?;
                    return Ok(enabled(&run, &Connection { id: connection, name }));
                }
                Act::Disable { connection } => {
                    match switch(&connection, &id, false, writer).await {
                        Err(failed) if failed.status() != Some(404) => return Err(failed),
                        _ => {}
                    }
                    return Ok(disabled(&run));
                }
            };
            let seen = require_id(parse(&reply), ID)?;
            if seen.ids.get(ID) != Some(&id) {
                return Err(Failed::Unknown("the reply to a write shows another application".into()));
            }
            Ok(Done::seen(with_own(seen, &run)))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get(ID).cloned().unwrap_or_default();
            let act: Act = run.act()?;
            match &act {
                Act::Create => return find_created(&run, reader).await,
                Act::Enable { connection, name } => {
                    let is_in = is_enabled(connection, &id, reader).await?;
                    let connection = Connection { id: connection.clone(), name: name.clone() };
                    return Ok(is_in.then(|| enabled(&run, &connection)));
                }
                Act::Disable { connection } => {
                    let is_in = is_enabled(connection, &id, reader).await?;
                    return Ok((!is_in).then(|| disabled(&run)));
                }
                Act::Update | Act::Restore | Act::Delete => {}
            }
            let now = read(&id, true, reader).await?;
            let took = match (&now, &act) {
                (None, act) => matches!(act, Act::Delete),
                (Some(seen), Act::Update) => has_values(seen, run.desired),
                (Some(seen), Act::Restore) => has_values(seen, &written(run.step)),
                (Some(_), _) => false,
            };
            Ok(took.then(|| Done::seen(now.map(|seen| with_own(seen, &run)).unwrap_or_default())))
        })
    }

    /// The id of a connection that was disabled is not on record, so a connection that is not there cannot come back.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        entry.notes = back.recorded.map(|entry| entry.notes.clone()).unwrap_or_default();
        let named = entry.restore.get(CONNECTION).filter(|was| !was.is_null());
        let there = back.seen.attrs.get(CONNECTION).and_then(Value::known);
        let stays = named.filter(|was| there != Some(was) && entry.fields.contains_key(CONNECTION));
        let stays = stays.map(|_| "the connection stays: name it in the manifest and apply".to_owned());
        WayBack {
            steps: self.removal(back.address, back.seen, &entry),
            notes: stays.into_iter().collect(),
            stays: None,
        }
    }

    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or(Json::Null);
        let fixed = fixed("").map(|(field, _)| field);
        let all = ADDRESSES.into_iter().chain(fixed).chain(["name", CONNECTION]);
        all.map(|field| (field.to_owned(), there(field))).collect()
    }
}

/// The application with the mark of this stack, or what is known if there is none.
async fn find_marked(hint: &Hint<'_>, recorded: Option<&str>, reader: &Reader) -> Result<Seen, Failed> {
    let reply = reader.get(&list_marked()).await?;
    let marked = clients::marked(&reply, MARK, hint.stack)?;
    let clues = Clues { recorded, name: hint.stack, former_name: None, ..hint.clues(ID, "") };
    // The mark takes the place of a name.
    let candidates: Vec<Candidate<'_>> =
        marked.iter().map(|id| Candidate { id, name: hint.stack, matches: true }).collect();
    let those = match identity::meant(&clues, &candidates) {
        Meant::One(at, whose) => {
            if let Some(seen) = read(&marked[at], false, reader).await? {
                return Ok(Seen { whose, ..seen });
            }
            Vec::new()
        }
        Meant::Ambiguous(those) => those,
        Meant::Absent => Vec::new(),
    };
    let several: Vec<&str> = those.iter().map(|at| marked[*at].as_str()).collect();
    let mut seen = Seen { beside: marked.clone(), ..Seen::default() };
    if !several.is_empty() {
        seen.finding(
            codes::SEVERAL_FIT,
            hint.address,
            Level::Blocker,
            format!(
                "{} applications are marked as made by this stack: {}",
                several.len(),
                several.join(", ")
            ),
            format!("delete all but the right one, or take {MARK} out of their metadata"),
        );
    }
    Ok(seen)
}

/// Looks for the application that a create made although its reply was lost.
async fn find_created(run: &Run<'_>, reader: &Reader) -> Result<Option<Done>, Failed> {
    let reply = reader.fresh(&list_marked()).await?;
    let mut new = clients::marked(&reply, MARK, &run.manifest.stack)?;
    new.retain(|id| !run.seen.beside.contains(id));
    match new.as_slice() {
        [] => Ok(None),
        [id] => {
            let Some(seen) = read(id, true, reader).await? else { return Ok(None) };
            tell_id(run, &seen, reader);
            Ok(Some(Done::seen(with_own(seen, run))))
        }
        several => Err(Failed::Unknown(format!(
            "several new applications are marked as made by this stack: {}; delete all but one",
            several.join(", ")
        ))),
    }
}

/// Tells the id of a new application: whoever serves the sample needs it.
fn tell_id(run: &Run<'_>, seen: &Seen, reader: &Reader) {
    let id = seen.ids.get(ID).map(String::as_str).unwrap_or_default();
    reader.tell(Event::notice(format!("{}: the client_id of the application is {id}", run.address)));
}

/// The state after a write of the application, with what is known of its connections.
fn with_own(mut seen: Seen, run: &Run<'_>) -> Seen {
    if let Some(shown) = run.seen.attrs.get(CONNECTION) {
        seen.attrs.insert(CONNECTION.into(), shown.clone());
    }
    Seen { own: run.seen.own.clone(), ..seen }
}

fn enabled(run: &Run<'_>, connection: &Connection) -> Done {
    let note = json!({ "id": connection.id, "name": connection.name });
    let notes = BTreeMap::from([(CONNECTION.to_owned(), note)]);
    Done { notes, ..Done::seen(enabled_now(run.seen.clone(), connection)) }
}

fn disabled(run: &Run<'_>) -> Done {
    let mut seen = run.seen.clone();
    seen.attrs.remove(CONNECTION);
    seen.keep(|own: &mut Own| own.former = None);
    Done { notes: BTreeMap::from([(CONNECTION.to_owned(), Json::Null)]), ..Done::seen(seen) }
}

/// Enables or disables an application for a connection.
async fn switch(connection: &str, client: &str, is_on: bool, writer: &mut Writer) -> Result<Json, Failed> {
    if !is_id(connection) || !is_id(client) {
        return Err(Failed::NotDone("the plan does not name a connection and an application".into()));
    }
    let body = json!([{ "client_id": client, "status": is_on }]);
    writer.json(Method::Patch, clients::enabled_path(connection), body, Repeat::Safe).await
}

async fn is_enabled(connection: &str, client: &str, reader: &Reader) -> Result<bool, Failed> {
    match reader.fresh(&list_enabled(connection)).await {
        Ok(list) => has_client(&list, client),
        Err(failed) if failed.status() == Some(404) => Ok(false),
        Err(failed) => Err(failed),
    }
}

/// The steps that put back what this stack changed in an application that it did not create.
fn put_back(address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
    let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or(Json::Null);
    let is_ours = |field: &str| matches!(entry.fields.get(field), Some(Last::Plain(_) | Last::Print { .. }));
    let changed = entry.restore.iter().filter(|(field, was)| is_ours(field) && there(field) != **was);
    let mut values: BTreeMap<String, Json> =
        changed.map(|(field, was)| (field.clone(), was.clone())).collect();
    let connection = values.remove(CONNECTION);
    let mut steps = Vec::new();
    let mut add = |what: &str, op: Op| {
        let mut step = step(address, NAME, Verb::Update, Stage::Tenant, what, op);
        step.reason = "it existed before this stack".into();
        steps.push(step);
    };
    if let (Some(Json::Null), Some(connection)) = (connection, noted(Some(entry))) {
        let what = format!("disable the connection {}", connection.name);
        let value = [(CONNECTION.to_owned(), Json::Null)];
        add(&what, Op::of(Act::Disable { connection: connection.id }).writing(value));
    }
    if !values.is_empty() {
        let names: Vec<&str> = values.keys().map(String::as_str).collect();
        let what = format!("put back {}", names.join(", "));
        add(&what, Op::of(Act::Restore).writing(values.clone()));
    }
    steps
}

//! Writes the manifest of a tenant that people set up by hand, or with another tool.
//!
//! The kinds already know how a tenant is read, and the tables which key says which field. So a manifest with everything
//! that is found is declared and observed as for a plan, and each observed field is written at the key that says it. What
//! is written is then read as any manifest is: what would be refused is taken out again and told, and so is each field
//! that a first apply would still change. Nothing here can write to the tenant: it holds a [`Reader`].

mod doc;
pub mod fleet;
mod names;
mod suspects;
pub mod terraform;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

pub use doc::Doc;
pub use suspects::suspects;

use crate::builtin;
use crate::diag::Severity;
use crate::kinds::adopting::{self, Ask, Found, OF_FOUND, Unread, Wish};
use crate::kinds::{self, Hint, Resource, Seen, Task};
use crate::manifest::{self, FileError, Missing, Sources, places};
use crate::model::address::Address;
use crate::model::call::{Failed, Get};
use crate::model::field::{Type, flat};
use crate::model::manifest::Manifest;
use crate::model::plan::Level;
use crate::model::text::line_of;
use crate::model::value::{Attrs, Ids, Value};
use crate::plan::desired::{declared, tables};
use crate::port::{Reader, join_all};
use doc::{Path, Said, path_of};

/// The connection of the manifest that is written.
#[derive(Clone, Debug)]
pub struct Head {
    /// Name of the stack; `None`: that of the only record in the tenant, or one made of the tenant's name.
    pub stack: Option<String>,
    /// Name of the stack where the tenant has no record; `None`: one made of the tenant's name.
    pub otherwise: Option<String>,
    pub tenant: String,
    pub account: String,
    /// The account's auth token connects, and not an API key.
    pub by_token: bool,
    /// Name of the file that the manifest is written to, without `.yaml`: the names of the code's files begin with it.
    pub stem: String,
    /// The manifest is the base of a fleet: each tenant has variables and a row of its own.
    pub in_fleet: bool,
}

/// A variable that the manifest names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    pub name: String,
    /// Dotted path of the key that takes it.
    pub key: String,
}

/// The written manifest, and what a person should know.
#[derive(Clone, Debug, Default)]
pub struct Adopted {
    pub stack: String,
    pub manifest: String,
    /// Code beside the manifest: file name and text.
    pub files: BTreeMap<String, String>,
    /// Variables to set, besides those of the connection.
    pub variables: BTreeSet<Variable>,
    /// What the tenant has and the manifest does not say, in words.
    pub left: Vec<String>,
    /// What a first apply would still change, in words.
    pub changes: Vec<String>,
    /// Lines of code that hold what looks like a key or a token: file name and line.
    pub suspects: Vec<(String, usize)>,
    /// What the manifest says, by the path of each key.
    pub keys: BTreeMap<Path, Said>,
    /// The ids of every resource of the manifest.
    pub ids: BTreeMap<Address, Ids>,
}

/// Longest line of what a person should know, in characters.
const LINE_MAX: usize = 400;

/// Why nothing is written.
#[derive(Debug)]
pub enum Stop {
    /// These parts could not be read.
    Unread(Vec<(String, Failed)>),
    /// Several objects could be meant.
    Ask(Vec<Ask>),
}

/// Reads the tenant and writes its manifest.
///
/// # Errors
/// A part of the tenant cannot be read, or a person has to say which object is meant.
pub async fn adopt(wish: &Wish, head: &Head, reader: &Reader) -> Result<Adopted, Stop> {
    let found = find(wish, head, reader).await?;
    if !found.asks.is_empty() {
        return Err(Stop::Ask(found.asks));
    }
    let stack = match (&head.stack, found.stacks.as_slice()) {
        (Some(stack), _) => stack.clone(),
        (None, [stack]) if names::is_stack(stack) => stack.clone(),
        (None, _) => head.otherwise.clone().unwrap_or_else(|| names::stack(&head.tenant)),
    };
    let mut doc = Doc::new(&stack, head);
    doc.keys.extend(found.keys.iter().map(|(path, value)| (path.clone(), Said::Plain(value.clone()))));
    let mut adopted = Adopted { stack, left: found.left.clone(), ..Adopted::default() };
    let probe = probe(&doc, &found);
    let seen = observe(&probe, &declared(&probe), reader).await?;
    let origins = write_fields(&mut doc, &probe, &seen, &mut adopted);
    let too_long = |(path, said): &(&Path, &Said)| doc::is_too_long(path, said);
    for path in doc.keys.iter().filter(too_long).map(|(path, _)| path.clone()).collect::<Vec<_>>() {
        adopted.left.push(format!("{}: it is too long", path_of(&path)));
        doc.keys.remove(&path);
    }
    shorten(&mut doc, &origins);
    name_code(&mut doc, &seen, &head.stem, &mut adopted);
    let written = mend(&mut doc, &mut adopted);
    adopted
        .files
        .retain(|name, _| doc.keys.values().any(|said| matches!(said, Said::File(file) if file == name)));
    adopted.variables = doc.variables();
    for (file, code) in &adopted.files {
        adopted.suspects.extend(suspects(code).into_iter().map(|line| (file.clone(), line)));
    }
    compare(&written, seen, &mut adopted, reader).await?;
    // Names and messages of others are in these lines.
    for line in adopted.left.iter_mut().chain(&mut adopted.changes) {
        *line = line_of(line, LINE_MAX);
    }
    adopted.manifest = text::manifest(&doc, &adopted);
    adopted.keys = doc.keys;
    Ok(adopted)
}

/// Finds what has no place of its own, while the settings of each tenant are read as well.
async fn find(wish: &Wish, head: &Head, reader: &Reader) -> Result<Found, Stop> {
    let gets_of = |manifest: &Manifest| -> Vec<Get> {
        let wanted = declared(manifest);
        let gets = wanted.iter().filter_map(|want| Some(kinds::by_name(want.kind)?.prefetch(want, manifest)));
        gets.flatten().collect::<BTreeSet<_>>().into_iter().collect()
    };
    let settings = probe(&Doc::new("x", head), &Found::default());
    let wanted = declared(&settings);
    let gets = gets_of(&settings);
    let next = |found: &Found| {
        let mut doc = Doc::new("x", head);
        doc.keys.extend(found.keys.iter().map(|(path, value)| (path.clone(), Said::Plain(value.clone()))));
        gets_of(&probe(&doc, found))
    };
    let mut found = None;
    {
        let slot = &mut found;
        let all: Vec<Task<'_, ()>> = vec![
            Box::pin(async { *slot = Some(adopting::find(wish, reader, &next).await) }),
            Box::pin(adopting::read_all(&gets, reader)),
        ];
        join_all(all).await;
    }
    match found {
        Some(Ok(found)) => Ok(found),
        Some(Err(unread)) => {
            let mut all: Vec<(String, Failed)> =
                unread.into_iter().map(|Unread { what, why }| (what.to_owned(), why)).collect();
            // The settings that cannot be read are told in the same run.
            if let Err(Stop::Unread(more)) = observe(&settings, &wanted, reader).await {
                all.extend(more);
            }
            Err(Stop::Unread(all))
        }
        None => Err(Stop::Unread(vec![("the tenant".into(), Failed::Stopped)])),
    }
}

/// A manifest that declares everything that is found and every setting, so that the kinds observe it. A key that only is
/// to be observed has an unknown value.
fn probe(doc: &Doc, found: &Found) -> Manifest {
    let mut manifest = doc.manifest();
    for (path, value) in &found.probed {
        doc::put(&mut manifest, path, Value::Known(value.clone()));
    }
    for section in kinds::sections() {
        let is_there = manifest.sections.contains_key(section.path);
        let is_wanted = match OF_FOUND.contains(&section.path) {
            true => is_there,
            // Each of the two phone set-ups has templates of its own.
            false if section.path.starts_with("phone.") => {
                found.is_legacy == Some(section.path == "phone.legacy_templates")
            }
            false => true,
        };
        if !is_wanted {
            continue;
        }
        if kinds::is_only_used(&manifest, section.path) {
            continue;
        }
        let attrs = manifest.sections.entry(section.path.to_owned()).or_default();
        for (key, field) in flat(section.fields) {
            let is_named = matches!(field.ty, Type::Map { .. } | Type::Named { .. });
            // An alternative to the key of its own name, or a key that only a create sends.
            let is_open = field.default.is_none() && !is_named && !field.wire.is_empty();
            if is_open && !matches!(field.ty, Type::Code) {
                attrs.entry(key).or_insert_with(|| Value::Unknown("to be observed".into()));
            }
        }
    }
    manifest
}

/// Observes resources as a plan does, without a record.
async fn observe(
    manifest: &Manifest,
    wanted: &[Resource],
    reader: &Reader,
) -> Result<BTreeMap<Address, Seen>, Stop> {
    let tasks: Vec<Task<'_, (Address, Result<Seen, Failed>)>> = wanted
        .iter()
        .filter_map(|want| {
            let kind = kinds::by_name(want.kind)?;
            let hint = Hint {
                address: &want.address,
                want: Some(want),
                entry: None,
                record: None,
                intent: None,
                has_ledger: false,
                ledger_in_tenant: false,
                stack: &manifest.stack,
                manifest,
            };
            let seen = kind.observe(hint, reader);
            Some(Box::pin(async move { (want.address.clone(), seen.await) }) as Task<'_, _>)
        })
        .collect();
    let (mut all, mut unread) = (BTreeMap::new(), Vec::new());
    for (address, result) in join_all(tasks).await {
        match result {
            Ok(seen) if seen.not_read => {
                let why =
                    seen.findings.iter().map(|finding| finding.text.clone()).collect::<Vec<_>>().join("; ");
                unread.push((address.to_string(), Failed::NotDone(why)));
            }
            Ok(seen) => drop(all.insert(address, seen)),
            Err(why) => unread.push((address.to_string(), why)),
        }
    }
    if unread.is_empty() { Ok(all) } else { Err(Stop::Unread(unread)) }
}

/// The field of a resource that a written key says.
type Origins = BTreeMap<Path, (Address, String)>;

/// Writes every observed field at the key that says it.
fn write_fields(
    doc: &mut Doc,
    probe: &Manifest,
    seen_all: &BTreeMap<Address, Seen>,
    adopted: &mut Adopted,
) -> Origins {
    let mut origins = Origins::new();
    for (address, seen) in seen_all {
        let told = seen.findings.iter().filter(|one| matches!(one.level, Level::Warning | Level::Blocker));
        adopted.left.extend(told.map(|one| format!("{address}: {} ({})", one.text, one.help)));
        let Some(kind) = kinds::by_name(address.kind()).filter(|_| seen.exists) else { continue };
        // What others manage is neither said nor handed over.
        if kind.only_uses(probe) {
            continue;
        }
        let never_set = kind.never_set();
        if !never_set.is_empty() && seen.attrs == never_set {
            continue;
        }
        adopted.ids.insert(address.clone(), seen.ids.clone());
        for (field, value) in &seen.attrs {
            let Some(path) = places::path_to_write(probe, address, field) else { continue };
            if path[0] == "auth0" || path[0] == "twilio" || doc.keys.contains_key(&path) {
                continue;
            }
            let Some(table) = doc::field_of(&path) else { continue };
            match doc::said(&path, table, value) {
                Ok(Some(said)) => {
                    let said = as_output(&path, said, seen_all);
                    origins.insert(path.clone(), (address.clone(), field.clone()));
                    doc.keys.insert(path, said);
                }
                Ok(None) => {}
                Err(word) => adopted
                    .left
                    .push(format!("{}: the tenant has {word}, which a manifest cannot say", path_of(&path))),
            }
        }
    }
    origins
}

/// A text that is an output of another resource, as a reference to it: a new object has another id or URL.
fn as_output(path: &Path, said: Said, seen: &BTreeMap<Address, Seen>) -> Said {
    let Said::Plain(Json::String(text)) = &said else { return said };
    let is_it = |name: &String| {
        let there = name.split_once('.').and_then(|(resource, output)| seen.get(resource)?.ids.get(output));
        there.is_some_and(|id| id == text)
    };
    match kinds::outputs_for(&path_of(&path[..path.len() - 1])).into_iter().find(is_it) {
        Some(name) => Said::Reference(name),
        None => said,
    }
}

/// Takes out the keys whose values hold without them: a default of the tables, or one that a kind makes.
fn shorten(doc: &mut Doc, origins: &Origins) {
    let whole = doc.manifest();
    let with_all = by_address(declared(&whole));
    let needless = |path: &Path, said: &Said| {
        let Some((address, field)) = origins.get(path) else { return false };
        if !matches!(said, Said::Plain(_) | Said::Reference(_)) {
            return false;
        }
        let Some(table) = doc::field_of(path).filter(|table| !table.required) else { return false };
        if let Some(default) = table.default {
            return *said == Said::Plain(doc::default_of(default));
        }
        let mut without = whole.clone();
        doc::take(&mut without, path);
        let same = by_address(declared(&without)).get(address).and_then(|attrs| attrs.get(field)).cloned();
        same.is_some() && same == with_all.get(address).and_then(|attrs| attrs.get(field)).cloned()
    };
    let gone: Vec<Path> =
        doc.keys.iter().filter(|(path, said)| needless(path, said)).map(|(path, _)| path.clone()).collect();
    gone.iter().for_each(|path| drop(doc.keys.remove(path)));
}

fn by_address(resources: Vec<Resource>) -> BTreeMap<Address, Attrs> {
    resources.into_iter().map(|one| (one.address, one.desired)).collect()
}

/// Gives each code a file, or the name of the built-in that it is.
fn name_code(doc: &mut Doc, seen: &BTreeMap<Address, Seen>, stem: &str, adopted: &mut Adopted) {
    let codes: Vec<(Path, String)> = doc
        .keys
        .iter()
        .filter_map(|(path, said)| match said {
            Said::Code(code) => Some((path.clone(), code.clone())),
            _ => None,
        })
        .collect();
    let whole = doc.manifest();
    for (path, code) in codes {
        let there = |address: &Address| seen.get(address).and_then(|seen| seen.attrs.get("code"));
        let is_sent_as = |name: &&&str| {
            let mut manifest = whole.clone();
            doc::put(&mut manifest, &path, Value::text(builtin::source(name).unwrap_or_default()));
            let wanted = declared(&manifest);
            let mut those = wanted.iter().filter(|want| {
                kinds::by_name(want.kind).is_some_and(|kind| {
                    kind.sections().iter().any(|section| section.path == path_of(&path[..path.len() - 1]))
                })
            });
            those.any(|want| want.desired.get("code").is_some_and(|sent| Some(sent) == there(&want.address)))
        };
        let said = match builtin::NAMES.iter().find(is_sent_as) {
            Some(name) => Said::Plain(json!(format!("builtin:{name}"))),
            None => {
                let kind = path[..path.len() - 1].join("-").replace('_', "-");
                let file = format!("{stem}.{kind}.js");
                adopted.files.insert(file.clone(), code);
                Said::File(file)
            }
        };
        doc.keys.insert(path, said);
    }
}

/// Code beside the manifest that is not written yet.
struct Beside<'a>(&'a BTreeMap<String, String>);

impl Sources for Beside<'_> {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        self.0.get(path.trim_start_matches("./")).cloned().ok_or(FileError::Missing)
    }
}

/// Takes out what a reader of the manifest would refuse, until nothing is refused. Returns the manifest as it is read.
fn mend(doc: &mut Doc, adopted: &mut Adopted) -> Manifest {
    loop {
        let text = text::body(doc);
        let parsed = match manifest::read("adopted.yaml", &text, &tables()) {
            Ok(parsed) => parsed,
            Err(rejected) => {
                // Nothing can be read that has an error, so the first one is mended alone.
                let refused = rejected.diagnostics.iter().find(|one| one.problem.severity == Severity::Error);
                let Some(refused) = refused else { return doc.manifest() };
                if !take_out(
                    doc,
                    &refused.problem.path,
                    &refused.problem.title,
                    &refused.problem.reason,
                    adopted,
                ) {
                    return doc.manifest();
                }
                continue;
            }
        };
        let examined =
            manifest::examine(&parsed, &Beside(&adopted.files), Missing::UnknownButFiles, &kinds::check);
        let refused = examined.diagnostics.iter().find(|one| one.problem.severity == Severity::Error);
        let Some(refused) = refused else { return examined.manifest };
        let problem = &refused.problem;
        if !take_out(doc, &problem.path, &problem.title, &problem.reason, adopted) {
            return examined.manifest;
        }
    }
}

/// Takes the key of a problem out, with everything that cannot stand without it. `false`: there is no such key.
fn take_out(doc: &mut Doc, at: &str, title: &str, reason: &str, adopted: &mut Adopted) -> bool {
    let Some(gone) = doc.unit(at) else { return false };
    let before = doc.keys.len();
    doc.keys.retain(|path, _| !path.starts_with(&gone));
    adopted.left.push(format!(
        "{}: {} ({})",
        line_of(&path_of(&gone), 120),
        line_of(title, 200),
        line_of(reason, 300)
    ));
    doc.keys.len() < before
}

/// Tells the fields that a first apply would change.
async fn compare(
    written: &Manifest,
    mut seen: BTreeMap<Address, Seen>,
    adopted: &mut Adopted,
    reader: &Reader,
) -> Result<(), Stop> {
    let wanted = declared(written);
    let new: Vec<Resource> =
        wanted.iter().filter(|want| !seen.contains_key(&want.address)).cloned().collect();
    seen.extend(observe(written, &new, reader).await?);
    adopted.ids.retain(|address, _| wanted.iter().any(|want| want.address == *address));
    for want in &wanted {
        let (Some(kind), Some(there)) = (kinds::by_name(want.kind), seen.get(&want.address)) else {
            continue;
        };
        if kind.api_path().is_empty() {
            continue;
        }
        if !there.exists {
            adopted
                .changes
                .push(format!("{}: the tenant does not have it, and an apply makes it", want.address));
            continue;
        }
        let differs = |(field, wanted): &(&String, &Value)| {
            let Some(wanted_json) = wanted.known() else { return false };
            match there.attrs.get(*field) {
                Some(now @ Value::Known(json)) => json != wanted_json && !kind.tolerates(field, wanted, now),
                Some(_) => false,
                None => !wanted_json.as_array().is_some_and(Vec::is_empty),
            }
        };
        let fields: Vec<String> =
            want.desired.iter().filter(differs).map(|(field, _)| line_of(field, 80)).collect();
        if !fields.is_empty() {
            adopted.changes.push(format!("{}: {}", want.address, fields.join(", ")));
        }
    }
    Ok(())
}

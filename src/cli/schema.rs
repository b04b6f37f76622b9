//! `lockstep schema`: the JSON Schemas of the manifest and of what the program prints.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::error::Result;
use super::exit::Exit;
use super::setup::Shell;
use crate::manifest::schema;
use crate::plan::desired::tables;

/// Print the JSON Schema of the manifest, or of what a command prints as JSON
///
/// For editors and scripts. The same texts are in `schemas/` of the repository.
///
/// Example: lockstep schema manifest
#[derive(clap::Args)]
pub struct Args {
    /// Which schema
    #[arg(value_name = "NAME")]
    name: Name,
}

/// Whose schema it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    Manifest,
    Validate,
    Plan,
    Drift,
    /// Also of `destroy` and `rollback`.
    Apply,
    Status,
    Doctor,
    /// Of status over a fleet file.
    Statuses,
    /// Of plan and drift over a fleet file.
    Fleet,
    Rollout,
    /// Lines of the event stream and of the audit file.
    Events,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    shell.say.out(&text(args.name)?);
    Ok(Exit::Done)
}

/// Every schema: its name and its text.
pub fn all() -> Vec<(String, String)> {
    use clap::ValueEnum as _;
    let named = |name: &Name| Some((name.to_possible_value()?.get_name().to_owned(), text(*name).ok()?));
    Name::value_variants().iter().filter_map(named).collect()
}

fn text(name: Name) -> Result<String> {
    let json = match name {
        Name::Manifest => schema::schema(&tables()),
        Name::Validate => document("validate")?,
        Name::Plan => document("plan")?,
        Name::Drift => document("drift")?,
        Name::Apply => document("apply")?,
        Name::Status => document("status")?,
        Name::Doctor => document("doctor")?,
        Name::Statuses => document("statuses")?,
        Name::Fleet => document("fleet")?,
        Name::Rollout => document("rollout")?,
        Name::Events => document("events")?,
    };
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

/// What the documents have in common, and what each has of its own. A test compares it with the types and with documents
/// of real runs.
const DOCUMENTS: &str = include_str!("documents.json");

/// One document's schema, with those definitions that it uses.
fn document(name: &str) -> Result<Json> {
    let mut all: Json = serde_json::from_str(DOCUMENTS)?;
    let (root, defs) = (all["roots"][name].take(), all["$defs"].take());
    let mut out = json!({ "$schema": schema::DIALECT });
    let mut used = BTreeSet::new();
    collect(&root, &defs, &mut used);
    let defs: Map<String, Json> =
        used.into_iter().map(|name| (name.to_owned(), defs[name].clone())).collect();
    for (key, value) in root.as_object().into_iter().flatten() {
        out[key] = value.clone();
    }
    out["$defs"] = Json::Object(defs);
    Ok(out)
}

/// The names of the definitions that a schema refers to, directly or through others.
fn collect<'a>(schema: &'a Json, defs: &'a Json, used: &mut BTreeSet<&'a str>) {
    match schema {
        Json::Object(members) => {
            let name = members.get("$ref").and_then(Json::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
            if let Some(name) = name.filter(|name| used.insert(name)) {
                collect(&defs[name], defs, used);
            }
            members.values().for_each(|member| collect(member, defs, used));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, defs, used)),
        _ => {}
    }
}

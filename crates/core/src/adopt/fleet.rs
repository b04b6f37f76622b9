//! A fleet of tenants that people set up by hand: a base with the values that most have in common, and an overlay for
//! each set of tenants with the same differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::doc::{Doc, Path, Said};
use super::text::{body, comment, scalar, value};
use super::{Adopted, Head, Variable};
use crate::manifest::schema;
use crate::model::address::Address;

/// A tenant's name, and what was read of it.
pub type Read = (String, Adopted);

/// The files of a fleet, by name, and what a person should know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    pub files: BTreeMap<String, String>,
    /// Names of the variables to set, besides those of the connections; each tenant has its own.
    pub variables: BTreeSet<Variable>,
    /// Tenants of each overlay.
    pub overlays: Vec<(String, Vec<String>)>,
}

/// What a tenant takes from another one, which manages it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The SID of the Verify service, and the tenant that has it.
    pub service: Option<(String, String)>,
    /// The tenant that has the Function behind the stream.
    pub function: Option<String>,
}

/// Which tenants send through the Verify service, or to the Function, of another one. No two stacks may manage the same,
/// so the first tenant that has it keeps it.
pub fn taken(read: &[Read]) -> BTreeMap<String, Taken> {
    let mut out: BTreeMap<String, Taken> = BTreeMap::new();
    let (mut services, mut functions) = (BTreeMap::new(), BTreeMap::new());
    for (name, one) in read {
        if let Some(sid) = text_of(one, &SERVICE_SID) {
            services.entry(sid).or_insert(name);
        }
        if let Some(ids) = one.ids.get(&Address::of(FUNCTION)) {
            functions.entry(ids).or_insert(name);
        }
    }
    for (name, one) in read {
        let sid = text_of(one, &SERVICE_SID).or_else(|| text_of(one, &SERVICE_USE));
        if let Some((sid, hub)) =
            sid.and_then(|sid| Some((sid, services.get(sid)?))).filter(|(_, hub)| **hub != name)
        {
            out.entry(name.clone()).or_default().service = Some((sid.to_owned(), (*hub).clone()));
        }
        let hub = one.ids.get(&Address::of(FUNCTION)).and_then(|ids| functions.get(ids));
        if let Some(hub) = hub.filter(|hub| **hub != name) {
            out.entry(name.clone()).or_default().function = Some((*hub).clone());
        }
    }
    out
}

const FUNCTION: &str = "feedback_function";
const SERVICE_SID: [&str; 2] = ["verify_service", "sid"];
const SERVICE_USE: [&str; 2] = ["verify_service", "use"];
const ENDPOINT: [&str; 3] = ["feedback", "log_stream", "endpoint"];
const AUTHORIZATION: [&str; 3] = ["feedback", "log_stream", "authorization"];

fn path(names: &[&str]) -> Path {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn text_of<'a>(adopted: &'a Adopted, names: &[&str]) -> Option<&'a str> {
    match adopted.keys.get(&path(names))? {
        Said::Plain(json) => json.as_str(),
        _ => None,
    }
}

/// Writes what a tenant takes as references to the tenants that have it.
pub fn refer(adopted: &mut Adopted, taken: &Taken) {
    let mut put = |names: &[&str], hub: &str, output: &str| {
        adopted.keys.insert(path(names), Said::Reference(format!("tenants.{hub}.{output}")));
    };
    if let Some((_, hub)) = &taken.service {
        put(&SERVICE_USE, hub, "verify_service.sid");
    }
    if let Some(hub) = &taken.function {
        put(&ENDPOINT, hub, "feedback_function.url");
        put(&AUTHORIZATION, hub, "feedback.authorization");
        adopted.variables.retain(|one| one.key != AUTHORIZATION.join("."));
    }
}

/// Names of the files that a fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    pub fleet: &'a str,
    /// The fleet file.
    pub file: &'a str,
    pub base: &'a str,
    pub table: &'a str,
}

/// The connection of each tenant as a base says it, and nothing else.
pub fn connection(stack: &str, by_token: bool) -> String {
    body(&Doc::new(stack, &head(by_token)))
}

/// The fleet file with those overlays.
pub fn file(names: Names<'_>, tenants: &[&str], overlays: &[(String, Vec<String>)]) -> String {
    let mut out = format!(
        "lockstep: v1\nfleet: {}\nbase: {}\ntenants: {{ file: {} }}\n",
        scalar(names.fleet),
        scalar(names.base),
        scalar(names.table)
    );
    if !overlays.is_empty() {
        out.push_str("overlays:\n");
    }
    for (file, tenants) in overlays {
        let list: Vec<String> = tenants.iter().map(|name| scalar(name)).collect();
        let _ = writeln!(out, "  - {{ match: {{ name: [{}] }}, merge: {} }}", list.join(", "), scalar(file));
    }
    if let [first, _, ..] = tenants {
        let _ = writeln!(
            out,
            "rollout:\n  waves:\n    - {{ name: canary, match: {{ name: {} }} }}\n    - {{ name: rest, rest: true }}\n  gates: [applied]",
            scalar(first)
        );
    }
    out
}

fn head(by_token: bool) -> Head {
    Head {
        stack: None,
        otherwise: None,
        tenant: String::new(),
        account: String::new(),
        by_token,
        stem: String::new(),
        in_fleet: true,
    }
}

/// Puts tenants together.
pub fn together(mut read: Vec<Read>, names: Names<'_>, by_token: bool) -> Fleet {
    let mut out = Fleet { files: share_code(&mut read), ..Fleet::default() };
    same_time(&mut read);
    for (_, adopted) in &mut read {
        out.variables.extend(adopted.variables.iter().cloned());
        for said in adopted.keys.values_mut() {
            if let Said::Env(name) = said {
                *name = format!("{name}_${{tenant.key}}");
            }
        }
    }
    let stack = most(read.iter().map(|(_, adopted)| Some(&adopted.stack))).cloned().unwrap_or_default();
    let paths: BTreeSet<&Path> = read.iter().flat_map(|(_, adopted)| adopted.keys.keys()).collect();
    let said = |path: &&Path| {
        let said = most(read.iter().map(|(_, adopted)| adopted.keys.get(*path)))?;
        Some(((*path).clone(), said.clone()))
    };
    let mut base = Doc::new(&stack, &head(by_token));
    base.keys = paths.iter().filter_map(said).collect();
    let common = tree(&base.keys, &stack);
    let mut patches: Vec<(String, Vec<String>)> = Vec::new();
    for (name, adopted) in &read {
        let Some(patch) = patch(&common, &tree(&adopted.keys, &adopted.stack)) else { continue };
        let mut text = String::new();
        write(&patch, 0, &mut text);
        match patches.iter_mut().find(|(known, _)| *known == text) {
            Some((_, names)) => names.push(name.clone()),
            None => patches.push((text, vec![name.clone()])),
        }
    }
    for (text, tenants) in patches {
        let file = format!("overlay-{}.yaml", tenants[0]);
        out.files.insert(file.clone(), text);
        out.overlays.push((file, tenants));
    }
    let all: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    out.files.insert(names.file.to_owned(), file(names, &all, &out.overlays));
    out.files.insert(names.base.to_owned(), base_text(&base, &read, &out.variables));
    out
}

/// The value that most have; of several, the one that is met first.
fn most<'a, T: PartialEq>(values: impl Iterator<Item = Option<&'a T>>) -> Option<&'a T> {
    let mut counts: Vec<(Option<&T>, usize)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    let best = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == best)?.0
}

/// What is vouched for as of some time is so as of the latest time, too, because all were read after it.
fn same_time(read: &mut [Read]) {
    let is_time = |path: &Path| path.last().is_some_and(|key| key == "secrets_as_of");
    let said = |said: &Said| match said {
        Said::Plain(json) => json.as_str().map(str::to_owned),
        _ => None,
    };
    let all = read.iter().flat_map(|(_, adopted)| &adopted.keys);
    let Some(latest) = all.filter(|(path, _)| is_time(path)).filter_map(|(_, one)| said(one)).max() else {
        return;
    };
    for (_, adopted) in read {
        let times = adopted.keys.iter_mut().filter(|(path, _)| is_time(path));
        times.for_each(|(_, one)| *one = Said::Plain(latest.clone().into()));
    }
}

/// Gives equal code of tenants one file, and other code of the same name a file with the tenant's name.
fn share_code(read: &mut [Read]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut named: BTreeMap<(String, String), String> = BTreeMap::new();
    for (tenant, adopted) in read.iter_mut() {
        for (name, code) in std::mem::take(&mut adopted.files) {
            let new = named.entry((name.clone(), code.clone())).or_insert_with(|| match files.get(&name) {
                None => name.clone(),
                Some(_) => format!("{tenant}.{name}"),
            });
            files.insert(new.clone(), code);
            let is_it = |said: &&mut Said| matches!(said, Said::File(file) if *file == name);
            let new = new.clone();
            adopted.keys.values_mut().filter(is_it).for_each(|said| *said = Said::File(new.clone()));
        }
    }
    files
}

/// A manifest by its keys, or a patch of one.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Leaf(Said),
    Node(BTreeMap<String, Tree>),
    /// Takes a key away.
    Gone,
}

fn tree(keys: &BTreeMap<Path, Said>, stack: &str) -> BTreeMap<String, Tree> {
    let stack = Said::Plain(stack.into());
    let mut root = BTreeMap::from([("stack".to_owned(), Tree::Leaf(stack))]);
    keys.iter().for_each(|(path, said)| put(&mut root, path, said));
    root
}

fn put(node: &mut BTreeMap<String, Tree>, path: &[String], said: &Said) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        node.insert(first.clone(), Tree::Leaf(said.clone()));
        return;
    }
    let inner = node.entry(first.clone()).or_insert_with(|| Tree::Node(BTreeMap::new()));
    if let Tree::Node(inner) = inner {
        put(inner, rest, said);
    }
}

/// The merge patch (RFC 7386) from one to the other; `None`: they are equal.
fn patch(from: &BTreeMap<String, Tree>, to: &BTreeMap<String, Tree>) -> Option<BTreeMap<String, Tree>> {
    let mut out = BTreeMap::new();
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        out.insert(name.clone(), Tree::Gone);
    }
    for (name, new) in to {
        match (from.get(name), new) {
            (Some(old), new) if old == new => {}
            (Some(Tree::Node(old)), Tree::Node(new)) => {
                out.extend(patch(old, new).map(|patch| (name.clone(), Tree::Node(patch))));
            }
            (_, new) => drop(out.insert(name.clone(), new.clone())),
        }
    }
    (!out.is_empty()).then_some(out)
}

fn write(tree: &BTreeMap<String, Tree>, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for (name, node) in tree {
        let name = scalar(name);
        match node {
            Tree::Leaf(said) => out.push_str(&format!("{indent}{name}: {}\n", value(said))),
            Tree::Gone => out.push_str(&format!("{indent}{name}: null\n")),
            Tree::Node(inner) => {
                out.push_str(&format!("{indent}{name}:\n"));
                write(inner, depth + 1, out);
            }
        }
    }
}

/// The base, with what a person should know as comments.
fn base_text(base: &Doc, read: &[Read], variables: &BTreeSet<Variable>) -> String {
    let mut out = schema::modeline(schema::FILE);
    let count = read.len();
    let _ = writeln!(
        out,
        "# Written by `lockstep adopt --tenants`: what most of {count} tenants have; overlays have the rest. Look at `lockstep plan`\n\
         # over the fleet file: nothing is changed before `lockstep rollout`."
    );
    if !variables.is_empty() {
        out.push_str(
            "#\n# Variables to set for each tenant. Values of secrets were not read, or not kept:\n",
        );
        for variable in variables {
            let _ = writeln!(out, "#   {}_${{tenant.key}}  for {}", variable.name, comment(&variable.key));
        }
    }
    for (title, of) in [
        (
            "Tenants have what these files do not say:",
            (|one: &Adopted| &one.left) as fn(&Adopted) -> &Vec<String>,
        ),
        ("A first apply would change these, because a manifest cannot say how they are now:", |one| {
            &one.changes
        }),
    ] {
        let lines: Vec<(&String, &String)> =
            read.iter().flat_map(|(name, one)| of(one).iter().map(move |line| (name, line))).collect();
        if !lines.is_empty() {
            let _ = writeln!(out, "#\n# {title}");
        }
        for (name, line) in lines {
            let _ = writeln!(out, "# - {}: {}", comment(name), comment(line));
        }
    }
    out.push('\n');
    out.push_str(&body(base));
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn adopted(keys: &[(&str, Said)], files: &[(&str, &str)]) -> Adopted {
        let path = |path: &str| path.split('.').map(str::to_owned).collect::<Path>();
        Adopted {
            stack: "acme-login".into(),
            keys: keys.iter().map(|(key, said)| (path(key), said.clone())).collect(),
            files: files.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect(),
            ..Adopted::default()
        }
    }

    const NAMES: Names<'_> =
        Names { fleet: "acme", file: "fleet.yaml", base: "base.yaml", table: "tenants.csv" };

    #[test]
    fn the_base_has_what_most_have_and_overlays_have_the_rest() {
        let length = |length: u64| ("verify_service.code_length", Said::Plain(json!(length)));
        let name = ("verify_service.friendly_name", Said::Plain(json!("Acme")));
        let branding = ("branding.logo_url", Said::Plain(json!("https://acme.example/logo.png")));
        let read = vec![
            ("one".to_owned(), adopted(&[length(6), name.clone(), branding.clone()], &[])),
            ("two".to_owned(), adopted(&[length(8), name.clone()], &[])),
            ("three".to_owned(), adopted(&[length(6), name.clone(), branding], &[])),
            ("four".to_owned(), adopted(&[length(8), name], &[])),
        ];
        let fleet = together(read, NAMES, false);
        let base = &fleet.files["base.yaml"];
        for line in ["friendly_name: Acme", "code_length: 6", "domain: ${tenant.domain}", "logo_url: "] {
            assert!(base.contains(line), "{line}: {base}");
        }
        assert_eq!(
            fleet.overlays,
            [("overlay-two.yaml".to_owned(), vec!["two".to_owned(), "four".to_owned()])]
        );
        assert_eq!(fleet.files["overlay-two.yaml"], "branding: null\nverify_service:\n  code_length: 8\n");
    }

    #[test]
    fn equal_code_is_one_file() {
        let code = ("action.code", Said::File("base.action.js".into()));
        let secret = ("action.secrets.A", Said::Env("ACTION_A".into()));
        let of = |text| adopted(&[code.clone(), secret.clone()], &[("base.action.js", text)]);
        let read = ["one", "two", "three"].map(str::to_owned).into_iter().zip([of("a"), of("b"), of("a")]);
        let fleet = together(read.collect(), NAMES, true);
        assert_eq!(fleet.files["base.action.js"], "a");
        assert_eq!(fleet.files["two.base.action.js"], "b");
        assert_eq!(fleet.files["overlay-two.yaml"], "action:\n  code: ./two.base.action.js\n");
        assert!(fleet.files["base.yaml"].contains("A: ${env.ACTION_A_${tenant.key}}"), "{:?}", fleet.files);
        assert!(fleet.files["base.yaml"].contains("auth_token: ${env.TWILIO_AUTH_TOKEN_${tenant.key}}"));
    }
}

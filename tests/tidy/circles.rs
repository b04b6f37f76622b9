//! The layers of `crates/core/src/kinds`: no circle among its files, and nobody but its table names a kind.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, sources};

/// Files below `crates/core/src/kinds` that are no kind and no part of one, by layer: each sees those before it and those beside it.
const LAYERS: &[&[&str]] = &[
    &[
        "kind.rs",
        "reply.rs",
        "seen.rs",
        "binding_order.rs",
        "code_check.rs",
        "identity.rs",
        "countries.rs",
        "npm.rs",
        "urls.rs",
    ],
    &["remote/", "said/"],
    &["added.rs", "guards.rs", "looks/"],
];

/// Where files of `engine` and `plan` name a kind all the same, and why.
const NAMED: &[(&str, &str, &str)] = &[];

const KINDS: &str = "crates/core/src/kinds/";
const TABLE: &str = "crates/core/src/kinds/mod.rs";

/// The layer of a file; kinds are above the listed ones, and the table of all kinds is above those.
fn layer(path: &str) -> usize {
    let name = path.strip_prefix(KINDS).unwrap_or_default();
    let listed = LAYERS.iter().position(|layer| layer.iter().any(|start| name.starts_with(start)));
    listed.unwrap_or(LAYERS.len() + usize::from(path == TABLE))
}

/// The folder below `crates/core/src/kinds` that a file is in.
fn folder(path: &str) -> Option<&str> {
    Some(path.strip_prefix(KINDS)?.split_once('/')?.0)
}

/// Files by the path of their module, with the names that each imports.
struct Modules {
    files: BTreeMap<String, (String, BTreeMap<String, String>)>,
}

impl Modules {
    fn of(sources: &[Source]) -> Modules {
        let mut modules = Modules { files: BTreeMap::new() };
        let own = |source: &Source| format!("crate::{}", source.module().join("::"));
        for source in sources {
            modules.files.insert(own(source), (source.path.clone(), BTreeMap::new()));
        }
        for source in sources {
            let imports = source.found().into_iter().filter(|found| !found.in_tests);
            let imports =
                imports.filter_map(|found| Some((found.name?, modules.rooted(&own(source), &found.path))));
            let imports = imports.collect();
            modules.files.insert(own(source), (source.path.clone(), imports));
        }
        modules
    }

    /// A path in a file as one from the root: through what the file imports, or through a module below it.
    fn rooted(&self, module: &str, path: &str) -> String {
        let (first, rest) = path.split_once("::").map_or((path, ""), |(first, rest)| (first, rest));
        let imported = self.files.get(module).and_then(|(_, names)| names.get(first));
        let below = format!("{module}::{first}");
        let start = match imported {
            _ if first == "crate" => return path.to_owned(),
            Some(imported) => imported.clone(),
            None if self.files.contains_key(&below) => below,
            None => return path.to_owned(),
        };
        if rest.is_empty() { start } else { format!("{start}::{rest}") }
    }

    /// The file that defines what a path names, past all re-exports; `None` for a module, and for another crate.
    fn defines(&self, path: &str) -> Option<&str> {
        let mut parts = path.split("::").skip(1);
        let mut module = "crate".to_owned();
        if !path.starts_with("crate::") {
            return None;
        }
        loop {
            let part = parts.next()?;
            let below = format!("{module}::{part}");
            if self.files.contains_key(&below) || !self.files.contains_key(&module) {
                module = below;
                continue;
            }
            let (file, names) = &self.files[&module];
            let Some(imported) = names.get(part) else { return Some(file) };
            let rest: Vec<&str> = parts.collect();
            return self.defines(&[&[imported.as_str()], rest.as_slice()].concat().join("::"));
        }
    }

    /// The files below `crates/core/src/kinds` that a file names something of.
    fn seen_by(&self, source: &Source) -> BTreeSet<&str> {
        let module = format!("crate::{}", source.module().join("::"));
        let found = source.found().into_iter().filter(|found| !found.in_tests);
        let paths: Vec<String> = found.map(|found| self.rooted(&module, &found.path)).collect();
        let files = paths.iter().filter_map(|path| self.defines(path));
        files.filter(|file| file.starts_with(KINDS) && *file != source.path).collect()
    }
}

/// A circle among files, from one of them back to itself.
fn circle<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    fn walk<'a>(
        at: &'a str,
        arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = way.iter().position(|file| *file == at) {
            return Some(way[start..].iter().copied().chain([at]).collect());
        }
        if !done.insert(at) {
            return None;
        }
        way.push(at);
        let found = arrows.get(at).into_iter().flatten().find_map(|next| walk(next, arrows, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|file| walk(file, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn kinds_do_not_import_each_other() {
    let sources = sources();
    let modules = Modules::of(&sources);
    let kinds = || sources.iter().filter(|source| source.path.starts_with(KINDS) && !source.is_test());
    let arrows: BTreeMap<&str, BTreeSet<&str>> =
        kinds().map(|source| (source.path.as_str(), modules.seen_by(source))).collect();
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 300, "the imports were not found");
    if let Some(circle) = circle(&arrows) {
        panic!("files import each other in a circle: {}", circle.join(" -> "));
    }
    let is_kind: BTreeSet<&str> = kinds()
        .filter(|source| source.text.contains("\nimpl Kind for "))
        .map(|source| source.path.as_str())
        .collect();
    assert!(is_kind.len() > 10, "the kinds were not found: {is_kind:?}");
    let mut wrong = Vec::new();
    for (from, seen) in &arrows {
        for to in seen {
            if layer(to) > layer(from) {
                wrong.push(format!("{from} sees {to}, which is of a higher layer"));
            }
            // A kind's own files are those of its folder, and files beside it that are no kind.
            let is_of_another = is_kind.contains(to) || folder(to).is_some() && folder(to) != folder(from);
            if layer(to) == LAYERS.len() && is_of_another && *from != TABLE {
                wrong.push(format!("{from} names another kind: {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn engine_and_plan_name_no_kind() {
    let sources = sources();
    let modules = Modules::of(&sources);
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| ["engine", "plan"].contains(&source.top().as_str())) {
        let seen = modules.seen_by(source).into_iter().filter(|file| layer(file) == LAYERS.len());
        found.extend(seen.map(|file| (source.path.clone(), file.to_owned())));
    }
    let known: BTreeSet<(String, String)> =
        NAMED.iter().map(|(from, to, _)| ((*from).to_owned(), (*to).to_owned())).collect();
    assert_eq!(found, known, "left: who names a kind, right: the exceptions");
}

/// Tests that a circle is found, also through a re-export.
#[test]
fn the_finder_of_circles_finds() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let sources = [
        source(
            "crates/core/src/kinds/mod.rs",
            "mod a;\nmod b;\nmod c;\npub use a::{One, two as second};\nfn f() { b::f(); }\n",
        ),
        source("crates/core/src/kinds/a.rs", "use super::c;\npub fn two() { c::f() }\n"),
        source(
            "crates/core/src/kinds/b.rs",
            "use crate::kinds::second;\n#[cfg(test)]\nmod tests {\n    use super::super::f;\n}\n",
        ),
        source("crates/core/src/kinds/c.rs", "use super::b::f as g;\n"),
    ];
    let modules = Modules::of(&sources);
    let arrows: BTreeMap<&str, BTreeSet<&str>> =
        sources.iter().map(|source| (source.path.as_str(), modules.seen_by(source))).collect();
    assert_eq!(arrows[TABLE], BTreeSet::from(["crates/core/src/kinds/a.rs", "crates/core/src/kinds/b.rs"]));
    let [a, b, c] =
        ["crates/core/src/kinds/a.rs", "crates/core/src/kinds/b.rs", "crates/core/src/kinds/c.rs"];
    assert_eq!(circle(&arrows), Some(vec![a, c, b, a]));
    let without: BTreeMap<&str, BTreeSet<&str>> = arrows.into_iter().filter(|(file, _)| *file != b).collect();
    assert_eq!(circle(&without), None);
}

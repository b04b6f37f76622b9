//! Tests of the code base itself: the direction of imports, and habits that a compiler does not check.
//!
//! An arrow points from the importing module to the imported one; a module may import everything to its left. Between
//! crates the compiler checks that, and a test here checks which dependencies each crate has:
//!
//! ```text
//! wire <- core <- engine <- lockstep
//! wire <- twin <- lockstep
//! in the core:  builtin, javascript, model <- diag <- port <- health, kinds <- ledger, manifest <- plan <- adopt, report
//! in the root:  shell <- cli <- main
//! ```
//!
//! `ledger` and `manifest` do not see each other. `plan` comes after them, because a plan is made from desired state,
//! observed state and ledger. `builtin` is text and stands beside `model`. The arrows keep three properties: the core
//! is pure (nothing before `shell` can reach a socket, a file, a clock or a thread), a kind has one place (nothing
//! before `kinds` names one), and a plan is a value (the code that makes a plan cannot carry it out).

use std::collections::{BTreeMap, BTreeSet};

mod circles;
use std::path::{Path, PathBuf};

use lockstep::diag::codes;

/// Inside a crate, a module may see modules of lower rank. Modules of equal rank do not see each other.
const RANKS: [(&str, usize); 16] = [
    ("builtin", 0),
    ("javascript", 0),
    ("model", 0),
    ("diag", 1),
    ("port", 2),
    ("health", 3),
    ("kinds", 3),
    ("ledger", 4),
    ("manifest", 4),
    ("plan", 5),
    ("adopt", 6),
    ("report", 6),
    ("fleet", 7),
    ("shell", 8),
    ("cli", 9),
    ("main", 10),
];

/// The dependencies of each crate below `crates`, including those of its tests.
const CRATES: [(&str, &[&str]); 5] = [
    ("wire", &["serde"]),
    (
        "core",
        &[
            "annotate-snippets",
            "base64",
            "csv",
            "jiff",
            "lockstep-wire",
            "oxc_allocator",
            "oxc_ast",
            "oxc_ast_visit",
            "oxc_parser",
            "oxc_span",
            "proptest",
            "ring",
            "saphyr-parser",
            "secrecy",
            "serde",
            "serde_json",
            "serde_yaml",
            "similar",
            "textwrap",
        ],
    ),
    ("engine", &["base64", "jiff", "lockstep-core", "ring", "serde", "serde_json"]),
    ("twin", &["base64", "jiff", "lockstep-wire", "serde", "serde_json"]),
    ("front", &["base64", "lockstep-twin", "maud", "ring", "serde_json"]),
];

/// Crates that they must not depend on, not even through other crates.
const OUTSIDE_CRATES: [&str; 6] = ["tokio", "reqwest", "hyper", "hyper-util", "rustls", "clap"];

/// Modules that they could use without a further dependency, and must not.
const OUTSIDE: [&str; 8] = [
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "ring::rand",
];

const SHELL: [&str; 3] = ["shell", "cli", "main"];

/// Most lines of a file: a longer one holds two ideas.
const LINES_MAX: usize = 700;

pub struct Source {
    /// Path relative to the repository, with forward slashes.
    path: String,
    pub text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with one of these endings, ordered by path.
pub fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, endings: &[&str], out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !name.starts_with('.') && name != "node_modules" && name != "target" {
                    walk(&path, endings, out);
                }
            } else if name != "package-lock.json" && endings.iter().any(|ending| name.ends_with(ending)) {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), endings, &mut paths);
    paths.sort();
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).expect("text"),
        path: path.strip_prefix(root()).expect("below the root").display().to_string().replace('\\', "/"),
    };
    paths.into_iter().map(source).collect()
}

fn sources() -> Vec<Source> {
    let mut found = files("src", &[".rs"]);
    found.extend(files("crates", &[".rs"]));
    assert!(found.len() > 150, "the sources were not found");
    found
}

impl Source {
    /// The path of the module from the root: `kinds::action` for `crates/core/src/kinds/action.rs`, `engine::gate` for
    /// `crates/engine/src/gate.rs`.
    fn module(&self) -> Vec<String> {
        let path =
            self.path.trim_end_matches(".rs").replacen("crates/core/", "", 1).replacen("crates/", "", 1);
        let mut parts: Vec<String> =
            path.split('/').filter(|part| *part != "src").map(str::to_owned).collect();
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "mod" || last == "lib") {
            parts.pop();
        }
        parts
    }

    /// Whether its modules have ranks. In the other crates, only the compiler checks the imports.
    fn has_ranks(&self) -> bool {
        self.path.starts_with("src/") || self.path.starts_with("crates/core/")
    }

    fn top(&self) -> String {
        self.module()[0].clone()
    }

    /// Whether the whole file is for tests.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || ["tests.rs", "bench.rs", "test_support.rs"].contains(&name)
    }

    /// Lines without comments: number, text, and whether the line is inside an inline test module.
    fn lines(&self) -> Vec<(usize, String, bool)> {
        let (mut out, mut in_tests, mut announced) = (Vec::new(), self.is_test(), false);
        for (index, line) in self.text.lines().enumerate() {
            let code = match line.find("//") {
                Some(at) if !line[..at].ends_with(':') && line[..at].matches('"').count() % 2 == 0 => {
                    &line[..at]
                }
                _ => line,
            };
            in_tests |= announced && code.starts_with("mod ") && code.ends_with('{');
            announced = code.trim() == "#[cfg(test)]";
            out.push((index + 1, code.to_owned(), in_tests));
        }
        out
    }

    /// Every path that the file names: line, path, and whether it is in tests.
    fn paths(&self) -> Vec<(usize, String, bool)> {
        self.found().into_iter().map(|found| (found.line, found.path, found.in_tests)).collect()
    }

    fn found(&self) -> Vec<Found> {
        let mut out = Vec::new();
        let lines = self.lines();
        let mut index = 0;
        while index < lines.len() {
            let (number, line, in_tests) = &lines[index];
            index += 1;
            let depth = self.module().len() + usize::from(*in_tests && !self.is_test());
            let trimmed = line.trim_start();
            let is_use = ["use ", "pub use "].iter().any(|start| trimmed.starts_with(start))
                || (trimmed.starts_with("pub(") && trimmed.contains(") use "));
            let mut found = Vec::new();
            if is_use {
                let mut statement = trimmed.split_once("use ").map_or("", |(_, rest)| rest).to_owned();
                while !statement.contains(';') && index < lines.len() {
                    statement.push_str(&lines[index].1);
                    index += 1;
                }
                expand("", statement.trim_end().trim_end_matches(';'), &mut found);
            } else {
                mentions(line, &mut found);
            }
            out.extend(found.into_iter().filter_map(|found| {
                let (path, name) = found.split_once(" as ").unwrap_or((&found, &found));
                let path = path.trim_end_matches("::self");
                let name = name.trim_end_matches("::self").rsplit("::").next().unwrap_or_default().to_owned();
                let path = absolute(path, &self.module(), depth)?;
                Some(Found { line: *number, path, name: is_use.then_some(name), in_tests: *in_tests })
            }));
        }
        out
    }
}

/// A path that a file names, resolved to one from the root (of this crate with `crate::`, or of another crate).
struct Found {
    line: usize,
    path: String,
    /// What the file calls it, where it imports it.
    name: Option<String>,
    in_tests: bool,
}

/// The paths of a use tree: `a::b` and `a::c::d as e` for `a::{b, c::d as e}`.
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        out.push(format!("{prefix}{tree}"));
        return;
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let prefix = format!("{prefix}{}", head.trim());
    let (mut depth, mut start) = (0, 0);
    for (at, ch) in inner.char_indices() {
        match ch {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], out);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&prefix, &inner[start..], out);
    }
}

/// Paths in lines that are no imports: words joined by `::`.
fn mentions(line: &str, out: &mut Vec<String>) {
    let is_part = |ch: char| ch.is_alphanumeric() || ch == '_' || ch == ':';
    for word in line.split(|ch: char| !is_part(ch)) {
        let word = word.trim_matches(':');
        if word.contains("::") {
            out.push(word.to_owned());
        }
    }
}

/// The path from the root; `None` for a path that begins with `self::`.
fn absolute(path: &str, module: &[String], depth: usize) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(format!("crate::{rest}"));
    }
    let (mut rest, mut ups) = (path, 0);
    while let Some(inner) = rest.strip_prefix("super::") {
        (rest, ups) = (inner, ups + 1);
    }
    if ups == 0 {
        return (!path.starts_with("self::")).then(|| path.to_owned());
    }
    let kept = depth.saturating_sub(ups).min(module.len());
    let base = module[..kept].join("::");
    Some(if base.is_empty() { format!("crate::{rest}") } else { format!("crate::{base}::{rest}") })
}

/// The arrow that an import reverses; `None` if one top-level module may see the other.
fn reversed(from: &str, path: &str) -> Option<String> {
    let to = path.split("::").next().unwrap_or_default();
    if from == to {
        return None;
    }
    let rank = |name: &str| RANKS.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank);
    match (rank(from), rank(to)) {
        (None, _) => Some(format!("{from} has no place among the arrows")),
        // The name at the root is another crate, a macro or a re-export.
        (_, None) => None,
        (Some(from_rank), Some(to_rank)) if to_rank < from_rank => None,
        (Some(from_rank), Some(to_rank)) if to_rank == from_rank => {
            Some(format!("{from} and {to} stand side by side"))
        }
        _ => Some(format!("{from} <- {to}")),
    }
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(Source::has_ranks) {
        let from = source.top();
        if from == "lib" || source.path == "crates/core/build.rs" {
            continue;
        }
        for (number, path, _) in source.paths() {
            let inner = match from.as_str() {
                "main" => path.strip_prefix("lockstep::"),
                _ => path.strip_prefix("crate::"),
            };
            if let Some(arrow) = inner.and_then(|inner| reversed(&from, inner)) {
                wrong.push(format!("{}:{number}: {path} reverses {arrow}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The dependencies of a crate in its Cargo.toml.
fn used_by(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).expect(name);
    let (mut inside, mut out) = (false, BTreeSet::new());
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && !line.is_empty() {
            // Its version and features are in the Cargo.toml of the root.
            out.insert(line.strip_suffix(".workspace = true").expect(line).to_owned());
        }
    }
    out
}

/// All dependencies of a crate in Cargo.lock: direct and indirect ones, including those of its tests.
fn reached_from(name: &str) -> BTreeSet<String> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.split('"').nth(1).expect("a name");
        let list = package.split_once("dependencies = [").map_or("", |(_, list)| list);
        let names = list.split('"').skip(1).step_by(2).filter_map(|text| text.split(' ').next());
        uses.entry(name).or_default().extend(names);
    }
    let (mut found, mut next) = (BTreeSet::new(), vec![name]);
    while let Some(name) = next.pop() {
        if found.insert(name.to_owned()) {
            next.extend(&uses[name]);
        }
    }
    found
}

#[test]
fn each_crate_has_the_dependencies_of_the_table() {
    let folders = std::fs::read_dir(root().join("crates")).expect("crates").flatten();
    let there: BTreeSet<_> = folders.map(|folder| folder.file_name().into_string().expect("text")).collect();
    assert_eq!(there, CRATES.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, may) in CRATES {
        let may: BTreeSet<String> = may.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(used_by(name), may, "left: the Cargo.toml of {name}, right: the table");
        let reached = reached_from(&format!("lockstep-{name}"));
        let outside = OUTSIDE_CRATES.iter().find(|one| reached.contains(**one));
        assert_eq!(outside, None, "{name} depends on it");
    }
    let root = reached_from("lockstep");
    assert!(OUTSIDE_CRATES.iter().all(|one| root.contains(*one)), "the crates were not found: {root:?}");
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources() {
        if SHELL.contains(&source.top().as_str()) || source.is_test() || source.path == "crates/core/build.rs"
        {
            continue;
        }
        let is_outside = |path: &str| {
            OUTSIDE.iter().find(|name| path == **name || path.starts_with(&format!("{name}::"))).copied()
        };
        for (number, path, in_tests) in source.paths() {
            // A parser whose recursion is as deep as its source needs a stack of that size, so it starts a thread. Its
            // result still depends on the source alone.
            let deep = source.path == "crates/core/src/javascript.rs" && path.starts_with("std::thread");
            if let Some(name) = is_outside(&path).filter(|_| !in_tests && !deep) {
                wrong.push(format!("{}:{number}: {path} reverses core <- {name}", source.path));
            }
        }
        for (number, line, in_tests) in source.lines() {
            for word in ["Instant::now", "SystemTime::now", "println!", "print!(", "dbg!"] {
                if !in_tests && line.contains(word) {
                    wrong.push(format!("{}:{number}: {word} is not for the core", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Tests that the reader of imports finds what it should.
#[test]
fn the_reader_of_imports_reads() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let file = source(
        "crates/core/src/kinds/action.rs",
        "use std::{collections::BTreeMap, fs};\nuse super::{text, super::engine::apply};\nuse crate::{\n    model::{api, call::Get},\n    twin::Twin,\n};\n// use crate::cli;\nfn f() { std::env::var(\"X\"); let x: crate::plan::Plan = y; }\n#[cfg(test)]\nmod tests {\n    use super::super::super::shell::files;\n}\n",
    );
    let paths: Vec<String> =
        file.paths().into_iter().map(|(number, path, _)| format!("{number} {path}")).collect();
    for expected in [
        "1 std::fs",
        "2 crate::kinds::text",
        "3 crate::model::call::Get",
        "3 crate::twin::Twin",
        "8 std::env::var",
        "8 crate::plan::Plan",
        "11 crate::shell::files",
    ] {
        assert!(paths.iter().any(|path| path == expected), "{expected} is not among {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("cli")), "{paths:?}");
    assert_eq!(reversed("kinds", "model::api"), None);
    assert_eq!(reversed("kinds", "plan::check"), Some("kinds <- plan".into()));
    assert!(reversed("ledger", "manifest::Parsed").is_some());
    for (path, module) in [
        ("src/cli/mod.rs", "cli"),
        ("src/lib.rs", "lib"),
        ("crates/core/src/lib.rs", "lib"),
        ("crates/engine/src/lib.rs", "engine"),
        ("crates/engine/src/apply/record.rs", "engine::apply::record"),
        ("crates/twin/src/auth0/mod.rs", "twin::auth0"),
    ] {
        assert_eq!(source(path, "").module().join("::"), module, "{path}");
    }
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(count, _)| *count > LINES_MAX)
        .map(|(count, path)| format!("{path} has {count} lines"))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no module text: {silent:?}");
}

#[test]
fn every_code_is_listed_once_and_used() {
    let sources = sources();
    let list =
        sources.iter().find(|source| source.path == "crates/core/src/model/codes.rs").expect("the codes");
    let mut names = Vec::new();
    for line in list.text.lines() {
        if let Some((name, rest)) = line.trim().split_once(" = ")
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        {
            let number: u16 =
                rest.split(',').next().and_then(|number| number.parse().ok()).expect("a number");
            names.push((name.to_owned(), number));
        }
    }
    assert_eq!(names.len(), codes::ALL.len());
    for (name, number) in &names {
        let listed = codes::ALL.iter().filter(|(code, _)| code.number() == *number).count();
        assert_eq!(listed, 1, "{name}");
        let uses = sources.iter().flat_map(Source::lines).filter(|(_, line, in_tests)| {
            !in_tests && line.split(|ch: char| !ch.is_alphanumeric() && ch != '_').any(|word| word == name)
        });
        assert!(uses.count() > 1, "{name} is never said");
    }
    for (code, text) in codes::ALL {
        assert!(!text.ends_with('.') && !text.is_empty(), "{code}: {text}");
    }
}

#[test]
fn nothing_is_unwrapped_where_users_are() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !["engine", "kinds", "shell", "cli"].contains(&source.top().as_str()) {
            continue;
        }
        for (number, line, in_tests) in source.lines() {
            if !in_tests && (line.contains(".unwrap()") || line.contains(".expect(\"\")")) {
                wrong.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Texts of libraries that may be compared, because only they tell the fault. They choose a hint, and nothing else.
const PROSE_OF_LIBRARIES: [&str; 3] = ["No CA certificates", "client error (", "heap out of memory"];

/// Whether a text is written for people: it has two words beside each other.
fn is_prose(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars
        .windows(3)
        .any(|three| three[0].is_ascii_lowercase() && three[1] == ' ' && three[2].is_ascii_alphabetic())
}

/// The texts with which a line of code compares something.
fn compared(line: &str) -> impl Iterator<Item = &str> {
    let ways = [".contains(\"", ".starts_with(\"", ".ends_with(\"", "== \"", "!= \""];
    ways.into_iter().flat_map(move |way| line.split(way).skip(1)).filter_map(|rest| rest.split('"').next())
}

/// Decisions must not depend on words for people, because such words may change.
#[test]
fn no_decision_rests_on_prose() {
    assert_eq!(
        compared("if a == \"b c\" || x.contains(\"no such stack\")").filter(|text| is_prose(text)).count(),
        2
    );
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line, in_tests) in source.lines() {
            let prose = compared(&line).find(|text| is_prose(text) && !PROSE_OF_LIBRARIES.contains(text));
            if prose.is_some() && !in_tests {
                wrong.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The shipped files describe the program, and not how or where it was written.
#[test]
fn no_word_about_the_making() {
    let endings = [".rs", ".md", ".yaml", ".toml", ".js", ".txt", ".json"];
    let mut texts: Vec<Source> = ["src", "crates", "tests", "docs", "examples", "manifests"]
        .iter()
        .flat_map(|folder| files(folder, &endings))
        .collect();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.toml"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            texts.push(Source { path: name.into(), text });
        }
    }
    let mut wrong = Vec::new();
    for source in texts.iter().filter(|source| source.path != "tests/tidy.rs") {
        for (index, line) in source.text.lines().enumerate() {
            let lower = line.to_lowercase();
            let agent = lower.replace("user-agent", "").replace("user_agent", "").replace("user agent", "");
            let words =
                ["issue #", "issue-", "this session", "subagent", "co-authored", "todo:", "fixme", "xxx:"];
            let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .map(|p| format!("{}/", p.display()));
            let here =
                here.filter(|path| path.len() > 1).unwrap_or_else(|| "/home/".to_owned()).to_lowercase();
            let paths = [here.as_str(), "/home/", "/root/", "/users/", "/tmp/", "c:\\users"];
            let of_agents =
                agent.split(|ch: char| !ch.is_alphanumeric()).any(|word| word == "agent" || word == "agents");
            let found = words.iter().chain(&paths).find(|word| lower.contains(**word)).copied();
            if let Some(word) = found.or(of_agents.then_some("agent")) {
                wrong.push(format!("{}:{}: {word:?} in {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The commands in fenced blocks: the words of each line that starts the program.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let (mut inside, mut out) = (false, Vec::new());
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
            continue;
        }
        let line = line.trim().trim_start_matches("$ ");
        // A comment at the end of the line is no argument.
        let line = line.split(" #").next().unwrap_or_default();
        let run =
            line.strip_prefix("cargo run ").and_then(|rest| rest.split_once("-- ")).map(|(_, args)| args);
        let args = line.strip_prefix("lockstep ").or(run);
        if let Some(args) = args.filter(|_| inside) {
            let words = args.split_whitespace().map(str::to_owned);
            out.push(std::iter::once("lockstep".to_owned()).chain(words).collect());
        }
    }
    out
}

#[test]
fn the_commands_of_the_readme_exist() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md is missing");
    let found = commands(&text);
    assert!(found.len() >= 2, "README.md shows fewer than two commands in fenced blocks: {found:?}");
    assert!(text.lines().any(|line| line.trim() == "cargo test"), "README.md does not say how to test");
    for words in found {
        let parsed = lockstep::cli::command().try_get_matches_from(&words);
        assert!(parsed.is_ok(), "README.md: {}: {}", words.join(" "), parsed.expect_err("checked"));
        for word in words.iter().filter(|word| word.starts_with("manifests/")) {
            assert!(root().join(word).exists(), "README.md names {word}, which is not there");
        }
    }
}

#[test]
fn the_exit_codes_page_has_every_code() {
    let page =
        std::fs::read_to_string(root().join("docs/exit-codes.md")).expect("docs/exit-codes.md is missing");
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 64, 73, 75, 130, 143] {
        let listed = page
            .lines()
            .any(|line| line.split(|ch: char| !ch.is_ascii_digit()).any(|word| word == code.to_string()));
        assert!(listed, "docs/exit-codes.md does not have {code}");
    }
}

/// Law 7 by type: a reader gives access neither to a writer nor to the mailbox that makes one.
#[test]
fn nothing_that_writes_is_reached_from_a_reader() {
    let text = include_str!("../crates/core/src/port.rs");
    let start = text.find("impl Reader {").expect("the reader's methods");
    let body = &text[start..start + text[start..].find("\n}\n").expect("their end")];
    let public: Vec<&str> = body.lines().filter(|line| line.trim_start().starts_with("pub ")).collect();
    assert!(public.len() >= 5, "only {} public methods were found", public.len());
    for line in &public {
        assert!(!line.contains("Port") && !line.contains("Writer") && !line.contains("Write"), "{line}");
    }
    let fields = &text[text.find("pub struct Reader {").expect("the reader")..start];
    assert!(!fields.contains("pub port"), "the mailbox is public");
}

/// Whether there is a test with that path (`module::…::name`, in `src`, `crates` or `tests`).
fn is_a_test(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    let Some((name, modules)) = parts.split_last().filter(|(_, modules)| !modules.is_empty()) else {
        return false;
    };
    let place = modules.join("/");
    let files = [
        format!("src/{place}"),
        format!("tests/{place}"),
        format!("crates/core/src/{place}"),
        format!("crates/{}", place.replacen('/', "/src/", 1)),
    ]
    .into_iter()
    .flat_map(|file| [format!("{file}.rs"), format!("{file}/mod.rs")]);
    files.filter_map(|file| std::fs::read_to_string(root().join(file)).ok()).any(|text| {
        let Some(at) = text.find(&format!("fn {name}(")) else { return false };
        // The attribute stands above, perhaps with a comment in between.
        text[..at].lines().rev().take(6).any(|line| line.trim() == "#[test]")
    })
}

/// Every threat that is called closed has a test; every other threat says "accepted" and why.
#[test]
fn every_threat_has_its_test_or_is_accepted() {
    let page = std::fs::read_to_string(root().join("docs/threat-model.md"))
        .expect("docs/threat-model.md is missing");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Asset"));
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows {
        count += 1;
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [asset, way, closed, shown] = cells[..] else {
            wrong.push(format!("not four cells: {row}"));
            continue;
        };
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let accepted = closed.to_lowercase().contains("accepted");
        if tests.is_empty() && !accepted {
            wrong.push(format!("{asset}, {way}: neither shown nor accepted"));
        }
        wrong.extend(tests.iter().filter(|test| !is_a_test(test)).map(|test| format!("{test} is no test")));
    }
    assert!(count > 30, "only {count} rows were found");
    assert!(wrong.is_empty(), "docs/threat-model.md:\n{}", wrong.join("\n"));
    assert!(!is_a_test("tidy::is_a_test") && !is_a_test("tidy::no_such_test"), "anything is a test");
    assert!(is_a_test("tidy::every_threat_has_its_test_or_is_accepted"));
}

//! Tests the simulation's judges: breaks the program in one place at a time and expects the stated law to notice.
//!
//!     cargo run --example mutants                      # every mutant still applies (no build)
//!     cargo run --example mutants -- --run             # all of them: a build and up to 1500 stories each
//!     cargo run --example mutants -- --run --only "the lease is kept"      # may be repeated
//!     cargo run --example mutants -- --run --note      # and note which were caught, in which state of their file
//!     cargo run --example mutants -- --run --changed   # of the slow ones those whose file changed since
//!
//! What is noted stands in `tests/simulation/mutants.seen`: the digest of the code that a mutant breaks (its file without
//! comments), how many seconds it took, and its name. The rules of law 1 are broken in one build, since their test tells of
//! each rule by itself.
//!
//! Works on a copy of the tree in a temporary folder, with a target folder of its own that all mutants share
//! (`LOCKSTEP_MUTANTS_TARGET` names another one).

#[path = "../tests/simulation/mutants.rs"]
mod mutants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use ring::digest;

use mutants::{EACH_RULE, Mutant, all};

/// Where it is noted which mutants were caught.
const SEEN: &str = "tests/simulation/mutants.seen";
/// A mutant that took this long is a slow one.
const SLOW_S: u64 = 10;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let values = |name: &str| -> Vec<String> {
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        pairs.filter(|(option, _)| *option == name).map(|(_, value)| value.clone()).collect()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for mutant in all() {
        mutated(root, mutant)?;
    }
    println!("{} mutants apply", all().count());
    if !arguments.iter().any(|argument| argument == "--run") {
        return Ok(true);
    }
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let only = values("--only");
    let mut seen = noted(root)?;
    let is_seen = |mutant: &Mutant| -> Result<bool> {
        let Some((state, took_s)) = seen.get(mutant.name) else { return Ok(false) };
        Ok(*took_s >= SLOW_S && *state == state_of(&root.join(mutant.file))?)
    };
    let (mut rules, mut chosen, mut left) = (Vec::new(), Vec::new(), 0);
    for mutant in all().filter(|one| only.is_empty() || only.iter().any(|name| name == one.name)) {
        if mutant.caught_by == EACH_RULE {
            rules.push(mutant);
        } else if has("--changed") && is_seen(mutant)? {
            println!(
                "left    {:<55}         slow, and {} is as when it was caught",
                mutant.name, mutant.file
            );
            left += 1;
        } else {
            chosen.push(mutant);
        }
    }
    // What nobody has caught yet comes first.
    chosen.sort_by_key(|mutant| seen.contains_key(mutant.name));
    let seeds = values("--seeds").pop().unwrap_or_else(|| "0..1500".into());
    let folder = std::env::temp_dir().join(format!("lockstep-mutants-{}", std::process::id()));
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "README.md",
        "ARCHITECTURE.md",
        "crates",
        "src",
        "tests",
        "docs",
        "examples",
        "manifests",
        "schemas",
    ] {
        copy(&root.join(part), &folder.join(part))?;
    }
    let target =
        std::env::var_os("LOCKSTEP_MUTANTS_TARGET").map_or_else(|| folder.join("target"), PathBuf::from);
    let mut missed = all_rules(root, &folder, &target, &rules)?;
    for mutant in &chosen {
        let started = Instant::now();
        let path = folder.join(mutant.file);
        std::fs::write(&path, mutated(root, mutant)?)?;
        let test = mutant.caught_by.first().and_then(|name| name.strip_prefix("test "));
        let told = match test {
            Some(name) => one_test(&folder, &target, name),
            None => story(&folder, &target, &seeds, mutant.caught_by),
        }
        .with_context(|| mutant.name.to_owned())?;
        std::fs::copy(root.join(mutant.file), &path)?;
        let by = match test {
            Some(_) => told.lines().find(|line| line.starts_with("test ") && line.ends_with("FAILED")),
            None => told
                .lines()
                .filter(|line| line.starts_with("FAILED "))
                .filter_map(|line| Some(line.split_once("--seed ")?.1))
                .find(|line| line.split(": ").nth(1).is_some_and(|law| mutant.caught_by.contains(&law))),
        };
        missed += usize::from(by.is_none());
        let word = if by.is_some() { "caught" } else { "MISSED" };
        let took_s = started.elapsed().as_secs();
        match by {
            Some(_) => seen.insert(mutant.name.into(), (state_of(&root.join(mutant.file))?, took_s)),
            None => seen.remove(mutant.name),
        };
        if has("--note") {
            note(root, &seen)?;
        }
        let by: String = by.unwrap_or("nobody").chars().take(110).collect();
        println!("{word}  {:<55} {took_s:>4} s  {by}", mutant.name);
    }
    std::fs::remove_dir_all(&folder).ok();
    println!("{} ran, {missed} missed, {left} left", rules.len() + chosen.len());
    Ok(missed == 0)
}

/// Breaks these rules of law 1 all at once, runs the one test that judges each rule by itself, and counts the rules that
/// it did not miss. The rules are functions of their own, so one that is broken hides no other.
fn all_rules(root: &Path, folder: &Path, target: &Path, rules: &[&Mutant]) -> Result<usize> {
    let Some(first) = rules.first() else { return Ok(0) };
    let started = Instant::now();
    let mut text = std::fs::read_to_string(root.join(first.file)).with_context(|| first.file.to_owned())?;
    for rule in rules {
        if rule.file != first.file || text.matches(rule.text).count() != 1 {
            bail!("{:?} cannot be broken in one build with the other rules", rule.name);
        }
        text = text.replacen(rule.text, rule.instead, 1);
    }
    let path = folder.join(first.file);
    std::fs::write(&path, text)?;
    let test = EACH_RULE[0].strip_prefix("test ").context("a test judges the rules")?;
    let told = one_test(folder, target, test)?;
    std::fs::copy(root.join(first.file), &path)?;
    let took_s = started.elapsed().as_secs();
    let mut missed = 0;
    for rule in rules {
        let by = told.lines().find(|line| line.starts_with(&format!("{}: nothing is lost by", rule.name)));
        missed += usize::from(by.is_none());
        let word = if by.is_some() { "caught" } else { "MISSED" };
        let by: String = by.unwrap_or("nobody").chars().take(110).collect();
        println!("{word}  {:<55} in the {took_s} s of all rules  {by}", rule.name);
    }
    Ok(missed)
}

/// The digest of the code in a file. Lines of comments do not count: a mutant breaks code.
fn state_of(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut state = digest::Context::new(&digest::SHA256);
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        state.update(line.as_bytes());
        state.update(b"\n");
    }
    let bytes = state.finish();
    Ok(bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// By name: the state of the file in which a mutant was caught, and the seconds that it took.
fn noted(root: &Path) -> Result<BTreeMap<String, (String, u64)>> {
    let text = std::fs::read_to_string(root.join(SEEN)).context(SEEN)?;
    let read = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let (state, took_s, name) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        Some((name.to_owned(), (state.to_owned(), took_s)))
    };
    text.lines().map(|line| read(line).with_context(|| format!("{SEEN}: {line}"))).collect()
}

/// Writes it, without those that are no mutants any more.
fn note(root: &Path, seen: &BTreeMap<String, (String, u64)>) -> Result<()> {
    let is_one = |name: &str| all().any(|mutant| mutant.name == name);
    let lines = seen.iter().filter(|(name, _)| is_one(name));
    let text: String = lines.map(|(name, (state, took_s))| format!("{state} {took_s} {name}\n")).collect();
    std::fs::write(root.join(SEEN), text).context(SEEN)
}

/// The file of a mutant with the mistake in it.
fn mutated(root: &Path, mutant: &Mutant) -> Result<String> {
    let text = std::fs::read_to_string(root.join(mutant.file)).with_context(|| mutant.file.to_owned())?;
    match text.matches(mutant.text).count() {
        1 => Ok(text.replacen(mutant.text, mutant.instead, 1)),
        count => {
            bail!("{:?} stands {count} times in {}, not once ({})", mutant.text, mutant.file, mutant.name)
        }
    }
}

/// Builds the copy and tells its stories up to the first one that breaks one of the laws.
fn story(folder: &Path, target: &Path, seeds: &str, laws: &[&str]) -> Result<String> {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--example", "simulate"])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(folder)
        .output()
        .context("cargo")?;
    if !built.status.success() {
        bail!("it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    let program = target.join("debug").join("examples").join("simulate");
    let of_fleets = (laws.first() == Some(&"fleets")).then_some("--fleets");
    let told = Command::new(program)
        .args(of_fleets)
        .args(["--seeds", seeds, "--first", &laws.join(",")])
        .output()
        .context("the simulation")?;
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}

/// Builds the copy's tests and runs the one that has to fail.
fn one_test(folder: &Path, target: &Path, name: &str) -> Result<String> {
    let run = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--offline", "--test", "all", "--", "--exact", name])
        .env("CARGO_TARGET_DIR", target)
        // One test runs, so building it is all that takes time.
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", "0")
        .current_dir(folder)
        .output()
        .context("cargo")?;
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    if !told.contains("running 1 test") {
        bail!("{name} did not run:\n{}", String::from_utf8_lossy(&run.stderr));
    }
    Ok(told)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        if from.file_name().is_some_and(|name| name == "node_modules") {
            return Ok(());
        }
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let parent = to.parent().context("a parent")?;
    std::fs::create_dir_all(parent)?;
    std::fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

//! The packages of a version, installed by npm from a lock with integrity hashes, without any script of theirs.
//!
//! ```text
//! cache/locks/DIGEST.json      the lock for a set of dependencies, made once
//! cache/packages/DIGEST/       package.json, package-lock.json, node_modules; DIGEST is that of the lock
//! cache/home, cache/npm        what npm has for itself
//! ```
//!
//! The lock for the default (Twilio's helper at the manifest's version) ships with the program.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value as Json, json};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::node::programs;
use crate::kinds::npm;
use crate::shell::files;

/// The default set, and its lock.
const SHIPPED: [(&str, &str); 1] = [("twilio", "6.2.0")];
const SHIPPED_LOCK: &str = include_str!("twilio/package-lock.json");
/// Part of Twilio's platform, in releases that the registry does not have. The child stands for it.
const OF_THE_PLATFORM: &str = "@twilio/runtime-handler";
/// Longest time for npm.
const NPM_MAX: Duration = Duration::from_secs(180);
/// Largest lock.
const LOCK_MAX: u64 = 8 * 1024 * 1024;
/// What npm may know of this process's environment: how to reach the registry, and nothing of anybody's secrets.
const PASSED: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
];

pub struct Packages {
    cache: PathBuf,
    path: OsString,
    /// Two installations of one set would be in each other's way.
    turn: Mutex<()>,
}

impl Packages {
    pub fn new(cache: PathBuf, path: OsString) -> Packages {
        Packages { cache, path, turn: Mutex::new(()) }
    }

    /// The folder whose `node_modules` has these packages. `None`: there are none.
    ///
    /// # Errors
    /// They cannot be installed; the text says which, and why.
    pub async fn folder(&self, dependencies: &[(String, String)]) -> Result<Option<PathBuf>, String> {
        let mut set: Vec<(&str, &str)> =
            dependencies.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
        set.retain(|(name, _)| *name != OF_THE_PLATFORM);
        set.sort_unstable();
        if set.is_empty() {
            return Ok(None);
        }
        for (name, version) in &set {
            let mut problems = Vec::new();
            npm::check("", name, Some(*version), &mut problems);
            if let Some(problem) = problems.first() {
                return Err(format!("{}: {}", problem.title, problem.reason));
            }
        }
        let _turn = self.turn.lock().await;
        let lock = if set == SHIPPED { SHIPPED_LOCK.to_owned() } else { self.lock(&set).await? };
        let folder = self.cache.join("packages").join(short_digest(&lock));
        if !folder.join("node_modules").is_dir() {
            self.install(&set, &lock, &folder).await?;
        }
        std::fs::canonicalize(&folder).map(Some).map_err(|error| in_cache(&folder, &error))
    }

    /// The lock for a set. It is made when the set is used for the first time, and kept.
    async fn lock(&self, set: &[(&str, &str)]) -> Result<String, String> {
        let wanted = package_json(set);
        let file = self.cache.join("locks").join(format!("{}.json", short_digest(&wanted)));
        if file.exists() {
            return files::read_text(&file, LOCK_MAX).map_err(|error| format!("{}: {error}", file.display()));
        }
        let work = Work::new(&self.cache.join("locks"), &wanted)?;
        self.npm(&work.path, set, "", &["install", "--package-lock-only"]).await?;
        let lock = files::read_text(&work.path.join("package-lock.json"), LOCK_MAX)
            .map_err(|error| format!("npm made no lock: {error}"))?;
        if let Some(name) =
            packages_of(&lock).find_map(|(name, entry)| entry["integrity"].is_null().then_some(name))
        {
            return Err(format!(
                "package {name} has no integrity hash, so nobody could tell if it is another one"
            ));
        }
        files::write_atomic(&file, lock.as_bytes()).map_err(|error| format!("{error:#}"))?;
        Ok(lock)
    }

    async fn install(&self, set: &[(&str, &str)], lock: &str, folder: &Path) -> Result<(), String> {
        let parent = self.cache.join("packages");
        let work = Work::new(&parent, &package_json(set))?;
        std::fs::write(work.path.join("package-lock.json"), lock)
            .map_err(|error| in_cache(&work.path, &error))?;
        self.npm(&work.path, set, lock, &["ci", "--prefer-offline"]).await?;
        // An empty set of files would be found again and again.
        if !work.path.join("node_modules").is_dir() {
            return Err("npm installed nothing".into());
        }
        match std::fs::rename(&work.path, folder) {
            Ok(()) => Ok(()),
            // Another process was as quick.
            Err(_) if folder.join("node_modules").is_dir() => Ok(()),
            Err(error) => Err(in_cache(folder, &error)),
        }
    }

    /// Runs npm in a folder.
    async fn npm(
        &self,
        folder: &Path,
        set: &[(&str, &str)],
        lock: &str,
        args: &[&str],
    ) -> Result<(), String> {
        let names =
            set.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ");
        let Some(program) = programs(&self.path, "npm").into_iter().next() else {
            return Err(format!(
                "npm is not on the PATH, and the packages of the code are not installed yet ({names}): install npm, which \
                 comes with Node.js"
            ));
        };
        let always = [
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
            "--fetch-retries=1",
        ];
        let passed = PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(program);
        command
            .args(args)
            .args(always)
            .env_clear()
            .envs(passed)
            .env("PATH", &self.path)
            .env("HOME", self.cache.join("home"))
            .env("npm_config_cache", self.cache.join("npm"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let process = command.spawn().map_err(|error| format!("npm cannot be started: {error}"))?;
        let _group = Group(process.id());
        let output = match tokio::time::timeout(NPM_MAX, process.wait_with_output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("npm was not heard: {error}")),
            Err(_) => return Err(format!("npm did not install {names} within {} s", NPM_MAX.as_secs())),
        };
        if output.status.success() {
            return Ok(());
        }
        Err(why(&String::from_utf8_lossy(&output.stderr), &names, lock))
    }
}

/// The group of npm's processes, which is ended with it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let group = self.0.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A folder in which npm works; it is removed unless it was moved to its place.
struct Work {
    path: PathBuf,
}

impl Work {
    fn new(parent: &Path, package_json: &str) -> Result<Work, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("work-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let made = std::fs::create_dir_all(&path)
            .and_then(|()| std::fs::write(path.join("package.json"), package_json));
        made.map_err(|error| in_cache(&path, &error))?;
        Ok(Work { path })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn in_cache(path: &Path, error: &std::io::Error) -> String {
    format!("the folder for packages cannot be used: {}: {error}", path.display())
}

fn package_json(set: &[(&str, &str)]) -> String {
    let dependencies: Map<String, Json> =
        set.iter().map(|(name, version)| ((*name).to_owned(), Json::from(*version))).collect();
    json!({ "private": true, "dependencies": dependencies }).to_string()
}

fn short_digest(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Name and entry of each package of a lock.
fn packages_of(lock: &str) -> impl Iterator<Item = (String, Json)> {
    let mut lock: Json = serde_json::from_str(lock).unwrap_or_default();
    let packages = lock["packages"].as_object_mut().map(std::mem::take).unwrap_or_default();
    packages.into_iter().filter_map(|(path, entry)| {
        let (_, name) = path.rsplit_once("node_modules/")?;
        Some((name.to_owned(), entry))
    })
}

/// What npm's words mean. Of them only codes, names and hashes are read.
fn why(said: &str, names: &str, lock: &str) -> String {
    let code = said.lines().find_map(|line| line.strip_prefix("npm error code ")).unwrap_or("unknown").trim();
    let quoted = || said.split('\'').nth(1).unwrap_or(names);
    match code {
        "EINTEGRITY" => {
            let wanted = said.split("wanted ").nth(1).and_then(|rest| rest.split_whitespace().next());
            let locked = packages_of(lock).find(|(_, entry)| entry["integrity"].as_str() == wanted);
            let which = match &locked {
                Some((name, entry)) => format!("{name} {}", entry["version"].as_str().unwrap_or_default()),
                None => format!("one of those for {names}"),
            };
            format!(
                "package {which} is no longer as locked: the registry has other bytes than the lock's hash says"
            )
        }
        "E404" => format!("package {} is not in the registry", quoted()),
        "ETARGET" => {
            let which = said.split("No matching version found for ").nth(1);
            let which = which.and_then(|rest| rest.split_whitespace().next()).unwrap_or(names);
            format!("the registry has no version {}", which.trim_end_matches('.'))
        }
        "ENOTFOUND" | "EAI_AGAIN" | "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT" | "ENETUNREACH"
        | "EHOSTUNREACH" | "ERR_SOCKET_TIMEOUT" | "FETCH_ERROR" => {
            format!(
                "npm cannot reach the registry ({code}), and the packages of the code are not installed yet: {names}"
            )
        }
        _ => {
            let first =
                said.lines().filter_map(|line| line.strip_prefix("npm error ")).nth(1).unwrap_or_default();
            format!("npm cannot install {names} ({code}): {first}")
        }
    }
}

/// The folder for packages where the caller names none.
///
/// # Errors
/// The environment names no home.
pub fn default_cache(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let usable = |value: &OsStr| Path::new(value).is_absolute();
    let cache = env("XDG_CACHE_HOME").filter(|value| usable(value)).map(PathBuf::from);
    let home = || env("HOME").filter(|value| usable(value)).map(|home| PathBuf::from(home).join(".cache"));
    Some(cache.or_else(home)?.join("lockstep"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lock_pins_every_package_by_hash_and_names_no_host() {
        let lock: Json = serde_json::from_str(SHIPPED_LOCK).expect("JSON");
        assert_eq!(lock["packages"][""]["dependencies"], json!({ "twilio": SHIPPED[0].1 }));
        assert_eq!(lock["packages"]["node_modules/twilio"]["version"], SHIPPED[0].1);
        assert!(packages_of(SHIPPED_LOCK).count() > 10);
        for (name, entry) in packages_of(SHIPPED_LOCK) {
            assert!(entry["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name}");
            assert!(entry["resolved"].is_null() && entry["hasInstallScript"].is_null(), "{name}");
        }
    }

    #[test]
    fn what_npm_says_becomes_the_package_and_the_reason() {
        let lock = json!({ "packages": {
            "": {},
            "node_modules/axios": { "version": "1.2.3", "integrity": "sha512-AAAA" },
            "node_modules/axios/node_modules/qs": { "version": "6.0.1", "integrity": "sha512-BBBB" },
        }});
        let rows = [
            (
                "npm error code EINTEGRITY\nnpm error Integrity checksum failed when using sha512: wanted sha512-BBBB but got \
                 sha512-CCCC.\n",
                "package qs 6.0.1 is no longer as locked",
            ),
            (
                "npm error code EINTEGRITY\nnpm error wanted sha512-DDDD but got\n",
                "one of those for twilio 6.2.0",
            ),
            (
                "npm error code E404\nnpm error 404  The requested resource 'acme@1.0.0' could not be found\n",
                "package acme@1.0.0 is not in the registry",
            ),
            (
                "npm error code ETARGET\nnpm error notarget No matching version found for twilio@99.0.0.\n",
                "the registry has no version twilio@99.0.0",
            ),
            ("npm error code ECONNREFUSED\n", "npm cannot reach the registry (ECONNREFUSED)"),
            (
                "npm error code EUSAGE\nnpm error words of npm\n",
                "npm cannot install twilio 6.2.0 (EUSAGE): words of npm",
            ),
            ("", "npm cannot install twilio 6.2.0 (unknown): "),
        ];
        for (said, told) in rows {
            let why = why(said, "twilio 6.2.0", &lock.to_string());
            assert!(why.contains(told), "{said}\n{why}");
        }
    }

    #[test]
    fn packages_come_from_the_registry_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let packages = Packages::new("/no/such/folder".into(), OsString::new());
        for (name, version) in [("../x", "1.0.0"), ("x", "file:../y"), ("x", "git+https://a.example/x.git")] {
            let set = [(name.to_owned(), version.to_owned())];
            let refused = runtime.block_on(packages.folder(&set)).expect_err(name);
            assert!(refused.contains(name) && !refused.contains("PATH"), "{refused}");
        }
        let none = runtime.block_on(packages.folder(&[(OF_THE_PLATFORM.to_owned(), "2.1.2".to_owned())]));
        assert_eq!(none, Ok(None), "what the platform brings is not installed");
    }
}

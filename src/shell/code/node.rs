//! Finds Node.js and npm.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The oldest Node.js that runs code: the one that Actions and Functions run on.
const MAJOR_MIN: u32 = 22;
/// Longest wait for `node --version`.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A Node.js that is recent enough.
#[derive(Clone, Debug)]
pub struct Node {
    pub program: PathBuf,
    major: u32,
    minor: u32,
}

impl Node {
    /// The switches that hold code back; reading is allowed in these folders alone.
    pub fn switches(&self, readable: &[&Path], heap_max_mb: u32) -> Vec<String> {
        let mut all: Vec<String> = ["--no-addons", "--no-warnings"].map(str::to_owned).into();
        if (self.major, self.minor) < (22, 13) {
            // Its name before that release, in which SQLite was off.
            all.push("--experimental-permission".into());
        } else {
            // SQLite opens files without asking the permission model (seen in 22.23).
            all.extend(["--permission", "--no-experimental-sqlite"].map(str::to_owned));
        }
        if self.major >= 25 {
            // There the model covers the network too; what code may reach is the business of `wall.js`.
            all.push("--allow-net".into());
        }
        all.push(format!("--max-old-space-size={heap_max_mb}"));
        all.extend(readable.iter().map(|folder| format!("--allow-fs-read={}", folder.display())));
        all
    }
}

/// The programs of that name in the folders of `PATH`, in their order.
pub fn programs(path: &OsStr, name: &str) -> Vec<PathBuf> {
    let absolute = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    absolute.map(|folder| folder.join(name)).filter(|file| file.is_file()).collect()
}

/// The first Node.js on the `PATH` that is recent enough.
///
/// # Errors
/// There is none. The text says what is there and what to do.
pub async fn find(path: &OsStr) -> Result<Node, String> {
    let mut others = Vec::new();
    for program in programs(path, "node") {
        match version_of(&program).await {
            Some((major, minor)) if major >= MAJOR_MIN => return Ok(Node { program, major, minor }),
            Some((major, minor)) => others.push(format!("{} is {major}.{minor}", program.display())),
            None => others.push(format!("{} tells no version", program.display())),
        }
    }
    let there = if others.is_empty() { "there is none".to_owned() } else { others.join(", ") };
    Err(format!(
        "running code needs Node.js {MAJOR_MIN} or later on the PATH, and {there}: install it, for example by \
         `npm install --prefix node22 node@22`, and put its folder (node22/node_modules/.bin) first on the PATH"
    ))
}

async fn version_of(program: &Path) -> Option<(u32, u32)> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER_MAX, command.output()).await.ok()?.ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `v22.23.3`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_choose_the_switches() {
        assert_eq!(parse("v22.23.3\n"), Some((22, 23)));
        assert_eq!(parse("v20.19.2"), Some((20, 19)));
        assert!(["", "22.1.0", "v", "v22", "vx.y.z"].iter().all(|text| parse(text).is_none()));
        let switches = |major, minor| {
            Node { program: "node".into(), major, minor }.switches(&[Path::new("/a"), Path::new("/b")], 96)
        };
        assert!(switches(22, 12).contains(&"--experimental-permission".to_owned()));
        assert!(switches(22, 13).contains(&"--permission".to_owned()));
        assert!(!switches(24, 0).contains(&"--allow-net".to_owned()));
        assert!(switches(25, 0).contains(&"--allow-net".to_owned()));
        let folders = ["--allow-fs-read=/a".to_owned(), "--allow-fs-read=/b".to_owned()];
        assert!(switches(22, 13).ends_with(&folders));
    }
}

//! npm packages that Actions and Functions depend on: which names and versions are possible.

use crate::diag::{Problem, codes};

/// Adds errors for a name or a version that the npm registry cannot have. The caller warns about versions that may
/// change between two builds.
pub fn check(place: &str, name: &str, version: Option<&str>, out: &mut Vec<Problem>) {
    if !is_name(name) {
        let title = format!("{name:?} is not the name of a package");
        let reason = "npm takes lower-case letters, digits, -, _, . and ~, optionally with @scope/ in front";
        let help = "write the name as `npm install` takes it";
        out.push(Problem::error(codes::BAD_TEXT, place, title, reason, help).at_key());
    }
    if version.is_some_and(|version| !is_version(version)) {
        let title = format!("the version of {name:?} is not one that the npm registry has");
        let reason = "packages come from the registry, and not from an address, a repository or a folder";
        let help = "write an exact version such as 6.2.0";
        out.push(Problem::error(codes::BAD_TEXT, place, title, reason, help));
    }
}

/// Whether a text is a package name by the rules of npm (validate-npm-package-name, 2026-08).
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '_'])
            && part.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'~')
            })
    };
    name.len() <= 214
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name) && !matches!(name, "node_modules" | "favicon.ico"),
        }
}

/// Whether a text can be a version, a range or a tag.
fn is_version(version: &str) -> bool {
    let plain = |ch: char| {
        ch.is_ascii_alphanumeric()
            || matches!(ch, '.' | '-' | '+' | '^' | '~' | '<' | '>' | '=' | '|' | '*' | ' ')
    };
    !version.trim().is_empty() && version.chars().all(plain)
}

/// Whether a version names exactly one release, and is not a range or a tag.
pub fn is_exact(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u64>().is_ok())
}

/// Whether the version `there` can be how the API shows the version `sent`. A range or a tag may read back as the
/// release that it was resolved to.
pub fn reads_back(sent: &str, there: &str) -> bool {
    sent == there || (!is_exact(sent) && is_exact(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        assert!(
            ["twilio", "@twilio/runtime-handler", "lodash.get", "a_b", "1to2"]
                .iter()
                .all(|name| is_name(name))
        );
        let wrong = [
            "../x",
            "./x",
            "Twilio",
            "a b",
            "@scope",
            "@/x",
            "a/b",
            "",
            ".x",
            "_x",
            "https://a.example/x",
            "node_modules",
        ];
        assert!(!wrong.iter().any(|name| is_name(name)));
        assert!(
            ["6.2.0", "^6.2.0", "~1", ">=1 <2 || 3.x", "latest", "1.0.0-rc.1+b", "*"]
                .iter()
                .all(|v| is_version(v))
        );
        let wrong = [
            "git+https://a.example/x.git",
            "github:a/b",
            "a/b",
            "file:../x",
            "https://a.example/x.tgz",
            "",
            " ",
            "1.0.0\n",
            "npm:x@1",
        ];
        assert!(!wrong.iter().any(|version| is_version(version)));
    }
}

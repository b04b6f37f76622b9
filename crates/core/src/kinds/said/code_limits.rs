//! The marked line of an Action's code. It names the rate limits that the code passes to Verify.
//!
//! A limit does nothing unless the code that starts a verification passes the limit's name and a value. Verify refuses
//! a name that it does not know. Lockstep therefore fills the line from the manifest, and the proof of law 1 uses the
//! deployed line.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::rate_limits;
use crate::model::manifest::Manifest;

/// The end of the marked line. The text before the first `=` is kept, and the text between `=` and the marker is
/// replaced.
pub const MARKER: &str = "// lockstep:rate-limits";

/// The limits that the Action passes: the unique name of each, and the source of its value (`recipient`, `user` or
/// `ip`) according to the manifest.
pub fn passed(manifest: &Manifest) -> BTreeMap<&str, &str> {
    rate_limits::names(manifest)
        .into_iter()
        .filter_map(|name| {
            let key = manifest.text(rate_limits::SECTION, &format!("rate_limits.{name}.key"))?;
            (key != "none").then_some((name, key))
        })
        .collect()
}

fn marked(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_suffix(MARKER)?.split_once('=')
}

/// Whether the code has a marked line.
pub fn has_marker(code: &str) -> bool {
    code.lines().any(|line| marked(line).is_some())
}

/// The code with the manifest's limits in its marked line. The code stays as it is if the manifest has no rate limits
/// or the code has no marked line.
pub fn fill(manifest: &Manifest, code: String) -> String {
    if rate_limits::names(manifest).is_empty() || !has_marker(&code) {
        return code;
    }
    let limits = json!(passed(manifest));
    let line = |line: &str| match marked(line) {
        Some((before, _)) => format!("{before}= {limits}; {MARKER}\n"),
        None => line.to_owned(),
    };
    code.split_inclusive('\n').map(line).collect()
}

/// The names of the limits in the marked line of the code, sorted. `None` if the code has no such line or the line
/// cannot be read; then nothing is claimed about its limits.
pub fn names(code: &str) -> Option<Vec<String>> {
    Some(limits(code)?.into_keys().collect())
}

fn limits(code: &str) -> Option<BTreeMap<String, Json>> {
    let (_, value) = code.lines().find_map(marked)?;
    serde_json::from_str(value.trim().trim_end_matches(';')).ok()
}

/// The source of the value that the code passes for each limit, by the name of the limit.
pub fn keys(code: &str) -> BTreeMap<String, String> {
    let plain = |(name, key): (String, Json)| Some((name, key.as_str()?.to_owned()));
    limits(code).into_iter().flatten().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::Value;

    fn manifest(limits: &[(&str, &str)]) -> Manifest {
        let attrs = limits
            .iter()
            .map(|(name, key)| (format!("rate_limits.{name}.key"), Value::text(*key)))
            .collect::<BTreeMap<_, _>>();
        let sections = BTreeMap::from([(rate_limits::SECTION.to_owned(), attrs)]);
        Manifest { stack: "acme".into(), sections }
    }

    #[test]
    fn the_marked_line_is_replaced_and_read_back() {
        let code = "'use strict';\n  const LIMITS = {}; // lockstep:rate-limits\nexports.x = 1;\n".to_owned();
        let two = manifest(&[("per_number", "recipient"), ("per_user", "user"), ("others", "none")]);
        let filled = fill(&two, code.clone());
        assert_eq!(
            filled,
            "'use strict';\n  const LIMITS = {\"per_number\":\"recipient\",\"per_user\":\"user\"}; // lockstep:rate-limits\nexports.x = 1;\n"
        );
        assert_eq!(names(&filled), Some(vec!["per_number".to_owned(), "per_user".to_owned()]));
        assert_eq!(names(&code), Some(Vec::new()));
        assert_eq!(fill(&manifest(&[]), filled.clone()), filled, "nothing declared, nothing touched");
        assert_eq!(names(&fill(&manifest(&[("others", "none")]), filled)), Some(Vec::new()));
    }

    #[test]
    fn code_without_the_line_says_nothing() {
        for code in ["", "const LIMITS = {};\n", "const LIMITS = { a: 'b' }; // lockstep:rate-limits\n"] {
            assert_eq!(names(code), None, "{code}");
        }
        let one = manifest(&[("a", "ip")]);
        assert_eq!(fill(&one, "x = 1;\n".into()), "x = 1;\n");
        assert!(!has_marker("x // lockstep:rate-limits"), "there is nothing to assign to");
    }

    #[test]
    fn the_built_in_has_the_line_once() {
        for name in ["twilio-verify", "twilio-verify-fetch"] {
            let code = crate::builtin::source(name).unwrap_or_default();
            assert_eq!(code.lines().filter(|line| marked(line).is_some()).count(), 1);
            assert_eq!(names(code), Some(Vec::new()));
        }
    }
}

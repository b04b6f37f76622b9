//! The one line of an Action's code that names the rate limits it passes to Verify.
//!
//! A limit does nothing unless whoever starts a verification passes its name and a value, and an unknown name is an
//! error: so the line comes from the manifest, and what the deployed line says takes part in the proof of law 1.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Run, text, verify_below, verify_rate_limit};
use crate::model::call::{Failed, Get};
use crate::model::manifest::Manifest;
use crate::port::Reader;

/// Ends the line; what stands before the first `=` is kept, what stands between is replaced.
pub const MARKER: &str = "// lockstep:rate-limits";

/// Limits whose value the Action sends: unique name and where the value comes from, as the manifest says.
pub fn passed(manifest: &Manifest) -> BTreeMap<&str, &str> {
    verify_rate_limit::names(manifest)
        .into_iter()
        .filter_map(|name| {
            let key = manifest.text(verify_rate_limit::SECTION, &format!("rate_limits.{name}.key"))?;
            (key != "none").then_some((name, key))
        })
        .collect()
}

fn marked(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_suffix(MARKER)?.split_once('=')
}

/// Whether the code has the line.
pub fn has_marker(code: &str) -> bool {
    code.lines().any(|line| marked(line).is_some())
}

/// The code with the manifest's limits in its marked line. A manifest without rate limits leaves the code as it is.
pub fn fill(manifest: &Manifest, code: String) -> String {
    if verify_rate_limit::names(manifest).is_empty() || !has_marker(&code) {
        return code;
    }
    let limits = json!(passed(manifest));
    let line = |line: &str| match marked(line) {
        Some((before, _)) => format!("{before}= {limits}; {MARKER}\n"),
        None => line.to_owned(),
    };
    code.split_inclusive('\n').map(line).collect()
}

/// The names in a code's marked line, sorted; `None` when the code has none or it cannot be read, so that nothing is
/// claimed of it.
pub fn names(code: &str) -> Option<Vec<String>> {
    let (_, value) = code.lines().find_map(marked)?;
    let limits: BTreeMap<String, Json> = serde_json::from_str(value.trim().trim_end_matches(';')).ok()?;
    Some(limits.into_keys().collect())
}

/// A read before an exposing step: what it looks for, the read, a word for the test, and the test of its reply.
pub type Look = (&'static str, Get, String, fn(&Json, &str) -> bool);

/// Shows whether the limits that the Action passes stand; `None` when it passes none.
pub fn read(run: &Run<'_>) -> Option<Look> {
    let names: Vec<&str> = passed(run.manifest).into_keys().collect();
    let sid = run.ids.get("verify_service")?.get("sid").filter(|sid| !sid.is_empty())?;
    let stands: fn(&Json, &str) -> bool = |reply, names| {
        let there = reply["rate_limits"].as_array().map(Vec::as_slice).unwrap_or_default();
        names.split(',').all(|name| there.iter().any(|limit| text(limit, "unique_name") == name))
    };
    let get = verify_below::list(sid, verify_rate_limit::TAIL);
    (!names.is_empty()).then(|| ("a rate limit that the Action passes", get, names.join(","), stands))
}

/// Looks right before a deployment: a limit that went away since the plan was made would make every message fail.
pub async fn stand(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some((what, get, names, stands)) = read(run) else { return Ok(()) };
    if stands(&reader.fresh(&get).await?, &names) {
        return Ok(());
    }
    Err(Failed::NotDone(format!(
        "{what} is not there any more since the plan was made ({names}), and every message would fail; plan again"
    )))
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
        let sections = BTreeMap::from([(verify_rate_limit::SECTION.to_owned(), attrs)]);
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
        let code = crate::builtin::source("twilio-verify").unwrap_or_default();
        assert_eq!(code.lines().filter(|line| marked(line).is_some()).count(), 1);
        assert_eq!(names(code), Some(Vec::new()));
    }
}

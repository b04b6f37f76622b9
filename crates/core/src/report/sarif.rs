//! SARIF 2.1.0, for code scanning: a result for each mark, with the codes as rules.

use std::collections::BTreeMap;

use ring::digest;
use serde_json::{Value as Json, json};

use super::door::Door;
use super::marks::{Mark, Weight, marks, rules};
use super::{Content, Report};
use crate::model::random::hex;

/// Where the schema of the format is published.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log of one run.
pub fn sarif(report: &Report, door: Door<'_>) -> Json {
    let rules = rules();
    let described: Vec<Json> =
        rules.iter().map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } })).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Json> = marks(report).iter().map(|mark| result(mark, &rules, &mut seen, door)).collect();
    let mut invocation = json!({ "executionSuccessful": true });
    if let Content::Failed(failure) = &report.content {
        let text = message(&door.line(&failure.message));
        invocation = json!({
            "executionSuccessful": false,
            "exitCode": failure.exit,
            "toolExecutionNotifications": [{ "level": "error", "message": { "text": text } }],
        });
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Lockstep", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": described,
            } },
            "automationDetails": { "id": format!("lockstep/{}/", report.command) },
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation],
            "results": results,
        }],
    })
}

fn result(mark: &Mark, rules: &[(String, &str)], seen: &mut BTreeMap<String, usize>, door: Door<'_>) -> Json {
    let Mark { weight, rule, subject, text, help, file, start, end } = mark;
    let level = match weight {
        Weight::Error => "error",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    let text = match help.as_str() {
        "" => door.line(text),
        help => format!("{} (help: {})", door.line(text), door.line(help)),
    };
    let mut place = json!({ "artifactLocation": { "uri": uri(&door.line(file)) } });
    if let Some((line, column)) = start {
        place["region"] = json!({ "startLine": line, "startColumn": column });
        if let Some((line, column)) = end {
            place["region"]["endLine"] = json!(line);
            place["region"]["endColumn"] = json!(column);
        }
    }
    let locations = if file.is_empty() { Vec::new() } else { vec![json!({ "physicalLocation": place })] };
    let mut out = json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": message(&text) },
        "locations": locations,
        "partialFingerprints": { "lockstep/v1": fingerprint(rule, &door.line(subject), seen) },
    });
    if let Some(index) = rules.iter().position(|(id, _)| id == rule) {
        out["ruleIndex"] = json!(index);
    }
    out
}

/// What a result is known by in the next run, wherever its line has moved to: rule and subject. Several of one subject
/// are counted.
fn fingerprint(rule: &str, subject: &str, seen: &mut BTreeMap<String, usize>) -> String {
    let of = digest::digest(&digest::SHA256, format!("{rule}\n{subject}").as_bytes());
    let print = hex(&of.as_ref()[..16]);
    let count = seen.entry(print.clone()).or_insert(0);
    *count += 1;
    format!("{print}:{count}")
}

/// A message in which nothing is a link: SARIF has `[text](target)` for that.
fn message(text: &str) -> String {
    text.replace("](", "] (")
}

/// A path as a reference of a URI.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut out = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

//! Warns when a log stream bypasses the declared Function, or sends to a host that Auth0 cannot reach.

use super::said::{function, streams};
use super::urls;
use crate::diag::{Problem, codes};
use crate::model::manifest::Manifest;
use crate::model::value::{Part, Value};

/// Adds the warnings for the stream of the feedback. `function`: the manifest declares a Function.
pub fn check(manifest: &Manifest, function: bool, out: &mut Vec<Problem>) {
    let at = format!("{}.endpoint", streams::SECTION_PATH);
    let Some(value) = manifest.get(streams::SECTION_PATH, "endpoint") else { return };
    let is_ours = |part: &Part| matches!(part, Part::Output(output) if output.resource == function::NAME);
    let elsewhere = match value {
        Value::Output(template) => !template.parts.iter().any(is_ours),
        Value::Unknown(_) => false,
        _ => true,
    };
    if function && elsewhere {
        let title = "feedback.function gets no events";
        let reason = "feedback.log_stream.endpoint sends them to another receiver";
        let help = "remove this line, so that the stream sends to the Function, or remove feedback.function";
        out.push(Problem::error(codes::CONFLICT, &at, title, reason, help).warning());
    }
    unreachable(&at, value, out);
}

/// Adds a warning if Auth0 cannot reach the endpoint.
pub fn unreachable(at: &str, value: &Value, out: &mut Vec<Problem>) {
    if value.as_str().is_some_and(urls::is_private) {
        let title = "Auth0 cannot reach this endpoint";
        let reason = "its host is on this machine or in a private network";
        let help = "write a host that the internet reaches";
        out.push(Problem::error(codes::UNSAFE, at, title, reason, help).warning());
    }
}

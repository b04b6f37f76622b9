//! Which endpoints Lockstep uses. The list was fixed before the twin was measured and does not follow the twin.

use lockstep::model::api::Method;
use lockstep::model::api::Method::{Delete, Get, Patch, Post, Put};
use lockstep::twin;

/// Below `/api/v2`.
const USED: &[(&[Method], &str)] = &[
    (&[Get, Post], "/actions/actions"),
    (&[Get, Patch, Delete], "/actions/actions/{id}"),
    (&[Post], "/actions/actions/{id}/deploy"),
    (&[Get], "/actions/actions/{id}/versions"),
    (&[Get], "/actions/actions/{id}/versions/{version_id}"),
    (&[Post], "/actions/actions/{id}/versions/{version_id}/deploy"),
    (&[Get], "/actions/triggers"),
    (&[Get, Patch], "/actions/triggers/{trigger_id}/bindings"),
    (&[Get], "/guardian/factors"),
    (&[Put], "/guardian/factors/{name}"),
    (&[Get, Put], "/guardian/factors/phone/message-types"),
    (&[Get, Put], "/guardian/factors/phone/selected-provider"),
    (&[Get, Put], "/guardian/factors/sms/selected-provider"),
    (&[Get, Put], "/guardian/factors/phone/providers/twilio"),
    (&[Get, Put], "/guardian/factors/sms/providers/twilio"),
    (&[Get, Put], "/guardian/factors/phone/templates"),
    (&[Get, Put], "/guardian/factors/sms/templates"),
    (&[Get, Put], "/guardian/policies"),
    (&[Get, Patch], "/branding"),
    (&[Get, Post], "/branding/phone/providers"),
    (&[Get, Patch, Delete], "/branding/phone/providers/{id}"),
    (&[Post], "/branding/phone/providers/{id}/try"),
    (&[Get, Post], "/branding/phone/templates"),
    (&[Get, Patch, Delete], "/branding/phone/templates/{id}"),
    (&[Patch], "/branding/phone/templates/{id}/reset"),
    (&[Get, Patch], "/attack-protection/phone-provider-protection"),
    (&[Get, Post], "/log-streams"),
    (&[Get, Patch, Delete], "/log-streams/{id}"),
    (&[Get, Patch], "/tenants/settings"),
    (&[Get, Patch], "/prompts"),
    (&[Get, Post], "/clients"),
    (&[Get, Patch, Delete], "/clients/{id}"),
    (&[Get], "/connections"),
    (&[Get, Patch], "/connections/{id}/clients"),
    (&[Get], "/logs"),
];

/// The template of a path below `/api/v2`, and whether Lockstep uses that endpoint.
pub fn template(method: Option<Method>, path: &str) -> (String, bool) {
    let known = USED.iter().find(|(methods, pattern)| {
        matches(pattern, path) && method.is_some_and(|method| methods.contains(&method))
    });
    match known {
        Some((_, pattern)) => ((*pattern).to_owned(), true),
        None => (generic(path), false),
    }
}

/// Whether the twin has an operation for that method and path below `/api/v2`.
pub fn in_twin(method: Option<Method>, path: &str) -> bool {
    twin::operations().iter().any(|(_, known, pattern)| {
        Some(*known) == method
            && pattern.strip_prefix("/api/v2").is_some_and(|pattern| matches(pattern, path))
    })
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(part, segment)| part.starts_with('{') || *part == segment)
}

/// Segments that look like ids are `{id}`.
fn generic(path: &str) -> String {
    let is_id = |segment: &&str| {
        segment.contains(['|', '%', '@'])
            || (segment.len() >= 12 && segment.bytes().any(|byte| byte.is_ascii_digit()))
    };
    let parts: Vec<&str> =
        path.split('/').map(|segment| if is_id(&segment) { "{id}" } else { segment }).collect();
    parts.join("/")
}

//! The endpoints that Lockstep uses: exactly those that its engine calls. A contract test compares this table with the
//! recorded traffic of the engine.

use lockstep::model::api::Method;
use lockstep::model::api::Method::{Delete, Get, Patch, Post, Put};
use lockstep::twin;

type Endpoints = &'static [(&'static [Method], &'static str)];

/// Paths below `/api/v2`.
const USED: Endpoints = &[
    (&[Get, Post], "/actions/actions"),
    (&[Get, Patch, Delete], "/actions/actions/{id}"),
    (&[Post], "/actions/actions/{id}/deploy"),
    (&[Get], "/actions/actions/{id}/versions/{version_id}"),
    (&[Post], "/actions/actions/{id}/versions/{version_id}/deploy"),
    (&[Get, Patch], "/actions/triggers/{trigger_id}/bindings"),
    (&[Get], "/guardian/factors"),
    (&[Put], "/guardian/factors/{name}"),
    (&[Get, Put], "/guardian/factors/phone/message-types"),
    (&[Get, Put], "/guardian/factors/phone/selected-provider"),
    (&[Get, Put], "/guardian/factors/phone/templates"),
    (&[Get, Put], "/guardian/policies"),
    (&[Get, Patch], "/branding"),
    (&[Get, Post], "/branding/phone/providers"),
    (&[Patch, Delete], "/branding/phone/providers/{id}"),
    (&[Get, Post], "/branding/phone/templates"),
    (&[Patch, Delete], "/branding/phone/templates/{id}"),
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

/// The table of a report that an endpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The engine calls the endpoint.
    Used,
    /// The twin serves the endpoint to other clients.
    Served,
    /// The twin does not know the endpoint, so every exchange on it fails.
    Unknown,
}

/// Every call in use, such as `GET /prompts`.
pub fn calls() -> impl Iterator<Item = String> {
    let of = |(methods, pattern): &(&'static [Method], &'static str)| {
        let pattern = *pattern;
        methods.iter().map(move |method| format!("{} {pattern}", method.as_str()))
    };
    USED.iter().flat_map(of)
}

/// The template of a path below `/api/v2`, and the group of that endpoint.
pub fn template(method: Option<Method>, path: &str) -> (String, Group) {
    let Some(method) = method else { return (generic(path), Group::Unknown) };
    let used = USED.iter().find(|(methods, pattern)| methods.contains(&method) && matches(pattern, path));
    if let Some((_, pattern)) = used {
        return ((*pattern).to_owned(), Group::Used);
    }
    match served(method, path) {
        Some(pattern) => (pattern, Group::Served),
        None => (generic(path), Group::Unknown),
    }
}

/// Whether the twin has an operation for that method and path below `/api/v2`.
pub fn in_twin(method: Option<Method>, path: &str) -> bool {
    method.is_some_and(|method| served(method, path).is_some())
}

/// The twin's own pattern; if several fit, the one with the fewest placeholders.
fn served(method: Method, path: &str) -> Option<String> {
    let of_it = twin::operations().into_iter().filter_map(|(_, known, pattern)| {
        let pattern = pattern.strip_prefix("/api/v2")?;
        (known == method && matches(pattern, path)).then(|| pattern.to_owned())
    });
    of_it.min_by_key(|pattern| pattern.matches('{').count())
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(part, segment)| part.starts_with('{') || *part == segment)
}

/// Replaces segments that look like ids by `{id}`.
fn generic(path: &str) -> String {
    let is_id = |segment: &&str| {
        segment.contains(['|', '%', '@'])
            || (segment.len() >= 12 && segment.bytes().any(|byte| byte.is_ascii_digit()))
    };
    let parts: Vec<&str> =
        path.split('/').map(|segment| if is_id(&segment) { "{id}" } else { segment }).collect();
    parts.join("/")
}

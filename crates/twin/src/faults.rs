//! Faults on demand: which requests go wrong, and how.

use lockstep_wire::{ApiRequest, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The rules in order. The first rule that applies to a request is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    pub rules: Vec<Rule>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub when: When,
    pub what: What,
    /// Number of requests the rule hits, beginning with the first match that `when` allows. 0: none; `u32::MAX`: no
    /// end.
    #[serde(default = "once")]
    pub times: u32,
    /// Number of requests that matched so far, counted until the rule is over.
    #[serde(default)]
    pub matched: u32,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// Whether the rule has used up its hits.
    pub fn is_over(&self) -> bool {
        let skip = match self.when {
            When::Number(_) => 0,
            When::Matching { nth, .. } => nth.saturating_sub(1),
        };
        self.times != u32::MAX && self.matched >= skip.saturating_add(self.times)
    }

    /// A rule that hits once.
    pub fn once(when: When, what: What) -> Rule {
        Rule { when, what, times: 1, matched: 0 }
    }
}

/// Which requests a rule hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// The request with this number (1-based, as in the log). With `times`, also those after it.
    Number(usize),
    /// Requests that match every given part, from the `nth` (1-based) on.
    Matching {
        #[serde(default)]
        method: Option<Method>,
        /// Part of the host.
        #[serde(default)]
        host: Option<String>,
        /// Beginning of the path. A segment `*` stands for any one segment. With a `$` at the end, the pattern must
        /// match the whole path, without the query.
        #[serde(default)]
        path: Option<String>,
        #[serde(default = "once")]
        nth: u32,
    },
}

impl When {
    /// The first request of that method, on any host, whose path begins with `path`.
    pub fn first(method: Method, path: &str) -> When {
        When::Matching { method: Some(method), host: None, path: Some(path.into()), nth: 1 }
    }
}

/// What happens to a request that a rule hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// 429; the request never takes effect.
    RateLimited { retry_after_s: Option<u64> },
    /// A 5xx, before or after the request took effect.
    ServerError { status: u16, after_effect: bool },
    /// No reply arrives. `after_effect` says whether the request took effect.
    Lost { after_effect: bool },
    /// No connection is made; the request certainly has no effect.
    NotSent,
    /// Status 200 and an HTML page in place of the answer.
    Malformed { after_effect: bool },
    /// Status 200 and a JSON content type, but a body that is not a valid answer.
    Garbled { after_effect: bool, how: Garble },
    /// No answer for `ms`, then the connection is closed. `after_effect` says whether the request took effect.
    TimeOut { after_effect: bool, ms: u64 },
    /// 403 without effect, as for a missing permission.
    Forbidden,
    /// 401 without effect.
    Unauthorized,
    /// The usual answer, later.
    Delay { ms: u64 },
    /// A GET is answered from the state before the last write. Other methods are unaffected.
    Stale,
    /// The build that this request starts fails. A request that starts no build is unaffected.
    BuildFails,
    /// The build that this request starts takes `ms`. A request that starts no build is unaffected.
    BuildTakes { ms: u64 },
    /// The request takes effect and no reply arrives. For `ms`, the list of its objects does not show the new object.
    Unseen { ms: u64 },
    /// Another operator's Management API call takes effect on the same tenant just before the request.
    Interject { method: Method, path: String, body: Value },
}

/// What is wrong with a body that is not a valid answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garble {
    /// No bytes.
    Empty,
    /// The JSON stops in the middle.
    Cut,
    /// Well-formed JSON that has nothing to do with what was asked.
    Shape,
    /// Well-formed JSON of 64 MiB.
    Huge,
}

/// Size of the body of [`Garble::Huge`], far above any reply of the two APIs.
pub const HUGE_BYTES: usize = 64 * 1024 * 1024;

impl What {
    /// A short name for logs. Most are the word of the fault grammar.
    pub fn name(&self) -> &'static str {
        match self {
            What::RateLimited { .. } => "rate_limited",
            What::ServerError { .. } => "server_error",
            What::Lost { .. } => "lost",
            What::NotSent => "refused",
            What::Malformed { .. } => "html",
            What::Garbled { how: Garble::Empty, .. } => "empty",
            What::Garbled { how: Garble::Cut, .. } => "cut",
            What::Garbled { how: Garble::Shape, .. } => "shape",
            What::Garbled { how: Garble::Huge, .. } => "huge",
            What::TimeOut { .. } => "timeout",
            What::Forbidden => "forbidden",
            What::Unauthorized => "unauthorized",
            What::Delay { .. } => "delay",
            What::Stale => "stale",
            What::BuildFails => "build_fails",
            What::BuildTakes { .. } => "build_takes",
            What::Unseen { .. } => "unseen",
            What::Interject { .. } => "interject",
        }
    }

    /// Whether the request takes effect in spite of the fault; `None`: the fault does not decide that.
    pub fn takes_effect(&self) -> Option<bool> {
        match self {
            What::ServerError { after_effect, .. }
            | What::Lost { after_effect }
            | What::Malformed { after_effect }
            | What::Garbled { after_effect, .. }
            | What::TimeOut { after_effect, .. } => Some(*after_effect),
            What::RateLimited { .. } | What::NotSent | What::Forbidden | What::Unauthorized => Some(false),
            What::Unseen { .. } => Some(true),
            What::Delay { .. }
            | What::Stale
            | What::BuildFails
            | What::BuildTakes { .. }
            | What::Interject { .. } => None,
        }
    }
}

/// Whether a path fits the pattern of a rule.
fn path_fits(pattern: &str, path: &str) -> bool {
    let (pattern, path, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, path.split('?').next().unwrap_or_default(), true),
        None => (pattern, path, false),
    };
    let mut rest = path;
    for (at, part) in pattern.split("/*").enumerate() {
        if at > 0 {
            // One non-empty segment.
            let Some(below) = rest.strip_prefix('/') else { return false };
            let end = below.find(['/', '?']).unwrap_or(below.len());
            if end == 0 {
                return false;
            }
            rest = &below[end..];
        }
        let Some(next) = rest.strip_prefix(part) else { return false };
        rest = next;
    }
    !whole || rest.is_empty()
}

impl Faults {
    /// The fault for this request, if a rule applies. Each call counts a match, so call it once per request.
    pub fn take(&mut self, number: usize, request: &ApiRequest) -> Option<What> {
        for rule in &mut self.rules {
            let (applies, skip) = match &rule.when {
                When::Number(first) => (number >= *first, 0),
                When::Matching { method, host, path, nth } => (
                    method.is_none_or(|method| method == request.method)
                        && host.as_ref().is_none_or(|host| request.host.contains(host.as_str()))
                        && path.as_ref().is_none_or(|path| path_fits(path, &request.path)),
                    nth.saturating_sub(1),
                ),
            };
            if !applies || rule.is_over() {
                continue;
            }
            rule.matched = rule.matched.saturating_add(1);
            if rule.matched > skip {
                return Some(rule.what.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> ApiRequest {
        ApiRequest {
            host: "acme.eu.auth0.com".into(),
            method: Method::Get,
            path: path.into(),
            headers: vec![],
            body: vec![],
        }
    }

    #[test]
    fn a_rule_hits_from_the_nth_match_on_and_ends() {
        let when =
            When::Matching { method: Some(Method::Get), host: Some("auth0".into()), path: None, nth: 2 };
        let rule = Rule { when, what: What::NotSent, times: 2, matched: 0 };
        let mut faults = Faults { rules: vec![rule] };
        let hits: Vec<bool> = (1..=5).map(|number| faults.take(number, &get("/x")).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn numbers_and_prefixes() {
        let mut faults = Faults {
            rules: vec![
                Rule::once(When::Number(2), What::Lost { after_effect: true }),
                Rule::once(When::first(Method::Get, "/b"), What::Unauthorized),
            ],
        };
        assert_eq!(faults.take(1, &get("/a")), None);
        assert_eq!(faults.take(2, &get("/b")), Some(What::Lost { after_effect: true }));
        assert_eq!(faults.take(3, &get("/b?x=1")), Some(What::Unauthorized));
        assert_eq!(faults.take(4, &get("/b")), None);
    }

    #[test]
    fn paths_fit_by_beginning_by_segment_and_as_a_whole() {
        for (pattern, path, fits) in [
            ("/v2/Services", "/v2/Services/VA1?x=1", true),
            ("/v2/Services$", "/v2/Services?PageSize=1", true),
            ("/v2/Services$", "/v2/Services/VA1", false),
            ("/v2/Services/*/RateLimits", "/v2/Services/VA1/RateLimits/RK1", true),
            ("/v2/Services/*/RateLimits$", "/v2/Services/VA1/RateLimits/RK1", false),
            ("/v2/Services/*$", "/v2/Services/VA1", true),
            ("/v2/Services/*$", "/v2/Services/", false),
            ("/v2/*/VA1$", "/v2/VA1", false),
            ("*", "/anything", false),
        ] {
            assert_eq!(path_fits(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn rules_can_be_written_by_hand() {
        let text = r#"{"rules":[{"when":{"matching":{"method":"POST","path":"/v1"}},"what":{"lost":{"after_effect":true}}}]}"#;
        let faults: Faults = serde_json::from_str(text).expect("readable");
        assert_eq!(faults.rules[0].times, 1);
    }
}

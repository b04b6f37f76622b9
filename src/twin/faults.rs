//! Misbehaviour on demand: which requests go wrong, and how.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::api::{ApiRequest, Method};

/// Rules, looked at in order for every request; the first that applies is used.
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
    /// How many requests it hits, from the first one on. 0 never applies; `u32::MAX` does not end.
    #[serde(default = "once")]
    pub times: u32,
    /// Requests that matched so far; counts up while the rule has hits left.
    #[serde(default)]
    pub matched: u32,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// A rule that hits once.
    pub fn once(when: When, what: What) -> Rule {
        Rule { when, what, times: 1, matched: 0 }
    }
}

/// Which requests a rule hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// The request of that number (1-based, as in the log) and, with `times`, those after it.
    Number(usize),
    /// Requests that fit every given part, from the `nth` (1-based) on.
    Matching {
        #[serde(default)]
        method: Option<Method>,
        /// Part of the host.
        #[serde(default)]
        host: Option<String>,
        /// Beginning of the path.
        #[serde(default)]
        path: Option<String>,
        #[serde(default = "once")]
        nth: u32,
    },
}

impl When {
    /// The first request of that method whose path begins so, on any host.
    pub fn first(method: Method, path: &str) -> When {
        When::Matching { method: Some(method), host: None, path: Some(path.into()), nth: 1 }
    }
}

/// What happens to a request that a rule hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// 429, never with an effect.
    RateLimited { retry_after_s: Option<u64> },
    /// A 5xx, before or after the request took effect.
    ServerError { status: u16, after_effect: bool },
    /// No reply arrives; the request took effect or did not.
    Lost { after_effect: bool },
    /// No connection; certainly no effect.
    NotSent,
    /// Status 200 and an HTML page in place of the answer.
    Malformed { after_effect: bool },
    /// The answer's own status, and only the first half of its body.
    Cut { after_effect: bool },
    /// Status 200 and a quarter of a megabyte of JSON that is not the answer.
    Huge { after_effect: bool },
    /// 403 without effect, as for a missing permission.
    Forbidden,
    /// 401 without effect.
    Unauthorized,
    /// The usual answer, later.
    Delay { ms: u64 },
    /// A GET is answered from the state before the last write; other methods are not affected.
    Stale,
    /// Another operator's Management API call takes effect on the same tenant just before the request.
    Interject { method: Method, path: String, body: Value },
}

impl Faults {
    /// The fault for this request, if any. Counts, so ask once per request.
    pub fn take(&mut self, number: usize, request: &ApiRequest) -> Option<What> {
        for rule in &mut self.rules {
            let (applies, skip) = match &rule.when {
                When::Number(first) => (number >= *first, 0),
                When::Matching { method, host, path, nth } => (
                    method.is_none_or(|method| method == request.method)
                        && host.as_ref().is_none_or(|host| request.host.contains(host.as_str()))
                        && path.as_ref().is_none_or(|path| request.path.starts_with(path.as_str())),
                    nth.saturating_sub(1),
                ),
            };
            let spent = rule.times != u32::MAX && rule.matched >= skip.saturating_add(rule.times);
            if !applies || spent {
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
    fn rules_can_be_written_by_hand() {
        let text = r#"{"rules":[{"when":{"matching":{"method":"POST","path":"/v1"}},"what":{"lost":{"after_effect":true}}}]}"#;
        let faults: Faults = serde_json::from_str(text).expect("readable");
        assert_eq!(faults.rules[0].times, 1);
    }
}

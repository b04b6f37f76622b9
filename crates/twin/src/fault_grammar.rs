//! A rule as one line of text, for command lines and notes.
//!
//! ```text
//! REQUESTS ": " FAULT { ", " HITS }
//!
//! POST /v2/Services: 503-after, 2x
//! GET acme-dev.eu.auth0.com/api/v2/actions: 429-in-3s, from 2, always
//! PATCH /api/v2/actions/actions/*$: build-takes-2m
//! GET /api/v2/guardian/factors: do PUT /api/v2/guardian/factors/otp {"enabled": true}
//! #7: lost-after
//! ```
//!
//! `REQUESTS` is `#NUMBER` (as in the log), or a method (`*` or none: any) with a part of the host, the beginning of
//! the path, or both. [`FAULTS`] and [`HITS`] list the other words; the manual prints the same tables.

use std::fmt;

use lockstep_wire::Method;
use serde_json::Value;

use super::faults::{Garble, Rule, What, When};

/// Every fault: its text, and what it does. With `-after`, the request takes effect first; without it, or with
/// `-before`, the request has no effect.
pub const FAULTS: &[(&str, &str)] = &[
    ("429", "too many requests, without a hint when to come back"),
    ("429-in-TIME", "too many requests, with Retry-After (and Auth0's reset header) that far ahead"),
    ("500 … 599[-after]", "that server error"),
    ("lost[-after]", "the connection is closed without a reply"),
    ("timeout[-after][-of-TIME]", "silence, ten minutes if no time is given, then a closed connection"),
    ("refused", "the connection is closed, and certainly nothing happened"),
    ("html[-after]", "200 and a gateway's HTML page"),
    ("empty[-after]", "200, JSON by its content type, no body"),
    ("cut[-after]", "200 and JSON that stops in the middle"),
    ("shape[-after]", "200 and JSON of another shape"),
    ("huge[-after]", "200 and 64 MiB of JSON"),
    ("401", "not authenticated"),
    ("403", "not permitted, without the code of a missing scope"),
    ("delay-TIME", "the usual answer, that much later"),
    ("stale", "a GET sees the state before the last write"),
    ("build-fails", "the build that the request starts fails"),
    ("build-takes-TIME", "the build that the request starts takes that long"),
    (
        "unseen-TIME",
        "as lost-after, and the list that the request adds to does not show the new object for that long",
    ),
    ("do METHOD PATH [JSON]", "another operator's Management API call on the same tenant comes first"),
];

/// Which of the matching requests are hit. Without these words, only the first one is.
pub const HITS: &[(&str, &str)] = &[
    ("Nx", "N requests one after the other, such as 2x"),
    ("always", "every one"),
    ("from N", "beginning with the Nth that fits"),
];

/// Duration of a `timeout` that names no time.
const TIME_OUT_MS: u64 = 600_000;

/// What is wrong with the text of a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Byte offset in the text.
    pub at: usize,
    pub what: String,
}

impl SpecError {
    /// Three lines: what is wrong, the text, a mark under the place.
    pub fn drawn(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or_default().chars().count();
        format!("{}\n  {text}\n  {}^", self.what, " ".repeat(before))
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.at + 1, self.what)
    }
}

/// A piece of the text with its position.
#[derive(Clone, Copy)]
struct Piece<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Piece<'a> {
    fn trimmed(self) -> Piece<'a> {
        let start = self.text.len() - self.text.trim_start().len();
        Piece { at: self.at + start, text: self.text.trim() }
    }

    /// The part before the first `mark`, and the part after it (`None`: there is no `mark`).
    fn split(self, mark: &str) -> (Piece<'a>, Option<Piece<'a>>) {
        match self.text.find(mark) {
            None => (self, None),
            Some(found) => {
                let after = found + mark.len();
                let rest = Piece { at: self.at + after, text: &self.text[after..] };
                (Piece { at: self.at, text: &self.text[..found] }, Some(rest))
            }
        }
    }

    fn wrong<T>(self, what: impl Into<String>) -> Result<T, SpecError> {
        Err(SpecError { at: self.at, what: what.into() })
    }
}

/// Reads one rule.
///
/// # Errors
/// The text is not a rule. The error holds the place and what would fit there.
pub fn parse(text: &str) -> Result<Rule, SpecError> {
    let (requests, rest) = Piece { at: 0, text }.split(": ");
    let Some(rest) = rest.filter(|rest| !rest.text.trim().is_empty()) else {
        let end = Piece { at: text.len(), text: "" };
        return end.wrong("the fault is missing: write requests, a colon, a blank, and a fault");
    };
    let mut when = requests_of(requests.trimmed())?;
    let (what, mut hits) = fault_of(rest.trimmed())?;
    let mut times = 1;
    while let Some(piece) = hits {
        let (hit, rest) = piece.split(",");
        hits = rest;
        let hit = hit.trimmed();
        if hit.text == "always" {
            times = u32::MAX;
        } else if let Some(count) = hit.text.strip_suffix('x').and_then(|count| count.parse().ok()) {
            if count == 0 {
                return hit.wrong("0x would never hit");
            }
            times = count;
        } else if let Some(first) = hit.text.strip_prefix("from ") {
            match (&mut when, first.trim().parse()) {
                (When::Matching { nth, .. }, Ok(first)) if first > 0 => *nth = first,
                (When::Number(_), _) => return hit.wrong("a request number already says where to begin"),
                _ => return hit.wrong("`from` needs a number from 1 on"),
            }
        } else {
            return hit.wrong(format!("{:?} is none of: {}", hit.text, listed(HITS)));
        }
    }
    Ok(Rule { when, what, times, matched: 0 })
}

/// A rule as text, for pages and logs. [`parse`] can read it, except for the body of another operator's call: the body
/// may hold a secret and is replaced by `{…}`.
pub fn written(rule: &Rule) -> String {
    let (requests, from) = match &rule.when {
        When::Number(number) => (format!("#{number}"), 1),
        When::Matching { method, host, path, nth } => {
            let target = [host.as_deref().unwrap_or_default(), path.as_deref().unwrap_or_default()].concat();
            let method = method.map_or("*", Method::as_str);
            let requests = if target.is_empty() { method.to_owned() } else { format!("{method} {target}") };
            (requests, *nth)
        }
    };
    let effect = if rule.what.takes_effect() == Some(true) { "-after" } else { "" };
    let what = match &rule.what {
        What::RateLimited { retry_after_s: None } => "429".to_owned(),
        What::RateLimited { retry_after_s: Some(seconds) } => format!("429-in-{seconds}s"),
        What::ServerError { status, .. } => format!("{status}{effect}"),
        What::TimeOut { ms, .. } => format!("timeout{effect}-of-{ms}ms"),
        What::Unauthorized => "401".to_owned(),
        What::Forbidden => "403".to_owned(),
        What::Delay { ms } => format!("delay-{ms}ms"),
        What::BuildFails => "build-fails".to_owned(),
        What::BuildTakes { ms } => format!("build-takes-{ms}ms"),
        What::Unseen { ms } => format!("unseen-{ms}ms"),
        What::Interject { method, path, body } => {
            let body = if body.is_null() { "" } else { " {…}" };
            format!("do {method} {path}{body}")
        }
        other => format!("{}{effect}", other.name()),
    };
    let mut text = format!("{requests}: {what}");
    if from > 1 {
        text.push_str(&format!(", from {from}"));
    }
    match rule.times {
        1 => {}
        u32::MAX => text.push_str(", always"),
        times => text.push_str(&format!(", {times}x")),
    }
    text
}

fn listed(table: &[(&str, &str)]) -> String {
    table.iter().map(|(form, _)| *form).collect::<Vec<_>>().join(", ")
}

fn requests_of(piece: Piece) -> Result<When, SpecError> {
    if let Some(number) = piece.text.strip_prefix('#') {
        return match number.parse() {
            Ok(number) if number > 0 => Ok(When::Number(number)),
            _ => piece.wrong("`#` needs the number of a request, from 1 on"),
        };
    }
    let (first, second) = piece.split(" ");
    let (method, target) = match (method_of(first.text), second.map(Piece::trimmed)) {
        (Some(method), target) => (method, target.unwrap_or(Piece { at: piece.at, text: "" })),
        (None, None) => (None, first),
        (None, Some(_)) => {
            return first.wrong(format!("{:?} is none of GET, POST, PUT, PATCH, DELETE, *", first.text));
        }
    };
    if target.text.contains(char::is_whitespace) {
        return target.wrong("host and path are written as one word, such as verify.twilio.com/v2/Services");
    }
    if target.text.contains("://") {
        return target.wrong("leave the scheme away: host and path only");
    }
    let (host, path) = match target.text.find('/') {
        Some(at) => target.text.split_at(at),
        None => (target.text, ""),
    };
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Ok(When::Matching { method, host: given(&host.to_ascii_lowercase()), path: given(path), nth: 1 })
}

/// The method that a word names. `Some(None)`: any method; `None`: the word is not a method.
fn method_of(text: &str) -> Option<Option<Method>> {
    match text {
        "*" => Some(None),
        _ => Method::parse(text).map(Some),
    }
}

/// Reads the fault. Also returns the text after its comma, if there is a comma.
fn fault_of(piece: Piece) -> Result<(What, Option<Piece>), SpecError> {
    if let Some(call) = piece.text.strip_prefix("do ") {
        return interject_of(Piece { at: piece.at + 3, text: call });
    }
    let (word, rest) = piece.split(",");
    let word = word.trimmed();
    let (stem, after_effect) = match (word.text.split_once("-after"), word.text.split_once("-before")) {
        (Some((stem, tail)), _) => (format!("{stem}{tail}"), Some(true)),
        (None, Some((stem, tail))) => (format!("{stem}{tail}"), Some(false)),
        (None, None) => (word.text.to_owned(), None),
    };
    let time = |text: &str| duration_ms(text).map_or_else(|what| word.wrong(what), Ok);
    let effect = after_effect.unwrap_or(false);
    let garbled = |how| What::Garbled { after_effect: effect, how };
    let what = match stem.as_str() {
        "429" => What::RateLimited { retry_after_s: None },
        "lost" => What::Lost { after_effect: effect },
        "timeout" => What::TimeOut { after_effect: effect, ms: TIME_OUT_MS },
        "refused" => What::NotSent,
        "html" => What::Malformed { after_effect: effect },
        "empty" => garbled(Garble::Empty),
        "cut" => garbled(Garble::Cut),
        "shape" => garbled(Garble::Shape),
        "huge" => garbled(Garble::Huge),
        "401" => What::Unauthorized,
        "403" => What::Forbidden,
        "stale" => What::Stale,
        "build-fails" => What::BuildFails,
        other => {
            if let Some(text) = other.strip_prefix("429-in-") {
                What::RateLimited { retry_after_s: Some(time(text)?.div_ceil(1_000)) }
            } else if let Some(text) = other.strip_prefix("timeout-of-") {
                What::TimeOut { after_effect: effect, ms: time(text)? }
            } else if let Some(text) = other.strip_prefix("delay-") {
                What::Delay { ms: time(text)? }
            } else if let Some(text) = other.strip_prefix("build-takes-") {
                What::BuildTakes { ms: time(text)? }
            } else if let Some(text) = other.strip_prefix("unseen-") {
                What::Unseen { ms: time(text)? }
            } else if let Some(status) = other.parse().ok().filter(|status| (500..600).contains(status)) {
                What::ServerError { status, after_effect: effect }
            } else {
                return word.wrong(format!("{:?} is no fault; there are: {}", word.text, listed(FAULTS)));
            }
        }
    };
    if after_effect.is_some() && (what.takes_effect().is_none() || what.takes_effect() != after_effect) {
        return word.wrong(format!("{stem} has neither -before nor -after: that is not left open"));
    }
    Ok((what, rest))
}

/// Reads `METHOD PATH [JSON]`, followed by a comma or by nothing.
fn interject_of(piece: Piece) -> Result<(What, Option<Piece>), SpecError> {
    let (word, rest) = piece.trimmed().split(" ");
    let Some(method) = Method::parse(word.text) else {
        return word.wrong("`do` needs GET, POST, PUT, PATCH or DELETE");
    };
    let rest = rest.map_or(Piece { at: word.at + word.text.len(), text: "" }, Piece::trimmed);
    let end = rest.text.find([' ', ',']).unwrap_or(rest.text.len());
    let (path, tail) = rest.text.split_at(end);
    if !path.starts_with("/api/v2/") {
        return rest.wrong("`do` needs a path that begins with /api/v2/");
    }
    let mut after = Piece { at: rest.at + end, text: tail }.trimmed();
    let mut body = Value::Null;
    if !after.text.is_empty() && !after.text.starts_with(',') {
        let mut values = serde_json::Deserializer::from_str(after.text).into_iter::<Value>();
        body = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return after.wrong(format!("the body of `do` is no JSON: {error}")),
            None => Value::Null,
        };
        let used = values.byte_offset();
        after = Piece { at: after.at + used, text: &after.text[used..] }.trimmed();
    }
    let hits = match after.text.strip_prefix(',') {
        Some(text) => Some(Piece { at: after.at + 1, text }),
        None if after.text.is_empty() => None,
        None => return after.wrong("a comma is expected here, or nothing"),
    };
    Ok((What::Interject { method, path: path.to_owned(), body }, hits))
}

/// Reads a time such as `50ms`, `3s` or `2m`.
fn duration_ms(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|ch: char| ch.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(format!("{text:?} is no time such as 50ms, 3s or 2m")),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("{text:?} is no time such as 50ms, 3s or 2m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matching(method: Option<Method>, host: Option<&str>, path: Option<&str>, nth: u32) -> When {
        When::Matching { method, host: host.map(str::to_owned), path: path.map(str::to_owned), nth }
    }

    #[test]
    fn a_rule_says_which_requests_what_and_how_often() {
        let rule = parse("POST /v2/Services: 503-after, 2x").expect("a rule");
        assert_eq!(rule.when, matching(Some(Method::Post), None, Some("/v2/Services"), 1));
        assert_eq!(rule.what, What::ServerError { status: 503, after_effect: true });
        assert_eq!(rule.times, 2);
        let rule =
            parse("GET Acme.eu.auth0.com/api/v2/actions: 429-in-2500ms, from 2, always").expect("a rule");
        let path = Some("/api/v2/actions");
        assert_eq!(rule.when, matching(Some(Method::Get), Some("acme.eu.auth0.com"), path, 2));
        assert_eq!(rule.what, What::RateLimited { retry_after_s: Some(3) });
        assert_eq!(rule.times, u32::MAX);
        assert_eq!(written(&rule), "GET acme.eu.auth0.com/api/v2/actions: 429-in-3s, from 2, always");
        assert_eq!(
            parse("twilio.com: stale").expect("a host").when,
            matching(None, Some("twilio.com"), None, 1)
        );
        assert_eq!(parse("*: lost").expect("any").when, matching(None, None, None, 1));
        assert_eq!(parse("PUT: 403").expect("a method").when, matching(Some(Method::Put), None, None, 1));
        assert_eq!(parse("#7: lost-after").expect("a number").when, When::Number(7));
    }

    #[test]
    fn another_operators_call_may_hold_anything() {
        let text =
            "GET /x: do PUT /api/v2/guardian/factors/otp {\"enabled\": true, \"n\": [1, 2]}, from 3, 2x";
        let rule = parse(text).expect("a rule");
        let body = json!({"enabled": true, "n": [1, 2]});
        let path = "/api/v2/guardian/factors/otp".to_owned();
        assert_eq!(rule.what, What::Interject { method: Method::Put, path, body });
        assert_eq!((rule.when, rule.times), (matching(Some(Method::Get), None, Some("/x"), 3), 2));
        let shown = written(&parse(text).expect("a rule"));
        assert_eq!(shown, "GET /x: do PUT /api/v2/guardian/factors/otp {…}, from 3, 2x");
        let rule = parse("*: do DELETE /api/v2/log-streams/lst_1, always").expect("no body");
        let path = "/api/v2/log-streams/lst_1".to_owned();
        assert_eq!(rule.what, What::Interject { method: Method::Delete, path, body: Value::Null });
        assert_eq!(rule.times, u32::MAX);
    }

    /// The parser accepts every entry of the table, and the table reaches every kind of fault.
    #[test]
    fn every_fault_can_be_written() {
        let mut seen = std::collections::BTreeSet::new();
        for (form, _) in FAULTS {
            let plain = form.replace("500 … 599", "502").replace("TIME", "3s");
            let plain = plain.replace("METHOD PATH [JSON]", "PUT /api/v2/prompts {}");
            let open = plain.contains("[-after]");
            let variants = match open {
                true => vec!["", "-before", "-after"],
                false => vec![""],
            };
            for effect in variants {
                let word = plain.replace("[-after]", effect).replace("[-of-3s]", "-of-3s");
                let rule = parse(&format!("*: {word}")).unwrap_or_else(|error| panic!("{word}: {error}"));
                if open {
                    assert_eq!(rule.what.takes_effect(), Some(effect == "-after"), "{word}");
                }
                if !matches!(rule.what, What::Interject { .. }) {
                    assert_eq!(parse(&written(&rule)), Ok(rule.clone()), "{word}: {}", written(&rule));
                }
                seen.insert(rule.what.name());
            }
        }
        assert_eq!(seen.len(), 18, "{seen:?}");
        assert_eq!(
            parse("*: timeout").expect("no time").what,
            What::TimeOut { after_effect: false, ms: 600_000 }
        );
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, at, part) in [
            ("POST /v2/Services", 17, "the fault is missing"),
            ("POST /v2/Services: ", 19, "the fault is missing"),
            ("FETCH /v2: 503", 0, "\"FETCH\" is none of GET"),
            ("GET https://x.example/: 503", 4, "leave the scheme away"),
            ("GET a b: 503", 4, "one word"),
            ("#0: lost", 0, "from 1 on"),
            ("GET /: 503-afer", 7, "\"503-afer\" is no fault; there are: 429,"),
            ("GET /: 404", 7, "no fault"),
            ("GET /: 429-after", 7, "neither -before nor -after"),
            ("GET /: stale-after", 7, "neither -before nor -after"),
            ("GET /: delay-3", 7, "\"3\" is no time"),
            ("GET /: delay-3h", 7, "no time"),
            ("GET /: lost, twice", 13, "\"twice\" is none of: Nx, always, from N"),
            ("GET /: lost, 0x", 13, "never hit"),
            ("GET /: lost, from x", 13, "from 1 on"),
            ("#3: lost, from 2", 10, "already says"),
            ("GET /: do LOOK /api/v2/prompts", 10, "`do` needs GET"),
            ("GET /: do PUT /oauth/token", 14, "/api/v2/"),
            ("GET /: do PUT /api/v2/prompts {\"a\":", 30, "no JSON"),
            ("GET /: do PUT /api/v2/prompts {} 2x", 33, "a comma"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.what.contains(part), "{text}: {error}");
        }
        let drawn = parse("GET /é: losst").expect_err("no fault").drawn("GET /é: losst");
        assert!(drawn.ends_with("\n  GET /é: losst\n          ^"), "{drawn}");
    }
}

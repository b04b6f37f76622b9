//! What becomes of the feedback to Verify: by the events of the tenant log, and by the share of verifications that were
//! completed. Pure: replies in, counts and a verdict out.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::model::checkup::{Converts, Feedback};

/// Fewer verifications say nothing of the share that is completed.
pub const ATTEMPTS_MIN: u64 = 20;

/// The events of a code that was used, with the category by which a stream filters each ("Auth0 docs, log event type
/// codes", 2026-08).
const EVENTS: [(&str, &str); 4] = [
    ("gd_auth_succeed", "other"),
    ("gd_enrollment_complete", "user.notification"),
    (LOGIN, "auth.login.success"),
    (BY_API, "auth.token_exchange.success"),
];
/// A login. Only those by a code in a text message are asked for, whose connection is [`PASSWORDLESS`].
const LOGIN: &str = "s";
const PASSWORDLESS: &str = "sms";
/// A code that an application exchanged through the Authentication API. The built-in Function does not take it.
const BY_API: &str = "seoobft";
/// An event of the second factor this long before or after it tells of the same login.
const SAME_LOGIN_MS: u64 = 60_000;
/// Most levels and texts of an event that are searched for a number.
const DEPTH_MAX: usize = 6;
const TEXTS_MAX: usize = 500;

/// The query of the tenant log that finds these events.
pub fn query() -> String {
    let word = |(kind, _): &(&str, &str)| match *kind {
        LOGIN => format!("(type:{LOGIN} AND connection:{PASSWORDLESS})"),
        kind => format!("type:{kind}"),
    };
    format!("({})", EVENTS.iter().map(word).collect::<Vec<_>>().join(" OR "))
}

/// The way of the feedback, as far as it leaves events out.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// The filters of the stream; empty: none.
    pub filters: Vec<String>,
    /// The stream masks or hashes phone numbers.
    pub masks: bool,
    /// The receiver is the built-in Function, of which it is known what it takes.
    pub is_builtin: bool,
}

/// Counts what becomes of these events.
pub fn count(events: &[Json], way: &Way) -> Feedback {
    let events: Vec<&Json> = events
        .iter()
        .map(|event| event.get("data").filter(|data| data.is_object()).unwrap_or(event))
        .collect();
    let mut out = Feedback::default();
    for data in &events {
        let kind = text(data, "type");
        let Some((_, category)) = EVENTS.iter().find(|(known, _)| *known == kind) else { continue };
        if kind == LOGIN && text(data, "connection") != PASSWORDLESS {
            continue;
        }
        if kind == BY_API {
            // The receiver of somebody else may take it.
            if way.is_builtin && !events.iter().any(|other| is_same_login(data, other)) {
                *out.not_taken.entry(kind.to_owned()).or_default() += 1;
            }
            continue;
        }
        match number(data) {
            Number::None => {}
            _ if !way.filters.is_empty() && !way.filters.iter().any(|filter| filter == category) => {
                *out.filtered.entry(kind.to_owned()).or_default() += 1;
            }
            Number::Masked => out.masked += 1,
            _ if way.masks => out.masked += 1,
            Number::Unusable => out.unusable += 1,
            Number::Whole => out.reported += 1,
        }
    }
    out
}

/// Whether another event tells of the second factor of the same login.
fn is_same_login(one: &Json, other: &Json) -> bool {
    let user = text(one, "user_id");
    let at = |data: &Json| text(data, "date").parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
    let near = at(one).zip(at(other)).is_some_and(|(one, other)| one.abs_diff(other) <= SAME_LOGIN_MS);
    text(other, "type") == EVENTS[0].0 && !user.is_empty() && user == text(other, "user_id") && near
}

/// What an event shows of the phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Whole,
    Masked,
    /// Hashed, without a plus, or in another format.
    Unusable,
    /// Another factor than the phone.
    None,
}

/// As the built-in Function looks for the number.
fn number(data: &Json) -> Number {
    let details = &data["details"];
    let (authenticator, enrollment) = (&details["authenticator"], &details["enrollment"]);
    let mut places: Vec<&str> = vec![text(authenticator, "phone_number"), text(enrollment, "phone_number")];
    places.retain(|place| !place.is_empty());
    let has_phone = !places.is_empty();
    places.extend([text(enrollment, "name"), text(enrollment, "identifier")]);
    let is_login = text(data, "type") == LOGIN;
    if is_login {
        texts(data, &mut places, 0);
    }
    match () {
        () if places.iter().any(|place| is_e164(place)) => Number::Whole,
        () if places.iter().any(|place| is_masked(place)) => Number::Masked,
        () if has_phone || is_login => Number::Unusable,
        () => Number::None,
    }
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default().trim()
}

/// Every text of a value, to a bounded depth and number.
fn texts<'a>(value: &'a Json, out: &mut Vec<&'a str>, depth: usize) {
    match value {
        Json::String(text) if out.len() < TEXTS_MAX => out.push(text.trim()),
        Json::Array(items) if depth < DEPTH_MAX => {
            items.iter().for_each(|inner| texts(inner, out, depth + 1))
        }
        Json::Object(members) if depth < DEPTH_MAX => {
            members.values().for_each(|inner| texts(inner, out, depth + 1));
        }
        _ => {}
    }
}

/// Whether it is a number in E.164 form, without the marks that Auth0 stores in some.
fn is_e164(text: &str) -> bool {
    let number: String = text.chars().filter(|c| !c.is_whitespace() && !"()[]-".contains(*c)).collect();
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn is_masked(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+().*xX-".contains(c);
    text.chars().count() >= 4 && text.chars().all(fits) && text.contains(['*', 'x', 'X'])
}

/// How old the stream is, against the verifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Older,
    Younger,
    Unknown,
}

/// What the share of completed verifications says. `floor`: in percent.
pub fn judge(attempts: u64, converted: u64, floor: u64, age: Age) -> Converts {
    let is_few = u128::from(converted) * 100 < u128::from(attempts) * u128::from(floor);
    match (converted, age) {
        _ if attempts < ATTEMPTS_MIN => Converts::TooFew,
        (0, Age::Older) => Converts::None,
        (0, Age::Unknown) => Converts::NoneSoFar,
        (_, Age::Younger) if is_few || converted == 0 => Converts::TooYoung,
        _ if is_few => Converts::Few,
        _ => Converts::Well,
    }
}

/// Attempts and those that were completed, of a summary; `None`: it has no counts.
pub fn summary(reply: &Json) -> Option<(u64, u64)> {
    let count = |key: &str| reply[key].as_u64().or_else(|| reply[key].as_str()?.parse().ok());
    Some((count("total_attempts")?, count("total_converted")?))
}

/// The events as a list with their numbers, such as `2 of gd_auth_succeed`.
pub fn listed(events: &BTreeMap<String, usize>) -> String {
    events.iter().map(|(kind, count)| format!("{count} of {kind}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn way() -> Way {
        Way { filters: vec!["other".into(), "user.notification".into()], masks: false, is_builtin: true }
    }

    fn by_phone(kind: &str, number: &str) -> Json {
        json!({ "type": kind, "date": "2026-11-20T10:00:00.000Z", "user_id": "auth0|a",
            "details": { "authenticator": { "phone_number": number } } })
    }

    #[test]
    fn what_becomes_of_an_event() {
        let whole = || by_phone("gd_auth_succeed", "+1 500-555 0006");
        let counts = |events: &[Json], way: &Way| {
            let Feedback { reported, masked, unusable, filtered, not_taken, more: _ } = count(events, way);
            (reported, masked, unusable, filtered.values().sum::<usize>(), not_taken.values().sum::<usize>())
        };
        let masks = Way { masks: true, ..way() };
        let all = Way { filters: Vec::new(), ..way() };
        let logins_only = Way { filters: vec!["auth.login.success".into()], ..way() };
        let login = |connection: &str| json!({ "type": "s", "connection": connection, "user_name": "+15005550006", "date": "2026-11-20T10:00:00Z" });
        let by_api = |at: &str| json!({ "type": "seoobft", "user_id": "auth0|a", "date": at });
        type Counts = (usize, usize, usize, usize, usize);
        let rows: [(&str, Vec<Json>, Way, Counts); 18] = [
            ("nothing", vec![], way(), (0, 0, 0, 0, 0)),
            ("a whole number", vec![whole()], way(), (1, 0, 0, 0, 0)),
            ("inside data", vec![json!({ "log_id": "1", "data": whole() })], way(), (1, 0, 0, 0, 0)),
            (
                "an enrolment",
                vec![by_phone("gd_enrollment_complete", "+15005550006")],
                way(),
                (1, 0, 0, 0, 0),
            ),
            ("masked", vec![by_phone("gd_auth_succeed", "XXXXXXX0006")], way(), (0, 1, 0, 0, 0)),
            ("masked with stars", vec![by_phone("gd_auth_succeed", "+1*****0006")], way(), (0, 1, 0, 0, 0)),
            ("masked by the stream", vec![whole()], masks, (0, 1, 0, 0, 0)),
            ("without a plus", vec![by_phone("gd_auth_succeed", "15005550006")], way(), (0, 0, 1, 0, 0)),
            (
                "another factor",
                vec![json!({ "type": "gd_auth_succeed", "details": {} })],
                way(),
                (0, 0, 0, 0, 0),
            ),
            ("the stream leaves it out", vec![whole()], logins_only.clone(), (0, 0, 0, 1, 0)),
            ("a passwordless login, left out", vec![login("sms")], way(), (0, 0, 0, 1, 0)),
            ("a passwordless login", vec![login("sms")], logins_only, (1, 0, 0, 0, 0)),
            ("no filters carry all", vec![login("sms"), whole()], all, (2, 0, 0, 0, 0)),
            ("a login by password", vec![login("Username-Password-Authentication")], way(), (0, 0, 0, 0, 0)),
            ("by the API", vec![by_api("2026-11-20T10:00:30Z")], way(), (0, 0, 0, 0, 1)),
            ("told twice", vec![whole(), by_api("2026-11-20T10:00:30Z")], way(), (1, 0, 0, 0, 0)),
            ("another login", vec![whole(), by_api("2026-11-20T11:00:30Z")], way(), (1, 0, 0, 0, 1)),
            (
                "a receiver of others",
                vec![by_api("2026-11-20T10:00:30Z")],
                Way { is_builtin: false, ..way() },
                (0, 0, 0, 0, 0),
            ),
        ];
        for (what, events, way, expected) in rows {
            assert_eq!(counts(&events, &way), expected, "{what}");
        }
    }

    #[test]
    fn nineteen_are_too_few_and_twenty_speak() {
        use Age::{Older, Unknown, Younger};
        for (attempts, converted, age, verdict) in [
            (0, 0, Older, Converts::TooFew),
            (19, 0, Older, Converts::TooFew),
            (19, 19, Older, Converts::TooFew),
            (20, 0, Older, Converts::None),
            (20, 0, Younger, Converts::TooYoung),
            (20, 0, Unknown, Converts::NoneSoFar),
            (20, 1, Older, Converts::Few),
            (20, 9, Older, Converts::Few),
            (20, 9, Unknown, Converts::Few),
            (20, 9, Younger, Converts::TooYoung),
            (20, 10, Older, Converts::Well),
            (20, 20, Younger, Converts::Well),
            (u64::MAX, u64::MAX, Older, Converts::Well),
        ] {
            assert_eq!(judge(attempts, converted, 50, age), verdict, "{converted} of {attempts}, {age:?}");
        }
        assert_eq!(judge(20, 0, 0, Older), Converts::None, "without a floor none is still none");
        assert_eq!(judge(20, 1, 0, Older), Converts::Well);
    }

    #[test]
    fn a_summary_is_read_with_numbers_or_texts() {
        assert_eq!(summary(&json!({ "total_attempts": 20, "total_converted": "3" })), Some((20, 3)));
        for odd in [
            json!(null),
            json!({ "total_attempts": 20 }),
            json!({ "total_attempts": -1, "total_converted": 0 }),
        ] {
            assert_eq!(summary(&odd), None, "{odd}");
        }
    }
}

//! Events of the tenant log, as far as they tell of messages and of executions.
//!
//! Published types leave much open: which of two objects has the vendor's code, whether the code is a number or a text,
//! and whether an event stands alone or inside `data`. Either is read.

use serde_json::Value as Json;

/// The kinds of events that are asked for ("Auth0 docs, log event type codes", 2026-08). `fn`, a notification that
/// failed, tells of the same message as `gd_send_…_failure`, so it counts only if its code blames the set-up.
pub const TYPES: [&str; 6] = [
    "actions_execution_failed",
    "gd_send_sms",
    "gd_send_sms_failure",
    "gd_send_voice",
    "gd_send_voice_failure",
    "fn",
];

/// How the built-in Action begins to report what Verify answered; the vendor's code follows after `, code `. The text
/// is ours, and no part of it comes from others.
const OURS: &str = "Twilio Verify answered HTTP ";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    pub id: String,
    /// In ms since the Unix epoch.
    pub at_ms: u64,
    /// The user or the number that it is about, if the event names one.
    pub person: Option<String>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An execution of an Action failed. Empty: the event does not say it.
    Crashed {
        action: String,
        version: String,
    },
    Sent,
    /// With the vendor's code.
    NotSent(Option<u32>),
    /// A second report of a message that failed, with the vendor's code.
    NotNotified(Option<u32>),
}

impl LogEvent {
    /// Reads an event; `None`: it is of another kind, or has no id or date.
    pub fn of(event: &Json) -> Option<LogEvent> {
        let data = event.get("data").filter(|data| data.is_object()).unwrap_or(event);
        let text = |part: &Json, key: &str| part[key].as_str().unwrap_or_default().to_owned();
        let details = &data["details"];
        let what = match data["type"].as_str()? {
            "actions_execution_failed" => {
                What::Crashed { action: text(details, "action_id"), version: text(details, "version_id") }
            }
            "gd_send_sms" | "gd_send_voice" => What::Sent,
            "gd_send_sms_failure" | "gd_send_voice_failure" => What::NotSent(code(data)),
            "fn" => What::NotNotified(code(data)),
            _ => return None,
        };
        let at: jiff::Timestamp = data["date"].as_str()?.parse().ok()?;
        let id =
            [event, data].into_iter().find_map(|part| part["log_id"].as_str().or(part["_id"].as_str()))?;
        let numbers = [&details["authenticator"], &details["enrollment"]].map(|part| &part["phone_number"]);
        let people = [&data["user_id"]].into_iter().chain(numbers).chain([&details["to"]]);
        let person = people.filter_map(Json::as_str).find(|person| !person.is_empty());
        Some(LogEvent {
            id: id.to_owned(),
            at_ms: u64::try_from(at.as_millisecond()).unwrap_or(0),
            person: person.map(str::to_owned),
            what,
        })
    }
}

/// The vendor's code of a failed message: a number of five digits, also as text.
fn code(data: &Json) -> Option<u32> {
    let details = &data["details"];
    let places = ["failure_details", "provider_error", "error"].map(|key| &details[key]);
    let said = places.iter().flat_map(|part| ["errorCode", "code"].map(|key| &part[key]));
    let number = |value: &Json| match value {
        Json::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let told = places.iter().flat_map(|part| [part.as_str(), part["message"].as_str()]);
    let told = told.chain([data["description"].as_str()]).flatten();
    said.filter_map(number).chain(told.filter_map(code_of_ours)).find(|code| (10_000..=99_999).contains(code))
}

/// The code in a reason that the built-in Action gave.
fn code_of_ours(text: &str) -> Option<u32> {
    let (_, answer) = text.split_once(OURS)?;
    let digits = answer.get(3..)?.strip_prefix(", code ")?.get(..5)?;
    digits.parse().ok()
}

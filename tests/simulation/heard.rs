//! What a judge of watched runs reads in the tenant log, and what it says of a version.

use std::collections::BTreeSet;

use lockstep::twin::World;
use serde_json::Value as Json;

use super::manifests::DOMAIN;

/// Vendor codes that blame the set-up (docs/health.md).
pub const OF_SETUP: [u64; 6] = [20003, 20403, 20404, 60204, 60223, 70051];
/// From this many people on, of whom this many get nothing, failures of numbers decide.
const PEOPLE_MIN: usize = 20;
const UNREACHED_MIN: usize = 5;

/// An event of the tenant log.
pub struct Logged {
    pub at_ms: u64,
    pub person: String,
    /// `None`: an execution failed. `Some(None)`: a message was sent. Otherwise it failed, with this code or none.
    pub message: Option<Option<Option<u64>>>,
    pub version: String,
}

/// The events of the tenant log in a time.
pub fn logged(world: &World, (from_ms, to_ms): (u64, u64)) -> Vec<Logged> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let of = |event: &Json| {
        let at: jiff::Timestamp = event["date"].as_str()?.parse().ok()?;
        let message = match event["type"].as_str()? {
            "actions_execution_failed" => None,
            "gd_send_sms" | "gd_send_voice" => Some(None),
            "gd_send_sms_failure" | "gd_send_voice_failure" => {
                Some(Some(event["details"]["failure_details"]["errorCode"].as_u64()))
            }
            _ => return None,
        };
        let at_ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let version = text(&event["details"]["version_id"]);
        Some(Logged { at_ms, person: text(&event["user_id"]), message, version })
    };
    let all = world.tenants[DOMAIN].logs.iter().filter_map(of);
    all.filter(|event| (from_ms..=to_ms).contains(&event.at_ms)).collect()
}

pub fn failed_with(event: &Logged, codes: &[u64]) -> bool {
    matches!(event.message, Some(Some(Some(code))) if codes.contains(&code))
}

/// Whether events blame the version or its set-up.
pub fn blame(events: &[Logged], version: &str) -> bool {
    let explained: BTreeSet<&str> = events
        .iter()
        .filter(|event| matches!(event.message, Some(Some(Some(code))) if !OF_SETUP.contains(&code)))
        .map(|event| event.person.as_str())
        .collect();
    let crashes = |event: &Logged| {
        event.message.is_none() && event.version == version && !explained.contains(event.person.as_str())
    };
    events.iter().any(|event| crashes(event) || failed_with(event, &OF_SETUP))
}

/// Whether so many people get nothing that failures of numbers and users may decide.
pub fn many_get_nothing(events: &[Logged]) -> bool {
    let with = |is: &dyn Fn(&Logged) -> bool| -> BTreeSet<&str> {
        events.iter().filter(|event| is(event)).map(|event| event.person.as_str()).collect()
    };
    let (people, reached) =
        (with(&|event| event.message.is_some()), with(&|event| event.message == Some(None)));
    people.len() >= PEOPLE_MIN && people.difference(&reached).count() >= UNREACHED_MIN
}

/// Whether somebody was sent a message.
pub fn is_sent(events: &[Logged]) -> bool {
    events.iter().any(|event| event.message == Some(None))
}

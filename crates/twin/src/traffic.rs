//! What users do meanwhile. The twin runs no code, so the options say what becomes of the messages of a version of the
//! sending Action, and the tenant log tells it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock::iso_millis;
use super::world::{ActionVersion, Tenant};

/// Triggers whose Action sends the phone messages of a tenant; the first one that has a deployed Action is used.
const TRIGGERS: [&str; 2] = ["custom-phone-provider", "send-phone-message"];
/// Most messages that one request catches up with.
const CATCH_UP_MAX: u64 = 5_000;

/// Messages of one version of the sending Action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traffic {
    /// The version is one whose code has this text; empty: any version.
    pub code_has: String,
    /// A user asks for a message this often, in milliseconds. Default 1000.
    pub every_ms: u64,
    pub fate: Fate,
    /// The vendor's code of messages that fail (`fails_for_some`).
    pub vendor_code: u32,
    /// Of a hundred messages that many fail (`fails_for_some`). Default 100.
    pub percent: u64,
    /// So many different users ask. Default 1000.
    pub people: u64,
}

/// What becomes of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Each is handed to the vendor.
    #[default]
    Sent,
    /// Each execution fails, and the message with it.
    Crashes,
    /// `percent` of them fail with `vendor_code`.
    FailsForSome,
    /// Nobody asks for one.
    Nothing,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic {
            code_has: String::new(),
            every_ms: 1_000,
            fate: Fate::default(),
            vendor_code: 0,
            percent: 100,
            people: 1_000,
        }
    }
}

/// Adds to the log of a tenant what its users did since the last request. The version that runs before this request
/// counts: a version changes by requests alone.
pub fn catch_up(tenant: &mut Tenant, traffic: &[Traffic], now_ms: u64) {
    let from_ms = tenant.users_until_ms.replace(now_ms);
    let Some(from_ms) = from_ms.filter(|_| !traffic.is_empty()) else { return };
    let sender = |trigger: &&str| {
        tenant.actions.iter().find(|action| action.supports(trigger) && action.deployment.is_some())
    };
    let Some(action) = TRIGGERS.iter().find_map(sender) else { return };
    let Some(version) = action.live_version() else { return };
    let fits = |one: &&Traffic| version.code.contains(&one.code_has);
    let Some(one) = traffic.iter().find(fits).filter(|one| one.fate != Fate::Nothing) else { return };
    let every_ms = one.every_ms.max(1);
    // Messages lie on a grid of time, so that it does not matter how often somebody looks.
    let (first, last) = (from_ms / every_ms + 1, now_ms / every_ms);
    let first = first.max((last + 1).saturating_sub(CATCH_UP_MAX));
    let events: Vec<Value> = (first..=last)
        .flat_map(|number| message(one, (&action.id, &action.name, version), number, number * every_ms))
        .collect();
    tenant.logs.extend(events);
}

/// The events of one message.
fn message(
    one: &Traffic,
    (id, name, version): (&str, &str, &ActionVersion),
    number: u64,
    at_ms: u64,
) -> Vec<Value> {
    let fails = match one.fate {
        Fate::Crashes => true,
        Fate::FailsForSome => number % 100 < one.percent,
        Fate::Sent | Fate::Nothing => false,
    };
    let user = number % one.people.max(1);
    let event = |kind: &str, nth: u64, details: Value| {
        json!({
            "date": iso_millis(at_ms),
            "type": kind,
            "log_id": format!("900{at_ms:015}{number:012}{nth}"),
            "_id": format!("900{at_ms:015}{number:012}{nth}"),
            "user_id": format!("auth0|{user}"),
            "details": details,
        })
    };
    let authenticator = json!({ "type": "sms", "phone_number": format!("XXXXXXX{:04}", user % 10_000) });
    match (one.fate, fails) {
        (Fate::Crashes, _) => vec![
            event(
                "actions_execution_failed",
                0,
                json!({ "action_id": id, "action_name": name, "version_id": version.id, "trigger_id": version.supported_triggers.first().map(|trigger| &trigger.id), "error_class": "TypeError" }),
            ),
            event(
                "gd_send_sms_failure",
                1,
                json!({ "authenticator": authenticator, "failure_details": { "message": "the Action failed" } }),
            ),
        ],
        (_, true) => vec![event(
            "gd_send_sms_failure",
            0,
            json!({ "authenticator": authenticator, "failure_details": { "errorCode": one.vendor_code, "message": "the message was refused" } }),
        )],
        (_, false) => vec![event("gd_send_sms", 0, json!({ "authenticator": authenticator }))],
    }
}

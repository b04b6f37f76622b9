//! What the tenant log and the timeline tell of a login.

use lockstep_twin::Twin;
use lockstep_twin::clock::iso_millis;
use serde_json::{Value as Json, json};

use super::Front;
use super::login::Login;

/// A step of a login, for the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// From 1.
    pub number: u64,
    pub at_ms: u64,
    pub what: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What a log entry is about.
pub(super) struct Entry<'a> {
    pub kind: &'static str,
    pub description: &'a str,
    pub details: Json,
}

impl Front {
    /// Adds an entry to the log of the tenant, and a hop to the timeline.
    pub(super) fn log(&mut self, twin: &mut Twin, login: &Login, entry: Entry<'_>, now_ms: u64) {
        let id = format!("900{now_ms:015}{:012}", twin.world.ids.draw() % 1_000_000_000_000);
        let Some(tenant) = twin.world.tenants.get_mut(&login.domain) else { return };
        let user = tenant.users.iter().find(|user| user.user_id == login.user_id);
        let client = tenant.clients.get(&login.client_id).and_then(|client| client.get("name"));
        tenant.logs.push(json!({
            "date": iso_millis(now_ms),
            "type": entry.kind,
            "description": entry.description,
            "client_id": login.client_id,
            "client_name": client,
            "ip": "127.0.0.1",
            "user_agent": login.user_agent,
            "user_id": login.user_id,
            "user_name": user.map(|user| &user.email),
            "connection": "Username-Password-Authentication",
            "details": entry.details,
            "log_id": id,
            "_id": id,
        }));
        let failed = entry.kind.ends_with("failed")
            || entry.kind.ends_with("failure")
            || matches!(entry.kind, "f" | "fp" | "gd_otp_rate_limit_exceed");
        let failure = failed.then(|| entry.description.to_owned());
        self.hop(now_ms, &format!("tenant log: {}", entry.kind), failure);
    }
}

/// The category by which a log stream selects an entry of that type (Auth0 docs, tenant logs, 2026: the pages of the codes
/// are in folders of these names).
pub fn category(kind: &str) -> &'static str {
    match kind {
        "s" => "auth.login.success",
        "f" | "fp" => "auth.login.fail",
        "actions_execution_failed" => "actions",
        "gd_start_enroll" | "gd_enrollment_complete" | "gd_unenroll" | "gd_update_device_account" => {
            "user.notification"
        }
        "limit_phone" => "system.notification",
        "fn" => "user.fail",
        _ => "other",
    }
}

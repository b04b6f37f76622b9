//! The triggers of Actions as a tenant lists them (recorded, 2026).

use serde_json::{Value, json};

use super::super::world::TriggerRef;

/// One version of one trigger.
pub struct Trigger {
    pub id: &'static str,
    pub version: &'static str,
    pub current: bool,
    pub runtimes: &'static [&'static str],
    pub default_runtime: &'static str,
    /// False: the trigger is bound through another Auth0 object, never by the bindings call.
    pub trigger_bound: bool,
    /// The version that a bound Action can be upgraded from.
    pub compatible: Option<&'static str>,
}

const fn current(id: &'static str, version: &'static str) -> Trigger {
    const RUNTIMES: &[&str] = &["node18-actions", "node22"];
    Trigger {
        id,
        version,
        current: true,
        runtimes: RUNTIMES,
        default_runtime: "node22",
        trigger_bound: true,
        compatible: None,
    }
}

const fn deprecated(id: &'static str, version: &'static str) -> Trigger {
    const RUNTIMES: &[&str] = &["node22"];
    // The default runtime of a deprecated version no longer runs.
    Trigger {
        id,
        version,
        current: false,
        runtimes: RUNTIMES,
        default_runtime: "node12",
        trigger_bound: true,
        compatible: None,
    }
}

const fn entity(id: &'static str) -> Trigger {
    const RUNTIMES: &[&str] = &["node22"];
    Trigger {
        id,
        version: "v1",
        current: true,
        runtimes: RUNTIMES,
        default_runtime: "node22",
        trigger_bound: false,
        compatible: None,
    }
}

/// The order means nothing.
pub const TRIGGERS: &[Trigger] = &[
    deprecated("post-login", "v1"),
    Trigger { compatible: Some("v2"), ..current("post-login", "v3") },
    Trigger { runtimes: &["node18", "node22"], default_runtime: "node16", ..deprecated("post-login", "v2") },
    current("credentials-exchange", "v2"),
    deprecated("credentials-exchange", "v1"),
    current("pre-user-registration", "v2"),
    deprecated("pre-user-registration", "v1"),
    deprecated("post-user-registration", "v1"),
    current("post-user-registration", "v2"),
    current("post-change-password", "v2"),
    deprecated("post-change-password", "v1"),
    deprecated("send-phone-message", "v1"),
    current("send-phone-message", "v2"),
    current("password-reset-post-challenge", "v1"),
    current("custom-phone-provider", "v1"),
    current("custom-email-provider", "v1"),
    Trigger { runtimes: &["node18", "node22"], ..entity("custom-token-exchange") },
    entity("event-stream"),
    entity("password-hash-migration"),
    entity("mcp-tool"),
];

pub fn find(wanted: &TriggerRef) -> Option<&'static Trigger> {
    TRIGGERS.iter().find(|trigger| trigger.id == wanted.id && trigger.version == wanted.version)
}

/// A trigger of that id, in any version.
pub fn by_id(id: &str) -> Option<&'static Trigger> {
    TRIGGERS.iter().find(|trigger| trigger.id == id)
}

pub fn list() -> Value {
    let triggers: Vec<Value> = TRIGGERS
        .iter()
        .map(|trigger| {
            let compatible: Vec<Value> = trigger
                .compatible
                .iter()
                .map(|version| json!({"id": trigger.id, "version": version}))
                .collect();
            json!({
                "id": trigger.id,
                "version": trigger.version,
                "status": if trigger.current { "CURRENT" } else { "DEPRECATED" },
                "runtimes": trigger.runtimes,
                "default_runtime": trigger.default_runtime,
                "binding_policy": if trigger.trigger_bound { "trigger-bound" } else { "entity-bound" },
                "compatible_triggers": compatible,
            })
        })
        .collect();
    json!({ "triggers": triggers })
}

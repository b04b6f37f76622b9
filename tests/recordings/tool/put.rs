//! Makes objects of the world from what replies show of them.

use std::collections::BTreeMap;

use lockstep::twin::{Tenant, TriggerRef, world};
use serde_json::{Map, Value, json};

pub fn text(body: &Map<String, Value>, key: &str) -> String {
    body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub fn list<T: serde::de::DeserializeOwned>(body: &Map<String, Value>, key: &str) -> Vec<T> {
    let items = body.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(|item| serde_json::from_value(item.clone()).ok()).collect()
}

pub fn secrets(body: &Map<String, Value>) -> Vec<world::Secret> {
    let items = body.get("secrets").and_then(Value::as_array);
    let secret = |item: &Value| world::Secret {
        name: item["name"].as_str().unwrap_or_default().into(),
        value: "unknown".into(),
        updated_at: item["updated_at"].as_str().unwrap_or_default().into(),
    };
    items.into_iter().flatten().map(secret).collect()
}

pub fn action(tenant: &mut Tenant, body: &Map<String, Value>) {
    let deployed = body.get("deployed_version").and_then(Value::as_object);
    // The Action inside a binding has no draft, so the running version takes its place.
    let draft = if body.contains_key("code") { Some(body) } else { deployed }.unwrap_or(body);
    let triggers: Vec<TriggerRef> = list(body, "supported_triggers");
    let versions: Vec<world::ActionVersion> = deployed.map(version_of).into_iter().collect();
    let in_step =
        body.get("all_changes_deployed") == Some(&Value::Bool(true)) || !body.contains_key("status");
    tenant.actions.push(world::Action {
        id: text(body, "id"),
        name: text(body, "name"),
        supported_triggers: triggers,
        code: text(draft, "code"),
        dependencies: list(draft, "dependencies"),
        runtime: text(draft, "runtime"),
        secrets: secrets(draft),
        modules: list(draft, "modules"),
        created_at: text(body, "created_at"),
        updated_at: text(body, "updated_at"),
        build: world::Build {
            started_at_ms: 0,
            ends_at_ms: 0,
            fails: text(body, "status") == "failed",
            with_dependencies: false,
        },
        draft_version: versions.first().filter(|_| in_step).map(|version| version.id.clone()),
        deployment: versions.first().map(|version| world::Deployment {
            version_id: version.id.clone(),
            former_version_id: None,
            visible_at_ms: 0,
            bindable_at_ms: 0,
        }),
        versions,
    });
}

pub fn version_of(version: &Map<String, Value>) -> world::ActionVersion {
    world::ActionVersion {
        id: text(version, "id"),
        number: version.get("number").and_then(Value::as_u64).unwrap_or(1),
        code: text(version, "code"),
        dependencies: list(version, "dependencies"),
        runtime: text(version, "runtime"),
        secrets: secrets(version),
        modules: list(version, "modules"),
        supported_triggers: list(version, "supported_triggers"),
        created_at: text(version, "created_at"),
        updated_at: text(version, "updated_at"),
        built_at: text(version, "built_at"),
    }
}

pub fn binding(item: &Value) -> Option<world::Binding> {
    let field = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    Some(world::Binding {
        id: field("id"),
        action_id: item["action"]["id"].as_str()?.to_owned(),
        display_name: field("display_name"),
        created_at: field("created_at"),
        updated_at: field("updated_at"),
    })
}

pub fn stream(tenant: &mut Tenant, body: &Map<String, Value>) {
    let object = |key: &str| body.get(key).and_then(Value::as_object).cloned();
    tenant.log_streams.push(world::LogStream {
        id: text(body, "id"),
        name: body.get("name").and_then(Value::as_str).map(str::to_owned),
        r#type: text(body, "type"),
        status: text(body, "status"),
        sink: object("sink").unwrap_or_default(),
        filters: body.get("filters").and_then(Value::as_array).filter(|list| !list.is_empty()).cloned(),
        pii_config: object("pii_config"),
        is_priority: body.get("isPriority") == Some(&Value::Bool(true)),
    });
}

/// Makes a module, or a version of a module, from one reply.
pub fn module(tenant: &mut Tenant, body: &Map<String, Value>) {
    let of_version = body.contains_key("module_id");
    let id = text(body, if of_version { "module_id" } else { "id" });
    let at = tenant.action_modules.iter().position(|module| module.id == id).unwrap_or_else(|| {
        let module = world::ActionModule { id, name: String::new(), versions: BTreeMap::new() };
        tenant.action_modules.push(module);
        tenant.action_modules.len() - 1
    });
    let module = &mut tenant.action_modules[at];
    match body.get("version_number").and_then(Value::as_u64) {
        Some(number) if of_version => drop(module.versions.insert(text(body, "id"), number)),
        _ => module.name = text(body, "name"),
    }
}

/// A reply never shows the credentials of a provider, so it gets made-up ones.
pub fn provider(tenant: &mut Tenant, body: &Map<String, Value>) {
    let mut credentials = Map::new();
    if text(body, "name") == "twilio" {
        credentials.insert("auth_token".into(), json!("unknown"));
    }
    tenant.phone_providers.push(world::PhoneProvider {
        id: text(body, "id"),
        name: text(body, "name"),
        disabled: body.get("disabled") == Some(&Value::Bool(true)),
        configuration: body.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default(),
        credentials,
        created_at: text(body, "created_at"),
        updated_at: text(body, "updated_at"),
    });
}

pub fn implied_provider() -> Map<String, Value> {
    let body = json!({"id": "pro_0000000000000000000000", "name": "twilio",
        "configuration": {"sid": "unknown", "default_from": "unknown", "delivery_methods": ["text", "voice"]}});
    body.as_object().cloned().unwrap_or_default()
}

pub fn implied_action() -> Map<String, Value> {
    let version = json!({"id": "00000000-0000-4000-8000-000000000001", "number": 1, "code": "", "runtime": "node22",
        "supported_triggers": [{"id": "custom-phone-provider", "version": "v1"}]});
    let body = json!({"id": "00000000-0000-4000-8000-000000000000", "name": "implied",
        "supported_triggers": [{"id": "custom-phone-provider", "version": "v1"}], "deployed_version": version});
    body.as_object().cloned().unwrap_or_default()
}

pub fn template(tenant: &mut Tenant, body: &Map<String, Value>) {
    tenant.phone_templates.push(world::PhoneTemplate {
        id: text(body, "id"),
        r#type: text(body, "type"),
        disabled: body.get("disabled") == Some(&Value::Bool(true)),
        content: body.get("content").and_then(Value::as_object).cloned().unwrap_or_default(),
        created_at: text(body, "created_at"),
        updated_at: text(body, "updated_at"),
    });
}

/// If the reply does not name the applications of the connection, it keeps its former ones.
pub fn connection(tenant: &mut Tenant, body: &Map<String, Value>) {
    let id = text(body, "id");
    let old = tenant.connections.iter().position(|connection| connection.id == id);
    let clients = old.map(|at| tenant.connections.remove(at).clients).unwrap_or_default();
    let mut more = body.clone();
    for key in ["id", "name", "strategy", "enabled_clients"] {
        more.shift_remove(key);
    }
    tenant.connections.push(world::Connection {
        id,
        name: text(body, "name"),
        strategy: text(body, "strategy"),
        clients: body.get("enabled_clients").map(strings).unwrap_or(clients),
        more,
    });
}

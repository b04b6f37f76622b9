//! Applications, the connections they use, and the tenant log: just enough for a sample application and a look at
//! what happened.

use serde_json::{Map, Value, json};

use super::super::wire::{Outcome, Reply};
use super::body::{Fields, invalid, wrong_type};
use super::{Call, Route, invalid_query, refusal};
use crate::model::api::Method;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/clients",
        operation: "list_clients",
        scopes: &["read:clients"],
        query: &["page", "per_page", "include_totals", "fields", "include_fields", "is_global", "app_type"],
        run: list,
    },
    Route {
        method: Method::Post,
        pattern: "/clients",
        operation: "create_client",
        scopes: &["create:clients"],
        query: &[],
        run: create,
    },
    Route {
        method: Method::Get,
        pattern: "/clients/{id}",
        operation: "get_client",
        scopes: &["read:clients"],
        query: &["fields", "include_fields"],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/clients/{id}",
        operation: "update_client",
        scopes: &["update:clients"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Delete,
        pattern: "/clients/{id}",
        operation: "delete_client",
        scopes: &["delete:clients"],
        query: &[],
        run: delete,
    },
    Route {
        method: Method::Get,
        pattern: "/connections",
        operation: "list_connections",
        scopes: &["read:connections"],
        query: &["strategy", "name", "page", "per_page", "include_totals", "fields", "include_fields"],
        run: list_connections,
    },
    Route {
        method: Method::Get,
        pattern: "/connections/{id}/clients",
        operation: "list_connection_clients",
        scopes: &["read:connections"],
        query: &["from", "take"],
        run: list_connection_clients,
    },
    Route {
        method: Method::Patch,
        pattern: "/connections/{id}/clients",
        operation: "update_connection_clients",
        scopes: &["update:connections"],
        query: &[],
        run: update_connection_clients,
    },
    Route {
        method: Method::Get,
        pattern: "/logs",
        operation: "list_logs",
        scopes: &["read:logs"],
        query: &[
            "q",
            "page",
            "per_page",
            "sort",
            "from",
            "take",
            "include_totals",
            "fields",
            "include_fields",
        ],
        run: list_logs,
    },
];

/// Keys of an application that the twin takes. The real list is longer; none of the rest is of use here.
const KEYS: &[&str] = &[
    "name",
    "description",
    "logo_uri",
    "app_type",
    "callbacks",
    "allowed_logout_urls",
    "web_origins",
    "allowed_origins",
    "grant_types",
    "token_endpoint_auth_method",
    "oidc_conformant",
    "jwt_configuration",
    "refresh_token",
    "client_metadata",
    "initiate_login_uri",
    "is_first_party",
    "cross_origin_authentication",
    "sso",
];

fn missing() -> Reply {
    refusal(404, Some("inexistent_client"), "The client does not exist")
}

/// Bare list, or an envelope when totals are asked for.
fn list(call: &mut Call) -> Outcome {
    let app_type = call.target.query("app_type");
    let fits = |body: &&Map<String, Value>| {
        app_type.is_none_or(|wanted| body.get("app_type").and_then(Value::as_str) == Some(wanted))
    };
    let items: Vec<Value> = call.tenant.clients.values().filter(fits).cloned().map(Value::Object).collect();
    totals(call, "clients", items)
}

fn totals(call: &Call, key: &str, items: Vec<Value>) -> Outcome {
    let (page, per_page) = call.page(50)?;
    let total = items.len();
    let start = page.saturating_mul(per_page);
    let shown: Vec<Value> = items.into_iter().skip(start).take(per_page).collect();
    if call.flag("include_totals")? == Some(true) {
        let length = shown.len();
        let body = json!({"start": start, "limit": per_page, "length": length, "total": total, key: shown});
        return Ok(Reply::json(200, &body));
    }
    Ok(Reply::json(200, &Value::Array(shown)))
}

fn read(call: &Call) -> Result<Map<String, Value>, Reply> {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", KEYS)?;
    if fields.string("name", 1, 255)?.is_some_and(|name| name.contains(['<', '>'])) {
        return Err(invalid("String does not match pattern: ^[^<>]+$' on property 'name"));
    }
    fields.choice("app_type", &["native", "spa", "regular_web", "non_interactive"])?;
    fields.choice("token_endpoint_auth_method", &["none", "client_secret_post", "client_secret_basic"])?;
    fields.boolean("oidc_conformant")?;
    for name in ["callbacks", "allowed_logout_urls", "web_origins", "allowed_origins", "grant_types"] {
        if let Some(item) = fields.array(name)?.into_iter().flatten().find(|item| !item.is_string()) {
            return Err(wrong_type("string", item, name));
        }
    }
    if let Some(jwt) = fields.value("jwt_configuration") {
        // This one object takes further keys (published schema).
        Fields::open(jwt, "jwt_configuration")?.choice("alg", &["HS256", "RS256", "PS256"])?;
    }
    Ok(fields.map().clone())
}

fn create(call: &mut Call) -> Outcome {
    let sent = read(call)?;
    if !sent.contains_key("name") {
        return Err(invalid("Missing required property: name"));
    }
    let client_id = call.ids.word(32);
    // Defaults that surprise: not OIDC-conformant, HS256, three grant types (recorded).
    let mut client = match json!({
        "tenant": call.tenant.name,
        "client_id": client_id,
        "global": false,
        "is_first_party": true,
        "oidc_conformant": false,
        "jwt_configuration": {"alg": "HS256", "lifetime_in_seconds": 36_000, "secret_encoded": false},
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "client_secret": call.ids.word(64),
    }) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    client.extend(sent);
    call.tenant.clients.insert(client_id, client.clone());
    Ok(Reply::json(201, &Value::Object(client)))
}

fn get(call: &mut Call) -> Outcome {
    let client = call.tenant.clients.get(call.param(0)).ok_or_else(missing)?;
    Ok(Reply::json(200, &Value::Object(client.clone())))
}

fn update(call: &mut Call) -> Outcome {
    let sent = read(call)?;
    let id = call.param(0).to_owned();
    let client = call.tenant.clients.get_mut(&id).ok_or_else(missing)?;
    client.extend(sent);
    Ok(Reply::json(200, &Value::Object(client.clone())))
}

fn delete(call: &mut Call) -> Outcome {
    let id = call.param(0).to_owned();
    // A client that is gone is no error here, unlike everywhere else in this API.
    call.tenant.clients.remove(&id);
    for connection in &mut call.tenant.connections {
        connection.clients.retain(|client| *client != id);
    }
    Ok(Reply::empty())
}

fn list_connections(call: &mut Call) -> Outcome {
    let (strategy, name) = (call.target.query("strategy"), call.target.query("name"));
    let items = call
        .tenant
        .connections
        .iter()
        .filter(|connection| strategy.is_none_or(|wanted| connection.strategy == wanted))
        .filter(|connection| name.is_none_or(|wanted| connection.name == wanted))
        .map(|connection| {
            json!({"id": connection.id, "name": connection.name, "strategy": connection.strategy, "options": {},
                "is_domain_connection": false, "realms": [connection.name], "enabled_clients": connection.clients})
        })
        .collect();
    totals(call, "connections", items)
}

fn connection_at(call: &Call) -> Result<usize, Reply> {
    let at = call.tenant.connections.iter().position(|connection| connection.id == call.param(0));
    at.ok_or_else(|| refusal(404, Some("inexistent_connection"), "The connection does not exist"))
}

fn list_connection_clients(call: &mut Call) -> Outcome {
    let take = call.target.query("take").map(str::parse::<usize>);
    if take.is_some_and(|take| !take.is_ok_and(|take| (1..=100).contains(&take))) {
        return Err(invalid_query("take", "is out of range"));
    }
    let clients = &call.tenant.connections[connection_at(call)?].clients;
    let clients: Vec<Value> = clients.iter().map(|id| json!({ "client_id": id })).collect();
    Ok(Reply::json(200, &json!({ "clients": clients })))
}

fn update_connection_clients(call: &mut Call) -> Outcome {
    let at = connection_at(call)?;
    let body = call.json()?;
    let list = body.as_array().ok_or_else(|| wrong_type("array", &body, ""))?;
    let mut clients = call.tenant.connections[at].clients.clone();
    for item in list {
        let item = Fields::strict(item, "", &["client_id", "status"])?;
        let id = item.need_string("client_id", 1, 64)?;
        let status = item.boolean("status")?;
        let enabled = item.need("status", status)?;
        if !call.tenant.clients.contains_key(id) {
            return Err(missing());
        }
        clients.retain(|client| client != id);
        if enabled {
            clients.push(id.to_owned());
        }
    }
    call.tenant.connections[at].clients = clients;
    Ok(Reply::empty())
}

/// Newest first. Of the query language only `type:a` and `type:a OR type:b` are understood.
fn list_logs(call: &mut Call) -> Outcome {
    let wanted: Option<Vec<String>> = call.target.query("q").map(|query| {
        let words = query.split_whitespace().filter(|word| *word != "OR");
        words.map(|word| word.trim_start_matches("type:").trim_matches(['"', '(', ')']).to_owned()).collect()
    });
    let fits = |entry: &&Value| {
        let kind = entry.get("type").and_then(Value::as_str).unwrap_or_default();
        wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|word| word == kind))
    };
    let items: Vec<Value> = call.tenant.logs.iter().rev().filter(fits).cloned().collect();
    if call.target.query("take").is_none() && call.target.query("from").is_none() {
        return totals(call, "logs", items);
    }
    // Checkpoint paging: entries after `from`, oldest first.
    let take = call.target.query("take").and_then(|text| text.parse().ok()).unwrap_or(50_usize).min(100);
    let from = call.target.query("from");
    let mut oldest_first: Vec<Value> = items.into_iter().rev().collect();
    if let Some(from) = from {
        let is_from = |entry: &Value| entry.get("log_id").and_then(Value::as_str) == Some(from);
        match oldest_first.iter().position(is_from) {
            Some(at) => drop(oldest_first.drain(..=at)),
            None => return Err(super::invalid_query("from", "is not a log id")),
        }
    }
    oldest_first.truncate(take);
    Ok(Reply::json(200, &Value::Array(oldest_first)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::twin::bench::{Bench, DOMAIN, keys};

    #[test]
    fn an_application_and_its_connection() {
        let mut bench = Bench::new();
        let body = json!({"name": "Sample", "app_type": "spa", "callbacks": ["http://localhost:3000"]});
        let (status, client) = bench.post("/clients", &body);
        assert_eq!((status, &client["oidc_conformant"]), (201, &json!(false)));
        let id = client["client_id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(bench.get(&format!("/clients/{id}")), (200, client));
        assert_eq!(bench.get("/clients/this-client-does-not-exist").1["errorCode"], "inexistent_client");
        assert_eq!(bench.post("/clients", &json!({"name": "<b>"})).0, 400);
        let (_, page) = bench.get("/clients?include_totals=true");
        assert_eq!(keys(&page), ["start", "limit", "length", "total", "clients"]);
        assert_eq!(bench.get("/clients").1.as_array().map(Vec::len), Some(1));
        let (_, connections) = bench.get("/connections?strategy=auth0");
        let path = format!("/connections/{}/clients", connections[0]["id"].as_str().unwrap_or_default());
        assert_eq!(bench.patch(&path, &json!([{"client_id": id, "status": true}])).0, 204);
        assert_eq!(bench.get(&path).1, json!({"clients": [{"client_id": id}]}));
        assert_eq!(bench.delete(&format!("/clients/{id}")).0, 204);
        assert_eq!(bench.get(&path).1, json!({"clients": []}));
    }

    #[test]
    fn logs_by_type_and_by_checkpoint() {
        let mut bench = Bench::new();
        let entry = |id: &str, kind: &str| json!({"log_id": id, "type": kind});
        bench.twin.world.tenant_mut(DOMAIN).logs =
            vec![entry("1", "s"), entry("2", "gd_send_sms_failure"), entry("3", "s")];
        assert_eq!(bench.get("/logs?per_page=1").1, json!([entry("3", "s")]));
        assert_eq!(
            bench.get("/logs?q=type:gd_send_sms_failure").1,
            json!([entry("2", "gd_send_sms_failure")])
        );
        assert_eq!(
            bench.get("/logs?from=1&take=10").1,
            json!([entry("2", "gd_send_sms_failure"), entry("3", "s")])
        );
    }
}

//! Applications, their connections, and the tenant log: enough for a sample application and for a look at what
//! happened.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::wire::{Outcome, Reply};
use super::super::world::Connection;
use super::body::{Fields, invalid, wrong_type};
use super::client_body::{defaults, read, write};
use super::{Call, Route, invalid_query, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/clients",
        operation: "list_clients",
        scopes: &["read:clients"],
        query: &[
            "page",
            "per_page",
            "include_totals",
            "from",
            "take",
            "fields",
            "include_fields",
            "is_global",
            "app_type",
            "is_first_party",
        ],
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
        query: &[
            "strategy",
            "name",
            "page",
            "per_page",
            "from",
            "take",
            "include_totals",
            "fields",
            "include_fields",
        ],
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
];

fn missing() -> Reply {
    refusal(404, Some("inexistent_client"), "The client does not exist")
}

/// A bare list, or an envelope if `include_totals=true`, or pages by checkpoint.
fn list(call: &mut Call) -> Outcome {
    let app_type = call.target.query("app_type");
    let (global, first_party) = (call.flag("is_global")?, call.flag("is_first_party")?);
    let is_global = |body: &Map<String, Value>| body.get("global") == Some(&Value::Bool(true));
    let is_first_party = |body: &Map<String, Value>| body.get("is_first_party") != Some(&Value::Bool(false));
    let fits = |body: &&Map<String, Value>| {
        app_type.is_none_or(|wanted| body.get("app_type").and_then(Value::as_str) == Some(wanted))
            && global.is_none_or(|wanted| is_global(body) == wanted)
            && first_party.is_none_or(|wanted| is_first_party(body) == wanted)
    };
    let shown: Vec<Map<String, Value>> = call.tenant.clients.values().filter(fits).cloned().collect();
    let item = |body: Map<String, Value>| {
        let tenant = body.get("tenant").cloned().unwrap_or_else(|| json!(call.tenant.name));
        let mut shown = call.fields(body)?;
        // Lists show `tenant` even if `fields` does not name it (recorded).
        shown.insert("tenant".into(), tenant);
        Ok(Value::Object(shown))
    };
    let items: Result<Vec<Value>, Reply> = shown.into_iter().map(item).collect();
    if is_by_checkpoint(call) {
        return checkpoint(call, "clients", items?);
    }
    totals(call, "clients", items?)
}

fn is_by_checkpoint(call: &Call) -> bool {
    ["from", "take"].iter().any(|name| call.target.query(name).is_some())
}

pub(super) fn totals(call: &Call, key: &str, items: Vec<Value>) -> Outcome {
    let (page, per_page) = call.page(50)?;
    let total = items.len();
    let start = page.saturating_mul(per_page);
    let shown: Vec<Value> = items.into_iter().skip(start).take(per_page).collect();
    if call.flag("include_totals")? == Some(true) {
        let body = json!({"total": total, "start": start, "limit": per_page, key: shown});
        return Ok(Reply::json(200, &body));
    }
    Ok(Reply::json(200, &Value::Array(shown)))
}

/// Checkpoint paging: never totals, and `next` only when there are more items (recorded).
fn checkpoint(call: &Call, key: &str, items: Vec<Value>) -> Outcome {
    let number = |name: &str, fallback: usize| match call.target.query(name) {
        None => Ok(fallback),
        Some(text) => text.parse().map_err(|_| invalid_query(name, "is out of range")),
    };
    let (from, take) = (number("from", 0)?, number("take", 50)?);
    if !(1..=100).contains(&take) {
        return Err(invalid_query("take", "is out of range"));
    }
    let total = items.len();
    let mut body = Map::new();
    body.insert(key.into(), items.into_iter().skip(from).take(take).collect());
    if from.saturating_add(take) < total {
        body.insert("next".into(), json!((from + take).to_string()));
    }
    Ok(Reply::json(200, &Value::Object(body)))
}

fn create(call: &mut Call) -> Outcome {
    let sent = read(call)?;
    if !sent.contains_key("name") {
        return Err(invalid("Missing required property: name"));
    }
    let client_id = call.ids.word(32);
    let mut client = defaults(&sent, &client_id, &call.ids.word(64), &call.tenant.name);
    write(&mut client, sent);
    call.tenant.clients.insert(client_id, client.clone());
    Ok(Reply::json(201, &Value::Object(client)))
}

fn get(call: &mut Call) -> Outcome {
    let client = call.tenant.clients.get(call.param(0)).ok_or_else(missing)?;
    Ok(Reply::json(200, &Value::Object(call.fields(client.clone())?)))
}

fn update(call: &mut Call) -> Outcome {
    let sent = read(call)?;
    let id = call.param(0).to_owned();
    let client = call.tenant.clients.get_mut(&id).ok_or_else(missing)?;
    write(client, sent);
    Ok(Reply::json(200, &Value::Object(client.clone())))
}

fn delete(call: &mut Call) -> Outcome {
    let id = call.param(0).to_owned();
    // Deleting an unknown client succeeds, unlike other deletions of this API.
    call.tenant.clients.remove(&id);
    for connection in &mut call.tenant.connections {
        connection.clients.retain(|client| *client != id);
    }
    Ok(Reply::empty())
}

fn list_connections(call: &mut Call) -> Outcome {
    let (strategy, name) = (call.target.query("strategy"), call.target.query("name"));
    let shown = call
        .tenant
        .connections
        .iter()
        .filter(|connection| strategy.is_none_or(|wanted| connection.strategy == wanted))
        .filter(|connection| name.is_none_or(|wanted| connection.name == wanted));
    let items: Result<Vec<Value>, Reply> =
        shown.map(|connection| call.fields(connection_json(connection)).map(Value::Object)).collect();
    if is_by_checkpoint(call) {
        return checkpoint(call, "connections", items?);
    }
    totals(call, "connections", items?)
}

fn connection_json(connection: &Connection) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".into(), json!(connection.id));
    body.insert("options".into(), json!({}));
    body.insert("strategy".into(), json!(connection.strategy));
    body.insert("name".into(), json!(connection.name));
    body.insert("is_domain_connection".into(), json!(false));
    body.insert("authentication".into(), json!({"active": true}));
    body.insert("connected_accounts".into(), json!({"active": false}));
    body.insert("realms".into(), json!([connection.name]));
    body.extend(connection.more.clone());
    body.insert("enabled_clients".into(), json!(connection.clients));
    body
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
    checkpoint(call, "clients", clients)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::{Bench, DOMAIN, keys};

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
        assert_eq!(keys(&page), ["total", "start", "limit", "clients"]);
        assert_eq!(bench.get("/clients").1.as_array().map(Vec::len), Some(1));
        for name in ["b", "c"] {
            assert_eq!(bench.post("/clients", &json!({ "name": name })).0, 201);
        }
        let (_, page) = bench.get("/clients?take=2&fields=client_id");
        assert_eq!(
            (keys(&page), page["clients"].as_array().map(Vec::len)),
            (vec!["clients", "next"], Some(2))
        );
        let next = page["next"].as_str().unwrap_or_default();
        let (_, page) = bench.get(&format!("/clients?take=2&from={next}&fields=client_id"));
        assert_eq!((keys(&page), page["clients"].as_array().map(Vec::len)), (vec!["clients"], Some(1)));
        let (_, connections) = bench.get("/connections?strategy=auth0");
        let path = format!("/connections/{}/clients", connections[0]["id"].as_str().unwrap_or_default());
        assert_eq!(bench.patch(&path, &json!([{"client_id": id, "status": true}])).0, 204);
        assert_eq!(bench.get(&path).1, json!({"clients": [{"client_id": id}]}));
        assert_eq!(bench.delete(&format!("/clients/{id}")).0, 204);
        assert_eq!(bench.get(&path).1, json!({"clients": []}));
    }

    #[test]
    fn defaults_follow_the_kind_of_application() {
        let mut bench = Bench::new();
        let mut made = |more: Value| {
            let mut body = json!({"name": "a"});
            body.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
            bench.post("/clients", &body).1
        };
        let plain = made(json!({}));
        assert_eq!(plain["grant_types"].as_array().map(Vec::len), Some(4));
        assert_eq!(
            plain["jwt_configuration"],
            json!({"secret_encoded": false, "lifetime_in_seconds": 36_000}),
            "no algorithm"
        );
        assert_eq!(plain["refresh_token"]["token_lifetime"], 2_592_000);
        let spa = made(json!({"token_endpoint_auth_method": "none", "jwt_configuration": {"alg": "RS256"}}));
        assert_eq!(spa["grant_types"], json!(["authorization_code", "implicit", "refresh_token"]));
        assert_eq!(spa["jwt_configuration"], json!({"secret_encoded": false, "alg": "RS256"}));
        let confidential = made(json!({"token_endpoint_auth_method": "client_secret_post"}));
        assert_eq!(confidential["refresh_token"]["token_lifetime"], 31_557_600);
        assert_eq!(made(json!({"app_type": "resource_server"}))["grant_types"], json!([]));
        let strict = made(json!({"is_first_party": false, "third_party_security_mode": "strict"}));
        assert_eq!(
            (&strict["grant_types"], &strict["oidc_conformant"]),
            (&json!(["authorization_code"]), &json!(true))
        );
        assert_eq!(made(json!({"colour": "red"}))["statusCode"], 400);
        let express = made(json!({"app_type": "express_configuration", "organization_usage": "allow"}));
        assert_eq!(express["grant_types"], json!(["authorization_code", "client_credentials"]));
        assert_eq!(
            (&express["organization_usage"], &express["organization_require_behavior"]),
            (&json!("allow"), &json!("pre_login_prompt"))
        );
        assert_eq!(express.get("client_secret"), None);
        let third = made(json!({"is_first_party": false, "token_endpoint_auth_method": "none"}));
        assert_eq!(
            (
                &third["third_party_security_mode"],
                &third["oidc_conformant"],
                &third["refresh_token"]["rotation_type"]
            ),
            (&json!("permissive"), &json!(true), &json!("rotating"))
        );
        assert_eq!(plain.get("third_party_security_mode"), None);
        let (_, list) = bench.get("/clients?is_first_party=false");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_default_organization_is_whole_or_none() {
        let mut bench = Bench::new();
        let made = bench.post("/clients", &json!({"name": "a"})).1;
        let path = format!("/clients/{}", made["client_id"].as_str().unwrap_or_default());
        for (value, status) in [
            (json!({"flows": ["client_credentials"]}), 400),
            (json!({"organization_id": "org_0000000000000001"}), 400),
            (json!({"organization_id": "org_0000000000000001", "flows": ["client_credentials"]}), 200),
            (Value::Null, 200),
        ] {
            assert_eq!(bench.patch(&path, &json!({"default_organization": value})).0, status, "{value}");
        }
        assert_eq!(bench.get(&path).1.get("default_organization"), None);
    }

    #[test]
    fn a_change_merges_some_objects_and_null_removes() {
        let mut bench = Bench::new();
        let sent = json!({"name": "a", "addons": {"samlp": {"signResponse": true}}, "client_metadata": {"a": "1"},
            "initiate_login_uri": "https://x.example/", "token_endpoint_auth_method": "client_secret_post"});
        let id = bench.post("/clients", &sent).1["client_id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/clients/{id}");
        let (status, changed) = bench.patch(
            &path,
            &json!({"jwt_configuration": {"alg": "RS256"}, "client_metadata": {"a": null, "b": "2"}, "addons": null,
                "initiate_login_uri": "", "token_endpoint_auth_method": null, "session_transfer": {"allow_refresh_token": true}}),
        );
        assert_eq!(status, 200, "{changed}");
        let jwt = json!({"secret_encoded": false, "lifetime_in_seconds": 36_000, "alg": "RS256"});
        assert_eq!((&changed["jwt_configuration"], &changed["client_metadata"]), (&jwt, &json!({"b": "2"})));
        for gone in ["addons", "initiate_login_uri", "token_endpoint_auth_method"] {
            assert_eq!(changed.get(gone), None, "{gone}");
        }
        assert_eq!(
            changed["session_transfer"]["enforce_device_binding"], "ip",
            "defaults beside what was sent"
        );
        let logout = json!({"oidc_logout": {"backchannel_logout_urls": ["https://x.example/out"]}});
        let (_, changed) = bench.patch(&path, &logout);
        assert_eq!(changed["oidc_backchannel_logout"], logout["oidc_logout"], "two names of one thing");
        let (_, changed) = bench.patch(&path, &json!({"oidc_backchannel_logout": null}));
        assert_eq!(changed.get("oidc_logout"), None);
    }

    #[test]
    fn lists_are_filtered_and_cut_down() {
        let mut bench = Bench::new();
        bench.post("/clients", &json!({"name": "a"}));
        let global = json!({"client_id": "all", "name": "All Applications", "global": true});
        let clients = &mut bench.twin.world.tenant_mut(DOMAIN).clients;
        clients.insert("all".into(), global.as_object().cloned().expect("object"));
        let (_, page) =
            bench.get("/clients?is_global=true&fields=client_id&include_fields=true&include_totals=true");
        assert_eq!(page["clients"], json!([{"client_id": "all", "tenant": "acme-dev"}]));
        assert_eq!(bench.get("/clients?is_global=false").1.as_array().map(Vec::len), Some(1));
        assert_eq!(bench.get("/clients").1.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn connections_have_checkpoints_without_totals() {
        let mut bench = Bench::new();
        let tenant = bench.twin.world.tenant_mut(DOMAIN);
        let mut second = tenant.connections[0].clone();
        second.id = "con_0000000000000002".into();
        second.more.insert("options".into(), json!({"strategy_version": 2}));
        tenant.connections.push(second);
        let (_, page) = bench.get("/connections?take=1&include_totals=true");
        assert_eq!(keys(&page), ["connections", "next"]);
        let next = page["next"].as_str().unwrap_or_default();
        let (_, page) = bench.get(&format!("/connections?take=1&from={next}"));
        assert_eq!(keys(&page), ["connections"]);
        assert_eq!(page["connections"][0]["options"], json!({"strategy_version": 2}));
        let expected = [
            "id",
            "options",
            "strategy",
            "name",
            "is_domain_connection",
            "authentication",
            "connected_accounts",
            "realms",
            "enabled_clients",
        ];
        assert_eq!(keys(&page["connections"][0]), expected);
        assert_eq!(bench.get("/connections?take=0").0, 400);
    }
}

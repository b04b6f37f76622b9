//! Log streams. They have no `updated_at` and no unique name, and a create takes no status. A PATCH that omits
//! `pii_config` removes it.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::clock;
use super::super::options::Options;
use super::super::wire::{Outcome, Reply};
use super::super::world::LogStream;
use super::body::{Fields, invalid};
use super::{Call, Route, invalid_uri, is_named, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/log-streams",
        operation: "list_log_streams",
        scopes: &["read:log_streams"],
        query: &[],
        // A bare list (recorded).
        run: |call| {
            Ok(Reply::json(
                200,
                &call.tenant.log_streams.iter().map(|stream| stream_json(stream, call.options)).collect(),
            ))
        },
    },
    Route {
        method: Method::Post,
        pattern: "/log-streams",
        operation: "create_log_stream",
        scopes: &["create:log_streams"],
        query: &[],
        run: create,
    },
    Route {
        method: Method::Get,
        pattern: "/log-streams/{id}",
        operation: "get_log_stream",
        scopes: &["read:log_streams"],
        query: &[],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/log-streams/{id}",
        operation: "update_log_stream",
        scopes: &["update:log_streams"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Delete,
        pattern: "/log-streams/{id}",
        operation: "delete_log_stream",
        scopes: &["delete:log_streams"],
        query: &[],
        run: delete,
    },
];

/// The categories a filter may name (published types, 2026-07).
const CATEGORIES: &[&str] = &[
    "auth.login.fail",
    "auth.login.notification",
    "auth.login.success",
    "auth.logout.fail",
    "auth.logout.success",
    "auth.signup.fail",
    "auth.signup.success",
    "auth.silent_auth.fail",
    "auth.silent_auth.success",
    "auth.token_exchange.fail",
    "auth.token_exchange.success",
    "management.fail",
    "management.success",
    "scim.event",
    "system.notification",
    "user.fail",
    "user.notification",
    "user.success",
    "actions",
    "other",
];

const PII_FIELDS: &[&str] = &["first_name", "last_name", "username", "email", "phone", "address"];

/// The sinks: type, required keys, optional keys, and whether a PATCH may change the sink.
const SINKS: &[(&str, &[&str], &[&str], bool)] = &[
    (
        "http",
        &["httpEndpoint"],
        &["httpContentFormat", "httpContentType", "httpAuthorization", "httpCustomHeaders"],
        true,
    ),
    ("eventbridge", &["awsAccountId", "awsRegion"], &[], false),
    ("eventgrid", &["azureSubscriptionId", "azureResourceGroup", "azureRegion"], &[], false),
    ("datadog", &["datadogApiKey", "datadogRegion"], &[], true),
    ("splunk", &["splunkDomain", "splunkToken", "splunkPort", "splunkSecure"], &[], true),
    ("sumo", &["sumoSourceAddress"], &[], true),
    ("segment", &["segmentWriteKey"], &[], true),
    (
        "mixpanel",
        &[
            "mixpanelRegion",
            "mixpanelProjectId",
            "mixpanelServiceAccountUsername",
            "mixpanelServiceAccountPassword",
        ],
        &[],
        true,
    ),
];

fn create(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let allowed = ["name", "type", "sink", "filters", "pii_config", "isPriority", "startFrom"];
    let fields = Fields::strict(&body, "", &allowed)?;
    let types: Vec<&str> = SINKS.iter().map(|sink| sink.0).collect();
    let kind = fields.choice("type", &types)?;
    let kind = fields.need("type", kind)?;
    let sink = fields.value("sink");
    let mut sink = read_sink(fields.need("sink", sink)?, kind)?;
    let name = fields.string("name", 1, 255)?.map(str::to_owned);
    let filters = read_filters(&fields)?.unwrap_or_default();
    let pii_config = read_pii(&fields)?;
    let is_priority = fields.boolean("isPriority")?.unwrap_or(false);
    // `startFrom` is accepted and never shown again.
    if fields.string("startFrom", 1, 64)?.is_some_and(|text| !clock::is_iso(text)) {
        return Err(invalid("Object didn't pass validation for format date-time' on property 'startFrom"));
    }
    let counted = call.tenant.log_streams.iter().filter(|stream| !stream.is_priority).count();
    if !is_priority && call.options.log_stream_limit.is_some_and(|limit| counted >= limit) {
        let message = "You have reached the maximum number of log streams for your plan.";
        return Err(refusal(call.options.log_stream_limit_status, None, message));
    }
    match kind {
        "eventbridge" => {
            sink.insert(
                "awsPartnerEventSource".into(),
                json!(format!("aws.partner/auth0.com/{}-{}/auth0.logs", call.tenant.name, call.ids.uuid())),
            );
        }
        "eventgrid" => {
            sink.insert("azurePartnerTopic".into(), json!(call.ids.word(12)));
        }
        _ => {}
    }
    let stream = LogStream {
        id: call.ids.log_stream(),
        name,
        r#type: kind.to_owned(),
        status: "active".into(),
        sink,
        filters: (!filters.is_empty()).then_some(filters),
        pii_config,
        is_priority,
    };
    // 200, not 201 (recorded).
    let reply = Reply::json(200, &stream_json(&stream, call.options));
    call.tenant.log_streams.push(stream);
    Ok(reply)
}

fn get(call: &mut Call) -> Outcome {
    let at = find(call)?;
    Ok(Reply::json(200, &stream_json(&call.tenant.log_streams[at], call.options)))
}

fn update(call: &mut Call) -> Outcome {
    let at = find(call)?;
    let body = call.json()?;
    let allowed = ["name", "status", "filters", "pii_config", "isPriority", "sink"];
    let fields = Fields::strict(&body, "", &allowed)?;
    let mut stream = call.tenant.log_streams[at].clone();
    if let Some(name) = fields.string("name", 1, 255)? {
        stream.name = Some(name.to_owned());
    }
    // Only the server sets `suspended`; a client may pause and restart.
    if let Some(status) = fields.choice("status", &["active", "paused"])? {
        status.clone_into(&mut stream.status);
    }
    if let Some(priority) = fields.boolean("isPriority")? {
        stream.is_priority = priority;
    }
    match read_filters(&fields)? {
        Some(filters) => stream.filters = (!filters.is_empty()).then_some(filters),
        None if call.options.omitted_filters_kept => {}
        None => stream.filters = None,
    }
    // An omitted `pii_config` is removed (recorded).
    stream.pii_config = read_pii(&fields)?;
    if let Some(sink) = fields.value("sink") {
        let patchable = SINKS.iter().any(|known| known.0 == stream.r#type && known.3);
        if !patchable {
            return Err(invalid("Additional properties not allowed: sink"));
        }
        stream.sink = read_sink(sink, &stream.r#type)?;
    }
    let reply = Reply::json(200, &stream_json(&stream, call.options));
    call.tenant.log_streams[at] = stream;
    Ok(reply)
}

fn delete(call: &mut Call) -> Outcome {
    let at = find(call)?;
    call.tenant.log_streams.remove(at);
    Ok(Reply::empty())
}

fn find(call: &Call) -> Result<usize, Reply> {
    let id = call.param(0);
    if !is_named(id, "lst_", 16) {
        return Err(invalid_uri("log-stream-id", id));
    }
    let at = call.tenant.log_streams.iter().position(|stream| stream.id == id);
    at.ok_or_else(|| refusal(404, None, "The log stream does not exist."))
}

fn read_filters(fields: &Fields) -> Result<Option<Vec<Value>>, Reply> {
    let Some(list) = fields.array("filters")? else { return Ok(None) };
    for (at, item) in list.iter().enumerate() {
        let item = Fields::open(item, &format!("filters[{at}]"))?;
        let kind = item.choice("type", &["category"])?;
        item.need("type", kind)?;
        let name = item.choice("name", CATEGORIES)?;
        item.need("name", name)?;
    }
    Ok(Some(list.clone()))
}

fn read_pii(fields: &Fields) -> Result<Option<Map<String, Value>>, Reply> {
    let Some(value) = fields.value("pii_config") else { return Ok(None) };
    let fields = Fields::strict(value, "pii_config", &["log_fields", "method", "algorithm"])?;
    let log_fields = fields.choices("log_fields", PII_FIELDS)?;
    let log_fields = fields.need("log_fields", log_fields)?;
    let method = fields.choice("method", &["mask", "hash"])?.unwrap_or("hash");
    let algorithm = fields.choice("algorithm", &["xxhash"])?.unwrap_or("xxhash");
    let mut stored = Map::new();
    stored.insert("log_fields".into(), json!(log_fields));
    stored.insert("method".into(), json!(method));
    stored.insert("algorithm".into(), json!(algorithm));
    Ok(Some(stored))
}

/// Reads a whole sink of that type. It is stored as sent: reads show its credentials in clear text.
fn read_sink(value: &Value, kind: &str) -> Result<Map<String, Value>, Reply> {
    let Some((_, required, optional, _)) = SINKS.iter().find(|sink| sink.0 == kind) else {
        return Err(invalid("No such type"));
    };
    let allowed: Vec<&str> = required.iter().chain(optional.iter()).copied().collect();
    let fields = Fields::strict(value, "sink", &allowed)?;
    for name in required.iter().copied() {
        let value = fields.value(name);
        fields.need(name, value)?;
    }
    for name in allowed {
        match name {
            "splunkSecure" => {
                fields.boolean(name)?;
            }
            "splunkPort" if fields.value(name).is_some_and(Value::is_number) => {}
            "httpCustomHeaders" => read_headers(&fields)?,
            "httpContentFormat" => {
                fields.choice(name, &["JSONLINES", "JSONARRAY", "JSONOBJECT"])?;
            }
            "datadogRegion" => {
                fields.choice(name, &["us", "eu", "us3", "us5"])?;
            }
            "httpEndpoint" => {
                let endpoint = fields.string(name, 1, 2_048)?.unwrap_or_default();
                let host = endpoint.strip_prefix("https://").unwrap_or_default();
                if host.is_empty() || host.starts_with('/') {
                    return Err(invalid(
                        "String does not match pattern: ^https:\\/\\/.*' on property 'sink.httpEndpoint",
                    ));
                }
            }
            "awsAccountId" => {
                let id = fields.string(name, 12, 12)?.unwrap_or_default();
                if !id.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(invalid(
                        "String does not match pattern: ^\\d{12}$' on property 'sink.awsAccountId",
                    ));
                }
            }
            other => {
                fields.string(other, 0, 2_048)?;
            }
        }
    }
    Ok(fields.map().clone())
}

fn read_headers(sink: &Fields) -> Result<(), Reply> {
    let Some(list) = sink.array("httpCustomHeaders")? else { return Ok(()) };
    for (at, item) in list.iter().enumerate() {
        let item = Fields::strict(item, &format!("sink.httpCustomHeaders[{at}]"), &["header", "value"])?;
        item.need_string("header", 1, 255)?;
        item.need_string("value", 0, 2_048)?;
    }
    Ok(())
}

fn stream_json(stream: &LogStream, options: &Options) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), json!(stream.id));
    if let Some(name) = &stream.name {
        body.insert("name".into(), json!(name));
    }
    body.insert("type".into(), json!(stream.r#type));
    body.insert("status".into(), json!(stream.status));
    let mut sink = stream.sink.clone();
    // The only credential that reads mask (recorded).
    if let Some(password) = sink.get_mut("mixpanelServiceAccountPassword") {
        *password = json!("********");
    }
    body.insert("sink".into(), Value::Object(sink));
    if let Some(filters) = &stream.filters {
        body.insert("filters".into(), json!(filters));
    }
    if options.log_streams_show_priority {
        body.insert("isPriority".into(), json!(stream.is_priority));
    }
    if let Some(pii) = &stream.pii_config {
        body.insert("pii_config".into(), Value::Object(pii.clone()));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::bench::{Bench, keys};
    use crate::{Options, Rate};

    fn http() -> Value {
        json!({"name": "feedback", "type": "http", "sink": {"httpContentFormat": "JSONARRAY",
            "httpContentType": "application/json", "httpEndpoint": "https://x.example/logs",
            "httpAuthorization": "Bearer abc"}})
    }

    fn made(bench: &mut Bench, body: &Value) -> (String, Value) {
        let (status, stream) = bench.post("/log-streams", body);
        assert_eq!(status, 200, "{stream}");
        (format!("/log-streams/{}", stream["id"].as_str().unwrap_or_default()), stream)
    }

    #[test]
    fn older_answers_lack_the_priority() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, log_streams_show_priority: false, ..Options::default() });
        let (path, stream) = made(&mut bench, &http());
        assert_eq!(keys(&stream), ["id", "name", "type", "status", "sink"]);
        assert_eq!(bench.get(&path).1, stream);
    }

    #[test]
    fn a_webhook_reads_as_recorded() {
        let mut bench = Bench::new();
        let (path, stream) = made(&mut bench, &http());
        assert_eq!(keys(&stream), ["id", "name", "type", "status", "sink", "isPriority"]);
        assert_eq!((&stream["status"], &stream["isPriority"]), (&json!("active"), &json!(false)));
        assert_eq!(stream["sink"], http()["sink"], "authorization in clear");
        assert_eq!(bench.get("/log-streams"), (200, json!([stream.clone()])));
        let (_, paused) = bench.patch(&path, &json!({"status": "paused"}));
        assert_eq!(paused["status"], "paused");
        let (_, renamed) = bench.patch(&path, &json!({"name": "other"}));
        assert_eq!((&renamed["status"], &renamed["name"]), (&json!("paused"), &json!("other")));
        let mut sink = http()["sink"].clone();
        sink["httpCustomHeaders"] = json!([]);
        let (_, changed) = bench.patch(&path, &json!({ "sink": sink }));
        assert_eq!(changed["sink"]["httpCustomHeaders"], json!([]), "kept as an empty list");
        assert_eq!(bench.delete(&path).0, 204);
        assert_eq!(bench.get(&path).0, 404);
    }

    #[test]
    fn names_are_not_unique() {
        let mut bench = Bench::new();
        let ((one, _), (two, _)) = (made(&mut bench, &http()), made(&mut bench, &http()));
        assert_ne!(one, two);
    }

    #[test]
    fn pii_goes_when_left_out_and_filters_by_option() {
        for kept in [true, false] {
            let rate = Rate::Unlimited;
            let mut bench = Bench::with(Options { rate, omitted_filters_kept: kept, ..Options::default() });
            let mut body = http();
            body["filters"] = json!([{"type": "category", "name": "other"}]);
            body["pii_config"] = json!({"log_fields": ["first_name", "email"]});
            let (path, stream) = made(&mut bench, &body);
            let pii = json!({"log_fields": ["first_name", "email"], "method": "hash", "algorithm": "xxhash"});
            assert_eq!(stream["pii_config"], pii);
            let (_, patched) = bench.patch(&path, &json!({"name": "x"}));
            assert_eq!(patched.get("pii_config"), None);
            assert_eq!(patched.get("filters").is_some(), kept);
            assert_eq!(bench.patch(&path, &json!({"filters": []})).1.get("filters"), None);
        }
    }

    #[test]
    fn what_may_not_be_written() {
        let mut bench = Bench::new();
        let (path, _) = made(&mut bench, &http());
        let refused_patches = [
            json!({"status": "suspended"}),
            json!({"type": "http"}),
            json!({"startFrom": "2026-01-01T00:00:00Z"}),
            json!({"sink": {"httpContentFormat": "JSONARRAY"}}),
        ];
        for body in refused_patches {
            assert_eq!(bench.patch(&path, &body).0, 400, "{body}");
        }
        let changes = [
            ("status", json!("paused")),
            ("type", json!("webhook")),
            ("sink", json!({"httpEndpoint": "http://x.example"})),
            ("sink", json!({"httpEndpoint": "https://x.example", "colour": "red"})),
            ("sink", json!({"httpEndpoint": "https://x.example", "httpContentFormat": "JSON"})),
            ("filters", json!([{"type": "category", "name": "gd_auth_succeed"}])),
            ("filters", json!([{"type": "event", "name": "other"}])),
            ("pii_config", json!({"log_fields": ["ssn"]})),
        ];
        for (key, value) in changes {
            let mut body = http();
            body[key] = value;
            assert_eq!(bench.post("/log-streams", &body).0, 400, "{key} {}", body[key]);
        }
    }

    #[test]
    fn sinks_of_other_types() {
        let mut bench = Bench::new();
        let mixpanel = json!({"type": "mixpanel", "sink": {"mixpanelRegion": "us", "mixpanelProjectId": "1",
            "mixpanelServiceAccountUsername": "u", "mixpanelServiceAccountPassword": "p"}});
        let (_, stream) = made(&mut bench, &mixpanel);
        assert_eq!(stream["sink"]["mixpanelServiceAccountPassword"], "********");
        let bridge = json!({"type": "eventbridge", "sink": {"awsAccountId": "123456789012", "awsRegion": "us-east-1"}});
        let (path, stream) = made(&mut bench, &bridge);
        assert!(stream["sink"]["awsPartnerEventSource"].is_string());
        assert_eq!(bench.patch(&path, &json!({"sink": bridge["sink"]})).0, 400);
    }

    #[test]
    fn the_plan_may_limit_their_number() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, log_stream_limit: Some(1), ..Options::default() });
        made(&mut bench, &http());
        assert_eq!(bench.post("/log-streams", &http()).0, 403);
        let mut priority = http();
        priority["isPriority"] = json!(true);
        made(&mut bench, &priority);
    }
}

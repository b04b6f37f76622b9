//! Tests of the kinds' readers with recorded replies of the real API.
//!
//! The recordings lie beside the project and are not part of it. If they are missing, nothing is read. If they are
//! there, every file of the table has to exist, and every exchange in it is read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lockstep::kinds::{
    self, Hint, Run, Seen, action, log_stream, phone_provider, phone_template, trigger_binding,
};
use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use lockstep::model::call::{Api, Failed, Get, Paging, Repeat};
use lockstep::model::plan::{Op, Stage, Verb};
use lockstep::model::value::{Attrs, Value};
use lockstep::port::Port;
use lockstep::shell::in_process::{Handled, InProcess, Simulator, Stop};
use serde_json::{Value as Json, json};

use super::bed::{FULL, valid};
use crate::support::{START_MS, Stack, options};

const ACTION: &str = "5e34493d-1a6b-4f98-a441-87094fff14f7";

/// What the reader makes of each exchange of each file. File names without `.json`.
const EXPECTED: &[(&str, &[&str])] = &[
    (
        "01-action-create",
        &[
            "Test Action TestAccAction: draft pending, node22",
            "Test Action TestAccActionWithSecretsWO: draft pending, node22, secrets foo (draft only)",
        ],
    ),
    (
        "02-action-get-build-lifecycle",
        &[
            "Test Action TestAccAction: draft pending, node18, auth0 2.41.0, secrets foo (draft only)",
            "Test Action TestAccAction: draft building, node18, auth0 2.41.0, secrets foo (draft only)",
            "Test Action TestAccAction: draft built, node18, auth0 2.41.0, secrets foo (draft only)",
            "Test Action TestAccAction: deployed b5c29fd6, node18, auth0 2.41.0, secrets foo",
            "Test Action TestAccAction: draft retrying beside 8d7a489b, node22, crypto 17.7.1",
            "Test Action TestAccAction: draft failed beside 8d7a489b, node22, crypto 17.7.1",
        ],
    ),
    (
        "03-action-list",
        &[
            "(none)",
            "Test Action TestAccDataSourceAction: draft built, node22",
            "My Custom Action: deployed 0e4fe44e, node18",
        ],
    ),
    (
        "04-action-deploy",
        &[
            "version b5c29fd6",
            "Test Action TestAccAction: deployed b5c29fd6, node18, auth0 2.41.0, secrets foo",
        ],
    ),
    (
        "05-action-patch-clear-secrets",
        &[
            "Test Action TestAccAction: draft pending beside b5c29fd6, node18, auth0 2.42.0, moment 2.29.4, \
             secrets bar (draft only), foo (rewritten)",
            "Test Action TestAccAction: draft pending beside 8d7a489b, node18",
        ],
    ),
    (
        "06-bindings-get-patch",
        &[
            "(none)",
            "Test Trigger Binding Foo TestAccTriggerAction",
            "Test Trigger Binding Foo TestAccTriggerAction",
            "(none)",
            "Test Trigger Binding Foo TestAccTriggerAction as Test Trigger Binding Foo TestAccTriggerAction (new display name)",
        ],
    ),
    ("07-bindings-unbind-all", &["(none)"]),
    (
        "08-guardian-factors-get",
        &[
            "phone on, otp off, email off, push_notification off, webauthn_roaming off, webauthn_platform off, \
             recovery_code off, duo off",
            "phone off, otp off, email off, push_notification off, webauthn_roaming off, webauthn_platform off, \
             recovery_code off, duo off",
        ],
    ),
    ("09-guardian-factor-put", &["enabled true", "enabled false"]),
    (
        "10-guardian-phone-message-types",
        &[
            "message_types [\"sms\"]",
            "message_types [\"sms\"]",
            "message_types [\"voice\"]",
            "message_types [\"sms\",\"voice\"]",
        ],
    ),
    (
        "11-guardian-phone-selected-provider",
        &["provider \"auth0\"", "provider \"auth0\"; as a probe, with the flag absent: enabled false"],
    ),
    (
        "12-guardian-legacy-sms-twilio-and-templates",
        &[
            "(settings of another provider)",
            "enrollment_message \"enroll foo\", verification_message \"verify foo\"",
            "enrollment_message \"enroll foo\", verification_message \"verify foo\"",
        ],
    ),
    ("13-guardian-policies", &["policy \"always\"", "policy \"always\"", "policy \"never\""]),
    (
        "14-log-stream-http",
        &[
            "active JSONLINES application/json, with authorization",
            "paused JSONLINES application/json, with authorization",
            "paused JSONLINES application/json, with authorization",
            "paused JSONARRAY application/json; charset=utf-8, with authorization",
            "paused JSONLINES application/json, with authorization, headers bar foo",
            "paused JSONLINES application/json, with authorization",
            "deleted",
        ],
    ),
    (
        "15-log-stream-pii-and-filters",
        &[
            "active - -, masks email first_name phone by hash xxhash",
            "active - -, masks last_name username by mask xxhash",
            "active - -",
            "active - -, filters auth.login.fail auth.signup.fail",
            "active - -",
        ],
    ),
    (
        "16-phone-provider",
        &[
            "(none)",
            "refused with 400 and no code",
            "twilio on by text voice",
            "twilio on by text voice",
            "custom on by text voice",
            "custom on by text voice",
            "twilio on by text",
            "deleted",
        ],
    ),
    (
        "17-phone-notification-templates",
        &[
            "otp_enroll on, from +1234567890, text \"Your enrollment code is: @{code}\", voice \"Your enrollment code is @{code}\"",
            "otp_enroll on, from +1234567890, text \"Your enrollment code is: @{code}\", voice \"Your enrollment code is @{code}\"",
            "otp_enroll off, from +9876543210, text \"Updated enrollment code: @{code}\", voice \"Updated enrollment code: @{code}\"",
            "deleted",
        ],
    ),
    (
        "18-triggers-list",
        &[
            "custom-phone-provider v1 CURRENT node22 trigger-bound; send-phone-message v2 CURRENT node22 trigger-bound; post-login v3 CURRENT node22 trigger-bound",
        ],
    ),
    (
        "19-error-404",
        &[
            "refused with 404 and no code",
            "refused with 404 and inexistent_client",
            "refused with 404 and no code",
        ],
    ),
    ("20-error-409", &["refused with 409 and custom_domain_conflict"]),
    (
        "21-error-400",
        &[
            "refused with 400 and no code",
            "refused with 400 and invalid_body",
            "refused with 400 and invalid_uri",
        ],
    ),
    (
        "22-error-403",
        &[
            "refused with 403 and insufficient_entitlement",
            "refused with 403 and insufficient_scope",
            "refused with 403 and insufficient_scope",
        ],
    ),
    ("23-action-modules", &["(a module)", "(a module)", "1 versions", "0 versions", "(a module)"]),
    (
        "24-prompts",
        &[
            "experience \"new\", identifier_first false, webauthn_platform_first_factor true",
            "experience \"new\", identifier_first false, webauthn_platform_first_factor true",
            "experience \"classic\", identifier_first false, webauthn_platform_first_factor false",
            "experience \"new\", identifier_first true, webauthn_platform_first_factor false",
        ],
    ),
    (
        "25-tenant-settings",
        &["enabled true", "enabled true", "flag absent, probe refused by the flag: enabled true"],
    ),
];

/// One recorded exchange.
struct Exchange {
    method: Method,
    /// Without its query.
    path: String,
    sent: Json,
    status: u16,
    reply: Json,
}

fn folder() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    shared.exists().then(|| shared.join("facts/auth0-examples"))
}

fn load(path: &Path) -> Vec<Exchange> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Json = serde_json::from_str(&text).expect("a recording is JSON");
    let exchanges = file["exchanges"].as_array().expect("a recording has exchanges");
    exchanges
        .iter()
        .map(|exchange| {
            let request = &exchange["request"];
            let path = request["path"].as_str().unwrap_or_default();
            Exchange {
                method: request["method"].as_str().and_then(Method::parse).expect("a method"),
                path: path.split('?').next().unwrap_or_default().to_owned(),
                sent: request["body"].clone(),
                status: exchange["response"]["status"]
                    .as_u64()
                    .and_then(|s| s.try_into().ok())
                    .expect("a status"),
                reply: exchange["response"]["body"].clone(),
            }
        })
        .collect()
}

/// Answers each call with the reply that was recorded for it, and a request for a token with a token.
struct Recorded(BTreeMap<(Method, String), (u16, Json)>);

impl Simulator for Recorded {
    fn handle(&mut self, request: &ApiRequest, _: u64) -> Handled {
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        let token = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 86_400 });
        let (status, body) = match self.0.get(&(request.method, path.clone())) {
            _ if path == "/oauth/token" => (200, token),
            Some((status, body)) => (*status, body.clone()),
            None => panic!("{} {path} was not recorded", request.method),
        };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = vec![("content-type".into(), "application/json; charset=utf-8".into())];
        Handled { answer: Answer::Reply(ApiReply { status, headers, body }), delay_ms: 10, operation: None }
    }
}

/// Runs a task against recorded replies.
fn against<T, F>(replies: &[(Method, &str, u16, &Json)], make: impl FnOnce(Port) -> F) -> T
where
    T: 'static,
    F: std::future::Future<Output = T> + 'static,
{
    let replies = replies
        .iter()
        .map(|(method, path, status, body)| ((*method, (*path).to_owned()), (*status, (*body).clone())))
        .collect();
    let mut stack = Stack::new(options(), "");
    stack.in_process = InProcess::new(Rc::new(RefCell::new(Recorded(replies))), START_MS);
    stack.process(Stop::default(), make).expect("not killed")
}

const SELECTED: &str = "/api/v2/guardian/factors/phone/selected-provider";

/// What a settings kind sees in a recorded read.
fn observed(kind: &'static str, address: &'static str, exchange: &Exchange, probe: (u16, &Json)) -> Seen {
    // A tenant refuses either all legacy calls or none.
    let replies = [
        (Method::Get, "/api/v2/guardian/factors/phone/templates", probe.0, probe.1),
        (Method::Get, exchange.path.as_str(), exchange.status, &exchange.reply),
        (Method::Get, SELECTED, probe.0, probe.1),
    ];
    against(&replies, |port| async move {
        let manifest = valid(FULL, &[]);
        let hint = Hint {
            address: &address.into(),
            want: None,
            entry: None,
            record: None,
            intent: None,
            has_ledger: true,
            ledger_in_tenant: true,
            stack: "acme-full",
            manifest: &manifest,
        };
        kinds::by_name(kind).expect("a kind").observe(hint, &port.reader()).await.expect("read")
    })
}

/// What a settings kind sees in the recorded reply to its own write.
fn written(kind: &'static str, address: &'static str, values: Json, exchange: &Exchange) -> Seen {
    // Replies to what an exposing step reads right before it writes.
    let provider = json!({ "providers": [{ "id": "pro_1", "name": "custom", "disabled": false,
        "configuration": { "delivery_methods": ["text", "voice"] } }] });
    let factors = json!([{ "name": "otp", "enabled": true }]);
    let settings = json!({ "flags": {}, "phone_consolidated_experience": true });
    let action = json!({ "id": "a-1", "name": "sends", "supported_triggers": [{ "id": "custom-phone-provider" }],
        "deployed_version": { "id": "v-1", "code": "", "secrets": [] } });
    let bindings = json!({ "bindings": [{ "id": "b-1", "display_name": "sends", "action": action }] });
    let actions = json!({ "actions": [action] });
    let replies = [
        (Method::Get, "/api/v2/tenants/settings", 200, &settings),
        (Method::Get, "/api/v2/actions/actions", 200, &actions),
        (Method::Get, "/api/v2/actions/triggers/custom-phone-provider/bindings", 200, &bindings),
        (Method::Get, "/api/v2/branding/phone/providers", 200, &provider),
        (Method::Get, "/api/v2/guardian/factors", 200, &factors),
        (Method::Get, "/api/v2/guardian/policies", 200, &json!([])),
        (Method::Get, "/v2/Services", 200, &json!({ "services": [] })),
        (exchange.method, exchange.path.as_str(), exchange.status, &exchange.reply),
    ];
    against(&replies, |port| async move {
        let manifest = valid(FULL, &[]);
        let op = Op::default().writing(values.as_object().cloned().unwrap_or_default());
        let step = kinds::step(&address.into(), kind, Verb::Update, Stage::Tenant, "set", op);
        let run = Run {
            address: &address.into(),
            step: &step,
            desired: &Attrs::new(),
            seen: &Seen::default(),
            entry: None,
            ids: &BTreeMap::new(),
            manifest: &manifest,
            intent: None,
        };
        let kind = kinds::by_name(kind).expect("a kind");
        kind.run(run, &mut port.writer()).await.expect("written").seen
    })
}

/// The engine's words for a refusal.
fn refusal(exchange: &Exchange) -> String {
    let replies = [(exchange.method, exchange.path.as_str(), exchange.status, &exchange.reply)];
    let (method, path, sent) = (exchange.method, exchange.path.clone(), exchange.sent.clone());
    let result: Result<Json, Failed> = against(&replies, move |port| async move {
        match method {
            Method::Get => {
                let get = Get { api: Api::Auth0, path, paging: Paging::Whole };
                port.reader().get(&get).await.map(|json| (*json).clone())
            }
            _ => port.writer().json(method, path, sent, Repeat::NeverBlind).await,
        }
    });
    let failed = result.expect_err("a refusal");
    let Some(status) = failed.status() else { return format!("not a refusal: {failed}") };
    format!("refused with {status} and {}", failed.code().unwrap_or("no code"))
}

fn words(seen: &Seen) -> String {
    let words: Vec<String> =
        seen.attrs.iter().map(|(key, value)| format!("{key} {}", value.shown())).collect();
    words.join(", ")
}

fn text<'a>(seen: &'a Seen, key: &str) -> &'a str {
    seen.attrs.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn items(seen: &Seen, key: &str) -> String {
    let list = seen.attrs.get(key).and_then(Value::known).and_then(Json::as_array);
    let items: Vec<&str> = list.into_iter().flatten().filter_map(Json::as_str).collect();
    items.join(" ")
}

/// Names below a prefix.
fn below(seen: &Seen, prefix: &str) -> Vec<String> {
    seen.attrs.keys().filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect()
}

fn action_words(seen: &Seen) -> String {
    let version =
        action::live_version(seen).unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
    let deployed = seen.attrs.get("deployed") == Some(&Value::Known(json!(true)));
    let state = match (deployed, version.is_empty()) {
        (true, _) => format!("deployed {version}"),
        (false, true) => format!("draft {}", action::status(seen)),
        (false, false) => format!("draft {} beside {version}", action::status(seen)),
    };
    let mut words = vec![format!("{}: {state}", text(seen, "name")), text(seen, "runtime").to_owned()];
    words.extend(
        below(seen, "dependencies.")
            .iter()
            .map(|name| format!("{name} {}", text(seen, &format!("dependencies.{name}")))),
    );
    let secrets: Vec<String> = below(seen, "secrets.")
        .iter()
        .map(|name| {
            let Some(Value::Stamp(mark)) = seen.attrs.get(&format!("secrets.{name}")) else {
                return format!("{name} (readable?)");
            };
            match (&mark["draft"], &mark["live"]) {
                (_, Json::Null) => format!("{name} (draft only)"),
                (draft, live) if draft == live => name.clone(),
                _ => format!("{name} (rewritten)"),
            }
        })
        .collect();
    if !secrets.is_empty() {
        words.push(format!("secrets {}", secrets.join(", ")));
    }
    words.join(", ")
}

fn stream_words(seen: &Seen) -> String {
    let mut words =
        format!("{} {} {}", text(seen, "status"), text(seen, "content_format"), text(seen, "content_type"));
    if matches!(seen.attrs.get("authorization"), Some(Value::Secret(_))) {
        words += ", with authorization";
    }
    let headers = below(seen, "custom_headers.");
    if !headers.is_empty() {
        words += &format!(", headers {}", headers.join(" "));
    }
    if !items(seen, "filters").is_empty() {
        words += &format!(", filters {}", items(seen, "filters"));
    }
    if seen.attrs.contains_key("pii_config.log_fields") {
        let [method, algorithm] = ["method", "algorithm"].map(|key| text(seen, &format!("pii_config.{key}")));
        words += &format!(", masks {} by {method} {algorithm}", items(seen, "pii_config.log_fields"));
    }
    words
}

fn provider_words(seen: &Seen) -> String {
    let on = seen.attrs.get("disabled") == Some(&Value::Known(json!(false)));
    format!("{} {} by {}", text(seen, "name"), if on { "on" } else { "off" }, items(seen, "delivery_methods"))
}

/// What the recorded list says about the trigger that our Action names.
fn trigger_words(row: &action::Action, reply: &Json) -> String {
    let triggers = reply["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = |one: &&Json| one["id"] == row.trigger.id && one["version"] == row.trigger.version;
    let Some(one) = triggers.iter().find(ours) else { return format!("{}: not in the list", row.trigger.id) };
    let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
    format!(
        "{} {} {} {} {}",
        row.trigger.id,
        row.trigger.version,
        word("status"),
        word("default_runtime"),
        word("binding_policy")
    )
}

fn or_none(words: Vec<String>) -> String {
    if words.is_empty() { "(none)".into() } else { words.join("; ") }
}

/// What the reader of that call makes of an exchange, in words.
fn read(exchange: &Exchange) -> String {
    let Exchange { method, path, sent, status, reply } = exchange;
    if *status >= 400 {
        return refusal(exchange);
    }
    if *method == Method::Delete {
        return if *status == 204 && reply.is_null() {
            "deleted".into()
        } else {
            format!("{status} {reply}")
        };
    }
    let path = path.strip_prefix("/api/v2/").unwrap_or(path);
    let is_read = *method == Method::Get;
    let unused = Json::Null;
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["actions", "actions", _, "deploy"] => {
            format!(
                "version {}",
                reply["id"].as_str().unwrap_or_default().split('-').next().unwrap_or_default()
            )
        }
        ["actions", "actions"] if is_read => or_none(
            action::items(reply)
                .expect("a list")
                .iter()
                .map(|item| action_words(&action::parse(item)))
                .collect(),
        ),
        ["actions", "actions", ..] => action_words(&action::parse(reply)),
        ["actions", "triggers", _, "bindings"] => or_none(
            trigger_binding::parse(reply)
                .expect("a list")
                .into_iter()
                .map(|bound| {
                    if bound.action_name == bound.display_name {
                        bound.action_name
                    } else {
                        format!("{} as {}", bound.action_name, bound.display_name)
                    }
                })
                .collect(),
        ),
        ["guardian", "factors"] => {
            const NAMES: [(&str, &str); 8] = [
                ("phone", "mfa_factor.phone"),
                ("otp", "mfa_factor.otp"),
                ("email", "mfa_factor.email"),
                ("push_notification", "mfa_factor.push_notification"),
                ("webauthn_roaming", "mfa_factor.webauthn_roaming"),
                ("webauthn_platform", "mfa_factor.webauthn_platform"),
                ("recovery_code", "mfa_factor.recovery_code"),
                ("duo", "mfa_factor.duo"),
            ];
            let factors = NAMES.map(|(name, address)| {
                let seen = observed("mfa_factor", address, exchange, (404, &unused));
                match seen.attrs.get("enabled").and_then(Value::known) {
                    Some(Json::Bool(true)) => format!("{name} on"),
                    Some(Json::Bool(false)) => format!("{name} off"),
                    other => format!("{name} {other:?}"),
                }
            });
            factors.join(", ")
        }
        ["guardian", "factors", "sms"] => {
            words(&written("mfa_factor", "mfa_factor.phone", sent.clone(), exchange))
        }
        ["guardian", "factors", "phone", "message-types"] => {
            let kind = "phone_message_types";
            words(&if is_read {
                observed(kind, kind, exchange, (404, &unused))
            } else {
                written(kind, kind, sent.clone(), exchange)
            })
        }
        ["guardian", "factors", "phone", "selected-provider"] if is_read => {
            let settings = Exchange {
                method: Method::Get,
                path: "/api/v2/tenants/settings".into(),
                sent: Json::Null,
                status: 200,
                reply: json!({}),
            };
            let seen = observed("unified_phone", "unified_phone", &settings, (*status, reply));
            let kind = "phone_selected_provider";
            let itself = words(&observed(kind, kind, exchange, (*status, reply)));
            format!("{itself}; as a probe, with the flag absent: {}", words(&seen))
        }
        ["guardian", "factors", "phone", "selected-provider"] => {
            words(&written("phone_selected_provider", "phone_selected_provider", sent.clone(), exchange))
        }
        ["guardian", "factors", "sms", "providers", "twilio"] => "(settings of another provider)".into(),
        // `sms` is an older name of the same object.
        ["guardian", "factors", "sms", "templates"] => {
            let path = "/api/v2/guardian/factors/phone/templates".to_owned();
            let (method, sent, status, reply) = (*method, sent.clone(), *status, reply.clone());
            let exchange = Exchange { method, path, sent, status, reply };
            let kind = "phone_legacy_templates";
            words(&if is_read {
                observed(kind, kind, &exchange, (404, &unused))
            } else {
                written(kind, kind, exchange.sent.clone(), &exchange)
            })
        }
        ["actions", "triggers"] => or_none(
            [&action::PHONE, &action::LEGACY, &action::POST_LOGIN]
                .map(|row| trigger_words(row, reply))
                .to_vec(),
        ),
        // Modules are not managed. Their lists page in another style, with zeros, which the reader accepts too.
        ["actions", "modules", _, "versions"] if is_read => {
            let get = Get {
                api: Api::Auth0,
                path: format!("/api/v2/{path}"),
                paging: Paging::Offset { key: "versions", per_page: 50 },
            };
            let replies = [(Method::Get, exchange.path.as_str(), *status, reply)];
            let list =
                against(&replies, |port| async move { port.reader().fresh(&get).await }).expect("read");
            format!("{} versions", list["versions"].as_array().map_or(0, Vec::len))
        }
        ["actions", "modules", ..] => "(a module)".into(),
        ["guardian", "policies"] => {
            let policy = if *sent == json!(["all-applications"]) { "always" } else { "never" };
            words(&if is_read {
                observed("mfa_policy", "mfa_policy", exchange, (404, &unused))
            } else {
                written("mfa_policy", "mfa_policy", json!({ "policy": policy }), exchange)
            })
        }
        ["log-streams", ..] => stream_words(&log_stream::parse(reply)),
        ["branding", "phone", "providers"] if is_read => {
            let list = reply["providers"].as_array().cloned().unwrap_or_default();
            or_none(list.iter().map(|item| provider_words(&phone_provider::parse(item))).collect())
        }
        ["branding", "phone", "templates", ..] => {
            let seen = phone_template::parse(reply);
            let on = seen.attrs.get("disabled") == Some(&Value::Known(json!(false)));
            let [from, words, voice] = ["from", "text", "voice"].map(|key| text(&seen, key));
            let kind = reply["type"].as_str().unwrap_or("-");
            let state = if on { "on" } else { "off" };
            format!("{kind} {state}, from {from}, text {words:?}, voice {voice:?}")
        }
        ["branding", "phone", "providers", ..] => provider_words(&phone_provider::parse(reply)),
        ["prompts"] => {
            let values = json!({ "identifier_first": sent["identifier_first"] });
            words(&if is_read {
                observed("universal_login", "universal_login", exchange, (404, &unused))
            } else {
                written("universal_login", "universal_login", values, exchange)
            })
        }
        ["tenants", "settings"] if is_read => {
            let refused =
                json!({ "statusCode": 403, "error": "Forbidden", "message": "no longer available" });
            let seen = observed("unified_phone", "unified_phone", exchange, (403, &refused));
            let absent = reply.get("phone_consolidated_experience").is_none();
            let gone = observed("unified_phone", "unified_phone", exchange, (404, &refused));
            assert_eq!(gone.attrs, seen.attrs, "a probe that finds nothing says the same");
            let how = if absent { "flag absent, probe refused by the flag: " } else { "" };
            format!("{how}{}", words(&seen))
        }
        ["tenants", "settings"] => {
            words(&written("unified_phone", "unified_phone", json!({ "enabled": true }), exchange))
        }
        other => panic!("no reader for {method} {other:?}"),
    }
}

#[test]
fn recorded_replies_are_read() {
    let Some(folder) = folder() else {
        println!("no recordings at hand, nothing read");
        return;
    };
    let (mut files, mut exchanges, mut failures) = (0, 0, Vec::new());
    for (name, expected) in EXPECTED {
        let recorded = load(&folder.join(format!("{name}.json")));
        let words: Vec<String> = recorded.iter().map(read).collect();
        (files, exchanges) = (files + 1, exchanges + recorded.len());
        if words != *expected {
            failures.push(format!("{name}:\n  read     {words:#?}\n  expected {expected:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(files, 25);
    let there = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(there, files, "a recording is not read");
    println!("{files} files with {exchanges} exchanges read");
}

/// A reply of another endpoint's shape is not mistaken for an empty setting.
#[test]
fn a_reply_of_another_shape_is_not_believed() {
    let envelope = json!({ "statusCode": 200, "error": "Internal", "message": "try again" });
    for (kind, path, replies) in [
        ("branding", "/api/v2/branding", vec![json!([]), json!("ok"), envelope.clone()]),
        (
            "phone_provider_protection",
            "/api/v2/attack-protection/phone-provider-protection",
            vec![json!([]), envelope.clone()],
        ),
        (
            "phone_template.otp_verify",
            "/api/v2/branding/phone/templates",
            vec![
                json!({}),
                json!({ "templates": null }),
                json!({ "templates": ["otp_verify"] }),
                json!([]),
                envelope,
            ],
        ),
        (
            "log_stream.siem",
            "/api/v2/log-streams",
            vec![json!({}), json!({ "streams": [] }), json!(["lst_1"])],
        ),
    ] {
        for reply in replies {
            let shown = format!("{kind}: {reply}");
            let failed = against(&[(Method::Get, path, 200, &reply)], |port| async move {
                let manifest = valid(FULL, &[]);
                let hint = Hint {
                    address: &kind.into(),
                    want: None,
                    entry: None,
                    intent: None,
                    record: None,
                    has_ledger: true,
                    ledger_in_tenant: true,
                    stack: "acme-full",
                    manifest: &manifest,
                };
                let name = kind.split('.').next().unwrap_or_default();
                kinds::by_name(name).expect("a kind").observe(hint, &port.reader()).await
            });
            assert!(matches!(failed, Err(Failed::Misread(_))), "{shown}: {failed:?}");
        }
    }
}

/// The version of a recorded deployment is the one that the next read shows as deployed.
#[test]
fn a_recorded_deployment_is_the_live_version() {
    let Some(folder) = folder() else { return };
    let [deploy, read] =
        load(&folder.join("04-action-deploy.json")).try_into().unwrap_or_else(|_| panic!("two"));
    assert_eq!(deploy.reply["deployed"], json!(false), "at that instant");
    let seen = action::parse(&read.reply);
    assert_eq!(action::live_version(&seen).as_deref(), deploy.reply["id"].as_str());
    assert!(deploy.reply["id"].is_string(), "a version");
    assert_eq!(seen.ids.get("id").map(String::as_str), Some(ACTION));
}

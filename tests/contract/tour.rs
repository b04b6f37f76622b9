//! Tests of the simulator by itself. Every call that it serves is made once correctly and compared, and is made again
//! in every way that the contract forbids. A simulator that accepts a forbidden request is kinder than the API, and
//! what is tested with it fails in the field.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use lockstep::twin::wire::percent_encode;
use lockstep::twin::world::{Connection, VerifyTemplate};
use lockstep::twin::{Flag, Options, Twin, operations};
use serde_json::{Map, Value as Json, json};

use super::calls::{Contract, Tally};
use crate::support::{ACCOUNT, DOMAIN, START_MS, options};

/// A tenant on which the calls of the older phone experience work.
const LEGACY: &str = "acme-old.eu.auth0.com";
const FORM: &str = "application/x-www-form-urlencoded";

struct Tour {
    contract: Contract,
    tally: Tally,
    twin: Twin,
    now_ms: u64,
    domain: &'static str,
    tokens: BTreeMap<&'static str, String>,
    /// Wrong requests that were refused.
    refused: usize,
    /// Calls for which damage to a reply would not be noticed.
    blind: BTreeSet<String>,
    /// Damaged replies that were noticed.
    noticed: usize,
    /// Wrong requests that were accepted.
    taken: BTreeSet<String>,
    /// Entries of the list of leniencies that were needed.
    needed: BTreeSet<usize>,
}

/// The result of a tour.
pub struct Toured {
    pub tally: Tally,
    pub refused: usize,
    pub noticed: usize,
}

impl Toured {
    /// Prints the numbers, and panics if there are mismatches.
    pub fn demand_agreement(&self, whose: &str) {
        println!(
            "{whose}'s simulator: {}; {} wrong requests were refused, {} damaged replies noticed",
            self.tally.line(),
            self.refused,
            self.noticed
        );
        self.tally.demand_agreement();
        assert!(self.refused > 400 && self.noticed > 1_000, "too few to mean something");
    }
}

impl Tour {
    fn new(contract: Contract) -> Tour {
        let mut twin = Twin::new(options(), 7);
        twin.tenant_mut(DOMAIN).adaptive_mfa = true;
        twin.world.account_mut(ACCOUNT).verify_templates.push(VerifyTemplate {
            sid: format!("HJ{}", "0".repeat(32)),
            friendly_name: "Codes".into(),
            channels: vec!["sms".into()],
            translations: json!({}),
        });
        Tour {
            contract,
            tally: Tally::default(),
            twin,
            now_ms: START_MS,
            domain: DOMAIN,
            tokens: BTreeMap::new(),
            refused: 0,
            blind: BTreeSet::new(),
            noticed: 0,
            taken: BTreeSet::new(),
            needed: BTreeSet::new(),
        }
    }

    /// Makes a correct request, after every wrong variant of it. Returns the body of the reply.
    fn ask(&mut self, request: &ApiRequest) -> Json {
        self.now_ms += 60_000;
        for (what, wrong) in spoilt(request) {
            let (name, findings) = self.contract.request_findings(&wrong);
            // Only forbidden variants matter here.
            let Some(finding) = findings.first() else { continue };
            let mut twin = self.twin.clone();
            let answer = twin.handle(&wrong, self.now_ms).answer;
            let Answer::Reply(reply) = &answer else { panic!("no reply") };
            if (400..500).contains(&reply.status) {
                self.refused += 1;
                if name == self.contract.request_findings(request).0 {
                    self.contract.reply(&wrong, &answer, &mut self.tally);
                }
            } else if let Some(at) = self.contract.lenient(&name, &finding.place) {
                self.needed.insert(at);
            } else {
                self.taken.insert(format!("{name}: {what} (`{}` {})", finding.place, finding.what));
            }
        }
        let answer = self.twin.handle(request, self.now_ms).answer;
        self.contract.exchange(request, &answer, &mut self.tally);
        self.damage(request, &answer);
        match answer {
            Answer::Reply(reply) => {
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                assert!((200..300).contains(&reply.status), "{request:?}: {} {body}", reply.status);
                serde_json::from_str(&body).unwrap_or(Json::Null)
            }
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// Damages a correct reply in every way, and counts what is noticed.
    fn damage(&mut self, request: &ApiRequest, answer: &Answer) {
        let Answer::Reply(reply) = answer else { return };
        let Ok(body) = serde_json::from_slice::<Json>(&reply.body) else { return };
        let before = self.noticed;
        for (_, body) in spoilt_json(&body, "") {
            let damaged = ApiReply { body: body.to_string().into_bytes(), ..reply.clone() };
            let mut tally = Tally::default();
            self.contract.reply(request, &Answer::Reply(damaged), &mut tally);
            self.noticed += usize::from(!tally.findings.is_empty());
        }
        if self.noticed == before {
            self.blind.insert(self.contract.request_findings(request).0);
        }
    }

    fn auth0(&mut self, method: Method, path: &str, body: Json) -> Json {
        let mut headers = vec![("authorization".to_owned(), self.authorization())];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        if !body.is_empty() {
            headers.push(("content-type".into(), "application/json".into()));
        }
        let path = format!("/api/v2{path}");
        self.ask(&ApiRequest { host: self.domain.into(), method, path, headers, body })
    }

    fn get(&mut self, path: &str) -> Json {
        self.auth0(Method::Get, path, Json::Null)
    }

    fn authorization(&mut self) -> String {
        if let Some(token) = self.tokens.get(self.domain) {
            return token.clone();
        }
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", "id"),
            ("client_secret", "secret"),
            ("audience", &format!("https://{}/api/v2/", self.domain)),
        ];
        let reply = self.ask(&ApiRequest {
            host: self.domain.into(),
            method: Method::Post,
            path: "/oauth/token".into(),
            headers: vec![("content-type".into(), FORM.into())],
            body: form(&pairs),
        });
        let token = format!("Bearer {}", reply["access_token"].as_str().expect("a token"));
        self.tokens.insert(self.domain, token.clone());
        token
    }

    /// Makes a call to Twilio; `url` begins with the host.
    fn twilio(&mut self, method: Method, url: &str, pairs: &[(&str, &str)]) -> Json {
        let kind = if pairs.is_empty() { "" } else { FORM };
        self.twilio_raw(method, url, kind, form(pairs))
    }

    fn twilio_raw(&mut self, method: Method, url: &str, kind: &str, body: Vec<u8>) -> Json {
        let (host, path) = url.split_once('/').expect("a host and a path");
        let mut headers = vec![(
            "authorization".to_owned(),
            format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:secret"))),
        )];
        if !kind.is_empty() {
            headers.push(("content-type".into(), kind.into()));
        }
        self.ask(&ApiRequest { host: host.into(), method, path: format!("/{path}"), headers, body })
    }

    /// Ends the tour: checks that every call which the simulator serves on these hosts was made with success.
    fn end(self, is_ours: impl Fn(&str) -> bool) -> Toured {
        let served: BTreeSet<&str> = self
            .twin
            .log()
            .iter()
            .filter(|entry| entry.served_status.is_some_and(|status| status < 300))
            .map(|entry| entry.operation)
            .collect();
        let missing: Vec<&str> = operations()
            .into_iter()
            .filter(|(name, _, path)| is_ours(path) && !served.contains(name))
            .map(|(name, ..)| name)
            .collect();
        assert!(
            missing.is_empty(),
            "add a call of each of {missing:?} to tests/contract/tour.rs, and its entry to tests/contract/auth0.yaml"
        );
        let taken: Vec<String> = self.taken.into_iter().collect();
        assert!(
            taken.is_empty(),
            "the simulator took {} wrong requests; either it has to refuse them, or tests/contract/auth0.yaml has to allow them:\n{}",
            taken.len(),
            taken.join("\n")
        );
        let idle = self.contract.lenient.iter().enumerate().filter(|(at, _)| !self.needed.contains(at));
        let idle: Vec<String> = idle.map(|(_, one)| format!("{} {}", one.call, one.place)).collect();
        assert!(idle.is_empty(), "leniencies that are none: {idle:?}");
        assert!(self.blind.is_empty(), "nothing is known of the replies of {:?}", self.blind);
        Toured { tally: self.tally, refused: self.refused, noticed: self.noticed }
    }
}

fn form(pairs: &[(&str, &str)]) -> Vec<u8> {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
    pairs.join("&").into_bytes()
}

/// Wrong variants of a request, each with a description.
fn spoilt(request: &ApiRequest) -> Vec<(String, ApiRequest)> {
    let mut out = Vec::new();
    let separator = if request.path.contains('?') { '&' } else { '?' };
    let mut with_path = |what: &str, path: String| {
        out.push((what.to_owned(), ApiRequest { path, ..request.clone() }));
    };
    with_path("an unknown query parameter", format!("{}{separator}Nonsense=1", request.path));
    let (path, query) = request.path.split_once('?').map_or((request.path.as_str(), ""), |split| split);
    for (at, pair) in query.split('&').enumerate().filter(|(_, pair)| !pair.is_empty()) {
        let pairs: Vec<&str> = query.split('&').collect();
        let name = pair.split('=').next().unwrap_or_default();
        let without = [&pairs[..at], &pairs[at + 1..]].concat().join("&");
        with_path(&format!("without {name}"), format!("{path}?{without}"));
        with_path(&format!("a strange {name}"), format!("{path}?{without}&{name}=%C3%A9-1"));
    }
    let kind = request.header("content-type").unwrap_or_default().to_owned();
    let with_body = |body: Vec<u8>, kind: &str| {
        let mut headers = request.headers.clone();
        headers.retain(|(name, _)| name != "content-type");
        headers.push(("content-type".into(), kind.into()));
        ApiRequest { headers, body, ..request.clone() }
    };
    if request.body.is_empty() {
        return out;
    }
    out.push(("no body".into(), ApiRequest { body: Vec::new(), ..request.clone() }));
    out.push(("another content type".into(), with_body(request.body.clone(), "text/plain")));
    if kind == "application/json" {
        let body: Json = serde_json::from_slice(&request.body).expect("own body");
        for (what, body) in spoilt_json(&body, "") {
            out.push((what, with_body(body.to_string().into_bytes(), &kind)));
        }
    } else if kind == FORM {
        let text = std::str::from_utf8(&request.body).expect("own body");
        let pairs: Vec<(&str, &str)> =
            text.split('&').map(|pair| pair.split_once('=').expect("own body")).collect();
        let mut changed = |what: String, pairs: &[(&str, &str)]| {
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            out.push((what, with_body(pairs.join("&").into_bytes(), &kind)));
        };
        changed("an unknown field".into(), &[pairs.as_slice(), &[("Nonsense", "1")]].concat());
        for (at, (name, _)) in pairs.iter().enumerate() {
            let mut rest = pairs.clone();
            rest.remove(at);
            changed(format!("without {name}"), &rest);
            let long = "x".repeat(200_000);
            for value in ["", "nonsense", "-1", "99999999", "true", "%7B%7D", &long] {
                let mut other = pairs.clone();
                other[at].1 = value;
                changed(format!("{name}={}", &value[..value.len().min(20)]), &other);
            }
        }
    }
    out
}

/// Wrong variants of a JSON value: with added or missing keys, with values of other types or out of bounds.
fn spoilt_json(value: &Json, place: &str) -> Vec<(String, Json)> {
    let others = [
        json!(null),
        json!(7),
        json!(true),
        json!("nonsense"),
        json!([]),
        json!({}),
        json!([7]),
        json!("x".repeat(200_000)),
        json!(""),
    ];
    let told = |other: &Json| other.to_string().chars().take(20).collect::<String>();
    let mut out: Vec<(String, Json)> =
        others.iter().map(|other| (format!("{place} is {}", told(other)), other.clone())).collect();
    match value {
        Json::Object(map) => {
            let mut more = map.clone();
            more.insert("nonsense".into(), json!(1));
            out.push((format!("{place} has an unknown key"), Json::Object(more)));
            for (key, inner) in map {
                let at = format!("{place}.{key}");
                let mut less = map.clone();
                less.shift_remove(key);
                out.push((format!("without {at}"), Json::Object(less)));
                out.extend(spoilt_json(inner, &at).into_iter().map(|(what, inner)| {
                    let mut map: Map<String, Json> = map.clone();
                    map.insert(key.clone(), inner);
                    (what, Json::Object(map))
                }));
            }
        }
        Json::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                let at = format!("{place}[{index}]");
                out.extend(spoilt_json(inner, &at).into_iter().map(|(what, inner)| {
                    let mut items = items.clone();
                    items[index] = inner;
                    (what, Json::Array(items))
                }));
            }
            out.push((
                format!("{place} has too many"),
                Json::Array(items.iter().cycle().take(200).cloned().collect()),
            ));
        }
        _ => {}
    }
    out
}

/// Makes every call that the simulator serves for Auth0.
pub fn of_auth0(contract: Contract) -> Toured {
    let mut tour = Tour::new(contract);
    actions(&mut tour);
    phone(&mut tour);
    guardian(&mut tour);
    around(&mut tour);
    tour.domain = LEGACY;
    tour.twin.options = Options { unified_flag: Flag::Off, ..options() };
    for twins in ["phone", "sms"] {
        let below = format!("/guardian/factors/{twins}");
        tour.auth0(
            Method::Put,
            &format!("{below}/selected-provider"),
            json!({"provider": "phone-message-hook"}),
        );
        tour.get(&format!("{below}/selected-provider"));
        let twilio =
            json!({"from": "+15550100", "messaging_service_sid": null, "auth_token": "t", "sid": "AC1"});
        tour.auth0(Method::Put, &format!("{below}/providers/twilio"), twilio);
        tour.get(&format!("{below}/providers/twilio"));
        let texts = json!({"enrollment_message": "{{code}}", "verification_message": "{{code}}"});
        tour.auth0(Method::Put, &format!("{below}/templates"), texts);
        tour.get(&format!("{below}/templates"));
    }
    tour.end(|path| path.starts_with('/'))
}

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}")).to_owned()
}

fn actions(tour: &mut Tour) {
    let body = json!({"name": "Phone", "supported_triggers": [{"id": "custom-phone-provider", "version": "v1"}],
        "code": "exports.x = 1;", "dependencies": [{"name": "twilio", "version": "6.2.0"}], "runtime": "node22",
        "secrets": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
    let id = text(&tour.auth0(Method::Post, "/actions/actions", body), "id");
    let one = format!("/actions/actions/{id}");
    let patch = json!({"name": "Phone two", "code": "exports.x = 2;", "runtime": "node18-actions",
        "secrets": [{"name": "A", "value": "3"}], "dependencies": [], "modules": []});
    tour.auth0(Method::Patch, &one, patch);
    tour.get(&one);
    let version = tour.auth0(Method::Post, &format!("{one}/deploy"), Json::Null);
    tour.get(&format!("{one}/versions?page=0&per_page=50"));
    let version = format!("{one}/versions/{}", text(&version, "id"));
    tour.get(&version);
    tour.auth0(Method::Post, &format!("{version}/deploy"), json!({"update_draft": true}));
    tour.get(
        "/actions/actions?triggerId=custom-phone-provider&deployed=true&installed=false&page=0&per_page=100",
    );
    tour.get("/actions/actions?actionName=nobody&page=1");
    tour.get("/actions/triggers");
    let bindings = "/actions/triggers/custom-phone-provider/bindings";
    let body = json!({"bindings": [{"ref": {"type": "action_id", "value": id}, "display_name": "Send"}]});
    tour.auth0(Method::Patch, bindings, body);
    tour.get(&format!("{bindings}?page=0&per_page=100"));
    tour.get(&one);
    let other = json!({"name": "Other", "supported_triggers": [{"id": "post-login", "version": "v3"}]});
    let other = text(&tour.auth0(Method::Post, "/actions/actions", other), "id");
    tour.auth0(Method::Delete, &format!("/actions/actions/{other}?force=true"), Json::Null);
}

fn phone(tour: &mut Tour) {
    let providers = "/branding/phone/providers";
    let body = json!({"name": "custom", "disabled": false, "configuration": {"delivery_methods": ["text", "voice"]},
        "credentials": {}});
    let id = text(&tour.auth0(Method::Post, providers, body), "id");
    let one = format!("{providers}/{id}");
    let patch = json!({"name": "twilio", "disabled": false, "credentials": {"auth_token": "t"},
        "configuration": {"sid": "AC1", "default_from": "+15550100", "delivery_methods": ["text"]}});
    tour.auth0(Method::Patch, &one, patch);
    tour.get(&one);
    tour.get(&format!("{providers}?disabled=false"));
    tour.auth0(Method::Post, &format!("{one}/try"), json!({"to": "+15550100", "delivery_method": "text"}));
    tour.auth0(Method::Delete, &one, Json::Null);
    let body = json!({"name": "twilio", "credentials": {"auth_token": "t"},
        "configuration": {"sid": "AC1", "mssid": "MG1", "delivery_methods": ["text", "voice"]}});
    tour.auth0(Method::Post, providers, body);
    let templates = "/branding/phone/templates";
    tour.get(&format!("{templates}?disabled=false"));
    let content =
        json!({"syntax": "liquid", "from": "+15550100", "body": {"text": "@{code}", "voice": "@{code}"}});
    let body = json!({"type": "otp_verify", "disabled": false, "content": content});
    let one = format!("{templates}/{}", text(&tour.auth0(Method::Post, templates, body), "id"));
    let content = json!({"from": "+15550101", "body": {"text": "Code @{code}"}});
    tour.auth0(Method::Patch, &one, json!({"disabled": true, "content": content}));
    tour.get(&one);
    tour.get(templates);
    tour.auth0(Method::Patch, &format!("{one}/reset"), json!({}));
    tour.auth0(Method::Delete, &one, Json::Null);
    let protection = "/attack-protection/phone-provider-protection";
    tour.auth0(Method::Patch, protection, json!({"type": "exponential"}));
    tour.get(protection);
}

fn guardian(tour: &mut Tour) {
    tour.get("/guardian/factors/phone/message-types");
    tour.auth0(Method::Put, "/guardian/factors/sms", json!({"enabled": true}));
    tour.get("/guardian/factors");
    let types = "/guardian/factors/phone/message-types";
    tour.auth0(Method::Put, types, json!({"message_types": ["sms", "voice"]}));
    tour.get(types);
    tour.auth0(Method::Put, "/guardian/policies", json!(["confidence-score"]));
    tour.get("/guardian/policies");
    tour.auth0(Method::Put, "/guardian/policies", json!([]));
}

fn around(tour: &mut Tour) {
    let sinks = [
        (
            "http",
            json!({"httpEndpoint": "https://x.example/a", "httpContentFormat": "JSONARRAY",
                "httpContentType": "application/json", "httpAuthorization": "secret",
                "httpCustomHeaders": [{"header": "X-Stack", "value": "1"}]}),
        ),
        ("eventbridge", json!({"awsAccountId": "123456789012", "awsRegion": "eu-central-1"})),
        (
            "eventgrid",
            json!({"azureSubscriptionId": "s", "azureResourceGroup": "g", "azureRegion": "westeurope"}),
        ),
        ("datadog", json!({"datadogApiKey": "k", "datadogRegion": "eu"})),
        (
            "splunk",
            json!({"splunkDomain": "d", "splunkToken": "t", "splunkPort": "8088", "splunkSecure": true}),
        ),
        ("sumo", json!({"sumoSourceAddress": "https://sumo.example"})),
        ("segment", json!({"segmentWriteKey": "k"})),
        (
            "mixpanel",
            json!({"mixpanelRegion": "us", "mixpanelProjectId": "1", "mixpanelServiceAccountUsername": "u",
                "mixpanelServiceAccountPassword": "p"}),
        ),
    ];
    let filters = json!([{"type": "category", "name": "other"}]);
    let pii = json!({"log_fields": ["email"], "method": "mask", "algorithm": "xxhash"});
    for (kind, sink) in sinks {
        let body = json!({"name": kind, "type": kind, "sink": sink, "filters": filters, "pii_config": pii,
            "isPriority": false, "startFrom": "2026-11-01T00:00:00.000Z"});
        let one = format!("/log-streams/{}", text(&tour.auth0(Method::Post, "/log-streams", body), "id"));
        let mut patch = json!({"name": "renamed", "status": "paused", "filters": [], "isPriority": true});
        if !kind.starts_with("event") {
            patch["sink"] = sink;
        }
        tour.auth0(Method::Patch, &one, patch);
        tour.get(&one);
    }
    let streams = tour.get("/log-streams");
    let one = format!("/log-streams/{}", text(&streams[0], "id"));
    tour.auth0(Method::Delete, &one, Json::Null);
    let prompts = json!({"universal_login_experience": "classic", "identifier_first": null,
        "webauthn_platform_first_factor": true});
    tour.auth0(Method::Patch, "/prompts", prompts);
    tour.get("/prompts");
    let branding = json!({"colors": {"primary": "#ff0000", "page_background": "#000000"},
        "logo_url": "https://x.example/a.png", "favicon_url": null, "font": {"url": "https://x.example/a.woff"},
        "identifiers": {"otp_autocomplete": true}});
    tour.auth0(Method::Patch, "/branding", branding);
    tour.get("/branding");
    let settings = json!({"phone_consolidated_experience": true, "customize_mfa_in_postlogin_action": false});
    tour.auth0(Method::Patch, "/tenants/settings", settings);
    tour.get("/tenants/settings");
    tour.get("/tenants/settings?fields=phone_consolidated_experience&include_fields=true");
    let client = json!({"name": "SPA", "app_type": "spa", "callbacks": ["https://x.example"],
        "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none", "oidc_conformant": true,
        "jwt_configuration": {"alg": "RS256"}});
    let client_id = text(&tour.auth0(Method::Post, "/clients", client), "client_id");
    let one = format!("/clients/{client_id}");
    tour.auth0(Method::Patch, &one, json!({"name": "SPA two", "web_origins": ["https://x.example"]}));
    tour.get(&one);
    tour.get("/clients?page=0&per_page=50&include_totals=true&app_type=spa");
    tour.get("/clients");
    tour.get("/clients?take=50&fields=client_id,name,client_metadata&include_fields=true");
    tour.twin.tenant_mut(DOMAIN).connections.push(Connection {
        id: "con_1".into(),
        name: "Users".into(),
        strategy: "auth0".into(),
        clients: Vec::new(),
        more: serde_json::Map::new(),
    });
    tour.get("/connections?strategy=auth0&page=0&per_page=50&include_totals=true");
    tour.get("/connections");
    tour.get("/connections?take=50");
    let enabled = json!([{"client_id": client_id, "status": true}]);
    tour.auth0(Method::Patch, "/connections/con_1/clients", enabled);
    tour.get("/connections/con_1/clients?take=50");
    tour.auth0(Method::Delete, &one, Json::Null);
    tour.get("/logs?q=type:gd_auth_succeed&page=0&per_page=50");
}

/// Makes every call that the simulator serves for Twilio.
pub fn of_twilio(contract: Contract) -> Toured {
    let mut tour = Tour::new(contract);
    verify(&mut tour);
    serverless(&mut tour);
    tour.twilio(Method::Get, &format!("api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json"), &[]);
    let policy = r#"{"allow":["/twilio/verify/verification/create"]}"#;
    let form =
        [("AccountSid", ACCOUNT), ("FriendlyName", "sender"), ("KeyType", "restricted"), ("Policy", policy)];
    let key = tour.twilio(Method::Post, "iam.twilio.com/v1/Keys", &form);
    let one = format!("iam.twilio.com/v1/Keys/{}", text(&key, "sid"));
    tour.twilio(Method::Get, &one, &[]);
    tour.twilio(Method::Post, &one, &[("FriendlyName", "renamed"), ("Policy", policy)]);
    tour.twilio(Method::Get, &format!("iam.twilio.com/v1/Keys?AccountSid={ACCOUNT}&PageSize=50"), &[]);
    tour.twilio(Method::Delete, &one, &[]);
    let tokens = "accounts.twilio.com/v1/AuthTokens";
    tour.twilio(Method::Post, &format!("{tokens}/Secondary"), &[]);
    tour.twilio(Method::Delete, &format!("{tokens}/Secondary"), &[]);
    tour.twilio(Method::Post, &format!("{tokens}/Secondary"), &[]);
    tour.twilio(Method::Post, &format!("{tokens}/Promote"), &[]);
    tour.end(|path| !path.starts_with('/'))
}

fn verify(tour: &mut Tour) {
    let services = "verify.twilio.com/v2/Services";
    let fields = [
        ("FriendlyName", "Acme"),
        ("CodeLength", "8"),
        ("LookupEnabled", "true"),
        ("SkipSmsToLandlines", "true"),
        ("DtmfInputRequired", "false"),
        ("TtsName", "alice"),
        ("Psd2Enabled", "false"),
        ("DoNotShareWarningEnabled", "true"),
        ("CustomCodeEnabled", "true"),
        ("Push.IncludeDate", "false"),
        ("Push.ApnCredentialSid", "CR00000000000000000000000000000001"),
        ("Push.FcmCredentialSid", "CR00000000000000000000000000000002"),
        ("Totp.Issuer", "Acme"),
        ("Totp.TimeStep", "30"),
        ("Totp.CodeLength", "6"),
        ("Totp.Skew", "1"),
        ("DefaultTemplateSid", "HJ00000000000000000000000000000000"),
        ("Whatsapp.MsgServiceSid", "MG00000000000000000000000000000001"),
        ("Whatsapp.From", "+15550100"),
        ("Passkeys.RelyingParty.Id", "acme.example"),
        ("Passkeys.RelyingParty.Name", "Acme"),
        ("Passkeys.RelyingParty.Origins", "https://acme.example,https://login.acme.example"),
        ("Passkeys.AuthenticatorAttachment", "any"),
        ("Passkeys.DiscoverableCredentials", "preferred"),
        ("Passkeys.UserVerification", "required"),
        ("VerifyEventSubscriptionEnabled", "true"),
    ];
    tour.twilio(Method::Post, services, &fields[..1]);
    let service = tour.twilio(Method::Post, services, &fields);
    let one = format!("{services}/{}", text(&service, "sid"));
    tour.twilio(Method::Post, &one, &fields);
    tour.twilio(Method::Get, &one, &[]);
    let page = tour.twilio(Method::Get, &format!("{services}?PageSize=1"), &[]);
    let next = text(&page["meta"], "next_page_url");
    tour.twilio(Method::Get, next.trim_start_matches("https://"), &[]);
    tour.twilio(Method::Get, "verify.twilio.com/v2/Templates?FriendlyName=Codes", &[]);

    let limits = format!("{one}/RateLimits");
    let limit =
        tour.twilio(Method::Post, &limits, &[("UniqueName", "per_ip"), ("Description", "per address")]);
    let limit = format!("{limits}/{}", text(&limit, "sid"));
    tour.twilio(Method::Post, &limit, &[("Description", "other")]);
    tour.twilio(Method::Get, &limit, &[]);
    tour.twilio(Method::Get, &limits, &[]);
    let buckets = format!("{limit}/Buckets");
    let bucket = tour.twilio(Method::Post, &buckets, &[("Max", "5"), ("Interval", "60")]);
    let bucket = format!("{buckets}/{}", text(&bucket, "sid"));
    tour.twilio(Method::Post, &bucket, &[("Max", "6"), ("Interval", "70")]);
    tour.twilio(Method::Get, &bucket, &[]);
    tour.twilio(Method::Get, &buckets, &[]);
    let messaging = format!("{one}/MessagingConfigurations");
    let form = [("Country", "DE"), ("MessagingServiceSid", "MG00000000000000000000000000000001")];
    tour.twilio(Method::Post, &messaging, &form);
    tour.twilio(Method::Post, &format!("{messaging}/DE"), &form[1..]);
    tour.twilio(Method::Get, &format!("{messaging}/DE"), &[]);
    tour.twilio(Method::Get, &messaging, &[]);

    let sends = format!("{one}/Verifications");
    let form = [
        ("To", "+15550100000"),
        ("Channel", "sms"),
        ("CustomCode", "123456"),
        ("RateLimits", r#"{"per_ip":"192.0.2.1"}"#),
        ("Tags", r#"{"stack":"acme"}"#),
        ("RiskCheck", "enable"),
    ];
    let sent = tour.twilio(Method::Post, &sends, &form);
    tour.twilio(Method::Get, &format!("{sends}/{}", text(&sent, "sid")), &[]);
    tour.twilio(Method::Post, &format!("{sends}/%2B15550100000"), &[("Status", "approved")]);
    let sid = text(&service, "sid");
    let to = "ChannelData.To=%2B15550100000&Channel=sms&Status=converted";
    tour.twilio(
        Method::Get,
        &format!("verify.twilio.com/v2/Attempts?VerifyServiceSid={sid}&{to}&DateCreatedAfter=2026-11-01T00:00:00Z&PageSize=20"),
        &[],
    );
    tour.twilio(
        Method::Get,
        &format!("verify.twilio.com/v2/Attempts/Summary?VerifyServiceSid={sid}&DateCreatedAfter=2026-11-01T00:00:00Z"),
        &[],
    );
    for path in [bucket, limit, format!("{messaging}/DE"), one] {
        tour.twilio(Method::Delete, &path, &[]);
    }
}

fn serverless(tour: &mut Tour) {
    let services = "serverless.twilio.com/v1/Services";
    let form = [
        ("UniqueName", "lockstep-feedback"),
        ("FriendlyName", "Feedback"),
        ("IncludeCredentials", "false"),
        ("UiEditable", "true"),
    ];
    let sid = text(&tour.twilio(Method::Post, services, &form), "sid");
    let one = format!("{services}/{sid}");
    tour.twilio(Method::Post, &one, &form[1..]);
    tour.twilio(Method::Get, &one, &[]);
    tour.twilio(Method::Get, services, &[]);
    let environments = format!("{one}/Environments");
    let form = [("UniqueName", "production"), ("DomainSuffix", "prod")];
    let environment = text(&tour.twilio(Method::Post, &environments, &form), "sid");
    let environment = format!("{environments}/{environment}");
    tour.twilio(Method::Get, &environment, &[]);
    tour.twilio(Method::Get, &environments, &[]);
    let variables = format!("{environment}/Variables");
    let form = [("Key", "SECRET"), ("Value", "secret")];
    let variable = format!("{variables}/{}", text(&tour.twilio(Method::Post, &variables, &form), "sid"));
    tour.twilio(Method::Post, &variable, &form);
    tour.twilio(Method::Get, &variable, &[]);
    tour.twilio(Method::Get, &variables, &[]);
    let functions = format!("{one}/Functions");
    let function = text(&tour.twilio(Method::Post, &functions, &[("FriendlyName", "logs")]), "sid");
    let function_url = format!("{functions}/{function}");
    tour.twilio(Method::Post, &function_url, &[("FriendlyName", "auth0-logs")]);
    tour.twilio(Method::Get, &function_url, &[]);
    tour.twilio(Method::Get, &functions, &[]);
    tour.twilio(Method::Get, &format!("{one}/Assets?PageSize=50"), &[]);
    let parts = [
        ("Path", "", "/auth0-logs"),
        ("Visibility", "", "public"),
        ("Content", "; filename=\"x.js\"\r\nContent-Type: application/javascript", "exports.handler = 1;"),
    ];
    let mut body = String::new();
    for (name, file, content) in parts {
        body.push_str(&format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--b--\r\n");
    let upload = format!("serverless-upload.twilio.com/v1/Services/{sid}/Functions/{function}/Versions");
    let kind = "multipart/form-data; boundary=b";
    let version = text(&tour.twilio_raw(Method::Post, &upload, kind, body.into_bytes()), "sid");
    tour.twilio(Method::Get, &format!("{function_url}/Versions"), &[]);
    tour.twilio(Method::Get, &format!("{function_url}/Versions/{version}"), &[]);
    tour.twilio(Method::Get, &format!("{function_url}/Versions/{version}/Content"), &[]);
    let builds = format!("{one}/Builds");
    let dependencies = r#"[{"name":"@twilio/runtime-handler","version":"2.0.1"}]"#;
    let form =
        [("FunctionVersions", version.as_str()), ("Dependencies", dependencies), ("Runtime", "node22")];
    let build = text(&tour.twilio(Method::Post, &builds, &form), "sid");
    let unused = text(&tour.twilio(Method::Post, &builds, &form), "sid");
    tour.twilio(Method::Get, &format!("{builds}/{build}"), &[]);
    tour.twilio(Method::Get, &format!("{builds}/{build}/Status"), &[]);
    tour.twilio(Method::Get, &builds, &[]);
    let deployments = format!("{environment}/Deployments");
    let form = [("BuildSid", build.as_str()), ("IsPlugin", "false")];
    let deployment = text(&tour.twilio(Method::Post, &deployments, &form), "sid");
    tour.twilio(Method::Get, &format!("{deployments}/{deployment}"), &[]);
    tour.twilio(Method::Get, &deployments, &[]);
    tour.twilio(Method::Get, &environment, &[]);
    tour.twilio(Method::Post, &deployments, &[]);
    for path in [format!("{builds}/{unused}"), variable, function_url, environment, one] {
        tour.twilio(Method::Delete, &path, &[]);
    }
}

//! Shared by the twin's own tests: a twin, a clock that the test moves, and short forms of the calls.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockstep_wire::{Answer, ApiReply, ApiRequest, Method};
use serde_json::{Value, json};

use super::{Options, Rate, Twin};

pub const DOMAIN: &str = "acme-dev.eu.auth0.com";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";

pub struct Bench {
    pub twin: Twin,
    pub now_ms: u64,
    token: String,
}

impl Bench {
    /// A bench with default options, no rate limit, and a token of all scopes.
    pub fn new() -> Bench {
        Bench::with(Options { rate: Rate::Unlimited, ..Options::default() })
    }

    pub fn with(options: Options) -> Bench {
        let mut bench =
            Bench { twin: Twin::new(options, 7), now_ms: 1_780_051_558_888, token: String::new() };
        bench.log_in();
        bench
    }

    pub fn log_in(&mut self) {
        let body = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret",
            "audience": format!("https://{DOMAIN}/api/v2/")});
        let (status, body) = self.token_request(&body);
        assert_eq!(status, 200, "{body}");
        self.token = body["access_token"].as_str().unwrap_or_default().to_owned();
    }

    pub fn token_request(&mut self, body: &Value) -> (u16, Value) {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        decode(self.send(DOMAIN, Method::Post, "/oauth/token", headers, body.to_string().into_bytes()))
    }

    pub fn send(
        &mut self,
        host: &str,
        method: Method,
        path: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Answer {
        let request = ApiRequest { host: host.into(), method, path: path.into(), headers, body };
        self.twin.handle(&request, self.now_ms).answer
    }

    /// A raw Management API answer.
    pub fn raw(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", self.token))];
        if body.is_some() {
            headers.push(("content-type".into(), "application/json".into()));
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.send(DOMAIN, method, &format!("/api/v2{path}"), headers, body)
    }

    pub fn get(&mut self, path: &str) -> (u16, Value) {
        decode(self.raw(Method::Get, path, None))
    }

    pub fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        decode(self.raw(Method::Post, path, Some(body)))
    }

    pub fn put(&mut self, path: &str, body: &Value) -> (u16, Value) {
        decode(self.raw(Method::Put, path, Some(body)))
    }

    pub fn patch(&mut self, path: &str, body: &Value) -> (u16, Value) {
        decode(self.raw(Method::Patch, path, Some(body)))
    }

    pub fn delete(&mut self, path: &str) -> (u16, Value) {
        decode(self.raw(Method::Delete, path, None))
    }

    /// A Twilio call with the account's own credentials and a form.
    pub fn twilio(&mut self, method: Method, url: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.twilio_as(ACCOUNT, method, url, form)
    }

    pub fn twilio_as(
        &mut self,
        user: &str,
        method: Method,
        url: &str,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", super::wire::percent_encode(value)))
            .collect();
        let kind = "application/x-www-form-urlencoded";
        self.twilio_raw(user, method, url, kind, body.join("&").into_bytes())
    }

    pub fn twilio_raw(
        &mut self,
        user: &str,
        method: Method,
        url: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> (u16, Value) {
        let (host, path) = url.split_once('/').unwrap_or((url, ""));
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:secret")));
        let headers =
            vec![("authorization".to_owned(), basic), ("content-type".to_owned(), content_type.to_owned())];
        decode(self.send(host, method, &format!("/{path}"), headers, body))
    }

    /// Creates an Action, waits for its build, deploys it, and waits until it can be bound.
    pub fn deployed_action(&mut self, name: &str, trigger: &str, version: &str) -> String {
        let body =
            json!({"name": name, "supported_triggers": [{"id": trigger, "version": version}], "code": "x"});
        let (status, body) = self.post("/actions/actions", &body);
        assert_eq!(status, 201, "{body}");
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        self.now_ms += 60_000;
        let (status, body) = decode(self.raw(Method::Post, &format!("/actions/actions/{id}/deploy"), None));
        assert_eq!(status, 200, "{body}");
        self.now_ms += 60_000;
        id
    }
}

/// Status and JSON body. The body is null if it is not JSON.
pub fn decode(answer: Answer) -> (u16, Value) {
    match answer {
        Answer::Reply(ApiReply { status, body, .. }) => {
            (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
        }
        other => panic!("no reply: {other:?}"),
    }
}

/// The keys of an object, in order.
pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

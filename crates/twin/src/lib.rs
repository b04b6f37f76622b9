//! The twin: a simulator of the parts of Auth0's Management API and of Twilio (Verify, Serverless, keys) that Lockstep
//! uses. It serves as sandbox, as the world of the tests, and as a local server.
//!
//! The twin is pure: a request and the time go in, an answer comes out. Equal seeds and equal inputs give equal bytes.
//! The twin shares only the shape of a request with the code that calls the APIs; if it shared more, both sides could
//! share a misreading of the documents. Where the vendors' documents leave a question open, [`Options`] holds the
//! switch.
//!
//! ```text
//! ApiRequest, now ─► faults ─► host ─► auth0: rate, token, scope, body ─► world ─► Answer, delay
//!                                 └──► twilio: credentials, permission, form ─┘
//! ```
//!
//! The twin does not run the code of Actions or Functions, send messages, or check the signature of an assertion. It
//! knows no part of the APIs that [`operations`] does not list.

pub mod checkers;
pub mod clock;
pub mod fault_grammar;
pub mod faults;
pub mod ids;
pub mod options;
pub mod picture;
pub mod traffic;
pub mod wire;
pub mod world;

mod auth0;
mod twilio;

use std::collections::BTreeMap;

use lockstep_wire::{Answer, ApiReply, ApiRequest, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What goes in and comes out.
pub use lockstep_wire as api;

pub use self::faults::{Faults, Garble, Rule, What, When};
pub use self::options::{
    ALL_SCOPES, BindingRule, BudgetTold, Flag, NeverSet, Options, Rate, SecretWithoutValue, WithoutAction,
};
pub use self::traffic::{Fate as MessageFate, Traffic};
pub use self::world::{Account, Tenant, TriggerRef, World};

use self::faults::HUGE_BYTES;
use self::wire::Reply;

/// Version of the world file.
const FILE_VERSION: u64 = 1;

/// The simulator: a world, the options and faults that decide how it behaves, and a log of the requests.
#[derive(Clone, Debug)]
pub struct Twin {
    pub world: World,
    pub options: Options,
    pub faults: Faults,
    /// Time of the last answer (ms since the Unix epoch). A world that is loaded again continues from here.
    pub clock_ms: u64,
    log: Vec<LogEntry>,
    /// Rate-limit buckets of the Management API. They are not part of the world: a restart fills them.
    buckets: auth0::rate::Buckets,
    /// Due times (ms since the Unix epoch) of the answers still under way, keyed by account SID.
    in_flight: BTreeMap<String, Vec<u64>>,
    /// The world before the last write. It is saved only while a rule asks for stale reads.
    before_last_write: Option<Box<World>>,
    /// A new object that the list of its kind does not show yet.
    pub unseen: Option<Unseen>,
}

/// An object that was created and that its list does not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    host: String,
    /// Path of the list.
    path: String,
    id: String,
    /// The list shows the object from this time on (ms since the Unix epoch).
    pub until_ms: u64,
}

impl Unseen {
    /// Removes the object from the body of its list.
    fn hide(&self, body: &mut Value) {
        let is_it = |item: &Value| ["id", "sid"].iter().any(|key| item[*key] == json!(self.id));
        match body {
            Value::Array(items) => items.retain(|item| !is_it(item)),
            Value::Object(parts) => parts.values_mut().filter_map(Value::as_array_mut).for_each(|items| {
                items.retain(|item| !is_it(item));
            }),
            _ => {}
        }
    }
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    pub answer: Answer,
    /// Milliseconds from the request to the answer.
    pub delay_ms: u64,
    /// 1-based number of the request, as in the log.
    pub number: usize,
}

/// How a request ended from the caller's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A reply with that status arrived.
    Status(u16),
    /// The answer got lost.
    Lost,
    /// The request never arrived.
    NotSent,
}

/// One line of the twin's log. Holds no body and no header, hence no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// 1-based.
    pub number: usize,
    pub at_ms: u64,
    /// When the answer arrived: `at_ms` plus the delay.
    pub done_ms: u64,
    pub host: String,
    pub method: Method,
    /// As sent, with the query.
    pub path: String,
    pub fate: Fate,
    /// Status of the server's reply, even if the caller never saw it. `None`: the server never handled the request.
    pub served_status: Option<u16>,
    /// True when a writing operation was carried out, whatever the caller was told. A token request is not a write.
    pub wrote: bool,
    /// Name of the operation, such as `create_action`; `unknown` when no operation matches.
    pub operation: &'static str,
    /// Domain of the tenant or SID of the account that was addressed. Empty when the caller was not admitted, when the
    /// request was not handled, and when a read named an account that does not exist.
    pub owner: String,
    /// Short name of the fault that hit the request.
    pub fault: Option<&'static str>,
}

/// What the server did, before a fault changes the answer.
struct Done {
    reply: Reply,
    operation: &'static str,
    owner: String,
    wrote: bool,
}

/// The file form of a twin. The log is not kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lockstep_twin: u64,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    faults: Faults,
    #[serde(default)]
    clock_ms: u64,
    world: World,
}

/// Longest `latency_ms` that a world file may set: one day.
const LATENCY_MAX_MS: u64 = 86_400_000;

impl Twin {
    /// A twin over an empty world. Tenants and accounts appear on first contact if the options allow it.
    pub fn new(options: Options, seed: u64) -> Twin {
        Twin::with_world(options, World::new(seed))
    }

    /// A twin over a prepared world.
    pub fn with_world(options: Options, world: World) -> Twin {
        Twin {
            world,
            options,
            faults: Faults::default(),
            clock_ms: 0,
            log: Vec::new(),
            buckets: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            before_last_write: None,
            unseen: None,
        }
    }

    /// All requests so far, in order.
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    /// The tenant of that domain. A missing tenant is created as on first contact.
    pub fn tenant_mut(&mut self, domain: &str) -> &mut Tenant {
        let flag = self.options.unified_flag;
        self.world.tenants.entry(domain.to_owned()).or_insert_with(|| Tenant::fresh(domain, flag))
    }

    /// Makes a Management API call in the name of another operator. The call needs no token, uses no rate-limit budget,
    /// and is not logged; otherwise it is served like any other. `path` begins with `/api/v2`; a null `body` sends
    /// none. Returns the status and the JSON body (null when there is none).
    pub fn operate_tenant(
        &mut self,
        domain: &str,
        method: Method,
        path: &str,
        body: &Value,
        now_ms: u64,
    ) -> (u16, Value) {
        let request = ApiRequest {
            host: domain.to_owned(),
            method,
            path: path.to_owned(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        if twilio::is_host(domain) {
            return (404, Value::Null);
        }
        let reply = auth0::serve_operator(&mut self.world, &self.options, &request, now_ms);
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    /// Makes a Twilio call in the name of another operator, with the rights of the account. The call is not logged.
    /// Returns the status and the JSON body.
    pub fn operate_account(
        &mut self,
        account_sid: &str,
        host: &str,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        now_ms: u64,
    ) -> (u16, Value) {
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", wire::percent_encode(value))).collect();
        let request = ApiRequest {
            host: host.to_owned(),
            method,
            path: path.to_owned(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: pairs.join("&").into_bytes(),
        };
        let reply = twilio::serve_operator(&mut self.world, &self.options, account_sid, &request, now_ms);
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    /// Answers one request. `now_ms` is Unix time in milliseconds and should never go back; a request takes effect
    /// at `now_ms`, its answer is due `delay_ms` later.
    pub fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Served {
        let number = self.log.len() + 1;
        let fault = self.faults.take(number, request);
        let mut delay_ms = self.options.latency_ms;
        self.clock_ms = self.clock_ms.max(now_ms.saturating_add(delay_ms));
        let served = match &fault {
            Some(fault) if fault.takes_effect() == Some(false) => None,
            Some(What::Interject { method, path, body }) => {
                // The fault counts as used even if this call is refused and changes nothing.
                self.operate_tenant(&request.host, *method, path, body, now_ms);
                Some(self.serve(request, now_ms, number))
            }
            Some(What::Stale) if request.method == Method::Get => {
                Some(self.serve_stale(request, now_ms, number))
            }
            Some(What::BuildFails) => {
                let options = Options { every_build_fails: true, ..self.options.clone() };
                Some(self.serve_with(options, request, now_ms, number))
            }
            Some(What::BuildTakes { ms }) => {
                let options = Options {
                    build_ms: *ms,
                    build_with_dependencies_ms: *ms,
                    build_failing_ms: *ms,
                    function_build_ms: *ms,
                    ..self.options.clone()
                };
                Some(self.serve_with(options, request, now_ms, number))
            }
            _ => Some(self.serve(request, now_ms, number)),
        };
        let served = served.map(|done| self.hidden(fault.as_ref(), request, now_ms, done));
        if let Some(What::Delay { ms } | What::TimeOut { ms, .. }) = fault {
            delay_ms = delay_ms.saturating_add(ms);
        }
        let answer = match fault {
            Some(What::RateLimited { retry_after_s }) => {
                Some(reply(rate_limited(request, &self.options, retry_after_s, now_ms)))
            }
            Some(What::Forbidden) => Some(reply(denied(request, 403))),
            Some(What::Unauthorized) => Some(reply(denied(request, 401))),
            Some(What::NotSent) => Some(Answer::NotSent("connection refused by the twin".into())),
            Some(What::ServerError { status, .. }) => Some(reply(server_error(request, status))),
            Some(What::Lost { .. } | What::Unseen { .. }) => {
                Some(Answer::Lost("the twin dropped the answer".into()))
            }
            Some(What::TimeOut { .. }) => Some(Answer::Lost("the twin gave no answer in time".into())),
            Some(What::Malformed { .. }) => Some(reply(Reply::html(200))),
            Some(What::Garbled { how, .. }) => Some(reply(garbled(how, served.as_ref()))),
            _ => None,
        };
        let fault = fault.map(|fault| fault.name());
        let (operation, owner, wrote, served_status) = match &served {
            Some(done) => (done.operation, done.owner.clone(), done.wrote, Some(done.reply.status)),
            None => (operation_of(request), String::new(), false, None),
        };
        let mut answer = match (answer, served) {
            (Some(answer), _) => answer,
            (None, Some(done)) => reply(done.reply),
            (None, None) => Answer::NotSent(String::new()),
        };
        if let (Answer::Reply(reply), Some(ahead_ms)) = (&mut answer, self.options.date_ahead_ms) {
            let at_ms = now_ms.saturating_add(delay_ms).saturating_add_signed(ahead_ms);
            reply.headers.extend(http_date(at_ms).map(|date| ("date".to_owned(), date)));
            // All times in the headers of a reply come from the same clock.
            for (_, reset) in reply.headers.iter_mut().filter(|(name, _)| name == "x-ratelimit-reset") {
                if let Ok(reset_s) = reset.parse::<u64>() {
                    *reset = reset_s.saturating_add_signed(ahead_ms / 1000).to_string();
                }
            }
        }
        if let Answer::Reply(reply) = &mut answer
            && !twilio::is_host(&request.host)
        {
            auth0::rate::tell(self.options.budget_told, now_ms, &mut reply.headers);
        }
        let fate = match &answer {
            Answer::Reply(reply) => Fate::Status(reply.status),
            Answer::Lost(_) => Fate::Lost,
            Answer::NotSent(_) | Answer::Barred(_) => Fate::NotSent,
        };
        self.log.push(LogEntry {
            number,
            at_ms: now_ms,
            done_ms: now_ms.saturating_add(delay_ms),
            host: request.host.clone(),
            method: request.method,
            path: request.path.clone(),
            fate,
            served_status,
            wrote,
            operation,
            owner,
            fault,
        });
        Served { answer, delay_ms, number }
    }

    /// The whole twin as data, without the log.
    pub fn to_json(&self) -> Value {
        let file = File {
            lockstep_twin: FILE_VERSION,
            options: self.options.clone(),
            faults: self.faults.clone(),
            clock_ms: self.clock_ms,
            world: self.world.clone(),
        };
        // Plain data with string keys cannot fail to serialise.
        serde_json::to_value(file).unwrap_or_else(|_| json!({ "lockstep_twin": FILE_VERSION }))
    }

    /// Reads a value that [`Twin::to_json`] wrote.
    ///
    /// # Errors
    /// The value is not a twin world of this version, or an option is out of range; the text says what is wrong.
    pub fn from_json(value: Value) -> Result<Twin, String> {
        match value.get("lockstep_twin").map(Value::as_u64) {
            None => return Err("not a twin world: the key `lockstep_twin` is missing".into()),
            Some(Some(FILE_VERSION)) => {}
            Some(_) => {
                return Err(format!(
                    "this twin world has a version this program cannot read (it reads {FILE_VERSION})"
                ));
            }
        }
        let file: File = serde_json::from_value(value).map_err(|error| {
            // serde's message repeats the rejected value, however long that is.
            let words: String = error.to_string().chars().take(300).collect();
            format!("twin world: {words}")
        })?;
        if file.options.latency_ms > LATENCY_MAX_MS {
            return Err(
                "twin world: latency_ms is more than a day, so no request would ever be answered".into()
            );
        }
        let mut twin = Twin::with_world(file.options, file.world);
        twin.faults = file.faults;
        twin.clock_ms = file.clock_ms;
        Ok(twin)
    }

    fn serve(&mut self, request: &ApiRequest, now_ms: u64, number: usize) -> Done {
        let keep = request.method != Method::Get
            && self.faults.rules.iter().any(|rule| matches!(rule.what, What::Stale));
        let before = keep.then(|| Box::new(self.world.clone()));
        if !self.options.traffic.is_empty() {
            let tenants = self.world.tenants.values_mut();
            tenants.for_each(|tenant| traffic::catch_up(tenant, &self.options.traffic, now_ms));
        }
        let done = if twilio::is_host(&request.host) {
            twilio::serve(&mut self.world, &self.options, &mut self.in_flight, request, now_ms, number)
        } else {
            auth0::serve(&mut self.world, &self.options, &mut self.buckets, request, now_ms)
        };
        if done.wrote && before.is_some() {
            self.before_last_write = before;
        }
        done
    }

    /// Applies the fault `Unseen`: remembers the object that the request created, or removes a remembered object from
    /// the answer that lists it.
    fn hidden(&mut self, fault: Option<&What>, request: &ApiRequest, now_ms: u64, mut done: Done) -> Done {
        let path = request.path.split('?').next().unwrap_or_default();
        if let Some(What::Unseen { ms }) = fault {
            let made: Value = serde_json::from_slice(&done.reply.body).unwrap_or_default();
            if let Some(id) = ["sid", "id"].iter().find_map(|key| made[*key].as_str()).filter(|_| done.wrote)
            {
                let (host, path, id) = (request.host.clone(), path.to_owned(), id.to_owned());
                self.unseen = Some(Unseen { host, path, id, until_ms: now_ms.saturating_add(*ms) });
            }
        } else if let Some(unseen) = self.unseen.as_ref().filter(|unseen| now_ms < unseen.until_ms)
            && request.method == Method::Get
            && (unseen.host.as_str(), unseen.path.as_str()) == (request.host.as_str(), path)
        {
            let mut body: Value = serde_json::from_slice(&done.reply.body).unwrap_or_default();
            unseen.hide(&mut body);
            done.reply.body = body.to_string().into_bytes();
        }
        done
    }

    /// Serves one request under other options.
    fn serve_with(&mut self, options: Options, request: &ApiRequest, now_ms: u64, number: usize) -> Done {
        let usual = std::mem::replace(&mut self.options, options);
        let done = self.serve(request, now_ms, number);
        self.options = usual;
        done
    }

    /// Serves a read from the state before the last write. Credentials are the current ones: the fault simulates a
    /// stale replica of the data, not a stale gate in front of it.
    fn serve_stale(&mut self, request: &ApiRequest, now_ms: u64, number: usize) -> Done {
        let Some(mut old) = self.before_last_write.clone() else {
            return self.serve(request, now_ms, number);
        };
        for (domain, tenant) in &self.world.tenants {
            if let Some(stale) = old.tenants.get_mut(domain) {
                stale.tokens.clone_from(&tenant.tokens);
            }
        }
        old.keys.clone_from(&self.world.keys);
        std::mem::swap(&mut self.world, &mut old);
        let done = self.serve(request, now_ms, number);
        self.world = *old;
        done
    }
}

/// All operations as name, method and path pattern, sorted by name. A Twilio pattern begins with the host.
pub fn operations() -> Vec<(&'static str, Method, String)> {
    let mut list = auth0::operations();
    list.extend(twilio::operations());
    list.sort_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
    list
}

fn operation_of(request: &ApiRequest) -> &'static str {
    if twilio::is_host(&request.host) { twilio::operation_of(request) } else { auth0::operation_of(request) }
}

/// `Mon, 21 Sep 2026 14:13:20 GMT`.
fn http_date(unix_ms: u64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

fn reply(reply: Reply) -> Answer {
    let Reply { status, headers, body } = reply;
    Answer::Reply(ApiReply { status, headers, body })
}

fn rate_limited(request: &ApiRequest, options: &Options, retry_after_s: Option<u64>, now_ms: u64) -> Reply {
    let mut reply = if twilio::is_host(&request.host) {
        twilio::refusal(429, 20429, "Too Many Requests")
    } else {
        let reset_s = (now_ms / 1_000).saturating_add(retry_after_s.unwrap_or(1));
        auth0::rate::too_many(options)
            .with_header("x-ratelimit-limit", auth0::rate::limit(options.rate))
            .with_header("x-ratelimit-remaining", 0)
            .with_header("x-ratelimit-reset", reset_s)
    };
    if let Some(seconds) = retry_after_s {
        reply = reply.with_header("retry-after", seconds);
    }
    reply
}

fn denied(request: &ApiRequest, status: u16) -> Reply {
    match (twilio::is_host(&request.host), status) {
        (true, 401) => twilio::refusal(401, 20003, "Authenticate"),
        (true, _) => twilio::refusal(403, 70051, "Authorization Error"),
        (false, 401) => auth0::refusal(401, None, "Invalid token"),
        (false, _) => auth0::refusal(403, None, "Access denied"),
    }
}

fn server_error(request: &ApiRequest, status: u16) -> Reply {
    if twilio::is_host(&request.host) {
        twilio::refusal(status, 20500, "Internal Server Error")
    } else {
        auth0::refusal(status, None, "An internal server error occurred")
    }
}

/// A reply with status 200 and a JSON content type whose body is not a valid answer.
fn garbled(how: Garble, served: Option<&Done>) -> Reply {
    let real = served.map(|done| done.reply.body.as_slice()).filter(|body| body.len() > 1);
    let body = match how {
        Garble::Empty => Vec::new(),
        Garble::Cut => real.map_or_else(|| b"{\"id\":\"".to_vec(), |body| body[..body.len() / 2].to_vec()),
        Garble::Shape => b"{\"unexpected\":[1,null,{\"shape\":true}]}".to_vec(),
        Garble::Huge => {
            let (head, tail): (&[u8], &[u8]) = (b"{\"padding\":\"", b"\"}");
            let mut body = head.to_vec();
            body.resize(HUGE_BYTES - tail.len(), b'x');
            body.extend_from_slice(tail);
            body
        }
    };
    let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    Reply { status: 200, headers, body }
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

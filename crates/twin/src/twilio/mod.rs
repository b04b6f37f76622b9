//! Twilio's side. A request passes host, credentials and permission, and reaches one operation of the tables below.
//! This file also holds the vendor's error body and paging.

mod builds;
mod form;
mod functions;
mod keys;
mod limits;
mod serverless;
mod tokens;
mod verifications;
mod verify;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockstep_wire::{ApiRequest, Method};
use serde_json::{Value, json};

use super::Done;
use super::ids::Ids;
use super::options::Options;
use super::wire::{Outcome, Reply, Target, match_pattern, percent_encode};
use super::world::{Account, ApiKey, KeyKind, World};

const VERIFY: &str = "verify.twilio.com";
const SERVERLESS: &str = "serverless.twilio.com";
const UPLOAD: &str = "serverless-upload.twilio.com";
const CORE: &str = "api.twilio.com";
const IAM: &str = "iam.twilio.com";
const ACCOUNTS: &str = "accounts.twilio.com";
/// The simulated hosts.
pub(super) const HOSTS: [&str; 6] = [VERIFY, SERVERLESS, UPLOAD, CORE, IAM, ACCOUNTS];

/// One operation.
pub(super) struct Route {
    host: &'static str,
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    /// The permission that a restricted key needs, such as `/twilio/verify/service/read`. Empty: no restricted key is
    /// accepted.
    permission: &'static str,
    run: fn(&mut Call) -> Outcome,
}

/// Everything an operation works on.
pub(super) struct Call<'a> {
    world: &'a mut World,
    options: &'a Options,
    /// The account that the credentials belong to.
    account_sid: String,
    now_ms: u64,
    params: Vec<String>,
    target: &'a Target,
    request: &'a ApiRequest,
}

impl Call<'_> {
    fn param(&self, at: usize) -> &str {
        self.params.get(at).map_or("", String::as_str)
    }

    fn account(&self) -> Result<&Account, Reply> {
        self.world.accounts.get(&self.account_sid).ok_or_else(unauthenticated)
    }

    fn account_mut(&mut self) -> Result<(&mut Account, &mut Ids), Reply> {
        let World { ids, accounts, .. } = &mut *self.world;
        accounts.get_mut(&self.account_sid).map(|account| (account, ids)).ok_or_else(unauthenticated)
    }

    /// One page of a list of the product APIs. A client must follow the absolute URLs in `meta`: every page after the
    /// first needs its token.
    fn page(&self, key: &str, items: Vec<Value>) -> Outcome {
        let number = |name: &str, fallback: usize| match self.target.query(name) {
            None => Ok(fallback),
            Some(text) => text.parse().map_err(|_| invalid(&format!("{name} is not a number"))),
        };
        let size: usize = number("PageSize", 50)?;
        if size == 0 || size > 1_000 {
            return Err(invalid("PageSize must be between 1 and 1000"));
        }
        let page: usize = number("Page", 0)?;
        let token = |page: usize| format!("PT{page:032x}");
        if page > 0 && self.target.query("PageToken") != Some(token(page).as_str()) {
            return Err(invalid("Page needs its PageToken"));
        }
        let path = self.request.path.split('?').next().unwrap_or_default();
        let mut kept = String::new();
        for (name, value) in &self.target.query {
            if !["PageSize", "Page", "PageToken"].contains(&name.as_str()) {
                kept.push_str(&format!("{name}={}&", percent_encode(value)));
            }
        }
        let url = |page: usize| {
            let tail = if page == 0 { String::new() } else { format!("&PageToken={}", token(page)) };
            format!("https://{}{path}?{kept}PageSize={size}&Page={page}{tail}", self.request.host)
        };
        let more = items.len() > page.saturating_add(1).saturating_mul(size);
        let shown: Vec<Value> = items.into_iter().skip(page.saturating_mul(size)).take(size).collect();
        let meta = json!({
            "page": page,
            "page_size": size,
            "first_page_url": url(0),
            "previous_page_url": if page > 0 { Some(url(page - 1)) } else { None },
            "url": url(page),
            "next_page_url": if more { Some(url(page + 1)) } else { None },
            "key": key,
        });
        let mut body = serde_json::Map::new();
        body.insert("meta".into(), meta);
        body.insert(key.into(), Value::Array(shown));
        Ok(Reply::json(200, &Value::Object(body)))
    }
}

const TABLES: &[&[Route]] = &[
    verify::ROUTES,
    limits::ROUTES,
    verifications::ROUTES,
    serverless::ROUTES,
    keys::ROUTES,
    tokens::ROUTES,
];

pub(super) fn is_host(host: &str) -> bool {
    HOSTS.contains(&host)
}

/// Serves one request to one of Twilio's hosts.
pub(super) fn serve(
    world: &mut World,
    options: &Options,
    in_flight: &mut BTreeMap<String, Vec<u64>>,
    request: &ApiRequest,
    now_ms: u64,
    number: usize,
) -> Done {
    let accounts = world.accounts.len();
    let mut owner = String::new();
    let mut at_once = 1;
    let outcome = authenticate(world, options, request).and_then(|caller| {
        owner.clone_from(&caller.account_sid);
        let under_way = in_flight.entry(caller.account_sid.clone()).or_default();
        under_way.retain(|due_ms| *due_ms > now_ms);
        if under_way.len() >= options.twilio_concurrency {
            return Err(refusal(429, 20429, "Too Many Requests"));
        }
        under_way.push(now_ms.saturating_add(options.latency_ms));
        at_once = under_way.len();
        run(world, options, &caller, request, now_ms)
    });
    let wrote = outcome.is_ok() && request.method != Method::Get;
    // An account is created by its first write. A caller that only reads, such as a key being tried, leaves none
    // behind.
    if world.accounts.len() > accounts && !wrote {
        world.accounts.remove(&owner);
        owner.clear();
    }
    let request_id = Ids { seed: world.ids.seed ^ 0x5251, drawn: number as u64 }.sid("RQ");
    let reply = outcome
        .unwrap_or_else(|refused| refused)
        .with_header("twilio-request-id", request_id)
        .with_header("twilio-concurrent-requests", at_once);
    Done { reply, operation: operation_of(request), owner, wrote }
}

/// Serves another operator's call, with the account's own rights. No credentials are checked.
pub(super) fn serve_operator(
    world: &mut World,
    options: &Options,
    account_sid: &str,
    request: &ApiRequest,
    now_ms: u64,
) -> Reply {
    world.account_mut(account_sid);
    let caller = Caller { account_sid: account_sid.to_owned(), key: None };
    run(world, options, &caller, request, now_ms).unwrap_or_else(|refused| refused)
}

fn run(world: &mut World, options: &Options, caller: &Caller, request: &ApiRequest, now_ms: u64) -> Outcome {
    let target = Target::parse(&request.path).ok_or_else(|| invalid("The path could not be read"))?;
    let (route, params) = find(request, &target).ok_or_else(|| missing(&request.path))?;
    permit(options, caller, route)?;
    if let Some((name, _)) =
        target.query.iter().find(|(name, _)| !query_of(route.operation).contains(&name.as_str()))
    {
        return Err(invalid(&format!("Unknown parameter {name}")));
    }
    let account_sid = caller.account_sid.clone();
    (route.run)(&mut Call { world, options, account_sid, now_ms, params, target: &target, request })
}

/// The query parameters of an operation. An unknown parameter is refused, as an unknown form field is, so that a
/// misspelt one is noticed.
fn query_of(operation: &str) -> &'static [&'static str] {
    match operation {
        "list_verify_templates" => &["FriendlyName", "PageSize", "Page", "PageToken"],
        "list_keys" => &["AccountSid", "PageSize", "Page", "PageToken"],
        "list_attempts" => &[
            "DateCreatedAfter",
            "DateCreatedBefore",
            "ChannelData.To",
            "Country",
            "Channel",
            "VerifyServiceSid",
            "VerificationSid",
            "Status",
            "PageSize",
            "Page",
            "PageToken",
        ],
        "get_attempts_summary" => &[
            "VerifyServiceSid",
            "DateCreatedAfter",
            "DateCreatedBefore",
            "Country",
            "Channel",
            "DestinationPrefix",
        ],
        list if list.starts_with("list_") => &["PageSize", "Page", "PageToken"],
        _ => &[],
    }
}

fn find(request: &ApiRequest, target: &Target) -> Option<(&'static Route, Vec<String>)> {
    TABLES.iter().flat_map(|table| table.iter()).find_map(|route| {
        if route.host != request.host || route.method != request.method {
            return None;
        }
        match_pattern(route.pattern, &target.segments).map(|params| (route, params))
    })
}

struct Caller {
    account_sid: String,
    /// `None`: the caller used the account's own token.
    key: Option<ApiKey>,
}

/// Checks HTTP Basic: an account SID with its token, or a key SID with its secret. The credential alone selects the
/// account.
fn authenticate(world: &mut World, options: &Options, request: &ApiRequest) -> Result<Caller, Reply> {
    let header = request.header("authorization").unwrap_or_default();
    let decoded = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unauthenticated)?;
    let (user, password) = text.split_once(':').ok_or_else(unauthenticated)?;
    if password.is_empty() {
        return Err(unauthenticated());
    }
    let (account_sid, key) = if is_sid(user, "AC") {
        (user.to_owned(), None)
    } else if is_sid(user, "SK") {
        let known = world.keys.get(user).cloned();
        let fallback = || options.default_account.clone().unwrap_or_else(|| user.replacen("SK", "AC", 1));
        match &known {
            Some(key) if key.deleted || key.secret.as_deref().is_some_and(|secret| secret != password) => {
                return Err(unauthenticated());
            }
            Some(key) => (key.account_sid.clone(), known),
            // A key that the world does not know counts as a standard key.
            None if options.unknown_tenants => {
                let account_sid = fallback();
                let key = ApiKey::new(&account_sid, KeyKind::Standard);
                (account_sid, Some(key))
            }
            None => return Err(unauthenticated()),
        }
    } else {
        return Err(unauthenticated());
    };
    if !world.accounts.contains_key(&account_sid) {
        if !options.unknown_tenants {
            return Err(unauthenticated());
        }
        world.accounts.insert(account_sid.clone(), Account::fresh(&account_sid));
    }
    let account = world.accounts.get(&account_sid).ok_or_else(unauthenticated)?;
    let is_second = account.secondary_auth_token.as_deref() == Some(password);
    if key.is_none() && !is_second && account.auth_token.as_deref().is_some_and(|token| token != password) {
        return Err(unauthenticated());
    }
    match account.status.as_str() {
        "active" => Ok(Caller { account_sid, key }),
        _ => Err(refusal(403, 20403, "Account is not active")),
    }
}

/// Checks what a kind of credential may do (Twilio docs, API keys, 2025-12).
fn permit(options: &Options, caller: &Caller, route: &Route) -> Result<(), Reply> {
    let serverless = route.host == SERVERLESS || route.host == UPLOAD;
    let denied = || refusal(403, 70051, "Authorization Error: the credential does not have this permission");
    let messaging = route.pattern.contains("/MessagingConfigurations");
    if (serverless && !options.serverless_allowed) || (messaging && !options.messaging_configurations_allowed)
    {
        return Err(denied());
    }
    match &caller.key {
        None => Ok(()),
        Some(key) => match key.kind {
            KeyKind::Main => Ok(()),
            // A standard key may do everything except read accounts and manage keys.
            KeyKind::Standard if [CORE, IAM, ACCOUNTS].contains(&route.host) => Err(unauthenticated()),
            KeyKind::Standard => Ok(()),
            KeyKind::Restricted => {
                let wanted = route.permission;
                let fits = |allow: &String| {
                    allow == wanted
                        || allow
                            .strip_suffix('*')
                            .is_some_and(|stem| stem.ends_with('/') && wanted.starts_with(stem))
                };
                if !wanted.is_empty() && key.allow.iter().any(fits) { Ok(()) } else { Err(denied()) }
            }
        },
    }
}

/// Two capital letters and 32 hex digits.
fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) fn operation_of(request: &ApiRequest) -> &'static str {
    let found = Target::parse(&request.path).and_then(|target| find(request, &target));
    found.map_or("unknown", |(route, _)| route.operation)
}

pub(super) fn operations() -> Vec<(&'static str, Method, String)> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .map(|route| (route.operation, route.method, format!("{}{}", route.host, route.pattern)))
        .collect()
}

/// The vendor's error body.
pub(super) fn refusal(status: u16, code: u32, message: &str) -> Reply {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    Reply::json(status, &body)
}

fn unauthenticated() -> Reply {
    refusal(401, 20003, "Authenticate")
}

/// 400 with the general code for a bad parameter.
fn invalid(message: &str) -> Reply {
    refusal(400, 20001, message)
}

fn missing(path: &str) -> Reply {
    let path = path.split('?').next().unwrap_or_default();
    refusal(404, 20404, &format!("The requested resource {path} was not found"))
}

#[cfg(test)]
mod tests {
    use lockstep_wire::{Answer, Method};
    use serde_json::{Value, json};

    use super::super::bench::{ACCOUNT, Bench, decode, keys};
    use super::super::world::{ApiKey, KeyKind};
    use super::super::{Options, Rate};

    const KEY: &str = "SK00000000000000000000000000000001";
    const SERVICES: &str = "verify.twilio.com/v2/Services";

    fn key(kind: KeyKind, allow: &[&str]) -> ApiKey {
        ApiKey {
            secret: Some("secret".into()),
            allow: allow.iter().map(|text| (*text).to_owned()).collect(),
            ..ApiKey::new(ACCOUNT, kind)
        }
    }

    #[test]
    fn the_credential_selects_the_account() {
        let mut bench = Bench::new();
        let form = [("FriendlyName", "Acme")];
        let (status, made) = bench.twilio(Method::Post, SERVICES, &form);
        assert_eq!((status, &made["account_sid"]), (201, &json!(ACCOUNT)));
        let (_, list) = bench.twilio_as(KEY, Method::Get, SERVICES, &[]);
        assert_eq!(list["services"][0]["sid"], made["sid"], "the key with the same digits");
        let other = "AC00000000000000000000000000000002";
        assert_eq!(bench.twilio_as(other, Method::Get, SERVICES, &[]).1["services"], json!([]));
        let one = format!("{SERVICES}/{}", made["sid"].as_str().unwrap_or_default());
        assert_eq!(bench.twilio_as(other, Method::Get, &one, &[]).0, 404);
    }

    #[test]
    fn refused_credentials() {
        let mut bench = Bench::new();
        let expected = json!({"code": 20003, "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003", "status": 401});
        assert_eq!(bench.twilio_as("nobody", Method::Get, SERVICES, &[]), (401, expected));
        bench.twin.world.account_mut(ACCOUNT).auth_token = Some("another".into());
        assert_eq!(bench.twilio(Method::Get, SERVICES, &[]).0, 401);
        let mut gone = key(KeyKind::Standard, &[]);
        gone.deleted = true;
        bench.twin.world.keys.insert(KEY.into(), gone);
        assert_eq!(bench.twilio_as(KEY, Method::Get, SERVICES, &[]).0, 401);
        bench.twin.world.account_mut(ACCOUNT).auth_token = None;
        bench.twin.world.account_mut(ACCOUNT).status = "suspended".into();
        assert_eq!(bench.twilio(Method::Get, SERVICES, &[]).1["code"], 20403);
    }

    #[test]
    fn kinds_of_keys_and_what_they_reach() {
        let account = format!("api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json");
        let serverless = "serverless.twilio.com/v1/Services".to_owned();
        let verify = SERVICES.to_owned();
        let cases = [
            (key(KeyKind::Main, &[]), [200, 200, 200]),
            (key(KeyKind::Standard, &[]), [401, 200, 200]),
            (key(KeyKind::Restricted, &["/twilio/verify/service/list"]), [403, 403, 200]),
            (key(KeyKind::Restricted, &["/twilio/verify/*"]), [403, 403, 200]),
            (key(KeyKind::Restricted, &["/twilio/verify/verification/create"]), [403, 403, 403]),
        ];
        for (key, expected) in cases {
            let mut bench = Bench::new();
            let name = format!("{:?} {:?}", key.kind, key.allow);
            bench.twin.world.keys.insert(KEY.into(), key);
            let mut ask = |url: &str| bench.twilio_as(KEY, Method::Get, url, &[]).0;
            assert_eq!([ask(&account), ask(&serverless), ask(&verify)], expected, "{name}");
        }
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, serverless_allowed: false, ..Options::default() });
        let (status, refused) = bench.twilio(Method::Get, &serverless, &[]);
        assert_eq!((status, &refused["code"]), (403, &json!(70051)));
    }

    #[test]
    fn pages_are_followed_by_their_url() {
        let mut bench = Bench::new();
        for _ in 0..5 {
            bench.twilio(Method::Post, SERVICES, &[("FriendlyName", "Acme")]);
        }
        let mut url = format!("{SERVICES}?PageSize=2");
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let (status, page) = bench.twilio(Method::Get, &url, &[]);
            assert_eq!(status, 200);
            assert_eq!(page["meta"]["key"], "services");
            sizes.push(page["services"].as_array().map_or(0, Vec::len));
            match page["meta"]["next_page_url"].as_str() {
                Some(next) => url = next.trim_start_matches("https://").to_owned(),
                None => break,
            }
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(
            bench.twilio(Method::Get, &format!("{SERVICES}?Page=1&PageSize=2"), &[]).0,
            400,
            "no token"
        );
        assert_eq!(bench.twilio(Method::Get, &format!("{SERVICES}?PageSize=1001"), &[]).0, 400);
    }

    #[test]
    fn every_reply_has_a_request_id() {
        let mut bench = Bench::new();
        let headers = vec![("authorization".to_owned(), "Basic x".to_owned())];
        match bench.send("verify.twilio.com", Method::Get, "/v2/Services", headers, vec![]) {
            Answer::Reply(reply) => {
                assert_eq!(reply.status, 401);
                assert_eq!(reply.header("twilio-request-id").map(str::len), Some(34));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_are_shown_once_listed_without_policy_and_end_when_deleted() {
        let mut bench = Bench::new();
        let keys_url = "iam.twilio.com/v1/Keys";
        let policy = r#"{"allow":["/twilio/verify/verification/create"]}"#;
        let form = [
            ("AccountSid", ACCOUNT),
            ("FriendlyName", "sender"),
            ("KeyType", "restricted"),
            ("Policy", policy),
        ];
        let (status, made) = bench.twilio(Method::Post, keys_url, &form);
        assert_eq!(
            (status, keys(&made)),
            (201, vec!["sid", "friendly_name", "date_created", "date_updated", "policy", "secret"])
        );
        let sid = made["sid"].as_str().unwrap_or_default().to_owned();
        let one = format!("{keys_url}/{sid}");
        let (_, read) = bench.twilio(Method::Get, &one, &[]);
        assert_eq!(
            (read.get("secret"), &read["policy"]["allow"][0]),
            (None, &json!("/twilio/verify/verification/create"))
        );
        let (_, list) = bench.twilio(Method::Get, &format!("{keys_url}?AccountSid={ACCOUNT}"), &[]);
        assert_eq!((list["keys"][0].get("policy"), &list["keys"][0]["flags"]), (None, &json!([])));
        assert_eq!(bench.twilio(Method::Delete, &one, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Delete, &one, &[]).0, 404);
        assert_eq!(bench.twilio_as(&sid, Method::Get, SERVICES, &[]).0, 401);
        let bad = [("AccountSid", ACCOUNT), ("KeyType", "restricted")];
        assert_eq!(bench.twilio(Method::Post, keys_url, &bad).0, 400);
    }

    #[test]
    fn a_parent_reads_its_subaccounts_here_only() {
        let mut bench = Bench::new();
        let sub = "AC00000000000000000000000000000009";
        bench.twin.world.account_mut(sub).owner_account_sid = ACCOUNT.into();
        let url = format!("api.twilio.com/2010-04-01/Accounts/{sub}.json");
        assert_eq!(bench.twilio(Method::Get, &url, &[]).0, 200);
        assert_eq!(bench.twilio_as("AC00000000000000000000000000000002", Method::Get, &url, &[]).0, 404);
        let missing = bench.send("api.twilio.com", Method::Get, "/nothing", vec![], vec![]);
        assert_eq!(
            decode(missing).1.get("code").and_then(Value::as_u64),
            Some(20003),
            "credentials come first"
        );
    }
}

//! Auth0's side. A request passes rate limit, token, scope, query and body, and reaches one operation of the tables
//! below. This file also writes the vendor's error envelope.

mod action_body;
mod actions;
mod bindings;
mod body;
mod branding;
mod client_body;
mod clients;
mod guardian;
mod logs;
mod phone;
pub(super) mod rate;
mod settings;
mod streams;
mod templates;
mod token;
mod triggers;
mod versions;

use lockstep_wire::{ApiRequest, Method};
use serde_json::{Map, Value, json};

pub(super) use self::actions::build_status;
use super::Done;
use super::ids::Ids;
use super::options::{NeverSet, Options};
use super::wire::{Outcome, Reply, Target, match_pattern};
use super::world::{Tenant, World};

/// One operation of the Management API.
pub(super) struct Route {
    method: Method,
    /// Below `/api/v2`.
    pattern: &'static str,
    operation: &'static str,
    /// The token needs any one of these.
    scopes: &'static [&'static str],
    /// Known query parameters; any other is refused.
    query: &'static [&'static str],
    run: fn(&mut Call) -> Outcome,
}

/// Everything an operation works on.
pub(super) struct Call<'a> {
    tenant: &'a mut Tenant,
    ids: &'a mut Ids,
    options: &'a Options,
    now_ms: u64,
    /// Values of the braces of the pattern, in order.
    params: Vec<String>,
    target: &'a Target,
    body: &'a [u8],
}

impl Call<'_> {
    fn param(&self, at: usize) -> &str {
        self.params.get(at).map_or("", String::as_str)
    }

    /// The body as JSON; a body that is not JSON is refused.
    fn json(&self) -> Result<Value, Reply> {
        serde_json::from_slice(self.body)
            .map_err(|_| refusal(400, None, "Invalid request payload JSON format"))
    }

    /// The query parameters `page` (default 0) and `per_page` (default `fallback`).
    fn page(&self, fallback: usize) -> Result<(usize, usize), Reply> {
        let number = |name: &str, fallback: usize, most: usize| match self.target.query(name) {
            None => Ok(fallback),
            Some(text) => text
                .parse()
                .ok()
                .filter(|value| *value <= most)
                .ok_or_else(|| invalid_query(name, "is out of range")),
        };
        let per_page = number("per_page", fallback, 100)?;
        if per_page == 0 {
            return Err(invalid_query("per_page", "is out of range"));
        }
        Ok((number("page", 0, 1_000_000)?, per_page))
    }

    /// The keys that the query parameter `fields` names; with `include_fields=false`, all other keys; without `fields`,
    /// all keys.
    fn fields(&self, body: Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        let include = self.flag("include_fields")?.unwrap_or(true);
        let Some(names) = self.target.query("fields") else { return Ok(body) };
        let named = |key: &str| names.split(',').any(|name| name == key);
        Ok(body.into_iter().filter(|(key, _)| named(key) == include).collect())
    }

    /// A query parameter that is `true` or `false`.
    fn flag(&self, name: &str) -> Result<Option<bool>, Reply> {
        match self.target.query(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid_query(name, "is not a boolean")),
        }
    }
}

const TABLES: &[&[Route]] = &[
    actions::ROUTES,
    versions::ROUTES,
    bindings::ROUTES,
    guardian::ROUTES,
    phone::ROUTES,
    templates::ROUTES,
    streams::ROUTES,
    settings::ROUTES,
    branding::ROUTES,
    clients::ROUTES,
    logs::ROUTES,
];

const TOKEN_PATH: &str = "/oauth/token";

/// Serves one request to a tenant's host.
pub(super) fn serve(
    world: &mut World,
    options: &Options,
    buckets: &mut rate::Buckets,
    request: &ApiRequest,
    now_ms: u64,
) -> Done {
    let host = request.host.as_str();
    let Some(domain) = contact(world, options, host) else {
        let reply = refusal(404, None, "Not Found");
        return Done { reply, operation: "unknown", owner: String::new(), wrote: false };
    };
    let Some(target) = Target::parse(&request.path) else {
        let reply = refusal(400, Some("invalid_uri"), "Bad Request");
        return Done { reply, operation: "unknown", owner: domain, wrote: false };
    };
    if request.path.split('?').next() == Some(TOKEN_PATH) {
        let reply = match request.method {
            Method::Post => token::issue(world, options, &domain, request, now_ms),
            _ => refusal(404, None, "Not Found"),
        };
        return Done { reply, operation: "get_token", owner: domain, wrote: false };
    }
    let (plan, class) = (options.rate, rate::Class::of(options.rate, request));
    let bucket =
        buckets.entry((domain.clone(), class)).or_insert_with(|| rate::Bucket::full(plan, class, now_ms));
    let budget = bucket.take(plan, class, now_ms);
    let (operation, outcome) = if budget.admitted {
        match find(request.method, &target) {
            None => ("unknown", Err(refusal(404, None, "Not Found"))),
            Some((route, params)) => {
                let World { ids, tenants, .. } = world;
                let outcome = match tenants.get_mut(&domain) {
                    None => Err(refusal(404, None, "Not Found")),
                    Some(tenant) => admit(tenant, route, request, now_ms)
                        .and_then(|()| run(route, params, tenant, ids, options, &target, request, now_ms)),
                };
                (route.operation, outcome)
            }
        }
    } else {
        (operation_of(request), Err(rate::too_many(options)))
    };
    let wrote = outcome.is_ok() && request.method != Method::Get;
    let mut reply = outcome.unwrap_or_else(|refused| refused);
    if !budget.admitted && options.retry_after_on_429 {
        reply = reply.with_header("retry-after", budget.wait_s);
    }
    let reply = reply
        .with_header("x-ratelimit-limit", budget.limit)
        .with_header("x-ratelimit-remaining", budget.remaining)
        .with_header("x-ratelimit-reset", budget.reset_s);
    Done { reply, operation, owner: domain, wrote }
}

/// Serves another operator's call, without token and rate limit.
pub(super) fn serve_operator(
    world: &mut World,
    options: &Options,
    request: &ApiRequest,
    now_ms: u64,
) -> Reply {
    let not_found = || refusal(404, None, "Not Found");
    let Some(domain) = contact(world, options, &request.host) else { return not_found() };
    let Some(target) = Target::parse(&request.path) else { return not_found() };
    let Some((route, params)) = find(request.method, &target) else { return not_found() };
    let World { ids, tenants, .. } = world;
    match tenants.get_mut(&domain) {
        Some(tenant) => run(route, params, tenant, ids, options, &target, request, now_ms)
            .unwrap_or_else(|refused| refused),
        None => not_found(),
    }
}

/// The canonical domain of a host. Creates a missing tenant if the options allow it; otherwise `None`.
fn contact(world: &mut World, options: &Options, host: &str) -> Option<String> {
    let domain = world.custom_domains.get(host).cloned().unwrap_or_else(|| host.to_owned());
    if !world.tenants.contains_key(&domain) {
        if !options.unknown_tenants {
            return None;
        }
        world.tenants.insert(domain.clone(), Tenant::fresh(&domain, options.unified_flag));
    }
    Some(domain)
}

fn find(method: Method, target: &Target) -> Option<(&'static Route, Vec<String>)> {
    let below = target.segments.strip_prefix(&["api".to_owned(), "v2".to_owned()])?;
    TABLES.iter().flat_map(|table| table.iter()).find_map(|route| {
        let params = match_pattern(route.pattern, below)?;
        (route.method == method).then_some((route, params))
    })
}

/// Checks the token, its scope, and whether the tenant has Actions.
fn admit(tenant: &Tenant, route: &Route, request: &ApiRequest, now_ms: u64) -> Result<(), Reply> {
    let header = request.header("authorization").unwrap_or_default();
    let Some(bearer) = header.strip_prefix("Bearer ").filter(|value| !value.is_empty()) else {
        return Err(refusal(401, None, "Missing authentication"));
    };
    let Some(token) = tenant.tokens.iter().find(|token| token.value == bearer && token.host == request.host)
    else {
        return Err(refusal(401, None, "Invalid token"));
    };
    if token.expires_at_ms <= now_ms {
        return Err(refusal(401, None, "Expired token received for JSON Web Token validation"));
    }
    if !route.scopes.iter().any(|scope| token.scopes.iter().any(|granted| granted == scope)) {
        let message = format!("Insufficient scope, expected any of: {}", route.scopes.join(","));
        return Err(refusal(403, Some("insufficient_scope"), &message));
    }
    if tenant.actions_disabled && route.pattern.starts_with("/actions/") {
        return Err(refusal(403, Some("feature_not_enabled"), "This feature is not enabled for this tenant"));
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the parts of one call, assembled in one place")]
fn run(
    route: &Route,
    params: Vec<String>,
    tenant: &mut Tenant,
    ids: &mut Ids,
    options: &Options,
    target: &Target,
    request: &ApiRequest,
    now_ms: u64,
) -> Outcome {
    if let Some((name, _)) = target.query.iter().find(|(name, _)| !route.query.contains(&name.as_str())) {
        let message = format!("Query validation error: 'Additional properties not allowed: {name}'.");
        return Err(refusal(400, Some("invalid_query_string"), &message));
    }
    let json = request.header("content-type").is_some_and(|value| value.starts_with("application/json"));
    if !request.body.is_empty() && !json {
        return Err(refusal(415, None, "Unsupported Media Type"));
    }
    let mut call = Call { tenant, ids, options, now_ms, params, target, body: &request.body };
    (route.run)(&mut call).map_err(|reply| match options.conflict_error_code.as_deref() {
        Some(code) if reply.status == 409 => with_code(&reply, code),
        _ => reply,
    })
}

/// The refusal with this `errorCode`, unless it has one.
fn with_code(reply: &Reply, code: &str) -> Reply {
    let mut envelope: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if let Some(envelope) = envelope.as_object_mut() {
        envelope.entry("errorCode").or_insert(json!(code));
    }
    Reply::json(reply.status, &envelope)
}

pub(super) fn operation_of(request: &ApiRequest) -> &'static str {
    if request.path.split('?').next() == Some(TOKEN_PATH) {
        return "get_token";
    }
    let found = Target::parse(&request.path).and_then(|target| find(request.method, &target));
    found.map_or("unknown", |(route, _)| route.operation)
}

pub(super) fn operations() -> Vec<(&'static str, Method, String)> {
    let mut list = vec![("get_token", Method::Post, TOKEN_PATH.to_owned())];
    for route in TABLES.iter().flat_map(|table| table.iter()) {
        list.push((route.operation, route.method, format!("/api/v2{}", route.pattern)));
    }
    list
}

/// The reply to a read of a setting that was never set. `None`: the caller shows the default.
pub(super) fn never_set(call: &Call) -> Option<Reply> {
    match call.options.never_set_reads {
        NeverSet::Shown => None,
        NeverSet::NoBody => Some(Reply { body: Vec::new(), ..Reply::json(200, &Value::Null) }),
        NeverSet::NoContent => Some(Reply::empty()),
        NeverSet::EmptyObject => Some(Reply::json(200, &json!({}))),
    }
}

/// The vendor's error envelope. `errorCode` is missing more often than clients expect (recorded, 2025-2026).
pub(super) fn refusal(status: u16, code: Option<&str>, message: &str) -> Reply {
    let error = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    };
    let mut envelope = Map::new();
    envelope.insert("statusCode".into(), json!(status));
    envelope.insert("error".into(), json!(error));
    envelope.insert("message".into(), json!(message));
    if let Some(code) = code {
        envelope.insert("errorCode".into(), json!(code));
    }
    Reply::json(status, &Value::Object(envelope))
}

/// 400 for a malformed id or path parameter.
fn invalid_uri(format: &str, value: &str) -> Reply {
    let message = format!(
        "Path validation error: 'Object didn't pass validation for format {format}: {value}' on property id."
    );
    refusal(400, Some("invalid_uri"), &message)
}

fn invalid_query(name: &str, what: &str) -> Reply {
    refusal(400, Some("invalid_query_string"), &format!("Query validation error: '{name} {what}'."))
}

/// Whether a text is a UUID in lower- or upper-case hex.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

/// Whether a text is `prefix` followed by exactly `length` ASCII letters or digits.
fn is_named(text: &str, prefix: &str, length: usize) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == length && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A list reply of the Actions endpoints. They omit zero values (recorded): no `page` on page 0, no `total` on an empty
/// page.
fn offset_page(key: &str, items: Vec<Value>, page: usize, per_page: usize) -> Reply {
    let total = items.len();
    let items: Vec<Value> = items.into_iter().skip(page.saturating_mul(per_page)).take(per_page).collect();
    let mut body = Map::new();
    let empty = items.is_empty();
    body.insert(key.into(), Value::Array(items));
    if !empty {
        body.insert("total".into(), json!(total));
    }
    if page > 0 {
        body.insert("page".into(), json!(page));
    }
    body.insert("per_page".into(), json!(per_page));
    Reply::json(200, &Value::Object(body))
}

#[cfg(test)]
mod tests {
    use lockstep_wire::{Answer, Method};
    use serde_json::json;

    use crate::bench::{Bench, DOMAIN, decode};
    use crate::{Options, Rate};

    #[test]
    fn a_token_is_needed_and_ends() {
        let mut bench = Bench::new();
        let none = decode(bench.send(DOMAIN, Method::Get, "/api/v2/prompts", vec![], vec![]));
        assert_eq!((none.0, none.1.get("errorCode")), (401, None));
        let wrong = vec![("authorization".to_owned(), "Bearer made-up".to_owned())];
        assert_eq!(decode(bench.send(DOMAIN, Method::Get, "/api/v2/prompts", wrong, vec![])).0, 401);
        assert_eq!(bench.get("/prompts").0, 200);
        bench.now_ms += 86_400_000;
        assert_eq!(bench.get("/prompts").0, 401);
        bench.log_in();
        assert_eq!(bench.get("/prompts").0, 200);
    }

    #[test]
    fn a_missing_scope_is_named() {
        let scopes = Some(vec!["read:actions".to_owned()]);
        let mut bench = Bench::with(Options { rate: Rate::Unlimited, scopes, ..Options::default() });
        assert_eq!(bench.get("/actions/actions").0, 200);
        let expected = json!({"statusCode": 403, "error": "Forbidden",
            "message": "Insufficient scope, expected any of: update:guardian_factors",
            "errorCode": "insufficient_scope"});
        assert_eq!(bench.put("/guardian/factors/sms", &json!({"enabled": true})), (403, expected));
    }

    #[test]
    fn a_custom_domain_has_tokens_of_its_own() {
        let mut bench = Bench::new();
        bench.twin.world.custom_domains.insert("login.acme.example".into(), DOMAIN.into());
        let token = bench.twin.world.tenant_mut(DOMAIN).tokens[0].value.clone();
        let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        let at = |bench: &mut Bench, host: &str| {
            decode(bench.send(host, Method::Get, "/api/v2/prompts", headers.clone(), vec![])).0
        };
        assert_eq!((at(&mut bench, DOMAIN), at(&mut bench, "login.acme.example")), (200, 401));
    }

    #[test]
    fn every_reply_tells_the_budget_and_the_last_one_refuses() {
        let mut bench = Bench::with(Options { rate: Rate::Free, ..Options::default() });
        let mut ask = || match bench.raw(Method::Get, "/prompts", None) {
            Answer::Reply(reply) => reply,
            other => panic!("{other:?}"),
        };
        let first = ask();
        assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
        assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
        assert_eq!(ask().status, 200);
        let refused = ask();
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        assert_eq!(refused.header("x-ratelimit-reset"), Some("1780051560"));
    }

    #[test]
    fn what_is_not_there_is_404_in_the_envelope() {
        let mut bench = Bench::new();
        for path in ["/nonsense", "/actions/actions/x/y/z", "/guardian/factors/"] {
            assert_eq!(bench.get(path).0, 404, "{path}");
        }
        assert_eq!(bench.delete("/prompts").0, 404);
        assert_eq!(bench.get("/prompts?colour=red").0, 400);
    }

    #[test]
    fn bodies_must_be_json_and_say_so() {
        let mut bench = Bench::new();
        let token = bench.twin.world.tenant_mut(DOMAIN).tokens[0].value.clone();
        let mut ask = |kind: &str, body: &str| {
            let headers = vec![
                ("authorization".to_owned(), format!("Bearer {token}")),
                ("content-type".to_owned(), kind.to_owned()),
            ];
            decode(bench.send(DOMAIN, Method::Patch, "/api/v2/prompts", headers, body.as_bytes().to_vec())).0
        };
        assert_eq!(ask("application/json", "{"), 400);
        assert_eq!(ask("text/plain", "{\"identifier_first\":true}"), 415);
        assert_eq!(ask("application/json; charset=utf-8", "{\"identifier_first\":true}"), 200);
    }
}

//! The token endpoint: client credentials with a secret or a signed assertion.
//!
//! Errors have OAuth's shape, not that of the Management API. The twin checks every part of an assertion except its
//! signature: it has no cryptography and knows no keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_wire::ApiRequest;
use serde_json::{Map, Value, json};

use super::super::options::{ALL_SCOPES, Options};
use super::super::wire::{Reply, pairs};
use super::super::world::{Token, World};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion may be valid for at most five minutes (Auth0 docs, private key JWT, 2026-08).
const ASSERTION_LIFETIME_S: u64 = 300;
/// Clock skew allowed for `iat` and `nbf` (same page).
const SKEW_S: u64 = 10;

pub fn issue(world: &mut World, options: &Options, domain: &str, request: &ApiRequest, now_ms: u64) -> Reply {
    match try_issue(world, options, domain, request, now_ms) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn try_issue(
    world: &mut World,
    options: &Options,
    domain: &str,
    request: &ApiRequest,
    now_ms: u64,
) -> Result<Reply, Reply> {
    let fields = read(request)?;
    let get = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(error(403, "unauthorized_client", "Grant type not allowed for the client.")),
        None => return Err(error(400, "invalid_request", "Missing required parameter: grant_type")),
    }
    let audience =
        get("audience").ok_or_else(|| error(403, "access_denied", "No audience parameter was provided"))?;
    if audience != format!("https://{domain}/api/v2/") {
        let text = format!("Service not enabled within domain: {audience}");
        return Err(error(403, "access_denied", &text));
    }
    let tenant = world.tenants.get_mut(domain).ok_or_else(|| error(404, "not_found", "Not Found"))?;
    let client_id = match (get("client_assertion"), get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(error(400, "invalid_request", "Multiple client authentication methods"));
        }
        (Some(assertion), None) => {
            if get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(error(400, "invalid_request", "Unsupported client_assertion_type"));
            }
            let claims = check_assertion(assertion, &[domain, &request.host], now_ms)?;
            tenant.used_assertions.retain(|_, forget_at_ms| *forget_at_ms > now_ms);
            if tenant.used_assertions.contains_key(&claims.jti) {
                return Err(error(401, "invalid_client", "client_assertion: jti was already used"));
            }
            if get("client_id").is_some_and(|id| id != claims.client_id) {
                return Err(error(401, "invalid_client", "client_id does not match the assertion"));
            }
            tenant.used_assertions.insert(claims.jti, (claims.exp_s + SKEW_S) * 1_000);
            claims.client_id
        }
        (None, Some(secret)) if !secret.is_empty() => {
            let client_id = get("client_id").filter(|id| !id.is_empty());
            let client_id = client_id
                .ok_or_else(|| error(400, "invalid_request", "Missing required parameter: client_id"))?;
            let known = tenant.credentials.iter().find(|credential| credential.client_id == client_id);
            if known.is_some_and(|credential| credential.client_secret.as_deref() != Some(secret)) {
                return Err(error(401, "access_denied", "Unauthorized"));
            }
            client_id.to_owned()
        }
        _ => return Err(error(401, "access_denied", "Unauthorized")),
    };
    let granted: Vec<String> = if tenant.credentials.is_empty() {
        options.scopes.clone().unwrap_or_else(|| ALL_SCOPES.iter().map(|scope| (*scope).to_owned()).collect())
    } else {
        let known = tenant.credentials.iter().find(|credential| credential.client_id == client_id);
        let known = known.ok_or_else(|| error(401, "access_denied", "Unauthorized"))?;
        known.scopes.clone().ok_or_else(|| {
            let text = format!(
                "Client is not authorized to access \"{audience}\". You need to create a client grant."
            );
            error(403, "access_denied", &text)
        })?
    };
    let token = Token {
        value: format!("twin.{}.{}", world.ids.word(24), world.ids.word(24)),
        host: request.host.clone(),
        scopes: granted,
        expires_at_ms: now_ms.saturating_add(options.token_lifetime_s.saturating_mul(1_000)),
    };
    let reply = json!({
        "access_token": token.value,
        "scope": token.scopes.join(" "),
        "expires_in": options.token_lifetime_s,
        "token_type": "Bearer",
    });
    tenant.tokens.retain(|old| old.expires_at_ms > now_ms);
    tenant.tokens.push(token);
    Ok(Reply::json(200, &reply))
}

/// The fields of a form, or of a JSON object whose values are all strings.
fn read(request: &ApiRequest) -> Result<Vec<(String, String)>, Reply> {
    let malformed = || error(400, "invalid_request", "The request body could not be read");
    let content_type = request.header("content-type").unwrap_or_default();
    let text = std::str::from_utf8(&request.body).map_err(|_| malformed())?;
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return pairs(text).ok_or_else(malformed);
    }
    if !content_type.starts_with("application/json") {
        return Err(malformed());
    }
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| malformed())?;
    object
        .into_iter()
        .map(|(key, value)| Some((key, value.as_str()?.to_owned())))
        .collect::<Option<_>>()
        .ok_or_else(malformed)
}

struct Claims {
    client_id: String,
    jti: String,
    exp_s: u64,
}

fn check_assertion(assertion: &str, hosts: &[&str], now_ms: u64) -> Result<Claims, Reply> {
    let bad = |what: &str| error(401, "invalid_client", &format!("client_assertion: {what}"));
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(bad("not a signed token")) };
    if signature.is_empty() {
        return Err(bad("not a signed token"));
    }
    let object = |part: &str| -> Option<Map<String, Value>> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let header = object(header).ok_or_else(|| bad("the header is not readable"))?;
    let claims = object(claims).ok_or_else(|| bad("the claims are not readable"))?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if !["RS256", "RS384", "PS256"].contains(&algorithm) {
        return Err(bad("the algorithm is not supported"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(issuer), Some(subject)) = (text("iss"), text("sub")) else {
        return Err(bad("iss and sub are required"));
    };
    if issuer != subject {
        return Err(bad("iss and sub differ"));
    }
    let good = |value: &Value| {
        value.as_str().is_some_and(|value| hosts.iter().any(|host| value == format!("https://{host}/")))
    };
    let audience = claims.get("aud");
    if !audience.is_some_and(|aud| good(aud) || aud.as_array().is_some_and(|list| list.iter().any(good))) {
        return Err(bad("aud is not this tenant"));
    }
    let jti = text("jti").ok_or_else(|| bad("jti is required"))?;
    let now_s = now_ms / 1_000;
    let exp_s = claims.get("exp").and_then(Value::as_u64).ok_or_else(|| bad("exp is required"))?;
    if exp_s <= now_s {
        return Err(bad("expired"));
    }
    if exp_s > now_s + ASSERTION_LIFETIME_S {
        return Err(bad("exp is too far ahead"));
    }
    for name in ["iat", "nbf"] {
        if claims.get(name).and_then(Value::as_u64).is_some_and(|value| value > now_s + SKEW_S) {
            return Err(bad("not yet valid"));
        }
    }
    Ok(Claims { client_id: issuer.to_owned(), jti: jti.to_owned(), exp_s })
}

fn error(status: u16, code: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": code, "error_description": description }))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use lockstep_wire::Method;
    use serde_json::{Value, json};

    use crate::bench::{Bench, DOMAIN, decode};
    use crate::world::Credential;

    fn request() -> Value {
        json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret",
            "audience": format!("https://{DOMAIN}/api/v2/")})
    }

    fn assertion(claims: &Value, alg: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": alg, "typ": "JWT"})), part(claims))
    }

    #[test]
    fn forms_and_json_are_both_taken() {
        let mut bench = Bench::new();
        let (status, token) = bench.token_request(&request());
        assert_eq!(status, 200);
        assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(86_400)));
        assert!(token["scope"].as_str().unwrap_or_default().contains("create:log_streams"));
        let form = format!(
            "grant_type=client_credentials&client_id=id&client_secret=s&audience=https%3A%2F%2F{DOMAIN}%2Fapi%2Fv2%2F"
        );
        let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        assert_eq!(
            decode(bench.send(DOMAIN, Method::Post, "/oauth/token", headers, form.into_bytes())).0,
            200
        );
    }

    #[test]
    fn errors_are_of_the_other_shape() {
        let mut bench = Bench::new();
        let tenant = bench.twin.world.tenant_mut(DOMAIN);
        let known = |id: &str, scopes: Option<Vec<String>>| Credential {
            client_id: id.into(),
            client_secret: Some("secret".into()),
            scopes,
        };
        tenant.credentials = vec![known("id", Some(vec!["read:actions".into()])), known("no-grant", None)];
        let cases = [
            ("client_secret", json!("wrong"), 401),
            ("client_secret", json!(""), 401),
            ("client_id", json!("stranger"), 401),
            ("client_id", json!("no-grant"), 403),
            ("audience", json!(format!("https://{DOMAIN}/api/v2")), 403),
            ("grant_type", json!("password"), 403),
        ];
        for (key, value, expected) in cases {
            let mut body = request();
            body[key] = value;
            let (status, refused) = bench.token_request(&body);
            assert_eq!(status, expected, "{key} {refused}");
            assert!(refused["error"].is_string() && refused["error_description"].is_string());
        }
        let (_, token) = bench.token_request(&request());
        assert_eq!(token["scope"], "read:actions");
    }

    #[test]
    fn assertions_are_checked_but_for_their_signature() {
        let mut bench = Bench::new();
        let now_s = bench.now_ms / 1_000;
        let good = json!({"iss": "id", "sub": "id", "aud": format!("https://{DOMAIN}/"), "jti": "1",
            "iat": now_s, "exp": now_s + 60});
        let mut ask = |claims: &Value, alg: &str| {
            let body = json!({"grant_type": "client_credentials", "audience": format!("https://{DOMAIN}/api/v2/"),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion(claims, alg)});
            bench.token_request(&body).0
        };
        assert_eq!(ask(&good, "RS256"), 200);
        assert_eq!(ask(&good, "RS256"), 401, "used before");
        let bad = [
            ("aud", json!(format!("https://{DOMAIN}"))),
            ("exp", json!(now_s)),
            ("exp", json!(now_s + 301)),
            ("sub", json!("other")),
            ("iat", json!(now_s + 60)),
            ("jti", Value::Null),
        ];
        for (at, (key, value)) in bad.into_iter().enumerate() {
            let mut claims = good.clone();
            claims["jti"] = json!(format!("bad {at}"));
            claims[key] = value;
            assert_eq!(ask(&claims, "RS256"), 401, "{key}");
        }
        let mut fresh = good.clone();
        fresh["jti"] = json!("2");
        assert_eq!(ask(&fresh, "HS256"), 401);
        assert_eq!(ask(&fresh, "PS256"), 200);
    }
}

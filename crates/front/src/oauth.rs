//! The protocol: authorization code with PKCE, tokens, discovery, logout.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_twin::Twin;
use lockstep_twin::world::Tenant;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value as Json, json};

use super::login::{COOKIE, Login, Proof, Session};
use super::told::Entry;
use super::{Ask, Fields, Front, KEPT_MAX, Reply, Signer, Step, pages, query};

/// An authorization code counts for this long.
const CODE_LIFE_MS: u64 = 60_000;
/// Lifetime of an ID token, in seconds (Auth0 docs, ID token lifetime, 2026).
const ID_TOKEN_S: u64 = 36_000;
/// Lifetime of an access token for `/userinfo`, in seconds (same page).
const ACCESS_TOKEN_S: u64 = 86_400;

/// An authorization code, a refresh token or an access token.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    kind: Kind,
    domain: String,
    host: String,
    client_id: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    scope: String,
    user_id: String,
    proofs: Vec<Proof>,
    /// `u64::MAX`: it does not end.
    until_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    Refresh,
    Access,
}

/// Bytes as the parts of a JWT are written.
pub(super) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn token(&self, claims: &Json) -> String {
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.id });
        let text =
            format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = encoded(&(self.sign)(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

fn error(status: u16, code: &str, words: &str) -> Reply {
    Reply::json(status, &json!({ "error": code, "error_description": words }))
}

/// The texts of a list of a client.
fn listed<'a>(client: &'a Map<String, Json>, key: &str) -> Vec<&'a str> {
    client.get(key).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |at| after + at);
    &url[..end]
}

/// Origins whose scripts may read the replies of this tenant.
fn may_read(tenant: &Tenant, origin_of: &str) -> bool {
    tenant.clients.values().any(|client| {
        let own = ["web_origins", "allowed_origins"].iter().flat_map(|key| listed(client, key));
        let callbacks = listed(client, "callbacks").into_iter().map(origin);
        own.chain(callbacks).any(|known| known == origin_of)
    })
}

/// The discovery document (OpenID Connect Discovery 1.0, 3).
pub(super) fn discovery(host: &str) -> Reply {
    let at = |path: &str| format!("https://{host}{path}");
    Reply::json(
        200,
        &json!({
            "issuer": at("/"),
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/oauth/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/.well-known/jwks.json"),
            "end_session_endpoint": at("/oidc/logout"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "web_message"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "amr", "nonce", "name", "email"],
        }),
    )
    .with("access-control-allow-origin", "*".into())
}

impl Login {
    /// The answer to the application that began this login.
    pub(super) fn answered(&self, pairs: &[(&str, &str)]) -> Reply {
        let mut pairs = pairs.to_vec();
        pairs.extend(self.oauth_state.as_deref().map(|state| ("state", state)));
        if self.is_message {
            return pages::message(&pairs, origin(&self.redirect_uri));
        }
        let join = if self.redirect_uri.contains('?') { '&' } else { '?' };
        Reply::found(format!("{}{join}{}", self.redirect_uri, query(&pairs)))
    }

    pub(super) fn refused(&self, code: &str, words: &str) -> Reply {
        self.answered(&[("error", code), ("error_description", words)])
    }
}

impl Front {
    /// The keys of the tokens.
    pub(super) fn keys(&self) -> Reply {
        let key = json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.signer.id,
            "n": encoded(&self.signer.n),
            "e": encoded(&self.signer.e),
        });
        Reply::json(200, &json!({ "keys": [key] })).with("access-control-allow-origin", "*".into())
    }

    pub(super) fn authorize(
        &mut self,
        twin: &mut Twin,
        domain: &str,
        ask: &Ask,
        fields: &Fields,
        now_ms: u64,
    ) -> Step {
        // Who asks is checked first: nobody is sent to an address that no application has.
        let refused = |title: &str, help: &str| Step::Reply(Reply::html(400, pages::problem(title, help)));
        let client_id = fields.text("client_id");
        let tenant = &twin.world.tenants[domain];
        let Some(client) = tenant.clients.get(client_id) else {
            return refused("There is no such application", &format!("client_id {client_id:?} is not known"));
        };
        let redirect_uri = fields.text("redirect_uri");
        if !listed(client, "callbacks").contains(&redirect_uri) {
            let help = format!("add {redirect_uri:?} to the callbacks of the application");
            return refused("The address to go back to is not allowed", &help);
        }
        let mut login = Login {
            domain: domain.to_owned(),
            host: ask.host.clone(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            is_message: fields.get("response_mode") == Some("web_message"),
            oauth_state: fields.get("state").map(str::to_owned),
            nonce: fields.get("nonce").map(str::to_owned),
            challenge: fields.text("code_challenge").to_owned(),
            scope: fields.get("scope").unwrap_or("openid profile email").to_owned(),
            user_agent: ask.header("user-agent").unwrap_or_default().chars().take(300).collect(),
            is_silent: fields.get("prompt") == Some("none"),
            ..Login::default()
        };
        if login.is_message && !may_read(tenant, origin(redirect_uri)) {
            return refused(
                "A script of this origin may not ask",
                "add it to the web origins of the application",
            );
        }
        if fields.get("response_type") != Some("code") {
            return Step::Reply(login.refused("unsupported_response_type", "this tenant gives codes alone"));
        }
        if login.challenge.is_empty() || fields.get("code_challenge_method") != Some("S256") {
            return Step::Reply(
                login.refused("invalid_request", "an application without a secret needs PKCE with S256"),
            );
        }
        let session = ask.cookie(COOKIE).and_then(|cookie| self.sessions.get(cookie));
        let session =
            session.filter(|session| session.domain == domain && fields.get("prompt") != Some("login"));
        if let Some(session) = session {
            login.user_id.clone_from(&session.user_id);
            login.proofs.clone_from(&session.proofs);
        }
        self.hop(now_ms, "the application asks to sign in", None);
        self.begin(twin, login, now_ms)
    }

    /// Keeps a code or a token; where there are too many, one of the others is forgotten.
    fn keep(&mut self, key: String, grant: Grant) {
        while self.grants.len() >= KEPT_MAX {
            self.grants.pop_first();
        }
        self.grants.insert(key, grant);
    }

    /// The user has proven all that was asked: the application gets its code.
    pub(super) fn finish(&mut self, twin: &mut Twin, state: &str, now_ms: u64) -> Step {
        let Some(login) = self.logins.remove(state) else {
            return Step::Reply(Reply::html(400, pages::problem("This login is over", "begin again")));
        };
        let code = twin.world.ids.word(43);
        let grant = Grant {
            kind: Kind::Code,
            domain: login.domain.clone(),
            host: login.host.clone(),
            client_id: login.client_id.clone(),
            redirect_uri: login.redirect_uri.clone(),
            challenge: login.challenge.clone(),
            nonce: login.nonce.clone(),
            scope: login.scope.clone(),
            user_id: login.user_id.clone(),
            proofs: login.proofs.clone(),
            until_ms: now_ms.saturating_add(CODE_LIFE_MS),
        };
        self.grants.retain(|_, grant| grant.until_ms > now_ms);
        self.keep(code.clone(), grant);
        let cookie = twin.world.ids.word(32);
        let session = Session {
            domain: login.domain.clone(),
            user_id: login.user_id.clone(),
            proofs: login.proofs.clone(),
        };
        while self.sessions.len() >= KEPT_MAX {
            self.sessions.pop_first();
        }
        self.sessions.insert(cookie.clone(), session);
        if !login.is_silent {
            let details = json!({ "prompts": [] });
            self.log(twin, &login, Entry { kind: "s", description: "Successful login", details }, now_ms);
        }
        // Browsers keep a cookie for other sites, such as an application's frame, with `Secure` alone; they take loopback
        // for secure.
        let cookie = format!("{COOKIE}={cookie}; Path=/; HttpOnly; Secure; SameSite=None");
        Step::Reply(login.answered(&[("code", &code)]).with("set-cookie", cookie))
    }

    pub(super) fn token(
        &mut self,
        twin: &mut Twin,
        domain: &str,
        ask: &Ask,
        fields: &Fields,
        now_ms: u64,
    ) -> Reply {
        let reply = match ask.method.as_str() {
            "OPTIONS" => Reply { status: 204, headers: Vec::new(), body: Vec::new() },
            _ => self.issued(twin, domain, fields, now_ms).unwrap_or_else(|refused| {
                let words = String::from_utf8_lossy(&refused.body).into_owned();
                self.hop(now_ms, "tokens are refused", Some(words));
                refused
            }),
        };
        let asked = ask.header("origin").filter(|asked| may_read(&twin.world.tenants[domain], asked));
        match asked {
            Some(asked) => reply
                .with("access-control-allow-origin", asked.to_owned())
                .with("access-control-allow-headers", "content-type, auth0-client, authorization".into())
                .with("access-control-allow-methods", "POST".into())
                .with("vary", "origin".into()),
            None => reply,
        }
    }

    fn issued(
        &mut self,
        twin: &mut Twin,
        domain: &str,
        fields: &Fields,
        now_ms: u64,
    ) -> Result<Reply, Reply> {
        let wrong = |words: &str| error(403, "invalid_grant", words);
        let (key, kind) = match fields.get("grant_type") {
            Some("authorization_code") => (fields.text("code"), Kind::Code),
            _ => (fields.text("refresh_token"), Kind::Refresh),
        };
        // A code is used once, also when it is used wrongly.
        let grant = self
            .grants
            .remove(key)
            .filter(|grant| grant.kind == kind && grant.domain == domain && grant.until_ms > now_ms);
        let Some(grant) = grant else {
            return Err(wrong("the code or the refresh token is unknown, was used, or has expired"));
        };
        if fields.get("client_id") != Some(grant.client_id.as_str()) {
            return Err(wrong("it belongs to another application"));
        }
        if kind == Kind::Code {
            if fields.get("redirect_uri").is_some_and(|uri| uri != grant.redirect_uri) {
                return Err(wrong("redirect_uri is another one than before"));
            }
            let verifier = fields.text("code_verifier");
            if encoded(digest(&SHA256, verifier.as_bytes()).as_ref()) != grant.challenge {
                return Err(wrong("code_verifier does not fit the code_challenge"));
            }
        }
        let Some(user) =
            twin.world.tenants[domain].users.iter().find(|user| user.user_id == grant.user_id).cloned()
        else {
            return Err(wrong("the user is gone"));
        };
        let now_s = now_ms / 1000;
        let mut claims = json!({
            "iss": format!("https://{}/", grant.host),
            "sub": user.user_id,
            "aud": grant.client_id,
            "iat": now_s,
            "exp": now_s + ID_TOKEN_S,
            "auth_time": grant.proofs.iter().map(|proof| proof.at_ms).min().unwrap_or(now_ms) / 1000,
            "amr": amr(&grant.proofs),
            "name": user.name,
            "nickname": user.name,
            "email": user.email,
            "email_verified": true,
        });
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        let mut reply = json!({
            "id_token": self.signer.token(&claims),
            "scope": grant.scope,
            "expires_in": ACCESS_TOKEN_S,
            "token_type": "Bearer",
        });
        let mut kept = |kind: Kind, until_ms: u64| {
            let token = twin.world.ids.word(43);
            self.keep(token.clone(), Grant { kind, until_ms, ..grant.clone() });
            token
        };
        reply["access_token"] = json!(kept(Kind::Access, now_ms + ACCESS_TOKEN_S * 1000));
        if grant.scope.split(' ').any(|word| word == "offline_access") {
            reply["refresh_token"] = json!(kept(Kind::Refresh, u64::MAX));
        }
        self.hop(now_ms, "the application has its tokens", None);
        Ok(Reply::json(200, &reply))
    }

    pub(super) fn user_info(&mut self, twin: &Twin, domain: &str, ask: &Ask, now_ms: u64) -> Reply {
        let token =
            ask.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let grant = self
            .grants
            .get(token)
            .filter(|grant| grant.kind == Kind::Access && grant.domain == domain && grant.until_ms > now_ms);
        let user = grant.and_then(|grant| {
            twin.world.tenants.get(domain)?.users.iter().find(|user| user.user_id == grant.user_id)
        });
        match user {
            Some(user) => Reply::json(
                200,
                &json!({ "sub": user.user_id, "name": user.name, "email": user.email, "email_verified": true }),
            ),
            None => error(401, "invalid_token", "the access token is unknown or has expired"),
        }
    }

    pub(super) fn logout(&mut self, twin: &Twin, domain: &str, ask: &Ask, fields: &Fields) -> Reply {
        ask.cookie(COOKIE).map(|cookie| self.sessions.remove(cookie));
        let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None");
        let to = fields.get("returnTo").or_else(|| fields.get("post_logout_redirect_uri"));
        let tenant = &twin.world.tenants[domain];
        let client = fields.get("client_id").and_then(|id| tenant.clients.get(id));
        let urls = match client {
            Some(client) => listed(client, "allowed_logout_urls"),
            None => listed(&tenant.settings, "allowed_logout_urls"),
        };
        let reply = match to {
            None => Reply::html(200, pages::problem("You are signed out", "close this page")),
            Some(to) if urls.contains(&to) => Reply::found(to.to_owned()),
            Some(to) => {
                let help = format!("add {to:?} to the logout addresses of the application");
                Reply::html(400, pages::problem("The address to go back to is not allowed", &help))
            }
        };
        reply.with("set-cookie", cookie)
    }
}

/// The methods of authentication that a token names (`mfa`: OpenID Connect, RFC 8176).
fn amr(proofs: &[Proof]) -> Vec<&'static str> {
    if proofs.iter().any(|proof| proof.name == "mfa") { vec!["mfa"] } else { Vec::new() }
}

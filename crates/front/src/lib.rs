//! What users of a simulated tenant meet: sign-in, enrolment of a phone, the page that asks for a code, and the token
//! endpoint of an application.
//!
//! The front is pure. A request goes in; out comes a reply, or code that has to run first, whose result goes in again:
//!
//! ```text
//! Ask ─► handle ─► Step::Reply
//!           └────► Step::Run ─► (somebody runs the deployed version) ─► ran ─► Step …
//! ```
//!
//! Users, applications, factors and Actions are those of the twin's [`World`](lockstep_twin::World). Sessions, logins
//! under way and tokens live here, and end with the process. Where the front ends is said in `docs/twin.md`.

mod event;
mod login;
mod oauth;
mod pages;
mod send;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, VecDeque};

use lockstep_twin::Twin;
use lockstep_twin::wire::{pairs, percent_encode};
use lockstep_twin::world::ActionVersion;
use serde_json::Value as Json;

pub use self::told::{Hop, category};

/// Most logins under way; the oldest is forgotten.
const LOGINS_MAX: usize = 1_000;
/// Most sessions, and most codes and tokens, that are kept.
const KEPT_MAX: usize = 10_000;
/// Most hops that are kept.
const HOPS_MAX: usize = 500;

/// A request of a browser or an application.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// `GET`, `POST` or `OPTIONS`.
    pub method: String,
    /// Domain of the tenant.
    pub host: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The fields of the query, and of a form.
    fn fields(&self) -> Fields {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let mut all = pairs(query).unwrap_or_default();
        if self.method == "POST" {
            let text = String::from_utf8_lossy(&self.body);
            let is_json =
                self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
            all.extend(match is_json {
                false => pairs(&text).unwrap_or_default(),
                true => match serde_json::from_str(&text) {
                    Ok(Json::Object(map)) => map
                        .into_iter()
                        .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
                        .collect(),
                    _ => Vec::new(),
                },
            });
        }
        Fields(all)
    }

    /// A cookie of this name.
    fn cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.iter().filter(|(header, _)| header == "cookie");
        let mut each = all.flat_map(|(_, value)| value.split(';'));
        each.find_map(|one| one.trim().strip_prefix(name)?.strip_prefix('='))
    }
}

/// Fields of a query or a form.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn html(status: u16, body: maud::Markup) -> Reply {
        let policy = format!(
            "default-src 'none'; style-src '{}'; form-action *; base-uri 'none'; frame-ancestors 'self'",
            pages::style_hash()
        );
        Reply {
            status,
            headers: vec![
                ("content-type".into(), "text/html; charset=utf-8".into()),
                ("content-security-policy".into(), policy),
                ("cache-control".into(), "no-store".into()),
                ("referrer-policy".into(), "no-referrer".into()),
                ("x-content-type-options".into(), "nosniff".into()),
            ],
            body: body.into_string().into_bytes(),
        }
    }

    fn json(status: u16, body: &Json) -> Reply {
        Reply {
            status,
            headers: vec![
                ("content-type".into(), "application/json; charset=utf-8".into()),
                ("cache-control".into(), "no-store".into()),
            ],
            body: body.to_string().into_bytes(),
        }
    }

    fn found(location: String) -> Reply {
        let headers = vec![("location".into(), location), ("cache-control".into(), "no-store".into())];
        Reply { status: 302, headers, body: Vec::new() }
    }

    fn with(mut self, name: &str, value: String) -> Reply {
        self.headers.push((name.to_owned(), value));
        self
    }
}

/// What comes next for a request.
#[derive(Debug)]
pub enum Step {
    Reply(Reply),
    /// Run this, then hand the result to [`Front::ran`].
    Run(Box<Run>),
}

/// A deployed version of an Action that has to run.
#[derive(Clone, Debug)]
pub struct Run {
    pub ticket: Ticket,
    pub domain: String,
    /// Name of the Action.
    pub action: String,
    pub action_id: String,
    pub version: ActionVersion,
    /// Such as `onExecuteCustomPhoneProvider`.
    pub handler: &'static str,
    /// Without secrets.
    pub event: Json,
}

/// Which login waits for code, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    state: String,
    after: After,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum After {
    /// A post-login Action.
    PostLogin,
    /// The message was handed over.
    Send,
}

/// What became of code that ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ran {
    /// Class and message of the error; `None`: the handler returned.
    pub error: Option<(String, String)>,
    /// Calls of `api` in order, each `{"call": "notification.drop", "arguments": […]}`.
    pub commands: Vec<Json>,
    pub ms: u64,
}

impl Ran {
    /// The arguments of all calls of that name, in order.
    fn calls<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [Json]> {
        let named = self.commands.iter().filter(move |one| one["call"] == name);
        named.map(|one| one["arguments"].as_array().map_or(&[][..], Vec::as_slice))
    }
}

/// Signs a text with RS256 (RSASSA-PKCS1-v1_5 with SHA-256).
pub type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Signs tokens.
pub struct Signer {
    sign: Sign,
    /// Modulus and exponent of the public key, big-endian.
    n: Vec<u8>,
    e: Vec<u8>,
    id: String,
}

impl Signer {
    /// `n` and `e`: modulus and exponent of the public key, big-endian.
    pub fn new(n: Vec<u8>, e: Vec<u8>, sign: Sign) -> Signer {
        let id = oauth::encoded(ring::digest::digest(&ring::digest::SHA256, &n).as_ref());
        Signer { sign, n, e, id }
    }
}

/// The front of all tenants of a twin.
pub struct Front {
    signer: Signer,
    /// By the parameter `state` of the pages.
    logins: BTreeMap<String, login::Login>,
    /// In the order in which they began.
    begun: VecDeque<String>,
    /// By the value of the cookie.
    sessions: BTreeMap<String, login::Session>,
    /// Authorization codes and refresh tokens that were not used yet.
    grants: BTreeMap<String, oauth::Grant>,
    hops: VecDeque<Hop>,
    /// Number of the last hop.
    told: u64,
}

impl Front {
    pub fn new(signer: Signer) -> Front {
        Front {
            signer,
            logins: BTreeMap::new(),
            begun: VecDeque::new(),
            sessions: BTreeMap::new(),
            grants: BTreeMap::new(),
            hops: VecDeque::new(),
            told: 0,
        }
    }

    /// Whether a path is one of the front's; all others are the Management API's.
    pub fn serves(ask: &Ask) -> bool {
        let route = ask.route();
        let is_page = ["/authorize", "/v2/logout", "/userinfo", "/oidc/logout"].contains(&route)
            || route.starts_with("/u/")
            || route.starts_with("/.well-known/");
        // Client credentials are the business of the Management API.
        let is_token = route == "/oauth/token"
            && (ask.method == "OPTIONS"
                || ["authorization_code", "refresh_token"].contains(&ask.fields().text("grant_type")));
        is_page || is_token
    }

    /// Answers a request, or says what has to run first. `now_ms` is Unix time.
    pub fn handle(&mut self, twin: &mut Twin, ask: &Ask, now_ms: u64) -> Step {
        let domain = twin.world.custom_domains.get(&ask.host).cloned().unwrap_or_else(|| ask.host.clone());
        if !twin.world.tenants.contains_key(&domain) {
            return Step::Reply(Reply::html(404, pages::problem("There is no such tenant", &domain)));
        }
        let fields = ask.fields();
        let is_get = ask.method == "GET";
        match (ask.route(), is_get) {
            ("/oauth/token", false) => Step::Reply(self.token(twin, &domain, ask, &fields, now_ms)),
            ("/.well-known/openid-configuration", true) => Step::Reply(oauth::discovery(&ask.host)),
            ("/.well-known/jwks.json", true) => Step::Reply(self.keys()),
            ("/userinfo", true) => Step::Reply(self.user_info(twin, &domain, ask, now_ms)),
            ("/v2/logout" | "/oidc/logout", true) => Step::Reply(self.logout(twin, &domain, ask, &fields)),
            ("/authorize", _) => self.authorize(twin, &domain, ask, &fields, now_ms),
            (route, _) if route.starts_with("/u/") => self.page(twin, &domain, ask, &fields, now_ms),
            _ => Step::Reply(Reply::html(404, pages::problem("There is no such page", ask.route()))),
        }
    }

    /// The hops of logins after that number, oldest first.
    pub fn hops(&self, after: u64) -> impl Iterator<Item = &Hop> {
        self.hops.iter().filter(move |hop| hop.number > after)
    }

    /// Adds a hop that happened elsewhere.
    pub fn hop(&mut self, at_ms: u64, what: &str, failure: Option<String>) {
        self.told += 1;
        self.hops.push_back(Hop { number: self.told, at_ms, what: what.to_owned(), failure });
        while self.hops.len() > HOPS_MAX {
            self.hops.pop_front();
        }
    }
}

/// A query out of pairs.
fn query(pairs: &[(&str, &str)]) -> String {
    let each: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
    each.join("&")
}

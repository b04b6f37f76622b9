//! The page `/__twin/login`: sign-in and phone side by side, the hops of each login, and switches that break things. It is
//! open to this machine's own browser alone, like the other page of the twin.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_front::{Ask, Reply};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};
use serde_json::{Value as Json, json};

use super::super::twin_page::is_loopback;
use super::Loop;
use super::switches::ALL;
use crate::twin::wire::pairs;

/// Path of the page.
pub const PREFIX: &str = "/__twin/login";
/// The button for time lets so much pass: the life of a code.
const WAIT_MS: u64 = 300_000;
const STYLE: &str = include_str!("login.css");
const SCRIPT: &str = include_str!("login.js");

/// Content of the application's frame.
pub trait Frame {
    fn framed(self) -> Reply;
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

fn headers(kind: &str, ancestors: &str) -> Vec<(String, String)> {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; frame-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors {ancestors}",
        hash(STYLE),
        hash(SCRIPT)
    );
    [
        ("content-type", kind),
        ("content-security-policy", policy.as_str()),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn document(title: &str, content: &Markup, has_script: bool) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) @if has_script { script { (PreEscaped(SCRIPT)) } } }
        }
    };
    markup.into_string()
}

/// A page for the frame of the application.
pub(super) fn frame(title: &str, content: &Markup) -> Reply {
    let content = html! { main.narrow { h1 { (title) } (content) } };
    Reply {
        status: 200,
        headers: headers("text/html; charset=utf-8", "'self'"),
        body: document(title, &content, false).into_bytes(),
    }
}

fn plain(status: u16, text: &str) -> Reply {
    Reply {
        status,
        headers: headers("text/plain; charset=utf-8", "'none'"),
        body: format!("{text}\n").into_bytes(),
    }
}

/// Whether a path belongs to this page.
pub fn is_asked(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Loop {
    /// Answers a request for which [`is_asked`] holds. `fetch_site` is the header that browsers set and pages cannot forge.
    pub async fn page(self: &Rc<Self>, ask: &Ask, fetch_site: Option<&str>) -> Reply {
        // A foreign name may point at this machine (DNS rebinding), and other sites may link here: they get nothing.
        if !is_loopback(&ask.host) {
            return plain(421, "open it as http://127.0.0.1:PORT/__twin/login");
        }
        if !matches!(fetch_site, None | Some("none" | "same-origin")) {
            return plain(403, "not from another site");
        }
        let path = ask.path.split('?').next().unwrap_or_default();
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        if let Some(inner) = rest.strip_prefix("/at/") {
            return self.at(ask, inner).await;
        }
        match (ask.method.as_str(), rest) {
            ("GET", "") => self.whole(),
            ("GET", "/app") => self.app().framed(),
            ("GET", "/begin") => self.begin(),
            ("GET", "/done") => self.done(&ask.path).await.framed(),
            ("GET", "/state.json") => self.state(ask),
            ("POST", "/switch") => self.switch(ask),
            ("POST", "/wait") => {
                self.pass(WAIT_MS);
                plain(200, "so late it is")
            }
            _ => plain(404, "there is no such page"),
        }
    }

    /// The tenant's own pages below this path, so that a browser needs no other host name.
    async fn at(self: &Rc<Self>, ask: &Ask, inner: &str) -> Reply {
        let Some((domain, _)) = inner.split_once('/') else { return plain(404, "there is no such page") };
        let path = ask.path[PREFIX.len() + "/at/".len() + domain.len()..].to_owned();
        let inner = Ask { host: domain.to_owned(), path, ..ask.clone() };
        match self.twin.borrow().world.tenants.contains_key(domain) && lockstep_front::Front::serves(&inner) {
            true => {}
            false => return plain(404, "there is no such page"),
        }
        self.answer(&inner).await
    }

    fn whole(&self) -> Reply {
        let user =
            self.twin.borrow().world.tenants.get(&self.domain).and_then(|one| one.users.first().cloned());
        let on = self.switches.borrow().json();
        let content = html! {
            header {
                h1 { "Lockstep twin: a login" }
                p { (self.domain) " · " a href="/__twin/" { "the world, and all requests" } }
                @if let Some(user) = &user {
                    p { "Sign in as " code #email { (user.email) } " with the password " code #password { (user.password) } }
                }
                p #state.bad role="status" {}
            }
            div.sides {
                section aria-label="Sign-in" {
                    h2 { "Sign-in" }
                    iframe title="Sample application and sign-in" src=(format!("{PREFIX}/app")) {}
                }
                section aria-label="Phone" {
                    h2 { "Phone" }
                    ol #phone aria-live="polite" { li.quiet { "No message yet." } }
                }
            }
            div.sides {
                section aria-label="What happens" {
                    h2 { "What happens" }
                    ol #hops {}
                }
                section aria-label="Break things" {
                    h2 { "Break things" }
                    @for (name, words) in ALL {
                        label.switch {
                            input type="checkbox" name=(name) checked[on[name] == true];
                            " " (words)
                        }
                    }
                    button #wait type="button" { "Let five minutes pass" }
                    h2 { "Verify" }
                    ol #verifications {}
                }
            }
        };
        Reply {
            status: 200,
            headers: headers("text/html; charset=utf-8", "'none'"),
            body: document("Lockstep twin: a login", &content, true).into_bytes(),
        }
    }

    /// What is new, for the script.
    fn state(&self, ask: &Ask) -> Reply {
        let query = ask.path.split_once('?').map_or("", |(_, query)| query);
        let fields = pairs(query).unwrap_or_default();
        let since = fields.iter().find(|(name, _)| name == "since").and_then(|(_, value)| value.parse().ok());
        let messages = self.messages();
        let front = self.front.borrow();
        let hops: Vec<Json> = front
            .hops(since.unwrap_or(0))
            .map(|hop| json!({ "number": hop.number, "at_ms": hop.at_ms, "what": hop.what, "failure": hop.failure }))
            .collect();
        let body = json!({
            "messages": messages,
            "hops": hops,
            "verifications": self.verifications(),
            "switches": self.switches.borrow().json(),
        });
        // Escaped so that no browser can take the text for HTML.
        let text = body.to_string().replace('<', "\\u003c");
        Reply {
            status: 200,
            headers: headers("application/json; charset=utf-8", "'none'"),
            body: text.into_bytes(),
        }
    }

    fn switch(&self, ask: &Ask) -> Reply {
        let fields = pairs(&String::from_utf8_lossy(&ask.body)).unwrap_or_default();
        let get =
            |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        match self.turn(get("name"), get("on") == "true") {
            true => plain(200, "turned"),
            false => plain(404, "there is no such switch"),
        }
    }
}

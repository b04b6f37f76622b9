//! The sample application in the page: it begins a login, gets tokens, and shows what they say.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_front::{Ask, Reply};
use maud::{Markup, html};
use ring::digest::{SHA256, digest};
use serde_json::Value as Json;

use super::page::{self, PREFIX};
use super::{CLIENT, Loop};
use crate::twin::wire::{pairs, percent_encode};

/// Logins that were begun and did not come back yet: the verifier of PKCE by the value of `state`.
#[derive(Debug, Default)]
pub struct App {
    begun: BTreeMap<String, String>,
}

/// Most logins that are remembered.
const BEGUN_MAX: usize = 100;

fn found(location: String) -> Reply {
    Reply { status: 302, headers: vec![("location".into(), location)], body: Vec::new() }
}

/// What a token says.
fn claims(token: &str) -> Option<Json> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Loop {
    /// The first page of the application.
    pub(super) fn app(&self) -> Markup {
        html! {
            p { "You are not signed in." }
            form method="get" action=(format!("{PREFIX}/begin")) { button.main { "Sign in" } }
        }
    }

    /// Leads to the tenant.
    pub(super) fn begin(&self) -> Reply {
        let (state, verifier) = {
            let ids = &mut self.twin.borrow_mut().world.ids;
            (ids.word(32), ids.word(64))
        };
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
        let begun = &mut self.app.borrow_mut().begun;
        while begun.len() >= BEGUN_MAX {
            begun.pop_first();
        }
        begun.insert(state.clone(), verifier);
        found(format!(
            "{PREFIX}/at/{}/authorize?client_id={CLIENT}&redirect_uri={}&response_type=code&scope=openid%20profile%20email&state={state}&code_challenge={challenge}&code_challenge_method=S256",
            self.domain,
            percent_encode(&format!("{}{PREFIX}/done", self.origin)),
        ))
    }

    /// The user comes back from the tenant.
    pub(super) async fn done(self: &Rc<Self>, path: &str) -> Markup {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let fields: BTreeMap<String, String> = pairs(query).unwrap_or_default().into_iter().collect();
        let text = |name: &str| fields.get(name).map_or("", String::as_str);
        let again = html! { form method="get" action=(format!("{PREFIX}/begin")) { button.main { "Sign in again" } } };
        if !text("error").is_empty() {
            return html! {
                p.bad role="alert" { "The login failed: " b { (text("error")) } }
                p { (text("error_description")) }
                (again)
            };
        }
        let Some(verifier) = self.app.borrow_mut().begun.remove(text("state")) else {
            return html! { p.bad { "This application has not begun that login." } (again) };
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("code", text("code")),
            ("code_verifier", verifier.as_str()),
        ];
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        let ask = Ask {
            method: "POST".into(),
            host: self.domain.clone(),
            path: "/oauth/token".into(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: body.join("&").into_bytes(),
        };
        let reply = self.answer(&ask).await;
        let tokens: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(claims) = tokens["id_token"].as_str().and_then(claims) else {
            let words = tokens["error_description"].as_str().unwrap_or("no tokens came");
            return html! { p.bad role="alert" { (words) } (again) };
        };
        let was_asked =
            claims["amr"].as_array().is_some_and(|methods| methods.iter().any(|one| one == "mfa"));
        let out = format!(
            "{PREFIX}/at/{}/v2/logout?client_id={CLIENT}&returnTo={}",
            self.domain,
            percent_encode(&format!("{}{PREFIX}/app", self.origin))
        );
        html! {
            p.good #signed-in { "You are signed in as " b { (claims["email"].as_str().unwrap_or_default()) } "." }
            p #mfa { @if was_asked { "A second factor was proven." } @else { "No second factor was asked for." } }
            pre { (serde_json::to_string_pretty(&claims).unwrap_or_default()) }
            p { a href=(out) { "Sign out" } }
        }
    }
}

impl page::Frame for Markup {
    fn framed(self) -> Reply {
        page::frame("Sample application", &self)
    }
}

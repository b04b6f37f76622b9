//! The pages of a login. They need no script, and hold no address but relative ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value as Json, json};

use super::Reply;
use super::login::Sent;
use super::send::Channel;

const STYLE: &str = include_str!("pages.css");

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// The style as a content security policy names it.
pub(super) fn style_hash() -> String {
    hash(STYLE)
}

fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (content) } }
        }
    }
}

/// A page that says what is wrong, and what to do.
pub(super) fn problem(title: &str, help: &str) -> Markup {
    page(title, html! { p { (help) } })
}

fn told(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p.bad role="alert" { (problem) } } }
}

/// The form for e-mail address and password.
pub(super) fn sign_in(state: &str, client: &str, problem: Option<&str>) -> Markup {
    page(
        "Sign in",
        html! {
            p.quiet { "to go on to " (client) }
            (told(problem))
            form method="post" action="login" {
                input type="hidden" name="state" value=(state);
                label for="username" { "E-mail address" }
                input #username name="username" type="email" autocomplete="username" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button.main type="submit" { "Continue" }
            }
        },
    )
}

/// The form for a phone number.
pub(super) fn enrol(state: &str, can_be_called: bool, problem: Option<&str>) -> Markup {
    page(
        "Secure your account",
        html! {
            p { "Enter your phone number. A code is sent to it." }
            (told(problem))
            form method="post" action="mfa-sms-enrollment" {
                input type="hidden" name="state" value=(state);
                label for="phone" { "Phone number, with + and country code" }
                input #phone name="phone" type="tel" autocomplete="tel" required autofocus;
                button.main type="submit" name="channel" value="sms" { "Send a text message" }
                @if can_be_called {
                    button type="submit" name="channel" value="voice" { "Get a call instead" }
                }
            }
        },
    )
}

/// The end of a number, which is all that a page shows of it.
fn masked(number: &str) -> String {
    let keep = number.len().saturating_sub(4);
    number.chars().enumerate().map(|(at, ch)| if at < keep && ch != '+' { 'X' } else { ch }).collect()
}

/// The form for the code.
pub(super) fn code(state: &str, sent: &Sent, can_be_called: bool, problem: Option<&str>) -> Markup {
    let other = match sent.channel {
        Channel::Sms if can_be_called => Some(("voice", "Get a call instead")),
        Channel::Voice => Some(("sms", "Get a text message instead")),
        Channel::Sms => None,
    };
    page(
        "Verify your identity",
        html! {
            @match (&sent.failure, sent.channel) {
                (Some(_), _) => p.bad role="alert" { "The code could not be sent. Try again, or another way." },
                (None, Channel::Sms) => p { "A text message with a code went to " (masked(&sent.number)) "." },
                (None, Channel::Voice) => p { "A call with a code goes to " (masked(&sent.number)) "." },
            }
            (told(problem))
            form method="post" action="mfa-sms-challenge" {
                input type="hidden" name="state" value=(state);
                label for="code" { "The code" }
                input #code name="code" inputmode="numeric" autocomplete="one-time-code" autofocus;
                button.main type="submit" { "Continue" }
                button type="submit" name="send" value=(sent.channel.word()) { "Send it again" }
                @if let Some((channel, words)) = other {
                    button type="submit" name="send" value=(channel) { (words) }
                }
            }
        },
    )
}

/// The page that hands an answer to the frame around it (OAuth 2.0 Web Message Response Mode).
pub(super) fn message(pairs: &[(&str, &str)], target: &str) -> Reply {
    let answer: Map<String, Json> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let text = |value: &Json| value.to_string().replace('<', "\\u003c");
    let script = format!(
        "window.parent.postMessage({{type:\"authorization_response\",response:{}}},{});",
        text(&Json::Object(answer)),
        text(&json!(target))
    );
    let body = html! { (DOCTYPE) html { head { script { (PreEscaped(&script)) } } } };
    let policy = format!("default-src 'none'; script-src '{}'; frame-ancestors {target}", hash(&script));
    Reply {
        status: 200,
        headers: vec![
            ("content-type".into(), "text/html; charset=utf-8".into()),
            ("content-security-policy".into(), policy),
            ("cache-control".into(), "no-store".into()),
        ],
        body: body.into_string().into_bytes(),
    }
}

//! The pages of a served twin below `/__twin/`: the world and the requests, for people and as JSON. They can only be
//! read, by this machine's own browser, and show no secret.
//!
//! The page is written here, in one place, with every name escaped; its script does no more than ask for it again.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::authority::LOOPBACK;
use super::in_process::Simulator;

/// Where the pages are; no API of the two vendors has such a path.
pub const PREFIX: &str = "/__twin/";
const STYLE: &str = include_str!("twin_page.css");
const SCRIPT: &str = include_str!("twin_page.js");
/// Requests that the page shows.
const SHOWN_MAX: usize = 200;
/// Requests in one answer of `log.json`.
const LOG_MAX: usize = 10_000;

/// What a browser or script asked.
pub struct Ask<'a> {
    pub is_get: bool,
    /// Without the port.
    pub host: &'a str,
    /// With the query.
    pub path: &'a str,
    /// Header `Sec-Fetch-Site`, which browsers set and pages cannot forge.
    pub fetch_site: Option<&'a str>,
}

/// A reply: status, content type, body. The headers of [`headers`] go with each.
pub struct Page {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Page {
    fn text(status: u16, body: &str) -> Page {
        Page { status, content_type: "text/plain; charset=utf-8", body: format!("{body}\n") }
    }

    fn json(body: &Json) -> Page {
        // Never to be read as HTML, whatever a browser thinks of it.
        let body = body.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Page { status: 200, content_type: "application/json; charset=utf-8", body }
    }
}

/// Headers of every page. No CORS header: another site's script may not read them.
pub fn headers() -> Vec<(&'static str, String)> {
    let hash = |text: &str| STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    vec![
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff".into()),
        ("x-frame-options", "DENY".into()),
        ("referrer-policy", "no-referrer".into()),
        ("cross-origin-resource-policy", "same-origin".into()),
        ("cache-control", "no-store".into()),
    ]
}

/// Whether a host is this machine by name or number.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    LOOPBACK.contains(&bare)
}

/// Answers an ask below [`PREFIX`]. `ca_pem` is the certificate of the authority, if there is one.
pub fn answer(ask: &Ask, world: &dyn Simulator, ca_pem: Option<&str>, now_ms: u64) -> Page {
    if !ask.is_get {
        return Page::text(405, "only GET");
    }
    // A name that somebody else may point at this machine (DNS rebinding) gets nothing.
    if !is_loopback(ask.host) && !world.answers_for(ask.host) {
        return Page::text(421, "not a host of this twin; use http://127.0.0.1:PORT/__twin/");
    }
    // Links from other sites may open the page; scripts and images of other sites get nothing.
    if !matches!(ask.fetch_site, None | Some("none" | "same-origin")) {
        return Page::text(403, "not from another site");
    }
    let (path, query) = ask.path.split_once('?').unwrap_or((ask.path, ""));
    match path.strip_prefix(PREFIX) {
        Some("") => match world.picture(now_ms) {
            Some(picture) => Page {
                status: 200,
                content_type: "text/html; charset=utf-8",
                body: html(&picture, &world.requests(0, SHOWN_MAX)),
            },
            None => Page::text(404, "this simulator has no picture of itself"),
        },
        Some("world.json") => Page::json(&world.picture(now_ms).unwrap_or_default()),
        Some("log.json") => {
            let since = query.split('&').find_map(|pair| pair.strip_prefix("since="));
            match since.map_or(Ok(0), str::parse) {
                Ok(since) => Page::json(&json!({ "requests": world.requests(since, LOG_MAX) })),
                Err(_) => Page::text(400, "since is the number of a request"),
            }
        }
        Some("ca.pem") => match ca_pem {
            Some(pem) => Page { status: 200, content_type: "application/x-pem-file", body: pem.to_owned() },
            None => Page::text(404, "no certificate authority: start with --tls"),
        },
        _ => Page::text(
            404,
            "there are: /__twin/, /__twin/world.json, /__twin/log.json?since=N, /__twin/ca.pem",
        ),
    }
}

/// Text for HTML. Control characters are shown by their picture, direction marks and the like by their number, so that
/// no name can pass for another.
fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(ch)).unwrap_or('\u{fffd}')),
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(ch));
            }
            other => out.push(other),
        }
    }
    out
}

/// A value as escaped text: strings bare, nothing for null, lists joined.
fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => esc(text),
        Json::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        other => esc(&other.to_string()),
    }
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn table(out: &mut String, title: &str, heads: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(out, "<h3>{title}</h3><table><tr>");
    heads.iter().for_each(|head| {
        let _ = write!(out, "<th>{head}</th>");
    });
    out.push_str("</tr>");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| {
            let _ = write!(out, "<td>{cell}</td>");
        });
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

/// A word with a colour of its meaning.
fn word(value: &Json) -> String {
    let shown = text(value);
    let class = match value.as_str().unwrap_or_default() {
        "built" | "active" | "completed" | "approved" => "ok",
        "failed" | "suspended" | "closed" => "bad",
        "pending" | "building" | "retrying" | "packaged" | "paused" => "warn",
        _ => "",
    };
    format!("<span class=\"{class}\">{shown}</span>")
}

fn html(picture: &Json, requests: &[Json]) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lockstep twin</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <header><h1>Lockstep twin</h1>"
    );
    let _ = write!(
        out,
        "<span id=\"facts\"><span class=\"mono\">{}</span> · {} requests · rate {} · latency {} ms · JSON: \
         <a href=\"/__twin/world.json\">world</a>, <a href=\"/__twin/log.json\">log</a></span>",
        text(&picture["clock"]),
        text(&picture["requests"]),
        text(&picture["options"]["rate"]),
        text(&picture["options"]["latency_ms"])
    );
    out.push_str("<span id=\"state\" class=\"bad\"></span><label><input type=\"checkbox\" id=\"pause\"> pause</label></header><main>");
    out.push_str("<div id=\"world\">");
    faults(&mut out, list(&picture["faults"]));
    let (tenants, accounts) = (list(&picture["tenants"]), list(&picture["accounts"]));
    if tenants.is_empty() && accounts.is_empty() {
        out.push_str("<section><h2>The world is empty</h2><p>Tenants and accounts appear with their first request.</p></section>");
    }
    tenants.iter().for_each(|one| tenant(&mut out, one));
    accounts.iter().for_each(|one| account(&mut out, one));
    out.push_str("</div><div id=\"requests\">");
    log(&mut out, requests);
    let _ = write!(out, "</div></main><script>{SCRIPT}</script></body></html>");
    out
}

fn faults(out: &mut String, rules: &[Json]) {
    if rules.is_empty() {
        return;
    }
    out.push_str("<section><h2>Faults</h2>");
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            let over = rule["over"].as_bool().unwrap_or_default();
            let state =
                if over { "<span class=\"off\">over</span>" } else { "<span class=\"warn\">active</span>" };
            vec![format!("<code>{}</code>", text(&rule["rule"])), text(&rule["matched"]), state.to_owned()]
        })
        .collect();
    table(out, "in this order", &["rule", "matched", ""], &rows);
    out.push_str("</section>");
}

fn tenant(out: &mut String, one: &Json) {
    let _ = write!(out, "<section><h2>{}</h2>", text(&one["domain"]));
    let hosts = text(&one["custom_domains"]);
    if !hosts.is_empty() {
        let _ = write!(out, "<p>also as {hosts}</p>");
    }
    let actions: Vec<Vec<String>> = list(&one["actions"]).iter().map(action).collect();
    table(out, "Actions", &["name", "trigger", "runtime", "draft", "secrets", "versions"], &actions);
    let mut bound = Vec::new();
    for (trigger, entries) in one["bindings"].as_object().into_iter().flatten() {
        for (at, entry) in list(entries).iter().enumerate() {
            let place = format!("{} {}", esc(trigger), at + 1);
            bound.push(vec![place, text(&entry["display_name"]), text(&entry["action"])]);
        }
    }
    table(out, "Bindings", &["trigger", "shown as", "Action"], &bound);
    let providers: Vec<Vec<String>> = list(&one["phone_providers"])
        .iter()
        .map(|one| {
            let state = if one["disabled"] == true { "<span class=\"bad\">disabled</span>" } else { "on" };
            vec![text(&one["name"]), text(&one["delivery_methods"]), text(&one["credentials"]), state.into()]
        })
        .collect();
    table(out, "Phone provider", &["kind", "delivers", "credentials", ""], &providers);
    out.push_str("<h3>MFA</h3><p>");
    for factor in list(&one["factors"]) {
        let class = if factor["enabled"] == true { "tag on" } else { "tag off" };
        let mark = if factor["enabled"] == true { "✓ " } else { "" };
        let _ = write!(out, "<span class=\"{class}\">{mark}{}</span>", text(&factor["name"]));
    }
    let or = |value: &Json, other: &str| {
        let shown = text(value);
        if shown.is_empty() { format!("<span class=\"nothing\">{other}</span>") } else { shown }
    };
    let _ = write!(
        out,
        "</p><p>policy: {} · message types: {} · unified phone: {} · legacy provider: {} · login: {}</p>",
        or(&one["policy"], "never"),
        or(&one["message_types"], "never set"),
        or(&one["unified_phone"], "not shown"),
        text(&one["selected_provider"]),
        text(&one["login_experience"])
    );
    let streams: Vec<Vec<String>> = list(&one["log_streams"])
        .iter()
        .map(|one| {
            vec![
                text(&one["name"]),
                text(&one["type"]),
                word(&one["status"]),
                text(&one["endpoint"]),
                text(&one["filters"]),
                text(&one["authorization"]),
            ]
        })
        .collect();
    let heads = ["name", "type", "status", "endpoint", "filters", "authorization"];
    table(out, "Log streams", &heads, &streams);
    out.push_str("</section>");
}

fn action(one: &Json) -> Vec<String> {
    let versions = list(&one["versions"]);
    let mut shown = String::new();
    if !versions.is_empty() {
        let live = versions.iter().find(|version| version["live"] == true);
        let summary = match live {
            Some(version) => format!("{} of {} live", text(&version["number"]), versions.len()),
            None => format!("{}, none live", versions.len()),
        };
        let _ = write!(shown, "<details id=\"v-{}\"><summary>{summary}</summary>", text(&one["id"]));
        for version in versions {
            let mark = if version["live"] == true { " <span class=\"ok\">live</span>" } else { "" };
            let _ = write!(
                shown,
                "<div class=\"mono\">{} {} {}{mark}</div>",
                text(&version["number"]),
                text(&version["created_at"]),
                text(&version["runtime"])
            );
        }
        shown.push_str("</details>");
    } else {
        shown.push_str("<span class=\"nothing\">none</span>");
    }
    let same = if one["draft_is_live"] == true { ", live" } else { "" };
    let secrets: Vec<String> = list(&one["secrets"]).iter().map(|secret| text(&secret["name"])).collect();
    vec![
        text(&one["name"]),
        text(&one["triggers"]),
        text(&one["runtime"]),
        format!("{}{same}", word(&one["status"])),
        secrets.join(", "),
        shown,
    ]
}

fn account(out: &mut String, one: &Json) {
    let _ = write!(out, "<section><h2>Twilio account <span class=\"mono\">{}</span></h2>", text(&one["sid"]));
    if one["status"] != "active" {
        let _ = write!(out, "<p class=\"bad\">{}</p>", text(&one["status"]));
    }
    let services: Vec<Vec<String>> = list(&one["verify_services"])
        .iter()
        .map(|one| {
            let limits: Vec<String> = list(&one["rate_limits"])
                .iter()
                .map(|limit| format!("{} ({})", text(&limit["unique_name"]), text(&limit["buckets"])))
                .collect();
            vec![
                text(&one["friendly_name"]),
                format!("<code>{}</code>", text(&one["sid"])),
                text(&one["code_length"]),
                if one["custom_code_enabled"] == true { "on".into() } else { "off".into() },
                limits.join("; "),
                text(&one["messaging_configurations"]),
                text(&one["verifications"]),
            ]
        })
        .collect();
    let heads = ["name", "SID", "digits", "custom code", "rate limits", "messaging", "verifications"];
    table(out, "Verify services", &heads, &services);
    for service in list(&one["serverless"]) {
        let _ = write!(
            out,
            "<h3>Serverless {}</h3><p><code>{}</code></p>",
            text(&service["unique_name"]),
            text(&service["sid"])
        );
        let environments: Vec<Vec<String>> = list(&service["environments"])
            .iter()
            .map(|one| {
                let build = text(&one["build_sid"]);
                vec![
                    text(&one["unique_name"]),
                    text(&one["domain_name"]),
                    if build.is_empty() {
                        "nothing deployed".into()
                    } else {
                        format!("<code>{build}</code>")
                    },
                    text(&one["variables"]),
                ]
            })
            .collect();
        table(out, "Environments", &["name", "domain", "build", "variables"], &environments);
        let functions: Vec<Vec<String>> = list(&service["functions"])
            .iter()
            .map(|one| {
                vec![
                    text(&one["friendly_name"]),
                    text(&one["path"]),
                    text(&one["visibility"]),
                    text(&one["versions"]),
                ]
            })
            .collect();
        table(out, "Functions", &["name", "path", "visibility", "versions"], &functions);
        let builds: Vec<Vec<String>> = list(&service["builds"])
            .iter()
            .map(|one| {
                vec![
                    format!("<code>{}</code>", text(&one["sid"])),
                    word(&one["status"]),
                    text(&one["runtime"]),
                ]
            })
            .collect();
        table(out, "Builds", &["SID", "status", "runtime"], &builds);
    }
    let keys: Vec<Vec<String>> = list(&one["keys"])
        .iter()
        .map(|one| {
            let state = if one["deleted"] == true { "<span class=\"bad\">deleted</span>" } else { "" };
            let sid = format!("<code>{}</code>", text(&one["sid"]));
            vec![text(&one["friendly_name"]), sid, text(&one["kind"]), text(&one["allow"]), state.into()]
        })
        .collect();
    table(out, "API keys", &["name", "SID", "kind", "may", ""], &keys);
    out.push_str("</section>");
}

/// The newest first.
fn log(out: &mut String, requests: &[Json]) {
    out.push_str(
        "<section><h2>Requests</h2><p class=\"nothing\">newest first; a green edge marks what wrote</p>",
    );
    if requests.is_empty() {
        out.push_str("<p class=\"nothing\">None yet.</p></section>");
        return;
    }
    out.push_str("<table><tr><th>no.</th><th>time</th><th>request</th><th>answer</th><th>ms</th></tr>");
    for one in requests.iter().rev() {
        let class = if one["wrote"] == true { " class=\"wrote\"" } else { "" };
        let status = one["status"].as_u64();
        let color = match status {
            Some(200..400) => "ok",
            Some(400..500) => "warn",
            _ => "bad",
        };
        let mut answer = match status {
            Some(status) => status.to_string(),
            None => text(&one["fate"]),
        };
        if let Some(fault) = one["fault"].as_str() {
            let _ = write!(answer, " <span class=\"tag\">{}</span>", esc(fault));
            if let Some(served) = one["served_status"].as_u64().filter(|served| Some(*served) != status) {
                let _ = write!(answer, "(was {served})");
            }
        }
        let at = one["at"].as_str().and_then(|at| at.get(11..23)).unwrap_or_default();
        let _ = write!(
            out,
            "<tr{class}><td>{}</td><td class=\"mono\">{}</td><td class=\"path\"><span class=\"host\">{}</span> <code>{} \
             {}</code></td><td class=\"{color}\">{answer}</td><td>{}</td></tr>",
            text(&one["number"]),
            esc(at),
            text(&one["host"]),
            text(&one["method"]),
            text(&one["path"]),
            text(&one["took_ms"])
        );
    }
    out.push_str("</table></section>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{Options, Twin};

    fn ask<'a>(host: &'a str, path: &'a str) -> Ask<'a> {
        Ask { is_get: true, host, path, fetch_site: None }
    }

    const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{1b}[31m\u{202e}\"'&";

    fn twin() -> Twin {
        let mut twin = Twin::new(Options::default(), 1);
        let trigger = crate::twin::TriggerRef::new("post-login", "v3");
        let id = twin.world.add_deployed_action("acme.eu.auth0.com", HOSTILE, &trigger, 0);
        twin.world.bind("acme.eu.auth0.com", "post-login", &id, HOSTILE, 0);
        twin.world.account_mut("AC00000000000000000000000000000001").friendly_name = HOSTILE.into();
        twin
    }

    #[test]
    fn names_are_shown_and_are_never_markup() {
        let page = answer(&ask("127.0.0.1", "/__twin/"), &twin(), None, 0);
        assert_eq!(page.status, 200);
        assert!(
            !page.body.contains("<img") && !page.body.contains('\u{1b}') && !page.body.contains('\u{202e}')
        );
        let shown = "&lt;img src=x onerror=alert(1)&gt;␛[31m\\u{202e}&quot;&#39;&amp;";
        assert!(page.body.matches(shown).count() >= 3, "{}", page.body);
        let json = answer(&ask("127.0.0.1", "/__twin/world.json"), &twin(), None, 0);
        assert!(!json.body.contains('<') && json.body.contains("\\u003cimg"));
        let read: Json = serde_json::from_str(&json.body).expect("JSON");
        assert_eq!(read["tenants"][0]["actions"][0]["name"], HOSTILE);
    }

    #[test]
    fn the_script_makes_nothing_from_text() {
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
        let policy = &headers()[0].1;
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(headers().iter().all(|(name, _)| !name.starts_with("access-control")));
    }

    #[test]
    fn only_this_machine_reads_and_nobody_writes() {
        let twin = twin();
        let status = |ask: &Ask| answer(ask, &twin, None, 0).status;
        for host in ["127.0.0.1", "localhost", "[::1]", "verify.twilio.com", "acme.eu.auth0.com"] {
            assert_eq!(status(&ask(host, "/__twin/world.json")), 200, "{host}");
        }
        assert_eq!(status(&ask("evil.invalid", "/__twin/")), 421);
        assert_eq!(status(&Ask { is_get: false, ..ask("127.0.0.1", "/__twin/") }), 405);
        for (site, expected) in [("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403)]
        {
            assert_eq!(status(&Ask { fetch_site: Some(site), ..ask("127.0.0.1", "/__twin/") }), expected);
        }
        assert_eq!(status(&ask("127.0.0.1", "/__twin/log.json?since=x")), 400);
        assert_eq!(status(&ask("127.0.0.1", "/__twin/other")), 404);
        assert_eq!(status(&ask("127.0.0.1", "/__twin/ca.pem")), 404);
    }
}

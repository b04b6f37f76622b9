//! The pages of a served twin below `/__twin/`: the world and the requests, for people and as JSON. The pages are
//! read-only, open only to this machine's own browser, and show no secret.
//!
//! The markup is in `twin_view`, which escapes every name. The script only loads the page again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::authority::LOOPBACK;
use super::in_process::Simulator;
use super::twin_view;

/// Path of the pages. Neither vendor's API has such a path.
pub const PREFIX: &str = "/__twin/";
pub(super) const STYLE: &str = include_str!("twin_page.css");
pub(super) const SCRIPT: &str = include_str!("twin_page.js");
/// [`PREFIX`] without its last slash.
const ENTRANCE: &str = "/__twin";
/// Most requests that the page shows.
const SHOWN_MAX: usize = 200;
/// Most requests in one answer of `log.json`.
const LOG_MAX: usize = 10_000;

/// The request of a browser or script.
pub struct Ask<'a> {
    pub is_get: bool,
    /// Without the port.
    pub host: &'a str,
    /// With the query.
    pub path: &'a str,
    /// Header `Sec-Fetch-Site`, which browsers set and pages cannot forge.
    pub fetch_site: Option<&'a str>,
}

/// A reply. The caller adds [`headers`] to each.
pub struct Page {
    pub status: u16,
    /// Address of a redirect.
    pub location: Option<&'static str>,
    pub content_type: &'static str,
    pub body: String,
}

impl Page {
    fn text(status: u16, body: &str) -> Page {
        Page { status, location: None, content_type: "text/plain; charset=utf-8", body: format!("{body}\n") }
    }

    fn json(body: &Json) -> Page {
        // Escaped so that no browser can take the text for HTML.
        let body = body.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Page { status: 200, location: None, content_type: "application/json; charset=utf-8", body }
    }
}

/// Headers of every page. There is no CORS header, so scripts of other sites cannot read the pages.
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

/// Whether a request is for the pages and not for an API: paths below [`PREFIX`], and what people type to get there.
pub fn is_asked(host: &str, path: &str) -> bool {
    path.starts_with(PREFIX) || path == ENTRANCE || (path == "/" && is_loopback(host))
}

/// Answers a request for which [`is_asked`] holds. `ca_pem` is the authority's certificate, if there is an authority.
pub fn answer(ask: &Ask, world: &dyn Simulator, ca_pem: Option<&str>, now_ms: u64) -> Page {
    if !ask.is_get {
        return Page::text(405, "only GET");
    }
    // A foreign name may point at this machine (DNS rebinding). It gets nothing.
    if !is_loopback(ask.host) && !world.answers_for(ask.host) {
        return Page::text(421, "not a host of this twin; use http://127.0.0.1:PORT/__twin/");
    }
    // A request that another site causes, by a link, a script or an image, gets nothing.
    if !matches!(ask.fetch_site, None | Some("none" | "same-origin")) {
        return Page::text(403, "not from another site");
    }
    let (path, query) = ask.path.split_once('?').unwrap_or((ask.path, ""));
    if path == "/" || path == ENTRANCE {
        return Page { location: Some(PREFIX), ..Page::text(307, "the page is at /__twin/") };
    }
    match path.strip_prefix(PREFIX) {
        Some("") => match world.picture(now_ms) {
            Some(picture) => {
                let filter = parameter(ask.path, "filter").unwrap_or_default();
                let body = twin_view::page(&picture, &matching(world, &filter), &filter);
                Page { status: 200, location: None, content_type: "text/html; charset=utf-8", body }
            }
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
            Some(pem) => Page {
                status: 200,
                location: None,
                content_type: "application/x-pem-file",
                body: pem.to_owned(),
            },
            None => Page::text(404, "no certificate authority: start with --tls"),
        },
        _ => Page::text(
            404,
            "there are: /__twin/, /__twin/world.json, /__twin/log.json?since=N, /__twin/ca.pem",
        ),
    }
}

/// The newest requests that contain every word of the filter.
fn matching(world: &dyn Simulator, filter: &str) -> Vec<Json> {
    let wanted: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
    if wanted.is_empty() {
        return world.requests(0, SHOWN_MAX);
    }
    let fits = |one: &Json| {
        let parts = ["method", "host", "path", "status", "fault", "fate"].map(|key| match &one[key] {
            Json::String(text) => text.to_lowercase(),
            Json::Null => String::new(),
            other => other.to_string(),
        });
        let text = parts.join(" ");
        wanted.iter().all(|word| text.contains(word.as_str()))
    };
    let mut found = world.requests(0, LOG_MAX);
    found.retain(fits);
    found.split_off(found.len().saturating_sub(SHOWN_MAX))
}

/// A parameter of the query, decoded.
fn parameter(path: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://twin{path}")).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
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
        // Only break marks may stand inside the text.
        let body = page.body.replace("<wbr>", "");
        let shown = "&lt;img src=x onerror=alert(1)&gt;␛[31m\\u{202e}&quot;'&amp;";
        assert!(body.matches(shown).count() >= 3, "{body}");
        let json = answer(&ask("127.0.0.1", "/__twin/world.json"), &twin(), None, 0);
        assert!(!json.body.contains('<') && json.body.contains("\\u003cimg"));
        let read: Json = serde_json::from_str(&json.body).expect("JSON");
        assert_eq!(read["tenants"][0]["actions"][0]["name"], HOSTILE);
    }

    /// This holds in attributes too: the filter is text of others, and ids are made of names.
    #[test]
    fn what_is_filtered_by_is_never_markup() {
        let typed = "/__twin/?filter=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%1b%E2%80%AE+%27x";
        let page = answer(&ask("127.0.0.1", typed), &twin(), None, 0);
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
        let shown = "value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;␛\\u{202e} 'x\"";
        assert!(page.body.contains(shown), "{}", page.body);
        let mut twin = twin();
        twin.tenant_mut("\"><script>alert(1)</script>.example");
        let page = answer(&ask("127.0.0.1", "/__twin/"), &twin, None, 0);
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
    }

    #[test]
    fn requests_can_be_filtered_by_words_that_all_have_to_be_there() {
        let mut twin = twin();
        for (host, path) in [("verify.twilio.com", "/v2/Services"), ("acme.eu.auth0.com", "/api/v2/prompts")]
        {
            let method = crate::model::api::Method::Get;
            let request = crate::model::api::ApiRequest {
                host: host.into(),
                method,
                path: path.into(),
                headers: Vec::new(),
                body: Vec::new(),
            };
            Simulator::handle(&mut twin, &request, 1);
        }
        let shown = |filter: &str| {
            let page = answer(&ask("127.0.0.1", &format!("/__twin/?filter={filter}")), &twin, None, 0);
            ["Services", "prompts"]
                .map(|word| page.body.replace("<wbr>", "").contains(&format!("/v2/{word}")))
        };
        assert_eq!(shown(""), [true, true]);
        assert_eq!(shown("TWILIO"), [true, false]);
        assert_eq!(shown("get+prompts"), [false, true]);
        assert_eq!(shown("prompts+twilio"), [false, false]);
        let none = answer(&ask("127.0.0.1", "/__twin/?filter=nothing-of-it"), &twin, None, 0);
        assert!(none.body.contains("No request contains that text."));
    }

    #[test]
    fn tenants_and_accounts_can_be_folded() {
        let page = answer(&ask("127.0.0.1", "/__twin/"), &twin(), None, 0);
        for id in ["t-acme.eu.auth0.com", "a-AC00000000000000000000000000000001"] {
            assert!(page.body.contains(&format!("<details id=\"{id}\" open>")), "{id}: {}", page.body);
        }
    }

    #[test]
    fn what_people_type_leads_to_the_page() {
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            for path in ["/", "/__twin"] {
                assert!(is_asked(host, path), "{host}{path}");
                let page = answer(&ask(host, path), &twin(), None, 0);
                assert_eq!((page.status, page.location), (307, Some("/__twin/")), "{host}{path}");
            }
        }
        assert!(!is_asked("acme.eu.auth0.com", "/"), "that is a request of the tenant");
        assert!(!is_asked("127.0.0.1", "/api/v2/prompts") && !is_asked("127.0.0.1", "/__twins/"));
        assert_eq!(answer(&ask("evil.invalid", "/__twin"), &twin(), None, 0).status, 421);
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

//! Logins at the served twin, as far as they go without Node.js. Those with code that runs are in `tests/login`, in a browser.

use serde_json::{Value as Json, json};

use super::lab::{QUICKSTART, Site, Twin, exchange};

pub(super) const PAGE: &str = "/__twin/login";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A twin that lets users sign in, with the quickstart applied and everybody asked for the phone.
fn asked_for_the_phone() -> (Twin, Site) {
    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited"]);
    let site = Site::new(&twin, 1);
    site.lockstep("apply", QUICKSTART, &["--yes"]).run().expect(0);
    let mut world: Json = serde_json::from_str(&twin.stop()).expect("a world");
    let domain = site.domain.clone();
    world["world"]["tenants"][&domain]["policies"] = json!(["all-applications"]);
    let twin = Twin::over(&world, &["--login"]);
    let site = Site::new(&twin, 1);
    (twin, site)
}

/// Where a raw reply leads.
pub(super) fn location(twin: &Twin, method: &str, path: &str, body: &str) -> String {
    let reply = raw(twin, "127.0.0.1", method, path, &[FORM], body);
    let found = reply.lines().find_map(|line| line.strip_prefix("location: "));
    found.unwrap_or_else(|| panic!("{method} {path}: {reply}")).trim().to_owned()
}

/// The whole reply as text.
fn raw(twin: &Twin, host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", twin.port)).expect("the twin");
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(whole.as_bytes()).expect("sent");
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    reply
}

fn state(twin: &Twin) -> Json {
    exchange(twin.port, "127.0.0.1", "GET", &format!("{PAGE}/state.json"), &[], "").1
}

/// What the timeline shows, a line a hop.
pub(super) fn hops(twin: &Twin) -> Vec<String> {
    let state = state(twin);
    let each = state["hops"].as_array().expect("hops").iter();
    each.map(|hop| {
        format!("{}: {}", hop["what"].as_str().unwrap_or(""), hop["failure"].as_str().unwrap_or(""))
    })
    .collect()
}

#[test]
fn the_page_of_logins_is_this_machines_own() {
    let twin = Twin::with(&["--login"]);
    let status = |host: &str, path: &str, headers: &[(&str, &str)]| {
        exchange(twin.port, host, "GET", path, headers, "").0
    };
    assert_eq!(status("127.0.0.1", PAGE, &[]), 200);
    assert_eq!(status("localhost", PAGE, &[("sec-fetch-site", "same-origin")]), 200);
    assert_eq!(status("acme.example", PAGE, &[]), 421, "a foreign name may point at this machine");
    assert_eq!(status("127.0.0.1", PAGE, &[("sec-fetch-site", "cross-site")]), 403);
    for path in ["/begin", "/state.json", "/at/acme-dev.eu.auth0.com/u/login"] {
        assert_eq!(
            status("127.0.0.1", &format!("{PAGE}{path}"), &[("sec-fetch-site", "same-site")]),
            403,
            "{path}"
        );
    }
    assert_eq!(status("127.0.0.1", &format!("{PAGE}/at/nobody.example/authorize"), &[]), 404);
    // Below the page are the tenant's own pages and nothing else of the tenant.
    assert_eq!(status("127.0.0.1", &format!("{PAGE}/at/acme-dev.eu.auth0.com/api/v2/prompts"), &[]), 404);
    let turned = |headers: &[(&str, &str)]| {
        let path = format!("{PAGE}/switch");
        let headers = [headers, &[FORM]].concat();
        exchange(twin.port, "127.0.0.1", "POST", &path, &headers, "name=no_feedback&on=true").0
    };
    assert_eq!(turned(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(state(&twin)["switches"]["no_feedback"], false);
    assert_eq!(turned(&[("sec-fetch-site", "same-origin")]), 200);
    assert_eq!(state(&twin)["switches"]["no_feedback"], true);

    // Without the option there is no such page, no pages of a tenant, and nothing runs.
    let plain = Twin::start();
    assert_eq!(exchange(plain.port, "127.0.0.1", "GET", PAGE, &[], "").0, 404);
    let tenant = exchange(plain.port, "acme-dev.eu.auth0.com", "GET", "/authorize", &[], "");
    assert_eq!(tenant.0, 404);
}

/// Whoever has no Node.js is told what is missing, and the twin lives on.
#[test]
fn a_login_without_node_says_what_is_missing_and_the_twin_lives_on() {
    let (twin, site) = asked_for_the_phone();
    let start = location(&twin, "GET", &format!("{PAGE}/begin"), "");
    let page = location(&twin, "GET", &start, "");
    let state_of = page.split_once("state=").expect("a state").1.to_owned();
    let at = format!("{PAGE}/at/{}/u", site.domain);
    let form = format!("state={state_of}&username=jo%40acme.example&password=twin-password");
    let next = location(&twin, "POST", &format!("{at}/login"), &form);
    assert!(next.starts_with("mfa-sms-enrollment?"), "{next}");
    let form = format!("state={state_of}&phone=%2B15005550006&channel=sms");
    location(&twin, "POST", &format!("{at}/mfa-sms-enrollment"), &form);
    let told = hops(&twin);
    assert!(told.iter().any(|hop| hop.contains("NoNode: running code needs Node.js 22")), "{told:#?}");
    assert!(told.iter().any(|hop| hop.starts_with("tenant log: gd_send_sms_failure")), "{told:#?}");
    let shown = raw(&twin, "127.0.0.1", "GET", &format!("{at}/mfa-sms-challenge?state={state_of}"), &[], "");
    assert!(shown.contains("The code could not be sent"), "{shown}");
    // The API is served as before, and the log of the tenant has what happened.
    let logs = site.list("/api/v2/logs?per_page=50");
    assert!(logs.iter().any(|entry| entry["type"] == "actions_execution_failed"), "{logs:#?}");
    site.lockstep("drift", QUICKSTART, &[]).run().expect(0);
}

/// What a world file says of the time of an answer counts, with logins and without.
#[test]
fn a_world_keeps_its_latency() {
    for args in [&[][..], &["--login"]] {
        let mut world: Json = serde_json::from_str(&Twin::start().stop()).expect("a world");
        assert_eq!(world["options"]["latency_ms"], 0, "a new world answers at once");
        world["options"]["latency_ms"] = json!(3);
        let kept: Json = serde_json::from_str(&Twin::over(&world, args).stop()).expect("a world");
        assert_eq!(kept["options"]["latency_ms"], 3, "{args:?}");
    }
}

/// The world keeps users and phones; what a picture of the world shows has neither password nor number.
#[test]
fn users_are_kept_and_not_shown() {
    let twin = Twin::with(&["--login"]);
    let shown = raw(&twin, "127.0.0.1", "GET", "/__twin/world.json", &[], "");
    assert!(!shown.contains("twin-password") && !shown.contains("jo@acme.example"), "{shown}");
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");
    let users = &world["world"]["tenants"]["acme-dev.eu.auth0.com"]["users"];
    assert_eq!(users[0]["email"], "jo@acme.example", "{users}");
}

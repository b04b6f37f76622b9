//! Tests of the served twin as a product of its own: TLS, the proxy, faults, limits, the page, the log.

use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::shell::{Http, HttpOptions, ProxySettings};
use serde_json::json;

use super::lab::{Folder, QUICKSTART, Site, Twin, exchange, lockstep};

/// A twin with TLS, its folder, and the file with its authority's certificate.
fn with_tls(args: &[&str]) -> (Twin, Folder, String) {
    let folder = Folder::new();
    let ca = folder.text_path("ca.pem");
    let all = [&["--build", "1ms", "--tls", "--ca-out", &ca], args].concat();
    (Twin::with(&all), folder, ca)
}

/// One request over https through the twin as a proxy.
fn ask(twin: &Twin, ca_file: Option<&str>, host: &str) -> Answer {
    let proxy = ProxySettings::from_env(|name| (name == "HTTPS_PROXY").then(|| twin.url()));
    let options = HttpOptions { proxy, ca_file: ca_file.map(Into::into), ..HttpOptions::default() };
    let request = ApiRequest {
        host: host.to_owned(),
        method: Method::Get,
        path: "/v2/Services".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async { Http::new(&options).expect("client").send(request).await })
}

/// A client with fixed https hosts needs only a proxy and a certificate, and otherwise uses the real names. The client
/// here is the program itself.
#[test]
fn a_client_with_fixed_hosts_needs_a_proxy_and_a_certificate_only() {
    // The test itself reads the tenant too, right after the program has used its share of the budget.
    let (twin, folder, ca) = with_tls(&["--rate", "unlimited"]);
    let env = Site::env_of(1);
    let run = |command: &str, args: &[&str]| {
        lockstep(&[command, QUICKSTART]).args(args).envs(&env).env("HTTPS_PROXY", &twin.url()).run()
    };
    let applied = run("apply", &["--yes", "--ca-file", &ca]).expect(0);
    assert!(applied.out.contains("Done: 9 steps applied."), "{}", applied.out);
    run("drift", &["--ca-file", &ca]).expect(0);
    Site::new(&twin, 1).expect_one_stack();
    let hosts: Vec<String> = twin.log().iter().map(|one| one["host"].to_string()).collect();
    assert!(hosts.contains(&"\"verify.twilio.com\"".to_owned()), "{hosts:?}");

    // The twin is trusted because of its certificate: with that of another run's authority, or none, it is refused.
    let mark = twin.mark();
    let (_other, _folder, other_ca) = with_tls(&[]);
    for ca_file in [None, Some(other_ca)] {
        let answer = ask(&twin, ca_file.as_deref(), "verify.twilio.com");
        assert!(matches!(answer, Answer::NotSent(_)), "{ca_file:?}: {answer:?}");
    }
    assert_eq!(twin.mark(), mark, "not one request went through");
    let Answer::Reply(reply) = ask(&twin, Some(&ca), "verify.twilio.com") else { panic!("no reply") };
    assert_eq!(reply.status, 401);
    let pem = folder.read("ca.pem");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"), "{pem}");
    let (status, _) = exchange(twin.port, "127.0.0.1", "GET", "/__twin/ca.pem", &[], "");
    assert_eq!(status, 200);
}

#[test]
fn the_proxy_goes_nowhere_but_into_the_world() {
    let (twin, _folder, _ca) = with_tls(&["--tenant", "login.acme.test"]);
    let connect = |host: &str| exchange(twin.port, host, "CONNECT", &format!("{host}:443"), &[], "").0;
    for host in [
        "www.google.com",
        "localhost",
        "127.0.0.1",
        "messaging.twilio.com",
        "auth0.com",
        "x.auth0.com.evil.test",
    ] {
        assert_eq!(connect(host), 403, "{host}");
    }
    let (status, _) = exchange(twin.port, "evil.test", "GET", "/api/v2/actions/actions", &[], "");
    assert_eq!(status, 421, "nor does a request in clear text make a tenant of any name");
    let (status, _) = exchange(twin.port, "login.acme.test", "GET", "/api/v2/actions/actions", &[], "");
    assert_eq!(status, 401, "a named one is there");
    assert_eq!(twin.mark(), 1, "what is refused is no request of the world");

    let plain = Twin::start();
    let (status, _) = exchange(plain.port, "verify.twilio.com", "CONNECT", "verify.twilio.com:443", &[], "");
    assert_eq!(status, 501, "without --tls there is no tunnel");
}

#[test]
fn faults_come_as_written() {
    let rule = "POST /v2/Services$: 503-after, 2x";
    let twin = Twin::with(&["--build", "1ms", "--fault", rule, "--fault", "GET /v2/Services$: html"]);
    let site = Site::new(&twin, 1);
    let make = || site.twilio("verify.twilio.com", "POST", "/v2/Services", "FriendlyName=Acme").0;
    assert_eq!([make(), make(), make()], [503, 503, 201]);
    let (status, body) = site.twilio("verify.twilio.com", "GET", "/v2/Services", "");
    assert_eq!((status, body), (200, json!(null)), "a page, not JSON");
    assert_eq!(site.verify_services().len(), 3, "all three took effect");
    let log = twin.log();
    assert_eq!((&log[0]["fault"], &log[0]["served_status"]), (&json!("server_error"), &json!(201)));
    assert_eq!((&log[2]["fault"], &log[2]["wrote"]), (&json!(null), &json!(true)));
}

#[test]
fn mistakes_on_the_command_line_are_told_with_their_place() {
    for (args, parts) in [
        (
            vec!["--fault", "GET /v2: 503-afer"],
            vec!["\"503-afer\" is no fault; there are: 429,", "\n           ^"],
        ),
        (vec!["--fault", "GET /v2"], vec!["the fault is missing"]),
        (vec!["--option", "colour=red"], vec!["there is no option \"colour\"", "action_names_unique"]),
        (vec!["--option", "unified_flag=maybe"], vec!["unified_flag", "absent"]),
        (vec!["--option", "x"], vec!["NAME=VALUE"]),
        (vec!["--latency", "5"], vec!["\"5\" has no unit", "5ms"]),
        (vec!["--build", "30"], vec!["has no unit", "30ms, 30s or 30m"]),
        (vec!["--ca-out", "ca.pem"], vec!["--tls"]),
        (vec!["--tenant", "https://x.test/"], vec!["host name"]),
        (vec!["--rate", "gold"], vec!["professional"]),
    ] {
        let run = lockstep(&["twin"]).args(&args).run().expect(64);
        parts.iter().for_each(|part| assert!(run.err.contains(part), "{args:?}: {}", run.err));
    }
}

/// The fault is reported before the twin serves anything that it could not save.
#[test]
fn a_world_that_cannot_be_written_is_told_at_the_start() {
    let folder = Folder::new();
    let path = folder.text_path("missing/world");
    let run = lockstep(&["twin", "--port", "0", "--world", &path]).run().expect(1);
    assert!(run.err.contains("cannot be written") && run.err.contains("missing/world"), "{}", run.err);
    assert!(!run.err.contains("listening"), "{}", run.err);
}

/// Whatever ends the twin, the file has the world of the moment before.
#[test]
fn the_world_is_written_as_it_goes() {
    let twin = Twin::start();
    let name = "kept as it goes";
    let kept = |name: &str| {
        let text = std::fs::read_to_string(twin.world_path()).expect("there from the start");
        let world: serde_json::Value = serde_json::from_str(&text).expect("whole at any time");
        world["world"].to_string().contains(name)
    };
    assert!(!kept(name));
    let site = Site::new(&twin, 1);
    let made = site.twilio("verify.twilio.com", "POST", "/v2/Services", "FriendlyName=kept+as+it+goes");
    assert_eq!(made.0, 201);
    let asked = std::time::Instant::now();
    while !kept(name) {
        assert!(asked.elapsed() < std::time::Duration::from_secs(20), "not written");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn the_root_leads_to_the_page() {
    let twin = Twin::start();
    for (host, path, expected) in [
        ("127.0.0.1", "/", 307),
        ("localhost", "/__twin", 307),
        ("localhost", "/__twin/", 200),
        ("evil.invalid", "/__twin", 421),
        ("evil.invalid", "/", 421),
        ("acme.eu.auth0.com", "/", 404),
    ] {
        assert_eq!(exchange(twin.port, host, "GET", path, &[], "").0, expected, "{host}{path}");
    }
}

#[test]
fn limits_are_told_in_the_headers() {
    let twin = Twin::with(&["--rate", "free"]);
    let head = |path: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", twin.port)).expect("twin");
        let request = format!("GET {path} HTTP/1.1\r\nhost: acme.eu.auth0.com\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).expect("a reply");
        text.to_ascii_lowercase()
    };
    let replies: Vec<String> = (0..6).map(|_| head("/api/v2/prompts")).collect();
    for reply in &replies {
        assert!(reply.contains("x-ratelimit-limit: 2\r\n"), "{reply}");
        assert!(
            reply.contains("x-ratelimit-reset: ") && reply.contains("x-ratelimit-remaining: "),
            "{reply}"
        );
    }
    let refused =
        replies.iter().find(|reply| reply.starts_with("http/1.1 429")).expect("two at once, not six");
    assert!(refused.contains("retry-after: 1\r\n") && refused.contains("too_many_requests"), "{refused}");
}

#[test]
fn neither_log_nor_page_shows_a_secret() {
    let (twin, _folder, _ca) = with_tls(&[]);
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let hostile = json!({"name": "<script>alert(1)</script>", "code": "x",
        "supported_triggers": [{"id": "post-login", "version": "v3"}]});
    assert_eq!(site.auth0("POST", "/api/v2/actions/actions", &hostile).0, 201);
    let service = site.verify_services()[0]["sid"].as_str().expect("a SID").to_owned();
    let path = format!("/v2/Services/{service}/Verifications");
    site.twilio("verify.twilio.com", "POST", &path, "To=%2B15005550006&Channel=sms&CustomCode=123456");
    site.twilio("verify.twilio.com", "GET", &format!("{path}/%2B15005550006?Secret=In-A-Query"), "");
    let page = |path: &str| {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", twin.port)).expect("twin");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).expect("a reply");
        text
    };
    let pages = [page("/__twin/"), page("/__twin/world.json"), page("/__twin/log.json")];
    for text in pages.iter().chain([&twin.log_text()]) {
        for (name, value) in &site.env {
            if name.ends_with("_SECRET") {
                assert!(!text.contains(value.as_str()), "{name} is shown: {text}");
            }
        }
        for secret in ["5005550006", "123456", "In-A-Query", "Bearer ", "twin.", "exports."] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(
        pages[0].contains("&lt;script&gt;alert(1)") && !pages[0].contains("<script>alert"),
        "{}",
        pages[0]
    );
    assert!(pages[0].contains("content-security-policy: default-src 'none'"), "{}", pages[0]);
    assert!(pages[1].contains("\\u003cscript\\u003e") && pages[1].contains("Lockstep phone (acme-login)"));
    assert!(!pages[1].to_ascii_lowercase().contains("access-control-"), "{}", pages[1]);
    assert!(pages[2].contains("{number}?Secret\""), "{}", pages[2]);
    let refused = exchange(twin.port, "rebound.test", "GET", "/__twin/world.json", &[], "");
    assert_eq!(refused.0, 421);
    let site_header = [("sec-fetch-site", "cross-site")];
    assert_eq!(exchange(twin.port, "localhost", "GET", "/__twin/log.json", &site_header, "").0, 403);
    assert_eq!(exchange(twin.port, "localhost", "POST", "/__twin/log.json", &[], "{}").0, 405);
}

/// The manual has every fault, hit and option that the program has, in the program's own words.
#[test]
fn the_manual_is_complete() {
    let manual =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/twin.md")).expect("manual");
    for (form, text) in
        lockstep::twin::fault_grammar::FAULTS.iter().chain(lockstep::twin::fault_grammar::HITS)
    {
        assert!(manual.contains(&format!("| `{form}` | {text} |")), "{form}: {text}");
    }
    let options = serde_json::to_value(lockstep::twin::Options::default()).expect("options");
    for name in options.as_object().expect("an object").keys() {
        assert!(
            manual.contains(&format!("`{name}`")) || manual.contains(&format!("{name}=")),
            "option {name}"
        );
    }
}

//! Logins from the address of an application to its tokens, with Actions that "ran" as each test says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_twin::world::{Action, PhoneProvider, TriggerRef, User};
use lockstep_twin::{Options, Twin, World};
use ring::digest::{SHA256, digest};
use serde_json::{Value as Json, json};

use super::{Ask, Front, Ran, Reply, Run, Signer, Step};

const DOMAIN: &str = "acme-dev.eu.auth0.com";
const CALLBACK: &str = "http://localhost:3000/done";
const PHONE: &str = "+15005550006";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0";

struct Bench {
    twin: Twin,
    front: Front,
    now_ms: u64,
    cookie: String,
    /// What each Action does, by handler.
    does: Vec<(&'static str, Ran)>,
    ran: Vec<Run>,
}

fn user() -> User {
    User {
        user_id: "auth0|1".into(),
        email: "jo@acme.example".into(),
        password: "pass".into(),
        name: "Jo".into(),
        phone: None,
        roles: vec!["Admin".into()],
        created_at: "2026-11-01T00:00:00.000Z".into(),
    }
}

impl Bench {
    /// A tenant whose codes go through an Action, and that asks everybody.
    fn new() -> Bench {
        let now_ms = 1_790_000_000_000;
        let mut world = World::new(7);
        let id = world.add_deployed_action(
            DOMAIN,
            "Phone",
            &TriggerRef::new("custom-phone-provider", "v1"),
            now_ms,
        );
        world.bind(DOMAIN, "custom-phone-provider", &id, "Phone", now_ms);
        let tenant = world.tenant_mut(DOMAIN);
        tenant.users.push(user());
        tenant.policies = vec!["all-applications".into()];
        tenant.factors.iter_mut().filter(|factor| factor.name == "sms").for_each(|sms| sms.enabled = true);
        tenant.message_types = Some(vec!["sms".into(), "voice".into()]);
        let methods = json!({ "delivery_methods": ["text", "voice"] });
        tenant.phone_providers.push(PhoneProvider {
            id: "pro_1".into(),
            name: "custom".into(),
            disabled: false,
            configuration: methods.as_object().cloned().unwrap_or_default(),
            credentials: serde_json::Map::new(),
            created_at: String::new(),
            updated_at: String::new(),
        });
        let client = json!({
            "name": "Sample", "callbacks": [CALLBACK], "web_origins": ["http://localhost:3000"],
            "allowed_logout_urls": ["http://localhost:3000/"],
        });
        tenant.clients.insert("spa".into(), client.as_object().cloned().unwrap_or_default());
        let signer = Signer::new(vec![1, 2, 3], vec![1, 0, 1], Box::new(|_| b"signed".to_vec()));
        let twin = Twin::with_world(Options::default(), world);
        Bench {
            twin,
            front: Front::new(signer),
            now_ms,
            cookie: String::new(),
            does: Vec::new(),
            ran: Vec::new(),
        }
    }

    fn tenant(&mut self) -> &mut lockstep_twin::Tenant {
        self.twin.world.tenant_mut(DOMAIN)
    }

    fn ask(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        let headers = vec![
            ("cookie".to_owned(), format!("other=1; auth0={}", self.cookie)),
            ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ("origin".to_owned(), "http://localhost:3000".to_owned()),
        ];
        let ask = Ask {
            method: method.into(),
            host: DOMAIN.into(),
            path: path.into(),
            headers,
            body: super::query(form).into_bytes(),
        };
        assert!(Front::serves(&ask), "{method} {path}");
        let mut step = self.front.handle(&mut self.twin, &ask, self.now_ms);
        loop {
            match step {
                Step::Reply(reply) => {
                    let set = reply.headers.iter().find(|(name, _)| name == "set-cookie");
                    if let Some((_, value)) = set {
                        self.cookie =
                            value.trim_start_matches("auth0=").split(';').next().unwrap_or("").into();
                    }
                    return reply;
                }
                Step::Run(run) => {
                    let ran = self.does.iter().find(|(handler, _)| *handler == run.handler);
                    let ran = ran.map(|(_, ran)| ran.clone()).unwrap_or_default();
                    step = self.front.ran(&mut self.twin, &run, &ran, self.now_ms);
                    self.ran.push(*run);
                }
            }
        }
    }

    /// Opens `/authorize`; returns where it leads.
    fn begin(&mut self, more: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()).as_ref());
        let path = format!(
            "/authorize?client_id=spa&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fdone&response_type=code&scope=openid%20offline_access&state=mine&nonce=n1&code_challenge={challenge}&code_challenge_method=S256{more}"
        );
        location(&self.ask("GET", &path, &[]))
    }

    /// Sends the form of a page to which an earlier reply led.
    fn form(&mut self, page: &str, fields: &[(&str, &str)]) -> Reply {
        let (route, state) = page.split_once("?state=").unwrap_or_else(|| panic!("no page: {page}"));
        let route = format!("/u/{}", route.trim_start_matches("u/"));
        self.ask("POST", &route, &[&[("state", state)], fields].concat())
    }

    fn sign_in(&mut self) -> String {
        let page = self.begin("");
        location(&self.form(&page, &[("username", "jo@acme.example"), ("password", "pass")]))
    }

    fn code(&self) -> String {
        let event = &self.ran.last().expect("an Action ran").event;
        let code = &event["notification"]["code"];
        code.as_str().or(event["message_options"]["code"].as_str()).expect("a code").to_owned()
    }

    /// Types of the entries of the tenant log.
    fn log(&mut self) -> Vec<String> {
        self.tenant().logs.iter().map(|entry| entry["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn tokens(&mut self, to: &str, verifier: &str) -> (u16, Json) {
        let code = to.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "spa"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", CALLBACK),
        ];
        let reply = self.ask("POST", "/oauth/token", &form);
        (reply.status, serde_json::from_slice(&reply.body).expect("JSON"))
    }
}

fn location(reply: &Reply) -> String {
    let found = reply.headers.iter().find(|(name, _)| name == "location");
    found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("no redirect: {}", text(reply)))
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn claims(token: &Json) -> Json {
    let part = token.as_str().and_then(|token| token.split('.').nth(1)).expect("a token");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("claims")
}

#[test]
fn a_phone_is_enrolled_then_asked_and_the_tokens_say_so() {
    let mut bench = Bench::new();
    let page = bench.sign_in();
    assert!(page.starts_with("mfa-sms-enrollment?"), "{page}");
    let page = location(&bench.form(&page, &[("phone", "+1 500 555-0006"), ("channel", "sms")]));
    let run = bench.ran.last().expect("the Action ran");
    let notification = &run.event["notification"];
    assert_eq!(
        (
            run.handler,
            &notification["recipient"],
            &notification["message_type"],
            &notification["delivery_method"]
        ),
        ("onExecuteCustomPhoneProvider", &json!(PHONE), &json!("otp_enroll"), &json!("text"))
    );
    let code = bench.code();
    let to = location(&bench.form(&page, &[("code", &code)]));
    assert!(to.starts_with(CALLBACK) && to.ends_with("state=mine"), "{to}");
    assert_eq!(bench.tokens(&to, "another verifier").0, 403);
    assert_eq!(bench.tokens(&to, VERIFIER).0, 403, "a code is used once, also wrongly");
    assert_eq!(bench.log(), ["gd_start_enroll", "gd_send_sms", "gd_enrollment_complete", "s"]);
    assert_eq!(bench.tenant().users[0].phone.as_deref(), Some(PHONE));

    // In another browser the phone is asked.
    bench.cookie.clear();
    let page = bench.sign_in();
    assert!(page.starts_with("mfa-sms-challenge?"), "{page}");
    assert_eq!(bench.ran.last().expect("it ran").event["notification"]["message_type"], "otp_verify");
    let (code, wrong) = (bench.code(), "000000x");
    assert!(text(&bench.form(&page, &[("code", wrong)])).contains("The code is wrong"));
    let to = location(&bench.form(&page, &[("code", &code)]));
    let (status, tokens) = bench.tokens(&to, VERIFIER);
    assert_eq!(status, 200, "{tokens}");
    let claims = claims(&tokens["id_token"]);
    assert_eq!(
        (&claims["amr"], &claims["nonce"], &claims["iss"], &claims["aud"]),
        (&json!(["mfa"]), &json!("n1"), &json!(format!("https://{DOMAIN}/")), &json!("spa"))
    );
    let last = bench.tenant().logs.iter().rev().find(|entry| entry["type"] == "gd_auth_succeed").cloned();
    assert_eq!(last.expect("logged")["details"]["authenticator"]["phone_number"], PHONE);

    // The session answers without a page, and the refresh token gives new tokens.
    let silent = bench.begin("&prompt=none");
    assert!(silent.starts_with(&format!("{CALLBACK}?code=")), "{silent}");
    let refresh = tokens["refresh_token"].as_str().expect("offline_access").to_owned();
    let form = [("grant_type", "refresh_token"), ("client_id", "spa"), ("refresh_token", refresh.as_str())];
    assert_eq!(bench.ask("POST", "/oauth/token", &form).status, 200);
    let out = bench.ask("GET", "/v2/logout?client_id=spa&returnTo=http%3A%2F%2Flocalhost%3A3000%2F", &[]);
    assert_eq!(location(&out), "http://localhost:3000/");
    assert!(bench.begin("&prompt=none").contains("error=login_required"));
}

#[test]
fn who_asks_and_where_it_leads_is_checked_before_anything() {
    let mut bench = Bench::new();
    let refused = |bench: &mut Bench, path: &str, word: &str| {
        let reply = bench.ask("GET", path, &[]);
        assert!(reply.status == 400 && text(&reply).contains(word), "{path}: {}", text(&reply));
    };
    refused(
        &mut bench,
        "/authorize?client_id=other&redirect_uri=x&response_type=code",
        "no such application",
    );
    refused(
        &mut bench,
        "/authorize?client_id=spa&redirect_uri=https%3A%2F%2Fevil.example%2F&response_type=code",
        "callbacks",
    );
    let base = "/authorize?client_id=spa&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fdone";
    for (more, error) in [
        ("&response_type=token", "unsupported_response_type"),
        ("&response_type=code", "invalid_request"),
        ("&response_type=code&code_challenge=x&code_challenge_method=plain", "invalid_request"),
    ] {
        let to = location(&bench.ask("GET", &format!("{base}{more}"), &[]));
        assert!(to.starts_with(CALLBACK) && to.contains(error), "{to}");
    }
    let page = bench.begin("");
    for (name, password) in [("jo@acme.example", "wrong"), ("nobody@acme.example", "pass")] {
        let reply = bench.form(&page, &[("username", name), ("password", password)]);
        assert!(text(&reply).contains("Wrong e-mail address or password"));
    }
    let reply = bench.ask("POST", "/u/login", &[("state", "unknown")]);
    assert!(text(&reply).contains("This login is over"));
    assert_eq!(bench.ran.len(), 0, "no code runs before the password");
}

#[test]
fn a_code_that_cannot_be_sent_is_told_and_sent_another_way() {
    let mut bench = Bench::new();
    bench.tenant().users[0].phone = Some(PHONE.into());
    let threw = Ran { error: Some(("Error".into(), "no".into())), ..Ran::default() };
    bench.does = vec![("onExecuteCustomPhoneProvider", threw)];
    let page = bench.sign_in();
    let (_, state) = page.split_once("?state=").expect("a page");
    let shown = text(&bench.ask("GET", &format!("/u/mfa-sms-challenge?state={state}"), &[]));
    assert!(shown.contains("could not be sent") && shown.contains("Get a call instead"), "{shown}");
    assert!(!shown.contains(PHONE), "the whole number is not shown");
    assert_eq!(bench.log(), ["gd_start_auth", "actions_execution_failed", "gd_send_sms_failure"]);
    let dropped = json!({ "call": "notification.drop", "arguments": ["blocked"] });
    bench.does = vec![("onExecuteCustomPhoneProvider", Ran { commands: vec![dropped], ..Ran::default() })];
    bench.form(&page, &[("send", "sms")]);
    assert_eq!(bench.log().last().map(String::as_str), Some("gd_send_sms_failure"));
    bench.does.clear();
    bench.form(&page, &[("send", "voice")]);
    assert_eq!(bench.log().last().map(String::as_str), Some("gd_send_voice"));
    let code = bench.code();
    bench.now_ms += 300_000;
    assert!(text(&bench.form(&page, &[("code", &code)])).contains("expired"));
    bench.form(&page, &[("send", "voice")]);
    let code = bench.code();
    assert!(location(&bench.form(&page, &[("code", &code)])).starts_with(CALLBACK));
}

#[test]
fn the_tenant_decides_who_sends_and_who_is_asked() {
    type Change = fn(&mut lockstep_twin::Tenant);
    let failures: [(Change, &str); 5] = [
        (|tenant| tenant.phone_providers.clear(), "no phone provider"),
        (|tenant| tenant.phone_providers[0].disabled = true, "no phone provider"),
        (|tenant| tenant.bindings.clear(), "no deployed Action is bound"),
        (
            |tenant| tenant.actions.iter_mut().for_each(|action: &mut Action| action.deployment = None),
            "no deployed Action",
        ),
        (|tenant| tenant.message_types = Some(vec!["voice".into()]), "no message type"),
    ];
    for (change, word) in failures {
        let mut bench = Bench::new();
        bench.tenant().users[0].phone = Some(PHONE.into());
        change(bench.tenant());
        bench.sign_in();
        let last = bench.tenant().logs.last().cloned().expect("logged");
        assert!(
            last["type"] == "gd_send_sms_failure"
                && last["description"].as_str().unwrap_or_default().contains(word),
            "{last}"
        );
    }
    let mut bench = Bench::new();
    bench.tenant().policies.clear();
    assert!(bench.sign_in().starts_with(CALLBACK), "nobody is asked");
    let mut bench = Bench::new();
    bench.tenant().factors.iter_mut().for_each(|factor| factor.enabled = false);
    assert!(bench.sign_in().contains("nobody%20can%20sign%20in"));
}

#[test]
fn the_former_set_up_sends_through_each_bound_action() {
    let mut bench = Bench::new();
    let now_ms = bench.now_ms;
    for name in ["One", "Two"] {
        let trigger = TriggerRef::new("send-phone-message", "v2");
        let id = bench.twin.world.add_deployed_action(DOMAIN, name, &trigger, now_ms);
        bench.twin.world.bind(DOMAIN, "send-phone-message", &id, name, now_ms);
    }
    let tenant = bench.tenant();
    tenant.settings.insert("phone_consolidated_experience".into(), json!(false));
    tenant.legacy_phone.selected_provider = "phone-message-hook".into();
    tenant.prompts.universal_login_experience = "classic".into();
    tenant.users[0].phone = Some(PHONE.into());
    let page = bench.sign_in();
    let ran: Vec<&str> = bench.ran.iter().map(|run| run.action.as_str()).collect();
    assert_eq!(ran, ["One", "Two"], "two Actions send two messages");
    let options = &bench.ran[0].event["message_options"];
    assert_eq!(
        (&options["message_type"], &options["action"]),
        (&json!("sms"), &json!("second-factor-authentication"))
    );
    let (_, state) = page.split_once("?state=").expect("a page");
    let shown = text(&bench.ask("GET", &format!("/u/mfa-sms-challenge?state={state}"), &[]));
    assert!(!shown.contains("Get a call"), "calls need the new experience");
}

#[test]
fn post_login_actions_ask_where_the_tenant_lets_them() {
    let asks = |name: &str| Ran {
        commands: vec![
            json!({ "call": format!("authentication.{name}"), "arguments": [[{ "type": "phone" }, { "type": "otp" }]] }),
        ],
        ..Ran::default()
    };
    let with_action = || {
        let mut bench = Bench::new();
        let now_ms = bench.now_ms;
        let id = bench.twin.world.add_deployed_action(
            DOMAIN,
            "Rules",
            &TriggerRef::new("post-login", "v3"),
            now_ms,
        );
        bench.twin.world.bind(DOMAIN, "post-login", &id, "Rules", now_ms);
        bench.tenant().policies.clear();
        bench.tenant().settings.insert("customize_mfa_in_postlogin_action".into(), json!(true));
        bench
    };
    let mut bench = with_action();
    assert!(bench.sign_in().starts_with(CALLBACK));
    let event = &bench.ran[0].event;
    assert_eq!(
        (
            &event["authorization"]["roles"],
            &event["client"]["client_id"],
            &event["authentication"]["methods"][0]["name"]
        ),
        (&json!(["Admin"]), &json!("spa"), &json!("pwd"))
    );

    let mut bench = with_action();
    bench.does = vec![("onExecutePostLogin", asks("enrollWithAny"))];
    assert!(bench.sign_in().starts_with("mfa-sms-enrollment?"));
    let mut bench = with_action();
    bench.does = vec![("onExecutePostLogin", asks("challengeWithAny"))];
    assert!(bench.sign_in().contains("not%20enrolled"));
    let mut bench = with_action();
    bench.tenant().users[0].phone = Some(PHONE.into());
    bench.does = vec![("onExecutePostLogin", asks("challengeWithAny"))];
    assert!(bench.sign_in().starts_with("mfa-sms-challenge?"));
    bench.tenant().settings.insert("customize_mfa_in_postlogin_action".into(), json!(false));
    bench.cookie.clear();
    assert!(bench.sign_in().contains("error=access_denied"));
    let mut bench = with_action();
    let deny = json!({ "call": "access.deny", "arguments": ["no_way", "not you"] });
    bench.does = vec![("onExecutePostLogin", Ran { commands: vec![deny], ..Ran::default() })];
    assert!(bench.sign_in().contains("not%20you"));
    let mut bench = with_action();
    bench.does =
        vec![("onExecutePostLogin", Ran { error: Some(("Error".into(), "x".into())), ..Ran::default() })];
    assert!(bench.sign_in().contains("error=access_denied"));
    assert_eq!(bench.log(), ["actions_execution_failed", "f"]);
}

#[test]
fn ten_wrong_codes_end_the_challenge() {
    let mut bench = Bench::new();
    bench.tenant().users[0].phone = Some(PHONE.into());
    let page = bench.sign_in();
    let code = bench.code();
    for _ in 0..10 {
        bench.form(&page, &[("code", "wrong")]);
    }
    assert!(text(&bench.form(&page, &[("code", &code)])).contains("Too many wrong codes"));
    assert_eq!(bench.log().last().map(String::as_str), Some("gd_otp_rate_limit_exceed"));
}

#[test]
fn scripts_of_known_origins_alone_read_tokens() {
    let mut bench = Bench::new();
    let reply = bench.ask("OPTIONS", "/oauth/token", &[]);
    let origin = |reply: &Reply| {
        reply
            .headers
            .iter()
            .find(|(name, _)| name == "access-control-allow-origin")
            .map(|(_, value)| value.clone())
    };
    assert_eq!((reply.status, origin(&reply).as_deref()), (204, Some("http://localhost:3000")));
    bench.tenant().clients.clear();
    assert_eq!(origin(&bench.ask("OPTIONS", "/oauth/token", &[])), None);
    let keys: Json =
        serde_json::from_slice(&bench.ask("GET", "/.well-known/jwks.json", &[]).body).expect("JSON");
    assert_eq!(keys["keys"][0]["n"], "AQID");
    let found: Json =
        serde_json::from_slice(&bench.ask("GET", "/.well-known/openid-configuration", &[]).body)
            .expect("JSON");
    assert_eq!(found["issuer"], format!("https://{DOMAIN}/"));
}

//! The twin as a whole: log, files, faults, determinism. Each vendor's behaviour is tested beside its code.

use serde_json::json;

use super::bench::{ACCOUNT, Bench, DOMAIN, decode};
use super::*;

fn log_stream() -> Value {
    json!({"name": "feedback", "type": "http", "sink": {"httpEndpoint": "https://x.example/logs"}})
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let run = || {
        let mut bench = Bench::new();
        bench.deployed_action("a", "post-login", "v3");
        bench.post("/log-streams", &log_stream());
        bench.twilio(Method::Post, "verify.twilio.com/v2/Services", &[("FriendlyName", "Acme")]);
        bench.twin.to_json().to_string()
    };
    assert_eq!(run(), run());
}

#[test]
fn reads_leave_the_world_as_it_was() {
    let mut bench = Bench::new();
    let id = bench.deployed_action("a", "post-login", "v3");
    bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]);
    let before = bench.twin.world.clone();
    for path in ["/actions/actions", "/guardian/factors", "/log-streams", "/tenants/settings", "/prompts"] {
        assert_eq!(bench.get(path).0, 200, "{path}");
    }
    assert_eq!(bench.get(&format!("/actions/actions/{id}")).0, 200);
    bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]);
    assert_eq!(bench.twin.world, before);
}

#[test]
fn a_world_survives_its_file() {
    let mut bench = Bench::new();
    bench.deployed_action("a", "post-login", "v3");
    bench.twilio(Method::Post, "verify.twilio.com/v2/Services", &[("FriendlyName", "Acme")]);
    let file = bench.twin.to_json();
    let text = file.to_string();
    let read = Twin::from_json(serde_json::from_str(&text).expect("json")).expect("own file");
    assert_eq!(read.world, bench.twin.world);
    assert_eq!(read.to_json().to_string(), text);
}

#[test]
fn a_bad_world_file_says_what_is_wrong() {
    let error = |value: Value| Twin::from_json(value).expect_err("bad");
    assert!(error(json!({})).contains("lockstep_twin"));
    assert!(error(json!({"lockstep_twin": 2})).contains("version"));
    let mut file = Twin::new(Options::default(), 1).to_json();
    file["world"]["colour"] = json!("red");
    assert!(error(file).contains("colour"));
}

#[test]
fn the_log_tells_effect_from_answer() {
    let mut bench = Bench::new();
    let create = When::first(Method::Post, "/api/v2/log-streams");
    let rule = |what| Rule::once(create.clone(), what);
    let cases = [
        (rule(What::Lost { after_effect: true }), Fate::Lost, Some(200), true),
        (rule(What::Lost { after_effect: false }), Fate::Lost, None, false),
        (rule(What::ServerError { status: 502, after_effect: true }), Fate::Status(502), Some(200), true),
        (rule(What::ServerError { status: 503, after_effect: false }), Fate::Status(503), None, false),
        (rule(What::NotSent), Fate::NotSent, None, false),
        (rule(What::RateLimited { retry_after_s: Some(3) }), Fate::Status(429), None, false),
        (rule(What::Malformed { after_effect: true }), Fate::Status(200), Some(200), true),
        (rule(What::Forbidden), Fate::Status(403), None, false),
        (rule(What::Unauthorized), Fate::Status(401), None, false),
    ];
    for (rule, fate, served_status, wrote) in cases {
        let name = format!("{:?}", rule.what);
        bench.twin.faults.rules = vec![rule];
        let before = bench.twin.world.tenant_mut(DOMAIN).log_streams.len();
        let _answer = bench.raw(Method::Post, "/log-streams", Some(&log_stream()));
        let grown = bench.twin.world.tenant_mut(DOMAIN).log_streams.len() - before;
        let entry = bench.twin.log().last().expect("logged");
        assert_eq!((entry.fate, entry.served_status, entry.wrote), (fate, served_status, wrote), "{name}");
        assert_eq!(entry.operation, "create_log_stream", "{name}");
        assert_eq!(grown == 1, wrote, "{name}");
    }
}

#[test]
fn delays_add_to_the_latency() {
    let mut bench = Bench::new();
    bench.twin.faults.rules = vec![Rule::once(When::Number(2), What::Delay { ms: 700 })];
    bench.get("/prompts");
    let entry = bench.twin.log().last().expect("logged");
    assert_eq!(entry.done_ms - entry.at_ms, 750);
}

#[test]
fn a_stale_read_shows_the_state_before_the_last_write() {
    let mut bench = Bench::new();
    let list = When::first(Method::Get, "/api/v2/log-streams");
    bench.twin.faults.rules = vec![Rule::once(list, What::Stale)];
    bench.post("/log-streams", &log_stream());
    assert_eq!(bench.get("/log-streams").1, json!([]));
    assert_eq!(bench.get("/log-streams").1.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_list_may_not_show_what_was_just_made() {
    let mut bench = Bench::new();
    let create = When::first(Method::Post, "/api/v2/log-streams");
    bench.twin.faults.rules = vec![Rule::once(create, What::Unseen { ms: 3_600_000 })];
    bench.get("/log-streams");
    let body = log_stream();
    let asked = bench.raw(Method::Post, "/log-streams", Some(&body));
    assert!(matches!(asked, Answer::Lost(_)), "{asked:?}");
    assert_eq!(bench.get("/log-streams").1, json!([]));
    bench.twin.unseen.as_mut().expect("unseen").until_ms = 0;
    assert_eq!(bench.get("/log-streams").1.as_array().map(Vec::len), Some(1));
}

#[test]
fn headers_may_tell_another_budget_than_there_is() {
    let told = [
        (BudgetTold::Zero, "x-ratelimit-limit", "0"),
        (BudgetTold::Negative, "x-ratelimit-remaining", "-1"),
        (BudgetTold::LongAgo, "x-ratelimit-reset", "0"),
        (BudgetTold::Words, "x-ratelimit-reset", "soon"),
    ];
    for (budget_told, name, value) in told {
        let mut bench = Bench::with(Options { budget_told, ..Options::default() });
        let Answer::Reply(reply) = bench.raw(Method::Get, "/prompts", None) else { panic!("a reply") };
        assert_eq!(reply.header(name), Some(value), "{budget_told:?}");
    }
}

#[test]
fn another_operator_may_act_in_between() {
    let mut bench = Bench::new();
    let when = When::first(Method::Get, "/api/v2/guardian/factors");
    let body = json!({"enabled": true});
    let path = "/api/v2/guardian/factors/otp".to_owned();
    bench.twin.faults.rules = vec![Rule::once(when, What::Interject { method: Method::Put, path, body })];
    let (_, factors) = bench.get("/guardian/factors");
    assert_eq!(factors[2], json!({"name": "otp", "enabled": true, "trial_expired": false}));
    assert_eq!(bench.twin.log().len(), 2, "the other operator is not in our log");
}

#[test]
fn operators_need_no_credentials_and_leave_no_trace_in_the_log() {
    let mut bench = Bench::new();
    let now_ms = bench.now_ms;
    let body = json!(["all-applications"]);
    let made = bench.twin.operate_tenant(DOMAIN, Method::Put, "/api/v2/guardian/policies", &body, now_ms);
    assert_eq!(made, (200, body.clone()));
    let form = [("FriendlyName", "Theirs")];
    let host = "verify.twilio.com";
    let (status, _) = bench.twin.operate_account(ACCOUNT, host, Method::Post, "/v2/Services", &form, now_ms);
    assert_eq!(status, 201);
    assert_eq!(bench.get("/guardian/policies").1, body);
    let (_, list) = bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]);
    assert_eq!(list["services"][0]["friendly_name"], "Theirs");
    assert_eq!(bench.twin.log().len(), 3);
}

#[test]
fn too_many_twilio_requests_at_once_are_refused() {
    let mut bench = Bench::with(Options { twilio_concurrency: 2, ..Options::default() });
    let mut ask = |at_ms: u64| {
        bench.now_ms = at_ms;
        bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]).0
    };
    assert_eq!([ask(1_000), ask(1_010), ask(1_020), ask(1_050)], [200, 200, 429, 200]);
}

/// Every request gets an answer: each operation with made-up ids, queries, content types and bodies.
#[test]
fn no_input_makes_it_panic() {
    let mut bench = Bench::new();
    let mut dice = ids::Ids::new(42);
    bench.deployed_action("a", "post-login", "v3");
    let bodies: [&[u8]; 12] = [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        br#"{"name":"n","supported_triggers":[{"id":"post-login","version":"v3"}],"secrets":[{}]}"#,
        br#"{"bindings":[{"ref":{"type":"action_id","value":""}}]}"#,
        br#"{"type":"http","sink":{"httpEndpoint":"https://"}}"#,
        b"FriendlyName=%C3%A9&CodeLength=99999999999999999999",
        b"FriendlyName=A&UniqueName=%00&Key=&Value=&Max=1&Interval=1&To=%2B&Channel=sms",
        b"--b\r\nContent-Disposition: form-data; name=\"Path\"\r\n\r\n--b--",
        b"%zz",
    ];
    let kinds =
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""];
    let parts =
        ["x", "%00", "09ee2b9b-282d-4a65-87d1-f01adf007745", "post-login", "sms", "%F0%9F%98%80", ACCOUNT];
    let queries =
        ["", "?page=99999999999&per_page=0", "?Page=18446744073709551615&PageSize=1000", "?%=", "?take=x"];
    for (_, method, pattern) in operations() {
        let (host, path) = match pattern.split_once('/') {
            Some(("", rest)) => (DOMAIN, rest),
            Some(split) => split,
            None => continue,
        };
        for body in bodies {
            let mut one_of = |list: &[&str]| list[(dice.draw() % list.len() as u64) as usize].to_owned();
            let mut filled = String::new();
            for piece in path.split('/') {
                filled.push('/');
                filled.push_str(&if piece.starts_with('{') { one_of(&parts) } else { piece.to_owned() });
            }
            filled.push_str(&one_of(&queries));
            let token = format!("Bearer {}", bench.twin.world.tenant_mut(DOMAIN).tokens[0].value);
            let basic = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTpz".to_owned();
            let headers = vec![
                ("authorization".to_owned(), if host == DOMAIN { token } else { basic }),
                ("content-type".to_owned(), one_of(&kinds)),
            ];
            bench.now_ms += 1_000;
            bench.send(host, method, &filled, headers, body.to_vec());
        }
    }
    assert!(bench.twin.log().iter().all(|entry| entry.served_status < Some(500)));
    assert!(Twin::from_json(bench.twin.to_json()).is_ok());
}

#[test]
fn unknown_parties_can_be_refused() {
    let mut twin = Twin::new(Options { unknown_tenants: false, ..Options::default() }, 1);
    let mut ask = |host: &str, authorization: &str| {
        let headers = vec![("authorization".to_owned(), authorization.to_owned())];
        let request = ApiRequest {
            host: host.into(),
            method: Method::Get,
            path: "/v2/Services".into(),
            headers,
            body: vec![],
        };
        decode(twin.handle(&request, 1_000).answer).0
    };
    assert_eq!(ask("nobody.eu.auth0.com", "Bearer x"), 404);
    assert_eq!(ask("verify.twilio.com", "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTpz"), 401);
}

#[test]
fn every_operation_has_a_name_of_its_own_or_is_an_alias() {
    let mut seen = BTreeMap::new();
    for (name, method, path) in operations() {
        seen.entry((method, path)).or_insert_with(Vec::new).push(name);
    }
    assert!(seen.values().all(|names| names.len() == 1), "a path is listed twice");
    assert!(seen.len() > 100, "{}", seen.len());
}

#[test]
fn owners_are_in_the_log() {
    let mut bench = Bench::new();
    bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]);
    bench.twilio(Method::Post, "verify.twilio.com/v2/Services", &[("FriendlyName", "Acme")]);
    bench.twilio(Method::Get, "verify.twilio.com/v2/Services", &[]);
    let owners: Vec<&str> = bench.twin.log().iter().map(|entry| entry.owner.as_str()).collect();
    // A read does not create the account, so the entry has no owner.
    assert_eq!(owners, [DOMAIN, "", ACCOUNT, ACCOUNT]);
}

fn bench_of(change: fn(&mut Options)) -> Bench {
    let mut options = Options { rate: Rate::Unlimited, ..Options::default() };
    change(&mut options);
    Bench::with(options)
}

#[test]
fn a_provider_whose_action_is_deleted_fares_as_the_options_say() {
    let cases = [
        (WithoutAction::Stays, 204, json!([false])),
        (WithoutAction::Disabled, 204, json!([true])),
        (WithoutAction::Removed, 204, json!([])),
        (WithoutAction::Refuses, 409, json!([false])),
    ];
    for (answer, status, disabled) in cases {
        let mut bench = bench_of(|_| {});
        bench.twin.options.provider_without_action = answer;
        let id = bench.deployed_action("a", "custom-phone-provider", "v1");
        let body =
            json!({"name": "custom", "configuration": {"delivery_methods": ["text"]}, "credentials": {}});
        assert_eq!(bench.post("/branding/phone/providers", &body).0, 201);
        let other = bench.deployed_action("b", "post-login", "v3");
        assert_eq!(bench.delete(&format!("/actions/actions/{other}")).0, 204, "another trigger");
        assert_eq!(bench.delete(&format!("/actions/actions/{id}?force=true")).0, status, "{answer:?}");
        let (_, list) = bench.get("/branding/phone/providers");
        let shown: Value =
            list["providers"].as_array().into_iter().flatten().map(|one| one["disabled"].clone()).collect();
        assert_eq!(shown, disabled, "{answer:?}");
    }
}

#[test]
fn codes_names_and_statuses_that_are_not_known() {
    let mut bench = bench_of(|options| {
        options.conflict_error_code = Some("conflict".into());
        options.action_name_limit = 3;
        options.log_stream_limit = Some(0);
        options.log_stream_limit_status = 409;
        options.custom_phone_needs_binding = true;
    });
    bench.deployed_action("abc", "custom-phone-provider", "v1");
    let trigger = json!([{"id": "custom-phone-provider", "version": "v1"}]);
    let mut refused = |body: Value| {
        let (status, reply) = bench.post("/actions/actions", &body);
        (status, reply["errorCode"].clone())
    };
    assert_eq!(
        refused(json!({"name": "two", "supported_triggers": trigger, "code": ""})),
        (400, json!("conflict"))
    );
    assert_eq!(
        refused(json!({"name": "long", "supported_triggers": trigger, "code": ""})),
        (400, json!("invalid_body"))
    );
    let (status, reply) = bench.post("/log-streams", &log_stream());
    assert_eq!((status, &reply["errorCode"]), (409, &json!("conflict")));
    let provider =
        json!({"name": "custom", "configuration": {"delivery_methods": ["text"]}, "credentials": {}});
    let (_, made) = bench.post("/branding/phone/providers", &provider);
    let path = format!("/branding/phone/providers/{}/try", made["id"].as_str().unwrap_or_default());
    assert_eq!(bench.post(&path, &json!({"to": "+15005550006"})).0, 409, "not bound");
}

#[test]
fn an_absent_flag_may_mean_that_it_is_on() {
    for (flag, status) in [(Flag::Absent, 200), (Flag::AbsentOn, 403)] {
        let mut bench = bench_of(|_| {});
        bench.twin.options.unified_flag = flag;
        bench.twin.world.tenants.clear();
        bench.log_in();
        assert_eq!(bench.get("/tenants/settings").1.get("phone_consolidated_experience"), None, "{flag:?}");
        assert_eq!(bench.get("/guardian/factors/phone/selected-provider").0, status, "{flag:?}");
    }
}

#[test]
fn what_twilio_may_do_either_way() {
    let post = Method::Post;
    for other in [false, true] {
        let mut bench = bench_of(|_| {});
        let options = &mut bench.twin.options;
        options.verify_service_deleted_whole = !other;
        options.unknown_rate_limit_refused = !other;
        options.variable_keys_unique = !other;
        options.serverless_name_taken_status = if other { 400 } else { 409 };
        let (_, made) = bench.twilio(post, "verify.twilio.com/v2/Services", &[("FriendlyName", "Acme")]);
        let service = format!("verify.twilio.com/v2/Services/{}", made["sid"].as_str().unwrap_or_default());
        bench.twilio(post, &format!("{service}/RateLimits"), &[("UniqueName", "per-user")]);
        let send = [("To", "+15005550006"), ("Channel", "sms"), ("RateLimits", "{\"no-such\":\"1\"}")];
        let sent = bench.twilio(post, &format!("{service}/Verifications"), &send).0;
        assert_eq!(sent, if other { 201 } else { 400 });
        assert_eq!(bench.twilio(Method::Delete, &service, &[]).0, if other { 409 } else { 204 });
        let services = "serverless.twilio.com/v1/Services";
        let form = [("UniqueName", "fb"), ("FriendlyName", "f")];
        assert_eq!(bench.twilio(post, services, &form).0, 201);
        assert_eq!(bench.twilio(post, services, &form).0, if other { 400 } else { 409 });
        let environments = format!("{services}/fb/Environments");
        let (_, made) = bench.twilio(post, &environments, &[("UniqueName", "production")]);
        let variables = format!("{environments}/{}/Variables", made["sid"].as_str().unwrap_or_default());
        let variable = [("Key", "A"), ("Value", "1")];
        assert_eq!(bench.twilio(post, &variables, &variable).0, 201);
        assert_eq!(bench.twilio(post, &variables, &variable).0, if other { 201 } else { 409 });
        bench.twin.options.messaging_configurations_allowed = !other;
        let (status, _) = bench.twilio(Method::Get, &format!("{service}/MessagingConfigurations"), &[]);
        assert_eq!(status, if other { 403 } else { 404 });
    }
}

//! Deployed code in real processes of Node.js: what it does, what it is given, what it is kept from, and how it is ended.
//! These tests need Node.js 22 or later and npm with a registry, so `.ci/run` runs them in a part of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep::builtin;
use lockstep::model::secret::{Origin, Secret};
use lockstep::shell::code::{Call, Failure, Options, Ran, Runner, Source, function_event};
use serde_json::{Value as Json, json};

use super::lab::{Folder, Twin, exchange};

mod held_back;
mod watched;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";
const KEY_SECRET: &str = "kEySeCrEt0123456789kEySeCrEt0123";
const NUMBER: &str = "+15005550006";

/// A runner of code beside a served twin.
struct Lab {
    twin: Twin,
    runner: Runner,
    calls: Cell<u32>,
    folder: Folder,
}

impl Lab {
    fn new(set: impl FnOnce(&mut Options)) -> Lab {
        let folder = Folder::new();
        let ca = folder.text_path("ca.pem");
        let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited", "--tls", "--ca-out", &ca]);
        // The packages of most tests are installed once.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache");
        let mut options = Options::new(twin.port, ca.into(), cache);
        set(&mut options);
        Lab { twin, runner: Runner::new(options), calls: Cell::new(0), folder }
    }

    /// With so many seconds for an Action and a Function.
    fn quick(seconds: u64) -> Lab {
        Lab::new(|options| {
            options.action_max = Duration::from_secs(seconds);
            options.function_max = Duration::from_secs(seconds);
        })
    }

    async fn run(&self, source: &Source, call: Call) -> Ran {
        self.calls.set(self.calls.get() + 1);
        self.runner.run(source, call).await
    }

    /// Runs a body of `onExecutePostLogin`.
    async fn body(&self, body: &str) -> Ran {
        self.run(&action(body, &[]), login(&[])).await
    }

    /// Sends to Twilio's Verify as the built-in code does, but directly.
    fn verify(&self, method: &str, path: &str, body: &str) -> (u16, Json) {
        let basic = format!("Basic {}", STANDARD.encode(format!("{KEY}:{KEY_SECRET}")));
        let headers =
            [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        exchange(self.twin.port, "verify.twilio.com", method, &format!("/v2/Services{path}"), &headers, body)
    }

    /// Makes a Verify service; answers its SID.
    fn service(&self) -> String {
        let (status, service) = self.verify("POST", "", "FriendlyName=Acme&CustomCodeEnabled=true");
        assert_eq!(status, 201, "{service}");
        service["sid"].as_str().expect("a SID").to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        println!("calls of deployed code: {}", self.calls.get());
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(future)
}

fn source(version: &str, code: &str, dependencies: &[(&str, &str)]) -> Source {
    let dependencies =
        dependencies.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect();
    Source { version: version.into(), code: code.into(), dependencies }
}

/// A post-login Action with this body. Each body is a version of its own.
fn action(body: &str, dependencies: &[(&str, &str)]) -> Source {
    source(body, &format!("exports.onExecutePostLogin = async (event, api) => {{ {body} }};"), dependencies)
}

fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value, Origin::Person))).collect()
}

fn login(pairs: &[(&str, &str)]) -> Call {
    Call::Action { handler: "onExecutePostLogin".into(), event: json!({}), secrets: secrets(pairs) }
}

fn function(body: &str) -> Source {
    source(body, &format!("exports.handler = (context, event, callback) => {{ {body} }};"), &[])
}

fn request(body: &Json, secret: &str) -> Json {
    let headers = [("content-type", "application/json"), ("authorization", secret)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    function_event(&headers, "", body.to_string().as_bytes()).expect("JSON")
}

fn threw(ran: &Ran) -> (&str, &str) {
    match &ran.outcome {
        Err(Failure::Threw { class, message }) => (class, message),
        other => panic!("{other:?}\n{}", ran.console),
    }
}

/// Waits for what the kernel does in its own time.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come to that");
}

/// The letter of a process's state: `T` is stopped.
fn state(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("State:")).expect("a state");
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

fn is_there(pid: &str) -> bool {
    !pid.is_empty() && Path::new("/proc").join(pid).exists()
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn the_built_in_code_sends_and_its_feedback_approves() {
    let lab = Lab::new(|_| {});
    let service = lab.service();
    let sender = secrets(&[
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_VERIFY_SID", &service),
        ("TWILIO_API_KEY", KEY),
        ("TWILIO_API_SECRET", KEY_SECRET),
    ]);
    let context = secrets(&[
        ("WEBHOOK_SECRET", "correct horse battery"),
        ("TWILIO_VERIFY_SID", &service),
        ("TWILIO_API_KEY", KEY),
        ("TWILIO_API_SECRET", KEY_SECRET),
    ]);
    let code = |name: &str| builtin::source(name).expect("it ships");
    let helper = [("twilio", "6.2.0")];
    let unified = source("unified", code("twilio-verify"), &helper);
    let legacy = source("legacy", code("twilio-verify-legacy"), &helper);
    let feedback = source(
        "feedback",
        code("verify-feedback"),
        &[("@twilio/runtime-handler", "2.1.2"), ("twilio", "6.2.0")],
    );
    let by_fetch = source("fetch", code("twilio-verify-fetch"), &[]);
    let legacy_by_fetch = source("legacy-fetch", code("twilio-verify-fetch-legacy"), &[]);
    let unified_event = |recipient: &str, code: &str, method: &str| {
        let message = json!({ "recipient": recipient, "code": code, "delivery_method": method,
            "message_type": "otp_verify" });
        ("onExecuteCustomPhoneProvider", json!({ "notification": message }))
    };
    let legacy_event = |code: &str, kind: &str| {
        let message =
            json!({ "recipient": NUMBER, "code": code, "message_type": kind, "action": "enrollment" });
        ("onExecuteSendPhoneMessage", json!({ "message_options": message }))
    };
    let ways = [
        (&unified, unified_event("+1 500 555 0006", "483920", "text"), "sms"),
        (&unified, unified_event(NUMBER, "583920", "voice"), "call"),
        (&legacy, legacy_event("683920", "sms"), "sms"),
        (&legacy, legacy_event("783920", "voice"), "call"),
        (&by_fetch, unified_event("+1 (500) 555-0006", "483921", "text"), "sms"),
        (&by_fetch, unified_event(NUMBER, "583921", "voice"), "call"),
        (&legacy_by_fetch, legacy_event("683921", "sms"), "sms"),
        (&legacy_by_fetch, legacy_event("783921", "voice"), "call"),
    ];
    block_on(async {
        for (number, (source, (handler, event), channel)) in ways.into_iter().enumerate() {
            let call = Call::Action { handler: handler.into(), event, secrets: sender.clone() };
            let ran = lab.run(source, call).await;
            assert_eq!(ran.outcome, Ok(Json::Null), "{ran:?}");
            assert_eq!((ran.commands.as_slice(), ran.console.as_str()), (&[][..], ""));
            assert_eq!(ran.was_warm, number % 2 == 1, "each version has a child of its own, which stays");
            let path = format!("/{service}/Verifications/%2B15005550006");
            let (status, there) = lab.verify("GET", &path, "");
            assert_eq!(
                (status, &there["status"], &there["channel"]),
                (200, &json!("pending"), &json!(channel))
            );

            let now = jiff::Timestamp::now().to_string();
            let details = json!({ "authenticator": { "type": "phone", "phone_number": NUMBER } });
            let data = json!({ "type": "gd_auth_succeed", "date": now, "details": details });
            let batch = json!([{ "log_id": "1", "data": data }, { "log_id": "2", "data": { "type": "f" } }]);
            let event = request(&batch, "correct horse battery");
            let ran = lab.run(&feedback, Call::Function { context: context.clone(), event }).await;
            let answer = ran.outcome.expect("answered");
            assert_eq!(
                (&answer["status"], &answer["headers"]["content-type"]),
                (&json!(200), &json!("application/json"))
            );
            let told: Json = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
            assert_eq!((&told["approved"], &told["other"]), (&json!(1), &json!(1)), "{}", ran.console);
            assert_eq!(lab.verify("GET", &path, "").0, 404, "an approved verification is gone");
        }
        let batch = json!([{ "data": { "type": "f" } }]);
        let forged = Call::Function { context: context.clone(), event: request(&batch, "guessed") };
        assert_eq!(lab.run(&feedback, forged).await.outcome.expect("answered")["status"], 401);

        // What Twilio refuses is told to Auth0 by the vendor's code.
        lab.verify("POST", &format!("/{service}"), "CustomCodeEnabled=false");
        let notification = json!({ "recipient": NUMBER, "code": "1234", "delivery_method": "text" });
        for source in [&unified, &by_fetch] {
            let call = Call::Action {
                handler: "onExecuteCustomPhoneProvider".into(),
                event: json!({ "notification": notification }),
                secrets: sender.clone(),
            };
            let ran = lab.run(source, call).await;
            assert_eq!((&ran.outcome, ran.commands.len()), (&Ok(Json::Null), 1));
            assert_eq!(ran.commands[0]["call"], "notification.drop");
            assert!(ran.commands[0]["arguments"][0].to_string().contains("code 60204"), "{:?}", ran.commands);
        }
        let call = Call::Action {
            handler: "onExecuteSendPhoneMessage".into(),
            event: json!({ "message_options": { "recipient": NUMBER, "code": "1234", "message_type": "sms" } }),
            secrets: sender,
        };
        let ran = lab.run(&legacy, call).await;
        assert!(threw(&ran).1.contains("code 60204"), "{ran:?}");
        lab.runner.end().await;
    });
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn the_limits_of_the_vendors_end_calls_that_go_on() {
    let lab = Lab::new(|_| {});
    block_on(async {
        let looping = action("api.access.deny('first'); console.log('x'.repeat(300)); for (;;);", &[]);
        let (silent, context) = (function("console.log('hi')"), BTreeMap::new());
        let (action, function) = tokio::join!(
            lab.run(&looping, login(&[])),
            lab.run(&silent, Call::Function { context, event: json!({}) }),
        );
        assert_eq!(action.outcome, Err(Failure::TimedOut(Duration::from_secs(20))));
        assert_eq!(action.commands, [json!({ "call": "access.deny", "arguments": ["first"] })]);
        assert_eq!(action.console, "x".repeat(256));
        assert!((20_000..24_000).contains(&action.ms), "{}", action.ms);
        assert_eq!(function.outcome, Err(Failure::TimedOut(Duration::from_secs(10))));
        assert_eq!(function.console, "hi\n");
    });
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn a_child_stays_for_its_version_and_stands_still_between_calls() {
    let lab = Lab::quick(5);
    let counts =
        "globalThis.n = (globalThis.n ?? 0) + 1; console.log(process.pid, globalThis.n, event.secrets.A)";
    let version = |name: &str| {
        let mut source = action(counts, &[]);
        source.version = name.into();
        source
    };
    block_on(async {
        let said = async |name: &str, secret: &str| {
            let ran = lab.run(&version(name), login(&[("A", secret)])).await;
            assert_eq!(ran.outcome, Ok(Json::Null));
            let mut words = ran.console.split_whitespace().map(str::to_owned);
            (
                ran.was_warm,
                words.next().expect("a pid"),
                words.next().expect("a count"),
                words.next().expect("a secret"),
            )
        };
        let first = said("1", "one").await;
        assert_eq!((first.0, first.2.as_str(), first.3.as_str()), (false, "1", "one"));
        until(|| state(&first.1) == "T").await;
        let second = said("1", "two").await;
        assert_eq!(
            second,
            (true, first.1.clone(), "2".to_owned(), "two".to_owned()),
            "its secrets are those of the call"
        );

        // Calls at the same time each have a child. Of all, four stay: those that were used last.
        let (one, two) = tokio::join!(said("1", "x"), said("1", "y"));
        assert!(one.1 != two.1 && (one.0 ^ two.0), "{one:?} {two:?}");
        for name in ["2", "3", "4", "5"] {
            assert!(!said(name, "x").await.0, "{name}");
        }
        assert!(!is_there(&one.1) && !is_there(&two.1), "the first version was used least recently");
        assert!(said("2", "x").await.0);
        assert!(!said("1", "x").await.0);
        let last = said("1", "x").await;
        let killed = std::process::Command::new("kill").args(["-9", &last.1]).status().expect("kill");
        assert!(killed.success());
        let after = said("1", "x").await;
        assert!(!after.0 && after.1 != last.1, "a child that died meanwhile is replaced");

        // What a call leaves behind meets neither the next call nor what that one says.
        for rest in [
            "throw 1",
            "process.exit(1)",
            "console.log('late', mine)",
            "api.access.deny('late')",
            "for (;;);",
        ] {
            let body = format!(
                "const mine = Math.random(); setTimeout(() => {{ {rest} }}, 0); console.log('mine', mine)"
            );
            let source = action(&body, &[]);
            for _ in 0..2 {
                let ran = lab.run(&source, login(&[])).await;
                assert_eq!((&ran.outcome, ran.commands.len()), (&Ok(Json::Null), 0), "{rest}: {ran:?}");
                // What is printed until the process is stopped is the call's own.
                let mine = ran
                    .console
                    .lines()
                    .next()
                    .and_then(|line| line.strip_prefix("mine "))
                    .expect("its own line");
                let others = ran.console.lines().skip(1).find(|line| *line != format!("late {mine}"));
                assert_eq!(others, None, "{rest}: {ran:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let pid = said("1", "x").await.1;
        lab.runner.end().await;
        assert!(!is_there(&pid), "none is left at the end");

        // A call that nobody waits for any more ends its process.
        let lab = Lab::quick(5);
        let source =
            action("if (globalThis.again) for (;;); globalThis.again = 1; console.log(process.pid)", &[]);
        let pid = lab.run(&source, login(&[])).await.console.trim().to_owned();
        let given_up = tokio::time::timeout(Duration::from_secs(1), lab.run(&source, login(&[]))).await;
        assert!(given_up.is_err());
        until(|| !is_there(&pid)).await;
    });
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn event_and_api_are_those_of_the_vendors() {
    let lab = Lab::quick(5);
    block_on(async {
        let said = async |handler: &str, body: &str| {
            let code = format!(
                "const assert = require('assert'); exports.{handler} = async (event, api) => {{ {body} }};"
            );
            let event = json!({ "user": { "user_id": "auth0|1" } });
            let call = Call::Action {
                handler: handler.into(),
                event,
                secrets: secrets(&[("S", "s3cr3t-value-of-the-call")]),
            };
            let ran = lab.run(&source(body, &code, &[]), call).await;
            assert_eq!(ran.outcome, Ok(Json::Null), "{body}");
            ran
        };
        let phone = "onExecuteCustomPhoneProvider";
        let ran =
            said(phone, "api.notification.retry('r'.repeat(2000)).notification.drop(); assert(!api.access)")
                .await;
        assert_eq!(
            ran.commands,
            [
                json!({ "call": "notification.retry", "arguments": ["r".repeat(1024)] }),
                json!({ "call": "notification.drop", "arguments": [""] }),
            ]
        );
        let ran = said(
            phone,
            "console.log(event.user.user_id, event.secrets.S); api.notification.drop(event.secrets.S)",
        )
        .await;
        assert!(
            !format!("{ran:?}").contains("s3cr3t-value-of-the-call") && ran.console.contains("auth0|1"),
            "{ran:?}"
        );
        said(
            "onExecuteSendPhoneMessage",
            "assert(!api.notification); assert.deepEqual(Object.keys(api), ['cache'])",
        )
        .await;
        let ran = said("onExecutePostLogin", "api.multifactor.enable('any', { allowRememberBrowser: false }); \
            api.authentication.challengeWithAny([{ type: 'otp' }, { type: 'phone', options: { preferredMethod: 'sms' } }]); \
            api.authentication.enrollWith({ type: 'phone' }); api.access.deny('no')").await;
        let calls: Vec<&str> = ran.commands.iter().filter_map(|said| said["call"].as_str()).collect();
        assert_eq!(
            calls,
            [
                "multifactor.enable",
                "authentication.challengeWithAny",
                "authentication.enrollWith",
                "access.deny"
            ]
        );
        assert_eq!(ran.commands[1]["arguments"][0][1]["options"]["preferredMethod"], "sms");
        said(
            "onExecutePostLogin",
            "
            const { cache } = api;
            assert.equal(cache.get('a'), undefined);
            const set = cache.set('a', '1');
            assert.equal(set.type, 'success');
            assert(Math.abs(set.record.expires_at - Date.now() - 900000) < 1000);
            assert.equal(cache.get('a').value, '1');
            assert.equal(cache.set('k'.repeat(65), '1').type, 'error');
            assert.equal(cache.set('k', 'v'.repeat(4097)).type, 'error');
            assert.equal(cache.set('k', 5).type, 'error');
            assert.equal(cache.set('k', 'v'.repeat(4000)).type, 'success');
            assert.equal(cache.set('l', 'v'.repeat(4000)).type, 'success');
            assert.equal(cache.set('m', 'v'.repeat(300)).type, 'error');
            assert.equal(cache.set('l', 'v').type, 'success');
            for (let i = 0; i < 17; i++) assert.equal(cache.set('n' + i, '1').type, 'success');
            assert.equal(cache.set('one too many', '1').type, 'error');
            assert.equal(cache.delete('a').type, 'success');
            assert.equal(cache.delete('a').type, 'error');
            assert(cache.set('a', '1', { ttl: 1e12 }).record.expires_at <= Date.now() + 86400000);
            const at = Date.now() + 20;
            assert.equal(cache.set('a', '1', { ttl: 5000, expires_at: at }).record.expires_at, at);
            await new Promise((done) => setTimeout(done, 40));
            assert.equal(cache.get('a'), undefined);",
        )
        .await;
    });
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn a_function_answers_by_its_callback() {
    let lab = Lab::quick(3);
    block_on(async {
        let run = async |body: &str| {
            let context =
                secrets(&[("ACCOUNT_SID", ACCOUNT), ("AUTH_TOKEN", "0123456789abcdef0123456789abcdef")]);
            lab.run(&function(body), Call::Function { context, event: json!({ "a": 1 }) }).await.outcome
        };
        let (text, object) =
            (json!({ "content-type": "text/plain" }), json!({ "content-type": "application/json" }));
        let rows = [
            ("callback(null, 'hi ' + event.a)", 200, &text, "hi 1"),
            ("callback(null, { a: event.a })", 200, &object, "{\"a\":1}"),
            ("callback(null, new Error('x'))", 200, &object, "{}"),
            ("callback(null, 'first'); callback(null, 'second')", 200, &text, "first"),
            ("setTimeout(callback, 20, null, 'later')", 200, &text, "later"),
            (
                "const r = new Twilio.Response(); r.setStatusCode(418); r.setBody('tea'); callback(null, r)",
                418,
                &text,
                "tea",
            ),
            ("callback(null, new Twilio.Response().setBody({ b: 2 }))", 200, &object, "{\"b\":2}"),
        ];
        for (body, status, headers, sent) in rows {
            assert_eq!(
                run(body).await,
                Ok(json!({ "status": status, "headers": headers, "body": sent })),
                "{body}"
            );
        }
        let cookies = run("const r = new Twilio.Response(); r.setHeaders({ 'X-A': 'b' }); \
            r.setCookie('a', 'b', ['Secure']).removeCookie('c'); callback(null, r)")
        .await
        .expect("answered");
        assert_eq!(cookies["headers"]["x-a"], "b");
        assert_eq!(cookies["headers"]["set-cookie"], json!(["a=b;Secure", "c=;Max-Age=0"]));
        let threw =
            |class: &str, message: &str| Err(Failure::Threw { class: class.into(), message: message.into() });
        assert_eq!(run("callback(new Error('no'))").await, threw("Error", "no"));
        assert_eq!(run("callback('no')").await, threw("string", "no"));
        assert_eq!(run("throw new TypeError('no')").await, threw("TypeError", "no"));
        let late = Err(Failure::TimedOut(Duration::from_secs(3)));
        assert_eq!(run("return 'not through the callback'").await, late);
        let returns = source("async", "exports.handler = async () => 'returned'", &[]);
        let call = Call::Function { context: BTreeMap::new(), event: json!({}) };
        assert_eq!(lab.run(&returns, call).await.outcome, late, "what is only returned is not sent");

        let service = lab.service();
        let code = format!(
            "exports.handler = async (context, event, callback) => callback(null, (await context.getTwilioClient().verify.v2\
             .services('{service}').fetch()).friendlyName + Twilio.twiml.VoiceResponse.name)"
        );
        let context =
            secrets(&[("ACCOUNT_SID", ACCOUNT), ("AUTH_TOKEN", "0123456789abcdef0123456789abcdef")]);
        let call = Call::Function { context, event: json!({}) };
        let answer =
            lab.run(&source("client", &code, &[("twilio", "6.2.0")]), call).await.outcome.expect("answered");
        assert_eq!(answer["body"], "AcmeVoiceResponse");
    });
}

#[test]
#[ignore = "needs Node.js 22 and npm; .ci/run runs it"]
fn without_node_npm_or_packages_the_call_says_which() {
    let fine = action("require('ms')", &[("ms", "2.1.3")]);
    let install = async |lab: &Lab, source: &Source| match lab.run(source, login(&[])).await.outcome {
        Err(Failure::Install(text)) => text,
        other => panic!("{other:?}"),
    };
    block_on(async {
        // An older Node.js on the PATH, and none.
        let bin = Folder::new();
        program(&bin, "node", "echo v20.19.2");
        let path = |path: &Folder| path.path("").into_os_string();
        let lab = Lab::new(|options| options.path = path(&bin));
        let Err(Failure::NoNode(text)) = lab.body("1").await.outcome else { panic!("it ran") };
        assert!(text.contains("node is 20.19") && text.contains("node@22"), "{text}");
        let lab = Lab::new(|options| options.path = "".into());
        let Err(Failure::NoNode(text)) = lab.body("1").await.outcome else { panic!("it ran") };
        assert!(text.contains("there is none"), "{text}");

        // Node.js without npm: code without packages runs.
        let node = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join("node"))
            .find(|file| file.exists())
            .expect("Node.js");
        let bin = Folder::new();
        std::os::unix::fs::symlink(std::fs::canonicalize(node).expect("a file"), bin.path("node"))
            .expect("a link");
        let cache = Folder::new();
        let lab = Lab::new(|options| {
            options.path = path(&bin);
            options.cache = cache.path("cache");
        });
        assert!(install(&lab, &fine).await.contains("npm is not on the PATH"));
        assert_eq!(lab.body("1").await.outcome, Ok(Json::Null), "everything else goes on");

        // An npm that hears of nothing but what it needs, and reaches nothing.
        program(
            &bin,
            "npm",
            &format!(
                "/usr/bin/env > {}; echo 'npm error code ECONNREFUSED' >&2; exit 1",
                cache.text_path("env")
            ),
        );
        assert!(install(&lab, &fine).await.contains("cannot reach the registry (ECONNREFUSED)"));
        let known = [
            "PATH",
            "HOME",
            "npm_config_cache",
            "NODE_EXTRA_CA_CERTS",
            "SSL_CERT_FILE",
            "PWD",
            "SHLVL",
            "_",
            "OLDPWD",
        ];
        for line in cache.read("env").lines() {
            let name = line.split('=').next().unwrap_or_default();
            assert!(known.contains(&name) || name.to_ascii_lowercase().contains("proxy"), "{line}");
        }

        let lab = Lab::new(|options| options.cache = cache.path("cache"));
        let unknown = action("1", &[("acme-no-such-package-of-lockstep", "1.0.0")]);
        assert!(
            install(&lab, &unknown)
                .await
                .contains("acme-no-such-package-of-lockstep@1.0.0 is not in the registry")
        );
        let version = action("1", &[("ms", "99.0.0")]);
        assert_eq!(install(&lab, &version).await, "the registry has no version ms@99.0.0");

        // The lock is made once. What the registry has must then be what it says.
        assert_eq!(lab.run(&fine, login(&[])).await.outcome, Ok(Json::Null));
        let lock = std::fs::read_dir(cache.path("cache/locks"))
            .expect("locks")
            .last()
            .expect("one")
            .expect("read")
            .path();
        let text = std::fs::read_to_string(&lock).expect("a lock");
        assert!(text.contains("\"integrity\": \"sha512-6"), "{text}");
        std::fs::write(&lock, text.replace("sha512-6", "sha512-7")).expect("written");
        let lab = Lab::new(|options| options.cache = cache.path("cache"));
        let told = install(&lab, &fine).await;
        assert!(told.starts_with("package ms 2.1.3 is no longer as locked"), "{told}");
        assert_eq!(lab.body("1").await.outcome, Ok(Json::Null), "everything else goes on");
    });
}

fn program(folder: &Folder, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    folder.write(name, &format!("#!/bin/sh\n{script}\n"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(name), mode).expect("a program");
}

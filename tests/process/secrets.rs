//! Tests of law 5: no secret value leaves the program, nor a recognisable part or encoding of one.
//!
//! The secrets contain everything that breaks encoders: quotes, slashes, plus and percent signs, blanks, letters beyond
//! ASCII, a leading dash. The tests search all output for every run of eight bytes of them, and of each encoding.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value as Json, json};

use super::lab::{Asked, Folder, Proxy, Run, Site, Twin, json_reply, lockstep};

const CLIENT_SECRET: &str = "-Zq\"7/k+P%41é'\\W9x&=?#<vB8";
const API_SECRET: &str = "tW/+%2Fü\"kL€9=Xq7;vJ:5{r}";
const SENDER_SECRET: &str = "'; sN|d$(eR) `Q4`%\\u0041\\\"zY~^";
const EXTRA_SECRET: &str = "--yes=Ünï∂/cødé+%%s%n+x7Q9";
const RECEIVER_KEY: &str = "SK5f1e;:/'\"k3Y%2Fzz8";
const RECEIVER_SECRET: &str = "rc/%\"V+ß'1&x=Qp\\u00e9;zT";
const FEEDBACK_SECRET: &str = "Bearer q+/=F33dB4ck\"?&%20'é\\";

const MANIFEST: &str = "\
lockstep: v1
stack: acme-login
auth0:
  domain: ${env.AUTH0_DOMAIN}
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET}
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
verify_service:
  friendly_name: Acme
  code_length: 6
phone:
  delivery: unified
  channels: [sms, voice]
action:
  code: builtin:twilio-verify
  runtime: node22
  dependencies:
    twilio: 6.2.0
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.TWILIO_SENDER_KEY}
    TWILIO_API_SECRET: ${file.sender.secret}
    TWILIO_VERIFY_SID: ${verify_service.sid}
    EXTRA: ${env.EXTRA_SECRET}
feedback:
  function:
    code: builtin:verify-feedback
    api_key: ${env.RECEIVER_KEY}
    api_secret: ${env.RECEIVER_SECRET}
    variables:
      EXTRA: ${env.EXTRA_SECRET}
  log_stream:
    authorization: ${AUTHORIZATION}
    status: active
mfa:
  factors:
    phone: on
    otp: on
";

/// Byte sequences that must not be seen: eight bytes each, with the name of their secret.
#[derive(Clone, Default)]
struct Needles(BTreeMap<[u8; 8], String>);

impl Needles {
    fn of_site(site: &Site) -> Needles {
        let mut needles = Needles::default();
        needles.add("client secret", CLIENT_SECRET);
        needles.add("api secret", API_SECRET);
        needles.add("sender secret", SENDER_SECRET);
        needles.add("extra secret", EXTRA_SECRET);
        needles.add("feedback secret", FEEDBACK_SECRET);
        needles.add("receiver key", RECEIVER_KEY);
        needles.add("receiver secret", RECEIVER_SECRET);
        needles.add("sender key", &site.env["TWILIO_SENDER_KEY"]);
        // Of a Basic header, only the part after the user, who is no secret.
        let user = format!("{}:", site.env["TWILIO_API_KEY"]);
        let pair = STANDARD.encode(format!("{user}{API_SECRET}"));
        needles.add_form("basic header", &pair.as_bytes()[(user.len() * 8).div_ceil(6)..]);
        needles
    }

    fn add(&mut self, name: &str, secret: &str) {
        if secret.len() < 8 {
            return;
        }
        self.add_form(name, secret.as_bytes());
        for shift in 0..3usize {
            let shifted = [&b"000"[..shift], secret.as_bytes()].concat();
            // Characters that also encode bits of a neighbour do not belong to the secret's own form.
            let first = (shift * 8).div_ceil(6);
            let whole = shifted.len() * 8 / 6;
            for engine in [&STANDARD, &URL_SAFE] {
                let text = engine.encode(&shifted);
                self.add_form(&format!("{name} in base64"), &text.as_bytes()[first..whole]);
            }
        }
        let quoted = serde_json::to_string(secret).expect("JSON");
        self.add_form(&format!("{name} in JSON"), quoted.trim_matches('"').as_bytes());
        let twice = serde_json::to_string(&quoted).expect("JSON");
        self.add_form(&format!("{name} in JSON in JSON"), twice.trim_matches('"').as_bytes());
        let ascii: String = secret
            .chars()
            .map(|ch| if ch.is_ascii() { ch.to_string() } else { format!("\\u{:04x}", u32::from(ch)) })
            .collect();
        self.add_form(&format!("{name} in JSON of ASCII"), ascii.as_bytes());
        let percent: String = secret
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect();
        self.add_form(&format!("{name} in a URL"), percent.as_bytes());
        self.add_form(&format!("{name} in a form"), percent.replace("%20", "+").as_bytes());
        // Only the digits of escapes are lowered; letters of the secret itself stay as they are.
        let lower = lower_escapes(&percent);
        self.add_form(&format!("{name} in a URL, lower case"), lower.as_bytes());
    }

    fn add_form(&mut self, name: &str, form: &[u8]) {
        for window in form.windows(8) {
            self.0.entry(window.try_into().expect("eight bytes")).or_insert_with(|| name.to_owned());
        }
    }

    /// Panics with the name and the place of the first needle that is found.
    #[track_caller]
    fn expect_none(&self, place: &str, text: &str) {
        if let Some((name, around)) = self.found(text) {
            panic!("{place} shows the {name}: …{around}…");
        }
    }

    fn found(&self, text: &str) -> Option<(&str, String)> {
        let bytes = text.as_bytes();
        bytes.windows(8).enumerate().find_map(|(at, window)| {
            let name = self.0.get(window)?;
            let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
            Some((name.as_str(), String::from_utf8_lossy(around).into_owned()))
        })
    }
}

fn lower_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        out.push_str(&tail[..3].to_lowercase());
        rest = &tail[3..];
    }
    out + rest
}

const FORMS: [&str; 6] = ["text", "json", "markdown", "sarif", "junit", "github"];

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A stack whose values are all secrets from the table above.
struct Secretive {
    folder: Folder,
    site: Site,
    manifest: String,
    /// All output: name and text.
    out: Vec<(String, String)>,
}

impl Secretive {
    fn new(site: Site, authorization: &str) -> Secretive {
        let (folder, mut site) = (Folder::new(), site);
        for (name, value) in [
            ("AUTH0_CLIENT_SECRET", CLIENT_SECRET),
            ("TWILIO_API_SECRET", API_SECRET),
            ("EXTRA_SECRET", EXTRA_SECRET),
            ("FEEDBACK_SECRET", FEEDBACK_SECRET),
            ("RECEIVER_KEY", RECEIVER_KEY),
            ("RECEIVER_SECRET", RECEIVER_SECRET),
        ] {
            site.env.insert(name.into(), value.into());
        }
        folder.write("sender.secret", SENDER_SECRET);
        let manifest = folder.write("lockstep.yaml", &MANIFEST.replace("${AUTHORIZATION}", authorization));
        Secretive { folder, site, manifest, out: Vec::new() }
    }

    fn keep(&mut self, what: &str, run: Run) -> Option<i32> {
        self.out.push((format!("stdout of {what}"), run.out));
        self.out.push((format!("stderr of {what}"), run.err));
        run.code
    }

    /// Options that write every form into a file of its name.
    fn forms(&self) -> Vec<String> {
        FORMS.iter().map(|form| format!("--output={form}={}", self.folder.text_path(form))).collect()
    }

    fn keep_forms(&mut self, what: &str) {
        for form in FORMS {
            let text = self.folder.read(form);
            assert!(!text.is_empty() || form == "github", "{what}: {form}");
            self.out.push((format!("{form} of {what}"), text));
        }
    }

    /// Runs `validate`, which takes no connection.
    fn validated(&mut self) -> Option<i32> {
        let forms = self.forms();
        let run = lockstep(&["validate", &self.manifest]).args(&refs(&forms)).envs(&self.site.env).run();
        self.keep_forms("validate");
        self.keep("validate", run)
    }

    #[track_caller]
    fn run(&mut self, code: i32, command: &str, args: &[&str]) {
        let forms = self.forms();
        let run = self.site.lockstep(command, &self.manifest, args).args(&refs(&forms)).run();
        let what = format!("{command} {}", args.join(" "));
        self.keep_forms(&what);
        let shown = format!("{what}\n{}\n{}", run.out, run.err);
        assert_eq!(self.keep(&what, run), Some(code), "{shown}");
    }
}

#[test]
fn no_secret_leaves_at_any_level_of_detail() {
    let twin = Twin::start();
    std::thread::scope(|scope| {
        for (number, level) in [(1, "-v"), (2, "-vv"), (3, "-vvv")] {
            let twin = &twin;
            scope.spawn(move || whole_life(twin, number, level));
        }
    });
    let log = twin.log_text();
    let sites = [Site::new(&twin, 1), Site::new(&twin, 2), Site::new(&twin, 3)];
    for site in &sites {
        Needles::of_site(site).expect_none("the twin's request log", &log);
    }
}

fn whole_life(twin: &Twin, number: u64, level: &str) {
    let mut life = Secretive::new(Site::new(twin, number), "${generated.feedback}");
    let (plan_file, audit) = (life.folder.text_path("plan"), life.folder.text_path("audit"));
    assert_eq!(life.validated(), Some(0));
    life.run(0, "plan", &[level, "--out", &plan_file]);
    life.run(0, "plan", &[level, "--output", "json", "--explain"]);
    life.run(0, "plan", &[level, "--explain"]);
    life.run(0, "apply", &[level, "--yes", "--audit", &audit]);
    life.run(0, "apply", &[level, "--yes", "--output", "json"]);
    life.run(0, "drift", &[level]);
    life.run(0, "drift", &[level, "--output", "json"]);
    life.run(0, "show", &[level]);
    life.run(0, "show", &[level, "--output", "json"]);

    let mut needles = Needles::of_site(&life.site);
    let streams = life.site.list("/api/v2/log-streams");
    let generated = streams[0]["sink"]["httpAuthorization"].as_str().expect("a readable value").to_owned();
    assert!(generated.len() >= 32, "{generated}");
    needles.add("generated value", &generated);
    let ledger = decoded_ledger(&life.site);
    life.out.push(("the ledger".into(), ledger));

    // One secret is changed in the manifest's files, and one on the tenant.
    life.folder.write("sender.secret", &SENDER_SECRET.chars().rev().collect::<String>());
    needles.add("second sender secret", &SENDER_SECRET.chars().rev().collect::<String>());
    let id = streams[0]["id"].as_str().expect("an id").to_owned();
    let mut sink = streams[0]["sink"].clone();
    let foreign = "frem/de'r+Value %7f\"Qx";
    sink["httpAuthorization"] = json!(foreign);
    let (status, reply) =
        life.site.auth0("PATCH", &format!("/api/v2/log-streams/{id}"), &json!({ "sink": sink }));
    assert_eq!(status, 200, "{reply}");
    needles.add("value set by somebody else", foreign);
    life.run(4, "drift", &[level]);
    life.run(0, "plan", &[level, "--explain", "--out", &plan_file]);
    life.run(0, "plan", &[level, "--output", "json", "--explain"]);
    life.run(0, "plan", &[level, "--destroy", "--explain"]);
    let file = life.folder.read("plan");
    life.out.push(("the second plan file".into(), file));
    life.run(0, "apply", &[level, "--yes", "--audit", &audit]);
    let ledger = decoded_ledger(&life.site);
    life.out.push(("the second ledger".into(), ledger));
    life.run(0, "destroy", &[level, "--yes", "--audit", &audit]);
    let file = life.folder.read("audit");
    life.out.push(("the audit file".into(), file));
    for (place, text) in &life.out {
        needles.expect_none(place, text);
    }
}

fn decoded_ledger(site: &Site) -> String {
    let ledger = site.actions().into_iter().find(|action| action["name"] == "Lockstep ledger (acme-login)");
    let code = ledger.expect("a ledger")["code"].as_str().expect("source").to_owned();
    let encoded = code.split('\'').find_map(|part| part.strip_prefix("v1.")).expect("a payload");
    let (_, encoded) = encoded.split_once('.').expect("a checksum before it");
    let payload = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("text");
    assert!(payload.contains("\"serial\""), "{payload}");
    format!("{code}\n{payload}")
}

#[test]
fn a_ledger_file_holds_no_secret() {
    let twin = Twin::start();
    let mut life = Secretive::new(Site::new(&twin, 1), "${env.FEEDBACK_SECRET}");
    let ledger = format!("file:{}", life.folder.text_path("ledger"));
    life.run(0, "apply", &["--yes", "--ledger", &ledger]);
    let needles = Needles::of_site(&life.site);
    needles.expect_none("the ledger file", &life.folder.read("ledger"));
    life.out.iter().for_each(|(place, text)| needles.expect_none(place, text));
}

/// The value generated for `--twin=FILE` is in the world and nowhere else.
#[test]
fn a_generated_value_is_in_the_world_only() {
    let folder = Folder::new();
    let world = format!("--twin={}", folder.text_path("world"));
    let quickstart = super::lab::QUICKSTART;
    let mut out = Vec::new();
    for args in [&["plan", "-vvv"][..], &["apply", "--yes", "-vvv"], &["drift", "-vvv"], &["show", "-vvv"]] {
        let run = lockstep(args).args(&[quickstart, &world]).run();
        out.push(run.out + &run.err);
    }
    let json: Json = serde_json::from_str(&folder.read("world")).expect("JSON");
    let mut needles = Needles::default();
    let mut count = 0;
    each_text(&json, &mut |key, text| {
        if key.to_ascii_lowercase().contains("authorization") {
            count += 1;
            needles.add("generated value", text);
        }
    });
    assert_eq!(count, 1, "one stream with one value");
    out.iter().for_each(|text| needles.expect_none("the output", text));
}

fn each_text(json: &Json, visit: &mut dyn FnMut(&str, &str)) {
    match json {
        Json::Object(map) => map.iter().for_each(|(key, value)| match value {
            Json::String(text) => visit(key, text),
            value => each_text(value, visit),
        }),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        _ => {}
    }
}

/// The reply of a server that repeats the request's content in every field of its refusal.
fn echo(asked: &Asked, status: u16) -> Vec<u8> {
    let basic = asked.authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let basic = basic.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let text = format!("{} | {basic} | {}", asked.authorization, asked.body);
    let tail: String = text.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    let body = json!({
        "statusCode": status,
        "error": text,
        "error_description": tail,
        "errorCode": text,
        "code": text,
        "message": tail,
        "more_info": text,
        "details": { "sent": text },
    });
    let header: String = asked.authorization.chars().filter(char::is_ascii).collect();
    json_reply(status, &format!("x-request-id: {header}\r\ntwilio-request-id: {header}\r\n"), &body)
}

/// Method, part of the host, end of the path, number among such requests.
type Target = (&'static str, &'static str, &'static str, usize);

const ACTIONS: &str = "/api/v2/actions/actions";

/// The requests that the server refuses, each with statuses. Left out are reads and tokens that end in 500, which are
/// repeated with growing pauses, and a list of bindings refused with 400, which waits for the Action: they show nothing
/// further.
const CASES: [(Target, &[u16]); 12] = [
    (("POST", "auth0", "/oauth/token", 1), &[400, 401]),
    (("GET", "verify", "/v2/Services", 1), &[400, 401]),
    (("GET", "auth0", ACTIONS, 1), &[400, 401]),
    (("POST", "serverless", "/v1/Services", 1), &[400, 401]),
    // The ledger, then the Action.
    (("POST", "auth0", ACTIONS, 1), &[400, 401, 500]),
    (("POST", "verify", "/v2/Services", 1), &[400, 401, 500]),
    (("POST", "auth0", ACTIONS, 2), &[400, 401, 409, 500]),
    (("POST", "auth0", "/log-streams", 1), &[400, 401, 500]),
    (("POST", "auth0", "/deploy", 1), &[400, 401]),
    (("PATCH", "auth0", "/bindings", 1), &[401]),
    (("POST", "auth0", "/providers", 1), &[400, 401, 500]),
    (("PUT", "auth0", "/factors/sms", 1), &[400, 401]),
];

/// The requests that an echoing server got, and all output of the program.
struct Echoed {
    asked: Vec<Asked>,
    token: String,
    said: Vec<(String, String)>,
    site: Site,
}

fn echoed(twin: &Twin, number: u64, target: Target, status: u16) -> Echoed {
    let token = Arc::new(Mutex::new(String::new()));
    let kept = token.clone();
    let count = Mutex::new(0usize);
    let proxy = Proxy::start(twin, move |asked, forward| {
        let (method, host, path_end, nth) = target;
        if asked.is(method, host, path_end) {
            let mut count = count.lock().expect("no panic under the lock");
            *count += 1;
            // From the n-th request on, every one is refused, so that a repeat is refused, too.
            if *count >= nth {
                return echo(asked, status);
            }
        }
        let reply = forward();
        if asked.path == "/oauth/token" {
            let text = String::from_utf8_lossy(&reply);
            let body: Json = text
                .split_once("\r\n\r\n")
                .and_then(|(_, body)| serde_json::from_str(body).ok())
                .unwrap_or_default();
            *kept.lock().expect("no panic under the lock") =
                body["access_token"].as_str().unwrap_or_default().to_owned();
        }
        reply
    });
    let mut life = Secretive::new(Site::new(twin, number).through(&proxy), "${generated.feedback}");
    let audit = life.folder.text_path("audit");
    let args = ["--yes", "-vvv", "--lease-ttl", "1s", "--audit", &audit];
    let run = life.site.lockstep("apply", &life.manifest, &args).run();
    let what = format!("an apply whose {target:?} answers {status}");
    let code = life.keep(&what, run);
    assert!(matches!(code, Some(0 | 1)), "{what}: {code:?}\n{:?}", life.out);
    let run = life
        .site
        .lockstep("apply", &life.manifest, &["--yes", "--output", "json", "--lease-ttl", "1s"])
        .run();
    life.keep(&format!("{what}, in JSON"), run);
    life.out.push((format!("the audit file of {what}"), life.folder.read("audit")));
    let token = token.lock().expect("no panic under the lock").clone();
    Echoed { asked: proxy.seen(), token, said: life.out, site: life.site }
}

/// Runs all cases concurrently, each with a tenant of its own. Returns what they disclosed.
fn all_echoes(needles_of: impl Fn(&Echoed) -> Needles + Sync) -> Vec<String> {
    let twin = Twin::start();
    let cases: Vec<(Target, u16)> = CASES
        .iter()
        .flat_map(|(target, statuses)| statuses.iter().map(|status| (*target, *status)))
        .collect();
    let given_away = Mutex::new(Vec::new());
    let next = Mutex::new(0usize);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let index = {
                        let mut next = next.lock().expect("no panic under the lock");
                        *next += 1;
                        *next - 1
                    };
                    let Some((target, status)) = cases.get(index) else { return };
                    let echoed = echoed(&twin, 500 + index as u64, *target, *status);
                    let needles = needles_of(&echoed);
                    for (place, text) in &echoed.said {
                        if let Some((name, around)) = needles.found(text) {
                            let line = format!("{place} shows the {name}: …{around}…");
                            given_away.lock().expect("no panic under the lock").push(line);
                        }
                    }
                }
            });
        }
    });
    given_away.into_inner().expect("no panic under the lock")
}

#[test]
fn a_server_that_echoes_gives_no_secret_of_the_manifest_away() {
    let given_away = all_echoes(|echoed| Needles::of_site(&echoed.site));
    assert!(given_away.is_empty(), "{}", given_away.join("\n"));
}

/// The access token is a secret too, although it comes from a reply.
#[test]
fn a_server_that_echoes_gives_no_access_token_away() {
    let given_away = all_echoes(|echoed| {
        let mut needles = Needles::default();
        needles.add("access token", &echoed.token);
        needles
    });
    assert!(given_away.is_empty(), "{}", given_away.join("\n"));
}

/// A value that was generated in the same run is a secret, too.
#[test]
fn a_server_that_echoes_gives_no_generated_value_away() {
    let twin = Twin::start();
    for (number, status) in [(700, 400u16), (701, 500)] {
        let echoed = echoed(&twin, number, ("POST", "auth0", "/api/v2/log-streams", 1), status);
        let mut needles = Needles::default();
        for asked in echoed.asked.iter().filter(|asked| asked.path == "/api/v2/log-streams") {
            if let Ok(body) = serde_json::from_str::<Json>(&asked.body) {
                let value = body["sink"]["httpAuthorization"].as_str().expect("a value").to_owned();
                needles.add("generated value", &value);
            }
        }
        assert!(!needles.0.is_empty(), "the stream was not created");
        echoed.said.iter().for_each(|(place, text)| needles.expect_none(place, text));
    }
}

/// A key in a file, and assertions signed with it: an assertion gives access for minutes to whoever has it.
#[test]
fn a_private_key_and_its_assertions_do_not_leave() {
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/shell/jwt.rs")).expect("source");
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let from = source.find(begin).expect("the key of the unit tests");
    let to = source[from..].find(end).expect("its end") + from;
    let pem = format!("{}{end}\n", &source[from..to]);
    let manifest = MANIFEST
        .replace("client_secret: ${env.AUTH0_CLIENT_SECRET}", "private_key: ${file.auth0.pem}")
        .replace("${AUTHORIZATION}", "${generated.feedback}");
    let twin = Twin::start();
    for (number, target) in
        [(801, "/oauth/token"), (802, "/api/v2/actions/actions"), (803, "nothing of the kind")]
    {
        let proxy = Proxy::start(&twin, move |asked, forward| {
            if asked.path.split('?').next() == Some(target) { echo(asked, 400) } else { forward() }
        });
        let mut life = Secretive::new(Site::new(&twin, number).through(&proxy), "");
        life.folder.write("auth0.pem", &pem);
        life.manifest = life.folder.write("key.yaml", &manifest);
        let code = if number == 803 { 0 } else { 1 };
        life.run(code, "plan", &["-vvv", "--output", "json"]);
        life.run(code, "plan", &["-vvv"]);
        let mut needles = Needles::default();
        for line in pem.lines().filter(|line| !line.starts_with("-----")) {
            needles.add("private key", line);
        }
        let asked = proxy.seen();
        let first = asked.iter().find(|asked| asked.path == "/oauth/token").expect("a token is asked for");
        let body: Json = serde_json::from_str(&first.body).unwrap_or_default();
        let assertion = body["client_assertion"].as_str().unwrap_or(&first.body);
        let signature = assertion.rsplit('.').next().unwrap_or_default();
        assert!(signature.len() > 300, "an RSA signature: {assertion}");
        needles.add("signature of the assertion", &signature[..300]);
        life.out.iter().for_each(|(place, text)| needles.expect_none(place, text));
    }
}

/// A value in clear in place of a reference is refused, and the refusal does not repeat it.
#[test]
fn a_secret_written_into_the_manifest_is_not_repeated() {
    let folder = Folder::new();
    let text = MANIFEST.replace("${AUTHORIZATION}", "${generated.feedback}");
    let manifest =
        folder.write("lockstep.yaml", &text.replace("${env.EXTRA_SECRET}", "Clear-Text-Zq7kP41eW9xvB8"));
    folder.write("sender.secret", SENDER_SECRET);
    let mut needles = Needles::default();
    needles.add("value in clear", "Clear-Text-Zq7kP41eW9xvB8");
    for args in [&["validate", &*manifest][..], &["plan", &manifest, "--twin", "-vvv"]] {
        let run = lockstep(args).run().expect(1);
        needles.expect_none("stdout", &run.out);
        needles.expect_none("stderr", &run.err);
        assert!(run.err.contains("lockstep.yaml:"), "{}", run.err);
    }
}

/// People keep settings in secrets. Such a value is reported, does not make words of ours disappear, and is hidden
/// where it is a whole value.
#[test]
fn a_secret_that_is_a_word_of_ours_is_said_and_cuts_no_word() {
    let twin = Twin::start();
    for (number, word, why) in [
        (901, "changed", "it has fewer than 8 characters"),
        (902, "unchanged", "Lockstep prints this word itself"),
    ] {
        let mut life = Secretive::new(Site::new(&twin, number), "${generated.feedback}");
        life.site.env.insert("EXTRA_SECRET".into(), word.into());
        assert_eq!(life.validated(), Some(0));
        let said = life.out.last().expect("stderr").1.clone();
        assert!(said.contains("LS0206") && said.contains(why), "{said}");
        assert!(said.contains("EXTRA: ${env.EXTRA_SECRET}"), "it has its place\n{said}");
        life.run(0, "apply", &["--yes"]);
        life.run(0, "plan", &[]);
        let plan = life.out.iter().rev().find(|(name, _)| name == "stdout of plan ").expect("a plan");
        assert!(plan.1.contains("unchanged") && !plan.1.contains("[secret]"), "{}", plan.1);
    }
}

/// The spellings in which a server may repeat a secret.
fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let chars: Vec<char> = secret.chars().collect();
    let pieces: Vec<String> = chars.chunks(7).map(|piece| piece.iter().collect()).collect();
    vec![
        ("upper case", secret.to_uppercase()),
        ("spaced hex", hex.join(" ")),
        ("entities", chars.iter().map(|ch| format!("&#{};", u32::from(*ch))).collect()),
        ("escapes", chars.iter().map(|ch| format!("\\u{:04x}", u32::from(*ch))).collect()),
        ("pieces of seven", pieces.join(" ")),
        ("base64 twice", STANDARD.encode(STANDARD.encode(secret))),
    ]
}

#[test]
fn an_echo_in_another_spelling_is_hidden_in_every_field() {
    const SECRET: &str = "Zq7kP41eW9xvB8LmT3uY";
    let twin = Twin::start();
    for (number, (name, spelling)) in (910..).zip(spellings(SECRET)) {
        let echoed = spelling.clone();
        let proxy = Proxy::start(&twin, move |asked, forward| {
            if asked.path.split('?').next() != Some(ACTIONS) {
                return forward();
            }
            let body = json!({ "statusCode": 400, "error": echoed, "errorCode": echoed, "message": format!("sent: {echoed} !") });
            let id: String = echoed.chars().filter(|ch| ch.is_ascii_alphanumeric()).take(70).collect();
            json_reply(400, &format!("x-request-id: {id}\r\nx-auth0-requestid: {id}\r\n"), &body)
        });
        let mut life = Secretive::new(Site::new(&twin, number).through(&proxy), "${generated.feedback}");
        life.site.env.insert("AUTH0_CLIENT_SECRET".into(), SECRET.into());
        life.run(1, "plan", &["-vvv"]);
        life.run(1, "plan", &["--output", "json"]);
        // Only letters and digits are compared, because a header or JSON may leave out or double the signs between
        // them.
        let bare = |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).collect() };
        let needle = bare(&spelling);
        for (place, text) in &life.out {
            let text_bare = bare(text);
            let part = needle.as_bytes().windows(12).map(|part| std::str::from_utf8(part).expect("ASCII"));
            let shown = part.clone().find(|part| text_bare.contains(part));
            assert_eq!(shown, None, "{place} shows the secret in {name}: {text}");
        }
        assert!(life.out.iter().any(|(_, text)| text.contains("sent: [secret]")), "{:?}", life.out);
    }
}

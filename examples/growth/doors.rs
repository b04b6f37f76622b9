//! The doors, each with an input that can be made in any size.

use std::fmt::Write as _;
use std::hint::black_box;

use lockstep::engine::reply;
use lockstep::kinds::{self, action, log_stream, phone_provider, phone_template, trigger_binding};
use lockstep::manifest::{self, FileError, Missing, Sources};
use lockstep::model::api::{ApiReply, Method};
use lockstep::model::plan::Plan;
use lockstep::model::scrub::Scrubber;
use lockstep::model::secret::{Origin, Secret};
use lockstep::plan::render::{self, Paint};
use lockstep::shell::via::Via;
use lockstep::twin::{Twin, fault_grammar, wire};
use lockstep::{javascript, ledger};
use serde_json::{Value as Json, json};

use crate::support::{self, ACCOUNT, DOMAIN, START_MS, Stack};

const ACTIONS: &str = "/world/tenants/acme-dev.eu.auth0.com/actions";
const STREAMS: &str = "/world/tenants/acme-dev.eu.auth0.com/log_streams";
const SERVICES: &str = "/world/accounts/AC00000000000000000000000000000001/verify_services";
const QUICKSTART: &str = include_str!("../../manifests/quickstart.yaml");

/// A way in, and the size of its smallest input: bytes, lines or objects, as the door likes.
pub struct Door {
    pub name: &'static str,
    pub size: usize,
    pub grows: Grows,
    pub enter: fn(usize),
}

/// How the work grows with the input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grows {
    /// With it.
    With,
    /// Not at all: such an input is refused at its beginning.
    Not,
    /// With its square, but it is bounded: the largest size that is read, and the instructions that one may take.
    Squared { largest: usize, instructions: u64 },
}

/// A source of 256 KiB, in pieces of so many bytes.
const fn largest_source(piece: usize) -> Grows {
    Grows::Squared { largest: (256 << 10) / piece, instructions: 40_000_000_000 }
}

macro_rules! doors {
    ($($name:literal, $size:literal $(, $grows:expr)? => $enter:expr;)*) => {
        &[$(Door { name: $name, size: $size, grows: doors!(@ $($grows)?), enter: $enter }),*]
    };
    (@) => { Grows::With };
    (@ $grows:expr) => { $grows };
}

pub const DOORS: &[Door] = doors! {
    "manifest: comments", 500 => |n| manifest(&format!("{QUICKSTART}{}", "# a line of words\n".repeat(n)));
    "manifest: one long line with an error behind it", 10_000 => |n| manifest(&format!("{{{}wrong: 1}}", " ".repeat(n)));
    "manifest: letters of two bytes before an error", 10_000 => |n| manifest(&format!("stack: \"{}\"\nwrong: 1", "é".repeat(n)));
    "manifest: keys that nobody knows", 250 => |n| manifest(&lines(n, |at| format!("wrong_{at}: 1\n")));
    "manifest: keys of a map that nobody knows", 250 => |n| manifest(&format!("mfa:\n{}", lines(n, |at| format!("  wrong_{at}: 1\n"))));
    "manifest: the same key", 250 => |n| manifest(&"stack: acme\n".repeat(n));
    "manifest: brackets", 20_000 => |n| manifest(&"[".repeat(n));
    "manifest: a list", 500 => |n| manifest(&format!("stack:\n{}", "  - acme\n".repeat(n)));
    "manifest: escapes", 5_000 => |n| manifest(&format!("stack: \"{}\"", "\\u0041".repeat(n)));
    "manifest: escapes that are none", 5_000 => |n| manifest(&format!("stack: \"{}\"", "\\q".repeat(n)));
    "manifest: quotes without an end", 5_000 => |n| manifest(&format!("stack: '{}", "''".repeat(n)));
    "manifest: a block of text", 500 => |n| manifest(&format!("stack: |\n{}", "  words and words\n".repeat(n)));
    "manifest: anchors", 250 => |n| manifest(&lines(n, |at| format!("a{at}: &a{at} x\n")));
    "manifest: tags", 250 => |n| manifest(&"!!x ".repeat(n));
    "manifest: documents", 500 => |n| manifest(&"---\nstack: acme\n".repeat(n));
    "manifest: references in a text", 500 => |n| manifest(&format!("stack: \"{}\"", "${env.A}".repeat(n)));
    "manifest: references that are none", 500 => |n| manifest(&format!("stack: \"{}\"", "${env.a b}".repeat(n)));
    "manifest: braces of references without an end", 20_000 => |n| manifest(&format!("stack: \"{}\"", "${".repeat(n)));
    "manifest: rate limits", 50 => |n| manifest(&with("verify_service", &format!("rate_limits:\n{}", lines(n, |at| {
        format!("    limit_{at}:\n      key: ip\n      buckets: {{ 1h: {{ max: 5 }} }}\n")
    }))));
    "manifest: buckets of a limit", 50 => |n| manifest(&with("verify_service", &format!("rate_limits:\n    one:\n      key: ip\n      buckets:\n{}", lines(n, |at| {
        format!("        {at}m: {{ max: 5 }}\n")
    }))));
    "manifest: streams", 10 => |n| manifest(&format!("{QUICKSTART}\nlog_streams:\n  http:\n{}", lines(n, |at| {
        format!("    s{at}:\n      endpoint: https://s{at}.example/x\n      authorization: ${{env.S{at}}}\n")
    })));
    "manifest: headers of a stream", 100 => |n| manifest(&with("  log_stream", &format!("  custom_headers:\n{}", lines(n, |at| {
        format!("      X-{at}: ${{env.H{at}}}\n")
    }))));
    "manifest: secrets of an Action", 7 => |n| manifest(&with("action", &format!("secrets:\n{}", lines(n, |at| {
        format!("    S{at}: ${{env.S{at}}}\n")
    }))));
    "manifest: dependencies of an Action", 100 => |n| manifest(&with("action", &format!("dependencies:\n{}", lines(n, |at| {
        format!("    package-{at}: 1.0.{at}\n")
    }))));
    "manifest: rules", 10 => |n| manifest(&format!("{QUICKSTART}\n  post_login:\n    code: builtin:mfa-post-login\n    rules:\n{}", lines(n, |at| {
        format!("      r{at}: {{ roles: [R{at}], require: mfa }}\n")
    })));
    "manifest: roles of a rule", 200 => |n| manifest(&format!("{QUICKSTART}\n  post_login:\n    code: builtin:mfa-post-login\n    rules:\n      one:\n        require: mfa\n        roles:\n{}", lines(n, |at| {
        format!("          - R{at}\n")
    })));
    "manifest: filters of a stream", 200 => |n| manifest(&with("  log_stream", &format!("  filters:\n{}", "      - other\n".repeat(n))));
    "manifest: countries", 200 => |n| manifest(&format!("{QUICKSTART}\nattest:\n  geo_permissions:\n    by: jo@acme.example\n    on: 2026-11-20\n    until: 2027-05-20\n    countries:\n{}", "      - AT\n".repeat(n)));
    "manifest: references to names that are not there", 60 => |n| manifest(&with("action", &format!("secrets:\n{}", lines(n, |at| {
        format!("    S{at}: ${{verify_servce.sid_{at}}}\n")
    }))));
    "manifest: words of a list that are none", 100 => |n| manifest(&with("phone", &format!("channels:\n{}", lines(n, |at| format!("    - word_{at}\n")))));
    "manifest: entries past the limit of a mapping", 50 => |n| manifest(&format!("{QUICKSTART}\n  post_login:\n    rules:\n{}", lines(n, |at| {
        format!("      r{at}: {{ role: [A], require: never }}\n")
    })));
    "manifest: references without quotes in brackets", 50 => |n| manifest(&format!("{QUICKSTART}\n{}", lines(n, |at| {
        format!("wrong_{at}: {{ a: ${{env.A}} }}\n")
    })));
    "manifest: tabs that indent", 100 => |n| manifest(&format!("{QUICKSTART}\nwrong:\n{}", lines(n, |at| format!("\twrong_{at}: 1\n"))));
    "manifest: a file that a reference names", 5_000 => |n| manifest_with(&with("  log_stream", "  name: ${file../x}\n"), n);
    "manifest: a credential and a value that holds it nearly", 2_000 => |n| manifest_with(&with("  log_stream", "  name: ${env.LONG}\n"), n);

    "JavaScript: functions", 200, largest_source(42) => |n| code(&lines(n, |at| format!("function f{at}(a, b) {{ return a + b * {at}; }}\n")));
    "JavaScript: one long line", 500 => |n| code(&format!("{}a", "a+".repeat(n)));
    "JavaScript: a long text", 10_000 => |n| code(&format!("const a = '{}';", "x".repeat(n)));
    "JavaScript: templates", 500 => |n| code(&format!("`{}`", "${a}".repeat(n)));
    "JavaScript: blocks in blocks", 200 => |n| code(&format!("{}{}", "{".repeat(n), "}".repeat(n)));
    "JavaScript: an error at the end", 1_000, largest_source(5) => |n| code(&format!("{}(", "a();\n".repeat(n)));
    "JavaScript: errors", 1_000 => |n| code(&"a(;\n".repeat(n));
    "JavaScript: secrets and packages", 200, largest_source(38) => |n| code(&lines(n, |at| format!("require('p{at}'); event.secrets.S{at};\n")));
    "JavaScript: calls one in the other", 1_600, largest_source(3) => |n| code(&format!("{}{}", "a(".repeat(n), ")".repeat(n)));
    "JavaScript: regular expressions", 2_000, largest_source(6) => |n| code(&format!("/{}/", "(a|b)*".repeat(n)));

    "reply: a list", 1_000 => |n| answer(&format!("[{}0]", "{},".repeat(n)));
    "reply: members", 500 => |n| answer(&format!("{{{}\"a\":0}}", lines(n, |at| format!("\"k{at}\":{at},"))));
    "reply: the same member", 500 => |n| answer(&format!("{{{}\"a\":0}}", "\"a\":0,".repeat(n)));
    "reply: brackets", 5_000, Grows::Not => |n| answer(&"[".repeat(n));
    "reply: escapes", 5_000 => |n| answer(&format!("\"{}\"", "\\u0041".repeat(n)));
    "reply: numbers", 5_000, Grows::Not => |n| answer(&"9".repeat(n));
    "reply: no JSON", 5_000 => |n| answer(&"<p>no</p>\n".repeat(n));
    "reply: an Action of many secrets", 200 => |n| answer(&json!({ "actions": [{ "id": "1", "name": "a", "secrets": (0..n).map(|at| json!({ "name": format!("S{at}") })).collect::<Vec<_>>() }] }).to_string());
    "reply: bindings", 200 => |n| answer(&json!({ "bindings": (0..n).map(|at| json!({ "id": at.to_string(), "action": { "id": at.to_string() } })).collect::<Vec<_>>() }).to_string());
    "reply: an error's message", 5_000, Grows::Not => |n| answer(&json!({ "message": "words and words ".repeat(n / 10) }).to_string());
    "reply: an error's message with signs", 20_000 => |n| answer(&json!({ "message": "\u{202e}::%41\\u0041&#x41;".repeat(n / 10) }).to_string());

    "secrets: a long text of others", 5_000 => |n| drop(black_box(scrubber(8).others(&"41-Sec ret%53".repeat(n / 10))));
    "secrets: a long text of ours", 5_000 => |n| drop(black_box(scrubber(8).ours(&"changed Secret-0 ".repeat(n / 10))));
    "secrets: many of them", 50 => |n| drop(black_box(scrubber(n).others("Secret-Value-0 and words")));
    "secrets: a long one", 500 => |n| {
        let mut scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(lines(n, |at| format!("{at:x}")), Origin::Person));
        drop(black_box(scrubber.others("Secret-Value-0 and words")));
    };

    "ledger: entries", 50 => |n| record(&json!({ "resources": (0..n).map(|at| (format!("a{at}"), json!({ "kind": "k", "ownership": "created", "ids": {}, "fields": {} }))).collect::<serde_json::Map<_, _>>() }));
    "ledger: fields of an entry", 100 => |n| record(&json!({ "resources": { "a": { "kind": "k", "ownership": "created", "ids": {}, "fields": (0..n).map(|at| (format!("f{at}"), json!({ "plain": at }))).collect::<serde_json::Map<_, _>>() } } }));
    "ledger: a source that is none", 50_000 => |n| source(&"exports.ledger = 'v1.'.".repeat(n / 10));

    "plan: changes", 50 => |n| plan(n, "x");
    "plan: texts of one long line", 16 => |n| plan(2, &"x".repeat(n * 1_000));
    "plan: texts of many lines", 4 => |n| plan(2, &lines(n * 100, |at| format!("line {at}\n")));
    "plan: a text of which everything changed", 700 => |n| changed(&lines(n, |at| format!("old {at}\n")), &lines(n, |at| format!("new {at}\n")));
    "plan: a text that moved by a line", 500 => |n| changed(&lines(n, |at| format!("a {at}\n")), &lines(n, |at| format!("a {}\n", at + 1)));

    "tenant: Actions of others", 60 => |n| tenant(n, ACTIONS);
    "tenant: streams of others", 60 => |n| tenant(n, STREAMS);
    "account: services of others", 60 => |n| tenant(n, SERVICES);

    "twin: a form", 500 => |n| drop(black_box(wire::pairs(&"a=%41&".repeat(n))));
    "twin: parts", 100 => |n| drop(black_box(wire::multipart("multipart/form-data; boundary=b", format!("{}--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n".repeat(n)).as_bytes())));
    "twin: a part that begins like an end", 5_000 => |n| drop(black_box(wire::multipart("multipart/form-data; boundary=b", format!("--b\r\n\r\n{}\r\n--b--\r\n", "\r\n--".repeat(n)).as_bytes())));
    "twin: a path", 1_000 => |n| drop(black_box(wire::Target::parse(&"/%41".repeat(n))));
    "twin: a fault rule", 1_000 => |n| fault(&format!("GET /{}: 500", "a".repeat(n)));
    "twin: a fault rule that is none", 1_000 => |n| fault(&", ".repeat(n));
    "twin: a world", 50 => world;
    "options: a gateway", 20_000 => |n| drop(black_box(Via::parse(&format!("http://127.0.0.1:{}/", "1".repeat(n)), true)));
};

/// `n` lines, each made from its number.
fn lines(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::new(), |mut text, at| {
        let _ = write!(text, "{}", line(at));
        text
    })
}

/// The quickstart with a few more lines right below a key.
fn with(key: &str, more: &str) -> String {
    let head = format!("\n{key}:\n");
    QUICKSTART.replacen(&head, &format!("{head}  {more}"), 1)
}

/// Every variable and every file there is has a value of that length, almost all of it the same.
struct Values(usize);

impl Sources for Values {
    fn env(&self, name: &str) -> Option<String> {
        let short = match name {
            "AUTH0_DOMAIN" => DOMAIN.to_owned(),
            "TWILIO_ACCOUNT_SID" => ACCOUNT.to_owned(),
            _ => format!("value of {name}"),
        };
        Some(if name == "LONG" { lines(self.0, |at| format!("{at:x}%41")) } else { short })
    }
    fn file(&self, _: &str) -> Result<String, FileError> {
        Ok("x".repeat(self.0))
    }
}

fn manifest(text: &str) {
    manifest_with(text, 8);
}

/// From the text to what is wanted of every kind, with every drawing of what is wrong.
fn manifest_with(text: &str, value_bytes: usize) {
    let (parsed, warnings) = match manifest::parse("m.yaml", text, &support::tables()) {
        Ok(parsed) => parsed,
        Err(rejected) => return drop(black_box(rejected.render(false) + &rejected.render(true))),
    };
    black_box(manifest::render(&warnings, &parsed.source, false));
    black_box(manifest::references(&parsed));
    for missing in [Missing::Error, Missing::Unknown] {
        match manifest::resolve(&parsed, &Values(value_bytes), missing) {
            Err(rejected) => drop(black_box(rejected.render(false))),
            Ok(manifest) => {
                let mut problems = Vec::new();
                kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut problems));
                let drawn: Vec<_> = problems.into_iter().map(|problem| parsed.locate(problem)).collect();
                black_box(manifest::render(&drawn, &parsed.source, false));
                kinds::KINDS.iter().for_each(|kind| drop(black_box(kind.declare(&manifest))));
            }
        }
    }
}

fn code(source: &str) {
    drop(black_box(javascript::parse(source)));
}

fn scrubber(secrets: usize) -> Scrubber {
    let mut scrubber = Scrubber::default();
    (0..secrets).for_each(|at| scrubber.learn(&Secret::new(format!("Secret-Value-{at}"), Origin::Person)));
    scrubber
}

/// As every kind reads it, and as the text of an error.
fn answer(body: &str) {
    let reply = ApiReply { status: 400, headers: Vec::new(), body: body.as_bytes().to_vec() };
    black_box(reply::message(&reply, &scrubber(8)));
    let Ok(json) = reply::json_of(body.as_bytes()) else { return };
    black_box(action::parse(&json));
    let _ = black_box(action::items(&json));
    let _ = black_box(trigger_binding::parse(&json));
    black_box(log_stream::parse(&json));
    black_box(phone_provider::parse(&json));
    black_box(phone_template::parse(&json));
}

/// A record with these members, as a file and as the source of an Action.
fn record(members: &Json) {
    let mut record = json!({
        "schema": 2, "tenant": DOMAIN, "account": ACCOUNT, "stack": "acme", "serial": 1, "salt": "00".repeat(16),
        "resources": {}, "history": [],
    });
    for (key, value) in members.as_object().into_iter().flatten() {
        record[key] = value.clone();
    }
    let record = ledger::parse(record.to_string().as_bytes(), "acme", DOMAIN, ACCOUNT).expect("a record");
    source(&ledger::write(&record).expect("a source"));
}

fn source(text: &str) {
    drop(black_box(ledger::read(text, "acme", DOMAIN, ACCOUNT)));
    drop(black_box(ledger::of_another(text, "Lockstep ledger (other)", DOMAIN)));
}

/// A saved plan of the core stack whose resources are `n` of one kind, each with those changes.
fn plan_of(n: usize, changes: &Json) -> String {
    let mut saved = serde_json::to_value(Stack::core().observe().plan).expect("plain data");
    let mut resource = saved["resources"][0].take();
    resource["changes"] = changes.clone();
    let numbered = |at| {
        let mut one = resource.clone();
        one["address"] = json!(format!("kind.{at}"));
        one
    };
    saved["resources"] = (0..n).map(numbered).collect();
    saved.to_string()
}

fn change(field: &str, old: &str, new: &str) -> Json {
    json!({ "field": field, "old": old, "new": new, "secret": false, "cause": "both" })
}

/// Reads a saved plan and draws it.
fn drawn(saved: &str) {
    let plan: Plan = serde_json::from_str(saved).expect("a plan");
    black_box(render::plan(&plan, Paint(false)) + &render::drift(&plan, Paint(true)));
}

/// A saved plan of `n` resources whose texts changed at their end.
fn plan(n: usize, text: &str) {
    let new = format!("{text}\nmore");
    let changes: Json = (0..4).map(|at| change(&format!("field_{at}"), text, &new)).collect();
    drawn(&plan_of(n, &changes));
}

fn changed(old: &str, new: &str) {
    drawn(&plan_of(1, &json!([change("code", old, new)])));
}

/// A twin with one Action, one stream and one service of somebody else.
fn crowded() -> Json {
    let mut twin = Twin::new(support::options(), 7);
    let trigger = json!([{ "id": "post-login", "version": "v3" }]);
    let action = json!({ "name": "other", "supported_triggers": trigger, "code": "exports.onExecutePostLogin = async () => {};" });
    let stream =
        json!({ "name": "other", "type": "http", "sink": { "httpEndpoint": "https://other.example/x" } });
    for (path, body) in [("/api/v2/actions/actions", action), ("/api/v2/log-streams", stream)] {
        let (status, made) = twin.operate_tenant(DOMAIN, Method::Post, path, &body, START_MS);
        assert!(status < 300, "{status}: {made}");
    }
    let form = [("FriendlyName", "Other")];
    let (status, made) =
        twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, START_MS);
    assert!(status < 300, "{status}: {made}");
    twin.to_json()
}

/// Multiplies the one object that a list of a world has.
fn multiply(list: &mut Json, n: usize) {
    let items = list.as_array_mut().expect("a list");
    let one = items.pop().expect("one");
    items.extend((0..n).map(|at| {
        let mut item = one.clone();
        for key in ["id", "sid", "name", "friendly_name"] {
            if let Some(text) = item[key].as_str() {
                let keep = text.len().saturating_sub(6);
                item[key] = json!(format!("{}{at:06}", &text[..keep]));
            }
        }
        item
    }));
}

fn world_with(n: usize, lists: &[&str]) -> Twin {
    let mut world = crowded();
    for list in lists {
        multiply(world.pointer_mut(list).unwrap_or_else(|| panic!("{list} is not there")), n);
    }
    Twin::from_json(world).expect("a world")
}

/// A plan over a tenant and an account that hold that many objects of somebody else.
fn tenant(n: usize, list: &str) {
    let mut stack = Stack::core();
    *stack.twin.borrow_mut() = world_with(n, &[list]);
    black_box(stack.observe());
}

/// The file of a twin, read, written, and drawn.
fn world(n: usize) {
    let twin = world_with(n, &[ACTIONS]);
    black_box(twin.picture(START_MS));
    black_box(twin.to_json().to_string());
}

fn fault(text: &str) {
    match fault_grammar::parse(text) {
        Ok(rule) => drop(black_box(fault_grammar::written(&rule))),
        Err(error) => drop(black_box(error.drawn(text))),
    }
}

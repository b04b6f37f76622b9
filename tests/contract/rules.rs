//! Tests of the comparison itself: it finds every kind of mistake in requests and replies, and it notices when an
//! exception is no longer needed.

use lockstep::model::api::{Answer, ApiReply, ApiRequest, Method};
use serde_json::{Value as Json, json};

use super::calls::{Contract, Tally};

const TABLE: &str = r#"
refusal: {code!: number, message!: text, status: number}
schemas:
  text: {is: text}
  number: {is: integer}
  id: {is: text, pattern: "^X[0-9]{2}$"}
  thing: {id!: id, name!: text, tags: [text], inner: {size: number}}
calls:
  GET api.example.twilio.com/things/{id}: {mark: D, path: {id: id}, query: {page!: number, q: text}, replies: {200: thing}, refusals: [404]}
  GET api.example.twilio.com/things/all: {mark: D, replies: {200: [thing]}}
  POST api.example.twilio.com/things: {mark: D, form: {Name!: text, Size: number, Tag: {is: list, of: text}, Extra: text}, replies: {201: thing}}
  POST api.example.twilio.com/files: {mark: D, multipart: {Path!: text, File!: {filename!: text, content_type!: {is: enum, of: [text/plain]}, content!: text}}, replies: {201: thing}}
  DELETE api.example.twilio.com/things/{id}: {mark: D, path: {id: id}, replies: {204: }}
  PUT /things: {mark: D, body: {on!: {is: boolean}, of: {is: one_of, of: [{a!: text}, {b!: text}]}}, replies: {200: thing}}
json_in_forms:
  POST api.example.twilio.com/things Extra: {is: map, of: text}
may_be_empty:
  - {call: POST *things, place: Size, reason: clears}
exceptions:
  - {call: GET *all, place: "reply []*", broken: unknown, reason: newer than the description}
lenient:
  - {call: PUT /things, place: "", reason: takes more}
never_sent:
  - {call: POST *things, place: Tag*, reason: not wanted}
not_called:
  - {call: "* *things/*", reason: not wanted}
  - {call: "POST *things", reason: not wanted}
  - {call: "PUT /things", reason: not wanted}
"#;

const HOST: &str = "api.example.twilio.com";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";

fn request(method: Method, path: &str, kind: &str, body: &str) -> ApiRequest {
    let host = if method == Method::Put { "acme.eu.auth0.com" } else { HOST };
    let headers = if kind.is_empty() { vec![] } else { vec![("content-type".to_owned(), kind.to_owned())] };
    ApiRequest { host: host.into(), method, path: path.into(), headers, body: body.as_bytes().to_vec() }
}

fn reply(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Answer::Reply(ApiReply { status, headers, body: body.as_bytes().to_vec() })
}

fn contract() -> Contract {
    Contract::default().table(TABLE)
}

/// Place and broken rule of every mismatch of a request.
fn request_rules(request: &ApiRequest) -> Vec<String> {
    let (_, findings) = contract().request_findings(request);
    findings.iter().map(|finding| format!("{} {}", finding.place, finding.broken.name())).collect()
}

fn file(path: &str, kind: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"Path\"\r\n\r\n{path}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"File\"; filename=\"x\"\r\nContent-Type: {kind}\r\n\r\nhello\r\n--b--\r\n"
    )
}

#[test]
fn right_requests_pass() {
    let json = "application/json";
    for right in [
        request(Method::Get, "/things/X12?page=1&q=a", "", ""),
        request(Method::Get, "/things/all", "", ""),
        request(Method::Post, "/things", FORM, "Name=a+b&Size=3&Tag=x&Tag=y&Extra=%7B%22a%22%3A%22b%22%7D"),
        request(Method::Post, "/things", FORM, "Name=&Size="),
        request(Method::Post, "/files", PARTS, &file("/a", "text/plain")),
        request(Method::Delete, "/things/X12", "", ""),
        request(Method::Put, "/things", "application/json; charset=utf-8", r#"{"on":true}"#),
        request(Method::Put, "/things", json, r#"{"on":true,"of":{"b":"x"}}"#),
    ] {
        assert_eq!(request_rules(&right), [""; 0], "{right:?}");
    }
}

#[test]
fn every_mistake_in_a_request_is_found() {
    let json = "application/json";
    let cases = [
        (request(Method::Post, "/nothing", "", ""), " unknown"),
        (request(Method::Patch, "/things/X12", "", ""), " unknown"),
        (request(Method::Get, "/things/Y12?page=1", "", ""), "{id} pattern"),
        (request(Method::Get, "/things/X12", "", ""), "?page missing"),
        (request(Method::Get, "/things/X12?page=one", "", ""), "?page type"),
        (request(Method::Get, "/things/X12?page=1&page=2", "", ""), "?page limit"),
        (request(Method::Get, "/things/X12?page=1&Page=2", "", ""), "?Page unknown"),
        (request(Method::Get, "/things/all", FORM, "a=b"), " unknown"),
        (request(Method::Post, "/things", "", ""), " missing"),
        (request(Method::Post, "/things", json, "{}"), " type"),
        (request(Method::Post, "/things", FORM, "%zz"), " type"),
        (request(Method::Post, "/things", FORM, "Size=1"), "Name missing"),
        (request(Method::Post, "/things", FORM, "Name=a&name=b"), "name unknown"),
        (request(Method::Post, "/things", FORM, "Name=a&Size=big"), "Size type"),
        (request(Method::Post, "/things", FORM, "Name=a&Size=1&Size=2"), "Size limit"),
        (request(Method::Post, "/things", FORM, "Name=a&Extra=%7B"), "Extra format"),
        (request(Method::Post, "/things", FORM, "Name=a&Extra=%7B%22a%22%3A1%7D"), "Extra:a type"),
        (request(Method::Post, "/files", "multipart/form-data", &file("/a", "text/plain")), " type"),
        (request(Method::Post, "/files", PARTS, &file("/a", "text/html")), "File.content_type enum"),
        (request(Method::Put, "/things", json, "{"), " type"),
        (request(Method::Put, "/things", json, r#"{"on":"true"}"#), "on type"),
        (request(Method::Put, "/things", json, r#"{"on":true,"off":1}"#), "off unknown"),
        (request(Method::Put, "/things", json, r#"{"on":true,"of":{"a":"x","b":"y"}}"#), "of no-match"),
        (request(Method::Put, "/things", json, "[]"), " type"),
    ];
    for (wrong, rule) in cases {
        let found = request_rules(&wrong);
        assert!(found.contains(&rule.to_owned()), "{wrong:?}: {rule} is not in {found:?}");
    }
}

#[test]
fn every_mistake_in_a_reply_is_found() {
    let get = request(Method::Get, "/things/X12?page=1", "", "");
    let delete = request(Method::Delete, "/things/X12", "", "");
    let all = request(Method::Get, "/things/all", "", "");
    let thing = json!({"id": "X12", "name": "a"});
    let with = |key: &str, value: Json| {
        let mut thing = thing.clone();
        thing[key] = value;
        thing.to_string()
    };
    let found = |request: &ApiRequest, answer: &Answer| {
        let mut tally = Tally::default();
        contract().exchange(request, answer, &mut tally);
        tally.findings.into_keys().collect::<Vec<_>>()
    };
    let refusal = r#"{"code":1,"message":"gone","status":404}"#;
    for (request, answer) in [
        (&get, reply(200, &thing.to_string())),
        (&get, reply(200, &with("inner", json!({"size": 1})))),
        (&get, reply(404, refusal)),
        (&get, reply(503, r#"{"code":1,"message":"later"}"#)),
        (&get, Answer::Lost("cut".into())),
        (&delete, reply(204, "")),
        (&all, reply(200, &json!([thing]).to_string())),
        (&all, reply(200, &format!("[{}]", with("newer", json!(1))))),
    ] {
        assert_eq!(found(request, &answer), [""; 0], "{request:?} {answer:?}");
    }
    let untold =
        Answer::Reply(ApiReply { status: 200, headers: vec![], body: thing.to_string().into_bytes() });
    for (request, answer, word) in [
        (&get, reply(200, &with("id", json!("Y12"))), "(pattern)"),
        (&get, reply(200, &with("name", json!(null))), "(type)"),
        (&get, reply(200, &with("colour", json!(1))), "(unknown)"),
        (&get, reply(200, &with("inner", json!({"size": "big"}))), "`inner.size`"),
        (&get, reply(200, &with("tags", json!([1]))), "`tags[]`"),
        (&get, reply(200, r#"{"id":"X12"}"#), "(missing)"),
        (&get, reply(200, "<html>"), "no JSON"),
        (&get, untold, "does not say"),
        (&get, reply(201, &thing.to_string()), "status"),
        (&get, reply(404, r#"{"code":1}"#), "(missing)"),
        (&get, reply(403, r#"{"code":1,"message":"no"}"#), "status"),
        (&get, reply(404, r#"{"code":1,"message":"no","status":400}"#), "another status"),
        (&delete, reply(204, "{}"), "a body"),
        (&delete, reply(200, "{}"), "status"),
        (&all, reply(200, r#"[{"id":"X12"}]"#), "(missing)"),
    ] {
        let found = found(request, &answer);
        assert!(
            found.iter().any(|told| told.contains(word)),
            "{request:?} {answer:?}: {word} not in {found:?}"
        );
    }
}

#[test]
fn lists_of_exceptions_stay_true() {
    let contract = contract();
    let mut tally = Tally::default();
    let name = |body: &str| request(Method::Post, "/things", FORM, body);
    contract.exchange(&name("Name=a&Size=1"), &Answer::Lost(String::new()), &mut tally);
    assert_eq!(
        contract.gaps(&tally),
        ["POST api.example.twilio.com/things: `Extra` is never sent, and nothing says why"]
    );
    assert_eq!(contract.coverage(&tally), (4, 2));
    contract.exchange(&name("Name=a&Extra=%7B%7D&Tag=x"), &Answer::Lost(String::new()), &mut tally);
    let gaps = contract.gaps(&tally);
    assert!(matches!(gaps.as_slice(), [one] if one.contains("is true of nothing")), "{gaps:?}");
    let silent = contract.silent(&tally);
    assert!(
        matches!(silent.as_slice(), [files, things] if files.contains("/files is never called")
            && things.contains("POST *things (not wanted), is true of nothing")),
        "{silent:?}"
    );
    assert_eq!(contract.idle(&tally).len(), 1, "no reply needed the exception");
    let thing = r#"[{"id":"X12","name":"a","newer":1}]"#;
    contract.exchange(&request(Method::Get, "/things/all", "", ""), &reply(200, thing), &mut tally);
    assert_eq!(contract.idle(&tally), [""; 0]);
    tally.demand_agreement();
    assert_eq!(contract.lenient("PUT /things", ""), Some(0));
    assert_eq!(contract.lenient("PUT /things", "on"), None);
    assert!(
        std::panic::catch_unwind(|| Tally::default().demand_agreement()).is_err(),
        "nothing was compared"
    );
}

/// A table with a part that the reader would ignore does not load.
#[test]
fn a_table_is_read_strictly() {
    for wrong in [
        "calls: {\"GET /a\": {replies: {200: }}}",
        "calls: {\"GET /a\": {mark: Q, replies: {200: }}}",
        "calls: {\"GET /a\": {mark: D, reply: {200: }}}",
        "calls: {\"GET /{id}\": {mark: D, replies: {200: }}}",
        "schemas: {a: {is: sometimes}}",
        "schemas: {a: [b, c]}",
        "schemas: {a: 1}",
        "exceptions: [{call: x, place: y}]",
        "json_in_forms: {GET /a B: c}",
    ] {
        let read = std::panic::catch_unwind(|| drop(Contract::default().table(wrong)));
        assert!(read.is_err(), "{wrong}");
    }
}

//! Tests of lists without an end, and of replies that are small on the wire and large in memory.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep::engine::reply::json_of;
use lockstep::model::api::{Answer, ApiReply, ApiRequest};
use lockstep::model::call::{Api, Failed, Get, Paging};
use lockstep::shell::in_process::{Handled, InProcess, Simulator, Stop};
use serde_json::{Value as Json, json};

use crate::support::{START_MS, Stack, options};

/// Answers the n-th read with the result of a function of n and the path.
struct Lister<F>(usize, F);

impl<F: FnMut(usize, &str) -> Json> Simulator for Lister<F> {
    fn handle(&mut self, request: &ApiRequest, _: u64) -> Handled {
        let token = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 86_400 });
        let body = if request.path == "/oauth/token" {
            token
        } else {
            self.0 += 1;
            (self.1)(self.0, &request.path)
        };
        let headers = vec![("content-type".into(), "application/json".into())];
        let reply = ApiReply { status: 200, headers, body: body.to_string().into_bytes() };
        Handled { answer: Answer::Reply(reply), delay_ms: 1, operation: None }
    }
}

/// The result of reading a list from such a server, and the number of requests.
fn read(get: Get, answer: impl FnMut(usize, &str) -> Json + 'static) -> (Result<Json, Failed>, usize) {
    let mut stack = Stack::new(options(), "");
    stack.in_process = InProcess::new(Rc::new(RefCell::new(Lister(0, answer))), START_MS);
    let stop = Stop { requests_max: 1_000, ..Stop::default() };
    let result = stack.process(stop, move |port| async move { port.reader().fresh(&get).await });
    (result.expect("not killed"), stack.in_process.handled())
}

fn services() -> Get {
    Get { api: Api::Verify, path: "/v2/Services?PageSize=100".into(), paging: Paging::Next }
}

fn page(next: &Json) -> Json {
    json!({ "meta": { "key": "services", "next_page_url": next }, "services": [{ "sid": "VA1" }] })
}

fn misread(result: &Result<Json, Failed>, word: &str) {
    let is_misread = matches!(result, Err(Failed::Misread(text)) if text.contains(word));
    assert!(is_misread, "{word}: {result:?}");
}

#[test]
fn page_links_that_go_in_a_circle_end_the_read() {
    let own = json!("https://verify.twilio.com/v2/Services?PageSize=100");
    let (result, requests) = read(services(), move |_, _| page(&own));
    misread(&result, "circle");
    assert_eq!(requests, 1);
    let (result, requests) = read(services(), |number, _| {
        page(&json!(format!("https://verify.twilio.com/v2/Services?Page={}", number % 3)))
    });
    misread(&result, "circle");
    assert!(requests <= 4, "{requests}");
}

#[test]
fn page_links_without_an_end_end_the_read() {
    let (result, requests) =
        read(services(), |number, _| page(&json!(format!("/v2/Services?Page={number}"))));
    misread(&result, "100 pages");
    assert_eq!(requests, 100);
}

/// The host of a link is ignored: the request goes to the same server as all others, with the path of the link.
#[test]
fn page_links_lead_to_no_other_host() {
    for link in [
        "https://evil.example/v2/Services?Page=9",
        "//evil.example/x",
        "evil.example",
        "https://a@b/c",
        "\\\\x",
    ] {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (paths, link_json) = (seen.clone(), json!(link));
        let (result, _) = read(services(), move |number, path| {
            paths.borrow_mut().push(path.to_owned());
            page(if number == 1 { &link_json } else { &Json::Null })
        });
        assert!(
            result.is_ok() || matches!(result, Err(Failed::Misread(_) | Failed::NotReached(_))),
            "{link}: {result:?}"
        );
        for path in seen.borrow().iter() {
            assert!(path.starts_with('/') && !path.starts_with("http"), "{link}: {path}");
        }
    }
}

/// Neither control characters nor blanks of a link reach the wire.
#[test]
fn page_links_that_cannot_be_sent_are_not() {
    for link in ["/v2/Services?x=\r\nhost: evil.example", "/v2 /x", "/\u{0}", "/v2\t"] {
        let text = json!(link);
        let (result, requests) = read(services(), move |_, _| page(&text));
        assert!(result.is_err(), "{link:?}");
        assert_eq!(requests, 1, "{link:?}");
    }
}

/// A list whose end is not stated is not complete, so an object that is missing in it may exist.
#[test]
fn a_page_that_does_not_say_whether_it_is_the_last_is_misread() {
    for meta in [
        json!({ "key": "services" }),
        json!({ "key": "services", "next_page_url": 7 }),
        json!([]),
        json!(null),
    ] {
        let (result, _) = read(services(), move |_, _| json!({ "meta": meta, "services": [] }));
        assert!(matches!(result, Err(Failed::Misread(_))), "{result:?}");
    }
}

/// Every page is full. Numbered pages have no link that could lead in a circle.
#[test]
fn numbered_pages_without_an_end_end_the_read() {
    let paging = Paging::Offset { key: "actions", per_page: 1 };
    let get = Get { api: Api::Auth0, path: "/api/v2/actions/actions".into(), paging };
    let (result, requests) = read(get, |_, _| json!({ "actions": [{ "id": "a" }], "total": u64::MAX }));
    misread(&result, "100 pages");
    assert!(requests <= 101, "{requests}");
}

fn checkpoints(path: &str) -> Get {
    Get { api: Api::Auth0, path: path.into(), paging: Paging::Checkpoint { key: "clients", take: 2 } }
}

/// A checkpoint is text of the server: it may hold anything, and only its encoded form is sent. The first request is
/// that for the token.
#[test]
fn pages_by_checkpoint_are_read_to_the_last() {
    for (path, first) in [("/api/v2/clients", "?take=2"), ("/api/v2/clients?fields=a", "?fields=a&take=2")] {
        for last in [json!({}), json!({ "next": null }), json!({ "next": "" })] {
            let seen = Rc::new(RefCell::new(Vec::new()));
            let paths = seen.clone();
            let (result, requests) = read(checkpoints(path), move |number, path| {
                paths.borrow_mut().push(path.trim_start_matches("/api/v2/clients").to_owned());
                let mut page = last.clone();
                page["clients"] = json!([number]);
                if number == 1 {
                    page["next"] = json!("a&b=c d\r\n");
                }
                page
            });
            assert_eq!((result, requests), (Ok(json!({ "clients": [1, 2] })), 3));
            assert_eq!(*seen.borrow(), [first.to_owned(), format!("{first}&from=a%26b%3Dc%20d%0D%0A")]);
        }
    }
}

#[test]
fn pages_by_checkpoint_that_make_no_sense_end_the_read() {
    let (result, requests) =
        read(checkpoints("/api/v2/clients"), |_, _| json!({ "clients": [], "next": "again" }));
    misread(&result, "circle");
    assert_eq!(requests, 3);
    let (result, requests) = read(
        checkpoints("/api/v2/clients"),
        |number, _| json!({ "clients": [], "next": number.to_string() }),
    );
    misread(&result, "500 pages");
    assert_eq!(requests, 501);
    for (page, words) in [
        (json!([]), "no list"),
        (json!({ "next": null }), "no list"),
        (json!({ "clients": {} }), "no list"),
        (json!({ "clients": [], "next": 7 }), "another page"),
    ] {
        let (result, requests) = read(checkpoints("/api/v2/clients"), move |_, _| page.clone());
        misread(&result, words);
        assert_eq!(requests, 2);
    }
}

#[test]
fn all_pages_together_are_bounded() {
    let text = "x".repeat(12 * 1024 * 1024);
    let (result, requests) = read(
        services(),
        move |number, _| json!({ "meta": { "key": "services", "next_page_url": format!("/p{number}") }, "services": [text] }),
    );
    misread(&result, "too long");
    assert!(requests <= 6, "{requests}");
}

/// Two bytes on the wire take a hundred in memory: eight million such values would take most of a gigabyte.
#[test]
fn a_reply_of_too_many_values_is_refused_before_it_is_built() {
    for (part, end) in [("{},", "{}]"), ("0,", "0]"), ("[],", "[]]"), ("{\"a\":1},", "0]")] {
        let body = format!("[{}{end}", part.repeat(16 * 1024 * 1024 / part.len() - 1));
        assert!(json_of(body.as_bytes()).is_err_and(|words| words.contains("more values")), "{part}");
    }
    let deep = "[".repeat(100_000);
    assert!(json_of(deep.as_bytes()).is_err());
    // A text counts as one value, whatever is in it: code is full of commas and brackets.
    let code = json!(["a,b[c{d\"e\\".repeat(500_000)]).to_string();
    assert!(json_of(code.as_bytes()).is_ok());
}

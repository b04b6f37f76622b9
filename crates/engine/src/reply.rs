//! From a call to a request, and from a reply to a result.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::Value as Json;

use super::connection::{Connection, TwilioAuth};
use crate::model::api::{Answer, ApiReply, ApiRequest, Method};
use crate::model::call::{Api, Body, Empty, Failed, Part, Refusal};
use crate::model::random::hex;
use crate::model::scrub::Scrubber;
use crate::model::secret::{Origin, Secret, percent_encode};
use crate::model::text::line_of;
use crate::port::{Answered, Call};

/// The program's name and version, sent with every request.
pub const USER_AGENT: &str = concat!("lockstep/", env!("CARGO_PKG_VERSION"));

/// The smallest request that shows whether Twilio accepts credentials. Accepted credentials that may not read services
/// are refused with another code than wrong ones.
const PROBE: &str = "/v2/Services?PageSize=1";

/// Host of an API for this tenant.
pub fn host(connection: &Connection, api: Api) -> String {
    api.fixed_host().map_or_else(|| connection.domain.clone(), str::to_owned)
}

/// The API that a call goes to.
pub fn api(call: &Call) -> Api {
    match call {
        Call::Read(api, ..) => *api,
        Call::Probe(_) => Api::Verify,
        Call::Write(write, _) => write.api,
    }
}

/// Method and path of a call.
pub fn line(call: &Call) -> (Method, &str) {
    match call {
        Call::Read(_, path, _) => (Method::Get, path),
        Call::Probe(_) => (Method::Get, PROBE),
        Call::Write(write, _) => (write.method, &write.path),
    }
}

/// Which budget of the tenant a call is taken from. On the paid plans some reads have a bucket of their own, of which the
/// headers of their replies then tell ("Auth0 docs, rate limit configurations", 2026-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// The one that all other calls share.
    Shared,
    /// On the paid plans one of its own, which has another size than the shared one: the size tells which it is.
    OfOtherSize,
    /// On some paid plans one of its own, which has the size of the shared one: nothing tells which it is.
    OfSameSize,
}

/// Where the call is taken from.
pub fn bucket(call: &Call) -> Bucket {
    let Call::Read(Api::Auth0, path, _) = call else { return Bucket::Shared };
    match without_query(path) {
        "/api/v2/logs" => Bucket::OfSameSize,
        path if ["/api/v2/clients", "/api/v2/connections"].iter().any(|start| path.starts_with(start)) => {
            Bucket::OfOtherSize
        }
        _ => Bucket::Shared,
    }
}

/// The path without its query: queries can name phone numbers or people.
pub fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// The complete request of a call.
///
/// # Errors
/// The path does not begin with `/`, or holds a control character or blank. Such a path came from remote text.
pub fn request(connection: &Connection, bearer: &str, call: &Call) -> Result<ApiRequest, String> {
    let (method, path) = line(call);
    if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(format!("the path {path:?} cannot be sent"));
    }
    let api = api(call);
    let mut headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), USER_AGENT.to_owned()),
    ];
    let authorization = match call {
        Call::Probe(credentials) => basic(&credentials.user, &credentials.secret),
        _ => authorization(connection, bearer, api),
    };
    headers.push(("authorization".to_owned(), authorization));
    let (content_type, body) = match call {
        Call::Write(write, _) => match &write.body {
            Body::None => (None, Vec::new()),
            Body::Json(json) => (Some("application/json".to_owned()), json.to_string().into_bytes()),
            Body::Form(pairs) => {
                (Some("application/x-www-form-urlencoded".to_owned()), form(pairs).into_bytes())
            }
            Body::Multipart(parts) => {
                let boundary = boundary(parts);
                (
                    Some(format!("multipart/form-data; boundary={boundary}")),
                    multipart(parts, &boundary).into_bytes(),
                )
            }
        },
        Call::Read(..) | Call::Probe(_) => (None, Vec::new()),
    };
    if let Some(content_type) = content_type {
        headers.push(("content-type".to_owned(), content_type));
    }
    Ok(ApiRequest { host: host(connection, api), method, path: path.to_owned(), headers, body })
}

fn authorization(connection: &Connection, bearer: &str, api: Api) -> String {
    if api == Api::Auth0 {
        return format!("Bearer {bearer}");
    }
    match &connection.twilio {
        TwilioAuth::Key { sid, secret } => basic(sid, secret),
        TwilioAuth::Token(token) => basic(&connection.account_sid, token),
    }
}

fn basic(user: &str, secret: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose())))
}

/// `application/x-www-form-urlencoded` text of name and value pairs, in the order given.
pub fn form(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    pairs.join("&")
}

/// A boundary that occurs in no part: a digest of all of them, so that equal bodies are equal bytes.
fn boundary(parts: &[Part]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part.content.as_bytes()));
    format!("lockstep-{}", hex(&context.finish().as_ref()[..16]))
}

fn multipart(parts: &[Part], boundary: &str) -> String {
    let mut out = String::new();
    for part in parts {
        out.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", part.name));
        if let Some((file_name, content_type)) = part.file {
            out.push_str(&format!("; filename=\"{file_name}\"\r\nContent-Type: {content_type}"));
        }
        out.push_str("\r\n\r\n");
        out.push_str(&part.content);
        out.push_str("\r\n");
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

/// Whether an answer is a reply of success without content.
pub fn is_empty(answer: &Answer) -> bool {
    matches!(answer, Answer::Reply(reply) if (200..300).contains(&reply.status) && has_no_body(reply))
}

fn has_no_body(reply: &ApiReply) -> bool {
    reply.body.iter().all(u8::is_ascii_whitespace)
}

/// Whether an empty reply is the answer. A 204 is. An empty 200 may come from a gateway, and destroy puts back what is
/// read here, so an empty 200 counts when it comes twice, whatever came in between.
pub fn says_nothing(call: &Call, reply: &ApiReply, empty: u32) -> bool {
    matches!(call, Call::Read(.., Empty::Nothing)) && has_no_body(reply) && (reply.status == 204 || empty > 1)
}

/// The result of a call from its last answer, after `attempts`, of which `empty` were answered with an empty body.
pub fn decode(
    call: &Call,
    host: &str,
    answer: Answer,
    (attempts, empty): (u32, u32),
    scrubber: &Scrubber,
) -> Answered {
    let (method, path) = line(call);
    let path = without_query(path);
    let is_read = !matches!(call, Call::Write(..));
    let scrubber = &knowing_body(call, scrubber);
    let place = || format!("{method} https://{host}{path}");
    match answer {
        Answer::NotSent(cause) | Answer::Barred(cause) => {
            Err(Failed::NotReached(format!("{} was not sent: {}", place(), words(&cause, scrubber))))
        }
        Answer::Lost(cause) => Err(Failed::Unknown(format!("{}: {}", place(), words(&cause, scrubber)))),
        // Both vendors answer a deletion with 204. This reply is none, so the caller has to look what happened.
        Answer::Reply(reply)
            if (200..300).contains(&reply.status) && method == Method::Delete && reply.status != 204 =>
        {
            Err(Failed::Unknown(format!("{}: a reply with status {}, not 204", place(), reply.status)))
        }
        Answer::Reply(reply) if (200..300).contains(&reply.status) => {
            if has_no_body(&reply) {
                return if is_read && !says_nothing(call, &reply, empty) {
                    Err(Failed::Misread(format!("{}: empty reply with status {}", place(), reply.status)))
                } else {
                    Ok(Json::Null)
                };
            }
            match json_of(&reply.body) {
                Ok(json) => Ok(json),
                Err(cause) if is_read => Err(Failed::Misread(format!(
                    "{}: the reply with status {} {cause}",
                    place(),
                    reply.status
                ))),
                // The write was accepted, but its reply cannot be read: the caller has to look what the write did.
                Err(cause) => Err(Failed::Unknown(format!(
                    "{}: the reply with status {} {cause}",
                    place(),
                    reply.status
                ))),
            }
        }
        Answer::Reply(reply) if reply.status >= 500 && !is_read => Err(Failed::Unknown(format!(
            "{} answered with status {}{}{}",
            place(),
            reply.status,
            message(&reply, scrubber).1,
            request_id(&reply, scrubber).map(|id| format!(" (request id {id})")).unwrap_or_default()
        ))),
        Answer::Reply(reply) => {
            let (code, message) = message(&reply, scrubber);
            Err(Failed::Refused(Box::new(Refusal {
                host: host.to_owned(),
                method,
                path: path.to_owned(),
                status: reply.status,
                code,
                message: message.trim_start_matches(": ").to_owned(),
                request_id: request_id(&reply, scrubber),
                attempts,
                unsure: false,
            })))
        }
    }
}

/// The same result where an earlier attempt of the write may have taken effect.
pub fn unsure(result: Answered) -> Answered {
    result.map_err(|failed| match failed {
        Failed::NotDone(cause) | Failed::NotReached(cause) | Failed::Limited(cause) => {
            Failed::Unknown(format!("{cause}, and an earlier attempt may have taken effect"))
        }
        Failed::Stopped => Failed::Unknown("stopped before the request was sent again".into()),
        Failed::Refused(refusal) => Failed::Refused(Box::new(Refusal { unsure: true, ..*refusal })),
        failed => failed,
    })
}

/// The scrubber with the secrets that this request carried: a refusal may echo the body of the request.
pub fn knowing_body<'a>(call: &Call, scrubber: &'a Scrubber) -> Cow<'a, Scrubber> {
    fn walk(json: &Json, key: &str, learn: &mut dyn FnMut(&str)) {
        match json {
            Json::String(text) if matches!(key, "value" | "httpAuthorization" | "auth_token") => learn(text),
            Json::Array(items) => items.iter().for_each(|item| walk(item, key, learn)),
            Json::Object(entries) => entries.iter().for_each(|(key, item)| walk(item, key, learn)),
            _ => {}
        }
    }
    let mut scrubber = Cow::Borrowed(scrubber);
    let mut learn = |text: &str| {
        // The scrubber knows the secrets of the manifest already, and a copy of it costs time.
        if !scrubber.is_value(text) {
            scrubber.to_mut().learn(&Secret::new(text, Origin::Person));
        }
    };
    match call {
        Call::Write(write, _) => match &write.body {
            Body::Json(json) => walk(json, "", &mut learn),
            Body::Form(pairs) => {
                pairs.iter().filter(|(name, _)| name == "Value").for_each(|(_, value)| learn(value))
            }
            Body::None | Body::Multipart(_) => {}
        },
        Call::Probe(credentials) => learn(credentials.secret.expose()),
        Call::Read(..) => {}
    }
    scrubber
}

/// Most values that a reply may have. A list of 100 Actions with versions and secrets has some ten thousand.
const VALUES_MAX: usize = 400_000;
/// Longest error reply whose text is read: the vendors' are below a kilobyte, and the text is searched for every
/// secret.
const ERROR_MAX_BYTES: usize = 16 * 1024;

/// A reply as JSON. In memory a value takes up to a hundred times the room that it has in the text (`[{},{},…`), so
/// the values are counted before any is made.
///
/// # Errors
/// The body is not JSON, or has more than 400 000 values. The words go on from "the reply".
pub fn json_of(body: &[u8]) -> Result<Json, &'static str> {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    if values > VALUES_MAX {
        return Err("has more values than any real one");
    }
    serde_json::from_slice(body).map_err(|_| "is not JSON")
}

/// Vendor code and (scrubbed, bounded, single-line) message of an error reply, in any of its three shapes.
pub fn message(reply: &ApiReply, scrubber: &Scrubber) -> (Option<String>, String) {
    if reply.body.len() > ERROR_MAX_BYTES {
        return (None, String::new());
    }
    let Ok(json) = json_of(&reply.body) else { return (None, String::new()) };
    let pick = |keys: &[&str]| {
        keys.iter().find_map(|key| match json.get(key) {
            Some(Json::String(text)) => Some(text.clone()),
            Some(Json::Number(number)) => Some(number.to_string()),
            _ => None,
        })
    };
    // Auth0: errorCode + message; Twilio: code + message; OAuth: error + error_description.
    let code =
        pick(&["errorCode", "code"]).or_else(|| json.get("error_description").and_then(|_| pick(&["error"])));
    let text = pick(&["message", "error_description"]).unwrap_or_default();
    let text = words(&text, scrubber);
    (
        code.map(|code| line_of(&words(&code, scrubber), CODE_MAX_CHARS)),
        if text.is_empty() { text } else { format!(": {text}") },
    )
}

/// A text of a server, fit to be shown: on one line, of bounded length, with secrets hidden.
pub fn words(text: &str, scrubber: &Scrubber) -> String {
    if text.len() > ERROR_MAX_BYTES {
        return "(too long to be shown)".to_owned();
    }
    line_of(&without_long_runs(&scrubber.others(text)), MESSAGE_MAX_CHARS)
}

/// Replaces long unbroken runs. Vendor ids have at most 36 characters, so a longer run is encoded data, perhaps encoded
/// twice, and tells a person nothing.
fn without_long_runs(text: &str) -> String {
    let in_run = |ch: char| ch.is_ascii_alphanumeric() || "+/=_-%".contains(ch);
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(in_run) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|ch| !in_run(ch)).unwrap_or(from.len()));
        out.push_str(before);
        out.push_str(if run.len() > RUN_MAX_BYTES { "[encoded]" } else { run });
        rest = after;
    }
    out + rest
}

/// Longest message and code of a refusal that are shown; the vendors' are shorter.
const MESSAGE_MAX_CHARS: usize = 400;
const CODE_MAX_CHARS: usize = 80;
/// Longest unbroken run that is shown: a URL path or an id fits.
const RUN_MAX_BYTES: usize = 64;

/// The vendor's id of a request, for their support.
pub fn request_id(reply: &ApiReply, scrubber: &Scrubber) -> Option<String> {
    ["twilio-request-id", "x-auth0-requestid", "x-request-id"]
        .iter()
        .find_map(|name| reply.header(name))
        // A server that echoes a credential in such a header has not named a request.
        .filter(|id| {
            id.len() <= 80 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-,_".contains(&byte))
        })
        .filter(|id| scrubber.others(id) == *id)
        .map(str::to_owned)
}

/// Whether the body of a reply is JSON.
pub(super) fn looks_like_json(reply: &ApiReply) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_ok()
}

//! A simulator on a loopback port: HTTP/1.1 in clear text, the `Host` header says whose API is meant.
//!
//! Point a client at it with `--via`, or let a resolver or proxy of your own send real host names here.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::clock::Clock;
use super::files;
use super::in_process::{Simulator, save_world};
use super::signals::Signals;
use crate::model::api::{Answer, ApiReply, ApiRequest, Method};

/// Largest request body that is read: an Action with its code is far below.
const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Open connections at the end get this long to finish what they are at.
const GRACE: Duration = Duration::from_secs(2);

/// How a simulator is served.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// One JSON line per request is added here: no header, no body, no query value.
    pub request_log: Option<PathBuf>,
    /// The world is written here at the end.
    pub world_file: Option<PathBuf>,
}

/// Serves until the first signal, then saves the world. `say` gets one line, once the port is open.
///
/// # Errors
/// The port is taken, or a file cannot be written.
pub fn serve(
    world: Rc<RefCell<dyn Simulator>>,
    options: &ServeOptions,
    signals: &Signals,
    say: impl FnOnce(&str),
) -> Result<()> {
    let ServeOptions { port, request_log, world_file } = options;
    let log = request_log.as_ref().map(|path| files::open_append(path)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await;
        let listener = listener.with_context(|| format!("port {port} on 127.0.0.1 cannot be opened"))?;
        let port = listener.local_addr().context("the port cannot be told")?.port();
        say(&format!("listening on http://127.0.0.1:{port}"));
        serve_on(listener, world.clone(), log, async {
            signals.wait().await;
        })
        .await;
        anyhow::Ok(())
    })?;
    match world_file {
        Some(path) => save_world(&*world.borrow(), path),
        None => Ok(()),
    }
}

/// Serves on an open port until `stop` ends. Runs inside a [`LocalSet`]. A connection that fails concerns nobody else.
pub async fn serve_on(
    listener: TcpListener,
    world: Rc<RefCell<dyn Simulator>>,
    log: Option<File>,
    stop: impl Future<Output = ()>,
) {
    let clock = Clock::start();
    let ahead_ms = world.borrow().left_ms().saturating_sub(clock.now_ms());
    let server = Rc::new(Server { world, clock, ahead_ms, log: RefCell::new(log), count: RefCell::new(0) });
    // Every connection holds a receiver: it learns of the end by it, and the end learns that it is gone.
    let (ending, end) = watch::channel(false);
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of files, or gone before it was taken. Breathe, and go on.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (server, mut end) = (server.clone(), end.clone());
        tokio::task::spawn_local(async move {
            let service = hyper::service::service_fn(move |request| {
                let server = server.clone();
                async move { server.answer(request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                // An error is a dropped connection: the client's doing, or the simulated fault.
                _ = connection.as_mut() => return,
                _ = end.wait_for(|ended| *ended) => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        });
    }
    drop(end);
    let _ = ending.send(true);
    let _ = tokio::time::timeout(GRACE, ending.closed()).await;
}

struct Server {
    world: Rc<RefCell<dyn Simulator>>,
    clock: Clock,
    /// How far the world is ahead of the wall clock.
    ahead_ms: u64,
    log: RefCell<Option<File>>,
    count: RefCell<u64>,
}

/// The connection is to be dropped without a reply.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let request = match read(request).await {
            Ok(request) => request,
            Err(Some((status, text))) => return Ok(plain(status, text)),
            Err(None) => return Err(Dropped),
        };
        let at_ms = self.clock.now_ms() + self.ahead_ms;
        let handled = self.world.borrow_mut().handle(&request, at_ms);
        let status = match &handled.answer {
            Answer::Reply(reply) => Some(reply.status),
            Answer::NotSent(_) | Answer::Lost(_) => None,
        };
        self.log(&request, at_ms, status, handled.operation.as_deref());
        tokio::time::sleep(Duration::from_millis(handled.delay_ms)).await;
        match handled.answer {
            Answer::Reply(reply) => Ok(response(reply)),
            Answer::NotSent(_) | Answer::Lost(_) => Err(Dropped),
        }
    }

    fn log(&self, request: &ApiRequest, at_ms: u64, status: Option<u16>, operation: Option<&str>) {
        let number = {
            let mut count = self.count.borrow_mut();
            *count += 1;
            *count
        };
        let Some(file) = &mut *self.log.borrow_mut() else { return };
        let line = json!({
            "number": number,
            "at": jiff::Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(i64::MAX))
                .map(|at| format!("{at:.3}"))
                .unwrap_or_default(),
            "host": request.host,
            "method": request.method.as_str(),
            "path": loggable(&request.path),
            "status": status,
            "operation": operation,
        });
        // A log that cannot be written is no reason to stop serving.
        let _ = writeln!(file, "{line}");
    }
}

/// Refusals carry a reply; `None` means that the client went away.
async fn read(request: Request<Incoming>) -> Result<ApiRequest, Option<(StatusCode, &'static str)>> {
    let (parts, body) = request.into_parts();
    let Some(method) = Method::parse(parts.method.as_str()) else {
        return Err(Some((StatusCode::METHOD_NOT_ALLOWED, "neither API uses this method")));
    };
    let host_header = || parts.headers.get(hyper::header::HOST).and_then(|value| value.to_str().ok());
    // A client that takes this for a proxy sends the whole address.
    let authority = parts.uri.authority().map(hyper::http::uri::Authority::as_str).or_else(host_header);
    let Some(host) = authority.map(without_port).filter(|host| !host.is_empty()) else {
        return Err(Some((StatusCode::BAD_REQUEST, "no Host header: it says whose API is meant")));
    };
    let path = parts.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str).to_owned();
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let body = match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Some((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")));
        }
        Err(_) => return Err(None),
    };
    Ok(ApiRequest { host, method, path, headers, body })
}

/// The host name in lower case; the brackets of an IPv6 address stay.
fn without_port(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

fn response(reply: ApiReply) -> Response<Full<Bytes>> {
    let ApiReply { status, headers, body } = reply;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::from_str(&value)) {
            // The framing is ours.
            if name != hyper::header::CONTENT_LENGTH && name != hyper::header::TRANSFER_ENCODING {
                response.headers_mut().append(name, value);
            }
        }
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}

/// The path with its query's names but not the values, and without the phone numbers that Verify has in paths.
fn loggable(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments = path.split('/').map(|segment| {
        let is_number =
            segment.starts_with('+') || segment.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("%2b"));
        if is_number { "{number}" } else { segment }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let names: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split('=').next().unwrap_or(pair))
        .collect();
    if names.is_empty() { path } else { format!("{path}?{}", names.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::http::{Http, HttpOptions};
    use crate::shell::test_support::{Scripted, TestFolder, block_on, get, json_reply};
    use crate::shell::via::Via;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    fn http(port: u16) -> Http {
        let via = Via::parse(&format!("http://127.0.0.1:{port}"), false).expect("loopback");
        Http::new(&HttpOptions { via: Some(via), ..HttpOptions::default() }).expect("client")
    }

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback port");
        let port = listener.local_addr().expect("bound").port();
        (listener, port)
    }

    #[test]
    fn the_host_header_selects_and_the_reply_comes_back() {
        let folder = TestFolder::new();
        let log_path = folder.path().join("requests.jsonl");
        let world = Rc::new(RefCell::new(Scripted::new(|request, _| match request.path.as_str() {
            "/lost" => Answer::Lost("gone".into()),
            _ => json_reply(207, &json!({ "host": request.host, "path": request.path })),
        })));
        block_on(async {
            let (listener, port) = listener().await;
            let (stop, stopped) = oneshot::channel::<()>();
            let log = files::open_append(&log_path).expect("log");
            let server = tokio::task::spawn_local(serve_on(listener, world.clone(), Some(log), async {
                let _ = stopped.await;
            }));
            let http = http(port);
            let answer =
                http.send(get("acme.auth0.example", "/v2/Numbers/%2B15550100?Token=abc&Page=1")).await;
            let Answer::Reply(reply) = answer else { panic!("{answer:?}") };
            assert_eq!(reply.status, 207);
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!(body["host"], "acme.auth0.example");
            assert_eq!(body["path"], "/v2/Numbers/%2B15550100?Token=abc&Page=1");
            let answer = http.send(get("acme.auth0.example", "/lost")).await;
            assert!(matches!(answer, Answer::Lost(_)), "{answer:?}");
            stop.send(()).expect("server runs");
            server.await.expect("ended well");
        });
        assert_eq!(world.borrow().seen[0].header("authorization"), Some("Bearer token-value"));
        let log = std::fs::read_to_string(&log_path).expect("log");
        let first: serde_json::Value =
            serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
        assert_eq!(first["path"], "/v2/Numbers/{number}?Token&Page");
        assert_eq!((&first["status"], &first["operation"]), (&json!(207), &json!("scripted")));
        assert_eq!(log.lines().count(), 2);
        assert!(!log.contains("token-value") && !log.contains("abc"), "{log}");
    }

    #[test]
    fn what_is_no_request_of_an_api_is_refused() {
        let world = Rc::new(RefCell::new(Scripted::new(|_, _| json_reply(200, &json!({})))));
        block_on(async {
            let (listener, port) = listener().await;
            tokio::task::spawn_local(serve_on(listener, world.clone(), None, std::future::pending()));
            let large = BODY_LIMIT_BYTES + 1;
            for (request, status) in [
                ("OPTIONS / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "405"),
                ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
                (format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {large}\r\n\r\n"), "413"),
            ] {
                let mut stream =
                    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
                stream.write_all(request.as_bytes()).await.expect("written");
                if status == "413" {
                    let _ = stream.write_all(&vec![b'x'; large]).await;
                }
                let mut head = [0u8; 12];
                stream.read_exact(&mut head).await.expect("a reply");
                assert_eq!(String::from_utf8_lossy(&head), format!("HTTP/1.1 {status}"));
            }
        });
        assert_eq!(world.borrow().seen.len(), 0);
    }

    #[test]
    fn the_world_is_saved_at_the_end() {
        let folder = TestFolder::new();
        let world = Rc::new(RefCell::new(Scripted::new(|_, _| json_reply(200, &json!({})))));
        let options =
            ServeOptions { world_file: Some(folder.path().join("world.json")), ..ServeOptions::default() };
        let signals = Signals::silent();
        signals.raise(crate::shell::Signal::Terminate);
        let mut said = String::new();
        serve(world, &options, &signals, |line| said = line.to_owned()).expect("served");
        assert!(said.starts_with("listening on http://127.0.0.1:") && !said.ends_with(":0"), "{said}");
        let saved = std::fs::read_to_string(folder.path().join("world.json")).expect("saved");
        assert_eq!(saved, "{\n  \"seen\": 0\n}\n");
    }

    #[test]
    fn ports_are_stripped_and_names_folded() {
        for (authority, host) in
            [("ACME.auth0.com:443", "acme.auth0.com"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a", "a")]
        {
            assert_eq!(without_port(authority), host);
        }
    }
}

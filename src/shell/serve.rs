//! A simulator on a loopback port. The host name of a request says whose API is meant.
//!
//! ```text
//! connection ─► first byte ─┬─ a TLS greeting ─► certificate for its name ─► HTTP/1.1
//!                           └─ HTTP/1.1 ─┬─ CONNECT host ─► the same again, inside the tunnel
//!                                        ├─ GET /__twin/… ─► the pages
//!                                        └─ a request of the host in the address or in `Host`
//! ```
//!
//! TLS and CONNECT work only if the server has an [`Authority`]. A tunnel ends in this process and never reaches the
//! network: a host that the simulator does not play is refused.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_rustls::LazyConfigAcceptor;

use super::authority::{self, Authority};
use super::clock::Clock;
use super::files;
use super::in_process::{Simulator, save_world};
use super::login::{self, Loop};
use super::request::{Asked, Refusal, read_ask};
use super::signals::Signals;
use super::twin_page;
use crate::model::api::{Answer, ApiReply, ApiRequest};
use crate::twin::Twin;
use crate::twin::picture::path_without_values;

/// How long open connections may finish their work when the server ends.
const GRACE: Duration = Duration::from_secs(2);
/// Interval between two saves of the world; a power failure loses no more than this.
const KEEP_PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for the first byte of a connection, and again for the end of the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// First byte of a TLS record that carries a greeting.
const TLS_GREETING: u8 = 0x16;

/// How a simulator is served.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// File that gets one JSON line per request: no header, no body, no query value.
    pub request_log: Option<PathBuf>,
    /// File that the world is saved to at the start, while serving, and at the end.
    pub world_file: Option<PathBuf>,
    /// Offer TLS and CONNECT, with a certificate authority made for this run.
    pub tls: Option<Tls>,
    /// Let users sign in, and run deployed code. Needs `tls`.
    pub login: Option<Rc<RefCell<Twin>>>,
}

/// TLS of a served simulator.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Names that certificates may be for: exact ones, or endings such as `.auth0.com` for all names below.
    pub names: Vec<String>,
    /// File that the authority's certificate is written to. `None`: a temporary file, removed at the end.
    pub ca_file: Option<PathBuf>,
}

/// Serves until the first signal, then saves the world. `say` receives a few lines once the port is open; the first one
/// names the address.
///
/// # Errors
/// The port is taken, or a file cannot be written.
pub fn serve(
    world: Rc<RefCell<dyn Simulator>>,
    options: &ServeOptions,
    signals: &Signals,
    mut say: impl FnMut(&str),
) -> Result<()> {
    let ServeOptions { port, request_log, world_file, tls, login } = options;
    let log = request_log.as_ref().map(|path| files::open_append(path)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await;
        let listener = listener.with_context(|| format!("port {port} on 127.0.0.1 cannot be opened"))?;
        let port = listener.local_addr().context("the port cannot be told")?.port();
        // A world file that cannot be written is reported before there is anything to lose.
        if let Some(path) = world_file {
            save_world(&*world.borrow(), path)?;
        }
        let mut authority = None;
        let mut ca_file = None;
        if let Some(tls) = tls {
            let made = Authority::new(&tls.names, Clock::start().now_ms())?;
            ca_file = Some(CaFile::write(tls.ca_file.clone(), port, &made.pem())?);
            authority = Some(made);
        }
        say(&format!("listening on http://127.0.0.1:{port}"));
        say(&format!("the world, and requests as they come: http://127.0.0.1:{port}{}", twin_page::PREFIX));
        if let Some(file) = &ca_file {
            let path = file.path.display();
            say(&format!("certificate authority of this run: {path}"));
            say(&format!("for clients: HTTPS_PROXY=http://127.0.0.1:{port} NODE_EXTRA_CA_CERTS={path}"));
        }
        let logins = match (login, &ca_file) {
            (Some(twin), Some(file)) => {
                let (logins, person) = Loop::start(twin.clone(), port, &file.path).await?;
                login::code_that_runs(&twin.borrow()).iter().for_each(|line| say(line));
                say(&format!("sign in, and see the code arrive: http://127.0.0.1:{port}{}", login::PREFIX));
                say(&format!("  as {} with the password {}", person.email, person.password));
                login::samples(&twin.borrow()).iter().for_each(|line| say(line));
                Some(logins)
            }
            _ => None,
        };
        let served = serve_all(listener, world.clone(), log, authority, logins.clone(), async {
            signals.wait().await;
        });
        match world_file {
            None => served.await,
            Some(path) => tokio::select! {
                () = served => {}
                () = keep(&world, path, &mut say) => {}
            },
        }
        if let Some(logins) = logins {
            logins.end().await;
        }
        anyhow::Ok(())
    })?;
    match world_file {
        Some(path) => save_world(&*world.borrow(), path),
        None => Ok(()),
    }
}

/// Saves the world whenever requests came since the last save, for as long as this future is polled.
async fn keep(world: &RefCell<dyn Simulator>, path: &Path, say: &mut impl FnMut(&str)) {
    let newest = || world.borrow().requests(0, 1).pop().map(|entry| entry["number"].clone());
    let (mut kept, mut failed) = (newest(), false);
    loop {
        tokio::time::sleep(KEEP_PAUSE).await;
        let now = newest();
        if now == kept {
            continue;
        }
        let saved = save_world(&*world.borrow(), path);
        if let (Err(cause), false) = (&saved, failed) {
            say(&format!("warning: {cause:#}; it is tried again"));
        }
        failed = saved.is_err();
        if !failed {
            kept = now;
        }
    }
}

/// The authority's certificate on disk.
struct CaFile {
    path: PathBuf,
    is_temporary: bool,
}

impl CaFile {
    fn write(path: Option<PathBuf>, port: u16, pem: &str) -> Result<CaFile> {
        let is_temporary = path.is_none();
        let path = match path {
            Some(path) => path,
            None => {
                let name = format!("lockstep-twin-{}-{port}", std::process::id());
                let folder = std::env::temp_dir().join(name);
                // The folder must be new: nothing is written into somebody else's folder.
                std::fs::create_dir(&folder)
                    .with_context(|| format!("folder {} cannot be made", folder.display()))?;
                folder.join("ca.pem")
            }
        };
        files::write_atomic(&path, pem.as_bytes())
            .with_context(|| format!("certificate file {}", path.display()))?;
        Ok(CaFile { path, is_temporary })
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_file(&self.path);
            let _ = self.path.parent().map(std::fs::remove_dir);
        }
    }
}

/// Serves in clear text on an open port until `stop` ends. Must run inside a [`LocalSet`]. A connection that fails does
/// not affect the others.
pub async fn serve_on(
    listener: TcpListener,
    world: Rc<RefCell<dyn Simulator>>,
    log: Option<File>,
    stop: impl Future<Output = ()>,
) {
    serve_all(listener, world, log, None, None, stop).await;
}

/// As [`serve_on`], with TLS and CONNECT if there is an authority, and with logins if there is a loop.
pub async fn serve_all(
    listener: TcpListener,
    world: Rc<RefCell<dyn Simulator>>,
    log: Option<File>,
    authority: Option<Authority>,
    logins: Option<Rc<Loop>>,
    stop: impl Future<Output = ()>,
) {
    let clock = Clock::start();
    let ahead_ms = world.borrow().left_ms().saturating_sub(clock.now_ms());
    // Every connection holds a receiver. It learns of the end through it, and the server waits until all receivers are
    // gone.
    let (ending, end) = watch::channel(false);
    let (log, count) = (RefCell::new(log), RefCell::new(0));
    let server = Rc::new(Server { world, clock, ahead_ms, log, count, authority, logins });
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The process has no free file handle, or the client is gone already. Pause, and go on.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        tokio::task::spawn_local(connection(server.clone(), stream, Way::default(), end.clone()));
    }
    drop(end);
    drop(server);
    let _ = ending.send(true);
    let _ = tokio::time::timeout(GRACE, ending.closed()).await;
}

/// How a connection came in.
#[derive(Clone, Debug, Default)]
struct Way {
    is_tls: bool,
    /// The host named before the first request, in a CONNECT or a TLS greeting. All requests must be for this host.
    host: Option<String>,
    is_tunnel: bool,
}

/// Serves one connection, or the inside of a tunnel. Its first byte tells whether it is TLS.
async fn connection(
    server: Rc<Server>,
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    way: Way,
    mut end: watch::Receiver<bool>,
) {
    let mut first = [0u8; 1];
    let read = tokio::select! {
        read = tokio::time::timeout(HANDSHAKE_MAX, stream.read_exact(&mut first)) => read,
        _ = end.wait_for(|ended| *ended) => return,
    };
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    let is_tls = first[0] == TLS_GREETING;
    let (reader, writer) = tokio::io::split(stream);
    let whole = tokio::io::join(std::io::Cursor::new(first).chain(reader), writer);
    match (is_tls, &server.authority) {
        (false, _) => http(server, whole, way, end).await,
        (true, Some(_)) => {
            let shaken = tokio::time::timeout(HANDSHAKE_MAX, handshake(&server, whole, &way)).await;
            if let Ok(Some((stream, way))) = shaken {
                http(server, stream, way, end).await;
            }
        }
        // Without an authority, no answer would be understood by a TLS client.
        (true, None) => {}
    }
}

/// The server's part of a TLS handshake, with a certificate for the host that the greeting or the tunnel names.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    stream: S,
    way: &Way,
) -> Option<(tokio_rustls::server::TlsStream<S>, Way)> {
    let authority = server.authority.as_ref()?;
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
    let greeted = start.client_hello().server_name().map(str::to_ascii_lowercase);
    // A client that connects to this machine's own name says in `Host` which host it means, as in clear text.
    let host = greeted.or_else(|| way.host.clone()).filter(|host| !twin_page::is_loopback(host));
    let config = match &host {
        Some(host) if !server.world.borrow().answers_for(host) => authority::no_certificate(),
        host => authority.config(host.as_deref()).or_else(|_| authority::no_certificate()),
    };
    let stream = start.into_stream(config.ok()?).await.ok()?;
    Some((stream, Way { is_tls: true, host, is_tunnel: way.is_tunnel }))
}

/// Serves the requests of one connection until the connection or the server ends.
async fn http(
    server: Rc<Server>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    way: Way,
    mut end: watch::Receiver<bool>,
) {
    let (for_tunnels, way) = (end.clone(), Rc::new(way));
    let service = hyper::service::service_fn(move |request| {
        let (server, way, end) = (server.clone(), way.clone(), for_tunnels.clone());
        async move { server.answer(request, &way, end).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error is a dropped connection: by the client, or by a simulated fault.
        _ = connection.as_mut() => return,
        _ = end.wait_for(|ended| *ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

struct Server {
    world: Rc<RefCell<dyn Simulator>>,
    clock: Clock,
    /// How far the world's clock is ahead of the wall clock.
    ahead_ms: u64,
    log: RefCell<Option<File>>,
    count: RefCell<u64>,
    authority: Option<Authority>,
    logins: Option<Rc<Loop>>,
}

/// Tells hyper to drop the connection without a reply.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

impl Server {
    fn now_ms(&self) -> u64 {
        // A person may let time pass.
        self.logins.as_ref().map_or_else(|| self.clock.now_ms() + self.ahead_ms, |logins| logins.now_ms())
    }

    async fn answer(
        self: &Rc<Self>,
        request: Request<Incoming>,
        way: &Way,
        end: watch::Receiver<bool>,
    ) -> Result<Response<Full<Bytes>>, Dropped> {
        if request.method() == hyper::Method::CONNECT {
            return Ok(self.tunnel(request, way, end));
        }
        let host = match host_of(&request, way) {
            Ok(host) => host,
            Err((status, text)) => return Ok(plain(status, &text)),
        };
        if let Some(logins) = &self.logins
            && login::is_asked(request.uri().path())
        {
            let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
            let site = site.map(str::to_owned);
            return match read_ask(request, host).await {
                Ok(ask) => Ok(replied(logins.page(&ask, site.as_deref()).await)),
                Err(Some((status, text))) => Ok(plain(status, &text)),
                Err(None) => Err(Dropped),
            };
        }
        if twin_page::is_asked(&host, request.uri().path()) {
            return Ok(self.page(&request, &host));
        }
        let request = match &self.logins {
            Some(logins) => {
                let ask = match read_ask(request, host.clone()).await {
                    Ok(ask) => ask,
                    Err(Some((status, text))) => return Ok(plain(status, &text)),
                    Err(None) => return Err(Dropped),
                };
                if logins.serves(&ask) {
                    return Ok(replied(logins.answer(&ask).await));
                }
                Asked::Read(ask)
            }
            None => Asked::Open(request),
        };
        if !self.world.borrow().answers_for(&host) {
            let (status, text) = foreign(&host);
            return Ok(plain(status, &text));
        }
        let request = match request.whole(host).await {
            Ok(request) => request,
            Err(Some((status, text))) => return Ok(plain(status, &text)),
            Err(None) => return Err(Dropped),
        };
        let at_ms = self.now_ms();
        let handled = self.world.borrow_mut().handle(&request, at_ms);
        let status = match &handled.answer {
            Answer::Reply(reply) => Some(reply.status),
            Answer::NotSent(_) | Answer::Lost(_) | Answer::Barred(_) => None,
        };
        self.log(&request, at_ms, status, handled.operation.as_deref());
        tokio::time::sleep(Duration::from_millis(handled.delay_ms)).await;
        match handled.answer {
            Answer::Reply(reply) => Ok(response(reply)),
            Answer::NotSent(_) | Answer::Lost(_) | Answer::Barred(_) => Err(Dropped),
        }
    }

    /// CONNECT: the tunnel ends in this process.
    fn tunnel(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        way: &Way,
        end: watch::Receiver<bool>,
    ) -> Response<Full<Bytes>> {
        if self.authority.is_none() {
            let text = "this twin is no https proxy: start it with --tls";
            return plain(StatusCode::NOT_IMPLEMENTED, text);
        }
        let host = request.uri().authority().map(|authority| without_port(authority.as_str()));
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return plain(StatusCode::BAD_REQUEST, "CONNECT needs a host and a port");
        };
        if way.is_tls || way.is_tunnel {
            return plain(StatusCode::BAD_REQUEST, "there is no tunnel in a tunnel");
        }
        if !self.world.borrow().answers_for(&host) {
            let (_, text) = foreign(&host);
            return plain(StatusCode::FORBIDDEN, &text);
        }
        let server = self.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::task::spawn_local(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let way = Way { is_tls: false, host: Some(host), is_tunnel: true };
            boxed_connection(server, TokioIo::new(upgraded), way, end).await;
        });
        Response::new(Full::new(Bytes::new()))
    }

    fn page(&self, request: &Request<Incoming>, host: &str) -> Response<Full<Bytes>> {
        let fetch_site = request.headers().get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
        let path = request.uri().path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
        let ask = twin_page::Ask { is_get: request.method() == hyper::Method::GET, host, path, fetch_site };
        let pem = self.authority.as_ref().map(Authority::pem);
        let page = twin_page::answer(&ask, &*self.world.borrow(), pem.as_deref(), self.now_ms());
        let mut headers = vec![("content-type".to_owned(), page.content_type.to_owned())];
        headers.extend(page.location.map(|to| ("location".to_owned(), to.to_owned())));
        headers.extend(twin_page::headers().into_iter().map(|(name, value)| (name.to_owned(), value)));
        response(ApiReply { status: page.status, headers, body: page.body.into_bytes() })
    }

    fn log(&self, request: &ApiRequest, at_ms: u64, status: Option<u16>, operation: Option<&str>) {
        let number = {
            let mut count = self.count.borrow_mut();
            *count += 1;
            *count
        };
        let Some(file) = &mut *self.log.borrow_mut() else { return };
        let mut line = json!({
            "number": number,
            "at": jiff::Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(i64::MAX))
                .map(|at| format!("{at:.3}"))
                .unwrap_or_default(),
            "host": request.host,
            "method": request.method.as_str(),
            "path": path_without_values(&request.path),
            "status": status,
            "operation": operation,
        });
        // Facts that only the simulator knows.
        if let Some(entry) = self.world.borrow().requests(0, 1).first() {
            for key in ["served_status", "wrote", "owner", "fault", "took_ms"] {
                line[key] = entry[key].clone();
            }
        }
        // A failing log must not stop the server.
        let _ = writeln!(file, "{line}");
    }
}

/// [`connection`] behind a pointer. Its type would otherwise contain itself, since a connection may hold a tunnel and a
/// tunnel a connection.
fn boxed_connection(
    server: Rc<Server>,
    stream: TokioIo<hyper::upgrade::Upgraded>,
    way: Way,
    end: watch::Receiver<bool>,
) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(connection(server, stream, way, end))
}

/// The host that a request is for.
fn host_of(request: &Request<Incoming>, way: &Way) -> Result<String, Refusal> {
    let host_header = || {
        request.headers().get(hyper::header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    // A client that uses this server as a proxy sends the whole URL.
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = authority.or_else(host_header).map(|authority| without_port(&authority));
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        let text = "no Host header: it says whose API is meant".to_owned();
        return Err((StatusCode::BAD_REQUEST, text));
    };
    match &way.host {
        Some(named) if *named != host => {
            let text = format!("this connection was opened for {named}, not for {host}");
            Err((StatusCode::MISDIRECTED_REQUEST, printable(&text)))
        }
        _ => Ok(host),
    }
}

fn foreign(host: &str) -> Refusal {
    let text = format!(
        "{host} is no host of this twin, and nothing goes out to the network. It plays Twilio's verify, serverless, \
         serverless-upload, api, iam and accounts, Auth0 tenants under .auth0.com and .example, and hosts named with --tenant"
    );
    (StatusCode::MISDIRECTED_REQUEST, printable(&text))
}

/// The text with only printable ASCII: a host name comes from others and may hold anything.
fn printable(text: &str) -> String {
    text.chars().map(|ch| if ch.is_ascii_graphic() || ch == ' ' { ch } else { '?' }).collect()
}

/// The reply of a page of a login.
fn replied(reply: lockstep_front::Reply) -> Response<Full<Bytes>> {
    let lockstep_front::Reply { status, headers, body } = reply;
    response(ApiReply { status, headers, body })
}

/// The host name in lower case, without port and final dot. The brackets of an IPv6 address stay.
fn without_port(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn response(reply: ApiReply) -> Response<Full<Bytes>> {
    let ApiReply { status, headers, body } = reply;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::from_str(&value)) {
            // The HTTP library sets the framing headers itself.
            if name != hyper::header::CONTENT_LENGTH && name != hyper::header::TRANSFER_ENCODING {
                response.headers_mut().append(name, value);
            }
        }
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::http::{Http, HttpOptions};
    use crate::shell::request::BODY_LIMIT_BYTES;
    use crate::shell::test_support::{Scripted, TestFolder, block_on, get, json_reply};
    use crate::shell::via::Via;
    use tokio::io::AsyncWriteExt as _;
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
        let mut said = Vec::new();
        serve(world, &options, &signals, |line| said.push(line.to_owned())).expect("served");
        let said = &said[0];
        assert!(said.starts_with("listening on http://127.0.0.1:") && !said.ends_with(":0"), "{said}");
        let saved = std::fs::read_to_string(folder.path().join("world.json")).expect("saved");
        assert_eq!(saved, "{\n  \"seen\": 0\n}\n");
    }

    #[test]
    fn ports_are_stripped_and_names_folded() {
        for (authority, host) in
            [("ACME.auth0.com:443", "acme.auth0.com"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a.", "a")]
        {
            assert_eq!(without_port(authority), host);
        }
    }
}

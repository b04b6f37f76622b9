//! Requests over the network: https to the real host, through a proxy, or to a gateway. Each request is tried once.
//!
//! This client does not follow redirects, repeat requests, decompress, keep cookies, or read bodies. Law 3 rests on one
//! distinction made here: `NotSent` (no connection was made) against `Lost` (anything later).

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Url};
use tokio::sync::Semaphore;

use super::proxy::ProxySettings;
use super::roots;
use super::via::Via;
use crate::engine::reply::without_query;
use crate::model::api::{Answer, ApiReply, ApiRequest, Method};
use crate::model::text::line;

/// Largest reply that is accepted. A list of 100 Actions with their code (each at most 100 kB) fits.
const REPLY_LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// Most requests in flight over all hosts. Each connection takes some 25 kB without TLS; at a latency of 50 ms, this many
/// let five thousand requests pass in a second.
pub const IN_FLIGHT_MAX: usize = 256;
/// Idle connections are closed after this long, before a server would close them. A request on a connection that the
/// server is closing ends as `Lost`, and a lost write must be looked up.
const IDLE: Duration = Duration::from_secs(15);

/// Text by which the HTTP client reports a proxy's 407. The client gives no other sign of it.
const PROXY_ASKS: &str = "proxy authorization required";
const NO_PROXY_USER: &str = "the proxy of HTTPS_PROXY answers 407: it asks for a user and a password, or does not take those that it \
     got; write HTTPS_PROXY as http://USER:PASSWORD@HOST:PORT";

/// How requests leave this machine.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Gateway for all requests; it replaces the proxy.
    pub via: Option<Via>,
    /// The environment's proxy.
    pub proxy: ProxySettings,
    /// PEM file with certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time from the start of a request, connecting included, to the last byte of the reply. Default 30 s.
    pub request_timeout: Duration,
    /// Longest time to connect: name look-up, TCP, proxy and TLS together. Default 10 s.
    pub connect_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            via: None,
            proxy: ProxySettings::none(),
            ca_file: None,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// A client for the network. Clones share connections.
#[derive(Clone)]
pub struct Http {
    client: Client,
    via: Option<Via>,
    /// Texts that no error cause may repeat.
    hidden: Arc<Vec<String>>,
    in_flight: Arc<Semaphore>,
    request_timeout: Duration,
    connect_timeout: Duration,
}

impl Http {
    /// Sets up the client. Makes no connection yet.
    ///
    /// # Errors
    /// The proxy settings or the CA file cannot be used, or there are no CA certificates at all.
    pub fn new(options: &HttpOptions) -> Result<Http> {
        let HttpOptions { via, proxy, ca_file, request_timeout, connect_timeout } = options;
        // Fails only if a provider is installed already, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .pool_idle_timeout(IDLE)
            .timeout(*request_timeout)
            // If the general time-out ended a connect, the request would count as lost although nothing was sent.
            .connect_timeout((*connect_timeout).min(*request_timeout / 2));
        let extra = ca_file.as_deref().map(roots::load).transpose()?.unwrap_or_default();
        builder = match via {
            // Clear text needs no certificate, so the system's certificates are not loaded and need not exist.
            Some(via) if !via.is_https() => builder.tls_certs_only(Vec::<Certificate>::new()),
            _ => {
                roots::check_named(|name| std::env::var_os(name))?;
                builder.tls_certs_merge(extra)
            }
        };
        if via.is_some() {
            // `localhost` means this machine, whatever the resolver says. Port 0 stands for the port of the URL.
            let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            builder = builder.resolve_to_addrs("localhost", &here.map(|address| SocketAddr::new(address, 0)));
        } else if let Some(proxy) = proxy.build()? {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| {
            let cause = causes(&error);
            match ca_file {
                Some(path) if cause.contains("certificate") => {
                    anyhow!("--ca-file {}: a certificate in it is damaged ({cause})", path.display())
                }
                None if cause.contains("No CA certificates") => {
                    anyhow!("no CA certificates on this system: install ca-certificates, or pass --ca-file")
                }
                _ => anyhow!("the HTTP client cannot be set up: {cause}"),
            }
        })?;
        Ok(Http {
            client,
            via: via.clone(),
            hidden: Arc::new(proxy.hidden()),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            request_timeout: *request_timeout,
            connect_timeout: (*connect_timeout).min(*request_timeout / 2),
        })
    }

    /// Sends a request once and says what became of it.
    pub async fn send(&self, request: ApiRequest) -> Answer {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Answer::NotSent("the transport is closed".into());
        };
        let prepared = match self.prepare(request) {
            Ok(prepared) => prepared,
            Err(cause) => return Answer::Barred(cause),
        };
        let mut response = match self.client.execute(prepared).await {
            Ok(response) => response,
            Err(error) => return self.failed(&error),
        };
        let status = response.status().as_u16();
        let headers = reply_headers(response.headers());
        if response.content_length().is_some_and(|length| length > REPLY_LIMIT_BYTES as u64) {
            return too_large();
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Answer::Reply(ApiReply { status, headers, body }),
                Ok(Some(chunk)) if body.len() + chunk.len() > REPLY_LIMIT_BYTES => return too_large(),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) => return self.lost(&error),
            }
        }
    }

    /// The request as the HTTP library takes it. The error text names neither headers nor query.
    fn prepare(&self, request: ApiRequest) -> Result<reqwest::Request, String> {
        let ApiRequest { host, method, path, headers, body } = request;
        let (origin, base) = match &self.via {
            Some(via) => (via.origin(), via.base_path()),
            None => (format!("https://{host}"), ""),
        };
        let place = || line(&format!("{host}{}", without_query(&path)));
        let url =
            Url::parse(&format!("{origin}{base}{path}")).map_err(|_| format!("{} is no address", place()))?;
        // A URL parser resolves dot segments and escapes. A path that it would change is not sent.
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        if target != format!("{base}{path}") || url.fragment().is_some() {
            return Err(format!("the path of {} cannot be sent unchanged", place()));
        }
        if self.via.is_none()
            && (url.host_str() != Some(host.to_ascii_lowercase().as_str()) || has_user(&url))
        {
            return Err(format!("{:?} is no host name", line(&host)));
        }
        let mut map = HeaderMap::new();
        for (name, value) in &headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header name cannot be sent")?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of header {name} cannot be sent"))?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        if self.via.is_some() {
            map.insert(HOST, HeaderValue::from_str(&host).map_err(|_| "the host name cannot be sent")?);
        }
        let mut prepared = reqwest::Request::new(client_method(method), url);
        *prepared.headers_mut() = map;
        // GET and DELETE without a body send no body at all; other methods send `content-length: 0`.
        if !body.is_empty() || !matches!(method, Method::Get | Method::Delete) {
            *prepared.body_mut() = Some(body.into());
        }
        Ok(prepared)
    }

    fn failed(&self, error: &reqwest::Error) -> Answer {
        if !(error.is_connect() || error.is_builder()) {
            return self.lost(error);
        }
        if error.is_timeout() {
            return Answer::NotSent(format!("no connection within {}", seconds(self.connect_timeout)));
        }
        let mut cause = format!("cannot connect: {}", causes(error));
        if cause.contains(PROXY_ASKS) {
            return Answer::Barred(NO_PROXY_USER.into());
        }
        if cause.contains("UnknownIssuer") {
            cause.push_str("; if a proxy or gateway signs here, pass its certificate with --ca-file");
        }
        Answer::NotSent(self.hide(&cause))
    }

    fn lost(&self, error: &reqwest::Error) -> Answer {
        if error.is_timeout() {
            return Answer::Lost(format!("no whole reply within {}", seconds(self.request_timeout)));
        }
        Answer::Lost(self.hide(&format!("connection lost: {}", causes(error))))
    }

    fn hide(&self, text: &str) -> String {
        self.hidden.iter().fold(line(text), |text, hidden| text.replace(hidden.as_str(), "[secret]"))
    }
}

fn too_large() -> Answer {
    Answer::Lost(format!("reply larger than {} MiB", REPLY_LIMIT_BYTES / (1024 * 1024)))
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn client_method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The library gives names in lower case. A value that is not visible ASCII is dropped.
fn reply_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// The texts of the inner causes. The outermost text is left out, because it names the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        // An outer layer often repeats the text of an inner one.
        if !texts.iter().any(|known| known.contains(&text)) && !text.starts_with("client error (") {
            texts.push(text);
        }
        source = inner.source();
    }
    if texts.is_empty() { "no cause known".to_owned() } else { texts.join(": ") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_support::{TestFolder, block_on, get, raw_server};
    use std::time::Instant;

    /// TEST ONLY. A self-signed certificate whose key was thrown away. It lets these tests run on a system without CA
    /// certificates.
    const TEST_ONLY_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUfhPzm6uQ02Qr2Rw1pj4jqBJR6m0wCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSbG9ja3N0ZXAgdGVzdCBvbmx5MCAXDTI2MTEyNDAzNDY0MloY
DzIxMjYxMDMxMDM0NjQyWjAdMRswGQYDVQQDDBJsb2Nrc3RlcCB0ZXN0IG9ubHkw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATfM9lKBocSWOAydElx/bMWVr8QwkmB
jBATKg8UwrHsybifN5vXGUgAJw2xH8j46kgzzuEt684X1OxqrqKjYFwvo1MwUTAd
BgNVHQ4EFgQUuRgg5CLehQh60UPWyF3GXXoUYTkwHwYDVR0jBBgwFoAUuRgg5CLe
hQh60UPWyF3GXXoUYTkwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiBv/KEiZh6kwAwC68Qv7D5nxsgoq+D209GpRQkli0CIiwIhAMe30np7Du5lnXu+
7ExfW72Oe/ZP6NI1ukmva0GDUgOz
-----END CERTIFICATE-----
";

    const HOST: &str = "acme.auth0.example";

    fn via(port: u16) -> Http {
        via_with(&format!("http://127.0.0.1:{port}"), HttpOptions::default())
    }

    fn via_with(url: &str, options: HttpOptions) -> Http {
        Http::new(&HttpOptions { via: Some(Via::parse(url, false).expect("loopback")), ..options })
            .expect("client")
    }

    fn proxy(port: u16, no_proxy: &str) -> ProxySettings {
        let no_proxy = no_proxy.to_owned();
        ProxySettings::from_env(move |name| match name {
            "HTTPS_PROXY" => Some(format!("http://someone:hunter2-hunter2@127.0.0.1:{port}")),
            "no_proxy" => Some(no_proxy.clone()),
            _ => None,
        })
    }

    /// A client straight to the host (or by proxy) that does not need the system's certificates.
    fn direct(folder: &TestFolder, options: HttpOptions) -> Http {
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, TEST_ONLY_CERTIFICATE).expect("file");
        Http::new(&HttpOptions { ca_file: Some(ca_file), ..options }).expect("client")
    }

    fn reply(head: &str, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat()
    }

    fn expect_reply(answer: Answer) -> ApiReply {
        match answer {
            Answer::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_gateway_gets_the_real_host_and_the_path_as_it_is() {
        block_on(async {
            let (port, seen) = raw_server(reply("200 OK\r\nContent-Length: 2", b"{}")).await;
            let path = "/api/v2/actions/actions/%7Bid%7D?name=a%20b&x=%2F";
            let http = via_with(&format!("http://localhost:{port}/base/"), HttpOptions::default());
            let request = ApiRequest {
                method: Method::Patch,
                body: b"{\"a\":1}".to_vec(),
                headers: vec![("content-type".into(), "application/json".into())],
                ..get(HOST, path)
            };
            assert_eq!(expect_reply(http.send(request).await).body, b"{}");
            let head = seen.borrow()[0].clone();
            assert!(head.starts_with(&format!("PATCH /base{path} HTTP/1.1\r\n")), "{head}");
            let lines: Vec<&str> = head.lines().collect();
            assert!(
                lines.contains(&"host: acme.auth0.example") && lines.contains(&"content-length: 7"),
                "{head}"
            );
            assert_eq!(lines.iter().filter(|line| line.starts_with("host:")).count(), 1);
        });
    }

    #[test]
    fn a_gateway_is_reached_past_the_proxy() {
        block_on(async {
            let (proxy_port, proxied) = raw_server(reply("502 Bad Gateway\r\nContent-Length: 0", b"")).await;
            let (port, _) = raw_server(reply("204 No Content", b"")).await;
            let options = HttpOptions { proxy: proxy(proxy_port, ""), ..HttpOptions::default() };
            let http = via_with(&format!("http://127.0.0.1:{port}"), options);
            assert_eq!(expect_reply(http.send(get(HOST, "/x")).await).status, 204);
            assert!(proxied.borrow().is_empty());
        });
    }

    /// A second request would not bring the credentials that the proxy asks for.
    #[test]
    fn a_proxy_that_asks_for_a_user_is_named_and_not_asked_again() {
        block_on(async {
            let head = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0";
            let (port, seen) = raw_server(reply(head, b"")).await;
            let folder = TestFolder::new();
            let http = direct(&folder, HttpOptions { proxy: proxy(port, ""), ..HttpOptions::default() });
            let answer = http.send(get(HOST, "/x")).await;
            let Answer::Barred(cause) = answer else { panic!("{answer:?}") };
            assert!(cause.contains("407") && cause.contains("a user and a password"), "{cause}");
            assert!(!cause.contains("hunter2"), "{cause}");
            assert_eq!(seen.borrow().len(), 1);
        });
    }

    #[test]
    fn a_redirect_is_a_reply_like_any_other() {
        block_on(async {
            let (other_port, other) = raw_server(reply("200 OK\r\nContent-Length: 0", b"")).await;
            let head = format!("302 Found\r\nLocation: http://127.0.0.1:{other_port}/\r\nContent-Length: 0");
            let (port, _) = raw_server(reply(&head, b"")).await;
            let reply = expect_reply(via(port).send(get(HOST, "/x")).await);
            assert_eq!(reply.status, 302);
            assert_eq!(reply.header("location"), Some(format!("http://127.0.0.1:{other_port}/").as_str()));
            assert!(other.borrow().is_empty());
        });
    }

    #[test]
    fn header_names_are_folded_and_odd_values_dropped() {
        block_on(async {
            let mut bytes = b"HTTP/1.1 200 OK\r\nX-RateLimit-Limit: 10\r\nX-Odd: gr\xfc\xdfe\r\n".to_vec();
            bytes.extend_from_slice(b"Content-Length: 0\r\n\r\n");
            let (port, _) = raw_server(bytes).await;
            let reply = expect_reply(via(port).send(get(HOST, "/x")).await);
            assert_eq!(reply.header("x-ratelimit-limit"), Some("10"));
            assert_eq!(reply.header("x-odd"), None);
        });
    }

    #[test]
    fn a_reply_that_is_too_large_is_lost() {
        block_on(async {
            let over = REPLY_LIMIT_BYTES + 1;
            let told = reply(&format!("200 OK\r\nContent-Length: {over}"), b"");
            let untold = reply("200 OK\r\nConnection: close", &vec![b' '; over]);
            for bytes in [told, untold] {
                let (port, _) = raw_server(bytes).await;
                let answer = via(port).send(get(HOST, "/x")).await;
                assert_eq!(answer, Answer::Lost("reply larger than 16 MiB".into()));
            }
        });
    }

    #[test]
    fn without_a_connection_nothing_was_sent() {
        block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback port");
            let port = listener.local_addr().expect("bound").port();
            drop(listener);
            let answer = via(port).send(get(HOST, "/x?query=value")).await;
            let Answer::NotSent(cause) = answer else { panic!("{answer:?}") };
            assert!(cause.contains("cannot connect") && cause.contains("refused"), "{cause}");
            assert!(!cause.contains("value") && !cause.contains("/x"), "{cause}");
            // The server answers, but not in TLS.
            let (port, _) = raw_server(b"no TLS here".to_vec()).await;
            let folder = TestFolder::new();
            let ca_file = folder.path().join("ca.pem");
            std::fs::write(&ca_file, TEST_ONLY_CERTIFICATE).expect("file");
            let options = HttpOptions { ca_file: Some(ca_file), ..HttpOptions::default() };
            let http = via_with(&format!("https://127.0.0.1:{port}"), options);
            let answer = http.send(get(HOST, "/x")).await;
            assert!(matches!(answer, Answer::NotSent(_)), "{answer:?}");
        });
    }

    #[test]
    fn a_reply_that_is_cut_off_is_lost() {
        block_on(async {
            let cases = [
                Vec::new(),
                b"HTTP/1.1 20".to_vec(),
                reply("200 OK\r\nContent-Length: 100", b"{\"half\":"),
                reply("200 OK\r\nTransfer-Encoding: chunked", b"5\r\nab"),
                b"no HTTP at all\r\n\r\n".to_vec(),
            ];
            for bytes in cases {
                let (port, seen) = raw_server(bytes.clone()).await;
                let answer = via(port).send(get(HOST, "/x?query=value")).await;
                let Answer::Lost(cause) = answer else { panic!("{answer:?}") };
                assert!(cause.contains("connection lost") && !cause.contains("value"), "{cause}");
                assert_eq!(seen.borrow().len(), 1, "sent once, never repeated");
            }
        });
    }

    #[test]
    fn a_reply_that_does_not_come_in_time_is_lost() {
        block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback port");
            let port = listener.local_addr().expect("bound").port();
            let options =
                HttpOptions { request_timeout: Duration::from_millis(300), ..HttpOptions::default() };
            let http = via_with(&format!("http://127.0.0.1:{port}"), options);
            let started = Instant::now();
            let answer = http.send(get(HOST, "/x")).await;
            assert_eq!(answer, Answer::Lost("no whole reply within 0.3 s".into()));
            assert!(started.elapsed() < Duration::from_secs(10));
            drop(listener);
        });
    }

    #[test]
    fn the_proxy_is_asked_for_the_real_host_and_its_password_is_not_told() {
        block_on(async {
            let folder = TestFolder::new();
            let (port, seen) = raw_server(reply("502 Bad Gateway\r\nContent-Length: 0", b"")).await;
            let http = direct(
                &folder,
                HttpOptions { proxy: proxy(port, "other.example"), ..HttpOptions::default() },
            );
            let answer = http.send(get(HOST, "/x")).await;
            let Answer::NotSent(cause) = answer else { panic!("{answer:?}") };
            assert!(!cause.contains("hunter2") && !cause.contains("someone"), "{cause}");
            let head = seen.borrow()[0].to_ascii_lowercase();
            assert!(head.starts_with("connect acme.auth0.example:443 http/1.1\r\n"), "{head}");
            assert!(head.contains("proxy-authorization: basic "), "{head}");
            assert!(!head.contains("bearer"), "the proxy does not see our credentials: {head}");
        });
    }

    #[test]
    fn no_proxy_goes_straight_to_the_host() {
        block_on(async {
            let folder = TestFolder::new();
            let (port, seen) = raw_server(reply("502 Bad Gateway\r\nContent-Length: 0", b"")).await;
            let options = HttpOptions {
                proxy: proxy(port, "127.0.0.1,.auth0.example"),
                connect_timeout: Duration::from_secs(2),
                ..HttpOptions::default()
            };
            let http = direct(&folder, options);
            for host in ["127.0.0.1", HOST] {
                let answer = http.send(get(host, "/x")).await;
                assert!(matches!(answer, Answer::NotSent(_)), "{answer:?}");
            }
            assert!(seen.borrow().is_empty());
        });
    }

    #[test]
    fn what_would_leave_changed_does_not_leave() {
        block_on(async {
            let (port, seen) = raw_server(reply("200 OK\r\nContent-Length: 0", b"")).await;
            let folder = TestFolder::new();
            let direct = direct(&folder, HttpOptions::default());
            for path in ["/a/../b", "/a/%2e%2e/b", "/a#b", "/a b", "//other/../x"] {
                for http in [&via(port), &direct] {
                    let answer = http.send(get(HOST, path)).await;
                    assert!(matches!(answer, Answer::Barred(_)), "{path}: {answer:?}");
                }
            }
            for host in ["a@b.example", "b.example/x", "b.example:1?", ""] {
                let answer = direct.send(get(host, "/x")).await;
                assert!(matches!(answer, Answer::Barred(_)), "{host}: {answer:?}");
            }
            let odd = ApiRequest { headers: vec![("x-a".into(), "hunter2\nx: y".into())], ..get(HOST, "/x") };
            let Answer::Barred(cause) = via(port).send(odd).await else { panic!("a header with a line end") };
            assert!(!cause.contains("hunter2"), "{cause}");
            assert!(seen.borrow().is_empty());
        });
    }

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named() {
        let folder = TestFolder::new();
        let path = folder.path().join("ca.pem");
        let problem = || {
            let options = HttpOptions { ca_file: Some(path.clone()), ..HttpOptions::default() };
            let error = Http::new(&options).err().expect("refused");
            let text = format!("{error:#}");
            assert!(text.contains(&format!("--ca-file {}", path.display())), "{text}");
            text
        };
        assert!(problem().contains("no such file"));
        std::fs::write(&path, "nothing").expect("file");
        assert!(problem().contains("no certificate in it"));
        std::fs::write(&path, TEST_ONLY_CERTIFICATE.replace("MII", "M!I")).expect("file");
        assert!(problem().contains("damaged"));
        std::fs::write(&path, TEST_ONLY_CERTIFICATE.replace("MIIB", "AAAA")).expect("file");
        problem();
    }
}

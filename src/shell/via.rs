//! `--via URL`: every request goes to this gateway, which gets the real host in `Host` and the unchanged path.
//!
//! The gateway gets all credentials in clear text, so by default it must be on this machine. Neither the environment
//! nor a manifest can set it.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::Url;

use super::address::{self, Unreadable};

/// A checked gateway address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    url: Url,
}

/// Why a gateway address was refused. The message repeats at most the scheme and the host of the address, because the
/// rest may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaProblem {
    /// The address does not parse, names no host, or has no scheme (`localhost:8080`).
    #[error("--via is not a URL; write it as http://127.0.0.1:8080")]
    NotAUrl,
    /// The host has letters beyond ASCII that are not in the form `xn--…`.
    #[error("--via has letters beyond ASCII; write its host in the form xn--…")]
    Letters,
    /// The scheme is neither http nor https.
    #[error("--via has the scheme {0:?}; only http and https are possible")]
    Scheme(String),
    /// The URL holds credentials.
    #[error("--via holds a user or password; a gateway gets none from here, leave them out")]
    UserInfo,
    /// The URL has a query or a fragment. A request has its own path and query, and could not carry these as well.
    #[error("--via holds a query or a fragment; give scheme, host, port and at most a base path")]
    Extra,
    /// The gateway is another machine, and `--via-force` is missing.
    #[error(
        "--via names {0}, which is not this machine, and the gateway would get every credential; use a loopback \
         address, or https together with --via-force"
    )]
    NotLoopback(String),
    /// The gateway is another machine over http, which `--via-force` does not allow either.
    #[error("--via names {0} over http, which is not this machine; --via-force needs https")]
    NotHttps(String),
}

impl Via {
    /// Checks a gateway address; `force` is `--via-force`.
    ///
    /// # Errors
    /// See [`ViaProblem`].
    pub fn parse(text: &str, force: bool) -> Result<Via, ViaProblem> {
        let url = address::parse(text).map_err(|problem| match problem {
            Unreadable::NotAUrl => ViaProblem::NotAUrl,
            Unreadable::Letters => ViaProblem::Letters,
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            // `localhost:8080` parses as the scheme `localhost`; say what is missing instead.
            return Err(match text.contains("://") {
                true => ViaProblem::Scheme(url.scheme().to_owned()),
                false => ViaProblem::NotAUrl,
            });
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ViaProblem::NotAUrl)?.to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ViaProblem::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ViaProblem::Extra);
        }
        if !is_loopback(&host) {
            match (url.scheme(), force) {
                ("https", true) => {}
                (_, false) => return Err(ViaProblem::NotLoopback(host)),
                (_, true) => return Err(ViaProblem::NotHttps(host)),
            }
        }
        Ok(Via { url })
    }

    /// The origin of a store of records, which gets the store's credentials and no others.
    #[cfg(feature = "object_store")]
    pub(crate) fn of_store(mut url: Url) -> Via {
        url.set_path("");
        url.set_query(None);
        Via { url }
    }

    /// Whether the gateway refuses connections on each of its addresses. Then no request could ever leave, and waiting
    /// is useless. Any other trouble is left for the requests to find.
    pub fn is_closed(&self) -> bool {
        let Ok(addresses) = self.url.socket_addrs(|| None) else { return false };
        let refused = |address: &SocketAddr| {
            let tried = TcpStream::connect_timeout(address, Duration::from_secs(1));
            tried.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        !addresses.is_empty() && addresses.iter().all(refused)
    }

    /// Whether connections to the gateway use TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the gateway is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.url.host_str().is_some_and(is_loopback)
    }

    /// Scheme, host and port, without a path.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The path that is put before the path of every request. It is empty, or begins with a slash and does not end with
    /// one.
    pub(crate) fn base_path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.base_path())
    }
}

/// Whether a host is this machine. The name `localhost` is, because the HTTP client (`http.rs`) always resolves it to
/// the loopback addresses.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_taken_without_force() {
        for good in [
            "http://127.0.0.1:8080",
            "http://127.8.9.10",
            "http://localhost:1/base/",
            "http://[::1]:99",
            "https://127.0.0.1",
        ] {
            assert!(Via::parse(good, false).is_ok(), "{good}");
        }
        let host = |text: &str| text.to_owned();
        let table = [
            ("http://10.0.0.1", false, ViaProblem::NotLoopback(host("10.0.0.1"))),
            ("https://gateway.example", false, ViaProblem::NotLoopback(host("gateway.example"))),
            ("http://gateway.example", true, ViaProblem::NotHttps(host("gateway.example"))),
            ("http://localhost.evil.example", false, ViaProblem::NotLoopback(host("localhost.evil.example"))),
            ("http://127.0.0.1.evil.example", false, ViaProblem::NotLoopback(host("127.0.0.1.evil.example"))),
            ("http://127.0.0.1@evil.example", false, ViaProblem::UserInfo),
            ("http://user:pass@127.0.0.1", false, ViaProblem::UserInfo),
            ("http://127.0.0.1/?a=b", false, ViaProblem::Extra),
            ("http://127.0.0.1/#x", false, ViaProblem::Extra),
            ("ftp://127.0.0.1", false, ViaProblem::Scheme("ftp".into())),
            ("localhost:8080", false, ViaProblem::NotAUrl),
            ("", false, ViaProblem::NotAUrl),
            ("https://bücher.example", true, ViaProblem::Letters),
            ("http://１２７.0.0.1", false, ViaProblem::Letters),
            ("http://[::ffff:10.0.0.1]", false, ViaProblem::NotLoopback(host("[::ffff:a00:1]"))),
        ];
        for (text, force, problem) in table {
            assert_eq!(Via::parse(text, force), Err(problem), "{text}");
        }
        assert!(Via::parse("https://gateway.example/x", true).is_ok());
        assert!(Via::parse("https://xn--bcher-kva.example", true).is_ok());
    }

    #[test]
    fn it_shows_as_origin_and_base_path() {
        let via = Via::parse("http://localhost:81/base/path/", false).expect("loopback");
        assert_eq!(via.to_string(), "http://localhost:81/base/path");
        assert_eq!(Via::parse("http://127.0.0.1", false).expect("loopback").to_string(), "http://127.0.0.1");
    }
}

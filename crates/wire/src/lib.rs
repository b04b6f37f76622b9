//! What crosses the wire, as plain bytes: a request, a reply, and the outcome of a request.
//!
//! Both sides of the wire use these types and nothing else in common: the engine turns a kind's `Get` or `Write` into
//! an [`ApiRequest`], and the twin answers it. This module knows no JSON, no credentials and no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// HTTP method of a request. Only the five methods that the two APIs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The token of the request line, upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// Reads the token of a request line; `None` for a method that neither API uses.
    pub fn parse(token: &str) -> Option<Method> {
        [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete]
            .into_iter()
            .find(|method| method.as_str() == token)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One HTTP request, complete with its credentials.
///
/// `host` is the real host name (`acme-dev.eu.auth0.com`, `verify.twilio.com`), also when a gateway is used.
/// `path` begins with `/`, is percent-encoded and carries the query. Header names are lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiRequest {
    pub host: String,
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl ApiRequest {
    /// The value of the first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

/// Prints neither headers nor body: both hold credentials.
impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} https://{}{} ({} bytes)", self.method, self.host, self.path, self.body.len())
    }
}

/// One HTTP reply. Header names are lower case; the body is already bounded in size and not yet decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiReply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl ApiReply {
    /// The value of the first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

/// Prints neither headers nor body: replies of both vendors carry secrets in clear (webhook authorization, account
/// tokens).
impl fmt::Debug for ApiReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} ({} bytes)", self.status, self.body.len())
    }
}

/// Outcome of a request, as the transport saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A whole reply arrived.
    Reply(ApiReply),
    /// The request certainly never reached the server (no connection, no TLS session). Holds the cause.
    NotSent(String),
    /// The request was not sent, and another try would not send it either: it cannot be written as HTTP, or a proxy
    /// asks for credentials. Holds the cause.
    Barred(String),
    /// The request may have reached the server: time-out, connection lost, reply cut off or too large. Holds the cause.
    Lost(String),
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

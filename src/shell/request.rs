//! Reads the requests of a served twin.

use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use lockstep_front::Ask;

use crate::model::api::{ApiRequest, Method};

/// Largest request body that is accepted; an Action with its code is far smaller.
pub const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Longest time for a request body to arrive, however slowly it comes.
const BODY_MAX: Duration = Duration::from_secs(30);

/// A refusal by this server itself rather than by a simulated vendor.
pub type Refusal = (StatusCode, String);

/// A request whose body was read, or was not read yet.
pub enum Asked {
    Read(Ask),
    Open(Request<Incoming>),
}

impl Asked {
    /// The request, as the APIs get it. `Err(Some(…))` is a refusal; `Err(None)` means that the client went away.
    pub async fn whole(self, host: String) -> Result<ApiRequest, Option<Refusal>> {
        let method = match &self {
            Asked::Read(ask) => Method::parse(&ask.method),
            Asked::Open(request) => Method::parse(request.method().as_str()),
        };
        let Some(method) = method else {
            return Err(Some((StatusCode::METHOD_NOT_ALLOWED, "neither API uses this method".to_owned())));
        };
        let Ask { host, path, headers, body, .. } = match self {
            Asked::Read(ask) => ask,
            Asked::Open(request) => read_ask(request, host).await?,
        };
        Ok(ApiRequest { host, method, path, headers, body })
    }
}

/// Reads a whole request of any method. `Err` as for [`Asked::whole`].
pub async fn read_ask(request: Request<Incoming>, host: String) -> Result<Ask, Option<Refusal>> {
    let refuse = |status, text: &str| Err(Some((status, text.to_owned())));
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let path = parts.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str).to_owned();
    let headers = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let whole = tokio::time::timeout(BODY_MAX, Limited::new(body, BODY_LIMIT_BYTES).collect()).await;
    let Ok(whole) = whole else {
        return refuse(StatusCode::REQUEST_TIMEOUT, "the body does not end");
    };
    let body = match whole {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
        }
        Err(_) => return Err(None),
    };
    Ok(Ask { method, host, path, headers, body })
}

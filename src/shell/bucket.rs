//! Records in an object store: `s3://BUCKET/PREFIX` and `az://CONTAINER/PREFIX`.
//!
//! The library speaks the stores' protocols and reads their usual variables, and only when `--record` names such a store.
//! Its requests leave by our own client, so certificates, proxies, time-outs and bounds are those of every other request,
//! and what went wrong is told in our words: a store's own words may repeat parts of a credential.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{Method, Response};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpService,
};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, Error, GetOptions, ObjectStore, PutMode, PutOptions, RetryConfig};
use reqwest::Url;
use tokio::runtime::Runtime;

use super::http::{Http, HttpOptions};
use super::records::{Put, RECORD_LIMIT_BYTES, RecordProblem, Store, Vendor};
use super::via::Via;
use crate::model::api::{Answer, ApiRequest, Method as ApiMethod};

/// Longest time of one request, and of one call with all its repeats. An append is at most a few calls, and a lease has
/// to outlive it.
const REQUEST: Duration = Duration::from_secs(8);
const CALL: Duration = Duration::from_secs(12);
/// Repeats of a request that failed in a way that may pass.
const REPEATS_MAX: usize = 3;
/// The highest number; names count down from it, so that a store, which lists in the order of names, begins with the last.
const NUMBER_MAX: u64 = 99_999_999;
/// Names that are asked for; the first is the last record, unless something else was put beside them.
const LISTED: usize = 16;
/// Where the library asks for credentials when no variable has any.
const METADATA: &str = "169.254.169.254";

/// The two interfaces of a store that are used.
trait Api: ObjectStore + PaginatedListStore {}
impl<T: ObjectStore + PaginatedListStore> Api for T {}

/// What went wrong last, in words that hold no credential.
type Said = Arc<Mutex<String>>;

/// The records of one fleet in an object store.
pub struct Bucket {
    api: Box<dyn Api>,
    runtime: Runtime,
    said: Said,
    /// Beginning of all names, with a slash at the end.
    folder: String,
    /// `s3://BUCKET` or `az://CONTAINER`.
    root: String,
}

impl Bucket {
    /// The records of a fleet in a store. Sends nothing yet.
    ///
    /// # Errors
    /// Its variables do not say how to reach it.
    pub fn open(
        vendor: Vendor,
        name: &str,
        prefix: &str,
        fleet: &str,
        options: &HttpOptions,
    ) -> Result<Bucket, RecordProblem> {
        let said = Said::default();
        let connector = Connector {
            options: HttpOptions { request_timeout: REQUEST, via: None, ..options.clone() },
            said: said.clone(),
        };
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
            },
            max_retries: REPEATS_MAX,
            retry_timeout: CALL,
        };
        let api: Result<Box<dyn Api>, Error> = match vendor {
            Vendor::S3 => AmazonS3Builder::from_env()
                .with_bucket_name(name)
                .with_conditional_put(object_store::aws::S3ConditionalPut::ETagMatch)
                .with_http_connector(connector)
                .with_retry(retry)
                .build()
                .map(|store| Box::new(store) as _),
            Vendor::Azure => MicrosoftAzureBuilder::from_env()
                .with_container_name(name)
                .with_http_connector(connector)
                .with_retry(retry)
                .build()
                .map(|store| Box::new(store) as _),
        };
        let root = format!("{}{name}", vendor.scheme());
        let api = api.map_err(|error| RecordProblem::Away(format!("{root}: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| RecordProblem::Io(error.to_string()))?;
        let folder = match prefix {
            "" => format!("{fleet}/"),
            prefix => format!("{prefix}/{fleet}/"),
        };
        Ok(Bucket { api, runtime, said, folder, root })
    }

    fn key(&self, number: u64) -> Path {
        Path::from(format!("{}{:08}-{number:08}.json", self.folder, NUMBER_MAX.saturating_sub(number)))
    }

    /// Waits for a call, and no longer than a call may take.
    fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        heard(&self.said, String::new());
        let ended = self.runtime.block_on(async { tokio::time::timeout(CALL, call).await });
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => Err(Failure::Exists),
            Ok(Err(Error::NotFound { .. })) => {
                Err(Failure::NotFound(self.away(&said, "there is no such bucket or container")))
            }
            Ok(Err(error)) => Err(Failure::Other(match said.is_empty() {
                // Nothing was sent: a variable or a file that it names cannot be used.
                true => self.away(&error.to_string(), ""),
                false => self.away(&said, ""),
            })),
            Err(_) => {
                Err(Failure::Other(self.away(&said, &format!("no answer within {} s", CALL.as_secs()))))
            }
        }
    }

    fn away(&self, said: &str, otherwise: &str) -> RecordProblem {
        RecordProblem::Away(format!("{}: {}", self.root, if said.is_empty() { otherwise } else { said }))
    }
}

/// How a call failed.
enum Failure {
    NotFound(RecordProblem),
    Exists,
    Other(RecordProblem),
}

impl Bucket {
    /// A failure as a problem; of a call that can have no other.
    fn problem(&self, failure: Failure) -> RecordProblem {
        match failure {
            Failure::NotFound(problem) | Failure::Other(problem) => problem,
            Failure::Exists => self.away("", "it refuses the request"),
        }
    }
}

impl Store for Bucket {
    fn newest(&self) -> Result<u64, RecordProblem> {
        let options = PaginatedListOptions { max_keys: Some(LISTED), ..PaginatedListOptions::default() };
        let listed = self.call(self.api.list_paginated(Some(&self.folder), options));
        let listed = listed.map_err(|failure| self.problem(failure))?;
        let number = |path: &Path| -> Option<u64> {
            let (_, number) = path.filename()?.strip_suffix(".json")?.split_once('-')?;
            number.parse().ok().filter(|number| self.key(*number) == *path)
        };
        Ok(listed.result.objects.iter().filter_map(|one| number(&one.location)).max().unwrap_or(0))
    }

    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, RecordProblem> {
        let key = self.key(number);
        let bytes = self.call(async {
            let got = self.api.get_opts(&key, GetOptions::default()).await?;
            got.bytes().await
        });
        match bytes {
            Ok(bytes) if bytes.len() as u64 > RECORD_LIMIT_BYTES => {
                Err(RecordProblem::Io(format!("{} is larger than any record", self.name(number))))
            }
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(self.problem(failure)),
        }
    }

    fn put_if_absent(&self, number: u64, bytes: &[u8]) -> Result<Put, RecordProblem> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.call(self.api.put_opts(&self.key(number), bytes.to_vec().into(), options)) {
            Ok(_) => Ok(Put::Written),
            Err(Failure::Exists) => Ok(Put::Exists),
            Err(failure) => Err(self.problem(failure)),
        }
    }

    fn name(&self, number: u64) -> String {
        format!("{}/{}", self.root, self.key(number))
    }
}

fn heard(said: &Said, text: String) {
    *said.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Gives the library our client.
#[derive(Debug)]
struct Connector {
    options: HttpOptions,
    said: Said,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allows = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(Wire {
            options: self.options.clone(),
            allows_http: allows.is_some_and(|allows| allows == "true"),
            clients: Mutex::default(),
            said: self.said.clone(),
        }))
    }
}

/// Our client, for the library.
struct Wire {
    options: HttpOptions,
    allows_http: bool,
    /// One for each origin.
    clients: Mutex<BTreeMap<String, Http>>,
    said: Said,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire {{ allows_http: {} }}", self.allows_http)
    }
}

#[async_trait::async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let failed = |kind, text: String| {
            heard(&self.said, text.clone());
            HttpError::new(kind, std::io::Error::other(text))
        };
        let (host, http) =
            self.client(&head.uri.to_string()).map_err(|text| failed(HttpErrorKind::Decode, text))?;
        let text = |value: &hyper::header::HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers =
            head.headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str()));
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let method = match head.method {
            Method::GET => ApiMethod::Get,
            Method::PUT => ApiMethod::Put,
            Method::POST => ApiMethod::Post,
            other => return Err(failed(HttpErrorKind::Decode, format!("{other} is no request of ours"))),
        };
        let reply = match http.send(ApiRequest { host: host.clone(), method, path, headers, body }).await {
            Answer::Reply(reply) => reply,
            Answer::NotSent(_) if host == METADATA => {
                let text = "no credentials: set the variables of the store, such as AWS_ACCESS_KEY_ID and \
                            AWS_SECRET_ACCESS_KEY, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
                return Err(failed(HttpErrorKind::Decode, text.to_owned()));
            }
            Answer::NotSent(cause) => return Err(failed(HttpErrorKind::Connect, format!("{host}: {cause}"))),
            Answer::Lost(cause) => {
                return Err(failed(HttpErrorKind::Interrupted, format!("{host}: {cause}")));
            }
            Answer::Barred(cause) => return Err(failed(HttpErrorKind::Decode, format!("{host}: {cause}"))),
        };
        if reply.status >= 300 {
            let code = reply.header("x-ms-error-code").map(str::to_owned).or_else(|| code(&reply.body));
            heard(
                &self.said,
                format!(
                    "{host} answers {}{}",
                    reply.status,
                    code.map_or(String::new(), |code| format!(" {}", word(&code)))
                ),
            );
        }
        let mut response = Response::builder().status(reply.status);
        for (name, value) in &reply.headers {
            response = response.header(name, value);
        }
        response.body(reply.body.into()).map_err(|error| failed(HttpErrorKind::Decode, error.to_string()))
    }
}

impl Wire {
    /// Host, with a port where it has one, and the client for it.
    fn client(&self, url: &str) -> Result<(String, Http), String> {
        let url = Url::parse(url).map_err(|_| "the endpoint is no address".to_owned())?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" && !self.allows_http {
            return Err(format!(
                "the endpoint {host} is not https; where that is meant, set AWS_ALLOW_HTTP=true or AZURE_ALLOW_HTTP=true"
            ));
        }
        let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let origin = url.origin().ascii_serialization();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = clients.get(&origin) {
            return Ok((host, http.clone()));
        }
        // A client by itself goes to https and the usual port; every other origin is reached like a gateway.
        let is_usual = url.scheme() == "https" && url.port().is_none();
        let via = (!is_usual).then(|| Via::of_store(url));
        let http =
            Http::new(&HttpOptions { via, ..self.options.clone() }).map_err(|error| format!("{error:#}"))?;
        clients.insert(origin, http.clone());
        Ok((host, http))
    }
}

/// The code in an error document of S3.
fn code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0.to_owned())
}

/// A code as a word: a store's longer texts may repeat parts of a credential.
fn word(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

//! Calls as the kinds make them: which API, which path, what body, and whether a repeat is harmless.

use std::fmt;

use serde_json::Value as Json;

use super::api::Method;
use super::secret::Secret;
use super::text::line;

/// One of the APIs; the engine knows its host and its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// Auth0 Management API; paths begin with `/api/v2/`.
    Auth0,
    /// Twilio Verify v2.
    Verify,
    /// Twilio Serverless v1.
    Serverless,
    /// Upload host of Twilio Serverless v1.
    Upload,
    /// Twilio core API, 2010-04-01.
    Core,
    /// Twilio IAM v1, which manages keys.
    Iam,
    /// Twilio Accounts v1, which has the auth tokens.
    Accounts,
}

impl Api {
    /// The fixed host of a Twilio API; `None` for Auth0, whose host is the tenant.
    pub fn fixed_host(self) -> Option<&'static str> {
        match self {
            Api::Auth0 => None,
            Api::Verify => Some("verify.twilio.com"),
            Api::Serverless => Some("serverless.twilio.com"),
            Api::Upload => Some("serverless-upload.twilio.com"),
            Api::Core => Some("api.twilio.com"),
            Api::Iam => Some("iam.twilio.com"),
            Api::Accounts => Some("accounts.twilio.com"),
        }
    }
}

/// Meaning of a reply without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The content was lost on its way.
    Lost,
    /// Nothing was ever set.
    Nothing,
}

/// How the rest of a list is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Paging {
    /// One reply holds everything.
    Whole,
    /// One reply holds everything. A reply without content means that nothing was ever set.
    WholeOrNothing,
    /// `page` (from 0) and `per_page` are sent until a page is short; the array is under this key. An absent total
    /// proves nothing: the API drops zero values ("Auth0 docs, Actions list", recorded 2026-05).
    Offset { key: &'static str, per_page: usize },
    /// `take` is sent, and with it `from` with the `next` of the page before, until a page has no `next`; the array is
    /// under this key. Unlike an offset, this reaches every item of a long list ("Auth0 docs, checkpoint pagination",
    /// 2026-08).
    Checkpoint { key: &'static str, take: usize },
    /// `meta.next_page_url` is followed until it is null; the array is under the key that `meta.key` names (Twilio
    /// product APIs, spec 2026-04).
    Next,
}

/// A read. Equal reads within one phase are sent once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Get {
    pub api: Api,
    /// Percent-encoded, with its query but without paging parameters.
    pub path: String,
    pub paging: Paging,
}

impl Get {
    /// A read that one reply answers.
    pub fn whole(api: Api, path: impl Into<String>) -> Get {
        Get { api, path: path.into(), paging: Paging::Whole }
    }

    /// A read of something that may never have been set. A reply without content then reads as null.
    pub fn whole_or_nothing(api: Api, path: impl Into<String>) -> Get {
        Get { api, path: path.into(), paging: Paging::WholeOrNothing }
    }
}

/// Credentials of a Twilio account that an Action or a Function will use. This program only hands them on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// SID of a key or of an account.
    pub user: String,
    pub secret: Secret,
}

/// Whether a write may be sent again when its outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A second write changes nothing more (PUT, DELETE, PATCH with full values).
    Safe,
    /// A second write would make a second object or a second version, or overwrite somebody else's entry.
    NeverBlind,
}

/// One write.
#[derive(Clone)]
pub struct Write {
    pub api: Api,
    pub method: Method,
    pub path: String,
    pub body: Body,
    pub repeat: Repeat,
}

/// The body of a write, with all values filled in.
#[derive(Clone)]
pub enum Body {
    None,
    Json(Json),
    /// Names and values, repeated names allowed, in the order given.
    Form(Vec<(String, String)>),
    /// `multipart/form-data`, in the order given.
    Multipart(Vec<Part>),
}

/// One part of a multipart body.
#[derive(Clone)]
pub struct Part {
    pub name: &'static str,
    /// File name and content type, for a file part.
    pub file: Option<(&'static str, &'static str)>,
    pub content: String,
}

/// Prints no body: bodies hold secrets.
impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.method, self.api, self.path)
    }
}

/// Why a write is not sent any more.
pub const LEASE_LOST: &str = "another run took the lease over, or this run could not renew it";

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The server answered with a refusal; nothing was done.
    Refused(Box<Refusal>),
    /// The call certainly had no effect (never sent, or held back until the deadline). Holds the cause.
    NotDone(String),
    /// The call never reached the server: no connection, no TLS session, or a proxy that does not let it through. Holds the cause.
    NotReached(String),
    /// The call was not sent: the server takes no requests for longer than the run may wait. Holds until when, in words.
    Limited(String),
    /// The call may have taken effect: the answer was lost, or it was a server error. Holds the cause.
    Unknown(String),
    /// A reply arrived that cannot be understood. Holds the fault and its place.
    Misread(String),
    /// The vendor accepted the code and could not build it. Holds what a person can do about it.
    NotBuilt(String),
    /// The run was interrupted before the call was sent.
    Stopped,
    /// The call was not sent: another run has the lease, or this run could not keep it.
    LeaseLost,
    /// The call was not sent: the record shows that another run has begun meanwhile.
    OtherRun,
    /// It did not happen: the record is not the one that was read. Holds where it is kept.
    Moved(String),
}

/// A refusal, with all that a person needs to find it in the vendor's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub host: String,
    pub method: Method,
    /// Without its query.
    pub path: String,
    pub status: u16,
    /// Vendor code: Auth0 `errorCode`, Twilio `code`, OAuth `error`. Auth0 may leave it out.
    pub code: Option<String>,
    /// The vendor's words with secrets blanked. They are shown and never used for decisions.
    pub message: String,
    pub request_id: Option<String>,
    pub attempts: u32,
    /// An earlier attempt of the same write got no answer or a server error, so it may have taken effect.
    pub unsure: bool,
}

impl Failed {
    /// The status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failed::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether the call certainly had no effect.
    pub fn did_nothing(&self) -> bool {
        matches!(self, Failed::Refused(_) | Failed::NotDone(_) | Failed::NotReached(_) | Failed::Limited(_))
    }

    /// The vendor code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Failed::Refused(refusal) => refusal.code.as_deref(),
            _ => None,
        }
    }
}

/// Always one line, even where a server's words have several.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Failed::Refused(refusal) => refusal.words(),
            Failed::NotDone(cause)
            | Failed::NotReached(cause)
            | Failed::Limited(cause)
            | Failed::NotBuilt(cause) => cause.clone(),
            Failed::Unknown(cause) => format!("it is not known whether the request took effect: {cause}"),
            Failed::Misread(what) => format!("the reply cannot be understood: {what}"),
            Failed::Stopped => "stopped before the request was sent".to_owned(),
            Failed::LeaseLost => LEASE_LOST.to_owned(),
            Failed::OtherRun => "the ledger holds another run's nonce".to_owned(),
            Failed::Moved(place) => format!("somebody else changed {place} in the meantime, or deleted it"),
        };
        f.write_str(&line(&words))
    }
}

impl Refusal {
    fn words(&self) -> String {
        let mut words = format!(
            "{} https://{}{} was refused with status {}",
            self.method, self.host, self.path, self.status
        );
        if let Some(code) = &self.code {
            words += &format!(", code {code}");
        }
        if !self.message.is_empty() {
            words += &format!(": {}", self.message);
        }
        if let Some(id) = &self.request_id {
            words += &format!(" (request id {id})");
        }
        if self.attempts > 1 {
            words += &format!(" (after {} attempts)", self.attempts);
        }
        if self.unsure {
            words += "; an earlier attempt may have taken effect";
        }
        words
    }
}

impl std::error::Error for Failed {}

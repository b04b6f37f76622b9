//! What `lockstep doctor` found out about a stack, as plain data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::address::Address;
use super::plan::{Finding, Level};

/// A stack, looked over.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkup {
    pub stack: String,
    pub tenant: String,
    pub account: String,
    pub credentials: Vec<Credential>,
    pub scopes: Scopes,
    pub limits: Vec<Limit>,
    pub running: Vec<Runs>,
    /// `None`: the manifest has no stream for the feedback, or it does not exist or was not read.
    pub stream: Option<Stream>,
    /// `None`: no Verify service is known, or the figures were not read.
    pub conversion: Option<Conversion>,
    /// `None`: the manifest has no feedback, or the tenant log was not read.
    pub feedback: Option<Feedback>,
    /// The worst first.
    pub findings: Vec<Finding>,
}

/// A credential, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// The place in the manifest.
    pub place: String,
    /// Client id, account SID or SID of the key. `None`: the manifest keeps it secret.
    pub id: Option<String>,
    pub kind: CredentialKind,
    pub known: Known,
    /// How that is known, in words.
    pub why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    ClientSecret,
    PrivateKey,
    AuthToken,
    MainKey,
    StandardKey,
    RestrictedKey,
    /// Twilio refuses it.
    Dead,
    Unknown,
}

impl CredentialKind {
    pub fn words(self) -> &'static str {
        match self {
            CredentialKind::ClientSecret => "client secret",
            CredentialKind::PrivateKey => "private key",
            CredentialKind::AuthToken => "auth token",
            CredentialKind::MainKey => "main key",
            CredentialKind::StandardKey => "standard key",
            CredentialKind::RestrictedKey => "restricted key",
            CredentialKind::Dead => "dead",
            CredentialKind::Unknown => "unknown",
        }
    }
}

impl Serialize for CredentialKind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.words())
    }
}

/// How a kind of credential is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The manifest says it.
    Said,
    /// A reply shows it.
    Shown,
    /// It follows from what Twilio lets it do, which is no proof.
    Inferred,
    Unknown,
}

/// Scopes of the Management API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scopes {
    /// `None`: the token does not list them.
    pub granted: Option<Vec<String>>,
    /// What the reads of a plan and of this command need.
    pub plan: Vec<String>,
    /// What an apply of the manifest may need besides.
    pub apply: Vec<String>,
}

impl Scopes {
    /// Those of a list that are not granted; empty if the token does not list its scopes.
    pub fn missing<'a>(&self, needed: &'a [String]) -> Vec<&'a str> {
        let Some(granted) = &self.granted else { return Vec::new() };
        needed.iter().filter(|scope| !granted.contains(scope)).map(String::as_str).collect()
    }
}

/// How much is used of something that is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    pub what: &'static str,
    /// `None`: it was not read.
    pub used: Option<usize>,
    /// There are more than were counted.
    pub more: bool,
    /// `None`: the vendor publishes no number, or it depends on the plan.
    pub most: Option<usize>,
}

impl Limit {
    /// Whether at most a tenth is left. Of a place for one there is nothing to say: it is taken or free.
    pub fn is_near(&self) -> bool {
        self.most.zip(self.used).is_some_and(|(most, used)| most > 1 && used * 10 >= most * 9)
    }
}

/// Code of the stack, and what it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runs {
    pub address: Address,
    pub runtime: Option<String>,
    /// The last build failed.
    pub failed: bool,
}

/// The stream of the feedback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stream {
    pub status: String,
    /// Empty: it carries every event.
    pub filters: Vec<String>,
}

/// Verifications of the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conversion {
    pub attempts: u64,
    pub converted: u64,
    /// RFC 3339.
    pub since: String,
    pub verdict: Converts,
}

/// What the share of completed verifications says of the feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Converts {
    /// The share is as it should be.
    Well,
    /// None was completed, and the stream is older than the verifications.
    None,
    /// None was completed, and nobody knows how old the stream is.
    NoneSoFar,
    /// Fewer than the floor were completed.
    Few,
    /// The stream is younger than the verifications.
    TooYoung,
    TooFew,
}

impl Converts {
    pub fn words(self) -> &'static str {
        match self {
            Converts::Well => "the feedback arrives",
            Converts::None => "no feedback arrives",
            Converts::NoneSoFar => "no feedback arrives so far",
            Converts::Few => "less feedback arrives than should",
            Converts::TooYoung => "too early to tell",
            Converts::TooFew => "too few to tell",
        }
    }
}

/// Logins by a code in the last 24 hours, by what becomes of their feedback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Verify is told of them, as far as the log shows it.
    pub reported: usize,
    /// Their number is masked, in the log or by the stream.
    pub masked: usize,
    /// Their number is not in the form that Verify knows.
    pub unusable: usize,
    /// The filters of the stream leave them out; by event.
    pub filtered: BTreeMap<String, usize>,
    /// The Function does not take them; by event.
    pub not_taken: BTreeMap<String, usize>,
    /// There are more events than were read.
    pub more: bool,
}

/// The word for a severity.
pub fn severity(level: Level) -> &'static str {
    match level {
        Level::Blocker => "error",
        level => level.word(),
    }
}

//! What a Twilio account holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Dependency;

/// One Twilio account or subaccount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub sid: String,
    pub friendly_name: String,
    /// `None`: any non-empty password is accepted.
    pub auth_token: Option<String>,
    /// A second token, valid beside the first one until it is promoted or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_auth_token: Option<String>,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// Equal to `sid` for a main account.
    pub owner_account_sid: String,
    /// A trial account; Twilio sends its messages to verified numbers only, which the twin does not hold back.
    #[serde(default)]
    pub trial: bool,
    pub verify_services: Vec<VerifyService>,
    pub verify_templates: Vec<VerifyTemplate>,
    pub serverless_services: Vec<ServerlessService>,
    /// Whether this account may have custom codes; `None` follows the options.
    pub custom_code_entitled: Option<bool>,
    /// Number of coming Function builds that fail.
    pub failing_builds: u32,
    /// What Verify refuses to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
}

/// Sends that Verify refuses. Which numbers Twilio blocks, and why, no API tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Fraud Guard blocks numbers that begin so, such as `+1500`; `+` alone is every number.
    Prefix(String),
    /// Geo permissions leave out a country, by its calling code, such as `+44`.
    Country(String),
    /// The number is a landline, which takes no text message.
    Landline(String),
    /// The service has this channel switched off, such as `call`.
    Channel(String),
}

impl Block {
    /// Fraud Guard blocks every number.
    pub fn all_numbers() -> Block {
        Block::Prefix("+".into())
    }

    /// Status, code and words of the refusal of a send, if this block is about it.
    pub fn refusal(&self, to: &str, channel: &str) -> Option<(u16, u32, &'static str)> {
        match self {
            Block::Prefix(prefix) => to.starts_with(prefix.as_str()).then_some((
                403,
                60410,
                "The destination phone number has been temporarily blocked by Fraud Guard",
            )),
            Block::Country(code) => to.starts_with(code.as_str()).then_some((
                403,
                60605,
                "Verification delivery attempt blocked by geo permissions",
            )),
            Block::Landline(number) => (to == number && channel == "sms").then_some((
                403,
                60205,
                "SMS is not supported by landline phone number",
            )),
            Block::Channel(word) => {
                (channel == word).then_some((400, 60223, "Delivery channel disabled in the service"))
            }
        }
    }
}

impl Account {
    pub fn fresh(sid: &str) -> Account {
        Account {
            sid: sid.to_owned(),
            friendly_name: "Twin account".into(),
            auth_token: None,
            secondary_auth_token: None,
            status: "active".into(),
            owner_account_sid: sid.to_owned(),
            trial: false,
            verify_services: Vec::new(),
            verify_templates: vec![VerifyTemplate {
                sid: format!("HJ{}", "0".repeat(31) + "1"),
                friendly_name: "Base verification template".into(),
                channels: vec!["sms".into(), "voice".into()],
                translations: json!({"en": {"is_default_translation": true, "status": "approved", "locale": "en",
                    "text": "Your {{friendly_name}} verification code is: {{code}}.",
                    "date_created": "2021-07-29T20:38:28Z", "date_updated": "2021-07-29T20:38:28Z"}}),
            }],
            serverless_services: Vec::new(),
            custom_code_entitled: None,
            failing_builds: 0,
            blocks: Vec::new(),
        }
    }

    pub fn verify_service(&self, sid: &str) -> Option<&VerifyService> {
        self.verify_services.iter().find(|service| service.sid == sid)
    }

    pub fn verify_service_mut(&mut self, sid: &str) -> Option<&mut VerifyService> {
        self.verify_services.iter_mut().find(|service| service.sid == sid)
    }

    /// Finds a service by SID or unique name, as the API does.
    pub fn serverless_service(&self, key: &str) -> Option<&ServerlessService> {
        self.serverless_services.iter().find(|service| service.sid == key || service.unique_name == key)
    }

    pub fn serverless_service_mut(&mut self, key: &str) -> Option<&mut ServerlessService> {
        self.serverless_services.iter_mut().find(|service| service.sid == key || service.unique_name == key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Has the same rights as the account's token.
    Main,
    /// May do everything except read accounts and manage keys.
    Standard,
    /// May do only what its policy allows, and never anything in Serverless.
    Restricted,
}

/// A Twilio API key. A deleted key stays in the world, so that its use is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    pub account_sid: String,
    /// `None`: any non-empty secret is accepted.
    pub secret: Option<String>,
    pub kind: KeyKind,
    /// Permission strings of a restricted key, such as `/twilio/verify/service/read`.
    pub allow: Vec<String>,
    pub friendly_name: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub deleted: bool,
}

impl ApiKey {
    /// A key without a name, a permission or a secret of its own.
    pub fn new(account_sid: &str, kind: KeyKind) -> ApiKey {
        ApiKey {
            account_sid: account_sid.to_owned(),
            secret: None,
            kind,
            allow: Vec::new(),
            friendly_name: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
            deleted: false,
        }
    }
}

/// A Verify service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyService {
    pub sid: String,
    pub friendly_name: String,
    /// The keys that a read shows between name and dates, nested as on the wire: `code_length`, `custom_code_enabled`,
    /// `totp` and so on.
    pub settings: Map<String, Value>,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub rate_limits: Vec<VerifyRateLimit>,
    /// Keyed by country.
    pub messaging_configurations: BTreeMap<String, MessagingConfiguration>,
    pub verifications: Vec<Verification>,
}

impl VerifyService {
    /// A boolean setting; a missing one is false.
    pub fn flag(&self, name: &str) -> bool {
        self.settings.get(name) == Some(&Value::Bool(true))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRateLimit {
    pub sid: String,
    pub unique_name: String,
    pub description: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub buckets: Vec<VerifyBucket>,
    /// Times of the counted sends (Unix ms), oldest first, keyed by the value that the sender passed. None is older
    /// than the longest interval.
    #[serde(default)]
    pub counted: BTreeMap<String, Vec<u64>>,
}

impl VerifyRateLimit {
    /// Whether one more send for that value would exceed a bucket.
    pub fn is_used_up(&self, value: &str, now_ms: u64) -> bool {
        let sends = self.counted.get(value).map(Vec::as_slice).unwrap_or_default();
        self.buckets.iter().any(|bucket| {
            let since = now_ms.saturating_sub(bucket.interval.saturating_mul(1_000));
            // A send exactly one interval ago no longer counts.
            sends.iter().filter(|at| **at > since).count() as u64 >= bucket.max
        })
    }

    /// Counts one send.
    pub fn count(&mut self, value: &str, now_ms: u64) {
        let longest = self.buckets.iter().map(|bucket| bucket.interval).max().unwrap_or(0);
        let since = now_ms.saturating_sub(longest.saturating_mul(1_000));
        let sends = self.counted.entry(value.to_owned()).or_default();
        sends.retain(|at| *at > since);
        sends.push(now_ms);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyBucket {
    pub sid: String,
    pub max: u64,
    /// Seconds.
    pub interval: u64,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagingConfiguration {
    pub messaging_service_sid: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyTemplate {
    pub sid: String,
    pub friendly_name: String,
    pub channels: Vec<String>,
    pub translations: Value,
}

/// One verification: a code on its way to a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    pub sid: String,
    pub to: String,
    pub channel: String,
    /// `pending`, `approved` or `canceled`; expiry follows from the time.
    pub status: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    /// Times of the sends (Unix ms).
    pub sends: Vec<u64>,
    /// The code that the last send has said, as far as the sender named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerlessService {
    pub sid: String,
    pub unique_name: String,
    pub friendly_name: String,
    pub include_credentials: bool,
    pub ui_editable: bool,
    /// `<unique name>-<4 digits>`
    pub domain_base: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub environments: Vec<Environment>,
    pub functions: Vec<Function>,
    pub builds: Vec<FunctionBuild>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    pub sid: String,
    pub unique_name: String,
    pub domain_suffix: Option<String>,
    pub domain_name: String,
    /// The deployed build; `None`: nothing is deployed.
    pub build_sid: Option<String>,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub variables: Vec<Variable>,
    /// Oldest first.
    pub deployments: Vec<FunctionDeployment>,
}

impl Environment {
    pub fn variable(&self, key: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.key == key)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub sid: String,
    pub key: String,
    pub value: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDeployment {
    pub sid: String,
    pub build_sid: Option<String>,
    pub created_at_ms: u64,
}

/// A Function: a name, which need not be unique, and its uploaded versions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub sid: String,
    pub friendly_name: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub versions: Vec<FunctionVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionVersion {
    pub sid: String,
    pub path: String,
    /// `public`, `protected` or `private`.
    pub visibility: String,
    /// Source text.
    pub content: String,
    pub created_at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionBuild {
    pub sid: String,
    /// SIDs of versions.
    pub function_versions: Vec<String>,
    pub dependencies: Vec<Dependency>,
    pub runtime: String,
    pub created_at_ms: u64,
    pub ends_at_ms: u64,
    pub fails: bool,
}

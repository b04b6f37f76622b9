//! Manifests, drawn from a table: one row for each place, with its possible values. A new kind only adds rows.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::manifest::{FileError, Sources};
use lockstep::model::manifest::Manifest;
use lockstep::plan::desired;
use serde_json::{Value as Json, json};

use super::dice::Dice;

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// The key of our requests.
pub const API_KEY: &str = "SK00000000000000000000000000000001";
/// Keys with which the Action may send; the second replaces the first.
pub const SENDER_KEYS: &[&str] =
    &["SK000000000000000000000000000000ab", "SK000000000000000000000000000000cd"];
pub const FEEDBACK_KEY: &str = "SK000000000000000000000000000000fe";
/// The tenant of the story, and another one on the same account.
pub const DOMAIN: &str = "acme-dev.eu.auth0.com";
pub const OTHER: &str = "acme-two.eu.auth0.com";

const WORKS: &str = "exports.onExecuteCustomPhoneProvider = async (event, api) => {};\n\
                     exports.onExecuteSendPhoneMessage = async (event, api) => {};\n";
const THROWS: &str = "// oracle: throws\n\
                      exports.onExecuteCustomPhoneProvider = async (event, api) => { throw new Error('x'); };\n\
                      exports.onExecuteSendPhoneMessage = async (event, api) => { throw new Error('x'); };\n";

/// Files that a manifest may name.
const FILES: &[(&str, &str)] = &[("./works.js", WORKS), ("./throws.js", THROWS)];

/// One place of the manifest.
pub struct Slot {
    pub path: &'static str,
    /// Values as JSON; an empty text leaves the place out. All are equally likely, so a likelier value stands here
    /// twice.
    pub values: &'static [&'static str],
}

const fn slot(path: &'static str, values: &'static [&'static str]) -> Slot {
    Slot { path, values }
}

const SWITCH: &[&str] = &["", "", "true", "true", "false"];

/// Every place that is drawn. `phone.delivery` follows the tenant and so is missing here.
pub const SLOTS: &[Slot] = &[
    slot("verify_service.friendly_name", &["\"Acme\"", "\"Acme\"", "\"Acme\"", "\"Acme Login\""]),
    slot("verify_service.code_length", &["", "6", "8"]),
    slot("verify_service.lookup_enabled", &["", "", "true", "false"]),
    slot("verify_service.dtmf_input_required", &["", "", "true", "false"]),
    slot("verify_service.tts_name", &["", "", "\"alice\"", "\"woman\""]),
    slot("verify_service.do_not_share_warning_enabled", &["", "", "true"]),
    slot("verify_service.totp", &["", "", "", "{\"issuer\": \"Acme\", \"skew\": 2}", "{\"time_step\": 60}"]),
    slot(
        "verify_service.rate_limits",
        &[
            "",
            "",
            "{\"per_number\": {\"key\": \"recipient\", \"buckets\": {\"60s\": {\"max\": 5}, \"1h\": {\"max\": 20}}}}",
            "{\"per_number\": {\"key\": \"recipient\", \"buckets\": {\"60s\": {\"max\": 6}}}, \
             \"per_ip\": {\"key\": \"ip\", \"description\": \"by address\", \"buckets\": {\"1d\": {\"max\": 100}}}}",
        ],
    ),
    slot(
        "verify_service.messaging_configurations",
        &[
            "",
            "",
            "",
            "{\"US\": \"MG000000000000000000000000000000a1\"}",
            "{\"US\": \"MG000000000000000000000000000000a2\"}",
        ],
    ),
    slot("verify_service.push", &["", "", "", "{\"include_date\": true}"]),
    slot("phone.channels", &["[\"sms\"]", "[\"sms\", \"voice\"]", "[\"sms\", \"voice\"]", "[\"voice\"]"]),
    slot("phone.protection", &["", "", "\"default\"", "\"exponential\""]),
    slot(
        "phone.templates",
        &[
            "",
            "",
            "{\"otp_verify\": {\"text\": \"Acme: @{code}\"}}",
            "{\"otp_verify\": {\"text\": \"Acme says @{code}\", \"disabled\": false}, \
             \"change_password\": {\"text\": \"Acme: @{code}\", \"voice\": \"Acme: @{code}\"}}",
        ],
    ),
    slot("action.name", &["", "", "", "\"Acme sender\""]),
    slot(
        "action.code",
        &[
            "\"builtin:twilio-verify\"",
            "\"builtin:twilio-verify\"",
            "\"builtin:twilio-verify\"",
            "\"builtin:twilio-verify\"",
            "\"./works.js\"",
            "\"./throws.js\"",
        ],
    ),
    slot("action.runtime", &["", "\"node22\"", "\"node18\""]),
    slot(
        "action.dependencies",
        &[
            "{\"twilio\": \"6.2.0\"}",
            "{\"twilio\": \"6.2.0\"}",
            "{\"twilio\": \"6.2.1\", \"lodash\": \"4.17.21\"}",
            "{\"twilio\": \"latest\"}",
        ],
    ),
    slot("action.secrets.EXTRA", &["", "", "\"${env.EXTRA_SECRET}\""]),
    slot("action.unmanaged_secrets", &["", "\"remove\""]),
    slot("action.binding.display_name", &["", "", "\"Send the code\""]),
    slot(
        "feedback.log_stream.endpoint",
        &[
            "",
            "\"https://acme-feedback.example/logs\"",
            "\"https://acme-feedback.example/logs\"",
            "\"https://feedback-two.example/logs\"",
        ],
    ),
    slot(
        "feedback.function",
        &[
            "",
            "",
            "{\"code\": \"builtin:verify-feedback\", \"api_key\": \"${env.TWILIO_FEEDBACK_KEY}\", \
             \"api_secret\": \"${env.TWILIO_FEEDBACK_SECRET}\"}",
            "{\"code\": \"builtin:verify-feedback\", \"api_key\": \"${env.TWILIO_FEEDBACK_KEY}\", \
             \"api_secret\": \"${env.TWILIO_FEEDBACK_SECRET}\", \"runtime\": \"node24\", \
             \"variables\": {\"LOG_LEVEL\": \"${env.EXTRA_SECRET}\"}}",
        ],
    ),
    slot(
        "feedback.log_stream.authorization",
        &["", "\"${env.FEEDBACK_SECRET}\"", "\"${generated.feedback}\""],
    ),
    slot("feedback.log_stream.status", &["", "\"active\"", "\"active\"", "\"paused\""]),
    slot("feedback.log_stream.name", &["", "", "\"Acme feedback\""]),
    slot("feedback.log_stream.filters", &["", "", "[\"other\", \"user.notification\", \"actions\"]"]),
    slot("feedback.log_stream.custom_headers", &["", "", "{\"X-Acme\": \"${env.EXTRA_SECRET}\"}"]),
    slot("feedback.log_stream.pii_config", &["", "", "{\"log_fields\": [\"email\"], \"method\": \"mask\"}"]),
    slot("mfa.factors.phone", &["", "true", "true", "true", "false"]),
    slot("mfa.factors.otp", SWITCH),
    slot("mfa.factors.email", SWITCH),
    slot("mfa.factors.push_notification", &["", "", "", "", "true"]),
    slot("mfa.factors.webauthn_roaming", &["", "", "", "true", "false"]),
    slot("mfa.factors.webauthn_platform", &["", "", "", "", "true"]),
    slot("mfa.factors.recovery_code", &["", "", "true", "false"]),
    slot("mfa.factors.duo", &["", "", "", "", "true"]),
    slot("mfa.policy", &["", "", "\"always\"", "\"always\"", "\"adaptive\"", "\"never\""]),
    slot(
        "mfa.post_login",
        &[
            "",
            "",
            "",
            "{\"rules\": {\"admins\": {\"roles\": [\"Admin\"]}}}",
            "{\"rules\": {\"admins\": {\"roles\": [\"Admin\"], \"factors\": [\"phone\"]}, \
             \"partners\": {\"require\": \"mfa_if_enrolled\", \"organizations\": [\"acme-partners\"]}}}",
            "{\"name\": \"Acme MFA\", \"binding\": {\"position\": \"first\"}, \
             \"rules\": {\"all\": {\"factors\": [\"otp\"]}}}",
        ],
    ),
    slot("branding.logo_url", &["", "", "\"https://acme.example/logo.png\"", "\"none\""]),
    slot(
        "branding.colors",
        &[
            "",
            "",
            "{\"primary\": \"#112233\"}",
            "{\"primary\": \"#445566\", \"page_background\": \"#ffffff\"}",
        ],
    ),
    slot("branding.identifiers", &["", "", "", "{\"otp_autocomplete\": true}"]),
    slot(
        "log_streams.http",
        &[
            "",
            "",
            "{\"siem\": {\"endpoint\": \"https://siem.example/auth0\", \"authorization\": \"${env.EXTRA_SECRET}\"}}",
            "{\"siem\": {\"name\": \"Acme SIEM\", \"endpoint\": \"https://siem.example/two\", \"status\": \"paused\"}, \
             \"audit\": {\"endpoint\": \"https://audit.example/x\", \"filters\": [\"management.success\"]}}",
        ],
    ),
    slot(
        "attest.fraud_guard",
        &[
            "",
            "",
            "{\"level\": \"standard\", \"by\": \"jo@acme.example\", \"on\": \"2026-11-01\", \"until\": \"2027-05-01\"}",
        ],
    ),
    slot("universal_login.experience", &["", "", "\"new\"", "\"classic\""]),
    slot("universal_login.identifier_first", &["", "", "true"]),
    slot("universal_login.webauthn_platform_first_factor", &["", "", "", "true"]),
    slot(
        "phone.legacy_templates",
        &["", "{\"enrollment_message\": \"enrol {{code}}\", \"verification_message\": \"log in {{code}}\"}"],
    ),
];

/// The feedback by a post-login Action. From a random stream of its own, so that it changes no other draw.
const REPORTS: Slot = slot(
    "feedback.action",
    &[
        "",
        "",
        "{\"api_key\": \"${env.TWILIO_FEEDBACK_KEY}\", \"api_secret\": \"${env.TWILIO_FEEDBACK_SECRET}\"}",
        "{\"api_key\": \"${env.TWILIO_FEEDBACK_KEY}\", \"api_secret\": \"${env.TWILIO_FEEDBACK_SECRET}\", \
         \"name\": \"Acme login feedback\", \"runtime\": \"node18\"}",
    ],
);

/// The sample application. From a random stream of its own, too. Without a value, the manifest has no such section.
const SAMPLE: Slot = slot(
    "sample_client",
    &[
        "",
        "",
        "{}",
        "{\"name\": \"Acme sample\", \"url\": \"https://sample.acme.example\"}",
        "{\"connection\": \"Username-Password-Authentication\"}",
    ],
);

/// Sections that a draft may lack, whatever is drawn for the places in them. The stack then leaves that part to others.
pub const PARTS: &[&str] = &[
    "action",
    "branding",
    "feedback",
    "log_streams",
    "mfa",
    "phone",
    "universal_login",
    "verify_service",
    "sample_client",
];

/// Where the keys stand, and how a manifest names those that the stack makes itself.
const MINTED: [(&str, &str); 4] = [
    ("/action/secrets/TWILIO_API_KEY", "${minted.sender.sid}"),
    ("/action/secrets/TWILIO_API_SECRET", "${minted.sender.secret}"),
    ("/feedback/function/api_key", "${minted.feedback.sid}"),
    ("/feedback/function/api_secret", "${minted.feedback.secret}"),
];

/// A drawn manifest: a value for every place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub stack: &'static str,
    pub legacy: bool,
    /// Sections that the manifest does not have.
    pub without: BTreeSet<&'static str>,
    pub choice: BTreeMap<String, String>,
    /// The stack makes the keys of Action and Function itself.
    pub minted: bool,
    /// SID of the pinned Verify service.
    pub sid: Option<String>,
    /// SID of a Verify service of others that the manifest uses in place of one of its own.
    pub used: Option<String>,
}

impl Draft {
    pub fn draw(dice: &mut Dice, stack: &'static str, legacy: bool) -> Draft {
        // The sections come from a random stream of their own, so they do not change which values are drawn below.
        let mut parts = dice.fork("parts");
        let is_whole = parts.chance(50);
        let without: BTreeSet<&str> =
            PARTS.iter().copied().filter(|_| parts.chance(40) && !is_whole).collect();
        let minted = dice.fork("minted").chance(30);
        let mut reports = dice.fork("feedback.action");
        let mut sample = dice.fork("sample_client");
        for _ in 0..200 {
            let choice =
                SLOTS.iter().map(|slot| (slot.path.to_owned(), (*dice.pick(slot.values)).to_owned()));
            let reports = (REPORTS.path.to_owned(), (*reports.pick(REPORTS.values)).to_owned());
            let sample = (SAMPLE.path.to_owned(), (*sample.pick(SAMPLE.values)).to_owned());
            let choice = choice.chain([reports, sample]).collect();
            let again = dice.chance(5);
            let draft =
                Draft { stack, legacy, without: without.clone(), choice, minted, sid: None, used: None };
            if !again && draft.parse(&env()).is_ok() {
                return draft;
            }
        }
        panic!("200 manifests in a row were refused: a row of the table cannot be met");
    }

    /// The manifest after an edit of a few lines.
    pub fn edited(&self, dice: &mut Dice) -> Draft {
        for _ in 0..200 {
            let mut draft = self.clone();
            let mut parts = dice.fork("parts");
            if parts.chance(15) {
                let part = *parts.pick(PARTS);
                draft.toggle(part);
            }
            draft.minted ^= dice.fork("minted").chance(10);
            if parts.chance(10) {
                draft.choice.insert(REPORTS.path.to_owned(), (*parts.pick(REPORTS.values)).to_owned());
            }
            if parts.chance(10) {
                draft.choice.insert(SAMPLE.path.to_owned(), (*parts.pick(SAMPLE.values)).to_owned());
            }
            for _ in 0..dice.between(1, 4) {
                let slot = dice.pick(SLOTS);
                draft.choice.insert(slot.path.to_owned(), (*dice.pick(slot.values)).to_owned());
            }
            if draft != *self && draft.parse(&env()).is_ok() {
                return draft;
            }
        }
        self.clone()
    }

    /// Leaves a section out, or takes it back in.
    fn toggle(&mut self, part: &'static str) {
        if !self.without.remove(part) {
            self.without.insert(part);
        }
    }

    pub fn has(&self, part: &str) -> bool {
        !self.without.contains(part)
    }

    /// Whether the manifest asks for delivery by the legacy set-up.
    pub fn is_legacy(&self) -> bool {
        self.legacy && self.has("phone")
    }

    pub fn set(&mut self, path: &str, value: &str) {
        self.choice.insert(path.to_owned(), value.to_owned());
    }

    /// The manifest as data. JSON is valid YAML.
    pub fn json(&self) -> Json {
        let mut json = json!({
            "lockstep": "v1",
            "stack": self.stack,
            "auth0": {"domain": "${env.AUTH0_DOMAIN}", "client_id": "${env.AUTH0_CLIENT_ID}",
                "client_secret": "${env.AUTH0_CLIENT_SECRET}"},
            "twilio": {"account_sid": "${env.TWILIO_ACCOUNT_SID}", "api_key": "${env.TWILIO_API_KEY}",
                "api_secret": "${env.TWILIO_API_SECRET}"},
        });
        if self.has("verify_service") {
            json["verify_service"] = json!({});
        }
        if self.has("action") {
            json["action"] = json!({"secrets": {"TWILIO_ACCOUNT_SID": "${twilio.account_sid}",
                "TWILIO_API_KEY": "${env.TWILIO_SENDER_KEY}", "TWILIO_API_SECRET": "${env.TWILIO_SENDER_SECRET}"}});
            // Without a service in the manifest the code sends some other way.
            if self.has("verify_service") {
                json["action"]["secrets"]["TWILIO_VERIFY_SID"] = json!("${verify_service.sid}");
            }
        }
        if self.has("phone") {
            json["phone"] = json!({"delivery": if self.legacy { "legacy" } else { "unified" }});
        }
        let used = self.used.as_ref().filter(|_| self.has("verify_service"));
        match (used, self.sid.as_ref().filter(|_| self.has("verify_service"))) {
            (Some(sid), _) => json["verify_service"]["use"] = json!(sid),
            (None, Some(sid)) => json["verify_service"]["sid"] = json!(sid),
            (None, None) => {}
        }
        let has_function = self.has("feedback") && self.has("verify_service");
        let function = has_function && !self.choice["feedback.function"].is_empty();
        let asks = self.has("mfa") && !self.choice["mfa.post_login"].is_empty();
        let reports = has_function && asks;
        let stream = function || !self.choice["feedback.log_stream.endpoint"].is_empty();
        for (path, value) in &self.choice {
            let left_out = value.is_empty()
                || !self.has(path.split('.').next().unwrap_or_default())
                || (path.starts_with("verify_service.") && used.is_some())
                || (*path == "feedback.function" && !function)
                || (*path == REPORTS.path && !reports)
                || (path.starts_with("feedback.log_stream") && !stream)
                || (*path == "phone.templates" && self.legacy)
                || (*path == "feedback.log_stream.endpoint" && function)
                || (*path == "phone.legacy_templates" && !self.legacy);
            if left_out {
                continue;
            }
            let pointer = format!("/{}", path.replace('.', "/"));
            let (parent, key) = pointer.rsplit_once('/').expect("a slash");
            let mut at = &mut json;
            for part in parent.split('/').skip(1) {
                at = &mut at[part];
                if at.is_null() {
                    *at = json!({});
                }
            }
            at[key] = serde_json::from_str(value).expect(path);
        }
        if function && json["feedback"]["log_stream"].is_null() {
            json["feedback"]["log_stream"] = json!({ "status": "active" });
        }
        if self.minted {
            for (pointer, key) in MINTED {
                if let Some(value) = json.pointer_mut(pointer) {
                    *value = json!(key);
                }
            }
        }
        json
    }

    pub fn text(&self) -> String {
        format!("{:#}\n", self.json())
    }

    /// The manifest as the program reads it; the error has the drawn problems.
    pub fn parse(&self, env: &BTreeMap<String, String>) -> Result<Manifest, String> {
        desired::manifest("story.yaml", &self.text(), &Env(env)).map_err(|rejected| rejected.render(false))
    }
}

/// Values of the environment.
pub fn env() -> BTreeMap<String, String> {
    [
        ("AUTH0_DOMAIN", DOMAIN),
        ("AUTH0_CLIENT_ID", "client-id-of-the-simulation"),
        ("AUTH0_CLIENT_SECRET", "Auth0-Client-Secret-7f1c9b"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_API_KEY", API_KEY),
        ("TWILIO_API_SECRET", "Twilio-Api-Secret-3d9a42"),
        ("TWILIO_SENDER_KEY", SENDER_KEYS[0]),
        ("TWILIO_SENDER_SECRET", "b81e66TwilioSenderSecret0123456z"),
        ("FEEDBACK_SECRET", "Feedback-Secret-5c07aa"),
        ("TWILIO_FEEDBACK_KEY", FEEDBACK_KEY),
        ("TWILIO_FEEDBACK_SECRET", "Twilio-Feedback-Secret-0b77"),
        ("EXTRA_SECRET", "Extra-Secret-99e1d4"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// Names of the variables whose values nobody may see.
pub const SECRETS: &[&str] = &[
    "AUTH0_CLIENT_SECRET",
    "TWILIO_API_SECRET",
    "TWILIO_SENDER_SECRET",
    "FEEDBACK_SECRET",
    "TWILIO_FEEDBACK_SECRET",
    "EXTRA_SECRET",
];

struct Env<'a>(&'a BTreeMap<String, String>);

impl Sources for Env<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        let found =
            FILES.iter().find(|(name, _)| name.trim_start_matches("./") == path.trim_start_matches("./"));
        found.map(|(_, text)| (*text).to_owned()).ok_or(FileError::Missing)
    }
}

/// Everything that the manifests of a stack have claimed so far, by the names that a world uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    pub action_names: Vec<String>,
    pub stream_names: Vec<String>,
    pub services: Vec<String>,
    pub factors: Vec<&'static str>,
    pub policy: bool,
    pub types: bool,
    pub provider: bool,
    pub flag: bool,
    pub legacy: bool,
    pub templates: bool,
    pub login: Vec<&'static str>,
    pub customize: bool,
    pub protection: bool,
    pub templates_of: Vec<String>,
    /// Top-level keys of the branding.
    pub branding: Vec<String>,
}

/// The factors: name in the manifest and name on the wire.
pub const FACTORS: &[(&str, &str)] = &[
    ("phone", "sms"),
    ("otp", "otp"),
    ("email", "email"),
    ("push_notification", "push-notification"),
    ("webauthn_roaming", "webauthn-roaming"),
    ("webauthn_platform", "webauthn-platform"),
    ("recovery_code", "recovery-code"),
    ("duo", "duo"),
];

impl Claims {
    /// Adds everything that one more manifest names.
    pub fn add(&mut self, draft: &Draft) {
        let json = draft.json();
        let stack = draft.stack;
        let named = json["action"]["name"].as_str();
        self.action_names.push(format!("Lockstep ledger ({stack})"));
        match named {
            Some(name) => self.action_names.extend([name.to_owned(), format!("{name} (unified)")]),
            None if !draft.has("action") => {}
            None => self
                .action_names
                .extend([format!("Lockstep phone ({stack})"), format!("Lockstep phone, legacy ({stack})")]),
        }
        if json["feedback"]["log_stream"].is_object() {
            let default = format!("Lockstep feedback ({stack})");
            self.stream_names
                .push(json["feedback"]["log_stream"]["name"].as_str().map_or(default, str::to_owned));
        }
        self.services.extend(draft.sid.clone());
        let factors = &json["mfa"]["factors"];
        self.factors
            .extend(FACTORS.iter().filter(|(key, _)| !factors[*key].is_null()).map(|(_, wire)| *wire));
        self.policy |= !json["mfa"]["policy"].is_null();
        self.types |= draft.has("phone") && factors["phone"] == json!(true);
        self.provider |= draft.has("phone") && !draft.legacy;
        self.flag |= draft.has("phone");
        self.legacy |= draft.is_legacy();
        self.templates |= json["phone"]["legacy_templates"].is_object();
        let rules = &json["mfa"]["post_login"];
        if rules.is_object() {
            self.customize = true;
            let default = format!("Lockstep MFA ({stack})");
            self.action_names.push(rules["name"].as_str().map_or(default, str::to_owned));
        }
        let reports = &json["feedback"]["action"];
        if reports.is_object() {
            let default = format!("Lockstep feedback ({stack})");
            self.action_names.push(reports["name"].as_str().map_or(default, str::to_owned));
        }
        self.protection |= !json["phone"]["protection"].is_null();
        let keys =
            |at: &Json| at.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        self.templates_of.extend(keys(&json["phone"]["templates"]));
        self.branding.extend(keys(&json["branding"]));
        for (name, stream) in json["log_streams"]["http"].as_object().into_iter().flatten() {
            let default = format!("Lockstep {name} ({stack})");
            self.stream_names.push(stream["name"].as_str().map_or(default, str::to_owned));
        }
        for (key, wire) in [
            ("experience", "universal_login_experience"),
            ("identifier_first", "identifier_first"),
            ("webauthn_platform_first_factor", "webauthn_platform_first_factor"),
        ] {
            if !json["universal_login"][key].is_null() {
                self.login.push(wire);
            }
        }
    }
}

//! What an Auth0 tenant holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::options::Flag;
use super::Dependency;

/// One Auth0 tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The left-most label of the domain; phone providers show it.
    pub name: String,
    /// Body of GET /tenants/settings.
    pub settings: Map<String, Value>,
    /// Settings that only the reply to a write shows, merged over `settings` (recorded).
    #[serde(default)]
    pub settings_in_writes: Map<String, Value>,
    /// Defaults of settings that were never written. Reads show them; the reply to a write does not (recorded).
    #[serde(default)]
    pub settings_in_reads: Map<String, Value>,
    /// Whether the unified phone experience is on while its flag is absent from the settings.
    #[serde(default)]
    pub unified_if_absent: bool,
    pub actions: Vec<Action>,
    /// The modules that Actions may name in `modules`. No API call of the twin manages them; they are only looked up.
    #[serde(default)]
    pub action_modules: Vec<ActionModule>,
    /// Bindings in execution order, keyed by trigger id. A trigger without bindings may be missing.
    pub bindings: BTreeMap<String, Vec<Binding>>,
    /// The eight factors, in the order the API lists them.
    pub factors: Vec<Factor>,
    /// `None`: never configured. The API then shows an object without the list.
    pub message_types: Option<Vec<String>>,
    pub policies: Vec<String>,
    pub legacy_phone: LegacyPhone,
    /// At most one provider; the API still shows a list.
    pub phone_providers: Vec<PhoneProvider>,
    pub phone_templates: Vec<PhoneTemplate>,
    /// `default` or `exponential`.
    pub phone_provider_protection: String,
    pub log_streams: Vec<LogStream>,
    pub prompts: Prompts,
    /// Body of GET /branding.
    pub branding: Map<String, Value>,
    /// Bodies of the applications, keyed by client id.
    pub clients: BTreeMap<String, Map<String, Value>>,
    pub connections: Vec<Connection>,
    /// Entries of GET /logs, oldest first.
    pub logs: Vec<Value>,
    /// Who can sign in at the tenant's pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// The log tells what users did up to this time (Unix ms); `None`: nobody has used the tenant yet.
    #[serde(default)]
    pub users_until_ms: Option<u64>,
    /// Applications that may request tokens. Empty: the twin accepts any credentials.
    pub credentials: Vec<Credential>,
    pub tokens: Vec<Token>,
    /// The `jti` of each assertion seen, with the time (Unix ms) from which it may be forgotten.
    pub used_assertions: BTreeMap<String, u64>,
    /// Factors that the tenant's plan lacks: switching one on answers 403.
    pub factors_outside_plan: Vec<String>,
    /// Whether the tenant's plan has adaptive MFA (policy `confidence-score`).
    pub adaptive_mfa: bool,
    /// Number of coming Action builds that fail.
    pub failing_builds: u32,
    /// The Actions endpoints answer 403 `feature_not_enabled`.
    pub actions_disabled: bool,
}

impl Tenant {
    /// A tenant as Auth0 creates it today: nothing configured, New Universal Login, one database connection.
    pub fn fresh(domain: &str, flag: Flag) -> Tenant {
        let mut settings = fresh_settings();
        match flag {
            Flag::On => settings.insert("phone_consolidated_experience".into(), json!(true)),
            Flag::Off => settings.insert("phone_consolidated_experience".into(), json!(false)),
            Flag::Absent | Flag::AbsentOn => None,
        };
        let factors = [
            "sms",
            "push-notification",
            "otp",
            "email",
            "duo",
            "webauthn-roaming",
            "webauthn-platform",
            "recovery-code",
        ];
        Tenant {
            name: domain.split('.').next().unwrap_or(domain).to_owned(),
            settings,
            settings_in_writes: object(json!({"flags": {
                "cannot_change_enforce_client_authentication_on_passwordless_start": true,
                "enforce_client_authentication_on_passwordless_start": true
            }})),
            settings_in_reads: object(json!({"sandbox_versions_available": ["22", "18"]})),
            unified_if_absent: flag == Flag::AbsentOn,
            actions: Vec::new(),
            action_modules: Vec::new(),
            bindings: BTreeMap::new(),
            factors: factors.iter().map(|name| Factor { name: (*name).into(), enabled: false }).collect(),
            message_types: None,
            policies: Vec::new(),
            legacy_phone: LegacyPhone::default(),
            phone_providers: Vec::new(),
            phone_templates: Vec::new(),
            phone_provider_protection: "default".into(),
            log_streams: Vec::new(),
            prompts: Prompts {
                universal_login_experience: "new".into(),
                identifier_first: Some(false),
                webauthn_platform_first_factor: Some(false),
            },
            branding: Map::new(),
            clients: BTreeMap::new(),
            connections: vec![Connection {
                id: "con_0000000000000001".into(),
                name: "Username-Password-Authentication".into(),
                strategy: "auth0".into(),
                clients: Vec::new(),
                more: Map::new(),
            }],
            logs: Vec::new(),
            users: Vec::new(),
            users_until_ms: None,
            credentials: Vec::new(),
            tokens: Vec::new(),
            used_assertions: BTreeMap::new(),
            factors_outside_plan: Vec::new(),
            adaptive_mfa: false,
            failing_builds: 0,
            actions_disabled: false,
        }
    }

    /// Whether the unified phone experience is on. An absent flag means off, unless `unified_if_absent` is set: the
    /// legacy calls worked on the one tenant that was recorded without the flag.
    pub fn unified(&self) -> bool {
        match self.settings.get("phone_consolidated_experience") {
            Some(flag) => *flag == Value::Bool(true),
            None => self.unified_if_absent,
        }
    }

    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.id == id)
    }

    pub fn action_mut(&mut self, id: &str) -> Option<&mut Action> {
        self.actions.iter_mut().find(|action| action.id == id)
    }

    pub fn factor_enabled(&self, name: &str) -> bool {
        self.factors.iter().any(|factor| factor.name == name && factor.enabled)
    }

    /// Bindings of a trigger, in execution order.
    pub fn bound(&self, trigger_id: &str) -> &[Binding] {
        self.bindings.get(trigger_id).map_or(&[], Vec::as_slice)
    }
}

fn fresh_settings() -> Map<String, Value> {
    let settings = json!({
        "allowed_logout_urls": [],
        "change_password": {"enabled": false},
        "default_audience": "",
        "default_directory": "",
        "enabled_locales": ["en"],
        "flags": {
            "allow_changing_enable_sso": false,
            "disable_impersonation": true,
            "enable_dynamic_client_registration": false,
            "enable_sso": true,
            "universal_login": true,
            "revoke_refresh_token_grant": false,
            "disable_clickjack_protection_headers": false
        },
        "guardian_mfa_page": {"enabled": false},
        "idle_session_lifetime": 72,
        "sandbox_version": "22",
        "session_lifetime": 168,
        "oidc_logout": {"rp_logout_end_session_endpoint_discovery": true},
        "customize_mfa_in_postlogin_action": false,
        "pushed_authorization_requests_supported": false,
        "session_cookie": {"mode": "persistent"}
    });
    object(settings)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A trigger and its version, as Actions name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRef {
    pub id: String,
    pub version: String,
}

impl TriggerRef {
    pub fn new(id: &str, version: &str) -> TriggerRef {
        TriggerRef { id: id.into(), version: version.into() }
    }
}

/// A secret with its value in clear text. No read of the API shows the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    pub name: String,
    pub value: String,
    pub updated_at: String,
}

/// An Action: the draft, its build, its versions, and the version that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    pub id: String,
    pub name: String,
    pub supported_triggers: Vec<TriggerRef>,
    pub code: String,
    pub dependencies: Vec<Dependency>,
    pub runtime: String,
    pub secrets: Vec<Secret>,
    /// As reads show them, with name and version number.
    pub modules: Vec<Value>,
    pub created_at: String,
    pub updated_at: String,
    pub build: Build,
    /// The version that was made from this draft; `None` once the draft has changed.
    pub draft_version: Option<String>,
    /// Oldest first, at most 50.
    pub versions: Vec<ActionVersion>,
    pub deployment: Option<Deployment>,
}

impl Action {
    /// The version that runs. A version runs from its deploy call on, even while reads still show the previous one.
    pub fn live_version(&self) -> Option<&ActionVersion> {
        let deployment = self.deployment.as_ref()?;
        self.versions.iter().find(|version| version.id == deployment.version_id)
    }

    /// Whether the Action supports any version of that trigger.
    pub fn supports(&self, trigger_id: &str) -> bool {
        self.supported_triggers.iter().any(|trigger| trigger.id == trigger_id)
    }

    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

/// The build of a draft. Its state follows from the time, see `build_status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub started_at_ms: u64,
    pub ends_at_ms: u64,
    pub fails: bool,
    pub with_dependencies: bool,
}

/// Which version runs, and from when the API shows it as deployed and accepts a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub version_id: String,
    /// The version that ran before; reads show it until `visible_at_ms`.
    pub former_version_id: Option<String>,
    pub visible_at_ms: u64,
    pub bindable_at_ms: u64,
}

/// An immutable version, with the secrets it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionVersion {
    pub id: String,
    pub number: u64,
    pub code: String,
    pub dependencies: Vec<Dependency>,
    pub runtime: String,
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub modules: Vec<Value>,
    pub supported_triggers: Vec<TriggerRef>,
    pub created_at: String,
    pub updated_at: String,
    pub built_at: String,
}

/// Code that several Actions share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionModule {
    pub id: String,
    pub name: String,
    /// Version numbers, keyed by version id.
    pub versions: BTreeMap<String, u64>,
}

impl ActionVersion {
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

/// An Action in a trigger's flow. Every write to the trigger gives all bindings new ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub id: String,
    pub action_id: String,
    pub display_name: String,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    pub name: String,
    pub enabled: bool,
}

/// Guardian's own phone settings, in use while the unified experience is off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegacyPhone {
    /// `auth0`, `twilio` or `phone-message-hook`.
    pub selected_provider: String,
    /// Any of the keys `from`, `messaging_service_sid`, `auth_token` and `sid`.
    pub twilio: Map<String, Value>,
    pub enrollment_message: String,
    pub verification_message: String,
}

impl Default for LegacyPhone {
    fn default() -> LegacyPhone {
        LegacyPhone {
            selected_provider: "auth0".into(),
            twilio: Map::new(),
            enrollment_message: "{{code}} is your verification code for {{tenant.friendly_name}}. Please enter this code to verify your enrollment.".into(),
            verification_message: "{{code}} is your verification code for {{tenant.friendly_name}}".into(),
        }
    }
}

/// The tenant-level phone provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneProvider {
    /// `pro_…`
    pub id: String,
    /// `twilio` or `custom`.
    pub name: String,
    pub disabled: bool,
    pub configuration: Map<String, Value>,
    /// The API never shows them.
    pub credentials: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

impl PhoneProvider {
    /// The configured delivery methods: `text`, `voice`.
    pub fn delivery_methods(&self) -> Vec<&str> {
        let methods = self.configuration.get("delivery_methods").and_then(Value::as_array);
        methods.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

/// A phone message template that an operator created. The built-in templates exist without being stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneTemplate {
    /// `tem_…`
    pub id: String,
    pub r#type: String,
    pub disabled: bool,
    pub content: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogStream {
    /// `lst_` and 16 digits.
    pub id: String,
    pub name: Option<String>,
    pub r#type: String,
    /// `active`, `paused` or `suspended`. Only the server sets `suspended`.
    pub status: String,
    pub sink: Map<String, Value>,
    /// `None`: absent on the wire. Never an empty list.
    pub filters: Option<Vec<Value>>,
    pub pii_config: Option<Map<String, Value>>,
    pub is_priority: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// `new` or `classic`.
    pub universal_login_experience: String,
    /// `None`: never set, and absent on the wire (recorded on an older tenant).
    pub identifier_first: Option<bool>,
    pub webauthn_platform_first_factor: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub id: String,
    pub name: String,
    pub strategy: String,
    /// Ids of the clients that the connection is enabled for.
    pub clients: Vec<String>,
    /// Further keys that reads show, such as `options`. They replace the defaults.
    #[serde(default)]
    pub more: Map<String, Value>,
}

/// An application that may ask for Management API tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    pub client_id: String,
    /// `None`: the client must authenticate with a signed assertion, whose signature is not checked.
    pub client_secret: Option<String>,
    /// `None`: the client has no grant for the Management API; a token request answers 403.
    pub scopes: Option<Vec<String>>,
}

/// A person of the tenant's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// `auth0|…`
    pub user_id: String,
    pub email: String,
    /// In clear text: a world is a sandbox.
    pub password: String,
    pub name: String,
    /// The enrolled phone, E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Names of roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub value: String,
    /// The host that issued the token. The token works at this host only.
    pub host: String,
    pub scopes: Vec<String>,
    pub expires_at_ms: u64,
}

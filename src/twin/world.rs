//! The state both vendors hold, as plain data: every field may be read and changed by a test, which is how "another
//! operator" acts. Times are Unix milliseconds where the twin computes with them, and text where a vendor shows them.
//!
//! A world holds secrets in clear (Action secrets, webhook authorization, Function variables, key secrets). It is the
//! sandbox of whoever runs the twin; never put real credentials into one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ids::Ids;
use super::options::Flag;

/// Everything that exists, on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub ids: Ids,
    /// Keyed by canonical domain.
    #[serde(default)]
    pub tenants: BTreeMap<String, Tenant>,
    /// Custom domains: host to canonical domain.
    #[serde(default)]
    pub custom_domains: BTreeMap<String, String>,
    /// Keyed by account SID.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// API keys of which something is known, keyed by key SID.
    #[serde(default)]
    pub keys: BTreeMap<String, ApiKey>,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            ids: Ids::new(seed),
            tenants: BTreeMap::new(),
            custom_domains: BTreeMap::new(),
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// The tenant of that domain; a fresh one, with the unified phone experience on, when there was none.
    pub fn tenant_mut(&mut self, domain: &str) -> &mut Tenant {
        self.tenants.entry(domain.to_owned()).or_insert_with(|| Tenant::fresh(domain, Flag::On))
    }

    /// The account of that SID; a fresh one when there was none.
    pub fn account_mut(&mut self, sid: &str) -> &mut Account {
        self.accounts.entry(sid.to_owned()).or_insert_with(|| Account::fresh(sid))
    }

    /// Puts a built and deployed Action into a tenant, as another operator would have made it; answers its id.
    /// Bindable at once.
    pub fn add_deployed_action(
        &mut self,
        domain: &str,
        name: &str,
        trigger: &TriggerRef,
        now_ms: u64,
    ) -> String {
        let stamp = self.ids.stamp(now_ms);
        let (id, version_id) = (self.ids.uuid(), self.ids.uuid());
        let code = "exports.placeholder = async (event, api) => {};\n".to_owned();
        let version = ActionVersion {
            id: version_id.clone(),
            number: 1,
            code: code.clone(),
            dependencies: Vec::new(),
            runtime: "node22".into(),
            secrets: Vec::new(),
            supported_triggers: vec![trigger.clone()],
            created_at: stamp.clone(),
            updated_at: stamp.clone(),
            built_at: stamp.clone(),
        };
        let action = Action {
            id: id.clone(),
            name: name.to_owned(),
            supported_triggers: vec![trigger.clone()],
            code,
            dependencies: Vec::new(),
            runtime: "node22".into(),
            secrets: Vec::new(),
            modules: Vec::new(),
            created_at: stamp.clone(),
            updated_at: stamp,
            build: Build {
                started_at_ms: now_ms,
                ends_at_ms: now_ms,
                fails: false,
                with_dependencies: false,
            },
            draft_version: Some(version_id.clone()),
            versions: vec![version],
            deployment: Some(Deployment {
                version_id,
                former_version_id: None,
                visible_at_ms: now_ms,
                bindable_at_ms: now_ms,
            }),
        };
        self.tenant_mut(domain).actions.push(action);
        id
    }

    /// Appends a binding to a trigger, without any of the API's checks.
    pub fn bind(&mut self, domain: &str, trigger_id: &str, action_id: &str, display_name: &str, now_ms: u64) {
        let stamp = self.ids.stamp(now_ms);
        let binding = Binding {
            id: self.ids.uuid(),
            action_id: action_id.to_owned(),
            display_name: display_name.to_owned(),
            created_at: stamp.clone(),
            updated_at: stamp,
        };
        self.tenant_mut(domain).bindings.entry(trigger_id.to_owned()).or_default().push(binding);
    }
}

/// One Auth0 tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The left-most label of the domain; phone providers show it.
    pub name: String,
    /// Body of GET /tenants/settings.
    pub settings: Map<String, Value>,
    pub actions: Vec<Action>,
    /// Execution order per trigger id. A trigger without bindings may be missing.
    pub bindings: BTreeMap<String, Vec<Binding>>,
    /// The eight factors, in the order the API lists them.
    pub factors: Vec<Factor>,
    /// `None`: never configured, which the API shows as an object without the list.
    pub message_types: Option<Vec<String>>,
    pub policies: Vec<String>,
    pub legacy_phone: LegacyPhone,
    /// At most one, but a list on the wire.
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
    /// Applications that may ask for tokens. Empty: any credentials are taken.
    pub credentials: Vec<Credential>,
    pub tokens: Vec<Token>,
    /// `jti` of the assertions seen, with the moment they may be forgotten.
    pub used_assertions: BTreeMap<String, u64>,
    /// Factors outside the plan: switching them on answers 403.
    pub factors_outside_plan: Vec<String>,
    /// Whether the plan has adaptive MFA (policy `confidence-score`).
    pub adaptive_mfa: bool,
    /// The next so many Action builds fail.
    pub failing_builds: u32,
    /// Every answer of the tenant's Management API says 403 `feature_not_enabled` for Actions.
    pub actions_disabled: bool,
}

impl Tenant {
    /// A tenant as made today: nothing configured, New Universal Login, one database connection.
    pub fn fresh(domain: &str, flag: Flag) -> Tenant {
        let mut settings = fresh_settings();
        match flag {
            Flag::On => settings.insert("phone_consolidated_experience".into(), json!(true)),
            Flag::Off => settings.insert("phone_consolidated_experience".into(), json!(false)),
            Flag::Absent => None,
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
            actions: Vec::new(),
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
            }],
            logs: Vec::new(),
            credentials: Vec::new(),
            tokens: Vec::new(),
            used_assertions: BTreeMap::new(),
            factors_outside_plan: Vec::new(),
            adaptive_mfa: false,
            failing_builds: 0,
            actions_disabled: false,
        }
    }

    /// Whether the unified phone experience is on. An absent flag behaves like off: on the one tenant where its
    /// absence was recorded, the legacy calls worked.
    pub fn unified(&self) -> bool {
        self.settings.get("phone_consolidated_experience") == Some(&Value::Bool(true))
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
        "session_cookie": {"mode": "persistent"},
        "sandbox_versions_available": ["22", "18"]
    });
    match settings {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A trigger with its version, as Actions name it.
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    pub name: String,
    pub version: String,
}

/// A secret with its value in clear, which no read of the API shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    pub name: String,
    pub value: String,
    pub updated_at: String,
}

/// An Action: the draft, its build, its versions, and which of them runs.
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
    pub modules: Vec<Value>,
    pub created_at: String,
    pub updated_at: String,
    pub build: Build,
    /// The version made of exactly this draft; `None` as soon as the draft is changed.
    pub draft_version: Option<String>,
    /// Oldest first, at most 50.
    pub versions: Vec<ActionVersion>,
    pub deployment: Option<Deployment>,
}

impl Action {
    /// The version that runs. It runs from the deploy call on, also while reads do not show it yet.
    pub fn live_version(&self) -> Option<&ActionVersion> {
        let deployment = self.deployment.as_ref()?;
        self.versions.iter().find(|version| version.id == deployment.version_id)
    }

    /// Whether the Action is for that trigger, in any version.
    pub fn supports(&self, trigger_id: &str) -> bool {
        self.supported_triggers.iter().any(|trigger| trigger.id == trigger_id)
    }

    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

/// The build of a draft. What state it is in follows from the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub started_at_ms: u64,
    pub ends_at_ms: u64,
    pub fails: bool,
    pub with_dependencies: bool,
}

/// Which version runs, and when the API admits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub version_id: String,
    /// What ran before; reads show it until `visible_at_ms`.
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
    pub supported_triggers: Vec<TriggerRef>,
    pub created_at: String,
    pub updated_at: String,
    pub built_at: String,
}

impl ActionVersion {
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

/// An Action in a trigger's flow. The id is renewed by every write to the trigger.
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
    /// `from`, `messaging_service_sid`, `auth_token`, `sid`, as far as set.
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
    /// Never shown by the API.
    pub credentials: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

impl PhoneProvider {
    /// `text`, `voice`, as configured.
    pub fn delivery_methods(&self) -> Vec<&str> {
        let methods = self.configuration.get("delivery_methods").and_then(Value::as_array);
        methods.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

/// A phone message template that was changed. Built-in ones exist without being stored.
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
    /// `active`, `paused` or `suspended` (the last is set by the server only).
    pub status: String,
    pub sink: Map<String, Value>,
    /// `None` when absent on the wire; never an empty list.
    pub filters: Option<Vec<Value>>,
    pub pii_config: Option<Map<String, Value>>,
    pub is_priority: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompts {
    /// `new` or `classic`.
    pub universal_login_experience: String,
    pub identifier_first: Option<bool>,
    pub webauthn_platform_first_factor: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub id: String,
    pub name: String,
    pub strategy: String,
    /// Client ids it is enabled for.
    pub clients: Vec<String>,
}

/// An application that may ask for Management API tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    pub client_id: String,
    /// `None`: only a signed assertion is taken (its signature is not checked).
    pub client_secret: Option<String>,
    /// `None`: no grant for the Management API, the token request answers 403.
    pub scopes: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub value: String,
    /// The host it was asked at; it works there only.
    pub host: String,
    pub scopes: Vec<String>,
    pub expires_at_ms: u64,
}

/// One Twilio account or subaccount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub sid: String,
    pub friendly_name: String,
    /// `None`: any non-empty password is taken.
    pub auth_token: Option<String>,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// Equal to `sid` for a main account.
    pub owner_account_sid: String,
    pub verify_services: Vec<VerifyService>,
    pub verify_templates: Vec<VerifyTemplate>,
    pub serverless_services: Vec<ServerlessService>,
    /// Per-account answer to whether custom codes can be had; `None` follows the options.
    pub custom_code_entitled: Option<bool>,
    /// The next so many Function builds fail.
    pub failing_builds: u32,
}

impl Account {
    pub fn fresh(sid: &str) -> Account {
        Account {
            sid: sid.to_owned(),
            friendly_name: "Twin account".into(),
            auth_token: None,
            status: "active".into(),
            owner_account_sid: sid.to_owned(),
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
        }
    }

    pub fn verify_service(&self, sid: &str) -> Option<&VerifyService> {
        self.verify_services.iter().find(|service| service.sid == sid)
    }

    pub fn verify_service_mut(&mut self, sid: &str) -> Option<&mut VerifyService> {
        self.verify_services.iter_mut().find(|service| service.sid == sid)
    }

    /// By SID or unique name, as the API looks it up.
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
    /// As the account's token.
    Main,
    /// Everything but accounts and keys.
    Standard,
    /// Only what its policy allows; never Serverless.
    Restricted,
}

/// A Twilio API key. A deleted one stays, so that its use is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    pub account_sid: String,
    /// `None`: any non-empty secret is taken.
    pub secret: Option<String>,
    pub kind: KeyKind,
    /// Permission strings of a restricted key, such as `/twilio/verify/service/read`.
    pub allow: Vec<String>,
    pub friendly_name: String,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub deleted: bool,
}

/// A Verify service. `settings` holds what reads show between name and dates, nested as on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyService {
    pub sid: String,
    pub friendly_name: String,
    /// `code_length`, `custom_code_enabled`, `totp`, …: every key of a read.
    pub settings: Map<String, Value>,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub rate_limits: Vec<VerifyRateLimit>,
    /// Keyed by country.
    pub messaging_configurations: BTreeMap<String, MessagingConfiguration>,
    pub verifications: Vec<Verification>,
}

impl VerifyService {
    /// A boolean setting; false when missing.
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
    /// Moments of the sends.
    pub sends: Vec<u64>,
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
    /// The build that serves; `None` when nothing is deployed.
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

/// A Function: a name, not unique, and its uploaded versions, oldest first.
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

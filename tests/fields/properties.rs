//! Tests that Lockstep manages everything that the vendors let a client write, with listed exclusions and their
//! reasons.

use std::collections::BTreeSet;

use lockstep::kinds::{self, Seen};
use lockstep::model::address::Address;
use lockstep::model::facts::Fact;
use lockstep::model::field::flat;

use super::bed::{FULL, declared_fields};
use super::legacy::LEGACY;

const SERVICES: &str = "POST /v2/Services";
const ACTIONS: &str = "POST, PATCH /actions/actions";
const RULE_ACTIONS: &str = "POST, PATCH /actions/actions (post-login)";
const FEEDBACK_ACTIONS: &str = "POST, PATCH /actions/actions (post-login, feedback)";
const BINDINGS: &str = "PATCH /actions/triggers/{id}/bindings";
const RULE_BINDINGS: &str = "PATCH /actions/triggers/post-login/bindings";
const FACTORS: &str = "PUT /guardian/factors/{name}";
const MESSAGE_TYPES: &str = "PUT /guardian/factors/phone/message-types";
const SELECTED_PROVIDER: &str = "PUT /guardian/factors/phone/selected-provider";
const LEGACY_TEMPLATES: &str = "PUT /guardian/factors/phone/templates";
const POLICIES: &str = "PUT /guardian/policies";
const PROVIDERS: &str = "POST, PATCH /branding/phone/providers";
const SETTINGS: &str = "PATCH /tenants/settings";
const PROMPTS: &str = "PATCH /prompts";
const STREAMS: &str = "POST, PATCH /log-streams (http)";
const PROTECTION: &str = "PATCH /attack-protection/phone-provider-protection";
const TEMPLATES: &str = "POST, PATCH /branding/phone/templates";
const BRANDING: &str = "PATCH /branding";
const CLIENTS: &str = "POST, PATCH /clients";

const SERVERLESS: &str = "POST /v1/Services and below";

/// Form fields of create and update ("Twilio Verify v2" description, 2026-04). `contract::twilio` compares this list
/// with the description itself.
pub const SERVICE_FORM: &[&str] = &[
    "FriendlyName",
    "CodeLength",
    "LookupEnabled",
    "SkipSmsToLandlines",
    "DtmfInputRequired",
    "TtsName",
    "Psd2Enabled",
    "DoNotShareWarningEnabled",
    "CustomCodeEnabled",
    "Push.IncludeDate",
    "Push.ApnCredentialSid",
    "Push.FcmCredentialSid",
    "Totp.Issuer",
    "Totp.TimeStep",
    "Totp.CodeLength",
    "Totp.Skew",
    "DefaultTemplateSid",
    "Whatsapp.MsgServiceSid",
    "Whatsapp.From",
    "Passkeys.RelyingParty.Id",
    "Passkeys.RelyingParty.Name",
    "Passkeys.RelyingParty.Origins",
    "Passkeys.AuthenticatorAttachment",
    "Passkeys.DiscoverableCredentials",
    "Passkeys.UserVerification",
    "VerifyEventSubscriptionEnabled",
];

/// Request properties by call ("Auth0 docs, Management API" and recorded exchanges, 2026-08), without those of the
/// Verify service.
const WRITABLE: &[(&str, &[&str])] = &[
    (
        ACTIONS,
        &["name", "supported_triggers", "code", "dependencies", "runtime", "secrets", "modules", "deploy"],
    ),
    (
        RULE_ACTIONS,
        &["name", "supported_triggers", "code", "dependencies", "runtime", "secrets", "modules", "deploy"],
    ),
    (
        FEEDBACK_ACTIONS,
        &[
            "name",
            "supported_triggers",
            "code",
            "dependencies",
            "runtime",
            "value of TWILIO_API_KEY",
            "value of TWILIO_API_SECRET",
            "value of TWILIO_VERIFY_SID",
            "modules",
            "deploy",
        ],
    ),
    (BINDINGS, &["ref", "display_name", "secrets"]),
    (RULE_BINDINGS, &["ref", "display_name", "secrets"]),
    (
        FACTORS,
        &[
            "sms enabled",
            "push-notification enabled",
            "otp enabled",
            "email enabled",
            "duo enabled",
            "webauthn-roaming enabled",
            "webauthn-platform enabled",
            "recovery-code enabled",
        ],
    ),
    (MESSAGE_TYPES, &["message_types"]),
    (SELECTED_PROVIDER, &["provider"]),
    (LEGACY_TEMPLATES, &["enrollment_message", "verification_message"]),
    (POLICIES, &["(array)"]),
    (
        PROVIDERS,
        &[
            "name",
            "disabled",
            "configuration.delivery_methods",
            "configuration.sid",
            "configuration.default_from",
            "configuration.mssid",
            "credentials",
        ],
    ),
    (SETTINGS, &["phone_consolidated_experience", "customize_mfa_in_postlogin_action"]),
    (PROMPTS, &["universal_login_experience", "identifier_first", "webauthn_platform_first_factor"]),
    (
        SERVERLESS,
        &[
            "UniqueName",
            "FriendlyName",
            "IncludeCredentials",
            "UiEditable",
            "Environment UniqueName",
            "Environment DomainSuffix",
            "Function FriendlyName",
            "Path",
            "Visibility",
            "Content",
            "Runtime",
            "Dependencies",
            "FunctionVersions",
            "AssetVersions",
            "BuildSid",
            "IsPlugin",
            "Variables",
            "Value of TWILIO_API_KEY",
            "Value of TWILIO_API_SECRET",
        ],
    ),
    (
        STREAMS,
        &[
            "name",
            "type",
            "status",
            "sink.httpEndpoint",
            "sink.httpAuthorization",
            "sink.httpContentFormat",
            "sink.httpContentType",
            "sink.httpCustomHeaders",
            "filters",
            "pii_config.log_fields",
            "pii_config.method",
            "pii_config.algorithm",
            "isPriority",
            "startFrom",
        ],
    ),
    (PROTECTION, &["type"]),
    (
        TEMPLATES,
        &["type", "disabled", "content.syntax", "content.from", "content.body.text", "content.body.voice"],
    ),
    (
        BRANDING,
        &[
            "logo_url",
            "favicon_url",
            "colors.primary",
            "colors.page_background",
            "font.url",
            "identifiers.login_display",
            "identifiers.otp_autocomplete",
            "identifiers.phone_display.formatting",
            "identifiers.phone_display.masking",
        ],
    ),
    // As far as a single-page application needs them; the call takes some 50 more.
    (
        CLIENTS,
        &[
            "name",
            "description",
            "app_type",
            "callbacks",
            "allowed_logout_urls",
            "web_origins",
            "allowed_origins",
            "grant_types",
            "token_endpoint_auth_method",
            "oidc_conformant",
            "jwt_configuration.alg",
            "client_metadata.lockstep_stack",
        ],
    ),
];

/// Properties that can be written and are not managed, each with its reason.
const EXCLUDED: &[(&str, &str, &str)] = &[
    (
        ACTIONS,
        "supported_triggers",
        "fixed: the Action is for custom-phone-provider; another trigger is another Action",
    ),
    (ACTIONS, "modules", "early access; the Action needs none, and an omitted list is kept"),
    (ACTIONS, "deploy", "the build is asynchronous, so deploying is a step of its own"),
    (RULE_ACTIONS, "supported_triggers", "fixed: the rules are for post-login"),
    (RULE_ACTIONS, "dependencies", "always empty: asking for a factor needs no package"),
    (RULE_ACTIONS, "secrets", "empty on create, then never sent: asking for a factor needs none"),
    (RULE_ACTIONS, "modules", "early access; the Action needs none, and an omitted list is kept"),
    (RULE_ACTIONS, "deploy", "the build is asynchronous, so deploying is a step of its own"),
    (FEEDBACK_ACTIONS, "supported_triggers", "fixed: it is for post-login"),
    (FEEDBACK_ACTIONS, "dependencies", "always empty: it needs no package"),
    (FEEDBACK_ACTIONS, "modules", "early access; the Action needs none, and an omitted list is kept"),
    (FEEDBACK_ACTIONS, "deploy", "the build is asynchronous, so deploying is a step of its own"),
    (RULE_BINDINGS, "secrets", "in the schema only; the Action needs none"),
    (BINDINGS, "secrets", "in the schema only; the Action has its own secrets"),
    (CLIENTS, "description", "the name says what it is"),
    (PROVIDERS, "configuration.sid", "of a twilio provider; on ours it is reported as leftover and removed"),
    (
        PROVIDERS,
        "configuration.default_from",
        "of a twilio provider; on ours it is reported as leftover and removed",
    ),
    (
        PROVIDERS,
        "configuration.mssid",
        "of a twilio provider; on ours it is reported as leftover and removed",
    ),
    (PROVIDERS, "credentials", "always {} for a custom provider, and never read back"),
    (SERVERLESS, "UniqueName", "picks the service (feedback.function.unique_name)"),
    (SERVERLESS, "Environment UniqueName", "picks the environment (feedback.function.environment)"),
    (
        SERVERLESS,
        "Environment DomainSuffix",
        "cannot be changed later; what an environment has is taken as it is",
    ),
    (SERVERLESS, "Function FriendlyName", "fixed: not unique, and seen by nobody"),
    (SERVERLESS, "AssetVersions", "those of others are taken along; the Function has none"),
    (SERVERLESS, "IsPlugin", "for plugins of another product"),
    (STREAMS, "type", "fixed: the feedback goes by http; another type is another stream"),
    (TEMPLATES, "type", "the key of the template in the manifest, and never changed"),
    (TEMPLATES, "content.syntax", "liquid is the only one, and PATCH does not take it"),
    (
        STREAMS,
        "startFrom",
        "on create only (feedback.log_stream.start_from): it replays events and is never read back",
    ),
];

/// Managed form fields that are newer than the description ("Twilio docs, Verify service", seen 2026-08). How they read
/// back is not known, so Lockstep accepts either answer.
const NEWER_THAN_THE_DESCRIPTION: &[&str] =
    &["Email.From", "Email.FromName", "Email.ContentTemplateId", "MailerSid"];

/// Manifest keys that no request carries, each with its reason.
const NOT_SENT: &[(&str, &str)] = &[
    ("verify_service.sid", "picks the service"),
    ("verify_service.use", "names a service of others, to which nothing is sent"),
    ("verify_service.default_template", "finds the template whose SID is sent as DefaultTemplateSid"),
    ("verify_service.rate_limits", "resources of their own; their forms are compared in tests/contract"),
    (
        "verify_service.messaging_configurations",
        "resources of their own; their forms are compared in tests/contract",
    ),
    ("phone.delivery", "chooses the kinds; unified sets phone_consolidated_experience"),
    ("action.unmanaged_secrets", "says what to do with names that only the tenant has"),
    ("feedback.action.secrets_as_of", "as of the other Action"),
    ("action.secrets_as_of", "says from when the secrets of an Action are those of the manifest"),
    ("action.binding.beside", "whom the list may hold besides"),
    ("action.binding.position", "the order of the list"),
    ("mfa.post_login.rules", "become a part of the code"),
    ("mfa.post_login.binding.position", "the order of the list"),
    ("feedback.log_stream.start_from", "on create only"),
    ("feedback.passwordless", "one more of the stream's filters"),
    ("feedback.function.unique_name", "picks the service"),
    ("feedback.function.environment", "picks the environment"),
    ("log_streams.http", "names the streams, whose properties are those of the feedback's"),
    ("sample_client.url", "becomes the four lists of addresses"),
    ("sample_client.connection", "a call of its own: PATCH /connections/{id}/clients"),
    ("attest.fraud_guard.level", NO_API),
    ("attest.fraud_guard.by", NO_API),
    ("attest.fraud_guard.on", NO_API),
    ("attest.fraud_guard.until", NO_API),
    ("attest.geo_permissions.countries", NO_API),
    ("attest.geo_permissions.policy", NO_API),
    ("attest.geo_permissions.by", NO_API),
    ("attest.geo_permissions.on", NO_API),
    ("attest.geo_permissions.until", NO_API),
    ("attest.channels.enabled", NO_API),
    ("attest.channels.by", NO_API),
    ("attest.channels.on", NO_API),
    ("attest.channels.until", NO_API),
    ("attest.remind", "how much is told of the others"),
];

const NO_API: &str = "what only the Console shows, attested";

/// Properties that follow from the stack and have no key of their own: call, property, address, field.
const GENERATED: &[(&str, &str, &str, &str)] = &[
    (BINDINGS, "ref", "trigger_binding", "in_place"),
    (RULE_BINDINGS, "ref", "mfa_post_login_binding", "in_place"),
    (FEEDBACK_ACTIONS, "value of TWILIO_VERIFY_SID", "feedback_action", "secrets.TWILIO_VERIFY_SID"),
    (SETTINGS, "customize_mfa_in_postlogin_action", "mfa_post_login_setting", "enabled"),
    (PROVIDERS, "name", "phone_provider", "name"),
    (PROVIDERS, "disabled", "phone_provider", "disabled"),
    (SETTINGS, "phone_consolidated_experience", "unified_phone", "enabled"),
    (MESSAGE_TYPES, "message_types", "phone_message_types", "message_types"),
    (SELECTED_PROVIDER, "provider", "phone_selected_provider", "provider"),
    (SERVERLESS, "IncludeCredentials", "feedback_function", "include_credentials"),
    (SERVERLESS, "Visibility", "feedback_function", "visibility"),
    (SERVERLESS, "FunctionVersions", "feedback_function", "code"),
    (SERVERLESS, "BuildSid", "feedback_function", "deployed"),
    (CLIENTS, "callbacks", "sample_client", "callbacks"),
    (CLIENTS, "allowed_logout_urls", "sample_client", "allowed_logout_urls"),
    (CLIENTS, "web_origins", "sample_client", "web_origins"),
    (CLIENTS, "allowed_origins", "sample_client", "allowed_origins"),
    (CLIENTS, "app_type", "sample_client", "app_type"),
    (CLIENTS, "grant_types", "sample_client", "grant_types"),
    (CLIENTS, "token_endpoint_auth_method", "sample_client", "token_endpoint_auth_method"),
    (CLIENTS, "oidc_conformant", "sample_client", "oidc_conformant"),
    (CLIENTS, "jwt_configuration.alg", "sample_client", "jwt_configuration.alg"),
    (CLIENTS, "client_metadata.lockstep_stack", "sample_client", "client_metadata.lockstep_stack"),
];

fn call_of(section: &str) -> &'static str {
    match section {
        "verify_service" => SERVICES,
        "action" => ACTIONS,
        "action.binding" => BINDINGS,
        "mfa.post_login" => RULE_ACTIONS,
        "mfa.post_login.binding" => RULE_BINDINGS,
        "phone" => PROVIDERS,
        "phone.protection" => PROTECTION,
        "phone.templates" => TEMPLATES,
        "branding" => BRANDING,
        "mfa" => POLICIES,
        "mfa.factors" => FACTORS,
        "universal_login" => PROMPTS,
        "feedback.log_stream" => STREAMS,
        "feedback.function" => SERVERLESS,
        "feedback.action" => FEEDBACK_ACTIONS,
        "phone.legacy_templates" => LEGACY_TEMPLATES,
        "sample_client" => CLIENTS,
        other => panic!(
            "section {other} is new: say in `call_of` of tests/fields/properties.rs which call carries it, and its properties in the table of that file"
        ),
    }
}

type Property = (String, String);

fn property(call: &str, name: &str) -> Property {
    (call.to_owned(), name.to_owned())
}

/// What the manifest's tables and the kinds manage.
fn managed() -> BTreeSet<Property> {
    let mut managed = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for section in kinds::sections() {
        for (key, field) in flat(section.fields) {
            let place = format!("{}.{key}", section.path);
            if field.wire.is_empty() {
                assert!(silent.insert(place.clone()), "{place} twice");
                continue;
            }
            let name = match section.path {
                // Each factor has its own call, named after the factor.
                "mfa.factors" => format!("{} {}", factor_on_the_wire(&key), field.wire),
                _ => field.wire.to_owned(),
            };
            let call = match place.as_str() {
                "phone.protection" => call_of("phone.protection"),
                _ => call_of(section.path),
            };
            let new = managed.insert(property(call, &name));
            // All types of templates have the same properties.
            assert!(new || section.path == "phone.templates", "{place}: {name} is carried twice");
        }
    }
    let not_sent: BTreeSet<String> = NOT_SENT.iter().map(|(place, _)| (*place).to_owned()).collect();
    assert_eq!(silent, not_sent, "manifest keys that no request carries");
    let mut declared = declared_fields(FULL);
    declared.extend(declared_fields(LEGACY));
    for (call, name, address, field) in GENERATED {
        let is_declared = declared.contains(&((*address).to_owned(), (*field).to_owned()));
        assert!(is_declared, "{address}.{field} is declared by no kind");
        assert!(managed.insert(property(call, name)), "{call}: {name} has a key by now");
    }
    managed
}

/// The name of the factor in its fact, which is the name in the API.
fn factor_on_the_wire(key: &str) -> String {
    let kind = kinds::by_name("mfa_factor").expect("a kind");
    let facts = kind.facts(&Address::named("mfa_factor", key), &Seen::default());
    match facts.iter().next() {
        Some(Fact::Factor(factor, _)) => factor.word().to_owned(),
        other => panic!("{other:?} is no fact of a factor"),
    }
}

#[test]
fn what_can_be_written_is_managed() {
    let form = SERVICE_FORM.iter().chain(NEWER_THAN_THE_DESCRIPTION);
    let mut writable: BTreeSet<Property> = form.map(|name| property(SERVICES, name)).collect();
    for (call, names) in WRITABLE {
        for name in *names {
            assert!(writable.insert(property(call, name)), "{call}: {name} twice");
        }
    }
    let all = writable.len();
    for (call, name, reason) in EXCLUDED {
        assert!(
            writable.remove(&property(call, name)),
            "{call}: {name} is excluded ({reason}) and not writable"
        );
    }
    for name in NEWER_THAN_THE_DESCRIPTION {
        assert!(!SERVICE_FORM.contains(name), "{name} is in the description by now: say so above");
    }
    let managed = managed();
    let missing: Vec<_> = writable.difference(&managed).collect();
    let surplus: Vec<_> = managed.difference(&writable).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "not managed: {missing:?}; not writable: {surplus:?}");
    assert_eq!(managed.len() + EXCLUDED.len(), all);
    println!("{} properties managed, {} excluded, {all} in all", managed.len(), EXCLUDED.len());
}

//! How strict, slow and limited a twin is. What the vendors' documents leave open is a switch here, so that a
//! client can be tried against either answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every scope that the twin's Auth0 operations ask for (Auth0 docs, Management API pages, 2026-08).
pub const ALL_SCOPES: &[&str] = &[
    "read:actions",
    "create:actions",
    "update:actions",
    "delete:actions",
    "read:guardian_factors",
    "update:guardian_factors",
    "read:mfa_policies",
    "update:mfa_policies",
    "read:phone_providers",
    "create:phone_providers",
    "update:phone_providers",
    "delete:phone_providers",
    "read:phone_templates",
    "create:phone_templates",
    "update:phone_templates",
    "delete:phone_templates",
    "read:log_streams",
    "create:log_streams",
    "update:log_streams",
    "delete:log_streams",
    "read:tenant_settings",
    "update:tenant_settings",
    "read:attack_protection",
    "update:attack_protection",
    "read:prompts",
    "update:prompts",
    "read:branding",
    "update:branding",
    "read:clients",
    "create:clients",
    "update:clients",
    "delete:clients",
    "read:connections",
    "update:connections",
    "read:logs",
];

/// The Management API's token bucket per tenant (Auth0 docs, rate limit configurations, 2026-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// Never refuses; the headers still come and stay full.
    Unlimited,
    /// 2 at once, 2 per second.
    Free,
    /// 10 at once, 150 per minute.
    Professional,
    /// 50 at once, 16 per second (public cloud, production).
    Enterprise,
}

/// The tenant setting `phone_consolidated_experience`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    On,
    Off,
    /// The settings do not show the flag, and the legacy calls work (seen on an older tenant).
    Absent,
    /// The settings do not show the flag, and the unified experience is on, as one client takes an absent flag to mean.
    AbsentOn,
}

/// Whether an Action of the `custom-phone-provider` trigger may be bound. Sources disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingRule {
    Accepted,
    /// PATCH bindings of that trigger answers 400.
    Refused4xx,
}

/// What PATCH of an Action does with a secret that comes without its value. Not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretWithoutValue {
    /// The value set before stays; a name not set before is refused.
    KeepOld,
    Refuse,
}

/// What becomes of a `custom` phone provider when the tenant's last Action that it could call is deleted. Not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutAction {
    /// Nothing: it goes on naming nobody.
    Stays,
    Disabled,
    Removed,
    /// The deletion is refused with 409, also by force.
    Refuses,
}

/// What the rate-limit headers of the Management API say, whatever is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetTold {
    /// What is left.
    AsItIs,
    /// Nothing of nothing.
    Zero,
    /// Numbers below zero.
    Negative,
    /// More is left than there is.
    TooMuch,
    /// It is full again in ten years.
    InYears,
    /// It was full again at the beginning of the epoch.
    LongAgo,
    /// Words, and a `Retry-After` of words.
    Words,
}

/// How a setting reads that was never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeverSet {
    /// Its default, or an empty object where it has none.
    Shown,
    /// Status 200 without a body, as legacy message texts do for some clients.
    NoBody,
    /// Status 204.
    NoContent,
    /// An empty object.
    EmptyObject,
}

/// Everything that can be turned on a twin. The default is strict and realistic: where the vendor's behaviour is
/// not established, the answer that is harder for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Time from request to reply, in milliseconds, faults not counted. Default 50.
    pub latency_ms: u64,
    /// Build of an Action without dependencies. Default 400 (recorded).
    pub build_ms: u64,
    /// Build of an Action with dependencies. Default 9000 (recorded).
    pub build_with_dependencies_ms: u64,
    /// Build of an Action that ends `failed`. Default 12000 (recorded).
    pub build_failing_ms: u64,
    /// Every build fails, of Actions and of Functions. Default false.
    pub every_build_fails: bool,
    /// Time from a deploy until the Action shows the new version as deployed. Default 200.
    pub deploy_settle_ms: u64,
    /// Time from a deploy during which binding the Action is still refused with 400. Default 1000; tools in use wait 2 s.
    pub bindable_after_ms: u64,
    /// Build of a Twilio Function. Default 4000.
    pub function_build_ms: u64,
    /// Default `professional`.
    pub rate: Rate,
    /// Whether a 429 of Auth0 carries `Retry-After`. "May be present" by the documents. Default true.
    pub retry_after_on_429: bool,
    /// The flag of tenants made on first contact. Default `on`, as on every tenant since March 2025.
    pub unified_flag: Flag,
    /// Unknown tenants and Twilio accounts are made on first contact. Default true. When false, an unknown tenant's
    /// token endpoint answers 404 and an unknown account 401.
    pub unknown_tenants: bool,
    /// Default `accepted`.
    pub custom_phone_binding: BindingRule,
    /// Default `refuse`.
    pub secret_name_without_value: SecretWithoutValue,
    /// Whether sending a secret's value again, unchanged, moves its `updated_at`. Default true.
    pub unchanged_secret_moves_time: bool,
    /// Whether a dependency sent as `latest` or a range reads back as a number. Default true.
    pub latest_reads_back_resolved: bool,
    /// Whether a second Action of the same name is refused with 409. Default false, so that a repeated create shows.
    pub action_names_unique: bool,
    /// Whether the provider list shows `credentials: null` (recorded once); single reads never do. Default true.
    pub phone_provider_list_shows_credentials_null: bool,
    /// Whether changing the provider to `custom` by PATCH needs a deployed Action as POST does. Default true; one
    /// recording shows a success without, on a tenant of which nothing more is known.
    pub custom_provider_patch_needs_action: bool,
    /// Whether a provider's delivery methods may not shrink below the message types in use. Default false: the change
    /// is taken, and messages of that type stop.
    pub provider_must_cover_message_types: bool,
    /// Whether log streams show `isPriority`. Default true; answers recorded until about 2024 lack it.
    pub log_streams_show_priority: bool,
    /// Whether the list of phone templates shows the built-in ones. Default true, as clients of fresh tenants expect;
    /// one tenant with most types changed was recorded without the rest.
    pub built_in_phone_templates_listed: bool,
    /// Whether PATCH of a log stream without `filters` keeps them. Default false: they go, as `pii_config` does.
    pub omitted_filters_kept: bool,
    /// Whether GET of the phone provider protection answers 404 while it is `default`. Default false.
    pub default_protection_is_404: bool,
    /// How Guardian's phone settings and branding read that were never set. Default `shown`.
    pub never_set_reads: NeverSet,
    /// `errorCode` of the 403 that legacy phone calls get while the flag is on. Default none.
    pub unified_error_code: Option<String>,
    /// `errorCode` of the 409s of Auth0 and of the refusal of a second Action where one is allowed. Default none.
    pub conflict_error_code: Option<String>,
    /// `errorCode` of Auth0's 429. Default `too_many_requests`.
    pub too_many_requests_code: Option<String>,
    /// Longest name of an Action, in characters. Default 255; the real number is not published.
    pub action_name_limit: usize,
    /// Default `stays`.
    pub provider_without_action: WithoutAction,
    /// Whether an Action of `custom-phone-provider` has to be bound to be called. Default false: deploying it is enough,
    /// as the vendor's steps have it.
    pub custom_phone_needs_binding: bool,
    /// Scopes granted to tokens; `None` (the default) grants all.
    pub scopes: Option<Vec<String>>,
    /// Default 86400.
    pub token_lifetime_s: u64,
    /// Most log streams per tenant, prioritised ones not counted; `None` (the default) sets no limit.
    pub log_stream_limit: Option<usize>,
    /// Status of the refusal beyond that: 400, 403 (the default) or 409.
    pub log_stream_limit_status: u16,
    /// Most Twilio requests of one account under way at once; more are refused with 429, code 20429. Default 50; the
    /// real number is not published, and a client with 50 at once was reported to run into it.
    pub twilio_concurrency: usize,
    /// False: the Twilio credential may not use Serverless (403, code 70051). Default true.
    pub serverless_allowed: bool,
    /// False: the Twilio credential may not use messaging configurations (403, code 70051), for which no permission of
    /// restricted keys is known. Default true.
    pub messaging_configurations_allowed: bool,
    /// False: `CustomCodeEnabled=true` is taken with 2xx and reads back false. Default true.
    pub custom_code_entitled: bool,
    /// Account of API keys of which the world knows nothing. `None` (the default): the account with the same digits.
    pub default_account: Option<String>,
    /// Most Verify services per account (code 21102). Default 100; the real number is not published.
    pub verify_service_limit: usize,
    /// Most rate limits of a Verify service (code 60207). Default 10; the real number is not published.
    pub verify_rate_limit_limit: usize,
    /// Most buckets of a rate limit (code 60210). Default 10; the real number is not published.
    pub verify_bucket_limit: usize,
    /// Whether reads of a Verify service show what is newer than the published description (`email`, `mailer_sid`).
    /// Not documented. Default false: they are taken and not shown.
    pub newer_verify_fields_shown: bool,
    /// Whether a Verify service can be deleted with rate limits and messaging configurations in it. Default true; when
    /// false, 409 until it is empty.
    pub verify_service_deleted_whole: bool,
    /// Whether a send that names a rate limit which the service does not have is refused. Default true.
    pub unknown_rate_limit_refused: bool,
    /// Most Serverless services per account. Default 50, as reported.
    pub serverless_service_limit: usize,
    /// Status of the refusal of a second Serverless service of a unique name: 409 (the default) or 400.
    pub serverless_name_taken_status: u16,
    /// Whether a second variable of a key is refused with 409. Default true; when false there are two of it.
    pub variable_keys_unique: bool,
    /// Whether an upload of what the newest version holds makes another version. Default true; when false, the reply is
    /// that version.
    pub same_upload_is_new: bool,
    /// The `Date` of every reply is so far ahead of the world's clock, in ms; `None`: replies have none.
    pub date_ahead_ms: Option<i64>,
    /// What the rate-limit headers of the Management API say.
    pub budget_told: BudgetTold,
    /// Builds that no environment serves vanish this long after they ended; `None` (the default) keeps them. (Older
    /// documents speak of an hour.)
    pub unused_builds_expire_ms: Option<u64>,
}

impl Options {
    /// Sets one option by its name. `value` is JSON, or else a bare text.
    ///
    /// # Errors
    /// There is no such option, or the value does not fit; the text says what would.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let mut all = match serde_json::to_value(&*self) {
            Ok(Value::Object(all)) => all,
            _ => return Err("the options cannot be written".into()),
        };
        if !all.contains_key(name) {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(format!("there is no option {name:?}; there are: {}", names.join(", ")));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        all.insert(name.to_owned(), value);
        let new: Options =
            serde_json::from_value(Value::Object(all)).map_err(|error| format!("{name}: {error}"))?;
        if [new.log_stream_limit_status, new.serverless_name_taken_status]
            .iter()
            .any(|status| !(400..500).contains(status))
        {
            return Err(format!("{name}: a status from 400 to 499 is expected"));
        }
        *self = new;
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            latency_ms: 50,
            date_ahead_ms: Some(0),
            budget_told: BudgetTold::AsItIs,
            build_ms: 400,
            build_with_dependencies_ms: 9_000,
            build_failing_ms: 12_000,
            every_build_fails: false,
            deploy_settle_ms: 200,
            bindable_after_ms: 1_000,
            function_build_ms: 4_000,
            rate: Rate::Professional,
            retry_after_on_429: true,
            unified_flag: Flag::On,
            unknown_tenants: true,
            custom_phone_binding: BindingRule::Accepted,
            secret_name_without_value: SecretWithoutValue::Refuse,
            unchanged_secret_moves_time: true,
            latest_reads_back_resolved: true,
            action_names_unique: false,
            phone_provider_list_shows_credentials_null: true,
            custom_provider_patch_needs_action: true,
            provider_must_cover_message_types: false,
            log_streams_show_priority: true,
            built_in_phone_templates_listed: true,
            omitted_filters_kept: false,
            default_protection_is_404: false,
            never_set_reads: NeverSet::Shown,
            unified_error_code: None,
            conflict_error_code: None,
            too_many_requests_code: Some("too_many_requests".into()),
            action_name_limit: 255,
            provider_without_action: WithoutAction::Stays,
            custom_phone_needs_binding: false,
            scopes: None,
            token_lifetime_s: 86_400,
            log_stream_limit: None,
            log_stream_limit_status: 403,
            twilio_concurrency: 50,
            serverless_allowed: true,
            messaging_configurations_allowed: true,
            custom_code_entitled: true,
            default_account: None,
            verify_service_limit: 100,
            verify_rate_limit_limit: 10,
            verify_bucket_limit: 10,
            newer_verify_fields_shown: false,
            verify_service_deleted_whole: true,
            unknown_rate_limit_refused: true,
            serverless_service_limit: 50,
            serverless_name_taken_status: 409,
            variable_keys_unique: true,
            same_upload_is_new: true,
            unused_builds_expire_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_by_name() {
        let mut options = Options::default();
        options.set("action_names_unique", "true").expect("a switch");
        options.set("unified_flag", "absent").expect("a word");
        options.set("log_stream_limit", "2").expect("a number");
        options.set("scopes", "[\"read:actions\"]").expect("a list");
        assert!(options.action_names_unique);
        assert_eq!((options.unified_flag, options.log_stream_limit), (Flag::Absent, Some(2)));
        assert_eq!(options.scopes.as_deref(), Some(["read:actions".to_owned()].as_slice()));
        let error = options.set("colour", "red").expect_err("unknown");
        assert!(error.contains("\"colour\"; there are: latency_ms, "), "{error}");
        let error = options.set("log_stream_limit_status", "200").expect_err("no refusal");
        assert!(error.contains("400 to 499") && options.log_stream_limit_status == 403, "{error}");
        let error = options.set("unified_flag", "maybe").expect_err("no such word");
        assert!(error.contains("unified_flag") && error.contains("`absent`"), "{error}");
    }
}

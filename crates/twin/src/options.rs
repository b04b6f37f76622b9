//! How strict, slow and limited a twin is. Each question that the vendors' documents leave open is a switch here, so
//! that a client can be tested against either answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::traffic::Traffic;

/// Every scope that the twin's Auth0 operations require (Auth0 docs, Management API pages, 2026-08).
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
    /// Never refuses a request. The rate-limit headers are still sent and show a full bucket.
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
    /// The settings do not show the flag, and the legacy calls work (recorded on an older tenant).
    Absent,
    /// The settings do not show the flag, and the unified experience is on. One known client reads an absent flag this
    /// way.
    AbsentOn,
}

/// Whether an Action of the `custom-phone-provider` trigger may be bound. Sources disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingRule {
    Accepted,
    /// A PATCH of the bindings of that trigger answers 400.
    Refused4xx,
}

/// What PATCH of an Action does with a secret that comes without its value. Not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretWithoutValue {
    /// The old value stays. A name without an old value is refused.
    KeepOld,
    Refuse,
}

/// What happens to a `custom` phone provider when the last Action that it could call is deleted. Not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutAction {
    /// The provider stays and has no Action to call.
    Stays,
    Disabled,
    Removed,
    /// The deletion of the Action is refused with 409, even with `force`.
    Refuses,
}

/// What the rate-limit headers of the Management API show. The budget itself is counted as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetTold {
    /// The true numbers.
    AsItIs,
    /// Limit and remaining requests are 0.
    Zero,
    /// Limit and remaining requests are -1.
    Negative,
    /// More remaining requests than the limit.
    TooMuch,
    /// The reset time is ten years ahead.
    InYears,
    /// The reset time is the Unix epoch.
    LongAgo,
    /// Words in place of numbers, in `Retry-After` too.
    Words,
}

/// How a read shows a setting that was never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeverSet {
    /// The default, or an empty object if there is no default.
    Shown,
    /// Status 200 without a body, as some clients see for legacy message texts.
    NoBody,
    /// Status 204.
    NoContent,
    /// An empty object.
    EmptyObject,
}

/// All options of a twin. The defaults are strict and realistic: where the vendor's behaviour is not established, the
/// default is the answer that is harder for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Time from request to reply in milliseconds, without the delay of a fault. Default 50.
    pub latency_ms: u64,
    /// Build time of an Action without dependencies. Default 400 (recorded).
    pub build_ms: u64,
    /// Build time of an Action with dependencies. Default 9000 (recorded).
    pub build_with_dependencies_ms: u64,
    /// Time until a failing build of an Action ends as `failed`. Default 12000 (recorded).
    pub build_failing_ms: u64,
    /// Every build of an Action or a Function fails. Default false.
    pub every_build_fails: bool,
    /// Time from a deploy until reads of the Action show the new version as deployed. Default 200.
    pub deploy_settle_ms: u64,
    /// Time after a deploy during which binding the Action is still refused with 400. Default 1000; tools in use wait 2
    /// s.
    pub bindable_after_ms: u64,
    /// Build time of a Twilio Function. Default 4000.
    pub function_build_ms: u64,
    /// The plan's rate limit. Default `professional`.
    pub rate: Rate,
    /// Whether a 429 of Auth0 carries `Retry-After`. The documents say "may be present". Default true.
    pub retry_after_on_429: bool,
    /// The flag of tenants that first contact creates. Default `on`, as on every tenant since March 2025.
    pub unified_flag: Flag,
    /// Unknown tenants and Twilio accounts are created on first contact. Default true. When false, an unknown tenant
    /// answers 404 and an unknown account 401.
    pub unknown_tenants: bool,
    /// Whether the custom phone trigger accepts bindings. Default `accepted`.
    pub custom_phone_binding: BindingRule,
    /// What a PATCH does with a secret without a value. Default `refuse`.
    pub secret_name_without_value: SecretWithoutValue,
    /// Whether sending an unchanged secret value again changes its `updated_at`. Default true.
    pub unchanged_secret_moves_time: bool,
    /// Whether a dependency sent as `latest` or as a range reads back as a version number. Default true.
    pub latest_reads_back_resolved: bool,
    /// Whether a second Action of the same name is refused with 409. Default false, so that a test notices an Action
    /// created twice.
    pub action_names_unique: bool,
    /// Whether the list of phone providers shows `credentials: null` (recorded once). The read of a single provider
    /// never does. Default true.
    pub phone_provider_list_shows_credentials_null: bool,
    /// Whether a PATCH that changes the provider to `custom` needs a deployed Action, as POST does. Default true. One
    /// recording shows such a PATCH succeed without an Action; nothing more is known of that tenant.
    pub custom_provider_patch_needs_action: bool,
    /// Whether a PATCH of the provider that drops a delivery method in use is refused. Default false: the change is
    /// accepted, and messages of that type stop.
    pub provider_must_cover_message_types: bool,
    /// Whether log streams show `isPriority`. Default true; answers recorded until about 2024 lack it.
    pub log_streams_show_priority: bool,
    /// Whether the list of phone templates shows the built-in ones. Default true, as clients of fresh tenants expect.
    /// On one recorded tenant that had changed most types, the list lacked the unchanged ones.
    pub built_in_phone_templates_listed: bool,
    /// Whether a PATCH of a log stream that omits `filters` keeps them. Default false: it removes them, as it removes
    /// an omitted `pii_config`.
    pub omitted_filters_kept: bool,
    /// Whether GET of the phone provider protection answers 404 while the setting is `default`. Default false.
    pub default_protection_is_404: bool,
    /// How a read shows settings of Guardian's phone factor, branding and protection that were never set. Default
    /// `shown`.
    pub never_set_reads: NeverSet,
    /// `errorCode` of the 403 that legacy phone calls answer while the flag is on. Default none.
    pub unified_error_code: Option<String>,
    /// `errorCode` of every 409 of Auth0, and of the refusal of a second Action for a trigger that allows only one.
    /// Default none.
    pub conflict_error_code: Option<String>,
    /// `errorCode` of Auth0's 429. Default `too_many_requests`.
    pub too_many_requests_code: Option<String>,
    /// Longest name of an Action, in characters. Default 255; the real number is not published.
    pub action_name_limit: usize,
    /// What happens to a `custom` provider whose last Action is deleted. Default `stays`.
    pub provider_without_action: WithoutAction,
    /// Whether an Action of `custom-phone-provider` must be bound before it is called. Default false: deploying is
    /// enough, as in the vendor's instructions.
    pub custom_phone_needs_binding: bool,
    /// Scopes granted to tokens; `None` (the default) grants all.
    pub scopes: Option<Vec<String>>,
    /// Lifetime of a token in seconds. Default 86400.
    pub token_lifetime_s: u64,
    /// Most log streams per tenant, without prioritised ones; `None` (the default) sets no limit.
    pub log_stream_limit: Option<usize>,
    /// Status that refuses a log stream beyond the limit: 400, 403 (the default) or 409.
    pub log_stream_limit_status: u16,
    /// Most concurrent Twilio requests of one account; further ones are refused with 429, code 20429. Default 50. The
    /// real number is not published; a client with 50 concurrent requests was reported to reach it.
    pub twilio_concurrency: usize,
    /// False: no Twilio credential may use Serverless (403, code 70051). Default true.
    pub serverless_allowed: bool,
    /// False: no Twilio credential may use messaging configurations (403, code 70051). No permission of restricted keys
    /// is known for them. Default true.
    pub messaging_configurations_allowed: bool,
    /// False: `CustomCodeEnabled=true` is accepted with 2xx but reads back false. Default true.
    pub custom_code_entitled: bool,
    /// Account of the API keys that the world does not know. `None` (the default): the account with the same digits.
    pub default_account: Option<String>,
    /// Most Verify services per account (code 21102). Default 100; the real number is not published.
    pub verify_service_limit: usize,
    /// Most API keys per account (code 70151). Default 100; the real number is not published.
    pub key_limit: usize,
    /// Most rate limits of a Verify service (code 60207). Default 10; the real number is not published.
    pub verify_rate_limit_limit: usize,
    /// Most buckets of a rate limit (code 60210). Default 10; the real number is not published.
    pub verify_bucket_limit: usize,
    /// Whether reads of a Verify service show the fields that are newer than the published description (`email`,
    /// `mailer_sid`). Not documented. Default false: they are accepted and not shown.
    pub newer_verify_fields_shown: bool,
    /// Whether a Verify service that has rate limits or messaging configurations can be deleted. Default true; when
    /// false, the deletion answers 409 until both are gone.
    pub verify_service_deleted_whole: bool,
    /// Whether starting a verification with a rate limit that the service does not have is refused. Default true.
    pub unknown_rate_limit_refused: bool,
    /// Most Serverless services per account. Default 50, as reported.
    pub serverless_service_limit: usize,
    /// Status that refuses a second Serverless service with the same unique name: 409 (the default) or 400.
    pub serverless_name_taken_status: u16,
    /// Whether a second variable with the same key is refused with 409. Default true; when false, both exist.
    pub variable_keys_unique: bool,
    /// Whether an upload equal to the newest version creates another version. Default true; when false, the reply shows
    /// the newest version.
    pub same_upload_is_new: bool,
    /// How far the `Date` of every reply is ahead of the world's clock, in milliseconds. `None`: replies have no
    /// `Date`.
    pub date_ahead_ms: Option<i64>,
    /// What the rate-limit headers of the Management API show.
    pub budget_told: BudgetTold,
    /// A build that no environment serves vanishes this many milliseconds after it ended; `None` (the default) keeps
    /// it. Older documents speak of an hour.
    pub unused_builds_expire_ms: Option<u64>,
    /// What becomes of users' messages, as the tenant log tells it: the first entry counts whose text the code of the
    /// running version has. Empty (the default): no user asks for anything.
    pub traffic: Vec<Traffic>,
}

impl Options {
    /// Sets one option by its name. `value` is JSON; text that is not JSON counts as a string.
    ///
    /// # Errors
    /// There is no such option, or the value does not fit; the text says what is accepted.
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
            key_limit: 100,
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
            traffic: Vec::new(),
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

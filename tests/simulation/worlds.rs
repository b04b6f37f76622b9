//! The worlds in which a story may begin, as a table: what other people have made in tenant and account.

use lockstep::model::api::Method;
use lockstep::twin::world::{LogStream, PhoneProvider};
use lockstep::twin::{
    ALL_SCOPES, BindingRule, BudgetTold, Flag, MessageFate, NeverSet, Options, Rate, SecretWithoutValue,
    Traffic, TriggerRef, Twin, WithoutAction,
};
use serde_json::json;

use super::dice::Dice;
use super::ground::START_MS;
use super::manifests::{ACCOUNT, DOMAIN};

/// Options of a twin, every one drawn.
pub fn options(dice: &mut Dice) -> Options {
    let one = |dice: &mut Dice| {
        let scope = *dice.pick(ALL_SCOPES);
        ALL_SCOPES.iter().filter(|name| **name != scope).map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let mut options = Options {
        date_ahead_ms: *dice.pick(&[Some(0), Some(0), Some(0), Some(-90_000_000), Some(90_000_000), None]),
        // From a stream of its own, so that no other draw changes.
        budget_told: *dice.fork("budget told").pick(TOLD),
        latency_ms: *dice.pick(&[20, 50, 50, 300]),
        build_ms: *dice.pick(&[100, 400, 3_000]),
        build_with_dependencies_ms: *dice.pick(&[2_000, 9_000, 45_000]),
        build_failing_ms: *dice.pick(&[1_000, 12_000]),
        deploy_settle_ms: *dice.pick(&[0, 200, 3_000]),
        bindable_after_ms: *dice.pick(&[0, 1_000, 6_000]),
        function_build_ms: *dice.pick(&[1_000, 4_000, 20_000]),
        rate: *dice.pick(&[
            Rate::Unlimited,
            Rate::Unlimited,
            Rate::Free,
            Rate::Professional,
            Rate::Enterprise,
        ]),
        retry_after_on_429: dice.chance(50),
        unified_flag: *dice.pick(&[Flag::On, Flag::On, Flag::On, Flag::Off, Flag::Absent]),
        custom_phone_binding: *dice.pick(&[
            BindingRule::Accepted,
            BindingRule::Accepted,
            BindingRule::Refused4xx,
        ]),
        secret_name_without_value: *dice.pick(&[SecretWithoutValue::Refuse, SecretWithoutValue::KeepOld]),
        unchanged_secret_moves_time: dice.chance(50),
        latest_reads_back_resolved: dice.chance(50),
        action_names_unique: dice.chance(30),
        phone_provider_list_shows_credentials_null: dice.chance(50),
        custom_provider_patch_needs_action: dice.chance(70),
        provider_must_cover_message_types: dice.chance(40),
        omitted_filters_kept: dice.chance(50),
        unified_error_code: dice.chance(50).then(|| "feature_not_enabled".to_owned()),
        scopes: if dice.chance(6) { Some(one(dice)) } else { None },
        token_lifetime_s: *dice.pick(&[86_400, 86_400, 86_400, 30, 5]),
        log_stream_limit: if dice.chance(6) { Some(1) } else { None },
        twilio_concurrency: *dice.pick(&[50, 50, 10]),
        serverless_allowed: dice.chance(90),
        custom_code_entitled: dice.chance(96),
        verify_service_limit: *dice.pick(&[100, 100, 100, 2]),
        serverless_service_limit: *dice.pick(&[50, 50, 50, 1]),
        log_streams_show_priority: dice.chance(60),
        built_in_phone_templates_listed: dice.chance(60),
        default_protection_is_404: dice.chance(30),
        // From a stream of its own, so that no other draw changes.
        never_set_reads: *dice.fork("never set").pick(&[
            NeverSet::Shown,
            NeverSet::NoBody,
            NeverSet::NoContent,
            NeverSet::EmptyObject,
        ]),
        // From a stream of its own, so that no other draw changes.
        key_limit: *dice.fork("keys").pick(&[100, 100, 50]),
        verify_rate_limit_limit: *dice.pick(&[10, 10, 10, 1]),
        verify_bucket_limit: *dice.pick(&[10, 10, 10, 1]),
        newer_verify_fields_shown: dice.chance(50),
        unused_builds_expire_ms: if dice.chance(30) { Some(3_600_000) } else { None },
        conflict_error_code: some_code(dice),
        too_many_requests_code: some_code(dice),
        action_name_limit: if dice.chance(6) { *dice.pick(&[24, 30]) } else { 255 },
        provider_without_action: *dice.pick(&[
            WithoutAction::Stays,
            WithoutAction::Disabled,
            WithoutAction::Removed,
            WithoutAction::Refuses,
        ]),
        custom_phone_needs_binding: dice.chance(50),
        log_stream_limit_status: *dice.pick(&[400, 403, 409]),
        messaging_configurations_allowed: dice.chance(92),
        verify_service_deleted_whole: dice.chance(50),
        unknown_rate_limit_refused: dice.chance(50),
        serverless_name_taken_status: *dice.pick(&[400, 409]),
        variable_keys_unique: dice.chance(50),
        same_upload_is_new: dice.chance(50),
        unknown_tenants: dice.chance(80),
        default_account: dice.chance(20).then(|| ACCOUNT.to_owned()),
        every_build_fails: dice.chance(3),
        traffic: traffic(&mut dice.fork("traffic")),
    };
    if options.unified_flag == Flag::On && dice.chance(15) {
        options.unified_flag = Flag::AbsentOn;
    }
    // The one code that has another meaning, too: some say that plans are refused with it as well.
    if dice.chance(15) {
        options.unified_error_code = Some("insufficient_scope".into());
    }
    // If a trigger needs a binding and cannot be bound, nothing can be sent at all.
    options.custom_phone_needs_binding &= options.custom_phone_binding == BindingRule::Accepted;
    options
}

/// What users do meanwhile: in every third world messages are sent, and some of those fail.
fn traffic(dice: &mut Dice) -> Vec<Traffic> {
    let fate = *dice.pick(&[MessageFate::Sent, MessageFate::Crashes, MessageFate::FailsForSome]);
    let one = Traffic {
        every_ms: 1_800_000,
        fate,
        vendor_code: *dice.pick(&[20_003, 60_410]),
        ..Traffic::default()
    };
    if dice.chance(33) { vec![one] } else { Vec::new() }
}

/// What headers report of the budget: mostly the truth.
const TOLD: &[BudgetTold] = {
    use BudgetTold::{AsItIs, InYears, LongAgo, Negative, TooMuch, Words, Zero};
    &[
        AsItIs, AsItIs, AsItIs, AsItIs, AsItIs, AsItIs, AsItIs, AsItIs, AsItIs, Zero, Zero, Negative,
        TooMuch, InYears, LongAgo, Words,
    ]
};

/// An error code that no recording shows: none, an obvious one, or one that has another meaning elsewhere.
fn some_code(dice: &mut Dice) -> Option<String> {
    let code = *dice.pick(&[None, Some("too_many_requests"), Some("insufficient_scope")]);
    code.map(str::to_owned)
}

/// Buys, grants and raises the plan, scopes and limits that stood in the way.
pub fn grant_all(twin: &mut Twin) {
    let options = &mut twin.options;
    options.scopes = None;
    options.log_stream_limit = None;
    options.messaging_configurations_allowed = true;
    options.action_name_limit = 255;
    options.every_build_fails = false;
    options.custom_code_entitled = true;
    options.verify_service_limit = 100;
    options.serverless_service_limit = 50;
    options.verify_rate_limit_limit = 10;
    options.verify_bucket_limit = 10;
    let tenant = twin.tenant_mut(DOMAIN);
    tenant.factors_outside_plan.clear();
    tenant.adaptive_mfa = true;
    tenant.failing_builds = 0;
    // A token keeps the scopes with which it was made, so all tokens are dropped.
    tenant.tokens.clear();
}

/// Something that a tenant may contain at the start.
pub struct Part {
    pub name: &'static str,
    pub percent: u64,
    pub make: fn(&mut Twin, &mut Dice),
}

const fn part(name: &'static str, percent: u64, make: fn(&mut Twin, &mut Dice)) -> Part {
    Part { name, percent, make }
}

const BEFORE_MS: u64 = START_MS - 86_400_000;

pub const PARTS: &[Part] = &[
    part("other people's Actions and bindings", 50, |twin, _| {
        for (name, trigger, version) in
            [("Their enrichment", "post-login", "v3"), ("Their hook", "post-change-password", "v2")]
        {
            let id =
                twin.world.add_deployed_action(DOMAIN, name, &TriggerRef::new(trigger, version), BEFORE_MS);
            twin.world.bind(DOMAIN, trigger, &id, name, BEFORE_MS);
        }
    }),
    part("other people's stream", 30, |twin, _| {
        twin.tenant_mut(DOMAIN).log_streams.push(stream("lst_0000000000000042", "Their stream", "JSONLINES"));
    }),
    part("other people's feedback", 15, |twin, _| {
        twin.tenant_mut(DOMAIN).log_streams.push(stream(
            "lst_0000000000000043",
            "Their feedback",
            "JSONARRAY",
        ));
    }),
    part("a stream of our name", 8, |twin, _| {
        twin.tenant_mut(DOMAIN).log_streams.push(stream(
            "lst_0000000000000044",
            "Lockstep feedback (acme-login)",
            "JSONARRAY",
        ));
    }),
    part("other people's Verify service", 30, |twin, _| service(twin, "Their brand")),
    part("a Verify service of our name", 8, |twin, _| service(twin, "Acme")),
    part("other factors", 40, |twin, dice| {
        let tenant = twin.tenant_mut(DOMAIN);
        tenant.factors.iter_mut().filter(|factor| factor.name != "sms").for_each(|factor| {
            factor.enabled = dice.chance(30);
        });
    }),
    part("codes by the vendor's own provider", 25, |twin, _| {
        let tenant = twin.tenant_mut(DOMAIN);
        tenant.phone_providers.push(PhoneProvider {
            id: "pro_1111111111111111111117".into(),
            name: "twilio".into(),
            disabled: false,
            configuration:
                json!({"delivery_methods": ["text"], "sid": ACCOUNT, "default_from": "+15005550006"})
                    .as_object()
                    .expect("object")
                    .clone(),
            credentials: json!({"auth_token": "t"}).as_object().expect("object").clone(),
            created_at: "2026-01-01T00:00:00.000Z".into(),
            updated_at: "2026-01-01T00:00:00.000Z".into(),
        });
        if tenant.unified() {
            phone_on(twin, &["sms"]);
        }
    }),
    part("codes by the legacy set-up", 60, |twin, dice| {
        let chosen = *dice.pick(&["auth0", "twilio"]);
        let tenant = twin.tenant_mut(DOMAIN);
        if !tenant.unified() {
            tenant.legacy_phone.selected_provider = chosen.into();
            phone_on(twin, &["sms"]);
        }
    }),
    part("the policy asks everybody", 20, |twin, _| {
        let tenant = twin.tenant_mut(DOMAIN);
        tenant
            .factors
            .iter_mut()
            .filter(|factor| factor.name == "otp")
            .for_each(|factor| factor.enabled = true);
        tenant.policies = vec!["all-applications".into()];
    }),
    part("our Action by hand, bound", 10, |twin, _| {
        let trigger = TriggerRef::new("custom-phone-provider", "v1");
        let name = "Lockstep phone (acme-login)";
        let id = twin.world.add_deployed_action(DOMAIN, name, &trigger, BEFORE_MS);
        twin.world.bind(DOMAIN, "custom-phone-provider", &id, name, BEFORE_MS);
    }),
    part("somebody else's phone Action", 5, |twin, _| {
        let trigger = TriggerRef::new("custom-phone-provider", "v1");
        twin.world.add_deployed_action(DOMAIN, "Their phone", &trigger, BEFORE_MS);
    }),
    part("an Action of our name on another trigger", 2, |twin, _| {
        let trigger = TriggerRef::new("post-login", "v3");
        twin.world.add_deployed_action(DOMAIN, "Lockstep phone (acme-login)", &trigger, BEFORE_MS);
    }),
    part("a post-login Action that asks for the phone", 12, |twin, _| {
        let trigger = TriggerRef::new("post-login", "v3");
        let id = twin.world.add_deployed_action(DOMAIN, "Their challenge", &trigger, BEFORE_MS);
        twin.world.bind(DOMAIN, "post-login", &id, "Their challenge", BEFORE_MS);
        let tenant = twin.tenant_mut(DOMAIN);
        let code = "exports.onExecutePostLogin = async (event, api) => {\n\
                    api.authentication.challengeWith({ type: 'phone' }); };\n";
        if let Some(action) = tenant.action_mut(&id) {
            action.code = code.into();
            action.versions.iter_mut().for_each(|version| version.code = code.into());
        }
        tenant.settings.insert("customize_mfa_in_postlogin_action".into(), json!(true));
    }),
    part("a tenant full of Actions", 4, |twin, dice| {
        let trigger = TriggerRef::new("post-user-registration", "v2");
        let most = *dice.pick(&[97, 98, 99, 100]);
        for number in twin.tenant_mut(DOMAIN).actions.len()..most {
            twin.world.add_deployed_action(DOMAIN, &format!("Theirs {number}"), &trigger, BEFORE_MS);
        }
    }),
    part("classic login", 20, |twin, _| {
        twin.tenant_mut(DOMAIN).prompts.universal_login_experience = "classic".into();
    }),
    part("factors outside the plan", 6, |twin, dice| {
        let name = *dice.pick(&["email", "duo", "webauthn-roaming"]);
        twin.tenant_mut(DOMAIN).factors_outside_plan = vec![name.into()];
    }),
    part("adaptive MFA", 80, |twin, _| twin.tenant_mut(DOMAIN).adaptive_mfa = true),
    part("builds that fail", 8, |twin, dice| {
        twin.tenant_mut(DOMAIN).failing_builds = u32::try_from(dice.below(3)).unwrap_or(0) + 1;
    }),
];

fn phone_on(twin: &mut Twin, types: &[&str]) {
    let tenant = twin.tenant_mut(DOMAIN);
    tenant.factors.iter_mut().filter(|factor| factor.name == "sms").for_each(|factor| factor.enabled = true);
    tenant.message_types = Some(types.iter().map(|kind| (*kind).to_owned()).collect());
}

pub fn stream(id: &str, name: &str, format: &str) -> LogStream {
    let host = if format == "JSONARRAY" { "their-feedback.example" } else { "their.example" };
    let sink = json!({"httpEndpoint": format!("https://{host}/logs"), "httpContentFormat": format,
        "httpContentType": "application/json", "httpAuthorization": "theirs"});
    LogStream {
        id: id.into(),
        name: Some(name.into()),
        r#type: "http".into(),
        status: "active".into(),
        sink: sink.as_object().expect("object").clone(),
        filters: None,
        pii_config: None,
        is_priority: false,
    }
}

pub fn service(twin: &mut Twin, name: &str) {
    let form = [("FriendlyName", name), ("CustomCodeEnabled", "true"), ("CodeLength", "6")];
    twin.world.account_mut(ACCOUNT);
    twin.operate_account(ACCOUNT, "verify.twilio.com", Method::Post, "/v2/Services", &form, BEFORE_MS);
}

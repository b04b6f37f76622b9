//! Questions about a world that no single read of the vendors' APIs answers: would a phone message get through, and
//! could a user still log in? The simulation asks them after every request. The checkers do not know who wrote what, or
//! why.
//!
//! The checkers do not read the code of an Action or a Function, with one exception: they count the rate limits that a
//! line ending with `// lockstep:rate-limits` assigns as passed. An Action counts as sending through Twilio Verify when
//! it holds the secret `TWILIO_VERIFY_SID`, as the documented recipe does.

use std::fmt;

use serde_json::{Map, Value};

use super::world::{Account, Action, ActionVersion, LogStream, Tenant, VerifyService, World};

/// Why a phone message would not get through, or would soon stop doing so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhoneProblem {
    /// The factor is on, but no message type is set.
    NoMessageTypes,
    /// Unified experience: there is no enabled provider.
    NoProvider,
    /// Unified experience: the provider does not deliver one of the message types.
    TypeNotDelivered,
    /// No deployed Action stands behind the custom provider or the phone message hook.
    NoDeployedAction,
    /// More than one Action sends the message.
    SentTwice,
    /// The running version names an account that does not exist or is not active.
    AccountGone,
    /// The running version's token or key is wrong, deleted, or may not start a verification.
    CredentialsDead,
    /// The running version names a Verify service that does not exist.
    VerifyServiceGone,
    /// The Verify service does not accept custom codes, which Auth0 sends.
    CustomCodesOff,
    /// The running version passes a rate limit that the Verify service does not have.
    RateLimitGone,
    /// Nothing tells Twilio of successful logins, so it refuses the sixth message within ten minutes.
    NoFeedback,
}

impl fmt::Display for PhoneProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PhoneProblem::NoMessageTypes => "the phone factor has no message types",
            PhoneProblem::NoProvider => "there is no enabled phone provider",
            PhoneProblem::TypeNotDelivered => "the phone provider does not deliver a message type in use",
            PhoneProblem::NoDeployedAction => "no deployed Action sends the message",
            PhoneProblem::SentTwice => "more than one Action sends the message",
            PhoneProblem::AccountGone => "the Twilio account of the running Action is gone",
            PhoneProblem::CredentialsDead => "the Twilio credentials of the running Action are dead",
            PhoneProblem::VerifyServiceGone => "the Verify service of the running Action is gone",
            PhoneProblem::CustomCodesOff => "the Verify service does not take custom codes",
            PhoneProblem::RateLimitGone => "the running Action passes a rate limit that is not there",
            PhoneProblem::NoFeedback => "no log stream reports successful logins",
        })
    }
}

/// The problems that stop phone messages of a tenant, sorted. Empty when the phone factor is off or there is no
/// problem.
pub fn phone_problems(world: &World, domain: &str) -> Vec<PhoneProblem> {
    let Some(tenant) = world.tenants.get(domain) else { return Vec::new() };
    if !tenant.factor_enabled("sms") {
        return Vec::new();
    }
    delivery_problems(world, tenant)
}

/// Whether a policy requires a second factor that no user could give: only the phone factor is on, or none, and phone
/// messages do not get through. A missing feedback path alone does not stop them.
pub fn locked_out(world: &World, domain: &str) -> bool {
    let Some(tenant) = world.tenants.get(domain) else { return false };
    if tenant.policies.is_empty() {
        return false;
    }
    // A recovery code alone is not enough: another factor must be enrolled first.
    let other = |name: &str| name != "sms" && name != "recovery-code";
    if tenant.factors.iter().any(|factor| factor.enabled && other(&factor.name)) {
        return false;
    }
    !tenant.factor_enabled("sms")
        || phone_problems(world, domain).iter().any(|problem| *problem != PhoneProblem::NoFeedback)
}

fn delivery_problems(world: &World, tenant: &Tenant) -> Vec<PhoneProblem> {
    let mut problems = Vec::new();
    let types = tenant.message_types.as_deref().unwrap_or_default();
    if types.is_empty() {
        problems.push(PhoneProblem::NoMessageTypes);
    }
    let senders: Vec<&Action> = if tenant.unified() {
        match tenant.phone_providers.iter().find(|provider| !provider.disabled) {
            None => {
                problems.push(PhoneProblem::NoProvider);
                return problems;
            }
            Some(provider) => {
                let methods = provider.delivery_methods();
                let word = |kind: &String| if kind == "sms" { "text" } else { "voice" };
                if types.iter().any(|kind| !methods.contains(&word(kind))) {
                    problems.push(PhoneProblem::TypeNotDelivered);
                }
                if provider.name != "custom" {
                    return problems;
                }
                // There is at most one such Action. As far as documented, it delivers messages whether or not it is
                // bound.
                tenant.actions.iter().filter(|action| action.supports("custom-phone-provider")).collect()
            }
        }
    } else {
        if tenant.legacy_phone.selected_provider != "phone-message-hook" {
            return problems;
        }
        let bound = tenant.bound("send-phone-message");
        bound.iter().filter_map(|binding| tenant.action(&binding.action_id)).collect()
    };
    let running: Vec<&ActionVersion> = senders.iter().filter_map(|action| action.live_version()).collect();
    match running.as_slice() {
        [] => problems.push(PhoneProblem::NoDeployedAction),
        [version] => sender_problems(world, tenant, version, &mut problems),
        [_, ..] => problems.push(PhoneProblem::SentTwice),
    }
    problems.sort();
    problems
}

fn sender_problems(
    world: &World,
    tenant: &Tenant,
    version: &ActionVersion,
    problems: &mut Vec<PhoneProblem>,
) {
    let secret = |name: &str| version.secret(name).map(|secret| secret.value.as_str());
    let Some(service_sid) = secret("TWILIO_VERIFY_SID") else { return };
    let account_sid = secret("TWILIO_ACCOUNT_SID").unwrap_or_default();
    let account = world.accounts.get(account_sid).filter(|account| account.status == "active");
    let Some(account) = account else {
        problems.push(PhoneProblem::AccountGone);
        return;
    };
    let alive = match (secret("TWILIO_API_KEY"), secret("TWILIO_API_SECRET"), secret("TWILIO_AUTH_TOKEN")) {
        (Some(key), Some(secret), _) => {
            key_may(world, account, key, secret, "/twilio/verify/verification/create")
        }
        (_, _, Some(token)) => account.auth_token.as_deref().is_none_or(|known| known == token),
        _ => false,
    };
    if !alive {
        problems.push(PhoneProblem::CredentialsDead);
    }
    match account.verify_service(service_sid) {
        None => problems.push(PhoneProblem::VerifyServiceGone),
        Some(service) if !service.flag("custom_code_enabled") => problems.push(PhoneProblem::CustomCodesOff),
        Some(service) if passes_unknown_limit(version, service) => problems.push(PhoneProblem::RateLimitGone),
        Some(_) => {}
    }
    if !tenant.log_streams.iter().any(|stream| feeds_back(world, stream)) {
        problems.push(PhoneProblem::NoFeedback);
    }
}

fn passes_unknown_limit(version: &ActionVersion, service: &VerifyService) -> bool {
    let line = version.code.lines().find(|line| line.ends_with("// lockstep:rate-limits"));
    let braces = line.and_then(|line| line.get(line.find('{')?..=line.rfind('}')?));
    let passed: Option<Map<String, Value>> = braces.and_then(|text| serde_json::from_str(text).ok());
    let known = |name: &String| service.rate_limits.iter().any(|limit| limit.unique_name == *name);
    passed.is_some_and(|limits| !limits.keys().all(known))
}

/// Whether a key may use one permission. A key that the world does not know may.
fn key_may(world: &World, account: &Account, sid: &str, secret: &str, permission: &str) -> bool {
    let Some(key) = world.keys.get(sid) else { return true };
    let allowed = key.kind != super::world::KeyKind::Restricted
        || key.allow.iter().any(|allow| {
            allow == permission || allow.strip_suffix('*').is_some_and(|stem| permission.starts_with(stem))
        });
    !key.deleted
        && allowed
        && key.account_sid == account.sid
        && key.secret.as_deref().is_none_or(|known| known == secret)
}

/// Whether a log stream reports successful second factors, in a readable form, to a Function that is deployed.
///
/// Successful MFA is in category `other`, and a Function's gateway reads only JSON lists and objects.
fn feeds_back(world: &World, stream: &LogStream) -> bool {
    let text = |name: &str| stream.sink.get(name).and_then(Value::as_str).unwrap_or_default();
    let readable = ["JSONARRAY", "JSONOBJECT"].contains(&text("httpContentFormat"))
        && text("httpContentType").starts_with("application/json");
    let filtered = stream.filters.as_ref().is_some_and(|filters| {
        !filters.iter().any(|filter| filter.get("name").and_then(Value::as_str) == Some("other"))
    });
    let masked = stream.pii_config.as_ref().is_some_and(|pii| {
        let fields = pii.get("log_fields").and_then(Value::as_array);
        fields.is_some_and(|fields| fields.iter().any(|field| field == "phone"))
    });
    let active = stream.r#type == "http" && stream.status == "active" && !stream.is_priority;
    active
        && readable
        && !filtered
        && !masked
        && serves(world, text("httpEndpoint"), text("httpAuthorization"))
}

/// Whether the URL is a public path of a deployed Function that knows the authorization sent. A URL outside Twilio's
/// `.twil.io` is assumed to work.
fn serves(world: &World, url: &str, authorization: &str) -> bool {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !host.ends_with(".twil.io") {
        return true;
    }
    let services = world.accounts.values().flat_map(|account| &account.serverless_services);
    services.into_iter().any(|service| {
        service.environments.iter().filter(|one| one.domain_name == host).any(|environment| {
            // The Function holds the value in a variable, with or without a scheme such as `Bearer` before it.
            let known = |value: &str| !value.is_empty() && authorization.ends_with(value);
            let versions = || service.functions.iter().flat_map(|function| &function.versions);
            (authorization.is_empty() || environment.variables.iter().any(|one| known(&one.value)))
                && service
                    .builds
                    .iter()
                    .filter(|build| Some(&build.sid) == environment.build_sid.as_ref())
                    .any(|build| {
                        versions().any(|version| {
                            build.function_versions.contains(&version.sid)
                                && version.path == path
                                && version.visibility == "public"
                        })
                    })
        })
    })
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::json;

    use super::super::bench::{ACCOUNT, Bench, DOMAIN, decode};
    use super::super::world::{FunctionBuild, FunctionVersion};
    use super::*;

    /// A whole stack without a Function: its log stream goes to another server.
    fn stack() -> Bench {
        let mut bench = Bench::new();
        let form = [("FriendlyName", "Acme"), ("CustomCodeEnabled", "true")];
        let (_, service) = bench.twilio(Method::Post, "verify.twilio.com/v2/Services", &form);
        let body = json!({"name": "p", "code": "x",
            "supported_triggers": [{"id": "custom-phone-provider", "version": "v1"}],
            "secrets": [{"name": "TWILIO_ACCOUNT_SID", "value": ACCOUNT},
                {"name": "TWILIO_AUTH_TOKEN", "value": "t"},
                {"name": "TWILIO_VERIFY_SID", "value": service["sid"]}]});
        let (_, action) = bench.post("/actions/actions", &body);
        bench.now_ms += 60_000;
        let deploy = format!("/actions/actions/{}/deploy", action["id"].as_str().unwrap_or_default());
        decode(bench.raw(Method::Post, &deploy, None));
        let provider =
            json!({"name": "custom", "credentials": {}, "configuration": {"delivery_methods": ["text"]}});
        bench.post("/branding/phone/providers", &provider);
        bench.put("/guardian/factors/sms", &json!({"enabled": true}));
        bench.put("/guardian/factors/phone/message-types", &json!({"message_types": ["sms"]}));
        let stream = json!({"type": "http", "filters": [{"type": "category", "name": "other"}],
            "sink": {"httpEndpoint": "https://x.example/logs", "httpContentFormat": "JSONARRAY",
                "httpContentType": "application/json"}});
        bench.post("/log-streams", &stream);
        bench.put("/guardian/policies", &json!(["all-applications"]));
        bench
    }

    #[test]
    fn a_whole_stack_has_no_problem() {
        let bench = stack();
        assert_eq!(phone_problems(&bench.twin.world, DOMAIN), []);
        assert!(!locked_out(&bench.twin.world, DOMAIN));
    }

    #[test]
    fn every_missing_part_is_found() {
        type Break = fn(&mut World);
        let cases: [(Break, PhoneProblem, bool); 9] = [
            (|world| world.tenant_mut(DOMAIN).message_types = None, PhoneProblem::NoMessageTypes, true),
            (|world| world.tenant_mut(DOMAIN).phone_providers.clear(), PhoneProblem::NoProvider, true),
            (
                |world| world.tenant_mut(DOMAIN).message_types = Some(vec!["voice".into()]),
                PhoneProblem::TypeNotDelivered,
                true,
            ),
            (|world| world.tenant_mut(DOMAIN).actions.clear(), PhoneProblem::NoDeployedAction, true),
            (|world| world.account_mut(ACCOUNT).status = "closed".into(), PhoneProblem::AccountGone, true),
            (
                |world| world.account_mut(ACCOUNT).auth_token = Some("new".into()),
                PhoneProblem::CredentialsDead,
                true,
            ),
            (
                |world| world.account_mut(ACCOUNT).verify_services.clear(),
                PhoneProblem::VerifyServiceGone,
                true,
            ),
            (
                |world| {
                    let service = &mut world.account_mut(ACCOUNT).verify_services[0];
                    service.settings.insert("custom_code_enabled".into(), json!(false));
                },
                PhoneProblem::CustomCodesOff,
                true,
            ),
            (
                |world| world.tenant_mut(DOMAIN).log_streams[0].status = "paused".into(),
                PhoneProblem::NoFeedback,
                false,
            ),
        ];
        for (break_it, expected, locks_out) in cases {
            let mut world = stack().twin.world;
            break_it(&mut world);
            assert_eq!(phone_problems(&world, DOMAIN), [expected]);
            assert_eq!(locked_out(&world, DOMAIN), locks_out, "{expected}");
            world.tenant_mut(DOMAIN).factors[2].enabled = true;
            assert!(!locked_out(&world, DOMAIN), "another factor is on");
        }
    }

    #[test]
    fn a_policy_without_any_factor_locks_out() {
        let mut world = World::new(1);
        world.tenant_mut(DOMAIN).policies = vec!["all-applications".into()];
        assert!(locked_out(&world, DOMAIN));
        world.tenant_mut(DOMAIN).policies.clear();
        assert!(!locked_out(&world, DOMAIN));
    }

    #[test]
    fn a_stream_to_a_function_needs_one_that_serves_and_knows_the_authorization() {
        let mut bench = stack();
        let now_ms = bench.now_ms;
        let host = "serverless.twilio.com";
        let mut make = |path: &str, form: &[(&str, &str)]| {
            let (status, made) = bench.twin.operate_account(ACCOUNT, host, Method::Post, path, form, now_ms);
            assert_eq!(status, 201, "{made}");
            made["sid"].as_str().unwrap_or_default().to_owned()
        };
        make("/v1/Services", &[("UniqueName", "fb"), ("FriendlyName", "f")]);
        let environment = make("/v1/Services/fb/Environments", &[("UniqueName", "production")]);
        let variables = format!("/v1/Services/fb/Environments/{environment}/Variables");
        make(&variables, &[("Key", "WEBHOOK_SECRET"), ("Value", "hush")]);
        make("/v1/Services/fb/Functions", &[("FriendlyName", "logs")]);
        let mut world = bench.twin.world;
        let domain = world.account_mut(ACCOUNT).serverless_services[0].environments[0].domain_name.clone();
        let sink = &mut world.tenant_mut(DOMAIN).log_streams[0].sink;
        sink.insert("httpEndpoint".into(), json!(format!("https://{domain}/logs")));
        sink.insert("httpAuthorization".into(), json!("hush"));
        assert_eq!(phone_problems(&world, DOMAIN), [PhoneProblem::NoFeedback], "nothing is deployed");
        let service = &mut world.account_mut(ACCOUNT).serverless_services[0];
        service.functions[0].versions.push(FunctionVersion {
            sid: "ZN1".into(),
            path: "/logs".into(),
            visibility: "public".into(),
            content: String::new(),
            created_at_ms: 0,
        });
        service.builds.push(FunctionBuild {
            sid: "ZB1".into(),
            function_versions: vec!["ZN1".into()],
            dependencies: Vec::new(),
            runtime: "node22".into(),
            created_at_ms: 0,
            ends_at_ms: 0,
            fails: false,
        });
        service.environments[0].build_sid = Some("ZB1".into());
        assert_eq!(phone_problems(&world, DOMAIN), []);
        world.account_mut(ACCOUNT).serverless_services[0].environments[0].variables[0].value = "other".into();
        assert_eq!(phone_problems(&world, DOMAIN), [PhoneProblem::NoFeedback]);
    }
}

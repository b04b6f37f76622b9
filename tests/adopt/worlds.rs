//! What a world has that a manifest can say, as plain data: two worlds are compared by it, without any reader of ours.

use std::collections::BTreeMap;

use lockstep::twin::world::{Action, Dependency, Secret, ServerlessService, Tenant};
use lockstep::twin::{Account, Flag, World};
use serde_json::{Value as Json, json};

use crate::support::{ACCOUNT, DOMAIN};

/// Everything in scope. Ids and what follows from them have names instead.
pub fn picture(world: &World) -> Json {
    // Nobody has asked for anything yet in a world without tenant and account.
    let account = world.accounts.get(ACCOUNT).cloned().unwrap_or_else(|| Account::fresh(ACCOUNT));
    let of_tenant = world.tenants.get(DOMAIN).cloned().unwrap_or_else(|| Tenant::fresh(DOMAIN, Flag::On));
    let mut names: Vec<(String, &str)> =
        account.verify_services.iter().map(|one| (one.sid.clone(), "(the Verify service)")).collect();
    for service in &account.serverless_services {
        names.extend(service.environments.iter().map(|one| (one.domain_name.clone(), "(the environment)")));
    }
    let services: BTreeMap<&str, Json> = account
        .verify_services
        .iter()
        .map(|one| {
            let limits: BTreeMap<&str, Json> = one
                .rate_limits
                .iter()
                .map(|limit| {
                    let buckets: BTreeMap<u64, u64> =
                        limit.buckets.iter().map(|bucket| (bucket.interval, bucket.max)).collect();
                    (limit.unique_name.as_str(), json!([limit.description, buckets]))
                })
                .collect();
            let countries: BTreeMap<&str, &str> = one
                .messaging_configurations
                .iter()
                .map(|(country, one)| (country.as_str(), one.messaging_service_sid.as_str()))
                .collect();
            (one.friendly_name.as_str(), json!([one.settings, limits, countries]))
        })
        .collect();
    let functions: Vec<Json> = account
        .serverless_services
        .iter()
        .filter(|service| !service.unique_name.starts_with("lockstep-lease"))
        .map(function)
        .collect();
    let whole = json!({
        "tenant": tenant(&of_tenant),
        "services": services,
        "functions": functions,
    });
    let mut text = whole.to_string();
    for (id, name) in names {
        text = text.replace(&id, name);
    }
    serde_json::from_str(&text).expect("JSON")
}

fn packages(list: &[Dependency]) -> BTreeMap<&str, &str> {
    list.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect()
}

fn secrets(list: &[Secret]) -> BTreeMap<&str, &str> {
    list.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect()
}

fn action(action: &Action) -> Json {
    let live = action
        .live_version()
        .map(|live| json!([live.code, packages(&live.dependencies), live.runtime, secrets(&live.secrets)]));
    let draft =
        json!([action.code, packages(&action.dependencies), action.runtime, secrets(&action.secrets)]);
    json!({ "name": action.name, "triggers": action.supported_triggers, "live": live, "draft": draft })
}

fn tenant(tenant: &Tenant) -> Json {
    let actions = tenant.actions.iter().filter(|one| !one.name.starts_with("Lockstep ledger ("));
    let name = |id: &str| tenant.action(id).map(|one| one.name.as_str()).unwrap_or_default();
    let bindings: BTreeMap<&str, Vec<Json>> = tenant
        .bindings
        .iter()
        .filter(|(_, bound)| !bound.is_empty())
        .map(|(trigger, bound)| {
            let entries = bound.iter().map(|one| json!([name(&one.action_id), one.display_name]));
            (trigger.as_str(), entries.collect())
        })
        .collect();
    let mut actions: Vec<Json> = actions.map(action).collect();
    actions.sort_by_key(Json::to_string);
    let mut streams: Vec<Json> = tenant
        .log_streams
        .iter()
        .map(|one| {
            json!({ "name": one.name, "type": one.r#type, "status": one.status, "sink": one.sink, "filters": one.filters,
                "pii": one.pii_config, "priority": one.is_priority })
        })
        .collect();
    streams.sort_by_key(Json::to_string);
    let providers: Vec<Json> =
        tenant.phone_providers.iter().map(|one| json!([one.name, one.disabled, one.configuration])).collect();
    let templates: BTreeMap<&str, Json> = tenant
        .phone_templates
        .iter()
        .map(|one| (one.r#type.as_str(), json!([one.disabled, one.content])))
        .collect();
    let off = |value: Option<bool>| value.unwrap_or(false);
    json!({
        "actions": actions,
        "bindings": bindings,
        "factors": tenant.factors,
        "message types": tenant.message_types.clone().unwrap_or_default(),
        "policies": tenant.policies,
        "legacy": tenant.legacy_phone,
        "providers": providers,
        "templates": templates,
        "protection": tenant.phone_provider_protection,
        "streams": streams,
        "login": [tenant.prompts.universal_login_experience, off(tenant.prompts.identifier_first),
            off(tenant.prompts.webauthn_platform_first_factor)],
        "branding": tenant.branding,
        "unified": tenant.settings.get("phone_consolidated_experience"),
        "customize": tenant.settings.get("customize_mfa_in_postlogin_action") == Some(&json!(true)),
    })
}

fn function(service: &ServerlessService) -> Json {
    let environments: BTreeMap<&str, Json> = service
        .environments
        .iter()
        .map(|one| {
            let build = service.builds.iter().find(|build| Some(&build.sid) == one.build_sid.as_ref());
            let served = build.map(|build| {
                let versions: Vec<Json> = service
                    .functions
                    .iter()
                    .flat_map(|function| &function.versions)
                    .filter(|version| build.function_versions.contains(&version.sid))
                    .map(|version| json!([version.path, version.visibility, version.content]))
                    .collect();
                json!([versions, packages(&build.dependencies), build.runtime])
            });
            let variables: BTreeMap<&str, &str> =
                one.variables.iter().map(|one| (one.key.as_str(), one.value.as_str())).collect();
            (one.unique_name.as_str(), json!([served, variables]))
        })
        .collect();
    json!({ "name": service.unique_name, "called": service.friendly_name, "credentials": service.include_credentials,
        "editable": service.ui_editable, "environments": environments })
}

/// The places at which two pictures differ.
pub fn differences(one: &Json, other: &Json) -> Vec<String> {
    fn walk(at: &str, one: &Json, other: &Json, out: &mut Vec<String>) {
        match (one, other) {
            (Json::Object(left), Json::Object(right)) => {
                let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
                for key in keys {
                    let none = Json::Null;
                    walk(
                        &format!("{at}/{key}"),
                        left.get(key).unwrap_or(&none),
                        right.get(key).unwrap_or(&none),
                        out,
                    );
                }
            }
            (Json::Array(left), Json::Array(right)) if left.len() == right.len() => {
                for (index, (left, right)) in left.iter().zip(right).enumerate() {
                    walk(&format!("{at}/{index}"), left, right, out);
                }
            }
            _ if one == other => {}
            _ => {
                let short = |json: &Json| json.to_string().chars().take(200).collect::<String>();
                out.push(format!("{at}: {} and {}", short(one), short(other)));
            }
        }
    }
    let mut out = Vec::new();
    walk("", one, other, &mut out);
    out
}

/// The value that a secret has in a world, by the key of the manifest that takes it.
pub fn secret(world: &World, key: &[&str]) -> Option<String> {
    let (tenant, account) = (&world.tenants[DOMAIN], world.accounts.get(ACCOUNT));
    let header = |stream: &lockstep::twin::world::LogStream, rest: &[&str]| match rest {
        ["authorization"] => stream.sink.get("httpAuthorization")?.as_str().map(str::to_owned),
        ["custom_headers", name] => stream
            .sink
            .get("httpCustomHeaders")?
            .as_array()?
            .iter()
            .find(|one| one["header"] == json!(name))
            .and_then(|one| one["value"].as_str().map(str::to_owned)),
        _ => None,
    };
    // As the keys of streams are made of their names.
    let called = |stream: &lockstep::twin::world::LogStream| {
        stream.name.clone().unwrap_or_default().to_ascii_lowercase().replace(' ', "_")
    };
    let variable = |name: &str| {
        let all =
            account.into_iter().flat_map(|one| &one.serverless_services).flat_map(|one| &one.environments);
        all.filter_map(|one| one.variable(name)).map(|one| one.value.clone()).next()
    };
    match key {
        ["action", "secrets", name] => {
            tenant.actions.iter().find_map(|one| one.secret(name)).map(|one| one.value.clone())
        }
        ["feedback", "action", key] => {
            let name = if *key == "api_key" { "TWILIO_API_KEY" } else { "TWILIO_API_SECRET" };
            let mut on_login = tenant.actions.iter().filter(|one| one.supports("post-login"));
            on_login.find_map(|one| one.secret(name)).map(|one| one.value.clone())
        }
        ["feedback", "function", "api_key"] => variable("TWILIO_API_KEY"),
        ["feedback", "function", "api_secret"] => variable("TWILIO_API_SECRET"),
        ["feedback", "function", "variables", name] => variable(name),
        ["feedback", "log_stream", rest @ ..] => tenant
            .log_streams
            .iter()
            .find(|one| called(one).contains("feedback"))
            .and_then(|one| header(one, rest)),
        ["log_streams", "http", key, rest @ ..] => {
            tenant.log_streams.iter().find(|one| called(one).contains(key)).and_then(|one| header(one, rest))
        }
        _ => None,
    }
}

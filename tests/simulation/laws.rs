//! Pure functions that the laws use to compare two worlds. They know nothing of how the program works. Of a plan they
//! use only what a person sees: the words of the step in progress.

use std::collections::BTreeMap;

use lockstep::model::api::{ApiRequest, Method};
use lockstep::twin::world::Tenant;
use lockstep::twin::{Options, World};
use serde_json::Value as Json;

use super::manifests::{ACCOUNT, Claims};
use super::model::Look;
use super::procs::Proc;
use super::settings::SETTINGS;

/// An object that one of our requests made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Domain and stack.
    pub owner: String,
    pub kind: &'static str,
    pub name: String,
    /// Domain or account.
    pub place: String,
    /// Number of the process that made it.
    pub by: usize,
}

/// Refusals of writes that are normal in a run without faults: operation, status, reason.
pub const REFUSALS: &[(&str, u16, &str)] = &[
    (
        "delete_action",
        409,
        "bound by an entry that was made by a run that died: said by the API only, then forced",
    ),
    ("create_rate_limit", 400, "how many a service may have is not published"),
    ("create_bucket", 400, "how many a limit may have is not published"),
    ("create_verify_service", 400, "how many an account may have is not published"),
    (
        "delete_verify_service",
        409,
        "a run that died left something in it that no record knows: told, and emptied by hand",
    ),
    ("create_log_stream", 400, "how many a tenant may have depends on its plan"),
    ("create_log_stream", 409, "as above"),
    ("set_message_types", 409, "destroy puts back what the provider of today does not cover: told, and left"),
    ("update_phone_provider", 409, "a method that message types still use, which the manifest leaves alone"),
    ("create_serverless_service", 409, "the lease is asked for by making it"),
    ("create_serverless_service", 400, "no room for another service: said, and done without a lease"),
    ("set_bindings", 400, "not bindable yet, or this trigger is not bound explicitly: both are tried"),
    ("delete_serverless_service", 404, "the lease was taken over"),
    ("update_serverless_service", 404, "the lease was taken over"),
];

/// Whether a status may mean a missing plan or scope, which only a request can show.
pub fn plan_or_scope(status: u16) -> bool {
    // 429 is included, because the pace has its own law.
    [401, 403, 429].contains(&status)
}

/// Whether the refusal means that the name of an Action is too long. The limit is not published, so only a request can
/// show it.
pub fn name_too_long(options: &Options, operation: &str, status: u16) -> bool {
    options.action_name_limit < 100
        && status == 400
        && ["create_action", "update_action"].contains(&operation)
}

/// Words by which a plan names a loss: one of them in the step's own words is enough.
const WORDS: &[(&str, &[&str])] = &[
    (
        "codes by SMS",
        &[
            "codes by SMS stop",
            "codes by sms",
            "enrolled with phone",
            "codes are sent the former way",
            "cannot send phone messages any more",
        ],
    ),
    (
        "codes by voice",
        &[
            "codes by voice stop",
            "voice codes stop",
            "codes by sms and voice",
            "and voice stop",
            "codes by voice",
            "enrolled with phone",
            "codes are sent the former way",
            "cannot send phone messages any more",
        ],
    ),
    ("messages of the tenant", &["phone messages of the tenant stop", "cannot send phone messages any more"]),
    ("the phone factor", &["enrolled with phone"]),
    ("feedback", &["no feedback reaches Verify"]),
    (
        "a challenge of a post-login Action",
        &["enrolled with", "codes by", "cannot send phone messages any more"],
    ),
];

/// Losses that are not named by any of these words.
pub fn losses(was: &Look, is: &Look, words: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut lose = |name: &str, lost: bool| {
        let accepted = WORDS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, words)| *words);
        if lost && !accepted.iter().any(|word| words.contains(word)) {
            out.push(format!("{name} worked before and not after; the plan said {words:?}"));
        }
    };
    lose("codes by SMS", was.sms && !is.sms && is.phone_on);
    lose("codes by voice", was.voice && !is.voice && is.phone_on);
    lose("messages of the tenant", was.tenant_messages && !is.tenant_messages);
    lose("the phone factor", was.phone_on && !is.phone_on);
    lose("feedback", was.phone_on && was.fed && is.phone_on && !is.fed && was.delivers);
    lose("a challenge of a post-login Action", was.challenge && !is.challenge);
    lose("login under the policy", was.login && !is.login);
    lose("exposure with delivery", !was.phone_on && is.phone_on && !is.delivers);
    lose("one message for one", !was.twice && is.twice);
    lose("bound Actions are deployed", !was.bound_undeployed && is.bound_undeployed);
    out
}

/// The line of the coverage table to which a request belongs: the kind of the step in progress, or the other purpose of
/// the request.
pub fn column(proc: &Proc, request: &ApiRequest, lease: bool) -> String {
    if request.path == "/oauth/token" {
        return "token".into();
    }
    if lease {
        return "lease".into();
    }
    if request.method == Method::Get {
        return if request.path.starts_with("/api/v2/logs?") { "log".into() } else { "reads".into() };
    }
    proc.step.as_ref().map_or_else(|| "ledger".into(), |step| step.kind.clone())
}

/// Whether a request is about a lease: a Serverless service by the name that leases have.
pub fn is_lease(request: &ApiRequest, world: &World) -> bool {
    const NAME: &str = "lockstep-lease-";
    let Some(rest) =
        request.path.strip_prefix("/v1/Services").filter(|_| request.host.starts_with("serverless"))
    else {
        return false;
    };
    let key = rest.trim_start_matches('/');
    if key.is_empty() {
        return String::from_utf8_lossy(&request.body).contains(NAME);
    }
    let mut services = world.accounts.values().flat_map(|account| &account.serverless_services);
    key.starts_with(NAME) || services.any(|one| one.sid == key && one.unique_name.starts_with(NAME))
}

type Objects = BTreeMap<String, (&'static str, String, String)>;

/// How long the Action of the legacy set-up has to stay after the tenant has left that set-up.
const RETIRES_MS: u64 = 24 * 3_600_000;

/// An Action of the legacy set-up that was removed too early: somebody may be in the middle of a login.
pub fn retired_early(
    before: &World,
    after: &World,
    domain: &str,
    since_flag_ms: Option<u64>,
) -> Option<String> {
    let (before, after) = (before.tenants.get(domain)?, after.tenants.get(domain)?);
    let passed_ms = since_flag_ms.filter(|ms| *ms < RETIRES_MS)?;
    let legacy = before.actions.iter().filter(|action| action.supports("send-phone-message"));
    let gone =
        legacy.filter(|action| after.action(&action.id).is_none()).map(|action| &action.name).next()?;
    Some(format!("{gone:?} goes {} s after the tenant left the legacy set-up", passed_ms / 1000))
}

/// Everything that has an id: kind, name, place.
pub fn objects(world: &World) -> Objects {
    let mut out = Objects::new();
    for (domain, tenant) in &world.tenants {
        let mut add = |id: &str, kind, name: &str| {
            out.insert(id.to_owned(), (kind, name.to_owned(), domain.clone()));
        };
        tenant.actions.iter().for_each(|action| add(&action.id, "Action", &action.name));
        let name = |stream: &lockstep::twin::world::LogStream| stream.name.clone().unwrap_or_default();
        tenant.log_streams.iter().for_each(|stream| add(&stream.id, "log stream", &name(stream)));
        tenant.phone_providers.iter().for_each(|provider| add(&provider.id, "phone provider", ""));
        tenant
            .phone_templates
            .iter()
            .for_each(|template| add(&template.id, "phone template", &template.r#type));
        let name = |client: &serde_json::Map<String, Json>| {
            client.get("name").and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        tenant.clients.iter().for_each(|(id, client)| add(id, "client", &name(client)));
    }
    for (sid, account) in &world.accounts {
        let mut add = |id: &str, kind, name: &str| {
            out.insert(id.to_owned(), (kind, name.to_owned(), sid.clone()));
        };
        for service in &account.verify_services {
            add(&service.sid, "Verify service", &service.friendly_name);
            for limit in &service.rate_limits {
                add(&limit.sid, "rate limit", &format!("{} {}", service.sid, limit.unique_name));
                limit.buckets.iter().for_each(|bucket| {
                    add(&bucket.sid, "bucket", &format!("{} {} {}", limit.sid, bucket.max, bucket.interval));
                });
            }
        }
        for service in &account.serverless_services {
            add(&service.sid, "Serverless service", &service.unique_name);
            service.functions.iter().for_each(|one| {
                add(&one.sid, "Function", &format!("{} {}", service.sid, one.friendly_name));
            });
            service.environments.iter().for_each(|one| {
                add(&one.sid, "environment", &format!("{} {}", service.sid, one.unique_name));
            });
        }
    }
    for (sid, key) in world.keys.iter().filter(|(_, key)| !key.deleted) {
        out.insert(sid.clone(), ("key", key.friendly_name.clone(), key.account_sid.clone()));
    }
    out
}

/// A deployment that changed nothing: the new version equals the one before it. Also the time at which reads began to
/// show the deployment before it.
pub fn same_version(before: &World, after: &World, domain: &str) -> Option<(String, u64)> {
    let (before, after) = (before.tenants.get(domain)?, after.tenants.get(domain)?);
    after.actions.iter().find_map(|action| {
        let old = before.action(&action.id)?;
        let (was, is) = (old.live_version()?, action.live_version()?);
        // A draft that was changed and changed back is a new draft, which has to be deployed to become the running one.
        let nothing_to_do = old.draft_version.as_ref() == Some(&was.id);
        let same = nothing_to_do
            && was.id != is.id
            && was.code == is.code
            && was.dependencies == is.dependencies
            && was.runtime == is.runtime
            && was.secrets == is.secrets;
        let shown_ms = old.deployment.as_ref().map_or(0, |deployment| deployment.visible_at_ms);
        same.then(|| (format!("{:?} was deployed again without a change", action.name), shown_ms))
    })
}

/// The parts of the world that are not this stack's: the world without what the stack made, named or manages.
pub fn foreign(
    mut world: World,
    owner: &str,
    domain: &str,
    claims: &Claims,
    made: &BTreeMap<String, Made>,
) -> World {
    world.ids = World::new(0).ids;
    let ours = |id: &str| made.get(id).is_some_and(|made| made.owner == owner);
    for (name, tenant) in &mut world.tenants {
        tenant.tokens.clear();
        tenant.used_assertions.clear();
        // Users go on meanwhile.
        tenant.logs.clear();
        tenant.users_until_ms = None;
        tenant.bindings.values_mut().flatten().for_each(|binding| {
            // Every write of the list renews a binding's id and dates.
            binding.id.clear();
            binding.created_at.clear();
            binding.updated_at.clear();
        });
        if name == domain {
            without_ours(tenant, claims, &ours);
        }
        tenant.bindings.retain(|_, list| !list.is_empty());
    }
    for account in world.accounts.values_mut() {
        account.verify_services.retain(|one| !ours(&one.sid) && !claims.services.contains(&one.sid));
        account.serverless_services.retain(|one| !ours(&one.sid));
        account.failing_builds = 0;
    }
    world.keys.retain(|sid, _| !ours(sid));
    world
}

fn without_ours(tenant: &mut Tenant, claims: &Claims, ours: &dyn Fn(&str) -> bool) {
    let own: Vec<String> = tenant
        .actions
        .iter()
        .filter(|action| ours(&action.id) || claims.action_names.contains(&action.name))
        .map(|action| action.id.clone())
        .collect();
    tenant.actions.retain(|action| !own.contains(&action.id));
    tenant.bindings.values_mut().for_each(|list| list.retain(|binding| !own.contains(&binding.action_id)));
    let named = |name: &Option<String>| name.as_ref().is_some_and(|name| claims.stream_names.contains(name));
    tenant.log_streams.retain(|stream| !ours(&stream.id) && !named(&stream.name));
    tenant.clients.retain(|id, _| !ours(id));
    tenant.connections.iter_mut().for_each(|connection| connection.clients.retain(|id| !ours(id)));
    tenant.failing_builds = 0;
    tenant.factors.retain(|factor| !claims.factors.contains(&factor.name.as_str()));
    SETTINGS.iter().filter(|one| (one.claimed)(claims)).for_each(|one| (one.clear)(tenant));
    tenant.phone_templates.retain(|one| !ours(&one.id) && !claims.templates_of.contains(&one.r#type));
    claims.branding.iter().for_each(|key| {
        tenant.branding.remove(key);
    });
}

/// The first places in which two worlds differ, for people.
pub fn difference(was: &World, is: &World) -> String {
    let as_json = |world: &World| serde_json::to_value(world).unwrap_or_default();
    let mut out = Vec::new();
    differ("", &as_json(was), &as_json(is), &mut out);
    out.truncate(3);
    format!("something foreign changed: {}", out.join("; "))
}

fn differ(path: &str, was: &Json, is: &Json, out: &mut Vec<String>) {
    if was == is {
        return;
    }
    match (was, is) {
        (Json::Object(a), Json::Object(b)) => {
            let nothing = Json::Null;
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let at =
                    |map: &serde_json::Map<String, Json>| map.get(key).cloned().unwrap_or(nothing.clone());
                differ(&format!("{path}/{key}"), &at(a), &at(b), out);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(at, (a, b))| differ(&format!("{path}/{at}"), a, b, out));
        }
        _ => {
            let short = |json: &Json| json.to_string().chars().take(160).collect::<String>();
            out.push(format!("{path}: {} -> {}", short(was), short(is)));
        }
    }
}

/// Every secret value that a world holds, besides those of the environment.
pub fn secrets_of(world: &World) -> Vec<String> {
    let mut out = Vec::new();
    for tenant in world.tenants.values() {
        let streams = tenant.log_streams.iter().filter_map(|stream| stream.sink.get("httpAuthorization"));
        out.extend(streams.filter_map(Json::as_str).map(str::to_owned));
        out.extend(tenant.tokens.iter().map(|token| token.value.clone()));
        let own = tenant.clients.values().filter_map(|client| client.get("client_secret"));
        out.extend(own.filter_map(Json::as_str).map(str::to_owned));
    }
    for environment in world.accounts[ACCOUNT].serverless_services.iter().flat_map(|one| &one.environments) {
        let secret = |key: &str| ["SECRET", "TOKEN"].iter().any(|word| key.contains(word));
        out.extend(environment.variables.iter().filter(|one| secret(&one.key)).map(|one| one.value.clone()));
    }
    out.extend(world.keys.values().filter_map(|key| key.secret.clone()));
    out.retain(|value| value.len() >= 8);
    out
}

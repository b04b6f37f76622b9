//! What a twin shows to people: the world and the requests, without any secret.
//!
//! Each field of the world is named here one by one, so that a new field stays hidden until somebody adds it here. A
//! secret is shown by its name and time, or as `set`; of phone numbers, tokens and code, only counts are shown. Names
//! that operators chose are not escaped here: the caller escapes them.

use serde_json::{Map, Value, json};

use super::auth0::build_status;
use super::clock::iso_millis;
use super::fault_grammar::written;
use super::world::{
    Account, Action, ApiKey, FunctionBuild, KeyKind, LogStream, ServerlessService, Tenant, VerifyService,
};
use super::{Fate, LogEntry, Rule, Twin, twilio};

/// Endings of host names that count as Auth0 tenants: Auth0's own domain, and `.example`, which belongs to nobody.
const TENANT_ENDINGS: [&str; 2] = [".auth0.com", ".example"];

impl Twin {
    /// Whether the twin serves a host: a simulated Twilio host, a tenant or custom domain of the world, or, if tenants
    /// appear on first contact, any name that an Auth0 tenant may have.
    pub fn answers_for(&self, host: &str) -> bool {
        twilio::is_host(host)
            || self.world.tenants.contains_key(host)
            || self.world.custom_domains.contains_key(host)
            || (self.options.unknown_tenants && TENANT_ENDINGS.iter().any(|ending| host.ends_with(ending)))
    }

    /// Names that a certificate must cover: exact host names, and endings such as `.auth0.com`.
    pub fn host_names(&self) -> Vec<String> {
        let mut names: Vec<String> = twilio::HOSTS.iter().map(|host| (*host).to_owned()).collect();
        names.extend(TENANT_ENDINGS.iter().map(|ending| (*ending).to_owned()));
        names.extend(self.world.tenants.keys().cloned());
        names.extend(self.world.custom_domains.keys().cloned());
        names
    }

    /// The world without its secrets: `{clock, requests, options, faults, tenants, accounts}`.
    pub fn picture(&self, now_ms: u64) -> Value {
        let world = &self.world;
        let tenants: Vec<Value> =
            world.tenants.iter().map(|(domain, tenant)| self.tenant(domain, tenant, now_ms)).collect();
        let accounts: Vec<Value> = world.accounts.values().map(|one| self.account(one, now_ms)).collect();
        json!({
            "clock": iso_millis(now_ms),
            "requests": self.log().len(),
            "options": serde_json::to_value(&self.options).unwrap_or_default(),
            "faults": self.faults.rules.iter().map(fault).collect::<Vec<_>>(),
            "tenants": tenants,
            "accounts": accounts,
        })
    }

    /// The last `most` log entries with a number above `since`, oldest first.
    pub fn requests(&self, since: usize, most: usize) -> Vec<Value> {
        let log = self.log();
        let from = since.max(log.len().saturating_sub(most)).min(log.len());
        log[from..].iter().map(entry).collect()
    }

    fn tenant(&self, domain: &str, tenant: &Tenant, now_ms: u64) -> Value {
        let hosts: Vec<&String> = self
            .world
            .custom_domains
            .iter()
            .filter(|(_, canonical)| *canonical == domain)
            .map(|(host, _)| host)
            .collect();
        let bindings: Map<String, Value> = tenant
            .bindings
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(trigger, list)| {
                let shown = list.iter().map(|binding| {
                    let action = tenant.action(&binding.action_id).map(|action| action.name.as_str());
                    json!({ "display_name": binding.display_name, "action": action })
                });
                (trigger.clone(), shown.collect())
            })
            .collect();
        let providers: Vec<Value> = tenant
            .phone_providers
            .iter()
            .map(|one| {
                json!({ "id": one.id, "name": one.name, "disabled": one.disabled,
                    "delivery_methods": one.configuration.get("delivery_methods"),
                    "credentials": set(!one.credentials.is_empty()) })
            })
            .collect();
        let templates: Vec<&str> = tenant.phone_templates.iter().map(|one| one.r#type.as_str()).collect();
        json!({
            "domain": domain,
            "custom_domains": hosts,
            "unified_phone": tenant.settings.get("phone_consolidated_experience"),
            "actions": tenant.actions.iter().map(|one| action(one, now_ms)).collect::<Vec<_>>(),
            "bindings": bindings,
            "phone_providers": providers,
            "selected_provider": tenant.legacy_phone.selected_provider,
            "phone_templates": templates,
            "factors": tenant.factors.iter()
                .map(|one| json!({ "name": one.name, "enabled": one.enabled })).collect::<Vec<_>>(),
            "message_types": tenant.message_types,
            "policy": tenant.policies,
            "log_streams": tenant.log_streams.iter().map(stream).collect::<Vec<_>>(),
            "login_experience": tenant.prompts.universal_login_experience,
            "applications": tenant.clients.len(),
            "live_tokens": tenant.tokens.iter().filter(|token| token.expires_at_ms > now_ms).count(),
        })
    }

    fn account(&self, account: &Account, now_ms: u64) -> Value {
        let keys: Vec<Value> = self
            .world
            .keys
            .iter()
            .filter(|(_, key)| key.account_sid == account.sid)
            .map(|(sid, one)| key(sid, one))
            .collect();
        json!({
            "sid": account.sid,
            "friendly_name": account.friendly_name,
            "status": account.status,
            "verify_services": account.verify_services.iter().map(verify).collect::<Vec<_>>(),
            "serverless": account.serverless_services.iter()
                .map(|one| serverless(one, now_ms)).collect::<Vec<_>>(),
            "keys": keys,
        })
    }
}

fn set(is_set: bool) -> &'static str {
    if is_set { "set" } else { "not set" }
}

fn fault(rule: &Rule) -> Value {
    json!({ "rule": written(rule), "matched": rule.matched, "over": rule.is_over() })
}

fn entry(entry: &LogEntry) -> Value {
    let (status, fate) = match entry.fate {
        Fate::Status(status) => (Some(status), "answered"),
        Fate::Lost => (None, "lost"),
        Fate::NotSent => (None, "not sent"),
    };
    json!({
        "number": entry.number,
        "at": iso_millis(entry.at_ms),
        "took_ms": entry.done_ms.saturating_sub(entry.at_ms),
        "host": entry.host,
        "method": entry.method,
        "path": path_without_values(&entry.path),
        "status": status,
        "fate": fate,
        "served_status": entry.served_status,
        "wrote": entry.wrote,
        "operation": entry.operation,
        "owner": entry.owner,
        "fault": entry.fault,
    })
}

/// A path with the names of its query but not the values, and without the phone numbers that Verify puts into paths.
pub fn path_without_values(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments = path.split('/').map(|segment| {
        let is_number =
            segment.starts_with('+') || segment.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("%2b"));
        if is_number { "{number}" } else { segment }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let names: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split('=').next().unwrap_or(pair))
        .collect();
    if names.is_empty() { path } else { format!("{path}?{}", names.join("&")) }
}

fn action(one: &Action, now_ms: u64) -> Value {
    let live = one.live_version().map(|version| version.id.as_str());
    let versions: Vec<Value> = one
        .versions
        .iter()
        .map(|version| {
            json!({ "number": version.number, "id": version.id, "created_at": version.created_at,
                "runtime": version.runtime, "live": Some(version.id.as_str()) == live })
        })
        .collect();
    json!({
        "id": one.id,
        "name": one.name,
        "triggers": one.supported_triggers.iter()
            .map(|trigger| format!("{} {}", trigger.id, trigger.version)).collect::<Vec<_>>(),
        "runtime": one.runtime,
        "status": build_status(&one.build, now_ms),
        "draft_is_live": live.is_some() && one.draft_version.as_deref() == live,
        "code_bytes": one.code.len(),
        "dependencies": one.dependencies.iter()
            .map(|dependency| format!("{}@{}", dependency.name, dependency.version)).collect::<Vec<_>>(),
        "secrets": one.secrets.iter()
            .map(|secret| json!({ "name": secret.name, "updated_at": secret.updated_at })).collect::<Vec<_>>(),
        "versions": versions,
        "updated_at": one.updated_at,
    })
}

fn stream(one: &LogStream) -> Value {
    let text = |key: &str| one.sink.get(key).and_then(Value::as_str);
    // User, password and query of an address may be secrets.
    let endpoint = text("httpEndpoint").map(|url| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{path}")
    });
    let filters: Option<Vec<&str>> = one
        .filters
        .as_ref()
        .map(|list| list.iter().filter_map(|filter| filter.get("name").and_then(Value::as_str)).collect());
    json!({
        "id": one.id,
        "name": one.name,
        "type": one.r#type,
        "status": one.status,
        "endpoint": endpoint,
        "format": text("httpContentFormat"),
        "authorization": set(one.sink.contains_key("httpAuthorization")),
        "filters": filters,
    })
}

fn verify(one: &VerifyService) -> Value {
    let limits: Vec<Value> = one
        .rate_limits
        .iter()
        .map(|limit| {
            let buckets = limit.buckets.iter().map(|one| format!("{} in {} s", one.max, one.interval));
            json!({ "sid": limit.sid, "unique_name": limit.unique_name, "buckets": buckets.collect::<Vec<_>>() })
        })
        .collect();
    json!({
        "sid": one.sid,
        "friendly_name": one.friendly_name,
        "code_length": one.settings.get("code_length"),
        "custom_code_enabled": one.flag("custom_code_enabled"),
        "rate_limits": limits,
        "messaging_configurations": one.messaging_configurations.keys().collect::<Vec<_>>(),
        "verifications": one.verifications.len(),
    })
}

fn serverless(one: &ServerlessService, now_ms: u64) -> Value {
    let environments: Vec<Value> = one
        .environments
        .iter()
        .map(|one| {
            json!({ "sid": one.sid, "unique_name": one.unique_name, "domain_name": one.domain_name,
                "build_sid": one.build_sid, "deployments": one.deployments.len(),
                "variables": one.variables.iter().map(|variable| &variable.key).collect::<Vec<_>>() })
        })
        .collect();
    let functions: Vec<Value> = one
        .functions
        .iter()
        .map(|one| {
            let last = one.versions.last();
            json!({ "sid": one.sid, "friendly_name": one.friendly_name, "versions": one.versions.len(),
                "path": last.map(|version| &version.path),
                "visibility": last.map(|version| &version.visibility) })
        })
        .collect();
    json!({
        "sid": one.sid,
        "unique_name": one.unique_name,
        "friendly_name": one.friendly_name,
        "environments": environments,
        "functions": functions,
        "builds": one.builds.iter().map(|one| build(one, now_ms)).collect::<Vec<_>>(),
    })
}

fn build(one: &FunctionBuild, now_ms: u64) -> Value {
    let status = match (now_ms >= one.ends_at_ms, one.fails) {
        (false, _) => "building",
        (true, false) => "completed",
        (true, true) => "failed",
    };
    json!({ "sid": one.sid, "status": status, "runtime": one.runtime })
}

fn key(sid: &str, one: &ApiKey) -> Value {
    let kind = match one.kind {
        KeyKind::Main => "main",
        KeyKind::Standard => "standard",
        KeyKind::Restricted => "restricted",
    };
    json!({ "sid": sid, "friendly_name": one.friendly_name, "kind": kind, "deleted": one.deleted,
        "allow": one.allow })
}

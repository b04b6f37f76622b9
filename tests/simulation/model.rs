//! The delivery model: the tables of `docs/delivery-model.md`, and the function that finds the word of each column in a
//! world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use lockstep::twin::world::{Action, ActionVersion, KeyKind, LogStream, Tenant};
use lockstep::twin::{Options, World};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/delivery-model.md");

/// One table: names of the columns (the last one is the answer), and the rows.
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<&'static str>>,
}

/// The tables of the page, by heading.
pub fn tables() -> &'static BTreeMap<&'static str, Table> {
    static TABLES: OnceLock<BTreeMap<&'static str, Table>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut tables: BTreeMap<&'static str, Table> = BTreeMap::new();
        let mut heading = "";
        for line in PAGE.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title;
            }
            let Some(inner) = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) else {
                continue;
            };
            let cells: Vec<&'static str> = inner.split('|').map(str::trim).collect();
            if cells.iter().all(|cell| cell.starts_with("---")) {
                continue;
            }
            match tables.get_mut(heading) {
                None => {
                    tables.insert(heading, Table { columns: cells, rows: Vec::new() });
                }
                Some(table) => table.rows.push(cells),
            }
        }
        tables
    })
}

/// The answer of a table for these words, in the order of its columns; `None` if no row fits.
pub fn answer(heading: &str, words: &[&str]) -> Option<&'static str> {
    let table = &tables()[heading];
    assert_eq!(words.len() + 1, table.columns.len(), "{heading}: {words:?}");
    let fits = |row: &&Vec<&str>| row.iter().zip(words).all(|(cell, word)| *cell == "-" || cell == word);
    table.rows.iter().find(fits).and_then(|row| row.last().copied())
}

thread_local! {
    /// Questions and answers of the model, collected while somebody wants them.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

fn ask(heading: &str, words: &[&str]) -> &'static str {
    let said = answer(heading, words)
        .unwrap_or_else(|| panic!("docs/delivery-model.md, {heading}: no row for {words:?}"));
    HEARD.with_borrow_mut(|heard| {
        if let Some(heard) = heard {
            heard.push(format!("{heading}: {} -> {said}", words.join(", ")));
        }
    });
    said
}

/// The rows of the model that decide about a tenant, for the reader of a trace.
pub fn because(world: &World, domain: &str, options: &Options) -> Vec<String> {
    HEARD.set(Some(Vec::new()));
    look(world, domain, options);
    HEARD.take().unwrap_or_default()
}

/// What users get from a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub phone_on: bool,
    pub sms: bool,
    pub voice: bool,
    pub tenant_messages: bool,
    pub fed: bool,
    pub login: bool,
    pub challenge: bool,
    /// Whether the tenant can send any message at all, whatever factor and message types say.
    pub delivers: bool,
    /// Whether a user gets two messages instead of one.
    pub twice: bool,
    /// Whether the running code, a user's own, throws.
    pub throws: bool,
    pub bound_undeployed: bool,
}

/// Looks at one tenant of a world.
pub fn look(world: &World, domain: &str, options: &Options) -> Look {
    let Some(tenant) = world.tenants.get(domain) else {
        return Look {
            phone_on: false,
            sms: false,
            voice: false,
            tenant_messages: false,
            fed: true,
            login: true,
            challenge: true,
            delivers: false,
            twice: false,
            throws: false,
            bound_undeployed: false,
        };
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let on = |flag: bool| if flag { "on" } else { "off" };
    let flag = on(tenant.unified());
    let provider = tenant.phone_providers.first();
    let kind = match provider {
        None => "none",
        Some(provider) if provider.disabled => "disabled",
        Some(provider) if provider.name == "custom" => "custom",
        Some(_) => "vendor",
    };
    let covers =
        |method: &str| provider.is_some_and(|provider| provider.delivery_methods().contains(&method));
    let way =
        |method: &str| ask("Way", &[flag, &tenant.legacy_phone.selected_provider, kind, yes(covers(method))]);
    let running = running(tenant, options);
    let code = code_of(world, tenant, &running, options);
    let (text_way, voice_way) = (way("text"), way("voice"));
    let text = ask("Message", &["sms", text_way, code]);
    let voice = ask("Message", &["voice", voice_way, code]);
    let phone_on = tenant.factor_enabled("sms");
    let types = tenant.message_types.as_deref().unwrap_or_default();
    let login = &tenant.prompts.universal_login_experience;
    let by = |channel: &str, message: &str| {
        let listed = yes(types.iter().any(|kind| kind == channel));
        ask("Phone code", &[on(phone_on), listed, channel, login, message]) == "yes"
    };
    let (by_sms, by_voice) = (by("sms", text), by("voice", voice));
    let some_code = yes(by_sms || by_voice);
    let uses_verify = running.iter().any(|version| version.secret("TWILIO_VERIFY_SID").is_some());
    let way_used = if text_way == "action" || voice_way == "action" { "action" } else { "other" };
    let is_told = tenant.log_streams.iter().any(|stream| feeds_back(world, stream)) || reports(tenant);
    let stream = if is_told { "alive" } else { "dead" };
    let another = |factor: &str| factor != "sms" && factor != "recovery-code";
    let other = on(tenant.factors.iter().any(|factor| factor.enabled && another(&factor.name)));
    let customised = tenant.settings.get("customize_mfa_in_postlogin_action") == Some(&Value::Bool(true));
    let policy = if tenant.policies.is_empty() || customised { "never" } else { "asks" };
    Look {
        phone_on,
        sms: by_sms,
        voice: by_voice,
        tenant_messages: ask("Tenant messages", &[flag, text, voice]) == "yes",
        fed: ask("Feedback", &[way_used, yes(uses_verify), stream]) == "yes",
        login: ask("Login", &[policy, some_code, other]) == "open",
        challenge: ask("Challenge", &[yes(challenges(tenant)), some_code, other]) == "open",
        delivers: text != "no" || voice != "no",
        twice: text == "twice" || voice == "twice",
        throws: running.iter().any(|version| handler(tenant, version) == "throws"),
        bound_undeployed: tenant.bindings.values().flatten().any(|binding| {
            tenant.action(&binding.action_id).is_none_or(|action| action.live_version().is_none())
        }),
    }
}

fn trigger(tenant: &Tenant) -> &'static str {
    if tenant.unified() { "custom-phone-provider" } else { "send-phone-message" }
}

/// The versions that would run for one message.
fn running<'a>(tenant: &'a Tenant, options: &Options) -> Vec<&'a ActionVersion> {
    let trigger = trigger(tenant);
    let all = tenant.actions.iter().filter(|action| action.supports(trigger));
    let bound = |id: &str| tenant.bound(trigger).iter().any(|binding| binding.action_id == id);
    let needs_binding = !tenant.unified() || options.custom_phone_needs_binding;
    all.filter(|action| !needs_binding || bound(&action.id))
        .filter_map(|action| action.live_version())
        .collect()
}

/// Whether only one Action runs, has its secrets from others, and would send if it had other ones.
pub fn is_dead_by_secret(
    world: &World,
    domain: &str,
    options: &Options,
    is_ours: &dyn Fn(&Action) -> bool,
) -> bool {
    let Some(tenant) = world.tenants.get(domain) else { return false };
    let running = running(tenant, options);
    let [version] = running.as_slice() else { return false };
    let is_it = |action: &&Action| action.live_version().is_some_and(|live| live.id == version.id);
    let is_theirs = tenant.actions.iter().find(is_it).is_some_and(|action| !is_ours(action));
    is_theirs && handler(tenant, version) == "works" && code_of(world, tenant, &running, options) == "nothing"
}

/// The oracle: what the code does with a message. Code that the twin itself makes has no handler of that name.
fn handler(tenant: &Tenant, version: &ActionVersion) -> &'static str {
    let name = if tenant.unified() {
        "exports.onExecuteCustomPhoneProvider"
    } else {
        "exports.onExecuteSendPhoneMessage"
    };
    if version.code.contains("oracle: throws") {
        "throws"
    } else if version.code.contains(name) || version.code.contains("exports.placeholder") {
        "works"
    } else {
        "missing"
    }
}

fn code_of(world: &World, tenant: &Tenant, running: &[&ActionVersion], options: &Options) -> &'static str {
    let [version] = running else {
        let count = if running.is_empty() { "none" } else { "several" };
        return ask("Code of the Action", &[count, "", "", "", "", "", "", ""]);
    };
    let secret = |name: &str| version.secret(name).map(|secret| secret.value.as_str());
    let there = |found: bool| if found { "there" } else { "gone" };
    let account = secret("TWILIO_ACCOUNT_SID").and_then(|sid| world.accounts.get(sid));
    let account = account.filter(|account| account.status == "active");
    let live = match (secret("TWILIO_API_KEY"), secret("TWILIO_API_SECRET"), secret("TWILIO_AUTH_TOKEN")) {
        (Some(key), Some(secret), _) => world.keys.get(key).is_none_or(|key| {
            let may = |allow: &String| {
                let wanted = "/twilio/verify/verification/create";
                allow == wanted || allow.strip_suffix('*').is_some_and(|stem| wanted.starts_with(stem))
            };
            !key.deleted
                && key.secret.as_deref().is_none_or(|known| known == secret)
                && (key.kind != KeyKind::Restricted || key.allow.iter().any(may))
        }),
        (_, _, Some(token)) => {
            account.and_then(|account| account.auth_token.as_deref()).is_none_or(|known| known == token)
        }
        _ => false,
    };
    let sid = secret("TWILIO_VERIFY_SID");
    let service = account.zip(sid).and_then(|(account, sid)| account.verify_service(sid));
    let missing = options.unknown_rate_limit_refused
        && limits(&version.code).iter().any(|name| {
            service.is_none_or(|service| !service.rate_limits.iter().any(|limit| limit.unique_name == *name))
        });
    ask(
        "Code of the Action",
        &[
            "one",
            handler(tenant, version),
            if sid.is_some() { "yes" } else { "no" },
            there(account.is_some()),
            if live { "live" } else { "dead" },
            there(service.is_some()),
            if service.is_some_and(|service| service.flag("custom_code_enabled")) { "on" } else { "off" },
            if missing { "missing" } else { "there" },
        ],
    )
}

/// Names of the rate limits that the code passes to Verify: the constant `RATE_LIMITS`, a map from each name to what it
/// counts.
fn limits(code: &str) -> Vec<String> {
    let line = code.lines().find_map(|line| line.strip_prefix("const RATE_LIMITS = "));
    let map = line.and_then(|line| line.split_once(';')).map(|(map, _)| map).unwrap_or_default();
    let map: Value = serde_json::from_str(map).unwrap_or_default();
    map.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Whether a bound, deployed post-login Action asks for the phone by itself.
fn challenges(tenant: &Tenant) -> bool {
    let customised = tenant.settings.get("customize_mfa_in_postlogin_action") == Some(&Value::Bool(true));
    let actions = tenant.bound("post-login").iter().filter_map(|binding| tenant.action(&binding.action_id));
    customised
        && actions.filter_map(|action| action.live_version()).any(|version| {
            let optional = version.code.contains("mfa_if_enrolled\"");
            version.code.contains("challengeWith") && version.code.contains("phone") && !optional
        })
}

/// Whether a bound, deployed post-login Action approves verifications, and was given what it needs for that.
fn reports(tenant: &Tenant) -> bool {
    let needs = ["TWILIO_VERIFY_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"];
    let actions = tenant.bound("post-login").iter().filter_map(|binding| tenant.action(&binding.action_id));
    let mut live = actions.filter_map(|action| action.live_version());
    live.any(|version| {
        version.code.contains("Status: 'approved'") && needs.iter().all(|name| version.secret(name).is_some())
    })
}

/// Whether a stream delivers the success of a second factor, readable, to a receiver that listens.
fn feeds_back(world: &World, stream: &LogStream) -> bool {
    let text = |name: &str| stream.sink.get(name).and_then(Value::as_str).unwrap_or_default();
    let listed = |list: &[Value]| list.iter().any(|filter| filter["name"] == "other");
    let masked = stream.pii_config.as_ref().is_some_and(|pii| {
        let fields = pii.get("log_fields").and_then(Value::as_array);
        fields.is_some_and(|fields| fields.iter().any(|field| field == "phone"))
    });
    let format = text("httpContentFormat");
    stream.r#type == "http"
        && stream.status == "active"
        && !stream.is_priority
        && (format == "JSONARRAY" || format == "JSONOBJECT")
        && text("httpContentType").starts_with("application/json")
        && stream.filters.as_deref().is_none_or(listed)
        && !masked
        && listens(world, text("httpEndpoint"), text("httpAuthorization"))
}

/// Whether a receiver listens. A Function of the world does if it is deployed, public, at that path, and knows the
/// authorization. For any other receiver, its host name says whether it passes feedback on.
fn listens(world: &World, url: &str, authorization: &str) -> bool {
    let rest = url.trim_start_matches("https://");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !host.ends_with(".twil.io") {
        return host.contains("feedback");
    }
    for service in world.accounts.values().flat_map(|account| &account.serverless_services) {
        for environment in service.environments.iter().filter(|one| one.domain_name == host) {
            let knows = |value: &str| !value.is_empty() && authorization.ends_with(value);
            let allowed =
                authorization.is_empty() || environment.variables.iter().any(|one| knows(&one.value));
            let build =
                service.builds.iter().find(|build| Some(&build.sid) == environment.build_sid.as_ref());
            let versions = service.functions.iter().flat_map(|function| &function.versions);
            let served = build.is_some_and(|build| {
                versions
                    .filter(|version| build.function_versions.contains(&version.sid))
                    .any(|version| version.path == path && version.visibility == "public")
            });
            if allowed && served {
                return true;
            }
        }
    }
    false
}

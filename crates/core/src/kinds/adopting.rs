//! What of a tenant a manifest would name: the objects that have no place of their own and have to be found first.
//!
//! `adopt` declares what is found here, together with every setting that each tenant has, and lets the kinds observe it.
//! So only what decides *which* objects are meant stands here; their fields are read by their kinds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::remote::factors::MESSAGE_TYPES;
use super::remote::verify_below::{self, RATE_LIMITS, list_below};
use super::remote::verify_service::{list_services, services};
use super::remote::{actions, bindings, legacy, phone_provider, serverless, streams, tenant};
use super::said::actions::{ALL, LEGACY, PHONE, Spec, stack_of_ledger};
use super::said::{code_limits, function, rules, streams as said_streams};
use super::{Task, array, entries_with, is_sid, looks, text};
use crate::model::call::{Failed, Get};
use crate::port::{Reader, join_all};

/// Path of a key in the manifest, without the dots: a name may have dots itself.
pub type Path = Vec<String>;

/// What a person, or a Terraform state, says about which objects are meant.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// SID of the Verify service, or `none`.
    pub verify_service: Option<String>,
    /// Others manage that service, and the manifest only uses it.
    pub uses_service: bool,
    /// Others manage the Function behind the stream of the feedback.
    pub uses_function: bool,
    /// Name or id of the Action that sends, or `none`.
    pub action: Option<String>,
    /// Ids that a Terraform state names. Of several candidates, the only one that it names is meant.
    pub ids: BTreeSet<String>,
}

/// Several objects could be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for, in words.
    pub what: &'static str,
    pub option: &'static str,
    /// What to write behind the option, and what that object is.
    pub candidates: Vec<(String, String)>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Keys whose values follow from what was found. Those below [`Found::probed`] only name what is to be observed.
    pub keys: BTreeMap<Path, Json>,
    /// Keys that are needed to observe a resource and are not written.
    pub probed: BTreeMap<Path, Json>,
    /// What the tenant has and a manifest cannot say, or what is left to others, in words.
    pub left: Vec<String>,
    pub asks: Vec<Ask>,
    /// The stacks that have a record in the tenant.
    pub stacks: Vec<String>,
    /// Whether the tenant has the legacy phone set-up; `None`: this part does not tell.
    pub is_legacy: Option<bool>,
    /// The channels that the rules in the code of the post-login Action name.
    channels_of_rules: Option<Json>,
    /// Names of the rate limits that the Verify service has.
    limits: Vec<String>,
    /// What the Action's code passes for a rate limit, by its name.
    passed: BTreeMap<String, String>,
}

/// The reads of one part, and why they failed.
#[derive(Debug)]
pub struct Unread {
    pub what: &'static str,
    pub why: Failed,
}

impl Found {
    fn say(&mut self, path: &[&str], value: Json) {
        self.keys.insert(path.iter().map(|part| (*part).to_owned()).collect(), value);
    }

    fn probe(&mut self, path: &[&str], value: Json) {
        self.probed.insert(path.iter().map(|part| (*part).to_owned()).collect(), value);
    }

    fn join(&mut self, other: Found) {
        self.keys.extend(other.keys);
        self.probed.extend(other.probed);
        self.left.extend(other.left);
        self.asks.extend(other.asks);
        self.stacks.extend(other.stacks);
        self.is_legacy = self.is_legacy.or(other.is_legacy);
        self.limits.extend(other.limits);
        self.passed.extend(other.passed);
    }
}

type Part<'a> = (&'static str, Task<'a, Result<Found, Failed>>);

/// Finds what a manifest of the tenant would name. `next`: the reads that follow from a part, sent as soon as the part is
/// found; their results are kept for whoever reads the same.
///
/// # Errors
/// All parts that could not be read.
pub async fn find(
    wish: &Wish,
    reader: &Reader,
    next: &dyn Fn(&Found) -> Vec<Get>,
) -> Result<Found, Vec<Unread>> {
    // The streams lead furthest, so they are read first.
    let parts: Vec<Part<'_>> = vec![
        ("the log streams and their receiver", Box::pin(find_streams(wish, reader))),
        ("the Verify services", Box::pin(find_service(wish, reader))),
        ("the Actions and who sends", Box::pin(find_senders(wish, reader))),
    ];
    let (names, tasks): (Vec<&str>, Vec<_>) = parts.into_iter().unzip();
    let tasks: Vec<Task<'_, _>> = tasks
        .into_iter()
        .map(|task| {
            Box::pin(async move {
                let found = task.await?;
                read_all(&next(&found), reader).await;
                Ok(found)
            }) as Task<'_, Result<Found, Failed>>
        })
        .collect();
    let (mut found, mut unread) = (Found::default(), Vec::new());
    for (what, result) in names.into_iter().zip(join_all(tasks).await) {
        match result {
            Ok(part) => found.join(part),
            Err(why) => unread.push(Unread { what, why }),
        }
    }
    settle_receiver(&mut found);
    if unread.is_empty() { Ok(found) } else { Err(unread) }
}

/// Sends all reads at once. A failure is kept with its read and comes up where the result is used.
pub async fn read_all(gets: &[Get], reader: &Reader) {
    let tasks: Vec<Task<'_, ()>> = gets
        .iter()
        .map(|get| {
            Box::pin(async move {
                let _kept = reader.get(get).await;
            }) as Task<'_, ()>
        })
        .collect();
    join_all(tasks).await;
}

/// The one object that is meant, if that is clear.
enum Choice<'a> {
    One(&'a Json),
    None,
    /// It has to be asked for.
    Open,
}

/// Chooses by what the person says, else by the Terraform state, else the only one.
fn choose<'a>(
    said: Option<&str>,
    ids: &BTreeSet<String>,
    candidates: &[&'a Json],
    is_called: impl Fn(&Json, &str) -> bool,
    id: &str,
) -> Choice<'a> {
    if let Some(said) = said {
        let those: Vec<&&Json> = candidates.iter().filter(|one| is_called(one, said)).collect();
        return match those.as_slice() {
            [one] => Choice::One(one),
            [] if said == "none" => Choice::None,
            _ => Choice::Open,
        };
    }
    let told: Vec<&Json> = candidates.iter().copied().filter(|one| ids.contains(text(one, id))).collect();
    match (told.as_slice(), candidates) {
        ([one], _) | ([], [one]) => Choice::One(one),
        (_, []) => Choice::None,
        _ => Choice::Open,
    }
}

const SERVICE: &str = "verify_service";

async fn find_service(wish: &Wish, reader: &Reader) -> Result<Found, Failed> {
    let mut found = Found::default();
    let list = reader.get(&list_services()).await?;
    let all: Vec<&Json> = services(&list)?.iter().collect();
    let said = wish.verify_service.as_deref();
    let service = match choose(said, &wish.ids, &all, |one, said| text(one, "sid") == said, "sid") {
        Choice::One(service) => service,
        Choice::None => {
            if said.is_some() {
                found.left.push("no Verify service, as --verify-service none says".into());
            }
            return Ok(found);
        }
        Choice::Open => {
            let words = |one: &&Json| (text(one, "sid").to_owned(), text(one, "friendly_name").to_owned());
            let candidates = all.iter().map(words).collect();
            found.asks.push(Ask {
                what: "the Verify service that sends the codes of this tenant",
                option: if wish.uses_service { "--use-verify-service" } else { "--verify-service" },
                candidates,
            });
            return Ok(found);
        }
    };
    let sid = text(service, "sid");
    if !is_sid(sid, "VA") {
        return Err(Failed::Misread("GET /v2/Services: a service without a SID".into()));
    }
    if wish.uses_service {
        found.say(&[SERVICE, "use"], json!(sid));
        return Ok(found);
    }
    found.say(&[SERVICE, "sid"], json!(sid));
    found.probe(&[SERVICE, "friendly_name"], json!(text(service, "friendly_name")));
    let (limits, countries) = (list_below(sid, RATE_LIMITS), list_below(sid, "MessagingConfigurations"));
    let tasks: Vec<Task<'_, _>> = vec![Box::pin(reader.get(&limits)), Box::pin(reader.get(&countries))];
    let mut replies = join_all(tasks).await.into_iter();
    let (Some(limits), Some(countries)) = (replies.next(), replies.next()) else {
        return Err(Failed::Stopped);
    };
    let limits = limits?;
    let limits = verify_below::items(&limits, "rate_limits", &["/sid", "/unique_name"])?;
    let buckets = |limit: &Json| list_below(sid, &format!("{RATE_LIMITS}/{}/Buckets", text(limit, "sid")));
    read_all(&limits.iter().map(buckets).collect::<Vec<_>>(), reader).await;
    for limit in limits {
        found.limits.push(text(limit, "unique_name").to_owned());
    }
    for one in verify_below::items(&*countries?, "messaging_configurations", &["/country"])? {
        let path = [SERVICE, "messaging_configurations", text(one, "country")];
        found.probe(&path, json!(text(one, "messaging_service_sid")));
    }
    Ok(found)
}

/// Who sends the codes, and by which Actions.
async fn find_senders(wish: &Wish, reader: &Reader) -> Result<Found, Failed> {
    let gets = [
        tenant::SETTINGS.get(),
        actions::list_actions(),
        phone_provider::list_providers(),
        MESSAGE_TYPES.get(),
    ];
    read_all(&gets, reader).await;
    let is_legacy = !looks::unified::is_on(reader).await?;
    let mut found = Found { is_legacy: Some(is_legacy), ..Found::default() };
    let list = reader.get(&actions::list_actions()).await?;
    let all = actions::items(&list)?;
    found.stacks =
        all.iter().filter_map(|one| stack_of_ledger(text(one, "name"))).map(str::to_owned).collect();
    find_rules(all, reader, &mut found).await?;
    let is_handed_on = match is_legacy {
        true => find_legacy_delivery(reader, &mut found).await?,
        false => {
            find_provider(reader, &mut found).await?;
            false
        }
    };
    // Without a section `phone`, an Action of a manifest is for the tenant's phone provider, whatever the set-up is.
    let (spec, other) = if is_handed_on { (&LEGACY, &PHONE) } else { (&PHONE, &LEGACY) };
    find_phone_action(spec, wish, all, &mut found);
    let unused = all.iter().filter(|one| actions::has_trigger(one, other.trigger.id)).count();
    if unused > 0 {
        found.left.push(format!("{unused} Action(s) on {}, which sends no codes here", other.trigger.id));
    }
    let others = |one: &&Json| !ALL.iter().any(|spec| actions::has_trigger(one, spec.trigger.id));
    let others = all.iter().filter(others).filter(|one| stack_of_ledger(text(one, "name")).is_none()).count();
    if others > 0 {
        found.left.push(format!("{others} Action(s) on other triggers"));
    }
    Ok(found)
}

fn find_phone_action(spec: &Spec, wish: &Wish, all: &[Json], found: &mut Found) {
    let on_trigger: Vec<&Json> =
        all.iter().filter(|one| actions::has_trigger(one, spec.trigger.id)).collect();
    let is_called = |one: &Json, said: &str| text(one, "name") == said || text(one, "id") == said;
    let action = match choose(wish.action.as_deref(), &wish.ids, &on_trigger, is_called, "id") {
        Choice::One(action) => action,
        Choice::None => return,
        Choice::Open => {
            let words = |one: &&Json| {
                let state = match one.get("deployed_version").is_some_and(Json::is_object) {
                    true => "deployed",
                    false => "never deployed",
                };
                (text(one, "name").to_owned(), format!("id {}, {state}", text(one, "id")))
            };
            found.asks.push(Ask {
                what: "the Action that sends the codes",
                option: "--action",
                candidates: on_trigger.iter().map(words).collect(),
            });
            return;
        }
    };
    found.probe(&["action", "name"], json!(text(action, "name")));
    // So that the kind shows the names of all secrets.
    found.probe(&["action", "unmanaged_secrets"], json!("remove"));
    if let Some(at) = last_written(action) {
        found.say(&["action", "secrets_as_of"], json!(at));
    }
    found.passed = code_limits::keys(text(action, "code"));
    told_of(action, found);
    let rest = on_trigger.len() - 1;
    if rest > 0 {
        found.left.push(format!("{rest} other Action(s) on {}", spec.trigger.id));
    }
}

/// The time of the last write of a secret. Nobody can read the secrets, so a manifest says from when they are its own.
fn last_written(action: &Json) -> Option<String> {
    let of = |part: &Json| -> Vec<String> {
        let secrets = part["secrets"].as_array().into_iter().flatten();
        secrets.map(|one| text(one, "updated_at").to_owned()).collect()
    };
    let all = [of(action), of(&action["deployed_version"])].concat();
    let times: Option<Vec<jiff::Timestamp>> = all.iter().map(|text| text.parse().ok()).collect();
    times?.into_iter().max().map(|at| at.to_string())
}

/// What a manifest cannot say of an Action.
fn told_of(action: &Json, found: &mut Found) {
    if action["modules"].as_array().is_some_and(|modules| !modules.is_empty()) {
        found.left.push(format!(
            "the modules of the Action {:?}: a manifest cannot name modules",
            text(action, "name")
        ));
    }
}

/// The Action that was written from rules of a manifest.
async fn find_rules(all: &[Json], reader: &Reader, found: &mut Found) -> Result<(), Failed> {
    let spec = &super::said::actions::POST_LOGIN;
    let on_trigger: Vec<&Json> =
        all.iter().filter(|one| actions::has_trigger(one, spec.trigger.id)).collect();
    let mut ours: Vec<&Json> =
        on_trigger.iter().filter(|one| rules::said(text(one, "code")).is_some()).copied().collect();
    if ours.len() > 1 {
        let bound = bindings::parse(&*reader.get(&bindings::list_bindings(spec.trigger.id)).await?)?;
        ours.retain(|one| bound.iter().any(|entry| entry.action_id == text(one, "id")));
    }
    let section = ["mfa", "post_login"];
    let mut rest = on_trigger.len();
    if let ([action], Some(said)) =
        (ours.as_slice(), ours.first().and_then(|one| rules::said(text(one, "code"))))
    {
        found.probe(&[section[0], section[1], "name"], json!(text(action, "name")));
        found.channels_of_rules = rules::channels(text(action, "code")).map(|channels| json!(channels));
        for (rule, keys) in said {
            for (key, value) in keys {
                found.say(&[section[0], section[1], "rules", &rule, &key], value);
            }
        }
        told_of(action, found);
        if action["secrets"].as_array().is_some_and(|secrets| !secrets.is_empty()) {
            found.left.push("the secrets of the post-login Action: mfa.post_login takes none".into());
        }
        if action["dependencies"].as_array().is_some_and(|packages| !packages.is_empty()) {
            found.left.push("the packages of the post-login Action: mfa.post_login takes none".into());
        }
        rest -= 1;
        // Behind the rules, and only with the code that ships: nobody can tell what other code reads.
        let built_in = crate::builtin::source("login-feedback").unwrap_or_default();
        if let Some(reporter) = on_trigger.iter().find(|one| text(one, "code") == built_in) {
            found.probe(&[REPORTER[0], REPORTER[1], "name"], json!(text(reporter, "name")));
            if let Some(at) = last_written(reporter) {
                found.say(&[REPORTER[0], REPORTER[1], "secrets_as_of"], json!(at));
            }
            told_of(reporter, found);
            rest -= 1;
        }
    }
    if rest > 0 {
        found.left.push(format!("{rest} Action(s) on {} without rules of a manifest", spec.trigger.id));
    }
    Ok(())
}

/// The tenant's phone provider, if an Action sends for it.
async fn find_provider(reader: &Reader, found: &mut Found) -> Result<(), Failed> {
    let reply = reader.get(&phone_provider::list_providers()).await?;
    let what = "GET /api/v2/branding/phone/providers";
    let list = entries_with(reply.get("providers"), &["/id"], what)?;
    let Some(provider) = list.first() else { return Ok(()) };
    if list.len() > 1 || text(provider, "name") != "custom" {
        let names: Vec<&str> = list.iter().map(|one| text(one, "name")).collect();
        found.left.push(format!(
            "the phone provider ({}): a manifest says only how an Action sends, and a vendor's credentials cannot be read",
            names.join(", ")
        ));
        return Ok(());
    }
    let methods = &provider["configuration"]["delivery_methods"];
    let channels = ["sms", "voice"].into_iter().filter(|channel| {
        let method = if *channel == "sms" { "text" } else { channel };
        methods.as_array().is_some_and(|methods| methods.iter().any(|one| one == method))
    });
    found.say(&["phone", "delivery"], json!("unified"));
    found.say(&["phone", "channels"], json!(channels.collect::<Vec<_>>()));
    Ok(())
}

/// The provider of Guardian, if it hands codes to an Action. The answer is whether it does.
async fn find_legacy_delivery(reader: &Reader, found: &mut Found) -> Result<bool, Failed> {
    let reply = reader.get(&legacy::SELECTED.get()).await?;
    let provider = legacy::provider(&reply)?;
    if provider != legacy::HOOK {
        if provider != legacy::NEVER_CHOSEN {
            found
                .left
                .push(format!("the phone provider of Guardian ({provider}), which no Action sends for"));
        }
        return Ok(false);
    }
    let types = reader.get(&MESSAGE_TYPES.get()).await?;
    let types =
        types.get("message_types").filter(|types| types.as_array().is_some_and(|list| !list.is_empty()));
    found.say(&["phone", "delivery"], json!("legacy"));
    // Nobody has chosen types while the factor was never on; then the rules in the code tell the channels, if they do.
    let channels =
        types.cloned().or_else(|| found.channels_of_rules.clone()).unwrap_or_else(|| json!(["sms"]));
    found.say(&["phone", "channels"], channels);
    Ok(true)
}

const FUNCTION: [&str; 2] = ["feedback", "function"];
const REPORTER: [&str; 2] = ["feedback", "action"];
const STREAM: [&str; 2] = ["feedback", "log_stream"];

/// The stream of the feedback with its receiver, and all other HTTP streams.
async fn find_streams(wish: &Wish, reader: &Reader) -> Result<Found, Failed> {
    let mut found = Found::default();
    let (list, services) = (streams::list_streams(), serverless::list_services());
    let tasks: Vec<Task<'_, _>> = vec![Box::pin(reader.get(&list)), Box::pin(reader.get(&services))];
    let mut replies = join_all(tasks).await.into_iter();
    let (Some(list), Some(services)) = (replies.next(), replies.next()) else { return Err(Failed::Stopped) };
    let (list, services) = (list?, services?);
    let services = serverless::entries_with_sids(&services, "services")?;
    let (http, others): (Vec<&Json>, Vec<&Json>) =
        array(&list, "GET /api/v2/log-streams")?.iter().partition(|one| text(one, "type") == "http");
    found.left.extend(others.iter().map(|one| {
        format!(
            "the log stream {:?}: it is of type {:?}, and a manifest has HTTP streams only",
            text(one, "name"),
            text(one, "type")
        )
    }));
    let served: Vec<(&Json, &Json)> = http
        .iter()
        .filter_map(|one| Some((*one, serving(services, text(&one["sink"], "httpEndpoint"))?)))
        .collect();
    let mut feedback = None;
    if let Some((stream, service)) = served.first() {
        feedback = Some(*stream);
        if !wish.uses_function {
            found.join(find_function(service, stream, reader).await?);
        }
    }
    let feedback = feedback.or_else(|| the_feedback(&http));
    let mut names = BTreeSet::new();
    for stream in &http {
        let named = json!(text(stream, "name"));
        if feedback.is_some_and(|one| std::ptr::eq(one, *stream)) {
            found.probe(&[STREAM[0], STREAM[1], "name"], named);
            if filters(stream).contains(&"auth.login.success") {
                found.say(&["feedback", "passwordless"], json!(true));
            }
            continue;
        }
        let key = free_name(text(stream, "name"), &mut names);
        found.probe(&[said_streams::FURTHER_PATH, "http", &key, "name"], named);
    }
    Ok(found)
}

fn filters(stream: &Json) -> Vec<&str> {
    stream["filters"].as_array().into_iter().flatten().map(|filter| text(filter, "name")).collect()
}

/// The Serverless service that serves a URL.
fn serving<'a>(services: &'a [Json], url: &str) -> Option<&'a Json> {
    let host = host(url).filter(|host| host.ends_with(".twil.io"))?;
    services.iter().filter(|one| is_sid(text(one, "sid"), "ZS")).find(|one| {
        let base = text(one, "domain_base").to_ascii_lowercase();
        let rest = host.strip_prefix(base.as_str()).filter(|_| !base.is_empty());
        rest.is_some_and(|rest| rest.starts_with(['.', '-']))
    })
}

fn host(url: &str) -> Option<String> {
    Some(url.strip_prefix("https://")?.split(['/', '?', '#']).next()?.to_ascii_lowercase())
}

/// The only stream that carries the events of the feedback in a form that a receiver can read, and few others.
fn the_feedback<'a>(http: &[&'a Json]) -> Option<&'a Json> {
    let fits = |stream: &&Json| {
        let names = filters(stream);
        let sink = &stream["sink"];
        let masked = stream["pii_config"]["log_fields"].as_array();
        ["other", "user.notification"].iter().all(|name| names.contains(name))
            && text(sink, "httpContentFormat") != "JSONLINES"
            && text(sink, "httpContentType").trim_start().starts_with("application/json")
            && stream["isPriority"] != json!(true)
            && !masked.is_some_and(|fields| fields.iter().any(|field| field == "phone"))
    };
    let fitting: Vec<&&Json> = http.iter().filter(|one| fits(one)).collect();
    let fewest = fitting.iter().map(|one| filters(one).len()).min()?;
    match fitting.iter().filter(|one| filters(one).len() == fewest).collect::<Vec<_>>().as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// A key for an object: the letters of its name that a key may have, and a number where another object has the same.
fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let name = name.strip_prefix("Lockstep ").map_or(name, |rest| rest.split(" (").next().unwrap_or(rest));
    let letters: String = name
        .chars()
        .take(200)
        .map(|ch| if ch.is_ascii_alphanumeric() { ch.to_ascii_lowercase() } else { '_' })
        .collect();
    let words: Vec<&str> = letters.split('_').filter(|word| !word.is_empty()).collect();
    let mut key: String = words.join("_").chars().take(30).collect();
    if key.is_empty() {
        key = "stream".into();
    }
    let mut free = key.clone();
    for number in 2.. {
        if taken.insert(free.clone()) {
            break;
        }
        free = format!("{key}_{number}");
    }
    free
}

/// The Function behind the endpoint of a stream.
async fn find_function(service: &Json, stream: &Json, reader: &Reader) -> Result<Found, Failed> {
    let mut found = Found::default();
    let sid = text(service, "sid");
    let endpoint = text(&stream["sink"], "httpEndpoint");
    let left = |why: &str| {
        let name = text(service, "unique_name");
        Found {
            left: vec![format!("the Function of the Serverless service {name:?}: {why}")],
            ..Found::default()
        }
    };
    let (environments, functions) =
        (serverless::list_in_service(sid, "Environments"), serverless::list_in_service(sid, "Functions"));
    let tasks: Vec<Task<'_, _>> = vec![Box::pin(reader.get(&environments)), Box::pin(reader.get(&functions))];
    let mut replies = join_all(tasks).await.into_iter();
    let Some(environments) = replies.next() else { return Err(Failed::Stopped) };
    let environments = environments?;
    let environments = serverless::entries_with_sids(&environments, "environments")?;
    let host = host(endpoint).unwrap_or_default();
    let here = |one: &&Json| text(one, "domain_name").eq_ignore_ascii_case(&host);
    let Some(environment) = environments.iter().find(here) else {
        return Ok(left("none of its environments has the host that the stream sends to"));
    };
    let build = text(environment, "build_sid");
    if !is_sid(build, "ZB") {
        return Ok(left("nothing is deployed where the stream sends to"));
    }
    let build = serverless::read_in_service(sid, &format!("Builds/{build}"));
    let variables =
        serverless::list_in_service(sid, &format!("Environments/{}/Variables", text(environment, "sid")));
    // The Function's kind reads the service by its name, which becomes a part of that path.
    let name = text(service, "unique_name");
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') || name.is_empty() {
        return Ok(left("its name cannot be written into a manifest"));
    }
    let service_again = serverless::read_service(name);
    let tasks: Vec<Task<'_, _>> = vec![
        Box::pin(reader.get(&build)),
        Box::pin(reader.get(&variables)),
        Box::pin(reader.get(&service_again)),
    ];
    let mut replies = join_all(tasks).await.into_iter();
    let (Some(build), Some(variables)) = (replies.next(), replies.next()) else {
        return Err(Failed::Stopped);
    };
    let (build, variables) = (build?, variables?);
    let path: String = endpoint.splitn(4, '/').nth(3).map_or_else(|| "/".into(), |rest| format!("/{rest}"));
    let versions = build.get("function_versions").and_then(Json::as_array);
    let Some(version) = versions.into_iter().flatten().find(|one| text(one, "path") == path) else {
        return Ok(left("no Function serves the path that the stream sends to"));
    };
    let (function, version) = (text(version, "function_sid"), text(version, "sid"));
    if !is_sid(function, "ZH") || !is_sid(version, "ZN") {
        return Err(Failed::Misread("Serverless: a version without SIDs".into()));
    }
    let content =
        serverless::read_in_service(sid, &format!("Functions/{function}/Versions/{version}/Content"));
    let content = reader.get(&content).await?;
    let mut put = |path: &[&str], value: Json| {
        let path: Vec<&str> = FUNCTION.iter().chain(path).copied().collect();
        found.probe(&path, value);
    };
    put(&["unique_name"], json!(text(service, "unique_name")));
    put(&["environment"], json!(text(environment, "unique_name")));
    put(&["path"], json!(path));
    let code = text(&content, "content").replace("\r\n", "\n");
    put(&["code"], json!(code));
    put(&["runtime"], json!(text(&build, "runtime")));
    for package in build["dependencies"].as_array().into_iter().flatten() {
        let name = text(package, "name");
        // The platform adds some packages by itself, which only code that loads them is there for.
        let is_loaded =
            || ['\'', '"', '`'].iter().any(|quote| code.contains(&format!("{quote}{name}{quote}")));
        let is_known = ["twilio", "@twilio/runtime-handler"].contains(&name);
        if is_known || !serverless::ADDED_BY_TWILIO.contains(&name) || is_loaded() {
            put(&["dependencies", name], json!(text(package, "version")));
        }
    }
    for variable in serverless::entries_with_sids(&variables, "variables")? {
        let name = text(variable, "key");
        if !function::FILLED_IN.iter().any(|(own, _)| *own == name) {
            put(&["variables", name], Json::Null);
        }
    }
    found.keys.extend(
        ["unique_name", "environment"]
            .map(|key| FUNCTION.iter().chain(&[key]).map(|part| (*part).to_owned()).collect::<Path>())
            .into_iter()
            .filter_map(|path| Some((path.clone(), found.probed.remove(&path)?))),
    );
    if text(&stream["sink"], "httpAuthorization").is_empty() {
        return Ok(left(
            "the stream sends no authorization, so nothing tells the Function who may send events to it",
        ));
    }
    Ok(found)
}

/// A Function reports to a Verify service, so without one it is left alone.
fn settle_receiver(found: &mut Found) {
    let has_service = found.keys.keys().any(|path| path[0] == SERVICE);
    for (section, what) in [(FUNCTION, "Function that receives"), (REPORTER, "Action that gives")] {
        let is_its = |path: &Path| path.starts_with(&section.map(str::to_owned));
        if found.probed.keys().any(is_its) && !has_service && found.asks.is_empty() {
            found.probed.retain(|path, _| !is_its(path));
            found.keys.retain(|path, _| !is_its(path));
            found.left.push(format!(
                "the {what} the feedback: it reports to a Verify service, and none is adopted"
            ));
        }
    }
    // A limit that the code does not pass may be passed by another sender.
    for name in std::mem::take(&mut found.limits) {
        let key = found.passed.get(&name).map_or("none", String::as_str);
        found.say(&[SERVICE, "rate_limits", &name, "key"], json!(key));
    }
}

/// Sections that only a manifest with something found above has. Every other section has settings of each tenant.
pub const OF_FOUND: [&str; 13] = [
    "action",
    "action.binding",
    "attest",
    "feedback",
    "feedback.action",
    "feedback.function",
    "feedback.log_stream",
    "log_streams",
    "mfa.post_login",
    "mfa.post_login.binding",
    "phone",
    "sample_client",
    "verify_service",
];

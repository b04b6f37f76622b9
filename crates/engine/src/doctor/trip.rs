//! What `doctor` reads besides the reads of a plan, in one trip of at most [`REQUESTS_MAX`] requests, and what the
//! replies say of limits, runtimes and the stream.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::diag::remote;
use crate::health::{feedback, rfc3339};
use crate::kinds;
use crate::kinds::handed_on::{Tried, tried_once};
use crate::kinds::said::{function, passwordless, streams};
use crate::kinds::{Kind, Seen, Task, by_name, guards, text};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get};
use crate::model::checkup::{Limit, Runs, Stream};
use crate::model::manifest::Manifest;
use crate::model::plan::{Op, Stage, Verb};
use crate::model::secret::percent_encode;
use crate::model::value::Value;
use crate::port::{Answered, Reader, Replies, join_all};

/// Most requests of the trip.
pub const REQUESTS_MAX: usize = 8;
/// Length of the time that is looked at.
pub const WINDOW_MS: u64 = 24 * 60 * 60_000;

/// The replies. `None`: nothing was asked.
pub struct Trip {
    pub account: Answered,
    pub keys: Answered,
    pub services: Answered,
    pub serverless: Answered,
    pub attempts: Option<Answered>,
    pub log: Option<Answered>,
    pub tried: Vec<Tried>,
}

/// What the trip is to ask.
pub struct Ask<'a> {
    pub manifest: &'a Manifest,
    pub account: &'a str,
    /// SID of the Verify service; `None`: it is not known.
    pub service: Option<&'a str>,
    /// Whether to read the tenant log.
    pub log: bool,
    /// Ms since the Unix epoch.
    pub now_ms: u64,
}

/// Reads once, each list only its first page.
///
/// # Errors
/// The run was stopped.
pub async fn trip(ask: &Ask<'_>, reader: &Reader) -> Result<Trip, Failed> {
    let Ask { manifest, account, service, log, now_ms } = *ask;
    let (since, until) = (rfc3339(now_ms.saturating_sub(WINDOW_MS)), rfc3339(now_ms));
    let whole = |api: Api, path: String| Get::whole(api, path);
    let mut gets = vec![
        whole(Api::Core, format!("/2010-04-01/Accounts/{account}.json")),
        whole(Api::Iam, format!("/v1/Keys?AccountSid={account}&PageSize=1000")),
        whole(Api::Verify, "/v2/Services?PageSize=100".to_owned()),
        whole(Api::Serverless, "/v1/Services?PageSize=100".to_owned()),
    ];
    let attempts = service.map(|sid| {
        // To the second: the API names no smaller part of a time.
        let since = percent_encode(&format!("{}Z", since.split('.').next().unwrap_or_default()));
        whole(Api::Verify, format!("/v2/Attempts/Summary?VerifyServiceSid={sid}&DateCreatedAfter={since}"))
    });
    let events = log.then(|| {
        let query = format!("{} AND date:[\"{since}\" TO \"{until}\"]", feedback::query());
        let query = percent_encode(&query);
        whole(Api::Auth0, format!("/api/v2/logs?q={query}&sort=date:-1&per_page={LOG_PAGE}&page=0"))
    });
    gets.extend(attempts.iter().chain(&events).cloned());
    let (mut replies, mut tried) = (Vec::new(), Vec::new());
    let left = REQUESTS_MAX.saturating_sub(gets.len());
    let both: Vec<Task<'_, ()>> = vec![
        Box::pin(async {
            let reads: Vec<Task<'_, Answered>> =
                gets.iter().map(|get| Box::pin(reader.fresh(get)) as Task<'_, _>).collect();
            replies = join_all(reads).await;
        }),
        Box::pin(async { tried = tried_once(manifest, left, reader).await }),
    ];
    join_all(both).await;
    if replies.iter().any(|reply| matches!(reply, Err(Failed::Stopped))) {
        return Err(Failed::Stopped);
    }
    let mut replies = replies.into_iter();
    let mut next = |what: &str, is_good: &dyn Fn(&Json) -> bool| match replies.next() {
        Some(Ok(reply)) if !is_good(&reply) => Err(Failed::Misread(what.to_owned())),
        reply => reply.unwrap_or(Err(Failed::Stopped)),
    };
    let has_list = |key: &'static str| move |reply: &Json| reply[key].is_array();
    Ok(Trip {
        account: next("not the account that was asked for", &|reply| text(reply, "sid") == account),
        keys: next("no list of keys", &has_list("keys")),
        services: next("no list of Verify services", &has_list("services")),
        serverless: next("no list of Serverless services", &has_list("services")),
        attempts: attempts
            .map(|_| next("no counts of attempts", &|reply| feedback::summary(reply).is_some())),
        log: events.map(|_| next("no list of events", &|reply| log_events(reply).is_some())),
        tried,
    })
}

/// Largest page of the tenant log.
pub const LOG_PAGE: usize = 100;

/// The events of a reply of the tenant log; `None`: it is no list.
pub fn log_events(reply: &Json) -> Option<&[Json]> {
    reply.as_array().or_else(|| reply["logs"].as_array()).map(Vec::as_slice)
}

/// Scopes that the reads so far needed.
pub fn scopes_of_reads(replies: &Replies) -> BTreeSet<String> {
    let reads = replies.keys().filter(|get| get.api == Api::Auth0);
    reads.filter_map(|get| remote::scope(Method::Get, &get.path)).collect()
}

/// Scopes that an apply may need to create and to change the resources of these kinds.
pub fn scopes_of_kinds<'a>(kinds: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let of = |kind: &'static dyn Kind| -> Vec<&'static str> {
        if guards::is_action(kind.name()) {
            // A deployment makes a version, so it needs the scope for creating.
            return vec!["create:actions", "update:actions"];
        }
        let step = |verb| {
            kinds::step(&Address::of(kind.name()), kind.name(), verb, Stage::Tenant, "", Op::default())
        };
        [Verb::Create, Verb::Update].into_iter().flat_map(|verb| kind.scopes(&step(verb))).copied().collect()
    };
    kinds.filter_map(by_name).flat_map(of).map(str::to_owned).collect()
}

/// How much is used of what is limited ("Auth0 docs, entity limit policy", 2026-08; "Twilio docs, Functions limits",
/// 2026-08). The numbers of log streams, Verify services and keys are not published.
pub fn limits(replies: &Replies, trip: &Trip) -> Vec<Limit> {
    let all = replies.get(&kinds::record_list()).and_then(|reply| reply.as_ref().ok());
    let all = all.and_then(|reply| kinds::actions_of(reply));
    let streams = replies.get(&kinds::streams_list());
    let streams = streams.and_then(|reply| reply.as_ref().ok()?.as_array().map(Vec::len));
    let on =
        |trigger: &str| all.map(|all| all.iter().filter(|action| kinds::is_for(action, trigger)).count());
    let whole = |what, used, most| Limit { what, used, more: false, most };
    let page = |what, reply: &Answered, key: &str, most| {
        let list = reply.as_ref().ok().and_then(|reply| reply[key].as_array());
        let more = reply.as_ref().is_ok_and(|reply| reply["meta"]["next_page_url"].is_string());
        Limit { what, used: list.map(Vec::len), more, most }
    };
    vec![
        whole("Actions", all.map(<[Json]>::len), Some(100)),
        whole("Actions on custom-phone-provider", on("custom-phone-provider"), Some(1)),
        whole("Actions on post-login", on("post-login"), Some(20)),
        whole("log streams", streams, None),
        page("Verify services", &trip.services, "services", None),
        page("Serverless services", &trip.serverless, "services", Some(50)),
        page("API keys", &trip.keys, "keys", None),
    ]
}

/// What the code of the stack runs on. `failed`: whether the last build of that resource failed.
pub fn running(seen: &BTreeMap<Address, Seen>, failed: impl Fn(&Address) -> bool) -> Vec<Runs> {
    let is_code = |address: &Address| guards::is_action(address.kind()) || *address == function::NAME;
    let of = |(address, seen): (&Address, &Seen)| Runs {
        address: address.clone(),
        runtime: seen.attrs.get("runtime").and_then(Value::as_str).map(str::to_owned),
        failed: failed(address),
    };
    seen.iter().filter(|(address, seen)| seen.exists && is_code(address)).map(of).collect()
}

/// Versions of Node that have ended, and since when, in words ("Node.js releases", 2026; "Auth0 changelog", 2025-08;
/// "Twilio changelog", 2025-11).
const ENDED: [(&str, &str); 4] = [
    ("node12", "Auth0 ended it on 2025-08-15"),
    ("node16", "Auth0 ended it on 2025-08-15"),
    ("node18", "Node.js ended it on 2025-04-30, and Twilio builds nothing with it since 2025-11-10"),
    ("node20", "Node.js ended it on 2026-04-30"),
];

/// When a version of Node ended; `None`: nothing is known of its end.
pub fn ended(runtime: &str) -> Option<&'static str> {
    ENDED.iter().find(|(name, _)| *name == runtime).map(|(_, when)| *when)
}

/// The stream of the feedback; `None`: it does not exist or was not read.
pub fn stream(seen: &BTreeMap<Address, Seen>) -> Option<Stream> {
    let seen = seen.get(&Address::of(streams::NAME)).filter(|seen| seen.exists && !seen.not_read)?;
    let status = seen.attrs.get("status").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    Some(Stream { status, filters: words(seen, "filters") })
}

/// The way of the feedback, as the tenant has it.
pub fn way(seen: &BTreeMap<Address, Seen>, manifest: &Manifest) -> feedback::Way {
    let stream = seen.get(&Address::of(streams::NAME));
    let masked = stream.map(|seen| words(seen, "pii_config.log_fields")).unwrap_or_default();
    let code = manifest.text(function::SECTION_PATH, "code");
    feedback::Way {
        filters: stream.map(|seen| words(seen, "filters")).unwrap_or_default(),
        masks: masked.iter().any(|field| field == "phone"),
        is_builtin: code.is_some() && code == crate::builtin::source("verify-feedback"),
    }
}

/// The categories that the feedback needs and the stream does not carry.
pub fn dropped(stream: &Stream, manifest: &Manifest) -> Vec<&'static str> {
    let needed = passwordless::default_filters(manifest);
    let is_dropped =
        |name: &&str| !stream.filters.is_empty() && !stream.filters.iter().any(|filter| filter == name);
    needed.into_iter().filter(is_dropped).collect()
}

fn words(seen: &Seen, field: &str) -> Vec<String> {
    let list = seen.attrs.get(field).and_then(Value::known).and_then(Json::as_array);
    list.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// Why no code can be sent through this service of the account; `None`: no reason is known. `list`: the reply with the
/// account's services.
pub fn cannot_send(sid: &str, list: &Answered) -> Option<&'static str> {
    let list = list.as_ref().ok()?;
    let services = list["services"].as_array()?;
    match services.iter().find(|service| text(service, "sid") == sid) {
        Some(service) if service["custom_code_enabled"] == json!(false) => {
            Some("has custom codes off, so that Verify refuses every message of Auth0 (60204)")
        }
        None if list["meta"]["next_page_url"].is_null() => Some("does not exist in this account"),
        _ => None,
    }
}

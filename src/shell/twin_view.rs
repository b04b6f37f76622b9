//! The markup of the twin's page: the picture of the world and the requests, as HTML. The markup library escapes all
//! text.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value as Json;

use super::twin_page::{SCRIPT, STYLE};

/// The whole page. `filter` is the text that the shown requests were selected by.
pub fn page(picture: &Json, requests: &[Json], filter: &str) -> String {
    let (tenants, accounts) = (items_of(&picture["tenants"]), items_of(&picture["accounts"]));
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Lockstep twin" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Lockstep twin" }
                    (facts(picture))
                    span #state .bad {}
                    label { input type="checkbox" id="pause"; " pause" }
                }
                main {
                    div #world {
                        (faults(items_of(&picture["faults"])))
                        @if tenants.is_empty() && accounts.is_empty() {
                            section {
                                h2 { "The world is empty" }
                                p { "Tenants and accounts appear with their first request." }
                            }
                        }
                        @for one in tenants { (tenant(one)) }
                        @for one in accounts { (account(one)) }
                    }
                    section {
                        h2 { "Requests" }
                        p { label { "filter " input #filter type="search" value=(shown(filter)) autocomplete="off"; } }
                        p .nothing { "newest first; a green edge marks what wrote" }
                        (log(requests, filter))
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

fn facts(picture: &Json) -> Markup {
    html! {
        span #facts {
            span .mono { (words(&picture["clock"])) }
            " · " (value_text(&picture["requests"])) " requests · rate " (value_text(&picture["options"]["rate"]))
            " · latency " (value_text(&picture["options"]["latency_ms"])) " ms · JSON: "
            a href="/__twin/world.json" { "world" } ", " a href="/__twin/log.json" { "log" }
        }
    }
}

/// Text that cannot pass for another text: control characters are shown by their symbols, direction marks and invisible
/// characters by their numbers.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(ch)).unwrap_or('\u{fffd}')),
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.push_str(&format!("\\u{{{:x}}}", u32::from(ch))),
            other => out.push(other),
        }
    }
    out
}

/// A value as text: a string without quotes, null as nothing, a list joined by commas.
fn value_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => shown(text),
        Json::Array(list) => list.iter().map(value_text).collect::<Vec<_>>().join(", "),
        other => shown(&other.to_string()),
    }
}

/// Text in which a line may break after a punctuation mark, so that a long name or path is not broken inside a word.
fn words(value: &Json) -> Markup {
    let text = value_text(value);
    let pieces = text.split_inclusive(['/', '.', '?', '&', '=', ':', ',', '{', '}']);
    html! { @for piece in pieces { (piece) wbr; } }
}

fn items_of(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A table with a title; nothing if it has no rows. Each cell holds its column head, because a narrow page hides the
/// row of heads.
fn table(title: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        @if !rows.is_empty() {
            h3 { (title) }
            table {
                tr { @for head in heads { th { (head) } } }
                @for row in rows {
                    tr { @for (head, cell) in heads.iter().zip(row) { td data-head=(head) { div { (cell) } } } }
                }
            }
        }
    }
}

/// A word in the colour of its meaning.
fn word(value: &Json) -> Markup {
    let class = match value.as_str().unwrap_or_default() {
        "built" | "active" | "completed" | "approved" => "ok",
        "failed" | "suspended" | "closed" => "bad",
        "pending" | "building" | "retrying" | "packaged" | "paused" => "warn",
        _ => "",
    };
    html! { span class=(class) { (value_text(value)) } }
}

fn plain(text: &str) -> Markup {
    html! { (text) }
}

fn bad_if(is_so: bool, text: &str, otherwise: &str) -> Markup {
    html! { @if is_so { span .bad { (text) } } @else { (otherwise) } }
}

fn code(value: &Json) -> Markup {
    html! { code { (words(value)) } }
}

fn faults(rules: &[Json]) -> Markup {
    let row = |rule: &Json| {
        let over = rule["over"] == true;
        let state = html! { @if over { span .off { "over" } } @else { span .warn { "active" } } };
        vec![code(&rule["rule"]), words(&rule["matched"]), state]
    };
    let rows: Vec<Vec<Markup>> = rules.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            section {
                h2 { "Faults" }
                (table("in this order", &["rule", "matched", "state"], &rows))
            }
        }
    }
}

/// A part of the world that can be folded. The page remembers by the id what was folded.
fn part(id: &str, title: &Markup, inside: &Markup) -> Markup {
    html! {
        section {
            details id=(shown(id)) open {
                summary { h2 { (title) } }
                (inside)
            }
        }
    }
}

fn tenant(one: &Json) -> Markup {
    let actions: Vec<Vec<Markup>> = items_of(&one["actions"]).iter().map(action).collect();
    let bound: Vec<Vec<Markup>> = one["bindings"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(trigger, entries)| {
            items_of(entries).iter().enumerate().map(move |entry| (trigger, entry))
        })
        .map(|(trigger, (at, entry))| {
            let place = Json::String(format!("{trigger} {}", at + 1));
            vec![words(&place), words(&entry["display_name"]), words(&entry["action"])]
        })
        .collect();
    let provider = |one: &Json| {
        let state = bad_if(one["disabled"] == true, "disabled", "on");
        vec![words(&one["name"]), words(&one["delivery_methods"]), words(&one["credentials"]), state]
    };
    let providers: Vec<Vec<Markup>> = items_of(&one["phone_providers"]).iter().map(provider).collect();
    let stream = |one: &Json| {
        vec![
            words(&one["name"]),
            words(&one["type"]),
            word(&one["status"]),
            words(&one["endpoint"]),
            words(&one["filters"]),
            words(&one["authorization"]),
        ]
    };
    let streams: Vec<Vec<Markup>> = items_of(&one["log_streams"]).iter().map(stream).collect();
    let stream_heads = ["name", "type", "status", "endpoint", "filters", "authorization"];
    let hosts = value_text(&one["custom_domains"]);
    let inside = html! {
        @if !hosts.is_empty() { p { "also as " (words(&one["custom_domains"])) } }
        (table("Actions", &["name", "trigger", "runtime", "draft", "secrets", "versions"], &actions))
        (table("Bindings", &["trigger", "shown as", "Action"], &bound))
        (table("Phone provider", &["kind", "delivers", "credentials", "state"], &providers))
        h3 { "MFA" }
        p {
            @for factor in items_of(&one["factors"]) {
                @if factor["enabled"] == true { span .tag.on { "✓ " (value_text(&factor["name"])) } }
                @else { span .tag.off { (value_text(&factor["name"])) } }
                " "
            }
        }
        p {
            "policy: " (or(&one["policy"], "never")) " · message types: " (or(&one["message_types"], "never set"))
            " · unified phone: " (or(&one["unified_phone"], "not shown"))
            " · legacy provider: " (words(&one["selected_provider"])) " · login: " (words(&one["login_experience"]))
        }
        (table("Log streams", &stream_heads, &streams))
    };
    part(&format!("t-{}", value_text(&one["domain"])), &words(&one["domain"]), &inside)
}

/// A value, or `nothing` if it is empty.
fn or(value: &Json, nothing: &str) -> Markup {
    let empty = value_text(value).is_empty();
    html! { @if empty { span .nothing { (nothing) } } @else { (words(value)) } }
}

fn action(one: &Json) -> Vec<Markup> {
    let versions = items_of(&one["versions"]);
    let live = versions.iter().find(|version| version["live"] == true);
    let summary = match live {
        Some(version) => format!("{} of {} live", value_text(&version["number"]), versions.len()),
        None => format!("{}, none live", versions.len()),
    };
    let shown = html! {
        @if versions.is_empty() { span .nothing { "none" } }
        @else {
            details id=(format!("v-{}", value_text(&one["id"]))) {
                summary { (summary) }
                @for version in versions {
                    div .mono {
                        (value_text(&version["number"])) " " (words(&version["created_at"])) " " (value_text(&version["runtime"]))
                        @if version["live"] == true { " " span .ok { "live" } }
                    }
                }
            }
        }
    };
    let draft = html! { (word(&one["status"])) @if one["draft_is_live"] == true { ", live" } };
    let secrets: Json = items_of(&one["secrets"]).iter().map(|secret| secret["name"].clone()).collect();
    vec![words(&one["name"]), words(&one["triggers"]), words(&one["runtime"]), draft, words(&secrets), shown]
}

fn account(one: &Json) -> Markup {
    let service = |one: &Json| {
        let limit = |limit: &Json| {
            format!("{} ({})", value_text(&limit["unique_name"]), value_text(&limit["buckets"]))
        };
        let limits = items_of(&one["rate_limits"]).iter().map(limit).collect::<Vec<_>>().join("; ");
        vec![
            words(&one["friendly_name"]),
            code(&one["sid"]),
            words(&one["code_length"]),
            plain(if one["custom_code_enabled"] == true { "on" } else { "off" }),
            words(&Json::String(limits)),
            words(&one["messaging_configurations"]),
            words(&one["verifications"]),
        ]
    };
    let services: Vec<Vec<Markup>> = items_of(&one["verify_services"]).iter().map(service).collect();
    let heads = ["name", "SID", "digits", "custom code", "rate limits", "messaging", "verifications"];
    let key = |one: &Json| {
        let state = bad_if(one["deleted"] == true, "deleted", "live");
        vec![
            words(&one["friendly_name"]),
            code(&one["sid"]),
            words(&one["kind"]),
            words(&one["allow"]),
            state,
        ]
    };
    let keys: Vec<Vec<Markup>> = items_of(&one["keys"]).iter().map(key).collect();
    let inside = html! {
        @if one["status"] != "active" { p .bad { (words(&one["status"])) } }
        (table("Verify services", &heads, &services))
        @for service in items_of(&one["serverless"]) { (serverless(service)) }
        (table("API keys", &["name", "SID", "kind", "may", "state"], &keys))
    };
    let title = html! { "Twilio account " span .mono { (words(&one["sid"])) } };
    part(&format!("a-{}", value_text(&one["sid"])), &title, &inside)
}

fn serverless(service: &Json) -> Markup {
    let environment = |one: &Json| {
        let none = value_text(&one["build_sid"]).is_empty();
        let build = html! { @if none { "nothing deployed" } @else { (code(&one["build_sid"])) } };
        vec![words(&one["unique_name"]), words(&one["domain_name"]), build, words(&one["variables"])]
    };
    let function = |one: &Json| {
        let names = ["friendly_name", "path", "visibility", "versions"];
        names.iter().map(|name| words(&one[*name])).collect()
    };
    let build = |one: &Json| vec![code(&one["sid"]), word(&one["status"]), words(&one["runtime"])];
    let environments: Vec<Vec<Markup>> = items_of(&service["environments"]).iter().map(environment).collect();
    let functions: Vec<Vec<Markup>> = items_of(&service["functions"]).iter().map(function).collect();
    let builds: Vec<Vec<Markup>> = items_of(&service["builds"]).iter().map(build).collect();
    html! {
        h3 { "Serverless " (words(&service["unique_name"])) }
        p { (code(&service["sid"])) }
        (table("Environments", &["name", "domain", "build", "variables"], &environments))
        (table("Functions", &["name", "path", "visibility", "versions"], &functions))
        (table("Builds", &["SID", "status", "runtime"], &builds))
    }
}

/// The list of requests, newest first.
fn log(requests: &[Json], filter: &str) -> Markup {
    html! {
        div #requests {
            @if requests.is_empty() && filter.is_empty() { p .nothing { "None yet." } }
            @else if requests.is_empty() { p .nothing { "No request contains that text." } }
            @for one in requests.iter().rev() { (request(one)) }
        }
    }
}

fn request(one: &Json) -> Markup {
    let status = one["status"].as_u64();
    let color = match status {
        Some(200..400) => "ok",
        Some(400..500) => "warn",
        _ => "bad",
    };
    let served = one["served_status"].as_u64().filter(|served| Some(*served) != status);
    let at = one["at"].as_str().and_then(|at| at.get(11..23)).unwrap_or_default();
    let class = if one["wrote"] == true { "request wrote" } else { "request" };
    html! {
        div class=(class) {
            span .number { (value_text(&one["number"])) }
            span .mono { (shown(at)) }
            span class=(color) {
                @match status {
                    Some(status) => (status),
                    None => (value_text(&one["fate"])),
                }
                @if one["fault"].is_string() {
                    " " span .tag { (value_text(&one["fault"])) }
                    @if let Some(served) = served { "(was " (served) ")" }
                }
            }
            span .ms { (value_text(&one["took_ms"])) " ms" }
            span .host { (words(&one["host"])) }
            code .path { (value_text(&one["method"])) " " (words(&one["path"])) }
        }
    }
}

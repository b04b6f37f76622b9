//! Rate limits of the Verify service. A limit has buckets: each allows so many sends per interval for one value (a
//! number, a user, an address). The Action passes the value; see `code_limits`.
//!
//! The unique name is the identity of a limit and cannot change. A new name is a new limit, and the limit of the old
//! name is deleted. The interval is the identity of a bucket. If the manifest names buckets of a limit, any other
//! bucket of this limit is a difference and is deleted, because every bucket refuses sends. If it names none, the
//! buckets stay as they are. Limits that the manifest does not name stay, with their buckets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::looks::verify_below::{known_sid, prefetch, read_below};
use super::looks::verify_service::unproven;
use super::remote::verify_below::{self, RATE_LIMITS as LIST};
use super::said::rate_limits::{Part, SECTION, names, part};
use super::said::verify_service::{LEFT_WITH_IT, is_spared, is_used};
use super::{
    Back, Diff, Done, Hint, Kind, Leaving, Resource, Run, SaidBy, Seen, Task, WayBack, Whose, added,
    code_limits, identity, require_id, step, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Paging, Repeat};
use crate::model::facts::{ActionState, Fact, Facts};
use crate::model::field::Section;
use crate::model::ledger::{Entry, Ownership};
use crate::model::login_path::LoginPath;
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct VerifyRateLimit;

pub use super::said::rate_limits::KIND as NAME;
const BUCKET: &str = "buckets.";
/// One day, in seconds; Twilio documents no longer interval.
const INTERVAL_MAX_S: u64 = 86_400;

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Create,
    Update,
    Delete,
    CreateBucket { interval: String },
    UpdateBucket { interval: String },
    DeleteBucket { interval: String },
}

#[derive(Clone, Default)]
struct Own {
    /// SIDs of the buckets, by interval.
    buckets: BTreeMap<String, String>,
    /// Names of limits that the service has and the manifest does not name.
    added: Vec<String>,
}

/// Seconds of an interval: `90`, `60s`, `10m`, `1h`, `1d`. `None`: it is no interval from one second to one day.
fn seconds(interval: &str) -> Option<u64> {
    let (number, unit) = match interval.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, interval.chars().last()),
        None => (interval, None),
    };
    let factor = match unit {
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => 1,
    };
    let number: u64 = Some(number).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    number.checked_mul(factor).filter(|seconds| (1..=INTERVAL_MAX_S).contains(seconds))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn interval_of(field: &str) -> Option<&str> {
    field.strip_prefix(BUCKET)
}

impl Kind for VerifyRateLimit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        &[]
    }

    fn api_path(&self) -> &'static str {
        "/v2/Services/{sid}/RateLimits"
    }

    /// A field has the bucket's interval in seconds; the manifest may have it with another unit.
    fn said_by(&self, manifest: &Manifest, address: &Address, field: &str) -> SaidBy {
        let Some(wanted) = interval_of(field) else { return SaidBy::Tables };
        let of_bucket = |key: &&String| match part(key) {
            Some((name, Part::Max(interval))) => {
                address.name() == Some(name) && seconds(interval).is_some_and(|s| s.to_string() == wanted)
            }
            _ => false,
        };
        let key = manifest.section(SECTION).and_then(|section| section.keys().find(of_bucket));
        key.map_or(SaidBy::Nothing, |key| SaidBy::Key(format!("{SECTION}.{key}")))
    }

    /// A bucket has the longest unit that its interval is a whole number of.
    fn adopted_at(&self, address: &Address, field: &str) -> Option<Vec<String>> {
        let seconds: u64 = interval_of(field)?.parse().ok()?;
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
        let (unit, letter) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit))?;
        let interval = format!("{}{letter}", seconds / unit);
        Some(
            [SECTION, "rate_limits", address.name()?, "buckets", &interval, "max"]
                .map(str::to_owned)
                .to_vec(),
        )
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let mut limits: BTreeMap<&str, Attrs> = BTreeMap::new();
        for (key, value) in manifest.section(SECTION).into_iter().flatten() {
            let Some((name, part)) = part(key) else { continue };
            let attrs = limits.entry(name).or_default();
            match part {
                Part::Key => {}
                Part::Description => drop(attrs.insert("description".into(), value.clone())),
                Part::Max(interval) => {
                    if let Some(seconds) = seconds(interval) {
                        attrs.insert(format!("{BUCKET}{seconds}"), value.clone());
                    }
                }
            }
        }
        let resource =
            |(name, desired)| Resource { address: Address::named(NAME, name), kind: NAME, desired };
        limits.into_iter().map(resource).collect()
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let mut intervals: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
        for (name, part) in
            manifest.section(SECTION).into_iter().flat_map(BTreeMap::keys).filter_map(|k| part(k))
        {
            let of_limit = intervals.entry(name).or_default();
            let Part::Max(interval) = part else { continue };
            let place = format!("{SECTION}.rate_limits.{name}.buckets.{interval}");
            match seconds(interval) {
                None => out.push(
                    Problem::error(
                        codes::BAD_TEXT,
                        place,
                        format!("{interval:?} is not an interval"),
                        "it has to be a whole number with s, m, h or d, from 1s to 1d",
                        "write 60s, 10m, 1h or 1d",
                    )
                    .at_key(),
                ),
                Some(seconds) => {
                    if let Some(other) = of_limit.insert(seconds, interval) {
                        out.push(
                            Problem::error(
                                codes::CONFLICT,
                                place,
                                "two buckets have the same interval",
                                format!(
                                    "{other} has the same length ({seconds} s), and Twilio allows one bucket per interval"
                                ),
                                "remove one of the two",
                            )
                            .at_key(),
                        );
                    }
                }
            }
        }
        for (name, buckets) in &intervals {
            let place = format!("{SECTION}.rate_limits.{name}");
            if !is_name(name) {
                out.push(
                    Problem::error(
                        codes::BAD_TEXT,
                        place,
                        format!("{name:?} is not a name for a rate limit"),
                        "Twilio takes up to 64 letters, digits, dashes, underscores and dots (60209)",
                        "choose another name; it is also what the sender passes",
                    )
                    .at_key(),
                );
            } else if buckets.is_empty() {
                out.push(
                    Problem::error(
                        codes::UNSAFE,
                        place,
                        "a rate limit without buckets limits nothing",
                        "the buckets say how many sends are allowed in which time",
                        "add buckets: such as 10m: { max: 5 }, unless somebody else manages them",
                    )
                    .warning()
                    .at_key(),
                );
            }
        }
        let passed = code_limits::passed(manifest);
        let code = manifest.text("action", "code");
        if !passed.is_empty() && code.is_some_and(|code| !code_limits::has_marker(code)) {
            let names: Vec<&str> = passed.into_keys().collect();
            out.push(
                Problem::error(
                    codes::UNSAFE,
                    "action.code",
                    "the Action's code has no line for the rate limits",
                    format!("unless the code passes them, these have no effect: {}", names.join(", ")),
                    format!(
                        "give it a line `const RATE_LIMITS = {{}}; {}` and pass rateLimits, or set key: none",
                        code_limits::MARKER
                    ),
                )
                .warning(),
            );
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        prefetch(manifest, LIST)
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let recorded = hint.entry.and_then(|entry| entry.ids.get("sid")).map(String::as_str);
            // With both SIDs known, the buckets and the list of limits are read at the same time.
            let early = known_sid(&hint).zip(recorded).map(|(sid, limit)| list_buckets(sid, limit));
            let mut both = None;
            if let Some(early) = &early {
                let ahead: Task<'_, ()> = Box::pin(async {
                    let _kept = reader.get(early).await;
                });
                let slot = &mut both;
                let main: Task<'_, ()> =
                    Box::pin(async { *slot = Some(read_below(&hint, LIST, reader).await) });
                crate::port::join_all(vec![ahead, main]).await;
            }
            let read = match both {
                Some(read) => read?,
                None => read_below(&hint, LIST, reader).await?,
            };
            let Some((sid, list)) = read else { return Ok(Seen::default()) };
            let limits = verify_below::items(&list, "rate_limits", &["/sid", "/unique_name"])?;
            let unique_name = hint.address.name().unwrap_or_default();
            // A limit cannot be renamed. If the SID is not the one on record, somebody made a new limit of this name,
            // and a removal leaves it.
            let found = limits.iter().find(|limit| text(limit, "unique_name") == unique_name);
            let whose = |limit: &Json| identity::whose(&hint.clues("sid", ""), text(limit, "sid"));
            let found = found.filter(|limit| hint.want.is_some() || whose(limit) == Whose::Ours);
            let declared: Vec<&str> = names(hint.manifest).into_iter().collect();
            let there = limits.iter().map(|limit| text(limit, "unique_name"));
            let added = added::added_to_list(&hint, NAME, &declared, there);
            let mut seen = found.map(|limit| parse(limit, &sid)).unwrap_or_default();
            seen.keep(|own: &mut Own| own.added = added);
            let Some(limit) = found else { return Ok(seen) };
            let reply = reader.get(&list_buckets(&sid, text(limit, "sid"))).await?;
            add_buckets(&mut seen, verify_below::items(&reply, "buckets", &["/sid"])?)?;
            seen.whose = whose(limit);
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut verb = Verb::Update;
        if !diff.seen.exists {
            verb = Verb::Create;
            let mut create = diff.step(verb, Stage::Limits, "create the limit", Op::of(Act::Create));
            create.creates = true;
            create.reason = match diff.entry {
                Some(_) => "it was deleted outside".into(),
                None => "it does not exist".into(),
            };
            create.effects = Facts::from([limit_fact(diff.address, true)]);
            steps.push(create);
        }
        if diff.seen.exists && diff.changes.iter().any(|change| change.field == "description") {
            let mut update = diff.step(verb, Stage::Limits, "update the limit", Op::of(Act::Update));
            update.reason = "description differs".into();
            steps.push(update);
        }
        // New buckets are created before old ones are deleted: in between, more sends are limited, not fewer.
        let mut last = Vec::new();
        for change in diff.changes {
            let Some(interval) = interval_of(&change.field) else { continue };
            let wanted = diff.want.desired.get(&change.field);
            let action = BucketChange::between(diff.seen.attrs.get(&change.field), wanted);
            let made = bucket_step(diff.address, verb, interval, action, Stage::Limits);
            if wanted.is_some() { steps.push(made) } else { last.push(made) }
        }
        steps.extend(last);
        steps
    }

    /// A service that is left to others keeps what is below it.
    fn leaving(&self, manifest: &Manifest) -> Leaving {
        if is_used(manifest) { Leaving::Abandoned(LEFT_WITH_IT) } else { Leaving::Removed }
    }

    fn spares(&self, manifest: &Manifest, entry: &Entry) -> bool {
        is_spared(manifest, entry.ids.get("service_sid"))
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        // The ledger is untrusted: only a limit that has the recorded SID is removed.
        if !seen.exists || seen.ids.get("sid") != entry.ids.get("sid") {
            return Vec::new();
        }
        if entry.ownership == Ownership::Created {
            let op = Op::of(Act::Delete);
            let mut step = step(address, NAME, Verb::Delete, Stage::RemoveLimits, "delete the limit", op);
            step.reason = "it was created by this stack".into();
            step.effects = Facts::from([limit_fact(address, false)]);
            return vec![step];
        }
        let there = |field: &str| seen.attrs.get(field).and_then(Value::known);
        let mut steps = Vec::new();
        let old = entry.restore.get("description").filter(|_| entry.fields.contains_key("description"));
        if let Some(old) = old.filter(|old| there("description") != Some(*old)) {
            let op = Op::of(Act::Update).writing([("description".to_owned(), old.clone())]);
            let what = "put the former description back";
            steps.push(step(address, NAME, Verb::Update, Stage::RemoveLimits, what, op));
        }
        // If this stack managed any bucket, the list was closed, and this stack left every bucket as it wanted it.
        let closed = entry.fields.keys().any(|field| interval_of(field).is_some());
        let fields: BTreeSet<&String> = entry.restore.keys().chain(seen.attrs.keys()).collect();
        for field in fields.into_iter().filter(|_| closed) {
            let (Some(interval), old, now) = (interval_of(field), entry.restore.get(field), there(field))
            else {
                continue;
            };
            let ours = entry.fields.contains_key(field);
            if old != now && (ours || now.is_none()) {
                let action = BucketChange::between(now, old);
                let mut made = bucket_step(address, Verb::Update, interval, action, Stage::RemoveLimits);
                made.op = made.op.writing([(field.clone(), old.cloned().unwrap_or_default())]);
                steps.push(made);
            }
        }
        steps.iter_mut().for_each(|step| step.reason = "it existed before this stack".into());
        steps
    }

    /// For a removal, a bucket that was absent is one that `restore` does not have.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        entry.restore.retain(|_, was| !was.is_null());
        WayBack { steps: self.removal(back.address, back.seen, &entry), ..WayBack::default() }
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn must_stay(&self, step: &Step, _before: &LoginPath, after: &LoginPath) -> Option<(Level, String)> {
        let name = step.address.name().unwrap_or_default();
        let passed = after.phone.limits.get()?.iter().any(|passed| passed == name);
        let sends = after.phone.state.is(&ActionState::Deployed) && !after.service.is(&false);
        // An adopted Action is not deleted, and its former code is not on record, so it goes on passing the limit.
        let why = "the deployed Action still passes this limit, so every message would fail";
        (passed && sends).then(|| (Level::Warning, why.into()))
    }

    fn facts(&self, address: &Address, seen: &Seen) -> Facts {
        if seen.not_read { Facts::new() } else { Facts::from([limit_fact(address, seen.exists)]) }
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let (act, limit) = (run.act()?, run.seen.ids.get("sid").map(String::as_str).unwrap_or_default());
            let (one, buckets) = (format!("{LIST}/{limit}"), format!("{LIST}/{limit}/Buckets"));
            let own = run.seen.own::<Own>().unwrap_or_default();
            let bucket = |interval: &String| {
                format!("{buckets}/{}", own.buckets.get(interval).map(String::as_str).unwrap_or_default())
            };
            // A create is not repeated blindly. Twilio takes a name and an interval once, so the repeat would be
            // refused, as if the object were somebody else's.
            let (method, tail, repeat) = match &act {
                Act::Create => (Method::Post, LIST.to_owned(), Repeat::NeverBlind),
                Act::Update => (Method::Post, one, Repeat::Safe),
                Act::Delete => (Method::Delete, one, Repeat::Safe),
                Act::CreateBucket { .. } => (Method::Post, buckets, Repeat::NeverBlind),
                Act::UpdateBucket { interval } => (Method::Post, bucket(interval), Repeat::Safe),
                Act::DeleteBucket { interval } => (Method::Delete, bucket(interval), Repeat::Safe),
            };
            let path = verify_below::path(&run, &tail)?;
            let sent = verify_below::send(writer, method, path, &form(&act, &run), repeat).await;
            match (act, sent) {
                (Act::Create, reply) => {
                    Ok(Done::seen(require_id(parse(&reply?, &verify_below::service_sid(&run)), "sid")?))
                }
                (Act::Update, reply) => {
                    let mut seen = run.seen.clone();
                    seen.attrs.insert("description".into(), Value::text(text(&reply?, "description")));
                    Ok(Done::seen(seen))
                }
                (Act::Delete | Act::DeleteBucket { .. }, Err(failed)) if failed.status() != Some(404) => {
                    Err(failed)
                }
                (Act::Delete, _) => Ok(Done::seen(Seen::default())),
                (Act::DeleteBucket { interval }, _) => {
                    let mut seen = run.seen.clone();
                    seen.attrs.remove(&format!("{BUCKET}{interval}"));
                    Ok(Done::seen(seen))
                }
                (Act::CreateBucket { .. } | Act::UpdateBucket { .. }, reply) => {
                    let mut seen = run.seen.clone();
                    if add_buckets(&mut seen, &[reply?]).is_err() {
                        return Err(Failed::Unknown("the reply to a write does not show the bucket".into()));
                    }
                    Ok(Done::seen(seen))
                }
            }
        })
    }

    /// Twilio refuses a second limit of the same name (60208) and a second bucket of the same interval (60211).
    fn may_repeat(&self, _step: &Step) -> bool {
        true
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let (act, sid) = (run.act()?, verify_below::service_sid(&run));
            let (interval, goes) = match &act {
                Act::Create | Act::Update | Act::Delete => {
                    return settle_limit(&act, &run, &sid, reader).await;
                }
                Act::CreateBucket { interval } | Act::UpdateBucket { interval } => (interval, false),
                Act::DeleteBucket { interval } => (interval, true),
            };
            let limit = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
            let reply = reader.fresh(&list_buckets(&sid, limit)).await?;
            let mut seen = run.seen.clone();
            seen.attrs.retain(|field, _| interval_of(field).is_none());
            add_buckets(&mut seen, verify_below::items(&reply, "buckets", &["/sid"])?)?;
            let there = seen.attrs.get(&format!("{BUCKET}{interval}")).and_then(Value::known);
            let took = if goes { there.is_none() } else { there == max_to_send(&run, interval).as_ref() };
            Ok(took.then(|| Done::seen(seen)))
        })
    }

    fn closed(&self, desired: &Attrs) -> &'static [&'static str] {
        if desired.keys().any(|key| interval_of(key).is_some()) { &[BUCKET] } else { &[] }
    }

    fn refusals(&self, diff: &Diff<'_>, steps: &[Step]) -> Vec<Finding> {
        let unlimited = diff.seen.exists
            && !diff.seen.attrs.keys().chain(diff.want.desired.keys()).any(|key| interval_of(key).is_some());
        let finding = || Finding {
            code: codes::HAS_NO_EFFECT,
            address: diff.address.to_owned(),
            text: "the limit has no buckets, so it limits nothing".into(),
            help: "add buckets: to it in the manifest".into(),
            level: Level::Note,
        };
        let (what, place) = ("the Verify service has rate limits", "verify_service.rate_limits");
        let own = diff.seen.own::<Own>();
        let added = own.and_then(|own| added::finding(diff.address, what, &own.added, place));
        let limits = unlimited.then(finding).into_iter().chain(added);
        limits.chain(unproven(diff, steps)).collect()
    }
}

fn limit_fact(address: &Address, is_there: bool) -> Fact {
    Fact::Limit(address.name().unwrap_or_default().to_owned(), is_there)
}

/// What a step does with a bucket.
enum BucketChange {
    Create,
    Update,
    Delete,
}

impl BucketChange {
    /// The change that leads from one value of the bucket to the other; `None`: the bucket does not exist.
    fn between<T>(from: Option<T>, to: Option<T>) -> BucketChange {
        match (from, to) {
            (None, Some(_)) => BucketChange::Create,
            (Some(_), Some(_)) => BucketChange::Update,
            (_, None) => BucketChange::Delete,
        }
    }
}

/// The step for one bucket.
fn bucket_step(address: &Address, verb: Verb, interval: &str, change: BucketChange, stage: Stage) -> Step {
    let at = interval.to_owned();
    let (act, word, reason) = match change {
        BucketChange::Create => (Act::CreateBucket { interval: at }, "create", "it does not exist"),
        BucketChange::Update => (Act::UpdateBucket { interval: at }, "update", "its max differs"),
        BucketChange::Delete => {
            (Act::DeleteBucket { interval: at }, "delete", "the manifest does not name it")
        }
    };
    let words = format!("{word} the bucket of {interval} s");
    let mut step = step(address, NAME, verb, stage, &words, Op::of(act));
    step.reason = reason.into();
    step
}

/// Reads whether a step for the limit itself took effect.
async fn settle_limit(act: &Act, run: &Run<'_>, sid: &str, reader: &Reader) -> Result<Option<Done>, Failed> {
    let list = reader.fresh(&verify_below::list_below(sid, LIST)).await?;
    let name = run.address.name().unwrap_or_default();
    let limits = verify_below::items(&list, "rate_limits", &["/sid", "/unique_name"])?;
    let found = limits.iter().find(|limit| text(limit, "unique_name") == name);
    Ok(match (act, found) {
        (Act::Create, Some(limit)) => Some(Done::seen(parse(limit, sid))),
        (Act::Delete, None) => Some(Done::seen(Seen::default())),
        (Act::Update, Some(limit)) => {
            let mut seen = run.seen.clone();
            seen.attrs.insert("description".into(), Value::text(text(limit, "description")));
            let is_sent = |(_, value): &(&str, String)| value == text(limit, "description");
            form(act, run).iter().all(is_sent).then(|| Done::seen(seen))
        }
        _ => None,
    })
}

/// The maximum that a bucket's step sends: the former value if the step puts it back, else the desired value.
fn max_to_send(run: &Run<'_>, interval: &str) -> Option<Json> {
    let field = format!("{BUCKET}{interval}");
    let wanted = || run.desired.get(&field)?.known().cloned();
    run.step.op.value(&field).filter(|max| !max.is_null()).cloned().or_else(wanted)
}

fn form(act: &Act, run: &Run<'_>) -> Vec<(&'static str, String)> {
    let description = || {
        let wanted = run.desired.get("description").and_then(verify_below::text_to_send);
        let former = run.step.op.value("description").and_then(Json::as_str).map(str::to_owned);
        former.or(wanted).map(|text| ("Description", text))
    };
    let max = |interval| max_to_send(run, interval).map(|max| ("Max", max.to_string()));
    match act {
        Act::Create => {
            let name = run.address.name().unwrap_or_default();
            [("UniqueName", name.to_owned())].into_iter().chain(description()).collect()
        }
        Act::Update => description().into_iter().collect(),
        Act::CreateBucket { interval } => {
            max(interval).into_iter().chain([("Interval", interval.clone())]).collect()
        }
        Act::UpdateBucket { interval } => max(interval).into_iter().collect(),
        Act::Delete | Act::DeleteBucket { .. } => Vec::new(),
    }
}

fn list_buckets(service: &str, limit: &str) -> Get {
    let path = format!("/v2/Services/{service}/{LIST}/{limit}/Buckets?PageSize=100");
    Get { api: Api::Verify, path, paging: Paging::Next }
}

/// Reads a limit, without its buckets.
fn parse(limit: &Json, service_sid: &str) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("sid".into(), text(limit, "sid").to_owned());
    seen.ids.insert("service_sid".into(), service_sid.to_owned());
    // An unset description counts as empty: elsewhere in this API, an unset text reads back as null.
    seen.attrs.insert("description".into(), Value::text(text(limit, "description")));
    seen
}

/// Adds the buckets to a limit, by interval. A bucket without a number as interval or max is an error: it must not
/// count as absent.
fn add_buckets(seen: &mut Seen, buckets: &[Json]) -> Result<(), Failed> {
    for bucket in buckets {
        let (Some(interval), Some(max)) = (bucket["interval"].as_u64(), bucket["max"].as_u64()) else {
            return Err(Failed::Misread("the reply has a bucket without interval or max".into()));
        };
        seen.attrs.insert(format!("{BUCKET}{interval}"), Value::Known(json!(max)));
        let sid = text(bucket, "sid").to_owned();
        seen.keep(|own: &mut Own| own.buckets.insert(interval.to_string(), sid));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        let good = [("90", 90), ("60s", 60), ("10m", 600), ("1h", 3_600), ("1d", 86_400)];
        for (text, expected) in good {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "s", "0", "0s", "2d", "1.5m", "-1", "1w", "1 m", "99999999999999999999h"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}

//! Keys that the stack makes at Twilio by itself and hands straight to the Action and the Function.
//!
//! Only the reply that creates a key shows its secret. So the secret exists in the memory of that run alone, and in the
//! two places that use it. A key whose secret nobody has any more is made anew, and so is every key whose secret has to be
//! sent again: a key has generations, and the generation is in its name. The former key stays on record under an address
//! of its own until nobody can be using it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::said::function::stack_hash;
use super::said::streams;
use super::{
    Back, Diff, Done, Hint, Kind, Leaving, Resource, Run, Seen, Task, Until, WayBack, Whose, entries_with,
    is_sid, object, step, text,
};
use crate::diag::{Problem, codes};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::facts::Facts;
use crate::model::field::Section;
use crate::model::last_run::How;
use crate::model::ledger::{Entry, Last};
use crate::model::manifest::Manifest;
use crate::model::minted::{self, KIND as NAME, SECRET};
use crate::model::plan::{Level, Op, Stage, Step, Verb};
use crate::model::secret::{Origin, Secret};
use crate::model::text::line;
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct TwilioKey;

const POLICY: &str = "policy";
const FRIENDLY_NAME: &str = "friendly_name";

/// How long a former key stays, in ms: longer than any call that began with it. An Action runs for 20 s at most, a Function
/// for 10 s, and a verification lives for ten minutes.
const RETIRE_AFTER_MS: u64 = 10 * 60_000;

/// Characters of the stack's name in a key's name, which has at most 64.
const STACK_MAX_CHARS: usize = 30;

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    /// Makes the key of this name. `former`: the keys whose place it takes.
    Create {
        name: String,
        former: Vec<Key>,
    },
    /// Puts name and policy as they should be.
    Update,
    Delete {
        sid: String,
    },
}

/// A key, as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    generation: u64,
    sid: String,
    name: String,
}

#[derive(Clone, Default)]
struct Own {
    /// Time at which the key was made, as Twilio writes it.
    made_at: String,
    /// The highest generation that is there.
    generation: u64,
    /// Keys that unfinished runs of this stack made, and whose secrets nobody has.
    orphans: Vec<Key>,
}

/// Beginning of the names of all generations of a key.
fn prefix(manifest: &Manifest, name: &str) -> String {
    let stack: String = manifest.stack.chars().take(STACK_MAX_CHARS).collect();
    format!("Lockstep {stack} {name} {} g", stack_hash(manifest))
}

/// The name of the key without the generation that the address of a former key has.
fn base(address: &Address) -> &str {
    let name = address.name().unwrap_or_default();
    name.split_once('-').map_or(name, |(base, _)| base)
}

fn generation_of(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain)
}

fn account(manifest: &Manifest) -> &str {
    let secret = || manifest.secret("twilio", "account_sid").map(Secret::expose);
    manifest.text("twilio", "account_sid").or_else(secret).unwrap_or_default()
}

fn list_keys(manifest: &Manifest) -> Get {
    let path = format!("/v1/Keys?AccountSid={}&PageSize=1000", account(manifest));
    Get { api: Api::Iam, path, paging: Paging::Next }
}

fn read_key(sid: &str) -> Get {
    Get::whole(Api::Iam, format!("/v1/Keys/{sid}"))
}

/// The keys of the list that have a name of ours.
fn named(list: &Json, prefix: &str) -> Result<Vec<Key>, Failed> {
    let key = |item: &Json| {
        let (sid, name) = (text(item, "sid").to_owned(), text(item, FRIENDLY_NAME).to_owned());
        generation_of(&name, prefix).map(|generation| Key { generation, sid, name })
    };
    Ok(items(list)?.iter().filter_map(key).collect())
}

fn items(list: &Json) -> Result<&[Json], Failed> {
    entries_with(list.get("keys"), &["/sid"], "the list of API keys")
}

fn parse(key: &Json, prefix: &str) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.ids.insert("sid".into(), text(key, "sid").to_owned());
    let name = text(key, FRIENDLY_NAME);
    if let Some(generation) = generation_of(name, prefix) {
        seen.ids.insert("generation".into(), generation.to_string());
    }
    let mut allow: Vec<&str> = key
        .pointer("/policy/allow")
        .and_then(Json::as_array)
        .map(|items| items.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    allow.sort_unstable();
    seen.attrs.insert(FRIENDLY_NAME.into(), Value::text(name));
    seen.attrs.insert(POLICY.into(), Value::Known(json!(allow)));
    // Which key it is, tells which secret.
    seen.attrs.insert(SECRET.into(), Value::Stamp(json!(text(key, "sid"))));
    seen.keep(|own: &mut Own| text(key, "date_created").clone_into(&mut own.made_at));
    seen
}

/// The names of the keys that the manifest uses.
fn used(manifest: &Manifest) -> Vec<&'static minted::Minted> {
    let parts: Vec<&str> = manifest
        .sections
        .values()
        .flat_map(|attrs| attrs.values())
        .filter_map(|value| minted::part_of(value).map(|(name, _)| name))
        .collect();
    minted::ALL.iter().filter(|key| parts.contains(&key.name)).collect()
}

/// What `rotate` can make anew, by the name that a person gives it, and as the manifest refers to it.
pub fn rotatable(manifest: &Manifest) -> BTreeMap<&'static str, String> {
    let keys = used(manifest).into_iter().map(|key| (key.name, format!("minted.{}", key.name)));
    let stream = match manifest.get(streams::SECTION_PATH, "authorization") {
        Some(Value::Generated(name)) => Some(("stream", format!("generated.{name}"))),
        _ => None,
    };
    keys.chain(stream).collect()
}

impl Kind for TwilioKey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        &[]
    }

    fn api_path(&self) -> &'static str {
        "/v1/Keys"
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let resource = |key: &&'static minted::Minted| {
            let generation =
                OutputRef { resource: minted::address(key.name).to_string(), output: "generation".into() };
            let name = vec![Part::Text(prefix(manifest, key.name)), Part::Output(generation)];
            let desired = Attrs::from([
                (FRIENDLY_NAME.to_owned(), Value::Output(Template { parts: name, secret: false })),
                (POLICY.to_owned(), Value::Known(json!(key.allow))),
                (SECRET.to_owned(), Value::Minted(key.name.to_owned())),
            ]);
            Resource { address: minted::address(key.name), kind: NAME, desired }
        };
        used(manifest).iter().map(resource).collect()
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        for (section, attrs) in &manifest.sections {
            for (field, value) in attrs {
                let Some((name, part)) = minted::part_of(value) else { continue };
                let Some(key) = minted::by_name(name) else { continue };
                let at = |key: &minted::Minted| if part == SECRET { key.secret_at } else { key.sid_at };
                if !key.sections.contains(&section.as_str()) || !field.starts_with(at(key)) {
                    out.push(misplaced(section, field, key, part));
                    continue;
                }
                let other = minted::PARTS.into_iter().find(|other| *other != part).unwrap_or(SECRET);
                let is_other = |value: &Value| minted::part_of(value) == Some((name, other));
                if !attrs.values().any(is_other) {
                    out.push(Problem::error(
                        codes::MISSING_KEY,
                        format!("{section}.{field}"),
                        format!("half of the key {name} stands here alone"),
                        format!(
                            "SID and secret of a minted key go together, and {section} lacks its {other}"
                        ),
                        format!("add ${{minted.{name}.{other}}} beside it"),
                    ));
                }
            }
        }
        if let Some(first) = used(manifest).first()
            && manifest.get("twilio", "auth_token").is_none()
        {
            out.push(
                Problem::error(
                    codes::KEY_UNTESTED,
                    "twilio.api_key",
                    "whether this key may make other keys is seen at the first plan",
                    format!(
                        "${{minted.{}…}} needs twilio.auth_token or a main key; a standard key may not manage keys",
                        first.name
                    ),
                    "nothing to do if it is a main key, which only the Twilio Console makes",
                )
                .note(),
            );
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        vec![list_keys(manifest)]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let list = match reader.get(&list_keys(hint.manifest)).await {
                Err(failed) if matches!(failed.status(), Some(401 | 403)) => {
                    return Ok(unreadable(hint.address, &failed));
                }
                list => list?,
            };
            let prefix = prefix(hint.manifest, base(hint.address));
            let all = named(&list, &prefix)?;
            let recorded = hint.clues("sid", "").recorded;
            let on_record = |sid: &str| {
                let mut entries = hint.record.into_iter().flat_map(|record| record.values());
                entries.any(|entry| entry.ids.get("sid").is_some_and(|known| known == sid))
            };
            let mut orphans: Vec<Key> = match hint.creating() {
                Some(before) => {
                    let is_new = |key: &&Key| !before.contains(&key.sid) && !on_record(&key.sid);
                    all.iter().filter(is_new).cloned().collect()
                }
                None => Vec::new(),
            };
            orphans.sort();
            let is_there = |sid: &&str| {
                items(&list).is_ok_and(|items| items.iter().any(|item| text(item, "sid") == *sid))
            };
            let recorded = recorded.filter(is_there).map(str::to_owned);
            let whose = if recorded.is_some() { Whose::Ours } else { Whose::Resumed };
            // Without the key on record, the newest that an unfinished run made is the one that may be in use.
            let current = match recorded {
                Some(sid) => Some(sid),
                None => orphans.pop().map(|key| key.sid),
            };
            let generation = all.iter().map(|key| key.generation).max().unwrap_or(0);
            let is_known = |key: &Key| {
                Some(&key.sid) == current.as_ref() || on_record(&key.sid) || orphans.contains(key)
            };
            let strangers: Vec<String> = all
                .iter()
                .filter(|key| hint.want.is_some() && !is_known(key))
                .map(|key| format!("{} ({})", line(&key.name), key.sid))
                .collect();
            let beside: Vec<String> = all.into_iter().map(|key| key.sid).collect();
            let read = match &current {
                Some(sid) if is_sid(sid, "SK") => match reader.get(&read_key(sid)).await {
                    Ok(key) if text(&key, "sid") != sid => {
                        return Err(Failed::Misread(format!(
                            "GET /v1/Keys/{sid}: not the key that was asked for"
                        )));
                    }
                    Ok(key) => Some(key),
                    Err(failed) if failed.status() == Some(404) => None,
                    Err(failed) => return Err(failed),
                },
                _ => None,
            };
            let mut seen = read.map(|key| Seen { whose, ..parse(&key, &prefix) }).unwrap_or_default();
            // Somebody may have renamed it.
            if let Some(known) =
                hint.entry.and_then(|entry| entry.ids.get("generation")).filter(|_| seen.exists)
            {
                seen.ids.entry("generation".into()).or_insert_with(|| known.clone());
            }
            seen.beside = beside;
            if !strangers.is_empty() {
                seen.finding(
                    codes::ADDED_BY_OTHERS,
                    hint.address,
                    Level::Warning,
                    format!(
                        "keys have this stack's name and are not on record, so nobody removes them: {}",
                        strangers.join(", ")
                    ),
                    "if a lost record had them, delete them in the Twilio Console once nothing uses them",
                );
            }
            seen.keep(|own: &mut Own| (own.generation, own.orphans) = (generation, orphans));
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let own = diff.seen.own::<Own>().map(|own| (*own).clone()).unwrap_or_default();
        let is_made = diff.changes.iter().any(|change| change.field == SECRET);
        if !is_made {
            let mut steps = Vec::new();
            if !diff.changes.is_empty() {
                let op = Op::of(Act::Update);
                let mut update = diff.step(Verb::Update, Stage::Limits, "put the key as it should be", op);
                update.reason = diff.changed_names();
                steps.push(update);
            }
            // The code has the key on record, so it never got one of these.
            steps.extend(own.orphans.iter().map(|key| delete_orphan(diff.address, Verb::Update, key)));
            return steps;
        }
        let current = diff.seen.ids.get("sid").filter(|_| diff.seen.exists).map(|sid| Key {
            generation: generation(diff.seen),
            sid: sid.clone(),
            name: diff.seen.attrs.get(FRIENDLY_NAME).and_then(Value::as_str).unwrap_or_default().into(),
        });
        let last = diff.entry.and_then(|entry| entry.ids.get("generation")?.parse().ok()).unwrap_or(0);
        let name = format!(
            "{}{}",
            prefix(diff.manifest, base(diff.address)),
            own.generation.max(last).saturating_add(1)
        );
        let former: Vec<Key> = own.orphans.into_iter().chain(current).collect();
        let verb = if diff.seen.exists { Verb::Replace } else { Verb::Create };
        let reason = match (former.is_empty(), diff.entry) {
            (false, _) => {
                "a secret is shown only once, so a new key takes the place of the former one, which goes later"
            }
            (true, Some(_)) => "it was deleted outside",
            (true, None) => "it does not exist",
        };
        let mut create = diff.step(verb, Stage::Limits, "make the key", Op::of(Act::Create { name, former }));
        create.reason = reason.into();
        create.creates = true;
        vec![create]
    }

    /// An Action that runs, or a request that is under way, may still have the key.
    fn leaving(&self, _manifest: &Manifest) -> Leaving {
        Leaving::Deferred { wait_ms: RETIRE_AFTER_MS, until: Until::Unused }
    }

    fn left_behind(&self, step: &Step) -> Vec<(Address, Entry)> {
        let Ok(Act::Create { former, .. }) = step.op.act() else { return Vec::new() };
        entries(&step.address, former)
    }

    fn orphans(&self, address: &Address, seen: &Seen) -> Vec<(Address, Entry)> {
        seen.own::<Own>().map(|own| entries(address, own.orphans.clone())).unwrap_or_default()
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        // The ledger is untrusted: only the key that has the recorded SID is removed.
        if !seen.exists || seen.ids.get("sid") != entry.ids.get("sid") {
            return Vec::new();
        }
        let own = seen.own::<Own>().map(|own| (*own).clone()).unwrap_or_default();
        let sid = seen.ids.get("sid").cloned().unwrap_or_default();
        let current = Key { generation: generation(seen), sid, name: String::new() };
        let mut last = delete(address, Verb::Delete, &current);
        last.reason = "it was created by this stack".into();
        let orphans = own.orphans.iter().map(|key| delete_orphan(address, Verb::Delete, key));
        orphans.chain([last]).collect()
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self, _address: &Address, _seen: &Seen) -> Facts {
        // Whether the code has a key that works is tried right before users depend on it.
        Facts::new()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let prefix = prefix(run.manifest, base(run.address));
            let policy = || json!({ "allow": run.desired.get(POLICY).and_then(Value::known) }).to_string();
            let send = |method, path: String, form: &[(&str, String)], repeat| {
                let pairs: Vec<_> =
                    form.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                let body = if pairs.is_empty() { Body::None } else { Body::Form(pairs) };
                Write { api: Api::Iam, method, path, body, repeat }
            };
            match run.act()? {
                Act::Create { name, .. } => {
                    let form = [
                        ("AccountSid", account(run.manifest).to_owned()),
                        ("FriendlyName", name),
                        ("KeyType", "restricted".to_owned()),
                        ("Policy", policy()),
                    ];
                    let made =
                        writer.send(send(Method::Post, "/v1/Keys".into(), &form, Repeat::NeverBlind)).await?;
                    let (sid, secret) = (text(&made, "sid"), text(&made, SECRET));
                    if !is_sid(sid, "SK") || secret.is_empty() {
                        return Err(Failed::Unknown("the reply to a write does not show the key".into()));
                    }
                    let mut seen = parse(&made, &prefix);
                    let secret = Secret::new(secret, Origin::Machine);
                    seen.attrs.insert(SECRET.into(), Value::Secret(secret));
                    let generation = generation(&seen);
                    seen.keep(|own: &mut Own| own.generation = generation);
                    Ok(Done::seen(seen))
                }
                Act::Update => {
                    let sid = run.seen.ids.get("sid").cloned().unwrap_or_default();
                    let name = run.desired.get(FRIENDLY_NAME).and_then(Value::as_str).unwrap_or_default();
                    let form = [("FriendlyName", name.to_owned()), ("Policy", policy())];
                    let path = format!("/v1/Keys/{sid}");
                    let made = writer.send(send(Method::Post, path, &form, Repeat::Safe)).await?;
                    if text(&made, "sid") != sid {
                        return Err(Failed::Unknown("the reply to a write does not show the key".into()));
                    }
                    let own = run.seen.own.clone();
                    Ok(Done::seen(Seen { own, whose: run.seen.whose, ..parse(&made, &prefix) }))
                }
                Act::Delete { sid } => {
                    if !is_sid(&sid, "SK") {
                        return Err(Failed::NotDone("the plan does not name a key".into()));
                    }
                    let path = format!("/v1/Keys/{sid}");
                    match writer.send(send(Method::Delete, path, &[], Repeat::Safe)).await {
                        Err(failed) if failed.status() != Some(404) => Err(failed),
                        _ => Ok(Done::seen(without(run.seen, &sid))),
                    }
                }
            }
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let prefix = prefix(run.manifest, base(run.address));
            let list = reader.fresh(&list_keys(run.manifest)).await?;
            match run.act()? {
                // The key is there, and nobody has its secret: the steps that need it say so.
                Act::Create { name, .. } => {
                    let new = |key: &Key| key.name == name && !run.seen.beside.contains(&key.sid);
                    let Some(found) = named(&list, &prefix)?.into_iter().find(new) else { return Ok(None) };
                    let key = reader.fresh(&read_key(&found.sid)).await?;
                    Ok(Some(Done::seen(parse(object(&key, "the key")?, &prefix))))
                }
                Act::Update => {
                    let sid = run.seen.ids.get("sid").cloned().unwrap_or_default();
                    let key = reader.fresh(&read_key(&sid)).await?;
                    let now = parse(&key, &prefix);
                    let is_as_wanted = [FRIENDLY_NAME, POLICY]
                        .iter()
                        .all(|field| now.attrs.get(*field) == run.desired.get(*field));
                    let own = run.seen.own.clone();
                    Ok(is_as_wanted.then(|| Done::seen(Seen { own, whose: run.seen.whose, ..now })))
                }
                Act::Delete { sid } => {
                    let is_there = items(&list)?.iter().any(|item| text(item, "sid") == sid);
                    Ok((!is_there).then(|| Done::seen(without(run.seen, &sid))))
                }
            }
        })
    }

    /// Senders are told of a key, so it stays while one of them stays.
    fn shared_since(&self, seen: &Seen) -> Option<String> {
        Some(seen.own::<Own>().map(|own| own.made_at.clone()).unwrap_or_default())
    }

    /// A secret that was shown once cannot come back.
    fn back(&self, back: &Back<'_>) -> WayBack {
        match back.changed.how {
            How::Created => {
                WayBack { steps: self.removal(back.address, back.seen, back.entry), ..WayBack::default() }
            }
            _ => WayBack {
                stays: Some(vec![
                    "the key that the last run made stays, because nobody has the former secret".into(),
                ]),
                ..WayBack::default()
            },
        }
    }

    fn restore(&self, _seen: &Seen) -> BTreeMap<String, Json> {
        BTreeMap::new()
    }
}

/// Entries of keys that are to go, each under an address that tells its generation.
fn entries(address: &Address, keys: Vec<Key>) -> Vec<(Address, Entry)> {
    let entry = |key: Key| {
        let address = Address::named(NAME, &format!("{}-g{}", base(address), key.generation));
        let ids = [("sid".to_owned(), key.sid), ("generation".to_owned(), key.generation.to_string())];
        let mut entry = Entry::created(NAME, ids.into());
        entry.fields.insert(FRIENDLY_NAME.into(), Last::Plain(json!(key.name)));
        (address, entry)
    };
    keys.into_iter().map(entry).collect()
}

fn generation(seen: &Seen) -> u64 {
    seen.ids.get("generation").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The state after the key with that SID was deleted.
fn without(seen: &Seen, sid: &str) -> Seen {
    if seen.ids.get("sid").is_some_and(|current| current == sid) {
        return Seen::default();
    }
    let mut seen = seen.clone();
    seen.keep(|own: &mut Own| own.orphans.retain(|key| key.sid != sid));
    seen
}

fn delete(address: &Address, verb: Verb, key: &Key) -> Step {
    let op = Op::of(Act::Delete { sid: key.sid.clone() });
    step(address, NAME, verb, Stage::RemoveFoundation, "delete the key", op)
}

/// A step that deletes a key beside the one on record, and says which.
fn delete_orphan(address: &Address, verb: Verb, key: &Key) -> Step {
    let mut gone = delete(address, verb, key);
    gone.what = format!("delete the key {:?} of generation {}, sid {}", key.name, key.generation, key.sid);
    gone.reason = "an unfinished run made it, and nobody has its secret".into();
    gone
}

/// The state when the credentials may not read keys.
fn unreadable(address: &Address, failed: &Failed) -> Seen {
    let mut seen = Seen { not_read: true, ..Seen::default() };
    seen.finding(
        codes::KEY_MAY_NOT,
        address,
        Level::NotRead,
        format!("only the account's auth token or a main key may manage API keys: {failed}"),
        "give twilio.auth_token, or a main key (made in the Twilio Console), in place of the standard or restricted key; or name \
         a key of your own in place of ${minted…}",
    );
    seen
}

fn misplaced(section: &str, field: &str, key: &minted::Minted, part: &str) -> Problem {
    let place = |key: &minted::Minted, part: &str| {
        let at = if part == SECRET { key.secret_at } else { key.sid_at };
        let places = key.sections.iter().map(|section| format!("{section}.{}", at.trim_end_matches('.')));
        places.collect::<Vec<_>>().join(" and ")
    };
    let fits = |other: &minted::Minted, part: &str| {
        let at = if part == SECRET { other.secret_at } else { other.sid_at };
        other.sections.contains(&section) && field.starts_with(at)
    };
    let near = minted::ALL.iter().find_map(|other| {
        let part = [part, "sid", SECRET].into_iter().find(|part| fits(other, part))?;
        Some(format!("write ${{minted.{}.{part}}} here", other.name))
    });
    Problem::error(
        codes::BAD_REFERENCE,
        format!("{section}.{field}"),
        format!("the reference minted.{}.{part} cannot stand here", key.name),
        format!("the {part} of this key is for {}", place(key, part)),
        near.unwrap_or_else(|| "use ${env.NAME}".into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever confirms a destroy reads which key each step deletes.
    #[test]
    fn each_key_that_is_deleted_is_named() {
        let address = Address::named(NAME, "sender");
        let ids = |sid: &str| [("sid".to_owned(), sid.to_owned()), ("generation".to_owned(), "1".to_owned())];
        let mut seen = Seen { exists: true, ids: ids("SK1").into(), ..Seen::default() };
        let orphan = Key { generation: 2, sid: "SK2".into(), name: "Lockstep acme sender g2".into() };
        seen.keep(|own: &mut Own| own.orphans = vec![orphan]);
        let steps = TwilioKey.removal(&address, &seen, &Entry::created(NAME, ids("SK1").into()));
        let what: Vec<&str> = steps.iter().map(|step| step.what.as_str()).collect();
        let named = "delete the key \"Lockstep acme sender g2\" of generation 2, sid SK2";
        assert_eq!(what, [named, "delete the key"], "the plan names the resource behind the last one");
    }
}

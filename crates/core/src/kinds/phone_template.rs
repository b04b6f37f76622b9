//! The tenant's texts for phone messages, by type.
//!
//! Easy to overlook: a built-in template has no id. A POST with the template's type creates the tenant's own template,
//! which has one. A PATCH takes only `content.from`, `content.body` and `disabled`. A list may show an empty `from`,
//! but the API refuses a write with an empty `from`. After a delete, Auth0 uses the built-in template again.
//!
//! Codes that Verify sends do not use these texts, so this kind is not part of the delivery path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{
    Back, Diff, Done, Hint, Kind, Resource, Run, Seen, Task, WayBack, added, entries_with, identity, object,
    require_id, step, text,
};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::codes;
use crate::model::facts::Facts;
use crate::model::field::{FIELD, Field, Says, Section, Type, says};
use crate::model::ledger::{Entry, KEPT_BYTES_MAX, Ownership};
use crate::model::manifest::Manifest;
use crate::model::plan::{Finding, Level, Op, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// The kind of the tenant's phone templates.
pub struct PhoneTemplate;

const NAME: &str = "phone_template";
const SECTION_PATH: &str = "phone.templates";
const PATH: &str = "/api/v2/branding/phone/templates";
/// Key in an entry's `notes`. Its value lists the fields that the template had when this stack created it, without the
/// fields that the create wrote.
const BESIDE: &str = "beside";

/// What a step does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    Put,
    /// Resets the template to the vendor's text, which also removes the sender.
    Reset,
    Delete,
}

const fn long_text(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 1, max: 20_000, check: None }, lines: true, wire, doc, ..FIELD }
}

static TEMPLATE: &[Field] = &[
    Field {
        key: "from",
        ty: Type::Text { min: 1, max: 16, check: None },
        wire: "content.from",
        doc: "the sender, where the provider takes one",
        ..FIELD
    },
    long_text("text", "content.body.text", "the message as text"),
    long_text("voice", "content.body.voice", "the message as it is spoken"),
    Field {
        key: "disabled",
        ty: Type::Bool,
        wire: "disabled",
        doc: "messages of this type are not sent",
        ..FIELD
    },
];

const fn template(key: &'static str, doc: &'static str) -> Field {
    const SAYS: &[Says] = &[says("phone_template.*", "")];
    Field { key, ty: Type::Object(TEMPLATE), says: SAYS, doc, ..FIELD }
}

static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "Texts of phone messages, by type; codes that Verify sends do not use them",
    required: false,
    fields: &[
        template("otp_verify", "a code at login"),
        template("otp_enroll", "a code at enrolment"),
        template("change_password", "a password change was requested"),
        template("blocked_account", "an account was blocked"),
        template("password_breach", "a password was found in a breach"),
    ],
};

static SECTIONS: &[&Section] = &[&SECTION];

fn list_templates() -> Get {
    Get::whole(Api::Auth0, PATH)
}

fn type_of(address: &Address) -> &str {
    address.name().unwrap_or_default()
}

/// The listed template of the address's type: the tenant's own if there is one, else the built-in one.
fn find<'a>(reply: &'a Json, address: &Address) -> Result<Option<&'a Json>, Failed> {
    let what = "GET /api/v2/branding/phone/templates";
    let misread = || Failed::Misread(format!("{what}: no list of templates"));
    let list = entries_with(object(reply, what)?.get("templates"), &["/type"], what)?;
    // An absent id (or null) marks the built-in template. Any other id that is not a text makes the reply unreadable.
    if list.iter().any(|template| template.get("id").is_some_and(|id| !id.is_null() && !id.is_string())) {
        return Err(misread());
    }
    let of_type = || list.iter().filter(|template| text(template, "type") == type_of(address));
    Ok(of_type().find(|template| !text(template, "id").is_empty()).or_else(|| of_type().next()))
}

/// The observed state of a template, from an entry of the list or from the reply to a write. A template without an id
/// is the built-in one and does not count as existing; its values are kept as `BuiltIn`.
pub fn parse(template: &Json) -> Seen {
    let content = &template["content"];
    let mut attrs = Attrs::new();
    for (field, value) in
        [("from", &content["from"]), ("text", &content["body"]["text"]), ("voice", &content["body"]["voice"])]
    {
        if let Some(words) = value.as_str().filter(|words| !words.is_empty()) {
            attrs.insert(field.into(), Value::text(words));
        }
    }
    attrs.insert("disabled".into(), Value::Known(json!(template["disabled"] == json!(true))));
    let id = text(template, "id");
    if id.is_empty() {
        let mut seen = Seen::default();
        seen.keep(|own: &mut BuiltIn| own.0 = plain_values(&attrs));
        return seen;
    }
    Seen { exists: true, ids: [("id".to_owned(), id.to_owned())].into(), attrs, ..Seen::default() }
}

/// The values of the built-in template.
#[derive(Clone, Default)]
struct BuiltIn(BTreeMap<String, Json>);

fn plain_values(attrs: &Attrs) -> BTreeMap<String, Json> {
    attrs.iter().filter_map(|(field, value)| Some((field.clone(), value.known()?.clone()))).collect()
}

/// The body of a write. Each field has its value from `to`, or from `there` (the present values) if `to` does not have
/// the field. A null in `to` leaves the field out of the body, and the write then removes the field's text.
fn body(to: &BTreeMap<String, Json>, there: &BTreeMap<String, Json>) -> Json {
    let pick = |field: &str| to.get(field).or_else(|| there.get(field)).filter(|value| !value.is_null());
    let texts: Map<String, Json> = ["text", "voice"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), pick(field)?.clone())))
        .collect();
    let mut content = Map::new();
    if let Some(from) = pick("from") {
        content.insert("from".into(), from.clone());
    }
    if !texts.is_empty() {
        content.insert("body".into(), Json::Object(texts));
    }
    let mut body = Map::new();
    if !content.is_empty() {
        body.insert("content".into(), Json::Object(content));
    }
    if let Some(disabled) = pick("disabled") {
        body.insert("disabled".into(), disabled.clone());
    }
    Json::Object(body)
}

fn values_in(json: &Json) -> BTreeMap<String, Json> {
    json.as_object().into_iter().flatten().map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// The values that a step writes.
fn to_write(run: &Run<'_>) -> BTreeMap<String, Json> {
    run.step.op.values.iter().flatten().map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// Whether a template has these values. Null stands for an absent field.
fn has_values(seen: &Seen, values: &BTreeMap<String, Json>) -> bool {
    let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or(Json::Null);
    values.iter().all(|(field, value)| there(field) == *value)
}

fn switched_off(address: &Address) -> Option<String> {
    Some(format!("phone messages of type {} are not sent any more", type_of(address)))
}

impl Kind for PhoneTemplate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn api_path(&self) -> &'static str {
        PATH
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let mut by_type: BTreeMap<&str, Attrs> = BTreeMap::new();
        for (key, value) in manifest.section(SECTION_PATH).into_iter().flatten() {
            if let Some((kind, field)) = key.split_once('.') {
                by_type.entry(kind).or_default().insert(field.to_owned(), value.clone());
            }
        }
        by_type
            .into_iter()
            .map(|(kind, desired)| Resource { address: Address::named(NAME, kind), kind: NAME, desired })
            .collect()
    }

    fn prefetch(&self, _want: &Resource, _manifest: &Manifest) -> Vec<Get> {
        vec![list_templates()]
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let reply = reader.get(&list_templates()).await?;
            let mut seen = find(&reply, hint.address)?.map(parse).unwrap_or_default();
            // A tenant has one template of each type. If there is a record, it is about this template, whatever its id.
            if let Some(id) = seen.ids.get("id").filter(|_| hint.entry.is_none()) {
                seen.whose = identity::whose(&hint.clues("id", ""), id);
            }
            let long = |field: &str| {
                seen.attrs
                    .get(field)
                    .and_then(Value::as_str)
                    .is_some_and(|words| words.len() > KEPT_BYTES_MAX)
            };
            let wanted = |field: &str| hint.want.is_some_and(|want| want.desired.contains_key(field));
            let lost: Vec<&str> = ["text", "voice"]
                .into_iter()
                .filter(|field| seen.whose.needs_consent() && wanted(field) && long(field))
                .collect();
            if !lost.is_empty() {
                let what = format!(
                    "its {} is longer than {KEPT_BYTES_MAX} bytes, so it is not kept, and destroy cannot put it back",
                    lost.join(" and ")
                );
                seen.finding(
                    codes::CANNOT_PUT_BACK,
                    hint.address,
                    Level::Warning,
                    what,
                    "keep a copy of the text before you apply",
                );
            }
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        let off = |attrs: &Attrs| attrs.get("disabled") == Some(&Value::Known(json!(true)));
        let op = Op::of(Act::Put).writing(plain_values(&diff.want.desired));
        let mut step = if diff.seen.exists {
            if diff.changes.is_empty() {
                return Vec::new();
            }
            let mut step = diff.step(Verb::Update, Stage::Tenant, "update the template", op);
            step.reason = diff.changed_names();
            step
        } else {
            let what = "create the tenant's own template from the built-in one";
            let mut step = diff.step(Verb::Create, Stage::Tenant, what, op);
            step.creates = true;
            step.reason = "the tenant has the built-in one".into();
            step
        };
        if off(&diff.want.desired) && !off(&diff.seen.attrs) {
            step.danger = switched_off(diff.address);
        }
        vec![step]
    }

    fn removal(&self, address: &Address, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        // If somebody else created the template before our create did, the notes have the values of that template.
        let former = entry.notes.get("former").map(values_in);
        if entry.ownership == Ownership::Created && former.is_none() {
            let mut step = step(
                address,
                NAME,
                Verb::Delete,
                Stage::Tenant,
                "go back to the built-in template",
                Op::of(Act::Delete),
            );
            step.reason = "it was created by this stack".into();
            return vec![step];
        }
        let back: BTreeMap<String, Json> = former
            .unwrap_or_else(|| entry.restore.clone())
            .into_iter()
            .filter(|(field, _)| entry.fields.contains_key(field))
            .collect();
        if has_values(seen, &back) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        // Only a reset removes the sender; a write cannot. The reset also drops every other value of ours.
        if back.get("from") == Some(&Json::Null) && seen.attrs.contains_key("from") {
            let mut reset =
                step(address, NAME, Verb::Update, Stage::Tenant, "reset the template", Op::of(Act::Reset));
            reset.reason = "it had no sender before this stack".into();
            steps.push(reset);
        }
        // A reset drops all values, so all are written again, including those that this stack never managed.
        let mut all = plain_values(&seen.attrs);
        all.extend(back);
        let op = Op::of(Act::Put).writing(all.clone());
        let mut step = step(address, NAME, Verb::Update, Stage::Tenant, "put the former template back", op);
        step.reason = "it was there before this stack".into();
        if all.get("disabled") == Some(&json!(true))
            && seen.attrs.get("disabled") != Some(&Value::Known(json!(true)))
        {
            step.danger = switched_off(address);
        }
        steps.push(step);
        steps
    }

    fn facts(&self, _address: &Address, _seen: &Seen) -> Facts {
        Facts::new()
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let id = run.seen.ids.get("id").map(String::as_str).unwrap_or_default();
            match run.act()? {
                Act::Put => write_template(&run, id, writer).await,
                Act::Reset => {
                    let path = format!("{PATH}/{id}/reset");
                    let reply = writer.json(Method::Patch, path, json!({}), Repeat::Safe).await?;
                    Ok(Done::seen(require_id(parse(&reply), "id")?))
                }
                Act::Delete => {
                    match writer.json(Method::Delete, format!("{PATH}/{id}"), Json::Null, Repeat::Safe).await
                    {
                        Ok(_) => Ok(Done::seen(Seen::default())),
                        Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                        Err(failed) => Err(failed),
                    }
                }
            }
        })
    }

    /// A repeated create does no harm: the API refuses a second template of a type (409).
    fn may_repeat(&self, _step: &Step) -> bool {
        true
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            let reply = reader.fresh(&list_templates()).await?;
            let seen = find(&reply, run.address)?.map(parse).unwrap_or_default();
            let took = match run.act()? {
                Act::Put => seen.exists && has_values(&seen, &to_write(&run)),
                Act::Reset => seen.exists && !seen.attrs.contains_key("from"),
                Act::Delete => !seen.exists,
            };
            let seen = if seen.exists { seen } else { Seen::default() };
            Ok(took.then(|| Done::seen(seen)))
        })
    }

    /// Of what was absent, only the sender can be taken away.
    fn back(&self, back: &Back<'_>) -> WayBack {
        let mut entry = back.entry.clone();
        entry.restore.retain(|field, was| !was.is_null() || field == "from");
        WayBack { steps: self.removal(back.address, back.seen, &entry), ..WayBack::default() }
    }

    fn scopes(&self, step: &Step) -> &'static [&'static str] {
        match step.verb {
            Verb::Create => &["create:phone_templates"],
            Verb::Delete => &["delete:phone_templates"],
            _ => &["update:phone_templates"],
        }
    }

    fn refusals(&self, diff: &Diff<'_>, _steps: &[Step]) -> Vec<Finding> {
        let Some(entry) = diff.entry else { return Vec::new() };
        let made = entry.notes.get(BESIDE);
        let is_new = |field: &str| match made {
            Some(beside) => !added::listed(Some(beside), field),
            None => {
                entry.ownership == Ownership::Adopted && entry.restore.get(field).is_some_and(Json::is_null)
            }
        };
        let texts = ["from", "text", "voice"].into_iter();
        let there = texts.filter(|field| diff.seen.attrs.contains_key(*field) && is_new(field));
        let names = added::added_names(diff, there, "", "");
        let place = format!("{SECTION_PATH}.{}", type_of(diff.address));
        added::finding(diff.address, "the template has fields", &names, &place).into_iter().collect()
    }

    fn notices(&self, manifest: &Manifest, _as_of_ms: u64) -> Vec<Finding> {
        let declared = manifest.section(SECTION_PATH).is_some_and(|attrs| !attrs.is_empty());
        if !declared || manifest.section("verify_service").is_none() {
            return Vec::new();
        }
        vec![Finding {
            code: codes::HAS_NO_EFFECT,
            address: NAME.into(),
            text: "codes that Verify sends do not use these texts: Verify has its own".into(),
            help: "they are for messages that another Action or provider sends".into(),
            level: Level::Note,
        }]
    }

    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        let there = |field: &str| seen.attrs.get(field).and_then(Value::known).cloned().unwrap_or(Json::Null);
        ["from", "text", "voice", "disabled"]
            .into_iter()
            .map(|field| (field.to_owned(), there(field)))
            .collect()
    }
}

/// Writes a template, and creates it if the tenant has none of its own. The template is read right before the write, so
/// that the write repeats the present values of all fields that the manifest does not set.
async fn write_template(run: &Run<'_>, id: &str, writer: &mut Writer) -> Result<Done, Failed> {
    let to = to_write(run);
    let reply = writer.reader().fresh(&list_templates()).await?;
    let there = find(&reply, run.address)?.map(parse).unwrap_or_default();
    if !id.is_empty() {
        let body = body(&to, &plain_values(&there.attrs));
        let reply = writer.json(Method::Patch, format!("{PATH}/{id}"), body, Repeat::Safe).await?;
        return Ok(Done::seen(require_id(parse(&reply), "id")?));
    }
    let mut there = there;
    if !there.exists {
        let mut body = body(&to, &there.own::<BuiltIn>().unwrap_or_default().0);
        body["type"] = json!(type_of(run.address));
        match writer.json(Method::Post, PATH, body, Repeat::NeverBlind).await {
            Err(failed) if failed.status() == Some(409) => {
                let reply = writer.reader().fresh(&list_templates()).await?;
                there = find(&reply, run.address)?.map(parse).filter(|seen| seen.exists).ok_or(failed)?;
            }
            reply => {
                let seen = require_id(parse(&reply?), "id")?;
                let beside: Vec<&String> =
                    seen.attrs.keys().filter(|field| !to.contains_key(*field)).collect();
                let notes = BTreeMap::from([(BESIDE.to_owned(), json!(beside))]);
                return Ok(Done { notes, ..Done::seen(seen) });
            }
        }
    }
    // Somebody else has created the template since the plan. Its values go into the notes, so that destroy can put them
    // back.
    let former = PhoneTemplate.restore(&there);
    let id = there.ids.get("id").map(String::as_str).unwrap_or_default();
    let body = body(&to, &plain_values(&there.attrs));
    let reply = writer.json(Method::Patch, format!("{PATH}/{id}"), body, Repeat::Safe).await?;
    let notes = BTreeMap::from([("former".to_owned(), json!(former))]);
    Ok(Done { notes, ..Done::seen(require_id(parse(&reply), "id")?) })
}

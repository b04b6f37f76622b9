//! The Twilio Verify service: its brand name, code length and channel settings.
//!
//! Names are not unique and there is no field to mark ownership with, so the SID is kept in the ledger or pinned in
//! the manifest; a service is never picked by its name alone.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Diff, Done, Hint, Kind, Resource, Run, Seen, Task, step, text};
use crate::diag::{Problem, codes};
use crate::model::api::Method;
use crate::model::call::{Api, Body, Failed, Get, Paging, Repeat, Write};
use crate::model::field::{FIELD, Field, Section, Type, flat};
use crate::model::ledger::Entry;
use crate::model::manifest::Manifest;
use crate::model::plan::{Facts, Level, Stage, Step, Verb};
use crate::model::value::{Attrs, Value};
use crate::port::{Reader, Writer};

/// See the module's text.
pub struct VerifyService;

const NAME: &str = "verify_service";

const fn text_field(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Text { min: 0, max: 255, check: None }, wire, doc, ..FIELD }
}

const fn bool_field(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Bool, wire, doc, ..FIELD }
}

const fn int_field(key: &'static str, wire: &'static str, min: i64, max: i64, doc: &'static str) -> Field {
    Field { key, ty: Type::Int { min, max }, wire, doc, ..FIELD }
}

const fn object(key: &'static str, fields: &'static [Field], doc: &'static str) -> Field {
    Field { key, ty: Type::Object(fields), doc, ..FIELD }
}

static PUSH: &[Field] = &[
    bool_field("include_date", "Push.IncludeDate", "deprecated by the vendor"),
    text_field("apn_credential_sid", "Push.ApnCredentialSid", "Apple push credential, `CR…`"),
    text_field("fcm_credential_sid", "Push.FcmCredentialSid", "Google push credential, `CR…`"),
];
static TOTP: &[Field] = &[
    text_field("issuer", "Totp.Issuer", "name in authenticator apps; cannot be cleared again"),
    int_field("time_step", "Totp.TimeStep", 20, 60, "seconds"),
    int_field("code_length", "Totp.CodeLength", 3, 8, "digits"),
    int_field("skew", "Totp.Skew", 0, 2, "accepted steps of clock skew"),
];
static WHATSAPP: &[Field] = &[
    text_field("msg_service_sid", "Whatsapp.MsgServiceSid", "messaging service, `MG…`"),
    text_field("from", "Whatsapp.From", "sender number"),
];
static RELYING_PARTY: &[Field] = &[
    text_field("id", "Passkeys.RelyingParty.Id", "domain"),
    text_field("name", "Passkeys.RelyingParty.Name", "display name"),
    text_field("origins", "Passkeys.RelyingParty.Origins", "origins, joined by commas"),
];
static PASSKEYS: &[Field] = &[
    object("relying_party", RELYING_PARTY, "who asks for the passkey"),
    text_field(
        "authenticator_attachment",
        "Passkeys.AuthenticatorAttachment",
        "platform, cross-platform or any",
    ),
    text_field(
        "discoverable_credentials",
        "Passkeys.DiscoverableCredentials",
        "required, preferred or discouraged",
    ),
    text_field("user_verification", "Passkeys.UserVerification", "required, preferred or discouraged"),
];

/// Ranges: "Twilio Verify API, Service resource" (description of 2026-04) and its error dictionary.
static SECTION: Section = Section {
    path: NAME,
    doc: "The Twilio Verify service that sends the codes",
    required: true,
    fields: &[
        Field {
            key: "sid",
            ty: Type::Text { min: 3, max: 34, check: Some(sid_or_new) },
            doc: "pins an existing service (`VA…`), or `new` to create one beside others of the same name",
            ..FIELD
        },
        Field {
            key: "friendly_name",
            ty: Type::Text { min: 1, max: 30, check: Some(brand) },
            required: true,
            wire: "FriendlyName",
            doc: "the brand in the message; at most 30 characters and 4 digits",
            ..FIELD
        },
        int_field("code_length", "CodeLength", 4, 10, "digits of a code that Verify makes itself"),
        bool_field("lookup_enabled", "LookupEnabled", "look the number up before sending (costs extra)"),
        bool_field(
            "skip_sms_to_landlines",
            "SkipSmsToLandlines",
            "refuse SMS to landlines; needs lookup_enabled",
        ),
        bool_field(
            "dtmf_input_required",
            "DtmfInputRequired",
            "ask for a key press before a call reads the code",
        ),
        text_field("tts_name", "TtsName", "voice engine of calls"),
        bool_field("psd2_enabled", "Psd2Enabled", "payment confirmations; excludes calls"),
        bool_field("do_not_share_warning_enabled", "DoNotShareWarningEnabled", "add a warning to the SMS"),
        Field {
            key: "custom_code_enabled",
            ty: Type::Bool,
            default: Some("true"),
            wire: "CustomCodeEnabled",
            doc: "Auth0 makes the code, so this has to be true",
            ..FIELD
        },
        text_field("default_template_sid", "DefaultTemplateSid", "SMS template, `HJ…`"),
        object("push", PUSH, "push factor"),
        object("totp", TOTP, "authenticator app factor"),
        object("whatsapp", WHATSAPP, "WhatsApp sender"),
        object("passkeys", PASSKEYS, "passkey factor"),
        bool_field(
            "verify_event_subscription_enabled",
            "VerifyEventSubscriptionEnabled",
            "send events to Event Streams",
        ),
    ],
};

static SECTIONS: &[&Section] = &[&SECTION];

fn sid_or_new(value: &str) -> Result<(), (String, String)> {
    let is_sid = value.len() == 34
        && value.starts_with("VA")
        && value[2..].bytes().all(|byte| byte.is_ascii_hexdigit());
    if value == "new" || is_sid {
        return Ok(());
    }
    Err(("not a Verify service SID".into(), "write VA and 32 hex digits, or `new`".into()))
}

fn brand(value: &str) -> Result<(), (String, String)> {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    if digits > 4 {
        return Err((format!("{digits} digits"), "use at most 4 digits".into()));
    }
    match value.chars().find(|ch| !(ch.is_alphanumeric() || matches!(ch, ' ' | '-' | '_'))) {
        Some(ch) => Err((
            format!("the character {ch:?} is refused by Twilio"),
            "use letters, digits, spaces, dashes and underscores".into(),
        )),
        None => Ok(()),
    }
}

impl Kind for VerifyService {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sections(&self) -> &'static [&'static Section] {
        SECTIONS
    }

    fn declare(&self, manifest: &Manifest) -> Vec<Resource> {
        let Some(attrs) = manifest.section(NAME) else { return Vec::new() };
        let desired: Attrs = attrs
            .iter()
            .filter(|(key, _)| key.as_str() != "sid")
            .map(|(key, value)| (key.clone(), normalise(key, value.clone())))
            .collect();
        vec![Resource { address: NAME.to_owned(), kind: NAME, desired }]
    }

    fn check(&self, manifest: &Manifest, out: &mut Vec<Problem>) {
        let is = |key: &str, wanted: bool| manifest.get(NAME, key) == Some(&Value::Known(Json::Bool(wanted)));
        if is("custom_code_enabled", false) {
            out.push(Problem::error(
                codes::UNSAFE,
                "verify_service.custom_code_enabled",
                "custom codes are off",
                "every message would fail: Auth0 makes the code and Verify refuses it",
                "remove this line",
            ));
        }
        if is("skip_sms_to_landlines", true) && !is("lookup_enabled", true) {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.skip_sms_to_landlines",
                "landlines cannot be told apart",
                "needs lookup_enabled: true",
                "add `lookup_enabled: true`",
            ));
        }
        if is("psd2_enabled", true)
            && manifest.set("phone", "channels").iter().any(|channel| channel == "voice")
        {
            out.push(Problem::error(
                codes::CONFLICT,
                "verify_service.psd2_enabled",
                "payment confirmations exclude calls",
                "phone.channels has voice",
                "remove voice from phone.channels, or psd2_enabled",
            ));
        }
    }

    fn prefetch(&self, _want: &Resource, manifest: &Manifest) -> Vec<Get> {
        match pinned(manifest) {
            Some(sid) => vec![one(sid)],
            None => Vec::new(),
        }
    }

    fn observe<'a>(&'a self, hint: Hint<'a>, reader: &'a Reader) -> Task<'a, Result<Seen, Failed>> {
        Box::pin(async move {
            let known = pinned(hint.manifest)
                .or_else(|| hint.entry.and_then(|entry| entry.ids.get("sid")).map(String::as_str));
            if let Some(sid) = known {
                match reader.get(&one(sid)).await {
                    Ok(service) if text(&service, "sid") != sid => {
                        return Err(Failed::Misread(format!(
                            "GET /v2/Services/{sid}: not the service that was asked for"
                        )));
                    }
                    Ok(service) => {
                        let mut seen = parse(&service);
                        seen.unowned = hint.entry.is_none();
                        return Ok(seen);
                    }
                    Err(failed) if failed.status() == Some(404) => {
                        let mut seen = Seen::default();
                        if hint.entry.is_none() {
                            seen.finding(
                                hint.address,
                                Level::Blocker,
                                format!("the pinned service {sid} does not exist in this account"),
                                "correct verify_service.sid, or remove it to create a service",
                            );
                            return Ok(seen);
                        }
                    }
                    Err(failed) => return Err(failed),
                }
            }
            let name = hint.want.and_then(|want| want.desired.get("friendly_name")).and_then(Value::as_str);
            let Some(name) = name else { return Ok(Seen::default()) };
            let list = reader.get(&list()).await?;
            let named: Vec<&Json> =
                services(&list).iter().filter(|service| text(service, "friendly_name") == name).collect();
            let mut seen = Seen::default();
            let sids: Vec<&str> = named.iter().map(|service| text(service, "sid")).collect();
            seen.raw = json!({ "same_name": sids });
            // A run that was killed after its create: exactly one service that was not there before is its own.
            if let Some(before) = hint.intent.and_then(|intent| intent.creating.get(hint.address)) {
                let fresh: Vec<&&Json> = named
                    .iter()
                    .filter(|service| !before.iter().any(|sid| sid == text(service, "sid")))
                    .collect();
                match fresh.as_slice() {
                    [] => return Ok(seen),
                    [service] => {
                        let mut found = parse(service);
                        found.raw = json!({ "same_name": sids, "resumed": true });
                        return Ok(found);
                    }
                    _ => {}
                }
                let fresh: Vec<&str> = fresh.iter().map(|service| text(service, "sid")).collect();
                seen.finding(
                    hint.address,
                    Level::Blocker,
                    format!(
                        "more than one service named {name:?} appeared since the last run began: {}",
                        fresh.join(", ")
                    ),
                    "pin the right one with verify_service.sid and delete the others",
                );
                return Ok(seen);
            }
            let wants_new = hint.manifest.text(NAME, "sid") == Some("new");
            let may_create = wants_new && (hint.has_ledger || !traces(hint.manifest, reader).await);
            if hint.entry.is_none() && !named.is_empty() && wants_new && !may_create {
                seen.finding(
                    hint.address,
                    Level::Blocker,
                    format!(
                        "no record is there, an Action of this stack is, and the account has a service named {name:?}: {}",
                        sids.join(", ")
                    ),
                    "it may be the one that the Action uses: write verify_service.sid: VA… instead of new, or delete the Action",
                );
            } else if hint.entry.is_none() && !named.is_empty() && !may_create {
                seen.finding(
                    hint.address,
                    Level::Blocker,
                    format!("the account already has a service named {name:?}: {}", sids.join(", ")),
                    "names are not unique: write verify_service.sid: VA… to take one over, or sid: new to create another",
                );
            }
            Ok(seen)
        })
    }

    fn steps(&self, diff: &Diff<'_>) -> Vec<Step> {
        if !diff.seen.exists {
            let mut step =
                diff.step(Verb::Create, Stage::Foundation, "create the service", json!({ "do": "create" }));
            step.reason = "it does not exist".into();
            if diff.entry.is_some() {
                step.reason = "it was deleted outside; a new one has another SID".into();
            }
            step.creates = true;
            step.effects = Facts::from([("service".into(), json!(true))]);
            return vec![step];
        }
        if diff.changes.is_empty() {
            return Vec::new();
        }
        let fields: Vec<&str> = diff.changes.iter().map(|change| change.field.as_str()).collect();
        let mut step = diff.step(
            Verb::Update,
            Stage::Foundation,
            "update the service",
            json!({ "do": "update", "fields": fields }),
        );
        step.reason = diff.changed_names();
        step.effects = Facts::from([("service".into(), json!(true))]);
        vec![step]
    }

    fn removal(&self, address: &str, seen: &Seen, entry: &Entry) -> Vec<Step> {
        if !seen.exists {
            return Vec::new();
        }
        if entry.ownership == crate::model::ledger::Ownership::Created {
            let mut step = step(
                address,
                NAME,
                Verb::Delete,
                Stage::RemoveFoundation,
                "delete the service",
                json!({ "do": "delete" }),
            );
            step.reason = "it was created by this stack".into();
            step.danger = Some("its SID never comes back, and nothing can send through it any more".into());
            step.effects = Facts::from([("service".into(), json!(false))]);
            return vec![step];
        }
        restore_step(address, seen, entry).into_iter().collect()
    }

    fn scopes(&self, _step: &Step) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self, _address: &str, seen: &Seen) -> Facts {
        let custom = seen.attrs.get("custom_code_enabled") == Some(&Value::Known(json!(true)));
        Facts::from([("service".into(), json!(seen.exists && custom))])
    }

    fn run<'a>(&'a self, run: Run<'a>, writer: &'a mut Writer) -> Task<'a, Result<Done, Failed>> {
        Box::pin(async move {
            let op = &run.step.op;
            let sid = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
            let path = format!("/v2/Services/{sid}");
            let reply = match text(op, "do") {
                "create" => {
                    let body = Body::Form(form(run.desired, None));
                    writer.send(write(Method::Post, "/v2/Services".into(), body, Repeat::NeverBlind)).await?
                }
                "update" => {
                    let body = Body::Form(form(run.desired, Some(&op["fields"])));
                    writer.send(write(Method::Post, path, body, Repeat::Safe)).await?
                }
                "restore" => {
                    let attrs: Attrs = op["values"]
                        .as_object()
                        .map(|values| {
                            values.iter().map(|(k, v)| (k.clone(), Value::Known(v.clone()))).collect()
                        })
                        .unwrap_or_default();
                    writer
                        .send(write(Method::Post, path, Body::Form(form(&attrs, None)), Repeat::Safe))
                        .await?
                }
                _ => {
                    return match writer.send(write(Method::Delete, path, Body::None, Repeat::Safe)).await {
                        Ok(_) => Ok(Done::seen(Seen::default())),
                        Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
                        Err(failed) => Err(failed),
                    };
                }
            };
            let seen = parse(&reply);
            if seen.ids.get("sid").is_none_or(String::is_empty) {
                return Err(Failed::Unknown("the reply holds no service SID".into()));
            }
            let account = run.manifest.text("twilio", "account_sid");
            let answered = seen.ids.get("account_sid").filter(|sid| !sid.is_empty());
            if let (Some(account), Some(answered)) = (account, answered)
                && account != answered
            {
                return Err(Failed::Misread(format!(
                    "the Twilio credentials belong to account {answered}, and the manifest names {account}"
                )));
            }
            // Some accounts may lack the entitlement, and then every message of Auth0 would fail (60204).
            let wants_custom = run.desired.get("custom_code_enabled") == Some(&Value::Known(json!(true)));
            if wants_custom && seen.attrs.get("custom_code_enabled") == Some(&Value::Known(json!(false))) {
                return Err(Failed::Misread(format!(
                    "service {} reads back custom_code_enabled = false although true was sent: the account may lack custom codes; \
                     switch them on in the Twilio console (Verify, Services, this service) and apply again",
                    seen.ids.get("sid").map(String::as_str).unwrap_or_default()
                )));
            }
            Ok(Done::seen(seen))
        })
    }

    fn settle<'a>(&'a self, run: Run<'a>, reader: &'a Reader) -> Task<'a, Result<Option<Done>, Failed>> {
        Box::pin(async move {
            if text(&run.step.op, "do") != "create" {
                let sid = run.seen.ids.get("sid").map(String::as_str).unwrap_or_default();
                return match reader.fresh(&one(sid)).await {
                    Ok(service) => {
                        let seen = parse(&service);
                        let settled =
                            run.desired.iter().all(|(key, value)| seen.attrs.get(key) == Some(value));
                        Ok(settled.then(|| Done::seen(seen)))
                    }
                    Err(failed) if failed.status() == Some(404) => {
                        Ok((text(&run.step.op, "do") == "delete").then(|| Done::seen(Seen::default())))
                    }
                    Err(failed) => Err(failed),
                };
            }
            let list = reader.fresh(&list()).await?;
            let name = run.desired.get("friendly_name").and_then(Value::as_str).unwrap_or_default();
            let before = super::set_of(run.seen.raw.get("same_name"));
            let fresh: Vec<&Json> = services(&list)
                .iter()
                .filter(|service| text(service, "friendly_name") == name)
                .filter(|service| !before.as_array().is_some_and(|sids| sids.contains(&service["sid"])))
                .collect();
            match fresh.as_slice() {
                [] => Ok(None),
                [service] => Ok(Some(Done::seen(parse(service)))),
                several => {
                    let sids: Vec<&str> = several.iter().map(|service| text(service, "sid")).collect();
                    Err(Failed::Unknown(format!(
                        "several new services named {name:?} exist: {}; pin the right one with verify_service.sid",
                        sids.join(", ")
                    )))
                }
            }
        })
    }

    /// Only what the manifest names is put back; computed members of an adopted service were never touched.
    fn restore(&self, seen: &Seen) -> BTreeMap<String, Json> {
        seen.attrs.iter().filter_map(|(key, value)| Some((key.clone(), value.known()?.clone()))).collect()
    }
}

fn restore_step(address: &str, seen: &Seen, entry: &Entry) -> Option<Step> {
    let values: serde_json::Map<String, Json> = entry
        .restore
        .iter()
        .filter(|(_, old)| !old.is_null())
        .filter(|(key, old)| seen.attrs.get(*key).and_then(Value::known) != Some(*old))
        .map(|(key, old)| (key.clone(), old.clone()))
        .collect();
    if values.is_empty() {
        return None;
    }
    let mut step = step(
        address,
        NAME,
        Verb::Update,
        Stage::RemoveFoundation,
        "put the former settings back",
        json!({ "do": "restore", "values": values }),
    );
    step.reason = "it was there before this stack".into();
    Some(step)
}

fn pinned(manifest: &Manifest) -> Option<&str> {
    manifest.text(NAME, "sid").filter(|sid| *sid != "new")
}

/// Whether the tenant holds our Action although no ledger says so: then the stack was here before, and a second
/// service would be a duplicate.
async fn traces(manifest: &Manifest, reader: &Reader) -> bool {
    let name = super::action::PHONE.action_name(manifest);
    match reader.get(&super::action::list()).await {
        Ok(list) => super::action::items(&list).iter().any(|action| text(action, "name") == name),
        Err(_) => true,
    }
}

fn one(sid: &str) -> Get {
    Get::whole(Api::Verify, format!("/v2/Services/{sid}"))
}

fn list() -> Get {
    Get { api: Api::Verify, path: "/v2/Services?PageSize=100".into(), paging: Paging::Next }
}

fn services(list: &Json) -> &[Json] {
    list.get("services").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn write(method: Method, path: String, body: Body, repeat: Repeat) -> Write {
    Write { api: Api::Verify, method, path, body, repeat }
}

fn form(attrs: &Attrs, only: Option<&Json>) -> Vec<(String, String)> {
    let wanted = |key: &str| only.and_then(Json::as_array).is_none_or(|keys| keys.iter().any(|k| k == key));
    flat(SECTION.fields)
        .into_iter()
        .filter(|(key, field)| !field.wire.is_empty() && wanted(key))
        .filter_map(|(key, field)| {
            let value = match attrs.get(&key)? {
                Value::Known(Json::String(text)) => text.clone(),
                Value::Known(json) => json.to_string(),
                Value::Secret(secret) => secret.expose().to_owned(),
                _ => return None,
            };
            Some((field.wire.to_owned(), value))
        })
        .collect()
}

/// Reads a service in any reply. Account SID and SID become ids; unset members become empty text, so that an empty
/// text in the manifest means "cleared".
pub fn parse(service: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    for key in ["sid", "account_sid"] {
        seen.ids.insert(key.to_owned(), text(service, key).to_owned());
    }
    for (key, field) in flat(SECTION.fields).into_iter().filter(|(_, field)| !field.wire.is_empty()) {
        let mut at = service;
        for part in key.split('.') {
            at = at.get(part).unwrap_or(&Json::Null);
        }
        let value = match (at, &field.ty) {
            (Json::Null, Type::Text { .. }) => json!(""),
            (Json::Null, Type::Bool) => json!(false),
            (Json::Null, _) => continue,
            (Json::Array(items), _) => {
                let items: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
                json!(items.join(","))
            }
            (other, _) => other.clone(),
        };
        let value = normalise(&key, Value::Known(value));
        seen.attrs.insert(key, value);
    }
    seen
}

fn normalise(key: &str, value: Value) -> Value {
    match (key, value.as_str()) {
        // Sent as a number, read back with the channel in front.
        ("whatsapp.from", Some(number)) => Value::text(number.trim_start_matches("whatsapp:")),
        _ => value,
    }
}

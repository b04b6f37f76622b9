//! Verify v2: services and templates. Names of services are not unique. An omitted field stays unchanged; an empty one
//! clears the value where that is known to work.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::clock::iso_seconds;
use super::super::wire::{Outcome, Reply};
use super::super::world::VerifyService;
use super::form::Form;
use super::{Call, Route, VERIFY, is_sid, missing, refusal};

pub(super) const fn route(
    method: Method,
    pattern: &'static str,
    operation: &'static str,
    permission: &'static str,
    run: fn(&mut Call) -> Outcome,
) -> Route {
    Route { host: VERIFY, method, pattern, operation, permission, run }
}

const SERVICE: &str = "/v2/Services/{sid}";

pub(super) const ROUTES: &[Route] = &[
    route(Method::Get, "/v2/Services", "list_verify_services", "/twilio/verify/service/list", list),
    route(Method::Post, "/v2/Services", "create_verify_service", "/twilio/verify/service/create", create),
    route(Method::Get, SERVICE, "get_verify_service", "/twilio/verify/service/read", get),
    route(Method::Post, SERVICE, "update_verify_service", "/twilio/verify/service/update", update),
    route(Method::Delete, SERVICE, "delete_verify_service", "/twilio/verify/service/delete", delete),
    route(
        Method::Get,
        "/v2/Templates",
        "list_verify_templates",
        "/twilio/verify/verification-template/list",
        templates,
    ),
];

/// How a form field is read and where a read shows it.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    /// A number in this range, both ends included.
    Number(u64, u64),
    /// A text; an empty one clears the value to null.
    Text,
    /// A text; an empty one keeps the old value (provider experience with the issuer).
    Sticky,
    /// A SID of that prefix; an empty text clears the value.
    Sid(&'static str),
    /// Sent as text with commas, read as a list.
    Origins,
    /// Sent as a phone number, read with the prefix `whatsapp:`.
    Whatsapp,
    /// One of these words, or the empty text.
    Choice(&'static [&'static str]),
}

/// Form field, kind, and path of the key in a read.
const FIELDS: &[(&str, Kind, &[&str])] = &[
    ("CodeLength", Kind::Number(4, 10), &["code_length"]),
    ("LookupEnabled", Kind::Boolean, &["lookup_enabled"]),
    ("SkipSmsToLandlines", Kind::Boolean, &["skip_sms_to_landlines"]),
    ("DtmfInputRequired", Kind::Boolean, &["dtmf_input_required"]),
    ("TtsName", Kind::Text, &["tts_name"]),
    ("Psd2Enabled", Kind::Boolean, &["psd2_enabled"]),
    ("DoNotShareWarningEnabled", Kind::Boolean, &["do_not_share_warning_enabled"]),
    ("CustomCodeEnabled", Kind::Boolean, &["custom_code_enabled"]),
    ("Push.IncludeDate", Kind::Boolean, &["push", "include_date"]),
    ("Push.ApnCredentialSid", Kind::Sid("CR"), &["push", "apn_credential_sid"]),
    ("Push.FcmCredentialSid", Kind::Sid("CR"), &["push", "fcm_credential_sid"]),
    ("Totp.Issuer", Kind::Sticky, &["totp", "issuer"]),
    ("Totp.TimeStep", Kind::Number(20, 60), &["totp", "time_step"]),
    ("Totp.CodeLength", Kind::Number(3, 8), &["totp", "code_length"]),
    ("Totp.Skew", Kind::Number(0, 2), &["totp", "skew"]),
    ("DefaultTemplateSid", Kind::Sid("HJ"), &["default_template_sid"]),
    ("Whatsapp.MsgServiceSid", Kind::Sid("MG"), &["whatsapp", "msg_service_sid"]),
    ("Whatsapp.From", Kind::Whatsapp, &["whatsapp", "from"]),
    ("Passkeys.RelyingParty.Id", Kind::Text, &["passkeys", "relying_party", "id"]),
    ("Passkeys.RelyingParty.Name", Kind::Text, &["passkeys", "relying_party", "name"]),
    ("Passkeys.RelyingParty.Origins", Kind::Origins, &["passkeys", "relying_party", "origins"]),
    (
        "Passkeys.AuthenticatorAttachment",
        Kind::Choice(&["platform", "cross-platform", "any"]),
        &["passkeys", "authenticator_attachment"],
    ),
    (
        "Passkeys.DiscoverableCredentials",
        Kind::Choice(&["required", "preferred", "discouraged"]),
        &["passkeys", "discoverable_credentials"],
    ),
    (
        "Passkeys.UserVerification",
        Kind::Choice(&["required", "preferred", "discouraged"]),
        &["passkeys", "user_verification"],
    ),
    ("VerifyEventSubscriptionEnabled", Kind::Boolean, &["verify_event_subscription_enabled"]),
    ("Email.From", Kind::Text, &["email", "from"]),
    ("Email.FromName", Kind::Text, &["email", "from_name"]),
    ("Email.ContentTemplateId", Kind::Text, &["email", "content_template_id"]),
    ("MailerSid", Kind::Sid("MD"), &["mailer_sid"]),
];

/// Keys that the published description lacks. An option decides whether reads show them.
const NEWER: &[&str] = &["email", "mailer_sid"];

const TEMPLATE_FIELD: &str = "DefaultTemplateSid";

/// The settings of a new service, as reads show them.
fn fresh_settings(friendly_name: &str) -> Map<String, Value> {
    let settings = json!({
        "code_length": 6,
        "lookup_enabled": false,
        "psd2_enabled": false,
        "skip_sms_to_landlines": false,
        "dtmf_input_required": true,
        "tts_name": null,
        "do_not_share_warning_enabled": false,
        "custom_code_enabled": false,
        "push": {"include_date": false, "apn_credential_sid": null, "fcm_credential_sid": null},
        "totp": {"issuer": friendly_name, "time_step": 30, "code_length": 6, "skew": 1},
        "default_template_sid": null,
        "whatsapp": {"msg_service_sid": null, "from": null},
        "passkeys": {
            "relying_party": {"id": null, "name": null, "origins": null},
            "authenticator_attachment": null,
            "discoverable_credentials": null,
            "user_verification": null
        },
        "verify_event_subscription_enabled": false,
        "email": {"from": null, "from_name": null, "content_template_id": null},
        "mailer_sid": null
    });
    match settings {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// 400 with Verify's own code for a bad parameter.
pub(super) fn bad(message: &str) -> Reply {
    refusal(400, 60200, &format!("Invalid parameter: {message}"))
}

/// Checks a name: at most 30 characters of the allowed set and at most four digits (error dictionary; the schema says
/// 32).
fn check_name(name: &str) -> Result<(), Reply> {
    let allowed = |letter: char| letter.is_alphanumeric() || [' ', '-', '_'].contains(&letter);
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if name.is_empty() || name.chars().count() > 30 || digits > 4 || !name.chars().all(allowed) {
        return Err(bad("FriendlyName"));
    }
    Ok(())
}

fn read_form(call: &Call) -> Result<Form, Reply> {
    let mut allowed = vec!["FriendlyName"];
    allowed.extend(FIELDS.iter().map(|field| field.0));
    Form::read(call, &allowed)
}

/// Writes the sent fields over `settings` and checks the result.
fn apply(call: &Call, form: &Form, settings: &mut Map<String, Value>) -> Result<(), Reply> {
    for (name, kind, place) in FIELDS {
        let Some(text) = form.text(name) else { continue };
        let value = match kind {
            Kind::Boolean => json!(form.boolean(name)?),
            Kind::Number(least, most) => json!(form.number(name, *least, *most).map_err(|_| bad(name))?),
            Kind::Sticky if text.is_empty() => continue,
            Kind::Sid(prefix) => {
                form.sid(name, prefix).map_err(|_| bad(name))?;
                if text.is_empty() { Value::Null } else { json!(text) }
            }
            Kind::Choice(choices) => {
                if !text.is_empty() && !choices.contains(&text) {
                    return Err(bad(name));
                }
                json!(text)
            }
            _ if text.is_empty() => Value::Null,
            Kind::Origins => text.split(',').map(|part| json!(part.trim())).collect(),
            Kind::Whatsapp => json!(format!("whatsapp:{}", text.trim_start_matches("whatsapp:"))),
            Kind::Text | Kind::Sticky => json!(text),
        };
        put(settings, place, value);
    }
    let account = call.account()?;
    let template = form.text(TEMPLATE_FIELD).filter(|sid| !sid.is_empty());
    if template.is_some_and(|sid| !account.verify_templates.iter().any(|template| template.sid == sid)) {
        return Err(bad(TEMPLATE_FIELD));
    }
    let email = settings.get("email").and_then(Value::as_object);
    let set = email.map_or(0, |email| email.values().filter(|value| !value.is_null()).count());
    if set != 0 && set != 3 {
        return Err(refusal(
            400,
            60253,
            "Email.From, Email.FromName and Email.ContentTemplateId go together",
        ));
    }
    let on = |name: &str| settings.get(name) == Some(&json!(true));
    if on("skip_sms_to_landlines") && !on("lookup_enabled") {
        return Err(bad("SkipSmsToLandlines needs LookupEnabled"));
    }
    // An account without the entitlement accepts the field and ignores it; only a read shows that.
    if !account.custom_code_entitled.unwrap_or(call.options.custom_code_entitled) {
        settings.insert("custom_code_enabled".into(), json!(false));
    }
    Ok(())
}

fn put(settings: &mut Map<String, Value>, place: &[&str], value: Value) {
    match place {
        [] => {}
        [name] => {
            settings.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = settings.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

fn list(call: &mut Call) -> Outcome {
    let account = call.account()?;
    let items = account.verify_services.iter().map(|service| service_json(call, service)).collect();
    call.page("services", items)
}

fn create(call: &mut Call) -> Outcome {
    let form = read_form(call)?;
    let name = form.need("FriendlyName")?.to_owned();
    check_name(&name)?;
    let mut settings = fresh_settings(&name);
    apply(call, &form, &mut settings)?;
    let (limit, now_ms) = (call.options.verify_service_limit, call.now_ms);
    let (account, ids) = call.account_mut()?;
    if account.verify_services.len() >= limit {
        return Err(refusal(400, 21102, "Maximum number of Services has been reached"));
    }
    let service = VerifyService {
        sid: ids.sid("VA"),
        friendly_name: name,
        settings,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        rate_limits: Vec::new(),
        messaging_configurations: Default::default(),
        verifications: Vec::new(),
    };
    account.verify_services.push(service.clone());
    Ok(Reply::json(201, &service_json(call, &service)))
}

/// The service that the path names.
pub(super) fn service<'a>(call: &'a Call) -> Result<&'a VerifyService, Reply> {
    let sid = call.param(0);
    let found = if is_sid(sid, "VA") { call.account()?.verify_service(sid) } else { None };
    found.ok_or_else(|| missing(&call.request.path))
}

/// The service that the path names, mutable, and the source of ids.
pub(super) fn service_mut<'a>(
    call: &'a mut Call,
) -> Result<(&'a mut VerifyService, &'a mut super::super::ids::Ids), Reply> {
    service(call)?;
    let (sid, path) = (call.param(0).to_owned(), call.request.path.clone());
    let (account, ids) = call.account_mut()?;
    let service = account.verify_service_mut(&sid).ok_or_else(|| missing(&path))?;
    Ok((service, ids))
}

fn get(call: &mut Call) -> Outcome {
    Ok(Reply::json(200, &service_json(call, service(call)?)))
}

fn update(call: &mut Call) -> Outcome {
    let mut service = service(call)?.clone();
    let form = read_form(call)?;
    if let Some(name) = form.text("FriendlyName").filter(|name| !name.is_empty()) {
        check_name(name)?;
        name.clone_into(&mut service.friendly_name);
    }
    apply(call, &form, &mut service.settings)?;
    service.updated_at_ms = call.now_ms;
    let reply = Reply::json(200, &service_json(call, &service));
    *service_mut(call)?.0 = service;
    Ok(reply)
}

/// Deletes a service with everything in it. If the options say so, a service that is not empty is refused.
fn delete(call: &mut Call) -> Outcome {
    let service = service(call)?;
    let holds = !service.rate_limits.is_empty() || !service.messaging_configurations.is_empty();
    if holds && !call.options.verify_service_deleted_whole {
        return Err(refusal(409, 20409, "The service is not empty"));
    }
    let sid = service.sid.clone();
    call.account_mut()?.0.verify_services.retain(|service| service.sid != sid);
    Ok(Reply::empty())
}

fn service_json(call: &Call, service: &VerifyService) -> Value {
    let url = format!("https://{VERIFY}/v2/Services/{}", service.sid);
    let mut body = Map::new();
    body.insert("sid".into(), json!(service.sid));
    body.insert("account_sid".into(), json!(call.account_sid));
    body.insert("friendly_name".into(), json!(service.friendly_name));
    body.extend(service.settings.clone());
    if !call.options.newer_verify_fields_shown {
        body.retain(|key, _| !NEWER.contains(&key.as_str()));
    }
    body.insert("date_created".into(), json!(iso_seconds(service.created_at_ms)));
    body.insert("date_updated".into(), json!(iso_seconds(service.updated_at_ms)));
    body.insert("url".into(), json!(url));
    let links = [
        ("verification_checks", "VerificationCheck"),
        ("verifications", "Verifications"),
        ("rate_limits", "RateLimits"),
        ("messaging_configurations", "MessagingConfigurations"),
        ("entities", "Entities"),
        ("webhooks", "Webhooks"),
        ("access_tokens", "AccessTokens"),
    ];
    let links: Map<String, Value> =
        links.iter().map(|(key, tail)| ((*key).to_owned(), json!(format!("{url}/{tail}")))).collect();
    body.insert("links".into(), Value::Object(links));
    Value::Object(body)
}

fn templates(call: &mut Call) -> Outcome {
    let wanted = call.target.query("FriendlyName");
    let account = call.account()?;
    let items = account
        .verify_templates
        .iter()
        .filter(|template| wanted.is_none_or(|name| template.friendly_name == name))
        .map(|template| {
            json!({"sid": template.sid, "account_sid": account.sid, "friendly_name": template.friendly_name,
                "channels": template.channels, "translations": template.translations})
        })
        .collect();
    call.page("templates", items)
}

#[cfg(test)]
mod tests {
    use lockstep_wire::Method;
    use serde_json::{Value, json};

    use super::super::super::bench::{ACCOUNT, Bench, keys};
    use super::super::super::{Options, Rate};

    const SERVICES: &str = "verify.twilio.com/v2/Services";

    fn made(bench: &mut Bench, form: &[(&str, &str)]) -> (String, Value) {
        let (status, made) = bench.twilio(Method::Post, SERVICES, form);
        assert_eq!(status, 201, "{made}");
        (format!("{SERVICES}/{}", made["sid"].as_str().unwrap_or_default()), made)
    }

    #[test]
    fn a_fresh_service_has_every_field_of_the_published_schema() {
        let mut bench = Bench::new();
        let (url, service) = made(&mut bench, &[("FriendlyName", "Acme")]);
        let expected = [
            "sid",
            "account_sid",
            "friendly_name",
            "code_length",
            "lookup_enabled",
            "psd2_enabled",
            "skip_sms_to_landlines",
            "dtmf_input_required",
            "tts_name",
            "do_not_share_warning_enabled",
            "custom_code_enabled",
            "push",
            "totp",
            "default_template_sid",
            "whatsapp",
            "passkeys",
            "verify_event_subscription_enabled",
            "date_created",
            "date_updated",
            "url",
            "links",
        ];
        assert_eq!(keys(&service), expected);
        assert_eq!((&service["code_length"], &service["dtmf_input_required"]), (&json!(6), &json!(true)));
        assert_eq!(service["totp"], json!({"issuer": "Acme", "time_step": 30, "code_length": 6, "skew": 1}));
        assert_eq!(bench.twilio(Method::Get, &url, &[]), (200, service));
        assert_eq!(bench.twilio(Method::Delete, &url, &[]).0, 204);
        assert_eq!(bench.twilio(Method::Get, &url, &[]).1["code"], 20404);
    }

    #[test]
    fn names_are_not_unique_and_left_out_means_unchanged() {
        let mut bench = Bench::new();
        let form = [("FriendlyName", "Acme"), ("CustomCodeEnabled", "true"), ("TtsName", "Joanna")];
        let ((url, _), (other, _)) = (made(&mut bench, &form), made(&mut bench, &form));
        assert_ne!(url, other);
        let (_, updated) = bench.twilio(Method::Post, &url, &[("CodeLength", "8")]);
        assert_eq!((&updated["custom_code_enabled"], &updated["code_length"]), (&json!(true), &json!(8)));
        let (_, cleared) = bench.twilio(Method::Post, &url, &[("TtsName", ""), ("Totp.Issuer", "")]);
        assert_eq!((&cleared["tts_name"], &cleared["totp"]["issuer"]), (&Value::Null, &json!("Acme")));
    }

    #[test]
    fn what_is_sent_and_read_in_different_forms() {
        let mut bench = Bench::new();
        let form = [
            ("FriendlyName", "Acme"),
            ("Whatsapp.From", "+15550100"),
            ("Passkeys.RelyingParty.Origins", "a.example,b.example"),
        ];
        let (_, service) = made(&mut bench, &form);
        assert_eq!(service["whatsapp"]["from"], "whatsapp:+15550100");
        assert_eq!(service["passkeys"]["relying_party"]["origins"], json!(["a.example", "b.example"]));
    }

    #[test]
    fn bad_fields() {
        let mut bench = Bench::new();
        let name = ("FriendlyName", "Acme");
        let cases: [(&str, Vec<(&str, &str)>); 11] = [
            ("no name", vec![]),
            ("31 letters", vec![("FriendlyName", "abcdefghijklmnopqrstuvwxyzabcde")]),
            ("five digits", vec![("FriendlyName", "Acme 12345")]),
            ("characters", vec![("FriendlyName", "acme.example")]),
            ("unknown field", vec![name, ("Colour", "red")]),
            ("wrong case", vec![name, ("codeLength", "6")]),
            ("range", vec![name, ("CodeLength", "3")]),
            ("boolean", vec![name, ("LookupEnabled", "True")]),
            ("needs lookup", vec![name, ("SkipSmsToLandlines", "true")]),
            ("sid", vec![name, ("DefaultTemplateSid", "HJ1")]),
            ("template of nobody", vec![name, ("DefaultTemplateSid", "HJ99999999999999999999999999999999")]),
        ];
        for (what, form) in cases {
            let (status, refused) = bench.twilio(Method::Post, SERVICES, &form);
            assert_eq!(status, 400, "{what} {refused}");
        }
        let json_body = b"{\"FriendlyName\":\"Acme\"}".to_vec();
        assert_eq!(bench.twilio_raw(ACCOUNT, Method::Post, SERVICES, "application/json", json_body).0, 415);
    }

    #[test]
    fn an_email_sender_is_whole_and_may_be_hidden() {
        for newer_verify_fields_shown in [false, true] {
            let mut bench = Bench::with(Options { newer_verify_fields_shown, ..Options::default() });
            let name = ("FriendlyName", "Acme");
            let whole = [
                name,
                ("Email.From", "codes@acme.example"),
                ("Email.FromName", "Acme"),
                ("Email.ContentTemplateId", "HX00000000000000000000000000000001"),
                ("MailerSid", "MD00000000000000000000000000000001"),
            ];
            assert_eq!(bench.twilio(Method::Post, SERVICES, &whole[..2]).1["code"], 60253);
            let (url, service) = made(&mut bench, &whole);
            let shown = (service["email"]["from_name"].as_str(), service["mailer_sid"].as_str());
            let expected = (Some("Acme"), Some("MD00000000000000000000000000000001"));
            assert_eq!(shown, if newer_verify_fields_shown { expected } else { (None, None) });
            assert_eq!(bench.twilio(Method::Post, &url, &[("Email.From", "")]).1["code"], 60253);
            let cleared = [("Email.From", ""), ("Email.FromName", ""), ("Email.ContentTemplateId", "")];
            assert_eq!(bench.twilio(Method::Post, &url, &cleared).0, 200);
            assert_eq!(bench.twilio(Method::Post, &url, &[("MailerSid", "MG1")]).0, 400);
        }
    }

    #[test]
    fn without_the_entitlement_custom_codes_stay_off() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, custom_code_entitled: false, ..Options::default() });
        let (_, service) = made(&mut bench, &[("FriendlyName", "Acme"), ("CustomCodeEnabled", "true")]);
        assert_eq!(service["custom_code_enabled"], false);
    }

    #[test]
    fn accounts_have_a_limit_and_templates() {
        let rate = Rate::Unlimited;
        let mut bench = Bench::with(Options { rate, verify_service_limit: 1, ..Options::default() });
        made(&mut bench, &[("FriendlyName", "Acme")]);
        assert_eq!(bench.twilio(Method::Post, SERVICES, &[("FriendlyName", "Acme")]).1["code"], 21102);
        let (_, list) = bench.twilio(Method::Get, "verify.twilio.com/v2/Templates", &[]);
        let sid = list["templates"][0]["sid"].as_str().unwrap_or_default().to_owned();
        assert_eq!(sid.len(), 34);
        let (_, none) = bench.twilio(Method::Get, "verify.twilio.com/v2/Templates?FriendlyName=nope", &[]);
        assert_eq!(none["templates"], json!([]));
    }
}

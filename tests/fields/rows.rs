//! One row for every managed field: its applied value, the value that another operator gives it, and another value for
//! the manifest.

use std::rc::Rc;

use lockstep::kinds::code_limits;
use lockstep::twin::Twin;
use lockstep::twin::world::{Action, PhoneTemplate, VerifyRateLimit};
use serde_json::{Value as Json, json};

use super::bed::{
    Edits, FULL, Tamper, action, edit, edit_action, edit_draft, edit_draft_of, edit_this, feedback_action,
    file, receiver, redeploy, rules_action, sample, service, siem, stream, template, tenant, valid, variable,
};

/// A field of a resource.
pub struct Row {
    /// Place in the manifest, such as `verify_service.code_length`; empty for a field that no key sets directly.
    pub place: String,
    pub address: &'static str,
    pub field: String,
    /// The applied value as a plan shows it; `set` for a secret.
    pub applied: Json,
    /// The other operator's value, as a plan shows it.
    pub there: Json,
    pub tamper: Tamper,
    pub other: Other,
    pub secret: bool,
    /// Documented number of writes that repair the field: an Action's draft has to be deployed, everything else is one
    /// request.
    pub writes: usize,
}

/// What else the manifest could say.
pub enum Other {
    /// These edits, and the new value that a plan then shows.
    Value(Edits, Json),
    /// Any other value is refused, by the manifest's checks or by the plan.
    Refused(Edits),
    /// There is no key: the value follows from the stack itself.
    Fixed,
}

/// A row for a field whose manifest key has its own name. The values are: applied, the other operator's, the manifest's
/// other value.
pub fn row(
    section: &str,
    key: &str,
    address: &'static str,
    values: [Json; 3],
    tamper: impl Fn(&mut Twin, u64) + 'static,
) -> Row {
    let [applied, there, other] = values;
    let place = format!("{section}.{key}");
    Row {
        address,
        field: key.to_owned(),
        applied,
        there,
        tamper: Rc::new(tamper),
        other: Other::Value(vec![edit(place.clone(), other.clone())], other),
        place,
        secret: false,
        writes: 1,
    }
}

impl Row {
    /// Sets the manifest's other value as it is written, if that differs from what a plan shows.
    pub fn written(mut self, value: Json) -> Row {
        let place = self.place.clone();
        match &mut self.other {
            Other::Value(edits, _) | Other::Refused(edits) => *edits = vec![edit(place, value)],
            Other::Fixed => {}
        }
        self
    }

    /// Adds an edit without which the manifest would be refused.
    fn with(mut self, place: &str, value: Json) -> Row {
        if let Other::Value(edits, _) = &mut self.other {
            edits.push(edit(place, value));
        }
        self
    }

    pub fn refused(mut self) -> Row {
        if let Other::Value(edits, _) = self.other {
            self.other = Other::Refused(edits);
        }
        self
    }

    pub fn fixed(mut self) -> Row {
        self.place.clear();
        self.other = Other::Fixed;
        self
    }

    fn secret(self, variable: &str) -> Row {
        let mut row = self.written(json!(format!("${{env.{variable}}}")));
        row.secret = true;
        (row.applied, row.there) = (json!("changed"), json!("set"));
        if let Other::Value(_, shown) = &mut row.other {
            *shown = json!("changed");
        }
        row
    }

    /// The key that says the value, which another value of that key does not move by itself.
    pub fn said_by(mut self, place: &str) -> Row {
        self.place = place.into();
        self
    }

    /// Sets the name of the field in a plan, for a field that the kind makes up.
    pub fn named(mut self, field: &str) -> Row {
        self.field = field.into();
        self
    }
}

fn verify(key: &'static str, applied: Json, there: Json, other: Json) -> Row {
    verify_as(key, there.clone(), [applied, there, other])
}

/// A row for a setting of the service that reads back in another form than it is written.
fn verify_as(key: &'static str, raw: Json, values: [Json; 3]) -> Row {
    row("verify_service", key, "verify_service", values, move |twin, _| {
        let mut parts = key.split('.');
        let first = parts.next().unwrap_or_default();
        let mut at = service(twin).settings.get_mut(first).expect(key);
        for part in parts {
            at = at.get_mut(part).expect(key);
        }
        *at = raw.clone();
    })
}

fn sid(prefix: &str, digit: char) -> Json {
    json!(format!("{prefix}{}{digit}", "0".repeat(31)))
}

fn verify_rows() -> Vec<Row> {
    let name = [json!("Acme Login"), json!("Renamed"), json!("Acme Two")];
    let origins = json!(["https://acme.example"]);
    vec![
        row("verify_service", "friendly_name", "verify_service", name, |twin, _| {
            service(twin).friendly_name = "Renamed".into();
        }),
        verify("code_length", json!(6), json!(5), json!(8)),
        verify("lookup_enabled", json!(true), json!(false), json!(false))
            .with("verify_service.skip_sms_to_landlines", json!(false)),
        verify("skip_sms_to_landlines", json!(true), json!(false), json!(false)),
        verify("dtmf_input_required", json!(true), json!(false), json!(false)),
        verify("tts_name", json!("alice"), json!("man"), json!("woman")),
        verify("psd2_enabled", json!(false), json!(true), json!(true)).with("phone.channels", json!(["sms"])),
        verify("do_not_share_warning_enabled", json!(true), json!(false), json!(false)),
        verify("custom_code_enabled", json!(true), json!(false), json!(false)).refused(),
        verify("default_template_sid", sid("HJ", '1'), sid("HJ", '2'), sid("HJ", '3')),
        verify("push.include_date", json!(false), json!(true), json!(true)),
        verify("push.apn_credential_sid", sid("CR", '1'), sid("CR", '2'), sid("CR", '3')),
        verify(
            "push.fcm_credential_sid",
            json!("CR000000000000000000000000000000f1"),
            json!("CR000000000000000000000000000000f2"),
            json!("CR000000000000000000000000000000f3"),
        ),
        verify("totp.issuer", json!("Acme"), json!("Other"), json!("Acme Two")),
        verify("totp.time_step", json!(30), json!(40), json!(60)),
        verify("totp.code_length", json!(6), json!(7), json!(8)),
        verify("totp.skew", json!(1), json!(0), json!(2)),
        verify("whatsapp.msg_service_sid", sid("MG", '1'), sid("MG", '2'), sid("MG", '3')),
        verify_as(
            "whatsapp.from",
            json!("whatsapp:+15550199"),
            [json!("+15550100"), json!("+15550199"), json!("+15550101")],
        ),
        verify("passkeys.relying_party.id", json!("acme.example"), json!("x.example"), json!("y.example")),
        verify("passkeys.relying_party.name", json!("Acme"), json!("Other"), json!("Acme Two")),
        verify_as(
            "passkeys.relying_party.origins",
            origins,
            [
                json!("https://acme.example,https://login.acme.example"),
                json!("https://acme.example"),
                json!("https://login.acme.example"),
            ],
        ),
        verify("passkeys.authenticator_attachment", json!("platform"), json!("any"), json!("cross-platform")),
        verify(
            "passkeys.discoverable_credentials",
            json!("preferred"),
            json!("required"),
            json!("discouraged"),
        ),
        verify("passkeys.user_verification", json!("preferred"), json!("required"), json!("discouraged")),
        verify("verify_event_subscription_enabled", json!(false), json!(true), json!(true)),
        verify("email.from", json!("codes@acme.example"), json!("x@acme.example"), json!("y@acme.example")),
        verify("email.from_name", json!("Acme"), json!("Other"), json!("Acme Two")),
        verify("email.content_template_id", sid("HX", '1'), sid("HX", '2'), sid("HX", '3')),
        verify("mailer_sid", sid("MD", '1'), sid("MD", '2'), sid("MD", '3')),
    ]
}

/// A row for a rate limit of the service.
fn limit_row(
    name: &'static str,
    key: &'static str,
    field: &str,
    values: [Json; 3],
    tamper: impl Fn(&mut VerifyRateLimit) + 'static,
) -> Row {
    let address = if name == "per_ip" { "verify_rate_limit.per_ip" } else { "verify_rate_limit.per_number" };
    let key = format!("rate_limits.{name}.{key}");
    row("verify_service", &key, address, values, move |twin, _| {
        let limits = &mut service(twin).rate_limits;
        tamper(limits.iter_mut().find(|limit| limit.unique_name == name).expect(name));
    })
    .named(field)
}

fn bucket_row(name: &'static str, interval: &'static str, seconds: u64, values: [u64; 3]) -> Row {
    let there = values[1];
    let key: &'static str = match interval {
        "60s" => "buckets.60s.max",
        "1h" => "buckets.1h.max",
        _ => "buckets.1d.max",
    };
    limit_row(name, key, &format!("buckets.{seconds}"), values.map(|max| json!(max)), move |limit| {
        let bucket = limit.buckets.iter_mut().find(|bucket| bucket.interval == seconds);
        bucket.expect(interval).max = there;
    })
}

/// Rows for everything below the service.
fn below_rows() -> Vec<Row> {
    let texts = [json!("Sends to one number"), json!("Theirs"), json!("One number")];
    let sids = ["a1", "a2", "a3"].map(|end| json!(format!("MG{}{end}", "0".repeat(30))));
    let theirs = "MG000000000000000000000000000000a2";
    vec![
        limit_row("per_number", "description", "description", texts, |limit| {
            limit.description = "Theirs".into()
        }),
        bucket_row("per_number", "60s", 60, [5, 50, 6]),
        bucket_row("per_number", "1h", 3_600, [20, 200, 21]),
        bucket_row("per_ip", "1d", 86_400, [100, 1_000, 101]),
        row(
            "verify_service",
            "messaging_configurations.US",
            "verify_messaging_configuration.US",
            sids,
            move |twin, _| {
                let all = &mut service(twin).messaging_configurations;
                all.get_mut("US").expect("US").messaging_service_sid = theirs.into();
            },
        )
        .named("messaging_service_sid"),
    ]
}

/// Code as it is sent: with the manifest's rate limits in it.
pub fn sent(code: &str) -> String {
    code_limits::fill(&valid(FULL, &[]), code.to_owned())
}

fn action_row(
    key: &'static str,
    values: [Json; 3],
    change: impl Fn(&mut Action, &str) + Clone + 'static,
) -> Row {
    let mut row =
        row("action", key, "action", values, move |twin, now_ms| edit_action(twin, now_ms, change.clone()));
    row.writes = draft_writes(key);
    row
}

/// Everything that belongs to a version has to be deployed; a name does not.
fn draft_writes(key: &str) -> usize {
    if key == "name" { 1 } else { 2 }
}

pub fn action_rows() -> Vec<Row> {
    let built_in = lockstep::builtin::source("twilio-verify").unwrap_or_default();
    let theirs = file("theirs.js");
    let code = [json!(sent(built_in)), json!(theirs), json!(sent(&file("./actions/ours.js")))];
    let by_user = sent(built_in).replace(r#""per_number":"recipient""#, r#""per_number":"user""#);
    let (passed, edited) = ([json!(sent(built_in)), json!(theirs), json!(by_user)], theirs.clone());
    let mut rows = vec![
        action_row("name", [json!("Acme phone"), json!("Renamed"), json!("Acme phone 2")], |action, _| {
            action.name = "Renamed".into();
        }),
        action_row("code", code, move |action, _| action.code.clone_from(&theirs))
            .written(json!("./actions/ours.js")),
        Row {
            writes: 2,
            ..row(
                "verify_service",
                "rate_limits.per_number.key",
                "action",
                passed,
                move |twin: &mut Twin, now_ms| {
                    edit_action(twin, now_ms, |action, _| action.code.clone_from(&edited));
                },
            )
            .named("code")
            .written(json!("user"))
        },
        action_row("runtime", [json!("node22"), json!("node18"), json!("node18")], |action, _| {
            action.runtime = "node18-actions".into();
        }),
        action_row("dependencies.twilio", [json!("6.2.0"), json!("6.1.0"), json!("6.3.0")], |action, _| {
            action.dependencies[0].version = "6.1.0".into()
        }),
    ];
    for (key, other) in [
        ("secrets.TWILIO_ACCOUNT_SID", "OTHER_ACCOUNT"),
        ("secrets.TWILIO_API_KEY", "OTHER_KEY"),
        ("secrets.TWILIO_API_SECRET", "OTHER_SECRET"),
        ("secrets.TWILIO_VERIFY_SID", "OTHER_SERVICE"),
    ] {
        let change = move |action: &mut Action, stamp: &str| {
            let name = key.trim_start_matches("secrets.");
            let secret = action.secrets.iter_mut().find(|secret| secret.name == name).expect(name);
            secret.value = "theirs".into();
            secret.updated_at = stamp.into();
        };
        rows.push(action_row(key, [json!(""), json!(""), json!("")], change).secret(other));
    }
    // Another tool started a build of the same draft and never deployed it.
    let values = [json!(true), json!(false), Json::Null];
    rows.push(row("action", "deployed", "action", values, |twin, now| edit_draft(twin, now, |_| {})).fixed());
    rows
}

fn provider_row(field: &str, applied: Json, there: Json, tamper: impl Fn(&mut Twin, u64) + 'static) -> Row {
    row("", field, "phone_provider", [applied, there, Json::Null], tamper).fixed()
}

fn delivery_rows() -> Vec<Row> {
    let names = [json!("Send the code"), json!("Renamed"), json!("Send it")];
    let methods = [json!(["text", "voice"]), json!(["text"]), json!(["voice"])];
    let types = [json!(["sms", "voice"]), json!(["sms"]), json!(["voice"])];
    vec![
        row("action.binding", "display_name", "trigger_binding", names, |twin, _| {
            let bound = tenant(twin).bindings.get_mut("custom-phone-provider").expect("a binding");
            bound[0].display_name = "Renamed".into();
        }),
        provider_row("name", json!("custom"), json!("twilio"), |twin, _| {
            let provider = &mut tenant(twin).phone_providers[0];
            provider.name = "twilio".into();
            provider.configuration.insert("sid".into(), json!("AC1"));
            provider.configuration.insert("default_from".into(), json!("+15550100"));
            provider.credentials.insert("auth_token".into(), json!("theirs"));
        }),
        provider_row("disabled", json!(false), json!(true), |twin, _| {
            tenant(twin).phone_providers[0].disabled = true;
        }),
        provider_row("leftover", json!([]), json!(["sid"]), |twin, _| {
            tenant(twin).phone_providers[0].configuration.insert("sid".into(), json!("AC1"));
        }),
        row("phone", "channels", "phone_provider", methods, |twin, _| {
            let provider = &mut tenant(twin).phone_providers[0];
            provider.configuration.insert("delivery_methods".into(), json!(["text"]));
        })
        .named("delivery_methods"),
        row("phone", "channels", "phone_message_types", types, |twin, _| {
            tenant(twin).message_types = Some(vec!["sms".into()]);
        })
        .named("message_types"),
        row("phone", "delivery", "unified_phone", [json!(true), json!(false), json!("legacy")], |twin, _| {
            tenant(twin).settings.insert("phone_consolidated_experience".into(), json!(false));
        })
        .named("enabled")
        .refused(),
        row(
            "phone",
            "protection",
            "phone_provider_protection",
            [json!("exponential"), json!("default"), json!("default")],
            |twin, _| tenant(twin).phone_provider_protection = "default".into(),
        )
        .named("type"),
    ]
}

fn branding_row(key: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    row("branding", key, "branding", values, move |twin, _| {
        let mut parts = key.split('.');
        let first = parts.next().unwrap_or_default();
        let mut at = tenant(twin).branding.get_mut(first).expect(key);
        for part in parts {
            at = at.get_mut(part).expect(key);
        }
        *at = there.clone();
    })
}

fn branding_rows() -> Vec<Row> {
    let url = |name: &str| json!(format!("https://acme.example/{name}"));
    let gradient =
        json!({ "type": "linear-gradient", "start": "#ffffff", "end": "#000000", "angle_deg": 35 });
    vec![
        branding_row("logo_url", [url("logo.png"), url("theirs.png"), url("new.png")]),
        // The manifest's `none` is null on the wire.
        branding_row("favicon_url", [url("icon.png"), url("theirs.png"), Json::Null]).written(json!("none")),
        branding_row("colors.primary", [json!("#112233"), json!("#000000"), json!("#abcdef")]),
        branding_row("colors.page_background", [json!("#445566"), gradient, Json::Null])
            .written(json!("none")),
        branding_row("font.url", [url("font.woff"), url("theirs.woff"), url("new.woff")]),
        branding_row("identifiers.login_display", [json!("separate"), json!("unified"), json!("unified")]),
        branding_row("identifiers.otp_autocomplete", [json!(true), json!(false), json!(false)]),
        branding_row(
            "identifiers.phone_display.formatting",
            [json!("international"), json!("regional"), json!("regional")],
        ),
        branding_row(
            "identifiers.phone_display.masking",
            [json!("mask_digits"), json!("show_all"), json!("hide_country_code")],
        ),
    ]
}

/// Type and address.
const TEMPLATES: [(&str, &str); 5] = [
    ("otp_verify", "phone_template.otp_verify"),
    ("otp_enroll", "phone_template.otp_enroll"),
    ("change_password", "phone_template.change_password"),
    ("blocked_account", "phone_template.blocked_account"),
    ("password_breach", "phone_template.password_breach"),
];

fn template_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, address) in TEMPLATES {
        let mut add = |key: &'static str, values: [Json; 3], tamper: fn(&mut PhoneTemplate)| {
            let row = row("phone.templates", &format!("{kind}.{key}"), address, values, move |twin, _| {
                tamper(template(twin, kind));
            });
            rows.push(row.named(key));
        };
        add("from", [json!("+15550100"), json!("+15550199"), json!("Acme")], |template| {
            template.content.insert("from".into(), json!("+15550199"));
        });
        add("text", [json!("Acme: @{code}"), json!("Theirs"), json!("New: @{code}")], |template| {
            template.content["body"]["text"] = json!("Theirs");
        });
        add("voice", [json!("Acme says @{code}"), json!("Theirs"), json!("New: @{code}")], |template| {
            template.content["body"]["voice"] = json!("Theirs");
        });
        add("disabled", [json!(false), json!(true), json!(true)], |template| template.disabled = true);
    }
    rows
}

fn siem_row(key: &'static str, values: [Json; 3], tamper: impl Fn(&mut Twin, u64) + 'static) -> Row {
    row("log_streams.http.siem", key, "log_stream.siem", values, tamper)
}

fn siem_sink_row(key: &'static str, wire: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    siem_row(key, values, move |twin, _| drop(siem(twin).sink.insert(wire.into(), there.clone())))
}

fn siem_pii_row(key: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    siem_row(key, values, move |twin, _| {
        let pii = siem(twin).pii_config.as_mut().expect("masking is set");
        pii.insert(key.trim_start_matches("pii_config.").into(), there.clone());
    })
}

fn siem_rows() -> Vec<Row> {
    let none = || [json!(""), json!(""), json!("")];
    let filters = [json!(["auth.login.fail", "user.fail"]), json!(["other"]), json!([])];
    vec![
        siem_row("name", [json!("Acme SIEM"), json!("Renamed"), json!("Acme events 2")], |twin, _| {
            siem(twin).name = Some("Renamed".into());
        }),
        siem_sink_row(
            "endpoint",
            "httpEndpoint",
            [
                json!("https://siem.example/auth0"),
                json!("https://elsewhere.example/"),
                json!("https://siem.example/v2"),
            ],
        ),
        siem_row("authorization", none(), |twin, _| {
            siem(twin).sink.insert("httpAuthorization".into(), json!("theirs"));
        })
        .secret("OTHER_SECRET"),
        siem_sink_row(
            "content_format",
            "httpContentFormat",
            [json!("JSONLINES"), json!("JSONARRAY"), json!("JSONOBJECT")],
        ),
        siem_sink_row(
            "content_type",
            "httpContentType",
            [json!("application/x-ndjson"), json!("text/plain"), json!("application/json")],
        ),
        siem_row("custom_headers.X-Source", none(), |twin, _| {
            let headers = json!([{ "header": "X-Source", "value": "theirs" }]);
            siem(twin).sink.insert("httpCustomHeaders".into(), headers);
        })
        .secret("OTHER_SECRET"),
        siem_row("filters", filters, |twin, _| {
            siem(twin).filters = Some(vec![json!({ "type": "category", "name": "other" })]);
        }),
        siem_pii_row("pii_config.log_fields", [json!(["phone"]), json!(["email"]), json!(["username"])]),
        siem_pii_row("pii_config.method", [json!("hash"), json!("mask"), json!("mask")]),
        siem_pii_row("pii_config.algorithm", [json!("xxhash"), json!("md5"), json!("sha256")]),
        // Another kind of stream altogether, which is allowed here.
        siem_row("is_priority", [json!(false), json!(true), json!(true)], |twin, _| {
            siem(twin).is_priority = true;
        }),
        siem_row("status", [json!("active"), json!("paused"), json!("paused")], |twin, _| {
            siem(twin).status = "paused".into();
        }),
    ]
}

/// Manifest name, address, name on the wire, value in the full manifest.
const FACTORS: &[(&str, &str, &str, bool)] = &[
    ("phone", "mfa_factor.phone", "sms", true),
    ("otp", "mfa_factor.otp", "otp", true),
    ("email", "mfa_factor.email", "email", false),
    ("push_notification", "mfa_factor.push_notification", "push-notification", false),
    ("webauthn_roaming", "mfa_factor.webauthn_roaming", "webauthn-roaming", true),
    ("webauthn_platform", "mfa_factor.webauthn_platform", "webauthn-platform", false),
    ("recovery_code", "mfa_factor.recovery_code", "recovery-code", true),
    ("duo", "mfa_factor.duo", "duo", false),
];

fn login_rows() -> Vec<Row> {
    let mut rows: Vec<Row> = FACTORS
        .iter()
        .map(|(key, address, wire, on)| {
            row("mfa.factors", key, address, [json!(on), json!(!on), json!(!on)], move |twin, _| {
                let factor = tenant(twin).factors.iter_mut().find(|factor| factor.name == *wire);
                factor.expect(wire).enabled = !on;
            })
            .named("enabled")
            // A rule may not name a factor that is switched off.
            .with("mfa.post_login.rules.partners.factors", json!(["any"]))
        })
        .collect();
    rows.push(row(
        "mfa",
        "policy",
        "mfa_policy",
        [json!("always"), json!("adaptive"), json!("never")],
        |twin, _| tenant(twin).policies = vec!["confidence-score".into()],
    ));
    rows.push(
        row(
            "universal_login",
            "experience",
            "universal_login",
            [json!("new"), json!("classic"), json!("classic")],
            |twin, _| tenant(twin).prompts.universal_login_experience = "classic".into(),
        )
        .with("phone.channels", json!(["sms"]))
        .with("feedback.action", Json::Null)
        .with("mfa.post_login", Json::Null),
    );
    let switch = [json!(true), json!(false), json!(false)];
    rows.push(row("universal_login", "identifier_first", "universal_login", switch.clone(), |twin, _| {
        tenant(twin).prompts.identifier_first = Some(false);
    }));
    rows.push(row(
        "universal_login",
        "webauthn_platform_first_factor",
        "universal_login",
        switch,
        |twin, _| {
            tenant(twin).prompts.webauthn_platform_first_factor = Some(false);
        },
    ));
    rows
}

/// The code of the post-login Action with its rules, as the manifest with these edits sends it.
fn rules_code(edits: &[(String, Json)]) -> Json {
    let declared = lockstep::plan::desired::declared(&valid(FULL, edits));
    let action = declared.into_iter().find(|want| want.address == "mfa_post_login").expect("declared");
    json!(action.desired["code"].as_str().expect("the code is known"))
}

/// A row for a key of a rule, which changes the code.
fn rule_row(place: &str, other: Json) -> Row {
    let edits = vec![edit(format!("mfa.post_login.rules.{place}"), other)];
    let applied = rules_code(&[]);
    let there = applied.as_str().expect("text").replace("Admin", "Nobody");
    let values = [applied, json!(there), rules_code(&edits)];
    assert_ne!(values[0], values[2], "{place} is not in the code");
    let mut row = row("mfa.post_login", "code", "mfa_post_login", values, move |twin, now_ms| {
        edit_this(rules_action, twin, now_ms, |action, _| action.code.clone_from(&there));
    });
    row.place = format!("mfa.post_login.rules.{place}");
    if let Other::Value(kept, _) = &mut row.other {
        *kept = edits;
    }
    row.writes = 2;
    row
}

fn rules_rows() -> Vec<Row> {
    let own = edit("mfa.post_login.code", json!("./actions/mfa.js"));
    let code = [rules_code(&[]), json!("exports.onExecutePostLogin = () => {};\n"), rules_code(&[own])];
    let words = |applied: &str, other: &str| [json!(applied), json!("Renamed"), json!(other)];
    let runtime = [json!("node22"), json!("node18"), json!("node18")];
    let mut rows = vec![
        row("mfa.post_login", "name", "mfa_post_login", words("Acme MFA", "Acme MFA 2"), |twin, now_ms| {
            edit_this(rules_action, twin, now_ms, |action, _| action.name = "Renamed".into());
        }),
        row("mfa.post_login", "code", "mfa_post_login", code, |twin, now_ms| {
            edit_this(rules_action, twin, now_ms, |action, _| {
                action.code = "exports.onExecutePostLogin = () => {};\n".into();
            });
        })
        .written(json!("./actions/mfa.js")),
        row("mfa.post_login", "runtime", "mfa_post_login", runtime, |twin, now_ms| {
            edit_this(rules_action, twin, now_ms, |action, _| action.runtime = "node18-actions".into());
        }),
        rule_row("admins.require", json!("enrollment")),
        rule_row("admins.factors", json!(["otp"])),
        rule_row("admins.roles", json!(["Admin"])),
        rule_row("admins.remember_hours", json!(0)),
        rule_row("partners.organizations", json!(["org_1"])),
        rule_row("partners.connections", json!(["samlp"])),
        rule_row("partners.applications", json!(["app1", "app2"])),
    ];
    rows.iter_mut().for_each(|row| row.writes = draft_writes(&row.field));
    let names = words("Ask for a factor", "Ask");
    rows.push(row("mfa.post_login.binding", "display_name", "mfa_post_login_binding", names, |twin, _| {
        tenant(twin).bindings.get_mut("post-login").expect("a binding")[0].display_name = "Renamed".into();
    }));
    let deployed = [json!(true), json!(false), Json::Null];
    rows.push(
        row("mfa.post_login", "deployed", "mfa_post_login", deployed.clone(), |twin, now_ms| {
            edit_draft_of(rules_action, twin, now_ms, |_| {});
        })
        .fixed(),
    );
    rows.push(
        row("mfa.post_login", "enabled", "mfa_post_login_setting", deployed, |twin, _| {
            tenant(twin).settings.insert("customize_mfa_in_postlogin_action".into(), json!(false));
        })
        .fixed(),
    );
    rows
}

fn feedback_action_rows() -> Vec<Row> {
    const THEIRS: &str = "exports.onExecutePostLogin = async () => {};\n";
    let built_in = lockstep::builtin::source("login-feedback").unwrap_or_default();
    let code = [json!(built_in), json!(THEIRS), json!(file("./actions/mfa.js"))];
    let names = [json!("Acme login feedback"), json!("Renamed"), json!("Acme login feedback 2")];
    let one = |key: &'static str, values: [Json; 3], change: fn(&mut Action, &str)| {
        let mut row = row("feedback.action", key, "feedback_action", values, move |twin, now_ms| {
            edit_this(feedback_action, twin, now_ms, change);
        });
        row.writes = draft_writes(key);
        row
    };
    let mut rows = vec![
        one("name", names, |action, _| action.name = "Renamed".into()),
        one("code", code, |action, _| {
            action.code = THEIRS.into();
        })
        .written(json!("./actions/mfa.js")),
        one("runtime", [json!("node22"), json!("node18"), json!("node18")], |action, _| {
            action.runtime = "node18-actions".into();
        }),
    ];
    let theirs = |action: &mut Action, stamp: &str, name: &str| {
        let secret = action.secrets.iter_mut().find(|secret| secret.name == name).expect(name);
        secret.value = "theirs".into();
        secret.updated_at = stamp.into();
    };
    let unset = || [json!(""), json!(""), json!("")];
    for (key, name, other) in
        [("api_key", "TWILIO_API_KEY", "OTHER_KEY"), ("api_secret", "TWILIO_API_SECRET", "OTHER_SECRET")]
    {
        let mut row = row("feedback.action", key, "feedback_action", unset(), move |twin, now_ms| {
            edit_this(feedback_action, twin, now_ms, |action, stamp| theirs(action, stamp, name));
        });
        row.writes = 2;
        rows.push(row.named(&format!("secrets.{name}")).secret(other));
    }
    // It follows from the service.
    let mut sid = row(
        "",
        "secrets.TWILIO_VERIFY_SID",
        "feedback_action",
        [json!("changed"), json!("set"), Json::Null],
        move |twin, now_ms| {
            edit_this(feedback_action, twin, now_ms, |action, stamp| {
                theirs(action, stamp, "TWILIO_VERIFY_SID")
            });
        },
    )
    .fixed()
    .said_by("");
    (sid.secret, sid.writes) = (true, 2);
    rows.push(sid);
    let binding = [json!("Acme login feedback"), json!("Renamed"), Json::Null];
    rows.push(
        row("", "display_name", "feedback_action_binding", binding, |twin, _| {
            tenant(twin).bindings.get_mut("post-login").expect("a binding")[1].display_name =
                "Renamed".into();
        })
        .fixed()
        .said_by(""),
    );
    let deployed = [json!(true), json!(false), Json::Null];
    rows.push(
        row("feedback.action", "deployed", "feedback_action", deployed, |twin, now_ms| {
            edit_draft_of(feedback_action, twin, now_ms, |_| {});
        })
        .fixed(),
    );
    rows
}

fn stream_row(key: &'static str, values: [Json; 3], tamper: impl Fn(&mut Twin, u64) + 'static) -> Row {
    row("feedback.log_stream", key, "log_stream", values, tamper)
}

/// A row for a member of the stream's sink.
fn sink_row(key: &'static str, wire: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    stream_row(key, values, move |twin, _| drop(stream(twin).sink.insert(wire.into(), there.clone())))
}

fn pii_row(key: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    stream_row(key, values, move |twin, _| {
        let pii = stream(twin).pii_config.as_mut().expect("masking is set");
        pii.insert(key.trim_start_matches("pii_config.").into(), there.clone());
    })
}

fn stream_rows() -> Vec<Row> {
    let category = |name: &str| json!({ "type": "category", "name": name });
    let filters = [
        json!(["other", "user.notification"]),
        json!(["other"]),
        json!(["actions", "other", "user.notification"]),
    ];
    let none = || [json!(""), json!(""), json!("")];
    vec![
        stream_row("name", [json!("Acme feedback"), json!("Renamed"), json!("Acme events")], |twin, _| {
            stream(twin).name = Some("Renamed".into());
        }),
        sink_row(
            "endpoint",
            "httpEndpoint",
            [
                json!("https://acme-feedback.example/auth0-logs"),
                json!("https://elsewhere.example/"),
                json!("https://acme-feedback.example/v2"),
            ],
        ),
        stream_row("authorization", none(), |twin, _| {
            stream(twin).sink.insert("httpAuthorization".into(), json!("theirs"));
        })
        .secret("OTHER_SECRET"),
        sink_row(
            "content_format",
            "httpContentFormat",
            [json!("JSONARRAY"), json!("JSONLINES"), json!("JSONOBJECT")],
        ),
        sink_row(
            "content_type",
            "httpContentType",
            [json!("application/json"), json!("text/plain"), json!("application/json; charset=utf-8")],
        ),
        stream_row("custom_headers.X-Stack", none(), |twin, _| {
            let headers = json!([{ "header": "X-Stack", "value": "theirs" }]);
            stream(twin).sink.insert("httpCustomHeaders".into(), headers);
        })
        .secret("OTHER_SECRET"),
        stream_row("filters", filters, move |twin, _| stream(twin).filters = Some(vec![category("other")])),
        pii_row("pii_config.log_fields", [json!(["email"]), json!(["email", "phone"]), json!(["username"])]),
        pii_row("pii_config.method", [json!("mask"), json!("hash"), json!("hash")]),
        pii_row("pii_config.algorithm", [json!("xxhash"), json!("md5"), json!("sha256")]),
        stream_row("is_priority", [json!(false), json!(true), json!(true)], |twin, _| {
            stream(twin).is_priority = true;
        })
        .refused(),
        stream_row("status", [json!("active"), json!("paused"), json!("paused")], |twin, _| {
            stream(twin).status = "paused".into();
        }),
    ]
}

fn function_row(key: &'static str, values: [Json; 3], tamper: impl Fn(&mut Twin, u64) + 'static) -> Row {
    row("feedback.function", key, "feedback_function", values, tamper)
}

fn writes(mut row: Row, writes: usize) -> Row {
    row.writes = writes;
    row
}

/// Rows of the Function. The repair is upload, build and deploy; or build and deploy; or one write.
fn function_rows() -> Vec<Row> {
    let built_in = lockstep::builtin::source("verify-feedback").unwrap_or_default();
    let theirs = file("functions/theirs.js");
    let code = [json!(built_in), json!(theirs), json!(file("functions/ours.js"))];
    let package = |name: &'static str, values: [&'static str; 3]| {
        let key: &'static str =
            if name == "twilio" { "dependencies.twilio" } else { "dependencies.@twilio/runtime-handler" };
        let row = function_row(key, values.map(|value| json!(value)), move |twin, now| {
            redeploy(twin, now, |_, build| {
                let found = build.dependencies.iter_mut().find(|one| one.name == name);
                found.expect(name).version = values[1].into();
            });
        });
        writes(row, 2)
    };
    let mut rows = vec![
        writes(
            function_row("code", code, move |twin, now| {
                redeploy(twin, now, |version, _| version.content.clone_from(&theirs));
            })
            .written(json!("./functions/ours.js")),
            3,
        ),
        writes(
            function_row("path", [json!("/auth0-logs"), json!("/theirs"), json!("/logs/v2")], |twin, now| {
                redeploy(twin, now, |version, _| version.path = "/theirs".into());
            }),
            3,
        ),
        writes(
            function_row("visibility", [json!("public"), json!("protected"), Json::Null], |twin, now| {
                redeploy(twin, now, |version, _| version.visibility = "protected".into());
            })
            .fixed(),
            3,
        ),
        writes(
            function_row("runtime", [json!("node22"), json!("node20"), json!("node24")], |twin, now| {
                redeploy(twin, now, |_, build| build.runtime = "node20".into());
            }),
            2,
        ),
        package("twilio", ["6.2.0", "6.1.0", "6.3.0"]),
        package("@twilio/runtime-handler", ["2.1.2", "2.0.1", "2.1.3"]),
        // The former build still exists, so it is only deployed again.
        function_row("deployed", [json!(true), json!(false), Json::Null], |twin, _| {
            receiver(twin).environments[0].build_sid = None;
        })
        .fixed(),
        function_row(
            "friendly_name",
            [json!("Acme receiver"), json!("Renamed"), json!("Acme receiver 2")],
            |twin, _| receiver(twin).friendly_name = "Renamed".into(),
        ),
        function_row("ui_editable", [json!(false), json!(true), json!(true)], |twin, _| {
            receiver(twin).ui_editable = true;
        }),
        function_row("include_credentials", [json!(false), json!(true), Json::Null], |twin, _| {
            receiver(twin).include_credentials = true;
        })
        .fixed(),
    ];
    for (key, field) in [
        ("api_key", "variables.TWILIO_API_KEY"),
        ("api_secret", "variables.TWILIO_API_SECRET"),
        ("variables.EXTRA", "variables.EXTRA"),
    ] {
        let name = field.trim_start_matches("variables.");
        rows.push(
            function_row(key, [json!(""), json!(""), json!("")], move |twin, _| {
                variable(twin, name).value = "theirs".into();
            })
            .named(field)
            .secret("OTHER_SECRET"),
        );
    }
    // Values that follow from other sections.
    for (field, name, place) in [
        ("variables.TWILIO_ACCOUNT_SID", "TWILIO_ACCOUNT_SID", "twilio.account_sid"),
        ("variables.TWILIO_VERIFY_SID", "TWILIO_VERIFY_SID", ""),
        ("variables.WEBHOOK_SECRET", "WEBHOOK_SECRET", "feedback.log_stream.authorization"),
    ] {
        let mut row = function_row(field, [json!("changed"), json!("set"), Json::Null], move |twin, _| {
            variable(twin, name).value = "theirs".into();
        })
        .fixed()
        .said_by(place);
        row.secret = true;
        rows.push(row);
    }
    rows
}

fn sample_row(key: &'static str, field: &'static str, values: [Json; 3]) -> Row {
    let there = values[1].clone();
    row("sample_client", key, "sample_client", values, move |twin, _| {
        let client = sample(twin);
        match field.split_once('.') {
            Some((object, key)) => client[object][key] = there.clone(),
            None if key == "url" => drop(client.insert(field.into(), json!([there]))),
            None => drop(client.insert(field.into(), there.clone())),
        }
    })
    .named(field)
}

fn sample_rows() -> Vec<Row> {
    let fixed =
        |field, applied: Json, there: Json| sample_row("", field, [applied, there, Json::Null]).fixed();
    let codes = json!(["authorization_code", "refresh_token"]);
    let mut rows = vec![
        sample_row("name", "name", [json!("Acme sample"), json!("Renamed"), json!("Acme two")]),
        fixed("app_type", json!("spa"), json!("native")),
        fixed("grant_types", codes, json!(["authorization_code", "implicit"])),
        fixed("token_endpoint_auth_method", json!("none"), json!("client_secret_post")),
        fixed("oidc_conformant", json!(true), json!(false)),
        fixed("jwt_configuration.alg", json!("RS256"), json!("HS256")),
        fixed("client_metadata.lockstep_stack", json!("acme-full"), json!("another")),
    ];
    rows.extend(["callbacks", "allowed_logout_urls", "web_origins", "allowed_origins"].map(|field| {
        let values = ["http://localhost:3000", "https://theirs.example", "http://localhost:4000"];
        sample_row("url", field, values.map(|value| json!(value)))
    }));
    rows
}

/// A row for every field that the full manifest manages.
pub fn rows() -> Vec<Row> {
    let parts = [
        verify_rows(),
        below_rows(),
        action_rows(),
        delivery_rows(),
        login_rows(),
        rules_rows(),
        stream_rows(),
        branding_rows(),
        template_rows(),
        siem_rows(),
        function_rows(),
        feedback_action_rows(),
        sample_rows(),
    ];
    parts.into_iter().flatten().collect()
}

/// The value of a secret in the deployed version.
pub fn live_secret(twin: &mut Twin, name: &str) -> Option<String> {
    action(twin).live_version()?.secret(name).map(|secret| secret.value.clone())
}

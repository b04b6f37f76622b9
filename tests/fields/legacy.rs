//! The fields that only the legacy way of delivery has.

use serde_json::json;

use super::bed::{edit_action, file, tenant};
use super::rows::{Row, action_rows, row};

/// A legacy manifest. Fields that the unified manifest also has are covered by the rows of that manifest.
pub const LEGACY: &str = r#"
lockstep: v1
stack: acme-older
auth0:
  domain: ${env.AUTH0_DOMAIN}
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET}
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
verify_service:
  friendly_name: Acme Login
  code_length: 6
phone:
  delivery: legacy
  channels: [sms, voice]
  legacy_templates:
    enrollment_message: "{{code}} enrols you at Acme"
    verification_message: "{{code}} is your Acme code"
action:
  name: Acme phone
  code: builtin:twilio-verify
  runtime: node22
  dependencies:
    twilio: 6.2.0
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.TWILIO_SENDER_KEY}
    TWILIO_API_SECRET: ${env.TWILIO_SENDER_SECRET}
    TWILIO_VERIFY_SID: ${verify_service.sid}
  binding:
    display_name: Send the code
mfa:
  factors:
    phone: true
    otp: true
"#;

/// A row for every field of the kinds that only the legacy way has.
pub fn legacy_rows() -> Vec<Row> {
    let built_in = lockstep::builtin::source("twilio-verify-legacy").unwrap_or_default();
    let (theirs, ours) = (file("older-theirs.js"), file("./actions/older.js"));
    let mut rows: Vec<Row> = action_rows().into_iter().filter(|row| row.field != "code").collect();
    let code = row(
        "action",
        "code",
        "action",
        [json!(built_in), json!(theirs), json!(ours)],
        move |twin, now_ms| {
            edit_action(twin, now_ms, |action, _| action.code.clone_from(&theirs));
        },
    );
    rows.push(Row { writes: 2, ..code.written(json!("./actions/older.js")) });
    rows.iter_mut().for_each(|row| row.address = "legacy_action");
    let names = [json!("Send the code"), json!("Renamed"), json!("Send it")];
    let hook = [json!("phone-message-hook"), json!("twilio"), json!(null)];
    rows.extend([
        row("action.binding", "display_name", "legacy_binding", names, |twin, _| {
            let bound = tenant(twin).bindings.get_mut("send-phone-message").expect("a binding");
            bound[0].display_name = "Renamed".into();
        }),
        row("", "provider", "phone_selected_provider", hook, |twin, _| {
            tenant(twin).legacy_phone.selected_provider = "twilio".into();
        })
        .fixed()
        .said_by("phone.delivery"),
        text("enrollment_message", "{{code}} enrols you at Acme", |twin| {
            &mut tenant(twin).legacy_phone.enrollment_message
        }),
        text("verification_message", "{{code}} is your Acme code", |twin| {
            &mut tenant(twin).legacy_phone.verification_message
        }),
    ]);
    rows
}

fn text(key: &'static str, applied: &str, of: fn(&mut lockstep::twin::Twin) -> &mut String) -> Row {
    let values = [json!(applied), json!("{{code}} is theirs"), json!("{{code}} is new")];
    row("phone.legacy_templates", key, "phone_legacy_templates", values, move |twin, _| {
        *of(twin) = "{{code}} is theirs".into();
    })
}

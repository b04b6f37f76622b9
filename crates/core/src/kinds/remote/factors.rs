//! The second factors of the tenant: which are on, when one is asked for, and how the phone factor sends.

use serde_json::json;

use super::read::{READ, Read, Shape};
use crate::kinds::{array, text};
use crate::model::call::Failed;
use crate::port::Reader;

/// Resource addresses are `mfa_factor.<manifest name>`; the wire has other names.
const FACTORS: &[(&str, &str)] = &[
    ("phone", "sms"),
    ("otp", "otp"),
    ("email", "email"),
    ("push_notification", "push-notification"),
    ("webauthn_roaming", "webauthn-roaming"),
    ("webauthn_platform", "webauthn-platform"),
    ("recovery_code", "recovery-code"),
    ("duo", "duo"),
];

/// The name of a factor at the tenant, by the address of its resource.
pub fn wire_factor(address: &str) -> &'static str {
    let name = address.rsplit('.').next().unwrap_or_default();
    FACTORS.iter().find(|(manifest, _)| *manifest == name).map_or("", |(_, wire)| wire)
}

/// Every factor, and whether it is on.
pub static LIST: Read = Read { path: "/api/v2/guardian/factors", shape: Shape::Named, ..READ };

/// The policies by which logins are asked.
pub static POLICY: Read = Read { path: "/api/v2/guardian/policies", shape: Shape::Words, ..READ };

/// How the phone factor sends.
pub static MESSAGE_TYPES: Read = Read {
    path: "/api/v2/guardian/factors/phone/message-types",
    expects: &["message_types"],
    may_be_empty: true,
    ..READ
};

/// Names of the factors that are on and that a user can meet a policy with.
pub async fn on(reader: &Reader) -> Result<Vec<String>, Failed> {
    let reply = reader.get(&LIST.get()).await?;
    let factors = array(&reply, "GET /api/v2/guardian/factors")?.iter();
    let on = factors.filter(|factor| factor["enabled"] == json!(true)).map(|factor| text(factor, "name"));
    Ok(on.filter(|name| *name != "recovery-code").map(str::to_owned).collect())
}

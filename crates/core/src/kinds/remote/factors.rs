//! The second factors of the tenant: which factors are on, when users are asked for one, and how the phone factor sends
//! messages.

use serde_json::json;

use super::read::{READ, Read, Shape};
use crate::kinds::{array, text};
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::port::Reader;

/// The factors: the name in the manifest, which is also the end of the address `mfa_factor.<name>`, and the name in the
/// API.
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

/// The name that the API has for a factor, from the address of its resource; empty if there is no such factor.
pub fn wire_factor(address: &Address) -> &'static str {
    let name = address.name().unwrap_or_default();
    FACTORS.iter().find(|(manifest, _)| *manifest == name).map_or("", |(_, wire)| wire)
}

/// The read of all factors, each with whether it is on.
pub static FACTOR_LIST: Read = Read { path: "/api/v2/guardian/factors", shape: Shape::Named, ..READ };

/// The read of the policies that decide when a login is asked for a factor.
pub static POLICY: Read = Read { path: "/api/v2/guardian/policies", shape: Shape::Words, ..READ };

/// The read of the types of message that the phone factor sends (`sms`, `voice`).
pub static MESSAGE_TYPES: Read = Read {
    path: "/api/v2/guardian/factors/phone/message-types",
    expects: &["message_types"],
    may_be_empty: true,
    ..READ
};

/// The API's names of the factors that are on and can satisfy a policy. A recovery code alone cannot.
pub async fn enabled_factors(reader: &Reader) -> Result<Vec<String>, Failed> {
    let reply = reader.get(&FACTOR_LIST.get()).await?;
    let factors = array(&reply, "GET /api/v2/guardian/factors")?.iter();
    let on = factors.filter(|factor| factor["enabled"] == json!(true)).map(|factor| text(factor, "name"));
    Ok(on.filter(|name| *name != "recovery-code").map(str::to_owned).collect())
}

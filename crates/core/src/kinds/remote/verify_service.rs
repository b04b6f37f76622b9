//! Verify services in the API: how they are read, how their fields are sent, and what a reply says.

use serde_json::{Value as Json, json};

use crate::kinds::said::verify_service::{MAY_BE_HIDDEN, SECTION, normalise};
use crate::kinds::{Seen, entries_with, text};
use crate::model::call::{Api, Failed, Get, Paging};
use crate::model::field::{Type, flat};
use crate::model::value::{Attrs, Value};

/// The read of one service.
pub fn read_service(sid: &str) -> Get {
    Get::whole(Api::Verify, format!("/v2/Services/{sid}"))
}

/// The read of all services of the account.
pub fn list_services() -> Get {
    Get { api: Api::Verify, path: "/v2/Services?PageSize=100".into(), paging: Paging::Next }
}

/// The services of a list reply.
///
/// # Errors
/// The reply is not a list of services with SIDs and names.
pub fn services(list: &Json) -> Result<&[Json], Failed> {
    entries_with(list.get("services"), &["/sid", "/friendly_name"], "GET /v2/Services")
}

/// The private state of the kind: what it knows of a service besides the fields.
#[derive(Clone, Default)]
pub struct Own {
    /// The creation time, as Twilio writes it.
    pub made_at: String,
    /// The SID of the template that the manifest names.
    pub template_sid: String,
    /// Which service is meant is known only after the apply of another tenant.
    pub is_to_come: bool,
}

/// The attributes as form fields, in the order of the field table. Attributes whose value is not known are left out.
pub fn form(attrs: &Attrs) -> Vec<(String, String)> {
    flat(SECTION.fields)
        .into_iter()
        .filter(|(_, field)| !field.wire.is_empty())
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

/// Reads a service from the reply to a read or a write. The account SID and the SID become ids. Unset text members
/// become the empty text, so that an empty text in the manifest means "cleared"; unset booleans become false.
pub fn parse(service: &Json) -> Seen {
    let mut seen = Seen { exists: true, ..Seen::default() };
    seen.keep(|own: &mut Own| text(service, "date_created").clone_into(&mut own.made_at));
    for key in ["sid", "account_sid"] {
        seen.ids.insert(key.to_owned(), text(service, key).to_owned());
    }
    for (key, field) in flat(SECTION.fields).into_iter().filter(|(_, field)| !field.wire.is_empty()) {
        let top = key.split('.').next().unwrap_or_default();
        if MAY_BE_HIDDEN.contains(&top) && service.get(top).is_none() {
            seen.attrs.insert(key, Value::Unknown("the API does not show it".into()));
            continue;
        }
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

//! The message template of the Verify service. The manifest gives its name or its SID, and one of its translations must
//! be approved. Templates are only read, because Twilio reviews them. Without an approved translation, Twilio refuses
//! messages (60201, 60252).

use serde_json::Value as Json;

use super::remote::verify_below;
use super::remote::verify_service::Own;
use super::{Hint, Run, Seen, text};
use crate::model::address::Address;
use crate::model::call::{Api, Failed, Get, Paging};
use crate::model::codes;
use crate::model::manifest::Manifest;
use crate::model::plan::Level;
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

/// Field with the template's name.
pub const BY_NAME: &str = "default_template";
/// Field with the template's SID.
pub const BY_SID: &str = "default_template_sid";
const SECTION: &str = "verify_service";

fn read_by_name(name: &str) -> Get {
    let path = format!("/v2/Templates?FriendlyName={}&PageSize=100", encoded(name));
    Get { api: Api::Verify, path, paging: Paging::Next }
}

fn list_templates() -> Get {
    Get { api: Api::Verify, path: "/v2/Templates?PageSize=100".into(), paging: Paging::Next }
}

/// The text, percent-encoded for a query.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The read of the declared template in the first trip; none if the manifest declares no template.
pub fn prefetch(manifest: &Manifest) -> Vec<Get> {
    let name = manifest.text(SECTION, BY_NAME).map(read_by_name);
    let sid = manifest.text(SECTION, BY_SID).filter(|sid| !sid.is_empty()).map(|_| list_templates());
    name.or(sid).into_iter().collect()
}

/// Reads the declared template, and adds its SID and what is wrong with it to the observed service.
pub async fn check_template(seen: &mut Seen, hint: &Hint<'_>, reader: &Reader) -> Result<(), Failed> {
    let Some(want) = hint.want else { return Ok(()) };
    let wanted =
        |field: &str| want.desired.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(name) = wanted(BY_NAME) {
        by_name(seen, hint.address, name, reader).await
    } else if let Some(sid) = wanted(BY_SID) {
        by_sid(seen, hint.address, sid, reader).await
    } else {
        Ok(())
    }
}

async fn by_name(seen: &mut Seen, address: &Address, name: &str, reader: &Reader) -> Result<(), Failed> {
    let reply = reader.get(&read_by_name(name)).await?;
    let found: Vec<&Json> = verify_below::items(&reply, "templates", &["/sid"])?
        .iter()
        .filter(|template| text(template, "friendly_name") == name)
        .collect();
    match found.as_slice() {
        [template] => {
            let sid = text(template, "sid").to_owned();
            if !approved(template) {
                refuse(seen, address, &format!("{name:?} ({sid})"), template);
            }
            seen.keep(|own: &mut Own| own.template_sid = sid);
            set_name(seen, name);
        }
        [] => {
            let every = reader.get(&list_templates()).await?;
            let names: Vec<String> =
                verify_below::items(&every, "templates", &["/sid"])?.iter().map(described).collect();
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            seen.finding(
                codes::NOT_THERE,
                address,
                Level::Blocker,
                format!("the account has no template named {name:?}"),
                format!("correct verify_service.default_template; existing templates: {there}"),
            );
        }
        several => {
            let sids: Vec<&str> = several.iter().map(|template| text(template, "sid")).collect();
            seen.finding(
                codes::SEVERAL_FIT,
                address,
                Level::Blocker,
                format!("several templates are named {name:?}: {}", sids.join(", ")),
                "write default_template_sid with the right one instead of default_template",
            );
        }
    }
    Ok(())
}

async fn by_sid(seen: &mut Seen, address: &Address, sid: &str, reader: &Reader) -> Result<(), Failed> {
    let reply = match reader.get(&list_templates()).await {
        Ok(reply) => reply,
        // The service's field was read. Only this check needs the list as well, so a refusal is no error.
        Err(failed @ Failed::Refused(_)) => {
            let help = "grant the key the list of templates, or look in the Twilio Console";
            let text = format!("whether the template may be sent could not be checked: {failed}");
            seen.finding(codes::NOT_CHECKED, address, Level::Note, text, help);
            return Ok(());
        }
        Err(failed) => return Err(failed),
    };
    let templates = verify_below::items(&reply, "templates", &["/sid"])?;
    match templates.iter().find(|template| text(template, "sid") == sid) {
        Some(template) if approved(template) => {}
        Some(template) => refuse(seen, address, sid, template),
        None => {
            let names: Vec<String> = templates.iter().map(described).collect();
            seen.finding(
                codes::NOT_THERE,
                address,
                Level::Warning,
                format!("the account does not list the template {sid}"),
                format!(
                    "correct verify_service.default_template_sid; existing templates: {}",
                    names.join(", ")
                ),
            );
        }
    }
    Ok(())
}

fn refuse(seen: &mut Seen, address: &Address, which: &str, template: &Json) {
    seen.finding(
        codes::NOT_APPROVED,
        address,
        Level::Blocker,
        format!(
            "the template {which} has no approved translation, and its messages would be refused (60201)"
        ),
        format!("wait for Twilio's approval, or choose another one; current state: {}", described(template)),
    );
}

/// A template in words: name, SID, and the state of each translation.
fn described(template: &Json) -> String {
    let translations: Vec<String> = template["translations"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(language, one)| format!("{language} {}", text(one, "status")))
        .collect();
    let states = if translations.is_empty() { "no translation".into() } else { translations.join(", ") };
    format!("{:?} {} ({states})", text(template, "friendly_name"), text(template, "sid"))
}

fn approved(template: &Json) -> bool {
    let translations = template["translations"].as_object();
    translations.is_some_and(|all| all.values().any(|one| text(one, "status") == "approved"))
}

/// SID of the template that the manifest names; empty if none was found.
fn template_sid(seen: &Seen) -> String {
    seen.own::<Own>().map(|own| own.template_sid.clone()).unwrap_or_default()
}

/// Sets the observed value of `default_template`: the wanted name if the service has the SID of that template, else the
/// SID that the service has.
fn set_name(seen: &mut Seen, name: &str) {
    if !seen.exists {
        return;
    }
    let there = seen.attrs.get(BY_SID).and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown = if there == template_sid(seen) { name.to_owned() } else { there };
    seen.attrs.insert(BY_NAME.into(), Value::text(shown));
}

/// Carries the template's SID over to the state after a write.
pub fn carry_over(seen: &mut Seen, run: &Run<'_>) {
    let sid = template_sid(run.seen);
    let Some(name) = run.desired.get(BY_NAME).and_then(Value::as_str).filter(|_| !sid.is_empty()) else {
        return;
    };
    seen.keep(|own: &mut Own| own.template_sid = sid);
    set_name(seen, name);
}

/// The attributes to send: the template's SID replaces its name.
pub fn with_sid(attrs: &Attrs, seen: &Seen) -> Attrs {
    let mut sent = attrs.clone();
    if sent.remove(BY_NAME).is_some() {
        sent.insert(BY_SID.into(), Value::text(template_sid(seen)));
    }
    sent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_in_a_query() {
        assert_eq!(encoded("Base template & more"), "Base%20template%20%26%20more");
        assert_eq!(encoded("é"), "%C3%A9");
    }

    #[test]
    fn one_approved_translation_is_enough() {
        let template = json!({ "friendly_name": "T", "sid": "HJ1", "translations": {
            "en": { "status": "pending" }, "de": { "status": "approved" } } });
        assert!(approved(&template));
        assert_eq!(described(&template), "\"T\" HJ1 (en pending, de approved)");
        for none in [json!({}), json!({ "translations": { "en": { "status": "rejected" } } })] {
            assert!(!approved(&none));
        }
    }
}

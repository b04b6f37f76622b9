//! The legacy phone set-up of Guardian: which provider sends, and its message texts.
//!
//! While the unified experience is on, Auth0 answers all of these calls with 403, whatever scopes the token has.

use serde_json::json;

use super::row::{SETTING, Setting, plain_value, switch};
use crate::diag::{Problem, codes};
use crate::kinds::looks::{switches, unified};
use crate::kinds::remote::legacy::{HOOK, NEVER_CHOSEN, SELECTED, TEMPLATES};
use crate::kinds::said::legacy;
use crate::kinds::{Leaving, Resource, Seen, text};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::manifest::Manifest;
use crate::model::plan::{Level, Stage};
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

const TEMPLATES_SECTION: &str = "phone.legacy_templates";

static TEMPLATES_TABLE: Section = Section {
    path: TEMPLATES_SECTION,
    doc: "Message texts of the legacy set-up; Verify sends its own texts, so these are for other providers",
    required: false,
    fields: &[
        Field {
            key: "enrollment_message",
            ty: Type::Text { min: 1, max: 20_000, check: None },
            lines: true,
            required: true,
            wire: "enrollment_message",
            doc: "sent when a number is enrolled",
            ..FIELD
        },
        Field {
            key: "verification_message",
            ty: Type::Text { min: 1, max: 20_000, check: None },
            lines: true,
            required: true,
            wire: "verification_message",
            doc: "sent at login",
            ..FIELD
        },
    ],
};

/// Texts of a tenant that has none of its own ("Auth0 docs, Guardian phone templates", 2026-08).
const DEFAULT_TEMPLATES: [(&str, &str); 2] = [
    (
        "enrollment_message",
        "{{code}} is your verification code for {{tenant.friendly_name}}. Please enter this code to verify your enrollment.",
    ),
    ("verification_message", "{{code}} is your verification code for {{tenant.friendly_name}}"),
];

/// Who sends the codes of a tenant with the legacy set-up.
pub static SELECTED_PROVIDER: Setting = Setting {
    name: "phone_selected_provider",
    declare: |manifest| {
        let wanted = manifest.section("phone").is_some() && legacy::is_legacy(manifest);
        let name = "phone_selected_provider";
        wanted.then(|| switch(name, "provider", Value::text(HOOK))).into_iter().collect()
    },
    read: &SELECTED,
    unset: Some(|| Attrs::from([("provider".to_owned(), Value::text(NEVER_CHOSEN))])),
    parse: |_, reply| Attrs::from([("provider".to_owned(), Value::text(text(reply, "provider")))]),
    write: |_, attrs| {
        (Method::Put, SELECTED.path.into(), json!({ "provider": plain_value(attrs, "provider") }))
    },
    fact: Some(("provider", |_, word| Fact::Selected(word.as_str().map(Into::into)))),
    weigh: |_, from, to| {
        let former = from.get("provider").and_then(Value::as_str).unwrap_or_default();
        if to.get("provider").and_then(Value::as_str) == Some(HOOK) {
            return (Stage::Provider, Some(format!("codes go through an Action instead of {former:?}")));
        }
        (Stage::RemoveProvider, Some("codes are sent the former way again".into()))
    },
    scopes: &["update:guardian_factors"],
    before: switches::selected_provider,
    leaving,
    legacy: true,
    ..SETTING
};

/// The message texts of the legacy set-up. One write contains both.
pub static LEGACY_TEMPLATES: Setting = Setting {
    name: "phone_legacy_templates",
    sections: &[&TEMPLATES_TABLE],
    declare: |manifest| {
        let section = manifest.section(TEMPLATES_SECTION).filter(|_| legacy::is_legacy(manifest));
        let name = "phone_legacy_templates";
        let resource = |attrs: &Attrs| Resource { address: name.into(), kind: name, desired: attrs.clone() };
        section.map(resource).into_iter().collect()
    },
    check: |manifest, out| {
        if manifest.section(TEMPLATES_SECTION).is_some() && !legacy::is_legacy(manifest) {
            out.push(Problem::error(
                codes::CONFLICT,
                TEMPLATES_SECTION,
                "these texts belong to the legacy set-up",
                "the tenant's phone provider has its own templates, and Verify uses neither",
                "remove this section",
            ));
        }
    },
    read: &TEMPLATES,
    // The reply has no content if the texts were never set (auth0-cli, 2026). Auth0 then sends these default texts.
    unset: Some(|| {
        let of = |(key, words): (&str, &str)| (key.to_owned(), Value::text(words));
        DEFAULT_TEMPLATES.into_iter().map(of).collect()
    }),
    parse: |_, reply| {
        let of = |key: &str| (key.to_owned(), Value::text(text(reply, key)));
        Attrs::from([of("enrollment_message"), of("verification_message")])
    },
    write: |_, attrs| {
        let body = json!({
            "enrollment_message": plain_value(attrs, "enrollment_message"),
            "verification_message": plain_value(attrs, "verification_message"),
        });
        (Method::Put, TEMPLATES.path.into(), body)
    },
    weigh: |_, _, _| (Stage::Provider, None),
    scopes: &["update:guardian_factors"],
    leaving,
    legacy: true,
    whole: true,
    ..SETTING
};

fn leaving(manifest: &Manifest) -> Leaving {
    match manifest.text("phone", "delivery") {
        Some("unified") => Leaving::Abandoned("the unified phone experience does not use it any more"),
        _ => Leaving::Removed,
    }
}

/// What was seen of a legacy setting whose read failed. If the unified experience is on, nothing can be read or set: a
/// setting that the manifest wants gets a blocker. Any other failure is returned as it is.
pub(super) async fn seen_when_locked(
    failed: Failed,
    address: &Address,
    want: Option<&Resource>,
    reader: &Reader,
) -> Result<Seen, Failed> {
    if !unified::is_locked(&failed, reader).await? {
        return Err(failed);
    }
    let Some(want) = want else { return Ok(Seen::default()) };
    let mut seen = Seen { exists: true, attrs: want.desired.clone(), ..Seen::default() };
    seen.finding(
        codes::LEGACY_LOCKED, address,
        Level::Blocker,
        format!("the tenant refuses the legacy phone calls, as if the unified phone experience were on ({failed})"),
        "use `phone.delivery: unified`. If the experience is off in Settings, Advanced: grant read:guardian_factors, or ask \
         Auth0's support to switch on legacy_mfa_phone_provider",
    );
    Ok(seen)
}

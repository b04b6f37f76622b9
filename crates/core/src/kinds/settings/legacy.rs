//! The legacy phone set-up of Guardian: which provider sends, and its message texts.
//!
//! With the unified experience on, all of these calls answer 403, whatever the scopes.

use serde_json::json;

use super::{Before, SETTING, Setting, known};
use crate::diag::{Problem, codes};
use crate::kinds::{Leaving, Resource, Seen, legacy, text};
use crate::model::api::Method;
use crate::model::call::Failed;
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::manifest::Manifest;
use crate::model::plan::{Level, Stage};
use crate::model::value::{Attrs, Value};
use crate::port::Reader;

/// Read and written here; also the probe for the unified flag.
const SELECTED: &str = "/api/v2/guardian/factors/phone/selected-provider";
/// The provider that hands codes to the Action on `send-phone-message`.
pub(super) const HOOK: &str = "phone-message-hook";
const TEMPLATES: &str = "/api/v2/guardian/factors/phone/templates";
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
        wanted.then(|| super::one(name, name, "provider", Value::text(HOOK))).into_iter().collect()
    },
    read: SELECTED,
    // What a tenant sends by that never chose ("Auth0 docs, legacy phone factor", 2026-08).
    unset: Some(|| Attrs::from([("provider".to_owned(), Value::text("auth0"))])),
    expects: &["provider"],
    parse: |_, reply| Attrs::from([("provider".to_owned(), Value::text(text(reply, "provider")))]),
    write: |_, attrs| (Method::Put, SELECTED.into(), json!({ "provider": known(attrs, "provider") })),
    fact: Some(("provider", |_, word| Fact::Selected(word.as_str().map(Into::into)))),
    weigh: |_, from, to| {
        let former = from.get("provider").and_then(Value::as_str).unwrap_or_default();
        if to.get("provider").and_then(Value::as_str) == Some(HOOK) {
            return (Stage::Provider, Some(format!("codes go through an Action instead of {former:?}")));
        }
        (Stage::RemoveProvider, Some("codes are sent the former way again".into()))
    },
    scopes: &["update:guardian_factors"],
    before: Before::ActionStands,
    leaving,
    legacy: true,
    ..SETTING
};

/// The texts of the legacy set-up. One write takes both.
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
    read: TEMPLATES,
    // Without content where they were never set (auth0-cli, 2026); these texts are what is sent then.
    unset: Some(|| {
        let of = |(key, words): (&str, &str)| (key.to_owned(), Value::text(words));
        DEFAULT_TEMPLATES.into_iter().map(of).collect()
    }),
    expects: &["enrollment_message", "verification_message"],
    parse: |_, reply| {
        let of = |key: &str| (key.to_owned(), Value::text(text(reply, key)));
        Attrs::from([of("enrollment_message"), of("verification_message")])
    },
    write: |_, attrs| {
        let body = json!({
            "enrollment_message": known(attrs, "enrollment_message"),
            "verification_message": known(attrs, "verification_message"),
        });
        (Method::Put, TEMPLATES.into(), body)
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

/// Whether a legacy call is refused because the unified experience is on. Which code that refusal has is not known, and
/// the code of a missing scope is used for other refusals too: the scopes of the token itself count for more. One
/// refusal can be a gateway's mood, and much hangs on it, so two calls have to be refused.
pub(super) async fn is_locked(failed: &Failed, reader: &Reader) -> Result<bool, Failed> {
    let granted = || {
        let scopes = reader.scopes();
        scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == "read:guardian_factors"))
    };
    let refused = |failed: &Failed| {
        let status = failed.status();
        status == Some(404)
            || status == Some(403) && (failed.code() != Some("insufficient_scope") || granted())
    };
    if !refused(failed) {
        return Ok(false);
    }
    for setting in [&SELECTED_PROVIDER, &LEGACY_TEMPLATES] {
        match reader.get(&setting.get()).await {
            Err(failed) if refused(&failed) => {}
            Ok(_) | Err(Failed::Refused(_)) => return Ok(false),
            Err(failed) => return Err(failed),
        }
    }
    Ok(true)
}

/// What a refused legacy call means for its own part: with the unified experience on there is nothing to read, and
/// nothing that could be set. Another refusal comes back as it is.
pub(super) async fn locked(
    failed: Failed,
    address: &str,
    want: Option<&Resource>,
    reader: &Reader,
) -> Result<Seen, Failed> {
    if !is_locked(&failed, reader).await? {
        return Err(failed);
    }
    let Some(want) = want else { return Ok(Seen::default()) };
    let mut seen = Seen { exists: true, attrs: want.desired.clone(), ..Seen::default() };
    seen.finding(
        address,
        Level::Blocker,
        format!("the tenant refuses the legacy phone calls, as it does with the unified phone experience on ({failed})"),
        "use `phone.delivery: unified`. If the experience is off in Settings, Advanced: grant read:guardian_factors, or ask \
         Auth0's support to switch on legacy_mfa_phone_provider",
    );
    Ok(seen)
}

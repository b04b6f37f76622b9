//! Branding of the login pages.
//!
//! Easy to overlook: a PATCH merges only the top level, so each of the objects `colors`, `font` and `identifiers` is
//! replaced as a whole. A fresh tenant lacks keys, and a missing key counts as a value. `page_background` may be a
//! gradient.

use serde_json::{Map, Value as Json};

use super::row::{SETTING, Setting};
use crate::diag::{Problem, codes};
use crate::kinds::remote::read::{READ, Read};
use crate::kinds::{Resource, urls};
use crate::model::address::Address;
use crate::model::api::Method;
use crate::model::field::{FIELD, Field, Section, Type, form};
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

const SECTION_PATH: &str = "branding";
const PATH: &str = "/api/v2/branding";

/// The word in the manifest that clears a value.
const NONE: &str = "none";

const fn url(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field {
        key,
        ty: Type::Text { min: 1, max: 2048, check: form(r#"^(none|https://[^\s"<>\\^`{|}]+)$"#, https) },
        wire,
        doc,
        ..FIELD
    }
}

const fn color(key: &'static str, wire: &'static str, doc: &'static str) -> Field {
    Field {
        key,
        ty: Type::Text {
            min: 1,
            max: 9,
            check: form("^(none|#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}))$", hex),
        },
        wire,
        doc,
        ..FIELD
    }
}

static COLORS: &[Field] = &[
    color("primary", "colors.primary", "buttons and links, #rrggbb, or none"),
    color("page_background", "colors.page_background", "behind the login box, #rrggbb, or none"),
];

static FONT: &[Field] = &[url("url", "font.url", "a font file, https, or none")];

static PHONE_DISPLAY: &[Field] = &[
    Field {
        key: "formatting",
        ty: Type::OpenOneOf(&["international", "regional"]),
        wire: "identifiers.phone_display.formatting",
        doc: "how a phone number is written",
        ..FIELD
    },
    Field {
        key: "masking",
        ty: Type::OpenOneOf(&["show_all", "hide_country_code", "mask_digits"]),
        wire: "identifiers.phone_display.masking",
        doc: "how much of a phone number is shown",
        ..FIELD
    },
];

static IDENTIFIERS: &[Field] = &[
    Field {
        key: "login_display",
        ty: Type::OpenOneOf(&["unified", "separate"]),
        wire: "identifiers.login_display",
        doc: "one input for every identifier, or one each",
        ..FIELD
    },
    Field {
        key: "otp_autocomplete",
        ty: Type::Bool,
        wire: "identifiers.otp_autocomplete",
        doc: "the browser may fill in the code from the message",
        ..FIELD
    },
    Field { key: "phone_display", ty: Type::Object(PHONE_DISPLAY), doc: "phone numbers", ..FIELD },
];

static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "Logo, colours and font of the login pages; what is not named is left alone",
    required: false,
    fields: &[
        url("logo_url", "logo_url", "https, or none"),
        url("favicon_url", "favicon_url", "https, or none"),
        Field { key: "colors", ty: Type::Object(COLORS), doc: "colours", ..FIELD },
        Field { key: "font", ty: Type::Object(FONT), doc: "the font", ..FIELD },
        Field {
            key: "identifiers",
            ty: Type::Object(IDENTIFIERS),
            doc: "how identifiers are asked for and shown",
            ..FIELD
        },
    ],
};

/// Every attribute. Its name is also its path in the API's JSON.
const FIELDS: &[&str] = &[
    "logo_url",
    "favicon_url",
    "colors.primary",
    "colors.page_background",
    "font.url",
    "identifiers.login_display",
    "identifiers.otp_autocomplete",
    "identifiers.phone_display.formatting",
    "identifiers.phone_display.masking",
];

fn https(value: &str) -> Result<(), (String, String)> {
    if value == NONE {
        return Ok(());
    }
    urls::https(value, "the login pages load https only")
        .map_err(|(reason, help)| (reason, help + ", or none"))
}

fn hex(value: &str) -> Result<(), (String, String)> {
    let digits = value.strip_prefix('#').unwrap_or_default();
    let fits = [3, 6, 8].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if value == NONE || fits {
        return Ok(());
    }
    Err(("not a colour".into(), "write # and six hex digits in quotes, as \"#1a2b3c\", or none".into()))
}

/// Branding of the login pages.
pub static BRANDING: Setting = Setting {
    name: "branding",
    sections: &[&SECTION],
    declare: |manifest| {
        let attrs = manifest.section(SECTION_PATH).cloned().unwrap_or_default();
        let desired: Attrs = attrs
            .into_iter()
            .map(|(key, value)| {
                let none = value.as_str() == Some(NONE);
                (key, if none { Value::Known(Json::Null) } else { value })
            })
            .collect();
        match desired.is_empty() {
            true => Vec::new(),
            false => vec![Resource { address: "branding".into(), kind: "branding", desired }],
        }
    },
    check: |manifest, out| {
        for key in ["logo_url", "favicon_url", "font.url"] {
            let url = manifest.text(SECTION_PATH, key).filter(|url| *url != NONE);
            if url.is_some_and(urls::is_private) {
                let title = format!("{key} is an address that the browsers of your users cannot reach");
                let reason = "its host is on this machine or in a private network";
                let help = "write a host that the internet reaches";
                let place = format!("{SECTION_PATH}.{key}");
                out.push(Problem::error(codes::UNSAFE, place, title, reason, help).warning());
            }
        }
    },
    read: &Read {
        path: PATH,
        expects: &["colors", "font", "identifiers", "logo_url", "favicon_url"],
        may_be_empty: true,
        ..READ
    },
    // A fresh tenant lacks keys, possibly all of them.
    unset: Some(|| (BRANDING.parse)(&Address::of("branding"), &Json::Null)),
    parse: |_, reply| {
        FIELDS
            .iter()
            .map(|field| {
                let there = field.split('.').try_fold(reply, |at, key| at.get(key)).cloned();
                // An empty text means the same as a missing key.
                let value = there.filter(|value| value.as_str() != Some("")).unwrap_or(Json::Null);
                ((*field).to_owned(), Value::Known(value))
            })
            .collect()
    },
    write: |_, attrs| {
        let mut body = Map::new();
        for (field, value) in attrs {
            put_at(&mut body, field, value.known().cloned().unwrap_or(Json::Null));
        }
        (Method::Patch, PATH.into(), Json::Object(body))
    },
    complete: Some(|body, now| {
        let Some(body) = body.as_object_mut() else { return };
        for (key, value) in body {
            *value = merged(now.get(key).unwrap_or(&Json::Null), value);
        }
    }),
    tolerates: |field, desired, observed| {
        let one_color = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        field.starts_with("colors.")
            && desired.as_str().zip(observed.as_str()).is_some_and(|(a, b)| one_color(a, b))
    },
    weigh: |_, _, _| (Stage::Tenant, None),
    scopes: &["update:branding"],
    ..SETTING
};

/// Puts a value at a dotted path.
fn put_at(map: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => drop(map.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = map.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                put_at(inner, rest, value);
            }
        }
    }
}

/// The present object with our values put in. A member that is to be removed is left out, because the API replaces the
/// object as a whole. An object without members becomes null.
fn merged(now: &Json, ours: &Json) -> Json {
    let Json::Object(ours) = ours else { return ours.clone() };
    let mut whole = now.as_object().cloned().unwrap_or_default();
    for (key, value) in ours {
        let value = merged(whole.get(key).unwrap_or(&Json::Null), value);
        if value.is_null() {
            whole.remove(key);
        } else {
            whole.insert(key.clone(), value);
        }
    }
    if whole.is_empty() { Json::Null } else { Json::Object(whole) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_objects_are_sent_whole_and_lists_of_nothing_go() {
        let now = json!({
            "colors": { "primary": "#111111", "page_background": { "type": "linear-gradient", "angle_deg": 35 } },
            "font": { "url": "https://acme.example/f.woff" },
            "identifiers": { "login_display": "unified", "phone_display": { "masking": "show_all" } },
        });
        let cases = [
            (
                "colors.primary",
                json!("#222222"),
                json!({ "colors": {
                "primary": "#222222", "page_background": { "type": "linear-gradient", "angle_deg": 35 } } }),
            ),
            ("colors.page_background", Json::Null, json!({ "colors": { "primary": "#111111" } })),
            ("font.url", Json::Null, json!({ "font": null })),
            ("logo_url", Json::Null, json!({ "logo_url": null })),
            (
                "identifiers.phone_display.formatting",
                json!("regional"),
                json!({ "identifiers": {
                "login_display": "unified",
                "phone_display": { "masking": "show_all", "formatting": "regional" } } }),
            ),
        ];
        for (field, value, expected) in cases {
            let attrs = Attrs::from([(field.to_owned(), Value::Known(value))]);
            let (_, _, mut body) = (BRANDING.write)(&Address::of("branding"), &attrs);
            (BRANDING.complete.expect("a row that completes"))(&mut body, &now);
            assert_eq!(body, expected, "{field}");
        }
    }

    #[test]
    fn what_a_fresh_tenant_lacks_reads_as_none() {
        let seen = (BRANDING.parse)(&Address::of("branding"), &json!({ "logo_url": "" }));
        assert!(FIELDS.iter().all(|field| seen[*field] == Value::Known(Json::Null)), "{seen:?}");
    }
}

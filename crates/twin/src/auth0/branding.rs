//! Universal Login (prompts) and branding.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::wire::{Outcome, Reply};
use super::body::{Fields, invalid};
use super::{Call, Route, never_set};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/prompts",
        operation: "get_prompts",
        scopes: &["read:prompts"],
        query: &[],
        run: |call| Ok(prompts_json(call)),
    },
    Route {
        method: Method::Patch,
        pattern: "/prompts",
        operation: "update_prompts",
        scopes: &["update:prompts"],
        query: &[],
        run: update_prompts,
    },
    Route {
        method: Method::Get,
        pattern: "/branding",
        operation: "get_branding",
        scopes: &["read:branding"],
        query: &[],
        run: |call| {
            let never_set = never_set(call).filter(|_| call.tenant.branding.is_empty());
            Ok(never_set.unwrap_or_else(|| Reply::json(200, &Value::Object(call.tenant.branding.clone()))))
        },
    },
    Route {
        method: Method::Patch,
        pattern: "/branding",
        operation: "update_branding",
        scopes: &["update:branding"],
        query: &[],
        run: update_branding,
    },
];

fn prompts_json(call: &Call) -> Reply {
    let prompts = &call.tenant.prompts;
    let mut body = json!({"universal_login_experience": prompts.universal_login_experience});
    if let Some(first) = prompts.identifier_first {
        body["identifier_first"] = json!(first);
    }
    if let Some(first) = prompts.webauthn_platform_first_factor {
        body["webauthn_platform_first_factor"] = json!(first);
    }
    Reply::json(200, &body)
}

fn update_prompts(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let allowed = ["universal_login_experience", "identifier_first", "webauthn_platform_first_factor"];
    let fields = Fields::strict(&body, "", &allowed)?;
    if fields.is_empty() {
        return Err(invalid("Too few properties defined (0), minimum 1"));
    }
    let experience = fields.choice("universal_login_experience", &["new", "classic"])?;
    let nullable = |name: &str| match fields.value(name) {
        Some(Value::Null) => Ok(Some(None)),
        _ => fields.boolean(name).map(|value| value.map(Some)),
    };
    let identifier_first = nullable("identifier_first")?;
    let webauthn = nullable("webauthn_platform_first_factor")?;
    let prompts = &mut call.tenant.prompts;
    if let Some(experience) = experience {
        experience.clone_into(&mut prompts.universal_login_experience);
    }
    if let Some(value) = identifier_first {
        prompts.identifier_first = value;
    }
    if let Some(value) = webauthn {
        prompts.webauthn_platform_first_factor = value;
    }
    Ok(prompts_json(call))
}

/// Merges top-level keys (recorded); a null removes its key.
fn update_branding(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["colors", "logo_url", "favicon_url", "font", "identifiers"])?;
    if fields.is_empty() {
        return Err(invalid("Too few properties defined (0), minimum 1"));
    }
    for name in ["logo_url", "favicon_url"] {
        https_or_null(&fields, name)?;
    }
    if let Some(font) = fields.value("font").filter(|value| !value.is_null()) {
        https_or_null(&Fields::strict(font, "font", &["url"])?, "url")?;
    }
    if let Some(colors) = fields.value("colors").filter(|value| !value.is_null()) {
        let colors = Fields::strict(colors, "colors", &["primary", "page_background"])?;
        colors.string("primary", 1, 16)?;
        if !colors.value("page_background").is_some_and(Value::is_object) {
            colors.string("page_background", 1, 16)?;
        }
    }
    if let Some(identifiers) = fields.value("identifiers").filter(|value| !value.is_null()) {
        let keys = ["login_display", "otp_autocomplete", "phone_display"];
        let identifiers = Fields::strict(identifiers, "identifiers", &keys)?;
        identifiers.choice("login_display", &["unified", "separate"])?;
        identifiers.boolean("otp_autocomplete")?;
        if let Some(display) = identifiers.value("phone_display") {
            let display = Fields::strict(display, "identifiers.phone_display", &["formatting", "masking"])?;
            display.choice("formatting", &["international", "regional"])?;
            display.choice("masking", &["show_all", "hide_country_code", "mask_digits"])?;
        }
    }
    let branding: &mut Map<String, Value> = &mut call.tenant.branding;
    for (key, value) in fields.map() {
        if value.is_null() {
            branding.shift_remove(key);
        } else {
            branding.insert(key.clone(), value.clone());
        }
    }
    Ok(Reply::json(200, &Value::Object(branding.clone())))
}

fn https_or_null(fields: &Fields, name: &str) -> Result<(), Reply> {
    if fields.value(name).is_none_or(Value::is_null) {
        return Ok(());
    }
    match fields.string(name, 1, 2_048)? {
        Some(url) if url.starts_with("https://") => Ok(()),
        _ => Err(invalid(&format!(
            "Object didn't pass validation for format strict-https-uri-or-null' on property '{}",
            fields.path(name)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bench::Bench;

    #[test]
    fn prompts_answer_all_three_whatever_was_sent() {
        let mut bench = Bench::new();
        let (status, all) = bench.patch("/prompts", &json!({"identifier_first": true}));
        let expected = json!({"universal_login_experience": "new", "identifier_first": true,
            "webauthn_platform_first_factor": false});
        assert_eq!((status, &all), (200, &expected));
        assert_eq!(bench.get("/prompts").1, expected);
        assert_eq!(
            bench.patch("/prompts", &json!({"identifier_first": null})).1["identifier_first"],
            json!(null)
        );
        for bad in [json!({}), json!({"universal_login_experience": "modern"}), json!({"x": 1})] {
            assert_eq!(bench.patch("/prompts", &bad).0, 400, "{bad}");
        }
    }

    #[test]
    fn branding_merges_at_the_top() {
        let mut bench = Bench::new();
        assert_eq!(bench.get("/branding"), (200, json!({})), "a fresh tenant lacks the keys");
        bench.patch(
            "/branding",
            &json!({"colors": {"primary": "#111111"}, "logo_url": "https://x.example/l.png"}),
        );
        let (_, all) = bench.patch("/branding", &json!({"colors": {"page_background": "#222222"}}));
        assert_eq!(all["colors"], json!({"page_background": "#222222"}));
        assert_eq!(all["logo_url"], "https://x.example/l.png");
        let gradient =
            json!({"type": "linear-gradient", "start": "#ffffff", "end": "#000000", "angle_deg": 35});
        let (status, _) = bench.patch("/branding", &json!({"colors": {"page_background": gradient}}));
        assert_eq!(status, 200);
        assert_eq!(bench.patch("/branding", &json!({"logo_url": null})).1.get("logo_url"), None);
        for bad in [
            json!({}),
            json!({"logo_url": "http://x.example"}),
            json!({"colors": {"primary": null}}),
            json!({"colors": {"secondary": "#111111"}}),
            json!({"identifiers": {"login_display": "both"}}),
            json!({"identifiers": {"otp_autocomplete": "yes"}}),
            json!({"identifiers": {"phone_display": {"masking": "all"}}}),
            json!({"identifiers": {"phone_display": {"colour": "red"}}}),
        ] {
            assert_eq!(bench.patch("/branding", &bad).0, 400, "{bad}");
        }
    }
}

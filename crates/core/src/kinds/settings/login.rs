//! The New Universal Login and its settings.

use serde_json::{Value as Json, json};

use super::row::{SETTING, Setting};
use crate::diag::{Problem, codes};
use crate::kinds::Resource;
use crate::kinds::remote::tenant::PROMPTS;
use crate::model::api::Method;
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

static LOGIN_SECTION: Section = Section {
    path: "universal_login",
    doc: "Universal Login settings",
    required: false,
    fields: &[
        Field {
            key: "experience",
            ty: Type::OneOf(&["new", "classic"]),
            wire: "universal_login_experience",
            doc: "voice codes need `new`",
            ..FIELD
        },
        Field {
            key: "identifier_first",
            ty: Type::Bool,
            wire: "identifier_first",
            doc: "ask for the identifier first",
            ..FIELD
        },
        Field {
            key: "webauthn_platform_first_factor",
            ty: Type::Bool,
            wire: "webauthn_platform_first_factor",
            doc: "device biometrics as first factor",
            ..FIELD
        },
    ],
};

/// The New Universal Login and its settings.
pub static UNIVERSAL_LOGIN: Setting = Setting {
    name: "universal_login",
    sections: &[&LOGIN_SECTION],
    declare: |manifest| match manifest.section("universal_login") {
        Some(attrs) if !attrs.is_empty() => {
            vec![Resource {
                address: "universal_login".into(),
                kind: "universal_login",
                desired: attrs.clone(),
            }]
        }
        _ => Vec::new(),
    },
    check: |manifest, out| {
        let classic = manifest.text("universal_login", "experience") == Some("classic");
        if classic && manifest.set("phone", "channels").iter().any(|channel| channel == "voice") {
            out.push(Problem::error(
                codes::UNSAFE,
                "universal_login.experience",
                "voice does not work with the classic login",
                "phone.channels has voice",
                "use `experience: new`, or remove voice from phone.channels",
            ));
        }
    },
    read: &PROMPTS,
    parse: |_, reply| {
        let experience = match reply["universal_login_experience"].as_str() {
            Some(word) => Value::text(word),
            None => Value::Unknown("universal_login_experience".into()),
        };
        // Null is a value of its own: nobody has ever decided, and the setting is off. Destroy puts null back.
        let switch = |key: &str| Value::Known(reply[key].as_bool().map_or(Json::Null, Json::Bool));
        Attrs::from([
            ("experience".to_owned(), experience),
            ("identifier_first".to_owned(), switch("identifier_first")),
            ("webauthn_platform_first_factor".to_owned(), switch("webauthn_platform_first_factor")),
        ])
    },
    tolerates: |_, desired, observed| {
        *desired == Value::Known(json!(false)) && *observed == Value::Known(Json::Null)
    },
    write: |_, attrs| {
        let mut body = json!({});
        for (key, value) in attrs {
            let wire = if key == "experience" { "universal_login_experience" } else { key.as_str() };
            body[wire] = value.known().cloned().unwrap_or(Json::Null);
        }
        (Method::Patch, PROMPTS.path.into(), body)
    },
    fact: Some(("experience", |_, word| Fact::Login(word.as_str().map(Into::into)))),
    weigh: |_, from, to| {
        let danger = match (
            from.get("experience").and_then(Value::as_str),
            to.get("experience").and_then(Value::as_str),
        ) {
            (Some("classic"), Some("new")) => {
                Some("the login pages of the whole tenant change; classic customisations are not used".into())
            }
            (Some("new"), Some("classic")) => {
                Some("the login pages of the whole tenant change back; voice codes stop".into())
            }
            _ => None,
        };
        (Stage::Tenant, danger)
    },
    scopes: &["update:prompts"],
    ..SETTING
};

//! The manifest section of the Function: its keys, its checks, and the resource that it declares.

use serde_json::json;

use crate::diag::{Problem, codes};
use crate::kinds::npm::{self, is_exact};
use crate::kinds::said::function::{CURRENT, FILLED_IN, NAME, PREVIOUS, SECTION_PATH, variables};
use crate::kinds::said::{streams, verify_service};
use crate::kinds::{Resource, SaidBy, code_check};
use crate::model::address::Address;
use crate::model::field::{FIELD, Field, Releases, Section, Type, form};
use crate::model::manifest::Manifest;
use crate::model::value::{Attrs, Part, Value};

/// Most bytes of a variable's value ("Twilio Serverless v1" description, 2026-04).
const VALUE_BYTES_MAX: usize = 450;
/// Most characters of a variable's name (same description).
const KEY_MAX: usize = 128;

/// Packages that Twilio puts into every build. They are always sent, because a build that leaves one out keeps the
/// version of an earlier build ("terraform-provider-twilio" documentation, 2025-05). The runtime handler needs an exact
/// version, and its version here is the platform's own ("Twilio docs, runtime handler", 2026-07).
const ALWAYS: [(&str, &str); 2] = [("twilio", "6.2.0"), ("@twilio/runtime-handler", "2.1.2")];

/// Node.js versions that Functions run on; builds for the retired ones fail ("Twilio changelog", 2025-11 and 2026-07).
static RUNTIMES: Releases = Releases {
    known: &["node22", "node24", "node20"],
    spelled: &[],
    retired: &["node8", "node10", "node12", "node14", "node16", "node18"],
};

/// Names of variables that the platform fills in ("Twilio docs, Functions variables", 2026-08).
const RESERVED: [&str; 6] =
    ["ACCOUNT_SID", "AUTH_TOKEN", "DOMAIN_NAME", "PATH", "SERVICE_SID", "ENVIRONMENT_SID"];

/// Members of the context object that are no variables ("Twilio docs, Functions context object", 2026-08).
const CONTEXT_MEMBERS: [&str; 1] = ["getTwilioClient"];

pub(super) static SECTION: Section = Section {
    path: SECTION_PATH,
    doc: "The Twilio Function that receives the log stream and tells Verify which codes were used",
    required: false,
    fields: &[
        Field {
            key: "code",
            ty: Type::Code,
            required: true,
            wire: "Content",
            doc: "`builtin:verify-feedback` or a file",
            ..FIELD
        },
        Field {
            key: "api_key",
            ty: Type::Text { min: 1, max: 450, check: None },
            required: true,
            secret: true,
            wire: "Value of TWILIO_API_KEY",
            doc: "a restricted key, verification/update only",
            ..FIELD
        },
        Field {
            key: "api_secret",
            ty: Type::Text { min: 1, max: 450, check: None },
            required: true,
            secret: true,
            wire: "Value of TWILIO_API_SECRET",
            doc: "secret of the key in api_key",
            ..FIELD
        },
        Field {
            key: "runtime",
            ty: Type::Release(&RUNTIMES),
            default: Some("node22"),
            wire: "Runtime",
            doc: "Node.js version",
            ..FIELD
        },
        Field {
            key: "dependencies",
            ty: Type::Map { max: 30 },
            default: Some("{}"),
            wire: "Dependencies",
            doc: "npm packages; twilio and @twilio/runtime-handler are always included, in a \
                  fixed version unless named here",
            ..FIELD
        },
        Field {
            key: "variables",
            ty: Type::Map { max: 40 },
            default: Some("{}"),
            secret: true,
            wire: "Variables",
            doc: "further variables that the code reads from its context",
            ..FIELD
        },
        Field {
            key: "path",
            ty: Type::Text { min: 2, max: 255, check: form(PATH, check_path) },
            default: Some("/auth0-logs"),
            wire: "Path",
            doc: "path of the Function's URL",
            ..FIELD
        },
        Field {
            key: "friendly_name",
            ty: Type::Text { min: 1, max: 255, check: None },
            wire: "FriendlyName",
            doc: "friendly name of the Serverless service; defaults to `Lockstep feedback (<stack>)`",
            ..FIELD
        },
        Field {
            key: "ui_editable",
            ty: Type::Bool,
            default: Some("false"),
            wire: "UiEditable",
            doc: "whether the Twilio Console lets people edit the Function",
            ..FIELD
        },
        Field {
            key: "unique_name",
            ty: Type::Text { min: 1, max: 50, check: form("^[A-Za-z0-9-]*$", check_unique_name) },
            doc: "name of the Serverless service, unique in the account; defaults to `lockstep-feedback-<stack>-<hash>`",
            ..FIELD
        },
        Field {
            key: "environment",
            ty: Type::Text { min: 1, max: 100, check: form("^[A-Za-z0-9_-]*$", check_environment) },
            default: Some("production"),
            doc: "unique name of the environment; changing it changes the URL",
            ..FIELD
        },
    ],
};

fn check_unique_name(value: &str) -> Result<(), (String, String)> {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(());
    }
    Err((
        "the URL contains it, so some characters are not allowed".into(),
        "use letters, digits and dashes".into(),
    ))
}

fn check_environment(value: &str) -> Result<(), (String, String)> {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Ok(());
    }
    Err((
        "Twilio allows only some characters in a unique name".into(),
        "use letters, digits, dashes and underscores".into(),
    ))
}

const PATH: &str = r"^/([!*.0-9<=>A-Z\[\]^_`a-z{|}~-][!*./0-9<=>A-Z\[\]^_`a-z{|}~-]*)?$";

/// Refuses the paths that the vendor's own deploy tool refuses ("serverless-toolkit" source, 2026-06).
fn check_path(value: &str) -> Result<(), (String, String)> {
    let bad = |ch: char| {
        ch.is_whitespace() || ch.is_control() || !ch.is_ascii() || "#;,?:@+&$()'\"%\\".contains(ch)
    };
    if value.starts_with('/') && !value.starts_with("//") && !value.contains(bad) {
        return Ok(());
    }
    Err(("it is a path of a URL".into(), "begin with / and use letters, digits, dashes and slashes".into()))
}

/// Where the manifest gives the value of a field of the Function.
pub(super) fn said_by(field: &str) -> SaidBy {
    let variable = field.strip_prefix("variables.");
    match FILLED_IN.into_iter().find(|(name, _)| Some(*name) == variable) {
        Some((_, Some(key))) => SaidBy::Key(key.to_owned()),
        Some((_, None)) => SaidBy::Nothing,
        None => SaidBy::Tables,
    }
}

/// The Function as the manifest wants it.
pub(super) fn declare(manifest: &Manifest) -> Vec<Resource> {
    let Some(attrs) = manifest.section(SECTION_PATH) else { return Vec::new() };
    let own = ["api_key", "api_secret", "unique_name", "environment"];
    let mut desired: Attrs = attrs
        .iter()
        .filter(|(key, _)| !own.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for (name, version) in ALWAYS {
        desired.entry(format!("dependencies.{name}")).or_insert_with(|| Value::text(version));
    }
    desired
        .entry("friendly_name".into())
        .or_insert_with(|| Value::text(format!("Lockstep feedback ({})", manifest.stack)));
    desired.insert("include_credentials".into(), Value::Known(json!(false)));
    // Auth0 cannot sign requests as Twilio does. The Function therefore is public, and its own code checks the caller.
    desired.insert("visibility".into(), Value::text("public"));
    // `deployed` is part of the desired state, because code may be uploaded without being deployed.
    desired.insert("deployed".into(), Value::Known(json!(true)));
    desired.extend(variables(manifest).unwrap_or_default());
    vec![Resource { address: Address::of(NAME), kind: NAME, desired }]
}

/// Checks beyond single fields.
pub(super) fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    let Some(attrs) = manifest.section(SECTION_PATH) else {
        return check_references(manifest, out);
    };
    let at = |key: &str| format!("{SECTION_PATH}.{key}");
    let code = manifest.text(SECTION_PATH, "code").unwrap_or_default();
    let given = [FILLED_IN.map(|(name, _)| name).as_slice(), &RESERVED, &CONTEXT_MEMBERS].concat();
    out.extend(code_check::problems(&code_check::Source {
        manifest,
        section: SECTION_PATH,
        own: code,
        sent: Some(code),
        handler: "handler",
        caller: "Twilio".into(),
        reads: "variables",
        from: "context",
        given: &given,
        packages: &ALWAYS.map(|(name, _)| name),
    }));
    if manifest.section(verify_service::NAME).is_none() {
        out.push(
            Problem::error(
                codes::MISSING_KEY,
                SECTION_PATH,
                "nothing says to which Verify service the Function reports",
                "it is told the SID of verify_service, and the manifest has no such section",
                "add verify_service: to the file (sid: VA… picks one that is there)",
            )
            .at_key(),
        );
    }
    if manifest.get(streams::SECTION_PATH, "authorization").is_none() {
        out.push(Problem::error(
            codes::MISSING_KEY,
            SECTION_PATH,
            "nothing tells the Function who may send events to it",
            "the Function is open to the internet and checks feedback.log_stream.authorization",
            "add feedback.log_stream with authorization: ${generated.feedback}",
        ));
    }
    let handler = manifest.text(SECTION_PATH, "dependencies.@twilio/runtime-handler");
    if handler.is_some_and(|version| !is_exact(version)) {
        out.push(Problem::error(
            codes::MOVING_TARGET,
            at("dependencies.@twilio/runtime-handler"),
            "the version is not exact",
            "Twilio refuses a range for its runtime handler",
            "write an exact version such as 2.1.2",
        ));
    }
    for (key, value) in attrs {
        if let Some(name) = key.strip_prefix("variables.") {
            check_variable_name(name, at(key), out);
        }
        if let Some(name) = key.strip_prefix("dependencies.") {
            npm::check(&at(key), name, value.as_str(), out);
        }
        let package = key.strip_prefix("dependencies.").filter(|name| *name != "@twilio/runtime-handler");
        if let Some(version) = package.and(value.as_str()).filter(|version| !is_exact(version)) {
            let reason = format!("{version:?} can change between two builds");
            let help = "write an exact version such as 6.2.0";
            let problem =
                Problem::error(codes::MOVING_TARGET, at(key), "the version is not pinned", reason, help);
            out.push(problem.warning());
        }
        let holds = key.starts_with("variables.") || key == "api_key" || key == "api_secret";
        if holds {
            check_length(value, at(key), out);
        }
        if matches!(value, Value::Generated(_)) && (key == "api_key" || key == "api_secret") {
            out.push(Problem::error(
                codes::NOT_SUPPORTED,
                at(key),
                "a Twilio key cannot be generated",
                "Twilio makes its keys itself",
                "use ${env.NAME}",
            ));
        }
    }
    if let Some(value) = manifest.get(streams::SECTION_PATH, "authorization") {
        check_length(value, format!("{}.authorization", streams::SECTION_PATH), out);
    }
}

/// The manifest declares no Function: reports every value that refers to an output of one.
fn check_references(manifest: &Manifest, out: &mut Vec<Problem>) {
    for (section, attrs) in &manifest.sections {
        for (key, value) in attrs {
            let Value::Output(template) = value else { continue };
            let ours = |part: &Part| matches!(part, Part::Output(output) if output.resource == NAME);
            if template.parts.iter().any(ours) {
                out.push(Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{section}.{key}"),
                    "this refers to the URL of a Function that is not declared",
                    "the manifest has no feedback.function",
                    "add feedback.function, or write a URL",
                ));
            }
        }
    }
}

fn check_variable_name(name: &str, place: String, out: &mut Vec<Problem>) {
    let problem = if FILLED_IN.iter().any(|(own, _)| *own == name) {
        let help = match name {
            "TWILIO_API_KEY" => "use feedback.function.api_key",
            "TWILIO_API_SECRET" => "use feedback.function.api_secret",
            CURRENT | PREVIOUS => "use feedback.log_stream.authorization",
            _ => "remove this line",
        };
        let reason = format!("{name} is set by this stack");
        Problem::error(codes::CONFLICT, place, "the stack fills this variable in itself", reason, help)
    } else if RESERVED.contains(&name) {
        Problem::error(
            codes::CONFLICT,
            place,
            "Twilio fills this variable in itself",
            format!("{name} is set by Twilio"),
            "choose another name",
        )
    } else if name.len() > KEY_MAX
        || name.starts_with(|ch: char| ch.is_ascii_digit())
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        Problem::error(
            codes::BAD_TEXT,
            place,
            "this cannot be the name of a variable",
            format!("at most {KEY_MAX} letters, digits and underscores, not a digit first"),
            "choose another name",
        )
    } else {
        return;
    };
    out.push(problem.at_key());
}

/// Reports a value that is too long for a variable. The value itself is a secret, so only its length is named.
fn check_length(value: &Value, place: String, out: &mut Vec<Problem>) {
    let bytes = match value {
        Value::Secret(secret) => secret.expose().len(),
        Value::Known(json) => json.as_str().map_or(0, str::len),
        _ => return,
    };
    if bytes > VALUE_BYTES_MAX {
        out.push(Problem::error(
            codes::OUT_OF_RANGE,
            place,
            "the value is too long for a variable of a Function",
            format!("has {bytes} bytes, at most {VALUE_BYTES_MAX} are allowed"),
            "use a shorter value",
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kinds::said::function::unique_name;

    fn manifest(stack: &str, domain: &str) -> Manifest {
        let auth0 = Attrs::from([("domain".to_owned(), Value::text(domain))]);
        Manifest { stack: stack.into(), sections: BTreeMap::from([("auth0".to_owned(), auth0)]) }
    }

    #[test]
    fn the_default_name_is_one_stack_on_one_tenant() {
        let one = unique_name(&manifest("acme-login", "acme-dev.eu.auth0.com"));
        assert!(one.starts_with("lockstep-feedback-acme-login-"), "{one}");
        assert_eq!(one, unique_name(&manifest("acme-login", "ACME-dev.eu.auth0.com")));
        assert_ne!(one, unique_name(&manifest("acme-login", "acme-prod.eu.auth0.com")));
        let long = unique_name(&manifest(&"stack_name-".repeat(9), "a.example"));
        assert!(long.len() <= 50 && check_unique_name(&long).is_ok(), "{long}");
        assert_ne!(long, unique_name(&manifest(&"stack_name-".repeat(10), "a.example")));
    }
}

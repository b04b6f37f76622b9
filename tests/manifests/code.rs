//! Tests that the manifest's checks refuse code that cannot work, and report code that may not work.

use std::collections::BTreeMap;

use lockstep::diag::Severity;
use lockstep::kinds;
use lockstep::manifest::{self, FileError, Missing, Sources};
use serde_json::{Value as Json, json};

use crate::support::tables;

/// An environment and a folder with nothing but the values of a row.
struct Given<'a> {
    env: BTreeMap<&'a str, &'a str>,
    file: &'a str,
}

impl Sources for Given<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).map(|value| (*value).to_owned())
    }
    fn file(&self, relative_path: &str) -> Result<String, FileError> {
        if relative_path == "./code.js" { Ok(self.file.to_owned()) } else { Err(FileError::Missing) }
    }
}

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const OTHER_ACCOUNT: &str = "AC0123456789abcdef0123456789abcdee";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";
const SERVICE: &str = "VA0123456789abcdef0123456789abcdef";
const MESSAGING: &str = "MG0123456789abcdef0123456789abcdef";

fn base() -> Json {
    json!({
        "lockstep": "v1",
        "stack": "acme",
        "auth0": { "domain": "acme-dev.eu.auth0.com", "client_id": "abc", "client_secret": "${env.CLIENT_SECRET}" },
        "twilio": { "account_sid": ACCOUNT, "api_key": KEY, "api_secret": "${env.API_SECRET}" },
        "verify_service": { "friendly_name": "Acme" },
        "phone": {},
        "action": {
            "code": "builtin:twilio-verify",
            "dependencies": { "twilio": "6.2.0" },
            "secrets": {
                "TWILIO_ACCOUNT_SID": "${twilio.account_sid}",
                "TWILIO_API_KEY": "${env.SENDER_KEY}",
                "TWILIO_API_SECRET": "${env.SENDER_SECRET}",
                "TWILIO_VERIFY_SID": "${verify_service.sid}",
            },
        },
    })
}

/// Lays one mapping over another; null removes a key.
pub fn lay(over: &Json, under: &mut Json) {
    match (over, under) {
        (Json::Object(over), Json::Object(under)) => {
            for (key, value) in over {
                if value.is_null() {
                    under.shift_remove(key);
                } else {
                    lay(value, under.entry(key.clone()).or_insert(Json::Null));
                }
            }
        }
        (over, under) => *under = over.clone(),
    }
}

/// The problems of a manifest as `severity place: title`, in the order of the checks.
fn told(changes: &Json, file: &str, env: &[(&str, &str)]) -> Vec<String> {
    let mut text = base();
    lay(changes, &mut text);
    let (parsed, _) = manifest::parse("lockstep.yaml", &text.to_string(), &tables())
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)));
    let mut given: BTreeMap<&str, &str> = BTreeMap::from([
        ("CLIENT_SECRET", "client-secret-0123456789"),
        ("API_SECRET", "api-secret-0123456789"),
        ("SENDER_KEY", KEY),
        ("SENDER_SECRET", "sender-secret-0123456789"),
    ]);
    given.extend(env.iter().copied());
    given.retain(|_, value| !value.is_empty());
    let manifest = manifest::resolve(&parsed, &Given { env: given, file }, Missing::Unknown)
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)));
    let mut problems = Vec::new();
    kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut problems));
    let word = |severity| if severity == Severity::Error { "error" } else { "warning" };
    let shown = |problem: &lockstep::diag::Problem| format!("{problem:?}");
    for (_, secret) in env.iter().filter(|(_, value)| value.len() > 8) {
        assert!(
            problems.iter().all(|problem| !shown(problem).contains(secret)),
            "{secret} is shown: {problems:?}"
        );
    }
    problems
        .iter()
        .map(|problem| format!("{} {}: {}", word(problem.severity), problem.path, problem.title))
        .collect()
}

#[test]
fn secrets_that_the_built_in_code_cannot_work_with_are_errors() {
    let secrets = |changes: Json| json!({ "action": { "secrets": changes } });
    let missing = "error action.secrets: a secret of the built-in code is missing";
    let kind = |name: &str| format!("error action.secrets.{name}: the secret holds the wrong kind of value");
    /// Changes of the manifest, further variables of the environment, and the expected problems.
    type Row = (Json, Vec<(&'static str, &'static str)>, Vec<String>);
    let rows: Vec<Row> = vec![
        (json!({}), vec![], vec![]),
        (secrets(json!({ "TWILIO_ACCOUNT_SID": null })), vec![], vec![missing.into()]),
        (secrets(json!({ "TWILIO_VERIFY_SID": null })), vec![], vec![missing.into()]),
        (secrets(json!({ "TWILIO_API_SECRET": null })), vec![], vec![missing.into()]),
        (json!({ "action": { "secrets": null } }), vec![], vec![missing.into(); 4]),
        (
            secrets(json!({ "TWILIO_API_KEY": null, "TWILIO_API_SECRET": null, "TWILIO_AUTH_TOKEN": "${env.SENDER_SECRET}" })),
            vec![],
            vec![],
        ),
        (
            secrets(json!({ "TWILIO_VERIFY_SID": null, "TWILIO_VERFIY_SID": "${verify_service.sid}" })),
            vec![],
            vec!["error action.secrets.TWILIO_VERFIY_SID: the built-in code does not read this secret".into()],
        ),
        (json!({}), vec![("SENDER_KEY", ACCOUNT)], vec![kind("TWILIO_API_KEY")]),
        (
            json!({}),
            vec![("SENDER_KEY", "sender-secret-0123456789"), ("SENDER_SECRET", KEY)],
            vec![kind("TWILIO_API_KEY"), kind("TWILIO_API_SECRET")],
        ),
        (secrets(json!({ "TWILIO_ACCOUNT_SID": "${env.ODD}" })), vec![("ODD", KEY)], vec![kind("TWILIO_ACCOUNT_SID")]),
        (secrets(json!({ "TWILIO_VERIFY_SID": "${env.ODD}" })), vec![("ODD", MESSAGING)], vec![kind("TWILIO_VERIFY_SID")]),
        (secrets(json!({ "TWILIO_VERIFY_SID": "${env.ODD}" })), vec![("ODD", "acme")], vec![kind("TWILIO_VERIFY_SID")]),
        (
            secrets(json!({ "TWILIO_VERIFY_SID": SERVICE })),
            vec![],
            vec!["warning action.secrets.TWILIO_VERIFY_SID: the code sends through another Verify service than the manifest's".into()],
        ),
        (
            json!({ "verify_service": { "sid": SERVICE }, "action": { "secrets": { "TWILIO_VERIFY_SID": SERVICE } } }),
            vec![],
            vec![],
        ),
        (
            secrets(json!({ "TWILIO_ACCOUNT_SID": OTHER_ACCOUNT })),
            vec![],
            vec!["warning action.secrets.TWILIO_ACCOUNT_SID: the code sends through another account than the manifest's".into()],
        ),
        // A value that is not known here is not judged.
        (json!({}), vec![("SENDER_KEY", ""), ("SENDER_SECRET", "")], vec![]),
        (
            json!({ "action": { "dependencies": null } }),
            vec![],
            vec!["error action.dependencies: the built-in code needs the package twilio".into()],
        ),
        (json!({ "phone": { "delivery": "legacy" }, "action": { "secrets": { "TWILIO_API_KEY": null } } }), vec![], vec![missing.into()]),
    ];
    for (changes, env, expected) in rows {
        assert_eq!(told(&changes, "", &env), expected, "{changes} {env:?}");
    }
}

#[test]
fn code_of_ones_own_is_judged_by_what_it_exports_reads_and_loads() {
    let good = "const twilio = require('twilio');\nexports.onExecuteCustomPhoneProvider = async (event, api) => {};\n";
    let handler = "error action.code: the handler is missing";
    let rows: Vec<(String, Vec<&str>)> = vec![
        (good.into(), vec![]),
        (
            "export const onExecuteCustomPhoneProvider = async () => {};".into(),
            vec!["error action.code: the code is an ES module"],
        ),
        (
            "import twilio from 'twilio';\nexports.onExecuteCustomPhoneProvider = 1;".into(),
            vec!["error action.code: the code is an ES module"],
        ),
        (good.replace("Provider =", "Provider2 ="), vec![handler]),
        (good.replace("exports.", "const handler = {}; handler."), vec![handler]),
        ("async function onExecuteCustomPhoneProvider() {}".into(), vec![handler]),
        ("exports.onExecuteSendPhoneMessage = async () => {};".into(), vec![handler]),
        (
            format!("{good}require('axios');"),
            vec!["warning action.code: the code loads a package that is not installed"],
        ),
        (
            format!("{good}require('./helper');"),
            vec!["warning action.code: the code loads a file that is not sent"],
        ),
        (format!("{good}require('node:crypto'); require('https');"), vec![]),
        (format!("{good}event.secrets.TWILIO_API_KEY;"), vec![]),
        (
            format!("{good}event.secrets.TWILIO_APIKEY;"),
            vec!["warning action.code: the code reads a value that the manifest does not name"],
        ),
    ];
    for (code, expected) in rows {
        let changes = json!({ "action": { "code": "./code.js" } });
        assert_eq!(told(&changes, &code, &[]), expected, "{code}");
    }
    // Code of the user's own does not need the secrets that only the built-in code reads.
    assert_eq!(
        told(&json!({ "action": { "code": "./code.js", "secrets": null } }), good, &[]),
        Vec::<String>::new()
    );
}

/// Code beyond the bounds of our parser is not called a syntax error, because `node --check` would find none.
#[test]
fn code_beyond_the_bounds_of_the_parser_is_told_from_code_that_does_not_parse() {
    let changes = json!({ "action": { "code": "./code.js" } });
    let nested = format!("{}1{}", "(a=".repeat(8_000), ")".repeat(8_000));
    assert_eq!(told(&changes, &nested, &[]), ["error action.code: the code is too much to be checked"]);
    assert_eq!(told(&changes, "if (", &[]), ["error action.code: the code does not parse"]);
}

#[test]
fn the_function_and_the_post_login_action_are_judged_alike() {
    let function = json!({
        "feedback": {
            "function": { "code": "./code.js", "api_key": "${env.SENDER_KEY}", "api_secret": "${env.SENDER_SECRET}", "variables": { "LEVEL": "${env.LEVEL}" } },
            "log_stream": { "authorization": "${generated.feedback}" },
        },
    });
    let rows: Vec<(&str, Vec<&str>)> = vec![
        (
            "exports.handler = (context, event, callback) => { context.LEVEL; context.TWILIO_VERIFY_SID; context.getTwilioClient(); context.DOMAIN_NAME; require('twilio'); };",
            vec![],
        ),
        (
            "exports.handler = (context) => { context.LEVLE; };",
            vec!["warning feedback.function.code: the code reads a value that the manifest does not name"],
        ),
        ("exports.handlers = () => {};", vec!["error feedback.function.code: the handler is missing"]),
        ("export const handler = () => {};", vec!["error feedback.function.code: the code is an ES module"]),
        (
            "exports.handler = require('got');",
            vec!["warning feedback.function.code: the code loads a package that is not installed"],
        ),
    ];
    for (code, expected) in rows {
        assert_eq!(told(&function, code, &[("LEVEL", "info")]), expected, "{code}");
    }
    let rules = json!({ "mfa": { "post_login": { "code": "./code.js", "rules": { "all": { "roles": ["${env.ROLE}"] } } } } });
    let marked = "// lockstep:rules begin\nconst RULES = [];\n// lockstep:rules end\n";
    for (handler, expected) in [("onExecutePostLogin", false), ("onExecutePostLogins", true)] {
        let code = format!("{marked}exports.{handler} = async (event, api) => {{}};\n");
        // The variable has a value, and then an empty one.
        for role in ["Admin", ""] {
            let said = told(&rules, &code, &[("ROLE", role)]);
            let missing = said.iter().any(|line| line == "error mfa.post_login.code: the handler is missing");
            assert_eq!(missing, expected, "{role:?} {said:?}");
        }
    }
}

/// Auth0 accepts names of up to 128 characters, values of up to 4096, and 30 secrets.
#[test]
fn a_secret_beyond_what_auth0_takes_is_an_error_at_its_place() {
    let row = |name: &str, value: &str, env: &str| {
        let changes = json!({ "action": { "code": "./code.js", "secrets": { (name): value } } });
        let code = "exports.onExecuteCustomPhoneProvider = async (event) => event.secrets;\n";
        told(&changes, code, &[("LONG", env)])
    };
    let long = |length: usize| "x".repeat(length);
    let too_long = vec!["error action.secrets.EXTRA: the secret is too long".to_owned()];
    assert_eq!(row("EXTRA", "${env.LONG}", &long(4096)), [""; 0]);
    assert_eq!(row("EXTRA", "${env.LONG}", &"ä".repeat(4096)), [""; 0], "characters, not bytes");
    assert_eq!(row("EXTRA", "${env.LONG}", &long(4097)), too_long);
    let with_output = format!("{}${{verify_service.sid}}", long(4097));
    assert_eq!(row("EXTRA", &with_output, "any"), too_long, "with an output in it");
    assert_eq!(row("EXTRA", "${env.LONG}", ""), [""; 0], "not known here");
    let name = "N".repeat(128);
    assert_eq!(row(&name, "${env.LONG}", "any"), [""; 0]);
    let name = "N".repeat(129);
    assert_eq!(
        row(&name, "${env.LONG}", "any"),
        [format!("error action.secrets.{name}: the name of the secret is too long")]
    );
}

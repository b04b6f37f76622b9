//! Tests of the values of references, and of the flow of secrets.

use super::*;
use crate::model::secret::{Origin, Secret};

/// The value of one key, in a manifest with the given further lines.
fn value(rest: &str, section: &str, key: &str) -> Option<Value> {
    resolved(&with(rest), &given_sources()).get(section, key).cloned()
}

fn secret(text: &str, origin: Origin) -> Option<(String, Origin)> {
    Some((text.to_owned(), origin))
}

#[test]
fn references_become_values() {
    let name = |text: &str| {
        value(&format!("verify_service:\n  friendly_name: {text}\n"), "verify_service", "friendly_name")
    };
    assert_eq!(name("https://x.example/${env.P}/y"), Some(Value::text("https://x.example/path/y")));
    assert_eq!(name("$${env.P}"), Some(Value::text("${env.P}")));
    assert_eq!(name("'${stack} ${verify_service.code_length}'"), Some(Value::text("acme-login 6")));
    assert_eq!(
        value("verify_service:\n  code_length: ${var.six}\n", "verify_service", "code_length"),
        Some(Value::Known(6.into()))
    );
    let set = value("phone:\n  channels: [voice, \"${var.sms}\"]\n", "phone", "channels");
    assert_eq!(set, Some(Value::Known(serde_json::json!(["sms", "voice"]))));
}

#[test]
fn the_origin_of_a_secret_is_that_of_its_weakest_part() {
    let hex = "0123456789abcdef0123456789abcdef";
    let rows = [
        ("${env.P}", secret("path", Origin::Person)),
        ("${twilio.api_secret}", secret("s3cr3t-of-twilio", Origin::Machine)),
        ("Bearer ${twilio.api_secret}", secret("Bearer s3cr3t-of-twilio", Origin::Machine)),
        ("${env.P} ${twilio.api_secret}", secret("path s3cr3t-of-twilio", Origin::Person)),
        ("${cmd.vault}", secret("s3cr3t-of-vault", Origin::Person)),
        ("${auth0.domain}", secret("acme.eu.auth0.com", Origin::Public)),
        ("x ${auth0.domain}", secret("x acme.eu.auth0.com", Origin::Person)),
        (&format!("VA{hex}"), secret(&format!("VA{hex}"), Origin::Public)),
    ];
    for (text, expected) in rows {
        let rest = format!("action:\n  code: builtin:twilio-verify\n  secrets:\n    A: {text}\n");
        let got = match value(&rest, "action", "secrets.A") {
            Some(Value::Secret(secret)) => Some((secret.expose().to_owned(), secret.origin())),
            _ => None,
        };
        assert_eq!(got, expected, "{text}");
    }
}

/// The form of a value alone does not make it machine-made: built-in code has to use it in a field where no other value
/// works.
#[test]
fn what_only_twilio_draws_is_machine_made_where_built_in_code_takes_it() {
    let mut sources = given_sources();
    sources.env.insert("DRAWN", "0123456789abcdefGHIJKLMNopqrstuv".into());
    let rows = [
        ("twilio-verify", "TWILIO_API_SECRET", "${env.DRAWN}", Origin::Machine),
        ("twilio-verify", "TWILIO_API_KEY", "${env.TWILIO_API_KEY}", Origin::Machine),
        ("twilio-verify", "TWILIO_ACCOUNT_SID", "${twilio.account_sid}", Origin::Public),
        ("twilio-verify", "TWILIO_API_SECRET", "${env.P}", Origin::Person),
        ("twilio-verify", "TWILIO_AUTH_TOKEN", "${env.DRAWN}", Origin::Person),
        ("twilio-verify", "HOOK_PASSWORD", "${env.DRAWN}", Origin::Person),
        ("./feedback.js", "TWILIO_API_SECRET", "${env.DRAWN}", Origin::Person),
    ];
    for (code, name, text, expected) in rows {
        let code = if code.starts_with('.') { code.to_owned() } else { format!("builtin:{code}") };
        let rest = format!("action:\n  code: {code}\n  secrets:\n    {name}: {text}\n");
        let manifest = resolved(&with(&rest), &sources);
        let origin = manifest.secret("action", &format!("secrets.{name}")).map(Secret::origin);
        assert_eq!(origin, Some(expected), "{code} {name} {text}");
    }
}

#[test]
fn files_commands_and_secret_fields_stay_secret_where_they_flow() {
    for (text, key) in [
        ("${file.secrets/feedback}", "endpoint"),
        ("${cmd.vault}", "endpoint"),
        ("x ${env.P}", "authorization"),
    ] {
        let got =
            value(&format!("feedback:\n  log_stream:\n    {key}: {text}\n"), "feedback.log_stream", key);
        assert!(matches!(got, Some(Value::Secret(_))), "{text}: {got:?}");
    }
    let generated = "feedback:\n  function:\n    code: ./feedback.js\n    api_secret: ${feedback.log_stream.authorization}\n  log_stream:\n    authorization: ${generated.f}\n";
    assert_eq!(value(generated, "feedback.function", "api_secret"), Some(Value::Generated("f".into())));
}

#[test]
fn absent_empty_and_present_differ() {
    let manifest = resolved(
        &with("verify_service: {}\nphone:\naction:\n  code: ./feedback.js\n  secrets:\n"),
        &given_sources(),
    );
    assert_eq!(manifest.get("verify_service", "code_length"), Some(&Value::Known(6.into())));
    assert_eq!(manifest.text("phone", "delivery"), Some("unified"));
    assert_eq!(manifest.section("action").map(|attrs| attrs.len()), Some(1));
    assert_eq!(manifest.section("mfa"), None);
}

#[test]
fn places_of_references_and_problems() {
    let Ok((parsed, _)) = parse("m.yaml", SAMPLE, &tables()) else { panic!("refused") };
    let found = references(&parsed);
    assert_eq!(found.len(), 13);
    assert!(
        found
            .iter()
            .all(|one| parsed.source.text[one.span.start..one.span.end] == format!("${{{}}}", one.text))
    );
    let problem = Problem::error(codes::CONFLICT, "action.secrets.TWILIO_VERIFY_SID", "t", "r", "h");
    assert_eq!(parsed.locate(problem.clone()).span.map(|span| (span.line, span.column)), Some((21, 24)));
    assert_eq!(parsed.locate(problem.at_key()).span.map(|span| (span.line, span.column)), Some((21, 5)));
}

/// One line of a pull request could hand a credential to every reader of the dashboard.
#[test]
fn a_secret_does_not_flow_into_what_others_read() {
    let stream = |key: &str, text: &str| with(&format!("feedback:\n  log_stream:\n    {key}: {text}\n"));
    let refused = [
        stream("endpoint", "${auth0.client_secret}"),
        stream("endpoint", "https://x.example/${twilio.api_secret}"),
        // By the variable of the secret, instead of its field.
        stream("endpoint", "https://x.example/${env.TWILIO_API_SECRET}"),
        with("verify_service:\n  friendly_name: ${env.AUTH0_CLIENT_SECRET}\n"),
        // Whoever can read a stream can read what it sends.
        stream("authorization", "Bearer ${auth0.client_secret}"),
        stream("authorization", "${env.TWILIO_API_SECRET}"),
        stream("endpoint", "${feedback.log_stream.authorization}\n    authorization: ${env.P}"),
    ];
    for text in refused {
        let Err(rejected) = parse("m.yaml", &text, &tables()) else { panic!("accepted: {text}") };
        let drawn = rejected.render(false);
        assert!(drawn.contains("can be read by others"), "{text}\n{drawn}");
    }
    for text in [
        // An Action's secrets can be written but not read.
        with("action:\n  code: builtin:twilio-verify\n  secrets:\n    KEY: ${env.TWILIO_API_SECRET}\n"),
        with(
            "verify_service:\n  friendly_name: ${env.P}\naction:\n  code: builtin:twilio-verify\n  secrets:\n    P: ${env.P}\n",
        ),
    ] {
        assert!(parse("m.yaml", &text, &tables()).is_ok(), "{text}");
    }
}

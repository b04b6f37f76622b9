//! Tests of secrets that reach, in another spelling, a place where others can read them.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::{Engine as _, engine};

use super::*;
use crate::model::random::hex;
use crate::model::secret::percent_encode;

const CLIENT_SECRET: &str = "s3cr3t?of>auth0~4711";
const API_SECRET: &str = "0S3cr3tOfTwilio4711";
const SENDER: &str = "s3cr3t-of-sender";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBgkqhkiG9w0B\nAQEFAASCAUAwggE8AgEAAkEA\n-----END PRIVATE KEY-----\n";

/// Sources with one more value, `${env.X}`, and files that contain it.
fn sources(x: &str) -> Given {
    let mut given = given_sources();
    given.env.extend([
        ("X", x.to_owned()),
        ("AUTH0_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("TWILIO_API_SECRET", API_SECRET.to_owned()),
        ("SENDER", SENDER.to_owned()),
        ("PEM", PEM.to_owned()),
        ("BRAND", "Acme-Telecommunications".to_owned()),
    ]);
    given.env.extend([
        ("MAIL", "help@acme.example".to_owned()),
        ("SITE", "https://www.acme.example".to_owned()),
        ("F", "a-secret-of-the-function".to_owned()),
    ]);
    given.files.extend([("s.txt", format!("{x}\n")), ("./code.js", format!("exports.key = '{x}';\n"))]);
    given.cmds.insert("x", Ok(format!("{x}\n")));
    given
}

const STACK: &str = "\
action:
  code: builtin:twilio-verify
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_SECRET: ${env.SENDER}
    BRAND: ${env.BRAND}
    SITE: ${env.SITE}
    MAIL: ${env.MAIL}
";

fn stack(rest: &str, x: &str) -> String {
    drawn(&with(&format!("{STACK}{rest}")), &sources(x))
}

fn refused(rest: &str, x: &str) {
    let drawn = stack(rest, x);
    assert!(drawn.contains("can be read by others"), "accepted: {rest}{x}\n{drawn}");
    assert!(drawn.contains("lockstep.yaml:"), "{drawn}");
    for secret in [CLIENT_SECRET, API_SECRET, SENDER, x] {
        assert!(!drawn.contains(secret), "{secret} is shown:\n{drawn}");
    }
}

/// A plain field without a narrow limit.
const NAME: &str = "feedback:\n  function:\n    code: ./feedback.js\n    api_key: ${env.X}\n";
const ENDPOINT: &str = "feedback:\n  log_stream:\n    endpoint: https://x.example/${env.X}/y\n";
const AUTHORIZATION: &str = "feedback:\n  log_stream:\n    authorization: Bearer ${env.X}\n";

#[test]
fn a_credential_is_refused_whatever_brings_it_to_where_others_read() {
    for secret in [CLIENT_SECRET, API_SECRET, SENDER] {
        for rest in [
            NAME,
            ENDPOINT,
            AUTHORIZATION,
            "verify_service:\n  friendly_name: ${var.X}\n",
            "verify_service:\n  friendly_name: ${file.s.txt}\n",
            "verify_service:\n  friendly_name: ${cmd.x}\n",
            "verify_service:\n  friendly_name: ${env.X} ${action.id}\n",
            "feedback:\n  log_stream:\n    authorization: ${file.s.txt}\n",
            "feedback:\n  log_stream:\n    authorization: ${cmd.x}\n",
            "mfa:\n  factors: { phone: on }\nattest:\n  fraud_guard: { level: \"${env.X}\" }\n",
        ] {
            refused(rest, secret);
        }
    }
    // Also by its own variable, if the secret is an entry with a free name.
    let own = "feedback:\n  log_stream:\n    endpoint: https://x.example/${env.SENDER}\n";
    refused(own, "another-value");
    // Whoever may read Actions can read code.
    refused("feedback:\n  function:\n    code: ./code.js\n", CLIENT_SECRET);
    // The secret written out in the manifest.
    refused(&format!("verify_service:\n  friendly_name: {API_SECRET}\n"), API_SECRET);
    refused(&format!("verify_service:\n  friendly_name: {API_SECRET} ${{stack}}\n"), API_SECRET);
}

#[test]
fn a_credential_is_refused_in_every_encoding() {
    for secret in [CLIENT_SECRET, API_SECRET, SENDER] {
        let base64 = STANDARD.encode(secret);
        let digits = hex(secret.as_bytes());
        let spaced: Vec<&str> =
            (0..digits.len()).step_by(2).filter_map(|at| digits.get(at..at + 2)).collect();
        for x in [
            format!("  {secret} "),
            secret.to_uppercase(),
            format!("SK00:{secret}"),
            base64.clone(),
            base64.to_lowercase(),
            URL_SAFE_NO_PAD.encode(secret),
            STANDARD.encode(&base64),
            STANDARD.encode(format!("SK00:{secret}")),
            STANDARD.encode(format!("SK0:{}", hex(secret.as_bytes()))),
            format!("path/{base64}"),
            digits.clone(),
            digits.to_uppercase(),
            spaced.join(":"),
            percent_encode(secret),
            percent_encode(&percent_encode(secret)),
            secret.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            STANDARD.encode(percent_encode(secret)),
            secret.chars().map(|ch| format!("{ch} ")).collect(),
        ] {
            refused(NAME, &x);
            refused(ENDPOINT, &x);
        }
    }
}

#[test]
fn a_secret_that_is_kept_encoded_is_known_decoded() {
    for encode in [
        |text: &str| STANDARD.encode(text),
        |text: &str| hex(text.as_bytes()),
        |text: &str| engine::general_purpose::STANDARD_NO_PAD.encode(STANDARD.encode(text)),
    ] {
        let mut sources = sources("what-is-in-there-4711");
        sources.env.insert("AUTH0_CLIENT_SECRET", encode("what-is-in-there-4711"));
        let drawn = drawn(&with(NAME), &sources);
        assert!(drawn.contains("can be read by others"), "{drawn}");
    }
}

#[test]
fn the_two_vendors_do_not_get_each_others_credentials() {
    let with_key = |client_id: &str, auth0: &str, twilio: &str| {
        with(STACK)
            .replace("${env.AUTH0_CLIENT_ID}", client_id)
            .replace("client_secret: ${env.AUTH0_CLIENT_SECRET}", auth0)
            .replace("${env.TWILIO_API_SECRET}", twilio)
    };
    let key = "private_key: ${env.PEM}";
    let own = "${env.TWILIO_API_SECRET}";
    let body: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let rows = [
        // The client id is sent to the host that auth0.domain names.
        (with_key("${env.X}", key, own), API_SECRET, true),
        (with_key("${twilio.api_secret}", key, own), API_SECRET, true),
        (with_key("${env.SENDER}", key, own), SENDER, true),
        (with_key("${env.X}", key, own), &body, true),
        (with_key("client", "client_secret: ${env.X}", own), API_SECRET, true),
        (with_key("client", "client_secret: ${env.X}", own), SENDER, true),
        (with_key("client", "client_secret: ${env.X}", "${env.X}"), "one-for-both-4711", true),
        (with_key("client", key, "${env.SENDER}"), SENDER, false),
        (with_key("client", key, own), "x", false),
    ];
    for (text, x, is_refused) in rows {
        let drawn = drawn(&text, &sources(x));
        assert_eq!(drawn.contains("can be read by others"), is_refused, "{text}\n{drawn}");
        assert!(!is_refused || !drawn.contains(x), "{drawn}");
    }
}

/// Names, addresses and identifiers may be entries of secrets, too, and stand elsewhere for good reason.
#[test]
fn what_is_no_secret_may_stand_in_both_places() {
    let hex = "0123456789abcdef0123456789abcdef";
    let sid = format!("VA{hex}");
    for (rest, x) in [
        ("verify_service:\n  friendly_name: Acme-Telecommunications\n".to_owned(), "x"),
        ("verify_service:\n  friendly_name: help@acme.example\n".to_owned(), "x"),
        ("feedback:\n  log_stream:\n    endpoint: ${env.SITE}/logs\n".to_owned(), "x"),
        ("verify_service:\n  friendly_name: ${env.MAIL}\n".to_owned(), "x"),
        ("verify_service:\n  friendly_name: ${stack}\n".to_owned(), "x"),
        (NAME.to_owned(), sid.as_str()),
        (NAME.to_owned(), "s3cr3t"),
        (AUTHORIZATION.to_owned(), "a-token-of-its-own"),
        // The Function compares its secret with what the stream sends, so both have the same value.
        (
            format!("{AUTHORIZATION}  function:\n    code: ./feedback.js\n    api_secret: ${{env.F}}\n"),
            "a-token",
        ),
    ] {
        let text = with(&format!("{STACK}{rest}"));
        let (parsed, _) = parse("lockstep.yaml", &text, &tables()).expect("a good manifest");
        if let Err(rejected) = resolve(&parsed, &sources(x), Missing::Error) {
            panic!("{rest}{}", rejected.render(false));
        }
    }
    // The account and the Function may use one key: the SID of the key is no secret.
    let text =
        with("feedback:\n  function:\n    code: ./feedback.js\n    api_secret: ${env.TWILIO_API_KEY}\n");
    resolved(&text, &sources("x"));
    // Code may receive secrets.
    resolved(&with(&in_code("${twilio.api_secret}")), &sources("x"));
    let text = with("action:\n  code: builtin:twilio-verify\n  secrets: { AUTH0_CLIENT_ID: \"${env.X}\" }\n")
        .replace("${env.AUTH0_CLIENT_ID}", "${env.X}");
    resolved(&text, &sources("a8f00c3e9b7d4f6a8f00c3e9b7d4f6a1"));
}

fn in_code(secret: &str) -> String {
    format!("action:\n  code: builtin:twilio-verify\n  secrets: {{ A: \"{secret}\" }}\n")
}

/// Whoever may edit an Action can read its secrets, and must not be able to manage the tenant with them.
#[test]
fn code_does_not_get_the_credential_of_the_tenant() {
    let function = "feedback:\n  function:\n    code: ./feedback.js\n    api_secret: ${file.s.txt}\n";
    let again = STANDARD.encode(CLIENT_SECRET);
    for (rest, x) in [
        (in_code("${auth0.client_secret}"), CLIENT_SECRET),
        (in_code("${env.AUTH0_CLIENT_SECRET}"), CLIENT_SECRET),
        (in_code("${env.X}"), CLIENT_SECRET),
        (in_code("k=${file.s.txt}"), CLIENT_SECRET),
        (in_code("${env.X}"), again.as_str()),
        (function.to_owned(), CLIENT_SECRET),
    ] {
        let drawn = drawn(&with(&rest), &sources(x));
        assert!(drawn.contains("what code gets can be read by others"), "accepted: {rest}\n{drawn}");
        assert!(!drawn.contains(x), "{drawn}");
    }
}

/// A refusal names the place, the class of the credential, the field that it belongs to, and the reference that brought
/// it; never the value.
#[test]
fn a_refusal_says_what_came_from_where() {
    let text = with("feedback:\n  log_stream:\n    authorization: ${file.s.txt}\n");
    let line = lines(&text, &sources(CLIENT_SECRET)).concat();
    for part in [
        "m.yaml:13:20: error[LS0201]",
        "the value of feedback.log_stream.authorization cannot be used",
        "it holds by ${file.s.txt} the value of auth0.client_secret",
        "a credential that connects to Auth0, which came by ${env.AUTH0_CLIENT_SECRET}",
        "what stands here can be read by others",
    ] {
        assert!(line.contains(part), "{part}\n{line}");
    }
}

/// All keys in PEM begin alike, yet each is recognised in any spelling.
#[test]
fn a_private_key_is_known_and_another_one_is_not_taken_for_it() {
    let pem = |body: &str| format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let head = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ";
    let body = |digit: &str| format!("{head}{}", digit.repeat(400));
    let key = pem(&body("aB3"));
    let text = with(&in_code("${env.X}"))
        .replace("client_secret: ${env.AUTH0_CLIENT_SECRET}", "private_key: ${env.PEM}");
    for (x, is_refused) in [
        (key.clone(), true),
        (body("aB3"), true),
        (key.replace('\n', "\\n"), true),
        (STANDARD.encode(&key), true),
        (pem(&body("cD4")), false),
    ] {
        let mut sources = sources(&x);
        sources.env.insert("PEM", key.clone());
        assert_eq!(drawn(&text, &sources).contains("can be read by others"), is_refused, "{x}");
    }
}

/// The list of processes shows a value from `--var` to everybody on the machine.
#[test]
fn a_secret_does_not_come_from_the_command_line() {
    let token = "0123-a-token-of-somebody";
    for rest in [
        "feedback:\n  log_stream:\n    authorization: Bearer ${var.X}\n".to_owned(),
        "verify_service:\n  friendly_name: ${var.X}\nfeedback:\n  log_stream:\n    authorization: ${verify_service.friendly_name}\n".to_owned(),
        in_code("${var.X}"),
    ] {
        let drawn = drawn(&with(&rest), &sources(token));
        assert!(drawn.contains("cannot come from --var"), "accepted: {rest}\n{drawn}");
        assert!(drawn.contains("${env.NAME} or ${file.PATH}"), "{drawn}");
        assert!(!drawn.contains(token), "{drawn}");
    }
    // Offline, the value is unknown, but the field alone is reason to refuse.
    let text = with("feedback:\n  log_stream:\n    authorization: ${var.GONE}\n");
    let (parsed, _) = parse("m.yaml", &text, &tables()).expect("a good text");
    let Err(rejected) = resolve(&parsed, &sources("x"), Missing::Unknown) else { panic!("accepted") };
    assert!(rejected.render(false).contains("cannot come from --var"));
    // An entry of secrets may contain a value that is no secret.
    for x in ["VA0123456789abcdef0123456789abcdef", "eu-west-1", "https://acme.example/x"] {
        resolved(&with(&in_code("${var.X}")), &sources(x));
    }
}

/// A manifest of a megabyte with as many secrets and texts as possible does not stop the runner.
#[test]
fn many_secrets_in_many_texts_take_no_longer_than_the_text_is_long() {
    let mut text = String::from("action:\n  code: ./long.js\n  secrets:\n");
    (0..10).for_each(|at| text.push_str(&format!("    S{at}: \"${{file.long.txt}}{at}\"\n")));
    text.push_str("  dependencies:\n");
    (0..10).for_each(|at| text.push_str(&format!("    d{at}: \"${{file.long.txt}}{at}\"\n")));
    let mut sources = sources("x");
    sources.files.insert("long.txt", "aB3/".repeat(5_000));
    sources.files.insert("./long.js", "aB3/".repeat(25_000));
    let started = std::time::Instant::now();
    assert!(drawn(&with(&text), &sources).contains("can be read by others"));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

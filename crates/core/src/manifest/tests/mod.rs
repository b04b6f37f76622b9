//! Tests of the manifest as a whole: a sample, messages for wrong texts, values of references, and laws.

mod guard;
mod laws;
mod messages;
mod values;

use std::collections::BTreeMap;

use super::*;
use crate::model::field::FIELD;
use crate::model::manifest::Manifest;
use crate::model::value::Value;

const TEXT: Type = Type::Text { min: 1, max: 100, check: None };

static KINDS: &[Section] = &[
    Section {
        path: "verify_service",
        doc: "the Verify service",
        required: false,
        fields: &[
            Field { key: "friendly_name", ty: Type::Text { min: 1, max: 30, check: None }, ..FIELD },
            Field { key: "code_length", ty: Type::Int { min: 4, max: 10 }, default: Some("6"), ..FIELD },
        ],
    },
    Section {
        path: "phone",
        doc: "delivery of phone messages",
        required: false,
        fields: &[
            Field {
                key: "delivery",
                ty: Type::OneOf(&["unified", "legacy"]),
                default: Some("unified"),
                ..FIELD
            },
            Field { key: "channels", ty: Type::Set(&["sms", "voice"]), ..FIELD },
        ],
    },
    Section {
        path: "action",
        doc: "the Action that sends",
        required: false,
        fields: &[
            Field { key: "code", ty: Type::Code, required: true, ..FIELD },
            Field { key: "runtime", ty: Type::OpenOneOf(&["node22", "node18"]), ..FIELD },
            Field { key: "dependencies", ty: Type::Map { max: 10 }, ..FIELD },
            Field { key: "secrets", ty: Type::Map { max: 10 }, secret: true, ..FIELD },
        ],
    },
    Section {
        path: "feedback.function",
        doc: "the Function that closes the loop",
        required: false,
        fields: &[
            Field { key: "code", ty: Type::Code, required: true, ..FIELD },
            Field { key: "api_key", ty: TEXT, ..FIELD },
            Field { key: "api_secret", ty: TEXT, secret: true, ..FIELD },
        ],
    },
    Section {
        path: "feedback.log_stream",
        doc: "the log stream",
        required: false,
        fields: &[
            Field { key: "status", ty: Type::OneOf(&["active", "paused"]), ..FIELD },
            Field { key: "endpoint", ty: TEXT, ..FIELD },
            Field { key: "authorization", ty: TEXT, secret: true, ..FIELD },
        ],
    },
    Section {
        path: "mfa",
        doc: "multi-factor authentication",
        required: false,
        fields: &[
            Field {
                key: "factors",
                ty: Type::Object(&[
                    Field { key: "phone", ..FIELD },
                    Field { key: "otp", ..FIELD },
                    Field { key: "email", default: Some("off"), ..FIELD },
                ]),
                ..FIELD
            },
            Field { key: "policy", ty: Type::OneOf(&["never", "always"]), ..FIELD },
        ],
    },
    Section {
        path: "attest",
        doc: "what was confirmed by hand",
        required: false,
        fields: &[Field {
            key: "fraud_guard",
            ty: Type::Object(&[
                Field { key: "level", ty: TEXT, required: true, ..FIELD },
                Field { key: "by", ty: TEXT, ..FIELD },
                Field { key: "on", ty: TEXT, ..FIELD },
                Field { key: "until", ty: TEXT, ..FIELD },
            ]),
            ..FIELD
        }],
    },
];

fn tables() -> Tables {
    Tables::new(KINDS, [("verify_service", &["sid"][..]), ("action", &["id"]), ("log_stream", &["id"])])
}

const SAMPLE: &str = "\
lockstep: v1
stack: acme-login
auth0:
  domain: ${env.AUTH0_DOMAIN}                      # canonical domain
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET}        # or private_key
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
verify_service: { friendly_name: Acme, code_length: 6 }
phone: { delivery: unified, channels: [voice, sms] }
action:
  code: builtin:twilio-verify
  runtime: node22
  dependencies: { twilio: 6.2.0 }
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.TWILIO_SENDER_KEY}
    TWILIO_API_SECRET: ${twilio.api_secret}
    TWILIO_VERIFY_SID: ${verify_service.sid}
feedback:
  function:
    code: ./feedback.js
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${file.secrets/feedback}
  log_stream:
    status: active
    authorization: ${generated.feedback}
mfa:
  factors: { phone: on, otp: yes }
attest:
  fraud_guard: { level: standard, by: jo@acme.example, on: 2026-11-20, until: 2027-05-20 }
";

#[derive(Default)]
struct Given {
    env: BTreeMap<&'static str, String>,
    files: BTreeMap<&'static str, String>,
    cmds: BTreeMap<&'static str, Result<String, String>>,
}

impl Sources for Given {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        self.files.get(path).cloned().ok_or(FileError::Missing)
    }
    fn cmd(&self, name: &str) -> Option<Result<String, String>> {
        self.cmds.get(name).cloned()
    }
    fn var(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
    fn builtin(&self, name: &str) -> Option<&'static str> {
        (name == "twilio-verify").then_some("exports.onExecute = 1;\n")
    }
}

fn given_sources() -> Given {
    let hex = "0123456789abcdef0123456789abcdef";
    let env = [
        ("AUTH0_DOMAIN", "acme.eu.auth0.com".to_owned()),
        ("AUTH0_CLIENT_ID", "client".to_owned()),
        ("AUTH0_CLIENT_SECRET", "s3cr3t-of-auth0".to_owned()),
        ("TWILIO_ACCOUNT_SID", format!("AC{hex}")),
        ("TWILIO_API_KEY", format!("SK{hex}")),
        ("TWILIO_API_SECRET", "s3cr3t-of-twilio".to_owned()),
        ("TWILIO_SENDER_KEY", "sender-key".to_owned()),
        ("TWILIO_FEEDBACK_KEY", "feedback-key".to_owned()),
        ("P", "path".to_owned()),
        ("six", "6".to_owned()),
        ("sms", "sms".to_owned()),
    ];
    let files = [
        ("./feedback.js", "exports.handler = 1;\r\n".to_owned()),
        ("secrets/feedback", "s3cr3t-of-feedback".to_owned()),
    ];
    Given { env: env.into(), files: files.into(), cmds: [("vault", Ok("s3cr3t-of-vault\n".into()))].into() }
}

/// The manifest of a text; panics if the text is refused.
fn resolved(text: &str, sources: &Given) -> Manifest {
    let (parsed, _) = match parse("lockstep.yaml", text, &tables()) {
        Ok(parsed) => parsed,
        Err(rejected) => panic!("{}", rejected.render(false)),
    };
    match resolve(&parsed, sources, Missing::Error) {
        Ok(manifest) => manifest,
        Err(rejected) => panic!("{}", rejected.render(false)),
    }
}

/// The drawn problems of a text: those of parsing, or those of resolving, or warnings.
fn drawn(text: &str, sources: &Given) -> String {
    match parse("lockstep.yaml", text, &tables()) {
        Err(rejected) => rejected.render(false),
        Ok((parsed, warnings)) => match resolve(&parsed, sources, Missing::Error) {
            Err(rejected) => rejected.render(false),
            Ok(_) => render(&warnings, &parsed.source, false),
        },
    }
}

/// The problems of a text, one line each.
fn lines(text: &str, sources: &Given) -> Vec<String> {
    let diagnostics = match parse("m.yaml", text, &tables()) {
        Err(rejected) => rejected.diagnostics,
        Ok((parsed, warnings)) => match resolve(&parsed, sources, Missing::Error) {
            Err(rejected) => rejected.diagnostics,
            Ok(_) => warnings,
        },
    };
    diagnostics.iter().map(ToString::to_string).collect()
}

/// A valid beginning of a manifest, followed by the given rest.
fn with(rest: &str) -> String {
    let (head, _) = SAMPLE.split_once("verify_service:").unwrap_or_default();
    format!("{head}{rest}")
}

#[test]
fn the_sample_resolves() {
    let manifest = resolved(SAMPLE, &given_sources());
    assert_eq!(manifest.stack, "acme-login");
    let shown: Vec<String> = manifest
        .sections
        .iter()
        .flat_map(|(section, attrs)| {
            attrs.iter().map(move |(key, value)| match value {
                Value::Secret(secret) => format!("{section}.{key} = secret, {:?}", secret.origin()),
                Value::Output(template) => format!("{section}.{key} = output, secret {}", template.secret),
                Value::Generated(name) => format!("{section}.{key} = generated {name}"),
                other => format!("{section}.{key} = {}", other.shown()),
            })
        })
        .collect();
    let expected = "\
action.code = \"exports.onExecute = 1;\\n\"
action.dependencies.twilio = \"6.2.0\"
action.runtime = \"node22\"
action.secrets.TWILIO_ACCOUNT_SID = secret, Public
action.secrets.TWILIO_API_KEY = secret, Person
action.secrets.TWILIO_API_SECRET = secret, Machine
action.secrets.TWILIO_VERIFY_SID = output, secret true
attest.fraud_guard.by = \"jo@acme.example\"
attest.fraud_guard.level = \"standard\"
attest.fraud_guard.on = \"2026-11-20\"
attest.fraud_guard.until = \"2027-05-20\"
auth0.client_id = \"client\"
auth0.client_secret = secret, Person
auth0.domain = \"acme.eu.auth0.com\"
auth0.private_key_algorithm = \"RS256\"
feedback.function.api_key = \"feedback-key\"
feedback.function.api_secret = secret, Person
feedback.function.code = \"exports.handler = 1;\\n\"
feedback.log_stream.authorization = generated feedback
feedback.log_stream.status = \"active\"
mfa.factors.email = false
mfa.factors.otp = true
mfa.factors.phone = true
phone.channels = [\"sms\",\"voice\"]
phone.delivery = \"unified\"
twilio.account_sid = \"AC0123456789abcdef0123456789abcdef\"
twilio.api_key = \"SK0123456789abcdef0123456789abcdef\"
twilio.api_secret = secret, Machine
verify_service.code_length = 6
verify_service.friendly_name = \"Acme\"";
    assert_eq!(shown.join("\n"), expected);
    let secret = manifest.secret("feedback.function", "api_secret").map(|secret| secret.expose().to_owned());
    assert_eq!(secret.as_deref(), Some("s3cr3t-of-feedback"));
}

/// Asserts that every path that the decoder sees has a place of its own.
fn assert_indexed(source: &Source, node: &Node, names: &[String]) {
    assert!(source.spans().get(names).is_some(), "no place for {names:?}");
    match node {
        Node::Map(entries) => {
            for (key, node) in entries {
                assert_indexed(source, node, &extend(names, &key.text));
            }
        }
        Node::List(items) => {
            for (at, node) in items.iter().enumerate() {
                assert_indexed(source, node, &extend(names, &at.to_string()));
            }
        }
        _ => {}
    }
}

#[test]
fn every_decoded_path_has_a_place() {
    let odd = "a: 'x'\n\"b c\": [1, {d: e}, [f]]\n? g\n: h\ni: |\n  j\nk:\n- l\n- m: n\n  o:\n";
    for text in [SAMPLE.to_owned(), SAMPLE.replace('\n', "\r\n"), odd.to_owned()] {
        let source = Source::new("lockstep.yaml", &text);
        let node = yaml::decode(&source.text).unwrap_or(Node::Null);
        assert!(matches!(node, Node::Map(_)));
        assert_indexed(&source, &node, &[]);
    }
}

#[test]
fn a_drawing_points_at_the_very_words() {
    let text = with("verify_service: { friendly_name: Zoë, code_length: 60 }\nphone:\n  chanels: [sms]\n");
    let expected = "\
error[LS0104]: code_length is out of range
  --> lockstep.yaml:11:52
   |
11 | verify_service: { friendly_name: Zoë, code_length: 60 }
   |                                                    ^^ must be 4 to 10
   |
   = help: use a value from 4 to 10

error[LS0102]: unknown key chanels
  --> lockstep.yaml:13:3
   |
13 |   chanels: [***]
   |   ^^^^^^^ phone has no such key
   |
   = help: did you mean channels?
";
    assert_eq!(drawn(&text, &given_sources()), expected);
    assert_eq!(drawn(&text.replace('\n', "\r\n"), &given_sources()), expected);
    assert_eq!(drawn(&format!("\u{feff}{text}"), &given_sources()), expected);
    let colored = parse("lockstep.yaml", &text, &tables()).map_err(|rejected| rejected.render(true));
    assert!(colored.is_err_and(|text| text.contains("\u{1b}[")));
}

#[test]
fn missing_values_come_all_at_once() {
    let mut sources = given_sources();
    sources.env.remove("AUTH0_DOMAIN");
    sources.env.insert("TWILIO_SENDER_KEY", String::new());
    sources.files.remove("secrets/feedback");
    let expected = [
        "m.yaml:4:11: error[LS0202]: env.AUTH0_DOMAIN has no value: AUTH0_DOMAIN is not set, or empty (help: set AUTH0_DOMAIN in the environment, or run with --twin to try without accounts)",
        "m.yaml:19:21: error[LS0202]: env.TWILIO_SENDER_KEY has no value: TWILIO_SENDER_KEY is not set, or empty (help: set TWILIO_SENDER_KEY in the environment, or run with --twin to try without accounts)",
        "m.yaml:26:17: error[LS0202]: file.secrets/feedback has no value: there is no file secrets/feedback (help: put the file secrets/feedback beside the manifest)",
    ];
    assert_eq!(lines(SAMPLE, &sources), expected);
    let Ok((parsed, _)) = parse("m.yaml", SAMPLE, &tables()) else { panic!("refused") };
    let manifest = resolve(&parsed, &sources, Missing::Unknown).map_err(|rejected| rejected.render(false));
    let manifest = manifest.unwrap_or_else(|words| panic!("{words}"));
    assert_eq!(manifest.get("auth0", "domain"), Some(&Value::Unknown("env.AUTH0_DOMAIN".into())));
}

//! Tests of the problems of wrong manifests: their place, code and words, and that one run reports all of them.

use std::collections::BTreeMap;

use lockstep::diag::{Diagnostic, Severity};
use lockstep::kinds;
use lockstep::manifest::{self, FileError, Missing, Sources};
use lockstep::model::field::{Field, Type};

use super::{ALL, COMPLETE};
use crate::support::tables;

/// Variables and files by name; built-in code as it ships.
#[derive(Default)]
struct Given(BTreeMap<&'static str, &'static str>);

impl Sources for Given {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        let own = (path == "./own.js").then_some(&OWN);
        self.0.get(path).or(own).map(|value| (*value).to_owned()).ok_or(FileError::Missing)
    }
    fn cmd(&self, name: &str) -> Option<Result<String, String>> {
        self.0.get(name).map(|value| Ok((*value).to_owned()))
    }
    fn var(&self, name: &str) -> Option<String> {
        self.env(name)
    }
}

/// Code that needs no secret and no package.
const OWN: &str = "exports.onExecuteCustomPhoneProvider = async () => {};";

/// An Action with everything that its code needs.
const SENDER: &str = "action:\n  code: builtin:twilio-verify\n  dependencies: { twilio: 6.2.0 }\n  secrets:\n    \
                      TWILIO_ACCOUNT_SID: ${twilio.account_sid}\n    TWILIO_VERIFY_SID: ${verify_service.sid}\n    \
                      TWILIO_API_KEY: ${env.K}\n    TWILIO_API_SECRET: ${env.L}\n";

/// A manifest with ten fixed lines, then `rest`, then the required sections that `rest` lacks.
fn with(rest: &str) -> String {
    let has = |beginning: &str| rest.lines().any(|line| line.starts_with(beginning));
    let sections = [
        ("verify_serv", "verify_service:\n  friendly_name: Acme\n"),
        ("phone", "phone:\n  channels: [sms]\n"),
        ("action", SENDER),
    ];
    let missing = sections.into_iter().filter(|(beginning, _)| !has(beginning));
    head(rest) + &missing.map(|(_, section)| section).collect::<String>()
}

/// A manifest with ten fixed lines and then `rest`.
fn head(rest: &str) -> String {
    let hex = "0123456789abcdef0123456789abcdef";
    format!(
        "lockstep: v1\nstack: acme-login\nauth0:\n  domain: acme.eu.auth0.com\n  client_id: client\n  client_secret: \
         ${{env.S}}\ntwilio:\n  account_sid: AC{hex}\n  api_key: SK{hex}\n  api_secret: ${{env.T}}\n{rest}"
    )
}

fn said_of(text: &str, given: &Given, missing: Missing) -> (Vec<Diagnostic>, String) {
    match manifest::read("m.yaml", text, &tables()) {
        Err(rejected) => {
            let drawn = rejected.render(false);
            (rejected.diagnostics, drawn)
        }
        Ok(parsed) => {
            let examined = manifest::examine(&parsed, given, missing, &kinds::check);
            let drawn = manifest::render(&examined.diagnostics, &examined.source, false);
            (examined.diagnostics, drawn)
        }
    }
}

/// The diagnostics of `validate` without an environment.
fn said(text: &str) -> Vec<Diagnostic> {
    said_of(text, &Given::default(), Missing::UnknownButFiles).0
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    let wrong = diagnostics.iter().filter(|one| one.problem.severity == Severity::Error);
    wrong.map(|one| one.to_string()).collect()
}

/// Text below the ten lines; line and column; code; words of the message; words of the next move.
type Row = (&'static str, usize, usize, u16, &'static str, &'static str);

/// Texts that former versions accepted, though they could not work.
const ACCEPTED: &[Row] = &[
    (
        "verify_service:\n  friendly_name: ${verify_service.sid}\n",
        12,
        18,
        201,
        "friendly_name cannot hold ${verify_service.sid}",
        "write the value itself",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  totp: { issuer: \"x ${verify_service.sid}\" }\n",
        13,
        19,
        201,
        "issuer cannot hold",
        "write the value itself",
    ),
    (
        "verify_service:\n  friendly_name: ${action.id}\naction:\n  code: ./own.js\n  secrets:\n    S: ${verify_service.sid}\n",
        12,
        18,
        201,
        "a resource that is created later",
        "write the value itself",
    ),
    (
        "action:\n  name: a ${action.id}\n  code: ./own.js\n",
        12,
        9,
        201,
        "name cannot hold ${action.id}",
        "write the value itself",
    ),
    (
        "feedback:\n  log_stream:\n    name: ${log_stream.id}\n    endpoint: https://a.example/\n",
        13,
        11,
        201,
        "name cannot hold",
        "write the value itself",
    ),
    (
        "feedback:\n  function:\n    code: builtin:verify-feedback\n    api_key: ${env.K}\n    api_secret: ${env.L}\n  log_stream:\n    endpoint: https://a.example/\n    authorization: ${generated.f}\n",
        17,
        15,
        301,
        "feedback.function gets no events",
        "remove this line",
    ),
    (
        "feedback:\n  log_stream:\n    endpoint: https://user:hunter2@a.example/\n",
        13,
        15,
        107,
        "before the @",
        "take it out",
    ),
    ("branding:\n  logo_url: https://hunter2@a.example/\n", 12, 13, 107, "before the @", "take it out"),
    (
        "feedback:\n  log_stream:\n    endpoint: https://a.example:99999/\n",
        13,
        15,
        107,
        "a port that does not exist",
        "1 to 65535",
    ),
    (
        "branding:\n  font: { url: \"https://a.example:0/x\" }\n",
        12,
        16,
        107,
        "a port that does not exist",
        "1 to 65535",
    ),
    (
        "feedback:\n  log_stream:\n    endpoint: https://localhost/x\n",
        13,
        15,
        302,
        "Auth0 cannot reach this endpoint",
        "a host that the internet reaches",
    ),
    (
        "log_streams:\n  http:\n    siem:\n      endpoint: https://169.254.169.254/x\n",
        14,
        17,
        302,
        "Auth0 cannot reach this endpoint",
        "a host that the internet reaches",
    ),
    (
        "branding:\n  logo_url: https://192.168.0.1/x\n",
        12,
        13,
        302,
        "logo_url is an address that the browsers",
        "a host that the internet reaches",
    ),
    (
        "action:\n  name: \"a\\0b\"\n  code: ./own.js\n",
        12,
        9,
        107,
        "name is not valid: has a NUL character",
        "on one line",
    ),
    (
        "action:\n  name: \"a\\nb\"\n  code: ./own.js\n",
        12,
        9,
        107,
        "name is not valid: has a line break",
        "on one line",
    ),
    (
        "action:\n  code: ./own.js\n  dependencies: { \"a\\nb\": 1.0.0 }\n",
        13,
        19,
        107,
        "has a line break",
        "choose another name",
    ),
    (
        "feedback:\n  log_stream:\n    endpoint: https://a.example/\n    name: |\n      two\n      lines\n",
        15,
        7,
        107,
        "name is not valid: has a line break",
        "on one line",
    ),
    (
        "mfa:\n  post_login:\n    code: builtin:mfa-post-login\n    rules:\n      a: { roles: [\"x\\ty\"], factors: [any] }\n",
        15,
        20,
        107,
        "roles is not valid: has a tab",
        "on one line",
    ),
    (
        "action:\n  code: ./own.js\n  dependencies: { ../x: 1.0.0 }\n",
        13,
        19,
        107,
        "\"../x\" is not the name of a package",
        "as `npm install` takes it",
    ),
    (
        "action:\n  code: ./own.js\n  dependencies: { x: git+https://a.example/x.git }\n",
        13,
        22,
        107,
        "the version of \"x\" is not one that the npm registry has",
        "an exact version",
    ),
    (
        "feedback:\n  function:\n    code: builtin:verify-feedback\n    dependencies: { x: file:../x }\n    api_key: ${env.K}\n    api_secret: ${env.L}\n  log_stream: { authorization: \"${generated.f}\" }\n",
        14,
        24,
        107,
        "the version of \"x\" is not one that the npm registry has",
        "an exact version",
    ),
    (
        "feedback: {}\n",
        11,
        1,
        106,
        "feedback is empty",
        "add passwordless, action, function or log_stream: below it",
    ),
    (
        "log_streams: {}\nverify_service: { friendly_name: Acme, messaging_configurations: { XX: MG00000000000000000000000000000001 } }\n",
        12,
        68,
        107,
        "\"XX\" is not a country",
        "ISO 3166",
    ),
    (
        "attest:\n  geo_permissions: { countries: [AT, XX], by: jo, on: 2026-11-20, until: 2027-05-20 }\n",
        12,
        33,
        105,
        "\"XX\" is not a country",
        "ISO 3166",
    ),
    (
        "attest:\n  geo_permissions: { countries: [UK], by: jo, on: 2026-11-20, until: 2027-05-20 }\n",
        12,
        33,
        105,
        "\"UK\" is not a country",
        "did you mean GB?",
    ),
    (
        "phone: { channels: [sms, voice] }\nattest:\n  channels: { enabled: [sms], by: jo, on: 2026-11-20, until: 2027-05-20 }\n",
        13,
        24,
        301,
        "lacks a channel in use: voice",
        "switch it on in the Console",
    ),
    (
        "action:\n  code: ./own.js\n  secrets:\n    S: ${file.nope.txt}\n",
        14,
        8,
        203,
        "the file nope.txt cannot be used: there is no such file",
        "check the path",
    ),
];

/// Texts for which former versions had a message that did not help.
const SAID: &[Row] = &[
    ("verify_service:\n  name: Acme\n", 12, 3, 102, "unknown key name", "did you mean friendly_name?"),
    (
        "verify_service:\n  FriendlyName: Acme\n",
        12,
        3,
        102,
        "unknown key FriendlyName",
        "did you mean friendly_name?",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  codeLength: 6\n",
        13,
        3,
        102,
        "unknown key codeLength",
        "did you mean code_length?",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  CodeLength: 6\n",
        13,
        3,
        102,
        "unknown key CodeLength",
        "did you mean code_length?",
    ),
    ("mfa:\n  factors: { sms: on }\n", 12, 14, 102, "unknown key sms", "did you mean phone?"),
    ("mfa:\n  phone: on\n", 12, 3, 102, "unknown key phone", "phone belongs below mfa.factors:"),
    (
        "feedback:\n  log_stream:\n    httpEndpoint: https://a.example/\n",
        13,
        5,
        102,
        "unknown key httpEndpoint",
        "did you mean endpoint?",
    ),
    (
        "phone: { channels: [text] }\n",
        11,
        21,
        105,
        "channels is not one of the allowed words",
        "did you mean sms?",
    ),
    (
        "phone: { channels: [sms, call] }\n",
        11,
        26,
        105,
        "channels is not one of the allowed words",
        "did you mean voice?",
    ),
    (
        "mfa: { policy: all-applications }\n",
        11,
        16,
        105,
        "policy is not one of the allowed words",
        "did you mean always?",
    ),
    (
        "mfa:\n  factors: [phone]\n",
        12,
        12,
        103,
        "factors has the wrong type: this is a list",
        "write factors: { phone: on }",
    ),
    (
        "mfa: always\n",
        11,
        6,
        103,
        "mfa has the wrong type: this is text",
        "write mfa: { policy: always, factors: { … }, post_login: { … } }",
    ),
    (
        "action: builtin\n",
        11,
        9,
        103,
        "action has the wrong type: this is text",
        "write action: { code: builtin:NAME }",
    ),
    (
        "action:\n  code: ./own.js\n  secrets: [A]\n",
        13,
        12,
        103,
        "secrets has the wrong type",
        "write secrets: { NAME: \"${env.NAME}\" }",
    ),
    (
        "action:\n  code: ./own.js\n  dependencies: twilio\n",
        13,
        17,
        103,
        "dependencies has the wrong type",
        "write dependencies: { NAME: … }",
    ),
    (
        "phone:\n  templates:\n    otp_verify: \"text\"\n",
        13,
        17,
        103,
        "otp_verify has the wrong type: this is text",
        "write otp_verify: { ",
    ),
    (
        "phone: { channels: sms }\n",
        11,
        20,
        103,
        "channels has the wrong type: this is text",
        "write channels: [sms]",
    ),
    (
        "verify_service:\n  friendly_name: [Acme]\n",
        12,
        18,
        103,
        "friendly_name has the wrong type: this is a list",
        "write one text",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  rate_limits: { per_number: 5 }\n",
        13,
        30,
        103,
        "per_number has the wrong type: this is a number",
        "write per_number: { ",
    ),
    (
        "feedback: on\n",
        11,
        11,
        103,
        "feedback has the wrong type: this is text",
        "write feedback: { passwordless: on, action: { … }, function: { … }, log_stream: { … } }",
    ),
    (
        "action:\n  code: builtin:twilio\n",
        12,
        9,
        105,
        "there is no built-in code twilio: there are twilio-verify, twilio-verify-legacy, twilio-verify-fetch, twilio-verify-fetch-legacy, verify-feedback, login-feedback and mfa-post-login",
        "builtin:",
    ),
    (
        "action:\n  code: builtin:twilio-verfy\n",
        12,
        9,
        105,
        "there is no built-in code twilio-verfy",
        "did you mean builtin:twilio-verify?",
    ),
    (
        "feedback:\n  log_stream:\n    endpoint: \"https://a.example/two words\"\n",
        13,
        15,
        107,
        "has a blank as character 22",
        "%20",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  code_length: 99999999999999999999999\n",
        13,
        16,
        104,
        "code_length is out of range: must be 4 to 10",
        "use a value from 4 to 10",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  code_length: -99999999999999999999999\n",
        13,
        16,
        104,
        "code_length is out of range: must be 4 to 10",
        "use a value from 4 to 10",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  code_length: 9223372036854775808\n",
        13,
        16,
        104,
        "code_length is out of range: must be 4 to 10",
        "use a value from 4 to 10",
    ),
    (
        "verify_service:\n  friendly_name: \"${var.long}\"\n  code_length: 60\n",
        13,
        16,
        104,
        "code_length is out of range",
        "use a value from 4 to 10",
    ),
    ("verify_service:\n  friendly_name: \"\"\n", 12, 18, 104, "friendly_name is empty", "write a value"),
    (
        "attest:\n  fraud_guard: { level: standard, by: jo, on: soon, until: 2027-05-20 }\n",
        12,
        47,
        104,
        "on is too short",
        "",
    ),
    // The place is the key of the mapping, not its value.
    (
        "verify_service: { friendly_name: Acme, messaging_configurations: { Xy: MG00000000000000000000000000000001 } }\n",
        11,
        68,
        107,
        "\"Xy\" is not a country",
        "ISO 3166",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  rate_limits: { a b: { key: ip, buckets: { 1h: { max: 5 } } } }\n",
        13,
        18,
        107,
        "\"a b\" is not a name for a rate limit",
        "choose another name",
    ),
    (
        "verify_service:\n  friendly_name: Acme\n  rate_limits: { a: { key: ip, buckets: { soon: { max: 5 } } } }\n",
        13,
        43,
        107,
        "\"soon\" is not an interval",
        "write 60s",
    ),
    (
        "verify_service:\n  friendly_name: ${ENV.BRAND}\n",
        12,
        18,
        201,
        "the reference ENV.BRAND cannot be used: nothing has this name",
        "did you mean ${env.BRAND}?",
    ),
    (
        "verify_service:\n  friendly_name: ${environment.BRAND}\n",
        12,
        18,
        201,
        "nothing has this name",
        "did you mean ${env.BRAND}?",
    ),
    (
        "log_streams:\n  http:\n    a b: { endpoint: https://a.example/ }\n",
        13,
        5,
        107,
        "cannot be used as a stream's key",
        "choose another key",
    ),
];

fn check(rows: &[Row]) {
    for (rest, line, column, code, words, help) in rows {
        let found = said(&with(rest));
        let place = (*line, *column, *code);
        let at = |one: &&Diagnostic| {
            one.span.as_ref().is_some_and(|span| (span.line, span.column, one.problem.code.number()) == place)
        };
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        let Some(one) = found.iter().find(at) else { panic!("{rest}\nnothing at {place:?}: {lines:#?}") };
        let said = format!("{}: {}", one.problem.title, one.problem.reason);
        assert!(said.contains(words), "{rest}\n{said}");
        assert!(one.problem.help.contains(help), "{rest}\n{}", one.problem.help);
        assert!(errors(&found).len() <= 1, "{rest}\n{lines:#?}");
        let (_, drawn) = said_of(&with(rest), &Given::default(), Missing::UnknownButFiles);
        assert!(!drawn.contains("hunter2"), "{drawn}");
    }
}

#[test]
fn what_cannot_work_is_not_accepted() {
    check(ACCEPTED);
}

#[test]
fn what_is_said_shows_the_way() {
    check(SAID);
}

#[test]
fn the_name_of_a_key_file_is_taken_for_one() {
    let text = with("").replace("client_secret: ${env.S}", "private_key: ./keys/auth0.pem");
    let found = said(&text);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.span.as_ref().map(|span| (span.line, span.column)), Some((6, 16)));
    assert_eq!(one.problem.help, "write ${file.keys/auth0.pem}");
    assert_eq!(one.problem.title, "private_key is the name of a file, and not what is in it");
}

#[test]
fn brackets_without_end_are_told_where_they_are_too_many() {
    let found = said(&head(&format!("phone: {}", "[".repeat(2000))));
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.span.as_ref().map(|span| (span.line, span.column)), Some((11, 1008)));
}

/// Text below the ten lines; line and column; words of the reason; words of the next move.
const NOT_YAML: &[(&str, usize, usize, &str, &str)] = &[
    (
        "verify_service:\n  friendly_name: \"Acme\n  code_length: 6\nphone:\n  channels: [sms]\n",
        12,
        18,
        "this quote is not closed",
        "close it with \"",
    ),
    (
        "verify_service:\n  friendly_name: 'Acme\n  code_length: 6\n",
        12,
        18,
        "this quote is not closed",
        "close it with '",
    ),
    (
        "verify_service:\n  friendly_name: \"Acme\n  code_length: 6\naction:\n  name: \"Acme\"\n  code: builtin:twilio-verify\n",
        12,
        18,
        "this quote is closed only on line 15",
        "close it with \"",
    ),
    (
        "phone: { channels: [\"sms, voice] }\naction:\n  name: \"Acme\"\n",
        11,
        21,
        "this quote is closed only on line 13",
        "close it with \"",
    ),
    ("stack shop\nphone:\n  channels: [sms]\n", 11, 1, "expected `key: value`", "a colon and a blank"),
    (
        "phone:\n  delivery unified\n  channels: [sms]\n",
        12,
        3,
        "expected `key: value`",
        "a colon and a blank",
    ),
    (
        "phone:\n  channels:[sms]\n  delivery: unified\n",
        12,
        3,
        "expected `key: value`",
        "a blank after the colon",
    ),
    ("verify_service:\n  friendly_name: Acme: Login\n", 12, 22, "a second `: `", "in quotes"),
    (
        "verify_service:\n  friendly_name: Acme\n    code_length: 6\n",
        13,
        5,
        "deeper than line 12",
        "in the column of line 12",
    ),
    (
        "verify_service:\n    friendly_name: Acme\n  code_length: 6\n",
        13,
        3,
        "in which no line above it begins",
        "indent it like",
    ),
    ("phone:\n  channels: [sms\nmfa:\n  policy: never\n", 12, 13, "this [ is not closed", "close it with ]"),
    ("phone: { delivery: unified\nmfa: never\n", 11, 8, "this { is not closed", "close it with }"),
    (
        "phone: { delivery: unified channels: [sms] }\n",
        11,
        36,
        "a comma or the closing } is missing",
        "commas",
    ),
    ("phone: { channels: [sms]] }\n", 11, 25, "a comma or the closing } is missing", "commas"),
    ("phone:\n  channels:\n    - sms\n    voice: on\n", 14, 5, "no item of the list above", "`- `"),
    ("phone:\n  channels: - sms\n", 12, 13, "a list cannot begin on the line of its key", "on the next line"),
    ("phone:\n\tdelivery: legacy\n", 12, 1, "a tab", "indent with spaces"),
    ("action:\n  name: @acme\n", 12, 9, "a value cannot begin with @", "in quotes"),
    ("action:\n  name: `acme`\n", 12, 9, "a value cannot begin with `", "in quotes"),
    ("action:\n  name: \"a\\q\"\n", 12, 11, "begins an escape", "single quotes"),
    ("action:\n  name: 'it's me'\n", 12, 13, "goes on after its closing quote", "''"),
    ("action:\n  name: *acme\n", 12, 9, "leads nowhere", "in quotes"),
    ("phone: ]\n", 11, 8, "a value is expected here", "write a value"),
    ("action:\n  name: a\u{7}b\n", 12, 10, "the control character U+0007", "remove it"),
    ("action:\n  name: a\0b\n", 12, 10, "the control character U+0000", "remove it"),
    ("action:\n  name: x # \u{1b}[31m\n", 12, 13, "the control character U+001B", "remove it"),
    ("phone:\n- sms\nmfa: never\n%x\n", 14, 1, "begins with % is a directive", "in quotes"),
];

#[test]
fn a_text_that_is_no_yaml_is_explained_where_the_fault_begins() {
    for (rest, line, column, reason, help) in NOT_YAML {
        let found = said(&head(rest));
        let [one] = found.as_slice() else { panic!("{rest}\n{found:?}") };
        let place = one.span.as_ref().map(|span| (span.line, span.column));
        assert_eq!((place, one.problem.code.number()), (Some((*line, *column)), 101), "{rest}\n{one}");
        assert!(one.problem.reason.contains(reason), "{rest}\n{one}");
        assert!(one.problem.help.contains(help), "{rest}\n{one}");
    }
}

#[test]
fn one_run_names_every_mistake_in_the_order_of_the_file() {
    let text = with(
        "verify_servce:\n  friendly_name: Acme\nphone:\n  channels: []\naction:\n  code: builtin:verify-feedback\n  secrets:\n    \
         SID: ${verify_service.sid}\nmfa:\n  factors: { phone: maybe }\n  post_login:\n    code: builtin:mfa-post-login\n    \
         rules:\n      a: { roles: [], factors: [any] }\nattest:\n  fraud_guard: { level: standard, by: jo, on: 2026-13-20, until: 2027-05-20 }\n",
    );
    let found = errors(&said(&text));
    let expected = [
        "11:1: error[LS0102]: unknown key verify_servce",
        "14:13: error[LS0104]: no channel",
        "16:9: error[LS0302]: the handler is missing",
        "20:21: error[LS0103]: phone has the wrong type",
        "24:19: error[LS0104]: the list is empty",
        "26:47: error[LS0107]: on is not valid",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("m.yaml:{expected}")), "{found}");
    }
}

#[test]
fn a_version_that_can_only_mean_v1_hides_no_other_mistake() {
    let text = with("verify_service:\n  friendly_name: Acme\n  code_length: 60\n");
    for version in ["V1", "1", "v1.0", "1.0", "\"1\"", ""] {
        let found = errors(&said(&text.replace("lockstep: v1", &format!("lockstep: {version}"))));
        assert_eq!(found.len(), 2, "{version}: {found:#?}");
        assert!(found[0].starts_with("m.yaml:1:") && found[0].contains("LS0109"), "{version}: {found:#?}");
        assert!(found[1].contains("code_length is out of range"), "{version}: {found:#?}");
    }
    for version in ["v2", "2", "v10", "11", "[v1]", "on"] {
        let found = errors(&said(&text.replace("lockstep: v1", &format!("lockstep: {version}"))));
        assert_eq!(found.len(), 1, "{version}: {found:#?}");
    }
}

#[test]
fn a_section_of_another_type_has_no_two_ways_to_log_in() {
    for section in ["auth0", "twilio"] {
        for value in ["", " []", " [{ a: b }]", " x", " 5"] {
            let text = String::from(
                "lockstep: v1\nstack: acme\nauth0: { domain: acme.eu.auth0.com, client_id: x, client_secret: \"${env.S}\" }\n\
                twilio: { account_sid: AC0123456789abcdef0123456789abcdef, auth_token: \"${env.T}\" }\n",
            );
            let lines = text.lines().map(|line| match line.starts_with(section) {
                true => format!("{section}:{value}\n"),
                false => format!("{line}\n"),
            });
            let found = errors(&said(&lines.collect::<String>()));
            assert!(!found.is_empty(), "{section}:{value}");
            assert!(!found.iter().any(|one| one.contains("two kinds")), "{section}:{value}: {found:#?}");
        }
    }
}

/// Every scalar of the complete manifest is replaced, line by line, by a list in a list, which no field accepts.
#[test]
fn a_wrong_value_brings_no_second_error() {
    let mut broken = 0;
    let mut more = Vec::new();
    for (at, line) in COMPLETE.lines().enumerate() {
        let bare = line.split(" #").next().unwrap_or_default().trim_end();
        let Some((key, value)) = bare.split_once(": ") else { continue };
        let one_value = !value.contains(": ") && !value.starts_with(['[', '{']);
        if !one_value || key.trim_start().starts_with(['#', '"']) || key == "lockstep" {
            continue;
        }
        let mut lines: Vec<String> = COMPLETE.lines().map(str::to_owned).collect();
        lines[at] = format!("{key}: [[x]]");
        let found = errors(&said(&lines.join("\n")));
        if found.len() != 1 || !found[0].starts_with(&format!("m.yaml:{}:", at + 1)) {
            more.push(format!("{}: {found:#?}", lines[at]));
        }
        broken += 1;
    }
    assert!(more.is_empty(), "{}", more.join("\n"));
    assert!(broken > 80, "only {broken} lines were broken");
}

/// Every section and every mapping of the tables is replaced by a text and by a list: one error each, with the expected
/// shape.
#[test]
fn a_mapping_that_is_none_is_shown_its_shape() {
    fn mappings(prefix: &str, fields: &'static [Field], out: &mut Vec<String>) {
        for field in fields {
            let path = format!("{prefix}.{}", field.key);
            match field.ty {
                Type::Object(inner) => {
                    mappings(&path, inner, out);
                    out.push(path);
                }
                Type::Map { .. } | Type::Named { .. } => out.push(path),
                _ => {}
            }
        }
    }
    let mut paths = Vec::new();
    for section in tables().sections {
        if !matches!(section.path, "" | "auth0" | "twilio") {
            paths.push(section.path.to_owned());
            mappings(section.path, section.fields, &mut paths);
        }
    }
    assert!(paths.len() > 25, "{paths:?}");
    for path in paths {
        for value in ["text", "[text]", "7"] {
            let keys: Vec<&str> = path.split('.').collect();
            let lines: Vec<String> =
                keys.iter().enumerate().map(|(depth, key)| format!("{}{key}:", "  ".repeat(depth))).collect();
            let found = said(&with(&format!("{} {value}\n", lines.join("\n"))));
            let line = 10 + keys.len();
            let here = |one: &&Diagnostic| {
                one.problem.path == path && one.span.as_ref().is_some_and(|span| span.line == line)
            };
            let Some(one) = found.iter().find(here) else { panic!("{path}: {value}: {found:?}") };
            let last = keys.last().copied().unwrap_or_default();
            assert!(one.problem.help.starts_with(&format!("write {last}: {{ ")), "{path}: {one}");
            assert_eq!(one.problem.title, format!("{last} has the wrong type"), "{path}");
        }
    }
}

#[test]
fn every_manifest_that_ships_validates_without_an_environment() {
    for (name, text) in ALL {
        assert_eq!(errors(&said(text)), Vec::<String>::new(), "{name}");
    }
}

fn authorization(text: &str, given: &[(&'static str, &'static str)]) -> (Vec<String>, String) {
    let rest =
        format!("feedback:\n  log_stream:\n    endpoint: https://a.example/\n    authorization: {text}\n");
    let mut given = Given(given.iter().copied().collect());
    given.0.extend([("S", "auth0-keeps-4711"), ("T", "twilio-keeps-4712"), ("L", "code-keeps-4713")]);
    given.0.insert("K", "SK0123456789abcdef0123456789abcdef");
    let parsed = manifest::read("m.yaml", &with(&rest), &tables()).expect("YAML");
    let examined = manifest::examine(&parsed, &given, Missing::Error, &kinds::check);
    let value = examined.manifest.secret("feedback.log_stream", "authorization");
    let value = value.map(|secret| secret.expose().to_owned()).unwrap_or_default();
    (examined.diagnostics.iter().map(ToString::to_string).collect(), value)
}

#[test]
fn one_line_break_at_the_end_of_a_value_is_taken_away_and_told() {
    for source in ["env.X", "cmd.X", "file.X"] {
        for value in ["hunter2-hunter2\n", "hunter2-hunter2\r\n"] {
            let (told, got) = authorization(&format!("${{{source}}}"), &[("X", value)]);
            assert_eq!(got, "hunter2-hunter2", "{source}");
            let expected = format!(
                "m.yaml:14:20: note[LS0205]: the line break at the end of {source} was taken away: its value ends with one \
                 (help: store the value without it)"
            );
            assert_eq!(told, [expected], "{source}");
        }
    }
    let (told, _) =
        authorization("${env.X}\n    custom_headers: { A: \"${env.X}\" }", &[("X", "hunter2-hunter2\n")]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn other_control_characters_in_a_value_are_refused_by_the_name_of_the_reference() {
    for source in ["env.X", "var.X", "cmd.X", "file.X"] {
        for (value, named) in [
            ("hunter2\nhunter3", "a line break"),
            ("hunter2-hunter2\n\n", "a line break"),
            ("hunter2\r", "a line break"),
            ("hunter2\thunter3", "a tab"),
            ("hunter2\0", "a NUL character"),
            ("hunter2\u{1b}[0m", "the control character U+001B"),
        ] {
            let (told, _) = authorization(&format!("${{{source}}}"), &[("X", value)]);
            let [one] = told.as_slice() else { panic!("{source}, {named}: {told:?}") };
            let expected =
                format!("error[LS0107]: the value of {source} cannot be used: it has {named} in it");
            assert!(one.contains(&expected) && !one.contains("hunter"), "{one}");
        }
    }
}

#[test]
fn a_key_in_pem_keeps_its_lines() {
    let pem = "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n";
    let other: &str = pem.replace("YWJj", "ZGVm").leak();
    let given = Given([("S", "s"), ("T", "t"), ("key.pem", pem), ("other.pem", other)].into());
    let text = with("action:\n  code: ./own.js\n  secrets:\n    KEY: ${file.other.pem}\n");
    let text = text.replace("client_secret: ${env.S}", "private_key: ${file.key.pem}");
    let parsed = manifest::read("m.yaml", &text, &tables()).expect("YAML");
    let examined = manifest::examine(&parsed, &given, Missing::Error, &kinds::check);
    let notes: Vec<String> = examined.diagnostics.iter().map(ToString::to_string).collect();
    assert!(!notes.iter().any(|line| line.contains(".pem")), "{notes:?}");
    for (section, key, pem) in [("auth0", "private_key", pem), ("action", "secrets.KEY", other)] {
        let value = examined.manifest.secret(section, key).map(|secret| secret.expose().to_owned());
        assert_eq!(value.as_deref(), Some(pem.trim_end()), "{section}");
    }
}

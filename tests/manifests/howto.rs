//! Tests that `manifests/howto-2023.yaml` does every row of the how-to. They look at the twin's world and log, or use
//! the credentials that the deployed parts hold. docs/howto-coverage.md lists the rows.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep::model::api::{Answer, ApiRequest, Method};
use lockstep::model::plan::Level;
use lockstep::shell::in_process::Simulator;
use lockstep::twin::checkers::{locked_out, phone_problems};
use lockstep::twin::world::{Action, ServerlessService, VerifyService};
use lockstep::twin::{TriggerRef, Twin};
use serde_json::{Value as Json, json};

use super::{HOWTO, bed};
use crate::fields::bed::Snapshot;
use crate::support::{ACCOUNT, DOMAIN};

/// The state after the how-to was applied, once for all rows.
fn applied() -> Snapshot {
    static TEXT: OnceLock<String> = OnceLock::new();
    // The world is plain data and can be shared between threads; the twin itself cannot.
    let text = TEXT.get_or_init(|| {
        let mut bed = bed(HOWTO);
        bed.applied();
        let snapshot = bed.snapshot();
        json!([snapshot.twin.to_json(), snapshot.now_ms]).to_string()
    });
    let both: Json = serde_json::from_str(text).expect("as written");
    Snapshot {
        twin: Twin::from_json(both[0].clone()).expect("as written"),
        now_ms: both[1].as_u64().expect("a time"),
    }
}

fn service(twin: &mut Twin) -> VerifyService {
    let services = &twin.world.account_mut(ACCOUNT).verify_services;
    assert_eq!(services.len(), 1);
    services[0].clone()
}

fn action(twin: &mut Twin) -> Action {
    let actions = &twin.tenant_mut(DOMAIN).actions;
    let found: Vec<&Action> = actions.iter().filter(|action| action.supports("send-phone-message")).collect();
    assert_eq!(found.len(), 1);
    found[0].clone()
}

fn receiver(twin: &mut Twin) -> ServerlessService {
    let services = &twin.world.account_mut(ACCOUNT).serverless_services;
    assert_eq!(services.len(), 1, "the lease is gone, the receiver is there");
    services[0].clone()
}

/// Sends a request to Verify with these credentials.
fn verify(
    twin: &mut Twin,
    now_ms: u64,
    user: &str,
    password: &str,
    call: (Method, &str, &str),
) -> (u16, Json) {
    let (method, path, form) = call;
    let basic = STANDARD.encode(format!("{user}:{password}"));
    let request = ApiRequest {
        host: "verify.twilio.com".into(),
        method,
        path: path.into(),
        headers: vec![
            ("authorization".into(), format!("Basic {basic}")),
            ("content-type".into(), "application/x-www-form-urlencoded".into()),
        ],
        body: form.as_bytes().to_vec(),
    };
    match Simulator::handle(twin, &request, now_ms).answer {
        Answer::Reply(reply) => (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Json::Null)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_01_the_account_is_the_one_of_the_manifest() {
    let mut twin = applied().twin;
    assert_eq!(action(&mut twin).secret("TWILIO_ACCOUNT_SID").expect("set").value, ACCOUNT);
    assert!(service(&mut twin).sid.starts_with("VA"));
}

#[test]
fn row_02_the_verify_service_has_the_brand_as_its_name() {
    let mut twin = applied().twin;
    let service = service(&mut twin);
    assert_eq!(service.friendly_name, "Acme");
    assert_eq!(service.settings["code_length"], json!(6));
}

#[test]
fn row_03_custom_codes_are_allowed() {
    assert!(service(&mut applied().twin).flag("custom_code_enabled"));
}

#[test]
fn row_04_the_action_is_for_the_flow_send_phone_message() {
    let action = action(&mut applied().twin);
    assert_eq!(action.supported_triggers, [TriggerRef::new("send-phone-message", "v2")]);
    assert!(action.code.contains("exports.onExecuteSendPhoneMessage"));
}

#[test]
fn row_05_the_action_has_the_three_secrets() {
    let mut twin = applied().twin;
    let sid = service(&mut twin).sid;
    let action = action(&mut twin);
    let mut names: Vec<&str> = action.secrets.iter().map(|secret| secret.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_VERIFY_SID"]);
    assert_eq!(action.secret("TWILIO_VERIFY_SID").expect("set").value, sid);
}

#[test]
fn row_06_the_action_depends_on_twilio() {
    let action = action(&mut applied().twin);
    let dependencies: Vec<(&str, &str)> =
        action.dependencies.iter().map(|d| (d.name.as_str(), d.version.as_str())).collect();
    assert_eq!(dependencies, [("twilio", "6.2.0")]);
}

#[test]
fn row_07_the_action_is_deployed_as_it_stands() {
    let action = action(&mut applied().twin);
    let live = action.live_version().expect("deployed");
    assert_eq!((&live.code, &live.runtime), (&action.code, &action.runtime));
    assert_eq!(live.secret("TWILIO_VERIFY_SID"), action.secret("TWILIO_VERIFY_SID"));
    assert_eq!(action.versions.len(), 1, "deployed once");
}

#[test]
fn row_08_the_action_is_in_the_flow() {
    let mut twin = applied().twin;
    let id = action(&mut twin).id;
    let bound = twin.tenant_mut(DOMAIN).bound("send-phone-message").to_vec();
    assert_eq!(bound.iter().map(|binding| &binding.action_id).collect::<Vec<_>>(), [&id]);
}

#[test]
fn row_09_the_phone_factor_is_delivered_by_the_custom_provider() {
    let mut twin = applied().twin;
    let tenant = twin.tenant_mut(DOMAIN);
    assert_eq!(tenant.legacy_phone.selected_provider, "phone-message-hook");
    assert!(!tenant.unified() && tenant.phone_providers.is_empty());
}

#[test]
fn row_10_codes_go_by_text_message_and_by_voice() {
    let mut twin = applied().twin;
    let types = twin.tenant_mut(DOMAIN).message_types.clone().expect("set");
    assert_eq!(types, ["sms", "voice"]);
}

#[test]
fn row_11_the_phone_factor_is_on_and_a_second_one_besides() {
    let mut twin = applied().twin;
    let tenant = twin.tenant_mut(DOMAIN);
    assert!(tenant.factor_enabled("sms") && tenant.factor_enabled("otp"));
}

#[test]
fn row_12_every_login_needs_a_second_factor_that_can_be_given() {
    let mut twin = applied().twin;
    assert_eq!(twin.tenant_mut(DOMAIN).policies, ["all-applications"]);
    assert!(!locked_out(&twin.world, DOMAIN));
    assert_eq!(phone_problems(&twin.world, DOMAIN), []);
}

#[test]
fn row_13_the_function_is_public_built_and_deployed_with_its_variables() {
    let mut twin = applied().twin;
    let sid = service(&mut twin).sid;
    let receiver = receiver(&mut twin);
    let environment = &receiver.environments[0];
    let build = receiver.builds.iter().find(|build| Some(&build.sid) == environment.build_sid.as_ref());
    let build = build.expect("a build is deployed");
    let version = receiver.functions[0].versions.iter().find(|v| build.function_versions.contains(&v.sid));
    let version = version.expect("the build has the Function");
    assert_eq!(
        (version.visibility.to_lowercase().as_str(), version.path.as_str()),
        ("public", "/auth0-logs")
    );
    assert!(version.content.contains("timingSafeEqual"));
    let value =
        |key: &str| environment.variable(key).map(|variable| variable.value.clone()).unwrap_or_default();
    assert_eq!((value("TWILIO_ACCOUNT_SID"), value("TWILIO_VERIFY_SID")), (ACCOUNT.to_owned(), sid));
    assert!(!value("TWILIO_API_KEY").is_empty() && !value("TWILIO_API_SECRET").is_empty());
    assert!(value("WEBHOOK_SECRET").len() >= 32, "drawn");
    assert!(!receiver.include_credentials, "the account's token is not handed to the Function");
}

#[test]
fn row_14_the_log_stream_sends_to_the_function() {
    let mut twin = applied().twin;
    let receiver = receiver(&mut twin);
    let environment = &receiver.environments[0];
    let streams = &twin.tenant_mut(DOMAIN).log_streams;
    assert_eq!(streams.len(), 1);
    let (stream, sink) = (&streams[0], &streams[0].sink);
    assert_eq!(stream.status, "active");
    assert_eq!(sink["httpEndpoint"], json!(format!("https://{}/auth0-logs", environment.domain_name)));
    let secret = environment.variable("WEBHOOK_SECRET").expect("set").value.clone();
    assert_eq!(sink["httpAuthorization"], json!(secret), "the same in both places");
    assert_eq!(
        (&sink["httpContentFormat"], &sink["httpContentType"]),
        (&json!("JSONARRAY"), &json!("application/json"))
    );
    let filters = stream.filters.clone().expect("filters");
    assert!(json!(filters).to_string().contains("\"other\""), "the success of a second factor is in `other`");
}

#[test]
fn row_15_fraud_guard_is_attested_and_shown() {
    let mut bed = bed(HOWTO);
    bed.applied();
    let plan = bed.observe().plan;
    let told = plan.findings.iter().find(|finding| finding.address == "attest.fraud_guard").expect("shown");
    assert_eq!(told.level, Level::Note);
    assert!(told.text.contains("standard") && told.text.contains("jo@acme.example"), "{}", told.text);
    // A day after its end the attestation is a warning, and `drift` exits with 7.
    let end_ms = 1_810_944_000_000; // 2027-05-21
    bed.stack.in_process.advance_ms(end_ms - bed.now_ms());
    let plan = bed.observe().plan;
    let told = plan.findings.iter().find(|finding| finding.address == "attest.fraud_guard").expect("shown");
    assert_eq!(told.level, Level::Warning, "{}", told.text);
    assert!(told.help.contains("Console"), "{}", told.help);
}

#[test]
fn row_16_the_new_universal_login_is_on() {
    let mut bed = bed(HOWTO);
    bed.with_twin(|twin| twin.tenant_mut(DOMAIN).prompts.universal_login_experience = "classic".into());
    bed.applied();
    bed.with_twin(|twin| assert_eq!(twin.tenant_mut(DOMAIN).prompts.universal_login_experience, "new"));
}

#[test]
fn row_17_the_logo_is_on_the_login_page() {
    let mut twin = applied().twin;
    assert_eq!(twin.tenant_mut(DOMAIN).branding["logo_url"], json!("https://acme.example/logo.png"));
}

/// Uses the credentials that the deployed parts hold: Auth0's code is sent, the login succeeds, the Function tells
/// Verify, and the next five logins are not locked out.
#[test]
fn row_18_it_works_from_end_to_end() {
    let Snapshot { mut twin, now_ms } = applied();
    // Keys that were made in the Console belong to this account.
    twin.options.default_account = Some(ACCOUNT.into());
    let live = action(&mut twin).live_version().expect("deployed").clone();
    let secret = |name: &str| live.secret(name).expect(name).value.clone();
    let (account, token, sid) =
        (secret("TWILIO_ACCOUNT_SID"), secret("TWILIO_AUTH_TOKEN"), secret("TWILIO_VERIFY_SID"));
    let receiver = receiver(&mut twin);
    let value = |key: &str| receiver.environments[0].variable(key).expect(key).value.clone();
    let (key, key_secret) = (value("TWILIO_API_KEY"), value("TWILIO_API_SECRET"));
    let verifications = format!("/v2/Services/{sid}/Verifications");
    for login in 0..12_u64 {
        let at_ms = now_ms + login * 30_000;
        let form = format!("To=%2B15005550006&Channel=sms&CustomCode={}", 483_920 + login);
        let (status, made) =
            verify(&mut twin, at_ms, &account, &token, (Method::Post, &verifications, &form));
        assert_eq!((status, &made["status"]), (201, &json!("pending")), "login {login}: {made}");
        let one = format!("{verifications}/%2B15005550006");
        let (status, done) =
            verify(&mut twin, at_ms + 5_000, &key, &key_secret, (Method::Post, &one, "Status=approved"));
        assert_eq!((status, &done["status"]), (200, &json!("approved")), "login {login}: {done}");
    }
    let summary = format!("/v2/Attempts/Summary?VerifyServiceSid={sid}");
    let (status, told) = verify(&mut twin, now_ms + 600_000, &account, &token, (Method::Get, &summary, ""));
    assert_eq!(
        (status, &told["total_converted"], &told["total_unconverted"]),
        (200, &json!(12), &json!(0)),
        "{told}"
    );
}

/// The page, the manifest's comments and the tests name the same rows.
#[test]
fn every_row_is_on_the_page_in_the_manifest_and_here() {
    let page = include_str!("../../docs/howto-coverage.md");
    let here = include_str!("howto.rs");
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Ok(number) = cells[1].parse::<usize>() else { continue };
        rows += 1;
        assert_eq!(number, rows, "{line}");
        let test = cells[4].trim_matches('`');
        assert!(test.starts_with(&format!("row_{number:02}_")), "{line}");
        assert!(here.contains(&format!("fn {test}()")), "{test} is not a test");
        // The last row is what a person does with the result.
        assert!(
            number == 18 || HOWTO.contains(&format!("# Row {number}:")),
            "row {number} is not in the manifest"
        );
    }
    assert_eq!(rows, here.matches("\nfn row_").count());
    assert_eq!(rows, 18);
}

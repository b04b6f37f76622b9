//! Tests of each exit code of `drift` and `plan --exit-code`.

use serde_json::json;

use super::lab::{Folder, QUICKSTART, Run, Site, Twin};

fn quickstart_with(folder: &Folder, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    assert!(text.contains(from), "{from} is no part of the quickstart");
    folder.write("changed.yaml", &text.replace(from, to))
}

fn verdict(run: &Run) -> &str {
    run.out.lines().find_map(|line| line.strip_prefix("Verdict: ")).unwrap_or("none")
}

#[test]
fn drift_tells_who_moved() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let changed = quickstart_with(&folder, "code_length: 6", "code_length: 7");
    let drift = |manifest: &str| site.lockstep("drift", manifest, &[]).run();
    site.run("apply", &["--yes"]).expect(0);

    let run = drift(QUICKSTART).expect(0);
    assert_eq!(verdict(&run), "clean");
    let run = drift(&changed).expect(2);
    assert_eq!(verdict(&run), "manifest not applied");
    let told = "code_length: was applied 6, the tenant has 6, the manifest wants 7  [manifest not applied]";
    assert!(run.out.contains(told), "{}", run.out);

    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": false }));
    let run = drift(QUICKSTART).expect(3);
    assert_eq!(verdict(&run), "tenant changed");
    let run = drift(&changed).expect(4);
    assert_eq!(verdict(&run), "both changed");

    // The record is gone: something differs, and the cause is unknown.
    let ledger = site.actions().into_iter().find(|action| action["name"] == "Lockstep ledger (acme-login)");
    let id = ledger.expect("a ledger")["id"].as_str().expect("an id").to_owned();
    site.auth0("DELETE", &format!("/api/v2/actions/actions/{id}"), &json!(null));
    let run = drift(QUICKSTART).expect(5);
    assert!(run.out.contains("cause unknown"), "{}", run.out);
}

#[test]
fn findings_alone_have_a_code_of_their_own() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let ledger = site.actions().into_iter().find(|action| action["name"] == "Lockstep ledger (acme-login)");
    let id = ledger.expect("a ledger")["id"].as_str().expect("an id").to_owned();
    // The twin builds quickly, but not instantly.
    for _ in 0..100 {
        let (status, _) = site.auth0("POST", &format!("/api/v2/actions/actions/{id}/deploy"), &json!({}));
        if status == 200 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = site.run("drift", &[]).expect(7);
    assert!(run.out.contains("deployed the ledger Action"), "{}", run.out);
    site.run("plan", &["--exit-code"]).expect(0);
}

/// Settings that only the Console shows are attested in the manifest. A missing or expired attestation has its exit
/// code.
#[test]
fn attestations_that_are_missing_or_over_are_findings() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let mut text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    text.push_str(
        "\nattest:\n  \
         fraud_guard: { level: standard, by: jo@acme.example, on: 2020-01-01, until: 2120-01-01 }\n  \
         geo_permissions: { countries: [AT], by: jo@acme.example, on: 2020-01-01, until: 2120-01-01 }\n  \
         channels: { enabled: [sms, voice], by: jo@acme.example, on: 2020-01-01, until: 2120-01-01 }\n",
    );
    let run = |name: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let manifest = folder.write(name, &text.replace(from, to));
        site.lockstep("drift", &manifest, &[]).run()
    };
    let applied = folder.write("attested.yaml", &text);
    site.lockstep("apply", &applied, &["--yes"]).run().expect(0);

    let clean = run("clean.yaml", "AT", "AT").expect(0);
    assert_eq!(verdict(&clean), "clean");
    let told = "attested by jo@acme.example on 2020-01-01 until 2120-01-01; it cannot be verified by an API";
    assert_eq!(clean.out.matches(told).count(), 3, "{}", clean.out);
    let plan = site.lockstep("plan", &applied, &["--exit-code"]).run().expect(0);
    assert_eq!(plan.out.matches(told).count(), 3, "{}", plan.out);

    let over = run("over.yaml", "until: 2120-01-01 }\n  geo", "until: 2021-01-01 }\n  geo").expect(7);
    assert_eq!(verdict(&over), "no difference, findings to look at");
    assert!(
        over.out.contains("warning[LS0802]: attest.fraud_guard") && over.out.contains("it has expired"),
        "{}",
        over.out
    );
    let silent = run("silent.yaml", "enabled: [sms, voice]", "enabled: [sms]").expect(1);
    assert!(silent.err.contains("enabled lacks a channel in use: voice"), "{}", silent.err);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("geo_permissions")).collect();
    let missing = folder.write("missing.yaml", &(lines.join("\n") + "\n"));
    let missing = site.lockstep("drift", &missing, &[]).run().expect(7);
    assert!(missing.out.contains("Geo permissions"), "{}", missing.out);
    // A difference takes precedence over a finding.
    let both = run("both.yaml", "code_length: 6", "code_length: 7").expect(2);
    assert_eq!(verdict(&both), "manifest not applied");
    let basic = run("basic.yaml", "level: standard", "level: basic").expect(1);
    assert!(basic.err.contains("Standard or Max"), "{}", basic.err);
}

/// If a part cannot be read, the result is never clean.
#[test]
fn an_incomplete_read_is_never_clean() {
    let twin = Twin::start();
    let (site, _proxy) = without_a_scope(&twin);
    let run = site.run("drift", &[]).expect(6);
    assert!(run.out.contains("not read") && run.out.contains("read:log_streams"), "{}", run.out);
    let plan = site.run("plan", &["--exit-code"]).expect(6);
    assert!(plan.out.contains("No changes in the part that could be read."), "{}", plan.out);
}

/// Nor do the words of the output call it so.
#[test]
fn an_incomplete_read_does_not_say_that_nothing_differs() {
    let twin = Twin::start();
    let (site, _proxy) = without_a_scope(&twin);
    let run = site.run("drift", &[]).expect(6);
    assert!(!run.out.contains("No difference between manifest and tenant."), "{}", run.out);
}

fn without_a_scope(twin: &Twin) -> (Site, super::lab::Proxy) {
    let site = Site::new(twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let body = json!({
        "statusCode": 403,
        "error": "Forbidden",
        "message": "Insufficient scope, expected any of: read:log_streams",
        "errorCode": "insufficient_scope",
    });
    let proxy = super::lab::Proxy::start(twin, move |asked, forward| {
        if asked.path.starts_with("/api/v2/log-streams") {
            return super::lab::json_reply(403, "", &body);
        }
        forward()
    });
    (site.through(&proxy), proxy)
}

#[test]
fn a_failed_read_is_a_failure() {
    let twin = Twin::start();
    let proxy = super::lab::Proxy::start(&twin, |asked, forward| {
        if asked.path == "/oauth/token" {
            let body = json!({ "error": "access_denied", "error_description": "Unauthorized" });
            return super::lab::json_reply(401, "", &body);
        }
        forward()
    });
    let site = Site::new(&twin, 1).through(&proxy);
    for (command, args) in
        [("plan", &["--exit-code"][..]), ("drift", &[]), ("apply", &["--yes"]), ("show", &[])]
    {
        let run = site.run(command, args).expect(1);
        assert!(run.err.contains("/oauth/token") && run.err.contains("401"), "{command}: {}", run.err);
        assert!(run.err.contains("help: "), "{command}: {}", run.err);
    }
}

/// A value that the tenant never shows is no difference, and is not reported as missing on record.
#[test]
fn what_cannot_be_compared_does_not_count_as_a_difference() {
    let folder = Folder::new();
    let complete = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/complete.yaml");
    let run = |command: &str, args: &[&str]| {
        super::lab::lockstep(&[command, complete, "--twin=world.json"]).args(args).folder(&folder).run()
    };
    run("apply", &["--yes"]).expect(0);
    let drift = run("drift", &[]).expect(0);
    assert_eq!(verdict(&drift), "clean");
    assert!(drift.out.contains("No difference in what can be compared."), "{}", drift.out);
    assert!(!drift.out.contains("differs."), "{}", drift.out);
    assert!(drift.out.contains("mailer_sid: unknown (not shown by the tenant, or"), "{}", drift.out);
}

/// The output names the scope that every command needs first, so that nobody has to search a log.
#[test]
fn a_missing_scope_to_read_actions_is_named() {
    let twin = Twin::start();
    let proxy = super::lab::Proxy::start(&twin, |asked, forward| {
        if asked.is("GET", "auth0", "/api/v2/actions/actions") {
            let body = json!({
                "statusCode": 403, "error": "Forbidden", "errorCode": "insufficient_scope", "message": "Insufficient scope",
            });
            return super::lab::json_reply(403, "", &body);
        }
        forward()
    });
    let site = Site::new(&twin, 1).through(&proxy);
    for command in ["plan", "drift", "show"] {
        let run = site.run(command, &[]).expect(1);
        assert!(run.err.contains("help: grant read:actions to the application"), "{command}: {}", run.err);
    }
}

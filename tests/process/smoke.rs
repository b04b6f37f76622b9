//! `smoke` as a user meets it. The twin runs no code, so the test sends what the Action would.

use std::time::{Duration, Instant};

use super::lab::{Folder, QUICKSTART, Run, Site, Twin, lockstep};

const NUMBER: &str = "+15005550006";

/// The quickstart, applied on a twin.
fn applied() -> (Twin, Site) {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let _ = site.run("apply", &["--yes"]).expect(0);
    (twin, site)
}

fn tries(twin: &Twin) -> usize {
    twin.log().iter().filter(|one| one["path"].as_str().is_some_and(|path| path.ends_with("/try"))).count()
}

#[track_caller]
fn hides_the_number(run: &Run, number: &str) {
    let digits = number.trim_start_matches('+');
    assert!(!run.out.contains(digits) && !run.err.contains(digits), "{}\n{}", run.out, run.err);
}

#[test]
fn a_number_that_must_not_be_sent_to_is_refused_before_any_request() {
    let (twin, site) = applied();
    let mark = twin.mark();
    for (number, why) in [
        ("15005550006", "is no number in E.164 form"),
        ("+1500555000x", "is no number in E.164 form"),
        ("-15005550006", "is no number in E.164 form"),
        ("+449098790000", "is a premium-rate number"),
        ("+19005550006", "is a premium-rate number"),
        ("+49112", "is an emergency number"),
        ("911", "is an emergency number"),
    ] {
        let run = site.run("smoke", &["--yes", "--to", number]).expect(64);
        assert!(run.err.contains(why), "{number}: {}", run.err);
        if number.len() > 6 {
            hides_the_number(&run, number);
        }
    }
    let _ = site.run("smoke", &["--yes"]).expect(64);
    assert_eq!(twin.mark(), mark, "no request was sent");
}

#[test]
fn it_asks_first_and_nothing_is_sent_without_a_yes() {
    let (twin, site) = applied();
    let run = site.run("smoke", &["--to", NUMBER]).expect(1);
    assert!(run.err.contains("[LS0985]") && run.err.contains("help: add --yes"), "{}", run.err);
    let run = site.lockstep("smoke", QUICKSTART, &["--to", NUMBER]).answered(&[("[y/N]", "n")]).expect(1);
    assert!(
        run.err.contains("Send one real message to the number ending in 06? It costs money."),
        "{}",
        run.err
    );
    hides_the_number(&run, NUMBER);
    assert_eq!(tries(&twin), 0);
}

#[test]
fn legacy_delivery_has_no_such_call() {
    let run =
        lockstep(&["smoke", "manifests/howto-2023.yaml", "--twin", "--yes", "--to", NUMBER]).run().expect(1);
    assert!(
        run.err.contains("the tenant has no test call") && run.err.contains("help: test by hand: "),
        "{}",
        run.err
    );
}

#[test]
fn each_hop_is_told_with_its_time_and_the_number_never() {
    let (twin, site) = applied();
    for (channel, wire) in [("sms", "sms"), ("voice", "call")] {
        let before = tries(&twin);
        let running =
            site.lockstep("smoke", QUICKSTART, &["--yes", "--to", NUMBER, "--channel", channel]).start();
        let started = Instant::now();
        while tries(&twin) == before && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (_, services) = site.twilio("verify.twilio.com", "GET", "/v2/Services", "");
        let sid = services["services"][0]["sid"].as_str().expect("a service").to_owned();
        let form = format!("To=%2B15005550006&Channel={wire}&CustomCode=123456");
        let (status, _) =
            site.twilio("verify.twilio.com", "POST", &format!("/v2/Services/{sid}/Verifications"), &form);
        assert_eq!(status, 201);
        let run = running.wait().expect(0);
        let lines: Vec<&str> = run.out.lines().collect();
        assert_eq!(lines.len(), 3, "{}", run.out);
        assert!(
            lines[0].ends_with(&format!(
                "0.0 s  asked Auth0 for a test message to the number ending in 06 ({channel})"
            )),
            "{}",
            run.out
        );
        assert!(lines[1].ends_with(" s  Auth0 took it and runs the Action"), "{}", run.out);
        assert!(
            lines[2].ends_with(&format!(" s  Verify has the attempt ({wire}, unconverted)")),
            "{}",
            run.out
        );
        assert!(run.err.contains("that of a login comes by feedback.log_stream\n"), "{}", run.err);
        hides_the_number(&run, NUMBER);
    }
    assert!(!twin.log_text().contains("5005550006"), "the twin's log has it neither");
}

#[test]
fn a_message_that_does_not_reach_verify_is_an_error() {
    let (twin, site) = applied();
    let run = site.run("smoke", &["--yes", "--to", NUMBER, "--wait", "1s"]).expect(1);
    assert!(run.out.lines().count() == 3 && run.out.contains("Verify has no attempt"), "{}", run.out);
    assert!(run.err.contains("error[LS0636]: ") && run.err.contains("  help: "), "{}", run.err);
    assert_eq!(tries(&twin), 1, "it is never sent twice");
}

#[test]
fn a_stack_that_is_not_applied_has_nothing_to_send_through() {
    let (twin, folder) = (Twin::start(), Folder::new());
    let site = Site::new(&twin, 1);
    let manifest =
        folder.write("lockstep.yaml", &std::fs::read_to_string(QUICKSTART).expect("the quickstart"));
    let run = site.lockstep("smoke", &manifest, &["--yes", "--to", NUMBER]).run().expect(1);
    assert!(
        run.err.contains("there is no phone_provider to send through: apply the manifest first"),
        "{}",
        run.err
    );
    assert_eq!(tries(&twin), 0);
}

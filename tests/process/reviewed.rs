//! Tests of reviews: what one client has planned, another one applies, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::lab::{Folder, Proxy, QUICKSTART, Run, Site, Twin, signal};

const READS: &str = "scopes=[\"read:actions\",\"read:guardian_factors\",\"read:mfa_policies\",\"read:phone_providers\",\
                     \"read:log_streams\",\"read:tenant_settings\",\"read:prompts\"]";
const QUICK: [&str; 4] = ["--build", "1ms", "--rate", "unlimited"];

/// The digest that a plan shows.
#[track_caller]
fn digest(run: &Run) -> String {
    let line = run.out.lines().find_map(|line| line.strip_prefix("Digest: "));
    line.unwrap_or_else(|| panic!("no digest:\n{}{}", run.out, run.err)).to_owned()
}

/// A refusal to carry out a plan that was not reviewed: nothing was written, and both digests are named.
#[track_caller]
fn expect_refused(twin: &Twin, mark: usize, run: &Run, expected: &str) {
    let told = format!(
        "the plan is not the one that was reviewed, nothing was changed. --expect names {expected}, and this plan has sha256:"
    );
    assert!(run.err.contains(&told) && run.err.contains("help: "), "{}", run.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
}

/// The client that reviews may only read, has other credentials at Auth0 and another commit, and runs on another machine.
/// (The twin takes another Twilio key for another account; `digests` has that case.)
#[test]
fn what_a_reading_client_planned_another_client_applies() {
    let (folder, start) = (Folder::new(), Twin::start());
    Site::new(&start, 1).run("apply", &["--yes"]).expect(0);
    let world: Json = serde_json::from_str(&start.stop()).expect("a world");
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let text = text.replace("code_length: 6", "code_length: 7");

    let twin = Twin::over(&world, &[&QUICK[..], &["--option", READS]].concat());
    let mut site = Site::new(&twin, 1);
    for (name, value) in [
        ("AUTH0_CLIENT_ID", "client-of-pull-requests"),
        ("AUTH0_CLIENT_SECRET", "Secret-Of-Pull-Requests-77"),
        ("USER", "somebody"),
        ("GITHUB_SHA", "1111111111111111111111111111111111111111"),
    ] {
        site.env.insert(name.into(), value.into());
    }
    let review = folder.write("review.yaml", &text);
    let reviewed = site.lockstep("plan", &review, &[]).run().expect(0);
    let expected = digest(&reviewed);
    let json = site.lockstep("plan", &review, &["--output", "json"]).run().expect(0).json();
    assert_eq!(json["plan"]["digest"], expected.as_str());
    assert!(reviewed.out.contains("an apply needs scopes"), "{}", reviewed.out);
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");

    let twin = Twin::over(&world, &[&QUICK[..], &["--option", "scopes=null"]].concat());
    let mut site = Site::new(&twin, 1);

    site.env.insert("GITHUB_SHA".into(), "2222222222222222222222222222222222222222".into());
    let squashed = folder.write("squashed.yaml", &format!("# squashed\n{text}"));
    let other = format!("sha256:{}", "0".repeat(64));
    let mark = twin.mark();
    let run = site.lockstep("apply", &squashed, &["--yes", "--expect", &other]).run().expect(73);
    expect_refused(&twin, mark, &run, &other);
    let audit = folder.text_path("audit");
    let args = ["--yes", "--expect", &expected.to_uppercase().replace("SHA256", "sha256"), "--audit", &audit];
    site.lockstep("apply", &squashed, &args).run().expect(0);
    let lines = folder.read("audit");
    assert!(lines.lines().count() > 3, "{lines}");
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(line["plan"], expected.as_str());
    }
    // What was applied is over.
    let mark = twin.mark();
    let run = site.lockstep("apply", &squashed, &["--yes", "--expect", &expected]).run().expect(73);
    expect_refused(&twin, mark, &run, &expected);
}

#[test]
fn a_change_in_between_is_named_by_its_field() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest = folder.write("next.yaml", &text.replace("code_length: 6", "code_length: 7"));
    let expected = digest(&site.lockstep("plan", &manifest, &[]).run().expect(0));
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": false }));
    let mark = twin.mark();
    let run = site.lockstep("apply", &manifest, &["--yes", "--expect", &expected]).run().expect(73);
    expect_refused(&twin, mark, &run, &expected);
    assert!(
        run.err.contains("changed on the tenant since the last apply: mfa_factor.otp.enabled"),
        "{}",
        run.err
    );
    assert!(run.err.contains("Steps, in order"), "what an apply would do now is shown: {}", run.err);
    let json = site.lockstep("apply", &manifest, &["--yes", "--expect", &expected, "--output", "json"]);
    let json = json.run().expect(73).json();
    assert_eq!(json["apply"]["outcome"]["ended"], "stale");
    assert!(json["apply"]["outcome"]["why"].as_str().is_some_and(|why| why.contains(&expected)), "{json}");
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": true }));
    site.lockstep("apply", &manifest, &["--yes", "--expect", &expected]).run().expect(0);
}

/// Without --yes a reviewed plan is still asked about, as a saved one is.
#[test]
fn an_expected_plan_is_asked_about_and_yes_asks_nothing() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let expected = digest(&site.run("plan", &[]).expect(0));
    let mark = twin.mark();
    let run = site.run("apply", &["--expect", &expected]).expect(1);
    assert!(run.err.contains("nobody is there to ask"), "{}", run.err);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    site.run("apply", &["--expect", &expected, "--yes"]).expect(0);
    site.expect_one_stack();
}

#[test]
fn a_malformed_digest_is_refused_before_any_request() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let digits = "0123456789abcdef".repeat(4);
    let long = format!("sha256:{digits}0");
    let odd = format!("sha256:{}g", &digits[1..]);
    for wrong in ["", "sha256:", "abc", &digits, &format!("md5:{digits}"), &long, &odd, "--yes"] {
        for command in ["apply", "destroy"] {
            let run = site.run(command, &["--yes", "--expect", wrong]).expect(64);
            assert!(run.err.contains("--expect"), "{wrong}: {}", run.err);
        }
    }
    let run = site.run("apply", &["--yes", "--output", "json", "--expect", "abc"]).expect(64);
    assert!(
        run.json()["error"]["message"].as_str().is_some_and(|text| text.contains("64 hexadecimal digits"))
    );
    assert_eq!(twin.log().len(), 0);
}

/// Another run writes the record after the plan was confirmed: the next plan of this run has to be the reviewed one,
/// too.
#[test]
fn a_plan_that_is_made_anew_within_the_run_has_to_be_the_same() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let [ours, theirs] = [("code_length: 7", "ours.yaml"), ("code_length: 8", "theirs.yaml")]
        .map(|(to, name)| folder.write(name, &text.replace("code_length: 6", to)));
    let expected = digest(&site.lockstep("plan", &ours, &[]).run().expect(0));
    let (came_first, rival) = (AtomicBool::new(false), site.clone());
    // The rival applies right before this run takes the lease.
    let proxy = Proxy::start(&twin, move |asked, forward| {
        let takes = asked.method == "POST" && asked.host.starts_with("serverless.");
        if takes && !came_first.swap(true, Ordering::SeqCst) {
            rival.lockstep("apply", &theirs, &["--yes"]).run().expect(0);
        }
        forward()
    });
    let run = site.clone().through(&proxy);
    let run = run.lockstep("apply", &ours, &["--yes", "--expect", &expected]).run().expect(73);
    assert!(run.err.contains("planning anew") && run.err.contains(&expected), "{}", run.err);
    assert_eq!(site.verify_services()[0]["code_length"], 8, "only the rival has written");
}

#[test]
fn after_a_killed_apply_the_old_digest_is_over() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let expected = digest(&site.run("plan", &[]).expect(0));
    let [reached, gone] = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
    let (at, until) = (reached.clone(), gone.clone());
    let wait = |flag: &AtomicBool| {
        let started = Instant::now();
        while !flag.load(Ordering::SeqCst) {
            assert!(started.elapsed() < Duration::from_secs(20), "nothing happens");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let proxy = Proxy::start(&twin, move |asked, forward| {
        if asked.method == "POST" && asked.path.starts_with("/api/v2/log-streams") {
            at.store(true, Ordering::SeqCst);
            wait(&until);
            return Vec::new();
        }
        forward()
    });
    let through = site.clone().through(&proxy);
    let args = ["--yes", "--lease-ttl", "1s", "--expect", &expected];
    let running = through.lockstep("apply", QUICKSTART, &args).start();
    wait(&reached);
    signal("KILL", running.id());
    assert_eq!(running.wait().code, None);
    gone.store(true, Ordering::SeqCst);
    assert_eq!(site.verify_services().len(), 1, "a part of the plan was carried out");

    let mark = twin.mark();
    let run = site.run("apply", &args).expect(73);
    expect_refused(&twin, mark, &run, &expected);
    assert!(run.err.contains("did not report its end"), "{}", run.err);
    let next = digest(&site.run("plan", &[]).expect(0));
    assert_ne!(next, expected);
    site.run("apply", &["--yes", "--lease-ttl", "1s", "--expect", &next]).expect(0);
    site.expect_one_stack();
}

#[test]
fn a_destroy_is_reviewed_as_an_apply_is() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let before = site.list("/api/v2/guardian/factors");
    let made = folder.text_path("made");
    site.run("plan", &["--out", &made]).expect(0);
    site.run("apply", &["--yes"]).expect(0);
    let [one, two] = ["one", "two"].map(|name| folder.text_path(name));
    let first = digest(&site.run("plan", &["--destroy", "--out", &one]).expect(0));
    let mark = twin.mark();

    // Each plan goes to its own command.
    let run = site.run("apply", &["--yes", "--plan", &one]).expect(73);
    assert!(
        run.err.contains("takes the stack away") && run.err.contains("lockstep destroy --plan"),
        "{}",
        run.err
    );
    let run = site.run("destroy", &["--yes", "--plan", &made]).expect(73);
    assert!(
        run.err.contains("applies the stack") && run.err.contains("lockstep apply --plan"),
        "{}",
        run.err
    );
    assert_eq!(twin.mark(), mark, "nothing was asked");
    expect_refused(&twin, mark, &site.run("apply", &["--yes", "--expect", &first]).expect(73), &first);

    // What changed in between is named.
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": false }));
    let mark = twin.mark();
    let run = site.run("destroy", &["--yes", "--plan", &one]).expect(73);
    assert!(run.err.contains("stale") && run.err.contains("mfa_factor.otp"), "{}", run.err);
    expect_refused(&twin, mark, &site.run("destroy", &["--yes", "--expect", &first]).expect(73), &first);
    site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": true }));

    assert_eq!(digest(&site.run("plan", &["--destroy", "--out", &two]).expect(0)), first);
    let run = site.run("destroy", &["--yes", "--plan", &two, "--expect", &first]).expect(0);
    assert!(run.out.contains("Done: the stack is taken away"), "{}", run.out);
    assert!(site.verify_services().is_empty() && site.actions().is_empty());
    assert_eq!(site.list("/api/v2/guardian/factors"), before);
}

#[test]
fn a_destroy_goes_by_its_digest_alone() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let expected = digest(&site.run("plan", &["--destroy"]).expect(0));
    site.run("destroy", &["--yes", "--expect", &expected]).expect(0);
    assert!(site.actions().is_empty());
}

/// Whatever is edited in a plan file, the file is refused before any request.
#[test]
fn an_edited_plan_file_is_refused() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    site.run("plan", &["--out", &file]).expect(0);
    let saved: Json = serde_json::from_str(&folder.read("plan")).expect("JSON");
    type Edit = fn(&mut Json);
    let edits: &[(&str, Edit)] = &[
        ("a step left out", |plan| drop(plan["steps"].as_array_mut().expect("steps").pop())),
        ("the order of steps", |plan| plan["steps"].as_array_mut().expect("steps").swap(0, 1)),
        ("a value", |plan| plan["resources"][0]["changes"][0]["new"] = json!(9)),
        ("a danger", |plan| plan["steps"][0]["danger"] = json!("none")),
        ("a finding", |plan| plan["findings"] = json!([])),
        ("the digest", |plan| plan["digest"] = json!(format!("sha256:{}", "0".repeat(64)))),
        ("the basis", |plan| plan["basis"] = json!("0".repeat(64))),
        ("a member more", |plan| plan["note"] = json!("harmless")),
        ("the digest of the content", |plan| plan["content"] = json!("0".repeat(64))),
    ];
    for (what, edit) in edits {
        let mut edited = saved.clone();
        edit(&mut edited);
        let edited = folder.write("edited", &edited.to_string());
        let mark = twin.mark();
        let run = site.run("apply", &["--yes", "--plan", &edited]).expect(73);
        assert!(run.err.contains("its text was changed after it was saved"), "{what}: {}", run.err);
        assert!(run.err.contains("help: plan again"), "{what}: {}", run.err);
        assert_eq!(twin.mark(), mark, "{what}: something was asked");
    }
    // A file without a digest is one of an earlier build.
    for member in ["content", "basis"] {
        let mut old = saved.clone();
        old.as_object_mut().expect("an object").shift_remove(member);
        let old = folder.write("old", &old.to_string());
        let run = site.run("apply", &["--yes", "--plan", &old]).expect(1);
        assert!(run.err.contains("plan again"), "{member}: {}", run.err);
    }
    assert_eq!(twin.writes_since(0), Vec::<String>::new());
    // Layout and order of the members are not the text.
    let mut turned = serde_json::Map::new();
    for (key, value) in saved.as_object().expect("an object").iter().rev() {
        turned.insert(key.clone(), value.clone());
    }
    let turned = folder.write("turned", &Json::Object(turned).to_string());
    site.run("apply", &["--yes", "--plan", &turned]).expect(0);
}

/// Plans as a build of November 2026 saved them.
#[test]
fn a_plan_of_an_earlier_build_is_to_be_made_again() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    for (text, command) in [
        (include_str!("../plans/apply.json"), "apply"),
        (include_str!("../plans/destroy.json"), "destroy"),
        (include_str!("../plans/destroy-former.json"), "destroy"),
    ] {
        let file = folder.write("old", text);
        let run = site.run(command, &["--yes", "--plan", &file]).expect(1);
        assert!(run.err.contains("this version of lockstep did not save it; plan again"), "{}", run.err);
    }
    assert_eq!(twin.log().len(), 0);
}

#[test]
fn a_saved_plan_and_a_digest_both_have_to_fit() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let file = folder.text_path("plan");
    let first = digest(&site.run("plan", &["--out", &file]).expect(0));
    let other = format!("sha256:{}", "0".repeat(64));
    let mark = twin.mark();
    let run = site.run("apply", &["--yes", "--plan", &file, "--expect", &other]).expect(73);
    assert!(
        run.err.contains(&format!("the saved plan has {first}, and --expect names {other}")),
        "{}",
        run.err
    );
    assert_eq!(twin.mark(), mark);
    site.run("apply", &["--yes", "--plan", &file, "--expect", &first]).expect(0);
    site.expect_one_stack();
}

/// A fork's job without secrets: the plan says how much it does not know, and nobody can apply it unseen.
#[test]
fn a_plan_without_all_values_has_no_digest() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let mut site = Site::new(&twin, 1);
    let whole = site.clone();
    site.env.remove("TWILIO_SENDER_SECRET");
    let file = folder.text_path("plan");
    let run = site.run("plan", &["--missing-as-unknown", "--out", &file]).expect(0);
    assert!(run.out.contains("\nno digest: 1 value unknown\n"), "{}", run.out);
    let plan =
        site.run("plan", &["--missing-as-unknown", "--output", "json"]).expect(0).json()["plan"].clone();
    assert_eq!((&plan["digest"], &plan["unknown_values"]), (&Json::Null, &json!(1)));
    let mark = twin.mark();
    whole.run("apply", &["--yes", "--plan", &file]).expect(73);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    site.env.retain(|name, _| !name.starts_with("AUTH0") && !name.starts_with("TWILIO"));
    let run = site.run("plan", &["--missing-as-unknown"]).expect(0);
    assert!(run.out.contains("\nno digest: ") && run.out.contains(" values unknown\n"), "{}", run.out);
}

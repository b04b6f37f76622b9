//! Tests of a client that may only read, as in the job of a pull request: plan and drift work, and apply reports which
//! scopes it lacks.

use serde_json::Value as Json;

use super::lab::{Folder, QUICKSTART, Run, Site, Twin};

const READS: &str = "scopes=[\"read:actions\",\"read:guardian_factors\",\"read:mfa_policies\",\"read:phone_providers\",\
                     \"read:log_streams\",\"read:tenant_settings\",\"read:prompts\"]";
const QUICK: [&str; 4] = ["--build", "1ms", "--rate", "unlimited"];

fn reading() -> Vec<&'static str> {
    [&QUICK[..], &["--option", READS]].concat()
}

/// The note on missing scopes, and the end of the plan.
fn noted(run: &Run) -> (&str, &str) {
    let note = run.out.lines().find(|line| line.contains("an apply needs scopes"));
    (note.unwrap_or_else(|| panic!("{}", run.out)), run.out.lines().last().unwrap_or_default())
}

#[test]
fn a_plan_with_read_scopes_alone_names_the_others_and_is_not_blocked() {
    let twin = Twin::with(&reading());
    let site = Site::new(&twin, 1);
    let run = site.run("plan", &["--exit-code"]).expect(2);
    let (note, end) = noted(&run);
    assert!(
        note.trim_start()
            .starts_with("note[LS0704]: an apply needs scopes that this access token does not have: ")
    );
    for scope in ["create:actions", "update:actions", "create:phone_providers", "update:guardian_factors"] {
        assert!(note.contains(scope), "{note}");
    }
    assert!(!note.contains("read:") && !end.contains("Blocked") && end.contains("to create"), "{}", run.out);
    site.run("plan", &[]).expect(0);
    let findings = site.run("plan", &["--output", "json"]).expect(0).json()["plan"]["findings"].clone();
    assert!(findings.as_array().expect("a list").iter().all(|one| one["level"] == "note"), "{findings}");

    let run = site.run("apply", &["--yes"]).expect(1);
    assert!(
        run.out.contains("blocked[LS0704]: the access token lacks scopes that the steps need: "),
        "{}",
        run.out
    );
    assert_eq!(twin.writes_since(0), Vec::<String>::new());
}

#[test]
fn drift_with_read_scopes_alone_tells_what_it_always_tells() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let changed = folder.write("changed.yaml", &text.replace("code_length: 6", "code_length: 7"));
    let attested = "\nattest:\n  fraud_guard: { level: standard, by: jo@acme.example, on: 2020-01-01, until: 2120-01-01 }\n";
    let found = folder.write("found.yaml", &(text.clone() + attested));
    Site::new(&twin, 1).lockstep("apply", &found, &["--yes"]).run().expect(0);
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");

    let twin = Twin::over(&world, &reading());
    let site = Site::new(&twin, 1);
    site.run("drift", &[]).expect(0);
    site.run("plan", &["--exit-code"]).expect(0);
    site.lockstep("drift", &found, &[]).run().expect(7);
    let run = site.lockstep("drift", &changed, &[]).run().expect(2);
    assert!(!run.out.contains("scopes"), "{}", run.out);
    let plan = folder.text_path("saved.plan");
    let run = site.lockstep("plan", &changed, &["--exit-code", "--out", &plan]).run().expect(2);
    noted(&run);
    site.run("destroy", &["--yes"]).expect(1);
    assert!(site.run("plan", &["--destroy"]).expect(0).out.contains("delete:actions"));
    site.lockstep("apply", &changed, &["--yes"]).run().expect(1);
    assert_eq!(twin.writes_since(0), Vec::<String>::new());
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");

    // Both clients make the same plan, and a client with the right scopes can apply it.
    let twin = Twin::over(&world, &[&QUICK[..], &["--option", "scopes=null"]].concat());
    let site = Site::new(&twin, 1);
    site.lockstep("apply", &changed, &["--plan", &plan, "--yes"]).run().expect(0);
}

#[test]
fn a_twilio_key_that_only_reads_plans_and_the_first_write_of_an_apply_says_so() {
    let mut args = QUICK.to_vec();
    args.extend(["--fault", "POST twilio.com/: 403, always"]);
    let twin = Twin::with(&args);
    let site = Site::new(&twin, 1);
    let run = site.run("plan", &["--exit-code"]).expect(2);
    let key = &site.env["TWILIO_API_KEY"];
    let note = format!("note[LS0705]: a plan does not test whether the Twilio key {key} may write");
    assert!(run.out.contains(&note), "{}", run.out);
    let run = site.run("apply", &["--yes"]).expect(1);
    let told = format!("the key {key} (twilio.api_key) may not do this: it needs write access to Serverless");
    assert!(run.err.contains(&told), "{}", run.err);
    assert!(!run.out.contains(&note), "{}", run.out);
    let taken: Vec<String> = twin.writes_since(0);
    assert!(
        taken.iter().all(|line| line.starts_with("POST serverless.twilio.com /v1/Services")),
        "{taken:?}"
    );
    assert!(site.actions().is_empty() && site.verify_services().is_empty());
}

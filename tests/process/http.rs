//! Tests the basic runs in two processes over HTTP.

use serde_json::json;

use super::lab::{Folder, QUICKSTART, Site, Twin, lockstep};

#[test]
fn the_whole_life_of_a_stack_in_two_processes() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);

    let plan = site.run("plan", &["--exit-code"]).expect(2);
    assert!(plan.out.contains("9 steps"), "{}", plan.out);
    assert_eq!(twin.writes_since(0), Vec::<String>::new(), "a plan writes nothing");

    let applied = site.run("apply", &["--yes"]).expect(0);
    assert!(applied.out.contains("Done: 9 steps applied."), "{}", applied.out);
    site.expect_one_stack();

    let mark = twin.mark();
    let second = site.run("apply", &["--yes"]).expect(0);
    assert!(second.out.contains("No changes"), "{}", second.out);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new(), "a second apply writes nothing");
    site.run("plan", &["--exit-code"]).expect(0);
    let clean = site.run("drift", &[]).expect(0);
    assert!(clean.out.contains("Verdict: clean"), "{}", clean.out);

    // A change on the tenant that the program does not know of.
    let (status, _) = site.auth0("PUT", "/api/v2/guardian/factors/otp", &json!({ "enabled": false }));
    assert_eq!(status, 200);
    let drift = site.run("drift", &[]).expect(3);
    assert!(drift.out.contains("mfa_factor.otp") && drift.out.contains("[tenant changed]"), "{}", drift.out);
    let mended = site.run("apply", &["--yes"]).expect(0);
    assert!(mended.out.contains("Done: 1 step applied."), "{}", mended.out);
    site.run("drift", &[]).expect(0);
    site.expect_one_stack();

    site.run("destroy", &["--yes"]).expect(0);
    assert_eq!(site.actions().len(), 0, "{:?}", site.actions());
    assert_eq!(site.verify_services().len(), 0);
    assert_eq!(site.list("/api/v2/log-streams").len(), 0);
    assert!(!site.is_leased());
    let mark = twin.mark();
    site.run("destroy", &["--yes"]).expect(0);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new(), "a second destroy writes nothing");
}

#[test]
fn two_tenants_on_one_server_are_told_apart_by_host_name() {
    let twin = Twin::start();
    let sites = [Site::new(&twin, 1), Site::new(&twin, 2)];
    let running: Vec<_> =
        sites.iter().map(|site| site.lockstep("apply", QUICKSTART, &["--yes"]).start()).collect();
    for run in running {
        run.wait().expect(0);
    }
    sites.iter().for_each(Site::expect_one_stack);
    let sid = |site: &Site| site.verify_services()[0]["sid"].clone();
    assert_ne!(sid(&sites[0]), sid(&sites[1]));
    sites[0].run("destroy", &["--yes"]).expect(0);
    assert_eq!(sites[0].verify_services().len(), 0);
    sites[1].expect_one_stack();
    sites[1].run("drift", &[]).expect(0);
    let hosts: Vec<_> =
        twin.log().iter().map(|entry| entry["host"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(hosts.iter().any(|host| host == "tenant-1.eu.auth0.com"), "the log names hosts as asked for");
}

#[test]
fn the_served_world_is_kept_in_its_file() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let world = twin.stop();
    let world: serde_json::Value = serde_json::from_str(&world).expect("a world is JSON");
    let actions = world["world"]["tenants"]["tenant-1.eu.auth0.com"]["actions"].as_array().expect("actions");
    assert_eq!(actions.len(), 2);
}

/// With the free plan's limits, a run is slow, and the user sees no refusal.
#[test]
fn a_plan_keeps_to_the_rate_limit() {
    let twin = Twin::with(&["--build", "1ms", "--rate", "free"]);
    let site = Site::new(&twin, 1);
    site.run("plan", &[]).expect(0);
    let refused = twin.log().into_iter().filter(|entry| entry["status"] == 429).count();
    assert_eq!(refused, 0, "{:?}", twin.log());
}

/// A run on the in-process twin simulates minutes in a moment. A server of that world must not start before the world's
/// time.
#[test]
fn a_world_that_is_ahead_of_the_clock_is_served_as_it_is() {
    let folder = Folder::new();
    let world = folder.text_path("world");
    let env = Site::env_of(1);
    let with_env = |args: &[&str]| lockstep(args).envs(&env);
    with_env(&["apply", QUICKSTART, "--yes", &format!("--twin={world}")]).run().expect(0);
    let twin = Twin::with_world(&world);
    let drift = with_env(&["drift", QUICKSTART, "--via", &twin.url()]).run().expect(0);
    assert!(drift.out.contains("Verdict: clean"), "{}", drift.out);
}

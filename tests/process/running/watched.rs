//! `apply --watch` over a served twin in which the code of a login runs: what it reads in the tenant log was written by
//! code that threw.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::super::lab::{Folder, QUICKSTART, Site, Twin};
use super::super::logins::{PAGE, hops, location};

const WORKS: &str = "exports.onExecuteCustomPhoneProvider = async () => {};\n";
const THROWS: &str =
    "exports.onExecuteCustomPhoneProvider = async () => { throw new RangeError('the second revision'); };\n";

/// A user signs in and gives a number, so that the deployed Action sends.
fn asks_for_a_code(twin: &Twin, site: &Site) {
    let start = location(twin, "GET", &format!("{PAGE}/begin"), "");
    let page = location(twin, "GET", &start, "");
    let state = page.split_once("state=").expect("a state").1.to_owned();
    let at = format!("{PAGE}/at/{}/u", site.domain);
    let form = format!("state={state}&username=jo%40acme.example&password=twin-password");
    location(twin, "POST", &format!("{at}/login"), &form);
    let form = format!("state={state}&phone=%2B15005550006&channel=sms");
    location(twin, "POST", &format!("{at}/mfa-sms-enrollment"), &form);
}

fn crashes(site: &Site) -> Vec<Json> {
    let mut logs = site.list("/api/v2/logs?per_page=50");
    logs.retain(|entry| entry["type"] == "actions_execution_failed");
    logs
}

#[test]
#[ignore = "needs Node.js 22; .ci/run runs it"]
fn an_action_that_throws_in_a_login_is_seen_by_the_watch_and_taken_back() {
    let folder = Folder::new();
    let quickstart = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let asked = quickstart.replace("  # policy: always ", "  policy: always ");
    assert_ne!(asked, quickstart, "everybody is asked");
    let manifest = |name: &str, code: &str| {
        folder.write(&format!("{name}.js"), code);
        folder.write(
            &format!("{name}.yaml"),
            &asked.replace("builtin:twilio-verify-fetch", &format!("./{name}.js")),
        )
    };
    let (works, throws) = (manifest("works", WORKS), manifest("throws", THROWS));

    let twin = Twin::with(&["--build", "1ms", "--rate", "unlimited"]);
    Site::new(&twin, 1).lockstep("apply", &works, &["--yes"]).run().expect(0);
    let world: Json = serde_json::from_str(&twin.stop()).expect("a world");
    let twin = Twin::over_with_node(&world, &["--login", "--build", "1ms", "--rate", "unlimited"]);
    let site = Site::new(&twin, 1);
    asks_for_a_code(&twin, &site);
    assert_eq!(crashes(&site), Vec::<Json>::new(), "the first version sends: {:#?}", hops(&twin));

    let apply = site.lockstep("apply", &throws, &["--yes", "--watch", "2m"]).start();
    let began = Instant::now();
    while crashes(&site).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing threw: {:#?}", hops(&twin));
        sleep(Duration::from_millis(500));
        asks_for_a_code(&twin, &site);
    }
    // What is logged in the second of the deployment may be of the version before, and counts for nobody.
    for _ in 0..3 {
        sleep(Duration::from_millis(1500));
        asks_for_a_code(&twin, &site);
    }
    let run = apply.wait().expect(1);
    assert!(run.err.contains("error[LS0620]: watch from "), "{}", run.err);
    assert!(
        run.err.contains("of the running version failed") && run.err.contains("; the run was taken back"),
        "{}",
        run.err
    );
    let crash = &crashes(&site)[0]["details"];
    assert_eq!(crash["error_class"], json!("RangeError"), "{crash}");
    assert_eq!(crash["action_error"]["message"], json!("the second revision"), "{crash}");

    // The first version runs again.
    let count = crashes(&site).len();
    asks_for_a_code(&twin, &site);
    assert_eq!(crashes(&site).len(), count, "{:#?}", hops(&twin));
    site.lockstep("drift", &works, &[]).run().expect(0);
}

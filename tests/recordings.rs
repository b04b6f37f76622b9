//! Tests of the tool that replays recordings against the twin, on small recordings of our own in the three forms.
//!
//! A match of the twin proves little. The counts of the tool are worth something because the tool fails for each of the
//! ways in which a twin can be wrong, which is tested here. The counts on real recordings are made by `.ci/run` and
//! manually, see `examples/replay_recordings.rs`.

use std::path::Path;

use serde_json::{Value, json};

mod tool;

pub use self::tool::used;

use self::tool::load::{self, Exchange};
use self::tool::replay::{self, Outcome};
use self::tool::{Half, Report};

fn data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/data")
}

/// Recorded exchanges of one tenant: method, path, body sent, status, reply.
fn life(list: &[(&str, &str, Value, u16, Value)]) -> Vec<Exchange> {
    let exchanges: Vec<Value> = list
        .iter()
        .map(|(method, path, sent, status, reply)| {
            json!({"request": {"method": method, "path": format!("/api/v2{path}"), "body": sent},
                "response": {"status": status, "body": reply}})
        })
        .collect();
    let parts =
        load::parse("made.json", &json!({ "exchanges": exchanges }).to_string()).expect("a recording");
    assert_eq!(parts.len(), 1);
    parts.concat()
}

fn replayed(list: &[(&str, &str, Value, u16, Value)]) -> Vec<Outcome> {
    replay::replay(&life(list))
}

fn reasons(outcome: &Outcome) -> Vec<String> {
    outcome.differences.iter().map(|one| format!("{}: {}", one.at, one.what)).collect()
}

#[test]
fn recordings_of_all_three_forms_match() {
    let report = tool::run(&data(), Half::Both).expect("the folder");
    let (used, text) = (report.used(), report.text(true, true));
    assert_eq!(report.files, 3, "{text}");
    assert_eq!((used.total, used.matched, used.equal), (18, 18, 18), "{text}");
    let served = report.sum(used::Group::Served);
    assert_eq!((served.total, served.matched, served.equal), (1, 1, 1), "{text}");
    // An exchange on an endpoint that the twin does not have counts as a failure.
    assert_eq!(report.mismatches.len(), 1, "{text}");
    let rows = report.json()["rows"].as_array().cloned().unwrap_or_default();
    let sum: u64 = rows.iter().filter_map(|row| row["total"].as_u64()).sum();
    assert_eq!(sum, 20, "every exchange is in a row");
    assert!(text.contains("GET /roles 2xx: 0/1 (0, 0, 0)"), "{text}");
    assert!(
        text.contains("not recorded at all: GET /actions/actions, PATCH /actions/actions/{id}, "),
        "{text}"
    );
}

#[test]
fn a_half_is_every_second_line_of_the_sorted_names() {
    let files = |half| tool::run(&data(), half).expect("the folder").files;
    assert_eq!((files(Half::Even), files(Half::Odd)), (1, 2));
    assert!(tool::run(Path::new("no such folder"), Half::Both).is_err());
}

#[test]
fn each_way_of_being_wrong_is_seen() {
    let factor = |reply: Value| ("PUT", "/guardian/factors/otp", json!({"enabled": true}), 200, reply);
    let wrong = |status: u16, reply: Value| {
        let mut one = factor(reply);
        one.3 = status;
        let outcomes = replayed(&[one]);
        assert!(!outcomes[0].equals());
        (outcomes[0].matches(), reasons(&outcomes[0]).join("; "))
    };
    let expected = [
        (wrong(404, json!({})), false, "status: 404 was recorded, the twin answers 200"),
        (wrong(200, json!({"enabled": true, "name": "otp"})), false, ".name: missing in the twin"),
        (wrong(200, json!({})), false, ".enabled: not recorded, the twin has it"),
        (
            wrong(200, json!({"enabled": "true"})),
            false,
            ".enabled: a string was recorded, the twin has a boolean",
        ),
        (wrong(200, json!({"enabled": false})), true, ".enabled: false was recorded, the twin has true"),
        (wrong(200, json!([true])), false, "body: a list was recorded, the twin has an object"),
    ];
    for ((matches, reason), expected_match, expected_reason) in expected {
        assert_eq!((matches, reason.as_str()), (expected_match, expected_reason));
    }
    assert!(replayed(&[factor(json!({"enabled": true}))])[0].equals());
}

#[test]
fn a_list_of_another_length_or_with_another_item_is_seen() {
    let read = |reply: Value| ("GET", "/guardian/policies", Value::Null, 200, reply);
    let set = ("PUT", "/guardian/policies", json!(["all-applications"]), 200, json!(["all-applications"]));
    let outcomes = replayed(&[set.clone(), read(json!([]))]);
    assert_eq!(reasons(&outcomes[1]), ["[]: 0 items were recorded, the twin has 1"]);
    let outcomes = replayed(&[set, read(json!(["all-applications"]))]);
    assert!(outcomes[1].equals());

    let trigger = json!({"triggers": [{"id": "made-up", "version": "v1"}]});
    let outcomes = replayed(&[("GET", "/actions/triggers", Value::Null, 200, trigger)]);
    assert!(!outcomes[0].matches());
}

#[test]
fn an_unknown_method_or_endpoint_and_a_broken_file_count_as_failures() {
    let exchanges = life(&[
        ("TRACE", "/prompts", Value::Null, 200, json!({})),
        ("GET", "/nothing", Value::Null, 200, json!([])),
    ]);
    let outcomes = replay::replay(&exchanges);
    assert!(outcomes.iter().all(|outcome| !outcome.matches()));
    let mut report = Report::default();
    report.add("made.json", &exchanges, &outcomes);
    assert_eq!(report.used().total, 0);
    assert_eq!(report.used().percent(), 0.0, "nothing measured is no success");
    report.unreadable("broken.json", "not JSON");
    assert_eq!((report.used().total, report.used().matched), (1, 0));
    assert!(load::parse("broken.json", "{").is_err());
    assert!(load::parse("broken.yaml", "interactions: 3").is_err());
}

#[test]
fn a_redacted_reply_excuses_what_its_recorder_may_have_done_and_no_more() {
    let client =
        |reply: Value| replayed(&[("POST", "/clients", json!({"name": "a"}), 201, reply)])[0].clone();
    let rewritten = json!({"name": "a", "client_id": "aaaaaaaaaaaaaaaa", "client_secret": "[REDACTED]"});
    assert!(client(rewritten.clone()).matches(), "keys it dropped");
    let mut invented = rewritten.clone();
    invented["made_up"] = json!(1);
    assert_eq!(reasons(&client(invented)), [".made_up: missing in the twin"]);
    let mut mistyped = rewritten;
    mistyped["is_first_party"] = json!("yes");
    assert!(!client(mistyped).matches());
    let bare = json!({"name": "a", "client_id": "aaaaaaaaaaaaaaaa"});
    assert!(!client(bare).matches(), "nothing is redacted, so nothing is excused");
}

#[test]
fn what_was_there_before_is_put_in_and_marked() {
    let stream = json!({"id": "lst_0000000000000007", "name": "old", "type": "http", "status": "paused",
        "sink": {"httpEndpoint": "https://x.example/"}, "isPriority": false});
    let mut active = stream.clone();
    active["status"] = json!("active");
    let path = "/log-streams/lst_0000000000000007";
    let outcomes = replayed(&[
        ("PATCH", path, json!({"status": "active"}), 200, active.clone()),
        ("GET", path, Value::Null, 200, active),
        ("GET", "/log-streams", Value::Null, 200, json!([stream])),
        ("DELETE", path, Value::Null, 204, Value::Null),
        ("GET", path, Value::Null, 404, json!({"statusCode": 404, "error": "Not Found", "message": "gone"})),
    ]);
    let summary: Vec<(bool, bool)> =
        outcomes.iter().map(|outcome| (outcome.matches(), outcome.seeded)).collect();
    assert_eq!(summary, [(true, true), (true, false), (true, false), (true, false), (true, false)]);
    assert_eq!(
        reasons(&outcomes[2]),
        [r#"[].status: "paused" was recorded, the twin has "active""#],
        "the replay goes on from the seed, not from later replies"
    );
}

#[test]
fn a_setting_is_seeded_without_what_the_recording_wrote() {
    let outcomes = replayed(&[
        (
            "PATCH",
            "/branding",
            json!({"logo_url": "https://x.example/a.png"}),
            200,
            json!({
            "logo_url": "https://x.example/a.png", "colors": {"primary": "#000000"}}),
        ),
        ("GET", "/branding", Value::Null, 200, json!({"logo_url": "https://x.example/a.png"})),
    ]);
    assert!(!outcomes[0].matches(), "the read says that there were no colours");
    assert_eq!(reasons(&outcomes[0]), [".colors: missing in the twin"]);
    assert!(outcomes[1].equals());
}

/// A replay that does not begin with the recorded state of a setting counts its first read as a mistake of the twin.
#[test]
fn every_setting_in_use_is_put_into_the_twin_first() {
    let seed = include_str!("recordings/tool/seed.rs");
    let calls: Vec<String> = used::calls().filter(|call| !call.contains('{')).collect();
    let reads = calls.iter().filter_map(|call| call.strip_prefix("GET "));
    let settings = reads.filter(|path| {
        calls
            .iter()
            .any(|call| matches!(call.split_once(' '), Some(("PUT" | "PATCH", other)) if other == *path))
    });
    for path in settings {
        let last = path.rsplit('/').next().unwrap_or_default();
        assert!(
            seed.contains(&format!("/{last}\"")),
            "GET {path}: add it to `begin` in tests/recordings/tool/seed.rs"
        );
    }
}

/// Readers of the manual judge the twin by the list of endpoints there.
#[test]
fn every_endpoint_in_use_is_in_the_manual() {
    let manual = include_str!("../docs/twin-fidelity.md");
    for call in used::calls() {
        let path = call.split_once(' ').map(|(_, path)| path).unwrap_or_default();
        let begin = path.split("/{").next().unwrap_or_default().trim_start_matches("/guardian/factors/phone");
        assert!(
            manual.contains(begin),
            "{call}: docs/twin-fidelity.md does not say whether a recording has it"
        );
    }
}

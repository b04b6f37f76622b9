//! `doctor` as a user meets it: its exit codes, its forms, and what it never prints.

use serde_json::{Value as Json, json};

use super::lab::{Folder, QUICKSTART, Run, lockstep};

const DAY_MS: u64 = 24 * 60 * 60_000;

/// A folder with the quickstart applied on a twin in a file, two days ago.
struct Lab(Folder);

impl Lab {
    fn new() -> Lab {
        let folder = Folder::new();
        folder.write("lockstep.yaml", &std::fs::read_to_string(QUICKSTART).expect("the quickstart"));
        let lab = Lab(folder);
        let _ = lab.run("apply", &["--yes"]).expect(0);
        lab.world(|file| file["clock_ms"] = json!(file["clock_ms"].as_u64().expect("a time") + 2 * DAY_MS));
        lab
    }

    #[must_use]
    fn run(&self, command: &str, args: &[&str]) -> Run {
        lockstep(&[command, "lockstep.yaml", "--twin=world.json"]).args(args).folder(&self.0).run()
    }

    /// Changes the twin's file.
    fn world(&self, change: impl FnOnce(&mut Json)) {
        let mut file: Json = serde_json::from_str(&self.0.read("world.json")).expect("a world");
        change(&mut file);
        self.0.write("world.json", &file.to_string());
    }

    /// The only tenant.
    fn tenant(&self, change: impl FnOnce(&mut Json)) {
        self.world(|file| {
            let tenants = file["world"]["tenants"].as_object_mut().expect("tenants");
            change(tenants.values_mut().next().expect("a tenant"));
        });
    }

    /// So many sends of the last hour, of which none is completed.
    fn sends(&self, count: usize) {
        self.world(|file| {
            let at_ms = file["clock_ms"].as_u64().expect("a time") - 3_600_000;
            let all: Vec<Json> = (0..count)
                .map(|n| {
                    json!({ "sid": format!("VE{n:032x}"), "to": format!("+1500555{n:04}"), "channel": "sms",
                        "status": "pending", "created_at_ms": at_ms, "updated_at_ms": at_ms, "sends": [at_ms] })
                })
                .collect();
            let accounts = file["world"]["accounts"].as_object_mut().expect("accounts");
            let services = accounts.values_mut().flat_map(|one| one["verify_services"].as_array_mut().expect("services"));
            services.for_each(|service| service["verifications"] = json!(all));
        });
    }
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding() {
    let lab = Lab::new();
    let run = lab.run("doctor", &[]).expect(0);
    assert!(
        run.out.lines().next().is_some_and(|line| line.starts_with("Stack acme-login on ")),
        "{}",
        run.out
    );
    lab.sends(19);
    let run = lab.run("doctor", &[]).expect(0);
    assert!(run.out.contains("note[LS0632]: log_stream: too few to tell: 0 of 19"), "{}", run.out);

    // A warning.
    let masked = json!({ "log_id": "1", "type": "gd_auth_succeed", "date": "", "user_id": "auth0|a",
        "details": { "authenticator": { "phone_number": "+1500*****06" } } });
    lab.world(|file| {
        let at = i64::try_from(file["clock_ms"].as_u64().expect("a time") - 60_000).expect("a time");
        let at = jiff::Timestamp::from_millisecond(at).expect("a time");
        let mut event = masked.clone();
        event["date"] = json!(at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
        let tenants = file["world"]["tenants"].as_object_mut().expect("tenants");
        tenants.values_mut().for_each(|tenant| tenant["logs"] = json!([event]));
    });
    let run = lab.run("doctor", &[]).expect(7);
    assert!(
        run.out.contains("warning[LS0633]: log_stream: 1 login of the last 24 hours got no feedback"),
        "{}",
        run.out
    );
    assert!(!run.out.contains("1500"), "no part of a number is told: {}", run.out);

    // A part that cannot be read comes before a warning.
    let granted = |lab: &Lab, scopes: Json| {
        lab.world(|file| file["options"]["scopes"] = scopes);
        lab.tenant(|tenant| tenant["tokens"] = json!([]));
    };
    let scopes = lab.run("doctor", &["--output", "json"]).json()["doctor"]["scopes"].clone();
    let all: Vec<&str> = ["plan", "apply"]
        .into_iter()
        .flat_map(|key| scopes[key].as_array().expect("a list"))
        .filter_map(Json::as_str)
        .collect();
    let without: Vec<&&str> = all.iter().filter(|scope| **scope != "read:logs").collect();
    granted(&lab, json!(without));
    let run = lab.run("doctor", &[]).expect(6);
    assert!(
        run.out.contains("not read[LS0704]: auth0.client_id: ") && run.out.contains("read:logs"),
        "{}",
        run.out
    );

    // An error comes before that.
    lab.sends(20);
    let run = lab.run("doctor", &[]).expect(1);
    assert!(run.out.contains("error[LS0630]: log_stream: 0 of 20 verifications"), "{}", run.out);
    let first = run.out.lines().find(|line| line.contains("[LS")).expect("a finding");
    assert!(first.starts_with("error["), "the worst comes first: {}", run.out);
    granted(&lab, json!(all));
    lab.sends(0);
    lab.tenant(|tenant| tenant["logs"] = json!([]));
    let _ = lab.run("doctor", &[]).expect(0);
}

#[test]
fn each_finding_is_two_lines_and_in_json_has_all_of_its_members() {
    let lab = Lab::new();
    lab.sends(20);
    lab.tenant(|tenant| tenant["log_streams"][0]["status"] = json!("paused"));
    let run = lab.run("doctor", &[]).expect(1);
    let lines: Vec<&str> = run.out.lines().skip_while(|line| !line.contains("[LS")).collect();
    for pair in lines.chunks(2) {
        assert!(pair[0].contains("[LS") && pair[1].starts_with("  help: "), "{pair:?}");
    }
    let document = lab.run("doctor", &["--output", "json"]).expect(1).json();
    let findings = document["doctor"]["findings"].as_array().expect("findings");
    assert_eq!(findings.len() * 2, lines.len(), "{document:#}");
    assert!(
        findings.iter().all(|one| one["help"].as_str().is_some_and(|help| !help.is_empty())),
        "{findings:#?}"
    );
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!(document["doctor"]["conversion"]["verdict"], "none");
    assert_eq!(document["doctor"]["stream"]["status"], "paused");
    for form in ["markdown", "sarif", "junit", "github"] {
        let run = lab.run("doctor", &["--output", form]).expect(1);
        assert!(run.out.contains("LS0630"), "{form}: {}", run.out);
    }
}

#[test]
fn the_floor_can_be_chosen_and_is_a_percentage() {
    let lab = Lab::new();
    lab.sends(20);
    lab.world(|file| {
        let accounts = file["world"]["accounts"].as_object_mut().expect("accounts");
        let services =
            accounts.values_mut().flat_map(|one| one["verify_services"].as_array_mut().expect("services"));
        for service in services {
            service["verifications"].as_array_mut().expect("a list")[..12]
                .iter_mut()
                .for_each(|one| one["status"] = json!("approved"));
        }
    });
    let _ = lab.run("doctor", &[]).expect(0);
    let run = lab.run("doctor", &["--conversion", "61"]).expect(7);
    assert!(run.out.contains("12 of 20 verifications of the last 24 hours were completed (60%), which is below the floor of 61%"), "{}", run.out);
    let _ = lab.run("doctor", &["--conversion", "101"]).expect(64);
}

#[test]
fn a_fleet_is_looked_at_one_tenant_at_a_time() {
    let fleet = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/fleet/fleet.yaml");
    let run = lockstep(&["doctor", fleet, "--twin"]).run().expect(64);
    assert!(run.err.contains("help: name the tenant with --tenant NAME"), "{}", run.err);
}

/// It sends no write, whatever it finds.
#[test]
fn it_writes_nothing() {
    let (twin, folder) = (super::lab::Twin::start(), Folder::new());
    let site = super::lab::Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest = folder.write("lockstep.yaml", &text);
    for _ in 0..2 {
        let mark = twin.mark();
        let _ = site.lockstep("doctor", &manifest, &[]).run().expect(0);
        assert_eq!(twin.writes_since(mark), Vec::<String>::new());
        let _ = site.lockstep("apply", &manifest, &["--yes"]).run().expect(0);
    }
}

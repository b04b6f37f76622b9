//! Tests of fleets whose tenants share a Verify service and a Function: who goes first, who last, and what is asked.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::lab::{Folder, Run, Site, Twin, lockstep};

const BASE: &str = include_str!("../../manifests/fleet/base.yaml");
const HUB: &str = "\
verify_service: { use: null, friendly_name: Acme, code_length: 6 }
feedback:
  function:
    code: builtin:verify-feedback
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
  log_stream: { endpoint: null, authorization: \"${generated.feedback}\" }
";
const ONE_WAVE: &str = "rollout: { budget: { wave: 5 }, gates: [applied, stream] }\n";

/// A hub and those that take from it, in one Twilio account, on a served twin.
struct Fleet {
    folder: Folder,
    env: BTreeMap<String, String>,
    twin: Twin,
}

impl Fleet {
    /// The table has the names in this order.
    fn new(names: &[&str], rollout: &str) -> Fleet {
        let (folder, twin) = (Folder::new(), Twin::with(&["--build", "1ms", "--rate", "unlimited"]));
        let account = Site::env_of(1);
        let mut env = BTreeMap::from([
            ("USER".to_owned(), "tester".to_owned()),
            ("HOSTNAME".to_owned(), "tests".to_owned()),
            ("TWILIO_FEEDBACK_KEY".to_owned(), account["TWILIO_SENDER_KEY"].clone()),
            ("TWILIO_FEEDBACK_SECRET".to_owned(), account["TWILIO_SENDER_SECRET"].clone()),
        ]);
        let mut table = "name,domain,account_sid,brand\n".to_owned();
        for (at, name) in names.iter().enumerate() {
            let own = Site::env_of(at as u64 + 1);
            let key = name.to_uppercase().replace('-', "_");
            for (name, value) in &own {
                let of = if name.starts_with("TWILIO") { &account[name] } else { value };
                env.insert(format!("{name}_{key}"), of.clone());
            }
            table += &format!("{name},{},{},Acme\n", own["AUTH0_DOMAIN"], account["TWILIO_ACCOUNT_SID"]);
        }
        folder.write("tenants.csv", &table);
        let base = BASE
            .replace(
                "  friendly_name: ${tenant.brand}\n  code_length: 6\n",
                "  use: ${tenants.acme-hub.verify_service.sid}\n",
            )
            .replace(
                "https://feedback.acme.example/${tenant.name}",
                "${tenants.acme-hub.feedback_function.url}",
            )
            .replace("${generated.feedback}", "${tenants.acme-hub.feedback.authorization}");
        folder.write("base.yaml", &base);
        folder.write("hub.yaml", HUB);
        let fleet = Fleet { folder, env, twin };
        fleet.says(rollout);
        fleet
    }

    /// Writes the fleet file with this end.
    fn says(&self, rollout: &str) {
        let head = "lockstep: v1\nfleet: acme\nbase: base.yaml\ntenants: { file: tenants.csv }\noverlays:\n  - { match: { name: acme-hub }, merge: hub.yaml }\n";
        self.folder.write("fleet.yaml", &format!("{head}{rollout}"));
    }

    fn run(&self, command: &str, args: &[&str]) -> Run {
        let file = self.folder.text_path("fleet.yaml");
        lockstep(&[command, &file, "--via", &self.twin.url()]).args(args).envs(&self.env).run()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = self.folder.read(file);
        assert!(text.contains(from), "{from}");
        self.folder.write(file, &text.replace(from, to));
    }

    /// The requests of a command that ends with 0.
    fn asked(&self, command: &str, args: &[&str]) -> usize {
        let mark = self.twin.mark();
        self.run(command, args).expect(0);
        self.twin.mark() - mark
    }

    fn site(&self, n: u64) -> Site {
        let mut env = Site::env_of(1);
        for (name, value) in Site::env_of(n).into_iter().filter(|(name, _)| name.starts_with("AUTH0")) {
            env.insert(name, value);
        }
        Site::with_env(&self.twin, env)
    }

    /// SIDs of the Verify services that the deployed code of a tenant names, by what Auth0 lets anybody read.
    fn stream(&self, n: u64) -> Json {
        self.site(n).auth0("GET", "/api/v2/log-streams", &Json::Null).1[0]["sink"].clone()
    }
}

#[test]
fn a_hub_goes_first_and_hands_its_outputs_on_in_the_same_rollout() {
    // Those that take from the hub stand above it in the table.
    let fleet = Fleet::new(&["acme-a", "acme-b", "acme-hub"], ONE_WAVE);
    let run = lockstep(&["validate", &fleet.folder.text_path("fleet.yaml")]).run().expect(0);
    assert!(run.out.contains("valid, 3 tenants in 1 wave"), "{}", run.out);
    let run = fleet.run("plan", &["--exit-code"]).expect(2);
    assert!(!run.out.contains("unknown"), "{}", run.out);
    let first = fleet.run("plan", &["--output", "json"]).expect(0).json();
    let resources = first["fleet"]["tenants"][0]["plan"]["resources"].as_array().expect("resources");
    let stream = resources.iter().find(|one| one["address"] == "log_stream").expect("the stream");
    assert!(stream["changes"].to_string().contains("known after apply"), "{stream}");
    let digest = first["fleet"]["digest"].as_str().expect("a digest").to_owned();
    let run = fleet.run("rollout", &["--yes", "--expect", &digest]).expect(0);
    assert!(run.out.contains("Done: 3 applied, 0 unchanged."), "{}\n{}", run.out, run.err);
    let at = |words: &str| run.err.find(words).unwrap_or_else(|| panic!("{words}: {}", run.err));
    assert!(at("acme-hub applied") < at("acme-a applied").min(at("acme-b applied")), "{}", run.err);
    // One service and one Function for all, and each stream brings the same secret to it.
    assert_eq!(fleet.site(1).verify_services().len(), 1);
    let own = fleet.stream(3);
    assert!(own["httpEndpoint"].as_str().is_some_and(|url| url.ends_with("/auth0-logs")), "{own}");
    for n in [1, 2] {
        let theirs = fleet.stream(n);
        for key in ["httpEndpoint", "httpAuthorization"] {
            assert_eq!(theirs[key], own[key], "{n} {key}");
        }
    }
    let secret = own["httpAuthorization"].as_str().expect("a secret");
    assert!(!run.out.contains(secret) && !run.err.contains(secret), "the secret is told");
    let run = fleet.run("plan", &["--exit-code"]).expect(0);
    assert!(run.out.contains("No changes in 3 tenants."), "{}", run.out);
    fleet.run("drift", &[]).expect(0);
    let run = fleet.run("rollout", &["--yes"]).expect(0);
    assert!(run.out.contains("Done: 0 applied, 3 unchanged."), "{}", run.out);

    // The hub costs nothing more than its own plan, and is read for one tenant alone as well.
    let all = fleet.asked("plan", &[]);
    let [hub, a, b] = ["acme-hub", "acme-a", "acme-b"].map(|name| fleet.asked("plan", &["--tenant", name]));
    assert_eq!(all, a + b - hub, "{a} and {b} read the hub ({hub}) too");
    let run = fleet.run("plan", &["--tenant", "acme-a"]).expect(0);
    assert!(run.out.contains("No changes in 1 tenant."), "{}", run.out);
    let run = fleet.run("status", &["--tenant", "acme-a"]).expect(0);
    assert!(!run.out.contains("unknown"), "{}", run.out);
    // A change of a taker is taken back with the hub's service in place.
    fleet.change("base.yaml", "voice]", "voice]\n  protection: exponential");
    fleet.run("rollout", &["--yes", "--skip", "acme-b=later"]).expect(0);
    fleet.run("rollback", &["--tenant", "acme-a", "--yes"]).expect(0);
    assert_eq!(fleet.site(1).verify_services().len(), 1);
}

#[test]
fn a_hub_goes_last_on_destroy() {
    let fleet = Fleet::new(&["acme-hub", "acme-a"], ONE_WAVE);
    fleet.run("rollout", &["--yes"]).expect(0);
    let mark = fleet.twin.mark();
    let run = fleet.run("destroy", &["--tenant", "acme-hub", "--yes"]).expect(1);
    assert!(
        run.err.contains("acme-a takes outputs of acme-hub, so it goes last; nothing was changed"),
        "{}",
        run.err
    );
    assert!(run.err.contains("--tenant NAME"), "{}", run.err);
    assert_eq!(fleet.twin.mark(), mark, "nothing was asked");
    fleet.run("destroy", &["--tenant", "acme-a", "--yes"]).expect(0);
    assert_eq!(fleet.site(1).verify_services().len(), 1, "the hub's service stays");
    fleet.run("destroy", &["--tenant", "acme-hub", "--yes"]).expect(1);
    let table = fleet.folder.read("tenants.csv");
    let without: Vec<&str> = table.lines().filter(|line| !line.starts_with("acme-a,")).collect();
    fleet.folder.write("tenants.csv", &without.join("\n"));
    fleet.run("destroy", &["--tenant", "acme-hub", "--yes"]).expect(0);
    assert_eq!(fleet.site(1).verify_services().len(), 0);
}

/// A rollback of a hub puts values back, and leaves what others take: its service, its Function and its rate limits.
#[test]
fn a_hub_is_taken_back_without_what_others_take() {
    let fleet = Fleet::new(&["acme-hub", "acme-a"], ONE_WAVE);
    // It sends nothing itself, so nothing else keeps the service.
    let hub = fleet.folder.read("hub.yaml") + "phone: null\naction: null\nmfa: null\n";
    fleet.folder.write("hub.yaml", &hub);
    fleet.run("rollout", &["--yes"]).expect(0);
    let functions =
        || fleet.site(1).twilio("serverless.twilio.com", "GET", "/v1/Services", "").1["services"].clone();
    let back = || fleet.run("rollback", &["--tenant", "acme-hub", "--yes"]);
    let run = back().expect(0);
    for resource in ["verify_service", "feedback_function"] {
        let stays = format!("other tenants take {resource} from here (acme-a), so it stays");
        assert!(run.out.contains(&stays), "{}", run.out);
    }
    assert_eq!(fleet.site(1).verify_services().len(), 1);
    let there = functions();
    assert!(there.as_array().is_some_and(|list| !list.is_empty()), "{there}");

    fleet.run("rollout", &["--yes"]).expect(0);
    let limit =
        "code_length: 8, rate_limits: { per_number: { key: recipient, buckets: { 10m: { max: 5 } } } } }";
    fleet.change("hub.yaml", "code_length: 6 }", limit);
    fleet.run("rollout", &["--yes"]).expect(0);
    let run = back().expect(0);
    assert!(run.out.contains("code_length: 8 → 6"), "{}", run.out);
    let services = fleet.site(1).verify_services();
    assert_eq!(services[0]["code_length"], 6);
    let limits = format!("/v2/Services/{}/RateLimits", services[0]["sid"].as_str().expect("a SID"));
    let limits = fleet.site(1).twilio("verify.twilio.com", "GET", &limits, "").1;
    assert_eq!(limits["rate_limits"].as_array().map(Vec::len), Some(1), "{limits}");
    assert!(run.out.contains("other tenants take verify_service"), "{}", run.out);

    // Without takers it goes.
    let alone = Fleet::new(&["acme-hub"], ONE_WAVE);
    alone.folder.write("hub.yaml", &hub);
    alone.run("rollout", &["--yes"]).expect(0);
    alone.run("rollback", &["--tenant", "acme-hub", "--yes"]).expect(0);
    assert_eq!(alone.site(1).verify_services().len(), 0);
    // What a rollback would do is asked for with the command itself.
    let run = alone.run("plan", &["--tenant", "acme-hub", "--rollback"]).expect(64);
    assert!(run.err.contains("--rollback is about one tenant"), "{}", run.err);
}

/// No two stacks may manage one service or one Function, so the first tenant that has it does, and the others take it.
#[test]
fn what_tenants_share_is_adopted_once() {
    let fleet = Fleet::new(&["acme-hub", "acme-a", "acme-b"], ONE_WAVE);
    fleet.run("rollout", &["--yes"]).expect(0);
    let sid = fleet.site(1).verify_services()[0]["sid"].as_str().expect("a SID").to_owned();
    let folder = Folder::new();
    let (table, out) =
        (folder.write("tenants.csv", &fleet.folder.read("tenants.csv")), folder.text_path("fleet.yaml"));
    let mark = fleet.twin.mark();
    let args = ["adopt", "--tenants", &table, "--out", &out, "--via", &fleet.twin.url()];
    let run = lockstep(&args).envs(&fleet.env).run().expect(0);
    assert_eq!(fleet.twin.writes_since(mark), [] as [String; 0]);
    let shared = format!(
        "the Verify service {sid}: acme-hub manages it, and it is taken from there by acme-a, acme-b"
    );
    assert!(run.out.contains(&shared), "{}", run.out);
    assert!(run.out.contains("the Function of acme-hub: acme-hub manages it"), "{}", run.out);
    let (base, hub) = (folder.read("base.yaml"), folder.read("overlay-acme-hub.yaml"));
    for taken in [
        "use: ${tenants.acme-hub.verify_service.sid}",
        "endpoint: ${tenants.acme-hub.feedback_function.url}",
        "authorization: ${tenants.acme-hub.feedback.authorization}",
    ] {
        assert!(base.contains(taken) && !hub.contains(taken), "{taken}: {base}{hub}");
    }
    assert!(hub.contains(&format!("sid: {sid}")) && !base.contains("sid: VA"), "{base}{hub}");
    let mut env = fleet.env.clone();
    let secret = fleet.stream(1)["httpAuthorization"].as_str().expect("a secret").to_owned();
    env.insert("FEEDBACK_SECRET_ACME_HUB".to_owned(), secret);
    for (name, of) in [("TWILIO_FEEDBACK_KEY", "KEY"), ("TWILIO_FEEDBACK_SECRET", "SECRET")] {
        env.insert(format!("TWILIO_FEEDBACK_{of}_ACME_HUB"), fleet.env[name].clone());
    }
    let plan = lockstep(&["plan", &out, "--via", &fleet.twin.url(), "--output", "json"])
        .envs(&env)
        .run()
        .expect(0)
        .json();
    let tenants = plan["fleet"]["tenants"].as_array().expect("tenants");
    assert_eq!(tenants.len(), 3);
    for tenant in tenants {
        assert_eq!(tenant["plan"]["steps"], serde_json::json!([]), "{}", tenant["name"]);
    }
    let run = lockstep(&["destroy", &out, "--tenant", "acme-hub", "--yes", "--via", &fleet.twin.url()])
        .envs(&env)
        .run();
    assert!(run.expect(1).err.contains("acme-a, acme-b take outputs of acme-hub"));
    // The table may say that others manage the service: then nobody here does.
    let others = Folder::new();
    let rows = fleet.folder.read("tenants.csv");
    let rows: Vec<String> = rows
        .lines()
        .enumerate()
        .map(|(at, line)| format!("{line},{}\n", if at == 0 { "use_verify_service" } else { &*sid }))
        .collect();
    let (table, out) = (others.write("tenants.csv", &rows.concat()), others.text_path("fleet.yaml"));
    let args = ["adopt", "--tenants", &table, "--out", &out, "--via", &fleet.twin.url()];
    lockstep(&args).envs(&fleet.env).run().expect(0);
    assert!(others.read("base.yaml").contains(&format!("use: {sid}")), "{}", others.read("base.yaml"));
}

#[test]
fn a_hub_that_fails_keeps_those_that_take_from_it_as_they_are() {
    let fleet = Fleet::new(&["acme-a", "acme-hub"], ONE_WAVE);
    fleet.change(
        "hub.yaml",
        "friendly_name: Acme,",
        "friendly_name: Acme, sid: VA00000000000000000000000000000009,",
    );
    let mark = fleet.twin.mark();
    let run = fleet.run("rollout", &["--yes"]);
    assert_ne!(run.code, Some(0), "{}", run.out);
    assert!(
        run.err.contains("acme-a broken before: it takes outputs of acme-hub, which is not applied"),
        "{}\n{}",
        run.out,
        run.err
    );
    let wrote = fleet.twin.writes_since(mark);
    assert!(!wrote.iter().any(|line| line.contains("tenant-1.")), "{wrote:?}");
}

#[test]
fn what_cannot_be_taken_is_told_where_it_is_written() {
    let fleet = Fleet::new(&["acme-hub", "acme-a", "acme-b"], ONE_WAVE);
    let told = |expected: &[&str]| {
        let run = lockstep(&["validate", &fleet.folder.text_path("fleet.yaml")]).run().expect(1);
        for words in expected {
            assert!(run.err.contains(words), "{words}: {}", run.err);
        }
    };
    let (base, hub) = (fleet.folder.read("base.yaml"), fleet.folder.read("hub.yaml"));
    let service = "${tenants.acme-hub.verify_service.sid}";
    let rows: [(&str, &str, &str, &[&str]); 7] = [
        (
            "base.yaml",
            service,
            "${tenants.acme-hbu.verify_service.sid}",
            &["base.yaml:18:8", "the fleet has no tenant acme-hbu", "did you mean acme-hub?"],
        ),
        (
            "base.yaml",
            service,
            "${tenants.acme-hub.verify_service.id}",
            &["base.yaml:18:8", "no tenant hands on what it names"],
        ),
        (
            "base.yaml",
            service,
            "${tenants.acme-b.verify_service.sid}",
            &["base.yaml:18:8", "in a circle", "acme-b → acme-b"],
        ),
        (
            "hub.yaml",
            "use: null, friendly_name: Acme, code_length: 6",
            "use: \"${tenants.acme-a.verify_service.sid}\"",
            &["in a circle", "acme-hub → acme-a → acme-hub"],
        ),
        (
            "hub.yaml",
            HUB.split_once("feedback:").expect("it").1,
            " { log_stream: { endpoint: \"https://x.example\", authorization: \"${generated.feedback}\" } }\n",
            &["base.yaml:35:15", "acme-hub has no feedback_function.url to hand on"],
        ),
        (
            "base.yaml",
            "channels: [sms, voice]",
            "channels: [sms, voice]\n  templates: { otp_verify: { text: \"${tenants.acme-hub.feedback.authorization}\" } }",
            &["base.yaml:23:", "its value is a secret"],
        ),
        (
            "base.yaml",
            "${tenant.domain}",
            "${tenants.acme-hub.verify_service.sid}",
            &["base.yaml:8:11", "known only after apply"],
        ),
    ];
    for (file, from, to, expected) in rows {
        fleet.change(file, from, to);
        told(expected);
        fleet.folder.write("base.yaml", &base);
        fleet.folder.write("hub.yaml", &hub);
    }
    // A wave with a taker before the wave of its hub.
    fleet.says("rollout:\n  waves:\n    - { name: canary, match: { name: acme-a } }\n    - { name: rest, rest: true }\n");
    told(&[
        "fleet.yaml:9:15",
        "the wave canary has a tenant that takes from a tenant of the later wave rest",
        "acme-a takes outputs of acme-hub",
    ]);
    fleet.says("rollout:\n  waves:\n    - { name: canary, match: { name: acme-hub } }\n    - { name: rest, rest: true }\n");
    lockstep(&["validate", &fleet.folder.text_path("fleet.yaml")]).run().expect(0);
    // A manifest alone has no other tenants.
    let text = base
        .replace("${tenant.domain}", "acme.eu.auth0.com")
        .replace("${tenant.account_sid}", "${env.A}")
        .replace("_${tenant.key}", "");
    let run = lockstep(&["validate", &fleet.folder.write("alone.yaml", &text)]).run().expect(1);
    assert!(run.err.contains("only a manifest of a fleet has other tenants"), "{}", run.err);
}

#[test]
fn a_hub_stands_in_the_first_batch_and_in_a_wave_before() {
    let waves = "rollout:\n  budget: { wave: 5 }\n  waves: [{ name: all, rest: true, batch: 1 }]\n";
    let fleet = Fleet::new(&["acme-a", "acme-b", "acme-hub"], waves);
    let run = fleet.run("rollout", &["--yes"]).expect(0);
    let at = |words: &str| run.err.find(words).unwrap_or_else(|| panic!("{words}: {}", run.err));
    assert!(
        at("wave all 1/3") < at("acme-hub applied") && at("acme-hub applied") < at("wave all 2/3"),
        "{}",
        run.err
    );
    assert!(run.out.contains("Done: 3 applied"), "{}", run.out);
}

#[test]
fn an_account_that_would_be_too_full_is_refused_before_a_write() {
    let fleet = Fleet::new(&["acme-hub", "acme-a"], ONE_WAVE);
    // One Function, and two leases at once.
    fleet.says(&format!("{ONE_WAVE}capacity: {{ serverless_services: 2 }}\n"));
    let mark = fleet.twin.mark();
    let words = "would hold 3 Serverless services, and 2 are allowed: 0 there, 1 to be made for Functions, 2 leases in flight";
    let run = fleet.run("plan", &[]).expect(1);
    assert!(run.out.contains(words) && run.out.contains("lower rollout.max_parallel"), "{}", run.out);
    let run = fleet.run("rollout", &["--yes"]).expect(1);
    assert!(run.err.contains(words) && run.err.contains("nothing was changed"), "{}", run.err);
    assert!(fleet.twin.writes_since(mark).is_empty());
    // With one lease at a time there is room.
    fleet.says("rollout: { max_parallel: 1, budget: { wave: 5 } }\ncapacity: { serverless_services: 2 }\n");
    fleet.run("plan", &[]).expect(0);
    // What others have there counts as well.
    let (status, _) = fleet.site(1).twilio(
        "serverless.twilio.com",
        "POST",
        "/v1/Services",
        "UniqueName=theirs&FriendlyName=theirs",
    );
    assert_eq!(status, 201);
    let run = fleet.run("plan", &[]).expect(1);
    assert!(run.out.contains("1 there, 1 to be made for Functions, 1 lease in flight"), "{}", run.out);
    fleet.says("rollout: { max_parallel: 1, budget: { wave: 5 } }\ncapacity: { serverless_services: 3 }\n");
    fleet.run("rollout", &["--yes"]).expect(0);
    // Nothing is to be made, so nothing is counted nor asked.
    fleet.says("capacity: { serverless_services: 1 }\n");
    let before = fleet.asked("plan", &[]);
    fleet.says("");
    assert_eq!(fleet.asked("plan", &[]), before);
    // Verify services of the whole fleet, where the file says how many there may be.
    let fleet = Fleet::new(&["acme-hub", "acme-a"], "capacity: { verify_services: 1 }\n");
    fleet.run("plan", &[]).expect(0);
    fleet.change("base.yaml", "use: ${tenants.acme-hub.verify_service.sid}", "friendly_name: Another");
    let run = fleet.run("plan", &[]).expect(1);
    assert!(
        run.out.contains("this fleet would have 2 Verify services, and capacity.verify_services allows 1"),
        "{}",
        run.out
    );
}

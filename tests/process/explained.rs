//! Tests of `plan --explain`: what is said of a step is what an apply does.

use serde_json::{Value as Json, json};

use super::lab::{Asked, Folder, Proxy, QUICKSTART, Run, Site, Twin};

const COMPLETE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/complete.yaml");

/// Whether a text fits one with `<words>` for what only an apply knows.
fn fits(shown: &str, real: &str) -> bool {
    let mut rest = real;
    let mut pieces = shown.split('<');
    let first = pieces.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let mut is_free = false;
    for piece in pieces {
        let (_, tail) = piece.split_once('>').unwrap_or(("", piece));
        let Some(at) = rest.find(tail) else { return false };
        rest = &rest[at + tail.len()..];
        is_free = tail.is_empty();
    }
    is_free || rest.is_empty()
}

/// Whether a body fits one with words; says where not.
fn differs(shown: &Json, real: &Json, place: &str) -> Vec<String> {
    match (shown, real) {
        (Json::String(one), Json::String(other)) if fits(one, other) => Vec::new(),
        (Json::Object(one), Json::Object(other)) if one.len() == other.len() => {
            let each = one.iter().flat_map(|(key, value)| {
                let real = other.get(key).unwrap_or(&Json::Null);
                differs(value, real, &format!("{place}.{key}"))
            });
            each.collect()
        }
        (Json::Array(one), Json::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).flat_map(|(one, other)| differs(one, other, place)).collect()
        }
        (one, other) if one == other => Vec::new(),
        (one, other) => vec![format!("{place}: {one} is shown, and {other} was sent")],
    }
}

/// The body of a request as JSON, also that of a form.
fn body(asked: &Asked) -> Json {
    if let Ok(json) = serde_json::from_str(&asked.body) {
        return json;
    }
    let mut out = serde_json::Map::new();
    for pair in asked.body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').expect("a pair");
        let plain = |text: &str| {
            let text = text.replace('+', " ");
            let mut bytes = Vec::new();
            let mut rest = text.as_bytes();
            while let [first, tail @ ..] = rest {
                let escaped = (*first == b'%').then(|| std::str::from_utf8(&tail[..2]).expect("digits"));
                bytes.push(escaped.map_or(*first, |hex| u8::from_str_radix(hex, 16).expect("hex")));
                rest = if escaped.is_some() { &tail[2..] } else { tail };
            }
            String::from_utf8(bytes).expect("UTF-8")
        };
        out.insert(plain(name), json!(plain(value)));
    }
    Json::Object(out)
}

/// Every request that is shown is the one that an apply of the same plan sends, in the same order.
#[track_caller]
pub fn expect_as_applied(twin: &Twin, site: &Site, manifest: &str, command: &str) -> usize {
    let options: &[&str] = if command == "destroy" { &["--destroy"] } else { &[] };
    let mark = twin.mark();
    site.lockstep("plan", manifest, options).run().expect(0);
    let plain = twin.mark() - mark;
    let args = [options, &["--explain", "--output", "json"]].concat();
    let run = site.lockstep("plan", manifest, &args).run().expect(0);
    assert_eq!(twin.mark() - mark - plain, plain, "an explanation costs no request");
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    let document = run.json();
    let told = document["explanation"].as_array().expect("a list").clone();
    assert_eq!(told.len(), document["plan"]["steps"].as_array().expect("steps").len());

    let proxy = Proxy::start(twin, |_, forward| forward());
    site.clone().through(&proxy).lockstep(command, manifest, &["--yes"]).run().expect(0);
    let is_of_step = |asked: &&Asked| {
        let record = asked.body.contains("Lockstep ledger") || asked.body.contains("lockstep:ledger");
        asked.method != "GET"
            && asked.path != "/oauth/token"
            && !record
            && !asked.body.contains("lockstep-lease")
    };
    let sent = proxy.seen();
    let mut sent = sent.iter().filter(is_of_step);
    for one in &told {
        let request = &one["request"];
        let (method, path) = (request["method"].as_str(), request["path"].as_str().unwrap_or_default());
        let is_it = |asked: &&Asked| {
            Some(asked.method.as_str()) == method
                && fits(path, &asked.path)
                && Some(asked.host.as_str()) == request["host"].as_str()
        };
        let asked = sent.find(is_it).unwrap_or_else(|| panic!("nothing of the kind was sent: {one}"));
        if request["encoding"] == "multipart" {
            continue;
        }
        let shown = if request["body"].is_null() { json!({}) } else { request["body"].clone() };
        let real = body(asked);
        let wrong = differs(&shown, &real, path);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", one["what"]);
    }
    told.len()
}

#[test]
fn each_request_is_the_one_that_an_apply_sends() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    assert_eq!(expect_as_applied(&twin, &site, QUICKSTART, "apply"), 9);
    let folder = Folder::new();
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let next = folder.write("next.yaml", &text.replace("code_length: 6", "code_length: 7"));
    assert_eq!(expect_as_applied(&twin, &site, &next, "apply"), 1);
    assert_eq!(expect_as_applied(&twin, &site, &next, "destroy"), 8);
}

#[test]
fn a_step_says_where_it_is_asked_for_and_what_it_waits_for() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let document = site.run("plan", &["--explain", "--output", "json"]).expect(0).json();
    let told = document["explanation"].as_array().expect("a list").clone();
    for one in &told {
        let said = one["said"].as_array().expect("a list");
        assert!(!said.is_empty(), "{one}");
        for place in said.iter().filter(|place| place["is_written"] == true) {
            let line = text.lines().nth(place["line"].as_u64().expect("a line") as usize - 1).expect("there");
            let key = place["key"].as_str().and_then(|key| key.rsplit('.').next()).expect("a key");
            assert!(line.contains(key), "{place}: {line}");
        }
        for wait in one["waits_for"].as_array().expect("a list") {
            assert!(wait["step"].as_u64() < one["step"].as_u64(), "{one}");
        }
    }
    let waits = |at: usize| -> Vec<(u64, &str)> {
        let list = told[at - 1]["waits_for"].as_array().expect("a list");
        list.iter()
            .map(|one| (one["step"].as_u64().expect("a number"), one["why"].as_str().expect("words")))
            .collect()
    };
    assert!(waits(1).is_empty());
    assert!(waits(2).contains(&(1, "it makes verify_service.sid")), "{:?}", waits(2));
    assert!(waits(4).contains(&(2, "it is of the same resource")), "{:?}", waits(4));
    let bound = waits(5);
    assert!(bound.iter().any(|(step, why)| *step == 4 && why.contains("before it is deployed")), "{bound:?}");
    let phone = waits(8);
    assert!(phone.iter().any(|(step, why)| *step == 6 && why.contains("deliver")), "{phone:?}");
    let sid = told[1]["request"]["body"]["secrets"].as_array().expect("secrets");
    let of = |name: &str| sid.iter().find(|one| one["name"] == name).expect("there")["value"].clone();
    assert_eq!(of("TWILIO_VERIFY_SID"), "<verify_service.sid>");
    assert_eq!(of("TWILIO_API_SECRET"), "<secret>");
    assert_eq!(told[2]["request"]["body"]["sink"]["httpAuthorization"], "<generated.feedback>");
    assert_eq!(told[3]["request"]["path"], "/api/v2/actions/actions/<action.id>/deploy");
}

#[test]
fn one_step_is_explained_alone_and_a_number_without_a_step_is_refused() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    let run = site.run("plan", &["--explain=4"]).expect(0);
    assert!(
        run.out.contains("\nStep 4 of 9: action: deploy\n") && !run.out.contains("Step 3 of 9"),
        "{}",
        run.out
    );
    assert!(run.out.contains("quickstart.yaml:"), "{}", run.out);
    assert!(run.out.contains("POST https://tenant-1.eu.auth0.com/api/v2/actions/actions/<action.id>/deploy"));
    let run = site.run("plan", &["--explain=10"]).expect(64);
    assert!(run.err.contains("this plan has the steps 1 to 9"), "{}", run.err);
    let alone = site.run("plan", &["--explain", "4"]).expect(0);
    assert_eq!(alone.out, site.run("plan", &["--explain=4"]).expect(0).out);
    for wrong in ["--explain=0", "--explain=-1", "--explain=x", "--explain="] {
        let mark = twin.mark();
        site.run("plan", &[wrong]).expect(64);
        assert_eq!(twin.mark(), mark, "{wrong}");
    }
    let run = site.run("plan", &["--explain=10", "--output", "json"]).expect(64);
    assert_eq!(run.json()["error"]["exit"], 64);
}

#[test]
fn a_plan_without_steps_has_nothing_to_explain() {
    let twin = Twin::start();
    let site = Site::new(&twin, 1);
    site.run("apply", &["--yes"]).expect(0);
    let run = site.run("plan", &["--explain=3"]).expect(64);
    assert!(run.err.contains("this plan has no steps, so there is nothing to explain"), "{}", run.err);
    assert_eq!(
        site.run("plan", &["--explain", "--output", "json"]).expect(0).json()["explanation"],
        json!([])
    );
}

#[track_caller]
fn expect_no_secret(run: &Run, site: &Site) {
    let secret = |(name, value): (&String, &String)| {
        (name.ends_with("SECRET") || name.ends_with("TOKEN")).then(|| value.clone())
    };
    for value in site.env.iter().filter_map(secret) {
        assert!(!run.out.contains(&value) && !run.err.contains(&value), "a secret is shown: {value}");
    }
}

/// Every step of every kind can be shown, on an empty tenant and on one that is to be taken away.
#[test]
fn all_requests_of_the_complete_manifest_are_shown_without_a_secret() {
    let twin = Twin::start();
    let mut env = Site::env_of(1);
    let text = std::fs::read_to_string(COMPLETE).expect("the manifest");
    for name in text.split("${env.").skip(1).filter_map(|rest| rest.split('}').next()) {
        let value = if name.ends_with("KEY") {
            format!("SK{}", "e".repeat(32))
        } else {
            format!("Value-Of-{name}-5d1c7e")
        };
        env.entry(name.to_owned()).or_insert(value);
    }
    let site = Site::with_env(&twin, env);
    let mut hidden = 0;
    for destroys in [false, true] {
        let options: &[&str] = if destroys { &["--destroy"] } else { &[] };
        let run = site.lockstep("plan", COMPLETE, &[options, &["--explain"]].concat()).run();
        expect_no_secret(&run, &site);
        let json =
            site.lockstep("plan", COMPLETE, &[options, &["--explain", "--output", "json"]].concat()).run();
        expect_no_secret(&json, &site);
        let document = json.json();
        for one in document["explanation"].as_array().expect("a list") {
            assert!(one["request"].is_object(), "{one}");
            hidden += one.to_string().matches("<secret>").count();
            assert!(!one.to_string().contains("stands-in-"), "{one}");
        }
        if !destroys {
            site.lockstep("apply", COMPLETE, &["--yes"]).run().expect(0);
        }
    }
    assert!(hidden > 3, "{hidden}");
}

//! Tests of accepted differences as a person meets them: drift prints a line, the line goes into the manifest, and drift
//! is clean.

use serde_json::{Value as Json, json};

use super::explained::expect_as_applied;
use super::lab::{Folder, QUICKSTART, Run, Site, Twin, lockstep};

/// A text of somebody who wants to be more than a value.
const HOSTILE: &str = "x\", reason: r, by: me, until: 2199-01-01 }\n::error::gone\u{1b}[31m ${env.AUTH0_CLIENT_SECRET} ##[group] \\ 'q' \u{202e}";

const SECTIONS: &str = "
branding:
  logo_url: https://acme.example/logo.png
  font: { url: https://acme.example/font.woff }
";

fn manifest(folder: &Folder, accept: &str) -> String {
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let text = text.replacen(
        "\nphone:\n",
        "\nphone:\n  templates: { change_password: { text: \"Acme: changed\" } }\n",
        1,
    );
    assert!(text.contains("change_password"), "the quickstart has a section phone");
    let accept = if accept.is_empty() { String::new() } else { format!("accept:\n{accept}") };
    folder.write("m.yaml", &format!("{text}{SECTIONS}{accept}"))
}

/// The lines that drift offers, with a reason and a name.
fn lines(run: &Run) -> String {
    let offered = run.out.lines().filter(|line| line.starts_with("  - { field: "));
    offered
        .map(|line| line.replace("reason: \"\"", "reason: agreed").replace("by: \"\"", "by: jo") + "\n")
        .collect()
}

#[test]
fn the_line_of_drift_makes_drift_clean() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let site = Site::new(&twin, 1);
    let plain = manifest(&folder, "");
    site.lockstep("apply", &plain, &["--yes"]).run().expect(0);
    site.auth0("PATCH", "/api/v2/branding", &json!({ "logo_url": "https://theirs.example/logo.png" }));
    let templates = site.list("/api/v2/branding/phone/templates");
    let template = templates.iter().find(|template| template["type"] == "change_password").expect("ours");
    let path = format!("/api/v2/branding/phone/templates/{}", template["id"].as_str().expect("an id"));
    let (status, reply) = site.auth0("PATCH", &path, &json!({ "content": { "body": { "text": HOSTILE } } }));
    assert_eq!(status, 200, "{reply}");

    let run = site.lockstep("drift", &plain, &[]).run().expect(3);
    assert!(run.out.contains("To leave a difference for a time"), "{}", run.out);
    let offered = lines(&run);
    assert_eq!(offered.lines().count(), 2, "{}", run.out);
    assert!(!run.out.contains("\u{1b}") && !run.out.contains("##[group]"), "{}", run.out);
    let json = site.lockstep("drift", &plain, &["--output", "json"]).run().expect(3).json();
    let fields = json["drift"]["differences"]
        .as_array()
        .expect("differences")
        .iter()
        .flat_map(|told| told["fields"].as_array().cloned().unwrap_or_default());
    let given: Vec<String> =
        fields.map(|field| field["accept"].as_str().unwrap_or("none").to_owned()).collect();
    assert_eq!(given.len(), 2, "{json}");
    assert!(given.iter().all(|line| run.out.contains(&format!("  {line}\n"))), "{given:?}\n{}", run.out);

    let accepted = manifest(&folder, &offered);
    lockstep(&["validate", &accepted]).envs(&site.env).run().expect(0);
    let run = site.lockstep("drift", &accepted, &[]).run().expect(0);
    assert!(run.out.contains("Verdict: clean") && run.out.contains("by jo: agreed"), "{}", run.out);
    assert!(
        run.out.contains("  = branding.logo_url: the tenant has https://theirs.example/logo.png"),
        "{}",
        run.out
    );
    let json = site.lockstep("drift", &accepted, &["--output", "json"]).run().expect(0).json();
    let left: Vec<&Json> = json["drift"]["plan"]["resources"]
        .as_array()
        .expect("resources")
        .iter()
        .flat_map(|resource| resource["accepted"].as_array().into_iter().flatten())
        .collect();
    assert_eq!(left.len(), 2, "{json}");
    let logo = left.iter().find(|left| left["key"] == "branding.logo_url").expect("the logo");
    assert_eq!((&logo["by"], &logo["reason"]), (&json!("jo"), &json!("agreed")), "{logo}");
    let mark = twin.mark();
    let run = site.lockstep("apply", &accepted, &["--yes"]).run().expect(0);
    assert!(run.out.contains("logo_url: stays; the tenant has"), "{}", run.out);
    assert_eq!(twin.writes_since(mark), Vec::<String>::new());
    site.lockstep("plan", &accepted, &["--exit-code"]).run().expect(0);

    // A day that is over.
    let until = offered.split("until: ").nth(1).expect("a day")[..10].to_owned();
    let over = manifest(&folder, &offered.replace(&until, "2020-01-31"));
    let run = site.lockstep("drift", &over, &[]).run().expect(3);
    assert_eq!(run.out.matches("accepted by jo until 2020-01-31, which is over").count(), 2, "{}", run.out);
    // Another value than the accepted one.
    site.auth0("PATCH", "/api/v2/branding", &json!({ "logo_url": "https://third.example/logo.png" }));
    let accepted = manifest(&folder, &offered);
    let run = site.lockstep("drift", &accepted, &[]).run().expect(3);
    assert!(run.out.contains("the tenant has another value than the one that jo accepted"), "{}", run.out);
}

const STREAM: &str = "
log_streams:
  http:
    siem:
      name: Acme SIEM
      endpoint: https://siem.example/auth0
      authorization: ${env.SIEM_TOKEN}
      content_format: JSONLINES
      content_type: application/json
      filters: [auth.login.fail]
";

/// A write of a stream holds the whole stream. The accepted value stands in it, in what is explained as in what is sent.
#[test]
fn an_explained_request_leaves_the_accepted_value() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let mut site = Site::new(&twin, 1);
    site.env.insert("SIEM_TOKEN".into(), "Siem-Token-90c1f7".into());
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart") + STREAM;
    let plain = folder.write("m.yaml", &text);
    site.lockstep("apply", &plain, &["--yes"]).run().expect(0);
    let streams = site.list("/api/v2/log-streams");
    let stream = streams.iter().find(|stream| stream["name"] == "Acme SIEM").expect("ours");
    let mut sink = stream["sink"].clone();
    sink["httpContentType"] = json!("application/x-theirs");
    let path = format!("/api/v2/log-streams/{}", stream["id"].as_str().expect("an id"));
    let (status, reply) = site.auth0("PATCH", &path, &json!({ "sink": sink, "filters": stream["filters"] }));
    assert_eq!(status, 200, "{reply}");
    let offered = lines(&site.lockstep("drift", &plain, &[]).run().expect(3));
    assert_eq!(offered.lines().count(), 1, "{offered}");

    // Nothing else differs: there is no step, so nothing to explain.
    let accepted = folder.write("m.yaml", &format!("{text}accept:\n{offered}"));
    let explained = |manifest: &str| {
        let run = site.lockstep("plan", manifest, &["--explain", "--output", "json"]).run().expect(0);
        run.json()["explanation"].as_array().expect("a list").clone()
    };
    assert_eq!(explained(&accepted), Vec::<Json>::new());

    // Another field differs: its write leaves the accepted value.
    let wider = text.replace("[auth.login.fail]", "[auth.login.fail, user.fail]");
    let accepted = folder.write("m.yaml", &format!("{wider}accept:\n{offered}"));
    let told = explained(&accepted);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["request"]["body"]["sink"]["httpContentType"], "application/x-theirs");
    assert_eq!(told[0]["request"]["body"]["sink"]["httpContentFormat"], "JSONLINES");
    assert_eq!(expect_as_applied(&twin, &site, &accepted, "apply"), 1);
    let streams = site.list("/api/v2/log-streams");
    let stream = streams.iter().find(|stream| stream["name"] == "Acme SIEM").expect("ours");
    assert_eq!(stream["sink"]["httpContentType"], "application/x-theirs");
}

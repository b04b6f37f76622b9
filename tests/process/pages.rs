//! Tests of what a rollout and a plan of a fleet show besides their result: the page and the metrics, with names that
//! would be markup if nobody escaped them.

use super::fleet::{Fleet, THREE, TWIN_ARGS, TWO_WAVES};
use super::lab::{Proxy, Twin, json_reply, lockstep};

const HOSTILE: &str = "<b>\"R&D\"</b>";

/// Every start of a tag and every reference of a page, to see that nothing of others is one.
fn assert_safe(page: &str) {
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for word in ["<script", "<b>\"", "</b>\"", "javascript:", " src=", " href=", "http://", "@import", "url("]
    {
        assert!(!page.contains(word), "{word}: {page}");
    }
    assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    assert!(page.contains("width=device-width") && page.contains("prefers-color-scheme: dark"));
}

/// Every line is a comment or `name{labels} value`, each metric has its type, and no sample is there twice.
fn assert_metrics(text: &str) {
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            assert!(rest.starts_with("HELP lockstep_") || rest.starts_with("TYPE lockstep_"), "{line}");
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
        let (labels, value) = rest.rsplit_once("} ").unwrap_or_else(|| panic!("{line}"));
        assert!(text.contains(&format!("# TYPE {name} gauge\n")), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let quotes = labels.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        assert!(quotes.is_multiple_of(2) && quotes > 0, "{line}");
        assert!(seen.insert(line.rsplit_once(' ').map(|one| one.0.to_owned())), "twice: {line}");
    }
    assert!(seen.len() > 3 && text.ends_with('\n'), "{text}");
}

#[test]
fn a_page_and_metrics_tell_of_a_plan_a_rollout_and_a_halt() {
    let twin = Twin::with(&TWIN_ARGS);
    let proxy = Proxy::start(&twin, |asked, forward| {
        let said = serde_json::json!({ "statusCode": 403, "error": "Forbidden", "message": "no <script>alert(1)</script> & \"more\"", "errorCode": "insufficient_scope" });
        let is_deploy = asked.method == "POST" && asked.path.ends_with("/deploy");
        match is_deploy && asked.host == "tenant-2.eu.auth0.com" {
            true => json_reply(403, "", &said),
            false => forward(),
        }
    });
    let mut fleet = Fleet::new(&format!("http://127.0.0.1:{}", proxy.port), &THREE, TWO_WAVES);
    fleet.env.insert("USER".to_owned(), HOSTILE.to_owned());
    let (page, metrics) = (fleet.folder.text_path("page.html"), fleet.folder.text_path("lockstep.prom"));
    let files = ["--report", page.as_str(), "--metrics", metrics.as_str()];

    fleet.run("plan", &files).expect(0);
    let text = fleet.folder.read("page.html");
    assert_safe(&text);
    assert!(text.contains("acme-bank") && text.contains("action create"), "{text}");
    let told = fleet.folder.read("lockstep.prom");
    assert_metrics(&told);
    assert!(
        told.contains("lockstep_fleet_tenants{fleet=\"acme\",command=\"plan\",result=\"changed\"} 3"),
        "{told}"
    );
    assert!(told.contains("tenant=\"acme-bank\",wave=\"rest\"} 0"), "{told}");

    let place = format!("file:{}", fleet.folder.text_path("records"));
    let kept = ["--record", place.as_str(), "--record-key", "env:RECORD_KEY"];
    let run = fleet.rollout(&[&files[..], &kept, &["--output", "markdown"]].concat()).expect(8);
    assert!(run.out.contains("**Waits for**") && run.out.contains("What to do:"), "{}", run.out);
    let text = fleet.folder.read("page.html");
    assert_safe(&text);
    for words in [
        "<b>It waits for</b> a person, because it halted: 1 of 2 tenants of the wave rest failed",
        "since 2",
        "<b>What to do:</b> mend the cause",
        "by &lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt;@tests",
        "<h2>Wave canary</h2>",
        "gate <b>applied</b>: <span class=\"good\">passed</span>",
        "✗ acme-shop",
        "&lt;script&gt;alert(1)",
        "1 applied, 1 failed, 1 left",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(text.matches("<div class=\"tenant").count(), 3);
    let told = fleet.folder.read("lockstep.prom");
    assert_metrics(&told);
    for words in [
        "lockstep_rollout_exit_code{fleet=\"acme\"} 8",
        "lockstep_rollout_halted{fleet=\"acme\",cause=\"budget\"} 1",
        "wave=\"rest\",result=\"failed\"} 1",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The same from elsewhere, out of the records alone.
    let file = fleet.folder.text_path("fleet.yaml");
    let status = |more: &[&str]| {
        lockstep(&["rollout", "status", &file]).args(&kept).args(more).envs(&fleet.env).run().expect(8)
    };
    let junit = status(&[&files[..], &["--output", "junit"]].concat());
    assert!(junit.out.contains("name=\"acme-shop\" time=\"0\"><failure message="), "{}", junit.out);
    assert!(junit.out.contains("name=\"acme-bank\" time=\"0\"><skipped message="), "{}", junit.out);
    assert!(!junit.out.contains("<script"), "{}", junit.out);
    assert!(fleet.folder.read("page.html").contains("<b>It waits for</b> a person"));
    let json = status(&["--output", "json"]).json();
    assert!(
        json["rollout"]["waits"]["what"].as_str().is_some_and(|what| what.contains("a person")),
        "{json}"
    );

    // What others read is not overwritten, and a manifest has no page.
    let table = fleet.folder.text_path("tenants.csv");
    let before = fleet.folder.read("tenants.csv");
    for option in ["--report", "--metrics"] {
        fleet.run("plan", &[option, &table]).expect(64);
        fleet.run("rollout", &["--yes", option, &table]).expect(64);
        lockstep(&["plan", super::lab::QUICKSTART, "--twin", option, &page]).run().expect(64);
    }
    assert_eq!(fleet.folder.read("tenants.csv"), before);
    fleet.run("plan", &["--report", &page, "--metrics", &page]).expect(64);
    fleet.run("drift", &files).expect(5);
    assert!(fleet.folder.read("page.html").contains("Lockstep drift of fleet acme"));
}

#[test]
fn a_page_is_there_while_a_rollout_soaks() {
    let twin = Twin::with(&TWIN_ARGS);
    let soaks = TWO_WAVES.replace("match: { name: acme-dev } }", "match: { name: acme-dev }, soak: 12s }");
    let fleet = Fleet::new(&twin.url(), &THREE, &soaks);
    let page = fleet.folder.text_path("page.html");
    let running = fleet.program("rollout", &["--yes", "--report", &page]).start();
    let began = std::time::Instant::now();
    let mut text = String::new();
    while !text.contains("the soak of the wave canary")
        && began.elapsed() < std::time::Duration::from_secs(40)
    {
        std::thread::sleep(std::time::Duration::from_millis(200));
        text = std::fs::read_to_string(&page).unwrap_or_default();
    }
    assert!(
        text.contains("<b>It waits for</b> the soak of the wave canary") && text.contains(", until 2"),
        "{text}"
    );
    running.wait().expect(0);
    assert!(fleet.folder.read("page.html").contains("nothing is waited for"));
}

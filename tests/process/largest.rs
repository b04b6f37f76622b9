//! The largest stack that the twin holds, with long texts of others: Markdown keeps its limit, says how much it leaves
//! out, and has the same bytes each time.

use std::fmt::Write as _;

use lockstep::kinds::countries::is_country;
use lockstep::report::BYTES_MAX;
use serde_json::{Value as Json, json};

use super::lab::{Folder, Site, Twin};
use crate::forms::hostile::skeleton;

const HEAD: &str = "\
lockstep: v1
stack: acme-largest
auth0: { domain: \"${env.AUTH0_DOMAIN}\", client_id: \"${env.AUTH0_CLIENT_ID}\", client_secret: \"${env.AUTH0_CLIENT_SECRET}\" }
twilio: { account_sid: \"${env.TWILIO_ACCOUNT_SID}\", api_key: \"${env.TWILIO_API_KEY}\", api_secret: \"${env.TWILIO_API_SECRET}\" }
action:
  code: ./action.js
  secrets: { TWILIO_API_KEY: \"${env.TWILIO_SENDER_KEY}\", TWILIO_API_SECRET: \"${env.TWILIO_SENDER_SECRET}\" }
feedback:
  function: { code: ./function.js, api_key: \"${env.TWILIO_SENDER_KEY}\", api_secret: \"${env.TWILIO_SENDER_SECRET}\" }
  log_stream: { authorization: \"${generated.feedback}\" }
mfa:
  factors: { phone: on, otp: on }
  post_login: { code: ./rules.js }
universal_login: { experience: new }
";

/// Code whose lines try to end a fence, to be markup, and to be long.
fn code(handler: &str, word: &str) -> String {
    let mut out = format!("exports.{handler} = async () => {{}};\n");
    for number in 0..300 {
        let line = match number % 5 {
            0 => format!("``` </details> <img src=x> {word} {number}"),
            1 => "`".repeat(number % 90),
            2 => format!("@team {word} #1 https://evil.example"),
            3 => format!("{word}日本語 {}", "x".repeat(number * 2 % 400)),
            _ => format!("~~~ | {word} |"),
        };
        let _ = writeln!(out, "// {line}");
    }
    out
}

/// A manifest with as many resources as it may have. `number` and `word` are in each value that can differ.
fn manifest(folder: &Folder, word: &str, number: usize) -> String {
    for (file, handler) in [
        ("action.js", "onExecuteCustomPhoneProvider"),
        ("rules.js", "onExecutePostLogin"),
        ("function.js", "handler"),
    ] {
        folder.write(file, &code(handler, word));
    }
    let mut out = HEAD.to_owned();
    let _ = write!(out, "verify_service:\n  friendly_name: Acme {word}\n  rate_limits:\n");
    for at in 0..10 {
        let _ =
            writeln!(out, "    limit_{at}:\n      key: recipient\n      description: {word}\n      buckets:");
        let _ = writeln!(out, "        10m: {{ max: {number} }}");
    }
    out += "  messaging_configurations:\n";
    let pairs = ('A'..='Z').flat_map(|one| ('A'..='Z').map(move |other| format!("{one}{other}")));
    for country in pairs.filter(|code| is_country(code)).take(250) {
        let _ = writeln!(out, "    \"{country}\": MG{}", number.to_string().repeat(32));
    }
    out += "phone:\n  templates:\n";
    for kind in ["otp_verify", "otp_enroll", "change_password", "blocked_account", "password_breach"] {
        let _ = writeln!(out, "    {kind}: {{ text: \"``` {word} {{{{ code }}}} {}\" }}", "y".repeat(800));
    }
    out += "log_streams:\n  http:\n";
    for at in 0..50 {
        let _ = writeln!(
            out,
            "    stream-{at}: {{ name: Stream {at}, endpoint: \"https://siem.example/{word}/{at}\", \
             content_format: JSONLINES, authorization: \"${{env.SIEM_TOKEN}}\" }}"
        );
    }
    folder.write("lockstep.yaml", &out)
}

/// The number in a line such as `12 more resources: see …`, and 0 where nothing is left out.
fn more(section: &str, noun: &str) -> usize {
    let counted = |line: &str| {
        let (number, rest) = line.split_once(" more ")?;
        (rest.starts_with(noun)).then(|| number.parse().expect("a number"))
    };
    section.lines().find_map(counted).unwrap_or(0)
}

/// The section that begins with this title.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let rest = page.split_once(&format!("<summary>{title}")).unwrap_or_else(|| panic!("{title}: {page}")).1;
    rest.split_once("\n</details>\n").expect("its end").0
}

/// The page keeps its limit, begins with the first resources, and counts the others. Returns how many it leaves out.
fn expect_counted(page: &str, title: &str, told: &[&str]) -> usize {
    assert!(page.len() <= BYTES_MAX, "{} bytes", page.len());
    let list = section(page, title);
    assert!(list.starts_with(&format!(" ({}", told.len())), "{}", list.lines().next().unwrap_or_default());
    let heads: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("### `"))
        .map(|line| line.split('`').next().expect("an address"))
        .collect();
    assert_eq!(heads, told[..heads.len()], "the first ones, in their order");
    let left = more(list, "resource");
    assert_eq!(heads.len() + left, told.len());
    let outside = skeleton(page);
    for word in ["@team", "<img", "evil", "~~~", "日本語"] {
        assert!(!outside.contains(word), "{word} stands outside of code");
    }
    left
}

#[test]
fn markdown_of_the_largest_stack_keeps_its_limit_and_counts_what_it_leaves_out() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let mut site = Site::new(&twin, 1);
    site.env.insert("SIEM_TOKEN".into(), "Siem-Token-90c1f7".into());
    // An Action is too small for the record of so many resources.
    let ledger = format!("--ledger=file:{}", folder.text_path("ledger.json"));
    // Each page is made twice, and the JSON document beside it knows what there is to tell.
    let told = |command: &str, args: &[&str]| -> (String, Json) {
        let mut pages = ["one.md", "two.md"].map(|file| {
            let forms = [
                format!("--output=markdown={}", folder.text_path(file)),
                format!("--output=json={}", folder.text_path("told.json")),
            ];
            let all = [args, &[&*ledger, &*forms[0], &*forms[1]]].concat();
            let run = site.lockstep(command, &folder.text_path("lockstep.yaml"), &all).run();
            assert!(matches!(run.code, Some(0 | 3..=5)), "{command}: {:?} {}", run.code, run.err);
            folder.read(file)
        });
        assert_eq!(pages[0], pages[1], "equal bytes");
        (std::mem::take(&mut pages[0]), serde_json::from_str(&folder.read("told.json")).expect("JSON"))
    };
    let resources = |plan: &Json| -> Vec<String> {
        let all = plan["resources"].as_array().expect("a list");
        let told = all.iter().filter(|one| one["verb"] != "no_op");
        told.map(|one| one["address"].as_str().expect("an address").to_owned()).collect()
    };
    let expect_plan = |args: &[&str], is_cut: bool| {
        let (page, document) = told("plan", args);
        let plan = &document["plan"];
        let all = resources(plan);
        assert!(all.len() > 300, "{} resources", all.len());
        let left = expect_counted(&page, "Resources", &all.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left > 0, is_cut, "{left} left out");
        assert!(page.len() > BYTES_MAX * 3 / 4, "{} bytes", page.len());
        let steps = section(&page, "Steps, in order");
        let shown = steps
            .lines()
            .filter(|line| line.starts_with(|ch: char| ch.is_ascii_digit()) && line.contains(". "))
            .count();
        let count = plan["steps"].as_array().expect("steps").len();
        assert_eq!(shown + more(steps, "step"), count);
    };
    manifest(&folder, "first", 1);
    expect_plan(&[], true);
    let path = folder.text_path("lockstep.yaml");
    site.lockstep("apply", &path, &["--yes", &ledger]).run().expect(0);
    expect_plan(&["--destroy"], false);
    // Somebody else writes long code, and everything that the manifest says is another value.
    let theirs = code("onExecuteCustomPhoneProvider", "theirs");
    let actions = site.actions();
    let ours = actions.iter().find(|action| action["name"] == "Lockstep phone (acme-largest)").expect("ours");
    let action = format!("/api/v2/actions/actions/{}", ours["id"].as_str().expect("an id"));
    assert_eq!(site.auth0("PATCH", &action, &json!({ "code": theirs })).0, 200);
    manifest(&folder, "second", 2);
    expect_plan(&[], true);
    let (page, document) = told("drift", &[]);
    let differs = document["drift"]["differences"].as_array().expect("differences");
    let all: Vec<&str> = differs.iter().map(|one| one["address"].as_str().expect("an address")).collect();
    assert!(expect_counted(&page, "Differences", &all) > 0);
}

//! Hostile texts at every place where a text of others can stand, in every form. Each form is held against the same
//! report with a plain word at these places: nothing but the cells may differ.

use lockstep::diag::{Diagnostic, Problem, Span};
use lockstep::kinds::Running;
use lockstep::manifest::Position;
use lockstep::model::checkup::{
    Checkup, Conversion, Converts, Credential, CredentialKind, Feedback, Known, Limit, Runs, Scopes, Stream,
};
use lockstep::model::codes;
use lockstep::model::health::{Counts, Health, Verdict};
use lockstep::model::outcome::{Cause, Ended, Outcome};
use lockstep::model::plan::{Finding, Plan};
use lockstep::model::text::line;
use lockstep::report::{
    Applied, BYTES_MAX, Back, Content, Failure, Format, Lease, Report, Said, Status, Watched,
};
use serde_json::{Value as Json, json};

use super::{form, plan_of, report_of};

/// What others may write: ends of fences, cells and lists, markup, links, references, mentions, commands of runners.
const HOSTILE: &[&str] = &[
    "`",
    "``",
    "```",
    "````diff",
    "~~~",
    "a|b",
    "| - | - |",
    "x\n```\n# heading\n",
    "\n\n- item",
    "<img src=x onerror=1>",
    "</details><script>x</script>",
    "<!-- -->",
    "&lt;b&gt;",
    "&amp;",
    "[text](https://evil.example)",
    "![x](y)",
    "](z)",
    "*bold* _it_ ~~gone~~",
    "# heading",
    "> quote",
    "1. item",
    "- item",
    "---",
    "===",
    "$x$",
    "\\",
    "\\`",
    "@team",
    "@org/team",
    "GH-1",
    "org/repo#1",
    "#1",
    "!1",
    "0123456789abcdef0123456789abcdef01234567",
    "https://evil.example",
    "www.evil.example",
    "jo@evil.example",
    ":tada:",
    "a\r\nb",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}turned\u{2066}",
    "zero\u{200b}width",
    "\u{0}\u{8}\u{ffff}\u{fffe}",
    "::error::x",
    "\n::error file=a,line=1::x",
    "a::b,c=d%0A%25",
    "##[x]",
    "]]>",
    "<![CDATA[x",
    "\"'",
    "' \" <",
    "{0}",
    "{{x}}",
    " ",
    "",
    "  both  ",
];

/// The word that the hostile texts are held against.
const PLAIN: &str = "Plainword";

fn said(text: &str) -> Said {
    let words = || text.to_owned();
    let problem = Problem::error(codes::ALL[0].0, words(), words(), words(), words());
    let span = Some(Span { line: 2, column: 3, start: 0, end: 1 });
    Said { diagnostic: Diagnostic { problem, file: text.to_owned(), span }, end: Some((2, 4)) }
}

/// What the log shows, with a text of others wherever one can stand.
fn health(text: &str) -> Health {
    Health {
        verdict: Verdict::Failing,
        reasons: vec![text.into()],
        since: "2026-11-20T10:00:00Z".into(),
        until: "2026-11-20T10:05:00Z".into(),
        counts: Counts::default(),
        before: None,
        is_new: true,
    }
}

fn watched(text: &str) -> Watched {
    let back =
        Back { ended: "failed", why: Some(text.into()), done: vec![text.into()], left: vec![text.into()] };
    Watched { health: health(text), back: Some(back) }
}

fn status(text: &str, plan: Plan) -> Status {
    let ledger = json!({
        "schema": 4, "tenant": text, "account": text, "stack": text, "serial": 1, "salt": "00", "resources": {},
        "history": [{ "at": text, "by": text, "revision": text, "steps": 1, "outcome": text }],
        "watch": { "run": text, "since": text, "ms": 1, "failing": text },
    });
    Status {
        running: plan.resources.iter().map(|one| (one.address.clone(), running(text))).collect(),
        plan,
        health: health(text),
        ledger: Some(serde_json::from_value(ledger).expect("a ledger")),
        lease: Lease::Held { sid: text.into(), owner: text.into() },
        verdict: "tenant changed",
    }
}

fn running(text: &str) -> Running {
    Running { action: text.into(), version: text.into(), since: text.into() }
}

/// Every kind of report, with that text wherever a text of others can stand.
fn position(text: &str) -> Position {
    Position { file: text.to_owned(), key: text.to_owned(), line: 1, column: 1, is_written: true }
}

fn reports(text: &str) -> Vec<Report> {
    let plan = || serde_json::from_value::<Plan>(plan_of(text)).expect("a plan");
    let ended = [
        Ended::Done,
        Ended::Failed(text.into()),
        Ended::LeaseHeld(text.into()),
        Ended::Stale(text.into()),
        Ended::NotConfirmed(text.into()),
        Ended::Stopped,
    ];
    let mut out: Vec<Report> = ended
        .into_iter()
        .map(|ended| {
            let is_done = ended == Ended::Done;
            let outcome = Outcome {
                ended,
                done: vec![1],
                failed: (!is_done).then_some(2),
                interrupted: None,
                kept: vec![text.to_owned()],
                lost: (!is_done).then(|| text.to_owned()),
                not_started: Vec::new(),
                cause: (!is_done).then(|| Cause {
                    code: codes::NOT_READ,
                    help: text.to_owned(),
                    place: "",
                    request_id: Some(text.to_owned()),
                }),
                outputs: Default::default(),
            };
            let (plan, why_stopped) = (plan(), text.to_owned());
            let place = Some(position(text));
            let watched = Some(watched(text));
            let outcome = Some(outcome);
            let applied = Applied { plan, outcome, verified: true, why_stopped, place, watched };
            report_of("apply", Content::Applied(Box::new(applied)))
        })
        .collect();
    let ledger: Json = json!({
        "schema": 3, "tenant": text, "account": text, "stack": text, "serial": 1, "salt": "00",
        "resources": { format!("log_stream.{text}"): {
            "kind": text, "ownership": "created", "ids": { "id": text }, "fields": {} } },
        "history": [],
    });
    let findings = plan().findings;
    out.extend([
        report_of("plan", Content::Plan(plan())),
        report_of("drift", Content::Drift { plan: plan(), verdict: "tenant changed" }),
        report_of("validate", Content::Valid { unknown: vec![text.to_owned()] }),
        report_of(
            "show",
            Content::Shown {
                ledger: Some(serde_json::from_value(ledger).expect("a ledger")),
                findings: findings.clone(),
                lease: Lease::Held { sid: text.into(), owner: text.into() },
            },
        ),
        report_of("status", Content::Status(Box::new(status(text, plan())))),
        report_of("doctor", Content::Doctor(Box::new(checkup(text, plan().findings)))),
        report_of("show", Content::Shown { ledger: None, findings, lease: Lease::Unknown(text.into()) }),
        report_of(
            "plan",
            Content::Failed(Failure {
                exit: 1,
                code: codes::NOT_READ,
                message: text.into(),
                help: text.into(),
                request_id: Some(text.into()),
                place: Some(position(text)),
            }),
        ),
    ]);
    for report in &mut out {
        report.file = text.to_owned();
        report.diagnostics = vec![said(text)];
    }
    out
}

/// A checkup with that text wherever a text of others can stand.
fn checkup(text: &str, findings: Vec<Finding>) -> Checkup {
    let own = || text.to_owned();
    Checkup {
        stack: own(),
        tenant: own(),
        account: own(),
        credentials: vec![Credential {
            place: own(),
            id: Some(own()),
            kind: CredentialKind::Dead,
            known: Known::Inferred,
            why: "a reason",
        }],
        scopes: Scopes { granted: Some(vec![own()]), plan: vec![own()], apply: vec![own()] },
        limits: vec![Limit { what: "Actions", used: Some(1), more: true, most: None }],
        running: vec![Runs { address: text.into(), runtime: Some(own()), failed: true }],
        stream: Some(Stream { status: own(), filters: vec![own()] }),
        conversion: Some(Conversion { attempts: 20, converted: 1, since: own(), verdict: Converts::Few }),
        feedback: Some(Feedback { masked: 1, filtered: [(own(), 1)].into(), ..Feedback::default() }),
        findings,
    }
}

/// Markdown without what stands in code spans and in fences, as CommonMark reads them.
pub fn skeleton(markdown: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match &fence {
            Some(end) if line == end => fence = None,
            Some(_) => continue,
            None if ticks >= 3 && line[ticks..] == *"diff" => fence = Some("`".repeat(ticks)),
            None => out.push_str(&without_spans(line)),
        }
        out.push('\n');
    }
    assert_eq!(fence, None, "a fence is not closed");
    out
}

fn without_spans(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inner = &rest[at + ticks..];
        let mut from = 0;
        let end = loop {
            let Some(found) = inner[from..].find('`') else { break None };
            let start = from + found;
            let run = inner[start..].len() - inner[start..].trim_start_matches('`').len();
            if run == ticks {
                break Some(start + run);
            }
            from = start + run;
        };
        out.push_str(&rest[..at]);
        out.push('·');
        let Some(end) = end else { panic!("a code span is not closed: {line}") };
        rest = &inner[end..];
    }
    out + rest
}

/// What a form is held against: all that is not a cell.
fn frame(format: Format, text: &str, of: &str) -> String {
    match format {
        Format::Markdown => skeleton(of),
        // A command for each line; its properties and its message are cells.
        Format::Github => of.lines().map(|line| command(line) + "\n").collect(),
        // As many lines. Differences of code have more of them where the code has.
        Format::Text => of.lines().count().to_string(),
        Format::Json | Format::Sarif => {
            let json: Json = serde_json::from_str(of).expect("JSON");
            shape(&json, text)
        }
        Format::Junit => elements(of),
    }
}

/// A command of a runner, read as the runner reads it: name, and the names of its properties.
fn command(line: &str) -> String {
    let rest = line.strip_prefix("::").unwrap_or_else(|| panic!("no command: {line}"));
    let (head, message) = rest.split_once("::").expect("a message");
    assert!(!message.contains(['\r', '\n']));
    let (name, properties) = head.split_once(' ').expect("properties");
    let names: Vec<&str> =
        properties.split(',').map(|property| property.split_once('=').expect("a value").0).collect();
    format!("{name} {}", names.join(","))
}

/// The members of a JSON document, without its texts. A key that is a text of others counts as one word.
fn shape(json: &Json, text: &str) -> String {
    match json {
        Json::String(_) => "text".into(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(|item| shape(item, text)).collect::<Vec<_>>().join(","))
        }
        Json::Object(members) => {
            let of = |(key, value): (&String, &Json)| {
                let key = if *key == text || *key == format!("log_stream.{text}") { "text" } else { key };
                format!("{key}:{}", shape(value, text))
            };
            format!("{{{}}}", members.iter().map(of).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// The elements of a document with the names of their attributes, in order.
fn elements(xml: &str) -> String {
    assert!(
        xml.chars()
            .all(|ch| ch == '\n'
                || (ch >= ' ' && !matches!(ch, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))),
        "a character that XML does not have"
    );
    let mut out = String::new();
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("the end of a tag");
        assert!(!text.contains('>'), "{text}");
        let in_entities = |text: &str| {
            text.split('&')
                .skip(1)
                .all(|rest| ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|end| rest.starts_with(end)))
        };
        assert!(in_entities(text) && in_entities(tag), "{part}");
        // Every second piece between quotes is a value.
        let names: Vec<&str> = tag.split('"').step_by(2).collect();
        out += &format!("<{}>\n", names.join("·"));
    }
    out
}

#[test]
fn a_text_of_others_changes_nothing_but_its_own_cell() {
    let plain: Vec<Report> = reports(PLAIN);
    let mut count = 0;
    for text in HOSTILE {
        for (report, plain) in reports(text).iter().zip(&plain) {
            for format in Format::ALL {
                let (shown, expected) = (form(format, report), form(format, plain));
                let calm = |ch: char| ch == '\n' || !lockstep::model::text::steers(ch);
                assert!(shown.chars().all(calm), "{format:?} of {text:?} steers: {shown:?}");
                let begins = |line: &str| format != Format::Github && line.trim_start().starts_with("::");
                assert!(!shown.lines().any(begins), "{format:?} of {text:?} has a command: {shown}");
                assert!(!shown.contains("##["), "{format:?} of {text:?} has a command");
                // An empty text leaves sentences out, and code of several lines has more of them.
                let is_longer = format == Format::Text
                    && (text.is_empty() || text.contains('\n') || report.command == "show");
                let has_no_help = text.is_empty();
                if !is_longer && !has_no_help {
                    let (shown_frame, expected_frame) =
                        (frame(format, text, &shown), frame(format, PLAIN, &expected));
                    assert_eq!(shown_frame, expected_frame, "{format:?} of {text:?}:\n{shown}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 3_000, "{count} forms");
}

#[test]
fn no_link_is_made_in_sarif() {
    let report = report_of("plan", Content::Plan(serde_json::from_value(plan_of("[a](b)")).expect("a plan")));
    assert!(!form(Format::Sarif, &report).contains("]("));
}

#[test]
fn markdown_keeps_its_limit_whatever_the_length() {
    for text in ["x".repeat(1_000_000), "`".repeat(1_000_000), "日本\n`".repeat(300_000)] {
        for report in reports(&text) {
            let shown = form(Format::Markdown, &report);
            assert!(shown.len() <= BYTES_MAX, "{} bytes", shown.len());
            skeleton(&shown);
            if !text.contains('\n') {
                assert!(line(&text).len() < 5_000);
            }
        }
    }
}

#[test]
fn markdown_is_cut_at_resources_and_counts_the_rest() {
    let mut json = plan_of("name");
    let one = json["resources"][0].clone();
    let many = |count: usize| -> Vec<Json> {
        (0..count)
            .map(|n| {
                let mut one = one.clone();
                one["address"] = json!(format!("log_stream.s{n}"));
                one
            })
            .collect()
    };
    for (count, findings) in [(10, 4), (2_000, 4), (2_000, 4_000)] {
        json["resources"] = json!(many(count));
        json["findings"] = json!(vec![json["findings"][0].clone(); findings]);
        let plan: Plan = serde_json::from_value(json.clone()).expect("a plan");
        for content in [Content::Plan(plan.clone()), Content::Drift { plan, verdict: "tenant changed" }] {
            let shown = form(Format::Markdown, &report_of("plan", content));
            assert!(shown.len() <= BYTES_MAX, "{} bytes", shown.len());
            let heads = shown.matches("### `log_stream.s").count();
            let more = shown
                .lines()
                .find_map(|line| line.strip_suffix(" more resources: see the text or the JSON output."));
            let more: usize = more.map_or(0, |more| more.parse().expect("a number"));
            assert_eq!(heads + more, count);
            assert_eq!(more > 0, count > 100);
            assert!(shown.len() > if more > 0 { BYTES_MAX * 4 / 5 } else { 0 }, "{} bytes", shown.len());
            assert_eq!(shown.contains("more findings: see"), findings > 100);
        }
    }
}

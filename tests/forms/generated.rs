//! Plans of drawn manifests, in the forms that other programs read. `.ci/run` has them judged by those programs:
//! `LOCKSTEP_FORMS=folder cargo test forms::generated -- --ignored` writes them into the folder.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use lockstep::model::plan::Plan;
use lockstep::report::{Content, Format};
use lockstep::shell::driver::Transport;
use lockstep::shell::in_process::InProcess;
use lockstep::shell::stack::{Settings, Stack};
use lockstep::twin::{Flag, Options, Twin};
use serde_json::Value as Json;

use super::{form, report_of};
use crate::simulation::dice::Dice;
use crate::simulation::manifests::{Draft, env};
use crate::support::START_MS;

/// How many plans are drawn.
const PLANS: u64 = 100;

/// What others may call a thing; each makes an element, a link or a mention where it is not escaped.
const NAMES: &[&str] = &[
    "<img src=x onerror=alert(1)>",
    "</details><h1>FORGED</h1>",
    "`<b>FORGED</b>`",
    "```\n<i>FORGED</i>\n```",
    "| a | b |\n| - | - |",
    "[FORGED](https://evil.example)",
    "![FORGED](https://evil.example/x.png)",
    "https://evil.example",
    "www.evil.example",
    "jo@evil.example",
    "@team",
    "org/repo#1",
    "\n\n# FORGED\n",
    "\n- FORGED",
    "**FORGED**",
    "<!--",
    "&lt;s&gt;FORGED",
    "a\\|b",
];

fn drawn(seed: u64) -> Plan {
    let mut dice = Dice::new(seed);
    let is_legacy = seed.is_multiple_of(5);
    let draft = Draft::draw(&mut dice, "acme-login", is_legacy);
    let manifest = draft.parse(&env()).expect("a drawn manifest is right");
    let unified_flag = if is_legacy { Flag::Off } else { Flag::On };
    let twin = Rc::new(RefCell::new(Twin::new(Options { unified_flag, ..Options::default() }, seed)));
    let transport = Transport::InProcess(InProcess::new(twin, START_MS));
    let mut stack = Stack::of(manifest, transport, Settings::default()).expect("a connection");
    stack.plan().unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
}

/// The plan with a name of others behind every text that may be theirs.
fn renamed(plan: &Plan, name: &str) -> Plan {
    const THEIRS: [&str; 13] = [
        "stack", "tenant", "account", "name", "field", "what", "reason", "danger", "text", "help", "stays",
        "needs", "new",
    ];
    fn visit(json: &mut Json, name: &str) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(|item| visit(item, name)),
            Json::Object(members) => {
                for (key, value) in members.iter_mut() {
                    match value {
                        Json::String(text) if THEIRS.contains(&key.as_str()) => text.push_str(name),
                        value => visit(value, name),
                    }
                }
            }
            _ => {}
        }
    }
    let mut json = serde_json::to_value(plan).expect("plain data");
    visit(&mut json["resources"], name);
    visit(&mut json["findings"], name);
    for step in json["steps"].as_array_mut().into_iter().flatten() {
        for key in ["what", "reason"] {
            let text = format!("{}{name}", step[key].as_str().unwrap_or_default());
            step[key] = text.into();
        }
    }
    serde_json::from_value(json).expect("still a plan")
}

#[test]
fn equal_plans_have_equal_bytes() {
    for seed in 0..5 {
        for format in Format::ALL {
            let shown = || form(format, &report_of("plan", Content::Plan(drawn(seed))));
            assert_eq!(shown(), shown(), "{format:?}");
        }
    }
}

#[test]
#[ignore = "writes files for other programs: see .ci/run"]
fn forms_for_other_programs() {
    let folder = std::env::var("LOCKSTEP_FORMS").expect("LOCKSTEP_FORMS names a folder");
    let folder = Path::new(&folder);
    for seed in 0..PLANS {
        let plan = drawn(seed);
        let name = NAMES[usize::try_from(seed).expect("small") % NAMES.len()];
        let contents = [
            ("plain", Content::Plan(plan.clone())),
            ("plan", Content::Plan(renamed(&plan, name))),
            ("drift", Content::Drift { plan: renamed(&plan, name), verdict: "tenant changed" }),
        ];
        for (what, content) in contents {
            let report = report_of(if what == "drift" { "drift" } else { "plan" }, content);
            for (format, ending) in [
                (Format::Markdown, "md"),
                (Format::Sarif, "sarif"),
                (Format::Junit, "xml"),
                (Format::Json, "json"),
            ] {
                let path = folder.join(format!("{seed:03}-{what}.{ending}"));
                std::fs::write(path, form(format, &report)).expect("written");
            }
        }
    }
}

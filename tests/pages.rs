//! The pages of `lockstep explain`: the wrong example of each gives exactly its code, and the mended one nothing of
//! level warning or above.
//!
//! A page has fenced blocks that this test reads:
//!
//! - `yaml wrong` and `yaml mended`: a manifest. One without a line `lockstep:` stands below a common head; one that
//!   begins with the line [`BESIDE`] replaces the sections of `manifests/minimal.yaml` that it names.
//! - `text wrong run` and `text mended run` (or `text run` for both): what happens on the twin, a line for each step
//!   ([`Page::steps`]). Without one, the manifest alone is judged. A run without a manifest takes the least one.
//! - `json env`: values of the environment.
//!
//! A line `Comes with LS0701.` names codes that the example cannot do without.

use std::collections::{BTreeMap, BTreeSet};

use lockstep::diag::codes::{self, Code};
use lockstep::diag::{Severity, remote};
use lockstep::engine::apply::{Ended, Wishes};
use lockstep::engine::reconcile::{Decision, reconcile};
use lockstep::engine::store::Store;
use lockstep::engine::watch::watched;
use lockstep::manifest::{FileError, Missing, Sources};
use lockstep::model::api::Method;
use lockstep::model::call::{Failed, Refusal};
use lockstep::model::facts::Facts;
use lockstep::model::login_path::LoginPath;
use lockstep::model::plan::{Level, Op, Plan, Purpose, Stage, Verb};
use lockstep::plan::check;
use lockstep::report::code_of_verdict;
use lockstep::shell::in_process::{KillPoint, Stop};
use lockstep::twin::Twin;
use lockstep::{kinds, ledger};
use serde_json::Value as Json;

use crate::process::lab::Folder;
use crate::support::{ACCOUNT, DOMAIN, Stack, env, ledger_file, options, tables};

const BESIDE: &str = "# in manifests/minimal.yaml";
const MINIMAL: &str = include_str!("../manifests/minimal.yaml");
const HEAD: &str = "\
lockstep: v1
stack: acme
auth0:
  domain: ${env.AUTH0_DOMAIN}
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET}
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
";

/// What an example gave: each code with whether it is of level warning or above.
type Given = BTreeSet<(Code, bool)>;

struct Env(BTreeMap<String, String>);

impl Sources for Env {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn file(&self, _path: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }
}

/// A fenced block: its info string and its text.
struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(info) if !inside => {
                inside = true;
                out.push(Block { info: info.to_owned(), text: String::new() });
            }
            Some(_) => inside = false,
            None if inside => {
                let block = out.last_mut().expect("one was begun");
                block.text += line;
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!inside, "a block does not end");
    out
}

struct Page<'a> {
    code: Code,
    text: &'a str,
    blocks: Vec<Block>,
}

impl Page<'_> {
    fn block(&self, infos: &[String]) -> Option<&str> {
        let found = infos.iter().find_map(|info| self.blocks.iter().find(|block| block.info == *info));
        found.map(|block| block.text.as_str())
    }

    /// What the example gives; `which` is `wrong` or `mended`.
    fn gives(&self, which: &str) -> Given {
        let mut values = env();
        if let Some(text) = self.block(&[format!("json {which} env"), "json env".to_owned()]) {
            let more: BTreeMap<String, String> = serde_json::from_str(text).expect("names and values");
            values.extend(more);
        }
        if let Some(before) = self.block(&[format!("json {which} before")]) {
            return lost(before, self.block(&[format!("json {which} step")]).expect("a step"));
        }
        if let Some(failure) = self.block(&["json wrong failure".to_owned()]) {
            return if which == "wrong" { refused(failure) } else { Given::new() };
        }
        if let Some(commands) = self.block(&[format!("console {which}")]) {
            return printed(commands);
        }
        let manifest = self.block(&[format!("yaml {which}"), "yaml".to_owned()]);
        let steps = self.block(&[format!("text {which} run"), "text run".to_owned()]);
        match (manifest.map(whole), steps) {
            (Some(manifest), None) => checked(&manifest, values),
            (manifest, Some(steps)) => {
                let then = self.block(&[format!("yaml {which} then"), "yaml then".to_owned()]).map(whole);
                self.steps(&manifest.unwrap_or_else(|| MINIMAL.to_owned()), then.as_deref(), values, steps)
            }
            (None, None) => panic!("there is no {which} example"),
        }
    }

    /// Runs the steps on a twin. The last one that reads is judged.
    ///
    /// - `apply`, `destroy`, `plan`, `drift`, with `--allow-delete` and `--delete ID`; `apply --watch`; `apply killed after N`;
    /// - `then`: from here on the manifest of the block `yaml then`, or the first one again;
    /// - `tenant METHOD PATH [JSON]`, `account METHOD HOST/PATH [JSON]`: a call of somebody else. `{NAME}` in a path is
    ///   the id of the object of that name. `VA… = account …` gives the new object that id; `N x …` repeats the call;
    /// - `fault RULE`, `no fault`, `option JSON`, `world POINTER JSON`, `env NAME VALUE`, `wait SECONDS`;
    /// - `record JSON`: members of the record change, and its checksum with them; null takes one away;
    /// - `record code TEXT`: the code of the Action that keeps the record.
    fn steps(
        &self,
        manifest: &str,
        then: Option<&str>,
        values: BTreeMap<String, String>,
        steps: &str,
    ) -> Given {
        let mut stack = Stack::new(options(), manifest);
        stack.env = values;
        stack.twin.borrow_mut().tenant_mut(DOMAIN);
        stack.twin.borrow_mut().world.account_mut(ACCOUNT);
        let mut other = then.unwrap_or(manifest).to_owned();
        let mut given = Given::new();
        for line in steps.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "plan" | "drift" | "apply" | "destroy" | "rollback" => given = run(&mut stack, word, rest),
                "then" => std::mem::swap(&mut stack.text, &mut other),
                "fault" => {
                    let rule = lockstep::twin::fault_grammar::parse(rest)
                        .unwrap_or_else(|error| panic!("{}", error.drawn(rest)));
                    stack.twin.borrow_mut().faults.rules.push(rule);
                }
                "no" => stack.twin.borrow_mut().faults.rules.clear(),
                "wait" => stack.in_process.advance_ms(rest.parse::<u64>().expect("seconds") * 1000),
                "env" => {
                    let (name, value) = rest.split_once(' ').expect("NAME VALUE");
                    stack.env.insert(name.to_owned(), value.to_owned());
                }
                "ledger" => stack.store = Store::File(ledger_file()),
                "file" => drop(stack.files.borrow_mut().contents.insert(ledger_file(), rest.to_owned())),
                "option" => change(&stack, |file| {
                    let more: Json = serde_json::from_str(rest).expect("options");
                    let options = file["options"].as_object_mut().expect("options");
                    options.extend(more.as_object().expect("options").clone());
                }),
                "world" => {
                    let (pointer, value) = rest.split_once(' ').expect("POINTER JSON");
                    let value: Json = serde_json::from_str(value).expect(rest);
                    change(&stack, |file| put(&mut file["world"], pointer, value));
                }
                "record" => record(&stack, rest),
                _ => call(&stack, line),
            }
        }
        given
    }
}

/// What a step loses, by the rules of the proof.
fn lost(before: &str, step: &str) -> Given {
    let facts = |text: &str| -> Facts { serde_json::from_str(text).expect("facts") };
    let mut made = kinds::step(&"x".into(), "x", Verb::Update, Stage::Tenant, "x", Op::default());
    made.effects = facts(step);
    let losses = check::losses(&LoginPath::from(&facts(before)), &[made]);
    losses.iter().map(|loss| (loss.code, true)).collect()
}

/// What a refusal means.
fn refused(text: &str) -> Given {
    let json: Json = serde_json::from_str(text).expect("a refusal");
    let word = |key: &str| json[key].as_str().map(str::to_owned);
    let refusal = Refusal {
        host: word("host").expect("a host"),
        method: Method::parse(&word("method").expect("a method")).expect("a method"),
        path: word("path").expect("a path"),
        status: json["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status"),
        code: word("code"),
        message: String::new(),
        request_id: None,
        attempts: 1,
        unsure: false,
    };
    Given::from([(remote::cause(&Failed::Refused(Box::new(refusal))).code, true)])
}

/// The codes that the last of these commands prints, run by the program in a folder with `lockstep.yaml`.
fn printed(commands: &str) -> Given {
    let folder = Folder::new();
    folder.write("lockstep.yaml", MINIMAL);
    let mut given = Given::new();
    for line in commands.lines() {
        let words = line.strip_prefix("lockstep ").expect("a command of the program").split(' ');
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(words)
            .current_dir(folder.path("."))
            .env_clear()
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the program runs");
        let text =
            String::from_utf8(out.stdout).expect("text") + &String::from_utf8(out.stderr).expect("text");
        let codes = text.split("[LS").skip(1).filter_map(|rest| Code::parse(rest.split(']').next()?));
        given = codes.map(|code| (code, !text.contains(&format!("note[{code}]")))).collect();
    }
    given
}

/// The text of a whole manifest.
fn whole(block: &str) -> String {
    if block.starts_with(BESIDE) {
        let mut all: Json = serde_yaml::from_str(MINIMAL).expect("YAML");
        let more: Json = serde_yaml::from_str(block).expect("YAML");
        let all_keys = all.as_object_mut().expect("a mapping");
        all_keys.extend(more.as_object().cloned().unwrap_or_default());
        all_keys.retain(|_, value| !value.is_null());
        return all.to_string();
    }
    match block.lines().any(|line| line.starts_with("lockstep:")) {
        true => block.to_owned(),
        false => format!("{HEAD}{block}"),
    }
}

/// What is said of a manifest.
fn checked(text: &str, values: BTreeMap<String, String>) -> Given {
    let said = match lockstep::manifest::read("lockstep.yaml", text, &tables()) {
        Err(rejected) => rejected.diagnostics,
        Ok(parsed) => {
            let sources = Env(values);
            lockstep::manifest::examine(&parsed, &sources, Missing::Error, &lockstep::kinds::check)
                .diagnostics
        }
    };
    said.iter().map(|one| (one.problem.code, one.problem.severity > Severity::Note)).collect()
}

fn run(stack: &mut Stack, word: &str, rest: &str) -> Given {
    let mut words = rest.split_whitespace();
    let mut stop = Stop::default();
    stack.allow_delete = false;
    stack.named.clear();
    let mut verify = false;
    stack.watch_ms = None;
    while let Some(option) = words.next() {
        match option {
            "--allow-delete" => stack.allow_delete = true,
            "--delete" => drop(stack.named.insert(words.next().expect("an id").to_owned())),
            "--verify" => verify = true,
            "--watch" => stack.watch_ms = Some(60_000),
            "killed" | "interrupted" => {
                let number = words.nth(1).and_then(|number| number.parse().ok()).expect("after N");
                stop = match option {
                    "killed" => {
                        Stop { kill: Some(KillPoint { after_request: number, before_reply: false }), ..stop }
                    }
                    _ => Stop { interrupt_after_request: Some(number), ..stop },
                };
            }
            other => panic!("{other} is no option of a step"),
        }
    }
    stack.purpose = match word {
        "plan" => Purpose::Show,
        "drift" => Purpose::Drift,
        _ => Purpose::Apply,
    };
    let findings = |plan: &Plan| -> Given {
        plan.findings.iter().map(|one| (one.code, one.level > Level::Note)).collect()
    };
    let mut session = stack.session(word == "destroy");
    session.rollback = word == "rollback";
    let failed = |failed: &Failed| Given::from([(remote::cause(failed).code, true)]);
    if matches!(word, "plan" | "drift") {
        return match stack.try_observe(false) {
            Ok(observed) => findings(&observed.plan),
            Err(why) => failed(&why),
        };
    }
    let wishes = Wishes { verify, ..Wishes::default() };
    let decide = |_: &Plan| Decision::Apply.into();
    if session.watch_ms.is_some() {
        let ran = stack.process(stop, |port| async move { watched(session, wishes, decide, &port).await });
        let ran = ran.expect("not killed").unwrap_or_else(|why| panic!("{why}"));
        let verdict = ran.watched.expect("something was deployed").health.verdict;
        return code_of_verdict(verdict).map(|code| (code, true)).into_iter().collect();
    }
    let result = stack.process(stop, |port| async move { reconcile(session, wishes, decide, &port).await });
    match result {
        None => Given::new(),
        Some(Err(why)) => failed(&why),
        Some(Ok(report)) => {
            let mut given = findings(&report.plan);
            given.extend(report.outcome.code().map(|code| (code, true)));
            assert!(report.outcome.ended == Ended::Done || report.outcome.code().is_some(), "{report:?}");
            given
        }
    }
}

/// Changes the twin's file.
fn change(stack: &Stack, change: impl FnOnce(&mut Json)) {
    let mut twin = stack.twin.borrow_mut();
    let mut file = twin.to_json();
    change(&mut file);
    *twin = Twin::from_json(file).unwrap_or_else(|why| panic!("{why}"));
}

/// Sets the value at a pointer; `-` at its end adds to a list.
fn put(world: &mut Json, pointer: &str, value: Json) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = world.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Json::Array(list) if last == "-" => list.push(value),
        Json::Array(list) => list[last.parse::<usize>().expect("a number")] = value,
        Json::Object(members) => drop(members.insert(last.to_owned(), value)),
        _ => panic!("{pointer} is in no list and no object"),
    }
}

/// The record, with other members.
fn record(stack: &Stack, what: &str) {
    let mut twin = stack.twin.borrow_mut();
    let actions = &mut twin.world.tenant_mut(DOMAIN).actions;
    let action =
        actions.iter_mut().find(|action| action.name.starts_with("Lockstep ledger")).expect("a record");
    if let Some(code) = what.strip_prefix("code ") {
        action.code = code.to_owned();
        return;
    }
    let stack = action.name.trim_start_matches("Lockstep ledger (").trim_end_matches(')');
    let held = ledger::read(&action.code, stack, DOMAIN, ACCOUNT).expect("a record");
    let mut json = serde_json::to_value(held).expect("plain data");
    let members = json.as_object_mut().expect("an object");
    let more: serde_json::Map<String, Json> = serde_json::from_str(what).expect("members");
    members.extend(more);
    members.retain(|_, value| !value.is_null());
    action.code = ledger::write(&serde_json::from_value(json).expect("a record")).expect("small");
}

/// The first object whose name begins so.
fn found<'a>(value: &'a Json, name: &str) -> Option<&'a Json> {
    let is_it = |value: &Json| {
        ["name", "friendly_name", "unique_name"]
            .iter()
            .any(|key| value.get(key).and_then(Json::as_str).is_some_and(|text| text.starts_with(name)))
            && id_of(value).is_some()
    };
    match value {
        value if is_it(value) => Some(value),
        Json::Array(list) => list.iter().find_map(|one| found(one, name)),
        Json::Object(members) => members.values().find_map(|one| found(one, name)),
        _ => None,
    }
}

fn id_of(value: &Json) -> Option<&str> {
    ["id", "sid"].iter().find_map(|key| value.get(key)?.as_str())
}

/// A call of somebody else.
fn call(stack: &Stack, line: &str) {
    let (id, line) = match line.split_once(" = ") {
        Some((id, line)) if !id.contains(' ') => (Some(id), line),
        _ => (None, line),
    };
    let (times, line) = match line.split_once(" x ") {
        Some((times, line)) if times.bytes().all(|byte| byte.is_ascii_digit()) => {
            (times.parse().expect("a number"), line)
        }
        _ => (1, line),
    };
    let mut made = Json::Null;
    for number in 1..=times {
        let mut line = line.replace('#', &number.to_string());
        while let Some((start, rest)) =
            line.split_once("/{").map(|(start, rest)| (start.to_owned(), rest.to_owned()))
        {
            let (name, end) = rest.split_once('}').expect("a name in braces");
            let world = stack.twin.borrow().to_json()["world"].take();
            let id = found(&world, name)
                .and_then(id_of)
                .unwrap_or_else(|| panic!("nothing is called {name}"))
                .to_owned();
            line = format!("{start}/{id}{end}");
        }
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (who, method, path, body) = (word(), word(), word(), word());
        let method = Method::parse(method).unwrap_or_else(|| panic!("{line}: no method"));
        let body: Json = if body.is_empty() { Json::Null } else { serde_json::from_str(body).expect(&line) };
        let now_ms = stack.in_process.now_ms();
        let mut twin = stack.twin.borrow_mut();
        let (status, reply) = match who {
            "tenant" => twin.operate_tenant(DOMAIN, method, path, &body, now_ms),
            "account" => {
                let (host, path) = path.split_once('/').expect("HOST/PATH");
                let form: Vec<(String, String)> = body
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
                    .collect();
                let form: Vec<(&str, &str)> =
                    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                twin.operate_account(ACCOUNT, host, method, &format!("/{path}"), &form, now_ms)
            }
            _ => panic!("{line}: no such step"),
        };
        assert!((200..300).contains(&status), "{line}: {status} {reply}");
        made = reply;
    }
    if let Some(id) = id {
        let was = id_of(&made).expect("a new object").to_owned();
        change(stack, |file| {
            *file = serde_json::from_str(&file.to_string().replace(&was, id)).expect("JSON")
        });
    }
}

#[test]
fn every_example_gives_its_code_and_the_mended_one_gives_nothing() {
    let only = std::env::var("LOCKSTEP_PAGE").ok();
    let mut wrong = Vec::new();
    for (code, text) in pages() {
        if only.as_ref().is_some_and(|only| *only != code.to_string()) {
            continue;
        }
        if EXCEPT.iter().any(|(except, _)| except == code) {
            continue;
        }
        let page = Page { code: *code, text: &text, blocks: blocks(&text) };
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&page)));
        match judged {
            Ok(Ok(())) => {}
            Ok(Err(why)) => wrong.push(format!("{code}: {why}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                wrong.push(format!("{code}: {}", text.unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} pages:\n{}", wrong.len(), wrong.join("\n"));
}

fn judge(page: &Page<'_>) -> Result<(), String> {
    let with: BTreeSet<Code> = page
        .text
        .lines()
        .find_map(|line| line.strip_prefix("Comes with "))
        .into_iter()
        .flat_map(|list| list.trim_end_matches('.').split([',', ' ']).filter_map(Code::parse))
        .collect();
    let given = page.gives("wrong");
    let others = |given: &Given| -> Vec<Code> {
        given
            .iter()
            .filter(|(code, loud)| *loud && *code != page.code && !with.contains(code))
            .map(|(code, _)| *code)
            .collect()
    };
    if !given.iter().any(|(code, _)| *code == page.code) {
        return Err(format!("the wrong example gives {given:?}"));
    }
    if !others(&given).is_empty() {
        return Err(format!("the wrong example gives others too: {given:?}"));
    }
    let mended = page.gives("mended");
    match mended.iter().any(|(code, loud)| *loud || *code == page.code) {
        true => Err(format!("the mended example gives {mended:?}")),
        false => Ok(()),
    }
}

/// The pages as they lie beside the code, which are those of the program.
fn pages() -> Vec<(&'static Code, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/core/src/model/pages");
    let read = |code: &Code| std::fs::read_to_string(format!("{folder}/{code}.md")).expect("a page");
    codes::PAGES.iter().map(|(code, _)| (code, read(code))).collect()
}

/// Codes whose page has no example that runs, and why.
const EXCEPT: &[(Code, &str)] = &[
    (codes::EARLIER_BUILD, "only a plan file of an earlier version has it: tests/plans"),
    (codes::LEASE_LOST, "it takes two runs at once: faults::rivals"),
    (codes::RECORD_MOVED, "it takes two runs at once: faults::files"),
    (codes::RECORD_INCOMPLETE, "it takes a kill at one certain request: simulation::end"),
    (codes::LEASE_HELD, "it takes two runs at once: faults::rivals"),
    (codes::HALTED, "it takes a fleet: process::fleet"),
];

/// Each page begins with its code and sentence, has the four parts, and is short.
#[test]
fn every_page_has_the_same_parts() {
    for (code, text) in codes::PAGES {
        let sentence = code.sentence().expect("listed");
        assert_eq!(text.lines().next(), Some(&*format!("# {code}: {sentence}")));
        let parts: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(parts, ["## An example", "## The same, mended", "## What to do"], "{code}");
        assert!(text.lines().count() <= 60, "{code}: {} lines", text.lines().count());
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{code}");
    }
}

/// What stands before the codes of each hundred in docs/codes.md.
const HUNDREDS: &[(u16, &str)] = &[
    (1, "The text of the manifest"),
    (2, "References and files of the manifest"),
    (3, "What the manifest says as a whole"),
    (4, "Objects in the tenant and the account"),
    (5, "The record"),
    (6, "Logins and messages"),
    (7, "Reading and permissions"),
    (8, "What a person answers for"),
    (9, "Failed requests, and runs that do not end"),
];

fn list() -> String {
    let mut out = "# Codes\n\nEvery error, warning and finding has a code. It stays the same when the words change, and a number is never used again.\n\
                   `lockstep explain LS0104` prints the page of a code: what it means, an example, the same mended, and what to do. This list is\n\
                   written out of the program.\n"
        .to_owned();
    for (hundred, title) in HUNDREDS {
        out += &format!("\n## LS{hundred:02}: {title}\n\n| Code | Meaning |\n|---|---|\n");
        let those = codes::ALL.iter().filter(|(code, _)| code.number() / 100 == *hundred);
        out.extend(those.map(|(code, sentence)| format!("| {code} | {sentence} |\n")));
    }
    out
}

#[test]
fn the_list_of_codes_is_as_the_program_has_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/codes.md");
    if std::env::var_os("LOCKSTEP_WRITE_DOCS").is_some() {
        std::fs::write(path, list()).expect("the list is written");
    }
    let help = "LOCKSTEP_WRITE_DOCS=1 cargo test --test all -- pages writes the list anew";
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), list(), "{help}");
}

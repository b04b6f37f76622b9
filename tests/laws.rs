//! Tests that each rule of law 1 has a case that breaks this rule and no other, a heading in docs/laws.md, and a
//! mutant.

use std::collections::BTreeSet;

use lockstep::kinds;
use lockstep::model::facts::Facts;
use lockstep::model::login_path::LoginPath;
use lockstep::model::plan::{Op, Stage, Verb};
use lockstep::plan::check::{self, RULES};
use serde_json::{Value as Json, json};

use crate::simulation::mutants::MUTANTS;

/// A step that breaks one rule.
struct Case {
    rule: &'static str,
    /// Facts before the step, and facts that the step changes, as a plan writes them.
    start: Json,
    effects: Json,
    /// No confirmation makes the step right.
    absolute: bool,
}

fn case(rule: &'static str, start: Json, effects: Json, absolute: bool) -> Case {
    Case { rule, start, effects, absolute }
}

fn cases() -> Vec<Case> {
    let can_meet = |rule: Json| json!({ "rules.action": "deployed", "rules.bound": true, "customize": true, "factor.otp": true, "rules": rule });
    vec![
        case(
            "What reaches users goes on",
            json!({ "factor.sms": true, "unified": true, "provider": "custom", "provider.methods": ["text"], "service": true }),
            json!({ "service": false }),
            false,
        ),
        case(
            "What reaches users goes on",
            json!({ "unified": false, "provider": "absent" }),
            json!({ "unified": true, "factor.sms": false }),
            false,
        ),
        case(
            "A hand-over to an Action of others is confirmed",
            json!({
                "unified": false, "selected": "twilio", "provider": "custom", "provider.methods": ["text", "voice"], "factor.sms": true,
                "action": "deployed", "action.of_others": true, "bound": true, "feedback": "active"
            }),
            json!({ "unified": true }),
            false,
        ),
        case(
            "A hand-over to an Action of others is confirmed",
            json!({
                "unified": false, "selected": "twilio", "legacy_action": "deployed", "legacy_action.of_others": true,
                "legacy_bound": true, "feedback": "active"
            }),
            json!({ "selected": "phone-message-hook" }),
            false,
        ),
        case(
            "A factor that is demanded can be used",
            json!({ "policy": "never", "factor.otp": false, "factor.recovery-code": true }),
            json!({ "policy": "always" }),
            true,
        ),
        case(
            "A rule can be met",
            can_meet(json!({ "staff": ["otp"] })),
            json!({ "factor.otp": false }),
            true,
        ),
        case(
            "A rule can be met",
            can_meet(json!({ "staff": ["otp", "webauthn-roaming"] })),
            json!({ "factor.otp": false }),
            false,
        ),
        case(
            "Other people's Actions can be met",
            json!({ "others": { "theirs": ["otp"] }, "factor.otp": true }),
            json!({ "factor.otp": false }),
            false,
        ),
        case(
            "Rules are deployed before they are bound",
            json!({ "rules.action": "draft", "rules.bound": false }),
            json!({ "rules.bound": true }),
            true,
        ),
        case(
            "The tenant can ask for what rules demand",
            can_meet(json!({ "staff": ["otp"] })),
            json!({ "customize": false }),
            true,
        ),
        case(
            "The phone factor comes after what delivers",
            json!({ "factor.sms": false, "provider": "absent" }),
            json!({ "factor.sms": true }),
            true,
        ),
        case(
            "Nobody has the phone alone while its binding is refused",
            json!({ "unified": true, "bound": "refused", "factor.sms": true, "factor.otp": true }),
            json!({ "factor.otp": false }),
            true,
        ),
        case(
            "Users do not depend on an unbound Action of others",
            json!({ "unified": true, "provider": "custom", "provider.methods": ["text"], "action": "deployed", "bound": "unlisted" }),
            json!({ "factor.sms": true }),
            true,
        ),
        case(
            "Users do not depend on an unbound Action of others",
            json!({ "action": "deployed", "bound": "unlisted", "provider": "absent" }),
            json!({ "provider": "custom" }),
            true,
        ),
        case(
            "Users do not depend on an unbound Action of others",
            json!({ "policy": "never", "provider": "custom", "bound": "unlisted", "factor.sms": true }),
            json!({ "policy": "always" }),
            true,
        ),
        case(
            "Each message is sent once",
            json!({ "provider": "absent", "action": "deployed", "bound": "several" }),
            json!({ "provider": "custom", "provider.methods": ["text"] }),
            true,
        ),
        case(
            "Nobody has the codes of a former version alone",
            json!({ "policy": "always", "provider": "custom", "former": true, "factor.sms": true, "factor.otp": true }),
            json!({ "factor.otp": false }),
            true,
        ),
        case(
            "The unified experience needs a binding that is taken",
            json!({ "unified": false, "bound": "refused" }),
            json!({ "unified": true }),
            true,
        ),
        case(
            "An Action is deployed before it is bound",
            json!({ "action": "draft" }),
            json!({ "bound": true }),
            true,
        ),
        case(
            "An Action is deployed before it is bound",
            json!({ "legacy_action": "draft" }),
            json!({ "legacy_bound": true }),
            true,
        ),
        case(
            "An Action is deployed before the provider sends by it",
            json!({ "action": "draft", "provider": "absent" }),
            json!({ "provider": "custom" }),
            true,
        ),
        case(
            "An Action is deployed before codes are handed to it",
            json!({ "unified": false, "legacy_action": "draft", "feedback": "active" }),
            json!({ "selected": "phone-message-hook" }),
            true,
        ),
        case(
            "An Action is there before it is deployed",
            json!({ "action": "absent" }),
            json!({ "action": "deployed" }),
            true,
        ),
        case(
            "An Action is there before it is deployed",
            json!({ "legacy_action": "absent" }),
            json!({ "legacy_action": "deployed" }),
            true,
        ),
        case(
            "An Action is unbound before it is deleted",
            json!({ "action": "deployed", "bound": true }),
            json!({ "action": "absent" }),
            true,
        ),
        case(
            "An Action is unbound before it is deleted",
            json!({ "legacy_action": "deployed", "legacy_bound": true }),
            json!({ "legacy_action": "absent" }),
            true,
        ),
        case(
            "An Action is bound before codes are handed to it",
            json!({ "unified": false, "legacy_action": "deployed", "legacy_bound": false, "feedback": "active" }),
            json!({ "selected": "phone-message-hook" }),
            true,
        ),
        case(
            "The unified experience comes after what delivers",
            json!({
                "unified": false, "selected": "phone-message-hook", "legacy_action": "draft", "factor.sms": true,
                "provider": "absent"
            }),
            json!({ "unified": true }),
            true,
        ),
        case(
            "Rate limits stand while code passes them",
            json!({ "limit.a": false }),
            json!({ "action": "deployed", "action.limits": ["a"] }),
            true,
        ),
        case(
            "Rate limits stand while code passes them",
            json!({ "limit.a": true, "legacy_action.limits": ["a"] }),
            json!({ "limit.a": false }),
            false,
        ),
        case(
            "Feedback reaches Verify while it sends",
            json!({ "factor.sms": true, "feedback": "active" }),
            json!({ "feedback": "absent" }),
            false,
        ),
        case(
            "Feedback reaches Verify while it sends",
            json!({ "factor.sms": true, "feedback": "paused", "feedback.action": "deployed", "feedback.bound": true }),
            json!({ "feedback.bound": false }),
            false,
        ),
        case(
            "Feedback reaches Verify while it sends",
            json!({ "provider": "twilio", "provider.methods": ["text"], "action": "deployed", "feedback": "absent" }),
            json!({ "provider": "custom" }),
            false,
        ),
        case(
            "Feedback reaches Verify while it sends",
            json!({
                "provider": "custom", "provider.methods": ["text"], "action": "deployed", "action.verifies": false,
                "feedback": "absent"
            }),
            json!({ "action.verifies": true }),
            false,
        ),
    ]
}

fn facts(json: &Json) -> Facts {
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn each_rule_is_tripped_by_its_cases_and_by_no_other() {
    let cases = cases();
    let mut mistakes = Vec::new();
    for Case { rule, start, effects, absolute } in &cases {
        let mut step = kinds::step(&"x".into(), "x", Verb::Update, Stage::Tenant, "x", Op::default());
        step.effects = facts(effects);
        let losses = check::losses(&LoginPath::from(&facts(start)), &[step.clone()]);
        // The mutants break all rules in one build and read these lines, so each case is told of.
        if !losses.iter().any(|loss| loss.rule == *rule) {
            mistakes.push(format!("{rule}: nothing is lost by {effects} from {start}"));
        }
        if losses.iter().any(|loss| loss.rule != *rule || loss.absolute != *absolute) {
            mistakes.push(format!("{rule}: {losses:?}"));
        }
        // Without known facts, no loss is claimed.
        step.effects = Facts::new();
        let losses = check::losses(&LoginPath::default(), &[step]);
        if !losses.is_empty() {
            mistakes.push(format!("{rule}: with nothing known, this is claimed: {losses:?}"));
        }
    }
    assert!(mistakes.is_empty(), "mistakes:\n{}", mistakes.join("\n"));
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    let covered: BTreeSet<&str> = cases.iter().map(|case| case.rule).collect();
    assert_eq!(covered, rules, "every rule has a case");
    assert_eq!(rules.len(), RULES.len(), "names are unique");
}

/// Below the heading of each rule, the page says what the rule protects.
#[test]
fn the_page_has_a_heading_for_each_rule_and_no_other() {
    let page = include_str!("../docs/laws.md");
    let (_, proof) = page.split_once("\n## How law 1 is proven\n").expect("the part about law 1");
    let told: Vec<(&str, &str)> = proof
        .split("\n### ")
        .skip(1)
        .map(|part| part.split_once("\n\nIt protects ").expect("what it protects"))
        .map(|(name, text)| (name, text.lines().next().unwrap_or_default().trim_end_matches('.')))
        .collect();
    let rules: Vec<(&str, &str)> = RULES.iter().map(|rule| (rule.name, rule.protects)).collect();
    assert_eq!(told, rules);
}

/// Rules and the mutant that breaks each. Other rules have a mutant of the same name.
const BROKEN_BY: &[(&str, &str)] = &[
    ("What reaches users goes on", "an unread sender is taken to send nothing"),
    ("Feedback reaches Verify while it sends", "nobody asks for feedback at the hand-over"),
];

#[test]
fn each_rule_has_its_mutant() {
    for rule in RULES {
        let older = BROKEN_BY.iter().find(|(name, _)| *name == rule.name).map(|(_, mutant)| *mutant);
        let name = older.unwrap_or(rule.name);
        let mutant = MUTANTS.iter().find(|mutant| mutant.name == name);
        let mutant = mutant.unwrap_or_else(|| panic!("no mutant is called {name:?}"));
        assert_eq!(mutant.file, "crates/core/src/plan/check.rs", "{name}");
    }
    for (rule, _) in BROKEN_BY {
        assert!(RULES.iter().any(|known| known.name == *rule), "{rule} is no rule any more");
    }
}

/// A page that cites a law by its number has to link to the laws.
#[test]
fn pages_that_cite_a_law_lead_to_it() {
    let pages = crate::tidy::files("docs", &[".md"]).into_iter().map(|page| page.text);
    let more = [include_str!("../README.md"), include_str!("../ARCHITECTURE.md")].map(str::to_owned);
    let mut citing = 0;
    for page in pages.chain(more).filter(|page| !page.starts_with("# The laws\n")) {
        let cites = (1..=8).any(|number| page.to_lowercase().contains(&format!("law {number}")));
        let title = page.lines().next().unwrap_or_default();
        assert!(!cites || page.contains("laws.md)"), "{title} cites a law and does not lead to docs/laws.md");
        citing += usize::from(cites);
    }
    assert!(citing > 1, "{citing} pages");
}

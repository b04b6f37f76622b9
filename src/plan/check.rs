//! Law 1, proven over every prefix of a plan: what worked before a step works after it.
//!
//! The facts are those that the kinds report (`Kind::facts`) and that steps change (`Step::effects`):
//! `policy`, `factor.<wire name>`, `message_types`, `provider`, `provider.methods`, `unified`, `action`, `bound` (`refused`: the tenant did not take the binding),
//! `selected`, `legacy_action`, `legacy_bound` (the legacy way), `service`, `feedback`, `feedback.endpoint`,
//! `function`, `function.url`, `login`, `others` (which factors other people's post-login Actions ask for, by name), and of the post-login Action `rules.action`, `rules.bound`, `customize` and `rules` (what the code that runs demands: lists of factors by
//! name of the rule), `limit.<name>` (whether the rate limit is there), `action.limits` and `legacy_action.limits` (the
//! rate limits that the deployed code passes), `former.runs` (the sending code is what ran before this stack) and `former` (it
//! was brought back, and whether it still works nobody can prove). A fact that nobody reports is unknown, and nothing is claimed
//! from it.

use serde_json::{Value as Json, json};

use crate::model::plan::{Facts, Stage, Step};

/// What a step breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Number of the step.
    pub step: usize,
    /// In words.
    pub what: String,
    /// Users are locked out, or a rule of order is broken: no confirmation makes this right.
    pub absolute: bool,
}

/// Walks the plan and names every loss. Empty for a safe plan.
pub fn losses(start: &Facts, steps: &[Step]) -> Vec<Loss> {
    let mut facts = start.clone();
    let mut losses = Vec::new();
    for step in steps {
        let before = facts.clone();
        facts.extend(step.effects.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut lose = |what: String, absolute: bool| losses.push(Loss { step: step.number, what, absolute });
        // Whoever sends while the flag is off may not have been read: what is not known is taken to work.
        let leaves_unread =
            step.effects.get("unified") == Some(&json!(true)) && word(&before, "selected").is_none();
        let unbinds = step.effects.get("legacy_bound") == Some(&json!(false));
        for (name, works) in FLOWS {
            let (worked, works) = match unbinds {
                true => (works(&handed(&before)), works(&handed(&facts))),
                false => (works(&before), works(&facts)),
            };
            if (worked == Some(true) || (leaves_unread && worked.is_none())) && works == Some(false) {
                lose(format!("{name} stop working"), false);
            }
        }
        // While the switch is on, the documents disagree about whether the policy asks; from here on it surely does.
        let asks_again =
            flag(&before, "customize") == Some(true) && step.effects.get("customize") == Some(&json!(false));
        let asks = asks_again || matches!(step.stage, Stage::RaisePolicy | Stage::RaiseBack);
        if locked_out(&facts) && (!locked_out(&before) || asks) {
            lose("a second factor is demanded and none can be used".into(), true);
        }
        let former = demands(&before);
        for (rule, usable) in demands(&facts) {
            let old = former.iter().find(|(name, _)| *name == rule).map(|(_, usable)| usable);
            let anew =
                ["rules", "rules.action", "rules.bound"].iter().any(|key| step.effects.contains_key(*key));
            if usable.is_empty() && (anew || old.is_none_or(|old| !old.is_empty())) {
                lose(format!("the rule {rule} demands a second factor and none can be used"), true);
            } else if let Some(old) = old.filter(|_| !step.effects.contains_key("rules")) {
                let gone: Vec<&str> = old.iter().filter(|name| !usable.contains(name)).copied().collect();
                if !gone.is_empty() {
                    lose(format!("the rule {rule} cannot be met by {} any more", gone.join(", ")), false);
                }
            }
        }
        for (action, what) in unmet_by_others(&before, &facts) {
            lose(format!("the Action {action}, which is not of this stack, {what}"), false);
        }
        let bound = |facts: &Facts| flag(facts, "rules.bound") == Some(true);
        if bound(&facts) && !bound(&before) && !runs(&facts) {
            lose("the Action with the rules is bound before it is deployed".into(), true);
        }
        if runs(&facts) && fails(&facts) && !(runs(&before) && fails(&before)) {
            lose(
                "the logins that a rule fits fail, because the tenant cannot ask for its factors".into(),
                true,
            );
        }
        let sets = |key: &str, value: Json| step.effects.get(key) == Some(&value);
        if sets("factor.sms", json!(true)) && delivers_any(&facts) == Some(false) {
            lose("the phone factor is switched on before anything can deliver".into(), true);
        }
        if leans(&facts) && (!leans(&before) || asks) {
            lose(format!("{REFUSED}, and the phone would be the only factor"), true);
        }
        let on_former = |facts: &Facts| flag(facts, "former") == Some(true) && leaves_an_action(facts);
        if on_former(&facts) && !on_former(&before) {
            lose("logins would have codes of a former version alone, which may fail".into(), true);
        }
        if sets("unified", json!(true)) && is_refused(&facts) {
            lose(format!("{REFUSED}, and the unified experience sends by it alone"), true);
        }
        for (key, value, action, what) in [
            ("bound", json!(true), "action", "the Action is bound before it is deployed"),
            (
                "provider",
                json!("custom"),
                "action",
                "the provider is switched to an Action that is not deployed",
            ),
            ("legacy_bound", json!(true), "legacy_action", "the Action is bound before it is deployed"),
            ("selected", json!(HOOK), "legacy_action", "codes are handed to an Action that is not deployed"),
        ] {
            if sets(key, value) && before.get(action).is_some_and(|state| state != "deployed") {
                lose(what.into(), true);
            }
        }
        for (action, bound) in [("action", "bound"), ("legacy_action", "legacy_bound")] {
            if sets(action, json!("deployed")) && word(&before, action) == Some("absent") {
                lose("the Action is deployed before it is there".into(), true);
            }
            if sets(action, json!("absent")) && flag(&before, bound) == Some(true) {
                lose("the Action is deleted while it is bound, which the API refuses".into(), true);
            }
        }
        if sets("selected", json!(HOOK)) && flag(&before, "legacy_bound") == Some(false) {
            lose("codes are handed to an Action that is not bound".into(), true);
        }
        if sets("unified", json!(true))
            && flag(&facts, "factor.sms") != Some(false)
            && delivers_any(&facts) == Some(false)
        {
            lose("the unified experience is switched on before anything can deliver".into(), true);
        }
        for action in ["action", "legacy_action"] {
            let Some(name) = missing_limit(&facts, action) else { continue };
            if step.effects.contains_key(&format!("{action}.limits")) {
                let what =
                    format!("the Action is deployed passing the rate limit {name}, which is not there");
                lose(what, true);
            } else if missing_limit(&before, action).is_none() {
                let what =
                    format!("the deployed Action still passes the rate limit {name}, so its messages fail");
                lose(what, false);
            }
        }
        let phone_on = facts.get("factor.sms") == Some(&json!(true));
        // A vendor's own provider needs no feedback; Verify does, from the moment at which it sends.
        let handed_over = facts.get("factor.sms") != Some(&json!(false))
            && ours(&facts) == Some(true)
            && ours(&before) != Some(true)
            && delivers_any(&before) != Some(false);
        if (phone_on && fed(&before) || handed_over) && !fed(&facts) {
            lose("no feedback reaches Verify: five sends in ten minutes lock a number out".into(), false);
        }
    }
    losses
}

/// Other people's post-login Actions that ask for a factor which a step takes away, and what that means for their
/// logins.
fn unmet_by_others(before: &Facts, after: &Facts) -> Vec<(String, String)> {
    let usable = |facts: &Facts, name: &str| {
        flag(facts, &format!("factor.{name}")) != Some(false) && !(name == "sms" && codes_fail(facts))
    };
    let others = before.get("others").and_then(Json::as_object).into_iter().flatten();
    let met = |(action, asked): (&String, &Json)| {
        let named: Vec<&str> = asked.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let every = || after.keys().filter_map(|key| key.strip_prefix("factor."));
        let asked: Vec<&str> = if named.is_empty() { every().collect() } else { named };
        let gone: Vec<&str> =
            asked.iter().filter(|name| usable(before, name) && !usable(after, name)).copied().collect();
        if gone.is_empty() {
            return None;
        }
        let left = asked.iter().any(|name| *name != "recovery-code" && usable(after, name));
        let words: Vec<&str> = gone.iter().map(|name| if *name == "sms" { "phone" } else { name }).collect();
        let words = words.join(" and ");
        let what = match left {
            true => format!("asks for {words}"),
            false => {
                format!("asks for {words} and for no factor that is left, so the logins that it asks fail")
            }
        };
        Some((action.clone(), what))
    };
    others.filter_map(met).collect()
}

const REFUSED: &str = "the tenant refuses to bind the Action, so whether codes arrive is not known";

/// Whether codes go through an Action that the tenant refuses to bind: it may be called all the same.
pub(super) fn is_refused(facts: &Facts) -> bool {
    word(facts, "bound") == Some("refused") && flag(facts, "unified") != Some(false)
}

/// Whether users have the phone alone, and codes go through an Action that may never be called.
fn leans(facts: &Facts) -> bool {
    is_refused(facts) && flag(facts, "factor.sms") == Some(true) && has_phone_alone(facts)
}

/// Whether no factor but the phone is on, as far as is known. A recovery code needs another factor first.
fn has_phone_alone(facts: &Facts) -> bool {
    let on = |(key, value): &(&String, &Json)| {
        key.starts_with("factor.") && *key != "factor.recovery-code" && *value == &json!(true)
    };
    facts.iter().filter(on).all(|(key, _)| key == "factor.sms")
}

/// Whether logins are asked for a factor and have the phone alone.
pub(super) fn leaves_the_phone(facts: &Facts) -> bool {
    let asks = word(facts, "policy").is_some_and(|policy| policy != "never");
    asks && flag(facts, "factor.sms") == Some(true) && has_phone_alone(facts)
}

/// Whether they have the phone alone, and an Action sends its codes.
pub(super) fn leaves_an_action(facts: &Facts) -> bool {
    ours(facts) != Some(false) && leaves_the_phone(facts)
}

/// Whether users meet the phone after the step who did not before, or through something else.
pub(super) fn exposes(step: &Step) -> bool {
    let sets = |key: &str, value: &str| step.effects.get(key) == Some(&json!(value));
    step.effects.get("factor.sms") == Some(&json!(true))
        || ["unified", "message_types", "policy", "bound", "legacy_bound"]
            .iter()
            .any(|key| step.effects.contains_key(*key))
        || sets("provider", "custom")
        || sets("selected", HOOK)
        || sets("action", "deployed")
        || sets("legacy_action", "deployed")
}

/// Whether the success of a code gets to Verify: the stream is active, and the Function serves, if it is the Function
/// that the stream sends to. Without a Function of ours the receiver is somebody else's.
fn fed(facts: &Facts) -> bool {
    let elsewhere = match (word(facts, "feedback.endpoint"), word(facts, "function.url")) {
        (Some(endpoint), Some(url)) => endpoint != url,
        _ => false,
    };
    let serves = word(facts, "function").is_none_or(|state| state == "deployed");
    word(facts, "feedback") == Some("active") && (elsewhere || serves)
}

/// Whether phone messages are known to leave by the tenant's phone provider.
pub fn delivers_unified(facts: &Facts) -> bool {
    flag(facts, "unified") == Some(true) && delivers_any(facts) == Some(true)
}

/// The legacy provider that hands codes to an Action.
const HOOK: &str = "phone-message-hook";

type Flow = (&'static str, fn(&Facts) -> Option<bool>);

/// The ways a user meets the stack. `None`: not known.
const FLOWS: &[Flow] = &[
    ("codes by SMS", |facts| code(facts, "sms")),
    ("codes by voice", |facts| code(facts, "voice")),
    ("phone messages of the tenant", delivers_any),
];

fn word<'a>(facts: &'a Facts, key: &str) -> Option<&'a str> {
    facts.get(key).and_then(Json::as_str)
}

fn flag(facts: &Facts, key: &str) -> Option<bool> {
    facts.get(key).and_then(Json::as_bool)
}

fn holds(facts: &Facts, key: &str, item: &str) -> Option<bool> {
    facts.get(key).and_then(Json::as_array).map(|items| items.iter().any(|held| held == item))
}

/// A rate limit that a deployed Action passes and that is known to be missing: then Verify refuses every message.
fn missing_limit<'a>(facts: &'a Facts, action: &str) -> Option<&'a str> {
    // What does not run passes nothing.
    let runs = word(facts, action).is_none_or(|state| state == "deployed");
    let passed = facts.get(&format!("{action}.limits")).and_then(Json::as_array).filter(|_| runs)?;
    let missing = |name: &&str| flag(facts, &format!("limit.{name}")) == Some(false);
    passed.iter().filter_map(Json::as_str).find(missing)
}

/// Whether a message by this channel leaves the tenant.
fn delivers(facts: &Facts, channel: &str) -> Option<bool> {
    if flag(facts, "unified") == Some(false) {
        return delivers_legacy(facts, channel);
    }
    let method = if channel == "voice" { "voice" } else { "text" };
    match word(facts, "provider")? {
        "custom" => {
            let live = word(facts, "action").is_none_or(|state| state == "deployed");
            let stands = flag(facts, "service") != Some(false) && flag(facts, "bound") != Some(false);
            let taken = missing_limit(facts, "action").is_none();
            Some(live && stands && taken && holds(facts, "provider.methods", method)?)
        }
        "absent" | "disabled" => Some(false),
        _ => holds(facts, "provider.methods", method),
    }
}

/// Who is handed the codes may not have been read; then it is taken to be the Action, since it is bound.
fn handed(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    if word(&facts, "selected").is_none() && flag(&facts, "unified") == Some(false) {
        facts.insert("selected".into(), json!(HOOK));
    }
    facts
}

/// The same by the legacy set-up. Without the selected provider nothing is claimed.
fn delivers_legacy(facts: &Facts, channel: &str) -> Option<bool> {
    match word(facts, "selected")? {
        HOOK => {
            let stands = flag(facts, "service") != Some(false) && flag(facts, "legacy_bound") != Some(false);
            let taken = missing_limit(facts, "legacy_action").is_none();
            Some(stands && taken && word(facts, "legacy_action").is_none_or(|state| state == "deployed"))
        }
        // Auth0's own sender is for trials and knows no voice.
        "auth0" => Some(channel != "voice"),
        // A vendor's own settings are somebody else's.
        _ => Some(true),
    }
}

/// Whether codes go through an Action.
fn ours(facts: &Facts) -> Option<bool> {
    if flag(facts, "unified") == Some(false) {
        return word(facts, "selected").map(|selected| selected == HOOK);
    }
    word(facts, "provider").map(|provider| provider == "custom")
}

fn delivers_any(facts: &Facts) -> Option<bool> {
    match (delivers(facts, "sms"), delivers(facts, "voice")) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// Whether a user can get a code by this channel.
fn code(facts: &Facts, channel: &str) -> Option<bool> {
    let on = flag(facts, "factor.sms")?;
    let typed = holds(facts, "message_types", channel).unwrap_or(true);
    let login = channel != "voice" || word(facts, "login") != Some("classic");
    Some(on && typed && login && delivers(facts, channel)?)
}

/// Whether it is known that no user gets a code.
pub(super) fn codes_fail(facts: &Facts) -> bool {
    code(facts, "sms") == Some(false) && code(facts, "voice") == Some(false)
}

/// Whether message types take a channel away from users who have to give a factor, have the phone alone, and may get no
/// code by the channels that are left.
pub(super) fn strands(before: &Facts, after: &Facts) -> bool {
    let asks = word(after, "policy").is_some_and(|policy| policy != "never");
    let taken = |channel: &&str| {
        holds(before, "message_types", channel) == Some(true)
            && code(before, channel) != Some(false)
            && holds(after, "message_types", channel) == Some(false)
    };
    let left = ["sms", "voice"].iter().any(|channel| code(after, channel) == Some(true));
    asks && has_phone_alone(after) && !left && ["sms", "voice"].iter().any(taken)
}

/// Whether the policy asks for a factor and it is known that none can be used.
pub(super) fn locked_out(facts: &Facts) -> bool {
    if word(facts, "policy").is_none_or(|policy| policy == "never") {
        return false;
    }
    let factors: Vec<(&String, bool)> = facts
        .iter()
        .filter(|(key, _)| key.starts_with("factor.") && *key != "factor.recovery-code")
        .filter_map(|(key, value)| Some((key, value.as_bool()?)))
        .collect();
    let phone_fails = codes_fail(facts);
    !factors.is_empty() && factors.iter().all(|(key, on)| !on || (*key == "factor.sms" && phone_fails))
}

/// Whether the Action with the rules is deployed and bound.
fn runs(facts: &Facts) -> bool {
    flag(facts, "rules.bound") == Some(true)
        && word(facts, "rules.action").is_none_or(|state| state == "deployed")
}

/// Whether a challenge of an Action is known to fail, and the login with it.
fn fails(facts: &Facts) -> bool {
    flag(facts, "customize") == Some(false) || word(facts, "login") == Some("classic")
}

/// The rules that count, each with its factors that are not known to be unusable.
fn demands(facts: &Facts) -> Vec<(&str, Vec<&str>)> {
    let phone_fails = codes_fail(facts);
    let is_usable = |name: &&str| {
        flag(facts, &format!("factor.{name}")) != Some(false) && !(*name == "sms" && phone_fails)
    };
    let rules = facts.get("rules").and_then(Json::as_object).filter(|_| runs(facts));
    rules
        .into_iter()
        .flatten()
        .map(|(name, factors)| {
            let factors = factors.as_array().into_iter().flatten().filter_map(Json::as_str);
            (name.as_str(), factors.filter(is_usable).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::step;
    use crate::model::plan::{Stage, Verb};

    fn facts(pairs: &[(&str, Json)]) -> Facts {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn users_with_the_phone_alone_are_not_left_with_what_nobody_knows() {
        // Who sends was not read.
        let of = |types: Json, more: &[(&str, Json)]| {
            let mut facts = facts(&[
                ("policy", json!("always")),
                ("factor.sms", json!(true)),
                ("factor.otp", json!(false)),
                ("message_types", types),
            ]);
            facts.extend(self::facts(more));
            facts
        };
        let (both, voice) = (json!(["sms", "voice"]), json!(["voice"]));
        assert!(strands(&of(both.clone(), &[]), &of(voice.clone(), &[])));
        for way_out in [("factor.otp", json!(true)), ("policy", json!("never"))] {
            let after = of(voice.clone(), std::slice::from_ref(&way_out));
            assert!(!strands(&of(both.clone(), &[]), &after), "{way_out:?}");
        }
        assert!(!strands(&of(voice.clone(), &[]), &of(both.clone(), &[])), "nothing is taken away");
        let mut known = working();
        known.extend(self::facts(&[("message_types", both), ("provider.methods", json!(["text", "voice"]))]));
        let narrow = Facts::from([("message_types".to_owned(), voice)]);
        let after: Facts = known.clone().into_iter().chain(narrow).collect();
        assert!(!strands(&known, &after), "codes come by voice");
    }

    fn working() -> Facts {
        facts(&[
            ("policy", json!("always")),
            ("factor.sms", json!(true)),
            ("message_types", json!(["sms"])),
            ("provider", json!("custom")),
            ("provider.methods", json!(["text"])),
            ("unified", json!(true)),
            ("action", json!("deployed")),
            ("bound", json!(true)),
            ("service", json!(true)),
            ("feedback", json!("active")),
        ])
    }

    fn one(effects: &[(&str, Json)]) -> Vec<Step> {
        let mut step = step("x", "x", Verb::Update, Stage::Tenant, "x", json!({}));
        step.number = 1;
        step.effects = facts(effects);
        vec![step]
    }

    #[test]
    fn each_pillar_that_is_taken_away_is_a_loss() {
        let cases: &[(&str, Json, bool)] = &[
            ("factor.sms", json!(false), true),
            ("message_types", json!([]), true),
            ("provider", json!("disabled"), true),
            ("provider.methods", json!(["voice"]), true),
            ("action", json!("absent"), true),
            ("bound", json!(false), true),
            ("service", json!(false), true),
            ("feedback", json!("absent"), false),
            ("feedback", json!("paused"), false),
        ];
        for (key, value, locks_out) in cases {
            let losses = losses(&working(), &one(&[(key, value.clone())]));
            assert!(!losses.is_empty(), "{key}");
            assert_eq!(losses.iter().any(|loss| loss.absolute), *locks_out, "{key}: {losses:?}");
        }
        assert!(losses(&working(), &one(&[("policy", json!("never"))])).is_empty());
        assert!(losses(&working(), &one(&[("service", json!(true))])).is_empty());
    }

    /// Rules that run: one that phone or an app meets, one that a key alone meets.
    fn with_rules() -> Facts {
        let mut facts = working();
        facts.extend(super::tests::facts(&[
            ("policy", json!("never")),
            ("factor.otp", json!(true)),
            ("factor.webauthn-roaming", json!(true)),
            ("customize", json!(true)),
            ("rules.action", json!("deployed")),
            ("rules.bound", json!(true)),
            ("rules", json!({ "staff": ["otp", "sms"], "admins": ["webauthn-roaming"] })),
        ]));
        facts
    }

    #[test]
    fn what_a_rule_depends_on_is_a_loss() {
        let cases: &[(&str, Json, Option<bool>)] = &[
            ("factor.otp", json!(false), Some(false)),
            ("factor.webauthn-roaming", json!(false), Some(true)),
            ("factor.email", json!(false), None),
            ("customize", json!(false), Some(true)),
            ("login", json!("classic"), Some(true)),
            ("rules.bound", json!(false), None),
            ("rules", json!({ "staff": ["otp"] }), None),
            ("rules", json!({ "staff": ["push-notification"] }), None),
        ];
        for (key, value, absolute) in cases {
            let losses = losses(&with_rules(), &one(&[(key, value.clone())]));
            let worst = losses.iter().map(|loss| loss.absolute).max();
            assert_eq!(worst, *absolute, "{key}: {losses:?}");
        }
        // A factor that nobody reports may be on; one that is known to be off may not.
        let mut start = with_rules();
        start.insert("factor.push-notification".into(), json!(false));
        let narrow = one(&[("rules", json!({ "staff": ["push-notification"] }))]);
        assert!(losses(&start, &narrow).iter().any(|loss| loss.absolute));
    }

    #[test]
    fn a_rule_by_phone_depends_on_the_whole_path() {
        let mut start = with_rules();
        start.insert("rules".into(), json!({ "staff": ["sms"] }));
        for (key, value) in [
            ("provider", json!("disabled")),
            ("service", json!(false)),
            ("bound", json!(false)),
            ("message_types", json!([])),
            ("factor.sms", json!(false)),
        ] {
            let losses = losses(&start, &one(&[(key, value)]));
            assert!(
                losses.iter().any(|loss| loss.absolute && loss.what.contains("staff")),
                "{key}: {losses:?}"
            );
        }
        // What was broken before the step is not its doing.
        start.insert("factor.sms".into(), json!(false));
        let losses = losses(&start, &one(&[("factor.otp", json!(true))]));
        assert!(losses.is_empty(), "{losses:?}");
    }

    /// The switch has hidden a policy that nobody can meet.
    #[test]
    fn a_policy_that_asks_again_is_a_loss() {
        let mut start = facts(&[
            ("policy", json!("always")),
            ("customize", json!(true)),
            ("factor.otp", json!(false)),
            ("factor.sms", json!(false)),
        ]);
        let off = one(&[("customize", json!(false))]);
        assert!(losses(&start, &off).iter().any(|loss| loss.absolute && loss.what.contains("demanded")));
        start.insert("customize".into(), json!(false));
        assert!(losses(&start, &off).is_empty(), "it was off before");
    }

    /// The code that nobody can meet is not deployed once more.
    #[test]
    fn a_rule_that_nobody_can_meet_is_not_deployed_again() {
        let mut start = with_rules();
        start.insert("factor.webauthn-roaming".into(), json!(false));
        let losses = losses(&start, &one(&[("rules.action", json!("deployed"))]));
        assert!(losses.iter().any(|loss| loss.absolute && loss.what.contains("admins")), "{losses:?}");
    }

    #[test]
    fn rules_before_their_factors_are_absolute() {
        let cases: &[(&[(&str, Json)], &str)] = &[
            (&[("factor.webauthn-roaming", json!(false))], "admins"),
            (&[("rules.action", json!("draft"))], "deployed"),
            (&[("customize", json!(false))], "cannot ask"),
            (&[("login", json!("classic"))], "cannot ask"),
        ];
        for (state, word) in cases {
            let mut start = with_rules();
            start.extend(facts(state));
            start.insert("rules.bound".into(), json!(false));
            let losses = losses(&start, &one(&[("rules.bound", json!(true))]));
            assert!(
                losses.iter().any(|loss| loss.absolute && loss.what.contains(word)),
                "{state:?}: {losses:?}"
            );
        }
    }

    #[test]
    fn a_function_that_goes_takes_the_feedback_along() {
        let url = json!("https://f-1.twil.io/auth0-logs");
        let mut fed = working();
        fed.extend(facts(&[
            ("feedback.endpoint", url.clone()),
            ("function", json!("deployed")),
            ("function.url", url.clone()),
        ]));
        for state in ["absent", "undeployed"] {
            let losses = losses(&fed, &one(&[("function", json!(state))]));
            assert!(losses.len() == 1 && !losses[0].absolute, "{state}: {losses:?}");
        }
        let mut moved = fed.clone();
        moved.insert("feedback.endpoint".into(), json!("https://elsewhere.example/"));
        assert!(losses(&moved, &one(&[("function", json!("absent"))])).is_empty(), "nothing is sent to it");
        // The stream is switched to a Function that does not serve.
        let mut early = moved.clone();
        early.insert("function".into(), json!("undeployed"));
        assert_eq!(losses(&early, &one(&[("feedback.endpoint", url)])).len(), 1);
    }

    #[test]
    fn a_rate_limit_stands_as_long_as_the_deployed_code_passes_it() {
        let mut start = working();
        start.extend(facts(&[("limit.a", json!(true)), ("action.limits", json!(["a"]))]));
        let absolute = |start: &Facts, effects: &[(&str, Json)]| {
            let found = losses(start, &one(effects));
            (!found.is_empty(), found.iter().any(|loss| loss.absolute))
        };
        // Policy and factor stand on it, so nobody could log in.
        assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (true, true));
        start.insert("policy".into(), json!("never"));
        assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (true, false), "named, to be confirmed");
        let deployed = |names: Json| [("action", json!("deployed")), ("action.limits", names)];
        assert_eq!(absolute(&start, &deployed(json!(["a"]))), (false, false));
        assert_eq!(absolute(&start, &deployed(json!(["b"]))), (false, false), "nothing is known of b");
        start.insert("limit.b".into(), json!(false));
        assert_eq!(absolute(&start, &deployed(json!(["a", "b"]))), (true, true));

        // The order of a rename: the new limit, the new code, then the old limit goes.
        let mut steps: Vec<Step> = Vec::new();
        let rename: [&[(&str, Json)]; 3] =
            [&[("limit.b", json!(true))], &deployed(json!(["b"])), &[("limit.a", json!(false))]];
        for (index, effects) in rename.into_iter().enumerate() {
            steps.extend(one(effects).into_iter().map(|step| Step { number: index + 1, ..step }));
        }
        assert_eq!(losses(&start, &steps), []);
        for wrong in [[1, 0, 2], [2, 0, 1], [0, 2, 1]] {
            let order: Vec<Step> = wrong.iter().map(|at| steps[*at].clone()).collect();
            assert!(!losses(&start, &order).is_empty(), "{wrong:?}");
        }
        // Code that cannot be read, and an Action that is gone, claim nothing.
        start.insert("action.limits".into(), Json::Null);
        assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (false, false));
        start.extend(facts(&[("action.limits", json!(["a"])), ("action", json!("absent"))]));
        assert_eq!(absolute(&start, &[("limit.a", json!(false))]), (false, false));
    }

    #[test]
    fn unbinding_names_the_loss_where_nobody_could_read_who_sends() {
        let mut start = working();
        start.extend(facts(&[("unified", json!(false)), ("legacy_bound", json!(true))]));
        let named = |start: &Facts| {
            let found = losses(start, &one(&[("legacy_bound", json!(false))]));
            found.iter().any(|loss| loss.what.contains("codes by SMS"))
        };
        start.remove("selected");
        assert!(named(&start), "not read");
        start.insert("selected".into(), json!("twilio"));
        assert!(!named(&start), "somebody else sends");
    }

    #[test]
    fn a_missing_rate_limit_is_a_pillar_that_is_gone() {
        let mut start = working();
        start.extend(facts(&[("limit.a", json!(false)), ("action.limits", json!(["a"]))]));
        assert!(locked_out(&start), "no message leaves");
        start.insert("policy".into(), json!("never"));
        start.insert("factor.sms".into(), json!(false));
        let found = losses(&start, &one(&[("factor.sms", json!(true))]));
        assert!(found.iter().any(|loss| loss.absolute), "{found:?}");
    }

    #[test]
    fn exposing_before_the_pillars_stand_is_absolute() {
        let mut start = working();
        start.extend(facts(&[
            ("policy", json!("never")),
            ("factor.sms", json!(false)),
            ("action", json!("draft")),
        ]));
        start.extend(facts(&[
            ("provider", json!("absent")),
            ("provider.methods", json!([])),
            ("bound", json!(false)),
        ]));
        for (key, value) in [
            ("factor.sms", json!(true)),
            ("bound", json!(true)),
            ("provider", json!("custom")),
            ("policy", json!("always")),
        ] {
            let losses = losses(&start, &one(&[(key, value)]));
            assert!(losses.iter().any(|loss| loss.absolute), "{key}: {losses:?}");
        }
    }
}

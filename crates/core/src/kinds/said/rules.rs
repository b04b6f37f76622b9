//! Rules that say which logins are asked for a second factor. They are written from the manifest into the Action's
//! code, and read back from the code that runs.
//!
//! The code contains the rules as one JSON list between two marker lines. People can read the list in the dashboard,
//! and a plan learns the rules from the code that runs, not from the record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::diag::{Problem, codes};
use crate::javascript;
use crate::kinds::{Diff, text};
use crate::model::facts::{Demands, Fact};
use crate::model::field::{FIELD, Field, Type, says};
use crate::model::manifest::Manifest;
use crate::model::value::Value;

/// Path of the section.
pub const SECTION: &str = "mfa.post_login";

/// The line before the rules in the code.
const BEGIN: &str = "// lockstep:rules begin";
/// The line after the rules.
const END: &str = "// lockstep:rules end";
/// The beginning of the assignment between the two lines.
const ASSIGNMENT: &str = "const RULES =";
/// The highest number of rules. More rules would be a program, and code has a limit of 100 kB.
const RULES_MAX: usize = 50;

/// The highest length of code, in bytes ("Auth0 docs, Actions limitations", as noted in November 2026).
const CODE_MAX: usize = 100_000;

/// The names of a factor.
struct FactorNames {
    manifest: &'static str,
    action: &'static str,
    /// The name in the tenant's list of factors.
    tenant: &'static str,
    /// Whether a user can enrol the factor.
    enrols: bool,
}

const fn factor_names(
    manifest: &'static str,
    action: &'static str,
    tenant: &'static str,
    enrols: bool,
) -> FactorNames {
    FactorNames { manifest, action, tenant, enrols }
}

const FACTORS: &[FactorNames] = &[
    factor_names("email", "email", "email", false),
    factor_names("otp", "otp", "otp", true),
    factor_names("phone", "phone", "sms", true),
    factor_names("push_notification", "push-notification", "push-notification", true),
    factor_names("recovery_code", "recovery-code", "recovery-code", false),
    factor_names("webauthn_platform", "webauthn-platform", "webauthn-platform", true),
    factor_names("webauthn_roaming", "webauthn-roaming", "webauthn-roaming", true),
];

/// The keys of a rule's conditions, with which a login is compared. They are the same in the manifest and in the code.
const CONDITIONS: &[&str] = &["applications", "connections", "organizations", "roles"];

const fn condition(key: &'static str, doc: &'static str) -> Field {
    Field { key, ty: Type::Set(&[]), doc, ..FIELD }
}

/// The keys of one rule.
const RULE: &[Field] = &[
    Field {
        key: "require",
        ty: Type::OneOf(&["mfa", "mfa_if_enrolled", "enrollment"]),
        default: Some("mfa"),
        doc: "mfa: ask, and let users without such a factor enrol one; mfa_if_enrolled: ask only users who have one; \
              enrollment: only make users enrol one",
        ..FIELD
    },
    Field {
        key: "factors",
        ty: Type::Set(&[
            "any",
            "email",
            "otp",
            "phone",
            "push_notification",
            "recovery_code",
            "webauthn_platform",
            "webauthn_roaming",
        ]),
        default: Some("[any]"),
        doc: "factors that meet the rule; any: whichever are on",
        ..FIELD
    },
    condition("applications", "client ids"),
    condition("organizations", "ids or names"),
    condition("roles", "role names"),
    condition("connections", "names or strategies"),
    Field {
        key: "remember_hours",
        ty: Type::Int { min: 0, max: 8760 },
        doc: "how long a factor proven in the session counts; 0: every login asks; absent: as long as the session",
        ..FIELD
    },
];

/// The field of the manifest with the rules.
pub const FIELD_RULES: Field = Field {
    key: "rules",
    ty: Type::Named { max: RULES_MAX, fields: RULE },
    says: &[says("", "code")],
    doc: "which logins are asked, by a name of your choice; every rule that fits a login has to be met",
    ..FIELD
};

type Rules = BTreeMap<String, BTreeMap<String, Value>>;

/// The rules of the manifest, keyed by name.
fn rules_of(manifest: &Manifest) -> Rules {
    let mut rules = Rules::new();
    for (key, value) in manifest.section(SECTION).into_iter().flatten() {
        let Some((name, key)) = key.strip_prefix("rules.").and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        rules.entry(name.to_owned()).or_default().insert(key.to_owned(), value.clone());
    }
    rules
}

fn texts(rule: &BTreeMap<String, Value>, key: &str) -> Vec<String> {
    let items = rule.get(key).and_then(Value::known).and_then(Json::as_array);
    items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn is_any(factors: &[String]) -> bool {
    factors.iter().any(|factor| factor == "any")
}

/// The code with the manifest's rules in it. If a value of a rule is not known, the whole code is not known. Code
/// without the marker lines stays as it is.
pub fn code_with_rules(manifest: &Manifest, code: String) -> Value {
    let rules = rules_of(manifest);
    let unknown = rules.values().flat_map(BTreeMap::values).find_map(|value| match value {
        Value::Unknown(name) => Some(name.clone()),
        _ => None,
    });
    if let Some(name) = unknown {
        return Value::Unknown(name);
    }
    let Some((before, _, after)) = split(&code) else { return Value::text(code) };
    let block = block(manifest, &rules);
    Value::text(format!("{before}{BEGIN}\n{ASSIGNMENT} {block};\n{after}"))
}

/// The rules as a JSON list with one rule on each line. The list is valid JavaScript too.
fn block(manifest: &Manifest, rules: &Rules) -> String {
    let phone = match manifest.set("phone", "channels").as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => Some("both".to_owned()),
    };
    let mut out = String::from("[");
    for (name, rule) in rules {
        let mut entry = Map::new();
        entry.insert("name".into(), json!(name));
        entry.insert(
            "require".into(),
            rule.get("require").and_then(Value::known).cloned().unwrap_or_default(),
        );
        let factors = texts(rule, "factors");
        let factors: Vec<&str> = factors
            .iter()
            .map(|name| FACTORS.iter().find(|one| one.manifest == name).map_or("any", |one| one.action))
            .collect();
        let has_phone = factors.contains(&"any") || factors.contains(&"phone");
        entry.insert("factors".into(), json!(factors));
        for key in CONDITIONS.iter().filter(|key| rule.contains_key(**key)) {
            entry.insert((*key).into(), json!(texts(rule, key)));
        }
        if let Some(hours) = rule.get("remember_hours").and_then(Value::known) {
            entry.insert("remember_hours".into(), hours.clone());
        }
        if let (true, Some(phone)) = (has_phone, &phone) {
            entry.insert("phone".into(), json!(phone));
        }
        let _ = write!(out, "\n  {},", Json::Object(entry));
    }
    if out.len() > 1 {
        out.pop();
        out.push('\n');
    }
    out.push(']');
    out
}

/// Splits code into three parts: before the line [`BEGIN`], between the marker lines, and from the line [`END`] on.
fn split(code: &str) -> Option<(&str, &str, &str)> {
    let mut begin = None;
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        match (begin, line.trim()) {
            (None, BEGIN) => begin = Some((start, end)),
            (Some((first, inner)), END) => {
                return Some((&code[..first], &code[inner..start], &code[start..]));
            }
            _ => {}
        }
    }
    None
}

/// The rules in the code. `None` if the code has no rules in the form that [`code_with_rules`] writes.
pub fn rules_in_code(code: &str) -> Option<Vec<Json>> {
    let (_, inner, _) = split(code)?;
    let list = inner.trim().strip_prefix(ASSIGNMENT)?.trim().trim_end_matches(';');
    serde_json::from_str(list).ok()
}

/// The keys of each rule of the manifest from which the rules in the code were written, by the name of the rule. `None`:
/// the code was not written from rules.
pub fn said(code: &str) -> Option<BTreeMap<String, BTreeMap<String, Json>>> {
    let said = |rule: &Json| {
        let manifest = |name: &str| {
            FACTORS
                .iter()
                .find(|one| one.action == name)
                .map_or(name.to_owned(), |one| one.manifest.to_owned())
        };
        let factors: Vec<String> =
            rule["factors"].as_array()?.iter().filter_map(Json::as_str).map(manifest).collect();
        let mut keys = BTreeMap::from([("factors".to_owned(), json!(factors))]);
        for key in ["require", "remember_hours"].iter().chain(CONDITIONS) {
            keys.extend(rule.get(*key).map(|value| ((*key).to_owned(), value.clone())));
        }
        Some((rule["name"].as_str()?.to_owned(), keys))
    };
    rules_in_code(code)?.iter().map(said).collect()
}

/// The channels of the phone that the rules in the code name. `None`: no rule names them.
pub fn channels(code: &str) -> Option<&'static [&'static str]> {
    let rules = rules_in_code(code)?;
    match rules.iter().find_map(|rule| rule["phone"].as_str())? {
        "both" => Some(&["sms", "voice"]),
        "sms" => Some(&["sms"]),
        "voice" => Some(&["voice"]),
        _ => None,
    }
}

/// The fact about what the code demands when it runs (see [`demanded`]). Nothing is claimed about code of another form.
pub fn demands_fact(code: &str) -> Fact {
    Fact::Rules(rules_in_code(code).map(|rules| demanded(&rules)))
}

/// What these rules demand: the factors that meet each rule and that users can enrol, keyed by the name of the rule.
/// The factors have the names of the tenant's list. A rule that asks only enrolled users demands nothing.
pub fn demanded(rules: &[Json]) -> Demands {
    let mut demands = Demands::default();
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| text(rule, "require") != "mfa_if_enrolled")
    {
        let factors: Vec<&str> =
            rule["factors"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let accepted = FACTORS
            .iter()
            .filter(|one| one.enrols && (factors.contains(&"any") || factors.contains(&one.action)));
        let names_in_tenant = accepted.map(|one| one.tenant.into()).collect();
        let name = match text(rule, "name") {
            "" => format!("number {}", at + 1),
            name => name.to_owned(),
        };
        demands.insert(name, names_in_tenant);
    }
    demands
}

/// Parts of the API names by which an Action asks for a second factor ("Auth0 docs, post-login api object", 2026-08).
const ASKS: [&str; 3] = ["challengeWith", "enrollWith", "multifactor"];

/// Further names that Actions use for factors, each with the name in the tenant's list of factors.
const ALSO: [(&str, &str); 4] =
    [("google-authenticator", "otp"), ("guardian", "push-notification"), ("guardian", "sms"), ("duo", "duo")];

/// The factors that somebody else's post-login code asks for, by their names in the tenant's list. An empty list: the
/// code may ask for any factor. `None`: the code does not ask for a factor.
pub fn factors_asked(code: &str) -> Option<Vec<&'static str>> {
    let parsed = javascript::parse(code).ok().map(|parsed| parsed.surface);
    // Code that does not parse is searched as plain text.
    let calls = |part: &&str| parsed.as_ref().map_or(code.contains(*part), |surface| surface.mentions(part));
    if !ASKS.iter().any(calls) {
        return None;
    }
    let quoted = |word: &str| match &parsed {
        Some(surface) => surface.says(word),
        None => ['\'', '"', '`'].iter().any(|quote| code.contains(&format!("{quote}{word}{quote}"))),
    };
    if quoted("any") {
        return Some(Vec::new());
    }
    let own = FACTORS.iter().map(|one| (one.action, one.tenant));
    let mut wires: Vec<&str> =
        own.chain(ALSO).filter(|(word, _)| quoted(word)).map(|(_, wire)| wire).collect();
    wires.sort_unstable();
    wires.dedup();
    Some(wires)
}

/// The text of the danger: which logins are asked once the manifest's rules are in force.
fn notice(manifest: &Manifest) -> String {
    let rules = rules_of(manifest);
    let shown: Vec<String> = rules.iter().take(5).map(|(name, rule)| describe_rule(name, rule)).collect();
    let more = rules.len().saturating_sub(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let decides = if rules.is_empty() {
        "mfa.post_login.code decides which logins are asked for a second factor, and what it asks for is not known \
         here"
        .to_owned()
    } else {
        format!("these rules decide which logins are asked for a second factor: {}{more}", shown.join("; "))
    };
    format!(
        "from now on {decides}; password grants are answered mfa_required, and the classic login cannot ask"
    )
}

fn describe_rule(name: &str, rule: &BTreeMap<String, Value>) -> String {
    let conditions: Vec<String> = CONDITIONS
        .iter()
        .filter(|key| rule.contains_key(**key))
        .map(|key| format!("{key} {}", texts(rule, key).join(" or ")))
        .collect();
    let whom = if conditions.is_empty() { "every login".to_owned() } else { conditions.join(" and ") };
    let how = match rule.get("require").and_then(Value::as_str) {
        Some("mfa_if_enrolled") => " if enrolled",
        Some("enrollment") => ", enrolled only",
        _ => "",
    };
    format!("{name} ({whom}: {}{how})", texts(rule, "factors").join(" or "))
}

/// The danger of deploying the Action. `None` if users would notice nothing: the Action is not bound, or its code stays
/// the same.
pub fn danger_of_deploy(diff: &Diff<'_>) -> Option<String> {
    let bound = diff.all.get("mfa_post_login_binding").is_some_and(|seen| seen.exists);
    let code_moves = diff.changes.iter().any(|change| change.field == "code")
        || diff.changes.iter().all(|change| change.field == "deployed");
    (bound && code_moves).then(|| notice(diff.manifest))
}

/// The danger of binding the Action. `None` if it is bound already.
pub fn danger_of_binding(diff: &Diff<'_>) -> Option<String> {
    (!diff.seen.exists).then(|| notice(diff.manifest))
}

/// Checks the rules, and the other settings that they need.
pub fn check(manifest: &Manifest, out: &mut Vec<Problem>) {
    let section = SECTION;
    let rules = rules_of(manifest);
    let code = manifest.text(section, "code").unwrap_or_default();
    if !rules.is_empty() && split(code).is_none() {
        out.push(Problem::error(
            codes::CONFLICT,
            format!("{section}.code"),
            "the code has no place for the rules",
            format!("the lines {BEGIN:?} and {END:?} are missing"),
            "put both lines into the code (the rules become `const RULES` between them), or use builtin:mfa-post-login",
        ));
    }
    let length = code_with_rules(manifest, code.to_owned()).as_str().map_or(0, str::len);
    if length > CODE_MAX {
        let reason = format!("has {length} bytes, at most {} are allowed", CODE_MAX);
        let title = "the code with its rules is too long";
        out.push(Problem::error(
            codes::OUT_OF_RANGE,
            format!("{section}.rules"),
            title,
            reason,
            "shorten the lists",
        ));
    }
    if rules.is_empty() && split(code).is_some() {
        let problem = Problem::error(
            codes::CONFLICT,
            section,
            "there is no rule, so nobody is asked",
            "rules is empty",
            "write a rule below mfa.post_login.rules, or remove mfa.post_login",
        );
        out.push(problem.warning().at_key());
    }
    if manifest.text("universal_login", "experience") == Some("classic") {
        out.push(Problem::error(
            codes::UNSAFE,
            "universal_login.experience",
            "the classic login cannot show the challenge of an Action",
            "mfa.post_login asks by an Action's challenge",
            "use `experience: new`, or remove mfa.post_login",
        ));
    }
    if manifest.text("mfa", "policy") == Some("always") {
        out.push(
            Problem::error(
                codes::CONFLICT,
                "mfa.policy",
                "the rules override this policy",
                "with mfa.post_login the Actions decide who is asked, so `always` alone asks nobody",
                "write a rule without conditions to ask everybody, or use `policy: never`",
            )
            .warning(),
        );
    }
    for (name, rule) in &rules {
        check_rule(manifest, &format!("{section}.rules.{name}"), rule, out);
    }
    check_pairs(section, &rules, out);
}

fn check_rule(manifest: &Manifest, path: &str, rule: &BTreeMap<String, Value>, out: &mut Vec<Problem>) {
    if !CONDITIONS.iter().any(|key| rule.contains_key(*key)) {
        let problem = Problem::error(
            codes::UNSAFE,
            path,
            "the rule fits every login",
            "it has no condition",
            "add applications, organizations, roles or connections; to ask everybody, `mfa.policy: always` is the \
             plain way",
        );
        out.push(problem.warning().at_key());
    }
    for key in CONDITIONS.iter().chain(&["factors"]) {
        if rule.get(*key) == Some(&Value::Known(json!([]))) {
            let place = format!("{path}.{key}");
            let reason = "an empty list fits nothing";
            out.push(Problem::error(
                codes::OUT_OF_RANGE,
                place,
                "the list is empty",
                reason,
                "fill it, or remove the key",
            ));
        }
    }
    let factors = texts(rule, "factors");
    let place = format!("{path}.factors");
    if is_any(&factors) && factors.len() > 1 {
        let reason = "any stands for all of them";
        let help = "remove any, or the others";
        out.push(Problem::error(codes::CONFLICT, &place, "any and other factors", reason, help));
    }
    let enrols = |word: &str| FACTORS.iter().any(|one| one.manifest == word && one.enrols);
    let asks_all = rule.get("require").and_then(Value::as_str) != Some("mfa_if_enrolled");
    if !factors.is_empty() && !is_any(&factors) && asks_all && !factors.iter().any(|factor| enrols(factor)) {
        out.push(Problem::error(
            codes::UNSAFE,
            &place,
            "no user can enrol one of these factors",
            "a verified address is already the e-mail factor, and a recovery code comes with another factor",
            "add phone, otp or another factor, or use `require: mfa_if_enrolled`",
        ));
    }
    let switch =
        |word: &str| manifest.get("mfa.factors", word).and_then(Value::known).and_then(Json::as_bool);
    for factor in factors.iter().filter(|factor| *factor != "any") {
        match switch(factor) {
            Some(true) => {}
            Some(false) => out.push(Problem::error(
                codes::UNSAFE,
                &place,
                format!("the rule takes {factor}, which mfa.factors switches off"),
                "the login would not offer it",
                format!("switch {factor} on in mfa.factors, or take it out of the rule"),
            )),
            None => out.push(
                Problem::error(
                    codes::UNSAFE,
                    &place,
                    format!("the rule takes {factor}, and nothing here switches it on"),
                    "the login offers only what is on in the tenant",
                    format!("add {factor}: on to mfa.factors"),
                )
                .warning(),
            ),
        }
    }
    let all_off = FACTORS.iter().all(|one| !one.enrols || switch(one.manifest) == Some(false));
    if is_any(&factors) && all_off {
        out.push(Problem::error(
            codes::UNSAFE,
            &place,
            "the rule asks for a factor, but none is on",
            "no user whom the rule fits could log in",
            "switch a factor on in mfa.factors, or remove the rule",
        ));
    }
}

/// Warns about two rules that can fit the same login and have no factor in common: the user then has to pass both.
fn check_pairs(section: &str, rules: &Rules, out: &mut Vec<Problem>) {
    let rules: Vec<(&String, &BTreeMap<String, Value>)> = rules.iter().collect();
    for (at, (first, one)) in rules.iter().enumerate() {
        for (second, other) in &rules[at + 1..] {
            let meet = |key: &str| {
                let (ours, theirs) = (texts(one, key), texts(other, key));
                // Only different client ids exclude each other. Of the other conditions, the same thing may have two
                // names, or a user may have several.
                key != "applications"
                    || ours.is_empty()
                    || theirs.is_empty()
                    || ours.iter().any(|id| theirs.contains(id))
            };
            let (ours, theirs) = (texts(one, "factors"), texts(other, "factors"));
            let common =
                is_any(&ours) || is_any(&theirs) || ours.iter().any(|factor| theirs.contains(factor));
            if CONDITIONS.iter().all(|key| meet(key)) && !common {
                let title = format!("{first} and {second} have no factor in common");
                let reason = "a login that both fit is asked twice, once for each";
                let help = "give them a factor in common, or conditions that exclude each other";
                let place = format!("{section}.rules.{second}.factors");
                out.push(Problem::error(codes::CONFLICT, place, title, reason, help).warning());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = include_str!("../../builtin/mfa-post-login.js");

    fn manifest(rules: &[(&str, Json)]) -> Manifest {
        let attrs = rules.iter().map(|(key, value)| (format!("rules.{key}"), Value::Known(value.clone())));
        let section = [("code".to_owned(), Value::text(CODE))].into_iter().chain(attrs).collect();
        let channels = [("channels".to_owned(), Value::Known(json!(["sms", "voice"])))].into();
        let sections = [("mfa.post_login".to_owned(), section), ("phone".to_owned(), channels)].into();
        Manifest { stack: "acme".into(), sections }
    }

    fn with(rules: &[(&str, Json)]) -> String {
        code_with_rules(&manifest(rules), CODE.into()).as_str().expect("known").to_owned()
    }

    #[test]
    fn what_goes_into_the_code_comes_out_of_it() {
        let code = with(&[
            ("a.b.factors", json!(["any"])),
            ("a.b.require", json!("mfa")),
            ("x.factors", json!(["phone", "push_notification", "recovery_code"])),
            ("x.require", json!("enrollment")),
            ("x.roles", json!([END, "\"];//\n"])),
            ("y.factors", json!(["otp"])),
            ("y.require", json!("mfa_if_enrolled")),
            ("y.remember_hours", json!(4)),
        ]);
        let rules = rules_in_code(&code).expect("readable");
        let phone = json!("both");
        assert_eq!(
            rules,
            [
                json!({ "name": "a.b", "require": "mfa", "factors": ["any"], "phone": phone }),
                json!({ "name": "x", "require": "enrollment",
                    "factors": ["phone", "push-notification", "recovery-code"],
                    "roles": [END, "\"];//\n"], "phone": phone }),
                json!({ "name": "y", "require": "mfa_if_enrolled", "factors": ["otp"], "remember_hours": 4 }),
            ]
        );
        let every = ["otp", "sms", "push-notification", "webauthn-platform", "webauthn-roaming"];
        let demands = serde_json::from_value(json!({ "a.b": every, "x": ["sms", "push-notification"] }));
        assert_eq!(demands_fact(&code), Fact::Rules(demands.ok()));
        // Only the text between the markers differs. Built again without rules, the code is the built-in again.
        assert_eq!(split(&code).map(|(a, _, b)| (a, b)), split(CODE).map(|(a, _, b)| (a, b)));
        let again = code_with_rules(&manifest(&[]), code).as_str().map(str::to_owned);
        assert_eq!(again.as_deref(), Some(CODE), "without rules it is the built-in");
    }

    #[test]
    fn code_of_another_form_claims_nothing() {
        for code in [
            "",
            "exports.onExecutePostLogin = () => {};",
            &format!("{BEGIN}\nconst RULES = [];"),
            &format!("{BEGIN}\nconst RULES = [...more];\n{END}"),
            &format!("{BEGIN}\nlet RULES = [];\n{END}"),
        ] {
            assert_eq!(demands_fact(code), Fact::Rules(None), "{code}");
        }
        let own = format!("  {BEGIN}\nconst RULES = [\n]\n  {END}\nrest");
        assert_eq!(demands_fact(&own), Fact::Rules(Some(Demands::default())));
    }

    #[test]
    fn a_value_that_is_not_known_makes_the_code_unknown() {
        let mut manifest = manifest(&[("x.factors", json!(["any"]))]);
        let section = manifest.sections.get_mut("mfa.post_login").expect("there");
        section.insert("rules.x.applications".into(), Value::Unknown("env.APP".into()));
        assert_eq!(code_with_rules(&manifest, CODE.into()), Value::Unknown("env.APP".into()));
    }
}

//! Where each field of a resource stands in the manifest: the kinds' tables, held against the rows of the field tests
//! and against the text of every manifest that ships. And the page that is written out of the same tables.

use std::collections::BTreeSet;

use lockstep::kinds::sections;
use lockstep::manifest::places::{self, Saying, place};
use lockstep::manifest::{self, Missing, position_of, reference};
use lockstep::plan::desired;
use serde_json::{Value as Json, json};

use super::bed::{FULL, checked, edit, folder, valid};
use super::legacy::{LEGACY, legacy_rows};
use super::rows::rows;
use crate::support::tables;

/// The reference page, as it is committed.
const PAGE: &str = "docs/manifest.md";

/// Fields that no key says, by kind, each with its reason.
const UNSAID: &[(&str, &str, &str)] = &[
    ("action", "deployed", "what runs is what the draft says"),
    ("legacy_action", "deployed", "as of the other Action"),
    ("mfa_post_login", "deployed", "as of the other Actions"),
    ("mfa_post_login_setting", "enabled", "rules need it"),
    ("feedback_action", "deployed", "as of the other Actions"),
    ("feedback_action", "secrets.TWILIO_VERIFY_SID", "that of the service"),
    ("feedback_action_binding", "display_name", "the name of the Action"),
    ("feedback_action_binding", "in_place", "behind the rules"),
    ("phone_provider", "name", "our Action sends"),
    ("phone_provider", "disabled", "our Action sends"),
    ("phone_provider", "leftover", "what another provider left is no value of ours"),
    ("feedback_function", "deployed", "what serves is what the manifest says"),
    ("feedback_function", "visibility", "the code checks who calls"),
    ("feedback_function", "include_credentials", "the code gets a key of its own"),
    ("feedback_function", "variables.TWILIO_VERIFY_SID", "that of the service"),
    ("sample_client", "app_type", "examples/spa is a single-page application"),
    ("sample_client", "grant_types", "those that examples/spa uses"),
    ("sample_client", "token_endpoint_auth_method", "code in a browser keeps no secret"),
    ("sample_client", "oidc_conformant", "the sample's SDK needs it"),
    ("sample_client", "jwt_configuration.alg", "the sample's SDK takes no other"),
    ("sample_client", "client_metadata.lockstep_stack", "the mark of the stack"),
];

fn all_sayings() -> Vec<Saying> {
    sections().into_iter().flat_map(places::sayings).collect()
}

/// Whether a pattern with free names fits; a name may have dots.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (1..=left.len()).any(|at| left.is_char_boundary(at) && fits(rest, &left[at..]))
        }),
    }
}

#[test]
fn every_row_stands_where_the_kinds_say() {
    let sayings = all_sayings();
    let mut count = 0;
    for (text, rows) in [(FULL, rows()), (LEGACY, legacy_rows())] {
        let manifest = valid(text, &[]);
        for row in rows {
            let found = place(&manifest, &row.address.into(), &row.field).unwrap_or_default();
            // Several keys may lead to one field: the code of an Action has the limits, or the rules, in it.
            let also = || {
                sayings.iter().any(|saying| {
                    fits(&saying.place, &row.place)
                        && fits(&saying.address, row.address)
                        && fits(&saying.field, &row.field)
                })
            };
            let name = format!("{}.{}", row.address, row.field);
            assert!(found == row.place || also(), "{name} is said by {found:?}, not by {:?}", row.place);
            count += 1;
        }
    }
    assert!(count > 150, "{count} rows");
}

#[test]
fn every_declared_field_has_its_position() {
    let manifests = ["quickstart", "minimal", "complete", "howto-2023"];
    let shipped =
        manifests.map(|name| std::fs::read_to_string(format!("manifests/{name}.yaml")).expect(name));
    let mut unsaid: BTreeSet<(&str, String)> = BTreeSet::new();
    for text in shipped.iter().map(String::as_str).chain([FULL, LEGACY]) {
        let parsed = manifest::read("stack.yaml", text, &tables()).expect("YAML");
        let manifest = manifest::resolve(&parsed, &folder(), Missing::Error).expect("right");
        for resource in desired::declared(&manifest) {
            for field in resource.desired.keys() {
                let Some(at) = position_of(&parsed.source, &manifest, &resource.address, field) else {
                    unsaid.insert((resource.kind, field.clone()));
                    continue;
                };
                let name = format!("{}.{field}", resource.address);
                let last = at.key.rsplit('.').next().expect("a name");
                let line = text.lines().nth(at.line - 1).expect("a line");
                let is_there = line.contains(last) || field.starts_with("dependencies.");
                assert!(!at.is_written || is_there, "{name}: {} is not on line {line:?}", at.key);
                let known = all_sayings().iter().any(|saying| fits(&saying.place, &at.key));
                assert!(known || at.key == "twilio.account_sid", "{name}: no table has {}", at.key);
            }
        }
    }
    let listed: BTreeSet<(&str, String)> =
        UNSAID.iter().map(|(kind, field, _)| (*kind, (*field).to_owned())).collect();
    assert_eq!(unsaid, listed);
}

#[test]
fn a_position_is_that_of_the_value_or_of_what_it_would_stand_in() {
    let text = FULL.replace("        1h: { max: 20 }", "        60m: { max: 20 }");
    let parsed = manifest::read("stack.yaml", &text, &tables()).expect("YAML");
    let manifest = manifest::resolve(&parsed, &folder(), Missing::Error).expect("right");
    let shown = |address: &str, field: &str| {
        let at = position_of(&parsed.source, &manifest, &address.into(), field)?;
        let line: Vec<char> = text.lines().nth(at.line - 1)?.chars().collect();
        Some((at.key, line[at.column - 1..].iter().collect::<String>(), at.is_written))
    };
    for (address, field, key, there, is_written) in [
        ("verify_service", "code_length", "verify_service.code_length", "6", true),
        ("mfa_factor.otp", "enabled", "mfa.factors.otp", "true", true),
        // As the manifest writes the interval.
        (
            "verify_rate_limit.per_number",
            "buckets.3600",
            "verify_service.rate_limits.per_number.buckets.60m.max",
            "20 }",
            true,
        ),
        (
            "verify_messaging_configuration.US",
            "messaging_service_sid",
            "verify_service.messaging_configurations.US",
            "MG000000000000000000000000000000a1",
            true,
        ),
        (
            "phone_template.otp_enroll",
            "voice",
            "phone.templates.otp_enroll.voice",
            "\"Acme says @{code}\"",
            true,
        ),
        ("log_stream.siem", "status", "log_streams.http.siem.status", "active", true),
        ("log_stream", "status", "feedback.log_stream.status", "active", true),
        (
            "feedback_function",
            "dependencies.@twilio/runtime-handler",
            "feedback.function.dependencies.@twilio/runtime-handler",
            "2.1.2",
            true,
        ),
        ("action", "dependencies.lodash", "action.dependencies.lodash", "dependencies:", false),
        ("trigger_binding", "in_place", "action.binding.position", "last", true),
        ("unified_phone", "enabled", "phone.delivery", "unified", true),
    ] {
        let expected = Some((key.to_owned(), there.to_owned(), is_written));
        assert_eq!(shown(address, field), expected, "{address}.{field}");
    }
    for (address, field) in
        [("action", "deployed"), ("verify_rate_limit.per_number", "buckets.7"), ("nothing", "name"), ("", "")]
    {
        assert_eq!(shown(address, field), None, "{address}.{field}");
    }
}

/// A name with dots is one name.
#[test]
fn a_name_with_dots_is_found() {
    let limit = json!({ "key": "none", "description": "x" });
    let manifest = valid(FULL, &[edit("verify_service.rate_limits", json!({ "a.b": limit }))]);
    let found = place(&manifest, &"verify_rate_limit.a.b".into(), "description");
    assert_eq!(found.as_deref(), Some("verify_service.rate_limits.a.b.description"));
}

/// Puts what one mapping has over another.
fn merge(into: &mut Json, from: Json) {
    match (into.as_object_mut(), from) {
        (Some(map), Json::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(map.entry(key).or_insert(Json::Null), value));
        }
        (_, from) => *into = from,
    }
}

/// Each stands beside the least manifest, says nothing that is refused or warned of, and has the section that it is for.
#[test]
fn the_examples_of_the_reference_are_manifests() {
    for section in tables().sections {
        let path = section.path;
        let hint = "add one to crates/core/src/manifest/examples.rs";
        let text = reference::example(path).unwrap_or_else(|| panic!("`{path}` has no example: {hint}"));
        assert!(text.lines().count() <= 12, "the example of `{path}` is long");
        let example: Json = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("`{path}`: {error}"));
        let mut whole: Json =
            serde_yaml::from_str(include_str!("../../manifests/minimal.yaml")).expect("YAML");
        let has = path.split('.').filter(|name| !name.is_empty()).try_fold(&example, |at, key| at.get(key));
        assert!(has.is_some(), "the example of `{path}` has another section");
        merge(&mut whole, example.clone());
        let (_, problems) =
            checked(&whole.to_string(), &[]).unwrap_or_else(|refused| panic!("`{path}`: {refused}"));
        assert_eq!(problems, [], "the example of `{path}`");
    }
}

#[test]
fn the_reference_page_is_as_the_tables_are() {
    let page = reference::page(&tables());
    if std::env::var_os("LOCKSTEP_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).expect("the page is written");
    }
    let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
    let mut lines = page.lines().zip(committed.lines().chain(std::iter::repeat(""))).zip(1..);
    let differs = lines.find(|((new, old), _)| new != old);
    let help = "LOCKSTEP_WRITE_DOCS=1 cargo test --test all -- places writes the page anew";
    if let Some(((new, old), number)) = differs {
        panic!("{PAGE}, line {number} is\n  {old}\nand should be\n  {new}\n{help}");
    }
    assert_eq!(page, committed, "{help}");
}

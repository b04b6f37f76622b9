//! Tests of the shipped manifests: each is applied, found unchanged, killed at every request, and destroyed. The how-to
//! is compared row by row.

mod bodies;
mod code;
mod fragments;
mod howto;
mod said;

use std::collections::BTreeMap;
use std::fs;

use lockstep::kinds;
use lockstep::manifest;
use lockstep::model::field::{Type, flat};
use lockstep::shell::in_process::Stop;
use serde_json::Value as Json;

use crate::fields::bed::{Bed, Remote, assert_same, nobody_is_harmed, valid};
use crate::fields::destroy;
use crate::support::tables;

const QUICKSTART: &str = include_str!("../manifests/quickstart.yaml");
const MINIMAL: &str = include_str!("../manifests/minimal.yaml");
const COMPLETE: &str = include_str!("../manifests/complete.yaml");
const HOWTO: &str = include_str!("../manifests/howto-2023.yaml");

const HUB: &str = include_str!("../manifests/hub.yaml");
const POLICY: &str = include_str!("../manifests/policy.yaml");
const MINTED: &str = include_str!("../manifests/minted.yaml");

pub const ALL: [(&str, &str); 7] = [
    ("quickstart.yaml", QUICKSTART),
    ("minimal.yaml", MINIMAL),
    ("complete.yaml", COMPLETE),
    ("howto-2023.yaml", HOWTO),
    ("hub.yaml", HUB),
    ("policy.yaml", POLICY),
    ("minted.yaml", MINTED),
];

#[test]
fn every_manifest_names_its_schema() {
    let line = manifest::schema::modeline("../schemas/manifest.json");
    for (name, text) in ALL {
        assert!(text.starts_with(&line), "{name}");
    }
}

/// A bed whose environment has a value for every variable of the manifest.
fn bed(text: &str) -> Bed {
    Bed::new(valid(text, &[]))
}

#[test]
fn every_manifest_of_the_folder_is_tested_here() {
    let mut there: Vec<String> = fs::read_dir("manifests")
        .expect("the folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    let mut named: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    assert_eq!(there, named);
}

#[test]
fn each_is_applied_found_unchanged_and_destroyed() {
    for (name, text) in ALL {
        let mut bed = bed(text);
        let former = bed.plain(Remote::Ids);
        bed.applied();
        nobody_is_harmed(&bed, name);
        let mark = bed.stack.mark();
        let plan = bed.observe().plan;
        assert!(plan.is_empty() && plan.deferred.is_empty(), "{name}: {:?}", plan.steps);
        bed.applied();
        assert_eq!(bed.writes_since(mark), Vec::<String>::new(), "{name}: a second apply");
        bed.destroyed();
        assert_same(&former, &bed.plain(Remote::Ids), name);
    }
}

fn killed_everywhere(name: &str, text: &str, every: usize) {
    let mut first = bed(text);
    let former = first.plain(Remote::Ids);
    first.applied();
    let length = first.stack.mark();
    for k in (0..=length).step_by(every) {
        let story = format!("{name}, killed after {k} of {length}");
        let mut bed = bed(text);
        let _ = bed.run_until(Stop::kill(k, k % 2 == 0), false);
        nobody_is_harmed(&bed, &story);
        bed.stack.in_process.advance_ms(3_600_000);
        bed.applied();
        assert!(bed.observe().plan.is_empty(), "{story}");
        nobody_is_harmed(&bed, &story);
        bed.destroyed();
        assert_same(&former, &bed.plain(Remote::Ids), &story);
    }
}

#[test]
fn the_howto_killed_at_any_request_is_finished_by_the_next_run() {
    killed_everywhere("howto-2023.yaml", HOWTO, 1);
}

#[test]
fn the_least_killed_at_any_request_is_finished_by_the_next_run() {
    killed_everywhere("minimal.yaml", MINIMAL, 1);
}

#[test]
fn a_part_of_a_stack_killed_at_any_request_is_finished_by_the_next_run() {
    killed_everywhere("policy.yaml", POLICY, 1);
    killed_everywhere("hub.yaml", HUB, 3);
}

#[test]
fn keys_of_a_run_killed_at_a_request_are_finished_by_the_next_run() {
    killed_everywhere("minted.yaml", MINTED, 5);
}

/// Kills at every third request. Three is odd, so kills before and after the reply alternate.
#[test]
fn everything_killed_at_a_request_is_finished_by_the_next_run() {
    killed_everywhere("complete.yaml", COMPLETE, 3);
}

#[test]
fn a_killed_destroy_is_finished_by_the_next() {
    for (name, text, every) in [("howto-2023.yaml", HOWTO, 1), ("complete.yaml", COMPLETE, 5)] {
        destroy::killed_everywhere(bed(text), name, every, nobody_is_harmed);
    }
}

/// Keys that complete.yaml cannot have, each with the reason.
const NOT_IN_COMPLETE: &[(&str, &str)] = &[
    ("verify_service.use", "instead of everything that manages the service"),
    ("verify_service.sid", "picks one service of an account; shown as a comment"),
    ("verify_service.default_template", "instead of default_template_sid; shown as a comment"),
    ("feedback.log_stream.start_from", "has to lie within the tenant's log retention; shown as a comment"),
    ("log_streams.http.*.start_from", "as of the feedback stream"),
    ("action.binding.beside", "of the legacy set-up only"),
    ("feedback.action.secrets_as_of", "as of the other Action"),
    ("action.secrets_as_of", "about an Action that was there before; shown as a comment"),
    ("attest.geo_permissions.policy", "in words instead of countries"),
    ("attest.remind", "silences what the entries tell"),
    ("phone.legacy_templates.enrollment_message", "of the legacy set-up only"),
    ("phone.legacy_templates.verification_message", "of the legacy set-up only"),
];

#[test]
fn complete_uses_every_key() {
    let (parsed, _) = manifest::parse("complete.yaml", COMPLETE, &tables())
        .unwrap_or_else(|rejected| panic!("{}", rejected.render(false)));
    drop(parsed);
    let root: Json = serde_yaml::from_str(COMPLETE).expect("YAML");
    let mut missing: BTreeMap<String, ()> = BTreeMap::new();
    let mut count = 0;
    for section in kinds::sections() {
        for (key, field) in flat(section.fields) {
            let place = format!("{}.{key}", section.path);
            let at = place.split('.').try_fold(&root, |at, part| at.get(part));
            let inner = match field.ty {
                Type::Named { fields, .. } => flat(fields),
                _ => Vec::new(),
            };
            count += 1 + inner.len();
            match at {
                None => drop(missing.insert(place, ())),
                // At least one entry has each key.
                Some(entries) => {
                    let has = |key: &str| {
                        let entries = entries.as_object().into_iter().flat_map(|map| map.values());
                        entries
                            .into_iter()
                            .any(|entry| key.split('.').try_fold(entry, |at, part| at.get(part)).is_some())
                    };
                    let lacks = inner.iter().filter(|(key, _)| !has(key));
                    missing.extend(lacks.map(|(key, _)| (format!("{place}.*.{key}"), ())));
                }
            }
        }
    }
    let expected: Vec<&str> = {
        let mut expected: Vec<&str> = NOT_IN_COMPLETE.iter().map(|(place, _)| *place).collect();
        expected.sort_unstable();
        expected
    };
    let lacks: Vec<&String> = missing.keys().filter(|place| !expected.contains(&place.as_str())).collect();
    assert!(
        lacks.is_empty(),
        "add {lacks:?} to manifests/complete.yaml, or to NOT_IN_COMPLETE with a reason"
    );
    let there: Vec<&&str> = expected.iter().filter(|place| !missing.contains_key(**place)).collect();
    assert!(there.is_empty(), "{there:?} stand in manifests/complete.yaml: remove them from NOT_IN_COMPLETE");
    println!("{count} keys, {} of them not in complete.yaml", expected.len());
}

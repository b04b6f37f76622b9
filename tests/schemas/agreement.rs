//! The manifest's schema and the program agree: both accept a manifest, or both refuse it.

use std::collections::BTreeSet;

use super::corpus::{UNSAID, drawn};
use super::{findings, schema};

/// `.ci/run` compares ten thousand with validators of others.
const COUNT: u64 = 2_000;

#[test]
fn schema_and_program_accept_and_refuse_the_same_manifests() {
    let schema = schema("manifest");
    let (mut wrong, mut made) = (Vec::new(), BTreeSet::new());
    for number in 0..COUNT {
        let one = drawn(number);
        let found = findings(&schema, &one.manifest);
        let name = one.mistake.as_ref().map_or("", |(name, _)| *name);
        let is_unsaid = UNSAID.iter().any(|(unsaid, _)| *unsaid == name);
        let wanted = (name.is_empty(), name.is_empty() || is_unsaid);
        made.insert(name);
        if (one.accepted, found.is_empty()) != wanted {
            let place = one.mistake.map_or_else(String::new, |(_, place)| place);
            wrong.push(format!(
                "{number}: {name:?} at {place}: program {}, schema {found:?}",
                if one.accepted { "accepts" } else { "refuses" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
    let lacks: Vec<&str> = UNSAID.iter().map(|(name, _)| *name).filter(|name| !made.contains(name)).collect();
    assert!(lacks.is_empty() && made.len() == 47, "{} mistakes were made, none of {lacks:?}", made.len());
}

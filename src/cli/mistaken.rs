//! Files that this program writes, given where the manifest belongs: what such a file is, and where it goes.

use serde_json::Value as Json;

/// One kind of file: the members that tell it, what it is called, and what to do.
const KNOWN: [(&[&str], &str, &str); 4] = [
    (
        &["format", "steps", "basis"],
        "a saved plan",
        "name the manifest, and give the plan to apply: `lockstep apply MANIFEST --plan FILE`",
    ),
    (
        &["schema", "serial", "resources"],
        "the record of a stack",
        "name the manifest, and give the record by an option: `--ledger file:FILE`",
    ),
    (
        &["lockstep_twin"],
        "the world of a twin",
        "name the manifest, and give the world by an option: `--twin=FILE`",
    ),
    (
        &["format", "diagnostics"],
        "what `--output json` printed",
        "name the manifest; `plan --out FILE` saves a plan that can be applied",
    ),
];

/// What a text is that was taken for a manifest, and the next move; `None`: none of these.
pub fn meant(text: &str) -> Option<(&'static str, &'static str)> {
    // Most manifests are told by their first letter.
    let object = Some(text).filter(|text| text.trim_start().starts_with('{'))?;
    let Ok(Json::Object(members)) = serde_json::from_str(object) else { return None };
    let known = KNOWN.iter().find(|(keys, ..)| keys.iter().all(|key| members.contains_key(*key)));
    known.map(|(_, what, help)| (*what, *help))
}

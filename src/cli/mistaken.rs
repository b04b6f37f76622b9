//! Recognises files of this program that were given in place of the manifest, and says where each kind belongs.

use serde_json::Value as Json;

/// The kinds of files: the keys that identify it, its name, and the next move.
const KNOWN: [(&[&str], &str, &str); 4] = [
    (
        &["format", "steps", "basis"],
        "a saved plan",
        "name the manifest, and give the plan as an option: `lockstep apply MANIFEST --plan FILE`",
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

/// What a text is that was given as manifest, and the next move. `None`: it is none of the known kinds.
pub fn meant(text: &str) -> Option<(&'static str, &'static str)> {
    // The first letter is enough to recognise most manifests.
    let object = Some(text).filter(|text| text.trim_start().starts_with('{'))?;
    let Ok(Json::Object(members)) = serde_json::from_str(object) else { return None };
    let known = KNOWN.iter().find(|(keys, ..)| keys.iter().all(|key| members.contains_key(*key)));
    known.map(|(_, what, help)| (*what, *help))
}

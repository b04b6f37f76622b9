//! A manifest, from its text to its values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::kinds;
use lockstep::manifest::{self, FileError, Missing, Sources};

struct Everything;

impl Sources for Everything {
    fn env(&self, name: &str) -> Option<String> {
        (!name.ends_with('X')).then(|| format!("value-of-{name}"))
    }
    fn file(&self, path: &str) -> Result<String, FileError> {
        if path.len() % 2 == 0 { Ok("exports.handler = () => {};".into()) } else { Err(FileError::Missing) }
    }
    fn var(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let tables = lockstep::plan::desired::tables();
    match manifest::parse("m.yaml", &text, &tables) {
        Err(rejected) => drop(rejected.render(false) + &rejected.render(true)),
        Ok((parsed, warnings)) => {
            manifest::render(&warnings, &parsed.source, false);
            manifest::references(&parsed);
            for missing in [Missing::Error, Missing::Unknown] {
                match manifest::resolve(&parsed, &Everything, missing) {
                    Err(rejected) => drop(rejected.render(false)),
                    Ok(manifest) => {
                        let mut problems = Vec::new();
                        kinds::KINDS.iter().for_each(|kind| kind.check(&manifest, &mut problems));
                        kinds::KINDS.iter().for_each(|kind| drop(kind.declare(&manifest)));
                    }
                }
            }
        }
    }
});

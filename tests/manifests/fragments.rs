//! Tests that every shipped manifest and every fragment in the documents is valid as it stands.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::code::lay;
use crate::process::lab::{Folder, lockstep};

/// The YAML blocks of the documents, each with its file.
fn fragments() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    files.extend(fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("entry").path()));
    files.sort();
    let mut found = Vec::new();
    for file in files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&file).expect("text");
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            found.push((file.clone(), block.to_owned()));
        }
    }
    found
}

/// Checks that the file is valid with an empty environment, and that a pull request from a fork gets a plan which shows
/// the unknown values.
fn usable(file: &str) -> Result<(), String> {
    for arguments in [vec!["validate", file], vec!["plan", "--missing-as-unknown", file]] {
        let run = lockstep(&arguments).run();
        if run.code != Some(0) || run.err.contains("error") {
            return Err(format!("{arguments:?}: {:?}\n{}", run.code, run.err));
        }
    }
    Ok(())
}

#[test]
fn every_manifest_and_every_fragment_is_valid_with_an_empty_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quickstart = fs::read_to_string(root.join("manifests/quickstart.yaml")).expect("quickstart");
    let folder = Folder::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root.join("manifests")).expect("manifests") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|end| end == "yaml") {
            usable(&path.display().to_string()).unwrap_or_else(|why| wrong.push(why));
            count += 1;
        }
    }
    for (at, (file, text)) in fragments().into_iter().enumerate() {
        let over: Json =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // A block that is a list is a step of a workflow, not a manifest.
        if !over.is_object() {
            continue;
        }
        let mut whole: Json = serde_yaml::from_str(&quickstart).expect("quickstart");
        // A manifest has either its own receiver or the Function, not both.
        if over["feedback"]["function"].is_object()
            && let Some(stream) = whole["feedback"]["log_stream"].as_object_mut()
        {
            stream.shift_remove("endpoint");
        }
        lay(&over, &mut whole);
        let path = folder.write(&format!("fragment-{at}.yaml"), &whole.to_string());
        usable(&path).unwrap_or_else(|why| wrong.push(format!("{}: {why}\n{text}", file.display())));
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 8, "only {count} were looked at");
}

//! Tests of the published JSON Schemas: they are as the program prints them, as its types are, and as its documents are;
//! and the manifest's schema accepts what the program accepts.

mod agreement;
pub mod corpus;
mod types;

use lockstep::cli::schemas;
use lockstep::manifest::reference;
use serde_json::{Value as Json, json};

use crate::contract::schema::{Broken, Finding, STANDARD, Schemas};
use crate::support::tables;

/// What a value has that the schema does not allow.
pub fn findings(schema: &Json, value: &Json) -> Vec<Finding> {
    Schemas { root: schema, rules: STANDARD }.check(schema, value)
}

/// A schema by its name.
pub fn schema(name: &str) -> Json {
    let all = schemas();
    let (_, text) = all.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no schema {name}"));
    serde_json::from_str(text).expect("JSON")
}

/// Which schema a document of `--output json` has, by the member with its result. `None`: `show` has none.
fn of(document: &Json) -> Option<&'static str> {
    let has = |name: &&str| document.get(name).is_some();
    match document.get("show") {
        Some(_) => None,
        // The document of an error is the same for each command.
        None => Some(
            ["plan", "drift", "apply", "status", "doctor", "statuses", "fleet", "rollout", "validate"]
                .into_iter()
                .find(has)
                .unwrap_or("validate"),
        ),
    }
}

/// Every document of the process tests is compared with its schema.
#[track_caller]
pub fn assert_fits(document: &Json) {
    if let Some(name) = of(document) {
        assert_eq!(findings(&schema(name), document), [], "{name}: {document:#}");
    }
}

#[test]
fn every_schema_is_published_as_the_program_prints_it() {
    let help = "LOCKSTEP_WRITE_DOCS=1 cargo test --test all -- schemas writes them anew";
    let all = schemas();
    for (name, text) in &all {
        let path = format!("schemas/{name}.json");
        if std::env::var_os("LOCKSTEP_WRITE_DOCS").is_some() {
            std::fs::write(&path, text).expect("the schema is written");
        }
        assert!(std::fs::read_to_string(&path).unwrap_or_default() == *text, "{path} differs: {help}");
    }
    let there = std::fs::read_dir("schemas").expect("the folder").count();
    assert_eq!(there, all.len(), "a schema that the program does not print");
}

/// Every `$ref` leads somewhere, and every object of a document names all of its members.
#[test]
fn a_document_has_no_member_that_the_schema_does_not_know() {
    fn walk(schema: &Json, root: &Json, place: &str) {
        if let Some(to) = schema.get("$ref").and_then(Json::as_str) {
            assert!(root.pointer(&to[1..]).is_some(), "{place}: {to} leads nowhere");
        }
        if schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], json!(false), "{place}");
        }
        let members = schema.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value));
        let items =
            schema.as_array().into_iter().flatten().enumerate().map(|(at, value)| (at.to_string(), value));
        members.chain(items).for_each(|(key, value)| walk(value, root, &format!("{place}/{key}")));
    }
    for (name, _) in schemas() {
        let schema = schema(&name);
        walk(&schema, &schema, &name);
    }
}

#[test]
fn the_manifests_and_the_examples_of_the_reference_fit() {
    let schema = schema("manifest");
    for (name, text) in crate::manifests::ALL {
        let manifest: Json = serde_yaml::from_str(text).expect("YAML");
        assert_eq!(findings(&schema, &manifest), [], "{name}");
    }
    for section in tables().sections {
        let text = reference::example(section.path).expect("a test looks for it");
        let example: Json = serde_yaml::from_str(text).expect("YAML");
        let mut found = findings(&schema, &example);
        // Alone it lacks what every manifest has.
        found.retain(|one| one.broken != Broken::Missing);
        assert_eq!(found, [], "the example of {:?}", section.path);
    }
}

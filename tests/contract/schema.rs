//! Checks a JSON value against a schema: of OpenAPI 3.0 ("OpenAPI Specification 3.0.3", schema object), as far as the
//! published descriptions and our own tables use it, and of JSON Schema 2020-12, as far as our published schemas use it.
//! An unknown keyword, format or pattern is a finding, so that nothing passes unchecked.
//!
//! Two rules are stricter than the specification, because the vendors' descriptions are written loosely: see [`Rules`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Map, Value as Json};

/// The meaning of a schema that does not say these things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// An object with `properties` and without `additionalProperties` accepts no other keys.
    pub closed: bool,
    /// Every property is required, not only those of `required`.
    pub complete: bool,
}

/// The rules of our own tables, which say themselves what is required.
pub const OURS: Rules = Rules { closed: true, complete: false };
/// The rules of a vendor's description of a reply: the vendor shows every property, and unset ones as null.
pub const SHOWN: Rules = Rules { closed: true, complete: true };
/// The rules of JSON Schema.
pub const STANDARD: Rules = Rules { closed: false, complete: false };

/// The rule that a value breaks. Exceptions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    Type,
    Enum,
    Format,
    Pattern,
    Limit,
    Missing,
    Unknown,
    NoMatch,
    /// The schema itself is not understood.
    Schema,
}

impl Broken {
    pub fn name(self) -> &'static str {
        match self {
            Broken::Type => "type",
            Broken::Enum => "enum",
            Broken::Format => "format",
            Broken::Pattern => "pattern",
            Broken::Limit => "limit",
            Broken::Missing => "missing",
            Broken::Unknown => "unknown",
            Broken::NoMatch => "no-match",
            Broken::Schema => "schema",
        }
    }
}

/// One mismatch. `place` has the form `bindings[].ref.type`, without indices, so that equal mistakes are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub place: String,
    pub broken: Broken,
    pub what: String,
}

/// Keywords that say nothing about a value.
const NOTES: &[&str] = &[
    "description",
    "title",
    "example",
    "examples",
    "default",
    "deprecated",
    "readOnly",
    "patternErrorMessage",
    "$schema",
    "$defs",
];
const KNOWN: &[&str] = &[
    "$ref",
    "type",
    "enum",
    "nullable",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "allOf",
    "oneOf",
    "anyOf",
    "const",
    "not",
    "if",
    "then",
    "else",
    "maxProperties",
    "propertyNames",
];

/// A document with schemas in it, and the rules for reading it.
#[derive(Clone, Copy)]
pub struct Schemas<'a> {
    pub root: &'a Json,
    pub rules: Rules,
}

impl<'a> Schemas<'a> {
    pub fn check(self, schema: &Json, value: &Json) -> Vec<Finding> {
        let mut found = Vec::new();
        self.visit(schema, value, "", &mut found);
        found
    }

    /// The schema behind references; `None` for a cycle or a reference to nothing.
    pub fn resolve<'b>(self, schema: &'b Json) -> Option<&'b Json>
    where
        'a: 'b,
    {
        let mut schema = schema;
        for _ in 0..32 {
            let Some(reference) = schema.get("$ref").and_then(Json::as_str) else { return Some(schema) };
            schema = self.root.pointer(reference.strip_prefix('#')?)?;
        }
        None
    }

    fn visit(self, schema: &Json, value: &Json, place: &str, found: &mut Vec<Finding>) {
        let mut add = |broken: Broken, what: String| {
            found.push(Finding { place: place.to_owned(), broken, what });
        };
        let Some(resolved) = self.resolve(schema) else {
            return add(Broken::Schema, format!("{schema} leads nowhere"));
        };
        let Some(map) = resolved.as_object() else {
            return add(Broken::Schema, format!("{resolved} is no schema"));
        };
        let strange = |key: &&String| {
            !KNOWN.contains(&key.as_str()) && !NOTES.contains(&key.as_str()) && !key.starts_with("x-")
        };
        if let Some(key) = map.keys().find(strange) {
            return add(Broken::Schema, format!("the keyword {key} is not understood"));
        }
        if value.is_null() && map.get("nullable") == Some(&Json::Bool(true)) {
            return;
        }
        if let Some(wanted) = map.get("type") {
            match self.fits(wanted, value) {
                None => return add(Broken::Schema, format!("the type {wanted} is not understood")),
                Some(false) => {
                    return add(Broken::Type, format!("is {}, not {wanted}", kind(value)));
                }
                Some(true) => {}
            }
        }
        if map.get("const").is_some_and(|only| only != value) {
            add(Broken::Enum, format!("{} is not {}", cut(value), map["const"]));
        }
        if let Some(Json::Array(values)) = map.get("enum")
            && !values.contains(value)
        {
            add(Broken::Enum, format!("{} is none of {}", cut(value), Json::Array(values.clone())));
        }
        match value {
            Json::String(text) => text_findings(map, text, &mut add),
            Json::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let limit = |name: &str| map.get(name).and_then(Json::as_f64);
                if limit("minimum").is_some_and(|least| number < least)
                    || limit("maximum").is_some_and(|most| number > most)
                {
                    add(Broken::Limit, format!("{number} is out of range"));
                }
                match map.get("format").and_then(Json::as_str) {
                    None | Some("int64" | "int32" | "float" | "double") => {}
                    Some(other) => add(Broken::Schema, format!("the format {other} is not understood")),
                }
            }
            Json::Array(items) => self.array_findings(map, items, place, found),
            Json::Object(object) => self.object_findings(map, object, place, found),
            Json::Null | Json::Bool(_) => {}
        }
        self.combined_findings(map, value, place, found);
    }

    fn fits(self, wanted: &Json, value: &Json) -> Option<bool> {
        if let Some(any) = wanted.as_array() {
            let each: Option<Vec<bool>> = any.iter().map(|one| self.fits(one, value)).collect();
            return each.map(|each| each.contains(&true));
        }
        Some(match wanted.as_str()? {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            // To JSON Schema 6.0 is one; the vendors do not write that.
            "integer" if self.rules == STANDARD => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => return None,
        })
    }

    fn array_findings(self, map: &Map<String, Json>, items: &[Json], place: &str, found: &mut Vec<Finding>) {
        let limit = |name: &str| map.get(name).and_then(Json::as_u64);
        let count = items.len() as u64;
        if limit("minItems").is_some_and(|least| count < least)
            || limit("maxItems").is_some_and(|most| count > most)
        {
            let what = format!("{count} items");
            found.push(Finding { place: place.to_owned(), broken: Broken::Limit, what });
        }
        if map.get("uniqueItems") == Some(&Json::Bool(true)) {
            let distinct: BTreeSet<String> = items.iter().map(Json::to_string).collect();
            if distinct.len() < items.len() {
                let what = "an item twice".to_owned();
                found.push(Finding { place: place.to_owned(), broken: Broken::Limit, what });
            }
        }
        if let Some(schema) = map.get("items") {
            items.iter().for_each(|item| self.visit(schema, item, &format!("{place}[]"), found));
        }
    }

    fn object_findings(
        self,
        map: &Map<String, Json>,
        object: &Map<String, Json>,
        place: &str,
        found: &mut Vec<Finding>,
    ) {
        let at = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        let limit = |name: &str| map.get(name).and_then(Json::as_u64);
        let count = object.len() as u64;
        if limit("minProperties").is_some_and(|least| count < least)
            || limit("maxProperties").is_some_and(|most| count > most)
        {
            let what = format!("{} keys", object.len());
            found.push(Finding { place: place.to_owned(), broken: Broken::Limit, what });
        }
        match map.get("format").and_then(Json::as_str) {
            None => {}
            Some("uri-map") => {
                for (key, value) in object.iter().filter(|(_, value)| !is_uri(value)) {
                    let what = format!("{} is no URL", cut(value));
                    found.push(Finding { place: at(key), broken: Broken::Format, what });
                }
            }
            Some(other) => {
                let what = format!("the format {other} is not understood");
                found.push(Finding { place: place.to_owned(), broken: Broken::Schema, what });
            }
        }
        if let Some(names) = map.get("propertyNames") {
            object.keys().for_each(|key| self.visit(names, &key.as_str().into(), &at(key), found));
        }
        let properties = map.get("properties").and_then(Json::as_object);
        let mut needed: BTreeSet<&str> = map
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        if self.rules.complete {
            needed.extend(properties.into_iter().flatten().map(|(key, _)| key.as_str()));
        }
        for key in needed.into_iter().filter(|key| !object.contains_key(*key)) {
            found.push(Finding { place: at(key), broken: Broken::Missing, what: "is not there".into() });
        }
        let others = map.get("additionalProperties");
        for (key, value) in object {
            match (properties.and_then(|known| known.get(key)), others) {
                (Some(schema), _) => self.visit(schema, value, &at(key), found),
                (None, Some(Json::Bool(true))) => {}
                (None, Some(schema @ Json::Object(_))) => self.visit(schema, value, &at(key), found),
                (None, Some(_)) => found.push(unknown(at(key))),
                // A combined schema lists its keys in its parts.
                (None, None) if properties.is_some() && self.rules.closed => found.push(unknown(at(key))),
                (None, None) => {}
            }
        }
    }

    fn combined_findings(self, map: &Map<String, Json>, value: &Json, place: &str, found: &mut Vec<Finding>) {
        for part in map.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.visit(part, value, place, found);
        }
        let holds = |schema: &Json| self.check(schema, value);
        if let Some(not) = map.get("not") {
            let inner = holds(not);
            let strange: Vec<_> = inner.iter().filter(|one| one.broken == Broken::Schema).cloned().collect();
            if inner.is_empty() {
                let what = format!("{} is what it must not be", cut(value));
                found.push(Finding { place: place.to_owned(), broken: Broken::NoMatch, what });
            }
            found.extend(strange);
        }
        if let Some(condition) = map.get("if") {
            let branch = if holds(condition).is_empty() { "then" } else { "else" };
            map.get(branch).into_iter().for_each(|schema| self.visit(schema, value, place, found));
        }
        for (word, exactly_one) in [("oneOf", true), ("anyOf", false)] {
            let Some(parts) = map.get(word).and_then(Json::as_array) else { continue };
            let results: Vec<Vec<Finding>> = parts
                .iter()
                .map(|part| {
                    let mut found = Vec::new();
                    self.visit(part, value, place, &mut found);
                    found
                })
                .collect();
            let matching = results.iter().filter(|result| result.is_empty()).count();
            if matching == 0 {
                // The part with the fewest mismatches explains best.
                let nearest = results.into_iter().min_by_key(Vec::len).unwrap_or_default();
                let what = format!("none of the {} forms fits", parts.len());
                found.push(Finding { place: place.to_owned(), broken: Broken::NoMatch, what });
                found.extend(nearest);
            } else if exactly_one && matching > 1 {
                let what = format!("{matching} forms fit, not one");
                found.push(Finding { place: place.to_owned(), broken: Broken::NoMatch, what });
            }
        }
    }

    /// Every place of a schema that has a value of its own, such as `sink.httpEndpoint` or `secrets[].name`.
    pub fn leaves(self, schema: &Json) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        self.walk(schema, "", 0, &mut out);
        out
    }

    fn walk(self, schema: &Json, place: &str, depth: usize, out: &mut BTreeSet<String>) {
        let Some(map) = self.resolve(schema).and_then(Json::as_object) else { return };
        let mut inner = false;
        if depth < 16 {
            for (key, schema) in map.get("properties").and_then(Json::as_object).into_iter().flatten() {
                inner = true;
                let at = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                self.walk(schema, &at, depth + 1, out);
            }
            if let Some(items) = map.get("items") {
                inner = true;
                self.walk(items, &format!("{place}[]"), depth + 1, out);
            }
            for word in ["allOf", "oneOf", "anyOf"] {
                for part in map.get(word).and_then(Json::as_array).into_iter().flatten() {
                    inner = true;
                    self.walk(part, place, depth + 1, out);
                }
            }
        }
        if !inner {
            out.insert(place.to_owned());
        }
    }
}

fn unknown(place: String) -> Finding {
    Finding { place, broken: Broken::Unknown, what: "is not in the schema".into() }
}

/// The places of a value in the form of [`Schemas::leaves`], together with every place that contains one.
pub fn places(value: &Json) -> BTreeSet<String> {
    fn walk(value: &Json, place: &str, out: &mut BTreeSet<String>) {
        out.insert(place.to_owned());
        match value {
            Json::Object(map) => {
                for (key, value) in map {
                    let at = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                    walk(value, &at, out);
                }
            }
            Json::Array(items) => items.iter().for_each(|item| walk(item, &format!("{place}[]"), out)),
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    walk(value, "", &mut out);
    out
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn cut(value: &Json) -> String {
    value.to_string().chars().take(60).collect()
}

fn text_findings(map: &Map<String, Json>, text: &str, add: &mut impl FnMut(Broken, String)) {
    let limit = |name: &str| map.get(name).and_then(Json::as_u64);
    let length = text.chars().count() as u64;
    if limit("minLength").is_some_and(|least| length < least)
        || limit("maxLength").is_some_and(|most| length > most)
    {
        add(Broken::Limit, format!("{length} characters"));
    }
    if let Some(pattern) = map.get("pattern").and_then(Json::as_str) {
        match matches(pattern, text) {
            None => add(Broken::Schema, format!("the pattern {pattern} is not understood")),
            Some(false) => add(Broken::Pattern, format!("{} does not match {pattern}", cut(&text.into()))),
            Some(true) => {}
        }
    }
    let Some(format) = map.get("format").and_then(Json::as_str) else { return };
    let right = match format {
        "uri" => is_uri(&text.into()),
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date-time-rfc-2822" => jiff::fmt::rfc2822::parse(text).is_ok(),
        "iso-country-code" => text == "all" || matches("^[A-Z]{2}$", text) == Some(true),
        "uuid" => {
            matches("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", text) == Some(true)
        }
        other => return add(Broken::Schema, format!("the format {other} is not understood")),
    };
    if !right {
        add(Broken::Format, format!("{} is no {format}", cut(&text.into())));
    }
}

fn is_uri(value: &Json) -> bool {
    let Some(text) = value.as_str() else { return false };
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    matches("^[a-z]+$", scheme) == Some(true)
        && !rest.is_empty()
        && !rest.starts_with('/')
        && text.chars().all(|letter| letter.is_ascii_graphic())
}

/// Whether a text has a pattern's form somewhere; `None` if the pattern is not understood.
pub fn matches(pattern: &str, text: &str) -> Option<bool> {
    thread_local!(static READ: RefCell<BTreeMap<String, Option<Regex>>> = RefCell::default());
    READ.with_borrow_mut(|read| {
        let regex = read.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        regex.as_ref().map(|regex| regex.is_match(text))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn broken(rules: Rules, schema: &Json, value: &Json) -> Vec<(String, Broken)> {
        let root = json!({
            "sid": { "type": "string", "pattern": "^VA[0-9a-fA-F]{32}$" },
            "loop": { "$ref": "#/loop" },
        });
        let found = Schemas { root: &root, rules }.check(schema, value);
        found.into_iter().map(|finding| (finding.place, finding.broken)).collect()
    }

    /// Tests each rule with a value that keeps it and one that breaks it.
    #[test]
    fn every_rule_can_be_broken() {
        let sid = format!("VA{}", "0a".repeat(16));
        let cases = [
            (json!({"type": "string"}), json!("x"), json!(1), Broken::Type),
            (json!({"type": "integer"}), json!(1), json!(1.5), Broken::Type),
            (json!({"type": "number"}), json!(1.5), json!("1.5"), Broken::Type),
            (json!({"type": "boolean"}), json!(true), json!("true"), Broken::Type),
            (json!({"type": "array"}), json!([]), json!({}), Broken::Type),
            (json!({"type": "object"}), json!({}), json!([]), Broken::Type),
            (json!({"type": "string", "nullable": true}), json!(null), json!(0), Broken::Type),
            (json!({"type": "string"}), json!(""), json!(null), Broken::Type),
            (json!({"enum": ["a", "b"]}), json!("b"), json!("c"), Broken::Enum),
            (json!({"$ref": "#/sid"}), json!(sid), json!("VA1"), Broken::Pattern),
            (json!({"allOf": [{"$ref": "#/sid"}]}), json!(sid), json!("VB"), Broken::Pattern),
            (json!({"minLength": 2}), json!("ab"), json!("a"), Broken::Limit),
            (json!({"maxLength": 2}), json!("äö"), json!("abc"), Broken::Limit),
            (json!({"minimum": 4}), json!(4), json!(3), Broken::Limit),
            (json!({"maximum": 10}), json!(10), json!(11), Broken::Limit),
            (json!({"minItems": 1}), json!([1]), json!([]), Broken::Limit),
            (json!({"maxItems": 1}), json!([1]), json!([1, 2]), Broken::Limit),
            (json!({"uniqueItems": true}), json!([1, 2]), json!([1, 1]), Broken::Limit),
            (json!({"minProperties": 1}), json!({"a": 1}), json!({}), Broken::Limit),
            (json!({"maxProperties": 1}), json!({"a": 1}), json!({"a": 1, "b": 1}), Broken::Limit),
            (json!({"propertyNames": {"maxLength": 1}}), json!({"a": 1}), json!({"ab": 1}), Broken::Limit),
            (json!({"type": ["string", "null"]}), json!(null), json!(1), Broken::Type),
            (json!({"const": 1}), json!(1), json!(2), Broken::Enum),
            (json!({"not": {"type": "string"}}), json!(1), json!("a"), Broken::NoMatch),
            (json!({"if": {"minimum": 5}, "then": {"minimum": 9}}), json!(4), json!(6), Broken::Limit),
            (json!({"if": {"minimum": 5}, "else": {"minimum": 2}}), json!(6), json!(1), Broken::Limit),
            (json!({"format": "uri"}), json!("https://x.example/a"), json!("x.example"), Broken::Format),
            (
                json!({"format": "date-time"}),
                json!("2026-01-01T00:00:00Z"),
                json!("yesterday"),
                Broken::Format,
            ),
            (
                json!({"format": "date-time-rfc-2822"}),
                json!("Thu, 01 Jan 2026 00:00:00 +0000"),
                json!("2026-01-01T00:00:00Z"),
                Broken::Format,
            ),
            (json!({"format": "iso-country-code"}), json!("DE"), json!("Germany"), Broken::Format),
            (
                json!({"format": "uuid"}),
                json!("09ee2b9b-282d-4a65-87d1-f01adf007745"),
                json!("09ee2b9b"),
                Broken::Format,
            ),
            (
                json!({"type": "object", "format": "uri-map"}),
                json!({"a": "https://x.example"}),
                json!({"a": 1}),
                Broken::Format,
            ),
            (json!({"items": {"type": "string"}}), json!(["a"]), json!([1]), Broken::Type),
            (json!({"required": ["a"]}), json!({"a": 1}), json!({}), Broken::Missing),
            (json!({"properties": {"a": {}}}), json!({"a": 1}), json!({"b": 1}), Broken::Unknown),
            (json!({"additionalProperties": false}), json!({}), json!({"b": 1}), Broken::Unknown),
            (
                json!({"additionalProperties": {"type": "string"}}),
                json!({"b": "x"}),
                json!({"b": 1}),
                Broken::Type,
            ),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
                json!(1),
                json!(true),
                Broken::NoMatch,
            ),
            (json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]}), json!(3), json!(7), Broken::NoMatch),
            (json!({"anyOf": [{"minimum": 5}, {"maximum": 1}]}), json!(7), json!(3), Broken::NoMatch),
        ];
        for (schema, right, wrong, rule) in cases {
            assert_eq!(broken(OURS, &schema, &right), [], "{schema} {right}");
            let found = broken(OURS, &schema, &wrong);
            assert!(found.iter().any(|(_, broken)| *broken == rule), "{schema} {wrong}: {found:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for schema in [
            json!({"contains": {}}),
            json!({"not": {"contains": {}}}),
            json!({"type": "text"}),
            json!({"format": "colour"}),
            json!({"pattern": "^(a|b$"}),
            json!({"pattern": "(?=a)"}),
            json!({"$ref": "#/nowhere"}),
            json!({"$ref": "#/loop"}),
            json!(true),
        ] {
            assert_eq!(broken(OURS, &schema, &json!("x")), [(String::new(), Broken::Schema)], "{schema}");
        }
    }

    #[test]
    fn the_vendors_silence_is_read_strictly() {
        let schema = json!({"properties": {"a": {"properties": {"b": {"nullable": true}}}}});
        let value = json!({"a": {"c": 1}});
        assert_eq!(broken(Rules { closed: false, complete: false }, &schema, &value), []);
        assert_eq!(broken(OURS, &schema, &value), [("a.c".into(), Broken::Unknown)]);
        let both = [("a.b".into(), Broken::Missing), ("a.c".into(), Broken::Unknown)];
        assert_eq!(broken(SHOWN, &schema, &value), both);
        assert_eq!(broken(SHOWN, &schema, &json!({"a": {"b": null}})), []);
    }

    #[test]
    fn patterns() {
        for (pattern, text, right) in [
            ("^https://", "https://x", true),
            ("^https://", "http://x", false),
            ("^\\d{12}$", "123456789012", true),
            ("^\\d{12}$", "12345678901x", false),
            ("^[^<>]+$", "a b", true),
            ("^[^<>]+$", "a<b", false),
            ("^a{2,3}b?.*$", "aaab!", true),
            ("^a{2,3}$", "a", false),
            ("^pro_[A-Za-z0-9]{2}$", "pro_a9", true),
            ("^[a-]+$", "a-a", true),
            ("^(a|bc)?$", "bc", true),
            ("a", "bab", true),
        ] {
            assert_eq!(matches(pattern, text), Some(right), "{pattern} {text}");
        }
    }

    #[test]
    fn leaves_and_places_speak_the_same_language() {
        let root = json!({});
        let schema = json!({"properties": {"name": {}, "list": {"items": {"properties": {"id": {}}}},
            "either": {"oneOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]}}});
        let leaves = Schemas { root: &root, rules: OURS }.leaves(&schema);
        assert_eq!(leaves.iter().collect::<Vec<_>>(), ["either.x", "either.y", "list[].id", "name"]);
        let value = json!({"name": 1, "list": [{"id": 1}], "either": {"x": 1, "y": 2}});
        assert!(leaves.is_subset(&places(&value)));
    }
}

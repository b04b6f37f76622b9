//! The manifest's JSON Schema (2020-12), written out of the tables, and the line by which an editor finds it.
//!
//! It says what stands where: keys, types, ranges, words, forms of texts and of references. What holds between keys, and
//! what a reference leads to, only the program says.

use serde_json::{Map, Value as Json, json};

use super::yaml::{self, Node};
use super::{Tables, connection};
use crate::builtin;
use crate::model::field::{Field, Section, Type};

/// Name of the schema's file beside a manifest that is not in this repository: `lockstep schema manifest > FILE`.
pub const FILE: &str = "lockstep.schema.json";

/// The dialect of all our schemas.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text has a reference: a `$` that is not doubled, and a brace.
const HAS_REFERENCE: &str = r"(^|[^$])\$\{";

/// A text has a control character.
const CONTROL: &str = r"[\u0000-\u001f\u007f-\u009f]";

/// `on`, `off`, `yes`, `no`, `true` and `false` in any case, where they are text.
const TRUTH: &str = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Oo][Nn]|[Oo][Ff][Ff]|[Yy][Ee][Ss]|[Nn][Oo])$";

/// The first line of a manifest, which tells the editor's language server where the schema is: a path as seen from the
/// manifest, or a URL.
pub fn modeline(schema: &str) -> String {
    format!("# yaml-language-server: $schema={schema}\n")
}

/// The schema.
pub fn schema(tables: &Tables) -> Json {
    let mut root = json!({
        "$schema": DIALECT,
        // No title: an editor would show it above every key.
        "description": "What a stack of Auth0 phone MFA through Twilio Verify is to be. docs/manifest.md has every key.",
    });
    merge(&mut root, mapping(tables, ""));
    // The version is read before anything else, so it is no reference.
    root["properties"]["lockstep"] = json!({ "description": "Version of the manifest.", "const": "v1" });
    merge(
        &mut root,
        json!({ "$defs": { "reference": reference(tables, false), "text": reference(tables, true) } }),
    );
    root
}

/// Puts the members of one object behind those of another.
fn merge(into: &mut Json, from: Json) {
    if let (Some(into), Json::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// The mapping at a dotted path: a section, or what only groups sections.
fn mapping(tables: &Tables, path: &str) -> Json {
    let section: Option<&Section> = tables.sections.iter().copied().find(|section| section.path == path);
    let fields = section.map_or(&[][..], |section| section.fields);
    let mut out = object(fields);
    for name in tables.sections_below(path) {
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let is_required = tables.sections.iter().any(|section| section.path == below && section.required);
        out["properties"][name] = mapping(tables, &below);
        if is_required {
            require(&mut out, name);
        }
    }
    let has_inner = !tables.sections_below(path).is_empty();
    let is_group = has_inner && !fields.iter().any(|field| field.required || field.default.is_some());
    if is_group && !path.is_empty() {
        out["minProperties"] = json!(1);
    } else if !path.is_empty() && ["required", "else"].iter().all(|one| out.get(one).is_none()) {
        out["type"] = json!(["object", "null"]);
    }
    merge(&mut out, ways(path));
    described(section.map_or("", |section| section.doc), out)
}

/// Exactly one way to log in.
fn ways(path: &str) -> Json {
    let Some((_, ways)) = connection::WAYS.iter().find(|(section, _)| *section == path) else {
        return json!({});
    };
    let way = |keys: &&[&str]| {
        let others = ways.iter().filter(|other| *other != keys).flat_map(|other| other.iter());
        let others: Vec<Json> = others.map(|key| json!({ "required": [key] })).collect();
        json!({ "required": keys, "not": { "anyOf": others } })
    };
    json!({ "oneOf": ways.iter().map(way).collect::<Vec<_>>() })
}

fn require(object: &mut Json, key: &str) {
    match object.get_mut("required").and_then(Json::as_array_mut) {
        Some(required) => required.push(json!(key)),
        None => object["required"] = json!([key]),
    }
}

/// A mapping with these keys and no others.
fn object(fields: &[Field]) -> Json {
    let properties: Map<String, Json> =
        fields.iter().map(|field| (field.key.to_owned(), value(field))).collect();
    let mut out = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    for field in fields.iter().filter(|field| field.required && field.default.is_none()) {
        let stands_for = match field.unless {
            [] => {
                require(&mut out, field.key);
                continue;
            }
            [other] => json!({ "required": [other] }),
            others => {
                json!({ "anyOf": others.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() })
            }
        };
        merge(&mut out, json!({ "if": stands_for, "else": { "required": [field.key] } }));
    }
    out
}

/// The same, where nothing may stand in its place.
fn or_nothing(object: Json) -> Json {
    let mut object = object;
    object["type"] = json!(["object", "null"]);
    object
}

/// One of several mappings with these keys.
fn item(fields: &[Field]) -> Json {
    let is_required = fields.iter().any(|field| field.required && field.default.is_none());
    if is_required { object(fields) } else { or_nothing(object(fields)) }
}

/// A schema with its description in front.
fn described(doc: &str, schema: Json) -> Json {
    if doc.is_empty() {
        return schema;
    }
    let mut out = json!({ "description": super::reference::sentence(doc) });
    merge(&mut out, schema);
    out
}

/// What a key accepts.
fn value(field: &Field) -> Json {
    let mut doc = super::reference::sentence(field.doc);
    if field.secret {
        doc.push_str(" A secret: it has to be a reference, such as ${env.NAME}.");
    }
    let mut out = json!({ "description": doc });
    merge(&mut out, by_type(field));
    if let Some(default) = field.default {
        out["default"] = plain(yaml::decode_default(default));
    }
    out
}

fn by_type(field: &Field) -> Json {
    match field.ty {
        Type::Text { .. } | Type::Code | Type::Int { .. } | Type::Bool | Type::OneOf(_) => {
            scalar(field, &field.ty)
        }
        Type::OpenOneOf(words) => open(words, &[]),
        Type::Release(releases) => {
            let retired = releases.retired.iter().flat_map(|word| [*word, releases.theirs(word)]);
            open(releases.known, &retired.collect::<Vec<_>>())
        }
        Type::Set(words) => {
            let entry = match words {
                [] => Type::Text { min: 1, max: usize::MAX, check: None },
                words => Type::OneOf(words),
            };
            json!({ "type": "array", "uniqueItems": true, "items": scalar(field, &entry) })
        }
        Type::Map { max } => json!({
            "type": ["object", "null"], "maxProperties": max, "propertyNames": { "not": { "pattern": CONTROL } },
            "additionalProperties": entry(field),
        }),
        Type::Object(fields) => or_nothing(object(fields)),
        Type::List { max, fields } => {
            json!({ "type": ["array", "null"], "maxItems": max, "items": item(fields) })
        }
        Type::Any => json!({
            "if": { "type": "string", "pattern": HAS_REFERENCE }, "then": { "$ref": "#/$defs/reference" },
        }),
        Type::Named { max, fields } => json!({
            "type": ["object", "null"], "maxProperties": max, "propertyNames": { "not": { "pattern": CONTROL } },
            "additionalProperties": item(fields),
        }),
    }
}

/// One value that is no mapping and no list.
fn scalar(field: &Field, ty: &Type) -> Json {
    match *ty {
        _ if field.secret => json!({ "$ref": "#/$defs/text" }),
        Type::Text { min, max, check } => text(field.lines, min, max, check.map_or("", |check| check.form)),
        Type::Int { min, max } => {
            let mut out = json!({ "type": ["integer", "string"], "minimum": min });
            if max != i64::MAX {
                out["maximum"] = json!(max);
            }
            merge(&mut out, json!({ "if": { "type": "string" }, "then": { "$ref": "#/$defs/reference" } }));
            out
        }
        Type::Bool => json!({ "anyOf": [
            { "type": "boolean" },
            { "enum": ["on", "off", "yes", "no"] },
            { "type": "string", "pattern": TRUTH },
            { "$ref": "#/$defs/reference" },
        ] }),
        Type::OneOf(words) => {
            json!({ "anyOf": [{ "enum": spelled(words) }, { "$ref": "#/$defs/reference" }] })
        }
        Type::Code => {
            let names: Vec<String> = builtin::NAMES.iter().map(|name| format!("builtin:{name}")).collect();
            let path = json!({
                "type": "string", "pattern": format!("^{}$", path("")),
                "not": { "pattern": r"^builtin:|\$\{" },
            });
            json!({ "anyOf": [{ "enum": names }, path] })
        }
        // No other type is a scalar.
        _ => json!({}),
    }
}

/// A text, in characters; with a reference, its length and form are known only later.
fn text(lines: bool, min: usize, max: usize, form: &str) -> Json {
    let mut plain = json!({});
    if min > 0 {
        plain["minLength"] = json!(min);
    }
    if max != usize::MAX {
        plain["maxLength"] = json!(max);
    }
    if !form.is_empty() {
        plain["pattern"] = json!(form);
    }
    if !lines {
        plain["not"] = json!({ "pattern": CONTROL });
    }
    json!({
        "type": "string", "if": { "pattern": HAS_REFERENCE }, "then": { "$ref": "#/$defs/text" }, "else": plain,
    })
}

/// An entry of a mapping from free names to texts.
fn entry(field: &Field) -> Json {
    match field.secret {
        true => json!({ "anyOf": [
            { "$ref": "#/$defs/text" },
            { "type": "string", "pattern": "^(AC|VA)[0-9a-f]{32}$", "description": "A SID, which is not secret." },
        ] }),
        false => text(field.lines, 0, usize::MAX, ""),
    }
}

/// One of these words, or any other word but those that are refused. The types are said by what they are not: of a truth
/// value that is accepted an editor would offer both.
fn open(words: &[&str], refused: &[&str]) -> Json {
    let mut never = vec![
        json!({ "type": ["object", "array", "null"] }),
        json!({ "type": "number", "not": { "type": "integer" } }),
        json!({ "type": "string", "pattern": CONTROL }),
    ];
    if !refused.is_empty() {
        never.push(json!({ "enum": refused }));
    }
    let other = json!({
        "not": { "anyOf": never },
        "if": { "type": "string", "pattern": HAS_REFERENCE },
        "then": { "$ref": "#/$defs/reference" },
    });
    json!({ "anyOf": [{ "enum": spelled(words) }, other] })
}

/// Words, and what YAML reads in their place where they have no quotes (`30`).
fn spelled(words: &[&str]) -> Vec<Json> {
    let mut out: Vec<Json> = words.iter().map(|word| json!(word)).collect();
    let read = words.iter().map(|word| plain(yaml::decode_default(word)));
    out.extend(read.filter(|read| read.is_number() || read.is_boolean()));
    out
}

fn plain(node: Node) -> Json {
    match node {
        Node::Null => Json::Null,
        Node::Bool(value) => json!(value),
        Node::Int(value) => json!(value),
        Node::Float(value) => json!(value),
        Node::Text(value) => json!(value),
        Node::List(items) => items.into_iter().map(plain).collect(),
        Node::Map(entries) => entries.into_iter().map(|(key, node)| (key.text, plain(node))).collect(),
    }
}

/// A text with at least one reference, all of them well-formed. In texts and mappings also those that bring a secret.
fn reference(tables: &Tables, is_text: bool) -> Json {
    let sections = tables.sections.iter().map(|section| section.path);
    let outputs = tables.outputs.iter().map(|(resource, _)| *resource);
    let own = connection::ROOT.fields.iter().map(|field| field.key);
    let mut first: Vec<&str> = sections.chain(outputs).filter_map(|path| path.split('.').next()).collect();
    first.extend(own);
    first.retain(|name| !name.is_empty());
    first.sort_unstable();
    first.dedup();
    let mut targets = vec![
        "env\\.[A-Za-z_][A-Za-z0-9_]*".to_owned(),
        "var\\.[A-Za-z0-9_.-]+".to_owned(),
        format!("({})(\\.[A-Za-z0-9_@/-]+)*", first.join("|")),
    ];
    if is_text {
        targets.push("(cmd|generated)\\.[A-Za-z0-9_-]+".to_owned());
        targets.push("minted\\.(sender|feedback)\\.(sid|secret)".to_owned());
        targets.push(format!("file\\.{}", path("}")));
    }
    // Other letters; dollars before another letter; dollars and a brace, which are plain; a reference.
    let pieces = format!(r"[^$]|\$+[^${{]|\$\$+\{{|\$\{{({})\}}", targets.join("|"));
    let known = match is_text {
        true => {
            "${env.NAME}, ${file.PATH}, ${var.NAME}, ${cmd.NAME}, ${generated.NAME}, ${minted.NAME.PART} or ${section.key}"
        }
        false => "${env.NAME}, ${var.NAME} or ${section.key}",
    };
    json!({
        "type": "string",
        "pattern": format!(r"^({pieces})*\$*$"),
        // No description: an editor would show it in place of that of the key.
        "patternErrorMessage": format!("A reference cannot be read; write {known}."),
        "allOf": [{ "pattern": HAS_REFERENCE }],
    })
}

/// A path below the manifest's folder without these letters: no part of it is `..`.
fn path(without: &str) -> String {
    let out = format!(r"/\\\r\n{without}");
    let rest = format!("[^{out}]*");
    let dots = format!(r"\.([^.{out}]{rest}|\.[^{out}]{rest})?");
    format!("([^.~{out}]{rest}|{dots})(/([^.{out}]{rest}|{dots})?)*")
}

//! What is going to be written, as data: the value of each key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Head, Variable, names};
use crate::kinds;
use crate::model::field::{Field, Section, Type};
use crate::model::manifest::Manifest;
use crate::model::text::line_of;
use crate::model::value::{Attrs, OutputRef, Part, Template, Value};

/// Path of a key, without dots.
pub type Path = crate::kinds::adopting::Path;

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Plain(Json),
    /// `${env.NAME}`.
    Env(String),
    /// A reference to another key or to an output, without its braces.
    Reference(String),
    /// Source code that has no file yet.
    Code(String),
    /// A file beside the manifest.
    File(String),
}

/// The manifest as it is going to be written, by the path of each key.
#[derive(Clone, Debug)]
pub struct Doc {
    pub keys: BTreeMap<Path, Said>,
    pub stack: String,
    pub head: Head,
}

impl Doc {
    pub fn new(stack: &str, head: &Head) -> Doc {
        Doc { keys: BTreeMap::new(), stack: stack.to_owned(), head: head.clone() }
    }

    /// The text of a manifest with only the connection.
    pub fn text(&self) -> String {
        super::text::body(self)
    }

    /// The manifest as its reader would resolve it, without defaults.
    pub fn manifest(&self) -> Manifest {
        let text = |key: &str, value: &str| (key.to_owned(), Value::text(value));
        let auth0 = Attrs::from([text("domain", &self.head.tenant)]);
        let twilio = Attrs::from([text("account_sid", &self.head.account)]);
        let sections = BTreeMap::from([("auth0".to_owned(), auth0), ("twilio".to_owned(), twilio)]);
        let mut manifest = Manifest { stack: self.stack.clone(), sections };
        for (path, said) in &self.keys {
            let value = match said {
                Said::Plain(json) => Value::Known(json.clone()),
                Said::Code(code) => Value::text(code),
                Said::Env(name) | Said::File(name) => Value::Unknown(name.clone()),
                Said::Reference(target) => {
                    reference(target, field_of(path).is_some_and(|field| field.secret))
                }
            };
            put(&mut manifest, path, value);
        }
        manifest
    }

    /// Variables that have to be set.
    pub fn variables(&self) -> BTreeSet<Variable> {
        let of = |(path, said): (&Path, &Said)| match said {
            Said::Env(name) => Some(Variable { name: name.clone(), key: line_of(&path_of(path), 120) }),
            _ => None,
        };
        self.keys.iter().filter_map(of).collect()
    }

    /// What has to go if the key at a place cannot stay: the key alone; or what it stands in, if that needs the key or is
    /// known by it. `None`: nothing is written there.
    pub fn unit(&self, at: &str) -> Option<Path> {
        let is_at = |path: &&Path| {
            let written = path_of(path);
            written == at || written.starts_with(&format!("{at}."))
        };
        let exact = self.keys.keys().find(is_at);
        // A problem about something that is missing has the place of what it is missing in.
        let above = || {
            let names: Vec<&str> = at.split('.').collect();
            (1..names.len()).rev().find_map(|length| {
                let start = names[..length].join(".");
                self.keys
                    .keys()
                    .find(|path| path_of(path) == start || path_of(path).starts_with(&format!("{start}.")))
                    .map(|path| path[..length.min(path.len())].to_vec())
            })
        };
        let Some(path) = exact else { return above().map(|path| self.whole(&path)) };
        // As much of the path as the place names.
        let mut length = path.len();
        while length > 1 && path_of(&path[..length - 1]).len() >= at.len() {
            length -= 1;
        }
        Some(self.whole(&path[..length]))
    }

    fn whole(&self, path: &[String]) -> Path {
        let mut path = path.to_vec();
        while path.len() > 1 && field_of(&path).is_some_and(is_needed) {
            path.pop();
        }
        path
    }
}

/// Whether what a key stands in cannot stand without it: it is required, or it is the name by which the object is found.
fn is_needed(field: &Field) -> bool {
    field.required && field.unless.is_empty() || field.key == "name" || matches!(field.ty, Type::Code)
}

/// The path in words.
pub fn path_of(path: &[String]) -> String {
    path.join(".")
}

fn reference(target: &str, secret: bool) -> Value {
    let Some((resource, output)) = target.split_once('.').filter(|(section, _)| *section != "twilio") else {
        return Value::Unknown(target.to_owned());
    };
    let output = OutputRef { resource: resource.into(), output: output.into() };
    Value::Output(Template { parts: vec![Part::Output(output)], secret })
}

/// The section that has a path, and how many parts of the path are the section's.
fn section_of(path: &[String]) -> Option<(&'static Section, usize)> {
    let sections = kinds::sections();
    (1..path.len()).rev().find_map(|length| {
        let start = path_of(&path[..length]);
        sections.iter().find(|section| section.path == start).map(|section| (*section, length))
    })
}

/// The row of the tables for a path.
pub fn field_of(path: &[String]) -> Option<&'static Field> {
    fn walk(fields: &'static [Field], rest: &[String]) -> Option<&'static Field> {
        let (key, rest) = rest.split_first()?;
        let field = fields.iter().find(|field| field.key == key)?;
        match (field.ty, rest) {
            (_, []) | (Type::Map { .. }, [_]) => Some(field),
            (Type::Object(inner), rest) => walk(inner, rest),
            (Type::Named { fields: inner, .. }, [_, rest @ ..]) if !rest.is_empty() => walk(inner, rest),
            _ => None,
        }
    }
    let (section, length) = section_of(path)?;
    walk(section.fields, &path[length..])
}

/// Puts a value where a resolved manifest has it.
pub fn put(manifest: &mut Manifest, path: &[String], value: Value) {
    let Some((section, length)) = section_of(path) else { return };
    // A section that another one stands in is there as well.
    for length in 1..length {
        let start = path_of(&path[..length]);
        if kinds::sections().iter().any(|section| section.path == start) && start != "phone" {
            manifest.sections.entry(start).or_default();
        }
    }
    let attrs = manifest.sections.entry(section.path.to_owned()).or_default();
    attrs.insert(path_of(&path[length..]), value);
}

/// Takes a value out of a resolved manifest.
pub fn take(manifest: &mut Manifest, path: &[String]) {
    let Some((section, length)) = section_of(path) else { return };
    if let Some(attrs) = manifest.sections.get_mut(section.path) {
        attrs.remove(&path_of(&path[length..]));
    }
}

/// A default of the tables as a value.
pub fn default_of(text: &str) -> Json {
    match text {
        "{}" => Json::Object(serde_json::Map::new()),
        text => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some("") => Json::Array(Vec::new()),
            Some(list) => Json::Array(list.split(", ").map(|word| Json::String(word.into())).collect()),
            None => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.into())),
        },
    }
}

/// Longest text of a key or a value: more than any field takes.
const TEXT_MAX: usize = 40_000;

/// Whether a key is too long to be written, let alone read.
pub fn is_too_long(path: &[String], said: &Said) -> bool {
    let value = match said {
        Said::Plain(json) => json.to_string().len(),
        _ => 0,
    };
    value > TEXT_MAX || path.iter().any(|part| part.len() > 1000)
}

/// How an observed value is said. `Ok(None)`: there is nothing to say. The error is the value, if the key does not take it.
pub fn said(path: &[String], field: &Field, value: &Value) -> Result<Option<Said>, String> {
    let json = match value {
        Value::Secret(_) | Value::Stamp(_) => {
            let reference = names::reference(path);
            return Ok(Some(
                reference
                    .map_or_else(|| Said::Env(names::variable(path)), |name| Said::Reference(name.into())),
            ));
        }
        Value::Known(json) => json,
        Value::Output(_) | Value::Generated(_) | Value::Minted(_) | Value::Unknown(_) => return Ok(None),
    };
    if json.is_null() || json.as_str() == Some("") {
        return Ok(None);
    }
    let refused = || Err(line_of(&json.as_str().map_or_else(|| json.to_string(), str::to_owned), 80));
    match field.ty {
        _ if field.secret => Ok(Some(Said::Env(names::variable(path)))),
        Type::Code => Ok(json.as_str().map(|code| Said::Code(code.to_owned()))),
        Type::OneOf(words) if json.as_str().is_none_or(|word| !words.contains(&word)) => match json {
            Json::String(_) => refused(),
            _ => Ok(None),
        },
        Type::Text { .. } | Type::OpenOneOf(_) | Type::Release(_) | Type::Map { .. } if !json.is_string() => {
            Ok(None)
        }
        Type::Bool if !json.is_boolean() => Ok(None),
        Type::Int { .. } if !json.is_number() => Ok(None),
        Type::Set(_) if !json.is_array() => Ok(None),
        Type::Object(_) | Type::Named { .. } => Ok(None),
        _ => Ok(Some(Said::Plain(json.clone()))),
    }
}

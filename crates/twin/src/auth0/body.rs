//! Reads JSON bodies strictly. Every refusal is the vendor's `invalid_body` envelope and names the property.

use serde_json::{Map, Value};

use super::super::wire::Reply;
use super::refusal;

/// An object in a body, with its path for messages.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: String,
}

/// 400 `invalid_body` in the wording of the vendor's validator.
pub fn invalid(what: &str) -> Reply {
    refusal(400, Some("invalid_body"), &format!("Payload validation error: '{what}'."))
}

impl<'a> Fields<'a> {
    /// Reads an object that may have only these keys.
    pub fn strict(value: &'a Value, at: &str, allowed: &[&str]) -> Result<Fields<'a>, Reply> {
        let fields = Fields::open(value, at)?;
        match fields.map.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(invalid(&format!("Additional properties not allowed: {}", fields.path(key)))),
            None => Ok(fields),
        }
    }

    /// Reads an object that may have any further keys.
    pub fn open(value: &'a Value, at: &str) -> Result<Fields<'a>, Reply> {
        let map = value.as_object().ok_or_else(|| wrong_type("object", value, at))?;
        Ok(Fields { map, at: at.to_owned() })
    }

    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name)
    }

    /// The value of a required key; `None` is refused.
    pub fn need<T>(&self, name: &str, value: Option<T>) -> Result<T, Reply> {
        value.ok_or_else(|| invalid(&format!("Missing required property: {}", self.path(name))))
    }

    /// A string of `least` to `most` characters.
    pub fn string(&self, name: &str, least: usize, most: usize) -> Result<Option<&'a str>, Reply> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| wrong_type("string", value, &self.path(name)))?;
        let length = text.chars().count();
        if length < least {
            return Err(invalid(&format!(
                "String is too short ({length} chars), minimum {least}' on property '{}",
                self.path(name)
            )));
        }
        if length > most {
            return Err(invalid(&format!(
                "String is too long ({length} chars), maximum {most}' on property '{}",
                self.path(name)
            )));
        }
        Ok(Some(text))
    }

    pub fn need_string(&self, name: &str, least: usize, most: usize) -> Result<&'a str, Reply> {
        let value = self.string(name, least, most)?;
        self.need(name, value)
    }

    /// A string that must be one of `choices`.
    pub fn choice(&self, name: &str, choices: &[&str]) -> Result<Option<&'a str>, Reply> {
        match self.string(name, 0, usize::MAX)? {
            Some(text) if !choices.contains(&text) => Err(no_match(text, &self.path(name))),
            other => Ok(other),
        }
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Reply> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong_type("boolean", value, &self.path(name)))
    }

    pub fn array(&self, name: &str) -> Result<Option<&'a Vec<Value>>, Reply> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        value.as_array().map(Some).ok_or_else(|| wrong_type("array", value, &self.path(name)))
    }

    /// A list of distinct strings, each one of `choices`, in the order sent.
    pub fn choices(&self, name: &str, choices: &[&str]) -> Result<Option<Vec<String>>, Reply> {
        let Some(items) = self.array(name)? else { return Ok(None) };
        choices_of(items, choices, &self.path(name)).map(Some)
    }

    /// The path of a key, such as `supported_triggers[0].id`.
    pub fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }
}

/// The items as distinct strings, each one of `choices`.
pub fn choices_of(items: &[Value], choices: &[&str], at: &str) -> Result<Vec<String>, Reply> {
    let mut list: Vec<String> = Vec::new();
    for item in items {
        let text = item.as_str().ok_or_else(|| wrong_type("string", item, at))?;
        if !choices.contains(&text) {
            return Err(no_match(text, at));
        }
        if list.iter().any(|seen| seen == text) {
            return Err(invalid(&format!("Array items are not unique' on property '{at}")));
        }
        list.push(text.to_owned());
    }
    Ok(list)
}

pub fn wrong_type(wanted: &str, value: &Value, at: &str) -> Reply {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if at.is_empty() {
        invalid(&format!("Expected type {wanted} but found type {found}"))
    } else {
        invalid(&format!("Expected type {wanted} but found type {found}' on property '{at}"))
    }
}

fn no_match(text: &str, at: &str) -> Reply {
    invalid(&format!("No enum match for: \"{text}\"' on property '{at}"))
}

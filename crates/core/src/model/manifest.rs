//! The manifest after parsing and resolving: sections of attributes, without text positions.

use std::collections::BTreeMap;

use super::secret::Secret;
use super::value::{Attrs, Value};

/// A resolved manifest. `sections` is keyed by the section's dotted path (`verify_service`,
/// `feedback.log_stream`); a section that the manifest does not have is absent. Inside a section, defaults are
/// filled in and an absent key means "not managed".
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub stack: String,
    pub sections: BTreeMap<String, Attrs>,
}

impl Manifest {
    /// The attributes of a section, if the manifest has it.
    pub fn section(&self, path: &str) -> Option<&Attrs> {
        self.sections.get(path)
    }

    /// The value of a key in a section.
    pub fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.section(section)?.get(key)
    }

    /// The plain text of a key in a section.
    pub fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.get(section, key)?.as_str()
    }

    /// The secret of a key in a section.
    pub fn secret(&self, section: &str, key: &str) -> Option<&Secret> {
        match self.get(section, key)? {
            Value::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// The sorted set of words of a key in a section; empty when absent.
    pub fn set(&self, section: &str, key: &str) -> Vec<String> {
        self.get(section, key)
            .and_then(Value::known)
            .and_then(|json| json.as_array())
            .map(|items| items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
            .unwrap_or_default()
    }
}

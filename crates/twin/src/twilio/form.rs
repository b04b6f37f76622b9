//! Reads form bodies strictly. Names are case-sensitive. An unknown field is refused, so that a misspelt one is
//! noticed; what the real API does with it is not documented.

use super::super::wire::{Reply, pairs};
use super::{Call, invalid, is_sid};

/// The fields of a form, in order. A list is sent by repeating a name.
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads the body of a call. An empty body is an empty form, whatever its content type.
    pub fn read(call: &Call, allowed: &[&str]) -> Result<Form, Reply> {
        let body = std::str::from_utf8(&call.request.body).map_err(|_| invalid("The body is not UTF-8"))?;
        let content_type = call.request.header("content-type").unwrap_or_default();
        if !body.is_empty() && !content_type.starts_with("application/x-www-form-urlencoded") {
            return Err(super::refusal(415, 20415, "Content type must be application/x-www-form-urlencoded"));
        }
        let pairs = pairs(body).ok_or_else(|| invalid("The form could not be read"))?;
        match pairs.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            Some((name, _)) => Err(invalid(&format!("Unknown parameter {name}"))),
            None => Ok(Form { pairs }),
        }
    }

    /// The last value of a field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A required field, which may not be empty.
    pub fn need(&self, name: &str) -> Result<&str, Reply> {
        match self.text(name) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(invalid(&format!("Missing required parameter {name}"))),
        }
    }

    /// All values of a repeated field.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Reply> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(&format!("{name} is not a boolean"))),
        }
    }

    /// A whole number from `least` to `most`.
    pub fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Reply> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        value.map(Some).ok_or_else(|| invalid(&format!("{name} must be a number from {least} to {most}")))
    }

    /// A SID of that prefix, or the empty text, which clears the field.
    pub fn sid(&self, name: &str, prefix: &str) -> Result<Option<&str>, Reply> {
        match self.text(name) {
            Some(text) if !text.is_empty() && !is_sid(text, prefix) => {
                Err(invalid(&format!("{name} is not a SID of the form {prefix}…")))
            }
            other => Ok(other),
        }
    }
}

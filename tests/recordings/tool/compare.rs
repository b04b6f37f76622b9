//! Compares a recorded body with the twin's, in shape and in values.

use serde_json::{Map, Value};

/// One difference and its place, such as `.clients[].name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub at: String,
    pub what: String,
    /// False: only a value differs.
    pub of_shape: bool,
}

/// Everything that differs. `same_id` says whether two strings stand for the same object.
pub fn compare(recorded: &Value, twin: &Value, same_id: &dyn Fn(&str, &str) -> bool) -> Vec<Difference> {
    let mut compared = Compared { same_id, out: Vec::new() };
    compared.values(recorded, twin, "", "");
    compared.out
}

/// Whether a recorder replaced a secret by this text: it contains a word such as `[REDACTED]`, or consists of stars.
pub fn is_redacted(text: &str) -> bool {
    let stars = text.len() >= 3 && text.bytes().all(|byte| byte == b'*');
    stars || text.contains("REDACTED")
}

/// Whether a value has a redacted text at any depth. A recorder that redacts decodes the reply, changes it and encodes
/// it again, and loses the keys that its own type does not know.
pub fn is_rewritten(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("REDACTED"),
        Value::Array(list) => list.iter().any(is_rewritten),
        Value::Object(map) => map.values().any(is_rewritten),
        _ => false,
    }
}

/// Whether a value has texts and all of them are redacted.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("REDACTED"),
        Value::Array(list) => !list.is_empty() && list.iter().all(is_blank),
        Value::Object(map) => !map.is_empty() && map.values().all(is_blank),
        _ => false,
    }
}

struct Compared<'a> {
    same_id: &'a dyn Fn(&str, &str) -> bool,
    out: Vec<Difference>,
}

impl Compared<'_> {
    fn add(&mut self, at: &str, what: String, of_shape: bool) {
        let at = if at.is_empty() { "body".to_owned() } else { at.to_owned() };
        self.out.push(Difference { at, what, of_shape });
    }

    fn values(&mut self, recorded: &Value, twin: &Value, at: &str, key: &str) {
        match (recorded, twin) {
            (Value::String(text), _) if is_redacted(text) => {}
            (Value::Object(one), Value::Object(two)) => self.objects(one, two, at),
            (Value::Array(one), Value::Array(two)) => self.lists(one, two, at),
            _ if kind(recorded) != kind(twin) => {
                self.add(at, format!("{} was recorded, the twin has {}", kind(recorded), kind(twin)), true);
            }
            (Value::String(one), Value::String(two)) if self.is_opaque(one, two, key) => {}
            _ if recorded == twin => {}
            _ => {
                self.add(at, format!("{} was recorded, the twin has {}", short(recorded), short(twin)), false)
            }
        }
    }

    fn objects(&mut self, recorded: &Map<String, Value>, twin: &Map<String, Value>, at: &str) {
        for (key, value) in recorded {
            match twin.get(key) {
                Some(other) => self.values(value, other, &format!("{at}.{key}"), key),
                // Everything in it is redacted, so the recorder may have added it.
                None if is_blank(value) => {}
                None => self.add(&format!("{at}.{key}"), "missing in the twin".into(), true),
            }
        }
        // The recorder rewrote this object. Keys that its own type does not know are lost, so a missing key proves
        // nothing.
        if recorded.values().any(is_rewritten) {
            return;
        }
        for key in twin.keys().filter(|key| !recorded.contains_key(*key)) {
            self.add(&format!("{at}.{key}"), "not recorded, the twin has it".into(), true);
        }
    }

    fn lists(&mut self, recorded: &[Value], twin: &[Value], at: &str) {
        let at = format!("{at}[]");
        if recorded.len() != twin.len() {
            let what = format!("{} items were recorded, the twin has {}", recorded.len(), twin.len());
            self.add(&at, what, true);
            return;
        }
        let mut left: Vec<&Value> = twin.iter().collect();
        for (index, value) in recorded.iter().enumerate() {
            // Items with an identity are paired by it, because the order of most lists is not promised.
            let found = left.iter().position(|other| self.is_same(value, other));
            let other = match found {
                Some(found) => left.remove(found),
                None if identity(value).is_some() => {
                    self.add(&at, format!("the twin lists no {}", identity(value).unwrap_or_default()), true);
                    continue;
                }
                None => match twin.get(index) {
                    Some(other) => other,
                    None => continue,
                },
            };
            self.values(value, other, &at, "");
        }
    }

    fn is_same(&self, recorded: &Value, twin: &Value) -> bool {
        match (identity(recorded), identity(twin)) {
            (Some(one), Some(two)) => {
                (one == two || (self.same_id)(one, two)) && recorded.get("version") == twin.get("version")
            }
            _ => recorded == twin,
        }
    }

    /// Ids and times differ from run to run.
    fn is_opaque(&self, recorded: &str, twin: &str, key: &str) -> bool {
        let stamps = is_stamp(recorded) && is_stamp(twin);
        // A recorder that hides its tenant does so in some places only.
        stamps || (self.same_id)(recorded, twin) || key == "tenant"
    }
}

/// The text that identifies an item of a list.
fn identity(item: &Value) -> Option<&str> {
    ["id", "client_id", "name", "type"].iter().find_map(|key| item.get(key)).and_then(Value::as_str)
}

fn is_stamp(text: &str) -> bool {
    text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

//! What the last run changed, so that a rollback can take it back. It is a part of the ledger: plain data without a
//! secret value.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::address::Address;
use super::ledger::KEPT_BYTES_MAX;
use super::value::{Attrs, Value};

/// Most bytes that the former values of one run take in the record. Values beyond that are not kept.
const ALL_BYTES_MAX: usize = 16_000;

/// The last run that began to change something, together with the unfinished runs that it continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRun {
    /// The nonce of the run's intent.
    pub run: String,
    /// Time at which it began, RFC 3339.
    pub at: String,
    /// The last finished run before it. `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Whether the unified phone experience was on before the run. `None`: the run did not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unified: Option<bool>,
    pub changed: BTreeMap<Address, Changed>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    pub at: String,
    /// Revision of its manifest; may be empty.
    pub revision: String,
}

/// What the run changed of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    pub kind: String,
    pub how: How,
    /// The run took it over: the record did not have it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Id of the version of an Action that ran before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Former>,
}

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Created,
    Updated,
    /// Another object has taken its place.
    Replaced,
    /// It left the manifest: it was deleted, or got its values from before this stack.
    Removed,
}

/// A field before the run, and after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    pub was: Kept,
    /// The value that the run gives it, as [`compact`](super::ledger::compact) makes it; null: it takes the field away.
    /// `None`: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "written")]
    pub set: Option<Json>,
}

/// A member that is there, null too. The seal is over the record as it is written, so what is read has to be written again
/// as it was.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

/// A former value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    Value(Json),
    Absent,
    /// A secret, or a value that the tenant does not show: nothing of it is kept.
    Hidden,
    TooLong,
}

impl Changed {
    /// Whether every field has its former value.
    pub fn is_back(&self, attrs: &Attrs) -> bool {
        self.fields.iter().all(|(field, former)| former.is_back(attrs.get(field)))
    }
}

impl Former {
    /// Whether the observed value is the former one.
    pub fn is_back(&self, observed: Option<&Value>) -> bool {
        let there = observed.map_or(Some(Json::Null), |value| value.known().cloned());
        there.is_some() && self.was.value() == there
    }
}

impl Kept {
    /// What is kept of an observed value.
    pub fn of(observed: Option<&Value>, secret: bool) -> Kept {
        match observed {
            _ if secret => Kept::Hidden,
            None => Kept::Absent,
            Some(Value::Known(json)) if json.to_string().len() > KEPT_BYTES_MAX => Kept::TooLong,
            Some(Value::Known(json)) => Kept::Value(json.clone()),
            Some(_) => Kept::Hidden,
        }
    }

    /// The value to put back; null: the field was absent. `None`: it is not known.
    pub fn value(&self) -> Option<Json> {
        match self {
            Kept::Value(json) => Some(json.clone()),
            Kept::Absent => Some(Json::Null),
            Kept::Hidden | Kept::TooLong => None,
        }
    }
}

impl LastRun {
    /// Adds what the unfinished runs before this one changed: their former values count, because a person who rolls
    /// back means the state before all of them.
    pub fn continues(&mut self, earlier: LastRun) {
        self.before = earlier.before;
        self.unified = earlier.unified.or(self.unified);
        for (address, was) in earlier.changed {
            let Some(now) = self.changed.get_mut(&address) else {
                self.changed.insert(address, was);
                continue;
            };
            if now.how != How::Removed {
                now.how = was.how;
            }
            now.version = was.version;
            now.adopted |= was.adopted;
            for (field, former) in was.fields {
                let set = now.fields.get(&field).map(|now| now.set.clone());
                let set = set.unwrap_or_else(|| former.set.clone());
                now.fields.insert(field, Former { was: former.was, set });
            }
        }
    }

    /// Drops values until all that are kept are small enough together.
    pub fn bounded(mut self) -> LastRun {
        let mut left = ALL_BYTES_MAX;
        for former in self.changed.values_mut().flat_map(|changed| changed.fields.values_mut()) {
            let Kept::Value(json) = &former.was else { continue };
            match left.checked_sub(json.to_string().len()) {
                Some(rest) => left = rest,
                None => former.was = Kept::TooLong,
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_former_value_is_written_as_it_was_read() {
        for text in
            [r#"{"was":"absent"}"#, r#"{"was":"absent","set":null}"#, r#"{"was":{"value":null},"set":1}"#]
        {
            let former: Former = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&former).expect("plain data"), text);
        }
    }

    fn run(name: &str, fields: &[(&str, Kept, Json)]) -> LastRun {
        let former = |(field, was, set): &(&str, Kept, Json)| {
            ((*field).to_owned(), Former { was: was.clone(), set: Some(set.clone()) })
        };
        let fields = fields.iter().map(former).collect();
        let changed =
            Changed { kind: "branding".into(), how: How::Updated, adopted: false, version: None, fields };
        let before = Some(Before { at: String::new(), revision: name.to_owned() });
        let changed = BTreeMap::from([("branding".into(), changed)]);
        LastRun { run: name.into(), at: String::new(), before, unified: None, changed }
    }

    #[test]
    fn what_is_kept_of_a_value_is_short_and_no_secret() {
        let known = |json: Json| Value::Known(json);
        let long = known(json!("x".repeat(KEPT_BYTES_MAX)));
        for (observed, secret, kept) in [
            (Some(known(json!("x"))), false, Kept::Value(json!("x"))),
            (Some(known(json!("x"))), true, Kept::Hidden),
            (Some(Value::Stamp(json!("t"))), false, Kept::Hidden),
            (Some(long), false, Kept::TooLong),
            (None, false, Kept::Absent),
            (None, true, Kept::Hidden),
        ] {
            assert_eq!(Kept::of(observed.as_ref(), secret), kept, "{observed:?} {secret}");
        }
    }

    #[test]
    fn a_run_that_continues_another_goes_back_to_before_both() {
        let first = run("1", &[("a", Kept::Value(json!(0)), json!(1)), ("b", Kept::Absent, json!(1))]);
        let mut second = run("2", &[("a", Kept::Value(json!(1)), json!(2)), ("c", Kept::Absent, json!(2))]);
        second.continues(first);
        assert_eq!(second.before.as_ref().map(|before| before.revision.as_str()), Some("1"));
        let fields = &second.changed["branding"].fields;
        assert_eq!(fields["a"], Former { was: Kept::Value(json!(0)), set: Some(json!(2)) });
        assert_eq!(fields["b"], Former { was: Kept::Absent, set: Some(json!(1)) });
        assert_eq!(fields["c"], Former { was: Kept::Absent, set: Some(json!(2)) });
    }

    #[test]
    fn all_values_together_have_a_bound() {
        let value = || Kept::Value(json!("x".repeat(900)));
        let names: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
        let fields: Vec<_> = names.iter().map(|name| (name.as_str(), value(), json!(1))).collect();
        let bounded = run("1", &fields).bounded();
        let kept = bounded.changed["branding"].fields.values();
        let (kept, dropped): (Vec<_>, Vec<_>) = kept.partition(|former| former.was == value());
        assert!(dropped.iter().all(|former| former.was == Kept::TooLong));
        assert_eq!((kept.len(), dropped.len()), (17, 23));
    }
}

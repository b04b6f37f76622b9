//! What is remembered between runs: a cache with receipts, carried by the tenant. Plain data; no secret value.

use std::collections::BTreeMap;

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::random::hex;
use super::value::Ids;

/// Texts longer than this are remembered by digest only.
const PLAIN_MAX_CHARS: usize = 256;

/// Version of the ledger's JSON form. 2 has seals, 3 keyed fingerprints; a build that knows less leaves such a record
/// alone.
pub const LEDGER_SCHEMA: u32 = 3;

/// Note of an entry whose removal waits: the time from which it may go, RFC 3339.
pub const NOT_BEFORE: &str = "not_before";

/// Name of the ledger Action of a stack.
pub fn action_name(stack: &str) -> String {
    format!("Lockstep ledger ({stack})")
}

/// The whole record of one stack on one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    pub schema: u32,
    /// Tenant domain; a ledger of another tenant is ignored and reported.
    pub tenant: String,
    /// Twilio account SID; likewise.
    pub account: String,
    pub stack: String,
    /// Grows by one with every write of the ledger.
    pub serial: u64,
    /// Salt of every fingerprint in here, 32 hex digits.
    pub salt: String,
    /// Keyed by resource address.
    pub resources: BTreeMap<String, Entry>,
    /// A run that has begun and not (yet) reported its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The latest runs, oldest first, at most ten.
    #[serde(default)]
    pub history: Vec<Applied>,
    /// By the label of the credential that made each: what proves that a run of ours wrote all of the above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seals: BTreeMap<String, String>,
}

impl Ledger {
    /// The lowest version that says all of it, so that an older build reads what it can read whole.
    pub fn schema_needed(&self) -> u32 {
        let mut fields = self.resources.values().flat_map(|entry| entry.fields.values());
        match fields.any(|last| matches!(last, Last::Print { keyed: Some(_), .. })) {
            true => 3,
            false => 2,
        }
    }

    /// Whether the run of the intent, if there is one, has reported its end.
    pub fn has_reported(&self) -> bool {
        let is_of = |intent: &Intent| self.history.iter().any(|run| run.run.as_ref() == Some(&intent.nonce));
        self.intent.as_ref().is_none_or(is_of)
    }

    /// Takes from a record that nothing proves what only a proven one may say: whose the objects are, what is to be put
    /// back, what a run was about to make or left behind, and which lease it had.
    pub fn distrust(&mut self) {
        self.intent = None;
        self.history.iter_mut().for_each(|run| run.lease = None);
        for entry in self.resources.values_mut() {
            entry.unproven = true;
            // Else whoever writes the record could have a change of their own told as one that our run left.
            entry.left.clear();
        }
    }
}

/// Whether we made the object or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    Created,
    Adopted,
}

/// The record of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub kind: String,
    pub ownership: Ownership,
    pub ids: Ids,
    /// What was last applied, by field.
    pub fields: BTreeMap<String, Last>,
    /// What destroy puts back, by field; never a secret.
    #[serde(default)]
    pub restore: BTreeMap<String, Json>,
    /// The kind's own notes (an optional binding that the API refuses, for example).
    #[serde(default)]
    pub notes: BTreeMap<String, Json>,
    /// It comes from a record that nothing proved: good for comparing. Whose the object is and what is to be put back has
    /// to be said by a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Fields that a run which did not come to its end left otherwise than it was to. `fields` has them as it left them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// The last applied value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Last {
    Plain(Json),
    /// A secret: its salted fingerprint, and the remote marks seen after it was written.
    Print {
        print: String,
        /// The same by a key that no record holds, so that a run which has that key needs no slow digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keyed: Option<String>,
        stamp: Json,
    },
}

/// Written before the first step, removed after the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Names this run; drawn anew for each.
    pub nonce: String,
    pub destroy: bool,
    /// Resources that the run may create, with the ids of same-named objects that were there before.
    pub creating: BTreeMap<String, Vec<String>>,
    /// What the run will put back on destroy, recorded before anything is changed.
    pub restore: BTreeMap<String, BTreeMap<String, Json>>,
    /// What the run has steps for: enough to find it again when the manifest no longer names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub begun: BTreeMap<String, Begun>,
    /// Steps that may have made an object which was not found afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    pub at: String,
}

/// A create whose answer was lost and whose object was not found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub address: String,
    /// The step, in its own words.
    pub what: String,
    /// When it was looked for in vain, RFC 3339, by the server's clock.
    pub at: String,
}

/// A resource that an unfinished run worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    pub kind: String,
    /// Wanted values that are short and no secret, by field.
    pub wanted: BTreeMap<String, Json>,
}

/// One finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub at: String,
    pub by: String,
    pub revision: String,
    pub steps: usize,
    pub outcome: String,
    /// The nonce of its intent: an intent that no finished run names is that of one which did not report its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The lease that it held while it wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Held>,
}

/// A lease that a run held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub sid: String,
    pub ttl_ms: u64,
}

/// Whether a secret is as it was written: the mark has not moved, or our own draft has gone live since.
pub fn same_mark(stamp: &Json, mark: &Json) -> bool {
    stamp == mark
        || stamp["draft"].is_string() && stamp["draft"] == mark["draft"] && mark["live"] == mark["draft"]
}

/// The remembered form of a plain value: long texts (source code) by digest.
pub fn compact(value: &Json) -> Json {
    match value.as_str() {
        Some(text) if text.chars().count() > PLAIN_MAX_CHARS => {
            json!({ "sha256": hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()) })
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_the_lowest_schema_that_says_all_of_it() {
        let with = |print: Json| -> Ledger {
            let fields = json!({ "code": { "plain": "x" }, "secrets.A": { "print": print } });
            let entry = json!({ "kind": "k", "ownership": "created", "ids": {}, "fields": fields });
            serde_json::from_value(json!({
                "schema": 1, "tenant": "t", "account": "a", "stack": "s", "serial": 1, "salt": "",
                "resources": { "action": entry },
            }))
            .expect("a record")
        };
        let bare = with(json!({ "print": "fast:00", "stamp": null }));
        assert_eq!(bare.schema_needed(), 2);
        assert!(!serde_json::to_string(&bare).expect("JSON").contains("keyed"), "as an older build reads it");
        assert_eq!(with(json!({ "print": "slow:2:00", "keyed": "00", "stamp": null })).schema_needed(), 3);
    }

    #[test]
    fn a_record_that_nothing_proves_says_nothing_of_what_a_run_left() {
        let entry = json!({ "kind": "k", "ownership": "created", "ids": {}, "fields": {}, "left": ["code"] });
        let mut ledger: Ledger = serde_json::from_value(json!({
            "schema": LEDGER_SCHEMA, "tenant": "t", "account": "a", "stack": "s", "serial": 1, "salt": "",
            "resources": { "action": entry },
        }))
        .expect("a record");
        ledger.distrust();
        let entry = &ledger.resources["action"];
        assert!(entry.unproven && entry.left.is_empty(), "{entry:?}");
    }
}

//! The ledger: what is remembered between runs, stored on the tenant. It is a cache with receipts: plain data without a
//! secret value.

use std::collections::BTreeMap;

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::address::Address;
use super::last_run::LastRun;
use super::random::hex;
use super::value::Ids;

/// Texts longer than this are remembered as a digest only.
const PLAIN_MAX_CHARS: usize = 256;

/// Version of the ledger's JSON form. Version 2 added seals, version 3 keyed fingerprints, version 4 what the last run
/// changed and the watch over it. A build that knows only older versions leaves such a record alone.
pub const LEDGER_SCHEMA: u32 = 4;

/// Note of an entry whose removal is deferred: the earliest time of the removal, RFC 3339.
pub const NOT_BEFORE: &str = "not_before";

/// Longest text, in bytes, that the record keeps to put it back. Destroy cannot put back a longer one, such as source
/// code.
pub const KEPT_BYTES_MAX: usize = 1000;

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
    /// Twilio account SID; a ledger of another account is ignored and reported, too.
    pub account: String,
    pub stack: String,
    /// Grows by one with every write of the ledger.
    pub serial: u64,
    /// Salt of every fingerprint in the ledger, 32 hex digits.
    pub salt: String,
    /// Keyed by resource address.
    pub resources: BTreeMap<Address, Entry>,
    /// The run that has begun and has not (yet) reported its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The latest runs, oldest first, at most ten.
    #[serde(default)]
    pub history: Vec<Applied>,
    /// The watch over a run that has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// What a rollback takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Seals, keyed by the label of the credential that made each. A seal proves that a run of ours wrote the whole
    /// record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seals: BTreeMap<String, String>,
}

impl Ledger {
    /// The lowest schema version that can express this record, so that an older build can read as many records as
    /// possible.
    pub fn schema_needed(&self) -> u32 {
        let mut fields = self.resources.values().flat_map(|entry| entry.fields.values());
        let is_keyed = fields.any(|last| matches!(last, Last::Print { keyed: Some(_), .. }));
        match (self.last_run.is_some() || self.watch.is_some(), is_keyed) {
            (true, _) => 4,
            (false, true) => 3,
            (false, false) => 2,
        }
    }

    /// Whether the run of the intent has reported its end; true without an intent.
    pub fn has_reported(&self) -> bool {
        let is_of = |intent: &Intent| self.history.iter().any(|run| run.run.as_ref() == Some(&intent.nonce));
        self.intent.as_ref().is_none_or(is_of)
    }

    /// Whether the last run was to change something and did not do all of it.
    pub fn is_unfinished(&self) -> bool {
        !self.has_reported() || self.history.last().is_some_and(|run| !run.outcome.ends_with("done"))
    }

    /// Removes from an unproven record everything that only a proven record may say: who owns the objects, what to put
    /// back, what a run was about to create or left behind, and which lease it had.
    pub fn distrust(&mut self) {
        self.intent = None;
        self.watch = None;
        self.last_run = None;
        self.history.iter_mut().for_each(|run| run.lease = None);
        for entry in self.resources.values_mut() {
            entry.unproven = true;
            // Otherwise a forger of the record could pass off a change of their own as one that our run left.
            entry.left.clear();
        }
    }
}

/// Whether this stack created the object or took over an existing one.
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
    /// The last applied values, keyed by field.
    pub fields: BTreeMap<String, Last>,
    /// The values that destroy puts back, keyed by field; never a secret.
    #[serde(default)]
    pub restore: BTreeMap<String, Json>,
    /// Notes of the kind itself (for example that the API refuses an optional binding).
    #[serde(default)]
    pub notes: BTreeMap<String, Json>,
    /// The entry comes from an unproven record. Its values may be compared; a person has to say who owns the object and
    /// what is to be put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Fields that an unfinished run left different from its plan. `fields` has the values that the run left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl Entry {
    /// The record of an object that this stack made, before anything else is known of it.
    pub fn created(kind: &str, ids: Ids) -> Entry {
        Entry {
            kind: kind.to_owned(),
            ownership: Ownership::Created,
            ids,
            fields: BTreeMap::new(),
            restore: BTreeMap::new(),
            notes: BTreeMap::new(),
            unproven: false,
            left: Vec::new(),
        }
    }
}

/// The last applied value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Last {
    Plain(Json),
    /// A secret: its salted fingerprint, and the remote marks seen after it was written.
    Print {
        print: String,
        /// A second fingerprint by a key that no record holds. A run that has the key needs no slow digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keyed: Option<String>,
        stamp: Json,
    },
}

/// What a run is about to do. Written before the first step, removed after the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Random name of the run, different for each.
    pub nonce: String,
    pub destroy: bool,
    /// The run takes back what the run before it changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// Addresses that the run may create, each with the ids of objects of the same name that existed before.
    pub creating: BTreeMap<Address, Vec<String>>,
    /// Values that a destroy will put back, keyed by address and field, recorded before anything is changed.
    pub restore: BTreeMap<Address, BTreeMap<String, Json>>,
    /// Resources that the run has steps for, with enough data to find each again when the manifest no longer names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub begun: BTreeMap<Address, Begun>,
    /// Steps that may have created an object that was not found afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    pub at: String,
}

/// A watch over what a run deployed or exposed. It is on record from the run's intent on until the watch has come to an
/// end, so that the next run goes on with a watch, or with a rollback, that was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The nonce of the run's intent.
    pub run: String,
    /// Messages count from this time on, RFC 3339, by the server's clock.
    pub since: String,
    /// For how long from then on: the time between then and the end of the run, and the time that was asked for.
    pub ms: u64,
    /// The running versions of the stack's Actions, by id of the Action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub running: BTreeMap<String, String>,
    /// Why the run is to be taken back, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// A create whose answer was lost and whose object was not found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub address: Address,
    /// The step's `what`.
    pub what: String,
    /// Time of the last search that did not find the object, RFC 3339, by the server's clock.
    pub at: String,
}

/// A resource that an unfinished run worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    pub kind: String,
    /// Wanted values, keyed by field; only short ones that are not secret.
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
    /// The nonce of the run's intent. An intent whose nonce no finished run has belongs to a run that did not report
    /// its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The lease that the run held while it wrote this.
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

/// Whether a secret is unchanged since it was written: its mark is the same, or only our own draft has gone live since.
pub fn same_mark(stamp: &Json, mark: &Json) -> bool {
    stamp == mark
        || stamp["draft"].is_string() && stamp["draft"] == mark["draft"] && mark["live"] == mark["draft"]
}

/// The form in which a plain value is remembered: a long text (source code) becomes its digest.
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
        let watch =
            Watch { run: "00".into(), since: String::new(), ms: 1, running: BTreeMap::new(), failing: None };
        assert_eq!(Ledger { watch: Some(watch), ..bare.clone() }.schema_needed(), 4);
        let last_run = json!({ "run": "00", "at": "", "changed": {} });
        let last_run = Some(serde_json::from_value(last_run).expect("a run"));
        assert_eq!(Ledger { last_run, ..bare }.schema_needed(), 4);
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

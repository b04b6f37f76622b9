//! What the tenant log says of the messages and of the running versions of Actions, as plain data.

use std::collections::BTreeMap;

use serde::Serialize;

/// What follows from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least one message went out, and nothing blames the version or the set-up.
    Healthy,
    /// Executions of a running version fail, or messages fail because of the set-up.
    Failing,
    /// Nothing blames anything, and no message went out either: no events are no success.
    TooFew,
    /// The log could not be read.
    NotRead,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Failing => "failing",
            Verdict::TooFew => "too few to tell",
            Verdict::NotRead => "not read",
        }
    }
}

/// What was seen in a part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events about messages and executions.
    pub events: usize,
    /// Messages that were handed to the vendor.
    pub sent: usize,
    /// Messages that were not.
    pub failed: usize,
    /// Failed executions of a running version that no failed message below explains.
    pub executions: usize,
    /// Failed executions of a running version beside a message that failed for a reason of its number, user or vendor:
    /// code that has no other way to report such a failure throws.
    pub explained: usize,
    /// Failed executions of other versions.
    pub of_other_versions: usize,
    /// Failed messages by vendor code. These codes blame the set-up.
    pub setup: BTreeMap<u32, usize>,
    /// These codes belong to a number or a user.
    pub numbers: BTreeMap<u32, usize>,
    /// No table has these codes.
    pub unknown: BTreeMap<u32, usize>,
    /// Failed messages without a vendor code.
    pub without_code: usize,
    /// Different people that a message was for. A message for nobody who is named counts as one of its own.
    pub people: usize,
    /// Those of them whose messages all failed, and not because of the set-up.
    pub unreached: usize,
    /// The latest message failed because of the set-up.
    pub ends_with_setup: bool,
    /// There are more events than were read.
    pub cut: bool,
}

/// What the log says of a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    pub verdict: Verdict,
    /// Why it is failing, too few or not read; a sentence each.
    pub reasons: Vec<String>,
    /// RFC 3339.
    pub since: String,
    pub until: String,
    pub counts: Counts,
    /// What was seen in the 24 hours before, if that was asked for.
    pub before: Option<Counts>,
    /// Whether the former version would do better: the failures are not those that it ended with.
    pub is_new: bool,
}

impl Health {
    /// A log that could not be read.
    pub fn not_read(since: String, until: String, why: String) -> Health {
        let reasons = vec![why];
        let counts = Counts::default();
        Health { verdict: Verdict::NotRead, reasons, since, until, counts, before: None, is_new: false }
    }
}

/// A count with its noun.
fn some(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl Counts {
    /// What was seen, in one line.
    pub fn line(&self) -> String {
        let by_code = |codes: &BTreeMap<u32, usize>| {
            let each = codes.iter().map(|(code, count)| format!("{code}: {count}"));
            each.collect::<Vec<_>>().join(", ")
        };
        let mut parts = vec![some(self.sent, "message sent", "messages sent")];
        parts.push(match self.failed {
            0 => "none failed".to_owned(),
            failed => {
                let without =
                    (self.without_code > 0).then(|| format!("without a code: {}", self.without_code));
                let whys = [
                    ("set-up", by_code(&self.setup)),
                    ("numbers and users", by_code(&self.numbers)),
                    ("other codes", by_code(&self.unknown)),
                ];
                let whys = whys.into_iter().filter(|(_, codes)| !codes.is_empty());
                let whys: Vec<String> =
                    whys.map(|(what, codes)| format!("{what} {codes}")).chain(without).collect();
                format!("{failed} failed ({})", whys.join("; "))
            }
        });
        parts.push(match self.executions {
            0 => "no failed execution".to_owned(),
            count => some(count, "failed execution", "failed executions"),
        });
        if self.explained > 0 {
            parts.push(format!("{} more with a failed message", self.explained));
        }
        if self.of_other_versions > 0 {
            parts.push(format!("{} of other versions", self.of_other_versions));
        }
        let cut = if self.cut { " (there are more events than were read)" } else { "" };
        parts.join(", ") + cut
    }
}

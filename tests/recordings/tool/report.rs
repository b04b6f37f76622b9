//! Counts per endpoint and status class, and every mismatch with its reason.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::compare::is_rewritten;
use super::load::Exchange;
use super::replay::Outcome;
use super::used::{self, Group};

/// Numbers of one row. `matched` counts equal status and shape, `equal` equal values as well. Among the matches,
/// `seeded` counts those whose own reply was put into the world before, and `rewritten` those whose reply a recorder
/// had redacted and encoded again, so that only the rest of it could be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub total: usize,
    pub matched: usize,
    pub equal: usize,
    pub seeded: usize,
    pub rewritten: usize,
}

impl Count {
    /// 0 to 100. An empty count has 0, because it is no success.
    pub fn percent(&self) -> f64 {
        if self.total == 0 { 0.0 } else { 100.0 * self.matched as f64 / self.total as f64 }
    }

    fn add(&mut self, other: Count) {
        self.total += other.total;
        self.matched += other.matched;
        self.equal += other.equal;
        self.seeded += other.seeded;
        self.rewritten += other.rewritten;
    }
}

/// An exchange that does not match, or that matches with other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub file: String,
    /// 0-based, as cassettes number their interactions.
    pub number: usize,
    pub endpoint: String,
    pub group: Group,
    pub of_shape: bool,
    pub reasons: Vec<String>,
}

const TITLES: [(&str, Group); 3] = [
    ("endpoints that Lockstep uses", Group::Used),
    ("other endpoints that the twin serves", Group::Served),
    ("endpoints that the twin does not have", Group::Unknown),
];

fn word(group: Group) -> &'static str {
    match group {
        Group::Used => "used",
        Group::Served => "served",
        Group::Unknown => "unknown",
    }
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub files: usize,
    /// By group, endpoint and status class.
    rows: BTreeMap<(Group, String, String), Count>,
    pub mismatches: Vec<Mismatch>,
}

impl Report {
    pub fn add(&mut self, file: &str, exchanges: &[Exchange], outcomes: &[Outcome]) {
        self.files += 1;
        for (number, (exchange, outcome)) in exchanges.iter().zip(outcomes).enumerate() {
            let (template, group) = used::template(exchange.method, exchange.below());
            let endpoint = format!("{} {template}", exchange.method_text);
            let class = format!("{}xx", exchange.status / 100);
            let count = Count {
                total: 1,
                matched: usize::from(outcome.matches()),
                equal: usize::from(outcome.equals()),
                seeded: usize::from(outcome.matches() && outcome.seeded),
                rewritten: usize::from(outcome.matches() && is_rewritten(&exchange.reply)),
            };
            self.rows.entry((group, endpoint.clone(), class)).or_default().add(count);
            if !outcome.equals() {
                let of_shape = !outcome.matches();
                let reasons = outcome.differences.iter().filter(|difference| difference.of_shape == of_shape);
                self.mismatches.push(Mismatch {
                    file: file.to_owned(),
                    number,
                    endpoint,
                    group,
                    of_shape,
                    reasons: reasons.map(|one| format!("{}: {}", one.at, one.what)).collect(),
                });
            }
        }
    }

    /// A file that is no recording counts as one failed exchange of an endpoint in use.
    pub fn unreadable(&mut self, file: &str, error: &str) {
        self.files += 1;
        let count = Count { total: 1, ..Count::default() };
        self.rows.entry((Group::Used, "unreadable file".into(), "-".into())).or_default().add(count);
        self.mismatches.push(Mismatch {
            file: file.to_owned(),
            number: 0,
            endpoint: "unreadable file".into(),
            group: Group::Used,
            of_shape: true,
            reasons: vec![error.to_owned()],
        });
    }

    pub fn used(&self) -> Count {
        self.sum(Group::Used)
    }

    pub fn sum(&self, group: Group) -> Count {
        let mut sum = Count::default();
        for ((other, _, _), count) in &self.rows {
            if *other == group {
                sum.add(*count);
            }
        }
        sum
    }

    fn shows(&self, call: &str) -> bool {
        self.rows.keys().any(|(_, endpoint, _)| endpoint == call)
    }

    /// The three tables and the mismatches: those on endpoints that the twin serves, or all with `every`. Mismatches of
    /// values alone are listed with `values`.
    pub fn text(&self, every: bool, values: bool) -> String {
        let mut out = String::new();
        for (title, group) in TITLES {
            let _ = writeln!(out, "{title}: matched/total (equal values, own seed, rewritten)");
            for ((other, endpoint, class), count) in &self.rows {
                if *other == group {
                    let Count { total, matched, equal, seeded, rewritten } = count;
                    let _ = writeln!(
                        out,
                        "  {endpoint} {class}: {matched}/{total} ({equal}, {seeded}, {rewritten})"
                    );
                }
            }
            let Count { total, matched, equal, seeded, rewritten } = self.sum(group);
            let percent = self.sum(group).percent();
            let silent: Vec<String> = match group {
                Group::Used => used::calls().filter(|call| !self.shows(call)).collect(),
                Group::Served | Group::Unknown => Vec::new(),
            };
            if !silent.is_empty() {
                let _ = writeln!(out, "  not recorded at all: {}", silent.join(", "));
            }
            let _ =
                writeln!(out, "  all: {matched}/{total} = {percent:.2} % ({equal}, {seeded}, {rewritten})\n");
        }
        for mismatch in &self.mismatches {
            if (mismatch.group != Group::Unknown || every) && (mismatch.of_shape || values) {
                let Mismatch { file, number, endpoint, reasons, of_shape, .. } = mismatch;
                let word = if *of_shape { "mismatch" } else { "values" };
                let _ = writeln!(out, "{word}: {file} #{number} {endpoint}: {}", reasons.join("; "));
            }
        }
        out
    }

    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|((other, endpoint, class), count)| {
                json!({"endpoint": endpoint, "group": word(*other), "status": class, "total": count.total,
                    "matched": count.matched, "equal": count.equal, "seeded": count.seeded,
                    "rewritten": count.rewritten})
            })
            .collect();
        let mismatches: Vec<Value> = self
            .mismatches
            .iter()
            .map(|one| {
                json!({"file": one.file, "number": one.number, "endpoint": one.endpoint, "group": word(one.group),
                    "kind": if one.of_shape { "shape" } else { "values" }, "reasons": one.reasons})
            })
            .collect();
        json!({"files": self.files, "rows": rows, "mismatches": mismatches})
    }
}

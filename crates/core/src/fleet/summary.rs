//! Plans of many tenants as one: equal changes are one row, and one digest stands for all.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::model::address::Address;
use crate::model::codes::Code;
use crate::model::plan::{Digest, FieldChange, Level, Plan, Verb};
use crate::model::text::line;
use crate::plan::digest::hash;
use crate::plan::drift::{self, State};
use crate::plan::render::{diff, is_text, of_secret, shown};

/// What was found of one tenant.
#[derive(Clone, Debug, Serialize)]
pub struct Reading {
    pub name: String,
    pub domain: String,
    pub account: String,
    /// The wave that takes it.
    pub wave: String,
    /// The exit code that the command alone would have for it.
    pub exit: u8,
    #[serde(flatten)]
    pub result: Found,
}

/// A plan, or why there is none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Plan(Box<Plan>),
    Error { code: Code, message: String, help: String },
}

impl Found {
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Found::Plan(plan) => Some(plan),
            Found::Error { .. } => None,
        }
    }
}

/// One change, or one difference, that tenants share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The sign before the row: of the verb, or of the state of what drift found.
    pub symbol: &'static str,
    pub address: Address,
    /// What happens to it, or what is the matter, in words.
    pub what: String,
    /// The fields, each in words; `differs by tenant` where tenants do not share it.
    pub fields: BTreeMap<String, String>,
    pub tenants: Vec<String>,
}

const BY_TENANT: &str = "differs by tenant";

/// Gathers what tenants share.
#[derive(Default)]
struct Rows {
    list: Vec<Row>,
    /// Positions of the rows of a kind.
    at: BTreeMap<(Address, String, Vec<String>), Vec<usize>>,
}

impl Rows {
    fn add(
        &mut self,
        tenant: &str,
        symbol: &'static str,
        address: &Address,
        what: String,
        fields: BTreeMap<String, String>,
    ) {
        let kind = (address.clone(), what.clone(), fields.keys().cloned().collect());
        let same = self.at.entry(kind).or_default();
        let is_free = |at: &&usize| self.list[**at].tenants.last().is_none_or(|last| last != tenant);
        let Some(at) = same.iter().find(is_free) else {
            same.push(self.list.len());
            let row =
                Row { symbol, address: address.clone(), what, fields, tenants: vec![tenant.to_owned()] };
            return self.list.push(row);
        };
        let row = &mut self.list[*at];
        row.tenants.push(tenant.to_owned());
        for (field, words) in fields {
            let kept = row.fields.entry(field).or_default();
            if *kept != words {
                BY_TENANT.clone_into(kept);
            }
        }
    }

    /// What most tenants share comes first.
    fn finish(mut self) -> Vec<Row> {
        self.list.sort_by_key(|row| std::cmp::Reverse(row.tenants.len()));
        self.list
    }
}

/// What the plans do, equal changes together.
pub fn changes(readings: &[Reading]) -> Vec<Row> {
    let mut rows = Rows::default();
    for reading in readings {
        let Some(plan) = reading.result.plan() else { continue };
        for resource in plan.resources.iter().filter(|one| plan.differs(one) || one.verb != Verb::NoOp) {
            let fields = match resource.verb {
                Verb::Create => BTreeMap::new(),
                _ => resource.changes.iter().map(|one| (line(&one.field), in_words(one))).collect(),
            };
            let reasons = plan.steps.iter().filter(|step| step.address == resource.address && !step.again);
            let what = match (resource.verb, reasons.map(|step| line(&step.what)).next()) {
                (Verb::NoOp, Some(step)) => step,
                (verb, _) => verb.word().to_owned(),
            };
            rows.add(&reading.name, resource.verb.symbol(), &resource.address, what, fields);
        }
        if plan.record && plan.resources.iter().all(|one| !plan.differs(one) && one.verb == Verb::NoOp) {
            rows.add(
                &reading.name,
                "»",
                &Address::default(),
                "only the record is written".to_owned(),
                BTreeMap::new(),
            );
        }
    }
    rows.finish()
}

/// A change of a field: a text by its lines, a secret by what happens to it, anything else by its values.
fn in_words(change: &FieldChange) -> String {
    if change.secret {
        return of_secret(change).to_owned();
    }
    let (old, new) = (change.old.as_ref(), change.new.as_ref());
    if is_text(old) || is_text(new) {
        let text = |value: Option<&Json>| value.and_then(Json::as_str).unwrap_or_default().to_owned();
        let lines = diff(&text(old), &text(new));
        let count = |mark: &str| lines.iter().filter(|line| line.starts_with(mark)).count();
        return format!("+{} −{}", count("+ "), count("- "));
    }
    format!("{} → {}", shown(old), shown(new))
}

/// What drift found, equal differences of one cause together.
pub fn differences(readings: &[Reading]) -> Vec<Row> {
    let mut rows = Rows::default();
    for reading in readings {
        let Some(plan) = reading.result.plan() else { continue };
        for told in drift::differences(plan) {
            if told.state == State::Unknown {
                continue;
            }
            let mut causes: BTreeMap<&'static str, BTreeMap<String, String>> = BTreeMap::new();
            for field in &told.fields {
                let words = line(&drift::in_words(field, told.state));
                causes.entry(drift::word(field.cause)).or_default().insert(line(&field.field), words);
            }
            if causes.is_empty() {
                causes.entry("").or_default();
            }
            for (cause, fields) in causes {
                let what = match cause {
                    "" => told.state.words().to_owned(),
                    cause => format!("{} ({cause})", told.state.words()),
                };
                rows.add(&reading.name, told.state.symbol(), &told.address, what, fields);
            }
        }
    }
    rows.finish()
}

/// A finding, or why a tenant could not be read, with its tenants.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    pub level: Level,
    pub code: Code,
    pub address: Address,
    /// Of the first tenant.
    pub text: String,
    pub help: String,
    /// The text of other tenants is another one; their own plans show it.
    pub differs: bool,
    pub tenants: Vec<String>,
}

/// The findings of all plans and the errors, those of one kind together, the gravest first.
pub fn notes(readings: &[Reading]) -> Vec<Note> {
    let mut out: Vec<Note> = Vec::new();
    let mut at: BTreeMap<(Level, Code, Address), usize> = BTreeMap::new();
    let mut add = |tenant: &str, level: Level, code: Code, address: &Address, text: &str, help: &str| {
        let kind = (level, code, address.clone());
        match at.get(&kind) {
            Some(at) => {
                let note = &mut out[*at];
                note.differs |= note.text != text;
                note.tenants.push(tenant.to_owned());
            }
            None => {
                at.insert(kind, out.len());
                out.push(Note {
                    level,
                    code,
                    address: address.clone(),
                    text: text.to_owned(),
                    help: help.to_owned(),
                    differs: false,
                    tenants: vec![tenant.to_owned()],
                });
            }
        }
    };
    for reading in readings {
        match &reading.result {
            Found::Plan(plan) => {
                for one in &plan.findings {
                    add(&reading.name, one.level, one.code, &one.address, &line(&one.text), &line(&one.help));
                }
            }
            Found::Error { code, message, help } => {
                let nothing = Address::default();
                add(&reading.name, Level::NotRead, *code, &nothing, &line(message), &line(help));
            }
        }
    }
    out.sort_by_key(|note| std::cmp::Reverse(note.level));
    out
}

/// The digest of all plans. Tenants that leave or join change it.
pub fn digest(fleet: &str, readings: &[Reading]) -> Digest {
    let mut open = 0;
    let mut each: Vec<Json> = Vec::new();
    for reading in readings {
        match reading.result.plan().map(|plan| &plan.digest) {
            Some(Digest::Of(digest)) => each.push(json!([reading.name, digest])),
            _ => open += 1,
        }
    }
    Digest::of(&hash(&json!([fleet, each])), open)
}

/// How many tenants have no digest.
pub fn undigested(readings: &[Reading]) -> usize {
    readings
        .iter()
        .filter(|one| !matches!(one.result.plan().map(|plan| &plan.digest), Some(Digest::Of(_))))
        .count()
}

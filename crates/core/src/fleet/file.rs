//! The fleet file: its keys, and what it says. It is read along tables of fields, as a manifest is.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::capacity::Capacity;
use super::table::Tenants;
use super::{Condition, text_of};
use crate::diag::{Diagnostic, Problem, Severity, codes, nearest};
use crate::manifest::connection::{self, Answer, refuse};
use crate::manifest::source::shown;
use crate::manifest::{self, Parsed, Rejected, Tables};
use crate::model::duration;
use crate::model::field::{FIELD, Field, Section, Type, form};

/// Most waves of a rollout.
const WAVES_MAX: usize = 50;
/// Most overlays.
const OVERLAYS_MAX: usize = 100;
/// Most tenants that are written to at once.
const PARALLEL_MAX: i64 = 1_000;

const DURATION: &str = "^[1-9][0-9]*(ms|s|m|h)?$";
const PERCENT: &str = "^[0-9]{1,3}(\\.[0-9]+)?%$";
const NAME: &str = "^[a-z][a-z0-9-]*$";

/// The root of a fleet file.
pub static ROOT: Section = Section {
    path: "",
    doc: "One fleet file describes tenants that share a base manifest.",
    required: true,
    fields: &[
        Field {
            key: "lockstep",
            ty: Type::OneOf(&["v1"]),
            required: true,
            doc: "version of the file, v1",
            ..FIELD
        },
        Field {
            key: "fleet",
            ty: Type::Text { min: 1, max: 40, check: form(NAME, name) },
            required: true,
            doc: "name of the fleet",
            ..FIELD
        },
        Field {
            key: "base",
            ty: Type::Text { min: 1, max: 1_000, check: form("", path) },
            required: true,
            doc: "manifest that all tenants share, below the folder of this file",
            ..FIELD
        },
        Field {
            key: "tenants",
            ty: Type::Any,
            required: true,
            doc: "the tenants: a list, or { file: tenants.csv }; name and domain, and any further column",
            ..FIELD
        },
        Field {
            key: "overlays",
            ty: Type::List { max: OVERLAYS_MAX, fields: OVERLAY },
            doc: "what differs for some tenants, as JSON Merge Patch (RFC 7386), in order",
            ..FIELD
        },
        Field {
            key: "capacity",
            ty: Type::Object(CAPACITY),
            doc: "how many services Twilio allows, where that differs",
            ..FIELD
        },
        Field { key: "former", ty: Type::Set(&[]), doc: "tenants that left the fleet on purpose", ..FIELD },
    ],
};

static OVERLAY: &[Field] = &[
    Field {
        key: "match",
        ty: Type::Any,
        doc: "columns and their values; without it the overlay is for all",
        ..FIELD
    },
    Field {
        key: "merge",
        ty: Type::Text { min: 1, max: 1_000, check: form("", path) },
        required: true,
        doc: "file with the patch, below the folder of this file",
        ..FIELD
    },
];

/// How a change is rolled out.
pub static ROLLOUT: Section = Section {
    path: "rollout",
    doc: "waves, gates and limits of a rollout",
    required: false,
    fields: &[
        Field {
            key: "max_parallel",
            ty: Type::Int { min: 1, max: PARALLEL_MAX },
            default: Some("32"),
            doc: "tenants that are written to at once",
            ..FIELD
        },
        Field {
            key: "waves",
            ty: Type::List { max: WAVES_MAX, fields: WAVE },
            doc: "groups of tenants, one after the other",
            ..FIELD
        },
        Field {
            key: "gates",
            ty: Type::Any,
            doc: "gates of waves that name none: a list of applied, stream, executions, { conversion: 60% } and { command: NAME }",
            ..FIELD
        },
        Field { key: "budget", ty: Type::Object(BUDGET), doc: "tenants that may fail", ..FIELD },
        Field {
            key: "limits",
            ty: Type::Object(LIMITS),
            doc: "what the whole rollout may do at most",
            ..FIELD
        },
        Field {
            key: "on_halt",
            ty: Type::OneOf(&["stay", "rollback"]),
            default: Some("stay"),
            doc: "what becomes of the wave in which the rollout halted",
            ..FIELD
        },
        Field {
            key: "timeout",
            ty: Type::Text { min: 1, max: 20, check: form(DURATION, time) },
            default: Some("30m"),
            doc: "how long a gate waits for what it needs, after the soak",
            ..FIELD
        },
    ],
};

static WAVE: &[Field] = &[
    Field {
        key: "name",
        ty: Type::Text { min: 1, max: 40, check: form(NAME, name) },
        required: true,
        doc: "name of the wave",
        ..FIELD
    },
    Field { key: "match", ty: Type::Any, doc: "columns and their values", ..FIELD },
    Field {
        key: "share",
        ty: Type::Text { min: 2, max: 8, check: form(PERCENT, percent) },
        doc: "share of the tenants that match, such as 5%, chosen by a hash of their names",
        ..FIELD
    },
    Field { key: "rest", ty: Type::Bool, doc: "all tenants that no other wave takes", ..FIELD },
    Field {
        key: "batch",
        ty: Type::Int { min: 1, max: 10_000 },
        doc: "the wave goes in parts of this size, each judged like a wave",
        ..FIELD
    },
    Field {
        key: "soak",
        ty: Type::Text { min: 1, max: 20, check: form(DURATION, time) },
        doc: "time between the last write and the gates",
        ..FIELD
    },
    Field {
        key: "gates",
        ty: Type::Any,
        doc: "gates of this wave, in place of those of the rollout",
        ..FIELD
    },
];

static CAPACITY: &[Field] = &[
    Field {
        key: "serverless_services",
        ty: Type::Int { min: 1, max: 100_000 },
        doc: "Serverless services in one account, leases included; 50 without this key",
        ..FIELD
    },
    Field {
        key: "verify_services",
        ty: Type::Int { min: 1, max: 100_000 },
        doc: "Verify services of the whole fleet; Twilio counts them at the parent account",
        ..FIELD
    },
];

static BUDGET: &[Field] = &[
    Field { key: "wave", ty: Type::Int { min: 0, max: 10_000 }, doc: "in one wave", ..FIELD },
    Field { key: "total", ty: Type::Int { min: 0, max: 10_000 }, doc: "in the whole rollout", ..FIELD },
];

static LIMITS: &[Field] = &[
    Field { key: "changed", ty: Type::Int { min: 0, max: 10_000 }, doc: "tenants that are changed", ..FIELD },
    Field {
        key: "deletes",
        ty: Type::Int { min: 0, max: 1_000_000 },
        doc: "objects that are deleted",
        ..FIELD
    },
    Field {
        key: "dangerous",
        ty: Type::Int { min: 0, max: 1_000_000 },
        doc: "steps that carry a danger",
        ..FIELD
    },
];

/// A name of a fleet or a wave: of the form of a stack's.
fn name(text: &str) -> Answer {
    connection::stack_name(text).map_err(|(reason, _)| (reason, "use a name such as canary".to_owned()))
}

fn path(text: &str) -> Answer {
    manifest::relative_path(text).map_err(|(reason, _)| {
        (reason, "name a file below the folder of the fleet file, with / between the parts".to_owned())
    })
}

fn time(text: &str) -> Answer {
    match duration::parsed(text) {
        Some(_) => Ok(()),
        None => refuse("is no time", "write it as 90s, 30m or 2h"),
    }
}

fn percent(text: &str) -> Answer {
    match share_of(text) {
        Some(share) if share > 0.0 => Ok(()),
        Some(_) => refuse("is an empty share", "write a share above 0%, or remove the wave"),
        None => refuse("is no share", "write it as 5%, at most 100%"),
    }
}

/// The share that a text such as `5%` says, from 0 to 1.
fn share_of(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&number).then_some(number / 100.0)
}

/// The tables of a fleet file.
pub fn tables() -> Tables {
    Tables { sections: vec![&ROOT, &ROLLOUT], outputs: Vec::new(), tenants: Default::default() }
}

/// Whether a text claims to be a fleet file: a key of its root is `fleet`.
pub fn is_fleet(text: &str) -> bool {
    text.lines().any(|line| line.trim_start_matches('\u{feff}').starts_with("fleet:"))
}

/// Where the tenants stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In the fleet file.
    Inline(Json),
    /// In a file, by its path relative to the fleet file.
    File(String),
}

/// A patch for the tenants that meet all conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    pub matches: Vec<Condition>,
    pub merge: String,
}

/// A group of tenants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    pub name: String,
    pub matches: Vec<Condition>,
    /// From 0 to 1.
    pub share: Option<f64>,
    pub rest: bool,
    pub batch: Option<usize>,
    pub soak_ms: u64,
    /// Those of the rollout if the wave names none.
    pub gates: Vec<Gate>,
}

/// What has to hold before the next wave begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// The second plan is empty, and the record names it.
    Applied,
    /// The log stream is active.
    Stream,
    /// No execution of the new version fails, and no send whose failure blames the set-up.
    Executions,
    /// At least this share of the verifications is completed, from 0 to 1.
    Conversion(f64),
    /// A command of the command line, by its name, ends with 0.
    Command(String),
}

impl Gate {
    /// The gate as a fleet file names it.
    pub fn word(&self) -> String {
        match self {
            Gate::Applied => "applied".to_owned(),
            Gate::Stream => "stream".to_owned(),
            Gate::Executions => "executions".to_owned(),
            Gate::Conversion(share) => format!("conversion {}%", (share * 1000.0).round() / 10.0),
            Gate::Command(name) => format!("command {name}"),
        }
    }
}

/// Tenants that may fail; `None`: no bound of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub wave: Option<usize>,
    pub total: Option<usize>,
}

/// What a rollout may do at most; `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub changed: Option<usize>,
    pub deletes: Option<usize>,
    pub dangerous: Option<usize>,
}

/// What becomes of the wave in which a rollout halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHalt {
    Stay,
    Rollback,
}

/// How a change is rolled out.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub max_parallel: usize,
    /// In order; a fleet file without waves has one, with all tenants.
    pub waves: Vec<Wave>,
    pub budget: Budget,
    pub limits: Limits,
    pub on_halt: OnHalt,
    /// How long a gate waits for what it needs.
    pub timeout_ms: u64,
}

/// What a fleet file says, without its tenants.
#[derive(Debug)]
pub struct Fleet {
    pub name: String,
    pub base: String,
    pub tenants: Place,
    pub overlays: Vec<Overlay>,
    pub rollout: Rollout,
    pub former: Vec<String>,
    pub capacity: Capacity,
    /// The text, for the places of problems.
    pub parsed: Parsed,
}

/// The values of a fleet file by dotted key, with the problems of what they say.
struct Reader {
    values: BTreeMap<String, Json>,
    problems: Vec<Problem>,
}

impl Reader {
    fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }

    fn count(&self, key: &str) -> Option<usize> {
        usize::try_from(self.values.get(key)?.as_i64()?).ok()
    }

    fn time_ms(&self, key: &str) -> Option<u64> {
        let ms = duration::parsed(self.text(key)?)?.as_millis();
        u64::try_from(ms).ok()
    }

    fn wrong(&mut self, code: codes::Code, path: &str, words: [&str; 3]) {
        let [title, reason, help] = words;
        self.problems.push(Problem::error(code, path, title, reason, help));
    }

    /// How many entries a list has whose entries have that key.
    fn entries(&self, list: &str, key: &str) -> usize {
        (0..).take_while(|at| self.values.contains_key(&format!("{list}.{at}.{key}"))).count()
    }

    /// The conditions of a `match`: a mapping from columns to a value or a list of values.
    fn conditions(&mut self, path: &str) -> Vec<Condition> {
        let help = "write it as { plan: free } or { name: [acme-dev, acme-int] }";
        let members = match self.values.get(path).cloned() {
            None => return Vec::new(),
            Some(Json::Object(members)) => members,
            Some(_) => {
                self.wrong(
                    codes::WRONG_TYPE,
                    path,
                    ["match is no mapping", "columns and their values are needed here", help],
                );
                return Vec::new();
            }
        };
        if members.is_empty() {
            self.wrong(codes::MISSING_KEY, path, ["match is empty", "it names no column", help]);
        }
        let mut out = Vec::new();
        for (column, value) in members {
            let values: Option<Vec<String>> = match &value {
                Json::Array(items) => items.iter().map(text_of).collect(),
                one => text_of(one).map(|text| vec![text]),
            };
            match values {
                Some(values) if !values.is_empty() => out.push(Condition { column, values, negated: false }),
                _ => {
                    let title = format!("{} has no value to compare with", shown(&column));
                    let path = format!("{path}.{column}");
                    self.wrong(
                        codes::WRONG_TYPE,
                        &path,
                        [&title, "a value or a list of values is needed here", help],
                    );
                }
            }
        }
        out
    }

    fn gates(&mut self, path: &str) -> Option<Vec<Gate>> {
        let help = "write it as [applied, stream, executions, { conversion: 60% }, { command: NAME }]";
        let items = match self.values.get(path).cloned()? {
            Json::Array(items) => items,
            _ => {
                self.wrong(
                    codes::WRONG_TYPE,
                    path,
                    ["gates are no list", "a list of gates is needed here", help],
                );
                return Some(Vec::new());
            }
        };
        let mut out = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match gate(item) {
                Ok(gate) => out.push(gate),
                Err(reason) => {
                    let path = format!("{path}.{at}");
                    self.wrong(codes::NOT_ALLOWED, &path, ["this is no gate", &reason, help]);
                }
            }
        }
        Some(out)
    }
}

fn gate(item: &Json) -> Result<Gate, String> {
    const WORDS: [&str; 5] = ["applied", "stream", "executions", "conversion", "command"];
    let unknown = |word: &str| match nearest(word, WORDS) {
        Some(near) if near != word => format!("did you mean {near}?"),
        _ => format!("the gates are {}", WORDS.join(", ")),
    };
    match item {
        Json::String(word) => match word.as_str() {
            "applied" => Ok(Gate::Applied),
            "stream" => Ok(Gate::Stream),
            "executions" => Ok(Gate::Executions),
            "conversion" => Err("conversion needs a share, as in { conversion: 60% }".to_owned()),
            "command" => Err("command needs a name, as in { command: smoke }".to_owned()),
            other => Err(unknown(other)),
        },
        Json::Object(members) if members.len() == 1 => {
            let (word, value) =
                members.iter().next().map(|(word, value)| (word.as_str(), value)).unwrap_or(("", item));
            match (word, value) {
                ("conversion", Json::String(text)) => match share_of(text) {
                    Some(share) if share > 0.0 => Ok(Gate::Conversion(share)),
                    _ => Err("conversion needs a share above 0%, such as 60%".to_owned()),
                },
                ("conversion", _) => Err("conversion needs a share, such as 60%".to_owned()),
                ("command", Json::String(name)) if !name.is_empty() => Ok(Gate::Command(name.clone())),
                ("command", _) => Err("command needs a name that --allow-cmd gives".to_owned()),
                (other, _) => Err(unknown(other)),
            }
        }
        _ => Err("a word or a mapping with one key is needed here".to_owned()),
    }
}

/// Reads a fleet file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: &str, text: &str) -> Result<Fleet, Rejected> {
    let parsed = manifest::read(file, text, &tables())?;
    let (values, mut found) = manifest::literals(&parsed);
    found.extend(parsed.problems().iter().cloned());
    let mut reader = Reader { values, problems: Vec::new() };
    let tenants = place(&mut reader);
    let overlays = (0..reader.entries("overlays", "merge"))
        .map(|at| Overlay {
            matches: reader.conditions(&format!("overlays.{at}.match")),
            merge: reader.text(&format!("overlays.{at}.merge")).unwrap_or_default().to_owned(),
        })
        .collect();
    let rollout = rollout(&mut reader);
    found.extend(reader.problems.drain(..).map(|problem| parsed.locate(problem)));
    if found.iter().any(|one| one.problem.severity == Severity::Error) {
        found.sort_by_key(|one| one.span.as_ref().map(|span| span.start));
        return Err(Rejected { source: parsed.source, diagnostics: found });
    }
    let former = reader.values.get("former").and_then(Json::as_array);
    Ok(Fleet {
        name: reader.text("fleet").unwrap_or_default().to_owned(),
        base: reader.text("base").unwrap_or_default().to_owned(),
        tenants,
        overlays,
        rollout,
        former: former.into_iter().flatten().filter_map(text_of).collect(),
        capacity: Capacity {
            serverless: reader.count("capacity.serverless_services").unwrap_or(Capacity::TWILIO.serverless),
            verify: reader.count("capacity.verify_services"),
        },
        parsed,
    })
}

fn place(reader: &mut Reader) -> Place {
    let value = reader.values.get("tenants").cloned().unwrap_or_default();
    let help = "write a list, or { file: tenants.csv }";
    match &value {
        Json::Array(_) => Place::Inline(value),
        Json::Object(members) => match members.get("file") {
            Some(Json::String(file)) if members.len() == 1 => {
                if let Err((reason, help)) = path(file) {
                    reader.wrong(
                        codes::FILE_REFUSED,
                        "tenants.file",
                        ["file is not a usable path", &reason, &help],
                    );
                }
                Place::File(file.clone())
            }
            _ => {
                reader.wrong(
                    codes::WRONG_TYPE,
                    "tenants",
                    ["tenants has the wrong form", "a list or a file is needed here", help],
                );
                Place::Inline(Json::Null)
            }
        },
        _ => {
            // A missing key is reported already.
            if reader.values.contains_key("tenants") {
                reader.wrong(
                    codes::WRONG_TYPE,
                    "tenants",
                    ["tenants has the wrong form", "a list or a file is needed here", help],
                );
            }
            Place::Inline(Json::Null)
        }
    }
}

fn rollout(reader: &mut Reader) -> Rollout {
    let gates = reader.gates("rollout.gates").unwrap_or_else(|| vec![Gate::Applied]);
    let mut waves = Vec::new();
    for at in 0..reader.entries("rollout.waves", "name") {
        let wave = wave(reader, at, &gates);
        let path = format!("rollout.waves.{at}");
        if waves.iter().any(|other: &Wave| other.name == wave.name) {
            let title = format!("two waves are called {}", wave.name);
            reader.wrong(
                codes::DUPLICATE_KEY,
                &format!("{path}.name"),
                [&title, "a wave above has this name", "give each wave a name of its own"],
            );
        }
        if wave.rest && (!wave.matches.is_empty() || wave.share.is_some()) {
            reader.wrong(
                codes::CONFLICT,
                &path,
                [
                    "a wave for the rest has conditions",
                    "rest takes every tenant that is left",
                    "remove rest, or match and share",
                ],
            );
        }
        if !wave.rest && wave.matches.is_empty() && wave.share.is_none() {
            let title = format!("the wave {} says nothing of its tenants", wave.name);
            reader.wrong(
                codes::MISSING_KEY,
                &path,
                [&title, "match, share or rest is needed here", "write match: { plan: free }, or rest: true"],
            );
        }
        if waves.iter().any(|other: &Wave| other.rest) {
            let title = format!("the wave {} gets no tenant", wave.name);
            reader.wrong(
                codes::CONFLICT,
                &path,
                [&title, "a wave above takes all that are left", "move the wave with rest to the end"],
            );
        }
        waves.push(wave);
    }
    if waves.is_empty() {
        waves.push(Wave {
            name: "all".to_owned(),
            matches: Vec::new(),
            share: None,
            rest: true,
            batch: None,
            soak_ms: 0,
            gates,
        });
    }
    Rollout {
        max_parallel: reader.count("rollout.max_parallel").unwrap_or(32),
        waves,
        budget: Budget {
            wave: reader.count("rollout.budget.wave"),
            total: reader.count("rollout.budget.total"),
        },
        limits: Limits {
            changed: reader.count("rollout.limits.changed"),
            deletes: reader.count("rollout.limits.deletes"),
            dangerous: reader.count("rollout.limits.dangerous"),
        },
        on_halt: match reader.text("rollout.on_halt") {
            Some("rollback") => OnHalt::Rollback,
            _ => OnHalt::Stay,
        },
        timeout_ms: reader.time_ms("rollout.timeout").unwrap_or(30 * 60_000),
    }
}

fn wave(reader: &mut Reader, at: usize, gates: &[Gate]) -> Wave {
    let key = |key: &str| format!("rollout.waves.{at}.{key}");
    Wave {
        name: reader.text(&key("name")).unwrap_or_default().to_owned(),
        matches: reader.conditions(&key("match")),
        share: reader.text(&key("share")).and_then(share_of),
        rest: reader.values.get(&key("rest")) == Some(&Json::Bool(true)),
        batch: reader.count(&key("batch")),
        soak_ms: reader.time_ms(&key("soak")).unwrap_or(0),
        gates: reader.gates(&key("gates")).unwrap_or_else(|| gates.to_vec()),
    }
}

/// What is wrong with the conditions, given the tenants: columns that the table does not have.
pub fn against(fleet: &Fleet, tenants: &Tenants) -> Vec<Diagnostic> {
    let overlays = fleet.overlays.iter().enumerate();
    let overlays = overlays.map(|(at, overlay)| (format!("overlays.{at}.match"), &overlay.matches));
    let waves = fleet.rollout.waves.iter().enumerate();
    let waves = waves.map(|(at, wave)| (format!("rollout.waves.{at}.match"), &wave.matches));
    let mut found = Vec::new();
    for (path, matches) in overlays.chain(waves) {
        for one in matches.iter().filter(|one| !tenants.columns.contains(&one.column)) {
            let title = format!("the table of tenants has no column {}", shown(&one.column));
            let path = format!("{path}.{}", one.column);
            let help = tenants.near(&one.column);
            let problem = Problem::error(codes::UNKNOWN_KEY, path, title, "no tenant has it", help);
            found.push(fleet.parsed.locate(problem.at_key()));
        }
        for one in matches.iter().filter(|one| one.column == "name") {
            let known = |name: &&String| tenants.list.iter().any(|tenant| tenant.name == **name);
            for name in one.values.iter().filter(|name| !known(name)) {
                let title = format!("no tenant is called {}", shown(name));
                let names = tenants.list.iter().map(|tenant| tenant.name.as_str());
                let help = match nearest(name, names) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("name a tenant of {}", tenants.file),
                };
                let problem = Problem::error(
                    codes::BAD_REFERENCE,
                    format!("{path}.name"),
                    title,
                    "the table has no such row",
                    help,
                );
                found.push(fleet.parsed.locate(problem));
            }
        }
    }
    found
}

//! Every way to damage a JSON document at one place.

use serde_json::{Value as Json, json};

/// One step down in a document: a key, or a position in a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Key(String),
    At(usize),
}

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damage {
    /// The key is missing.
    Dropped,
    Null,
    /// A value of another type with the same meaning: `"7"` for 7, 1 for true, a list of one item.
    Quoted,
    /// A value of another type without that meaning.
    OtherType,
    /// A number or a text far outside of what is sensible.
    Extreme,
    /// An item of a list appears twice.
    Twice,
    /// A list has ten thousand more entries, which are not valid items.
    Crowded,
}

/// One damage at one place.
#[derive(Clone, Debug)]
pub struct Wound {
    pub path: Vec<Step>,
    pub damage: Damage,
}

impl std::fmt::Display for Wound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, "/{key}")?,
                Step::At(at) => write!(f, "/{at}")?,
            }
        }
        write!(f, " {:?}", self.damage)
    }
}

/// All damages of a document. In a long list, the first and the last item stand for the rest.
pub fn wounds(json: &Json) -> Vec<Wound> {
    let mut found = Vec::new();
    walk(json, &mut Vec::new(), &mut found);
    found
}

fn walk(json: &Json, path: &mut Vec<Step>, found: &mut Vec<Wound>) {
    let mut kinds = vec![Damage::Null, Damage::OtherType];
    match json {
        Json::Array(items) => {
            kinds.push(Damage::Crowded);
            if !items.is_empty() {
                kinds.push(Damage::Twice);
            }
        }
        Json::Object(_) => kinds.push(Damage::Quoted),
        Json::Null => kinds.retain(|kind| *kind != Damage::Null),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            kinds.extend([Damage::Quoted, Damage::Extreme]);
        }
    }
    if matches!(path.last(), Some(Step::Key(_))) {
        kinds.push(Damage::Dropped);
    }
    found.extend(kinds.into_iter().map(|damage| Wound { path: path.clone(), damage }));
    let mut down = |step: Step, inner: &Json| {
        path.push(step);
        walk(inner, path, found);
        path.pop();
    };
    match json {
        Json::Array(items) => {
            let ends = [0, items.len().saturating_sub(1)];
            for (at, item) in items.iter().enumerate().filter(|(at, _)| ends.contains(at)) {
                down(Step::At(at), item);
            }
        }
        Json::Object(entries) => entries.iter().for_each(|(key, inner)| down(Step::Key(key.clone()), inner)),
        _ => {}
    }
}

/// The document with one damage.
pub fn wounded(json: &Json, wound: &Wound) -> Json {
    let mut json = json.clone();
    let mut at = &mut json;
    let (last, parents) = match wound.path.split_last() {
        Some((last, parents)) => (Some(last), parents),
        None => (None, &[][..]),
    };
    for step in parents {
        at = inner(at, step);
    }
    match (last, wound.damage) {
        (Some(Step::Key(key)), Damage::Dropped) => {
            at.as_object_mut().expect("an object").shift_remove(key);
        }
        (last, damage) => {
            let value = match last {
                Some(step) => inner(at, step),
                None => at,
            };
            *value = replaced(value, damage);
        }
    }
    json
}

fn inner<'a>(json: &'a mut Json, step: &Step) -> &'a mut Json {
    match step {
        Step::Key(key) => &mut json[key],
        Step::At(at) => &mut json[*at],
    }
}

fn replaced(value: &Json, damage: Damage) -> Json {
    match (damage, value) {
        (Damage::Dropped | Damage::Null, _) => Json::Null,
        (Damage::Quoted, Json::Bool(is)) => json!(u8::from(*is)),
        (Damage::Quoted, Json::Number(number)) => json!(number.to_string()),
        (Damage::Quoted, Json::String(text)) => {
            text.parse::<u64>().map_or(json!([text]), |number| json!(number))
        }
        (Damage::Quoted, other) => json!([other]),
        (Damage::OtherType, Json::Object(_)) => json!("nothing"),
        (Damage::OtherType, Json::Array(_)) => json!({ "0": null }),
        (Damage::OtherType, Json::String(_)) => json!({ "text": true }),
        (Damage::OtherType, _) => json!(["nothing"]),
        (Damage::Extreme, Json::Number(_)) => json!(u64::MAX),
        (Damage::Extreme, Json::String(_)) => json!("\u{202e}\u{0}../".repeat(5_000)),
        (Damage::Extreme, other) => other.clone(),
        (Damage::Twice, Json::Array(items)) => {
            let mut items = items.clone();
            items.extend(items.first().cloned());
            Json::Array(items)
        }
        (Damage::Crowded, Json::Array(items)) => {
            let mut items = items.clone();
            items.extend((0..10_000).map(|at| if at % 2 == 0 { json!({}) } else { Json::Null }));
            Json::Array(items)
        }
        (Damage::Twice | Damage::Crowded, other) => json!([other, other]),
    }
}

/// Every `step`-th of the cases; all of them with `LOCKSTEP_BAD_INPUT=all` in the environment.
pub fn some_of<T>(cases: Vec<T>, step: usize) -> Vec<T> {
    let all = std::env::var("LOCKSTEP_BAD_INPUT").is_ok_and(|value| value == "all");
    let step = if all { 1 } else { step.max(1) };
    cases.into_iter().step_by(step).collect()
}

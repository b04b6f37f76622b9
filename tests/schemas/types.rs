//! The schemas of documents say exactly what the types write: each field, each word, each kind of event.

use std::collections::BTreeSet;

use lockstep::model::address::Address;
use lockstep::model::event::{Effect, Event, LeaseState, Told};
use lockstep::model::health;
use lockstep::model::plan::{
    Accepted, Cause, Deferred, Digest, FieldChange, Finding, Level, Plan, ResourcePlan, Stage, Step,
    Unproven, Verb, Was,
};
use lockstep::plan::drift;
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde_json::{Value as Json, json};

use super::{findings, schema};

/// Takes the names that a type reads from its `Deserialize`, and gives it nothing.
struct Spy<'a>(&'a mut BTreeSet<String>);

impl Spy<'_> {
    fn note<T>(self, names: &'static [&'static str]) -> Result<T, Error> {
        self.0.extend(names.iter().map(|name| (*name).to_owned()));
        Err(Error::custom("names are taken"))
    }
}

impl<'de> Deserializer<'de> for Spy<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("neither a struct nor an enum"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(words)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The fields of a struct, or the words of an enum.
fn names<'de, T: Deserialize<'de>>() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    assert!(T::deserialize(Spy(&mut names)).is_err());
    assert!(!names.is_empty(), "{} has no names", std::any::type_name::<T>());
    names
}

/// The same of a definition: its properties, or its words.
fn said(definition: &Json) -> BTreeSet<String> {
    let words = |list: &Json| {
        let words = list.as_array().into_iter().flatten();
        words.map(|word| word.as_str().expect("a word").to_owned()).collect::<BTreeSet<_>>()
    };
    match definition.get("properties") {
        Some(properties) => properties.as_object().expect("an object").keys().cloned().collect(),
        None => words(&definition["enum"]),
    }
}

#[test]
fn structs_and_enums_of_a_plan_are_said_in_full() {
    let all = schema("drift");
    let def = |path: &str| {
        let found = path.split('/').try_fold(&all["$defs"], |at, key| at.get(key));
        found.unwrap_or_else(|| panic!("no {path}"))
    };
    let rows: [(&str, BTreeSet<String>); 13] = [
        ("plan", names::<Plan>()),
        ("resource", names::<ResourcePlan>()),
        ("change", names::<FieldChange>()),
        ("accepted", names::<Accepted>()),
        ("step", names::<Step>()),
        ("finding", names::<Finding>()),
        ("deferred", names::<Deferred>()),
        ("unproven", names::<Unproven>()),
        ("verb", names::<Verb>()),
        ("cause", names::<Cause>()),
        ("stage", names::<Stage>()),
        ("finding/properties/level", names::<Level>()),
        ("state", names::<drift::State>()),
    ];
    for (path, names) in rows {
        assert_eq!(said(def(path)), names, "{path}");
    }
    let counts = json!(health::Counts::default());
    let counts: BTreeSet<String> = counts.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(said(&schema("status")["$defs"]["counts"]), counts);
    let was = def("was")["oneOf"].as_array().expect("forms");
    let forms: BTreeSet<String> = was.iter().flat_map(said).collect();
    assert_eq!(forms, names::<Was>());
}

/// One of each kind; a new kind does not compile here.
fn events() -> Vec<Event> {
    let text = || "a text".to_owned();
    let action = || Address::of("action");
    let all = vec![
        Event::RunStarted { stack: text(), account: text(), who: text(), revision: text(), destroy: false },
        Event::Request {
            host: text(),
            method: "GET",
            path: text(),
            status: None,
            attempt: 1,
            ms: 5,
            request_id: Some(text()),
        },
        Event::Holding { host: text(), ms: 5, why: text() },
        Event::PlanStarted,
        Event::PlanMade {
            plan: Box::new(Plan {
                format: 1,
                stack: text(),
                tenant: text(),
                account: text(),
                destroy: false,
                rollback: true,
                resources: Vec::new(),
                steps: Vec::new(),
                findings: Vec::new(),
                deferred: Vec::new(),
                unproven: Vec::new(),
                record: false,
                digest: Digest::Open,
                unknown_values: 1,
                basis: text(),
            }),
        },
        Event::Lease { state: LeaseState::Taken },
        Event::Lease { state: LeaseState::Without },
        Event::Lease { state: LeaseState::Released },
        Event::Record { serial: None },
        Event::StepStarted { number: 1, of: 2, address: action(), what: text() },
        Event::Polling { address: action(), state: text() },
        Event::StepDone { number: 1, address: action(), what: text() },
        Event::StepFailed { number: 1, address: action(), what: text(), effect: Effect::None, why: text() },
        Event::StepFailed {
            number: 1,
            address: action(),
            what: text(),
            effect: Effect::Unknown,
            why: text(),
        },
        Event::Watched { verdict: health::Verdict::Healthy, seen: text(), left_s: 1 },
        Event::notice("a text"),
        Event::RunEnded { ended: "done", why: None },
    ];
    for event in &all {
        match event {
            Event::RunStarted { .. } | Event::Request { .. } | Event::Holding { .. } | Event::PlanStarted => {
            }
            Event::PlanMade { .. }
            | Event::Lease { .. }
            | Event::Record { .. }
            | Event::StepStarted { .. } => {}
            Event::Polling { .. } | Event::StepDone { .. } | Event::StepFailed { .. } => {}
            Event::Watched { .. } | Event::Notice { .. } | Event::RunEnded { .. } => {}
        }
        match event {
            Event::Lease { state: LeaseState::Taken | LeaseState::Without | LeaseState::Released } => {}
            Event::StepFailed { effect: Effect::None | Effect::Unknown, .. } => {}
            _ => {}
        }
    }
    all
}

#[test]
fn every_kind_of_event_is_said_and_no_other() {
    let all = schema("events");
    let mut seen = BTreeSet::new();
    for event in events() {
        let told = Told { at_ms: 1, tenant: "acme-dev.eu.auth0.com".into(), event };
        let json = serde_json::to_value(&told).expect("plain data");
        assert_eq!(findings(&all, &json), [], "{json}");
        let mut more = json.clone();
        more["more"] = json!(1);
        assert_ne!(findings(&all, &more), [], "{more}");
        seen.insert(json["event"].as_str().expect("a word").to_owned());
    }
    let kinds = all["$defs"]["event"]["oneOf"].as_array().expect("kinds");
    let said: BTreeSet<String> = kinds
        .iter()
        .map(|kind| kind["properties"]["event"]["const"].as_str().expect("a word").to_owned())
        .collect();
    assert_eq!(said, seen);
}

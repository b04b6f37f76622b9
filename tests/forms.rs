//! Tests of the forms of a report: a text of others changes nothing but its own cell, and Markdown keeps its limit.

mod generated;
pub mod hostile;

use lockstep::report::{self, Content, Door, Format, Report};
use serde_json::{Value as Json, json};

/// A report in one of its forms, with nothing to hide.
pub fn form(format: Format, report: &Report) -> String {
    let door = Door(&str::to_owned);
    match format {
        Format::Text => report::text::whole(report),
        Format::Json => lockstep::model::text::json(&report::json(report).to_string()),
        Format::Markdown => report::markdown(report, door),
        Format::Sarif => lockstep::model::text::json(&report::sarif(report, door).to_string()),
        Format::Junit => report::junit(report, door),
        Format::Github => report::github(report, door),
    }
}

pub fn report_of(command: &'static str, content: Content) -> Report {
    Report {
        command,
        file: "lockstep.yaml".into(),
        diagnostics: Vec::new(),
        content,
        explained: None,
        places: std::collections::BTreeMap::new(),
    }
}

/// A plan with that text wherever a text of others can stand: names, values, code, sentences.
pub fn plan_of(text: &str) -> Json {
    let change = |field: String, old: Json, new: Json| {
        json!({ "field": field, "applied": { "value": old }, "old": old, "new": new, "secret": false,
            "cause": "tenant_changed", "accept": format!("- {{ field: x, value: {text} }}") })
    };
    let code = |word: &str| json!(format!("first\n{text}\n  {text}{word}\nlast\n"));
    let address = format!("log_stream.{text}");
    let finding = |level: &str| json!({ "code": "LS0104", "address": text, "text": text, "help": text, "level": level });
    let findings: Vec<Json> = ["note", "warning", "blocker", "not_read"].map(finding).to_vec();
    json!({
        "format": 1, "stack": text, "tenant": text, "account": text, "destroy": false,
        "resources": [
            {
                "address": address, "kind": "log_stream", "verb": "update", "unknown": [text], "ids": { text: text },
                "changes": [
                    change(text.to_owned(), json!(text), json!([text, text])),
                    change(format!("{text}code"), code("old"), code("new")),
                ],
                "accepted": [{ "field": text, "key": text, "tenant": text, "manifest": text, "reason": text, "by": text,
                    "until": text }],
                "name": text,
            },
            { "address": "action", "kind": "action", "verb": "delete", "changes": [], "unknown": [],
              "ids": { "id": text }, "name": text, "leaves": true },
            { "address": "verify_service", "kind": "verify_service", "verb": "create", "unknown": [], "ids": {},
              "changes": [change("friendly_name".into(), Json::Null, json!(text))] },
            { "address": "branding", "kind": "branding", "verb": "no_op", "changes": [], "unknown": [], "ids": {},
              "name": text, "stays": text },
        ],
        "steps": [
            { "number": 1, "address": address, "kind": "log_stream", "verb": "update", "stage": "feedback", "what": text,
              "reason": text, "op": {}, "effects": {}, "danger": text, "creates": false },
            { "number": 2, "address": "action", "kind": "action", "verb": "delete", "stage": "remove_action",
              "what": text, "reason": text, "op": {}, "effects": {}, "danger": null, "creates": false },
        ],
        "findings": findings,
        "deferred": [{ "address": address, "stage": "remove_action", "what": text, "needs": text, "wait_ms": 0,
            "not_before": text }],
        "record": true, "digest": text, "basis": text,
    })
}

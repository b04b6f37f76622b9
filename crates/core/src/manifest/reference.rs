//! The reference page of the manifest (`docs/manifest.md`), written out of the tables: every section, key, type, range,
//! default, and what becomes of it.

use std::fmt::Write as _;

use super::Tables;
use super::connection;
use super::examples::EXAMPLES;
use super::places;
use crate::kinds::{self, Kind};
use crate::model::field::{Field, Section, Type};

/// What stands before the sections.
const HEAD: &str = include_str!("reference.md");

/// The page.
pub fn page(tables: &Tables) -> String {
    let mut out = HEAD.replace("{outputs}", &outputs(tables));
    for section in &tables.sections {
        let _ = writeln!(out, "- [{}](#{})", title(section), anchor(section));
    }
    tables.sections.iter().for_each(|section| write_section(section, &mut out));
    out
}

/// A short piece of a manifest that has the section.
pub fn example(section: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(path, _)| *path == section).map(|(_, text)| *text)
}

fn outputs(tables: &Tables) -> String {
    let names = tables.outputs.iter().flat_map(|(resource, outputs)| {
        outputs.iter().map(move |output| format!("`${{{resource}.{output}}}`"))
    });
    names.collect::<Vec<_>>().join(", ")
}

fn title(section: &Section) -> String {
    match section.path {
        "" => "The first lines".to_owned(),
        path => format!("`{path}`"),
    }
}

/// The heading's anchor, as GitHub makes it.
fn anchor(section: &Section) -> String {
    let title = title(section).to_ascii_lowercase().replace(' ', "-");
    title.chars().filter(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_')).collect()
}

fn write_section(section: &'static Section, out: &mut String) {
    let _ = write!(out, "\n## {}\n\n{}", title(section), sentence(section.doc));
    if section.required && !section.path.is_empty() {
        out.push_str(" The manifest is refused without it.");
    }
    out.push('\n');
    out.push_str(&resources(section));
    let early = kinds::outputs_for(section.path);
    let takes = !connection::is_connection(section.path) && any_text(section.fields);
    if takes && early.len() < kinds::outputs_for("").len() {
        let names: Vec<String> = early.iter().map(|name| format!("`${{{name}}}`")).collect();
        let _ = match names.as_slice() {
            [] => writeln!(out, "\nNo text of it can hold an output: all of them come later."),
            names => writeln!(out, "\nOf the outputs, its texts can hold {}.", names.join(", ")),
        };
    }
    let is_sent = any_sent(section.fields);
    out.push_str(match is_sent {
        true => "\n| Key | Value | Without it | Sent as | Meaning |\n|---|---|---|---|---|\n",
        false => "\n| Key | Value | Without it | Meaning |\n|---|---|---|---|\n",
    });
    rows(section.fields, "", is_sent, out);
    if let Some(example) = example(section.path) {
        let _ = write!(out, "\n```yaml\n{example}```\n");
    }
}

/// Whether some key takes a text, and so an output.
fn any_text(fields: &[Field]) -> bool {
    fields.iter().any(|field| match field.ty {
        Type::Object(inner) | Type::Named { fields: inner, .. } => any_text(inner),
        ty => matches!(ty, Type::Text { .. } | Type::Map { .. }),
    })
}

fn any_sent(fields: &[Field]) -> bool {
    fields.iter().any(|field| match field.ty {
        Type::Object(inner) | Type::Named { fields: inner, .. } => any_sent(inner),
        _ => !field.wire.is_empty(),
    })
}

/// A doc text as a sentence.
pub(super) fn sentence(doc: &str) -> String {
    let mut letters = doc.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// Longer lists of keys are called the others.
const KEYS_MAX: usize = 6;

/// What the section is made into, with the calls; where that is several, with the keys of each.
fn resources(section: &'static Section) -> String {
    // Kinds in the order of their list, each with its keys.
    let mut found: Vec<(&dyn Kind, String, Vec<String>)> = Vec::new();
    for kind in kinds::KINDS.iter().filter(|kind| !kind.api_path().is_empty()) {
        let sayings = places::sayings(section).into_iter().filter(|saying| saying.kind == kind.name());
        let (mut keys, mut name) = (Vec::new(), kind.name().to_owned());
        for saying in sayings {
            let key = saying.place[section.path.len() + 1..].split('.').next().unwrap_or_default().to_owned();
            if !keys.contains(&key) {
                keys.push(key);
            }
            if saying.address.contains('.') {
                name = format!("{}.NAME", kind.name());
            }
        }
        if !keys.is_empty() {
            found.push((*kind, name, keys));
        }
    }
    // Those of one call and the same keys stand in for each other.
    let mut lines: Vec<(String, &str, Vec<String>)> = Vec::new();
    for (kind, name, keys) in found {
        match lines.iter_mut().find(|(_, path, of)| *path == kind.api_path() && *of == keys) {
            Some((names, ..)) => *names = format!("{names} or `{name}`"),
            None => lines.push((format!("`{name}`"), kind.api_path(), keys)),
        }
    }
    let called = |names: &str, path: &str| format!("{names}: {}, `{path}`", vendor(path));
    match lines.as_slice() {
        [] => String::new(),
        [(names, path, _)] => format!("\nResource {}.\n", called(names, path)),
        lines => {
            let mut out = "\nResources:\n\n".to_owned();
            for (names, path, keys) in lines {
                let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let from =
                    if keys.len() > KEYS_MAX { "the other keys".to_owned() } else { quoted.join(", ") };
                let _ = writeln!(out, "- {}, from {from}", called(names, path));
            }
            out
        }
    }
}

fn vendor(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("api") => "Auth0",
        Some("v1") => "Twilio Serverless",
        _ => "Twilio Verify",
    }
}

fn rows(fields: &'static [Field], prefix: &str, is_sent: bool, out: &mut String) {
    for (at, field) in fields.iter().enumerate() {
        let key = format!("{prefix}{}", field.key);
        let sent = if is_sent { format!(" {} |", sent(field.wire)) } else { String::new() };
        let (value, without) = (value(field), without(field));
        let _ = writeln!(out, "| `{key}` | {value} | {without} |{sent} {} |", field.doc.replace('|', "\\|"));
        // Mappings of the same keys, one after the other, have their keys once.
        let is_like = |other: Option<&Field>| match (field.ty, other.map(|other| other.ty)) {
            (Type::Object(inner), Some(Type::Object(others))) => std::ptr::eq(inner, others),
            _ => false,
        };
        let is_after = at.checked_sub(1).is_some_and(|before| is_like(fields.get(before)));
        match field.ty {
            Type::Object(_) if is_like(fields.get(at + 1)) => {}
            Type::Object(inner) if is_after => rows(inner, &format!("{prefix}…."), is_sent, out),
            Type::Object(inner) => rows(inner, &format!("{key}."), is_sent, out),
            Type::Named { fields, .. } => rows(fields, &format!("{key}.NAME."), is_sent, out),
            Type::List { fields, .. } => rows(fields, &format!("{key}[]."), is_sent, out),
            _ => {}
        }
    }
}

fn without(field: &Field) -> String {
    match (field.default, field.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) if !field.unless.is_empty() => {
            format!("**refused** without {}", words(field.unless, "or"))
        }
        (None, true) => "**refused**".to_owned(),
        (None, false) => String::new(),
    }
}

fn sent(wire: &str) -> String {
    match wire {
        "" => String::new(),
        "(array)" => "the whole body".to_owned(),
        wire => format!("`{wire}`"),
    }
}

fn words(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, begin)) => format!("{} {last} {end}", begin.join(", ")),
        None => String::new(),
    }
}

/// What a key accepts.
pub(super) fn value(field: &Field) -> String {
    let names = |max: usize| format!("up to {max} names of your choice");
    let what = match field.ty {
        Type::Text { min, max, .. } => {
            let lines = if field.lines { "text, also of several lines" } else { "text" };
            match (min, max) {
                (min, max) if min == max => format!("{lines}, {max} characters"),
                (0, max) => format!("{lines}, up to {max} characters"),
                (min, max) => format!("{lines}, {min} to {max} characters"),
            }
        }
        Type::Int { min, max } => format!("whole number, {min} to {max}"),
        Type::Bool => "`true` or `false`".to_owned(),
        Type::OneOf(known) => words(known, "or"),
        Type::OpenOneOf(known) => format!("{}; another word with a warning", words(known, "or")),
        Type::Release(releases) => format!("{}; another word with a warning", words(releases.known, "or")),
        Type::Set([]) => "list of texts".to_owned(),
        Type::Set(known) => format!("list of {}", words(known, "and")),
        Type::Map { max } => format!("mapping, {}, each with a text", names(max)),
        Type::Code => "`builtin:NAME`, or the path of a file".to_owned(),
        Type::Object(_) => "mapping".to_owned(),
        Type::Named { max, .. } => format!("mapping, {}", names(max)),
        Type::List { max, .. } => format!("list of up to {max} mappings"),
        Type::Any => "any value".to_owned(),
    };
    if field.secret { format!("**secret** {what}") } else { what }
}

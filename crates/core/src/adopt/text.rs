//! The text of the manifest. Every value is written so that it reads back as itself, whatever somebody called an object.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::doc::{Doc, Path, Said};
use super::{Adopted, names};
use crate::kinds;
use crate::manifest::schema;
use crate::model::field::{Field, Section, Type};
use crate::model::text::{line_of, steers};

/// The first parts of sections, in the order in which they are written. Others follow.
const ORDER: [&str; 8] =
    ["verify_service", "phone", "action", "feedback", "log_streams", "mfa", "universal_login", "branding"];

/// Longest line with a comment behind a value.
const LINE_MAX: usize = 120;

/// The file, with what a person should know as comments.
pub fn manifest(doc: &Doc, adopted: &Adopted) -> String {
    let mut out = schema::modeline(schema::FILE);
    let _ = writeln!(
        out,
        "# Written by `lockstep adopt`: what {} and {} had. Set the variables that it names, then look at `lockstep plan`:\n\
         # nothing is changed before `lockstep apply`.",
        comment(&doc.head.tenant),
        comment(&doc.head.account)
    );
    if !doc.variables().is_empty() {
        out.push_str("#\n# Variables to set. Values of secrets were not read, or not kept:\n");
        for variable in doc.variables() {
            let _ = writeln!(out, "#   {}  for {}", variable.name, comment(&variable.key));
        }
    }
    list("The tenant has what this file does not say:", &adopted.left, &mut out);
    list(
        "A first apply would change these, because a manifest cannot say how they are now:",
        &adopted.changes,
        &mut out,
    );
    out.push('\n');
    out.push_str(&body(doc));
    out.push_str(
        "\n# What only the Twilio Console shows. Look, then say so (docs/attest.md).\n\
         # attest:\n\
         #   fraud_guard: { level: standard, by: jo@acme.example, on: 2026-11-20, until: 2027-05-20 }\n",
    );
    out
}

fn list(title: &str, lines: &[String], out: &mut String) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "#\n# {title}");
    for line in lines {
        let _ = writeln!(out, "# - {}", comment(line));
    }
}

/// A text as a part of a comment: one line that steers nothing.
pub(super) fn comment(text: &str) -> String {
    line_of(text, 400)
}

/// The file without the comments at its top.
pub fn body(doc: &Doc) -> String {
    let head = &doc.head;
    let of = |name: &str| match (head.in_fleet, name) {
        (false, name) => format!("${{env.{name}}}"),
        (true, "AUTH0_DOMAIN") => "${tenant.domain}".to_owned(),
        (true, "TWILIO_ACCOUNT_SID") => "${tenant.account_sid}".to_owned(),
        (true, name) => format!("${{env.{name}_${{tenant.key}}}}"),
    };
    let keys = [("api_key", "TWILIO_API_KEY"), ("api_secret", "TWILIO_API_SECRET")];
    let twilio = if head.by_token { &[("auth_token", "TWILIO_AUTH_TOKEN")][..] } else { &keys };
    let mut out = format!("lockstep: v1\nstack: {}\n", scalar(&doc.stack));
    let auth0 = [
        ("domain", "AUTH0_DOMAIN"),
        ("client_id", "AUTH0_CLIENT_ID"),
        ("client_secret", "AUTH0_CLIENT_SECRET"),
    ];
    let twilio = [&[("account_sid", "TWILIO_ACCOUNT_SID")], twilio].concat();
    for (section, keys) in [("auth0", auth0.as_slice()), ("twilio", twilio.as_slice())] {
        let _ = writeln!(out, "\n{section}:");
        for (key, name) in keys {
            let _ = writeln!(out, "  {key}: {}", of(name));
        }
    }
    let sections = kinds::sections();
    let roots: BTreeSet<&str> =
        sections.iter().filter_map(|section| section.path.split('.').next()).collect();
    let rest = roots.iter().copied().filter(|root| !ORDER.contains(root));
    for root in ORDER.into_iter().chain(rest) {
        write_section(&sections, root, doc, &mut out);
    }
    out
}

/// Writes a section, and the sections in it.
fn write_section(sections: &[&'static Section], path: &str, doc: &Doc, out: &mut String) {
    let names: Path = path.split('.').map(str::to_owned).collect();
    if !is_written(doc, &names) {
        return;
    }
    let indent = "  ".repeat(names.len() - 1);
    let section = sections.iter().find(|section| section.path == path);
    if names.len() == 1 {
        out.push('\n');
    }
    if let Some(section) = section {
        let _ = writeln!(out, "{indent}# {}.", sentence(section.doc));
    }
    let _ = writeln!(out, "{indent}{}:", names.last().map(String::as_str).unwrap_or_default());
    if let Some(section) = section {
        write_fields(section.fields, &names, doc, true, out);
        let absent: Vec<&str> = section
            .fields
            .iter()
            .filter(|field| !is_written(doc, &[names.as_slice(), &[field.key.to_owned()]].concat()))
            .map(|field| field.key)
            .collect();
        if !absent.is_empty() {
            let _ = writeln!(out, "{indent}  # not written: {}", absent.join(", "));
        }
    }
    let mut below: Vec<&str> = sections
        .iter()
        .filter(|one| one.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
        .filter_map(|one| one.path.split('.').nth(names.len()))
        .collect();
    below.dedup();
    for name in below {
        write_section(sections, &format!("{path}.{name}"), doc, out);
    }
}

fn is_written(doc: &Doc, path: &[String]) -> bool {
    doc.keys.range(path.to_vec()..).next().is_some_and(|(key, _)| key.starts_with(path))
}

fn sentence(doc: &str) -> String {
    let mut letters = doc.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", letters.as_str().trim_end_matches('.'))
}

/// Writes the keys of a mapping. Each key is explained once.
fn write_fields(fields: &'static [Field], path: &[String], doc: &Doc, explain: bool, out: &mut String) {
    let indent = "  ".repeat(path.len());
    for field in fields {
        let path = [path, &[field.key.to_owned()]].concat();
        if !is_written(doc, &path) {
            continue;
        }
        if let Some(said) = doc.keys.get(&path) {
            let line = format!("{indent}{}: {}", field.key, value(said));
            let about = field.doc.trim_end_matches('.');
            match explain && line.len() + about.len() + 4 <= LINE_MAX {
                true => drop(writeln!(out, "{line}  # {about}")),
                false => drop(writeln!(out, "{line}")),
            }
            continue;
        }
        let _ = writeln!(
            out,
            "{indent}{}:{}",
            field.key,
            if explain { format!("  # {}", field.doc) } else { String::new() }
        );
        match field.ty {
            Type::Object(inner) => write_fields(inner, &path, doc, explain, out),
            Type::Map { .. } => {
                for (key, said) in doc.keys.iter().filter(|(key, _)| key.starts_with(&path)) {
                    let name = key.last().map(String::as_str).unwrap_or_default();
                    let note = match (said, names::reference(key)) {
                        (Said::Reference(_), Some(_)) => "  # cannot be read: taken from its name",
                        _ => "",
                    };
                    let _ = writeln!(out, "{indent}  {}: {}{note}", scalar(name), value(said));
                }
            }
            Type::Named { fields: inner, .. } => {
                let names: BTreeSet<&String> = doc
                    .keys
                    .keys()
                    .filter(|key| key.starts_with(&path))
                    .filter_map(|key| key.get(path.len()))
                    .collect();
                for (at, name) in names.into_iter().enumerate() {
                    let _ = writeln!(out, "{indent}  {}:", scalar(name));
                    write_fields(
                        inner,
                        &[path.as_slice(), std::slice::from_ref(name)].concat(),
                        doc,
                        explain && at == 0,
                        out,
                    );
                }
            }
            _ => {}
        }
    }
}

pub(super) fn value(said: &Said) -> String {
    match said {
        Said::Plain(json) => plain(json),
        Said::Env(name) => format!("${{env.{name}}}"),
        Said::Reference(target) => format!("${{{target}}}"),
        // Code that has no file yet is only drawn in tests of this module.
        Said::File(name) => scalar(&format!("./{name}")),
        Said::Code(_) => "builtin:none".into(),
    }
}

fn plain(json: &Json) -> String {
    match json {
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Json::Object(members) if members.is_empty() => "{}".into(),
        other => other.to_string(),
    }
}

/// A text as a scalar: as it is if it can only be read as that text, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|ch: char| ch.is_ascii_alphabetic() || ch == '.')
        && text.chars().all(|ch| ch.is_ascii_alphanumeric() || " _-./@".contains(ch) || ch == ':')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text.len() <= 200;
    let is_version = text.split('.').count() > 2
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_version {
        return text.to_owned();
    }
    let is_taken = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
        || text.starts_with('.') && !text.starts_with("./");
    if is_word && !is_taken {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    let text = text.replace("${", "$${");
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ch if steers(ch) && u32::from(ch) <= 0xff => drop(write!(out, "\\x{:02X}", u32::from(ch))),
            ch if steers(ch) && u32::from(ch) <= 0xffff => drop(write!(out, "\\u{:04X}", u32::from(ch))),
            ch if steers(ch) => drop(write!(out, "\\U{:08X}", u32::from(ch))),
            ch => out.push(ch),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_reads_back_as_itself() {
        for text in [
            "Acme",
            "on",
            "No",
            "6.2",
            "- x",
            "a: b",
            "a #b",
            "x${env.HOME}",
            "\"",
            "\\",
            "a\nb",
            "|",
            "> x",
            "\u{1b}[31m",
            "\u{202e}x",
            "\u{e0001}",
            "",
            " a",
            "a ",
            "@x",
            "`x",
            "{a}",
            "[a]",
            "~",
            "null",
            "*a",
            "&a",
            "!x",
            "%x",
            "a:",
            "https://a.example/b",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "é",
            "🙂",
            "..",
            "./x",
            "0x1",
            "1_0",
            "2026-11-20",
        ] {
            let yaml = format!("a: {}\n", scalar(text));
            let read: Json = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
            assert_eq!(read["a"], Json::String(text.replace("${", "$${")), "{yaml}");
            assert!(!yaml.trim_end().chars().any(steers), "{yaml:?}");
        }
    }
}

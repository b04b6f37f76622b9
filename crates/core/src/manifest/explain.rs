//! A key or a section of the manifest in words, out of the tables: for `lockstep explain`.

use std::fmt::Write as _;

use super::Tables;
use super::reference::{example, value};
use crate::model::field::{Field, Section, Type};

/// What a dotted key or section means; a name of your choice in it may be any. `None`: there is no such key.
pub fn explain(tables: &Tables, key: &str) -> Option<String> {
    if let Some(section) = tables.sections.iter().find(|section| section.path == key && !key.is_empty()) {
        return Some(of_section(tables, section));
    }
    // The longest section comes first: `action.binding.position` is a key of `action.binding`.
    let mut sections: Vec<&Section> = tables.sections.clone();
    sections.sort_by_key(|section| std::cmp::Reverse(section.path.len()));
    sections.into_iter().find_map(|section| {
        let inside = match section.path {
            "" => key,
            path => key.strip_prefix(path)?.strip_prefix('.')?,
        };
        let names: Vec<&str> = inside.split('.').collect();
        Some(of_key(key, section, found(section.fields, &names)?))
    })
}

/// Every section and key, with `NAME` for a name of your choice.
pub fn keys(tables: &Tables) -> Vec<String> {
    let mut out = Vec::new();
    for section in &tables.sections {
        let prefix = if section.path.is_empty() { String::new() } else { format!("{}.", section.path) };
        out.extend(Some(section.path.to_owned()).filter(|path| !path.is_empty()));
        walk(section.fields, &prefix, &mut |key, _| out.push(key));
    }
    out
}

/// The field that the names lead to; none if a name leads nowhere, or into something that has no keys.
fn found(fields: &'static [Field], names: &[&str]) -> Option<&'static Field> {
    let (first, rest) = names.split_first()?;
    let field = fields.iter().find(|field| field.key == *first)?;
    match (field.ty, rest) {
        (_, []) => Some(field),
        (Type::Object(inner), rest) => found(inner, rest),
        (Type::Map { .. } | Type::Named { .. }, [_]) => Some(field),
        (Type::Named { fields, .. }, [_, rest @ ..]) => found(fields, rest),
        _ => None,
    }
}

fn walk(fields: &'static [Field], prefix: &str, take: &mut impl FnMut(String, &'static Field)) {
    for field in fields {
        let key = format!("{prefix}{}", field.key);
        take(key.clone(), field);
        match field.ty {
            Type::Object(inner) => walk(inner, &format!("{key}."), take),
            Type::Named { fields, .. } => walk(fields, &format!("{key}.NAME."), take),
            _ => {}
        }
    }
}

fn of_section(tables: &Tables, section: &'static Section) -> String {
    let mut out = format!("{}: {}\n", section.path, section.doc);
    if section.required {
        out.push_str("The manifest is refused without it.\n");
    }
    out.push('\n');
    list(section.fields, &mut out);
    let below = tables.sections.iter().map(|other| other.path).filter(|path| is_below(path, section.path));
    let below: Vec<&str> = below.collect();
    if !below.is_empty() {
        let _ = writeln!(out, "\nSections below it: {}", below.join(", "));
    }
    with_example(section, out)
}

fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn of_key(key: &str, section: &'static Section, field: &'static Field) -> String {
    let mut out = format!("{key}: {}\n\n", field.doc);
    let without = match (field.default, field.required) {
        (Some(default), _) => default.to_owned(),
        (None, true) if !field.unless.is_empty() => {
            format!("the manifest is refused, unless it has {} beside it", field.unless.join(" or "))
        }
        (None, true) => "the manifest is refused".to_owned(),
        // The head of the manifest and the connection are no settings of the tenant.
        (None, false) if ["", "auth0", "twilio"].contains(&section.path) => "there is none".to_owned(),
        (None, false) => {
            "the setting keeps the value that it has on the tenant, unless the line above says otherwise"
                .to_owned()
        }
    };
    let sent = match field.wire {
        "" => None,
        "(array)" => Some("the whole body"),
        wire => Some(wire),
    };
    let value = plain(&value(field));
    for (name, what) in
        [("Value", Some(value.as_str())), ("Without it", Some(without.as_str())), ("Sent as", sent)]
    {
        if let Some(what) = what {
            let _ = writeln!(out, "  {name:<11} {what}");
        }
    }
    if let Type::Object(fields) | Type::Named { fields, .. } = field.ty {
        out.push_str("\nKeys:\n\n");
        list(fields, &mut out);
    }
    with_example(section, out)
}

/// Keys with what they mean, in a straight column.
fn list(fields: &'static [Field], out: &mut String) {
    let mut rows = Vec::new();
    walk(fields, "", &mut |key, field| rows.push((key, field)));
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, field) in rows {
        let _ = writeln!(out, "  {key:<width$}  {}", field.doc);
    }
}

fn with_example(section: &Section, mut out: String) -> String {
    if let Some(example) = example(section.path) {
        out.push_str("\nAn example:\n\n");
        example.lines().for_each(|line| {
            let _ = writeln!(out, "{}", format!("  {line}").trim_end());
        });
    }
    out
}

/// The words of the reference page without its marks.
fn plain(marked: &str) -> String {
    marked.replace("**", "").replace('`', "")
}

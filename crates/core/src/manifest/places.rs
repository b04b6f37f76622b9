//! Where the fields of resources stand in the manifest, out of the kinds' tables.
//!
//! A key says the field of its own name of its section's resource; where it does not, [`Field::says`] has what it says.

use crate::kinds::{KINDS, SaidBy, by_name, sections};
use crate::model::address::Address;
use crate::model::field::{Field, Section, Type};
use crate::model::manifest::Manifest;

/// A key of the manifest and one field that it says. In each text a `*` stands for a name that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// `log_streams.http.*.custom_headers.*`.
    pub place: String,
    /// Name of the kind, `log_stream`.
    pub kind: &'static str,
    /// `log_stream.*`.
    pub address: String,
    /// `custom_headers.*`.
    pub field: String,
}

/// Which key of the manifest says a field of a resource (`verify_service` and `code_length`: `verify_service.code_length`).
/// `None`: no key does, the value follows from the stack itself.
pub fn place(manifest: &Manifest, address: &Address, field: &str) -> Option<String> {
    let kind = by_name(address.kind())?;
    match kind.said_by(manifest, address, field) {
        SaidBy::Tables => by_tables(kind.name(), address.as_str(), field).map(|path| path.join(".")),
        SaidBy::Key(key) => Some(key),
        SaidBy::Nothing => None,
    }
}

/// The path at which a manifest says a field that the tenant has, even one that this manifest does not say yet.
pub fn path_to_write(manifest: &Manifest, address: &Address, field: &str) -> Option<Vec<String>> {
    let kind = by_name(address.kind())?;
    if let Some(path) = kind.adopted_at(address, field) {
        return Some(path);
    }
    match kind.said_by(manifest, address, field) {
        SaidBy::Tables => by_tables(kind.name(), address.as_str(), field),
        SaidBy::Key(key) => Some(key.split('.').map(str::to_owned).collect()),
        SaidBy::Nothing => None,
    }
}

/// What all keys of its own section (or of others, where it has none) that say something of a resource stand in (`log_streams.http.siem`). What is no
/// resource is taken for a key itself.
pub fn of_resource(address: &Address) -> String {
    let Some(kind) = by_name(address.kind()) else { return address.to_string() };
    let within = |sections: &[&'static Section]| common(kind.name(), address, sections);
    let section = || kind.sections().first().map_or("", |section| section.path);
    let place = within(kind.sections()).or_else(|| within(&sections()));
    place.unwrap_or_else(|| section().to_owned())
}

/// What all keys of some sections that say something of a resource stand in; `None`: none does, or they have nothing in
/// common.
fn common(kind: &str, address: &Address, sections: &[&'static Section]) -> Option<String> {
    let sayings = sections.iter().flat_map(|section| sayings(section));
    let places = sayings.filter(|saying| saying.kind == kind).filter_map(|saying| {
        let name = fits(&saying.address, address.as_str())?;
        // The names behind that of the resource are those of its fields.
        Some(match (name, saying.place.split_once('*')) {
            (Some(name), Some((before, behind))) => {
                format!("{before}{name}{}", behind.split(".*").next().unwrap_or_default())
            }
            (_, Some((before, _))) => before.trim_end_matches('.').to_owned(),
            (_, None) => saying.place,
        })
    });
    let common = places.reduce(|one, other| {
        let same = one.split('.').zip(other.split('.')).take_while(|(one, other)| one == other);
        same.map(|(part, _)| part).collect::<Vec<_>>().join(".")
    });
    common.filter(|place| !place.is_empty())
}

/// The same by the tables alone. A key that says this very field goes before one that says any field of a mapping.
fn by_tables(kind: &str, address: &str, field: &str) -> Option<Vec<String>> {
    let mut found: Vec<(bool, Vec<String>)> = sections()
        .into_iter()
        .flat_map(sayings)
        .filter(|saying| saying.kind == kind)
        .filter_map(|saying| {
            let names = [fits(&saying.address, address)?, fits(&saying.field, field)?];
            Some((saying.field.ends_with('*'), filled(&saying.place, names.into_iter().flatten())?))
        })
        .collect();
    found.sort_by_key(|(is_any, _)| *is_any);
    found.into_iter().next().map(|(_, place)| place)
}

/// What the free name of a pattern is in a text, if it has one; `None`: the text is another one.
fn fits<'a>(pattern: &str, text: &'a str) -> Option<Option<&'a str>> {
    match pattern.strip_suffix('*') {
        Some(start) => text.strip_prefix(start).filter(|name| !name.is_empty()).map(Some),
        None => (pattern == text).then_some(None),
    }
}

/// The path of a pattern with its free names filled in, if there is one for each.
fn filled<'a>(pattern: &str, mut names: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let part = |part: &str| if part == "*" { names.next().map(str::to_owned) } else { Some(part.to_owned()) };
    let path: Vec<String> = pattern.split('.').map(part).collect::<Option<_>>()?;
    names.next().is_none().then_some(path)
}

/// Every key that holds a value, with its row, in the order of the tables. In each key a `*` stands for a name that is
/// free.
pub fn keys() -> Vec<(String, &'static Field)> {
    fn walk(fields: &'static [Field], prefix: &str, out: &mut Vec<(String, &'static Field)>) {
        for field in fields {
            let key = format!("{prefix}{}", field.key);
            match field.ty {
                Type::Object(inner) => walk(inner, &format!("{key}."), out),
                Type::Named { fields: inner, .. } => walk(inner, &format!("{key}.*."), out),
                Type::Map { .. } => out.push((format!("{key}.*"), field)),
                _ => out.push((key, field)),
            }
        }
    }
    let mut out = Vec::new();
    for section in sections() {
        walk(section.fields, &format!("{}.", section.path), &mut out);
    }
    out
}

/// Whether a key has the form of a pattern. The name in place of a `*` may have dots.
pub fn matches(pattern: &str, key: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == key };
    let Some(left) = key.strip_prefix(start) else { return false };
    let ends = left.char_indices().map(|(at, ch)| at + ch.len_utf8());
    ends.into_iter().any(|end| matches(rest, &left[end..]))
}

/// All that the keys of a section say, in the order of its table.
pub fn sayings(section: &'static Section) -> Vec<Saying> {
    let own = KINDS.iter().filter(|kind| kind.sections().iter().any(|one| one.path == section.path));
    let own: Vec<&'static str> = own.map(|kind| kind.name()).collect();
    let mut out = Vec::new();
    walk(section.fields, section.path, &Of { own: &own, address: "", field: "", is_whole: false }, &mut out);
    out
}

/// What is said of a resource by what a key stands in.
struct Of<'a> {
    /// Kinds whose section this is.
    own: &'a [&'static str],
    /// Empty: their only resources.
    address: &'a str,
    /// So far.
    field: &'a str,
    /// Everything inside says that field.
    is_whole: bool,
}

fn walk(fields: &'static [Field], place: &str, of: &Of<'_>, out: &mut Vec<Saying>) {
    for field in fields {
        let named = matches!(field.ty, Type::Map { .. } | Type::Named { .. });
        let star = if named { ".*" } else { "" };
        let place = format!("{place}.{}{star}", field.key);
        let below = |name: &str, rest: &str| match name {
            "" => rest.to_owned(),
            name => format!("{name}.{rest}"),
        };
        let mut say = |address: &str, name: &str, is_whole: bool| {
            let of = Of { address, field: name, is_whole, ..*of };
            match field.ty {
                Type::Object(inner) | Type::Named { fields: inner, .. } => walk(inner, &place, &of, out),
                _ => leaf(&place, &of, out),
            }
        };
        if field.says.is_empty() {
            let name = match of.is_whole {
                true => of.field.to_owned(),
                false => below(of.field, &format!("{}{star}", field.key)),
            };
            say(of.address, &name, of.is_whole);
        }
        for says in field.says {
            let address = match says.address {
                "" => of.address.to_owned(),
                address if named => address.to_owned(),
                address => address.replace('*', field.key),
            };
            say(&address, says.field, !says.field.is_empty());
        }
    }
}

fn leaf(place: &str, of: &Of<'_>, out: &mut Vec<Saying>) {
    let say = |kind: &'static str, address: &str| Saying {
        place: place.to_owned(),
        kind,
        address: address.to_owned(),
        field: of.field.to_owned(),
    };
    let kind = of.address.split('.').next().unwrap_or_default();
    match by_name(kind) {
        Some(kind) => out.push(say(kind.name(), of.address)),
        None => out.extend(of.own.iter().map(|name| say(name, name))),
    }
}

//! Sections and fields of the manifest, as data.
//!
//! Each kind lists its fields in one table. The parser, the checks, the reference page and the generated tests
//! all walk that table, so a field exists everywhere or nowhere.

/// A mapping in the manifest, found at a dotted path (`verify_service`, `feedback.log_stream`).
#[derive(Debug)]
pub struct Section {
    /// Dotted path from the root; empty for the root itself.
    pub path: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
    /// A manifest without this section is refused.
    pub required: bool,
}

/// One key of a section.
#[derive(Debug)]
pub struct Field {
    pub key: &'static str,
    pub ty: Type,
    /// The value used when the key is absent, as YAML text. `None`: an absent key means that the setting is not managed
    /// (or that the manifest is refused, if the field is required).
    pub default: Option<&'static str>,
    pub required: bool,
    /// Keys beside it; where one of them is written, this one is not required.
    pub unless: &'static [&'static str],
    /// The value is handled as a secret, wherever it comes from.
    pub secret: bool,
    /// The text may have several lines. In other fields, a text with a control character is refused.
    pub lines: bool,
    /// The request property that carries the value (`CodeLength`, `sink.httpEndpoint`); empty for a field that is not
    /// sent.
    pub wire: &'static str,
    /// What it says, where that is not the field of its own name of the section's resource.
    pub says: &'static [Says],
    pub doc: &'static str,
}

/// A field of a resource that a key says. What stands inside the key says the same, or fields of that resource.
#[derive(Clone, Copy, Debug)]
pub struct Says {
    /// Address of the resource; `*` is the name of an entry of the key, or else the key. Empty: as what the key is in.
    pub address: &'static str,
    /// Name of its field. Empty: each key inside says the field of its own name.
    pub field: &'static str,
}

/// A field that a key says.
pub const fn says(address: &'static str, field: &'static str) -> Says {
    Says { address, field }
}

/// A plain optional field; the tables spell out only what differs (`Field { secret: true, ..FIELD }`).
pub const FIELD: Field = Field {
    key: "",
    ty: Type::Bool,
    default: None,
    required: false,
    unless: &[],
    secret: false,
    lines: false,
    wire: "",
    says: &[],
    doc: "",
};

/// What a field accepts.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Text of `min..=max` characters that also passes the check, if there is one.
    Text { min: usize, max: usize, check: Option<Check> },
    /// Whole number in `min..=max`.
    Int { min: i64, max: i64 },
    /// `true` / `false`; `on`, `off`, `yes`, `no` are accepted too.
    Bool,
    /// Exactly one of these words.
    OneOf(&'static [&'static str]),
    /// One of these words. Another word is accepted with a warning, because the vendor's list grows.
    OpenOneOf(&'static [&'static str]),
    /// A runtime release on which a vendor runs code.
    Release(&'static Releases),
    /// A list without order or repeats. Each entry is one of these words, or any text when the list of words is empty.
    Set(&'static [&'static str]),
    /// A mapping from free names to text; flattened to `key.NAME`. `max` names at most.
    Map { max: usize },
    /// Source code: `builtin:NAME`, or a path below the manifest's folder. The value is the source text.
    Code,
    /// A mapping with fixed keys; flattened to `key.inner`.
    Object(&'static [Field]),
    /// A mapping from free names to mappings with these keys; flattened to `key.NAME.inner`. `max` names at most.
    Named { max: usize, fields: &'static [Field] },
    /// A list of mappings with these keys; flattened to `key.POSITION.inner`, counted from 0. `max` mappings at most.
    List { max: usize, fields: &'static [Field] },
    /// A value of any type, as plain data.
    Any,
}

/// The runtime releases on which a vendor runs code. The list grows, so an unknown word is accepted with a warning.
#[derive(Debug)]
pub struct Releases {
    pub known: &'static [&'static str],
    /// Known words that the vendor's API spells differently: our word, then the API's.
    pub spelled: &'static [(&'static str, &'static str)],
    /// Releases that can no longer be deployed.
    pub retired: &'static [&'static str],
}

impl Releases {
    /// This program's word for a release, given in either spelling.
    pub fn ours<'a>(&self, word: &'a str) -> &'a str {
        self.spelled.iter().find(|(_, theirs)| *theirs == word).map_or(word, |(ours, _)| ours)
    }

    /// The vendor's word for a release.
    pub fn theirs<'a>(&self, word: &'a str) -> &'a str {
        self.spelled.iter().find(|(ours, _)| *ours == word).map_or(word, |(_, theirs)| theirs)
    }
}

/// A check of a text beyond its length.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Every text that passes has this form, written as JSON Schema and editors understand it. Empty: no form is known.
    pub form: &'static str,
    pub test: Test,
}

/// The error is (what is wrong, what to do).
pub type Test = fn(&str) -> Result<(), (String, String)>;

/// A check whose passing texts have the form.
pub const fn form(form: &'static str, test: Test) -> Option<Check> {
    Some(Check { form, test })
}

/// The fields of a table in table order, with objects flattened: dotted key and field. A map stays one field.
pub fn flat(fields: &'static [Field]) -> Vec<(String, &'static Field)> {
    let mut out = Vec::new();
    for field in fields {
        match field.ty {
            Type::Object(inner) => {
                out.extend(
                    flat(inner).into_iter().map(|(key, inner)| (format!("{}.{key}", field.key), inner)),
                );
            }
            _ => out.push((field.key.to_owned(), field)),
        }
    }
    out
}

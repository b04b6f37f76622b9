//! Manifests drawn along the tables of fields, with and without one structural mistake, and what the program says of
//! each. `examples/schema_corpus.rs` writes them for validators of others.

use std::collections::BTreeSet;

use lockstep::manifest::{self, FileError, Missing, Sources, Tables};
use lockstep::model::field::{Field, Type};
use lockstep::model::random::Random;
use lockstep::plan::desired::tables;
use serde_json::{Map, Value as Json, json};

/// A manifest of the corpus.
pub struct Drawn {
    pub manifest: Json,
    /// Which mistake it has, and where.
    pub mistake: Option<(&'static str, String)>,
    /// Whether the program accepts its structure.
    pub accepted: bool,
}

/// Mistakes that a schema cannot say, each with the reason: it accepts them, and the program refuses them.
pub const UNSAID: &[(&str, &str)] = &[
    ("leads nowhere", "a schema does not know which keys this manifest has"),
    ("leads in a circle", "a schema follows no reference"),
    ("an output where a value is needed at once", "the form of an output is that of a key"),
    ("a day that no month has", "a pattern does not know the calendar"),
    ("a decimal number that is whole", "to JSON Schema 6.0 is an integer"),
    ("a URL with a password", "the form of what a URL names is checked by the program"),
];

/// The mistakes that are made on purpose.
const MISTAKES: [&str; 40] = [
    "an unknown key",
    "a key of another section",
    "a required key is missing",
    "a list for a value",
    "a mapping for a value",
    "a number for a text",
    "a truth value for a text",
    "a text for a number",
    "a quoted number",
    "a text for a truth value",
    "a text for a list",
    "a reference for a list",
    "a text for a mapping",
    "a list for a mapping",
    "nothing for a value",
    "too small",
    "too large",
    "too long",
    "too short",
    "another form",
    "an unknown word",
    "an unknown word in a list",
    "a retired release",
    "an entry twice",
    "a secret in clear",
    "a secret of a mapping in clear",
    "too many names",
    "a control character",
    "a control character in a name",
    "a reference that cannot be read",
    "a secret reference for what takes none",
    "a reference in a path of code",
    "a path that leads out",
    "another version",
    "two ways to log in",
    "no way to log in",
    "half a way to log in",
    "an empty group",
    "a section is missing",
    "a built-in that does not exist",
];

/// Texts of which each form of the tables has at least one.
const TEXTS: &[&str] = &[
    "a text",
    "acme-login",
    "acme.eu.auth0.com",
    "none",
    "new",
    "first",
    "before Another one",
    "#112233",
    "2026-11-20",
    "/path",
    "https://acme.example/x?y=1",
    "",
    "$${plain}",
    "AC0123456789abcdef0123456789abcdef",
    "SK0123456789abcdef0123456789abcdef",
    "VA0123456789abcdef0123456789abcdef",
    "MG0123456789abcdef0123456789abcdef",
    "HJ0123456789abcdef0123456789abcdef",
    "CR0123456789abcdef0123456789abcdef",
    "MD0123456789abcdef0123456789abcdef",
];

/// What stands at a path of a drawn manifest.
enum What {
    Field(&'static Field),
    /// An entry of a mapping from names to texts.
    Entry(&'static Field),
    Mapping {
        fields: &'static [Field],
        is_group: bool,
    },
}

struct Draw<'a> {
    random: Random,
    tables: &'a Tables,
    spots: Vec<(Vec<String>, What)>,
    variables: usize,
}

/// The manifest of a number; every second one has a mistake.
pub fn drawn(number: u64) -> Drawn {
    let tables = tables();
    let mut draw = Draw { random: Random::new(number), tables: &tables, spots: Vec::new(), variables: 0 };
    let mut manifest = draw.mapping("", &[]);
    let mut mistake = None;
    if number % 2 == 1 {
        let count = MISTAKES.len() + UNSAID.len();
        // Not every manifest has a place for every mistake.
        while mistake.is_none() {
            let at = draw.below(count);
            let name = MISTAKES.get(at).copied().unwrap_or_else(|| UNSAID[at - MISTAKES.len()].0);
            mistake = draw.spoil(name, &mut manifest).map(|place| (name, place));
        }
    }
    let accepted = accepts(&manifest, &tables);
    Drawn { manifest, mistake, accepted }
}

/// Outside knowledge for a structure: nothing has a value, and every file of code is there.
struct Nothing;

impl Sources for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, FileError> {
        Ok("exports.handler = () => {};".to_owned())
    }
}

/// Whether the program accepts the structure: the keys, the values and the references, without the checks of what stands
/// together.
fn accepts(manifest: &Json, tables: &Tables) -> bool {
    match manifest::parse("m.yaml", &manifest.to_string(), tables) {
        Ok((parsed, _)) => manifest::resolve(&parsed, &Nothing, Missing::Unknown).is_ok(),
        Err(_) => false,
    }
}

impl Draw<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.random.up_to(count.saturating_sub(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A reference to a variable of its own: one that fills a secret must not stand anywhere else.
    fn reference(&mut self) -> String {
        self.variables += 1;
        format!("${{env.VALUE_{}}}", self.variables)
    }

    fn mapping(&mut self, path: &str, names: &[String]) -> Json {
        let tables = self.tables;
        let section = tables.sections.iter().copied().find(|section| section.path == path);
        let fields = section.map_or(&[][..], |section| section.fields);
        let says = |field: &Field| field.required || field.default.is_some();
        let inner: Vec<&str> = tables
            .sections
            .iter()
            .filter_map(|section| match path {
                "" => Some(section.path),
                path => section.path.strip_prefix(path)?.strip_prefix('.'),
            })
            .filter_map(|rest| rest.split('.').next())
            .filter(|name| !name.is_empty())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let is_group = !inner.is_empty() && !fields.iter().any(says) && !path.is_empty();
        self.spots.push((names.to_vec(), What::Mapping { fields, is_group }));
        let mut out = self.fields(fields, names);
        for name in &inner {
            let below = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
            let is_required = tables.sections.iter().any(|section| section.path == below && section.required);
            if is_required || self.one_in(3) {
                out.insert((*name).to_owned(), self.mapping(&below, &extend(names, name)));
            }
        }
        if is_group && out.is_empty() {
            let name = inner[self.below(inner.len())];
            out.insert(name.to_owned(), self.mapping(&format!("{path}.{name}"), &extend(names, name)));
        }
        match path {
            "" => drop(out.insert("lockstep".into(), json!("v1"))),
            "auth0" => self.logs_in(&mut out, &[&["client_secret"], &["private_key"]]),
            "twilio" => self.logs_in(&mut out, &[&["api_key", "api_secret"], &["auth_token"]]),
            _ => {}
        }
        Json::Object(out)
    }

    /// Exactly one of the ways.
    fn logs_in(&mut self, section: &mut Map<String, Json>, ways: &[&[&str]]) {
        ways.iter().flat_map(|way| way.iter()).for_each(|key| drop(section.remove(*key)));
        for key in self.pick(ways) {
            section.insert((*key).to_owned(), json!(self.reference()));
        }
        self.spots.retain(|(names, _)| {
            let key = names.get(1).map(String::as_str).unwrap_or_default();
            names.len() != 2 || !ways.iter().any(|way| way.contains(&key)) || section.contains_key(key)
        });
    }

    fn fields(&mut self, fields: &'static [Field], names: &[String]) -> Map<String, Json> {
        let mut out = Map::new();
        for field in fields {
            if field.required || self.one_in(3) {
                let names = extend(names, field.key);
                self.spots.push((names.clone(), What::Field(field)));
                let value = self.value(field, &names);
                out.insert(field.key.to_owned(), value);
            }
        }
        out
    }

    fn value(&mut self, field: &'static Field, names: &[String]) -> Json {
        let is_scalar = !matches!(
            field.ty,
            Type::Set(_)
                | Type::Map { .. }
                | Type::Object(_)
                | Type::Named { .. }
                | Type::List { .. }
                | Type::Code
        );
        if is_scalar && (field.secret || self.one_in(6)) {
            return json!(self.reference());
        }
        match field.ty {
            Type::Text { min, max, check } => json!(self.text(min, max, check.map(|check| check.test))),
            Type::Int { min, max } => json!(min + self.random.up_to((max - min).min(1000) as u64) as i64),
            Type::Bool => {
                self.pick_json(&[json!(true), json!(false), json!("on"), json!("No"), json!("TRUE")])
            }
            Type::OneOf(words) => json!(self.pick(words)),
            Type::OpenOneOf(words) => {
                if self.one_in(3) {
                    self.pick_json(&[json!("another"), json!(7)])
                } else {
                    json!(self.pick(words))
                }
            }
            Type::Release(releases) => {
                if self.one_in(3) {
                    json!("node99")
                } else {
                    json!(self.pick(releases.known))
                }
            }
            Type::Set([]) => json!(["one", self.reference()]),
            Type::Set(words) => {
                let from = self.below(words.len());
                let mut list: Vec<Json> = words[from..].iter().map(|word| json!(word)).collect();
                if self.one_in(4) {
                    list.push(json!(self.reference()));
                }
                Json::Array(list)
            }
            Type::Map { .. } => {
                let count = self.below(3);
                let entries = (0..count).map(|at| {
                    let names = extend(names, &format!("NAME_{at}"));
                    self.spots.push((names.clone(), What::Entry(field)));
                    let sid = self.one_in(3).then_some("VA0123456789abcdef0123456789abcdef");
                    let text = match field.secret {
                        true => sid.map_or_else(|| self.reference(), str::to_owned),
                        false => self.text(0, usize::MAX, None),
                    };
                    (names[names.len() - 1].clone(), json!(text))
                });
                Json::Object(entries.collect())
            }
            Type::Code => {
                json!(self.pick(&["builtin:twilio-verify", "builtin:verify-feedback", "code/..x/action.js"]))
            }
            Type::Object(fields) => {
                self.spots.push((names.to_vec(), What::Mapping { fields, is_group: false }));
                if self.one_in(8) { Json::Null } else { Json::Object(self.fields(fields, names)) }
            }
            Type::Any => {
                self.pick_json(&[json!("x"), json!(5), json!([1, "a"]), json!({ "a": true }), Json::Null])
            }
            Type::List { fields, .. } => {
                let count = self.below(3);
                let entries = (0..count).map(|at| {
                    let names = extend(names, &at.to_string());
                    self.spots.push((names.clone(), What::Mapping { fields, is_group: false }));
                    Json::Object(self.fields(fields, &names))
                });
                Json::Array(entries.collect())
            }
            Type::Named { fields, .. } => {
                let count = self.below(3);
                let entries = (0..count).map(|at| {
                    let name = format!("name-{at}");
                    let names = extend(names, &name);
                    self.spots.push((names.clone(), What::Mapping { fields, is_group: false }));
                    let is_bare = !fields.iter().any(|field| field.required) && self.one_in(6);
                    (name, if is_bare { Json::Null } else { Json::Object(self.fields(fields, &names)) })
                });
                Json::Object(entries.collect())
            }
        }
    }

    fn pick_json(&mut self, of: &[Json]) -> Json {
        of[self.below(of.len())].clone()
    }

    fn text(&mut self, min: usize, max: usize, test: Option<lockstep::model::field::Test>) -> String {
        let fits = |text: &&&str| {
            (min..=max).contains(&text.replace("$${", "${").chars().count())
                && test.is_none_or(|test| test(&text.replace("$${", "${")).is_ok())
        };
        let fitting: Vec<&&str> = TEXTS.iter().filter(fits).collect();
        match fitting.as_slice() {
            [] => self.reference(),
            texts => (*self.pick(texts)).to_owned(),
        }
    }

    /// Makes a mistake of that name somewhere, if the manifest has a place for it.
    fn spoil(&mut self, mistake: &str, manifest: &mut Json) -> Option<String> {
        let field = |wanted: &dyn Fn(&Field) -> bool, what: &What| matches!(what, What::Field(field) if wanted(field));
        let of_type = |wanted: &'static dyn Fn(&Type) -> bool| move |what: &What| matches!(what, What::Field(field) if wanted(&field.ty));
        let plain_text =
            |what: &What| field(&|field| matches!(field.ty, Type::Text { .. }) && !field.secret, what);
        let is_int: &'static dyn Fn(&Type) -> bool = &|ty| matches!(ty, Type::Int { .. });
        let is_set: &'static dyn Fn(&Type) -> bool = &|ty| matches!(ty, Type::Set(_));
        let is_code: &'static dyn Fn(&Type) -> bool = &|ty| matches!(ty, Type::Code);
        let is_scalar = |what: &What| match what {
            What::Field(field) => !matches!(
                field.ty,
                Type::Map { .. }
                    | Type::Object(_)
                    | Type::Named { .. }
                    | Type::List { .. }
                    | Type::Set(_)
                    | Type::Any
            ),
            What::Entry(_) => true,
            What::Mapping { .. } => false,
        };
        let is_mapping = |what: &What| match what {
            What::Field(field) => matches!(field.ty, Type::Map { .. } | Type::Object(_) | Type::Named { .. }),
            What::Entry(_) => false,
            What::Mapping { .. } => true,
        };
        let is_known_mapping = |what: &What| matches!(what, What::Mapping { .. });
        let set = |draw: &mut Self, manifest: &mut Json, fits: &dyn Fn(&What) -> bool, value: Json| {
            let (names, _) = draw.spot(manifest, fits)?;
            *at(manifest, &names)? = value;
            Some(names.join("."))
        };
        let insert =
            |draw: &mut Self, manifest: &mut Json, fits: &dyn Fn(&What) -> bool, key: &str, value: Json| {
                let (names, _) = draw.spot(manifest, fits)?;
                let mapping = at(manifest, &names)?.as_object_mut()?;
                if mapping.contains_key(key) {
                    return None;
                }
                mapping.insert(key.to_owned(), value);
                Some(format!("{}.{key}", names.join(".")))
            };
        match mistake {
            "an unknown key" => insert(self, manifest, &is_known_mapping, "colour", json!("red")),
            "a key of another section" => {
                insert(self, manifest, &is_known_mapping, "account_sid", json!("x"))
            }
            "a required key is missing" => {
                let required = |what: &What| matches!(what, What::Mapping { fields, .. } if fields.iter().any(|field| field.required));
                let (names, index) = self.spot(manifest, &required)?;
                let What::Mapping { fields, .. } = &self.spots[index].1 else { return None };
                let keys: Vec<&Field> = fields.iter().filter(|field| field.required).collect();
                let Field { key, unless, .. } = self.pick(&keys);
                let mapping = at(manifest, &names)?.as_object_mut()?;
                if unless.iter().any(|key| mapping.contains_key(*key)) {
                    return None;
                }
                mapping.remove(*key)?;
                Some(format!("{}.{key}", names.join(".")))
            }
            "a list for a value" => set(self, manifest, &is_scalar, json!(["a", "b"])),
            "a mapping for a value" => set(self, manifest, &is_scalar, json!({ "a": "b" })),
            "a number for a text" => set(self, manifest, &plain_text, json!(12)),
            "a truth value for a text" => set(self, manifest, &plain_text, json!(true)),
            "a text for a number" => set(self, manifest, &of_type(is_int), json!("six")),
            "a quoted number" => set(self, manifest, &of_type(is_int), json!("6")),
            "a text for a truth value" => {
                set(self, manifest, &of_type(&|ty| matches!(ty, Type::Bool)), json!("maybe"))
            }
            "a text for a list" => set(self, manifest, &of_type(is_set), json!("sms")),
            "a reference for a list" => {
                let reference = self.reference();
                set(self, manifest, &of_type(is_set), json!(reference))
            }
            "a text for a mapping" => set(self, manifest, &is_mapping, json!("a text")),
            "a list for a mapping" => set(self, manifest, &is_mapping, json!(["a"])),
            "nothing for a value" => set(self, manifest, &is_scalar, Json::Null),
            "too small" | "too large" | "a decimal number that is whole" => {
                let (names, index) = self.spot(manifest, &of_type(is_int))?;
                let What::Field(Field { ty: Type::Int { min, max }, .. }) = self.spots[index].1 else {
                    return None;
                };
                let value = match mistake {
                    "too small" => json!(min.checked_sub(1)?),
                    "too large" => json!(max.checked_add(1)?),
                    _ => json!(*min as f64),
                };
                *at(manifest, &names)? = value;
                Some(names.join("."))
            }
            "too long" | "too short" => {
                let bounded = |what: &What| {
                    field(
                        &|field| matches!(field.ty, Type::Text { min, max, check: None } if !field.secret && max < 5000 && (mistake == "too long" || min > 0)),
                        what,
                    )
                };
                let (names, index) = self.spot(manifest, &bounded)?;
                let What::Field(Field { ty: Type::Text { min, max, .. }, .. }) = self.spots[index].1 else {
                    return None;
                };
                let count = if mistake == "too long" { max + 1 } else { min - 1 };
                *at(manifest, &names)? = json!("x".repeat(count));
                Some(names.join("."))
            }
            "another form" => {
                let checked = |what: &What| {
                    field(
                        &|field| matches!(field.ty, Type::Text { check: Some(check), .. } if !field.secret && !check.form.is_empty()),
                        what,
                    )
                };
                let (names, index) = self.spot(manifest, &checked)?;
                let What::Field(Field { ty: Type::Text { min, max, check: Some(check) }, .. }) =
                    self.spots[index].1
                else {
                    return None;
                };
                let odd = ["two words", "UPPER", "a/b", "x!y", "12", "http://acme.example/x", "AC12"];
                let wrong: Vec<&str> = odd
                    .into_iter()
                    .filter(|text| (*min..=*max).contains(&text.len()) && (check.test)(text).is_err())
                    .collect();
                *at(manifest, &names)? = json!(*wrong.get(self.below(wrong.len()))?);
                Some(names.join("."))
            }
            "an unknown word" => {
                set(self, manifest, &of_type(&|ty| matches!(ty, Type::OneOf(_))), json!("another"))
            }
            "an unknown word in a list" => set(
                self,
                manifest,
                &of_type(&|ty| matches!(ty, Type::Set(words) if !words.is_empty())),
                json!(["another"]),
            ),
            "a retired release" => {
                set(self, manifest, &of_type(&|ty| matches!(ty, Type::Release(_))), json!("node12"))
            }
            "an entry twice" => {
                let (names, index) = self.spot(manifest, &of_type(is_set))?;
                let What::Field(Field { ty: Type::Set(words), .. }) = self.spots[index].1 else {
                    return None;
                };
                let word = words.first().unwrap_or(&"one");
                *at(manifest, &names)? = json!([word, word]);
                Some(names.join("."))
            }
            "a secret in clear" => set(
                self,
                manifest,
                &|what| field(&|field| field.secret && matches!(field.ty, Type::Text { .. }), what),
                json!("Xk29sLq0Zt77"),
            ),
            "a secret of a mapping in clear" => {
                let secret = |what: &What| matches!(what, What::Entry(field) if field.secret);
                set(self, manifest, &secret, json!("Xk29sLq0Zt77"))
            }
            "too many names" => {
                let (names, index) = self.spot(manifest, &of_type(&|ty| matches!(ty, Type::Map { .. })))?;
                let What::Field(Field { ty: Type::Map { max }, secret, .. }) = self.spots[index].1 else {
                    return None;
                };
                let text = if *secret { "VA0123456789abcdef0123456789abcdef" } else { "a text" };
                *at(manifest, &names)? = (0..=*max).map(|at| (format!("N{at}"), json!(text))).collect();
                Some(names.join("."))
            }
            "a control character" => {
                let one_line = |what: &What| {
                    field(
                        &|field| {
                            matches!(field.ty, Type::Text { check: None, max, .. } if max > 5)
                                && !field.secret
                                && !field.lines
                        },
                        what,
                    )
                };
                set(self, manifest, &one_line, json!("a\u{7}bcd"))
            }
            "a control character in a name" => {
                let map =
                    |what: &What| field(&|field| matches!(field.ty, Type::Map { .. }) && !field.secret, what);
                insert(self, manifest, &map, "A\u{7}B", json!("a text"))
            }
            "a reference that cannot be read" => {
                let texts = [
                    "${env.A",
                    "${}",
                    "x ${ env.A }",
                    "${env.A-B}",
                    "${env:A}",
                    "${env.1}",
                    "${a..b}",
                    "${file.../x}",
                    "${file./x}",
                    "${var.}",
                    "${env}",
                ];
                let text = self.pick(&texts);
                let any = |what: &What| {
                    field(
                        &|field| {
                            matches!(
                                field.ty,
                                Type::Text { .. } | Type::Int { .. } | Type::Bool | Type::OneOf(_)
                            )
                        },
                        what,
                    )
                };
                set(self, manifest, &any, json!(text))
            }
            "a secret reference for what takes none" => {
                let text = self.pick(&["${file.a.txt}", "${cmd.a}", "${generated.a}"]);
                let no_text = |what: &What| {
                    field(
                        &|field| {
                            matches!(field.ty, Type::Int { .. } | Type::Bool | Type::OneOf(_))
                                && field.key != "lockstep"
                        },
                        what,
                    )
                };
                set(self, manifest, &no_text, json!(text))
            }
            "a reference in a path of code" => {
                set(self, manifest, &of_type(is_code), json!("code/${env.A}.js"))
            }
            "a path that leads out" => {
                let text = self.pick(&["../a.js", "a/../../b.js", "/a.js", "~/a.js", "a\\b.js", "a/.."]);
                set(self, manifest, &of_type(is_code), json!(text))
            }
            "a built-in that does not exist" => {
                set(self, manifest, &of_type(is_code), json!("builtin:other"))
            }
            "another version" => {
                manifest["lockstep"] = self.pick_json(&[json!("v2"), json!(1), json!("${env.VERSION}")]);
                Some("lockstep".into())
            }
            "two ways to log in" | "no way to log in" | "half a way to log in" => {
                let (auth0, twilio) = (self.reference(), self.reference());
                if mistake == "two ways to log in" {
                    manifest["auth0"]["client_secret"] = json!(auth0);
                    manifest["auth0"]["private_key"] = json!(twilio);
                    return Some("auth0".into());
                }
                let section = manifest["twilio"].as_object_mut()?;
                ["api_key", "api_secret", "auth_token"].iter().for_each(|key| drop(section.remove(*key)));
                if mistake == "half a way to log in" {
                    section.insert("api_secret".into(), json!(twilio));
                }
                Some("twilio".into())
            }
            "an empty group" => {
                let value = self.pick_json(&[json!({}), Json::Null]);
                set(self, manifest, &|what| matches!(what, What::Mapping { is_group: true, .. }), value)
            }
            "a section is missing" => {
                let section = self.pick(&["auth0", "twilio"]);
                manifest.as_object_mut()?.remove(section)?;
                Some(section.into())
            }
            "leads nowhere" => set(self, manifest, &plain_text, json!("${verify_service.nothing}")),
            "leads in a circle" => {
                let (names, _) = self.spot(manifest, &plain_text)?;
                // This name is that of an output too, so the reference is none to the key.
                let names = Some(names).filter(|names| names.join(".") != "verify_service.sid")?;
                *at(manifest, &names)? = json!(format!("${{{}}}", names.join(".")));
                Some(names.join("."))
            }
            "an output where a value is needed at once" => {
                set(self, manifest, &of_type(is_int), json!("${verify_service.sid}"))
            }
            "a day that no month has" => {
                let day = |what: &What| {
                    field(
                        &|field| matches!(field.ty, Type::Text { check: Some(check), .. } if (check.test)("2026-11-20").is_ok() && (check.test)("2026-02-30").is_err() && check.form.contains("{4}")),
                        what,
                    )
                };
                set(self, manifest, &day, json!("2026-02-30"))
            }
            "a URL with a password" => {
                let url = |what: &What| {
                    field(
                        &|field| matches!(field.ty, Type::Text { check: Some(check), .. } if check.form.contains("https://")),
                        what,
                    )
                };
                set(self, manifest, &url, json!("https://jo:pass@acme.example/x"))
            }
            other => panic!("nobody knows how to make this mistake: {other}"),
        }
    }

    /// A place that fits and is really there.
    fn spot(&mut self, manifest: &mut Json, fits: &dyn Fn(&What) -> bool) -> Option<(Vec<String>, usize)> {
        let fitting: Vec<usize> = (0..self.spots.len())
            .filter(|index| {
                let (names, what) = &self.spots[*index];
                fits(what) && names.first().map(String::as_str) != Some("lockstep")
            })
            .collect();
        let index = *fitting.get(self.below(fitting.len()))?;
        let names = self.spots[index].0.clone();
        at(manifest, &names)?;
        Some((names, index))
    }
}

fn at<'a>(manifest: &'a mut Json, names: &[String]) -> Option<&'a mut Json> {
    names.iter().try_fold(manifest, |at, name| match at {
        Json::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        at => at.get_mut(name),
    })
}

fn extend(names: &[String], name: &str) -> Vec<String> {
    let mut longer = names.to_vec();
    longer.push(name.to_owned());
    longer
}

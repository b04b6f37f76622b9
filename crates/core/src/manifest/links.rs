//! Checks that the names in references exist and that references do not form a cycle. Needs no environment.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};

use super::Tables;
use super::check::Checked;
use super::connection;
use super::expr::{Piece, Ref, Target};
use super::guard::{self, Class};
use super::leaf::{Input, Leaf};
use super::source::{Report, Source, Wrong, shown, wrong};
use crate::diag::{codes, nearest};
use crate::model::field::{Field, Type};
use crate::model::minted;
use crate::model::value::{OutputRef, TENANTS};

/// Longest chain of fields through which a reference may pass. A longer chain is a puzzle for readers, and the bound
/// limits the recursion of the resolver.
pub const CHAIN_MAX: usize = 16;

/// Most names that are compared with a wrong one: more than an honest manifest has.
const SUGGESTIONS_MAX: usize = 500;

/// Most wrong names for which the nearest right one is searched. Nobody mends more at once.
const SEARCHES_MAX: usize = 100;

/// The secret that a tenant hands on to others beside the outputs of its resources: what its feedback Function expects.
const HANDED_SECRET: (&str, &str) = ("feedback", "authorization");

/// The leaves of a manifest by their dotted names.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, usize>);

impl Names {
    /// Names of all leaves.
    pub fn new(leaves: &[Leaf]) -> Names {
        Names(leaves.iter().enumerate().map(|(at, leaf)| (leaf.name(), at)).collect())
    }

    /// The leaf of a dotted name.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// The output of a resource that a dotted name means, if it means one.
pub fn output(tables: &Tables, name: &str) -> Option<OutputRef> {
    let (resource, output) = name.rsplit_once('.')?;
    let (tenant, kind) = match resource.strip_prefix(TENANTS) {
        Some(rest) => rest.rsplit_once('.').map(|(tenant, kind)| (Some(tenant), kind))?,
        None => (None, resource),
    };
    let is_there = tenant.is_none_or(|tenant| tables.tenants.contains(tenant))
        && (is_output(tables, kind, output) || tenant.is_some() && (kind, output) == HANDED_SECRET);
    is_there.then(|| OutputRef { resource: resource.to_owned(), output: output.to_owned() })
}

fn is_output(tables: &Tables, resource: &str, output: &str) -> bool {
    tables.outputs.iter().any(|(known, outputs)| *known == resource && outputs.contains(&output))
}

/// Whether a name means a secret that a tenant hands on to others.
fn is_handed_secret(name: &str) -> bool {
    let (kind, output) = HANDED_SECRET;
    name.starts_with(TENANTS)
        && name.strip_suffix(output).is_some_and(|rest| rest.ends_with(&format!(".{kind}.")))
}

/// Reports every reference to a name that does not exist, in a place that cannot take it, or in a cycle.
pub fn check(checked: &Checked, tables: &Tables, names: &Names, report: &mut Report<'_>) {
    let mut edges: Vec<Vec<Edge>> = Vec::new();
    let guarded = Guarded::new(&checked.leaves);
    let known = Known { tables, names, lists: OnceCell::new(), searches: Cell::new(0) };
    for leaf in &checked.leaves {
        let mut out = Vec::new();
        for (place, pieces) in leaf.texts() {
            for piece in pieces {
                let Piece::Ref(found) = piece else { continue };
                if report.is_full() {
                    report.leave_reference();
                    continue;
                }
                let linked = link(leaf, pieces.len(), found, checked, &known, report.source);
                let linked =
                    linked.and_then(|to| guarded.keep(leaf, found, to, &checked.leaves).map(|()| to));
                match linked {
                    Ok(Some(to)) => out.push(Edge { to, names: place.clone(), found: found.clone() }),
                    Ok(None) => {}
                    Err(wrong) => report_ref(report, &place, found, wrong),
                }
            }
        }
        edges.push(out);
    }
    let mut circles =
        Circles { leaves: &checked.leaves, edges: &edges, height: vec![None; edges.len()], report };
    for at in 0..edges.len() {
        circles.visit(at, &mut Vec::new());
    }
}

/// Reports a problem at the bytes of a reference.
pub fn report_ref(report: &mut Report<'_>, names: &[String], found: &Ref, wrong: Wrong) {
    let range = report.source.fragment(names, &format!("${{{}}}", found.target.text()), found.range.start);
    report.at(names, range, wrong);
}

/// References that bring secrets, and the check that no such reference stands where others can read its value. A
/// manifest is changed by pull request, and one line in the wrong place would hand a credential to every reader of a
/// dashboard.
struct Guarded {
    /// Texts of references that stand in a field for a secret, each with the classes of these secrets. Entries of
    /// mappings do not count: their names are free, and their values are often not secret (a brand, a client id).
    texts: BTreeMap<String, BTreeSet<Class>>,
}

impl Guarded {
    fn new(leaves: &[Leaf]) -> Guarded {
        let mut texts: BTreeMap<String, BTreeSet<Class>> = BTreeMap::new();
        for leaf in leaves.iter().filter(|leaf| !matches!(leaf.ty, Type::Map { .. })) {
            let Some(class) = Class::of(leaf) else { continue };
            for (_, pieces) in leaf.texts() {
                for piece in pieces {
                    let Piece::Ref(found) = piece else { continue };
                    if !matches!(found.target, Target::Name(_) | Target::Generated(_)) {
                        texts.entry(found.target.text()).or_default().insert(class);
                    }
                }
            }
        }
        Guarded { texts }
    }

    fn keep(&self, leaf: &Leaf, found: &Ref, to: Option<usize>, leaves: &[Leaf]) -> Result<(), Wrong> {
        let source = to.map(|at| &leaves[at]).filter(|source| !matches!(source.input, Input::Public(_)));
        let target = found.target.text();
        let mut classes = self.texts.get(&target).cloned().unwrap_or_default();
        classes.extend(source.and_then(Class::of));
        // A generated secret is for code, and for the stream whose value the code compares with it.
        let is_handed = matches!(&found.target, Target::Name(name) if is_handed_secret(name));
        classes
            .extend((is_handed || matches!(found.target, Target::Generated(_))).then_some(Class::Receiver));
        // The SID of a Twilio key may stand in fields for secrets too. Whether the reference brings a secret is decided
        // later, by its value.
        let is_judged_later = !leaf.secret && connection::is_connection(leaf.section) && source.is_none();
        if is_judged_later || classes.iter().all(|class| guard::takes(leaf, *class)) {
            return Ok(());
        }
        Err(wrong(
            codes::BAD_REFERENCE,
            format!("the reference {} cannot be used", shown(&target)),
            format!("its value is a secret, and {}", guard::why(leaf)),
            "use another variable, or write the value",
        ))
    }
}

/// A reference from one leaf to another.
struct Edge {
    to: usize,
    names: Vec<String>,
    found: Ref,
}

fn link(
    leaf: &Leaf,
    pieces: usize,
    found: &Ref,
    checked: &Checked,
    known: &Known<'_>,
    written: &Source,
) -> Result<Option<usize>, Wrong> {
    let Known { tables, names, .. } = known;
    let target = found.target.text();
    let bad = |reason: String, help: String| {
        Err(wrong(
            codes::BAD_REFERENCE,
            format!("the reference {} cannot be used", shown(&target)),
            reason,
            help,
        ))
    };
    let takes_text = matches!(leaf.ty, Type::Text { .. } | Type::Map { .. });
    match &found.target {
        Target::Generated(_) if pieces > 1 => {
            bad("a generated secret has to stand alone".into(), "remove the text around it".into())
        }
        Target::Minted(_) if pieces > 1 => {
            bad("a part of a minted key has to stand alone".into(), "remove the text around it".into())
        }
        Target::Minted(part) if minted::value(part, true).is_none() => {
            let (reason, help) = known.no_minted(part);
            bad(reason, help)
        }
        Target::Generated(_) | Target::Minted(_) | Target::File(_) | Target::Cmd(_) if !takes_text => bad(
            "its value is a secret, and this field takes none".into(),
            "write the value, or use ${var.NAME}".into(),
        ),
        Target::Generated(_) | Target::Minted(_) if connection::is_connection(leaf.section) => bad(
            "its value exists only after apply, but this key is needed to connect".into(),
            "use ${env.NAME}".into(),
        ),
        Target::Name(name) => {
            if let Some(output) = output(tables, name) {
                return if !takes_text {
                    bad("its value is known only after apply".into(), "write the value out".into())
                } else if connection::is_connection(leaf.section) {
                    bad(
                        "its value is known only after apply, but this key is needed to connect".into(),
                        "use ${env.NAME}".into(),
                    )
                } else if is_section(tables, &output.resource)
                    && !checked.present.contains(output.resource.as_str())
                {
                    let resource = &output.resource;
                    bad(
                        format!("the manifest has no {resource}"),
                        format!("add {resource}: to the file, or write the value out"),
                    )
                } else {
                    Ok(None)
                };
            }
            let Some(to) = names.get(name) else {
                // The field is written, but was refused for a reason that is reported already.
                if written.spans().names(name).1 {
                    return Ok(None);
                }
                let (reason, help) = known.nowhere(name);
                return bad(reason, help);
            };
            match checked.leaves[to].input {
                Input::List(_) | Input::Code(_) => bad(
                    "it names a list or a file of code, and a text is needed".into(),
                    "write the value out".into(),
                ),
                Input::Known(serde_json::Value::Array(_)) => {
                    bad("it names a list, and a text is needed".into(), "write the value out".into())
                }
                _ => Ok(Some(to)),
            }
        }
        _ => Ok(None),
    }
}

fn is_section(tables: &Tables, path: &str) -> bool {
    tables.sections.iter().any(|section| section.path == path)
}

/// What a reference can name.
struct Known<'a> {
    tables: &'a Tables,
    names: &'a Names,
    /// Names that have a value, and names of all fields. Made for the first name that does not exist.
    lists: OnceCell<(Vec<String>, BTreeSet<String>)>,
    /// How often the nearest name was searched.
    searches: Cell<usize>,
}

impl Known<'_> {
    fn lists(&self) -> &(Vec<String>, BTreeSet<String>) {
        self.lists.get_or_init(|| {
            let mut known: Vec<String> = self.names.0.keys().take(SUGGESTIONS_MAX).cloned().collect();
            for (resource, outputs) in &self.tables.outputs {
                known.extend(outputs.iter().map(|output| format!("{resource}.{output}")));
            }
            let mut fields = Vec::new();
            for section in &self.tables.sections {
                field_names(section.path, section.fields, &mut fields);
            }
            (known, fields.into_iter().collect())
        })
    }

    /// The reason and the help for a name that does not exist.
    fn nowhere(&self, name: &str) -> (String, String) {
        if let Some(rest) = name.strip_prefix(TENANTS) {
            return self.no_tenant(rest);
        }
        let (known, fields) = self.lists();
        if fields.contains(name) {
            return (
                format!("{} has no value in this manifest", shown(name)),
                format!("give {} a value", shown(name)),
            );
        }
        self.searches.set(self.searches.get() + 1);
        let near = match self.searches.get() {
            ..=SEARCHES_MAX => nearest(name, known.iter().map(String::as_str)),
            _ => None,
        };
        let help = match near {
            Some(near) => format!("did you mean ${{{near}}}?"),
            None if !name.contains('.') && name.len() <= 60 => {
                format!("did you mean ${{env.{}}}?", name.replace(['-', '@', '/'], "_"))
            }
            None => match name.split_once('.').and_then(|(source, rest)| Some((source_meant(source)?, rest)))
            {
                Some((source, rest)) => format!("did you mean ${{{source}.{}}}?", shown(rest)),
                None => {
                    "name a field of this manifest, an output such as ${verify_service.sid}, or ${env.NAME}"
                        .into()
                }
            },
        };
        ("nothing has this name".into(), help)
    }

    /// The same for a part of a minted key that there is not; `part` stands behind `minted.`.
    fn no_minted(&self, part: &str) -> (String, String) {
        let all: Vec<String> = minted::ALL
            .iter()
            .flat_map(|key| minted::PARTS.map(|part| format!("{}.{part}", key.name)))
            .collect();
        self.searches.set(self.searches.get() + 1);
        let near = match self.searches.get() {
            ..=SEARCHES_MAX => nearest(part, all.iter().map(String::as_str)),
            _ => None,
        };
        let help = match near {
            Some(near) => format!("did you mean ${{minted.{near}}}?"),
            None => {
                let all: Vec<String> = all.iter().map(|one| format!("${{minted.{one}}}")).collect();
                format!("there are {}", all.join(", "))
            }
        };
        ("no key that an apply makes has this part".into(), help)
    }

    /// The same for an output of another tenant that there is not; `rest` stands behind `tenants.`.
    fn no_tenant(&self, rest: &str) -> (String, String) {
        let Tables { tenants, outputs, .. } = self.tables;
        if tenants.is_empty() {
            let help = "name a fleet file on the command line, or write the value itself";
            return ("only a manifest of a fleet has other tenants".into(), help.into());
        }
        let handed = outputs.iter().flat_map(|(kind, names)| names.iter().map(move |name| (*kind, *name)));
        let mut handed: Vec<String> =
            handed.chain([HANDED_SECRET]).map(|(kind, name)| format!("{kind}.{name}")).collect();
        handed.sort_unstable();
        let known = handed.iter().find_map(|name| rest.strip_suffix(name.as_str())?.strip_suffix('.'));
        match known {
            Some(tenant) => {
                let near = nearest(tenant, tenants.iter().map(String::as_str));
                let help = near.map_or_else(
                    || "write the name of a tenant of the table".to_owned(),
                    |near| format!("did you mean {}?", shown(near)),
                );
                (format!("the fleet has no tenant {}", shown(tenant)), help)
            }
            None => (
                "no tenant hands on what it names".into(),
                format!(
                    "a tenant hands on {}: ${{tenants.NAME.{}}}",
                    handed.join(", "),
                    "verify_service.sid"
                ),
            ),
        }
    }
}

/// The source of values that a word is probably meant for, such as `ENV` or `environment`.
fn source_meant(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let sources = ["env", "file", "var", "cmd", "generated", "minted"];
    sources.into_iter().find(|source| lower.starts_with(source)).or_else(|| nearest(&lower, sources))
}

/// The tables are static, so the recursion ends.
fn field_names(prefix: &str, fields: &[Field], out: &mut Vec<String>) {
    for field in fields {
        let name = if prefix.is_empty() { field.key.to_owned() } else { format!("{prefix}.{}", field.key) };
        if let Type::Object(inner) = field.ty {
            field_names(&name, inner, out);
        }
        out.push(name);
    }
}

struct Circles<'a, 'r, 's> {
    leaves: &'a [Leaf],
    edges: &'a [Vec<Edge>],
    /// Length of the longest chain that starts at each leaf, once known.
    height: Vec<Option<usize>>,
    report: &'r mut Report<'s>,
}

impl Circles<'_, '_, '_> {
    /// The length of the longest chain from a leaf. The trail is never longer than the bound.
    fn visit(&mut self, at: usize, trail: &mut Vec<usize>) -> usize {
        if let Some(height) = self.height[at] {
            return height;
        }
        let mut height = 0;
        trail.push(at);
        let edges = self.edges;
        for edge in &edges[at] {
            let below = if let Some(start) = trail.iter().position(|one| *one == edge.to) {
                self.circle(edge, &trail[start..]);
                0
            } else if trail.len() > CHAIN_MAX {
                CHAIN_MAX
            } else {
                self.visit(edge.to, trail)
            };
            if below == CHAIN_MAX {
                let title = "a chain of references is too long";
                let reason = format!("more than {CHAIN_MAX} fields point at each other");
                let wrong = wrong(codes::BAD_REFERENCE, title, reason, "refer to the first of them directly");
                report_ref(self.report, &edge.names, &edge.found, wrong);
            }
            height = height.max((below + 1).min(CHAIN_MAX));
        }
        trail.pop();
        self.height[at] = Some(height);
        height
    }

    fn circle(&mut self, edge: &Edge, trail: &[usize]) {
        let mut names: Vec<String> = trail.iter().map(|at| shown(&self.leaves[*at].name())).collect();
        names.push(shown(&self.leaves[edge.to].name()));
        let title = "references lead in a circle";
        let wrong =
            wrong(codes::BAD_REFERENCE, title, names.join(" → "), "give one of them a value of its own");
        report_ref(self.report, &edge.names, &edge.found, wrong);
    }
}

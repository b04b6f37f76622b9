//! Tells what is wrong in the manifests of tenants at its origin, and what many tenants share only once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::{Tenant, Tenants, undrawn};
use super::text::Rendered;
use super::tree::Origin;
use super::{Fleet, Parts};
use crate::diag::{Code, Diagnostic, Problem, Severity, Span, codes};
use crate::manifest::Source;

/// Names of tenants that one message lists.
const NAMES_MAX: usize = 5;

/// Where a problem is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    Part(usize),
    Table,
    /// A file that a manifest names.
    Other,
}

/// What makes two problems the same: text, file, line, column, code and title.
type Same = (Text, String, usize, usize, Code, String);

/// Problems with the text that they are told in.
pub type Told = Vec<(Arc<Source>, Vec<Diagnostic>)>;

/// The problems of all tenants.
pub struct Problems<'a> {
    fleet: &'a Fleet,
    parts: &'a Parts,
    tenants: &'a Tenants,
    found: BTreeMap<Same, (Diagnostic, Vec<String>)>,
}

impl<'a> Problems<'a> {
    pub fn new(fleet: &'a Fleet, parts: &'a Parts, tenants: &'a Tenants) -> Problems<'a> {
        Problems { fleet, parts, tenants, found: BTreeMap::new() }
    }

    /// Adds what is wrong in a tenant's manifest. `file` is the name under which the text was read.
    pub fn add(&mut self, tenant: &Tenant, rendered: &Rendered, file: &str, found: &[Diagnostic]) {
        for (origin, column) in &rendered.unknown {
            let title = format!("the table of tenants has no column {column}");
            let help = self.tenants.near(column);
            let problem = Problem::error(codes::BAD_REFERENCE, "", title, "no tenant has it", help);
            let span = self.parts.source(origin.part).span(origin.range.clone());
            self.push(tenant, Text::Part(origin.part), self.at(origin, problem, span));
        }
        for one in found {
            let (text, told) = match one.file == file {
                true => self.traced(tenant, rendered, one),
                false => (Text::Other, one.clone()),
            };
            self.push(tenant, text, told);
        }
    }

    /// The problem at the place where its value was written.
    fn traced(&self, tenant: &Tenant, rendered: &Rendered, one: &Diagnostic) -> (Text, Diagnostic) {
        let mut problem = one.problem.clone();
        if let Some(origin) =
            rendered.removed.get(&problem.path).filter(|_| problem.code == codes::MISSING_KEY)
        {
            problem.reason = "this overlay removes it".to_owned();
            let span = self.parts.source(origin.part).span(origin.range.clone());
            return (Text::Part(origin.part), self.at(origin, problem, span));
        }
        match one.span.as_ref().and_then(|span| rendered.origin(span)) {
            Some((_, columns)) if !columns.is_empty() => {
                let (line, column) = tenant.place;
                problem.reason = format!("column {}: {}", columns.join(", "), problem.reason);
                let span = Some(Span { line, column, start: 0, end: 0 });
                (Text::Table, Diagnostic { problem, file: self.tenants.file.clone(), span })
            }
            Some((origin, _)) => {
                let span = self.parts.source(origin.part).span(origin.range.clone());
                (Text::Part(origin.part), self.at(origin, problem, span))
            }
            None => {
                let source = &self.parts.base.source;
                (
                    Text::Part(0),
                    Diagnostic { problem, file: source.file.clone(), span: Some(source.span(0..0)) },
                )
            }
        }
    }

    fn at(&self, origin: &Origin, problem: Problem, span: Span) -> Diagnostic {
        Diagnostic { problem, file: self.parts.source(origin.part).file.clone(), span: Some(span) }
    }

    fn push(&mut self, tenant: &Tenant, text: Text, told: Diagnostic) {
        let (line, column) = told.span.as_ref().map_or((0, 0), |span| (span.line, span.column));
        let Problem { code, title, .. } = &told.problem;
        let key = (text, told.file.clone(), line, column, *code, title.clone());
        let entry = self.found.entry(key).or_insert_with(|| (told, Vec::new()));
        if entry.1.last() != Some(&tenant.name) {
            entry.1.push(tenant.name.clone());
        }
    }

    /// Whether a manifest has an error.
    pub fn has_errors(&self) -> bool {
        self.found.values().any(|(one, _)| one.problem.severity == Severity::Error)
    }

    /// All problems, by the text in which they are told: the base, the overlays, the table, other files.
    pub fn finish(self) -> Told {
        let all = self.tenants.list.len();
        let mut out: Told = Vec::new();
        let mut at: BTreeMap<String, usize> = BTreeMap::new();
        for ((text, ..), (mut one, names)) in self.found {
            if names.len() < all {
                let more = names.len().saturating_sub(NAMES_MAX);
                let listed = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
                let listed = if more > 0 { format!("{listed} and {more} more") } else { listed };
                let reason = std::mem::take(&mut one.problem.reason);
                one.problem.reason = match reason.is_empty() {
                    true => format!("for {listed}"),
                    false => format!("{reason}; for {listed}"),
                };
            }
            let source = match text {
                Text::Part(at) => Arc::clone(self.parts.source(at)),
                // The list of the fleet file is as public as the file.
                Text::Table if self.tenants.file == self.fleet.parsed.source.file => {
                    Arc::clone(&self.fleet.parsed.source)
                }
                Text::Table | Text::Other => undrawn(&one.file),
            };
            let at = *at.entry(source.file.clone()).or_insert(out.len());
            match out.get_mut(at) {
                Some((_, list)) => list.push(one),
                None => out.push((source, vec![one])),
            }
        }
        out
    }
}

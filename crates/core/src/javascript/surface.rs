//! The surface of a source: what it exports, which secrets it reads, which packages it loads.
//!
//! Only facts that follow from the syntax tree count. Bundlers export in many ways. If an export cannot be followed,
//! the exports are unknown and nothing is claimed about them.

use std::collections::BTreeSet;

use oxc_ast::ast::{
    AssignmentExpression, AssignmentTarget, BindingIdentifier, BindingPatternKind, CallExpression,
    ComputedMemberExpression, Expression, IdentifierName, IdentifierReference, ImportExpression,
    ModuleDeclaration, ObjectExpression, ObjectPropertyKind, Program, Statement, StaticMemberExpression,
    StringLiteral, TemplateElement, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};

/// What a source exports, reads and loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// The source has `import` or `export` declarations, so Node reads it as an ES module.
    pub is_module: bool,
    /// Every identifier, key and string of the source, without its comments.
    words: BTreeSet<String>,
    /// Names that are set on `exports` or `module.exports`.
    exports: BTreeSet<String>,
    /// True when this module understands every use of `exports` and `module`.
    follows: bool,
    /// Names that are read from `event.secrets`.
    pub secrets: BTreeSet<String>,
    /// Names read from `context`, as handlers of Twilio Functions call their first parameter.
    pub context: BTreeSet<String>,
    /// Literal arguments of `require` and `import()`.
    pub loads: BTreeSet<String>,
}

impl Surface {
    /// Reads a parsed source.
    pub fn of(program: &Program<'_>) -> Surface {
        let mut walker = Walker::default();
        walker.visit_program(program);
        let Walker { mut surface, uses, followed } = walker;
        surface.is_module = program.body.iter().any(is_module_declaration);
        surface.follows = uses == followed;
        surface
    }

    /// Whether that name is certainly not exported: either all exports are known and it is not among them, or the name
    /// does not occur in the code.
    pub fn lacks(&self, name: &str) -> bool {
        (self.follows && !self.exports.contains(name)) || !self.words.contains(name)
    }

    /// Whether an identifier, key or string of the code equals that word.
    pub fn says(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether an identifier, key or string of the code contains that part.
    pub fn mentions(&self, part: &str) -> bool {
        self.words.iter().any(|word| word.contains(part))
    }

    /// The loaded packages, without the modules of Node.js and without files beside the source.
    pub fn packages(&self) -> BTreeSet<&str> {
        let end = |path: &str| {
            let parts = if path.starts_with('@') { 2 } else { 1 };
            path.match_indices('/').nth(parts - 1).map_or(path.len(), |(at, _)| at)
        };
        self.loads
            .iter()
            .filter(|path| !path.starts_with(['.', '/']) && !path.starts_with("node:"))
            .map(|path| &path[..end(path)])
            .filter(|name| !NODE.contains(name))
            .collect()
    }

    /// The files beside the source that it loads. They will be missing at run time, because only the source itself is
    /// sent.
    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.loads.iter().filter(|path| path.starts_with(['.', '/']))
    }
}

/// Modules of Node.js 22 that `require` finds without a package ("Node.js documentation, module.builtinModules",
/// 2026-11).
const NODE: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

fn is_module_declaration(statement: &Statement<'_>) -> bool {
    matches!(
        statement.as_module_declaration(),
        Some(
            ModuleDeclaration::ImportDeclaration(_)
                | ModuleDeclaration::ExportAllDeclaration(_)
                | ModuleDeclaration::ExportDefaultDeclaration(_)
                | ModuleDeclaration::ExportNamedDeclaration(_)
        )
    )
}

#[derive(Default)]
struct Walker {
    surface: Surface,
    /// Number of references to `exports`, `module`, `eval` and `Function`, and of local names `exports`, `module` and
    /// `require`.
    uses: usize,
    /// Number of those uses that are understood.
    followed: usize,
}

impl Walker {
    /// Whether the expression is `exports` or `module.exports`.
    fn is_exports(expression: &Expression<'_>) -> bool {
        match expression {
            Expression::Identifier(name) => name.name == "exports",
            Expression::StaticMemberExpression(member) => {
                member.property.name == "exports" && is_named(&member.object, "module")
            }
            _ => false,
        }
    }

    /// Records a name seen on `exports`. A name that is only read counts too, which can only make claims fewer.
    fn export(&mut self, name: &str) {
        self.followed += 1;
        self.surface.exports.insert(name.to_owned());
    }

    /// Records all names of `module.exports = { … }`, unless a name is computed or spread.
    fn export_all(&mut self, object: &ObjectExpression<'_>) {
        let names: Option<Vec<String>> = object
            .properties
            .iter()
            .map(|property| match property {
                ObjectPropertyKind::ObjectProperty(property) => {
                    property.key.static_name().map(|name| name.into_owned())
                }
                ObjectPropertyKind::SpreadProperty(_) => None,
            })
            .collect();
        if let Some(names) = names {
            self.followed += 1;
            self.surface.exports.extend(names);
        }
    }
}

fn is_named(expression: &Expression<'_>, name: &str) -> bool {
    matches!(expression, Expression::Identifier(found) if found.name == name)
}

/// Whether the expression is `event.secrets`, with or without `?.`.
fn is_secrets(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::StaticMemberExpression(member) => {
            member.property.name == "secrets" && is_named(&member.object, "event")
        }
        Expression::ChainExpression(chain) => chain.expression.as_member_expression().is_some_and(|member| {
            member.static_property_name() == Some("secrets") && is_named(member.object(), "event")
        }),
        Expression::ParenthesizedExpression(inner) => is_secrets(&inner.expression),
        _ => false,
    }
}

impl<'a> Visit<'a> for Walker {
    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        if matches!(name.name.as_str(), "exports" | "module" | "eval" | "Function") {
            self.uses += 1;
        }
        self.surface.words.insert(name.name.to_string());
    }

    fn visit_binding_identifier(&mut self, name: &BindingIdentifier<'a>) {
        // From here on, the name may refer to a local variable.
        if matches!(name.name.as_str(), "exports" | "module" | "require") {
            self.uses += 1;
        }
        self.surface.words.insert(name.name.to_string());
    }

    fn visit_identifier_name(&mut self, name: &IdentifierName<'a>) {
        self.surface.words.insert(name.name.to_string());
    }

    fn visit_string_literal(&mut self, text: &StringLiteral<'a>) {
        self.surface.words.insert(text.value.to_string());
    }

    fn visit_template_element(&mut self, text: &TemplateElement<'a>) {
        self.surface.words.insert(text.value.raw.to_string());
    }

    fn visit_static_member_expression(&mut self, member: &StaticMemberExpression<'a>) {
        let name = member.property.name.as_str();
        if Walker::is_exports(&member.object) {
            self.export(name);
        } else if matches!(&member.object, Expression::ThisExpression(_)) {
            // At the top of a file `this` is `exports`.
            self.surface.exports.insert(name.to_owned());
        } else if is_secrets(&member.object) {
            self.surface.secrets.insert(name.to_owned());
        } else if is_named(&member.object, "context") {
            self.surface.context.insert(name.to_owned());
        }
        walk::walk_static_member_expression(self, member);
    }

    fn visit_computed_member_expression(&mut self, member: &ComputedMemberExpression<'a>) {
        if let Expression::StringLiteral(name) = &member.expression {
            if Walker::is_exports(&member.object) {
                self.export(&name.value);
            } else if is_secrets(&member.object) {
                self.surface.secrets.insert(name.value.to_string());
            } else if is_named(&member.object, "context") {
                self.surface.context.insert(name.value.to_string());
            }
        }
        walk::walk_computed_member_expression(self, member);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        if let AssignmentTarget::StaticMemberExpression(member) = &assignment.left
            && member.property.name == "exports"
            && is_named(&member.object, "module")
        {
            match &assignment.right {
                Expression::ObjectExpression(object) => self.export_all(object),
                // The whole module is one function or class, which has no handler of that name.
                Expression::FunctionExpression(_)
                | Expression::ArrowFunctionExpression(_)
                | Expression::ClassExpression(_) => self.followed += 1,
                _ => {}
            }
        }
        walk::walk_assignment_expression(self, assignment);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let literal = |at: usize| match call.arguments.get(at).and_then(|argument| argument.as_expression()) {
            Some(Expression::StringLiteral(text)) => Some(text.value.as_str()),
            _ => None,
        };
        if is_named(&call.callee, "require")
            && let Some(path) = literal(0)
        {
            self.surface.loads.insert(path.to_owned());
        }
        let defines = call.callee.as_member_expression().is_some_and(|member| {
            is_named(member.object(), "Object") && member.static_property_name() == Some("defineProperty")
        });
        let target = call.arguments.first().and_then(|argument| argument.as_expression());
        if let (true, Some(target), Some(name)) = (defines, target, literal(1))
            && Walker::is_exports(target)
        {
            self.export(name);
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        if let Expression::StringLiteral(path) = &import.source {
            self.surface.loads.insert(path.value.to_string());
        }
        walk::walk_import_expression(self, import);
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        if let (BindingPatternKind::ObjectPattern(pattern), Some(init)) =
            (&declarator.id.kind, &declarator.init)
        {
            let names = pattern.properties.iter().filter_map(|property| property.key.static_name());
            if is_secrets(init) {
                self.surface.secrets.extend(names.map(|name| name.into_owned()));
            } else if is_named(init, "context") {
                self.surface.context.extend(names.map(|name| name.into_owned()));
            }
        }
        walk::walk_variable_declarator(self, declarator);
    }
}

#[cfg(test)]
mod tests {
    use crate::javascript::parse;

    fn lacks(source: &str, name: &str) -> bool {
        parse(source).expect(source).surface.lacks(name)
    }

    #[test]
    fn a_handler_that_is_surely_not_exported_is_missing() {
        for source in [
            "",
            "exports.other = 1;",
            "exports.onExecuteX = 1;",
            "function onExecute() {}",
            "const onExecute = async () => {};\nexports.other = onExecute;",
            "module.exports = { onExecute2() {} };",
            "module.exports = async function onExecute() {};",
            "exports.onexecute = 1;",
            "// exports.onExecute = 1;\nexports.a = 1;",
            "module.exports.other = 1; exports['x'] = 2;",
            "Object.defineProperty(exports, 'other', { value: 1 }); function onExecute() {}",
            // The exports cannot be followed, but the name does not occur.
            "module.exports = require('./x');",
        ] {
            assert!(lacks(source, "onExecute"), "{source}");
        }
    }

    #[test]
    fn a_handler_that_may_be_exported_is_not_called_missing() {
        for source in [
            "exports.onExecute = async () => {};",
            "exports['onExecute'] = 1;",
            "exports.a = exports.onExecute = 1;",
            "module.exports.onExecute = 1;",
            "module.exports = { onExecute };",
            "module.exports = { 'onExecute': f, ...more };",
            "exports = module.exports = { onExecute() {} };",
            "Object.defineProperty(exports, 'onExecute', { get });",
            "this.onExecute = 1;",
            "Object.assign(exports, { onExecute });",
            "const e = exports; e.onExecute = 1;",
            "for (const [k, v] of Object.entries({ onExecute })) exports[k] = v;",
            "__export(exports, { onExecute: () => onExecute });",
            "(function (module, exports) { exports.onExecute = 1; })(module, exports);",
            "module.exports = __toCommonJS(src_exports); var x = { onExecute };",
            "({ f: exports.onExecute } = x);",
        ] {
            assert!(!lacks(source, "onExecute"), "{source}");
        }
    }

    #[test]
    fn what_the_code_reads_and_loads_is_told() {
        let surface = parse(
            "const { A, B: b } = event.secrets; const c = event.secrets.C + event?.secrets?.D + event.secrets['E'];
             const t = require('twilio'); require('@acme/x/lib/y'); require('node:fs'); require('crypto');
             require('./beside'); require(name); import('axios'); other.secrets.Z; context.LOG; const { M } = context;",
        )
        .expect("parses")
        .surface;
        assert_eq!(surface.secrets.iter().collect::<Vec<_>>(), ["A", "B", "C", "D", "E"]);
        assert_eq!(surface.context.iter().collect::<Vec<_>>(), ["LOG", "M"]);
        assert_eq!(surface.packages().into_iter().collect::<Vec<_>>(), ["@acme/x", "axios", "twilio"]);
        assert_eq!(surface.files().collect::<Vec<_>>(), ["./beside"]);
    }

    #[test]
    fn a_module_is_told_from_a_script() {
        let is_module = |source: &str| parse(source).expect(source).surface.is_module;
        for source in ["import x from 'x';", "export const a = 1;", "export default 1;", "export * from 'x';"]
        {
            assert!(is_module(source), "{source}");
        }
        for source in ["exports.a = 1;", "import('x');", "const x = 'export default 1';"] {
            assert!(!is_module(source), "{source}");
        }
    }
}
